//! What an import does with each entry (07 §6.5): servers, then skills, then agents.

use super::place::{self, What};
use crate::custom_agent::is_name;
use crate::mcp::{stdio, url};
use open_cowork_contracts::JsonObject;
use open_cowork_contracts::setup_bundle::{
    ExtensionDescriptor, ExtensionKind, ExtensionScope, ImportItem, ImportOptions, ImportResult,
    ImportStatus, ImportTarget, REDACTED, SetupBundle,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Names that are taken where the import goes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Existing {
    /// Of skills.
    pub skills: BTreeSet<String>,
    /// Of MCP servers.
    pub mcps: BTreeSet<String>,
    /// Of agents, built-in and configured ones too.
    pub agents: BTreeSet<String>,
}

/// What the host shall install. `Debug` hides the body: the entered secrets are in it.
#[derive(Clone, PartialEq)]
pub struct Install {
    /// What it is.
    pub kind: ExtensionKind,
    /// Under which name; a valid one, fit for a file.
    pub name: String,
    /// The thing with its secrets; it names no scope and no directory: [`Plan::target`] does.
    pub body: JsonObject,
}

impl fmt::Debug for Install {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Install")
            .field("kind", &self.kind)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// One entry: what becomes of it, and what to install when it is `applied`.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What is answered about it.
    pub item: ImportItem,
    /// What to install; there exactly when the item is `applied`.
    pub install: Option<Install>,
}

/// What an import does, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// For whom.
    pub target: ImportTarget,
    /// Every entry.
    pub steps: Vec<Step>,
}

impl Plan {
    /// The host could not install this step: it becomes `skipped-unsupported` with the reason, one sentence
    /// without secrets.
    pub fn refuse(&mut self, index: usize, reason: impl Into<String>) {
        if let Some(step) = self.steps.get_mut(index) {
            step.install = None;
            step.item.status = ImportStatus::SkippedUnsupported;
            step.item.detail = reason.into();
        }
    }

    /// What the import answers, once every step is done.
    #[must_use]
    pub fn result(&self) -> ImportResult {
        ImportResult::of(self.steps.iter().map(|step| step.item.clone()).collect())
    }
}

/// Plans an import. For each entry, in this order: its name is taken and `overwrite` is off →
/// `skipped-conflict`; a required secret is missing → `needs-secret`; it may not run here →
/// `skipped-unsupported`; else `applied`.
///
/// A bundle grants nothing: a server loses `permissionMode`, `googleAuth` and `allowPrivateNetwork` unless the
/// options keep them. Its program and its address are judged as if the user had typed them (05 §7.3, §7.4);
/// names are not looked up and files are not opened: that is the host's, before it starts the server.
#[must_use]
pub fn plan(bundle: SetupBundle, existing: &Existing, options: &ImportOptions) -> Plan {
    let target = options.target.clone().unwrap_or(ImportTarget {
        scope: ExtensionScope::Machine,
        directory: None,
    });
    let mut taken = existing.clone();
    let entries = bundle
        .mcps
        .into_iter()
        .chain(bundle.skills)
        .chain(bundle.agents);
    let steps = entries
        .map(|entry| step(entry, &mut taken, &target, options))
        .collect();
    Plan { target, steps }
}

