//! Managed policy, provider keys, audit, usage, quotas, billing records, settings (04 §1.7, §2.9–2.11).

use super::StoreError;
use super::keyset::Page;
use super::stamp::Stamp;
use crate::time::Timestamp;
use async_trait::async_trait;
use open_cowork_contracts::api::admin::{AuditActor, AuditEvent};
use open_cowork_contracts::api::byok::{ByokSecret, ByokStatus};
use open_cowork_contracts::api::policy::ManagedPolicyRecord;
use open_cowork_contracts::api::settings::Setting;
use open_cowork_contracts::api::usage::{
    BillingSubscription, QuotaKey, QuotaState, UsageEvent, UsageEventType,
};
use open_cowork_contracts::{AccountId, JsonObject, TenantId, UserId};
use serde::Serialize;

pub mod quota;
pub mod redact;

pub use quota::{QuotaClaim, Window};

/// Rows of a page when the caller doesn't say, for audit and usage.
pub const DEFAULT_LIMIT: u32 = 100;
/// Most rows of a page, for audit and usage.
pub const MAX_LIMIT: u32 = 500;

/// A provider key as it is stored.
#[derive(Clone, PartialEq)]
pub struct StoredByok {
    /// What may be shown.
    pub secret: ByokSecret,
    /// The key, encrypted; one of this and the reference is set.
    pub ciphertext: Option<String>,
    /// Reference to a key service.
    pub kms_ref: Option<String>,
    /// Who set it.
    pub created_by: Option<AccountId>,
    /// The active one when this one was set.
    pub rotated_from: Option<String>,
}

impl std::fmt::Debug for StoredByok {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredByok")
            .field("secret", &self.secret)
            .finish_non_exhaustive()
    }
}

/// Context under which a provider key is encrypted (04 §7.2).
#[must_use]
pub fn byok_context(org: &str, provider: &str, secret_id: &str) -> String {
    format!("byok:{org}:{provider}:{secret_id}")
}

/// What became of a provider key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByokVerdict {
    /// Its state from now on.
    pub status: ByokStatus,
    /// It was checked or overridden now.
    pub validated: bool,
    /// Why not, or the note of an override; redacted, at most 512 characters.
    pub note: Option<String>,
    /// Entry of the audit log, such as `byok_secret.validated`.
    pub event_type: &'static str,
}

/// Which entries of the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AuditQuery {
    /// Actor.
    pub actor_id: Option<String>,
    /// Kind of actor.
    pub actor_type: Option<AuditActor>,
    /// Begin of the event type.
    pub event_type_prefix: Option<String>,
    /// Kind of target.
    pub target_type: Option<String>,
    /// Target.
    pub target_id: Option<String>,
    /// `metadata.result`.
    pub result: Option<String>,
    /// Not before, ISO-8601 as records have it.
    pub from: Option<String>,
    /// Not after, ISO-8601 as records have it.
    pub to: Option<String>,
    /// [`Page::next`] of the page before.
    #[serde(skip)]
    pub cursor: Option<String>,
    /// Rows, up to [`MAX_LIMIT`]; 0 means [`DEFAULT_LIMIT`].
    #[serde(skip)]
    pub limit: u32,
}

/// A use to record.
#[derive(Clone, Debug, PartialEq)]
pub struct NewUsage {
    /// Idempotency id; a known one is not recorded again.
    pub event_id: String,
    /// Whose.
    pub account_id: Option<AccountId>,
    /// What; says the unit, too.
    pub event_type: UsageEventType,
    /// How much.
    pub quantity: u64,
    /// Redacted by the store.
    pub metadata: JsonObject,
    /// When.
    pub at: Timestamp,
}

