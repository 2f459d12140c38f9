//! Usage, quotas, billing, diagnostics (03 §8.13).

use crate::{AccountId, JsonObject, OrgId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

names! {
    /// What a quantity counts.
    UsageUnit {
        /// Times.
        Count = "count",
        /// Bytes.
        Byte = "byte",
        /// Minutes.
        Minute = "minute",
    }
    /// What was used.
    UsageEventType {
        /// A thread was made.
        SessionCreated = "session.created",
        /// A prompt was taken.
        PromptEnqueued = "prompt.enqueued",
        /// Work was queued.
        WorkQueued = "work.queued",
        /// Work was claimed.
        WorkClaimed = "work.claimed",
        /// A worker began.
        WorkerExecutionStarted = "worker.execution_started",
        /// A worker finished.
        WorkerExecutionCompleted = "worker.execution_completed",
        /// A worker put it off.
        WorkerExecutionDeferred = "worker.execution_deferred",
        /// A worker failed.
        WorkerExecutionFailed = "worker.execution_failed",
        /// A run took minutes.
        WorkerMinute = "worker.minute",
        /// A deliverable came.
        ArtifactUploaded = "artifact.uploaded",
        /// A deliverable went.
        ArtifactDownloaded = "artifact.downloaded",
        /// A gateway took a delivery.
        GatewayDeliveryClaimed = "gateway.delivery.claimed",
    }
    /// Quotas over time.
    QuotaKey {
        /// Prompts.
        PromptsHour = "prompts:hour",
        /// Runs of playbooks.
        WorkflowRunsHour = "workflow_runs:hour",
        /// Prompts that came through channels.
        GatewayPromptsHour = "gateway_prompts:hour",
        /// Deliveries to channels.
        GatewayDeliveriesHour = "gateway_deliveries:hour",
        /// Minutes of workers.
        WorkerMinutesHour = "worker_minutes:hour",
        /// Bytes of deliverables.
        ArtifactBytesDay = "artifact_bytes:day",
    }
    /// State of a subscription.
    SubscriptionStatus {
        /// On trial.
        Trialing = "trialing",
        /// Paid.
        Active = "active",
        /// Payment is late.
        PastDue = "past_due",
        /// Over.
        Canceled = "canceled",
        /// Never paid.
        Incomplete = "incomplete",
    }
    /// Who bills.
    BillingMode {
        /// Nobody.
        SelfHost = "self-host",
        /// A provider.
        Managed = "managed",
    }
}

impl QuotaKey {
    /// Length of its window, milliseconds.
    #[must_use]
    pub fn window_ms(self) -> u64 {
        match self {
            QuotaKey::ArtifactBytesDay => 24 * 60 * 60 * 1000,
            _ => 60 * 60 * 1000,
        }
    }

    /// What it counts.
    #[must_use]
    pub fn unit(self) -> UsageUnit {
        match self {
            QuotaKey::WorkerMinutesHour => UsageUnit::Minute,
            QuotaKey::ArtifactBytesDay => UsageUnit::Byte,
            _ => UsageUnit::Count,
        }
    }

    /// The code of a refusal.
    #[must_use]
    pub fn policy_code(self) -> &'static str {
        match self {
            QuotaKey::PromptsHour => "quota.prompts_per_hour_exceeded",
            QuotaKey::WorkflowRunsHour => "quota.workflow_runs_per_hour_exceeded",
            QuotaKey::GatewayPromptsHour => "quota.gateway_prompts_per_hour_exceeded",
            QuotaKey::GatewayDeliveriesHour => "quota.gateway_deliveries_per_hour_exceeded",
            QuotaKey::WorkerMinutesHour => "quota.worker_minutes_per_hour_exceeded",
            QuotaKey::ArtifactBytesDay => "quota.artifact_bytes_per_day_exceeded",
        }
    }

    /// Name for people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            QuotaKey::PromptsHour => "Prompts per hour",
            QuotaKey::WorkflowRunsHour => "Workflow runs per hour",
            QuotaKey::GatewayPromptsHour => "Gateway prompts per hour",
            QuotaKey::GatewayDeliveriesHour => "Gateway deliveries per hour",
            QuotaKey::WorkerMinutesHour => "Worker minutes per hour",
            QuotaKey::ArtifactBytesDay => "Artifact bytes per day",
        }
    }
}

/// One use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageEvent {
    /// Idempotency id.
    pub event_id: String,
    /// Organisation.
    pub org_id: OrgId,
    /// Whose.
    pub account_id: Option<AccountId>,
    /// What.
    pub event_type: UsageEventType,
    /// How much.
    pub quantity: u64,
    /// Of what.
    pub unit: UsageUnit,
    /// Redacted.
    pub metadata: JsonObject,
    /// ISO-8601, UTC, milliseconds.
    pub created_at: String,
}

/// `GET /api/usage/events`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageEvents {
    /// Newest first.
    pub events: Vec<UsageEvent>,
    /// Additive: cursor of the next page.
    pub next_cursor: Option<String>,
}

