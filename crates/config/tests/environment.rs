//! Environment variables over a loaded configuration: the cloud (02 §6) and the gateway (02 §7).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // in functions beside the tests too
#![allow(clippy::needless_pass_by_value)] // `json!(…)` reads best where it is used

use open_cowork_config::cloud::{self, CloudSettings, ControlPlane, DeploymentTier, SecretSource};
use open_cowork_config::gateway::{self, GatewaySettings};
use open_cowork_config::load::{Loaded, load};
use open_cowork_config::source::{LayerKind, Sources, Surface};
use open_cowork_contracts::finding::Finding;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn loaded(surface: Surface, layer: &Value) -> Loaded {
    load(&Sources::new(surface).with(LayerKind::Base, "site.json", layer.to_string()))
        .unwrap_or_else(|found| panic!("{found:#?}"))
}

fn vars(prefix: &str, vars: &[(&str, &str)]) -> BTreeMap<String, String> {
    vars.iter()
        .map(|(name, value)| {
            let name = if name.starts_with("OPEN_") || *name == "HOSTNAME" {
                (*name).to_owned()
            } else {
                format!("{prefix}{name}")
            };
            (name, (*value).to_owned())
        })
        .collect()
}

fn try_cloud(layer: Value, env: &[(&str, &str)]) -> Result<CloudSettings, Vec<Finding>> {
    cloud::resolve(&loaded(Surface::Cloud, &layer), &vars(cloud::PREFIX, env))
}

fn cloud(layer: Value, env: &[(&str, &str)]) -> CloudSettings {
    try_cloud(layer, env).unwrap_or_else(|found| panic!("{found:#?}"))
}

fn signup(layer: Value, env: &[(&str, &str)]) -> (String, bool) {
    let auth = cloud(layer, env).cloud.auth.unwrap();
    (
        auth.signup_mode.unwrap().to_string(),
        auth.allow_self_service_signup.unwrap(),
    )
}

#[test]
fn without_variables_the_document_is_what_counts() {
    let settings = cloud(json!({}), &[]);
    assert_eq!(settings.profile.name, "full");
    assert_eq!(settings.profile.tools, None, "unrestricted");
    assert!(settings.profile.features["chat"] && !settings.profile.features["webhooks"]);
    assert_eq!(settings.deployment_tier, DeploymentTier::Local);
    assert_eq!(settings.control_plane, ControlPlane::Local);
    assert_eq!(settings.warnings, []);
}

