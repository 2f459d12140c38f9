//! The `open-cowork` command; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    open_cowork_cli::run(std::env::args_os()).into()
}
