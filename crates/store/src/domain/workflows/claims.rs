//! Claims: who starts a run.

use super::rows::{self, StoredRun, select_runs, stored_run};
use super::runs;
use crate::dialect::Connection;
use crate::owner;
use crate::transaction::Stop;
use open_cowork_contracts::WorkflowId;
use open_cowork_contracts::api::workflows::{RunStatus, WorkflowStatus};
use open_cowork_providers::store::workflows::{
    CLAIM_TTL, ClaimToken, ClaimedRun, MAX_CLAIMS, RunKey, RunLimits, RunOutcome, RunRow, schedule,
};
use open_cowork_providers::store::{Scope, StoreError};
use open_cowork_providers::time::{Timestamp, iso};

/// What waits to be claimed, as it was seen without a lock.
pub(super) enum Candidate {
    Stranded(RunKey),
    Due {
        scope: Scope,
        workflow: WorkflowId,
        at: String,
    },
}

pub(super) enum Claimed {
    Run(Box<ClaimedRun>),
    /// Somebody was faster, or the due time ended in a failed run: look again.
    Again,
}

pub(super) enum Reap {
    Nothing,
    Released,
    Failed(Box<RunRow>),
}

/// Row filter: nothing was ever asked of the run's session.
macro_rules! no_commands {
    () => {
        "NOT EXISTS (SELECT 1 FROM sessions s JOIN commands c ON c.tenant_no = s.tenant_no \
         AND c.session_no = s.session_no WHERE s.tenant_no = r.tenant_no AND s.session_id = r.session_id)"
    };
}

pub(super) async fn candidate(
    connection: &mut Connection,
    now: Timestamp,
) -> Result<Option<Candidate>, sqlx::Error> {
    const STRANDED: &str = concat!(
        "SELECT t.tenant_id, r.run_id FROM workflow_runs r JOIN tenants t ON t.tenant_no = r.tenant_no ",
        "WHERE r.is_open = 1 AND r.claim_token IS NULL AND ",
        no_commands!(),
        " ORDER BY r.created_at, r.run_id LIMIT 1"
    );
    if let Some(row) = connection.query(STRANDED).fetch_optional().await? {
        return Ok(Some(Candidate::Stranded(RunKey::new(
            row.text(0)?,
            row.text(1)?,
        ))));
    }
    let due = rows::due_workflow(connection, &iso(now)).await?;
    Ok(due.and_then(|due| {
        Some(Candidate::Due {
            scope: due.row.scope,
            workflow: due.row.workflow.id,
            at: due.row.workflow.next_run_at?,
        })
    }))
}

/// Gives a run to whoever starts it.
pub(super) fn take(run: &mut StoredRun, by: &str, now: Timestamp) -> ClaimToken {
    let token = format!("claim_{}", uuid::Uuid::new_v4().simple());
    run.row.claimed_by = Some(by.to_owned());
    run.row.claim_expires_at = Some(iso(now + CLAIM_TTL));
    run.row.attempt_count += 1;
    run.claim_token = Some(token.clone());
    ClaimToken::new(token)
}

pub(super) async fn claim(
    connection: &mut Connection,
    candidate: &Candidate,
    by: &str,
    limits: RunLimits,
    now: Timestamp,
) -> Result<Claimed, Stop> {
    match candidate {
        Candidate::Stranded(key) => claim_stranded(connection, key, by, now).await,
        Candidate::Due {
            scope,
            workflow,
            at,
        } => claim_due(connection, scope, workflow, at, by, limits, now).await,
    }
}

async fn claim_stranded(
    connection: &mut Connection,
    key: &RunKey,
    by: &str,
    now: Timestamp,
) -> Result<Claimed, Stop> {
    let Some((mut workflow, mut run)) = rows::lock_run(connection, key).await? else {
        return Ok(Claimed::Again);
    };
    if !run.is_open() || run.claim_token.is_some() || has_commands(connection, &run).await? {
        return Ok(Claimed::Again);
    }
    let claim = take(&mut run, by, now);
    rows::update_run(connection, &mut workflow, &run).await?;
    Ok(Claimed::Run(Box::new(ClaimedRun {
        run: run.row,
        workflow: workflow.row,
        claim,
    })))
}

async fn has_commands(connection: &mut Connection, run: &StoredRun) -> Result<bool, sqlx::Error> {
    const SELECT: &str = concat!(
        "SELECT 1 FROM workflow_runs r WHERE r.tenant_no = $1 AND r.run_id = $2 AND ",
        no_commands!()
    );
    let query = connection.query(SELECT).bind(run.tenant_no);
    let without = query.bind(run.row.run.id.as_str()).fetch_optional().await?;
    Ok(without.is_none())
}

