//! Rows of workflows and runs, read and written whole. The columns are copies of what the body says, for keys,
//! order and filters.

use crate::dialect::{Connection, Row, undecodable};
use open_cowork_contracts::api::workflows::{RunStatus, WorkflowRun, WorkflowSummary};
use open_cowork_contracts::{TenantId, WorkflowId};
use open_cowork_providers::store::workflows::{RunKey, RunRow, WorkflowQuery, WorkflowRow};
use open_cowork_providers::store::{Scope, SessionKey};
use open_cowork_providers::time::{Timestamp, iso};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A workflow and the numbers in its key.
pub(super) struct Stored {
    pub(super) tenant_no: i64,
    pub(super) user_no: i64,
    pub(super) row: WorkflowRow,
}

/// A run and the number in its key.
pub(super) struct StoredRun {
    pub(super) tenant_no: i64,
    pub(super) row: RunRow,
    pub(super) claim_token: Option<String>,
}

impl StoredRun {
    pub(super) fn is_open(&self) -> bool {
        !self.row.run.status.is_terminal()
    }

    /// Nobody starts it any more, or whoever did is late.
    pub(super) fn release(&mut self) {
        self.row.claimed_by = None;
        self.row.claim_expires_at = None;
        self.claim_token = None;
    }
}

pub(crate) fn to_json(value: &impl Serialize) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

pub(crate) fn from_json<T: DeserializeOwned>(row: &Row, column: usize) -> Result<T, sqlx::Error> {
    serde_json::from_str(row.stored(column)?).map_err(|_| undecodable(column))
}

macro_rules! select_workflows {
    ($tail:literal) => {
        concat!(
            "SELECT t.tenant_id, u.user_id, w.tenant_no, w.user_no, w.body FROM workflows w ",
            "JOIN tenants t ON t.tenant_no = w.tenant_no ",
            "JOIN users u ON u.tenant_no = w.tenant_no AND u.user_no = w.user_no ",
            $tail
        )
    };
}

fn stored(row: &Row) -> Result<Stored, sqlx::Error> {
    Ok(Stored {
        tenant_no: row.int(2)?,
        user_no: row.int(3)?,
        row: WorkflowRow {
            scope: Scope {
                tenant_id: row.text(0)?.into(),
                user_id: row.text(1)?.into(),
            },
            workflow: from_json(row, 4)?,
        },
    })
}

pub(super) async fn workflow(
    connection: &mut Connection,
    tenant: &TenantId,
    id: &WorkflowId,
) -> Result<Option<Stored>, sqlx::Error> {
    let by_key = select_workflows!("WHERE t.tenant_id = $1 AND w.workflow_id = $2");
    let query = connection.query(by_key).bind(tenant.as_str());
    let row = query.bind(id.as_str()).fetch_optional().await?;
    row.as_ref().map(stored).transpose()
}

pub(super) async fn lock_workflow(
    connection: &mut Connection,
    tenant: &TenantId,
    id: &WorkflowId,
) -> Result<Option<Stored>, sqlx::Error> {
    let by_key = select_workflows!("WHERE t.tenant_id = $1 AND w.workflow_id = $2");
    let query = connection
        .select_for_update(by_key, "w")
        .bind(tenant.as_str());
    let row = query.bind(id.as_str()).fetch_optional().await?;
    row.as_ref().map(stored).transpose()
}

pub(super) async fn any_workflow(
    connection: &mut Connection,
    id: &WorkflowId,
) -> Result<Option<Stored>, sqlx::Error> {
    let by_id = select_workflows!("WHERE w.workflow_id = $1");
    let row = connection.query(by_id).bind(id.as_str());
    row.fetch_optional().await?.as_ref().map(stored).transpose()
}

/// The active workflow with the smallest due time.
pub(super) async fn due_workflow(
    connection: &mut Connection,
    now: &str,
) -> Result<Option<Stored>, sqlx::Error> {
    let due = select_workflows!(
        "WHERE w.status = 'active' AND w.next_run_at IS NOT NULL AND w.next_run_at <= $1 \
         ORDER BY w.next_run_at, w.workflow_id LIMIT 1"
    );
    let row = connection.query(due).bind(now).fetch_optional().await?;
    row.as_ref().map(stored).transpose()
}

