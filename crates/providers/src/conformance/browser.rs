//! Cases about browser sessions, idempotency keys, rate limits and sign-in back-off (03 §5, §6.4, §12 #7).

use super::fixtures::{at, tenant};
use super::plane::Plane;
use crate::store::browser::{
    BackoffRule, BrowserSession, IdempotencyScope, KeptAnswer, RateClaim, Reservation,
};
use crate::store::{ControlPlane, StoreError};
use futures::future::join_all;
use open_cowork_contracts::JsonObject;
use std::sync::Arc;

type Handle = Arc<dyn ControlPlane>;

fn session(hash: &str, account: &str) -> BrowserSession {
    BrowserSession {
        session_hash: hash.into(),
        tenant_id: tenant("t1"),
        account_id: account.into(),
        body: JsonObject::from_iter([("email".to_owned(), "ann@acme.test".into())]),
        created_at: at(0),
        expires_at: at(1000),
        ends_at: at(5000),
    }
}

/// And is found by its hash only.
pub async fn a_browser_session_ends_at_its_time_or_when_it_is_revoked(plane: &Plane) {
    let (a, b) = (&plane.store, &plane.peer);
    let first = session("h1", "ann");
    a.create_browser_session(&first).await.unwrap();
    let twice = b.create_browser_session(&first).await;
    assert!(matches!(twice, Err(StoreError::Conflict(_))));
    assert_eq!(b.browser_session("h1", at(999)).await.unwrap(), Some(first));
    assert_eq!(b.browser_session("h1", at(1000)).await.unwrap(), None);
    assert_eq!(b.browser_session("h2", at(0)).await.unwrap(), None);
    assert!(b.revoke_browser_session("h1").await.unwrap());
    assert!(!a.revoke_browser_session("h1").await.unwrap());
    assert_eq!(a.browser_session("h1", at(1)).await.unwrap(), None);
}

/// The first one stays, whichever process asks.
pub async fn a_database_has_one_stream_epoch(plane: &Plane) {
    let first = plane.store.stream_epoch("one").await.unwrap();
    assert_eq!(first, "one");
    assert_eq!(plane.peer.stream_epoch("two").await.unwrap(), "one");
    assert_eq!(plane.store.stream_epoch("three").await.unwrap(), "one");
}

/// And revives nothing.
pub async fn a_renewal_never_passes_the_latest_end(plane: &Plane) {
    let a = &plane.store;
    a.create_browser_session(&session("h1", "ann"))
        .await
        .unwrap();
    assert!(
        a.renew_browser_session("h1", at(9000), at(500))
            .await
            .unwrap()
    );
    assert!(a.browser_session("h1", at(4999)).await.unwrap().is_some());
    assert_eq!(a.browser_session("h1", at(5000)).await.unwrap(), None);
    assert!(
        !a.renew_browser_session("h1", at(9000), at(5000))
            .await
            .unwrap()
    );
    assert!(
        !a.renew_browser_session("h2", at(9000), at(0))
            .await
            .unwrap()
    );
}

/// Others stay.
pub async fn an_accounts_sessions_end_together_in_their_tenant(plane: &Plane) {
    let a = &plane.store;
    for (hash, account) in [("h1", "ann"), ("h2", "ann"), ("h3", "bob")] {
        a.create_browser_session(&session(hash, account))
            .await
            .unwrap();
    }
    let elsewhere = a
        .revoke_browser_sessions(&tenant("t2"), &"ann".into())
        .await;
    assert_eq!(elsewhere.unwrap(), 0);
    let ended = a
        .revoke_browser_sessions(&tenant("t1"), &"ann".into())
        .await;
    assert_eq!(ended.unwrap(), 2);
    assert!(a.browser_session("h3", at(1)).await.unwrap().is_some());
}

fn scope(key: &str) -> IdempotencyScope {
    IdempotencyScope {
        tenant_id: tenant("t1"),
        principal: "account:ann".into(),
        route: "POST /api/sessions".into(),
        key: key.into(),
    }
}

async fn reserve(plane: &Handle, fingerprint: &str, now: i64) -> Reservation {
    let expires = at(now + 86_400_000);
    plane
        .reserve_idempotent(&scope("k"), fingerprint, at(now), expires, 60_000)
        .await
        .unwrap()
}

fn answer(body: &str) -> KeptAnswer {
    KeptAnswer {
        status: 201,
        content_type: Some("application/json".into()),
        body: body.into(),
    }
}

/// The others are told to wait, over both handles.
pub async fn of_many_equal_requests_one_does_the_work(plane: &Plane) {
    let (a, b) = (&plane.store, &plane.peer);
    let all = join_all((0..8).map(|n| reserve([a, b][n % 2], "f", n as i64))).await;
    let reserved = all
        .iter()
        .filter(|it| matches!(it, Reservation::Reserved(_)));
    assert_eq!(reserved.count(), 1, "{all:?}");
    let waiting = all.iter().filter(|it| **it == Reservation::InProgress);
    assert_eq!(waiting.count(), 7);
}

/// Whatever became of the first. Another principal, route or tenant has keys of its own.
pub async fn a_key_with_another_body_is_another_request(plane: &Plane) {
    let a = &plane.store;
    assert!(matches!(reserve(a, "f", 0).await, Reservation::Reserved(_)));
    assert_eq!(reserve(a, "g", 1).await, Reservation::OtherRequest);
    for change in [
        |scope: &mut IdempotencyScope| scope.tenant_id = "t2".into(),
        |scope: &mut IdempotencyScope| scope.principal = "token:x".into(),
        |scope: &mut IdempotencyScope| scope.route = "POST /api/workflows".into(),
    ] {
        let mut other = scope("k");
        change(&mut other);
        let reserved = a
            .reserve_idempotent(&other, "g", at(1), at(1000), 60_000)
            .await;
        assert!(
            matches!(reserved, Ok(Reservation::Reserved(_))),
            "{other:?}"
        );
    }
}

