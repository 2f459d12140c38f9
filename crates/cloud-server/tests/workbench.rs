//! The workbench over a real store: whose threads it shows, whose forms count, and when its streams end.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may fail loudly

mod support;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode, header};
use futures::StreamExt as _;
use http_body_util::BodyExt as _;
use open_cowork_cloud_server::pipeline::{Surfaces, router};
use open_cowork_cloud_server::workbench::{self, Look, WorkbenchOptions};
use open_cowork_config::load::load;
use open_cowork_config::source::{Sources, Surface};
use open_cowork_contracts::TenantId;
use open_cowork_providers::bus::Topic;
use std::sync::Arc;
use support::{World, world_with};
use tower::ServiceExt as _;

const HOST: &str = "127.0.0.1:8787";

struct Site {
    world: World,
    router: Router,
}

impl Site {
    async fn new() -> Site {
        let world = world_with(|_| ()).await;
        let config = load(&Sources::new(Surface::Cloud))
            .unwrap()
            .config()
            .clone();
        let options = WorkbenchOptions {
            origins: vec![format!("http://{HOST}")],
            form_key: None,
            look: Look::default(),
            config: Arc::new(config),
        };
        let surfaces = Surfaces {
            workbench: Some(workbench::router(world.cloud.clone(), options)),
            renderer: None,
        };
        Site {
            router: router(world.cloud.clone(), surfaces),
            world,
        }
    }

