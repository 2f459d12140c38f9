//! No agent ever exceeds the global ceiling, whatever it asks for: OpenCode's own, the product's, configured
//! and custom ones, under arbitrary tools, patterns, overrides and policies. Both spellings of an MCP tool are
//! treated alike. More restriction never allows more.

#![allow(clippy::unwrap_used, clippy::panic)] // a test file: failing is its job

use open_cowork_policy::agent::{Configured, Inference, Mode, RosterInput, Shared, roster};
use open_cowork_policy::custom_agent::{CustomAgent, Override, OverrideKey, OverrideRule};
use open_cowork_policy::effective::EffectivePolicy;
use open_cowork_policy::inheritance::{Node, enforce, report};
use open_cowork_policy::tool::{CustomServer, Tool, tool_policy};
use open_cowork_policy::{Action, Dimensions, PermissionObject, Rule, pattern, permission};
use proptest::prelude::*;
use std::collections::BTreeMap;

const SERVERS: [&str; 3] = ["wiki", "mail", "clock"];
const VERBS: [&str; 3] = ["read", "save", "send"];
const NATIVE: [&str; 11] = [
    "bash",
    "edit",
    "write",
    "apply_patch",
    "webfetch",
    "websearch",
    "codesearch",
    "task",
    "external_directory",
    "read",
    "doom_loop",
];
const SUBJECTS: [&str; 4] = ["x", "git push", "a/.env", "/foreign/file"];

/// Long and short spelling of every tool of the servers.
fn mcp_tools() -> Vec<(String, String)> {
    SERVERS
        .iter()
        .flat_map(|server| {
            VERBS
                .iter()
                .map(move |verb| (format!("mcp__{server}__{verb}"), format!("{server}_{verb}")))
        })
        .collect()
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![Just(Action::Deny), Just(Action::Ask), Just(Action::Allow)]
}

/// Patterns whose other spelling is known.
fn spelled_pattern() -> impl Strategy<Value = String> {
    let server = prop::sample::select(&SERVERS[..]);
    let rest = prop::sample::select(vec!["read", "save", "send", "*", "s*"]);
    prop_oneof![
        (server.clone(), rest.clone()).prop_map(|(server, rest)| format!("mcp__{server}__{rest}")),
        (server, rest).prop_map(|(server, rest)| format!("{server}_{rest}")),
        Just("mcp__*".to_owned()),
        Just("*".to_owned()),
        prop::sample::select(&NATIVE[..]).prop_map(str::to_owned),
    ]
}

/// Any pattern, clever ones too.
fn any_pattern() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => spelled_pattern(),
        1 => prop::sample::select(vec!["w*", "?ash", "*_save", "m*", "mcp__*__save", "b*h", "stranger_*", "*i*", "e?it"]).prop_map(str::to_owned),
    ]
}

fn patterns() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(any_pattern(), 0..4)
}

fn subject_rules() -> impl Strategy<Value = Vec<OverrideRule>> {
    let pattern = prop_oneof![
        3 => any_pattern(),
        1 => prop::sample::select(vec!["git *", "git push", "*.env", "/foreign/*"]).prop_map(str::to_owned),
    ];
    prop::collection::vec(
        (pattern, action()).prop_map(|(pattern, action)| OverrideRule { pattern, action }),
        0..3,
    )
}

fn dimensions() -> impl Strategy<Value = Dimensions> {
    (
        action(),
        action(),
        action(),
        action(),
        action(),
        action(),
        action(),
    )
        .prop_map(
            |(bash, file_write, web, web_search, task, mcp, external_directory)| Dimensions {
                bash,
                file_write,
                web,
                web_search,
                task,
                mcp,
                external_directory,
            },
        )
}

fn tools() -> impl Strategy<Value = Vec<Tool>> {
    let tool = (
        patterns(),
        patterns(),
        any::<bool>(),
        any::<bool>(),
        prop::option::of(any::<bool>()),
        prop::sample::select(&SERVERS[..]),
    );
    prop::collection::vec(tool, 0..4).prop_map(|tools| {
        tools
            .into_iter()
            .enumerate()
            .map(
                |(i, (patterns, ask_patterns, native, default_access, write_access, server))| {
                    Tool {
                        id: format!("t{i}"),
                        native,
                        namespace: Some(server.to_owned()),
                        patterns,
                        allow_patterns: vec![],
                        ask_patterns,
                        write_access,
                        default_access,
                    }
                },
            )
            .collect()
    })
}

