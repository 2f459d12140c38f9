//! `open-cowork branding preview`: the look that a configuration gives, and whether it can be read (02 §8).

use super::{Place, layers};
use crate::arguments::Layers;
use crate::error::CommandError;
use crate::look;
use crate::output::{Outcome, Reported};
use open_cowork_contracts::finding::{Check, CheckStatus};
use open_cowork_theme::check::pairs;
use open_cowork_theme::preview::{self, Preview};
use open_cowork_theme::{Palette, Scheme};
use std::path::Path;

pub(super) fn run(
    place: &Place,
    layers: &Layers,
    out: Option<&Path>,
) -> Result<Outcome, CommandError> {
    let loaded = match layers::load(place, &layers.config)? {
        Ok(loaded) => loaded,
        Err(refused) => return Ok(refused.into_outcome("branding:preview")),
    };
    let value = loaded.value();
    let (theme, remarks) = look::theme(&loaded);
    let name = value["branding"]["name"].as_str().unwrap_or_default();
    let mut notes = Vec::new();
    if let Some(out) = out {
        let page = preview::html(&Preview {
            name,
            description: value["cloud"]["publicBranding"]["description"]
                .as_str()
                .unwrap_or_default(),
            theme: &theme,
            remarks: &remarks,
        });
        std::fs::write(place.open(out), page).map_err(|error| {
            CommandError::Missing(format!("{} can't be written: {error}", out.display()))
        })?;
        notes.push(format!(
            "The page is {}; open it in a browser.",
            out.display()
        ));
    }
    let mut checks = contrasts(&theme.light, Scheme::Light);
    checks.extend(contrasts(&theme.dark, Scheme::Dark));
    Ok(Outcome::Report(Box::new(Reported {
        command: "branding:preview",
        findings: look::findings(&loaded, &place.folder()?),
        checks,
        lists_checks: true,
        looked_at: format!("{name:?}, light and dark"),
        remarks: notes,
        ..Reported::default()
    })))
}

/// One line per colour that is written or drawn: on which ground it is worst.
fn contrasts(palette: &Palette, scheme: Scheme) -> Vec<Check> {
    let mut worst: Vec<(&str, &str, f64, f64)> = Vec::new();
    for pair in pairs() {
        let (Some(ink), Some(ground)) = (palette.get(pair.token), palette.get(pair.against)) else {
            continue;
        };
        let ratio = ink.contrast(ground);
        match worst.iter_mut().find(|(token, ..)| *token == pair.token) {
            // By how far it is from what it needs: texts and edges need different ratios.
            Some(known) if ratio / pair.needed < known.2 / known.3 => {
                *known = (pair.token, pair.against, ratio, pair.needed);
            }
            Some(_) => {}
            None => worst.push((pair.token, pair.against, ratio, pair.needed)),
        }
    }
    worst
        .into_iter()
        .map(|(token, against, ratio, needed)| Check {
            id: format!("contrast.{}.{token}", scheme.as_str()),
            status: if ratio < needed {
                CheckStatus::Fail
            } else {
                CheckStatus::Pass
            },
            duration_ms: 0,
            // Rounded down: 4.499 is not 4.5.
            detail: Some(format!(
                "at least {:.2}:1, on {against}; needs {needed}:1",
                (ratio * 100.0).floor() / 100.0
            )),
        })
        .collect()
}
