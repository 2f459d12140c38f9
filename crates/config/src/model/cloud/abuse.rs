//! Limits that protect the cloud (02 §4.10).

use crate::model::nullable::Nullable;
use crate::model::number::Whole;
use serde::{Deserialize, Serialize};

/// Limits that protect the cloud; null is no limit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Abuse {
    /// Whether the limits hold; true when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Sessions at a time; 100 when absent.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub max_concurrent_sessions_per_org: Nullable<Whole>,
    /// Workflow runs at a time; 50 when absent.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub max_concurrent_workflow_runs_per_org: Nullable<Whole>,
    /// Workers at a time; 20 when absent.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub max_active_workers_per_org: Nullable<Whole>,
    /// Commands that wait; 1000 when absent.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub max_queued_commands_per_org: Nullable<Whole>,
    /// How long a command may wait, milliseconds; 1800000 when absent.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub max_queue_age_ms: Nullable<Whole>,
    /// Prompts in an hour; 600 when absent.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub max_prompts_per_hour: Nullable<Whole>,
    /// Workflow runs in an hour; 200 when absent.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub max_workflow_runs_per_hour: Nullable<Whole>,
    /// Prompts of the gateway in an hour; 300 when absent.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub max_gateway_prompts_per_hour: Nullable<Whole>,
    /// Minutes of workers in an hour; 1200 when absent.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub max_worker_minutes_per_hour: Nullable<Whole>,
    /// Deliveries of the gateway in an hour; 1000 when absent.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub max_gateway_deliveries_per_hour: Nullable<Whole>,
    /// Channel bindings; 25 when absent.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub max_gateway_channel_bindings_per_org: Nullable<Whole>,
    /// Bytes of artifacts in a day; 10737418240 when absent.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub max_artifact_bytes_per_day: Nullable<Whole>,
    /// Requests of one client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_rate_limit: Option<HttpRateLimit>,
    /// Failed sign-ins of one client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_backoff: Option<AuthBackoff>,
}

/// Failed sign-ins of one client.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthBackoff {
    /// Whether they are counted; true when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The window, milliseconds; 60000 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_ms: Option<Whole>,
    /// Failures in a window; 10 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_failures: Option<Whole>,
    /// How long the client then waits, milliseconds; 60000 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff_ms: Option<Whole>,
}

/// Requests of one client.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpRateLimit {
    /// Whether they are counted; true when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The window, milliseconds; 60000 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_ms: Option<Whole>,
    /// Requests in a window; 600 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_requests: Option<Whole>,
}
