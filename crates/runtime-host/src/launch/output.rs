//! What OpenCode prints: the readiness line, and the end of everything else (05 §5.1, 08 §1.1).

use std::collections::VecDeque;

/// Kept of the output.
pub(super) const TAIL_BYTES: usize = 16 * 1024;
/// Longest line that is looked at.
const LINE_BYTES: usize = 64 * 1024;

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// The server listens there.
    Listening(String),
    /// A readiness line without an address: not the OpenCode that we know.
    ListeningNowhere,
}

/// Reads a complete line of stdout; `None` for every other line.
pub(super) fn read_line(line: &str) -> Option<Said> {
    let line = line.strip_suffix('\r').unwrap_or(line);
    if !line.starts_with("opencode server listening") {
        return None;
    }
    let address = line.match_indices("on http").find_map(|(at, _)| {
        let url = line[at + 3..].split_whitespace().next()?;
        let rest = url
            .strip_prefix("http://")
            .or_else(|| url.strip_prefix("https://"))?;
        (!rest.is_empty()).then(|| url.to_owned())
    });
    Some(address.map_or(Said::ListeningNowhere, Said::Listening))
}

/// Cuts a byte stream into complete lines of bounded length; what is longer is skipped up to its end.
#[derive(Default)]
pub(super) struct Lines {
    open: Vec<u8>,
    skipping: bool,
}

impl Lines {
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut complete = Vec::new();
        for &byte in bytes {
            match byte {
                b'\n' if self.skipping => self.skipping = false,
                b'\n' => complete
                    .push(String::from_utf8_lossy(&std::mem::take(&mut self.open)).into_owned()),
                _ if self.skipping => {}
                _ if self.open.len() == LINE_BYTES => {
                    self.open.clear();
                    self.skipping = true;
                }
                _ => self.open.push(byte),
            }
        }
        complete
    }
}

/// The last 16 KiB.
#[derive(Default)]
pub(super) struct Tail(VecDeque<u8>);

impl Tail {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0
            .extend(&bytes[bytes.len().saturating_sub(TAIL_BYTES)..]);
        self.0.drain(..self.0.len().saturating_sub(TAIL_BYTES));
    }

    pub(super) fn text(&self) -> String {
        let bytes: Vec<u8> = self.0.iter().copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_readiness_line_tells_the_address() {
        let said = |line| read_line(line);
        assert_eq!(
            said("opencode server listening on http://127.0.0.1:4096\r"),
            Some(Said::Listening("http://127.0.0.1:4096".into()))
        );
        assert_eq!(
            said("opencode server listening"),
            Some(Said::ListeningNowhere)
        );
        assert_eq!(
            said("opencode server listening on http://"),
            Some(Said::ListeningNowhere)
        );
        assert_eq!(
            said("Warning: opencode server listening on http://evil"),
            None
        );
        assert_eq!(said(""), None);
    }

    #[test]
    fn a_line_counts_only_when_it_is_complete() {
        let mut lines = Lines::default();
        assert!(lines.push(b"opencode server list").is_empty());
        assert_eq!(lines.push(b"ening\nnext"), ["opencode server listening"]);
    }

    #[test]
    fn an_endless_line_costs_bounded_memory() {
        let mut lines = Lines::default();
        for _ in 0..10 {
            assert!(lines.push(&[b'x'; LINE_BYTES]).is_empty());
        }
        assert!(lines.open.len() <= LINE_BYTES);
        assert_eq!(lines.push(b"rest\nshort\n"), ["short"]);
    }

    #[test]
    fn the_tail_keeps_the_end() {
        let mut tail = Tail::default();
        tail.push(&[b'a'; TAIL_BYTES]);
        tail.push(b"end");
        let text = tail.text();
        assert_eq!(text.len(), TAIL_BYTES);
        assert!(text.ends_with("aend"));
    }
}
