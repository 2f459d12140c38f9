//! API tokens.

use crate::header_mode;
use crate::sign_in_support::{Place, signed};
use open_cowork_cloud_server::auth::AuthOptions;
use open_cowork_contracts::access::{BuiltInRole, MembershipStatus, TokenScope};
use open_cowork_providers::bus::{EventBus as _, Topic};
use open_cowork_providers::store::identity::{IdentityStore as _, MemberChange};
use serde_json::json;

#[tokio::test]
async fn an_api_token_acts_with_the_live_rights_of_its_holder() {
    let place = Place::new(header_mode()).await;
    place.join("acme", "ana", BuiltInRole::Admin).await;
    let token = place
        .token(
            "acme",
            "ana",
            &[TokenScope::Desktop, TokenScope::Admin],
            None,
        )
        .await;
    let me = place
        .get("/auth/me")
        .bearer(&token.plaintext)
        .send()
        .await
        .json();
    let principal = &me["principal"];
    assert_eq!(principal["authSource"], "api_token");
    assert_eq!(principal["tokenId"], token.id.as_str());
    assert_eq!(principal["tokenScopes"], json!(["desktop", "admin"]));
    assert_eq!(principal["customRoleKey"], json!(null));
    assert_eq!(principal["permissions"].as_array().unwrap().len(), 13);
    assert_eq!(
        place
            .get("/api/workspace")
            .bearer(&token.plaintext)
            .send()
            .await
            .status,
        200
    );
    // Case of the scheme doesn't matter; a changed letter does.
    assert_eq!(
        place
            .get("/api/workspace")
            .authorization(&format!("bEARER {}", token.plaintext))
            .send()
            .await
            .status,
        200
    );
    let wrong = format!("{}x", token.plaintext);
    assert_eq!(
        place
            .get("/api/workspace")
            .bearer(&wrong)
            .send()
            .await
            .status,
        401
    );
    let last_used = place
        .store
        .token(&token.id)
        .await
        .unwrap()
        .unwrap()
        .token
        .last_used_at;
    assert!(last_used.is_some());
}

#[tokio::test]
async fn a_token_that_was_verified_a_moment_ago_ends_at_once() {
    let place = Place::new(header_mode()).await;
    place.join("acme", "ana", BuiltInRole::Member).await;
    place.join("acme", "root", BuiltInRole::Owner).await;
    let status = async |token: &str| {
        place
            .get("/api/workspace")
            .bearer(token)
            .send()
            .await
            .status
            .as_u16()
    };

    let revoked = place
        .token("acme", "ana", &[TokenScope::Desktop], None)
        .await;
    assert_eq!(status(&revoked.plaintext).await, 200);
    place
        .store
        .revoke_token(&"acme".into(), &revoked.id, &place.stamp())
        .await
        .unwrap();
    assert_eq!(
        status(&revoked.plaintext).await,
        200,
        "nobody told: it is believed for a while"
    );
    place.bus.publish(Topic::Credentials("acme".into()));
    assert_eq!(
        status(&revoked.plaintext).await,
        401,
        "told: it ends with the next request"
    );

    let unheard = place
        .token("acme", "ana", &[TokenScope::Desktop], None)
        .await;
    assert_eq!(status(&unheard.plaintext).await, 200);
    place
        .store
        .revoke_token(&"acme".into(), &unheard.id, &place.stamp())
        .await
        .unwrap();
    place.pass(30);
    assert_eq!(
        status(&unheard.plaintext).await,
        401,
        "not told: it ends with the trust"
    );

    let brief = place
        .token("acme", "ana", &[TokenScope::Desktop], Some(5))
        .await;
    assert_eq!(status(&brief.plaintext).await, 200);
    place.pass(5);
    assert_eq!(status(&brief.plaintext).await, 401, "expired");

    let held = place
        .token("acme", "ana", &[TokenScope::Desktop], None)
        .await;
    assert_eq!(status(&held.plaintext).await, 200);
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
    assert_eq!(status(&held.plaintext).await, 401, "the holder is disabled");
}

#[tokio::test]
async fn an_unknown_token_falls_through_to_the_mode() {
    let header = Place::new(header_mode()).await;
    let unknown = "occ_tok_0123456789abcdef_unknown";
    let beside = header
        .get("/auth/me")
        .with(signed("acme", "ana", "member"))
        .bearer(unknown)
        .send()
        .await;
    assert_eq!(beside.json()["principal"]["authSource"], "header");
    assert_eq!(
        header.get("/auth/me").bearer(unknown).send().await.status,
        401
    );
    assert_eq!(
        header
            .get("/auth/me")
            .bearer("ocw_mwcred_0123456789abcdef_x")
            .send()
            .await
            .status,
        401
    );
    let open = Place::new(AuthOptions::default()).await;
    let owner = open.get("/auth/me").bearer(unknown).send().await;
    assert_eq!(owner.json()["principal"]["authSource"], "local");
}

#[tokio::test]
async fn a_token_of_another_organisation_is_no_token_where_there_is_one() {
    let place = Place::new(header_mode()).await;
    place.join("elsewhere", "ana", BuiltInRole::Owner).await;
    let token = place
        .token("elsewhere", "ana", &[TokenScope::Desktop], None)
        .await;
    assert_eq!(
        place
            .get("/api/workspace")
            .bearer(&token.plaintext)
            .send()
            .await
            .status,
        200
    );
    let one = place.another(AuthOptions {
        single_org: Some(("acme".into(), "Acme".into())),
        ..header_mode()
    });
    assert_eq!(
        one.get("/api/workspace")
            .bearer(&token.plaintext)
            .send()
            .await
            .status,
        401
    );
}
