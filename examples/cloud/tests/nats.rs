//! Wake-ups through NATS, as an operator turns them on: in a program without the feature that is an error that says
//! how to get it; with it, two servers on one PostgreSQL wake each other.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may fail loudly

mod support;

#[cfg(not(feature = "nats"))]
#[test]
fn a_program_without_nats_refuses_its_address_and_says_how_to_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = std::process::Command::new(support::PROGRAM);
    let output = program
        .env_clear()
        .env(
            "OPEN_COWORK_CLOUD_NATS_URL",
            "nats://me:hunter2@127.0.0.1:9",
        )
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("OPEN_COWORK_CLOUD_NATS_URL"), "{said}");
    assert!(said.contains("--features nats"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[cfg(feature = "nats")]
mod with_nats {
    use super::support::{Node, PATIENCE, Person, free_port, ready};
    use open_cowork_testkit::nats::Nats;
    use open_cowork_testkit::postgres::Postgres;
    use serde_json::json;
    use std::time::{Duration, Instant};
    use tokio::time::timeout;

    /// Longer than the test: what arrives came by the bus.
    const NEVER: &str = "3600000";

    async fn node(
        name: &'static str,
        folder: &std::path::Path,
        vars: &[(&str, &str)],
    ) -> (Node, Person) {
        let port = free_port().to_string();
        let root = folder.join(name);
        let mut settings = vec![
            ("ROLE", "web"),
            ("HOST", "127.0.0.1"),
            ("PORT", &port),
            ("ROOT", root.to_str().unwrap()),
            (
                "SECRET_KEY",
                "a key of the test that is long enough for a key",
            ),
            ("AUTH_MODE", "header"),
            ("HEADER_AUTH_ALLOW_UNSIGNED", "true"),
            ("SSE_PG_NOTIFY", "false"),
            ("SSE_POLL_INTERVAL_MS", NEVER),
            ("SSE_NOTIFY_BACKSTOP_POLL_MS", NEVER),
            ("LOG_LEVEL", "trace"),
        ];
        settings.extend_from_slice(vars);
        let mut node = Node::new(name, folder, &settings);
        node.start();
        let base = format!("http://127.0.0.1:{port}");
        ready(&base).await;
        (node, Person::new(&base, "user"))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_event_of_one_server_is_in_the_stream_of_the_other_without_a_poll() {
        let database = Postgres::shared().await.unwrap();
        let nats = Nats::start(r#"authorization { user: me, password: "hunter2" }"#)
            .await
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let vars = [
            ("CONTROL_PLANE_URL", &*database.url()),
            ("NATS_URL", &*nats.url_of("me:hunter2")),
            ("NATS_SUBJECT_PREFIX", "acme.cowork"),
        ];
        let (one, author) = node("one", folder.path(), &vars).await;
        let (other, reader) = node("other", folder.path(), &vars).await;
        let made = author.post("/api/sessions", &json!({})).await.unwrap();
        let session = made["session"]["sessionId"].as_str().unwrap();
        let mut stream = reader
            .stream(&format!("/api/sessions/{session}/events"))
            .await
            .unwrap();
        let (mut text, started) = (String::new(), Instant::now());
        for n in 0..5 {
            let name = format!("{n}.txt");
            let body =
                json!({ "filename": name, "contentType": "text/plain", "dataBase64": "aGk=" });
            let path = format!("/api/sessions/{session}/artifacts");
            author.post(&path, &body).await.unwrap();
            while !text.contains(&name) {
                let chunk = timeout(PATIENCE, stream.chunk()).await.unwrap().unwrap();
                text.push_str(&String::from_utf8_lossy(&chunk.unwrap()));
            }
        }
        assert!(started.elapsed() < Duration::from_secs(60));
        for node in [one, other] {
            assert!(
                !node.log().contains("hunter2"),
                "the log holds the password"
            );
        }
    }
}
