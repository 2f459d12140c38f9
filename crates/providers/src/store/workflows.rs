//! Workflows, their runs and schedules, webhook secrets (04 §2.5, 07 §9).
//!
//! A run goes `queued` → claimed → attached to its session (`running`) → ended. A claim is a lease on the way
//! from the trigger to the session only; from there on the session's own lease takes over. While a run is open
//! its workflow's status is `running`, and nothing starts a second one.
//!
//! Every due time ends in a recorded outcome: a run, a run that failed at its start, or, when it passed while
//! another run was under way, one run `cancelled` that says so.

pub mod notice;
pub mod schedule;

use super::keyset::page_size;
use super::{Scope, SessionKey, StoreError};
use crate::time::Timestamp;
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use open_cowork_contracts::api::workflows::{TriggerKind, WorkflowRun, WorkflowSummary};
use open_cowork_contracts::{JsonObject, RunId, SessionId, TenantId, WorkflowId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::time::Duration;

/// How long a claim holds: 30 s.
pub const CLAIM_TTL: Duration = Duration::from_secs(30);
/// After so many claims a run fails.
pub const MAX_CLAIMS: u32 = 3;
/// Most rows of a page of workflows.
pub const MAX_WORKFLOWS: u32 = 500;
/// Most runs that are listed.
pub const MAX_RUNS: u32 = 100;
/// Runs that a workflow's detail shows.
pub const RUNS_OF_ONE: u32 = 25;
/// How long a signed webhook call can't be repeated: its time may be 5 minutes ahead or behind, so twice that.
pub const REPLAY_WINDOW: Duration = Duration::from_secs(10 * 60);

/// A run by tenant and id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunKey {
    /// Tenant.
    pub tenant_id: TenantId,
    /// Run.
    pub run_id: RunId,
}

impl RunKey {
    /// The key of that tenant and run.
    pub fn new(tenant: impl Into<TenantId>, run: impl Into<RunId>) -> Self {
        RunKey {
            tenant_id: tenant.into(),
            run_id: run.into(),
        }
    }
}

/// A workflow as stored. `webhook_url` is never set by a store: it depends on the public address.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkflowRow {
    /// Owner.
    pub scope: Scope,
    /// The record of the wire.
    pub workflow: WorkflowSummary,
}

/// A run as stored: the record of the wire, and what only hosts need.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRow {
    /// Owner.
    pub scope: Scope,
    /// The record of the wire. `session_id` is the planned one until the run is attached.
    pub run: WorkflowRun,
    /// Who is starting it.
    pub claimed_by: Option<String>,
    /// ISO-8601: until when.
    pub claim_expires_at: Option<String>,
    /// How often it was claimed.
    pub attempt_count: u32,
    /// What makes it unique besides its id, such as `schedule:<workflow>:<time>`.
    pub idempotency_key: Option<String>,
    /// Why the last attempt ended, for programs.
    pub last_error_code: Option<String>,
}

impl RunRow {
    /// Its key.
    pub fn key(&self) -> RunKey {
        RunKey {
            tenant_id: self.scope.tenant_id.clone(),
            run_id: self.run.id.clone(),
        }
    }

    /// The session that it runs in, planned or attached.
    pub fn session(&self) -> SessionKey {
        SessionKey {
            tenant_id: self.scope.tenant_id.clone(),
            session_id: planned_session(&self.scope.tenant_id, &self.run.workflow_id, &self.run.id),
        }
    }
}

/// The session of a run: `workflow_session_` and 32 hex digits (04 §2.5).
pub fn planned_session(tenant: &TenantId, workflow: &WorkflowId, run: &RunId) -> SessionId {
    let mut digest = Sha256::new();
    digest.update(tenant.as_str());
    digest.update([0]);
    digest.update(workflow.as_str());
    digest.update([0]);
    digest.update(run.as_str());
    let hex: String = digest.finalize()[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    SessionId::new(format!("workflow_session_{hex}"))
}

/// Proof of a claim. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct ClaimToken(String);

impl ClaimToken {
    /// Wraps a token.
    pub fn new(token: impl Into<String>) -> Self {
        ClaimToken(token.into())
    }

    /// The token, for comparison inside a store.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ClaimToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClaimToken([hidden])")
    }
}

