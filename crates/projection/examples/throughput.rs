//! How fast events fold, on one core: `cargo run --release -p open-cowork-projection --example throughput`.
//!
//! A turn is 1 prompt, 8 tool events with small input and output (sanitized while folding), 60 text deltas of
//! about 40 bytes, 1 cost and 1 idle. Printed: events per second, the time per event at 100 000 events against
//! 1 000, and parsing plus folding against parsing alone.

use open_cowork_contracts::{EventType, RuntimeEvent, Session, SessionEventRecord};
use open_cowork_projection::Projector;
use open_cowork_projection::sanitize::{Redaction, Redactor};
use serde_json::{Value, json};
use std::hint::black_box;
use std::time::{Duration, Instant};

const ROUNDS: usize = 7;
const EVENTS_PER_TURN: usize = 71;

fn main() {
    let session = session();
    let events = thread(100_000);
    let per_event = |time: Duration| time.as_nanos() as f64 / events.len() as f64;
    let arriving = (0..ROUNDS)
        .map(|_| fold_arriving(&session, &events))
        .min()
        .unwrap_or_default();
    // Both read the same events from cold memory: only the length of the thread differs.
    let long_time = best(|| fold(&session, &events));
    let short_time = best(|| {
        events
            .chunks(1_000)
            .for_each(|events| fold(&session, events))
    });
    for (how, time) in [
        ("as they arrive", arriving),
        ("from cold memory", long_time),
    ] {
        let nanoseconds = per_event(time);
        println!(
            "fold {how}: {:.2} million events/s, {nanoseconds:.0} ns/event (limit 3.00)",
            1e3 / nanoseconds
        );
    }
    println!(
        "length: {:.0} ns/event at 1 000 events, {:.0} at 100 000: ratio {:.2} (limit 1.3)",
        per_event(short_time),
        per_event(long_time),
        per_event(long_time) / per_event(short_time)
    );

    let lines: Vec<String> = events
        .iter()
        .filter_map(|event| serde_json::to_string(event).ok())
        .collect();
    let parse = best(|| {
        for line in &lines {
            black_box(serde_json::from_str::<SessionEventRecord>(line).ok());
        }
    });
    let both = best(|| {
        let mut projector = Projector::new(&session);
        for line in &lines {
            if let Ok(event) = serde_json::from_str(line) {
                projector.apply(&session, &event);
            }
        }
        black_box(projector.view());
    });
    println!(
        "parse: {:.0} ns/event, parse and fold {:.0}: ratio {:.2} (limit 1.6)",
        per_event(parse),
        per_event(both),
        both.as_secs_f64() / parse.as_secs_f64()
    );
    kinds(&session, &events);
    strings();
}

fn fold(session: &Session, events: &[SessionEventRecord]) {
    let mut projector = Projector::new(session);
    for event in events {
        projector.apply(session, event);
    }
    black_box(projector.view());
}

/// Folding alone, of events that were made a moment ago, as a log does it: turn by turn.
fn fold_arriving(session: &Session, events: &[SessionEventRecord]) -> Duration {
    let mut projector = Projector::new(session);
    let mut spent = Duration::ZERO;
    for turn in events.chunks(EVENTS_PER_TURN) {
        let turn = turn.to_vec();
        let started = Instant::now();
        for event in &turn {
            projector.apply(session, event);
        }
        spent += started.elapsed();
    }
    black_box(projector.view());
    spent
}

/// Where the time goes: only the events of one type.
fn kinds(session: &Session, events: &[SessionEventRecord]) {
    for kind in [
        EventType::AssistantMessage,
        EventType::ToolCall,
        EventType::PromptSubmitted,
        EventType::CostUpdated,
    ] {
        let only: Vec<SessionEventRecord> = events
            .iter()
            .filter(|event| event.kind == kind)
            .cloned()
            .collect();
        let time = best(|| fold(session, &only));
        println!(
            "  {kind}: {:.0} ns/event",
            time.as_nanos() as f64 / only.len() as f64
        );
    }
}

