//! The one ending of a turn (decisions 6 and 7).

use super::*;

impl Translator {
    /// The one ending of a turn (decision 6): tools that still run end as errors, asks are withdrawn, then
    /// idle, error or aborted. Nothing when no turn is active.
    pub fn settle(&mut self) -> Vec<RuntimeEvent> {
        if !self.turn.active {
            return Vec::new();
        }
        let lane = self.lanes.get(&self.root);
        let answer = lane.and_then(|lane| lane.answer.as_ref());
        let answer_error = answer.and_then(|answer| answer.error.as_ref());
        // A `session.error` counts only when no answer tells how the turn ended.
        let lone_error = lane
            .and_then(|lane| lane.error.as_ref())
            .filter(|_| answer.is_none());
        let error = answer_error.or(lone_error).cloned();
        let (kind, payload) = if let Some(stop) = &self.turn.stop {
            (EventType::SessionAborted, stopped(stop))
        } else {
            match error {
                Some(error) if is_abort(&error) => {
                    (EventType::SessionAborted, json!({ "reason": "aborted" }))
                }
                Some(error) => {
                    let mut payload =
                        json!({ "message": error_message(&error), "name": error.name });
                    if let Some(status) = error
                        .data
                        .get("statusCode")
                        .filter(|status| status.is_number())
                    {
                        payload["statusCode"] = status.clone();
                    }
                    (EventType::RuntimeError, payload)
                }
                None => (EventType::SessionIdle, json!({})),
            }
        };
        self.end(kind, payload)
    }

    /// The ending of a turn that was cut short: OpenCode or the host died (decision 7).
    pub fn interrupt(&mut self, reason: &str) -> Vec<RuntimeEvent> {
        if !self.turn.active {
            return Vec::new();
        }
        let payload = match &self.turn.stop {
            // The stop came first and is what ended it.
            Some(stop) => stopped(stop),
            None => json!({ "reason": reason }),
        };
        self.end(EventType::SessionAborted, payload)
    }

    pub(super) fn end(&mut self, kind: EventType, payload: Value) -> Vec<RuntimeEvent> {
        let ending = self.ending_id();
        // Without a known prompt the ids would repeat from turn to turn: the log chooses them.
        let known = self.turn.admission.is_some();
        let mut out = Out {
            frame: known.then_some(ending.as_str()),
            events: Vec::new(),
        };
        let sessions: Vec<String> = std::iter::once(self.root.clone())
            .chain(self.children.iter().cloned())
            .collect();
        for session in &sessions {
            for call in self
                .lanes
                .get_mut(session)
                .map(|lane| std::mem::take(&mut lane.running))
                .unwrap_or_default()
            {
                if let Some(event) = self.interrupted_tool(session, &call) {
                    out.push(event);
                }
            }
        }
        for child in self.children.clone() {
            let open = self
                .lanes
                .get(&child)
                .and_then(|lane| lane.task.as_ref())
                .is_some_and(|task| matches!(task.status, "queued" | "running"));
            if open {
                self.task_status(&child, "error", Some("interrupted"), &mut out);
            }
        }
        for id in self.asks.keys().cloned().collect::<Vec<_>>() {
            out.events.extend(self.withdraw(&id).map(|event| {
                let stable = format!("opencode:{id}:withdrawn");
                event.with_id(stable)
            }));
        }
        let index = out.events.len();
        let mut events = out.events;
        let family = if kind == EventType::SessionIdle {
            "idle"
        } else {
            "end"
        };
        let id = match self.turn.endings {
            0 => format!(
                "opencode:{}:{family}:{}",
                self.root,
                digest(self.turn.admission.as_deref())
            ),
            n => format!(
                "opencode:{}:{family}:{}:{n}:{index}",
                self.root,
                digest(self.turn.admission.as_deref())
            ),
        };
        let event = self.event(kind, payload);
        events.push(if known { event.with_id(id) } else { event });
        for lane in self.lanes.values_mut() {
            lane.forget_turn();
            lane.pulse = Pulse::Idle;
        }
        self.rejected_in.clear();
        self.turn = Turn {
            admission: self.turn.admission.take(),
            endings: self.turn.endings + 1,
            ..Turn::default()
        };
        events
    }

    pub(super) fn ending_id(&self) -> String {
        format!(
            "{}:ending:{}:{}",
            self.root,
            digest(self.turn.admission.as_deref()),
            self.turn.endings
        )
    }

    pub(super) fn interrupted_tool(&mut self, session: &str, call: &str) -> Option<RuntimeEvent> {
        let task = self.task_of(session).map(|task| task.id.clone());
        let thread = self.thread.clone();
        let entry = self.lanes.get_mut(session)?.tools.get_mut(call)?;
        entry.phase = ToolPhase::Error;
        let mut event = tool_call(&thread, session, task.as_deref(), call, entry);
        event.payload.insert("output".into(), json!("interrupted"));
        event.payload.insert("error".into(), json!("interrupted"));
        let id = stable_id(session, &entry.message, &entry.part, "interrupted", 0);
        Some(event.with_id(id))
    }

