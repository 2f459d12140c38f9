//! Spans and metrics as OTLP/HTTP JSON. The format is small and stable; the usual crates for it bring two code
//! generators and an RPC framework along.

use super::catalogue::metric;
use super::recorder::{EDGES, Snapshot};
use super::span::EndedSpan;
use metrics::Key;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// What sends.
#[derive(Clone, Debug)]
pub(super) struct Resource {
    pub(super) name: String,
    pub(super) version: String,
    /// Since when sums are summed.
    pub(super) since: SystemTime,
}

impl Resource {
    fn json(&self) -> Value {
        json!({"attributes": [
            attribute("service.name", &self.name),
            attribute("service.version", &self.version),
        ]})
    }
}

/// The body of `/v1/traces`.
pub(super) fn traces(resource: &Resource, spans: &[EndedSpan]) -> Value {
    let spans: Vec<_> = spans.iter().map(span).collect();
    json!({"resourceSpans": [{
        "resource": resource.json(),
        "scopeSpans": [{"scope": {"name": "open-cowork"}, "spans": spans}],
    }]})
}

fn span(span: &EndedSpan) -> Value {
    // 1 inside, 2 server, 5 consumer.
    let kind = match span.name {
        "cloud.http.request" => 2,
        name if name.starts_with("cloud.command") => 5,
        _ => 1,
    };
    let attributes: Vec<_> = span
        .attributes
        .iter()
        .map(|(name, text)| attribute(name, text))
        .collect();
    let mut value = json!({
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "name": span.name,
        "kind": kind,
        "startTimeUnixNano": nanoseconds(span.start),
        "endTimeUnixNano": nanoseconds(span.end),
        "attributes": attributes,
        "status": if span.failed { json!({"code": 2}) } else { json!({}) },
    });
    if !span.parent_id.is_empty() {
        value["parentSpanId"] = json!(span.parent_id);
    }
    value
}

/// The body of `/v1/metrics`: sums and distributions since the start.
pub(super) fn metrics(resource: &Resource, snapshot: &Snapshot, now: SystemTime) -> Value {
    let (since, now) = (nanoseconds(resource.since), nanoseconds(now));
    let point = |key: &Key| {
        let labels = key
            .labels()
            .map(|label| attribute(label.key(), label.value()));
        json!({"attributes": labels.collect::<Vec<_>>(), "startTimeUnixNano": since, "timeUnixNano": now})
    };
    let mut all: Vec<Value> = Vec::new();
    for (key, value) in &snapshot.counters {
        let mut point = point(key);
        point["asInt"] = json!(value.to_string());
        add(&mut all, key, "sum", point);
    }
    for (key, value) in &snapshot.gauges {
        let mut point = point(key);
        point["asDouble"] = json!(value);
        add(&mut all, key, "gauge", point);
    }
    for (key, distribution) in &snapshot.histograms {
        let mut point = point(key);
        let counts = distribution.counts.iter().map(ToString::to_string);
        point["count"] = json!(distribution.counts.iter().sum::<u64>().to_string());
        point["sum"] = json!(distribution.sum);
        point["bucketCounts"] = json!(counts.collect::<Vec<_>>());
        point["explicitBounds"] = json!(EDGES);
        add(&mut all, key, "histogram", point);
    }
    json!({"resourceMetrics": [{
        "resource": resource.json(),
        "scopeMetrics": [{"scope": {"name": "open-cowork"}, "metrics": all}],
    }]})
}

/// Points of one name stand together; a snapshot is ordered by name.
fn add(all: &mut Vec<Value>, key: &Key, kind: &str, point: Value) {
    if let Some(last) = all.last_mut()
        && last["name"] == key.name()
        && let Some(points) = last[kind]["dataPoints"].as_array_mut()
    {
        points.push(point);
        return;
    }
    let mut data = json!({"dataPoints": [point]});
    if kind != "gauge" {
        data["aggregationTemporality"] = json!(2); // since the start
    }
    if kind == "sum" {
        data["isMonotonic"] = json!(true);
    }
    let help = metric(key.name()).map_or("", |metric| metric.help);
    all.push(json!({"name": key.name(), "description": help, kind: data}));
}

fn attribute(name: &str, text: &str) -> Value {
    json!({"key": name, "value": {"stringValue": text}})
}

fn nanoseconds(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_nanos().to_string()
}
