//! The server is real, private to its test, and can be stopped, killed and started again.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use open_cowork_testkit::postgres::{Durability, Postgres};
use std::net::TcpStream;

fn answers(server: &Postgres) -> bool {
    TcpStream::connect(("127.0.0.1", server.port())).is_ok()
}

#[tokio::test]
async fn real_postgres_starts_stops_dies_and_starts_again() {
    let mut server = Postgres::start(Durability::Durable).await.unwrap();
    assert!(answers(&server));
    let first = server.pid().unwrap();
    server.stop().await;
    assert!(!answers(&server) && server.pid().is_none());
    server.start_again().await.unwrap();
    assert!(answers(&server));
    assert_ne!(server.pid(), Some(first));
    server.kill().await;
    assert!(!answers(&server));
    server.start_again().await.unwrap();
    assert!(answers(&server));
}

#[tokio::test]
async fn real_postgres_is_gone_with_its_handle() {
    let server = Postgres::start(Durability::Fast).await.unwrap();
    let port = server.port();
    let pid = server.pid().unwrap();
    drop(server);
    // The kill is sent; its arrival takes a moment, and reaping another: a zombie does nothing any more.
    let runs = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
        status.is_ok_and(|status| {
            status.starts_with("Name:\tpostgres") && !status.contains("State:\tZ")
        })
    };
    let gone = async {
        while TcpStream::connect(("127.0.0.1", port)).is_ok() || runs() {
            tokio::task::yield_now().await;
        }
    };
    let patience = std::time::Duration::from_secs(10);
    tokio::time::timeout(patience, gone).await.unwrap();
}
