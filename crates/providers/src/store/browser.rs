//! Browser sessions, idempotency keys, rate limits, sign-in back-off (03 §5, §6.4, §12 #7, #20, #21).

use super::StoreError;
use crate::time::Timestamp;
use async_trait::async_trait;
use open_cowork_contracts::{AccountId, JsonObject, TenantId};

/// A browser session. Its id is a secret of the browser: here is only its hash.
#[derive(Clone, Debug, PartialEq)]
pub struct BrowserSession {
    /// SHA-256 of the id, hexadecimal.
    pub session_hash: String,
    /// Tenant.
    pub tenant_id: TenantId,
    /// Account.
    pub account_id: AccountId,
    /// What sign-in keeps; nothing secret.
    pub body: JsonObject,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when, unless it is renewed.
    pub expires_at: Timestamp,
    /// Latest end, however often it is renewed.
    pub ends_at: Timestamp,
}

/// Who asked for what with which idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyScope {
    /// Tenant.
    pub tenant_id: TenantId,
    /// The principal: account or token, so that two never share a key.
    pub principal: String,
    /// Method and route.
    pub route: String,
    /// The client's key.
    pub key: String,
}

/// An answer that is kept for repetitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// Status.
    pub status: u16,
    /// Content type, if any.
    pub content_type: Option<String>,
    /// Body.
    pub body: Vec<u8>,
}

/// What a key means now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reservation {
    /// It is yours: do the work, then [`BrowserStore::complete_idempotent`] or
    /// [`BrowserStore::release_idempotent`] with this token.
    Reserved(u64),
    /// Somebody does the same at this moment, or died in the middle of it: try again later.
    InProgress,
    /// It was done: give this answer again.
    Done(KeptAnswer),
    /// The key was used for something else.
    OtherRequest,
}

/// A bucket to take tokens from. Capacity and refill are the caller's, so that a changed limit holds at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateClaim {
    /// Whose bucket, such as `ip:192.0.2.1`, `org:t1`, `token:tok_…`.
    pub bucket: String,
    /// Tokens that a full bucket holds.
    pub capacity: u32,
    /// Time in which an empty bucket fills, milliseconds, at least 1.
    pub window_ms: u64,
    /// Tokens to take.
    pub cost: u32,
}

/// What a bucket said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateVerdict {
    /// The tokens were taken.
    pub allowed: bool,
    /// Whole tokens that are left.
    pub remaining: u32,
    /// When as many as were asked for will be there; 0 when allowed.
    pub retry_after_ms: u64,
    /// When the bucket is full again.
    pub reset_after_ms: u64,
}

/// When sign-in backs off (03 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffRule {
    /// Window in which failures count, milliseconds.
    pub window_ms: u64,
    /// Failures that are too many.
    pub max_failures: u32,
    /// How long nobody may try then, milliseconds.
    pub backoff_ms: u64,
}

/// Browser sessions, idempotency keys, rate limits, sign-in back-off (03 §5, §6.4, §12 #7).
#[async_trait]
pub trait BrowserStore: Send + Sync + 'static {
    /// Keeps a session. A known hash is a [`StoreError::Conflict`].
    async fn create_browser_session(&self, session: &BrowserSession) -> Result<(), StoreError>;

    /// The session of this hash if it has neither ended nor been revoked.
    async fn browser_session(
        &self,
        hash: &str,
        now: Timestamp,
    ) -> Result<Option<BrowserSession>, StoreError>;

    /// Renews a session up to its latest end; false when it is gone.
    async fn renew_browser_session(
        &self,
        hash: &str,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Ends a session; true when it was there.
    async fn revoke_browser_session(&self, hash: &str) -> Result<bool, StoreError>;

    /// Ends all sessions of an account in a tenant; how many.
    async fn revoke_browser_sessions(
        &self,
        tenant: &TenantId,
        account: &AccountId,
    ) -> Result<u64, StoreError>;

    /// Takes a key. `fingerprint` is a hash of what is asked, body included. A key is free again at `expires`;
    /// one that was reserved and never finished is free after `abandoned_after_ms`.
    async fn reserve_idempotent(
        &self,
        scope: &IdempotencyScope,
        fingerprint: &str,
        now: Timestamp,
        expires: Timestamp,
        abandoned_after_ms: u64,
    ) -> Result<Reservation, StoreError>;

    /// Keeps the answer of a reservation; nothing happens when it isn't held any more.
    async fn complete_idempotent(
        &self,
        scope: &IdempotencyScope,
        reservation: u64,
        answer: &KeptAnswer,
    ) -> Result<(), StoreError>;

    /// Frees the key of a reservation: nothing was done.
    async fn release_idempotent(
        &self,
        scope: &IdempotencyScope,
        reservation: u64,
    ) -> Result<(), StoreError>;

    /// What tells this database from another that is put in its place (03 §9.2): `fresh`, unless one was kept
    /// before. All processes on a database get the same.
    async fn stream_epoch(&self, fresh: &str) -> Result<String, StoreError>;

    /// Takes tokens, each claim by itself: those of a refused one are not taken. Answers in the order of the
    /// claims.
    async fn take_tokens(
        &self,
        claims: &[RateClaim],
        now: Timestamp,
    ) -> Result<Vec<RateVerdict>, StoreError>;

    /// How long these scopes must wait before the next attempt, milliseconds; 0: not at all. The longest
    /// counts.
    async fn sign_in_backoff(&self, scopes: &[String], now: Timestamp) -> Result<u64, StoreError>;

    /// Notes a failed attempt for each scope.
    async fn record_sign_in_failure(
        &self,
        scopes: &[String],
        rule: BackoffRule,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Deletes what has ended, at most `limit` rows of each kind; how many.
    async fn prune_browser(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError>;
}
