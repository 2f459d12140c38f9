//! Workflows and their runs (03 §8.6, 07 §9).

use crate::api::sessions::Command;
use crate::fence::FenceToken;
use crate::{JsonObject, RunId, SessionId, TenantId, WorkflowId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

names! {
    /// What a workflow may do now.
    WorkflowStatus {
        /// It waits for its triggers.
        Active = "active",
        /// Nothing starts it until it is resumed.
        Paused = "paused",
        /// A run is queued or under way.
        Running = "running",
        /// Upstream's word for a schedule that an outage ended; ours never ends one like that, but reads it.
        Failed = "failed",
        /// Put away.
        Archived = "archived",
    }
    /// How far a run is.
    RunStatus {
        /// It waits for a worker.
        Queued = "queued",
        /// It has a session.
        Running = "running",
        /// It ended well.
        Completed = "completed",
        /// It ended badly; `error` says why.
        Failed = "failed",
        /// It never ran or was stopped; `error` says why.
        Cancelled = "cancelled",
    }
    /// What starts a run.
    TriggerKind {
        /// A person.
        Manual = "manual",
        /// The clock.
        Schedule = "schedule",
        /// A signed call from outside.
        Webhook = "webhook",
    }
    /// How often a schedule comes round.
    ScheduleKind {
        /// Once, at `startAt`.
        OneTime = "one_time",
        /// Every day.
        Daily = "daily",
        /// Every week on `dayOfWeek`.
        Weekly = "weekly",
        /// Every month on `dayOfMonth`, or on its last day.
        Monthly = "monthly",
    }
}

impl RunStatus {
    /// True once nothing more happens to the run.
    pub const fn is_terminal(self) -> bool {
        !matches!(self, RunStatus::Queued | RunStatus::Running)
    }
}

/// When a schedule comes round, on the wall clock of a time zone (07 §9.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// How often.
    #[serde(rename = "type")]
    pub kind: ScheduleKind,
    /// IANA name such as `Europe/Berlin`.
    pub timezone: String,
    /// 0 to 23; 9 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_at_hour: Option<u8>,
    /// 0 to 59; 0 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_at_minute: Option<u8>,
    /// 0 (Sunday) to 6; 1 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day_of_week: Option<u8>,
    /// 1 to 31; 1 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day_of_month: Option<u8>,
    /// ISO-8601: the one time of a `one_time`, the first possible time of the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_at: Option<String>,
}

/// What starts a workflow. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Trigger {
    /// Its id inside the workflow.
    pub id: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: TriggerKind,
    /// False: it doesn't start anything.
    pub enabled: bool,
    /// Absent on the manual trigger that the server adds, null on other triggers without a schedule.
    #[serde(
        default,
        deserialize_with = "crate::api::lenient::nullable",
        skip_serializing_if = "Option::is_none"
    )]
    pub schedule: Option<Option<Schedule>>,
}

impl Trigger {
    /// The schedule, if this trigger follows one and is enabled.
    pub fn active_schedule(&self) -> Option<&Schedule> {
        let scheduled = self.enabled && self.kind == TriggerKind::Schedule;
        self.schedule.as_ref()?.as_ref().filter(|_| scheduled)
    }
}

/// One step of a workflow, for readers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// At most 64 characters; `step-N` by default.
    pub id: String,
    /// At most 160 characters.
    pub title: String,
    /// At most 500 characters.
    pub detail: Option<String>,
}

/// A workflow as lists show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowSummary {
    /// UUID.
    pub id: WorkflowId,
    /// At most 512 characters.
    pub title: String,
    /// What the agent is told; at most 50 000 characters.
    pub instructions: String,
    /// Agent that runs it; `build` by default.
    pub agent_name: String,
    /// Skills that it may use.
    pub skill_names: Vec<String>,
    /// Tools that it may use.
    pub tool_ids: Vec<String>,
    /// At most 8.
    pub steps: Vec<Step>,
    /// What it may do now.
    pub status: WorkflowStatus,
    /// Folder that it works in.
    pub project_directory: Option<String>,
    /// The chat that it was written in.
    pub draft_session_id: Option<SessionId>,
    /// At most 8 and the manual one.
    pub triggers: Vec<Trigger>,
    /// ISO-8601.
    pub created_at: String,
    /// ISO-8601.
    pub updated_at: String,
    /// ISO-8601: when a schedule starts it next.
    pub next_run_at: Option<String>,
    /// ISO-8601: when it last ended well.
    pub last_run_at: Option<String>,
    /// Newest run.
    pub latest_run_id: Option<RunId>,
    /// Its status.
    pub latest_run_status: Option<RunStatus>,
    /// Its session.
    pub latest_run_session_id: Option<SessionId>,
    /// What came of it.
    pub latest_run_summary: Option<String>,
    /// Where its webhook is called; null without a webhook trigger or a public address.
    pub webhook_url: Option<String>,
}

/// A workflow and its newest runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowDetail {
    /// The workflow.
    #[serde(flatten)]
    pub summary: WorkflowSummary,
    /// At most 25, newest first.
    pub runs: Vec<WorkflowRun>,
}