    async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn get(&self, who: &str, path: &str) -> Response<Body> {
        let request = Request::get(path)
            .header(header::HOST, HOST)
            .header("x-test-principal", who);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn page(&self, who: &str, path: &str) -> String {
        let response = self.get(who, path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        text(response).await
    }

    async fn submit(&self, who: &str, path: &str, fields: &str) -> Response<Body> {
        let csrf = self.token(who).await;
        let request = Request::post(path)
            .header(header::HOST, HOST)
            .header(header::ORIGIN, format!("http://{HOST}"))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("x-test-principal", who)
            .body(Body::from(format!("csrf={csrf}&{fields}")));
        self.send(request.unwrap()).await
    }

    async fn token(&self, who: &str) -> String {
        let page = self.page(who, "/").await;
        let mark = "name=\"csrf\" value=\"";
        let start = page.find(mark).unwrap() + mark.len();
        page[start..].split('"').next().unwrap().to_owned()
    }

    /// Starts a chat; its path.
    async fn chat(&self, who: &str, text: &str) -> String {
        let response = self.submit(who, "/chats", &format!("text={text}")).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        response.headers()[header::LOCATION]
            .to_str()
            .unwrap()
            .to_owned()
    }

    async fn commands(&self, who: &str, chat: &str) -> usize {
        let session = chat.rsplit('/').next().unwrap();
        let path = format!("/api/sessions/{session}");
        assert_eq!(
            self.world.call(who, "GET", &path, None).await.status,
            StatusCode::OK
        );
        let runnable = self
            .world
            .cloud
            .store
            .runnable_scopes("nobody", 100, self.world.cloud.now())
            .await
            .unwrap();
        runnable.scopes.len()
    }
}

async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn everybody_sees_their_own_chats_and_nobody_another_s() {
    let site = Site::new().await;
    let chat = site.chat("owner@acme", "Plan+the+launch").await;
    assert_eq!(
        site.commands("owner@acme", &chat).await,
        1,
        "the prompt waits for a worker"
    );
    assert!(site.page("owner@acme", "/chats").await.contains(&chat));
    for stranger in ["owner@globex", "member@globex"] {
        assert!(!site.page(stranger, "/chats").await.contains(&chat));
        for path in [chat.clone(), format!("{chat}/events?after=0")] {
            let response = site.get(stranger, &path).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        }
        for path in ["prompt", "stop", "rename"] {
            let response = site
                .submit(stranger, &format!("{chat}/{path}"), "text=x&title=x")
                .await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }
}

#[tokio::test]
async fn the_pages_are_under_the_same_policy_as_the_api() {
    let site = Site::new().await;
    for kind in [
        "worker@acme",
        "token:gateway@acme",
        "webhook@acme",
        "billing@acme",
    ] {
        let response = site.get(kind, "/").await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{kind}");
    }
    assert_eq!(
        site.get("nobody@acme", "/").await.status(),
        StatusCode::UNAUTHORIZED
    );
    assert!(
        site.world.principals.admitted.lock().unwrap().is_empty(),
        "a denied visit makes nothing"
    );
    // A member may chat, but keys are for administrators.
    assert_eq!(site.get("member@acme", "/").await.status(), StatusCode::OK);
    assert_eq!(
        site.get("member@acme", "/settings").await.status(),
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        site.get("owner@acme", "/settings").await.status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_form_that_is_sent_twice_prompts_once() {
    let site = Site::new().await;
    let chat = site.chat("owner@acme", "Hello").await;
    let session = chat.rsplit('/').next().unwrap().to_owned();
    for _ in 0..2 {
        let sent = site
            .submit("owner@acme", &format!("{chat}/prompt"), "text=Once&key=k1")
            .await;
        assert_eq!(sent.status(), StatusCode::SEE_OTHER);
    }
    let scope = open_cowork_providers::store::Scope::new("acme", "user-acme");
    let store = &site.world.cloud.store;
    let work = store
        .sessions_with_work(&scope, site.world.cloud.now())
        .await
        .unwrap();
    assert_eq!(work.len(), 1);
    assert_eq!(work[0].session_id.as_str(), session);
    let queued = site
        .submit("owner@acme", &format!("{chat}/prompt"), "text=Other&key=k1")
        .await;
    assert_eq!(
        queued.status(),
        StatusCode::CONFLICT,
        "one key is one prompt"
    );
}

#[tokio::test]
async fn a_new_name_is_on_every_page() {
    let site = Site::new().await;
    let chat = site.chat("owner@acme", "Hello").await;
    let renamed = site
        .submit("owner@acme", &format!("{chat}/rename"), "title=The+plan")
        .await;
    assert_eq!(renamed.status(), StatusCode::SEE_OTHER);
    assert!(site.page("owner@acme", "/chats").await.contains("The plan"));
    assert!(site.page("owner@acme", &chat).await.contains("The plan"));
}

#[tokio::test]
async fn a_stream_ends_when_its_credential_does() {
    let site = Site::new().await;
    let chat = site.chat("owner@acme", "Hello").await;
    let response = site
        .get("owner@acme", &format!("{chat}/events?after=0"))
        .await;
    assert_eq!(response.status(), StatusCode::OK);
    let mut stream = response.into_body().into_data_stream();
    assert!(stream.next().await.is_some());
    // Somebody else's credentials change: it goes on.
    site.world
        .principals
        .revoked
        .lock()
        .unwrap()
        .insert("owner@globex".into());
    let tenant = |name: &str| Topic::Credentials(TenantId::new(name));
    site.world.cloud.bus.publish(tenant("globex"));
    site.submit("owner@acme", &format!("{chat}/rename"), "title=Still+here")
        .await;
    let seen = stream.next().await.unwrap().unwrap();
    assert!(!seen.is_empty());
    site.world
        .principals
        .revoked
        .lock()
        .unwrap()
        .insert("owner@acme".into());
    site.world.cloud.bus.publish(tenant("acme"));
    let rest = tokio::time::timeout(
        std::time::Duration::from_secs(10),
        futures::StreamExt::collect::<Vec<_>>(stream),
    );
    rest.await.expect("the stream ends");
}

#[tokio::test]
async fn health_is_readiness_in_words() {
    let site = Site::new().await;
    let page = site.page("owner@acme", "/health").await;
    assert!(
        page.contains("Records") && page.contains("Secrets"),
        "{page}"
    );
}
