//! The gateway's channel providers: which variables make one, how it meets the file's, what it needs at
//! start (02 §7).

use super::{BRIDGES, enabled};
use crate::advice::is_gateway_id;
use crate::model::gateway::ChannelKind;
use crate::overrides::{Kind, Overrides};
use open_cowork_contracts::finding::Finding;
use serde_json::{Map, Value, json};

/// One kind of channel.
#[derive(Clone, Copy, Debug)]
pub struct Channel {
    /// Which.
    pub kind: ChannelKind,
    /// Variables, after `OPEN_COWORK_GATEWAY_`, that are credentials, and their keys.
    pub credentials: &'static [(&'static str, &'static str)],
    /// Variables that are settings, and their keys.
    pub(crate) settings: &'static [(&'static str, &'static str, Kind)],
    /// The variable that names the workspace outside.
    pub workspace: Option<&'static str>,
    /// The variable that makes the provider exist.
    pub activated_by: &'static str,
    /// Credentials without which it can't start.
    pub needs_credentials: &'static [&'static str],
    /// Settings without which it can't start.
    pub needs_settings: &'static [&'static str],
}

const BYTES: Kind = Kind::Whole(1, 67_108_864);

macro_rules! bridge {
    ($kind:ident, $name:literal, $workspace:expr, $settings:expr) => {
        Channel {
            kind: ChannelKind::$kind,
            credentials: &[(concat!($name, "_SHARED_SECRET"), "sharedSecret")],
            settings: &[
                (concat!($name, "_DELIVERY_URL"), "deliveryUrl", Kind::Text),
                (
                    concat!($name, "_DELIVERY_ALLOWED_HOSTS"),
                    "deliveryUrlAllowedHosts",
                    Kind::List,
                ),
                (
                    concat!($name, "_ALLOW_PRIVATE_DELIVERY"),
                    "allowPrivateDelivery",
                    Kind::Flag,
                ),
                (
                    concat!($name, "_MAX_ATTACHMENT_BYTES"),
                    "maxAttachmentBytes",
                    BYTES,
                ),
            ],
            workspace: $workspace,
            activated_by: concat!($name, "_DELIVERY_URL"),
            needs_credentials: &["sharedSecret"],
            needs_settings: $settings,
        }
    };
}