/// One run of a workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowRun {
    /// UUID.
    pub id: RunId,
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// The thread that it runs in.
    pub session_id: Option<SessionId>,
    /// What started it.
    pub trigger_type: TriggerKind,
    /// What the trigger brought along.
    pub trigger_payload: Option<JsonObject>,
    /// How far it is.
    pub status: RunStatus,
    /// `Run <title of the workflow>`.
    pub title: String,
    /// The last answer, at most 500 characters.
    pub summary: Option<String>,
    /// Why it failed, at most 1000 characters, without secrets.
    pub error: Option<String>,
    /// ISO-8601.
    pub created_at: String,
    /// ISO-8601.
    pub started_at: Option<String>,
    /// ISO-8601.
    pub finished_at: Option<String>,
    /// What to wait for before its thread shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projection_fence: Option<FenceToken>,
}

/// Query of `GET /api/workflows`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowsQuery {
    /// 1 to 500, 100 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// A page of workflows, touched last first, and runs of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowsPage {
    /// `updatedAt` descending, then `id` ascending.
    pub workflows: Vec<WorkflowSummary>,
    /// Newest first: at most 25 of each workflow of the page and 100 in all.
    pub runs: Vec<WorkflowRun>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
    /// At most the page's limit and one.
    pub total_estimate: u64,
}

/// Body of `POST /api/workflows`. Steps and triggers are open, since each wrong form has its own refusal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowDraft {
    /// At most 512 characters.
    pub title: String,
    /// At most 50 000 characters.
    pub instructions: String,
    /// `build` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_name: Option<String>,
    /// At most 100 names of at most 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skill_names: Option<Vec<String>>,
    /// At most 100 ids of at most 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_ids: Option<Vec<String>>,
    /// At most 8 steps: text, or `{id?, title, detail?}`. Derived from the instructions when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<Value>>,
    /// At most 4096 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_directory: Option<String>,
    /// The chat that it was written in, at most 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft_session_id: Option<String>,
    /// At most 8 triggers `{id?, type, enabled?, schedule?}`, one of them a webhook at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub triggers: Option<Value>,
}

/// A webhook's secret. It is shown once, here, and never again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookSecretReveal {
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// Its webhook trigger.
    pub trigger_id: String,
    /// base64url of 32 random bytes: the key of the signature.
    pub secret: String,
}

impl std::fmt::Debug for WebhookSecretReveal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookSecretReveal")
            .field("workflow_id", &self.workflow_id)
            .field("trigger_id", &self.trigger_id)
            .finish_non_exhaustive()
    }
}

/// Answer of `POST /api/workflows` and of `…/rotate-webhook-secret`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowWithSecret {
    /// The workflow.
    pub workflow: WorkflowDetail,
    /// The new secret; null when there is no webhook trigger.
    pub webhook_secret_reveal: Option<WebhookSecretReveal>,
}

/// Answer of every other call about one workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowAnswer {
    /// The workflow.
    pub workflow: WorkflowDetail,
}

/// Body of `POST /api/workflows/:id/run`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunWorkflow {
    /// `manual` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger_type: Option<TriggerKind>,
    /// Anything that the run should know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger_payload: Option<JsonObject>,
}

/// Answer of `POST /api/workflows/:id/run`, with status 202.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StartedRun {
    /// Tenant.
    pub tenant_id: TenantId,
    /// The workflow.
    pub workflow: WorkflowSummary,
    /// The run.
    pub run: WorkflowRun,
    /// The thread that it runs in.
    pub session_id: SessionId,
    /// The prompt.
    pub command: Command,
    /// How many commands were applied before the answer: 0 or 1.
    pub processed: u64,
}

/// Answer of a signed webhook call, with status 202.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookAccepted {
    /// True.
    pub ok: bool,
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// The run that it started.
    pub run_id: RunId,
    /// The thread that it runs in.
    pub session_id: SessionId,
    /// How many commands were applied before the answer: 0 or 1.
    pub processed: u64,
}

/// Answer of `POST /api/workflows/scheduler/tick`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SchedulerTick {
    /// The run that was due, if one was.
    pub claimed: Option<TickClaim>,
    /// How many commands were applied before the answer: 0 or 1.
    pub processed: u64,
}

/// A run that a tick started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TickClaim {
    /// Tenant.
    pub tenant_id: TenantId,
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// The run.
    pub run_id: RunId,
    /// The thread that it runs in.
    pub session_id: SessionId,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_trigger_tells_no_schedule_from_a_null_one() {
        let added = json!({"id": "m", "type": "manual", "enabled": true});
        let submitted = json!({"id": "w", "type": "webhook", "enabled": true, "schedule": null});
        for wire in [added, submitted] {
            let trigger: Trigger = serde_json::from_value(wire.clone()).unwrap();
            assert_eq!(serde_json::to_value(&trigger).unwrap(), wire);
        }
    }

    #[test]
    fn a_revealed_secret_is_not_in_debug_output() {
        let reveal = WebhookSecretReveal {
            workflow_id: "w".into(),
            trigger_id: "t".into(),
            secret: "hush".into(),
        };
        assert!(!format!("{reveal:?}").contains("hush"));
    }

    #[test]
    fn only_enabled_schedule_triggers_have_an_active_schedule() {
        let mut trigger: Trigger = serde_json::from_value(json!({
            "id": "s", "type": "schedule", "enabled": true,
            "schedule": {"type": "daily", "timezone": "UTC"}
        }))
        .unwrap();
        assert!(trigger.active_schedule().is_some());
        trigger.enabled = false;
        assert!(trigger.active_schedule().is_none());
    }
}
