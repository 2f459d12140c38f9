//! Exit codes (09 §1.2), and what becomes of a panic.

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

/// How a run ends, for scripts. Inconclusive is not success: a check that couldn't run is [`Exit::Missing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// 0: all passed, nothing that was asked for was skipped.
    Passed = 0,
    /// 1: a finding, or a check that failed.
    Failed = 1,
    /// 2: the command line is wrong: a flag, a value, the environment.
    Usage = 2,
    /// 3: a tool, engine, token or target that is needed isn't there.
    Missing = 3,
    /// 70: a defect of this program.
    Internal = 70,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Runs it; a panic becomes one sentence on standard error and [`Exit::Internal`]. The sentence has the place of
/// the panic and not its text, which may quote a document.
pub(crate) fn guarded(run: impl FnOnce() -> Exit) -> Exit {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(|place| format!(" at {}:{}", place.file(), place.line()))
            .unwrap_or_default();
        // A closed standard error is no reason to panic once more.
        let _ = writeln!(
            std::io::stderr(),
            "open-cowork: internal error{place}; please report it with the command line that you used"
        );
    }));
    let exit = catch_unwind(AssertUnwindSafe(run)).unwrap_or(Exit::Internal);
    drop(std::panic::take_hook());
    exit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_internal_error() {
        assert_eq!(guarded(|| panic!("boom")), Exit::Internal);
        assert_eq!(guarded(|| Exit::Failed), Exit::Failed);
    }
}
