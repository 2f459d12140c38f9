//! The data folder: where it is, what lies where, one process at a time.

use crate::error::DesktopError;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The data folder, held by this process until it is dropped.
#[derive(Debug)]
pub struct DataDir {
    root: PathBuf,
    _lock: File,
}

impl DataDir {
    /// The platform's data folder of a product by its `branding.dataDirName`: `$XDG_DATA_HOME/NAME`, else
    /// `~/.local/share/NAME` (macOS: `~/Library/Application Support/NAME`).
    pub fn default_path(name: &str) -> Result<PathBuf, DesktopError> {
        let home = || {
            std::env::var_os("HOME")
                .filter(|home| !home.is_empty())
                .map(PathBuf::from)
        };
        let base = if cfg!(target_os = "macos") {
            home().map(|home| home.join("Library/Application Support"))
        } else {
            std::env::var_os("XDG_DATA_HOME")
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
                .or_else(|| home().map(|home| home.join(".local/share")))
        };
        base.map(|base| base.join(name))
            .ok_or(DesktopError::NoDataFolder)
    }

    /// Opens the folder, makes it when it is missing (mode 0700), and locks it for this process.
    pub fn open(root: &Path) -> Result<DataDir, DesktopError> {
        let root = std::path::absolute(root).map_err(|error| DesktopError::data(root, &error))?;
        if root.exists() && !root.is_dir() {
            return Err(DesktopError::unusable(&root, "it is a file"));
        }
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&root)
            .map_err(|error| DesktopError::data(&root, &error))?;
        // Whoever can write here can put other settings in place and have the key sent elsewhere.
        if fs::metadata(&root).is_ok_and(|meta| meta.permissions().mode() & 0o022 != 0) {
            return Err(DesktopError::OpenToOthers { root });
        }
        let path = root.join("desktop.lock");
        let mut lock = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(&path)
            .map_err(|error| DesktopError::data(&path, &error))?;
        match rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                let _ = (&mut lock).take(100).read_to_string(&mut holder);
                let holder = match holder.trim() {
                    "" => "another process".to_owned(), // it is starting this moment
                    holder => holder.to_owned(),
                };
                return Err(DesktopError::InUse { root, holder });
            }
            Err(error) => return Err(DesktopError::data(&path, &error.into())),
        }
        let pid = std::process::id();
        let written = lock
            .set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| writeln!(lock, "process {pid}"))
            .and_then(|()| lock.sync_data());
        written.map_err(|error| DesktopError::data(&root, &error))?;
        Ok(DataDir { root, _lock: lock })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The database of threads.
    pub fn database(&self) -> PathBuf {
        self.root.join("threads.sqlite")
    }

    /// The folder that a fresh start offers to work in; made with a few files on first use.
    pub fn demo_workspace(&self) -> Result<PathBuf, DesktopError> {
        let path = self.root.join("demo-workspace");
        if path.is_dir() {
            return Ok(path);
        }
        let write = || -> std::io::Result<()> {
            let fresh = self.root.join(".demo-workspace.new");
            let _ = fs::remove_dir_all(&fresh);
            fs::create_dir_all(&fresh)?;
            fs::write(fresh.join("README.md"), DEMO_README)?;
            fs::write(fresh.join("notes.md"), DEMO_NOTES)?;
            fs::write(fresh.join("sales.csv"), DEMO_SALES)?;
            fs::rename(&fresh, &path)
        };
        write().map_err(|error| DesktopError::data(&path, &error))?;
        Ok(path)
    }
}

const DEMO_README: &str = "# Demo workspace\n\nA small folder to try things in. Nothing here matters; change what you like.\n\n- `notes.md`: meeting notes to summarise\n- `sales.csv`: a few numbers to add up\n";
const DEMO_NOTES: &str = "# Meeting, Tuesday\n\n- The launch moves to the first week of March.\n- Ada writes the announcement; Linus checks the numbers.\n- Open: who tells the partners?\n";
const DEMO_SALES: &str = "month,region,amount\n2026-01,north,1200\n2026-01,south,950\n2026-02,north,1340\n2026-02,south,1010\n";

/// Writes a private file (mode 0600) at once or not at all.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let fresh = path.with_extension("new");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let write = || {
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    if let Err(error) = write() {
        let _ = fs::remove_file(&fresh); // the error that matters is the first
        return Err(error);
    }
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// True when others than the owner may read the file.
pub(crate) fn is_exposed(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_on_the_same_folder_is_refused_with_the_holder() {
        let dir = tempfile::tempdir().unwrap();
        let held = DataDir::open(dir.path()).unwrap();
        let error = DataDir::open(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains(&format!("process {}", std::process::id())),
            "{error}"
        );
        drop(held);
        assert!(DataDir::open(dir.path()).is_ok());
    }

    #[test]
    fn a_folder_that_others_can_write_is_refused_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        for mode in [0o777, 0o770, 0o702] {
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
            let error = DataDir::open(dir.path()).unwrap_err().to_string();
            assert!(error.contains("chmod go-w"), "{error}");
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn private_files_are_private_and_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("settings.json");
        write_private(&path, b"one").unwrap();
        write_private(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert!(!is_exposed(&path));
        fs::create_dir(dir.path().join("folder.json")).unwrap();
        write_private(&dir.path().join("folder.json"), b"three").unwrap_err();
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            2,
            "nothing half-written stays"
        );
    }
}
