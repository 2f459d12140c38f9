//! What a command hands back, and how it is printed (09 §1.2).
//!
//! | module | prints |
//! |---|---|
//! | [`text`] | for people: each finding like a compiler's, with the line and a caret |
//! | [`excerpt`] | that line, with the values left out that nobody needs to see |
//! | [`sarif`] | SARIF 2.1.0, for code scanning |

pub mod excerpt;
pub mod sarif;
pub mod text;

use crate::exit::Exit;
use open_cowork_contracts::finding::{Check, Finding, FindingReport, Severity, Skipped};
use std::collections::HashMap;

/// How a report is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object; the shape is in docs/command.md.
    Json,
    /// SARIF 2.1.0.
    Sarif,
}

/// What all validators understand.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Only findings and checks whose code or id starts with one of these; empty is all.
    pub only: Vec<String>,
    /// Warnings fail too.
    pub strict: bool,
}

impl Rules {
    fn keeps(&self, code: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|prefix| code.starts_with(prefix))
    }
}

/// What a command hands back.
#[derive(Debug)]
pub enum Outcome {
    /// What a validator found.
    Report(Box<Reported>),
    /// A document or an answer, in the form that was asked for, without the final newline.
    Document(String),
    /// Everything is printed already.
    Printed(Exit),
}

/// A report, and what only its text form shows.
#[derive(Debug, Default)]
pub struct Reported {
    /// Colon form, such as `config:validate`.
    pub command: &'static str,
    /// In the order of the files.
    pub findings: Vec<Finding>,
    /// All checks that ran.
    pub checks: Vec<Check>,
    /// All checks that couldn't.
    pub skipped: Vec<Skipped>,
    /// The texts of files that have findings, to show lines of. Only of files whose lines may be shown.
    pub texts: HashMap<String, String>,
    /// Whether the text form lists the checks.
    pub lists_checks: bool,
    /// Whether a check that was skipped was needed, so that nothing is proven (exit code 3).
    pub inconclusive: bool,
    /// What was looked at, such as `3 files`.
    pub looked_at: String,
    /// What the text form prints above the summary.
    pub remarks: Vec<String>,
}

impl Reported {
    /// The report as programs read it, and how the run ends.
    pub fn judge(&self, rules: &Rules) -> (FindingReport, Exit) {
        let findings: Vec<Finding> = self
            .findings
            .iter()
            .filter(|finding| rules.keeps(&finding.code))
            .cloned()
            .collect();
        let checks = self
            .checks
            .iter()
            // Only checks that are rules have codes for ids.
            .filter(|check| !self.lists_checks || rules.keeps(&check.id))
            .cloned()
            .collect();
        let failing: Vec<&Finding> = findings
            .iter()
            .filter(|finding| rules.strict || finding.severity == Severity::Error)
            .collect();
        let failed = !failing.is_empty();
        // A file that isn't there proves nothing about what it would hold.
        let only_missing = failing
            .iter()
            .all(|finding| finding.code == "CONFIG_SOURCE_MISSING");
        let exit = match (failed, self.inconclusive) {
            (true, _) if only_missing => Exit::Missing,
            (true, _) => Exit::Failed,
            (false, true) => Exit::Missing,
            (false, false) => Exit::Passed,
        };
        let report = FindingReport {
            schema_version: 1,
            command: self.command.to_owned(),
            ok: !failed && !self.inconclusive,
            findings,
            checks,
            skipped: self.skipped.clone(),
            redacted: true,
        };
        (report, exit)
    }
}

/// `1 file`, `2 files`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported() -> Reported {
        Reported {
            command: "config:validate",
            findings: vec![
                Finding::error("CONFIG_TYPE", "a.json", "wrong"),
                Finding::error("HYGIENE_PRICE", "b", "looks like a price").into_warning(),
            ],
            ..Reported::default()
        }
    }

    #[test]
    fn a_warning_fails_only_in_strict_mode() {
        let only_warnings = |strict| Rules {
            only: vec!["HYGIENE".into()],
            strict,
        };
        let (report, exit) = reported().judge(&only_warnings(false));
        assert!(report.ok && exit == Exit::Passed && report.findings.len() == 1);
        let (report, exit) = reported().judge(&only_warnings(true));
        assert!(!report.ok && exit == Exit::Failed);
    }

    #[test]
    fn only_keeps_what_starts_with_one_of_its_prefixes() {
        let rules = Rules {
            only: vec!["CONFIG_".into(), "HYGIENE_P".into()],
            strict: false,
        };
        assert_eq!(reported().judge(&rules).0.findings.len(), 2);
        assert_eq!(reported().judge(&rules).1, Exit::Failed);
        let none = Rules {
            only: vec!["DIST_".into()],
            strict: true,
        };
        assert_eq!(reported().judge(&none).1, Exit::Passed);
    }

    #[test]
    fn a_missing_file_alone_proves_nothing() {
        let mut reported = reported();
        let missing = Finding::error("CONFIG_SOURCE_MISSING", "c.json", "isn't there");
        reported.findings = vec![missing];
        let (report, exit) = reported.judge(&Rules::default());
        assert!(!report.ok && exit == Exit::Missing);
        let wrong = Finding::error("CONFIG_TYPE", "a.json", "wrong");
        reported.findings.push(wrong);
        assert_eq!(reported.judge(&Rules::default()).1, Exit::Failed);
    }

    #[test]
    fn a_needed_check_that_was_skipped_is_no_success() {
        let mut reported = reported();
        reported.inconclusive = true;
        assert_eq!(reported.judge(&Rules::default()).1, Exit::Failed);
        reported.findings.clear();
        let (report, exit) = reported.judge(&Rules::default());
        assert!(!report.ok && exit == Exit::Missing);
    }
}
