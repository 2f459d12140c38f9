//! Sessions of browsers: cookies, CSRF, logging out.

use crate::header_mode;
use crate::sign_in_support::{Place, cookie_options, signed};
use open_cowork_cloud_server::auth::AuthOptions;
use open_cowork_contracts::access::{BuiltInRole, MembershipStatus, TokenScope};
use open_cowork_providers::bus::{EventBus as _, Topic};
use open_cowork_providers::store::identity::{IdentityStore as _, MemberChange};
use serde_json::json;

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
