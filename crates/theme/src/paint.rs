//! One palette painted with what a brand asked for: each colour only where it can be seen.

use crate::check::{GRAPHIC, TEXT, Warning};
use crate::color::{Color, Rgb};
use crate::palette::{Palette, Scheme};

/// The tokens that the palettes know, as far as they were said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    pub(crate) background: Option<Color>,
    pub(crate) surface: Option<Color>,
    pub(crate) muted_surface: Option<Color>,
    pub(crate) surface_active: Option<Color>,
    pub(crate) border: Option<Color>,
    pub(crate) border_strong: Option<Color>,
    pub(crate) text: Option<Color>,
    pub(crate) text_secondary: Option<Color>,
    pub(crate) muted_text: Option<Color>,
    pub(crate) accent: Option<Color>,
    pub(crate) accent_foreground: Option<Color>,
    pub(crate) accent_strong: Option<Color>,
    pub(crate) focus: Option<Color>,
    /// A whole theme can't say its focus; its accent does.
    pub(crate) focus_is_accent: bool,
    pub(crate) info: Option<Color>,
    pub(crate) ok: Option<Color>,
    pub(crate) warn: Option<Color>,
    pub(crate) danger: Option<Color>,
}

/// Puts a wish onto a palette; also tells which wishes could not be granted.
pub(crate) fn paint(base: Palette, wish: &Wish, scheme: Scheme) -> (Palette, Vec<Warning>) {
    let mut painter = Painter {
        palette: base,
        base,
        scheme,
        refused: Vec::new(),
    };
    painter.surfaces(wish);
    painter.texts(wish);
    painter.edges(wish);
    painter.accents(wish);
    painter.tones(wish);
    (painter.palette, painter.refused)
}

struct Painter {
    palette: Palette,
    base: Palette,
    scheme: Scheme,
    refused: Vec<Warning>,
}

impl Painter {
    fn surfaces(&mut self, wish: &Wish) {
        let said = [wish.background, wish.surface, wish.muted_surface];
        let p = &mut self.palette;
        let below = match self.scheme {
            Scheme::Light => Rgb::WHITE,
            Scheme::Dark => Rgb::BLACK,
        };
        let over = |wish: Option<Color>, ground: Rgb| wish.map(|color| color.over(ground));
        if let Some(ground) = over(wish.background, below) {
            p.background = ground;
        }
        if let Some(ground) = over(wish.surface, p.background) {
            p.surface = ground;
        }
        // Unsaid, the steps keep the distance that they have in the default palette.
        let from = over(wish.background, below).or(over(wish.surface, p.background));
        let step = |ground: Rgb, share: f64| ground.mix(ground.ink(), share);
        p.muted_surface = over(wish.muted_surface, p.background)
            .or(from.map(|ground| step(ground, 0.035)))
            .unwrap_or(p.muted_surface);
        let any = said.iter().any(Option::is_some);
        let active = any.then(|| step(p.muted_surface, 0.05));
        p.surface_active = over(wish.surface_active, p.muted_surface)
            .or(active)
            .unwrap_or(p.surface_active);
        let hairline = any.then(|| step(p.muted_surface, 0.09));
        p.border = over(wish.border, p.surface)
            .or(hairline)
            .unwrap_or(p.border);
    }

    fn texts(&mut self, wish: &Wish) {
        let p = self.palette;
        let grounds = [p.background, p.surface, p.muted_surface, p.surface_active];
        let ink = p.background.ink();
        let text = self.granted("text", wish.text, &grounds, OWN_TEXT);
        let text = text
            .or(Some(self.base.text).filter(|text| lowest(*text, &grounds) >= TEXT))
            .unwrap_or(ink);
        self.palette.text = text;
        let quieter = |share: f64, fallback: Rgb| {
            if wish.text.is_none() && lowest(fallback, &grounds) >= TEXT {
                return fallback;
            }
            fading(text, p.background, share, &grounds)
        };
        self.palette.text_secondary = self
            .granted("textSecondary", wish.text_secondary, &grounds, OWN_TEXT)
            .unwrap_or_else(|| quieter(0.25, p.text_secondary));
        self.palette.muted_text = self
            .granted("mutedText", wish.muted_text, &grounds, OWN_TEXT)
            .unwrap_or_else(|| quieter(0.35, p.muted_text));
    }

    fn edges(&mut self, wish: &Wish) {
        let p = self.palette;
        let grounds = [p.background, p.surface, p.muted_surface];
        self.palette.border_strong = self
            .granted("borderStrong", wish.border_strong, &grounds, EDGE)
            .or(Some(p.border_strong).filter(|edge| lowest(*edge, &grounds) >= GRAPHIC))
            .unwrap_or_else(|| strengthened(p.border, p.text, &grounds, GRAPHIC));
    }

