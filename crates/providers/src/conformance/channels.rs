//! Cases about channels (04 §2.6).

use super::plane::{Plane, at, scope};
use crate::store::channels::{
    BindingRow, ChatKey, Claimer, CursorUpdate, DeliveryChange, DeliveryKey, DeliveryQuery,
    InteractionRow, PeopleQuery, PersonKey, ProviderEventOutcome, SessionBindingRow,
};
use crate::store::execution::{NewCommand, QueueLimits};
use crate::store::{SessionKey, StoreError};
use crate::time::iso;
use futures::future::join_all;
use open_cowork_contracts::api::channels::{
    ChannelBinding, ChannelBindingStatus, ChannelDelivery, ChannelIdentity, ChannelInteraction,
    DeliveryStatus, HeadlessAgent, InteractionStatus, ProviderEvent, ProviderEventStatus,
};
use open_cowork_contracts::api::sessions::CommandKind;
use open_cowork_contracts::{JsonObject, OrgId, TenantId};
use serde_json::json;
use std::collections::BTreeSet;

fn tenant() -> TenantId {
    "t1".into()
}

fn org() -> OrgId {
    "t1".into()
}

fn agent(tenant: &str, id: &str, name: &str) -> HeadlessAgent {
    serde_json::from_value(json!({
        "agentId": id, "orgId": tenant, "tenantId": tenant, "profileName": "default", "name": name,
        "status": "active", "managed": false, "createdByAccountId": null, "createdAt": iso(at(0)),
        "updatedAt": iso(at(0)),
    }))
    .unwrap()
}

fn binding(id: &str) -> BindingRow {
    let binding: ChannelBinding = serde_json::from_value(json!({
        "bindingId": id, "orgId": "t1", "agentId": "a", "provider": "slack", "externalWorkspaceId": "w",
        "displayName": "Team", "status": "active", "credentialRefConfigured": true,
        "credentialRefKind": "env", "settings": {}, "createdAt": iso(at(0)), "updatedAt": iso(at(0)),
    }))
    .unwrap();
    BindingRow {
        binding,
        credential_ref: Some("env:SLACK".to_owned()),
    }
}

async fn with_channel(plane: &Plane, id: &str) {
    let store = &plane.store;
    store
        .create_channel_agent(agent("t1", "a", "Ann"))
        .await
        .unwrap();
    store
        .create_channel_binding(&tenant(), binding(id), None)
        .await
        .unwrap();
}

fn chat(session: &str) -> SessionBindingRow {
    let binding = serde_json::from_value(json!({
        "bindingId": "", "orgId": "t1", "agentId": "a", "channelBindingId": "b", "provider": "slack",
        "externalWorkspaceId": "w", "externalThreadId": "th", "externalChatId": "ch",
        "sessionId": session, "lastEventSequence": 0, "lastWorkspaceSequence": 0,
        "lastChatMessageId": null, "status": "active", "createdAt": iso(at(0)), "updatedAt": iso(at(0)),
    }))
    .unwrap();
    SessionBindingRow {
        binding,
        scope: scope(),
    }
}

/// A channel, and a chat for each of these threads of that user.
pub(super) async fn with_chats(plane: &Plane, threads: &[(&str, &str)]) {
    with_channel(plane, "b").await;
    for (session, user) in threads {
        let mut row = chat(session);
        row.scope.user_id = (*user).into();
        row.binding.external_chat_id = format!("chat of {session}");
        plane.store.bind_channel_session(row).await.unwrap();
    }
}

fn delivery(channel: &str, id: &str, due: u64) -> ChannelDelivery {
    serde_json::from_value(json!({
        "deliveryId": id, "orgId": "t1", "agentId": "a", "channelBindingId": channel,
        "sessionBindingId": null, "provider": "slack", "target": {"to": "x"}, "eventType": "text",
        "payload": {"text": "hello"}, "status": "pending", "attemptCount": 0, "claimedBy": null,
        "lastClaimedBy": null, "claimExpiresAt": null, "nextAttemptAt": iso(at(due)),
        "lastError": null, "createdAt": iso(at(0)), "updatedAt": iso(at(0)),
    }))
    .unwrap()
}