fn policy_of(dimensions: Dimensions, tools: &[Tool], denied: &[String]) -> EffectivePolicy {
    let servers = [CustomServer {
        name: "mail".into(),
        permission: Action::Allow,
    }];
    let shared = tool_policy(dimensions.mcp, tools, &servers);
    EffectivePolicy::new(
        dimensions,
        Shared {
            registered: SERVERS.map(str::to_owned).to_vec(),
            read: permission::read_with_secrets_asked(),
            external_directory: permission::external_roots(
                dimensions.external_directory,
                ["/skills"],
                dimensions.external_directory,
            ),
            allow: shared.allow,
            ask: shared.ask,
            denied: [&shared.denied[..], denied].concat(),
        },
        SERVERS.map(str::to_owned).to_vec(),
    )
}

/// What OpenCode does for an agent: its rules stand behind the top-level ones.
fn effective(
    top: &PermissionObject,
    agent: &PermissionObject,
    tool: &str,
    subject: &str,
) -> Action {
    agent
        .action_for(tool, subject)
        .or_else(|| top.action_for(tool, subject))
        .unwrap_or(Action::Allow)
}

/// Every tool, both spellings, every subject: nothing above the ceiling. Where the object is silent, the top
/// level decides, and where that is silent too, OpenCode lets the tool run.
fn within(
    name: &str,
    object: &PermissionObject,
    policy: &EffectivePolicy,
) -> Result<(), TestCaseError> {
    let ceiling = policy.ceiling();
    let top = open_cowork_policy::agent::top_level(&policy.dimensions, &policy.shared, &[]);
    for (_, short) in mcp_tools() {
        let action = effective(&top, object, &short, "x");
        let most = ceiling.action_for(&short, "x").unwrap_or(Action::Allow);
        prop_assert!(action <= most, "{name}: {short}: {action:?} above {most:?}");
    }
    let mcp = mcp_tools()
        .into_iter()
        .flat_map(|(long, short)| [long, short]);
    for tool in NATIVE.iter().map(|tool| (*tool).to_owned()).chain(mcp) {
        for subject in SUBJECTS {
            if let Some(action) = object.action_for(&tool, subject) {
                let most = ceiling.action_for(&tool, subject).unwrap_or(Action::Allow);
                prop_assert!(
                    action <= most,
                    "{name}: {tool} on {subject}: {action:?} above {most:?}"
                );
            }
        }
    }
    Ok(())
}

fn configured() -> impl Strategy<Value = Configured> {
    (
        patterns(),
        patterns(),
        prop::sample::subsequence(vec!["t0", "t1", "t2"], 0..3),
        any::<bool>(),
    )
        .prop_map(|(allow, ask, tools, primary)| Configured {
            name: "configured".into(),
            tools: tools.into_iter().map(str::to_owned).collect(),
            allow,
            ask,
            mode: primary.then_some(Mode::Primary),
            ..Configured::default()
        })
}

