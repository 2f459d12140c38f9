//! What the pages show.

use crate::support::Fake;
use crate::visitor::{Browser, options};
use axum::http::StatusCode;
use serde_json::json;

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

#[tokio::test]
async fn long_lists_are_cut_and_say_so() {
    let fake = Fake::new();
    fake.thread("t1", "Much");
    let todo = |n: usize| {
        let status = match n {
            0..400 => "completed",
            400 => "in_progress",
            _ => "pending",
        };
        json!({"content": format!("todo-{n}."), "status": status, "priority": "low"})
    };
    let todos: Vec<_> = (0..1000).map(todo).collect();
    fake.emit("t1", "todos.updated", json!({"todos": todos}));
    for n in 0..130 {
        fake.emit("t1", "tool.call", json!({"id": format!("c{n}"), "name": "write", "status": "complete", "input": {"filePath": format!("file-{n}."), "content": "x"}}));
        fake.emit(
            "t1",
            "task.run",
            json!({"taskRunId": format!("k{n}"), "title": format!("task-{n}."), "status": "complete"}),
        );
        fake.emit(
            "t1",
            "artifact.created",
            json!({"artifactId": format!("a{n}"), "filename": format!("artifact-{n}.")}),
        );
    }
    let page = Browser::open(fake, options()).await.page("/chats/t1").await;
    let (strip, drawer) = page
        .split("id=\"todos\"")
        .nth(1)
        .unwrap()
        .split_once("id=\"drawer-body\"")
        .unwrap();
    for todos in [strip, drawer] {
        assert!(todos.contains("390 earlier ones are not shown."));
        assert!(todos.contains("todo-390.") && !todos.contains("todo-389."));
        assert!(todos.contains("todo-489.") && !todos.contains("todo-490."));
        assert!(todos.contains("And 510 more."));
    }
    assert!(strip.contains("400 of 1000") && strip.contains("todo-400."));
    assert!(drawer.contains("file-99.") && !drawer.contains("file-100."));
    assert!(drawer.contains("Only the first 100 are listed."));
    assert!(drawer.contains("artifact-80.") && !drawer.contains("artifact-79."));
    assert!(drawer.contains("task-80.") && !drawer.contains("task-79."));
    assert_eq!(drawer.matches("And 80 earlier.").count(), 2);
}

#[tokio::test]
async fn a_list_that_fits_is_whole() {
    let fake = Fake::new();
    fake.thread("t1", "Little");
    let todos: Vec<_> = (0..100)
        .map(|n| json!({"content": format!("todo-{n}."), "status": "completed"}))
        .collect();
    fake.emit("t1", "todos.updated", json!({"todos": todos}));
    let page = Browser::open(fake, options()).await.page("/chats/t1").await;
    assert!(page.contains("todo-0.") && page.contains("todo-99.") && page.contains("100 of 100"));
    assert!(!page.contains("not shown") && !page.contains("earlier."));
}
