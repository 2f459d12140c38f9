//! What a document may say but hardly means: warnings, never errors (02 §14.6–8, §14.13, §14.15, §14.16).

use crate::blank::is_blank;
use crate::defaults::{PLAN, PROFILES};
use crate::document::Document;
use crate::model::secret::{SECRETS, SecretKind, is_reference};
use crate::pointer;
use crate::redact::{COMMAND, hidden_arguments, quoted};
use crate::semantics::{items, texts};
use crate::view::{View, public};
use open_cowork_contracts::finding::{Finding, Severity};
use serde_json::Value;
use std::collections::HashSet;

/// Ids of the native tools that a profile may list (02 §4.10).
pub const NATIVE_TOOLS: [&str; 17] = [
    "bash",
    "edit",
    "write",
    "apply_patch",
    "web",
    "codesearch",
    "webfetch",
    "websearch",
    "read",
    "grep",
    "glob",
    "list",
    "lsp",
    "skill",
    "task",
    "todowrite",
    "question",
];

/// The product's own agents that a configuration may change (02 §4.6).
pub const BUILT_IN_AGENTS: [&str; 4] = ["build", "plan", "general", "explore"];

type Report<'a> = &'a mut dyn FnMut(&str, &str, String, &str);

/// Looks at the fold of all layers before it is normalised, and reports pointer, code, message, help.
pub(crate) fn check(document: &Document, report: Report<'_>) {
    let merged = document.value();
    references(document, report);
    gateway_ids(merged, report);
    tokens(merged, report);
    links(merged, report);
    public_texts(merged, report);
    sign_up(merged, report);
}

fn references(document: &Document, report: Report<'_>) {
    let merged = document.value();
    let quoted = |text: &str| quoted(document.as_written().text(text));
    let cloud = &merged["cloud"];
    let known = |map: &Value, name: &str| map.get(name).is_some();
    if let Some(name) = cloud["defaultProfile"].as_str()
        && !known(&cloud["profiles"], name)
    {
        report(
            "/cloud/defaultProfile",
            "CONFIG_SEMANTIC_UNKNOWN_PROFILE",
            format!(
                "There is no profile {}, so `{}` is used.",
                quoted(name),
                PROFILES[0]
            ),
            "Add it to `cloud.profiles`, or write the name of one that is there.",
        );
    }
    if let Some(name) = cloud["billing"]["defaultPlanKey"].as_str()
        && !known(&cloud["billing"]["plans"], name)
    {
        report(
            "/cloud/billing/defaultPlanKey",
            "CONFIG_SEMANTIC_UNKNOWN_PLAN",
            format!("There is no plan {}, so `{PLAN}` is used.", quoted(name)),
            "Add it to `cloud.billing.plans`, or write the name of one that is there.",
        );
    }
    let ids = |list: &str, key: &str| -> HashSet<&str> {
        items(&merged[list])
            .filter_map(|item| item[key].as_str())
            .collect()
    };
    let (tools, mcps, agents) = (
        ids("tools", "id"),
        ids("mcps", "name"),
        ids("agents", "name"),
    );
    let profiles = cloud["profiles"].as_object().into_iter().flatten();
    for (name, profile) in profiles {
        let lists: [(&str, &HashSet<&str>, &[&str], &str); 3] = [
            (
                "tools",
                &tools,
                &NATIVE_TOOLS,
                "CONFIG_SEMANTIC_UNKNOWN_TOOL",
            ),
            ("mcps", &mcps, &[], "CONFIG_SEMANTIC_UNKNOWN_MCP"),
            (
                "agents",
                &agents,
                &BUILT_IN_AGENTS,
                "CONFIG_SEMANTIC_UNKNOWN_AGENT",
            ),
        ];
        for (list, own, native, code) in lists {
            for (at, id) in texts(&profile[list]).enumerate() {
                let id = crate::blank::trim(id);
                if id.is_empty() || own.contains(&id) || native.contains(&id) {
                    continue;
                }
                let mut place = pointer::child("/cloud/profiles", name);
                pointer::push(&mut place, list);
                pointer::push(&mut place, &at.to_string());
                report(
                    &place,
                    code,
                    format!(
                        "The profile {} lists {}, which is not in `{list}`.",
                        quoted(name),
                        quoted(id)
                    ),
                    "Correct the id, or describe it at the top of the document; a worker refuses to start with one that it doesn't know.",
                );
            }
        }
    }
}

