//! `open-cowork health`: whether this machine is ready, and what to do if not (07 §6).

use super::Place;
use super::evidence::{self, Seen, Where};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{Format, Outcome, Reported, count};
use open_cowork_contracts::finding::{Check, CheckStatus, Finding, Skipped};
use open_cowork_contracts::health::{CheckResult, HealthReport};
use open_cowork_contracts::setup::{self, CheckId, HealthStatus, IntentId, SetupAuthority};
use open_cowork_policy::health::{self as policy, Evidence, Sources};
use std::path::PathBuf;

/// What to look at.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) data_dir: Option<PathBuf>,
    pub(super) opencode: Option<PathBuf>,
    pub(super) intent: Option<String>,
    pub(super) config: Vec<PathBuf>,
}

pub(super) fn run(
    place: &Place,
    options: &Options,
    format: Format,
) -> Result<Outcome, CommandError> {
    let intent = options.intent.as_deref().map(intent).transpose()?;
    let at = Where {
        data_dir: options.data_dir.as_deref().map(|dir| place.open(dir)),
        opencode: options
            .opencode
            .as_deref()
            .map(|program| place.open(program)),
        named: options.config.iter().map(|file| place.open(file)).collect(),
    };
    let report = judge(&evidence::of_desktop(&at), &now());
    let reported = reported(&report, intent);
    if format != Format::Json {
        return Ok(Outcome::Report(Box::new(reported)));
    }
    let text = serde_json::to_string_pretty(&report)
        .map_err(|error| CommandError::Internal(format!("the report has no JSON form: {error}")))?;
    crate::say(&(text + "\n"))?;
    Ok(Outcome::Printed(
        match (reported.findings.is_empty(), reported.inconclusive) {
            (false, _) => Exit::Failed,
            (true, true) => Exit::Missing,
            (true, false) => Exit::Passed,
        },
    ))
}

fn intent(id: &str) -> Result<IntentId, CommandError> {
    IntentId::parse(id).ok_or_else(|| {
        let known: Vec<&str> = IntentId::ALL.iter().map(|intent| intent.as_str()).collect();
        CommandError::Usage(format!(
            "--intent {id:?} is unknown; write one of {}",
            known.join(", ")
        ))
    })
}

fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

/// What was seen, evaluated by the contract's rules.
fn judge(seen: &[Seen], now: &str) -> HealthReport {
    let evidence: Vec<Evidence> = seen
        .iter()
        .map(|seen| Evidence {
            check: seen.check,
            object: None,
            observer: SetupAuthority::DesktopLocal,
            outcome: if seen.met {
                policy::Outcome::Met
            } else {
                policy::Outcome::NotMet
            },
            seen: seen.sentence.clone(),
            at: now.to_owned(),
        })
        .collect();
    let runtime_ready = seen
        .iter()
        .any(|seen| seen.check == CheckId::DesktopRuntimeReady && seen.met);
    policy::report(
        now,
        &evidence,
        &Sources {
            loaded: true,
            runtime_ready,
            desktop_local: true,
            capabilities: &[],
            workspaces: &[],
            load_errors: &[],
        },
    )
}

/// What isn't ready becomes a finding; what only others can tell, a skipped check. Of one intent only its own
/// checks are shown, and then what is unknown leaves it unproven.
fn reported(report: &HealthReport, intent: Option<IntentId>) -> Reported {
    let needed = intent.map(|id| setup::intent(id).ready_when);
    let shown: Vec<&CheckResult> = report
        .checks
        .iter()
        .filter(|check| needed.is_none_or(|needed| needed.contains(&check.id)))
        .collect();
    let unknown = |check: &CheckResult| check.status == HealthStatus::Unknown;
    Reported {
        command: "health",
        findings: shown
            .iter()
            .filter(|check| !unknown(check) && check.status != HealthStatus::Ready)
            .map(|check| finding(check))
            .collect(),
        checks: shown
            .iter()
            .filter(|check| !unknown(check))
            .map(|check| Check {
                id: check.id.as_str().into(),
                status: match check.status {
                    HealthStatus::Ready => CheckStatus::Pass,
                    _ => CheckStatus::Fail,
                },
                duration_ms: 0,
                // What isn't ready has a finding that says why.
                detail: (check.status == HealthStatus::Ready).then(|| check.evidence.clone()),
            })
            .collect(),
        skipped: shown
            .iter()
            .filter(|check| unknown(check))
            .map(|check| Skipped {
                id: check.id.as_str().into(),
                reason: check.evidence.clone(),
            })
            .collect(),
        lists_checks: true,
        inconclusive: intent.is_some() && shown.iter().any(|check| unknown(check)),
        looked_at: match intent {
            Some(id) => setup::intent(id).label.to_owned(),
            None => count(shown.len(), "check"),
        },
        ..Reported::default()
    }
}

/// `HEALTH_DESKTOP_RUNTIME_READY`, with the contract's way out.
fn finding(check: &CheckResult) -> Finding {
    let id = check.id.as_str();
    let code = format!("HEALTH_{}", id.replace('.', "_").to_uppercase());
    let finding = Finding::error(code, id, &check.evidence);
    let finding = match &check.recovery_action {
        Some(help) => finding.with_help(help),
        None => finding,
    };
    match check.status {
        HealthStatus::Degraded => finding.into_warning(),
        _ => finding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Rules;

    fn seen(check: CheckId, met: bool) -> Seen {
        Seen {
            check,
            met,
            sentence: "It was seen.".into(),
        }
    }

    #[test]
    fn an_intent_whose_checks_only_others_can_tell_is_not_proven() {
        let report = judge(
            &[seen(CheckId::DesktopRuntimeReady, true)],
            "2026-01-01T00:00:00.000Z",
        );
        let gateway = reported(&report, Some(IntentId::GatewayOnly));
        assert_eq!(gateway.judge(&Rules::default()).1, Exit::Missing);
        assert_eq!(gateway.skipped.len(), 3);
        let all = reported(&report, None);
        assert_eq!(all.judge(&Rules::default()).1, Exit::Passed);
    }

    #[test]
    fn what_is_not_met_has_a_code_and_the_way_out() {
        let report = judge(
            &[seen(CheckId::DesktopCredentialsConfigured, false)],
            "2026-01-01T00:00:00.000Z",
        );
        let reported = reported(&report, Some(IntentId::DesktopLocal));
        let finding = &reported.findings[0];
        assert_eq!(finding.code, "HEALTH_DESKTOP_CREDENTIALS_CONFIGURED");
        assert!(finding.help.is_some());
        assert_eq!(reported.judge(&Rules::default()).1, Exit::Failed);
    }
}
