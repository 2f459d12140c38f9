//! What the client makes of every kind of answer.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod fake;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use fake::{PASSWORD, serve};
use futures::stream::{self, StreamExt};
use open_cowork_opencode::{
    Client, ClientConfig, Directory, Error, NewSession, OpenCodeRuntime, PermissionRule, Prompt,
    Reply, RuleAction,
};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

fn json_answer(status: u16, body: impl Into<Body>) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json")];
    (StatusCode::from_u16(status).unwrap(), headers, body.into()).into_response()
}

/// Status, content type and body of an answer, and whether an error is what they stand for.
type Case = (u16, &'static str, &'static str, fn(&Error) -> bool);

/// The client loses its connection, instead of the outcome that the test wants.
async fn never_called() -> Response {
    panic!("called")
}

/// What the client says of one canned answer to `GET /session/{id}`.
async fn outcome(status: u16, content_type: &'static str, body: &'static str) -> Error {
    let answer = move || async move {
        (
            StatusCode::from_u16(status).unwrap(),
            [(header::CONTENT_TYPE, content_type)],
            body,
        )
    };
    let fake = serve(Router::new().fallback(answer)).await;
    fake.client().session("ses_1").await.unwrap_err()
}

#[tokio::test]
async fn every_error_shape_becomes_what_the_caller_can_do() {
    const JSON: &str = "application/json";
    let unknown = r#"{"name":"UnknownError","data":{"message":"Unexpected server error.","ref":"err_1a2b3c4d"}}"#;
    let cases: [Case; 17] = [
        (
            404,
            JSON,
            r#"{"name":"NotFoundError","data":{"message":"no"}}"#,
            |e| e.is_not_found(),
        ),
        (
            404,
            JSON,
            r#"{"_tag":"PermissionNotFoundError","message":"m","requestID":"per_1"}"#,
            |e| matches!(e, Error::NotFound { kind, .. } if kind == "PermissionNotFoundError"),
        ),
        (404, JSON, "", |e| e.is_not_found()),
        (
            400,
            JSON,
            r#"{"name":"BadRequest","data":{"message":"Expected string","kind":"Body"}}"#,
            |e| matches!(e, Error::BadRequest { reason, .. } if reason == "Body: Expected string"),
        ),
        (
            400,
            JSON,
            r#"{"_tag":"BadRequest"}"#,
            |e| matches!(e, Error::BadRequest { reason, .. } if reason == "status 400"),
        ),
        (
            400,
            JSON,
            r#"{"_tag":"InvalidRequestError","message":"m","kind":"Query","field":"limit"}"#,
            |e| matches!(e, Error::BadRequest { reason, .. } if reason == "Query: limit: m"),
        ),
        (
            400,
            JSON,
            r#"{"error":"no OAuth"}"#,
            |e| matches!(e, Error::BadRequest { reason, .. } if reason == "no OAuth"),
        ),
        (415, "text/plain", "Unsupported content-type: text/x", |e| {
            matches!(e, Error::BadRequest { .. })
        }),
        (
            409,
            JSON,
            r#"{"_tag":"SessionBusyError","message":"m","sessionID":"ses_1"}"#,
            |e| matches!(e, Error::Busy { .. }),
        ),
        (
            409,
            JSON,
            r#"{"_tag":"ConflictError","message":"m","resource":"r"}"#,
            |e| matches!(e, Error::Conflict { .. }),
        ),
        (
            503,
            JSON,
            r#"{"_tag":"ServiceUnavailableError","message":"m","service":"session.wait"}"#,
            |e| matches!(e, Error::Unavailable { service, .. } if service == "session.wait"),
        ),
        (
            500,
            JSON,
            unknown,
            |e| matches!(e, Error::Server { status: 500, reference: Some(r), .. } if r == "err_1a2b3c4d"),
        ),
        (502, "text/plain", "gateway", |e| {
            matches!(
                e,
                Error::Server {
                    status: 502,
                    reference: None,
                    ..
                }
            )
        }),
        (401, "text/plain", "", |e| {
            matches!(e, Error::Unauthorized { .. })
        }),
        (
            401,
            JSON,
            r#"{"_tag":"UnauthorizedError","message":"m"}"#,
            |e| matches!(e, Error::Unauthorized { .. }),
        ),
        (200, "text/html; charset=utf-8", "<html>", |e| {
            matches!(e, Error::RouteMissing { .. })
        }),
        (302, "text/plain", "", |e| {
            matches!(e, Error::BadAnswer { .. })
        }),
    ];
    for (status, content_type, body, wanted) in cases {
        let error = outcome(status, content_type, body).await;
        assert!(wanted(&error), "{status} {body}: {error:?}");
        assert!(error.to_string().contains("GET /session/ses_1"), "{error}");
    }
}

