//! The local workspace: what the workbench and the terminal talk to.

use crate::connection;
use crate::engine::Shared;
use crate::error::DesktopError;
use crate::folder;
use crate::health;
use crate::prompt;
use crate::runtime::{self, Phase};
use crate::settings::ProviderSettings;
use crate::sink::key;
use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use open_cowork_contracts::{CommandId, EventType, RuntimeEvent, SessionId, SessionStatus};
use open_cowork_providers::store::{NewSession, SessionQuery, SessionRow, StoreError};
use open_cowork_runtime_host::host::{LinkState, TurnError};
use open_cowork_runtime_host::thread::TurnPrompt;
use open_cowork_thread_log::{LogError, SessionChange, Update};
use open_cowork_workbench::{
    Connection, ConnectionReport, HealthRow, NewThread, Overview, PromptInput, Settings,
    SettingsInput, ThreadDot, ThreadPage, ThreadQuery, ThreadState, ThreadSummary, ThreadUpdate,
    TrustFile, TrustState, Workspace, WorkspaceError,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A prompt waits that long for an OpenCode that is being started.
const START_PATIENCE: Duration = Duration::from_secs(45);

/// The threads of this machine's user.
pub struct LocalWorkspace {
    shared: Arc<Shared>,
}

impl LocalWorkspace {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        LocalWorkspace { shared }
    }

    /// Refuses a prompt that could never be sent, before anything is made or started for it.
    ///
    /// # Errors
    /// [`WorkspaceError::Invalid`] for no text or an unknown coworker, [`WorkspaceError::TooLarge`] above
    /// [`crate::MAX_PROMPT_BYTES`].
    pub fn check_prompt(&self, prompt: &PromptInput) -> Result<(), WorkspaceError> {
        prompt::check(prompt, &prompt::coworkers(self.shared.config.config()))
    }

    /// Waits until OpenCode can take prompts.
    ///
    /// # Errors
    /// The sentence that says why it can't.
    pub async fn ready(&self) -> Result<(), WorkspaceError> {
        let mut phase = self.shared.phase.subscribe();
        let mut link = self.shared.host.link();
        let wait = async {
            loop {
                match &*phase.borrow_and_update() {
                    Phase::NotConfigured => {
                        return Err(WorkspaceError::Unavailable(
                            "No model provider is set up yet; choose one in Settings, or with `config set`.".to_owned(),
                        ));
                    }
                    Phase::Failed(why) | Phase::Struggling(why) => {
                        return Err(WorkspaceError::Unavailable(sentence(why)));
                    }
                    Phase::Running if *link.borrow_and_update() == LinkState::Online => {
                        return Ok(());
                    }
                    _ => {}
                }
                tokio::select! {
                    changed = phase.changed() => changed.map_err(|_| closing())?,
                    changed = link.changed() => changed.map_err(|_| closing())?,
                }
            }
        };
        tokio::time::timeout(START_PATIENCE, wait)
            .await
            .unwrap_or_else(|_| {
                Err(WorkspaceError::Unavailable(
                    "OpenCode is still being started; try again in a moment.".to_owned(),
                ))
            })
    }

    async fn row(&self, id: &SessionId) -> Result<SessionRow, WorkspaceError> {
        self.shared.log.session(&key(id)).await.map_err(log_error)
    }

    /// The folder of a thread, if what it would run is trusted.
    async fn trusted_folder(&self, row: &SessionRow) -> Result<PathBuf, WorkspaceError> {
        let folder = PathBuf::from(row.directory.clone().unwrap_or_default());
        if !folder.is_dir() {
            return Err(WorkspaceError::Conflict(format!(
                "The folder {} isn't there any more; bring it back, or start a new chat in another folder.",
                folder.display()
            )));
        }
        folder::refuse_own_data(&folder, self.shared.data.root())?;
        match runtime::check_folder(&self.shared, &folder).await {
            Ok(state) if state.trusted => Ok(folder),
            Ok(_) => Err(WorkspaceError::TrustRequired(format!(
                "The folder {} holds files that would run as code; look at them and decide first.",
                folder.display()
            ))),
            Err(error) => Err(WorkspaceError::Conflict(sentence(&error))),
        }
    }

    /// Opens the thread on OpenCode, binding a new runtime session when there is none or it is lost.
    async fn open(&self, row: &SessionRow, folder: &Path) -> Result<(), WorkspaceError> {
        let id = &row.session.session_id;
        let host = &self.shared.host;
        if host.is_open(id) {
            return Ok(());
        }
        let bound = Some(&row.session.opencode_session_id).filter(|session| !session.is_empty());
        let opened = match host.open(id, bound, folder).await {
            Err(TurnError::SessionLost(_)) => host.open(id, None, folder).await,
            opened => opened,
        };
        let session = opened.map_err(turn_error)?;
        if bound != Some(&session) {
            self.shared
                .log
                .bind_runtime(&key(id), &session)
                .await
                .map_err(log_error)?;
        }
        Ok(())
    }

    /// The command of an idempotency key: `msg_<command>` must sort by time among OpenCode's message ids
    /// (08 §2), so it begins with the time and ends with a digest of the key.
    async fn command(
        &self,
        id: &SessionId,
        prompt_key: Option<&str>,
    ) -> Result<(CommandId, bool), WorkspaceError> {
        let Some(prompt_key) = prompt_key else {
            return Ok((prompt::new_command(), false));
        };
        let tail = prompt::tail_of(prompt_key);
        let suffix = format!("{tail}:user");
        let known = self
            .shared
            .log
            .read(&key(id), |state| {
                let messages = state.view.messages.iter().rev().take(200);
                messages
                    .filter_map(|message| {
                        message
                            .id
                            .strip_suffix(":user")
                            .filter(|_| message.id.ends_with(&suffix))
                    })
                    .next()
                    .map(CommandId::from)
            })
            .await
            .map_err(log_error)?;
        Ok(match known {
            Some(command) => (command, true),
            None => (prompt::command_now(&tail), false),
        })
    }

    async fn ask_ready(&self, id: &SessionId) -> Result<(), WorkspaceError> {
        let row = self.row(id).await?;
        self.ready().await?;
        let folder = self.trusted_folder(&row).await?;
        self.open(&row, &folder).await
    }

    fn connection(&self) -> Connection {
        match &*self.shared.phase.borrow() {
            Phase::NotConfigured => Connection::Unavailable(
                "No model provider is set up yet; choose one in Settings, or with `config set`."
                    .to_owned(),
            ),
            Phase::Starting => Connection::Starting,
            Phase::Restarting => Connection::Reconnecting,
            Phase::Failed(why) | Phase::Struggling(why) => Connection::Unavailable(sentence(why)),
            Phase::Running => match *self.shared.host.link().borrow() {
                LinkState::Online => Connection::Online,
                LinkState::Starting => Connection::Starting,
                LinkState::Reconnecting => Connection::Reconnecting,
            },
        }
    }

    fn entered(
        &self,
        input: &SettingsInput,
    ) -> Result<(ProviderSettings, Option<SecretString>), WorkspaceError> {
        let settings = ProviderSettings {
            provider: input.provider.trim().to_owned(),
            base_url: input
                .base_url
                .as_deref()
                .map(str::trim)
                .filter(|url| !url.is_empty())
                .map(str::to_owned),
            model: input.model.trim().to_owned(),
        };
        settings
            .check(self.shared.settings.offer())
            .map_err(desktop_error)?;
        let key = input
            .key
            .as_deref()
            .map(str::trim)
            .filter(|key| !key.is_empty());
        Ok((settings, key.map(SecretString::from)))
    }
}

