//! Channels, launchpad and capabilities over HTTP (03 §8.9, §8.12, §8.23).

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use http_body_util::BodyExt;
use open_cowork_contracts::access::{BuiltInRole, TokenScope};
use open_cowork_providers::store::identity::{Bootstrap, NewToken};
use open_cowork_providers::store::{Actor, IdentityStore, Stamp};
use serde_json::{Value, json};
use support::{Reply, World, request, world, world_with};
use tower::ServiceExt;

const OWNER: &str = "owner@own";
const GATEWAY: &str = "token:gateway@own";
const DENIED: &str = "Gateway API token is not authorized for the requested channel binding.";

fn stamp(world: &World, id: &str) -> Stamp {
    Stamp::new(Actor::system("test"), world.cloud.now(), id.to_owned())
}

/// Gives the gateway's token of that principal these channels.
async fn grant(world: &World, who: &str, channels: &[&str]) {
    let tenant = who.split_once('@').unwrap().1;
    let account = format!("user-{tenant}");
    let made = Bootstrap {
        tenant_id: tenant.into(),
        org_id: Some(tenant.into()),
        tenant_name: tenant.to_owned(),
        account_id: account.as_str().into(),
        idp_subject: None,
        email: format!("user@{tenant}.test"),
        display_name: None,
        role: BuiltInRole::Owner,
        create_membership: true,
        accept_invite: false,
    };
    let store = &world.store;
    store.bootstrap(&made, &stamp(world, "a1")).await.unwrap();
    let token = NewToken {
        token_id: format!("tok-{who}").as_str().into(),
        account_id: account.as_str().into(),
        name: "Gateway".to_owned(),
        hash: format!("hash-{who}"),
        scopes: vec![TokenScope::Gateway],
        last4: "last".to_owned(),
        expires_at: None,
        channel_binding_ids: channels.iter().map(|id| (*id).to_owned()).collect(),
    };
    store
        .create_token(&tenant.into(), &token, &stamp(world, "a2"))
        .await
        .unwrap();
}

async fn post(world: &World, who: &str, path: &str, body: Value) -> Reply {
    world
        .call(who, "POST", &format!("/api/channels/{path}"), Some(body))
        .await
}

/// Ids of a coworker, its channel, and a person who may prompt.
struct Place {
    agent: String,
    channel: String,
}

