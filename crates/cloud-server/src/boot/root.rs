//! One process at a time on a root with SQLite: the log keeps what it wrote in memory, so a second writer's events
//! would be missing in the views and streams of the first. Several processes need PostgreSQL.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// The file below the root that is locked; empty.
pub const FILE: &str = "control-plane.lock";

/// Why the root can't be used.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// Another process has it.
    #[error(
        "Another cloud process uses the folder {0}; end it first, give this one another OPEN_COWORK_CLOUD_ROOT, or set \
         OPEN_COWORK_CLOUD_CONTROL_PLANE_URL so that both share PostgreSQL."
    )]
    InUse(String),
    /// The system refuses.
    #[error(
        "The folder {path} can't be used: {why}. Make it writable, or set OPEN_COWORK_CLOUD_ROOT."
    )]
    Folder {
        /// Where.
        path: String,
        /// What the system says.
        why: io::Error,
    },
}

/// The root is this process's as long as this lives; a process that is killed gives it back too.
#[derive(Debug)]
#[must_use = "the root is free again once this is dropped"]
pub struct RootLock {
    _file: File,
}

/// Takes the root, and makes its folder if there is none.
///
/// # Errors
/// [`RootError`].
pub fn take(root: &Path) -> Result<RootLock, RootError> {
    let folder = |why| RootError::Folder {
        path: root.display().to_string(),
        why,
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(root)
        .map_err(folder)?;
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(root.join(FILE))
        .map_err(folder)?;
    match file.try_lock() {
        Ok(()) => Ok(RootLock { _file: file }),
        Err(TryLockError::WouldBlock) => Err(RootError::InUse(root.display().to_string())),
        Err(TryLockError::Error(why)) => Err(folder(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_has_one_owner_until_it_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("new");
        let first = take(&root).unwrap();
        assert!(matches!(take(&root), Err(RootError::InUse(_))));
        drop(first);
        let _second = take(&root).unwrap();
    }

    #[test]
    fn a_root_that_is_a_file_is_refused_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("file");
        fs::write(&root, "").unwrap();
        let said = take(&root).unwrap_err().to_string();
        assert!(said.contains(&root.display().to_string()), "{said}");
    }
}
