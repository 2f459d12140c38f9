//! Custom agents: coworkers that people make themselves, as Markdown files (05 §9). Pure text and values; where
//! the files are is the host's.
//!
//! | module | holds |
//! |---|---|
//! | [`mod@file`] | the Markdown file: front matter and instructions, read and written |
//! | [`sidecar`] | the JSON file beside it, and what is derived when it is missing |
//! | [`rules`] | overrides, and the permission object under the ceiling |
//! | [`issue`] | what is wrong with an agent |

pub mod file;
pub mod issue;
pub mod rules;
pub mod sidecar;

pub use file::{File, FileError};
pub use issue::{Issue, Known, issues};
pub use rules::{Override, OverrideKey, OverrideRule};
pub use sidecar::Sidecar;

use crate::agent::configured::{looks_writing, writes};
use crate::agent::{Delegate, Inference, Mode};
use crate::tool::Tool;
use crate::{Action, pattern};

/// Names that no custom agent may have; those of configured agents come on top.
pub const RESERVED: [&str; 11] = [
    "plan",
    "explore",
    "build",
    "general",
    "title",
    "summary",
    "compaction",
    "cleo",
    "chief-of-staff",
    "executive-assistant",
    "autoresearch",
];

/// Colours that an agent may have; the first is the default.
pub const PALETTE: [&str; 6] = [
    "accent",
    "primary",
    "success",
    "info",
    "warning",
    "secondary",
];

/// A custom agent.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomAgent {
    /// Name, also of its file.
    pub name: String,
    /// One line.
    pub description: String,
    /// Its prompt.
    pub instructions: String,
    /// Offered and delegated to.
    pub enabled: bool,
    /// Who may start it.
    pub mode: Mode,
    /// One of [`PALETTE`].
    pub color: String,
    /// Names of its skills.
    pub skills: Vec<String>,
    /// Ids of its tools: of the config, of OpenCode, or names of own MCP servers.
    pub tools: Vec<String>,
    /// Patterns that it may not use.
    pub denied: Vec<String>,
    /// What it may do beyond or below its tools, at most one per key.
    pub overrides: Vec<Override>,
    /// A picture, as data URL.
    pub avatar: Option<String>,
    /// How its model is asked.
    pub inference: Inference,
}

impl CustomAgent {
    /// The agent of a file and its sidecar. The sidecar wins field by field; description, instructions and
    /// whether it is enabled always come from the Markdown file.
    #[must_use]
    pub fn of_files(
        name: &str,
        enabled: bool,
        file: &File,
        sidecar: &Sidecar,
        tools: &[Tool],
        servers: &[String],
    ) -> Self {
        let derived = Sidecar::derive(file, tools, servers);
        let merged = sidecar.clone().or(derived);
        let color = merged
            .color
            .filter(|color| PALETTE.contains(&color.as_str()));
        let mut overrides = merged.permission_overrides.unwrap_or_default();
        overrides.sort_by_key(|rule| rule.key);
        Self {
            name: name.to_owned(),
            description: file.description.clone(),
            instructions: file.instructions.clone(),
            enabled,
            mode: merged.mode.unwrap_or_default(),
            color: color.unwrap_or_else(|| PALETTE[0].to_owned()),
            skills: merged.skill_names.unwrap_or_default(),
            tools: merged.tool_ids.unwrap_or_default(),
            denied: merged.denied_tool_patterns.unwrap_or_default(),
            overrides,
            avatar: merged.avatar,
            inference: Inference {
                model: merged.model,
                variant: merged.variant,
                temperature: merged.temperature,
                top_p: merged.top_p,
                steps: merged.steps.and_then(sidecar::whole_steps),
                options: merged.options.unwrap_or_default(),
            },
        }
    }

    /// How other agents know it; `None` when it is switched off or has issues (05 §9).
    #[must_use]
    pub fn delegate(&self, known: &Known<'_>) -> Option<Delegate> {
        if !self.enabled || !issues(self, known).is_empty() {
            return None;
        }
        Some(Delegate {
            name: self.name.clone(),
            description: self.description.clone(),
            mode: self.mode,
            read_only: self.is_read_only(known.tools),
        })
    }

    /// Nothing that it may use looks as if it changed something.
    #[must_use]
    pub fn is_read_only(&self, tools: &[Tool]) -> bool {
        let tool_writes = |id: &String| match tools.iter().find(|tool| tool.id == *id) {
            Some(tool) => writes(tool),
            // One of OpenCode's own, else a whole server, which may write.
            None => rules::native_family(id)
                .is_none_or(|keys| keys.iter().any(|key| looks_writing(key))),
        };
        let override_writes = |rule: &Override| {
            let granted = rule.action != Action::Deny
                || rule.rules.iter().any(|rule| rule.action != Action::Deny);
            granted
                && matches!(
                    rule.key,
                    OverrideKey::Edit | OverrideKey::Bash | OverrideKey::Mcp
                )
        };
        !self.tools.iter().any(tool_writes) && !self.overrides.iter().any(override_writes)
    }
}