async fn place(world: &World) -> Place {
    let made = post(
        world,
        OWNER,
        "agents",
        json!({"name": "Ann", "agentId": "ann"}),
    )
    .await;
    assert_eq!(made.status, 201, "{}", made.body);
    let agent = made.json()["agent"]["agentId"].as_str().unwrap().to_owned();
    assert!(
        agent.starts_with("channel_agent_"),
        "a seed is no id: {agent}"
    );
    let made = post(
        world,
        OWNER,
        "bindings",
        json!({"agentId": agent, "provider": "slack", "displayName": "Team",
               "externalWorkspaceId": "w", "credentialRef": "env:SLACK_TOKEN"}),
    )
    .await;
    assert_eq!(made.status, 201, "{}", made.body);
    let channel = made.json()["binding"]["bindingId"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(!made.body.contains("SLACK_TOKEN"), "{}", made.body);
    assert_eq!(made.json()["binding"]["credentialRefKind"], "env");
    let person = json!({"provider": "slack", "externalUserId": "u", "externalWorkspaceId": "w",
                        "role": "member", "status": "active"});
    let made = post(world, OWNER, "identities/resolve", person).await;
    assert_eq!(made.status, 200, "{}", made.body);
    Place { agent, channel }
}

fn bind_body(place: &Place) -> Value {
    json!({"channelBindingId": place.channel, "provider": "slack", "externalChatId": "ch",
           "externalThreadId": "th", "externalUserId": "u", "title": "Trip"})
}

async fn bound(world: &World, place: &Place) -> (String, String) {
    let made = post(world, GATEWAY, "sessions/bind", bind_body(place)).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let answer = made.json();
    assert_eq!(answer["session"]["session"]["title"], "Trip");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (
        text(&answer["binding"]["bindingId"]),
        text(&answer["binding"]["sessionId"]),
    )
}

#[tokio::test]
async fn a_gateway_speaks_only_for_what_it_was_granted() {
    let world = world().await;
    let place = place(&world).await;
    let unproven = post(&world, GATEWAY, "sessions/bind", bind_body(&place)).await;
    assert_eq!(unproven.code(), "channels.binding_scope_required");
    grant(&world, GATEWAY, &[&place.channel]).await;
    let (chat, session) = bound(&world, &place).await;
    let again = bound(&world, &place).await;
    assert_eq!(again, (chat.clone(), session), "a chat is bound once");
    let snapshot = format!("/api/channels/sessions/{chat}/snapshot");
    assert_eq!(
        world.call(GATEWAY, "GET", &snapshot, None).await.status,
        200
    );
    // People are none of the gateway's callers, owners included.
    let owner = world.call(OWNER, "GET", &snapshot, None).await;
    assert_eq!(owner.status, 403);
    let foreign = world
        .call("token:gateway@foreign", "GET", &snapshot, None)
        .await;
    assert_eq!(foreign.code(), "channels.binding_scope_required");
    let by_thread = "/api/channels/sessions/by-thread?provider=slack&externalWorkspaceId=w\
                     &externalChatId=ch&externalThreadId=";
    let found = world
        .call(GATEWAY, "GET", &format!("{by_thread}th"), None)
        .await;
    assert_eq!(found.json()["binding"]["bindingId"], chat);
    let unknown = world
        .call(GATEWAY, "GET", &format!("{by_thread}x"), None)
        .await;
    assert_eq!(unknown.status, 404);
    // Switched off, it is as if it had never been.
    let path = format!("/api/channels/bindings/{}", place.channel);
    let off = world
        .call(OWNER, "PATCH", &path, Some(json!({"status": "disabled"})))
        .await;
    assert_eq!(off.status, 200, "{}", off.body);
    let gone = world.call(GATEWAY, "GET", &snapshot, None).await;
    assert_eq!(gone.code(), "channels.binding_scope_required");
    let local = world.call("local@own", "GET", &snapshot, None).await;
    assert_eq!(
        (local.status.as_u16(), local.json()["error"].as_str()),
        (403, Some(DENIED))
    );
}

#[tokio::test]
async fn a_prompt_needs_a_known_person_and_repeats_safely() {
    let world = world().await;
    let place = place(&world).await;
    grant(&world, GATEWAY, &[&place.channel]).await;
    let (chat, _) = bound(&world, &place).await;
    let stranger = json!({"provider": "slack", "externalUserId": "x", "externalWorkspaceId": "w",
                          "channelBindingId": place.channel, "role": "owner", "status": "active"});
    let seen = post(&world, GATEWAY, "identities/resolve", stranger).await;
    assert_eq!(seen.json()["identity"]["role"], "viewer", "{}", seen.body);
    assert_eq!(seen.json()["identity"]["status"], "pending");
    let says = |user: &str, text: &str| json!({"bindingId": chat, "text": text, "externalUserId": user, "idempotencyKey": "k"});
    let mut denials = Vec::new();
    for user in ["x", "nobody"] {
        let denied = post(&world, GATEWAY, "sessions/prompt", says(user, "hello")).await;
        assert_eq!(denied.status, 403);
        denials.push(denied.body);
    }
    assert_eq!(denials[0], denials[1], "every denial reads the same");
    let first = post(&world, GATEWAY, "sessions/prompt", says("u", "hello")).await;
    assert_eq!(first.status, 202, "{}", first.body);
    let again = post(&world, GATEWAY, "sessions/prompt", says("u", "other words")).await;
    assert_eq!(
        again.json()["command"]["commandId"],
        first.json()["command"]["commandId"]
    );
    assert_eq!(again.json()["command"]["payload"]["text"], "hello");
    let moved = |event: u64| json!({"bindingId": chat, "lastEventSequence": event, "lastWorkspaceSequence": 1});
    assert_eq!(
        post(&world, GATEWAY, "cursor", moved(3)).await.json()["result"]["ok"],
        true
    );
    let stale = post(&world, GATEWAY, "cursor", moved(2)).await;
    assert_eq!(
        (
            stale.status.as_u16(),
            stale.json()["result"]["reason"].as_str()
        ),
        (200, Some("stale"))
    );
}

#[tokio::test]
async fn an_ask_is_answered_once_and_by_whom_it_concerns() {
    let world = world().await;
    let place = place(&world).await;
    grant(&world, GATEWAY, &[&place.channel]).await;
    let (chat, session) = bound(&world, &place).await;
    let ask = json!({"agentId": place.agent, "sessionBindingId": chat, "sessionId": session,
                     "provider": "slack", "kind": "permission", "targetId": "perm-1"});
    let made = post(&world, GATEWAY, "interactions", ask).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let token = made.json()["plaintextToken"].as_str().unwrap().to_owned();
    let answer = |token: &str, user: &str| json!({"token": token, "externalUserId": user, "response": {"allowed": true}});
    let mut refusals = Vec::new();
    for (token, user) in [
        (token.as_str(), "x"),
        (&token[..token.len() - 1], "u"),
        ("occi_a_b", "u"),
    ] {
        let refused = post(&world, GATEWAY, "interactions/resolve", answer(token, user)).await;
        assert_eq!(refused.status, 404, "{}", refused.body);
        refusals.push(refused.body);
    }
    let done = post(&world, GATEWAY, "interactions/resolve", answer(&token, "u")).await;
    assert_eq!(done.status, 202, "{}", done.body);
    assert_eq!(done.json()["interaction"]["status"], "used");
    assert_eq!(done.json()["command"]["payload"]["permissionId"], "perm-1");
    let used = post(&world, GATEWAY, "interactions/resolve", answer(&token, "u")).await;
    refusals.push(used.body);
    refusals.dedup();
    assert_eq!(
        refusals.len(),
        1,
        "unknown, used and not theirs read the same: {refusals:?}"
    );
}

#[tokio::test]
async fn answers_from_channels_need_the_profiles_switch() {
    let world = world_with(|services| {
        services.options.profile.allow_remote_approval_responses = false;
    })
    .await;
    let place = place(&world).await;
    grant(&world, GATEWAY, &[&place.channel]).await;
    let refused = post(
        &world,
        GATEWAY,
        "interactions/resolve",
        json!({"token": "occi_a_b"}),
    )
    .await;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (403, "gateway-remote-approval-disabled")
    );
}

