//! Scans a folder and prints findings; a stopwatch while the rules change.

use open_cowork_cli::hygiene::{self, Options};
use std::path::Path;

fn main() {
    let root = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let start = std::time::Instant::now();
    match hygiene::scan(Path::new(&root), &Options::default()) {
        Ok(scan) => {
            for finding in &scan.findings {
                println!(
                    "{}:{} {}",
                    finding.path,
                    finding.column.unwrap_or_default(),
                    finding.code
                );
            }
            println!(
                "{} findings, {} files, {} lines, {:?}",
                scan.findings.len(),
                scan.files,
                scan.lines,
                start.elapsed()
            );
        }
        Err(error) => println!("{error}"),
    }
}
