//! What the translator makes of every recorded classic and global stream, written out and reviewed
//! (`snapshots/`). A change here is a change of the product's event sequence.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may fail loudly

use open_cowork_contracts::RuntimeEvent;
use open_cowork_runtime_host::translate::Forest;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn fixtures(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/opencode-1.18.33");
    let suffix = format!(".{kind}.jsonl");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(&suffix))
        .collect();
    files.sort();
    assert!(files.len() > 20, "the recorded streams are there");
    files
}

fn translate(path: &Path) -> Vec<RuntimeEvent> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut forest = Forest::default();
    let mut events = Vec::new();
    for line in text.lines() {
        events.extend(forest.line(line).events);
    }
    events.extend(forest.finish().events);
    events
}

/// One line per event: type, id, payload without the session; ids shortened so that people can read it.
fn listing(events: &[RuntimeEvent]) -> String {
    let mut out = String::new();
    for event in events {
        let mut payload = event.payload.clone();
        payload.shift_remove("sessionId");
        let id = event.event_id.as_ref().map_or("-", |id| id.as_str());
        let mut line = format!(
            "{:<21} {} [{id}]",
            event.kind.as_str(),
            Value::Object(payload)
        );
        if line.len() > 700 {
            let cut = (0..=400)
                .rev()
                .find(|at| line.is_char_boundary(*at))
                .unwrap();
            line = format!("{}… ({} bytes)", &line[..cut], line.len());
        }
        writeln!(out, "{line}").unwrap();
    }
    out
}

#[test]
fn every_recorded_stream_gives_exactly_the_reviewed_sequence() {
    for kind in ["classic", "global"] {
        for path in fixtures(kind) {
            let name = path
                .file_name()
                .unwrap()
                .to_string_lossy()
                .replace(".jsonl", "");
            insta::assert_snapshot!(name, listing(&translate(&path)));
        }
    }
}

#[test]
fn no_recorded_stream_leaves_a_turn_open_or_ends_it_twice() {
    for path in fixtures("classic") {
        let events = translate(&path);
        let endings = |event: &&RuntimeEvent| {
            matches!(
                event.kind.as_str(),
                "session.idle" | "session.aborted" | "runtime.error"
            )
        };
        let ids: Vec<_> = events
            .iter()
            .filter(endings)
            .map(|event| event.event_id.clone())
            .collect();
        let mut unique = ids.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(ids.len(), unique.len(), "{}", path.display());
        assert!(!ids.is_empty(), "{}", path.display());
    }
}

#[test]
fn the_prompt_and_the_thinking_never_become_answer_text() {
    for path in fixtures("classic") {
        for event in translate(&path) {
            let content = event
                .payload
                .get("content")
                .and_then(Value::as_str)
                .unwrap_or_default();
            assert!(
                !content.contains("[[script"),
                "{}: {content}",
                path.display()
            );
            assert!(
                !content.contains("Thinking about it"),
                "{}: {content}",
                path.display()
            );
        }
    }
}
