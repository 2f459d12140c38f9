//! A secret in every field of governance that takes one is afterwards in no answer, no line of the log, no
//! audit entry, and nowhere in the database in the clear.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails panics"
)]

mod support;

use open_cowork_adapters::secrets::EnvelopeSecrets;
use open_cowork_contracts::access::BuiltInRole;
use open_cowork_contracts::api::admin::overview::SignupMode;
use open_cowork_providers::store::ControlPlane;
use open_cowork_providers::store::identity::{Bootstrap, IdentityStore};
use open_cowork_providers::store::{Actor, Stamp};
use open_cowork_store::{SqliteOptions, SqliteStore};
use open_cowork_thread_log::{ThreadLog, ThreadLogOptions};
use serde_json::{Value, json};
use std::io::Write;
use std::sync::{Arc, Mutex};
use support::{World, world_with};
use tracing_subscriber::fmt::MakeWriter;

const CANARY: &str = "kanarienvogel-0123456789-abcdef";

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Lines;

    fn make_writer(&'a self) -> Lines {
        self.clone()
    }
}

async fn stored_world(path: &std::path::Path) -> (World, Arc<SqliteStore>) {
    let store = SqliteStore::open(path, SqliteOptions::default()).await;
    let store = Arc::new(store.unwrap());
    let (plane, log): (Arc<dyn ControlPlane>, _) = (
        store.clone(),
        ThreadLog::new(store.clone(), ThreadLogOptions::default()),
    );
    let world = world_with(|services| {
        services.store = plane;
        services.log = log;
        let key = "0VQ9mB1xH7cT3nZ5rL8yW2kJ6pF4sD0aGuXe".into();
        services.secrets = Arc::new(EnvelopeSecrets::new(&key, &[]));
        services.governance.signup.mode = SignupMode::Invite;
        services.governance.invite_secret = Some("a-signing-key-of-the-tests".into());
    })
    .await;
    let owner = Bootstrap {
        tenant_id: "own".into(),
        org_id: None,
        tenant_name: "Own".into(),
        account_id: "user-own".into(),
        idp_subject: None,
        email: "user@own.test".into(),
        display_name: None,
        role: BuiltInRole::Owner,
        create_membership: true,
        accept_invite: false,
    };
    let stamp = Stamp::new(Actor::system("test"), world.cloud.now(), "a");
    store.bootstrap(&owner, &stamp).await.unwrap();
    (world, store)
}

async fn send(world: &World, said: &mut String, method: &str, path: &str, body: Value) -> Value {
    let body = (method != "GET").then_some(body);
    let reply = world.call("owner@own", method, path, body).await;
    assert_ne!(reply.status, 500, "{method} {path}: {}", reply.body);
    said.push_str(&format!(
        "{method} {path}: {:?} {}\n",
        reply.headers, reply.body
    ));
    reply.json()
}

#[tokio::test]
async fn a_secret_that_goes_in_comes_out_nowhere() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(lines.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let folder = tempfile::tempdir().unwrap();
    let (world, store) = stored_world(&folder.path().join("cloud.db")).await;
    let mut said = String::new();
    let canary = |n: u32| format!("{CANARY}-{n}");

    for (n, field) in ["plaintext", "apiKey", "key", "secret"].iter().enumerate() {
        let path = format!("/api/byok/provider{n}");
        let wish = Value::Object(
            [(field.to_string(), canary(n as u32).into())]
                .into_iter()
                .collect(),
        );
        send(&world, &mut said, "POST", &path, wish).await;
        send(
            &world,
            &mut said,
            "POST",
            &format!("{path}/validate"),
            json!({}),
        )
        .await;
        send(&world, &mut said, "GET", &path, json!({})).await;
    }
    // Refused, and still not repeated.
    send(
        &world,
        &mut said,
        "POST",
        "/api/byok/two",
        json!({"key": canary(8), "secret": canary(9)}),
    )
    .await;
    send(
        &world,
        &mut said,
        "POST",
        "/api/byok/ref",
        json!({"kmsRef": canary(10)}),
    )
    .await;
    send(
        &world,
        &mut said,
        "POST",
        "/api/byok/Wrong",
        json!({"key": canary(11)}),
    )
    .await;
    let sso = json!({"oidcClientSecret": canary(12), "samlIdpCertificate": canary(13)});
    let made = send(&world, &mut said, "POST", "/api/admin/sso", sso).await;
    assert_eq!(made["sso"]["hasOidcClientSecret"], true, "{made}");
    assert_eq!(made["sso"]["hasSamlIdpCertificate"], true);
    send(
        &world,
        &mut said,
        "POST",
        "/api/admin/sso",
        json!({"oidcClientSecret": {"x": canary(14)}}),
    )
    .await;
    send(
        &world,
        &mut said,
        "POST",
        "/api/invites/accept",
        json!({"token": canary(15)}),
    )
    .await;

    // What is shown once: the answer that shows it is the only place.
    let token = world
        .call(
            "owner@own",
            "POST",
            "/api/api-tokens",
            Some(json!({"name": "n", "scopes": ["desktop"]})),
        )
        .await
        .json();
    let token = token["plaintext"].as_str().unwrap().to_owned();
    let scim = world
        .call(
            "owner@own",
            "POST",
            "/api/admin/sso/scim-token",
            Some(json!({})),
        )
        .await
        .json();
    let scim = scim["scimToken"].as_str().unwrap().to_owned();
    let invite = world
        .call(
            "owner@own",
            "POST",
            "/api/admin/members",
            Some(json!({"email": "bob@own.test"})),
        )
        .await
        .json();
    let invite = invite["inviteToken"].as_str().unwrap().to_owned();
    let secret_half = token[25..].to_owned();

    for path in [
        "/api/byok",
        "/api/api-tokens",
        "/api/admin/sso",
        "/api/admin/members",
        "/api/admin/audit",
        "/api/admin/audit/export?format=csv&unredacted=true",
        "/api/admin/audit/export?unredacted=true",
        "/api/usage/summary",
        "/api/admin",
        "/api/config",
        "/openapi.json",
    ] {
        send(&world, &mut said, "GET", path, json!({})).await;
    }
    let diagnostics = world
        .call("local@own", "GET", "/api/diagnostics", None)
        .await;
    said.push_str(&diagnostics.body);

    world.log.close().await;
    store.close().await;
    let log = String::from_utf8_lossy(&lines.0.lock().unwrap()).into_owned();
    let mut database = Vec::new();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        database.extend(std::fs::read(file.unwrap().path()).unwrap());
    }
    let database = String::from_utf8_lossy(&database);
    // It looks where the secrets would be.
    assert!(database.contains("enc:v1:") && database.contains("sha256-v1:"));
    assert!(log.contains("byok") && said.contains("provider0"), "{log}");
    for secret in [CANARY, secret_half.as_str(), scim.as_str(), invite.as_str()] {
        for (place, text) in [
            ("an answer", said.as_str()),
            ("the log", &log),
            ("the database", &database),
        ] {
            assert!(!text.contains(secret), "{secret} is in {place}");
        }
    }
}
