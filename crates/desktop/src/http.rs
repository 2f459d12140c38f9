//! HTTP/1.1 for the page, with a bound on what a client may hold: connections at a time, the time for a request's
//! head (the workbench bounds the body), and the time that the last requests get at the end.

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A head that isn't complete by then ends its connection; so does a connection that has asked nothing for so long.
const HEAD: Duration = Duration::from_secs(30);
/// Connections at a time; more wait in the system's queue. A browser opens six.
const CONNECTIONS: usize = 512;
/// Requests that are under way at the end may take that long.
const LAST_REQUESTS: Duration = Duration::from_secs(3);
/// A process without a free file descriptor tries again after this.
const NO_DESCRIPTOR: Duration = Duration::from_millis(500);

/// Serves connections until `stop`; then takes no more, and gives requests that are under way a moment.
pub(crate) async fn serve(listener: TcpListener, app: Router, stop: CancellationToken) {
    let free = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accept = async {
            let permit = free.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            (permit, accepted) = accept => match accepted {
                Ok((stream, _)) => {
                    let _ = stream.set_nodelay(true); // small frames leave at once where the system can
                    let (app, stop) = (app.clone(), stop.clone());
                    connections.spawn(async move {
                        let _permit = permit;
                        connection(stream, app, stop).await;
                    });
                }
                // The client left before it was taken.
                Err(error) if is_of_one_client(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(NO_DESCRIPTOR).await;
                }
            }
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_REQUESTS, all).await.is_err() {
        connections.shutdown().await;
    }
}

fn is_of_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
    )
}

/// One connection, to its end. What a client does wrong ends its own connection only.
async fn connection<S>(stream: S, app: Router, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut served = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app))
    );
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, Bytes};
    use axum::routing::get;
    use futures::stream;
    use std::convert::Infallible;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
    use tokio::net::TcpStream;
    use tokio::time::Instant;

    const BEAT: Duration = Duration::from_secs(15);

    /// `/` answers at once; `/stream` says something every 15 s, 40 times.
    fn app() -> Router {
        let beats = || async {
            let beats = stream::unfold(0, |count| async move {
                tokio::time::sleep(BEAT).await;
                let beat = Ok::<_, Infallible>(Bytes::from_static(b"beat\n"));
                (count < 40).then_some((beat, count + 1))
            });
            Body::from_stream(beats)
        };
        Router::new()
            .route("/", get(|| async { "here" }).post(|| async { "not read" }))
            .route("/stream", get(beats))
    }

    fn connected() -> (DuplexStream, CancellationToken) {
        let (client, server) = tokio::io::duplex(64 * 1024);
        let stop = CancellationToken::new();
        tokio::spawn(connection(server, app(), stop.clone()));
        (client, stop)
    }

    async fn rest(client: &mut DuplexStream) -> String {
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_never_ends_is_cut_at_its_deadline() {
        for sent in ["", "G", "GET / HTTP/1.1\r\nHost: x\r\nA: "] {
            let begun = Instant::now();
            let (mut client, _stop) = connected();
            client.write_all(sent.as_bytes()).await.unwrap();
            let answer = rest(&mut client).await;
            assert!(!answer.contains("200 OK"), "{answer}");
            assert_eq!(begun.elapsed().as_secs(), HEAD.as_secs(), "{sent:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_trickles_gets_no_more_time() {
        let begun = Instant::now();
        let (mut client, _stop) = connected();
        let mut sent = client.write_all(b"GET / HTTP/1.1\r\n").await;
        while sent.is_ok() && begun.elapsed() < HEAD * 10 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            sent = client.write_all(b"A: b\r\n").await;
        }
        assert!(begun.elapsed() < HEAD + Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_nobody_reads_holds_no_connection() {
        let begun = Instant::now();
        let (mut client, _stop) = connected();
        let half = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nhalf";
        client.write_all(half).await.unwrap();
        assert!(rest(&mut client).await.ends_with("not read"));
        assert!(begun.elapsed() <= HEAD);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_outlives_the_deadline_of_its_head() {
        let begun = Instant::now();
        let (mut client, _stop) = connected();
        let head = b"GET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        client.write_all(head).await.unwrap();
        assert_eq!(rest(&mut client).await.matches("beat").count(), 40);
        assert!(begun.elapsed() >= BEAT * 40);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_asks_nothing_more_is_let_go() {
        let begun = Instant::now();
        let (mut client, _stop) = connected();
        let head = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        client.write_all(head).await.unwrap();
        assert!(rest(&mut client).await.ends_with("here"));
        assert!(begun.elapsed() <= HEAD + Duration::from_secs(1));
    }

    #[tokio::test]
    async fn the_end_waits_for_no_client_that_says_nothing() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve(listener, app(), stop.clone()));
        let mut half = TcpStream::connect(address).await.unwrap();
        half.write_all(b"GET / HT").await.unwrap();
        let mut whole = TcpStream::connect(address).await.unwrap();
        let head = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        whole.write_all(head).await.unwrap();
        let mut answer = String::new();
        whole.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("here"), "{answer}");
        tokio::time::pause(); // the moment for the last requests passes at once
        stop.cancel();
        server.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }
}
