//! Coworkers, channels and people (03 §8.23).

use super::{
    PROVIDERS, Reach, audit, channel, mismatch, provider, reach_or_admin, refused, short,
    short_or_none, small,
};
use crate::call::Call;
use crate::error::ApiError;
use crate::principal::Principal;
use crate::service::{acting, billing};
use axum::http::StatusCode;
use open_cowork_contracts::AccountId;
use open_cowork_contracts::access::AuthSource;
use open_cowork_contracts::api::channels::{
    ChannelAgents, ChannelBinding, ChannelBindingStatus, ChannelBindings, ChannelIdentities,
    ChannelIdentity, ChannelIdentityStatus, ChannelProvider, ChannelRole, CreateChannelAgent,
    CreateChannelBinding, HeadlessAgent, HeadlessAgentStatus, ResolveChannelIdentity,
    UpdateChannelAgent, UpdateChannelBinding,
};
use open_cowork_providers::billing::{BillingAction, BillingWish};
use open_cowork_providers::store::channels::{BindingRow, PeopleQuery, PersonKey, stable_id};
use std::collections::BTreeMap;

/// Who may administer channels: a token of the scope `desktop` passes the policy's table, but not here (03 §7).
///
/// # Errors
/// 403.
pub fn administrator(call: &Call) -> Result<&Principal, ApiError> {
    let principal = call.principal()?;
    let token = principal.source == AuthSource::ApiToken;
    match token && !principal.token_scopes.iter().any(|scope| scope == "admin") {
        false => Ok(principal),
        true => Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "channels.admin_required",
            "Channel administration requires an org admin or admin-scoped API token.",
        )),
    }
}

/// Whether the organisation's plan includes channels. Reading, and what only takes away, is never asked.
async fn entitled(call: &Call, principal: &Principal) -> Result<(), ApiError> {
    let wish = BillingWish::to(BillingAction::ChannelManage);
    billing::gate(&call.cloud, &principal.tenant_id, wish).await
}

/// The id of a new record: the local owner's word, a seed of everybody else's, or random.
pub(super) fn new_id(
    call: &Call,
    principal: &Principal,
    prefix: &str,
    (field, seed): (&str, Option<&String>),
    parts: &[&str],
) -> Result<String, ApiError> {
    let Some(seed) = short_or_none(field, seed)? else {
        let random = call.new_id(prefix);
        return Ok(stable_id(prefix, &[&principal.org_id, &random]));
    };
    if principal.source == AuthSource::Local {
        return Ok(seed);
    }
    let mut all = vec![principal.org_id.as_str()];
    all.extend_from_slice(parts);
    all.push(&seed);
    Ok(stable_id(prefix, &all))
}

