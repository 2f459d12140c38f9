//! Runs the real program, as a user would.

#![allow(clippy::unwrap_used, clippy::panic)] // a test that can't go on fails
#![allow(dead_code)] // each test file uses its part

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One run of the program.
#[derive(Debug)]
pub(crate) struct Run {
    /// Exit code; none when a signal ended it.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Run {
    /// Standard output as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The codes of the findings of a JSON report, in order.
    pub(crate) fn codes(&self) -> Vec<String> {
        let report = self.json();
        let findings = report["findings"].as_array().unwrap();
        let codes = findings.iter().map(|finding| finding["code"].as_str());
        codes.map(|code| code.unwrap().to_owned()).collect()
    }
}

/// The program with an empty environment and a home without configuration, to add to.
pub(crate) fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_open-cowork"));
    command
        .env_clear()
        .env("HOME", folder.join("no-home"))
        .current_dir(folder)
        .stdin(Stdio::null());
    command
}

/// Runs it in a folder.
pub(crate) fn run(folder: &Path, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Run {
    finish(program(folder).args(arguments))
}

/// Runs it with something on standard input.
pub(crate) fn run_with_input(folder: &Path, arguments: &[&str], input: &[u8]) -> Run {
    let mut child = program(folder)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The program may stop reading at a line that it refuses.
    let _ = child.stdin.take().unwrap().write_all(input);
    captured(child.wait_with_output().unwrap())
}

/// Runs what is prepared.
pub(crate) fn finish(command: &mut Command) -> Run {
    captured(command.output().unwrap())
}

fn captured(output: std::process::Output) -> Run {
    Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// An empty folder that goes away.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// A folder with these files.
pub(crate) fn folder_with(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = folder();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}
