//! The machine: a figure without it says little.

use serde::Serialize;
use std::fs;

/// What was measured on, and when.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    /// ISO-8601.
    pub(crate) date: String,
    /// Running processes over the last minute, before the benches: above 0.5 or so, others worked too.
    pub(crate) load: f64,
}

/// Reads what the system says about itself; what it doesn't say is "unknown".
pub(crate) fn read() -> Machine {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = text("/proc/cpuinfo").lines().find_map(|line| {
        line.strip_prefix("model name")?
            .split_once(": ")
            .map(|(_, name)| name.to_owned())
    });
    let kernel = text("/proc/sys/kernel/osrelease").trim().to_owned();
    Machine {
        cpu: cpu.unwrap_or_else(|| "unknown".to_owned()),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        kernel: if kernel.is_empty() {
            "unknown".to_owned()
        } else {
            format!("{} {kernel}", std::env::consts::OS)
        },
        date: jiff::Timestamp::now()
            .strftime("%Y-%m-%dT%H:%M:%SZ")
            .to_string(),
        load: text("/proc/loadavg")
            .split(' ')
            .next()
            .and_then(|load| load.parse().ok())
            .unwrap_or(0.0),
    }
}
