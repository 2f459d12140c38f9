//! What a name tells about a program: shell, launcher, known runtime, or something of its own (05 §7.3).
//!
//! The same names count wherever a program is named: as the command, behind a link, as the script of a runtime,
//! as a package, as a Python module.

use super::stdio::StdioRefusal;

/// Runtimes that have a grammar. See `grammar::judge`.
const RUNTIMES: &str =
    "bun bunx deno go java javaw node nodejs npm npx pnpm pnpx python ruby uv uvx";

const SHELLS: &str = "\
    ash bash bosh busybox cmd csh dash elvish es eshell fish hush ion ksh lksh loksh mksh murex nu oksh osh \
    pdksh posh powershell pwsh rbash rc rksh rzsh sash scsh sh tcsh toybox xonsh yash ysh zsh";

/// Programs whose arguments are programs. Not complete, and it can't be: a foreign program at an absolute path
/// is the user's choice. It closes the known detours around the grammars.
const LAUNCHERS: &[&str] = &[
    // Under other limits, users, terminals or times.
    "at batch capsh catchsegv chpst chroot chrt dbus-launch dbus-run-session doas dumb-init env expect fakeroot",
    "firejail flock gosu ionice linux ltrace nice nohup nsenter numactl parallel pkexec prlimit proot",
    "rlwrap run-parts runuser screen script setarch setpriv setsid softlimit start-stop-daemon stdbuf strace su",
    "su-exec sudo supervisord systemd-run taskset time timeout tini tmux unbuffer unshare valgrind watch",
    "watchexec xargs xvfb-run",
    // In containers, emulators and other systems.
    "apptainer bwrap crictl ctr distrobox docker flatpak kubectl lxc mono nerdctl podman qemu singularity",
    "vagrant wine",
    // From the network.
    "curl mosh nc ncat rsh socat ssh telnet wget",
    // Task runners and version managers.
    "asdf bundle bundler cargo composer conda concurrently corepack cross-env devbox direnv dotnet forever git",
    "gradle gulp grunt hatch invoke just make mamba mise mvn ninja nix nix-shell nodemon nox npm-run-all pdm pip",
    "pipenv pipx pixi pm poetry rake rtx rye stack tox virtualenv volta yarn yarnpkg",
    // Interpreters without a grammar.
    "awk babel-node bpython clisp clojure coffee cp cpython cscript elixir emacs emacsclient erl esno esrun gawk",
    "ghci gosh gp graalpy graalpython groovy guile iex ipython irb jruby jshell julia kotlin lua luajit mawk",
    "mshta ocaml octave osascript perl php php-cgi php-cli pp pry ptpython pyodide pypy pythonw r racket regsvr",
    "rscript rundll runghc runhaskell sbcl scala sucrase-node swc-node tclsh truffleruby ts-node tsx vite-node",
    "wish wscript zx",
    // Debuggers, test runners and web servers that load what they are told.
    "celery coverage debugpy flask gdb gunicorn hypercorn ipdb ipykernel jupyter kernprof lldb notebook pudb",
    "pytest streamlit uvicorn viztracer waitress",
    // Editors and tools that run commands.
    "ed ex find nvim rvim sed tar vi view vim vimdiff",
];

/// Judges the name of a program that was found behind a path or a link: no shell and no launcher hides there.
pub fn check_program_name(path: &str) -> Result<(), StdioRefusal> {
    let program = program_name(path);
    let family = family(&program);
    if words(SHELLS).any(|shell| shell == family) {
        return Err(StdioRefusal::Shell { program });
    }
    if is_loader(&program)
        || program.starts_with("qemu-")
        || LAUNCHERS
            .iter()
            .flat_map(|line| words(line))
            .any(|name| name == family)
    {
        return Err(StdioRefusal::Launcher { program });
    }
    Ok(())
}

/// Does this name one of the runtimes that have a grammar?
pub(super) fn is_runtime(path: &str) -> bool {
    let program = program_name(path);
    words(RUNTIMES).any(|runtime| runtime == family(&program))
}

/// Can a package or module of this name be a server, rather than a way to run something else?
pub(super) fn can_be_server(name: &str) -> bool {
    let name = name.replace('_', "-");
    check_program_name(&name).is_ok() && !is_runtime(&name)
}