/// Byte for byte.
pub async fn an_answer_is_kept_until_the_key_expires(plane: &Plane) {
    let (a, b) = (&plane.store, &plane.peer);
    let Reservation::Reserved(token) = reserve(a, "f", 0).await else {
        panic!("the key is free")
    };
    a.complete_idempotent(&scope("k"), token, &answer("{\"ä\":\"\\u0000\"}"))
        .await
        .unwrap();
    a.complete_idempotent(&scope("k"), token, &answer("other"))
        .await
        .unwrap();
    let kept = reserve(b, "f", 80_000_000).await;
    assert_eq!(kept, Reservation::Done(answer("{\"ä\":\"\\u0000\"}")));
    assert_eq!(reserve(b, "g", 80_000_000).await, Reservation::OtherRequest);
    assert!(matches!(
        reserve(b, "g", 86_400_000).await,
        Reservation::Reserved(_)
    ));
}

/// A process that died in the middle; if it lives after all, it changes nothing any more.
pub async fn an_abandoned_reservation_is_free_again_and_its_holder_too_late(plane: &Plane) {
    let (a, b) = (&plane.store, &plane.peer);
    let Reservation::Reserved(slow) = reserve(a, "f", 0).await else {
        panic!("the key is free")
    };
    assert_eq!(reserve(b, "f", 59_999).await, Reservation::InProgress);
    let Reservation::Reserved(fast) = reserve(b, "f", 60_000).await else {
        panic!("the key is free again")
    };
    a.complete_idempotent(&scope("k"), slow, &answer("slow"))
        .await
        .unwrap();
    a.release_idempotent(&scope("k"), slow).await.unwrap();
    assert_eq!(reserve(a, "f", 60_001).await, Reservation::InProgress);
    b.complete_idempotent(&scope("k"), fast, &answer("fast"))
        .await
        .unwrap();
    assert_eq!(
        reserve(a, "f", 60_002).await,
        Reservation::Done(answer("fast"))
    );
}

/// Nothing was done, so anybody may.
pub async fn a_released_key_is_free(plane: &Plane) {
    let (a, b) = (&plane.store, &plane.peer);
    let Reservation::Reserved(token) = reserve(a, "f", 0).await else {
        panic!("the key is free")
    };
    a.release_idempotent(&scope("k"), token).await.unwrap();
    assert!(matches!(reserve(b, "g", 1).await, Reservation::Reserved(_)));
}

/// Two buckets at once, each by itself; they refill evenly.
pub async fn a_bucket_is_exact_under_many_takers(plane: &Plane) {
    let (a, b) = (&plane.store, &plane.peer);
    let claim = |bucket: &str, capacity| RateClaim {
        bucket: bucket.into(),
        capacity,
        window_ms: 60_000,
        cost: 1,
    };
    let claims = [claim("org:t1", 10), claim("ip:x", 3)];
    let all = join_all((0..16).map(|n| [a, b][n % 2].take_tokens(&claims, at(0)))).await;
    let allowed = |nth: usize| {
        let verdicts = all.iter().map(|it| it.as_ref().unwrap()[nth].allowed);
        verdicts.filter(|allowed| *allowed).count()
    };
    assert_eq!((allowed(0), allowed(1)), (10, 3));
    let refused = a.take_tokens(&claims, at(0)).await.unwrap();
    assert_eq!(
        (refused[0].remaining, refused[1].retry_after_ms),
        (0, 20_000)
    );
    let later = a.take_tokens(&claims, at(20_000)).await.unwrap();
    assert!(later[0].allowed && later[1].allowed);
}

/// 03 §5.2: each scope by itself, and only failures inside the window count.
pub async fn sign_in_backs_off_after_too_many_failures(plane: &Plane) {
    let (a, b) = (&plane.store, &plane.peer);
    let rule = BackoffRule {
        window_ms: 60_000,
        max_failures: 3,
        backoff_ms: 30_000,
    };
    let scopes = |text: &str| [format!("ip:{text}")];
    for (now, expected) in [
        (0, 0),
        (59_000, 0),
        (61_000, 0),
        (62_000, 0),
        (63_000, 30_000),
    ] {
        let plane = [a, b][now as usize / 1000 % 2];
        plane
            .record_sign_in_failure(&scopes("x"), rule, at(now))
            .await
            .unwrap();
        let wait = b.sign_in_backoff(&scopes("x"), at(now)).await.unwrap();
        assert_eq!(wait, expected, "{now}");
    }
    let both = ["ip:y".to_owned(), "ip:x".to_owned()];
    assert_eq!(a.sign_in_backoff(&both, at(73_000)).await.unwrap(), 20_000);
    assert_eq!(
        a.sign_in_backoff(&scopes("y"), at(63_000)).await.unwrap(),
        0
    );
    assert_eq!(
        a.sign_in_backoff(&scopes("x"), at(93_000)).await.unwrap(),
        0
    );
}

/// And nothing that still counts.
pub async fn what_has_ended_is_pruned(plane: &Plane) {
    let a = &plane.store;
    a.create_browser_session(&session("h1", "ann"))
        .await
        .unwrap();
    reserve(a, "f", 0).await;
    assert_eq!(a.prune_browser(at(500), 10).await.unwrap(), 0);
    assert_eq!(a.prune_browser(at(1000), 10).await.unwrap(), 1);
    assert_eq!(a.prune_browser(at(86_400_000), 10).await.unwrap(), 1);
}
