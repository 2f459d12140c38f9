//! A bare relay, run beside a measurement: what this machine takes at that moment for a message from a socket
//! into a synced file and out of a socket again, on the same runtime. The limit of anything durable.

use anyhow::Context as _;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// About the size of an event.
const MESSAGE: usize = 256;
/// As often as text of a stream goes out.
const EVERY: Duration = Duration::from_millis(60);

/// A running relay with its sender. Dropping it ends both.
pub(crate) struct Relay {
    stop: Arc<AtomicBool>,
    trips: Arc<Mutex<Vec<f64>>>,
    sender: Option<JoinHandle<std::io::Result<()>>>,
    server: tokio::task::JoinHandle<anyhow::Result<()>>,
    _folder: tempfile::TempDir,
}

impl Relay {
    /// Starts relaying on this runtime.
    pub(crate) async fn start() -> anyhow::Result<Relay> {
        let folder = tempfile::tempdir()?;
        let file = File::create(folder.path().join("messages"))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(serve(listener, file));
        let (stop, trips) = (
            Arc::<AtomicBool>::default(),
            Arc::<Mutex<Vec<f64>>>::default(),
        );
        let (stopped, list) = (stop.clone(), trips.clone());
        let sender = Some(std::thread::spawn(move || send(address, &stopped, &list)));
        Ok(Relay {
            stop,
            trips,
            sender,
            server,
            _folder: folder,
        })
    }

    /// Ends it and returns the round trips in milliseconds.
    pub(crate) fn finish(mut self) -> anyhow::Result<Vec<f64>> {
        self.stop.store(true, Ordering::Release);
        if let Some(Ok(sent)) = self.sender.take().map(JoinHandle::join) {
            sent.context("the bare relay broke")?;
        }
        Ok(std::mem::take(
            &mut self.trips.lock().unwrap_or_else(PoisonError::into_inner),
        ))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, mut file: File) -> anyhow::Result<()> {
    let (mut socket, _) = listener.accept().await?;
    socket.set_nodelay(true)?;
    let mut message = [0; MESSAGE];
    loop {
        socket.read_exact(&mut message).await?;
        let written = tokio::task::spawn_blocking(move || {
            file.write_all(&message)?;
            file.sync_data()?;
            std::io::Result::Ok(file)
        });
        file = written.await??;
        socket.write_all(&message).await?;
    }
}

fn send(address: SocketAddr, stop: &AtomicBool, trips: &Mutex<Vec<f64>>) -> std::io::Result<()> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut message = [7; MESSAGE];
    while !stop.load(Ordering::Acquire) {
        std::thread::sleep(EVERY);
        let started = Instant::now();
        socket.write_all(&message)?;
        socket.read_exact(&mut message)?;
        let trip = started.elapsed().as_secs_f64() * 1e3;
        trips
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(trip);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_relay_counts_round_trips_until_it_is_finished() {
        let relay = Relay::start().await.unwrap();
        let trips = relay.trips.clone();
        let counted = async {
            while trips.lock().unwrap().len() < 2 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), counted)
            .await
            .unwrap();
        let trips = relay.finish().unwrap();
        assert!(trips.len() >= 2 && trips.iter().all(|trip| *trip > 0.0));
    }
}
