//! What a user's OpenCode is started with: provider, keys, policy, profile (04 §4.4, §7.2; 05 §18).
//!
//! Keys of the organisation are revealed here and nowhere else. They go into the options of their provider inside
//! the composed config, never into an environment, and the redactor learns them before anything runs.

use crate::parts::{Shared, WorkerParts};
use open_cowork_config::cloud::EffectiveProfile;
use open_cowork_config::model::Config;
use open_cowork_config::model::mcps::{Mcp, McpType};
use open_cowork_config::placeholder::Inserted;
use open_cowork_config::source::insert;
use open_cowork_contracts::TenantId;
use open_cowork_contracts::api::admin::{AuditActor, AuditEvent};
use open_cowork_policy::managed::{KeySource, ManagedPolicy};
use open_cowork_providers::billing::{BillingAction, BillingWish};
use open_cowork_providers::executor::ExecutionError;
use open_cowork_providers::secrets::SecretError;
use open_cowork_providers::store::governance::{StoredByok, byok_context};
use open_cowork_providers::store::{ControlPlane, Scope, StoreError};
use open_cowork_providers::time::{Timestamp, iso};
use open_cowork_runtime_host::config::{
    ComposeInput, ComposedConfig, ModelCost, ModelEntry, ModelLimit, ProviderChoice, Restriction,
    compose, key_field,
};
use open_cowork_runtime_host::error::HostError;
use open_cowork_runtime_host::home::HomePaths;
use open_cowork_runtime_host::mcp::{self, McpInput, ServerSettings, SystemResolver};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Shorter values are words, not keys: removing them would damage what people write.
pub(crate) const SHORTEST_KEY: usize = 8;

/// Why a runtime can't be provisioned. None of these messages holds a key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProvisionError {
    /// Keys to be mended by an administrator (04 §7.2).
    #[error("{message}")]
    Byok {
        /// `missing_required_byok`, `kms_not_supported`, …
        code: &'static str,
        /// One sentence.
        message: String,
    },
    /// A stored key can't be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The configuration can't become a config, or the policy forbids it.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The managed policy can't be understood: nothing runs under it.
    #[error(transparent)]
    Policy(#[from] open_cowork_policy::managed::PolicyError),
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ProvisionError {
    fn byok(code: &'static str, message: impl Into<String>) -> Self {
        ProvisionError::Byok {
            code,
            message: message.into(),
        }
    }

    /// Trying the same again in a moment may help.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            ProvisionError::Store(error) => error.is_transient(),
            ProvisionError::Secret(SecretError::Provider) => true,
            ProvisionError::Host(error) => error.is_retryable(),
            _ => false,
        }
    }

    /// As the HTTP side answers it.
    pub(crate) fn to_execution(&self) -> ExecutionError {
        let (status, code) = match self {
            ProvisionError::Byok { code, .. } => (409, Some(format!("byok.{code}"))),
            ProvisionError::Policy(_) | ProvisionError::Host(HostError::Policy(_)) => {
                (403, Some("policy.provider_not_allowed".to_owned()))
            }
            ProvisionError::Secret(_) => (503, Some("byok.unreadable".to_owned())),
            _ => (503, None),
        };
        ExecutionError {
            status,
            code,
            message: self.to_string(),
        }
    }
}

/// The active keys of a tenant, as stored, and a stamp that changes whenever one of them or the policy does.
pub(crate) struct Grants {
    keys: Vec<StoredByok>,
    policy: ManagedPolicy,
    /// Equal stamps: nothing changed.
    pub(crate) stamp: String,
}

/// Reads what the organisation grants. Reveals nothing.
pub(crate) async fn grants(
    store: &dyn ControlPlane,
    tenant: &TenantId,
) -> Result<Grants, ProvisionError> {
    let keys = store.active_byoks(tenant).await?;
    let record = store.policy(tenant).await?;
    let mut stamp = Sha256::new();
    for key in &keys {
        stamp.update(key.secret.secret_id.as_bytes());
        stamp.update([0]);
    }
    let policy = match &record {
        Some(record) => {
            stamp.update(record.updated_at.as_bytes());
            let text = serde_json::Value::Object(record.policy.clone()).to_string();
            // A policy that can't be understood permits nothing (05 §19.2).
            ManagedPolicy::parse(&text)?
        }
        None => ManagedPolicy::default(),
    };
    Ok(Grants {
        keys,
        policy,
        stamp: stamp
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    })
}

