//! The JSON of the setup, health and support types: one snapshot each, and those that travel read back from it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)] // a test file: failing is its job

use open_cowork_contracts::authority::Surface;
use open_cowork_contracts::health::*;
use open_cowork_contracts::setup::{self, CheckId, IntentId};
use open_cowork_contracts::support::{PromiseLevel, SurfaceCapability, SurfacePromise};
use open_cowork_contracts::workspace::WorkspaceActionVerdict;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

const T0: &str = "2026-01-01T00:00:00.000Z";

fn round_trip<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
    name: &str,
    json: Value,
) {
    let value: T = serde_json::from_value(json.clone()).unwrap_or_else(|e| panic!("{name}: {e}"));
    let written = serde_json::to_value(&value).unwrap();
    assert_eq!(written, json, "{name}");
    insta::assert_json_snapshot!(name, written);
}

#[test]
fn setup_intents_and_checks_are_data() {
    insta::assert_json_snapshot!("setup_intent", setup::intent(IntentId::FullHybrid));
    insta::assert_json_snapshot!(
        "health_check",
        setup::check(CheckId::PairingRemotePolicyScoped)
    );
    let table: Vec<Value> = setup::INTENTS
        .iter()
        .map(|intent| {
            json!([
                intent.id,
                intent.label,
                intent.authority,
                intent.topology_profile,
                intent.surfaces,
                intent.ready_when
            ])
        })
        .collect();
    insta::assert_json_snapshot!("setup_intents", table);
    let table: Vec<Value> = setup::CHECKS
        .iter()
        .map(|check| json!([check.id, check.authority, check.severity_when_missing]))
        .collect();
    insta::assert_json_snapshot!("health_checks", table);
}

#[test]
fn health_types_travel() {
    round_trip::<HealthReport>(
        "health_report",
        json!({
            "schemaVersion": 1, "generatedAt": T0,
            "overall": {"ready": false, "blockers": ["OpenCode is not ready."]},
            "checks": [
                {"id": "desktop.runtime.ready", "status": "action_required", "authority": "desktop_local",
                 "evidence": "It stopped.", "checkedAt": T0, "recoveryAction": "Restart it."},
                {"id": "pairing.connection.active", "object": "p1", "status": "ready",
                 "authority": "desktop_paired", "evidence": "Its state is paired_online.", "checkedAt": T0}
            ],
            "intents": [{"id": "desktop-local", "ready": false, "status": "action_required", "missing": ["desktop.runtime.ready"]}],
            "redacted": true
        }),
    );
    round_trip::<CapabilityRow>(
        "capability_row",
        json!({
            "id": "wiki", "kind": "mcp", "status": "auth-pending", "reasonCode": "mcp.awaiting-oauth-opt-in",
            "source": "builtin", "productMode": "desktop-local", "evidence": {"type": "remote", "credentialKeys": []},
            "redacted": true
        }),
    );
    round_trip::<ConflictRow>(
        "conflict_row",
        json!({
            "id": "wiki", "kind": "mcp", "winnerSource": "custom:machine", "loserSources": ["builtin"],
            "reasonCode": "mcp.custom-overrides-builtin", "redacted": true
        }),
    );
    round_trip::<RuntimeStatus>(
        "runtime_status",
        json!({
            "ready": false, "error": "No.", "phase": "error", "updatedAt": T0,
            "timeline": [{"phase": "process-launch", "status": "failed", "message": "No.", "code": "runtime.process_launch", "timestamp": T0}],
            "checks": [{"code": "runtime.startup", "severity": "error", "status": "fail", "message": "No.",
                        "remediation": "Restart.", "evidence": {"attempt": 1}, "updatedAt": T0}],
            "components": null
        }),
    );
    round_trip::<WorkspaceActionVerdict>(
        "workspace_action_verdict",
        json!({"allowed": false, "reason": "No.", "policyCode": "not_supported", "reasonCode": "workspace.local_only"}),
    );
}

#[test]
fn a_promise_is_one_cell() {
    insta::assert_json_snapshot!(
        "surface_promise",
        SurfacePromise {
            capability: SurfaceCapability::ArtifactBody,
            surface: Surface::DesktopPaired,
            level: PromiseLevel::Blocked,
            condition: "unless the pairing allows it",
        }
    );
}
