//! The baseline file: findings that somebody looked at and accepted, with a reason each, and folders that
//! are left out.

use super::inspect::Hit;
use super::lines::Lines;
use super::randomness;
use crate::error::CommandError;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

/// Its name below the root of the scan.
pub const BASELINE_FILE: &str = ".open-cowork-hygiene.json";

/// The file as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Baseline {
    /// 1.
    pub schema_version: u32,
    /// What isn't looked at.
    #[serde(default)]
    pub exclude: Vec<Exclusion>,
    /// Accepted findings.
    #[serde(default)]
    pub entries: Vec<Entry>,
}

/// Files that aren't looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exclusion {
    /// A pattern as in `.gitignore`, from the root of the scan.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// One accepted finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entry {
    /// The rule.
    pub code: String,
    /// The file, from the root of the scan, with `/`.
    pub path: String,
    /// `sha256:` and 8 hex digits of the line without the value, and of the value when it is too random to be
    /// guessed from them. It moves with the line.
    pub fingerprint: String,
    /// Why it is accepted.
    pub reason: String,
}

/// A baseline that is ready to be asked.
pub(super) struct Accepted {
    entries: BTreeMap<(String, String, String), Vec<usize>>,
    matcher: Gitignore,
    /// The file as it was read.
    pub(super) file: Baseline,
}

impl Accepted {
    /// Reads the baseline below a root; none is an empty one.
    pub(super) fn read(root: &Path) -> Result<Accepted, CommandError> {
        let path = root.join(BASELINE_FILE);
        let file = match std::fs::read_to_string(&path) {
            Ok(text) => parse(&text)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Baseline::default(),
            Err(error) => {
                return Err(CommandError::Usage(format!(
                    "{BASELINE_FILE} can't be read: {error}"
                )));
            }
        };
        let mut builder = GitignoreBuilder::new(root);
        for exclusion in &file.exclude {
            // A blank reason excludes nothing; the scan reports it.
            if !exclusion.reason.trim().is_empty() {
                builder.add_line(None, &exclusion.path).map_err(|error| {
                    CommandError::Usage(format!(
                        "{BASELINE_FILE} excludes {}, which is no pattern: {error}",
                        exclusion.path
                    ))
                })?;
            }
        }
        let matcher = builder.build().map_err(|error| {
            CommandError::Usage(format!("{BASELINE_FILE} has a bad pattern: {error}"))
        })?;
        let mut entries: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (at, entry) in file.entries.iter().enumerate() {
            let key = (
                entry.code.clone(),
                entry.path.clone(),
                entry.fingerprint.clone(),
            );
            entries.entry(key).or_default().push(at);
        }
        Ok(Accepted {
            entries,
            matcher,
            file,
        })
    }

    /// Whether the baseline leaves a path out.
    pub(super) fn excludes(&self, path: &Path, is_folder: bool) -> bool {
        self.matcher
            .matched_path_or_any_parents(path, is_folder)
            .is_ignore()
    }

    /// The entry that accepts a finding; one entry accepts all equal lines of a file.
    pub(super) fn entry(&self, code: &str, path: &str, fingerprint: &str) -> Option<usize> {
        let key = (code.to_owned(), path.to_owned(), fingerprint.to_owned());
        self.entries.get(&key).and_then(|at| at.first()).copied()
    }
}

fn parse(text: &str) -> Result<Baseline, CommandError> {
    let baseline: Baseline = serde_json::from_str(text).map_err(|error| {
        CommandError::Usage(format!(
            "{BASELINE_FILE} is no baseline: {error}; see docs/contract/09-ops.md §14.4"
        ))
    })?;
    if baseline.schema_version != 1 {
        return Err(CommandError::Usage(format!(
            "{BASELINE_FILE} has schemaVersion {}, this command reads 1; write it anew with --write-baseline",
            baseline.schema_version
        )));
    }
    Ok(baseline)
}

/// Names a hit without telling its value.
pub(super) fn fingerprint(text: &str, lines: &Lines, hit: &Hit) -> String {
    /// Below this a hash could be tried out.
    const ENOUGH_BITS: f64 = 72.0;
    let index = lines.index(hit.value.start);
    let line = lines.line(text, index);
    let start = hit.value.start - lines.start(index);
    let end = (start + hit.value.len()).min(line.len());
    let mut hash = Sha256::new();
    hash.update(line[..start.min(end)].trim_start());
    hash.update([0]);
    hash.update(line[end..].trim_end());
    hash.update([0]);
    let value = &text[hit.value.clone()];
    if randomness::bits(value) >= ENOUGH_BITS {
        hash.update(value);
    }
    let digest = hash.finalize();
    let hex: String = digest
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{hex}")
}

/// Writes the baseline with these entries; reasons that are there stay.
pub(super) fn write(
    root: &Path,
    old: &Baseline,
    mut entries: Vec<Entry>,
) -> Result<usize, CommandError> {
    entries.sort();
    entries.dedup();
    for entry in &mut entries {
        let same = |old: &&Entry| {
            old.code == entry.code && old.path == entry.path && old.fingerprint == entry.fingerprint
        };
        if let Some(old) = old.entries.iter().find(same) {
            entry.reason.clone_from(&old.reason);
        }
    }
    let count = entries.len();
    let baseline = Baseline {
        schema_version: 1,
        exclude: old.exclude.clone(),
        entries,
    };
    let text = serde_json::to_string_pretty(&baseline)
        .map_err(|error| CommandError::Internal(error.to_string()))?;
    let path = root.join(BASELINE_FILE);
    std::fs::write(&path, text + "\n").map_err(|error| {
        CommandError::Missing(format!("{} can't be written: {error}", path.display()))
    })?;
    Ok(count)
}
