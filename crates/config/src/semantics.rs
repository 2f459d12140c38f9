//! Checks that go beyond the schema and fail a document (02 §5). What only deserves a warning is in
//! [`crate::advice`].

use crate::blank::{is_blank, trim};
use crate::document::Document;
use open_cowork_contracts::finding::{Finding, Severity};
use serde_json::Value;

/// What a document is (02 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// One layer: its providers may be defined by another.
    Layer,
    /// All layers together.
    Resolved,
}

/// All that is wrong, in the contract's order: providers, MCPs, gateway. The document's schema must
/// have been checked before; what has another shape than the schema says is passed over.
pub fn check(document: &Document, stage: Stage) -> Vec<Finding> {
    let mut found = Vec::new();
    let value = document.value();
    if stage == Stage::Resolved {
        providers(document, &mut found);
    }
    mcps(value, &mut found);
    gateway(value, &mut found);
    found
        .into_iter()
        .map(|breach| {
            let message = breach.message;
            document
                .finding(breach.code, Severity::Error, &breach.pointer, message)
                .with_help(breach.help)
        })
        .collect()
}

struct Breach {
    code: &'static str,
    pointer: String,
    message: String,
    help: &'static str,
}

fn providers(document: &Document, found: &mut Vec<Breach>) {
    let named = |id| crate::redact::quoted(document.as_written().text(id));
    let providers = &document.value()["providers"];
    let available: Vec<&str> = texts(&providers["available"]).collect();
    let defined = |id: &str| {
        ["descriptors", "custom"]
            .iter()
            .any(|map| providers[*map].get(id).is_some())
    };
    for id in &available {
        if !id.is_empty() && !defined(id) {
            let is_reserved = crate::merge::DROPPED.contains(id);
            found.push(Breach {
                code: "CONFIG_SEMANTIC_PROVIDER_UNDEFINED",
                pointer: "/providers/available".into(),
                message: if is_reserved {
                    format!("The name {} is reserved, so what describes this provider is left out.", named(id))
                } else {
                    format!("The provider {} is listed but described nowhere.", named(id))
                },
                help: if is_reserved { "Give the provider another name." } else { "Add an entry of that name to `providers.descriptors` or `providers.custom`, or take it off the list." },
            });
        }
    }
    if let Some(id) = providers["defaultProvider"].as_str()
        && !id.is_empty()
        && !available.contains(&id)
    {
        found.push(Breach {
            code: "CONFIG_SEMANTIC_DEFAULT_PROVIDER",
            pointer: "/providers/defaultProvider".into(),
            message: format!("The default provider {} is not available.", named(id)),
            help: "Add it to `providers.available`, or write null.",
        });
    }
}

fn mcps(value: &Value, found: &mut Vec<Breach>) {
    for (at, mcp) in items(&value["mcps"]).enumerate() {
        let has = |key: &str| mcp.get(key).is_some();
        let (code, message, help) = match mcp["type"].as_str() {
            // Present is enough: an empty text or list passes.
            Some("local") if !has("packageName") && !has("command") => (
                "CONFIG_SEMANTIC_MCP_COMMAND",
                "A local MCP needs something to run.",
                "Add `packageName` or `command`.",
            ),
            Some("remote") if !has("url") => (
                "CONFIG_SEMANTIC_MCP_URL",
                "A remote MCP needs an address.",
                "Add `url`.",
            ),
            _ => continue,
        };
        found.push(Breach {
            code,
            pointer: format!("/mcps/{at}"),
            message: message.to_owned(),
            help,
        });
    }
}

fn gateway(value: &Value, found: &mut Vec<Breach>) {
    let gateway = &value["gateway"];
    let public = !is_loopback(gateway["server"]["host"].as_str().unwrap_or("127.0.0.1"));
    let metrics = gateway["metrics"]["enabled"].as_bool().unwrap_or(true);
    let self_host = gateway["mode"].as_str().unwrap_or("self-host") == "self-host";
    let diagnostics = gateway["diagnostics"]["enabled"]
        .as_bool()
        .unwrap_or(self_host);
    let token = gateway["server"]["adminToken"].as_str().unwrap_or_default();
    if public && (metrics || diagnostics) && is_blank(token) {
        found.push(Breach {
            code: "CONFIG_SEMANTIC_ADMIN_TOKEN",
            pointer: "/gateway/server/adminToken".into(),
            message: "A gateway that others can reach would show metrics or diagnostics to anybody.".into(),
            help: "Set `gateway.server.adminToken` (an `{env:NAME}` placeholder keeps it out of the file), switch off `gateway.metrics` and `gateway.diagnostics`, or bind to 127.0.0.1.",
        });
    }
    for (at, provider) in items(&gateway["providers"]).enumerate() {
        if provider["enabled"] == false {
            continue;
        }
        let pointer = format!("/gateway/providers/{at}");
        let secret = provider["credentials"]["sharedSecret"]
            .as_str()
            .unwrap_or_default();
        match provider["kind"].as_str() {
            Some("fake") if public => found.push(Breach {
                code: "CONFIG_SEMANTIC_FAKE_PROVIDER",
                pointer,
                message: "The fake provider lets anybody who reaches this gateway write messages.".into(),
                help: "Remove it, set `enabled` to false, or bind the gateway to 127.0.0.1.",
            }),
            Some("webhook") if secret.is_empty() => found.push(Breach {
                code: "CONFIG_SEMANTIC_WEBHOOK_SECRET",
                pointer: format!("{pointer}/credentials/sharedSecret"),
                message: "A webhook without a shared secret accepts messages from anybody.".into(),
                help: "Set `credentials.sharedSecret` (an `{env:NAME}` placeholder keeps it out of the file), or set `enabled` to false.",
            }),
            _ => {}
        }
    }
}

