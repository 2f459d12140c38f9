//! What each known runtime may be told before the server's own script or package (05 §7.3, 19.9).
//!
//! Each grammar is a list of what is harmless; anything else is refused. What follows the script or package is
//! the server's own business and is not looked at: `server.js -e` is as good as `server.js -x`.

//!
//! | module | holds |
//! |---|---|
//! | [`javascript`] | Node.js, Bun, Deno, npx and its like |
//! | [`python`] | Python, uv, uvx |
//! | [`go_ruby_java`] | Go, Ruby, Java |

mod go_ruby_java;
mod javascript;
mod python;

use super::package;
use super::program::{can_be_server, check_program_name, family, is_runtime, program_name};
use super::stdio::{Origin, StdioRefusal, is_absolute, relative, stays_inside};

/// How often a runtime may be started by another one: `uv run` starts `python`, a script may be `npx`.
const MAX_DEPTH: u8 = 3;

/// Where relative paths stand, and how often a runtime was started by another one.
pub(super) struct Place {
    origin: Origin,
    /// `uv --directory`: relative paths mean this folder.
    directory: Option<String>,
    depth: u8,
}

impl Place {
    pub(super) fn new(origin: Origin) -> Self {
        Self {
            origin,
            directory: None,
            depth: 0,
        }
    }

    /// The same place, inside of another folder, if one is named.
    fn inside(&self, directory: Option<String>) -> Self {
        Self { directory, ..*self }
    }
}

/// Judges the arguments of a program by its name. Returns the files that it would run. A program without a
/// grammar is the server itself: its arguments are its own.
pub(super) fn judge(
    program: &str,
    args: &[&str],
    place: &Place,
) -> Result<Vec<String>, StdioRefusal> {
    let call = Call {
        program,
        args,
        place,
    };
    match family(program) {
        "node" | "nodejs" => call.node(),
        "bun" => call.bun(),
        "bunx" => call.bunx(),
        "npx" => call.npx(),
        "npm" => call.npm(),
        "pnpm" => call.pnpm(),
        "pnpx" => call.pnpx(),
        "deno" => call.deno(),
        "python" => call.python(),
        "uvx" => call.uvx(),
        "uv" => call.uv(),
        "go" => call.go(),
        "ruby" => call.ruby(),
        "java" | "javaw" => call.java(),
        _ => Ok(Vec::new()),
    }
}

/// An option of a grammar.
struct Known {
    name: &'static str,
    value: Takes,
}

#[derive(Clone, Copy)]
enum Takes {
    Nothing,
    /// A value, attached with `=` or as the next argument, which this accepts.
    Value(fn(&str) -> bool),
    /// Only attached with `=`.
    Attached(fn(&str) -> bool),
    /// Nothing, or anything that is attached.
    Maybe,
}

const fn flag(name: &'static str) -> Known {
    Known {
        name,
        value: Takes::Nothing,
    }
}

const fn value(name: &'static str, accepts: fn(&str) -> bool) -> Known {
    Known {
        name,
        value: Takes::Value(accepts),
    }
}

const fn attached(name: &'static str, accepts: fn(&str) -> bool) -> Known {
    Known {
        name,
        value: Takes::Attached(accepts),
    }
}

const fn maybe(name: &'static str) -> Known {
    Known {
        name,
        value: Takes::Maybe,
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The options before the first positional argument, and the rest.
struct Parsed<'a> {
    options: Vec<(&'static str, &'a str)>,
    rest: &'a [&'a str],
}

impl<'a> Parsed<'a> {
    /// Values of options under any of these names.
    fn values(&self, names: &[&str]) -> Vec<&'a str> {
        let named = self.options.iter().filter(|(name, _)| names.contains(name));
        named.map(|(_, value)| *value).collect()
    }

    /// The first positional argument; empty if there is none.
    fn first(&self) -> &'a str {
        self.rest.first().copied().unwrap_or_default()
    }
}

struct Call<'a> {
    program: &'a str,
    args: &'a [&'a str],
    place: &'a Place,
}

