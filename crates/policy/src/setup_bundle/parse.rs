//! From a text to a bundle, or to everything that is wrong with it (07 §6.5). No message repeats a value.

use open_cowork_contracts::JsonObject;
use open_cowork_contracts::finding::Finding;
use open_cowork_contracts::setup_bundle::{
    BundleFormat, ExtensionDescriptor, ExtensionKind, ExtensionPayload, ExtensionScope,
    ExtensionSource, SecretLocation, SecretRequirement, SetupBundle, SetupStep, SetupStepKind,
    SourceOrigin, VERSION,
};
use serde_json::Value;

/// Longest bundle, in bytes: many skills of a megabyte each fit.
pub const MAX_BYTES: usize = 32 * 1024 * 1024;

/// What a text held.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// The bundle. A list with a bad entry is empty in it.
    pub bundle: SetupBundle,
    /// What is wrong with the entries of such lists.
    pub rejected: Vec<Finding>,
}

/// Reads a bundle. One bad entry rejects the list that it is in, not the other lists; whoever imports shows
/// [`Parsed::rejected`] first.
///
/// # Errors
/// When it is no bundle of this version: every finding, with its pointer. Codes `BUNDLE_SYNTAX`,
/// `BUNDLE_TOO_LARGE`, `BUNDLE_TYPE`, `BUNDLE_REQUIRED`, `BUNDLE_FORMAT`, `BUNDLE_VERSION`, `BUNDLE_KIND`.
pub fn parse(text: &str) -> Result<Parsed, Vec<Finding>> {
    if text.len() > MAX_BYTES {
        let message = format!("The bundle is larger than {} MiB.", MAX_BYTES / 1024 / 1024);
        return Err(vec![
            finding("BUNDLE_TOO_LARGE", "", message).with_help("Export fewer skills at once."),
        ]);
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let value: Value = serde_json::from_str(text).map_err(|error| {
        let mut found = finding("BUNDLE_SYNTAX", "", "The bundle is no JSON text.");
        found.line = u32::try_from(error.line()).ok();
        found.column = u32::try_from(error.column()).ok();
        vec![found.with_help("Export it again, or mend the place that is named.")]
    })?;
    let Value::Object(mut members) = value else {
        return Err(vec![finding("BUNDLE_TYPE", "", "The bundle is no object.")]);
    };
    let mut found = Vec::new();
    if members.get("format").and_then(Value::as_str) != Some(BundleFormat::SetupBundle.as_str()) {
        let message = format!(
            "The format is not {:?}.",
            BundleFormat::SetupBundle.as_str()
        );
        found.push(
            finding("BUNDLE_FORMAT", "/format", message)
                .with_help("Choose a file that was exported as a setup bundle."),
        );
    }
    if !is_version(members.get("version")) {
        found.push(
            finding(
                "BUNDLE_VERSION",
                "/version",
                "The version of the bundle is not 1.",
            )
            .with_help("Import it with the version of the product that exported it."),
        );
    }
    let exported_at = text_of(&members, "exportedAt", "", &mut found);
    let mut rejected = Vec::new();
    let mut list = |name: &str, kind: ExtensionKind| match members.remove(name) {
        None => Vec::new(),
        Some(Value::Array(items)) => entries(name, kind, items, &mut rejected),
        Some(_) => {
            let message = format!("The list {name} is no array.");
            found.push(finding("BUNDLE_TYPE", &format!("/{name}"), message));
            Vec::new()
        }
    };
    let skills = list("skills", ExtensionKind::Skill);
    let mcps = list("mcps", ExtensionKind::Mcp);
    let agents = list("agents", ExtensionKind::Agent);
    let (Some(exported_at), true) = (exported_at, found.is_empty()) else {
        found.append(&mut rejected);
        return Err(found);
    };
    let bundle = SetupBundle {
        format: BundleFormat::SetupBundle,
        version: VERSION,
        exported_at,
        exported_by: optional_text(&members, "exportedBy"),
        skills,
        mcps,
        agents,
    };
    Ok(Parsed { bundle, rejected })
}

fn entries(
    list: &str,
    kind: ExtensionKind,
    items: Vec<Value>,
    rejected: &mut Vec<Finding>,
) -> Vec<ExtensionDescriptor> {
    let before = rejected.len();
    let mut out = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        out.extend(entry(&format!("/{list}/{index}"), kind, item, rejected));
    }
    match rejected.len() == before {
        true => out,
        false => Vec::new(),
    }
}

fn entry(
    at: &str,
    kind: ExtensionKind,
    item: Value,
    found: &mut Vec<Finding>,
) -> Option<ExtensionDescriptor> {
    let Value::Object(mut members) = item else {
        found.push(finding("BUNDLE_TYPE", at, "The entry is no object."));
        return None;
    };
    if !is_version(members.get("schemaVersion")) {
        let pointer = format!("{at}/schemaVersion");
        found.push(finding(
            "BUNDLE_VERSION",
            &pointer,
            "The version of the entry is not 1.",
        ));
    }
    if members.get("kind").and_then(Value::as_str) != Some(kind.as_str()) {
        let message = format!(
            "The kind of the entry is not {:?}, as this list wants.",
            kind.as_str()
        );
        found.push(finding("BUNDLE_KIND", &format!("{at}/kind"), message));
    }
    let id = text_of(&members, "id", at, found);
    let name = text_of(&members, "name", at, found);
    let source = match members.get("source") {
        Some(Value::Object(source)) => Some(source_of(source)),
        _ => {
            let pointer = format!("{at}/source");
            found.push(finding(
                "BUNDLE_TYPE",
                &pointer,
                "The source of the entry is missing or no object.",
            ));
            None
        }
    };
    let secrets = array(&members, "secrets", at, found, requirement);
    let setup = array(&members, "setup", at, found, step);
    let payload = payload(members.remove("payload"), at, kind, found);
    Some(ExtensionDescriptor {
        schema_version: VERSION,
        id: id?,
        kind,
        name: name?,
        description: optional_text(&members, "description"),
        source: source?,
        secrets: secrets?,
        setup: setup?,
        payload: payload?,
    })
}

