//! Every serialized type has one snapshot of its JSON, and reads back from it unchanged.

#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)] // a test file: failing is its job

use open_cowork_contracts::authority::*;
use open_cowork_contracts::automation::*;
use open_cowork_contracts::error::*;
use open_cowork_contracts::event::*;
use open_cowork_contracts::fence::*;
use open_cowork_contracts::record::*;
use open_cowork_contracts::session_view::*;
use open_cowork_contracts::view::*;
use open_cowork_contracts::workspace::*;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

const T0: &str = "2026-01-01T00:00:00.000Z";

/// Reads a type from its JSON, checks that it writes the same JSON, and records that.
fn snapshot<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
    name: &str,
    json: Value,
) {
    let value: T = serde_json::from_value(json.clone()).unwrap_or_else(|e| panic!("{name}: {e}"));
    let written = serde_json::to_value(&value).unwrap();
    assert_eq!(written, json, "{name}");
    let again: T = serde_json::from_str(&serde_json::to_string(&value).unwrap()).unwrap();
    assert_eq!(again, value, "{name}");
    insta::assert_json_snapshot!(name, written);
}

fn tool() -> Value {
    json!({
        "id": "call_1", "name": "bash", "input": {"command": "ls"}, "status": "complete",
        "output": null, "attachments": [{"mime": "image/png", "url": "data:image/png;base64,AAAA", "filename": "a.png"}],
        "agent": "build", "sourceSessionId": null, "order": 4, "error": "exit 1", "subject": "ls",
        "startedAt": T0, "finishedAt": T0
    })
}

fn todo() -> Value {
    json!({"content": "write", "status": "pending", "priority": "high", "id": "t1"})
}

fn tokens() -> Value {
    json!({"input": 1, "output": 2, "reasoning": 3, "cacheRead": 4, "cacheWrite": 5})
}

fn task() -> Value {
    json!({
        "id": "child:ses_2", "title": "Look", "agent": "explore", "status": "running",
        "sourceSessionId": "ses_2", "parentSessionId": "ses_1", "content": "Hi",
        "transcript": [{"id": "m", "content": "Hi", "order": 5}], "reasoning": [],
        "toolCalls": [tool()], "compactions": [], "todos": [todo()], "error": null,
        "sessionCost": 0.25, "sessionTokens": tokens(), "order": 3, "startedAt": T0, "finishedAt": null
    })
}

fn approval() -> Value {
    json!({
        "id": "per_1", "sessionId": "s1", "sourceSessionId": null, "taskRunId": null, "tool": "bash",
        "input": {"command": "rm x"}, "description": "Run rm x", "order": 6, "subject": "rm x",
        "patterns": ["rm *"], "toolCallId": "call_1", "askedAt": T0
    })
}

fn resolved_approval() -> Value {
    json!({
        "id": "per_1", "sessionId": "s1", "taskRunId": null, "tool": "bash", "description": "Run rm x",
        "allowed": false, "order": 7, "resolvedAt": T0, "subject": "rm x", "reason": "no",
        "toolCallId": "call_1"
    })
}

fn prompt() -> Value {
    json!({
        "header": "Pick", "question": "Which?", "options": [{"label": "A", "description": "first"}],
        "multiple": false, "custom": true
    })
}

fn question() -> Value {
    json!({
        "id": "que_1", "sessionId": "s1", "sourceSessionId": null, "questions": [prompt()],
        "tool": {"messageId": "m", "callId": "c"}, "order": 8
    })
}

fn resolved_question() -> Value {
    json!({
        "id": "que_1", "sessionId": "s1", "sourceSessionId": null, "questions": [prompt()],
        "answers": [["A"]], "rejected": false, "order": 9, "resolvedAt": T0
    })
}

fn artifact() -> Value {
    json!({
        "id": "a", "toolId": "cloud-artifact", "toolName": "cloud.artifact",
        "filePath": "cloud-artifact://a/z.txt", "filename": "z.txt", "order": 10, "source": "cloud",
        "cloudArtifactId": "a", "taskRunId": null, "mime": "text/plain", "size": 3, "createdAt": T0,
        "updatedAt": T0, "kind": "document", "status": "final", "authorAgentId": null,
        "projectId": null, "taskId": null, "statusUpdatedBy": null, "statusUpdatedAt": null
    })
}

fn error() -> Value {
    json!({"id": "s1:error:1", "sessionId": "s1", "message": "broke", "order": 1})
}

