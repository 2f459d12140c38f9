//! Cases about policy, provider keys, audit, usage, quotas and settings (04 §2.9–2.11).

use super::fixtures::{at, stamp, tenant};
use super::plane::Plane;
use crate::store::StoreError;
use crate::store::governance::{AuditQuery, ByokVerdict, NewUsage, QuotaClaim, StoredByok};
use crate::time::iso;
use futures::future::join_all;
use open_cowork_contracts::JsonObject;
use open_cowork_contracts::api::admin::{AuditActor, AuditEvent};
use open_cowork_contracts::api::byok::{ByokSecret, ByokStatus, CredentialKind};
use open_cowork_contracts::api::usage::{
    BillingSubscription, QuotaKey, SubscriptionStatus, UsageEventType,
};
use serde_json::{Value, json};

fn object(value: Value) -> JsonObject {
    match value {
        Value::Object(object) => object,
        _ => JsonObject::new(),
    }
}

/// Two administrators at once: the second is told to read again.
pub async fn a_policy_is_replaced_only_by_who_has_read_it(plane: &Plane) {
    let (a, b) = (&plane.store, &plane.peer);
    let t1 = tenant("t1");
    assert_eq!(a.policy(&t1).await.unwrap(), None);
    let policy = object(json!({"allowedProviders": ["acme"], "later": {"field": 1}}));
    let first = a.put_policy(&t1, &policy, None, &stamp(1)).await.unwrap();
    assert_eq!(b.policy(&t1).await.unwrap(), Some(first.clone()));
    assert_eq!(first.policy, policy);
    let read = Some(first.updated_at.as_str());
    let second = b.put_policy(&t1, &policy, read, &stamp(1)).await.unwrap();
    assert!(second.updated_at > first.updated_at);
    assert_eq!(second.created_at, first.created_at);
    for stale in [None, read] {
        let refused = a.put_policy(&t1, &policy, stale, &stamp(2)).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))));
    }
    assert_eq!(a.policy(&tenant("t2")).await.unwrap(), None);
}

fn key(id: &str, provider: &str) -> StoredByok {
    StoredByok {
        secret: ByokSecret {
            secret_id: id.into(),
            provider_id: provider.into(),
            status: ByokStatus::Active,
            credential_kind: CredentialKind::Plaintext,
            last4: "1234".into(),
            key_fingerprint: "f".repeat(24),
            last_validated_at: None,
            validation_error: None,
            created_at: String::new(),
            updated_at: String::new(),
        },
        ciphertext: Some(format!("enc:v1:{id}")),
        kms_ref: None,
        created_by: None,
        rotated_from: None,
    }
}

fn verdict(status: ByokStatus) -> ByokVerdict {
    ByokVerdict {
        status,
        validated: status == ByokStatus::Active,
        note: None,
        event_type: "byok_secret.validated",
    }
}

/// 04 §7.2.
pub async fn a_new_key_leaves_the_active_one_in_force_until_it_is_valid(plane: &Plane) {
    let (a, b) = (&plane.store, &plane.peer);
    let t1 = tenant("t1");
    let old = a
        .add_byok(&t1, &key("byok_z", "acme"), &stamp(1))
        .await
        .unwrap();
    assert_eq!(old.secret.status, ByokStatus::PendingValidation);
    assert_eq!(a.active_byok(&t1, "acme").await.unwrap(), None);
    a.judge_byok(&t1, "byok_z", &verdict(ByokStatus::Active), &stamp(2))
        .await
        .unwrap();
    // The same millisecond and a smaller id: still the newer one.
    let new = b
        .add_byok(&t1, &key("byok_a", "acme"), &stamp(1))
        .await
        .unwrap();
    assert_eq!(new.rotated_from.as_deref(), Some("byok_z"));
    let id = |key: Option<StoredByok>| key.map(|key| key.secret.secret_id).unwrap_or_default();
    assert_eq!(id(a.active_byok(&t1, "acme").await.unwrap()), "byok_z");
    assert_eq!(id(a.byok_secret(&t1, "acme").await.unwrap()), "byok_a");
    b.judge_byok(&t1, "byok_a", &verdict(ByokStatus::Invalid), &stamp(3))
        .await
        .unwrap();
    assert_eq!(id(a.active_byok(&t1, "acme").await.unwrap()), "byok_z");
    let now = b
        .judge_byok(&t1, "byok_a", &verdict(ByokStatus::Active), &stamp(4))
        .await
        .unwrap();
    assert_eq!(now.secret.last_validated_at, Some(iso(at(4))));
    assert_eq!(id(a.active_byok(&t1, "acme").await.unwrap()), "byok_a");
    assert_eq!(a.byok_secrets(&t1).await.unwrap().len(), 1);
    assert_eq!(a.active_byoks(&t1).await.unwrap().len(), 1);
}

