//! Memory and processor time of this process, as the system tells them.

use std::fs;

/// What this process uses; zeros where the system doesn't tell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Memory.
    pub rss_bytes: u64,
    /// Processor time of its own.
    pub user_seconds: f64,
    /// Processor time of the system for it.
    pub system_seconds: f64,
}

/// Now.
#[must_use]
pub fn usage() -> Usage {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    parse(&status, &stat)
}

fn parse(status: &str, stat: &str) -> Usage {
    let kilobytes = status.lines().find_map(|line| {
        line.strip_prefix("VmRSS:")?
            .split_whitespace()
            .next()?
            .parse()
            .ok()
    });
    // After the name, which may hold anything but ends with the last `)`: user and system time are the 12th and 13th.
    let mut times = stat
        .rsplit_once(')')
        .map_or("", |(_, rest)| rest)
        .split_whitespace()
        .skip(11)
        .map(|ticks| ticks.parse::<f64>().unwrap_or_default() / TICKS);
    Usage {
        rss_bytes: kilobytes.unwrap_or(0_u64) * 1024,
        user_seconds: times.next().unwrap_or_default(),
        system_seconds: times.next().unwrap_or_default(),
    }
}

/// Of a second; Linux shows times in hundredths on every machine.
const TICKS: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_after_a_name_that_may_hold_anything() {
        let stat = "7 (a) b 5) S 1 2 3 4 5 6 7 8 9 10 250 125 0 0";
        let used = parse("Name:\tx\nVmRSS:\t   2048 kB\n", stat);
        assert_eq!(
            used,
            Usage {
                rss_bytes: 2 * 1024 * 1024,
                user_seconds: 2.5,
                system_seconds: 1.25
            }
        );
        assert_eq!(parse("", "nonsense"), Usage::default());
        assert_eq!(parse("VmRSS: x", ")"), Usage::default());
    }
}