#[test]
fn variables_win_over_the_document() {
    let settings = cloud(
        json!({"cloud": {"role": "web", "abuse": {"maxPromptsPerHour": 5}, "profiles": {"mine": {"tools": [" bash ", "bash"]}}}}),
        &[
            ("ROLE", "worker"),
            ("PROFILE", "mine"),
            ("MAX_PROMPTS_PER_HOUR", "0"),
            ("MAX_QUEUE_AGE_MS", "7"),
            ("HTTP_RATE_LIMIT_ENABLED", "off"),
            ("ALLOWED_EMAIL_DOMAINS", "a.example.com, ,b.example.com"),
            ("PUBLIC_URL", "https://cowork.example.com/"),
            ("DEPLOYMENT_TIER", "private_beta"),
            ("CONTROL_PLANE_URL", "postgres://user:hunter2@db/x"),
        ],
    );
    assert_eq!(settings.cloud.role.unwrap().as_str(), "worker");
    assert_eq!(settings.profile.tools, Some(vec!["bash".to_owned()]));
    let policy = settings.runtime_policy();
    assert_eq!(policy["role"], "worker");
    assert_eq!(policy["publicUrl"], "https://cowork.example.com");
    assert_eq!(policy["allowedTools"], json!(["bash"]));
    assert_eq!(policy["allowedMcps"], Value::Null);
    let abuse = serde_json::to_value(&settings.cloud.abuse).unwrap();
    assert_eq!(
        (&abuse["maxPromptsPerHour"], &abuse["maxQueueAgeMs"]),
        (&Value::Null, &json!(7))
    );
    assert_eq!(abuse["httpRateLimit"]["enabled"], false);
    assert_eq!(settings.deployment_tier, DeploymentTier::PrivateBeta);
    assert!(matches!(
        settings.control_plane,
        ControlPlane::Postgres(SecretSource::Inline(_))
    ));
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn every_variable_that_cannot_be_understood_is_told_at_once_without_its_value() {
    let found = try_cloud(
        json!({}),
        &[
            ("AUTH_MODE", "odic-canary"),
            ("ABUSE_ENABLED", "maybe-canary"),
            ("MAX_PROMPTS_PER_HOUR", "-1"),
            ("PROFILE", "canary"),
            ("DEPLOYMENT_TIER", "canary"),
            ("PUBLIC_URL", "https://u:canary@x"),
            ("PUBLIC_BRANDING_JSON", "{canary"),
            ("OBJECT_STORE_KIND", "s3"),
            ("OBJECT_STORE_ACCESS_KEY_ID", "canary"),
        ],
    )
    .unwrap_err();
    assert_eq!(found.len(), 9, "{found:#?}");
    assert!(
        found
            .iter()
            .all(|finding| finding.code == "CONFIG_ENV" && finding.help.is_some())
    );
    assert!(!format!("{found:?}").contains("canary"));
}

#[test]
fn a_value_that_breaks_the_schema_is_told_at_its_variable() {
    let found = try_cloud(
        json!({}),
        &[
            ("OIDC_ISSUER_URL", "http://idp.example.com"),
            ("API_TOKEN_ALLOWED_SCOPES", "desktop,root"),
        ],
    )
    .unwrap_err();
    let paths: Vec<_> = found.iter().map(|finding| finding.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "OPEN_COWORK_CLOUD_API_TOKEN_ALLOWED_SCOPES",
            "OPEN_COWORK_CLOUD_OIDC_ISSUER_URL"
        ]
    );
}

#[test]
fn sign_up_follows_what_an_operator_wrote_and_never_weakens() {
    let invite = ("invite".to_owned(), false);
    assert_eq!(signup(json!({}), &[]), ("open".into(), true));
    assert_eq!(signup(json!({}), &[("AUTH_MODE", "oidc")]), invite);
    let file = json!({"cloud": {"auth": {"mode": "oidc", "allowSelfServiceSignup": false, "allowedEmailDomains": ["example.com"]}}});
    assert_eq!(signup(file, &[]), invite, "upstream opens this one");
    let open = json!({"cloud": {"auth": {"signupMode": "open"}}});
    assert_eq!(signup(open.clone(), &[]), ("open".into(), true));
    assert_eq!(
        signup(open, &[("AUTH_MODE", "oidc")]),
        invite,
        "the file's mode was meant for no sign-in"
    );
    assert_eq!(
        signup(
            json!({}),
            &[("AUTH_MODE", "oidc"), ("SIGNUP_MODE", "domain")]
        ),
        ("domain".into(), true)
    );
    assert_eq!(
        signup(
            json!({}),
            &[
                ("ALLOW_SELF_SERVICE_SIGNUP", "true"),
                ("AUTH_MODE", "oidc"),
                ("ALLOWED_EMAIL_DOMAINS", "example.com")
            ]
        ),
        ("domain".into(), true)
    );
    assert_eq!(
        signup(json!({}), &[("ALLOW_SELF_SERVICE_SIGNUP", "no")]),
        invite
    );
}

