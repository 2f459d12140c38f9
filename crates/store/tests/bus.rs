//! Wake-ups through a real PostgreSQL.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails panics"
)]

use open_cowork_providers::bus::{EventBus, Topic};
use open_cowork_providers::conformance::bus::Buses;
use open_cowork_providers::store::SessionKey;
use open_cowork_store::PostgresBus;
use open_cowork_store::bus::CHANNEL;
use open_cowork_testkit::postgres::{Durability, Postgres};
use sqlx::postgres::{PgConnection, PgListener};
use sqlx::{Connection, Executor};
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(30);

fn session(id: &str) -> Topic {
    Topic::Session(SessionKey::new("acme", id))
}

async fn bus(server: &Postgres) -> (PostgresBus, Receiver<Topic>) {
    let bus = PostgresBus::start(&server.url().into()).unwrap();
    let mut remote = bus.subscribe_remote();
    assert_eq!(next(&mut remote).await, Topic::Everything);
    assert!(bus.is_connected());
    (bus, remote)
}

async fn next(topics: &mut Receiver<Topic>) -> Topic {
    timeout(LIMIT, topics.recv()).await.unwrap().unwrap()
}

/// Until that topic comes.
async fn until(topics: &mut Receiver<Topic>, wanted: &Topic) {
    while next(topics).await != *wanted {}
}

async fn fresh() -> Buses {
    let server = Postgres::shared().await.unwrap();
    let ((one, _), (other, _)) = (bus(&server).await, bus(&server).await);
    Buses::new(one, other, server)
}
open_cowork_providers::bus_conformance!(fresh);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_publishes_are_few_statements() {
    let server = Postgres::shared().await.unwrap();
    let (one, _) = bus(&server).await;
    let mut raw = PgListener::connect(&server.url()).await.unwrap();
    raw.listen(CHANNEL).await.unwrap();
    for _ in 0..20_000 {
        one.publish(session("burst"));
    }
    one.publish(session("end"));
    let mut told = 0;
    loop {
        let payload = timeout(LIMIT, raw.recv()).await.unwrap().unwrap();
        match payload.payload() {
            r#"{"k":"s","t":"acme","s":"burst"}"# => told += 1,
            r#"{"k":"s","t":"acme","s":"end"}"# => break,
            _ => {}
        }
    }
    assert!(told <= 50, "{told} notifications for one topic");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payloads_of_upstream_wake_and_garbage_does_not() {
    let server = Postgres::shared().await.unwrap();
    let (_bus, mut remote) = bus(&server).await;
    let mut upstream = PgConnection::connect(&server.url()).await.unwrap();
    for payload in [
        "nonsense",
        r#"{"k":"x"}"#,
        r#"{"k":"s","t":"acme","s":"theirs"}"#,
    ] {
        let notify = sqlx::query("SELECT pg_notify($1, $2)")
            .bind(CHANNEL)
            .bind(payload);
        upstream.execute(notify).await.unwrap();
    }
    // Other tests of this server talk, too.
    until(&mut remote, &session("theirs")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_away_means_look_at_everything() {
    let mut server = Postgres::start(Durability::Fast).await.unwrap();
    let ((one, _), (other, mut remote)) = (bus(&server).await, bus(&server).await);
    server.stop().await;
    let lost = async {
        while other.is_connected() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LIMIT, lost).await.unwrap();
    one.publish(session("meanwhile"));
    server.start_again().await.unwrap();
    until(&mut remote, &Topic::Everything).await;
    assert!(other.is_connected());
    // What couldn't be told is kept and told now, or was told before the other listened again.
    one.publish(session("after"));
    until(&mut remote, &session("after")).await;
}
