//! Workflows and their runs (04 §2.5).
//!
//! Locks are taken in one order: tenant, workflow, run. So whoever starts from a run reads it without a lock
//! first, to learn its workflow.

mod claims;
pub(super) mod rows;
mod runs;
mod secrets;

use crate::owner;
use crate::store::{Database, SqlStore};
use crate::transaction::{read, transact};
use async_trait::async_trait;
use open_cowork_contracts::api::workflows::{TriggerKind, WorkflowStatus, WorkflowSummary};
use open_cowork_contracts::{SessionId, TenantId, WorkflowId};
use open_cowork_providers::store::workflows::{
    ClaimToken, ClaimedRun, CreatedRun, NewRun, Reaped, RunKey, RunLimits, RunOutcome, RunRow,
    StoredSecret, WorkflowChange, WorkflowPage, WorkflowQuery, WorkflowRow, schedule,
};
use open_cowork_providers::store::{Scope, SessionKey, StoreError, WorkflowStore};
use open_cowork_providers::time::{Timestamp, iso};

#[async_trait]
impl<D: Database> WorkflowStore for SqlStore<D> {
    async fn create_workflow(
        &self,
        scope: &Scope,
        workflow: WorkflowSummary,
        secret: Option<StoredSecret>,
    ) -> Result<WorkflowRow, StoreError> {
        transact!(self, |connection| {
            let (tenant_no, user_no) =
                owner::user_no_or_new(connection, &scope.tenant_id, &scope.user_id).await?;
            if let Some(stored) = rows::any_workflow(connection, &workflow.id).await? {
                let same = stored.row.scope == *scope
                    && stored.row.workflow.created_at == workflow.created_at
                    && stored.row.workflow.title == workflow.title
                    && stored.row.workflow.instructions == workflow.instructions;
                return match same {
                    true => Ok(stored.row),
                    false => Err(StoreError::Conflict(
                        "The workflow id is taken; choose another.".to_owned(),
                    )
                    .into()),
                };
            }
            let row = WorkflowRow {
                scope: scope.clone(),
                workflow: workflow.clone(),
            };
            rows::insert_workflow(connection, tenant_no, user_no, &row.workflow).await?;
            if let Some(secret) = &secret {
                let at = &workflow.created_at;
                secrets::replace(connection, tenant_no, &workflow.id, secret, at).await?;
            }
            Ok(row)
        })
    }

    async fn workflow(
        &self,
        scope: &Scope,
        id: &WorkflowId,
    ) -> Result<Option<WorkflowRow>, StoreError> {
        let found = read!(self, |connection| {
            Ok(rows::workflow(connection, &scope.tenant_id, id).await?)
        })?;
        Ok(found
            .map(|found| found.row)
            .filter(|row| row.scope == *scope))
    }

    async fn find_workflow(&self, id: &WorkflowId) -> Result<Option<WorkflowRow>, StoreError> {
        read!(self, |connection| {
            let found = rows::any_workflow(connection, id).await?;
            Ok(found.map(|found| found.row))
        })
    }

    async fn page_workflows(&self, query: &WorkflowQuery) -> Result<WorkflowPage, StoreError> {
        let start = query.start()?;
        let found = read!(self, |connection| {
            Ok(rows::page(connection, query, start.as_ref()).await?)
        })?;
        Ok(query.page(found))
    }

    async fn runs_of(
        &self,
        scope: &Scope,
        workflows: &[WorkflowId],
    ) -> Result<Vec<RunRow>, StoreError> {
        read!(self, |connection| {
            Ok(runs::newest(connection, scope, workflows).await?)
        })
    }

    async fn run(&self, key: &RunKey) -> Result<Option<RunRow>, StoreError> {
        read!(self, |connection| {
            let found = rows::run(connection, key).await?;
            Ok(found.map(|found| found.row))
        })
    }