/// The rule that the gateway's start enforces (02 §7).
fn gateway_ids(merged: &Value, report: Report<'_>) {
    for (at, provider) in items(&merged["gateway"]["providers"]).enumerate() {
        let (Some(id), Some(kind)) = (provider["id"].as_str(), provider["kind"].as_str()) else {
            continue;
        };
        if kind != "fake" && !is_gateway_id(id, kind) {
            report(
                &format!("/gateway/providers/{at}/id"),
                "CONFIG_SEMANTIC_PROVIDER_ID",
                "The gateway will refuse this provider id.".to_owned(),
                "Write the kind, or the kind, `-` and a name in lower case, such as `slack-sales`; at most 64 characters.",
            );
        }
    }
}

/// Whether a channel provider's id is its kind or begins with `<kind>-`, in lower case (02 §7).
pub(crate) fn is_gateway_id(id: &str, kind: &str) -> bool {
    let form = id.len() <= 64
        && id.starts_with(|c: char| c.is_ascii_lowercase())
        && id.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte)
        });
    form && (id == kind
        || id
            .strip_prefix(kind)
            .is_some_and(|rest| rest.starts_with('-')))
}

fn tokens(merged: &Value, report: Report<'_>) {
    let tokens = &merged["cloud"]["auth"]["apiTokens"];
    if let (Some(default), Some(longest)) =
        (tokens["defaultTtlMs"].as_f64(), tokens["maxTtlMs"].as_f64())
        && default > longest
    {
        report(
            "/cloud/auth/apiTokens/defaultTtlMs",
            "CONFIG_SEMANTIC_TOKEN_TTL",
            "New API tokens would live longer than the longest life that is allowed.".to_owned(),
            "Make `defaultTtlMs` at most `maxTtlMs`.",
        );
    }
}

/// What is written on purpose and still contradicts itself.
fn sign_up(merged: &Value, report: Report<'_>) {
    let auth = &merged["cloud"]["auth"];
    if auth["mode"] == "oidc"
        && auth["signupMode"] == "open"
        && items(&auth["allowedEmailDomains"]).next().is_some()
    {
        report(
            "/cloud/auth/signupMode",
            "CONFIG_SEMANTIC_SIGNUP",
            "`allowedEmailDomains` is enforced in the mode `domain` only; with `open` anybody may sign up.".to_owned(),
            "Write \"signupMode\": \"domain\", or leave `signupMode` out.",
        );
    }
}

/// Keys that hold a link, as patterns.
const LINKS: [&str; 33] = [
    "/branding/helpUrl",
    "/branding/docsBaseUrl",
    "/branding/supportUrl",
    "/branding/privacyUrl",
    "/branding/securityUrl",
    "/branding/legalUrl",
    "/branding/sidebar/lower/linkUrl",
    "/providers/descriptors/*/dynamicCatalog/url",
    "/updates/manualFallbackUrl",
    "/updates/releaseSource/url",
    "/updates/releaseSource/auth/brokerUrl",
    "/telemetry/endpoint",
    "/telemetry/adoption/endpoint",
    "/cloud/auth/issuerUrl",
    "/cloud/billing/stripe/successUrl",
    "/cloud/billing/stripe/cancelUrl",
    "/cloud/billing/stripe/portalReturnUrl",
    "/cloudDesktop/preconfiguredConnections/*/baseUrl",
    "/gateway/server/publicBaseUrl",
    "/cloud/publicBranding/faviconUrl",
    "/cloud/publicBranding/logoUrl",
    "/cloud/publicBranding/ogImageUrl",
    "/cloud/publicBranding/supportUrl",
    "/cloud/publicBranding/privacyUrl",
    "/cloud/publicBranding/securityUrl",
    "/cloud/publicBranding/legalUrl",
    "/gateway/branding/faviconUrl",
    "/gateway/branding/logoUrl",
    "/gateway/branding/ogImageUrl",
    "/gateway/branding/supportUrl",
    "/gateway/branding/privacyUrl",
    "/gateway/branding/securityUrl",
    "/gateway/branding/legalUrl",
];

/// The schema looks at how a link begins; this looks at whether it is one (02 §14.15).
fn links(merged: &Value, report: Report<'_>) {
    for pattern in LINKS {
        each_match(merged, pattern, &mut |place, value| {
            let Some(text) = value.as_str().filter(|text| !text.is_empty()) else {
                return;
            };
            let why = match url::Url::parse(text) {
                _ if text.chars().any(char::is_control) => "it holds a control character",
                Err(_) => "it is no address that a browser understands",
                Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                    "it holds a user name or a password, which everybody would see"
                }
                Ok(url) if !matches!(url.scheme(), "https" | "mailto") && !is_local(&url) => {
                    "it isn't https"
                }
                Ok(_) => return,
            };
            report(
                place,
                "CONFIG_SEMANTIC_URL",
                format!("This link won't work: {why}."),
                "Write a full address such as https://help.example.com/.",
            );
        });
    }
}

