//! The listener: bounded connections, deadlines for those who are slow to send or to read, an orderly end
//! (03 §1.2, §9.5).
//!
//! A request is hyper's. An answer that streams events takes the socket over: hyper keeps two buffers of 8 KiB
//! for every connection, which would be most of what an idle stream costs.

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, Response, Version};
use bytes::{Buf, BytesMut};
use futures::{FutureExt, StreamExt};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use open_cowork_providers::time::Timestamp;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// Bounds of the listener.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Connections at once; beyond them, new ones wait in the system's queue.
    pub connections: usize,
    /// Time in which a request's head must have arrived; also the longest idle time of a connection.
    pub head: Duration,
    /// Time in which a reader must take something of what waits for it.
    pub stall: Duration,
    /// Most bytes of a head, and of output that waits for one connection in this process.
    pub buffer: usize,
    /// Time that requests have left after the stop.
    pub grace: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            connections: 10_000,
            head: Duration::from_secs(20),
            stall: Duration::from_secs(30),
            buffer: 64 * 1024,
            grace: Duration::from_secs(10),
        }
    }
}

/// Serves until `stop`, then lets open requests finish within the grace and cuts the rest.
pub async fn serve(listener: TcpListener, router: Router, bounds: Bounds, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(bounds.connections.max(1)));
    let tasks = TaskTracker::new();
    let cut = CancellationToken::new();
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else {
            break;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: others must end first.
                tracing::warn!(%error, "a connection can't be accepted");
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(100)) => continue,
                    () = stop.cancelled() => break,
                }
            }
        };
        prepare(&socket);
        let one = connection(
            Patient::new(socket, bounds.stall),
            peer,
            router.clone(),
            bounds.clone(),
            stop.clone(),
            cut.clone(),
        );
        let (tracker, cut) = (tasks.clone(), cut.clone());
        tasks.spawn(async move {
            if let Some((socket, response)) = one.await {
                // A task of its own: this one is as large as all of hyper.
                tracker.spawn(async move {
                    tokio::select! {
                        () = stream(socket, response) => {}
                        () = cut.cancelled() => {}
                    }
                    drop(slot);
                });
            }
        });
    }
    drop(listener);
    tasks.close();
    if tokio::time::timeout(bounds.grace, tasks.wait())
        .await
        .is_err()
    {
        cut.cancel();
        tasks.wait().await;
    }
}

/// Small frames leave at once; a dead peer is noticed.
fn prepare(socket: &TcpStream) {
    let _ = socket.set_nodelay(true);
    let _ = rustix::net::sockopt::set_socket_keepalive(socket, true);
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    let _ = rustix::net::sockopt::set_tcp_keepidle(socket, Duration::from_secs(30));
}

/// Serves a connection's requests; gives the socket back for an answer that streams.
async fn connection(
    socket: Patient,
    peer: SocketAddr,
    router: Router,
    bounds: Bounds,
    stop: CancellationToken,
    cut: CancellationToken,
) -> Option<(Patient, Response<Body>)> {
    let (hand, mut handed) = oneshot::channel();
    let hand = Arc::new(Mutex::new(Some(hand)));
    let asked = socket.asked.clone();
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        let (router, hand) = (router.clone(), hand.clone());
        asked.store(true, Ordering::Release);
        async move {
            request.extensions_mut().insert(ConnectInfo(peer));
            let chunked = request.version() == Version::HTTP_11;
            let response = router.oneshot(request.map(Body::new)).await?;
            if !chunked || !streams(&response) {
                return Ok(response);
            }
            let hand = hand.lock().unwrap_or_else(PoisonError::into_inner).take();
            match hand {
                None => Ok(response),
                Some(hand) => match hand.send(response) {
                    // The connection's task takes it from here and drops this future.
                    Ok(()) => std::future::pending::<Result<_, Infallible>>().await,
                    Err(response) => Ok(response),
                },
            }
        }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head)
        .max_buf_size(bounds.buffer.max(8192))
        .half_close(false);
    let mut connection = builder.serve_connection(TokioIo::new(socket), service);
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = &mut connection => {
                if let Err(error) = ended {
                    tracing::trace!(%peer, %error, "a connection ended early");
                }
                return None;
            }
            response = &mut handed => {
                let response = response.ok()?;
                return Some((connection.into_parts().io.into_inner(), response));
            }
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
            () = cut.cancelled() => return None,
        }
    }
}

fn streams(response: &Response<Body>) -> bool {
    let media = response.headers().get(CONTENT_TYPE);
    media.is_some_and(|media| media.as_bytes().starts_with(b"text/event-stream"))
}

/// Most bytes that are joined into one write.
const JOINED: usize = 32 * 1024;

