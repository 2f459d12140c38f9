//! What the author of an unknown key may have meant.

use super::{Form, value};
use crate::pointer;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::LazyLock;

/// The name that is most like what was written, when one is like enough: it differs by its case
/// only, or by at most one letter in three.
pub(super) fn nearest<'n>(written: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    const LONGEST: usize = 64;
    if written.len() > LONGEST {
        return None; // no name is that long, and comparing costs the product of the lengths
    }
    let lower = written.to_lowercase();
    names
        .map(|name| (strsim::osa_distance(&lower, &name.to_lowercase()), name))
        .filter(|(distance, name)| {
            *distance * 3 <= name.chars().count().min(lower.chars().count()).max(3)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// What to say about keys that are set by the environment (02 §4.13) or go by another name.
pub(super) fn elsewhere(pointer: &str) -> Option<&'static str> {
    Some(match pointer {
        "/gateway/cloud" => {
            "The cloud of a gateway is set by the environment: OPEN_COWORK_CLOUD_BASE_URL and OPEN_COWORK_GATEWAY_SERVICE_TOKEN."
        }
        "/gateway/timeouts/cloudRequestMs" => {
            "This deadline is set by the environment: OPEN_COWORK_GATEWAY_CLOUD_REQUEST_TIMEOUT_MS."
        }
        "/gateway/instanceId" => {
            "The id of a gateway is set by the environment: OPEN_COWORK_GATEWAY_INSTANCE_ID."
        }
        _ => return None,
    })
}

/// The names that an object may have: all, or of many those that look most like what was written.
pub(super) fn known<'n>(written: &str, names: impl Iterator<Item = &'n str>) -> String {
    const ALL: usize = 12;
    const SOME: usize = 5;
    let mut names: Vec<&str> = names.collect();
    if names.len() <= ALL {
        return format!("Known here: {}.", names.join(", "));
    }
    let written: String = written.chars().take(64).collect::<String>().to_lowercase();
    names.sort_by_cached_key(|name| strsim::osa_distance(&written, &name.to_lowercase()));
    names.truncate(SOME);
    format!("Known here are {} and others.", names.join(", "))
}

/// Where in the schema a member of that name belongs, when there are few such places.
pub(super) fn place_of(name: &str, here: &str) -> Option<String> {
    const MOST: usize = 3;
    static PLACES: LazyLock<HashMap<&str, Vec<String>>> = LazyLock::new(|| {
        let mut places = HashMap::new();
        if let Value::Object(root) = value(Form::Full) {
            gather(root, root, "", &mut places);
        }
        places
    });
    let places = PLACES.get(name)?;
    if places.iter().any(|place| is_at(place, here)) {
        return Some(format!("\"{name}\" belongs to another \"kind\"."));
    }
    (places.len() <= MOST).then(|| format!("It belongs at {}.", places.join(" or ")))
}

/// Whether a place, such as `gateway.providers[].id`, is that of the pointer.
fn is_at(place: &str, pointer: &str) -> bool {
    let place = place.replace("[]", ".*");
    let mut written = pointer::steps(pointer);
    place.split('.').all(|name| {
        written
            .next()
            .is_some_and(|step| name == "*" || name == step)
    }) && written.next().is_none()
}

fn gather(
    root: &'static Map<String, Value>,
    schema: &'static Map<String, Value>,
    path: &str,
    places: &mut HashMap<&'static str, Vec<String>>,
) {
    let target = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|reference| reference.strip_prefix("#/$defs/"))
        .and_then(|name| root.get("$defs")?.get(name)?.as_object());
    if let Some(target) = target {
        return gather(root, target, path, places);
    }
    if let Some(Value::Object(members)) = schema.get("properties") {
        for (member, child) in members {
            let below = if path.is_empty() {
                member.clone()
            } else {
                format!("{path}.{member}")
            };
            if let Value::Object(child) = child {
                gather(root, child, &below, places);
            }
            places.entry(member).or_default().push(below);
        }
    }
    for (keyword, step) in [("items", "[]"), ("additionalProperties", ".*")] {
        if let Some(Value::Object(child)) = schema.get(keyword) {
            gather(root, child, &format!("{path}{step}"), places);
        }
    }
    if let Some(Value::Array(branches)) = schema.get("oneOf") {
        for branch in branches.iter().filter_map(Value::as_object) {
            gather(root, branch, path, places);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognized_and_a_guess_is_not_made() {
        let names = ["productName", "shortName", "logoUrl"];
        let near = |written| nearest(written, names.into_iter());
        assert_eq!(near("prodcutName"), Some("productName"));
        assert_eq!(near("logoURL"), Some("logoUrl"));
        assert_eq!(near("logo_url"), Some("logoUrl"));
        assert_eq!(near("theme"), None);
        assert_eq!(near(&"x".repeat(100_000)), None);
    }

    #[test]
    fn a_key_in_the_wrong_object_is_sent_to_its_place() {
        let place_of = |name| place_of(name, "/elsewhere");
        assert_eq!(
            place_of("signupMode").as_deref(),
            Some("It belongs at cloud.auth.signupMode.")
        );
        assert_eq!(
            place_of("productName").as_deref(),
            Some("It belongs at cloud.publicBranding.productName or gateway.branding.productName.")
        );
        assert_eq!(place_of("enabled"), None);
        assert_eq!(place_of("nonsense"), None);
    }

    #[test]
    fn a_key_of_another_branch_is_told_so() {
        let help = place_of("owner", "/updates/releaseSource/owner");
        assert_eq!(
            help.as_deref(),
            Some("\"owner\" belongs to another \"kind\".")
        );
    }

    #[test]
    fn of_many_names_only_the_likeliest_are_listed() {
        let few = known("x", ["a", "b"].into_iter());
        assert_eq!(few, "Known here: a, b.");
        let names: Vec<String> = (0..20).map(|n| format!("name{n}")).collect();
        let many = known("name7x", names.iter().map(String::as_str));
        assert!(
            many.starts_with("Known here are name7,") && many.ends_with(" and others."),
            "{many}"
        );
        assert_eq!(many.matches("name").count(), 5, "{many}");
    }
}
