//! Messages and parts: text, tool calls, costs, todos.

use super::*;

impl Translator {
    pub(super) fn message(&mut self, info: &MessageInfo, out: &mut Out<'_>) {
        let session = info.session_id.as_str();
        if !self.lanes.contains_key(session) {
            return;
        }
        if session == self.root && info.role == Role::User {
            let new = self
                .lanes
                .get(session)
                .is_some_and(|lane| !lane.messages.contains_key(&info.id));
            if new {
                if self.turn.active && self.turn.held {
                    let events = self.settle();
                    events.into_iter().for_each(|event| out.push(event));
                }
                if !self.turn.active {
                    self.turn = Turn {
                        active: true,
                        admission: Some(info.id.clone()),
                        ..Turn::default()
                    };
                    if let Some(lane) = self.lanes.get_mut(session) {
                        lane.answer = None;
                        lane.error = None;
                    }
                }
            }
        }
        let Some(lane) = self.lanes.get_mut(session) else {
            return;
        };
        let (state, new) = lane.message(&info.id, info.role);
        state.summary = info.is_summary();
        state.agent = info.agent.clone().or(state.agent.take());
        if info.role == Role::Assistant {
            if new && session == self.root {
                self.turn.unstarted = false;
            }
            let latest = new
                || lane
                    .answer
                    .as_ref()
                    .is_none_or(|answer| answer.id == info.id);
            if latest {
                lane.answer = Some(LastAnswer {
                    id: info.id.clone(),
                    error: info.error.clone(),
                    completed: iso(info.time.completed.as_ref()),
                });
            }
        }
        let ended = info.error.is_some() || info.time.completed.is_some();
        if new {
            self.adopt_orphans(session, out);
        } else if ended && info.role == Role::Assistant {
            // Whatever is still open in an ended answer belongs to failed attempts (08 §9.6).
            self.discard_open_text(session, &info.id, out);
        }
    }

    /// Plays the frames that came before their message or part was announced.
    pub(super) fn adopt_orphans(&mut self, session: &str, out: &mut Out<'_>) {
        let Some(lane) = self
            .lanes
            .get_mut(session)
            .filter(|lane| !lane.orphans.is_empty())
        else {
            return;
        };
        for frame in std::mem::take(&mut lane.orphans) {
            self.translate(&frame, out);
        }
    }

    pub(super) fn part(&mut self, part: &Part, frame: &Frame, out: &mut Out<'_>) {
        let Some(lane) = self.lanes.get_mut(&part.session_id) else {
            return;
        };
        let Some(message) = lane.messages.get_mut(&part.message_id) else {
            lane.keep_orphan(frame.clone());
            return;
        };
        if message.role == Role::User {
            return;
        }
        match &part.body {
            PartBody::Text {
                text,
                synthetic,
                time,
                ..
            } => {
                let hidden = *synthetic == Some(true) || message.summary;
                let kind = if hidden {
                    PartKind::Hidden
                } else {
                    PartKind::Text
                };
                let closed = time.as_ref().is_some_and(|time| time.end.is_some());
                self.text_part(part, kind, text, closed, out);
            }
            PartBody::Reasoning { .. } => self.text_part(part, PartKind::Hidden, "", false, out),
            PartBody::Tool {
                tool,
                call_id,
                state,
                ..
            } => self.tool_part(part, tool, call_id, state, out),
            PartBody::StepFinish { cost, tokens, .. } => {
                let cost = cost.as_ref().map(|cost| json!(cost));
                if let Some(event) = self.cost(part, cost, tokens.as_ref()) {
                    out.push(event);
                }
            }
            _ => {}
        }
    }

    pub(super) fn text_part(
        &mut self,
        part: &Part,
        kind: PartKind,
        text: &str,
        closed: bool,
        out: &mut Out<'_>,
    ) {
        let session = part.session_id.as_str();
        let Some(message) = self
            .lanes
            .get_mut(session)
            .and_then(|lane| lane.messages.get_mut(&part.message_id))
        else {
            return;
        };
        let new = message.text.find(&part.id).is_none();
        let entry = message.text.part(&part.id, kind);
        let mut replace = None;
        if kind == PartKind::Text
            && (closed || !text.is_empty())
            && !(entry.closed && entry.text == text)
        {
            let differs = entry.text != text;
            entry.text.clear();
            entry.text.push_str(text);
            entry.closed = closed;
            if differs {
                replace = Some(message.text.joined());
            }
        }
        if let Some(text) = replace {
            let finished = closed.then_some(part.id.as_str());
            for event in self.replace(session, &part.message_id, &text, finished) {
                out.push(event);
            }
        }
        if new {
            self.adopt_orphans(session, out);
        }
    }

