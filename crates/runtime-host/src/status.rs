//! What the health page and the diagnostics know about the runtime (05 §11.1).
//!
//! Pure: the caller brings the time. Texts are cut to 2000 characters; messages of
//! [`HostError`](crate::error::HostError) hold no secret and may be given as they are.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};

/// Entries of the timeline that are kept.
const TIMELINE: usize = 80;
/// Longest text, in characters.
const TEXT_CHARS: usize = 2000;

/// A step of the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Folders and environment.
    #[default]
    Environment,
    /// Composing the config.
    ConfigBuild,
    /// Keeping secrets out of what is shown.
    CredentialRedaction,
    /// Finding OpenCode's program.
    SidecarResolution,
    /// Starting it.
    ProcessLaunch,
    /// Its database.
    StorageMigration,
    /// Health, version, password.
    HealthAuth,
    /// First frame of the event stream.
    EventStream,
    /// MCP servers and skills.
    McpSkillBridge,
    /// Workflows.
    WorkflowService,
    /// Connector to a cloud.
    CloudGatewayConnector,
    /// Usable.
    Ready,
    /// Not usable.
    Error,
}

/// What happened to a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// It began.
    Started,
    /// It is done.
    Passed,
    /// It failed.
    Failed,
    /// It was not needed.
    Skipped,
}

/// One entry of the timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// Which phase.
    pub phase: Phase,
    /// What happened.
    pub status: Step,
    /// One sentence.
    pub message: String,
    /// `runtime.<phase>` with underscores.
    pub code: String,
    /// ISO-8601.
    pub timestamp: String,
}

/// How bad a failed check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Works, with a remark.
    Warning,
    /// Doesn't work.
    Error,
}

/// Result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// Not known yet.
    Pending,
    /// Good.
    Pass,
    /// Bad.
    Fail,
    /// Not done.
    Skipped,
}

/// One check; its code is unique.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// Stable name, e.g. `runtime.ready`.
    pub code: String,
    /// How bad a failure is.
    pub severity: Severity,
    /// Result.
    pub status: CheckStatus,
    /// One sentence.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remediation: Option<String>,
    /// What was seen, redacted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Value>,
    /// ISO-8601.
    pub updated_at: String,
}

impl Check {
    /// A check whose severity follows from its status: `error` when it failed, else `info`.
    #[must_use]
    pub fn new(code: &str, status: CheckStatus, message: &str, now: &str) -> Self {
        let severity = if status == CheckStatus::Fail {
            Severity::Error
        } else {
            Severity::Info
        };
        Self {
            code: code.to_owned(),
            severity,
            status,
            message: cut(message),
            remediation: None,
            evidence: None,
            updated_at: now.to_owned(),
        }
    }
}

/// State of the runtime. Serialises as the contract's `RuntimeStatus`.
#[derive(Clone, Debug, PartialEq)]
pub struct RuntimeStatus {
    ready: bool,
    error: Option<String>,
    phase: Phase,
    updated_at: String,
    timeline: VecDeque<TimelineEntry>,
    checks: BTreeMap<String, Check>,
    components: Value,
}

impl RuntimeStatus {
    /// A runtime that is about to start.
    #[must_use]
    pub fn new(now: &str) -> Self {
        let mut status = Self {
            ready: false,
            error: None,
            phase: Phase::Environment,
            updated_at: now.to_owned(),
            timeline: VecDeque::new(),
            checks: BTreeMap::new(),
            components: Value::Null,
        };
        status.step(
            Phase::Environment,
            Step::Started,
            "The runtime is being prepared.",
            now,
        );
        status
    }

    /// Usable.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// Why it is not usable.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// Where it is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Checks by code.
    pub fn checks(&self) -> impl Iterator<Item = &Check> {
        self.checks.values()
    }

