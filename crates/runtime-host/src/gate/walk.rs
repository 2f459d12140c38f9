//! Finds, bounds and hashes the files of a folder that OpenCode would load.

use super::effect::{self, CONFIG_FILES, Effect};
use super::{RiskFile, WorkspaceRisk};
use crate::error::HostError;
use rustix::fs::OFlags;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How much is inspected. Beyond it a folder is refused. The defaults hold OpenCode's own plugin dependencies in
/// three parents (3,600 files and 63 MB each, measured).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Files, folders and links. Default 20,000.
    pub entries: usize,
    /// Bytes of all files. Default 256 MiB.
    pub bytes: u64,
    /// Folders below each other. Default 32.
    pub depth: usize,
    /// Files that are listed one by one. Default 200.
    pub listed: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 20_000,
            bytes: 256 * 1024 * 1024,
            depth: 32,
            listed: 200,
        }
    }
}

/// First lines of a file that are shown.
const EXCERPT_LINES: usize = 30;
const EXCERPT_BYTES: usize = 2048;
/// A file that changed within this time before it was hashed may change again within the same clock tick.
const RACY: Duration = Duration::from_secs(2);
/// Files whose digest is remembered.
const CACHE_ENTRIES: usize = 50_000;

/// Inspects folders and remembers the digests of unchanged files, so that a second look before each prompt costs
/// a stat per file. A change always shows: the status change time can't be set back by a program.
#[derive(Debug, Default)]
pub struct Inspector {
    limits: Limits,
    cache: Mutex<HashMap<PathBuf, Known>>,
}

#[derive(Clone, Debug)]
struct Known {
    identity: Identity,
    digest: [u8; 32],
    excerpt: String,
}

/// Everything that changes when a file's content changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Inspector {
    /// An inspector with other limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            cache: Mutex::default(),
        }
    }

    /// What opening this folder would run. Blocks; fails with [`HostError::Uninspectable`] rather than to miss
    /// something.
    pub fn inspect(&self, directory: &Path) -> Result<WorkspaceRisk, HostError> {
        let refuse = |reason: String| HostError::Uninspectable {
            path: directory.to_owned(),
            reason,
        };
        let root = directory
            .canonicalize()
            .map_err(|error| refuse(format!("it can't be opened ({error})")))?;
        if !root.is_dir() {
            return Err(refuse("it is not a folder".to_owned()));
        }
        let mut walk = Walk {
            inspector: self,
            found: BTreeMap::new(),
            entries: 0,
            bytes: 0,
        };
        for holder in root.ancestors() {
            walk.holder(holder).map_err(&refuse)?;
        }
        Ok(walk.report(root))
    }
}

struct Found {
    effect: Effect,
    digest: [u8; 32],
    excerpt: String,
    group: Option<PathBuf>,
}

struct Walk<'a> {
    inspector: &'a Inspector,
    found: BTreeMap<PathBuf, Found>,
    entries: usize,
    bytes: u64,
}

type Reason = String;

