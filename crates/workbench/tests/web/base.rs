//! The workbench below a path: everything that it emits stays there, and outside nobody learns anything.

use crate::brand::acme;
use crate::html;
use crate::support::Fake;
use crate::visitor::{Browser, HOST, TOKEN, location, request, text};
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use futures::StreamExt;
use open_cowork_workbench::{BasePath, Options, TrustFile, TrustState, WorkspaceError};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const BASE: &str = "/w/x";

fn below(base: &str) -> Options {
    let mut options = acme();
    options.base = BasePath::parse(base).unwrap();
    options.limits.timeline_items = 12;
    options.limits.list_rows = 2;
    options
}

/// A workspace whose pages hold every kind of link and form.
fn full() -> Arc<Fake> {
    let fake = Fake::new();
    for n in 0..4 {
        fake.thread(&format!("other{n}"), "Another");
    }
    fake.thread("t1", "Everything");
    let emit = |kind: &str, payload: Value| fake.emit("t1", kind, payload);
    for n in 0..9 {
        emit(
            "assistant.message",
            json!({"messageId": format!("old{n}"), "content": "before", "mode": "append"}),
        );
    }
    emit("prompt.submitted", json!({"messageId": "u1", "text": "go"}));
    emit(
        "assistant.message",
        json!({"messageId": "a1", "content": "[in](https://example.org/x) [path](/chats/other0) [rel](other0)", "mode": "append"}),
    );
    let long = "line\n".repeat(400);
    emit(
        "tool.call",
        json!({"id": "c1", "name": "bash", "status": "complete", "input": {"command": "ls"}, "output": long}),
    );
    emit(
        "tool.call",
        json!({"id": "c2", "name": "bash", "status": "complete", "input": {"command": "ls"}, "output": "x".repeat(20_000)}),
    );
    let edit = json!({"filePath": "/home/ada/shop/a.rs", "oldString": "a\n".repeat(300), "newString": "b\n".repeat(300)});
    emit(
        "tool.call",
        json!({"id": "c3", "name": "edit", "status": "complete", "input": edit, "output": "ok"}),
    );
    emit(
        "task.run",
        json!({"taskRunId": "k1", "title": "Look", "status": "running", "merge": true}),
    );
    emit(
        "tool.call",
        json!({"id": "c4", "taskRunId": "k1", "name": "write", "status": "complete", "input": {"filePath": "b.rs", "content": "b"}, "output": long}),
    );
    emit(
        "question.asked",
        json!({"requestId": "q1", "questions": [{"header": "H", "question": "Which?", "options": [{"label": "A"}], "custom": true}]}),
    );
    emit(
        "permission.requested",
        json!({"permissionId": "p1", "tool": "bash", "subject": "ls", "description": "List", "input": {}}),
    );
    emit("runtime.error", json!({"message": "401 Unauthorized"}));
    fake
}

/// Values that a browser or the script takes as an address.
fn addresses(page: &str) -> Vec<String> {
    html::tags(page)
        .into_iter()
        .flat_map(|(name, attributes)| {
            let is_back = attributes.contains(&("name".into(), "back".into()));
            attributes.into_iter().filter(move |(key, value)| {
                matches!(
                    key.as_str(),
                    "href" | "src" | "action" | "formaction" | "poster" | "srcset" | "data"
                ) || (key.starts_with("data-") && value.starts_with('/'))
                    || (is_back && key == "value" && name == "input")
            })
        })
        .map(|(_, value)| value)
        .collect()
}

/// Those of them that lead to the workbench; panics when one leaves the base.
#[track_caller]
fn inner(page: &str, base: &str, what: &str) -> BTreeSet<String> {
    let is_elsewhere = |address: &String| {
        [
            "#",
            "data:",
            "https://example.org/",
            "https://help.acme.example/",
            "mailto:",
        ]
        .iter()
        .any(|start| address.starts_with(start))
    };
    let inner: BTreeSet<String> = addresses(page)
        .into_iter()
        .filter(|address| !is_elsewhere(address))
        .collect();
    for address in &inner {
        assert!(
            address.starts_with(&format!("{base}/")),
            "{what} emits {address:?}"
        );
    }
    inner
}