/// Every kind that variables can make. `fake` is made by `ENABLE_FAKE_PROVIDER` when nothing else is.
pub const CHANNELS: [Channel; 8] = [
    Channel {
        kind: ChannelKind::Telegram,
        credentials: &[
            ("TELEGRAM_BOT_TOKEN", "botToken"),
            ("TELEGRAM_WEBHOOK_SECRET", "webhookSecret"),
        ],
        settings: &[
            ("TELEGRAM_MODE", "mode", Kind::Text),
            ("TELEGRAM_PUBLIC_URL", "publicBaseUrl", Kind::Text),
            ("TELEGRAM_RESPOND_IN_GROUPS", "respondInGroups", Kind::Flag),
        ],
        workspace: None,
        activated_by: "TELEGRAM_BOT_TOKEN",
        needs_credentials: &["botToken"],
        needs_settings: &[],
    },
    Channel {
        kind: ChannelKind::Slack,
        credentials: &[
            ("SLACK_BOT_TOKEN", "botToken"),
            ("SLACK_SIGNING_SECRET", "signingSecret"),
        ],
        settings: &[
            ("SLACK_TEAM_ID", "teamId", Kind::Text),
            ("SLACK_DEFAULT_CHANNEL_ID", "defaultChannelId", Kind::Text),
            ("SLACK_API_BASE_URL", "apiBaseUrl", Kind::Text),
        ],
        workspace: Some("SLACK_TEAM_ID"),
        activated_by: "SLACK_BOT_TOKEN",
        needs_credentials: &["botToken", "signingSecret"],
        needs_settings: &[],
    },
    Channel {
        kind: ChannelKind::Email,
        credentials: &[
            ("EMAIL_INBOUND_SECRET", "inboundSecret"),
            ("EMAIL_SMTP_PASSWORD", "smtpPassword"),
        ],
        settings: &[
            ("EMAIL_FROM", "from", Kind::Text),
            ("EMAIL_ADDRESS", "inboundAddress", Kind::Text),
            ("EMAIL_SMTP_HOST", "smtpHost", Kind::Text),
            ("EMAIL_SMTP_PORT", "smtpPort", Kind::Whole(1, 65535)),
            ("EMAIL_SMTP_SECURE", "smtpSecure", Kind::Flag),
            ("EMAIL_SMTP_USERNAME", "smtpUsername", Kind::Text),
            ("EMAIL_MAX_ATTACHMENT_BYTES", "maxAttachmentBytes", BYTES),
        ],
        workspace: Some("EMAIL_DOMAIN"),
        activated_by: "EMAIL_INBOUND_SECRET",
        needs_credentials: &["inboundSecret"],
        needs_settings: &["from", "smtpHost"],
    },
    bridge!(Webhook, "WEBHOOK", None, &[]),
    bridge!(
        Discord,
        "DISCORD",
        Some("DISCORD_WORKSPACE_ID"),
        &["deliveryUrl"]
    ),
    bridge!(
        Whatsapp,
        "WHATSAPP",
        Some("WHATSAPP_WORKSPACE_ID"),
        &["deliveryUrl"]
    ),
    bridge!(
        Signal,
        "SIGNAL",
        Some("SIGNAL_WORKSPACE_ID"),
        &["deliveryUrl"]
    ),
    Channel {
        kind: ChannelKind::Cli,
        credentials: &[],
        settings: &[],
        workspace: Some("CLI_WORKSPACE_ID"),
        activated_by: "CLI_ENABLED",
        needs_credentials: &[],
        needs_settings: &[],
    },
];

/// Whether a secret is one of an example (02 §7).
pub fn is_placeholder(secret: &str) -> bool {
    let secret = secret.trim().to_lowercase();
    ["change-me", "replace-with", "example-", "demo-"]
        .iter()
        .any(|prefix| secret.starts_with(prefix))
}

/// Puts the environment's providers over the file's, and gives each its id.
pub(super) fn apply(env: &mut Overrides<'_>) {
    if let Some(text) = env.text("PROVIDERS") {
        match serde_json::from_str::<Value>(text) {
            Ok(list @ Value::Array(_)) => env.put("PROVIDERS", "/gateway/providers", list),
            _ => env.error(
                "PROVIDERS",
                "is no JSON array",
                "Write [{\"kind\": …, \"channelBindingId\": …}].",
            ),
        }
    }
    let mut providers: Vec<Value> = crate::semantics::items(&env.document["gateway"]["providers"])
        .cloned()
        .collect();
    let mut used = vec![false; providers.len()];
    let mut appended = Vec::new();
    for channel in &CHANNELS {
        let Some(from_env) = read(env, channel) else {
            continue;
        };
        let kind = channel.kind.as_str();
        let same = |provider: &Value, key: &str| provider[key] == from_env[key];
        let unused = |wanted: &dyn Fn(&Value) -> bool| {
            (0..providers.len())
                .find(|at| !used[*at] && providers[*at]["kind"] == kind && wanted(&providers[*at]))
        };
        let found = unused(&|provider| provider["id"] == kind)
            .or_else(|| unused(&|provider| same(provider, "channelBindingId")))
            .or_else(|| unused(&|_| true));
        match found {
            Some(at) => {
                used[at] = true;
                overlay(&mut providers[at], &from_env);
            }
            None => appended.push(from_env),
        }
    }
    providers.append(&mut appended);
    let fake = env.read("ENABLE_FAKE_PROVIDER", Kind::Flag) == Some(json!(true));
    if fake && providers.is_empty() {
        let binding = env
            .text("FAKE_CHANNEL_BINDING_ID")
            .unwrap_or("fake-binding");
        providers.push(json!({"kind": "fake", "id": "fake", "channelBindingId": binding}));
    }
    for (at, provider) in providers.iter_mut().enumerate() {
        if let Some(kind) = provider["kind"].as_str().map(str::to_owned)
            && provider["id"].as_str().is_none_or(str::is_empty)
        {
            provider["id"] = json!(format!("{kind}-{}", at + 1));
        }
        inherit(provider, &env.document["gateway"]["server"]);
    }
    crate::overrides::put(
        &mut env.document,
        "/gateway/providers",
        Value::Array(providers),
    );
    let written = env.document.clone();
    crate::normalize::normalize(&mut env.document, &written);
}