/// A run that the caller starts now.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimedRun {
    /// The run.
    pub run: RunRow,
    /// Its workflow.
    pub workflow: WorkflowRow,
    /// Proof, until `run.claim_expires_at`.
    pub claim: ClaimToken,
}

/// How many runs a tenant may have; `None` is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunLimits {
    /// Queued and running at once: `quota.concurrent_workflow_runs_exceeded`.
    pub concurrent: Option<u64>,
    /// Started in the last hour: `quota.workflow_runs_per_hour_exceeded`.
    pub per_hour: Option<u64>,
}

/// A run to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct NewRun {
    /// Owner of the workflow.
    pub scope: Scope,
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// UUID; the same id again returns the stored run.
    pub run_id: RunId,
    /// What starts it.
    pub trigger: TriggerKind,
    /// What the trigger brought along.
    pub payload: Option<JsonObject>,
    /// Who starts it: the run comes back claimed.
    pub claimed_by: Option<String>,
    /// Checked in the same transaction, for a new run only.
    pub limits: RunLimits,
}

/// Result of making a run.
#[derive(Clone, Debug, PartialEq)]
pub struct CreatedRun {
    /// The run, new or as it was.
    pub run: RunRow,
    /// Its workflow, now `running`.
    pub workflow: WorkflowRow,
    /// The claim, for a new run with `claimed_by`.
    pub claim: Option<ClaimToken>,
    /// False when it existed.
    pub created: bool,
}

impl CreatedRun {
    /// The run to start, if it was claimed.
    pub fn into_claimed(self) -> Option<ClaimedRun> {
        Some(ClaimedRun {
            run: self.run,
            workflow: self.workflow,
            claim: self.claim?,
        })
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum RunOutcome {
    /// Well; the last answer, cut to 500 characters by the store.
    Completed {
        /// Last assistant text.
        summary: Option<String>,
    },
    /// Badly; the caller removed secrets, the store cuts to 1000 characters.
    Failed {
        /// For people.
        error: String,
        /// For programs.
        code: Option<String>,
    },
    /// Stopped by somebody.
    Cancelled {
        /// For people.
        reason: String,
    },
}

/// What a person does to a workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkflowChange {
    /// Nothing starts it any more; an open run goes on.
    Pause,
    /// It is active again, also from the archive; its next run is calculated from now.
    Resume,
    /// Put away; its webhook secret is revoked.
    Archive,
}

/// What came of looking for expired claims.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reaped {
    /// Runs that wait for another claim.
    pub released: u32,
    /// Runs that failed, after [`MAX_CLAIMS`] claims. Their workflows go on (04 §16 #10).
    pub failed: Vec<RunRow>,
}

/// A webhook's secret as stored: always an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSecret {
    /// The webhook trigger.
    pub trigger_id: String,
    /// Ciphertext, see [`secret_context`].
    pub ciphertext: String,
}

/// What a webhook's secret is bound to in its envelope (04 §2.5).
pub fn secret_context(tenant: &TenantId, workflow: &WorkflowId, trigger: &str) -> String {
    format!("workflow-webhook:{tenant}:{workflow}:{trigger}")
}

/// Which workflows of a user, and from where on.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkflowQuery {
    /// Owner.
    pub scope: Scope,
    /// Rows, at most [`MAX_WORKFLOWS`]; 0 means 100.
    pub limit: u32,
    /// [`WorkflowPage::next`] of the page before.
    pub cursor: Option<String>,
}

/// One page of workflows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkflowPage {
    /// `updatedAt` descending, then id ascending.
    pub rows: Vec<WorkflowRow>,
    /// Cursor of the next page; absent on the last one.
    pub next: Option<String>,
    /// At most the limit and one.
    pub total_estimate: u32,
}

