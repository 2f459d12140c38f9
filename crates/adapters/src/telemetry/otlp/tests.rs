use super::*;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use open_cowork_providers::trace::{self, Trace};
use std::sync::mpsc;
use tracing::Instrument as _;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;

type Received = (String, HeaderMap, Value);

/// A small collector that answers as it is told and passes on what it gets.
struct Collector {
    endpoint: String,
    received: mpsc::Receiver<Received>,
    status: Arc<Mutex<StatusCode>>,
}

impl Collector {
    async fn start() -> Self {
        let (sender, received) = mpsc::channel();
        let status = Arc::new(Mutex::new(StatusCode::OK));
        let answer = status.clone();
        let app = Router::new()
            .fallback(
                move |State(sender): State<mpsc::Sender<Received>>,
                      uri: Uri,
                      headers: HeaderMap,
                      body: String| {
                    let status = *answer.lock().unwrap();
                    let body = serde_json::from_str(&body).unwrap();
                    sender.send((uri.path().to_owned(), headers, body)).unwrap();
                    async move { status }
                },
            )
            .with_state(sender);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Collector {
            endpoint,
            received,
            status,
        }
    }

    fn options(&self, queue: usize, flush: Duration) -> OtlpOptions {
        let key = (
            "authorization".to_owned(),
            SecretString::from("Bearer c4n4ry"),
        );
        OtlpOptions {
            endpoint: self.endpoint.clone(),
            headers: BTreeMap::from([key]),
            flush,
            queue,
            service_name: "cloud".to_owned(),
            service_version: "1".to_owned(),
        }
    }

    /// The next body for a path.
    fn next(&self, wanted: &str) -> (HeaderMap, Value) {
        loop {
            let (path, headers, body) =
                self.received.recv_timeout(Duration::from_secs(10)).unwrap();
            if path == wanted {
                return (headers, body);
            }
        }
    }
}

fn spans_of(body: &Value) -> Vec<Value> {
    body["resourceSpans"][0]["scopeSpans"][0]["spans"]
        .as_array()
        .unwrap()
        .clone()
}

