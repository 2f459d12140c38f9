//! Spans that carry a trace, taken from `tracing` (04 §12). A span is taken when it has the target and the field that
//! [`open_cowork_providers::trace::span!`] gives it; everything else stays in the log.

use super::otlp::Queue;
use open_cowork_projection::sanitize::{Redaction, Redactor};
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// The target of spans that are taken.
pub const TARGET: &str = "open_cowork::trace";

/// Longest value of an attribute, characters (04 §12).
const LONGEST: usize = 512;
/// Most attributes of a span.
const MOST: usize = 32;

/// A span that ended.
#[derive(Clone, Debug, PartialEq)]
pub struct EndedSpan {
    /// One of the contract's, such as `cloud.http.request`.
    pub name: &'static str,
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
    /// 16 hexadecimal digits, or empty.
    pub parent_id: String,
    /// When it began.
    pub start: SystemTime,
    /// When it ended.
    pub end: SystemTime,
    /// What it is about, without secrets.
    pub attributes: Vec<(&'static str, String)>,
    /// Whether something failed in it.
    pub failed: bool,
}

/// Takes spans and hands them to an exporter's queue. It never waits.
#[derive(Debug)]
pub struct Spans {
    queue: Arc<Queue>,
    redactor: Arc<Redactor>,
}

impl Spans {
    pub(super) fn new(queue: Arc<Queue>, redactor: Arc<Redactor>) -> Self {
        Spans { queue, redactor }
    }

    /// Our spans, and the errors that happen in them; the filter that this layer needs.
    #[must_use]
    pub fn takes(metadata: &Metadata<'_>) -> bool {
        if metadata.is_span() {
            return metadata.target() == TARGET;
        }
        *metadata.level() == Level::ERROR
    }

    fn attribute(&self, text: &str) -> String {
        let clean = self.redactor.redact(text, Redaction::Full);
        clean.chars().take(LONGEST).collect()
    }
}

/// A span that is under way.
struct Open {
    start: SystemTime,
    traceparent: String,
    parent_id: String,
    attributes: Vec<(&'static str, String)>,
    failed: bool,
}

impl Visit for Open {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "traceparent" => value.clone_into(&mut self.traceparent),
            "parent_id" => value.clone_into(&mut self.parent_id),
            "failed" => self.failed = value == "true",
            name => {
                self.attributes.retain(|(known, _)| *known != name);
                if self.attributes.len() < MOST {
                    self.attributes.push((name, value.to_owned()));
                }
            }
        }
    }
}

impl<S> Layer<S> for Spans
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().target() != TARGET {
            return;
        }
        let mut open = Open {
            start: SystemTime::now(),
            traceparent: String::new(),
            parent_id: String::new(),
            attributes: Vec::new(),
            failed: false,
        };
        attributes.record(&mut open);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(open);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(open) = span.extensions_mut().get_mut::<Open>()
        {
            values.record(open);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if *event.metadata().level() != Level::ERROR {
            return;
        }
        if let Some(span) = context.event_span(event)
            && let Some(open) = span.extensions_mut().get_mut::<Open>()
        {
            open.failed = true;
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else {
            return;
        };
        let Some(open) = span.extensions_mut().remove::<Open>() else {
            return;
        };
        // `00-<trace>-<span>-<flags>`; unsampled ones end in 00.
        let mut parts = open.traceparent.split('-').skip(1);
        let (Some(trace), Some(own), Some(flags)) = (parts.next(), parts.next(), parts.next())
        else {
            return;
        };
        if flags == "00" {
            return;
        }
        let attributes = open.attributes.iter();
        self.queue.push(EndedSpan {
            name: span.name(),
            trace_id: trace.to_owned(),
            span_id: own.to_owned(),
            parent_id: open.parent_id,
            start: open.start,
            end: SystemTime::now(),
            attributes: attributes
                .map(|(name, text)| (*name, self.attribute(text)))
                .collect(),
            failed: open.failed,
        });
    }
}
