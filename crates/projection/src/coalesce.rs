//! Fewer events for the same streamed text (01 §11.1, decision 12). Sans I/O: the caller owns the clock and
//! the timer, and routes what comes out, in order.
//!
//! Text deltas (`assistant.message` and `task.message` with mode `append`) of one message are joined. The
//! first delta of a message goes out at once and opens a window; what arrives inside the window goes out as
//! one event at its end, which opens the next one. So a reader sees the first token immediately and then at
//! most one event per window and message. The end of a window is fixed when it opens: more text doesn't move
//! it. Every other event of the thread first flushes what is buffered, so nothing is ever reordered around it.
//!
//! A joined event has **no event id**: which deltas it holds depends on timing, so an id of one of them would
//! name different content after a restart (01 §16 #15). The log names it `<session>:<sequence>`. A delta that
//! goes out alone keeps its id.

use crate::coerce;
use open_cowork_contracts::{EventType, JsonObject, RuntimeEvent};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// The window of the contract, milliseconds.
pub const WINDOW_MS: u64 = 60;
/// Buffered text goes out early at this size, so that the sanitizer (65 536 bytes per string) never cuts it.
pub const MAX_BUFFERED_BYTES: usize = 32_768;

/// Joins text deltas per thread. `K` names a thread; a change of provenance (another lease, another run) is
/// the caller's to announce by [`Coalescer::flush`].
#[derive(Debug)]
pub struct Coalescer<K> {
    window_ms: u64,
    threads: HashMap<K, Vec<Lane>>,
    /// Buffers by the end of their window. Lanes without a buffer aren't listed.
    deadlines: BTreeMap<(u64, u64), K>,
    /// Tells windows with the same end apart.
    windows_opened: u64,
}

/// The text stream of the root agent or of one sub-agent: at most one message at a time.
#[derive(Debug)]
struct Lane {
    /// `None` for the root agent.
    task_run_id: Option<String>,
    message_id: String,
    /// End of the window and its number.
    window: (u64, u64),
    buffer: Option<RuntimeEvent>,
}

impl<K: Clone + Eq + Hash> Coalescer<K> {
    /// A coalescer with a window in milliseconds, normally [`WINDOW_MS`].
    pub fn new(window_ms: u64) -> Self {
        Coalescer {
            window_ms,
            threads: HashMap::new(),
            deadlines: BTreeMap::new(),
            windows_opened: 0,
        }
    }

    /// Takes one event of a thread; returns what has to be routed now, in order. `now` is a monotonic time in
    /// milliseconds.
    pub fn push(&mut self, now: u64, key: &K, event: RuntimeEvent) -> Vec<RuntimeEvent> {
        let Some(delta) = Delta::of(&event) else {
            let mut out = self.flush(key);
            out.push(event);
            return out;
        };
        let opening = self.next_window(now);
        if !self.threads.contains_key(key) {
            self.threads.insert(key.clone(), Vec::new());
        }
        let Some(lanes) = self.threads.get_mut(key) else {
            return vec![event]; // it was just inserted
        };
        let known = lanes
            .iter()
            .position(|lane| lane.task_run_id.as_deref() == delta.task_run_id);
        let at = known.unwrap_or_else(|| {
            lanes.push(Lane::closed(&delta));
            lanes.len() - 1
        });
        let lane = &mut lanes[at];
        let mut out = Vec::new();
        let is_new_message = lane.message_id != delta.message_id;
        if is_new_message {
            delta.message_id.clone_into(&mut lane.message_id);
        }
        if is_new_message || now >= lane.window.0 {
            // A buffer of the old message goes first; one whose tick is late takes the delta along.
            if let Some(mut buffered) = lane.buffer.take() {
                self.deadlines.remove(&lane.window);
                if can_join(&buffered, &event) {
                    join(&mut buffered, &event);
                    lane.window = opening;
                    out.push(buffered);
                    return out;
                }
                out.push(buffered);
            }
            lane.window = opening;
            out.push(event);
            return out;
        }
        match &mut lane.buffer {
            Some(buffer) if can_join(buffer, &event) => join(buffer, &event),
            Some(_) => out.extend(lane.buffer.replace(event)),
            None => {
                self.deadlines.insert(lane.window, key.clone());
                lane.buffer = Some(event);
            }
        }
        out
    }

