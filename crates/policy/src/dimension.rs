//! The seven permission dimensions and how they are clamped (05 §6.3).

use crate::Action;
use serde::{Deserialize, Serialize};

/// The effective policy: what the agents of one runtime may do at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dimensions {
    /// Shell commands.
    pub bash: Action,
    /// Writing and editing files.
    pub file_write: Action,
    /// Fetching from the web.
    pub web: Action,
    /// Searching the web: sends the query to a search service.
    pub web_search: Action,
    /// Handing work to sub-agents.
    pub task: Action,
    /// Tools of MCP servers.
    pub mcp: Action,
    /// Files outside the workspace.
    pub external_directory: Action,
}

/// What the app grants when the user chose nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppDefaults {
    /// Shell commands.
    pub bash: Action,
    /// Writing and editing files.
    pub file_write: Action,
    /// Fetching from the web.
    pub web: Action,
    /// Handing work to sub-agents.
    pub task: Action,
    /// The app offers web search at all.
    pub web_search: bool,
}

impl AppDefaults {
    /// The desktop's defaults: whatever changes something or leaves the machine asks; sub-agents are free,
    /// because their own tools ask; no web search, because its queries go to a third party.
    #[must_use]
    pub const fn desktop() -> Self {
        Self {
            bash: Action::Ask,
            file_write: Action::Ask,
            web: Action::Ask,
            task: Action::Allow,
            web_search: false,
        }
    }
}

/// What the user chose; an absent value means the app's default. Already clamped to the app's ceiling when
/// it was saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UserSettings {
    /// Shell commands.
    pub bash: Option<Action>,
    /// Writing and editing files.
    pub file_write: Option<Action>,
    /// Fetching from the web.
    pub web: Option<Action>,
    /// Handing work to sub-agents.
    pub task: Option<Action>,
    /// Tools of MCP servers; absent means `allow`.
    pub mcp: Option<Action>,
    /// Files outside the workspace; absent means `allow`.
    pub external_directory: Option<Action>,
    /// The user switched web search on.
    pub web_search_enabled: bool,
}

impl UserSettings {
    /// What a new desktop starts with: MCP tools and foreign folders ask too.
    #[must_use]
    pub fn desktop() -> Self {
        Self {
            mcp: Some(Action::Ask),
            external_directory: Some(Action::Ask),
            ..Self::default()
        }
    }
}

/// Ceilings of a managed policy; an absent dimension has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Ceilings {
    /// Shell commands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bash: Option<Action>,
    /// Writing and editing files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_write: Option<Action>,
    /// Fetching from the web.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web: Option<Action>,
    /// Searching the web.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_search: Option<Action>,
    /// Handing work to sub-agents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<Action>,
    /// Tools of MCP servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcp: Option<Action>,
    /// Files outside the workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_directory: Option<Action>,
}

impl Dimensions {
    /// The desktop's safe start: everything that acts asks, web search is off.
    #[must_use]
    pub fn desktop() -> Self {
        Self::resolve(
            &AppDefaults::desktop(),
            &UserSettings::desktop(),
            &Ceilings::default(),
        )
    }

    /// Settings, else app default, then the ceilings of the managed policy (05 §6.3). Policy only tightens.
    #[must_use]
    pub fn resolve(app: &AppDefaults, settings: &UserSettings, ceilings: &Ceilings) -> Self {
        let under = |action: Action, ceiling: Option<Action>| {
            action.clamp_to(ceiling.unwrap_or(Action::Allow))
        };
        let web = settings.web.unwrap_or(app.web);
        let web_search = if settings.web_search_enabled && app.web_search {
            web
        } else {
            Action::Deny
        };
        Self {
            bash: under(settings.bash.unwrap_or(app.bash), ceilings.bash),
            file_write: under(
                settings.file_write.unwrap_or(app.file_write),
                ceilings.file_write,
            ),
            web: under(web, ceilings.web),
            web_search: under(web_search, ceilings.web_search),
            task: under(settings.task.unwrap_or(app.task), ceilings.task),
            mcp: under(settings.mcp.unwrap_or(Action::Allow), ceilings.mcp),
            external_directory: under(
                settings.external_directory.unwrap_or(Action::Allow),
                ceilings.external_directory,
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Action::{Allow, Ask, Deny};

    #[test]
    fn a_new_desktop_asks_before_anything_that_acts() {
        assert_eq!(
            Dimensions::desktop(),
            Dimensions {
                bash: Ask,
                file_write: Ask,
                web: Ask,
                web_search: Deny,
                task: Allow,
                mcp: Ask,
                external_directory: Ask
            }
        );
    }

    #[test]
    fn web_search_needs_the_app_and_the_user() {
        let app = AppDefaults {
            web_search: true,
            ..AppDefaults::desktop()
        };
        let on = UserSettings {
            web_search_enabled: true,
            ..UserSettings::default()
        };
        let search = |app: &AppDefaults, user: &UserSettings| {
            Dimensions::resolve(app, user, &Ceilings::default()).web_search
        };
        assert_eq!(search(&app, &on), Ask);
        assert_eq!(search(&app, &UserSettings::default()), Deny);
        assert_eq!(search(&AppDefaults::desktop(), &on), Deny);
    }

    #[test]
    fn a_managed_ceiling_beats_the_setting() {
        let settings = UserSettings {
            bash: Some(Allow),
            mcp: Some(Deny),
            ..UserSettings::default()
        };
        let ceilings = Ceilings {
            bash: Some(Ask),
            mcp: Some(Allow),
            ..Ceilings::default()
        };
        let dimensions = Dimensions::resolve(&AppDefaults::desktop(), &settings, &ceilings);
        assert_eq!((dimensions.bash, dimensions.mcp), (Ask, Deny));
    }
}
