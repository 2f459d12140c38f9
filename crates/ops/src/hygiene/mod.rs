//! The hygiene scanner: what a public repository or a distribution must not hold (09 §14).
//!
//! | file | holds |
//! |---|---|
//! | [`rule`] | the one table of rules: code, class, where, pattern, why, what to write instead |
//! | `verify` | what a pattern can't say about its own match |
//! | `placeholder`, `randomness` | which values stand for something else, which look drawn |
//! | `assignment` | values behind names that hold secrets |
//! | [`image`] | how firmly an image reference names one image |
//! | `place`, `lines` | what a file is by its path; lines, columns, code blocks |
//! | `inspect` | all hits of one text, and the comments that allow them |
//! | [`baseline`] | accepted findings and excluded folders |
//! | `walk` | the files of a folder |
//!
//! A finding names class, file, line and column, never the value.

mod assignment;
pub mod baseline;
pub mod image;
mod inspect;
mod lines;
mod place;
mod placeholder;
mod randomness;
pub mod rule;
mod verify;
mod walk;

use crate::error::CommandError;
use baseline::{Accepted, BASELINE_FILE, Entry};
use inspect::CommentProblem;
use lines::Lines;
use open_cowork_contracts::finding::{Check, CheckStatus, Finding, Severity};
use place::Place;
use rule::Class;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use walk::Content;

/// How to scan.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Larger text files are skipped with a finding. Bytes.
    pub max_file_bytes: u64,
    /// How many threads read.
    pub threads: usize,
    /// Whether the baseline of the folder counts.
    pub use_baseline: bool,
    /// Called after every file with how many are done and how many there are, from any thread.
    pub progress: &'a (dyn Fn(usize, usize) + Sync),
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("max_file_bytes", &self.max_file_bytes)
            .field("threads", &self.threads)
            .field("use_baseline", &self.use_baseline)
            .finish_non_exhaustive()
    }
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options {
            max_file_bytes: 4 * 1024 * 1024,
            threads: std::thread::available_parallelism().map_or(2, usize::from),
            use_baseline: true,
            progress: &|_, _| {},
        }
    }
}

/// What a scan found.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// In the order of files and lines.
    pub findings: Vec<Finding>,
    /// One check per class of rules, and the baseline.
    pub checks: Vec<Check>,
    /// Files looked at.
    pub files: usize,
    /// Their lines.
    pub lines: usize,
    /// Binary files, which are skipped.
    pub binaries: usize,
    /// Findings that the baseline accepts.
    pub accepted: usize,
    /// Findings that a comment allows.
    pub allowed: usize,
    /// The findings as a baseline would hold them, in the order of the files; without a reason.
    entries: Vec<Entry>,
}

/// What one file gave.
#[derive(Default)]
struct Looked {
    findings: Vec<(Finding, Option<Entry>)>,
    lines: usize,
    allowed: usize,
    is_binary: bool,
}

/// Scans a folder.
///
/// # Errors
/// [`CommandError::Usage`] when the folder isn't there or its baseline can't be understood.
pub fn scan(root: &Path, options: &Options<'_>) -> Result<Scan, CommandError> {
    let start = Instant::now();
    walk::must_be_folder(root)?;
    let baseline = Accepted::read(root)?;
    let (files, problems) = walk::list(root, &baseline)?;
    let done = AtomicUsize::new(0);
    let looked = walk::in_parallel(&files, options.threads, |file| {
        let looked = look(root, file, options.max_file_bytes);
        (options.progress)(done.fetch_add(1, Ordering::Relaxed) + 1, files.len());
        looked
    });
    let mut scan = Scan {
        files: files.len(),
        ..Scan::default()
    };
    for problem in problems {
        scan.findings.push(unreadable(".", &masked(&problem)));
    }
    let mut used = vec![false; baseline.file.entries.len()];
    for file in looked {
        scan.lines += file.lines;
        scan.allowed += file.allowed;
        scan.binaries += usize::from(file.is_binary);
        for (finding, entry) in file.findings {
            let at = entry
                .as_ref()
                .and_then(|entry| baseline.entry(&entry.code, &entry.path, &entry.fingerprint))
                .filter(|at| {
                    options.use_baseline && !baseline.file.entries[*at].reason.trim().is_empty()
                });
            scan.entries.extend(entry);
            match at {
                Some(at) => {
                    used[at] = true;
                    scan.accepted += 1;
                }
                None => scan.findings.push(finding),
            }
        }
    }
    let of_files = milliseconds(start);
    let start = Instant::now();
    if options.use_baseline {
        scan.findings.extend(judge_baseline(&baseline, &used));
    }
    scan.checks = checks(&scan, of_files, milliseconds(start));
    Ok(scan)
}

