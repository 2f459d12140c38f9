//! Workflows, webhooks, threads and artifacts over HTTP: use and bad input (03 §8.5–8.7, §8.20, §11).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails panics"
)]

mod support;

use axum::body::Body;
use axum::http::Request;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use open_cowork_adapters::objects::FolderObjects;
use open_cowork_adapters::secrets::EnvelopeSecrets;
use open_cowork_cloud_server::service::threads::follow;
use open_cowork_providers::bus::LocalBus;
use open_cowork_providers::store::{SessionKey, ThreadIndexStore};
use open_cowork_providers::time::{Timestamp, iso};
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::Sha256;
use std::sync::Arc;
use std::time::Duration;
use support::{Reply, World, request, world_with};
use tokio_util::sync::CancellationToken;

const ANN: &str = "member@own";

struct Place {
    world: World,
    _folder: tempfile::TempDir,
}

async fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let objects = Arc::new(FolderObjects::open(folder.path()).unwrap());
    let key = SecretString::from("0123456789abcdef0123456789abcdef0123456789abcdef".to_owned());
    let world = world_with(|services| {
        services.objects = Some(objects);
        services.secrets = Arc::new(EnvelopeSecrets::new(&key, &[]));
        services.options.public_url = Some("https://cowork.example.test".into());
        services.options.internal_token = Some("internal-token-of-the-test".to_owned().into());
    })
    .await;
    Place {
        world,
        _folder: folder,
    }
}

impl Place {
    async fn call(&self, method: &str, path: &str, body: Value) -> Reply {
        self.world.call(ANN, method, path, Some(body)).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.world.call(ANN, "GET", path, None).await
    }

