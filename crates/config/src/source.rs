//! Where the layers of a configuration come from (02 §2.1, §7), and the only place here that reads files.
//!
//! [`discover`] reads an [`Environment`], which is a value, and the files that it names; what it returns
//! is a pure description that [`load`](crate::load::load) takes.

use crate::blank::trim;
use crate::document::Document;
use crate::load::Loaded;
use crate::placeholder::{self, FILE_LIMIT, INSERTED_LIMIT, Inserted, Raw, Scope};
use open_cowork_contracts::finding::Finding;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// The largest configuration file, in bytes.
pub const DOCUMENT_LIMIT: u64 = 4 * 1024 * 1024;

const BASE_NAME: &str = "open-cowork.config.json";

/// Which program loads. The gateway has two more layers and another order of two (02 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// The desktop.
    Desktop,
    /// The cloud server.
    Cloud,
    /// The Cloud Channel Gateway.
    Gateway,
    /// A check of the whole document for whichever program; layers are found as for the desktop.
    Every,
}

/// What kind of layer a document is. The order is that of a desktop, lowest precedence first (02 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LayerKind {
    /// Compiled in (02 §4).
    Defaults,
    /// `open-cowork.config.json` of the package or of the working directory.
    Base,
    /// `OPEN_COWORK_CONFIG_PATH`.
    ConfigPath,
    /// `OPEN_COWORK_CONFIG_DIR` or `OPEN_COWORK_DOWNSTREAM_ROOT`.
    ConfigDirectory,
    /// The user's.
    User,
    /// Named on the command line. An administrator's file still wins over it.
    CommandLine,
    /// The administrator's.
    Managed,
    /// `OPEN_COWORK_GATEWAY_CONFIG`.
    GatewayFile,
    /// `OPEN_COWORK_GATEWAY_CONFIG_JSON`.
    GatewayInline,
}

impl LayerKind {
    /// What people call it (02 §2.5).
    pub fn label(self) -> &'static str {
        match self {
            LayerKind::Defaults => "built-in defaults",
            LayerKind::Base => "bundled config",
            LayerKind::ConfigPath => "override config",
            LayerKind::ConfigDirectory => "config directory",
            LayerKind::User => "user config",
            LayerKind::CommandLine => "command line",
            LayerKind::Managed => "managed config",
            LayerKind::GatewayFile => "gateway config",
            LayerKind::GatewayInline => "gateway inline config",
        }
    }
}

/// One layer: a text with a name, and the files that its placeholders insert.
#[derive(Clone, PartialEq, Eq)]
pub struct Source {
    /// What it is.
    pub kind: LayerKind,
    /// How findings name it.
    pub file: String,
    /// The document as written.
    pub text: String,
    /// Files of its `{file:…}` placeholders, by the path as written there. One that isn't here is missing.
    pub files: BTreeMap<String, Inserted>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("kind", &self.kind)
            .field("file", &self.file)
            .field("bytes", &self.text.len())
            .field("files", &self.files)
            .finish()
    }
}

/// All that a load depends on.
#[derive(Clone, PartialEq, Eq)]
pub struct Sources {
    /// The layers above the built-in defaults, lowest precedence first.
    pub layers: Vec<Source>,
    /// The environment, for placeholders.
    pub env: BTreeMap<String, String>,
    /// Which program loads.
    pub surface: Surface,
    /// What discovery noticed, such as a file that hides another.
    pub warnings: Vec<Finding>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("layers", &self.layers)
            .field("env", &self.env.keys().collect::<Vec<_>>())
            .field("surface", &self.surface)
            .field("warnings", &self.warnings)
            .finish()
    }
}

impl Sources {
    /// The built-in defaults and nothing else.
    pub fn new(surface: Surface) -> Self {
        Sources {
            layers: Vec::new(),
            env: BTreeMap::new(),
            surface,
            warnings: Vec::new(),
        }
    }