/// The dynamic loader runs the program that its argument names; it is the one shared object that can be started,
/// under many names: `ld-linux-x86-64.so.2`, `ld-2.31.so`, `ld64.so.2`, `libc.so`.
fn is_loader(program: &str) -> bool {
    program.ends_with(".so")
        || program.contains(".so.")
        || program.starts_with("ld-linux")
        || program.starts_with("ld-musl")
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split_ascii_whitespace()
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

/// The name without version and kind of build: `python3.11`, `python3.13t`, `python3-dbg` are `python`, `bash-5`
/// and `bash-static` are `bash`. The script behind a package runner's link is that runner: `npx-cli.js` is `npx`.
pub(super) fn family(program: &str) -> &str {
    if let Some(tool) = script_of_tool(program) {
        return tool;
    }
    // `perl5.36-x86_64-linux-gnu`
    let machine = ["-x86_64", "-aarch64"]
        .iter()
        .find_map(|machine| program.find(machine));
    let mut name = &program[..machine.unwrap_or(program.len())];
    loop {
        let before = name;
        name = name.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'));
        for suffix in [
            "-dbg", "-debug", "-static", "-minimal", "-intel", ".basic", ".nox", ".tiny",
        ] {
            name = name.strip_suffix(suffix).unwrap_or(name);
        }
        // Python's marks of a build stand behind its number: `python3.13t`, `python3.7m`.
        let number = name.trim_end_matches(['t', 'd', 'm']);
        if number.ends_with(|c: char| c.is_ascii_digit()) {
            name = number;
        }
        if name == before {
            break;
        }
    }
    if name.is_empty() { program } else { name }
}

fn script_of_tool(program: &str) -> Option<&str> {
    let script = [".js", ".cjs", ".mjs"]
        .iter()
        .find_map(|suffix| program.strip_suffix(suffix))?;
    let tool = script.strip_suffix("-cli").unwrap_or(script);
    words("corepack npm npx pnpm pnpx yarn yarnpkg")
        .any(|name| name == tool)
        .then_some(tool)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_family_under_any_build() {
        for (program, expected) in [
            ("python", "python"),
            ("python3.11", "python"),
            ("python3.13t", "python"),
            ("python3.13td", "python"),
            ("python3.7m", "python"),
            ("python3-dbg", "python"),
            ("python3.12-intel64", "python"),
            ("bash-5.2", "bash"),
            ("bash-static", "bash"),
            ("perl5.36-x86_64-linux-gnu", "perl"),
            ("vim.tiny", "vim"),
            ("npx-cli.js", "npx"),
            ("pnpm.cjs", "pnpm"),
            // A user's own files keep their names.
            ("git.js", "git.js"),
            ("server-cli.js", "server-cli.js"),
            ("acme-mcp", "acme-mcp"),
            ("mcp-server-git", "mcp-server-git"),
            ("22", "22"),
            ("-", "-"),
        ] {
            assert_eq!(family(program), expected, "{program}");
        }
    }

    #[test]
    fn every_listed_name_can_be_found() {
        let lists = LAUNCHERS.iter().chain([&SHELLS, &RUNTIMES]);
        for name in lists.flat_map(|line| words(line)) {
            assert_eq!(
                family(name),
                name,
                "a version is cut off before the look-up"
            );
        }
    }

    #[test]
    fn shells_launchers_and_loaders_are_found_under_any_name() {
        for path in [
            "/usr/bin/bash",
            "/usr/bin/BASH",
            "/usr/bin/bash-static",
            "/bin/sash",
            "/bin/posh",
            "/bin/lksh",
            "/bin/pdksh",
            "/bin/loksh",
            "/bin/hush",
            "/bin/osh",
            "/bin/es",
            "/usr/bin/php-cgi8.2",
            "/usr/bin/ex",
            "/usr/bin/nvim",
            "/usr/bin/emacs-29",
            "/usr/bin/guile-3.0",
            "/usr/bin/tmux",
            "/usr/bin/taskset",
            "/usr/bin/setpriv",
            "/usr/sbin/capsh",
            "/usr/bin/run-parts",
            "/sbin/start-stop-daemon",
            "/usr/bin/corepack",
            "/usr/lib/node_modules/corepack/dist/corepack.js",
            "/usr/bin/bundle3.1",
            "/usr/bin/mise",
            "/usr/bin/volta",
            "/usr/bin/nix",
            "/usr/bin/pixi",
            "/usr/bin/hatch",
            "/usr/bin/qemu-x86_64",
            "/usr/bin/qemu-aarch64-static",
            "/lib/ld-2.31.so",
            "/lib64/ld64.so.2",
            "/lib64/ld-linux-x86-64.so.2",
            "/lib/ld-musl-x86_64.so.1",
            "/lib/libc.musl-x86_64.so.1",
        ] {
            assert!(check_program_name(path).is_err(), "{path}");
        }
        for path in [
            "/opt/acme/bin/server",
            "/opt/acme/bin/ld-mcp",
            "/usr/local/bin/github-mcp-server",
            "/usr/local/bin/mcp-server-git",
            "/srv/git.js",
            "/usr/bin/node22",
            "/usr/bin/gh",
        ] {
            assert!(check_program_name(path).is_ok(), "{path}");
        }
    }

    #[test]
    fn a_package_named_like_a_runtime_is_no_server() {
        for name in [
            "node", "npx", "Python3", "cpython", "ts_node", "uvicorn", "bash",
        ] {
            assert!(!can_be_server(name), "{name}");
        }
        for name in [
            "server-filesystem",
            "mcp_server_time",
            "context7-mcp",
            "mcp",
            "fastmcp",
        ] {
            assert!(can_be_server(name), "{name}");
        }
    }
}
