//! The colours of the workbench in its two schemes. Both are designed, neither is the other inverted; the tests hold
//! every pair of [`crate::check::pairs`] to WCAG AA. Names are those of the public tokens (02 §8.2).

use crate::color::Rgb;
use std::fmt::{self, Write as _};

/// Light or dark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Dark text on light surfaces.
    Light,
    /// Light text on dark surfaces.
    Dark,
}

impl Scheme {
    /// The scheme that a ground of that colour belongs to: the one whose text can be read on it.
    pub fn of_ground(ground: Rgb) -> Scheme {
        if ground.ink() == Rgb::BLACK {
            Scheme::Light
        } else {
            Scheme::Dark
        }
    }

    /// `light` or `dark`, as CSS has them.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Light => "light",
            Scheme::Dark => "dark",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! palette {
    ($($(#[$doc:meta])* $field:ident = $key:literal, $name:literal, $light:literal, $dark:literal;)*) => {
        /// The colours of one scheme.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Palette { $($(#[$doc])* pub $field: Rgb,)* }

        impl Palette {
            /// The light scheme: near-white, warm grey hairlines.
            pub const LIGHT: Palette = Palette { $($field: Rgb::from_u32($light),)* };
            /// The dark scheme: near-black, cool grey hairlines.
            pub const DARK: Palette = Palette { $($field: Rgb::from_u32($dark),)* };
            /// Keys of all colours with their CSS custom properties, in order.
            pub const NAMES: &'static [(&'static str, &'static str)] = &[$(($key, $name),)*];

            /// The colour of a key, such as `mutedSurface`.
            pub fn get(&self, key: &str) -> Option<Rgb> {
                match key {
                    $($key => Some(self.$field),)*
                    _ => None,
                }
            }

            /// CSS custom properties, `--color-background:#fbfbfa;…`.
            pub fn css(&self) -> String {
                let mut css = String::new();
                $(let _ = write!(css, concat!($name, ":{};"), self.$field);)*
                css
            }
        }
    };
}

palette! {
    /// The page.
    background = "background", "--color-background", 0xfbfbfa, 0x0f1012;
    /// Cards, fields.
    surface = "surface", "--color-surface", 0xffffff, 0x16181b;
    /// The rail, prompts, code.
    muted_surface = "mutedSurface", "--color-muted-surface", 0xf4f4f2, 0x1b1d21;
    /// Under the pointer, chosen rows.
    surface_active = "surfaceActive", "--color-surface-active", 0xe9e9e6, 0x25282d;
    /// Hairlines.
    border = "border", "--color-border", 0xe2e2de, 0x2a2d32;
    /// Edges of fields and buttons.
    border_strong = "borderStrong", "--color-border-strong", 0x8c8c86, 0x6b7179;
    /// Text.
    text = "text", "--color-text", 0x1d1d1b, 0xe9eaec;
    /// Secondary text.
    text_secondary = "textSecondary", "--color-text-secondary", 0x54544f, 0xabb0b7;
    /// Times, hints.
    muted_text = "mutedText", "--color-muted-text", 0x696963, 0x9298a1;
    /// The one accent: buttons.
    accent = "accent", "--accent", 0x2a5fd0, 0x7ea6ff;
    /// Text on the accent.
    accent_foreground = "accentForeground", "--accent-foreground", 0xffffff, 0x0b1224;
    /// The accent as text: links.
    accent_strong = "accentStrong", "--accent-strong", 0x2355bf, 0x8eb1ff;
    /// Focus rings.
    focus = "focus", "--color-focus", 0x2a5fd0, 0x7ea6ff;
    /// Running, informing.
    info = "info", "--color-info", 0x235fb8, 0x82aef5;
    /// Behind it.
    info_surface = "infoSurface", "--color-info-surface", 0xeef3fc, 0x151f33;
    /// Done.
    ok = "ok", "--color-ok", 0x1b6b43, 0x5fc991;
    /// Behind it.
    ok_surface = "okSurface", "--color-ok-surface", 0xebf6ef, 0x12241b;
    /// Waiting for you.
    warn = "warn", "--color-warn", 0x855200, 0xe6b05a;
    /// Behind it.
    warn_surface = "warnSurface", "--color-warn-surface", 0xfdf5e6, 0x292010;
    /// Failed, dangerous.
    danger = "danger", "--color-danger", 0xb02535, 0xff8d94;
    /// Behind it.
    danger_surface = "dangerSurface", "--color-danger-surface", 0xfdeeee, 0x2e1719;
}

/// Both schemes of one product.
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
    /// The style sheet of the colours: the system's choice, unless the page carries `data-theme`.
    pub fn css(&self) -> String {
        let block = |palette: &Palette| {
            // A brand may have one scheme only; scroll bars and fields follow what is really seen.
            let scheme = Scheme::of_ground(palette.background);
            format!("color-scheme:{scheme};{}", palette.css())
        };
        let (light, dark) = (block(&self.light), block(&self.dark));
        format!(
            ":root{{{light}}}\n\
             @media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}\n\
             :root[data-theme=dark]{{{dark}}}\n"
        )
    }
}
