//! Processes of a former OpenCode that nobody owns any more (05 §5.6).
//!
//! They exist only when a launcher was killed: its shells with a session of their own then have no one who
//! ends them. They are recognised by the environment that they inherited, the marker and the home together,
//! never by a name. Call only while holding the home: then no such process can be legitimate.

use crate::environment::MARKER;
use crate::home::HomePaths;
use crate::launch::descendants;
use rustix::process::{Pid, Signal, kill_process};
use std::time::{Duration, Instant};

/// Ends all strays of a home, within a second. Returns how many there were. Does nothing where there is no
/// `/proc`.
pub fn end(home: &HomePaths) -> usize {
    let deadline = Instant::now() + Duration::from_secs(1);
    let mut ended = std::collections::HashSet::new();
    loop {
        let strays = find(home);
        if strays.is_empty() || Instant::now() >= deadline {
            return ended.len();
        }
        for pid in strays {
            if kill_process(pid, Signal::KILL).is_ok() {
                ended.insert(pid);
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Living processes that carry the marker of this home.
pub(crate) fn find(home: &HomePaths) -> Vec<Pid> {
    let marker = format!("{MARKER}=1");
    let home = format!("HOME={}", home.root().display());
    let own = std::process::id().cast_signed();
    let carries = |pid: i32| {
        // A zombie's environment is empty; another user's is unreadable.
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let has = |entry: &str| {
            environment
                .split(|byte| *byte == 0)
                .any(|found| found == entry.as_bytes())
        };
        has(&marker) && has(&home)
    };
    descendants::all()
        .into_iter()
        .filter(|pid| *pid != own && carries(*pid))
        .filter_map(Pid::from_raw)
        .collect()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn only_processes_of_this_home_are_ended() {
        let sleeper = |home: &str| {
            Command::new("sleep")
                .arg("60")
                .env_clear()
                .env(MARKER, "1")
                .env("HOME", home)
                .spawn()
                .unwrap()
        };
        let (mut ours, mut other) = (sleeper("/data/ours"), sleeper("/data/other"));
        // The environment is there once the exec is through.
        while find(&HomePaths::new("/data/ours")).is_empty()
            || find(&HomePaths::new("/data/other")).is_empty()
        {
            std::thread::yield_now();
        }
        assert_eq!(end(&HomePaths::new("/data/ours")), 1);
        assert!(!ours.wait().unwrap().success());
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
