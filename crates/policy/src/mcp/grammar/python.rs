//! Python, and `uv` with its package runner.

use super::{Call, Known, Parsed, flag, is_word, value};
use crate::mcp::package::is_pinned_python;
use crate::mcp::program::{can_be_server, check_program_name, is_runtime};
use crate::mcp::stdio::{StdioRefusal, is_absolute};

const UVX: &[Known] = &[
    flag("-q"),
    flag("--quiet"),
    flag("--offline"),
    flag("--isolated"),
    flag("-n"),
    flag("--no-cache"),
    flag("--no-config"),
    flag("--no-progress"),
    value("-p", is_interpreter),
    value("--python", is_interpreter),
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
    value("-p", is_interpreter),
    value("--python", is_interpreter),
    value("--with", is_pinned_python_list),
];
/// How a pinned package is written.
pub(super) const PIN: &str = "name==1.2.3";

impl<'a> Call<'a> {
    pub(super) fn python(&self) -> Result<Vec<String>, StdioRefusal> {
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

    pub(super) fn uvx(&self) -> Result<Vec<String>, StdioRefusal> {
        self.tool_run(self.args)
    }

    /// `uvx`, `uv tool run`: options, then a pinned package, or the program of a pinned `--from`.
    fn tool_run(&self, args: &'a [&'a str]) -> Result<Vec<String>, StdioRefusal> {
        let parsed = self.options(UVX, args)?;
        let packages = parsed.values(&["--from"]);
        match parsed.first() {
            program if !packages.is_empty() => {
                for package in &packages {
                    self.package(package)?;
                }
                self.program_of(&packages, program)
            }
            package if is_pinned_python(package) => self.package(package),
            _ => Err(self.not_pinned(PIN)),
        }
    }