/// The paths that the tests open by hand; the others are found by following links.
const PAGES: [&str; 9] = [
    "/",
    "/chats",
    "/chats?q=other",
    "/chats?q=nothing",
    "/chats/t1",
    "/chats/t1?panel=1",
    "/chats/t1/calls/c4?agent=k1",
    "/settings?saved=1",
    "/health",
];

#[tokio::test]
async fn every_address_of_every_page_is_below_the_base_and_every_link_leads_somewhere() {
    let browser = Browser::open(full(), below(BASE)).await;
    let mut to_visit: Vec<String> = PAGES.map(str::to_owned).to_vec();
    let mut seen = BTreeSet::new();
    let mut kinds = BTreeSet::new();
    while let Some(path) = to_visit.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let page = browser.page(&path).await;
        for address in inner(&page, BASE, &path) {
            let rest = address.strip_prefix(BASE).unwrap().to_owned();
            kinds.insert(rest.split(['?', '-']).next().unwrap().to_owned());
            // Streams don't end, and forms are posted elsewhere.
            let is_page = !["/events", "/asks/", "/questions/", "/assets/"]
                .iter()
                .any(|part| rest.contains(part))
                && !["prompt", "retry", "stop", "rename", "test", "theme"]
                    .iter()
                    .any(|end| rest.ends_with(end));
            if is_page {
                to_visit.push(rest);
            }
        }
    }
    for kind in [
        "/",
        "/assets/app",
        "/assets/icon",
        "/assets/logo",
        "/chats",
        "/chats/other3",
        "/chats/t1",
        "/chats/t1/asks/p1",
        "/chats/t1/calls/c1",
        "/chats/t1/calls/c4",
        "/chats/t1/events",
        "/chats/t1/prompt",
        "/chats/t1/questions/q1",
        "/chats/t1/rename",
        "/chats/t1/retry",
        "/chats/t1/stop",
        "/events",
        "/health",
        "/settings",
        "/settings/test",
        "/theme",
    ] {
        assert!(kinds.contains(kind), "no page held {kind}: {kinds:?}");
    }
    assert!(seen.iter().any(|path| path.contains("before=")), "{seen:?}");
    assert!(seen.iter().any(|path| path.contains("cursor=")), "{seen:?}");
}

#[tokio::test]
async fn assets_are_served_below_the_base_only() {
    let browser = Browser::open(full(), below(BASE)).await;
    let page = browser.page("/").await;
    let assets: Vec<String> = inner(&page, BASE, "/")
        .into_iter()
        .filter(|address| address.contains("/assets/"))
        .collect();
    assert_eq!(assets.len(), 4, "{assets:?}");
    for asset in assets {
        let ask = |path: &str| request(Method::GET, path).body(Body::empty()).unwrap();
        assert_eq!(browser.send(ask(&asset)).await.status(), StatusCode::OK);
        let outside = asset.strip_prefix(BASE).unwrap();
        assert_eq!(
            browser.send(ask(outside)).await.status(),
            StatusCode::NOT_FOUND
        );
    }
}

/// Path, fields, and where it leads.
type Form = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
);

