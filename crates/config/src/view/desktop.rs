//! What the desktop's window sees (02 §9).

use super::{View, mask, public};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

/// `{branding, auth, providers, permissions, agentStarterTemplates, toolTrace, i18n?, features?}`.
///
/// `document` is a resolved document.
pub fn config(document: &Value) -> Value {
    let visible = public::copy(document, public::keys(View::Desktop));
    let mode = visible["auth"]["mode"].as_str().unwrap_or("none");
    let list = |pointer: &str| {
        visible
            .pointer(pointer)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let rules: Vec<Value> = [list("/toolTrace/additionalRules"), list("/toolTrace/rules")].concat();
    let mut config = json!({
        "branding": branding(&visible["branding"]),
        "auth": {"mode": mode, "enabled": mode != "none"},
        "providers": providers(&visible["providers"]),
        "permissions": visible["permissions"],
        "agentStarterTemplates": list("/agentStarterTemplates"),
        "toolTrace": {"rules": rules},
    });
    for key in ["i18n", "features"] {
        if let Some(section) = visible.get(key) {
            config[key] = section.clone();
        }
    }
    mask(&mut config);
    config
}

fn branding(visible: &Value) -> Value {
    let mut branding = visible.clone();
    let logo = visible
        .pointer("/sidebar/top/logoAsset")
        .and_then(Value::as_str)
        .and_then(asset_url);
    if let (Some(logo), Some(top)) = (logo, branding.pointer_mut("/sidebar/top")) {
        top["logoUrl"] = json!(logo);
    }
    branding
}

/// The address of a branding asset: `open-cowork-asset://branding/<path>`. `None` for a path that leads
/// out of the branding folder or makes a longer address than 1024 characters (02 §8.1). Whether the file
/// is there is for the one who serves it to say.
pub fn asset_url(path: &str) -> Option<String> {
    /// What stays readable in a path.
    const PATH: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'.')
        .remove(b'-')
        .remove(b'_')
        .remove(b'~');
    let path = path.replace('\\', "/");
    let path = path.strip_prefix("branding/").unwrap_or(&path);
    let leaves =
        path.is_empty() || path.starts_with('/') || path.split('/').any(|step| step == "..");
    if leaves || path.contains(':') {
        return None;
    }
    let url = format!(
        "open-cowork-asset://branding/{}",
        utf8_percent_encode(path, PATH)
    );
    (url.len() <= 1024).then_some(url)
}

fn providers(visible: &Value) -> Value {
    let ids = visible["available"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let available: Vec<Value> = ids.filter_map(|id| provider(visible, id)).collect();
    json!({
        "available": available,
        "defaultProvider": visible["defaultProvider"],
        "defaultModel": visible["defaultModel"],
    })
}

fn provider(visible: &Value, id: &str) -> Option<Value> {
    let descriptor = visible["descriptors"].get(id);
    let custom = visible["custom"].get(id);
    let first = |key: &str| {
        [descriptor, custom]
            .into_iter()
            .flatten()
            .find_map(|from| from.get(key))
            .cloned()
    };
    descriptor.or(custom)?;
    let mut models = descriptor
        .and_then(|from| from["models"].as_array())
        .cloned()
        .unwrap_or_default();
    let named = custom
        .and_then(|from| from["models"].as_object())
        .into_iter()
        .flatten();
    for (model, about) in named {
        if models.iter().any(|known| known["id"] == model.as_str()) {
            continue;
        }
        let mut entry = Map::new();
        entry.insert("id".into(), json!(model));
        entry.insert(
            "name".into(),
            about.get("name").cloned().unwrap_or_else(|| json!(model)),
        );
        for key in ["limit", "cost"] {
            entry.extend(about.get(key).map(|value| (key.to_owned(), value.clone())));
        }
        models.push(Value::Object(entry));
    }
    let mut entry = json!({
        "id": id,
        "name": first("name").unwrap_or_else(|| json!(id)),
        "description": first("description").unwrap_or_else(|| json!("")),
        "credentials": first("credentials").unwrap_or_else(|| json!([])),
        "models": models,
    });
    for key in ["defaultModel", "smallModel"] {
        if let Some(model) = first(key) {
            entry[key] = model;
        }
    }
    Some(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asset_stays_in_the_branding_folder() {
        assert_eq!(
            asset_url("branding/a b.svg").as_deref(),
            Some("open-cowork-asset://branding/a%20b.svg")
        );
        assert_eq!(
            asset_url("x\\y.png").as_deref(),
            Some("open-cowork-asset://branding/x/y.png")
        );
        for bad in [
            "",
            "/a.svg",
            "../a.svg",
            "branding/../a.svg",
            "https://x/a.svg",
            "a\\..\\b.svg",
        ] {
            assert_eq!(asset_url(bad), None, "{bad}");
        }
        assert_eq!(asset_url(&"é".repeat(400)), None);
    }
}
