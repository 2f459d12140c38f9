//! Looks that a configuration can name: `branding.defaultTheme` (02 §4.2, §8.6).

use crate::apply::Seed;
use crate::color::Rgb;
use crate::palette::Theme;

/// An accent preset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accent {
    /// Its id.
    pub id: &'static str,
    /// The accent.
    pub accent: Rgb,
    /// Its second stop, for gradients.
    pub accent2: Rgb,
}

const fn accent(id: &'static str, accent: u32, accent2: u32) -> Accent {
    Accent {
        id,
        accent: Rgb::from_u32(accent),
        accent2: Rgb::from_u32(accent2),
    }
}

/// The accent presets (02 §8.6).
pub const ACCENTS: [Accent; 6] = [
    accent("azure", 0x8290ff, 0x9aa8ff),
    accent("indigo", 0x6f8cc4, 0x8aa3d6),
    accent("plum", 0x8b7cf0, 0xa594f5),
    accent("teal", 0x3f9a8f, 0x5bb4a8),
    accent("amber", 0xe0913a, 0xf0a955),
    accent("rose", 0xd6587e, 0xe87b9c),
];

/// A theme preset: page, card, text and accent; everything else follows. Without a light set the dark one is for
/// both schemes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// Its id.
    pub id: &'static str,
    dark: Option<Seed>,
    light: Option<Seed>,
}

const fn seed(background: u32, surface: u32, text: u32, accent: u32) -> Option<Seed> {
    Some(Seed {
        background: Rgb::from_u32(background),
        surface: Rgb::from_u32(surface),
        text: Rgb::from_u32(text),
        accent: Rgb::from_u32(accent),
    })
}

const fn preset(id: &'static str, dark: Option<Seed>, light: Option<Seed>) -> Preset {
    Preset { id, dark, light }
}

/// The theme ids that configurations may name (02 §8.6). `studio` and `mercury` are the default look; the others are
/// our renditions of colour schemes of that name.
pub const THEMES: [Preset; 18] = [
    preset("studio", None, None),
    preset("mercury", None, None),
    preset(
        "tokyostorm",
        seed(0x1f2335, 0x24283b, 0xc0caf5, 0x7aa2f7),
        seed(0xe9eaef, 0xf4f5f8, 0x2c3350, 0x2e5fb8),
    ),
    preset(
        "frappe",
        seed(0x292c3c, 0x303446, 0xc6d0f5, 0x8caaee),
        seed(0xeff1f5, 0xf8f9fb, 0x4c4f69, 0x1e66f5),
    ),
    preset(
        "rosepine",
        seed(0x191724, 0x1f1d2e, 0xe0def4, 0xc4a7e7),
        seed(0xfaf4ed, 0xfffaf3, 0x464261, 0x79609a),
    ),
    preset(
        "nord",
        seed(0x2e3440, 0x343b49, 0xeceff4, 0x88c0d0),
        seed(0xeceff4, 0xf7f9fb, 0x2e3440, 0x44648f),
    ),
    preset(
        "everforest",
        seed(0x272e33, 0x2d353b, 0xd3c6aa, 0xa7c080),
        seed(0xfdf6e3, 0xfffbef, 0x4b565c, 0x5b6b00),
    ),
    preset(
        "gruvbox",
        seed(0x1d2021, 0x282828, 0xebdbb2, 0xfabd2f),
        seed(0xfbf1c7, 0xfdf6dc, 0x3c3836, 0x8f3f06),
    ),
    preset(
        "synthwave",
        seed(0x262335, 0x2d2940, 0xffffff, 0xff7edb),
        None,
    ),
    preset(
        "dracula",
        seed(0x21222c, 0x282a36, 0xf8f8f2, 0xbd93f9),
        None,
    ),
    preset(
        "ayu",
        seed(0x0d1017, 0x131721, 0xcfccc4, 0xe6b450),
        seed(0xf8f9fa, 0xffffff, 0x4a4f54, 0x9a5a00),
    ),
    preset(
        "kanagawa",
        seed(0x1a1a22, 0x1f1f28, 0xdcd7ba, 0x7e9cd8),
        seed(0xf5f0d0, 0xfaf6e0, 0x43436c, 0x4d699b),
    ),
    preset(
        "horizon",
        seed(0x16181f, 0x1c1e26, 0xd5d8da, 0xe95678),
        seed(0xfdf0ed, 0xfff8f6, 0x2a2430, 0xc00f3a),
    ),
    preset(
        "oxocarbon",
        seed(0x161616, 0x1c1c1c, 0xf2f4f8, 0x78a9ff),
        None,
    ),
    preset(
        "poimandres",
        seed(0x171922, 0x1b1e28, 0xe4f0fb, 0x5de4c7),
        None,
    ),
    preset(
        "cyberdream",
        seed(0x16181a, 0x1e2124, 0xffffff, 0x5ea1ff),
        None,
    ),
    preset("matrix", seed(0x040a05, 0x081109, 0xc8f7cf, 0x3ddc64), None),
    preset(
        "moonfly",
        seed(0x080808, 0x121212, 0xc6c6c6, 0x80a0ff),
        None,
    ),
];

impl Theme {
    /// The look of a preset's id, an accent's or a theme's; `None` when no preset has it.
    pub fn preset(id: &str) -> Option<Theme> {
        if let Some(accent) = ACCENTS.iter().find(|accent| accent.id == id) {
            return Some(Theme::default().with_accent(accent.accent));
        }
        let preset = THEMES.iter().find(|preset| preset.id == id)?;
        let theme = Theme::default();
        Some(match (preset.dark, preset.light) {
            (None, _) => theme,
            (Some(dark), light) => theme.with_seeds(dark, light.unwrap_or(dark)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check;
    use crate::palette::Scheme;

    #[test]
    fn every_preset_is_readable_in_both_schemes() {
        let accents = ACCENTS.iter().map(|accent| accent.id);
        for id in accents.chain(THEMES.iter().map(|theme| theme.id)) {
            let theme = Theme::preset(id).unwrap();
            assert_eq!(check::palette(&theme.light, Scheme::Light), [], "{id}");
            assert_eq!(check::palette(&theme.dark, Scheme::Dark), [], "{id}");
        }
    }

    #[test]
    fn an_unknown_id_is_no_preset_and_the_default_look_has_two_names() {
        assert_eq!(Theme::preset("constructor"), None);
        assert_eq!(Theme::preset("mercury"), Some(Theme::default()));
        assert_eq!(Theme::preset("studio"), Some(Theme::default()));
        let teal = Theme::preset("teal").unwrap();
        assert_eq!(teal.light.accent.to_string(), "#3f9a8f");
    }

    #[test]
    fn a_preset_without_light_is_dark_for_everybody() {
        let dracula = Theme::preset("dracula").unwrap();
        assert_eq!(Scheme::of_ground(dracula.light.background), Scheme::Dark);
        let nord = Theme::preset("nord").unwrap();
        assert_eq!(Scheme::of_ground(nord.light.background), Scheme::Light);
    }
}
