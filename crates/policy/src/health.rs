//! Evaluating setup and health (07 §6): evidence in, results out.
//!
//! Nothing is `ready` without evidence from somebody who can know, at a time; what nobody looked at is
//! `unknown`. Results are per object: one cloud that answers says nothing about another (07 §20.9).

use open_cowork_contracts::authority::{PairingState, WorkspaceKind, WorkspaceStatus};
use open_cowork_contracts::health::{
    CapabilityRow, CapabilityStatus, CheckResult, HealthReport, IntentReadiness, Readiness,
};
use open_cowork_contracts::setup::{
    self, CheckId, HealthStatus, INTENTS, SetupAuthority, SetupIntent,
};
use open_cowork_contracts::workspace::WorkspaceInfo;

/// What somebody saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The check is met.
    Met,
    /// It isn't.
    NotMet,
    /// They looked and could not tell.
    Unclear,
}

/// One observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// For which check.
    pub check: CheckId,
    /// About which workspace, gateway or pairing; `None`: this installation.
    pub object: Option<String>,
    /// Who looked.
    pub observer: SetupAuthority,
    /// What came out.
    pub outcome: Outcome,
    /// What was seen, one sentence of metadata. Absolute paths are taken out of it.
    pub seen: String,
    /// When, ISO-8601.
    pub at: String,
}

/// Whether the observer can know the check's answer. Gateways and clouds tell about themselves; a desktop can
/// only tell whether they answer it.
#[must_use]
pub fn can_observe(check: CheckId, observer: SetupAuthority) -> bool {
    use SetupAuthority as A;
    match check {
        CheckId::DesktopRuntimeReady
        | CheckId::DesktopCredentialsConfigured
        | CheckId::PairingConnectionActive
        | CheckId::PairingRemotePolicyScoped => {
            matches!(observer, A::DesktopLocal | A::DesktopPaired)
        }
        CheckId::WorkspaceAuthorityDeclared
        | CheckId::WorkspaceCloudAuthenticated
        | CheckId::WorkspaceCloudSyncReachable => true,
        CheckId::GatewayPrivateOpencodeReachable
        | CheckId::GatewayProviderHealthy
        | CheckId::GatewayOperatorAuthConfigured => observer == A::GatewayStandalone,
        CheckId::CloudDatabaseMigrated
        | CheckId::CloudObjectStoreConfigured
        | CheckId::CloudBackupPostureConfigured => observer == A::CloudWorker,
    }
}

/// The results of all checks, in the contract's order: one per object that was looked at, and one `unknown`
/// for each check that nobody looked at. Of several observations of one object the latest counts.
#[must_use]
pub fn evaluate(evidence: &[Evidence]) -> Vec<CheckResult> {
    let mut results = Vec::new();
    for check in CheckId::ALL.iter().copied() {
        let mut latest: Vec<&Evidence> = Vec::new();
        for found in evidence.iter().filter(|found| found.check == check) {
            match latest.iter_mut().find(|known| known.object == found.object) {
                Some(known) if found.at >= known.at => *known = found,
                Some(_) => {}
                None => latest.push(found),
            }
        }
        latest.sort_by(|a, b| a.object.cmp(&b.object));
        if latest.is_empty() {
            results.push(unobserved(check));
        }
        results.extend(latest.into_iter().map(result));
    }
    results
}

fn unobserved(check: CheckId) -> CheckResult {
    let check = setup::check(check);
    CheckResult {
        id: check.id,
        object: None,
        status: HealthStatus::Unknown,
        authority: check.authority,
        evidence: match check.authority {
            SetupAuthority::Mixed => "Nobody has looked.".to_owned(),
            owner => format!("Nobody has looked; only {owner} can tell."),
        },
        checked_at: None,
        recovery_action: Some(check.recovery_action.to_owned()),
    }
}

