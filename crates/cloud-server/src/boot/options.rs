//! From what a process is told to what its parts are told. Pure.

use crate::cloud::{Limits, Options, Quotas, RequestRate};
use crate::server::Bounds;
use crate::settings::Settings;
use open_cowork_config::model::cloud::abuse::Abuse;
use open_cowork_config::model::nullable::Nullable;
use open_cowork_config::model::number::Whole;
use open_cowork_providers::store::execution::QueueLimits;
use open_cowork_providers::store::workflows::RunLimits;
use std::time::Duration;

/// How the API behaves.
#[must_use]
pub fn cloud(settings: &Settings) -> Options {
    let auth = settings.cloud.cloud.auth.as_ref();
    let limits = Limits {
        connections: settings.http.max_connections,
        requests: request_rate(settings),
        streams_per_org: settings.streams.max_per_org,
        stream_lifetime: settings.streams.max_lifetime,
        poll: settings.streams.poll,
        ..Limits::default()
    };
    let default = Options::default();
    Options {
        role: settings.role,
        public_url: settings.cloud.public_url.clone(),
        cors_origin: settings.http.cors_origin.clone(),
        profile: settings.cloud.profile.clone(),
        callback_path: auth
            .and_then(|auth| auth.callback_path.clone())
            .unwrap_or_else(|| default.callback_path.clone()),
        public_branding: settings.cloud.bootstrap_branding(),
        quotas: quotas(settings),
        internal_token: settings.keys.internal.clone(),
        limits,
        ..default
    }
}

/// Bounds of the listener.
#[must_use]
pub fn bounds(settings: &Settings) -> Bounds {
    Bounds {
        connections: settings.http.max_connections,
        // Streams end at once and requests are short: a third is enough, the rest is the worker's.
        grace: settings.http.shutdown_grace.min(Bounds::default().grace),
        ..Bounds::default()
    }
}

pub(super) fn abuse(settings: &Settings) -> Option<&Abuse> {
    let abuse = settings.cloud.cloud.abuse.as_ref()?;
    (abuse.enabled != Some(false)).then_some(abuse)
}

/// Whether limits hold and uses are recorded (04 §2.9).
#[must_use]
pub fn counts_use(settings: &Settings) -> bool {
    abuse(settings).is_some()
}

/// A limit that holds: null is none (02 §12.1); the document has a default for each.
fn limit(value: &Nullable<Whole>) -> Option<u64> {
    value.value().map(|number| number.get())
}

fn request_rate(settings: &Settings) -> Option<RequestRate> {
    let rate = abuse(settings)?.http_rate_limit.as_ref()?;
    if rate.enabled == Some(false) {
        return None;
    }
    let default = Limits::default().requests?;
    let max = rate.max_requests.map(Whole::get);
    let window = rate.window_ms.map(Whole::get);
    Some(RequestRate {
        max: max.map_or(default.max, |max| u32::try_from(max).unwrap_or(u32::MAX)),
        window: window.map_or(default.window, Duration::from_millis),
    })
}

fn quotas(settings: &Settings) -> Quotas {
    let Some(abuse) = abuse(settings) else {
        return Quotas::default();
    };
    Quotas {
        concurrent_sessions: limit(&abuse.max_concurrent_sessions_per_org),
        prompts_per_hour: limit(&abuse.max_prompts_per_hour),
        gateway_prompts_per_hour: limit(&abuse.max_gateway_prompts_per_hour),
        workflow_runs_per_hour: limit(&abuse.max_workflow_runs_per_hour),
        concurrent_workflow_runs: limit(&abuse.max_concurrent_workflow_runs_per_org),
        gateway_deliveries_per_hour: limit(&abuse.max_gateway_deliveries_per_hour),
        gateway_channel_bindings: limit(&abuse.max_gateway_channel_bindings_per_org),
        worker_minutes_per_hour: limit(&abuse.max_worker_minutes_per_hour),
        artifact_bytes_per_day: limit(&abuse.max_artifact_bytes_per_day),
        queue: QueueLimits {
            max_queued: limit(&abuse.max_queued_commands_per_org)
                .map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)),
            max_age: limit(&abuse.max_queue_age_ms).map(Duration::from_millis),
        },
    }
}

