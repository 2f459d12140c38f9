//! The hygiene scanner on the corpora and on this repository itself.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails panics"
)]

use open_cowork_cli::hygiene::{self, Options};
use open_cowork_contracts::finding::{Finding, Severity};
use open_cowork_projection::sanitize::{Redaction, Redactor};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn shown(findings: &[Finding]) -> String {
    findings
        .iter()
        .map(|finding| {
            format!(
                "{}:{} {}\n",
                finding.path,
                finding.column.unwrap_or_default(),
                finding.code
            )
        })
        .collect()
}

/// The lines of a corpus, split at tabs.
fn corpus<const N: usize>(name: &str) -> Vec<[String; N]> {
    let text = std::fs::read_to_string(root().join("fixtures/secrets").join(name)).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let columns: Vec<String> = line.splitn(N, '\t').map(str::to_owned).collect();
            columns
                .try_into()
                .unwrap_or_else(|_| panic!("{N} columns: {line}"))
        })
        .collect()
}

/// The value of a must-catch line: what follows the sign, up to where a value ends.
fn secret(line: &str) -> String {
    let tail = line.split_once('¦').map_or("", |(_, tail)| tail);
    let ends = |c: char| c.is_whitespace() || "\"'`}@;\\".contains(c);
    tail.split(ends).next().unwrap_or_default().to_owned()
}

#[test]
fn every_secret_of_the_corpus_is_caught_under_its_code() {
    let mut missed = String::new();
    for [_, code, path, line] in corpus::<4>("must-catch.txt") {
        let found = hygiene::scan_text(&path, &line.replace('¦', ""));
        if !found.iter().any(|finding| finding.code == code) {
            missed += &format!("{code} {path} {line}: {}\n", shown(&found));
        }
    }
    assert!(missed.is_empty(), "\n{missed}");
}

#[test]
fn one_line_is_one_finding() {
    let mut wrong = String::new();
    for [_, code, path, line] in corpus::<4>("must-catch.txt") {
        let found = hygiene::scan_text(&path, &line.replace('¦', ""));
        if found.len() > 1 {
            wrong += &format!("{code} {path} {line}\n{}", shown(&found));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn no_look_alike_is_flagged() {
    let mut flagged = String::new();
    for [path, line] in corpus::<2>("must-not-flag.txt") {
        let found = hygiene::scan_text(&path, &line.replace("\\n", "\n"));
        if !found.is_empty() {
            flagged += &format!("{path}\t{line}\n  {}", shown(&found));
        }
    }
    assert!(flagged.is_empty(), "\n{flagged}");
}

#[test]
fn no_finding_tells_the_value() {
    for [_, code, path, line] in corpus::<4>("must-catch.txt") {
        let value = secret(&line);
        // The others are words, which a message may hold.
        if value.len() < 8 || !code.starts_with("HYGIENE_") {
            continue;
        }
        for finding in hygiene::scan_text(&path, &line.replace('¦', "")) {
            assert!(!format!("{finding:?}").contains(&value), "{line}");
        }
    }
}

#[test]
fn the_log_redactor_removes_the_same_secrets() {
    let redactor = Redactor::default();
    let mut left = String::new();
    for [kind, code, _, line] in corpus::<4>("must-catch.txt") {
        let redacted = redactor
            .redact(&line.replace('¦', ""), Redaction::Full)
            .into_owned();
        let value = secret(&line);
        if kind == "redact" && redacted.contains(&value) {
            left += &format!("{code} {line}\n");
        }
    }
    assert!(left.is_empty(), "\n{left}");
}

#[test]
fn this_repository_is_clean() {
    let scan = hygiene::scan(&root(), &Options::default()).unwrap();
    let errors: Vec<Finding> = scan
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .cloned()
        .collect();
    assert!(
        errors.is_empty(),
        "{} in {} lines:\n{}",
        errors.len(),
        scan.lines,
        shown(&errors)
    );
    // Less than one accepted finding per 1,000 lines: the baseline is no carpet.
    assert!(
        scan.accepted * 1000 < scan.lines,
        "{} accepted in {} lines",
        scan.accepted,
        scan.lines
    );
}
