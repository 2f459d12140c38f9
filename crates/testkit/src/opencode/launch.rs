//! A real OpenCode server for one test: own home, own port, own password.

use super::provision::{PINNED_VERSION, provision};
use crate::TestkitError;
use crate::process::GuardedProcess;
use serde_json::{Map, Value, json};
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Under load the start takes seconds (docs/contract/08-opencode.md §1.1).
const START_LIMIT: Duration = Duration::from_secs(60);
const USERNAME: &str = "opencode";

/// Behaviour switches of the child; `OPENCODE_DISABLE_EMBEDDED_WEB_UI` must never be among them,
/// because it makes OpenCode send unknown requests to a public host (08 §1.2).
const SWITCHES: [(&str, &str); 11] = [
    ("OPENCODE_CLIENT", "app"), // enables the question tool
    ("OPENCODE_DISABLE_AUTOUPDATE", "1"),
    ("OPENCODE_DISABLE_CLAUDE_CODE", "1"),
    ("OPENCODE_DISABLE_CLAUDE_CODE_PROMPT", "1"),
    ("OPENCODE_DISABLE_CLAUDE_CODE_SKILLS", "1"),
    ("OPENCODE_DISABLE_EXTERNAL_SKILLS", "1"),
    ("OPENCODE_DISABLE_LSP_DOWNLOAD", "1"),
    ("OPENCODE_DISABLE_MODELS_FETCH", "1"),
    ("OPENCODE_PURE", "1"),
    ("npm_config_offline", "true"), // stops its own package installs
    ("NO_PROXY", "127.0.0.1,localhost"),
];

/// How to start a [`RealOpenCode`].
#[derive(Debug, Clone)]
pub struct RealOpenCodeOptions {
    /// Base URL of the model server, usually [`crate::model::ScriptedModel::base_url`].
    pub model_base_url: String,
    /// The key that OpenCode sends to the model server.
    pub api_key: String,
    /// OpenCode's permission rules; the default asks before commands and edits.
    pub permission: Value,
    /// Top-level configuration entries laid over the composed ones.
    pub config: Map<String, Value>,
    /// The binary; provisioned when absent.
    pub binary: Option<PathBuf>,
}

impl RealOpenCodeOptions {
    /// Defaults for this model server.
    #[must_use]
    pub fn new(model_base_url: impl Into<String>) -> Self {
        Self {
            model_base_url: model_base_url.into(),
            api_key: "test-key-not-a-secret".into(),
            permission: json!({"bash": "ask", "edit": "ask"}),
            config: Map::new(),
            binary: None,
        }
    }

    /// The composed `opencode.json`. `model` is always set: without it OpenCode would fall back
    /// to a public gateway (08 §3.1).
    fn config(&self) -> Value {
        let mut config = json!({
            "model": "scripted/fake-model",
            "small_model": "scripted/fake-small",
            "share": "disabled",
            "autoupdate": false,
            "disabled_providers": ["opencode"],
            "provider": {"scripted": {
                "npm": "@ai-sdk/openai-compatible",
                "name": "Scripted",
                "options": {"baseURL": self.model_base_url, "apiKey": self.api_key},
                "models": {
                    "fake-model": {
                        "name": "Scripted", "tool_call": true,
                        "limit": {"context": 100_000, "output": 8192},
                        "cost": {"input": 3, "output": 15, "cache_read": 0.3, "cache_write": 3.75}
                    },
                    "fake-small": {"name": "Scripted small"}
                }
            }},
            "permission": self.permission,
        });
        if let Value::Object(entries) = &mut config {
            entries.extend(self.config.clone());
        }
        config
    }
}

/// A running OpenCode server with the scripted model as its only provider.
///
/// It listens on loopback, on a port of its own, behind a random password. Its home, data and
/// configuration are temporary; its process group dies when this is dropped, or when the test
/// process dies in whatever way.
#[derive(Debug)]
pub struct RealOpenCode {
    process: GuardedProcess,
    base_url: String,
    password: String,
    binary: PathBuf,
    home: tempfile::TempDir,
}

impl RealOpenCode {
    /// Starts one against this model server and waits until it answers.
    ///
    /// # Errors
    /// [`TestkitError`]: the binary is missing, or the server was not ready in time.
    pub async fn start(model_base_url: &str) -> Result<Self, TestkitError> {
        Self::start_with(&RealOpenCodeOptions::new(model_base_url)).await
    }

