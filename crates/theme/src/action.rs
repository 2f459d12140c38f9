//! Ink on an action whose ground is a gradient of two accents (02 §8.5).

use crate::check::TEXT;
use crate::color::Rgb;

/// How to make text readable on both stops of a gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    /// White or black.
    pub ink: Rgb,
    /// How much of the opposite of the ink is laid over the gradient, percent, 0..=40.
    pub overlay_percent: u8,
}

/// The ink and the smallest overlay that give 4.5:1 on both stops: the ink that contrasts best with the accent if it
/// can be done with it, else the other, else `None`.
pub fn action(accent: Rgb, accent2: Rgb) -> Option<Action> {
    let preferred = accent.ink();
    let other = opposite(preferred);
    [preferred, other].into_iter().find_map(|ink| {
        (0..=40).find_map(|percent| {
            let readable = [accent, accent2].iter().all(|stop| {
                let ground = stop.mix(opposite(ink), f64::from(percent) / 100.0);
                ink.contrast(ground) >= TEXT
            });
            readable.then_some(Action {
                ink,
                overlay_percent: percent,
            })
        })
    })
}

fn opposite(ink: Rgb) -> Rgb {
    if ink == Rgb::WHITE {
        Rgb::BLACK
    } else {
        Rgb::WHITE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset::ACCENTS;
    use proptest::prelude::*;

    #[test]
    fn the_accents_of_the_presets_need_little_or_nothing() {
        for preset in ACCENTS {
            let action = action(preset.accent, preset.accent2).unwrap();
            assert!(action.overlay_percent <= 10, "{}: {action:?}", preset.id);
        }
        let default = action(Rgb::from_u32(0x2f6bf0), Rgb::from_u32(0x5a8cf5)).unwrap();
        assert_eq!(default.ink, Rgb::WHITE);
        assert!(
            default.overlay_percent > 0,
            "the second stop is too light for white"
        );
    }

    #[test]
    fn black_and_white_stops_have_no_common_ink() {
        assert_eq!(action(Rgb::WHITE, Rgb::BLACK), None);
    }

    proptest! {
        #[test]
        fn the_overlay_is_enough_and_one_percent_less_is_not(a in 0_u32..0x100_0000, b in 0_u32..0x100_0000) {
            let (a, b) = (Rgb::from_u32(a), Rgb::from_u32(b));
            let Some(found) = action(a, b) else { return Ok(()) };
            let readable = |percent: u8| [a, b].iter().all(|stop| {
                found.ink.contrast(stop.mix(opposite(found.ink), f64::from(percent) / 100.0)) >= TEXT
            });
            prop_assert!(readable(found.overlay_percent));
            prop_assert!(found.overlay_percent == 0 || !readable(found.overlay_percent - 1));
        }
    }
}
