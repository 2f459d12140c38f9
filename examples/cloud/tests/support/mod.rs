//! Cloud programs as child processes on a PostgreSQL of their own, and a plain HTTP client.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)] // each test binary uses a part

use open_cowork_testkit::model::ScriptedModel;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The program under test; also the launcher of OpenCode.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_open-cowork-cloud-example");

/// Nothing in these tests takes longer, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A process of the cloud that can be killed and started again as it was.
pub struct Node {
    pub name: &'static str,
    environment: Vec<(String, String)>,
    log: PathBuf,
    child: Option<Child>,
}

impl Node {
    /// A process with these settings (names without their prefix); its log goes below `folder`.
    pub fn new(name: &'static str, folder: &Path, settings: &[(&str, &str)]) -> Node {
        let environment = settings.iter().map(|(key, value)| {
            let prefix = match key.starts_with("OPEN_COWORK_") {
                true => "",
                false => "OPEN_COWORK_CLOUD_",
            };
            (format!("{prefix}{key}"), (*value).to_owned())
        });
        Node {
            name,
            environment: environment.collect(),
            log: folder.join(format!("{name}.log")),
            child: None,
        }
    }

    pub fn start(&mut self) {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .unwrap();
        // Another build of it, say one that is to be shipped.
        let program = std::env::var_os("OPEN_COWORK_TEST_CLOUD");
        let child = Command::new(program.unwrap_or_else(|| PROGRAM.into()))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.log.parent().unwrap())
            .envs(self.environment.iter().cloned())
            .current_dir(self.log.parent().unwrap())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// As `kill -9`: nothing of it can say good-bye.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself; that is for the test to find out.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// In order; panics when it doesn't end.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        let pid = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let started = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                assert!(
                    status.success(),
                    "{} ended with {status}:\n{}",
                    self.name,
                    self.tail()
                );
                return;
            }
            if started.elapsed() > PATIENCE {
                let _ = child.kill();
                panic!("{} did not end:\n{}", self.name, self.tail());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child
            .as_mut()
            .is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Its last words.
    pub fn tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Given back at once; should another program take it, the start fails and says so.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A configuration whose one provider is the scripted model; the path of the file.
pub fn configuration(folder: &Path, model: &ScriptedModel) -> PathBuf {
    let path = folder.join("open-cowork.config.json");
    let document = json!({
        "providers": {
            "available": ["scripted"],
            "defaultProvider": "scripted",
            "defaultModel": "fake-model",
            "custom": {
                "scripted": {
                    "npm": "@ai-sdk/openai-compatible",
                    "name": "Scripted model",
                    "options": { "baseURL": model.base_url() },
                    "models": { "fake-model": { "name": "Fake", "limit": { "context": 200_000, "output": 8_000 } } }
                }
            }
        },
        "permissions": { "bash": "ask" },
        "cloud": { "profiles": { "full": { "runtime": { "allowRemoteApprovalResponses": true } } } }
    });
    std::fs::write(&path, serde_json::to_vec_pretty(&document).unwrap()).unwrap();
    path
}

/// Waits until the server says that it is ready.
pub async fn ready(base: &str) {
    let client = reqwest::Client::new();
    let started = Instant::now();
    loop {
        let answer = client
            .get(format!("{base}/readyz"))
            .timeout(Duration::from_secs(5))
            .send()
            .await;
        if answer.is_ok_and(|answer| answer.status() == StatusCode::OK) {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{base} does not become ready");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A person of the cloud, known by the headers of a proxy.
#[derive(Clone)]
pub struct Person {
    client: reqwest::Client,
    base: String,
    user: String,
}

impl Person {
    pub fn new(base: &str, user: &str) -> Person {
        Person {
            client: reqwest::Client::new(),
            base: base.to_owned(),
            user: user.to_owned(),
        }
    }

    pub fn user(&self) -> &str {
        &self.user
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.base))
            .header("x-open-cowork-tenant-id", "acme")
            .header("x-open-cowork-user-id", &self.user)
            .header(
                "x-open-cowork-user-email",
                format!("{}@example.test", self.user),
            )
            .header("x-open-cowork-user-role", "member")
    }

    /// One try.
    pub async fn get(&self, path: &str) -> Option<Value> {
        let answer = self
            .request(Method::GET, path)
            .timeout(Duration::from_secs(20))
            .send()
            .await
            .ok()?;
        match answer.status().is_success() {
            true => answer.json().await.ok(),
            false => None,
        }
    }

    /// Until it answers.
    pub async fn read(&self, path: &str) -> Value {
        let started = Instant::now();
        loop {
            if let Some(value) = self.get(path).await {
                return value;
            }
            assert!(started.elapsed() < PATIENCE, "GET {path} is not answered");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Sends with one idempotency key until the answer says what became of it; `None` when it was refused.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, (StatusCode, String)> {
        let key = uuid::Uuid::new_v4().to_string();
        let started = Instant::now();
        loop {
            let sent = self
                .request(Method::POST, path)
                .header("idempotency-key", &key)
                .timeout(Duration::from_secs(60))
                .json(body)
                .send()
                .await;
            if let Ok(answer) = sent {
                let status = answer.status();
                match answer.text().await {
                    Ok(text) if status.is_success() => {
                        return Ok(serde_json::from_str(&text).unwrap());
                    }
                    Ok(text)
                        if status.is_client_error()
                            && status != StatusCode::TOO_MANY_REQUESTS
                            && !text.contains("idempotency.in_progress") =>
                    {
                        return Err((status, text));
                    }
                    _ => {}
                }
            }
            assert!(
                started.elapsed() < PATIENCE * 2,
                "POST {path} is not answered"
            );
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    }

    /// Opens an event stream.
    pub async fn stream(&self, path: &str) -> reqwest::Result<reqwest::Response> {
        self.request(Method::GET, path)
            .header("accept", "text/event-stream")
            .send()
            .await
    }
}

/// Processes that were started below that folder: pid and command line.
pub fn processes_of(root: &Path) -> Vec<(u32, String)> {
    let needle = root.as_os_str().as_encoded_bytes();
    let holds = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    let own = std::process::id();
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            let ours = pid != own && (holds(&line) || holds(&environment));
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            (ours && !line.is_empty()).then_some((pid, line))
        })
        .collect()
}
