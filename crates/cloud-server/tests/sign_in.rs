//! Sign-in through the whole pipeline: modes, API tokens, cookie sessions, CSRF, back-off (03 §5.2, §6).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod sign_in_support;

use axum::http::Method;
use open_cowork_cloud_server::auth::{AuthOptions, HeaderOptions, Mode};
use open_cowork_contracts::access::{BuiltInRole, MembershipStatus, TokenScope};
use open_cowork_contracts::api::admin::overview::SignupMode;
use open_cowork_providers::bus::{EventBus as _, Topic};
use open_cowork_providers::store::browser::BackoffRule;
use open_cowork_providers::store::identity::{IdentityStore as _, MemberChange};
use serde_json::json;
use sign_in_support::{Ask, Place, cookie_options, proxy_v2, signed};

fn header_mode() -> AuthOptions {
    AuthOptions {
        mode: Mode::Header(HeaderOptions {
            secret: Some(sign_in_support::PROXY_KEY.into()),
            ..HeaderOptions::default()
        }),
        cookies: Some(cookie_options()),
        ..AuthOptions::default()
    }
}

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

#[tokio::test]
async fn a_cookie_session_needs_its_csrf_token_for_changes() {
    let place = Place::new(header_mode()).await;
    let browser = place.log_in("acme", "ana").await;
    let me = place
        .get("/auth/me")
        .cookies(&browser.cookies)
        .send()
        .await
        .json();
    assert_eq!(me["csrfToken"], browser.csrf.as_str());
    assert_eq!(me["principal"]["userId"], "ana");
    assert!(me["expiresAt"].as_str().unwrap().ends_with('Z'));
    // The cookie wins over whatever else is there.
    let both = place
        .get("/auth/me")
        .cookies(&browser.cookies)
        .bearer("nonsense")
        .send()
        .await;
    assert_eq!(both.json()["principal"]["userId"], "ana");

    let post = || place.ask("POST", "/api/sessions").body("{}");
    assert_eq!(
        place
            .get("/api/workspace")
            .cookies(&browser.cookies)
            .send()
            .await
            .status,
        200
    );
    let fine = post()
        .cookies(&browser.cookies)
        .header("x-csrf-token", &browser.csrf)
        .send()
        .await;
    assert_eq!(fine.status, 201, "{}", fine.body);

    let other = place.log_in("acme", "bea").await;
    let no_cookie = browser.cookies.split("; ").next().unwrap();
    let foreign_cookie = format!("{no_cookie}; open_cowork_cloud_csrf={}", other.csrf);
    for (what, ask) in [
        ("no header", post().cookies(&browser.cookies)),
        (
            "an empty header",
            post().cookies(&browser.cookies).header("x-csrf-token", ""),
        ),
        (
            "a made-up header",
            post().cookies(&browser.cookies).header("x-csrf-token", "x"),
        ),
        (
            "another session's",
            post()
                .cookies(&browser.cookies)
                .header("x-csrf-token", &other.csrf),
        ),
        (
            "no cookie",
            post()
                .cookies(no_cookie)
                .header("x-csrf-token", &browser.csrf),
        ),
        (
            "a cookie of another",
            post()
                .cookies(&foreign_cookie)
                .header("x-csrf-token", &other.csrf),
        ),
    ] {
        let reply = ask.send().await;
        assert_eq!(reply.status, 403, "{what}: {}", reply.body);
        assert_eq!(
            reply.json()["error"],
            "Cloud CSRF token is missing or invalid."
        );
        assert!(reply.json().get("verdict").is_none());
    }
    // A bearer needs none.
    place.join("acme", "cleo", BuiltInRole::Member).await;
    let token = place
        .token("acme", "cleo", &[TokenScope::Desktop], None)
        .await;
    assert_eq!(post().bearer(&token.plaintext).send().await.status, 201);
}

#[tokio::test]
async fn logging_out_ends_the_session_in_every_process_at_once() {
    let one = Place::new(header_mode()).await;
    let two = one.another(header_mode());
    let browser = one.log_in("acme", "ana").await;
    let status = async |place: &Place| {
        place
            .get("/api/workspace")
            .cookies(&browser.cookies)
            .send()
            .await
            .status
            .as_u16()
    };
    assert_eq!((status(&one).await, status(&two).await), (200, 200));

    let forged = one
        .ask("POST", "/auth/logout")
        .cookies(&browser.cookies)
        .send()
        .await;
    assert_eq!(forged.status, 403, "another site can't log anybody out");
    assert_eq!(status(&one).await, 200);

    let out = one
        .ask("POST", "/auth/logout")
        .cookies(&browser.cookies)
        .header("x-csrf-token", &browser.csrf);
    let out = out.send().await;
    assert_eq!(
        (out.status.as_u16(), out.json()),
        (200, json!({"ok": true}))
    );
    let cleared = out.set_cookies();
    assert_eq!(cleared.len(), 2);
    assert!(cleared.iter().all(|cookie| cookie.contains("Max-Age=0")));
    assert_eq!(
        (status(&one).await, status(&two).await),
        (401, 401),
        "the same cookie counts no more"
    );
    let again = one.ask("POST", "/auth/logout").send().await;
    assert_eq!(again.json(), json!({"ok": true}));
}

