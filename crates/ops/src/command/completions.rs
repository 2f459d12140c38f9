//! `open-cowork completions`, `open-cowork man`: made from the command line's definition.

use super::Place;
use crate::arguments::Arguments;
use crate::error::CommandError;
use crate::output::{Outcome, count};
use clap::CommandFactory as _;
use clap_complete::Shell;
use std::path::Path;

/// The completion script.
pub(super) fn script(shell: Shell) -> Result<String, CommandError> {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "open-cowork", &mut out);
    text(out)
}

/// The main page as text, or all pages as files.
pub(super) fn man(place: &Place, dir: Option<&Path>) -> Result<Outcome, CommandError> {
    let Some(dir) = dir else {
        let mut out = Vec::new();
        clap_mangen::Man::new(Arguments::command())
            .render(&mut out)
            .map_err(|error| CommandError::Internal(format!("the man page: {error}")))?;
        return Ok(Outcome::Document(text(out)?));
    };
    let folder = place.open(dir);
    if !folder.is_dir() {
        return Err(CommandError::Usage(format!(
            "{}: there is no such folder; create it first",
            dir.display()
        )));
    }
    let written = |error: std::io::Error| {
        CommandError::Missing(format!("{} can't be written: {error}", dir.display()))
    };
    clap_mangen::generate_to(Arguments::command(), &folder).map_err(written)?;
    let pages = std::fs::read_dir(&folder)
        .map_err(written)?
        .filter_map(Result::ok)
        .filter(|entry| {
            let name = entry.file_name();
            name.to_string_lossy().starts_with("open-cowork")
                && name.to_string_lossy().ends_with(".1")
        })
        .count();
    Ok(Outcome::Document(format!(
        "{} in {}",
        count(pages, "man page"),
        dir.display()
    )))
}

fn text(out: Vec<u8>) -> Result<String, CommandError> {
    String::from_utf8(out)
        .map(|text| text.trim_end().to_owned())
        .map_err(|_| CommandError::Internal("the text isn't UTF-8".into()))
}
