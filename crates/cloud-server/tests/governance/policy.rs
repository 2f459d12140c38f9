//! The managed policy and provider keys.

use crate::support::{World, world_with};
use crate::{member, ok, refused, settled};
use async_trait::async_trait;
use open_cowork_contracts::access::BuiltInRole;
use open_cowork_providers::byok::{KeyValidator, KeyVerdict};
use open_cowork_providers::store::{Actor, GovernanceStore, Stamp};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::sync::Arc;

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

async fn keys(unchecked: bool) -> World {
    let world = world_with(|services| {
        services.governance.validator = Some(Arc::new(Picky));
        services.governance.byok.allowed_providers = Some(vec!["picky".into(), "free".into()]);
        services.governance.byok.unvalidated_activation = unchecked;
    })
    .await;
    member(&world, "user-own", BuiltInRole::Owner).await;
    world
}

#[tokio::test]
async fn a_provider_key_is_validated_before_it_replaces_the_one_before() {
    let world = keys(false).await;
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

/// A deployment that takes what nobody can check takes it too when the provider is away, and says so.
#[tokio::test]
async fn a_key_that_cannot_be_checked_now_is_taken_where_unchecked_keys_are() {
    let world = keys(true).await;
    let key = json!({"key": "slow-key-000000001"});
    ok(&world, "POST", "/api/byok/picky", key).await;
    let taken = ok(&world, "POST", "/api/byok/picky/validate", json!({})).await;
    assert_eq!(taken["validated"], true);
    assert_eq!(taken["secret"]["status"], "active");
    let note = taken["secret"]["validationError"].as_str().unwrap();
    assert!(note.contains("Not checked"), "{note}");
}

#[tokio::test]
async fn keys_that_should_not_be_are_refused() {
    let world = keys(true).await;
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
