//! Workflows: make, run, pause, resume, archive, and what a scheduler does once (03 §8.6).

pub mod draft;

use crate::call::Call;
use crate::cloud::Cloud;
use crate::error::ApiError;
use crate::service::billing;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use open_cowork_contracts::api::workflows::{
    RunWorkflow, SchedulerTick, StartedRun, TickClaim, TriggerKind, WebhookSecretReveal,
    WorkflowDetail, WorkflowDraft, WorkflowSummary, WorkflowWithSecret, WorkflowsPage,
};
use open_cowork_contracts::{JsonObject, RunId, TenantId, WorkflowId};
use open_cowork_providers::billing::{BillingAction, BillingWish};
use open_cowork_providers::bus::Topic;
use open_cowork_providers::secrets::SecretMode;
use open_cowork_providers::store::workflows::{
    ClaimedRun, NewRun, RunLimits, RunOutcome, RunRow, StoredSecret, WorkflowChange, WorkflowQuery,
    WorkflowRow, secret_context,
};
use open_cowork_providers::store::{Scope, StoreError};
use open_cowork_thread_log::run::{self, start_run_in};
use secrecy::SecretString;

/// The refusal of a workflow that doesn't exist, or isn't the caller's: both read the same.
pub fn not_found() -> ApiError {
    ApiError::not_found("Workflow was not found.").code("workflows.not_found")
}

fn missing(error: StoreError) -> ApiError {
    match error {
        StoreError::Missing(_) => not_found(),
        error => error.into(),
    }
}

/// How many runs an organisation may have here, whatever its plan says: for claims, which come before anybody knows
/// whose they are.
pub fn run_limits(cloud: &Cloud) -> RunLimits {
    RunLimits {
        concurrent: cloud.options.quotas.concurrent_workflow_runs,
        per_hour: cloud.options.quotas.workflow_runs_per_hour,
    }
}

/// A workflow as clients see it: with the address of its webhook.
fn shown(cloud: &Cloud, mut workflow: WorkflowSummary) -> WorkflowSummary {
    let webhook = webhook_trigger(&workflow);
    let address = cloud
        .options
        .public_url
        .as_deref()
        .filter(|_| webhook.is_some());
    workflow.webhook_url = address.map(|url| {
        let url = url.trim_end_matches('/');
        format!("{url}/webhooks/workflows/{}", workflow.id)
    });
    workflow
}

fn webhook_trigger(workflow: &WorkflowSummary) -> Option<&str> {
    let mut triggers = workflow.triggers.iter();
    let webhook = triggers.find(|trigger| trigger.kind == TriggerKind::Webhook);
    webhook.map(|trigger| trigger.id.as_str())
}

async fn detail(cloud: &Cloud, row: WorkflowRow) -> Result<WorkflowDetail, ApiError> {
    let ids = [row.workflow.id.clone()];
    let runs = cloud.store.runs_of(&row.scope, &ids).await?;
    Ok(WorkflowDetail {
        summary: shown(cloud, row.workflow),
        runs: runs.into_iter().map(|run| run.run).collect(),
    })
}

/// One page of a user's workflows and their newest runs.
///
/// # Errors
/// 400 `workflows.cursor.invalid`.
pub async fn list(
    cloud: &Cloud,
    scope: Scope,
    limit: u32,
    cursor: Option<String>,
) -> Result<WorkflowsPage, ApiError> {
    let query = WorkflowQuery {
        scope,
        limit,
        cursor,
    };
    let page = cloud
        .store
        .page_workflows(&query)
        .await
        .map_err(|error| match error {
            StoreError::InvalidCursor => ApiError::policy(
                StatusCode::BAD_REQUEST,
                "workflows.cursor.invalid",
                "The page cursor doesn't belong to this list; start again from the first page.",
            ),
            error => error.into(),
        })?;
    let ids: Vec<WorkflowId> = page
        .rows
        .iter()
        .map(|row| row.workflow.id.clone())
        .collect();
    let runs = cloud.store.runs_of(&query.scope, &ids).await?;
    Ok(WorkflowsPage {
        workflows: page
            .rows
            .into_iter()
            .map(|row| shown(cloud, row.workflow))
            .collect(),
        runs: runs.into_iter().map(|run| run.run).collect(),
        next_cursor: page.next,
        total_estimate: page.total_estimate.into(),
    })
}

/// A workflow with its runs.
///
/// # Errors
/// 404.
pub async fn read(
    cloud: &Cloud,
    scope: &Scope,
    id: &WorkflowId,
) -> Result<WorkflowDetail, ApiError> {
    let found = cloud.store.workflow(scope, id).await?;
    detail(cloud, found.ok_or_else(not_found)?).await
}

