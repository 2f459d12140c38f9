//! Without sign-in, one organisation, signing proxies.

use crate::header_mode;
use crate::sign_in_support::{Ask, Place, proxy_v2, signed};
use axum::http::Method;
use open_cowork_cloud_server::auth::{AuthOptions, HeaderOptions, Mode};
use open_cowork_contracts::access::BuiltInRole;
use open_cowork_contracts::api::admin::overview::SignupMode;
use open_cowork_providers::store::identity::IdentityStore as _;
use serde_json::json;

#[tokio::test]
async fn without_sign_in_everybody_is_the_fixed_local_owner() {
    let place = Place::new(AuthOptions::default()).await;
    let me = place.get("/auth/me").send().await;
    assert_eq!(
        me.json(),
        json!({
            "principal": {
                "tenantId": "default", "tenantName": "Default", "orgId": "default", "userId": "local-user",
                "accountId": "local-user", "email": "local@example.test", "role": "owner", "authSource": "local"
            },
            "csrfToken": null, "expiresAt": null
        })
    );
    for (method, path) in [
        ("GET", "/auth/login"),
        ("GET", "/auth/callback?code=a&state=b"),
        ("POST", "/auth/session"),
        ("POST", "/auth/logout"),
        ("GET", "/auth/desktop/config"),
        ("GET", "/auth/other"),
    ] {
        let reply = place.ask(method, path).send().await;
        assert_eq!(reply.status, 404, "{method} {path}: {}", reply.body);
    }
    assert!(place.store.org(&"default".into()).await.unwrap().is_none());
    assert_eq!(place.get("/api/workspace").send().await.status, 200);
    let org = place.store.org(&"default".into()).await.unwrap().unwrap();
    assert_eq!(
        (org.name.as_str(), org.status.as_str()),
        ("Default", "active")
    );
}

#[tokio::test]
async fn with_one_organisation_everybody_is_in_it() {
    let one = Some(("acme".to_owned(), "Acme Corp".to_owned()));
    let local = Place::new(AuthOptions {
        single_org: one.clone(),
        ..AuthOptions::default()
    })
    .await;
    let me = local.get("/auth/me").send().await.json();
    assert_eq!(
        (&me["principal"]["tenantId"], &me["principal"]["orgId"]),
        (&json!("acme"), &json!("acme"))
    );
    let header = Place::new(AuthOptions {
        single_org: one,
        ..header_mode()
    })
    .await;
    let me = header
        .get("/auth/me")
        .with(signed("elsewhere", "ana", "member"))
        .send()
        .await
        .json();
    assert_eq!(me["principal"]["tenantId"], "acme");
    assert_eq!(me["principal"]["tenantName"], "Acme Corp");
}

#[tokio::test]
async fn a_proxy_names_who_asks_and_the_stored_membership_wins_later() {
    let place = Place::new(header_mode()).await;
    let nobody = place.get("/api/workspace").send().await;
    assert_eq!(
        (nobody.status.as_u16(), nobody.code().as_str()),
        (401, "auth.required")
    );

    let owner = || signed("acme", "ana", "owner");
    assert_eq!(
        place
            .get("/api/workspace")
            .with(owner())
            .send()
            .await
            .status,
        200
    );
    let me = place
        .get("/auth/me")
        .with(signed("acme", "ana", "member"))
        .send()
        .await
        .json();
    assert_eq!(me["principal"]["role"], "owner", "the stored role wins");
    assert_eq!(me["principal"]["authSource"], "header");
    assert!(me["principal"].get("permissions").is_none());

    let tampered = signed("acme", "ana", "owner").replace("x-open-cowork-tenant-id", "other");
    assert_eq!(
        place
            .get("/api/workspace")
            .with(tampered)
            .send()
            .await
            .status,
        401
    );
    let stale = signed("acme", "ana", "owner");
    place.pass(301);
    assert_eq!(
        place.get("/api/workspace").with(stale).send().await.status,
        401
    );
}

#[tokio::test]
async fn a_request_that_is_denied_leaves_no_row_behind() {
    let place = Place::new(header_mode()).await;
    let denied = place
        .get("/api/metrics")
        .with(signed("acme", "bea", "member"))
        .send()
        .await;
    assert_eq!(denied.status, 403);
    assert!(place.store.org(&"acme".into()).await.unwrap().is_none());

    let closed = Place::new(AuthOptions {
        signup: SignupMode::Invite,
        ..header_mode()
    })
    .await;
    let refused = closed
        .get("/api/workspace")
        .with(signed("acme", "bea", "member"))
        .send()
        .await;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (403, "auth.invitation_required")
    );
    assert!(closed.store.org(&"acme".into()).await.unwrap().is_none());
}

#[tokio::test]
async fn unsigned_headers_make_members_and_never_meet_an_owner() {
    let unsigned = AuthOptions {
        mode: Mode::Header(HeaderOptions::default()),
        ..AuthOptions::default()
    };
    let place = Place::new(unsigned).await;
    place.join("acme", "ana", BuiltInRole::Owner).await;
    let ask = |user: &str| {
        Ask::headers(&[
            ("x-open-cowork-tenant-id", "acme"),
            ("x-open-cowork-user-id", user),
        ])
    };
    assert_eq!(
        place
            .get("/api/workspace")
            .with(ask("bea"))
            .send()
            .await
            .status,
        200
    );
    assert_eq!(
        place
            .get("/api/workspace")
            .with(ask("ana"))
            .send()
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn a_signature_of_version_2_counts_once_and_for_its_body_only() {
    let place = Place::new(header_mode()).await;
    let body = json!({"profileName": "full"}).to_string();
    let sign = |nonce: &str| proxy_v2(Method::POST, "/api/sessions", &body, nonce, "acme", "ana");
    let created = place
        .ask("POST", "/api/sessions")
        .with(sign("nonce-000000000001"))
        .body(&body)
        .send()
        .await;
    assert_eq!(created.status, 201, "{}", created.body);
    let replayed = place
        .ask("POST", "/api/sessions")
        .with(sign("nonce-000000000001"))
        .body(&body)
        .send()
        .await;
    assert_eq!(replayed.status, 401);
    let other = place
        .ask("POST", "/api/sessions")
        .with(sign("nonce-000000000002"))
        .body("{}")
        .send()
        .await;
    assert_eq!(other.status, 401, "{}", other.body);
    let elsewhere = place
        .ask("POST", "/api/workflows")
        .with(sign("nonce-000000000003"))
        .body(&body)
        .send()
        .await;
    assert_eq!(elsewhere.status, 401);
}

#[tokio::test]
async fn a_replay_to_another_process_is_noticed_for_changes() {
    let shared = || AuthOptions {
        shared_store: true,
        ..header_mode()
    };
    let one = Place::new(shared()).await;
    let two = one.another(shared());
    let sign = || {
        proxy_v2(
            Method::POST,
            "/api/sessions",
            "{}",
            "nonce-000000000009",
            "acme",
            "ana",
        )
    };
    assert_eq!(
        one.ask("POST", "/api/sessions")
            .with(sign())
            .body("{}")
            .send()
            .await
            .status,
        201
    );
    assert_eq!(
        two.ask("POST", "/api/sessions")
            .with(sign())
            .body("{}")
            .send()
            .await
            .status,
        401
    );
}