#[async_trait]
impl Workspace for LocalWorkspace {
    async fn overview(&self) -> Overview {
        let effective = self.shared.effective().ok().flatten();
        let (models, demo) = match &effective {
            Some((_, true)) => (vec!["demo model".to_owned()], true),
            Some((settings, false)) => (
                vec![format!("{}/{}", settings.provider, settings.model)],
                false,
            ),
            None => (Vec::new(), false),
        };
        Overview {
            workspace: "Local".to_owned(),
            connection: self.connection(),
            default_directory: self.shared.default_directory.display().to_string(),
            coworkers: prompt::coworkers(self.shared.config.config()),
            models,
            demo,
            configured: effective.is_some(),
        }
    }

    async fn threads(&self, query: ThreadQuery) -> Result<ThreadPage, WorkspaceError> {
        let query = SessionQuery {
            text: query.text,
            cursor: query.cursor,
            limit: query.limit,
            ..SessionQuery::new(self.shared.scope())
        };
        let page = self
            .shared
            .log
            .page_sessions(&query)
            .await
            .map_err(log_error)?;
        Ok(ThreadPage {
            threads: page.rows.iter().map(summary).collect(),
            next: page.next,
        })
    }

    async fn create_thread(&self, new: NewThread) -> Result<SessionId, WorkspaceError> {
        let folder = match new
            .directory
            .as_deref()
            .map(str::trim)
            .filter(|folder| !folder.is_empty())
        {
            Some(folder) => PathBuf::from(folder),
            None => self.shared.default_directory.clone(),
        };
        let directory = folder::for_new_chat(&folder, self.shared.data.root())?;
        let id = SessionId::new(uuid::Uuid::now_v7().simple().to_string());
        let scope = self.shared.scope();
        let new = NewSession {
            tenant_id: scope.tenant_id,
            user_id: scope.user_id,
            session_id: id.clone(),
            profile_name: "local".to_owned(),
            title: None,
            directory: Some(directory),
            created_at: now(),
        };
        self.shared
            .log
            .create_session(new)
            .await
            .map_err(log_error)?;
        Ok(id)
    }