fn claimer(name: &str) -> Claimer<'_> {
    Claimer {
        by: name,
        holder: name,
    }
}

fn key(id: &str) -> DeliveryKey<'_> {
    DeliveryKey {
        delivery_id: id,
        binding: None,
        holder: None,
    }
}

fn change(status: DeliveryStatus) -> DeliveryChange {
    DeliveryChange {
        status,
        last_error: None,
        next_attempt_at: None,
    }
}

/// A seed gives the stored coworker; other content under it is refused without a hint.
pub async fn a_coworker_is_made_once(plane: &Plane) {
    let store = &plane.store;
    let made = store
        .create_channel_agent(agent("t1", "a", "Ann"))
        .await
        .unwrap();
    let again = store.create_channel_agent(agent("t1", "a", "Ann")).await;
    assert_eq!(again, Ok(made.clone()));
    let other = store.create_channel_agent(agent("t1", "a", "Bob")).await;
    assert_eq!(
        other,
        Err(StoreError::Conflict(
            "Channel resource id is unavailable.".to_owned()
        ))
    );
    store
        .create_channel_agent(agent("t2", "a", "Bob"))
        .await
        .unwrap();
    assert_eq!(store.channel_agent(&tenant(), "a").await, Ok(Some(made)));
    let foreign = store.update_channel_agent(agent("t3", "a", "Eve")).await;
    assert_eq!(foreign, Ok(None));
}

/// Lists are pages, touched last first, and a cursor belongs to its list.
pub async fn channel_lists_page_by_key(plane: &Plane) {
    let store = &plane.store;
    for (id, touched) in [("a", 3), ("b", 1), ("c", 3), ("d", 2)] {
        let mut new = agent("t1", id, "Ann");
        new.updated_at = iso(at(touched));
        store.create_channel_agent(new).await.unwrap();
    }
    let mut ids = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = store
            .channel_agents(&tenant(), cursor.as_deref(), 1)
            .await
            .unwrap();
        ids.extend(page.rows.into_iter().map(|row| row.agent_id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
        let elsewhere = store
            .channel_agents(&"t2".into(), cursor.as_deref(), 1)
            .await;
        assert_eq!(elsewhere, Err(StoreError::InvalidCursor));
    }
    assert_eq!(ids, ["c", "a", "d", "b"]);
}

/// The cap counts channels that are not disabled, also when one is switched on again.
pub async fn channels_are_capped(plane: &Plane) {
    let store = &plane.store;
    with_channel(plane, "b").await;
    let unknown = {
        let mut row = binding("x");
        row.binding.agent_id = "nobody".to_owned();
        store.create_channel_binding(&tenant(), row, None).await
    };
    assert!(matches!(unknown, Err(StoreError::Missing(_))));
    let full = |result: Result<_, StoreError>| match result {
        Err(StoreError::Quota(denial)) => denial.code,
        other => panic!("{other:?}"),
    };
    let second = store
        .create_channel_binding(&tenant(), binding("c"), Some(1))
        .await;
    assert_eq!(
        full(second.map(Some)),
        "quota.gateway_channel_bindings_exceeded"
    );
    // The stored one comes back all the same.
    let again = store
        .create_channel_binding(&tenant(), binding("b"), Some(1))
        .await;
    assert_eq!(again, Ok(binding("b")));
    let mut off = binding("c");
    off.binding.status = ChannelBindingStatus::Disabled;
    store
        .create_channel_binding(&tenant(), off, Some(1))
        .await
        .unwrap();
    let on = store
        .update_channel_binding(&tenant(), binding("c"), Some(1))
        .await;
    assert_eq!(full(on), "quota.gateway_channel_bindings_exceeded");
    let found = store
        .channel_binding(&tenant(), "b")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.credential_ref.as_deref(), Some("env:SLACK"));
    assert_eq!(store.channel_binding(&"t2".into(), "b").await, Ok(None));
}