#[tokio::test]
async fn every_answer_to_a_form_stays_below_the_base() {
    let fake = full();
    let browser = Browser::open(fake.clone(), below(BASE)).await;
    let forms: [Form; 10] = [
        ("/chats", &[("text", "go")], "/chats/new5"),
        ("/chats/t1/prompt", &[("text", "go")], "/chats/t1"),
        ("/chats/t1/retry", &[], "/chats/t1"),
        ("/chats/t1/rename", &[("title", "New")], "/chats/t1"),
        ("/chats/t1/asks/p1", &[("answer", "allow")], "/chats/t1"),
        ("/chats/t1/questions/q1", &[("answer", "skip")], "/chats/t1"),
        ("/chats/t1/stop", &[], "/chats/t1"),
        ("/settings", &[("model", "m")], "/settings?saved=1"),
        (
            "/theme",
            &[("theme", "dark"), ("back", "/w/x/health")],
            "/health",
        ),
        ("/theme", &[("theme", "dark"), ("back", "/elsewhere")], "/"),
    ];
    for (path, fields, to) in forms {
        let response = browser.post(path, fields).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER, "{path}");
        assert_eq!(location(&response), format!("{BASE}{to}"), "{path}");
    }
    let with_script = |path: &str, fields: &[(&str, &str)]| {
        let request = browser
            .form(path)
            .header(header::ACCEPT, "application/json");
        browser.send(request.body(browser.body(fields)).unwrap())
    };
    let started = with_script("/chats", &[("text", "go")]).await;
    assert_eq!(text(started).await, "{\"location\":\"/w/x/chats/new6\"}");

    fake.state().trust = TrustState {
        directory: "/tmp/x".into(),
        digest: "d1".into(),
        files: vec![TrustFile {
            path: "opencode.json".into(),
            effect: "Starts a server.".into(),
            excerpt: "{}".into(),
        }],
        ..TrustState::default()
    };
    let untrusted = with_script("/chats", &[("text", "go")]).await;
    assert!(
        text(untrusted)
            .await
            .contains("\"location\":\"/w/x/chats/new7\"")
    );
    let card = text(browser.post("/chats", &[("text", "go")]).await).await;
    let held = inner(&card, BASE, "the trust card");
    assert!(held.contains("/w/x/chats/new8/trust"), "{held:?}");

    // Pages that say what went wrong, with their way out.
    fake.state().fail = Some(WorkspaceError::Unavailable("Not now.".into()));
    for (path, fields) in [
        ("/chats", vec![("text", "go")]),
        ("/chats", vec![("text", "")]),
        ("/chats/t1/prompt", vec![("text", "go")]),
        ("/chats/t1/stop", vec![]),
        ("/settings", vec![("model", "m")]),
        ("/settings/test", vec![("model", "m")]),
        ("/chats/none/stop", vec![]),
    ] {
        let page = text(browser.post(path, &fields).await).await;
        assert!(!inner(&page, BASE, path).is_empty(), "{path}: {page}");
    }
    for path in ["/nothing", "/chats/none", "/chats/t1/calls/none"] {
        let page = text(browser.get(path).await).await;
        let held = inner(&page, BASE, path);
        assert!(held.contains("/w/x/chats"), "{path}: {held:?}");
    }
}

