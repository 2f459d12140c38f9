//! Scenarios: named scripts and the rules that choose among them.

use super::step::Step;
use crate::TestkitError;
use regex::RegexBuilder;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

const BUILTIN: &str = include_str!("../../scenarios/builtin.json");
const DEMO: &str = include_str!("../../scenarios/demo.json");

/// A script: one step per model call.
pub type Script = Vec<Step>;

/// Named scripts, the rules that choose one, and the script for everything else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Model ids that `GET /v1/models` lists.
    #[serde(default = "default_models")]
    pub models: Vec<String>,
    /// When given, every model call needs it as its bearer token; otherwise 401.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
    /// Rules, first match wins.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// The script for a prompt that neither a marker nor a rule claims.
    #[serde(default)]
    pub default: String,
    /// The scripts by name.
    #[serde(default)]
    pub scripts: BTreeMap<String, Script>,
}

fn default_models() -> Vec<String> {
    vec!["fake-model".into(), "fake-small".into()]
}

/// Chooses a script by what the request looks like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Shown in the request log.
    #[serde(default)]
    pub name: String,
    /// Beats markers in the prompt: for title and compaction calls, which quote the user's text.
    #[serde(default)]
    pub priority: bool,
    /// The conditions, all of which must hold.
    #[serde(default, rename = "match")]
    pub conditions: Conditions,
    /// The chosen script.
    pub script: String,
}

/// Conditions of a [`Rule`]; an empty set always holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Conditions {
    /// Part of the system prompt, whatever the case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_contains: Option<String>,
    /// Part of the last user text, whatever the case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_contains: Option<String>,
    /// A regular expression found in the last user text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_regex: Option<String>,
    /// The model id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Whether the request offers tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_tools: Option<bool>,
}

impl Scenario {
    /// The built-in scripts: enough to exercise an agent runtime end to end.
    ///
    /// # Errors
    /// Never on a released crate: the embedded file is tested.
    pub fn builtin() -> Result<Self, TestkitError> {
        Self::parse(BUILTIN)
    }

    /// A pleasant first conversation over the built-in scripts; its default answer tells which
    /// words show what.
    ///
    /// # Errors
    /// Never on a released crate: the embedded file is tested.
    pub fn demo() -> Result<Self, TestkitError> {
        let demo = serde_json::from_str(DEMO)
            .map_err(|error| TestkitError::Scenario(error.to_string()))?;
        let merged = Self::builtin()?.overlaid(demo);
        merged.check()?;
        Ok(merged)
    }

    /// Reads a complete scenario from JSON text.
    ///
    /// # Errors
    /// [`TestkitError::Scenario`] for a wrong shape, an unknown script name or a bad pattern.
    pub fn parse(json: &str) -> Result<Self, TestkitError> {
        let scenario: Self = serde_json::from_str(json)
            .map_err(|error| TestkitError::Scenario(error.to_string()))?;
        scenario.check()?;
        Ok(scenario)
    }

    /// This scenario with another one on top: scripts by name, the other's rules first, its
    /// default and key when it has them.
    #[must_use]
    pub fn overlaid(mut self, over: Self) -> Self {
        self.scripts.extend(over.scripts);
        let mut rules = over.rules;
        rules.append(&mut self.rules);
        self.rules = rules;
        if !over.default.is_empty() {
            self.default = over.default;
        }
        self.api_key = over.api_key.or(self.api_key);
        self.models = over.models;
        self
    }

    /// This scenario with one more script, its steps given as JSON.
    ///
    /// # Errors
    /// [`TestkitError::Scenario`] when the JSON is not a list of steps.
    pub fn with_script(mut self, name: &str, steps: Value) -> Result<Self, TestkitError> {
        let steps = serde_json::from_value(steps)
            .map_err(|error| TestkitError::Scenario(format!("script {name}: {error}")))?;
        self.scripts.insert(name.to_owned(), steps);
        Ok(self)
    }

    /// This scenario with a bearer token that every model call must carry.
    #[must_use]
    pub fn requiring_key(mut self, api_key: &str) -> Self {
        self.api_key = Some(api_key.to_owned());
        self
    }

    fn check(&self) -> Result<(), TestkitError> {
        let names = self.rules.iter().map(|rule| &rule.script);
        let default = Some(&self.default).filter(|name| !name.is_empty());
        if let Some(name) = names
            .chain(default)
            .find(|name| !self.scripts.contains_key(*name))
        {
            return Err(TestkitError::Scenario(format!(
                "no script is called \"{name}\""
            )));
        }
        for rule in &self.rules {
            if let Some(pattern) = &rule.conditions.user_regex {
                RegexBuilder::new(pattern)
                    .size_limit(1 << 20)
                    .build()
                    .map_err(|error| {
                        TestkitError::Scenario(format!("rule {}: {error}", rule.name))
                    })?;
            }
        }
        Ok(())
    }
}

impl Conditions {
    /// Whether all conditions hold for a request.
    pub(crate) fn hold(&self, request: &RequestFacts<'_>) -> bool {
        let contains = |wanted: &Option<String>, text: &str| {
            wanted
                .as_ref()
                .is_none_or(|part| text.to_lowercase().contains(&part.to_lowercase()))
        };
        contains(&self.system_contains, request.system)
            && contains(&self.user_contains, request.user)
            && self.user_regex.as_ref().is_none_or(|pattern| {
                RegexBuilder::new(pattern)
                    .dot_matches_new_line(true)
                    .size_limit(1 << 20)
                    .build()
                    .is_ok_and(|regex| regex.is_match(request.user))
            })
            && self
                .model
                .as_deref()
                .is_none_or(|model| Some(model) == request.model)
            && self
                .has_tools
                .is_none_or(|wanted| wanted == request.has_tools)
    }
}

/// What the conditions look at.
pub(crate) struct RequestFacts<'a> {
    pub(crate) system: &'a str,
    pub(crate) user: &'a str,
    pub(crate) model: Option<&'a str>,
    pub(crate) has_tools: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_scenarios_are_usable() {
        let builtin = Scenario::builtin().unwrap();
        for name in [
            "title",
            "compaction",
            "hello",
            "reasoning",
            "slow",
            "hang",
            "drop",
            "huge",
            "rate200",
            "bash",
            "parallel",
            "multistep",
            "write-classic",
            "write-v2",
            "todo",
            "question",
            "task",
            "task-bash",
            "invalid-tool",
            "invalid-args",
            "error400",
            "error401",
            "error429",
            "error500",
            "stream_error",
        ] {
            assert!(builtin.scripts.contains_key(name), "{name}");
        }
        let demo = Scenario::demo().unwrap();
        assert_eq!(demo.default, "demo");
        assert!(
            demo.scripts.contains_key("hello"),
            "the built-in scripts stay reachable"
        );
    }

    #[test]
    fn a_rule_that_names_no_script_is_refused() {
        let error = Scenario::parse(r#"{"rules":[{"script":"nope"}],"scripts":{}}"#).unwrap_err();
        assert!(error.to_string().contains("\"nope\""), "{error}");
    }

    #[test]
    fn a_bad_pattern_is_refused() {
        let json = r#"{"rules":[{"name":"r","script":"a","match":{"user_regex":"("}}],"scripts":{"a":[]}}"#;
        assert!(Scenario::parse(json).is_err());
    }
}
