//! Brand themes: the token sets of `branding.themes[].dark` and `.light` (02 §4.2), the two built-in ones
//! (02 §8.4), and their mapping onto the public tokens.

use crate::color::Rgb;
use serde_json::{Map, Value};
use std::borrow::Cow;

macro_rules! brand {
    ($($field:ident = $key:literal, $about:literal;)*) => {
        /// The tokens of one brand theme in one scheme. Values are text as the document has them.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct BrandTokens { $(#[doc = $about] pub $field: Cow<'static, str>,)*
            /// Edges of fields and buttons; absent: as the border.
            pub border_strong: Option<Cow<'static, str>>,
            /// The accent's second stop. Built-in themes only: a document can't set it.
            pub accent2: Option<Cow<'static, str>>,
        }

        impl BrandTokens {
            /// Keys that a theme of a document must have, in the order of 02 §4.2.
            pub const REQUIRED: [&'static str; 20] = [$($key,)*];

            /// Reads a token object; `None` when a required key is no text. The document's schema has said so before.
            pub fn from_object(object: &Map<String, Value>) -> Option<BrandTokens> {
                let text = |key: &str| object.get(key).and_then(Value::as_str).map(|text| Cow::Owned(text.to_owned()));
                Some(BrandTokens { $($field: text($key)?,)* border_strong: text("borderStrong"), accent2: None })
            }
        }
    };
}

brand! {
    base = "base", "The page.";
    surface = "surface", "Cards and fields.";
    surface_hover = "surfaceHover", "Under the pointer.";
    surface_active = "surfaceActive", "The chosen row.";
    elevated = "elevated", "The rail, menus, dialogs.";
    border = "border", "Hairlines.";
    border_subtle = "borderSubtle", "Fainter hairlines.";
    text = "text", "Text.";
    text_secondary = "textSecondary", "Secondary text.";
    text_muted = "textMuted", "Times and hints.";
    accent = "accent", "The one accent.";
    accent_hover = "accentHover", "The accent under the pointer, and as text.";
    green = "green", "Done.";
    amber = "amber", "Waiting for you.";
    red = "red", "Failed, dangerous.";
    info = "info", "Running, informing.";
    accent_foreground = "accentForeground", "Text on the accent.";
    shadow_card = "shadowCard", "Shadow of cards.";
    shadow_elevated = "shadowElevated", "Shadow of menus and dialogs.";
    bg_image = "bgImage", "Picture behind the page.";
}

