//! May this program be started as an MCP server? (05 §7.3)
//!
//! A server is a program or a script that somebody can point at. What is refused is whatever makes the command
//! line itself the program: shells, launchers of other programs, options that evaluate or preload code, and
//! packages that are not pinned. Known runtimes have a grammar each (`grammar`): an option that is not
//! in it is refused, whatever stands behind the script belongs to the script.

use super::grammar;
use serde::{Deserialize, Serialize};

/// Who asks for the server. It decides about relative paths and unknown names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The distribution's config: it ships programs, so a bare name may be one of them.
    Product,
    /// The user, for every folder.
    Machine,
    /// A project's own files: paths may be relative, but lead nowhere else.
    Project,
}

/// How the program is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// By name; the host looks it up, a shipped one first.
    Bare(String),
    /// By absolute path. The host checks that it is a file, follows links, and asks [`check_program_name`]
    /// about the name that it finds there.
    Absolute(String),
    /// By a path in the project. The host checks as above, and that it stays inside after following links.
    Relative(String),
}

/// A command line that may run, and what the host must still look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The program.
    pub program: Program,
    /// Files that are run: each must exist; a relative one lies in the project, also after following links.
    pub files: Vec<String>,
}

/// Why a command line may not run. No message repeats an argument's value: it may be a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StdioRefusal {
    /// No program.
    #[error("The server names no program; write its command.")]
    EmptyCommand,
    /// A program, argument or name is longer than it may be, or there are too many.
    #[error("{place} is longer than {limit}; shorten it.")]
    TooLong {
        /// Which part.
        place: String,
        /// The limit, with its unit.
        limit: String,
    },
    /// A character that a shell would act on.
    #[error(
        "{place} holds a character that a shell would act on (; & | ` $ < > or a line break); remove it."
    )]
    Metacharacter {
        /// Which part.
        place: String,
    },
    /// A shell.
    #[error("`{program}` is a shell; name the server's program itself.")]
    Shell {
        /// Name of the program.
        program: String,
    },
    /// A program that starts or interprets others.
    #[error("`{program}` runs whatever its arguments say; name the server's program itself.")]
    Launcher {
        /// Name of the program.
        program: String,
    },
    /// A bare name that is none of the known runtimes.
    #[error("`{program}` is no known runtime; write the absolute path of the server's program.")]
    UnknownProgram {
        /// Name of the program.
        program: String,
    },
    /// An option that is not in the runtime's grammar.
    #[error(
        "`{program}` may not be started with `{option}`; put only plain options before the script."
    )]
    Option {
        /// Name of the program.
        program: String,
        /// The option, without its value.
        option: String,
    },
    /// A subcommand that is not in the runtime's grammar.
    #[error("`{program}` may only be started as {allowed}.")]
    Subcommand {
        /// Name of the program.
        program: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A runtime without a script reads its program from its input.
    #[error("`{program}` is started without a script; name the server's file.")]
    NoScript {
        /// Name of the program.
        program: String,
    },
    /// A package that can be something else tomorrow.
    #[error(
        "`{program}` would fetch a package that is not pinned; write an exact version such as {example}."
    )]
    NotPinned {
        /// Name of the program.
        program: String,
        /// How a pinned one is written.
        example: &'static str,
    },
    /// A relative path where none may be: it would be looked for in whatever folder is open.
    #[error("{place} is a relative path; write the absolute one.")]
    RelativePath {
        /// Which part.
        place: String,
    },
    /// A path that leaves the project.
    #[error("{place} leads out of the project; a project may only run its own files.")]
    OutsideProject {
        /// Which part.
        place: String,
    },
    /// A module that is looked for in the open folder first, or that runs other code.
    #[error(
        "`{program} -m` may only run an installed server module, with -I before it; or name the script."
    )]
    Module {
        /// Name of the program.
        program: String,
    },
    /// A variable that changes which code runs.
    #[error(
        "The variable {name} changes which code runs; remove it from the server's environment."
    )]
    Environment {
        /// Name of the variable.
        name: String,
    },
}

/// Longest command, in bytes (05 §7.2).
const COMMAND_BYTES: usize = 1024;
/// Longest argument, in bytes (05 §7.2).
const ARGUMENT_BYTES: usize = 4096;
/// Most arguments, and most variables (05 §7.2).
const MAX_COUNT: usize = 64;
/// Longest name of a variable, in bytes (05 §7.2).
const NAME_BYTES: usize = 256;

/// Programs that may be named without a path (05 §7.3).
const RUNTIMES: [&str; 14] = [
    "node", "npx", "npm", "pnpm", "bun", "bunx", "python", "python3", "uv", "uvx", "deno", "go",
    "ruby", "java",
];