fn under(otlp: &Otlp, redactor: Redactor, work: impl FnOnce()) {
    let layer = otlp
        .spans(Arc::new(redactor))
        .with_filter(filter_fn(Spans::takes));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
}

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread")]
async fn a_request_its_command_and_its_event_are_one_trace() {
    let collector = Collector::start().await;
    let metrics = Metrics::default();
    let otlp = Otlp::start(collector.options(100, LONG), metrics.clone()).unwrap();
    metrics::with_local_recorder(&metrics, || {
        metrics::counter!("open_cowork_cloud_http_requests_total", "status" => "202").increment(1);
        metrics::histogram!("open_cowork_cloud_http_request_duration_ms").record(4.0);
    });
    let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    under(&otlp, Redactor::new(["hunter2hunter2"]), || {
        let request = Trace::incoming(Some(caller));
        let stored = {
            let span = trace::span!(
                request,
                "cloud.http.request",
                method = "POST",
                path = "/api/x?key=hunter2hunter2",
                status = tracing::field::Empty
            );
            span.record("status", 202);
            span.in_scope(|| request.to_string())
        };
        // In a worker, later: all that it has is the stored text.
        let command = Trace::incoming(Some(&stored));
        let span = trace::span!(command, "cloud.command.prompt", session = "s");
        let work = trace::with(command, async {
            let append = trace::current().unwrap().child();
            trace::span!(append, "cloud.event.append", count = 1)
                .in_scope(|| tracing::error!("full"));
        });
        futures::executor::block_on(work.instrument(span));
        tracing::info_span!("not ours").in_scope(|| {});
    });
    tokio::task::spawn_blocking(move || otlp.close(PATIENCE))
        .await
        .unwrap();

    let (headers, body) = collector.next("/v1/traces");
    assert_eq!(headers["authorization"], "Bearer c4n4ry");
    assert_eq!(
        body["resourceSpans"][0]["resource"]["attributes"][0]["value"]["stringValue"],
        "cloud"
    );
    let spans = spans_of(&body);
    let names: Vec<_> = spans
        .iter()
        .map(|span| span["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "cloud.http.request",
            "cloud.event.append",
            "cloud.command.prompt"
        ]
    );
    for span in &spans {
        assert_eq!(span["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
    }
    assert_eq!(spans[0]["parentSpanId"], "00f067aa0ba902b7");
    assert_eq!(spans[2]["parentSpanId"], spans[0]["spanId"]);
    assert_eq!(spans[1]["parentSpanId"], spans[2]["spanId"]);
    assert_eq!(
        (&spans[0]["kind"], &spans[2]["kind"]),
        (&2.into(), &5.into())
    );
    assert_eq!(spans[1]["status"]["code"], 2, "an error was logged in it");
    assert_eq!(spans[0]["status"], serde_json::json!({}));
    let text = body.to_string();
    assert!(!text.contains("hunter2") && text.contains("202"), "{text}");

    let (_, body) = collector.next("/v1/metrics");
    let all = body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
        .as_array()
        .unwrap();
    let find = |name: &str| all.iter().find(|metric| metric["name"] == name).unwrap();
    let requests = find("open_cowork_cloud_http_requests_total");
    assert_eq!(requests["sum"]["dataPoints"][0]["asInt"], "1");
    assert_eq!(requests["sum"]["isMonotonic"], true);
    let durations =
        &find("open_cowork_cloud_http_request_duration_ms")["histogram"]["dataPoints"][0];
    assert_eq!(durations["count"], "1");
    assert_eq!(
        durations["bucketCounts"].as_array().unwrap().len(),
        EDGES_COUNT + 1
    );
}

const EDGES_COUNT: usize = crate::telemetry::recorder::EDGES.len();

#[tokio::test(flavor = "multi_thread")]
async fn a_span_that_its_caller_did_not_sample_is_not_sent() {
    let collector = Collector::start().await;
    let otlp = Otlp::start(collector.options(100, LONG), Metrics::default()).unwrap();
    under(&otlp, Redactor::default(), || {
        let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
        trace::span!(Trace::incoming(Some(caller)), "cloud.http.request").in_scope(|| {});
        trace::span!(Trace::root(), "cloud.http.request", sampled = true).in_scope(|| {});
    });
    tokio::task::spawn_blocking(move || otlp.close(PATIENCE))
        .await
        .unwrap();
    let spans = spans_of(&collector.next("/v1/traces").1);
    assert_eq!(spans.len(), 1);
    assert!(spans[0].get("parentSpanId").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_collector_can_t_take_now_waits_and_the_oldest_goes_when_too_many_wait() {
    let collector = Collector::start().await;
    *collector.status.lock().unwrap() = StatusCode::SERVICE_UNAVAILABLE;
    let metrics = Metrics::default();
    let otlp = Otlp::start(
        collector.options(4, Duration::from_millis(20)),
        metrics.clone(),
    )
    .unwrap();
    under(&otlp, Redactor::default(), || {
        for number in 0..6 {
            trace::span!(Trace::root(), "cloud.http.request", number).in_scope(|| {});
        }
    });
    // It has been refused at least once with everything that may wait.
    while spans_of(&collector.next("/v1/traces").1).len() < 4 {}
    *collector.status.lock().unwrap() = StatusCode::OK;
    let delivered = loop {
        let (_, body) = collector.next("/v1/traces");
        let numbers: Vec<_> = spans_of(&body)
            .iter()
            .map(|span| {
                span["attributes"][0]["value"]["stringValue"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        if collector
            .received
            .recv_timeout(Duration::from_secs(10))
            .unwrap()
            .0
            == "/v1/metrics"
        {
            break numbers; // traces first, metrics only when they were taken
        }
    };
    assert_eq!(delivered, ["2", "3", "4", "5"]);
    let dropped: u64 = metrics
        .snapshot()
        .counters
        .iter()
        .map(|(_, count)| count)
        .sum();
    assert_eq!(dropped, 2);
    tokio::task::spawn_blocking(move || otlp.close(PATIENCE))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_collector_that_isn_t_there() {
    let mut options = Collector::start().await.options(10, LONG);
    options.endpoint = "http://127.0.0.1:1".to_owned();
    let otlp = Otlp::start(options, Metrics::default()).unwrap();
    under(&otlp, Redactor::default(), || {
        trace::span!(Trace::root(), "cloud.http.request").in_scope(|| {});
    });
    let begun = Instant::now();
    tokio::task::spawn_blocking(move || otlp.close(PATIENCE))
        .await
        .unwrap();
    assert!(begun.elapsed() < PATIENCE);
}
