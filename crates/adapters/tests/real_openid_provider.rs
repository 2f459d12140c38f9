//! The OpenID adapter against a real provider (03 §6.3, §6.4): the code flow, bearer tokens of every algorithm,
//! forged tokens, rotated keys, outages.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use open_cowork_adapters::oidc::{OidcOptions, OidcProvider};
use open_cowork_providers::identity_provider::{
    AuthorizationRequest, CodeExchange, Identity, IdentityError, IdentityProvider,
};
use open_cowork_providers::time::Timestamp;
use open_cowork_testkit::oidc::OidcProvider as RealProvider;
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::time::Duration;

const CALLBACK: &str = "http://127.0.0.1:9/auth/callback";
const VERIFIER: &str = "a-verifier-of-more-than-forty-three-characters-0123";
const ALGORITHMS: [&str; 5] = ["RS256", "PS256", "ES256", "ES384", "EdDSA"];

async fn real() -> RealProvider {
    let accounts = json!({
        "alice": {"email": "Alice@Example.Test", "email_verified": true, "tid": "acme", "tenant_name": "Acme"},
        "bob": {"email": "bob@example.test", "email_verified": false},
        "carol": {"email": "carol@elsewhere.test", "email_verified": true},
        "dave": {"email_verified": true},
    });
    RealProvider::start(&accounts, &[CALLBACK]).await.unwrap()
}

fn adapter(real: &RealProvider, client: &str) -> OidcProvider {
    let options = OidcOptions {
        issuer_url: format!("{}/", real.issuer()),
        client_id: client.to_owned(),
        client_secret: (client != "public")
            .then(|| SecretString::from(RealProvider::CLIENT_SECRET)),
        allowed_email_domains: None,
    };
    OidcProvider::new(options).unwrap()
}

fn now() -> Timestamp {
    Timestamp::now()
}

fn after(start: Timestamp, seconds: u64) -> Timestamp {
    start.checked_add(Duration::from_secs(seconds)).unwrap()
}

/// Logs in; the result is what the callback would exchange, and the `iss` that it was given.
async fn log_in(
    real: &RealProvider,
    adapter: &OidcProvider,
    login: &str,
) -> (CodeExchange, String) {
    let request = AuthorizationRequest {
        redirect_uri: CALLBACK.to_owned(),
        state: "the-state".to_owned(),
        nonce: "the-nonce".to_owned(),
        code_challenge: URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER)),
    };
    let url = adapter.authorization_url(&request, now()).await.unwrap();
    let callback = real.log_in(&url, login).await.unwrap();
    let parameter = |name: &str| {
        let found = callback.query_pairs().find(|(key, _)| key == name);
        found
            .map(|(_, value)| value.into_owned())
            .unwrap_or_else(|| panic!("no {name} in {callback}"))
    };
    assert_eq!(parameter("state"), "the-state");
    let exchange = CodeExchange {
        code: SecretString::from(parameter("code")),
        redirect_uri: CALLBACK.to_owned(),
        code_verifier: SecretString::from(VERIFIER),
        nonce: SecretString::from("the-nonce"),
    };
    (exchange, parameter("iss"))
}

fn claims(real: &RealProvider, client: &str) -> Value {
    let seconds = now().as_second();
    json!({
        "iss": real.issuer(), "sub": "alice", "aud": client, "exp": seconds + 3600, "iat": seconds,
        "email": "Alice@Example.Test", "email_verified": true, "hd": "example.test",
    })
}

fn with(mut claims: Value, key: &str, value: Value) -> Value {
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(key)),
        value => claims[key] = value,
    }
    claims
}

async fn verify(
    adapter: &OidcProvider,
    token: &str,
    at: Timestamp,
) -> Result<Identity, IdentityError> {
    adapter.verify(&SecretString::from(token), at).await
}

#[track_caller]
fn rejected(outcome: Result<Identity, IdentityError>) -> &'static str {
    match outcome {
        Err(IdentityError::Rejected(reason)) => reason,
        other => panic!("not rejected: {other:?}"),
    }
}

