//! The runtime home: every folder that OpenCode may call its own (05 §5.4).
//!
//! One process at a time holds a home, by a file lock that the system releases even after kill -9. All managed
//! folders are real directories of ours with mode 0700, inside the home after resolving every link.

use crate::error::HostError;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where things are inside a home. Plain paths; nothing is touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HomePaths {
    root: PathBuf,
}

impl HomePaths {
    /// Paths under this root.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }
    /// `HOME` of OpenCode and its default working directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }
    /// `XDG_CONFIG_HOME`; stays empty but for what OpenCode writes, so that no second config is merged
    /// (08 §3.1).
    #[must_use]
    pub fn config_home(&self) -> PathBuf {
        self.root.join(".config")
    }
    /// `XDG_DATA_HOME`: OpenCode's database is in `opencode/`.
    #[must_use]
    pub fn data_home(&self) -> PathBuf {
        self.root.join(".local/share")
    }
    /// `XDG_STATE_HOME`.
    #[must_use]
    pub fn state_home(&self) -> PathBuf {
        self.root.join(".local/state")
    }
    /// `XDG_CACHE_HOME`.
    #[must_use]
    pub fn cache_home(&self) -> PathBuf {
        self.root.join(".cache")
    }
    /// `TMPDIR`: private, emptied when the home is opened.
    #[must_use]
    pub fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }
    /// `OPENCODE_CONFIG_DIR`: holds the composed config while OpenCode runs.
    #[must_use]
    pub fn opencode_config_dir(&self) -> PathBuf {
        self.root.join(".open-cowork/config")
    }
    /// The only folder of `skills.paths` (05 §5.4).
    #[must_use]
    pub fn skill_catalog(&self) -> PathBuf {
        self.root.join("runtime-skill-catalog")
    }
    /// OpenCode's database file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.data_home().join("opencode/opencode.db")
    }
    /// Full text of tool output that OpenCode shortened.
    #[must_use]
    pub fn tool_output(&self) -> PathBuf {
        self.data_home().join("opencode/tool-output")
    }
    /// OpenCode's scratch folder.
    #[must_use]
    pub fn scratch(&self) -> PathBuf {
        self.tmp().join("opencode")
    }
    /// Locked by the host that owns the home.
    pub(crate) fn host_lock(&self) -> PathBuf {
        self.root.join(".open-cowork/host.lock")
    }
    /// Locked by the launcher while any process of its OpenCode lives.
    pub(crate) fn launcher_lock(&self) -> PathBuf {
        self.root.join(".open-cowork/launcher.lock")
    }

    fn managed(&self) -> Vec<PathBuf> {
        let dirs = [
            ".open-cowork",
            ".open-cowork/config",
            ".config",
            ".local",
            ".local/share",
            ".local/state",
        ];
        let dirs = dirs
            .iter()
            .chain([".cache", "tmp", "runtime-skill-catalog"].iter());
        std::iter::once(self.root.clone())
            .chain(dirs.map(|dir| self.root.join(dir)))
            .collect()
    }
}

/// A home that this process holds exclusively until the value is dropped.
#[derive(Debug)]
pub struct RuntimeHome {
    paths: HomePaths,
    _lock: File,
}

impl RuntimeHome {
    /// Opens `<data_dir>/runtime-home`, making what is missing, and takes its lock. Left-overs of a crash are
    /// swept: temporary files and the config with its key.
    ///
    /// Fails with [`HostError::HomeLocked`] while another process holds it, and with
    /// [`HostError::UnsafeHome`] when a managed folder is not an own, real directory (05 §5.4).
    pub fn open(data_dir: &Path) -> Result<Self, HostError> {
        private_dirs(data_dir)?;
        let data_dir = data_dir
            .canonicalize()
            .map_err(HostError::io("read", data_dir))?;
        if data_dir.to_str().is_none() {
            return Err(HostError::UnsafeHome {
                path: data_dir,
                reason: "its path is not UTF-8".into(),
            });
        }
        let paths = HomePaths::new(data_dir.join("runtime-home"));
        for dir in paths.managed() {
            private_dir(paths.root(), &dir)?;
        }
        let lock = lock(&paths)?;
        empty_dir(&paths.tmp())?;
        empty_dir(&paths.opencode_config_dir())?;
        Ok(Self { paths, _lock: lock })
    }

    /// Where things are.
    #[must_use]
    pub fn paths(&self) -> &HomePaths {
        &self.paths
    }

    /// Removes the composed config with its key; it is written again at the next start.
    pub fn forget_config(&self) -> Result<(), HostError> {
        empty_dir(&self.paths.opencode_config_dir())
    }
}

/// Makes the folder and its missing parents, 0700.
fn private_dirs(dir: &Path) -> Result<(), HostError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(HostError::io("created", dir))
}