pub(super) async fn page(
    connection: &mut Connection,
    query: &WorkflowQuery,
    start: Option<&(String, WorkflowId)>,
) -> Result<Vec<WorkflowRow>, sqlx::Error> {
    let select = select_workflows!(
        "WHERE t.tenant_id = $1 AND u.user_id = $2 AND ($3 IS NULL OR w.updated_at < $3 \
         OR (w.updated_at = $3 AND w.workflow_id > $4)) ORDER BY w.updated_at DESC, w.workflow_id LIMIT $5"
    );
    let rows = connection
        .query(select)
        .bind(query.scope.tenant_id.as_str())
        .bind(query.scope.user_id.as_str())
        .bind(start.map(|(updated_at, _)| updated_at.as_str()))
        .bind(start.map(|(_, id)| id.as_str()))
        .bind(query.page_size() as i64 + 1)
        .fetch_all()
        .await?;
    rows.iter()
        .map(|row| stored(row).map(|stored| stored.row))
        .collect()
}

pub(super) async fn insert_workflow(
    connection: &mut Connection,
    tenant_no: i64,
    user_no: i64,
    workflow: &WorkflowSummary,
) -> Result<(), sqlx::Error> {
    let insert = "INSERT INTO workflows (tenant_no, workflow_id, user_no, status, next_run_at, updated_at, body) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7)";
    connection
        .query(insert)
        .bind(tenant_no)
        .bind(workflow.id.as_str())
        .bind(user_no)
        .bind(workflow.status.as_str())
        .bind(workflow.next_run_at.as_deref())
        .bind(workflow.updated_at.as_str())
        .bind(to_json(workflow)?)
        .execute()
        .await?;
    Ok(())
}

pub(super) async fn update_workflow(
    connection: &mut Connection,
    stored: &Stored,
) -> Result<(), sqlx::Error> {
    let workflow = &stored.row.workflow;
    let update = "UPDATE workflows SET status = $3, next_run_at = $4, updated_at = $5, body = $6 \
                  WHERE tenant_no = $1 AND workflow_id = $2";
    connection
        .query(update)
        .bind(stored.tenant_no)
        .bind(workflow.id.as_str())
        .bind(workflow.status.as_str())
        .bind(workflow.next_run_at.as_deref())
        .bind(workflow.updated_at.as_str())
        .bind(to_json(workflow)?)
        .execute()
        .await?;
    Ok(())
}

/// `updatedAt` never goes back.
pub(super) fn touch(workflow: &mut WorkflowSummary, now: Timestamp) {
    let now = iso(now);
    if now > workflow.updated_at {
        workflow.updated_at = now;
    }
}

macro_rules! select_runs {
    ($tail:literal) => {
        concat!(
            "SELECT t.tenant_id, u.user_id, r.tenant_no, r.claimed_by, r.claim_token, r.claim_expires_at, ",
            "r.attempts, r.idempotency_key, r.last_error_code, r.body FROM workflow_runs r ",
            "JOIN tenants t ON t.tenant_no = r.tenant_no ",
            "JOIN users u ON u.tenant_no = r.tenant_no AND u.user_no = r.user_no ",
            $tail
        )
    };
}
pub(super) use select_runs;

pub(super) fn stored_run(row: &Row) -> Result<StoredRun, sqlx::Error> {
    let run: WorkflowRun = from_json(row, 9)?;
    Ok(StoredRun {
        tenant_no: row.int(2)?,
        claim_token: row.optional_text(4)?,
        row: RunRow {
            scope: Scope {
                tenant_id: row.text(0)?.into(),
                user_id: row.text(1)?.into(),
            },
            run,
            claimed_by: row.optional_text(3)?,
            claim_expires_at: row.optional_text(5)?,
            attempt_count: u32::try_from(row.unsigned(6)?).map_err(|_| undecodable(6))?,
            idempotency_key: row.optional_text(7)?,
            last_error_code: row.optional_text(8)?,
        },
    })
}

pub(super) async fn run(
    connection: &mut Connection,
    key: &RunKey,
) -> Result<Option<StoredRun>, sqlx::Error> {
    let by_key = select_runs!("WHERE t.tenant_id = $1 AND r.run_id = $2");
    let query = connection.query(by_key).bind(key.tenant_id.as_str());
    let row = query.bind(key.run_id.as_str()).fetch_optional().await?;
    row.as_ref().map(stored_run).transpose()
}

/// A run and its workflow, both locked, workflow first.
pub(super) async fn lock_run(
    connection: &mut Connection,
    key: &RunKey,
) -> Result<Option<(Stored, StoredRun)>, sqlx::Error> {
    let Some(found) = run(connection, key).await? else {
        return Ok(None);
    };
    let workflow = lock_workflow(connection, &key.tenant_id, &found.row.run.workflow_id).await?;
    let Some(workflow) = workflow else {
        return Ok(None);
    };
    let by_key = select_runs!("WHERE t.tenant_id = $1 AND r.run_id = $2");
    let query = connection
        .select_for_update(by_key, "r")
        .bind(key.tenant_id.as_str());
    let row = query.bind(key.run_id.as_str()).fetch_optional().await?;
    let run = row.as_ref().map(stored_run).transpose()?;
    Ok(run.map(|run| (workflow, run)))
}

