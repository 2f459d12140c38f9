//! Where OpenCode's program is (05 §5.7).

use crate::error::HostError;
use crate::probe::TESTED_VERSION;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Finds OpenCode: the given path, else `opencode` in `search_path` (the host's `PATH`).
///
/// The npm package installs a script that starts the native program of a sibling package; that program is
/// preferred, so that no Node process stands between us and OpenCode. Fails with
/// [`HostError::OpenCodeMissing`].
pub fn resolve(explicit: Option<&Path>, search_path: &OsStr) -> Result<PathBuf, HostError> {
    if let Some(path) = explicit {
        return match is_program(path) {
            true => Ok(native_program(path).unwrap_or_else(|| path.to_owned())),
            false => Err(missing(format!("{} is not a program", path.display()))),
        };
    }
    std::env::split_paths(search_path)
        // A relative entry would mean the folder that we happen to stand in.
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join("opencode"))
        .find(|path| is_program(path))
        .map(|path| native_program(&path).unwrap_or(path))
        .ok_or_else(|| missing("no `opencode` in PATH".to_owned()))
}

fn missing(looked_at: String) -> HostError {
    HostError::OpenCodeMissing {
        looked_at,
        version: TESTED_VERSION,
    }
}

fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// The native program next to the script of the npm package `opencode-ai`, if this is that script.
fn native_program(path: &Path) -> Option<PathBuf> {
    let script = path.canonicalize().ok()?;
    let package = script.parent()?.parent()?;
    if package.file_name()? != "opencode-ai" {
        return None;
    }
    platform_packages().iter().find_map(|name| {
        let beside = package.parent()?.join(name);
        let inside = package.join("node_modules").join(name);
        [beside, inside]
            .into_iter()
            .map(|dir| dir.join("bin/opencode"))
            .find(|path| is_program(path))
    })
}

/// Package names for this machine, the baseline build first on x64 (05 §5.7).
fn platform_packages() -> Vec<String> {
    let os = match std::env::consts::OS {
        "macos" => "darwin",
        os => os,
    };
    match std::env::consts::ARCH {
        "x86_64" => vec![
            format!("opencode-{os}-x64-baseline"),
            format!("opencode-{os}-x64"),
        ],
        "aarch64" => vec![format!("opencode-{os}-arm64")],
        arch => vec![format!("opencode-{os}-{arch}")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn program(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn a_missing_opencode_says_how_to_get_it() {
        let empty = tempfile::tempdir().unwrap();
        for missing in [
            resolve(None, empty.path().as_os_str()),
            resolve(Some(&empty.path().join("opencode")), OsStr::new("")),
            resolve(Some(empty.path()), OsStr::new("")),
        ] {
            let message = missing.unwrap_err().to_string();
            assert!(
                message.contains("opencode-ai") && message.contains(TESTED_VERSION),
                "{message}"
            );
        }
    }

    #[test]
    fn a_file_that_is_not_executable_is_skipped() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(first.path().join("opencode"), "").unwrap();
        program(&second.path().join("opencode"));
        let path = std::env::join_paths([first.path(), second.path()]).unwrap();
        assert_eq!(
            resolve(None, &path).unwrap(),
            second.path().join("opencode")
        );
    }

    #[test]
    fn the_native_program_is_preferred_to_the_npm_script() {
        let dir = tempfile::tempdir().unwrap();
        let modules = dir.path().canonicalize().unwrap().join("node_modules");
        let (script, native) = (
            modules.join("opencode-ai/bin/opencode"),
            platform_packages(),
        );
        let native = modules.join(&native[0]).join("bin/opencode");
        program(&script);
        assert_eq!(resolve(Some(&script), OsStr::new("")).unwrap(), script);
        program(&native);
        let link = dir.path().join("opencode");
        std::os::unix::fs::symlink(&script, &link).unwrap();
        assert_eq!(resolve(Some(&link), OsStr::new("")).unwrap(), native);
    }
}
