//! The port that the renderer talks to. Desktop and Cloud implement it; the renderer knows no store and
//! no runtime.

use async_trait::async_trait;
use futures::stream::BoxStream;
use open_cowork_contracts::{Session, SessionEventRecord, SessionId, View};
use std::sync::Arc;

/// One workspace: the threads of one user under one execution authority (07 §2).
#[async_trait]
pub trait Workspace: Send + Sync + 'static {
    /// What the rail and the composer show; cheap, called for each page.
    async fn overview(&self) -> Overview;

    /// Threads, last touched first.
    async fn threads(&self, query: ThreadQuery) -> Result<ThreadPage, WorkspaceError>;

    /// Makes a thread. Nothing runs until the first prompt.
    async fn create_thread(&self, new: NewThread) -> Result<SessionId, WorkspaceError>;

    /// Renames a thread.
    async fn rename_thread(&self, id: &SessionId, title: &str) -> Result<(), WorkspaceError>;

    /// Calls `read` once with the current state of a thread, without copying it. `read` must be quick: the
    /// thread's log waits for it.
    async fn read_thread(
        &self,
        id: &SessionId,
        read: Box<dyn for<'a> FnOnce(ThreadState<'a>) + Send>,
    ) -> Result<(), WorkspaceError>;

    /// Follows a thread: every event with a sequence above `after`, in order, without gaps; when the
    /// backlog is too long or gone, one [`ThreadUpdate::Reset`] instead (re-read the thread).
    async fn follow_thread(
        &self,
        id: &SessionId,
        after: u64,
    ) -> Result<BoxStream<'static, ThreadUpdate>, WorkspaceError>;

    /// Follows the thread list: an item whenever a thread appeared or changed its title, status or asks.
    async fn follow_threads(&self) -> BoxStream<'static, ThreadSummary>;

    /// Sends a prompt. Returns when it is durable, not when it is answered.
    async fn prompt(&self, id: &SessionId, prompt: PromptInput) -> Result<(), WorkspaceError>;

    /// Stops the running turn; fine when nothing runs.
    async fn stop(&self, id: &SessionId) -> Result<(), WorkspaceError>;

    /// Answers an approval: allow once, or deny with an optional reason for the agent.
    async fn answer_approval(
        &self,
        id: &SessionId,
        approval: &str,
        allow: bool,
        reason: Option<String>,
    ) -> Result<(), WorkspaceError>;

    /// Answers a question: per question the chosen labels and free texts. `None` dismisses it.
    async fn answer_question(
        &self,
        id: &SessionId,
        question: &str,
        answers: Option<Vec<Vec<String>>>,
    ) -> Result<(), WorkspaceError>;

    /// What opening the thread's folder would run as code, and whether it is trusted.
    async fn trust(&self, id: &SessionId) -> Result<TrustState, WorkspaceError>;

    /// Trusts exactly the content with that digest; refused when the content changed meanwhile.
    async fn grant_trust(&self, id: &SessionId, digest: &str) -> Result<(), WorkspaceError>;

    /// Provider settings, without the key itself.
    async fn settings(&self) -> Result<Settings, WorkspaceError>;

    /// Saves provider settings; an absent key keeps the stored one.
    async fn save_settings(&self, settings: SettingsInput) -> Result<(), WorkspaceError>;

    /// Calls the provider for real with the given (or stored) settings.
    async fn test_connection(
        &self,
        settings: SettingsInput,
    ) -> Result<ConnectionReport, WorkspaceError>;

    /// The health page: one row per check.
    async fn health(&self) -> Vec<HealthRow>;
}

/// State of a thread while it is read.
#[derive(Clone, Copy, Debug)]
pub struct ThreadState<'a> {
    /// The row.
    pub session: &'a Session,
    /// The folded view.
    pub view: &'a View,
    /// Sequence of the last event in the view.
    pub sequence: u64,
    /// Folder that the agent works in.
    pub directory: &'a str,
}

/// An item of [`Workspace::follow_thread`].
#[derive(Clone, Debug)]
pub enum ThreadUpdate {
    /// The next event; already folded into the view.
    Event(Arc<SessionEventRecord>),
    /// Re-read the thread: its state is at `sequence`.
    Reset {
        /// Sequence to continue from.
        sequence: u64,
    },
}

/// Connection state of the workspace, in the user's words on the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// The runtime answers.
    Online,
    /// It is being started.
    Starting,
    /// It was lost and is being restarted; nothing is lost.
    Reconnecting,
    /// It can't be used; the sentence says why and what to do.
    Unavailable(String),
}

/// What rail and composer show.
#[derive(Clone, Debug)]
pub struct Overview {
    /// Workspace label, such as `Local`.
    pub workspace: String,
    /// Connection state.
    pub connection: Connection,
    /// Folder that new chats work in by default.
    pub default_directory: String,
    /// Coworkers (agents) that can be chosen; the first is the default.
    pub coworkers: Vec<Coworker>,
    /// Models that can be chosen, `provider/model`; the first is the default.
    pub models: Vec<String>,
    /// True while the scripted demo model answers.
    pub demo: bool,
    /// A provider is set up.
    pub configured: bool,
}

/// A coworker (agent) of the picker.
#[derive(Clone, Debug)]
pub struct Coworker {
    /// Id sent with the prompt.
    pub name: String,
    /// One line.
    pub description: String,
}

