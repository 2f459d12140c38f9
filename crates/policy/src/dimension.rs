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

/// What the app grants at most, which is also what holds when the user chose nothing (02 §4.8, 05 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppMaxima {
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

impl AppMaxima {
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

/// What the user chose; an absent value means the app's maximum. It can only be equal or stricter.
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
            &AppMaxima::desktop(),
            &UserSettings::desktop(),
            &Ceilings::default(),
        )
    }

    /// Settings under the app's maxima, then under the ceilings of the managed policy (05 §6.3). Each only
    /// tightens; a setting that was saved under older, wider maxima is lowered here too.
    #[must_use]
    pub fn resolve(app: &AppMaxima, settings: &UserSettings, ceilings: &Ceilings) -> Self {
        let under = |action: Action, ceiling: Option<Action>| {
            action.clamp_to(ceiling.unwrap_or(Action::Allow))
        };
        let chosen = |setting: Option<Action>, most: Action| setting.unwrap_or(most).clamp_to(most);
        let web = chosen(settings.web, app.web);
        let web_search = if settings.web_search_enabled && app.web_search {
            web
        } else {
            Action::Deny
        };
        Self {
            bash: under(chosen(settings.bash, app.bash), ceilings.bash),
            file_write: under(
                chosen(settings.file_write, app.file_write),
                ceilings.file_write,
            ),
            web: under(web, ceilings.web),
            web_search: under(web_search, ceilings.web_search),
            task: under(chosen(settings.task, app.task), ceilings.task),
            mcp: under(settings.mcp.unwrap_or(Action::Allow), ceilings.mcp),
            external_directory: under(
                settings.external_directory.unwrap_or(Action::Allow),
                ceilings.external_directory,
            ),
        }
    }

    /// The native tools that the dimensions govern, in the order in which step 17 of 05 §6.5 writes them.
    #[must_use]
    pub fn native_tools(&self) -> [(&'static str, Action); 7] {
        [
            ("codesearch", self.web),
            ("webfetch", self.web),
            ("websearch", self.web_search),
            ("bash", self.bash),
            ("edit", self.file_write),
            ("write", self.file_write),
            ("apply_patch", self.file_write),
        ]
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
        let app = AppMaxima {
            web_search: true,
            ..AppMaxima::desktop()
        };
        let on = UserSettings {
            web_search_enabled: true,
            ..UserSettings::default()
        };
        let search = |app: &AppMaxima, user: &UserSettings| {
            Dimensions::resolve(app, user, &Ceilings::default()).web_search
        };
        assert_eq!(search(&app, &on), Ask);
        assert_eq!(search(&app, &UserSettings::default()), Deny);
        assert_eq!(search(&AppMaxima::desktop(), &on), Deny);
    }

    #[test]
    fn a_setting_never_exceeds_the_apps_maximum() {
        let settings = UserSettings {
            bash: Some(Allow),
            file_write: Some(Deny),
            ..UserSettings::default()
        };
        let dimensions =
            Dimensions::resolve(&AppMaxima::desktop(), &settings, &Ceilings::default());
        assert_eq!((dimensions.bash, dimensions.file_write), (Ask, Deny));
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
        let dimensions = Dimensions::resolve(&AppMaxima::desktop(), &settings, &ceilings);
        assert_eq!((dimensions.bash, dimensions.mcp), (Ask, Deny));
    }
}
