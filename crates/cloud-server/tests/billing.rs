//! Plans: what they refuse, what they limit, how an organisation subscribes; and threads in use (03 §5.3, §8.13, 04 §8).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails panics"
)]

mod support;

use open_cowork_adapters::objects::FolderObjects;
use open_cowork_cloud_server::plans::Plans;
use open_cowork_cloud_server::service::sessions::IN_USE;
use open_cowork_config::model::cloud::billing::Billing;
use open_cowork_contracts::SessionStatus;
use open_cowork_providers::store::{SessionKey, SessionStore as _, SessionUpdate};
use open_cowork_providers::time::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use support::{Reply, World, world, world_with};

const OWNER: &str = "owner@own";

/// Two plans; `small` refuses and limits what the test says.
async fn billed(small: Value) -> World {
    let configured = json!({
        "enabled": true, "provider": "stub", "defaultPlanKey": "all", "plans": {
            "all": {"label": "Everything", "entitlements": {"maxPromptsPerHour": null}},
            "small": {"label": "Small", "entitlements": small},
        },
    });
    let configured: Billing = serde_json::from_value(configured).unwrap();
    let folder = tempfile::tempdir().unwrap().keep();
    world_with(|services| {
        services.billing = Some(Arc::new(Plans::new(&configured, services.store.clone())));
        services.objects = Some(Arc::new(FolderObjects::open(&folder).unwrap()));
        services.options.quotas.prompts_per_hour = Some(1);
    })
    .await
}

async fn subscribe(world: &World, plan: &str) {
    let wish = Some(json!({ "planKey": plan }));
    let reply = world
        .call(OWNER, "POST", "/api/billing/checkout", wish)
        .await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}

async fn session(world: &World) -> String {
    let made = post(world, "/api/sessions", json!({})).await;
    assert_eq!(made.status, 201, "{}", made.body);
    made.json()["session"]["sessionId"]
        .as_str()
        .unwrap()
        .to_owned()
}

async fn post(world: &World, path: &str, body: Value) -> Reply {
    world.call(OWNER, "POST", path, Some(body)).await
}

fn denied(reply: &Reply, code: &str) {
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (402, code),
        "{}",
        reply.body
    );
    assert_eq!(reply.json()["verdict"]["policyCode"], code);
}

