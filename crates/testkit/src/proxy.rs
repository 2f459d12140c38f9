//! A TCP proxy on loopback that treats its connections badly, by a seed: it cuts them at random, cuts them in one
//! direction only, stops carrying bytes without closing (half-open), and delays.
//!
//! Whoever gets through it gets through a bad network.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// How badly.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Seed of all chances: the same seed and the same connections give the same weather.
    pub seed: u64,
    /// A connection lives up to so long, drawn evenly, then something happens to it.
    pub longest_life: Duration,
    /// Of 100 ends, so many leave the connection open and carry nothing more.
    pub half_open: u8,
    /// How long a half-open connection is left standing.
    pub half_open_for: Duration,
    /// Every piece waits up to so long, drawn evenly.
    pub delay: Duration,
}

impl Default for Weather {
    /// Lives of up to 2 s, one in ten ends half-open for 3 s, pieces wait up to 5 ms.
    fn default() -> Self {
        Weather {
            seed: 1,
            longest_life: Duration::from_secs(2),
            half_open: 10,
            half_open_for: Duration::from_secs(3),
            delay: Duration::from_millis(5),
        }
    }
}

/// A running proxy. Its connections end with it.
pub struct Proxy {
    address: SocketAddr,
    calm: Arc<AtomicBool>,
    cuts: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// A proxy to this address.
    pub async fn start(to: SocketAddr, weather: Weather) -> std::io::Result<Proxy> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (calm, cuts) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let (calm_now, count) = (calm.clone(), cuts.clone());
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            let mut number = 0u64;
            while let Ok((client, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                number += 1;
                let chance = Chance::new(
                    weather
                        .seed
                        .wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
                );
                let (calm, cuts) = (calm_now.clone(), count.clone());
                connections.spawn(async move {
                    if let Ok(server) = TcpStream::connect(to).await {
                        carry(client, server, weather, chance, &calm, &cuts).await;
                    }
                });
            }
        });
        Ok(Proxy {
            address,
            calm,
            cuts,
            task,
        })
    }

    /// `http://127.0.0.1:<port>`.
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends the bad weather: connections made from now on live, and none is cut any more.
    pub fn calm(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    /// Connections that were cut so far.
    pub fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }
}

async fn carry(
    mut client: TcpStream,
    mut server: TcpStream,
    weather: Weather,
    mut chance: Chance,
    calm: &AtomicBool,
    cuts: &AtomicU64,
) {
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let life = weather.longest_life.mul_f64(chance.fraction());
    let is_half_open = chance.below(100) < u64::from(weather.half_open);
    let is_reset = chance.below(2) == 0;
    {
        let (client_read, client_write) = client.split();
        let (server_read, server_write) = server.split();
        let up = pump(client_read, server_write, weather.delay, chance.fork());
        let down = pump(server_read, client_write, weather.delay, chance.fork());
        tokio::pin!(up, down);
        let mut end = Box::pin(tokio::time::sleep(life));
        loop {
            tokio::select! {
                () = &mut up => break,
                () = &mut down => break,
                () = &mut end => {
                    if calm.load(Ordering::Relaxed) {
                        // Nothing happens any more; the sleep must not be polled again.
                        end = Box::pin(tokio::time::sleep(Duration::from_secs(3600)));
                        continue;
                    }
                    cuts.fetch_add(1, Ordering::Relaxed);
                    if is_half_open {
                        tokio::time::sleep(weather.half_open_for).await;
                    }
                    break;
                }
            }
        }
    }
    if is_reset {
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}

async fn pump(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    delay: Duration,
    mut chance: Chance,
) {
    let mut buffer = vec![0u8; 16 * 1024];
    loop {
        // Odd sizes: frames and characters are cut anywhere.
        let size = 1 + chance.below(buffer.len() as u64) as usize;
        let Ok(count @ 1..) = from.read(&mut buffer[..size]).await else {
            return;
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay.mul_f64(chance.fraction())).await;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

/// A small random number generator (SplitMix64): tests need repeatable chances, not good ones.
struct Chance(u64);

impl Chance {
    fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    fn fraction(&mut self) -> f64 {
        self.below(1 << 32) as f64 / (1u64 << 32) as f64
    }

    fn fork(&mut self) -> Chance {
        Chance(self.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
        address
    }

    async fn through(proxy: &Proxy, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(proxy.address).await?;
        stream.write_all(bytes).await?;
        let mut back = vec![0u8; bytes.len()];
        stream.read_exact(&mut back).await?;
        Ok(back)
    }

    #[tokio::test]
    async fn in_calm_weather_every_byte_arrives_in_order() {
        let weather = Weather {
            delay: Duration::from_micros(50),
            ..Weather::default()
        };
        let proxy = Proxy::start(echo().await, weather).await.unwrap();
        proxy.calm();
        let bytes: Vec<u8> = (0..100_000u32).map(|number| number as u8).collect();
        assert!(through(&proxy, &bytes).await.unwrap() == bytes);
        assert_eq!(proxy.cuts(), 0);
    }

    #[tokio::test]
    async fn in_bad_weather_connections_are_cut() {
        let weather = Weather {
            longest_life: Duration::from_millis(20),
            half_open: 0,
            ..Weather::default()
        };
        let proxy = Proxy::start(echo().await, weather).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        // Ends by a reset or by an end: both are an end.
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert_eq!(proxy.cuts(), 1);
    }

    #[tokio::test]
    async fn a_half_open_connection_stands_and_carries_nothing() {
        let weather = Weather {
            longest_life: Duration::from_millis(1),
            half_open: 100,
            half_open_for: Duration::from_secs(3600),
            ..Weather::default()
        };
        let proxy = Proxy::start(echo().await, weather).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        while proxy.cuts() == 0 {
            tokio::task::yield_now().await;
        }
        stream.write_all(b"hello?").await.unwrap();
        let silence = tokio::time::timeout(Duration::from_millis(100), stream.read_u8()).await;
        assert!(silence.is_err(), "{silence:?}");
    }
}
