//! Properties of the permission builder, over arbitrary inputs.

use open_cowork_policy::dimension::{AppMaxima, Ceilings, UserSettings};
use open_cowork_policy::permission::{PermissionInput, build};
use open_cowork_policy::{Action, Dimensions, PermissionObject, agent, permission};
use proptest::prelude::*;

/// Every native tool, and tools of three servers in both spellings.
const TOOLS: [&str; 24] = [
    "skill",
    "question",
    "task",
    "external_directory",
    "doom_loop",
    "todowrite",
    "codesearch",
    "webfetch",
    "websearch",
    "lsp",
    "bash",
    "edit",
    "write",
    "apply_patch",
    "read",
    "grep",
    "glob",
    "list",
    "mcp__wiki__read",
    "wiki_read",
    "mcp__wiki__save",
    "wiki_save",
    "mcp__mail__send",
    "mail_send",
];

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![Just(Action::Deny), Just(Action::Ask), Just(Action::Allow)]
}

fn mcp_pattern() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("mcp__*"),
        Just("mcp__wiki__*"),
        Just("mcp__wiki__read"),
        Just("mcp__wiki__s*"),
        Just("mcp__mail__*"),
        Just("mcp__mail__send"),
    ]
    .prop_map(str::to_owned)
}

fn any_pattern() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => mcp_pattern(),
        2 => prop::sample::select(&TOOLS[..]).prop_map(str::to_owned),
        1 => prop_oneof![Just("*"), Just("w*"), Just("?rep"), Just("wiki_*")].prop_map(str::to_owned),
    ]
}

fn patterns(one: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(one, 0..5)
}

prop_compose! {
    fn input_with(withheld: BoxedStrategy<Vec<String>>)(
        (question, todowrite, task) in (action(), action(), action()),
        (web, web_search, bash, file_write) in (action(), action(), action(), action()),
        withheld in withheld.clone(), allow in withheld.clone(), ask in withheld.clone(), denied in withheld,
        require_native_tool_pattern in any::<bool>(),
    ) -> PermissionInput {
        PermissionInput {
            question, todowrite, task: task.into(), web, web_search, bash, file_write,
            withheld, allow, ask, denied, require_native_tool_pattern,
            ..PermissionInput::default()
        }
    }
}

fn input() -> impl Strategy<Value = PermissionInput> {
    input_with(patterns(any_pattern()).boxed())
}

fn never_more(before: &PermissionObject, after: &PermissionObject) -> Result<(), TestCaseError> {
    for tool in TOOLS {
        let (before, after) = (before.action_for(tool, "x"), after.action_for(tool, "x"));
        // No rule means OpenCode's own default, which allows.
        prop_assert!(
            after.unwrap_or(Action::Allow) <= before.unwrap_or(Action::Allow),
            "{tool}: {before:?} became {after:?}"
        );
    }
    Ok(())
}

proptest! {
    #[test]
    fn denying_one_more_pattern_never_allows_more(input in input(), pattern in any_pattern()) {
        let mut stricter = input.clone();
        stricter.denied.push(pattern);
        never_more(&build(&input), &build(&stricter))?;
    }

    #[test]
    fn a_lower_policy_never_allows_more(input in input(), ceiling in action()) {
        let stricter = PermissionInput {
            web: input.web.clamp_to(ceiling),
            web_search: input.web_search.clamp_to(ceiling),
            bash: input.bash.clamp_to(ceiling),
            file_write: input.file_write.clamp_to(ceiling),
            question: input.question.clamp_to(ceiling),
            todowrite: input.todowrite.clamp_to(ceiling),
            ..input.clone()
        };
        never_more(&build(&input), &build(&stricter))?;
    }

    #[test]
    fn one_more_ask_pattern_allows_nothing_that_was_not_allowed(input in input(), pattern in any_pattern()) {
        let mut asking = input.clone();
        asking.ask.push(pattern);
        let (before, after) = (build(&input), build(&asking));
        for tool in TOOLS {
            if after.action_for(tool, "x") == Some(Action::Allow) {
                prop_assert_eq!(before.action_for(tool, "x"), Some(Action::Allow), "{}", tool);
            }
        }
    }

    #[test]
    fn native_tools_never_exceed_their_policy(input in input()) {
        let object = build(&input);
        for (tool, policy) in [
            ("bash", input.bash), ("edit", input.file_write), ("write", input.file_write),
            ("apply_patch", input.file_write), ("webfetch", input.web), ("codesearch", input.web),
            ("websearch", input.web_search),
        ] {
            prop_assert!(object.action_for(tool, "x").unwrap() <= policy, "{}", tool);
        }
    }

    #[test]
    fn both_spellings_of_an_mcp_tool_are_treated_alike(
        input in input_with(patterns(
            mcp_pattern().prop_filter("has no other spelling", |p| p != "mcp__*"),
        ).boxed()),
    ) {
        let object = build(&input);
        for (long, short) in [("mcp__wiki__read", "wiki_read"), ("mcp__wiki__save", "wiki_save"), ("mcp__mail__send", "mail_send")] {
            let long = object.action_for(long, "x");
            // Nothing granted: the long one is caught by `mcp__*`, the short one by no rule at all; then no
            // such server is registered either.
            if let Some(short) = object.action_for(short, "x") {
                prop_assert_eq!(long, Some(short));
            } else {
                prop_assert_eq!(long, Some(Action::Deny));
            }
        }
    }

    #[test]
    fn no_agent_exceeds_the_effective_policy(
        (bash, file_write, web, task) in (action(), action(), action(), action()),
        (mcp, external_directory, ceiling) in (action(), action(), action()),
        web_search in any::<bool>(),
        allow in patterns(mcp_pattern()), ask in patterns(mcp_pattern()), denied in patterns(mcp_pattern()),
    ) {
        let settings = UserSettings {
            bash: Some(bash), file_write: Some(file_write), web: Some(web), task: Some(task), mcp: Some(mcp),
            external_directory: Some(external_directory), web_search_enabled: web_search,
        };
        let app = AppMaxima { web_search: true, ..AppMaxima::desktop() };
        let ceilings = Ceilings { bash: Some(ceiling), file_write: Some(ceiling), web_search: Some(ceiling), ..Ceilings::default() };
        let dimensions = Dimensions::resolve(&app, &settings, &ceilings);
        let shared = agent::Shared {
            registered: vec![],
            read: permission::read_with_secrets_asked(),
            external_directory: permission::deny_all(),
            allow, ask, denied: denied.clone(),
        };
        for agent in agent::native_agents(&dimensions, &shared) {
            for (tool, policy) in [
                ("bash", dimensions.bash),
                ("edit", dimensions.file_write),
                ("webfetch", dimensions.web),
                ("websearch", dimensions.web_search),
                ("task", dimensions.task),
            ] {
                let action = agent.permission.action_for(tool, "general").unwrap();
                prop_assert!(action <= policy, "{} {}", agent.name, tool);
            }
            for tool in open_cowork_policy::pattern::expand(&denied) {
                if TOOLS.contains(&tool.as_str()) {
                    let action = agent.permission.action_for(&tool, "x");
                    prop_assert_eq!(action, Some(Action::Deny), "{} {}", agent.name, tool);
                }
            }
        }
    }
}