/// Makes a workflow; a webhook trigger gets a secret, which is shown here and never again.
///
/// # Errors
/// 400 and 403 of [`draft::normalize`], 503 when secrets can't be kept.
pub async fn create(
    call: &Call,
    scope: &Scope,
    drafted: WorkflowDraft,
) -> Result<WorkflowWithSecret, ApiError> {
    let cloud = &call.cloud;
    let id = WorkflowId::new(call.new_id("workflow"));
    let mut triggers = 0;
    let new_id = || {
        triggers += 1;
        call.new_id(&format!("trigger-{triggers}"))
    };
    let profile = &cloud.options.profile;
    let workflow = draft::normalize(drafted, id, profile, cloud.now(), new_id)?;
    let (stored, reveal) = match webhook_trigger(&workflow).map(str::to_owned) {
        Some(trigger) => {
            let (stored, reveal) = new_secret(cloud, scope, &workflow.id, &trigger).await?;
            (Some(stored), Some(reveal))
        }
        None => (None, None),
    };
    let row = cloud.store.create_workflow(scope, workflow, stored).await?;
    Ok(WorkflowWithSecret {
        workflow: detail(cloud, row).await?,
        webhook_secret_reveal: reveal,
    })
}

/// A new webhook secret: what is kept, and what is shown once.
async fn new_secret(
    cloud: &Cloud,
    scope: &Scope,
    workflow: &WorkflowId,
    trigger: &str,
) -> Result<(StoredSecret, WebhookSecretReveal), ApiError> {
    if cloud.secrets.mode() != SecretMode::EnvelopeV1 {
        return Err(ApiError::unavailable(
            "secrets.unavailable",
            "Webhooks need a secret key of this deployment; ask its operator to set one.",
        ));
    }
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| ApiError::internal())?;
    let secret = URL_SAFE_NO_PAD.encode(bytes);
    let context = secret_context(&scope.tenant_id, workflow, trigger);
    let ciphertext = cloud
        .secrets
        .protect(&SecretString::from(secret.as_str()), &context)
        .await?;
    let stored = StoredSecret {
        trigger_id: trigger.to_owned(),
        ciphertext,
    };
    let reveal = WebhookSecretReveal {
        workflow_id: workflow.clone(),
        trigger_id: trigger.to_owned(),
        secret,
    };
    Ok((stored, reveal))
}

/// Pauses, resumes or archives.
///
/// # Errors
/// 404; 409 for resuming a workflow whose webhook has no secret.
pub async fn change(
    cloud: &Cloud,
    scope: &Scope,
    id: &WorkflowId,
    change: WorkflowChange,
) -> Result<WorkflowDetail, ApiError> {
    let row = cloud
        .store
        .change_workflow(scope, id, change, cloud.now())
        .await;
    detail(cloud, row.map_err(missing)?).await
}

/// Gives the webhook another secret; the one before is void at once.
///
/// # Errors
/// 404 also without a webhook, 503 when secrets can't be kept.
pub async fn rotate_secret(
    cloud: &Cloud,
    scope: &Scope,
    id: &WorkflowId,
) -> Result<WorkflowWithSecret, ApiError> {
    let row = cloud
        .store
        .workflow(scope, id)
        .await?
        .ok_or_else(not_found)?;
    let Some(trigger) = webhook_trigger(&row.workflow).map(str::to_owned) else {
        return Err(not_found());
    };
    let (stored, reveal) = new_secret(cloud, scope, id, &trigger).await?;
    let now = cloud.now();
    cloud
        .store
        .set_webhook_secret(scope, id, stored, now)
        .await
        .map_err(missing)?;
    Ok(WorkflowWithSecret {
        workflow: detail(cloud, row).await?,
        webhook_secret_reveal: Some(reveal),
    })
}

/// Who starts a run, and with what.
pub struct Start {
    /// Owner.
    pub scope: Scope,
    /// The workflow.
    pub workflow: WorkflowId,
    /// The run's id: the same again starts nothing twice.
    pub run: RunId,
    /// What starts it.
    pub trigger: TriggerKind,
    /// What the trigger brought along.
    pub payload: Option<JsonObject>,
}

impl Start {
    /// A person's start.
    pub fn manual(call: &Call, request: RunWorkflow) -> Result<Self, ApiError> {
        Ok(Start {
            scope: call.scope()?,
            workflow: WorkflowId::new(call.param("id")),
            run: RunId::new(call.new_id("run")),
            trigger: request.trigger_type.unwrap_or(TriggerKind::Manual),
            payload: request.trigger_payload,
        })
    }
}

