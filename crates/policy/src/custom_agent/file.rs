//! The Markdown file of a custom agent (05 §9): YAML front matter, then an optional directive for the runtime,
//! then the instructions.
//!
//! Reading takes any YAML; writing makes the contract's order and quoting. Keys that we don't know survive.

use crate::Action;
use crate::agent::{Inference, Mode};
use crate::permission::{PermissionObject, Rule};
use serde_json::{Map, Value};

/// The line before the directive.
pub const DIRECTIVE_START: &str = "<!-- open-cowork:runtime-directive:start -->";
/// The line behind it.
pub const DIRECTIVE_END: &str = "<!-- open-cowork:runtime-directive:end -->";
/// Bytes of a file at most: instructions, front matter and room for the directive.
pub const MAX_FILE: usize = 160 * 1024;

/// A file, understood.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct File {
    /// One line.
    pub description: String,
    /// Who may start it.
    pub mode: Option<Mode>,
    /// Colour.
    pub color: Option<String>,
    /// How its model is asked.
    pub inference: Inference,
    /// What it may do, as written.
    pub permission: PermissionObject,
    /// Further keys of the front matter.
    pub other: Map<String, Value>,
    /// The prompt, without the directive.
    pub instructions: String,
}

/// Why a file can't be understood. Names the place, never the content. Such an agent is not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// Too large.
    #[error("The agent's file is larger than 160 KiB; shorten its instructions.")]
    TooLarge,
    /// The front matter has no end.
    #[error("The front matter has no closing `---` line; add it before the instructions.")]
    Unclosed,
    /// The front matter is no YAML.
    #[error("The front matter can't be read at line {line}; correct the YAML there.")]
    Yaml {
        /// Line in the file, from 1.
        line: u64,
    },
    /// A key has a value that it can't have.
    #[error("`{key}` in the front matter is not valid: write {expected}.")]
    Value {
        /// The key.
        key: &'static str,
        /// What it takes.
        expected: &'static str,
    },
}

impl File {
    /// Reads a file. Without front matter everything is instructions.
    pub fn parse(text: &str) -> Result<Self, FileError> {
        if text.len() > MAX_FILE {
            return Err(FileError::TooLarge);
        }
        let text = text
            .strip_prefix('\u{feff}')
            .unwrap_or(text)
            .replace("\r\n", "\n");
        let Some(rest) = text.strip_prefix("---\n") else {
            return Ok(Self {
                instructions: without_directive(&text),
                ..Self::default()
            });
        };
        let closing = |line: &str| line.trim_end() == "---";
        let mut offset = 0;
        let mut end = None;
        for line in rest.split_inclusive('\n') {
            if closing(line) {
                end = Some((offset, offset + line.len()));
                break;
            }
            offset += line.len();
        }
        let (yaml, body) = match end {
            Some((end, body)) => (&rest[..end], &rest[body..]),
            None => return Err(FileError::Unclosed),
        };
        let mut front = front_matter(yaml)?;
        let mut file = Self {
            instructions: without_directive(body),
            ..Self::default()
        };
        file.take(&mut front)?;
        file.other = front;
        Ok(file)
    }