/// Eight keys that become valid at the same moment.
pub async fn at_most_one_key_of_a_provider_is_active_whoever_is_first(plane: &Plane) {
    let (a, b) = (&plane.store, &plane.peer);
    let t1 = tenant("t1");
    let made = join_all((0..8).map(|n| {
        let (plane, t1) = ([a, b][n % 2], t1.clone());
        async move {
            let id = format!("byok_{n}");
            plane
                .add_byok(&t1, &key(&id, "acme"), &stamp(n as i64))
                .await
                .unwrap();
            let active = verdict(ByokStatus::Active);
            plane
                .judge_byok(&t1, &id, &active, &stamp(100 + n as i64))
                .await
        }
    }))
    .await;
    // Who was replaced before it was judged is refused.
    assert!(
        made.iter()
            .all(|it| matches!(it, Ok(_) | Err(StoreError::Conflict(_))))
    );
    assert_eq!(a.active_byoks(&t1).await.unwrap().len(), 1);
}

/// Disabling withdraws active and waiting ones.
pub async fn a_withdrawn_key_stays_withdrawn(plane: &Plane) {
    let a = &plane.store;
    let t1 = tenant("t1");
    a.add_byok(&t1, &key("byok_1", "acme"), &stamp(1))
        .await
        .unwrap();
    a.judge_byok(&t1, "byok_1", &verdict(ByokStatus::Active), &stamp(2))
        .await
        .unwrap();
    a.add_byok(&t1, &key("byok_2", "acme"), &stamp(3))
        .await
        .unwrap();
    let gone = a
        .disable_byok(&t1, "acme", &stamp(4))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (gone.secret.secret_id.as_str(), gone.secret.status),
        ("byok_2", ByokStatus::Disabled)
    );
    assert_eq!(a.disable_byok(&t1, "acme", &stamp(5)).await.unwrap(), None);
    for id in ["byok_1", "byok_2"] {
        let again = a
            .judge_byok(&t1, id, &verdict(ByokStatus::Active), &stamp(6))
            .await;
        assert!(matches!(again, Err(StoreError::Conflict(_))));
    }
    assert_eq!(a.active_byok(&t1, "acme").await.unwrap(), None);
}

/// A foreign id is missing.
pub async fn provider_keys_stay_in_their_tenant(plane: &Plane) {
    let a = &plane.store;
    let (t1, t2) = (tenant("t1"), tenant("t2"));
    a.add_byok(&t1, &key("byok_1", "acme"), &stamp(1))
        .await
        .unwrap();
    a.add_byok(&t2, &key("byok_9", "other"), &stamp(1))
        .await
        .unwrap();
    let judged = a
        .judge_byok(&t2, "byok_1", &verdict(ByokStatus::Active), &stamp(2))
        .await;
    assert_eq!(judged.unwrap_err(), StoreError::Missing("provider key"));
    assert_eq!(a.byok_secret(&t2, "acme").await.unwrap(), None);
    assert_eq!(a.disable_byok(&t2, "acme", &stamp(3)).await.unwrap(), None);
    assert_eq!(a.byok_secrets(&t2).await.unwrap().len(), 1);
}

fn entry(id: &str, millis: i64, kind: &str, metadata: Value) -> AuditEvent {
    AuditEvent {
        event_id: id.into(),
        org_id: "t1".into(),
        account_id: Some("ann".into()),
        actor_type: AuditActor::User,
        actor_id: Some("ann".into()),
        event_type: kind.into(),
        target_type: Some("session".into()),
        target_id: Some("s1".into()),
        metadata: object(metadata),
        created_at: iso(at(millis)),
    }
}

