//! Colour tokens of both themes. Names are those of the public theme (02 §8.2); only colours can be branded,
//! never sizes or layout. Both themes are designed; the tests hold every text pair to WCAG AA.

use std::fmt::Write as _;

/// An opaque sRGB colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rgb(pub u8, pub u8, pub u8);

impl Rgb {
    /// Parses `#rgb` or `#rrggbb`.
    pub fn parse(text: &str) -> Option<Rgb> {
        let hex = text.trim().strip_prefix('#')?;
        if !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let value = u32::from_str_radix(hex, 16).ok()?;
        let byte = |shift: u32| ((value >> shift) & 0xff) as u8;
        let nibble = |shift: u32| (((value >> shift) & 0xf) * 17) as u8;
        match hex.len() {
            6 => Some(Rgb(byte(16), byte(8), byte(0))),
            3 => Some(Rgb(nibble(8), nibble(4), nibble(0))),
            _ => None,
        }
    }

    /// WCAG relative luminance.
    pub fn luminance(self) -> f64 {
        let channel = |c: u8| {
            let c = f64::from(c) / 255.0;
            if c <= 0.03928 {
                c / 12.92
            } else {
                ((c + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * channel(self.0) + 0.7152 * channel(self.1) + 0.0722 * channel(self.2)
    }

    /// WCAG contrast ratio, 1 to 21.
    pub fn contrast(self, other: Rgb) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// White or black, whichever reads better on this colour; white wins a tie (02 §8.3).
    pub fn ink(self) -> Rgb {
        let (white, black) = (Rgb(255, 255, 255), Rgb(0, 0, 0));
        if self.contrast(white) >= self.contrast(black) {
            white
        } else {
            black
        }
    }
}

impl std::fmt::Display for Rgb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

macro_rules! palette {
    ($($(#[$doc:meta])* $field:ident = $name:literal, $light:literal, $dark:literal;)*) => {
        /// The colours of one theme.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Palette { $($(#[$doc])* pub $field: Rgb,)* }

        impl Palette {
            /// The light theme: near-white, warm grey hairlines.
            pub const LIGHT: Palette = Palette { $($field: hex($light),)* };
            /// The dark theme: near-black, cool grey hairlines.
            pub const DARK: Palette = Palette { $($field: hex($dark),)* };

            /// CSS custom properties, `--accent:#2a5fd0;…`.
            fn css(&self) -> String {
                let mut css = String::new();
                $(let _ = write!(css, concat!("--", $name, ":{};"), self.$field);)*
                css
            }
        }
    };
}

palette! {
    /// The page.
    background = "background", 0xfbfbfa, 0x0f1012;
    /// Cards, fields.
    surface = "surface", 0xffffff, 0x16181b;
    /// The rail, prompts, code.
    muted_surface = "muted-surface", 0xf4f4f2, 0x1b1d21;
    /// Under the pointer, chosen rows.
    surface_active = "surface-active", 0xe9e9e6, 0x25282d;
    /// Hairlines.
    border = "border", 0xe2e2de, 0x2a2d32;
    /// Edges of fields and buttons.
    border_strong = "border-strong", 0x8c8c86, 0x6b7179;
    /// Text.
    text = "text", 0x1d1d1b, 0xe9eaec;
    /// Secondary text.
    text_secondary = "text-secondary", 0x54544f, 0xabb0b7;
    /// Times, hints.
    muted_text = "muted-text", 0x696963, 0x9298a1;
    /// The one accent: buttons.
    accent = "accent", 0x2a5fd0, 0x7ea6ff;
    /// Text on the accent.
    accent_foreground = "accent-foreground", 0xffffff, 0x0b1224;
    /// The accent as text: links.
    accent_strong = "accent-strong", 0x2355bf, 0x8eb1ff;
    /// Focus rings.
    focus = "focus", 0x2a5fd0, 0x7ea6ff;
    /// Running, informing.
    info = "info", 0x235fb8, 0x82aef5;
    /// Behind it.
    info_surface = "info-surface", 0xeef3fc, 0x151f33;
    /// Done.
    ok = "ok", 0x1b6b43, 0x5fc991;
    /// Behind it.
    ok_surface = "ok-surface", 0xebf6ef, 0x12241b;
    /// Waiting for you.
    warn = "warn", 0x855200, 0xe6b05a;
    /// Behind it.
    warn_surface = "warn-surface", 0xfdf5e6, 0x292010;
    /// Failed, dangerous.
    danger = "danger", 0xb02535, 0xff8d94;
    /// Behind it.
    danger_surface = "danger-surface", 0xfdeeee, 0x2e1719;
}

const fn hex(value: u32) -> Rgb {
    Rgb((value >> 16) as u8, (value >> 8) as u8, value as u8)
}

/// Both themes of one product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Used when the system or the user asks for light.
    pub light: Palette,
    /// Used when the system or the user asks for dark.
    pub dark: Palette,
}

impl Default for Theme {
    fn default() -> Self {
        Theme {
            light: Palette::LIGHT,
            dark: Palette::DARK,
        }
    }
}

impl Theme {
    /// The default theme with a brand's accent; the text on it is derived (02 §8.3). Focus stays at its default,
    /// as in 02 §8.3. Links keep their default where the accent would not be readable as text.
    #[must_use]
    pub fn with_accent(mut self, accent: Rgb) -> Self {
        for palette in [&mut self.light, &mut self.dark] {
            palette.accent = accent;
            palette.accent_foreground = accent.ink();
            if accent.contrast(palette.muted_surface) >= 4.5
                && accent.contrast(palette.background) >= 4.5
            {
                palette.accent_strong = accent;
            }
        }
        self
    }

    /// The style sheet of the tokens: the system's choice, unless the page carries `data-theme`.
    pub(crate) fn css(&self) -> String {
        let (light, dark) = (self.light.css(), self.dark.css());
        format!(
            ":root{{color-scheme:light;{light}}}\n\
             @media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}\n\
             :root[data-theme=dark]{{color-scheme:dark;{dark}}}\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_pair_has_aa_contrast_in_both_themes() {
        for (name, p) in [("light", Palette::LIGHT), ("dark", Palette::DARK)] {
            let grounds = [p.background, p.surface, p.muted_surface, p.surface_active];
            for (ink_name, ink) in [
                ("text", p.text),
                ("secondary", p.text_secondary),
                ("muted", p.muted_text),
            ] {
                for ground in grounds {
                    let ratio = ink.contrast(ground);
                    assert!(
                        ratio >= 4.5,
                        "{name} {ink_name} {ink} on {ground}: {ratio:.2}"
                    );
                }
            }
            let tones = [
                ("info", p.info, p.info_surface),
                ("ok", p.ok, p.ok_surface),
                ("warn", p.warn, p.warn_surface),
                ("danger", p.danger, p.danger_surface),
                ("link", p.accent_strong, p.surface),
            ];
            for (tone, ink, soft) in tones {
                for ground in [p.background, p.surface, p.muted_surface, soft] {
                    let ratio = ink.contrast(ground);
                    assert!(ratio >= 4.5, "{name} {tone} {ink} on {ground}: {ratio:.2}");
                }
                assert!(
                    p.text.contrast(soft) >= 4.5 && p.muted_text.contrast(soft) >= 4.5,
                    "{name} text on {tone}"
                );
            }
            let ratio = p.accent_foreground.contrast(p.accent);
            assert!(ratio >= 4.5, "{name} button: {ratio:.2}");
            // Edges of fields and focus rings are graphics: 3:1.
            for ground in [p.background, p.surface, p.muted_surface] {
                assert!(
                    p.focus.contrast(ground) >= 3.0 && p.border_strong.contrast(ground) >= 3.0,
                    "{name} edges"
                );
            }
        }
    }

    #[test]
    fn a_brand_accent_brings_readable_ink_and_leaves_focus() {
        let theme = Theme::default().with_accent(Rgb::parse("#ffd400").unwrap());
        assert_eq!(theme.light.accent_foreground, Rgb(0, 0, 0));
        assert_eq!(theme.light.focus, Palette::LIGHT.focus);
        assert_eq!(
            theme.light.accent_strong,
            Palette::LIGHT.accent_strong,
            "yellow is no link colour on white"
        );
        assert_eq!(theme.dark.accent_strong, Rgb(255, 212, 0));
    }

    #[test]
    fn only_colours_parse() {
        assert_eq!(Rgb::parse("#2a5"), Some(Rgb(0x22, 0xaa, 0x55)));
        for bad in ["red;}", "#12", "#12345g", "url(x)", "", "#+12345"] {
            assert_eq!(Rgb::parse(bad), None, "{bad}");
        }
    }
}
