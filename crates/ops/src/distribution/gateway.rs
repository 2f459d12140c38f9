//! `DIST_GATEWAY_SIGNED`: every provider is explicit and proves who calls.

use super::Verdict;
use super::folder::{ConfigFile, Folder};
use open_cowork_config::document::Document;
use open_cowork_config::semantics::is_loopback;
use open_cowork_contracts::finding::{Finding, Severity};
use serde_json::Value;

const ID: &str = "DIST_GATEWAY_SIGNED";

/// Goes through the providers of every document.
pub(super) fn signed(folder: &Folder) -> Verdict {
    let mut findings = Vec::new();
    let mut count = 0;
    for document in folder.documents.iter().filter_map(ConfigFile::parsed) {
        let providers = document
            .value()
            .pointer("/gateway/providers")
            .and_then(Value::as_array);
        for (at, provider) in providers.into_iter().flatten().enumerate() {
            count += 1;
            if provider.get("enabled").and_then(Value::as_bool) != Some(false) {
                look(
                    document,
                    folder,
                    provider,
                    &format!("/gateway/providers/{at}"),
                    &mut findings,
                );
            }
        }
    }
    if count == 0 {
        return Verdict::NotApplicable("no gateway provider is configured".into());
    }
    Verdict::Looked(format!("providers: {count}"), findings)
}

fn look(
    document: &Document,
    folder: &Folder,
    provider: &Value,
    pointer: &str,
    findings: &mut Vec<Finding>,
) {
    let mut found = |pointer: &str, message: String, help: &str| {
        findings.push(
            document
                .finding(ID, Severity::Error, pointer, message)
                .with_help(help),
        );
    };
    let text = |path: &str| {
        provider
            .pointer(path)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .trim()
    };
    let kind = text("/kind");
    if matches!(kind, "fake" | "cli") {
        if is_public(document) || folder.main().is_some_and(is_public) {
            found(
                pointer,
                format!("a `{kind}` provider lets anyone who reaches the gateway speak as a user."),
                "remove it, or bind the gateway to 127.0.0.1 without a public URL",
            );
        }
        return;
    }
    let id = text("/id");
    if id.is_empty() {
        found(
            pointer,
            "the provider has no `id`, so its address depends on its place in the list.".into(),
            "write an id that starts with the kind, such as `slack-team`",
        );
    } else if id != kind && !id.starts_with(&format!("{kind}-")) {
        found(
            &format!("{pointer}/id"),
            format!(
                "the gateway refuses this id at start: it must be `{kind}` or begin with `{kind}-`."
            ),
            "rename it",
        );
    }
    let needed: &[&str] = match kind {
        "telegram" if text("/settings/mode") == "webhook" => &["botToken", "webhookSecret"],
        "telegram" => &["botToken"],
        "slack" => &["botToken", "signingSecret"],
        "email" => &["inboundSecret"],
        _ => &["sharedSecret"],
    };
    for name in needed {
        if text(&format!("/credentials/{name}")).is_empty() {
            found(
                pointer,
                format!(
                    "the provider has no `credentials.{name}`, so nobody can tell whether a message is from {kind}."
                ),
                "write `{env:NAME}` there and list NAME in `allowedEnvPlaceholders`",
            );
        }
    }
}

/// Whether others than this machine reach the gateway.
fn is_public(document: &Document) -> bool {
    let text = |pointer: &str| document.value().pointer(pointer).and_then(Value::as_str);
    text("/gateway/server/host").is_some_and(|host| !is_loopback(host))
        || text("/gateway/server/publicBaseUrl").is_some_and(|url| !url.trim().is_empty())
}
