//! Why the runtime can't run, by what the caller can do about it.

use std::path::PathBuf;

/// Failure of the process half: home, config, start, gate. Each message is one sentence for people: what,
/// where, what to do next. None holds a key, a password or a line of the composed config.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// OpenCode is not installed. Provision it.
    #[error(
        "OpenCode was not found ({looked_at}); install version {version} (npm package opencode-ai) or set its path."
    )]
    OpenCodeMissing {
        /// Where it was looked for.
        looked_at: String,
        /// The tested version.
        version: &'static str,
    },
    /// Another program of ours holds the home. Close it, or use another data folder.
    #[error("The runtime home {} is in use by process {pid}; close that program or choose another data folder.", path.display())]
    HomeLocked {
        /// The home.
        path: PathBuf,
        /// The holder, `unknown` while it is starting.
        pid: String,
    },
    /// A managed folder is a symlink, belongs to someone else or leads outside (05 §5.4). Clean it up.
    #[error("Managed runtime directory boundary is unsafe. ({}: {reason}; remove it and start again.)", path.display())]
    UnsafeHome {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of ours can't be read or written. Mend the disk or the rights.
    #[error("{} can't be {action} ({source}); check free space and access rights.", path.display())]
    Io {
        /// `read`, `written`, …
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The settings can't become a config. Mend the settings; trying again won't help.
    #[error("Invalid app config: {0}")]
    Config(String),
    /// The organisation's policy forbids this configuration.
    #[error(transparent)]
    Policy(#[from] open_cowork_policy::managed::PolicyError),
    /// OpenCode did not start. `tail` is the end of its output.
    #[error("OpenCode did not start: {message}{}", tail_note(tail))]
    Start {
        /// What happened.
        message: String,
        /// End of its output, secrets removed.
        tail: String,
    },
    /// OpenCode started, but is not what it should be. Provision the tested version.
    #[error("OpenCode can't be used: {0}")]
    Incompatible(String),
    /// It failed too often; nothing is started until someone asks again.
    #[error(
        "OpenCode failed {failures} times in {minutes} minutes and is not started again by itself; last: {last}"
    )]
    BreakerOpen {
        /// Failures in the window.
        failures: usize,
        /// Length of the window.
        minutes: u64,
        /// The last failure.
        last: String,
    },
    /// The folder can't be inspected, so it can't be trusted.
    #[error("The folder {} can't be checked for code that opening it would run: {reason}.", path.display())]
    Uninspectable {
        /// The folder.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// The folder's content is not the one that the user saw.
    #[error("The files of {} changed while you were deciding; look at them again.", path.display())]
    TrustChanged {
        /// The folder.
        path: PathBuf,
    },
    /// OpenCode answered wrongly or not at all.
    #[error(transparent)]
    OpenCode(#[from] open_cowork_opencode::Error),
}

impl HostError {
    /// True when starting again may help; settings, policy, version and home don't mend themselves
    /// (05 §5.6).
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Start { .. } | Self::OpenCode(_))
    }

    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}

fn tail_note(tail: &str) -> String {
    let last: Vec<&str> = tail
        .lines()
        .rev()
        .filter(|line| !line.trim().is_empty())
        .take(3)
        .collect();
    match last.is_empty() {
        true => String::new(),
        false => format!(
            " (its last words: {})",
            last.into_iter().rev().collect::<Vec<_>>().join(" | ")
        ),
    }
}