const SHELLS: &[&str] = &[
    "ash",
    "bash",
    "busybox",
    "cmd",
    "csh",
    "dash",
    "elvish",
    "fish",
    "ksh",
    "mksh",
    "nu",
    "oksh",
    "powershell",
    "pwsh",
    "rbash",
    "rc",
    "sh",
    "tcsh",
    "toybox",
    "xonsh",
    "yash",
    "zsh",
];

/// Programs whose arguments are programs. Not complete, and it can't be: a foreign program at an absolute path
/// is the user's choice. It closes the known detours around the grammars.
const LAUNCHERS: &[&str] = &[
    "at",
    "awk",
    "batch",
    "bwrap",
    "cargo",
    "chroot",
    "conda",
    "cscript",
    "curl",
    "docker",
    "doas",
    "dotnet",
    "env",
    "expect",
    "find",
    "firejail",
    "flock",
    "gawk",
    "gdb",
    "git",
    "groovy",
    "ionice",
    "ipython",
    "irb",
    "jshell",
    "julia",
    "kubectl",
    "lldb",
    "ltrace",
    "lua",
    "luajit",
    "make",
    "mamba",
    "mawk",
    "mono",
    "mshta",
    "nc",
    "ncat",
    "nerdctl",
    "nice",
    "nohup",
    "nsenter",
    "osascript",
    "parallel",
    "perl",
    "php",
    "pip",
    "pipx",
    "pkexec",
    "podman",
    "poetry",
    "pypy",
    "pythonw",
    "r",
    "regsvr",
    "rscript",
    "rundll",
    "runuser",
    "scala",
    "script",
    "sed",
    "setsid",
    "socat",
    "ssh",
    "stdbuf",
    "strace",
    "su",
    "sudo",
    "systemd-run",
    "tar",
    "tclsh",
    "telnet",
    "time",
    "timeout",
    "ts-node",
    "tsx",
    "unshare",
    "vi",
    "vim",
    "watch",
    "wget",
    "wine",
    "wish",
    "wscript",
    "xargs",
    "yarn",
    "yarnpkg",
];

/// Judges a command line.
pub fn check(command: &str, args: &[String], origin: Origin) -> Result<Launch, StdioRefusal> {
    let command = command.trim();
    if command.is_empty() {
        return Err(StdioRefusal::EmptyCommand);
    }
    plain("The command", command, COMMAND_BYTES)?;
    if args.len() > MAX_COUNT {
        return Err(StdioRefusal::TooLong {
            place: "The list of arguments".into(),
            limit: format!("{MAX_COUNT} entries"),
        });
    }
    for (index, arg) in args.iter().enumerate() {
        plain(&format!("Argument {}", index + 1), arg, ARGUMENT_BYTES)?;
    }
    let program = program(command, origin)?;
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let files = grammar::judge(&program_name(command), &args, &grammar::Place::new(origin))?;
    Ok(Launch { program, files })
}

/// Judges the name of a program that was found behind a path or a link: no shell and no launcher hides there.
pub fn check_program_name(path: &str) -> Result<(), StdioRefusal> {
    let program = program_name(path);
    let family = family(&program);
    if SHELLS.contains(&family) {
        return Err(StdioRefusal::Shell { program });
    }
    // The dynamic loader runs the program that its argument names.
    let loader = ["ld.so", "ld-linux", "ld-musl"]
        .iter()
        .any(|name| program.starts_with(name));
    if LAUNCHERS.contains(&family) || loader {
        return Err(StdioRefusal::Launcher { program });
    }
    Ok(())
}

/// Judges a program that was found behind a link, with the arguments that it would get: the grammar of the
/// runtime that is really there counts too.
pub fn check_resolved(path: &str, args: &[String], origin: Origin) -> Result<(), StdioRefusal> {
    check_program_name(path)?;
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    grammar::judge(&program_name(path), &args, &grammar::Place::new(origin)).map(drop)
}

