//! Governance over HTTP: tokens, people, roles, single sign-on, policy, provider keys, settings, usage, audit.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails panics"
)]

#[path = "../support/mod.rs"]
mod support;

mod people;
mod policy;
mod records;

use open_cowork_contracts::access::BuiltInRole;
use open_cowork_providers::store::identity::Bootstrap;
use open_cowork_providers::store::{Actor, IdentityStore, Stamp};
use serde_json::Value;
use support::{Reply, World, world};

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