    async fn change_workflow(
        &self,
        scope: &Scope,
        id: &WorkflowId,
        change: WorkflowChange,
        now: Timestamp,
    ) -> Result<WorkflowRow, StoreError> {
        transact!(self, |connection| {
            let found = rows::lock_workflow(connection, &scope.tenant_id, id).await?;
            let Some(mut found) = found.filter(|found| found.row.scope == *scope) else {
                return Err(StoreError::Missing("workflow").into());
            };
            let workflow = &mut found.row.workflow;
            match change {
                WorkflowChange::Pause => {
                    workflow.status = WorkflowStatus::Paused;
                    workflow.next_run_at = None;
                }
                WorkflowChange::Archive => {
                    workflow.status = WorkflowStatus::Archived;
                    workflow.next_run_at = None;
                    secrets::revoke(connection, found.tenant_no, id, &iso(now)).await?;
                }
                WorkflowChange::Resume => {
                    let webhook = schedule::has_enabled(&workflow.triggers, TriggerKind::Webhook);
                    let secret = secrets::active(connection, &scope.tenant_id, id).await?;
                    if webhook && secret.is_none() {
                        return Err(StoreError::Conflict(
                            "The workflow's webhook has no secret; make a new one before resuming it."
                                .to_owned(),
                        )
                        .into());
                    }
                    let open = rows::has_open_run(connection, found.tenant_no, id).await?;
                    workflow.status = match open {
                        true => WorkflowStatus::Running,
                        false => WorkflowStatus::Active,
                    };
                    workflow.next_run_at = schedule::next_of_iso(&workflow.triggers, now);
                }
            }
            rows::touch(workflow, now);
            rows::update_workflow(connection, &found).await?;
            Ok(found.row)
        })
    }

    async fn create_run(&self, new: NewRun, now: Timestamp) -> Result<CreatedRun, StoreError> {
        transact!(self, |connection| {
            runs::create(connection, &new, now).await
        })
    }

    async fn claim_due(
        &self,
        by: &str,
        limits: RunLimits,
        now: Timestamp,
    ) -> Result<Option<ClaimedRun>, StoreError> {
        loop {
            // What is to be done is found without a lock, so that schedulers don't queue up where there is
            // nothing; then it is looked at again under the locks.
            let found = read!(self, |connection| {
                Ok(claims::candidate(connection, now).await?)
            })?;
            let Some(candidate) = found else {
                return Ok(None);
            };
            let claimed = transact!(self, |connection| {
                claims::claim(connection, &candidate, by, limits, now).await
            })?;
            if let claims::Claimed::Run(run) = claimed {
                return Ok(Some(*run));
            }
        }
    }

    async fn reap_claims(&self, limit: u32, now: Timestamp) -> Result<Reaped, StoreError> {
        let limit = limit.clamp(1, 1000);
        let expired = read!(self, |connection| {
            Ok(claims::expired(connection, limit, now).await?)
        })?;
        let mut reaped = Reaped::default();
        for key in expired {
            let done = transact!(self, |connection| {
                claims::reap(connection, &key, now).await
            })?;
            match done {
                claims::Reap::Nothing => {}
                claims::Reap::Released => reaped.released += 1,
                claims::Reap::Failed(run) => reaped.failed.push(*run),
            }
        }
        Ok(reaped)
    }

    async fn attach_run(
        &self,
        key: &RunKey,
        session: &SessionId,
        claim: Option<&ClaimToken>,
        now: Timestamp,
    ) -> Result<RunRow, StoreError> {
        transact!(self, |connection| {
            runs::attach(connection, key, session, claim, now).await
        })
    }

    async fn finish_run(
        &self,
        key: &RunKey,
        outcome: RunOutcome,
        now: Timestamp,
    ) -> Result<RunRow, StoreError> {
        transact!(self, |connection| {
            runs::finish(connection, key, &outcome, now).await
        })
    }

    async fn run_of_session(&self, key: &SessionKey) -> Result<Option<RunRow>, StoreError> {
        read!(self, |connection| {
            Ok(rows::run_of_session(connection, key).await?)
        })
    }

    async fn unsettled_runs(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<RunRow>, StoreError> {
        read!(self, |connection| {
            Ok(runs::unsettled(connection, before, limit.clamp(1, 1000)).await?)
        })
    }

    async fn set_webhook_secret(
        &self,
        scope: &Scope,
        id: &WorkflowId,
        secret: StoredSecret,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        transact!(self, |connection| {
            let found = rows::lock_workflow(connection, &scope.tenant_id, id).await?;
            let Some(found) = found.filter(|found| found.row.scope == *scope) else {
                return Err(StoreError::Missing("workflow").into());
            };
            Ok(secrets::replace(connection, found.tenant_no, id, &secret, &iso(now)).await?)
        })
    }

    async fn webhook_secret(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
    ) -> Result<Option<StoredSecret>, StoreError> {
        read!(self, |connection| {
            Ok(secrets::active(connection, tenant, id).await?)
        })
    }

    async fn note_webhook_call(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        digest: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        transact!(self, |connection| {
            secrets::note_call(connection, tenant, id, digest, now).await
        })
    }

    async fn forget_webhook_call(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        digest: &str,
    ) -> Result<(), StoreError> {
        transact!(self, |connection| {
            Ok(secrets::forget_call(connection, tenant, id, digest).await?)
        })
    }

    async fn prune_runs(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        transact!(self, |connection| {
            Ok(runs::prune(connection, before, limit.clamp(1, 1000)).await?)
        })
    }
}