fn step(
    entry: ExtensionDescriptor,
    taken: &mut Existing,
    target: &ImportTarget,
    options: &ImportOptions,
) -> Step {
    let (kind, name) = (entry.kind, entry.name.clone());
    let mut item = ImportItem {
        kind,
        id: entry.id.clone(),
        name: name.clone(),
        status: ImportStatus::Applied,
        detail: String::new(),
        missing_secrets: Vec::new(),
    };
    let names = match kind {
        ExtensionKind::Skill => Some(&mut taken.skills),
        ExtensionKind::Mcp => Some(&mut taken.mcps),
        ExtensionKind::Agent => Some(&mut taken.agents),
        ExtensionKind::Provider => None,
    };
    let outcome = match &names {
        Some(names) if names.contains(&name) && !options.overwrite => Err(Left::Conflict),
        Some(_) => body(entry, target, options),
        None => Err(Left::Unsupported(
            "A bundle can't install providers; configure it in the settings.".into(),
        )),
    };
    match outcome {
        Ok((body, dropped)) => {
            if let Some(names) = names {
                names.insert(name.clone());
            }
            item.detail = match dropped.as_slice() {
                [] => "Installed.".into(),
                dropped => format!(
                    "Installed without {}; a bundle can't grant it, so set it yourself if you trust the server.",
                    dropped.join(", ")
                ),
            };
            let install = Some(Install { kind, name, body });
            Step { item, install }
        }
        Err(left) => {
            match left {
                Left::Conflict => {
                    item.status = ImportStatus::SkippedConflict;
                    item.detail =
                        "The name is taken; rename one of them, or import with overwrite.".into();
                }
                Left::Missing(keys) => {
                    item.status = ImportStatus::NeedsSecret;
                    item.detail = "Values are missing; enter them and import again.".into();
                    item.missing_secrets = keys;
                }
                Left::Unsupported(reason) => {
                    item.status = ImportStatus::SkippedUnsupported;
                    item.detail = reason;
                }
            }
            Step {
                item,
                install: None,
            }
        }
    }
}

/// Why an entry is left out.
enum Left {
    Conflict,
    Missing(Vec<String>),
    Unsupported(String),
}

/// What to install, and which grants it lost.
fn body(
    entry: ExtensionDescriptor,
    target: &ImportTarget,
    options: &ImportOptions,
) -> Result<(JsonObject, Vec<&'static str>), Left> {
    let filled = fill(&entry, options)?;
    let unsupported = |reason: &str| Err(Left::Unsupported(reason.to_owned()));
    let Filled {
        mut body,
        entered_path,
    } = filled;
    if target.scope == ExtensionScope::Project
        && target.directory.as_deref().unwrap_or("").trim().is_empty()
    {
        return unsupported("The project's folder isn't known; open the project and import again.");
    }
    let valid = match entry.kind {
        ExtensionKind::Mcp => is_server_name(&entry.name),
        _ => is_name(&entry.name),
    };
    if !valid {
        return unsupported(
            "The name can't be used here; rename it to letters, digits and hyphens in the bundle.",
        );
    }
    if body
        .get("name")
        .is_some_and(|name| name.as_str() != Some(&entry.name))
    {
        return unsupported(
            "The payload has another name than the entry; make them equal in the bundle.",
        );
    }
    body.insert("name".into(), Value::String(entry.name));
    for member in ["scope", "directory", "location"] {
        body.remove(member);
    }
    let mut dropped = Vec::new();
    if entry.kind == ExtensionKind::Mcp {
        for grant in ["permissionMode", "googleAuth", "allowPrivateNetwork"] {
            if !options.keep_grants && body.remove(grant).is_some_and(|value| grants(&value)) {
                dropped.push(grant);
            }
        }
        judge(&body, target, entered_path).map_err(Left::Unsupported)?;
    }
    Ok((body, dropped))
}

fn grants(value: &Value) -> bool {
    value == &Value::Bool(true) || value == "allow"
}

/// As servers are named in permission patterns (05 §6.4).
fn is_server_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// A payload with what was entered.
struct Filled {
    body: JsonObject,
    /// The program or an argument is among it; then no message repeats any of them.
    entered_path: bool,
}

