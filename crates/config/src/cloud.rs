//! The cloud's configuration as a server uses it: the environment over the document, and what is in
//! force (02 §6). Pure functions; secrets are named, not fetched.

pub mod project_source;
mod table;

use crate::load::Loaded;
use crate::model::cloud::Cloud;
use crate::model::secret::{Secret, SecretRef};
use crate::normalize::{Signup, SignupInput};
use crate::overrides::{Kind, Overrides};
use open_cowork_contracts::finding::Finding;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// The prefix of the cloud's variables.
pub const PREFIX: &str = "OPEN_COWORK_CLOUD_";

/// Where a secret comes from. `Debug` shows references only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// Here.
    Inline(Secret),
    /// Kept elsewhere; to be fetched.
    Reference(SecretRef),
}

/// What kind of deployment this is (02 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeploymentTier {
    /// One machine, for oneself.
    Local,
    /// Somebody's own server.
    SelfHostBeta,
    /// Ours, by invitation.
    PrivateBeta,
    /// For the public.
    PublicProduction,
}

/// Where records are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlPlane {
    /// In a file of this machine.
    Local,
    /// In PostgreSQL, at an address that holds a password.
    Postgres(SecretSource),
}

/// Keys of an object store. `Debug` shows none of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectStoreCredentials {
    /// Of the S3 family.
    pub access_key_id: Option<Secret>,
    /// Of the S3 family.
    pub secret_access_key: Option<Secret>,
    /// Of the S3 family, for a session.
    pub session_token: Option<Secret>,
    /// Of Google.
    pub bearer_token: Option<Secret>,
    /// Of Azure.
    pub sas_token: Option<Secret>,
    /// Of Azure.
    pub account_name: Option<Secret>,
}

impl ObjectStoreCredentials {
    /// Reads what `credentialsRef` leads to: a JSON object with the six names.
    ///
    /// # Errors
    /// A text that is no such object; the finding holds nothing of it.
    pub fn parse(text: &str) -> Result<Self, Finding> {
        serde_json::from_str(text).map_err(|_| {
            Finding::error(
                "CONFIG_CREDENTIALS",
                "cloud.storage.objectStore.credentialsRef",
                "The credentials of the object store are no JSON object of texts.",
            )
            .with_help("Store {\"accessKeyId\": …, \"secretAccessKey\": …} or another of the six names there.")
        })
    }
}

/// Everything that a cloud process is told.
#[derive(Clone, Debug)]
pub struct CloudSettings {
    /// The section `cloud`, the environment applied.
    pub cloud: Cloud,
    /// The profile that new sessions run under.
    pub profile: EffectiveProfile,
    /// The address that the outside uses, without a slash at its end.
    pub public_url: Option<String>,
    /// What kind of deployment.
    pub deployment_tier: DeploymentTier,
    /// The key of header sign-in: environment, its reference, the file's reference, the file's own.
    pub header_secret: Option<SecretSource>,
    /// The OIDC client's secret.
    pub oidc_client_secret: Option<SecretSource>,
    /// The key of session cookies.
    pub cookie_secret: Option<SecretSource>,
    /// Where records are kept.
    pub control_plane: ControlPlane,
    /// Keys of the object store that the environment holds; `cloud.storage` says the rest.
    pub object_store_credentials: ObjectStoreCredentials,
    /// Whether the bucket is part of the path: for MinIO and other addresses of one's own.
    pub object_store_path_style: bool,
    /// What was left out or deserves a look.
    pub warnings: Vec<Finding>,
    document: ResolvedDocument,
}

#[derive(Clone)]
struct ResolvedDocument(Value);

impl std::fmt::Debug for ResolvedDocument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ResolvedDocument")
    }
}

impl CloudSettings {
    /// The answer to `GET /api/config` with everything of the environment in it (02 §9).
    pub fn web_config(&self, managed_policy: Value) -> Value {
        crate::view::web::config(&self.document.0, managed_policy)
    }

    /// The branding that is served before sign-in (02 §14.4).
    pub fn bootstrap_branding(&self) -> Value {
        crate::view::web::bootstrap(&self.document.0)
    }