/// What a gateway reports changes neither account nor role nor status.
pub async fn a_gateway_cannot_raise_a_person(plane: &Plane) {
    let store = &plane.store;
    let person = |role: &str, status: &str, name: &str| -> ChannelIdentity {
        serde_json::from_value(json!({
            "identityId": "", "orgId": "t1", "provider": "slack", "externalWorkspaceId": "w",
            "externalUserId": "u", "accountId": null, "role": role, "status": status,
            "metadata": {"name": name}, "createdAt": iso(at(0)), "updatedAt": iso(at(0)),
        }))
        .unwrap()
    };
    let set = store
        .upsert_channel_identity(&tenant(), person("member", "active", "one"), false)
        .await
        .unwrap();
    let key = PersonKey {
        provider: "slack".to_owned(),
        external_workspace_id: Some("w".to_owned()),
        external_user_id: "u".to_owned(),
    };
    assert_eq!(set.identity_id, key.identity_id(&org()));
    let seen = store
        .upsert_channel_identity(&tenant(), person("owner", "pending", "two"), true)
        .await
        .unwrap();
    assert_eq!((seen.role, seen.status), (set.role, set.status));
    assert_eq!(seen.metadata["name"], "two");
    let query = PeopleQuery {
        role: Some(set.role),
        ..PeopleQuery::default()
    };
    let page = store.channel_identities(&tenant(), &query).await.unwrap();
    assert_eq!(page.rows, [seen]);
    assert!(
        store
            .channel_identities(&"t2".into(), &query)
            .await
            .unwrap()
            .rows
            .is_empty()
    );
}

/// Two that bind a chat at once get the same binding; a thread of somebody else is unknown.
pub async fn a_chat_is_bound_once(plane: &Plane) {
    with_channel(plane, "b").await;
    plane.session("t1", "u1", "s1").await;
    plane.session("t1", "u1", "s2").await;
    plane.session("t1", "u2", "theirs").await;
    let theirs = plane.store.bind_channel_session(chat("theirs")).await;
    assert_eq!(theirs, Err(StoreError::NotFound("theirs".to_owned())));
    let both = [("s1", &plane.store), ("s2", &plane.peer)];
    let bound = join_all(both.map(|(id, store)| store.bind_channel_session(chat(id)))).await;
    let bound: Vec<_> = bound.into_iter().map(Result::unwrap).collect();
    assert_eq!(bound[0], bound[1]);
    let key = ChatKey {
        provider: "slack".to_owned(),
        external_workspace_id: Some("w".to_owned()),
        external_chat_id: "ch".to_owned(),
        external_thread_id: "th".to_owned(),
    };
    let found = plane
        .store
        .channel_session(&tenant(), &key.binding_id(&org()))
        .await;
    assert_eq!(found, Ok(Some(bound[0].clone())));
    let session = &bound[0].binding.session_id;
    let chats = plane.store.channel_sessions_of(&tenant(), session).await;
    assert_eq!(chats, Ok(bound[..1].to_vec()));
}

