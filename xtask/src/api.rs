//! schemathesis against a running cloud: it reads `/openapi.json`, makes requests of every kind from it, and
//! compares the answers with what the document promises.

use anyhow::{Context as _, bail};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The version that the results are known for.
const SCHEMATHESIS: &str = "4.32.5";
/// What is checked: no 5xx, and answers of the promised status, type and shape.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
/// A debug build on a busy machine.
const START: Duration = Duration::from_secs(60);

/// How long to try.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Time for requests, in seconds.
    #[arg(long, default_value_t = 300, value_name = "N")]
    pub(crate) seconds: u64,
}

/// Builds the cloud, starts it with an empty folder, and lets schemathesis loose on it.
///
/// # Errors
/// One sentence; what schemathesis found is in its output, which is part of it.
pub(crate) fn run(options: &Options) -> anyhow::Result<String> {
    let schemathesis = provision()?;
    let program = build()?;
    let folder = std::env::temp_dir().join(format!("open-cowork-api-{}", std::process::id()));
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let outcome = Server::start(&program, &folder)
        .and_then(|server| try_it(&schemathesis, &server.base, &folder, options));
    let removed = std::fs::remove_dir_all(&folder);
    let report = outcome?;
    removed.with_context(|| format!("cannot remove {}", folder.display()))?;
    Ok(report)
}

fn try_it(
    schemathesis: &Path,
    base: &str,
    folder: &Path,
    options: &Options,
) -> anyhow::Result<String> {
    let output = Command::new(schemathesis)
        .arg("run")
        .arg(format!("{base}/openapi.json"))
        .args(["--checks", CHECKS])
        .args(["--phases", "coverage,fuzzing"])
        .args(["--max-time", &options.seconds.to_string()])
        // Streams have no end.
        .args(["--exclude-tag", "stream"])
        // 501 until their issue: a server error by its number, a promise by the document.
        .args(["--exclude-tag", "deferred"])
        // 501 `invite.disabled` is its promised answer where nobody is invited, as here.
        .args(["--exclude-path", "/api/invites/accept"])
        .args(["--request-timeout", "20"])
        .args(["--seed", "1", "--no-color"])
        .args(["--suppress-health-check", "all"])
        .args(["--warnings", "off"])
        .env("NO_COLOR", "1")
        // It leaves what it has learnt where it runs.
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .context("schemathesis could not be started")?;
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!(
            "the cloud doesn't keep its own document:\n{words}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let summary = words
        .lines()
        .rev()
        .find(|line| line.contains("passed") || line.contains("No issues"));
    Ok(summary
        .unwrap_or_default()
        .trim_matches(|c: char| c == '=' || c == ' ')
        .to_owned())
}

/// The program in its own environment, kept with the other fetched tools.
fn provision() -> anyhow::Result<PathBuf> {
    let tools = match std::env::var_os("OPEN_COWORK_TOOLS_DIR").filter(|folder| !folder.is_empty())
    {
        Some(folder) => PathBuf::from(folder),
        None => crate::root().join(".tools"),
    };
    let folder = tools.join("schemathesis").join(SCHEMATHESIS);
    let program = folder.join("bin/schemathesis");
    if program.exists() && folder.join("complete").exists() {
        return Ok(program);
    }
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    quiet(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&folder),
        "python3 -m venv",
    )?;
    quiet(
        Command::new(folder.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check"])
            .arg(format!("schemathesis=={SCHEMATHESIS}")),
        "pip install schemathesis",
    )?;
    std::fs::write(folder.join("complete"), SCHEMATHESIS)
        .context("cannot mark schemathesis as complete")?;
    Ok(program)
}

fn quiet(command: &mut Command, name: &str) -> anyhow::Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("`{name}` could not be started"))?;
    if !output.status.success() {
        bail!(
            "`{name}` failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

fn build() -> anyhow::Result<PathBuf> {
    let output = crate::cargo()
        .args([
            "build",
            "--package",
            "open-cowork-cloud-example",
            "--message-format",
            "json-render-diagnostics",
        ])
        .stderr(Stdio::inherit())
        .output()
        .context("cargo could not be started")?;
    if !output.status.success() {
        bail!(
            "the cloud could not be built ({}); the lines above say why",
            output.status
        );
    }
    cargo_metadata::Message::parse_stream(&output.stdout[..])
        .filter_map(Result::ok)
        .find_map(|message| match message {
            cargo_metadata::Message::CompilerArtifact(artifact) => artifact.executable,
            _ => None,
        })
        .map(PathBuf::from)
        .context("cargo built no program")
}

/// A cloud that ends with this value.
struct Server {
    child: Child,
    base: String,
}

impl Server {
    fn start(program: &Path, folder: &Path) -> anyhow::Result<Self> {
        // Given back at once; another program could take it, and then the start fails and says so.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new(program)
            .env("OPEN_COWORK_CLOUD_ROOT", folder)
            .env("OPEN_COWORK_CLOUD_HOST", "127.0.0.1")
            .env("OPEN_COWORK_CLOUD_PORT", port.to_string())
            .env("OPEN_COWORK_CLOUD_HTTP_RATE_LIMIT_ENABLED", "false")
            // Requests, not agents, are tried here.
            .env("OPEN_COWORK_CLOUD_AUTO_PROCESS_COMMANDS", "false")
            .env("OPEN_COWORK_CLOUD_ABUSE_ENABLED", "false")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} could not be started", program.display()))?;
        let mut server = Server {
            child,
            base: format!("http://127.0.0.1:{port}"),
        };
        server.wait(port)?;
        Ok(server)
    }

    fn wait(&mut self, port: u16) -> anyhow::Result<()> {
        let start = Instant::now();
        while start.elapsed() < START {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                // Nobody reads what it says from here on, and a full pipe would stop it.
                if let Some(errors) = self.child.stderr.take() {
                    std::thread::spawn(move || BufReader::new(errors).lines().for_each(drop));
                }
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                let said = self
                    .child
                    .stderr
                    .take()
                    .map(std::io::read_to_string)
                    .transpose()?;
                bail!(
                    "the cloud ended at its start ({status}): {}",
                    said.unwrap_or_default().trim()
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("the cloud did not listen within {} s", START.as_secs())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It is gone already: fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
