//! The feed of the start page (03 §8.12).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

names! {
    /// What waits on a person.
    WaitingKind {
        /// An approval.
        Permission = "permission",
        /// A question.
        Question = "question",
    }
    /// State of what waits.
    WaitingStatus {
        /// It waits.
        Pending = "pending",
    }
    /// What is in progress.
    ProgressKind {
        /// A task of a board.
        Task = "task",
    }
}

/// Query of `GET /api/launchpad/feed`. Each limit is 1 to 50, 8 when absent; anything else is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LaunchpadQuery {
    /// Only this project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// Limit of each list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Limit of `inProgress`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_progress_limit: Option<u32>,
    /// Limit of `waitingOnYou`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_limit: Option<u32>,
    /// Limit of `freshArtifacts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts_limit: Option<u32>,
}

/// What every item says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LaunchpadItem {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// Title of the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_title: Option<String>,
    /// Its task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// Title of the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_title: Option<String>,
    /// Its session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// Its run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// Who works on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee_agent: Option<String>,
    /// ISO-8601: what it is ordered by.
    pub when: String,
    /// ISO-8601.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
}

/// Something in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InProgressItem {
    /// What every item says.
    #[serde(flatten)]
    pub item: LaunchpadItem,
    /// `task`.
    pub kind: ProgressKind,
    /// `open running blocked`.
    pub status: String,
    /// `high med low`.
    pub priority: String,
}

/// Something that waits on a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaitingItem {
    /// What every item says; its id is that of the ask.
    #[serde(flatten)]
    pub item: LaunchpadItem,
    /// What waits.
    pub kind: WaitingKind,
    /// `pending`.
    pub status: WaitingStatus,
}

/// A deliverable that appeared or changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FreshArtifactItem {
    /// What every item says.
    #[serde(flatten)]
    pub item: LaunchpadItem,
    /// The deliverable.
    pub artifact_id: String,
    /// `document chart deck spreadsheet draft`.
    pub kind: String,
    /// `draft in-review final`.
    pub status: String,
    /// Authoring agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author_agent_id: Option<String>,
    /// ISO-8601.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
}

/// Numbers per list, before the limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LaunchpadTotals {
    /// Of `inProgress`.
    pub in_progress: u64,
    /// Of `waitingOnYou`.
    pub waiting_on_you: u64,
    /// Of `freshArtifacts`.
    pub fresh_artifacts: u64,
}

/// Which lists were cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LaunchpadTruncated {
    /// `inProgress`.
    pub in_progress: bool,
    /// `waitingOnYou`.
    pub waiting_on_you: bool,
    /// `freshArtifacts`.
    pub fresh_artifacts: bool,
}

/// Answer of `GET /api/launchpad/feed`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LaunchpadFeed {
    /// ISO-8601.
    pub generated_at: String,
    /// Newest first.
    pub in_progress: Vec<InProgressItem>,
    /// Newest first.
    pub waiting_on_you: Vec<WaitingItem>,
    /// Newest first.
    pub fresh_artifacts: Vec<FreshArtifactItem>,
    /// Numbers before the limits.
    pub totals: LaunchpadTotals,
    /// Which lists were cut.
    pub truncated: LaunchpadTruncated,
}
