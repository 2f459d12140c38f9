//! What an idle stream costs in this process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

mod support;

use open_cowork_cloud_server::server::{Bounds, serve};
use std::io::{Read, Write};
use support::world_with;
use tokio_util::sync::CancellationToken;

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = status
        .split_whitespace()
        .nth(1)
        .and_then(|text| text.parse::<usize>().ok());
    pages.unwrap_or(0) * 4096
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures; run by hand with --release"]
async fn idle_streams_are_small() {
    let world = world_with(|services| services.options.limits.streams_per_org = 100_000).await;
    let made = world.call("local@own", "POST", "/api/sessions", None).await;
    let id = made.json()["session"]["sessionId"]
        .as_str()
        .unwrap()
        .to_owned();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(
        listener,
        world.router.clone(),
        Bounds::default(),
        CancellationToken::new(),
    ));
    let open = move |count: usize| {
        let id = id.clone();
        tokio::task::spawn_blocking(move || {
            let mut sockets = Vec::new();
            for _ in 0..count {
                let mut socket = std::net::TcpStream::connect(address).unwrap();
                let head = format!(
                    "GET /api/sessions/{id}/events?after=1 HTTP/1.1\r\nhost: x\r\nx-test-principal: local@own\r\naccept: text/event-stream\r\n\r\n"
                );
                socket.write_all(head.as_bytes()).unwrap();
                let mut first = [0; 256];
                assert!(socket.read(&mut first).unwrap() > 0);
                sockets.push(socket);
            }
            sockets
        })
    };
    let warm = open.clone()(200).await.unwrap();
    let before = resident();
    let held = open(3000).await.unwrap();
    let after = resident();
    let each = (after - before) / held.len();
    println!(
        "{each} bytes per idle stream ({} open)",
        world.cloud.streams().count()
    );
    assert!(each < 10 * 1024, "{each}");
    drop((warm, held));
}

#[tokio::test]
#[ignore = "measures; run by hand with --release"]
async fn the_pipeline_costs_little() {
    use std::time::Instant;
    use tower::ServiceExt;
    let world = world_with(|services| {
        services.options.limits.requests = Some(open_cowork_cloud_server::cloud::RequestRate {
            max: 100_000_000,
            window: std::time::Duration::from_secs(60),
        });
    })
    .await;
    let made = world
        .call("token:desktop@own", "POST", "/api/sessions", None)
        .await;
    let id = made.json()["session"]["sessionId"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/api/sessions/{id}");
    let count = 20_000;
    for round in 0..3 {
        let started = Instant::now();
        for _ in 0..count {
            let request = support::request("token:desktop@own", "GET", &path, None);
            let response = world.router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), 200);
        }
        println!("{round}: {:?} per request", started.elapsed() / count);
    }
}
