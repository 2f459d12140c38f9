//! The program as an operator meets it: wrong settings, secrets, signals, metrics, traces.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may fail loudly

mod support;

use open_cowork_testkit::model::ScriptedModel;
use open_cowork_testkit::opencode::provision;
use open_cowork_testkit::postgres::{Durability, Postgres, programs};
use reqwest::{Client, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::{Node, PATIENCE, PROGRAM, configuration, free_port, processes_of, ready};

/// Runs it to its end.
fn ends(folder: &std::path::Path, arguments: &[&str], vars: &[(&str, &str)]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.env_clear().current_dir(folder).args(arguments);
    for (name, value) in vars {
        command.env(format!("OPEN_COWORK_CLOUD_{name}"), value);
    }
    command.output().unwrap()
}

async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < PATIENCE, "{what}: did not happen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn wrong_settings_end_it_with_all_of_them_and_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let vars = [
        ("ROLE", "king"),
        ("PG_POOL_MAX", "many"),
        ("SECRET_KEY_REF", "gcp-sm://hunter2"),
        ("LOG_LEVEL", "loud=loud=loud"),
    ];
    for arguments in [&["--check"][..], &[]] {
        let output = ends(folder.path(), arguments, &vars);
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.matches("error: ").count(), 4, "{said}");
        assert!(
            !said.contains("hunter2") && !said.contains("king"),
            "{said}"
        );
    }
    let output = ends(
        folder.path(),
        &["--check"],
        &[("HOST", "0.0.0.0"), ("LOG_LEVEL", "loud=loud=loud")],
    );
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("AUTH_MODE") && said.contains("LOG_LEVEL"),
        "{said}"
    );
    let fine = ends(folder.path(), &["--check"], &[]);
    assert_eq!(fine.status.code(), Some(0));
    let said = String::from_utf8(fine.stderr).unwrap();
    assert!(said.contains("no opencode in PATH"), "{said}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_check_tells_files_that_are_missing_and_guards_in_one_round_with_what_it_cannot_read() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    std::fs::write(folder.path().join("text"), "no program").unwrap();
    let check = |vars: &[(&str, &str)]| {
        let output = ends(folder.path(), &["--check"], vars);
        let said = String::from_utf8(output.stderr).unwrap();
        let mut told: Vec<_> = said
            .lines()
            .filter_map(|line| line.strip_prefix("error: OPEN_COWORK_CLOUD_"))
            .map(|line| line.split([' ', ':']).next().unwrap().to_owned())
            .collect();
        told.sort();
        (output.status.code(), told)
    };
    let wrong = [
        ("APP_DIRECTORY", "nowhere"),
        ("OPENCODE_BIN", "text"),
        ("ROOT", "text"),
        ("PORT", "+80"),
        ("HOST", "0.0.0.0"),
        ("MAX_CONNECTIONS", "many"),
        ("MAX_PROMPTS_PER_HOUR", "-1"),
    ];
    let told = [
        "APP_DIRECTORY",
        "AUTH_MODE",
        "MAX_CONNECTIONS",
        "MAX_PROMPTS_PER_HOUR",
        "OPENCODE_BIN",
        "PORT",
        "ROOT",
    ];
    assert_eq!(check(&wrong), (Some(2), told.map(str::to_owned).to_vec()));
    let (code, told) = check(&[("APP_DIRECTORY", "empty")]);
    assert_eq!(
        (code, told.as_slice()),
        (Some(2), &["APP_DIRECTORY".to_owned()][..])
    );
    let schema = [
        ("CONTROL_PLANE_URL", "postgresql://h/d"),
        ("PG_SCHEMA", "pg_mine"),
    ];
    assert_eq!(check(&schema), (Some(2), vec!["PG_SCHEMA".to_owned()]));
    // A program that isn't run there needn't be there.
    let web = [
        ("ROLE", "web"),
        ("CONTROL_PLANE_URL", "postgresql://h/d"),
        ("OPENCODE_BIN", "nowhere"),
    ];
    assert_eq!(check(&web), (Some(0), Vec::new()));
    // A file that can't be read keeps nobody from hearing about the variables.
    std::fs::write(folder.path().join("open-cowork.config.json"), "{").unwrap();
    let output = ends(folder.path(), &["--check"], &[("PORT", "+80")]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("open-cowork.config.json") && said.contains("_PORT"),
        "{said}"
    );
}