/// base64url JSON `{v, updatedAt, workflowId, scopeHash}` (07 §9.7).
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireCursor {
    v: u32,
    updated_at: String,
    workflow_id: WorkflowId,
    scope_hash: String,
}

impl WorkflowQuery {
    /// The limit to use.
    pub fn page_size(&self) -> usize {
        page_size(self.limit, 100, MAX_WORKFLOWS)
    }

    /// Where the page starts: after that row. [`StoreError::InvalidCursor`] when it isn't ours.
    pub fn start(&self) -> Result<Option<(String, WorkflowId)>, StoreError> {
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        let bytes = URL_SAFE_NO_PAD
            .decode(cursor)
            .map_err(|_| StoreError::InvalidCursor)?;
        let wire: WireCursor =
            serde_json::from_slice(&bytes).map_err(|_| StoreError::InvalidCursor)?;
        if wire.v != 1 || wire.scope_hash != self.scope_hash() {
            return Err(StoreError::InvalidCursor);
        }
        Ok(Some((wire.updated_at, wire.workflow_id)))
    }

    /// Makes a page of rows that came in order, one more than [`WorkflowQuery::page_size`] where there are more.
    pub fn page(&self, mut rows: Vec<WorkflowRow>) -> WorkflowPage {
        let total_estimate = rows.len().min(self.page_size() + 1) as u32;
        let more = rows.len() > self.page_size();
        rows.truncate(self.page_size());
        let next = rows.last().filter(|_| more).map(|row| {
            let wire = WireCursor {
                v: 1,
                updated_at: row.workflow.updated_at.clone(),
                workflow_id: row.workflow.id.clone(),
                scope_hash: self.scope_hash(),
            };
            URL_SAFE_NO_PAD.encode(serde_json::to_vec(&wire).unwrap_or_default())
        });
        WorkflowPage {
            rows,
            next,
            total_estimate,
        }
    }

    fn scope_hash(&self) -> String {
        let filter = serde_json::json!({
            "tenantId": self.scope.tenant_id, "userId": self.scope.user_id,
        });
        URL_SAFE_NO_PAD.encode(Sha256::digest(filter.to_string()))
    }
}

