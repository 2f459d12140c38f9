//! Keys as people type them, `branding.name` or `/branding/name`, looked up in the schema.

use crate::load::RESOLVED;
use crate::pointer;
use crate::redact::quoted;
use crate::schema::{self, Form};
use open_cowork_contracts::finding::Finding;
use serde_json::Value;

/// The RFC 6901 pointer of a key.
///
/// A dotted key may hold indexes as `tools[0]` or `tools.0`. A name that holds dots itself, such as a
/// model id, is found if `value` has it; otherwise write the pointer.
///
/// # Errors
/// `CONFIG_UNKNOWN_KEY` when the schema has no such key, with the nearest one that it has.
pub(crate) fn parse(key: &str, value: &Value) -> Result<String, Finding> {
    let key = crate::blank::trim(key);
    let has_gap = !key.starts_with('/')
        && (key == "[" || key == "]" || key.split('.').any(str::is_empty) || key.contains("[]"));
    if has_gap && !key.is_empty() {
        return Err(refused(
            key,
            "The key has a part without a name.",
            "Write a dotted key such as `branding.name`, an index such as `tools[0].id`, or `(root)` for everything.",
        ));
    }
    let pointer = if key.is_empty() || key == "(root)" {
        String::new()
    } else if key.starts_with('/') {
        key.to_owned()
    } else {
        from_dotted(key, value)
    };
    check(key, &pointer)?;
    within(key, &pointer, value)?;
    Ok(pointer)
}

/// An index must be one of the list, if the list is there.
fn within(key: &str, pointer: &str, value: &Value) -> Result<(), Finding> {
    let mut here = Some(value);
    let mut place = String::new();
    for step in pointer::steps(pointer) {
        if let Some(Value::Array(items)) = here
            && step
                .parse::<usize>()
                .ok()
                .is_none_or(|at| at >= items.len())
        {
            let list = crate::document::shown(value, &place);
            let have = match items.len() {
                1 => "1 item".to_owned(),
                many => format!("{many} items"),
            };
            return Err(refused(
                key,
                format!("The list `{list}` has {have}, so there is no [{step}]."),
                "Items are counted from 0.",
            ));
        }
        here = match here {
            Some(Value::Array(items)) => step.parse::<usize>().ok().and_then(|at| items.get(at)),
            Some(Value::Object(map)) => map.get(step.as_ref()),
            _ => None,
        };
        pointer::push(&mut place, &step);
    }
    Ok(())
}

fn refused(key: &str, message: impl Into<String>, help: &str) -> Finding {
    Finding::error(
        "CONFIG_UNKNOWN_KEY",
        format!("{RESOLVED} {}", quoted(key)),
        message,
    )
    .with_help(help)
}

fn from_dotted(key: &str, value: &Value) -> String {
    let plain = key.replace('[', ".").replace(']', "");
    let parts: Vec<&str> = plain.split('.').collect();
    let mut pointer = String::new();
    let mut here = Some(value);
    let mut at = 0;
    while at < parts.len() {
        let longest = (at + 1..=parts.len()).rev().find_map(|end| {
            let name = parts[at..end].join(".");
            let inner = here?.as_object()?.get(&name)?;
            Some((end, name, inner))
        });
        match longest {
            Some((end, name, inner)) => {
                pointer::push(&mut pointer, &name);
                here = Some(inner);
                at = end;
            }
            None => {
                let name = parts[at];
                pointer::push(&mut pointer, name);
                here = here
                    .and_then(Value::as_array)
                    .and_then(|list| list.get(name.parse::<usize>().ok()?));
                at += 1;
            }
        }
    }
    pointer
}

/// Whether the schema has a place for a pointer.
fn check(key: &str, pointer: &str) -> Result<(), Finding> {
    let root = schema::value(Form::Full);
    let mut here = alternatives(root, root);
    let mut known = String::new();
    for step in pointer::steps(pointer) {
        let next: Vec<&Value> = here
            .iter()
            .filter_map(|place| member(place, &step))
            .flat_map(|place| alternatives(place, root))
            .collect();
        if next.is_empty() && !here.iter().any(|place| is_open(place)) {
            return Err(unknown(key, &known, &step, &here));
        }
        // Below an open object anything may stand.
        if next.is_empty() {
            return Ok(());
        }
        if !known.is_empty() {
            known.push('.');
        }
        known.push_str(&step);
        here = next;
    }
    Ok(())
}

