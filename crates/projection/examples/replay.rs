//! Folds events from standard input, one JSON request per line, one JSON answer per line
//! (`docs/contract/01-events-and-projection.md` §15). No clock and no environment: the session's `updatedAt` is
//! "now". Exit code 2 with a message for a line that is no known request.

use open_cowork_contracts::{Session, SessionEventRecord};
use open_cowork_projection::Projector;
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::{BufRead, Write};
use std::process::ExitCode;

#[derive(Deserialize)]
struct Request {
    session: Session,
    events: Vec<SessionEventRecord>,
    #[serde(default)]
    view: Option<Value>,
}

fn main() -> ExitCode {
    let mut out = std::io::stdout().lock();
    for (number, line) in (1..).zip(std::io::stdin().lock().split(b'\n')) {
        let answer = match line {
            Ok(line) if line.trim_ascii().is_empty() => continue,
            Ok(line) => replay(&line),
            Err(error) => Err(error.to_string()),
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                eprintln!("line {number} is no replay request: {error}");
                return ExitCode::from(2);
            }
        };
        if writeln!(out, "{answer}")
            .and_then(|()| out.flush())
            .is_err()
        {
            return ExitCode::SUCCESS; // the reader has gone
        }
    }
    ExitCode::SUCCESS
}

fn replay(line: &[u8]) -> Result<Value, String> {
    let request: Request = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let session = request.session;
    let mut projector = match &request.view {
        Some(view) => Projector::normalize(view, &session, &session.updated_at),
        None => Projector::new(&session),
    };
    for event in &request.events {
        projector.apply(&session, event);
    }
    let sequence = request.events.last().map_or(0, |event| event.sequence);
    let session_view = open_cowork_projection::session_view::project(projector.view(), sequence);
    Ok(json!({ "view": projector.into_view(), "sessionView": session_view }))
}
