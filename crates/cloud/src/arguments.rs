//! The command line. Everything else is a variable or in the configuration file.

use crate::distribution::Distribution;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use std::path::PathBuf;

/// The cloud: agents on OpenCode for an organisation, with an API and a workbench.
///
/// Without any setting it serves one owner on http://127.0.0.1:8787, with SQLite and files below .open-cowork-cloud.
/// Settings are OPEN_COWORK_CLOUD_… variables and open-cowork.config.json; docs/cloud.md lists them.
#[derive(Debug, Parser)]
pub(crate) struct Arguments {
    /// A configuration file above the others; may be given several times, the last wins.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Vec<PathBuf>,
    /// Reads all settings, says what is wrong with them, and ends.
    #[arg(long)]
    pub(crate) check: bool,
}

impl Arguments {
    /// Of this process, under the name and version of the distribution. Ends the process for `--help`, `--version`
    /// and what can't be read, as command lines do.
    pub(crate) fn of_process(distribution: &Distribution) -> Self {
        let name = distribution.name;
        let examples = format!(
            "Examples:\n  \
            {name}\n  \
            PORT=9000 {name} --config open-cowork.config.json\n  \
            OPEN_COWORK_CLOUD_ROLE=web OPEN_COWORK_CLOUD_CONTROL_PLANE_URL=postgresql://… {name}\n  \
            {name} --check     reads all settings, says what is wrong with them, and ends\n\n\
            Exit codes: 0 ended in order, 1 failed, 2 wrong settings, 130 told to stop twice."
        );
        let command = Arguments::command()
            .name(name)
            .version(distribution.version)
            .after_help(examples);
        let read = Arguments::from_arg_matches(&command.get_matches());
        read.unwrap_or_else(|error| error.exit())
    }
}