fn result(found: &Evidence) -> CheckResult {
    let check = setup::check(found.check);
    let seen = without_paths(found.seen.trim());
    let trusted = can_observe(found.check, found.observer);
    let (status, evidence) = match found.outcome {
        _ if !trusted => (
            HealthStatus::Unknown,
            format!(
                "{} can't tell; only {} can.",
                found.observer, check.authority
            ),
        ),
        _ if seen.is_empty() || found.at.is_empty() => (
            HealthStatus::Unknown,
            "Somebody answered without evidence or time.".to_owned(),
        ),
        Outcome::Met => (HealthStatus::Ready, seen),
        Outcome::NotMet => (check.severity_when_missing, seen),
        Outcome::Unclear => (HealthStatus::Unknown, seen),
    };
    CheckResult {
        id: check.id,
        object: found.object.clone(),
        status,
        authority: check.authority,
        evidence,
        checked_at: (!found.at.is_empty()).then(|| found.at.clone()),
        recovery_action: (status != HealthStatus::Ready).then(|| check.recovery_action.to_owned()),
    }
}

/// The sentence with absolute paths replaced, at most 240 characters (07 §6.3).
fn without_paths(sentence: &str) -> String {
    let is_path = |word: &str| {
        let word = word.trim_start_matches(['`', '"', '\'', '(', '<', '[']);
        let drive = word.as_bytes();
        let on_drive = drive.len() > 2
            && drive[0].is_ascii_alphabetic()
            && drive[1] == b':'
            && matches!(drive[2], b'\\' | b'/');
        (word.starts_with('/') && word.len() > 1)
            || word.starts_with("~/")
            || word.starts_with("\\\\")
            || on_drive
    };
    let words: Vec<&str> = sentence
        .split(' ')
        .map(|word| if is_path(word) { "<path>" } else { word })
        .collect();
    words.join(" ").chars().take(240).collect()
}

/// Evidence about a workspace's authority, and for a cloud about its sign-in and its answer. A workspace that is
/// switched off says nothing about itself.
#[must_use]
pub fn of_workspace(
    workspace: &WorkspaceInfo,
    observer: SetupAuthority,
    at: &str,
) -> Vec<Evidence> {
    let evidence = |check: CheckId, outcome: Outcome, seen: String| Evidence {
        check,
        object: Some(workspace.id.clone()),
        observer,
        outcome,
        seen,
        at: at.to_owned(),
    };
    let mut found = vec![match workspace.authority {
        Some(authority) => evidence(
            CheckId::WorkspaceAuthorityDeclared,
            Outcome::Met,
            format!("Its authority is {}.", authority.as_str()),
        ),
        None => evidence(
            CheckId::WorkspaceAuthorityDeclared,
            Outcome::NotMet,
            "It names no authority.".to_owned(),
        ),
    }];
    if workspace.kind != WorkspaceKind::Cloud {
        return found;
    }
    let (signed_in, answers) = match workspace.status {
        WorkspaceStatus::Online => (Outcome::Met, Outcome::Met),
        WorkspaceStatus::AuthRequired => (Outcome::NotMet, Outcome::Unclear),
        WorkspaceStatus::Offline | WorkspaceStatus::Error => (Outcome::Unclear, Outcome::NotMet),
        WorkspaceStatus::Disabled => return found,
    };
    let seen = format!("Its status is {}.", workspace.status.as_str());
    found.push(evidence(
        CheckId::WorkspaceCloudAuthenticated,
        signed_in,
        seen.clone(),
    ));
    found.push(evidence(
        CheckId::WorkspaceCloudSyncReachable,
        answers,
        seen,
    ));
    found
}

/// Evidence about a pairing: whether it is up, and whether approvals stay with the local user. Being up says
/// nothing about the second.
#[must_use]
pub fn of_pairing(id: &str, state: PairingState, remote_allowed: bool, at: &str) -> [Evidence; 2] {
    let evidence = |check: CheckId, met: bool, seen: String| Evidence {
        check,
        object: Some(id.to_owned()),
        observer: SetupAuthority::DesktopLocal,
        outcome: if met { Outcome::Met } else { Outcome::NotMet },
        seen,
        at: at.to_owned(),
    };
    [
        evidence(
            CheckId::PairingConnectionActive,
            state == PairingState::PairedOnline,
            format!("Its state is {}.", state.as_str()),
        ),
        evidence(
            CheckId::PairingRemotePolicyScoped,
            !remote_allowed,
            match remote_allowed {
                true => "Approvals and questions may be answered from elsewhere.".to_owned(),
                false => "Approvals and questions wait for the local user.".to_owned(),
            },
        ),
    ]
}

