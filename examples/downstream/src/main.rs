//! Prints what Example Cowork looks like: `cargo run -p open-cowork-downstream-example`.

use open_cowork_downstream_example::summary;
use std::path::Path;

fn main() -> anyhow::Result<()> {
    let folder = std::env::args_os().nth(1);
    let folder = folder
        .as_deref()
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")), Path::new);
    for line in summary::lines(&summary::read(folder, &[])?)? {
        println!("{line}");
    }
    Ok(())
}
