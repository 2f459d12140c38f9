//! Our client has a method for every route of the capability policy's table, and asks nothing else.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use open_cowork_cloud_client::{CloudClient, RetryPolicy};
use open_cowork_contracts::JsonObject;
use open_cowork_contracts::SessionId;
use open_cowork_contracts::access::CloudAction;
use open_cowork_policy::capability::table;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Actions whose routes answer 501 in this version (and one that is signed, not called): no methods.
const LATER: &[CloudAction] = &[
    CloudAction::ArtifactsFinalize,
    CloudAction::ArtifactsAbort,
    CloudAction::CoordinationRead,
    CloudAction::CoordinationWrite,
    CloudAction::CoordinationWatchesRead,
    CloudAction::CoordinationWatchesWrite,
    CloudAction::KnowledgeRead,
    CloudAction::KnowledgePropose,
    CloudAction::KnowledgeAdminWrite,
    CloudAction::KnowledgeAgentPropose,
    CloudAction::AdminWorkersRead,
    CloudAction::AdminWorkersWrite,
    CloudAction::WorkerHeartbeat,
    CloudAction::WorkflowsWebhookInvoke,
    CloudAction::BillingWebhookApply,
];

/// Other names of the same thing: one method is enough.
const SYNONYMS: &[&str] = &[
    "POST settings",
    "PUT settings",
    "PATCH settings",
    "POST settings/:x",
    "PATCH settings/:x",
    "POST policy",
    "PUT sessions/:x/artifacts/:x/content",
];

/// Routes without an action: own credentials, or none.
const OUTSIDE: &[&str] = &[
    "GET /auth/me",
    "POST /auth/session",
    "POST /auth/logout",
    "GET /auth/desktop/config",
    "GET /livez",
    "GET /readyz",
    "GET /progressz",
    "GET /openapi.json",
    "POST invites/accept",
];

fn normal(route: &str) -> String {
    let (method, path) = route.split_once(' ').unwrap();
    let path = path.strip_prefix("/api/").unwrap_or(path);
    let segments: Vec<&str> = path
        .split('/')
        .map(|segment| {
            if segment.starts_with(':') || segment == "ID" {
                ":x"
            } else {
                segment
            }
        })
        .collect();
    format!("{method} {}", segments.join("/"))
}

fn body<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

#[tokio::test]
async fn there_is_a_method_for_every_route_and_no_method_without_one() {
    let asked = Arc::new(Mutex::new(BTreeSet::new()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let noted = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 64 * 1024];
            let count = stream.read(&mut head).await.unwrap_or(0);
            let head = String::from_utf8_lossy(&head[..count]).into_owned();
            if let Some(line) = head.lines().next() {
                let route = line
                    .trim_end_matches(" HTTP/1.1")
                    .split('?')
                    .next()
                    .unwrap();
                noted.lock().unwrap().insert(normal(route));
            }
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
                .await;
        }
    });
    let client = CloudClient::builder(base)
        .retry(RetryPolicy::NONE)
        .build()
        .unwrap();
    Box::pin(ask_everything(&client)).await;

    let asked: BTreeSet<String> = asked.lock().unwrap().clone();
    let all = CloudAction::ALL.iter().map(|action| table::row(*action));
    let (later, now): (Vec<_>, Vec<_>) = all.partition(|row| LATER.contains(&row.action));
    let routes = |rows: &[&table::Row]| -> BTreeSet<String> {
        rows.iter()
            .flat_map(|row| row.routes)
            .map(|route| normal(route))
            .collect()
    };
    let (now, later) = (routes(&now), routes(&later));
    let synonyms: BTreeSet<String> = SYNONYMS.iter().map(|route| (*route).to_owned()).collect();
    let missing: Vec<&String> = now
        .iter()
        .filter(|route| !asked.contains(*route) && !synonyms.contains(*route))
        .collect();
    assert!(missing.is_empty(), "no method asks {missing:#?}");
    let unknown: Vec<&String> = asked
        .iter()
        .filter(|route| !now.contains(*route) && !OUTSIDE.contains(&route.as_str()))
        .collect();
    assert!(
        unknown.is_empty(),
        "methods ask what is no route: {unknown:#?}; later: {later:?}"
    );
}

