//! Where things of a tenant live below the worker's root (04 §4.4, §5.1).
//!
//! Every folder name is made by the segment rule: readable, lower case, and ended by the digest of the whole
//! value, so that no two tenants, users or sessions can meet in a folder whatever they are called.

use open_cowork_providers::store::{Scope, SessionKey};
use sha2::{Digest as _, Sha256};
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Readable part of a segment, in characters.
const READABLE: usize = 48;

/// The root of a deployment's folders. Plain paths; nothing is touched before [`Places::workspace`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    root: PathBuf,
}

impl Places {
    /// Places below that root.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Places { root: root.into() }
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder whose `runtime-home` is the home of one user's OpenCode (decision 24).
    #[must_use]
    pub fn home(&self, scope: &Scope) -> PathBuf {
        self.root
            .join("runtime/homes")
            .join(segment(scope.tenant_id.as_str()))
            .join(segment(scope.user_id.as_str()))
    }

    /// The managed folder that the agent of a session works in.
    #[must_use]
    pub fn workspace_path(&self, key: &SessionKey) -> PathBuf {
        self.root
            .join("workspaces/sessions")
            .join(segment(key.tenant_id.as_str()))
            .join(segment(key.session_id.as_str()))
    }

    /// All managed workspaces are below it.
    #[must_use]
    pub fn workspaces(&self) -> PathBuf {
        self.root.join("workspaces")
    }

    /// Makes the managed folder of a session, for its owner alone, and gives its real path.
    ///
    /// # Errors
    /// The system's reason.
    pub fn workspace(&self, key: &SessionKey) -> io::Result<PathBuf> {
        let folder = self.workspace_path(key);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)?;
        folder.canonicalize()
    }
}

/// A folder name for any value (04 §5.1): the first 48 characters in lower case with everything but
/// `a-z 0-9 _ . -` as one dash, trimmed of dashes, then a dash and the SHA-256 of the value.
#[must_use]
pub fn segment(value: &str) -> String {
    let mut readable = String::new();
    for c in value.to_lowercase().chars() {
        match c {
            'a'..='z' | '0'..='9' | '_' | '.' => readable.push(c),
            _ if !readable.ends_with('-') => readable.push('-'),
            _ => {}
        }
    }
    let readable: String = readable
        .trim_matches('-')
        .chars()
        .take(READABLE)
        .collect::<String>();
    let digest: String = Sha256::digest(value.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{readable}-{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_segment_is_readable_and_ends_with_the_digest() {
        let name = segment("Acme & Söhne / 2026");
        assert!(name.starts_with("acme-s-hne-2026-"), "{name}");
        assert_eq!(name.len(), "acme-s-hne-2026-".len() + 64);
        assert_eq!(segment("")[..1], *"-");
        assert_ne!(segment("a"), segment("A"), "the digest is of the raw value");
    }

    #[test]
    fn folders_of_two_users_and_two_sessions_never_meet() {
        let places = Places::new("/data");
        let home = |tenant: &str, user: &str| places.home(&Scope::new(tenant, user));
        assert_ne!(home("a", "b"), home("b", "a"));
        assert_ne!(home("..", "x"), home(".", "x"));
        assert!(home("..", "../../etc").starts_with("/data/runtime/homes"));
        assert_ne!(
            places.workspace_path(&SessionKey::new("t", "s")),
            places.workspace_path(&SessionKey::new("t", "S"))
        );
    }

    #[test]
    fn a_workspace_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let root = tempfile::tempdir().unwrap();
        let folder = Places::new(root.path())
            .workspace(&SessionKey::new("t", "s"))
            .unwrap();
        let mode = folder.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o700);
    }

    proptest! {
        #[test]
        fn a_segment_is_one_plain_folder_name(value in "\\PC{0,200}", other in "\\PC{0,20}") {
            let name = segment(&value);
            prop_assert!(name.len() <= 48 + 1 + 64);
            prop_assert!(name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-')));
            prop_assert_eq!(segment(&other) == name, other == value);
        }
    }
}
