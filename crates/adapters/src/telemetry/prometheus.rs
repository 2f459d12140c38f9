//! Metrics as Prometheus reads them: text format 0.0.4 (03 §4).

use super::catalogue::metric;
use super::process;
use super::recorder::{EDGES, Metrics, Snapshot};
use metrics::Key;
use std::fmt::Write as _;

/// What `GET /api/metrics` answers: everything that was recorded, and this process's memory and time.
#[must_use]
pub fn render(metrics: &Metrics) -> String {
    let mut text = snapshot(&metrics.snapshot());
    let used = process::usage();
    let own = [
        ("worker_rss_bytes", "gauge", used.rss_bytes as f64),
        (
            "worker_cpu_user_seconds_total",
            "counter",
            used.user_seconds,
        ),
        (
            "worker_cpu_system_seconds_total",
            "counter",
            used.system_seconds,
        ),
    ];
    for (name, kind, value) in own {
        let name = format!("open_cowork_cloud_{name}");
        head(&mut text, &name, &name, kind);
        line(&mut text, &name, "", value);
    }
    text
}

fn snapshot(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    let mut last = String::new();
    let mut begin = |text: &mut String, key: &Key, kind: &str| {
        let name = name(key.name());
        if last != name {
            head(text, key.name(), &name, kind);
            last.clone_from(&name);
        }
        name
    };
    for (key, value) in &snapshot.counters {
        let name = begin(&mut text, key, "counter");
        line(&mut text, &name, &labels(key, None), *value as f64);
    }
    for (key, value) in &snapshot.gauges {
        let name = begin(&mut text, key, "gauge");
        line(&mut text, &name, &labels(key, None), *value);
    }
    for (key, distribution) in &snapshot.histograms {
        let name = begin(&mut text, key, "histogram");
        let mut total = 0;
        let edges = EDGES.iter().map(ToString::to_string);
        let edges = edges.chain(["+Inf".to_owned()]);
        for (edge, count) in edges.zip(&distribution.counts) {
            total += count;
            let bucket = format!("{name}_bucket");
            line(&mut text, &bucket, &labels(key, Some(&edge)), total as f64);
        }
        line(
            &mut text,
            &format!("{name}_sum"),
            &labels(key, None),
            distribution.sum,
        );
        line(
            &mut text,
            &format!("{name}_count"),
            &labels(key, None),
            total as f64,
        );
    }
    text
}

fn head(text: &mut String, recorded: &str, name: &str, kind: &str) {
    if let Some(metric) = metric(recorded) {
        let _ = writeln!(text, "# HELP {name} {}", metric.help);
    }
    let _ = writeln!(text, "# TYPE {name} {kind}");
}

fn line(text: &mut String, name: &str, labels: &str, value: f64) {
    let _ = writeln!(text, "{name}{labels} {value}");
}

/// Dots and other signs are none of a name here.
fn name(recorded: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    recorded
        .chars()
        .map(|c| if plain(c) { c } else { '_' })
        .collect()
}

/// Labels come from a closed list: none needs an escape.
fn labels(key: &Key, edge: Option<&str>) -> String {
    let own = key.labels().map(|label| (label.key(), label.value()));
    let all: Vec<_> = own
        .chain(edge.map(|edge| ("le", edge)))
        .map(|(key, value)| format!("{key}=\"{value}\""))
        .collect();
    if all.is_empty() {
        return String::new();
    }
    format!("{{{}}}", all.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_has_types_sentences_and_growing_buckets() {
        let metrics = Metrics::default();
        metrics::with_local_recorder(&metrics, || {
            metrics::counter!("open_cowork_cloud_http_requests_total", "method" => "GET", "status" => "200").increment(2);
            metrics::counter!("open_cowork_cloud_http_requests_total", "method" => "POST", "status" => "202").increment(1);
            metrics::histogram!("cloud.http.server.duration_ms", "method" => "GET").record(3.0);
        });
        let text = render(&metrics);
        let expected = "# HELP open_cowork_cloud_http_requests_total Requests that were answered.\n\
            # TYPE open_cowork_cloud_http_requests_total counter\n\
            open_cowork_cloud_http_requests_total{method=\"GET\",status=\"200\"} 2\n\
            open_cowork_cloud_http_requests_total{method=\"POST\",status=\"202\"} 1\n\
            # HELP cloud_http_server_duration_ms";
        assert!(text.starts_with(expected), "{text}");
        for line in [
            "# TYPE cloud_http_server_duration_ms histogram",
            "cloud_http_server_duration_ms_bucket{method=\"GET\",le=\"2.5\"} 0",
            "cloud_http_server_duration_ms_bucket{method=\"GET\",le=\"5\"} 1",
            "cloud_http_server_duration_ms_bucket{method=\"GET\",le=\"+Inf\"} 1",
            "cloud_http_server_duration_ms_sum{method=\"GET\"} 3",
            "cloud_http_server_duration_ms_count{method=\"GET\"} 1",
            "# TYPE open_cowork_cloud_worker_rss_bytes gauge",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} in\n{text}");
        }
    }
}
