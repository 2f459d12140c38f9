//! Programs that the machine must have: installed with apt when we are root, else named.

use anyhow::{Context as _, bail};
use open_cowork_testkit::process::find_program;
use open_cowork_testkit::{nats, postgres};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A program and the Debian package that holds it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Program {
    name: &'static str,
    package: &'static str,
    /// Looks the name up.
    find: fn(&str) -> Option<PathBuf>,
}

const GIT: Program = Program {
    name: "git",
    package: "git",
    find: find_program,
};
const RIPGREP: Program = Program {
    name: "rg",
    package: "ripgrep",
    find: find_program,
};
const CHROMIUM: Program = Program {
    name: "chromium",
    package: "chromium",
    find: find_program,
};
const CHROMEDRIVER: Program = Program {
    name: "chromedriver",
    package: "chromium-driver",
    find: find_program,
};
/// The reference validator of the configuration schema runs on it.
const NODE: Program = Program {
    name: "node",
    package: "nodejs",
    find: find_program,
};
const NPM: Program = Program {
    name: "npm",
    package: "npm",
    find: find_program,
};
/// Debian keeps what makes virtual environments in a package of its own; schemathesis lives in one.
const PYTHON: Program = Program {
    name: "python3",
    package: "python3-venv",
    find: |name| {
        let python = find_program(name)?;
        let asked = Command::new(&python)
            .args(["-c", "import ensurepip, venv"])
            .stdin(Stdio::null())
            .output()
            .ok()?;
        asked.status.success().then_some(python)
    },
};
/// Debian keeps the server outside of PATH.
const POSTGRES: Program = Program {
    name: "postgres",
    package: "postgresql",
    find: |_| postgres::programs().ok(),
};

const NATS: Program = Program {
    name: "nats-server",
    package: "nats-server",
    find: |_| nats::program().ok(),
};

/// What the agent needs at run time.
pub(crate) const FOR_AGENT: &[Program] = &[GIT, RIPGREP];

/// What the tests need.
pub(crate) const FOR_TESTS: &[Program] = &[
    GIT,
    RIPGREP,
    CHROMIUM,
    CHROMEDRIVER,
    POSTGRES,
    NATS,
    NODE,
    NPM,
    PYTHON,
];

/// Makes sure that these programs are there.
///
/// # Errors
/// One sentence that names what is missing and how to install it.
pub(crate) fn ensure(programs: &[Program]) -> anyhow::Result<()> {
    let missing = missing_packages(programs);
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !rustix::process::geteuid().is_root() || find_program("apt-get").is_none() {
        bail!("missing: {list}; install them, on Debian with `sudo apt-get install {list}`");
    }
    apt(&["update", "--quiet"])?;
    let mut install = vec!["install", "--quiet", "--yes", "--no-install-recommends"];
    install.extend(&missing);
    apt(&install)?;
    let still = missing_packages(programs);
    if !still.is_empty() {
        bail!(
            "apt-get installed {list}, but {} is still missing",
            still.join(" ")
        );
    }
    Ok(())
}

fn missing_packages(programs: &[Program]) -> Vec<&'static str> {
    let missing = programs
        .iter()
        .filter(|program| (program.find)(program.name).is_none());
    missing.map(|program| program.package).collect()
}

fn apt(arguments: &[&str]) -> anyhow::Result<()> {
    eprintln!("     apt-get {}", arguments.join(" "));
    let output = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .context("apt-get could not be started")?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        let last = words.lines().last().unwrap_or("it said nothing");
        bail!("`apt-get {}` failed: {last}", arguments.join(" "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_by_its_package() {
        let there = Program {
            name: "sh",
            package: "dash",
            find: find_program,
        };
        let missing = Program {
            name: "no-such-program-here",
            package: "no-such-package",
            find: find_program,
        };
        assert_eq!(missing_packages(&[there, missing]), ["no-such-package"]);
        assert!(ensure(&[there]).is_ok());
    }
}
