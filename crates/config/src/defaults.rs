//! The built-in defaults, layer 0 of every load (02 §2.1, §4).
//!
//! Only what the key table gives a default for is here; "absent by default" stays absent, because absent
//! means something (02 §12.1, §14.2).

use serde_json::{Value, json};

/// The switches of `cloud.features`, of profiles and of plans, each with its default (02 §4.10).
pub const CLOUD_FEATURES: [(&str, bool); 13] = [
    ("chat", true),
    ("agents", true),
    ("artifacts", true),
    ("threadIndex", true),
    ("workflows", true),
    ("webhooks", false),
    ("settings", true),
    ("customSkills", true),
    ("customAgents", true),
    ("customMcps", true),
    ("knowledge", true),
    ("channels", true),
    ("byok", true),
];

/// The switches of the desktop's `features`, each with what it means when it is left out (02 §4.9).
pub const DESKTOP_FEATURES: [(&str, bool); 9] = [
    ("projects", true),
    ("knowledge", false),
    ("approvals", false),
    ("team", true),
    ("playbooks", true),
    ("channels", false),
    ("tools", true),
    ("artifacts", false),
    ("voice", false),
];

/// The limits of `cloud.abuse` and of plans, each with its default (02 §4.10). In a file `null` means
/// unlimited, in the environment `0` does.
pub const LIMITS: [(&str, u64); 12] = [
    ("maxConcurrentSessionsPerOrg", 100),
    ("maxConcurrentWorkflowRunsPerOrg", 50),
    ("maxActiveWorkersPerOrg", 20),
    ("maxQueuedCommandsPerOrg", 1000),
    ("maxQueueAgeMs", 1_800_000),
    ("maxPromptsPerHour", 600),
    ("maxWorkflowRunsPerHour", 200),
    ("maxGatewayPromptsPerHour", 300),
    ("maxWorkerMinutesPerHour", 1200),
    ("maxGatewayDeliveriesPerHour", 1000),
    ("maxGatewayChannelBindingsPerOrg", 25),
    ("maxArtifactBytesPerDay", 10_737_418_240),
];

/// The scopes that API tokens may have unless a document says otherwise (02 §4.10).
pub const TOKEN_SCOPES: [&str; 4] = ["desktop", "gateway", "admin", "operator"];

/// `branding.dataDirName` until a layer says otherwise (02 §4.2).
pub const DATA_DIR_NAME: &str = "cowork";

/// The names of the built-in profiles, in the order in which they are listed first (02 §2.4).
pub const PROFILES: [&str; 3] = ["full", "focused-agent", "custom"];

/// The built-in plan (02 §4.10).
pub const PLAN: &str = "self-host";

/// The whole document of layer 0, made anew.
pub fn document() -> Value {
    json!({
        "contractVersion": 1,
        "allowedEnvPlaceholders": [],
        "branding": {
            "name": "Cowork",
            "shortName": "Cowork",
            "appId": "com.example.cowork",
            "dataDirName": DATA_DIR_NAME,
            "helpUrl": "",
            "projectNamespace": "opencowork",
            "defaultTheme": "mercury",
            "themes": [],
        },
        "auth": {"mode": "none"},
        "providers": {
            "available": [],
            "defaultProvider": null,
            "defaultModel": null,
            "descriptors": {},
            "custom": {},
            "modelInfo": {},
        },
        "updates": {"enabled": true},
        "tools": [],
        "skills": [],
        "mcps": [],
        "agents": [],
        "capabilityBundles": [],
        "agentStarterTemplates": [],
        "permissions": {
            "bash": "ask",
            "fileWrite": "ask",
            "task": "allow",
            "web": "allow",
            "webSearch": true,
        },
        "compaction": {"auto": true, "prune": true, "reserved": 10000},
        "cloud": cloud(),
        "cloudDesktop": {
            "enabled": true,
            "allowUserAddedConnections": true,
            "preconfiguredConnections": [],
            "requireManagedOrg": false,
            "cacheMode": "full",
            "cacheEncryptionFallback": "metadata-only",
        },
        "gateway": {
            "branding": public_branding(),
            "mode": "self-host",
            "server": {
                "host": "127.0.0.1",
                "port": 8790,
                "publicBaseUrl": null,
                "adminToken": null,
                "trustProxyHeaders": false,
                "trustedProxyCidrs": [],
            },
            "logging": {"level": "info"},
            "metrics": {"enabled": false},
            "diagnostics": {"enabled": false},
            "providers": [],
        },
    })
}