/// A user name or a password in a link of any other public text: the views mask it, and the link then
/// leads elsewhere than it was meant to.
fn public_texts(merged: &Value, report: Report<'_>) {
    let mut told = HashSet::new();
    for pattern in View::ALL.iter().flat_map(|view| public::keys(*view)) {
        if LINKS.contains(pattern) {
            continue;
        }
        each_match(merged, pattern, &mut |place, value| {
            let holds_user = value.as_str().is_some_and(crate::redact::holds_user);
            if holds_user && told.insert(place.to_owned()) {
                report(
                    place,
                    "CONFIG_SEMANTIC_URL",
                    "A link in this text holds a user name or a password, which everybody would see."
                        .to_owned(),
                    "Take them out of the link.",
                );
            }
        });
    }
}

fn is_local(url: &url::Url) -> bool {
    url.scheme() == "http" && url.host_str().is_some_and(crate::semantics::is_loopback)
}

/// Secrets that stand in the file itself, before placeholders are resolved (02 §14.13).
pub(crate) fn check_inline_secrets(document: &Document, warnings: &mut Vec<Finding>) {
    each_match(document.value(), COMMAND, &mut |at, value| {
        let arguments: Vec<&str> = texts(value).collect();
        if arguments.len() != items(value).count() {
            return;
        }
        let hidden = hidden_arguments(arguments.iter().copied());
        for (index, (argument, from)) in arguments.iter().zip(hidden).enumerate() {
            let looks_so = crate::redact::secrets_masked(argument) != **argument;
            let kept_out = argument.contains("{env:") || argument.contains("{file:");
            if kept_out || (from.is_none() && !looks_so) {
                continue;
            }
            let place = pointer::child(at, &index.to_string());
            let finding = document.finding(
                "CONFIG_SEMANTIC_INLINE_SECRET",
                Severity::Warning,
                &place,
                "A secret stands in an argument, where everybody who reads the file or lists processes sees it.",
            );
            warnings.push(finding.with_help(
                "Describe it in `credentials` and hand it over by `envSettings`, or write \"{env:NAME}\".",
            ));
        }
    });
    for place in SECRETS {
        each_match(document.value(), place.pattern, &mut |at, value| {
            let Some(text) = value.as_str().filter(|text| !is_blank(text)) else {
                return;
            };
            let kept_out = text.contains("{env:") || text.contains("{file:") || is_reference(text);
            // Most members of open objects are no secrets: only what looks like one is worth a word.
            let harmless = place.kind == SecretKind::Open
                && (!names_secret(at) || place.except.iter().any(|known| at.ends_with(known)))
                && crate::redact::secrets_masked(text) == text;
            if kept_out || harmless {
                return;
            }
            let help = if place.kind == SecretKind::Reference {
                "Write where it is kept instead, such as \"env:NAME\" or \"gcp-sm://…\"."
            } else {
                "Write \"{env:NAME}\" and list NAME in `allowedEnvPlaceholders` of this file."
            };
            let message =
                "A secret stands in the file itself, where everybody who reads the file sees it.";
            warnings.push(
                document
                    .finding(
                        "CONFIG_SEMANTIC_INLINE_SECRET",
                        Severity::Warning,
                        at,
                        message,
                    )
                    .with_help(help),
            );
        });
    }
}

fn names_secret(place: &str) -> bool {
    let name = place.rsplit('/').next().unwrap_or_default().to_lowercase();
    ["key", "token", "secret", "password"]
        .iter()
        .any(|end| name.ends_with(end))
}

