//! Build tasks: `cargo xtask demo`, `test`, `bench`, `fuzz`, `api`, `soak`, `chaos`.
//!
//! | module | holds |
//! |---|---|
//! | [`demo`] | starts the desktop with a scripted model, until Ctrl-C |
//! | [`suite`] | everything that CI checks, step by step |
//! | [`mod@bench`] | the benches |
//! | [`fuzz`] | the fuzz targets |
//! | [`api`] | schemathesis against a running cloud |
//! | [`campaign`] | the long campaigns of the cloud: soak, chaos |
//! | [`layers`] | the dependency boundary (docs/dependency-layers.toml) |
//! | [`supply`] | licences, bans and sources of dependencies (deny.toml) |
//! | [`pages`] | links and hygiene of the documentation |
//! | [`machine`] | programs that the machine must have |
//! | [`step`] | named steps with progress, timing and a log |

mod api;
mod bench;
mod campaign;
mod demo;
mod fuzz;
mod layers;
mod machine;
mod pages;
mod step;
mod suite;
mod supply;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Build tasks of Open Cowork.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    after_help = "Examples:\n  \
        cargo xtask demo            try it: fetches OpenCode, starts everything, prints the address\n  \
        cargo xtask test            all checks, as CI runs them\n  \
        cargo xtask test --quick    format, lints and unit tests only\n  \
        cargo xtask bench --json    the benches, for a program to read\n  \
        cargo xtask fuzz            ten minutes of hostile input"
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Starts the desktop; without a provider of your own it talks to a scripted model.
    Demo(demo::Options),
    /// Runs every check; installs missing Debian packages when root.
    #[command(
        after_help = "Examples:\n  cargo xtask test\n  cargo xtask test --quick\n  \
        cargo xtask test --only pages"
    )]
    Test {
        /// Only format, lints and unit tests.
        #[arg(long)]
        quick: bool,
        /// Only the steps whose name contains this: format, clippy, layers, licences, pages,
        /// programs, OpenCode, tests, API, documentation.
        #[arg(long, value_name = "NAME")]
        only: Option<String>,
    },
    /// Runs the benches in release mode.
    #[command(
        after_help = "Examples:\n  cargo xtask bench\n  cargo xtask bench --json > bench.json\n  cargo xtask bench -- --only latency"
    )]
    Bench {
        /// Prints JSON on standard output instead of a table.
        #[arg(long)]
        json: bool,
        /// Options of the benches themselves, such as `--only latency` or `--quick`.
        #[arg(last = true)]
        rest: Vec<String>,
    },
    /// Feeds the configuration loader with hostile input; needs a C++ compiler.
    #[command(
        after_help = "Examples:\n  cargo xtask fuzz\n  cargo xtask fuzz --seconds 60 --target loader"
    )]
    Fuzz(fuzz::Options),
    /// Starts the cloud and lets schemathesis compare it with its own API document; needs Python.
    #[command(after_help = "Examples:\n  cargo xtask api\n  cargo xtask api --seconds 60")]
    Api(api::Options),
    /// Cuts the connections of many subscribers at random; all must end with the same view.
    #[command(after_help = "Examples:\n  cargo xtask soak\n  cargo xtask soak --seconds 600")]
    Soak(campaign::Soak),
    /// Kills workers and servers at random while clients work; nothing may be lost or happen twice.
    #[command(
        after_help = "Examples:\n  cargo xtask chaos\n  cargo xtask chaos --kills 20 --seed 7"
    )]
    Chaos(campaign::Chaos),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Demo(options) => demo::run(&options).map(|()| ExitCode::SUCCESS),
        Task::Test { quick, only } => suite::run(quick, only),
        Task::Bench { json, rest } => bench::run(json, &rest).map(|()| ExitCode::SUCCESS),
        Task::Fuzz(options) => fuzz::run(&options).map(|()| ExitCode::SUCCESS),
        Task::Api(options) => api::run(&options).map(|note| {
            println!("{note}");
            ExitCode::SUCCESS
        }),
        Task::Soak(options) => campaign::soak(&options).map(|()| ExitCode::SUCCESS),
        Task::Chaos(options) => campaign::chaos(&options).map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}

/// The top folder of the workspace.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap_or_else(|_| ".".into())
}

/// The cargo that runs us.
fn cargo() -> std::process::Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = std::process::Command::new(program);
    command.current_dir(root());
    command
}