    /// Takes an ask back: nobody can answer it any more.
    pub(crate) fn withdraw(&mut self, id: &str) -> Option<RuntimeEvent> {
        let mut event = match self.asks.get(id)?.kind {
            AskKind::Permission { .. } => self.resolve_permission(id, false, "reject")?,
            AskKind::Question => self.resolve_question(id, None)?,
        };
        event.payload.insert("reason".into(), json!("withdrawn"));
        Some(event)
    }
}

/// Payload of an ending that we asked for (decision 6).
fn stopped(stop: &StopRequest) -> Value {
    let mut payload = json!({ "reason": stop.reason });
    if let Some(message) = &stop.message {
        payload["message"] = json!(message);
    }
    if let Some(command) = &stop.command {
        payload["commandId"] = json!(command);
    }
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Translator {
        let mut translator = Translator::new("ses_1", None, None);
        translator.distrust_replies();
        translator.begin_turn("msg_1");
        let ask = serde_json::from_value(json!({
            "id": "per_1", "sessionID": "ses_1", "permission": "bash", "patterns": ["ls"]
        }));
        assert!(translator.ask_permission(&ask.unwrap()).is_some());
        translator.stop_requested(StopRequest {
            reason: "watchdog.steps".to_owned(),
            message: Some("Stopped after 100 steps.".to_owned()),
            command: Some("c1".to_owned()),
        });
        translator
    }

    #[test]
    fn an_ask_that_a_stop_takes_back_is_withdrawn_and_its_echo_is_no_alarm() {
        let mut translator = asked();
        translator.rejecting("per_1");
        let echo = Frame::global(
            "/w",
            "permission.replied",
            Event::PermissionReplied {
                session: "ses_1".to_owned(),
                request: "per_1".to_owned(),
                reply: "reject".to_owned(),
            },
        );
        assert!(translator.apply(&echo).is_empty());
        let ending = translator.settle();
        let resolved = &ending[0];
        assert_eq!(resolved.kind, EventType::PermissionResolved);
        assert_eq!(resolved.payload["reason"], "withdrawn");
        assert!(
            translator.apply(&echo).is_empty(),
            "a late echo says nothing"
        );
        assert!(translator.take_alarms().is_empty());
    }

    #[test]
    fn a_stop_keeps_its_reason_message_and_command_however_the_turn_ends() {
        for end in [Translator::settle, |translator: &mut Translator| {
            translator.interrupt("interrupted")
        }] {
            let ending = end(&mut asked());
            let payload = &ending.last().unwrap().payload;
            assert_eq!(payload["reason"], "watchdog.steps");
            assert_eq!(payload["message"], "Stopped after 100 steps.");
            assert_eq!(payload["commandId"], "c1");
        }
    }

    /// After a stop OpenCode repeats its idle and the abort's error (08 §9.5); the user may have sent the next
    /// prompt by then.
    #[test]
    fn what_the_turn_before_says_late_does_not_end_a_prompt_that_has_not_begun() {
        let root = || "ses_1".to_owned();
        let told = |kind: &str, event: Event| Frame::global("/w", kind, event);
        let idle = || told("session.idle", Event::SessionIdle { session: root() });
        let status = |kind: &str| {
            let status = serde_json::from_value(json!({ "type": kind })).unwrap();
            told(
                "session.status",
                Event::SessionStatus {
                    session: root(),
                    status,
                },
            )
        };
        let error = |name: &str| {
            let error = serde_json::from_value(json!({ "name": name, "data": {} })).unwrap();
            told(
                "session.error",
                Event::SessionError {
                    session: Some(root()),
                    error: Some(error),
                },
            )
        };
        let mut translator = Translator::new("ses_1", None, None);
        translator.begin_turn("msg_2");
        for late in [idle(), status("idle"), error("MessageAbortedError"), idle()] {
            translator.apply(&late);
            assert!(translator.is_active() && !translator.is_held(), "{late:?}");
        }
        translator.apply(&status("busy"));
        translator.apply(&idle());
        assert!(translator.is_held(), "its own idle holds the ending");
        let ending = translator.settle();
        assert_eq!(ending.last().unwrap().kind, EventType::SessionIdle);

        // What can't begin at all ends by its error.
        translator.begin_turn("msg_3");
        translator.apply(&error("UnknownError"));
        assert!(translator.is_held());
        let ending = translator.settle();
        assert_eq!(ending.last().unwrap().kind, EventType::RuntimeError);
    }
}
