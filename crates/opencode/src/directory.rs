//! A working directory that was checked before OpenCode sees it: OpenCode itself answers 200 to any
//! (docs/contract/08-opencode.md §4.2).

use crate::error::Error;
use std::fmt;
use std::path::Path;

/// An absolute, canonical path of a directory that existed when it was opened.
///
/// ```
/// use open_cowork_opencode::Directory;
/// assert!(Directory::open("relative/path").is_err());
/// assert!(Directory::open("/does/not/exist").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Directory(String);

impl Directory {
    /// Checks a path: absolute, an existing directory, UTF-8; symbolic links are resolved. Looks at the file
    /// system (blocking, short).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let refuse = |reason: String| Error::Directory {
            path: path.display().to_string(),
            reason,
        };
        if !path.is_absolute() {
            return Err(refuse(
                "the path is relative; give the absolute path".into(),
            ));
        }
        let canonical = path.canonicalize().map_err(|error| {
            refuse(format!(
                "can't be opened ({}); create it or choose another",
                error.kind()
            ))
        })?;
        if !canonical.is_dir() {
            return Err(refuse("is not a directory; choose a directory".into()));
        }
        match canonical.into_os_string().into_string() {
            Ok(text) => Ok(Self(text)),
            Err(_) => Err(refuse(
                "the name is not UTF-8; rename it or choose another".into(),
            )),
        }
    }

    /// The canonical path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The canonical path.
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl fmt::Display for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<Path> for Directory {
    fn as_ref(&self) -> &Path {
        self.as_path()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_relative_or_plain_file_path_is_refused_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        for path in [Path::new("relative"), &dir.path().join("missing"), &file] {
            let message = Directory::open(path).unwrap_err().to_string();
            assert!(message.contains(&path.display().to_string()), "{message}");
        }
    }

    #[test]
    fn dots_and_links_are_resolved() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("a")).unwrap();
        let opened = Directory::open(dir.path().join("a/../a")).unwrap();
        assert_eq!(opened, Directory::open(dir.path().join("a")).unwrap());
    }
}
