//! The life of a run.

use super::claims;
use super::rows::{self, Stored, StoredRun, select_runs, stored_run};
use crate::dialect::Connection;
use crate::domain::channels;
use crate::domain::governance::usage;
use crate::owner;
use crate::transaction::Stop;
use open_cowork_contracts::api::usage::QuotaKey;
use open_cowork_contracts::api::workflows::{
    RunStatus, TriggerKind, WorkflowRun, WorkflowStatus, WorkflowSummary,
};
use open_cowork_contracts::{JsonObject, RunId, SessionId, WorkflowId};
use open_cowork_providers::store::governance::QuotaClaim;
use open_cowork_providers::store::workflows::notice::notice;
use open_cowork_providers::store::workflows::{
    ClaimToken, CreatedRun, MAX_RUNS, NewRun, RUNS_OF_ONE, RunKey, RunLimits, RunOutcome, RunRow,
    cut, planned_session, schedule,
};
use open_cowork_providers::store::{QuotaDenial, Scope, StoreError};
use open_cowork_providers::time::{Timestamp, iso};
/// When to try again while too many run at once (04 §2.2 has the same for sessions).
const CONCURRENT_RETRY_MS: u64 = 60_000;

pub(super) async fn create(
    connection: &mut Connection,
    new: &NewRun,
    now: Timestamp,
) -> Result<CreatedRun, Stop> {
    // The tenant's lock comes first; runs are counted under it.
    let tenant_no = owner::tenant_no_or_new(connection, &new.scope.tenant_id).await?;
    let key = RunKey::new(new.scope.tenant_id.clone(), new.run_id.clone());
    let workflow = rows::lock_workflow(connection, &new.scope.tenant_id, &new.workflow_id).await?;
    let Some(mut workflow) = workflow.filter(|found| found.row.scope == new.scope) else {
        return Err(StoreError::Missing("workflow").into());
    };
    if let Some(stored) = rows::run(connection, &key).await? {
        if stored.row.run.workflow_id != new.workflow_id {
            return Err(StoreError::Conflict("The run id is taken; choose another.".into()).into());
        }
        return Ok(CreatedRun {
            run: stored.row,
            workflow: workflow.row,
            claim: None,
            created: false,
        });
    }
    refuse_status(&workflow.row.workflow)?;
    if rows::has_open_run(connection, tenant_no, &new.workflow_id).await? {
        return Err(already_running());
    }
    check_limits(connection, tenant_no, new.limits, now).await?;
    let mut run = new_run(
        &workflow,
        new.run_id.clone(),
        new.trigger,
        new.payload.clone(),
        now,
    );
    let claim = new
        .claimed_by
        .as_deref()
        .map(|by| claims::take(&mut run, by, now));
    rows::insert_run(connection, workflow.user_no, &run).await?;
    workflow.row.workflow.status = WorkflowStatus::Running;
    rows::show_latest(&mut workflow.row.workflow, &run.row.run);
    rows::touch(&mut workflow.row.workflow, now);
    rows::update_workflow(connection, &workflow).await?;
    Ok(CreatedRun {
        run: run.row,
        workflow: workflow.row,
        claim,
        created: true,
    })
}

fn already_running() -> Stop {
    StoreError::Conflict("The workflow has a run under way; wait for its end, or stop it.".into())
        .into()
}

fn refuse_status(workflow: &WorkflowSummary) -> Result<(), Stop> {
    match workflow.status {
        WorkflowStatus::Active | WorkflowStatus::Failed => Ok(()),
        WorkflowStatus::Running => Err(already_running()),
        status => Err(StoreError::Conflict(format!(
            "The workflow is {status}; resume it before running it."
        ))
        .into()),
    }
}

/// A run of this workflow, queued.
pub(super) fn new_run(
    workflow: &Stored,
    id: RunId,
    trigger: TriggerKind,
    payload: Option<JsonObject>,
    now: Timestamp,
) -> StoredRun {
    let summary = &workflow.row.workflow;
    let scope = workflow.row.scope.clone();
    let session = planned_session(&scope.tenant_id, &summary.id, &id);
    StoredRun {
        tenant_no: workflow.tenant_no,
        claim_token: None,
        row: RunRow {
            scope,
            run: WorkflowRun {
                id,
                workflow_id: summary.id.clone(),
                session_id: Some(session),
                trigger_type: trigger,
                trigger_payload: payload,
                status: RunStatus::Queued,
                title: format!("Run {}", summary.title),
                summary: None,
                error: None,
                created_at: iso(now),
                started_at: None,
                finished_at: None,
                projection_fence: None,
            },
            claimed_by: None,
            claim_expires_at: None,
            attempt_count: 0,
            idempotency_key: None,
            last_error_code: None,
        },
    }
}