/// Sessions of one organisation that workers hold at a time (04 §2.9).
#[must_use]
pub fn active_workers(settings: &Settings) -> Option<u32> {
    let limit = limit(&abuse(settings)?.max_active_workers_per_org)?;
    Some(u32::try_from(limit).unwrap_or(u32::MAX))
}

/// What workflow runs are limited to.
#[must_use]
pub fn runs(settings: &Settings) -> RunLimits {
    let Some(abuse) = abuse(settings) else {
        return RunLimits {
            concurrent: None,
            per_hour: None,
        };
    };
    RunLimits {
        concurrent: limit(&abuse.max_concurrent_workflow_runs_per_org),
        per_hour: limit(&abuse.max_workflow_runs_per_hour),
    }
}

/// Where people open the workbench: the public address, else this machine's names; empty behind a proxy whose address
/// nobody told.
#[must_use]
pub fn origins(settings: &Settings, port: u16) -> Vec<String> {
    if let Some(url) = &settings.cloud.public_url {
        // A path below the origin is none of it.
        let origin = url::Url::parse(url).map(|url| url.origin().ascii_serialization());
        return origin.into_iter().collect();
    }
    if !settings.listen.is_loopback() {
        return Vec::new();
    }
    ["127.0.0.1", "localhost", "[::1]"]
        .iter()
        .map(|host| format!("http://{host}:{port}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use open_cowork_config::load::load;
    use open_cowork_config::source::{Sources, Surface};

    fn settings(vars: &[(&str, &str)]) -> Settings {
        let loaded = load(&Sources::new(Surface::Cloud)).unwrap();
        let vars = vars
            .iter()
            .map(|(name, value)| (format!("OPEN_COWORK_CLOUD_{name}"), (*value).to_owned()));
        Settings::read(&loaded, &vars.collect()).unwrap()
    }

    #[test]
    fn the_contract_s_limits_hold_unless_somebody_says_otherwise() {
        let options = cloud(&settings(&[]));
        assert_eq!(options.quotas.prompts_per_hour, Some(600));
        assert_eq!(options.quotas.queue.max_queued, Some(1000));
        assert_eq!(options.limits.requests, Limits::default().requests);
        assert_eq!(runs(&settings(&[])).concurrent, Some(50));
        let options = cloud(&settings(&[
            ("MAX_PROMPTS_PER_HOUR", "0"),
            ("MAX_QUEUE_AGE_MS", "5"),
            ("HTTP_RATE_LIMIT_MAX_REQUESTS", "7"),
            ("HTTP_RATE_LIMIT_WINDOW_MS", "1000"),
        ]));
        assert_eq!(options.quotas.prompts_per_hour, None);
        assert_eq!(options.quotas.queue.max_age, Some(Duration::from_millis(5)));
        let rate = options.limits.requests.unwrap();
        assert_eq!((rate.max, rate.window), (7, Duration::from_secs(1)));
        assert!(
            cloud(&settings(&[("HTTP_RATE_LIMIT_ENABLED", "off")]))
                .limits
                .requests
                .is_none()
        );
    }

    #[test]
    fn without_abuse_control_there_is_no_limit_at_all() {
        let off = settings(&[("ABUSE_ENABLED", "false")]);
        let options = cloud(&off);
        assert!(options.quotas.prompts_per_hour.is_none() && options.limits.requests.is_none());
        assert_eq!(runs(&off).per_hour, None);
        assert!(!counts_use(&off));
    }

    #[test]
    fn the_workbench_is_opened_where_people_are_told_to() {
        assert_eq!(
            origins(&settings(&[]), 8787),
            [
                "http://127.0.0.1:8787",
                "http://localhost:8787",
                "http://[::1]:8787"
            ]
        );
        let public = [
            ("PUBLIC_URL", "https://Cowork.example.com/"),
            ("AUTH_MODE", "oidc"),
        ];
        assert_eq!(
            origins(&settings(&public), 1),
            ["https://cowork.example.com"]
        );
        assert!(origins(&settings(&[("AUTH_MODE", "header")]), 1).is_empty());
    }
}
