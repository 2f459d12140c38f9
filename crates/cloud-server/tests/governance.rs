//! Governance over HTTP: tokens, people, roles, single sign-on, policy, provider keys, settings, usage, audit.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails panics"
)]

mod support;

use async_trait::async_trait;
use open_cowork_contracts::access::BuiltInRole;
use open_cowork_contracts::api::admin::overview::SignupMode;
use open_cowork_providers::bus::{EventBus, LocalBus, Topic};
use open_cowork_providers::byok::{KeyValidator, KeyVerdict};
use open_cowork_providers::store::identity::Bootstrap;
use open_cowork_providers::store::{Actor, GovernanceStore, IdentityStore, Stamp};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::sync::Arc;
use support::{Reply, World, world, world_with};

const OWNER: &str = "owner@own";

/// Makes `account` an active member of `own`; the test principals of `own` are the account `user-own`.
async fn member(world: &World, account: &str, role: BuiltInRole) {
    let person = Bootstrap {
        tenant_id: "own".into(),
        org_id: None,
        tenant_name: "Own".into(),
        account_id: account.into(),
        idp_subject: None,
        email: format!("{account}@own.test"),
        display_name: None,
        role,
        create_membership: true,
        accept_invite: false,
    };
    let stamp = Stamp::new(
        Actor::system("test"),
        world.cloud.now(),
        format!("a-{account}"),
    );
    world.store.bootstrap(&person, &stamp).await.unwrap();
}

async fn settled() -> World {
    let world = world().await;
    member(&world, "user-own", BuiltInRole::Owner).await;
    world
}

async fn ok(world: &World, method: &str, path: &str, body: Value) -> Value {
    let body = (method != "GET").then_some(body);
    let reply = world.call(OWNER, method, path, body).await;
    assert!(reply.status.is_success(), "{method} {path}: {reply:?}");
    reply.json()
}

async fn refused(world: &World, method: &str, path: &str, body: Value) -> (u16, String) {
    let body = (method != "GET").then_some(body);
    let reply = world.call(OWNER, method, path, body).await;
    assert!(!reply.status.is_success(), "{method} {path}: {reply:?}");
    assert!(!reply.code().is_empty() && reply.status != 500, "{reply:?}");
    (reply.status.as_u16(), reply.code())
}

