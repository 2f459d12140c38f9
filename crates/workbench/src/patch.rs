//! What to change on an open page after some events.
//!
//! Events only say what was touched; what is sent is rendered from the thread's current state. So a patch can
//! be applied twice, events that this version doesn't know do no harm, and a page that missed frames is right
//! again after the patches from its last sequence on.

use crate::markdown::Growing;
use crate::render::{self, Context, Facts};
use crate::timeline::{self, Body, Item};
use crate::workspace::ThreadState;
use open_cowork_contracts::{EventType, SessionEventRecord};
use serde::Serialize;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// One change of the page. The script applies them in order.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub(crate) enum Op {
    /// Puts an item of the timeline: replaces the element with that id, or inserts it by its order.
    Put {
        id: String,
        order: f64,
        html: String,
    },
    /// Removes an item.
    Remove { id: String },
    /// Removes what is not listed: the items at or after `from`, and older ones that still offer a form.
    Keep { ids: Vec<String>, from: f64 },
    /// Replaces the blocks of an answer from index `from` on.
    Tail {
        id: String,
        from: usize,
        blocks: Vec<String>,
    },
    /// Replaces what is inside a region.
    Region { id: String, html: String },
    /// Says whether the transcript grows at the moment.
    Busy { on: bool },
    /// Names the window.
    Title { text: String },
    /// Puts a row of the rail or of the chat list.
    Row { id: String, html: String },
}

/// What some events touched.
#[derive(Clone, Debug, Default)]
pub(crate) struct Touched {
    ids: HashSet<String>,
    /// Messages whose text may have changed other than by growing.
    replaced: HashSet<String>,
    first: u64,
    last: u64,
    files: bool,
}

/// Payload keys that name what an event is about (01 §2.1).
const ID_KEYS: [&str; 10] = [
    "messageId",
    "id",
    "callId",
    "toolCallId",
    "taskRunId",
    "permissionId",
    "requestId",
    "requestID",
    "questionId",
    "commandId",
];

impl Touched {
    /// Notes one event.
    pub(crate) fn add(&mut self, event: &SessionEventRecord) {
        if self.first == 0 {
            self.first = event.sequence;
        }
        self.last = event.sequence;
        self.files |= matches!(event.kind, EventType::ToolCall | EventType::TaskRun);
        let appends = event.payload.get("mode").and_then(Value::as_str) == Some("append");
        for id in ID_KEYS
            .iter()
            .filter_map(|key| event.payload.get(*key))
            .filter_map(Value::as_str)
        {
            let id = id.trim();
            if event.kind == EventType::AssistantMessage && !appends {
                self.replaced.insert(id.to_owned());
            }
            self.ids.insert(id.to_owned());
        }
    }

    /// Sequence of the last event.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    fn has(&self, entry: &timeline::Entry<'_>) -> bool {
        (self.first as f64..=self.last as f64).contains(&entry.order)
            || entry.any_id(|id| self.ids.contains(id.trim()))
    }
}

/// What one open page holds, as far as patches need to know.
#[derive(Debug, Default)]
pub(crate) struct OpenPage {
    /// Items of the last batch; `None` before the first.
    known: Option<HashMap<String, Known>>,
    growing: HashMap<String, Growing>,
    regions: HashMap<&'static str, u64>,
    facts: Option<Facts>,
}

/// An item as of the last batch.
#[derive(Clone, Copy, Debug)]
struct Known {
    order: f64,
    shape: u64,
    waits: bool,
    /// This stream sent it. What it didn't send, the page may hold from its first load, or not at all: the first
    /// batch is rendered from a state that may be ahead of it.
    sent: bool,
}

/// What a batch needs from the thread, copied out so that rendering doesn't hold the log.
pub(crate) struct Draft {
    items: Vec<Item>,
    removals: Vec<Op>,
    new: HashSet<String>,
    facts: Facts,
}