/// Filter and page of the thread list.
#[derive(Clone, Debug, Default)]
pub struct ThreadQuery {
    /// Case-insensitive substring of the title.
    pub text: Option<String>,
    /// Cursor of the page before.
    pub cursor: Option<String>,
    /// At most so many; 0 = the default.
    pub limit: u32,
}

/// A page of threads.
#[derive(Clone, Debug, Default)]
pub struct ThreadPage {
    /// Rows.
    pub threads: Vec<ThreadSummary>,
    /// Cursor of the next page.
    pub next: Option<String>,
}

/// A row of the thread list.
#[derive(Clone, Debug, PartialEq)]
pub struct ThreadSummary {
    /// The thread.
    pub id: SessionId,
    /// Its title.
    pub title: String,
    /// The dot.
    pub state: ThreadDot,
    /// ISO-8601.
    pub updated_at: String,
}

/// State of a thread in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadDot {
    /// A turn runs.
    Running,
    /// It waits for an answer of the user.
    Waiting,
    /// The last turn failed.
    Error,
    /// Nothing runs.
    Idle,
}

/// A new thread.
#[derive(Clone, Debug, Default)]
pub struct NewThread {
    /// Absolute folder; absent: the default one.
    pub directory: Option<String>,
}

/// A prompt.
#[derive(Clone, Debug, Default)]
pub struct PromptInput {
    /// The text.
    pub text: String,
    /// Coworker; absent: the default.
    pub agent: Option<String>,
    /// `provider/model`; absent: the default.
    pub model: Option<String>,
    /// Idempotency key: sending the same key twice prompts once.
    pub key: Option<String>,
}

/// What a folder would run as code.
#[derive(Clone, Debug, Default)]
pub struct TrustState {
    /// The folder.
    pub directory: String,
    /// True: nothing to ask.
    pub trusted: bool,
    /// Digest of the files below; trust is bound to it.
    pub digest: String,
    /// Files that run as code or loosen permissions when the folder is opened.
    pub files: Vec<TrustFile>,
    /// True when it was trusted before and the files changed.
    pub changed: bool,
}

/// One such file.
#[derive(Clone, Debug)]
pub struct TrustFile {
    /// Path, relative to the folder where possible.
    pub path: String,
    /// What it does, in one sentence.
    pub effect: String,
    /// Its first lines.
    pub excerpt: String,
}

/// Provider settings as shown.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Provider id (`openai`, `anthropic`, …, or `custom`).
    pub provider: String,
    /// Endpoint of a custom provider.
    pub base_url: Option<String>,
    /// Model id.
    pub model: String,
    /// A key is stored.
    pub has_key: bool,
    /// Where it is stored, in words.
    pub key_storage: String,
    /// Providers that can be chosen: id and name.
    pub providers: Vec<(String, String)>,
    /// What is stored already, where keys are managed for all.
    pub keys: Vec<KeyRow>,
}

/// A stored key, without it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRow {
    /// Whose.
    pub provider: String,
    /// In words, such as `in use` or why it isn't.
    pub state: String,
    /// Its last characters.
    pub ending: String,
    /// Whether it is in use.
    pub active: bool,
}

/// Provider settings as entered. `Debug` shows no key.
#[derive(Clone, Default)]
pub struct SettingsInput {
    /// Provider id.
    pub provider: String,
    /// Endpoint of a custom provider.
    pub base_url: Option<String>,
    /// Model id.
    pub model: String,
    /// A new key.
    pub key: Option<String>,
}

impl std::fmt::Debug for SettingsInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SettingsInput")
            .field("provider", &self.provider)
            .field("base_url", &self.base_url)
            .field("model", &self.model)
            .field("key", &self.key.as_ref().map(|_| "[hidden]"))
            .finish()
    }
}

/// Result of a connection test.
#[derive(Clone, Debug)]
pub struct ConnectionReport {
    /// It answered as it should.
    pub ok: bool,
    /// One sentence: what happened and what to do.
    pub message: String,
}

/// One check of the health page.
#[derive(Clone, Debug)]
pub struct HealthRow {
    /// What is checked.
    pub name: String,
    /// `ok`, `warning` or `error`.
    pub level: HealthLevel,
    /// One sentence.
    pub detail: String,
}

/// Level of a health row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthLevel {
    /// Good.
    Ok,
    /// Works, with a remark.
    Warning,
    /// Doesn't work.
    Error,
}

/// Why an action didn't happen, by what the user can do. The message is one sentence for people.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// No such thread, ask or question (404).
    #[error("{0}")]
    NotFound(String),
    /// The input is not acceptable (400).
    #[error("{0}")]
    Invalid(String),
    /// The input is too large (413).
    #[error("{0}")]
    TooLarge(String),
    /// The state moved on: already answered, already running (409).
    #[error("{0}")]
    Conflict(String),
    /// This person may not do it (403).
    #[error("{0}")]
    Forbidden(String),
    /// The folder must be trusted first (409; the page shows what it would run).
    #[error("{0}")]
    TrustRequired(String),
    /// The runtime or the store can't do it now; trying again may help (503).
    #[error("{0}")]
    Unavailable(String),
    /// Something of ours failed (500).
    #[error("{0}")]
    Internal(String),
}