    /// When [`Coalescer::tick`] is due, in the time of `push`; `None` when nothing is buffered.
    pub fn deadline(&self) -> Option<u64> {
        self.deadlines.first_key_value().map(|((at, _), _)| *at)
    }

    /// What is due at `now`, in the order in which the windows end.
    pub fn tick(&mut self, now: u64) -> Vec<(K, RuntimeEvent)> {
        let mut out = Vec::new();
        while let Some(due) = self
            .deadlines
            .first_entry()
            .filter(|entry| entry.key().0 <= now)
        {
            let (window, key) = due.remove_entry();
            let next = self.next_window(now);
            let lanes = self.threads.get_mut(&key).into_iter().flatten();
            for lane in lanes.filter(|lane| lane.window == window) {
                lane.window = next;
                out.extend(lane.buffer.take().map(|event| (key.clone(), event)));
            }
        }
        // A lane whose window is over and that holds nothing says nothing: the next delta goes out at once.
        self.threads.retain(|_, lanes| {
            lanes.retain(|lane| lane.buffer.is_some() || now < lane.window.0);
            !lanes.is_empty()
        });
        out
    }

    /// Everything that is buffered of one thread. Its next delta goes out at once.
    pub fn flush(&mut self, key: &K) -> Vec<RuntimeEvent> {
        let lanes = self.threads.remove(key).unwrap_or_default();
        for lane in &lanes {
            self.deadlines.remove(&lane.window);
        }
        lanes.into_iter().filter_map(|lane| lane.buffer).collect()
    }

    /// Everything that is buffered, for shutdown.
    pub fn flush_all(&mut self) -> Vec<(K, RuntimeEvent)> {
        self.deadlines.clear();
        let threads = std::mem::take(&mut self.threads);
        let lanes = threads
            .into_iter()
            .flat_map(|(key, lanes)| lanes.into_iter().map(move |lane| (key.clone(), lane)));
        lanes
            .filter_map(|(key, lane)| Some((key, lane.buffer?)))
            .collect()
    }

    fn next_window(&mut self, now: u64) -> (u64, u64) {
        self.windows_opened += 1;
        (now.saturating_add(self.window_ms), self.windows_opened)
    }
}

impl Lane {
    fn closed(delta: &Delta<'_>) -> Self {
        Lane {
            task_run_id: delta.task_run_id.map(str::to_owned),
            message_id: delta.message_id.to_owned(),
            window: (0, 0),
            buffer: None,
        }
    }
}

/// An event that may be joined with its neighbours.
struct Delta<'a> {
    task_run_id: Option<&'a str>,
    message_id: &'a str,
}

impl<'a> Delta<'a> {
    fn of(event: &'a RuntimeEvent) -> Option<Self> {
        let p = &event.payload;
        let task_run_id = match event.kind {
            EventType::AssistantMessage => None,
            EventType::TaskMessage => Some(coerce::text(p.get("taskRunId"))?),
            _ => return None,
        };
        if p.get("mode")? != "append" || !p.get("content")?.is_string() {
            return None;
        }
        // Without an id the reducer makes one message per event: joining would change the view.
        Some(Delta {
            task_run_id,
            message_id: coerce::text(p.get("messageId"))?,
        })
    }
}

