//! Many event streams, read by one thread.

use crate::load::{Request, find};
use anyhow::{Context as _, ensure};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// How long all streams together may take for one event.
const PATIENCE: Duration = Duration::from_secs(20);

/// Open streams. Dropping them closes them.
pub(crate) struct Streams {
    runtime: Runtime,
    /// What the streams wait for.
    marker: watch::Sender<String>,
    seen: Arc<Seen>,
    count: usize,
}

struct Seen {
    start: Instant,
    first: AtomicUsize,
    last: AtomicUsize,
    count: AtomicUsize,
}

impl Seen {
    fn note(&self) {
        let now = self.start.elapsed().as_micros() as usize;
        self.first.fetch_min(now, Ordering::Relaxed);
        self.last.fetch_max(now, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Release);
    }
}

/// Opens that many streams and waits until each has its first bytes.
pub(crate) fn open(
    address: SocketAddr,
    request: &Request,
    count: usize,
) -> anyhow::Result<Streams> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let marker = watch::Sender::new(String::new());
    let seen = Arc::new(Seen {
        start: Instant::now(),
        first: AtomicUsize::new(usize::MAX),
        last: AtomicUsize::new(0),
        count: AtomicUsize::new(0),
    });
    let bytes: Arc<[u8]> = request.bytes(address).into();
    let opened = Arc::new(AtomicUsize::new(0));
    for _ in 0..count {
        let (bytes, seen, opened, marker) = (
            bytes.clone(),
            seen.clone(),
            opened.clone(),
            marker.subscribe(),
        );
        let stream = runtime
            .block_on(TcpStream::connect(address))
            .context("a stream can't connect")?;
        runtime.spawn(async move {
            // A stream that ends shows as one that never sees the event.
            let _ = follow(stream, &bytes, &seen, &opened, marker).await;
        });
    }
    let deadline = Instant::now() + PATIENCE;
    while opened.load(Ordering::Acquire) < count {
        ensure!(
            Instant::now() < deadline,
            "only {} of {count} streams opened",
            opened.load(Ordering::Acquire)
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(Streams {
        runtime,
        marker,
        seen,
        count,
    })
}

async fn follow(
    mut stream: TcpStream,
    request: &[u8],
    seen: &Seen,
    opened: &AtomicUsize,
    marker: watch::Receiver<String>,
) -> anyhow::Result<()> {
    stream.write_all(request).await?;
    let mut buffer = Vec::new();
    let mut open = false;
    loop {
        ensure!(stream.read_buf(&mut buffer).await? > 0, "the stream ended");
        if !open {
            if find(&buffer, b": connected").is_none() {
                continue;
            }
            open = true;
            opened.fetch_add(1, Ordering::Release);
        }
        let expected = marker.borrow().clone();
        let found = || find(&buffer, expected.as_bytes());
        // The whole frame: behind its empty line comes the end of the chunk.
        if !expected.is_empty() && found().is_some_and(|at| find(&buffer[at..], b"\n\n").is_some())
        {
            seen.note();
            buffer.clear();
            buffer.shrink_to_fit();
        } else if buffer.len() > 64 * 1024 {
            buffer.drain(..32 * 1024);
        }
    }
}

impl Streams {
    /// From the first stream that shows an event with this marker to the last.
    pub(crate) fn spread(
        &mut self,
        marker: &str,
        write: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<Duration> {
        self.seen.first.store(usize::MAX, Ordering::Relaxed);
        self.seen.last.store(0, Ordering::Relaxed);
        self.seen.count.store(0, Ordering::Release);
        self.marker.send_replace(marker.to_owned());
        write()?;
        let deadline = Instant::now() + PATIENCE;
        while self.seen.count.load(Ordering::Acquire) < self.count {
            ensure!(
                Instant::now() < deadline,
                "only {} of {} streams have the event",
                self.seen.count.load(Ordering::Acquire),
                self.count
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        let span = self.seen.last.load(Ordering::Relaxed) - self.seen.first.load(Ordering::Relaxed);
        Ok(Duration::from_micros(span as u64))
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        // The tasks end with their runtime; nothing of them is waited for.
        if let Ok(empty) = tokio::runtime::Builder::new_current_thread().build() {
            std::mem::replace(&mut self.runtime, empty).shutdown_background();
        }
    }
}
