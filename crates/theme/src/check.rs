//! Can it be read? WCAG AA for every pair of colours that meet on the page.

use crate::palette::{Palette, Scheme};
use std::fmt;

/// Contrast of text.
pub const TEXT: f64 = 4.5;
/// Contrast of what isn't text but must be seen: edges of fields, focus rings.
pub const GRAPHIC: f64 = 3.0;

/// Two colours that meet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// Key of what is written or drawn.
    pub token: &'static str,
    /// Key of what is behind it.
    pub against: &'static str,
    /// Contrast that they need.
    pub needed: f64,
}

type Group = (f64, &'static [&'static str], &'static [&'static str]);

/// What meets what in the workbench: needed contrast, inks, grounds.
const GROUPS: [Group; 9] = [
    (
        TEXT,
        &["text", "textSecondary", "mutedText"],
        &["background", "surface", "mutedSurface", "surfaceActive"],
    ),
    (
        TEXT,
        &["text", "mutedText"],
        &["infoSurface", "okSurface", "warnSurface", "dangerSurface"],
    ),
    (TEXT, &["accentForeground"], &["accent"]),
    (
        TEXT,
        &["accentStrong", "info", "ok", "warn", "danger"],
        &["background", "surface", "mutedSurface"],
    ),
    (TEXT, &["info"], &["infoSurface"]),
    (TEXT, &["ok"], &["okSurface"]),
    (TEXT, &["warn"], &["warnSurface"]),
    (TEXT, &["danger"], &["dangerSurface"]),
    (
        GRAPHIC,
        &["focus", "borderStrong"],
        &["background", "surface", "mutedSurface"],
    ),
];

/// All pairs that meet in the workbench.
pub fn pairs() -> impl Iterator<Item = Pair> {
    GROUPS.iter().flat_map(|(needed, tokens, grounds)| {
        tokens.iter().flat_map(move |token| {
            grounds.iter().map(move |against| Pair {
                token,
                against,
                needed: *needed,
            })
        })
    })
}

/// A pair that is hard to see.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Warning {
    /// Where they meet.
    pub scheme: Scheme,
    /// Key of what is written or drawn.
    pub token: &'static str,
    /// Key of what is behind it.
    pub against: &'static str,
    /// The contrast that they have, 1 to 21.
    pub ratio: f64,
    /// The contrast that they need.
    pub needed: f64,
    /// Whether the page shows it all the same; otherwise a readable colour takes its place.
    pub used: bool,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Warning {
            scheme,
            token,
            against,
            needed,
            ..
        } = self;
        // Rounded down: 4.499 is not 4.5.
        let ratio = (self.ratio * 100.0).floor() / 100.0;
        write!(
            f,
            "{token} on {against} has a contrast of {ratio:.2}:1 in the {scheme} scheme and needs {needed}:1"
        )?;
        if !self.used {
            f.write_str("; a readable colour is used instead")?;
        }
        Ok(())
    }
}

/// All pairs of a palette that are hard to see, in the order of [`pairs`].
pub fn palette(palette: &Palette, scheme: Scheme) -> Vec<Warning> {
    pairs()
        .filter_map(|pair| {
            let ratio = palette
                .get(pair.token)?
                .contrast(palette.get(pair.against)?);
            (ratio < pair.needed).then_some(Warning {
                scheme,
                token: pair.token,
                against: pair.against,
                ratio,
                needed: pair.needed,
                used: true,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_the_default_theme_has_aa_contrast_in_both_schemes() {
        assert_eq!(palette(&Palette::LIGHT, Scheme::Light), []);
        assert_eq!(palette(&Palette::DARK, Scheme::Dark), []);
        assert_eq!(pairs().count(), 12 + 8 + 1 + 15 + 4 + 6);
        for pair in pairs() {
            assert!(Palette::LIGHT.get(pair.token).is_some(), "{}", pair.token);
            assert!(
                Palette::LIGHT.get(pair.against).is_some(),
                "{}",
                pair.against
            );
        }
    }

    #[test]
    fn a_warning_names_pair_scheme_and_ratio() {
        let faint = Palette {
            muted_text: Palette::LIGHT.border,
            ..Palette::LIGHT
        };
        let warnings = palette(&faint, Scheme::Light);
        assert_eq!(warnings.len(), 8, "all its grounds");
        assert_eq!(
            warnings[0].to_string(),
            "mutedText on background has a contrast of 1.25:1 in the light scheme and needs 4.5:1"
        );
    }
}