    async fn rename_thread(&self, id: &SessionId, title: &str) -> Result<(), WorkspaceError> {
        // One line for people: nothing in it moves a cursor or hides.
        let words = title
            .split_whitespace()
            .map(|word| word.chars().filter(|c| !c.is_control()).collect::<String>());
        let title = words
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
        if title.is_empty() || title.chars().count() > 200 {
            return Err(WorkspaceError::Invalid(
                "A title has 1 to 200 characters.".to_owned(),
            ));
        }
        self.row(id).await?;
        let event = RuntimeEvent::new(
            EventType::SessionRenamed,
            json!({ "sessionId": id, "title": title }),
        );
        self.shared
            .log
            .append(&key(id), vec![event])
            .await
            .map_err(log_error)?;
        Ok(())
    }

    async fn read_thread(
        &self,
        id: &SessionId,
        read: Box<dyn for<'a> FnOnce(ThreadState<'a>) + Send>,
    ) -> Result<(), WorkspaceError> {
        let key = key(id);
        let read = self.shared.log.read(&key, |state| {
            read(ThreadState {
                session: &state.row.session,
                view: state.view,
                sequence: state.sequence,
                directory: state.row.directory.as_deref().unwrap_or_default(),
            });
        });
        read.await.map_err(log_error)
    }

    async fn follow_thread(
        &self,
        id: &SessionId,
        after: u64,
    ) -> Result<BoxStream<'static, ThreadUpdate>, WorkspaceError> {
        let updates = self
            .shared
            .log
            .subscribe(&key(id), after)
            .await
            .map_err(log_error)?;
        Ok(updates
            .map(|update| match update {
                Update::Event(record) => ThreadUpdate::Event(record),
                Update::Reset { sequence } => ThreadUpdate::Reset { sequence },
            })
            .boxed())
    }

    async fn follow_threads(&self) -> BoxStream<'static, ThreadSummary> {
        let log = self.shared.log.clone();
        let scope = self.shared.scope();
        let changes = self.shared.log.subscribe_sessions(&scope);
        changes
            .then(move |change| {
                let (log, scope) = (log.clone(), scope.clone());
                async move {
                    match change {
                        SessionChange::Row(row) => vec![summary(&row)],
                        SessionChange::Resync => {
                            let page = log.page_sessions(&SessionQuery::new(scope)).await;
                            page.map(|page| page.rows.iter().map(summary).collect())
                                .unwrap_or_default()
                        }
                    }
                }
            })
            .flat_map(futures::stream::iter)
            .boxed()
    }

    async fn prompt(&self, id: &SessionId, prompt: PromptInput) -> Result<(), WorkspaceError> {
        self.check_prompt(&prompt)?;
        let row = self.row(id).await?;
        self.trusted_folder(&row).await?;
        // Single flight per key, held over awaits on purpose; only a repeat of the same prompt waits.
        let prompt_key = prompt
            .key
            .as_deref()
            .map(str::trim)
            .filter(|key| !key.is_empty());
        let gate = prompt_key.map(|key| self.shared.sending.gate(id, key));
        let _turn = match &gate {
            Some(gate) => Some(gate.lock().await),
            None => None,
        };
        let (command, known) = self.command(id, prompt_key).await?;
        if known {
            return Ok(());
        }
        self.ready().await?;
        let folder = self.trusted_folder(&row).await?;
        self.open(&row, &folder).await?;
        let turn = |command| TurnPrompt {
            command,
            text: prompt.text.clone(),
            agent: prompt.agent.clone(),
            model: None,
            maybe_sent: false,
            attempt: 1,
        };
        match self.shared.host.prompt(id, turn(command.clone())).await {
            Err(TurnError::NotOpen(_)) => {
                self.open(&row, &folder).await?;
                self.shared
                    .host
                    .prompt(id, turn(command))
                    .await
                    .map_err(turn_error)
            }
            result => result.map_err(turn_error),
        }
    }

    async fn stop(&self, id: &SessionId) -> Result<(), WorkspaceError> {
        self.row(id).await?;
        match self.shared.host.stop(id, "user", None).await {
            Err(TurnError::NotOpen(_) | TurnError::NotRunning) => Ok(()),
            result => result.map_err(turn_error),
        }
    }

    async fn answer_approval(
        &self,
        id: &SessionId,
        approval: &str,
        allow: bool,
        reason: Option<String>,
    ) -> Result<(), WorkspaceError> {
        self.ask_ready(id).await?;
        self.shared
            .host
            .answer_permission(id, approval, allow, reason, None)
            .await
            .map_err(turn_error)
    }

    async fn answer_question(
        &self,
        id: &SessionId,
        question: &str,
        answers: Option<Vec<Vec<String>>>,
    ) -> Result<(), WorkspaceError> {
        self.ask_ready(id).await?;
        self.shared
            .host
            .answer_question(id, question, answers, None)
            .await
            .map_err(turn_error)
    }

    async fn trust(&self, id: &SessionId) -> Result<TrustState, WorkspaceError> {
        let row = self.row(id).await?;
        let directory = row.directory.unwrap_or_default();
        let state = runtime::check_folder(&self.shared, Path::new(&directory)).await;
        let state = state.map_err(|error| WorkspaceError::Conflict(sentence(&error)))?;
        let files = state.risk.files.into_iter().map(|file| TrustFile {
            path: file.path,
            effect: file.effect.to_owned(),
            excerpt: file.excerpt,
        });
        let digest = state.risk.digest;
        Ok(TrustState {
            trusted: state.trusted,
            digest,
            files: files.collect(),
            changed: state.changed,
            directory,
        })
    }

    async fn grant_trust(&self, id: &SessionId, digest: &str) -> Result<(), WorkspaceError> {
        let row = self.row(id).await?;
        let directory = row.directory.unwrap_or_default();
        let (gate, digest) = (self.shared.gate.clone(), digest.to_owned());
        let granted =
            tokio::task::spawn_blocking(move || gate.grant(Path::new(&directory), &digest, &now()))
                .await;
        let granted =
            granted.map_err(|error| WorkspaceError::Internal(sentence(&error.to_string())))?;
        granted.map_err(|error| WorkspaceError::Conflict(sentence(&error.to_string())))
    }

    async fn settings(&self) -> Result<Settings, WorkspaceError> {
        let stored = self
            .shared
            .settings
            .load()
            .map_err(desktop_error)?
            .unwrap_or_default();
        let has_key = self
            .shared
            .settings
            .key(&stored.provider)
            .map_err(desktop_error)?
            .is_some();
        Ok(Settings {
            has_key,
            key_storage: format!(
                "a file only you can read, in {}",
                self.shared.data.root().join("keys").display()
            ),
            providers: self
                .shared
                .settings
                .offer()
                .providers()
                .iter()
                .map(|offered| (offered.id.clone(), offered.name.clone()))
                .collect(),
            provider: stored.provider,
            base_url: stored.base_url,
            model: stored.model,
            keys: Vec::new(),
        })
    }

    async fn save_settings(&self, input: SettingsInput) -> Result<(), WorkspaceError> {
        let (settings, key) = self.entered(&input)?;
        // Before it is anywhere: from now on no event shows it.
        self.shared
            .sink
            .redactor
            .learn(key.as_ref().map(|key| key.expose_secret().to_owned()));
        self.shared
            .settings
            .save(&settings, key.as_ref())
            .map_err(desktop_error)?;
        self.shared.restart.notify_one();
        Ok(())
    }

    async fn test_connection(
        &self,
        input: SettingsInput,
    ) -> Result<ConnectionReport, WorkspaceError> {
        let (settings, key) = self.entered(&input)?;
        let key = match key {
            Some(key) => Some(key),
            None => self
                .shared
                .settings
                .key(&settings.provider)
                .map_err(desktop_error)?,
        };
        let offer = self.shared.settings.offer();
        Ok(connection::test(&settings, offer, key.as_ref()).await)
    }

    async fn health(&self) -> Vec<HealthRow> {
        health::rows(&self.shared, self.connection())
    }
}

