//! Approvals and questions: one resolution per ask (decision 8).

use super::*;

impl Translator {
    pub(super) fn permission_asked(&mut self, request: &PermissionRequest, out: &mut Out<'_>) {
        if let Some(event) = self.ask_permission(request) {
            out.push(event);
        }
    }

    /// `permission.requested`, once per ask; nothing for foreign sessions or answered asks.
    pub(crate) fn ask_permission(&mut self, request: &PermissionRequest) -> Option<RuntimeEvent> {
        let session = request.session_id.as_str();
        if !self.owns(session)
            || self.asks.contains_key(&request.id)
            || self.answered.contains(&request.id)
        {
            return None;
        }
        let tool = payload::permission_title(request);
        let task = self.task_of(session).cloned();
        let description = match &task {
            Some(task) => format!("{}: {tool}", task.title),
            None => tool.clone(),
        };
        let call = request
            .tool
            .as_ref()
            .map(|tool| tool.call_id.clone())
            .filter(|call| !call.is_empty());
        let call_input = call
            .as_ref()
            .and_then(|call| self.lanes.get(session)?.tools.get(call))
            .map(|entry| entry.input.clone())
            .unwrap_or_default();
        let input = self.workspace.relative_object(&request.metadata);
        let patterns: Vec<String> = request
            .patterns
            .iter()
            .take(256)
            .map(|pattern| self.workspace.relative(pattern))
            .collect();
        let subject = payload::subject(&request.permission, &input, &patterns)
            .or_else(|| payload::subject(&request.permission, &call_input, &patterns));
        let mut event = self.event(
            EventType::PermissionRequested,
            json!({
                "permissionId": request.id, "sourceSessionId": session,
                "tool": tool, "input": input, "description": description, "patterns": patterns,
            }),
        );
        insert_some(&mut event.payload, "subject", subject.as_deref());
        insert_some(&mut event.payload, "toolCallId", call.as_deref());
        insert_some(
            &mut event.payload,
            "taskRunId",
            task.as_ref().map(|task| task.id.as_str()),
        );
        let kind = AskKind::Permission {
            tool,
            description,
            subject,
            call,
        };
        self.asks.insert(
            request.id.clone(),
            Ask {
                session: session.to_owned(),
                kind,
            },
        );
        self.turn.active = true;
        Some(event)
    }

    pub(super) fn permission_replied(
        &mut self,
        session: &str,
        request: &str,
        reply: &str,
        out: &mut Out<'_>,
    ) {
        if !self.owns(session) || self.answered.iter().any(|answered| answered == request) {
            return; // the echo of our own answer (decision 8)
        }
        let explained =
            reply == "reject" && (self.rejected_in.contains(session) || self.turn.stop.is_some());
        if !self.trust_replies && !explained {
            self.alarms.push(Alarm::UnexplainedReply {
                session: session.to_owned(),
                request: request.to_owned(),
                reply: reply.to_owned(),
            });
        }
        if let Some(event) = self.resolve_permission(request, reply != "reject", reply) {
            out.push(event);
            self.busy_again(out);
        }
    }

    /// We are rejecting an ask because its turn is being stopped: OpenCode's echo is ours.
    pub(crate) fn rejecting(&mut self, id: &str) {
        if !self.answered.iter().any(|answered| answered == id) {
            self.remember_answered(id);
        }
    }

    pub(super) fn resolve_permission(
        &mut self,
        id: &str,
        allowed: bool,
        reply: &str,
    ) -> Option<RuntimeEvent> {
        if !matches!(self.asks.get(id)?.kind, AskKind::Permission { .. }) {
            return None;
        }
        let ask = self.asks.shift_remove(id)?;
        let AskKind::Permission {
            tool,
            description,
            subject,
            call,
        } = ask.kind
        else {
            return None;
        };
        self.remember_answered(id);
        if !allowed {
            self.rejected_in.insert(ask.session.clone());
        }
        let task = self.task_of(&ask.session).map(|task| task.id.clone());
        let mut event = self.event(
            EventType::PermissionResolved,
            json!({
                "permissionId": id, "allowed": allowed, "reply": reply, "tool": tool, "description": description,
            }),
        );
        insert_some(&mut event.payload, "subject", subject.as_deref());
        insert_some(&mut event.payload, "toolCallId", call.as_deref());
        insert_some(&mut event.payload, "taskRunId", task.as_deref());
        Some(event)
    }

    pub(super) fn question_asked(&mut self, request: &QuestionRequest, out: &mut Out<'_>) {
        if let Some(event) = self.ask_question(request) {
            out.push(event);
        }
    }

    /// `question.asked`, once per ask.
    pub(crate) fn ask_question(&mut self, request: &QuestionRequest) -> Option<RuntimeEvent> {
        let session = request.session_id.as_str();
        if !self.owns(session)
            || self.asks.contains_key(&request.id)
            || self.answered.contains(&request.id)
        {
            return None;
        }
        let mut event = self.event(
            EventType::QuestionAsked,
            json!({
                "requestId": request.id, "sourceSessionId": session,
                "questions": payload::questions(&request.questions),
            }),
        );
        if let Some(tool) = &request.tool {
            event.payload.insert(
                "tool".into(),
                json!({ "messageId": tool.message_id, "callId": tool.call_id }),
            );
        }
        self.asks.insert(
            request.id.clone(),
            Ask {
                session: session.to_owned(),
                kind: AskKind::Question,
            },
        );
        self.turn.active = true;
        Some(event)
    }

    pub(super) fn question_replied(
        &mut self,
        session: &str,
        request: &str,
        answers: Option<Value>,
        out: &mut Out<'_>,
    ) {
        if !self.owns(session) {
            return;
        }
        if let Some(event) = self.resolve_question(request, answers) {
            out.push(event);
            self.busy_again(out);
        }
    }

    pub(super) fn resolve_question(
        &mut self,
        id: &str,
        answers: Option<Value>,
    ) -> Option<RuntimeEvent> {
        if !matches!(self.asks.get(id)?.kind, AskKind::Question) {
            return None;
        }
        let ask = self.asks.shift_remove(id)?;
        self.remember_answered(id);
        let mut payload = json!({ "requestId": id, "sourceSessionId": ask.session });
        match answers {
            Some(answers) => payload["answers"] = answers,
            None => payload["rejected"] = json!(true),
        }
        Some(self.event(EventType::QuestionResolved, payload))
    }

    pub(super) fn remember_answered(&mut self, id: &str) {
        if self.answered.len() >= MAX_ANSWERED {
            self.answered.pop_front();
        }
        self.answered.push_back(id.to_owned());
    }

    /// The reducer leaves "not generating" after an answer: say busy again when the turn goes on
    /// (01 §16 #9).
    pub(super) fn busy_again(&mut self, out: &mut Out<'_>) {
        let runs = self
            .lanes
            .get(&self.root)
            .is_some_and(|lane| lane.pulse != Pulse::Idle);
        if self.asks.is_empty() && runs && !self.turn.held {
            let event = self.event(EventType::SessionStatus, json!({ "statusType": "busy" }));
            out.push(event);
        }
    }
}
