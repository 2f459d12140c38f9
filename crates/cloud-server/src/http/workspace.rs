//! Config, workspace, runtime (03 §8.1), and the API's description.

use crate::call::Call;
use crate::cloud::{Cloud, Options};
use crate::error::ApiError;
use crate::reply::{self, Answer};
use crate::route::{Access, Route};
use crate::sse;
use axum::http::{Method, StatusCode};
use open_cowork_config::model::cloud::CloudRole;
use open_cowork_contracts::JsonObject;
use open_cowork_contracts::access::{BuiltInRole, CloudAction, PrincipalClass};
use open_cowork_contracts::api::policy::ManagedPolicyRecord;
use open_cowork_contracts::api::workspace::{
    CloudConfig, CloudRuntimeStatus, CloudWorkspace, CommandProcessing, Heartbeats, ProcessRole,
};
use open_cowork_contracts::workspace::{LocalAccess, WorkspacePolicy};
use open_cowork_policy::managed::ManagedPolicy;
use serde_json::Value;

/// Heartbeats of an answer.
const HEARTBEATS: u32 = 500;

/// The routes.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "config",
            CloudAction::WorkspaceRead,
            "The profile, its switches and the brand",
            config,
        )
        .answers::<CloudConfig>(),
        Route::get(
            "workspace",
            CloudAction::WorkspaceRead,
            "Who asks, and what their workspace allows",
            workspace,
        )
        .answers::<CloudWorkspace>(),
        Route::get(
            "runtime/status",
            CloudAction::OperatorRuntimeRead,
            "How commands are executed here",
            runtime_status,
        )
        .answers::<CloudRuntimeStatus>(),
        Route::get(
            "workers/heartbeats",
            CloudAction::OperatorRuntimeRead,
            "Signs of life of all loops",
            heartbeats,
        )
        .answers::<Heartbeats>(),
        Route::get(
            "events",
            CloudAction::WorkspaceEvents,
            "Follows the events of the caller's workspace",
            events,
        )
        .query(&[
            ("after", "The last sequence that the caller has seen"),
            (
                "snapshot",
                "`true`, without a cursor: begin with the list of threads",
            ),
        ])
        .streaming(),
        Route::new(
            Method::GET,
            "/openapi.json",
            Access::Open,
            "This description",
            description,
        ),
    ]
}

/// The role in its wire form.
pub(crate) fn role(options: &Options) -> ProcessRole {
    match options.role {
        CloudRole::AllInOne => ProcessRole::AllInOne,
        CloudRole::Web => ProcessRole::Web,
        CloudRole::Worker => ProcessRole::Worker,
        CloudRole::Scheduler => ProcessRole::Scheduler,
    }
}

async fn config(call: Call) -> Answer {
    let cloud = &call.cloud;
    let options = &cloud.options;
    let principal = call.principal()?;
    let policy = cloud.store.policy(&principal.tenant_id).await?;
    let branding = match &options.public_branding {
        serde_json::Value::Null => None,
        branding => serde_json::from_value(branding.clone()).ok(),
    };
    reply::ok(&CloudConfig {
        role: role(options),
        profile_name: options.profile.name.clone(),
        features: options.profile.features.clone(),
        allowed_agents: options.profile.agents.clone(),
        allowed_tools: options.profile.tools.clone(),
        allowed_mcps: options.profile.mcps.clone(),
        managed_policy: managed_policy(policy)?,
        public_branding: branding,
    })
}

async fn workspace(call: Call) -> Answer {
    let options = &call.cloud.options;
    let principal = call.principal()?;
    let name = principal.tenant_name.clone();
    let org_name = name
        .clone()
        .unwrap_or_else(|| principal.tenant_id.to_string());
    reply::ok(&CloudWorkspace {
        tenant_id: principal.tenant_id.clone(),
        tenant_name: name,
        org_id: principal.org_id.clone(),
        workspace_id: Some(format!("cloud:{}", principal.tenant_id)),
        label: Some(org_name.clone()),
        org_name,
        user_id: principal.user_id.clone(),
        account_id: principal.account_id.clone(),
        email: principal.email.clone(),
        role: principal.role.unwrap_or(BuiltInRole::Member),
        profile_name: options.profile.name.clone(),
        policy: WorkspacePolicy {
            features: options.profile.features.clone(),
            allowed_agents: options.profile.agents.clone(),
            allowed_tools: options.profile.tools.clone(),
            allowed_mcps: options.profile.mcps.clone(),
            local_files: LocalAccess::Disabled,
            local_stdio_mcps: LocalAccess::Disabled,
            machine_runtime_config: LocalAccess::Disabled,
        },
    })
}

async fn runtime_status(call: Call) -> Answer {
    let cloud = &call.cloud;
    let who = call.who.as_ref();
    let operator = who.is_some_and(|who| who.access.class() != PrincipalClass::User);
    let heartbeats = match operator {
        true => Some(cloud.store.heartbeats(HEARTBEATS).await?),
        false => None,
    };
    reply::ok(&CloudRuntimeStatus {
        role: role(&cloud.options),
        profile_name: cloud.options.profile.name.clone(),
        can_execute: matches!(cloud.options.role, CloudRole::AllInOne | CloudRole::Worker),
        command_processing: processing(cloud),
        checkpoints: false,
        heartbeats,
        ready: Some(!cloud.is_draining()),
    })
}

pub(crate) fn processing(cloud: &Cloud) -> CommandProcessing {
    match (cloud.executor.is_some(), cloud.options.role) {
        (true, _) => CommandProcessing::Inline,
        (false, CloudRole::Worker | CloudRole::AllInOne) => CommandProcessing::Durable,
        (false, _) => CommandProcessing::Delegated,
    }
}

async fn heartbeats(call: Call) -> Answer {
    let heartbeats = call.cloud.store.heartbeats(HEARTBEATS).await?;
    reply::ok(&Heartbeats { heartbeats })
}

async fn events(call: Call) -> Answer {
    sse::workspace(&call).await
}

async fn description(call: Call) -> Answer {
    Ok(reply::bytes(StatusCode::OK, call.cloud.description()))
}

/// The policy as a view (03 §8.15). An organisation without one is unrestricted; one whose policy can't be read is
/// under the strictest.
fn managed_policy(stored: Option<ManagedPolicyRecord>) -> Result<JsonObject, ApiError> {
    let policy = match stored {
        None => ManagedPolicy::default(),
        Some(record) => {
            let text = Value::Object(record.policy).to_string();
            ManagedPolicy::parse_stored(&text).unwrap_or_else(|error| {
                tracing::error!(org = %record.org_id, %error, "a managed policy can't be read");
                ManagedPolicy::strict()
            })
        }
    };
    match serde_json::to_value(policy.view()) {
        Ok(Value::Object(view)) => Ok(view),
        _ => Err(ApiError::internal()),
    }
}
