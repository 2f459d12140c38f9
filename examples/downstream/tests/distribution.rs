//! The distribution passes its checklist, and ten broken variants of it fail at the right item.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails panics"
)]

use open_cowork_cli::distribution::{self, ITEMS, Options, Report};
use open_cowork_contracts::finding::CheckStatus;
use open_cowork_downstream_example::summary;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn example() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn check(dir: &Path) -> Report {
    distribution::check(dir, &Options::default()).unwrap()
}

fn shown(report: &Report) -> String {
    let findings = report.findings();
    findings
        .iter()
        .map(|finding| format!("{} {}: {}\n", finding.code, finding.path, finding.message))
        .collect()
}

fn failed(report: &Report) -> Vec<&'static str> {
    let failed = report
        .items
        .iter()
        .filter(|item| item.status == CheckStatus::Fail);
    failed.map(|item| item.id).collect()
}

/// A copy of the distribution in a folder of its own.
fn copy() -> TempDir {
    let target = tempfile::tempdir().unwrap();
    copy_folder(&example(), target.path());
    target
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}

/// The distribution with one text replaced in one file.
fn broken(file: &str, from: &str, to: &str) -> (TempDir, Report) {
    let dir = copy();
    let path = dir.path().join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} holds {from}");
    std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
    let report = check(dir.path());
    (dir, report)
}

/// Exactly this item fails, with a finding in that file.
fn fails_at(id: &str, file: &str, from: &str, to: &str) {
    let (_dir, report) = broken(file, from, to);
    assert_eq!(failed(&report), [id], "{}", shown(&report));
    let item = report.items.iter().find(|item| item.id == id).unwrap();
    assert!(item.findings.iter().all(|finding| finding.code == id));
    let place = item
        .findings
        .iter()
        .find(|finding| finding.file.as_deref() == Some(file));
    assert!(
        place.is_some_and(|finding| finding.line.is_some() && finding.help.is_some()),
        "{}",
        shown(&report)
    );
}

#[test]
fn the_example_passes_every_item() {
    let report = check(&example());
    assert!(report.passed(), "{}", shown(&report));
    assert!(report.findings().is_empty(), "{}", shown(&report));
    let ids: Vec<_> = report.items.iter().map(|item| item.id).collect();
    assert_eq!(ids, ITEMS);
    assert!(
        report
            .items
            .iter()
            .all(|item| item.status == CheckStatus::Pass),
        "{:?}",
        report.items
    );
}

#[test]
fn the_report_says_what_the_distribution_overrides() {
    let report = check(&example());
    let surfaces: Vec<_> = report.overrides.iter().map(|one| one.surface).collect();
    assert_eq!(
        surfaces,
        [
            "desktop", "cloud", "gateway", "chart", "compose", "content", "code"
        ]
    );
}

#[test]
fn an_unknown_key_breaks_config_valid() {
    fails_at(
        "DIST_CONFIG_VALID",
        "open-cowork.config.json",
        "\"telemetry\":",
        "\"telemetri\":",
    );
}

#[test]
fn a_document_without_its_contract_version_breaks_config_valid() {
    fails_at(
        "DIST_CONFIG_VALID",
        "open-cowork.config.json",
        "\"contractVersion\": 1,",
        "",
    );
}

#[test]
fn another_name_in_the_chart_breaks_branding_source() {
    fails_at(
        "DIST_BRANDING_SOURCE",
        "values/gateway.yaml",
        "productName: Example Cowork",
        "productName: Sample Cowork",
    );
}

#[test]
fn a_payment_service_in_the_main_document_breaks_billing_free() {
    fails_at(
        "DIST_BILLING_FREE",
        "open-cowork.config.json",
        "\"provider\": \"none\"",
        "\"provider\": \"stripe\"",
    );
}

#[test]
fn managed_mode_in_the_main_document_breaks_overlay_only() {
    fails_at(
        "DIST_OVERLAY_ONLY",
        "open-cowork.config.json",
        "\"mode\": \"self-host\"",
        "\"mode\": \"managed\"",
    );
}

#[test]
fn a_secret_written_down_breaks_secrets_by_ref() {
    fails_at(
        "DIST_SECRETS_BY_REF",
        "open-cowork.config.json",
        "{env:EXAMPLE_COWORK_GATEWAY_ADMIN_TOKEN}",
        "letmein-office-42",
    );
}

#[test]
fn a_profile_without_a_list_breaks_profiles_defined() {
    fails_at(
        "DIST_PROFILES_DEFINED",
        "open-cowork.config.json",
        "\"tools\": [\"read\", \"handbook\"],",
        "",
    );
}