#[tokio::test]
async fn a_broken_configuration_is_named_without_its_text_which_may_hold_keys() {
    let body = r#"{"name":"ConfigJsonError","data":{"path":"/config","message":"{ \"apiKey\": \"sk-secret\" "}}"#;
    let error = outcome(400, "application/json", body).await;
    assert!(matches!(&error, Error::Misconfigured { kind, .. } if kind == "ConfigJsonError"));
    assert!(!format!("{error} {error:?}").contains("sk-secret"));
}

#[tokio::test]
async fn answers_of_another_kind_or_shape_are_refused_without_repeating_them() {
    for (status, content_type, body) in [
        (200, "text/plain", "secret"),
        (200, "application/json", "secret"),
        (200, "application/json", r#"{"id":["secret"]}"#),
        (200, "application/json", r#"{"id":"ses_1""#),
        (204, "", ""),
    ] {
        let error = outcome(status, content_type, body).await;
        assert!(
            matches!(error, Error::BadAnswer { .. }),
            "{body}: {error:?}"
        );
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}

#[tokio::test]
async fn an_answer_above_the_limit_is_not_read_to_its_end_with_or_without_a_declared_length() {
    let declared = || async { json_answer(200, vec![b' '; 4096]) };
    let endless = || async {
        json_answer(
            200,
            Body::from_stream(stream::repeat(Ok::<_, Infallible>(Bytes::from_static(
                &[b' '; 512],
            )))),
        )
    };
    let router = Router::new()
        .route("/session/ses_declared", get(declared))
        .route("/session/ses_endless", get(endless));
    let fake = serve(router).await;
    let client = fake.limited(|limits| limits.history = 2048);
    for id in ["ses_declared", "ses_endless"] {
        let error = client.session(id).await.unwrap_err();
        assert!(
            matches!(error, Error::AnswerTooLarge { limit: 2048, .. }),
            "{id}: {error:?}"
        );
    }
}

#[tokio::test]
async fn the_deadline_covers_headers_and_every_byte_of_the_body() {
    let no_headers = || std::future::pending::<Response>();
    let no_end = || async {
        let begun = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"{"))]);
        json_answer(200, Body::from_stream(begun.chain(stream::pending())))
    };
    let router = Router::new()
        .route("/session/ses_headers", get(no_headers))
        .route("/session/ses_body", get(no_end));
    let fake = serve(router).await;
    for id in ["ses_headers", "ses_body"] {
        let error = fake.impatient().session(id).await.unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{id}: {error:?}");
        assert!(error.is_connection());
    }
}

#[tokio::test]
async fn a_dead_port_and_a_cut_answer_are_unreachable() {
    let cut = || async {
        let parts = [
            Ok(Bytes::from_static(b"{\"id\":")),
            Err(std::io::Error::other("cut")),
        ];
        json_answer(200, Body::from_stream(stream::iter(parts)))
    };
    let fake = serve(Router::new().route("/session/{id}", get(cut))).await;
    let error = fake.client().session("ses_1").await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let client = Client::new(ClientConfig::new(
        format!("http://{free}"),
        PASSWORD.to_owned().into(),
    ))
    .unwrap();
    let error = client.health().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(!format!("{error:?}").contains(PASSWORD));
}

