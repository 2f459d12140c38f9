//! What a file of `.opencode` does, in words for the user.

/// Ordered: what runs by itself comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Effect {
    Plugin,
    Tool,
    Config,
    Dependencies,
    Agent,
    Command,
    Skill,
    Other,
}

impl Effect {
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::Plugin => "Runs as code inside OpenCode as soon as the folder is used.",
            Self::Tool => "Gives the agent a tool whose code runs inside OpenCode.",
            Self::Config => {
                "Changes OpenCode's settings: it can start programs, add providers and loosen permissions."
            }
            Self::Dependencies => "Code that plugins and tools of this folder can load.",
            Self::Agent => "Adds or changes an agent, with permissions of its own.",
            Self::Command => {
                "Adds a command for the agent; it can run shell commands when it is used."
            }
            Self::Skill => "Gives the agent more instructions.",
            Self::Other => "Belongs to this folder's OpenCode settings; its plugins can load it.",
        }
    }
}

/// Names that OpenCode reads as configuration, in the folder and in `.opencode`.
pub(super) const CONFIG_FILES: [&str; 2] = ["opencode.json", "opencode.jsonc"];

/// What a path inside `.opencode` is; `None` when OpenCode does nothing with it: its own `.gitignore`, which it
/// writes itself, and `bin`, where its installer puts the program.
pub(super) fn of(components: &[&str]) -> Option<Effect> {
    // Without case: on a file system that ignores it, `Plugin` is `plugin`.
    let first = components.first()?.to_ascii_lowercase();
    let is_file = components.len() == 1;
    Some(match first.as_str() {
        ".gitignore" if is_file => return None,
        "bin" if !is_file => return None,
        "plugin" | "plugins" => Effect::Plugin,
        "tool" | "tools" => Effect::Tool,
        "agent" | "agents" | "mode" | "modes" => Effect::Agent,
        "command" | "commands" => Effect::Command,
        "skill" | "skills" => Effect::Skill,
        "node_modules" | "package.json" | "package-lock.json" | "bun.lock" | "bun.lockb" => {
            Effect::Dependencies
        }
        "config.json" => Effect::Config,
        name if CONFIG_FILES.contains(&name) => Effect::Config,
        _ => Effect::Other,
    })
}
