//! `open-cowork config validate` as a user runs it: a new process, files from the disk, its text.

use crate::figure::{Figure, Target, percentile};
use anyhow::ensure;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Milliseconds for all files, process start included.
const LIMIT: f64 = 300.0;
const FILES: usize = 100;

/// Measures; `quick` repeats less.
pub(crate) fn run(quick: bool) -> anyhow::Result<Vec<Figure>> {
    let program = crate::program::build("open-cowork-cli", "open-cowork")?;
    let folder = tempfile::tempdir()?;
    let document = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../examples/downstream/open-cowork.config.json");
    let text = std::fs::read_to_string(&document)?;
    let mut files = Vec::new();
    for number in 0..FILES {
        let path = folder.path().join(format!("{number:03}.json"));
        std::fs::write(&path, &text)?;
        files.push(path);
    }
    let rounds = if quick { 5 } else { 20 };
    let mut all = milliseconds(&program, folder.path(), &files, rounds)?;
    let mut one = milliseconds(&program, folder.path(), &files[..1], rounds)?;
    let median = |values: &mut [f64]| percentile(values, 0.5).unwrap_or(f64::NAN);
    Ok(vec![
        Figure::new("config validate, 100 files, p50", median(&mut all), "ms")
            .target(Target::AtMost(LIMIT))
            .note(format!(
                "the example distribution's document, {} KB each; process start included",
                text.len() / 1000
            )),
        Figure::new("config validate, 1 file, p50", median(&mut one), "ms"),
    ])
}

fn milliseconds(
    program: &Path,
    folder: &Path,
    files: &[PathBuf],
    rounds: usize,
) -> anyhow::Result<Vec<f64>> {
    let mut times = Vec::new();
    for round in 0..=rounds {
        let started = Instant::now();
        let status = Command::new(program)
            .args(["config", "validate"])
            .args(files)
            .env("HOME", folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()?;
        let time = started.elapsed().as_secs_f64() * 1e3;
        ensure!(status.success(), "the documents are refused ({status})");
        // The first round warms the disk's cache.
        if round > 0 {
            times.push(time);
        }
    }
    Ok(times)
}
