//! Loads one file as the only layer and prints how long that took, in nanoseconds: reading, placeholders,
//! schema, merging, semantics and types, in a new process. `cargo xtask bench -- --only config` runs it.
//!
//! ```text
//! cargo run --release -p open-cowork-config --example load fixtures/config/full.json
//! ```

use open_cowork_config::load::load;
use open_cowork_config::source::{LayerKind, Sources, Surface};
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let started = Instant::now();
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("Name a configuration file.");
        return ExitCode::from(2);
    };
    let loaded = Sources::new(Surface::Every)
        .with_file(LayerKind::Base, path.as_ref(), None)
        .map_err(|finding| vec![finding])
        .and_then(|sources| load(&sources));
    let elapsed = started.elapsed();
    match loaded {
        Ok(_) => {
            println!("{}", elapsed.as_nanos());
            ExitCode::SUCCESS
        }
        Err(findings) => {
            for finding in findings {
                eprintln!("{}: {}", finding.path, finding.message);
            }
            ExitCode::FAILURE
        }
    }
}
