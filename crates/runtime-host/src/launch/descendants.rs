//! Who descends from a process: `/proc` on Linux, nobody elsewhere.

use rustix::process::{Pid, Signal, kill_process};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// All living descendants, zombies left out, parents before children.
pub(crate) fn of(root: Pid) -> Vec<Pid> {
    let mut children: HashMap<i32, Vec<(i32, bool)>> = HashMap::new();
    for pid in all() {
        if let Some((parent, zombie)) = parent(pid) {
            children.entry(parent).or_default().push((pid, zombie));
        }
    }
    let mut found = Vec::new();
    let mut open = vec![root.as_raw_nonzero().get()];
    while let Some(pid) = open.pop() {
        for (child, zombie) in children.remove(&pid).unwrap_or_default() {
            open.push(child);
            found.extend(Pid::from_raw(child).filter(|_| !zombie));
        }
    }
    found
}

/// Every process id of this system's `/proc`; empty where there is none.
pub(crate) fn all() -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Parent and whether it is a zombie.
fn parent(pid: i32) -> Option<(i32, bool)> {
    // The name in parentheses may hold anything, parentheses too: the fields start behind the last one.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    Some((parent, matches!(state, "Z" | "X")))
}

/// Kills all descendants of this process until none is left, at most for `limit`. Someone else must reap.
/// Returns what could not be killed.
pub(crate) fn kill_all(limit: Duration) -> Vec<Pid> {
    let deadline = Instant::now() + limit;
    loop {
        // An orphan that was just adopted shows up in the next round.
        let alive = of(rustix::process::getpid());
        if alive.is_empty() || Instant::now() >= deadline {
            return alive;
        }
        for pid in alive {
            let _ = kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn grandchildren_descend_too() {
        let mut shell = Command::new("sh")
            .args(["-c", "sleep 60 & echo $!; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(
            &mut std::io::BufReader::new(shell.stdout.take().unwrap()),
            &mut line,
        )
        .unwrap();
        let sleeper = Pid::from_raw(line.trim().parse().unwrap()).unwrap();
        let found = of(rustix::process::getpid());
        assert!(
            found.contains(&Pid::from_child(&shell)) && found.contains(&sleeper),
            "{found:?}"
        );
        kill_process(sleeper, Signal::KILL).unwrap();
        shell.wait().unwrap();
        assert!(!of(rustix::process::getpid()).contains(&sleeper));
    }
}