    /// As [`Self::start`], with options.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with(options: &RealOpenCodeOptions) -> Result<Self, TestkitError> {
        let binary = match &options.binary {
            Some(binary) => binary.clone(),
            None => tokio::task::spawn_blocking(provision)
                .await
                .map_err(|error| TestkitError::Network(error.to_string()))??,
        };
        let home = tempfile::Builder::new()
            .prefix("open-cowork-opencode-")
            .tempdir()
            .map_err(TestkitError::file(std::env::temp_dir()))?;
        for folder in [
            "home",
            "config",
            "data",
            "cache",
            "state",
            "tmp",
            "opencode-config",
            "cwd",
        ] {
            let path = home.path().join(folder);
            fs::DirBuilder::new()
                .mode(0o700)
                .create(&path)
                .map_err(TestkitError::file(&path))?;
        }
        let config = home.path().join("opencode-config/opencode.json");
        fs::write(&config, options.config().to_string()).map_err(TestkitError::file(&config))?;
        fs::set_permissions(&config, fs::Permissions::from_mode(0o600))
            .map_err(TestkitError::file(&config))?;
        let password = random_password()?;
        let (process, base_url) = launch(&binary, home.path(), &password).await?;
        Ok(Self {
            process,
            base_url,
            password,
            binary,
            home,
        })
    }

    /// `http://127.0.0.1:<port>`, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The Basic-auth user name.
    #[must_use]
    pub fn username(&self) -> &'static str {
        USERNAME
    }

    /// The Basic-auth password of this start.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The folder that holds its home, data and configuration.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Its process id, also the id of its process group.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its last output.
    #[must_use]
    pub fn tail(&self) -> String {
        self.process.tail()
    }

    /// Kills it as a crash would; the stored data stays for [`Self::restart`].
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// Kills it and starts it again on the same data; port and process id change.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn restart(&mut self) -> Result<(), TestkitError> {
        self.process.kill().await;
        let (process, base_url) = launch(&self.binary, self.home.path(), &self.password).await?;
        self.process = process;
        self.base_url = base_url;
        Ok(())
    }

    /// Asks it to end, and kills it after two seconds.
    pub async fn stop(&mut self) {
        self.process.stop(Duration::from_secs(2)).await;
    }
}

async fn launch(
    binary: &Path,
    home: &Path,
    password: &str,
) -> Result<(GuardedProcess, String), TestkitError> {
    // "Port 0" means 4096 when it is free: two tests would meet there, so one is picked here.
    // Between the pick and OpenCode's own bind another process may take it; then we pick again.
    let mut last = None;
    for _ in 0..3 {
        let port = free_port()?;
        match launch_on(binary, home, password, port).await {
            Ok(started) => return Ok(started),
            Err(error @ TestkitError::NotReady { .. }) => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| TestkitError::Network("no free port".into())))
}

async fn launch_on(
    binary: &Path,
    home: &Path,
    password: &str,
    port: u16,
) -> Result<(GuardedProcess, String), TestkitError> {
    let port = port.to_string();
    let arguments = ["serve", "--hostname", "127.0.0.1", "--port", &port];
    let mut process = GuardedProcess::spawn("OpenCode", binary, arguments, |command| {
        command
            .env_clear()
            .envs(SWITCHES)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home.join("home"))
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("XDG_DATA_HOME", home.join("data"))
            .env("XDG_CACHE_HOME", home.join("cache"))
            .env("XDG_STATE_HOME", home.join("state"))
            .env("TMPDIR", home.join("tmp"))
            .env("OPENCODE_CONFIG_DIR", home.join("opencode-config"))
            .env("OPENCODE_SERVER_PASSWORD", password)
            .current_dir(home.join("cwd"));
    })?;
    let ready = |line: &str| {
        line.strip_prefix("opencode server listening on ")
            .map(|url| url.trim().to_owned())
    };
    let base_url = process.line(START_LIMIT, ready).await?;
    check_version(&base_url, password).await?;
    Ok((process, base_url))
}

fn free_port() -> Result<u16, TestkitError> {
    std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| TestkitError::Network(error.to_string()))
}

async fn check_version(base_url: &str, password: &str) -> Result<(), TestkitError> {
    let network = |error: reqwest::Error| TestkitError::Network(error.to_string());
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .map_err(network)?;
    let health: Value = client
        .get(format!("{base_url}/global/health"))
        .basic_auth(USERNAME, Some(password))
        .timeout(Duration::from_secs(20))
        .send()
        .await
        .map_err(network)?
        .json()
        .await
        .map_err(network)?;
    match health.get("version").and_then(Value::as_str) {
        Some(PINNED_VERSION) => Ok(()),
        other => Err(TestkitError::Provision {
            version: PINNED_VERSION,
            reason: format!("the binary says it is {}", other.unwrap_or("of no version")),
        }),
    }
}

fn random_password() -> Result<String, TestkitError> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| TestkitError::Network(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
