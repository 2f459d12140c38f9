//! The launcher: a small process between us and OpenCode, so that nothing outlives us.
//!
//! ```text
//! host ──stdin/stdout, JSON lines──► launcher ──► OpenCode (own process group) ──► tools, shells, …
//! ```
//!
//! The launcher is our own program executed once more, or the helper `open-cowork-launcher`. What it
//! guarantees, and how:
//!
//! * **The host dies, even by kill -9:** its end of the control pipe closes; the launcher ends everything.
//! * **OpenCode ignores SIGTERM** (08 §1.1: it sometimes does): after 2 s its group gets SIGKILL.
//! * **A tool's shell called `setsid`, or forked twice:** the launcher is a *subreaper*, so on Linux every
//!   orphan below it becomes its child; it kills and reaps until it has no descendant left.
//! * **The launcher itself is killed:** OpenCode carries a parent-death signal (SIGKILL), set by a stub between
//!   fork and exec, because the signal can only be asked for by the process that is to get it. It is bound to
//!   the launcher's *main thread*, which lives as long as the launcher. The host itself needs no such signal:
//!   a closed pipe has no thread caveat. Shells that escaped in this one case are found by their environment
//!   at the next start ([`stray`]).
//! * **Two OpenCode on one home:** the launcher holds a file lock until the last descendant is gone; a new
//!   one waits for it.
//!
//! The environment of OpenCode travels over the pipe, never in an argument list. On a system without
//! subreapers (macOS) the process group is what can be killed; a tool that called `setsid` survives there.
//!
//! A program that embeds this crate calls [`run_if_launcher`] as the first thing in `main`.

pub(crate) mod descendants;
mod launcher;
mod output;
pub(crate) mod protocol;
pub mod stray;

use std::ffi::OsStr;
use std::path::PathBuf;

/// Hidden subcommands.
pub(crate) const LAUNCH: &str = "__open-cowork-launch";
const EXEC: &str = "__open-cowork-exec";

/// Which program is the launcher.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Launcher {
    /// This very program; its `main` must call [`run_if_launcher`] first.
    #[default]
    CurrentProgram,
    /// The helper `open-cowork-launcher`, or any program that calls [`run_if_launcher`] first.
    Program(PathBuf),
}

impl Launcher {
    /// The file to execute. On Linux the running program stays reachable after its file was replaced by an
    /// upgrade.
    pub(crate) fn program(&self) -> std::io::Result<PathBuf> {
        match self {
            Self::Program(path) => Ok(path.clone()),
            Self::CurrentProgram => own_program(),
        }
    }
}

fn own_program() -> std::io::Result<PathBuf> {
    if cfg!(target_os = "linux") {
        Ok(PathBuf::from("/proc/self/exe"))
    } else {
        std::env::current_exe()
    }
}

/// Becomes the launcher when this process was started as one, and then never returns. Otherwise does nothing.
/// Call it before anything else in `main`: before arguments are parsed and before any thread exists.
pub fn run_if_launcher() {
    let mut arguments = std::env::args_os().skip(1);
    let code = match arguments.next().as_deref().and_then(OsStr::to_str) {
        Some(LAUNCH) => launcher::run(),
        Some(EXEC) => launcher::exec(arguments),
        _ => return,
    };
    std::process::exit(code);
}
