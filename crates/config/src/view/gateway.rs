//! What a gateway shows of its configuration (02 §9): its branding to anybody, the rest to operators.

use super::{View, mask, public, web};
use crate::redact::{Reader, redacted};
use serde_json::{Value, json};

/// `{health: {branding}, config}`: what `GET /health` adds for anybody, and what operators see.
pub fn both(document: &Value) -> Value {
    json!({"health": {"branding": branding(document)}, "config": config(document)})
}

/// The branding of `GET /health` and `GET /ready`; `theme` and `dashboard` are always there.
pub fn branding(document: &Value) -> Value {
    let visible = public::copy(document, public::keys(View::Gateway));
    let mut branding = web::branding(&visible["gateway"]["branding"]);
    mask(&mut branding);
    branding
}

/// The configuration for operators. Tokens, credentials and settings that are not known to be harmless
/// are `[redacted:<n> chars]`, null stays null; links lose who and what opens them.
pub fn config(document: &Value) -> Value {
    let visible = public::copy(document, public::keys(View::Gateway));
    let mut config = visible["gateway"].clone();
    if let Some(config) = config.as_object_mut() {
        config.shift_remove("branding");
    }
    let gateway = &document["gateway"];
    if let Some(token) = gateway["server"].get("adminToken") {
        config["server"]["adminToken"] =
            redacted(token, "/gateway/server/adminToken", Reader::Stranger);
    }
    let providers = config["providers"].as_array_mut().into_iter().flatten();
    for (at, shown) in providers.enumerate() {
        for section in ["credentials", "settings"] {
            let Some(own) = gateway["providers"][at].get(section) else {
                continue;
            };
            let mut hidden = redacted(
                own,
                &format!("/gateway/providers/{at}/{section}"),
                Reader::Stranger,
            );
            if let (Some(hidden), Some(known)) =
                (hidden.as_object_mut(), shown[section].as_object())
            {
                hidden.extend(
                    known
                        .iter()
                        .map(|(name, value)| (name.clone(), value.clone())),
                );
            }
            shown[section] = hidden;
        }
    }
    mask(&mut config);
    config
}
