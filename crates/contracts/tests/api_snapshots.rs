//! What the Cloud API's own types look like on the wire: nulls stay, optional fields vanish, enums have their names.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use open_cowork_contracts::api::import::ImportSession;
use open_cowork_contracts::api::launchpad::{
    FreshArtifactItem, InProgressItem, LaunchpadFeed, LaunchpadItem, ProgressKind, WaitingItem,
    WaitingKind, WaitingStatus,
};
use open_cowork_contracts::api::project_sources::ProjectSourceInput;
use open_cowork_contracts::api::sessions::{
    Command, CommandKind, CommandStatus, Mutation, SessionsPage, SessionsQuery,
};
use open_cowork_contracts::api::workspace::{
    CheckStatus, CloudConfig, CloudRuntimeStatus, CommandProcessing, ProcessRole, ProgressSnapshot,
    PublicBranding, Readiness, ReadinessCheck,
};
use open_cowork_contracts::{JsonObject, SessionStatus};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The JSON, after a round trip that must not change it.
fn wire<T: Serialize + DeserializeOwned>(value: &T) -> Value {
    let json = serde_json::to_value(value).unwrap();
    let again: T = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::to_value(&again).unwrap(), json);
    json
}

fn command() -> Command {
    Command {
        command_id: "c1".into(),
        tenant_id: "t".into(),
        user_id: "u".into(),
        session_id: "s".into(),
        kind: CommandKind::PermissionRespond,
        payload: JsonObject::new(),
        target_lease_token: None,
        created_sequence: 1,
        created_at: "2026-01-02T03:04:05.678Z".into(),
        status: CommandStatus::Pending,
        claimed_by: None,
        claimed_lease_token: None,
        attempt_count: 0,
        available_at: None,
        last_error_code: None,
        last_error_summary: None,
        acked_at: None,
        error: None,
    }
}