/// Whether a host is this machine only: `localhost`, `::1`, `[::1]`, or `127.` and three groups of one
/// to three digits. `127.1` and `localhost.` count as public (02 §5).
pub fn is_loopback(host: &str) -> bool {
    let host = trim(host).to_lowercase();
    let group = |part: &str| {
        (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    matches!(host.as_str(), "localhost" | "::1" | "[::1]")
        || host
            .strip_prefix("127.")
            .is_some_and(|rest| rest.split('.').count() == 3 && rest.split('.').all(group))
}

pub(crate) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

pub(crate) fn texts(value: &Value) -> impl Iterator<Item = &str> {
    items(value).filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::needless_pass_by_value)] // `json!(…)` reads best where it is used

    use super::*;
    use serde_json::json;

    fn pointers(value: Value, stage: Stage) -> Vec<String> {
        check(&Document::from_value("resolved config", value), stage)
            .into_iter()
            .map(|finding| finding.pointer.unwrap())
            .collect()
    }

    #[test]
    fn every_available_provider_is_described_and_the_default_is_available() {
        let providers = json!({"available": ["", "a", "b", "toString"], "defaultProvider": "c",
            "descriptors": {"a": {}}, "custom": {"b": {}}});
        let value = json!({"providers": providers});
        assert_eq!(
            pointers(value.clone(), Stage::Resolved),
            ["/providers/available", "/providers/defaultProvider"]
        );
        assert_eq!(pointers(value, Stage::Layer), Vec::<String>::new());
        for unset in [json!(null), json!("")] {
            let value = json!({"providers": {"available": [], "defaultProvider": unset}});
            assert_eq!(pointers(value, Stage::Resolved), Vec::<String>::new());
        }
    }

    #[test]
    fn an_mcp_needs_what_its_type_runs_and_present_is_enough() {
        let mcps = json!([{"type": "local"}, {"type": "local", "command": []}, {"type": "local", "packageName": ""},
            {"type": "remote", "command": ["x"]}, {"type": "remote", "url": ""}]);
        assert_eq!(
            pointers(json!({"mcps": mcps}), Stage::Layer),
            ["/mcps/0", "/mcps/3"]
        );
    }

    #[test]
    fn a_public_gateway_needs_a_token_unless_it_shows_nothing() {
        let gateway = |extra: Value| {
            let mut gateway = json!({"server": {"host": "0.0.0.0"}});
            crate::merge::merge(&mut gateway, &extra);
            pointers(json!({"gateway": gateway}), Stage::Layer)
        };
        assert_eq!(gateway(json!({})), ["/gateway/server/adminToken"]);
        assert_eq!(gateway(json!({"server": {"adminToken": " "}})).len(), 1);
        assert_eq!(gateway(json!({"server": {"adminToken": "t"}})).len(), 0);
        assert_eq!(gateway(json!({"metrics": {"enabled": false}})).len(), 1);
        let quiet = json!({"metrics": {"enabled": false}, "diagnostics": {"enabled": false}});
        assert_eq!(gateway(quiet).len(), 0);
        assert_eq!(
            gateway(json!({"metrics": {"enabled": false}, "mode": "managed"})).len(),
            0
        );
        assert_eq!(gateway(json!({"server": {"host": "127.0.0.1"}})).len(), 0);
    }

    #[test]
    fn fake_and_webhook_providers_are_kept_from_strangers() {
        let providers = json!([{"kind": "fake"}, {"kind": "fake", "enabled": false}, {"kind": "webhook"},
            {"kind": "webhook", "enabled": false}, {"kind": "webhook", "credentials": {"sharedSecret": " "}},
            {"kind": "telegram", "credentials": {"botToken": ""}}]);
        let value = |host: &str| json!({"gateway": {"server": {"host": host, "adminToken": "t"}, "providers": providers}});
        let webhook = "/gateway/providers/2/credentials/sharedSecret";
        assert_eq!(pointers(value("::1"), Stage::Layer), [webhook]);
        assert_eq!(
            pointers(value("0.0.0.0"), Stage::Layer),
            ["/gateway/providers/0", webhook]
        );
    }

    #[test]
    fn loopback_is_told_by_its_text() {
        for host in [
            "localhost",
            " LOCALHOST ",
            "::1",
            "[::1]",
            "127.0.0.1",
            "127.999.1.12",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "localhost.",
            "127.1",
            "127.0.0.1.1",
            "127.0.0.",
            "127.0.0.1234",
            "0.0.0.0",
            "10.0.0.1",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
