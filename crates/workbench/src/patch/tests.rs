//! Patches applied to a page give the page that a fresh visit gets.

use super::*;
use crate::base_path::BasePath;
use crate::clock::Clock;
use jiff::tz::TimeZone;
use open_cowork_contracts::{Session, View};
use open_cowork_projection::Projector;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the browser holds: items in order (an answer as its shell and its blocks), regions, window title.
#[derive(Clone, Debug, Default, PartialEq)]
struct Page {
    items: Vec<(String, f64, String, Vec<String>)>,
    regions: BTreeMap<String, String>,
    title: String,
    busy: bool,
    earlier: bool,
}

impl Page {
    /// The same rules as the script's.
    fn apply(&mut self, ops: &[Op]) {
        for op in ops {
            match op {
                Op::Put { id, order, html } => {
                    let old = self.items.iter().position(|item| item.0 == *id);
                    if old.is_none()
                        && !html.contains("<form")
                        && self.earlier
                        && self.items.first().is_some_and(|first| *order < first.1)
                    {
                        continue;
                    }
                    let item = (id.clone(), *order, html.clone(), Vec::new());
                    match old {
                        Some(at) if self.items[at].1 == *order => self.items[at] = item,
                        _ => {
                            if let Some(at) = old {
                                self.items.remove(at);
                            }
                            let at = self
                                .items
                                .iter()
                                .rposition(|item| item.1 <= *order)
                                .map_or(0, |at| at + 1);
                            self.items.insert(at, item);
                        }
                    }
                }
                Op::Remove { id } => self.items.retain(|item| item.0 != *id),
                Op::Keep { ids, from } => self.items.retain(|item| {
                    ids.contains(&item.0) || (item.1 < *from && !item.2.contains("<form"))
                }),
                Op::Tail { id, from, blocks } => {
                    if let Some(item) = self
                        .items
                        .iter_mut()
                        .find(|item| format!("{}-md", item.0) == *id)
                    {
                        item.3.truncate(*from);
                        item.3.extend(blocks.iter().cloned());
                    }
                }
                Op::Region { id, html } => {
                    self.regions.insert(id.clone(), html.clone());
                }
                Op::Busy { on } => self.busy = *on,
                Op::Title { text } => self.title.clone_from(text),
                Op::Row { .. } => {}
            }
        }
    }
}

struct Log {
    session: Session,
    events: Vec<Arc<SessionEventRecord>>,
}

