//! Which layers the commands of a configuration load: those that a process started in this folder would (02 §2.1),
//! and the files that the command line names.

use super::Place;
use crate::error::CommandError;
use crate::output::{Outcome, Reported, count};
use open_cowork_config::load::{self, Loaded};
use open_cowork_config::source::{self, Environment, Sources, Surface};
use open_cowork_contracts::finding::Finding;
use std::path::{Path, PathBuf};

/// The name of the document that is compiled in.
pub(super) const PRODUCT: &str = "the product's own document";

/// A configuration that can't be used, with the texts to show lines of.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) findings: Vec<Finding>,
    pub(super) sources: Option<Sources>,
}

impl Refused {
    /// The same report as `config validate` prints, under the name of the command that needed the configuration.
    pub(super) fn into_outcome(self, command: &'static str) -> Outcome {
        Outcome::Report(Box::new(self.into_report(command)))
    }

    pub(super) fn into_report(self, command: &'static str) -> Reported {
        let layers = self
            .sources
            .as_ref()
            .map_or(0, |sources| sources.layers.len());
        Reported {
            command,
            findings: self.findings,
            texts: self.sources.map(texts).unwrap_or_default(),
            looked_at: count(layers, "layer"),
            ..Reported::default()
        }
    }
}

/// Finds, reads and loads. The outer error is about the command line, the inner one about the configuration.
pub(super) fn load(
    place: &Place,
    named: &[PathBuf],
) -> Result<Result<Loaded, Refused>, CommandError> {
    let sources = match discover(place, named)? {
        Ok(sources) => sources,
        Err(findings) => {
            return Ok(Err(Refused {
                findings,
                sources: None,
            }));
        }
    };
    Ok(load::load(&sources).map_err(|findings| Refused {
        findings,
        sources: Some(sources),
    }))
}

/// Finds and reads all layers. Files below the folder are shown relative to it.
pub(super) fn discover(
    place: &Place,
    named: &[PathBuf],
) -> Result<Result<Sources, Vec<Finding>>, CommandError> {
    let folder = place.folder()?;
    let environment = Environment {
        working_directory: folder.clone(),
        named: named.to_vec(),
        // A distribution under work has its own document in this folder; else the product's is the base.
        bundled: Some(open_cowork_desktop::config::BASE.to_owned()),
        ..Environment::of_process()
    };
    let found = source::discover(&environment, Surface::Every);
    Ok(found
        .map(|mut sources| {
            for layer in &mut sources.layers {
                layer.file = match layer.file.as_str() {
                    // It is in no file that anybody could open.
                    "bundled config" => PRODUCT.to_owned(),
                    file => relative(file, &folder),
                };
            }
            for warning in &mut sources.warnings {
                shorten(warning, &folder);
            }
            sources
        })
        .map_err(|mut findings| {
            for finding in &mut findings {
                shorten(finding, &folder);
            }
            findings
        }))
}

/// The texts of the layers by the names that findings use.
pub(super) fn texts(sources: Sources) -> std::collections::HashMap<String, String> {
    let layers = sources.layers.into_iter();
    layers.map(|layer| (layer.file, layer.text)).collect()
}

fn shorten(finding: &mut Finding, folder: &Path) {
    let prefix = format!("{}{}", folder.display(), std::path::MAIN_SEPARATOR);
    finding.message = finding.message.replace(&prefix, "");
    finding.path = relative(&finding.path, folder);
    let file = finding.file.as_deref().unwrap_or(&finding.path);
    finding.file = Some(relative(file, folder));
}

fn relative(file: &str, folder: &Path) -> String {
    let below = Path::new(file).strip_prefix(folder);
    below.map_or_else(|_| file.to_owned(), |below| below.display().to_string())
}
