//! `open-cowork proof compatibility`: what we rely on in OpenCode, and whether it is covered (05 §13.3).

use super::Place;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{Format, Outcome, Reported, count};
use open_cowork_contracts::finding::Finding;
use open_cowork_runtime_host::compatibility::{
    CompatibilityIssue, CompatibilityReport, IssueSeverity, ProofOptions, prove,
};

/// What every checkout has.
const CHECKOUT: [&str; 2] = ["Cargo.toml", "crates/runtime-host"];

/// With JSON, the result that 05 §13.3 gives; else findings, whose codes are the contract's in capitals.
pub(super) fn run(
    place: &Place,
    options: ProofOptions,
    format: Format,
) -> Result<Outcome, CommandError> {
    let root = place.folder()?;
    // Elsewhere a list of all that is missing would say nothing.
    if let Some(missing) = CHECKOUT.iter().find(|name| !root.join(name).exists()) {
        return Err(CommandError::Missing(format!(
            "{} is no checkout of Open Cowork in Rust: it has no {missing}; go into one, or name it with --root",
            root.display()
        )));
    }
    let report = prove(&root, options);
    if format == Format::Json {
        let text = serde_json::to_string_pretty(&report).map_err(|error| {
            CommandError::Internal(format!("the report has no JSON form: {error}"))
        })?;
        crate::say(&(text + "\n"))?;
        return Ok(Outcome::Printed(if report.ok {
            Exit::Passed
        } else {
            Exit::Failed
        }));
    }
    Ok(Outcome::Report(Box::new(Reported {
        command: "proof:opencode:compatibility",
        findings: report.issues.iter().map(finding).collect(),
        looked_at: looked_at(&report),
        ..Reported::default()
    })))
}

fn looked_at(report: &CompatibilityReport) -> String {
    let version = report
        .opencode_version
        .as_deref()
        .unwrap_or("of unknown version");
    format!(
        "OpenCode {version}, {} ({} blocked, {} shimmed, {} private, {} unknown), runtime contract: {}",
        count(report.assumption_count, "assumption"),
        report.blocked_count,
        report.shim_count,
        report.private_assumption_count,
        report.unknown_count,
        report.runtime_contract_count,
    )
}

fn finding(issue: &CompatibilityIssue) -> Finding {
    let path = issue
        .assumption_id
        .as_deref()
        .unwrap_or("compatibility registry");
    let finding = Finding::error(issue.code.to_uppercase(), path, &issue.message);
    match issue.severity {
        IssueSeverity::Error => finding,
        IssueSeverity::Warning => finding.into_warning(),
    }
}