/// Neither sequence of a chat ever goes back.
pub async fn a_chats_cursor_never_goes_back(plane: &Plane) {
    with_channel(plane, "b").await;
    plane.session("t1", "u1", "s1").await;
    let store = &plane.store;
    let row = store.bind_channel_session(chat("s1")).await.unwrap();
    let id = row.binding.binding_id.as_str();
    let moved = |event, workspace, message| {
        store.update_channel_cursor(tenant_static(), id, event, workspace, message, at(1))
    };
    let first = moved(5, 7, Some(Some("m".to_owned())))
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(first, CursorUpdate::Updated(_)));
    for (event, workspace) in [(4, 8), (6, 6)] {
        let stale = moved(event, workspace, None).await.unwrap().unwrap();
        let CursorUpdate::Stale(stale) = stale else {
            panic!("{stale:?}");
        };
        assert_eq!(
            (stale.last_event_sequence, stale.last_workspace_sequence),
            (5, 7)
        );
    }
    let kept = moved(5, 7, None).await.unwrap().unwrap();
    let CursorUpdate::Updated(kept) = kept else {
        panic!("{kept:?}");
    };
    assert_eq!(kept.last_chat_message_id.as_deref(), Some("m"));
    let cleared = moved(5, 7, Some(None)).await.unwrap().unwrap();
    let CursorUpdate::Updated(cleared) = cleared else {
        panic!("{cleared:?}");
    };
    assert_eq!(cleared.last_chat_message_id, None);
    let unknown = store
        .update_channel_cursor(&tenant(), "x", 1, 1, None, at(1))
        .await;
    assert_eq!(unknown, Ok(None));
}

fn tenant_static() -> &'static TenantId {
    static TENANT: std::sync::LazyLock<TenantId> = std::sync::LazyLock::new(tenant);
    &TENANT
}

fn ask(id: &str, external: Option<&str>) -> InteractionRow {
    let interaction: ChannelInteraction = serde_json::from_value(json!({
        "interactionId": id, "orgId": "t1", "agentId": "a", "channelBindingId": "b",
        "sessionBindingId": null, "sessionId": "s1", "provider": "slack",
        "externalInteractionId": external, "kind": "permission", "targetId": "p", "status": "pending",
        "createdByIdentityId": null, "expiresAt": iso(at(60)), "usedAt": null,
        "createdAt": iso(at(0)), "updatedAt": iso(at(0)),
    }))
    .unwrap();
    InteractionRow {
        interaction,
        token_hash: "hash".to_owned(),
    }
}

fn answer(id: &str) -> NewCommand {
    NewCommand {
        command_id: id.into(),
        key: SessionKey::new("t1", "s1"),
        user_id: "u1".into(),
        kind: CommandKind::PermissionRespond,
        payload: JsonObject::new(),
        traceparent: None,
    }
}

/// Of many answers to one ask exactly one is queued, with the ask's use in one transaction.
pub async fn an_ask_is_answered_once(plane: &Plane) {
    plane.session("t1", "u1", "s1").await;
    plane
        .store
        .create_interaction(&tenant(), ask("i", None))
        .await
        .unwrap();
    let taken = plane
        .store
        .create_interaction(&tenant(), ask("i", None))
        .await;
    assert!(matches!(taken, Err(StoreError::Conflict(_))));
    let tries = (0..8).map(|nth| {
        let store = if nth % 2 == 0 {
            &plane.store
        } else {
            &plane.peer
        };
        let command = answer(&format!("c{nth}"));
        store.resolve_interaction(tenant_static(), "i", command, QueueLimits::default(), at(1))
    });
    let done = join_all(tries).await;
    let won: Vec<_> = done.iter().filter_map(|done| done.as_ref().ok()).collect();
    assert_eq!(won.len(), 1, "{done:?}");
    assert!(
        done.iter()
            .all(|done| matches!(done, Ok(_) | Err(StoreError::Conflict(_))))
    );
    let mut queued = 0;
    for nth in 0..8 {
        let id = format!("c{nth}").as_str().into();
        let found = plane.store.command(&SessionKey::new("t1", "s1"), &id).await;
        queued += usize::from(found.unwrap().is_some());
    }
    assert_eq!(queued, 1, "a refused answer leaves no command");
    let used = plane
        .store
        .interaction(&tenant(), "i", at(1))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(used.interaction.status, InteractionStatus::Used);
}

