//! The downstream completion checklist: is a distribution inside the contract, item by item (09 §15)?
//!
//! | file | holds |
//! |---|---|
//! | `folder` | what a distribution's folder holds: documents, overlays, chart values, Compose files, manifests |
//! | `documents` | `DIST_CONFIG_VALID`, and secret fields for `DIST_SECRETS_BY_REF` |
//! | `branding` | names, logo and links agree: `DIST_BRANDING_SOURCE` |
//! | `managed` | `DIST_BILLING_FREE`, `DIST_OVERLAY_ONLY` in documents, `DIST_PROFILES_DEFINED` |
//! | `gateway` | `DIST_GATEWAY_SIGNED` |
//! | `images` | `DIST_IMAGES_PINNED` |
//! | `crates` | Cargo manifests: released crates, no fork, `DIST_BOUNDARY` |
//! | `yaml` | values of a YAML file with their places |
//!
//! No network, no build: only files are read.

mod branding;
mod crates;
mod documents;
mod folder;
mod gateway;
mod images;
mod managed;
mod yaml;

use crate::error::CommandError;
use crate::hygiene::rule::Class;
use crate::hygiene::{self, rule};
use folder::Folder;
use open_cowork_contracts::finding::{Check, CheckStatus, Finding, Severity};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The ten items of 09 §15, in the order of the chapter.
pub const ITEMS: [&str; 10] = [
    "DIST_CONFIG_VALID",
    "DIST_BRANDING_SOURCE",
    "DIST_BILLING_FREE",
    "DIST_OVERLAY_ONLY",
    "DIST_SECRETS_BY_REF",
    "DIST_PROFILES_DEFINED",
    "DIST_GATEWAY_SIGNED",
    "DIST_IMAGES_PINNED",
    "DIST_TEMPLATES_CLEAN",
    "DIST_BOUNDARY",
];

/// What to look at beside the folder's own files.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The main document; by default the first that a program would find in the folder (02 §2.1).
    pub config: Option<PathBuf>,
    /// Helm values beside those in the folder.
    pub values: Vec<PathBuf>,
    /// Values of `{env:…}` placeholders. Variables that aren't here get a sample.
    pub env: BTreeMap<String, String>,
}

/// One item of the checklist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// One of [`ITEMS`].
    pub id: &'static str,
    /// How it ended.
    pub status: CheckStatus,
    /// What was looked at, or why it doesn't apply.
    pub detail: String,
    /// What is wrong; the code of each is the item's id.
    pub findings: Vec<Finding>,
    /// Milliseconds.
    pub duration_ms: u64,
}

/// One part of the product that the distribution changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// `desktop`, `cloud`, `gateway`, `chart`, `compose`, `content` or `code`.
    pub surface: &'static str,
    /// The keys or files.
    pub what: Vec<String>,
}

/// The whole checklist.
#[derive(Clone, Debug)]
pub struct Report {
    /// All ten, in order.
    pub items: Vec<Item>,
    /// What the distribution changes.
    pub overrides: Vec<Override>,
}

impl Report {
    /// Whether no item failed.
    pub fn passed(&self) -> bool {
        self.items
            .iter()
            .all(|item| item.status != CheckStatus::Fail)
    }

    /// All findings, item by item.
    pub fn findings(&self) -> Vec<Finding> {
        self.items
            .iter()
            .flat_map(|item| item.findings.iter().cloned())
            .collect()
    }

    /// The items as checks.
    pub fn checks(&self) -> Vec<Check> {
        let check = |item: &Item| Check {
            id: item.id.to_owned(),
            status: item.status,
            duration_ms: item.duration_ms,
            detail: Some(item.detail.clone()),
        };
        self.items.iter().map(check).collect()
    }
}

/// What one item found out.
enum Verdict {
    /// Nothing here that it could look at, and why.
    NotApplicable(String),
    /// What was looked at, and what is wrong.
    Looked(String, Vec<Finding>),
}

