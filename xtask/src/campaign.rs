//! The long campaigns of the cloud. The test command runs the same tests, shorter.

use anyhow::{Context as _, bail};
use open_cowork_testkit::opencode::provision_reporting;

/// Cuts connections for as long as asked: 200 subscribers, writers, a proxy that cuts at random.
#[derive(Debug, clap::Args)]
pub(crate) struct Soak {
    /// How long, in seconds.
    #[arg(long, default_value_t = 60, value_name = "N")]
    seconds: u64,
    /// Subscribers.
    #[arg(long, default_value_t = 200, value_name = "N")]
    subscribers: u32,
}

/// Kills processes for as often as asked, while clients prompt, approve and stop.
#[derive(Debug, clap::Args)]
pub(crate) struct Chaos {
    /// How often a process is killed.
    #[arg(long, default_value_t = 100, value_name = "N")]
    kills: u32,
    /// Clients.
    #[arg(long, default_value_t = 8, value_name = "N")]
    clients: u32,
    /// Which processes are killed when; another number, another story.
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
}

/// Runs the soak test.
///
/// # Errors
/// The test failed, or could not be built.
pub(crate) fn soak(options: &Soak) -> anyhow::Result<()> {
    test(
        "open-cowork-cloud-server",
        "soak",
        &[
            ("OPEN_COWORK_SOAK_SECONDS", options.seconds.to_string()),
            (
                "OPEN_COWORK_SOAK_SUBSCRIBERS",
                options.subscribers.to_string(),
            ),
        ],
    )
}

/// Runs the chaos test on PostgreSQL and a real OpenCode.
///
/// # Errors
/// The test failed, or could not be built.
pub(crate) fn chaos(options: &Chaos) -> anyhow::Result<()> {
    let opencode = provision_reporting(|line| eprintln!("OpenCode: {line}"))?;
    test(
        "open-cowork-cloud-example",
        "chaos",
        &[
            ("OPEN_COWORK_CHAOS_KILLS", options.kills.to_string()),
            ("OPEN_COWORK_CHAOS_CLIENTS", options.clients.to_string()),
            ("OPEN_COWORK_CHAOS_SEED", options.seed.to_string()),
            ("OPEN_COWORK_TEST_OPENCODE", opencode.display().to_string()),
        ],
    )
}

fn test(package: &str, name: &str, environment: &[(&str, String)]) -> anyhow::Result<()> {
    let status = crate::cargo()
        .args([
            "test",
            "--release",
            "--package",
            package,
            "--test",
            name,
            "--",
            "--nocapture",
        ])
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .status()
        .context("cargo could not be started")?;
    if !status.success() {
        bail!("the {name} test failed ({status}); the lines above say how");
    }
    Ok(())
}