    /// The policy that runtimes are started under (02 §6).
    pub fn runtime_policy(&self) -> Value {
        let profile = &self.profile;
        let cloud = &self.document.0["cloud"];
        json!({
            "role": cloud["role"],
            "profileName": profile.name,
            "publicUrl": self.public_url,
            "profile": cloud["profiles"][&profile.name],
            "features": profile.features,
            "runtimeConfigSource": "app",
            "allowMachineRuntimeConfig": profile.allow_machine_runtime_config,
            "allowLocalStdioMcps": profile.allow_local_stdio_mcps,
            "allowHostProjectDirectories": profile.allow_host_project_directories,
            "allowRemoteApprovalResponses": profile.allow_remote_approval_responses,
            "projectSources": cloud["projectSources"],
            "allowedAgents": profile.agents,
            "allowedTools": profile.tools,
            "allowedMcps": profile.mcps,
            "allowedLocalMcpNames": profile.allowed_local_mcp_names,
            "allowedHostProjectDirectories": profile.allowed_host_project_directories,
        })
    }
}

/// A profile with everything that is in force in it (02 §4.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveProfile {
    /// Its name.
    pub name: String,
    /// All switches.
    pub features: BTreeMap<String, bool>,
    /// Agents that may be used; `None`: all.
    pub agents: Option<Vec<String>>,
    /// Tools that may be used; `None`: all.
    pub tools: Option<Vec<String>>,
    /// MCPs that may be used; `None`: all.
    pub mcps: Option<Vec<String>>,
    /// Whether runtimes may read the machine's own configuration.
    pub allow_machine_runtime_config: bool,
    /// Whether any local MCP may run.
    pub allow_local_stdio_mcps: bool,
    /// Whether any folder of the host may be a project.
    pub allow_host_project_directories: bool,
    /// Whether approvals may be answered from afar.
    pub allow_remote_approval_responses: bool,
    /// Local MCPs that may run all the same.
    pub allowed_local_mcp_names: Vec<String>,
    /// Folders of the host that may be projects all the same.
    pub allowed_host_project_directories: Vec<String>,
}

impl EffectiveProfile {
    /// A profile of a resolved document, in which features and runtime already are what is in force.
    pub fn of(document: &Value, name: &str) -> Option<Self> {
        let profile = document["cloud"]["profiles"].get(name)?;
        let runtime = &profile["runtime"];
        let on = |key: &str| runtime[key] == true;
        Some(EffectiveProfile {
            name: name.to_owned(),
            features: profile["features"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(key, value)| (key.clone(), *value == true))
                .collect(),
            agents: allow_list(profile.get("agents")),
            tools: allow_list(profile.get("tools")),
            mcps: allow_list(profile.get("mcps")),
            allow_machine_runtime_config: on("allowMachineRuntimeConfig"),
            allow_local_stdio_mcps: on("allowLocalStdioMcps"),
            allow_host_project_directories: on("allowHostProjectDirectories"),
            allow_remote_approval_responses: on("allowRemoteApprovalResponses"),
            allowed_local_mcp_names: allow_list(runtime.get("allowedLocalMcpNames"))
                .unwrap_or_default(),
            allowed_host_project_directories: allow_list(
                runtime.get("allowedHostProjectDirectories"),
            )
            .unwrap_or_default(),
        })
    }

    /// Whether an MCP may be used; `local` when it is a program of this machine.
    ///
    /// # Errors
    /// Why not, in the contract's words.
    pub fn mcp(&self, name: &str, local: bool) -> Result<(), &'static str> {
        if self
            .mcps
            .as_ref()
            .is_some_and(|allowed| !allowed.iter().any(|known| known == name))
        {
            return Err("This MCP is not allowed for this cloud profile.");
        }
        if local
            && !self.allow_local_stdio_mcps
            && !self
                .allowed_local_mcp_names
                .iter()
                .any(|known| known == name)
        {
            return Err("Local stdio MCPs are disabled for this cloud profile.");
        }
        Ok(())
    }

    /// Whether a folder of the host may be a project: inside a listed or an app-managed folder, or any
    /// when that is switched on. A blank path, and one that climbs with `..`, is not.
    pub fn host_directory(&self, path: &str, managed: &[PathBuf]) -> bool {
        let path = crate::blank::trim(path);
        let path = Path::new(path);
        if !path.is_absolute() || path.components().any(|step| step == Component::ParentDir) {
            return false;
        }
        let listed = self
            .allowed_host_project_directories
            .iter()
            .map(|root| Path::new(crate::blank::trim(root)));
        let mut roots = listed.chain(managed.iter().map(PathBuf::as_path));
        self.allow_host_project_directories
            || roots.any(|root| root.is_absolute() && path.starts_with(root))
    }
}

