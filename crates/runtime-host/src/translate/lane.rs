//! What the translator remembers of one runtime session: the root, or a child that runs a task.

use super::payload::ToolPhase;
use super::text::MessageText;
use open_cowork_contracts::JsonObject;
use open_cowork_opencode::event::Frame;
use open_cowork_opencode::model::{ErrorInfo, Role};
use serde_json::Value;
use std::collections::{HashMap, HashSet, VecDeque};

/// Frames of a message or part that isn't announced yet, at most so many per session (01 §12.1).
const MAX_ORPHANS: usize = 500;

/// A message of a lane.
#[derive(Clone, Debug)]
pub(crate) struct MessageState {
    pub(crate) role: Role,
    pub(crate) agent: Option<String>,
    /// Holds a compaction's summary: its text is not shown.
    pub(crate) summary: bool,
    pub(crate) text: MessageText,
}

/// A tool call as last emitted.
#[derive(Clone, Debug)]
pub(crate) struct ToolEntry {
    pub(crate) message: String,
    pub(crate) part: String,
    pub(crate) name: String,
    pub(crate) agent: Option<String>,
    pub(crate) input: JsonObject,
    pub(crate) phase: ToolPhase,
}

/// Status of a lane as last emitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pulse {
    #[default]
    Idle,
    Busy,
    /// Attempt number.
    Retry(u64),
}

/// The last answer of a lane.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastAnswer {
    pub(crate) id: String,
    pub(crate) error: Option<ErrorInfo>,
    pub(crate) completed: Option<String>,
}

/// The task that a child session runs.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    /// `child:<runtime session>`.
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) title: String,
    pub(crate) agent: Option<String>,
    /// `queued`, `running`, `complete`, `error`.
    pub(crate) status: &'static str,
    /// Why it failed, as last emitted.
    pub(crate) error: Option<String>,
}

/// State of one runtime session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lane {
    pub(crate) task: Option<Task>,
    pub(crate) messages: HashMap<String, MessageState>,
    /// Messages in order of appearance.
    pub(crate) order: Vec<String>,
    pub(crate) tools: HashMap<String, ToolEntry>,
    /// Calls in order of appearance, those that ran in the current turn.
    pub(crate) running: Vec<String>,
    pub(crate) settled_costs: HashSet<String>,
    pub(crate) todos: Option<Value>,
    pub(crate) pulse: Pulse,
    pub(crate) answer: Option<LastAnswer>,
    /// A `session.error` since the lane became busy.
    pub(crate) error: Option<ErrorInfo>,
    pub(crate) orphans: VecDeque<Frame>,
}

impl Lane {
    /// Remembers a frame until its message or part is announced; the oldest goes when there are too many
    /// (the confirming read at the end of the turn brings what is lost).
    pub(crate) fn keep_orphan(&mut self, frame: Frame) {
        if self.orphans.len() >= MAX_ORPHANS {
            self.orphans.pop_front();
        }
        self.orphans.push_back(frame);
    }

    /// Registers a message; true when it is new.
    pub(crate) fn message(&mut self, id: &str, role: Role) -> (&mut MessageState, bool) {
        let new = !self.messages.contains_key(id);
        if new {
            self.order.push(id.to_owned());
        }
        let state = self
            .messages
            .entry(id.to_owned())
            .or_insert_with(|| MessageState {
                role,
                agent: None,
                summary: false,
                text: MessageText::default(),
            });
        (state, new)
    }

    /// Drops the texts of a finished turn: only what is known stays.
    pub(crate) fn forget_turn(&mut self) {
        for message in self.messages.values_mut() {
            message.text.forget();
        }
        self.running.clear();
        self.orphans.clear();
        self.error = None;
    }
}
