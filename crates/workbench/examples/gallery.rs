//! The workbench over canned threads, for eyes: `cargo run -p open-cowork-workbench --example gallery [PORT]`.
//! It prints the address to open. A prompt is answered by a script that streams.
#![allow(
    clippy::needless_pass_by_value,
    reason = "canned data reads better without borrows"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use open_cowork_workbench::{Access, Options, TrustFile, TrustState, router};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use support::Fake;

const ANSWER: &str = "The tests fail because `total` adds the **tax twice**. Two places apply it:\n\n1. `Cart::total`, line 41\n2. `Invoice::lines`, which already holds gross prices\n\nI would keep it in one place:\n\n```rust\npub fn total(&self) -> Money {\n    self.lines.iter().map(Line::gross).sum()\n}\n```\n\n| case | before | after |\n|---|---|---|\n| one line | 11.90 | 10.00 |\n| two lines | 35.70 | 30.00 |\n\nNext I run the tests. See [the guide](https://example.org/guide) for the rule.\n";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::args()
        .nth(1)
        .map_or(Ok(4174), |port| port.parse())?;
    let fake = Fake::new();
    fake.state().clock = jiff::Timestamp::now().checked_sub(jiff::SignedDuration::from_mins(6))?;
    fill(&fake);
    tokio::spawn(play(fake.clone()));
    let access = match std::env::var("GALLERY_TOKEN") {
        Ok(token) => Access::with_token(port, token),
        Err(_) => Access::loopback(port)?,
    };
    let options = Options::new(access);
    let address = format!("http://127.0.0.1:{port}{}", options.entry_path());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("{address}");
    axum::serve(listener, router(fake, options)).await?;
    Ok(())
}

