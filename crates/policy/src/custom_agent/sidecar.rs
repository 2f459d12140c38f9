//! The sidecar of a custom agent, `<name>.<namespace>.json` (05 §9): what the builder remembers. One that can't
//! be read is empty; then everything is derived from the Markdown file.

use super::rules::Override;
use super::{File, tool_of_key};
use crate::agent::Mode;
use crate::permission::Rule;
use crate::tool::Tool;
use crate::{Action, PermissionObject};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

/// What the sidecar says; an absent field is derived.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Sidecar {
    /// Colour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// Who may start it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Names of its skills.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skill_names: Option<Vec<String>>,
    /// Ids of its tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_ids: Option<Vec<String>>,
    /// Patterns that it may not use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied_tool_patterns: Option<Vec<String>>,
    /// Overrides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission_overrides: Option<Vec<Override>>,
    /// A picture, as data URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar: Option<String>,
    /// Model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Variant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Temperature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<Number>,
    /// Nucleus sampling.
    #[serde(skip_serializing_if = "Option::is_none", rename = "top_p")]
    pub top_p: Option<Number>,
    /// Model steps per turn; rounded when it is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<Number>,
    /// Options of the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<Map<String, Value>>,
}

impl Sidecar {
    /// Reads a sidecar; one that can't be understood is empty.
    #[must_use]
    pub fn parse(json: &str) -> Self {
        serde_json::from_str(json).unwrap_or_default()
    }

    /// What a Markdown file that was written by hand says (05 §9): skills are the `skill` keys that aren't
    /// denied; tools come from keys that allow or ask; what is denied stays denied.
    #[must_use]
    pub fn derive(file: &File, tools: &[Tool], servers: &[String]) -> Self {
        let permission = &file.permission;
        let mut tool_ids: Vec<String> = Vec::new();
        let mut denied = Vec::new();
        for (key, rule) in permission.iter() {
            if matches!(key, "skill" | "task") {
                continue;
            }
            if rule.most_permissive() == Action::Deny {
                denied.push(key.to_owned());
            } else if let Some(id) = tool_of_key(key, tools, servers)
                && !tool_ids.contains(&id)
            {
                tool_ids.push(id);
            }
        }
        let inference = &file.inference;
        Self {
            color: file.color.clone(),
            mode: file.mode,
            skill_names: Some(skills_of(permission)),
            tool_ids: Some(tool_ids),
            denied_tool_patterns: Some(denied),
            permission_overrides: None,
            avatar: None,
            model: inference.model.clone(),
            variant: inference.variant.clone(),
            temperature: inference.temperature.clone(),
            top_p: inference.top_p.clone(),
            steps: inference.steps.map(Number::from),
            options: (!inference.options.is_empty()).then(|| inference.options.clone()),
        }
    }

    /// This sidecar, completed by another one field by field.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            color: self.color.or(other.color),
            mode: self.mode.or(other.mode),
            skill_names: self.skill_names.or(other.skill_names),
            tool_ids: self.tool_ids.or(other.tool_ids),
            denied_tool_patterns: self.denied_tool_patterns.or(other.denied_tool_patterns),
            permission_overrides: self.permission_overrides.or(other.permission_overrides),
            avatar: self.avatar.or(other.avatar),
            model: self.model.or(other.model),
            variant: self.variant.or(other.variant),
            temperature: self.temperature.or(other.temperature),
            top_p: self.top_p.or(other.top_p),
            steps: self.steps.or(other.steps),
            options: self.options.or(other.options),
        }
    }
}

fn skills_of(permission: &PermissionObject) -> Vec<String> {
    match permission.get("skill") {
        Some(Rule::Patterns(patterns)) => patterns
            .iter()
            .filter(|(name, action)| *name != "*" && **action != Action::Deny)
            .map(|(name, _)| name.clone())
            .collect(),
        _ => Vec::new(),
    }
}

/// Steps as a whole number above 0: rounded; `None` when nothing is left.
pub(super) fn whole_steps(steps: impl Into<Number>) -> Option<u64> {
    let steps = steps.into();
    if let Some(whole) = steps.as_u64() {
        return (whole > 0).then_some(whole);
    }
    let rounded = steps.as_f64()?.round();
    // Above 2^53 nobody means it.
    ((1.0..9_007_199_254_740_992.0).contains(&rounded)).then_some(rounded as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sidecar_that_cannot_be_read_is_empty() {
        for text in ["", "{", "[]", r#"{"mode":7}"#] {
            assert_eq!(Sidecar::parse(text), Sidecar::default(), "{text}");
        }
    }

    #[test]
    fn a_file_written_by_hand_tells_skills_tools_and_denials() {
        let file = File::parse(
            "---\npermission:\n  skill: {\"*\": deny, reports: allow, secret: deny}\n  task: deny\n  bash: {\"*\": deny, \"git *\": ask}\n  write: allow\n  edit: allow\n  wiki_get_page: allow\n  mine_*: ask\n  mcp__mail__send: deny\n---\n",
        )
        .unwrap();
        let tools = [Tool {
            id: "wiki".into(),
            patterns: vec!["mcp__wiki__get_page".into()],
            ..Tool::default()
        }];
        let derived = Sidecar::derive(&file, &tools, &["mine".to_owned()]);
        assert_eq!(derived.skill_names.unwrap(), ["reports"]);
        assert_eq!(derived.tool_ids.unwrap(), ["bash", "edit", "wiki", "mine"]);
        assert_eq!(derived.denied_tool_patterns.unwrap(), ["mcp__mail__send"]);
    }

    #[test]
    fn steps_are_rounded_and_above_zero() {
        let number = |text: &str| whole_steps(serde_json::from_str::<Number>(text).unwrap());
        for (text, expected) in [
            ("3", Some(3)),
            ("2.6", Some(3)),
            ("0.4", None),
            ("0", None),
            ("-1", None),
            ("1e300", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
    }
}