/// Counts a run, or [`StoreError::Quota`] when the tenant has too many. The tenant's row is locked.
pub(super) async fn check_limits(
    connection: &mut Connection,
    tenant_no: i64,
    limits: RunLimits,
    now: Timestamp,
) -> Result<(), Stop> {
    if let Some(limit) = limits.concurrent {
        let open = "SELECT COUNT(*) FROM workflow_runs WHERE tenant_no = $1 AND is_open = 1";
        let open = connection.query(open).bind(tenant_no).fetch_one().await?;
        let used = open.unsigned(0)?;
        if used >= limit {
            return Err(StoreError::Quota(Box::new(QuotaDenial {
                code: "quota.concurrent_workflow_runs_exceeded".to_owned(),
                limit,
                used,
                reset_at: None,
                retry_after_ms: CONCURRENT_RETRY_MS,
                message: "Too many workflow runs are under way; wait for one to end.".to_owned(),
            }))
            .into());
        }
    }
    let claim = QuotaClaim {
        key: QuotaKey::WorkflowRunsHour,
        amount: 1,
        limit: limits.per_hour,
    };
    usage::consume(connection, tenant_no, &claim, now).await?;
    Ok(())
}

pub(super) async fn attach(
    connection: &mut Connection,
    key: &RunKey,
    session: &SessionId,
    claim: Option<&ClaimToken>,
    now: Timestamp,
) -> Result<RunRow, Stop> {
    let Some((mut workflow, mut run)) = rows::lock_run(connection, key).await? else {
        return Err(StoreError::Missing("workflow run").into());
    };
    if !run.is_open() {
        return Err(StoreError::Conflict("The workflow run has ended.".into()).into());
    }
    if run.row.session().session_id != *session {
        return Err(
            StoreError::Conflict("The workflow run belongs to another session.".into()).into(),
        );
    }
    let is_mine = match (&run.claim_token, claim) {
        (Some(held), Some(claim)) => {
            let expires = run.row.claim_expires_at.as_deref().unwrap_or_default();
            held == claim.expose() && expires > iso(now).as_str()
        }
        // Attached before: the claim is used up, repeating it is fine.
        (None, _) => run.row.run.status == RunStatus::Running,
        (Some(_), None) => false,
    };
    if !is_mine {
        return Err(StoreError::StaleFence.into());
    }
    run.row.run.status = RunStatus::Running;
    run.row.run.session_id = Some(session.clone());
    run.row.run.started_at.get_or_insert_with(|| iso(now));
    run.release();
    rows::touch(&mut workflow.row.workflow, now);
    rows::update_run(connection, &mut workflow, &run).await?;
    Ok(run.row)
}

pub(super) async fn finish(
    connection: &mut Connection,
    key: &RunKey,
    outcome: &RunOutcome,
    now: Timestamp,
) -> Result<RunRow, Stop> {
    let Some((mut workflow, mut run)) = rows::lock_run(connection, key).await? else {
        return Err(StoreError::Missing("workflow run").into());
    };
    if !run.is_open() {
        return Ok(run.row);
    }
    end_run(connection, &mut workflow, &mut run, outcome, now).await?;
    Ok(run.row)
}

/// Ends an open run; both rows are locked.
pub(super) async fn end_run(
    connection: &mut Connection,
    workflow: &mut Stored,
    run: &mut StoredRun,
    outcome: &RunOutcome,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let ended = &mut run.row.run;
    match outcome {
        RunOutcome::Completed { summary } => {
            ended.status = RunStatus::Completed;
            ended.summary = summary.as_deref().map(|summary| cut(summary, 500));
            workflow.row.workflow.last_run_at = Some(iso(now));
        }
        RunOutcome::Failed { error, code } => {
            ended.status = RunStatus::Failed;
            ended.error = Some(cut(error, 1000));
            run.row.last_error_code.clone_from(code);
        }
        RunOutcome::Cancelled { reason } => {
            ended.status = RunStatus::Cancelled;
            ended.error = Some(cut(reason, 1000));
        }
    }
    run.row.run.finished_at = Some(iso(now));
    run.release();
    // The run's row first: only then may the next one be open.
    rows::update_run(connection, workflow, run).await?;
    tell_chats(connection, workflow, run, now).await?;
    go_on(connection, workflow, now).await
}

/// Queues a notice for each chat of the run's thread, and of the thread that its workflow was drafted in: in the
/// transaction that ends the run, so that none is lost and none comes twice.
async fn tell_chats(
    connection: &mut Connection,
    workflow: &Stored,
    run: &StoredRun,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let tenant = &run.row.scope.tenant_id;
    let summary = &workflow.row.workflow;
    let own = run.row.session().session_id;
    let draft = summary
        .draft_session_id
        .clone()
        .filter(|draft| *draft != own);
    for session in std::iter::once(own).chain(draft) {
        for chat in channels::chats_of(connection, tenant, &session).await? {
            // A chat of somebody else's thread is none of this run's.
            if chat.scope == run.row.scope
                && let Some(told) = notice(&summary.title, &run.row.run, &chat.binding, now)
            {
                channels::queue(connection, run.tenant_no, &told).await?;
            }
        }
    }
    Ok(())
}