/// Whatever the caller put in.
pub async fn audit_entries_are_recorded_once_and_redacted(plane: &Plane) {
    let (a, b) = (&plane.store, &plane.peer);
    let t1 = tenant("t1");
    let secret =
        json!({"result": "success", "apiKey": "canary", "nested": {"x": "canary"}, "note": "n"});
    let first = entry("e1", 1, "session.created", secret);
    join_all([a, b, a, b].map(|plane| plane.record_audit(&t1, std::slice::from_ref(&first)))).await;
    let rows = a
        .page_audit(&t1, &AuditQuery::default())
        .await
        .unwrap()
        .rows;
    assert_eq!(rows.len(), 1);
    let text = serde_json::to_string(&rows).unwrap();
    assert!(!text.contains("canary"), "{text}");
    assert_eq!(rows[0].metadata["note"], "n");
}

/// By actor, kind, type, target, result and time; a prefix is no pattern.
pub async fn the_audit_log_pages_newest_first_and_filters(plane: &Plane) {
    let a = &plane.store;
    let t1 = tenant("t1");
    let mut other = entry("e4", 3, "session.created", json!({"result": "denied"}));
    other.actor_id = Some("bob".into());
    other.target_type = None;
    let events = [
        entry("e1", 1, "session.created", json!({})),
        entry("e2", 2, "session%created", json!({})),
        entry("e3", 3, "byok_secret.created", json!({})),
        other,
    ];
    a.record_audit(&t1, &events).await.unwrap();
    let ids = |query: AuditQuery| {
        let (a, t1) = (a.clone(), t1.clone());
        async move {
            let page = a.page_audit(&t1, &query).await.unwrap();
            let ids: Vec<String> = page.rows.into_iter().map(|it| it.event_id).collect();
            (ids.join(" "), page.next)
        }
    };
    let all = AuditQuery {
        limit: 3,
        ..AuditQuery::default()
    };
    let (first, next) = ids(all.clone()).await;
    assert_eq!(first, "e4 e3 e2");
    a.record_audit(&t1, &[entry("e9", 9, "session.created", json!({}))])
        .await
        .unwrap();
    let rest = AuditQuery {
        cursor: next,
        ..all
    };
    assert_eq!(ids(rest).await, ("e1".to_owned(), None));
    let text = |text: &str| Some(text.to_owned());
    for (query, expected) in [
        (
            AuditQuery {
                actor_id: text("bob"),
                ..AuditQuery::default()
            },
            "e4",
        ),
        (
            AuditQuery {
                actor_type: Some(AuditActor::System),
                ..AuditQuery::default()
            },
            "",
        ),
        (
            AuditQuery {
                event_type_prefix: text("session."),
                ..AuditQuery::default()
            },
            "e9 e4 e1",
        ),
        (
            AuditQuery {
                event_type_prefix: text("session%"),
                ..AuditQuery::default()
            },
            "e2",
        ),
        (
            AuditQuery {
                target_id: text("s1"),
                target_type: text("session"),
                ..AuditQuery::default()
            },
            "e9 e3 e2 e1",
        ),
        (
            AuditQuery {
                result: text("denied"),
                ..AuditQuery::default()
            },
            "e4",
        ),
        (
            AuditQuery {
                from: Some(iso(at(2))),
                to: Some(iso(at(3))),
                ..AuditQuery::default()
            },
            "e4 e3 e2",
        ),
    ] {
        assert_eq!(ids(query.clone()).await.0, expected, "{query:?}");
    }
    let elsewhere = a
        .page_audit(&tenant("t2"), &AuditQuery::default())
        .await
        .unwrap();
    assert!(elsewhere.rows.is_empty());
}

/// Also in a tenant that nobody knows.
pub async fn an_audit_cursor_belongs_to_its_filter(plane: &Plane) {
    let a = &plane.store;
    let t1 = tenant("t1");
    let events: Vec<_> = (0..3)
        .map(|n| entry(&format!("e{n}"), n, "x", json!({})))
        .collect();
    a.record_audit(&t1, &events).await.unwrap();
    let query = AuditQuery {
        limit: 1,
        ..AuditQuery::default()
    };
    let next = a.page_audit(&t1, &query).await.unwrap().next;
    assert!(next.is_some());
    let other = AuditQuery {
        actor_id: Some("ann".into()),
        cursor: next.clone(),
        ..AuditQuery::default()
    };
    assert_eq!(
        a.page_audit(&t1, &other).await,
        Err(StoreError::InvalidCursor)
    );
    let elsewhere = AuditQuery {
        cursor: next,
        ..AuditQuery::default()
    };
    assert_eq!(
        a.page_audit(&tenant("t2"), &elsewhere).await,
        Err(StoreError::InvalidCursor)
    );
}