fn cloud() -> Value {
    let features: Value = object(CLOUD_FEATURES.map(|(name, on)| (name, json!(on))));
    let mut abuse = object(LIMITS.map(|(name, limit)| (name, json!(limit))));
    abuse["enabled"] = json!(true);
    abuse["httpRateLimit"] = json!({"enabled": true, "windowMs": 60000, "maxRequests": 600});
    abuse["authBackoff"] =
        json!({"enabled": true, "windowMs": 60000, "maxFailures": 10, "backoffMs": 60000});
    json!({
        "role": "all-in-one",
        "defaultProfile": PROFILES[0],
        "publicBranding": public_branding(),
        "profiles": {
            "full": {"label": "Full", "description": "Everything that this cloud offers."},
            "focused-agent": {
                "label": "Focused coworker",
                "description": "One coworker with no tools until they are listed.",
                "agents": [],
                "tools": [],
                "mcps": [],
                "features": {
                    "workflows": false,
                    "webhooks": false,
                    "settings": false,
                    "customSkills": false,
                    "customAgents": false,
                    "customMcps": false,
                },
            },
            "custom": {"label": "Custom", "description": "Yours to fill in."},
        },
        "auth": {
            "mode": "none",
            "headerAllowUnsigned": false,
            "headerMaxSignatureAgeMs": 300_000,
            "allowedEmailDomains": [],
            "allowSelfServiceSignup": true,
            "signupMode": "open",
            "apiTokens": {
                "defaultTtlMs": 7_776_000_000_u64,
                "maxTtlMs": 31_536_000_000_u64,
                "allowedScopes": TOKEN_SCOPES,
            },
        },
        "storage": {
            "controlPlane": {"kind": "local"},
            "objectStore": {"kind": "filesystem"},
        },
        "runtime": {
            "configSource": "app",
            "launcher": "node",
            "allowMachineRuntimeConfig": false,
            "allowLocalStdioMcps": false,
            "allowHostProjectDirectories": false,
            "allowRemoteApprovalResponses": false,
            "allowedLocalMcpNames": [],
            "allowedHostProjectDirectories": [],
        },
        "projectSources": {
            "git": {
                "enabled": true,
                "allowFileUrls": false,
                "allowedHosts": ["github.com", "gitlab.com"],
                "allowedRepositories": [],
            },
            "uploadedSnapshots": {"enabled": true, "maxFiles": 2000, "maxBytes": 26_214_400},
            "managedWorkspaces": {"enabled": false},
        },
        "features": features,
        "entitlements": {"enabled": false, "provider": "none"},
        "abuse": abuse,
        "billing": {
            "enabled": false,
            "provider": "none",
            "defaultPlanKey": PLAN,
            "plans": {
                "self-host": {
                    "label": "Self-host",
                    "entitlements": {
                        "allowNewSessions": true,
                        "allowPrompts": true,
                        "allowWorkers": true,
                    },
                },
            },
        },
    })
}

/// What the cloud and the gateway call themselves until a document says otherwise (02 §8.4). The links
/// are absent; views show them as `""`.
pub fn public_branding() -> Value {
    json!({
        "productName": "Open Cowork Cloud",
        "shortName": "OC",
        "theme": open_cowork_theme::public::default_theme(),
        "dashboard": {
            "title": "Your coworkers",
            "subtitle": "Chats, runs and files of this organisation.",
            "signInTitle": "Sign in",
            "signInBody": "Use the account of your organisation to go on.",
            "byokDescription": "Keys of your own model providers. They are kept encrypted.",
            "connectionsDescription": "Desktops and programs that may act in your name.",
            "gatewayDescription": "Chat channels through which coworkers are reached.",
            "billingDescription": "Your plan and its limits.",
            "usageDescription": "What was used, and what is left.",
        },
        "managedOrgConnectionLabels": {
            "desktopToken": "Desktop token",
            "gatewayToken": "Gateway token",
            "apiToken": "API token",
            "cloudUrl": "Cloud URL",
        },
    })
}

fn object<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Object(
        entries
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}