/// Entries trimmed and unique; absent is unrestricted, empty allows nothing (02 §4.10).
fn allow_list(list: Option<&Value>) -> Option<Vec<String>> {
    let mut unique: Vec<String> = Vec::new();
    for entry in
        crate::semantics::texts(list.filter(|list| list.is_array())?).map(crate::blank::trim)
    {
        if !entry.is_empty() && !unique.iter().any(|known| known == entry) {
            unique.push(entry.to_owned());
        }
    }
    Some(unique)
}

/// The variables, without their prefix, that would set a place (02 §6).
pub(crate) fn variables_of(pointer: &str) -> Vec<String> {
    let table = table::OVERRIDES
        .iter()
        .map(|(name, place, _)| (*name, *place));
    let choices = table::CHOICES
        .iter()
        .map(|(name, place, _)| (*name, *place));
    let own = [
        ("SIGNUP_MODE", "/cloud/auth/signupMode"),
        (
            "ALLOW_SELF_SERVICE_SIGNUP",
            "/cloud/auth/allowSelfServiceSignup",
        ),
        ("PROFILE", "/cloud/defaultProfile"),
        ("OIDC_CLIENT_SECRET", "/cloud/auth/clientSecretRef"),
        ("OIDC_CLIENT_SECRET_REF", "/cloud/auth/clientSecretRef"),
        ("COOKIE_SECRET", "/cloud/auth/cookieSecretRef"),
        ("COOKIE_SECRET_REF", "/cloud/auth/cookieSecretRef"),
        ("HEADER_AUTH_SECRET", "/cloud/auth/headerSecret"),
        ("HEADER_AUTH_SECRET", "/cloud/auth/headerSecretRef"),
        ("HEADER_AUTH_SECRET_REF", "/cloud/auth/headerSecretRef"),
        ("CONTROL_PLANE_URL", "/cloud/storage/controlPlane/urlRef"),
        ("CONTROL_PLANE_URL", "/cloud/storage/controlPlane/kind"),
    ];
    let limits = crate::defaults::LIMITS
        .iter()
        .filter(|(limit, _)| pointer.strip_prefix("/cloud/abuse/") == Some(limit))
        .map(|(limit, _)| upper_snake(limit));
    table
        .chain(choices)
        .chain(own)
        .filter(|(_, place)| *place == pointer)
        .map(|(name, _)| name.to_owned())
        .chain(limits)
        .chain(crate::overrides::branding_variables(
            "/cloud/publicBranding",
            pointer,
        ))
        .collect()
}