/// Reveals the keys, each with its entry in the audit log, and tells the redactor.
async fn reveal(
    parts: &WorkerParts,
    scope: &Scope,
    keys: &[StoredByok],
    now: Timestamp,
) -> Result<BTreeMap<String, SecretString>, ProvisionError> {
    if keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    let org = parts
        .store
        .org(&scope.tenant_id)
        .await?
        .ok_or(StoreError::Missing("organization"))?;
    let mut revealed = BTreeMap::new();
    let mut audit = Vec::new();
    for key in keys {
        let provider = &key.secret.provider_id;
        let Some(ciphertext) = &key.ciphertext else {
            return Err(ProvisionError::byok(
                "kms_not_supported",
                format!(
                    "The key of {provider} is kept in a key service that this worker can't reach; store the key itself."
                ),
            ));
        };
        if key.secret.last_validated_at.is_none() {
            continue; // only a key that was judged is revealed (04 §7.2)
        }
        let context = byok_context(org.org_id.as_str(), provider, &key.secret.secret_id);
        let secret = parts.secrets.reveal(ciphertext, &context).await?;
        let exposed = secret.expose_secret();
        if exposed.len() >= SHORTEST_KEY {
            parts.redactor.learn([exposed.to_owned()]);
        }
        audit.push(AuditEvent {
            event_id: format!(
                "byok-revealed:{}:{}",
                key.secret.secret_id,
                now.as_nanosecond()
            ),
            org_id: org.org_id.clone(),
            account_id: None,
            actor_type: AuditActor::System,
            actor_id: Some("cloud-worker".to_owned()),
            event_type: "byok_secret.revealed".to_owned(),
            target_type: Some("byok_secret".to_owned()),
            target_id: Some(key.secret.secret_id.clone()),
            metadata: Map::from_iter([
                ("provider".to_owned(), json!(provider)),
                ("purpose".to_owned(), json!("runtime_config")),
                ("userId".to_owned(), json!(scope.user_id)),
            ]),
            created_at: iso(now),
        });
        revealed.insert(provider.clone(), secret);
    }
    // What is not in the audit log is not used.
    parts.store.record_audit(&scope.tenant_id, &audit).await?;
    Ok(revealed)
}

/// The keys of the providers that the organisation's plan includes, and the providers that it doesn't (04 §7.2, §8).
async fn entitled(
    shared: &Shared,
    scope: &Scope,
    mut keys: Vec<StoredByok>,
) -> Result<(Vec<StoredByok>, Vec<String>), ProvisionError> {
    let mut refused = Vec::new();
    if let Some(billing) = &shared.options.billing {
        let standing = billing.standing(&scope.tenant_id).await?;
        keys.retain(|key| {
            let provider = &key.secret.provider_id;
            let wish = BillingWish {
                provider: Some(provider),
                ..BillingWish::to(BillingAction::ByokProvider)
            };
            let may = standing.check(&wish).is_ok();
            if !may {
                refused.push(provider.clone());
            }
            may
        });
    }
    Ok((keys, refused))
}

/// The config of a user's OpenCode.
pub(crate) async fn config(
    shared: &Shared,
    scope: &Scope,
    grants: &Grants,
    home: &HomePaths,
) -> Result<ComposedConfig, ProvisionError> {
    let (options, redactor) = (&shared.options, &shared.parts.redactor);
    let (stored, refused) = entitled(shared, scope, grants.keys.clone()).await?;
    let keys = reveal(&shared.parts, scope, &stored, shared.now()).await?;
    let chosen = choose(&options.config, &keys, options.demo_endpoint.as_deref());
    let chosen = match (chosen, refused.first()) {
        (Err(_), Some(provider)) => {
            return Err(ProvisionError::byok(
                "provider_not_entitled",
                format!(
                    "The organisation's plan doesn't include {provider}; an owner changes the plan under Billing."
                ),
            ));
        }
        (chosen, _) => chosen?,
    };
    if keys.contains_key(chosen.id()) {
        grants
            .policy
            .check_key(chosen.id(), KeySource::Organisation)?;
    }
    // What the policy doesn't let run with such a key runs without it.
    let permitted = |id: &String| grants.policy.check_key(id, KeySource::Organisation).is_ok();
    let keys = keys.into_iter().filter(|(id, _)| permitted(id)).collect();
    let mut input = input(&options.config, chosen, keys);
    // What the configuration's placeholders may name, and nothing else of this process.
    input.variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| options.config.allowed_env_placeholders.contains(name))
        .collect();
    input.files = inserted(options.option_files.clone()).await;
    input.managed = grants.policy.clone();
    let product = under_profile(&options.config, options.profile.as_ref());
    if let Some(profile) = &options.profile {
        input.restriction = Some(Restriction {
            agents: profile.agents.clone(),
            tools: profile.tools.clone(),
        });
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = mcp::Places {
        shipped: Vec::new(),
        search_path: std::env::split_paths(&path).collect(),
        content_roots: Vec::new(),
        project: None,
    };
    input.servers = mcp::evaluate(
        &McpInput {
            product: &product.mcps,
            own: &[],
            settings: &ServerSettings::default(),
            mcp: input.effective_dimensions().mcp,
            own_permitted: false,
            places: &places,
        },
        &SystemResolver,
    )
    .await;
    input.product = Some(product);
    let config = compose(&input, home)?;
    let secrets = config.secrets().iter().map(|secret| secret.expose_secret());
    redactor.learn(secrets.filter(|secret| secret.len() >= SHORTEST_KEY));
    Ok(config)
}

