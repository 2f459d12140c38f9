//! Our cloud starts with our name on it, and our auditor hears of what is stored in it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails panics"
)]

use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Nothing here takes longer, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct Cloud(Child);

impl Drop for Cloud {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(root: &Path, port: u16) -> Cloud {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("open-cowork.config.json");
    let child = Command::new(env!("CARGO_BIN_EXE_example-cowork-cloud"))
        .arg("--config")
        .arg(config)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", root)
        .env("OPEN_COWORK_CLOUD_ROOT", root)
        .env("OPEN_COWORK_CLOUD_PORT", port.to_string())
        // On this machine nobody signs in; the document names these all the same.
        .env("OPEN_COWORK_CLOUD_AUTH_MODE", "none")
        .env(
            "EXAMPLE_COWORK_COOKIE_SECRET",
            "only-for-a-test-not-for-a-deployment",
        )
        .env("EXAMPLE_COWORK_OIDC_CLIENT_SECRET", "only-for-a-test")
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn();
    Cloud(child.unwrap())
}

async fn text(client: &reqwest::Client, address: &str) -> String {
    let started = Instant::now();
    loop {
        if let Ok(answer) = client.get(address).send().await
            && answer.status().is_success()
        {
            return answer.text().await.unwrap();
        }
        assert!(started.elapsed() < PATIENCE, "{address} does not answer");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn our_cloud_bears_our_name_and_tells_our_auditor() {
    let root = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let _cloud = start(root.path(), port);
    let base = format!("http://127.0.0.1:{port}");
    let client = reqwest::Client::new();
    text(&client, &format!("{base}/readyz")).await;
    let page = text(&client, &base).await;
    assert!(page.contains("Example Cowork"), "{page}");

    let post = async |path: &str, body: Value| -> Value {
        let answer = client.post(format!("{base}{path}")).json(&body).send();
        let answer = answer.await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap()
    };
    let made = post("/api/sessions", json!({})).await;
    let session = made["session"]["sessionId"].as_str().unwrap().to_owned();
    let artifact =
        json!({ "filename": "private.txt", "contentType": "text/plain", "dataBase64": "aGk=" });
    post(&format!("/api/sessions/{session}/artifacts"), artifact).await;

    let audit = std::fs::read_to_string(root.path().join("audit.jsonl")).unwrap();
    let lines: Vec<Value> = audit
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let heard = |kind: &str| {
        let mut lines = lines.iter();
        lines.any(|line| line["type"] == kind && line["sessionId"] == session.as_str())
    };
    assert!(heard("artifact.created"), "{audit}");
    assert!(!audit.contains("private.txt"), "the auditor reads nothing");
}