fn content(payload: &JsonObject) -> &str {
    payload
        .get("content")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// True when only the text differs and the joined text stays small.
fn can_join(buffer: &RuntimeEvent, event: &RuntimeEvent) -> bool {
    let (old, new) = (&buffer.payload, &event.payload);
    content(old).len() + content(new).len() <= MAX_BUFFERED_BYTES
        && old.len() == new.len()
        && new
            .iter()
            .all(|(key, value)| key == "content" || old.get(key) == Some(value))
}

fn join(buffer: &mut RuntimeEvent, event: &RuntimeEvent) {
    if let Some(Value::String(text)) = buffer.payload.get_mut("content") {
        text.push_str(content(&event.payload));
    }
    buffer.event_id = None;
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value)] // JSON literals read better without a borrow
mod tests {
    use super::*;
    use serde_json::json;

    fn delta(message: &str, text: &str) -> RuntimeEvent {
        RuntimeEvent::new(
            EventType::AssistantMessage,
            json!({"messageId": message, "content": text, "mode": "append"}),
        )
    }

    fn sub_delta(task: &str, message: &str, text: &str) -> RuntimeEvent {
        RuntimeEvent::new(
            EventType::TaskMessage,
            json!({"taskRunId": task, "messageId": message, "content": text, "mode": "append"}),
        )
    }

    fn texts(events: &[RuntimeEvent]) -> Vec<&str> {
        events.iter().map(|event| content(&event.payload)).collect()
    }

    #[test]
    fn the_first_delta_goes_out_at_once_and_the_rest_at_the_end_of_the_window() {
        let mut c = Coalescer::new(WINDOW_MS);
        assert_eq!(texts(&c.push(100, &"s", delta("m", "a"))), ["a"]);
        assert_eq!(c.deadline(), None);
        assert!(c.push(110, &"s", delta("m", "b")).is_empty());
        assert!(c.push(159, &"s", delta("m", "c")).is_empty());
        assert_eq!(c.deadline(), Some(160), "more text doesn't move the window");
        assert!(c.tick(159).is_empty());
        let out = c.tick(160);
        assert_eq!(
            (out.len(), out[0].0, content(&out[0].1.payload)),
            (1, "s", "bc")
        );
        assert!(c.push(161, &"s", delta("m", "d")).is_empty());
        assert_eq!(c.deadline(), Some(220));
    }

    #[test]
    fn a_delta_between_the_end_of_the_window_and_a_late_tick_goes_with_the_buffer() {
        let mut c = Coalescer::new(WINDOW_MS);
        assert_eq!(texts(&c.push(100, &"s", delta("m", "a"))), ["a"]);
        assert!(c.push(110, &"s", delta("m", "b")).is_empty());
        assert_eq!(texts(&c.push(163, &"s", delta("m", "c"))), ["bc"]);
        assert!(c.tick(164).is_empty() && c.deadline().is_none());
        assert!(
            c.push(170, &"s", delta("m", "d")).is_empty(),
            "the next window is open"
        );
    }

    #[test]
    fn a_delta_after_a_quiet_window_goes_out_at_once() {
        let mut c = Coalescer::new(WINDOW_MS);
        c.push(0, &"s", delta("m", "a"));
        assert_eq!(texts(&c.push(60, &"s", delta("m", "b"))), ["b"]);
    }

    #[test]
    fn another_message_flushes_the_old_one_first() {
        let mut c = Coalescer::new(WINDOW_MS);
        c.push(0, &"s", delta("m", "a"));
        c.push(1, &"s", delta("m", "b"));
        assert_eq!(texts(&c.push(2, &"s", delta("n", "x"))), ["b", "x"]);
        assert_eq!(c.deadline(), None);
    }

    #[test]
    fn any_other_event_flushes_its_thread_and_only_that() {
        let mut c = Coalescer::new(WINDOW_MS);
        for key in ["s", "t"] {
            c.push(0, &key, delta("m", "a"));
            c.push(1, &key, delta("m", "b"));
        }
        let out = c.push(2, &"s", RuntimeEvent::new(EventType::ToolCall, json!({})));
        assert_eq!(out.len(), 2);
        assert_eq!(
            (content(&out[0].payload), &out[1].kind),
            ("b", &EventType::ToolCall)
        );
        assert_eq!(c.deadline(), Some(60));
        assert_eq!(c.flush_all().len(), 1);
        assert_eq!(c.deadline(), None);
    }