/// How far an intent is: ready when each of its checks is ready for each object.
#[must_use]
pub fn intent(intent: &SetupIntent, results: &[CheckResult]) -> IntentReadiness {
    let status_of = |check: &CheckId| {
        let found = results.iter().filter(|result| result.id == *check);
        found
            .map(|result| result.status)
            .max_by_key(badness)
            .unwrap_or(HealthStatus::Unknown)
    };
    let missing: Vec<CheckId> = intent
        .ready_when
        .iter()
        .copied()
        .filter(|check| status_of(check) != HealthStatus::Ready)
        .collect();
    IntentReadiness {
        id: intent.id,
        ready: missing.is_empty(),
        status: intent
            .ready_when
            .iter()
            .map(status_of)
            .max_by_key(badness)
            .unwrap_or(HealthStatus::Unknown),
        missing,
    }
}

fn badness(status: &HealthStatus) -> u8 {
    match status {
        HealthStatus::Ready => 0,
        HealthStatus::Unknown => 1,
        HealthStatus::Degraded => 2,
        HealthStatus::Offline => 3,
        HealthStatus::ActionRequired => 4,
    }
}

/// What the overall verdict rests on.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// Everything was read.
    pub loaded: bool,
    /// OpenCode can be used.
    pub runtime_ready: bool,
    /// This is a desktop with its own runtime.
    pub desktop_local: bool,
    /// Where each capability came from.
    pub capabilities: &'a [CapabilityRow],
    /// All workspaces.
    pub workspaces: &'a [WorkspaceInfo],
    /// Sources that could not be read, one sentence each.
    pub load_errors: &'a [String],
}

/// The overall verdict (07 §6.3): loaded, runtime ready, no critical capability, no workspace that needs
/// somebody, no source that failed.
#[must_use]
pub fn readiness(sources: &Sources<'_>) -> Readiness {
    let mut blockers = Vec::new();
    if !sources.loaded {
        blockers.push("Not everything has been read yet.".to_owned());
    }
    if !sources.runtime_ready {
        blockers.push("OpenCode is not ready.".to_owned());
    }
    for row in sources.capabilities {
        let critical = match row.status {
            CapabilityStatus::Blocked | CapabilityStatus::RuntimeFailure => true,
            CapabilityStatus::Unsupported => sources.desktop_local,
            _ => false,
        };
        if critical {
            blockers.push(format!(
                "The {} `{}` is {} ({}).",
                row.kind, row.id, row.status, row.reason_code
            ));
        }
    }
    for workspace in sources.workspaces {
        if matches!(
            workspace.status,
            WorkspaceStatus::AuthRequired | WorkspaceStatus::Offline | WorkspaceStatus::Error
        ) {
            blockers.push(format!(
                "The workspace `{}` is {}.",
                workspace.id,
                workspace.status.as_str()
            ));
        }
    }
    let errors = sources.load_errors.iter().map(|error| without_paths(error));
    blockers.extend(errors);
    Readiness {
        ready: blockers.is_empty(),
        blockers,
    }
}

