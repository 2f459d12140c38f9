//! What an organisation may do on this deployment (03 §8.17).

use super::acting;
use crate::cloud::Cloud;
use crate::error::ApiError;
use crate::principal::Principal;
use open_cowork_contracts::access::Feature;
use open_cowork_contracts::api::admin::AdminOverview;
use open_cowork_contracts::api::admin::overview::{
    Availability, OverviewGateway, OverviewOrg, OverviewProfile, OverviewProviderKeys,
    OverviewRuntime, OverviewSignup, RemoteApprovals, SignupMode,
};
use open_cowork_contracts::api::identity::ORG_ACTIVE;
use serde_json::json;

/// The overview.
///
/// # Errors
/// When the store refuses.
pub async fn read(cloud: &Cloud, principal: &Principal) -> Result<AdminOverview, ApiError> {
    let stored = cloud.store.org(&principal.tenant_id).await?;
    let tenant_id = principal.tenant_id.clone();
    let org = match stored {
        Some(org) => OverviewOrg {
            org_id: org.org_id,
            tenant_id,
            name: org.name,
            plan_key: org.plan_key,
            status: org.status,
        },
        None => OverviewOrg {
            org_id: acting::org_id(principal),
            name: principal
                .tenant_name
                .clone()
                .unwrap_or_else(|| tenant_id.to_string()),
            tenant_id,
            plan_key: None,
            status: ORG_ACTIVE.to_owned(),
        },
    };
    let (governance, profile) = (&cloud.governance, &cloud.options.profile);
    let on = |feature: Feature| profile.features.get(feature.as_str()) == Some(&true);
    let switch = |on: bool| match on {
        true => Availability::Enabled,
        false => Availability::Disabled,
    };
    let invites = governance.signup.mode == SignupMode::Invite;
    Ok(AdminOverview {
        org,
        signup: OverviewSignup {
            mode: governance.signup.mode,
            allow_self_service_signup: governance.signup.self_service,
            allowed_email_domains: governance.signup.allowed_email_domains.clone(),
            invites_enabled: invites && governance.invite_secret.is_some(),
        },
        profile: OverviewProfile {
            name: profile.name.clone(),
            label: governance.profile_label.clone(),
            description: governance.profile_description.clone(),
        },
        features: profile.features.clone(),
        allowed_agents: profile.agents.clone(),
        allowed_tools: profile.tools.clone(),
        allowed_mcps: profile.mcps.clone(),
        runtime: OverviewRuntime {
            config_source: "app".to_owned(),
            machine_runtime_config: switch(profile.allow_machine_runtime_config),
            local_stdio_mcps: switch(profile.allow_local_stdio_mcps),
            host_project_directories: switch(profile.allow_host_project_directories),
            remote_approval_responses: match profile.allow_remote_approval_responses {
                true => RemoteApprovals::Allowlisted,
                false => RemoteApprovals::Disabled,
            },
        },
        project_sources: json!({
            "git": { "enabled": false },
            "uploadedSnapshot": { "enabled": false },
        }),
        gateway: OverviewGateway {
            channels_enabled: on(Feature::Channels),
            webhooks_enabled: on(Feature::Webhooks),
        },
        provider_keys: on(Feature::Byok).then(|| OverviewProviderKeys {
            allowed_provider_ids: governance.byok.allowed_providers.clone(),
            kms_refs_enabled: governance.byok.kms_refs,
            kms_ref_prefixes_configured: !governance.byok.kms_ref_prefixes.is_empty(),
            env_refs_enabled: governance.byok.env_refs,
        }),
    })
}
