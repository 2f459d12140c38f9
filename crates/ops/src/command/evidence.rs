//! What can be seen of a desktop from outside of it: its configuration, OpenCode's program, its provider. Nothing is
//! made or changed, no key is shown, no sentence has an absolute path (07 §6.3).

use crate::output::count;
use open_cowork_config::load::Loaded;
use open_cowork_contracts::finding::Severity;
use open_cowork_contracts::setup::CheckId;
use open_cowork_desktop::data::DataDir;
use open_cowork_desktop::offer::Offer;
use open_cowork_desktop::settings::SettingsStore;
use open_cowork_desktop::{DesktopError, config};
use open_cowork_runtime_host::binary;
use open_cowork_runtime_host::error::HostError;
use open_cowork_runtime_host::probe::{self, VerdictLevel};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// For `opencode --version`.
const DEADLINE: Duration = Duration::from_secs(15);
/// Between two looks at whether it has ended.
const PAUSE: Duration = Duration::from_millis(20);

/// What was seen for one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) check: CheckId,
    /// Whether it is met.
    pub(super) met: bool,
    /// One sentence: on what that rests.
    pub(super) sentence: String,
}

/// Where to look.
#[derive(Debug)]
pub(super) struct Where {
    /// The data folder, if it isn't the platform's.
    pub(super) data_dir: Option<PathBuf>,
    /// OpenCode's program, if it isn't in `PATH`.
    pub(super) opencode: Option<PathBuf>,
    /// Configuration files that the desktop is given.
    pub(super) named: Vec<PathBuf>,
}

/// Looks at everything that this machine can tell about its desktop. A gateway, a cloud or a pairing is not asked:
/// only its owner has the evidence.
pub(super) fn of_desktop(at: &Where) -> Vec<Seen> {
    let config = config::find(config::environment(), at.named.clone());
    let (configured, configuration) = configuration(&config);
    let (found, opencode) = opencode(at.opencode.as_deref());
    let (has_provider, provider) = match data_dir(at, &config) {
        Ok(data_dir) => {
            let offer = config
                .as_ref()
                .map_or_else(|_| Offer::default(), |loaded| Offer::of(loaded.config()));
            provider(&data_dir, offer)
        }
        Err(why) => (false, why.to_owned()),
    };
    vec![
        Seen {
            check: CheckId::DesktopRuntimeReady,
            met: configured && found,
            sentence: match (configured, found) {
                (true, true) => format!("{opencode}, and {configuration}."),
                (false, true) => format!("{configuration}."),
                (true, false) => format!("{opencode}."),
                (false, false) => format!("{opencode}; {configuration}."),
            },
        },
        Seen {
            check: CheckId::DesktopCredentialsConfigured,
            met: has_provider,
            sentence: provider,
        },
        Seen {
            check: CheckId::WorkspaceAuthorityDeclared,
            met: true,
            sentence: "No cloud, gateway or pairing is connected, so this desktop owns every thread of its data folder."
                .into(),
        },
    ]
}

/// What the desktop would start with: its own layers, not those of the current folder.
fn configuration(config: &Result<Arc<Loaded>, DesktopError>) -> (bool, String) {
    match config {
        Ok(loaded) => {
            let layers = count(loaded.layers().len(), "layer");
            (true, format!("the configuration is valid ({layers})"))
        }
        Err(DesktopError::Config(findings)) => {
            let errors = findings
                .iter()
                .filter(|finding| finding.severity == Severity::Error);
            let errors = count(errors.count(), "error");
            (
                false,
                format!("The configuration has {errors}; the desktop shows them when it starts"),
            )
        }
        Err(_) => (false, "The configuration can't be read".into()),
    }
}

/// The configuration names the platform's folder.
fn data_dir(
    at: &Where,
    config: &Result<Arc<Loaded>, DesktopError>,
) -> Result<PathBuf, &'static str> {
    if let Some(named) = &at.data_dir {
        return Ok(named.clone());
    }
    let Ok(loaded) = config else {
        return Err("The data folder is unknown while the configuration is wrong.");
    };
    DataDir::default_path(&loaded.config().branding.data_dir_name)
        .map_err(|_| "No data folder is known, because HOME is not set.")
}