/// Whether an agent may have this name: words of lower-case letters and digits, joined by single hyphens, at
/// most 64 characters, and not a plain number, see [`crate::pattern::is_index`].
#[must_use]
pub fn is_name(name: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty()
            && word
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    (1..=64).contains(&name.len()) && name.split('-').all(word) && !crate::pattern::is_index(name)
}

/// The agent's name and whether it is enabled, from its file's name; `None`: no agent's file.
#[must_use]
pub fn parse_file_name(file_name: &str) -> Option<(&str, bool)> {
    let stem = file_name.strip_suffix(".md")?;
    let (name, enabled) = match stem.strip_suffix(".disabled") {
        Some(name) => (name, false),
        None => (stem, true),
    };
    is_name(name).then_some((name, enabled))
}

/// Which of an agent's two files counts, when both are there: the newer one, and on a tie the disabled one.
/// Times in milliseconds.
#[must_use]
pub fn enabled_wins(enabled_modified: i64, disabled_modified: i64) -> bool {
    enabled_modified > disabled_modified
}

/// The tool that a permission key belongs to: one of the config, a family of OpenCode's own, or an own server.
fn tool_of_key(key: &str, tools: &[Tool], servers: &[String]) -> Option<String> {
    let spelled = pattern::expand([key]);
    let named = |patterns: Vec<String>| patterns.iter().any(|pattern| spelled.contains(pattern));
    if let Some(tool) = tools
        .iter()
        .find(|tool| named(tool.allow()) || named(tool.ask()))
    {
        return Some(tool.id.clone());
    }
    let family = match key {
        "edit" | "write" | "apply_patch" => Some("edit"),
        "codesearch" | "webfetch" | "websearch" => Some("web"),
        "read" | "grep" | "glob" | "list" | "lsp" => Some("read"),
        "bash" | "question" | "todowrite" => Some(key),
        _ => None,
    };
    family.map(str::to_owned).or_else(|| {
        servers
            .iter()
            .find(|server| {
                spelled.contains(&format!("mcp__{server}__*"))
                    || spelled.contains(&format!("{server}_*"))
            })
            .cloned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_joined_by_hyphens() {
        for (name, valid) in [
            ("writer", true),
            ("my-2nd-writer", true),
            ("", false),
            ("-a", false),
            ("a-", false),
            ("a--b", false),
            ("Writer", false),
            ("a_b", false),
            ("../a", false),
        ] {
            assert_eq!(is_name(name), valid, "{name}");
        }
        assert!(is_name(&"a".repeat(64)) && !is_name(&"a".repeat(65)));
    }

    #[test]
    fn a_file_name_tells_name_and_state() {
        assert_eq!(parse_file_name("writer.md"), Some(("writer", true)));
        assert_eq!(
            parse_file_name("writer.disabled.md"),
            Some(("writer", false))
        );
        for other in [
            "writer.json",
            "writer.off.md",
            "../x.md",
            ".md",
            ".disabled.md",
        ] {
            assert_eq!(parse_file_name(other), None, "{other}");
        }
    }

    #[test]
    fn the_newer_file_counts_and_a_tie_switches_off() {
        assert!(enabled_wins(2, 1));
        assert!(!enabled_wins(1, 2) && !enabled_wins(1, 1));
    }

    #[test]
    fn the_sidecar_wins_and_words_come_from_the_markdown() {
        let file = File::parse("---\ndescription: Mine\nmode: primary\ncolor: info\npermission:\n  bash: ask\n---\nDo it.").unwrap();
        let sidecar = Sidecar::parse(r#"{"mode":"subagent","toolIds":[],"color":"pink"}"#);
        let agent = CustomAgent::of_files("a", true, &file, &sidecar, &[], &[]);
        assert_eq!(
            (agent.description.as_str(), agent.instructions.as_str()),
            ("Mine", "Do it.")
        );
        assert_eq!(agent.mode, Mode::Subagent);
        assert_eq!(
            agent.color, "accent",
            "a colour outside the palette is the default"
        );
        assert!(agent.tools.is_empty(), "the sidecar's empty list wins");
        let alone = CustomAgent::of_files("a", true, &file, &Sidecar::default(), &[], &[]);
        assert_eq!((alone.mode, alone.color.as_str()), (Mode::Primary, "info"));
        assert_eq!(alone.tools, ["bash"]);
    }
}
