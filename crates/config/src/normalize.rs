//! The resolved document: blanks dropped, built-ins put first, what depends on other keys filled in
//! (02 §2.4). It runs once, after all layers (02 §14.3).

use crate::blank::{is_blank, trim};
use crate::defaults::{LIMITS, PLAN, PROFILES, TOKEN_SCOPES, public_branding};
use serde_json::{Map, Value, json};
use std::collections::HashSet;

/// Makes the fold of all layers over the defaults the document that is used. `written` is the fold of
/// the layers alone: what somebody wrote on purpose, which a default never is (02 §14.1, §14.2).
///
/// Doing it twice changes nothing more.
pub fn normalize(merged: &mut Value, written: &Value) {
    if let Some(cloud) = object_at(merged, "/cloud") {
        let none = Value::Null;
        normalize_cloud(cloud, written.get("cloud").unwrap_or(&none));
    }
    if let Some(branding) = object_at(merged, "/gateway/branding") {
        // A gateway's own maps have no text built in (02 §4.12).
        normalize_branding(branding, &Value::Null);
    }
    if let Some(providers) = merged
        .pointer_mut("/gateway/providers")
        .and_then(Value::as_array_mut)
    {
        normalize_gateway_providers(providers);
    }
    if let Some(connections) = merged
        .pointer_mut("/cloudDesktop/preconfiguredConnections")
        .and_then(Value::as_array_mut)
    {
        connections.retain(|connection| {
            !connection.is_object() || text(connection, "baseUrl").is_some_and(|url| !is_blank(url))
        });
    }
}

fn normalize_cloud(cloud: &mut Map<String, Value>, written: &Value) {
    if let Some(branding) = cloud
        .get_mut("publicBranding")
        .and_then(Value::as_object_mut)
    {
        normalize_branding(branding, &public_branding());
    }
    if let Some(auth) = cloud.get_mut("auth").and_then(Value::as_object_mut) {
        normalize_auth(auth, written.get("auth").unwrap_or(&Value::Null));
    }
    for list in ["allowedLocalMcpNames", "allowedHostProjectDirectories"] {
        drop_blanks(
            cloud
                .get_mut("runtime")
                .and_then(|runtime| runtime.get_mut(list)),
        );
    }
    for list in ["allowedHosts", "allowedRepositories"] {
        let git = cloud
            .get_mut("projectSources")
            .and_then(|sources| sources.get_mut("git"));
        drop_blanks(git.and_then(|git| git.get_mut(list)));
    }
    normalize_profiles(cloud, written);
    normalize_plans(cloud);
}

fn normalize_auth(auth: &mut Map<String, Value>, written: &Value) {
    drop_blanks(auth.get_mut("allowedEmailDomains"));
    for key in ["headerSecret", "headerSecretRef"] {
        trim_or_remove(auth, key);
    }
    if let Some(scopes) = auth
        .get_mut("apiTokens")
        .and_then(|tokens| tokens.get_mut("allowedScopes"))
        && scopes.as_array().is_some_and(Vec::is_empty)
    {
        *scopes = json!(TOKEN_SCOPES);
    }
    let domains = auth.get("allowedEmailDomains").and_then(Value::as_array);
    let signup = Signup::infer(SignupInput {
        mode: text(written, "signupMode").and_then(Signup::parse),
        self_service: written
            .get("allowSelfServiceSignup")
            .and_then(Value::as_bool),
        oidc: auth.get("mode").and_then(Value::as_str) == Some("oidc"),
        domains: domains.is_some_and(|domains| !domains.is_empty()),
    });
    if written.get("signupMode").is_none() {
        auth.insert("signupMode".into(), json!(signup.mode));
    }
    if written.get("allowSelfServiceSignup").is_none() {
        auth.insert("allowSelfServiceSignup".into(), json!(signup.self_service));
    }
}

/// Who may sign up: the mode that is in force, and whether people may do it by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signup {
    /// `disabled`, `invite`, `domain` or `open`.
    pub mode: &'static str,
    /// Whether an account can be made without an invitation.
    pub self_service: bool,
}

/// What [`Signup::infer`] looks at. Only what an operator wrote counts (02 §6, §14.1).
#[derive(Clone, Copy, Debug, Default)]
pub struct SignupInput {
    /// `signupMode`, if written.
    pub mode: Option<&'static str>,
    /// `allowSelfServiceSignup`, if written.
    pub self_service: Option<bool>,
    /// Whether sign-in is by OIDC.
    pub oidc: bool,
    /// Whether e-mail domains are listed.
    pub domains: bool,
}

