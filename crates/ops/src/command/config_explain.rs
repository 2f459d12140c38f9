//! `open-cowork config explain`: where a value comes from.

use super::{Place, layers, no_sarif};
use crate::arguments::Layers;
use crate::error::CommandError;
use crate::output::{Format, Outcome, Reported};
use open_cowork_config::explain::{Explanation, Origin, Setting};
use serde_json::Value;
use std::fmt::Write as _;

pub(super) fn run(
    place: &Place,
    key: &str,
    layers: &Layers,
    format: Format,
) -> Result<Outcome, CommandError> {
    no_sarif(format, "config explain")?;
    let loaded = match layers::load(place, &layers.config)? {
        Ok(loaded) => loaded,
        Err(refused) => return Ok(refused.into_outcome("config:explain")),
    };
    let explanation = match loaded.explain(key) {
        Ok(explanation) => explanation,
        Err(unknown) => {
            return Ok(Outcome::Report(Box::new(Reported {
                command: "config:explain",
                findings: vec![unknown],
                looked_at: "1 key".into(),
                ..Reported::default()
            })));
        }
    };
    Ok(Outcome::Document(match format {
        Format::Json => serde_json::to_string_pretty(&explanation).map_err(|error| {
            CommandError::Internal(format!("the explanation has no JSON form: {error}"))
        })?,
        _ => text(&explanation),
    }))
}

/// The value, what the key is for, and the layers from the highest down.
fn text(explanation: &Explanation) -> String {
    let value = explanation.value.as_ref();
    let mut out = format!(
        "{} = {}\n",
        explanation.key,
        value.map_or_else(|| "(not set)".to_owned(), short)
    );
    if let Some(about) = explanation.about {
        let _ = writeln!(out, "  {about}");
    }
    let how = match explanation.origin {
        Origin::Written => "",
        Origin::Merged => "several layers say parts of it, the highest is listed first",
        Origin::Derived => "it follows from another key of the same layer",
        Origin::Normalised => "it is written in another form in the layer",
        Origin::Inferred => follows_from(&explanation.pointer),
        Origin::Default => "nobody says it; it is built in",
        Origin::Unset => "nobody says it, and nothing is built in",
    };
    if !how.is_empty() {
        let _ = writeln!(out, "  {how}");
    }
    if let Some(note) = &explanation.note {
        let _ = writeln!(out, "  {note}");
    }
    if let Some(setting) = &explanation.set_by {
        let _ = writeln!(out, "\n  from  {}", shown(setting));
    }
    for setting in &explanation.beaten {
        let _ = writeln!(out, "  beats {}", shown(setting));
    }
    out.trim_end().to_owned()
}

/// What decides a value that nobody wrote (02 §2.4, §4.10, §6).
fn follows_from(pointer: &str) -> &'static str {
    for (start, from) in [
        (
            "/cloud/auth",
            "it follows from cloud.auth: signupMode, else allowSelfServiceSignup, mode and allowedEmailDomains",
        ),
        (
            "/cloud/profiles",
            "it follows from the profile, else cloud.features and cloud.runtime, else the built-in profile",
        ),
        (
            "/cloud/defaultProfile",
            "it follows from cloud.profiles: an unknown default becomes \"full\"",
        ),
        (
            "/gateway/providers",
            "it follows from the provider's kind and its place in the list",
        ),
    ] {
        if pointer.starts_with(start) {
            return from;
        }
    }
    "it follows from other keys; docs/contract/02-config.md §2.4 says from which"
}

/// `team.json:3:17 (command line): "deny"`.
fn shown(setting: &Setting) -> String {
    let value = short(&setting.value);
    let label = setting.layer.label();
    match (&setting.file, setting.line, setting.column) {
        (Some(file), ..) if file == layers::PRODUCT => format!("{file}: {value}"),
        (Some(file), Some(line), Some(column)) => {
            format!("{file}:{line}:{column} ({label}): {value}")
        }
        (Some(file), _, _) => format!("{file} ({label}): {value}"),
        (None, _, _) => format!("{label}: {value}"),
    }
}

/// JSON on one line; a long one is counted instead of printed below the first line.
fn short(value: &Value) -> String {
    const LONGEST: usize = 200;
    let text = value.to_string();
    if text.chars().count() <= LONGEST {
        return text;
    }
    let start: String = text.chars().take(LONGEST).collect();
    format!("{start}… ({} bytes; --format json shows all)", text.len())
}
