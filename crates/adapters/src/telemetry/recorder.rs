//! Counters, gauges and histograms of this process. Every series is a handful of atomic numbers; their count is
//! bounded, so that no mistake in a label can fill the memory.

use super::catalogue::{closed, is_closed};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// Upper edges of a histogram's buckets, milliseconds.
pub const EDGES: [f64; 16] = [
    0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0, 10_000.0,
    30_000.0, 120_000.0,
];

/// Series of one kind; what would be more counts nowhere.
const MOST_SERIES: usize = 4096;

/// Records for the `metrics` facade. Clones are the same.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Series>);

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

#[derive(Default)]
struct Series {
    counters: RwLock<BTreeMap<Key, Arc<Total>>>,
    gauges: RwLock<BTreeMap<Key, Arc<AtomicU64>>>,
    histograms: RwLock<BTreeMap<Key, Arc<Buckets>>>,
}

/// A sum that may have fractions, such as seconds.
#[derive(Default)]
struct Total(AtomicU64);

impl CounterFn for Total {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }

    fn absolute(&self, value: u64) {
        self.0.fetch_max(value, Ordering::Relaxed);
    }
}

#[derive(Default)]
struct Buckets {
    /// One per edge, and one above the last.
    counts: [AtomicU64; EDGES.len() + 1],
    /// Bits of a float.
    sum: AtomicU64,
}

impl HistogramFn for Buckets {
    fn record(&self, value: f64) {
        let value = if value.is_finite() {
            value.max(0.0)
        } else {
            return;
        };
        let at = EDGES.partition_point(|edge| *edge < value);
        if let Some(count) = self.counts.get(at) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let add = |bits| Some((f64::from_bits(bits) + value).to_bits());
        // The closure always gives a value, so this never fails.
        let _ = self
            .sum
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

/// A histogram at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// How many values were in each bucket of [`EDGES`], and above the last.
    pub counts: Vec<u64>,
    /// Their sum.
    pub sum: f64,
}

/// Everything at one moment, ordered by name and labels.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Sums.
    pub counters: Vec<(Key, u64)>,
    /// Levels.
    pub gauges: Vec<(Key, f64)>,
    /// Distributions.
    pub histograms: Vec<(Key, Distribution)>,
}

impl Metrics {
    /// Everything as it is now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let load = |value: &AtomicU64| value.load(Ordering::Relaxed);
        Snapshot {
            counters: all(&self.0.counters, |total| load(&total.0)),
            gauges: all(&self.0.gauges, |gauge| f64::from_bits(load(gauge))),
            histograms: all(&self.0.histograms, |buckets| Distribution {
                counts: buckets.counts.iter().map(load).collect(),
                sum: f64::from_bits(load(&buckets.sum)),
            }),
        }
    }
}

fn all<T, V>(series: &RwLock<BTreeMap<Key, Arc<T>>>, read: impl Fn(&T) -> V) -> Vec<(Key, V)> {
    let series = series.read().unwrap_or_else(PoisonError::into_inner);
    series
        .iter()
        .map(|(key, value)| (key.clone(), read(value)))
        .collect()
}

/// The series of a key, made at its first use.
fn series<T: Default>(of: &RwLock<BTreeMap<Key, Arc<T>>>, key: &Key) -> Option<Arc<T>> {
    if !is_closed(key) {
        return series(of, &closed(key));
    }
    if let Some(known) = of.read().unwrap_or_else(PoisonError::into_inner).get(key) {
        return Some(known.clone());
    }
    let mut all = of.write().unwrap_or_else(PoisonError::into_inner);
    if all.len() >= MOST_SERIES && !all.contains_key(key) {
        return None;
    }
    Some(all.entry(key.clone()).or_default().clone())
}

/// A gauge counts in floats; `AtomicU64` of the facade does that.
fn gauge(value: Arc<AtomicU64>) -> Gauge {
    struct Level(Arc<AtomicU64>);
    impl GaugeFn for Level {
        fn increment(&self, value: f64) {
            GaugeFn::increment(&*self.0, value);
        }
        fn decrement(&self, value: f64) {
            GaugeFn::decrement(&*self.0, value);
        }
        fn set(&self, value: f64) {
            GaugeFn::set(&*self.0, value);
        }
    }
    Gauge::from_arc(Arc::new(Level(value)))
}

impl Recorder for Metrics {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        series(&self.0.counters, key).map_or_else(Counter::noop, Counter::from_arc)
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        series(&self.0.gauges, key).map_or_else(Gauge::noop, gauge)
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        series(&self.0.histograms, key).map_or_else(Histogram::noop, Histogram::from_arc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_there_and_only_under_public_labels() {
        let metrics = Metrics::default();
        metrics::with_local_recorder(&metrics, || {
            for tenant in ["acme", "globex"] {
                let labels = [("method", "GET".to_owned()), ("tenant", tenant.to_owned())];
                metrics::counter!("open_cowork_cloud_http_requests_total", &labels).increment(2);
            }
            metrics::gauge!("open_cowork_cloud_runtime_active").set(3.5);
            metrics::gauge!("open_cowork_cloud_runtime_active").decrement(1.0);
            let histogram = metrics::histogram!("open_cowork_cloud_http_request_duration_ms");
            for value in [0.2, 0.5, 3.0, 1e9, f64::NAN, -1.0] {
                histogram.record(value);
            }
        });
        let now = metrics.snapshot();
        assert_eq!(now.counters.len(), 1);
        assert_eq!(now.counters[0].1, 4);
        assert_eq!(now.gauges[0].1, 2.5);
        let durations = &now.histograms[0].1;
        assert_eq!(durations.counts.iter().sum::<u64>(), 5);
        assert_eq!((durations.counts[0], durations.counts[3]), (3, 1));
        assert_eq!(durations.counts.last(), Some(&1));
        assert_eq!(durations.sum, 1e9 + 3.7);
    }

    #[test]
    fn there_are_only_so_many_series() {
        let metrics = Metrics::default();
        for at in 0..MOST_SERIES + 10 {
            let key = Key::from_name(format!("metric_{at}"));
            let module = Metadata::new("", metrics::Level::INFO, None);
            metrics.register_counter(&key, &module).increment(1);
        }
        assert_eq!(metrics.snapshot().counters.len(), MOST_SERIES);
    }
}
