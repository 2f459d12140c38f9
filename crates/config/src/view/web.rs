//! What browsers see of the cloud's configuration (02 §9).

use super::{View, mask, public};
use crate::blank::{is_blank, trim};
use crate::normalize::safe_link;
use serde_json::{Map, Value, json};

/// The answer to `GET /api/config`: `{role, profileName, features, allowedAgents, allowedTools,
/// allowedMcps, managedPolicy, publicBranding}`. A list that is absent in the profile is `null`,
/// unrestricted; an empty one allows nothing (02 §4.10).
///
/// `document` is a resolved document, `managed_policy` the view of the organisation's policy.
pub fn config(document: &Value, managed_policy: Value) -> Value {
    let visible = public::copy(document, public::keys(View::Web));
    let cloud = &visible["cloud"];
    let name = cloud["defaultProfile"].as_str().unwrap_or_default();
    let profile = &cloud["profiles"][name];
    let mut config = json!({
        "role": cloud["role"],
        "profileName": name,
        "features": profile["features"],
        "allowedAgents": allow_list(&profile["agents"]),
        "allowedTools": allow_list(&profile["tools"]),
        "allowedMcps": allow_list(&profile["mcps"]),
        "publicBranding": branding(&cloud["publicBranding"]),
    });
    mask(&mut config);
    config["managedPolicy"] = managed_policy;
    config
}

/// The branding that everybody may read before sign-in, so that the first page already has its name and
/// colours (02 §14.4).
pub fn bootstrap(document: &Value) -> Value {
    let visible = public::copy(document, public::keys(View::Web));
    let mut branding = branding(&visible["cloud"]["publicBranding"]);
    mask(&mut branding);
    branding
}

/// The policy of an organisation that has none (02 §9).
pub fn unrestricted_policy() -> Value {
    json!({
        "allowedProviders": null,
        "deniedProviders": [],
        "allowedModels": null,
        "deniedModels": [],
        "keyManagement": "any",
        "extensions": {"customProviders": true, "customMcps": true, "customSkills": true},
        "features": {},
        "permissionCeilings": {
            "bash": "allow",
            "fileWrite": "allow",
            "web": "allow",
            "webSearch": "allow",
            "task": "allow",
            "mcp": "allow",
            "externalDirectory": "allow",
        },
        "updateChannel": null,
        "disabledByPolicy": {},
    })
}

/// Entries are trimmed and unique; absent is `null` (02 §4.10).
fn allow_list(list: &Value) -> Value {
    let Value::Array(items) = list else {
        return Value::Null;
    };
    let mut unique: Vec<&str> = Vec::new();
    for item in items.iter().filter_map(Value::as_str).map(trim) {
        if !item.is_empty() && !unique.contains(&item) {
            unique.push(item);
        }
    }
    json!(unique)
}

/// Public branding as it is served: an unset link of the four is `""`, an unsafe one counts as unset.
pub(super) fn branding(visible: &Value) -> Value {
    let mut branding = Map::new();
    let mut take = |key: &str| {
        if let Some(text) = visible[key].as_str().filter(|text| !is_blank(text)) {
            branding.insert(key.to_owned(), json!(text));
        }
    };
    take("productName");
    take("shortName");
    take("description");
    for key in ["logoUrl", "faviconUrl", "ogImageUrl"] {
        if let Some(link) = visible[key]
            .as_str()
            .and_then(|link| safe_link(link, false))
        {
            branding.insert(key.to_owned(), json!(link));
        }
    }
    for key in ["supportUrl", "privacyUrl", "securityUrl", "legalUrl"] {
        let link = visible[key]
            .as_str()
            .and_then(|link| safe_link(link, key == "supportUrl"));
        branding.insert(key.to_owned(), json!(link.unwrap_or_default()));
    }
    for key in ["theme", "dashboard", "managedOrgConnectionLabels"] {
        let map = if visible[key].is_object() {
            visible[key].clone()
        } else {
            json!({})
        };
        branding.insert(key.to_owned(), map);
    }
    Value::Object(branding)
}