/// Workflows and runs. Rows of another user behave as missing wherever a [`Scope`] is given.
#[async_trait]
pub trait WorkflowStore: Send + Sync + 'static {
    /// Makes a workflow, and its webhook secret with it. Idempotent by id; an id that is taken by anything else
    /// is a [`StoreError::Conflict`].
    async fn create_workflow(
        &self,
        scope: &Scope,
        workflow: WorkflowSummary,
        secret: Option<StoredSecret>,
    ) -> Result<WorkflowRow, StoreError>;

    /// The workflow, or `None`.
    async fn workflow(
        &self,
        scope: &Scope,
        id: &WorkflowId,
    ) -> Result<Option<WorkflowRow>, StoreError>;

    /// The workflow of any tenant, for signed webhook calls only: their address doesn't name the tenant.
    async fn find_workflow(&self, id: &WorkflowId) -> Result<Option<WorkflowRow>, StoreError>;

    /// One page; [`StoreError::InvalidCursor`] as for sessions.
    async fn page_workflows(&self, query: &WorkflowQuery) -> Result<WorkflowPage, StoreError>;

    /// The newest runs of these workflows: at most [`RUNS_OF_ONE`] of each and [`MAX_RUNS`] in all, newest first.
    async fn runs_of(
        &self,
        scope: &Scope,
        workflows: &[WorkflowId],
    ) -> Result<Vec<RunRow>, StoreError>;

    /// The run, or `None`.
    async fn run(&self, key: &RunKey) -> Result<Option<RunRow>, StoreError>;

    /// Pauses, resumes or archives. [`StoreError::Missing`]; [`StoreError::Conflict`] for resuming a workflow
    /// whose webhook has no active secret.
    async fn change_workflow(
        &self,
        scope: &Scope,
        id: &WorkflowId,
        change: WorkflowChange,
        now: Timestamp,
    ) -> Result<WorkflowRow, StoreError>;

    /// Makes a run and sets its workflow `running`. [`StoreError::Missing`], [`StoreError::Conflict`] for a
    /// workflow that is archived, paused or has an open run, [`StoreError::Quota`].
    async fn create_run(&self, new: NewRun, now: Timestamp) -> Result<CreatedRun, StoreError>;

    /// Claims what is to be started now: first the oldest *stranded* run (open, unclaimed, its session without
    /// commands), else the active workflow whose due time is the oldest, which gets a new run. Each due time is
    /// claimed once, however many schedulers ask; a due time over the limits becomes a failed run, and the
    /// schedule goes on.
    async fn claim_due(
        &self,
        by: &str,
        limits: RunLimits,
        now: Timestamp,
    ) -> Result<Option<ClaimedRun>, StoreError>;

    /// Takes expired claims back from runs whose session has no commands, at most `limit` (1 to 1000).
    async fn reap_claims(&self, limit: u32, now: Timestamp) -> Result<Reaped, StoreError>;

    /// Ties a run to its session: `running`, its claim is used up. Repeating it with the same session is fine.
    /// [`StoreError::Missing`], [`StoreError::StaleFence`] when the claim is another's or expired,
    /// [`StoreError::Conflict`] when the run has ended or has another session.
    async fn attach_run(
        &self,
        key: &RunKey,
        session: &SessionId,
        claim: Option<&ClaimToken>,
        now: Timestamp,
    ) -> Result<RunRow, StoreError>;

    /// Ends a run; a run that has ended is returned as it is. The workflow becomes active again unless it is
    /// paused or archived, and its next due time is calculated. [`StoreError::Missing`].
    async fn finish_run(
        &self,
        key: &RunKey,
        outcome: RunOutcome,
        now: Timestamp,
    ) -> Result<RunRow, StoreError>;

    /// The open run that is attached to this session.
    async fn run_of_session(&self, key: &SessionKey) -> Result<Option<RunRow>, StoreError>;

    /// Attached runs whose session is neither running nor has open commands or asks: somebody died between the
    /// end of the turn and [`WorkflowStore::finish_run`]. Oldest first, at most `limit`; only runs that were
    /// started before `before`.
    async fn unsettled_runs(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<RunRow>, StoreError>;

    /// Replaces the active webhook secret. [`StoreError::Missing`].
    async fn set_webhook_secret(
        &self,
        scope: &Scope,
        id: &WorkflowId,
        secret: StoredSecret,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// The active webhook secret.
    async fn webhook_secret(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
    ) -> Result<Option<StoredSecret>, StoreError>;

    /// Notes a signed call; false when the same was noted within [`REPLAY_WINDOW`]. `digest` stands for
    /// timestamp and signature. Kept per workflow, so no load elsewhere evicts it (04 §16 #21).
    async fn note_webhook_call(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        digest: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Forgets a noted call that failed for reasons of ours, so that its sender may repeat it.
    async fn forget_webhook_call(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        digest: &str,
    ) -> Result<(), StoreError>;

    /// Deletes runs that ended before `before`, at most `limit`, but never the newest of a workflow. Returns how
    /// many (04 §16 #21).
    async fn prune_runs(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

/// Cuts text to so many characters.
pub fn cut(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => text[..end].to_owned(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_planned_session_is_derived_from_the_run() {
        let session = planned_session(&"t".into(), &"w".into(), &"r".into());
        assert_eq!(session.as_str().len(), "workflow_session_".len() + 32);
        assert_eq!(
            session,
            planned_session(&"t".into(), &"w".into(), &"r".into())
        );
        assert_ne!(
            session,
            planned_session(&"tw".into(), &"".into(), &"r".into())
        );
    }

    #[test]
    fn a_claim_token_is_not_in_debug_output() {
        assert!(!format!("{:?}", ClaimToken::new("hush")).contains("hush"));
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(cut("aé😀b", 3), "aé😀");
        assert_eq!(cut("ab", 3), "ab");
    }
}