impl Signup {
    /// The mode by its name.
    pub fn parse(text: &str) -> Option<&'static str> {
        ["disabled", "invite", "domain", "open"]
            .into_iter()
            .find(|mode| *mode == text)
    }

    /// A written mode wins. Otherwise: by invitation when nobody may sign up by themselves, which is
    /// the rule for OIDC unless written otherwise; by domain when domains are listed; else open. So
    /// neither `false` nor a list of domains ever weakens to `open` (02 §14.1).
    pub fn infer(input: SignupInput) -> Signup {
        if let Some(mode) = input.mode {
            let self_service = input
                .self_service
                .unwrap_or(matches!(mode, "open" | "domain"));
            return Signup { mode, self_service };
        }
        let self_service = input.self_service.unwrap_or(!input.oidc);
        let mode = match (self_service, input.domains) {
            (false, _) => "invite",
            (true, true) => "domain",
            (true, false) => "open",
        };
        Signup { mode, self_service }
    }
}

/// The built-in profiles first, blank names dropped, an unknown default replaced by `full`; each
/// profile's features and runtime become those that are in force: written in the profile, else written
/// at `cloud`, else the built-in profile's, else the default (02 §4.10). Its lists of agents, tools and
/// MCPs stay absent when absent: that means unrestricted.
fn normalize_profiles(cloud: &mut Map<String, Value>, written: &Value) {
    let defaults = cloud.clone();
    let Some(profiles) = cloud.get_mut("profiles").and_then(Value::as_object_mut) else {
        return;
    };
    let mut ordered = Map::new();
    for name in PROFILES {
        if let Some(profile) = profiles.remove(name) {
            ordered.insert(name.to_owned(), profile);
        }
    }
    ordered.extend(
        std::mem::take(profiles)
            .into_iter()
            .filter(|(name, _)| !is_blank(name)),
    );
    for (name, profile) in &mut ordered {
        let Some(profile) = profile.as_object_mut() else {
            continue;
        };
        for list in ["agents", "tools", "mcps"] {
            drop_blanks(profile.get_mut(list));
        }
        let own = written
            .get("profiles")
            .and_then(|profiles| profiles.get(name));
        for section in ["features", "runtime"] {
            let filled = in_force(
                own.and_then(|own| own.get(section)),
                written.get(section),
                profile.get(section),
                defaults.get(section),
            );
            // Something that is no object stays for the schema to refuse.
            if profile.get(section).is_none_or(Value::is_object) {
                profile.insert(section.to_owned(), filled);
            }
        }
        for list in ["allowedLocalMcpNames", "allowedHostProjectDirectories"] {
            drop_blanks(
                profile
                    .get_mut("runtime")
                    .and_then(|runtime| runtime.get_mut(list)),
            );
        }
        if let Some(source) = profile
            .get_mut("defaultProjectSource")
            .and_then(Value::as_object_mut)
        {
            normalize_source(source);
        }
    }
    *profiles = ordered;
    let known = |name: &str| profiles.contains_key(name);
    if defaults
        .get("defaultProfile")
        .and_then(Value::as_str)
        .is_some_and(|name| !known(name))
    {
        cloud.insert("defaultProfile".into(), json!(PROFILES[0]));
    }
}

/// The first that has a key, in this order; all keys of all of them.
fn in_force(
    own: Option<&Value>,
    at_cloud: Option<&Value>,
    merged: Option<&Value>,
    defaults: Option<&Value>,
) -> Value {
    let mut filled = Map::new();
    for layer in [defaults, merged, at_cloud, own].into_iter().flatten() {
        if let Some(layer) = layer.as_object() {
            filled.extend(
                layer
                    .iter()
                    .map(|(key, value)| (key.clone(), value.clone())),
            );
        }
    }
    Value::Object(filled)
}

fn normalize_source(source: &mut Map<String, Value>) {
    for (_, value) in source.iter_mut() {
        if let Value::String(text) = value {
            *text = trim(text).to_owned();
        }
    }
    let nullable: &[&str] = match source.get("kind").and_then(Value::as_str) {
        Some("git") => &["ref", "subdirectory", "credentialRef"],
        Some("snapshot") => &["title"],
        _ => &[],
    };
    for key in nullable {
        null_when_blank(source, key);
    }
}

