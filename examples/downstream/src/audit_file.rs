//! An auditor that appends its lines to a file, one JSON object each.

use crate::audit::{AuditLine, Auditor};
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Lines of JSON in a file.
pub struct FileAuditor {
    file: Mutex<File>,
}

impl FileAuditor {
    /// Appends to that file, made if missing.
    ///
    /// # Errors
    /// The file can't be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(FileAuditor {
            file: Mutex::new(file),
        })
    }
}

impl Auditor for FileAuditor {
    fn take(&self, line: AuditLine) {
        let line = json!({
            "tenantId": line.tenant_id,
            "sessionId": line.session_id,
            "sequence": line.sequence,
            "type": line.kind,
            "at": line.at,
        });
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = writeln!(file, "{line}") {
            eprintln!("an audit line can't be written ({error})");
        }
    }
}