#[tokio::test]
async fn people_log_in_with_every_kind_of_key() {
    let real = real().await;
    for client in ALGORITHMS.map(|algorithm| format!("open-cowork-{algorithm}")) {
        let adapter = adapter(&real, &client);
        let (exchange, iss) = log_in(&real, &adapter, "alice").await;
        assert_eq!(iss, real.issuer());
        let identity = adapter.exchange(&exchange, now()).await.unwrap();
        assert_eq!(identity.subject, "alice");
        assert_eq!(identity.issuer, real.issuer());
        assert_eq!(identity.email, "alice@example.test");
        assert_eq!(identity.tenant_id.as_deref(), Some("acme"));
        assert_eq!(identity.tenant_name.as_deref(), Some("Acme"));
    }
}

#[tokio::test]
async fn a_public_client_logs_in_by_pkce_alone() {
    let real = real().await;
    let adapter = adapter(&real, "public");
    let (exchange, _) = log_in(&real, &adapter, "carol").await;
    let identity = adapter.exchange(&exchange, now()).await.unwrap();
    assert_eq!(
        (identity.tenant_id, identity.email.as_str()),
        (None, "carol@elsewhere.test")
    );
}

#[tokio::test]
async fn a_code_counts_once_and_only_with_its_verifier_and_nonce() {
    let real = real().await;
    let adapter = adapter(&real, "open-cowork-RS256");
    let (exchange, _) = log_in(&real, &adapter, "alice").await;
    adapter.exchange(&exchange, now()).await.unwrap();
    rejected(adapter.exchange(&exchange, now()).await);

    let (mut stolen, _) = log_in(&real, &adapter, "alice").await;
    stolen.code_verifier =
        SecretString::from("another-verifier-of-more-than-forty-three-characters");
    rejected(adapter.exchange(&stolen, now()).await);

    let (mut mixed, _) = log_in(&real, &adapter, "alice").await;
    mixed.nonce = SecretString::from("the-nonce-of-somebody-else");
    let reason = rejected(adapter.exchange(&mixed, now()).await);
    assert!(reason.contains("this login"), "{reason}");
}

#[tokio::test]
async fn unverified_addresses_and_foreign_domains_stay_out() {
    let real = real().await;
    let adapter = adapter(&real, "open-cowork-ES256");
    for (login, word) in [("bob", "not verified"), ("dave", "no e-mail")] {
        let (exchange, _) = log_in(&real, &adapter, login).await;
        let reason = rejected(adapter.exchange(&exchange, now()).await);
        assert!(reason.contains(word), "{login}: {reason}");
    }
    let only = OidcProvider::new(OidcOptions {
        issuer_url: real.issuer().to_owned(),
        client_id: "open-cowork-ES256".to_owned(),
        client_secret: Some(SecretString::from(RealProvider::CLIENT_SECRET)),
        allowed_email_domains: Some(vec![" Example.Test".to_owned()]),
    })
    .unwrap();
    let (exchange, _) = log_in(&real, &only, "alice").await;
    only.exchange(&exchange, now()).await.unwrap();
    let (exchange, _) = log_in(&real, &only, "carol").await;
    rejected(only.exchange(&exchange, now()).await);
}

#[tokio::test]
async fn a_wrong_client_secret_is_the_operators_problem_and_is_not_shown() {
    let real = real().await;
    let adapter = OidcProvider::new(OidcOptions {
        issuer_url: real.issuer().to_owned(),
        client_id: "open-cowork-RS256".to_owned(),
        client_secret: Some(SecretString::from("canary-wrong-secret")),
        allowed_email_domains: None,
    })
    .unwrap();
    let (exchange, _) = log_in(&real, &adapter, "alice").await;
    let error = adapter.exchange(&exchange, now()).await.unwrap_err();
    assert!(matches!(error, IdentityError::Unavailable(_)), "{error:?}");
    assert!(!format!("{error:?}{adapter:?}{exchange:?}").contains("canary"));
}

#[tokio::test]
async fn bearer_tokens_of_every_algorithm_count() {
    let real = real().await;
    let adapter = adapter(&real, "open-cowork-RS256");
    for algorithm in ALGORITHMS {
        let claims = claims(&real, "open-cowork-RS256");
        let token = real.sign(algorithm, &claims, &json!({})).await.unwrap();
        let identity = verify(&adapter, &token, now()).await.unwrap();
        assert_eq!(
            identity.tenant_id.as_deref(),
            Some("example.test"),
            "{algorithm}"
        );
    }
    let audiences = with(
        claims(&real, ""),
        "aud",
        json!(["other", "open-cowork-RS256"]),
    );
    let token = real
        .sign("EdDSA", &audiences, &json!({"typ": "at+jwt"}))
        .await
        .unwrap();
    verify(&adapter, &token, now()).await.unwrap();
}

