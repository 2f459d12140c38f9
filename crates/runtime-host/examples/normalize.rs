//! Reads the lines of one OpenCode stream (classic or `/global/event`) on standard input and prints, for
//! each line, what the stateful translator makes of it; at the end one more line with the ending that it
//! would emit. No timers: an idle is held until the next prompt or the end of the input.
//!
//! ```text
//! cargo run -q --release -p open-cowork-runtime-host --example normalize < stream.jsonl
//! ```
//!
//! Each output line is `{"events":[{eventId?, type, payload}…],"dropped":null|{"sdkEventType","reason"}}`.
//! Exit code 2 with a message on standard error for a line that is no JSON object.

use open_cowork_runtime_host::translate::Forest;
use std::io::{BufRead, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut forest = Forest::default();
    let mut out = std::io::stdout().lock();
    for (number, line) in std::io::stdin().lock().lines().enumerate() {
        let line = match line {
            Ok(line) if line.trim().is_empty() => continue,
            Ok(line) => line,
            Err(error) => return refuse(number, &error.to_string()),
        };
        if !line.trim_start().starts_with('{') && !line.trim_start().starts_with('"') {
            return refuse(number, "not a JSON object");
        }
        let answer = forest.line(&line);
        if print(&mut out, &answer).is_err() {
            return ExitCode::SUCCESS; // the reader has gone
        }
    }
    let ending = forest.finish();
    let _ = print(&mut out, &ending);
    ExitCode::SUCCESS
}

fn print(
    out: &mut impl Write,
    answer: &open_cowork_runtime_host::translate::Translated,
) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, answer)?;
    out.write_all(b"\n")?;
    out.flush()
}

fn refuse(number: usize, why: &str) -> ExitCode {
    eprintln!(
        "line {}: {why}; one event of an OpenCode stream is expected per line",
        number + 1
    );
    ExitCode::from(2)
}
