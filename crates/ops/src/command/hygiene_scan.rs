//! `open-cowork hygiene scan`: what must not be in a public repository or a distribution (09 §14).

use super::Place;
use crate::error::CommandError;
use crate::hygiene::{self, Options};
use crate::output::{Outcome, Reported, count};
use std::path::Path;

/// Scans; with `baseline`, accepts what is found today for that reason.
pub(super) fn run(
    place: &Place,
    dir: &Path,
    baseline: Option<&str>,
) -> Result<Outcome, CommandError> {
    let folder = place.open(dir);
    let counter = super::progress::Counter::new("files");
    let progress = |done, all| counter.show(done, all);
    let scan = hygiene::scan(
        &folder,
        &Options {
            progress: &progress,
            ..Options::default()
        },
    )?;
    if let Some(reason) = baseline {
        let accepted = hygiene::write_baseline(&folder, &scan, reason)?;
        return Ok(Outcome::Document(format!(
            "{} accepted in {}",
            count(accepted, "finding"),
            folder.join(hygiene::baseline::BASELINE_FILE).display()
        )));
    }
    let mut looked_at = format!(
        "{}, {}",
        count(scan.files, "file"),
        count(scan.lines, "line")
    );
    for (number, word) in [
        (scan.accepted, "accepted by the baseline"),
        (scan.allowed, "allowed by a comment"),
    ] {
        if number > 0 {
            looked_at.push_str(&format!(", {number} {word}"));
        }
    }
    Ok(Outcome::Report(Box::new(Reported {
        command: "hygiene:scan",
        findings: scan.findings,
        checks: scan.checks,
        looked_at,
        ..Reported::default()
    })))
}