    /// With one more layer, above those that are there; the kind only names it.
    ///
    /// ```
    /// use open_cowork_config::source::{LayerKind, Sources, Surface};
    /// let sources = Sources::new(Surface::Desktop)
    ///     .with(LayerKind::User, "config.json", r#"{"branding": {"name": "Sample"}}"#);
    /// let loaded = open_cowork_config::load::load(&sources).unwrap();
    /// assert_eq!(loaded.value()["branding"]["name"], "Sample");
    /// ```
    #[must_use]
    pub fn with(
        mut self,
        kind: LayerKind,
        file: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        self.layers.push(Source {
            kind,
            file: file.into(),
            text: text.into(),
            files: BTreeMap::new(),
        });
        self
    }

    /// With a variable that placeholders may insert.
    #[must_use]
    pub fn with_env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// With one more layer read from a file, as `--config FILE` names it: it must exist.
    ///
    /// # Errors
    /// One finding that says why it can't be read.
    pub fn with_file(
        mut self,
        kind: LayerKind,
        path: &Path,
        home: Option<&Path>,
    ) -> Result<Self, Finding> {
        let source = read(kind, path, &self.env, home)?;
        self.layers.push(source);
        Ok(self)
    }
}

/// What a program sees of its machine. Tests fill it; [`Environment::of_process`] asks.
#[derive(Clone)]
pub struct Environment {
    /// Environment variables.
    pub vars: BTreeMap<String, String>,
    /// Relative paths start here.
    pub working_directory: PathBuf,
    /// The user's home folder.
    pub home: Option<PathBuf>,
    /// The resources of the package; `None` when the program is not packaged.
    pub packaged: Option<PathBuf>,
    /// The base document that is compiled into the program; a base *file* goes before it.
    pub bundled: Option<String>,
    /// Where the folders of administrators are, such as `/etc`.
    pub managed: Option<PathBuf>,
    /// Files that were named on the command line, lowest precedence first.
    pub named: Vec<PathBuf>,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("vars", &self.vars.keys().collect::<Vec<_>>())
            .field("working_directory", &self.working_directory)
            .field("home", &self.home)
            .field("packaged", &self.packaged)
            .field("bundled", &self.bundled.is_some())
            .field("managed", &self.managed)
            .field("named", &self.named)
            .finish()
    }
}

impl Environment {
    /// The environment of this process. Variables that are no Unicode are left out.
    pub fn of_process() -> Self {
        let vars: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let managed = if cfg!(target_os = "macos") {
            PathBuf::from("/Library/Application Support")
        } else if cfg!(windows) {
            set(&vars, "ProgramData").map_or_else(|| r"C:\ProgramData".into(), PathBuf::from)
        } else {
            "/etc".into()
        };
        Environment {
            working_directory: std::env::current_dir().unwrap_or_else(|_| ".".into()),
            home: std::env::home_dir().filter(|home| !home.as_os_str().is_empty()),
            packaged: None,
            bundled: None,
            managed: Some(managed),
            named: Vec::new(),
            vars,
        }
    }

    fn absolute(&self, path: &str) -> PathBuf {
        self.working_directory.join(path)
    }
}

/// A variable's value, trimmed; an empty one counts as unset (02 §2.1).
pub(crate) fn set<'a>(vars: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    vars.get(name)
        .map(|value| trim(value))
        .filter(|value| !value.is_empty())
}

/// Finds and reads all layers (02 §2.1; for the gateway §7). A file is one of two names, `.jsonc` before
/// `.json`. What is *named*, by a variable or on the command line, must be there (02 §14.12).
///
/// # Errors
/// Every named source that is missing and every file that can't be read.
pub fn discover(environment: &Environment, surface: Surface) -> Result<Sources, Vec<Finding>> {
    let mut search = Search {
        environment,
        sources: Sources {
            env: environment.vars.clone(),
            ..Sources::new(surface)
        },
        seen: Vec::new(),
        errors: Vec::new(),
    };
    let base = environment
        .packaged
        .as_deref()
        .unwrap_or(&environment.working_directory);
    let has_base_file = search.first_of(LayerKind::Base, &[base.join(BASE_NAME)]);
    if let Some(bundled) = environment.bundled.as_ref().filter(|_| !has_base_file) {
        let label = LayerKind::Base.label();
        search.sources = search
            .sources
            .with(LayerKind::Base, label, bundled.as_str());
    }
    if surface == Surface::Gateway {
        search.directory();
        search.named_by(LayerKind::ConfigPath, "OPEN_COWORK_CONFIG_PATH");
    } else {
        search.named_by(LayerKind::ConfigPath, "OPEN_COWORK_CONFIG_PATH");
        search.directory();
    }
    // A user's file can't redirect the administrator's: both follow from the layers so far.
    match data_dir_name(&search.sources) {
        Ok(name) => {
            if let Some(home) = &environment.home {
                search.first_of(
                    LayerKind::User,
                    &[home.join(".config").join(&name).join("config.json")],
                );
            }
            search.command_line();
            if let Some(managed) = &environment.managed {
                search.first_of(
                    LayerKind::Managed,
                    &[managed.join(&name).join("config.json")],
                );
            }
        }
        Err(finding) => search.errors.push(*finding),
    }
    if surface == Surface::Gateway {
        search.named_by(LayerKind::GatewayFile, "OPEN_COWORK_GATEWAY_CONFIG");
        search.gateway_inline();
    }
    if search.errors.is_empty() {
        Ok(search.sources)
    } else {
        Err(search.errors)
    }
}

