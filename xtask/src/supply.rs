//! Licences, bans, sources and advisories of all dependencies: cargo-deny on deny.toml.

use crate::{cargo, root};
use anyhow::{Context as _, bail};
use open_cowork_testkit::process::find_program;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The version that is installed where none is found.
const CARGO_DENY: &str = "cargo-deny@0.20.2";

/// Checks licences, bans and sources; and advisories where their database is at hand.
///
/// # Errors
/// What cargo-deny complains about, or why it could not be installed.
pub(crate) fn check() -> anyhow::Result<String> {
    let program = provision()?;
    let output = deny(&program, &["check", "licenses", "bans", "sources"])?;
    if !output.status.success() {
        bail!("{}", complaints(&output));
    }
    // Fetching the database is a request to the outside that a test run should not make.
    if !has_advisories() {
        let note = "advisories not checked (no database yet; `cargo deny fetch db` gets it)";
        return Ok(note.to_owned());
    }
    let output = deny(&program, &["--offline", "check", "advisories"])?;
    if !output.status.success() {
        bail!("{}", complaints(&output));
    }
    Ok("advisories checked".to_owned())
}

/// cargo-deny from PATH, or a copy of our own beside the other fetched tools. It is built
/// without optimization: that takes one minute instead of five, and it runs in two seconds.
fn provision() -> anyhow::Result<PathBuf> {
    if let Some(found) = find_program("cargo-deny") {
        return Ok(found);
    }
    let named = std::env::var_os("OPEN_COWORK_TOOLS_DIR").filter(|folder| !folder.is_empty());
    let tools = root()
        .join(named.unwrap_or_else(|| ".tools".into()))
        .join("cargo-deny");
    let kept = tools.join("bin/cargo-deny");
    if kept.is_file() {
        return Ok(kept);
    }
    println!("     building {CARGO_DENY}, once; this takes a minute or two");
    let output = cargo()
        .args([
            "install", CARGO_DENY, "--locked", "--debug", "--quiet", "--root",
        ])
        .arg(&tools)
        .arg("--target-dir")
        .arg(tools.join("build"))
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .output()
        .context("cargo could not be started")?;
    if !output.status.success() {
        bail!("{CARGO_DENY} does not install: {}", complaints(&output));
    }
    // Only the program is worth its place on the disk.
    let _ = std::fs::remove_dir_all(tools.join("build"));
    Ok(kept)
}

fn deny(program: &Path, arguments: &[&str]) -> anyhow::Result<Output> {
    Command::new(program)
        .args(arguments)
        .current_dir(root())
        .output()
        .with_context(|| format!("{} could not be started", program.display()))
}

/// The errors of a diagnostic stream without its warnings; everything, when it holds no error.
fn complaints(output: &Output) -> String {
    let words = String::from_utf8_lossy(&output.stderr);
    let errors = words
        .split("\n\n")
        .filter(|part| part.trim_start().starts_with("error"));
    let errors = errors.collect::<Vec<_>>().join("\n");
    if errors.is_empty() {
        words.trim().to_owned()
    } else {
        errors
    }
}

fn has_advisories() -> bool {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    let holds_git = |folder: std::fs::DirEntry| folder.path().join(".git").exists();
    home.and_then(|home| std::fs::read_dir(home.join("advisory-dbs")).ok())
        .is_some_and(|mut entries| entries.any(|entry| entry.is_ok_and(holds_git)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;

    fn said(words: &str) -> String {
        complaints(&Output {
            status: std::process::ExitStatus::from_raw(256),
            stdout: Vec::new(),
            stderr: words.into(),
        })
    }

    #[test]
    fn errors_are_shown_without_the_warnings_around_them() {
        let words = "warning[unused]: w\n  | here\n\nerror[rejected]: bad licence\n  | there\n\nlicenses FAILED";
        assert_eq!(said(words), "error[rejected]: bad licence\n  | there");
        assert_eq!(said("no lock file\n"), "no lock file");
    }
}
