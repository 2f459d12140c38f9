//! Structural tokens: sizes, distances, layers, times. No configuration overrides them (02 §8.5); this is their one
//! source, and `tokens.css` beside this crate's manifest is the text that it generates.
//!
//! Whatever is coloured here is written over the colour tokens, so that a brand touches colours only.

use crate::palette::Theme;
use std::fmt::{self, Write as _};

/// A structural token's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// A length, CSS pixels.
    Px(u16),
    /// A time, milliseconds.
    Ms(u16),
    /// A layer.
    Layer(u16),
    /// Letter spacing, hundredths of an em.
    Tracking(i8),
    /// CSS as it is: fonts, easings, mixes of colour tokens.
    Css(&'static str),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Px(length) => write!(f, "{length}px"),
            Value::Ms(time) => write!(f, "{time}ms"),
            Value::Layer(layer) => write!(f, "{layer}"),
            Value::Tracking(0) => f.write_str("0"),
            Value::Tracking(hundredths) => write!(f, "{}em", f32::from(*hundredths) / 100.0),
            Value::Css(css) => f.write_str(css),
        }
    }
}

use Value::{Css, Layer, Ms, Px, Tracking};

/// All structural tokens in the order of the generated text, without the leading `--`.
pub const TOKENS: &[(&str, Value)] = &[
    (
        "font-ui",
        Css(r#"system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif"#),
    ),
    ("font-display", Css("var(--font-ui)")),
    (
        "font-editorial",
        Css(r#"ui-serif,Georgia,"Times New Roman",serif"#),
    ),
    (
        "font-mono",
        Css(r#"ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace"#),
    ),
    ("text-2xs", Px(11)),
    ("text-xs", Px(12)),
    ("text-sm", Px(13)),
    ("text-md", Px(14)),
    ("text-lg", Px(16)),
    ("text-xl", Px(19)),
    ("text-2xl", Px(24)),
    ("text-3xl", Px(30)),
    ("text-hero", Px(38)),
    ("lh-2xs", Px(14)),
    ("lh-xs", Px(16)),
    ("lh-sm", Px(18)),
    ("lh-md", Px(20)),
    ("lh-lg", Px(24)),
    ("lh-xl", Px(26)),
    ("lh-2xl", Px(30)),
    ("lh-3xl", Px(36)),
    ("lh-hero", Px(42)),
    ("space-1", Px(4)),
    ("space-2", Px(8)),
    ("space-3", Px(12)),
    ("space-4", Px(16)),
    ("space-5", Px(20)),
    ("space-6", Px(24)),
    ("space-7", Px(28)),
    ("space-8", Px(32)),
    ("space-9", Px(36)),
    ("space-10", Px(40)),
    ("space-12", Px(48)),
    ("tracking-tight", Tracking(-2)),
    ("tracking-normal", Tracking(0)),
    ("tracking-wide", Tracking(4)),
    ("radius-xs", Px(5)),
    ("radius-sm", Px(7)),
    ("radius-md", Px(9)),
    ("radius-lg", Px(12)),
    ("radius-xl", Px(16)),
    ("radius-2xl", Px(16)),
    ("radius-3xl", Px(22)),
    ("radius-full", Px(9999)),
    // Hairlines instead of shadows.
    ("shadow-card", Css("0 0 0 1px var(--color-border)")),
    (
        "shadow-elevated",
        Css("0 0 0 1px var(--color-border-strong)"),
    ),
    ("ring", Css("0 0 0 2px var(--color-focus)")),
    (
        "glow",
        Css("0 0 0 4px color-mix(in srgb,var(--accent) 15%,transparent)"),
    ),
    ("ease-standard", Css("cubic-bezier(.2,0,0,1)")),
    ("ease-pulse", Css("ease-in-out")),
    ("dur-1", Ms(100)),
    ("dur-2", Ms(140)),
    ("dur-3", Ms(200)),
    ("dur-4", Ms(320)),
    ("z-sticky", Layer(10)),
    ("z-dropdown", Layer(40)),
    ("z-overlay", Layer(50)),
    ("z-modal", Layer(60)),
    ("z-toast", Layer(70)),
    ("z-command", Layer(80)),
    ("z-tooltip", Layer(90)),
    ("control-h-xs", Px(24)),
    ("control-h-sm", Px(28)),
    ("control-h-md", Px(32)),
    ("control-h-lg", Px(40)),
    ("control-h-xl", Px(48)),
    // The frame of the workbench: its own text size, corners and columns.
    ("studio-text", Px(15)),
    ("studio-title", Px(22)),
    ("studio-radius", Px(8)),
    ("studio-radius-inner", Px(4)),
    ("studio-rail", Px(264)),
    ("studio-drawer", Px(320)),
    ("studio-target", Px(44)),
    ("lane-indent", Px(12)),
    ("lane-line", Css("var(--color-border)")),
    ("review-add", Css("var(--color-ok)")),
    ("review-add-surface", Css("var(--color-ok-surface)")),
    ("review-remove", Css("var(--color-danger)")),
    ("review-remove-surface", Css("var(--color-danger-surface)")),
    ("icon-size-xs", Px(8)),
    ("icon-size-sm", Px(16)),
    ("icon-size-md", Px(20)),
    ("icon-size-lg", Px(28)),
    ("primitive-hairline", Px(1)),
    ("measure", Px(760)),
    ("measure-wide", Px(1080)),
    ("measure-narrow", Px(560)),
    ("measure-form", Px(480)),
    ("row-pad", Px(10)),
    ("gap", Px(16)),
];

/// How tightly rows are set: name, padding of a row, distance between rows, pixels.
pub const DENSITIES: [(&str, u16, u16); 3] =
    [("compact", 6, 12), ("regular", 10, 16), ("comfy", 14, 24)];

/// The structural tokens as one CSS text, in fixed order, then the densities.
pub fn css() -> String {
    let mut css = String::from(":root {\n");
    for (name, value) in TOKENS {
        let _ = writeln!(css, "  --{name}: {value};");
    }
    css.push_str("}\n");
    for (name, pad, gap) in DENSITIES {
        let _ = writeln!(
            css,
            ":root[data-density=\"{name}\"] {{ --row-pad: {pad}px; --gap: {gap}px; }}"
        );
    }
    css
}

/// All tokens of a theme: its colours, then the structure. What a page that uses tokens needs first.
pub fn style_sheet(theme: &Theme) -> String {
    format!("{}{}", theme.css(), css())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The drift gate (02 §8.5): whoever changes a token sees it in the committed file.
    #[test]
    fn the_committed_tokens_equal_their_source() {
        let generated = format!(
            "/* Generated from crates/theme/src; run its tests with UPDATE_TOKENS=1 to write it anew. */\n{}",
            style_sheet(&Theme::default())
        );
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tokens.css");
        if std::env::var_os("UPDATE_TOKENS").is_some() {
            std::fs::write(path, &generated).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap();
        assert!(
            committed == generated,
            "tokens.css is not what the source generates; run the tests of this crate with UPDATE_TOKENS=1"
        );
    }

    #[test]
    fn sizes_are_those_of_the_contract() {
        let css = css();
        let family = |prefix: &str, names: &str, values: &[u16]| {
            for (name, value) in names.split(' ').zip(values) {
                let line = format!("  --{prefix}-{name}: {value}px;\n");
                assert!(css.contains(&line), "{line}");
            }
        };
        let sizes = "2xs xs sm md lg xl 2xl 3xl hero";
        family("text", sizes, &[11, 12, 13, 14, 16, 19, 24, 30, 38]);
        family("lh", sizes, &[14, 16, 18, 20, 24, 26, 30, 36, 42]);
        family(
            "radius",
            "xs sm md lg xl 2xl 3xl",
            &[5, 7, 9, 12, 16, 16, 22],
        );
        family("control-h", "xs sm md lg xl", &[24, 28, 32, 40, 48]);
        for n in (1..=10).chain([12]) {
            assert!(css.contains(&format!("  --space-{n}: {}px;\n", 4 * n)));
        }
        assert!(css.starts_with(":root {\n  --font-ui: "));
        assert!(css.contains("  --tracking-tight: -0.02em;\n"));
        assert!(css.contains("  --z-command: 80;\n"));
        assert!(css.ends_with(
            ":root[data-density=\"compact\"] { --row-pad: 6px; --gap: 12px; }\n\
             :root[data-density=\"regular\"] { --row-pad: 10px; --gap: 16px; }\n\
             :root[data-density=\"comfy\"] { --row-pad: 14px; --gap: 24px; }\n"
        ));
    }

    #[test]
    fn structure_has_no_colour_of_its_own_and_no_name_twice() {
        let mut names = std::collections::BTreeSet::new();
        for (name, value) in TOKENS {
            assert!(names.insert(*name), "{name} stands twice");
            let text = value.to_string();
            assert!(
                !text.contains('#') && !text.contains("rgb(") && !text.contains("hsl("),
                "{name}: {text}"
            );
            for used in text.split("var(--").skip(1) {
                let used = used.split(')').next().unwrap();
                let is_color = crate::palette::Palette::NAMES
                    .iter()
                    .any(|(_, property)| *property == format!("--{used}"));
                assert!(
                    is_color || TOKENS.iter().any(|(name, _)| *name == used),
                    "{name} uses {used}, which is no token"
                );
            }
        }
    }
}
