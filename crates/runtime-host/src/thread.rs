//! One thread on the running OpenCode: an owned task that turns commands into calls and frames into events,
//! serially, so that order is that of OpenCode and no lock is held across an await.

use crate::host::{Shared, TurnError};
use crate::message_id;
use crate::recover::{History, SessionHistory};
use crate::translate::{Alarm, StopRequest, Translator};
use crate::watchdog::{Breach, Watchdog};
use futures::StreamExt as _;
use open_cowork_contracts::{CommandId, EventType, RuntimeEvent, RuntimeSessionId, SessionId};
use open_cowork_opencode::event::{Event, Frame};
use open_cowork_opencode::model::SessionInfo;
use open_cowork_opencode::{
    Directory, Error as OpenCodeError, ModelChoice, OpenCodeRuntime, Reply,
};
use serde_json::json;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Late updates may follow the last idle for so long (08 §12).
const CONFIRM_AFTER: Duration = Duration::from_millis(300);
/// A failed read is tried again after that.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// While a turn runs, pending asks are read as often, beside listening.
const POLL_ASKS: Duration = Duration::from_secs(10);
/// After a stop OpenCode must be idle within that, else we look, then mark the turn ourselves.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// Frames translated before their events are appended together.
const BATCH: usize = 256;
/// Deepest nesting and number of sub-agents that recovery follows.
const MAX_CHILDREN: usize = 500;

/// A prompt for a thread.
#[derive(Clone, Debug)]
pub struct TurnPrompt {
    /// Names the prompt everywhere: our message is `<command>:user`, OpenCode's as [`crate::message_id`] says.
    pub command: CommandId,
    /// The text.
    pub text: String,
    /// Agent, absent: the session's.
    pub agent: Option<String>,
    /// `provider/model`, absent: the configured one.
    pub model: Option<String>,
    /// It may have been sent before (after a crash): look it up first (decision 15).
    pub maybe_sent: bool,
    /// Which attempt of the command this is, from 1.
    pub attempt: u32,
}

/// What a caller asks of a thread.
pub(crate) enum Command {
    Prompt(TurnPrompt, oneshot::Sender<Result<(), TurnError>>),
    Stop(StopRequest, oneshot::Sender<Result<(), TurnError>>),
    Permission {
        id: String,
        allow: bool,
        reason: Option<String>,
        command: Option<CommandId>,
        done: oneshot::Sender<Result<(), TurnError>>,
    },
    Question {
        id: String,
        answers: Option<Vec<Vec<String>>>,
        command: Option<CommandId>,
        done: oneshot::Sender<Result<(), TurnError>>,
    },
    /// Read everything and emit what is missing.
    Recover(Option<oneshot::Sender<Result<(), TurnError>>>),
    /// OpenCode is gone and doesn't come back by itself.
    Lost(oneshot::Sender<()>),
}

/// The way to a thread's task.
pub(crate) struct ThreadHandle {
    /// The runtime session that it is bound to.
    pub(crate) session: RuntimeSessionId,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) frames: mpsc::Sender<Frame>,
    /// Frames were dropped because the queue was full: recovery follows.
    pub(crate) overflow: Arc<AtomicBool>,
    pub(crate) task: tokio_util::task::AbortOnDropHandle<()>,
}

pub(crate) struct ThreadActor {
    shared: Arc<Shared>,
    thread: SessionId,
    directory: Directory,
    translator: Translator,
    overflow: Arc<AtomicBool>,
    frames: mpsc::Receiver<Frame>,
    watchdog: Option<Watchdog>,
    /// When the held ending is confirmed.
    confirm_at: Option<Instant>,
    /// When a stop must have worked, and how often we looked.
    stop_at: Option<(Instant, u32)>,
    poll_at: Option<Instant>,
    recover_at: Option<Instant>,
    /// The log refused events: nothing more is appended before recovery has caught up, so that order stays.
    behind: bool,
    /// Messages of this turn that were seen: a new one is a step.
    known_messages: HashSet<String>,
}