#[tokio::test]
async fn every_claim_is_checked() {
    let real = real().await;
    let client = "open-cowork-RS256";
    let adapter = adapter(&real, client);
    let seconds = now().as_second();
    for (key, value) in [
        ("iss", json!("https://evil.example")),
        ("iss", json!(null)),
        ("sub", json!(null)),
        ("sub", json!(" ")),
        ("sub", json!(7)),
        ("aud", json!("another-client")),
        ("aud", json!(["another-client"])),
        ("aud", json!(null)),
        ("exp", json!(seconds - 61)),
        ("exp", json!("never")),
        ("exp", json!(null)),
        ("nbf", json!(seconds + 120)),
        ("nbf", json!("now")),
        ("email", json!(null)),
        ("email", json!("alice")),
        ("email", json!("alice@example.test, eve@evil.example")),
        ("email", json!("alice@evil.example@example.test")),
        ("email_verified", json!(false)),
        ("email_verified", json!("true")),
        ("email_verified", json!(1)),
        ("email_verified", json!(null)),
    ] {
        let claims = with(claims(&real, client), key, value.clone());
        let token = real.sign("ES256", &claims, &json!({})).await.unwrap();
        let outcome = verify(&adapter, &token, now()).await;
        let reason = rejected(outcome);
        assert!(!reason.contains("example.test"), "{key} {value}: {reason}");
    }
    // Clocks may differ by a minute.
    let near = with(claims(&real, client), "exp", json!(seconds - 50));
    let near = with(near, "nbf", json!(seconds + 50));
    let token = real.sign("ES256", &near, &json!({})).await.unwrap();
    verify(&adapter, &token, now()).await.unwrap();
}

#[tokio::test]
async fn forged_tokens_count_for_nothing() {
    let real = real().await;
    let client = "open-cowork-RS256";
    let adapter = adapter(&real, client);
    let claims = claims(&real, client);
    let genuine = real.sign("RS256", &claims, &json!({})).await.unwrap();
    let part = |index: usize| genuine.split('.').nth(index).unwrap().to_owned();
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());

    let kid = json!({"kid": "generation-1-RS256"});
    let foreign = real.sign_foreign("RS256", &claims, &kid).await.unwrap();
    let unpublished = real
        .sign_foreign("RS256", &claims, &json!({}))
        .await
        .unwrap();
    let other_kind = real.sign("ES256", &claims, &kid).await.unwrap();
    let critical = real
        .sign("RS256", &claims, &json!({"crit": ["b64"], "b64": true}))
        .await
        .unwrap();
    let logout = real
        .sign("RS256", &claims, &json!({"typ": "logout+jwt"}))
        .await
        .unwrap();
    let none = json!({"alg": "none", "typ": "JWT"});
    let symmetric = json!({"alg": "HS256", "typ": "JWT", "kid": "generation-1-RS256"});
    let owner = with(claims.clone(), "sub", json!("owner"));
    for (what, token) in [
        ("another key under a known id", foreign),
        ("an unpublished key", unpublished),
        ("a key of another kind under a known id", other_kind),
        ("a critical extension", critical),
        ("a token of another kind", logout),
        ("no algorithm", format!("{}.{}.", encode(&none), part(1))),
        (
            "no algorithm, a signature",
            format!("{}.{}.{}", encode(&none), part(1), part(2)),
        ),
        (
            "a symmetric algorithm",
            format!("{}.{}.{}", encode(&symmetric), part(1), part(2)),
        ),
        (
            "other claims",
            format!("{}.{}.{}", part(0), encode(&owner), part(2)),
        ),
        (
            "a cut signature",
            format!("{}.{}.{}", part(0), part(1), &part(2)[..20]),
        ),
        ("no signature", format!("{}.{}.", part(0), part(1))),
        ("two parts", format!("{}.{}", part(0), part(1))),
        ("an encrypted token's five parts", format!("{genuine}.x.y")),
        (
            "a very long token",
            format!("{genuine}{}", "A".repeat(20_000)),
        ),
        ("nothing", String::new()),
    ] {
        let outcome = verify(&adapter, &token, now()).await;
        assert!(
            matches!(outcome, Err(IdentityError::Rejected(_))),
            "{what}: {outcome:?}"
        );
    }
    verify(&adapter, &genuine, now()).await.unwrap();
    // The same claim twice: two readers could see two persons.
    let twice = format!(
        "{}.{}.{}",
        part(0),
        URL_SAFE_NO_PAD.encode(r#"{"sub":"a","sub":"b"}"#),
        part(2)
    );
    rejected(verify(&adapter, &twice, now()).await);
}

