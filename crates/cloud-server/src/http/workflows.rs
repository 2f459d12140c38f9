//! Workflows (03 §8.6).

use crate::call::Call;
use crate::error::ApiError;
use crate::reply::{self, Answer};
use crate::route::{Access, Route};
use crate::service::workflows::{self, Start};
use axum::http::{Method, StatusCode};
use open_cowork_contracts::WorkflowId;
use open_cowork_contracts::access::CloudAction;
use open_cowork_contracts::api::workflows::{
    RunWorkflow, SchedulerTick, StartedRun, WorkflowAnswer, WorkflowDraft, WorkflowWithSecret,
    WorkflowsPage,
};
use open_cowork_policy::capability::route::create_workflow;
use open_cowork_providers::store::workflows::{MAX_WORKFLOWS, WorkflowChange};
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;

/// Where a caller shows the deployment's internal token.
pub const INTERNAL_TOKEN: &str = "x-open-cowork-internal-token";

/// The routes.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "workflows",
            CloudAction::WorkflowsList,
            "The caller's workflows, touched last first, and their newest runs",
            list,
        )
        .query(&[
            ("limit", "Rows: 1 to 500, 100 when absent"),
            ("cursor", "`nextCursor` of the page before"),
        ])
        .answers::<WorkflowsPage>(),
        Route::new(
            Method::POST,
            "workflows",
            Access::ByBody(create_workflow),
            "Makes a workflow",
            create,
        )
        .takes::<WorkflowDraft>()
        .answers::<WorkflowWithSecret>()
        .status(201)
        .secret(),
        Route::get(
            "workflows/:id",
            CloudAction::WorkflowsGet,
            "A workflow with its newest runs",
            read,
        )
        .answers::<WorkflowAnswer>(),
        Route::post(
            "workflows/:id/run",
            CloudAction::WorkflowsRun,
            "Starts a run",
            run,
        )
        .takes::<RunWorkflow>()
        .answers::<StartedRun>()
        .status(202),
        Route::post(
            "workflows/:id/pause",
            CloudAction::WorkflowsPause,
            "Nothing starts it until it is resumed",
            pause,
        )
        .answers::<WorkflowAnswer>(),
        Route::post(
            "workflows/:id/resume",
            CloudAction::WorkflowsResume,
            "Makes it active again, also from the archive",
            resume,
        )
        .answers::<WorkflowAnswer>(),
        Route::post(
            "workflows/:id/archive",
            CloudAction::WorkflowsArchive,
            "Puts it away and revokes its webhook's secret",
            archive,
        )
        .answers::<WorkflowAnswer>(),
        Route::post(
            "workflows/:id/rotate-webhook-secret",
            CloudAction::WorkflowsRotateWebhookSecret,
            "Gives its webhook another secret",
            rotate,
        )
        .answers::<WorkflowWithSecret>()
        .secret(),
        Route::post(
            "workflows/scheduler/tick",
            CloudAction::WorkflowsSchedulerTick,
            "Starts what is due now, at most one run",
            tick,
        )
        .answers::<SchedulerTick>(),
    ]
}

fn id(call: &Call) -> WorkflowId {
    WorkflowId::new(call.param("id"))
}

async fn list(call: Call) -> Answer {
    let query = call.query();
    let (limit, cursor) = (query.limit(100, MAX_WORKFLOWS), query.text("cursor"));
    reply::ok(&workflows::list(&call.cloud, call.scope()?, limit, cursor).await?)
}

async fn create(call: Call) -> Answer {
    let draft: WorkflowDraft = call.json()?;
    reply::created(&workflows::create(&call, &call.scope()?, draft).await?)
}

async fn read(call: Call) -> Answer {
    let workflow = workflows::read(&call.cloud, &call.scope()?, &id(&call)).await?;
    reply::ok(&WorkflowAnswer { workflow })
}

async fn run(call: Call) -> Answer {
    let start = Start::manual(&call, call.json()?)?;
    reply::accepted(&workflows::start(&call.cloud, start).await?)
}

async fn pause(call: Call) -> Answer {
    change(call, WorkflowChange::Pause).await
}

async fn resume(call: Call) -> Answer {
    change(call, WorkflowChange::Resume).await
}

async fn archive(call: Call) -> Answer {
    change(call, WorkflowChange::Archive).await
}

async fn change(call: Call, change: WorkflowChange) -> Answer {
    let workflow = workflows::change(&call.cloud, &call.scope()?, &id(&call), change).await?;
    reply::ok(&WorkflowAnswer { workflow })
}

async fn rotate(call: Call) -> Answer {
    reply::ok(&workflows::rotate_secret(&call.cloud, &call.scope()?, &id(&call)).await?)
}

/// True when the request shows the deployment's internal token, whoever sends it.
pub(crate) fn is_internal(
    token: Option<&secrecy::SecretString>,
    headers: &axum::http::HeaderMap,
) -> bool {
    let shown = headers.get(INTERNAL_TOKEN);
    match (token, shown) {
        (Some(token), Some(shown)) => {
            bool::from(token.expose_secret().as_bytes().ct_eq(shown.as_bytes()))
        }
        _ => false,
    }
}

async fn tick(call: Call) -> Answer {
    let token = call.cloud.options.internal_token.as_ref();
    if token.is_none() {
        return Err(ApiError::not_found("Not found."));
    }
    if !is_internal(token, &call.headers) {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "workflows.internal_token_required",
            "The scheduler's tick needs the internal token of this deployment.",
        ));
    }
    reply::ok(&workflows::tick(&call.cloud).await?)
}
