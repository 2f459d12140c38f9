//! The permission object given to OpenCode (05 §6.5).
//!
//! OpenCode applies the **last** matching rule, so the order of keys is part of the meaning and of the
//! contract. Two moves exist: [`PermissionObject::set`] keeps the place of a key that is already there,
//! [`PermissionObject::append`] moves it to the end.

use crate::meet::{Overlap, overlap};
use crate::{Action, pattern};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// The value of one key: an action, or actions per pattern of the tool's subject (path, command, agent, …).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Rule {
    /// One action for every subject.
    Action(Action),
    /// The last matching pattern decides.
    Patterns(IndexMap<String, Action>),
}

impl From<Action> for Rule {
    fn from(action: Action) -> Self {
        Self::Action(action)
    }
}

impl Rule {
    /// `{"*": rest, …rules}`.
    pub fn patterns<S: Into<String>>(
        rest: Action,
        rules: impl IntoIterator<Item = (S, Action)>,
    ) -> Self {
        let mut patterns = IndexMap::from([("*".to_owned(), rest)]);
        patterns.extend(rules.into_iter().map(|(key, action)| (key.into(), action)));
        Self::Patterns(patterns)
    }

    /// The same with every action at most `most`.
    #[must_use]
    pub fn clamp_to(&self, most: Action) -> Self {
        match self {
            Self::Action(action) => action.clamp_to(most).into(),
            Self::Patterns(patterns) => Self::Patterns(
                patterns
                    .iter()
                    .map(|(key, action)| (key.clone(), action.clamp_to(most)))
                    .collect(),
            ),
        }
    }

    /// What may happen at most, whatever the subject.
    #[must_use]
    pub fn most_permissive(&self) -> Action {
        match self {
            Self::Action(action) => *action,
            Self::Patterns(patterns) => patterns.values().copied().max().unwrap_or_default(),
        }
    }
}

/// An ordered permission object. Serialises in its order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PermissionObject(IndexMap<String, Rule>);

impl PermissionObject {
    /// Sets a key; an existing key keeps its place.
    pub fn set(&mut self, key: impl Into<String>, rule: impl Into<Rule>) {
        self.0.insert(key.into(), rule.into());
    }

    /// Sets a key as the last one.
    pub fn append(&mut self, key: &str, rule: impl Into<Rule>) {
        self.0.shift_remove(key);
        self.0.insert(key.to_owned(), rule.into());
    }

    /// Sets a key so that it has the last word on its tools: it keeps its place unless a later key could
    /// overrule it. Upstream always keeps the place, so that a broad grant can lift a narrow denial.
    fn decide(&mut self, key: &str, action: Action) {
        let later = self.0.get_index_of(key).map_or(0, |place| place + 1);
        let overruled = later > 0
            && self
                .0
                .keys()
                .skip(later)
                .any(|other| overlap(key, other) != Overlap::None);
        if overruled {
            self.append(key, action);
        } else {
            self.set(key, action);
        }
    }

    /// Restores a native key that patterns have touched: an ask that covers it holds, a grant only if it names
    /// the key and the key is one that may be granted. Keeps its place unless a later key could overrule it.
    fn reassert(&mut self, key: &str, base: &PermissionObject, allow: &[String], ask: &[String]) {
        let Some(own) = base.get(key) else {
            return;
        };
        let granted = GRANTABLE.contains(&key) && allow.iter().any(|pattern| pattern == key);
        let mut rule = if granted {
            Action::Allow.into()
        } else {
            own.clone()
        };
        if ask.iter().any(|pattern| pattern::matches(pattern, key)) {
            rule = if granted {
                Action::Ask.into()
            } else {
                rule.clamp_to(Action::Ask)
            };
        }
        let later = self.0.get_index_of(key).map_or(0, |place| place + 1);
        let overruled = self
            .0
            .keys()
            .skip(later)
            .any(|other| overlap(key, other) != Overlap::None);
        if overruled {
            self.append(key, rule);
        } else {
            self.set(key, rule);
        }
    }