fn custom(pattern: BoxedStrategy<String>) -> impl Strategy<Value = CustomAgent> {
    let key = prop_oneof![
        Just(OverrideKey::Bash),
        Just(OverrideKey::Edit),
        Just(OverrideKey::Web),
        Just(OverrideKey::Mcp),
        Just(OverrideKey::Task),
        Just(OverrideKey::ExternalDirectory)
    ];
    let overrides = prop::collection::vec(
        (key, action(), subject_rules()).prop_map(|(key, action, rules)| Override {
            key,
            action,
            rules,
        }),
        0..4,
    );
    let ids = prop::collection::vec(
        prop::sample::select(vec!["t0", "t1", "bash", "edit", "web", "wiki", "mail"]),
        0..4,
    );
    (ids, prop::collection::vec(pattern, 0..3), overrides).prop_map(|(tools, denied, overrides)| {
        CustomAgent {
            name: "custom".into(),
            description: "x".into(),
            instructions: String::new(),
            enabled: true,
            mode: Mode::Subagent,
            color: "accent".into(),
            skills: vec![],
            tools: tools.into_iter().map(str::to_owned).collect(),
            denied,
            overrides,
            avatar: None,
            inference: Inference::default(),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn no_agent_ever_exceeds_the_ceiling(
        dimensions in dimensions(), tools in tools(), denied in patterns(),
        configured in configured(), custom in custom(any_pattern().boxed()),
    ) {
        let policy = policy_of(dimensions, &tools, &denied);
        let overrides = BTreeMap::new();
        let roster = roster(&RosterInput {
            policy: &policy, tools: &tools, skills: &[], overrides: &overrides,
            configured: &[configured], custom: &[], product_agents: true,
        });
        for agent in &roster.agents {
            within(&agent.name, &agent.permission, &policy)?;
        }
        within("custom", &custom.permission(&tools, &policy), &policy)?;
    }

    /// OpenCode's own default is to let a tool run: what nobody named must be denied by a rule (05 §6.5).
    #[test]
    fn a_tool_of_a_registered_server_that_no_pattern_names_is_denied_for_everybody(
        dimensions in dimensions(), tools in tools(), configured in configured(), custom in custom(Just("wiki_read".to_owned()).boxed()),
    ) {
        let policy = policy_of(dimensions, &tools, &[]);
        let overrides = BTreeMap::new();
        let mut agents = roster(&RosterInput {
            policy: &policy, tools: &tools, skills: &[], overrides: &overrides,
            configured: std::slice::from_ref(&configured), custom: &[], product_agents: true,
        }).agents;
        enforce(&mut agents);
        let top = open_cowork_policy::agent::top_level(&policy.dimensions, &policy.shared, &[]);
        let mut objects: Vec<(&str, &PermissionObject)> =
            agents.iter().map(|agent| (agent.name.as_str(), &agent.permission)).collect();
        let bare = CustomAgent { tools: vec![], overrides: vec![], ..custom };
        let custom = bare.permission(&tools, &policy);
        let silent = PermissionObject::default();
        objects.extend([("custom", &custom), ("top level", &silent)]);
        let shared = [&policy.shared.allow[..], &policy.shared.ask].concat();
        let own = [&configured.allow[..], &configured.ask].concat();
        for (long, short) in mcp_tools() {
            let named = |patterns: &[String]| pattern::expand(patterns).iter()
                .any(|key| pattern::matches(key, &long) || pattern::matches(key, &short) || key == "mcp__*");
            for (name, object) in &objects {
                if named(&shared) || (*name == "configured" && named(&own)) {
                    continue;
                }
                prop_assert_eq!(effective(&top, object, &short, "x"), Action::Deny, "{} {}", name, short);
            }
        }
    }

    #[test]
    fn a_hand_written_permission_map_never_exceeds_the_ceiling(
        dimensions in dimensions(), tools in tools(), denied in patterns(),
        rules in prop::collection::vec((any_pattern(), action(), prop::option::of(action())), 0..8),
    ) {
        let policy = policy_of(dimensions, &tools, &denied);
        let mut object = PermissionObject::default();
        for (key, action, subject) in rules {
            match subject {
                None => object.append(&key, action),
                Some(subject) => object.append(&key, Rule::Patterns([("git *".to_owned(), subject), ("x".to_owned(), action)].into())),
            }
        }
        let clamped = policy.clamp(&object);
        within("clamped", &clamped, &policy)?;
        // Once is enough: the ceiling is a fixed point for every tool.
        let again = policy.clamp(&clamped);
        for tool in NATIVE {
            for subject in SUBJECTS {
                prop_assert_eq!(again.action_for(tool, subject), clamped.action_for(tool, subject), "{} {}", tool, subject);
            }
        }
    }

    #[test]
    fn both_spellings_are_treated_alike(
        dimensions in dimensions(),
        denied in prop::collection::vec(spelled_pattern(), 0..3),
        custom in custom(spelled_pattern().boxed()),
        rules in prop::collection::vec((spelled_pattern(), action()), 0..8),
    ) {
        let policy = policy_of(dimensions, &[], &denied);
        let mut object = PermissionObject::default();
        for (key, action) in rules {
            object.append(&key, action);
        }
        // Rules with clever globs have no other spelling; they are tested against the ceiling only.
        let mut custom = custom;
        for change in &mut custom.overrides {
            change.rules.retain(|rule| !rule.pattern.contains('?') && !rule.pattern.starts_with('*') && !["w*", "m*", "b*h", "mcp__*__save"].contains(&rule.pattern.as_str()));
        }
        for object in [policy.clamp(&object), custom.permission(&[], &policy)] {
            for (long, short) in mcp_tools() {
                prop_assert_eq!(object.action_for(&long, "x"), object.action_for(&short, "x"), "{} {:?}", long, object);
            }
        }
    }

    #[test]
    fn a_stricter_policy_never_allows_more(
        dimensions in dimensions(), lower in dimensions(), tools in tools(), denied in patterns(), more in any_pattern(),
        custom in custom(any_pattern().boxed()),
    ) {
        let stricter = Dimensions {
            bash: dimensions.bash.clamp_to(lower.bash),
            file_write: dimensions.file_write.clamp_to(lower.file_write),
            web: dimensions.web.clamp_to(lower.web),
            web_search: dimensions.web_search.clamp_to(lower.web_search),
            task: dimensions.task.clamp_to(lower.task),
            mcp: dimensions.mcp.clamp_to(lower.mcp),
            external_directory: dimensions.external_directory.clamp_to(lower.external_directory),
        };
        let before = custom.permission(&tools, &policy_of(dimensions, &tools, &denied));
        let mut denying = denied.clone();
        denying.push(more);
        let mut denied_agent = custom.clone();
        denied_agent.denied.push("wiki_*".into());
        let policy = policy_of(dimensions, &tools, &denied);
        let afters = [
            custom.permission(&tools, &policy_of(dimensions, &tools, &denying)),
            denied_agent.permission(&tools, &policy),
        ];
        for tool in NATIVE.iter().map(|tool| (*tool).to_owned()).chain(mcp_tools().into_iter().flat_map(|(l, s)| [l, s])) {
            for after in &afters {
                let (old, new) = (before.action_for(&tool, "x"), after.action_for(&tool, "x"));
                prop_assert!(new.unwrap_or(Action::Deny) <= old.unwrap_or(Action::Allow), "{}: {:?} to {:?}", tool, old, new);
            }
        }
        // Lower dimensions: native tools of the agent never rise.
        let lowered = custom.permission(&tools, &policy_of(stricter, &tools, &denied));
        for tool in ["bash", "edit", "write", "apply_patch", "webfetch", "websearch", "codesearch", "task"] {
            let (old, new) = (before.action_for(tool, "x"), lowered.action_for(tool, "x"));
            prop_assert!(new.unwrap_or(Action::Deny) <= old.unwrap_or(Action::Allow), "{}", tool);
        }
    }

    #[test]
    fn strict_inheritance_leaves_no_child_above_its_parent_and_nobody_above_the_ceiling(
        dimensions in dimensions(), tools in tools(), configured in configured(),
    ) {
        let policy = policy_of(dimensions, &tools, &[]);
        let overrides = BTreeMap::new();
        let mut agents = roster(&RosterInput {
            policy: &policy, tools: &tools, skills: &[], overrides: &overrides,
            configured: &[configured], custom: &[], product_agents: true,
        }).agents;
        enforce(&mut agents);
        let nodes: Vec<Node<'_>> = agents.iter().map(Node::from).collect();
        prop_assert_eq!(report(&nodes).issues, vec![]);
        for agent in &agents {
            within(&agent.name, &agent.permission, &policy)?;
        }
    }

    #[test]
    fn what_an_agent_leaves_open_is_bounded_by_the_top_level(
        dimensions in dimensions(), tools in tools(), denied in patterns(), custom in custom(any_pattern().boxed()),
    ) {
        let policy = policy_of(dimensions, &tools, &denied);
        let top = open_cowork_policy::agent::top_level(&policy.dimensions, &policy.shared, &[]);
        let object = custom.permission(&tools, &policy);
        let ceiling = policy.ceiling();
        for tool in ["bash", "edit", "webfetch", "websearch", "external_directory", "read"] {
            for subject in SUBJECTS {
                prop_assert!(effective(&top, &object, tool, subject) <= ceiling.action_for(tool, subject).unwrap(), "{} {}", tool, subject);
            }
        }
    }
}
