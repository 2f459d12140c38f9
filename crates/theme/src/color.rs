//! CSS colours: what a theme token may be (02 §8.2), parsed to numbers, with WCAG luminance and contrast (02 §8.3).
//!
//! A value that left this module as a [`Color`] or [`Rgb`] is numbers only; written again it can't carry anything
//! but a colour into a style sheet.

use crate::named::named;
use std::fmt;

/// Longest text that is looked at, in bytes (02 §8.3).
pub const MAX_LENGTH: usize = 256;

/// An opaque sRGB colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rgb(pub u8, pub u8, pub u8);

/// An sRGB colour with alpha. Channels are 0..=255 and may be fractions, alpha is 0..=1; all are finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Color {
    /// Red, 0..=255.
    pub red: f64,
    /// Green, 0..=255.
    pub green: f64,
    /// Blue, 0..=255.
    pub blue: f64,
    /// Opacity, 0..=1.
    pub alpha: f64,
}

impl Color {
    /// Parses hex (3, 4, 6 or 8 digits), `rgb() rgba() hsl() hsla()` with commas or spaces, a CSS colour name or
    /// `transparent`. Anything else is `None`: other functions, anything with `/`, anything longer than
    /// [`MAX_LENGTH`]. Channels and alpha beyond their range are clamped. Linear in the length of the text.
    ///
    /// ```
    /// use open_cowork_theme::Color;
    /// assert_eq!(Color::parse("hsl(0.5turn 100% 50%)"), Color::parse("#00ffff"));
    /// assert_eq!(Color::parse("rgb(0 0 0 / 50%)"), None);
    /// ```
    pub fn parse(text: &str) -> Option<Color> {
        if text.len() > MAX_LENGTH || text.contains('/') {
            return None;
        }
        let text = text.trim();
        if let Some(digits) = text.strip_prefix('#') {
            return from_hex(digits);
        }
        if text.eq_ignore_ascii_case("transparent") {
            return Some(Color {
                alpha: 0.0,
                ..Rgb(0, 0, 0).into()
            });
        }
        if let Some((function, arguments)) = text.split_once('(') {
            let arguments = split(arguments.strip_suffix(')')?)?;
            return match function.to_ascii_lowercase().as_str() {
                "rgb" | "rgba" => from_rgb(&arguments),
                "hsl" | "hsla" => from_hsl(&arguments),
                _ => None,
            };
        }
        named(text).map(|value| Rgb::from_u32(value).into())
    }

