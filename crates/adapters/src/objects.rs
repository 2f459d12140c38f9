//! Objects in a local folder, through the `object_store` crate (04 §6, §13.5).
//!
//! A write goes to a file beside the object, which is flushed and renamed, so a reader sees the old object or the
//! new one (04 §16 #20). Files are 0600, folders 0700. Only "not found" is a missing object; anything else is an
//! error.

use async_trait::async_trait;
use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{Error, ObjectStoreExt};
use open_cowork_providers::objects::{ObjectError, ObjectInfo, ObjectStore};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Longest key in bytes.
pub const MAX_KEY: usize = 1024;

/// A folder that holds objects.
#[derive(Debug)]
pub struct FolderObjects {
    folder: PathBuf,
    inner: LocalFileSystem,
}

impl FolderObjects {
    /// The objects below a folder, which is made if it is missing.
    ///
    /// # Errors
    /// [`ObjectError::Unavailable`] when the folder can't be made or read.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, ObjectError> {
        let folder = folder.as_ref();
        make_folders(folder).map_err(|error| unavailable(&error))?;
        // Links in the way to the folder are the operator's; links below it are nobody's.
        let folder = folder.canonicalize().map_err(|error| unavailable(&error))?;
        let inner = LocalFileSystem::new_with_prefix(&folder).map_err(|error| refused(&error))?;
        Ok(FolderObjects { folder, inner })
    }

    /// The path of a key in the store, after its check.
    fn path(&self, key: &str) -> Result<ObjectPath, ObjectError> {
        check_key(key)?;
        let path = ObjectPath::parse(key).map_err(|_| ObjectError::InvalidKey)?;
        // A link that somebody put below the folder must not lead out of it.
        let mut place = self.folder.clone();
        for segment in path.parts() {
            place.push(segment.as_ref());
            match std::fs::symlink_metadata(&place) {
                Ok(found) if found.file_type().is_symlink() => return Err(ObjectError::InvalidKey),
                Ok(_) => {}
                Err(_) => break,
            }
        }
        Ok(path)
    }
}

/// A key is a relative POSIX path of at most [`MAX_KEY`] bytes, without empty, `.` or `..` segments, backslash or
/// control characters.
fn check_key(key: &str) -> Result<(), ObjectError> {
    let plain = !key.is_empty()
        && key.len() <= MAX_KEY
        && !key.contains('\\')
        && !key.chars().any(char::is_control)
        && key
            .split('/')
            .all(|segment| !matches!(segment, "" | "." | "..") && segment.len() <= 255);
    if plain {
        Ok(())
    } else {
        Err(ObjectError::InvalidKey)
    }
}

fn unavailable(error: &std::io::Error) -> ObjectError {
    // The kind, not the text: a text may name paths of the host.
    ObjectError::Unavailable(error.kind().to_string())
}

fn refused(error: &Error) -> ObjectError {
    tracing::warn!(%error, "the object store failed");
    match error {
        Error::InvalidPath { .. } => ObjectError::InvalidKey,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            ObjectError::Unavailable("permission denied".to_owned())
        }
        _ => ObjectError::Unavailable("it failed; look at the log".to_owned()),
    }
}

#[async_trait]
impl ObjectStore for FolderObjects {
    async fn put(&self, key: &str, body: Bytes) -> Result<(), ObjectError> {
        let path = self.path(key)?;
        let place = self
            .inner
            .path_to_filesystem(&path)
            .map_err(|error| refused(&error))?;
        // `object_store` renames, too, but neither flushes nor keeps the file private.
        let written = tokio::task::spawn_blocking(move || write(&place, &body)).await;
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                tracing::warn!(%error, "an object can't be written");
                Err(unavailable(&error))
            }
            Err(_) => Err(ObjectError::Unavailable("the program ends".to_owned())),
        }
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, ObjectError> {
        let path = self.path(key)?;
        let found = match self.inner.get(&path).await {
            Ok(found) => found,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(refused(&error)),
        };
        found
            .bytes()
            .await
            .map(Some)
            .map_err(|error| refused(&error))
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectInfo>, ObjectError> {
        let path = self.path(key)?;
        match self.inner.head(&path).await {
            Ok(found) => Ok(Some(ObjectInfo { size: found.size })),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(refused(&error)),
        }
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        let path = self.path(key)?;
        match self.inner.delete(&path).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(refused(&error)),
        }
    }
}

/// Writes a file beside its place, flushes it, renames it, and flushes the folder.
fn write(place: &Path, body: &[u8]) -> std::io::Result<()> {
    let folder = place.parent().unwrap_or(Path::new("/"));
    make_folders(folder)?;
    // `object_store` leaves names with `#` out of its lists.
    let draft = folder.join(format!(".draft#{}", uuid::Uuid::new_v4().simple()));
    let written = create(&draft)
        .and_then(|mut file| file.write_all(body).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&draft, place))
        .and_then(|()| std::fs::File::open(folder)?.sync_all());
    if written.is_err() {
        // Nothing half-written stays.
        let _ = std::fs::remove_file(&draft);
    }
    written
}

