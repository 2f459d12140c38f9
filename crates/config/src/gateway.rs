//! The Cloud Channel Gateway's configuration as its process uses it: the environment over the document,
//! the process's own defaults, and the checks without which it must not start (02 §7). Pure functions.

pub mod channels;

use crate::blank::is_blank;
use crate::load::Loaded;
use crate::model::gateway::{ChannelKind, Gateway};
use crate::model::secret::Secret;
use crate::overrides::{Kind, Override, Overrides};
use crate::semantics::is_loopback;
use open_cowork_contracts::finding::Finding;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The prefix of the gateway's variables.
pub const PREFIX: &str = "OPEN_COWORK_GATEWAY_";

/// Everything that a gateway process is told. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct GatewaySettings {
    /// The section `gateway`: the environment and the process's defaults applied, every provider with
    /// its id.
    pub gateway: Gateway,
    /// The cloud that it speaks to, without slashes at the end.
    pub cloud_base_url: String,
    /// What it proves itself with.
    pub service_token: Secret,
    /// How long a call of the cloud may take, milliseconds.
    pub cloud_request_timeout_ms: u64,
    /// Deliveries at a time.
    pub max_delivery_concurrency: u64,
    /// Deliveries that may wait.
    pub max_delivery_queue_depth: u64,
    /// Which process this is, among several: lower case, at most 96 characters.
    pub instance_id: String,
    /// What was left out or deserves a look.
    pub warnings: Vec<Finding>,
}

const TABLE: &[Override] = &[
    ("HOST", "/gateway/server/host", Kind::Text),
    ("PORT", "/gateway/server/port", Kind::Whole(0, 65535)),
    ("ADMIN_TOKEN", "/gateway/server/adminToken", Kind::Text),
    (
        "ALLOW_LOOPBACK_OPERATOR_BYPASS",
        "/gateway/server/allowLoopbackOperatorBypass",
        Kind::Flag,
    ),
    (
        "MAX_REQUEST_BODY_BYTES",
        "/gateway/server/maxRequestBodyBytes",
        Kind::Whole(1024, 67_108_864),
    ),
    (
        "TRUST_PROXY_HEADERS",
        "/gateway/server/trustProxyHeaders",
        Kind::Flag,
    ),
    (
        "TRUSTED_PROXY_CIDRS",
        "/gateway/server/trustedProxyCidrs",
        Kind::List,
    ),
    ("METRICS_ENABLED", "/gateway/metrics/enabled", Kind::Flag),
    (
        "DIAGNOSTICS_ENABLED",
        "/gateway/diagnostics/enabled",
        Kind::Flag,
    ),
    (
        "WEBHOOK_DELIVERY_TIMEOUT_MS",
        "/gateway/timeouts/webhookDeliveryMs",
        Kind::Whole(100, 120_000),
    ),
    (
        "SMTP_TIMEOUT_MS",
        "/gateway/timeouts/smtpMs",
        Kind::Whole(100, 120_000),
    ),
    (
        "SHUTDOWN_DRAIN_TIMEOUT_MS",
        "/gateway/timeouts/shutdownDrainMs",
        Kind::Whole(100, 120_000),
    ),
];

const CHOICES: [(&str, &str, &[&str]); 3] = [
    (
        "PRODUCT_MODE",
        "/gateway/productMode",
        &["cloud_channel", "standalone", "hybrid"],
    ),
    ("MODE", "/gateway/mode", &["self-host", "managed"]),
    (
        "LOG_LEVEL",
        "/gateway/logging/level",
        &["debug", "info", "warn", "error", "silent"],
    ),
];

/// The variables, without their prefix, that would set a place (02 §7).
pub(crate) fn variables_of(pointer: &str) -> Vec<String> {
    let table = TABLE.iter().map(|(name, place, _)| (*name, *place));
    let choices = CHOICES.iter().map(|(name, place, _)| (*name, *place));
    let own = [("PUBLIC_URL", "/gateway/server/publicBaseUrl")];
    let mut names: Vec<String> = table
        .chain(choices)
        .chain(own)
        .filter(|(_, place)| *place == pointer)
        .map(|(name, _)| name.to_owned())
        .collect();
    if pointer.starts_with("/gateway/providers") {
        names.push("PROVIDERS".to_owned());
    }
    names.extend(crate::overrides::branding_variables(
        "/gateway/branding",
        pointer,
    ));
    names
}