/// Goes through the checklist.
///
/// # Errors
/// [`CommandError::Usage`] when the folder, or a file that was named, isn't there.
pub fn check(dir: &Path, options: &Options) -> Result<Report, CommandError> {
    let folder = folder::read(dir, options)?;
    let scan = hygiene::scan(dir, &hygiene::Options::default())?;
    let items = ITEMS
        .into_iter()
        .map(|id| {
            let start = Instant::now();
            let verdict = look(id, &folder, &scan, options);
            let duration_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
            item(id, verdict, duration_ms)
        })
        .collect();
    Ok(Report {
        items,
        overrides: folder.overrides(),
    })
}

fn look(id: &'static str, folder: &Folder, scan: &hygiene::Scan, options: &Options) -> Verdict {
    match id {
        "DIST_CONFIG_VALID" => documents::valid(folder, &options.env),
        "DIST_BRANDING_SOURCE" => branding::agrees(folder),
        "DIST_BILLING_FREE" => managed::billing_free(folder),
        "DIST_OVERLAY_ONLY" => managed::overlay_only(folder),
        "DIST_SECRETS_BY_REF" => {
            let mut findings = documents::secrets_by_reference(folder);
            findings.extend(of_classes(scan, &[Class::Secret]));
            Verdict::Looked(
                format!(
                    "{} files for secrets, secret fields of {} documents",
                    scan.files,
                    folder.documents.len()
                ),
                findings,
            )
        }
        "DIST_PROFILES_DEFINED" => managed::profiles_defined(folder),
        "DIST_GATEWAY_SIGNED" => gateway::signed(folder),
        "DIST_IMAGES_PINNED" => images::pinned(folder, of_classes(scan, &[Class::Image])),
        "DIST_TEMPLATES_CLEAN" => {
            let classes = [
                Class::Identity,
                Class::Provider,
                Class::Price,
                Class::Name,
                Class::File,
            ];
            Verdict::Looked(format!("{} files", scan.files), of_classes(scan, &classes))
        }
        _ => crates::boundary(folder),
    }
}

/// The scanner's findings of some classes; what concerns the scan itself goes with files.
fn of_classes(scan: &hygiene::Scan, classes: &[Class]) -> Vec<Finding> {
    let class = |finding: &Finding| match (finding.code.as_str(), rule::rule(&finding.code)) {
        ("HYGIENE_PATH", _) => Class::Secret,
        (_, Some(rule)) => rule.class,
        (_, None) => Class::File,
    };
    scan.findings
        .iter()
        .filter(|finding| classes.contains(&class(finding)))
        .cloned()
        .collect()
}

fn item(id: &'static str, verdict: Verdict, duration_ms: u64) -> Item {
    let (status, detail, findings) = match verdict {
        Verdict::NotApplicable(why) => (CheckStatus::NotApplicable, why, Vec::new()),
        Verdict::Looked(what, findings) => {
            let failed = findings
                .iter()
                .any(|finding| finding.severity == Severity::Error);
            (
                if failed {
                    CheckStatus::Fail
                } else {
                    CheckStatus::Pass
                },
                what,
                findings,
            )
        }
    };
    let findings = findings
        .into_iter()
        .map(|finding| under(id, finding))
        .collect();
    Item {
        id,
        status,
        detail,
        findings,
        duration_ms,
    }
}

/// A finding as part of an item; the code that it had before stands at the end of the message.
fn under(id: &str, mut finding: Finding) -> Finding {
    if finding.code != id {
        finding.message = format!(
            "{} ({})",
            finding.message.trim_end_matches('.'),
            finding.code
        );
        finding.code = id.to_owned();
    }
    finding
}

/// A finding of an item at a line of a file, `None` for the file as a whole.
fn at(id: &str, file: &str, line: Option<u32>, message: String, help: &str) -> Finding {
    let path = line.map_or_else(|| file.to_owned(), |line| format!("{file}:{line}"));
    let mut finding = Finding::error(id, path, message).with_help(help);
    finding.file = Some(file.to_owned());
    finding.line = line;
    finding
}
