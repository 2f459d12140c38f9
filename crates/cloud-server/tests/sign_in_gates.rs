//! Whom the gates don't let in hears it wherever they ask (04 §1.4), and asking writes nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod sign_in_support;

use open_cowork_cloud_server::auth::{AuthOptions, HeaderOptions, Mode};
use open_cowork_contracts::access::{BuiltInRole, MembershipStatus};
use open_cowork_contracts::api::admin::overview::SignupMode;
use open_cowork_providers::bus::{EventBus as _, Topic};
use open_cowork_providers::store::identity::{IdentityStore as _, MemberChange};
use sign_in_support::{Place, cookie_options, signed};

fn header_mode(signup: SignupMode) -> AuthOptions {
    AuthOptions {
        mode: Mode::Header(HeaderOptions {
            secret: Some(sign_in_support::PROXY_KEY.into()),
            ..HeaderOptions::default()
        }),
        cookies: Some(cookie_options()),
        signup,
        ..AuthOptions::default()
    }
}

async fn me(place: &Place, user: &str) -> (u16, String) {
    let asked = place.get("/auth/me").with(signed("acme", user, "member"));
    let answer = asked.send().await;
    let code = answer.json()["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    (answer.status.as_u16(), code)
}

#[tokio::test]
async fn a_disabled_member_is_told_so_under_auth_too() {
    let place = Place::new(header_mode(SignupMode::Open)).await;
    place.join("acme", "root", BuiltInRole::Owner).await;
    place.join("acme", "ana", BuiltInRole::Member).await;
    assert_eq!(me(&place, "ana").await, (200, String::new()));
    let browser = place.log_in("acme", "ana").await;
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
    let refused = (403, "auth.membership_inactive".to_owned());
    assert_eq!(me(&place, "ana").await, refused);
    let by_cookie = place.get("/auth/me").cookies(&browser.cookies).send().await;
    assert_ne!(by_cookie.status, 200, "{}", by_cookie.body);
    assert_eq!(me(&place, "root").await.0, 200);
}

#[tokio::test]
async fn asking_who_one_is_makes_nobody_a_member() {
    let open = Place::new(header_mode(SignupMode::Open)).await;
    assert_eq!(me(&open, "ana").await.0, 200, "she may come in");
    let org = open.store.org(&"acme".into()).await.unwrap();
    assert!(org.is_none(), "but has not yet");
    let closed = Place::new(header_mode(SignupMode::Invite)).await;
    let refused = (403, "auth.invitation_required".to_owned());
    assert_eq!(me(&closed, "ana").await, refused);
}
