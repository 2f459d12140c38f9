//! The port: every operation that a host needs from OpenCode.

use crate::answer::{AgentInfo, Capabilities, Health, MessagePage, UsableProviders};
use crate::directory::Directory;
use crate::error::Error;
use crate::model::{MessageWithParts, PermissionRequest, QuestionRequest, SessionInfo, StatusInfo};
use crate::request::{NewSession, Prompt, Reply};
use crate::stream::StreamItem;
use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::Value;
use std::collections::BTreeMap;

/// OpenCode as a host uses it (docs/contract/08-opencode.md §15.1): one place in which a later OpenCode generation
/// can be taken up, and behind which a test can put a fake.
///
/// Every call has a deadline and bounded bodies. A call whose outcome is unknown fails with
/// [`Error::Timeout`] or [`Error::Unreachable`]; nothing is repeated by itself.
#[async_trait]
pub trait OpenCodeRuntime: Send + Sync + 'static {
    /// Health and version.
    async fn health(&self) -> Result<Health, Error>;

    /// True when the server refuses a call without credentials, as it must (§4.1).
    async fn rejects_unauthenticated(&self) -> Result<bool, Error>;

    /// What the server's own OpenAPI document lists: the capability probe (§5, §15.10).
    async fn capabilities(&self) -> Result<Capabilities, Error>;

    /// Creates a session in a directory.
    async fn create_session(
        &self,
        directory: &Directory,
        new: NewSession,
    ) -> Result<SessionInfo, Error>;

    /// One session.
    async fn session(&self, session: &str) -> Result<SessionInfo, Error>;

    /// The newest sessions **of exactly this directory** (OpenCode's list also holds foreign ones, §4.2), at most 1000
    /// scanned, newest first, children included.
    async fn sessions(&self, directory: &Directory) -> Result<Vec<SessionInfo>, Error>;

    /// Changes the title.
    async fn rename_session(&self, session: &str, title: &str) -> Result<SessionInfo, Error>;

    /// Deletes a session and its messages.
    async fn delete_session(&self, session: &str) -> Result<(), Error>;

    /// Sessions of a directory that are not idle, by id; an absent session is idle (§6).
    async fn status(&self, directory: &Directory) -> Result<BTreeMap<String, StatusInfo>, Error>;

    /// Direct children (sub-agents) of a session.
    async fn children(&self, session: &str) -> Result<Vec<SessionInfo>, Error>;

    /// The todo list, `{content, status, priority}` each.
    async fn todos(&self, session: &str) -> Result<Vec<Value>, Error>;

    /// All messages, oldest first. Read in pages, so that no single answer has to hold a long history.
    async fn messages(&self, session: &str) -> Result<Vec<MessageWithParts>, Error>;

    /// The last `limit` messages before a cursor, oldest first (§4.4).
    async fn messages_page(
        &self,
        session: &str,
        limit: usize,
        before: Option<&str>,
    ) -> Result<MessagePage, Error>;

    /// One message, or `None` when the session has no such message. An unknown session is [`Error::NotFound`] only
    /// where OpenCode tells the difference; it doesn't in 1.18.
    async fn message(
        &self,
        session: &str,
        message: &str,
    ) -> Result<Option<MessageWithParts>, Error>;

    /// Starts a turn, or adds to the running one; returns when OpenCode has taken the prompt. Not idempotent: see
    /// [`Prompt::message_id`].
    async fn prompt_async(&self, session: &str, prompt: Prompt) -> Result<(), Error>;

    /// Stops the turn. Also fine when the session is idle or unknown (§4.3). Asks that are pending stay pending
    /// (§9.5): reject them.
    async fn abort(&self, session: &str) -> Result<(), Error>;

    /// Pending permissions of a directory, of all its sessions.
    async fn permissions(&self, directory: &Directory) -> Result<Vec<PermissionRequest>, Error>;

    /// Answers a permission; [`Error::NotFound`] when it was answered before or the directory is another.
    async fn reply_permission(
        &self,
        directory: &Directory,
        permission: &str,
        reply: Reply,
    ) -> Result<(), Error>;

    /// Pending questions of a directory, of all its sessions.
    async fn questions(&self, directory: &Directory) -> Result<Vec<QuestionRequest>, Error>;

    /// Answers a question: per question the chosen labels; free text is allowed as a label.
    async fn reply_question(
        &self,
        directory: &Directory,
        question: &str,
        answers: Vec<Vec<String>>,
    ) -> Result<(), Error>;

    /// Dismisses a question; the turn ends (§9.4).
    async fn reject_question(&self, directory: &Directory, question: &str) -> Result<(), Error>;

    /// Agents of a directory, hidden ones included.
    async fn agents(&self, directory: &Directory) -> Result<Vec<AgentInfo>, Error>;

    /// Providers and models that OpenCode could call, without keys.
    async fn providers(&self, directory: &Directory) -> Result<UsableProviders, Error>;

    /// One connection to the stream of all directories. Ends after [`StreamItem::Broken`]; dropping it disconnects.
    fn events(&self) -> BoxStream<'static, StreamItem>;
}