/// What the redactor costs for ordinary strings.
fn strings() {
    let redactor = Redactor::default();
    for text in [
        "cargo test -p app: 12 passed; 0 failed",
        "fn main() { let x = a.b(); println!(\"{x:?}\"); } // see src/main.rs and lib.rs",
        "The quick brown fox jumps over the lazy dog, then reads src/main.rs: it has 200 lines, of which 30 are \
         comments, and half_done work is listed under a task-list that nobody has looked at for two weeks now.",
    ] {
        let time = best(|| {
            for _ in 0..10_000 {
                black_box(redactor.redact(black_box(text), Redaction::Full));
            }
        });
        println!(
            "  redact {} bytes: {:.0} ns",
            text.len(),
            time.as_nanos() as f64 / 10_000.0
        );
    }

    let listing =
        "/home/me/project/src/main.rs: see https://example.org/a?b=c, mail a@b.org\n".repeat(900);
    let time = best(|| {
        black_box(redactor.redact(black_box(&listing), Redaction::Full));
    });
    println!(
        "  redact {} bytes full of paths, URLs and addresses: {:.1} ms",
        listing.len(),
        time.as_secs_f64() * 1e3
    );
}

fn best(mut work: impl FnMut()) -> Duration {
    (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            work();
            started.elapsed()
        })
        .min()
        .unwrap_or_default()
}

fn session() -> Session {
    Session {
        session_id: "3f0c9a52-thread".into(),
        title: Some("Bench".into()),
        ..Session::default()
    }
}

/// The first `count` events of an endless thread.
fn thread(count: usize) -> Vec<SessionEventRecord> {
    (0..)
        .flat_map(turn)
        .zip(1..=count as u64)
        .map(|(event, sequence)| record(event, sequence))
        .collect()
}

fn turn(number: usize) -> Vec<RuntimeEvent> {
    let message = format!("msg_01hx{number:08}");
    let mut events = vec![event(
        EventType::PromptSubmitted,
        json!({"commandId": format!("cmd{number}"), "messageId": format!("cmd{number}:user"), "text": "Please fix the failing test in the parser.", "agent": "build"}),
    )];
    for call in 0..4 {
        let id = format!("call_{number}_{call}");
        let input = json!({"filePath": "src/parser/lexer.rs", "limit": 200});
        events.push(event(
            EventType::ToolCall,
            json!({"sessionId": "ses_1", "id": id, "name": "read", "input": input, "status": "running", "agent": "build"}),
        ));
        events.push(event(
            EventType::ToolCall,
            json!({
                "sessionId": "ses_1", "id": id, "name": "read", "input": input, "status": "complete", "agent": "build",
                "output": "pub fn lex(source: &str) -> Vec<Token> {\n    let mut out = Vec::new();\n    out\n}\n"
            }),
        ));
    }
    for delta in 0..60 {
        events.push(event(
            EventType::AssistantMessage,
            json!({"sessionId": "ses_1", "messageId": message, "content": format!("the lexer skips one token too many {delta:04} "), "mode": "append"}),
        ));
    }
    events.push(event(
        EventType::CostUpdated,
        json!({"id": format!("{message}:step"), "cost": 0.0123, "tokens": {"input": 1200, "output": 300, "reasoning": 0, "cache": {"read": 800, "write": 0}}}),
    ));
    events.push(event(EventType::SessionIdle, json!({})));
    events
}

fn event(kind: EventType, payload: Value) -> RuntimeEvent {
    RuntimeEvent::new(kind, payload)
}

fn record(event: RuntimeEvent, sequence: u64) -> SessionEventRecord {
    SessionEventRecord {
        tenant_id: Some("local".into()),
        session_id: Some("3f0c9a52-thread".into()),
        event_id: Some(format!("3f0c9a52-thread:{sequence}").into()),
        sequence,
        kind: event.kind,
        payload: event.payload,
        created_at: "2026-01-01T00:00:07.000Z".to_owned(),
        extra: Default::default(),
    }
}
