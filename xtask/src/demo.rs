//! `cargo xtask demo`: everything that a first look needs, from a fresh clone to an open page.

use crate::{cargo, machine, root};
use anyhow::{Context as _, bail};
use cargo_metadata::MetadataCommand;
use open_cowork_testkit::model::{Scenario, ScriptedModel};
use open_cowork_testkit::opencode::{PINNED_VERSION, provision_reporting};
use open_cowork_testkit::process::{GuardedProcess, find_program};
use open_cowork_testkit::workspace;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// The desktop answers within seconds; its first start makes a database and an OpenCode home.
const START_LIMIT: Duration = Duration::from_secs(90);
/// How long the desktop may take to store what it holds.
const STOP_LIMIT: Duration = Duration::from_secs(15);
const PACKAGE: &str = "open-cowork-desktop-example";

/// What `cargo xtask demo` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    cargo xtask demo\n  \
    cargo xtask demo --port 7420 --no-open\n  \
    cargo xtask demo --own-model --data-dir ~/.open-cowork-trial")]
pub(crate) struct Options {
    /// Port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Where threads and settings are kept; the default is .tools/demo/data.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Leaves the scripted model out: bring your own provider and key on the settings page.
    #[arg(long)]
    own_model: bool,
    /// Does not open a browser.
    #[arg(long)]
    no_open: bool,
}

/// Prepares, starts and waits for Ctrl-C.
///
/// # Errors
/// What is missing, or the desktop's last words when it ended by itself.
pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    machine::ensure(&machine::FOR_AGENT)?;
    eprintln!("demo: OpenCode {PINNED_VERSION}");
    let opencode = provision_reporting(|line| eprintln!("demo: {line}"))?;
    let program = build()?;
    let folder = root().join(".tools/demo");
    let workspace = sample_workspace(&folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the async runtime")?;
    runtime.block_on(serve(options, &opencode, &program, &folder, &workspace))
}

fn build() -> anyhow::Result<PathBuf> {
    eprintln!("demo: building the desktop; the first time takes minutes");
    let status = cargo()
        .args(["build", "--package", PACKAGE])
        .status()
        .context("cargo could not be started")?;
    if !status.success() {
        bail!("the desktop does not build; the compiler's message is above");
    }
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("cargo metadata")?;
    Ok(metadata.target_directory.join("debug").join(PACKAGE).into())
}

/// A folder to work in that may be broken at will; kept from one demo to the next.
fn sample_workspace(folder: &Path) -> anyhow::Result<PathBuf> {
    let workspace = folder.join("workspace");
    if !workspace.join(".git").exists() {
        std::fs::create_dir_all(&workspace)
            .with_context(|| format!("cannot make {}", workspace.display()))?;
        workspace::fill(&workspace)?;
    }
    Ok(workspace)
}

async fn serve(
    options: Options,
    opencode: &Path,
    program: &Path,
    folder: &Path,
    workspace: &Path,
) -> anyhow::Result<()> {
    let mut terminated = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    let model = if options.own_model {
        None
    } else {
        Some(ScriptedModel::start_with(Scenario::demo()?, 0).await?)
    };
    let mut arguments: Vec<OsString> = vec!["serve".into(), "--opencode".into(), opencode.into()];
    if let Some(model) = &model {
        arguments.extend(["--demo-endpoint".into(), model.base_url().into()]);
    }
    let data = options.data_dir.unwrap_or_else(|| folder.join("data"));
    arguments.extend(["--data-dir".into(), data.clone().into()]);
    arguments.extend(["--port".into(), options.port.to_string().into()]);
    eprintln!("demo: starting");
    let mut desktop = GuardedProcess::spawn("the desktop", program, arguments, |command| {
        command.current_dir(workspace);
    })?;

    let ready = desktop.line(START_LIMIT, |line| {
        line.strip_prefix("open ")
            .filter(|url| url.starts_with("http"))
            .map(str::to_owned)
    });
    let url = tokio::select! {
        url = ready => Some(url?),
        _ = tokio::signal::ctrl_c() => None,
        _ = terminated.recv() => None,
    };
    if let Some(url) = url {
        let kind = if model.is_some() {
            "scripted model"
        } else {
            "your own model"
        };
        println!("open {url}");
        eprintln!(
            "demo: {kind}; sample folder {}; data in {}",
            workspace.display(),
            data.display()
        );
        eprintln!("demo: Ctrl-C stops everything");
        if !options.no_open {
            open_in_browser(&url);
        }
        tokio::select! {
            status = desktop.wait() => {
                bail!("the desktop ended with {}; its last output: {}", status?, desktop.tail());
            }
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated.recv() => {}
        }
    }
    eprintln!("demo: stopping");
    desktop.stop(STOP_LIMIT).await;
    Ok(())
}

/// Opens the page where there is a screen; a machine without one has the address above.
fn open_in_browser(url: &str) {
    let has_screen = cfg!(target_os = "macos")
        || ["DISPLAY", "WAYLAND_DISPLAY"]
            .iter()
            .any(|name| std::env::var_os(name).is_some());
    let name = if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    };
    if let Some(program) = find_program(name).filter(|_| has_screen) {
        let quiet = std::process::Stdio::null;
        let started = std::process::Command::new(program)
            .arg(url)
            .stdin(quiet())
            .stdout(quiet())
            .stderr(quiet())
            .spawn();
        if let Err(error) = started {
            eprintln!(
                "demo: the browser could not be started ({error}); open the address yourself"
            );
        }
    }
}