/// Starts a run: makes it, its session and its prompt.
///
/// # Errors
/// 402 by the plan, 404, 409 while another run is under way or the workflow is paused or archived, 429 at a quota.
pub async fn start(cloud: &Cloud, start: Start) -> Result<StartedRun, ApiError> {
    let tenant = &start.scope.tenant_id;
    entitled(cloud, tenant).await?;
    let quotas = billing::quotas(cloud, tenant).await?;
    let new = NewRun {
        scope: start.scope,
        workflow_id: start.workflow,
        run_id: start.run,
        trigger: start.trigger,
        payload: start.payload,
        claimed_by: Some("web".to_owned()),
        limits: RunLimits {
            concurrent: quotas.concurrent_workflow_runs,
            per_hour: quotas.workflow_runs_per_hour,
        },
    };
    let created = cloud
        .store
        .create_run(new, cloud.now())
        .await
        .map_err(missing)?;
    let row = created.run.clone();
    let processed = match created.into_claimed() {
        Some(claimed) => begin(cloud, &claimed).await?,
        // Asked for before: whatever is missing of it is the scheduler's.
        None => 0,
    };
    answer(cloud, row, processed).await
}

/// Whether the organisation's plan takes the prompt of a run.
async fn entitled(cloud: &Cloud, tenant: &TenantId) -> Result<(), ApiError> {
    let wish = BillingWish {
        profile: Some(&cloud.options.profile.name),
        ..BillingWish::to(BillingAction::PromptEnqueue)
    };
    billing::gate(cloud, tenant, wish).await
}

/// Session, attachment, prompt. A refusal that no repetition helps ends the run.
async fn begin(cloud: &Cloud, claimed: &ClaimedRun) -> Result<u64, ApiError> {
    let tenant = &claimed.run.scope.tenant_id;
    if let Err(denied) = entitled(cloud, tenant).await {
        if denied.status == StatusCode::PAYMENT_REQUIRED {
            let outcome = RunOutcome::Failed {
                error: denied.message.clone(),
                code: Some(denied.code.clone()),
            };
            let (run, now) = (claimed.run.key(), cloud.now());
            cloud.store.finish_run(&run, outcome, now).await?;
        }
        return Err(denied);
    }
    let quotas = billing::quotas(cloud, tenant).await?;
    let started = start_run_in(
        &cloud.log,
        &*cloud.store,
        claimed,
        &cloud.options.profile.name,
        quotas.queue,
        cloud.now(),
    )
    .await;
    let key = claimed.run.session();
    if let Err(error) = started {
        if let Some(cause @ StoreError::Quota(denial)) = error.store_error() {
            let outcome = RunOutcome::Failed {
                error: cause.to_string(),
                code: Some(denial.code.clone()),
            };
            cloud
                .store
                .finish_run(&claimed.run.key(), outcome, cloud.now())
                .await?;
        }
        return Err(error.into());
    }
    cloud.bus.publish(Topic::Commands(key.clone()));
    Ok(match &cloud.executor {
        Some(executor) => executor.process(&key).await?.into(),
        None => 0,
    })
}

async fn answer(cloud: &Cloud, row: RunRow, processed: u64) -> Result<StartedRun, ApiError> {
    let key = row.session();
    let workflow = cloud
        .store
        .workflow(&row.scope, &row.run.workflow_id)
        .await?;
    let workflow = workflow.ok_or_else(not_found)?.workflow;
    let run = cloud.store.run(&row.key()).await?.unwrap_or(row);
    let command = cloud.store.command(&key, &run::command_id(&run)).await?;
    // A run that was asked for before, and whose first start died, has none yet.
    let command = command.ok_or_else(|| {
        ApiError::unavailable(
            "workflows.starting",
            "The run is being started; try again in a moment.",
        )
    })?;
    Ok(StartedRun {
        tenant_id: run.scope.tenant_id.clone(),
        workflow: shown(cloud, workflow),
        session_id: key.session_id,
        run: run.run,
        command,
        processed,
    })
}

/// Claims and starts at most one due run.
///
/// # Errors
/// As the store and the worker say.
pub async fn tick(cloud: &Cloud) -> Result<SchedulerTick, ApiError> {
    let now = cloud.now();
    let claimed = cloud
        .store
        .claim_due("web-scheduler", run_limits(cloud), now)
        .await?;
    let Some(claimed) = claimed else {
        return Ok(SchedulerTick {
            claimed: None,
            processed: 0,
        });
    };
    let processed = begin(cloud, &claimed).await?;
    Ok(SchedulerTick {
        processed,
        claimed: Some(TickClaim {
            tenant_id: claimed.run.scope.tenant_id.clone(),
            workflow_id: claimed.run.run.workflow_id.clone(),
            session_id: claimed.run.session().session_id,
            run_id: claimed.run.run.id,
        }),
    })
}