/// What the schema says about a key, if it does.
pub(crate) fn description(pointer: &str) -> Option<&'static str> {
    let root = schema::value(Form::Full);
    let mut here = vec![root];
    for step in pointer::steps(pointer) {
        let places: Vec<&Value> = here
            .iter()
            .flat_map(|place| alternatives(place, root))
            .collect();
        here = places
            .iter()
            .filter_map(|place| member(place, &step))
            .collect();
    }
    let places = here.iter().flat_map(|place| alternatives(place, root));
    here.iter()
        .copied()
        .chain(places)
        .find_map(|place| place["description"].as_str())
}

fn unknown(key: &str, known: &str, step: &str, here: &[&Value]) -> Finding {
    let names = here
        .iter()
        .filter_map(|place| place["properties"].as_object())
        .flat_map(|names| names.keys());
    let nearest = names
        .map(|name| (strsim::damerau_levenshtein(name, step), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 3)
        .min();
    let inside = match known {
        "" => "The configuration".to_owned(),
        known => quoted(known),
    };
    let finding = Finding::error(
        "CONFIG_UNKNOWN_KEY",
        format!("{RESOLVED} {}", quoted(key)),
        format!("{inside} has no key {}.", quoted(step)),
    );
    match (nearest, known) {
        (Some((_, name)), "") => finding.with_help(format!("Did you mean `{name}`?")),
        (Some((_, name)), known) => finding.with_help(format!("Did you mean `{known}.{name}`?")),
        (None, _) => finding.with_help(
            "Write a dotted key such as `branding.name`, or a pointer such as `/branding/name` when a name holds dots.",
        ),
    }
}

/// A schema with everything that it refers to or chooses from.
fn alternatives<'a>(schema: &'a Value, root: &'a Value) -> Vec<&'a Value> {
    let mut out = vec![schema];
    let mut at = 0;
    // The schema has no cycles of plain references; the bound keeps a mistake in it from hanging.
    while at < out.len() && out.len() < 64 {
        let place = out[at];
        if let Some(reference) = place["$ref"]
            .as_str()
            .and_then(|reference| reference.strip_prefix('#'))
        {
            out.extend(root.pointer(reference));
        }
        for choice in ["oneOf", "anyOf", "allOf"] {
            out.extend(place[choice].as_array().into_iter().flatten());
        }
        at += 1;
    }
    out
}

fn member<'a>(schema: &'a Value, step: &str) -> Option<&'a Value> {
    let named = schema["properties"]
        .as_object()
        .and_then(|properties| properties.get(step));
    let index = || step.bytes().all(|byte| byte.is_ascii_digit()) && !step.is_empty();
    named
        .or_else(|| {
            schema
                .get("additionalProperties")
                .filter(|other| other.is_object())
        })
        .or_else(|| schema.get("items").filter(|_| index()))
}

/// An object that takes any member without saying what it is.
fn is_open(schema: &Value) -> bool {
    schema.get("additionalProperties") == Some(&Value::Bool(true))
        || (schema["type"] == "object"
            && schema.get("additionalProperties").is_none()
            && schema.get("properties").is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn dotted_keys_indexes_and_pointers_lead_to_the_same_place() {
        let value =
            json!({"tools": [{"id": "a"}], "providers": {"modelInfo": {"a/b-1.5": {"limit": {}}}}});
        for (key, pointer) in [
            ("branding.name", "/branding/name"),
            ("/branding/name", "/branding/name"),
            ("tools[0].id", "/tools/0/id"),
            ("tools.0.id", "/tools/0/id"),
            (
                "providers.modelInfo.a/b-1.5.limit",
                "/providers/modelInfo/a~1b-1.5/limit",
            ),
            (
                "updates.releaseSource.bucket",
                "/updates/releaseSource/bucket",
            ),
            (
                "gateway.providers[0].settings.any.thing",
                "/gateway/providers/0/settings/any/thing",
            ),
            ("", ""),
            ("(root)", ""),
        ] {
            assert_eq!(parse(key, &value).unwrap(), pointer, "{key}");
        }
    }

    #[test]
    fn an_unknown_key_is_told_with_the_nearest() {
        let finding = parse("brandng.name", &json!({})).unwrap_err();
        assert_eq!(finding.code, "CONFIG_UNKNOWN_KEY");
        assert_eq!(finding.help.as_deref(), Some("Did you mean `branding`?"));
        let finding = parse("branding.nmae", &json!({})).unwrap_err();
        assert_eq!(finding.message, "`branding` has no key `nmae`.");
        assert_eq!(
            finding.help.as_deref(),
            Some("Did you mean `branding.name`?")
        );
        assert!(parse("tools.x", &json!({})).is_err());
        assert!(parse("branding.name.first", &json!({})).is_err());
    }
}
