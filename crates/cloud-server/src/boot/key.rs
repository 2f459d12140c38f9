//! A key of its own for a server on one machine: made once, kept below its root, readable by its user only. With it
//! provider keys can be stored from the first minute; losing the file loses them, nothing else.

use secrecy::SecretString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// The file below the root.
pub const FILE: &str = "secret-key";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file can't be made or read.
    #[error(
        "The key file {path} can't be used: {why}. Make its folder writable, or set OPEN_COWORK_CLOUD_SECRET_KEY."
    )]
    File {
        /// Where.
        path: String,
        /// What the system says.
        why: io::Error,
    },
    /// Others may read it.
    #[error(
        "The key file {0} can be read by other users; run `chmod 600` on it, or better, replace the key."
    )]
    Open(String),
    /// It is empty or damaged.
    #[error(
        "The key file {0} holds no key; restore it from a backup, or remove it and store provider keys anew."
    )]
    Damaged(String),
}

/// The key below `root`, made if there is none. Processes that start at once agree on one.
///
/// # Errors
/// [`KeyError`].
pub fn own_key(root: &Path) -> Result<SecretString, KeyError> {
    let path = root.join(FILE);
    let shown = path.display().to_string();
    let file = |why| KeyError::File {
        path: shown.clone(),
        why,
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(root)
        .map_err(file)?;
    if !path.exists() {
        make(root, &path).map_err(file)?;
    }
    let metadata = fs::metadata(&path).map_err(file)?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(KeyError::Open(shown));
    }
    let text = fs::read_to_string(&path).map_err(file)?;
    let key = text.trim();
    match key.len() >= 32 {
        true => Ok(SecretString::from(key)),
        false => Err(KeyError::Damaged(shown)),
    }
}

/// Written aside and linked: whoever reads the name reads a whole key, and the first one stays.
fn make(root: &Path, path: &Path) -> io::Result<()> {
    let mut bytes = [0_u8; 48];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let aside = root.join(format!("{FILE}.{}", uuid::Uuid::new_v4().simple()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&aside)?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let written = writeln!(file, "{hex}").and_then(|()| file.sync_all());
    let linked = written.and_then(|()| fs::hard_link(&aside, path));
    fs::remove_file(&aside)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    #[test]
    fn processes_that_start_at_once_have_one_key_that_stays() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().join("new");
        let keys: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| own_key(&root).unwrap()))
                .collect();
            starts
                .into_iter()
                .map(|start| start.join().unwrap())
                .collect()
        });
        let first = keys[0].expose_secret();
        assert!(keys.iter().all(|key| key.expose_secret() == first));
        assert_eq!(own_key(&root).unwrap().expose_secret(), first);
        let names: Vec<_> = fs::read_dir(&root)
            .unwrap()
            .map(|file| file.unwrap().file_name())
            .collect();
        assert_eq!(names, [FILE], "nothing is left aside");
        let mode = fs::metadata(root.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_none_is_refused() {
        let root = tempfile::tempdir().unwrap();
        own_key(root.path()).unwrap();
        let path = root.path().join(FILE);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(own_key(root.path()), Err(KeyError::Open(_))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "").unwrap();
        assert!(matches!(own_key(root.path()), Err(KeyError::Damaged(_))));
    }
}
