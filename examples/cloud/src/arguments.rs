//! The command line. Everything else is a variable or in the configuration file.

use clap::Parser;
use std::path::PathBuf;

/// The cloud: agents on OpenCode for an organisation, with an API and a workbench.
///
/// Without any setting it serves one owner on http://127.0.0.1:8787, with SQLite and files below .open-cowork-cloud.
/// Settings are OPEN_COWORK_CLOUD_… variables and open-cowork.config.json; docs/cloud.md lists them.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:\n  \
        open-cowork-cloud-example\n  \
        PORT=9000 open-cowork-cloud-example --config open-cowork.config.json\n  \
        OPEN_COWORK_CLOUD_ROLE=web OPEN_COWORK_CLOUD_CONTROL_PLANE_URL=postgresql://… open-cowork-cloud-example\n  \
        open-cowork-cloud-example --check     reads all settings, says what is wrong with them, and ends\n\n\
        Exit codes: 0 ended in order, 1 failed, 2 wrong settings, 130 told to stop twice."
)]
pub(crate) struct Arguments {
    /// A configuration file above the others; may be given several times, the last wins.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Vec<PathBuf>,
    /// Reads all settings, says what is wrong with them, and ends.
    #[arg(long)]
    pub(crate) check: bool,
}
