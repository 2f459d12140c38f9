//! Logs, metrics and traces of a cloud process (04 §12). Best effort: nothing here ever fails the work that it
//! watches, waits for a network on its behalf, or shows a secret.
//!
//! | module | holds |
//! |---|---|
//! | [`catalogue`] | the names of all metrics, what they say, the closed list of labels |
//! | [`recorder`] | counters, gauges and histograms of this process, for the `metrics` facade |
//! | [`prometheus`] | the same as text |
//! | [`span`] | spans that carry a [`Trace`](open_cowork_providers::trace::Trace), taken from `tracing` |
//! | [`otlp`] | sends spans and metrics to an OpenTelemetry collector |
//! | [`process`] | memory and processor time of this process |
//! | [`writer`] | log lines without secrets |

pub mod catalogue;
#[cfg(feature = "otel")]
pub mod otlp;
#[cfg(feature = "otel")]
mod otlp_json;
pub mod process;
pub mod prometheus;
pub mod recorder;
#[cfg(feature = "otel")]
pub mod span;
#[cfg(feature = "otel")]
pub mod writer;
