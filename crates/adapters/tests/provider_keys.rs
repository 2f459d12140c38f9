//! Provider keys against providers on this machine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // in functions beside the tests too

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use open_cowork_adapters::provider_keys::{Endpoint, ProviderKeys, Style};
use open_cowork_providers::byok::{KeyValidator as _, KeyVerdict};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

const KEY: &str = "canary-key-0123456789";

/// What a provider was asked.
#[derive(Clone, Debug, Default)]
struct Asked(Arc<Mutex<Vec<(String, HeaderMap)>>>);

async fn answer(State(asked): State<Asked>, uri: Uri, headers: HeaderMap) -> Response {
    let bearer = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let own = headers
        .get("x-api-key")
        .and_then(|value| value.to_str().ok());
    let knows = bearer == Some(&format!("Bearer {KEY}")) || own == Some(KEY);
    asked
        .0
        .lock()
        .unwrap()
        .push((uri.path().to_owned(), headers));
    match uri.path() {
        "/away/models" => Redirect::temporary("/v1/models").into_response(),
        "/broken/models" => (StatusCode::BAD_GATEWAY, "no").into_response(),
        "/none/models" => StatusCode::NOT_FOUND.into_response(),
        _ if knows => "{\"data\":[]}".into_response(),
        _ => (StatusCode::UNAUTHORIZED, format!("{{\"error\":\"{KEY}\"}}")).into_response(),
    }
}

async fn provider() -> (String, Asked) {
    let asked = Asked::default();
    let router = Router::new().fallback(answer).with_state(asked.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, asked)
}

fn keys(style: Style, base: &str) -> ProviderKeys {
    ProviderKeys::default().with("acme", Endpoint::new(style, base).unwrap())
}

#[tokio::test]
async fn a_key_is_asked_about_in_the_way_of_its_provider() {
    let (address, asked) = provider().await;
    let base = format!("{address}/v1");
    for (style, path, header) in [
        (Style::OpenAi, "/v1/models", "authorization"),
        (Style::Anthropic, "/v1/models", "x-api-key"),
        (Style::OpenRouter, "/v1/key", "authorization"),
    ] {
        let keys = keys(style, &base);
        assert!(keys.knows("acme") && keys.knows("anthropic") && !keys.knows("other"));
        assert_eq!(keys.validate("acme", &KEY.into()).await, KeyVerdict::Valid);
        let (at, headers) = asked.0.lock().unwrap().pop().unwrap();
        assert_eq!(at, path);
        assert!(headers.contains_key(header));
        assert_eq!(
            headers.contains_key("anthropic-version"),
            style == Style::Anthropic
        );
        let wrong = keys.validate("acme", &"another".into()).await;
        assert!(matches!(&wrong, KeyVerdict::Invalid(_)), "{wrong:?}");
        assert!(!format!("{wrong:?} {keys:?}").contains("canary"));
    }
}

#[tokio::test]
async fn a_key_follows_no_redirect() {
    let (address, asked) = provider().await;
    let keys = keys(Style::OpenAi, &format!("{address}/away"));
    assert_eq!(
        keys.validate("acme", &KEY.into()).await,
        KeyVerdict::Unknown
    );
    let paths: Vec<String> = asked
        .0
        .lock()
        .unwrap()
        .iter()
        .map(|(path, _)| path.clone())
        .collect();
    assert_eq!(paths, ["/away/models"]);
}

#[tokio::test]
async fn a_provider_that_fails_says_nothing_about_a_key() {
    let (address, _) = provider().await;
    for place in ["/broken", "/none"] {
        let keys = keys(Style::OpenAi, &format!("{address}{place}"));
        assert_eq!(
            keys.validate("acme", &KEY.into()).await,
            KeyVerdict::Unknown
        );
    }
    // A port that nobody listens on, and a provider that nobody described.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let keys = keys(Style::OpenAi, &gone);
    assert_eq!(
        keys.validate("acme", &KEY.into()).await,
        KeyVerdict::Unknown
    );
    assert_eq!(
        keys.validate("other", &KEY.into()).await,
        KeyVerdict::Unknown
    );
}

#[tokio::test]
async fn a_key_that_is_no_header_says_nothing_and_is_in_no_message() {
    let (address, asked) = provider().await;
    let keys = keys(Style::Anthropic, &address);
    let verdict = keys.validate("acme", &"canary\nkey".into()).await;
    assert!(!format!("{verdict:?}").contains("canary"));
    assert!(asked.0.lock().unwrap().is_empty());
}

/// One that accepts and never answers.
#[tokio::test]
async fn a_silent_provider_is_waited_for_a_few_seconds_only() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let keys = keys(Style::OpenAi, &address);
    let begun = std::time::Instant::now();
    assert_eq!(
        keys.validate("acme", &KEY.into()).await,
        KeyVerdict::Unknown
    );
    assert!(begun.elapsed() < std::time::Duration::from_secs(15));
}
