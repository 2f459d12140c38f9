//! MCP servers that are programs: where they are, and what they really are (05 §7.1, §7.3).

use super::Verdict;
use super::server::{Entry, State, secrets_of};
use open_cowork_config::model::mcps::Mcp;
use open_cowork_contracts::health::CapabilityReason as Reason;
use open_cowork_policy::mcp::stdio::{self, Launch, Origin, Program};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where programs and scripts are. A value, so that tests fill it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Folders of programs that the distribution ships; they come before `PATH`.
    pub shipped: Vec<PathBuf>,
    /// The entries of `PATH`.
    pub search_path: Vec<PathBuf>,
    /// Folders that hold `mcps/<package>/dist/index.js`, the downstream root first (02 §10.2).
    pub content_roots: Vec<PathBuf>,
    /// The open project, for servers that it defines.
    pub project: Option<PathBuf>,
}

/// The command line of a distribution's server.
pub(super) struct Command {
    pub(super) command: String,
    pub(super) args: Vec<String>,
    pub(super) timeout_ms: u64,
}

impl Places {
    /// The command line of a distribution's local server; `None`: it names neither a package nor a command.
    pub(super) fn product_command(
        &self,
        server: &Mcp,
    ) -> Option<Result<Command, (Reason, String)>> {
        let missing = |what: String| Err((Reason::McpCommandNotInstalled, what));
        if let Some(package) = &server.package_name {
            let Some(script) = self.package_script(package) else {
                return Some(missing(format!(
                    "The package {package:?} is in none of the content folders."
                )));
            };
            return Some(match self.find("node") {
                Some(node) => Ok(Command {
                    command: node,
                    args: vec![script.to_string_lossy().into_owned()],
                    timeout_ms: 10_000,
                }),
                None => missing("The program `node` is not installed.".to_owned()),
            });
        }
        let (program, args) = server.command.as_ref()?.split_first()?;
        Some(match self.find(program) {
            Some(command) => Ok(Command {
                command,
                args: args.to_vec(),
                timeout_ms: 15_000,
            }),
            // Which program it is may be a secret of the machine's layout; its last part is not.
            None => missing(format!(
                "The program `{}` is not installed.",
                program.rsplit(['/', '\\']).next().unwrap_or_default()
            )),
        })
    }

    /// `mcps/<package>/dist/index.js` of the first root that has it.
    fn package_script(&self, package: &str) -> Option<PathBuf> {
        let plain = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
        };
        if !plain(package) {
            return None;
        }
        self.content_roots.iter().find_map(|root| {
            let script = root.join("mcps").join(package).join("dist/index.js");
            // A link out of the content would run what nobody listed.
            let real = script.canonicalize().ok()?;
            (real.is_file() && real.starts_with(root.canonicalize().ok()?)).then_some(script)
        })
    }

    /// A program by name: a shipped one by its absolute path, one of `PATH` by its name. A path must be one.
    fn find(&self, program: &str) -> Option<String> {
        if program.contains(['/', '\\']) {
            return is_program(Path::new(program)).then(|| program.to_owned());
        }
        let shipped = self.shipped.iter().map(|folder| folder.join(program));
        shipped
            .filter(|path| is_program(path))
            .map(|path| path.to_string_lossy().into_owned())
            .next()
            .or_else(|| self.in_path(program).map(|_| program.to_owned()))
    }

    fn in_path(&self, program: &str) -> Option<PathBuf> {
        // A relative entry would mean the folder that we happen to stand in.
        let absolute = self.search_path.iter().filter(|dir| dir.is_absolute());
        absolute
            .map(|dir| dir.join(program))
            .find(|path| is_program(path))
    }
}

fn is_program(path: &Path) -> bool {
    path.is_absolute()
        && path
            .metadata()
            .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// A command line that asks to be registered.
pub(super) struct LocalRequest<'a> {
    pub(super) command: &'a str,
    pub(super) args: &'a [String],
    pub(super) environment: &'a [(String, SecretString)],
    /// Values of credentials in it.
    pub(super) secrets: &'a [SecretString],
    pub(super) timeout_ms: u64,
    pub(super) origin: Origin,
    pub(super) places: &'a Places,
}

