//! What can go wrong while a test's surroundings are prepared.

use std::path::PathBuf;
use std::time::Duration;

/// Failures of the test surroundings; each message is one sentence with the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TestkitError {
    /// A program that the test needs is not installed.
    #[error("{program} was not found in PATH; install it with `{install}`")]
    ProgramMissing {
        /// The program's file name.
        program: &'static str,
        /// The command that installs it.
        install: &'static str,
    },
    /// A child process ended, or said something else than expected, before it was ready.
    #[error("{program} was not ready: {reason}; its last output was: {tail}")]
    NotReady {
        /// The program's name.
        program: &'static str,
        /// What was missing.
        reason: String,
        /// The last lines that it printed.
        tail: String,
    },
    /// A condition did not come true in time.
    #[error("{what} did not happen within {} ms", limit.as_millis())]
    TimedOut {
        /// The awaited condition.
        what: String,
        /// How long was waited.
        limit: Duration,
    },
    /// A scenario, script or step that cannot be played.
    #[error("the scenario is not usable: {0}; see the field list in the `model` module")]
    Scenario(String),
    /// OpenCode cannot be provisioned on this machine.
    #[error("OpenCode {version} could not be provisioned: {reason}")]
    Provision {
        /// The pinned version.
        version: &'static str,
        /// What failed and what to do about it.
        reason: String,
    },
    /// A file or folder could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A command of the test surroundings failed.
    #[error("`{command}` failed: {reason}")]
    Command {
        /// The command line.
        command: String,
        /// Its last output, or why it did not start.
        reason: String,
    },
    /// The browser or its driver refused a command.
    #[error("the browser refused: {0}")]
    Browser(String),
    /// A loopback socket or request failed.
    #[error("the loopback connection failed: {0}")]
    Network(String),
}

impl TestkitError {
    /// Maps an I/O error to the path it concerns.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
