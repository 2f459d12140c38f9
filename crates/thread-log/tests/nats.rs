//! Two processes on one PostgreSQL with a NATS server between them: the whole way of a wake-up (04 §9).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails panics"
)]

mod world;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use open_cowork_adapters::nats::{NatsAddress, NatsBus, NatsOptions};
use open_cowork_providers::bus::{EventBus, Topic};
use open_cowork_providers::store::SessionStore as _;
use open_cowork_store::{PostgresOptions, PostgresStore, SchemaName};
use open_cowork_testkit::nats::Nats;
use open_cowork_testkit::postgres::Postgres;
use open_cowork_thread_log::{Subscription, ThreadLog, ThreadLogOptions, WorkspaceUpdate};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use world::*;

/// Longer than any test: what arrives came by the bus.
const NEVER: Duration = Duration::from_secs(3600);
const LIMIT: Duration = Duration::from_secs(60);

/// A process: its own connections to both servers.
async fn process(
    database: &Postgres,
    nats: &Nats,
) -> (ThreadLog, Arc<NatsBus>, Arc<PostgresStore>) {
    let options = PostgresOptions {
        schema: SchemaName::parse("nats").unwrap(),
        ..PostgresOptions::default()
    };
    let store = PostgresStore::open(&database.url().into(), options).await;
    let store = Arc::new(store.unwrap());
    let address = NatsAddress::parse(&nats.url().into()).unwrap();
    let bus = Arc::new(NatsBus::start(NatsOptions::new(address)));
    let mut remote = bus.subscribe_remote();
    assert_eq!(
        timeout(LIMIT, remote.recv()).await.unwrap(),
        Ok(Topic::Everything)
    );
    let options = ThreadLogOptions {
        bus: bus.clone(),
        shared: true,
        poll: NEVER,
        poll_connected: NEVER,
        ..ThreadLogOptions::default()
    };
    (ThreadLog::new(store.clone(), options), bus, store)
}

/// The event of that number is the next in both streams.
async fn heard(
    n: u64,
    stream: &mut Subscription,
    workspace: &mut BoxStream<'static, WorkspaceUpdate>,
) {
    let events = timeout(LIMIT, next_events(stream, 1)).await.unwrap();
    assert_eq!(
        (events[0].sequence, text_of(&events[0])),
        (n, n.to_string())
    );
    let update = timeout(LIMIT, workspace.next()).await.unwrap();
    let Some(WorkspaceUpdate::Event(event)) = update else {
        panic!("no workspace event");
    };
    assert_eq!(event.sequence, n);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_of_one_process_is_in_the_streams_of_the_other_without_a_poll() {
    let database = Postgres::shared().await.unwrap();
    let mut nats = Nats::start("").await.unwrap();
    let (one, one_bus, store) = process(&database, &nats).await;
    let (other, other_bus, _) = process(&database, &nats).await;
    store.create_session(new_session("s")).await.unwrap();
    let mut stream = other.subscribe(&key("s"), 0).await.unwrap();
    let mut workspace = other.subscribe_workspace(&scope(), 0);
    for n in 1..=20 {
        one.append(&key("s"), vec![prompt(&n.to_string())])
            .await
            .unwrap();
        heard(n, &mut stream, &mut workspace).await;
    }

    // What is appended while nobody can be told is found when the server is back.
    nats.kill().await;
    let away = async {
        while one_bus.is_connected() || other_bus.is_connected() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LIMIT, away).await.unwrap();
    one.append(&key("s"), vec![prompt("21")]).await.unwrap();
    nats.start_again().await.unwrap();
    heard(21, &mut stream, &mut workspace).await;

    one.close().await;
    other.close().await;
}