    /// The rule of exactly this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Rule> {
        self.0.get(key)
    }

    /// Keys and rules in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Rule)> {
        self.0.iter().map(|(key, rule)| (key.as_str(), rule))
    }

    /// What OpenCode does for a tool and its subject: the last matching rule. `None`: no rule matches, and
    /// OpenCode's own default holds.
    #[must_use]
    pub fn action_for(&self, tool: &str, subject: &str) -> Option<Action> {
        self.0
            .iter()
            .rev()
            .filter(|(key, _)| pattern::matches(key, tool))
            .find_map(|(_, rule)| match rule {
                Rule::Action(action) => Some(*action),
                Rule::Patterns(patterns) => patterns
                    .iter()
                    .rev()
                    .find(|(key, _)| pattern::matches(key, subject))
                    .map(|(_, action)| *action),
            })
    }
}

/// Input of [`build`]. The default denies everything that can be denied.
#[derive(Clone, Debug, PartialEq)]
pub struct PermissionInput {
    /// Names of the MCP servers that OpenCode gets. A tool of theirs that no pattern names is denied (step 2).
    pub registered: Vec<String>,
    /// Loading skills: an action, or `{"*":"deny", …}` from [`Rule::patterns`].
    pub skill: Rule,
    /// Asking the user questions.
    pub question: Action,
    /// Handing work to sub-agents: an action, or a rule per agent name.
    pub task: Rule,
    /// Files outside the workspace.
    pub external_directory: Rule,
    /// The todo list.
    pub todowrite: Action,
    /// Fetching from the web.
    pub web: Action,
    /// Searching the web.
    pub web_search: Action,
    /// Shell commands.
    pub bash: Action,
    /// Writing files: `edit`, `write` and `apply_patch`.
    pub file_write: Action,
    /// Reading files. Upstream always allows; see [`read_with_secrets_asked`].
    pub read: Rule,
    /// Tool patterns that are denied before anything is granted (step 14).
    pub withheld: Vec<String>,
    /// Tool patterns that are granted.
    pub allow: Vec<String>,
    /// Tool patterns that ask; an ask beats a broader allow.
    pub ask: Vec<String>,
    /// Tool patterns that are denied at last.
    pub denied: Vec<String>,
    /// Native tools must be named by a pattern, otherwise they are denied (configured agents).
    pub require_native_tool_pattern: bool,
}

impl Default for PermissionInput {
    fn default() -> Self {
        Self {
            registered: Vec::new(),
            skill: deny_all(),
            question: Action::Deny,
            task: Action::Deny.into(),
            external_directory: Action::Deny.into(),
            todowrite: Action::Deny,
            web: Action::Deny,
            web_search: Action::Deny,
            bash: Action::Deny,
            file_write: Action::Deny,
            read: Action::Allow.into(),
            withheld: Vec::new(),
            allow: Vec::new(),
            ask: Vec::new(),
            denied: Vec::new(),
            require_native_tool_pattern: false,
        }
    }
}

/// `{"*":"deny"}`.
#[must_use]
pub fn deny_all() -> Rule {
    Rule::patterns(Action::Deny, std::iter::empty::<(String, Action)>())
}

/// Reading is free, except for files that usually hold secrets: a scalar `allow` would silence OpenCode's
/// own question for `.env` files.
#[must_use]
pub fn read_with_secrets_asked() -> Rule {
    Rule::patterns(
        Action::Allow,
        [
            ("*.env", Action::Ask),
            ("*.env.*", Action::Ask),
            ("*.env.example", Action::Allow),
        ],
    )
}

/// The rule of `external_directory`: `{"*": rest, "<root>/*": action, …}` (05 §6.5 step 5). Upstream's `rest`
/// is always `deny`.
pub fn external_roots<S: AsRef<str>>(
    rest: Action,
    roots: impl IntoIterator<Item = S>,
    action: Action,
) -> Rule {
    Rule::patterns(
        rest,
        roots
            .into_iter()
            .map(|root| (format!("{}/*", root.as_ref().trim_end_matches('/')), action)),
    )
}

