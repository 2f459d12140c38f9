//! A brand's tokens put onto the two palettes of the workbench.
//!
//! - Accent and tones go into both schemes; each scheme takes those that can be read on its own surfaces.
//! - Surfaces, borders and texts go into the scheme that they suit: light grounds into light, dark into dark.
//! - What the brand didn't say follows from what it said, or stays.
//! - What is no colour (`notacolor`, shadows, pictures) is left out. A palette holds numbers only, so no token can
//!   carry anything else into the style sheet.

use crate::brand::BrandTokens;
use crate::check::{self, Warning};
use crate::color::{Color, Rgb};
use crate::paint::{Wish, paint};
use crate::palette::{Scheme, Theme};
use crate::public::{Kind, default_theme, token};
use serde_json::{Map, Value};
use std::fmt;

/// Something about a brand's tokens that its author should know.
#[derive(Clone, Debug, PartialEq)]
pub enum Remark {
    /// A pair is hard to see.
    Contrast(Warning),
    /// A token's value is no colour; its default stays.
    NotAColor {
        /// The token's key.
        token: String,
    },
    /// `branding.defaultTheme` names nothing; the default look stays.
    UnknownTheme {
        /// The id.
        id: String,
    },
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Remark::Contrast(warning) => warning.fmt(f),
            Remark::NotAColor { token } => write!(
                f,
                "{token} is no colour that can be computed with, so it is left out; write a hex colour such as #0f6b4b"
            ),
            Remark::UnknownTheme { id } => write!(
                f,
                "no theme has the id {id:?}, so the default look stays; add it to branding.themes or name a preset, \
                 such as teal or nord"
            ),
        }
    }
}

impl Theme {
    /// With public tokens that somebody wrote into `cloud.publicBranding.theme` (02 §8.2). A document that was merged
    /// with the built-in defaults has all of them: take its [`own`] ones.
    #[must_use]
    pub fn with_public(self, tokens: &Map<String, Value>) -> (Theme, Vec<Remark>) {
        let mut remarks = Vec::new();
        let wish = Wish::read(tokens, &mut remarks);
        let suits = wish.suits();
        let light = wish.within(suits.is_none_or(|scheme| scheme == Scheme::Light));
        let dark = wish.within(suits.is_none_or(|scheme| scheme == Scheme::Dark));
        let (theme, mut light, mut dark) = self.painted(&light, &dark);
        // One colour is seldom readable on white and on black. It is worth a word when it is readable on neither.
        let told = |warning: &Warning, other: &[Warning]| {
            !IN_BOTH_SCHEMES.contains(&warning.token)
                || other.iter().any(|theirs| theirs.token == warning.token)
        };
        let all_light = light.clone();
        light.retain(|warning| told(warning, &dark));
        dark.retain(|warning| told(warning, &all_light));
        remarks.extend(light.into_iter().chain(dark).map(Remark::Contrast));
        remarks.extend(self.left_in(&theme));
        (theme, remarks)
    }

    /// With a theme of `branding.themes`: a whole set per scheme. Without `light`, `dark` is for both (02 §8.6).
    #[must_use]
    pub fn with_brand(
        self,
        dark: &BrandTokens,
        light: Option<&BrandTokens>,
    ) -> (Theme, Vec<Remark>) {
        let mut remarks = Vec::new();
        let mut read = |tokens: &BrandTokens| Wish {
            focus: None,
            focus_is_accent: true,
            ..Wish::read(&tokens.to_public(), &mut remarks)
        };
        let dark_wish = read(dark);
        let light_wish = light.map_or_else(|| dark_wish.clone(), read);
        let (theme, light_refused, dark_refused) = self.painted(&light_wish, &dark_wish);
        let refused = light_refused.into_iter().chain(dark_refused);
        remarks.extend(refused.map(Remark::Contrast));
        remarks.extend(self.left_in(&theme));
        if light.is_none() {
            // The same set twice; once is enough to hear.
            remarks.retain(|remark| {
                !matches!(remark, Remark::Contrast(warning) if warning.scheme == Scheme::Light)
            });
        }
        (theme, remarks)
    }