    #[test]
    fn a_replace_and_a_delta_without_a_message_are_not_joined() {
        let mut c = Coalescer::new(WINDOW_MS);
        c.push(0, &"s", delta("m", "a"));
        c.push(1, &"s", delta("m", "b"));
        let replace = RuntimeEvent::new(
            EventType::AssistantMessage,
            json!({"messageId": "m", "content": "ab!"}),
        );
        assert_eq!(texts(&c.push(2, &"s", replace)), ["b", "ab!"]);
        let nameless = RuntimeEvent::new(
            EventType::AssistantMessage,
            json!({"content": "x", "mode": "append"}),
        );
        assert_eq!(texts(&c.push(3, &"s", nameless)), ["x"]);
    }

    #[test]
    fn sub_agents_stream_beside_the_root_without_flushing_each_other() {
        let mut c = Coalescer::new(WINDOW_MS);
        c.push(0, &"s", delta("m", "a"));
        c.push(0, &"s", sub_delta("k1", "n", "b"));
        c.push(0, &"s", sub_delta("k2", "n", "c"));
        assert!(c.push(1, &"s", delta("m", "A")).is_empty());
        assert!(c.push(2, &"s", sub_delta("k1", "n", "B")).is_empty());
        assert!(c.push(3, &"s", sub_delta("k2", "n", "C")).is_empty());
        let out: Vec<RuntimeEvent> = c.tick(60).into_iter().map(|(_, event)| event).collect();
        assert_eq!(texts(&out), ["A", "B", "C"]);
    }

    #[test]
    fn joined_deltas_have_no_event_id_and_a_lone_one_keeps_its_own() {
        let mut c = Coalescer::new(WINDOW_MS);
        c.push(0, &"s", delta("m", "a").with_id("e1"));
        c.push(1, &"s", delta("m", "b").with_id("e2"));
        assert_eq!(c.flush(&"s")[0].event_id, Some("e2".into()));
        c.push(2, &"s", delta("m", "a").with_id("e3"));
        c.push(3, &"s", delta("m", "b").with_id("e4"));
        c.push(4, &"s", delta("m", "c").with_id("e5"));
        assert_eq!(c.flush(&"s")[0].event_id, None);
    }

    #[test]
    fn deltas_that_differ_in_another_field_are_not_joined() {
        let mut c = Coalescer::new(WINDOW_MS);
        c.push(0, &"s", delta("m", "a"));
        c.push(1, &"s", delta("m", "b"));
        let mut other = delta("m", "c");
        other.payload.insert("sessionId".into(), "x".into());
        assert_eq!(texts(&c.push(2, &"s", other)), ["b"]);
        assert_eq!(texts(&c.flush(&"s")), ["c"]);
    }

    #[test]
    fn buffered_text_never_grows_beyond_what_the_sanitizer_keeps() {
        let mut c = Coalescer::new(WINDOW_MS);
        c.push(0, &"s", delta("m", "a"));
        let half = "x".repeat(MAX_BUFFERED_BYTES / 2);
        let out: Vec<RuntimeEvent> = (0..9)
            .flat_map(|_| c.push(1, &"s", delta("m", &half)))
            .collect();
        assert_eq!(out.len(), 4);
        assert!(
            out.iter()
                .all(|event| content(&event.payload).len() <= MAX_BUFFERED_BYTES)
        );
    }

    #[test]
    fn a_finished_thread_leaves_nothing_behind() {
        let mut c = Coalescer::new(WINDOW_MS);
        c.push(0, &"s", delta("m", "a"));
        c.push(1, &"s", delta("m", "b"));
        c.tick(60);
        c.tick(200);
        assert!(c.threads.is_empty() && c.deadlines.is_empty());
    }
}
