//! What each known runtime may be told before the server's own script or package (05 §7.3, 19.9).
//!
//! Each grammar is a list of what is harmless; anything else is refused. What follows the script or package is
//! the server's own business and is not looked at: `server.js -e` is as good as `server.js -x`.

use super::package::{is_pinned_go, is_pinned_npm, is_pinned_python};
use super::stdio::{
    Origin, StdioRefusal, check_program_name, family, is_absolute, program_name, relative,
    stays_inside,
};

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
        "bunx" => call.npx(BUNX, args),
        "npx" => call.npx(NPX, args),
        "npm" => call.npm(),
        "pnpm" => call.pnpm(),
        "pnpx" => call.npx(PNPM, args),
        "deno" => call.deno(),
        "python" => call.python(),
        "uvx" => call.uvx(args),
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

fn is_pinned_python_list(text: &str) -> bool {
    text.split(',').all(|spec| is_pinned_python(spec.trim()))
}

const NODE: &[Known] = &[
    flag("--no-warnings"),
    flag("--no-deprecation"),
    flag("--enable-source-maps"),
    flag("--trace-warnings"),
    flag("--trace-uncaught"),
    flag("--use-system-ca"),
    flag("--use-openssl-ca"),
    flag("--use-bundled-ca"),
    flag("--experimental-strip-types"),
    attached("--max-old-space-size", is_number),
    attached("--stack-trace-limit", is_number),
    attached("--dns-result-order", is_word),
];
const BUN: &[Known] = &[flag("--silent"), flag("--smol"), flag("--no-install")];
const BUNX: &[Known] = &[
    flag("--bun"),
    flag("--silent"),
    flag("-y"),
    flag("--yes"),
    value("-p", is_pinned_npm),
    value("--package", is_pinned_npm),
];
const NPX: &[Known] = &[
    flag("-y"),
    flag("--yes"),
    flag("-q"),
    flag("--quiet"),
    flag("--silent"),
    flag("--offline"),
    flag("--prefer-offline"),
    value("-p", is_pinned_npm),
    value("--package", is_pinned_npm),
];
const PNPM: &[Known] = &[
    flag("--silent"),
    flag("-s"),
    value("--package", is_pinned_npm),
];
const DENO: &[Known] = &[
    flag("-A"),
    flag("--allow-all"),
    flag("-q"),
    flag("--quiet"),
    flag("--no-prompt"),
    flag("--no-config"),
    flag("--no-lock"),
    flag("--no-remote"),
    flag("--cached-only"),
    flag("--frozen"),
    maybe("--allow-read"),
    maybe("--allow-write"),
    maybe("--allow-net"),
    maybe("--allow-env"),
    maybe("--allow-sys"),
    maybe("--deny-read"),
    maybe("--deny-write"),
    maybe("--deny-net"),
    maybe("--deny-env"),
    maybe("--deny-sys"),
    maybe("--deny-run"),
    maybe("--deny-ffi"),
];
const UVX: &[Known] = &[
    flag("-q"),
    flag("--quiet"),
    flag("--offline"),
    flag("--isolated"),
    flag("-n"),
    flag("--no-cache"),
    flag("--no-config"),
    flag("--no-progress"),
    value("-p", is_word),
    value("--python", is_word),
    value("--from", is_pinned_python),
    value("--with", is_pinned_python_list),
];
const UV: &[Known] = &[
    flag("-q"),
    flag("--quiet"),
    flag("--offline"),
    flag("-n"),
    flag("--no-cache"),
    flag("--no-config"),
    flag("--no-progress"),
    value("--directory", is_absolute),
    value("--project", is_absolute),
];
const UV_RUN: &[Known] = &[
    flag("-q"),
    flag("--quiet"),
    flag("--offline"),
    flag("--frozen"),
    flag("--locked"),
    flag("--no-sync"),
    flag("--no-project"),
    flag("--isolated"),
    flag("--no-dev"),
    value("--directory", is_absolute),
    value("--project", is_absolute),
    value("-p", is_word),
    value("--python", is_word),
    value("--with", is_pinned_python_list),
];
const RUBY: &[Known] = &[
    flag("-w"),
    flag("-W0"),
    flag("-W1"),
    flag("-W2"),
    flag("--yjit"),
    flag("--disable-gems"),
    flag("--disable=gems"),
];
const NPM_PIN: &str = "name@1.2.3";
const PYTHON_PIN: &str = "name==1.2.3";

/// The options before the first positional argument, and the rest.
struct Parsed<'a> {
    options: Vec<(&'static str, &'a str)>,
    rest: &'a [&'a str],
}

