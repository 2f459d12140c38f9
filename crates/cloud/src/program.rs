//! The life of the process: reads what it is told, opens the parts that its role needs, serves until it is told to
//! stop, and ends in order.

use crate::arguments::Arguments;
use crate::distribution::Distribution;
use crate::parts::{self, Parts};
use crate::telemetry::Telemetry;
use crate::told::{Told, line, told};
use anyhow::Context as _;
use open_cowork_cloud_server::boot::{options, stop};
use open_cowork_cloud_server::server;
use std::io::Write as _;
use std::process::ExitCode;
use tokio::net::TcpListener;

/// The whole program: the command line, the settings, the role, until it is told to stop. Call it first in `main`:
/// the launcher of OpenCode is this program executed once more.
///
/// Exit codes: 0 ended in order, 1 failed, 2 wrong settings, 130 told to stop twice.
#[must_use]
pub fn main(distribution: &Distribution) -> ExitCode {
    open_cowork_runtime_host::launch::run_if_launcher();
    let arguments = Arguments::of_process(distribution);
    let told = match told(&arguments) {
        Ok(told) => told,
        Err(wrong) => {
            wrong
                .iter()
                .for_each(|finding| complain("error", &line(finding)));
            return ExitCode::from(2);
        }
    };
    if arguments.check {
        told.warnings
            .iter()
            .for_each(|finding| complain("warning", &line(finding)));
        return done(say("The settings are fine."));
    }
    done(run(&told, distribution))
}

fn run(told: &Told, distribution: &Distribution) -> anyhow::Result<()> {
    let telemetry = Telemetry::start(told, distribution.version)?;
    for warning in &told.warnings {
        tracing::warn!(at = warning.path, "{}", line(warning));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no threads can be started")?;
    let ended = runtime.block_on(serve(told, distribution, &telemetry));
    runtime.shutdown_background();
    telemetry.close();
    ended
}

/// Serves what the role needs until the first signal.
async fn serve(
    told: &Told,
    distribution: &Distribution,
    telemetry: &Telemetry,
) -> anyhow::Result<()> {
    let settings = &told.settings;
    let stop = stop::stop().context("signals can't be caught")?;
    // First, so that a port that is taken opens nothing else.
    let listener = match parts::listens_on(settings) {
        Some((host, port)) => Some(TcpListener::bind((host, port)).await.with_context(|| {
            format!("{host}:{port} can't be listened on; set PORT to another one")
        })?),
        None => None,
    };
    let port = match &listener {
        Some(listener) => listener.local_addr().context("the port is unknown")?.port(),
        None => 0,
    };
    let adapters = distribution.open(settings)?;
    let parts = Parts::open(told, adapters, telemetry).await?;
    let bounds = parts.bounds(options::bounds(settings));
    let router = parts.router(told, port);
    if parts.has_api() {
        say(&format!("open {}", settings.link(port)))?;
    }
    let served = async {
        if let Some(listener) = listener {
            server::serve(listener, router, bounds, stop.clone()).await;
        }
    };
    // Readiness, streams and the worker hear of the end at once, while open requests finish.
    let ended = async {
        stop.cancelled().await;
        parts.drain(settings.http.shutdown_grace).await;
    };
    tokio::join!(served, ended);
    parts.close().await;
    Ok(())
}

fn done(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain("error", &format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// To standard error; where nobody reads it, nothing is lost.
fn complain(level: &str, text: &str) {
    let _ = writeln!(std::io::stderr(), "{level}: {text}");
}

/// To standard output.
fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .context("the address can't be printed")
}
