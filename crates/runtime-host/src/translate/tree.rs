//! Sessions, sub-agents and status: the shape of the tree and what runs in it.

use super::*;

impl Translator {
    pub(super) fn session_info(&mut self, info: &SessionInfo, out: &mut Out<'_>) {
        if info.id == self.root {
            if let Some(event) = self.rename(info) {
                out.push(event);
            }
            return;
        }
        let Some(parent) = info.parent_id.as_deref().filter(|parent| self.owns(parent)) else {
            return;
        };
        let title = task_title(
            info.title.as_deref().unwrap_or_default(),
            info.agent.as_deref(),
        );
        let started = info
            .extra
            .get("time")
            .and_then(|time| time.get("created"))
            .and_then(Value::as_number);
        let (parent, agent) = (parent.to_owned(), info.agent.clone());
        self.child(
            &info.id,
            &parent,
            &title,
            agent,
            iso(started).as_deref(),
            out,
        );
    }

    /// `session.renamed` when the title is a real one and changed (decision 3).
    pub(crate) fn rename(&mut self, info: &SessionInfo) -> Option<RuntimeEvent> {
        let title = info
            .title
            .as_deref()
            .map(str::trim)
            .filter(|title| !title.is_empty())?;
        if is_default_title(title) || self.title.as_deref() == Some(title) {
            return None;
        }
        self.title = Some(title.to_owned());
        Some(self.event(EventType::SessionRenamed, json!({ "title": title })))
    }

    pub(crate) fn set_title(&mut self, title: Option<String>) {
        self.title = title;
    }

    /// Registers a child session and announces its task.
    pub(super) fn child(
        &mut self,
        id: &str,
        parent: &str,
        title: &str,
        agent: Option<String>,
        started: Option<&str>,
        out: &mut Out<'_>,
    ) {
        let known = self.lanes.get(id).and_then(|lane| lane.task.clone());
        let mut fields = JsonObject::new();
        let task = match known {
            Some(mut task) => {
                if !title.is_empty() && task.title != title && task.title == DEFAULT_TASK_TITLE {
                    task.title = title.to_owned();
                    fields.insert("title".into(), json!(title));
                }
                if agent.is_some() && task.agent != agent {
                    fields.insert("agent".into(), json!(agent));
                    task.agent = agent;
                }
                if fields.is_empty() {
                    return;
                }
                task
            }
            None => {
                let title = if title.is_empty() {
                    DEFAULT_TASK_TITLE
                } else {
                    title
                };
                let task = Task {
                    id: format!("child:{id}"),
                    parent: parent.to_owned(),
                    title: title.to_owned(),
                    agent,
                    status: "queued",
                    error: None,
                };
                self.children.push(id.to_owned());
                fields.insert("title".into(), json!(task.title));
                insert_some(&mut fields, "agent", task.agent.as_deref());
                fields.insert("status".into(), json!(task.status));
                fields.insert("sourceSessionId".into(), json!(id));
                fields.insert("parentSessionId".into(), json!(task.parent));
                insert_some(&mut fields, "startedAt", started);
                task
            }
        };
        let event = self.task_event(&task, fields);
        self.lanes.entry(id.to_owned()).or_default().task = Some(task);
        out.push(event);
    }

    pub(super) fn task_event(&self, task: &Task, fields: JsonObject) -> RuntimeEvent {
        let mut event = self.event(
            EventType::TaskRun,
            json!({ "taskRunId": task.id, "merge": true }),
        );
        event.payload.extend(fields);
        event
    }

    /// Moves a task to a status and says so, once.
    pub(super) fn task_status(
        &mut self,
        id: &str,
        status: &'static str,
        error: Option<&str>,
        out: &mut Out<'_>,
    ) {
        let Some(lane) = self.lanes.get_mut(id) else {
            return;
        };
        let finished = lane
            .answer
            .as_ref()
            .and_then(|answer| answer.completed.clone());
        // The parent's `task` call may tell a better reason than the child's own end did.
        let better = |task: &Task| error.is_some() && task.error.as_deref() != error;
        let Some(task) = lane
            .task
            .as_mut()
            .filter(|task| task.status != status || better(task))
        else {
            return;
        };
        task.status = status;
        task.error = error.map(str::to_owned);
        let task = task.clone();
        let mut fields = JsonObject::new();
        fields.insert("status".into(), json!(status));
        if status == "error" {
            insert_some(&mut fields, "error", error);
        }
        if matches!(status, "complete" | "error") {
            insert_some(&mut fields, "finishedAt", finished.as_deref());
        }
        let event = self.task_event(&task, fields);
        out.push(event);
    }