/// Judges it: the text by policy, then what is really there.
pub(super) fn check(request: &LocalRequest<'_>) -> Verdict {
    let refused =
        |why: &dyn std::fmt::Display| Verdict::refused(Reason::McpStdioPolicyBlocked, why);
    let launch = match stdio::check(request.command, request.args, request.origin) {
        Ok(launch) => launch,
        Err(refusal) => return refused(&refusal),
    };
    let names = request.environment.iter().map(|(name, _)| name.as_str());
    if let Err(refusal) = stdio::check_environment(names) {
        return refused(&refusal);
    }
    let program = match on_disk(&launch, request) {
        Ok(program) => program,
        Err(Refused(reason, why)) => return Verdict::refused(reason, why),
    };
    if let Err(refusal) =
        stdio::check_resolved(&program.to_string_lossy(), request.args, request.origin)
    {
        return refused(&refusal);
    }

    // OpenCode gives a server its own environment, and with it the password to its own door (08 §3.5).
    let mut environment = Map::from_iter([
        ("OPENCODE_SERVER_PASSWORD".to_owned(), json!("")),
        ("OPENCODE_SERVER_USERNAME".to_owned(), json!("")),
    ]);
    for (name, value) in request.environment {
        environment.insert(name.clone(), json!(value.expose_secret()));
    }
    let mut command = vec![command_word(&launch, request)];
    command.extend(request.args.iter().cloned());
    let mut entry = Map::from_iter([
        ("type".to_owned(), json!("local")),
        ("command".to_owned(), json!(command)),
        ("enabled".to_owned(), json!(true)),
        ("timeout".to_owned(), json!(request.timeout_ms)),
        ("environment".to_owned(), Value::Object(environment)),
    ]);
    if let (Origin::Project, Some(project)) = (request.origin, &request.places.project) {
        // Its relative scripts mean the project, whichever folder a thread has open.
        entry.insert("cwd".to_owned(), json!(project));
    }
    Verdict {
        state: State::Ready(Entry {
            value: Value::Object(entry),
            secrets: secrets_of(request.secrets, request.environment),
            host: None,
        }),
        remark: None,
    }
}

/// A project's program is written as an absolute path, so that the folder that happens to be open is not asked.
fn command_word(launch: &Launch, request: &LocalRequest<'_>) -> String {
    match (&launch.program, &request.places.project) {
        (Program::Relative(path), Some(project)) => {
            project.join(path).to_string_lossy().into_owned()
        }
        _ => request.command.trim().to_owned(),
    }
}

/// Why a program is not what was asked for.
struct Refused(Reason, String);

impl Refused {
    fn gone(what: impl Into<String>) -> Self {
        Self(Reason::McpCommandNotInstalled, what.into())
    }

    fn blocked(why: &str) -> Self {
        Self(Reason::McpStdioPolicyBlocked, why.to_owned())
    }
}

/// The program behind all links, if it and every script exist and a project's stay inside the project.
fn on_disk(launch: &Launch, request: &LocalRequest<'_>) -> Result<PathBuf, Refused> {
    let program = match &launch.program {
        Program::Bare(name) => request
            .places
            .in_path(name)
            .ok_or_else(|| Refused::gone(format!("The program `{name}` is not installed.")))?,
        Program::Absolute(path) => PathBuf::from(path),
        Program::Relative(path) => inside_project(request, path)?,
    };
    if !is_program(&program) {
        return Err(Refused::gone(
            "The server's program does not exist or can't be run.",
        ));
    }
    for file in &launch.files {
        let path = match Path::new(file).is_absolute() {
            true => PathBuf::from(file),
            false => inside_project(request, file)?,
        };
        if !path.is_file() {
            return Err(Refused::gone("The server's script does not exist."));
        }
    }
    program
        .canonicalize()
        .map_err(|_| Refused::gone("The server's program can't be read."))
}

/// A relative path as the file in the project that it really is.
fn inside_project(request: &LocalRequest<'_>, path: &str) -> Result<PathBuf, Refused> {
    let project = request.places.project.as_deref();
    let project =
        project.ok_or_else(|| Refused::blocked("A relative path needs an open project."))?;
    let real = project
        .join(path)
        .canonicalize()
        .map_err(|_| Refused::gone("The server's file does not exist in the project."))?;
    let root = project
        .canonicalize()
        .map_err(|_| Refused::blocked("The project's folder can't be read."))?;
    match real.starts_with(root) {
        true => Ok(real),
        false => Err(Refused::blocked(
            "The server's file leads out of the project; a project may only run its own files.",
        )),
    }
}