    /// With an accent alone; the text on it is derived.
    #[must_use]
    pub fn with_accent(self, accent: Rgb) -> Theme {
        let wish = Wish {
            accent: Some(accent.into()),
            ..Wish::default()
        };
        self.painted(&wish, &wish).0
    }

    /// With page, card, text and accent of each scheme; everything else follows.
    #[must_use]
    pub fn with_seeds(self, dark: Seed, light: Seed) -> Theme {
        self.painted(&light.wish(), &dark.wish()).0
    }

    /// Both schemes painted, and what could not be granted in each.
    fn painted(self, light: &Wish, dark: &Wish) -> (Theme, Vec<Warning>, Vec<Warning>) {
        let (light, light_refused) = paint(self.light, light, Scheme::Light);
        let (dark, dark_refused) = paint(self.dark, dark, Scheme::Dark);
        (Theme { light, dark }, light_refused, dark_refused)
    }

    /// Pairs that are hard to see in what became of this theme; a scheme that stayed as it was is not looked at.
    fn left_in(self, after: &Theme) -> impl Iterator<Item = Remark> {
        [
            (self.light, after.light, Scheme::Light),
            (self.dark, after.dark, Scheme::Dark),
        ]
        .into_iter()
        .filter(|(before, after, _)| before != after)
        .flat_map(|(_, after, scheme)| check::palette(&after, scheme))
        .map(Remark::Contrast)
    }
}

/// What a public theme says once for both schemes.
const IN_BOTH_SCHEMES: [&str; 7] = [
    "accent",
    "accentStrong",
    "focus",
    "info",
    "ok",
    "warn",
    "danger",
];

/// The least that makes a look of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed {
    /// The page.
    pub background: Rgb,
    /// Cards, fields.
    pub surface: Rgb,
    /// Text.
    pub text: Rgb,
    /// The accent.
    pub accent: Rgb,
}

impl Seed {
    fn wish(self) -> Wish {
        Wish {
            background: Some(self.background.into()),
            surface: Some(self.surface.into()),
            text: Some(self.text.into()),
            accent: Some(self.accent.into()),
            focus_is_accent: true,
            ..Wish::default()
        }
    }
}

