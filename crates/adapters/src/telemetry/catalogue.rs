//! The metrics by name, and what their labels may say (03 §4, 04 §12). A label that isn't here is dropped and a value
//! that isn't here becomes `other`, so that no tenant, user or thread ever becomes a label.

use metrics::{Key, Label, SharedString};
use open_cowork_contracts::access::{CloudAction, DenialCode, PrincipalClass};

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Milliseconds, counted by size.
    Histogram,
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// As it is recorded.
    pub name: &'static str,
    /// What kind.
    pub kind: Kind,
    /// One sentence.
    pub help: &'static str,
}

macro_rules! catalogue {
    ($($kind:ident $name:literal $help:literal;)+) => {
        /// All metrics. One that isn't here is recorded all the same, without a sentence.
        pub const METRICS: &[Metric] = &[$(Metric {
            name: concat!("open_cowork_cloud_", $name),
            kind: Kind::$kind,
            help: $help,
        },)+ Metric {
            name: "cloud.http.server.duration_ms",
            kind: Kind::Histogram,
            help: "How long requests took, under the name that traces use.",
        }];
    };
}

catalogue! {
    Counter "http_requests_total" "Requests that were answered.";
    Histogram "http_request_duration_ms" "How long requests took.";
    Counter "auth_failures_total" "Requests whose credential was refused.";
    Counter "auth_accounting_errors_total" "Failed sign-ins that could not be counted.";
    Counter "quota_rejections_total" "Requests beyond a limit.";
    Counter "workspace_policy_decisions_total" "Evaluations of the authorization matrix.";
    Counter "audit_events_total" "Entries of the audit log.";
    Gauge "command_queue_depth_estimate" "Commands that wait.";
    Histogram "runnable_session_claim_duration_ms" "How long it took to find work.";
    Counter "runnable_sessions_claimed_total" "Sessions that were taken over.";
    Histogram "worker_loop_duration_ms" "How long one round of the worker took.";
    Counter "worker_loop_failures_total" "Rounds of the worker that failed.";
    Counter "worker_commands_processed_total" "Commands that were run.";
    Histogram "worker_command_duration_ms" "How long a command took to be accepted by the runtime.";
    Counter "worker_command_recoveries_total" "Turns that were taken over from a lost worker.";
    Counter "worker_lease_claims_total" "Leases that were taken.";
    Counter "worker_lease_renewals_total" "Leases that were renewed.";
    Counter "worker_lease_denials_total" "Leases that another worker held.";
    Counter "worker_stale_owner_rejections_total" "Writes of a worker that had lost its lease.";
    Counter "worker_expired_leases_reaped_total" "Leases that ran out.";
    Counter "worker_expired_lease_reaper_drain_cap_hits_total" "Sweeps of run-out leases that left some.";
    Counter "worker_checkpoint_stale_retries_total" "Checkpoints that were saved again.";
    Counter "worker_checkpoint_pending_command_failures_total" "Commands that failed for want of a checkpoint.";
    Counter "worker_shutdown_drains_total" "Workers that ended in order.";
    Counter "worker_shutdown_forced_aborts_total" "Turns that did not end in time.";
    Counter "worker_shutdown_leases_recovered_total" "Leases that were given back at the end.";
    Counter "worker_shutdown_lease_recovery_failures_total" "Leases that could not be given back at the end.";
    Gauge "worker_rss_bytes" "Memory of this process.";
    Counter "worker_cpu_user_seconds_total" "Processor time of this process.";
    Counter "worker_cpu_system_seconds_total" "Processor time of the system for this process.";
    Gauge "worker_event_loop_utilization_ratio" "How busy the executor is.";
    Counter "loop_errors_total" "Rounds of a background job that failed.";
    Counter "progress_watchdog_decisions_total" "Decisions about runs without progress.";
    Gauge "runtime_active" "Runtimes that work.";
    Gauge "runtime_cached" "Runtimes that are kept.";
    Gauge "runtime_creating" "Runtimes that are being started.";
    Gauge "runtime_capacity" "Runtimes that there may be.";
    Gauge "runtime_capacity_in_use" "Runtimes that there are.";
    Gauge "runtime_cleanup_debt" "Runtimes that could not be ended yet.";
    Gauge "runtime_admission_queue_depth" "Sessions that wait for a runtime.";
    Gauge "runtime_cache_entries" "Entries of the cache of runtimes.";
    Counter "runtime_admission_rejections_total" "Sessions that got no runtime.";
    Counter "runtime_cache_hits_total" "Sessions whose runtime was there.";
    Counter "runtime_cache_misses_total" "Sessions whose runtime had to be started.";
    Counter "runtime_cache_evictions_total" "Idle runtimes that were ended.";
    Counter "runtime_cache_close_failures_total" "Runtimes that did not end in order.";
    Histogram "runtime_creation_duration_ms" "How long a runtime took to start.";
    Counter "opencode_events_dropped_total" "Frames of OpenCode that had to be recovered.";
    Counter "isolation_provision_total" "Boundaries that were made.";
    Counter "isolation_teardown_total" "Boundaries that were removed.";
    Counter "isolation_cleanup_retries_total" "Boundaries whose removal was tried again.";
    Counter "isolation_orphan_cleanup_total" "Boundaries without an owner that were removed.";
    Counter "isolation_startup_orphan_cleanup_total" "The same at the start.";
    Counter "scheduler_claims_total" "Runs that were due and taken.";
    Counter "scheduler_failures_total" "Rounds of the scheduler that failed.";
    Counter "scheduler_expired_claims_reaped_total" "Runs whose scheduler was lost.";
    Counter "scheduler_expired_claim_reaper_drain_cap_hits_total" "Sweeps of lost runs that left some.";
    Counter "scheduler_retention_pruned_total" "Old rows that were removed.";
    Counter "scheduler_concurrency_reconciled_total" "Counters that were put right.";
    Counter "scheduler_scim_sync_processed_total" "Directory changes that were applied.";
    Histogram "scheduler_loop_duration_ms" "How long one round of the scheduler took.";
    Gauge "projection_lag_events" "Events that a stored view is behind.";
    Counter "object_store_operations_total" "Operations on the object store.";
    Histogram "object_store_operation_duration_ms" "How long they took.";
    Counter "artifact_direct_upload_outcomes_total" "Uploads around this server.";
    Gauge "artifact_upload_cleanup_oldest_age_ms" "Age of the oldest upload that waits to be removed.";
    Gauge "artifact_upload_reconciliation_pending" "Uploads whose end is unknown.";
    Counter "artifact_upload_reconciliation_total" "Uploads whose end was found out.";
    Counter "artifact_upload_reservations_pruned_total" "Reservations that ran out.";
    Counter "byok_reveal_failures_total" "Keys of model providers that could not be read.";
    Counter "workflow_secret_operations_total" "Operations on secrets of webhooks.";
    Counter "workflow_secret_records_total" "Secrets of webhooks that were looked at.";
    Counter "otlp_dropped_records_total" "Records that the collector never got.";
}

