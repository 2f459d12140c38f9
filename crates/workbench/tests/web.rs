//! The workbench as a browser without script sees it: the door, the forms, hostile text.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

mod html;
mod support;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, Response, StatusCode, header};
use jiff::tz::TimeZone;
use open_cowork_workbench::{
    Access, Limits, Options, TrustFile, TrustState, WorkspaceError, router,
};
use serde_json::json;
use std::sync::Arc;
use support::{Fake, NOON};
use tower::ServiceExt;

const TOKEN: &str = "token-of-this-start";
const HOST: &str = "127.0.0.1:4173";

struct Browser {
    app: Router,
    cookie: String,
    csrf: String,
}

fn options() -> Options {
    let mut options = Options::new(Access::with_token(4173, TOKEN));
    options.zone = TimeZone::UTC;
    options.now = Arc::new(|| NOON.parse().unwrap());
    options
}

fn request(method: Method, path: &str) -> axum::http::request::Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, HOST)
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(
        to_bytes(response.into_body(), usize::MAX)
            .await
            .unwrap()
            .to_vec(),
    )
    .unwrap()
}

impl Browser {
    /// Opens the start address.
    async fn open(fake: Arc<Fake>, options: Options) -> Browser {
        let app = router(fake, options);
        let path = format!("/?token={TOKEN}");
        let response = app
            .clone()
            .oneshot(request(Method::GET, &path).body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!(response.headers()[header::LOCATION], "/");
        let set = response.headers()[header::SET_COOKIE]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(
            set.contains("HttpOnly") && set.contains("SameSite=Strict") && !set.contains(TOKEN),
            "{set}"
        );
        let cookie = set.split(';').next().unwrap().to_owned();
        let mut browser = Browser {
            app,
            cookie,
            csrf: String::new(),
        };
        let page = browser.page("/").await;
        let mark = "name=\"csrf\" value=\"";
        let start = page.find(mark).unwrap() + mark.len();
        browser.csrf = page[start..].split('"').next().unwrap().to_owned();
        browser
    }

    async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.app.clone().oneshot(request).await.unwrap()
    }

    async fn get(&self, path: &str) -> Response<Body> {
        self.send(
            request(Method::GET, path)
                .header(header::COOKIE, &self.cookie)
                .body(Body::empty())
                .unwrap(),
        )
        .await
    }

    async fn page(&self, path: &str) -> String {
        let response = self.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        text(response).await
    }

    fn form(&self, path: &str, fields: &[(&str, &str)]) -> axum::http::request::Builder {
        let _ = fields;
        request(Method::POST, path)
            .header(header::COOKIE, &self.cookie)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin")
            .header(header::ORIGIN, "null")
    }