/// A source of unknown origin is external.
fn source_of(source: &JsonObject) -> ExtensionSource {
    let text = |name| source.get(name).and_then(Value::as_str);
    ExtensionSource {
        origin: text("origin")
            .and_then(SourceOrigin::parse)
            .unwrap_or(SourceOrigin::External),
        scope: text("scope").and_then(ExtensionScope::parse),
        reference: optional_text(source, "reference"),
    }
}

/// Only its key matters to an import. Without a word about it, it is required.
fn requirement(
    members: &JsonObject,
    at: &str,
    found: &mut Vec<Finding>,
) -> Option<SecretRequirement> {
    let key = text_of(members, "key", at, found)?;
    let location = members
        .get("location")
        .and_then(Value::as_str)
        .and_then(SecretLocation::parse);
    let location = location.unwrap_or(match key.split(':').next() {
        Some("env") => SecretLocation::Env,
        Some("header") => SecretLocation::Header,
        Some("path") => SecretLocation::Path,
        _ => SecretLocation::Credential,
    });
    Some(SecretRequirement {
        location,
        label: optional_text(members, "label").unwrap_or_else(|| key.clone()),
        required: members
            .get("required")
            .and_then(Value::as_bool)
            .unwrap_or(true),
        key,
    })
}

/// A step of unknown kind is a note.
fn step(members: &JsonObject, at: &str, found: &mut Vec<Finding>) -> Option<SetupStep> {
    let kind = members
        .get("kind")
        .and_then(Value::as_str)
        .and_then(SetupStepKind::parse);
    Some(SetupStep {
        kind: kind.unwrap_or(SetupStepKind::Note),
        detail: text_of(members, "detail", at, found)?,
    })
}

fn payload(
    value: Option<Value>,
    at: &str,
    kind: ExtensionKind,
    found: &mut Vec<Finding>,
) -> Option<ExtensionPayload> {
    let Some(Value::Object(mut members)) = value else {
        let pointer = format!("{at}/payload");
        found.push(finding(
            "BUNDLE_TYPE",
            &pointer,
            "The payload of the entry is missing or no object.",
        ));
        return None;
    };
    if members.get("kind").and_then(Value::as_str) != Some(kind.as_str()) {
        let message = format!(
            "The kind of the payload is not {:?}, as the entry's.",
            kind.as_str()
        );
        found.push(finding(
            "BUNDLE_KIND",
            &format!("{at}/payload/kind"),
            message,
        ));
        return None;
    }
    match members.remove(kind.as_str()) {
        Some(Value::Object(body)) => Some(ExtensionPayload::new(kind, body)),
        _ => {
            let message = format!("The payload holds no object {:?}.", kind.as_str());
            found.push(finding(
                "BUNDLE_TYPE",
                &format!("{at}/payload/{kind}"),
                message,
            ));
            None
        }
    }
}

fn array<T>(
    members: &JsonObject,
    name: &str,
    at: &str,
    found: &mut Vec<Finding>,
    read: impl Fn(&JsonObject, &str, &mut Vec<Finding>) -> Option<T>,
) -> Option<Vec<T>> {
    let pointer = format!("{at}/{name}");
    let Some(Value::Array(items)) = members.get(name) else {
        let message = format!("The list {name} of the entry is missing or no array.");
        found.push(finding("BUNDLE_TYPE", &pointer, message));
        return None;
    };
    let mut out = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let pointer = format!("{pointer}/{index}");
        match item {
            Value::Object(members) => out.extend(read(members, &pointer, found)),
            _ => found.push(finding("BUNDLE_TYPE", &pointer, "This is no object.")),
        }
    }
    (out.len() == items.len()).then_some(out)
}

fn text_of(members: &JsonObject, name: &str, at: &str, found: &mut Vec<Finding>) -> Option<String> {
    let text = optional_text(members, name);
    if text.is_none() {
        let message = format!("{name} is missing, blank or no text.");
        found.push(finding("BUNDLE_REQUIRED", &format!("{at}/{name}"), message));
    }
    text
}

fn optional_text(members: &JsonObject, name: &str) -> Option<String> {
    let text = members.get(name).and_then(Value::as_str)?;
    (!text.trim().is_empty()).then(|| text.to_owned())
}

fn is_version(value: Option<&Value>) -> bool {
    value.and_then(Value::as_f64) == Some(f64::from(VERSION))
}

/// A finding at a pointer. Every step of it is a name of the contract or an index: nothing to escape.
fn finding(code: &str, pointer: &str, message: impl Into<String>) -> Finding {
    let mut path = String::from("bundle");
    for step in pointer.split('/').skip(1) {
        match step.parse::<usize>() {
            Ok(index) => path.push_str(&format!("[{index}]")),
            Err(_) => {
                path.push('.');
                path.push_str(step);
            }
        }
    }
    let mut found = Finding::error(code, path, message);
    found.pointer = Some(pointer.to_owned());
    found
}
