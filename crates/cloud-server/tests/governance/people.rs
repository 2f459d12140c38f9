//! Tokens, invitations, members, roles, single sign-on.

use crate::support::{Reply, World, world, world_with};
use crate::{OWNER, member, ok, refused, settled, status};
use open_cowork_contracts::access::BuiltInRole;
use open_cowork_contracts::api::admin::overview::SignupMode;
use open_cowork_providers::bus::{EventBus, LocalBus, Topic};
use open_cowork_providers::store::IdentityStore;
use serde_json::{Value, json};
use std::sync::Arc;

#[tokio::test]
async fn a_token_is_shown_once_and_recognised_until_it_is_revoked() {
    let bus = Arc::new(LocalBus::default());
    let shared = bus.clone();
    let world = world_with(|services| services.bus = shared).await;
    member(&world, "user-own", BuiltInRole::Owner).await;
    let wish = json!({"name": " ci ", "scopes": ["desktop", "admin", "desktop"]});
    let issued = ok(&world, "POST", "/api/api-tokens", wish).await;
    let plaintext = issued["plaintext"].as_str().unwrap();
    let token = &issued["token"];
    assert_eq!(token["scopes"], json!(["desktop", "admin"]));
    assert_eq!(
        (&token["name"], &token["revokedAt"]),
        (&json!("ci"), &Value::Null)
    );
    assert!(plaintext.ends_with(token["last4"].as_str().unwrap()));
    let id = token["tokenId"].as_str().unwrap();
    assert!(plaintext.starts_with(&format!("occ_{id}_")));
    let stored = world.store.token(&id.into()).await.unwrap().unwrap();
    assert!(
        world
            .cloud
            .governance
            .hasher
            .verify(plaintext, &stored.hash)
    );
    let listed = world.call(OWNER, "GET", "/api/api-tokens", None).await;
    assert!(!listed.body.contains(plaintext) && !listed.body.contains("hash"));
    assert_eq!(listed.json()["tokens"][0], *token);

    let path = format!("/api/api-tokens/{id}");
    let foreign = world.call("owner@foreign", "DELETE", &path, None).await;
    assert_eq!(status(&foreign), 404);
    let mut topics = bus.subscribe();
    let revoked = ok(&world, "DELETE", &path, json!({})).await;
    assert_eq!(revoked["revoked"], true);
    assert!(revoked["token"]["revokedAt"].is_string());
    assert_eq!(
        topics.recv().await.unwrap(),
        Topic::Credentials("own".into())
    );
    assert_eq!(
        refused(&world, "DELETE", "/api/api-tokens/tok_x", json!({}))
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn a_token_that_should_not_be_is_refused_with_a_reason() {
    let world = settled().await;
    let year = world.cloud.now() + std::time::Duration::from_secs(366 * 86_400);
    for (wish, expected) in [
        (json!({"scopes": ["desktop"]}), 400),
        (json!({"name": "n"}), 400),
        (json!({"name": "n", "scopes": []}), 400),
        (json!({"name": "n", "scopes": ["root"]}), 400),
        (json!({"name": "n", "scopes": ["worker-internal"]}), 403),
        (json!({"name": "x".repeat(97), "scopes": ["desktop"]}), 400),
        (
            json!({"name": "n", "scopes": ["desktop"], "expiresAt": "2020-01-01T00:00:00.000Z"}),
            400,
        ),
        (
            json!({"name": "n", "scopes": ["desktop"], "expiresAt": "soon"}),
            400,
        ),
        (
            json!({"name": "n", "scopes": ["desktop"], "expiresAt": year.to_string()}),
            400,
        ),
        (
            json!({"name": "n", "scopes": ["gateway"], "channelBindingIds": ["unknown"]}),
            404,
        ),
    ] {
        let refused = refused(&world, "POST", "/api/api-tokens", wish.clone()).await;
        assert_eq!(refused.0, expected, "{wish}");
    }
    let none = ok(&world, "GET", "/api/api-tokens", json!({})).await;
    assert_eq!(none["tokens"], json!([]));
}

#[tokio::test]
async fn the_local_owner_issues_tokens_without_having_signed_in() {
    let world = world().await;
    let wish = json!({"name": "cli", "scopes": ["desktop"]});
    let issued = world
        .call("local@own", "POST", "/api/api-tokens", Some(wish))
        .await;
    assert_eq!(status(&issued), 201, "{issued:?}");
    let id = issued.json()["token"]["tokenId"]
        .as_str()
        .unwrap()
        .to_owned();
    let stored = world
        .store
        .token(&id.as_str().into())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stored.holder.unwrap().membership.role, BuiltInRole::Owner);
}

async fn inviting() -> World {
    let world = world_with(|services| {
        services.governance.signup.mode = SignupMode::Invite;
        services.governance.invite_secret = Some("a-signing-key-of-the-tests".into());
    })
    .await;
    member(&world, "user-own", BuiltInRole::Owner).await;
    world
}

async fn accept(world: &World, token: &str) -> Reply {
    let body = Some(json!({ "token": token }));
    world
        .call("nobody", "POST", "/api/invites/accept", body)
        .await
}

#[tokio::test]
async fn an_invitation_is_accepted_once_and_again_and_ends_when_it_is_replaced() {
    let world = inviting().await;
    let wish = json!({"email": "Bob@Own.test", "role": "admin"});
    let invited = ok(&world, "POST", "/api/admin/members", wish.clone()).await;
    assert_eq!(invited["member"]["status"], "invited");
    assert_eq!(invited["member"]["email"], "bob@own.test");
    let first = invited["inviteToken"].as_str().unwrap().to_owned();

    let lower = json!({"email": "bob@own.test"});
    let again = ok(&world, "POST", "/api/admin/members", lower).await;
    assert_eq!(again["member"]["role"], "member");
    assert_eq!(accept(&world, &first).await.code(), "invite.revoked");
    let token = again["inviteToken"].as_str().unwrap();
    for _ in 0..2 {
        let accepted = accept(&world, token).await;
        assert_eq!(status(&accepted), 200, "{accepted:?}");
        assert_eq!(accepted.json()["membership"]["status"], "active");
    }
    assert_eq!(
        refused(&world, "POST", "/api/admin/members", wish).await.0,
        409
    );
    for garbage in ["x", "a.b", &format!("{token}x")] {
        let reply = accept(&world, garbage).await;
        assert_eq!(
            (status(&reply), reply.code().as_str()),
            (400, "invite.invalid")
        );
    }
    let account = again["member"]["accountId"].as_str().unwrap();
    let path = format!("/api/admin/members/{account}/update");
    let off = json!({"status": "disabled", "confirm": account});
    ok(&world, "POST", &path, off).await;
    let withdrawn = accept(&world, token).await;
    assert_eq!(
        (status(&withdrawn), withdrawn.code().as_str()),
        (403, "invite.revoked")
    );
}

#[tokio::test]
async fn outside_of_the_mode_nobody_is_invited() {
    let world = settled().await;
    let wish = json!({"email": "bob@own.test"});
    assert_eq!(
        refused(&world, "POST", "/api/admin/members", wish).await.0,
        403
    );
    let reply = accept(&world, "x.y").await;
    assert_eq!(
        (status(&reply), reply.code().as_str()),
        (501, "invite.disabled")
    );
    let world = inviting().await;
    for email in ["bob", "a b@own.test", "", "x@y"] {
        let wish = json!({ "email": email });
        assert_eq!(
            refused(&world, "POST", "/api/admin/members", wish).await.0,
            400
        );
    }
}

#[tokio::test]
async fn owners_and_oneself_are_protected() {
    let world = settled().await;
    member(&world, "bob", BuiltInRole::Owner).await;
    let own = "/api/admin/members/user-own/update";
    assert_eq!(
        refused(&world, "POST", own, json!({"role": "member"}))
            .await
            .0,
        403
    );
    let bob = "/api/admin/members/bob/update";
    assert_eq!(
        refused(&world, "POST", bob, json!({"status": "disabled"}))
            .await
            .0,
        400
    );
    assert_eq!(
        refused(&world, "POST", bob, json!({"status": "invited"}))
            .await
            .0,
        400
    );
    assert_eq!(
        refused(&world, "POST", bob, json!({"role": "king"}))
            .await
            .0,
        400
    );
    let off = json!({"status": "disabled", "confirm": "bob"});
    assert_eq!(
        ok(&world, "POST", bob, off.clone()).await["member"]["status"],
        "disabled"
    );
    let nobody = "/api/admin/members/nobody/update";
    assert_eq!(
        refused(&world, "POST", nobody, json!({"role": "member"}))
            .await
            .0,
        404
    );
    let foreign = world.call("owner@foreign", "POST", bob, Some(off)).await;
    assert_eq!(status(&foreign), 404);
    let found = ok(&world, "GET", "/api/admin/members?q=BOB&limit=1", json!({})).await;
    assert_eq!(found["members"][0]["accountId"], "bob");
    assert_eq!(found["nextCursor"], Value::Null);
}

#[tokio::test]
async fn roles_are_made_changed_given_and_deleted() {
    let world = settled().await;
    member(&world, "bob", BuiltInRole::Member).await;
    let wish = json!({"roleKey": " Auditor ", "name": "Auditor", "permissions": ["audit:read", "org:read", "audit:read"]});
    let made = ok(&world, "POST", "/api/admin/roles", wish.clone()).await;
    assert_eq!(made["role"]["roleKey"], "auditor");
    assert_eq!(
        made["role"]["permissions"],
        json!(["org:read", "audit:read"])
    );
    assert_eq!(made["role"]["baseRole"], "member");
    assert_eq!(
        refused(&world, "POST", "/api/admin/roles", wish).await.0,
        409
    );
    for wrong in [
        json!({"roleKey": "owner", "name": "n", "permissions": []}),
        json!({"roleKey": "9x", "name": "n", "permissions": []}),
        json!({"roleKey": "fine", "name": " ", "permissions": []}),
        json!({"roleKey": "fine", "name": "n", "permissions": ["fly"]}),
        json!({"roleKey": "fine", "name": "n"}),
        json!({"roleKey": "fine", "name": "n", "permissions": [], "baseRole": "king"}),
    ] {
        let refused = refused(&world, "POST", "/api/admin/roles", wrong.clone()).await;
        assert_eq!(refused.0, 400, "{wrong}");
    }
    let give = "/api/admin/members/bob/role";
    let given = ok(&world, "POST", give, json!({"roleKey": "auditor"})).await;
    assert_eq!(given["member"]["customRoleKey"], "auditor");
    assert_eq!(
        refused(&world, "POST", give, json!({"roleKey": "ghost"}))
            .await
            .0,
        404
    );
    assert_eq!(
        refused(&world, "DELETE", "/api/admin/roles/auditor", json!({}))
            .await
            .0,
        409
    );
    let change = json!({"description": "Reads", "permissions": ["audit:read"]});
    let changed = ok(&world, "POST", "/api/admin/roles/auditor/update", change).await;
    assert_eq!(changed["role"]["description"], "Reads");
    let cleared = ok(
        &world,
        "POST",
        "/api/admin/roles/auditor/update",
        json!({"description": null}),
    )
    .await;
    assert_eq!(cleared["role"]["description"], Value::Null);
    assert_eq!(cleared["role"]["permissions"], json!(["audit:read"]));
    ok(&world, "POST", give, json!({"roleKey": null})).await;
    assert_eq!(
        ok(&world, "DELETE", "/api/admin/roles/auditor", json!({})).await["deleted"],
        true
    );
    assert_eq!(
        ok(&world, "DELETE", "/api/admin/roles/auditor", json!({})).await["deleted"],
        false
    );
    let catalog = ok(&world, "GET", "/api/admin/permission-catalog", json!({})).await;
    assert_eq!(catalog["permissions"].as_array().unwrap().len(), 16);
}

#[tokio::test]
async fn what_the_caller_may_do_comes_from_the_membership_as_it_is() {
    let world = settled().await;
    // A cookie that still says `member`, as upstream would answer (03 §12 #14).
    let reply = world
        .call("no-role@own", "GET", "/api/admin/access", None)
        .await;
    let access = reply.json()["access"].clone();
    assert_eq!(access["role"], "owner");
    assert_eq!(access["permissions"].as_array().unwrap().len(), 16);
    let overview = ok(&world, "GET", "/api/admin", json!({})).await;
    assert_eq!(overview["policy"]["org"]["name"], "Own");
    assert_eq!(overview["policy"]["signup"]["mode"], "open");
    assert_eq!(
        overview,
        ok(&world, "GET", "/api/admin/policy", json!({})).await
    );
}

#[tokio::test]
async fn single_sign_on_is_configured_and_its_secrets_need_encryption() {
    let world = settled().await;
    assert_eq!(
        ok(&world, "GET", "/api/admin/sso", json!({})).await["sso"],
        Value::Null
    );
    assert_eq!(
        refused(&world, "POST", "/api/admin/sso/scim-token", json!({}))
            .await
            .0,
        404
    );
    let wish = json!({"enabled": true, "verifiedDomains": ["B.test", "a.test", "a.test"], "oidcIssuer": "https://id.own.test"});
    let made = ok(&world, "POST", "/api/admin/sso", wish).await;
    let sso = &made["sso"];
    assert_eq!(sso["verifiedDomains"], json!(["a.test", "b.test"]));
    assert_eq!(
        (&sso["protocol"], &sso["enforced"]),
        (&json!("oidc"), &json!(false))
    );
    assert!(
        sso["domainVerificationToken"]
            .as_str()
            .unwrap()
            .starts_with("ocw-sso-verify-")
    );
    let secret = json!({"oidcClientSecret": "canary"});
    assert_eq!(
        refused(&world, "POST", "/api/admin/sso", secret).await.0,
        503
    );
    for wrong in [
        json!({"oidcIssuer": "http://id.own.test"}),
        json!({"samlAcsUrl": "https://u:p@id.own.test"}),
        json!({"verifiedDomains": ["nodot"]}),
        json!({"protocol": "ldap"}),
        json!({"displayName": "x".repeat(129)}),
    ] {
        assert_eq!(
            refused(&world, "POST", "/api/admin/sso", wrong.clone())
                .await
                .0,
            400,
            "{wrong}"
        );
    }
    let cleared = ok(
        &world,
        "POST",
        "/api/admin/sso",
        json!({"oidcIssuer": null}),
    )
    .await;
    assert_eq!(
        (&cleared["sso"]["oidcIssuer"], &cleared["sso"]["enabled"]),
        (&Value::Null, &json!(true))
    );
    let scim = ok(&world, "POST", "/api/admin/sso/scim-token", json!({})).await;
    assert_eq!(
        (
            &scim["config"]["scimEnabled"],
            &scim["config"]["hasScimToken"]
        ),
        (&json!(true), &json!(true))
    );
    assert!(scim["scimToken"].as_str().unwrap().starts_with("scim_"));
    assert_eq!(
        ok(&world, "DELETE", "/api/admin/sso", json!({})).await["deleted"],
        true
    );
    assert_eq!(
        ok(&world, "DELETE", "/api/admin/sso", json!({})).await["deleted"],
        false
    );
}