/// All providers, and how many channels each has; own ones once a channel names them.
///
/// # Errors
/// 403.
pub async fn providers(call: &Call) -> Result<Vec<ChannelProvider>, ApiError> {
    let principal = administrator(call)?;
    let mut counts: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    let mut cursor: Option<String> = None;
    loop {
        let store = &call.cloud.store;
        let page = store
            .channel_bindings(&principal.tenant_id, None, cursor.as_deref(), 500)
            .await?;
        for row in page.rows {
            let count = counts.entry(row.binding.provider).or_default();
            count.0 += 1;
            count.1 += u32::from(row.binding.status == ChannelBindingStatus::Active);
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let known = PROVIDERS
        .iter()
        .map(|(id, label)| ((*id).to_owned(), (*label).to_owned()));
    let is_known = |id: &str| PROVIDERS.iter().any(|(known, _)| *known == id);
    let own = counts
        .keys()
        .filter(|id| !is_known(id))
        .map(|id| (id.clone(), id.clone()));
    let all: Vec<(String, String)> = known.chain(own).collect();
    Ok(all
        .into_iter()
        .map(|(id, label)| {
            let (bindings, active) = counts.get(&id).copied().unwrap_or_default();
            ChannelProvider {
                provider: id.clone(),
                id,
                label,
                available: true,
                connected: active > 0,
                binding_count: bindings,
                active_binding_count: active,
                status: if active > 0 { "connected" } else { "available" }.to_owned(),
            }
        })
        .collect())
}

/// Coworkers, touched last first.
///
/// # Errors
/// 403, 400 for a bad cursor.
pub async fn agents(call: &Call) -> Result<ChannelAgents, ApiError> {
    let tenant = &administrator(call)?.tenant_id;
    let (limit, cursor) = (call.query().limit(100, 500), call.query().text("cursor"));
    let store = &call.cloud.store;
    let page = store
        .channel_agents(tenant, cursor.as_deref(), limit)
        .await?;
    Ok(ChannelAgents {
        agents: page.rows,
        next_cursor: page.next,
    })
}

/// Makes a coworker.
///
/// # Errors
/// 400, 403, 409 for a seed that is used otherwise.
pub async fn create_agent(
    call: &Call,
    wish: CreateChannelAgent,
) -> Result<HeadlessAgent, ApiError> {
    let principal = administrator(call)?;
    entitled(call, principal).await?;
    let now = call.cloud.now_iso();
    let seed = ("agentId", wish.agent_id.as_ref());
    let profile = short_or_none("profileName", wish.profile_name.as_ref())?;
    let agent = HeadlessAgent {
        agent_id: new_id(call, principal, "channel_agent", seed, &[])?,
        org_id: acting::org_id(principal),
        tenant_id: principal.tenant_id.clone(),
        profile_name: profile.unwrap_or_else(|| call.cloud.options.profile.name.clone()),
        name: short("name", &wish.name)?,
        status: wish.status.unwrap_or(HeadlessAgentStatus::Active),
        managed: wish.managed.unwrap_or_default(),
        created_by_account_id: Some(AccountId::from(principal.account_id.as_str())),
        created_at: now.clone(),
        updated_at: now,
    };
    let made = call.cloud.store.create_channel_agent(agent).await?;
    audit(
        call,
        principal,
        "channel_agent.created",
        "channel_agent",
        &made.agent_id,
    )
    .await;
    Ok(made)
}

/// Changes a coworker.
///
/// # Errors
/// 400, 403, 404.
pub async fn update_agent(
    call: &Call,
    wish: UpdateChannelAgent,
) -> Result<HeadlessAgent, ApiError> {
    let principal = administrator(call)?;
    if wish.status != Some(HeadlessAgentStatus::Disabled) {
        entitled(call, principal).await?;
    }
    let missing = || ApiError::not_found("The channel coworker was not found.");
    let store = &call.cloud.store;
    let found = store
        .channel_agent(&principal.tenant_id, call.param("id"))
        .await?;
    let mut agent = found.ok_or_else(missing)?;
    if let Some(name) = short_or_none("name", wish.name.as_ref())? {
        agent.name = name;
    }
    if let Some(profile) = short_or_none("profileName", wish.profile_name.as_ref())? {
        agent.profile_name = profile;
    }
    agent.status = wish.status.unwrap_or(agent.status);
    agent.managed = wish.managed.unwrap_or(agent.managed);
    agent.updated_at = call.cloud.now_iso();
    let changed = store
        .update_channel_agent(agent)
        .await?
        .ok_or_else(missing)?;
    audit(
        call,
        principal,
        "channel_agent.updated",
        "channel_agent",
        &changed.agent_id,
    )
    .await;
    Ok(changed)
}

/// Channels, touched last first.
///
/// # Errors
/// 403, 400 for a bad cursor.
pub async fn bindings(call: &Call) -> Result<ChannelBindings, ApiError> {
    let tenant = &administrator(call)?.tenant_id;
    let query = call.query();
    let (agent, cursor) = (query.text("agentId"), query.text("cursor"));
    let limit = query.limit(100, 500);
    let store = &call.cloud.store;
    let page = store
        .channel_bindings(tenant, agent.as_deref(), cursor.as_deref(), limit)
        .await?;
    Ok(ChannelBindings {
        bindings: page.rows.into_iter().map(|row| row.binding).collect(),
        next_cursor: page.next,
    })
}

/// Where a reference says that a credential is; a plain secret is refused.
fn credential_kind(reference: &str) -> Result<String, ApiError> {
    let reference = short("credentialRef", reference)?;
    let kind = match reference.split_once(':').map(|(scheme, _)| scheme) {
        Some("env") => "env",
        Some("gcp-sm" | "gcp-secret-manager") => "gcp-secret-manager",
        Some("aws-sm" | "aws-secrets-manager") => "aws-secrets-manager",
        Some("azure-kv" | "azure-key-vault") => "azure-key-vault",
        Some("secret-ref" | "secret") => "secret-ref",
        _ => {
            return Err(ApiError::invalid(
                "Field `credentialRef` must name where the credential is, such as `env:SLACK_TOKEN`; never the credential itself.",
            ));
        }
    };
    Ok(kind.to_owned())
}

/// Connects a channel.
///
/// # Errors
/// 400, 403, 404 for an unknown coworker, 409 for a seed that is used otherwise, 429 at the cap.
pub async fn create_binding(
    call: &Call,
    wish: CreateChannelBinding,
) -> Result<ChannelBinding, ApiError> {
    let principal = administrator(call)?;
    entitled(call, principal).await?;
    let now = call.cloud.now_iso();
    let settings = wish.settings.unwrap_or_default();
    small("settings", &settings)?;
    let kind = wish
        .credential_ref
        .as_deref()
        .map(credential_kind)
        .transpose()?;
    let seed = ("bindingId", wish.binding_id.as_ref());
    let binding = ChannelBinding {
        binding_id: new_id(call, principal, "channel_binding", seed, &[])?,
        org_id: acting::org_id(principal),
        agent_id: wish.agent_id,
        provider: provider(&wish.provider)?,
        external_workspace_id: short_or_none(
            "externalWorkspaceId",
            wish.external_workspace_id.as_ref(),
        )?,
        display_name: short("displayName", &wish.display_name)?,
        status: wish.status.unwrap_or(ChannelBindingStatus::Active),
        credential_ref_configured: kind.is_some(),
        credential_ref_kind: kind,
        settings,
        created_at: now.clone(),
        updated_at: now,
    };
    let row = BindingRow {
        binding,
        credential_ref: wish.credential_ref,
    };
    let quotas = billing::quotas(&call.cloud, &principal.tenant_id).await?;
    let most = quotas.gateway_channel_bindings;
    let store = &call.cloud.store;
    let made = store
        .create_channel_binding(&principal.tenant_id, row, most)
        .await?;
    let id = &made.binding.binding_id;
    audit(
        call,
        principal,
        "channel_binding.created",
        "channel_binding",
        id,
    )
    .await;
    Ok(made.binding)
}

/// Changes a channel.
///
/// # Errors
/// 400, 403, 404, 429 at the cap.
pub async fn update_binding(
    call: &Call,
    wish: UpdateChannelBinding,
) -> Result<ChannelBinding, ApiError> {
    let principal = administrator(call)?;
    if wish.status != Some(ChannelBindingStatus::Disabled) {
        entitled(call, principal).await?;
    }
    let missing = || ApiError::not_found("The channel binding was not found.");
    let (tenant, store) = (&principal.tenant_id, &call.cloud.store);
    let found = store.channel_binding(tenant, call.param("id")).await?;
    let mut row = found.ok_or_else(missing)?;
    if let Some(name) = short_or_none("displayName", wish.display_name.as_ref())? {
        row.binding.display_name = name;
    }
    if let Some(reference) = wish.credential_ref {
        let kind = reference.as_deref().map(credential_kind).transpose()?;
        row.binding.credential_ref_configured = kind.is_some();
        row.binding.credential_ref_kind = kind;
        row.credential_ref = reference;
    }
    if let Some(settings) = wish.settings {
        small("settings", &settings)?;
        row.binding.settings = settings;
    }
    row.binding.status = wish.status.unwrap_or(row.binding.status);
    row.binding.updated_at = call.cloud.now_iso();
    let quotas = billing::quotas(&call.cloud, &principal.tenant_id).await?;
    let most = quotas.gateway_channel_bindings;
    let changed = store.update_channel_binding(tenant, row, most).await?;
    let changed = changed.ok_or_else(missing)?.binding;
    let id = &changed.binding_id;
    audit(
        call,
        principal,
        "channel_binding.updated",
        "channel_binding",
        id,
    )
    .await;
    Ok(changed)
}

/// People, touched last first.
///
/// # Errors
/// 403, 400 for an unknown role or status or a bad cursor.
pub async fn identities(call: &Call) -> Result<ChannelIdentities, ApiError> {
    let tenant = &administrator(call)?.tenant_id;
    let query = call.query();
    let query = PeopleQuery {
        provider: query.text("provider"),
        external_workspace_id: query.text("externalWorkspaceId"),
        role: query.name("role", ChannelRole::ALL, ChannelRole::as_str)?,
        status: query.name(
            "status",
            ChannelIdentityStatus::ALL,
            ChannelIdentityStatus::as_str,
        )?,
        cursor: query.text("cursor"),
        limit: query.limit(100, 500),
    };
    let page = call.cloud.store.channel_identities(tenant, &query).await?;
    Ok(ChannelIdentities {
        identities: page.rows,
        next_cursor: page.next,
    })
}

/// Finds or makes a person. First seen through a gateway they are `viewer` and `pending`; only an administrator sets
/// account, role and status.
///
/// # Errors
/// 400, 403.
pub async fn resolve_identity(
    call: &Call,
    wish: ResolveChannelIdentity,
) -> Result<ChannelIdentity, ApiError> {
    let principal = call.principal()?;
    let reach = reach_or_admin(call).await?;
    let provider = provider(&wish.provider)?;
    let mut workspace = short_or_none("externalWorkspaceId", wish.external_workspace_id.as_ref())?;
    if let Some(id) = &wish.channel_binding_id {
        let row = channel(call, &reach, id).await?;
        if row.binding.provider != provider {
            return Err(mismatch());
        }
        workspace = workspace.or(row.binding.external_workspace_id);
    } else if let Reach::Granted(granted) = &reach {
        let mut speaks = false;
        for id in granted {
            let row = channel(call, &reach, id).await;
            speaks |= row.is_ok_and(|row| row.binding.provider == provider);
        }
        if !speaks {
            return Err(refused());
        }
    }
    let metadata = wish.metadata.unwrap_or_default();
    small("metadata", &metadata)?;
    let user = short("externalUserId", &wish.external_user_id)?;
    let gateway = matches!(reach, Reach::Granted(_));
    let key = PersonKey {
        provider: provider.clone(),
        external_workspace_id: workspace.clone(),
        external_user_id: user.clone(),
    };
    let (tenant, store) = (&principal.tenant_id, &call.cloud.store);
    let id = key.identity_id(&acting::org_id(principal));
    let known = store.channel_identity(tenant, &id).await?;
    let (account, role, status) = match (&known, gateway) {
        (Some(known), _) => (known.account_id.clone(), known.role, known.status),
        (None, _) => (None, ChannelRole::Viewer, ChannelIdentityStatus::Pending),
    };
    let wished_account = short_or_none("accountId", wish.account_id.as_ref())?;
    let sets =
        !gateway && (wished_account.is_some() || wish.role.is_some() || wish.status.is_some());
    let (account, role, status) = match gateway {
        true => (account, role, status),
        false => (
            wished_account
                .map(|id| AccountId::from(id.as_str()))
                .or(account),
            wish.role.unwrap_or(role),
            wish.status.unwrap_or(status),
        ),
    };
    let now = call.cloud.now_iso();
    let identity = ChannelIdentity {
        identity_id: id,
        org_id: acting::org_id(principal),
        provider,
        external_workspace_id: workspace,
        external_user_id: user,
        account_id: account,
        role,
        status,
        metadata,
        created_at: now.clone(),
        updated_at: now,
    };
    let made = store
        .upsert_channel_identity(tenant, identity, !sets)
        .await?;
    if sets {
        let id = &made.identity_id;
        audit(
            call,
            principal,
            "channel_identity.updated",
            "channel_identity",
            id,
        )
        .await;
    }
    Ok(made)
}