    pub(super) fn delta(
        &mut self,
        session: &str,
        message: &str,
        part: &str,
        delta: &str,
        frame: &Frame,
        out: &mut Out<'_>,
    ) {
        if delta.is_empty() {
            return;
        }
        let Some(lane) = self.lanes.get_mut(session) else {
            return;
        };
        let Some(state) = lane.messages.get_mut(message) else {
            lane.keep_orphan(frame.clone());
            return;
        };
        if state.role == Role::User {
            return;
        }
        let Some(entry) = state.text.find(part) else {
            lane.keep_orphan(frame.clone());
            return;
        };
        if entry.kind == PartKind::Hidden || entry.frozen || entry.closed {
            return;
        }
        entry.text.push_str(delta);
        let event = self.text_event(session, message, delta, "append");
        out.push(event);
    }

    pub(super) fn text_event(
        &self,
        session: &str,
        message: &str,
        content: &str,
        mode: &str,
    ) -> RuntimeEvent {
        match self.task_of(session) {
            None => self.event(
                EventType::AssistantMessage,
                json!({ "messageId": message, "content": content, "mode": mode }),
            ),
            Some(task) => self.event(
                EventType::TaskMessage,
                json!({ "taskRunId": task.id, "messageId": message, "content": content, "mode": mode }),
            ),
        }
    }

    /// The text of a message, whole: a replace, with appends behind it when it is very long. With the id
    /// of the part that it finishes, its event ids are derived from it.
    pub(crate) fn replace(
        &self,
        session: &str,
        message: &str,
        text: &str,
        finished: Option<&str>,
    ) -> Vec<RuntimeEvent> {
        let pieces = chunks(text);
        let mut events = Vec::with_capacity(pieces.len());
        for (index, piece) in pieces.into_iter().enumerate() {
            let mode = if index == 0 { "replace" } else { "append" };
            let event = self.text_event(session, message, piece, mode);
            events.push(match finished {
                Some(part) => event.with_id(stable_id(session, message, part, "text", index)),
                None => event,
            });
        }
        events
    }

    pub(super) fn tool_part(
        &mut self,
        part: &Part,
        tool: &str,
        call: &str,
        state: &ToolState,
        out: &mut Out<'_>,
    ) {
        if tool == "task"
            && let Some(child) = state.metadata.as_ref().and_then(child_session)
        {
            let text = |key: &str| {
                state
                    .input
                    .as_ref()
                    .and_then(|input| input.get(key))
                    .and_then(Value::as_str)
                    .map(str::to_owned)
            };
            let started = state
                .extra
                .get("time")
                .and_then(|time| time.get("start"))
                .and_then(Value::as_number);
            let title = text("description").unwrap_or_default();
            self.child(
                &child,
                &part.session_id,
                &title,
                text("subagent_type"),
                iso(started).as_deref(),
                out,
            );
        }
        if let Some(event) = self.tool_event(part, tool, call, state) {
            out.push(event);
            if !self.turn.active {
                // A call after the ending sets the view running: the turn needs another ending.
                self.turn.active = true;
                self.turn.held = self
                    .lanes
                    .get(&self.root)
                    .is_some_and(|lane| lane.pulse == Pulse::Idle);
            }
        }
        let phase = ToolPhase::of(state);
        if tool == "task"
            && phase.is_terminal()
            && let Some(child) = state.metadata.as_ref().and_then(child_session)
        {
            let (status, error) = match phase {
                ToolPhase::Error => ("error", tool_error(state)),
                _ => ("complete", None),
            };
            self.task_status(&child, status, error.as_deref(), out);
        }
    }