impl Walk<'_> {
    /// One folder of the chain: its config files and its `.opencode`. Names are looked up, not listed, so that a
    /// file system without case answers as it would answer OpenCode.
    fn holder(&mut self, holder: &Path) -> Result<(), Reason> {
        for name in CONFIG_FILES {
            let path = holder.join(name);
            if let Some(metadata) = look(&path)? {
                let target = self.resolve(holder, &path, &metadata)?;
                let metadata = look(&target)?.ok_or_else(|| gone(&path))?;
                self.file(path, &target, &metadata, Effect::Config, None)?;
            }
        }
        let path = holder.join(".opencode");
        let Some(metadata) = look(&path)? else {
            return Ok(());
        };
        let target = self.resolve(holder, &path, &metadata)?;
        let mut on_the_way = HashSet::new();
        self.tree(holder, &path, &target, &[], &mut on_the_way)
    }

    /// A folder below `.opencode`; `path` is how OpenCode would spell it, `target` where it really is.
    fn tree(
        &mut self,
        holder: &Path,
        path: &Path,
        target: &Path,
        components: &[&str],
        on_the_way: &mut HashSet<PathBuf>,
    ) -> Result<(), Reason> {
        if components.len() > self.inspector.limits.depth {
            return Err(format!("{} lies too deep; remove it", path.display()));
        }
        if !on_the_way.insert(target.to_owned()) {
            // A link to a folder that we are in: its content is being hashed already.
            return Ok(());
        }
        let unreadable = |error: std::io::Error| {
            format!(
                "{} can't be read ({error}); give access or remove it",
                path.display()
            )
        };
        for entry in fs::read_dir(target).map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name();
            let Some(text) = name.to_str() else {
                return Err(format!(
                    "{} holds a name that is not text; remove it",
                    path.display()
                ));
            };
            let (path, components) = (path.join(text), [components, &[text]].concat());
            self.count_entry()?;
            let metadata = look(&target.join(text))?.ok_or_else(|| gone(&path))?;
            let target = self.resolve(holder, &target.join(text), &metadata)?;
            let metadata = look(&target)?.ok_or_else(|| gone(&path))?;
            if metadata.is_dir() {
                let skipped = effect::of(&[components[0], "."]).is_none();
                if !skipped {
                    self.tree(holder, &path, &target, &components, on_the_way)?;
                }
            } else if let Some(effect) = effect::of(&components) {
                let group = group(&path, &components);
                self.file(path, &target, &metadata, effect, group)?;
            }
        }
        on_the_way.remove(target);
        Ok(())
    }

    /// Follows a link, but not out of the folder that holds it.
    fn resolve(&self, holder: &Path, path: &Path, metadata: &Metadata) -> Result<PathBuf, Reason> {
        if !metadata.file_type().is_symlink() {
            return Ok(path.to_owned());
        }
        let target = path.canonicalize().map_err(|error| {
            format!(
                "{} is a link that leads nowhere ({error}); remove it",
                path.display()
            )
        })?;
        // Above a whole disk there is nothing to escape from, so nothing may be linked there either.
        match target.starts_with(holder) && holder.parent().is_some() {
            true => Ok(target),
            false => Err(format!(
                "{} is a link to the outside; replace it by the file itself",
                path.display()
            )),
        }
    }

    fn file(
        &mut self,
        path: PathBuf,
        target: &Path,
        metadata: &Metadata,
        effect: Effect,
        group: Option<PathBuf>,
    ) -> Result<(), Reason> {
        if !metadata.is_file() {
            return Err(format!(
                "{} is not an ordinary file; remove it",
                path.display()
            ));
        }
        self.bytes += metadata.len();
        if self.bytes > self.inspector.limits.bytes {
            return Err(format!(
                "its OpenCode files have more than {} MB in all; remove what is not needed, for example .opencode/node_modules",
                self.inspector.limits.bytes / (1024 * 1024)
            ));
        }
        let known = self.inspector.known(target, self.inspector.limits.bytes)?;
        self.found.insert(
            path,
            Found {
                effect,
                digest: known.digest,
                excerpt: known.excerpt,
                group,
            },
        );
        Ok(())
    }

    fn count_entry(&mut self) -> Result<(), Reason> {
        self.entries += 1;
        match self.entries > self.inspector.limits.entries {
            false => Ok(()),
            true => Err(format!(
                "its OpenCode folders hold more than {} files; remove what is not needed, for example .opencode/node_modules",
                self.inspector.limits.entries
            )),
        }
    }

    fn report(self, directory: PathBuf) -> WorkspaceRisk {
        let mut hasher = Sha256::new();
        let mut groups: HashMap<PathBuf, (Effect, usize)> = HashMap::new();
        let mut rows = Vec::new();
        for (path, found) in self.found {
            let name = path.as_os_str().as_encoded_bytes();
            hasher.update((name.len() as u64).to_le_bytes());
            hasher.update(name);
            hasher.update(found.digest);
            match found.group {
                Some(group) => groups.entry(group).or_insert((found.effect, 0)).1 += 1,
                None => rows.push((found.effect, shown(&path, &directory), found.excerpt)),
            }
        }
        for (group, (effect, count)) in groups {
            rows.push((
                effect,
                format!("{} ({count} files)", shown(&group, &directory)),
                String::new(),
            ));
        }
        rows.sort();
        let more = rows.len().saturating_sub(self.inspector.limits.listed);
        rows.truncate(self.inspector.limits.listed);
        if more > 0 {
            rows.push((Effect::Other, format!("… and {more} more"), String::new()));
        }
        let files = rows
            .into_iter()
            .map(|(effect, path, excerpt)| RiskFile {
                path,
                effect: effect.sentence(),
                excerpt,
            })
            .collect();
        let digest = hasher
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        WorkspaceRisk {
            directory,
            digest,
            files,
        }
    }
}