/// Writes the baseline of a folder: everything that the scan found and everything that it accepted, new
/// entries with this reason. Answers how many entries it holds.
///
/// # Errors
/// [`CommandError::Usage`] without a reason, [`CommandError::Missing`] when the file can't be written.
pub fn write_baseline(root: &Path, scan: &Scan, reason: &str) -> Result<usize, CommandError> {
    if reason.trim().is_empty() {
        return Err(CommandError::Usage(
            "a baseline needs a reason: say why these findings are accepted".to_owned(),
        ));
    }
    // As a file of this name would be looked at, if it weren't the baseline.
    if let Some(found) = scan_text("reason.json", reason).first() {
        return Err(CommandError::Usage(format!(
            "the reason itself has a finding, and it would be written into the repository: {}",
            found.message
        )));
    }
    let old = Accepted::read(root)?;
    let with_reason = |entry: &Entry| Entry {
        reason: reason.trim().to_owned(),
        ..entry.clone()
    };
    baseline::write(
        root,
        &old.file,
        scan.entries.iter().map(with_reason).collect(),
    )
}

/// Looks at one text as if it stood at this path below the root; for text that isn't in a file.
pub fn scan_text(path: &str, text: &str) -> Vec<Finding> {
    let looked = look_at_text(path, text);
    looked
        .findings
        .into_iter()
        .map(|(finding, _)| finding)
        .collect()
}

fn look(root: &Path, file: &Path, limit: u64) -> Looked {
    let written = walk::shown(root, file);
    let path = masked(&written);
    let mut looked = look_inside(file, &path, limit);
    if path != written {
        let finding = Finding::error(
            "HYGIENE_PATH",
            &path,
            "the name of this file or of a folder above it holds a secret, which every listing shows.",
        )
        .with_help("revoke the secret, then rename the file");
        looked
            .findings
            .insert(0, (place(finding, &path, None), None));
    }
    looked
}