#[tokio::test]
async fn a_request_above_the_limit_is_refused_before_it_is_sent() {
    let fake = serve(Router::new().fallback(|| async { StatusCode::NO_CONTENT })).await;
    let client = fake.limited(|limits| limits.request = 1000);
    client
        .prompt_async("ses_1", Prompt::text("msg_1", "x".repeat(800)))
        .await
        .unwrap();
    let error = client
        .prompt_async("ses_1", Prompt::text("msg_1", "x".repeat(1001)))
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::TooLarge { limit: 1000, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_id_that_opencode_cannot_have_made_is_not_found_without_a_call() {
    let fake = serve(Router::new().fallback(never_called)).await;
    let client = fake.client();
    for id in [
        "",
        "abc",
        "ses_1/../../config",
        "ses_é",
        "ses_ 1",
        "ses_1?x",
    ] {
        assert!(client.session(id).await.unwrap_err().is_not_found(), "{id}");
    }
    assert_eq!(client.message("ses_1", "prt_1").await.unwrap(), None);
    let error = client
        .prompt_async("ses_1", Prompt::text("cmd_1", "x"))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::BadRequest { .. }), "{error:?}");
}

type Seen = Arc<Mutex<Vec<(String, Option<String>, Value)>>>;

/// Remembers `METHOD path?query`, the authorization and the body; answers `true`.
async fn remember(State(seen): State<Seen>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let authorization = parts
        .headers
        .get(header::AUTHORIZATION)
        .map(|value| value.to_str().unwrap().to_owned());
    let route = format!("{} {}", parts.method, parts.uri);
    seen.lock().unwrap().push((
        route,
        authorization,
        serde_json::from_slice(&body).unwrap_or_default(),
    ));
    json_answer(200, "true")
}