/// The whole report.
#[must_use]
pub fn report(generated_at: &str, evidence: &[Evidence], sources: &Sources<'_>) -> HealthReport {
    let checks = evaluate(evidence);
    HealthReport {
        schema_version: 1,
        generated_at: generated_at.to_owned(),
        overall: readiness(sources),
        intents: INTENTS.iter().map(|row| intent(row, &checks)).collect(),
        checks,
        redacted: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use open_cowork_contracts::authority::ExecutionAuthority;
    use open_cowork_contracts::health::{CapabilityKind, CapabilityReason};
    use open_cowork_contracts::setup::{CHECKS, IntentId};

    const T: &str = "2026-01-02T03:04:05.006Z";

    fn evidence(check: CheckId, outcome: Outcome) -> Evidence {
        Evidence {
            check,
            object: None,
            observer: setup::check(check).authority,
            outcome,
            seen: "Seen.".into(),
            at: T.into(),
        }
    }

    fn workspace(id: &str, status: WorkspaceStatus) -> WorkspaceInfo {
        serde_json::from_value(serde_json::json!({
            "id": id, "kind": "cloud", "authority": "cloud_worker", "label": id, "status": status, "active": false
        }))
        .unwrap()
    }

    fn sources<'a>(
        capabilities: &'a [CapabilityRow],
        workspaces: &'a [WorkspaceInfo],
        load_errors: &'a [String],
    ) -> Sources<'a> {
        Sources {
            loaded: true,
            runtime_ready: true,
            desktop_local: true,
            capabilities,
            workspaces,
            load_errors,
        }
    }

    #[test]
    fn what_nobody_looked_at_is_unknown() {
        let results = evaluate(&[]);
        assert_eq!(results.len(), CHECKS.len());
        assert!(results.iter().all(|result| result.status == HealthStatus::Unknown && result.checked_at.is_none()));
        assert!(INTENTS.iter().all(|row| !intent(row, &results).ready));
    }

    #[test]
    fn nothing_is_ready_without_evidence_time_and_an_observer_who_can_know() {
        for check in CheckId::ALL {
            let met = evidence(*check, Outcome::Met);
            let status = |found: &Evidence| result(found).status;
            assert_eq!(status(&met), HealthStatus::Ready, "{check}");
            for worse in [
                Evidence {
                    seen: "  ".into(),
                    ..met.clone()
                },
                Evidence {
                    at: String::new(),
                    ..met.clone()
                },
            ] {
                assert_eq!(status(&worse), HealthStatus::Unknown, "{check}");
            }
        }
        let hearsay = Evidence {
            observer: SetupAuthority::DesktopLocal,
            ..evidence(CheckId::CloudDatabaseMigrated, Outcome::Met)
        };
        assert_eq!(result(&hearsay).status, HealthStatus::Unknown);
    }

    #[test]
    fn a_check_that_is_not_met_has_its_own_severity_and_a_way_out() {
        for check in &CHECKS {
            let result = result(&evidence(check.id, Outcome::NotMet));
            assert_eq!(result.status, check.severity_when_missing);
            assert_eq!(
                result.recovery_action.as_deref(),
                Some(check.recovery_action)
            );
        }
    }

    #[test]
    fn one_cloud_that_answers_does_not_make_another_ready() {
        let clouds = [
            workspace("cloud:a", WorkspaceStatus::Online),
            workspace("cloud:b", WorkspaceStatus::AuthRequired),
        ];
        let found: Vec<Evidence> = clouds
            .iter()
            .flat_map(|cloud| of_workspace(cloud, SetupAuthority::DesktopLocal, T))
            .collect();
        let results = evaluate(&found);
        let of = |check: CheckId| -> Vec<HealthStatus> {
            results
                .iter()
                .filter(|r| r.id == check)
                .map(|r| r.status)
                .collect()
        };
        assert_eq!(
            of(CheckId::WorkspaceCloudAuthenticated),
            [HealthStatus::Ready, HealthStatus::ActionRequired]
        );
        assert_eq!(
            of(CheckId::WorkspaceCloudSyncReachable),
            [HealthStatus::Ready, HealthStatus::Unknown]
        );
        let connect = intent(setup::intent(IntentId::CloudConnect), &results);
        assert_eq!(connect.status, HealthStatus::ActionRequired);
        assert!(
            connect
                .missing
                .contains(&CheckId::WorkspaceCloudAuthenticated)
        );
    }

    #[test]
    fn a_pairing_that_is_up_with_remote_approval_is_not_scoped() {
        let results: Vec<CheckResult> = of_pairing("p1", PairingState::PairedOnline, true, T)
            .iter()
            .map(result)
            .collect();
        assert_eq!(results[0].status, HealthStatus::Ready);
        assert_eq!(results[1].status, HealthStatus::ActionRequired);
    }

    #[test]
    fn the_latest_observation_counts() {
        let old = evidence(CheckId::DesktopRuntimeReady, Outcome::NotMet);
        let new = Evidence {
            at: "2026-01-02T03:05:00.000Z".into(),
            ..evidence(CheckId::DesktopRuntimeReady, Outcome::Met)
        };
        for order in [[old.clone(), new.clone()], [new, old]] {
            assert_eq!(evaluate(&order)[0].status, HealthStatus::Ready);
        }
    }

    #[test]
    fn a_desktop_that_is_set_up_is_ready_by_its_own_intent() {
        let mut found = vec![
            evidence(CheckId::DesktopRuntimeReady, Outcome::Met),
            evidence(CheckId::DesktopCredentialsConfigured, Outcome::Met),
        ];
        let mut local = workspace("local", WorkspaceStatus::Online);
        local.kind = WorkspaceKind::Local;
        local.authority = Some(ExecutionAuthority::DesktopLocal);
        found.extend(of_workspace(&local, SetupAuthority::DesktopLocal, T));
        let results = evaluate(&found);
        let ready = intent(setup::intent(IntentId::DesktopLocal), &results);
        assert!(ready.ready && ready.status == HealthStatus::Ready && ready.missing.is_empty());
        assert!(!intent(setup::intent(IntentId::FullHybrid), &results).ready);
    }

    #[test]
    fn every_blocker_is_named_and_warnings_do_not_block() {
        let row = |id: &str, status: CapabilityStatus| CapabilityRow {
            id: id.into(),
            kind: CapabilityKind::Mcp,
            status,
            reason_code: CapabilityReason::McpStdioPolicyBlocked,
            source: "builtin".into(),
            product_mode: "desktop-local".into(),
            evidence: None,
            redacted: true,
        };
        let rows = [
            row("a", CapabilityStatus::Blocked),
            row("b", CapabilityStatus::Missing),
            row("c", CapabilityStatus::Unsupported),
        ];
        let clouds = [
            workspace("cloud:a", WorkspaceStatus::Offline),
            workspace("cloud:b", WorkspaceStatus::Disabled),
        ];
        let errors = ["The list in /home/a/x can't be read.".to_owned()];
        let verdict = readiness(&sources(&rows, &clouds, &errors));
        insta::assert_json_snapshot!(verdict);
        assert!(readiness(&sources(&rows[1..2], &clouds[1..], &[])).ready);
        let elsewhere = Sources {
            desktop_local: false,
            ..sources(&rows[2..], &[], &[])
        };
        assert!(readiness(&elsewhere).ready);
        assert!(
            !readiness(&Sources {
                runtime_ready: false,
                ..elsewhere
            })
            .ready
        );
        assert!(
            !readiness(&Sources {
                loaded: false,
                ..elsewhere
            })
            .ready
        );
    }

    #[test]
    fn no_absolute_path_is_shown() {
        for (seen, expected) in [
            ("Found /usr/bin/opencode 1.18.33.", "Found <path> 1.18.33."),
            ("In C:\\Users\\a and \\\\host\\x", "In <path> and <path>"),
            ("At `~/x` and (/tmp/y)", "At <path> and <path>"),
            ("Check `/readyz`", "Check <path>"),
            ("1 / 2 of a/b", "1 / 2 of a/b"),
        ] {
            assert_eq!(without_paths(seen), expected);
        }
    }

    #[test]
    fn a_report_holds_everything_and_reads_back() {
        let report = report(T, &[], &sources(&[], &[], &[]));
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<HealthReport>(&json).unwrap(), report);
        assert_eq!((report.checks.len(), report.intents.len()), (13, 5));
    }
}
