//! A workbench behind a program that signs people in: whose forms count, and under which addresses.

use crate::support::Fake;
use crate::visitor::text;
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode, header};
use open_cowork_workbench::{Access, Options, SignOut, SignedIn, router};
use std::sync::Arc;
use tower::ServiceExt;

const ORIGIN: &str = "https://cowork.example.com";

fn behind(fake: Arc<Fake>, key: &[u8]) -> Router {
    let mut options = Options::new(Access::signed_in([ORIGIN.to_owned()]));
    options.form_key = Some(key.into());
    options.folders = false;
    options.managed_keys = true;
    router(fake, options)
}

fn person(session: &str) -> SignedIn {
    SignedIn {
        session: session.to_owned(),
        account: Some("ada@example.com".to_owned()),
        can_sign_out: true,
    }
}

async fn send(app: &Router, mut request: Request<Body>, who: Option<SignedIn>) -> Response<Body> {
    if let Some(who) = who {
        request.extensions_mut().insert(who);
    }
    app.clone().oneshot(request).await.unwrap()
}

fn get(path: &str, host: &str) -> Request<Body> {
    Request::get(path)
        .header(header::HOST, host)
        .body(Body::empty())
        .unwrap()
}

fn post(path: &str, csrf: &str, origin: &str) -> Request<Body> {
    Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::HOST, "cowork.example.com")
        .header(header::ORIGIN, origin)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(format!("csrf={csrf}&text=Hello")))
        .unwrap()
}

async fn token(app: &Router, session: &str) -> String {
    let response = send(app, get("/", "cowork.example.com"), Some(person(session))).await;
    assert_eq!(response.status(), StatusCode::OK);
    let page = text(response).await;
    let mark = "name=\"csrf\" value=\"";
    let start = page.find(mark).unwrap() + mark.len();
    page[start..].split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn who_was_not_signed_in_sees_nothing_and_no_start_token_helps() {
    let fake = Fake::new();
    fake.thread("t1", "A secret plan");
    let app = behind(fake, b"key");
    for path in [
        "/",
        "/?token=",
        "/chats/t1",
        "/settings",
        "/chats/t1/events",
    ] {
        let response = send(&app, get(path, "cowork.example.com"), None).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{path}");
        assert!(response.headers().get(header::SET_COOKIE).is_none());
        let page = text(response).await;
        assert!(
            page.contains("signed in") && !page.contains("secret plan"),
            "{page}"
        );
    }
}

#[tokio::test]
async fn the_page_answers_under_its_own_address_only() {
    let app = behind(Fake::new(), b"key");
    for host in ["evil.example", "cowork.example.com:8443", ""] {
        let response = send(&app, get("/", host), Some(person("s"))).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{host}");
    }
    let response = send(&app, get("/", "COWORK.example.com"), Some(person("s"))).await;
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_form_counts_only_for_its_own_session_and_from_its_own_page() {
    let fake = Fake::new();
    let app = behind(fake.clone(), b"key");
    let (ada, eve) = (token(&app, "ada").await, token(&app, "eve").await);
    assert_ne!(ada, eve);
    let refused = [
        (post("/chats", &eve, ORIGIN), "somebody else's"),
        (post("/chats", "", ORIGIN), "none"),
        (
            post("/chats", &ada, "https://evil.example"),
            "another page's",
        ),
        (
            post("/chats", &ada, "http://cowork.example.com"),
            "the unencrypted page's",
        ),
        (post("/chats", &ada, "null"), "nobody's"),
    ];
    for (request, whose) in refused {
        let response = send(&app, request, Some(person("ada"))).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{whose}");
    }
    assert!(fake.state().calls.is_empty());
    let response = send(&app, post("/chats", &ada, ORIGIN), Some(person("ada"))).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert!(!fake.state().calls.is_empty());
}

#[tokio::test]
async fn processes_with_one_key_take_each_other_s_forms() {
    let (one, two) = (behind(Fake::new(), b"key"), behind(Fake::new(), b"key"));
    assert_eq!(token(&one, "ada").await, token(&two, "ada").await);
    let other = behind(Fake::new(), b"another key");
    assert_ne!(token(&one, "ada").await, token(&other, "ada").await);
}

#[tokio::test]
async fn signing_out_is_a_form_that_the_program_in_front_hears_of() {
    let app = behind(Fake::new(), b"key");
    let page = text(send(&app, get("/", "cowork.example.com"), Some(person("ada"))).await).await;
    assert!(page.contains("ada@example.com") && page.contains("Sign out"));
    let csrf = token(&app, "ada").await;
    let forged = send(&app, post("/sign-out", "x", ORIGIN), Some(person("ada"))).await;
    assert_eq!(forged.extensions().get::<SignOut>(), None);
    let response = send(&app, post("/sign-out", &csrf, ORIGIN), Some(person("ada"))).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(response.extensions().get::<SignOut>(), Some(&SignOut));
    let without = SignedIn {
        can_sign_out: false,
        account: None,
        ..person("ada")
    };
    let page = text(send(&app, get("/", "cowork.example.com"), Some(without)).await).await;
    assert!(!page.contains("Sign out"));
}

#[tokio::test]
async fn a_managed_workspace_asks_for_no_folder_and_keeps_keys_for_all() {
    let fake = Fake::new();
    fake.state().overview.configured = false;
    let app = behind(fake, b"key");
    let page = text(send(&app, get("/", "cowork.example.com"), Some(person("s"))).await).await;
    assert!(!page.contains("name=\"directory\"") && page.contains("it is kept encrypted"));
    let page = text(
        send(
            &app,
            get("/settings", "cowork.example.com"),
            Some(person("s")),
        )
        .await,
    )
    .await;
    assert!(page.contains("Provider keys") && page.contains("name=\"key\""));
    assert!(!page.contains("name=\"model\"") && !page.contains("base_url"));
}
