//! `cargo xtask demo`: everything that a first look needs, from a fresh clone to an open page.

use crate::{cargo, machine, root};
use anyhow::{Context as _, bail};
use cargo_metadata::MetadataCommand;
use open_cowork_testkit::model::{Scenario, ScriptedModel};
use open_cowork_testkit::opencode::{PINNED_VERSION, provision_reporting};
use open_cowork_testkit::process::{GuardedProcess, find_program};
use open_cowork_testkit::workspace;
use std::ffi::OsString;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
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

/// What is started, and where it works.
#[derive(Debug)]
struct Parts {
    opencode: PathBuf,
    program: PathBuf,
    /// The sample folder that the agent may break at will.
    workspace: PathBuf,
    data: PathBuf,
}

/// Prepares, starts and waits for Ctrl-C.
///
/// # Errors
/// What is missing, or the desktop's last words when it ended by itself.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    machine::ensure(machine::FOR_AGENT)?;
    eprintln!("demo: OpenCode {PINNED_VERSION}");
    let opencode = provision_reporting(|line| eprintln!("demo: {line}"))?;
    let program = build()?;
    let folder = root().join(".tools/demo");
    let workspace = sample_workspace(&folder)?;
    let data = options
        .data_dir
        .clone()
        .unwrap_or_else(|| folder.join("data"));
    // The desktop runs in the sample folder, so a relative path must be made whole here.
    let data = std::path::absolute(&data).with_context(|| format!("{}", data.display()))?;
    let parts = Parts {
        opencode,
        program,
        workspace,
        data,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the async runtime")?;
    runtime.block_on(async {
        let mut terminated = signal(SignalKind::terminate()).context("cannot wait for signals")?;
        let mut interrupted = signal(SignalKind::interrupt()).context("cannot wait for Ctrl-C")?;
        let stop = async {
            tokio::select! {
                _ = interrupted.recv() => {}
                _ = terminated.recv() => {}
            }
        };
        serve(options, &parts, stop).await
    })
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
    options: &Options,
    parts: &Parts,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let model = if options.own_model {
        None
    } else {
        Some(ScriptedModel::start_with(Scenario::demo()?, 0).await?)
    };
    let mut arguments: Vec<OsString> = vec![
        "serve".into(),
        "--opencode".into(),
        parts.opencode.clone().into(),
    ];
    if let Some(model) = &model {
        arguments.extend(["--demo-endpoint".into(), model.base_url().into()]);
    }
    arguments.extend(["--workspace".into(), parts.workspace.clone().into()]);
    arguments.extend(["--data-dir".into(), parts.data.clone().into()]);
    arguments.extend(["--port".into(), options.port.to_string().into()]);
    eprintln!("demo: starting");
    let mut desktop = GuardedProcess::spawn("the desktop", &parts.program, arguments, |command| {
        command.current_dir(&parts.workspace);
    })?;

    let mut stop = pin!(stop);
    let ready = desktop.line(START_LIMIT, |line| {
        line.strip_prefix("open ")
            .filter(|url| url.starts_with("http"))
            .map(str::to_owned)
    });
    let url = tokio::select! {
        url = ready => Some(url?),
        () = &mut stop => None,
    };
    if let Some(url) = url {
        println!("open {url}");
        let kind = if model.is_some() {
            "a scripted model"
        } else {
            "your own model"
        };
        let (workspace, data) = (parts.workspace.display(), parts.data.display());
        eprintln!("demo: {kind} answers; sample folder {workspace}; data in {data}");
        eprintln!("demo: Ctrl-C stops everything");
        if !options.no_open {
            open_in_browser(&url);
        }
        tokio::select! {
            status = desktop.wait() => {
                bail!("the desktop ended with {}; its last output: {}", status?, desktop.tail());
            }
            () = &mut stop => {}
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    /// A desktop that is a shell script.
    fn parts(folder: &Path, script: &str) -> Parts {
        let program = folder.join("desktop");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        Parts {
            opencode: "/opt/opencode".into(),
            program,
            workspace: folder.to_owned(),
            data: folder.join("data"),
        }
    }

    fn options(own_model: bool) -> Options {
        Options {
            port: 7,
            data_dir: None,
            own_model,
            no_open: true,
        }
    }

    async fn file_appears(path: PathBuf) {
        while !path.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn the_desktop_gets_the_scripted_model_and_is_asked_to_end() {
        let folder = tempfile::tempdir().unwrap();
        let script = "echo \"$@\" > arguments
            trap 'touch stopped; exit 0' TERM
            echo 'open http://127.0.0.1:7/w/x/?token=x'
            touch up
            while :; do sleep 0.05; done";
        let parts = parts(folder.path(), script);
        let up = file_appears(folder.path().join("up"));
        serve(&options(false), &parts, up).await.unwrap();
        assert!(folder.path().join("stopped").exists());
        let arguments = std::fs::read_to_string(folder.path().join("arguments")).unwrap();
        let expected = "serve --opencode /opt/opencode --demo-endpoint http://127.0.0.1:";
        assert!(arguments.starts_with(expected), "{arguments}");
        assert!(arguments.trim_end().ends_with("--port 7"), "{arguments}");
    }

    #[tokio::test]
    async fn without_the_scripted_model_no_endpoint_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let parts = parts(folder.path(), "echo \"$@\" > arguments; sleep 60");
        let up = file_appears(folder.path().join("arguments"));
        serve(&options(true), &parts, up).await.unwrap();
        let arguments = std::fs::read_to_string(folder.path().join("arguments")).unwrap();
        assert!(!arguments.contains("--demo-endpoint"), "{arguments}");
    }

    #[tokio::test]
    async fn a_desktop_that_ends_by_itself_shows_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        for script in [
            "echo 'the data folder is in use' >&2; exit 3",
            "echo 'open http://x/'; sleep 0.1; echo 'the data folder is in use' >&2; exit 3",
        ] {
            let parts = parts(folder.path(), script);
            let error = serve(&options(true), &parts, std::future::pending())
                .await
                .unwrap_err();
            let words = error.to_string();
            assert!(words.contains("the data folder is in use"), "{words}");
            assert!(words.contains("exit status: 3"), "{words}");
        }
    }
}