/// The files that the options of the configuration's providers name, as they are now: a key that was renewed there is
/// taken up by the next start.
async fn inserted(files: BTreeMap<String, PathBuf>) -> BTreeMap<String, Inserted> {
    if files.is_empty() {
        return BTreeMap::new();
    }
    let read = move || {
        let read = files
            .into_iter()
            .map(|(named, path)| (named, insert(&path)));
        read.collect()
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_default()
}

/// The configuration with only those MCP servers that the profile permits (04 §4.4).
fn under_profile(config: &Arc<Config>, profile: Option<&EffectiveProfile>) -> Arc<Config> {
    let Some(profile) = profile else {
        return config.clone();
    };
    let permitted = |server: &Mcp| {
        profile
            .mcp(&server.name, server.kind == McpType::Local)
            .is_ok()
    };
    if config.mcps.iter().all(permitted) {
        return config.clone();
    }
    let mut restricted = Config::clone(config);
    restricted.mcps.retain(permitted);
    Arc::new(restricted)
}

/// Which provider answers (05 §18.2): the configured default, else one that has a key, else the demo.
fn choose(
    config: &Config,
    keys: &BTreeMap<String, SecretString>,
    demo: Option<&str>,
) -> Result<ProviderChoice, ProvisionError> {
    let providers = &config.providers;
    let described = |id: &str| {
        providers
            .descriptors
            .as_ref()
            .is_some_and(|all| all.contains_key(id))
            || providers
                .custom
                .as_ref()
                .is_some_and(|all| all.contains_key(id))
    };
    let choice = |id: &str| match described(id) {
        true => ProviderChoice::Configured { id: id.to_owned() },
        false => ProviderChoice::Known {
            id: id.to_owned(),
            options: Map::new(),
        },
    };
    let default = providers
        .default_provider
        .as_deref()
        .filter(|id| !id.trim().is_empty());
    let needs_key = |id: &str| {
        key_field(config, id)
            .is_some_and(|field| field.secret == Some(true) && field.required == Some(true))
    };
    match default {
        Some(id) if keys.contains_key(id) || (described(id) && !needs_key(id)) => Ok(choice(id)),
        _ => {
            let offered = providers.available.iter().find(|id| keys.contains_key(*id));
            let keyed = offered.or_else(|| keys.keys().find(|_| providers.available.is_empty()));
            match (keyed, demo) {
                (Some(id), _) => Ok(choice(id)),
                (None, Some(endpoint)) => Ok(ProviderChoice::OpenAiCompatible {
                    id: "custom".to_owned(),
                    name: "Scripted demo model".to_owned(),
                    base_url: endpoint.to_owned(),
                    models: vec![demo_model()],
                }),
                (None, None) => Err(ProvisionError::byok(
                    "missing_required_byok",
                    match default {
                        Some(id) => format!(
                            "The model provider {id} has no key yet; an administrator adds one under Provider keys."
                        ),
                        None => "No model provider has a key yet; an administrator adds one under Provider keys."
                            .to_owned(),
                    },
                )),
            }
        }
    }
}

fn input(
    config: &Config,
    chosen: ProviderChoice,
    keys: BTreeMap<String, SecretString>,
) -> ComposeInput {
    let is_demo = matches!(chosen, ProviderChoice::OpenAiCompatible { .. });
    let model = match &chosen {
        ProviderChoice::OpenAiCompatible { models, .. } => {
            models.first().map(|model| model.id.clone())
        }
        ProviderChoice::Known { .. } => config.providers.default_model.clone(),
        ProviderChoice::Configured { .. } => None,
    };
    let mut input = ComposeInput::new(chosen, model.unwrap_or_default());
    if is_demo {
        input.api_key = Some(SecretString::from("demo"));
    }
    input.keys = keys;
    input
}

fn demo_model() -> ModelEntry {
    ModelEntry {
        id: "fake-model".to_owned(),
        name: Some("Scripted demo model".to_owned()),
        limit: Some(ModelLimit {
            context: 100_000,
            output: 8_192,
        }),
        cost: Some(ModelCost {
            input: 3.0,
            output: 15.0,
            cache_read: None,
            cache_write: None,
        }),
        reasoning: None,
    }
}
