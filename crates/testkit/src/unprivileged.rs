//! Commands and tests run as a user that is not root.
//!
//! Root may write into read-only folders, so a test about those proves nothing as root, which
//! is what containers run as. [`rerun_as_ordinary_user`] runs the test again as `nobody`.

use crate::TestkitError;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// The account used; made when the machine has none.
const USER: &str = "nobody";
/// Set in the repeated run.
const MARK: &str = "OPEN_COWORK_UNPRIVILEGED_RERUN";

/// A command that runs without root's rights. When this process isn't root, nothing changes.
///
/// # Errors
/// [`TestkitError::Command`] when there is no ordinary account and none can be made.
pub fn command(program: &Path) -> Result<Command, TestkitError> {
    let mut command = Command::new(program);
    if rustix::process::geteuid().is_root() {
        let (user, group) = account()?;
        // The standard library drops root's supplementary groups together with the user.
        command.gid(group).uid(user).env("HOME", "/nonexistent");
    }
    Ok(command)
}

/// Runs the calling test again as an ordinary user, when this process is root.
///
/// Returns whether that happened: then the test is done. `name` is the test's full path inside
/// its binary, such as `migrate::tests::a_read_only_folder_is_reported`.
///
/// ```no_run
/// # use open_cowork_testkit::unprivileged::rerun_as_ordinary_user;
/// # fn main() -> Result<(), open_cowork_testkit::TestkitError> {
/// if rerun_as_ordinary_user("tests::a_read_only_folder_is_reported")? {
///     return Ok(());
/// }
/// // From here on this process is not root.
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`TestkitError::Command`] with the test's output when it failed, or matched no test.
pub fn rerun_as_ordinary_user(name: &str) -> Result<bool, TestkitError> {
    if !rustix::process::geteuid().is_root() || std::env::var_os(MARK).is_some() {
        return Ok(false);
    }
    let failed = |reason: String| TestkitError::Command {
        command: format!("{name} as {USER}"),
        reason,
    };
    // The target folder may lie below a folder that only root can enter.
    let folder = tempfile::tempdir().map_err(TestkitError::file(std::env::temp_dir()))?;
    let open = |path: &Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
            .map_err(TestkitError::file(path))
    };
    open(folder.path())?;
    let binary = folder.path().join("test");
    let current = std::env::current_exe().map_err(TestkitError::file("the test binary"))?;
    std::fs::copy(&current, &binary).map_err(TestkitError::file(&current))?;
    open(&binary)?;
    let output = command(&binary)?
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(MARK, "1")
        .env_remove("TMPDIR")
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    let words = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(failed(format!(
            "{words}{}",
            String::from_utf8_lossy(&output.stderr)
        )));
    }
    if !words.contains("running 1 test") {
        return Err(failed(
            "no test has this name; give its full path in the binary".into(),
        ));
    }
    Ok(true)
}

/// User and group of the account used.
pub(crate) fn account() -> Result<(u32, u32), TestkitError> {
    if let Some(found) = look_up()? {
        return Ok(found);
    }
    let failed = |reason: String| TestkitError::Command {
        command: format!("useradd {USER}"),
        reason,
    };
    let output = Command::new("useradd")
        .args([
            "--system",
            "--no-create-home",
            "--shell",
            "/usr/sbin/nologin",
            USER,
        ])
        .output()
        .map_err(|error| failed(error.to_string()))?;
    look_up()?.ok_or_else(|| failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

fn look_up() -> Result<Option<(u32, u32)>, TestkitError> {
    let passwd =
        std::fs::read_to_string("/etc/passwd").map_err(TestkitError::file("/etc/passwd"))?;
    let ids = |line: &str| {
        let mut fields = line.split(':');
        (fields.next()? == USER).then_some(())?;
        let mut numbers = fields.skip(1).map(|field| field.parse().ok());
        Some((numbers.next()??, numbers.next()??))
    };
    Ok(passwd.lines().find_map(ids))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_only_folder_stops_the_repeated_test() {
        let here = "unprivileged::tests::a_read_only_folder_stops_the_repeated_test";
        if rerun_as_ordinary_user(here).unwrap() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o500)).unwrap();
        let error = std::fs::write(folder.path().join("file"), "x").unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn a_failing_repeated_test_fails_the_caller() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let error = rerun_as_ordinary_user("unprivileged::tests::no_such_test").unwrap_err();
        assert!(
            error.to_string().contains("no test has this name"),
            "{error}"
        );
    }

    #[test]
    fn a_command_loses_roots_rights() {
        let output = command(Path::new("/usr/bin/id"))
            .unwrap()
            .arg("-u")
            .output()
            .unwrap();
        assert_ne!(String::from_utf8_lossy(&output.stdout).trim(), "0");
    }
}
