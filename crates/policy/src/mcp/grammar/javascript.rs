//! Node.js, Bun, Deno, and the package runners around them.

use super::{Call, Known, attached, flag, is_number, is_word, maybe, value};
use crate::mcp::package::is_pinned_npm;
use crate::mcp::stdio::StdioRefusal;

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
/// How a pinned package is written.
pub(super) const PIN: &str = "name@1.2.3";

impl<'a> Call<'a> {
    pub(super) fn node(&self) -> Result<Vec<String>, StdioRefusal> {
        let parsed = self.options(NODE, self.args)?;
        self.script(parsed.rest)
    }

    pub(super) fn bun(&self) -> Result<Vec<String>, StdioRefusal> {
        let parsed = self.options(BUN, self.args)?;
        match parsed.rest {
            ["x", rest @ ..] => self.package_runner(BUNX, rest),
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

    pub(super) fn npx(&self) -> Result<Vec<String>, StdioRefusal> {
        self.package_runner(NPX, self.args)
    }

    pub(super) fn bunx(&self) -> Result<Vec<String>, StdioRefusal> {
        self.package_runner(BUNX, self.args)
    }

    pub(super) fn pnpx(&self) -> Result<Vec<String>, StdioRefusal> {
        self.package_runner(PNPM, self.args)
    }

    /// `npx`, `bunx`, `pnpm dlx`: options, then a pinned package, or the program of a pinned `--package`.
    fn package_runner(
        &self,
        known: &'static [Known],
        args: &'a [&'a str],
    ) -> Result<Vec<String>, StdioRefusal> {
        let parsed = self.options(known, args)?;
        let packages = parsed.values(&["-p", "--package"]);
        match parsed.first() {
            program if !packages.is_empty() => self.program_of(&packages, program),
            package if is_pinned_npm(package) => self.package(package),
            _ => Err(self.not_pinned(PIN)),
        }
    }

    /// `npm exec`: npm reads options also behind the package, up to `--`.
    pub(super) fn npm(&self) -> Result<Vec<String>, StdioRefusal> {
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
        self.package_runner(NPX, rest)
    }

    pub(super) fn pnpm(&self) -> Result<Vec<String>, StdioRefusal> {
        let parsed = self.options(PNPM, self.args)?;
        match parsed.rest {
            ["dlx", rest @ ..] => self.package_runner(PNPM, rest),
            _ => Err(self.subcommand("`pnpm dlx name@1.2.3`")),
        }
    }

    pub(super) fn deno(&self) -> Result<Vec<String>, StdioRefusal> {
        let ["run", rest @ ..] = self.args else {
            return Err(self.subcommand("`deno run /path/to/server.ts`"));
        };
        let parsed = self.options(DENO, rest)?;
        let first = parsed.first();
        match first
            .strip_prefix("npm:")
            .or_else(|| first.strip_prefix("jsr:"))
        {
            Some(package) if is_pinned_npm(package) && !package.contains(['#', ':']) => {
                self.package(package)
            }
            Some(_) => Err(self.not_pinned("npm:name@1.2.3")),
            None => self.script(parsed.rest),
        }
    }
}
