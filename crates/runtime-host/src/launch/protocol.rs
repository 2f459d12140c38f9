//! What host and launcher say to each other: JSON lines (05 §5.1).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Host to launcher, on stdin. The end of stdin means that the host is gone.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub(crate) enum ToLauncher {
    /// Start OpenCode.
    Boot(Boot),
    /// End it, and everything below it.
    Shutdown,
}

/// How to start OpenCode. No `Debug`: the environment holds the server's password.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Boot {
    pub(crate) command: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) cwd: PathBuf,
    /// Until the readiness line.
    pub(crate) timeout_ms: u64,
    /// Held while any descendant lives.
    pub(crate) lock: PathBuf,
}

/// Launcher to host, on stdout. `stdoutTail` is the end of OpenCode's output, stderr included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub(crate) enum FromLauncher {
    /// The launcher listens.
    SupervisorReady,
    /// OpenCode printed its address.
    Ready { url: String, pid: i32 },
    /// It did not come up; nothing of it is left.
    StartupError {
        message: String,
        stdout_tail: String,
    },
    /// It ended after `ready`; nothing of it is left.
    Exited {
        code: Option<i32>,
        signal: Option<i32>,
        stdout_tail: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_names_of_the_contract() {
        let json = |message: &FromLauncher| serde_json::to_string(message).unwrap();
        assert_eq!(
            json(&FromLauncher::SupervisorReady),
            r#"{"type":"supervisor-ready"}"#
        );
        assert_eq!(
            json(&FromLauncher::Ready {
                url: "http://127.0.0.1:1".into(),
                pid: 7
            }),
            r#"{"type":"ready","url":"http://127.0.0.1:1","pid":7}"#
        );
        assert_eq!(
            json(&FromLauncher::StartupError {
                message: "m".into(),
                stdout_tail: "t".into()
            }),
            r#"{"type":"startup-error","message":"m","stdoutTail":"t"}"#
        );
        assert_eq!(
            serde_json::to_string(&ToLauncher::Shutdown).unwrap(),
            r#"{"type":"shutdown"}"#
        );
        let boot = serde_json::json!({
            "type": "boot", "command": "/o", "args": [], "env": {}, "cwd": "/", "timeoutMs": 1, "lock": "/l",
        });
        assert!(serde_json::from_value::<ToLauncher>(boot).is_ok());
    }
}