impl<'a> Call<'a> {
    /// Reads options up to the first positional argument; `--` ends them.
    fn options(
        &self,
        known: &'static [Known],
        args: &'a [&'a str],
    ) -> Result<Parsed<'a>, StdioRefusal> {
        let mut options = Vec::new();
        let mut next = 0;
        while let Some(arg) = args.get(next) {
            next += 1;
            if *arg == "--" {
                break;
            }
            if !arg.starts_with('-') {
                next -= 1;
                break;
            }
            let (name, inline) = match arg.split_once('=') {
                Some((name, inline)) => (name, Some(inline)),
                None => (*arg, None),
            };
            // An option may be listed with its value, such as `--disable=gems`.
            let found = known
                .iter()
                .find(|option| option.name == *arg)
                .map(|option| (option, None))
                .or_else(|| {
                    let option = known.iter().find(|option| option.name == name)?;
                    Some((option, inline))
                });
            let (option, inline) = found.ok_or_else(|| self.option(arg))?;
            let value = match (option.value, inline) {
                (Takes::Nothing, None) | (Takes::Maybe, None) => "",
                (Takes::Maybe, Some(value)) => value,
                (Takes::Value(accepts) | Takes::Attached(accepts), Some(value)) => {
                    self.accept(option, value, accepts)?
                }
                (Takes::Value(accepts), None) => {
                    let value = args.get(next).copied().unwrap_or_default();
                    next += 1;
                    self.accept(option, value, accepts)?
                }
                (Takes::Nothing, Some(_)) | (Takes::Attached(_), None) => {
                    return Err(self.option(arg));
                }
            };
            options.push((option.name, value));
        }
        Ok(Parsed {
            options,
            rest: args.get(next..).unwrap_or_default(),
        })
    }

    fn accept(
        &self,
        option: &Known,
        value: &'a str,
        accepts: fn(&str) -> bool,
    ) -> Result<&'a str, StdioRefusal> {
        if accepts(value) {
            return Ok(value);
        }
        Err(match option.name {
            "-p" | "--package" if self.program != "uvx" && self.program != "uv" => {
                self.not_pinned(javascript::PIN)
            }
            "--from" | "--with" => self.not_pinned(python::PIN),
            name => self.option(name),
        })
    }

    fn option(&self, arg: &str) -> StdioRefusal {
        let name = arg.split('=').next().unwrap_or(arg);
        // Short options may have a value attached, which may be a secret.
        let shown = match name.starts_with("--") {
            true => name.chars().take(40).collect(),
            false => name.chars().take(2).collect(),
        };
        StdioRefusal::Option {
            program: self.program.to_owned(),
            option: shown,
        }
    }

    fn not_pinned(&self, example: &'static str) -> StdioRefusal {
        StdioRefusal::NotPinned {
            program: self.program.to_owned(),
            example,
        }
    }

    fn no_script(&self) -> StdioRefusal {
        StdioRefusal::NoScript {
            program: self.program.to_owned(),
        }
    }

    fn subcommand(&self, allowed: &'static str) -> StdioRefusal {
        StdioRefusal::Subcommand {
            program: self.program.to_owned(),
            allowed,
        }
    }

    fn runs_others(&self) -> StdioRefusal {
        StdioRefusal::RunsOthers {
            program: self.program.to_owned(),
        }
    }

    /// The package that is fetched is itself the server.
    fn package(&self, spec: &str) -> Result<Vec<String>, StdioRefusal> {
        match can_be_server(&package::name(spec)) {
            true => Ok(Vec::new()),
            false => Err(self.runs_others()),
        }
    }

    /// The program behind one or more packages (`--package`, `--from`). Nothing tells which programs a package
    /// brings, and one that it does not bring is looked for on the machine: so it must be named after one of them.
    fn program_of(&self, packages: &[&str], program: &str) -> Result<Vec<String>, StdioRefusal> {
        if !is_word(program) || program.starts_with('-') {
            return Err(self.no_script());
        }
        if !can_be_server(program) {
            return Err(self.runs_others());
        }
        match packages
            .iter()
            .any(|spec| package::may_bring(spec, program))
        {
            true => Ok(Vec::new()),
            false => Err(StdioRefusal::ForeignProgram {
                program: self.program.to_owned(),
            }),
        }
    }

    /// Judges a runtime that this one starts.
    fn inner(
        &self,
        program: &str,
        args: &[&str],
        directory: Option<String>,
    ) -> Result<Vec<String>, StdioRefusal> {
        if self.place.depth == MAX_DEPTH {
            return Err(self.no_script());
        }
        let mut place = self.place.inside(directory);
        place.depth += 1;
        judge(&program_name(program), args, &place)
    }

    /// The script at the start of `rest`: a file, not an address and not the standard input. Where the script is
    /// a launcher or a runtime itself (`node /usr/bin/npx …`), its own arguments count too.
    fn script(&self, rest: &[&str]) -> Result<Vec<String>, StdioRefusal> {
        let files = self.script_file(rest)?;
        let [script, args @ ..] = rest else {
            return Ok(files);
        };
        check_program_name(script)?;
        if is_runtime(script) {
            self.inner(script, args, self.place.directory.clone())?;
        }
        Ok(files)
    }

    fn script_file(&self, rest: &[&str]) -> Result<Vec<String>, StdioRefusal> {
        let script = *rest.first().ok_or_else(|| self.no_script())?;
        let is_address = script.split_once(':').is_some_and(|(scheme, _)| {
            scheme.len() > 1 && scheme.bytes().all(|b| b.is_ascii_alphanumeric())
        });
        if script.is_empty() || script.starts_with('-') || is_address {
            return Err(self.no_script());
        }
        if is_absolute(script) {
            return Ok(vec![script.to_owned()]);
        }
        if let Some(directory) = &self.place.directory {
            return match stays_inside(script) {
                true => Ok(vec![format!(
                    "{}/{script}",
                    directory.trim_end_matches('/')
                )]),
                false => Err(StdioRefusal::OutsideProject {
                    place: "The script".into(),
                }),
            };
        }
        relative("The script", script, self.place.origin)?;
        Ok(vec![script.to_owned()])
    }
}
