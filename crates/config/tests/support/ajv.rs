//! Ajv, the validator of the TypeScript side, in strict mode (02 §12.11). Needs node and npm.

use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What Ajv says about one document.
#[derive(Debug)]
pub struct Verdict {
    pub valid: bool,
    /// Of the first error.
    pub pointer: Option<String>,
}

/// Compiles the schema files, each on its own, and validates documents, each against the schema
/// of that number.
///
/// # Panics
/// When node or npm is missing, when a schema isn't strict, when Ajv can't be fetched.
pub fn verdicts(schemas: &[PathBuf], documents: &[(usize, Value)]) -> Vec<Verdict> {
    let folder = installed();
    let mut node = Command::new("node")
        .arg(folder.join("check.mjs"))
        .args(schemas)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("install node: the schema is checked by the validator of the TypeScript side");
    let mut input = node.stdin.take().unwrap();
    let output = BufReader::new(node.stdout.take().unwrap());
    let lines: Vec<String> = documents
        .iter()
        .map(|(schema, doc)| json!({"schema": schema, "doc": doc}).to_string())
        .collect();
    let writer = std::thread::spawn(move || {
        for line in lines {
            if writeln!(input, "{line}").is_err() {
                return; // node ended early and has said why
            }
        }
    });
    let verdicts: Vec<Verdict> = output
        .lines()
        .map(|line| {
            let answer: Value = serde_json::from_str(&line.unwrap()).unwrap();
            Verdict {
                valid: answer["valid"].as_bool().unwrap(),
                pointer: answer["pointer"].as_str().map(str::to_owned),
            }
        })
        .collect();
    writer.join().unwrap();
    assert!(
        node.wait().unwrap().success(),
        "Ajv refuses a schema; see above"
    );
    assert_eq!(verdicts.len(), documents.len());
    verdicts
}

/// The folder below the tools in which Ajv is installed, from the hashes that are kept beside this
/// test. Several programs may call this at once: one fetches, the others wait.
fn installed() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ajv");
    let tools = std::env::var_os("OPEN_COWORK_TOOLS_DIR")
        .filter(|folder| !folder.is_empty())
        .map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools"),
            PathBuf::from,
        );
    let folder = tools.join("ajv");
    fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let wanted = fs::read_to_string(source.join("package-lock.json")).unwrap();
    let done = folder.join("installed-lock.json");
    for file in ["package.json", "package-lock.json", "check.mjs"] {
        fs::copy(source.join(file), folder.join(file)).unwrap();
    }
    if fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return folder;
    }
    let npm = Command::new("npm")
        .args([
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ])
        .current_dir(&folder)
        .stdout(Stdio::null())
        .status()
        .expect("install npm: it fetches Ajv by the hashes in tests/ajv/package-lock.json");
    assert!(npm.success(), "npm could not fetch Ajv");
    fs::write(done, wanted).unwrap();
    folder
}
