//! `open-cowork config check-corpus`: one answer per line (10 §2). Reads standard input and nothing else.

use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::Outcome;
use open_cowork_config::corpus;
use std::io::{BufRead, ErrorKind, Write};

/// Standard input to standard output.
pub(super) fn run() -> Result<Outcome, CommandError> {
    answer_lines(std::io::stdin().lock(), std::io::stdout().lock())
        .map(|()| Outcome::Printed(Exit::Passed))
}

/// Answers are flushed one by one, so that a caller may wait for each.
fn answer_lines(requests: impl BufRead, mut answers: impl Write) -> Result<(), CommandError> {
    for (index, line) in requests.lines().enumerate() {
        let at = |what: String| CommandError::Usage(format!("line {}: {what}", index + 1));
        let line = line.map_err(|error| at(format!("can't be read: {error}")))?;
        if line.trim().is_empty() {
            continue;
        }
        let answer = corpus::answer(&line).map_err(|unknown| at(unknown.to_string()))?;
        match writeln!(answers, "{answer}").and_then(|()| answers.flush()) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => {
                return Err(CommandError::Missing(format!(
                    "standard output can't be written: {error}"
                )));
            }
        }
    }
    Ok(())
}