#[tokio::test]
async fn every_patch_stays_below_the_base() {
    let fake = full();
    let browser = Browser::open(fake.clone(), below(BASE)).await;
    let response = browser.get("/chats/t1/events?after=0").await;
    assert_eq!(response.status(), StatusCode::OK);
    fake.emit("t1", "session.renamed", json!({"title": "Renamed"}));
    let mut body = response.into_body().into_data_stream();
    let mut frames = String::new();
    let all = ["\"op\":\"put\"", "\"op\":\"row\"", "drawer-body", "Renamed"];
    let read = async {
        while !(all.iter().all(|part| frames.contains(part)) && frames.ends_with("\n\n")) {
            frames.push_str(std::str::from_utf8(&body.next().await.unwrap().unwrap()).unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(20), read)
        .await
        .unwrap();
    let mut held = BTreeSet::new();
    for line in frames
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
    {
        let data: Value = serde_json::from_str(line).unwrap();
        for op in data["ops"].as_array().into_iter().flatten() {
            let blocks = op["blocks"].as_array().into_iter().flatten();
            for markup in blocks.chain(op.get("html")).filter_map(Value::as_str) {
                held.extend(inner(markup, BASE, &op.to_string()));
            }
        }
    }
    for address in [
        "/w/x/chats/t1",
        "/w/x/chats/t1/asks/p1",
        "/w/x/chats/t1/calls/c3",
        "/w/x/chats/t1/calls/c4?agent=k1",
        "/w/x/chats/t1/questions/q1",
        "/w/x/chats/t1/retry",
        "/w/x/settings",
    ] {
        assert!(held.contains(address), "no patch held {address}: {held:?}");
    }
}

/// Without what differs from visit to visit.
fn settled(page: &str, base: &str) -> String {
    let mut page = page.replace(&format!("\"{base}/"), "\"/");
    for secret in ["name=\"csrf\" value=\"", "name=\"key\" value=\""] {
        let mut parts = page.split(secret);
        let mut out = parts.next().unwrap().to_owned();
        for part in parts {
            out.push_str(part.split_once('"').unwrap().1);
        }
        page = out;
    }
    page
}

#[tokio::test]
async fn a_page_below_a_base_is_the_one_at_the_root_with_other_addresses() {
    let root = Browser::open(full(), below("")).await;
    for base in [BASE, "/team/cowork"] {
        let browser = Browser::open(full(), below(base)).await;
        for path in PAGES {
            assert_eq!(
                settled(&browser.page(path).await, base),
                settled(&root.page(path).await, ""),
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn outside_the_base_nobody_learns_anything() {
    let fake = full();
    let mut options = below(BASE);
    options.branding.name = "The product".into();
    let browser = Browser::open(fake.clone(), options).await;
    let entry = format!("/?token={TOKEN}");
    for path in [
        "/",
        &entry,
        "/chats",
        "/chats/t1",
        "/events",
        "/favicon.ico",
        "/robots.txt",
        "/assets/app.js",
        "/w",
        "/w/",
        "/w/xx/",
        "/w/y/chats",
        "/W/X/",
        "/w/X/",
        "/w/%78/",
        "/w%2Fx/",
        "//w/x/",
        "/./w/x/",
        "/y/../w/x/",
    ] {
        for method in [Method::GET, Method::HEAD, Method::POST, Method::OPTIONS] {
            let is_head = method == Method::HEAD;
            // Whoever holds a visit learns no more there than a stranger.
            let request = request(method, path).header(header::COOKIE, &browser.cookie);
            let response = browser.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
            for (name, value) in response.headers() {
                assert!(
                    name != header::SET_COOKIE && name != header::LOCATION,
                    "{path}: {name}"
                );
                assert!(!value.to_str().unwrap().contains("/w/"), "{path}: {name}");
            }
            let page = text(response).await;
            assert!(is_head || page.contains("open the address"), "{page}");
            for told in [BASE, "Acme", "desk", "token", "assets", "t1", "Everything"] {
                assert!(!page.contains(told), "{path} tells {told}: {page}");
            }
        }
    }
    assert!(fake.calls().is_empty());
}

#[tokio::test]
async fn a_foreign_name_learns_neither_the_base_nor_the_files() {
    let browser = Browser::open(full(), below(BASE)).await;
    for path in ["/", "/w/x", "/w/x/", "/w/x/chats"] {
        let request = Request::builder()
            .uri(path)
            .header(header::HOST, "evil.example")
            .header(header::COOKIE, &browser.cookie);
        let response = browser.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{path}");
        assert!(response.headers().get(header::LOCATION).is_none());
        let page = text(response).await;
        assert!(!page.contains(BASE) && !page.contains("assets"), "{page}");
    }
}

#[tokio::test]
async fn the_base_without_its_slash_leads_home() {
    let browser = Browser::open(Fake::new(), below(BASE)).await;
    for (path, to) in [("/w/x", "/w/x/"), ("/w/x?token=abc", "/w/x/?token=abc")] {
        let request = Request::builder().uri(path).header(header::HOST, HOST);
        let response = browser.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!(location(&response), to);
    }
}

#[tokio::test]
async fn below_a_base_the_token_still_guards() {
    let fake = full();
    fake.state().threads.get_mut("t1").unwrap().session.title = Some("A secret plan".into());
    let browser = Browser::open(fake, below(BASE)).await;
    for path in ["/w/x/", "/w/x/?token=wrong", "/w/x/chats/t1", "/w/x/events"] {
        let request = request(Method::GET, path).body(Body::empty()).unwrap();
        let response = browser.send(request).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{path}");
        assert!(response.headers().get(header::SET_COOKIE).is_none());
    }
}

#[test]
fn the_options_show_neither_token_nor_path() {
    let shown = format!("{:?}", below(BASE));
    assert!(!shown.contains(TOKEN) && !shown.contains(BASE), "{shown}");
}