/// After a run: the workflow waits for its triggers again, unless somebody paused or archived it meanwhile. A due
/// time that passed during the run is recorded as a cancelled one.
pub(super) async fn go_on(
    connection: &mut Connection,
    workflow: &mut Stored,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let at = iso(now);
    let summary = &mut workflow.row.workflow;
    if matches!(
        summary.status,
        WorkflowStatus::Running | WorkflowStatus::Failed
    ) {
        summary.status = WorkflowStatus::Active;
    }
    rows::touch(summary, now);
    let missed = match summary.status {
        WorkflowStatus::Active => {
            let missed = summary.next_run_at.take().filter(|due| *due <= at);
            summary.next_run_at = schedule::next_of_iso(&summary.triggers, now);
            missed
        }
        _ => None,
    };
    rows::update_workflow(connection, workflow).await?;
    if let Some(due) = missed {
        let mut run = scheduled_run(workflow, &due, now);
        run.row.run.status = RunStatus::Cancelled;
        run.row.run.error =
            Some("Skipped: the run before was still under way when this one was due.".to_owned());
        run.row.run.finished_at = Some(at);
        run.row.last_error_code = Some("skipped_overlap".to_owned());
        rows::insert_run(connection, workflow.user_no, &run).await?;
    }
    Ok(())
}

/// The run of a due time.
pub(super) fn scheduled_run(workflow: &Stored, due: &str, now: Timestamp) -> StoredRun {
    let mut payload = JsonObject::new();
    payload.insert("source".into(), "schedule".into());
    payload.insert("scheduledFor".into(), due.into());
    let id = RunId::new(uuid::Uuid::new_v4().to_string());
    let mut run = new_run(workflow, id, TriggerKind::Schedule, Some(payload), now);
    run.row.idempotency_key = Some(format!("schedule:{}:{due}", workflow.row.workflow.id));
    run
}

pub(super) async fn newest(
    connection: &mut Connection,
    scope: &Scope,
    workflows: &[WorkflowId],
) -> Result<Vec<RunRow>, sqlx::Error> {
    let select = select_runs!(
        "WHERE t.tenant_id = $1 AND u.user_id = $2 AND r.workflow_id = $3 \
         ORDER BY r.created_at DESC, r.run_id LIMIT $4"
    );
    let mut found = Vec::new();
    for workflow in workflows {
        let query = connection.query(select).bind(scope.tenant_id.as_str());
        let query = query.bind(scope.user_id.as_str()).bind(workflow.as_str());
        let rows = query.bind(i64::from(RUNS_OF_ONE)).fetch_all().await?;
        for row in &rows {
            found.push(stored_run(row)?.row);
        }
    }
    found.sort_by(|a: &RunRow, b| {
        let newest_first = b.run.created_at.cmp(&a.run.created_at);
        newest_first.then_with(|| a.run.id.cmp(&b.run.id))
    });
    found.truncate(MAX_RUNS as usize);
    Ok(found)
}

pub(super) async fn unsettled(
    connection: &mut Connection,
    before: Timestamp,
    limit: u32,
) -> Result<Vec<RunRow>, sqlx::Error> {
    let select = select_runs!(
        "JOIN sessions s ON s.tenant_no = r.tenant_no AND s.session_id = r.session_id \
         WHERE r.is_open = 1 AND r.status = 'running' AND r.started_at < $1 AND s.status <> 'running' \
         AND s.waiting = 0 \
         AND EXISTS (SELECT 1 FROM commands c WHERE c.tenant_no = s.tenant_no AND c.session_no = s.session_no) \
         AND NOT EXISTS (SELECT 1 FROM commands c WHERE c.tenant_no = s.tenant_no AND c.session_no = s.session_no \
         AND c.is_open = 1) ORDER BY r.created_at, r.run_id LIMIT $2"
    );
    let query = connection
        .query(select)
        .bind(iso(before))
        .bind(i64::from(limit));
    let rows = query.fetch_all().await?;
    rows.iter()
        .map(|row| stored_run(row).map(|run| run.row))
        .collect()
}

pub(super) async fn prune(
    connection: &mut Connection,
    before: Timestamp,
    limit: u32,
) -> Result<u64, sqlx::Error> {
    let delete = "DELETE FROM workflow_runs WHERE (tenant_no, run_id) IN ( \
                  SELECT r.tenant_no, r.run_id FROM workflow_runs r WHERE r.is_open = 0 AND r.finished_at < $1 \
                  AND EXISTS (SELECT 1 FROM workflow_runs n WHERE n.tenant_no = r.tenant_no \
                  AND n.workflow_id = r.workflow_id AND n.created_at > r.created_at) \
                  ORDER BY r.finished_at LIMIT $2)";
    let query = connection.query(delete).bind(iso(before));
    query.bind(i64::from(limit)).execute().await
}
