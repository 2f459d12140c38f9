//! Design tokens: colours, contrast, derivation, presets and the CSS custom properties made of them (02 §8).
//!
//! Pure and linear: no I/O, no regular expressions, no panic on any text.
//!
//! | module | holds | contract |
//! |---|---|---|
//! | [`color`] | CSS colours, luminance, contrast, ink | 02 §8.3 |
//! | [`public`] | the 30 tokens that a configuration may override, as data | 02 §8.2 |
//! | [`brand`] | brand themes and their mapping onto public tokens | 02 §4.2, §8.4 |
//! | [`mod@derive`] | tokens that follow from others | 02 §8.3 |
//! | [`preset`] | looks that a configuration can name | 02 §8.6 |
//! | [`palette`] | the workbench's colours in light and dark | |
//! | [`apply`] | a brand's tokens put onto these palettes | |
//! | [`look`] | the look that a whole configuration asks for | 02 §4.2, §8.6 |
//! | [`check`] | WCAG AA for every pair that meets | |
//! | [`action`] | ink on a gradient of two accents | 02 §8.5 |
//! | [`preview`] | one HTML page that shows a brand | |
//! | [`structural`] | sizes, distances, layers: one typed source, one CSS text | 02 §8.5 |

pub mod action;
pub mod apply;
pub mod brand;
pub mod check;
pub mod color;
pub mod derive;
pub mod look;
mod named;
mod paint;
pub mod palette;
pub mod preset;
pub mod preview;
pub mod public;
pub mod structural;

pub use color::{Color, Rgb};
pub use palette::{Palette, Scheme, Theme};