/// Builds the permission object; the order of steps is normative (05 §6.5).
#[must_use]
pub fn build(input: &PermissionInput) -> PermissionObject {
    let (withheld, allow) = (
        pattern::expand(&input.withheld),
        pattern::expand(&input.allow),
    );
    let (ask, denied) = (pattern::expand(&input.ask), pattern::expand(&input.denied));
    let mut object = PermissionObject::default();
    object.set("skill", input.skill.clone()); // 1
    object.set("mcp__*", Action::Deny); // 2
    // OpenCode 1.18 calls the tools `<server>_<tool>` and lets run what no rule names (08 §9.10, §11): the line
    // above reaches none of them. Upstream writes only that one.
    for server in &input.registered {
        object.set(format!("{server}_*"), Action::Deny);
    }
    object.set("question", input.question); // 3
    object.set("task", input.task.clone()); // 4
    object.set("external_directory", input.external_directory.clone()); // 5
    object.set("doom_loop", Action::Ask); // 6
    object.set("todowrite", input.todowrite); // 7
    object.set("codesearch", input.web); // 8
    object.set("webfetch", input.web);
    object.set("websearch", input.web_search); // 9
    object.set("lsp", Action::Allow); // 10
    object.set("bash", input.bash); // 11
    for tool in ["edit", "write", "apply_patch"] {
        object.set(tool, input.file_write); // 12
    }
    object.set("read", input.read.clone()); // 13
    for tool in ["grep", "glob", "list"] {
        object.set(tool, Action::Allow);
    }
    let base = object.clone();
    for (patterns, action) in [
        (&withheld, Action::Deny), // 14
        (&allow, Action::Allow),   // 15
        (&ask, Action::Ask),       // 16: so that ask beats a broader allow
    ] {
        for key in patterns {
            object.decide(key, action);
        }
    }
    // Neither does a pattern of `wiki` speak for the server `wiki_admin`, although its short spelling reaches it.
    for server in &input.registered {
        let own = format!("{server}_");
        if !allow
            .iter()
            .chain(&ask)
            .any(|key| reaches_longer(key, server))
        {
            continue;
        }
        object.append(&format!("{own}*"), Action::Deny);
        for (patterns, action) in [(&allow, Action::Allow), (&ask, Action::Ask)] {
            for key in patterns.iter().filter(|key| key.starts_with(&own)) {
                object.append(key, action);
            }
        }
    }
    // A broad pattern above must not decide about native tools; each gets the last word again.
    for key in ROLE_KEYS {
        object.reassert(key, &base, &allow, &ask);
    }
    // 17
    for (tool, policy) in [
        ("codesearch", input.web),
        ("webfetch", input.web),
        ("websearch", input.web_search),
        ("bash", input.bash),
        ("edit", input.file_write),
        ("write", input.file_write),
        ("apply_patch", input.file_write),
    ] {
        object.append(
            tool,
            native_action(
                tool,
                policy,
                &allow,
                &ask,
                input.require_native_tool_pattern,
            ),
        );
    }
    for key in &denied {
        object.decide(key, Action::Deny); // 18
    }
    object
}

/// Whether a pattern is about the tools of another server whose name this one only begins with.
fn reaches_longer(key: &str, server: &str) -> bool {
    key.strip_prefix("mcp__")
        .and_then(|rest| rest.split_once("__"))
        .and_then(|(named, _)| server.strip_prefix(named))
        .is_some_and(|rest| rest.starts_with('_'))
}

/// Native keys that an agent's role decides about, not the policy's dimensions of step 17.
const ROLE_KEYS: [&str; 11] = [
    "skill",
    "question",
    "task",
    "external_directory",
    "doom_loop",
    "todowrite",
    "lsp",
    "read",
    "grep",
    "glob",
    "list",
];

/// Those of them that a pattern which names them can grant.
const GRANTABLE: [&str; 6] = ["question", "todowrite", "lsp", "grep", "glob", "list"];