    /// WCAG relative luminance, 0 to 1, of the channels multiplied by alpha (02 §8.3).
    pub fn luminance(self) -> f64 {
        let channel = |value: f64| {
            let c = value * self.alpha / 255.0;
            if c <= 0.03928 {
                c / 12.92
            } else {
                ((c + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * channel(self.red) + 0.7152 * channel(self.green) + 0.0722 * channel(self.blue)
    }

    /// What is seen of it on an opaque ground.
    pub fn over(self, ground: Rgb) -> Rgb {
        let channel =
            |top: f64, below: u8| byte(top * self.alpha + f64::from(below) * (1.0 - self.alpha));
        Rgb(
            channel(self.red, ground.0),
            channel(self.green, ground.1),
            channel(self.blue, ground.2),
        )
    }
}

impl From<Rgb> for Color {
    fn from(Rgb(red, green, blue): Rgb) -> Color {
        Color {
            red: red.into(),
            green: green.into(),
            blue: blue.into(),
            alpha: 1.0,
        }
    }
}

impl Rgb {
    /// White.
    pub const WHITE: Rgb = Rgb(255, 255, 255);
    /// Black.
    pub const BLACK: Rgb = Rgb(0, 0, 0);

    /// `0xRRGGBB`.
    pub const fn from_u32(value: u32) -> Rgb {
        Rgb((value >> 16) as u8, (value >> 8) as u8, value as u8)
    }

    /// Parses an opaque [`Color`]; `None` for one that shines through.
    pub fn parse(text: &str) -> Option<Rgb> {
        let color = Color::parse(text)?;
        (color.alpha >= 1.0).then(|| color.over(Rgb::BLACK))
    }

    /// WCAG relative luminance, 0 to 1.
    pub fn luminance(self) -> f64 {
        Color::from(self).luminance()
    }

    /// WCAG contrast ratio, 1 to 21.
    pub fn contrast(self, other: Rgb) -> f64 {
        contrast(self.luminance(), other.luminance())
    }

    /// White or black, whichever reads better on this colour; white wins a tie (02 §8.3).
    pub fn ink(self) -> Rgb {
        ink(self.luminance())
    }

    /// This colour with `share` (0..=1) of another mixed in, channel by channel.
    #[must_use]
    pub fn mix(self, other: Rgb, share: f64) -> Rgb {
        let share = share.clamp(0.0, 1.0);
        Color {
            alpha: share,
            ..other.into()
        }
        .over(self)
    }
}

impl fmt::Display for Rgb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

/// WCAG contrast ratio of two luminances, 1 to 21.
pub fn contrast(a: f64, b: f64) -> f64 {
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// White or black on a ground of that luminance; white wins a tie (02 §8.3).
pub fn ink(ground: f64) -> Rgb {
    if contrast(ground, 1.0) >= contrast(ground, 0.0) {
        Rgb::WHITE
    } else {
        Rgb::BLACK
    }
}

/// The nearest channel value; out of range is clamped.
fn byte(value: f64) -> u8 {
    // The clamp makes the conversion exact.
    value.round().clamp(0.0, 255.0) as u8
}

fn from_hex(digits: &str) -> Option<Color> {
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let value = u32::from_str_radix(digits, 16).ok()?;
    let (rgb, alpha) = match digits.len() {
        3 => (value, 0xf),
        4 => (value >> 4, value & 0xf),
        6 => (value, 0xff),
        8 => (value >> 8, value & 0xff),
        _ => return None,
    };
    if digits.len() <= 4 {
        let nibble = |shift: u32| f64::from(((rgb >> shift) & 0xf) * 17);
        return Some(Color {
            red: nibble(8),
            green: nibble(4),
            blue: nibble(0),
            alpha: f64::from(alpha) / 15.0,
        });
    }
    Some(Color {
        alpha: f64::from(alpha) / 255.0,
        ..Rgb::from_u32(rgb).into()
    })
}

/// Three or four arguments, all with commas or all with spaces between.
fn split(arguments: &str) -> Option<Vec<&str>> {
    let parts: Vec<&str> = if arguments.contains(',') {
        arguments.split(',').map(str::trim).take(5).collect()
    } else {
        arguments.split_whitespace().take(5).collect()
    };
    matches!(parts.len(), 3 | 4).then_some(parts)
}

fn from_rgb(arguments: &[&str]) -> Option<Color> {
    let channel = |text: &str| {
        let value = match text.strip_suffix('%') {
            Some(percent) => number(percent)? * 2.55,
            None => number(text)?,
        };
        Some(value.clamp(0.0, 255.0))
    };
    let [red, green, blue, ..] = arguments else {
        return None;
    };
    Some(Color {
        red: channel(red)?,
        green: channel(green)?,
        blue: channel(blue)?,
        alpha: alpha(arguments)?,
    })
}

fn from_hsl(arguments: &[&str]) -> Option<Color> {
    let [hue, saturation, lightness, ..] = arguments else {
        return None;
    };
    let percent = |text: &str| {
        let text = text.strip_suffix('%').unwrap_or(text);
        Some((number(text)? / 100.0).clamp(0.0, 1.0))
    };
    let (hue, s, l) = (degrees(hue)?, percent(saturation)?, percent(lightness)?);
    // CSS Color 4 §7.1.
    let channel = |n: f64| {
        let k = (n + hue / 30.0).rem_euclid(12.0);
        let a = s * l.min(1.0 - l);
        255.0 * (l - a * (k - 3.0).min(9.0 - k).clamp(-1.0, 1.0))
    };
    Some(Color {
        red: channel(0.0),
        green: channel(8.0),
        blue: channel(4.0),
        alpha: alpha(arguments)?,
    })
}

fn alpha(arguments: &[&str]) -> Option<f64> {
    let Some(text) = arguments.get(3) else {
        return Some(1.0);
    };
    let value = match text.strip_suffix('%') {
        Some(percent) => number(percent)? / 100.0,
        None => number(text)?,
    };
    Some(value.clamp(0.0, 1.0))
}

/// An angle in degrees, 0..360.
fn degrees(text: &str) -> Option<f64> {
    let lower = text.to_ascii_lowercase();
    // `grad` before `rad`, which it ends with.
    let (value, factor) = [
        ("deg", 1.0),
        ("grad", 0.9),
        ("rad", 180.0 / std::f64::consts::PI),
        ("turn", 360.0),
    ]
    .into_iter()
    .find_map(|(unit, factor)| Some((lower.strip_suffix(unit)?, factor)))
    .unwrap_or((&lower, 1.0));
    let degrees = (number(value)? * factor).rem_euclid(360.0);
    degrees.is_finite().then_some(degrees)
}

/// A plain decimal number; not `inf`, not `nan`.
fn number(text: &str) -> Option<f64> {
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'));
    let value: f64 = text.parse().ok().filter(|_| plain)?;
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::{Duration, Instant};

    fn rgb(text: &str) -> Option<Rgb> {
        Color::parse(text).map(|color| color.over(Rgb::WHITE))
    }

    #[test]
    fn every_form_of_the_contract_parses() {
        let teal = Some(Rgb(0, 128, 128));
        for text in [
            "#008080",
            "#008080ff",
            "rgb(0,128,128)",
            "rgb( 0 , 128 , 128 )",
            "rgba(0 128 128)",
            "RGB(0 50.2% 50.2%)",
            "hsl(180,100%,25.1%)",
            "hsl(180deg 100% 25.1%)",
            "hsl(200grad 100% 25.1%)",
            "hsl(0.5turn 100% 25.1%)",
            "hsla(3.14159265rad, 100%, 25.1%, 1)",
            "hsl(-180 100% 25.1%)",
            "Teal",
            " teal ",
        ] {
            assert_eq!(rgb(text), teal, "{text}");
        }
        assert_eq!(rgb("#08f"), Some(Rgb(0, 0x88, 0xff)));
        assert_eq!(
            rgb("rgba(0,0,0,50%)"),
            Some(Rgb(128, 128, 128)),
            "over white"
        );
        assert_eq!(Color::parse("#0000").unwrap().alpha, 0.0);
        assert_eq!(Color::parse("transparent").unwrap().luminance(), 0.0);
        assert_eq!(Rgb::parse("#00000080"), None, "it shines through");
    }

    #[test]
    fn anything_else_is_no_colour() {
        for text in [
            "",
            " ",
            "#12",
            "#12345",
            "#12345g",
            "#+12345",
            "notacolor",
            "constructor",
            "red;}",
            "rgb(0 0 0 / 50%)",
            "rgb(0 0)",
            "rgb(1,2,3,4,5)",
            "rgb(1,,2,3)",
            "rgb(a b c)",
            "rgb(inf nan 0)",
            "rgb(1e999 0 0)",
            "rgb(0 0 0",
            "hwb(0 0% 0%)",
            "color-mix(in srgb, red, blue)",
            "url(x.png)",
            "var(--x)",
        ] {
            assert_eq!(Color::parse(text), None, "{text}");
        }
        assert_eq!(Color::parse(&format!("{}red", " ".repeat(300))), None);
    }

    #[test]
    fn luminance_is_of_channels_times_alpha() {
        let half = Color::parse("#ffffff80").unwrap().luminance();
        let grey = Color::parse("rgb(128,128,128)").unwrap().luminance();
        assert!((half - grey).abs() < 1e-9, "{half} {grey}");
        assert_eq!(Rgb::WHITE.contrast(Rgb::BLACK), 21.0);
        assert_eq!(Rgb(255, 212, 0).ink(), Rgb::BLACK);
        assert_eq!(Rgb(42, 95, 208).ink(), Rgb::WHITE);
    }

    #[test]
    fn hostile_text_is_refused_in_no_time() {
        let hostile = [
            " ".repeat(100_000),
            format!("rgb({})", " ".repeat(100_000)),
            format!("rgb(1{}", ",".repeat(100_000)),
            "#".repeat(100_000),
            "(".repeat(100_000),
        ];
        let start = Instant::now();
        for text in hostile {
            assert_eq!(Color::parse(&text), None);
        }
        assert!(start.elapsed() < Duration::from_secs(1));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in r"[#a-z(]{0,8}[0-9a-fA-F %,.)\-+erad]{0,40}") {
            if let Some(color) = Color::parse(&text) {
                for channel in [color.red, color.green, color.blue] {
                    prop_assert!((0.0..=255.0).contains(&channel));
                }
                prop_assert!((0.0..=1.0).contains(&color.alpha));
                prop_assert!(Rgb::parse(&color.over(Rgb::WHITE).to_string()).is_some());
            }
        }

        /// An independent parser finds the same colours.
        #[test]
        fn agrees_with_another_parser(
            r in 0_u16..=255, g in 0_u16..=255, b in 0_u16..=255, h in -720_i32..=720, s in 0_u8..=100, l in 0_u8..=100,
            form in 0..5_usize,
        ) {
            let text = [
                format!("rgb({r},{g},{b})"),
                format!("rgba({r} {g} {b})"),
                format!("#{r:02x}{g:02X}{b:02x}"),
                format!("hsl({h} {s}% {l}%)"),
                format!("hsla({h}deg, {s}%, {l}%, 1)"),
            ];
            let theirs = csscolorparser::parse(&text[form]).unwrap();
            let ours = Color::parse(&text[form]).unwrap();
            for (ours, theirs) in [(ours.red, theirs.r), (ours.green, theirs.g), (ours.blue, theirs.b)] {
                prop_assert!((ours - f64::from(theirs) * 255.0).abs() < 0.01, "{}", text[form]);
            }
        }
    }
}
