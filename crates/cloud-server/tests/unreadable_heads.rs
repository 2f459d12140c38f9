//! A head that the listener itself can't read is answered like any other mistake (03 §2.1).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

mod support;

use open_cowork_cloud_server::server::{Bounds, serve};
use serde_json::Value;
use std::net::SocketAddr;
use support::world;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// Head and body of everything that is answered until the connection ends.
async fn say(address: SocketAddr, bytes: &[u8]) -> (String, String) {
    let mut socket = TcpStream::connect(address).await.unwrap();
    // The other side may hang up in the middle of it.
    let _ = socket.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    (head.to_ascii_lowercase(), body.to_owned())
}

#[tokio::test]
async fn a_head_that_nobody_can_read_is_refused_with_a_code() {
    let world = world().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let bounds = Bounds {
        buffer: 8192,
        ..Bounds::default()
    };
    let serving = tokio::spawn(serve(listener, world.router.clone(), bounds, stop.clone()));
    let long = "x".repeat(20_000);
    for (bytes, status, code) in [
        ("nonsense\r\n\r\n".to_owned(), "400 ", "request.invalid"),
        (
            "GET / HTTP/1.1\r\nbad header\r\n\r\n".to_owned(),
            "400 ",
            "request.invalid",
        ),
        (
            format!("GET / HTTP/1.1\r\nhost: x\r\nlong: {long}\r\n\r\n"),
            "431 ",
            "request.headers_too_large",
        ),
    ] {
        let (head, body) = say(address, bytes.as_bytes()).await;
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{head}");
        assert!(head.contains("connection: close"), "{head}");
        assert!(
            head.contains(&format!("content-length: {}\r\n", body.len())),
            "{head}"
        );
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["code"], code);
        assert!(
            body["error"]
                .as_str()
                .is_some_and(|text| text.ends_with('.'))
        );
    }
    // What is asked well is answered as ever.
    let asked = "GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let (head, body) = say(address, asked.as_bytes()).await;
    assert!(
        head.starts_with("http/1.1 200") && body.contains("\"ok\":true"),
        "{head}"
    );
    stop.cancel();
    serving.await.unwrap();
}