/// A path, or a sentence with one, in which secrets are replaced.
pub(crate) fn masked(text: &str) -> String {
    let place = Place::of(text);
    let hits = inspect::inspect(text, &place, &Lines::of(text, &place)).hits;
    let mut masked = text.to_owned();
    for hit in hits
        .iter()
        .rev()
        .filter(|hit| hit.rule.class == Class::Secret)
    {
        masked.replace_range(hit.value.clone(), "***");
    }
    masked
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn look_inside(file: &Path, path: &str, limit: u64) -> Looked {
    let only = |finding| Looked {
        findings: vec![(finding, None)],
        ..Looked::default()
    };
    match walk::read(file, limit) {
        // Its own fingerprints are no findings.
        Content::Text(_) if path == BASELINE_FILE => Looked::default(),
        Content::Text(text) => look_at_text(path, &text),
        Content::Binary => Looked {
            is_binary: true,
            ..Looked::default()
        },
        Content::TooLarge(size) => only(place(
            Finding::error(
                "HYGIENE_FILE_TOO_LARGE",
                path,
                format!("this text of {size} bytes is larger than {limit} and was not looked at"),
            )
            .into_warning()
            .with_help(
                "look at it yourself, raise the limit, or exclude it in the baseline with a reason",
            ),
            path,
            None,
        )),
        Content::Unreadable(error) => only(unreadable(path, &error)),
    }
}

fn look_at_text(path: &str, text: &str) -> Looked {
    let place_of_file = Place::of(path);
    let lines = Lines::of(text, &place_of_file);
    let inspected = inspect::inspect(text, &place_of_file, &lines);
    let mut looked = Looked {
        lines: lines.count(text),
        allowed: inspected.allowed,
        ..Looked::default()
    };
    for hit in &inspected.hits {
        let rule = hit.rule;
        let finding = Finding {
            severity: rule.severity,
            ..Finding::error(
                rule.code,
                path,
                format!(
                    "{}: this is {}; {}.",
                    rule.class.word(),
                    rule.what,
                    rule.why
                ),
            )
            .with_help(rule.help)
        };
        let entry = Entry {
            code: rule.code.to_owned(),
            path: path.to_owned(),
            fingerprint: baseline::fingerprint(text, &lines, hit),
            reason: String::new(),
        };
        let at = lines.place(text, hit.value.start);
        looked
            .findings
            .push((place(finding, path, Some(at)), Some(entry)));
    }
    for (at, problem) in inspected.comments {
        let finding = match problem {
            CommentProblem::NoReason => Finding::error(
                "HYGIENE_ALLOW_REASON",
                path,
                "a hygiene:allow comment gives no reason, so it allows nothing.",
            )
            .with_help("write why, in two words or more: `hygiene:allow CODE the reason`"),
            CommentProblem::Unused => Finding::error(
                "HYGIENE_ALLOW_UNUSED",
                path,
                "a hygiene:allow comment allows something that isn't there.",
            )
            .into_warning()
            .with_help("remove the comment"),
        };
        let at = lines.place(text, at);
        looked.findings.push((place(finding, path, Some(at)), None));
    }
    looked
        .findings
        .sort_by_key(|(finding, _)| (finding.line, finding.column));
    looked
}

fn unreadable(path: &str, error: &str) -> Finding {
    let finding = Finding::error(
        "HYGIENE_UNREADABLE",
        path,
        format!("this could not be read, so nothing is known about it: {error}."),
    )
    .with_help("make it readable, or exclude it in the baseline with a reason");
    place(finding, path, None)
}

fn place(mut finding: Finding, path: &str, at: Option<(u32, u32)>) -> Finding {
    finding.file = Some(path.to_owned());
    if let Some((line, column)) = at {
        finding.path = format!("{path}:{line}");
        finding.line = Some(line);
        finding.column = Some(column);
    }
    finding
}

fn judge_baseline(baseline: &Accepted, used: &[bool]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let without_reason = |what: String| {
        let message = format!("{what} has no reason, so it doesn't count.");
        let finding = Finding::error("HYGIENE_BASELINE_REASON", BASELINE_FILE, message)
            .with_help("say in `reason` why it is accepted");
        place(finding, BASELINE_FILE, None)
    };
    for exclusion in &baseline.file.exclude {
        if exclusion.reason.trim().is_empty() {
            findings.push(without_reason(format!(
                "the exclusion of {}",
                masked(&exclusion.path)
            )));
        }
    }
    for (entry, used) in baseline.file.entries.iter().zip(used) {
        if entry.reason.trim().is_empty() {
            findings.push(without_reason(format!(
                "the entry {} of {}",
                entry.code,
                masked(&entry.path)
            )));
        } else if !used {
            let message = format!(
                "the entry {} of {} accepts something that is no longer there.",
                entry.code,
                masked(&entry.path)
            );
            let finding = Finding::error("HYGIENE_BASELINE_STALE", BASELINE_FILE, message)
                .into_warning()
                .with_help("remove the entry, or write the baseline anew");
            findings.push(place(finding, BASELINE_FILE, None));
        }
    }
    findings
}

fn checks(scan: &Scan, of_files: u64, of_baseline: u64) -> Vec<Check> {
    let looked_at = format!(
        "{} files, {} lines, {} binaries skipped",
        scan.files, scan.lines, scan.binaries
    );
    let failed = |codes: &dyn Fn(&str) -> bool| {
        let hit = scan
            .findings
            .iter()
            .any(|finding| finding.severity == Severity::Error && codes(&finding.code));
        if hit {
            CheckStatus::Fail
        } else {
            CheckStatus::Pass
        }
    };
    let check = |id: &str, status, duration_ms, detail: String| Check {
        id: id.to_owned(),
        status,
        duration_ms,
        detail: Some(detail),
    };
    let is_about_baseline =
        |code: &str| code.starts_with("HYGIENE_BASELINE_") || code.starts_with("HYGIENE_ALLOW_");
    vec![
        check(
            "hygiene.files",
            failed(&|code| !is_about_baseline(code)),
            of_files,
            looked_at,
        ),
        check(
            "hygiene.baseline",
            failed(&is_about_baseline),
            of_baseline,
            format!(
                "{} findings accepted, {} allowed by a comment",
                scan.accepted, scan.allowed
            ),
        ),
    ]
}
