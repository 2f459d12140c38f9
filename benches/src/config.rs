//! Loading a configuration, cold: the first load of a new process, schema and all.

use crate::figure::{Figure, Target, percentile};
use anyhow::{Context as _, ensure};
use std::path::Path;
use std::process::Command;

/// Milliseconds.
const LIMIT: f64 = 5.0;

/// Measures; `quick` repeats less.
pub(crate) fn run(quick: bool) -> anyhow::Result<Vec<Figure>> {
    let program = crate::program::build_example("open-cowork-config", "load")?;
    let rounds = if quick { 10 } else { 50 };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut figures = Vec::new();
    for (name, path, note) in [
        (
            "every key of the contract",
            "fixtures/config/full.json",
            "one document with every key; the time from the first line of main to the checked types",
        ),
        (
            "the example distribution",
            "examples/downstream/open-cowork.config.json",
            "the document that examples/downstream ships",
        ),
    ] {
        let path = root.join(path);
        let mut times = Vec::new();
        for _ in 0..rounds {
            times.push(cold(&program, &path)?);
        }
        let middle = percentile(&mut times, 0.5).unwrap_or(f64::NAN);
        let high = percentile(&mut times, 0.95).unwrap_or(f64::NAN);
        figures.push(
            Figure::new(
                format!("load and validate, cold, {name}, p50"),
                middle,
                "ms",
            )
            .target(Target::AtMost(LIMIT))
            .note(note),
        );
        figures.push(Figure::new("  p95", high, "ms"));
    }
    Ok(figures)
}

/// Milliseconds of one load in a process of its own.
fn cold(program: &Path, document: &Path) -> anyhow::Result<f64> {
    let output = Command::new(program).arg(document).output()?;
    ensure!(
        output.status.success(),
        "{} is refused: {}",
        document.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    let nanoseconds: f64 = String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .context("the program prints one number")?;
    Ok(nanoseconds / 1e6)
}
