//! What is beside the API: health, a hosted renderer, the workbench's place, the mode without credentials, import,
//! a database that is away.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

mod support;

use async_trait::async_trait;
use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use open_cowork_cloud_server::cloud::Check;
use open_cowork_cloud_server::pipeline::{Renderer, Surfaces, router};
use open_cowork_cloud_server::{Authenticated, LocalOwner};
use open_cowork_providers::objects::{ObjectError, ObjectInfo, ObjectStore};
use serde_json::json;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use support::{World, request, world, world_with};

const ME: &str = "member@own";

/// Objects in memory, that can be away.
#[derive(Default)]
struct Objects {
    kept: Mutex<HashMap<String, Bytes>>,
    away: Mutex<bool>,
}

impl Objects {
    fn here(&self) -> Result<(), ObjectError> {
        match *self.away.lock().unwrap() {
            true => Err(ObjectError::Unavailable(
                "token=hunter2hunter2hunter2".into(),
            )),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl ObjectStore for Objects {
    async fn put(&self, key: &str, body: Bytes) -> Result<(), ObjectError> {
        self.here()?;
        self.kept.lock().unwrap().insert(key.to_owned(), body);
        Ok(())
    }
    async fn get(&self, key: &str) -> Result<Option<Bytes>, ObjectError> {
        self.here()?;
        Ok(self.kept.lock().unwrap().get(key).cloned())
    }
    async fn head(&self, key: &str) -> Result<Option<ObjectInfo>, ObjectError> {
        let found = self.get(key).await?;
        Ok(found.map(|bytes| ObjectInfo {
            size: bytes.len() as u64,
        }))
    }
    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        self.here()?;
        self.kept.lock().unwrap().remove(key);
        Ok(())
    }
}

struct Broken;

#[async_trait]
impl Check for Broken {
    fn name(&self) -> &str {
        "execution_isolation"
    }
    async fn run(&self) -> Result<(), String> {
        Err("No OpenCode; set Authorization: Bearer sk-ant-api03-AbCdEfGhIjKlMnOpQrStUvWxYz0123456789".into())
    }
}

#[tokio::test]
async fn readiness_names_what_is_wrong_and_no_secret() {
    let objects = Arc::new(Objects::default());
    let given = objects.clone();
    let world = world_with(move |services| {
        services.objects = Some(given);
        services.checks = vec![Arc::new(Broken)];
    })
    .await;
    for method in ["GET", "HEAD", "POST"] {
        let reply = world.call("nobody@own", method, "/livez", None).await;
        assert_eq!(reply.status, 200, "{method}");
    }
    *objects.away.lock().unwrap() = true;
    let ready = world.call("nobody@own", "GET", "/readyz", None).await;
    assert_eq!(ready.status, 503);
    let checks = ready.json()["checks"].clone();
    let names: Vec<_> = checks
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["name"].clone())
        .collect();
    assert_eq!(
        names,
        [
            "control_plane",
            "object_store",
            "secret_adapter",
            "execution_isolation"
        ]
    );
    assert_eq!(checks[0], json!({"name": "control_plane", "status": "ok"}));
    assert_eq!(checks[1]["status"], "error");
    assert!(
        !ready.body.contains("sk-ant") && !ready.body.contains("hunter2"),
        "{}",
        ready.body
    );
    let progress = world
        .call("nobody@own", "GET", "/progressz", None)
        .await
        .json();
    assert_eq!(progress["configReason"], "default_off");
}

#[tokio::test]
async fn readiness_leaves_nothing_in_the_object_store() {
    let objects = Arc::new(Objects::default());
    let given = objects.clone();
    let world = world_with(move |services| services.objects = Some(given)).await;
    assert_eq!(world.call(ME, "GET", "/readyz", None).await.status, 200);
    assert!(objects.kept.lock().unwrap().is_empty());
}

#[tokio::test]
async fn metrics_are_for_operators_and_need_a_recorder() {
    let world =
        world_with(|services| services.metrics = Some(Arc::new(|| "up 1\n".to_owned()))).await;
    let operator = "token:operator@own";
    let reply = world.call(operator, "GET", "/api/metrics", None).await;
    assert_eq!(
        (reply.status.as_u16(), reply.body.as_str()),
        (200, "up 1\n")
    );
    assert!(
        reply.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    assert_eq!(
        world
            .call("owner@own", "GET", "/api/metrics", None)
            .await
            .status,
        403
    );
}

#[tokio::test]
async fn a_hosted_renderer_is_served_with_its_bootstrap_and_policy() {
    let world = world().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("assets")).unwrap();
    std::fs::write(
        folder.path().join("index.html"),
        "<head></head><body>hi</body>",
    )
    .unwrap();
    std::fs::write(folder.path().join("chart-frame.html"), "frame").unwrap();
    std::fs::write(folder.path().join("assets/a-1.js"), "1").unwrap();
    std::fs::write(folder.path().join("secret.txt"), "no").unwrap();
    let surfaces = Surfaces {
        renderer: Some(Renderer {
            folder: folder.path().to_owned(),
            auth_required: true,
        }),
        workbench: None,
    };
    let world = World {
        router: router(world.cloud.clone(), surfaces),
        ..world
    };
    let get = |path: &'static str| world.call("nobody@own", "GET", path, None);
    for path in ["/app", "/app/"] {
        let page = get(path).await;
        assert_eq!(page.status, 200);
        assert!(
            page.body.contains("id=\"cowork-bootstrap\""),
            "{}",
            page.body
        );
        assert!(page.body.contains("\"authRequired\":true"));
        assert!(
            page.body
                .contains("\"session.created\",\"session.imported\"")
        );
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'self'; script-src 'self';"),
            "{policy}"
        );
        assert_eq!(page.headers["cache-control"], "no-store");
    }
    let frame = get("/app/chart-frame.html").await;
    assert_eq!(frame.headers["x-frame-options"], "SAMEORIGIN");
    let asset = get("/app/assets/a-1.js").await;
    assert_eq!((asset.status.as_u16(), asset.body.as_str()), (200, "1"));
    assert_eq!(asset.headers["access-control-allow-origin"], "*");
    for path in [
        "/app/assets/../secret.txt",
        "/app/secret.txt",
        "/app/assets/b.js",
        "/app/assets/%2e%2e/secret.txt",
    ] {
        assert_eq!(get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_workbench_owns_what_is_not_the_servers_and_knows_who_asks() {
    let world = world().await;
    let page = |who: axum::Extension<Authenticated>| async move { who.principal.email.clone() };
    let surfaces = Surfaces {
        workbench: Some(
            Router::new()
                .route("/", get(page))
                .route("/chats", get(page)),
        ),
        renderer: None,
    };
    let world = World {
        router: router(world.cloud.clone(), surfaces),
        ..world
    };
    assert_eq!(world.call(ME, "GET", "/", None).await.body, "user@own.test");
    assert_eq!(
        world.call(ME, "GET", "/chats", None).await.body,
        "user@own.test"
    );
    assert_eq!(world.call("nobody@own", "GET", "/", None).await.status, 401);
    assert_eq!(world.call(ME, "GET", "/elsewhere", None).await.status, 404);
    let api = world.call(ME, "GET", "/api/none", None).await;
    assert_eq!(
        (api.status.as_u16(), api.code().as_str()),
        (404, "authorization.action_unknown")
    );
    assert_eq!(
        world.call(ME, "GET", "/auth/nothing", None).await.status,
        404
    );
}

#[tokio::test]
async fn without_credentials_a_foreign_page_reaches_nothing() {
    let world =
        world_with(|services| services.authenticator = Arc::new(LocalOwner::default())).await;
    for (name, value, status) in [
        ("host", "127.0.0.1:8787", 200),
        ("host", "evil.example", 403),
        ("origin", "https://evil.example", 403),
        ("sec-fetch-site", "cross-site", 403),
    ] {
        let mut asked = request("", "GET", "/api/config", None);
        asked.headers_mut().insert(name, value.parse().unwrap());
        let reply = world.send(asked).await;
        assert_eq!(reply.status, status, "{name}: {value}: {}", reply.body);
        if status == 403 {
            assert_eq!(reply.code(), "auth.foreign_origin");
        }
    }
}

#[tokio::test]
async fn an_import_becomes_one_thread_in_order_with_its_own_times() {
    let objects = Arc::new(Objects::default());
    let given = objects.clone();
    let world = world_with(move |services| services.objects = Some(given)).await;
    let body = json!({
        "source": {"kind": "local-session", "fingerprint": "f1", "title": "Trip"},
        "selection": {}, "itemCounts": {"messages": 2},
        "messages": [
            {"id": "m2", "role": "assistant", "content": "Sure", "order": 2, "timestamp": "2026-01-01T10:00:01Z"},
            {"id": "m1", "role": "user", "content": "Plan it", "order": 1, "timestamp": "2026-01-01T10:00:00Z"},
        ],
        "artifacts": [{"id": "a", "filename": "plan.md", "dataBase64": "aGk=", "order": 1}],
        "todos": [], "sessionCost": 0.5,
    });
    let reply = world
        .call(ME, "POST", "/api/import/sessions", Some(body))
        .await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    let view = &reply.json()["projection"]["view"];
    assert_eq!(view["messages"][0]["content"], "Plan it");
    assert_eq!(view["messages"][1]["content"], "Sure");
    assert_eq!(view["sessionCost"], 0.5);
    assert_eq!(view["artifacts"].as_array().unwrap().len(), 1);
    assert_eq!(reply.json()["session"]["title"], "Trip");
    assert_eq!(objects.kept.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_import_that_is_wrong_anywhere_leaves_nothing() {
    let world = world().await;
    let with = |key: &str, value: serde_json::Value| {
        let mut body = json!({"source": {"kind": "local-session", "fingerprint": "f1"}});
        body[key] = value;
        body
    };
    let message =
        |content: &str| json!([{"id": "m", "role": "user", "content": content, "order": 1}]);
    let artifact = json!([{"id": "a", "filename": "a", "dataBase64": "aGk=", "order": 1}]);
    for (body, status) in [
        (json!({}), 400),
        (
            json!({"source": {"kind": "elsewhere", "fingerprint": "f"}}),
            400,
        ),
        (with("title", json!("x".repeat(513))), 400),
        (with("messages", message("see /home/ada/notes")), 400),
        (
            with(
                "messages",
                message("sk-ant-api03-AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"),
            ),
            400,
        ),
        (
            with(
                "messages",
                json!([{"id": "m", "role": "robot", "content": "x", "order": 1}]),
            ),
            400,
        ),
        (with("artifacts", artifact), 503),
    ] {
        let reply = world
            .call(ME, "POST", "/api/import/sessions", Some(body.clone()))
            .await;
        assert_eq!(reply.status, status, "{}", reply.body);
        assert!(
            !reply.body.contains("sk-ant") && !reply.body.contains("ada"),
            "{}",
            reply.body
        );
    }
    let listed = world.call(ME, "GET", "/api/sessions", None).await.json();
    assert_eq!(listed["sessions"], json!([]));
}

#[tokio::test]
async fn a_store_that_is_gone_is_503_with_a_time_to_wait_and_never_a_500() {
    let world = world().await;
    let made = world.call(ME, "POST", "/api/sessions", None).await;
    let id = made.json()["session"]["sessionId"]
        .as_str()
        .unwrap()
        .to_owned();
    world.store.close().await;
    for (method, path) in [
        ("GET", "/api/sessions".to_owned()),
        ("POST", "/api/sessions".to_owned()),
        ("POST", format!("/api/sessions/{id}/prompt")),
        ("GET", "/api/sessions/unknown".to_owned()),
        ("GET", "/api/config".to_owned()),
        ("GET", format!("/api/sessions/{id}/events")),
    ] {
        let body = (method == "POST").then(|| json!({"text": "x"}));
        let reply = world.call(ME, method, &path, body).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (503, "store.unavailable"),
            "{path}"
        );
        assert!(reply.headers.contains_key("retry-after"), "{path}");
    }
    let ready = world.call(ME, "GET", "/readyz", None).await;
    assert_eq!(ready.status, 503);
    assert_eq!(world.call(ME, "GET", "/livez", None).await.status, 200);
}