/// Applies the environment to a loaded configuration (02 §7). The port is 8790 unless somebody says
/// otherwise (02 §14.6).
///
/// # Errors
/// Every variable that can't be understood, everything that a channel lacks, and everything that would
/// be unsafe, at once.
pub fn resolve(
    loaded: &Loaded,
    vars: &BTreeMap<String, String>,
) -> Result<GatewaySettings, Vec<Finding>> {
    let mut env = Overrides::new(loaded, vars, PREFIX);
    env.apply(TABLE);
    for (name, pointer, words) in CHOICES {
        if let Some(word) = env.choice(name, words) {
            env.put(name, pointer, json!(word));
        }
    }
    public_url(&mut env);
    defaults(&mut env, loaded);
    env.branding("/gateway/branding");
    channels::apply(&mut env);
    let required = cloud(&mut env, vars);
    let whole = |env: &mut Overrides<'_>, name, least, most, default: u64| {
        env.read(name, Kind::Whole(least, most))
            .and_then(|value| value.as_u64())
            .unwrap_or(default)
    };
    let cloud_request_timeout_ms =
        whole(&mut env, "CLOUD_REQUEST_TIMEOUT_MS", 100, 120_000, 30_000);
    let max_delivery_concurrency = whole(&mut env, "MAX_DELIVERY_CONCURRENCY", 1, 256, 8);
    let max_delivery_queue_depth = whole(&mut env, "MAX_DELIVERY_QUEUE_DEPTH", 16, 100_000, 512);
    safety(&mut env, &required);
    let instance = env
        .text("INSTANCE_ID")
        .or_else(|| crate::source::set(vars, "HOSTNAME"))
        .unwrap_or("local");
    let instance_id = instance_id(instance);
    let (config, _, warnings) = env.finish()?;
    Ok(GatewaySettings {
        gateway: config.gateway.unwrap_or_default(),
        cloud_base_url: required.url,
        service_token: Secret::new(required.token),
        cloud_request_timeout_ms,
        max_delivery_concurrency,
        max_delivery_queue_depth,
        instance_id,
        warnings,
    })
}

/// What the process means when nobody says anything; it differs from the document's defaults.
fn defaults(env: &mut Overrides<'_>, loaded: &Loaded) {
    let written = loaded.written().clone();
    let self_host = env.document["gateway"]["mode"] != "managed";
    for (name, pointer, value) in [
        ("METRICS_ENABLED", "/gateway/metrics/enabled", json!(true)),
        (
            "DIAGNOSTICS_ENABLED",
            "/gateway/diagnostics/enabled",
            json!(self_host),
        ),
        (
            "PRODUCT_MODE",
            "/gateway/productMode",
            json!("cloud_channel"),
        ),
        (
            "ALLOW_LOOPBACK_OPERATOR_BYPASS",
            "/gateway/server/allowLoopbackOperatorBypass",
            json!(false),
        ),
        (
            "MAX_REQUEST_BODY_BYTES",
            "/gateway/server/maxRequestBodyBytes",
            json!(1_048_576),
        ),
        (
            "WEBHOOK_DELIVERY_TIMEOUT_MS",
            "/gateway/timeouts/webhookDeliveryMs",
            json!(15_000),
        ),
        ("SMTP_TIMEOUT_MS", "/gateway/timeouts/smtpMs", json!(30_000)),
        (
            "SHUTDOWN_DRAIN_TIMEOUT_MS",
            "/gateway/timeouts/shutdownDrainMs",
            json!(10_000),
        ),
    ] {
        if env.text(name).is_none() && written.pointer(pointer).is_none() {
            crate::overrides::put(&mut env.document, pointer, value);
        }
    }
}

fn public_url(env: &mut Overrides<'_>) {
    let Some(text) = env.text("PUBLIC_URL") else {
        return;
    };
    let public = url::Url::parse(text).is_ok_and(|url| {
        url.scheme() == "https"
            && url.host_str().is_some_and(|host| !is_loopback(host))
            && url.username().is_empty()
            && url.password().is_none()
    });
    if public {
        env.put(
            "PUBLIC_URL",
            "/gateway/server/publicBaseUrl",
            json!(text.trim_end_matches('/')),
        );
    } else {
        env.error(
            "PUBLIC_URL",
            "is no public https address",
            "Write https://gateway.example.com, without user name or password, or unset it."
                .to_owned(),
        );
    }
}

#[derive(Default)]
struct Cloud {
    url: String,
    token: String,
}