impl Inspector {
    /// Digest and beginning of a file, from the cache when nothing about it changed.
    fn known(&self, path: &Path, limit: u64) -> Result<Known, Reason> {
        let unreadable = |error: std::io::Error| {
            format!(
                "{} can't be read ({error}); give access or remove it",
                path.display()
            )
        };
        // Not blocking: a pipe that was put there a moment ago must not stop us.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mut file: File = OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits().cast_signed())
            .open(path)
            .map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(format!(
                "{} is not an ordinary file; remove it",
                path.display()
            ));
        }
        let identity = identity(&metadata);
        if let Some(known) = self
            .cache()
            .get(path)
            .filter(|known| known.identity == identity)
        {
            return Ok(known.clone());
        }
        let (digest, excerpt) = hash(&mut file, limit).map_err(unreadable)?;
        let known = Known {
            identity,
            digest,
            excerpt,
        };
        if settled(&metadata) {
            let mut cache = self.cache();
            if cache.len() >= CACHE_ENTRIES {
                cache.clear();
            }
            cache.insert(path.to_owned(), known.clone());
        }
        Ok(known)
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, Known>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Metadata of the entry itself; `None` when there is none.
fn look(path: &Path) -> Result<Option<Metadata>, Reason> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(format!(
            "{} can't be read ({error}); give access or remove it",
            path.display()
        )),
    }
}

fn gone(path: &Path) -> Reason {
    format!(
        "{} changed while it was inspected; try again",
        path.display()
    )
}

fn identity(metadata: &Metadata) -> Identity {
    Identity {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    }
}

/// The file has not changed for a while, so another change would get another time.
fn settled(metadata: &Metadata) -> bool {
    let changed = UNIX_EPOCH + Duration::from_secs(u64::try_from(metadata.ctime()).unwrap_or(0));
    SystemTime::now()
        .duration_since(changed)
        .is_ok_and(|age| age > RACY)
}

/// SHA-256 and the beginning. Reads no more than the limit, whatever the file grows to meanwhile.
fn hash(file: &mut File, limit: u64) -> std::io::Result<([u8; 32], String)> {
    let (mut hasher, mut start, mut buffer) = (Sha256::new(), Vec::new(), [0; 64 * 1024]);
    let mut file = file.take(limit);
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok((hasher.finalize().into(), excerpt(&start)));
        }
        hasher.update(&buffer[..count]);
        let wanted = EXCERPT_BYTES.saturating_sub(start.len()).min(count);
        start.extend_from_slice(&buffer[..wanted]);
    }
}

/// The first lines, as text: nothing in it can move a cursor or reverse a line.
fn excerpt(start: &[u8]) -> String {
    let text = String::from_utf8_lossy(start);
    let lines = text.lines().take(EXCERPT_LINES).map(|line| {
        line.chars()
            .map(|c| if is_deceptive(c) { '\u{fffd}' } else { c })
            .collect::<String>()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Control characters, and those that change the direction of text or are invisible.
fn is_deceptive(c: char) -> bool {
    (c.is_control() && c != '\t')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Files of `node_modules` are shown as one row.
fn group(path: &Path, components: &[&str]) -> Option<PathBuf> {
    let at = components
        .iter()
        .position(|name| name.eq_ignore_ascii_case("node_modules"))?;
    path.ancestors()
        .nth(components.len() - 1 - at)
        .map(Path::to_owned)
}

fn shown(path: &Path, directory: &Path) -> String {
    let name = path
        .strip_prefix(directory)
        .unwrap_or(path)
        .to_string_lossy();
    name.chars()
        .map(|c| if is_deceptive(c) { '\u{fffd}' } else { c })
        .collect()
}
