//! Who gets in: token, host, visit, origin, form token; and the headers on every answer.

use crate::support::Fake;
use crate::visitor::{Browser, options, request, text};
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use open_cowork_workbench::{Access, Options, router};
use tower::ServiceExt;

#[tokio::test]
async fn without_the_token_nobody_gets_in() {
    let fake = Fake::new();
    fake.thread("t1", "A secret plan");
    let app = router(fake, options());
    for path in [
        "/",
        "/?token=wrong",
        "/?token=",
        "/chats",
        "/chats/t1",
        "/chats/t1/events?after=0",
        "/settings",
        "/nothing",
        "/assets/",
        "/assets/a/b",
    ] {
        let response = app
            .clone()
            .oneshot(request(Method::GET, path).body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{path}");
        assert!(response.headers().get(header::SET_COOKIE).is_none());
        let page = text(response).await;
        assert!(
            page.contains("address") && !page.contains("secret plan"),
            "{page}"
        );
    }
}

#[tokio::test]
async fn an_empty_token_opens_for_nobody() {
    let app = router(Fake::new(), Options::new(Access::with_token(4173, "")));
    let response = app
        .oneshot(
            request(Method::GET, "/?token=")
                .body(Body::empty())
                .unwrap(),
        )
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_foreign_host_is_refused_even_with_the_cookie() {
    let browser = Browser::open(Fake::new(), options()).await;
    for host in [
        "evil.example",
        "127.0.0.1:9999",
        "127.0.0.1",
        "localhost:4173.evil.example",
        "",
    ] {
        let request = Request::builder()
            .uri("/")
            .header(header::HOST, host)
            .header(header::COOKIE, &browser.cookie);
        let response = browser.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{host}");
    }
    let request = Request::builder()
        .uri("/")
        .header(header::HOST, "LOCALHOST:4173")
        .header(header::COOKIE, &browser.cookie);
    assert_eq!(
        browser
            .send(request.body(Body::empty()).unwrap())
            .await
            .status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_change_from_another_page_is_refused() {
    let fake = Fake::new();
    fake.thread("t1", "One");
    let browser = Browser::open(fake.clone(), options()).await;
    let foreign: [&[(&str, &str)]; 6] = [
        &[("origin", "https://evil.example")],
        &[
            ("origin", "http://127.0.0.1:9999"),
            ("sec-fetch-site", "same-site"),
        ],
        &[("origin", "null")],
        &[("origin", "null"), ("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "cross-site")],
        &[
            ("origin", "http://127.0.0.1:4173"),
            ("sec-fetch-site", "cross-site"),
        ],
    ];
    for headers in foreign {
        let mut request = request(Method::POST, "/chats/t1/stop")
            .header(header::COOKIE, &browser.cookie)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = browser.send(request.body(browser.body(&[])).unwrap()).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{headers:?}");
    }
    assert!(fake.calls().is_empty());
    let own: [&[(&str, &str)]; 3] = [
        &[("origin", "http://127.0.0.1:4173")],
        &[("origin", "null"), ("sec-fetch-site", "same-origin")],
        &[],
    ];
    for headers in own {
        let mut request = request(Method::POST, "/chats/t1/stop")
            .header(header::COOKIE, &browser.cookie)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = browser.send(request.body(browser.body(&[])).unwrap()).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER, "{headers:?}");
    }
}

#[tokio::test]
async fn a_form_without_its_token_does_nothing() {
    let fake = Fake::new();
    fake.thread("t1", "One");
    let browser = Browser::open(fake.clone(), options()).await;
    let other = Browser::open(fake.clone(), options()).await;
    for path in [
        "/chats",
        "/chats/t1/prompt",
        "/chats/t1/retry",
        "/chats/t1/stop",
        "/chats/t1/rename",
        "/chats/t1/trust",
        "/chats/t1/asks/a1",
        "/chats/t1/questions/q1",
        "/settings",
        "/settings/test",
        "/theme",
    ] {
        for csrf in [
            String::new(),
            "csrf=".into(),
            "csrf=wrong".into(),
            format!("csrf={}", other.csrf),
        ] {
            let body = Body::from(format!("{csrf}&text=hello&title=x&answer=allow"));
            let response = browser.send(browser.form(path).body(body).unwrap()).await;
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "{path} {csrf}");
        }
    }
    assert!(fake.calls().is_empty(), "{:?}", fake.calls());
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let fake = Fake::new();
    fake.thread("t1", "One");
    let browser = Browser::open(fake, options()).await;
    let page = browser.page("/").await;
    let style = page
        .split("href=\"")
        .find(|part| part.starts_with("/assets/app-"))
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    for path in ["/", "/chats/t1", "/chats/none", "/nothing", style] {
        let response = browser.get(path).await;
        let headers = response.headers();
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["referrer-policy"], "no-referrer");
        assert_eq!(headers["x-frame-options"], "DENY");
        assert_eq!(headers["cross-origin-opener-policy"], "same-origin");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.contains("default-src 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        let cache = headers["cache-control"].to_str().unwrap();
        assert_eq!(cache.contains("no-store"), path != style, "{path}: {cache}");
    }
}
