//! Variables of the contract for which there is nothing to do here: whoever sets one is told so, because a setting
//! that silently does nothing is taken for one that works (04 §14).

use super::reader::Reader;
use super::table as v;
use super::variable::Variable;
use super::{Retention, WatchdogSettings};
use open_cowork_config::cloud::CloudSettings;
use open_cowork_contracts::finding::Finding;

const BUCKET: &str = "artifacts are kept below ROOT, and only a store elsewhere has it";
const DIRECT: &str = "uploads go through this server, so none is abandoned beside it";
const SANDBOX: &str = "it is for a sandbox, and this program knows development-process only";
const STRIPE: &str = "it is for Stripe, and this program has no adapter for it";

/// What is set in vain, and why.
const IDLE: &[(&Variable, &str)] = &[
    (&v::OBJECT_STORE_BUCKET, BUCKET),
    (&v::OBJECT_STORE_REGION, BUCKET),
    (&v::OBJECT_STORE_ENDPOINT, BUCKET),
    (&v::OBJECT_STORE_PREFIX, BUCKET),
    (&v::OBJECT_STORE_ACCESS_KEY_ID, BUCKET),
    (&v::OBJECT_STORE_SECRET_ACCESS_KEY, BUCKET),
    (&v::OBJECT_STORE_SESSION_TOKEN, BUCKET),
    (&v::OBJECT_STORE_BEARER_TOKEN, BUCKET),
    (&v::OBJECT_STORE_SAS_TOKEN, BUCKET),
    (&v::OBJECT_STORE_ACCOUNT_NAME, BUCKET),
    (&v::ARTIFACT_DIRECT_UPLOAD_CLEANUP_BATCH_SIZE, DIRECT),
    (&v::ARTIFACT_DIRECT_UPLOAD_CLEANUP_INTERVAL_MS, DIRECT),
    (
        &v::CHECKPOINTS_ENABLED,
        "workers share one ROOT, and there are no checkpoints yet",
    ),
    (&v::ISOLATION_ENGINE, SANDBOX),
    (&v::ISOLATION_IMAGE, SANDBOX),
    (&v::ISOLATION_IMAGE_SHA256, SANDBOX),
    (&v::ISOLATION_IMAGE_SIGNATURE, SANDBOX),
    (&v::ISOLATION_NETWORK_POLICY, SANDBOX),
    (&v::ISOLATION_NETWORK_NAME, SANDBOX),
    (&v::ISOLATION_EGRESS_POLICY_ID, SANDBOX),
    (&v::ISOLATION_MEMORY_LIMIT_BYTES, SANDBOX),
    (&v::ISOLATION_CPU_LIMIT, SANDBOX),
    (&v::ISOLATION_PIDS_LIMIT, SANDBOX),
    (
        &v::KNOWLEDGE_MCP_PATH,
        "there is no knowledge tool yet that it could replace",
    ),
    (
        &v::CONCURRENCY_RECONCILE_MS,
        "what runs is counted from its rows each time, so no counter can go wrong",
    ),
    (&v::STRIPE_API_KEY, STRIPE),
    (&v::STRIPE_API_KEY_REF, STRIPE),
    (&v::STRIPE_WEBHOOK_SECRET, STRIPE),
    (&v::STRIPE_WEBHOOK_SECRET_REF, STRIPE),
    (&v::STRIPE_PRICE_ID, STRIPE),
    (&v::STRIPE_SUCCESS_URL, STRIPE),
    (&v::STRIPE_CANCEL_URL, STRIPE),
    (&v::STRIPE_PORTAL_RETURN_URL, STRIPE),
];

/// Says which variables are set in vain. Their default is no wish.
pub(super) fn tell(read: &mut Reader<'_>) {
    for (variable, why) in IDLE {
        if read
            .set(variable)
            .is_some_and(|text| text != variable.default)
        {
            in_vain(read, variable, why);
        }
    }
}

/// The same of those whose use depends on others.
pub(super) fn tell_of_parts(
    read: &mut Reader<'_>,
    retention: &Retention,
    watchdog: &WatchdogSettings,
    cloud: Option<&CloudSettings>,
) {
    let (deliveries, interactions) = (retention.channel_deliveries, retention.channel_interactions);
    for (one, other, variable) in [
        (deliveries, interactions, &v::RETENTION_CHANNEL_DELIVERY_MS),
        (
            interactions,
            deliveries,
            &v::RETENTION_CHANNEL_INTERACTION_MS,
        ),
    ] {
        if one.is_some() && other.is_none() {
            let why = "what channels leave behind goes together, when both retentions of channels are set";
            in_vain(read, variable, why);
        }
    }
    if watchdog.requested == "enforce" && !watchdog.may_enforce() {
        let why = "it is off until PROGRESS_WATCHDOG_OBSERVE_EVIDENCE_REF, _OPERATOR_OWNER and _ROLLBACK_MODE are set";
        in_vain(read, &v::PROGRESS_WATCHDOG_MODE, why);
    }
    let url = read.set(&v::CONTROL_PLANE_URL).is_some()
        || cloud.is_some_and(|cloud| {
            cloud.control_plane != open_cowork_config::cloud::ControlPlane::Local
        });
    if !url {
        for variable in [
            &v::PG_SCHEMA,
            &v::PG_POOL_MAX,
            &v::PG_CONNECTION_TIMEOUT_MS,
            &v::PG_IDLE_TIMEOUT_MS,
            &v::PG_STATEMENT_TIMEOUT_MS,
            &v::PG_IDLE_TX_TIMEOUT_MS,
            &v::PG_LOCK_TIMEOUT_MS,
            &v::PG_APP_NAME,
            &v::NATS_URL,
            &v::NATS_URL_REF,
            &v::NATS_SUBJECT_PREFIX,
        ] {
            if read
                .set(variable)
                .is_some_and(|text| text != variable.default)
            {
                in_vain(
                    read,
                    variable,
                    "records are in SQLite; CONTROL_PLANE_URL names a PostgreSQL",
                );
            }
        }
    }
}

fn in_vain(read: &mut Reader<'_>, variable: &Variable, why: &str) {
    let place = variable.full_name();
    let message = format!("{place} is set and does nothing: {why}.");
    let finding = Finding::error("CLOUD_ENV_IDLE", place, message);
    read.warnings
        .push(finding.into_warning().with_help("Unset it."));
}