#[tokio::test]
async fn a_delivery_is_streamed_once_and_acknowledged_by_its_claimer() {
    let world = world().await;
    let place = place(&world).await;
    grant(&world, GATEWAY, &[&place.channel]).await;
    let delivery = json!({"agentId": place.agent, "channelBindingId": place.channel, "provider": "slack",
                          "target": {"chat": "ch"}, "eventType": "text", "payload": {"text": "hello"},
                          "deliveryId": "d1"});
    let made = post(&world, GATEWAY, "deliveries", delivery.clone()).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(
        post(&world, GATEWAY, "deliveries", delivery).await.status,
        201
    );
    let path = "/api/channels/deliveries/stream?claimedBy=g1";
    let response = world
        .router
        .clone()
        .oneshot(request(GATEWAY, "GET", path, None))
        .await
        .unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let mut body = response.into_body();
    let mut text = String::new();
    while !text.contains("event: channel.delivery") {
        let frame = body.frame().await.unwrap().unwrap();
        text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
    }
    assert!(
        text.contains("id: d1\n") && text.contains("\"claimedBy\":\"g1\""),
        "{text}"
    );
    let uses = world
        .call("local@own", "GET", "/api/usage/events", None)
        .await
        .json();
    let claimed = &uses["events"][0];
    assert_eq!(claimed["eventType"], "gateway.delivery.claimed", "{uses}");
    assert_eq!(
        (&claimed["quantity"], &claimed["metadata"]["provider"]),
        (&json!(1), &json!("slack"))
    );
    let shown = world
        .call("local@own", "GET", "/api/diagnostics", None)
        .await
        .json();
    let gateway = &shown["gateway"];
    assert_eq!(
        gateway["agents"],
        json!({"total": 1, "active": 1, "disabled": 0})
    );
    assert_eq!(gateway["bindingsByProvider"], json!({"slack": 1}));
    assert_eq!(
        gateway["deliveriesByStatus"],
        json!({"pending": 0, "claimed": 1, "sent": 0, "failed": 0, "dead": 0})
    );
    let ack = |by: &str| json!({"status": "sent", "claimedBy": by});
    let path = "deliveries/d1/ack";
    assert_eq!(post(&world, GATEWAY, path, ack("other")).await.status, 404);
    let done = post(&world, GATEWAY, path, ack("g1")).await;
    assert_eq!(done.json()["delivery"]["status"], "sent", "{}", done.body);
    assert_eq!(post(&world, GATEWAY, path, ack("g1")).await.status, 404);
    let list = world
        .call(OWNER, "GET", "/api/channels/deliveries?deliveryId=d1", None)
        .await;
    assert_eq!(
        list.json()["deliveries"].as_array().unwrap().len(),
        1,
        "{}",
        list.body
    );
    let foreign = world
        .call("owner@foreign", "GET", "/api/channels/deliveries", None)
        .await;
    assert_eq!(foreign.json()["deliveries"], json!([]));
    let again = post(&world, OWNER, "deliveries/d1/retry", json!({})).await;
    assert_eq!(
        again.json()["delivery"]["status"],
        "failed",
        "{}",
        again.body
    );
    let dead = post(
        &world,
        OWNER,
        "deliveries/d1/dead-letter",
        json!({"lastError": "gone"}),
    )
    .await;
    assert_eq!(dead.json()["delivery"]["status"], "dead", "{}", dead.body);
    let foreign = post(&world, "owner@foreign", "deliveries/d1/retry", json!({})).await;
    assert_eq!(foreign.status, 404);
}