#[test]
fn secrets_come_from_the_environment_then_its_reference_then_the_files() {
    let file =
        json!({"cloud": {"auth": {"headerSecret": "inline", "headerSecretRef": "env:FROM_FILE"}}});
    let secret = |env: &[(&str, &str)]| match cloud(file.clone(), env).header_secret.unwrap() {
        SecretSource::Inline(secret) => secret.expose().clone(),
        SecretSource::Reference(reference) => reference.expose().to_owned(),
    };
    assert_eq!(secret(&[]), "env:FROM_FILE");
    assert_eq!(
        secret(&[("HEADER_AUTH_SECRET_REF", "env:OTHER")]),
        "env:OTHER"
    );
    assert_eq!(
        secret(&[
            ("HEADER_AUTH_SECRET_REF", "env:OTHER"),
            ("HEADER_AUTH_SECRET", "now")
        ]),
        "now"
    );
}

#[test]
fn branding_of_the_environment_obeys_the_rules_of_a_file() {
    let file = json!({"cloud": {"publicBranding": {"logoUrl": "https://file.example.com/l.png"}}});
    let settings = cloud(
        file,
        &[
            (
                "PUBLIC_BRANDING_JSON",
                r##"{"logoUrl": "http://evil.example.com", "productName": "Json", "unknown": 1, "theme": {"accent": "url(x)", "border": "#111111"}}"##,
            ),
            ("BRAND_NAME", "Env"),
            ("SUPPORT_URL", "javascript:alert(1)"),
            ("LEGAL_URL", "https://legal.example.com"),
        ],
    );
    let branding = settings.bootstrap_branding();
    assert_eq!(
        branding["logoUrl"], "https://file.example.com/l.png",
        "an unsafe one leaves the file's"
    );
    assert_eq!(branding["productName"], "Env");
    assert_eq!(branding["legalUrl"], "https://legal.example.com/");
    assert_eq!(branding["supportUrl"], "");
    assert_eq!(
        branding["theme"]["borderSubtle"], "#111111",
        "derived as from a layer"
    );
    assert_ne!(branding["theme"]["accent"], "url(x)");
    assert_eq!(branding.get("unknown"), None);
    assert_eq!(settings.warnings.len(), 2);
    assert_eq!(settings.web_config(json!(null))["publicBranding"], branding);
}

#[test]
fn local_mcps_and_host_folders_need_permission() {
    let profile = json!({"mcps": ["a", "b"], "runtime": {"allowedLocalMcpNames": ["a"], "allowedHostProjectDirectories": ["/srv/projects"]}});
    let profile = cloud(
        json!({"cloud": {"profiles": {"p": profile}, "defaultProfile": "p"}}),
        &[],
    )
    .profile;
    assert_eq!(profile.mcp("a", true), Ok(()));
    assert_eq!(
        profile.mcp("b", true),
        Err("Local stdio MCPs are disabled for this cloud profile.")
    );
    assert_eq!(profile.mcp("b", false), Ok(()));
    assert_eq!(
        profile.mcp("c", false),
        Err("This MCP is not allowed for this cloud profile.")
    );
    assert!(profile.host_directory("/srv/projects/x", &[]));
    for denied in [
        "",
        " ",
        "/srv/projects-2",
        "/srv/projects/../x",
        "relative",
        "/etc",
    ] {
        assert!(!profile.host_directory(denied, &[]), "{denied}");
    }
    assert!(profile.host_directory("/data/x", &["/data".into()]));
}

const REQUIRED: [(&str, &str); 3] = [
    ("OPEN_COWORK_CLOUD_BASE_URL", "https://cloud.example.com//"),
    ("SERVICE_TOKEN", "t"),
    ("ADMIN_TOKEN", "a"),
];

fn try_gateway(layer: Value, env: &[(&str, &str)]) -> Result<GatewaySettings, Vec<Finding>> {
    gateway::resolve(
        &loaded(Surface::Every, &layer),
        &vars(gateway::PREFIX, &[&REQUIRED, env].concat()),
    )
}

fn gateway(layer: Value, env: &[(&str, &str)]) -> GatewaySettings {
    try_gateway(layer, env).unwrap_or_else(|found| panic!("{found:#?}"))
}

fn problems(layer: Value, env: &[(&str, &str)]) -> Vec<String> {
    try_gateway(layer, env)
        .unwrap_err()
        .into_iter()
        .map(|finding| finding.path)
        .collect()
}

