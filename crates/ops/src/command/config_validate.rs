//! `open-cowork config validate`: many documents, all findings of each.

use super::progress::Counter;
use super::{Place, layers};
use crate::arguments::DocumentKind;
use crate::error::CommandError;
use crate::look;
use crate::output::{Reported, count};
use open_cowork_config::document::Document;
use open_cowork_config::load;
use open_cowork_config::placeholder::{self, Raw, Scope};
use open_cowork_config::schema::{self, Form};
use open_cowork_config::source::{Environment, LayerKind, Source, Sources, Surface};
use open_cowork_contracts::finding::{Check, CheckStatus, Finding, Severity};
use serde_json::Value;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

const COMMAND: &str = "config:validate";
/// The folder that names of files on the command line are relative to: they are shown as they are opened.
const AS_OPENED: &str = "";

pub(super) fn run(
    place: &Place,
    files: &[PathBuf],
    kind: DocumentKind,
) -> Result<Reported, CommandError> {
    match kind {
        DocumentKind::Auto if files.is_empty() => found_layers(place),
        _ if files.is_empty() => Err(CommandError::Usage(
            "--as says what the named files are; name at least one FILE".into(),
        )),
        DocumentKind::Layers => Ok(named_layers(place, files)),
        kind => Ok(each(place, files, kind)),
    }
}

/// What a process started here would load.
fn found_layers(place: &Place) -> Result<Reported, CommandError> {
    let started = Instant::now();
    let sources = match layers::discover(place, &[])? {
        Ok(sources) => sources,
        Err(findings) => {
            let refused = layers::Refused {
                findings,
                sources: None,
            };
            return Ok(refused.into_report(COMMAND));
        }
    };
    Ok(together(sources, &place.folder()?, started))
}

fn named_layers(place: &Place, files: &[PathBuf]) -> Reported {
    let started = Instant::now();
    let environment = Environment::of_process();
    let mut sources = empty(&environment);
    let mut unread = Vec::new();
    for file in files {
        match read(place, file, &environment) {
            Ok(mut read) => sources.layers.append(&mut read.layers),
            Err(finding) => unread.push(*finding),
        }
    }
    let mut reported = together(sources, Path::new(AS_OPENED), started);
    reported.findings.splice(0..0, unread);
    reported
}

/// One report of all layers, whose names are relative to `folder`.
fn together(sources: Sources, folder: &Path, started: Instant) -> Reported {
    let findings = review(&sources, folder);
    let number = sources.layers.len();
    let names: Vec<String> = sources
        .layers
        .iter()
        .map(|layer| format!("{} ({})", layer.file, layer.kind.label()))
        .collect();
    Reported {
        command: COMMAND,
        checks: vec![check(
            "layers".into(),
            &findings,
            started,
            if names.is_empty() {
                "built-in defaults only".into()
            } else {
                names.join(", ")
            },
        )],
        findings,
        texts: layers::texts(sources),
        looked_at: match number {
            0 => "built-in defaults only, no file found".into(),
            number => format!("{} on the built-in defaults", count(number, "layer")),
        },
        ..Reported::default()
    }
}

/// All that the configuration has to say: what is wrong with it, or else what its page will not show as it asks.
fn review(sources: &Sources, folder: &Path) -> Vec<Finding> {
    let (loaded, mut findings) = load::reviewed(sources);
    let Some(loaded) = loaded else {
        return findings;
    };
    findings.extend(look::findings(&loaded, folder));
    let layer = |finding: &Finding| {
        let mut layers = sources.layers.iter();
        layers.position(|layer| finding.file.as_deref() == Some(layer.file.as_str()))
    };
    findings.sort_by_key(|finding| (layer(finding), finding.line, finding.column));
    findings
}