#[tokio::test]
async fn calls_say_who_we_are_and_which_directory_even_with_an_odd_name() {
    let seen = Seen::default();
    let fake = serve(
        Router::new()
            .fallback(any(remember))
            .with_state(Arc::clone(&seen)),
    )
    .await;
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("ein Ordner & ü+?#%");
    std::fs::create_dir(&odd).unwrap();
    let directory = Directory::open(&odd).unwrap();
    let client = fake.client();
    client
        .reply_permission(&directory, "per_1", Reply::Once)
        .await
        .unwrap();
    client
        .reply_permission(&directory, "per_1", Reply::Reject { message: None })
        .await
        .unwrap();
    client
        .reply_permission(
            &directory,
            "per_1",
            Reply::Reject {
                message: Some("no".into()),
            },
        )
        .await
        .unwrap();
    client
        .reply_question(&directory, "que_1", vec![vec!["Blue".into()], vec![]])
        .await
        .unwrap();
    client.reject_question(&directory, "que_1").await.unwrap();
    let seen = seen.lock().unwrap();
    let basic = "Basic b3BlbmNvZGU6Y29ycmVjdCBob3JzZQ==";
    assert!(
        seen.iter()
            .all(|(_, authorization, _)| authorization.as_deref() == Some(basic))
    );
    for (route, ..) in seen.iter() {
        let url =
            reqwest::Url::parse(&format!("http://h{}", route.split_once(' ').unwrap().1)).unwrap();
        let selected: HashMap<_, _> = url.query_pairs().collect();
        assert_eq!(selected["directory"], directory.as_str(), "{route}");
    }
    let bodies: Vec<&Value> = seen.iter().map(|(.., body)| body).collect();
    let wanted = [
        json!({ "reply": "once" }),
        json!({ "reply": "reject" }),
        json!({ "reply": "reject", "message": "no" }),
        json!({ "answers": [["Blue"], []] }),
        Value::Null,
    ];
    assert_eq!(bodies, wanted.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_prompt_and_a_new_session_travel_as_the_contract_says() {
    let seen = Seen::default();
    let fake = serve(
        Router::new()
            .fallback(any(remember))
            .with_state(Arc::clone(&seen)),
    )
    .await;
    let client = fake.client();
    let folder = tempfile::tempdir().unwrap();
    let directory = Directory::open(folder.path()).unwrap();
    let rule = PermissionRule {
        permission: "bash".into(),
        pattern: "*".into(),
        action: RuleAction::Ask,
    };
    let new = NewSession {
        title: Some("T".into()),
        permission: vec![rule],
        parent: Some("ses_0".into()),
        agent: None,
    };
    // The fake answers neither a session nor 204.
    assert!(matches!(
        client.create_session(&directory, new).await,
        Err(Error::BadAnswer { .. })
    ));
    let prompt = Prompt {
        message_id: "msg_1".into(),
        texts: vec!["one".into(), "two".into()],
        agent: Some("build".into()),
        model: Some(open_cowork_opencode::ModelChoice {
            provider: "p".into(),
            model: "m".into(),
        }),
        system: Some("be brief".into()),
    };
    assert!(matches!(
        client.prompt_async("ses_1", prompt).await,
        Err(Error::BadAnswer { .. })
    ));
    let seen = seen.lock().unwrap();
    let permission = json!([{ "permission": "bash", "pattern": "*", "action": "ask" }]);
    assert_eq!(
        seen[0].2,
        json!({ "title": "T", "permission": permission, "parentID": "ses_0" })
    );
    assert!(seen[1].0.starts_with("POST /session/ses_1/prompt_async"));
    let parts = json!([{ "type": "text", "text": "one" }, { "type": "text", "text": "two" }]);
    let model = json!({ "providerID": "p", "modelID": "m" });
    let body = json!({ "messageID": "msg_1", "parts": parts, "agent": "build", "model": model, "system": "be brief" });
    assert_eq!(seen[1].2, body);
}

#[tokio::test]
async fn the_probe_for_authentication_sends_no_credentials() {
    let guarded = |request: Request| async move {
        match request.headers().contains_key(header::AUTHORIZATION) {
            true => panic!("credentials were sent"),
            false => StatusCode::UNAUTHORIZED,
        }
    };
    let fake = serve(Router::new().route("/global/health", get(guarded))).await;
    assert!(fake.client().rejects_unauthenticated().await.unwrap());
    let open = || async { json_answer(200, r#"{"healthy":true,"version":"1.18.33"}"#) };
    let fake = serve(Router::new().route("/global/health", get(open))).await;
    assert!(!fake.client().rejects_unauthenticated().await.unwrap());
}

fn message(number: usize, text: &str) -> Value {
    let ids = json!({ "id": format!("msg_{number}"), "sessionID": "ses_1" });
    let mut info = ids.clone();
    info["role"] = json!("user");
    info["time"] = json!({ "created": number });
    let part = json!({ "id": "prt_1", "sessionID": "ses_1", "messageID": ids["id"], "type": "text", "text": text });
    json!({ "info": info, "parts": [part] })
}

/// A history as OpenCode pages it: `limit` gives the last messages before `before`.
fn history(messages: Vec<Value>, largest_page: usize) -> Router {
    let page = move |Query(query): Query<HashMap<String, String>>| async move {
        let end = query.get("before").map_or(messages.len(), |cursor| {
            cursor.strip_prefix("c=").unwrap().parse().unwrap()
        });
        let limit: usize = query["limit"].parse().unwrap();
        assert!(limit <= largest_page, "page of {limit}");
        let start = end.saturating_sub(limit);
        let mut response = json_answer(200, Value::from(messages[start..end].to_vec()).to_string());
        if start > 0 {
            response
                .headers_mut()
                .insert("x-next-cursor", format!("c={start}").parse().unwrap());
        }
        response
    };
    Router::new().route("/session/ses_1/message", get(page))
}

#[tokio::test]
async fn a_long_history_is_read_in_pages_and_comes_out_in_order() {
    let wanted: Vec<Value> = (0..1003).map(|number| message(number, "hello")).collect();
    let fake = serve(history(wanted.clone(), 200)).await;
    let messages = fake.client().messages("ses_1").await.unwrap();
    assert_eq!(serde_json::to_value(messages).unwrap(), Value::from(wanted));
    let page = fake.client().messages_page("ses_1", 3, None).await.unwrap();
    assert_eq!(page.messages[0].info.id, "msg_1000");
    let older = fake
        .client()
        .messages_page("ses_1", 3, page.before.as_deref())
        .await
        .unwrap();
    assert_eq!(older.messages[2].info.id, "msg_999");
}

#[tokio::test]
async fn a_page_that_is_too_large_is_read_again_in_smaller_pages() {
    let wanted: Vec<Value> = (0..40)
        .map(|number| message(number, &"x".repeat(1000)))
        .collect();
    let fake = serve(history(wanted.clone(), 200)).await;
    let messages = fake
        .limited(|limits| limits.history = 6000)
        .messages("ses_1")
        .await
        .unwrap();
    assert_eq!(serde_json::to_value(messages).unwrap(), Value::from(wanted));
    let error = fake
        .limited(|limits| limits.history = 600)
        .messages("ses_1")
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::AnswerTooLarge { limit: 600, .. }),
        "{error:?}"
    );
    let error = fake
        .limited(|limits| limits.history_total = 6000)
        .messages("ses_1")
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::AnswerTooLarge { limit: 6000, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_cursor_that_repeats_ends_the_reading_with_an_error() {
    let again = || async {
        let mut response = json_answer(200, Value::from(vec![message(1, "hello")]).to_string());
        response
            .headers_mut()
            .insert("x-next-cursor", "same".parse().unwrap());
        response
    };
    let fake = serve(Router::new().route("/session/ses_1/message", get(again))).await;
    let error = fake.client().messages("ses_1").await.unwrap_err();
    assert!(
        matches!(&error, Error::BadAnswer { reason, .. } if reason.contains("cursor")),
        "{error:?}"
    );
}

#[tokio::test]
async fn lone_surrogates_in_a_history_are_decoded() {
    let body = message(1, "SURROGATE")
        .to_string()
        .replace("SURROGATE", r"half \ud83d");
    let answer = move |Path(_): Path<String>| async move { json_answer(200, body) };
    let fake = serve(Router::new().route("/session/ses_1/message/{id}", get(answer))).await;
    let message = fake
        .client()
        .message("ses_1", "msg_1")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        serde_json::to_value(&message.parts[0]).unwrap()["text"],
        "half \u{fffd}"
    );
}

#[tokio::test]
async fn sessions_of_other_directories_are_left_out_of_a_listing() {
    let folder = tempfile::tempdir().unwrap();
    let directory = Directory::open(folder.path()).unwrap();
    let sessions = json!([
        { "id": "ses_1", "directory": directory.as_str() },
        { "id": "ses_2", "directory": "/elsewhere" },
        { "id": "ses_3", "directory": format!("{directory}/below") },
    ]);
    let answer = move || async move { json_answer(200, sessions.to_string()) };
    let fake = serve(Router::new().route("/session", get(answer))).await;
    let listed = fake.client().sessions(&directory).await.unwrap();
    assert_eq!(
        listed
            .iter()
            .map(|session| session.id.as_str())
            .collect::<Vec<_>>(),
        ["ses_1"]
    );
}

#[tokio::test]
async fn provider_keys_never_leave_the_client() {
    let body = json!({
        "providers": [{ "id": "acme", "name": "Acme", "key": "sk-secret", "options": { "apiKey": "sk-secret" },
            "models": { "m1": { "name": "One", "headers": { "authorization": "sk-secret" } } } }],
        "default": { "acme": "m1" },
    });
    let answer = move || async move { json_answer(200, body.to_string()) };
    let fake = serve(Router::new().route("/config/providers", get(answer))).await;
    let directory = Directory::open("/").unwrap();
    let providers = fake.client().providers(&directory).await.unwrap();
    assert_eq!(providers.providers[0].models[0].id, "m1");
    assert_eq!(providers.default["acme"], "m1");
    assert!(!format!("{providers:?}").contains("sk-secret"));
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_our_password() {
    let elsewhere = || async { (StatusCode::FOUND, [(header::LOCATION, "/stolen")]) };
    let router = Router::new()
        .route("/session/ses_1/abort", post(elsewhere))
        .route("/stolen", any(never_called));
    let fake = serve(router).await;
    assert!(matches!(
        fake.client().abort("ses_1").await,
        Err(Error::BadAnswer { .. })
    ));
}