/// The tokens of a merged theme that differ from the built-in default: what a brand says of its own.
pub fn own(merged: &Map<String, Value>) -> Map<String, Value> {
    let defaults = default_theme();
    merged
        .iter()
        .filter(|(key, value)| defaults.get(key.as_str()) != Some(value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// What the author of a theme, merged or not, should know before anybody sees it.
pub fn remarks(tokens: &Map<String, Value>) -> Vec<Remark> {
    Theme::default().with_public(&own(tokens)).1
}

impl Wish {
    fn read(tokens: &Map<String, Value>, remarks: &mut Vec<Remark>) -> Wish {
        let text = |key: &str| tokens.get(key).and_then(Value::as_str);
        let mut get = |key: &str| {
            let value = text(key)?.trim();
            let color = Color::parse(value).or_else(|| mixed(value));
            let is_color = token(key).is_none_or(|token| token.kind == Kind::Color);
            if color.is_none() && is_color && !value.is_empty() {
                remarks.push(Remark::NotAColor {
                    token: key.to_owned(),
                });
            }
            color
        };
        let mut wish = Wish {
            background: get("background"),
            surface: get("surface"),
            muted_surface: get("mutedSurface"),
            surface_active: get("surfaceActive"),
            border: get("border"),
            border_strong: get("borderStrong"),
            text: get("text"),
            text_secondary: get("textSecondary"),
            muted_text: get("mutedText"),
            accent: get("accent"),
            accent_foreground: get("accentForeground"),
            accent_strong: get("accentStrong"),
            focus: get("focus"),
            focus_is_accent: false,
            info: get("info"),
            ok: get("ok"),
            warn: get("warn"),
            danger: get("danger"),
        };
        // Derivation (02 §8.3) copies these from their neighbours; then they said nothing of their own.
        if wish.surface_active == wish.muted_surface || wish.surface_active == wish.surface {
            wish.surface_active = None;
        }
        if wish.border_strong == wish.border {
            wish.border_strong = None;
        }
        if wish.text_secondary == wish.muted_text {
            wish.text_secondary = None;
        }
        wish
    }

    /// The scheme that surfaces and texts belong to; `None` when nothing of the kind was said.
    fn suits(&self) -> Option<Scheme> {
        let ground = self.background.or(self.surface).or(self.muted_surface);
        // A hairline is near the ground that it lies on.
        if let Some(ground) = ground.or(self.surface_active).or(self.border) {
            return Some(Scheme::of_ground(ground.over(Rgb::WHITE)));
        }
        let text = self.text.or(self.muted_text).or(self.text_secondary)?;
        Some(Scheme::of_ground(text.over(Rgb::WHITE).ink()))
    }

    /// The part for one scheme: accents and tones always, surfaces, borders and texts only where they suit.
    fn within(&self, suited: bool) -> Wish {
        if suited {
            return self.clone();
        }
        Wish {
            background: None,
            surface: None,
            muted_surface: None,
            surface_active: None,
            border: None,
            border_strong: None,
            text: None,
            text_secondary: None,
            muted_text: None,
            ..self.clone()
        }
    }
}

/// `color-mix(in srgb, A p%, B)` of two plain colours: what the built-in themes write (02 §8.4).
fn mixed(text: &str) -> Option<Color> {
    if text.len() > crate::color::MAX_LENGTH {
        return None;
    }
    let inner = text.strip_prefix("color-mix(")?.strip_suffix(')')?;
    let inner = inner.trim_start().strip_prefix("in srgb")?;
    let (first, second) = inner.trim_start().strip_prefix(',')?.rsplit_once(',')?;
    let (color, percent) = first.trim().rsplit_once(char::is_whitespace)?;
    let share: f64 = percent.strip_suffix('%')?.parse().ok()?;
    let (first, second) = (Rgb::parse(color.trim())?, Rgb::parse(second.trim())?);
    (0.0..=100.0)
        .contains(&share)
        .then(|| second.mix(first, share / 100.0).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::TEXT;
    use crate::palette::Palette;
    use crate::public::TOKENS;
    use proptest::prelude::*;
    use serde_json::json;

    fn public(tokens: &Value) -> (Theme, Vec<Remark>) {
        Theme::default().with_public(tokens.as_object().unwrap())
    }

    fn hex(text: &str) -> Rgb {
        Rgb::parse(text).unwrap()
    }

    #[test]
    fn the_default_theme_of_a_merged_document_is_no_wish() {
        assert_eq!(own(&default_theme()), Map::new());
        assert_eq!(remarks(&default_theme()), []);
        let mut merged = default_theme();
        merged.insert("accent".to_owned(), json!("#0f6b4b"));
        assert_eq!(Value::Object(own(&merged)), json!({ "accent": "#0f6b4b" }));
    }

    #[test]
    fn an_accent_goes_into_both_schemes_with_readable_ink_and_leaves_focus() {
        let (theme, remarks) = public(&json!({ "accent": "#ffd400" }));
        for palette in [theme.light, theme.dark] {
            assert_eq!(palette.accent, hex("#ffd400"));
            assert_eq!(palette.accent_foreground, Rgb::BLACK);
        }
        assert_eq!(theme.light.focus, Palette::LIGHT.focus);
        assert_eq!(
            theme.light.accent_strong,
            Palette::LIGHT.accent_strong,
            "yellow is no link colour on white"
        );
        assert_eq!(theme.dark.accent_strong, hex("#ffd400"));
        assert_eq!(remarks, [], "a button is all that was asked for");
        assert_eq!(Theme::default().with_accent(hex("#ffd400")), theme);
    }

    #[test]
    fn a_link_colour_that_is_readable_nowhere_is_told_with_its_ratio() {
        let (theme, remarks) = public(&json!({ "accentStrong": "#808080" }));
        assert_eq!(theme, Theme::default());
        assert_eq!(
            remarks[0].to_string(),
            "accentStrong on mutedSurface has a contrast of 3.58:1 in the light scheme and needs 4.5:1; \
             a readable colour is used instead"
        );
        let (theme, remarks) = public(&json!({ "accentStrong": "#0f6b4b" }));
        assert_eq!(theme.light.accent_strong, hex("#0f6b4b"));
        assert_eq!(theme.dark.accent_strong, Palette::DARK.accent_strong);
        assert_eq!(remarks, [], "readable in one scheme is enough");
    }

    #[test]
    fn surfaces_go_where_they_suit_and_what_was_not_said_follows() {
        let (theme, remarks) = public(&json!({ "background": "#fff4e0", "text": "#3a2a10" }));
        assert_eq!(theme.dark, Palette::DARK);
        assert_eq!(theme.light.background, hex("#fff4e0"));
        assert_eq!(theme.light.text, hex("#3a2a10"));
        assert_ne!(theme.light.muted_surface, Palette::LIGHT.muted_surface);
        assert_eq!(remarks, []);

        let (theme, _) = public(&json!({ "background": "#101820" }));
        assert_eq!(theme.light, Palette::LIGHT);
        assert_eq!(theme.dark.background, hex("#101820"));
        let (theme, _) = public(&json!({ "text": "#d0e0f0" }));
        assert_eq!(
            theme.light,
            Palette::LIGHT,
            "light text is for dark surfaces"
        );
        assert_eq!(theme.dark.text, hex("#d0e0f0"));
    }

    #[test]
    fn a_text_that_is_faint_is_used_with_a_warning_and_one_that_is_lost_is_not() {
        let (theme, remarks) = public(&json!({ "mutedText": "#737373" }));
        // The scheme is the one that suits; here the text is for light surfaces.
        assert_eq!(theme.light.muted_text, hex("#737373"));
        assert!(remarks.iter().all(|remark| matches!(
            remark,
            Remark::Contrast(Warning {
                used: true,
                token: "mutedText",
                ..
            })
        )));
        assert!(!remarks.is_empty());
        let (theme, remarks) = public(&json!({ "background": "#ffffff", "text": "#fefefe" }));
        assert!(theme.light.text.contrast(theme.light.background) >= TEXT);
        assert!(matches!(
            remarks[0],
            Remark::Contrast(Warning {
                used: false,
                token: "text",
                ..
            })
        ));
    }

    #[test]
    fn what_is_no_colour_is_left_out_and_said() {
        let (theme, remarks) = public(&json!({
            "accent": "notacolor", "bgImage": "url(x.png)", "shadowCard": "0 1px 2px red", "unknown": "red",
        }));
        assert_eq!(theme, Theme::default());
        assert_eq!(
            remarks,
            [Remark::NotAColor {
                token: "accent".to_owned()
            }]
        );
    }

    #[test]
    fn a_theme_s_colour_that_can_t_be_read_in_its_own_scheme_is_told() {
        let faint = BrandTokens {
            red: "#f0b0b0".into(),
            ..BrandTokens::LIGHT
        };
        let (theme, remarks) = Theme::default().with_brand(&BrandTokens::DARK, Some(&faint));
        assert_ne!(theme.light.danger, hex("#f0b0b0"));
        let told = remarks.iter().any(|remark| {
            matches!(remark, Remark::Contrast(warning)
                if (warning.token, warning.scheme, warning.used) == ("danger", Scheme::Light, false))
        });
        assert!(told, "{remarks:?}");
        let (_, remarks) = Theme::default().with_brand(&faint, None);
        assert_eq!(
            remarks
                .iter()
                .filter(|remark| remark.to_string().starts_with("danger "))
                .count(),
            1,
            "once, though it is used for both"
        );
    }

    #[test]
    fn a_hairline_alone_goes_where_it_suits() {
        let (theme, _) = public(&json!({ "border": "#d0d0d0" }));
        assert_eq!(theme.light.border, hex("#d0d0d0"));
        assert_eq!(theme.dark, Palette::DARK);
    }

    #[test]
    fn a_whole_theme_fills_each_scheme_and_dark_alone_fills_both() {
        let (theme, _) = Theme::default().with_brand(&BrandTokens::DARK, Some(&BrandTokens::LIGHT));
        assert_eq!(theme.light.background, hex("#f3efe7"));
        assert_eq!(theme.dark.background, hex("#0c0d0f"));
        assert_eq!(theme.light.muted_surface, hex("#ffffff"));
        assert_eq!(
            theme.light.surface_active,
            hex("#f5f1e8").mix(hex("#2f6bf0"), 0.10),
            "mixes are computed"
        );
        assert_eq!(theme.dark.focus, hex("#2f6bf0"));
        let (theme, _) = Theme::default().with_brand(&BrandTokens::DARK, None);
        assert_eq!(theme.light.background, theme.dark.background);
        assert!(theme.css().starts_with(":root{color-scheme:dark;"));
    }

    const HOSTILE: [&str; 8] = [
        "red;}body{background:url(//x)}",
        "</style><script>alert(1)</script>",
        "#fff;--x:1",
        "url(javascript:alert(1))",
        "expression(alert(1))",
        "rgb(0,0,0)}*{display:none",
        "\\72 ed",
        "var(--color-text)",
    ];

    #[test]
    fn no_token_can_carry_style_into_the_sheet() {
        for value in HOSTILE {
            let tokens: Map<String, Value> = TOKENS
                .iter()
                .map(|token| (token.key.to_owned(), json!(value)))
                .collect();
            let (theme, _) = Theme::default().with_public(&tokens);
            assert_eq!(theme, Theme::default(), "{value}");
        }
    }

    fn any_value() -> impl Strategy<Value = String> {
        prop_oneof![
            (0_u32..0x100_0000).prop_map(|value| format!("#{value:06x}")),
            (0_u32..=u32::MAX).prop_map(|value| format!("#{value:08x}")),
            (0_u16..360, 0_u8..=100, 0_u8..=100)
                .prop_map(|(h, s, l)| format!("hsl({h} {s}% {l}%)")),
            proptest::sample::select(&HOSTILE[..]).prop_map(str::to_owned),
        ]
    }

    proptest! {
        /// Whatever a brand says, the page can be read: at worst 3:1, and then the author is told.
        #[test]
        fn no_brand_makes_the_page_unreadable(
            said in proptest::collection::btree_map(0..30_usize, any_value(), 0..12)
        ) {
            let tokens: Map<String, Value> =
                said.iter().map(|(at, value)| (TOKENS[*at].key.to_owned(), json!(value))).collect();
            let (theme, remarks) = Theme::default().with_public(&tokens);
            for (palette, scheme) in [(theme.light, Scheme::Light), (theme.dark, Scheme::Dark)] {
                for warning in check::palette(&palette, scheme) {
                    prop_assert!(remarks.contains(&Remark::Contrast(warning)), "{warning}");
                    let own = ["text", "textSecondary", "mutedText", "surfaceActive", "surface", "background", "mutedSurface"];
                    prop_assert!(own.iter().any(|key| tokens.contains_key(*key)), "{warning}");
                }
                let css = palette.css();
                prop_assert!(css.bytes().all(|b| b.is_ascii_alphanumeric() || b"-:;#".contains(&b)), "{css}");
            }
        }
    }
}