#[tokio::test]
async fn sessions_live_eight_hours_are_renewed_by_use_and_end_after_a_week() {
    let place = Place::new(header_mode()).await;
    let browser = place.log_in("acme", "ana").await;
    let hour = 60 * 60;
    let ask = async || {
        place
            .get("/api/workspace")
            .cookies(&browser.cookies)
            .send()
            .await
    };
    assert!(ask().await.set_cookies().is_empty());
    place.pass(3 * hour);
    assert!(
        ask().await.set_cookies().is_empty(),
        "more than half is left"
    );
    place.pass(2 * hour);
    let renewed = ask().await;
    assert_eq!(renewed.status, 200);
    let cookies = renewed.set_cookies();
    assert_eq!(cookies.len(), 2);
    assert!(
        cookies[0].starts_with("open_cowork_cloud_session="),
        "{cookies:?}"
    );
    assert!(
        cookies[0].ends_with("Max-Age=28800; Path=/; SameSite=Lax; HttpOnly; Secure"),
        "{cookies:?}"
    );
    place.pass(7 * hour);
    assert_eq!(ask().await.status, 200, "twelve hours after the login");
    let mut last = 0;
    for hours in 12.. {
        if ask().await.status != 200 {
            last = hours;
            break;
        }
        place.pass(hour);
    }
    assert_eq!(last, 7 * 24);
    let idle = place.log_in("acme", "ana").await;
    place.pass(8 * hour);
    assert_eq!(
        place
            .get("/api/workspace")
            .cookies(&idle.cookies)
            .send()
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn forged_cookies_and_cookies_of_another_deployment_open_nothing() {
    let place = Place::new(header_mode()).await;
    let browser = place.log_in("acme", "ana").await;
    let session = browser
        .cookies
        .split("; ")
        .next()
        .unwrap()
        .split_once('=')
        .unwrap()
        .1
        .to_owned();
    let (id, signature) = session.rsplit_once('.').unwrap();
    let upstreams =
        r#"{"version":1,"principal":{"tenantId":"acme","userId":"root","role":"owner"}}"#;
    for forged in [
        id.to_owned(),
        format!("{id}."),
        format!("{id}.{}", "A".repeat(43)),
        format!("{}.{signature}", "A".repeat(43)),
        format!("{}.{signature}", id.to_lowercase()),
        format!("{upstreams}.{signature}"),
        signature.to_owned(),
        "a.b.c.d".into(),
        String::new(),
    ] {
        let reply = place
            .get("/auth/me")
            .cookies(&format!("open_cowork_cloud_session={forged}"))
            .send()
            .await;
        assert_eq!(reply.status, 401, "{forged}");
    }
    // A sibling domain may set a cookie of the same name: it doesn't lock anybody out.
    let tossed = format!("open_cowork_cloud_session=junk; {}", browser.cookies);
    assert_eq!(
        place.get("/auth/me").cookies(&tossed).send().await.status,
        200
    );
    let mut other_key = header_mode();
    if let Some(cookies) = &mut other_key.cookies {
        cookies.secret = "another key of more than thirty-two bytes for cookies".into();
    }
    let other = place.another(other_key);
    assert_eq!(
        other
            .get("/auth/me")
            .cookies(&browser.cookies)
            .send()
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn a_session_counts_only_while_its_way_in_does() {
    // Made without sign-in, shown once there is sign-in: the local owner is gone.
    let open = Place::new(AuthOptions {
        cookies: Some(cookie_options()),
        ..AuthOptions::default()
    })
    .await;
    let begun = open.ask("POST", "/auth/session").send().await;
    assert_eq!(begun.status, 200, "{}", begun.body);
    let cookies = begun.cookie_line();
    assert_eq!(
        open.get("/auth/me").cookies(&cookies).send().await.json()["principal"]["authSource"],
        "local"
    );
    let closed = open.another(header_mode());
    assert_eq!(
        closed.get("/auth/me").cookies(&cookies).send().await.status,
        401
    );

    // Made from an API token: it ends with the token, and keeps its scopes.
    let place = Place::new(header_mode()).await;
    place.join("acme", "ana", BuiltInRole::Owner).await;
    let token = place
        .token("acme", "ana", &[TokenScope::Desktop], None)
        .await;
    let cookies = place
        .ask("POST", "/auth/session")
        .bearer(&token.plaintext)
        .send()
        .await
        .cookie_line();
    assert_eq!(
        place
            .get("/api/workspace")
            .cookies(&cookies)
            .send()
            .await
            .status,
        200
    );
    assert_eq!(
        place
            .get("/api/metrics")
            .cookies(&cookies)
            .send()
            .await
            .status,
        403
    );
    place
        .store
        .revoke_token(&"acme".into(), &token.id, &place.stamp())
        .await
        .unwrap();
    place.bus.publish(Topic::Credentials("acme".into()));
    assert_eq!(
        place
            .get("/api/workspace")
            .cookies(&cookies)
            .send()
            .await
            .status,
        401
    );

    // Made by a member who is disabled since.
    place.join("acme", "bea", BuiltInRole::Member).await;
    let browser = place.log_in("acme", "bea").await;
    assert_eq!(
        place
            .get("/api/workspace")
            .cookies(&browser.cookies)
            .send()
            .await
            .status,
        200
    );
    let disable = MemberChange {
        status: Some(MembershipStatus::Disabled),
        ..MemberChange::default()
    };
    place
        .store
        .update_member(
            &"acme".into(),
            &"bea".into(),
            &disable,
            &place.stamp_of("ana"),
        )
        .await
        .unwrap();
    place.bus.publish(Topic::Credentials("acme".into()));
    assert_eq!(
        place
            .get("/api/workspace")
            .cookies(&browser.cookies)
            .send()
            .await
            .status,
        401
    );
    let anew = place
        .get("/api/workspace")
        .with(signed("acme", "bea", "member"))
        .send()
        .await;
    assert_eq!(
        (anew.status.as_u16(), anew.code().as_str()),
        (403, "auth.membership_inactive")
    );
}

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
        !shown.contains(sign_in_support::PROXY_KEY) && !shown.contains("cookie key"),
        "{shown}"
    );
}
