//! The line protocol of `examples/replay.rs` (`docs/contract/01-events-and-projection.md` §15).

#![allow(clippy::unwrap_used)] // a test file: failing is its job

use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// The example beside this test's binary; cargo builds both, unless only this test was asked for.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let name = format!("replay{}", std::env::consts::EXE_SUFFIX);
    let program = test
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples")
        .join(name);
    if !program.exists() {
        let built = Command::new(env!("CARGO"))
            .args([
                "build",
                "--quiet",
                "--package",
                env!("CARGO_PKG_NAME"),
                "--example",
                "replay",
            ])
            .status();
        assert!(built.unwrap().success());
    }
    program
}

fn replay(input: &str) -> Output {
    let mut child = Command::new(program())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that stops at a bad line closes its input early; that is for the assertions to see.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn request(view: Option<Value>) -> String {
    let mut request = json!({
        "session": {"sessionId": "s1", "profileName": "p", "status": "idle", "title": null, "updatedAt": "T0"},
        "events": [{"sequence": 4, "type": "assistant.message", "payload": {"messageId": "m", "content": "!", "mode": "append"}, "createdAt": "T4"}]
    });
    if let Some(view) = view {
        request["view"] = view;
    }
    request.to_string()
}

#[test]
fn each_line_is_answered_in_order() {
    let stored = json!({"messages": [{"id": "m", "role": "assistant", "content": "a"}]});
    let output = replay(&format!("{}\n{}\n", request(None), request(Some(stored))));
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0]["view"]["messages"][0]["content"], "!");
    assert_eq!(answers[0]["view"]["updatedAt"], "T4");
    assert_eq!(answers[0]["sessionView"]["revision"], 4);
    assert_eq!(answers[1]["view"]["messages"][0]["content"], "a!");
    assert_eq!(
        answers[1]["view"]["messages"][0]["createdAt"], "T0",
        "the session's time stands for now"
    );
}

#[test]
fn a_line_that_is_no_request_ends_with_2_after_the_answers_before_it() {
    let output = replay(&format!("{}\n{{\"x\":1}}\n", request(None)));
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 1);
    assert!(String::from_utf8(output.stderr).unwrap().contains("line 2"));
}