    fn accents(&mut self, wish: &Wish) {
        let p = self.palette;
        let grounds = [p.background, p.surface, p.muted_surface];
        if let Some(accent) = wish.accent.map(|accent| accent.over(p.surface)) {
            self.palette.accent = accent;
            self.palette.accent_foreground = accent.ink();
        }
        let accent = self.palette.accent;
        if let Some(ink) = self.granted("accentForeground", wish.accent_foreground, &[accent], INK)
        {
            self.palette.accent_foreground = ink;
        }
        self.palette.accent_strong = self
            .granted("accentStrong", wish.accent_strong, &grounds, INK)
            .or(wish
                .accent
                .map(|_| accent)
                .filter(|accent| lowest(*accent, &grounds) >= TEXT))
            .or(Some(p.accent_strong).filter(|link| lowest(*link, &grounds) >= TEXT))
            .unwrap_or(p.text);
        self.palette.focus = self
            .granted("focus", wish.focus, &grounds, EDGE)
            .or(Some(accent)
                .filter(|ring| wish.focus_is_accent && lowest(*ring, &grounds) >= GRAPHIC))
            .or(Some(p.focus).filter(|ring| lowest(*ring, &grounds) >= GRAPHIC))
            .unwrap_or(p.text);
    }

    fn tones(&mut self, wish: &Wish) {
        let (info, info_surface) = self.tone(wish, wish.info, "info", |p| (p.info, p.info_surface));
        let (ok, ok_surface) = self.tone(wish, wish.ok, "ok", |p| (p.ok, p.ok_surface));
        let (warn, warn_surface) = self.tone(wish, wish.warn, "warn", |p| (p.warn, p.warn_surface));
        let (danger, danger_surface) = self.tone(wish, wish.danger, "danger", |p| {
            (p.danger, p.danger_surface)
        });
        self.palette = Palette {
            info,
            info_surface,
            ok,
            ok_surface,
            warn,
            warn_surface,
            danger,
            danger_surface,
            ..self.palette
        };
    }

    /// A tone and the breath of it behind a card.
    fn tone(
        &mut self,
        wish: &Wish,
        said: Option<Color>,
        key: &'static str,
        of: impl Fn(&Palette) -> (Rgb, Rgb),
    ) -> (Rgb, Rgb) {
        let p = self.palette;
        let grounds = [p.background, p.surface, p.muted_surface];
        let (default, soft) = of(&self.base);
        let granted = self.granted(key, said, &grounds, INK);
        let tone = granted
            .or(Some(default).filter(|tone| lowest(*tone, &grounds) >= TEXT))
            .unwrap_or_else(|| strengthened(default, p.text, &grounds, TEXT));
        let same_grounds =
            wish.background.is_none() && wish.surface.is_none() && wish.text.is_none();
        if tone == default && same_grounds && lowest(p.muted_text, &[soft]) >= TEXT {
            return (tone, soft);
        }
        let soft = [0.12, 0.08, 0.05, 0.03]
            .map(|share| p.background.mix(tone, share))
            .into_iter()
            .find(|soft| {
                [tone, p.text, p.muted_text]
                    .iter()
                    .all(|ink| ink.contrast(*soft) >= TEXT)
            })
            .unwrap_or(p.background);
        (tone, soft)
    }

    /// The colour that was asked for, if it can be seen on all these grounds; else a note.
    fn granted(
        &mut self,
        token: &'static str,
        wish: Option<Color>,
        grounds: &[Rgb],
        need: Need,
    ) -> Option<Rgb> {
        let color = wish?.over(self.palette.background);
        let worst = grounds
            .iter()
            .min_by(|a, b| color.contrast(**a).total_cmp(&color.contrast(**b)))?;
        let ratio = color.contrast(*worst);
        if ratio >= need.used_from {
            return Some(color);
        }
        let against = ["background", "surface", "mutedSurface", "surfaceActive"]
            .into_iter()
            .find(|key| token != "accentForeground" && self.palette.get(key) == Some(*worst))
            .unwrap_or("accent");
        self.refused.push(Warning {
            scheme: self.scheme,
            token,
            against,
            ratio,
            needed: need.needed,
            used: false,
        });
        None
    }
}

/// The lowest contrast of a colour on some grounds.
fn lowest(color: Rgb, grounds: &[Rgb]) -> f64 {
    grounds
        .iter()
        .map(|ground| color.contrast(*ground))
        .fold(21.0, f64::min)
}

/// Text made quieter by mixing the ground in, as far as it stays readable.
fn fading(text: Rgb, ground: Rgb, share: f64, grounds: &[Rgb]) -> Rgb {
    [share, share * 0.75, share * 0.5, share * 0.25]
        .into_iter()
        .map(|share| text.mix(ground, share))
        .find(|faded| lowest(*faded, grounds) >= TEXT)
        .unwrap_or(text)
}

/// A colour moved towards the text until it can be seen.
fn strengthened(color: Rgb, text: Rgb, grounds: &[Rgb], needed: f64) -> Rgb {
    (1..=20)
        .map(|step| color.mix(text, f64::from(step) * 0.05))
        .find(|stronger| lowest(*stronger, grounds) >= needed)
        .unwrap_or(text)
}

/// How much contrast a colour that was asked for must have, to be used at all and to be used without a word.
#[derive(Clone, Copy)]
struct Need {
    used_from: f64,
    needed: f64,
}

/// A brand's texts may be faint, with a warning; below 3:1 nobody could read the way back to the settings.
const OWN_TEXT: Need = Need {
    used_from: 3.0,
    needed: TEXT,
};
/// Inks, links and tones have a readable colour to fall back to.
const INK: Need = Need {
    used_from: TEXT,
    needed: TEXT,
};
const EDGE: Need = Need {
    used_from: GRAPHIC,
    needed: GRAPHIC,
};