/// Judges the names of a server's variables: none may change which code runs.
pub fn check_environment<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<(), StdioRefusal> {
    const NAMES: &[&str] = &[
        "PATH",
        "HOME",
        "SHELL",
        "IFS",
        "ENV",
        "BASH_ENV",
        "SHELLOPTS",
        "BASHOPTS",
        "PROMPT_COMMAND",
        "NODE_OPTIONS",
        "NODE_PATH",
        "NODE_REPL_EXTERNAL_MODULE",
        "BUN_OPTIONS",
        "BUN_CONFIG_REGISTRY",
        "RUBYOPT",
        "RUBYLIB",
        "PERL5OPT",
        "PERL5LIB",
        "CLASSPATH",
        "JAVA_TOOL_OPTIONS",
        "JDK_JAVA_OPTIONS",
        "_JAVA_OPTIONS",
        "GOFLAGS",
        "GOPROXY",
        "GONOSUMDB",
        "GONOSUMCHECK",
        "GOINSECURE",
        "GOTOOLCHAIN",
        "GOROOT",
        "GOPATH",
        "GCONV_PATH",
        "OPENSSL_CONF",
        "SSLKEYLOGFILE",
        "DENO_DIR",
        "DENO_INSTALL_ROOT",
    ];
    const PREFIXES: [&str; 9] = [
        "LD_",
        "DYLD_",
        "PYTHON",
        "NPM_CONFIG_",
        "PNPM_",
        "UV_",
        "PIP_",
        "GIT_",
        "OPENCODE_",
    ];
    for (index, name) in names.into_iter().enumerate() {
        if index == MAX_COUNT || name.len() > NAME_BYTES {
            return Err(StdioRefusal::TooLong {
                place: "The server's environment".into(),
                limit: format!("{MAX_COUNT} variables with names of {NAME_BYTES} bytes"),
            });
        }
        let upper = name.to_ascii_uppercase();
        let named = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        // Output settings of Python change no code, and servers need them.
        let harmless =
            ["PYTHONUNBUFFERED", "PYTHONIOENCODING", "PYTHONUTF8"].contains(&upper.as_str());
        let listed = NAMES.contains(&upper.as_str())
            || PREFIXES.iter().any(|prefix| upper.starts_with(prefix));
        if !named || (listed && !harmless) {
            return Err(StdioRefusal::Environment {
                name: name.escape_debug().to_string(),
            });
        }
    }
    Ok(())
}

/// How the program is named, and whether it may be named so.
fn program(command: &str, origin: Origin) -> Result<Program, StdioRefusal> {
    check_program_name(command)?;
    if is_absolute(command) {
        return Ok(Program::Absolute(command.to_owned()));
    }
    if !command.contains(['/', '\\']) {
        return match RUNTIMES.contains(&command) || origin == Origin::Product {
            true => Ok(Program::Bare(command.to_owned())),
            false => Err(StdioRefusal::UnknownProgram {
                program: program_name(command),
            }),
        };
    }
    relative("The command", command, origin)?;
    Ok(Program::Relative(command.to_owned()))
}

/// A relative path is a project's own, and stays inside as written.
pub(super) fn relative(place: &str, path: &str, origin: Origin) -> Result<(), StdioRefusal> {
    if origin != Origin::Project {
        return Err(StdioRefusal::RelativePath {
            place: place.to_owned(),
        });
    }
    match stays_inside(path) {
        true => Ok(()),
        false => Err(StdioRefusal::OutsideProject {
            place: place.to_owned(),
        }),
    }
}

pub(super) fn stays_inside(path: &str) -> bool {
    let mut depth = 0_i32;
    for part in path.split(['/', '\\']) {
        depth += match part {
            "" | "." => 0,
            ".." => -1,
            _ => 1,
        };
        if depth < 0 {
            return false;
        }
    }
    depth > 0
}

pub(super) fn is_absolute(path: &str) -> bool {
    let bytes = path.as_bytes();
    path.starts_with('/')
        || (bytes.len() > 2
            && bytes[0].is_ascii_alphabetic()
            && bytes[1] == b':'
            && matches!(bytes[2], b'/' | b'\\'))
}

/// Last part of the path, lower-case, without Windows' suffixes.
pub(super) fn program_name(command: &str) -> String {
    let name = command.rsplit(['/', '\\']).next().unwrap_or(command);
    let name = name.to_ascii_lowercase();
    let bare = [".exe", ".cmd", ".bat", ".com", ".ps1"]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix));
    bare.unwrap_or(&name).to_owned()
}

/// The name without the version behind it: `python3.11` is `python`, `bash-5` is `bash`.
pub(super) fn family(program: &str) -> &str {
    let family = program.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'));
    if family.is_empty() { program } else { family }
}

fn plain(place: &str, text: &str, limit: usize) -> Result<(), StdioRefusal> {
    if text.len() > limit {
        return Err(StdioRefusal::TooLong {
            place: place.to_owned(),
            limit: format!("{limit} bytes"),
        });
    }
    let acts = |c: char| c.is_control() || matches!(c, ';' | '&' | '|' | '`' | '$' | '>' | '<');
    match text.contains(acts) {
        true => Err(StdioRefusal::Metacharacter {
            place: place.to_owned(),
        }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
