//! The browser launcher on a small page of our own.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use open_cowork_testkit::browser::{Browser, BrowserOptions, Locator, Scheme};

const PAGE: &str = r#"<!doctype html><title>Page</title>
<style>body { color: rgb(0, 0, 1) }
@media (prefers-color-scheme: dark) { body { color: rgb(2, 2, 2) } }</style>
<p id="said">script is off</p>
<script>document.getElementById("said").textContent = "script is on, width " + innerWidth</script>"#;

async fn serve() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/", get(async || Html(PAGE)));
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}/")
}

async fn said(browser: &Browser) -> String {
    browser
        .client()
        .find(Locator::Id("said"))
        .await
        .unwrap()
        .text()
        .await
        .unwrap()
}

async fn colour(browser: &Browser) -> String {
    let body = browser.client().find(Locator::Css("body")).await.unwrap();
    body.css_value("color").await.unwrap()
}

#[tokio::test]
async fn real_browser_shows_a_page_at_phone_width_in_both_schemes() {
    let url = serve().await;
    let browser = Browser::start().await.unwrap();
    browser.set_size(390, 800).await.unwrap();
    browser.client().goto(&url).await.unwrap();
    assert_eq!(said(&browser).await, "script is on, width 390");
    assert!(colour(&browser).await.contains("0, 0, 1"));
    browser.set_scheme(Scheme::Dark).await.unwrap();
    assert!(colour(&browser).await.contains("2, 2, 2"));

    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("pictures/page.png");
    browser.screenshot(&picture).await.unwrap();
    let png = std::fs::read(&picture).unwrap();
    assert_eq!(png[1..4], *b"PNG");
    assert_eq!(
        u32::from_be_bytes(png[16..20].try_into().unwrap()),
        390,
        "width in pixels"
    );
    browser.close().await;
}

#[tokio::test]
async fn real_browser_without_script_runs_none() {
    let url = serve().await;
    let options = BrowserOptions {
        script: false,
        ..BrowserOptions::default()
    };
    let browser = Browser::start_with(options).await.unwrap();
    browser.client().goto(&url).await.unwrap();
    assert_eq!(said(&browser).await, "script is off");
    browser.close().await;
}