/// Calls with every place of a document that a pattern with `*` names.
pub(crate) fn each_match(value: &Value, pattern: &str, visit: &mut dyn FnMut(&str, &Value)) {
    fn go(value: &Value, steps: &[&str], place: &mut String, visit: &mut dyn FnMut(&str, &Value)) {
        let Some((step, rest)) = steps.split_first() else {
            visit(place, value);
            return;
        };
        let length = place.len();
        let mut enter = |name: &str, inner: &Value| {
            pointer::push(place, name);
            go(inner, rest, place, visit);
            place.truncate(length);
        };
        match (value, *step) {
            (Value::Object(map), "*") => map.iter().for_each(|(key, inner)| enter(key, inner)),
            (Value::Array(list), "*") => {
                list.iter()
                    .enumerate()
                    .for_each(|(at, inner)| enter(&at.to_string(), inner));
            }
            (Value::Object(map), name) => map
                .get(name)
                .into_iter()
                .for_each(|inner| enter(name, inner)),
            _ => {}
        }
    }
    let steps: Vec<&str> = pattern.split('/').skip(1).collect();
    go(value, &steps, &mut String::new(), visit);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::needless_pass_by_value)] // `json!(…)` reads best where it is used

    use super::*;
    use serde_json::json;

    fn codes(layer: Value) -> Vec<(String, String)> {
        let mut merged = crate::defaults::document();
        crate::merge::merge(&mut merged, &layer);
        let mut found = Vec::new();
        let merged = Document::from_value("resolved config", merged);
        check(&merged, &mut |pointer, code, _, _| {
            found.push((pointer.to_owned(), code.to_owned()))
        });
        found
    }

    fn one(layer: Value, pointer: &str, code: &str) {
        assert_eq!(codes(layer), [(pointer.to_owned(), code.to_owned())]);
    }

    #[test]
    fn the_defaults_deserve_no_warning() {
        assert_eq!(codes(json!({})), []);
    }

    #[test]
    fn names_that_lead_nowhere_are_told() {
        one(
            json!({"cloud": {"defaultProfile": "toString"}}),
            "/cloud/defaultProfile",
            "CONFIG_SEMANTIC_UNKNOWN_PROFILE",
        );
        one(
            json!({"cloud": {"billing": {"defaultPlanKey": "gold"}}}),
            "/cloud/billing/defaultPlanKey",
            "CONFIG_SEMANTIC_UNKNOWN_PLAN",
        );
        let profile = json!({"tools": ["bash", "charts", "charts.save"], "mcps": ["m", "n"], "agents": ["build", "x"]});
        let layer = json!({"tools": [{"id": "charts"}], "mcps": [{"name": "m"}], "cloud": {"profiles": {"a/b": profile}}});
        let places: Vec<_> = codes(layer).into_iter().map(|(place, _)| place).collect();
        assert_eq!(
            places,
            [
                "/cloud/profiles/a~1b/tools/2",
                "/cloud/profiles/a~1b/mcps/1",
                "/cloud/profiles/a~1b/agents/1"
            ]
        );
    }

    #[test]
    fn a_provider_id_that_the_gateway_refuses_is_told() {
        let providers = json!([{"kind": "telegram", "id": "example-telegram"}, {"kind": "telegram", "id": "telegram-1"},
            {"kind": "slack", "id": "slack"}, {"kind": "fake", "id": "x"}, {"kind": "slack"}]);
        one(
            json!({"gateway": {"providers": providers}}),
            "/gateway/providers/0/id",
            "CONFIG_SEMANTIC_PROVIDER_ID",
        );
    }

    #[test]
    fn tokens_that_outlive_the_longest_life_are_told() {
        let auth = json!({"apiTokens": {"defaultTtlMs": 90000, "maxTtlMs": 60000}});
        one(
            json!({"cloud": {"auth": auth}}),
            "/cloud/auth/apiTokens/defaultTtlMs",
            "CONFIG_SEMANTIC_TOKEN_TTL",
        );
    }

    #[test]
    fn links_that_cannot_work_are_told_and_good_ones_are_not() {
        for bad in [
            "https://user:pass@example.com/",
            "http://example.com/",
            "https://a\nb",
            "https://[",
            "help",
        ] {
            one(
                json!({"branding": {"helpUrl": bad}}),
                "/branding/helpUrl",
                "CONFIG_SEMANTIC_URL",
            );
        }
        for good in [
            "",
            "https://example.com",
            "mailto:a@example.com",
            "http://localhost:3000/",
        ] {
            assert_eq!(codes(json!({"branding": {"helpUrl": good}})), [], "{good}");
        }
    }

    #[test]
    fn open_sign_up_beside_a_list_of_domains_is_told() {
        let auth =
            json!({"mode": "oidc", "signupMode": "open", "allowedEmailDomains": ["example.com"]});
        one(
            json!({"cloud": {"auth": auth}}),
            "/cloud/auth/signupMode",
            "CONFIG_SEMANTIC_SIGNUP",
        );
    }

    #[test]
    fn a_secret_in_the_file_is_told_without_its_value_and_a_reference_is_not() {
        let document = Document::from_value(
            "site.json",
            json!({
                "gateway": {"server": {"adminToken": "hunter2"}, "providers": [
                    {"credentials": {"botToken": "{env:BOT}"}, "settings": {"mode": "polling", "apiKey": "hunter2"}}]},
                "cloud": {"auth": {"clientSecretRef": "env:CLIENT", "cookieSecretRef": "hunter2"}}
            }),
        );
        let mut warnings = Vec::new();
        check_inline_secrets(&document, &mut warnings);
        let places: Vec<_> = warnings
            .iter()
            .filter_map(|finding| finding.pointer.as_deref())
            .collect();
        assert_eq!(
            places,
            [
                "/cloud/auth/cookieSecretRef",
                "/gateway/server/adminToken",
                "/gateway/providers/0/settings/apiKey"
            ]
        );
        assert!(!format!("{warnings:?}").contains("hunter2"));
    }
}
