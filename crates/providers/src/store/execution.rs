//! Leases and commands (04 §2.4, decision 24).
//!
//! A worker first claims a **scope** (tenant, user): all sessions of a user share one runtime, so they run on
//! one worker at a time. Under the scope's lease it claims **sessions**; a session's lease lives exactly as
//! long as its scope's. Its token fences every append of the worker ([`LeaseFence`](super::LeaseFence)) and
//! every step of a command. Tokens are random: nobody can guess one from ids.
//!
//! ```text
//! runnable_scopes ─► claim_scope ─► sessions_with_work ─► claim_session ─► claim_command ─► ack | fail | defer
//!                       │ renew_scope while anything runs                        (again until None)
//!                       └ release_scope, or reap when the worker died
//! ```
//!
//! **What a dead worker leaves** loses nothing, because it is state and not a message: its commands wait
//! again, and a session whose row still says `running` without a live lease is *unfinished*: its scope is
//! runnable until some worker has claimed the session and written how the turn ended (decision 7).
//!
//! **Clocks**: callers pass `now`; a lease ends at `expires_at <= now`. Nothing here changes a session's
//! status: events do (01 §3.3).

use super::{LeaseToken, Scope, SessionKey, StoreError};
use crate::time::Timestamp;
use async_trait::async_trait;
use open_cowork_contracts::api::sessions::{Command, CommandKind};
use open_cowork_contracts::api::workspace::Heartbeat;
use open_cowork_contracts::{CommandId, JsonObject, SessionId, UserId};
use std::time::Duration;

/// How long a lease lasts unless it is renewed: a dead worker is replaced at most two seconds after that.
pub const LEASE_TTL: Duration = Duration::from_secs(10);

/// How often a command is executed before it counts as one that kills its worker. Deferrals don't count.
pub const MAX_EXECUTIONS: u32 = 3;

/// Most rows of one answer of this domain.
pub const EXECUTION_PAGE: u32 = 1000;

/// Most characters of a stored error summary (04 §2.1).
pub const SUMMARY_CHARS: usize = 512;

/// A worker's hold on all sessions of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeLease {
    /// Tenant and user.
    pub scope: Scope,
    /// The worker's id.
    pub worker_id: String,
    /// Proof of it.
    pub token: LeaseToken,
    /// When it ends unless it is renewed.
    pub expires_at: Timestamp,
}

/// A worker's hold on one session, under its [`ScopeLease`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionLease {
    /// The session.
    pub key: SessionKey,
    /// Its owner.
    pub user_id: UserId,
    /// The worker's id.
    pub worker_id: String,
    /// Proof of it, for appends and for commands.
    pub token: LeaseToken,
    /// When it ended if nothing was renewed after the claim.
    pub expires_at: Timestamp,
}

/// A command to be queued.
#[derive(Clone, Debug, PartialEq)]
pub struct NewCommand {
    /// A key over all tenants; the same command again is a replay.
    pub command_id: CommandId,
    /// The session.
    pub key: SessionKey,
    /// Who gives it.
    pub user_id: UserId,
    /// What it does.
    pub kind: CommandKind,
    /// Its arguments.
    pub payload: JsonObject,
    /// W3C trace context of the request, so that the worker's spans belong to it.
    pub traceparent: Option<String>,
}

/// What a queue may hold. [`QueueLimits::default`] is none, for what bypasses quotas (abort).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueLimits {
    /// Open commands of the organisation; at that many, `quota.queued_commands_exceeded`.
    pub max_queued: Option<u32>,
    /// Age of its oldest open command; beyond, `quota.queue_age_exceeded`.
    pub max_age: Option<Duration>,
}

/// Result of an enqueue.
#[derive(Clone, Debug, PartialEq)]
pub struct Enqueued {
    /// As it is stored now.
    pub command: Command,
    /// False: it was queued before, with equal content.
    pub created: bool,
}

/// Which commands of a session a worker can take up now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lanes {
    /// Aborts and answers, while a turn runs.
    Control,
    /// Prompts too. Aborts and answers still come first.
    All,
    /// Only prompts that were queued before this sequence, also those that wait for their time: what an abort
    /// stops that finds no turn.
    PromptsBefore(u64),
}

