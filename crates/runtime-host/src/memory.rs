//! How much memory OpenCode and its tools use (08 §1.4).

use crate::launch::descendants;
use rustix::process::Pid;

/// Plan for one OpenCode: about 0.6 GB resident, 1 GB at peak (08 §1.4); above half as much again something is
/// wrong or the thread is huge.
pub const DEFAULT_BUDGET_BYTES: u64 = 1536 * 1024 * 1024;

/// Resident memory of a process tree. Reported, never enforced: killing a turn is the user's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryReport {
    /// Sum of the resident sizes; pages that processes share count for each. `None` where the system doesn't
    /// tell.
    pub rss_bytes: Option<u64>,
    /// What was planned for it.
    pub budget_bytes: u64,
}

impl MemoryReport {
    /// More than planned.
    #[must_use]
    pub fn over(&self) -> bool {
        self.rss_bytes.is_some_and(|rss| rss > self.budget_bytes)
    }
}

/// Measures a process and all its descendants.
#[must_use]
pub fn measure(pid: i32, budget_bytes: u64) -> MemoryReport {
    let rss_bytes = Pid::from_raw(pid).and_then(|root| {
        let tree = descendants::of(root)
            .into_iter()
            .filter_map(resident)
            .sum::<u64>();
        Some(resident(root)? + tree)
    });
    MemoryReport {
        rss_bytes,
        budget_bytes,
    }
}

fn resident(pid: Pid) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_gone_has_no_size_and_is_not_over() {
        let report = measure(i32::MAX, 1);
        assert_eq!(report.rss_bytes, None);
        assert!(!report.over());
    }

    #[test]
    fn a_living_process_has_a_size() {
        let report = measure(std::process::id().cast_signed(), 1);
        assert!(report.rss_bytes.unwrap() > 100_000);
        assert!(report.over());
    }
}
