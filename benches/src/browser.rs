//! The browser's end of the wire: a visit of the workbench over plain blocking HTTP, so that nothing of a
//! runtime stands between a byte's arrival and its time.

use crate::latency::clock;
use crate::proxy::Lines;
use anyhow::{Context as _, bail, ensure};
use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// No answer takes longer; the stream says something every 15 s.
const DEADLINE: Duration = Duration::from_secs(30);

/// A visitor with a cookie.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    /// `127.0.0.1:port`.
    host: String,
    /// The path of this start; every other is below it.
    base: String,
    cookie: String,
}

/// One event of a stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) kind: String,
    /// Sequence of the last event that it stands for.
    pub(crate) id: Option<u64>,
    pub(crate) data: String,
    /// When its last byte arrived, milliseconds since 1970.
    pub(crate) at: f64,
}

impl Browser {
    /// Opens the start address that the program printed and keeps the cookie.
    pub(crate) fn enter(url: &str) -> anyhow::Result<Browser> {
        let (host, base, entry) = split(url)?;
        let mut browser = Browser {
            host: host.to_owned(),
            base: base.to_owned(),
            cookie: String::new(),
        };
        let answer = browser.request(entry)?;
        let cookie = answer
            .lines()
            .find_map(|line| line.strip_prefix("set-cookie: ")?.split(';').next());
        browser.cookie = cookie
            .context("the start address gave no cookie")?
            .to_owned();
        Ok(browser)
    }

    /// A page's body.
    pub(crate) fn get(&self, path: &str) -> anyhow::Result<String> {
        let answer = self.request(path)?;
        let status = answer.lines().next().unwrap_or_default();
        ensure!(
            status.starts_with("HTTP/1.1 200"),
            "GET {path} answered {status:?}"
        );
        Ok(answer
            .split_once("\r\n\r\n")
            .map(|(_, body)| body.to_owned())
            .unwrap_or_default())
    }

    /// An event stream; returns when its head has arrived.
    pub(crate) fn follow(&self, path: &str) -> anyhow::Result<Follow> {
        let mut follow = Follow {
            socket: self.send(path, "keep-alive")?,
            lines: Lines::default(),
            open: Open::default(),
            ready: VecDeque::new(),
        };
        follow.socket.set_nodelay(true)?;
        match follow.next()? {
            Some(_) => Ok(follow),
            None => bail!("GET {path} ended at once"),
        }
    }

    fn request(&self, path: &str) -> anyhow::Result<String> {
        let mut answer = Vec::new();
        self.send(path, "close")?
            .read_to_end(&mut answer)
            .with_context(|| format!("GET {path}"))?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    fn send(&self, path: &str, connection: &str) -> anyhow::Result<TcpStream> {
        let mut socket = TcpStream::connect(&self.host)
            .with_context(|| format!("{} can't be reached", self.host))?;
        socket.set_read_timeout(Some(DEADLINE))?;
        let (host, base, cookie) = (&self.host, &self.base, &self.cookie);
        write!(
            socket,
            "GET {base}{path} HTTP/1.1\r\nhost: {host}\r\ncookie: {cookie}\r\nconnection: {connection}\r\n\r\n"
        )?;
        Ok(socket)
    }
}

/// Host, base and entry of a start address.
fn split(url: &str) -> anyhow::Result<(&str, &str, &str)> {
    let parts = url.strip_prefix("http://").and_then(|rest| {
        let (host, path) = rest.split_at(rest.find('/')?);
        let (base, entry) = path.split_at(path.rfind("/?")?);
        Some((host, base, entry))
    });
    parts.with_context(|| format!("{url:?} is no start address"))
}

/// An open event stream.
pub(crate) struct Follow {
    socket: TcpStream,
    lines: Lines,
    open: Open,
    ready: VecDeque<Frame>,
}

/// The frame that is arriving.
#[derive(Debug, Default)]
struct Open {
    kind: String,
    id: Option<u64>,
    data: String,
}

impl Follow {
    /// The next frame; `None` when the stream has ended.
    pub(crate) fn next(&mut self) -> anyhow::Result<Option<Frame>> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Ok(Some(frame));
            }
            let count = self
                .socket
                .read(&mut buffer)
                .context("the page's stream broke")?;
            if count == 0 {
                return Ok(None);
            }
            let at = clock();
            let Follow {
                lines, open, ready, ..
            } = self;
            lines.push(&buffer[..count], |line| ready.extend(open.line(line, at)));
        }
    }
}

impl Open {
    /// Takes a line; sizes of chunks and headers are lines that say nothing.
    fn line(&mut self, line: &str, at: f64) -> Option<Frame> {
        match line.split_once(": ") {
            Some(("event", kind)) => self.kind = kind.to_owned(),
            Some(("id", id)) => self.id = id.parse().ok(),
            Some(("data", data)) => self.data = data.to_owned(),
            _ if line.is_empty() && !self.kind.is_empty() => {
                let Open { kind, id, data } = std::mem::take(self);
                return Some(Frame { kind, id, data, at });
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_complete_with_its_empty_line() {
        let mut open = Open::default();
        let lines = [
            "HTTP/1.1 200 OK",
            "",
            "2f",
            "event: patch",
            "data: {\"ops\":[]}",
            "id: 17",
        ];
        assert!(lines.iter().all(|line| open.line(line, 1.0).is_none()));
        let frame = open.line("", 2.0).unwrap();
        assert_eq!(
            frame,
            Frame {
                kind: "patch".into(),
                id: Some(17),
                data: "{\"ops\":[]}".into(),
                at: 2.0
            }
        );
        assert_eq!(open.line("", 3.0), None);
    }

    #[test]
    fn a_start_address_splits_into_host_base_and_entry() {
        assert_eq!(
            split("http://127.0.0.1:8/w/abc/?token=x").unwrap(),
            ("127.0.0.1:8", "/w/abc", "/?token=x")
        );
        assert_eq!(
            split("http://127.0.0.1:8/?token=x").unwrap(),
            ("127.0.0.1:8", "", "/?token=x")
        );
        assert!(split("https://127.0.0.1/?token=x").is_err());
        assert!(split("http://127.0.0.1").is_err());
    }
}
