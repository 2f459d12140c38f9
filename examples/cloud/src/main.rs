//! The cloud program with Open Cowork's own adapters. A distribution's looks like it: see `examples/downstream`.

use open_cowork_cloud::Distribution;
use std::process::ExitCode;

fn main() -> ExitCode {
    open_cowork_cloud::main(&Distribution::new(
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_VERSION"),
    ))
}