#[tokio::test]
async fn what_a_provider_reports_twice_is_a_duplicate() {
    let world = world().await;
    let place = place(&world).await;
    grant(&world, GATEWAY, &[&place.channel]).await;
    let event = json!({"provider": "slack", "providerInstanceId": "one", "providerEventId": "42",
                       "eventType": "message", "claimedBy": "g", "channelBindingId": place.channel});
    let first = post(&world, GATEWAY, "provider-events/claim", event.clone()).await;
    assert_eq!(first.json()["claimed"], true, "{}", first.body);
    assert_eq!(first.json()["event"]["externalWorkspaceId"], "w");
    let second = post(&world, GATEWAY, "provider-events/claim", event).await;
    assert_eq!(second.json()["duplicate"], true);
    let id = first.json()["event"]["eventId"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("provider-events/{id}/complete");
    let done = |by: &str| json!({"claimedBy": by, "status": "processed"});
    assert_eq!(post(&world, GATEWAY, &path, done("x")).await.status, 404);
    assert_eq!(
        post(&world, GATEWAY, &path, done("g")).await.json()["event"]["status"],
        "processed"
    );
}

#[tokio::test]
async fn bad_input_about_channels_is_told() {
    let world = world().await;
    let place = place(&world).await;
    let bind = |changes: Value| {
        let mut body = json!({"agentId": place.agent, "provider": "slack", "displayName": "x"});
        for (key, value) in changes.as_object().unwrap() {
            body[key] = value.clone();
        }
        body
    };
    for changes in [
        json!({"provider": "Slack"}),
        json!({"status": "sleeping"}),
        json!({"displayName": "x".repeat(257)}),
        json!({"credentialRef": "xoxb-a-real-secret"}),
        json!({"settings": {"x": "y".repeat(17_000)}}),
        json!({"bindingId": "a\u{0}b"}),
    ] {
        let refused = post(&world, OWNER, "bindings", bind(changes.clone())).await;
        assert_eq!(refused.status, 400, "{changes}: {}", refused.body);
        assert!(!refused.body.contains("xoxb"), "{}", refused.body);
    }
    let desktop = world
        .call("token:desktop@own", "GET", "/api/channels/agents", None)
        .await;
    assert_eq!(
        (desktop.status.as_u16(), desktop.code().as_str()),
        (403, "channels.admin_required")
    );
    let none = world
        .call("owner@foreign", "GET", "/api/channels/bindings", None)
        .await;
    assert_eq!(none.json()["bindings"], json!([]));
}

#[tokio::test]
async fn the_feed_and_the_catalogue_answer() {
    let world = world().await;
    let feed = world.call(OWNER, "GET", "/api/launchpad/feed", None).await;
    assert_eq!(feed.json()["totals"]["waitingOnYou"], 0, "{}", feed.body);
    for limit in ["0", "51", "x"] {
        let path = format!("/api/launchpad/feed?waitingLimit={limit}");
        assert_eq!(world.call(OWNER, "GET", &path, None).await.status, 400);
    }
    let all = world.call(OWNER, "GET", "/api/capabilities", None).await;
    assert_eq!(all.json(), json!({"tools": [], "skills": []}));
    let unknown = world
        .call(OWNER, "GET", "/api/capabilities/skills/x/bundle", None)
        .await;
    assert_eq!(unknown.status, 404);
}