fn slack() -> Value {
    json!({"gateway": {"providers": [{"id": "slack-sales", "kind": "slack", "channelBindingId": "sales",
        "credentials": {"botToken": "file", "signingSecret": "s"}}]}})
}

#[test]
fn a_bare_gateway_listens_on_its_documented_port_with_its_own_defaults() {
    let settings = gateway(slack(), &[("HOSTNAME", "Pod_1")]);
    let server = settings.gateway.server.unwrap();
    assert_eq!(server.port.unwrap().to_string(), "8790");
    assert_eq!(settings.gateway.metrics.unwrap().enabled, Some(true));
    assert_eq!(settings.gateway.diagnostics.unwrap().enabled, Some(true));
    assert_eq!(settings.cloud_base_url, "https://cloud.example.com");
    assert_eq!(
        (
            settings.cloud_request_timeout_ms,
            settings.max_delivery_concurrency,
            settings.max_delivery_queue_depth
        ),
        (30_000, 8, 512)
    );
    assert_eq!(settings.instance_id, "pod_1");
    let off = json!({"gateway": {"metrics": {"enabled": false}, "mode": "managed"}});
    let mut layer = slack();
    open_cowork_config::merge::merge(&mut layer, &off);
    let settings = gateway(layer, &[]);
    assert_eq!(
        settings.gateway.metrics.unwrap().enabled,
        Some(false),
        "written"
    );
    assert_eq!(
        settings.gateway.diagnostics.unwrap().enabled,
        Some(false),
        "managed"
    );
}

#[test]
fn typos_in_variables_are_errors() {
    assert_eq!(
        problems(
            slack(),
            &[
                ("PORT", "87900"),
                ("LOG_LEVEL", "loud"),
                ("METRICS_ENABLED", "y"),
                ("MAX_DELIVERY_CONCURRENCY", "0")
            ]
        ),
        [
            "PORT",
            "METRICS_ENABLED",
            "LOG_LEVEL",
            "MAX_DELIVERY_CONCURRENCY"
        ]
        .map(|name| format!("OPEN_COWORK_GATEWAY_{name}"))
    );
}

#[test]
fn a_channel_of_the_environment_overlays_the_files_and_leftovers_are_appended() {
    let settings = gateway(
        slack(),
        &[
            ("SLACK_BOT_TOKEN", "env"),
            ("SLACK_TEAM_ID", "T1"),
            ("TELEGRAM_BOT_TOKEN", "tg"),
            ("CLI_ENABLED", "1"),
        ],
    );
    let providers = settings.gateway.providers.unwrap();
    let ids: Vec<_> = providers
        .iter()
        .map(|provider| provider.id.as_deref().unwrap())
        .collect();
    assert_eq!(ids, ["slack-sales", "telegram-2", "cli-3"]);
    let slack = providers[0].credentials.as_ref().unwrap();
    assert_eq!(
        (
            slack["botToken"].expose().as_str(),
            slack["signingSecret"].expose().as_str()
        ),
        ("env", "s")
    );
    assert_eq!(providers[0].channel_binding_id, "sales");
    assert_eq!(providers[0].external_workspace_id.value().unwrap(), "T1");
}

#[test]
fn what_a_channel_lacks_is_told_all_at_once() {
    let providers = json!([{"kind": "email", "channelBindingId": "e"},
        {"kind": "telegram", "id": "bot", "channelBindingId": "t", "credentials": {"botToken": "change-me-now"}, "settings": {"mode": "webhook"}},
        {"kind": "slack", "channelBindingId": "x", "enabled": false}]);
    assert_eq!(
        problems(json!({"gateway": {"providers": providers}}), &[]),
        [
            "gateway.providers[0].credentials.inboundSecret",
            "gateway.providers[0].settings.from",
            "gateway.providers[0].settings.smtpHost",
            "gateway.providers[1].id",
            "gateway.providers[1].credentials.webhookSecret",
            "gateway.providers[1].settings.publicBaseUrl",
            "gateway.providers[1].credentials.botToken",
        ]
    );
    assert_eq!(problems(json!({}), &[]), ["gateway.providers"]);
}

