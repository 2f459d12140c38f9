//! Reading the files of a folder: those that git would keep, hidden ones included, in parallel, in the same
//! order every time.

use super::baseline::Accepted;
use super::place::{Language, Place};
use crate::error::CommandError;
use ignore::WalkBuilder;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Whether there is a folder to look at.
pub(super) fn must_be_folder(root: &Path) -> Result<(), CommandError> {
    let shown = root.display();
    match root.metadata() {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(CommandError::Usage(format!(
            "{shown} is a file; name the folder to look at, and all files in it are scanned"
        ))),
        Err(_) => Err(CommandError::Usage(format!(
            "{shown} is no folder; name the folder to look at"
        ))),
    }
}

/// The files to look at, sorted by path, and the entries that couldn't be listed.
pub(super) fn list(
    root: &Path,
    accepted: &Accepted,
) -> Result<(Vec<PathBuf>, Vec<String>), CommandError> {
    let walk = WalkBuilder::new(root)
        .hidden(false)
        .ignore(false)
        .git_global(false)
        .git_exclude(false)
        .require_git(false)
        .filter_entry(|entry| entry.file_name() != ".git")
        .build();
    let mut files = Vec::new();
    let mut problems = Vec::new();
    for entry in walk {
        match entry {
            // Links are not followed: what they lead to is looked at where it stands.
            Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_file()) => {
                if !accepted.excludes(entry.path(), false) {
                    files.push(entry.into_path());
                }
            }
            Ok(_) => {}
            Err(error) => problems.push(error.to_string()),
        }
    }
    files.sort();
    problems.sort();
    Ok((files, problems))
}

/// The path from the root, with `/`; what isn't UTF-8 is replaced.
pub(super) fn shown(root: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = relative
        .components()
        .map(|part| part.as_os_str().to_string_lossy())
        .collect();
    parts.join("/")
}

/// What a file holds.
pub(super) enum Content {
    /// Text; what isn't UTF-8 in it is replaced.
    Text(String),
    /// Not text.
    Binary,
    /// More than the limit.
    TooLarge(u64),
    /// Why it couldn't be read.
    Unreadable(String),
}

/// Reads one file up to a limit in bytes.
pub(super) fn read(path: &Path, limit: u64) -> Content {
    match try_read(path, limit) {
        Ok(content) => content,
        Err(error) => Content::Unreadable(error.to_string()),
    }
}

fn try_read(path: &Path, limit: u64) -> std::io::Result<Content> {
    /// Git decides by as much.
    const HEAD: usize = 8 * 1024;
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut bytes = Vec::with_capacity(usize::try_from(size.min(limit)).unwrap_or(0).max(HEAD));
    file.by_ref().take(HEAD as u64).read_to_end(&mut bytes)?;
    let is_utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    if !is_utf16 && bytes.contains(&0) && !is_text_by_name(path) {
        return Ok(Content::Binary);
    }
    if size > limit {
        return Ok(Content::TooLarge(size));
    }
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(Content::Text(decode(bytes)))
}

fn decode(bytes: Vec<u8>) -> String {
    let wide = |to: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes[2..]
            .chunks_exact(2)
            .map(|pair| to([pair[0], pair[1]]))
            .collect();
        String::from_utf16_lossy(&units)
    };
    if bytes.starts_with(&[0xff, 0xfe]) {
        return wide(u16::from_le_bytes);
    }
    if bytes.starts_with(&[0xfe, 0xff]) {
        return wide(u16::from_be_bytes);
    }
    let text = String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    // A zero byte between two letters must not hide what they say together; so UTF-16 without a mark is read too.
    match text.contains('\0') {
        true => text.replace('\0', ""),
        false => text,
    }
}

/// Whether a file is text by its name, whatever bytes somebody put into it.
fn is_text_by_name(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Place::of(&name).language != Language::Other
        || [".log", ".csv", ".tsv", ".xml", ".pem", ".key", ".lock"]
            .iter()
            .any(|ending| name.to_ascii_lowercase().ends_with(ending))
}

/// Runs `look` on every item on several threads; the answers come in the order of the items.
pub(super) fn in_parallel<I: Sync, O: Send>(
    items: &[I],
    threads: usize,
    look: impl Fn(&I) -> O + Sync,
) -> Vec<O> {
    let next = AtomicUsize::new(0);
    let threads = threads.clamp(1, items.len().max(1));
    let mut numbered: Vec<(usize, O)> = std::thread::scope(|scope| {
        let worker = || {
            let mut done = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = items.get(at) else {
                    return done;
                };
                done.push((at, look(item)));
            }
        };
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let joined = handles.into_iter().map(std::thread::ScopedJoinHandle::join);
        joined
            .flat_map(|done| match done {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    });
    numbered.sort_by_key(|(at, _)| *at);
    numbered.into_iter().map(|(_, answer)| answer).collect()
}