fn message() -> Value {
    json!({"id": "m", "role": "user", "content": "Hi", "createdAt": T0, "attachments": [{"mime": "a/b"}], "order": 2})
}

fn git() -> Value {
    json!({"kind": "git", "repositoryUrl": "https://example.org/r", "ref": "main", "subdirectory": null, "credentialRef": null})
}

fn origin() -> Value {
    json!({"kind": "local-session-import", "sourceFingerprint": "f", "importedAt": T0, "itemCounts": {"messages": 1}})
}

fn view() -> Value {
    json!({
        "sessionId": "s1", "title": "New session", "status": "running", "profileName": "p", "isGenerating": true,
        "messages": [message()], "toolCalls": [tool()], "taskRuns": [task()],
        "pendingApprovals": [approval()], "pendingQuestions": [question()],
        "resolvedApprovals": [resolved_approval()], "resolvedQuestions": [resolved_question()],
        "artifacts": [artifact()], "todos": [todo()], "errors": [error()],
        "sessionCost": 0.5, "sessionTokens": tokens(), "lastInputTokens": 9, "lastError": null,
        "origin": origin(), "projectSource": git(), "updatedAt": T0
    })
}

fn session() -> Value {
    json!({
        "tenantId": "local", "userId": "me", "sessionId": "s1", "opencodeSessionId": "ses_1",
        "profileName": "p", "status": "idle", "title": null, "createdAt": T0, "updatedAt": T0,
        "projectSource": git()
    })
}

fn projection() -> Value {
    json!({"tenantId": "local", "sessionId": "s1", "sequence": 12, "view": view(), "updatedAt": T0})
}

fn fence() -> Value {
    json!({
        "version": 1, "scope": "session", "tenantId": "t", "sessionId": "s1", "commandId": "c1", "sequence": 4,
        "projectionVersion": 4, "issuedAt": T0, "expiresAt": T0
    })
}

fn checkpoint() -> Value {
    json!({
        "version": 1, "scope": "workflow-run", "tenantId": "t", "workflowId": "w", "runId": "r", "sequence": 4,
        "projectionVersion": 4, "checkpointVersion": 4, "updatedAt": T0
    })
}

fn sync_error() -> Value {
    json!({"kind": "projection", "code": "projection_fence_stale", "message": "Not yet.", "retryable": true})
}

fn automation_event() -> Value {
    json!({
        "version": 1, "eventId": "e", "type": "run.finished", "source": "cloud-worker", "scope": "session",
        "tenantId": "t", "sessionId": "s1", "sequence": 4, "projectionVersion": 4, "fence": fence(),
        "error": sync_error(), "payload": {"k": 1}, "createdAt": T0
    })
}

fn ownership() -> Value {
    serde_json::to_value(Ownership::all(StateOwner::DesktopLocalStore)).unwrap()
}

#[test]
fn records() {
    snapshot::<Session>("session", session());
    snapshot::<SessionEventRecord>(
        "session_event",
        json!({
            "tenantId": "t", "sessionId": "s1", "eventId": "e", "sequence": 7, "type": "tool.call",
            "payload": {"id": "call_1"}, "createdAt": T0, "operation": "update"
        }),
    );
    snapshot::<WorkspaceEventRecord>(
        "workspace_event",
        json!({
            "tenantId": "t", "userId": "u", "sessionId": null, "eventId": "s1:e", "sequence": 7,
            "entityType": "session", "entityId": "s1", "operation": "create", "projectionVersion": 3,
            "type": "session.created", "payload": {}, "createdAt": T0
        }),
    );
    snapshot::<Projection>("projection", projection());
    snapshot::<SessionEnvelope>(
        "session_envelope",
        json!({"session": session(), "projection": projection()}),
    );
    snapshot::<RuntimeEvent>(
        "runtime_event",
        json!({"eventId": "e", "type": "assistant.message", "payload": {"content": ""}}),
    );
}