#[test]
fn a_provider_without_its_signing_secret_breaks_gateway_signed() {
    fails_at(
        "DIST_GATEWAY_SIGNED",
        "open-cowork.config.json",
        ",\n          \"signingSecret\": \"{env:EXAMPLE_COWORK_SLACK_SIGNING_SECRET}\"",
        "",
    );
}

#[test]
fn a_moving_tag_breaks_images_pinned() {
    fails_at(
        "DIST_IMAGES_PINNED",
        "docker-compose.yml",
        "postgres:17.6-alpine",
        "postgres:latest",
    );
}

#[test]
fn the_public_tier_without_a_digest_breaks_images_pinned() {
    fails_at(
        "DIST_IMAGES_PINNED",
        "values/cloud.yaml",
        "digest: <sha256 digest of the release>",
        "digest: \"\"",
    );
}

#[test]
fn somebodys_address_breaks_templates_clean() {
    fails_at(
        "DIST_TEMPLATES_CLEAN",
        "values/cloud.yaml",
        "https://login.example.com",
        "https://acme-login.azurewebsites.net",
    );
}

#[test]
fn a_client_that_reaches_the_store_breaks_boundary() {
    fails_at(
        "DIST_BOUNDARY",
        "Cargo.toml",
        "role = \"adapter\"\n\n[lints]\nworkspace = true\n\n[dependencies]\n",
        "role = \"client\"\n\n[dependencies]\nopen-cowork-store.workspace = true\n",
    );
}

#[test]
fn a_patched_crate_breaks_branding_source() {
    fails_at(
        "DIST_BRANDING_SOURCE",
        "Cargo.toml",
        "[dev-dependencies]",
        "[patch.crates-io]\nopen-cowork-theme = { path = \"../theme\" }\n\n[dev-dependencies]",
    );
}

#[test]
fn a_copied_crate_breaks_overlay_only() {
    fails_at(
        "DIST_OVERLAY_ONLY",
        "Cargo.toml",
        "name = \"open-cowork-downstream-example\"",
        "name = \"open-cowork-workbench\"",
    );
}

#[test]
fn no_finding_shows_the_secret() {
    let (_dir, report) = broken(
        "open-cowork.config.json",
        "{env:EXAMPLE_COWORK_SLACK_BOT_TOKEN}",
        "hunter2-of-the-office",
    );
    assert_eq!(
        failed(&report),
        ["DIST_SECRETS_BY_REF"],
        "{}",
        shown(&report)
    );
    assert!(!format!("{report:?}").contains("hunter2"));
}

#[test]
fn an_empty_folder_fails_for_want_of_a_document() {
    let dir = tempfile::tempdir().unwrap();
    let report = check(dir.path());
    assert_eq!(failed(&report), ["DIST_CONFIG_VALID"]);
    let applies = report
        .items
        .iter()
        .filter(|item| item.status != CheckStatus::NotApplicable)
        .count();
    assert_eq!(applies, 3, "documents, secrets, templates");
}

#[test]
fn every_address_is_an_example() {
    let text = std::fs::read_to_string(example().join("open-cowork.config.json")).unwrap();
    for url in text.split("https://").skip(1) {
        let host = url.split(['/', '"']).next().unwrap();
        assert!(
            host == "example.com" || host.ends_with(".example.com"),
            "{host}"
        );
    }
}

#[test]
fn the_managed_overlay_loads_on_top() {
    let loaded = summary::read(&example(), &[Path::new("overlays/managed.json")]).unwrap();
    assert_eq!(loaded.value()["gateway"]["mode"], "managed");
    assert_eq!(
        loaded.value()["cloud"]["publicBranding"]["productName"],
        "Example Cowork"
    );
}

#[test]
fn the_summary_shows_the_brand() {
    let lines = summary::lines(&summary::read(&example(), &[]).unwrap()).unwrap();
    assert_eq!(lines[0], "name      Example Cowork");
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("accent") && line.ends_with("#2aa198")),
        "{lines:?}"
    );
}

#[test]
fn a_logo_that_is_named_must_be_there() {
    let copy = copy();
    let logo = copy.path().join("branding/logo.svg");
    std::fs::write(&logo, "no picture").unwrap();
    let report = check(copy.path());
    assert_eq!(
        failed(&report),
        ["DIST_BRANDING_SOURCE"],
        "{}",
        shown(&report)
    );
    std::fs::remove_file(logo).unwrap();
    let report = check(copy.path());
    assert_eq!(
        failed(&report),
        ["DIST_BRANDING_SOURCE"],
        "{}",
        shown(&report)
    );
    assert!(shown(&report).contains("logoAsset"), "{}", shown(&report));
}