const CLOUD_URL: &str = "OPEN_COWORK_CLOUD_BASE_URL";

fn cloud(env: &mut Overrides<'_>, vars: &BTreeMap<String, String>) -> Cloud {
    let insecure = env.read("ALLOW_INSECURE_HTTP", Kind::Flag) == Some(json!(true));
    let token = env.text("SERVICE_TOKEN").unwrap_or_default().to_owned();
    if token.is_empty() {
        env.error(
            "SERVICE_TOKEN",
            "is not set",
            "Set it to a gateway token of the cloud.",
        );
    }
    let url = crate::source::set(vars, CLOUD_URL).unwrap_or_default();
    let allowed = url::Url::parse(url).is_ok_and(|parsed| match parsed.scheme() {
        "https" => parsed.has_host(),
        "http" => insecure || parsed.host_str().is_some_and(is_loopback),
        _ => false,
    });
    if !allowed {
        let what = if url.is_empty() {
            "is not set"
        } else {
            "is no https address"
        };
        let help = "Set it to the cloud's address, such as https://cowork.example.com.";
        env.errors.push(
            Finding::error("CONFIG_ENV", CLOUD_URL, format!("{CLOUD_URL} {what}.")).with_help(help),
        );
    }
    Cloud {
        url: url.trim_end_matches('/').to_owned(),
        token,
    }
}

/// What must not run in the open (02 §7).
fn safety(env: &mut Overrides<'_>, cloud: &Cloud) {
    let gateway = env.document["gateway"].clone();
    let server = &gateway["server"];
    let token = server["adminToken"].as_str().unwrap_or_default();
    let self_host = gateway["mode"] != "managed";
    let public_bind = !is_loopback(server["host"].as_str().unwrap_or("127.0.0.1"));
    let exposed = public_bind || server["publicBaseUrl"].is_string();
    let bypass = self_host && !exposed && server["allowLoopbackOperatorBypass"] == true;
    if is_blank(token) && !bypass {
        env.error(
            "ADMIN_TOKEN",
            "is not set, and neither is `gateway.server.adminToken`",
            "Set one of them; only a self-hosted gateway on 127.0.0.1 without a public address may do without, with `allowLoopbackOperatorBypass`.",
        );
    }
    match gateway["productMode"].as_str() {
        Some("standalone") => env.error(
            "PRODUCT_MODE",
            "asks for a standalone gateway, which is another program",
            "Start the standalone gateway, which is told by OPEN_COWORK_STANDALONE_GATEWAY_ variables.",
        ),
        Some("hybrid") => env.error(
            "PRODUCT_MODE",
            "asks for both gateways in one program",
            "Start this one with cloud_channel, and the standalone gateway beside it, which is told by OPEN_COWORK_STANDALONE_GATEWAY_ variables.",
        ),
        _ => {}
    }
    for (name, secret) in [
        ("SERVICE_TOKEN", cloud.token.as_str()),
        ("ADMIN_TOKEN", token),
    ] {
        if channels::is_placeholder(secret) {
            env.error(
                name,
                "is an example's secret, which everybody knows",
                "Make one of your own.",
            );
        }
    }
    let allow_fake =
        self_host && env.read("ALLOW_PUBLIC_FAKE_PROVIDER", Kind::Flag) == Some(json!(true));
    channels::check(env, exposed, allow_fake);
}

/// Lower case, other characters one `-`, at most 96 of them.
fn instance_id(text: &str) -> String {
    let mut id = String::new();
    for c in text.to_lowercase().chars() {
        let plain = c.is_ascii_lowercase() || c.is_ascii_digit() || "_.:-".contains(c);
        match plain {
            true => id.push(c),
            false if id.ends_with('-') => {}
            false => id.push('-'),
        }
    }
    id.chars().take(96).collect()
}

/// The kinds that deliver over a bridge of somebody else.
pub(crate) const BRIDGES: [ChannelKind; 3] = [
    ChannelKind::Discord,
    ChannelKind::Whatsapp,
    ChannelKind::Signal,
];

pub(crate) fn enabled(providers: &Value) -> impl Iterator<Item = (usize, &Value)> {
    crate::semantics::items(providers)
        .enumerate()
        .filter(|(_, provider)| provider["enabled"] != false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_id_is_made_of_any_text() {
        assert_eq!(instance_id("Pod 1/é_A.b:c"), "pod-1-_a.b:c");
        assert_eq!(instance_id(&"x".repeat(200)).len(), 96);
    }
}