#[test]
fn a_short_mutation_has_no_view_and_keeps_its_null_fence() {
    let mutation = Mutation {
        command: command(),
        processed: 0,
        view: None,
        projection_fence: None,
    };
    insta::assert_json_snapshot!(wire(&mutation), @r#"
    {
      "command": {
        "commandId": "c1",
        "tenantId": "t",
        "userId": "u",
        "sessionId": "s",
        "kind": "permission.respond",
        "payload": {},
        "targetLeaseToken": null,
        "createdSequence": 1,
        "createdAt": "2026-01-02T03:04:05.678Z",
        "status": "pending",
        "claimedBy": null,
        "claimedLeaseToken": null,
        "attemptCount": 0,
        "availableAt": null,
        "lastErrorCode": null,
        "lastErrorSummary": null,
        "ackedAt": null,
        "error": null
      },
      "processed": 0,
      "projectionFence": null
    }
    "#);
}

#[test]
fn pages_keep_their_null_cursor_and_queries_leave_out_what_is_absent() {
    assert_eq!(
        wire(&SessionsPage::default()),
        json!({"sessions": [], "nextCursor": null, "totalEstimate": 0})
    );
    let query = SessionsQuery {
        status: Some(SessionStatus::Errored),
        q: Some("x".into()),
        ..Default::default()
    };
    assert_eq!(wire(&query), json!({"status": "errored", "q": "x"}));
}

#[test]
fn what_is_in_progress_waits_or_is_fresh_says_so_beside_what_every_item_says() {
    let item = LaunchpadItem {
        id: "i".into(),
        title: "T".into(),
        when: "w".into(),
        ..Default::default()
    };
    let feed = LaunchpadFeed {
        in_progress: vec![InProgressItem {
            item: item.clone(),
            kind: ProgressKind::Task,
            status: "open".into(),
            priority: "high".into(),
        }],
        waiting_on_you: vec![WaitingItem {
            item: item.clone(),
            kind: WaitingKind::Question,
            status: WaitingStatus::Pending,
        }],
        fresh_artifacts: vec![FreshArtifactItem {
            item,
            artifact_id: "a".into(),
            kind: "chart".into(),
            status: "final".into(),
            author_agent_id: None,
            created_at: None,
        }],
        ..Default::default()
    };
    let wire = wire(&feed);
    assert_eq!(
        wire["inProgress"][0],
        json!({"id": "i", "title": "T", "when": "w", "kind": "task", "status": "open", "priority": "high"})
    );
    assert_eq!(
        wire["waitingOnYou"][0],
        json!({"id": "i", "title": "T", "when": "w", "kind": "question", "status": "pending"})
    );
    assert_eq!(
        wire["freshArtifacts"][0],
        json!({"id": "i", "title": "T", "when": "w", "artifactId": "a", "kind": "chart", "status": "final"})
    );
    assert_eq!(
        wire["totals"],
        json!({"inProgress": 0, "waitingOnYou": 0, "freshArtifacts": 0})
    );
}

#[test]
fn config_keeps_null_lists_and_brands_leave_out_what_is_absent() {
    let config = CloudConfig {
        role: ProcessRole::AllInOne,
        profile_name: "full".into(),
        features: [("chat".to_owned(), true)].into(),
        allowed_agents: None,
        allowed_tools: Some(vec![]),
        allowed_mcps: None,
        managed_policy: JsonObject::new(),
        public_branding: Some(PublicBranding {
            product_name: "P".into(),
            ..Default::default()
        }),
    };
    let expected = json!({
        "role": "all-in-one", "profileName": "full", "features": {"chat": true}, "allowedAgents": null,
        "allowedTools": [], "allowedMcps": null, "managedPolicy": {}, "publicBranding": {"productName": "P"},
    });
    assert_eq!(wire(&config), expected);
}

#[test]
fn health_has_the_words_of_the_contract() {
    let readiness = Readiness {
        ok: false,
        role: ProcessRole::Web,
        profile_name: "p".into(),
        checks: vec![ReadinessCheck {
            name: "draining".into(),
            status: CheckStatus::Error,
            detail: None,
        }],
    };
    let expected = json!({"ok": false, "role": "web", "profileName": "p", "checks": [{"name": "draining", "status": "error"}]});
    assert_eq!(wire(&readiness), expected);
    let progress = wire(&ProgressSnapshot::default());
    assert_eq!(
        (&progress["mode"], &progress["configReason"]),
        (&json!("off"), &json!("default_off"))
    );
    let status = CloudRuntimeStatus {
        role: ProcessRole::Worker,
        profile_name: "p".into(),
        can_execute: true,
        command_processing: CommandProcessing::Durable,
        checkpoints: false,
        heartbeats: None,
        ready: Some(true),
    };
    assert!(wire(&status).get("heartbeats").is_none());
}

#[test]
fn sources_and_imports_read_what_the_contract_allows() {
    let git = ProjectSourceInput::Git {
        repository_url: "https://github.com/a/b".into(),
        reference: Some("main".into()),
        subdirectory: None,
        credential_ref: None,
    };
    assert_eq!(
        wire(&git),
        json!({"kind": "git", "repositoryUrl": "https://github.com/a/b", "ref": "main"})
    );
    let least = json!({"source": {"kind": "local-session", "fingerprint": "f"}});
    let import: ImportSession = serde_json::from_value(least).unwrap();
    assert!(import.messages.is_empty() && import.title.is_none());
    for wrong in [
        json!({}),
        json!({"source": {"kind": "remote", "fingerprint": "f"}}),
        json!({"source": {"kind": "local-session", "fingerprint": " "}}),
        json!({"source": {"kind": "local-session", "fingerprint": "f"}, "messages": [{"id": "m", "role": "root", "content": "", "order": 1}]}),
    ] {
        assert!(
            serde_json::from_value::<ImportSession>(wrong.clone()).is_err(),
            "{wrong}"
        );
    }
}
