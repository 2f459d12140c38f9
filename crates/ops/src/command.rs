//! One file per command. A command gets its arguments and hands back an [`Outcome`]; only JSON of a shape of its own is
//! printed where it is made.
//!
//! | module | command |
//! |---|---|
//! | `config_validate` | `config validate` |
//! | `config_explain` | `config explain` |
//! | `config_schema` | `config schema` |
//! | `config_view` | `config view` |
//! | `config_check_corpus` | `config check-corpus` |
//! | `distribution_check` | `distribution check` |
//! | `hygiene_scan` | `hygiene scan` |
//! | `branding_preview` | `branding preview` |
//! | `proof_compatibility` | `proof compatibility` |
//! | `cloud` | `cloud migrate`, `cloud status`, `cloud doctor` |
//! | `health`, `evidence` | `health` |
//! | `completions` | `completions`, `man` |
//! | `layers` | which layers the commands of a configuration load |
//! | `progress` | how far a long command got |

mod branding_preview;
mod cloud;
mod completions;
mod config_check_corpus;
mod config_explain;
mod config_schema;
mod config_validate;
mod config_view;
mod distribution_check;
mod evidence;
mod health;
mod hygiene_scan;
mod layers;
mod progress;
mod proof_compatibility;

use crate::arguments::{
    Arguments, BrandingCommand, CloudCommand, Command, ConfigCommand, DistributionCommand,
    HygieneCommand, ProofCommand,
};
use crate::error::CommandError;
use crate::output::{Format, Outcome};
use open_cowork_runtime_host::compatibility::ProofOptions;
use std::path::{Path, PathBuf};

/// Runs one command.
///
/// # Errors
/// When it can't do its job; what it finds is in the outcome.
pub fn run(arguments: &Arguments) -> Result<Outcome, CommandError> {
    let place = Place::new(arguments.global.root.clone())?;
    let format = arguments.global.format;
    match &arguments.command {
        Command::Config(ConfigCommand::Validate { files, kind }) => {
            config_validate::run(&place, files, *kind).map(report)
        }
        Command::Config(ConfigCommand::Explain { key, layers }) => {
            config_explain::run(&place, key, layers, format)
        }
        Command::Config(ConfigCommand::Schema { overlay, fragment }) => {
            no_sarif(format, "config schema")?;
            config_schema::run(*overlay, *fragment).map(Outcome::Document)
        }
        Command::Config(ConfigCommand::View { reader, layers }) => {
            config_view::run(&place, *reader, layers, format)
        }
        Command::Config(ConfigCommand::CheckCorpus) => {
            no_sarif(format, "config check-corpus")?;
            config_check_corpus::run()
        }
        Command::Distribution(DistributionCommand::Check {
            dir,
            config,
            values,
        }) => distribution_check::run(&place, dir, config.as_deref(), values).map(report),
        Command::Hygiene(HygieneCommand::Scan {
            dir,
            write_baseline,
        }) => hygiene_scan::run(&place, dir, write_baseline.as_deref()),
        Command::Branding(BrandingCommand::Preview { layers, out }) => {
            branding_preview::run(&place, layers, out.as_deref())
        }
        Command::Proof(ProofCommand::Compatibility {
            json,
            allow_missing_runtime_version,
            allow_private_assumptions,
        }) => {
            let options = ProofOptions {
                allow_missing_runtime_version: *allow_missing_runtime_version,
                allow_private_assumptions: *allow_private_assumptions,
            };
            let format = if *json { Format::Json } else { format };
            proof_compatibility::run(&place, options, format)
        }
        Command::Cloud(CloudCommand::Migrate { layers }) => {
            cloud::migrate(&place, layers).map(report)
        }
        Command::Cloud(CloudCommand::Status { layers }) => {
            cloud::status(&place, layers).map(report)
        }
        Command::Cloud(CloudCommand::Doctor { layers }) => {
            cloud::doctor(&place, layers).map(report)
        }
        Command::Health {
            data_dir,
            opencode,
            intent,
            layers,
        } => {
            let options = health::Options {
                data_dir: data_dir.clone(),
                opencode: opencode.clone(),
                intent: intent.clone(),
                config: layers.config.clone(),
            };
            health::run(&place, &options, format)
        }
        Command::Completions { shell } => Ok(Outcome::Document(completions::script(*shell)?)),
        Command::Man { dir } => completions::man(&place, dir.as_deref()),
    }
}

fn report(reported: crate::output::Reported) -> Outcome {
    Outcome::Report(Box::new(reported))
}

/// Only findings have a SARIF form.
fn no_sarif(format: Format, command: &str) -> Result<(), CommandError> {
    if format == Format::Sarif {
        return Err(CommandError::Usage(format!(
            "`{command}` has no findings to print as SARIF; use --format text or json"
        )));
    }
    Ok(())
}

/// The folder that a command works in.
#[derive(Debug)]
pub(crate) struct Place {
    root: Option<PathBuf>,
}

impl Place {
    fn new(root: Option<PathBuf>) -> Result<Self, CommandError> {
        match root {
            Some(root) if !root.is_dir() => Err(CommandError::Usage(format!(
                "--root {}: there is no such folder",
                root.display()
            ))),
            root => Ok(Place { root }),
        }
    }

    /// A path of the command line as this process opens it.
    pub(crate) fn open(&self, path: &Path) -> PathBuf {
        match &self.root {
            Some(root) => root.join(path),
            None => path.to_owned(),
        }
    }

    /// The folder itself, absolute.
    pub(crate) fn folder(&self) -> Result<PathBuf, CommandError> {
        let root = self.root.clone().unwrap_or_else(|| PathBuf::from("."));
        std::path::absolute(root).map_err(|error| {
            CommandError::Missing(format!("the current folder can't be read: {error}"))
        })
    }
}