    pub(super) fn status(&mut self, session: &str, status: &StatusInfo, out: &mut Out<'_>) {
        let Some(lane) = self.lanes.get_mut(session) else {
            return;
        };
        let is_root = session == self.root;
        match status.kind.as_str() {
            "idle" => self.idle(session, out),
            "busy" => {
                let changed = lane.pulse != Pulse::Busy;
                lane.pulse = Pulse::Busy;
                if !is_root {
                    self.task_status(session, "running", None, out);
                    return;
                }
                if changed {
                    let event =
                        self.event(EventType::SessionStatus, json!({ "statusType": "busy" }));
                    out.push(event);
                }
                self.turn.active = true;
                self.turn.held = false;
                self.turn.unstarted = false;
            }
            "retry" => {
                let attempt = status
                    .extra
                    .get("attempt")
                    .and_then(Value::as_u64)
                    .unwrap_or(0);
                let changed = lane.pulse != Pulse::Retry(attempt);
                lane.pulse = Pulse::Retry(attempt);
                if let Some(last) = lane.order.last().cloned() {
                    self.discard_open_text(session, &last, out);
                }
                if !is_root || !changed {
                    return;
                }
                let mut retry = JsonObject::new();
                retry.insert("attempt".into(), json!(attempt));
                if let Some(message) = status.extra.get("message").and_then(Value::as_str) {
                    let error = ErrorInfo {
                        name: String::new(),
                        data: json!({ "message": message }),
                        extra: JsonObject::new(),
                    };
                    retry.insert("message".into(), json!(error_message(&error)));
                }
                if let Some(next) = status.extra.get("next") {
                    retry.insert("next".into(), next.clone());
                }
                let event = self.event(
                    EventType::SessionStatus,
                    json!({ "statusType": "retry", "retry": retry }),
                );
                out.push(event);
                self.turn.active = true;
                self.turn.held = false;
                self.turn.unstarted = false;
            }
            other => {
                if is_root {
                    let event =
                        self.event(EventType::SessionStatus, json!({ "statusType": other }));
                    out.push(event);
                }
            }
        }
    }

    /// What open parts of an answer showed goes: its attempt failed (decision 9).
    pub(super) fn discard_open_text(&mut self, session: &str, id: &str, out: &mut Out<'_>) {
        let lane = self.lanes.get_mut(session);
        let Some(message) = lane.and_then(|lane| lane.messages.get_mut(id)) else {
            return;
        };
        if message.role == Role::Assistant && !message.summary && message.text.discard_open() {
            let text = message.text.joined();
            for event in self.replace(session, id, &text, None) {
                out.push(event);
            }
        }
    }

    pub(super) fn idle(&mut self, session: &str, out: &mut Out<'_>) {
        let Some(lane) = self.lanes.get_mut(session) else {
            return;
        };
        lane.pulse = Pulse::Idle;
        if session == self.root {
            self.turn.held = self.turn.active && !self.turn.unstarted;
            return;
        }
        let answer_error = lane
            .answer
            .as_ref()
            .and_then(|answer| answer.error.as_ref());
        let error = lane.error.as_ref().or(answer_error).map(error_message);
        let running = lane
            .task
            .as_ref()
            .is_some_and(|task| task.status == "running");
        if running {
            let status = if error.is_some() { "error" } else { "complete" };
            self.task_status(session, status, error.as_deref(), out);
        }
    }

    pub(super) fn failed(&mut self, session: &str, error: Option<&ErrorInfo>) {
        if session == self.root && std::mem::take(&mut self.turn.unstarted) {
            if error.is_some_and(is_abort) {
                self.turn.unstarted = true;
                return;
            }
            self.turn.held = true; // it fails before it begins
        }
        let Some(lane) = self.lanes.get_mut(session) else {
            return;
        };
        // The first one names the cause; an abort's own error never hides it (08 §9.6).
        if lane.error.is_none()
            && let Some(error) = error
        {
            lane.error = Some(error.clone());
        }
        if session == self.root && lane.pulse == Pulse::Idle && !self.turn.held {
            // An unknown agent fails without any status (08 §9.6).
            self.turn.active = true;
            self.turn.held = true;
        }
    }
}