fn status(reply: &Reply) -> u16 {
    reply.status.as_u16()
}

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
async fn the_policy_merges_and_says_what_it_restricts() {
    let world = settled().await;
    let none = ok(&world, "GET", "/api/policy", json!({})).await;
    assert_eq!(
        (&none["policy"], &none["view"]["disabledByPolicy"]),
        (&Value::Null, &json!({}))
    );
    let change = json!({
        "allowedProviders": [" acme", "acme", "zeta"], "permissionCeilings": {"bash": "ask"},
        "extensions": {"customMcps": false}, "features": {"chat": true},
    });
    let set = ok(&world, "PUT", "/api/policy", change).await;
    assert_eq!(set["policy"]["allowedProviders"], json!(["acme", "zeta"]));
    assert_eq!(set["policy"]["orgId"], "own");
    let merged = ok(
        &world,
        "POST",
        "/api/policy",
        json!({"permissionCeilings": {"mcp": "deny"}}),
    )
    .await;
    assert_eq!(merged["view"]["permissionCeilings"]["bash"], "ask");
    assert_eq!(merged["view"]["extensions"]["customMcps"], false);
    let controls: Vec<&String> = merged["view"]["disabledByPolicy"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(controls, ["bash", "customMcps", "mcp", "providers"]);
    let lifted = ok(
        &world,
        "PUT",
        "/api/policy",
        json!({"allowedProviders": null}),
    )
    .await;
    assert_eq!(lifted["policy"]["allowedProviders"], Value::Null);
    for wrong in [
        json!({"allowedProviders": "acme"}),
        json!({"keyManagement": "mine"}),
        json!({"permissionCeilings": {"bash": "maybe"}}),
        json!({"features": {"9": true}}),
        json!({"nothing": 1}),
        json!({"updateChannel": "x".repeat(65)}),
    ] {
        assert_eq!(
            refused(&world, "PUT", "/api/policy", wrong.clone()).await.0,
            400,
            "{wrong}"
        );
    }
    let effective = world
        .call("member@own", "GET", "/api/policy/effective", None)
        .await;
    assert_eq!(effective.json()["policy"], lifted["view"]);
    let config = world.call("member@own", "GET", "/api/config", None).await;
    assert_eq!(config.json()["managedPolicy"], lifted["view"]);
    let elsewhere = world
        .call("owner@foreign", "GET", "/api/policy", None)
        .await;
    assert_eq!(elsewhere.json()["policy"], Value::Null);
}

#[tokio::test]
async fn a_stored_policy_that_nobody_understands_permits_nothing() {
    let world = settled().await;
    let later = json!({"deniedTools": ["bash"]})
        .as_object()
        .unwrap()
        .clone();
    let stamp = Stamp::new(Actor::system("test"), world.cloud.now(), "later");
    world
        .store
        .put_policy(&"own".into(), &later, None, &stamp)
        .await
        .unwrap();
    let effective = ok(&world, "GET", "/api/policy/effective", json!({})).await;
    assert_eq!(effective["policy"]["allowedProviders"], json!([]));
    assert_eq!(effective["policy"]["permissionCeilings"]["bash"], "deny");
}

struct Picky;

#[async_trait]
impl KeyValidator for Picky {
    fn knows(&self, provider: &str) -> bool {
        provider == "picky"
    }

    async fn validate(&self, _: &str, key: &SecretString) -> KeyVerdict {
        match key.expose_secret() {
            "good-key-000000001" => KeyVerdict::Valid,
            "slow-key-000000001" => KeyVerdict::Unknown,
            other => KeyVerdict::Invalid(format!("{other} is not known")),
        }
    }
}

async fn keys() -> World {
    let world = world_with(|services| {
        services.governance.validator = Some(Arc::new(Picky));
        services.governance.byok.allowed_providers = Some(vec!["picky".into(), "free".into()]);
    })
    .await;
    member(&world, "user-own", BuiltInRole::Owner).await;
    world
}

#[tokio::test]
async fn a_provider_key_is_validated_before_it_replaces_the_one_before() {
    let world = keys().await;
    let path = "/api/byok/picky";
    let set = ok(
        &world,
        "POST",
        path,
        json!({"apiKey": "good-key-000000001"}),
    )
    .await;
    assert_eq!(set["secret"]["status"], "pending_validation");
    assert_eq!(set["secret"]["last4"], "0001");
    let valid = ok(&world, "POST", "/api/byok/picky/validate", json!({})).await;
    assert_eq!(
        (&valid["validated"], &valid["secret"]["status"]),
        (&json!(true), &json!("active"))
    );
    ok(&world, "POST", path, json!({"key": "wrong-key-00000001"})).await;
    let invalid = ok(&world, "POST", "/api/byok/picky/validate", json!({})).await;
    assert_eq!(
        (&invalid["validated"], &invalid["secret"]["status"]),
        (&json!(false), &json!("invalid"))
    );
    assert!(!invalid.to_string().contains("wrong-key"), "{invalid}");
    let active = world
        .store
        .active_byok(&"own".into(), "picky")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(active.secret.last4, "0001");
    ok(
        &world,
        "POST",
        path,
        json!({"secret": "slow-key-000000001"}),
    )
    .await;
    let unknown = refused(&world, "POST", "/api/byok/picky/validate", json!({})).await;
    assert_eq!(unknown, (503, "byok.validation_unavailable".into()));
    let taken = ok(
        &world,
        "POST",
        "/api/byok/picky/override",
        json!({"reason": "I know it"}),
    )
    .await;
    assert_eq!(
        taken["secret"]["validationError"],
        "Operator override: I know it"
    );
    let gone = ok(&world, "DELETE", path, json!({})).await;
    assert_eq!(
        (&gone["disabled"], &gone["secret"]["status"]),
        (&json!(true), &json!("disabled"))
    );
    let again = ok(&world, "DELETE", path, json!({})).await;
    assert_eq!(
        (&again["disabled"], &again["secret"]),
        (&json!(false), &Value::Null)
    );
    assert_eq!(
        ok(&world, "GET", path, json!({})).await["secret"]["status"],
        "disabled"
    );
    let none = ok(&world, "POST", "/api/byok/free/validate", json!({})).await;
    assert_eq!(
        (&none["secret"], &none["validated"]),
        (&Value::Null, &json!(false))
    );
    assert_eq!(
        ok(&world, "GET", "/api/byok/free", json!({})).await["secret"],
        Value::Null
    );
}

#[tokio::test]
async fn keys_that_should_not_be_are_refused() {
    let world = keys().await;
    for (path, wish, expected) in [
        ("/api/byok/free", json!({}), 400),
        ("/api/byok/free", json!({"key": "a", "secret": "b"}), 400),
        ("/api/byok/free", json!({"key": "x".repeat(9000)}), 400),
        ("/api/byok/free", json!({"kmsRef": "aws-sm://x"}), 403),
        ("/api/byok/other", json!({"key": "a-key-of-somebody"}), 403),
        ("/api/byok/UPPER", json!({"key": "a-key-of-somebody"}), 400),
        ("/api/byok/free/override", json!({"reason": " "}), 400),
    ] {
        assert_eq!(
            refused(&world, "POST", path, wish.clone()).await.0,
            expected,
            "{path} {wish}"
        );
    }
    assert_eq!(
        refused(&world, "GET", "/api/byok/other", json!({})).await.0,
        403
    );
    ok(
        &world,
        "POST",
        "/api/byok/free",
        json!({"plaintext": "any-key-at-all-1"}),
    )
    .await;
    let taken = ok(&world, "POST", "/api/byok/free/validate", json!({})).await;
    assert_eq!(taken["secret"]["status"], "active");
    let strict = world_with(|services| {
        services.governance.byok.unvalidated_activation = false;
    })
    .await;
    member(&strict, "user-own", BuiltInRole::Owner).await;
    ok(
        &strict,
        "POST",
        "/api/byok/free",
        json!({"plaintext": "any-key-at-all-1"}),
    )
    .await;
    let refused = ok(&strict, "POST", "/api/byok/free/validate", json!({})).await;
    assert_eq!(refused["secret"]["status"], "unsupported");
}

#[tokio::test]
async fn settings_are_the_callers_own() {
    let world = settled().await;
    let none = ok(&world, "GET", "/api/settings/theme", json!({})).await;
    assert_eq!(none["setting"], Value::Null);
    let odd = "/api/settings/a%2Fb%20%25";
    for (method, n) in [("POST", 1), ("PUT", 2), ("PATCH", 3)] {
        let set = ok(&world, method, odd, json!({"value": {"n": n}})).await;
        assert_eq!(
            (&set["setting"]["key"], &set["setting"]["value"]["n"]),
            (&json!("a/b %"), &json!(n))
        );
    }
    ok(
        &world,
        "PUT",
        "/api/settings",
        json!({"key": "theme", "value": {}}),
    )
    .await;
    let all = ok(&world, "GET", "/api/settings", json!({})).await;
    assert_eq!(all["settings"].as_array().unwrap().len(), 2);
    assert_eq!(all["settings"][1]["userId"], "user-own");
    for wrong in [
        json!({"key": "theme"}),
        json!({"value": {}}),
        json!({"key": "k", "value": [1]}),
        json!({"key": "x".repeat(257), "value": {}}),
    ] {
        assert_eq!(refused(&world, "PUT", "/api/settings", wrong).await.0, 400);
    }
    let elsewhere = world
        .call("owner@foreign", "GET", "/api/settings", None)
        .await;
    assert_eq!(elsewhere.json()["settings"], json!([]));
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

#[tokio::test]
async fn usage_billing_and_diagnostics_have_the_contracts_shape() {
    let world = settled().await;
    let usage = ok(&world, "GET", "/api/usage/summary?limit=5", json!({})).await;
    assert_eq!(
        (&usage["totalsScope"], &usage["eventSampleLimit"]),
        (&json!("recent_events"), &json!(5))
    );
    assert_eq!(usage["quotas"].as_array().unwrap().len(), 6);
    assert_eq!(usage["quotas"][0]["quotaKey"], "prompts:hour");
    assert_eq!(
        ok(&world, "GET", "/api/usage/events", json!({})).await["events"],
        json!([])
    );
    let billing = ok(&world, "GET", "/api/billing/subscription", json!({})).await;
    assert_eq!(
        (&billing["enabled"], &billing["mode"]),
        (&json!(false), &json!("self-host"))
    );
    let plan = ok(&world, "GET", "/api/billing/entitlements", json!({})).await;
    assert_eq!(
        (
            &plan["provider"],
            &plan["features"]["byok"],
            &plan["limits"]
        ),
        (&json!("none"), &json!(true), &json!({}))
    );
    assert_eq!(
        refused(&world, "POST", "/api/billing/checkout", json!({})).await,
        (404, "billing.disabled".into())
    );
    let bundle = world
        .call("token:operator@own", "GET", "/api/diagnostics", None)
        .await;
    let bundle = match status(&bundle) {
        200 => bundle.json(),
        _ => world
            .call("local@own", "GET", "/api/diagnostics", None)
            .await
            .json(),
    };
    assert_eq!(bundle["redaction"], "secrets-redacted");
    assert_eq!(bundle["usage"]["eventSampleLimit"], 200);
    assert_eq!(bundle["runtime"]["heartbeatCount"], 0);
}

#[tokio::test]
async fn the_audit_log_knows_every_change_and_exports_without_formulas() {
    let world = settled().await;
    ok(
        &world,
        "POST",
        "/api/api-tokens",
        json!({"name": "=cmd|' /C calc'!A0", "scopes": ["desktop"]}),
    )
    .await;
    ok(&world, "PUT", "/api/policy", json!({"deniedModels": ["m"]})).await;
    let wish = json!({"roleKey": "quiet", "name": "Quiet", "permissions": []});
    ok(&world, "POST", "/api/admin/roles", wish).await;
    ok(
        &world,
        "POST",
        "/api/byok/acme",
        json!({"key": "a-key-of-somebody"}),
    )
    .await;
    let all = ok(
        &world,
        "GET",
        "/api/admin/audit?actorId=user-own",
        json!({}),
    )
    .await;
    let mut kinds: Vec<&str> = all["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|it| it["eventType"].as_str())
        .collect();
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        [
            "api_token.created",
            "byok_secret.created",
            "role.created",
            "workspace.policy.updated"
        ]
    );
    let first = ok(&world, "GET", "/api/admin/audit?limit=1", json!({})).await;
    let cursor = first["nextCursor"].as_str().unwrap();
    let path = format!("/api/admin/audit?limit=1&cursor={cursor}");
    let second = ok(&world, "GET", &path, json!({})).await;
    assert_ne!(
        first["events"][0]["eventId"],
        second["events"][0]["eventId"]
    );
    let foreign = format!("/api/admin/audit?action=role&cursor={cursor}");
    assert_eq!(
        refused(&world, "GET", &foreign, json!({})).await,
        (400, "audit.cursor.invalid".into())
    );
    for wrong in ["actorType=king", "from=yesterday", "result=maybe"] {
        let path = format!("/api/admin/audit?{wrong}");
        assert_eq!(
            refused(&world, "GET", &path, json!({})).await.0,
            400,
            "{wrong}"
        );
    }
    let csv = world
        .call(OWNER, "GET", "/api/admin/audit/export?format=csv", None)
        .await;
    assert!(
        csv.headers["content-disposition"]
            .to_str()
            .unwrap()
            .contains("audit-export-own.csv")
    );
    let header = "eventId,createdAt,orgId,actorType,actorId,accountId,eventType,targetType,targetId,result,metadata";
    assert!(csv.body.starts_with(header), "{}", csv.body);
    assert!(!csv.body.contains(",=cmd"));
    let json = world
        .call(OWNER, "GET", "/api/admin/audit/export", None)
        .await
        .json();
    let events = json["events"].as_array().unwrap();
    assert!(
        events
            .iter()
            .any(|event| event["eventType"] == "audit.exported"),
        "{json}"
    );
    assert_eq!(
        refused(
            &world,
            "GET",
            "/api/admin/audit/export?format=xml",
            json!({})
        )
        .await
        .0,
        400
    );
}

#[tokio::test]
async fn an_export_of_many_entries_is_whole() {
    let world = settled().await;
    for n in 0..13 {
        let wish = json!({"roleKey": format!("role{n}"), "name": "n", "permissions": []});
        ok(&world, "POST", "/api/admin/roles", wish).await;
    }
    let mut events = Vec::new();
    for n in 0..1200 {
        let mut event = serde_json::from_value::<open_cowork_contracts::api::admin::AuditEvent>(json!({
            "eventId": format!("e{n}"), "orgId": "own", "accountId": null, "actorType": "system", "actorId": null,
            "eventType": "x", "targetType": null, "targetId": null, "metadata": {}, "createdAt": world.cloud.now_iso(),
        }))
        .unwrap();
        event
            .metadata
            .insert("path".into(), "/home/ann/secret".into());
        events.push(event);
    }
    world
        .store
        .record_audit(&"own".into(), &events)
        .await
        .unwrap();
    let export = world
        .call(OWNER, "GET", "/api/admin/audit/export?action=x", None)
        .await;
    assert_eq!(export.json()["events"].as_array().unwrap().len(), 1200);
    assert!(!export.body.contains("/home/ann"));
    let open = world
        .call(
            OWNER,
            "GET",
            "/api/admin/audit/export?action=x&unredacted=true",
            None,
        )
        .await;
    assert!(open.body.contains("/home/ann"));
    let noted = ok(
        &world,
        "GET",
        "/api/admin/audit?action=audit.exported",
        json!({}),
    )
    .await;
    assert_eq!(noted["events"][0]["metadata"]["unredacted"], true);
}
