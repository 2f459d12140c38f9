//! The look that a whole configuration asks for: `branding.defaultTheme` and `branding.themes` first, then the public
//! tokens of `cloud.publicBranding.theme` over it (02 §4.2, §8.2, §8.6).

use crate::apply::Remark;
use crate::brand::BrandTokens;
use crate::palette::Theme;
use serde_json::{Map, Value};

/// The look for a valid document's `branding` object and the public theme tokens that somebody wrote (for a document
/// that was merged with the defaults: its [`own`](crate::apply::own) ones).
///
/// A configured theme goes before a preset of the same id. An id that neither knows gives the default look and a
/// remark. Whatever has another shape than the contract's says nothing.
pub fn look(branding: &Value, public: Option<&Map<String, Value>>) -> (Theme, Vec<Remark>) {
    let (theme, mut remarks) = named(branding);
    let Some(public) = public else {
        return (theme, remarks);
    };
    let (theme, more) = theme.with_public(public);
    remarks.extend(more);
    (theme, remarks)
}

fn named(branding: &Value) -> (Theme, Vec<Remark>) {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let Some(id) = text(branding, "defaultTheme") else {
        return (Theme::default(), Vec::new());
    };
    let themes = branding.get("themes").and_then(Value::as_array);
    // The last of one id wins, as everywhere in the document.
    let configured = themes.and_then(|themes| {
        themes
            .iter()
            .rev()
            .find(|theme| text(theme, "id").as_deref() == Some(&id))
    });
    if let Some(configured) = configured {
        let tokens = |key: &str| {
            configured
                .get(key)
                .and_then(Value::as_object)
                .and_then(BrandTokens::from_object)
        };
        if let Some(dark) = tokens("dark") {
            return Theme::default().with_brand(&dark, tokens("light").as_ref());
        }
    }
    match Theme::preset(&id) {
        Some(theme) => (theme, Vec::new()),
        None => (Theme::default(), vec![Remark::UnknownTheme { id }]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn brand(color: &str) -> Value {
        let tokens = BrandTokens::DARK.to_public();
        let mut object: Map<String, Value> = BrandTokens::REQUIRED
            .iter()
            .map(|key| {
                let same = tokens.get(*key).cloned();
                ((*key).to_owned(), same.unwrap_or_else(|| json!("#808890")))
            })
            .collect();
        object.insert("base".to_owned(), json!("#0c0d0f"));
        object.insert("accent".to_owned(), json!(color));
        Value::Object(object)
    }

    #[test]
    fn a_configured_theme_goes_before_a_preset_of_its_id() {
        let branding = json!({
            "defaultTheme": "nord",
            "themes": [{ "id": "nord", "label": "Ours", "dark": brand("#ff8800") }],
        });
        let (theme, _) = look(&branding, None);
        assert_eq!(theme.dark.accent.to_string(), "#ff8800");
        assert_ne!(Some(theme), Theme::preset("nord"));
    }

    #[test]
    fn public_tokens_stand_over_the_named_theme() {
        let public = json!({ "accent": "#0f6b4b" });
        let (theme, remarks) = look(&json!({ "defaultTheme": "nord" }), public.as_object());
        let nord = Theme::preset("nord").unwrap();
        assert_eq!(theme.dark.background, nord.dark.background);
        assert_eq!(theme.dark.accent.to_string(), "#0f6b4b");
        assert_eq!(remarks, []);
    }

    #[test]
    fn an_unknown_id_gives_the_default_look_and_says_so() {
        let (theme, remarks) = look(&json!({ "defaultTheme": "constructor" }), None);
        assert_eq!(theme, Theme::default());
        assert_eq!(
            remarks[0].to_string(),
            "no theme has the id \"constructor\", so the default look stays; add it to branding.themes or name a preset, \
             such as teal or nord"
        );
        assert_eq!(look(&json!(null), None), (Theme::default(), Vec::new()));
    }
}
