//! `DIST_CONFIG_VALID`, and the secret fields of `DIST_SECRETS_BY_REF`.

use super::folder::{ConfigFile, Folder};
use super::{Verdict, at};
use open_cowork_config::document::Document;
use open_cowork_config::load;
use open_cowork_config::model::secret::{SecretKind, is_reference, place_of};
use open_cowork_config::placeholder;
use open_cowork_config::source::{LayerKind, Sources, Surface};
use open_cowork_contracts::finding::{Finding, Severity};
use serde_json::Value;
use std::collections::BTreeMap;

/// Schema and semantics of the main document, and of each overlay on top of it.
pub(super) fn valid(folder: &Folder, env: &BTreeMap<String, String>) -> Verdict {
    const ID: &str = "DIST_CONFIG_VALID";
    let Some(main) = folder.documents.iter().find(|file| !file.is_overlay) else {
        let help = "write open-cowork.config.json; the smallest one that is valid is in docs/configuration.md";
        let finding = at(
            ID,
            "open-cowork.config.json",
            None,
            "the distribution has no configuration document.".into(),
            help,
        );
        return Verdict::Looked("no document".into(), vec![finding]);
    };
    let mut findings = Vec::new();
    for file in &folder.documents {
        if let Err(found) = &file.document {
            findings.extend(found.iter().cloned());
        }
    }
    if let Some(document) = main.parsed()
        && document.value().get("contractVersion").is_none()
    {
        let finding = document
            .finding(ID, Severity::Error, "", "`contractVersion` is missing, so nobody can tell which contract this document follows.")
            .with_help("write `\"contractVersion\": 1`");
        findings.push(finding);
    }
    if findings.is_empty() {
        findings.extend(load_all(&[main], env));
        for overlay in folder.documents.iter().filter(|file| file.is_overlay) {
            // What is wrong below the overlay is reported already.
            let known: Vec<Finding> = findings.clone();
            let found = load_all(&[main, overlay], env);
            findings.extend(found.into_iter().filter(|finding| !known.contains(finding)));
        }
    }
    let overlays = folder.documents.len() - 1;
    Verdict::Looked(format!("{}, overlays: {overlays}", main.name), findings)
}

fn load_all(files: &[&ConfigFile], env: &BTreeMap<String, String>) -> Vec<Finding> {
    let mut sources = Sources::new(Surface::Every);
    sources.env.clone_from(env);
    for file in files {
        for name in file
            .parsed()
            .map(|document| placeholder::allowed(document.value()))
            .unwrap_or_default()
        {
            let sample = sample(&name);
            sources.env.entry(name).or_insert(sample);
        }
        let kind = if file.is_overlay {
            LayerKind::ConfigDirectory
        } else {
            LayerKind::Base
        };
        sources = match sources.with_file(kind, &file.path, None) {
            Ok(sources) => sources,
            Err(finding) => return vec![finding],
        };
        if let Some(layer) = sources.layers.last_mut() {
            layer.file.clone_from(&file.name);
        }
    }
    match load::load(&sources) {
        Ok(loaded) => loaded.warnings().to_vec(),
        Err(findings) => findings,
    }
}

/// Something that stands where the operator's value will: an address where the name asks for one.
fn sample(name: &str) -> String {
    let lower = name.to_ascii_lowercase().replace('_', "-");
    if ["url", "endpoint", "issuer"]
        .iter()
        .any(|word| lower.contains(word))
    {
        format!("https://{lower}.example.com/sample")
    } else {
        format!("sample-of-{lower}")
    }
}

/// Fields that hold secrets hold references, placeholders, or nothing.
pub(super) fn secrets_by_reference(folder: &Folder) -> Vec<Finding> {
    let mut findings = Vec::new();
    for document in folder.documents.iter().filter_map(ConfigFile::parsed) {
        walk(
            document,
            document.value(),
            &mut String::new(),
            &mut findings,
        );
    }
    findings
}

fn walk(document: &Document, value: &Value, pointer: &mut String, findings: &mut Vec<Finding>) {
    let length = pointer.len();
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
                walk(document, value, pointer, findings);
                pointer.truncate(length);
            }
        }
        Value::Array(items) => {
            for (at, value) in items.iter().enumerate() {
                pointer.push_str(&format!("/{at}"));
                walk(document, value, pointer, findings);
                pointer.truncate(length);
            }
        }
        Value::String(text) => {
            // Open objects hold options of every kind; the scanner looks at those.
            let is_secret = place_of(pointer).is_some_and(|place| place.kind != SecretKind::Open);
            if is_secret && !is_by_reference(text) {
                findings.push(
                    document
                        .finding("DIST_SECRETS_BY_REF", Severity::Error, pointer, "this field holds a secret, and its value is written into the document.")
                        .with_help("write `{env:NAME}` and list NAME in `allowedEnvPlaceholders`, or a reference such as `env:NAME`"),
                );
            }
        }
        _ => {}
    }
}

/// A reference, or text that consists of placeholders but for a scheme such as `Bearer `.
fn is_by_reference(text: &str) -> bool {
    let text = text.trim();
    if text.is_empty() || is_reference(text) {
        return true;
    }
    let mut rest = text.to_owned();
    let mut has_placeholder = false;
    while let Some(start) = rest.find("{env:").or_else(|| rest.find("{file:")) {
        let Some(end) = rest[start..].find('}') else {
            break;
        };
        rest.replace_range(start..=start + end, "");
        has_placeholder = true;
    }
    let scheme = rest.trim();
    has_placeholder
        && (scheme.is_empty()
            || scheme.bytes().all(|byte| byte.is_ascii_alphabetic()) && scheme.len() <= 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_references_and_placeholders_stand_for_a_secret() {
        for yes in [
            "",
            "env:TOKEN",
            "{env:TOKEN}",
            "Bearer {env:TOKEN}",
            "gcp-sm://projects/PROJECT/secrets/x",
            "{file:./token}",
        ] {
            assert!(is_by_reference(yes), "{yes}");
        }
        for no in ["hunter2", "{env:TOKEN}hunter2-hunter2", "change-me"] {
            assert!(!is_by_reference(no), "{no}");
        }
    }
}
