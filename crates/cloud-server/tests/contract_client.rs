//! The stand-in for upstream's clients (testkit::contract_client) against this server, over a real connection.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use open_cowork_cloud_server::{LocalOwner, server};
use open_cowork_testkit::contract_client::{Surroundings, suite};
use std::sync::Arc;
use support::world_with;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What a later issue brings: the route answers 501, and upstream's clients are told so.
const LATER: &[&str] = &["validateProjectSource", "uploadProjectSnapshot"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_method_of_upstreams_client_gets_the_answer_that_it_expects() {
    let world =
        world_with(|services| services.authenticator = Arc::new(LocalOwner::default())).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let serving = tokio::spawn(server::serve(
        listener,
        world.router.clone(),
        server::Bounds::default(),
        stop.clone(),
    ));
    let surroundings = Surroundings {
        base,
        ..Surroundings::default()
    };
    let report = suite(&surroundings).await.unwrap();
    let differences: Vec<String> = report
        .differences()
        .into_iter()
        .filter(|text| {
            !LATER
                .iter()
                .any(|name| text.starts_with(name) && text.contains("501"))
        })
        .collect();
    assert!(
        report.checks.len() > 150,
        "{} checks ran",
        report.checks.len()
    );
    assert!(
        differences.is_empty(),
        "{} of {} checks differ:\n{}",
        differences.len(),
        report.checks.len(),
        differences.join("\n")
    );
    world.cloud.drain().await;
    stop.cancel();
    serving.await.unwrap();
}