fn fill(entry: &ExtensionDescriptor, options: &ImportOptions) -> Result<Filled, Left> {
    let entered: BTreeMap<String, &str> = options
        .secret_values
        .0
        .get(&entry.id)
        .into_iter()
        .flatten()
        // What still holds the placeholder was never entered.
        .filter(|(_, value)| !value.trim().is_empty() && !value.contains(REDACTED))
        .map(|(key, value)| (place::canonical(key), value.as_str()))
        .collect();
    let mut missing: Vec<String> = Vec::new();
    for requirement in &entry.secrets {
        let met = entered.contains_key(&place::canonical(&requirement.key));
        if requirement.required && !met && !missing.contains(&requirement.key) {
            missing.push(requirement.key.clone());
        }
    }
    let mut body = entry.payload.body().clone();
    let mut entered_path = false;
    place::visit(entry.kind, &mut body, &mut |place| {
        if !holds_placeholder(place.value) {
            return true;
        }
        if let Some(value) = entered.get(&place.key) {
            entered_path |= matches!(place.what, What::Command | What::Argument { .. });
            *place.value = Value::String((*value).to_owned());
            return true;
        }
        let declared = entry
            .secrets
            .iter()
            .find(|requirement| place::canonical(&requirement.key) == place.key);
        if place.what.may_be_left_out() && declared.is_some_and(|requirement| !requirement.required)
        {
            return false;
        }
        // A placeholder is never installed, whether it was declared or not.
        let key = declared.map_or(&place.key, |requirement| &requirement.key);
        if !missing.contains(key) {
            missing.push(key.clone());
        }
        true
    });
    match missing.is_empty() {
        true => Ok(Filled { body, entered_path }),
        false => Err(Left::Missing(missing)),
    }
}

fn holds_placeholder(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(REDACTED),
        Value::Array(items) => items.iter().any(holds_placeholder),
        Value::Object(map) => map.values().any(holds_placeholder),
        _ => false,
    }
}

/// Whether a server may be installed at all; the same policies judge it again before every start.
fn judge(body: &JsonObject, target: &ImportTarget, entered_path: bool) -> Result<(), String> {
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let env = strings(body.get("env"), "The server's environment")?;
    let headers = strings(body.get("headers"), "The list of the server's headers")?;
    match text("type") {
        "stdio" => {
            let args = match body.get("args") {
                None => Vec::new(),
                Some(Value::Array(items)) => items
                    .iter()
                    .map(|item| item.as_str().map(str::to_owned))
                    .collect::<Option<_>>()
                    .ok_or("An argument of the server is no text; write it in quotes.")?,
                Some(_) => {
                    return Err("The server's arguments are no list; mend the bundle.".into());
                }
            };
            let origin = match target.scope {
                ExtensionScope::Machine => stdio::Origin::Machine,
                ExtensionScope::Project => stdio::Origin::Project,
            };
            stdio::check(text("command"), &args, origin).map_err(|refusal| match entered_path {
                true => "The program or argument that was entered may not run as a server; enter the absolute path \
                         of the server's own program."
                    .to_owned(),
                false => refusal.to_string(),
            })?;
            stdio::check_environment(env.iter().map(|(name, _)| *name))
                .map_err(|refusal| refusal.to_string())
        }
        "http" => {
            if headers
                .iter()
                .any(|(name, value)| name.contains(['\r', '\n']) || value.contains(['\r', '\n']))
            {
                return Err("A header holds a line break; enter its value on one line.".into());
            }
            let allow_private = body.get("allowPrivateNetwork") == Some(&Value::Bool(true));
            url::check(text("url"), allow_private)
                .map(drop)
                .map_err(|refusal| refusal.to_string())
        }
        _ => Err("The server is neither of type stdio nor http; mend the bundle.".into()),
    }
}

/// The members of a map from texts to texts.
fn strings<'a>(value: Option<&'a Value>, what: &str) -> Result<Vec<(&'a str, &'a str)>, String> {
    let map = match value {
        None => return Ok(Vec::new()),
        Some(Value::Object(map)) => map,
        Some(_) => return Err(format!("{what} is no object; mend the bundle.")),
    };
    map.iter()
        .map(|(name, value)| value.as_str().map(|value| (name.as_str(), value)))
        .collect::<Option<_>>()
        .ok_or_else(|| format!("{what} holds something else than texts; mend the bundle."))
}
