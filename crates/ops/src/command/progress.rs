//! How far a long command got: a line on standard error that overwrites itself, on a terminal only.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// Whoever waits longer is told.
const PATIENCE: Duration = Duration::from_millis(500);

/// Counts from when it was made.
#[derive(Debug)]
pub(super) struct Counter {
    what: &'static str,
    started: Instant,
    terminal: bool,
}

impl Counter {
    /// Of `what`, such as `files`.
    pub(super) fn new(what: &'static str) -> Self {
        Counter {
            what,
            started: Instant::now(),
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// From any thread. The last call wipes the line.
    pub(super) fn show(&self, done: usize, all: usize) {
        if !self.terminal || self.started.elapsed() < PATIENCE {
            return;
        }
        let line = if done == all {
            "\r\u{1b}[K".to_owned()
        } else {
            format!("\r{done} of {all} {}", self.what)
        };
        // Nobody needs the line.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}
