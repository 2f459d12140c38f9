//! What the forms do without script, and what the script is told.

use crate::support::Fake;
use crate::visitor::{Browser, location, options, request, text};
use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use futures::{StreamExt, stream};
use open_cowork_workbench::{Limits, TrustFile, TrustState, WorkspaceError};
use serde_json::json;
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::Instant;

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
            .form(path)
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

#[tokio::test(start_paused = true)]
async fn a_form_that_never_ends_is_refused_at_its_deadline() {
    let fake = Fake::new();
    fake.thread("t1", "One");
    let browser = Browser::open(fake.clone(), options()).await;
    let start = format!("csrf={}&text=hel", browser.csrf);
    // A part each second, for ever.
    let trickle = stream::iter([start]).chain(stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Some(("l".to_owned(), ()))
    }));
    let bodies = [
        Body::from_stream(stream::pending::<Result<String, Infallible>>()),
        Body::from_stream(trickle.map(Ok::<_, Infallible>)),
    ];
    for body in bodies {
        let begun = Instant::now();
        let request = browser.form("/chats/t1/prompt").body(body).unwrap();
        let response = browser.send(request).await;
        assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
        assert_eq!(begun.elapsed().as_secs(), 30);
        assert!(text(response).await.contains("send it again"));
    }
    assert!(fake.calls().is_empty());
}