#[test]
fn views() {
    snapshot::<View>("view", view());
    snapshot::<Message>("message", message());
    snapshot::<ToolCall>("tool_call", tool());
    snapshot::<TaskRun>("task_run", task());
    snapshot::<PendingApproval>("pending_approval", approval());
    snapshot::<ResolvedApproval>("resolved_approval", resolved_approval());
    snapshot::<PendingQuestion>("pending_question", question());
    snapshot::<ResolvedQuestion>("resolved_question", resolved_question());
    snapshot::<SessionArtifact>("session_artifact", artifact());
    snapshot::<Todo>("todo", todo());
    snapshot::<ViewError>("view_error", error());
    snapshot::<Tokens>("tokens", tokens());
    snapshot::<Origin>("origin", origin());
    snapshot::<ProjectSource>("project_source_git", git());
    snapshot::<ProjectSource>(
        "project_source_snapshot",
        json!({"kind": "snapshot", "snapshotId": "x", "objectKey": "k", "fileCount": 1, "byteCount": 2, "title": null}),
    );
    snapshot::<SessionView>(
        "session_view",
        json!({
            "messages": [{"id": "m", "role": "user", "content": "Hi", "attachments": [], "timestamp": T0, "order": 1}],
            "toolCalls": [tool()], "taskRuns": [task()], "compactions": [], "pendingApprovals": [approval()],
            "pendingQuestions": [question()], "artifacts": [artifact()], "errors": [error()], "todos": [todo()],
            "executionPlan": [], "sessionCost": 0.5, "sessionTokens": tokens(), "lastInputTokens": 9,
            "contextState": "idle", "compactionCount": 0, "lastCompactedAt": null, "activeAgent": null,
            "lastItemWasTool": false, "revision": 12, "lastEventAt": 12, "isGenerating": true,
            "isAwaitingPermission": true, "isAwaitingQuestion": true
        }),
    );
}

#[test]
fn absent_optional_fields_stay_absent() {
    let bare = json!({
        "id": "c", "name": "read", "input": {}, "status": "running", "agent": null, "sourceSessionId": null, "order": 1
    });
    snapshot::<ToolCall>("tool_call_bare", bare);
    snapshot::<Message>(
        "message_bare",
        json!({"id": "m", "role": "assistant", "content": "", "createdAt": T0}),
    );
}

#[test]
fn synchronisation() {
    snapshot::<FenceToken>("fence_token", fence());
    snapshot::<Checkpoint>("checkpoint", checkpoint());
    snapshot::<SyncError>("sync_error", sync_error());
    snapshot::<FenceVerdict>(
        "fence_verdict",
        json!({
            "ok": false, "code": "projection_fence_stale", "fence": fence(), "checkpoint": null,
            "error": sync_error(), "waitedMs": 5
        }),
    );
    snapshot::<AutomationEvent>("automation_event", automation_event());
    snapshot::<StatusLine>(
        "status_line",
        json!({
            "kind": STATUS_LINE_KIND, "version": 1, "event": automation_event(), "emittedAt": T0, "redacted": true
        }),
    );
    snapshot::<ErrorEnvelope>(
        "error_envelope",
        json!({
            "error": "No.", "code": "x", "retryAfterMs": 5,
            "verdict": {"allowed": false, "reason": "No.", "policyCode": "x"}
        }),
    );
}

#[test]
fn authorities() {
    for contract in &CONTRACTS {
        let name = format!("authority_{}", contract.authority.as_str());
        snapshot::<AuthorityContract>(&name, serde_json::to_value(contract).unwrap());
    }
    snapshot::<WorkspaceInfo>(
        "workspace_info",
        json!({
            "id": "gateway:00", "kind": "gateway", "authority": "gateway_standalone", "label": "g", "status": "online",
            "active": true, "tenantId": "t", "userId": "u", "baseUrl": "https://example.org", "profileName": "p",
            "lastSyncedAt": T0, "error": "e", "gatewayCredentialStatus": "available"
        }),
    );
    snapshot::<WorkspacePolicy>(
        "workspace_policy",
        json!({
            "features": {"x": true}, "allowedAgents": null, "allowedTools": [], "allowedMcps": ["m"],
            "localFiles": "enabled", "localStdioMcps": "allowlisted", "machineRuntimeConfig": "disabled"
        }),
    );
    snapshot::<WorkspaceApiSupport>(
        "workspace_api_support",
        json!({
            "api": "sessions", "status": "blocked_by_policy",
            "verdict": {"allowed": false, "reason": "No.", "policyCode": "workspace.policy_disabled"},
            "context": {
                "authority": "desktop_local", "runtimeAuthority": "desktop_local", "surface": "desktop_local",
                "durableStateOwner": "desktop_local_store", "ownership": ownership(), "onlineState": "online",
                "mutation": "blocked",
                "artifacts": {"metadata": "blocked", "body": "local_filesystem", "reveal": "local_filesystem"},
                "approvals": "desktop_local", "questions": "desktop_local", "workflows": "blocked",
                "pathExposure": "local_private", "pairingState": "not_applicable",
                "blockedReason": "workspace.policy_disabled"
            }
        }),
    );
}