/// Each file for itself, on all cores.
fn each(place: &Place, files: &[PathBuf], kind: DocumentKind) -> Reported {
    let environment = Environment::of_process();
    let counter = Counter::new("files");
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        let mut checked = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(file) = files.get(at) else {
                return checked;
            };
            checked.push((at, one(place, file, kind, &environment)));
            counter.show(done.fetch_add(1, Ordering::Relaxed) + 1, files.len());
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut checked = std::thread::scope(|scope| {
        let others: Vec<_> = (1..cores.min(files.len()))
            .map(|_| scope.spawn(work))
            .collect();
        let mut checked = work();
        for other in others {
            match other.join() {
                Ok(theirs) => checked.extend(theirs),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        checked
    });
    checked.sort_by_key(|(at, _)| *at);
    let mut reported = Reported {
        command: COMMAND,
        looked_at: count(files.len(), "file"),
        ..Reported::default()
    };
    let mut forms = [0, 0];
    for (_, mut one) in checked {
        forms[usize::from(one.form == Form::Overlay)] += 1;
        reported.findings.append(&mut one.findings);
        reported.checks.push(one.check);
        reported.texts.extend(one.text);
    }
    let [complete, overlays] = forms;
    reported.looked_at = match (complete, overlays) {
        (_, 0) => format!("{}, complete", count(complete, "file")),
        (0, _) => format!(
            "{}, as overlay on the built-in defaults",
            count(overlays, "file")
        ),
        _ => format!(
            "{}, {complete} complete, {overlays} as overlay",
            count(files.len(), "file")
        ),
    };
    reported
}

struct Checked {
    findings: Vec<Finding>,
    check: Check,
    /// Name and text of a file with findings.
    text: Option<(String, String)>,
    form: Form,
}

fn one(place: &Place, file: &Path, kind: DocumentKind, environment: &Environment) -> Checked {
    let started = Instant::now();
    let sources = match read(place, file, environment) {
        Ok(sources) => sources,
        Err(finding) => {
            let findings = vec![*finding];
            let name = file.display().to_string();
            return Checked {
                check: check(name, &findings, started, "not read".into()),
                findings,
                text: None,
                form: Form::Overlay,
            };
        }
    };
    let mut findings = review(&sources, Path::new(AS_OPENED));
    let mut form = Form::Overlay;
    if let Some(layer) = sources.layers.first()
        && let Ok(document) = Document::parse(layer.file.as_str(), &layer.text)
        && (kind == DocumentKind::Full
            || kind == DocumentKind::Auto && is_complete(document.value()))
    {
        form = Form::Full;
        let known: HashSet<(String, Option<String>)> = findings
            .iter()
            .map(|finding| (finding.code.clone(), finding.pointer.clone()))
            .collect();
        findings.extend(
            as_complete(document, layer, &sources)
                .into_iter()
                .filter(|finding| {
                    !known.contains(&(finding.code.clone(), finding.pointer.clone()))
                }),
        );
        findings.sort_by_key(|finding| (finding.line, finding.column));
    }
    let name = sources.layers.first().map(|layer| layer.file.clone());
    let text = sources
        .layers
        .into_iter()
        .next()
        .map(|layer| (layer.file, layer.text));
    let how = match form {
        Form::Full => "as a complete document",
        Form::Overlay => "as an overlay on the built-in defaults",
    };
    Checked {
        check: check(name.unwrap_or_default(), &findings, started, how.into()),
        text: text.filter(|_| !findings.is_empty()),
        findings,
        form,
    }
}

/// States its version and every key that a complete document needs.
fn is_complete(document: &Value) -> bool {
    let required = schema::value(Form::Full)["required"].as_array();
    required.is_some_and(|keys| {
        keys.iter()
            .filter_map(Value::as_str)
            .all(|key| document.get(key).is_some())
    })
}

/// What the document lacks without the defaults below it.
fn as_complete(mut document: Document, layer: &Source, sources: &Sources) -> Vec<Finding> {
    let allowed = placeholder::allowed(document.value());
    let scope = Scope {
        allowed: &allowed,
        env: &sources.env,
        files: &layer.files,
    };
    document.map_value(|value| {
        placeholder::resolve(value, Raw::ProviderOptions, scope);
    });
    schema::validate(&document, Form::Full)
}

fn empty(environment: &Environment) -> Sources {
    Sources {
        env: environment.vars.clone(),
        ..Sources::new(Surface::Every)
    }
}

fn read(place: &Place, file: &Path, environment: &Environment) -> Result<Sources, Box<Finding>> {
    let path = place.open(file);
    empty(environment)
        .with_file(LayerKind::CommandLine, &path, environment.home.as_deref())
        .map_err(|mut finding| {
            finding
                .file
                .get_or_insert_with(|| path.display().to_string());
            Box::new(finding)
        })
}

fn check(id: String, findings: &[Finding], started: Instant, detail: String) -> Check {
    let failed = findings
        .iter()
        .any(|finding| finding.severity == Severity::Error);
    Check {
        id,
        status: if failed {
            CheckStatus::Fail
        } else {
            CheckStatus::Pass
        },
        duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        detail: Some(detail),
    }
}
