//! The `open-cowork` command: validators, proofs, health (09 §1).
//!
//! | module | holds |
//! |---|---|
//! | [`arguments`] | the command line |
//! | [`command`] | one file per command |
//! | [`output`] | reports as text, JSON and SARIF |
//! | [`exit`] | exit codes |
//! | [`distribution`] | the downstream completion checklist |
//! | [`hygiene`] | what a public repository must not hold |
//! | `look` | what a page will not show as a configuration asks for it |
//! | [`error`] | why a command couldn't do its job |
//!
//! A validator collects all findings and says nothing on standard output but its report. Nothing is printed that
//! could hold a secret's value.

pub mod arguments;
pub mod command;
pub mod distribution;
pub mod error;
pub mod exit;
pub mod hygiene;
mod look;
pub mod output;

use arguments::{Arguments, Colour};
use clap::Parser as _;
use error::CommandError;
use exit::Exit;
use output::{Format, Outcome, Reported, Rules};
use std::ffi::OsString;
use std::io::{ErrorKind, IsTerminal as _, Write as _};

/// Runs the command line and prints the answer.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    exit::guarded(|| {
        let arguments = match Arguments::try_parse_from(arguments::without_colons(arguments)) {
            Ok(arguments) => arguments,
            Err(error) => return usage(&error),
        };
        let colour = colours(arguments.global.color);
        let printed =
            command::run(&arguments).and_then(|outcome| print(&outcome, &arguments, colour));
        printed.unwrap_or_else(|error| {
            complain(&error.to_string());
            error.exit()
        })
    })
}

/// Help and versions are answers; everything else is a usage error.
fn usage(error: &clap::Error) -> Exit {
    // clap knows which stream is right; that nobody reads it is no error.
    let _ = error.print();
    if error.use_stderr() {
        Exit::Usage
    } else {
        Exit::Passed
    }
}

fn print(outcome: &Outcome, arguments: &Arguments, colour: bool) -> Result<Exit, CommandError> {
    match outcome {
        Outcome::Report(reported) => {
            let (text, exit) = report(reported, arguments, colour)?;
            say(&text)?;
            Ok(exit)
        }
        Outcome::Document(text) => {
            say(&format!("{text}\n"))?;
            Ok(Exit::Passed)
        }
        Outcome::Printed(exit) => Ok(*exit),
    }
}

fn report(
    reported: &Reported,
    arguments: &Arguments,
    colour: bool,
) -> Result<(String, Exit), CommandError> {
    let rules = Rules {
        only: arguments.global.only.clone(),
        strict: arguments.global.strict,
    };
    let (report, exit) = reported.judge(&rules);
    let text = match arguments.global.format {
        Format::Text => output::text::render(reported, &report, colour),
        Format::Json => json(&report)?,
        Format::Sarif => json(&output::sarif::render(&report, exit))?,
    };
    Ok((text, exit))
}

fn json(value: &impl serde::Serialize) -> Result<String, CommandError> {
    serde_json::to_string_pretty(value)
        .map(|text| text + "\n")
        .map_err(|error| CommandError::Internal(format!("the report has no JSON form: {error}")))
}

/// To standard output. A reader that went away, such as `head -1`, has seen enough.
pub(crate) fn say(text: &str) -> Result<(), CommandError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(CommandError::Missing(format!(
            "standard output can't be written: {error}"
        ))),
        _ => Ok(()),
    }
}

/// To standard error; where nobody reads it, nothing is lost.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "open-cowork: {text}");
}

fn colours(wanted: Colour) -> bool {
    match wanted {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => {
            let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
            let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
            std::io::stdout().is_terminal() && !set("NO_COLOR") && !dumb
        }
    }
}