async fn claim_due(
    connection: &mut Connection,
    scope: &Scope,
    workflow: &WorkflowId,
    due: &str,
    by: &str,
    limits: RunLimits,
    now: Timestamp,
) -> Result<Claimed, Stop> {
    let tenant_no = owner::tenant_no_or_new(connection, &scope.tenant_id).await?;
    let found = rows::lock_workflow(connection, &scope.tenant_id, workflow).await?;
    let still_due = |found: &rows::Stored| {
        found.row.workflow.status == WorkflowStatus::Active
            && found.row.workflow.next_run_at.as_deref() == Some(due)
    };
    let Some(mut found) = found.filter(still_due) else {
        return Ok(Claimed::Again);
    };
    if rows::has_open_run(connection, tenant_no, workflow).await? {
        // Can't be while it is active, but a schedule must not stop over it.
        found.row.workflow.status = WorkflowStatus::Running;
        rows::update_workflow(connection, &found).await?;
        return Ok(Claimed::Again);
    }
    // Whatever becomes of this run, the next due time is there (04 §16 #10).
    found.row.workflow.next_run_at = schedule::next_of_iso(&found.row.workflow.triggers, now);
    let mut run = runs::scheduled_run(&found, due, now);
    let refused = match runs::check_limits(connection, tenant_no, limits, now).await {
        Ok(()) => None,
        Err(Stop::Refused(StoreError::Quota(denial))) => Some(denial),
        Err(stop) => return Err(stop),
    };
    if let Some(denial) = refused {
        run.row.run.status = RunStatus::Failed;
        run.row.run.error = Some(denial.message);
        run.row.run.finished_at = Some(iso(now));
        run.row.last_error_code = Some(denial.code);
        if rows::insert_run(connection, found.user_no, &run).await? {
            rows::show_latest(&mut found.row.workflow, &run.row.run);
        }
        rows::touch(&mut found.row.workflow, now);
        rows::update_workflow(connection, &found).await?;
        return Ok(Claimed::Again);
    }
    let claim = take(&mut run, by, now);
    if !rows::insert_run(connection, found.user_no, &run).await? {
        // This due time was started before, by a clock that went back.
        rows::update_workflow(connection, &found).await?;
        return Ok(Claimed::Again);
    }
    found.row.workflow.status = WorkflowStatus::Running;
    rows::show_latest(&mut found.row.workflow, &run.row.run);
    rows::touch(&mut found.row.workflow, now);
    rows::update_workflow(connection, &found).await?;
    Ok(Claimed::Run(Box::new(ClaimedRun {
        run: run.row,
        workflow: found.row,
        claim,
    })))
}

pub(super) async fn expired(
    connection: &mut Connection,
    limit: u32,
    now: Timestamp,
) -> Result<Vec<RunKey>, sqlx::Error> {
    const SELECT: &str = concat!(
        select_runs!(
            "WHERE r.is_open = 1 AND r.claim_token IS NOT NULL AND r.claim_expires_at <= $1 AND "
        ),
        no_commands!(),
        " ORDER BY r.created_at, r.run_id LIMIT $2"
    );
    let query = connection
        .query(SELECT)
        .bind(iso(now))
        .bind(i64::from(limit));
    let rows = query.fetch_all().await?;
    rows.iter()
        .map(|row| stored_run(row).map(|run| run.row.key()))
        .collect()
}

pub(super) async fn reap(
    connection: &mut Connection,
    key: &RunKey,
    now: Timestamp,
) -> Result<Reap, Stop> {
    let Some((mut workflow, mut run)) = rows::lock_run(connection, key).await? else {
        return Ok(Reap::Nothing);
    };
    let at = iso(now);
    let expired =
        run.claim_token.is_some() && run.row.claim_expires_at.as_deref() <= Some(at.as_str());
    if !run.is_open() || !expired || has_commands(connection, &run).await? {
        return Ok(Reap::Nothing);
    }
    if run.row.attempt_count >= MAX_CLAIMS {
        let outcome = RunOutcome::Failed {
            error: "The run could not be started: every worker that took it stopped first.".into(),
            code: Some("claim_expired_max_attempts".into()),
        };
        runs::end_run(connection, &mut workflow, &mut run, &outcome, now).await?;
        return Ok(Reap::Failed(Box::new(run.row)));
    }
    run.release();
    run.row.last_error_code = Some("claim_expired".into());
    rows::update_run(connection, &mut workflow, &run).await?;
    Ok(Reap::Released)
}