/// What a PostgreSQL says.
fn psql(database: &Postgres, query: &str) -> String {
    let program = programs().unwrap().join("psql");
    let output = Command::new(program)
        .args(["-Atc", query, &database.url()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_was_told_shows_at_its_database_its_readiness_and_its_watchdog() {
    let database = Postgres::start(Durability::Fast).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let port = free_port().to_string();
    let mut cloud = Node::new(
        "cloud",
        folder.path(),
        &[
            ("PORT", &port),
            ("CONTROL_PLANE_URL", &database.url()),
            ("PG_APP_NAME", "cowork-told"),
            ("PG_POOL_MAX", "6"),
            ("PROGRESS_WATCHDOG_MODE", "enforce"),
            ("CONCURRENCY_RECONCILE_MS", "1000"),
        ],
    );
    cloud.start();
    let base = format!("http://127.0.0.1:{port}");
    ready(&base).await;
    let client = Client::new();
    let read = async |path: &str| -> Value {
        let answer = client.get(format!("{base}{path}")).send().await.unwrap();
        answer.json().await.unwrap()
    };
    let made = (0..32).map(|_| client.post(format!("{base}/api/sessions")).send());
    for made in futures::future::join_all(made).await {
        assert_eq!(made.unwrap().status(), StatusCode::CREATED);
    }
    let ours = "FROM pg_stat_activity WHERE application_name = 'cowork-told'";
    let count: u32 = psql(&database, &format!("SELECT COUNT(*) {ours}"))
        .parse()
        .unwrap();
    assert!((2..=6).contains(&count), "{count} connections");
    let others = "SELECT COUNT(*) FROM pg_stat_activity WHERE application_name LIKE 'open-cowork%'";
    assert_eq!(psql(&database, others), "0", "all carry the name");

    let report = read("/readyz").await;
    let checks: Vec<_> = report["checks"].as_array().unwrap().iter().collect();
    let names: Vec<_> = checks
        .iter()
        .map(|check| check["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "control_plane",
            "object_store",
            "secret_adapter",
            "billing_adapter",
            "auth_config",
            "role_dependencies",
            "execution_isolation"
        ]
    );
    assert!(
        checks.iter().all(|check| check["status"] == "ok"),
        "{report}"
    );

    let progress = read("/progressz").await;
    assert_eq!(progress["requestedMode"], "enforce");
    assert_eq!(progress["mode"], "off");
    assert_eq!(progress["configStatus"], "gated");
    cloud.stop();
    let log = cloud.log();
    for told in ["CONCURRENCY_RECONCILE_MS", "PROGRESS_WATCHDOG_MODE"] {
        let line = log.lines().find(|line| line.contains(told));
        assert!(
            line.is_some_and(|line| line.contains("does nothing")),
            "{told}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_same_root_is_refused_until_the_first_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port().to_string();
    let mut first = Node::new("first", folder.path(), &[("PORT", &port)]);
    first.start();
    ready(&format!("http://127.0.0.1:{port}")).await;
    let other = free_port().to_string();
    let output = ends(folder.path(), &[], &[("PORT", &other)]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("Another cloud process uses the folder"),
        "{said}"
    );
    first.kill(); // it can't tidy up
    let mut second = Node::new("second", folder.path(), &[("PORT", &other)]);
    second.start();
    ready(&format!("http://127.0.0.1:{other}")).await;
    second.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_signal_drains_and_the_second_ends_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port().to_string();
    let mut cloud = Node::new(
        "cloud",
        folder.path(),
        &[("PORT", &port), ("SHUTDOWN_GRACE_MS", "20000")],
    );
    cloud.start();
    let base = format!("http://127.0.0.1:{port}");
    ready(&base).await;
    let client = Client::new();
    let made: Value = client
        .post(format!("{base}/api/sessions"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let session = made["session"]["sessionId"].as_str().unwrap();
    let mut stream = client
        .get(format!("{base}/api/sessions/{session}/events"))
        .send()
        .await
        .unwrap();
    assert_eq!(stream.status(), StatusCode::OK);
    assert!(stream.chunk().await.unwrap().is_some());
    let begun = Instant::now();
    cloud.stop(); // with success
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "an idle server ends soon"
    );
    // The stream ends, by an error or by its end, so that its client goes elsewhere.
    let rest = async { while let Ok(Some(_)) = stream.chunk().await {} };
    tokio::time::timeout(Duration::from_secs(5), rest)
        .await
        .expect("the stream ends");

    cloud.start();
    ready(&base).await;
    let pid = Pid::from_raw(cloud.pid().unwrap() as i32).unwrap();
    // A request whose body never comes keeps it draining.
    let body =
        reqwest::Body::wrap_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let slow = tokio::spawn(
        client
            .post(format!("{base}/api/sessions"))
            .body(body)
            .send(),
    );
    tokio::time::sleep(Duration::from_millis(200)).await;
    kill_process(pid, Signal::TERM).unwrap();
    // The log has what the process before said, too. Two signals that come as one are one.
    until("it hears the first signal", || async {
        cloud.log().matches("told to stop").count() == 2
    })
    .await;
    kill_process(pid, Signal::TERM).unwrap();
    let begun = Instant::now();
    while cloud.runs() {
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "a second signal ends it at once"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    slow.abort();
    assert_eq!(processes_of(folder.path()), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn real_a_prompt_is_one_trace_from_its_request_to_its_events_and_no_key_is_seen() {
    let received: Arc<Mutex<Vec<Value>>> = Arc::default();
    let keep = received.clone();
    let collector = axum::Router::new().fallback(move |uri: axum::http::Uri, body: String| {
        if uri.path() == "/v1/traces" {
            keep.lock()
                .unwrap()
                .push(serde_json::from_str(&body).unwrap());
        }
        async {}
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, collector).await });

    let model = ScriptedModel::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = configuration(folder.path(), &model).display().to_string();
    let opencode = provision().unwrap().display().to_string();
    let port = free_port().to_string();
    let canaries = [
        "kQ8vZ2mX5tR7wB1nY4pL9sD3fG6hJ0cA",
        "uT5yR8eW2qP9oI3aS6dF1gH4jK7lZ0xC",
        "Bearer c4n4ry-otlp",
    ];
    let headers = json!({ "authorization": canaries[2] }).to_string();
    let mut cloud = Node::new(
        "cloud",
        folder.path(),
        &[
            ("PORT", &port),
            ("OPEN_COWORK_CONFIG_PATH", &config),
            ("OPENCODE_BIN", &opencode),
            ("OTLP_ENDPOINT", &endpoint),
            ("OTLP_HEADERS", &headers),
            ("OTLP_FLUSH_INTERVAL_MS", "100"),
            ("SECRET_KEY", canaries[0]),
            ("INTERNAL_TOKEN", canaries[1]),
            ("LOG_LEVEL", "trace"),
        ],
    );
    cloud.start();
    let base = format!("http://127.0.0.1:{port}");
    ready(&base).await;
    let client = Client::new();
    let made: Value = client
        .post(format!("{base}/api/sessions"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let session = made["session"]["sessionId"].as_str().unwrap().to_owned();
    let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let prompted = client
        .post(format!("{base}/api/sessions/{session}/prompt"))
        .header("traceparent", caller)
        .json(&json!({ "text": format!("Hello [[script:hello]] {}", canaries[0]) }))
        .send()
        .await
        .unwrap();
    assert_eq!(prompted.status(), StatusCode::ACCEPTED);
    let spans = || -> Vec<Value> {
        let bodies = received.lock().unwrap();
        let spans = bodies.iter().flat_map(|body| {
            body["resourceSpans"][0]["scopeSpans"][0]["spans"]
                .as_array()
                .unwrap()
                .clone()
        });
        spans
            .filter(|span| span["traceId"] == "4bf92f3577b34da6a3ce929d0e0e4736")
            .collect()
    };
    let named = |name: &str| spans().into_iter().find(|span| span["name"] == name);
    until("all three spans arrive", || async {
        ["cloud.http.request", "cloud.command", "cloud.event.append"]
            .iter()
            .all(|name| named(name).is_some())
    })
    .await;
    let (request, command, event) = (
        named("cloud.http.request").unwrap(),
        named("cloud.command").unwrap(),
        named("cloud.event.append").unwrap(),
    );
    assert_eq!(request["parentSpanId"], "00f067aa0ba902b7");
    assert_eq!(command["parentSpanId"], request["spanId"]);
    assert_eq!(event["parentSpanId"], command["spanId"]);

    until("the answer is there", || async {
        let read = client
            .get(format!("{base}/api/sessions/{session}"))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        read.contains("plain streamed answer") && read.contains("\"idle\"")
    })
    .await;
    let page = client
        .get(&base)
        .header("host", format!("127.0.0.1:{port}"))
        .send()
        .await
        .unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    cloud.stop();
    let traces = received
        .lock()
        .unwrap()
        .iter()
        .map(Value::to_string)
        .collect::<String>();
    let log = cloud.log();
    for canary in canaries {
        assert!(!traces.contains(canary), "a trace holds a key");
        assert!(!log.contains(canary), "the log holds a key");
    }
    assert_eq!(processes_of(folder.path()), []);
}