impl ThreadActor {
    pub(crate) fn new(
        shared: Arc<Shared>,
        thread: SessionId,
        root: &str,
        directory: Directory,
        overflow: Arc<AtomicBool>,
        frames: mpsc::Receiver<Frame>,
    ) -> Self {
        let mut translator =
            Translator::new(root, Some(thread.as_str()), directory.as_path().to_str());
        translator.distrust_replies();
        ThreadActor {
            shared,
            thread,
            directory,
            translator,
            overflow,
            frames,
            watchdog: None,
            confirm_at: None,
            stop_at: None,
            poll_at: None,
            recover_at: None,
            behind: false,
            known_messages: HashSet::new(),
        }
    }

    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            let deadline = self.deadline();
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(command) => self.command(command).await,
                    None => return,
                },
                frame = self.frames.recv() => match frame {
                    Some(frame) => self.take_frames(frame).await,
                    None => return,
                },
                () = sleep_until(deadline) => self.tick().await,
            }
            if self.overflow.swap(false, Ordering::AcqRel) {
                self.recover_at = Some(Instant::now());
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let watchdog = self
            .watchdog
            .as_ref()
            .and_then(Watchdog::deadline)
            .map(Instant::from_std);
        [
            self.confirm_at,
            self.stop_at.map(|(at, _)| at),
            self.poll_at,
            self.recover_at,
            watchdog,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    async fn command(&mut self, command: Command) {
        match command {
            Command::Prompt(prompt, done) => {
                let result = self.prompt(prompt).await;
                let _ = done.send(result);
            }
            Command::Stop(stop, done) => {
                let _ = done.send(self.stop(stop).await);
            }
            Command::Permission {
                id,
                allow,
                reason,
                command,
                done,
            } => {
                let _ = done.send(self.answer_permission(&id, allow, reason, command).await);
            }
            Command::Question {
                id,
                answers,
                command,
                done,
            } => {
                let _ = done.send(self.answer_question(&id, answers, command).await);
            }
            Command::Recover(done) => {
                let result = self.recover().await;
                if result.is_err() {
                    self.recover_at = Some(Instant::now() + RETRY_AFTER);
                }
                if let Some(done) = done {
                    let _ = done.send(result);
                }
            }
            Command::Lost(done) => {
                let events = match self.shared.sink.view(&self.thread).await {
                    Ok((view, sequence)) => self.translator.interrupt_view(&view, sequence),
                    Err(_) => self.translator.interrupt("interrupted"),
                };
                self.emit(events).await;
                let _ = done.send(());
            }
        }
    }

    // ---- frames ---------------------------------------------------------------------------------------

    /// Translates what is queued and appends it together.
    async fn take_frames(&mut self, first: Frame) {
        let mut events = Vec::new();
        let mut breach = None;
        let mut next = Some(first);
        let mut count = 0;
        while let Some(frame) = next.take() {
            breach = breach.or(self.frame(&frame, &mut events));
            count += 1;
            if count < BATCH {
                next = self.frames.try_recv().ok();
            }
        }
        self.emit(events).await;
        if let Some(breach) = breach {
            self.breach(breach).await;
        }
        for alarm in self.translator.take_alarms() {
            self.alarm(alarm).await;
        }
    }

    fn frame(&mut self, frame: &Frame, events: &mut Vec<RuntimeEvent>) -> Option<Breach> {
        let idle = match &frame.event {
            Event::SessionIdle { session } => session == self.translator.root(),
            Event::SessionStatus { session, status } => {
                session == self.translator.root() && status.kind == "idle"
            }
            _ => false,
        };
        let new_message = match &frame.event {
            Event::MessageUpdated(info) => self.known_messages.insert(info.id.clone()),
            _ => false,
        };
        events.extend(self.translator.apply(frame));
        if self.translator.is_held() && (idle || self.confirm_at.is_none()) {
            self.confirm_at = Some(Instant::now() + CONFIRM_AFTER);
        }
        self.follow_turn();
        let now = Instant::now().into_std();
        self.watchdog
            .as_mut()
            .and_then(|watchdog| watchdog.observe(frame, new_message, now))
    }

    /// Keeps timers in step with the turn.
    fn follow_turn(&mut self) {
        let now = Instant::now();
        if !self.translator.is_held() {
            self.confirm_at = None;
        }
        if !self.translator.is_active() {
            self.watchdog = None;
            self.poll_at = None;
            self.stop_at = None;
            self.known_messages.clear();
            return;
        }
        let limits = self.shared.options.limits;
        let asked = self.translator.pending_asks().next().is_some();
        let watchdog = self
            .watchdog
            .get_or_insert_with(|| Watchdog::new(limits, now.into_std()));
        watchdog.waiting(asked, now.into_std());
        self.poll_at.get_or_insert(now + POLL_ASKS);
    }

    /// Appends. What the log refuses is not lost: recovery compares and brings it again.
    async fn emit(&mut self, events: Vec<RuntimeEvent>) {
        self.follow_turn();
        if events.is_empty() || self.behind {
            return;
        }
        if let Err(error) = self.shared.sink.append(&self.thread, events).await {
            tracing::error!(thread = %self.thread, %error, "events were not stored; catching up when that works again");
            self.behind = true;
            self.recover_at = Some(Instant::now() + RETRY_AFTER);
        }
    }

    /// Nothing is started or answered that could not be recorded.
    async fn catch_up(&mut self) -> Result<(), TurnError> {
        if self.behind {
            self.recover().await
        } else {
            Ok(())
        }
    }

    async fn alarm(&mut self, alarm: Alarm) {
        tracing::warn!(thread = %self.thread, ?alarm, "an approval was answered by someone else");
        self.shared.sink.alarm(&self.thread, &alarm).await;
        let stop = StopRequest {
            reason: "security.unexplained_reply".to_owned(),
            message: Some(
                "Stopped: an approval was answered, but not by you. The agent may have approved its own action."
                    .to_owned(),
            ),
            command: None,
        };
        let _ = self.stop(stop).await;
    }

    async fn breach(&mut self, breach: Breach) {
        let stop = StopRequest {
            reason: breach.code().to_owned(),
            message: Some(breach.message()),
            command: None,
        };
        let _ = self.stop(stop).await;
    }

    // ---- timers ---------------------------------------------------------------------------------------

    async fn tick(&mut self) {
        let now = Instant::now();
        if due(&mut self.recover_at, now)
            && let Err(error) = self.recover().await
        {
            tracing::debug!(thread = %self.thread, %error, "recovery has to wait");
            self.recover_at = Some(Instant::now() + RETRY_AFTER);
        }
        if due(&mut self.confirm_at, now) {
            self.confirm().await;
        }
        if due(&mut self.poll_at, now) {
            self.poll_asks().await;
        }
        if let Some((at, looks)) = self.stop_at
            && at <= now
        {
            self.stop_at = None;
            self.enforce_stop(looks).await;
        }
        if let Some(breach) = self
            .watchdog
            .as_ref()
            .and_then(|watchdog| watchdog.check(now.into_std()))
            && self.stop_at.is_none()
        {
            self.breach(breach).await;
        }
    }

    /// The confirming read (08 §12): not busy any more, then the last message once.
    async fn confirm(&mut self) {
        match self.read_ending().await {
            Ok(Some(events)) => self.emit(events).await,
            Ok(None) => {} // busy after all
            Err(error) => {
                tracing::debug!(thread = %self.thread, %error, "the ending can't be confirmed yet");
                self.confirm_at = Some(Instant::now() + RETRY_AFTER);
            }
        }
    }

    async fn read_ending(&mut self) -> Result<Option<Vec<RuntimeEvent>>, TurnError> {
        let runtime = self.shared.runtime()?;
        let root = self.translator.root().to_owned();
        if runtime.status(&self.directory).await?.contains_key(&root) {
            return Ok(None);
        }
        let page = runtime.messages_page(&root, 1, None).await?;
        Ok(Some(self.translator.confirm(&page.messages)))
    }

    async fn poll_asks(&mut self) {
        self.poll_at = Some(Instant::now() + POLL_ASKS);
        let Ok(runtime) = self.shared.runtime() else {
            return;
        };
        let mut events = Vec::new();
        if let Ok(asks) = runtime.permissions(&self.directory).await {
            events.extend(
                asks.iter()
                    .filter_map(|ask| self.translator.ask_permission(ask)),
            );
        }
        if let Ok(asks) = runtime.questions(&self.directory).await {
            events.extend(
                asks.iter()
                    .filter_map(|ask| self.translator.ask_question(ask)),
            );
        }
        self.emit(events).await;
    }

    // ---- commands -------------------------------------------------------------------------------------

    async fn prompt(&mut self, prompt: TurnPrompt) -> Result<(), TurnError> {
        self.catch_up().await?;
        let runtime = self.shared.runtime()?;
        // What is queued belongs to the turn before.
        while let Ok(frame) = self.frames.try_recv() {
            self.take_frames(frame).await;
        }
        if self.translator.is_held() {
            self.confirm().await;
        }
        let root = self.translator.root().to_owned();
        let command = prompt.command.as_str();
        let sent_before = prompt.maybe_sent && find_prompt(&*runtime, &root, command).await?;
        // Before anything is recorded: what fails here has left no trace.
        let message = match sent_before {
            true => String::new(),
            false => new_message_id(&*runtime, &root, &prompt.command).await?,
        };
        let thread = self.thread.to_string();
        let agent = prompt.agent.clone().unwrap_or_else(|| "build".to_owned());
        let running = RuntimeEvent::new(
            EventType::SessionStatus,
            json!({ "sessionId": thread, "statusType": "running" }),
        )
        .with_id(format!(
            "{thread}:command:{command}:attempt:{}:running",
            prompt.attempt.max(1)
        ));
        let submitted = RuntimeEvent::new(
            EventType::PromptSubmitted,
            json!({
                "sessionId": thread, "commandId": command, "messageId": format!("{command}:user"),
                "text": prompt.text, "agent": agent,
            }),
        )
        .with_id(format!("{thread}:command:{command}:prompt-submitted"));
        // OpenCode has it: whether its turn still runs is for recovery to find out.
        let events = match sent_before {
            true => vec![submitted],
            false => vec![running, submitted],
        };
        self.shared.sink.append(&self.thread, events).await?;
        if sent_before {
            return self.recover().await;
        }
        let starts_a_turn = !self.translator.is_active();
        if starts_a_turn {
            self.translator.begin_turn(&message);
        }
        self.follow_turn();
        let request = open_cowork_opencode::Prompt {
            message_id: message.clone(),
            texts: vec![prompt.text],
            agent: prompt.agent,
            model: prompt.model.as_deref().and_then(model_choice),
            system: None,
        };
        let Err(error) = runtime.prompt_async(&root, request).await else {
            return Ok(());
        };
        // Unknown outcome: OpenCode may have taken it. Never send twice (decision 15).
        if matches!(
            error,
            OpenCodeError::Timeout { .. } | OpenCodeError::Unreachable { .. }
        ) && runtime
            .message(&root, &message)
            .await
            .is_ok_and(|found| found.is_some())
        {
            return Ok(());
        }
        let failed = RuntimeEvent::new(
            EventType::RuntimeError,
            json!({ "sessionId": thread, "commandId": command, "message": error.to_string() }),
        )
        .with_id(format!("{thread}:command:{command}:runtime-error"));
        // A turn that was running before goes on without it.
        if starts_a_turn {
            self.translator.abandon_turn();
        }
        self.emit(vec![failed]).await;
        Err(error.into())
    }

    /// Stops the turn, then rejects what still waits: OpenCode doesn't (08 §9.5, §15.9).
    async fn stop(&mut self, stop: StopRequest) -> Result<(), TurnError> {
        if !self.translator.is_active() {
            return Ok(());
        }
        self.translator.stop_requested(stop);
        self.stop_at = Some((Instant::now() + STOP_WITHIN, 0));
        let runtime = self.shared.runtime()?;
        runtime.abort(self.translator.root()).await?;
        self.reject_pending(&*runtime).await;
        Ok(())
    }

    async fn reject_pending(&mut self, runtime: &dyn OpenCodeRuntime) {
        let mut permissions = Vec::new();
        let mut questions = Vec::new();
        for (id, _, is_permission) in self.translator.pending_asks() {
            if is_permission {
                permissions.push(id.to_owned())
            } else {
                questions.push(id.to_owned())
            }
        }
        if let Ok(asks) = runtime.permissions(&self.directory).await {
            permissions.extend(
                asks.into_iter()
                    .filter(|ask| self.translator.owns(&ask.session_id))
                    .map(|ask| ask.id),
            );
        }
        if let Ok(asks) = runtime.questions(&self.directory).await {
            questions.extend(
                asks.into_iter()
                    .filter(|ask| self.translator.owns(&ask.session_id))
                    .map(|ask| ask.id),
            );
        }
        permissions.sort();
        permissions.dedup();
        questions.sort();
        questions.dedup();
        for id in permissions {
            // The ending takes the ask back: nobody denied it. Gone already is as good.
            self.translator.rejecting(&id);
            let _ = runtime
                .reply_permission(&self.directory, &id, Reply::Reject { message: None })
                .await;
        }
        for id in questions {
            let _ = runtime.reject_question(&self.directory, &id).await;
        }
    }

    /// A stop that shows no idle: look, try again, and mark the turn ourselves in the end.
    async fn enforce_stop(&mut self, looks: u32) {
        if !self.translator.is_active() {
            return;
        }
        match self.read_ending().await {
            Ok(Some(events)) => self.emit(events).await,
            _ if looks >= 2 => {
                tracing::warn!(thread = %self.thread, "OpenCode doesn't stop; marking the turn as interrupted");
                let events = self.translator.interrupt("interrupted");
                self.emit(events).await;
            }
            _ => {
                self.stop_at = Some((Instant::now() + STOP_WITHIN, looks + 1));
                if let Ok(runtime) = self.shared.runtime() {
                    let _ = runtime.abort(self.translator.root()).await;
                    self.reject_pending(&*runtime).await;
                }
            }
        }
    }

    async fn answer_permission(
        &mut self,
        id: &str,
        allow: bool,
        reason: Option<String>,
        command: Option<CommandId>,
    ) -> Result<(), TurnError> {
        self.catch_up().await?;
        if !self
            .translator
            .pending_asks()
            .any(|(ask, _, permission)| permission && ask == id)
        {
            return Err(TurnError::NotPending(id.to_owned()));
        }
        let runtime = self.shared.runtime()?;
        let reply = match allow {
            true => Reply::Once,
            false => Reply::Reject {
                message: reason.clone().filter(|reason| !reason.trim().is_empty()),
            },
        };
        let events = match runtime.reply_permission(&self.directory, id, reply).await {
            Ok(()) => self.translator.permission_answered(
                id,
                allow,
                reason.as_deref(),
                command.as_ref().map(CommandId::as_str),
            ),
            Err(OpenCodeError::NotFound { .. }) => {
                let events = self.translator.withdraw(id).into_iter().collect();
                self.emit(events).await;
                return Err(TurnError::NotPending(id.to_owned()));
            }
            Err(error) => return Err(error.into()),
        };
        self.emit(events).await;
        Ok(())
    }

    async fn answer_question(
        &mut self,
        id: &str,
        answers: Option<Vec<Vec<String>>>,
        command: Option<CommandId>,
    ) -> Result<(), TurnError> {
        self.catch_up().await?;
        if !self
            .translator
            .pending_asks()
            .any(|(ask, _, permission)| !permission && ask == id)
        {
            return Err(TurnError::NotPending(id.to_owned()));
        }
        let runtime = self.shared.runtime()?;
        let replied = match answers.clone() {
            Some(answers) => runtime.reply_question(&self.directory, id, answers).await,
            None => runtime.reject_question(&self.directory, id).await,
        };
        let events = match replied {
            Ok(()) => self.translator.question_answered(
                id,
                answers.as_deref(),
                command.as_ref().map(CommandId::as_str),
            ),
            Err(OpenCodeError::NotFound { .. }) => {
                let events = self.translator.withdraw(id).into_iter().collect();
                self.emit(events).await;
                return Err(TurnError::NotPending(id.to_owned()));
            }
            Err(error) => return Err(error.into()),
        };
        self.emit(events).await;
        Ok(())
    }

    // ---- recovery -------------------------------------------------------------------------------------

    async fn recover(&mut self) -> Result<(), TurnError> {
        self.recover_at = None;
        let runtime = self.shared.runtime()?;
        // What came before the reads is in them; an old `busy` applied after them would never end.
        while self.frames.try_recv().is_ok() {}
        let history = match read_history(&*runtime, &self.directory, self.translator.root()).await {
            Ok(history) => history,
            // OpenCode has lost the session: what we hold is the record.
            Err(OpenCodeError::NotFound { .. }) => {
                let (view, sequence) = self.shared.sink.view(&self.thread).await?;
                let events = self.translator.interrupt_view(&view, sequence);
                self.emit(events).await;
                return Err(TurnError::SessionLost(self.thread.clone()));
            }
            Err(error) => return Err(error.into()),
        };
        let (view, sequence) = self.shared.sink.view(&self.thread).await?;
        let sink = self.shared.sink.clone();
        let events =
            self.translator
                .recover(&history, &view, sequence, &|kind: &EventType, payload| {
                    sink.sanitize(kind, payload)
                });
        for child in self.translator.children() {
            self.shared.route(child, &self.thread);
        }
        if !events.is_empty() {
            tracing::info!(thread = %self.thread, events = events.len(), "caught up with OpenCode");
        }
        self.follow_turn();
        let stored = self.shared.sink.append(&self.thread, events).await;
        self.behind = stored.is_err();
        stored?;
        self.confirm_at = self
            .translator
            .is_held()
            .then(|| Instant::now() + CONFIRM_AFTER);
        Ok(())
    }
}

/// Reads what OpenCode has stored of a thread: the root, and its descendants breadth-first (08 §12.2).
async fn read_history(
    runtime: &dyn OpenCodeRuntime,
    directory: &Directory,
    root: &str,
) -> Result<History, OpenCodeError> {
    let info = runtime.session(root).await?;
    let busy = runtime.status(directory).await?;
    let read = |info: SessionInfo| {
        let busy = busy.contains_key(&info.id);
        async move {
            let messages = runtime.messages(&info.id).await?;
            let todos = runtime.todos(&info.id).await?;
            Ok::<_, OpenCodeError>(SessionHistory {
                info,
                messages,
                todos,
                busy,
            })
        }
    };
    let root_history = read(info).await?;
    let mut children: Vec<SessionInfo> = Vec::new();
    let mut level = vec![root.to_owned()];
    while !level.is_empty() && children.len() < MAX_CHILDREN {
        let mut next = Vec::new();
        for parent in level {
            let mut found = runtime.children(&parent).await?;
            found.sort_by_key(|child| {
                child
                    .extra
                    .get("time")
                    .and_then(|time| time.get("created"))
                    .and_then(serde_json::Value::as_u64)
            });
            for child in found {
                if children.iter().any(|known| known.id == child.id) || child.id == root {
                    continue; // a cycle
                }
                next.push(child.id.clone());
                children.push(child);
            }
        }
        level = next;
    }
    let children: Vec<SessionHistory> = futures::stream::iter(children.into_iter().map(read))
        .buffered(8)
        .collect::<Vec<_>>()
        .await
        .into_iter()
        .collect::<Result<_, _>>()?;
    Ok(History {
        root: root_history,
        children,
        permissions: runtime.permissions(directory).await?,
        questions: runtime.questions(directory).await?,
    })
}

/// Whether OpenCode has the prompt of that command.
async fn find_prompt(
    runtime: &dyn OpenCodeRuntime,
    root: &str,
    command: &str,
) -> Result<bool, OpenCodeError> {
    if message_id::is_message_form(command) {
        let id = format!("{}{command}", message_id::PREFIX);
        return Ok(runtime.message(root, &id).await?.is_some());
    }
    let messages = runtime.messages(root).await?;
    Ok(messages
        .iter()
        .any(|message| message_id::names(&message.info.id, command)))
}

/// What the prompt will be called in OpenCode.
async fn new_message_id(
    runtime: &dyn OpenCodeRuntime,
    root: &str,
    command: &CommandId,
) -> Result<String, OpenCodeError> {
    if message_id::is_message_form(command.as_str()) {
        return Ok(message_id::of(command, 0, None));
    }
    let page = runtime.messages_page(root, 1, None).await?;
    let newest = page
        .messages
        .iter()
        .map(|message| message.info.id.as_str())
        .max();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        });
    Ok(message_id::of(command, now, newest))
}

/// `provider/model`, split at the first `/` (05 §2.1).
fn model_choice(name: &str) -> Option<ModelChoice> {
    let (provider, model) = name.split_once('/')?;
    Some(ModelChoice {
        provider: provider.to_owned(),
        model: model.to_owned(),
    })
}

fn due(at: &mut Option<Instant>, now: Instant) -> bool {
    let due = at.is_some_and(|at| at <= now);
    if due {
        *at = None;
    }
    due
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