impl Parsed<'_> {
    fn has(&self, names: &[&str]) -> bool {
        self.options.iter().any(|(name, _)| names.contains(name))
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
                self.not_pinned(NPM_PIN)
            }
            "--from" | "--with" => self.not_pinned(PYTHON_PIN),
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

    /// The script at the start of `rest`: a file, not an address and not the standard input.
    fn script(&self, rest: &[&str]) -> Result<Vec<String>, StdioRefusal> {
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

    fn node(&self) -> Result<Vec<String>, StdioRefusal> {
        let parsed = self.options(NODE, self.args)?;
        self.script(parsed.rest)
    }

    fn bun(&self) -> Result<Vec<String>, StdioRefusal> {
        let parsed = self.options(BUN, self.args)?;
        match parsed.rest {
            ["x", rest @ ..] => self.npx(BUNX, rest),
            ["run", rest @ ..] => self.bun_script(self.options(BUN, rest)?.rest),
            rest => self.bun_script(rest),
        }
    }

    /// A name without a path is a subcommand or a script of whatever `package.json` is in the open folder.
    fn bun_script(&self, rest: &[&str]) -> Result<Vec<String>, StdioRefusal> {
        match rest.first() {
            Some(script) if !script.contains(['/', '\\']) && !script.contains('.') => {
                Err(self.subcommand("`bun /path/to/server.ts` or `bun x name@1.2.3`"))
            }
            _ => self.script(rest),
        }
    }

    /// `npx`, `bunx`, `pnpm dlx`: options, then a pinned package, or the program of a pinned `--package`.
    fn npx(
        &self,
        known: &'static [Known],
        args: &'a [&'a str],
    ) -> Result<Vec<String>, StdioRefusal> {
        let parsed = self.options(known, args)?;
        let first = parsed.rest.first().copied().unwrap_or_default();
        let pinned = match parsed.has(&["-p", "--package"]) {
            true => is_word(first),
            false => is_pinned_npm(first),
        };
        match pinned {
            true => Ok(Vec::new()),
            false => Err(self.not_pinned(NPM_PIN)),
        }
    }

    /// `npm exec`: npm reads options also behind the package, up to `--`.
    fn npm(&self) -> Result<Vec<String>, StdioRefusal> {
        let ["exec" | "x", rest @ ..] = self.args else {
            return Err(self.subcommand("`npm exec --yes -- name@1.2.3`"));
        };
        let end = rest
            .iter()
            .position(|arg| *arg == "--")
            .unwrap_or(rest.len());
        for (index, arg) in rest[..end].iter().enumerate() {
            let is_value = index > 0 && matches!(rest[index - 1], "-p" | "--package");
            if arg.starts_with('-') && !is_value {
                self.options(NPX, &rest[index..end.min(index + 2)])?;
            }
        }
        self.npx(NPX, rest)
    }

    fn pnpm(&self) -> Result<Vec<String>, StdioRefusal> {
        let parsed = self.options(PNPM, self.args)?;
        match parsed.rest {
            ["dlx", rest @ ..] => self.npx(PNPM, rest),
            _ => Err(self.subcommand("`pnpm dlx name@1.2.3`")),
        }
    }

    fn deno(&self) -> Result<Vec<String>, StdioRefusal> {
        let ["run", rest @ ..] = self.args else {
            return Err(self.subcommand("`deno run /path/to/server.ts`"));
        };
        let parsed = self.options(DENO, rest)?;
        let first = parsed.rest.first().copied().unwrap_or_default();
        match first
            .strip_prefix("npm:")
            .or_else(|| first.strip_prefix("jsr:"))
        {
            Some(package) if is_pinned_npm(package) && !package.contains(['#', ':']) => {
                Ok(Vec::new())
            }
            Some(_) => Err(self.not_pinned("npm:name@1.2.3")),
            None => self.script(parsed.rest),
        }
    }

    fn python(&self) -> Result<Vec<String>, StdioRefusal> {
        let mut isolated = false;
        let mut args = self.args.iter().copied().enumerate();
        while let Some((index, arg)) = args.next() {
            let rest = &self.args[index..];
            match arg {
                "--" => return self.script(&rest[1..]),
                "-X" | "-W" => {
                    let (_, value) = args.next().unwrap_or_default();
                    // A category of -W names a module, which is then imported.
                    if ![
                        "utf8", "utf8=1", "ignore", "default", "error", "always", "once",
                    ]
                    .contains(&value)
                    {
                        return Err(self.option(arg));
                    }
                }
                _ if arg.starts_with("-m") => {
                    let module = match &arg[2..] {
                        "" => rest.get(1).copied().unwrap_or_default(),
                        attached => attached,
                    };
                    return match (isolated || self.place.directory.is_some())
                        && is_server_module(module)
                    {
                        true => Ok(Vec::new()),
                        false => Err(StdioRefusal::Module {
                            program: self.program.to_owned(),
                        }),
                    };
                }
                _ if arg.len() > 1 && arg.starts_with('-') => {
                    let letters = &arg[1..];
                    if !letters.chars().all(|c| "uBEsSIPOq".contains(c)) {
                        return Err(self.option(arg));
                    }
                    isolated |= letters.contains(['I', 'P']);
                }
                _ => return self.script(rest),
            }
        }
        Err(self.no_script())
    }

    fn uvx(&self, args: &'a [&'a str]) -> Result<Vec<String>, StdioRefusal> {
        let parsed = self.options(UVX, args)?;
        let first = parsed.rest.first().copied().unwrap_or_default();
        let pinned = match parsed.has(&["--from"]) {
            true => is_word(first) && check_program_name(first).is_ok() && !is_runtime(first),
            false => is_pinned_python(first),
        };
        match pinned {
            true => Ok(Vec::new()),
            false => Err(self.not_pinned(PYTHON_PIN)),
        }
    }

    fn uv(&self) -> Result<Vec<String>, StdioRefusal> {
        const ALLOWED: &str = "`uv run /path/to/server.py`, `uv --directory /path run server.py` or `uv tool run name==1.2.3`";
        let parsed = self.options(UV, self.args)?;
        match parsed.rest {
            ["tool", "run", rest @ ..] => self.uvx(rest),
            ["run", rest @ ..] => self.uv_run(&parsed, rest),
            _ => Err(self.subcommand(ALLOWED)),
        }
    }

    /// `uv run` starts whatever stands behind it: a script, a runtime, or a program of the project.
    fn uv_run(&self, outer: &Parsed<'a>, args: &'a [&'a str]) -> Result<Vec<String>, StdioRefusal> {
        let parsed = self.options(UV_RUN, args)?;
        let directory = outer
            .options
            .iter()
            .chain(&parsed.options)
            .rev()
            .find(|(name, _)| matches!(*name, "--directory" | "--project"))
            .map(|(_, path)| (*path).to_owned());
        let place = Place {
            origin: self.place.origin,
            directory,
            depth: self.place.depth + 1,
        };
        let inner = Call {
            program: self.program,
            args: parsed.rest,
            place: &place,
        };
        let Some((program, rest)) = parsed.rest.split_first() else {
            return Err(self.no_script());
        };
        if program.ends_with(".py") {
            return inner.script(parsed.rest);
        }
        check_program_name(program)?;
        let name = program_name(program);
        if is_runtime(&name) {
            return match place.depth < 3 {
                true => judge(&name, rest, &place),
                false => Err(self.no_script()),
            };
        }
        if program.contains(['/', '\\']) {
            return inner.script(parsed.rest);
        }
        // A program that the project itself installs.
        match place.directory.is_some() && is_word(program) {
            true => Ok(Vec::new()),
            false => Err(self.no_script()),
        }
    }

    fn go(&self) -> Result<Vec<String>, StdioRefusal> {
        match self.args {
            ["run", spec, ..] if is_pinned_go(spec) => Ok(Vec::new()),
            ["run", ..] => Err(self.not_pinned("module/path@v1.2.3")),
            _ => Err(self.subcommand("`go run module/path@v1.2.3`")),
        }
    }

    fn ruby(&self) -> Result<Vec<String>, StdioRefusal> {
        let parsed = self.options(RUBY, self.args)?;
        self.script(parsed.rest)
    }

    /// Only archives: a class name is looked for in the open folder.
    fn java(&self) -> Result<Vec<String>, StdioRefusal> {
        for (index, arg) in self.args.iter().enumerate() {
            let memory = ["-Xmx", "-Xms", "-Xss"]
                .iter()
                .find_map(|name| arg.strip_prefix(name));
            // Properties of the runtime itself can name code.
            let property = arg.strip_prefix("-D").filter(|property| {
                !["java.", "javax.", "jdk.", "sun.", "com.sun."]
                    .iter()
                    .any(|prefix| property.starts_with(prefix))
            });
            match *arg {
                "-jar" => return self.script(&self.args[index + 1..]),
                "-server" => {}
                _ if memory.is_some_and(is_word) || property.is_some() => {}
                _ if arg.starts_with('-') => return Err(self.option(arg)),
                _ => return Err(self.subcommand("`java -jar /path/to/server.jar`")),
            }
        }
        Err(self.no_script())
    }
}

fn is_runtime(program: &str) -> bool {
    const FAMILIES: [&str; 15] = [
        "node", "nodejs", "bun", "bunx", "npx", "npm", "pnpm", "pnpx", "deno", "python", "uvx",
        "uv", "go", "ruby", "java",
    ];
    FAMILIES.contains(&family(program))
}

/// A plain module name that is not one of the standard library's runners and servers.
fn is_server_module(module: &str) -> bool {
    const REFUSED: [&str; 26] = [
        "asyncio",
        "bdb",
        "cgi",
        "code",
        "codeop",
        "compileall",
        "cprofile",
        "doctest",
        "ensurepip",
        "http",
        "idlelib",
        "ipython",
        "pdb",
        "pip",
        "pipx",
        "profile",
        "pty",
        "runpy",
        "test",
        "timeit",
        "trace",
        "unittest",
        "uv",
        "venv",
        "virtualenv",
        "zipapp",
    ];
    let mut parts = module.split('.');
    let first = parts
        .clone()
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    !REFUSED.contains(&first.as_str())
        && parts.all(|part| {
            !part.is_empty()
                && !part.starts_with(|c: char| c.is_ascii_digit())
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        })
}