    fn take(&mut self, front: &mut Map<String, Value>) -> Result<(), FileError> {
        let mut take = |key: &'static str| (key, front.shift_remove(key).filter(|v| !v.is_null()));
        let text = |(key, value): (&'static str, Option<Value>)| match value {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(FileError::Value {
                key,
                expected: "text",
            }),
        };
        let number = |(key, value): (&'static str, Option<Value>)| match value {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(Some(number)),
            Some(_) => Err(FileError::Value {
                key,
                expected: "a number",
            }),
        };
        self.description = text(take("description"))?.unwrap_or_default();
        self.mode = match text(take("mode"))?.as_deref() {
            None => None,
            Some("primary") => Some(Mode::Primary),
            Some("subagent") => Some(Mode::Subagent),
            Some("all") => Some(Mode::All),
            Some(_) => {
                return Err(FileError::Value {
                    key: "mode",
                    expected: "`primary`, `subagent` or `all`",
                });
            }
        };
        self.color = text(take("color"))?;
        self.inference.model = text(take("model"))?;
        self.inference.variant = text(take("variant"))?;
        self.inference.temperature = number(take("temperature"))?;
        self.inference.top_p = number(take("top_p"))?;
        self.inference.steps = match number(take("steps"))? {
            None => None,
            Some(steps) => Some(super::sidecar::whole_steps(steps).ok_or(FileError::Value {
                key: "steps",
                expected: "a whole number above 0",
            })?),
        };
        self.inference.options = match take("options").1 {
            None => Map::new(),
            Some(Value::Object(options)) => options,
            Some(_) => {
                return Err(FileError::Value {
                    key: "options",
                    expected: "a map",
                });
            }
        };
        self.permission = match take("permission").1 {
            None => PermissionObject::default(),
            Some(value) => serde_json::from_value(value).map_err(|_| FileError::Value {
                key: "permission",
                expected: "a map of tools to `allow`, `ask`, `deny` or to a map of patterns",
            })?,
        };
        Ok(())
    }

    /// Writes the file: keys in the contract's order, a `task: deny` when nothing is said about tasks,
    /// `"*": deny` first under `skill` when skills are attached, and the directive that loads `skills`.
    #[must_use]
    pub fn write(&self, skills: &[String]) -> String {
        let mut text = String::from("---\n");
        let mut line = |key: &str, value: &str| {
            text.push_str(&format!("{key}: {value}\n"));
        };
        line("description", &json(&self.description));
        if let Some(mode) = self.mode {
            line(
                "mode",
                match mode {
                    Mode::Primary => "primary",
                    Mode::Subagent => "subagent",
                    Mode::All => "all",
                },
            );
        }
        if let Some(color) = &self.color {
            line("color", &plain(color));
        }
        if let Some(model) = &self.inference.model {
            line("model", &json(model));
        }
        if let Some(variant) = &self.inference.variant {
            line("variant", &json(variant));
        }
        if let Some(temperature) = &self.inference.temperature {
            line("temperature", &temperature.to_string());
        }
        if let Some(top_p) = &self.inference.top_p {
            line("top_p", &top_p.to_string());
        }
        if let Some(steps) = self.inference.steps {
            line("steps", &steps.to_string());
        }
        if !self.inference.options.is_empty() {
            line("options", &json(&self.inference.options));
        }
        for (key, value) in &self.other {
            line(&plain(key), &json(value));
        }
        text.push_str("permission:\n");
        for (key, rule) in self.written_permission(skills).iter() {
            match rule {
                Rule::Action(action) => {
                    text.push_str(&format!("  {}: {}\n", plain(key), word(*action)))
                }
                Rule::Patterns(patterns) => {
                    text.push_str(&format!("  {}:\n", plain(key)));
                    for (pattern, action) in patterns {
                        text.push_str(&format!("    {}: {}\n", json(pattern), word(*action)));
                    }
                }
            }
        }
        text.push_str("---\n");
        if !skills.is_empty() {
            text.push_str(&directive(skills));
            text.push('\n');
        }
        text.push_str(self.instructions.trim());
        text.push('\n');
        text
    }

    fn written_permission(&self, skills: &[String]) -> PermissionObject {
        let mut written = PermissionObject::default();
        if self.permission.get("task").is_none() {
            written.set("task", Action::Deny);
        }
        for (key, rule) in self.permission.iter() {
            let rule = match rule {
                // The catch-all must stand first: OpenCode takes the last rule that matches.
                Rule::Patterns(patterns) if key == "skill" && !skills.is_empty() => Rule::patterns(
                    Action::Deny,
                    patterns
                        .iter()
                        .filter(|(name, _)| *name != "*")
                        .map(|(name, action)| (name.as_str(), *action)),
                ),
                rule => rule.clone(),
            };
            written.set(key, rule);
        }
        written
    }
}

/// The block that has the runtime load skills before anything else.
fn directive(skills: &[String]) -> String {
    let calls: Vec<String> = skills
        .iter()
        .map(|skill| {
            format!(
                "- call the `skill` tool with {}",
                serde_json::json!({"name": skill})
            )
        })
        .collect();
    format!(
        "{DIRECTIVE_START}\nBefore anything else, load your skills:\n{}\n{DIRECTIVE_END}\n",
        calls.join("\n")
    )
}

/// The instructions without any directive.
fn without_directive(body: &str) -> String {
    let mut kept = String::new();
    let mut rest = body;
    while let Some((before, after)) = rest.split_once(DIRECTIVE_START) {
        kept.push_str(before);
        rest = after
            .split_once(DIRECTIVE_END)
            .map_or("", |(_, after)| after);
    }
    kept.push_str(rest);
    kept.trim().to_owned()
}

fn front_matter(yaml: &str) -> Result<Map<String, Value>, FileError> {
    if yaml.trim().is_empty() {
        return Ok(Map::new());
    }
    let value: Value = serde_saphyr::from_str(yaml).map_err(|error| FileError::Yaml {
        // The line in the file: one for `---`.
        line: error.location().map_or(0, |place| place.line()) + 1,
    })?;
    match value {
        Value::Null => Ok(Map::new()),
        Value::Object(front) => Ok(front),
        _ => Err(FileError::Yaml { line: 2 }),
    }
}

/// JSON is YAML.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// A key or word without quotes where YAML reads it back as the same text.
fn plain(text: &str) -> String {
    let simple = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '*'))
        && !["true", "false", "yes", "no", "on", "off", "null", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str());
    if simple { text.to_owned() } else { json(&text) }
}

