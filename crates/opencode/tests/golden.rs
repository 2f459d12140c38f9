//! Every recorded line of the real OpenCode 1.18.33 decodes, and decoding loses nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use open_cowork_opencode::event::Shape;
use open_cowork_opencode::{Event, Frame, Observed, SeqTracker, decode_frame, encode_frame};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

const FIXTURES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../fixtures/opencode-1.18.33"
);

/// `(scenario.kind, line)` of every recording whose name ends so.
fn recordings(kinds: &[&str]) -> Vec<(String, Vec<String>)> {
    let mut files: Vec<_> = fs::read_dir(Path::new(FIXTURES))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let wanted = |name: &str| kinds.iter().any(|kind| name.ends_with(&format!(".{kind}")));
    files
        .into_iter()
        .filter(|file| {
            file.extension()
                .is_some_and(|extension| extension == "jsonl")
        })
        .map(|file| (file.file_stem().unwrap().to_str().unwrap().to_owned(), file))
        .filter(|(name, _)| wanted(name))
        .map(|(name, file)| {
            (
                name,
                fs::read_to_string(file)
                    .unwrap()
                    .lines()
                    .map(str::to_owned)
                    .collect(),
            )
        })
        .collect()
}

fn name_of(event: &Event) -> String {
    let debug = format!("{event:?}");
    debug
        .split(|c: char| !c.is_alphanumeric())
        .next()
        .unwrap()
        .to_owned()
}

#[test]
fn every_recorded_line_decodes_and_encodes_to_an_equal_value() {
    let mut lines = 0;
    for (name, recording) in recordings(&["classic", "global", "v2", "v2-session"]) {
        for (number, line) in recording.iter().enumerate() {
            let frame =
                decode_frame(line).unwrap_or_else(|error| panic!("{name}:{number}: {error}"));
            let mut wanted: Value = serde_json::from_str(line).unwrap();
            if matches!(frame.event, Event::Sync { .. }) {
                wanted["payload"]["syncEvent"]
                    .as_object_mut()
                    .unwrap()
                    .remove("data");
            }
            assert_eq!(encode_frame(&frame), wanted, "{name}:{number}");
            lines += 1;
        }
    }
    assert!(
        lines > 4000,
        "only {lines} lines: are the recordings there?"
    );
}

#[test]
fn the_variant_of_every_recorded_type_is_known() {
    let mut variants: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for kind in ["classic", "global", "v2", "v2-session"] {
        for (_, recording) in recordings(&[kind]) {
            for line in recording {
                let frame = decode_frame(&line).unwrap();
                let key = format!("{} {}", frame.kind, name_of(&frame.event));
                *variants
                    .entry(key)
                    .or_default()
                    .entry(kind.to_owned())
                    .or_default() += 1;
            }
        }
    }
    let rows: Vec<String> = variants
        .iter()
        .map(|(key, counts)| format!("{key} {counts:?}"))
        .collect();
    insta::assert_snapshot!(rows.join("\n"));
}

#[test]
fn no_classic_event_is_unknown() {
    for (name, recording) in recordings(&["classic", "global"]) {
        for line in recording {
            let frame = decode_frame(&line).unwrap();
            let v2 = frame.kind.starts_with("session.next.");
            assert!(
                v2 || !matches!(frame.event, Event::Unknown { .. }),
                "{name}: {line}"
            );
        }
    }
}

#[test]
fn a_durable_copy_repeats_an_event_that_was_sent_plainly_so_that_dropping_its_data_loses_nothing() {
    for (name, recording) in recordings(&["global"]) {
        let mut plain: HashMap<String, Value> = HashMap::new();
        let mut copies = 0;
        for line in recording {
            let wire: Value = serde_json::from_str(&line).unwrap();
            let payload = &wire["payload"];
            match decode_frame(&line).unwrap().event {
                Event::Sync { event_id, .. } => {
                    let properties = plain
                        .get(&event_id.unwrap())
                        .unwrap_or_else(|| panic!("{name}: {line}"));
                    let data = &payload["syncEvent"]["data"];
                    for (key, value) in data.as_object().unwrap() {
                        assert_eq!(properties.get(key), Some(value), "{name}: {key}");
                    }
                    copies += 1;
                }
                _ => drop(plain.insert(
                    payload["id"].as_str().unwrap().to_owned(),
                    payload["properties"].clone(),
                )),
            }
        }
        assert!(copies > 0, "{name}");
    }
}

#[test]
fn recorded_sequences_have_no_gap() {
    for (name, recording) in recordings(&["global"]) {
        let mut tracker = SeqTracker::default();
        for line in recording {
            if let Event::Sync { aggregate, seq, .. } = decode_frame(&line).unwrap().event {
                let observed = tracker.observe(&aggregate, seq);
                assert!(
                    matches!(observed, Observed::First | Observed::Next),
                    "{name}: {observed:?}"
                );
            }
        }
    }
}

/// Texts of the answers by message, from deltas and from final parts.
fn texts(frames: &[Frame]) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    use open_cowork_opencode::model::PartBody;
    let (mut streamed, mut closed) = (BTreeMap::<String, String>::new(), BTreeMap::new());
    for frame in frames {
        match &frame.event {
            Event::PartDelta {
                message,
                part,
                delta,
                ..
            } => {
                streamed
                    .entry(format!("{message} {part}"))
                    .or_default()
                    .push_str(delta);
            }
            Event::PartUpdated(part) => {
                if let PartBody::Text {
                    text,
                    time: Some(time),
                    ..
                }
                | PartBody::Reasoning {
                    text,
                    time: Some(time),
                    ..
                } = &part.body
                    && time.end.is_some()
                {
                    closed.insert(format!("{} {}", part.message_id, part.id), text.clone());
                }
            }
            _ => {}
        }
    }
    (streamed, closed)
}

#[test]
fn text_of_both_generations_reads_alike() {
    for scenario in ["plain-text", "reasoning", "multistep"] {
        for kind in ["classic", "v2"] {
            let name = format!("{scenario}.{kind}");
            let lines = recordings(&[kind])
                .into_iter()
                .find(|(file, _)| *file == name)
                .unwrap()
                .1;
            let frames: Vec<Frame> = lines
                .iter()
                .map(|line| decode_frame(line).unwrap())
                .collect();
            assert!(
                frames
                    .iter()
                    .any(|frame| (frame.envelope.shape == Shape::V2) == (kind == "v2"))
            );
            let (streamed, closed) = texts(&frames);
            assert!(!streamed.is_empty(), "{name}");
            for (part, text) in streamed {
                assert_eq!(closed.get(&part), Some(&text), "{name}");
            }
        }
    }
}
