//! Logs to standard error, metrics in memory, traces to a collector when one is named (04 §12).

use crate::told::Told;
use anyhow::Context as _;
use open_cowork_adapters::telemetry::otlp::{Otlp, OtlpOptions};
use open_cowork_adapters::telemetry::prometheus;
use open_cowork_adapters::telemetry::recorder::Metrics;
use open_cowork_adapters::telemetry::span::Spans;
use open_cowork_adapters::telemetry::writer::Redacted;
use open_cowork_cloud_server::settings::{LogFormat, Settings};
use open_cowork_projection::sanitize::Redactor;
use secrecy::ExposeSecret as _;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer, fmt};

/// The collector may take that long at the end.
const FLUSH: Duration = Duration::from_secs(3);

/// What is watched, and what may never be seen.
pub(crate) struct Telemetry {
    metrics: Metrics,
    otlp: Option<Otlp>,
    /// Knows every key of this deployment.
    pub(crate) redactor: Arc<Redactor>,
}

impl Telemetry {
    /// Installs the process's log and recorder.
    pub(crate) fn start(told: &Told, version: &str) -> anyhow::Result<Self> {
        let settings = &told.settings;
        let redactor = Arc::new(Redactor::new(secrets(settings)));
        let metrics = Metrics::default();
        let said = &settings.telemetry;
        let otlp = said.otlp_endpoint.clone().map(|endpoint| OtlpOptions {
            endpoint,
            headers: said.otlp_headers.clone(),
            flush: said.otlp_flush,
            queue: said.otlp_queue,
            service_name: said.service_name.clone(),
            service_version: said
                .service_version
                .clone()
                .unwrap_or_else(|| version.to_owned()),
        });
        let otlp = otlp
            .map(|options| Otlp::start(options, metrics.clone()))
            .transpose()
            .context("the exporter of traces can't be started")?;
        let spans = otlp.as_ref().map(|otlp| {
            otlp.spans(redactor.clone())
                .with_filter(filter_fn(Spans::takes))
        });
        let terminal = std::io::stderr().is_terminal();
        let default = if terminal {
            LogFormat::Pretty
        } else {
            LogFormat::Json
        };
        // A closed standard error is no reason to end: such failures are not reported anywhere.
        let lines = fmt::layer()
            .log_internal_errors(false)
            .with_ansi(terminal)
            .with_writer(Redacted::new(std::io::stderr, redactor.clone()));
        let lines = match said.log_format.unwrap_or(default) {
            LogFormat::Pretty => Some(lines.boxed()),
            LogFormat::Json => Some(lines.json().flatten_event(true).boxed()),
            LogFormat::Silent => None,
        };
        let lines = lines.map(|lines| lines.with_filter(told.filter.clone()));
        let subscriber = tracing_subscriber::registry().with(lines).with(spans);
        // Not `init`, which also takes in what HTTP libraries tell the `log` crate: at `trace` the bytes of their
        // requests, with keys.
        tracing::subscriber::set_global_default(subscriber)
            .context("a log is installed already")?;
        if metrics::set_global_recorder(metrics.clone()).is_err() {
            anyhow::bail!("a recorder of metrics is installed already");
        }
        Ok(Telemetry {
            metrics,
            otlp,
            redactor,
        })
    }

    /// What `GET /api/metrics` answers.
    pub(crate) fn render(&self) -> Arc<dyn Fn() -> String + Send + Sync> {
        let metrics = self.metrics.clone();
        Arc::new(move || prometheus::render(&metrics))
    }

    /// Sends what waits.
    pub(crate) fn close(self) {
        if let Some(otlp) = self.otlp {
            otlp.close(FLUSH);
        }
    }
}

/// Every secret that this process was told; no log, event or trace shows one.
fn secrets(settings: &Settings) -> Vec<String> {
    let keys = &settings.keys;
    let own = [
        &keys.secret,
        &keys.cookie,
        &keys.header,
        &keys.oidc_client,
        &keys.internal,
    ];
    let postgres = settings
        .records
        .postgres
        .as_ref()
        .map(|postgres| &postgres.url);
    let headers = settings.telemetry.otlp_headers.values();
    own.into_iter()
        .flatten()
        .chain(&keys.previous)
        .chain(postgres)
        .chain(headers)
        .map(|secret| secret.expose_secret().to_owned())
        .collect()
}
