//! Tokens that a layer didn't say follow from those that it did (02 §8.3).

use crate::color::{Color, Rgb, ink};
use serde_json::{Map, Value};

/// Fills the missing keys of **one layer's** public theme from the keys that the layer itself has, before it is
/// merged over lower layers. Blank values are dropped first. `focus`, `background`, `text`, `bgImage` and `info`
/// never follow from anything. Running it twice changes nothing.
pub fn public_theme(theme: &mut Map<String, Value>) {
    theme.retain(|_, value| value.as_str().is_none_or(|text| !text.trim().is_empty()));
    for (key, sources) in FROM_SURFACES {
        follow(theme, key, sources);
    }
    if let Some(accent) = theme.get("accent").and_then(Value::as_str) {
        let ink = ink_of(accent);
        let mixed =
            |percent: u8| format!("color-mix(in srgb,var(--accent) {percent}%,transparent)");
        fill(theme, "accentSoft", &mixed(15));
        fill(theme, "accentLine", &mixed(38));
        fill(theme, "accentForeground", ink);
    }
    follow(theme, "accentHover", &["accentStrong", "accent"]);
    for (key, sources) in FROM_TONES {
        follow(theme, key, sources);
    }
}

type Rule = (&'static str, &'static [&'static str]);

const FROM_SURFACES: [Rule; 7] = [
    ("elevated", &["surface", "mutedSurface"]),
    ("surfaceHover", &["mutedSurface", "surface"]),
    ("surfaceActive", &["mutedSurface", "surface"]),
    ("borderSubtle", &["border"]),
    ("borderStrong", &["border"]),
    ("textSecondary", &["mutedText"]),
    ("accent2", &["accentStrong", "accentHover", "accent"]),
];

const FROM_TONES: [Rule; 3] = [
    ("green", &["ok"]),
    ("amber", &["warn"]),
    ("red", &["danger"]),
];

fn follow(theme: &mut Map<String, Value>, key: &str, sources: &[&str]) {
    if theme.contains_key(key) {
        return;
    }
    let found = sources
        .iter()
        .find_map(|source| theme.get(*source).filter(|value| value.is_string()));
    if let Some(value) = found.cloned() {
        theme.insert(key.to_owned(), value);
    }
}

fn fill(theme: &mut Map<String, Value>, key: &str, value: &str) {
    if !theme.contains_key(key) {
        theme.insert(key.to_owned(), value.into());
    }
}

/// What can be read on an accent; white where the accent can't be understood.
fn ink_of(accent: &str) -> &'static str {
    let ink = Color::parse(accent).map_or(Rgb::WHITE, |accent| ink(accent.luminance()));
    if ink == Rgb::WHITE {
        "#ffffff"
    } else {
        "#000000"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::public::TOKENS;
    use proptest::prelude::*;
    use serde_json::json;

    fn derived(theme: &Value) -> Value {
        let mut theme = theme.as_object().unwrap().clone();
        public_theme(&mut theme);
        Value::Object(theme)
    }

    /// 02 §13.
    #[test]
    fn a_layer_fills_its_own_theme() {
        let theme = derived(&json!({
            "surface": "#ffffff", "mutedSurface": "#ecefed", "accent": "#0f6b4b", "accentStrong": "#13845d",
        }));
        let expected = json!({
            "surface": "#ffffff", "mutedSurface": "#ecefed", "accent": "#0f6b4b", "accentStrong": "#13845d",
            "elevated": "#ffffff", "surfaceHover": "#ecefed", "surfaceActive": "#ecefed",
            "accent2": "#13845d", "accentHover": "#13845d", "accentForeground": "#ffffff",
            "accentSoft": "color-mix(in srgb,var(--accent) 15%,transparent)",
            "accentLine": "color-mix(in srgb,var(--accent) 38%,transparent)",
        });
        assert_eq!(
            theme, expected,
            "and nothing else: no focus, amber, red, green, bgImage"
        );
    }

    #[test]
    fn explicit_values_stay_and_blank_ones_were_never_said() {
        let theme = derived(&json!({ "ok": "#111", "green": "#222", "warn": " ", "danger": "" }));
        assert_eq!(theme, json!({ "ok": "#111", "green": "#222" }));
    }

    #[test]
    fn ink_on_the_accent_is_the_one_that_reads_better() {
        let ink = |accent: &str| derived(&json!({ "accent": accent }))["accentForeground"].clone();
        assert_eq!(ink("#ffd400"), "#000000");
        assert_eq!(ink("navy"), "#ffffff");
        assert_eq!(ink("constructor"), "#ffffff", "it is no colour");
    }

    proptest! {
        #[test]
        fn it_only_adds_and_once_is_enough(said in proptest::collection::btree_map(0..30_usize, "[#a-f0-9]{1,7}", 0..30)) {
            let mut theme: Map<String, Value> =
                said.iter().map(|(at, value)| (TOKENS[*at].key.to_owned(), json!(value))).collect();
            let before = theme.clone();
            public_theme(&mut theme);
            for (key, value) in &before {
                prop_assert_eq!(theme.get(key), Some(value));
            }
            for never in ["focus", "background", "text", "bgImage", "info"] {
                prop_assert_eq!(theme.contains_key(never), before.contains_key(never));
            }
            let once = theme.clone();
            public_theme(&mut theme);
            prop_assert_eq!(theme, once);
        }
    }
}