    fn body(&self, fields: &[(&str, &str)]) -> Body {
        let mut pairs = vec![("csrf", self.csrf.as_str())];
        pairs.extend_from_slice(fields);
        let encode = |text: &str| {
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
                .to_string()
        };
        let body: Vec<String> = pairs
            .iter()
            .map(|(key, value)| format!("{}={}", encode(key), encode(value)))
            .collect();
        Body::from(body.join("&"))
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Response<Body> {
        self.send(self.form(path, fields).body(self.body(fields)).unwrap())
            .await
    }
}

fn location(response: &Response<Body>) -> &str {
    response.headers()[header::LOCATION].to_str().unwrap()
}

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
            let response = browser
                .send(browser.form(path, &[]).body(body).unwrap())
                .await;
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

#[tokio::test]
async fn no_page_needs_an_inline_script_or_style_or_another_host() {
    let fake = Fake::new();
    fake.thread("t1", "One");
    fake.emit("t1", "prompt.submitted", json!({"text": "hello"}));
    let browser = Browser::open(fake, options()).await;
    for path in ["/", "/chats", "/chats/t1", "/settings", "/health"] {
        let page = browser.page(path).await;
        for bad in [
            "style=\"", "<style", "onclick", "onload", "http://", "https://", "<script>",
        ] {
            let page = page.replace("placeholder=\"http://127.0.0.1:8080/v1\"", "");
            assert!(!page.contains(bad), "{path} holds {bad}");
        }
    }
}

#[tokio::test]
async fn a_chat_starts_runs_and_is_answered_without_script() {
    let fake = Fake::new();
    let browser = Browser::open(fake.clone(), options()).await;
    let response = browser
        .post(
            "/chats",
            &[
                ("text", "Fix\r\nit"),
                ("directory", "/home/ada/x"),
                ("agent", "plan"),
                ("model", "openai/gpt-5"),
            ],
        )
        .await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(location(&response), "/chats/new0");

    let page = browser.page("/chats/new0").await;
    assert!(
        page.contains("Fix\nit") && page.contains("Working") && page.contains("stop-form"),
        "{page}"
    );

    fake.emit("new0", "permission.requested", json!({"permissionId": "p/1", "tool": "bash", "subject": "rm -rf build", "description": "Clean", "input": {}}));
    let page = browser.page("/chats/new0").await;
    assert!(
        page.contains("action=\"/chats/new0/asks/p%2F1\"") && page.contains("Run this command?")
    );
    assert!(page.contains("rm -rf build") && page.contains("can delete or destroy"));
    let response = browser
        .post(
            "/chats/new0/asks/p%2F1",
            &[("answer", "deny"), ("reason", " not now ")],
        )
        .await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let page = browser.page("/chats/new0").await;
    assert!(page.contains("You denied") && !page.contains("Allow once"));

    fake.emit("new0", "question.asked", json!({"requestId": "q1", "questions": [
        {"header": "H", "question": "Which?", "options": [{"label": "A"}, {"label": "B"}], "multiple": true, "custom": true},
        {"header": "", "question": "Why?", "options": [], "custom": true}]}));
    let fields = [
        ("count", "2"),
        ("q0", "A"),
        ("q0", "B"),
        ("t0", ""),
        ("t1", " because "),
        ("answer", "send"),
    ];
    assert_eq!(
        browser
            .post("/chats/new0/questions/q1", &fields)
            .await
            .status(),
        StatusCode::SEE_OTHER
    );
    assert_eq!(
        browser.post("/chats/new0/stop", &[]).await.status(),
        StatusCode::SEE_OTHER
    );
    assert_eq!(
        browser
            .post("/chats/new0/rename", &[("title", "Better name")])
            .await
            .status(),
        StatusCode::SEE_OTHER
    );
    assert!(browser.page("/chats/new0").await.contains("Better name"));
    assert_eq!(
        browser.post("/chats/new0/retry", &[]).await.status(),
        StatusCode::SEE_OTHER
    );

    assert_eq!(
        fake.calls(),
        [
            "create Some(\"/home/ada/x\")",
            "prompt new0 \"Fix\\nit\" Some(\"plan\") Some(\"openai/gpt-5\")",
            "approval new0 p/1 false Some(\"not now\")",
            "question new0 q1 Some([[\"A\", \"B\"], [\"because\"]])",
            "stop new0",
            "rename new0 Better name",
            "prompt new0 \"Fix\\nit\" None None",
        ]
    );
}

#[tokio::test]
async fn a_question_is_skipped_or_answered_in_full() {
    let fake = Fake::new();
    fake.thread("t1", "One");
    let browser = Browser::open(fake.clone(), options()).await;
    let incomplete = browser
        .post(
            "/chats/t1/questions/q1",
            &[("count", "1"), ("answer", "send")],
        )
        .await;
    assert_eq!(incomplete.status(), StatusCode::BAD_REQUEST);
    assert!(text(incomplete).await.contains("Skip"));
    for count in ["", "-1", "99999999999", "33"] {
        let bad = browser
            .post(
                "/chats/t1/questions/q1",
                &[("count", count), ("answer", "send")],
            )
            .await;
        assert_eq!(bad.status(), StatusCode::BAD_REQUEST, "{count}");
    }
    assert_eq!(
        browser
            .post("/chats/t1/questions/q1", &[("answer", "skip")])
            .await
            .status(),
        StatusCode::SEE_OTHER
    );
    assert_eq!(fake.calls(), ["question t1 q1 None"]);
}

#[tokio::test]
async fn only_allow_and_deny_are_answers() {
    let fake = Fake::new();
    fake.thread("t1", "One");
    let browser = Browser::open(fake.clone(), options()).await;
    for answer in ["", "always", "ALLOW", "true"] {
        let response = browser
            .post("/chats/t1/asks/a1", &[("answer", answer)])
            .await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{answer}");
    }
    assert!(fake.calls().is_empty());
}

#[tokio::test]
async fn enter_in_the_reason_field_never_allows() {
    let fake = Fake::new();
    fake.thread("t1", "One");
    fake.emit(
        "t1",
        "permission.requested",
        json!({"permissionId": "p1", "tool": "bash", "description": "x", "input": {}}),
    );
    let page = Browser::open(fake, options()).await.page("/chats/t1").await;
    let form = page.split("asks/p1").nth(1).unwrap();
    let first = form.split("<button").nth(1).unwrap();
    assert!(
        first.split('>').next().unwrap().contains("value=\"deny\""),
        "a browser presses the first button: {first}"
    );
}

#[tokio::test]
async fn what_could_not_be_sent_stays_in_the_composer() {
    let fake = Fake::new();
    fake.thread("t1", "One");
    let mut options = options();
    options.limits = Limits {
        prompt_bytes: 100,
        ..Limits::default()
    };
    let browser = Browser::open(fake.clone(), options).await;

    let long = "é".repeat(51);
    let response = browser.post("/chats/t1/prompt", &[("text", &long)]).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let page = text(response).await;
    assert!(page.contains(&long) && page.contains("102 bytes"));
    let response = browser
        .post("/chats", &[("text", &long), ("directory", "/d")])
        .await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert!(text(response).await.contains(&long));
    assert!(fake.calls().is_empty());

    fake.state().fail = Some(WorkspaceError::Unavailable(
        "The runtime is starting; try again in a moment.".into(),
    ));
    let response = browser
        .post(
            "/chats/t1/prompt",
            &[("text", "short </textarea><b>"), ("agent", "plan")],
        )
        .await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let page = text(response).await;
    assert!(
        page.contains("short &lt;/textarea&gt;&lt;b&gt;") && page.contains("try again in a moment")
    );
    assert!(page.contains("value=\"plan\" title=\"Only looks and plans\" selected"));

    let huge = browser
        .post("/chats/t1/prompt", &[("text", &"x".repeat(400_000))])
        .await;
    assert_eq!(huge.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn an_untrusted_folder_is_shown_before_anything_runs() {
    let fake = Fake::new();
    let files = vec![TrustFile {
        path: "opencode.json".into(),
        effect: "Starts a server.".into(),
        excerpt: "{\"<x>\":1}".into(),
    }];
    fake.state().trust = TrustState {
        directory: "/tmp/x".into(),
        trusted: false,
        digest: "d1".into(),
        files,
        changed: false,
    };
    let browser = Browser::open(fake.clone(), options()).await;
    let response = browser.post("/chats", &[("text", "look around")]).await;
    assert_eq!(response.status(), StatusCode::CONFLICT);
    let page = text(response).await;
    assert!(
        page.contains("Trust this folder?")
            && page.contains("look around")
            && page.contains("{&quot;&lt;x&gt;&quot;:1}")
    );
    assert!(page.contains("value=\"d1\""));

    let stale = browser.post("/chats/new0/trust", &[("digest", "d0")]).await;
    assert_eq!(stale.status(), StatusCode::CONFLICT);
    assert!(
        page.contains("name=\"text\" value=\"look around\""),
        "the prompt that waits goes along with the decision"
    );
    let fields = [("digest", "d1"), ("text", "look around")];
    let granted = text(browser.post("/chats/new0/trust", &fields).await).await;
    assert!(granted.contains("look around</textarea>") && !granted.contains("Trust this folder?"));
    fake.state().trust.trusted = false;
    let granted = browser.post("/chats/new0/trust", &[("digest", "d1")]).await;
    assert_eq!(location(&granted), "/chats/new0");
    assert!(
        !browser
            .page("/chats/new0")
            .await
            .contains("Trust this folder?")
    );
}

#[tokio::test]
async fn a_key_goes_in_and_never_comes_out() {
    let fake = Fake::new();
    let browser = Browser::open(fake.clone(), options()).await;
    let fields = [
        ("provider", "openai"),
        ("model", "gpt-5"),
        ("key", "sk-very-secret"),
        ("base_url", ""),
    ];
    let response = browser.post("/settings/test", &fields).await;
    let page = text(response).await;
    assert!(page.contains("gpt-5 answered") && !page.contains("sk-very-secret"));
    assert!(
        page.contains("enter it again"),
        "the tested key is not kept, and the page says so"
    );
    assert_eq!(
        location(&browser.post("/settings", &fields).await),
        "/settings?saved=1"
    );
    fake.state().fail = Some(WorkspaceError::Invalid(
        "There is no such model; check its name.".into(),
    ));
    let response = browser.post("/settings", &fields).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let page = text(response).await;
    assert!(page.contains("no such model") && !page.contains("sk-very-secret"));
    assert!(fake.calls().iter().all(|call| call.contains("[hidden]")));
}

#[tokio::test]
async fn the_script_gets_json_and_stays() {
    let fake = Fake::new();
    fake.thread("t1", "One");
    let browser = Browser::open(fake.clone(), options()).await;
    let ask = |path: &str, fields: &[(&str, &str)]| {
        let request = browser
            .form(path, fields)
            .header(header::ACCEPT, "application/json");
        browser.send(request.body(browser.body(fields)).unwrap())
    };
    let response = ask("/chats/t1/prompt", &[("text", "go")]).await;
    assert_eq!(
        (response.status(), text(response).await),
        (StatusCode::OK, "{\"ok\":true}".to_owned())
    );
    let response = ask("/chats", &[("text", "go")]).await;
    assert_eq!(text(response).await, "{\"location\":\"/chats/new1\"}");
    let response = ask("/chats/t1/prompt", &[("text", "  ")]).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(text(response).await.contains("error"));
}

#[tokio::test]
async fn the_theme_is_remembered_without_script() {
    let browser = Browser::open(Fake::new(), options()).await;
    let response = browser
        .post("/theme", &[("theme", "dark"), ("back", "/settings")])
        .await;
    assert_eq!(location(&response), "/settings");
    let cookie = response.headers()[header::SET_COOKIE]
        .to_str()
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let request =
        request(Method::GET, "/").header(header::COOKIE, format!("{}; {cookie}", browser.cookie));
    assert!(
        text(browser.send(request.body(Body::empty()).unwrap()).await)
            .await
            .contains("data-theme=\"dark\"")
    );
    let away = browser
        .post(
            "/theme",
            &[("theme", "\"><script>"), ("back", "//evil.example")],
        )
        .await;
    assert_eq!(location(&away), "/");
}

#[tokio::test]
async fn chats_are_searched_and_paged() {
    let fake = Fake::new();
    for n in 0..5 {
        fake.thread(&format!("t{n}"), &format!("Chat <{n}>"));
    }
    let mut options = options();
    options.limits.list_rows = 2;
    let browser = Browser::open(fake, options).await;
    let page = browser.page("/chats").await;
    let main = page.split("<main").nth(1).unwrap();
    assert!(
        main.contains("Chat &lt;4&gt;")
            && !main.contains("Chat &lt;2&gt;")
            && main.contains("cursor=2")
    );
    assert!(
        browser
            .page("/chats?cursor=4")
            .await
            .split("<main")
            .nth(1)
            .unwrap()
            .contains("Chat &lt;0&gt;")
    );
    let none = browser.page("/chats?q=%3Cscript%3E").await;
    assert!(none.contains("No chat has") && !none.contains("<script>"));
}

#[tokio::test]
async fn a_long_chat_shows_its_newest_part_and_leads_to_the_rest() {
    let fake = Fake::new();
    fake.thread("t1", "Long");
    for n in 0..30 {
        fake.emit("t1", "assistant.message", json!({"messageId": format!("m{n}"), "content": format!("answer-{n}."), "mode": "append"}));
    }
    let mut options = options();
    options.limits.timeline_items = 10;
    let browser = Browser::open(fake, options).await;
    let page = browser.page("/chats/t1").await;
    assert!(
        page.contains("answer-29.") && page.contains("answer-20.") && !page.contains("answer-19.")
    );
    let before = page
        .split("?before=")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    let page = browser.page(&format!("/chats/t1?before={before}")).await;
    assert!(
        page.contains("answer-19.") && page.contains("answer-10.") && !page.contains("answer-20.")
    );
    assert!(page.contains("Show the latest") && page.contains("data-stream=\"/events\""));
    for odd in ["NaN", "-1", "inf"] {
        assert_eq!(
            browser
                .get(&format!("/chats/t1?before={odd}"))
                .await
                .status(),
            StatusCode::OK,
            "{odd}"
        );
    }
}

#[tokio::test]
async fn an_error_names_the_way_out_until_something_follows() {
    let fake = Fake::new();
    fake.thread("t1", "One");
    fake.emit("t1", "prompt.submitted", json!({"text": "go"}));
    fake.emit(
        "t1",
        "runtime.error",
        json!({"message": "401 Unauthorized"}),
    );
    let browser = Browser::open(fake.clone(), options()).await;
    let page = browser.page("/chats/t1").await;
    assert!(
        page.contains("did not accept the key")
            && page.contains("Open settings")
            && page.contains("Try again")
    );
    fake.emit("t1", "prompt.submitted", json!({"text": "again"}));
    let page = browser.page("/chats/t1").await;
    assert!(page.contains("did not accept the key") && !page.contains("Try again"));
    fake.emit("t1", "session.aborted", json!({"reason": "interrupted"}));
    assert!(
        browser
            .page("/chats/t1")
            .await
            .contains("Interrupted by a restart; everything above is kept.")
    );
}

/// Text that would do harm if it became markup. `k` makes each unique.
const HOSTILE: [&str; 9] = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><svg onload=alert(1)>",
    "' onmouseover='alert(1)",
    "\" autofocus onfocus=\"alert(1)",
    "</textarea><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "[x](javascript:alert(1)) ![y](javascript:alert(2)) <javascript:alert(3)>",
    "<a href=\"javascript:alert(1)\">x</a><iframe src=//evil.example></iframe><form action=//evil.example>",
];

/// Panics when the page's own elements are not the only active ones.
fn assert_inert(page: &str, what: &str) {
    for (name, attributes) in html::tags(page) {
        assert!(
            !matches!(
                name.as_str(),
                "svg" | "iframe" | "object" | "embed" | "style" | "base"
            ),
            "{what}: <{name}>"
        );
        for (key, value) in &attributes {
            assert!(
                !key.starts_with("on") && key != "style" && key != "srcdoc",
                "{what}: <{name} {key}>"
            );
            let value = value.trim().to_ascii_lowercase();
            if matches!(key.as_str(), "href" | "src" | "action" | "formaction") {
                assert!(
                    !value.starts_with("javascript") && !value.starts_with("//"),
                    "{what}: {key}={value}"
                );
            }
            if name == "form" && key == "action" {
                assert!(value.starts_with('/'), "{what}: {value}");
            }
        }
        let source = attributes
            .iter()
            .find(|(key, _)| key == "src")
            .map_or("", |(_, value)| value.as_str());
        if name == "script" {
            assert!(source.starts_with("/assets/"), "{what}: a foreign script");
        }
        if name == "img" {
            assert!(
                source.starts_with("data:image/png;base64,"),
                "{what}: an image"
            );
        }
    }
}

#[tokio::test]
async fn no_text_becomes_active_content() {
    for x in HOSTILE {
        let fake = Fake::new();
        fake.thread("t1", x);
        let id = format!("id{x}");
        fake.emit(
            "t1",
            "prompt.submitted",
            json!({"messageId": format!("u{x}"), "text": x, "attachments": [{"filename": x}]}),
        );
        fake.emit("t1", "assistant.message", json!({"messageId": id, "content": format!("{x}\n\n- {x}\n\n| {x} |\n|-|\n| {x} |\n\n```{x}\n{x}\n```\n"), "mode": "append"}));
        for (tool, input) in [
            ("bash", json!({"command": x})),
            (
                "edit",
                json!({"filePath": x, "oldString": x, "newString": format!("{x}{x}")}),
            ),
            ("read", json!({"filePath": x})),
            ("grep", json!({"pattern": x})),
            (x, json!({x: x})),
        ] {
            let call = format!("c{tool}{x}");
            fake.emit("t1", "tool.call", json!({"id": call, "name": tool, "status": "complete", "input": input, "output": x, "subject": x, "error": x,
                "attachments": [{"mime": "image/svg+xml", "url": format!("data:image/svg+xml,{x}"), "filename": x}, {"mime": "image/png", "url": format!("data:image/png;base64,{x}"), "filename": x}]}));
        }
        fake.emit("t1", "task.run", json!({"taskRunId": format!("k{x}"), "title": x, "agent": x, "status": "error", "error": x, "merge": true}));
        fake.emit("t1", "task.message", json!({"taskRunId": format!("k{x}"), "messageId": "tm", "content": x, "mode": "append"}));
        fake.emit(
            "t1",
            "todos.updated",
            json!({"todos": [{"content": x, "status": x, "priority": x}]}),
        );
        fake.emit(
            "t1",
            "artifact.created",
            json!({"artifactId": x, "filename": x}),
        );
        fake.emit("t1", "permission.requested", json!({"permissionId": format!("p{x}"), "tool": x, "subject": x, "patterns": [x], "description": x, "input": {"workdir": x, x: x}}));
        fake.emit(
            "t1",
            "permission.requested",
            json!({"permissionId": format!("r{x}"), "tool": x, "description": x, "input": {}}),
        );
        fake.emit(
            "t1",
            "permission.resolved",
            json!({"permissionId": format!("r{x}"), "allowed": false, "reason": x}),
        );
        fake.emit("t1", "question.asked", json!({"requestId": format!("q{x}"), "questions": [{"header": x, "question": x, "options": [{"label": x, "description": x}], "custom": true}]}));
        fake.emit("t1", "question.asked", json!({"requestId": format!("s{x}"), "questions": [{"header": x, "question": x, "options": []}]}));
        fake.emit(
            "t1",
            "question.resolved",
            json!({"requestId": format!("s{x}"), "answers": [[x]]}),
        );
        fake.emit("t1", "runtime.error", json!({"message": x}));
        {
            let mut state = fake.state();
            let files = vec![TrustFile {
                path: x.into(),
                effect: x.into(),
                excerpt: x.into(),
            }];
            state.trust = TrustState {
                directory: x.into(),
                trusted: false,
                digest: x.into(),
                files,
                changed: true,
            };
            state.overview.product = x.into();
            state.overview.workspace = x.into();
            state.overview.default_directory = x.into();
            state.overview.models = vec![x.into()];
            state.overview.coworkers[0].name = x.into();
            state.overview.coworkers[0].description = x.into();
            state.settings.model = x.into();
            state.settings.base_url = Some(x.into());
            state.settings.key_storage = x.into();
            state.settings.providers.push((x.into(), x.into()));
            state.health[0].name = x.into();
            state.health[0].detail = x.into();
        }
        let browser = Browser::open(fake.clone(), options()).await;
        for path in ["/", "/chats", "/chats/t1", "/settings", "/health"] {
            assert_inert(&browser.page(path).await, &format!("{path} with {x}"));
        }
        let encoded = percent_encoding::utf8_percent_encode(
            &format!("cbash{x}"),
            percent_encoding::NON_ALPHANUMERIC,
        )
        .to_string();
        assert_inert(
            &browser.page(&format!("/chats/t1/calls/{encoded}")).await,
            x,
        );
        fake.state().fail = Some(WorkspaceError::Invalid(x.into()));
        for (path, fields) in [
            ("/chats", vec![("text", x), ("directory", x)]),
            ("/chats/t1/prompt", vec![("text", x), ("agent", x)]),
            ("/chats/t1/stop", vec![]),
            ("/settings", vec![("model", x), ("provider", x)]),
            ("/settings/test", vec![("model", x)]),
        ] {
            assert_inert(
                &text(browser.post(path, &fields).await).await,
                &format!("{path} with {x}"),
            );
        }
    }
}
