//! May this program be started as an MCP server? (05 §7.3)
//!
//! A server is a program or a script that somebody can point at. What is refused is whatever makes the command
//! line itself the program: shells, launchers of other programs, options that evaluate or preload code, and
//! packages that are not pinned. Known runtimes have a grammar each (`grammar`): an option that is not
//! in it is refused, whatever stands behind the script belongs to the script.

use super::grammar;
use super::program::{family, program_name};
use serde::{Deserialize, Serialize};

pub use super::environment::check_environment;
pub use super::program::check_program_name;

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
    /// A package or module that is a way to run something else: an interpreter, a runner, a shell.
    #[error(
        "`{program}` would fetch or load something that runs whatever its arguments say; name the server's own package or module."
    )]
    RunsOthers {
        /// Name of the program.
        program: String,
    },
    /// A package is named, and a program that does not belong to it.
    #[error(
        "`{program}` names a package and then a program that is not named after it; name the package's own, or install it and write the absolute path of its program."
    )]
    ForeignProgram {
        /// Name of the program.
        program: String,
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
    /// A variable that changes which code runs, or whom it trusts.
    #[error(
        "The variable {name} changes which code runs or whom it trusts; remove it from the server's environment."
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
pub(super) const MAX_COUNT: usize = 64;

/// Programs that may be named without a path (05 §7.3).
const RUNTIMES: [&str; 14] = [
    "node", "npx", "npm", "pnpm", "bun", "bunx", "python", "python3", "uv", "uvx", "deno", "go",
    "ruby", "java",
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

/// Judges a program that was found behind a link, with the arguments that it would get: the grammar of the
/// runtime that is really there counts too.
///
/// Call it after [`check`] has judged the name that the program is started by: some programs act by that name.
/// `bunx` is a link to `bun`, and the shims of version managers (`npx` → `mise`) become what they are called.
pub fn check_resolved(path: &str, args: &[String], origin: Origin) -> Result<(), StdioRefusal> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let place = grammar::Place::new(origin);
    let program = program_name(path);
    match family(&program) {
        "mise" | "rtx" | "rye" => return Ok(()),
        "bun" if grammar::judge("bunx", &args, &place).is_ok() => return Ok(()),
        _ => check_program_name(path)?,
    }
    grammar::judge(&program, &args, &place).map(drop)
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
