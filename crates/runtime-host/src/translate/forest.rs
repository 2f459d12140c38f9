//! Many threads in one stream: finds the root of each session and keeps one [`Translator`] per root. A
//! host routes by its own table; this serves recorded streams, where nobody says what the roots are.

use super::Translator;
use open_cowork_contracts::RuntimeEvent;
use open_cowork_opencode::decode_frame;
use open_cowork_opencode::event::{Event, Frame};
use serde::Serialize;

/// What became of one line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Translated {
    /// Our events, in order.
    pub events: Vec<RuntimeEvent>,
    /// Why there are none (01 §9.2).
    pub dropped: Option<Dropped>,
}

/// A line without events.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Dropped {
    /// OpenCode's type, without its version suffix.
    pub sdk_event_type: Option<String>,
    /// `invalid-envelope`, `unknown-event-type` or `no-projected-events`.
    pub reason: &'static str,
}

/// Translators of all roots of a stream, in order of appearance.
#[derive(Debug, Default)]
pub struct Forest {
    trees: Vec<Translator>,
}

impl Forest {
    /// Translates one line of a stream.
    pub fn line(&mut self, line: &str) -> Translated {
        let Ok(frame) = decode_frame(line.as_bytes()) else {
            return dropped(None, "invalid-envelope");
        };
        let events = self.apply(&frame);
        if !events.is_empty() {
            return Translated {
                events,
                dropped: None,
            };
        }
        let kind = without_version(&frame.kind);
        match frame.event {
            Event::Unknown { .. } => dropped(Some(kind), "unknown-event-type"),
            _ => dropped(Some(kind), "no-projected-events"),
        }
    }

    /// Translates one frame.
    pub fn apply(&mut self, frame: &Frame) -> Vec<RuntimeEvent> {
        let Some(session) = frame.event.session() else {
            return Vec::new();
        };
        let parent = match &frame.event {
            Event::SessionCreated(info) | Event::SessionUpdated(info) => info.parent_id.as_deref(),
            _ => None,
        };
        let at = self
            .trees
            .iter()
            .position(|tree| tree.owns(session))
            .or_else(|| {
                let parent = parent?;
                self.trees.iter().position(|tree| tree.owns(parent))
            });
        let at = at.unwrap_or_else(|| {
            self.trees
                .push(Translator::new(session, None, directory_of(frame)));
            self.trees.len() - 1
        });
        self.trees[at].apply(frame)
    }

    /// The endings of all turns that are still open.
    pub fn finish(&mut self) -> Translated {
        let events = self.trees.iter_mut().flat_map(Translator::settle).collect();
        Translated {
            events,
            dropped: None,
        }
    }
}

fn directory_of(frame: &Frame) -> Option<&str> {
    match &frame.event {
        Event::SessionCreated(info) | Event::SessionUpdated(info) => info.directory.as_deref(),
        _ => frame.directory.as_deref(),
    }
}

fn dropped(kind: Option<String>, reason: &'static str) -> Translated {
    Translated {
        events: Vec::new(),
        dropped: Some(Dropped {
            sdk_event_type: kind,
            reason,
        }),
    }
}

/// `session.updated.1` → `session.updated`.
fn without_version(kind: &str) -> String {
    match kind.rsplit_once('.') {
        Some((head, tail)) if !tail.is_empty() && tail.bytes().all(|b| b.is_ascii_digit()) => {
            head.to_owned()
        }
        _ => kind.to_owned(),
    }
}