fn normalize_plans(cloud: &mut Map<String, Value>) {
    let Some(billing) = cloud.get_mut("billing").and_then(Value::as_object_mut) else {
        return;
    };
    if let Some(plans) = billing.get_mut("plans").and_then(Value::as_object_mut) {
        plans.retain(|name, _| !is_blank(name));
        for plan in plans.values_mut().filter_map(Value::as_object_mut) {
            let entitlements = plan.entry("entitlements").or_insert_with(|| json!({}));
            let Some(entitlements) = entitlements.as_object_mut() else {
                continue;
            };
            for list in ["allowedProfiles", "allowedProviders"] {
                entitlements.entry(list).or_insert_with(|| json!([]));
                drop_blanks(entitlements.get_mut(list));
            }
            for (limit, _) in LIMITS {
                entitlements.entry(limit).or_insert(Value::Null);
            }
        }
    }
    let plans = billing.get("plans").and_then(Value::as_object);
    let known = |name: &str| plans.is_some_and(|plans| plans.contains_key(name));
    if billing
        .get("defaultPlanKey")
        .and_then(Value::as_str)
        .is_some_and(|name| !known(name))
    {
        billing.insert("defaultPlanKey".into(), json!(PLAN));
    }
}

/// A blank text falls back to what is built in: names always, texts of the maps where `built_in` has them.
fn normalize_branding(branding: &mut Map<String, Value>, built_in: &Value) {
    let defaults = public_branding();
    for key in ["productName", "shortName"] {
        if let Some(Value::String(name)) = branding.get_mut(key) {
            *name = match trim(name) {
                "" => text(&defaults, key).unwrap_or_default().to_owned(),
                kept => kept.to_owned(),
            };
        }
    }
    for name in ["theme", "dashboard", "managedOrgConnectionLabels"] {
        let mut blank = HashSet::new();
        if let Some(map) = branding.get_mut(name).and_then(Value::as_object_mut) {
            for (key, value) in map.iter_mut() {
                if let Value::String(text) = value {
                    *text = trim(text).to_owned();
                    if text.is_empty() {
                        blank.insert(key.clone());
                    }
                }
            }
            map.retain(|_, value| value != "");
        }
        let Some(Value::Object(built_in)) = built_in.get(name) else {
            continue;
        };
        if let Some(map) = branding.get_mut(name).and_then(Value::as_object_mut) {
            for key in built_in.keys().filter(|key| blank.contains(*key)) {
                map.insert(key.clone(), built_in[key].clone());
            }
        }
    }
    for key in [
        "logoUrl",
        "supportUrl",
        "privacyUrl",
        "securityUrl",
        "legalUrl",
    ] {
        let Some(Value::String(link)) = branding.get(key) else {
            continue;
        };
        match safe_link(link, key == "supportUrl") {
            Some(link) => branding.insert(key.into(), json!(link)),
            None => branding.shift_remove(key),
        };
    }
}

/// A link as a WHATWG URL parser writes it (`https://a.example.com` → `https://a.example.com/`), if it
/// may be shown to anybody: https, or a mail address where one makes sense (02 §2.4).
pub fn safe_link(link: &str, mail: bool) -> Option<String> {
    let url = url::Url::parse(trim(link)).ok()?;
    match url.scheme() {
        "https" if url.has_host() => Some(url.into()),
        "mailto" if mail && !url.path().is_empty() => Some(url.into()),
        _ => None,
    }
}

fn normalize_gateway_providers(providers: &mut Vec<Value>) {
    providers.retain(|provider| !provider.is_object() || provider.get("kind").is_some());
    for provider in providers.iter_mut().filter_map(Value::as_object_mut) {
        for key in ["id", "channelBindingId"] {
            if let Some(Value::String(text)) = provider.get_mut(key) {
                *text = trim(text).to_owned();
            }
        }
        provider
            .entry("channelBindingId")
            .or_insert_with(|| json!(""));
        for key in ["externalWorkspaceId", "defaultAgent"] {
            null_when_blank(provider, key);
        }
        for key in ["credentials", "settings"] {
            provider.entry(key).or_insert_with(|| json!({}));
        }
    }
}

fn null_when_blank(map: &mut Map<String, Value>, key: &str) {
    match map.get_mut(key) {
        Some(Value::String(text)) if is_blank(text) => {
            map.insert(key.to_owned(), Value::Null);
        }
        Some(Value::String(text)) => *text = trim(text).to_owned(),
        Some(_) => {}
        None => {
            map.insert(key.to_owned(), Value::Null);
        }
    }
}

fn trim_or_remove(map: &mut Map<String, Value>, key: &str) {
    match map.get_mut(key) {
        Some(Value::String(text)) if is_blank(text) => {
            map.shift_remove(key);
        }
        Some(Value::String(text)) => *text = trim(text).to_owned(),
        _ => {}
    }
}