pub(super) async fn run_of_session(
    connection: &mut Connection,
    key: &SessionKey,
) -> Result<Option<RunRow>, sqlx::Error> {
    let by_session = select_runs!(
        "WHERE t.tenant_id = $1 AND r.session_id = $2 AND r.is_open = 1 AND r.status = 'running' LIMIT 1"
    );
    let query = connection.query(by_session).bind(key.tenant_id.as_str());
    let row = query.bind(key.session_id.as_str()).fetch_optional().await?;
    row.as_ref()
        .map(|row| stored_run(row).map(|stored| stored.row))
        .transpose()
}

pub(super) async fn has_open_run(
    connection: &mut Connection,
    tenant_no: i64,
    workflow: &WorkflowId,
) -> Result<bool, sqlx::Error> {
    let open =
        "SELECT 1 FROM workflow_runs WHERE tenant_no = $1 AND workflow_id = $2 AND is_open = 1";
    let query = connection
        .query(open)
        .bind(tenant_no)
        .bind(workflow.as_str());
    Ok(query.fetch_optional().await?.is_some())
}

/// Inserts a run; false when its idempotency key is taken.
pub(super) async fn insert_run(
    connection: &mut Connection,
    user_no: i64,
    stored: &StoredRun,
) -> Result<bool, sqlx::Error> {
    let run = &stored.row.run;
    let insert = "INSERT INTO workflow_runs (tenant_no, run_id, workflow_id, user_no, session_id, status, is_open, \
                  claimed_by, claim_token, claim_expires_at, attempts, idempotency_key, last_error_code, created_at, \
                  started_at, finished_at, body) \
                  SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17 \
                  WHERE NOT EXISTS (SELECT 1 FROM workflow_runs WHERE tenant_no = $1 AND idempotency_key = $12)";
    let inserted = connection
        .query(insert)
        .bind(stored.tenant_no)
        .bind(run.id.as_str())
        .bind(run.workflow_id.as_str())
        .bind(user_no)
        .bind(stored.row.session().session_id.as_str())
        .bind(run.status.as_str())
        .bind(i64::from(!run.status.is_terminal()))
        .bind(stored.row.claimed_by.as_deref())
        .bind(stored.claim_token.as_deref())
        .bind(stored.row.claim_expires_at.as_deref())
        .bind(i64::from(stored.row.attempt_count))
        .bind(stored.row.idempotency_key.as_deref())
        .bind(stored.row.last_error_code.as_deref())
        .bind(run.created_at.as_str())
        .bind(run.started_at.as_deref())
        .bind(run.finished_at.as_deref())
        .bind(to_json(run)?)
        .execute()
        .await?;
    Ok(inserted == 1)
}

/// Writes what can change of a run, and what its workflow says of its newest run.
pub(super) async fn update_run(
    connection: &mut Connection,
    workflow: &mut Stored,
    stored: &StoredRun,
) -> Result<(), sqlx::Error> {
    let run = &stored.row.run;
    let update = "UPDATE workflow_runs SET status = $3, is_open = $4, claimed_by = $5, claim_token = $6, \
                  claim_expires_at = $7, attempts = $8, last_error_code = $9, started_at = $10, finished_at = $11, \
                  body = $12 WHERE tenant_no = $1 AND run_id = $2";
    connection
        .query(update)
        .bind(stored.tenant_no)
        .bind(run.id.as_str())
        .bind(run.status.as_str())
        .bind(i64::from(!run.status.is_terminal()))
        .bind(stored.row.claimed_by.as_deref())
        .bind(stored.claim_token.as_deref())
        .bind(stored.row.claim_expires_at.as_deref())
        .bind(i64::from(stored.row.attempt_count))
        .bind(stored.row.last_error_code.as_deref())
        .bind(run.started_at.as_deref())
        .bind(run.finished_at.as_deref())
        .bind(to_json(run)?)
        .execute()
        .await?;
    if workflow.row.workflow.latest_run_id.as_ref() == Some(&run.id) {
        show_latest(&mut workflow.row.workflow, run);
    }
    update_workflow(connection, workflow).await
}

/// What a workflow says of its newest run.
pub(super) fn show_latest(workflow: &mut WorkflowSummary, run: &WorkflowRun) {
    workflow.latest_run_id = Some(run.id.clone());
    workflow.latest_run_status = Some(run.status);
    workflow.latest_run_session_id.clone_from(&run.session_id);
    workflow.latest_run_summary = match run.status {
        RunStatus::Completed => run.summary.clone(),
        RunStatus::Failed | RunStatus::Cancelled => run.error.clone(),
        RunStatus::Queued | RunStatus::Running => None,
    };
}
