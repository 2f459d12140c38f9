//! `cargo xtask test`: everything that CI checks.

use crate::step::Steps;
use crate::{api, cargo, layers, machine, pages, root, supply};
use open_cowork_testkit::opencode::{PINNED_VERSION, provision_reporting};
use open_cowork_testkit::process::find_program;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// Runs all checks, or the quick ones; the exit code says whether all were fine.
pub(crate) fn run(quick: bool, only: Option<String>) -> anyhow::Result<ExitCode> {
    let mut steps = Steps::new(target_folder().join("xtask"), only)?;
    steps.command("format", cargo().args(["fmt", "--all", "--check"]));
    steps.command(
        "clippy",
        cargo().args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]),
    );
    if quick {
        unit_tests(&mut steps);
    } else {
        the_rest(&mut steps);
    }
    Ok(if steps.finish() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn unit_tests(steps: &mut Steps) {
    let mut command = cargo();
    if has_nextest() {
        command.args([
            "nextest",
            "run",
            "--workspace",
            "--lib",
            "--bins",
            "--no-fail-fast",
        ]);
        command.args(["-E", "not test(/(^|::)real_/)"]);
    } else {
        command.args(["test", "--workspace", "--lib", "--bins", "--no-fail-fast"]);
        command.args(["--", "--skip", "real_"]);
    }
    steps.tests("unit tests", &mut command);
}

fn the_rest(steps: &mut Steps) {
    steps.run("dependency layers", layers::check);
    steps.run("licences, bans, sources", supply::check);
    steps.run("pages", || pages::check(&root()));
    steps.run("programs", || {
        machine::ensure(machine::FOR_TESTS)?;
        Ok(String::new())
    });
    let mut opencode: Option<PathBuf> = None;
    steps.run("OpenCode", || {
        let path = provision_reporting(|line| println!("     OpenCode: {line}"))?;
        opencode = Some(path);
        Ok(PINNED_VERSION.to_owned())
    });

    let mut command = cargo();
    if has_nextest() {
        command.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
    } else {
        let kinds = ["--lib", "--bins", "--tests", "--examples"];
        command
            .args(["test", "--workspace", "--no-fail-fast"])
            .args(kinds);
    }
    let mut doc_tests = cargo();
    doc_tests.args(["test", "--workspace", "--doc"]);
    if let Some(path) = &opencode {
        command.env("OPEN_COWORK_TEST_OPENCODE", path);
        doc_tests.env("OPEN_COWORK_TEST_OPENCODE", path);
    }
    steps.tests("tests", &mut command);
    steps.tests("doc tests", &mut doc_tests);
    steps.tests("cloud with NATS", &mut with_nats());
    steps.run("API against its document", || {
        api::run(&api::Options {
            seconds: API_SECONDS,
        })
    });
    steps.command(
        "documentation",
        cargo()
            .args(["doc", "--workspace", "--no-deps"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    );
}

/// What only a program with that feature can do; the rest of the suite tests the one without.
fn with_nats() -> Command {
    let mut command = cargo();
    command.args([
        "test",
        "-p",
        "open-cowork-cloud",
        "-p",
        "open-cowork-cloud-example",
    ]);
    command.args(["--features", "nats", "--lib", "--test", "nats"]);
    command
}

/// How long schemathesis may ask; `cargo xtask api` asks for longer.
const API_SECONDS: u64 = 60;

fn has_nextest() -> bool {
    find_program("cargo-nextest").is_some()
}

fn target_folder() -> PathBuf {
    let named = std::env::var_os("CARGO_TARGET_DIR").filter(|folder| !folder.is_empty());
    root().join(named.unwrap_or_else(|| "target".into()))
}