struct Search<'a> {
    environment: &'a Environment,
    sources: Sources,
    /// The same file is applied once, at its first place.
    seen: Vec<PathBuf>,
    errors: Vec<Finding>,
}

impl Search<'_> {
    /// Takes the first of the paths that is a file. Whether there was one.
    fn first_of(&mut self, kind: LayerKind, paths: &[PathBuf]) -> bool {
        let candidates: Vec<PathBuf> = paths.iter().flat_map(|path| candidates(path)).collect();
        let Some(at) = candidates.iter().position(|path| path.is_file()) else {
            return false;
        };
        let path = &candidates[at];
        // The contract prefers `.jsonc` even to the `.json` that somebody named: say so.
        if let Some(hidden) = candidates[at + 1..].iter().find(|other| other.is_file()) {
            let warning = Finding::error(
                "CONFIG_SOURCE_SHADOWED",
                shown(path),
                format!("This file hides {}, which is not read.", shown(hidden)),
            );
            self.sources
                .warnings
                .push(warning.into_warning().with_help("Keep one of them."));
        }
        if !self.seen.contains(path) {
            self.seen.push(path.clone());
            let path = path.clone();
            self.read(kind, &path);
        }
        true
    }

    fn read(&mut self, kind: LayerKind, path: &Path) {
        match read(
            kind,
            path,
            &self.environment.vars,
            self.environment.home.as_deref(),
        ) {
            Ok(source) => self.sources.layers.push(source),
            Err(finding) => self.errors.push(finding),
        }
    }

    fn named_by(&mut self, kind: LayerKind, variable: &str) {
        let Some(path) = set(&self.environment.vars, variable) else {
            return;
        };
        let path = self.environment.absolute(path);
        if !self.first_of(kind, std::slice::from_ref(&path)) {
            self.errors.push(missing(
                &path,
                format!("{variable} names a configuration file that isn't there."),
                format!("Write the file, or correct or unset {variable}; `.jsonc` and `.json` are tried."),
            ));
        }
    }

    /// One file only, from the first folder that has one (02 §2.1).
    fn directory(&mut self) {
        let mut paths = Vec::new();
        for variable in ["OPEN_COWORK_CONFIG_DIR", "OPEN_COWORK_DOWNSTREAM_ROOT"] {
            let Some(folder) = set(&self.environment.vars, variable) else {
                continue;
            };
            let folder = self.environment.absolute(folder);
            if !folder.is_dir() {
                self.errors.push(missing(
                    &folder,
                    format!("{variable} names a folder that isn't there."),
                    format!("Make the folder, or correct or unset {variable}."),
                ));
                continue;
            }
            let here = [folder.join("config.json"), folder.join(BASE_NAME)];
            let found = here
                .iter()
                .flat_map(|path| candidates(path))
                .any(|path| path.is_file());
            // The downstream root also holds skills and MCPs; it needs no configuration of its own.
            if !found && variable == "OPEN_COWORK_CONFIG_DIR" {
                self.errors.push(missing(
                    &folder,
                    format!("{variable} names a folder without a configuration file."),
                    format!("Put `config.json` or `{BASE_NAME}` into it, or unset {variable}."),
                ));
            }
            paths.extend(here);
        }
        // Each folder is looked at for itself, so that a file of the second is not called hidden.
        for pair in paths.chunks(2) {
            if self.first_of(LayerKind::ConfigDirectory, pair) {
                return;
            }
        }
    }

    fn command_line(&mut self) {
        for path in &self.environment.named {
            let path = self.environment.working_directory.join(path);
            if !self.seen.contains(&path) {
                self.seen.push(path.clone());
                self.read(LayerKind::CommandLine, &path);
            }
        }
    }

    fn gateway_inline(&mut self) {
        const VARIABLE: &str = "OPEN_COWORK_GATEWAY_CONFIG_JSON";
        let Some(text) = set(&self.environment.vars, VARIABLE) else {
            return;
        };
        if let Err(error) = serde_json::from_str::<Value>(text) {
            // The parser's own words could quote the text; its place can't.
            self.errors.push(
                Finding::error(
                    "CONFIG_SYNTAX",
                    VARIABLE,
                    format!(
                        "{VARIABLE} is no JSON, from column {} of line {} on.",
                        error.column(),
                        error.line()
                    ),
                )
                .with_help("Write strict JSON: no comments, no trailing commas."),
            );
            return;
        }
        self.sources.layers.push(Source {
            kind: LayerKind::GatewayInline,
            file: VARIABLE.to_owned(),
            text: text.to_owned(),
            files: BTreeMap::new(),
        });
    }
}