/// Writes an endless answer in chunks. It never ends well: the last chunk is missing, so that the reader notices.
async fn stream(mut socket: Patient, response: Response<Body>) {
    let head = head(&response);
    let mut body = response.into_body().into_data_stream();
    if socket.write_all(&head).await.is_err() {
        return;
    }
    drop(head);
    loop {
        let first = tokio::select! {
            chunk = body.next() => chunk,
            () = gone(&socket.socket) => return,
        };
        let Some(Ok(first)) = first else {
            return;
        };
        let mut rest = BytesMut::new();
        let mut ended = false;
        while first.len() + rest.len() < JOINED {
            match body.next().now_or_never() {
                None => break,
                Some(Some(Ok(chunk))) => rest.extend_from_slice(&chunk),
                Some(_) => {
                    ended = true;
                    break;
                }
            }
        }
        let size = format!("{:x}\r\n", first.len() + rest.len());
        let mut chunk = size
            .as_bytes()
            .chain(first)
            .chain(rest.freeze())
            .chain(&b"\r\n"[..]);
        if socket.write_all_buf(&mut chunk).await.is_err() || ended {
            return;
        }
    }
}

fn head(response: &Response<Body>) -> Vec<u8> {
    let mut head = b"HTTP/1.1 200 OK\r\n".to_vec();
    let mut field = |name: &[u8], value: &[u8]| {
        head.extend_from_slice(name);
        head.extend_from_slice(b": ");
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\n");
    };
    for (name, value) in response.headers() {
        field(name.as_str().as_bytes(), value.as_bytes());
    }
    field(b"connection", b"keep-alive");
    field(b"transfer-encoding", b"chunked");
    let now = Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT");
    field(b"date", now.to_string().as_bytes());
    head.extend_from_slice(b"\r\n");
    head
}

/// Waits until the reader hangs up. What it sends meanwhile is nobody's.
async fn gone(socket: &TcpStream) {
    let mut scrap = [0; 64];
    loop {
        if socket.readable().await.is_err() {
            return;
        }
        match socket.try_read(&mut scrap) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

/// What hyper says by itself to a head that it can't read, and what we say in its place: the envelope of every error
/// (03 §2.1). Only to the first head of a connection, so that no byte of an answer of ours can be taken for it.
const REFUSALS: [(&[u8], &str); 3] = [
    (
        b"HTTP/1.1 400 Bad Request\r\n",
        r#"{"error":"The request can't be understood; send HTTP/1.1.","code":"request.invalid"}"#,
    ),
    (
        b"HTTP/1.1 414 URI Too Long\r\n",
        r#"{"error":"The request's address is too long.","code":"request.uri_too_long"}"#,
    ),
    (
        b"HTTP/1.1 431 Request Header Fields Too Large\r\n",
        r#"{"error":"The request's headers are too large.","code":"request.headers_too_large"}"#,
    ),
];

/// Our words in place of a refusal of hyper's.
fn refusal(bytes: &[u8]) -> Option<Vec<u8>> {
    let (line, body) = REFUSALS.iter().find(|(line, _)| bytes.starts_with(line))?;
    let mut own = line.to_vec();
    let length = body.len();
    let head = format!(
        "content-type: application/json; charset=utf-8\r\ncontent-length: {length}\r\ncache-control: no-store\r\n\
         x-content-type-options: nosniff\r\nconnection: close\r\n\r\n{body}"
    );
    own.extend_from_slice(head.as_bytes());
    Some(own)
}

/// A socket that gives up on a peer who takes nothing of what waits for it.
struct Patient {
    socket: TcpStream,
    stall: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
    /// A request has come: what is written from then on is an answer.
    asked: Arc<AtomicBool>,
    /// What of our words to an unreadable head is still to be written.
    own: Option<Box<BytesMut>>,
}

impl Patient {
    fn new(socket: TcpStream, stall: Duration) -> Self {
        Patient {
            socket,
            stall,
            waiting: None,
            asked: Arc::default(),
            own: None,
        }
    }

    /// Writes our words in place of hyper's `bytes`; `None` when these are none of the refusals.
    fn refuse(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Option<Poll<io::Result<usize>>> {
        if self.own.is_none() {
            if self.asked.load(Ordering::Acquire) {
                return None;
            }
            self.own = Some(Box::new(BytesMut::from(&refusal(bytes)?[..])));
        }
        let own = self.own.as_mut()?;
        while !own.is_empty() {
            match Pin::new(&mut self.socket).poll_write(context, own) {
                Poll::Ready(Ok(0)) => {
                    return Some(Poll::Ready(Err(io::ErrorKind::WriteZero.into())));
                }
                Poll::Ready(Ok(written)) => own.advance(written),
                other => return Some(other),
            }
        }
        Some(Poll::Ready(Ok(bytes.len())))
    }

    /// What the socket said, or that it said nothing for too long.
    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.waiting = None;
            return polled;
        }
        let stall = self.stall;
        let waiting = self
            .waiting
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(stall)));
        match waiting.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = match self.refuse(context, bytes) {
            Some(refused) => refused,
            None => Pin::new(&mut self.socket).poll_write(context, bytes),
        };
        self.watch(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = slices.iter().find(|slice| !slice.is_empty());
        let polled = match first.and_then(|first| self.refuse(context, first)) {
            Some(refused) => refused,
            None => Pin::new(&mut self.socket).poll_write_vectored(context, slices),
        };
        self.watch(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