fn fill(fake: &Arc<Fake>) {
    fake.thread("empty", "New session");
    fake.thread("trust", "Look at a downloaded project");

    let id = "error";
    fake.thread(id, "Translate the release notes");
    fake.emit(
        id,
        "prompt.submitted",
        json!({"messageId": "u1", "text": "Translate RELEASE.md into French."}),
    );
    fake.emit(
        id,
        "assistant.message",
        json!({"messageId": "m1", "content": "I start with the headings.", "mode": "append"}),
    );
    fake.emit(
        id,
        "runtime.error",
        json!({"message": "401 Unauthorized: the key ending in …3f was revoked."}),
    );

    let id = "interrupted";
    fake.thread(id, "Sort the photo archive");
    fake.emit(
        id,
        "prompt.submitted",
        json!({"messageId": "u1", "text": "Sort the photos by year."}),
    );
    fake.emit(id, "assistant.message", json!({"messageId": "m1", "content": "2019 and 2020 are done; 2021 follows.", "mode": "append"}));
    fake.emit(id, "tool.call", json!({"id": "c1", "name": "bash", "status": "error", "input": {"command": "mv raw/2021* 2021/"}, "output": "interrupted"}));
    fake.emit(id, "session.aborted", json!({"reason": "interrupted"}));

    let id = "question";
    fake.thread(id, "Plan the newsletter");
    fake.emit(
        id,
        "prompt.submitted",
        json!({"messageId": "u1", "text": "Plan the March newsletter."}),
    );
    fake.emit(
        id,
        "assistant.message",
        json!({"messageId": "m1", "content": "Two things I can't know:", "mode": "append"}),
    );
    fake.emit(id, "question.asked", json!({"requestId": "q1", "questions": [
        {"header": "Audience", "question": "Who is it for?", "options": [
            {"label": "Customers", "description": "Everyone who bought in the last year"},
            {"label": "Partners", "description": "The 40 resellers"}], "multiple": false, "custom": true},
        {"header": "Topics", "question": "Which topics belong in it?", "options": [
            {"label": "The new pricing", "description": ""}, {"label": "The Lyon office", "description": ""},
            {"label": "Hiring", "description": "Three open positions"}], "multiple": true, "custom": false}]}));

    let id = "work";
    fake.thread(id, "Fix the failing checkout tests");
    fake.emit(id, "prompt.submitted", json!({"messageId": "u1", "text": "The checkout tests fail since yesterday. Find out why and fix it.\nDon't touch the public API."}));
    fake.emit(
        id,
        "todos.updated",
        json!({"todos": [
        {"content": "Reproduce the failure", "status": "completed", "priority": "high"},
        {"content": "Find the cause", "status": "completed", "priority": "high"},
        {"content": "Fix the double tax", "status": "in_progress", "priority": "high"},
        {"content": "Run all tests", "status": "pending", "priority": "medium"},
        {"content": "Write a regression test", "status": "pending", "priority": "medium"}]}),
    );
    let long: String = (1..=412)
        .map(|n| {
            format!(
                "test checkout::case_{n:03} ... {}\n",
                if n % 57 == 0 { "FAILED" } else { "ok" }
            )
        })
        .collect();
    call(
        fake,
        id,
        "c1",
        "bash",
        json!({"command": "cargo test -p checkout --no-fail-fast"}),
        &long,
    );
    for (n, path) in ["src/cart.rs", "src/invoice.rs", "src/money.rs"]
        .iter()
        .enumerate()
    {
        call(
            fake,
            id,
            &format!("r{n}"),
            "read",
            json!({ "filePath": path }),
            "use std::ops::Add;\n",
        );
    }
    call(
        fake,
        id,
        "r9",
        "grep",
        json!({"pattern": "fn total"}),
        "src/cart.rs:41\nsrc/invoice.rs:12\n",
    );
    fake.emit(
        id,
        "assistant.message",
        json!({"messageId": "m1", "content": ANSWER, "mode": "replace"}),
    );
    call(
        fake,
        id,
        "e1",
        "edit",
        json!({"filePath": "src/cart.rs", "oldString": "pub fn total(&self) -> Money {\n    let net = self.net();\n    net + self.tax(net)\n}", "newString": "pub fn total(&self) -> Money {\n    self.lines.iter().map(Line::gross).sum()\n}"}),
        "Edit applied successfully.",
    );
    fake.emit(id, "task.run", json!({"taskRunId": "child:ses_2", "title": "Check the other callers of tax()", "agent": "explore", "status": "running", "merge": true}));
    fake.emit(id, "tool.call", json!({"id": "x1", "name": "grep", "status": "complete", "taskRunId": "child:ses_2", "input": {"pattern": "\\.tax\\("}, "output": "src/report.rs:88"}));
    fake.emit(id, "task.message", json!({"taskRunId": "child:ses_2", "messageId": "tm1", "content": "Only `report.rs` calls it, with net amounts. That is right.", "mode": "append"}));
    fake.emit(
        id,
        "task.run",
        json!({"taskRunId": "child:ses_2", "status": "complete", "merge": true}),
    );
    fake.emit(id, "cost.updated", json!({"cost": 0.1834, "tokens": {"input": 18240, "output": 2110, "reasoning": 640, "cacheRead": 92000}}));
    fake.emit(id, "permission.requested", json!({"permissionId": "p0", "tool": "bash", "subject": "cargo test -p checkout", "description": "Run the tests", "input": {"command": "cargo test -p checkout"}}));
    fake.emit(
        id,
        "permission.resolved",
        json!({"permissionId": "p0", "allowed": true}),
    );
    fake.emit(id, "permission.requested", json!({"permissionId": "p1", "tool": "bash", "subject": "rm -rf target/checkout && cargo test --workspace", "patterns": ["rm *"], "description": "Clean and run all tests", "input": {"command": "rm -rf target/checkout && cargo test --workspace", "workdir": "/home/ada/shop"}}));

    fake.thread("stream", "Explain the repository");
    let files = vec![
        TrustFile { path: "opencode.json".into(), effect: "Starts two local tool servers and allows every command.".into(), excerpt: "{\n  \"permission\": { \"bash\": \"allow\" },\n  \"mcp\": { \"db\": { \"command\": [\"node\", \"db.js\"] } }\n}".into() },
        TrustFile { path: ".opencode/plugin/hook.ts".into(), effect: "Runs as code whenever a chat starts here.".into(), excerpt: "export const hook = async () => {\n  await fetch(\"https://example.org\")\n}".into() },
    ];
    if std::env::var("GALLERY_TRUST").is_ok() {
        fake.state().trust = TrustState {
            directory: "/home/ada/downloads/thing".into(),
            trusted: false,
            digest: "d1".into(),
            files,
            changed: false,
        };
    }
}

fn call(
    fake: &Arc<Fake>,
    id: &str,
    call: &str,
    tool: &str,
    input: serde_json::Value,
    output: &str,
) {
    fake.emit(
        id,
        "tool.call",
        json!({"id": call, "name": tool, "status": "running", "input": input}),
    );
    fake.emit(
        id,
        "tool.call",
        json!({"id": call, "name": tool, "status": "complete", "input": input, "output": output}),
    );
}

/// Streams an answer into the chat `stream` again and again.
async fn play(fake: Arc<Fake>) {
    let id = "stream";
    let words: Vec<&str> = ANSWER.split_inclusive(' ').collect();
    for round in 1_u32.. {
        fake.emit(
            id,
            "prompt.submitted",
            json!({"messageId": format!("u{round}"), "text": "Explain what this repository does."}),
        );
        let path = format!("src/part_{round}.rs");
        fake.emit(id, "tool.call", json!({"id": format!("c{round}"), "name": "read", "status": "running", "input": {"filePath": path}}));
        tokio::time::sleep(Duration::from_millis(900)).await;
        fake.emit(id, "tool.call", json!({"id": format!("c{round}"), "name": "read", "status": "complete", "input": {"filePath": path}, "output": "…"}));
        for word in &words {
            fake.emit(
                id,
                "assistant.message",
                json!({"messageId": format!("m{round}"), "content": word, "mode": "append"}),
            );
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
        fake.emit(id, "session.idle", json!({}));
        tokio::time::sleep(Duration::from_secs(4)).await;
    }
}