/// A provider as its variables describe it.
fn read(env: &mut Overrides<'_>, channel: &Channel) -> Option<Value> {
    let kind = channel.kind.as_str();
    if channel.kind == ChannelKind::Cli {
        if env.read(channel.activated_by, Kind::Flag) != Some(json!(true)) {
            return None;
        }
    } else {
        env.text(channel.activated_by)?;
    }
    let mut credentials = Map::new();
    for (name, key) in channel.credentials {
        credentials.extend(env.text(name).map(|text| ((*key).to_owned(), json!(text))));
    }
    let mut settings = Map::new();
    for (name, key, how) in channel.settings {
        settings.extend(env.read(name, *how).map(|value| ((*key).to_owned(), value)));
    }
    let binding = env
        .text(&format!("{}_CHANNEL_BINDING_ID", kind.to_uppercase()))
        .unwrap_or(kind);
    let mut provider = json!({"kind": kind, "channelBindingId": binding, "credentials": credentials, "settings": settings});
    if let Some(workspace) = channel.workspace.and_then(|name| env.text(name)) {
        provider["externalWorkspaceId"] = json!(workspace);
    }
    Some(provider)
}

/// The file's id and binding stay; credentials and settings merge with the environment's on top.
fn overlay(provider: &mut Value, from_env: &Value) {
    for section in ["credentials", "settings"] {
        crate::merge::merge(&mut provider[section], &from_env[section]);
    }
    if let Some(workspace) = from_env.get("externalWorkspaceId") {
        provider["externalWorkspaceId"] = workspace.clone();
    }
}

/// What a provider takes from the server when it doesn't say it itself.
fn inherit(provider: &mut Value, server: &Value) {
    let kind = provider["kind"].as_str().unwrap_or_default();
    let attaches = kind == "webhook"
        || kind == "email"
        || BRIDGES.iter().any(|bridge| bridge.as_str() == kind);
    if attaches && provider["settings"].get("maxAttachmentBytes").is_none() {
        crate::overrides::put(
            provider,
            "/settings/maxAttachmentBytes",
            server["maxRequestBodyBytes"].clone(),
        );
    }
    if provider["kind"] == "telegram"
        && provider["settings"]["mode"] == "webhook"
        && provider["settings"].get("publicBaseUrl").is_none()
        && server["publicBaseUrl"].is_string()
    {
        crate::overrides::put(
            provider,
            "/settings/publicBaseUrl",
            server["publicBaseUrl"].clone(),
        );
    }
}