    /// Notes a step; starting or failing a phase makes it the current one.
    pub fn step(&mut self, phase: Phase, status: Step, message: &str, now: &str) {
        if matches!(status, Step::Started | Step::Failed) {
            self.phase = phase;
        }
        if self.timeline.len() == TIMELINE {
            self.timeline.pop_front();
        }
        self.timeline.push_back(TimelineEntry {
            phase,
            status,
            message: cut(message),
            code: code(phase),
            timestamp: now.to_owned(),
        });
        self.updated_at = now.to_owned();
    }

    /// Adds a check, or replaces the one with its code.
    pub fn check(&mut self, check: Check) {
        self.updated_at.clone_from(&check.updated_at);
        self.checks.insert(check.code.clone(), check);
    }

    /// Usable from now on.
    pub fn set_ready(&mut self, now: &str) {
        self.ready = true;
        self.error = None;
        self.phase = Phase::Ready;
        self.step(Phase::Ready, Step::Passed, "The runtime is ready.", now);
        self.check(Check::new(
            "runtime.ready",
            CheckStatus::Pass,
            "The runtime is ready.",
            now,
        ));
    }

    /// Not usable any more, for this reason; `None` keeps the reason that is known.
    pub fn set_not_ready(&mut self, reason: Option<&str>, now: &str) {
        self.ready = false;
        self.updated_at = now.to_owned();
        if let Some(reason) = reason {
            self.error = Some(cut(reason));
            self.step(Phase::Error, Step::Failed, reason, now);
        }
    }

    /// The start failed.
    pub fn set_error(&mut self, reason: &str, now: &str) {
        self.set_not_ready(Some(reason), now);
        self.check(Check::new(
            "runtime.startup",
            CheckStatus::Fail,
            reason,
            now,
        ));
    }

    /// Clears the text, nothing else.
    pub fn clear_error(&mut self, now: &str) {
        self.error = None;
        self.updated_at = now.to_owned();
    }
}

impl Serialize for RuntimeStatus {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire<'a> {
            ready: bool,
            error: &'a Option<String>,
            phase: Phase,
            updated_at: &'a str,
            timeline: &'a VecDeque<TimelineEntry>,
            checks: Vec<&'a Check>,
            components: &'a Value,
        }
        Wire {
            ready: self.ready,
            error: &self.error,
            phase: self.phase,
            updated_at: &self.updated_at,
            timeline: &self.timeline,
            checks: self.checks.values().collect(),
            components: &self.components,
        }
        .serialize(serializer)
    }
}

fn code(phase: Phase) -> String {
    let name = match serde_json::to_value(phase) {
        Ok(Value::String(name)) => name.replace('-', "_"),
        _ => String::new(),
    };
    format!("runtime.{name}")
}

fn cut(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .take(TEXT_CHARS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_that_works_is_told_step_by_step() {
        let mut status = RuntimeStatus::new("t0");
        status.step(
            Phase::ProcessLaunch,
            Step::Started,
            "Starting OpenCode.",
            "t1",
        );
        status.set_ready("t2");
        insta::assert_json_snapshot!(status);
    }

    #[test]
    fn a_failure_keeps_its_reason_until_it_is_cleared() {
        let mut status = RuntimeStatus::new("t0");
        status.set_error("OpenCode was not found", "t1");
        assert!(!status.is_ready() && status.phase() == Phase::Error);
        status.set_not_ready(None, "t2");
        assert_eq!(status.error(), Some("OpenCode was not found"));
        status.clear_error("t3");
        assert_eq!((status.error(), status.phase()), (None, Phase::Error));
        let check = status.checks().next().unwrap();
        assert_eq!(
            (check.code.as_str(), check.severity),
            ("runtime.startup", Severity::Error)
        );
    }

    #[test]
    fn the_timeline_and_its_texts_are_bounded() {
        let mut status = RuntimeStatus::new("t0");
        for _ in 0..100 {
            status.set_not_ready(Some(&"x".repeat(5000)), "t");
        }
        assert_eq!(status.timeline.len(), 80);
        assert_eq!(status.error().unwrap().chars().count(), 2000);
    }
}