/// `x.jsonc` then `x.json`, whatever the extension was; the literal path only if it is one of them.
fn candidates(path: &Path) -> [PathBuf; 2] {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let lower = name.to_ascii_lowercase();
    let stem = [".jsonc", ".json"]
        .iter()
        .find_map(|extension| {
            lower
                .ends_with(extension)
                .then(|| &name[..name.len() - extension.len()])
        })
        .unwrap_or(&name);
    ["jsonc", "json"].map(|extension| path.with_file_name(format!("{stem}.{extension}")))
}

/// `branding.dataDirName` of the layers so far: the folder of the user's and the managed file. A
/// document that can't be understood says nothing here; loading it reports why.
fn data_dir_name(sources: &Sources) -> Result<String, Box<Finding>> {
    let mut name = crate::defaults::DATA_DIR_NAME.to_owned();
    let mut file = LayerKind::Defaults.label();
    for layer in &sources.layers {
        let Ok(document) = Document::parse(layer.file.as_str(), &layer.text) else {
            continue;
        };
        let mut value = document.value().clone();
        let allowed = placeholder::allowed(&value);
        let scope = Scope {
            allowed: &allowed,
            env: &sources.env,
            files: &layer.files,
        };
        placeholder::resolve(&mut value, Raw::ProviderOptions, scope);
        if let Some(written) = value["branding"]["dataDirName"].as_str() {
            name = written.to_owned();
            file = &layer.file;
        }
    }
    let plain = !name.is_empty()
        && !matches!(name.as_str(), "." | "..")
        && !name.contains(['/', '\\', '\0', ':']);
    if plain {
        return Ok(name);
    }
    let mut finding = Finding::error(
        "CONFIG_SOURCE_DATA_DIR",
        format!("{file} branding.dataDirName"),
        "`branding.dataDirName` is no folder name, so the user's and the managed configuration can't be found.",
    )
    .with_help("Write one plain name, such as \"sample-cowork\".");
    finding.pointer = Some("/branding/dataDirName".into());
    finding.file = Some(file.to_owned());
    Err(Box::new(finding))
}

/// Reads one document and the files that it inserts.
fn read(
    kind: LayerKind,
    path: &Path,
    env: &BTreeMap<String, String>,
    home: Option<&Path>,
) -> Result<Source, Finding> {
    let text = match read_text(path, DOCUMENT_LIMIT) {
        Ok(Some(text)) => text,
        Ok(None) => {
            let message = format!("The configuration file {} isn't there.", shown(path));
            return Err(missing(
                path,
                message,
                "Check the path, or write the file.".to_owned(),
            ));
        }
        Err(why) => {
            return Err(Finding::error(
                "CONFIG_SOURCE_UNREADABLE",
                shown(path),
                format!("The configuration file {} {why}.", shown(path)),
            )
            .with_help(
                "Name a regular file of UTF-8 text, at most 4 MiB, that this user may read.",
            ));
        }
    };
    let files = inserted(&text, path, env, home);
    Ok(Source {
        kind,
        file: shown(path),
        text,
        files,
    })
}

