//! The benches: one program that prints a table, or JSON.

use anyhow::{Context as _, bail};

/// Builds in release mode and runs; progress goes to standard error, the figures to standard out.
/// `rest` is for the program of the benches, see its `--help`.
pub(crate) fn run(json: bool, rest: &[String]) -> anyhow::Result<()> {
    eprintln!("bench: building in release mode, then measuring; this takes minutes");
    let mut command = crate::cargo();
    command.args(["run", "--release", "--package", "open-cowork-benches", "--"]);
    if json {
        command.arg("--json");
    }
    command.args(rest);
    let status = command.status().context("cargo could not be started")?;
    if !status.success() {
        bail!("the benches failed ({status}); the lines above say where");
    }
    Ok(())
}