    /// The `tool.call` of a part, or nothing when it says nothing new.
    pub(crate) fn tool_event(
        &mut self,
        part: &Part,
        tool: &str,
        call: &str,
        state: &ToolState,
    ) -> Option<RuntimeEvent> {
        let phase = ToolPhase::of(state);
        let input = self.workspace.relative_object(&tool_input(state));
        let task = self.task_of(&part.session_id).map(|task| task.id.clone());
        let lane = self.lanes.get_mut(&part.session_id)?;
        if let Some(known) = lane.tools.get(call) {
            let same = known.phase == phase && known.name == tool && known.input == input;
            if known.phase.is_terminal() || same {
                return None;
            }
        }
        let agent = lane
            .messages
            .get(&part.message_id)
            .and_then(|message| message.agent.clone());
        let entry = ToolEntry {
            message: part.message_id.clone(),
            part: part.id.clone(),
            name: tool.to_owned(),
            agent,
            input,
            phase,
        };
        if phase.is_terminal() {
            lane.running.retain(|running| running != call);
        } else if !lane.running.iter().any(|running| running == call) {
            lane.running.push(call.to_owned());
        }
        let mut event = tool_call(
            &self.thread,
            &part.session_id,
            task.as_deref(),
            call,
            &entry,
        );
        if let Some(output) = &state.output {
            event
                .payload
                .insert("output".into(), self.workspace.relative_value(output));
        }
        if let Some(error) = tool_error(state) {
            event
                .payload
                .insert("error".into(), json!(self.workspace.relative(&error)));
        }
        if let Some(attachments @ Value::Array(items)) = state.extra.get("attachments")
            && !items.is_empty()
        {
            event
                .payload
                .insert("attachments".into(), attachments.clone());
        }
        if phase.is_terminal() {
            event = event.with_id(stable_id(
                &part.session_id,
                &part.message_id,
                &part.id,
                "tool",
                0,
            ));
        }
        lane.tools.insert(call.to_owned(), entry);
        Some(event)
    }

    /// The cost of a step, once (01 §16 #12).
    pub(crate) fn cost(
        &mut self,
        part: &Part,
        cost: Option<Value>,
        tokens: Option<&Value>,
    ) -> Option<RuntimeEvent> {
        let task = self.task_of(&part.session_id).map(|task| task.id.clone());
        let lane = self.lanes.get_mut(&part.session_id)?;
        if (cost.is_none() && tokens.is_none()) || !lane.settled_costs.insert(part.id.clone()) {
            return None;
        }
        let id = format!("{}:{}:{}", part.session_id, part.message_id, part.id);
        let mut event = self.event(EventType::CostUpdated, json!({ "id": id }));
        if let Some(cost) = cost {
            event.payload.insert("cost".into(), cost);
        }
        if let Some(tokens) = tokens {
            let field = |key: &str| tokens.get(key).cloned().unwrap_or(json!(0));
            let cache = tokens.get("cache");
            let cached = |key: &str| {
                cache
                    .and_then(|cache| cache.get(key))
                    .cloned()
                    .unwrap_or(json!(0))
            };
            event.payload.insert(
                "tokens".into(),
                json!({
                    "input": field("input"), "output": field("output"), "reasoning": field("reasoning"),
                    "cache": { "read": cached("read"), "write": cached("write") },
                }),
            );
        }
        insert_some(&mut event.payload, "taskRunId", task.as_deref());
        Some(event.with_id(stable_id(
            &part.session_id,
            &part.message_id,
            &part.id,
            "cost",
            0,
        )))
    }

    pub(super) fn todos(&mut self, session: &str, todos: &[Value], out: &mut Out<'_>) {
        if let Some(event) = self.todo_event(session, &payload::todos(todos)) {
            out.push(event);
        }
    }

    /// The todo list of a session when it differs from the one shown.
    pub(crate) fn todo_event(&mut self, session: &str, todos: &Value) -> Option<RuntimeEvent> {
        let task = self.task_of(session).map(|task| task.id.clone());
        let lane = self.lanes.get_mut(session)?;
        if lane.todos.as_ref() == Some(todos) {
            return None;
        }
        lane.todos = Some(todos.clone());
        Some(match task {
            None => self.event(EventType::TodosUpdated, json!({ "todos": todos })),
            Some(task) => self.event(
                EventType::TaskTodos,
                json!({ "taskRunId": task, "todos": todos }),
            ),
        })
    }
}