/// A command that the caller has to execute.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimedCommand {
    /// As it is now: `running` under the caller's token.
    pub command: Command,
    /// W3C trace context of the request that gave it.
    pub traceparent: Option<String>,
    /// It was executed [`MAX_EXECUTIONS`] times without an end: say so in the thread and
    /// [`fail`](ExecutionStore::fail_command) it with [`EXHAUSTED`], instead of executing it once more.
    pub exhausted: bool,
}

/// Error code of a command that outlived its workers too often (04 §2.4).
pub const EXHAUSTED: &str = "lease_expired_max_attempts";

/// Error code of a command whose execution failed (04 §2.4).
pub const EXECUTION_FAILED: &str = "execution_failed";

/// Error code of a prompt that was stopped before it began.
pub const ABORTED: &str = "aborted";

/// Why a command failed for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandFailure {
    /// For programs: [`EXECUTION_FAILED`], [`EXHAUSTED`], [`ABORTED`].
    pub code: String,
    /// For people, redacted; cut at [`SUMMARY_CHARS`] characters.
    pub message: String,
}

/// Why and until when a command waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deferral {
    /// For programs, such as `runtime_capacity_busy`.
    pub code: String,
    /// For people, redacted; cut at [`SUMMARY_CHARS`] characters.
    pub summary: String,
    /// How long, more than nothing.
    pub retry_after: Duration,
}

/// Scopes with something to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunnableScopes {
    /// Oldest work first, one of each tenant in turn.
    pub scopes: Vec<Scope>,
    /// True when there are more than fit.
    pub more: bool,
}

/// What there is to do in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionWork {
    /// The session.
    pub session_id: SessionId,
    /// An abort or an answer waits.
    pub control: bool,
    /// A prompt can be taken up.
    pub prompt: bool,
    /// The row says `running`, but no live lease stands behind it: the turn's worker is gone.
    pub unfinished: bool,
}

/// What became of a session whose worker is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReapedSession {
    /// The session.
    pub key: SessionKey,
    /// Its owner.
    pub user_id: UserId,
    /// The worker that had it.
    pub worker_id: String,
    /// Commands that wait again.
    pub retried: Vec<CommandId>,
    /// A turn was under way; see [`SessionWork::unfinished`].
    pub unfinished: bool,
}

