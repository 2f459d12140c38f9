//! What recovery needs of the translator's state (see [`crate::recover`]).

use super::*;

impl Translator {
    /// Forgets everything but the identity, the current turn and what we answered; `asks` is what the view
    /// shows as pending.
    pub(crate) fn start_over(&mut self, asks: Vec<(String, Ask)>) {
        let error = self
            .lanes
            .get_mut(&self.root)
            .and_then(|lane| lane.error.take());
        self.lanes.clear();
        self.children.clear();
        self.lanes.insert(
            self.root.clone(),
            Lane {
                error,
                ..Lane::default()
            },
        );
        self.asks = asks.into_iter().collect();
    }

    pub(crate) fn adopt(&mut self, session: &str, lane: Lane) {
        self.children.push(session.to_owned());
        self.lanes.insert(session.to_owned(), lane);
    }

    pub(crate) fn lane_mut(&mut self, session: &str) -> Option<&mut Lane> {
        self.lanes.get_mut(session)
    }

    pub(crate) fn task_id(&self, session: &str) -> Option<String> {
        self.task_of(session).map(|task| task.id.clone())
    }

    pub(crate) fn set_turn(&mut self, active: bool, held: bool) {
        self.turn.active = active;
        self.turn.held = held;
        self.turn.unstarted = false; // history tells
    }

    /// The root failed without an answer that says so.
    pub(crate) fn root_failed(&self) -> bool {
        self.lanes
            .get(&self.root)
            .is_some_and(|lane| lane.error.is_some())
    }

    pub(crate) fn thread_event(&self, kind: EventType, payload: Value) -> RuntimeEvent {
        self.event(kind, payload)
    }

    pub(crate) fn status_event(&self, status: &str) -> RuntimeEvent {
        self.event(EventType::SessionStatus, json!({ "statusType": status }))
    }

    pub(crate) fn apply_session(&mut self, info: &SessionInfo) -> Vec<RuntimeEvent> {
        let mut out = Out {
            frame: None,
            events: Vec::new(),
        };
        self.session_info(info, &mut out);
        out.events
    }

    pub(crate) fn apply_message(&mut self, message: &MessageWithParts) -> Vec<RuntimeEvent> {
        let mut out = Out {
            frame: None,
            events: Vec::new(),
        };
        self.message(&message.info, &mut out);
        for part in &message.parts {
            let event = Event::PartUpdated(part.clone());
            let frame = Frame::global("", "message.part.updated", event);
            self.part(part, &frame, &mut out);
        }
        out.events
    }

    pub(crate) fn set_task_status(
        &mut self,
        session: &str,
        status: &'static str,
        error: Option<&str>,
    ) -> Vec<RuntimeEvent> {
        let mut out = Out {
            frame: None,
            events: Vec::new(),
        };
        self.task_status(session, status, error, &mut out);
        out.events
    }
}
