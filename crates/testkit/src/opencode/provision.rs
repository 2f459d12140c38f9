//! Finds or fetches the pinned OpenCode binary (docs/contract/08-opencode.md §1).
//!
//! The version stands in one file, `opencode.version`; the hashes of the npm packages that hold
//! the binary stand in `opencode.lock.json`. A package without a recorded hash is not run.

use crate::TestkitError;
use crate::process::{find_program, is_executable};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sha2::{Digest, Sha512};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version that everything is tested against.
pub const PINNED_VERSION: &str = include_str!("../../../../opencode.version").trim_ascii();

const LOCK: &str = include_str!("../../../../opencode.lock.json");

#[derive(Deserialize)]
struct Lock {
    version: String,
    packages: BTreeMap<String, String>,
}

/// The path of the pinned OpenCode binary, fetched on first use.
///
/// In this order: the file that `OPEN_COWORK_TEST_OPENCODE` names; the copy fetched earlier into
/// `.tools/opencode/<version>/` (or under `OPEN_COWORK_TOOLS_DIR`); an `opencode` of this version
/// in PATH; the npm package, checked against the recorded hash. Several processes may call this
/// at once: one fetches, the others wait. Blocks; the fetch takes up to a minute.
///
/// # Errors
/// [`TestkitError::Provision`] with the way out.
pub fn provision() -> Result<PathBuf, TestkitError> {
    provision_reporting(|_| {})
}

/// As [`provision`], telling what takes long.
///
/// # Errors
/// As [`provision`].
pub fn provision_reporting(report: impl Fn(&str)) -> Result<PathBuf, TestkitError> {
    if let Some(named) = std::env::var_os("OPEN_COWORK_TEST_OPENCODE").filter(|v| !v.is_empty()) {
        let path = PathBuf::from(named);
        return if is_executable(&path) {
            Ok(path)
        } else {
            Err(failed(format!(
                "OPEN_COWORK_TEST_OPENCODE names {}, which is no executable file",
                path.display()
            )))
        };
    }
    let store = Store::new();
    if let Some(kept) = store.kept() {
        return Ok(kept);
    }
    if let Some(found) = find_program("opencode").filter(|path| version_of(path) == PINNED_VERSION)
    {
        return Ok(found);
    }
    store.fetch(&report)
}

/// Where fetched copies are kept.
struct Store {
    folder: PathBuf,
}

impl Store {
    fn new() -> Self {
        let tools = std::env::var_os("OPEN_COWORK_TOOLS_DIR")
            .filter(|folder| !folder.is_empty())
            .map_or_else(
                || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools"),
                PathBuf::from,
            );
        Self {
            folder: tools.join("opencode"),
        }
    }

    /// The finished copy: its folder is renamed into place only after the hash was checked.
    fn kept(&self) -> Option<PathBuf> {
        let binary = self.folder.join(PINNED_VERSION).join("bin/opencode");
        is_executable(&binary).then(|| binary.canonicalize().unwrap_or(binary))
    }

    fn fetch(&self, report: &impl Fn(&str)) -> Result<PathBuf, TestkitError> {
        let package = package_name().ok_or_else(|| {
            failed(format!(
                "there is no package for {}-{}; put an `opencode` {PINNED_VERSION} in PATH",
                std::env::consts::OS,
                std::env::consts::ARCH
            ))
        })?;
        let hash = recorded_hash(&package)?;
        fs::create_dir_all(&self.folder).map_err(TestkitError::file(&self.folder))?;
        let lock_path = self.folder.join("lock");
        let lock = File::create(&lock_path).map_err(TestkitError::file(&lock_path))?;
        lock.lock().map_err(TestkitError::file(&lock_path))?;
        if let Some(kept) = self.kept() {
            return Ok(kept);
        }
        report(&format!(
            "fetching {package}@{PINNED_VERSION} (about 60 MB)"
        ));
        let work = tempfile::Builder::new()
            .prefix("incoming-")
            .tempdir_in(&self.folder)
            .map_err(TestkitError::file(&self.folder))?;
        let archive = pack(&package, work.path())?;
        verify(&archive, &hash)?;
        report("unpacking");
        run(Command::new("tar")
            .arg("-xzf")
            .arg(&archive)
            .arg("-C")
            .arg(work.path()))?;
        let finished = self.folder.join(PINNED_VERSION);
        // A folder without a usable binary is left over from a disturbed machine.
        let _ = fs::remove_dir_all(&finished);
        fs::rename(work.path().join("package"), &finished)
            .map_err(TestkitError::file(&finished))?;
        self.kept()
            .ok_or_else(|| failed(format!("{package} holds no bin/opencode; report this")))
    }
}

