//! The tri-state merge of `PUT /api/policy` (07 §4.5): absent leaves, `null` lifts, a value sets.

use super::ManagedPolicy;
use serde_json::{Map, Value};

/// Entries of a list at most.
pub const MAX_ENTRIES: usize = 500;
/// Characters of an entry at most.
pub const MAX_ENTRY: usize = 200;
/// Characters of the update channel at most.
pub const MAX_CHANNEL: usize = 64;

/// A request to change the policy, not yet understood.
pub type Change = Map<String, Value>;

/// Why a change is refused (400). Names the field, never its content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidChange {
    /// A field has the wrong type or an unknown member.
    #[error("`{field}` is not valid: write {expected}.")]
    Field {
        /// The field.
        field: String,
        /// What it takes.
        expected: &'static str,
    },
    /// There is no such field.
    #[error("The policy has no field `{0}`; see docs/contract/07-policy.md §4.5.")]
    Unknown(String),
    /// Too many entries, or too long ones.
    #[error(
        "`{0}` is too long: lists hold at most 500 entries of 200 characters, the update channel 64."
    )]
    TooLong(&'static str),
}

impl ManagedPolicy {
    /// The policy after a change; the policy stays as it is when any part of the change is invalid.
    ///
    /// `null` means: no constraint. For a list of allowed ids and the update channel that is their `null`, for
    /// everything else its default. Objects merge by their keys, where `null` lifts that key alone.
    pub fn merge(&self, change: &Change) -> Result<ManagedPolicy, InvalidChange> {
        let mut document = match serde_json::to_value(self) {
            Ok(Value::Object(document)) => document,
            _ => Map::new(),
        };
        for (field, value) in change {
            let expected = expected(field).ok_or_else(|| InvalidChange::Unknown(field.clone()))?;
            let invalid = || InvalidChange::Field {
                field: field.clone(),
                expected,
            };
            match (document.get_mut(field), value) {
                (_, Value::Null) => {
                    document.remove(field);
                }
                (Some(Value::Object(known)), Value::Object(changes)) => {
                    for (key, value) in changes {
                        match value {
                            Value::Null => known.shift_remove(key),
                            value => known.insert(key.clone(), value.clone()),
                        };
                    }
                }
                (Some(Value::Object(_)), _) => return Err(invalid()),
                (_, value) => {
                    document.insert(field.clone(), value.clone());
                }
            }
            // One field at a time, so that the error names it.
            let alone = document
                .get(field)
                .map(|value| Value::Object(Map::from_iter([(field.clone(), value.clone())])));
            if alone.is_some_and(|alone| serde_json::from_value::<ManagedPolicy>(alone).is_err()) {
                return Err(invalid());
            }
        }
        let policy: ManagedPolicy =
            serde_json::from_value(Value::Object(document)).map_err(|_| InvalidChange::Field {
                field: "policy".to_owned(),
                expected: "the fields of docs/contract/07-policy.md §4.5",
            })?;
        check_limits(&policy)?;
        Ok(policy)
    }
}

fn expected(field: &str) -> Option<&'static str> {
    Some(match field {
        "allowedProviders" | "allowedModels" => "an array of ids, or null for any",
        "deniedProviders" | "deniedModels" => "an array of ids",
        "keyManagement" => "`any`, `byok_required` or `org_managed_required`",
        "extensions" => {
            "an object of `customProviders`, `customMcps`, `customSkills`, true or false"
        }
        "features" => "an object of true or false",
        "permissionCeilings" => "an object of dimensions, each `allow`, `ask` or `deny`",
        "updateChannel" => "a channel's name, or null",
        _ => return None,
    })
}

/// Bounds of a policy (03 §8.15).
pub(super) fn check_limits(policy: &ManagedPolicy) -> Result<(), InvalidChange> {
    let lists = [
        (
            "allowedProviders",
            policy.allowed_providers.as_deref().unwrap_or_default(),
        ),
        ("deniedProviders", &policy.denied_providers),
        (
            "allowedModels",
            policy.allowed_models.as_deref().unwrap_or_default(),
        ),
        ("deniedModels", &policy.denied_models),
    ];
    let long = |entry: &String| entry.chars().count() > MAX_ENTRY;
    for (name, list) in lists {
        if list.len() > MAX_ENTRIES || list.iter().any(long) {
            return Err(InvalidChange::TooLong(name));
        }
    }
    let channel = policy.update_channel.as_deref().unwrap_or_default();
    if channel.chars().count() > MAX_CHANNEL {
        return Err(InvalidChange::TooLong("updateChannel"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Action;
    use serde_json::json;

    fn change(value: Value) -> Change {
        serde_json::from_value(value).unwrap()
    }

    fn policy() -> ManagedPolicy {
        ManagedPolicy::parse(
            r#"{"allowedProviders":["acme"],"deniedModels":["m"],"permissionCeilings":{"bash":"ask","web":"deny"}}"#,
        )
        .unwrap()
    }

    #[test]
    fn absent_leaves_null_lifts_and_a_value_sets() {
        let merged = policy()
            .merge(&change(json!({
                "allowedProviders": null, "allowedModels": [], "keyManagement": "byok_required",
                "permissionCeilings": {"web": null, "mcp": "ask"}, "extensions": {"customMcps": false}
            })))
            .unwrap();
        assert_eq!(merged.allowed_providers, None);
        assert_eq!(merged.allowed_models, Some(vec![]));
        assert_eq!(merged.denied_models, ["m"]);
        let ceilings = merged.permission_ceilings;
        assert_eq!(
            (ceilings.bash, ceilings.web, ceilings.mcp),
            (Some(Action::Ask), None, Some(Action::Ask))
        );
        assert!(merged.extensions.custom_skills && !merged.extensions.custom_mcps);
    }

    #[test]
    fn an_empty_change_changes_nothing() {
        assert_eq!(policy().merge(&Change::new()), Ok(policy()));
    }

    #[test]
    fn wrong_types_are_refused_with_the_field_and_without_its_content() {
        for (value, field) in [
            (json!({"allowedProviders": "canary"}), "allowedProviders"),
            (json!({"deniedModels": [7]}), "deniedModels"),
            (json!({"keyManagement": "canary"}), "keyManagement"),
            (json!({"extensions": true}), "extensions"),
            (
                json!({"permissionCeilings": {"bash": "canary"}}),
                "permissionCeilings",
            ),
            (json!({"features": {"chat": 1}}), "features"),
            (json!({"updateChannel": 1}), "updateChannel"),
        ] {
            let error = policy().merge(&change(value)).unwrap_err();
            assert!(
                matches!(&error, InvalidChange::Field { field: named, .. } if named == field),
                "{error}"
            );
            assert!(!error.to_string().contains("canary"), "{error}");
        }
        assert_eq!(
            policy().merge(&change(json!({"rules": []}))),
            Err(InvalidChange::Unknown("rules".into()))
        );
    }

    #[test]
    fn lists_are_bounded() {
        let many: Vec<String> = (0..501).map(|i| i.to_string()).collect();
        for value in [
            json!({"deniedProviders": many}),
            json!({"deniedProviders": ["x".repeat(201)]}),
            json!({"updateChannel": "x".repeat(65)}),
        ] {
            let result = policy().merge(&change(value));
            assert!(
                matches!(result, Err(InvalidChange::TooLong(_))),
                "{result:?}"
            );
        }
    }
}