/// What a label may say.
enum Values {
    /// One of these.
    Words(&'static [&'static str]),
    /// An HTTP status.
    Status,
    /// A built-in profile, else `custom`.
    Profile,
    /// What another part of the contract lists.
    Known(fn(&str) -> bool),
}

const LABELS: &[(&str, Values)] = &[
    (
        "method",
        Values::Words(&["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]),
    ),
    ("status", Values::Status),
    (
        "role",
        Values::Words(&["all-in-one", "web", "worker", "scheduler"]),
    ),
    ("profile", Values::Profile),
    (
        "kind",
        Values::Words(&[
            "prompt",
            "abort",
            "permission.respond",
            "question.reply",
            "question.reject",
            "session",
            "scope",
            "workflow",
            "schedule",
            "webhook",
            "manual",
        ]),
    ),
    (
        "outcome",
        Values::Words(&[
            "ok",
            "error",
            "acked",
            "failed",
            "deferred",
            "allowed",
            "denied",
            "success",
            "failure",
            "observed",
            "recovered",
            "fenced-stale",
            "completed",
            "aborted",
            "expired",
        ]),
    ),
    (
        "reason",
        Values::Words(&[
            "queue_full",
            "queue_timeout",
            "provision_timeout",
            "cleanup_pending",
            "adapter_closing",
            "execution_active",
            "idle",
            "capacity",
            "shutdown",
            "restart",
            "lease_lost",
        ]),
    ),
    (
        "operation",
        Values::Words(&[
            "put", "get", "head", "delete", "protect", "reveal", "rotate",
        ]),
    ),
    (
        "loop",
        Values::Words(&[
            "worker",
            "scheduler",
            "reaper",
            "retention",
            "reconcile",
            "scim",
            "uploads",
            "heartbeat",
            "watchdog",
        ]),
    ),
    (
        "state",
        Values::Words(&["healthy", "waiting", "suspect", "stalled"]),
    ),
    ("signal", Values::Words(&["traces", "metrics"])),
    (
        "workspace_policy_action",
        Values::Known(|said| said == "unknown" || CloudAction::parse(said).is_some()),
    ),
    (
        "workspace_policy_principal",
        Values::Known(|said| PrincipalClass::parse(said).is_some()),
    ),
    (
        "workspace_policy_outcome",
        Values::Words(&["allowed", "denied"]),
    ),
    (
        "workspace_policy_reason",
        Values::Known(|said| said == "none" || DenialCode::parse(said).is_some()),
    ),
];

/// Built-in profiles.
const PROFILES: [&str; 3] = ["full", "focused-agent", "custom"];

/// What a label says once it is public; `None` for one that isn't in the list.
fn value(label: &Label) -> Option<SharedString> {
    let (_, values) = LABELS.iter().find(|(key, _)| *key == label.key())?;
    let said = label.value();
    let (known, other) = match values {
        Values::Words(words) => (words.contains(&said), "other"),
        Values::Status => {
            let status = said.len() == 3 && said.bytes().all(|byte| byte.is_ascii_digit());
            (status, "other")
        }
        Values::Profile => (PROFILES.contains(&said), "custom"),
        Values::Known(known) => (known(said), "other"),
    };
    Some(if known {
        SharedString::from_owned(said.to_owned())
    } else {
        SharedString::const_str(other)
    })
}

/// A key whose labels are all in the list, in one order.
#[must_use]
pub fn closed(key: &Key) -> Key {
    let mut labels: Vec<Label> = key
        .labels()
        .filter_map(|label| Some(Label::new(label.key().to_owned(), value(label)?)))
        .collect();
    labels.sort();
    Key::from_parts(key.name().to_owned(), labels)
}

/// Whether a key already is what [`closed`] makes of it, so that nothing has to be copied.
#[must_use]
pub fn is_closed(key: &Key) -> bool {
    let mut last = "";
    key.labels().all(|label| {
        let fits = last <= label.key() && value(label).is_some_and(|said| *said == *label.value());
        last = label.key();
        fits
    })
}

/// What is known of a metric.
#[must_use]
pub fn metric(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(labels: &[(&str, &str)]) -> Key {
        let labels: Vec<_> = labels
            .iter()
            .map(|(key, value)| Label::new((*key).to_owned(), (*value).to_owned()))
            .collect();
        Key::from_parts("open_cowork_cloud_http_requests_total", labels)
    }

    fn shown(key: &Key) -> Vec<(String, String)> {
        let pair = |label: &Label| (label.key().to_owned(), label.value().to_owned());
        key.labels().map(pair).collect()
    }

    #[test]
    fn a_tenant_never_becomes_a_label() {
        let open = key(&[
            ("tenant", "acme"),
            ("status", "200"),
            ("method", "BREW"),
            ("profile", "acme-internal"),
        ]);
        assert!(!is_closed(&open));
        let closed = closed(&open);
        assert!(is_closed(&closed));
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            shown(&closed),
            [
                pair("method", "other"),
                pair("profile", "custom"),
                pair("status", "200")
            ]
        );
    }

    #[test]
    fn a_status_is_three_digits() {
        assert!(is_closed(&key(&[("status", "404")])));
        for status in ["", "20", "2000", "20x", "acme"] {
            assert_eq!(shown(&closed(&key(&[("status", status)])))[0].1, "other");
        }
    }

    #[test]
    fn names_stand_once() {
        let names: std::collections::BTreeSet<_> =
            METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len());
    }
}