    pub(super) fn uv(&self) -> Result<Vec<String>, StdioRefusal> {
        const ALLOWED: &str = "`uv run /path/to/server.py`, `uv --directory /path run server.py` or `uv tool run name==1.2.3`";
        let parsed = self.options(UV, self.args)?;
        match parsed.rest {
            ["tool", "run", rest @ ..] => self.tool_run(rest),
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
        let Some((program, rest)) = parsed.rest.split_first() else {
            return Err(self.no_script());
        };
        if !program.ends_with(".py") {
            check_program_name(program)?;
            if is_runtime(program) {
                return self.inner(program, rest, directory);
            }
        }
        if program.ends_with(".py") || program.contains(['/', '\\']) {
            let place = self.place.inside(directory);
            let inner = Call {
                place: &place,
                ..*self
            };
            return inner.script(parsed.rest);
        }
        // A program that the project itself installs.
        match directory.is_some() && is_word(program) {
            true => Ok(Vec::new()),
            false => Err(self.no_script()),
        }
    }
}

fn is_pinned_python_list(text: &str) -> bool {
    text.split(',').all(|spec| is_pinned_python(spec.trim()))
}

/// What `uv --python` may name: a version (`3.12`, `3.13t`, `3.14rc1`) of a known implementation
/// (`pypy@3.10`, `cpython-3.12`). Any other word is the name of a program that uv starts, such as `bash`.
fn is_interpreter(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let implementation = ["python", "cpython", "pypy", "graalpy"]
        .iter()
        .find_map(|name| lower.strip_prefix(name));
    let version = match implementation {
        Some("") => return true,
        Some(rest) => rest.strip_prefix(['@', '-']).unwrap_or(rest),
        None => &lower,
    };
    let numbers = version.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let mark = numbers.trim_end_matches(|c: char| c.is_ascii_digit());
    version.starts_with(|c: char| c.is_ascii_digit())
        && ["", "a", "b", "rc", "t", "d"].contains(&mark)
}

/// Modules of the standard library, of all versions since 3.8; those that start with `_` are refused anyhow.
/// None is an MCP server; many run files, open ports or read programs from their input.
const STANDARD_LIBRARY: &str = "\
    abc aifc annotationlib antigravity argparse array ast asynchat asyncio asyncore atexit audioop base64 bdb \
    binascii binhex bisect builtins bz2 calendar cgi cgitb chunk cmath cmd code codecs codeop collections \
    colorsys compileall compression concurrent configparser contextlib contextvars copy copyreg cprofile crypt \
    csv ctypes curses dataclasses datetime dbm decimal difflib dis distutils doctest dummy_threading email \
    encodings ensurepip enum errno faulthandler fcntl filecmp fileinput fnmatch formatter fractions ftplib \
    functools gc genericpath getopt getpass gettext glob graphlib grp gzip hashlib heapq hmac html http idlelib \
    imaplib imghdr imp importlib inspect io ipaddress itertools json keyword lib2to3 linecache locale logging \
    lzma macpath mailbox mailcap marshal math mimetypes mmap modulefinder msilib msvcrt multiprocessing netrc \
    nis nntplib nt ntpath nturl2path numbers opcode operator optparse os ossaudiodev parser pathlib pdb pickle \
    pickletools pipes pkgutil platform plistlib poplib posix posixpath pprint profile pstats pty pwd py_compile \
    pyclbr pydoc pydoc_data pyexpat queue quopri random re readline reprlib resource rlcompleter runpy sched \
    secrets select selectors shelve shlex shutil signal site smtpd smtplib sndhdr socket socketserver spwd \
    sqlite3 sre_compile sre_constants sre_parse ssl stat statistics string stringprep struct subprocess sunau \
    symbol symtable sys sysconfig syslog tabnanny tarfile telnetlib tempfile termios test textwrap this \
    threading time timeit tkinter token tokenize tomllib trace traceback tracemalloc tty turtle turtledemo types \
    typing unicodedata unittest urllib uu uuid venv warnings wave weakref webbrowser winreg winsound wsgiref \
    xdrlib xml xmlrpc zipapp zipfile zipimport zlib zoneinfo";

/// A plain module name that is not the standard library's, and no runner of other modules.
fn is_server_module(module: &str) -> bool {
    let mut parts = module.split('.');
    let first = parts
        .clone()
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let standard = STANDARD_LIBRARY
        .split_ascii_whitespace()
        .any(|name| name == first);
    !standard
        && !first.starts_with('_')
        && can_be_server(&first)
        && parts.all(|part| {
            part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interpreter_is_a_version_of_a_known_implementation() {
        for good in [
            "3",
            "3.12",
            "3.12.4",
            "3.13t",
            "3.14rc1",
            "3.14.0a2",
            "python3.12",
            "python@3.12",
            "cpython-3.12",
            "cpython@3.12",
            "pypy@3.10",
            "pypy",
            "PyPy3.10",
        ] {
            assert!(is_interpreter(good), "{good}");
        }
        for bad in [
            "",
            "bash",
            "sh",
            "3bash",
            "python-bash",
            "pythonx",
            "/bin/bash",
            "./python",
            "3.12/bash",
            "node",
            "3.12-bash",
            "-c",
            ".",
            "..",
        ] {
            assert!(!is_interpreter(bad), "{bad}");
        }
    }

    #[test]
    fn a_server_module_is_nobodys_runner() {
        for good in [
            "mcp_server_time",
            "mcp_server_fetch.main",
            "fastmcp",
            "acme",
            "server_v2",
        ] {
            assert!(is_server_module(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "a/b",
            "a-b",
            "1a",
            "a.",
            "a..b",
            "_pyrepl",
            "_x",
            "pydoc",
            "pickle",
            "multiprocessing.spawn",
            "sqlite3",
            "xmlrpc.server",
            "wsgiref.simple_server",
            "http.server",
            "asyncio",
            "asyncore",
            "cProfile",
            "pdb",
            "debugpy",
            "coverage",
            "pytest",
            "jupyter",
            "ptpython",
            "IPython",
            "uvicorn",
            "flask",
            "pip",
            "uv",
            "venv",
            "virtualenv",
            "gunicorn",
            "streamlit",
        ] {
            assert!(!is_server_module(bad), "{bad}");
        }
    }
}