/// The strictest action that a matching pattern asks for, under the policy; the policy when none matches.
fn native_action(
    tool: &str,
    policy: Action,
    allow: &[String],
    ask: &[String],
    require_pattern: bool,
) -> Action {
    let named_by = |patterns: &[String]| patterns.iter().any(|key| pattern::matches(key, tool));
    if named_by(ask) {
        Action::Ask.clamp_to(policy)
    } else if named_by(allow) || !require_pattern {
        policy
    } else {
        Action::Deny
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Action::{Allow, Ask, Deny};

    fn keys(object: &PermissionObject) -> Vec<&str> {
        object.iter().map(|(key, _)| key).collect()
    }

    fn strings(patterns: &[&str]) -> Vec<String> {
        patterns.iter().map(|s| (*s).to_owned()).collect()
    }

    #[test]
    fn keys_come_in_the_normative_order() {
        assert_eq!(
            keys(&build(&PermissionInput::default())),
            [
                "skill",
                "mcp__*",
                "question",
                "task",
                "external_directory",
                "doom_loop",
                "todowrite",
                "lsp",
                "read",
                "grep",
                "glob",
                "list",
                "codesearch",
                "webfetch",
                "websearch",
                "bash",
                "edit",
                "write",
                "apply_patch"
            ]
        );
    }

    #[test]
    fn granted_tools_stand_before_the_native_ones_and_denied_ones_last() {
        let object = build(&PermissionInput {
            allow: strings(&["mcp__wiki__*"]),
            ask: strings(&["mcp__wiki__save"]),
            denied: strings(&["mcp__mail__send"]),
            ..PermissionInput::default()
        });
        assert_eq!(
            keys(&object)[12..],
            [
                "mcp__wiki__*",
                "wiki_*",
                "mcp__wiki__save",
                "wiki_save",
                "codesearch",
                "webfetch",
                "websearch",
                "bash",
                "edit",
                "write",
                "apply_patch",
                "mcp__mail__send",
                "mail_send"
            ]
        );
        for tool in ["mcp__wiki__save", "wiki_save"] {
            assert_eq!(object.action_for(tool, "*"), Some(Ask), "{tool}");
        }
        assert_eq!(object.action_for("wiki_read", "*"), Some(Allow));
    }

    #[test]
    fn a_tool_of_a_registered_server_that_no_pattern_names_is_denied() {
        let object = build(&PermissionInput {
            registered: strings(&["wiki", "bare"]),
            allow: strings(&["mcp__wiki__get_*"]),
            ..PermissionInput::default()
        });
        assert_eq!(keys(&object)[..4], ["skill", "mcp__*", "wiki_*", "bare_*"]);
        for (tool, expected) in [
            ("wiki_get_page", Allow),
            ("wiki_delete_all", Deny),
            ("mcp__wiki__delete_all", Deny),
            ("bare_run", Deny),
        ] {
            assert_eq!(object.action_for(tool, "x"), Some(expected), "{tool}");
        }
        let whole = build(&PermissionInput {
            registered: strings(&["wiki"]),
            allow: strings(&["mcp__wiki__*"]),
            ..PermissionInput::default()
        });
        assert_eq!(whole.action_for("wiki_delete_all", "x"), Some(Allow));
    }

    #[test]
    fn a_grant_for_one_server_does_not_lift_the_denial_of_a_longer_name() {
        let object = build(&PermissionInput {
            registered: strings(&["wiki_admin", "wiki"]),
            allow: strings(&["mcp__wiki_admin__look", "mcp__wiki__*"]),
            ask: strings(&["mcp__wiki__s*"]),
            ..PermissionInput::default()
        });
        for (tool, expected) in [
            ("wiki_read", Allow),
            ("wiki_save", Ask),
            ("wiki_admin_look", Allow),
            ("wiki_admin_drop", Deny),
        ] {
            assert_eq!(object.action_for(tool, "x"), Some(expected), "{tool}");
        }
    }

    #[test]
    fn a_command_pattern_matches_without_arguments_too() {
        let object: PermissionObject =
            serde_json::from_str(r#"{"bash":{"*":"deny","git *":"ask"}}"#).unwrap();
        assert_eq!(object.action_for("bash", "git"), Some(Ask));
        assert_eq!(object.action_for("bash", "gitk"), Some(Deny));
    }

    #[test]
    fn a_broad_grant_does_not_open_the_shell() {
        let object = build(&PermissionInput {
            allow: strings(&["*"]),
            bash: Ask,
            ..PermissionInput::default()
        });
        assert_eq!(object.action_for("bash", "rm -rf /"), Some(Ask));
        assert_eq!(object.action_for("edit", "a.txt"), Some(Deny));
    }

    #[test]
    fn a_broad_grant_opens_nothing_that_the_role_closed() {
        let object = build(&PermissionInput {
            allow: strings(&["*", "todowrite", "task"]),
            read: read_with_secrets_asked(),
            ..PermissionInput::default()
        });
        for (tool, subject, expected) in [
            ("task", "general", Deny),
            ("external_directory", "/etc/x", Deny),
            ("question", "x", Deny),
            ("skill", "x", Deny),
            ("doom_loop", "x", Ask),
            ("read", "a/.env", Ask),
            ("todowrite", "x", Allow),
        ] {
            assert_eq!(object.action_for(tool, subject), Some(expected), "{tool}");
        }
    }

    #[test]
    fn a_native_tool_that_no_pattern_names_is_denied_when_patterns_are_required() {
        let object = build(&PermissionInput {
            allow: strings(&["bash"]),
            bash: Ask,
            web: Allow,
            require_native_tool_pattern: true,
            ..PermissionInput::default()
        });
        assert_eq!(object.action_for("bash", "ls"), Some(Ask));
        assert_eq!(object.action_for("webfetch", "https://a.test"), Some(Deny));
    }

    #[test]
    fn a_denied_key_keeps_its_place() {
        let object = build(&PermissionInput {
            allow: strings(&["mcp__wiki__read"]),
            denied: strings(&["mcp__wiki__read", "bash"]),
            bash: Allow,
            ..PermissionInput::default()
        });
        assert_eq!(keys(&object)[12], "mcp__wiki__read");
        assert_eq!(keys(&object).last(), Some(&"apply_patch"));
        for tool in ["bash", "wiki_read", "mcp__wiki__read"] {
            assert_eq!(object.action_for(tool, "x"), Some(Deny), "{tool}");
        }
    }

    #[test]
    fn a_denied_key_moves_behind_a_broader_grant() {
        let object = build(&PermissionInput {
            allow: strings(&["mcp__wiki__save", "mcp__wiki__read", "mcp__wiki__*"]),
            ask: strings(&["mcp__wiki__read"]),
            denied: strings(&["mcp__wiki__save"]),
            ..PermissionInput::default()
        });
        for tool in ["wiki_save", "mcp__wiki__save"] {
            assert_eq!(object.action_for(tool, "x"), Some(Deny), "{tool}");
        }
        assert_eq!(object.action_for("wiki_read", "x"), Some(Ask));
        assert_eq!(object.action_for("wiki_list", "x"), Some(Allow));
    }

    #[test]
    fn reading_a_secret_file_asks() {
        let object = build(&PermissionInput {
            read: read_with_secrets_asked(),
            ..PermissionInput::default()
        });
        for (path, expected) in [
            ("src/main.rs", Allow),
            ("config/.env", Ask),
            (".env.production", Ask),
            (".env.example", Allow),
        ] {
            assert_eq!(object.action_for("read", path), Some(expected), "{path}");
        }
    }

    #[test]
    fn roots_outside_the_workspace_are_rules_behind_the_rest() {
        assert_eq!(
            serde_json::to_string(&external_roots(Deny, ["/home/a/skills", "/b/"], Allow)).unwrap(),
            r#"{"*":"deny","/home/a/skills/*":"allow","/b/*":"allow"}"#
        );
    }
}