/// Entries are neither trimmed nor made unique (02 §2.4).
fn drop_blanks(list: Option<&mut Value>) {
    let Some(list) = list else { return };
    if let Some(items) = list.as_array_mut() {
        items.retain(|item| item.as_str().is_none_or(|text| !is_blank(text)));
    }
}

fn object_at<'a>(value: &'a mut Value, pointer: &str) -> Option<&'a mut Map<String, Value>> {
    value.pointer_mut(pointer)?.as_object_mut()
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::needless_pass_by_value)] // `json!(…)` reads best where it is used

    use super::*;
    use crate::defaults;
    use crate::merge::merge;

    fn resolved(layer: Value) -> Value {
        let mut merged = defaults::document();
        merge(&mut merged, &layer);
        normalize(&mut merged, &layer);
        let mut again = merged.clone();
        normalize(&mut again, &layer);
        assert_eq!(again, merged, "twice changes nothing more");
        merged
    }

    fn signup(auth: Value) -> (Value, Value) {
        let auth = &resolved(json!({"cloud": {"auth": auth}}))["cloud"]["auth"];
        (
            auth["signupMode"].clone(),
            auth["allowSelfServiceSignup"].clone(),
        )
    }

    #[test]
    fn a_default_profile_is_unrestricted_and_not_closed() {
        let cloud = &resolved(json!({}))["cloud"];
        for list in ["agents", "tools", "mcps"] {
            assert_eq!(cloud["profiles"]["full"].get(list), None);
            assert_eq!(cloud["profiles"]["focused-agent"][list], json!([]));
        }
    }

    #[test]
    fn what_is_in_force_is_the_profiles_then_the_clouds_then_the_built_ins_then_the_default() {
        let resolved = resolved(json!({"cloud": {
            "features": {"workflows": true, "chat": false},
            "runtime": {"allowLocalStdioMcps": true, "allowedLocalMcpNames": ["a", " "]},
            "profiles": {"focused-agent": {"features": {"chat": true}}, "x": {"runtime": {"allowLocalStdioMcps": false}}}
        }}));
        let profiles = &resolved["cloud"]["profiles"];
        let focused = &profiles["focused-agent"]["features"];
        assert_eq!(focused["chat"], true, "written in the profile");
        assert_eq!(
            focused["workflows"], true,
            "written at cloud.features, over the built-in profile"
        );
        assert_eq!(focused["settings"], false, "the built-in profile's");
        assert_eq!(focused["webhooks"], false);
        assert_eq!(focused["byok"], true, "the default");
        assert_eq!(profiles["full"]["features"]["chat"], false);
        assert_eq!(profiles["x"]["runtime"]["allowLocalStdioMcps"], false);
        assert_eq!(
            profiles["x"]["runtime"]["allowedLocalMcpNames"],
            json!(["a"])
        );
        assert_eq!(profiles["full"]["runtime"]["allowLocalStdioMcps"], true);
    }

    #[test]
    fn built_in_profiles_come_first_and_unknown_defaults_fall_back() {
        let cloud = json!({"profiles": {"z": {}, " ": {}, "full": {"label": "F"}}, "defaultProfile": "toString",
            "billing": {"defaultPlanKey": "constructor", "plans": {" ": {}, "p": {}}}});
        let cloud = &resolved(json!({"cloud": cloud}))["cloud"];
        let names: Vec<_> = cloud["profiles"].as_object().unwrap().keys().collect();
        assert_eq!(names, ["full", "focused-agent", "custom", "z"]);
        assert_eq!(cloud["profiles"]["full"]["label"], "F");
        assert_eq!(cloud["defaultProfile"], "full");
        assert_eq!(cloud["billing"]["defaultPlanKey"], "self-host");
        assert_eq!(cloud["billing"]["plans"].as_object().unwrap().len(), 2);
        assert_eq!(
            cloud["billing"]["plans"]["p"]["entitlements"]["allowedProfiles"],
            json!([])
        );
        assert_eq!(
            cloud["billing"]["plans"]["p"]["entitlements"]["maxQueueAgeMs"],
            Value::Null
        );
    }

    #[test]
    fn a_default_that_a_higher_layer_defines_is_kept() {
        let cloud = json!({"defaultProfile": "mine", "profiles": {"mine": {}}});
        assert_eq!(
            resolved(json!({"cloud": cloud}))["cloud"]["defaultProfile"],
            "mine"
        );
    }

    #[test]
    fn sign_up_is_never_opened_by_something_that_restricts() {
        assert_eq!(signup(json!({})), (json!("open"), json!(true)));
        assert_eq!(
            signup(json!({"mode": "oidc"})),
            (json!("invite"), json!(false))
        );
        let oidc = json!({"mode": "oidc", "allowSelfServiceSignup": false, "allowedEmailDomains": ["example.com"]});
        assert_eq!(signup(oidc), (json!("invite"), json!(false)));
        let oidc = json!({"mode": "oidc", "allowSelfServiceSignup": true, "allowedEmailDomains": ["example.com"]});
        assert_eq!(signup(oidc), (json!("domain"), json!(true)));
        assert_eq!(
            signup(json!({"allowSelfServiceSignup": false})),
            (json!("invite"), json!(false))
        );
        assert_eq!(
            signup(json!({"allowedEmailDomains": ["example.com"]})),
            (json!("domain"), json!(true))
        );
        assert_eq!(
            signup(json!({"signupMode": "disabled"})),
            (json!("disabled"), json!(false))
        );
        assert_eq!(
            signup(json!({"mode": "oidc", "signupMode": "open"})),
            (json!("open"), json!(true))
        );
    }

    #[test]
    fn branding_is_trimmed_and_its_links_are_made_safe() {
        let branding = json!({"productName": " ", "shortName": " SC ", "description": " kept ",
            "logoUrl": "https://a.example.com", "supportUrl": "mailto:a@example.com",
            "privacyUrl": "http://a.example.com", "legalUrl": "https://", "faviconUrl": "https://f",
            "theme": {"accent": " #123456 ", "accent2": " "}, "dashboard": {"title": ""}});
        let public = public_branding();
        for pointer in ["/cloud/publicBranding", "/gateway/branding"] {
            let (section, key) = pointer[1..].split_once('/').unwrap();
            let resolved = resolved(json!({section: {key: branding}}));
            let branding = resolved.pointer(pointer).unwrap();
            assert_eq!(branding["productName"], "Open Cowork Cloud");
            assert_eq!(branding["shortName"], "SC");
            assert_eq!(branding["description"], " kept ");
            assert_eq!(branding["logoUrl"], "https://a.example.com/");
            assert_eq!(branding["supportUrl"], "mailto:a@example.com");
            assert_eq!(branding["faviconUrl"], "https://f");
            assert!(branding.get("privacyUrl").is_none() && branding.get("legalUrl").is_none());
            assert_eq!(branding["theme"]["accent"], "#123456");
            let title = branding["dashboard"].get("title");
            let built_in = (section == "cloud").then(|| &public["dashboard"]["title"]);
            assert_eq!(title, built_in);
        }
    }

    #[test]
    fn gateway_providers_are_filled_and_one_without_kind_is_dropped() {
        let providers =
            json!([{"channelBindingId": "x"}, {"kind": "slack", "id": " s ", "defaultAgent": " "}]);
        let resolved = resolved(json!({"gateway": {"providers": providers}}));
        assert_eq!(
            resolved["gateway"]["providers"],
            json!([{"kind": "slack", "id": "s", "channelBindingId": "", "externalWorkspaceId": null,
                "defaultAgent": null, "credentials": {}, "settings": {}}])
        );
    }

    #[test]
    fn project_sources_header_secrets_scopes_and_connections_are_cleaned() {
        let resolved = resolved(json!({
            "cloud": {
                "auth": {"headerSecret": " ", "headerSecretRef": " env:X ", "apiTokens": {"allowedScopes": []}},
                "profiles": {"p": {"defaultProjectSource": {"kind": "git", "repositoryUrl": " u ", "ref": " "}},
                             "q": {"defaultProjectSource": null}}
            },
            "cloudDesktop": {"preconfiguredConnections": [{"label": "x"}, {"baseUrl": "https://a/b"}]}
        }));
        let auth = &resolved["cloud"]["auth"];
        assert!(auth.get("headerSecret").is_none());
        assert_eq!(auth["headerSecretRef"], "env:X");
        assert_eq!(auth["apiTokens"]["allowedScopes"], json!(TOKEN_SCOPES));
        let profiles = &resolved["cloud"]["profiles"];
        assert_eq!(
            profiles["p"]["defaultProjectSource"],
            json!({"kind": "git", "repositoryUrl": "u", "ref": null, "subdirectory": null, "credentialRef": null})
        );
        assert_eq!(profiles["q"]["defaultProjectSource"], Value::Null);
        assert_eq!(
            resolved["cloudDesktop"]["preconfiguredConnections"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
    }
}