fn usage(id: &str, millis: i64) -> NewUsage {
    NewUsage {
        event_id: id.into(),
        account_id: None,
        event_type: UsageEventType::PromptEnqueued,
        quantity: 1,
        metadata: object(json!({"token": "canary"})),
        at: at(millis),
    }
}

/// Newest first.
pub async fn uses_are_recorded_once_and_paged(plane: &Plane) {
    let (a, b) = (&plane.store, &plane.peer);
    let t1 = tenant("t1");
    a.record_usage(&t1, &[usage("u1", 1), usage("u2", 2)])
        .await
        .unwrap();
    b.record_usage(&t1, &[usage("u2", 2), usage("u3", 3)])
        .await
        .unwrap();
    let page = a.page_usage(&t1, None, 2).await.unwrap();
    let ids: Vec<_> = page.rows.iter().map(|it| it.event_id.as_str()).collect();
    assert_eq!(ids, ["u3", "u2"]);
    assert_eq!(page.rows[0].metadata["token"], "[redacted]");
    let rest = a.page_usage(&t1, page.next.as_deref(), 2).await.unwrap();
    assert_eq!((rest.rows[0].event_id.as_str(), rest.next), ("u1", None));
    let foreign = a.page_usage(&tenant("t2"), page.next.as_deref(), 2).await;
    assert_eq!(foreign, Err(StoreError::InvalidCursor));
}

fn claim(amount: u64, limit: Option<u64>) -> QuotaClaim {
    QuotaClaim {
        key: QuotaKey::PromptsHour,
        amount,
        limit,
    }
}

/// Eight at a time over two handles; a refusal says what to do.
pub async fn a_quota_is_exact_under_many_consumers(plane: &Plane) {
    let (a, b) = (&plane.store, &plane.peer);
    let t1 = tenant("t1");
    let claim = claim(1, Some(17));
    let tries = (0..8).map(|n| {
        let (plane, t1, claim) = ([a, b][n % 2], &t1, &claim);
        async move {
            let mut taken = 0;
            for step in 0..5 {
                match plane.consume_quota(t1, claim, at(step)).await {
                    Ok(_) => taken += 1,
                    Err(StoreError::Quota(denial)) => {
                        assert_eq!(denial.code, "quota.prompts_per_hour_exceeded");
                        assert_eq!((denial.limit, denial.used), (17, 17));
                        assert!(denial.retry_after_ms >= 1 && denial.reset_at.is_some());
                    }
                    Err(other) => panic!("{other}"),
                }
            }
            taken
        }
    });
    let taken: u64 = join_all(tries).await.into_iter().sum();
    assert_eq!(taken, 17);
    let state = a
        .quota(&t1, QuotaKey::PromptsHour, Some(17), at(9))
        .await
        .unwrap();
    assert_eq!((state.used, state.remaining), (17, Some(0)));
}

/// What is given back can be taken again; after an hour all is free.
pub async fn a_quota_slides_and_refunds(plane: &Plane) {
    let a = &plane.store;
    let t1 = tenant("t1");
    let two = claim(2, Some(3));
    a.consume_quota(&t1, &two, at(0)).await.unwrap();
    assert!(a.consume_quota(&t1, &two, at(1)).await.is_err());
    a.refund_quota(&t1, &claim(1, None), at(2)).await.unwrap();
    a.consume_quota(&t1, &two, at(3)).await.unwrap();
    assert!(a.consume_quota(&t1, &two, at(3_590_000)).await.is_err());
    let later = at(2 * 3_600_000);
    a.consume_quota(&t1, &two, later).await.unwrap();
    let open = a
        .consume_quota(&t1, &claim(1000, None), later)
        .await
        .unwrap();
    assert_eq!(
        (open.limit, open.remaining, open.enabled),
        (None, None, false)
    );
}