impl OpenPage {
    /// Copies what changed. Quick: looks at the newest `limit` items only.
    pub(crate) fn collect(
        &mut self,
        state: &ThreadState<'_>,
        touched: &Touched,
        limit: usize,
    ) -> Draft {
        let (entries, earlier) = timeline::entries(state, None, limit);
        let first_batch = self.known.is_none();
        let known = self.known.take().unwrap_or_default();

        let mut now = HashMap::with_capacity(entries.len());
        let mut items = Vec::new();
        let mut new = HashSet::new();
        for entry in &entries {
            let (order, shape, waits) = (entry.order, entry.shape(), entry.waits());
            let before = known.get(&entry.key);
            let sent = before.is_some_and(|known| known.sent);
            let changed = match before {
                Some(known) => known.order != order || known.shape != shape,
                None => !first_batch,
            };
            let unsure = first_batch && entry.depends_on_others();
            if !(touched.has(entry) || unsure || changed) {
                now.insert(
                    entry.key.clone(),
                    Known {
                        order,
                        shape,
                        waits,
                        sent,
                    },
                );
                continue;
            }
            if !sent || entry.any_id(|id| touched.replaced.contains(id)) {
                self.growing.remove(&entry.key);
                new.insert(entry.key.clone());
            }
            let skip = self
                .growing
                .get(&entry.key)
                .map_or(0, |growing| growing.stable);
            items.push(entry.to_item(skip));
            now.insert(
                entry.key.clone(),
                Known {
                    order,
                    shape,
                    waits,
                    sent: true,
                },
            );
        }

        // Items that only left the window are older than everything in it; they stay on the page.
        let oldest = timeline::oldest(&entries).unwrap_or(f64::MAX);
        let from = if earlier { oldest } else { 0.0 };
        let removals = if first_batch {
            let ids = entries.iter().map(|entry| entry.key.clone()).collect();
            vec![Op::Keep { ids, from }]
        } else {
            known
                .iter()
                .filter(|(key, item)| !now.contains_key(*key) && (item.waits || item.order >= from))
                .map(|(key, _)| Op::Remove { id: key.clone() })
                .collect()
        };
        self.growing.retain(|key, _| now.contains_key(key));
        self.known = Some(now);
        let before = if touched.files {
            None
        } else {
            self.facts.as_ref()
        };
        Draft {
            items,
            removals,
            new,
            facts: Facts::take(state, before),
        }
    }

    /// Renders a draft. The second value names messages that must be read once more, from their start.
    pub(crate) fn render(&mut self, context: &Context, draft: Draft) -> (Vec<Op>, Touched) {
        let mut ops = draft.removals;
        let mut again = Touched::default();
        for item in draft.items {
            let id = item.key.clone();
            let Body::Answer { text, skip } = &item.body else {
                ops.push(Op::Put {
                    id,
                    order: item.order,
                    html: render::item(context, &item).into_string(),
                });
                continue;
            };
            let growing = self.growing.entry(id.clone()).or_default();
            if growing.stable != *skip {
                *growing = Growing::default();
            }
            let Some(tail) = growing.advance(text) else {
                again.ids.insert(id.trim_start_matches("m-").to_owned());
                continue;
            };
            if draft.new.contains(&id) {
                let html = render::answer_shell(&id, item.order, &[]).into_string();
                ops.push(Op::Put {
                    id: id.clone(),
                    order: item.order,
                    html,
                });
            }
            let blocks = tail
                .blocks
                .iter()
                .map(|block| render::block(block).into_string())
                .collect();
            ops.push(Op::Tail {
                id: format!("{id}-md"),
                from: tail.from,
                blocks,
            });
        }

        for (name, markup) in render::regions(context, &draft.facts) {
            let html = markup.into_string();
            if self.changed(name, &html) {
                ops.push(Op::Region {
                    id: name.to_owned(),
                    html,
                });
            }
        }
        if self.changed("busy", if draft.facts.working { "on" } else { "off" }) {
            ops.push(Op::Busy {
                on: draft.facts.working,
            });
        }
        let text = render::title_text(&draft.facts);
        if self.changed("title", &text) {
            ops.push(Op::Title { text });
        }
        self.facts = Some(draft.facts);
        (ops, again)
    }

    fn changed(&mut self, name: &'static str, html: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        html.hash(&mut hasher);
        let hash = hasher.finish();
        self.regions.insert(name, hash) != Some(hash)
    }
}

impl Touched {
    /// Nothing to read again.
    pub(crate) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

#[cfg(test)]
mod tests;
