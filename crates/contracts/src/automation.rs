//! The automation envelope and its terminal status line (01 §8.3).

use crate::JsonObject;
use crate::fence::{FenceScope, FenceToken, SyncError, SyncIds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Version of the automation event stream.
pub const AUTOMATION_VERSION: u32 = 1;

/// Which program wrote an automation event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AutomationSource {
    /// The desktop.
    Desktop,
    /// The web workbench.
    CloudWeb,
    /// A worker.
    CloudWorker,
    /// A channel gateway of the cloud.
    CloudGateway,
    /// A standalone gateway.
    StandaloneGateway,
    /// A desktop that is controlled from elsewhere.
    PairedDesktop,
    /// A workflow.
    Workflow,
}

/// One event as automations read it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AutomationEvent {
    /// 1.
    pub version: u32,
    /// An exact identifier.
    pub event_id: String,
    /// An exact identifier.
    #[serde(rename = "type")]
    pub kind: String,
    /// Who wrote it.
    pub source: AutomationSource,
    /// What it is about.
    pub scope: FenceScope,
    /// Which one.
    #[serde(flatten)]
    pub ids: SyncIds,
    /// Its place in the stream.
    pub sequence: u64,
    /// Version of the projection that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projection_version: Option<u64>,
    /// A fence of the same identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<FenceToken>,
    /// What failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<SyncError>,
    /// The open payload.
    pub payload: JsonObject,
    /// ISO-8601.
    pub created_at: String,
}

/// The marker of a terminal status line.
pub const STATUS_LINE_KIND: &str = "open-cowork.automation.event";

/// One line on a terminal that a program can read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusLine {
    /// [`STATUS_LINE_KIND`].
    pub kind: String,
    /// 1.
    pub version: u32,
    /// The event.
    pub event: AutomationEvent,
    /// ISO-8601.
    pub emitted_at: String,
    /// Always true: secrets were removed before.
    pub redacted: bool,
}

/// Writes an event as one line of JSON. `event` must have passed the sanitizer: the line says so.
///
/// # Errors
/// Only when a number in the payload isn't finite, which parsed JSON never holds.
pub fn format_status_line(event: &AutomationEvent, emitted_at: &str) -> serde_json::Result<String> {
    serde_json::to_string(&StatusLine {
        kind: STATUS_LINE_KIND.to_owned(),
        version: AUTOMATION_VERSION,
        event: event.clone(),
        emitted_at: emitted_at.to_owned(),
        redacted: true,
    })
}

/// Reads such a line; `None` for anything else on a terminal.
pub fn parse_status_line(line: &str) -> Option<StatusLine> {
    let line: StatusLine = serde_json::from_str(line.trim()).ok()?;
    let ours = line.kind == STATUS_LINE_KIND && line.version == AUTOMATION_VERSION && line.redacted;
    ours.then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> AutomationEvent {
        serde_json::from_value(serde_json::json!({
            "version": 1, "eventId": "e1", "type": "run.finished", "source": "workflow",
            "scope": "workflow-run", "tenantId": "t", "workflowId": "w", "runId": "r",
            "sequence": 3, "payload": {"text": "two\nlines"}, "createdAt": "2026-01-01T00:00:00.000Z"
        }))
        .unwrap()
    }

    #[test]
    fn a_status_line_is_one_line_and_reads_back() {
        let line = format_status_line(&event(), "2026-01-01T00:00:01.000Z").unwrap();
        assert!(!line.contains('\n'));
        assert_eq!(parse_status_line(&line).unwrap().event, event());
    }

    #[test]
    fn other_lines_are_not_ours() {
        let line = format_status_line(&event(), "2026-01-01T00:00:01.000Z").unwrap();
        assert_eq!(parse_status_line("compiling…"), None);
        assert_eq!(
            parse_status_line(&line.replace("\"redacted\":true", "\"redacted\":false")),
            None
        );
        assert_eq!(
            parse_status_line(&line.replace(STATUS_LINE_KIND, "other")),
            None
        );
        assert_eq!(
            parse_status_line(&line.replacen("\"version\":1", "\"version\":2", 1)),
            None
        );
        assert_eq!(
            parse_status_line(
                r#"{"kind":"open-cowork.automation.event","version":1,"redacted":true}"#
            ),
            None
        );
    }
}
