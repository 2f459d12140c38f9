//! A TCP proxy between the host and OpenCode that notes when each text delta left OpenCode's socket.

use crate::latency::clock;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Longest line that is looked at; text deltas are far shorter.
const MAX_LINE: usize = 256 * 1024;

/// A text delta of OpenCode's stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Delta {
    pub(crate) session: String,
    /// Bytes of text.
    pub(crate) bytes: usize,
    /// When its last byte arrived at the proxy, milliseconds since 1970.
    pub(crate) at: f64,
}

/// A running proxy. Dropping it closes the port; connections end with either of their ends.
pub(crate) struct Proxy {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Delta>>>,
    stop: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Listens on loopback for that server.
    pub(crate) fn start(upstream: SocketAddr) -> std::io::Result<Proxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let (seen, stop) = (
            Arc::<Mutex<Vec<Delta>>>::default(),
            Arc::<AtomicBool>::default(),
        );
        let (list, stopped) = (seen.clone(), stop.clone());
        let acceptor = std::thread::spawn(move || {
            for client in listener.incoming() {
                if stopped.load(Ordering::Acquire) {
                    return;
                }
                // A connection that can't be made is the client's to notice: it is closed.
                if let (Ok(client), Ok(server)) = (client, TcpStream::connect(upstream)) {
                    let _ = join(client, server, list.clone());
                }
            }
        });
        Ok(Proxy {
            address,
            seen,
            stop,
            acceptor: Some(acceptor),
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The deltas so far, in order.
    pub(crate) fn deltas(&self) -> Vec<Delta> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        drop(TcpStream::connect(self.address)); // wakes the acceptor
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

/// Copies both ways on threads of their own until an end closes.
fn join(client: TcpStream, server: TcpStream, seen: Arc<Mutex<Vec<Delta>>>) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (upward, downward) = ((client.try_clone()?, server.try_clone()?), (server, client));
    std::thread::spawn(move || copy(upward.0, upward.1, |_, _| {}));
    std::thread::spawn(move || {
        let mut lines = Lines::default();
        copy(downward.0, downward.1, |bytes, at| {
            lines.push(bytes, |line| {
                if let Some(delta) = delta(line, at) {
                    seen.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(delta);
                }
            });
        });
    });
    Ok(())
}

fn copy(mut from: TcpStream, mut to: TcpStream, mut look: impl FnMut(&[u8], f64)) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let at = clock();
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
        look(&buffer[..count], at);
    }
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}

/// Cuts a stream into lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    pub(crate) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.partial.len() < MAX_LINE {
                self.partial.extend_from_slice(piece);
            }
            if piece.ends_with(b"\n") {
                each(String::from_utf8_lossy(&self.partial).trim_end());
                self.partial.clear();
            }
        }
    }
}

fn delta(line: &str, at: f64) -> Option<Delta> {
    let data = line
        .strip_prefix("data:")
        .filter(|data| data.contains("\"message.part.delta\""))?;
    let frame: Value = serde_json::from_str(data).ok()?;
    let payload = &frame["payload"];
    let properties = &payload["properties"];
    let is_text = payload["type"] == "message.part.delta" && properties["field"] == "text";
    is_text.then_some(())?;
    let session = properties["sessionID"].as_str()?.to_owned();
    Some(Delta {
        session,
        bytes: properties["delta"].as_str()?.len(),
        at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_survive_any_cut_of_the_stream() {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        for bytes in ["da", "ta: 1\r\n\nda", "ta: 2\n"] {
            lines.push(bytes.as_bytes(), |line| seen.push(line.to_owned()));
        }
        assert_eq!(seen, ["data: 1", "", "data: 2"]);
    }

    #[test]
    fn only_text_deltas_are_noted() {
        let frame = |kind: &str, field: &str| {
            let properties =
                serde_json::json!({"sessionID": "ses_1", "field": field, "delta": "tick "});
            format!(
                "data: {}",
                serde_json::json!({"payload": {"type": kind, "properties": properties}})
            )
        };
        let noted = delta(&frame("message.part.delta", "text"), 7.0);
        assert_eq!(
            noted,
            Some(Delta {
                session: "ses_1".into(),
                bytes: 5,
                at: 7.0
            })
        );
        assert_eq!(delta(&frame("message.part.delta", "input"), 7.0), None);
        assert_eq!(delta(&frame("message.part.updated", "text"), 7.0), None);
        assert_eq!(delta("data: {broken \"message.part.delta\"", 7.0), None);
    }

    #[test]
    fn a_proxied_stream_arrives_unchanged_and_its_deltas_are_noted() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let proxy = Proxy::start(server.local_addr().unwrap()).unwrap();
        let mut client = TcpStream::connect(proxy.address()).unwrap();
        let (mut upstream, _) = server.accept().unwrap();
        let line = "data: {\"payload\":{\"type\":\"message.part.delta\",\"properties\":{\"sessionID\":\"s\",\"field\":\"text\",\"delta\":\"abc\"}}}\n";
        upstream.write_all(line.as_bytes()).unwrap();
        drop(upstream);
        let mut got = String::new();
        client.read_to_string(&mut got).unwrap();
        assert_eq!(got, line);
        assert_eq!(
            proxy
                .deltas()
                .iter()
                .map(|delta| delta.bytes)
                .collect::<Vec<_>>(),
            [3]
        );
    }
}
