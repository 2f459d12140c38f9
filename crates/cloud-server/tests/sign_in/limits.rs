//! Back-off, the end of streams, and that no secret is shown.

use crate::header_mode;
use crate::sign_in_support::{Ask, Place, signed};
use open_cowork_cloud_server::auth::AuthOptions;
use open_cowork_contracts::access::{BuiltInRole, MembershipStatus, TokenScope};
use open_cowork_providers::bus::{EventBus as _, Topic};
use open_cowork_providers::store::browser::BackoffRule;
use open_cowork_providers::store::identity::{IdentityStore as _, MemberChange};

#[tokio::test]
async fn failed_attempts_back_off_and_only_attempts_count() {
    let rule = BackoffRule {
        window_ms: 60_000,
        max_failures: 3,
        backoff_ms: 60_000,
    };
    let place = Place::new(AuthOptions {
        back_off: Some(rule),
        ..header_mode()
    })
    .await;
    place.join("acme", "ana", BuiltInRole::Member).await;
    let token = place
        .token("acme", "ana", &[TokenScope::Desktop], None)
        .await;
    for _ in 0..20 {
        assert_eq!(
            place.get("/auth/me").send().await.status,
            401,
            "asking without a credential is no attempt"
        );
    }
    assert_eq!(
        place
            .get("/auth/me")
            .bearer(&token.plaintext)
            .send()
            .await
            .status,
        200
    );
    for attempt in 0..3 {
        let guess = format!("occ_tok_0123456789abcdef_{attempt}");
        assert_eq!(
            place.get("/auth/me").bearer(&guess).send().await.status,
            401
        );
    }
    let blocked = place
        .get("/auth/me")
        .bearer("occ_tok_0123456789abcdef_3")
        .send()
        .await;
    assert_eq!(
        (blocked.status.as_u16(), blocked.code().as_str()),
        (429, "auth.backoff")
    );
    assert_eq!(blocked.headers["retry-after"], "60");
    assert!(blocked.json()["retryAfterMs"].as_u64().unwrap() > 0);
    let known = place.get("/auth/me").bearer(&token.plaintext).send().await;
    assert_eq!(
        known.status, 200,
        "who was verified a moment ago needs no attempt"
    );
    place.pass(61);
    assert_eq!(
        place
            .get("/auth/me")
            .bearer(&token.plaintext)
            .send()
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_stream_ends_when_what_opened_it_ends() {
    use open_cowork_cloud_server::{Authenticator as _, Incoming};
    let place = Place::new(header_mode()).await;
    place.join("acme", "ana", BuiltInRole::Member).await;
    place.join("acme", "root", BuiltInRole::Owner).await;
    let token = place
        .token("acme", "ana", &[TokenScope::Desktop], None)
        .await;
    let browser = place.log_in("acme", "ana").await;
    let who = async |ask: Ask| {
        let request = ask.request();
        let incoming = Incoming {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            peer: [127, 0, 0, 1].into(),
            source: [127, 0, 0, 1].into(),
        };
        place.sign_in.authenticate(incoming).await.unwrap()
    };
    let by_token = who(place.get("/api/events").bearer(&token.plaintext)).await;
    let by_cookie = who(place.get("/api/events").cookies(&browser.cookies)).await;
    let by_headers = who(place
        .get("/api/events")
        .with(signed("acme", "ana", "member")))
    .await;
    for who in [&by_token, &by_cookie, &by_headers] {
        assert!(place.sign_in.still_valid(who).await.unwrap());
    }
    place
        .store
        .revoke_token(&"acme".into(), &token.id, &place.stamp())
        .await
        .unwrap();
    let out = place
        .ask("POST", "/auth/logout")
        .cookies(&browser.cookies)
        .header("x-csrf-token", &browser.csrf);
    out.send().await;
    assert!(!place.sign_in.still_valid(&by_token).await.unwrap());
    assert!(!place.sign_in.still_valid(&by_cookie).await.unwrap());
    assert!(place.sign_in.still_valid(&by_headers).await.unwrap());
    let disable = MemberChange {
        status: Some(MembershipStatus::Disabled),
        ..MemberChange::default()
    };
    place
        .store
        .update_member(
            &"acme".into(),
            &"ana".into(),
            &disable,
            &place.stamp_of("root"),
        )
        .await
        .unwrap();
    place.bus.publish(Topic::Credentials("acme".into()));
    assert!(!place.sign_in.still_valid(&by_headers).await.unwrap());
}

#[tokio::test]
async fn no_secret_is_shown() {
    let place = Place::new(header_mode()).await;
    let shown = format!("{:?} {:?}", place.sign_in, header_mode());
    assert!(
        !shown.contains(crate::sign_in_support::PROXY_KEY) && !shown.contains("cookie key"),
        "{shown}"
    );
}
