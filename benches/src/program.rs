//! A program of this workspace, built as it is shipped.

use anyhow::{Context as _, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Builds the program and returns its path, in the release folder beside our own.
pub(crate) fn build(package: &str, name: &str) -> anyhow::Result<PathBuf> {
    build_as(package, "--bin", name, "release")
}

/// The same for an example of a package.
pub(crate) fn build_example(package: &str, name: &str) -> anyhow::Result<PathBuf> {
    build_as(package, "--example", name, "release/examples")
}

fn build_as(package: &str, kind: &str, name: &str, folder: &str) -> anyhow::Result<PathBuf> {
    eprintln!("building {name}");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--release", "--quiet", "--package", package])
        .args([kind, name])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdout(Stdio::null())
        .status()
        .context("cargo can't be started")?;
    ensure!(status.success(), "{name} can't be built ({status})");
    let ours = std::env::current_exe()?;
    // Our own folder is the release folder, unless we were built in debug.
    let target = ours
        .parent()
        .and_then(Path::parent)
        .context("this program lies in no target folder")?;
    let path = target.join(folder).join(name);
    ensure!(
        path.is_file(),
        "{} is missing after its build",
        path.display()
    );
    Ok(path)
}