/// An ask that waited too long reads as expired and can't be answered.
pub async fn a_late_answer_finds_the_ask_expired(plane: &Plane) {
    plane.session("t1", "u1", "s1").await;
    let store = &plane.store;
    store
        .create_interaction(&tenant(), ask("i", Some("e")))
        .await
        .unwrap();
    let same_external = store
        .create_interaction(&tenant(), ask("j", Some("e")))
        .await;
    assert!(matches!(same_external, Err(StoreError::Conflict(_))));
    let late = store
        .resolve_interaction(&tenant(), "i", answer("c"), QueueLimits::default(), at(60))
        .await;
    assert!(matches!(late, Err(StoreError::Conflict(_))));
    let found = store
        .find_interactions(&tenant(), "slack", "e", at(60))
        .await
        .unwrap();
    assert_eq!(found[0].interaction.status, InteractionStatus::Expired);
    assert_eq!(store.interaction(&"t2".into(), "i", at(0)).await, Ok(None));
    let unknown = store
        .resolve_interaction(&tenant(), "x", answer("c"), QueueLimits::default(), at(1))
        .await;
    assert_eq!(unknown, Err(StoreError::Missing("interaction")));
    let none = store
        .command(&SessionKey::new("t1", "s1"), &"c".into())
        .await;
    assert_eq!(none, Ok(None));
}

/// Eight claimers on two processes share the deliveries: each goes to one of them.
pub async fn eight_claimers_claim_each_delivery_once(plane: &Plane) {
    with_channel(plane, "b").await;
    let all: BTreeSet<String> = (0..40).map(|nth| format!("d{nth:02}")).collect();
    for id in &all {
        plane
            .store
            .create_delivery(&tenant(), delivery("b", id, 0))
            .await
            .unwrap();
    }
    let channels = ["b".to_owned()];
    let claimers = (0..8).map(|nth| {
        let store = if nth % 2 == 0 {
            &plane.store
        } else {
            &plane.peer
        };
        let channels = &channels;
        async move {
            let name = format!("g{nth}");
            let mut claimed = Vec::new();
            let mut idle = 0;
            // What another has locked isn't seen for a moment.
            while idle < 20 {
                let next = store
                    .claim_delivery(
                        tenant_static(),
                        channels,
                        claimer(&name),
                        30_000,
                        None,
                        at(1),
                    )
                    .await
                    .unwrap();
                match next {
                    Some(delivery) => claimed.push(delivery.delivery_id),
                    None => idle += 1,
                }
            }
            claimed
        }
    });
    let claimed: Vec<String> = join_all(claimers).await.concat();
    assert_eq!(claimed.len(), all.len(), "none twice");
    assert_eq!(claimed.into_iter().collect::<BTreeSet<_>>(), all);
}

/// Due ones come by their time; a claim that nobody settles comes back after its time.
pub async fn a_claim_ends_and_the_delivery_comes_back(plane: &Plane) {
    with_channel(plane, "b").await;
    let store = &plane.store;
    for (id, due) in [("later", 5), ("first", 1), ("never", 1000)] {
        store
            .create_delivery(&tenant(), delivery("b", id, due))
            .await
            .unwrap();
    }
    let again = store
        .create_delivery(&tenant(), delivery("b", "first", 900))
        .await
        .unwrap();
    assert_eq!(
        again.next_attempt_at,
        iso(at(1)),
        "a known one comes back as it is"
    );
    let channels = ["b".to_owned()];
    let claim = |seconds| {
        store.claim_delivery(
            tenant_static(),
            &channels,
            claimer("g"),
            10_000,
            None,
            at(seconds),
        )
    };
    let first = claim(6).await.unwrap().unwrap();
    assert_eq!(
        (first.delivery_id.as_str(), first.attempt_count),
        ("first", 1)
    );
    assert_eq!(claim(6).await.unwrap().unwrap().delivery_id, "later");
    assert_eq!(claim(6).await, Ok(None));
    let nothing = store
        .claim_delivery(&tenant(), &[], claimer("g"), 10_000, None, at(100))
        .await;
    assert_eq!(nothing, Ok(None), "no channel, nothing to claim");
    let back = claim(16).await.unwrap().unwrap();
    assert_eq!(
        (back.delivery_id.as_str(), back.attempt_count),
        ("first", 2)
    );
}