fn opencode(explicit: Option<&Path>) -> (bool, String) {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let program = match binary::resolve(explicit, &search) {
        Ok(program) => program,
        Err(HostError::OpenCodeMissing { version, .. }) => {
            let place = if explicit.is_some() {
                "where --opencode says"
            } else {
                "in PATH"
            };
            return (
                false,
                format!("OpenCode is not {place}; install version {version}"),
            );
        }
        Err(_) => return (false, "OpenCode's program can't be found".into()),
    };
    match version_of(&program) {
        Ok(version) => {
            let verdict = probe::version(&version, false);
            match verdict.level {
                VerdictLevel::Ok => (true, format!("OpenCode {version} is installed")),
                VerdictLevel::Warn => (
                    true,
                    verdict.reasons.join(" ").trim_end_matches('.').to_owned(),
                ),
                VerdictLevel::Refuse => (
                    false,
                    verdict.reasons.join(" ").trim_end_matches('.').to_owned(),
                ),
            }
        }
        Err(why) => (false, format!("OpenCode's program {why}")),
    }
}

/// What the program prints for `--version`, in a home that is thrown away. An error is the end of a sentence.
fn version_of(program: &Path) -> Result<String, &'static str> {
    const NOT_STARTED: &str = "can't be started";
    const NO_VERSION: &str = "says something that is no version";
    let home =
        tempfile::tempdir().map_err(|_| "can't be tried: no temporary folder can be made")?;
    // A file and no pipe: what the program leaves behind may hold a pipe open for good.
    let answer = home.path().join("answer");
    let out = File::create(&answer).map_err(|_| NOT_STARTED)?;
    let mut child = Command::new(program)
        .arg("--version")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home.path())
        .current_dir(home.path())
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(Stdio::null())
        .spawn()
        .map_err(|_| NOT_STARTED)?;
    if !ends_in_time(&mut child) {
        let _ = child.kill();
        let _ = child.wait();
        return Err("doesn't say its version in time");
    }
    let mut said = String::new();
    File::open(&answer)
        .and_then(|answer| answer.take(1024).read_to_string(&mut said))
        .map_err(|_| NO_VERSION)?;
    let version = said.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-+".contains(c);
    if version.is_empty() || version.len() > 64 || !version.chars().all(plain) {
        return Err(NO_VERSION);
    }
    Ok(version.to_owned())
}

fn ends_in_time(child: &mut Child) -> bool {
    let started = Instant::now();
    while started.elapsed() < DEADLINE {
        match child.try_wait() {
            Ok(Some(_)) => return true,
            Ok(None) => std::thread::sleep(PAUSE),
            Err(_) => return false,
        }
    }
    false
}

fn provider(data_dir: &Path, offer: Offer) -> (bool, String) {
    let store = SettingsStore::new(data_dir, offer);
    let settings = match store.load() {
        Ok(Some(settings)) => settings,
        Ok(None) => return (false, "No provider is set up in the data folder.".into()),
        Err(_) => {
            return (
                false,
                "settings.json of the data folder can't be read; correct or remove it.".into(),
            );
        }
    };
    // The file may hold anything; only ids that are on offer are repeated.
    let Some(known) = store.offer().find(&settings.provider) else {
        return (
            false,
            "settings.json names a provider that isn't on offer.".into(),
        );
    };
    let id = known.id.as_str();
    if settings.check(store.offer()).is_err() {
        return (false, format!("The settings of {id} are incomplete."));
    }
    match store.key(id) {
        Ok(Some(_)) => (true, format!("{id} is set up, with a key.")),
        Ok(None) if known.needs_address => (
            true,
            format!("{id} is set up at an own address, without a key."),
        ),
        Ok(None) => (false, format!("{id} is set up, but has no key.")),
        Err(DesktopError::KeyExposed { .. }) => (
            false,
            format!("The key file of {id} can be read by other users, so it isn't used."),
        ),
        Err(_) => (false, format!("The key file of {id} can't be read.")),
    }
}