/// Everything that keeps the providers from starting.
pub(super) fn check(env: &mut Overrides<'_>, exposed: bool, allow_fake: bool) {
    let gateway = env.document["gateway"].clone();
    let providers = &gateway["providers"];
    let mut ids: Vec<&str> = Vec::new();
    if enabled(providers).next().is_none() {
        let finding = Finding::error(
            "CONFIG_GATEWAY",
            "gateway.providers",
            "The gateway has no channel that is switched on.",
        );
        env.errors.push(finding.with_help("Describe one in `gateway.providers`, or by its variables, such as OPEN_COWORK_GATEWAY_SLACK_BOT_TOKEN."));
    }
    for (at, provider) in enabled(providers) {
        let mut fail = |pointer: &str, message: String, help: &str| {
            let path = format!("gateway.providers[{at}]{}", pointer.replace('/', "."));
            let mut finding = Finding::error("CONFIG_GATEWAY", path, message).with_help(help);
            finding.pointer = Some(format!("/gateway/providers/{at}{pointer}"));
            env.errors.push(finding);
        };
        let kind = provider["kind"].as_str().unwrap_or_default();
        let id = provider["id"].as_str().unwrap_or_default();
        if kind != "fake" && !is_gateway_id(id, kind) {
            fail(
                "/id",
                format!("This id doesn't begin with its kind, {kind}."),
                "Write the kind, or the kind, `-` and a name in lower case, such as `slack-sales`.",
            );
        }
        if ids.contains(&id) {
            fail(
                "/id",
                "Another channel has this id too.".to_owned(),
                "Give each its own.",
            );
        }
        ids.push(id);
        let text = |section: &str, key: &str| provider[section][key].as_str().unwrap_or_default();
        let channel = CHANNELS
            .iter()
            .find(|channel| channel.kind.as_str() == kind);
        for (section, keys) in [
            (
                "credentials",
                channel.map_or(&[][..], |channel| channel.needs_credentials),
            ),
            (
                "settings",
                channel.map_or(&[][..], |channel| channel.needs_settings),
            ),
        ] {
            for key in keys.iter().filter(|key| text(section, key).is_empty()) {
                fail(
                    &format!("/{section}/{key}"),
                    format!("A channel of the kind {kind} needs `{key}`."),
                    "Set it in the file (a placeholder keeps secrets out of it), or by its variable.",
                );
            }
        }
        if kind == "telegram" {
            telegram(provider, &mut fail);
        }
        let credentials = provider["credentials"].as_object().into_iter().flatten();
        for (key, _) in credentials.filter(|(_, value)| value.as_str().is_some_and(is_placeholder))
        {
            fail(
                &format!("/credentials/{key}"),
                "This is an example's secret, which everybody knows.".to_owned(),
                "Make one of your own.",
            );
        }
        let (attachment, body) = (
            provider["settings"]["maxAttachmentBytes"].as_f64(),
            gateway["server"]["maxRequestBodyBytes"].as_f64(),
        );
        if let (Some(attachment), Some(body)) = (attachment, body)
            && attachment > body
        {
            fail(
                "/settings/maxAttachmentBytes",
                "An attachment may be larger than a request.".to_owned(),
                "Make it at most `gateway.server.maxRequestBodyBytes`.",
            );
        }
        if exposed && (kind == "cli" || (kind == "fake" && !allow_fake)) {
            fail(
                "/kind",
                format!(
                    "The channel {kind} has no lock, and this gateway can be reached from outside."
                ),
                "Remove it, or bind to 127.0.0.1 and unset the public address.",
            );
        }
    }
}

fn telegram(provider: &Value, fail: &mut dyn FnMut(&str, String, &str)) {
    let text = |section: &str, key: &str| provider[section][key].as_str().unwrap_or_default();
    match text("settings", "mode") {
        "" | "polling" => {}
        "webhook" => {
            if text("credentials", "webhookSecret").is_empty() {
                fail(
                    "/credentials/webhookSecret",
                    "Telegram by webhook needs `webhookSecret`.".to_owned(),
                    "Set it, or use the mode polling.",
                );
            }
            if !text("settings", "publicBaseUrl").starts_with("https://") {
                fail(
                    "/settings/publicBaseUrl",
                    "Telegram by webhook needs an https address that Telegram can reach."
                        .to_owned(),
                    "Set it, or OPEN_COWORK_GATEWAY_PUBLIC_URL, or use the mode polling.",
                );
            }
        }
        _ => fail(
            "/settings/mode",
            "Telegram knows the modes polling and webhook.".to_owned(),
            "Write one of them.",
        ),
    }
}