#[test]
fn what_would_be_unsafe_is_refused() {
    let token = |name: &str| format!("OPEN_COWORK_GATEWAY_{name}");
    assert_eq!(
        problems(slack(), &[("ADMIN_TOKEN", "")]),
        [token("ADMIN_TOKEN")]
    );
    gateway(
        slack(),
        &[
            ("ADMIN_TOKEN", ""),
            ("ALLOW_LOOPBACK_OPERATOR_BYPASS", "true"),
        ],
    );
    assert_eq!(
        problems(
            slack(),
            &[
                ("ADMIN_TOKEN", ""),
                ("ALLOW_LOOPBACK_OPERATOR_BYPASS", "true"),
                ("PUBLIC_URL", "https://g.example.com")
            ]
        ),
        [token("ADMIN_TOKEN")]
    );
    assert_eq!(
        problems(slack(), &[("SERVICE_TOKEN", "Replace-With-x")]),
        [token("SERVICE_TOKEN")]
    );
    assert_eq!(
        problems(slack(), &[("PRODUCT_MODE", "standalone")]),
        [token("PRODUCT_MODE")]
    );
    assert_eq!(
        problems(slack(), &[("HOST", "0.0.0.0"), ("CLI_ENABLED", "on")]),
        ["gateway.providers[1].kind"]
    );
    assert_eq!(
        problems(
            json!({}),
            &[("HOST", "0.0.0.0"), ("ENABLE_FAKE_PROVIDER", "on")]
        ),
        ["gateway.providers[0].kind"]
    );
    gateway(
        json!({}),
        &[
            ("HOST", "0.0.0.0"),
            ("ENABLE_FAKE_PROVIDER", "on"),
            ("ALLOW_PUBLIC_FAKE_PROVIDER", "on"),
        ],
    );
    assert_eq!(
        problems(
            slack(),
            &[("OPEN_COWORK_CLOUD_BASE_URL", "http://cloud.example.com")]
        ),
        ["OPEN_COWORK_CLOUD_BASE_URL"]
    );
    gateway(
        slack(),
        &[("OPEN_COWORK_CLOUD_BASE_URL", "http://127.0.0.1:8787")],
    );
    assert_eq!(
        problems(slack(), &[("PUBLIC_URL", "https://localhost")]),
        [token("PUBLIC_URL")]
    );
}

#[test]
fn attachments_default_to_the_size_of_a_request_and_may_not_exceed_it() {
    let hook = |settings: Value| {
        json!({"gateway": {"server": {"maxRequestBodyBytes": 2048}, "providers": [{"kind": "webhook",
        "channelBindingId": "w", "credentials": {"sharedSecret": "s"}, "settings": settings}]}})
    };
    let settings = gateway(hook(json!({})), &[]);
    let provider = &settings.gateway.providers.unwrap()[0];
    assert_eq!(
        provider.settings.as_ref().unwrap()["maxAttachmentBytes"].expose(),
        &json!(2048)
    );
    assert_eq!(
        problems(hook(json!({"maxAttachmentBytes": 4096})), &[]),
        ["gateway.providers[0].settings.maxAttachmentBytes"]
    );
}

#[test]
fn nothing_of_the_settings_shows_a_secret() {
    let settings = gateway(
        slack(),
        &[
            ("SLACK_BOT_TOKEN", "canary-1"),
            ("SERVICE_TOKEN", "canary-2"),
            ("ADMIN_TOKEN", "canary-3"),
        ],
    );
    let shown = format!(
        "{settings:?}{}",
        serde_json::to_string(&settings.gateway).unwrap()
    );
    assert!(!shown.contains("canary"), "{shown}");
}