async fn ask_everything(client: &CloudClient) {
    let id = SessionId::from("ID");
    let empty = JsonObject::new();

    let system = client.system();
    let _ = (
        system.config().await,
        system.workspace().await,
        system.runtime_status().await,
    );
    let _ = (
        system.heartbeats().await,
        system.metrics().await,
        system.openapi().await,
    );
    let _ = (
        system.livez().await,
        system.readyz().await,
        system.progressz().await,
    );
    let _ = client.follow_workspace().next().await;

    let sessions = client.sessions();
    let _ = (
        sessions.list(&Default::default()).await,
        sessions.create(&Default::default()).await,
    );
    let _ = (
        sessions.get(&id).await,
        sessions.activate(&id).await,
        sessions.view(&id).await,
    );
    let _ = sessions.prompt(&id, &body(json!({"text": "x"}))).await;
    let _ = sessions.abort(&id).await;
    let _ = sessions
        .question_reply(&id, &body(json!({"requestId": "x", "answers": []})))
        .await;
    let _ = sessions
        .question_reject(&id, &body(json!({"requestId": "x"})))
        .await;
    let _ = sessions
        .permission_respond(&id, &body(json!({"permissionId": "x"})))
        .await;
    let _ = (
        sessions.projection_status(&id).await,
        sessions.projection_repair(&id).await,
    );
    let _ = sessions
        .import(&body(
            json!({"source": {"kind": "local-session", "fingerprint": "x"}}),
        ))
        .await;
    let _ = sessions
        .validate_project_source(&body(json!({"kind": "git", "repositoryUrl": "x"})))
        .await;
    let _ = sessions.upload_project_snapshot(&Default::default()).await;
    let _ = sessions.follow_after(&id, 0).next().await;

    let artifacts = client.artifacts();
    let _ = (
        artifacts.index(&Default::default()).await,
        artifacts.list("ID").await,
    );
    let _ = artifacts
        .upload("ID", &body(json!({"filename": "x", "dataBase64": ""})))
        .await;
    let _ = artifacts
        .update_status("ID", "ID", &body(json!({"status": "final"})))
        .await;
    let _ = (
        artifacts.get("ID", "ID").await,
        artifacts.read_content("ID", "ID", None).await,
    );

    let workflows = client.workflows();
    let _ = workflows.list(&Default::default()).await;
    let _ = workflows
        .create(&body(json!({"title": "x", "instructions": "x"})))
        .await;
    let _ = (
        workflows.get("ID").await,
        workflows.run("ID", &body(json!({}))).await,
    );
    let _ = (
        workflows.pause("ID").await,
        workflows.resume("ID").await,
        workflows.archive("ID").await,
    );
    let _ = (
        workflows.rotate_webhook_secret("ID").await,
        workflows.scheduler_tick("x").await,
    );

    let threads = client.threads();
    let _ = (
        threads.list(&Default::default()).await,
        threads.search(&Default::default()).await,
    );
    let _ = (
        threads.facets(&Default::default()).await,
        threads.tags().await,
        threads.delete_tag("ID").await,
    );
    let _ = threads.create_tag(&body(json!({"name": "x"}))).await;
    let _ = threads.update_tag("ID", &body(json!({}))).await;
    let tagged = body(json!({"sessionIds": []}));
    let _ = (
        threads.apply_tag("ID", &tagged).await,
        threads.remove_tag("ID", &tagged).await,
    );
    let _ = (
        threads.smart_filters().await,
        threads.delete_smart_filter("ID").await,
    );
    let _ = threads
        .create_smart_filter(&body(json!({"name": "x", "query": {}})))
        .await;
    let _ = threads.update_smart_filter("ID", &body(json!({}))).await;

    let settings = client.settings();
    let _ = (
        settings.list().await,
        settings.get("ID").await,
        settings.set("ID", &empty).await,
    );

    let capabilities = client.capabilities();
    let _ = (
        capabilities.list().await,
        capabilities.tools().await,
        capabilities.tool("ID").await,
    );
    let _ = (
        capabilities.skills().await,
        capabilities.skill("ID").await,
        capabilities.skill_bundle("ID").await,
    );
    let _ = client.launchpad().feed(&Default::default()).await;

    let billing = client.billing();
    let page = Default::default();
    let _ = (
        billing.usage_events(&page).await,
        billing.usage_summary(&page).await,
        billing.diagnostics().await,
    );
    let _ = (billing.subscription().await, billing.entitlements().await);
    let _ = (
        billing.checkout(&Default::default()).await,
        billing.portal(&Default::default()).await,
    );

    let byok = client.byok();
    let _ = (
        byok.list().await,
        byok.get("ID").await,
        byok.delete("ID").await,
        byok.validate("ID").await,
    );
    let _ = byok.set("ID", &body(json!({"apiKey": "x"}))).await;
    let _ = byok
        .override_validation("ID", &body(json!({"reason": "x"})))
        .await;

    let policy = client.policy();
    let _ = (
        policy.get().await,
        policy.set(&empty).await,
        policy.effective().await,
    );

    let tokens = client.tokens();
    let _ = (tokens.list(&page).await, tokens.revoke("ID").await);
    let _ = tokens
        .issue(&body(json!({"name": "x", "scopes": []})))
        .await;
    let _ = tokens
        .grant_channel_binding("ID", &body(json!({"channelBindingId": "x"})))
        .await;

    let admin = client.admin();
    let _ = (
        admin.overview().await,
        admin.policy().await,
        admin.access().await,
        admin.permission_catalog().await,
    );
    let _ = (
        admin.roles().await,
        admin.delete_role("ID").await,
        admin.members(&Default::default()).await,
    );
    let _ = admin
        .create_role(&body(
            json!({"roleKey": "x", "name": "x", "permissions": []}),
        ))
        .await;
    let _ = admin.update_role("ID", &body(json!({}))).await;
    let _ = admin.invite(&body(json!({"email": "a@b.example"}))).await;
    let _ = admin.update_member("ID", &body(json!({}))).await;
    let _ = admin
        .assign_role("ID", &body(json!({"roleKey": null})))
        .await;
    let _ = (
        admin.sso().await,
        admin.update_sso(&body(json!({}))).await,
        admin.delete_sso().await,
    );
    let _ = (
        admin.issue_scim_token().await,
        admin.audit(&Default::default()).await,
    );
    let _ = admin.export_audit("json", true, &Default::default()).await;
    let _ = admin.accept_invite(&body(json!({"token": "x"}))).await;

    let auth = client.auth();
    let _ = (
        auth.me().await,
        auth.session().await,
        auth.logout().await,
        auth.desktop_config().await,
    );

    let channels = client.channels();
    let _ = (
        channels.providers().await,
        channels.agents(&page).await,
        channels.create_agent(&Default::default()).await,
    );
    let _ = (
        channels.update_agent("ID", &Default::default()).await,
        channels.bindings(&Default::default()).await,
    );
    let _ = (
        channels.create_binding(&Default::default()).await,
        channels.update_binding("ID", &Default::default()).await,
    );
    let _ = (
        channels.identities(&Default::default()).await,
        channels.resolve_identity(&Default::default()).await,
    );
    let _ = (
        channels.bind_session(&Default::default()).await,
        channels.session_by_thread(&Default::default()).await,
    );
    let _ = (
        channels.prompt(&Default::default()).await,
        channels.snapshot("ID").await,
        channels.artifact("ID", "ID").await,
    );
    let _ = channels.follow_after("ID", 0).next().await;
    let _ = (
        channels.update_cursor(&Default::default()).await,
        channels.create_interaction(&body(json!({
                "agentId": "a", "sessionId": "s", "provider": "slack", "kind": "permission", "targetId": "t",
            }))).await,
    );
    let _ = (
        channels.resolve_interaction(&Default::default()).await,
        channels.claim_provider_event(&body(json!({
                "provider": "slack", "providerInstanceId": "i", "providerEventId": "e", "eventType": "message",
                "claimedBy": "g",
            }))).await,
    );
    let _ = (
        channels
            .complete_provider_event(
                "ID",
                &body(json!({"claimedBy": "g", "status": "processed"})),
            )
            .await,
        channels.list_deliveries(&Default::default()).await,
    );
    let _ = (
        channels.create_delivery(&Default::default()).await,
        channels
            .ack_delivery("ID", &body(json!({"status": "sent"})))
            .await,
    );
    let _ = (
        channels.retry_delivery("ID", &Default::default()).await,
        channels
            .dead_letter_delivery("ID", &Default::default())
            .await,
    );
    let _ = channels.deliveries(&Default::default()).next().await;
}