/// `GET /api/usage/summary`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageSummary {
    /// Limits hold and uses are recorded.
    pub enabled: bool,
    /// ISO-8601, UTC, milliseconds.
    pub generated_at: String,
    /// Always `recent_events`: the totals are over `events`.
    pub totals_scope: String,
    /// Most events that are looked at.
    pub event_sample_limit: u32,
    /// The events, newest first.
    pub events: Vec<UsageEvent>,
    /// Their sums.
    pub totals: Vec<UsageTotal>,
    /// Quotas over time.
    pub quotas: Vec<QuotaState>,
}

/// A sum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageTotal {
    /// What.
    pub event_type: UsageEventType,
    /// Of what.
    pub unit: UsageUnit,
    /// How much.
    pub quantity: u64,
}

/// A quota now. The window slides: it is the time before `resetAt` was computed, not a fixed hour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuotaState {
    /// Which.
    pub quota_key: QuotaKey,
    /// Name for people.
    pub label: String,
    /// What it counts.
    pub unit: UsageUnit,
    /// It limits.
    pub enabled: bool,
    /// Null: no limit.
    pub limit: Option<u64>,
    /// Used in the window.
    pub used: u64,
    /// Null: no limit.
    pub remaining: Option<u64>,
    /// Length of the window.
    pub window_ms: u64,
    /// ISO-8601.
    pub window_started_at: String,
    /// ISO-8601: when all that is used now has left the window.
    pub reset_at: String,
    /// Code of a refusal.
    pub policy_code: String,
}

/// A subscription.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BillingSubscription {
    /// Organisation.
    pub org_id: OrgId,
    /// Who bills.
    pub provider_id: String,
    /// The provider's customer.
    pub provider_customer_id: Option<String>,
    /// The provider's subscription.
    pub provider_subscription_id: Option<String>,
    /// Plan.
    pub plan_key: String,
    /// State.
    pub status: SubscriptionStatus,
    /// Seats.
    pub seats: u32,
    /// What it entitles to, over the plan's.
    pub entitlements: JsonObject,
    /// ISO-8601.
    pub current_period_end: Option<String>,
    /// It ends then.
    pub cancel_at_period_end: bool,
    /// Redacted, at most 16 KiB.
    pub metadata: JsonObject,
    /// ISO-8601, UTC, milliseconds.
    pub created_at: String,
    /// ISO-8601, UTC, milliseconds.
    pub updated_at: String,
}

/// `GET /api/billing/subscription`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BillingState {
    /// Billing is on.
    pub enabled: bool,
    /// Who bills.
    pub mode: BillingMode,
    /// `none` when off.
    pub provider_id: String,
    /// Null: none.
    pub subscription: Option<BillingSubscription>,
    /// In force.
    pub entitlements: JsonObject,
    /// The organisation may work.
    pub active: bool,
    /// What can be subscribed to.
    pub plans: Vec<BillingPlan>,
}

/// A plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BillingPlan {
    /// Key.
    pub plan_key: String,
    /// Name for people.
    pub label: String,
    /// Holds without a subscription.
    pub default: bool,
    /// What it entitles to.
    pub entitlements: JsonObject,
}

/// `GET /api/billing/entitlements`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Entitlements {
    /// Who decides; `none`: nobody.
    pub provider: String,
    /// Writes are gated.
    pub gating_enabled: bool,
    /// Billing is on.
    pub billing_enabled: bool,
    /// Plan.
    pub plan_key: Option<String>,
    /// Its name for people.
    pub plan_label: Option<String>,
    /// State of the subscription.
    pub subscription_status: Option<SubscriptionStatus>,
    /// Seats.
    pub seats: Option<u32>,
    /// Features by name.
    pub features: std::collections::BTreeMap<String, bool>,
    /// Limits by resource; null: no limit.
    pub limits: std::collections::BTreeMap<String, Option<u64>>,
}

/// `GET /api/diagnostics`: for support, without secrets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiagnosticsBundle {
    /// ISO-8601, UTC, milliseconds.
    pub generated_at: String,
    /// Always `secrets-redacted`.
    pub redaction: String,
    /// The organisation.
    pub org: JsonObject,
    /// The runtime and its workers.
    pub runtime: JsonObject,
    /// As `GET /api/billing/subscription`.
    pub billing: BillingState,
    /// Provider keys, without their values.
    pub byok: ByokDiagnostics,
    /// As `GET /api/usage/summary`.
    pub usage: UsageSummary,
    /// Channels.
    pub gateway: JsonObject,
    /// Where to read on.
    pub links: JsonObject,
}

/// Provider keys in a [`DiagnosticsBundle`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ByokDiagnostics {
    /// How many providers have an active key.
    pub configured_providers: u32,
    /// The keys' metadata.
    pub providers: Vec<super::byok::ByokSecret>,
}