/// Leases and commands (04 §2.4, decision 24).
#[async_trait]
pub trait ExecutionStore: Send + Sync + 'static {
    /// Takes a user's sessions. `None` when an unexpired lease exists, even the caller's own. An expired one is
    /// [reaped](ExecutionStore::reap) in the same transaction. [`StoreError::Missing`] for an unknown user.
    async fn claim_scope(
        &self,
        scope: &Scope,
        worker_id: &str,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Option<ScopeLease>, StoreError>;

    /// Prolongs a scope's lease, and with it all session leases under it, to `now + ttl`.
    /// [`StoreError::StaleFence`] when it has expired or is somebody else's.
    async fn renew_scope(
        &self,
        lease: &ScopeLease,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<ScopeLease, StoreError>;

    /// Gives a scope back: running commands wait again at once. False when it was lost before.
    async fn release_scope(&self, lease: &ScopeLease, now: Timestamp) -> Result<bool, StoreError>;

    /// Takes a session under a live scope lease. `None` when it is taken, even by the caller.
    /// [`StoreError::StaleFence`] when the scope is lost; [`StoreError::NotFound`] when it has no such session.
    async fn claim_session(
        &self,
        lease: &ScopeLease,
        session: &SessionId,
        now: Timestamp,
    ) -> Result<Option<SessionLease>, StoreError> {
        self.claim_session_within(lease, session, None, now).await
    }

    /// The same where the organisation's workers hold fewer than `most` sessions under live leases (04 §2.9); else
    /// [`StoreError::Quota`] with `quota.active_workers_exceeded`, exact also when several claim at once.
    async fn claim_session_within(
        &self,
        lease: &ScopeLease,
        session: &SessionId,
        most: Option<u32>,
        now: Timestamp,
    ) -> Result<Option<SessionLease>, StoreError>;

    /// Gives a session back: its running commands wait again. False when it was lost before.
    async fn release_session(
        &self,
        lease: &SessionLease,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Ends up to `limit` expired scope leases, oldest first: their running commands wait again, their session
    /// leases are gone. Several callers share the work and never wait for each other.
    async fn reap(&self, limit: u32, now: Timestamp) -> Result<Vec<ReapedSession>, StoreError>;

    /// Queues a command. Idempotent by id over all tenants: the same tenant, session, user, kind and equal
    /// payload give the stored one; anything else is a [`StoreError::Conflict`] that reveals nothing.
    /// [`StoreError::NotFound`] for an unknown session; [`StoreError::Quota`] for a new command beyond the
    /// limits. A worker sees it as soon as this returns.
    async fn enqueue(
        &self,
        new: NewCommand,
        limits: QueueLimits,
        now: Timestamp,
    ) -> Result<Enqueued, StoreError>;

    /// A command as it is now; `None` when the tenant has no such command.
    async fn command(
        &self,
        key: &SessionKey,
        id: &CommandId,
    ) -> Result<Option<Command>, StoreError>;

    /// The next command of a session, set `running` under the lease. Aborts and answers come first, in their
    /// order, and a deferred one doesn't hold up the others. Prompts keep their order strictly: one that waits
    /// for its time, or runs, holds up those behind it.
    /// [`StoreError::StaleFence`] when the lease isn't the current live one.
    async fn claim_command(
        &self,
        lease: &SessionLease,
        lanes: Lanes,
        now: Timestamp,
    ) -> Result<Option<ClaimedCommand>, StoreError>;

    /// The command was applied. Idempotent; else it must be running under this lease
    /// ([`StoreError::StaleFence`]). [`StoreError::Missing`] for an unknown one.
    async fn ack_command(
        &self,
        lease: &SessionLease,
        id: &CommandId,
        now: Timestamp,
    ) -> Result<Command, StoreError>;

    /// The command failed for good. As [`ExecutionStore::ack_command`] for the errors.
    async fn fail_command(
        &self,
        lease: &SessionLease,
        id: &CommandId,
        failure: &CommandFailure,
        now: Timestamp,
    ) -> Result<Command, StoreError>;

    /// The command waits for its time; the lease and the other commands stay as they are, and the execution
    /// doesn't count. As [`ExecutionStore::ack_command`] for the errors; [`StoreError::Invalid`] for no delay.
    async fn defer_command(
        &self,
        lease: &SessionLease,
        id: &CommandId,
        deferral: &Deferral,
        now: Timestamp,
    ) -> Result<Command, StoreError>;

    /// Scopes that nobody or this worker holds and that have something to do: a command that can be claimed,
    /// or an unfinished turn. Oldest work first, tenants in turn; at most `limit` ([`EXECUTION_PAGE`]).
    async fn runnable_scopes(
        &self,
        worker_id: &str,
        limit: u32,
        now: Timestamp,
    ) -> Result<RunnableScopes, StoreError>;

    /// What there is to do in a scope, oldest first; at most [`EXECUTION_PAGE`] sessions.
    async fn sessions_with_work(
        &self,
        scope: &Scope,
        now: Timestamp,
    ) -> Result<Vec<SessionWork>, StoreError>;

    /// Writes or replaces a worker's sign of life.
    async fn heartbeat(&self, beat: &Heartbeat) -> Result<(), StoreError>;

    /// The newest signs of life, newest first; at most `limit` ([`EXECUTION_PAGE`]).
    async fn heartbeats(&self, limit: u32) -> Result<Vec<Heartbeat>, StoreError>;

    /// Deletes up to `limit` commands that ended, and signs of life that were last seen, before that time.
    /// Returns how many. A command that is gone could be enqueued again, so keep them longer than clients retry.
    async fn prune_execution(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}