/// The files of a document's placeholders (02 §2.3).
fn inserted(
    text: &str,
    path: &Path,
    env: &BTreeMap<String, String>,
    home: Option<&Path>,
) -> BTreeMap<String, Inserted> {
    // Parsing twice is only paid by those who use it.
    if !text.contains("{file:") && !text.contains("\\u") {
        return BTreeMap::new();
    }
    let Ok(document) = Document::parse(shown(path), text) else {
        return BTreeMap::new();
    };
    let allowed = placeholder::allowed(document.value());
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut read = 0;
    placeholder::files(document.value(), Raw::ProviderOptions, &allowed, env)
        .into_iter()
        .map(|named| {
            if read > INSERTED_LIMIT {
                return (named, Inserted::Refused(placeholder::TOO_MUCH));
            }
            let inserted = insert(&target(&named, folder, home));
            if let Inserted::Text(text) = &inserted {
                read += text.len();
            }
            (named, inserted)
        })
        .collect()
}

/// Where the files are that the options of custom providers name in their placeholders: by the path as written, as
/// [`placeholder::files`] spells it. Such options are resolved when a provider is handed to the runtime (02 §2.3), and
/// their files are read then, with [`insert`], so that a key that is renewed there is taken up. A relative path starts
/// at the folder of the document that names it; when two documents name the same one, the later document's counts.
#[must_use]
pub fn option_files(loaded: &Loaded, environment: &Environment) -> BTreeMap<String, PathBuf> {
    let allowed = &loaded.config().allowed_env_placeholders;
    let permitted = environment.vars.iter();
    let env: BTreeMap<String, String> = permitted
        .filter(|(name, _)| allowed.contains(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let mut found = BTreeMap::new();
    for layer in loaded.layers() {
        let folder = Path::new(layer.file()).parent().unwrap_or(Path::new("."));
        let custom = layer.document().value().pointer("/providers/custom");
        let providers = custom.and_then(Value::as_object).into_iter().flatten();
        for options in providers.filter_map(|(_, provider)| provider.get("options")) {
            for named in placeholder::files(options, Raw::Nothing, allowed, &env) {
                let target = target(&named, folder, environment.home.as_deref());
                found.insert(named, target);
            }
        }
    }
    found
}

/// What a placeholder inserts from a file, as it is now.
#[must_use]
pub fn insert(path: &Path) -> Inserted {
    match read_text(path, FILE_LIMIT as u64) {
        Ok(Some(text)) => Inserted::Text(text),
        Ok(None) => Inserted::Missing,
        Err(why) => Inserted::Refused(why),
    }
}

/// Where a path of a placeholder leads to (02 §2.3).
fn target(named: &str, folder: &Path, home: Option<&Path>) -> PathBuf {
    match (named.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => folder.join(named),
    }
}

/// The text of a regular file; `None` when there is none. An error is the end of a sentence about it.
fn read_text(path: &Path, limit: u64) -> Result<Option<String>, &'static str> {
    const TOO_LARGE: &str = "is too large";
    let refused = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Ok(None),
        ErrorKind::PermissionDenied => Err("may not be read by this user"),
        _ => Err("can't be read"),
    };
    let about = match std::fs::metadata(path) {
        Ok(about) => about,
        Err(error) => return refused(error),
    };
    // Before it is opened: a pipe would wait for its writer.
    match about.file_type() {
        kind if kind.is_dir() => return Err("is a directory"),
        kind if !kind.is_file() => return Err("is no regular file"),
        _ if about.len() > limit => return Err(TOO_LARGE),
        _ => {}
    }
    let mut bytes = Vec::new();
    let opened =
        std::fs::File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes));
    match opened {
        Err(error) => refused(error),
        Ok(_) if bytes.len() as u64 > limit => Err(TOO_LARGE),
        Ok(_) => String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| "is no UTF-8 text"),
    }
}

fn missing(path: &Path, message: String, help: String) -> Finding {
    Finding::error("CONFIG_SOURCE_MISSING", shown(path), message).with_help(help)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
