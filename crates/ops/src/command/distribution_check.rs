//! `open-cowork distribution check`: the downstream checklist, item by item (09 §15).

use super::Place;
use crate::distribution::{self, Options};
use crate::error::CommandError;
use crate::output::{Reported, count};
use open_cowork_contracts::finding::CheckStatus;
use std::path::{Path, PathBuf};

pub(super) fn run(
    place: &Place,
    dir: &Path,
    config: Option<&Path>,
    values: &[PathBuf],
) -> Result<Reported, CommandError> {
    let options = Options {
        config: config.map(|file| place.open(file)),
        values: values.iter().map(|file| place.open(file)).collect(),
        ..Options::default()
    };
    let report = distribution::check(&place.open(dir), &options)?;
    let with = |status| {
        report
            .items
            .iter()
            .filter(|item| item.status == status)
            .count()
    };
    let mut looked_at = format!(
        "{} of {} passed",
        with(CheckStatus::Pass),
        count(report.items.len(), "item")
    );
    match with(CheckStatus::NotApplicable) {
        0 => {}
        1 => looked_at.push_str(", 1 doesn't apply"),
        number => looked_at.push_str(&format!(", {number} don't apply")),
    }
    Ok(Reported {
        command: "distribution:check",
        findings: report.findings(),
        checks: report.checks(),
        lists_checks: true,
        looked_at,
        remarks: report
            .overrides
            .iter()
            .map(|part| format!("changes the {}: {}", part.surface, part.what.join(", ")))
            .collect(),
        ..Reported::default()
    })
}