fn summary(row: &SessionRow) -> ThreadSummary {
    let session = &row.session;
    let state = match session.status {
        _ if row.waiting > 0 => ThreadDot::Waiting,
        SessionStatus::Running => ThreadDot::Running,
        SessionStatus::Errored => ThreadDot::Error,
        SessionStatus::Idle | SessionStatus::Closed => ThreadDot::Idle,
    };
    ThreadSummary {
        id: session.session_id.clone(),
        title: session
            .title
            .clone()
            .unwrap_or_else(|| "New chat".to_owned()),
        state,
        updated_at: session.updated_at.clone(),
    }
}

fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
        .to_string()
}

/// An error's text as a sentence on the page.
pub(crate) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars
        .next()
        .map(|first| first.to_uppercase().collect())
        .unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?']) {
        ""
    } else {
        "."
    };
    format!("{first}{}{end}", chars.as_str())
}

fn closing() -> WorkspaceError {
    WorkspaceError::Unavailable("The program is being closed.".to_owned())
}

#[allow(clippy::needless_pass_by_value)] // the shape that `map_err` wants
fn log_error(error: LogError) -> WorkspaceError {
    match &error {
        LogError::Store(StoreError::NotFound(_)) => {
            WorkspaceError::NotFound("There is no such chat; choose one from the list.".to_owned())
        }
        LogError::Closed => closing(),
        LogError::Store(StoreError::InvalidCursor) => WorkspaceError::Invalid(
            "That page of the list doesn't exist; start at its beginning.".to_owned(),
        ),
        _ => WorkspaceError::Unavailable(sentence(&error.to_string())),
    }
}

#[allow(clippy::needless_pass_by_value)] // the shape that `map_err` wants
fn turn_error(error: TurnError) -> WorkspaceError {
    match &error {
        TurnError::NotPending(_) => WorkspaceError::Conflict(
            "That was answered, withdrawn or has expired; nothing more is to be done.".to_owned(),
        ),
        TurnError::NotRunning | TurnError::Sink(_) | TurnError::NotOpen(_) => {
            WorkspaceError::Unavailable(sentence(&error.to_string()))
        }
        _ => WorkspaceError::Unavailable(sentence(&error.to_string())),
    }
}

fn desktop_error(error: DesktopError) -> WorkspaceError {
    match error {
        DesktopError::InvalidSetting(message) => WorkspaceError::Invalid(sentence(&message)),
        other => WorkspaceError::Unavailable(sentence(&other.to_string())),
    }
}