/// Applies the environment to a loaded configuration (02 §6).
///
/// # Errors
/// Every variable that can't be understood, and everything that the sum of document and environment
/// lacks, at once.
pub fn resolve(
    loaded: &Loaded,
    vars: &BTreeMap<String, String>,
) -> Result<CloudSettings, Vec<Finding>> {
    let mut env = Overrides::new(loaded, vars, PREFIX);
    env.apply(table::OVERRIDES);
    for (name, pointer, words) in table::CHOICES {
        if let Some(word) = env.choice(name, words) {
            env.put(name, pointer, json!(word));
        }
    }
    for (limit, _) in crate::defaults::LIMITS {
        let name = upper_snake(limit);
        if let Some(value) = env.read(&name, Kind::Quota) {
            env.put(&name, &format!("/cloud/abuse/{limit}"), value);
        }
    }
    sign_up(&mut env, loaded);
    env.branding("/cloud/publicBranding");
    let profile_name = profile(&mut env);
    let public_url = link(&mut env, "PUBLIC_URL");
    let tier = env.choice(
        "DEPLOYMENT_TIER",
        &[
            "local",
            "self_host_beta",
            "private_beta",
            "public_production",
        ],
    );
    let secret = |env: &Overrides<'_>, inline: &str, reference: &str, pointer: &str| {
        let text = |name: &str| env.text(name).map(str::to_owned);
        let written = env
            .document
            .pointer(pointer)
            .and_then(Value::as_str)
            .filter(|text| !crate::blank::is_blank(text));
        text(inline)
            .map(|text| SecretSource::Inline(Secret::new(text)))
            .or_else(|| text(reference).map(|text| SecretSource::Reference(SecretRef::new(text))))
            .or_else(|| written.map(|text| SecretSource::Reference(SecretRef::new(text))))
    };
    let oidc_client_secret = secret(
        &env,
        "OIDC_CLIENT_SECRET",
        "OIDC_CLIENT_SECRET_REF",
        "/cloud/auth/clientSecretRef",
    );
    let cookie_secret = secret(
        &env,
        "COOKIE_SECRET",
        "COOKIE_SECRET_REF",
        "/cloud/auth/cookieSecretRef",
    );
    let header_secret = secret(
        &env,
        "HEADER_AUTH_SECRET",
        "HEADER_AUTH_SECRET_REF",
        "/cloud/auth/headerSecretRef",
    )
    .or_else(|| {
        let own = env
            .document
            .pointer("/cloud/auth/headerSecret")
            .and_then(Value::as_str)?;
        Some(SecretSource::Inline(Secret::new(own.to_owned())))
    });
    let control_plane = control_plane(&mut env);
    let (object_store_credentials, object_store_path_style) = object_store(&mut env);
    let (config, document, warnings) = env.finish()?;
    let profile =
        EffectiveProfile::of(&document, &profile_name).ok_or_else(|| vec![unknown_profile()])?;
    Ok(CloudSettings {
        cloud: config.cloud.unwrap_or_default(),
        profile,
        public_url,
        deployment_tier: match tier {
            Some("self_host_beta") => DeploymentTier::SelfHostBeta,
            Some("private_beta") => DeploymentTier::PrivateBeta,
            Some("public_production") => DeploymentTier::PublicProduction,
            _ => DeploymentTier::Local,
        },
        header_secret,
        oidc_client_secret,
        cookie_secret,
        control_plane,
        object_store_credentials,
        object_store_path_style,
        warnings,
        document: ResolvedDocument(document),
    })
}

/// Only what an operator wrote counts as explicit; a mode in the file doesn't when the environment alone
/// switched sign-in to OIDC (02 §6, §14.1).
fn sign_up(env: &mut Overrides<'_>, loaded: &Loaded) {
    let oidc = env.document["cloud"]["auth"]["mode"] == "oidc";
    let switched = oidc && loaded.value()["cloud"]["auth"]["mode"] != "oidc";
    let written = &loaded.written()["cloud"]["auth"];
    let mode = env
        .choice("SIGNUP_MODE", &["disabled", "invite", "domain", "open"])
        .or_else(|| {
            written["signupMode"]
                .as_str()
                .filter(|_| !switched)
                .and_then(Signup::parse)
        });
    let flag = env
        .read("ALLOW_SELF_SERVICE_SIGNUP", Kind::Flag)
        .and_then(|flag| flag.as_bool());
    let self_service = match (flag, mode) {
        (Some(flag), _) => Some(flag),
        (None, Some(_)) => None,
        (None, None) if switched => Some(false),
        (None, None) => written["allowSelfServiceSignup"].as_bool(),
    };
    let domains = crate::semantics::items(&env.document["cloud"]["auth"]["allowedEmailDomains"])
        .next()
        .is_some();
    let signup = Signup::infer(SignupInput {
        mode,
        self_service,
        oidc,
        domains,
    });
    env.put("SIGNUP_MODE", "/cloud/auth/signupMode", json!(signup.mode));
    env.put(
        "ALLOW_SELF_SERVICE_SIGNUP",
        "/cloud/auth/allowSelfServiceSignup",
        json!(signup.self_service),
    );
}

fn profile(env: &mut Overrides<'_>) -> String {
    if let Some(name) = env.text("PROFILE") {
        if env.document["cloud"]["profiles"].get(name).is_some() {
            env.put("PROFILE", "/cloud/defaultProfile", json!(name));
        } else {
            env.error(
                "PROFILE",
                "names a profile that isn't there",
                "Add it to `cloud.profiles`, or write full, focused-agent or custom.",
            );
        }
    }
    env.document["cloud"]["defaultProfile"]
        .as_str()
        .unwrap_or("full")
        .to_owned()
}

