//! What clients, operators and support may see of a configuration (02 §9).
//!
//! The views for clients are copies of what [`public`] lists; whatever is not listed there can't get
//! into them. The diagnostics view is the whole document with its secrets taken out. In every view,
//! texts that look like secrets are masked, also at public keys.

pub mod desktop;
pub mod diagnostics;
pub mod gateway;
pub mod public;
pub mod web;

use crate::load::Loaded;
use crate::redact::secrets_masked;
use serde_json::Value;

/// Whom a view is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum View {
    /// Browsers that use the cloud: the answer to `GET /api/config`.
    Web,
    /// The window of the desktop.
    Desktop,
    /// The gateway: `health` for anybody, `config` for its operators.
    Gateway,
    /// A diagnostics bundle.
    Diagnostics,
}

impl View {
    /// All of them.
    pub const ALL: [View; 4] = [View::Web, View::Desktop, View::Gateway, View::Diagnostics];

    /// As the command calls it.
    pub fn name(self) -> &'static str {
        match self {
            View::Web => "web",
            View::Desktop => "desktop",
            View::Gateway => "gateway",
            View::Diagnostics => "diagnostics",
        }
    }
}

/// What a reader may see.
///
/// ```
/// use open_cowork_config::{load::load, source::{LayerKind, Sources, Surface}, view::{self, View}};
/// let sources = Sources::new(Surface::Every).with(
///     LayerKind::Base,
///     "site.json",
///     r#"{"branding": {"name": "Sample"}, "gateway": {"server": {"adminToken": "hunter2"}}}"#,
/// );
/// let loaded = load(&sources).unwrap();
/// assert_eq!(view::of(&loaded, View::Desktop)["branding"]["name"], "Sample");
/// assert_eq!(view::of(&loaded, View::Gateway)["config"]["server"]["adminToken"], "[redacted:7 chars]");
/// ```
pub fn of(loaded: &Loaded, view: View) -> Value {
    match view {
        View::Web => web::config(loaded.value(), web::unrestricted_policy()),
        View::Desktop => desktop::config(loaded.value()),
        View::Gateway => gateway::both(loaded.value()),
        View::Diagnostics => diagnostics::bundle(loaded),
    }
}

/// Masks what looks like a secret in every text, names of members too.
fn mask(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let std::borrow::Cow::Owned(masked) = secrets_masked(text) {
                *text = masked;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::Object(map) => {
            if map.keys().any(|key| secrets_masked(key) != key.as_str()) {
                let entries = std::mem::take(map);
                map.extend(
                    entries
                        .into_iter()
                        .map(|(key, value)| (secrets_masked(&key).into_owned(), value)),
                );
            }
            map.values_mut().for_each(mask);
        }
        _ => {}
    }
}