/// Isolation.
pub async fn quotas_of_two_tenants_do_not_meet(plane: &Plane) {
    let a = &plane.store;
    let one = claim(1, Some(1));
    a.consume_quota(&tenant("t1"), &one, at(0)).await.unwrap();
    a.consume_quota(&tenant("t2"), &one, at(0)).await.unwrap();
    assert!(a.consume_quota(&tenant("t1"), &one, at(0)).await.is_err());
    let unknown = a
        .quota(&tenant("t3"), QuotaKey::PromptsHour, Some(1), at(0))
        .await
        .unwrap();
    assert_eq!(unknown.used, 0);
}

/// One per organisation.
pub async fn a_subscription_keeps_its_first_time_and_bounds_its_metadata(plane: &Plane) {
    let a = &plane.store;
    let t1 = tenant("t1");
    let mut wish = BillingSubscription {
        org_id: "ignored".into(),
        provider_id: "stub".into(),
        provider_customer_id: None,
        provider_subscription_id: None,
        plan_key: "team".into(),
        status: SubscriptionStatus::Active,
        seats: 3,
        entitlements: object(json!({"features": {"chat": true}})),
        current_period_end: None,
        cancel_at_period_end: false,
        metadata: object(json!({"customerSecret": "canary"})),
        created_at: String::new(),
        updated_at: String::new(),
    };
    let first = a.put_subscription(&t1, &wish, &stamp(1)).await.unwrap();
    assert_eq!(first.metadata["customerSecret"], "[redacted]");
    let second = a.put_subscription(&t1, &wish, &stamp(2)).await.unwrap();
    assert_eq!(second.created_at, first.created_at);
    assert_eq!(a.subscription(&t1).await.unwrap(), Some(second));
    wish.metadata = (0..100)
        .map(|n| (format!("field{n}"), "x".repeat(256).into()))
        .collect();
    let refused = a.put_subscription(&t1, &wish, &stamp(3)).await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))));
    assert_eq!(a.subscription(&tenant("t2")).await.unwrap(), None);
}

/// Another user of the tenant has their own.
pub async fn settings_belong_to_a_user_and_the_last_write_wins(plane: &Plane) {
    let (a, b) = (&plane.store, &plane.peer);
    let (t1, ann, bob) = (tenant("t1"), "ann".into(), "bob".into());
    let value = |n: i64| object(json!({"n": n, "later": [null]}));
    a.put_setting(&t1, &ann, "b%", &value(1), at(1))
        .await
        .unwrap();
    a.put_setting(&t1, &ann, "a", &value(2), at(2))
        .await
        .unwrap();
    let last = b
        .put_setting(&t1, &ann, "b%", &value(3), at(3))
        .await
        .unwrap();
    assert_eq!(a.setting(&t1, &ann, "b%").await.unwrap(), Some(last));
    assert_eq!(a.setting(&t1, &ann, "b").await.unwrap(), None);
    let all = a.settings(&t1, &ann).await.unwrap();
    let keys: Vec<_> = all.iter().map(|it| it.key.as_str()).collect();
    assert_eq!((keys, &all[1].value), (vec!["a", "b%"], &value(3)));
    assert!(a.settings(&t1, &bob).await.unwrap().is_empty());
    assert!(a.settings(&tenant("t2"), &ann).await.unwrap().is_empty());
}

/// Of all tenants; nothing that is younger.
pub async fn retention_deletes_the_oldest_up_to_a_limit(plane: &Plane) {
    let a = &plane.store;
    let (t1, t2) = (tenant("t1"), tenant("t2"));
    a.record_audit(
        &t1,
        &[
            entry("e1", 1, "x", json!({})),
            entry("e2", 2, "x", json!({})),
        ],
    )
    .await
    .unwrap();
    a.record_audit(&t2, &[entry("e1", 3, "x", json!({}))])
        .await
        .unwrap();
    a.record_usage(&t1, &[usage("u1", 1)]).await.unwrap();
    assert_eq!(a.prune_governance(Some(at(3)), None, 1).await.unwrap(), 1);
    let left = a
        .page_audit(&t1, &AuditQuery::default())
        .await
        .unwrap()
        .rows;
    assert_eq!(left[0].event_id, "e2");
    assert_eq!(
        a.prune_governance(Some(at(3)), Some(at(9)), 10)
            .await
            .unwrap(),
        2
    );
    assert_eq!(
        a.page_audit(&t2, &AuditQuery::default())
            .await
            .unwrap()
            .rows
            .len(),
        1
    );
}
