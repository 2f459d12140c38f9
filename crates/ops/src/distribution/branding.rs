//! `DIST_BRANDING_SOURCE`: one name, one logo, the same links everywhere (02 §10.2), from released crates.

use super::folder::{ConfigFile, Folder};
use super::{Verdict, crates};
use crate::look;
use open_cowork_config::document::Document;
use open_cowork_contracts::finding::{Finding, Severity};
use serde_json::Value;
use std::path::Path;

const ID: &str = "DIST_BRANDING_SOURCE";

/// One thing that people see, and where it is written: in the desktop's, the cloud's and the gateway's
/// branding, and in chart values.
struct Facet {
    what: &'static str,
    pointers: &'static [&'static str],
    values: &'static [&'static str],
}

const FACETS: [Facet; 8] = [
    Facet {
        what: "name",
        pointers: &[
            "/branding/name",
            "/cloud/publicBranding/productName",
            "/gateway/branding/productName",
        ],
        values: &["cloud.branding.productName", "gateway.branding.productName"],
    },
    Facet {
        what: "short name",
        pointers: &[
            "/branding/shortName",
            "/cloud/publicBranding/shortName",
            "/gateway/branding/shortName",
        ],
        values: &["cloud.branding.shortName", "gateway.branding.shortName"],
    },
    Facet {
        what: "logo",
        pointers: &["/cloud/publicBranding/logoUrl", "/gateway/branding/logoUrl"],
        values: &["cloud.branding.logoUrl", "gateway.branding.logoUrl"],
    },
    Facet {
        what: "icon",
        pointers: &[
            "/cloud/publicBranding/faviconUrl",
            "/gateway/branding/faviconUrl",
        ],
        values: &["cloud.branding.faviconUrl", "gateway.branding.faviconUrl"],
    },
    Facet {
        what: "support link",
        pointers: &[
            "/branding/supportUrl",
            "/cloud/publicBranding/supportUrl",
            "/gateway/branding/supportUrl",
        ],
        values: &["cloud.branding.supportUrl", "gateway.branding.supportUrl"],
    },
    Facet {
        what: "privacy link",
        pointers: &[
            "/branding/privacyUrl",
            "/cloud/publicBranding/privacyUrl",
            "/gateway/branding/privacyUrl",
        ],
        values: &["cloud.branding.privacyUrl", "gateway.branding.privacyUrl"],
    },
    Facet {
        what: "security link",
        pointers: &[
            "/branding/securityUrl",
            "/cloud/publicBranding/securityUrl",
            "/gateway/branding/securityUrl",
        ],
        values: &["cloud.branding.securityUrl", "gateway.branding.securityUrl"],
    },
    Facet {
        what: "legal link",
        pointers: &[
            "/branding/legalUrl",
            "/cloud/publicBranding/legalUrl",
            "/gateway/branding/legalUrl",
        ],
        values: &["cloud.branding.legalUrl", "gateway.branding.legalUrl"],
    },
];

/// Compares every facet wherever it is written; a surface that is configured must say its name.
pub(super) fn agrees(folder: &Folder) -> Verdict {
    let mut findings = Vec::new();
    let Some(main) = folder.main() else {
        findings.extend(crates::unreleased(folder));
        if folder.manifests.is_empty() {
            return Verdict::NotApplicable("no document to read branding from".into());
        }
        return Verdict::Looked("manifests only".into(), findings);
    };
    for facet in &FACETS {
        compare(facet, main, folder, &mut findings);
    }
    for (section, pointer, shown) in [
        (
            "/cloud",
            "/cloud/publicBranding/productName",
            "Open Cowork Cloud",
        ),
        (
            "/gateway",
            "/gateway/branding/productName",
            "Open Cowork Cloud",
        ),
    ] {
        if main.value().pointer(section).is_some() && main.value().pointer(pointer).is_none() {
            let key = pointer[1..].replace('/', ".");
            let finding = main
                .finding(
                    ID,
                    Severity::Error,
                    section,
                    format!("`{key}` is not set, so people see \"{shown}\" there."),
                )
                .with_help("write the same name as in `branding.name`");
            findings.push(finding);
        }
    }
    findings.extend(pictures(folder));
    findings.extend(crates::unreleased(folder));
    Verdict::Looked(
        format!(
            "{} facets in {} documents and {} values files",
            FACETS.len(),
            folder.documents.len(),
            folder.values.len()
        ),
        findings,
    )
}

/// A picture that is named is there, where programs look for it: below the document, or below the distribution's
/// folder, which they know as the downstream root (02 §8.1).
fn pictures(folder: &Folder) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &folder.documents {
        let Some(document) = file.parsed() else {
            continue;
        };
        for pointer in look::PICTURES {
            let Some(name) = text(document, pointer) else {
                continue;
            };
            let beside = file.path.parent().map(Path::to_owned);
            if let Err(why) = look::picture(beside.into_iter().chain([folder.dir.clone()]), name) {
                findings.push(
                    document
                        .finding(ID, Severity::Error, pointer, look::sentence(&why))
                        .with_help(look::PICTURE_HELP),
                );
            }
        }
    }
    findings
}

fn compare(facet: &Facet, main: &Document, folder: &Folder, findings: &mut Vec<Finding>) {
    let said = facet
        .pointers
        .iter()
        .find_map(|pointer| Some((*pointer, text(main, pointer)?)));
    let Some((source, expected)) = said else {
        return;
    };
    let source = source[1..].replace('/', ".");
    let differs = |value: &str| normal(value) != normal(expected);
    let message = |key: &str| {
        format!(
            "the {} here differs from `{source}`: one product shows two ({key}).",
            facet.what
        )
    };
    let help = "write the same value everywhere, or leave it out where it is derived";
    for document in folder.documents.iter().filter_map(ConfigFile::parsed) {
        for pointer in facet.pointers {
            if text(document, pointer).is_some_and(differs) {
                let key = pointer[1..].replace('/', ".");
                findings.push(
                    document
                        .finding(ID, Severity::Error, pointer, message(&key))
                        .with_help(help),
                );
            }
        }
    }
    for file in folder.values.iter().chain(&folder.compose) {
        for path in facet.values {
            if let Some(leaf) = file
                .leaf(path)
                .filter(|leaf| !leaf.value.is_empty() && differs(&leaf.value))
            {
                findings.push(super::at(
                    ID,
                    &file.name,
                    Some(leaf.line),
                    message(path),
                    help,
                ));
            }
        }
    }
}

/// Blank and placeholder values say nothing.
fn text<'a>(document: &'a Document, pointer: &str) -> Option<&'a str> {
    let text = document.value().pointer(pointer).and_then(Value::as_str)?;
    (!text.trim().is_empty() && !text.contains("{env:") && !text.contains("{file:")).then_some(text)
}

/// `https://a.example.com` and `https://a.example.com/` are one address.
fn normal(text: &str) -> &str {
    text.trim().trim_end_matches('/')
}