const fn word(text: &'static str) -> Cow<'static, str> {
    Cow::Borrowed(text)
}

/// Focus rings where the accent is no six-digit hex colour (02 §8.4).
const DEFAULT_FOCUS: &str = "rgba(47, 107, 240, 0.52)";

impl BrandTokens {
    /// The built-in dark theme (02 §8.4).
    pub const DARK: BrandTokens = BrandTokens {
        base: word("#0c0d0f"),
        surface: word("#141619"),
        surface_hover: word("#1a1d21"),
        surface_active: word("color-mix(in srgb, #2f6bf0 16%, #1a1d21)"),
        elevated: word("#1f2329"),
        border: word("#2d3137"),
        border_subtle: word("#23262b"),
        text: word("#eceef1"),
        text_secondary: word("#9aa1aa"),
        text_muted: word("#828a94"),
        accent: word("#2f6bf0"),
        accent_hover: word("#5a8cf5"),
        green: word("#3f9a8f"),
        amber: word("#e0913a"),
        red: word("#d6587e"),
        info: word("#6f8cc4"),
        accent_foreground: word("#ffffff"),
        shadow_card: word("0 1px 2px rgba(0, 0, 0, 0.42), 0 12px 30px rgba(0, 0, 0, 0.46)"),
        shadow_elevated: word("0 2px 8px rgba(0, 0, 0, 0.5), 0 24px 60px rgba(0, 0, 0, 0.58)"),
        bg_image: word("none"),
        border_strong: Some(word("#3b4047")),
        accent2: Some(word("#5a8cf5")),
    };

    /// The built-in light theme, "Day" (02 §8.4).
    pub const LIGHT: BrandTokens = BrandTokens {
        base: word("#f3efe7"),
        surface: word("#fbf8f2"),
        surface_hover: word("#f5f1e8"),
        surface_active: word("color-mix(in srgb, #2f6bf0 10%, #f5f1e8)"),
        elevated: word("#ffffff"),
        border: word("#d3cabb"),
        border_subtle: word("#e3dccf"),
        text: word("#2a2520"),
        text_secondary: word("#6a6258"),
        text_muted: word("#746b61"),
        accent: word("#2f6bf0"),
        accent_hover: word("#5a8cf5"),
        green: word("#3f9a8f"),
        amber: word("#e0913a"),
        red: word("#d6587e"),
        info: word("#6f8cc4"),
        accent_foreground: word("#ffffff"),
        shadow_card: word("0 1px 1px rgba(42, 37, 32, 0.08), 0 10px 24px rgba(42, 37, 32, 0.08)"),
        shadow_elevated: word(
            "0 2px 6px rgba(42, 37, 32, 0.10), 0 20px 48px rgba(42, 37, 32, 0.12)",
        ),
        bg_image: word("none"),
        border_strong: Some(word("#c2b8a6")),
        accent2: Some(word("#5a8cf5")),
    };

    /// The same theme in public keys, canonical order (02 §8.4).
    pub fn to_public(&self) -> Map<String, Value> {
        let border_strong = self.border_strong.as_ref().unwrap_or(&self.border);
        let focus = focus(&self.accent);
        let rows: [(&str, Option<&str>); 28] = [
            ("background", Some(&self.base)),
            ("surface", Some(&self.surface)),
            ("mutedSurface", Some(&self.elevated)),
            ("border", Some(&self.border)),
            ("text", Some(&self.text)),
            ("mutedText", Some(&self.text_muted)),
            ("accent", Some(&self.accent)),
            ("accent2", self.accent2.as_deref()),
            ("accentStrong", Some(&self.accent_hover)),
            ("focus", Some(&focus)),
            ("warn", Some(&self.amber)),
            ("danger", Some(&self.red)),
            ("ok", Some(&self.green)),
            ("surfaceHover", Some(&self.surface_hover)),
            ("surfaceActive", Some(&self.surface_active)),
            ("borderSubtle", Some(&self.border_subtle)),
            ("borderStrong", Some(border_strong)),
            ("elevated", Some(&self.elevated)),
            ("textSecondary", Some(&self.text_secondary)),
            ("accentHover", Some(&self.accent_hover)),
            ("accentForeground", Some(&self.accent_foreground)),
            ("green", Some(&self.green)),
            ("amber", Some(&self.amber)),
            ("red", Some(&self.red)),
            ("info", Some(&self.info)),
            ("shadowCard", Some(&self.shadow_card)),
            ("shadowElevated", Some(&self.shadow_elevated)),
            ("bgImage", Some(&self.bg_image)),
        ];
        rows.into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), Value::from(value?))))
            .collect()
    }
}

/// The accent at 52 %; only a six-digit hex accent is followed.
fn focus(accent: &str) -> Cow<'static, str> {
    let six_digits = accent.len() == 7 && accent.starts_with('#');
    match Rgb::parse(accent).filter(|_| six_digits) {
        Some(Rgb(r, g, b)) => Cow::Owned(format!("rgba({r}, {g}, {b}, 0.52)")),
        None => word(DEFAULT_FOCUS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_theme_needs_all_twenty_and_maps_onto_public_keys() {
        let mut object: Map<String, Value> = BrandTokens::REQUIRED
            .iter()
            .map(|key| ((*key).to_owned(), json!("#102030")))
            .collect();
        let tokens = BrandTokens::from_object(&object).unwrap();
        let public = tokens.to_public();
        assert_eq!(public["borderStrong"], "#102030", "as the border");
        assert_eq!(public["focus"], "rgba(16, 32, 48, 0.52)");
        assert!(!public.contains_key("accent2"));
        object.remove("bgImage");
        assert_eq!(BrandTokens::from_object(&object), None);
    }

    #[test]
    fn focus_follows_a_six_digit_accent_only() {
        for other in ["#123", "#12345678", "rebeccapurple", "x"] {
            assert_eq!(focus(other), DEFAULT_FOCUS, "{other}");
        }
    }
}