#[tokio::test]
async fn rotated_keys_are_fetched_once_and_then_only_after_a_pause() {
    let real = real().await;
    let client = "open-cowork-RS256";
    let adapter = adapter(&real, client);
    let start = now();
    let long = with(
        claims(&real, client),
        "exp",
        json!(start.as_second() + 100_000),
    );
    let old = real.sign("RS256", &long, &json!({})).await.unwrap();
    verify(&adapter, &old, start).await.unwrap();
    let keys = async || real.hits().await.unwrap()["keys"];
    assert_eq!(keys().await, 1);

    real.rotate_keys().await.unwrap();
    let new = real.sign("RS256", &long, &json!({})).await.unwrap();
    let both = futures::join!(
        verify(&adapter, &new, after(start, 1)),
        verify(&adapter, &new, after(start, 1))
    );
    both.0.unwrap();
    both.1.unwrap();
    assert_eq!(keys().await, 2, "two at once fetch once");
    rejected(verify(&adapter, &old, after(start, 2)).await);

    // Whoever makes up key ids doesn't make us ask again and again.
    for n in 0..5 {
        let header = json!({"kid": format!("made-up-{n}")});
        let token = real.sign("RS256", &long, &header).await.unwrap();
        rejected(verify(&adapter, &token, after(start, 3)).await);
    }
    assert_eq!(keys().await, 2);

    real.rotate_keys().await.unwrap();
    let newest = real.sign("RS256", &long, &json!({})).await.unwrap();
    rejected(verify(&adapter, &newest, after(start, 10)).await);
    verify(&adapter, &newest, after(start, 32)).await.unwrap();
    assert_eq!(keys().await, 3);
}

#[tokio::test]
async fn an_outage_of_the_provider_logs_nobody_out_for_an_hour() {
    let real = real().await;
    let client = "open-cowork-ES256";
    let adapter = adapter(&real, client);
    let start = now();
    let long = with(
        claims(&real, client),
        "exp",
        json!(start.as_second() + 100_000),
    );
    let token = real.sign("ES256", &long, &json!({})).await.unwrap();
    real.set_down(true).await.unwrap();
    let error = verify(&adapter, &token, start).await.unwrap_err();
    assert!(matches!(error, IdentityError::Unavailable(_)));
    let asked = real.hits().await.unwrap()["discovery"];
    for _ in 0..5 {
        verify(&adapter, &token, after(start, 1)).await.unwrap_err();
    }
    assert_eq!(
        real.hits().await.unwrap()["discovery"],
        asked,
        "a failure is remembered for a moment"
    );

    real.set_down(false).await.unwrap();
    verify(&adapter, &token, after(start, 6)).await.unwrap();
    real.set_down(true).await.unwrap();
    verify(&adapter, &token, after(start, 20 * 60))
        .await
        .unwrap();
    verify(&adapter, &token, after(start, 59 * 60))
        .await
        .unwrap();
    verify(&adapter, &token, after(start, 70 * 60))
        .await
        .unwrap_err();
    real.set_down(false).await.unwrap();
    verify(&adapter, &token, after(start, 71 * 60))
        .await
        .unwrap();
}

#[test]
fn an_issuer_that_cannot_be_trusted_is_refused_at_once() {
    for (issuer, client) in [
        ("http://id.example.test", "client"),
        ("https://id.example.test?x=1", "client"),
        ("https://user:canary@id.example.test", "client"),
        ("nonsense", "client"),
        ("https://id.example.test", " "),
    ] {
        let options = OidcOptions {
            issuer_url: issuer.to_owned(),
            client_id: client.to_owned(),
            client_secret: None,
            allowed_email_domains: None,
        };
        let error = OidcProvider::new(options).unwrap_err().to_string();
        assert!(!error.contains("canary"), "{error}");
    }
}