/// Managed policy, provider keys, audit, usage, quotas, billing records, settings (04 §1.7, §2.9–2.11).
#[async_trait]
pub trait GovernanceStore: Send + Sync + 'static {
    /// The managed policy; `None`: unrestricted.
    async fn policy(&self, tenant: &TenantId) -> Result<Option<ManagedPolicyRecord>, StoreError>;

    /// Writes it. `replaces` is the `updatedAt` of the record that the new one was made from, `None` for none;
    /// [`StoreError::Conflict`] when it has changed meanwhile: read and merge again.
    async fn put_policy(
        &self,
        tenant: &TenantId,
        policy: &JsonObject,
        replaces: Option<&str>,
        stamp: &Stamp,
    ) -> Result<ManagedPolicyRecord, StoreError>;

    /// The newest key of each provider, by provider.
    async fn byok_secrets(&self, tenant: &TenantId) -> Result<Vec<StoredByok>, StoreError>;

    /// The newest key of a provider, whatever its state.
    async fn byok_secret(
        &self,
        tenant: &TenantId,
        provider: &str,
    ) -> Result<Option<StoredByok>, StoreError>;

    /// The active key of a provider: the one to run with. It may be older than the newest.
    async fn active_byok(
        &self,
        tenant: &TenantId,
        provider: &str,
    ) -> Result<Option<StoredByok>, StoreError>;

    /// All active keys, by provider: what a runtime is started with.
    async fn active_byoks(&self, tenant: &TenantId) -> Result<Vec<StoredByok>, StoreError>;

    /// Keeps a new key as `pending_validation`; the active one stays in force. Its times and `rotated_from` are
    /// set by the store.
    async fn add_byok(
        &self,
        tenant: &TenantId,
        secret: &StoredByok,
        stamp: &Stamp,
    ) -> Result<StoredByok, StoreError>;

    /// Says what became of a key. `active` disables the provider's other keys in the same transaction, so at
    /// most one is active. A disabled key stays disabled: [`StoreError::Conflict`]. [`StoreError::Missing`].
    async fn judge_byok(
        &self,
        tenant: &TenantId,
        secret_id: &str,
        verdict: &ByokVerdict,
        stamp: &Stamp,
    ) -> Result<StoredByok, StoreError>;

    /// Disables every key of a provider; the newest of those that were in force or waiting, or `None`.
    async fn disable_byok(
        &self,
        tenant: &TenantId,
        provider: &str,
        stamp: &Stamp,
    ) -> Result<Option<StoredByok>, StoreError>;

    /// Adds to the audit log. Idempotent by `eventId`. Metadata is redacted here, whatever the caller did.
    async fn record_audit(
        &self,
        tenant: &TenantId,
        events: &[AuditEvent],
    ) -> Result<(), StoreError>;

    /// One page of the audit log, `createdAt` descending, then `eventId` descending.
    async fn page_audit(
        &self,
        tenant: &TenantId,
        query: &AuditQuery,
    ) -> Result<Page<AuditEvent>, StoreError>;

    /// Records uses. Idempotent by `eventId`.
    async fn record_usage(&self, tenant: &TenantId, events: &[NewUsage]) -> Result<(), StoreError>;

    /// One page of the uses, newest first.
    async fn page_usage(
        &self,
        tenant: &TenantId,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<UsageEvent>, StoreError>;

    /// Takes from a quota, or refuses with [`StoreError::Quota`] and takes nothing. The window slides: in no
    /// stretch of its length is ever more taken than the limit, however many ask at once.
    async fn consume_quota(
        &self,
        tenant: &TenantId,
        claim: &QuotaClaim,
        now: Timestamp,
    ) -> Result<QuotaState, StoreError>;

    /// Gives back what was taken for something that didn't happen.
    async fn refund_quota(
        &self,
        tenant: &TenantId,
        claim: &QuotaClaim,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// How a quota stands.
    async fn quota(
        &self,
        tenant: &TenantId,
        key: QuotaKey,
        limit: Option<u64>,
        now: Timestamp,
    ) -> Result<QuotaState, StoreError>;

    /// The subscription.
    async fn subscription(
        &self,
        tenant: &TenantId,
    ) -> Result<Option<BillingSubscription>, StoreError>;

    /// Writes the subscription. Metadata is redacted here; above 16 KiB it is [`StoreError::Invalid`].
    async fn put_subscription(
        &self,
        tenant: &TenantId,
        subscription: &BillingSubscription,
        stamp: &Stamp,
    ) -> Result<BillingSubscription, StoreError>;

    /// The settings of a user, by key.
    async fn settings(&self, tenant: &TenantId, user: &UserId) -> Result<Vec<Setting>, StoreError>;

    /// One setting.
    async fn setting(
        &self,
        tenant: &TenantId,
        user: &UserId,
        key: &str,
    ) -> Result<Option<Setting>, StoreError>;

    /// Writes a setting; the last write wins.
    async fn put_setting(
        &self,
        tenant: &TenantId,
        user: &UserId,
        key: &str,
        value: &JsonObject,
        now: Timestamp,
    ) -> Result<Setting, StoreError>;

    /// Deletes old audit and usage rows of all tenants, oldest first, at most `limit` of each; how many.
    async fn prune_governance(
        &self,
        audit_before: Option<Timestamp>,
        usage_before: Option<Timestamp>,
        limit: u32,
    ) -> Result<u64, StoreError>;
}
