//! Changing a document's file: in one step, or not at all (02 §2.2).

use super::{remove, set};
use open_cowork_contracts::finding::Finding;
use serde_json::Value;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Sets a top-level property of a file; one that is missing or empty is created. Nothing is written when nothing
/// changes. Two writers at once: the last wins, whole.
///
/// # Errors
/// As [`set`] and [`write()`]; `CONFIG_READ` when the file can't be read.
pub fn set_in_file(path: &Path, key: &str, value: &Value) -> Result<(), Vec<Finding>> {
    let before = read(path).map_err(one)?;
    let after = set(&name(path), before.as_deref().unwrap_or(""), key, value)?;
    if before.as_deref() == Some(after.as_str()) {
        return Ok(());
    }
    write(path, &after).map_err(one)
}

/// Removes a top-level property from a file; one that is missing or empty is left alone.
///
/// # Errors
/// As [`remove`] and [`write()`]; `CONFIG_READ` when the file can't be read.
pub fn remove_in_file(path: &Path, key: &str) -> Result<(), Vec<Finding>> {
    let Some(before) = read(path).map_err(one)? else {
        return Ok(());
    };
    let after = remove(&name(path), &before, key)?;
    if before == after {
        return Ok(());
    }
    write(path, &after).map_err(one)
}

/// Writes a file so that a reader, also one after a loss of power, finds the old text or the new one: a new file
/// in the same folder, synced, is renamed over it. The file keeps its permissions; a new one is the owner's alone,
/// since configuration may hold secrets.
///
/// A symbolic link stays one and its target is written, as long as that lies in the folder of the link or below:
/// a project's file must not lead into somebody's home.
///
/// # Errors
/// `CONFIG_WRITE` with the file and the system's reason; the old text is untouched then.
pub fn write(path: &Path, text: &str) -> Result<(), Finding> {
    let failed = |error: &io::Error| {
        Finding::error(
            "CONFIG_WRITE",
            name(path),
            format!("The file can't be written: {error}."),
        )
        .with_help("Check that its folder exists and that you may write in it.")
    };
    let target = target(path).map_err(|error| match error.kind() {
        ErrorKind::Unsupported => Finding::error(
            "CONFIG_WRITE",
            name(path),
            "The file is a symbolic link that leads out of its folder.",
        )
        .with_help("Edit the file that it leads to, or replace the link by a file."),
        _ => failed(&error),
    })?;
    replace(&target, text).map_err(|error| failed(&error))
}

/// The file that is really meant.
fn target(path: &Path) -> io::Result<PathBuf> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_symlink() => {
            let target = fs::canonicalize(path)?;
            let folder = fs::canonicalize(folder(path))?;
            match target.starts_with(folder) {
                true => Ok(target),
                false => Err(ErrorKind::Unsupported.into()),
            }
        }
        Ok(found) if !found.is_file() => Err(io::Error::new(
            ErrorKind::InvalidInput,
            "it is no regular file",
        )),
        Ok(_) => Ok(path.to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(path.to_owned()),
        Err(error) => Err(error),
    }
}

fn replace(target: &Path, text: &str) -> io::Result<()> {
    let permissions = match fs::metadata(target) {
        Ok(found) => Some(found.permissions()),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let (temporary, mut file) = create_beside(target)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| permissions.map_or(Ok(()), |permissions| file.set_permissions(permissions)))
        .and_then(|()| file.sync_all());
    drop(file);
    let renamed = written.and_then(|()| fs::rename(&temporary, target));
    if renamed.is_err() {
        // The error that is told is the first one.
        let _ = fs::remove_file(&temporary);
    }
    renamed.and_then(|()| sync_folder(folder(target)))
}

/// A new file, readable by its owner alone, with a name that nobody else makes.
fn create_beside(target: &Path) -> io::Result<(PathBuf, File)> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    const TRIES: u32 = 16;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let own = target.file_name().unwrap_or_default().to_string_lossy();
    let mut tries = 0;
    loop {
        tries += 1;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let temporary = folder(target).join(format!(".{own}.{}.{count}.tmp", std::process::id()));
        match options.open(&temporary) {
            Ok(file) => return Ok((temporary, file)),
            // Left behind by a process of the same number that was killed.
            Err(error) if error.kind() == ErrorKind::AlreadyExists && tries < TRIES => {}
            Err(error) => return Err(error),
        }
    }
}

/// Makes the rename last. Elsewhere folders can't be synced.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn read(path: &Path) -> Result<Option<String>, Finding> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Finding::error(
            "CONFIG_READ",
            name(path),
            format!("The file can't be read: {error}."),
        )
        .with_help("Check that it is a text file in UTF-8 that you may read.")),
    }
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

fn one(finding: Finding) -> Vec<Finding> {
    vec![finding]
}
