//! Sends spans and metrics to an OpenTelemetry collector over OTLP/HTTP JSON (04 §12): a thread of its own, a bounded
//! queue whose oldest record goes when it is full, and one try per interval. What can't be sent waits; what the
//! collector refuses for good is counted and dropped.

use super::otlp_json::{self, Resource};
use super::recorder::Metrics;
use super::span::{EndedSpan, Spans};
use open_cowork_projection::sanitize::Redactor;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

/// Spans of one request.
const BATCH: usize = 256;
/// A request may take that long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where and how to send. `Debug` shows no header.
#[derive(Clone, Debug)]
pub struct OtlpOptions {
    /// The collector, without a slash at its end.
    pub endpoint: String,
    /// Headers for it.
    pub headers: BTreeMap<String, SecretString>,
    /// How often it is sent to.
    pub flush: Duration,
    /// Spans that may wait.
    pub queue: usize,
    /// What this program is called there.
    pub service_name: String,
    /// Its version.
    pub service_version: String,
}

/// Spans that wait.
#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    most: usize,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct State {
    spans: VecDeque<EndedSpan>,
    /// The exporter is to send what waits and end.
    closing: bool,
    closed: bool,
}

impl Queue {
    pub(super) fn push(&self, span: EndedSpan) {
        let mut state = self.state();
        if state.closed {
            return;
        }
        state.spans.push_back(span);
        let dropped = self.bound(&mut state);
        let half = state.spans.len() * 2 >= self.most;
        drop(state);
        self.count(dropped, "traces");
        if half {
            self.changed.notify_all();
        }
    }

    /// Drops the oldest above the bound, and says how many.
    fn bound(&self, state: &mut State) -> usize {
        let over = state.spans.len().saturating_sub(self.most);
        state.spans.drain(..over);
        over
    }

    fn count(&self, dropped: usize, signal: &'static str) {
        if dropped > 0 {
            // To our own recorder, so that it works wherever the facade leads.
            metrics::with_local_recorder(&self.metrics, || {
                metrics::counter!("open_cowork_cloud_otlp_dropped_records_total", "signal" => signal)
                    .increment(dropped as u64);
            });
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An exporter. Close it with [`Otlp::close`].
#[derive(Debug)]
pub struct Otlp {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

impl Otlp {
    /// Starts the exporter's thread.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(options: OtlpOptions, metrics: Metrics) -> std::io::Result<Self> {
        let queue = Arc::new(Queue {
            state: Mutex::default(),
            changed: Condvar::new(),
            most: options.queue.max(1),
            metrics: metrics.clone(),
        });
        let worker = Sender {
            agent: agent(&options.endpoint),
            resource: Resource {
                name: options.service_name.clone(),
                version: options.service_version.clone(),
                since: SystemTime::now(),
            },
            options,
            queue: queue.clone(),
            metrics,
            complained: false,
        };
        let thread = std::thread::Builder::new()
            .name("otlp".to_owned())
            .spawn(move || worker.run())?;
        Ok(Otlp {
            queue,
            thread: Some(thread),
        })
    }

    /// The layer that takes spans; filter it by [`Spans::takes`].
    #[must_use]
    pub fn spans(&self, redactor: Arc<Redactor>) -> Spans {
        Spans::new(self.queue.clone(), redactor)
    }

    /// Sends what waits, for as long as `patience` says; then the process may end.
    pub fn close(mut self, patience: Duration) {
        let until = Instant::now() + patience;
        let mut state = self.queue.state();
        state.closing = true;
        self.queue.changed.notify_all();
        while !state.closed {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.queue.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // its panic has been reported where it happened
        }
    }
}

fn agent(endpoint: &str) -> ureq::Agent {
    let mut config = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None);
    // The system's certificates are read only when they are needed.
    if endpoint.starts_with("https://") {
        config = config.tls_config(
            ureq::tls::TlsConfig::builder()
                .root_certs(ureq::tls::RootCerts::PlatformVerifier)
                .build(),
        );
    }
    ureq::Agent::new_with_config(config.build())
}

struct Sender {
    options: OtlpOptions,
    agent: ureq::Agent,
    resource: Resource,
    queue: Arc<Queue>,
    metrics: Metrics,
    /// Whether the log already says that the collector doesn't answer.
    complained: bool,
}

/// What became of a request.
enum Sent {
    Yes,
    /// It will never be taken.
    Refused,
    /// Later it may be.
    NotNow,
}

impl Sender {
    fn run(mut self) {
        loop {
            let closing = self.wait();
            self.flush();
            if closing {
                break;
            }
        }
        let mut state = self.queue.state();
        state.closed = true;
        state.spans.clear();
        drop(state);
        self.queue.changed.notify_all();
    }

    /// Until it is time, enough waits, or the end has come; whether it has.
    fn wait(&self) -> bool {
        let until = Instant::now() + self.options.flush;
        let mut state = self.queue.state();
        // A queue that was half full when sending failed doesn't mean to try at once again.
        let full = state.spans.len() * 2 >= self.queue.most;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let half = state.spans.len() * 2 >= self.queue.most;
            if state.closing || left.is_zero() || (half && !full) {
                return state.closing;
            }
            let waited = self.queue.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn flush(&mut self) {
        loop {
            let mut state = self.queue.state();
            let count = state.spans.len().min(BATCH);
            let batch: Vec<_> = state.spans.drain(..count).collect();
            drop(state);
            if batch.is_empty() {
                break;
            }
            match self.post("/v1/traces", &otlp_json::traces(&self.resource, &batch)) {
                Sent::Yes => {}
                Sent::Refused => self.queue.count(batch.len(), "traces"),
                Sent::NotNow => {
                    let mut state = self.queue.state();
                    for span in batch.into_iter().rev() {
                        state.spans.push_front(span);
                    }
                    let dropped = self.queue.bound(&mut state);
                    drop(state);
                    self.queue.count(dropped, "traces");
                    return;
                }
            }
        }
        // Sums since the start: one that is lost is in the next.
        let now = otlp_json::metrics(&self.resource, &self.metrics.snapshot(), SystemTime::now());
        self.post("/v1/metrics", &now);
    }

    fn post(&mut self, path: &str, body: &Value) -> Sent {
        let mut request = self
            .agent
            .post(format!("{}{path}", self.options.endpoint))
            .header("content-type", "application/json");
        for (name, value) in &self.options.headers {
            request = request.header(name.as_str(), value.expose_secret());
        }
        let status = request
            .send(body.to_string())
            .map(|answer| answer.status().as_u16());
        let sent = match status {
            Ok(200..=299) => Sent::Yes,
            Ok(408 | 429 | 500..) | Err(_) => Sent::NotNow,
            Ok(_) => Sent::Refused,
        };
        let fine = matches!(sent, Sent::Yes);
        if !fine && !self.complained {
            let status = status.unwrap_or_default();
            tracing::warn!(
                status,
                path,
                "the OpenTelemetry collector doesn't take records; they wait, and the oldest go when too many do"
            );
        }
        self.complained = !fine;
        sent
    }
}

#[cfg(test)]
mod tests;
