//! The benches: one program that prints each figure beside its limit (docs/performance.md).
//!
//! | module | measures |
//! |---|---|
//! | [`reducer`] | folding events, short and long threads, with and without parsing |
//! | [`store`] | durable appends beside a bare loop of the same inserts |
//! | [`postgres`] | the store on PostgreSQL beside pgbench, wake-ups between processes, pages of many sessions |
//! | [`latency`] | from OpenCode's socket to the browser's, over a real OpenCode |
//! | [`durable`] | bytes on disk per byte of a finished transcript |
//! | [`footprint`] | memory and start of the desktop program with a long thread |
//! | [`config`] | loading a configuration in a new process |
//! | [`command`] | `open-cowork config validate` of many files |
//! | [`search`] | full-text search over 200,000 threads, on both databases |
//! | [`cloud`] | memory, start, requests and streams of the cloud program |
//!
//! What they stand on: [`figure`] (a figure, its target, its verdict), [`machine`], [`report`], [`thread`] (a
//! generated thread), [`proxy`] and [`browser`] (both ends of the latency), [`relay`] (its limit), [`desktop`]
//! (the program as a child process), [`program`] (building one), [`server`] (the cloud as a child process),
//! [`load`] and [`streams`] (its clients).

mod browser;
mod cloud;
mod command;
mod config;
mod desktop;
mod durable;
mod figure;
mod footprint;
mod latency;
mod load;
mod machine;
mod postgres;
mod program;
mod proxy;
mod reducer;
mod relay;
mod report;
mod search;
mod server;
mod store;
mod streams;
mod thread;

use clap::Parser;
use figure::Figure;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// Measures Open Cowork and prints each figure beside its limit. A missed target is a line of the table, not a
/// failure: the exit code is 0 unless a bench can't run.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:\n  \
        cargo run --release -p open-cowork-benches                        everything, about two minutes\n  \
        cargo run --release -p open-cowork-benches -- --only latency      one bench\n  \
        cargo run --release -p open-cowork-benches -- --quick             smaller runs, rougher figures\n  \
        cargo run --release -p open-cowork-benches -- --json > bench.json for a program to read"
)]
struct Arguments {
    /// Prints one JSON object on standard output instead of a table.
    #[arg(long)]
    json: bool,
    /// Only this bench.
    #[arg(long, value_enum, value_name = "NAME")]
    only: Option<Bench>,
    /// Smaller runs: rougher figures in less time.
    #[arg(long)]
    quick: bool,
    /// Serves the bytes of a file instead: the limit that the cloud is compared with.
    #[arg(long, hide = true, requires = "bare_port")]
    bare_route: Option<PathBuf>,
    /// On this port.
    #[arg(long, hide = true)]
    bare_port: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Bench {
    /// Folding events into a view.
    Reducer,
    /// Durable appends.
    Store,
    /// The store on PostgreSQL.
    Postgres,
    /// From OpenCode's socket to the browser's; also the bytes on disk per byte of transcript.
    Latency,
    /// Memory and start of the desktop program.
    Footprint,
    /// Loading a configuration, cold.
    Config,
    /// The command's validation of many files.
    Command,
    /// Full-text search over many threads.
    Search,
    /// The cloud program.
    Cloud,
}

impl Bench {
    const ALL: &[Bench] = &[
        Bench::Reducer,
        Bench::Store,
        Bench::Postgres,
        Bench::Latency,
        Bench::Footprint,
        Bench::Config,
        Bench::Command,
        Bench::Search,
        Bench::Cloud,
    ];

    fn name(self) -> &'static str {
        match self {
            Bench::Reducer => "reducer",
            Bench::Store => "store",
            Bench::Postgres => "postgres",
            Bench::Latency => "latency",
            Bench::Footprint => "footprint",
            Bench::Config => "config",
            Bench::Command => "command",
            Bench::Search => "search",
            Bench::Cloud => "cloud",
        }
    }

    fn run(self, quick: bool) -> anyhow::Result<Vec<Figure>> {
        match self {
            Bench::Reducer => reducer::run(quick),
            Bench::Store => store::run(quick),
            Bench::Postgres => postgres::run(quick),
            Bench::Latency => latency::run(quick),
            Bench::Footprint => footprint::run(quick),
            Bench::Config => config::run(quick),
            Bench::Command => command::run(quick),
            Bench::Search => search::run(quick),
            Bench::Cloud => cloud::run(quick),
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let (Some(file), Some(port)) = (&arguments.bare_route, arguments.bare_port) {
        return match server::serve_bare(file, port) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("the bare route can't be served: {error:#}");
                ExitCode::FAILURE
            }
        };
    }
    let mut report = report::Report::new(machine::read(), arguments.quick);
    let mut failed = false;
    for bench in Bench::ALL
        .iter()
        .copied()
        .filter(|bench| arguments.only.is_none_or(|only| only == *bench))
    {
        eprintln!("bench {}: running", bench.name());
        let started = Instant::now();
        match bench.run(arguments.quick) {
            Ok(figures) => report.add(bench.name(), figures),
            Err(error) => {
                failed = true;
                eprintln!("bench {} can't run: {error:#}", bench.name());
            }
        }
        eprintln!(
            "bench {}: {:.1} s",
            bench.name(),
            started.elapsed().as_secs_f64()
        );
    }
    let printed = if arguments.json {
        report.json()
    } else {
        report.table()
    };
    println!("{printed}");
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
