//! A load generator that costs little: keep-alive connections, one request after the other on each.

use anyhow::{Context as _, bail, ensure};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A request as bytes.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    line: String,
    headers: String,
    body: String,
}

impl Request {
    pub(crate) fn get(path: &str) -> Self {
        Request {
            line: format!("GET {path} HTTP/1.1\r\n"),
            headers: String::new(),
            body: String::new(),
        }
    }

    pub(crate) fn post(path: &str, body: &str) -> Self {
        Request {
            line: format!("POST {path} HTTP/1.1\r\n"),
            headers: format!(
                "content-type: application/json\r\ncontent-length: {}\r\n",
                body.len()
            ),
            body: body.to_owned(),
        }
    }

    pub(crate) fn bearer(mut self, token: &str) -> Self {
        self.headers
            .push_str(&format!("authorization: Bearer {token}\r\n"));
        self
    }

    pub(crate) fn bytes(&self, address: SocketAddr) -> Vec<u8> {
        format!(
            "{}host: {address}\r\n{}\r\n{}",
            self.line, self.headers, self.body
        )
        .into_bytes()
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One request on a connection of its own.
pub(crate) fn once(address: SocketAddr, request: &Request) -> anyhow::Result<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut connection = Connection::open(address).await?;
        connection.ask(&request.bytes(address)).await?;
        let status = connection.head_status()?;
        Ok(Answer {
            status,
            body: connection.body().to_vec(),
        })
    })
}

/// Answers per second over that time, from this many connections at once.
pub(crate) fn requests_per_second(
    address: SocketAddr,
    request: &Request,
    connections: usize,
    span: Duration,
) -> anyhow::Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let bytes: std::sync::Arc<[u8]> = request.bytes(address).into();
    runtime.block_on(async {
        let end = Instant::now() + span;
        let started = Instant::now();
        let tasks: Vec<_> = (0..connections)
            .map(|_| {
                let bytes = bytes.clone();
                tokio::spawn(async move {
                    let mut connection = Connection::open(address).await?;
                    let mut answers = 0_u64;
                    while Instant::now() < end {
                        connection.ask(&bytes).await?;
                        ensure!(
                            connection.head_status()? == 200,
                            "a request failed under load"
                        );
                        answers += 1;
                    }
                    anyhow::Ok(answers)
                })
            })
            .collect();
        let mut answers = 0;
        for task in tasks {
            answers += task.await??;
        }
        Ok(answers as f64 / started.elapsed().as_secs_f64())
    })
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    head: usize,
    end: usize,
}

impl Connection {
    async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection {
            stream,
            buffer: Vec::with_capacity(16 * 1024),
            head: 0,
            end: 0,
        })
    }

    /// Sends and waits for the whole answer, which then lies in the buffer.
    async fn ask(&mut self, request: &[u8]) -> anyhow::Result<()> {
        self.buffer.clear();
        (self.head, self.end) = (0, 0);
        self.stream.write_all(request).await?;
        loop {
            ensure!(
                self.stream.read_buf(&mut self.buffer).await? > 0,
                "the server closed the connection"
            );
            if self.head == 0 {
                let Some(head) = find(&self.buffer, b"\r\n\r\n") else {
                    continue;
                };
                self.head = head + 4;
                self.end = self.head + content_length(&self.buffer[..head])?;
            }
            if self.buffer.len() >= self.end {
                return Ok(());
            }
        }
    }

    fn head_status(&self) -> anyhow::Result<u16> {
        let status = self
            .buffer
            .get(9..12)
            .context("an answer without a status")?;
        Ok(std::str::from_utf8(status)?.parse()?)
    }

    fn body(&self) -> &[u8] {
        &self.buffer[self.head..self.end]
    }
}

pub(crate) fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

fn content_length(head: &[u8]) -> anyhow::Result<usize> {
    for line in head.split(|byte| *byte == b'\n') {
        if line.len() > 15 && line[..15].eq_ignore_ascii_case(b"content-length:") {
            return Ok(std::str::from_utf8(&line[15..])?.trim().parse()?);
        }
    }
    bail!("an answer without a length")
}