/// Only who has claimed it settles a delivery, and once; retrying works from every state.
pub async fn a_delivery_is_settled_by_its_claimer(plane: &Plane) {
    with_channel(plane, "b").await;
    let store = &plane.store;
    store
        .create_channel_binding(&tenant(), binding("c"), None)
        .await
        .unwrap();
    store
        .create_delivery(&tenant(), delivery("b", "d", 0))
        .await
        .unwrap();
    let channels = ["b".to_owned(), "c".to_owned()];
    let sent = || change(DeliveryStatus::Sent);
    let early = store
        .ack_delivery(&tenant(), key("d"), "g", sent(), at(1))
        .await;
    assert_eq!(early, Ok(None));
    store
        .claim_delivery(&tenant(), &channels, claimer("g"), 10_000, None, at(1))
        .await
        .unwrap();
    let other = store
        .ack_delivery(&tenant(), key("d"), "h", sent(), at(1))
        .await;
    assert_eq!(other, Ok(None));
    let foreign = store
        .ack_delivery(&"t2".into(), key("d"), "g", sent(), at(1))
        .await;
    assert_eq!(foreign, Ok(None));
    let done = store
        .ack_delivery(&tenant(), key("d"), "g", sent(), at(1))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(done.status, DeliveryStatus::Sent);
    assert_eq!(
        (done.claimed_by, done.last_claimed_by.as_deref()),
        (None, Some("g"))
    );
    let twice = store
        .ack_delivery(&tenant(), key("d"), "g", sent(), at(1))
        .await;
    assert_eq!(twice, Ok(None));
    let retry = DeliveryChange {
        next_attempt_at: Some(iso(at(2))),
        ..change(DeliveryStatus::Failed)
    };
    store
        .set_delivery(&tenant(), key("d"), retry, at(2))
        .await
        .unwrap()
        .unwrap();
    let back = store
        .claim_delivery(&tenant(), &channels, claimer("h"), 10_000, None, at(2))
        .await
        .unwrap();
    assert_eq!(back.unwrap().delivery_id, "d");
    // The same public id on another channel: without the channel it is ambiguous.
    store
        .create_delivery(&tenant(), delivery("c", "d", 0))
        .await
        .unwrap();
    let ambiguous = store
        .ack_delivery(&tenant(), key("d"), "h", sent(), at(2))
        .await;
    assert_eq!(ambiguous, Ok(None));
    let exact = DeliveryKey {
        binding: Some("b"),
        holder: Some("h"),
        ..key("d")
    };
    assert!(
        store
            .ack_delivery(&tenant(), exact, "h", sent(), at(2))
            .await
            .unwrap()
            .is_some()
    );
    let mine = DeliveryQuery {
        bindings: Some(vec!["b".to_owned()]),
        holder: Some("h".to_owned()),
        ..DeliveryQuery::default()
    };
    assert_eq!(
        store.deliveries(&tenant(), &mine).await.unwrap().rows.len(),
        1
    );
    let none = DeliveryQuery {
        bindings: Some(Vec::new()),
        ..DeliveryQuery::default()
    };
    assert!(
        store
            .deliveries(&tenant(), &none)
            .await
            .unwrap()
            .rows
            .is_empty()
    );
}

/// Claims count in the organisation's quota.
pub async fn claims_of_deliveries_are_capped(plane: &Plane) {
    with_channel(plane, "b").await;
    let store = &plane.store;
    for id in ["x", "y"] {
        store
            .create_delivery(&tenant(), delivery("b", id, 0))
            .await
            .unwrap();
    }
    let channels = ["b".to_owned()];
    let claim = || {
        store.claim_delivery(
            tenant_static(),
            &channels,
            claimer("g"),
            1000,
            Some(1),
            at(1),
        )
    };
    claim().await.unwrap().unwrap();
    assert!(matches!(claim().await, Err(StoreError::Quota(_))));
}

