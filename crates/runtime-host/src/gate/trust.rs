//! Which content of which folder the user trusts.

use super::{Inspector, WorkspaceRisk};
use crate::error::HostError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Folders that are remembered; the one granted longest ago is forgotten first.
const REMEMBERED: usize = 1000;
/// A larger file isn't ours.
const FILE_BYTES: u64 = 4 * 1024 * 1024;

/// State of a folder at the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateState {
    /// What opening it would run.
    pub risk: WorkspaceRisk,
    /// It may be opened: there is nothing to ask, or exactly this content was granted.
    pub trusted: bool,
    /// It was granted before, with other content.
    pub changed: bool,
}

/// The gate: inspects folders and remembers grants in a file of its own.
///
/// All methods block on the file system; call them on a thread that may. Check before every use of a folder:
/// before a prompt, and after a turn, because the agent can write such files too.
#[derive(Debug)]
pub struct Gate {
    inspector: Inspector,
    path: PathBuf,
    grants: Mutex<Grants>,
}

/// The file `workspace-trust.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Grants {
    version: u32,
    folders: BTreeMap<String, Grant>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Grant {
    digest: String,
    granted_at: String,
}

impl Gate {
    /// Opens the gate's memory, `<data_dir>/workspace-trust.json`. A file that is missing or can't be understood
    /// trusts nothing.
    #[must_use]
    pub fn open(data_dir: &Path) -> Self {
        let path = data_dir.join("workspace-trust.json");
        Self {
            inspector: Inspector::default(),
            grants: Mutex::new(load(&path)),
            path,
        }
    }

    /// What opening the folder would run, and whether that was granted.
    pub fn check(&self, directory: &Path) -> Result<GateState, HostError> {
        let risk = self.inspector.inspect(directory)?;
        let granted = self
            .grants()
            .folders
            .get(&key(&risk))
            .map(|grant| grant.digest.clone());
        let trusted = risk.is_empty() || granted.as_ref() == Some(&risk.digest);
        Ok(GateState {
            trusted,
            changed: !trusted && granted.is_some(),
            risk,
        })
    }

    /// Trusts exactly the content with this digest, the one that the user saw. `now` is ISO-8601. Fails with
    /// [`HostError::TrustChanged`] when the folder holds something else by now.
    pub fn grant(&self, directory: &Path, digest: &str, now: &str) -> Result<(), HostError> {
        let risk = self.inspector.inspect(directory)?;
        if risk.digest != digest {
            return Err(HostError::TrustChanged {
                path: risk.directory,
            });
        }
        let mut grants = self.grants();
        let mut next = grants.clone();
        next.version = 1;
        next.folders.insert(
            key(&risk),
            Grant {
                digest: risk.digest,
                granted_at: now.to_owned(),
            },
        );
        while next.folders.len() > REMEMBERED {
            let oldest = next
                .folders
                .iter()
                .min_by(|a, b| a.1.granted_at.cmp(&b.1.granted_at));
            let Some(oldest) = oldest.map(|(folder, _)| folder.clone()) else {
                break;
            };
            next.folders.remove(&oldest);
        }
        save(&self.path, &next)?;
        *grants = next;
        Ok(())
    }

    /// Takes the trust of a folder back.
    pub fn revoke(&self, directory: &Path) -> Result<(), HostError> {
        let directory = directory
            .canonicalize()
            .unwrap_or_else(|_| directory.to_owned());
        let mut grants = self.grants();
        let mut next = grants.clone();
        if next
            .folders
            .remove(&directory.to_string_lossy().into_owned())
            .is_some()
        {
            save(&self.path, &next)?;
            *grants = next;
        }
        Ok(())
    }

    fn grants(&self) -> std::sync::MutexGuard<'_, Grants> {
        self.grants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(risk: &WorkspaceRisk) -> String {
    risk.directory.to_string_lossy().into_owned()
}

fn load(path: &Path) -> Grants {
    let readable =
        fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() <= FILE_BYTES);
    let grants = readable.then(|| fs::read(path).ok()).flatten();
    let grants = grants.and_then(|bytes| serde_json::from_slice::<Grants>(&bytes).ok());
    grants
        .filter(|grants| grants.version == 1)
        .unwrap_or_default()
}

/// At once or not at all, readable by us only.
fn save(path: &Path, grants: &Grants) -> Result<(), HostError> {
    let fresh = path.with_extension("json.new");
    let write = || {
        let text = serde_json::to_vec_pretty(grants)?;
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    write().map_err(HostError::io("written", path))
}