impl Log {
    fn new(payloads: &[(&'static str, Value)]) -> Log {
        let session = Session {
            session_id: "t1".into(),
            ..Session::default()
        };
        let events = payloads.iter().enumerate().map(|(index, (kind, payload))| {
            Arc::new(SessionEventRecord {
                tenant_id: None,
                session_id: None,
                event_id: None,
                sequence: index as u64 + 1,
                kind: EventType::parse(kind),
                payload: payload.as_object().unwrap().clone(),
                created_at: format!(
                    "2026-03-04T12:{:02}:{:02}.000Z",
                    index / 60 % 60,
                    index % 60
                ),
                extra: serde_json::Map::new(),
            })
        });
        Log {
            session,
            events: events.collect(),
        }
    }

    fn view(&self, sequence: usize) -> View {
        let mut projector = Projector::new(&self.session);
        for event in &self.events[..sequence] {
            projector.apply(&self.session, event);
        }
        projector.into_view()
    }

    fn read<T>(&self, sequence: usize, f: impl FnOnce(&ThreadState<'_>) -> T) -> T {
        let view = self.view(sequence);
        f(&ThreadState {
            session: &self.session,
            view: &view,
            sequence: sequence as u64,
            directory: "/d",
        })
    }

    /// What a fresh visit gets.
    fn fresh(&self, sequence: usize, limit: usize) -> Page {
        let context = context();
        self.read(sequence, |state| {
            let (entries, earlier) = timeline::entries(state, None, limit);
            let items = entries
                .iter()
                .map(|entry| entry.to_item(0))
                .map(|item| match &item.body {
                    Body::Answer { text, .. } => {
                        let blocks = crate::markdown::render(text);
                        let blocks = blocks
                            .iter()
                            .map(|block| render::block(block).into_string())
                            .collect();
                        (
                            item.key.clone(),
                            item.order,
                            render::answer_shell(&item.key, item.order, &[]).into_string(),
                            blocks,
                        )
                    }
                    _ => (
                        item.key.clone(),
                        item.order,
                        render::item(&context, &item).into_string(),
                        Vec::new(),
                    ),
                });
            let facts = Facts::take(state, None);
            let regions = render::regions(&context, &facts);
            Page {
                items: items.collect(),
                regions: regions
                    .into_iter()
                    .map(|(id, markup)| (id.to_owned(), markup.into_string()))
                    .collect(),
                title: render::title_text(&facts),
                busy: facts.working,
                earlier,
            }
        })
    }

    /// One batch as `live` sends it: events up to `to`, rendered from the state at `at`.
    fn batch(
        &self,
        open: &mut OpenPage,
        from: usize,
        to: usize,
        at: usize,
        limit: usize,
    ) -> Vec<Op> {
        let mut touched = Touched::default();
        self.events[from..to]
            .iter()
            .for_each(|event| touched.add(event));
        let mut ops = Vec::new();
        for _ in 0..2 {
            let draft = self.read(at, |state| open.collect(state, &touched, limit));
            let (more, again) = open.render(&context(), draft);
            ops.extend(more);
            touched = again;
            if touched.is_empty() {
                break;
            }
        }
        ops
    }
}

fn context() -> Context {
    let now = "2026-03-04T15:00:00Z".parse().unwrap();
    Context {
        base: BasePath::root(),
        chat: "t1".into(),
        csrf: "form-token".into(),
        clock: Clock {
            now,
            zone: TimeZone::UTC,
        },
    }
}

fn event() -> impl Strategy<Value = (&'static str, Value)> {
    let id = |prefix: &'static str, count: u8| (0..count).prop_map(move |n| format!("{prefix}{n}"));
    let text = prop::sample::select(vec![
        "word ",
        "\n\n",
        "# Head\n",
        "- item\n",
        "```\ncode\n",
        "```\n",
        "[a]: https://example.org\n\n",
        "[a] ",
        "  ",
        "| a |\n|-|\n",
    ]);
    // A call keeps its name: c0, c1, c2 … are always the same tools.
    let tools = [
        "read",
        "grep",
        "read",
        "bash",
        "edit",
        "task",
        "question",
        "todowrite",
    ];
    let tool = (0..tools.len()).prop_map(move |n| (format!("c{n}"), tools[n]));
    let status = prop::sample::select(vec!["running", "complete", "error"]);
    let task = prop::option::weighted(0.3, id("k", 2));
    prop_oneof![
        1 => id("u", 3).prop_map(|id| ("prompt.submitted", json!({"messageId": id, "text": "do"}))),
        1 => Just(("prompt.submitted", json!({"text": "without an id"}))),
        6 => (id("m", 3), text, prop::bool::weighted(0.9)).prop_map(|(id, text, append)| {
            ("assistant.message", json!({"messageId": id, "content": text, "mode": if append { "append" } else { "replace" }}))
        }),
        6 => (tool, status.clone(), task.clone()).prop_map(|((id, tool), status, task)| {
            ("tool.call", json!({"id": id, "name": tool, "status": status, "taskRunId": task, "output": "out",
                "input": {"filePath": "a.rs", "newString": "x\ny", "description": "Look"}}))
        }),
        2 => (id("k", 2), prop::sample::select(vec!["Look", "Other"]), status).prop_map(|(id, title, status)| {
            ("task.run", json!({"taskRunId": id, "title": title, "status": status, "merge": true}))
        }),
        1 => (id("k", 2), id("tm", 2)).prop_map(|(task, id)| {
            ("task.message", json!({"taskRunId": task, "messageId": id, "content": "found ", "mode": "append"}))
        }),
        2 => (id("p", 3), task, id("c", 8)).prop_map(|(id, task, call)| {
            ("permission.requested", json!({"permissionId": id, "taskRunId": task, "toolCallId": call, "tool": "bash",
                "description": "ls", "input": {}}))
        }),
        2 => (id("p", 3), any::<bool>()).prop_map(|(id, allowed)| {
            ("permission.resolved", json!({"permissionId": id, "allowed": allowed}))
        }),
        1 => id("q", 2).prop_map(|id| ("question.asked", json!({"requestId": id, "questions": [{"question": "Which?", "options": []}]}))),
        1 => id("q", 2).prop_map(|id| ("question.resolved", json!({"requestId": id, "answers": [["A"]]}))),
        1 => (0..3_u8).prop_map(|n| ("todos.updated", json!({"todos": vec![json!({"content": "t", "status": "completed"}); n.into()]}))),
        1 => Just(("cost.updated", json!({"cost": 0.1, "tokens": {"input": 1000}}))),
        1 => id("e", 2).prop_map(|id| ("runtime.error", json!({"id": id, "message": "429"}))),
        1 => Just(("session.idle", json!({}))),
        1 => Just(("session.status", json!({"statusType": "busy"}))),
        1 => Just(("session.aborted", json!({"reason": "interrupted"}))),
        1 => Just(("session.renamed", json!({"title": "Renamed"}))),
        1 => Just(("artifact.created", json!({"artifactId": "x", "filename": "x.pdf"}))),
        1 => Just(("later.type", json!({"id": "z"}))),
    ]
}

/// A runtime never asks twice under one id: numbers the asks, and lets an answer go to the newest open one.
fn one_ask_per_id(mut events: Vec<(&'static str, Value)>) -> Vec<(&'static str, Value)> {
    let mut open: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (index, (kind, payload)) in events.iter_mut().enumerate() {
        let (key, asks) = match *kind {
            "permission.requested" | "permission.resolved" => ("permissionId", "p"),
            "question.asked" | "question.resolved" => ("requestId", "q"),
            _ => continue,
        };
        let id = if kind.ends_with("resolved") {
            open.entry(asks)
                .or_default()
                .pop()
                .unwrap_or(format!("{asks}{index}-unknown"))
        } else {
            let id = format!("{asks}{index}");
            open.entry(asks).or_default().push(id.clone());
            id
        };
        payload[key] = json!(id);
    }
    events
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn a_patched_page_equals_a_fresh_one(
        events in prop::collection::vec(event(), 1..90),
        start in any::<prop::sample::Index>(),
        steps in prop::collection::vec((1..6_usize, 0..8_usize, prop::bool::weighted(0.15)), 90),
        limit in prop::sample::select(vec![12_usize, 1000]),
    ) {
        let log = Log::new(&one_ask_per_id(events));
        let mut delivered = start.index(log.events.len() + 1);
        let mut page = log.fresh(delivered, limit);
        let first = |page: &Page| {
            let settled = page.items.iter().find(|item| !item.2.contains("<form"));
            settled.filter(|_| page.earlier).map_or(f64::MIN, |item| item.1)
        };
        let began = first(&page);
        let mut open = OpenPage::default();
        for (size, ahead, reconnects) in steps {
            if delivered == log.events.len() {
                break;
            }
            if reconnects {
                open = OpenPage::default();
            }
            let to = (delivered + size).min(log.events.len());
            // The log may be ahead of what this batch holds.
            let at = (to + ahead).min(log.events.len());
            page.apply(&log.batch(&mut open, delivered, to, at, crate::live::PATCHED * limit));
            delivered = to;
        }
        let mut fresh = log.fresh(log.events.len(), limit);
        // A page that began with a later part of the chat leads to the earlier one by its link; what waits stays.
        let waits = |item: &(String, f64, String, Vec<String>)| item.2.contains("<form");
        let from = began.max(first(&fresh));
        page.items.retain(|item| item.1 >= from || waits(item));
        fresh.items.retain(|item| item.1 >= from || waits(item));
        page.earlier = fresh.earlier;
        let ids = |page: &Page| page.items.iter().map(|item| item.0.clone()).collect::<Vec<_>>();
        prop_assert_eq!(ids(&page), ids(&fresh), "from {}", from);
        for (ours, theirs) in page.items.iter().zip(&fresh.items) {
            prop_assert_eq!(ours, theirs);
        }
        prop_assert_eq!(page, fresh);
    }
}

#[test]
fn a_delta_costs_the_open_block_only() {
    let mut payloads = vec![("prompt.submitted", json!({"text": "go"}))];
    for _ in 0..200 {
        payloads.push(("assistant.message", json!({"messageId": "m1", "content": "A paragraph of some length.\n\n", "mode": "append"})));
    }
    payloads.push((
        "assistant.message",
        json!({"messageId": "m1", "content": "tail\n", "mode": "append"}),
    ));
    payloads.push((
        "assistant.message",
        json!({"messageId": "m1", "content": "more", "mode": "append"}),
    ));
    let log = Log::new(&payloads);
    let all = log.events.len();
    let mut open = OpenPage::default();
    log.batch(&mut open, 0, all - 1, all - 1, 100);
    let ops = log.batch(&mut open, all - 1, all, all, 100);
    let [Op::Tail { from, blocks, .. }] = ops.as_slice() else {
        panic!("{ops:?}")
    };
    assert_eq!((*from, blocks.len()), (200, 1));
    assert!(serde_json::to_string(&ops).unwrap().len() < 300);
    let growing = open.growing.get("m-m1").unwrap();
    assert_eq!(growing.closed, 200);
}

#[test]
fn nothing_changed_means_nothing_sent() {
    let log = Log::new(&[
        ("prompt.submitted", json!({"text": "go"})),
        ("later.type", json!({})),
    ]);
    let mut open = OpenPage::default();
    log.batch(&mut open, 0, 1, 1, 100);
    assert_eq!(log.batch(&mut open, 1, 2, 2, 100), []);
}

#[test]
fn a_call_waits_for_its_answer_even_when_the_state_was_ahead() {
    let log = Log::new(&[
        (
            "task.run",
            json!({"taskRunId": "k", "title": "Look", "status": "complete"}),
        ),
        (
            "tool.call",
            json!({"id": "c", "name": "bash", "status": "running", "taskRunId": "k"}),
        ),
        ("later.type", json!({})),
        (
            "permission.requested",
            json!({"permissionId": "p", "toolCallId": "c", "tool": "bash", "input": {}}),
        ),
    ]);
    let mut page = log.fresh(2, 100);
    let mut open = OpenPage::default();
    page.apply(&log.batch(&mut open, 2, 3, 4, 100));
    page.apply(&log.batch(&mut open, 3, 4, 4, 100));
    assert_eq!(page, log.fresh(4, 100));
    assert!(page.items[0].2.contains("waits for you"), "{page:?}");
}