fn event(by: &str) -> ProviderEvent {
    serde_json::from_value(json!({
        "eventId": "e", "orgId": "t1", "channelBindingId": null, "provider": "slack",
        "providerInstanceId": "one", "externalWorkspaceId": null, "providerEventId": "42",
        "eventType": "message", "status": "received", "claimedBy": by, "claimExpiresAt": null,
        "attemptCount": 0, "retryable": true, "lastError": null, "metadata": {}, "processedAt": null,
        "createdAt": iso(at(0)), "updatedAt": iso(at(0)),
    }))
    .unwrap()
}

/// What a provider reports twice is treated once, again after a lost claim or a failure that may be retried.
pub async fn a_providers_event_is_treated_once(plane: &Plane) {
    let store = &plane.store;
    let tries = (0..8).map(|nth| {
        let store = if nth % 2 == 0 {
            &plane.store
        } else {
            &plane.peer
        };
        store.claim_provider_event(tenant_static(), event(&format!("g{nth}")), 10_000, at(0))
    });
    let claims = join_all(tries).await;
    let won: Vec<_> = claims
        .into_iter()
        .map(Result::unwrap)
        .filter(|claim| claim.claimed)
        .collect();
    assert_eq!(won.len(), 1);
    let winner = won[0].event.claimed_by.clone().unwrap();
    let outcome = |status, retryable| ProviderEventOutcome {
        status,
        retryable,
        last_error: None,
    };
    let failed = || outcome(ProviderEventStatus::Failed, true);
    let other = store
        .complete_provider_event(&tenant(), "e", "nobody", failed(), at(1))
        .await;
    assert_eq!(other, Ok(None));
    let done = store
        .complete_provider_event(&tenant(), "e", &winner, failed(), at(1))
        .await;
    assert_eq!(done.unwrap().unwrap().claimed_by, None);
    let again = store
        .claim_provider_event(&tenant(), event("g"), 10_000, at(2))
        .await
        .unwrap();
    assert!(again.claimed);
    assert_eq!(again.event.attempt_count, 2);
    let lost = store
        .claim_provider_event(&tenant(), event("h"), 10_000, at(11))
        .await
        .unwrap();
    assert!(!lost.claimed, "the claim still holds");
    let taken = store
        .claim_provider_event(&tenant(), event("h"), 10_000, at(12))
        .await
        .unwrap();
    assert!(taken.claimed, "the claim has ended");
    let processed = outcome(ProviderEventStatus::Processed, false);
    let done = store
        .complete_provider_event(&tenant(), "e", "h", processed, at(13))
        .await;
    assert_eq!(
        done.unwrap().unwrap().status,
        ProviderEventStatus::Processed
    );
    let never = store
        .claim_provider_event(&tenant(), event("g"), 10_000, at(9999))
        .await
        .unwrap();
    assert!(!never.claimed);
}

/// Retention removes what has ended and nothing else.
pub async fn only_what_has_ended_is_pruned(plane: &Plane) {
    with_channel(plane, "b").await;
    let store = &plane.store;
    let mut sent = delivery("b", "sent", 0);
    sent.status = DeliveryStatus::Sent;
    store.create_delivery(&tenant(), sent).await.unwrap();
    store
        .create_delivery(&tenant(), delivery("b", "open", 0))
        .await
        .unwrap();
    assert_eq!(store.prune_channels(at(100), 10).await, Ok(1));
    let left = store
        .deliveries(&tenant(), &DeliveryQuery::default())
        .await
        .unwrap();
    assert_eq!(left.rows[0].delivery_id, "open");
}