fn unknown_profile() -> Finding {
    Finding::error(
        "CONFIG_SEMANTIC_UNKNOWN_PROFILE",
        "cloud.defaultProfile",
        "The default profile isn't there.",
    )
    .with_help("Add it to `cloud.profiles`.")
}

/// An address of http or https, without a slash at its end.
fn link(env: &mut Overrides<'_>, name: &str) -> Option<String> {
    let text = env.text(name)?;
    let fits = url::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
    });
    if !fits {
        env.error(
            name,
            "is no address",
            "Write https://cowork.example.com, without user name or password.",
        );
        return None;
    }
    Some(text.trim_end_matches('/').to_owned())
}

fn control_plane(env: &mut Overrides<'_>) -> ControlPlane {
    if let Some(url) = env.text("CONTROL_PLANE_URL") {
        let url = SecretSource::Inline(Secret::new(url.to_owned()));
        put_kind(env);
        return ControlPlane::Postgres(url);
    }
    let storage = &env.document["cloud"]["storage"]["controlPlane"];
    match storage["urlRef"]
        .as_str()
        .filter(|text| !crate::blank::is_blank(text))
    {
        Some(reference) => {
            let reference = SecretSource::Reference(SecretRef::new(reference));
            put_kind(env);
            ControlPlane::Postgres(reference)
        }
        None => {
            if storage["kind"] == "postgres" {
                env.error(
                    "CONTROL_PLANE_URL",
                    "is not set, and PostgreSQL needs an address",
                    "Set it, or `cloud.storage.controlPlane.urlRef`.",
                );
            }
            ControlPlane::Local
        }
    }
}

/// Any address means PostgreSQL.
fn put_kind(env: &mut Overrides<'_>) {
    env.put(
        "CONTROL_PLANE_URL",
        "/cloud/storage/controlPlane/kind",
        json!("postgres"),
    );
}

fn object_store(env: &mut Overrides<'_>) -> (ObjectStoreCredentials, bool) {
    let secret = |name: &str| env.text(name).map(|text| Secret::new(text.to_owned()));
    let credentials = ObjectStoreCredentials {
        access_key_id: secret("OBJECT_STORE_ACCESS_KEY_ID"),
        secret_access_key: secret("OBJECT_STORE_SECRET_ACCESS_KEY"),
        session_token: secret("OBJECT_STORE_SESSION_TOKEN"),
        bearer_token: secret("OBJECT_STORE_BEARER_TOKEN"),
        sas_token: secret("OBJECT_STORE_SAS_TOKEN"),
        account_name: secret("OBJECT_STORE_ACCOUNT_NAME"),
    };
    let store = &env.document["cloud"]["storage"]["objectStore"];
    let kind = store["kind"].as_str().unwrap_or("filesystem").to_owned();
    let has = |key: &str| {
        store[key]
            .as_str()
            .is_some_and(|text| !crate::blank::is_blank(text))
    };
    let (bucket, own_address) = (has("bucket"), has("endpoint"));
    if kind != "filesystem" && !bucket {
        env.error(
            "OBJECT_STORE_BUCKET",
            "is not set, and this object store needs a bucket",
            "Set it, or `cloud.storage.objectStore.bucket`.",
        );
    }
    let s3 = matches!(kind.as_str(), "s3" | "minio" | "digitalocean-spaces");
    if s3 && credentials.access_key_id.is_some() != credentials.secret_access_key.is_some() {
        env.error(
            "OBJECT_STORE_ACCESS_KEY_ID",
            "and OPEN_COWORK_CLOUD_OBJECT_STORE_SECRET_ACCESS_KEY belong together, and one of them is not set",
            "Set both, or neither.",
        );
    }
    (credentials, kind == "minio" || (s3 && own_address))
}

/// `maxQueueAgeMs` is `MAX_QUEUE_AGE_MS`.
fn upper_snake(name: &str) -> String {
    name.chars().fold(String::new(), |mut out, c| {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_uppercase());
        out
    })
}
