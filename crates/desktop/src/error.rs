//! What can stop the desktop, by what the user can do. Each message is one sentence.

use open_cowork_contracts::finding::Finding;
use std::path::{Path, PathBuf};

/// Failure of the desktop engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DesktopError {
    /// Neither `HOME` nor `XDG_DATA_HOME` is set.
    #[error("no data folder is known, because HOME is not set; pass --data-dir DIR")]
    NoDataFolder,
    /// Another process works on the folder.
    #[error("the data folder {} is in use by {holder}; close that program or pass another --data-dir", root.display())]
    InUse {
        /// The folder.
        root: PathBuf,
        /// `process <pid>`.
        holder: String,
    },
    /// The folder can't be used.
    #[error("the data folder {} can't be used ({reason}); check its access rights and free space, or pass another --data-dir", root.display())]
    DataFolder {
        /// The folder or a file in it.
        root: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// Others may write into the folder, and so into the settings.
    #[error("other users can write into the data folder {}; run chmod go-w on it, or pass another --data-dir", root.display())]
    OpenToOthers {
        /// The folder.
        root: PathBuf,
    },
    /// The folder of new chats can't be worked in.
    #[error("{0}")]
    Workspace(String),
    /// The settings file is damaged. It is kept.
    #[error("the settings file {} can't be read ({reason}); correct or remove it", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// A key file that others can read. It is kept and not used.
    #[error("the key file {} can be read by other users; run chmod 600 on it, or enter the key again", path.display())]
    KeyExposed {
        /// The file.
        path: PathBuf,
    },
    /// A setting is not acceptable.
    #[error("{0}")]
    InvalidSetting(String),
    /// The configuration is not inside the contract. Nothing was started.
    #[error("{}", listed(.0))]
    Config(Vec<Finding>),
    /// The address is taken.
    #[error(
        "port {port} on 127.0.0.1 can't be used ({reason}); pass another --port, or 0 for a free one"
    )]
    Port {
        /// The port.
        port: u16,
        /// The system's reason.
        reason: String,
    },
    /// The store of threads.
    #[error(transparent)]
    Store(#[from] open_cowork_providers::store::StoreError),
    /// The log of threads.
    #[error(transparent)]
    Log(#[from] open_cowork_thread_log::LogError),
    /// The runtime.
    #[error(transparent)]
    Runtime(#[from] open_cowork_runtime_host::error::HostError),
    /// No provider is set up.
    #[error(
        "no model provider is set up; open the settings page, or run `open-cowork-desktop-example config set`"
    )]
    NotConfigured,
}

impl DesktopError {
    pub(crate) fn data(root: &Path, error: &std::io::Error) -> Self {
        Self::unusable(root, error.to_string())
    }

    pub(crate) fn unusable(root: &Path, reason: impl Into<String>) -> Self {
        DesktopError::DataFolder {
            root: root.to_owned(),
            reason: reason.into(),
        }
    }
}

/// A line for each finding: place, sentence, what to do.
fn listed(findings: &[Finding]) -> String {
    let mut lines = String::from("the configuration can't be used, and nothing was started:");
    for finding in findings {
        lines.push_str("\n  ");
        match (&finding.file, finding.line, finding.column) {
            (Some(file), Some(line), Some(column)) => {
                lines.push_str(&format!("{file}:{line}:{column}: "));
            }
            (Some(file), ..) => lines.push_str(&format!("{file}: ")),
            _ => {}
        }
        lines.push_str(&finding.message);
        if let Some(help) = &finding.help {
            lines.push(' ');
            lines.push_str(help);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finding_has_its_line_with_place_and_help() {
        let mut placed = Finding::error(
            "CONFIG_TYPE",
            "a.json.branding.name",
            "`branding.name` is a number.",
        )
        .with_help("Write a text.");
        placed.file = Some("a.json".to_owned());
        placed.line = Some(3);
        placed.column = Some(13);
        let missing = Finding::error("CONFIG_SOURCE_MISSING", "b.json", "b.json isn't there.");
        assert_eq!(
            DesktopError::Config(vec![placed, missing]).to_string(),
            "the configuration can't be used, and nothing was started:\n  \
             a.json:3:13: `branding.name` is a number. Write a text.\n  b.json isn't there."
        );
    }
}