    async fn session(&self) -> String {
        let made = self.call("POST", "/api/sessions", json!({})).await;
        made.json()["session"]["sessionId"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    async fn workflow(&self, triggers: Value) -> Value {
        let body = json!({"title": "Report", "instructions": "Write it.", "triggers": triggers});
        let made = self.call("POST", "/api/workflows", body).await;
        assert_eq!(made.status, 201, "{}", made.body);
        made.json()
    }

    async fn hook(&self, id: &str, secret: &str, at: &str, body: &str) -> Reply {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{at}.{body}").as_bytes());
        let hex: String = mac
            .finalize()
            .into_bytes()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        let request = Request::post(format!("/webhooks/workflows/{id}"))
            .header("x-open-cowork-timestamp", at)
            .header("x-open-cowork-signature", format!("sha256={hex}"))
            .body(Body::from(body.to_owned()))
            .unwrap();
        self.world.send(request).await
    }
}

fn id_of(workflow: &Value) -> String {
    workflow["workflow"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_workflow_is_made_run_and_refused_a_second_run() {
    let place = place().await;
    let made = place.workflow(json!([])).await;
    let id = id_of(&made);
    assert_eq!(made["webhookSecretReveal"], Value::Null);
    assert_eq!(made["workflow"]["runs"], json!([]));
    assert_eq!(made["workflow"]["triggers"][0].get("schedule"), None);
    let run = place
        .call(
            "POST",
            &format!("/api/workflows/{id}/run"),
            json!({"triggerPayload": {"a": 1}}),
        )
        .await;
    assert_eq!(run.status, 202, "{}", run.body);
    let run = run.json();
    assert_eq!(run["workflow"]["status"], "running");
    assert_eq!(run["run"]["status"], "running");
    let session = run["sessionId"].as_str().unwrap();
    assert!(session.starts_with("workflow_session_"));
    let run_id = run["run"]["id"].as_str().unwrap();
    assert_eq!(
        run["command"]["commandId"],
        format!("workflow:own:{id}:{run_id}:prompt")
    );
    assert!(
        run["command"]["payload"]["text"]
            .as_str()
            .unwrap()
            .starts_with("Write it.")
    );
    let second = place
        .call("POST", &format!("/api/workflows/{id}/run"), json!({}))
        .await;
    assert_eq!(
        (second.status.as_u16(), second.code().as_str()),
        (409, "resource.conflict")
    );
    let thread = place.get(&format!("/api/sessions/{session}")).await;
    assert_eq!(thread.json()["session"]["title"], "Run Report");
    let list = place.get("/api/workflows").await.json();
    assert_eq!(list["workflows"].as_array().unwrap().len(), 1);
    assert_eq!(list["runs"][0]["id"], run_id);
    assert_eq!(list["nextCursor"], Value::Null);
    for (verb, status) in [
        ("pause", "paused"),
        ("resume", "running"),
        ("archive", "archived"),
    ] {
        let changed = place
            .call("POST", &format!("/api/workflows/{id}/{verb}"), json!({}))
            .await;
        assert_eq!(changed.json()["workflow"]["status"], status);
    }
}

#[tokio::test]
async fn a_repeated_run_with_one_idempotency_key_is_one_run() {
    let place = place().await;
    let id = id_of(&place.workflow(json!([])).await);
    let run = async || {
        let mut request = request(
            ANN,
            "POST",
            &format!("/api/workflows/{id}/run"),
            Some(json!({})),
        );
        request
            .headers_mut()
            .insert("idempotency-key", "k1".parse().unwrap());
        place.world.send(request).await
    };
    let (first, second) = (run().await, run().await);
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (202, 202));
    assert_eq!(first.json()["run"]["id"], second.json()["run"]["id"]);
}

#[tokio::test]
async fn foreign_workflows_are_missing_and_bad_input_is_400() {
    let place = place().await;
    let id = id_of(&place.workflow(json!([])).await);
    for who in ["member@foreign", "owner@foreign"] {
        for (method, path) in [
            ("GET", ""),
            ("POST", "/run"),
            ("POST", "/pause"),
            ("POST", "/resume"),
            ("POST", "/archive"),
            ("POST", "/rotate-webhook-secret"),
        ] {
            let reply = place
                .world
                .call(
                    who,
                    method,
                    &format!("/api/workflows/{id}{path}"),
                    Some(json!({})),
                )
                .await;
            assert_eq!(
                (reply.status.as_u16(), reply.code().as_str()),
                (404, "workflows.not_found"),
                "{path}"
            );
        }
    }
    for body in [
        json!({}),
        json!({"title": "x"}),
        json!({"title": "x".repeat(600), "instructions": "y"}),
        json!({"title": "x", "instructions": "y", "triggers": {}}),
        json!({"title": "x", "instructions": "y", "triggers": [{"type": "cron"}]}),
    ] {
        let reply = place.call("POST", "/api/workflows", body).await;
        assert_eq!(reply.status, 400, "{}", reply.body);
        assert!(!reply.code().is_empty());
    }
    let reply = place
        .call(
            "POST",
            &format!("/api/workflows/{id}/run"),
            json!({"triggerType": "cron"}),
        )
        .await;
    assert_eq!(reply.status, 400);
    let reply = place.get("/api/workflows?cursor=nonsense").await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (400, "workflows.cursor.invalid")
    );
    let folder = json!({"title": "x", "instructions": "y", "projectDirectory": "/etc"});
    assert_eq!(
        place.call("POST", "/api/workflows", folder).await.status,
        403
    );
}

#[tokio::test]
async fn the_schedulers_tick_needs_the_internal_token() {
    let place = place().await;
    let tick = async |who: &str, token: Option<&str>| {
        let mut request = request(
            who,
            "POST",
            "/api/workflows/scheduler/tick",
            Some(json!({})),
        );
        if let Some(token) = token {
            request
                .headers_mut()
                .insert("x-open-cowork-internal-token", token.parse().unwrap());
        }
        place.world.send(request).await
    };
    let token = Some("internal-token-of-the-test");
    assert_eq!(tick(ANN, None).await.status, 403);
    assert_eq!(tick(ANN, Some("wrong")).await.status, 403);
    assert_eq!(
        tick("token:worker-internal@own", None).await.code(),
        "workflows.internal_token_required"
    );
    let reply = tick(ANN, token).await;
    assert_eq!(
        (reply.status.as_u16(), reply.json()),
        (200, json!({"claimed": null, "processed": 0}))
    );
}

#[tokio::test]
async fn a_signed_call_starts_a_run_once() {
    let place = place().await;
    let made = place
        .workflow(json!([{"type": "webhook", "id": "hook"}]))
        .await;
    let (id, reveal) = (id_of(&made), &made["webhookSecretReveal"]);
    let secret = reveal["secret"].as_str().unwrap().to_owned();
    assert_eq!(
        made["workflow"]["webhookUrl"],
        format!("https://cowork.example.test/webhooks/workflows/{id}")
    );
    let read = place.get(&format!("/api/workflows/{id}")).await;
    assert!(!read.body.contains(&secret));
    let now = iso(Timestamp::now());
    let wrong = place.hook(&id, "wrong", &now, "{}").await;
    let unknown = place.hook("nothing", &secret, &now, "{}").await;
    assert_eq!((wrong.status.as_u16(), &wrong.body), (401, &unknown.body));
    let old = iso(Timestamp::now() - Duration::from_secs(400));
    assert_eq!(place.hook(&id, &secret, &old, "{}").await.status, 401);
    assert_eq!(place.hook(&id, &secret, &now, "{broken").await.status, 400);
    let ok = place.hook(&id, &secret, &now, "{\"ticket\": 7}").await;
    assert_eq!(ok.status, 202, "{}", ok.body);
    let run = ok.json();
    assert_eq!(
        (run["ok"].clone(), run["workflowId"].clone()),
        (json!(true), json!(id))
    );
    let shown = place.get(&format!("/api/workflows/{id}")).await.json();
    assert_eq!(
        shown["workflow"]["runs"][0]["triggerPayload"],
        json!({"ticket": 7})
    );
    assert_eq!(shown["workflow"]["runs"][0]["triggerType"], "webhook");
    let replayed = place.hook(&id, &secret, &now, "{\"ticket\": 7}").await;
    assert_eq!(
        (replayed.status.as_u16(), &replayed.body),
        (401, &wrong.body)
    );
    // Another call while the run is under way is told so, and may be sent again.
    for _ in 0..2 {
        let busy = place.hook(&id, &secret, &now, "{\"ticket\": 8}").await;
        assert_eq!(
            (
                busy.status.as_u16(),
                busy.headers.contains_key("retry-after")
            ),
            (409, true),
            "{}",
            busy.body
        );
    }
    let rotated = place
        .call(
            "POST",
            &format!("/api/workflows/{id}/rotate-webhook-secret"),
            json!({}),
        )
        .await;
    assert_ne!(
        rotated.json()["webhookSecretReveal"]["secret"],
        json!(secret)
    );
    assert_eq!(
        place
            .hook(&id, &secret, &now, "{\"ticket\": 9}")
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn failed_calls_back_off_before_anything_is_looked_at() {
    let place = place().await;
    let id = id_of(&place.workflow(json!([{"type": "webhook"}])).await);
    let now = iso(Timestamp::now());
    for _ in 0..5 {
        assert_eq!(place.hook(&id, "wrong", &now, "{}").await.status, 401);
    }
    let blocked = place.hook(&id, "wrong", &now, "{broken").await;
    assert_eq!(
        (blocked.status.as_u16(), blocked.code().as_str()),
        (429, "auth.backoff")
    );
    assert!(blocked.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn tags_are_checked_applied_and_listed() {
    let place = place().await;
    let session = place.session().await;
    for body in [
        json!({}),
        json!({"name": " "}),
        json!({"name": "x".repeat(49)}),
        json!({"name": 3}),
    ] {
        assert_eq!(
            place.call("POST", "/api/threads/tags", body).await.status,
            400
        );
    }
    let made = place
        .call(
            "POST",
            "/api/threads/tags",
            json!({"name": "Urgent", "color": "red"}),
        )
        .await;
    assert_eq!(made.status, 201);
    let tag = made.json()["tag"].clone();
    assert_eq!(tag["color"], "#64748b");
    let id = tag["tagId"].as_str().unwrap();
    let taken = place
        .call("POST", "/api/threads/tags", json!({"name": "URGENT"}))
        .await;
    assert_eq!(taken.status, 409);
    let patched = place
        .call(
            "PATCH",
            &format!("/api/threads/tags/{id}"),
            json!({"color": "#AABBCC"}),
        )
        .await;
    assert_eq!(patched.json()["tag"]["color"], "#aabbcc");
    let apply = format!("/api/threads/tags/{id}/apply");
    let unknown = place
        .call("POST", &apply, json!({"sessionIds": [session, "nothing"]}))
        .await;
    assert_eq!(
        (unknown.status.as_u16(), unknown.code().as_str()),
        (404, "sessions.not_found")
    );
    let many: Vec<String> = (0..501).map(|n| n.to_string()).collect();
    assert_eq!(
        place
            .call("POST", &apply, json!({"sessionIds": many}))
            .await
            .status,
        400
    );
    assert_eq!(
        place
            .call("POST", &apply, json!({"sessionIds": [session]}))
            .await
            .json(),
        json!({"ok": true})
    );
    let listed = place
        .get(&format!("/api/threads?tagIds={id},other"))
        .await
        .json();
    assert_eq!(listed["threads"][0]["sessionId"], json!(session));
    assert_eq!(listed["threads"][0]["tags"][0]["name"], "Urgent");
    let foreign = place
        .world
        .call(
            "member@foreign",
            "PATCH",
            &format!("/api/threads/tags/{id}"),
            Some(json!({"name": "x"})),
        )
        .await;
    assert_eq!(foreign.status, 404);
    let gone = place
        .call("DELETE", &format!("/api/threads/tags/{id}"), json!({}))
        .await;
    assert_eq!(gone.json(), json!({"deleted": true}));
}

#[tokio::test]
async fn stored_filters_are_checked_and_lie_under_a_search() {
    let place = place().await;
    place.session().await;
    for body in [
        json!({"name": "x"}),
        json!({"name": "x".repeat(65), "query": {}}),
        json!({"name": "x", "query": {"text": "y".repeat(17_000)}}),
        json!({"name": "x", "query": []}),
    ] {
        assert_eq!(
            place
                .call("POST", "/api/threads/smart-filters", body)
                .await
                .status,
            400
        );
    }
    let made = place
        .call(
            "POST",
            "/api/threads/smart-filters",
            json!({"name": "Errors", "query": {"statuses": ["error"]}}),
        )
        .await;
    assert_eq!(made.status, 201);
    let id = made.json()["filter"]["filterId"].clone();
    let none = place
        .call("POST", "/api/threads/search", json!({"smartFilterId": id}))
        .await;
    assert_eq!(none.json()["threads"], json!([]));
    let mine = place
        .call(
            "POST",
            "/api/threads/search",
            json!({"smartFilterId": id, "statuses": ["idle"]}),
        )
        .await;
    assert_eq!(mine.json()["threads"].as_array().unwrap().len(), 1);
    let unknown = place
        .call(
            "POST",
            "/api/threads/search",
            json!({"smartFilterId": "nothing"}),
        )
        .await;
    assert_eq!(
        (unknown.status.as_u16(), unknown.code().as_str()),
        (404, "threads.filter_not_found")
    );
}

#[tokio::test]
async fn a_search_finds_what_the_follower_indexed() {
    let place = place().await;
    let session = place.session().await;
    let stop = CancellationToken::new();
    let bus = Arc::new(LocalBus::default());
    let follower = tokio::spawn(follow(place.world.store.clone(), bus, stop.clone()));
    let prompt = json!({"messageId": "m1", "commandId": "c", "text": "Where is the 50% saffron?", "agent": "build"});
    let event = open_cowork_contracts::RuntimeEvent::new(
        open_cowork_contracts::EventType::PromptSubmitted,
        prompt.as_object().cloned().unwrap().into(),
    );
    place
        .world
        .log
        .append(&SessionKey::new("own", session.as_str()), vec![event])
        .await
        .unwrap();
    while place.world.store.index_threads(10).await.unwrap().threads > 0 {}
    let found = place
        .call("POST", "/api/threads/search", json!({"text": "50% saff"}))
        .await
        .json();
    assert_eq!(found["totalEstimate"], 1);
    assert_eq!(found["threads"][0]["sessionId"], json!(session));
    assert_eq!(found["threads"][0]["hit"]["messageId"], "m1");
    let facets = place
        .call("POST", "/api/threads/facets", json!({"text": "saffron"}))
        .await
        .json();
    assert_eq!(
        facets["agents"],
        json!([{"value": "build", "label": "build", "count": 1}])
    );
    let foreign = place
        .world
        .call(
            "member@foreign",
            "POST",
            "/api/threads/search",
            Some(json!({"text": "saffron"})),
        )
        .await;
    assert_eq!(foreign.json()["threads"], json!([]));
    for body in [
        json!({"text": "x".repeat(300)}),
        json!({"sort": "newest"}),
        json!({"statuses": ["asleep"]}),
        json!({"dateRange": {"from": "soon"}}),
        json!({"cursor": "nonsense"}),
    ] {
        let reply = place.call("POST", "/api/threads/search", body).await;
        assert_eq!(reply.status, 400, "{}", reply.body);
    }
    stop.cancel();
    follower.await.unwrap();
}

#[tokio::test]
async fn an_artifact_is_uploaded_read_and_finished() {
    let place = place().await;
    let session = place.session().await;
    let base = format!("/api/sessions/{session}/artifacts");
    let body = json!({"filename": "report.md", "contentType": "text/markdown", "dataBase64": STANDARD.encode("# Hi"), "taskId": "t1"});
    let made = place.call("POST", &base, body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let artifact = made.json()["artifact"].clone();
    let id = artifact["artifactId"].as_str().unwrap();
    assert_eq!(
        (artifact["kind"].as_str(), artifact["status"].as_str()),
        (Some("document"), Some("draft"))
    );
    assert_eq!(
        artifact["filePath"],
        format!("cloud-artifact://{id}/report.md")
    );
    assert_eq!(
        (artifact["workspaceId"].clone(), artifact.get("key")),
        (Value::Null, None)
    );
    let read = place
        .get(&format!("{base}/{id}?transfer=presigned"))
        .await
        .json();
    assert_eq!(read["artifact"]["dataBase64"], STANDARD.encode("# Hi"));
    let view = place.get(&format!("/api/sessions/{session}")).await.json();
    assert_eq!(view["projection"]["view"]["artifacts"][0]["id"], id);
    let status = |status: &str| {
        let body = json!({"status": status, "updatedBy": "ann"});
        let path = format!("{base}/{id}/status");
        let place = &place;
        async move { place.call("POST", &path, body).await }
    };
    assert_eq!(
        status("final").await.json()["artifact"]["statusUpdatedBy"],
        "ann"
    );
    assert_eq!(status("in-review").await.status, 409);
    assert_eq!(status("done").await.status, 400);
    let index = place
        .get("/api/artifacts?taskIds=t1,t2&status=final")
        .await
        .json();
    assert_eq!(
        (index["total"].clone(), index["truncated"].clone()),
        (json!(1), json!(false))
    );
    assert_eq!(index["artifacts"][0]["workspaceId"], "cloud:own");
    assert_eq!(
        place.get(&base).await.json()["artifacts"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    for path in [
        base.clone(),
        format!("{base}/{id}"),
        format!("{base}/{id}/content"),
    ] {
        let foreign = place.world.call("member@foreign", "GET", &path, None).await;
        assert_eq!(foreign.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_bad_upload_is_refused_with_its_field() {
    let place = place().await;
    let session = place.session().await;
    let base = format!("/api/sessions/{session}/artifacts");
    let data = STANDARD.encode("x");
    for filename in [
        "../etc/passwd",
        "a/b",
        "a\\b",
        "..",
        ".",
        "a\u{0}b",
        " ",
        &"x".repeat(257),
    ] {
        let reply = place
            .call(
                "POST",
                &base,
                json!({"filename": filename, "dataBase64": data}),
            )
            .await;
        assert_eq!(reply.status, 400, "{filename:?}: {}", reply.body);
    }
    for change in [
        json!({"dataBase64": "%%%"}),
        json!({"dataBase64": null}),
        json!({"kind": "film"}),
        json!({"status": "done"}),
        json!({"contentType": "no media"}),
        json!({"contentType": "text/html\r\nx: y"}),
        json!({"taskId": "x".repeat(513)}),
        json!({"statusUpdatedAt": "soon"}),
    ] {
        let mut body = json!({"filename": "a.txt", "dataBase64": data});
        body.as_object_mut()
            .unwrap()
            .extend(change.as_object().cloned().unwrap());
        let reply = place.call("POST", &base, body).await;
        assert_eq!(reply.status, 400, "{change}: {}", reply.body);
    }
    let large = STANDARD.encode(vec![0; 25 * 1024 * 1024 + 1]);
    let reply = place
        .call(
            "POST",
            &base,
            json!({"filename": "a.txt", "dataBase64": large}),
        )
        .await;
    assert_eq!(reply.status, 413);
    let reply = place.get("/api/artifacts?kind=film").await;
    assert_eq!(reply.status, 400);
    assert_eq!(place.get(&base).await.json()["artifacts"], json!([]));
    let unsupported = place
        .call("POST", &format!("{base}?transfer=presigned"), json!({}))
        .await;
    assert_eq!(
        unsupported.json(),
        json!({"upload": {"transfer": "unsupported"}})
    );
    let finalize = place
        .call("POST", &format!("{base}/x/finalize"), json!({}))
        .await;
    assert_eq!(finalize.status, 409);
    let abort = place
        .call("POST", &format!("{base}/x/abort"), json!({"reason": "r"}))
        .await;
    assert_eq!(
        abort.json(),
        json!({"upload": {"artifactId": "x", "state": "not_found"}})
    );
}

#[tokio::test]
async fn plain_bytes_go_up_and_come_down_in_ranges() {
    let place = place().await;
    let session = place.session().await;
    let id = uuid::Uuid::new_v4();
    let path = format!("/api/sessions/{session}/artifacts/{id}/content");
    let put = async |path: &str, body: &'static str| {
        let mut put = request(ANN, "PUT", &format!("{path}?filename=a%20b.txt"), None);
        put.headers_mut()
            .insert("content-type", "text/plain".parse().unwrap());
        *put.body_mut() = Body::from(body);
        place.world.send(put).await
    };
    let made = put(&path, "0123456789").await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(put(&path, "0123456789").await.status, 201);
    assert_eq!(put(&path, "other").await.status, 409);
    assert_eq!(
        put(&path.replace(&id.to_string(), "no-uuid"), "x")
            .await
            .status,
        400
    );
    let whole = place.get(&path).await;
    assert_eq!(
        (
            whole.body.as_str(),
            whole.headers["content-type"].to_str().unwrap()
        ),
        ("0123456789", "text/plain")
    );
    assert!(
        whole.headers["content-disposition"]
            .to_str()
            .unwrap()
            .starts_with("attachment")
    );
    let with = async |name: &'static str, value: &str| {
        let mut get = request(ANN, "GET", &path, None);
        get.headers_mut().insert(name, value.parse().unwrap());
        place.world.send(get).await
    };
    let part = with("range", "bytes=2-4").await;
    assert_eq!((part.status.as_u16(), part.body.as_str()), (206, "234"));
    assert_eq!(part.headers["content-range"], "bytes 2-4/10");
    assert_eq!(with("range", "bytes=99-").await.status, 416);
    let tag = whole.headers["etag"].to_str().unwrap().to_owned();
    assert_eq!(with("if-none-match", &tag).await.status, 304);
}

#[tokio::test]
async fn without_storage_an_upload_is_503() {
    let world = world_with(|_| ()).await;
    let made = world.call(ANN, "POST", "/api/sessions", None).await;
    let session = made.json()["session"]["sessionId"]
        .as_str()
        .unwrap()
        .to_owned();
    let body = json!({"filename": "a", "dataBase64": ""});
    let body = {
        let mut body = body;
        body["dataBase64"] = json!("eA==");
        body
    };
    let reply = world
        .call(
            ANN,
            "POST",
            &format!("/api/sessions/{session}/artifacts"),
            Some(body),
        )
        .await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (503, "artifacts.storage_unavailable")
    );
    let hook = json!({"title": "x", "instructions": "y", "triggers": [{"type": "webhook"}]});
    let reply = world.call(ANN, "POST", "/api/workflows", Some(hook)).await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (503, "secrets.unavailable")
    );
}
