//! Many subscribers on a bad network: whatever befalls their connections, each ends with the projection of the server,
//! byte for byte. `cargo xtask soak` runs it for a minute; the test command for some seconds.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use open_cowork_cloud_client::{CloudClient, LineOptions, Update};
use open_cowork_cloud_server::pipeline::{Surfaces, router};
use open_cowork_cloud_server::{Cloud, LocalOwner, Services, server};
use open_cowork_contracts::api::sessions::{CreateSession, Session};
use open_cowork_contracts::{EventType, RuntimeEvent, SessionId};
use open_cowork_projection::Projector;
use open_cowork_providers::store::SessionKey;
use open_cowork_testkit::proxy::{Proxy, Weather};
use open_cowork_thread_log::ThreadLog;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{world, world_with};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const THREADS: usize = 8;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(otherwise)
}

/// One turn in a thread, in small appends, as a runtime makes it. Returns how many events it appended.
async fn turn(log: &ThreadLog, key: &SessionKey, turn: u64) -> u64 {
    let event = |kind: EventType, payload| RuntimeEvent::new(kind, payload);
    let message = format!("m{turn}");
    let tool = format!("t{turn}");
    let mut events = vec![
        event(EventType::SessionStatus, json!({"statusType": "running"})),
        event(
            EventType::PromptSubmitted,
            json!({"commandId": format!("c{turn}"), "messageId": format!("u{turn}"), "text": format!("Frage {turn} – ü"), "agent": "build"}),
        ),
    ];
    for piece in 0..12 {
        let content = format!("Stück {piece} 😀 ");
        events.push(event(
            EventType::AssistantMessage,
            json!({"messageId": message, "content": content, "mode": "append"}),
        ));
    }
    for status in ["running", "complete"] {
        events.push(event(EventType::ToolCall, json!({"id": tool, "name": "read", "input": {"path": "README.md"}, "status": status, "output": "x".repeat(300)})));
    }
    events.push(event(EventType::PermissionRequested, json!({"permissionId": format!("p{turn}"), "tool": "bash", "input": {"command": "ls"}, "description": "list"})));
    events.push(event(
        EventType::PermissionResolved,
        json!({"permissionId": format!("p{turn}"), "allowed": turn.is_multiple_of(2)}),
    ));
    events.push(event(EventType::TodosUpdated, json!({"todos": [{"content": format!("todo {turn}"), "status": "pending", "priority": "low"}]})));
    events.push(event(
        EventType::CostUpdated,
        json!({"cost": 0.1, "tokens": {"input": 7, "output": 3}}),
    ));
    events.push(event(
        EventType::AssistantMessage,
        json!({"messageId": message, "content": format!("Antwort {turn}")}),
    ));
    events.push(event(EventType::SessionIdle, json!({})));
    let mut appended = 0;
    for event in events {
        log.append(key, vec![event]).await.unwrap();
        appended += 1;
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    appended
}

/// What a subscriber has at the end: the view, and how often it got a whole one.
struct Folded {
    view: String,
    snapshots: u64,
    events: u64,
}

/// Follows a thread and folds, until the writers have ended and the last event is in.
async fn subscribe(
    client: CloudClient,
    session: SessionId,
    last: tokio::sync::watch::Receiver<Option<u64>>,
) -> Folded {
    let mut follow = client.sessions().follow(&session);
    let mut folding: Option<(Session, Projector)> = None;
    let (mut snapshots, mut events) = (0, 0);
    let mut last = last;
    loop {
        if last.borrow().is_some_and(|last| follow.cursor() >= last)
            && let Some((_, projector)) = folding
        {
            let view = serde_json::to_string(projector.view()).unwrap();
            return Folded {
                view,
                snapshots,
                events,
            };
        }
        let update = tokio::select! {
            update = follow.next() => update.unwrap().unwrap(),
            _ = last.changed() => continue,
        };
        match update {
            Update::Snapshot(envelope) => {
                snapshots += 1;
                let projector = match envelope.projection {
                    Some(projection) => Projector::from_view(projection.view),
                    None => Projector::new(&envelope.session),
                };
                folding = Some((envelope.session, projector));
            }
            Update::Event(event) => {
                events += 1;
                let (session, projector) = folding.as_mut().unwrap();
                projector.apply(session, &event);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_subscriber_ends_with_the_byte_equal_projection_however_often_it_is_cut() {
    let seconds = number("OPEN_COWORK_SOAK_SECONDS", 8);
    let subscribers = number("OPEN_COWORK_SOAK_SUBSCRIBERS", 200) as usize;
    let world = world_with(|services| {
        services.authenticator = Arc::new(LocalOwner::default());
        // A half-open connection holds its place for a while after its client has come back.
        services.options.limits.streams_per_org = subscribers * 20;
    })
    .await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(server::serve(
        listener,
        world.router.clone(),
        server::Bounds::default(),
        stop.clone(),
    ));
    let weather = Weather {
        seed: number("OPEN_COWORK_SOAK_SEED", 7),
        ..Weather::default()
    };
    let proxy = Proxy::start(address, weather).await.unwrap();

    let direct = CloudClient::builder(format!("http://{address}"))
        .build()
        .unwrap();
    let mut sessions = Vec::new();
    for _ in 0..THREADS {
        let made = direct
            .sessions()
            .create(&CreateSession::default())
            .await
            .unwrap();
        sessions.push(made.session);
    }
    let options = LineOptions {
        first: Duration::from_millis(20),
        longest: Duration::from_secs(1),
        silence: Duration::from_secs(4),
        ..LineOptions::default()
    };
    // Subscribers of one client share its connections' pool, as in a program.
    let client = CloudClient::builder(proxy.base())
        .line(options)
        .build()
        .unwrap();
    let (tell, last) = (0..THREADS)
        .map(|_| tokio::sync::watch::channel(None))
        .unzip::<_, _, Vec<_>, Vec<_>>();
    let mut following = JoinSet::new();
    for number in 0..subscribers {
        let thread = number % THREADS;
        let (client, session, last) = (
            client.clone(),
            sessions[thread].session_id.clone(),
            last[thread].clone(),
        );
        following.spawn(async move { (thread, subscribe(client, session, last).await) });
    }

    let end = Instant::now() + Duration::from_secs(seconds);
    let mut writers = JoinSet::new();
    for session in &sessions {
        let (log, key) = (
            world.log.clone(),
            SessionKey::new(session.tenant_id.clone(), session.session_id.clone()),
        );
        writers.spawn(async move {
            let mut appended = 0;
            for number in 0.. {
                if Instant::now() >= end {
                    break;
                }
                appended += turn(&log, &key, number).await;
            }
            appended
        });
    }
    let appended: u64 = writers.join_all().await.iter().sum();
    world.log.flush_all().await.unwrap();
    let mut expected = Vec::new();
    for (session, tell) in sessions.iter().zip(&tell) {
        let envelope = direct.sessions().get(&session.session_id).await.unwrap();
        let projection = envelope.projection.unwrap();
        expected.push(serde_json::to_string(&projection.view).unwrap());
        tell.send_replace(Some(projection.sequence));
    }
    proxy.calm();
    let healed = tokio::time::timeout(Duration::from_secs(60), following.join_all()).await;
    let folded = healed.expect("a subscriber did not get to the end within a minute");
    let (snapshots, events) = folded
        .iter()
        .fold((0, 0), |(snapshots, events), (_, folded)| {
            (snapshots + folded.snapshots, events + folded.events)
        });
    println!(
        "{appended} events, {subscribers} subscribers, {} cuts, {snapshots} snapshots, {events} events folded",
        proxy.cuts()
    );
    for (thread, folded) in &folded {
        assert_eq!(folded.view, expected[*thread]);
    }
    assert!(
        proxy.cuts() as usize >= subscribers,
        "the network was too good: {} cuts",
        proxy.cuts()
    );
    assert!(events > appended, "events were folded: {events}");
    world.cloud.drain().await;
    stop.cancel();
    serving.await.unwrap();
}

/// One process of the cloud: a listener at this address, over the world's store and log.
async fn process(
    world: &support::World,
    address: &str,
) -> (CancellationToken, Cloud, tokio::task::JoinHandle<()>) {
    let mut services = Services::new(
        world.store.clone(),
        world.log.clone(),
        Arc::new(support::Plain),
    );
    services.options.limits.requests = None;
    for feature in services.options.profile.features.values_mut() {
        *feature = true;
    }
    let cloud = Cloud::new(services);
    let listener = TcpListener::bind(address).await.unwrap();
    let stop = CancellationToken::new();
    let routes = router(cloud.clone(), Surfaces::default());
    let serving = tokio::spawn(server::serve(
        listener,
        routes,
        server::Bounds::default(),
        stop.clone(),
    ));
    (stop, cloud, serving)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cloud_that_is_replaced_under_its_subscribers_is_found_again_by_all_of_them() {
    let world = world().await;
    let reserved = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = reserved.local_addr().unwrap().to_string();
    drop(reserved);
    let first = process(&world, &address).await;
    let options = LineOptions {
        first: Duration::from_millis(10),
        longest: Duration::from_millis(200),
        ..LineOptions::default()
    };
    let client = CloudClient::builder(format!("http://{address}"))
        .line(options)
        .build()
        .unwrap();
    let session = client
        .sessions()
        .create(&CreateSession::default())
        .await
        .unwrap()
        .session;
    let key = SessionKey::new(session.tenant_id.clone(), session.session_id.clone());
    let (tell, last) = tokio::sync::watch::channel(None);
    let mut following = JoinSet::new();
    for _ in 0..20 {
        following.spawn(subscribe(
            client.clone(),
            session.session_id.clone(),
            last.clone(),
        ));
    }
    turn(&world.log, &key, 0).await;
    let mut process_now = first;
    for number in 1..=3 {
        let (stop, cloud, serving) = process_now;
        // A drain breaks the streams, so that readers without an end of stream come back too (03 §12 #1).
        cloud.drain().await;
        stop.cancel();
        serving.await.unwrap();
        turn(&world.log, &key, number).await;
        process_now = process(&world, &address).await;
        turn(&world.log, &key, number + 10).await;
    }
    world.log.flush_all().await.unwrap();
    let projection = client
        .sessions()
        .get(&session.session_id)
        .await
        .unwrap()
        .projection
        .unwrap();
    tell.send_replace(Some(projection.sequence));
    let healed = tokio::time::timeout(Duration::from_secs(60), following.join_all()).await;
    let expected = serde_json::to_string(&projection.view).unwrap();
    for folded in healed.expect("a subscriber did not find the cloud again") {
        assert_eq!(folded.view, expected);
        // A new process may serve a restored database, so its streams begin with a look at the whole (x-open-cowork-stream-epoch).
        assert!(folded.snapshots <= 4, "{} snapshots", folded.snapshots);
    }
}
