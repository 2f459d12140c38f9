//! The 30 public theme tokens: the only ones that a configuration may override (02 §8.2), and their defaults.

use crate::brand::BrandTokens;
use serde_json::{Map, Value};

/// What a token's value may look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 1..=128 characters: a hex colour, `rgb() rgba() hsl() hsla()`, or letters only.
    Color,
    /// 1..=512 characters of `#A-Za-z0-9(),.%-` and white space: shadows, mixes, gradients.
    Css,
}

/// One public token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its key in `theme`, such as `mutedSurface`.
    pub key: &'static str,
    /// What its value may look like.
    pub kind: Kind,
    /// What it colours.
    pub about: &'static str,
}

const fn color(key: &'static str, about: &'static str) -> Token {
    Token {
        key,
        kind: Kind::Color,
        about,
    }
}

const fn css(key: &'static str, about: &'static str) -> Token {
    Token {
        key,
        kind: Kind::Css,
        about,
    }
}

/// All of them in canonical order (02 §8.2).
pub const TOKENS: [Token; 30] = [
    color("background", "the page"),
    color("surface", "cards and fields"),
    color("mutedSurface", "the rail, prompts, code"),
    color("border", "hairlines"),
    color("text", "text"),
    color("mutedText", "times and hints"),
    color("accent", "the one accent: buttons"),
    color("accent2", "the accent's second stop"),
    css("accentSoft", "a breath of accent behind something"),
    css("accentLine", "a line in the accent"),
    color("accentStrong", "the accent as text: links"),
    color("focus", "focus rings"),
    color("warn", "waiting for you"),
    color("danger", "failed, dangerous"),
    color("ok", "done"),
    color("surfaceHover", "under the pointer"),
    css("surfaceActive", "the chosen row"),
    color("borderSubtle", "fainter hairlines"),
    color("borderStrong", "edges of fields and buttons"),
    color("elevated", "menus and dialogs"),
    color("textSecondary", "secondary text"),
    color("accentHover", "the accent under the pointer"),
    color("accentForeground", "text on the accent"),
    color("green", "green tones"),
    color("amber", "amber tones"),
    color("red", "red tones"),
    color("info", "running, informing"),
    css("shadowCard", "shadow of cards"),
    css("shadowElevated", "shadow of menus and dialogs"),
    css("bgImage", "picture behind the page"),
];

/// The token of a key.
pub fn token(key: &str) -> Option<&'static Token> {
    TOKENS.iter().find(|token| token.key == key)
}

impl Kind {
    /// Whether a value has the form of this kind (02 §8.2). Form only: `notacolor` is letters, and passes.
    pub fn accepts(self, value: &str) -> bool {
        let open = |value: &str| {
            value
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "#(),.%-".contains(c) || is_pattern_space(c))
        };
        match self {
            Kind::Css => (1..=512).contains(&value.chars().count()) && open(value),
            Kind::Color => {
                if !(1..=128).contains(&value.chars().count()) {
                    return false;
                }
                if let Some(digits) = value.strip_prefix('#') {
                    return matches!(digits.len(), 3 | 4 | 6 | 8)
                        && digits.bytes().all(|b| b.is_ascii_hexdigit());
                }
                if value.bytes().all(|b| b.is_ascii_alphabetic()) {
                    return true;
                }
                ["rgb(", "rgba(", "hsl(", "hsla("].iter().any(|start| {
                    value
                        .strip_prefix(start)
                        .and_then(|rest| rest.strip_suffix(')'))
                        .is_some_and(|inner| !inner.is_empty() && open(inner))
                })
            }
        }
    }
}

/// `\s` of the pattern's dialect (ECMAScript): white space and line ends, also outside ASCII.
fn is_pattern_space(c: char) -> bool {
    matches!(
        c,
        '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200a}'
                | '\u{2028}'
                | '\u{2029}'
                | '\u{202f}'
                | '\u{205f}'
                | '\u{3000}'
                | '\u{feff}'
    )
}

/// The default public theme: the dark brand theme in public keys (02 §8.4).
pub fn default_theme() -> Map<String, Value> {
    BrandTokens::DARK.to_public()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::color::Color;

    /// 02 §13.
    #[test]
    fn values_are_accepted_by_their_form() {
        for bad in [
            "color-mix(in srgb, red, blue)",
            "#12345",
            "rgb(0 0 0 / 50%)",
            "",
            "rgb()",
            "RGB(0,0,0)",
            "red ",
            "rgb(0,0,0);",
        ] {
            assert!(!Kind::Color.accepts(bad), "{bad}");
        }
        for good in ["notacolor", "#fff", "#12345678", "hsla(1 2% 3%)", "rgb(#)"] {
            assert!(Kind::Color.accepts(good), "{good}");
        }
        assert!(Kind::Css.accepts("color-mix(in srgb, #111111 16%, #222222)"));
        assert!(Kind::Css.accepts("url(x.png)"));
        assert!(!Kind::Css.accepts("url(https://x)"));
        assert!(!Kind::Css.accepts("a;b") && !Kind::Css.accepts("a}b") && !Kind::Css.accepts(""));
        assert!(Kind::Color.accepts(&"a".repeat(128)) && !Kind::Color.accepts(&"a".repeat(129)));
        assert!(Kind::Css.accepts(&" ".repeat(512)) && !Kind::Css.accepts(&" ".repeat(513)));
    }

    #[test]
    fn the_default_theme_is_the_dark_brand_theme_and_valid_by_its_own_rules() {
        let theme = default_theme();
        assert_eq!(theme, BrandTokens::DARK.to_public());
        assert_eq!(theme["background"], "#0c0d0f");
        assert_eq!(theme["mutedSurface"], theme["elevated"]);
        assert_eq!(theme["accentStrong"], "#5a8cf5");
        assert_eq!(theme["focus"], "rgba(47, 107, 240, 0.52)");
        for (key, value) in &theme {
            let token = token(key).unwrap();
            let value = value.as_str().unwrap();
            assert!(token.kind.accepts(value), "{key}");
            assert!(
                token.kind == Kind::Css || Color::parse(value).is_some(),
                "{key}"
            );
        }
        let in_order: Vec<_> = TOKENS
            .iter()
            .map(|token| token.key)
            .filter(|key| theme.contains_key(*key))
            .collect();
        assert_eq!(theme.keys().collect::<Vec<_>>(), in_order);
    }
}