#[tokio::test]
async fn an_organisation_without_a_subscription_reads_and_writes_nothing_new() {
    let world = billed(json!({})).await;
    denied(
        &post(&world, "/api/sessions", json!({})).await,
        "billing.subscription_required",
    );
    for path in [
        "/api/sessions",
        "/api/byok",
        "/api/channels/agents",
        "/api/usage/summary",
    ] {
        assert_eq!(
            world.call(OWNER, "GET", path, None).await.status,
            200,
            "{path}"
        );
    }
    let gone = world.call(OWNER, "DELETE", "/api/byok/acme", None).await;
    assert_eq!(gone.status, 200, "{}", gone.body);
    let state = world
        .call(OWNER, "GET", "/api/billing/subscription", None)
        .await
        .json();
    assert_eq!(
        (&state["enabled"], &state["active"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(
        (&state["mode"], &state["providerId"]),
        (&json!("self-host"), &json!("stub"))
    );
    assert_eq!(state["plans"][0]["default"], true);
}

#[tokio::test]
async fn a_checkout_of_the_stub_is_done_at_once() {
    let world = billed(json!({})).await;
    let unknown = post(&world, "/api/billing/checkout", json!({"planKey": "gold"})).await;
    assert_eq!(
        (unknown.status.as_u16(), unknown.code().as_str()),
        (400, "billing.plan_unknown")
    );
    let none = post(&world, "/api/billing/portal", json!({})).await;
    assert_eq!(
        (none.status.as_u16(), none.code().as_str()),
        (404, "billing.no_customer")
    );
    let member = "member@own";
    let wish = Some(json!({}));
    assert_eq!(
        world
            .call(member, "POST", "/api/billing/checkout", wish)
            .await
            .status,
        403
    );

    let done = post(&world, "/api/billing/checkout", json!({}))
        .await
        .json();
    assert!(
        done["url"]
            .as_str()
            .unwrap()
            .starts_with("https://billing.local/"),
        "{done}"
    );
    assert_eq!(done["subscription"]["planKey"], "all");
    assert_eq!(done["subscription"]["status"], "active");
    assert!(done["subscription"].get("createdAt").is_none(), "{done}");
    session(&world).await;
    let portal = post(&world, "/api/billing/portal", json!({})).await.json();
    assert!(
        portal["url"]
            .as_str()
            .unwrap()
            .starts_with("https://billing.local/"),
        "{portal}"
    );
}

#[tokio::test]
async fn each_write_asks_for_what_its_plan_must_have() {
    let small = json!({"features": {"byok": false, "artifacts": false, "channels": false}, "allowPrompts": false});
    let world = billed(small).await;
    subscribe(&world, "all").await;
    let id = session(&world).await;
    subscribe(&world, "small").await;
    let prompt = format!("/api/sessions/{id}/prompt");
    denied(
        &post(&world, &prompt, json!({"text": "Hello"})).await,
        "billing.prompts_not_entitled",
    );
    // Stopping is never asked.
    let abort = post(&world, &format!("/api/sessions/{id}/abort"), json!({})).await;
    assert_eq!(abort.status, 202, "{}", abort.body);
    let feature = "billing.feature_not_entitled";
    denied(
        &post(&world, "/api/byok/acme", json!({"key": "k"})).await,
        feature,
    );
    let upload = json!({"filename": "a.txt", "dataBase64": "YQ=="});
    denied(
        &post(&world, &format!("/api/sessions/{id}/artifacts"), upload).await,
        feature,
    );
    denied(
        &post(&world, "/api/channels/agents", json!({"name": "Ann"})).await,
        feature,
    );
    let made = json!({"title": "Report", "instructions": "Write it.", "triggers": []});
    let made = post(&world, "/api/workflows", made).await.json();
    let run = format!(
        "/api/workflows/{}/run",
        made["workflow"]["id"].as_str().unwrap()
    );
    denied(
        &post(&world, &run, json!({})).await,
        "billing.prompts_not_entitled",
    );
    // Nothing is half begun.
    let listed = world
        .call(OWNER, "GET", "/api/workflows", None)
        .await
        .json();
    assert_eq!(listed["workflows"][0]["status"], "active");
}

#[tokio::test]
async fn a_plan_s_limits_stand_for_the_deployment_s() {
    let world = billed(json!({"maxPromptsPerHour": 2})).await;
    subscribe(&world, "all").await;
    let id = session(&world).await;
    let prompt = format!("/api/sessions/{id}/prompt");
    // The deployment says one, the plan lifts it.
    for _ in 0..3 {
        assert_eq!(
            post(&world, &prompt, json!({"text": "Hello"})).await.status,
            202
        );
    }
    let quotas = world
        .call(OWNER, "GET", "/api/usage/summary", None)
        .await
        .json();
    assert_eq!(quotas["quotas"][0]["limit"], Value::Null);
    subscribe(&world, "small").await;
    let quotas = world
        .call(OWNER, "GET", "/api/usage/summary", None)
        .await
        .json();
    assert_eq!(quotas["quotas"][0]["limit"], 2);
    for expected in [202, 202, 429] {
        assert_eq!(
            post(&world, &prompt, json!({"text": "Hello"})).await.status,
            expected
        );
    }
}

#[tokio::test]
async fn threads_in_use_are_limited_and_those_left_alone_are_not_in_use() {
    let now = Arc::new(AtomicI64::new(Timestamp::now().as_millisecond()));
    let clock = now.clone();
    let world = world_with(|services| {
        services.options.quotas.concurrent_sessions = Some(2);
        services.clock =
            Arc::new(move || Timestamp::from_millisecond(clock.load(Ordering::SeqCst)).unwrap());
    })
    .await;
    session(&world).await;
    session(&world).await;
    let refused = post(&world, "/api/sessions", json!({})).await;
    assert_eq!(refused.status, 429, "{}", refused.body);
    assert_eq!(refused.code(), "quota.concurrent_sessions_exceeded");
    assert_eq!(refused.headers["retry-after"], "60");
    let import = json!({"source": {"kind": "local-session", "fingerprint": "f", "title": "t"}});
    let refused = post(&world, "/api/import/sessions", import).await;
    assert_eq!(
        refused.code(),
        "quota.concurrent_sessions_exceeded",
        "{}",
        refused.body
    );
    let other = world
        .call("owner@other", "POST", "/api/sessions", Some(json!({})))
        .await;
    assert_eq!(other.status, 201, "another organisation has its own");
    let later = (IN_USE + Duration::from_secs(1)).as_millis() as i64;
    now.fetch_add(later, Ordering::SeqCst);
    session(&world).await;
}

/// Refused means nothing is kept and nothing counts.
#[tokio::test]
async fn an_import_counts_its_bytes_and_leaves_none_when_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let objects = Arc::new(FolderObjects::open(folder.path()).unwrap());
    let world = world_with(|services| {
        services.objects = Some(objects);
        services.options.quotas.concurrent_sessions = Some(1);
        services.options.quotas.artifact_bytes_per_day = Some(4);
    })
    .await;
    let import = |bytes: &str| {
        json!({
            "source": {"kind": "local-session", "fingerprint": "f", "title": "t"},
            "artifacts": [{"id": "a", "filename": "a.txt", "dataBase64": bytes, "order": 1}],
        })
    };
    let used = || async {
        let usage = world
            .call(OWNER, "GET", "/api/usage/summary", None)
            .await
            .json();
        let quotas = usage["quotas"].as_array().unwrap().clone();
        let day = quotas
            .into_iter()
            .find(|quota| quota["quotaKey"] == "artifact_bytes:day");
        day.unwrap()["used"].clone()
    };
    let refused = post(&world, "/api/import/sessions", import("YWJjZGU=")).await;
    assert_eq!(
        refused.code(),
        "quota.artifact_bytes_per_day_exceeded",
        "{}",
        refused.body
    );
    let id = session(&world).await;
    let refused = post(&world, "/api/import/sessions", import("YWI=")).await;
    assert_eq!(
        refused.code(),
        "quota.concurrent_sessions_exceeded",
        "{}",
        refused.body
    );
    assert_eq!(used().await, 0);
    assert_eq!(files(folder.path()), 0, "{id}");
    let world = &world;
    let key = SessionKey::new("own", id.as_str());
    let closed = SessionUpdate {
        status: Some(SessionStatus::Closed),
        ..Default::default()
    };
    let at = world.cloud.now_iso();
    world
        .store
        .update_session(&key, closed, &at, None)
        .await
        .unwrap();
    let made = post(world, "/api/import/sessions", import("YWI=")).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(used().await, 2);
    assert_eq!(files(folder.path()), 1);
}

fn files(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let count = |path: std::path::PathBuf| match path.is_dir() {
        true => files(&path),
        false => 1,
    };
    entries.map(|entry| count(entry.path())).sum()
}

#[tokio::test]
async fn without_billing_a_checkout_is_missing_and_everything_is_permitted() {
    let world = world().await;
    session(&world).await;
    let refused = post(&world, "/api/billing/checkout", json!({})).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (404, "billing.disabled")
    );
}
