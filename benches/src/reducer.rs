//! Folding events into a view: how fast, how it grows with the thread, and beside parsing.

use crate::figure::{Figure, Target};
use crate::thread::{self, EVENTS_PER_TURN};
use anyhow::{Context as _, ensure};
use open_cowork_contracts::{RuntimeEvent, Session, SessionEventRecord};
use open_cowork_projection::Projector;
use open_cowork_projection::sanitize::{Redactor, sanitize_event};
use open_cowork_runtime_host::translate::Forest;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

/// Recorded streams of the real OpenCode.
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/opencode-1.18.33");
/// Records of the log that is parsed.
const LOG_RECORDS: usize = 50_000;

pub(crate) fn run(quick: bool) -> anyhow::Result<Vec<Figure>> {
    let rounds = if quick { 3 } else { 15 };
    let session = thread::session();
    let events = thread::records(100_000);

    let arriving = best(rounds, || fold_arriving(&session, &events));
    // Both read the same events from cold memory: only the length of the thread differs.
    let long = best(rounds, || timed(|| fold(&session, &events)));
    let short = best(rounds, || {
        timed(|| {
            events
                .chunks(1_000)
                .for_each(|events| fold(&session, events))
        })
    });
    let per_event = |time: Duration| time.as_nanos() as f64 / events.len() as f64;

    let generated: Vec<String> = events[..LOG_RECORDS]
        .iter()
        .map(serde_json::to_string)
        .collect::<Result<_, _>>()?;
    let (parse, both) = parse_and_fold(rounds, &session, &generated);
    let recorded = recorded_log()?;
    let (recorded_parse, recorded_both) = parse_and_fold(rounds, &session, &recorded);
    let ratio = |name: &str, parse: Duration, both: Duration, lines: &[String]| {
        let ns = |time: Duration| time.as_nanos() as f64 / lines.len() as f64;
        Figure::new(name, ns(both), "ns/event").baseline(ns(parse)).note(format!(
            "baseline: serde_json into records alone; {} records of {} bytes on average; target: ratio ≤ 1.60",
            lines.len(),
            lines.iter().map(String::len).sum::<usize>() / lines.len()
        ))
    };
    let against_parse = |parse: Duration, both: Duration| both.as_secs_f64() / parse.as_secs_f64();
    Ok(vec![
        Figure::new(
            "fold as events arrive",
            1e3 / per_event(arriving),
            "million/s",
        )
        .target(Target::AtLeast(3.0))
        .note("one core; turns of 1 prompt, 8 tool events, 60 deltas of 40 bytes, 1 cost, 1 idle"),
        Figure::new("fold from cold memory", 1e3 / per_event(long), "million/s")
            .note("the same over a list far larger than the caches, as a cold load meets it"),
        Figure::new(
            "time per event, 100 000 against 1 000",
            per_event(long) / per_event(short),
            "×",
        )
        .target(Target::AtMost(1.3))
        .note(format!(
            "{:.0} ns against {:.0} ns",
            per_event(long),
            per_event(short)
        )),
        Figure::new(
            "parse and fold a recorded log",
            against_parse(recorded_parse, recorded_both),
            "× parse",
        )
        .target(Target::AtMost(1.6)),
        ratio("  recorded log", recorded_parse, recorded_both, &recorded),
        Figure::new(
            "parse and fold a generated log",
            against_parse(parse, both),
            "× parse",
        )
        .target(Target::AtMost(1.6)),
        ratio("  generated log", parse, both, &generated),
    ])
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
        spent += timed(|| {
            turn.iter()
                .for_each(|event| projector.apply(session, event))
        });
    }
    black_box(projector.view());
    spent
}

/// Parsing alone, and parsing with folding.
fn parse_and_fold(rounds: usize, session: &Session, lines: &[String]) -> (Duration, Duration) {
    let parse = || {
        for line in lines {
            black_box(serde_json::from_str::<SessionEventRecord>(line).ok());
        }
    };
    let both = || {
        let mut projector = Projector::new(session);
        for line in lines {
            if let Ok(event) = serde_json::from_str(line) {
                projector.apply(session, &event);
            }
        }
        black_box(projector.view());
    };
    // By turns, so that a busy moment of the machine meets both.
    let (mut alone, mut folded) = (Duration::MAX, Duration::MAX);
    for _ in 0..rounds {
        alone = alone.min(timed(parse));
        folded = folded.min(timed(both));
    }
    (alone, folded)
}

/// A log of what the real OpenCode sent: every recorded stream, translated and sanitized as the host and the
/// log do it, again and again under new ids until it is long enough.
fn recorded_log() -> anyhow::Result<Vec<String>> {
    let streams = recorded_streams(Path::new(FIXTURES))?;
    let redactor = Redactor::default();
    let mut log = Vec::with_capacity(LOG_RECORDS);
    for round in 0.. {
        let before = log.len();
        for stream in &streams {
            for event in translate(stream, round) {
                let payload = sanitize_event(&redactor, &event.kind, event.payload);
                let event = RuntimeEvent { payload, ..event };
                log.push(serde_json::to_string(&thread::record(
                    event,
                    log.len() as u64 + 1,
                ))?);
            }
        }
        ensure!(
            log.len() > before,
            "the recorded streams in {FIXTURES} hold no event"
        );
        if log.len() >= LOG_RECORDS {
            break;
        }
    }
    Ok(log)
}

fn recorded_streams(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut paths = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("{} can't be read", folder.display()))?
    {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.to_string_lossy().ends_with(".global.jsonl"));
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        fs::read_to_string(path).with_context(|| path.display().to_string())
    };
    paths.iter().map(read).collect()
}

/// A stream's events; ids of another round are other ids.
fn translate(stream: &str, round: usize) -> Vec<RuntimeEvent> {
    let mut forest = Forest::default();
    let mut events = Vec::new();
    for line in stream.lines() {
        let mut line = line.to_owned();
        for prefix in ["evt_", "msg_", "ses_", "prt_", "call_", "per_", "que_"] {
            line = line.replace(prefix, &format!("{prefix}{round:03}"));
        }
        events.extend(forest.line(&line).events);
    }
    events.extend(forest.finish().events);
    events
}

fn timed(work: impl FnOnce()) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}

/// The best of some rounds: what the code needs when nothing else runs.
fn best(rounds: usize, mut round: impl FnMut() -> Duration) -> Duration {
    (0..rounds).map(|_| round()).min().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_of_the_recorded_log_is_new_content_of_the_same_size() {
        let streams = recorded_streams(Path::new(FIXTURES)).unwrap();
        let text = |round| {
            let events: Vec<_> = streams
                .iter()
                .flat_map(|stream| translate(stream, round))
                .collect();
            serde_json::to_string(&events).unwrap()
        };
        let (first, second) = (text(0), text(1));
        assert!(first.len() > 100_000);
        assert_ne!(first, second);
        assert_eq!(first.len(), second.len());
    }
}