/// Makes one managed folder, or checks that it is ours: a real directory, owned by us, inside the root.
fn private_dir(root: &Path, dir: &Path) -> Result<(), HostError> {
    let refuse = |reason: &str| HostError::UnsafeHome {
        path: dir.to_owned(),
        reason: reason.to_owned(),
    };
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(HostError::io("created", dir)(error));
        }
        _ => {}
    }
    let metadata = fs::symlink_metadata(dir).map_err(HostError::io("read", dir))?;
    if metadata.file_type().is_symlink() {
        return Err(refuse("it is a symbolic link"));
    }
    if !metadata.is_dir() {
        return Err(refuse("it is not a folder"));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(refuse("it belongs to another user"));
    }
    if !dir
        .canonicalize()
        .map_err(HostError::io("read", dir))?
        .starts_with(root)
    {
        return Err(refuse("it leads outside the runtime home"));
    }
    if metadata.mode() & 0o777 != 0o700 {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
            .map_err(HostError::io("protected", dir))?;
    }
    Ok(())
}

fn lock(paths: &HomePaths) -> Result<File, HostError> {
    let path = paths.host_lock();
    let mut file = open_lock(&path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let _ = (&mut file).take(20).read_to_string(&mut pid);
            let pid = match pid.trim() {
                "" => "unknown".to_owned(),
                pid => pid.to_owned(),
            };
            return Err(HostError::HomeLocked {
                path: paths.root().to_owned(),
                pid,
            });
        }
        Err(fs::TryLockError::Error(error)) => return Err(HostError::io("locked", path)(error)),
    }
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write(&mut file).map_err(HostError::io("written", path))?;
    Ok(file)
}

/// Opens (and makes) a lock file without following a link.
pub(crate) fn open_lock(path: &Path) -> Result<File, HostError> {
    let no_follow = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(no_follow)
        .open(path)
        .map_err(HostError::io("opened", path))
}

/// Removes everything inside a folder; links are removed, not followed.
fn empty_dir(dir: &Path) -> Result<(), HostError> {
    for entry in fs::read_dir(dir).map_err(HostError::io("read", dir))? {
        let entry = entry.map_err(HostError::io("read", dir))?;
        let path = entry.path();
        let is_dir = entry
            .file_type()
            .map_err(HostError::io("read", &path))?
            .is_dir();
        if is_dir {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        }
        .map_err(HostError::io("removed", &path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn every_managed_folder_is_private() {
        let data = tempfile::tempdir().unwrap();
        let home = RuntimeHome::open(&data.path().join("a/b")).unwrap();
        for dir in home.paths().managed() {
            assert_eq!(mode(&dir), 0o700, "{}", dir.display());
        }
        assert_eq!(mode(&home.paths().host_lock()), 0o600);
    }

    #[test]
    fn a_home_has_one_owner_at_a_time() {
        let data = tempfile::tempdir().unwrap();
        let first = RuntimeHome::open(data.path()).unwrap();
        let refused = RuntimeHome::open(data.path()).unwrap_err().to_string();
        assert!(
            refused.contains(&std::process::id().to_string()),
            "{refused}"
        );
        assert!(refused.contains("runtime-home"), "{refused}");
        drop(first);
        RuntimeHome::open(data.path()).unwrap();
    }

    #[test]
    fn a_managed_folder_that_is_a_link_is_refused() {
        let (data, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        drop(RuntimeHome::open(data.path()).unwrap());
        let cache = data.path().join("runtime-home/.cache");
        fs::remove_dir(&cache).unwrap();
        symlink(outside.path(), &cache).unwrap();
        let refused = RuntimeHome::open(data.path()).unwrap_err();
        assert!(
            refused
                .to_string()
                .starts_with("Managed runtime directory boundary is unsafe."),
            "{refused}"
        );
    }

    #[test]
    fn loose_rights_are_tightened() {
        let data = tempfile::tempdir().unwrap();
        drop(RuntimeHome::open(data.path()).unwrap());
        let cache = data.path().join("runtime-home/.cache");
        fs::set_permissions(&cache, fs::Permissions::from_mode(0o755)).unwrap();
        let _home = RuntimeHome::open(data.path()).unwrap();
        assert_eq!(mode(&cache), 0o700);
    }

    #[test]
    fn left_overs_of_a_crash_are_swept_without_following_links() {
        let (data, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(outside.path().join("keep"), "x").unwrap();
        let home = RuntimeHome::open(data.path()).unwrap();
        let paths = home.paths().clone();
        fs::write(paths.opencode_config_dir().join("opencode.json"), "key").unwrap();
        fs::create_dir(paths.tmp().join("d")).unwrap();
        symlink(outside.path(), paths.tmp().join("link")).unwrap();
        drop(home);
        let _home = RuntimeHome::open(data.path()).unwrap();
        assert_eq!(fs::read_dir(paths.tmp()).unwrap().count(), 0);
        assert!(!paths.opencode_config_dir().join("opencode.json").exists());
        assert!(outside.path().join("keep").exists());
    }
}