/// The npm package of this platform. The musl and baseline (no AVX2) variants are not chosen
/// automatically: put such a binary in PATH.
fn package_name() -> Option<String> {
    let system = match std::env::consts::OS {
        "linux" => "linux",
        "macos" => "darwin",
        _ => return None,
    };
    let machine = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        _ => return None,
    };
    Some(format!("opencode-{system}-{machine}"))
}

fn recorded_hash(package: &str) -> Result<String, TestkitError> {
    let lock: Lock = serde_json::from_str(LOCK)
        .map_err(|error| failed(format!("opencode.lock.json cannot be read: {error}")))?;
    if lock.version != PINNED_VERSION {
        return Err(failed(format!(
            "opencode.lock.json is for {}; record the hashes of this version",
            lock.version
        )));
    }
    lock.packages.get(package).cloned().ok_or_else(|| {
        failed(format!(
            "opencode.lock.json has no hash for {package}; add the output of \
             `npm view {package}@{PINNED_VERSION} dist.integrity`, or put an `opencode` of this \
             version in PATH"
        ))
    })
}

fn pack(package: &str, folder: &Path) -> Result<PathBuf, TestkitError> {
    if find_program("npm").is_none() {
        return Err(failed("npm is missing; install Node.js 20 or newer".into()));
    }
    run(Command::new("npm")
        .args(["pack", "--loglevel=error", "--pack-destination"])
        .arg(folder)
        .arg(format!("{package}@{PINNED_VERSION}"))
        .current_dir(folder))
    .map_err(|error| {
        failed(format!(
            "{error}; check the connection, or put an `opencode` of this version in PATH"
        ))
    })?;
    let archive = fs::read_dir(folder)
        .map_err(TestkitError::file(folder))?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "tgz"));
    archive.ok_or_else(|| failed("npm fetched no package; look at its log".into()))
}

fn verify(archive: &Path, recorded: &str) -> Result<(), TestkitError> {
    let mut file = File::open(archive).map_err(TestkitError::file(archive))?;
    let mut hash = Sha512::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read =
            std::io::Read::read(&mut file, &mut buffer).map_err(TestkitError::file(archive))?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
    }
    let found = format!("sha512-{}", STANDARD.encode(hash.finalize()));
    if found == recorded {
        return Ok(());
    }
    Err(failed(
        "the fetched package does not have the hash in opencode.lock.json; do not use it".into(),
    ))
}

fn run(command: &mut Command) -> Result<(), TestkitError> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let shown = words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ");
    let failed = |reason: String| TestkitError::Command {
        command: shown.clone(),
        reason,
    };
    let output = command
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    // Programs say first what is wrong, and then what one may think about it.
    let words = String::from_utf8_lossy(&output.stderr);
    let first: Vec<_> = words
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .take(3)
        .collect();
    Err(failed(first.join("; ")))
}

/// What the program says its version is. It gets a home of its own: asking makes it write there.
fn version_of(path: &Path) -> String {
    let Ok(home) = tempfile::tempdir() else {
        return String::new();
    };
    let output = Command::new(path)
        .arg("--version")
        .env("HOME", home.path())
        .env("XDG_CONFIG_HOME", home.path())
        .env("XDG_DATA_HOME", home.path())
        .env("XDG_CACHE_HOME", home.path())
        .env("XDG_STATE_HOME", home.path())
        .output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

fn failed(reason: String) -> TestkitError {
    TestkitError::Provision {
        version: PINNED_VERSION,
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_is_for_the_pinned_version_and_names_no_host() {
        assert!(recorded_hash("opencode-linux-x64").is_ok());
        assert!(!LOCK.contains("://"));
    }

    #[test]
    fn a_package_without_a_hash_is_refused_with_the_way_out() {
        let error = recorded_hash("opencode-plan9-x64").unwrap_err().to_string();
        assert!(error.contains("npm view opencode-plan9-x64@"), "{error}");
    }

    #[test]
    fn a_changed_archive_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "good").unwrap();
        let good = format!("sha512-{}", STANDARD.encode(Sha512::digest("good")));
        assert!(verify(file.path(), &good).is_ok());
        fs::write(file.path(), "evil").unwrap();
        assert!(verify(file.path(), &good).is_err());
    }
}