fn word(action: Action) -> &'static str {
    match action {
        Action::Deny => "deny",
        Action::Ask => "ask",
        Action::Allow => "allow",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILE: &str = r#"---
description: "Writes: well"
mode: subagent
color: info
model: "acme/large"
temperature: 0.2
steps: 12
options: {"effort":"high"}
permission:
  task: deny
  skill:
    "*": deny
    "reports": allow
  bash: ask
  mcp__wiki__*: allow
---
<!-- open-cowork:runtime-directive:start -->
Before anything else, load your skills:
- call the `skill` tool with {"name":"reports"}
<!-- open-cowork:runtime-directive:end -->

Write well.
"#;

    #[test]
    fn a_file_is_written_as_it_was_read() {
        let file = File::parse(FILE).unwrap();
        assert_eq!(file.description, "Writes: well");
        assert_eq!(file.instructions, "Write well.");
        assert_eq!(file.write(&["reports".to_owned()]), FILE);
    }

    #[test]
    fn people_write_yaml_in_many_ways() {
        let file = File::parse(
            "---\r\ndescription: >\r\n  Reads\r\n  things\r\ncolor: 'info' # nice\r\nx-team: [a, b]\r\npermission: {edit: deny, skill: {\"*\": deny, a: allow}, 'wiki_*': ask}\r\n---\r\nRead.\r\n",
        )
        .unwrap();
        assert_eq!(file.description.trim(), "Reads things");
        assert_eq!(file.color.as_deref(), Some("info"));
        assert_eq!(
            file.permission.action_for("wiki_read", "x"),
            Some(Action::Ask)
        );
        assert_eq!(
            file.permission.action_for("skill", "a"),
            Some(Action::Allow)
        );
        let again = File::parse(&file.write(&[])).unwrap();
        assert_eq!(again.other["x-team"], serde_json::json!(["a", "b"]));
    }

    #[test]
    fn without_front_matter_everything_is_instructions() {
        let file = File::parse("Just do it.\n---\nReally.").unwrap();
        assert_eq!(file.instructions, "Just do it.\n---\nReally.");
        assert_eq!(File::parse("").unwrap(), File::default());
    }

    #[test]
    fn writing_denies_tasks_and_unnamed_skills() {
        let mut file = File::default();
        file.permission.set(
            "skill",
            Rule::Patterns(
                [
                    ("a".to_owned(), Action::Allow),
                    ("*".to_owned(), Action::Allow),
                ]
                .into(),
            ),
        );
        let again = File::parse(&file.write(&["a".to_owned()])).unwrap();
        assert_eq!(again.permission.action_for("task", "x"), Some(Action::Deny));
        assert_eq!(
            again.permission.action_for("skill", "a"),
            Some(Action::Allow)
        );
        assert_eq!(
            again.permission.action_for("skill", "b"),
            Some(Action::Deny)
        );
    }

    #[test]
    fn a_file_that_is_not_understood_says_where_and_shows_nothing() {
        for (text, expected) in [
            ("---\ndescription: canary", FileError::Unclosed),
            (
                "---\nmode: canary\n---\n",
                FileError::Value {
                    key: "mode",
                    expected: "`primary`, `subagent` or `all`",
                },
            ),
            (
                "---\nsteps: 0\n---\n",
                FileError::Value {
                    key: "steps",
                    expected: "a whole number above 0",
                },
            ),
            (
                "---\npermission: {bash: canary}\n---\n",
                FileError::Value {
                    key: "permission",
                    expected: "a map of tools to `allow`, `ask`, `deny` or to a map of patterns",
                },
            ),
            ("---\n- canary\n---\n", FileError::Yaml { line: 2 }),
        ] {
            let error = File::parse(text).unwrap_err();
            assert_eq!(error, expected, "{text}");
            assert!(!error.to_string().contains("canary"));
        }
        let error = File::parse("---\na: b\nc: [canary\n---\n").unwrap_err();
        assert!(
            matches!(error, FileError::Yaml { line } if line >= 2),
            "{error:?}"
        );
        assert_eq!(
            File::parse(&"x".repeat(MAX_FILE + 1)),
            Err(FileError::TooLarge)
        );
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut yaml = String::from("---\na0: &a0 [x,x,x,x,x,x,x,x,x]\n");
        for i in 1..12 {
            let last = i - 1;
            yaml.push_str(&format!("a{i}: &a{i} [*a{last},*a{last},*a{last},*a{last},*a{last},*a{last},*a{last},*a{last}]\n"));
        }
        yaml.push_str("---\n");
        assert!(matches!(File::parse(&yaml), Err(FileError::Yaml { .. })));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(?s)(---\n)?.{0,200}(\n---\n)?.{0,50}") {
            let _ = File::parse(&text);
        }

        #[test]
        fn what_is_written_reads_back(
            description in any::<String>(),
            color in "[a-z]{1,8}",
            key in "[a-zA-Z0-9_*?:#\" -]{1,12}",
            instructions in "[^\r\u{feff}]{0,40}",
            steps in 1_u64..1000,
        ) {
            prop_assume!(key != "task");
            let mut file = File {
                description, color: Some(color), instructions: without_directive(&instructions),
                ..File::default()
            };
            file.inference.steps = Some(steps);
            file.permission.set("task", Action::Deny);
            file.permission.set(key, Action::Ask);
            let again = File::parse(&file.write(&[])).unwrap();
            prop_assert_eq!(again, file);
        }
    }
}
