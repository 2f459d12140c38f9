//! Log lines without secrets: every line passes the redactor that events pass, which also knows the keys of this
//! deployment (04 §12).

use open_cowork_projection::sanitize::{Redaction, Redactor};
use std::io::{self, Write};
use std::sync::Arc;
use tracing_subscriber::fmt::MakeWriter;

/// Writes lines to where another writer does, without secrets. Paths stay: an operator needs them.
#[derive(Clone, Debug)]
pub struct Redacted<W> {
    to: W,
    redactor: Arc<Redactor>,
}

impl<W> Redacted<W> {
    /// Around a writer, such as `std::io::stderr`.
    pub fn new(to: W, redactor: Arc<Redactor>) -> Self {
        Redacted { to, redactor }
    }
}

impl<'a, W> MakeWriter<'a> for Redacted<W>
where
    W: MakeWriter<'a>,
{
    type Writer = Line<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Line {
            to: self.to.make_writer(),
            redactor: self.redactor.clone(),
        }
    }
}

/// One line.
#[derive(Debug)]
pub struct Line<W> {
    to: W,
    redactor: Arc<Redactor>,
}

impl<W: Write> Write for Line<W> {
    /// The subscriber writes a whole line at once.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let clean = self.redactor.redact(&text, Redaction::ExactAction);
        self.to.write_all(clean.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_holds_no_secret_and_stays_json() {
        let lines = Arc::new(Mutex::new(Vec::<u8>::new()));
        let redactor = Arc::new(Redactor::new(["deployment-key-1"]));
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_writer(Redacted::new(
                {
                    let lines = lines.clone();
                    move || Memory(lines.clone())
                },
                redactor,
            ))
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(
                key = "deployment-key-1",
                path = "/srv/data",
                "a key sk-abcdefghijklmnopqrstuvwxyz and postgresql://user:pass@host/db"
            );
        });
        let text = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        for secret in ["deployment-key-1", "sk-abc", "user:pass"] {
            assert!(!text.contains(secret), "{text}");
        }
        assert_eq!(line["fields"]["path"], "/srv/data");
    }
}