#[cfg(unix)]
fn create(path: &Path) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn create(path: &Path) -> std::io::Result<std::fs::File> {
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
}

#[cfg(unix)]
fn make_folders(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

#[cfg(not(unix))]
fn make_folders(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects() -> (FolderObjects, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let objects = FolderObjects::open(folder.path().join("objects")).unwrap();
        (objects, folder)
    }

    #[tokio::test]
    async fn an_object_is_read_back_replaced_and_deleted() {
        let (objects, _folder) = objects();
        let key = "tenants/t/a%20b.md";
        assert_eq!(objects.get(key).await, Ok(None));
        assert_eq!(objects.head(key).await, Ok(None));
        objects.put(key, Bytes::from_static(b"one")).await.unwrap();
        objects
            .put(key, Bytes::from_static(b"three"))
            .await
            .unwrap();
        assert_eq!(
            objects.get(key).await,
            Ok(Some(Bytes::from_static(b"three")))
        );
        assert_eq!(objects.head(key).await, Ok(Some(ObjectInfo { size: 5 })));
        objects.delete(key).await.unwrap();
        objects.delete(key).await.unwrap();
        assert_eq!(objects.get(key).await, Ok(None));
    }

    #[tokio::test]
    async fn a_key_that_leads_elsewhere_is_refused() {
        let (objects, _folder) = objects();
        let long = "a/".repeat(600);
        let segment = "a".repeat(256);
        for key in [
            "",
            "/etc/passwd",
            "../x",
            "a/../../x",
            "a//b",
            "a/./b",
            "a/",
            "a\\b",
            "a\0b",
            "a\nb",
            "..",
            ".",
            long.as_str(),
            segment.as_str(),
        ] {
            let put = objects.put(key, Bytes::from_static(b"x")).await;
            assert_eq!(put, Err(ObjectError::InvalidKey), "{key:?}");
            assert_eq!(
                objects.get(key).await,
                Err(ObjectError::InvalidKey),
                "{key:?}"
            );
            assert_eq!(
                objects.head(key).await,
                Err(ObjectError::InvalidKey),
                "{key:?}"
            );
            assert_eq!(
                objects.delete(key).await,
                Err(ObjectError::InvalidKey),
                "{key:?}"
            );
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_link_below_the_folder_is_not_followed() {
        let (objects, folder) = objects();
        std::fs::write(folder.path().join("secret"), "secret").unwrap();
        std::os::unix::fs::symlink(folder.path(), objects.folder.join("out")).unwrap();
        assert_eq!(
            objects.get("out/secret").await,
            Err(ObjectError::InvalidKey)
        );
        let put = objects.put("out/new", Bytes::from_static(b"x")).await;
        assert_eq!(put, Err(ObjectError::InvalidKey));
        assert!(!folder.path().join("new").exists());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn objects_are_private_and_nothing_half_written_stays() {
        use std::os::unix::fs::PermissionsExt;
        let (objects, _folder) = objects();
        objects.put("a/b", Bytes::from_static(b"x")).await.unwrap();
        let mode = |path: &str| {
            let found = std::fs::metadata(objects.folder.join(path)).unwrap();
            found.permissions().mode() & 0o777
        };
        assert_eq!((mode("a/b"), mode("a")), (0o600, 0o700));
        // A folder stands where the object should be.
        let refused = objects.put("a", Bytes::from_static(b"x")).await;
        assert!(matches!(refused, Err(ObjectError::Unavailable(_))));
        let left: Vec<_> = std::fs::read_dir(&objects.folder).unwrap().collect();
        assert_eq!(left.len(), 1);
        assert_eq!(objects.get("a/b").await, Ok(Some(Bytes::from_static(b"x"))));
    }

    #[tokio::test]
    async fn readers_never_see_half_an_object() {
        let (objects, _folder) = objects();
        let (small, large) = (Bytes::from(vec![1; 10]), Bytes::from(vec![2; 300_000]));
        objects.put("k", small.clone()).await.unwrap();
        let write = async {
            for n in 0..20 {
                let body = if n % 2 == 0 {
                    large.clone()
                } else {
                    small.clone()
                };
                objects.put("k", body).await.unwrap();
            }
        };
        let read = async {
            for _ in 0..200 {
                let found = objects.get("k").await.unwrap().unwrap();
                assert!(found == small || found == large, "{} bytes", found.len());
            }
        };
        tokio::join!(write, read);
    }
}
