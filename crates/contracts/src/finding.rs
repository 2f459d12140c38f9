//! What validators report: findings, checks, what was skipped (09 §1.2).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How bad a finding is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// The check fails.
    Error,
    /// It is worth a look; it fails the check only in strict mode.
    Warning,
}

/// One thing that a validator found. Its texts never hold a secret's value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Stable, `SCREAMING_SNAKE`.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// File plus object path, such as `values.yaml.ingress.tls` or `values.yaml:12`.
    pub path: String,
    /// One sentence: what is wrong.
    pub message: String,
    /// What to write or do instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The file, as the user named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line in it, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Column in that line, in characters from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// RFC 6901 pointer into the document; empty for its root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
}

impl Finding {
    /// An error without a place in a document.
    pub fn error(
        code: impl Into<String>,
        path: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Finding {
            code: code.into(),
            severity: Severity::Error,
            path: path.into(),
            message: message.into(),
            help: None,
            file: None,
            line: None,
            column: None,
            pointer: None,
        }
    }

    /// The same as a warning.
    #[must_use]
    pub fn into_warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// With what to do about it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CheckStatus {
    /// Nothing is wrong.
    Pass,
    /// It has findings.
    Fail,
    /// There is nothing here that it could look at.
    NotApplicable,
}

/// One check of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// Stable id.
    pub id: String,
    /// How it ended.
    pub status: CheckStatus,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
    /// What was looked at, or why it doesn't apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A check that could not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Skipped {
    /// Stable id of the check.
    pub id: String,
    /// Why, such as `tool-missing:helm`.
    pub reason: String,
}

/// What one run of a validator prints with `--format json` (09 §1.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FindingReport {
    /// 1.
    pub schema_version: u32,
    /// The command, such as `config:validate`.
    pub command: String,
    /// Whether it passed; warnings count only in strict mode.
    pub ok: bool,
    /// All findings, in the order of the files.
    pub findings: Vec<Finding>,
    /// All checks that ran.
    pub checks: Vec<Check>,
    /// All checks that could not.
    pub skipped: Vec<Skipped>,
    /// Always true: no text holds a secret's value.
    pub redacted: bool,
}
