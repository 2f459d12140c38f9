//! Agents and MCP servers of a distribution's config, on the real OpenCode.

use super::support::*;
use futures::StreamExt;
use open_cowork_config::model::Config;
use open_cowork_config::{defaults, merge};
use open_cowork_opencode::{Directory, Event, NewSession, OpenCodeRuntime, Prompt, StreamItem};
use open_cowork_policy::Action;
use open_cowork_runtime_host::config::{ComposeInput, compose};
use open_cowork_runtime_host::mcp::{
    McpInput, Places, ServerSettings, Servers, SystemResolver, evaluate,
};
use open_cowork_runtime_host::supervise::{Running, Supervisor};
use open_cowork_testkit::model::ScriptedModel;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// A clock that everybody may read and nobody may set without asking, a server that no policy lets through,
/// and an agent that has the clock and nothing else.
fn distribution() -> Arc<Config> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/mcp_server.js");
    let mut document = defaults::document();
    merge::merge(
        &mut document,
        &json!({
            "tools": [{"id": "clock", "name": "Clock", "description": "Tells the time.", "kind": "mcp",
                "allowPatterns": ["mcp__clock__now"], "askPatterns": ["mcp__clock__set"]}],
            "mcps": [
                {"name": "clock", "type": "local", "command": ["node", script], "description": "A clock.",
                    "authMode": "none", "envSettings": [{"env": "CLOCK_TOKEN", "key": "token"}]},
                {"name": "bare", "type": "local", "command": ["node", script], "description": "No pattern names it.", "authMode": "none"},
                {"name": "evil", "type": "local", "command": ["node", "-e", "1"], "description": "d", "authMode": "none"},
            ],
            "agents": [{"name": "timekeeper", "description": "Tells the time.", "instructions": "Tell the time.",
                "mode": "primary", "toolIds": ["clock"], "temperature": 0, "steps": 5}],
            "builtInAgents": {"plan": {"disable": true}},
        }),
    );
    Arc::new(Config::from_value(&document).unwrap())
}

async fn servers(config: &Config, mcp: Action) -> Servers {
    let settings = ServerSettings {
        credentials: BTreeMap::from([(
            "clock".to_owned(),
            BTreeMap::from([("token".to_owned(), "clock-token".into())]),
        )]),
        ..ServerSettings::default()
    };
    let path = std::env::var_os("PATH").unwrap();
    let places = Places {
        search_path: std::env::split_paths(&path).collect(),
        ..Places::default()
    };
    let input = McpInput {
        product: &config.mcps,
        own: &[],
        settings: &settings,
        mcp,
        own_permitted: true,
        places: &places,
    };
    evaluate(&input, &SystemResolver).await
}

async fn input(model_url: &str, mcp: Action) -> ComposeInput {
    let product = distribution();
    let mut input = compose_input(model_url);
    input.dimensions.mcp = mcp;
    input.servers = servers(&product, mcp).await;
    input.product = Some(product);
    input
}

/// One turn of an agent. Returns the tool parts of its messages.
async fn turn_of(running: &Running, folder: &Path, agent: &str, text: &str) -> Vec<Value> {
    let directory = Directory::open(folder.canonicalize().unwrap()).unwrap();
    let client = running.client();
    let mut events = client.events();
    assert!(matches!(events.next().await, Some(StreamItem::Connected)));
    let session = client
        .create_session(&directory, NewSession::default())
        .await
        .unwrap()
        .id;
    let prompt = Prompt {
        agent: Some(agent.to_owned()),
        ..Prompt::text(format!("msg_{agent}"), text)
    };
    client.prompt_async(&session, prompt).await.unwrap();
    let idle = async {
        while let Some(item) = events.next().await {
            if let StreamItem::Frame(frame) = item
                && let Event::SessionIdle { session: idle } = frame.event
                && idle == session
            {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), idle)
        .await
        .expect("the turn did not end");
    let messages = get_json(running, &format!("/session/{session}/message")).await;
    let parts = messages
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|message| message["parts"].as_array().unwrap().clone());
    parts.filter(|part| part["type"] == "tool").collect()
}

#[tokio::test]
async fn real_a_configured_agent_uses_its_server_and_a_denied_server_is_not_registered() {
    let (data, workspace) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let model = ScriptedModel::start().await.unwrap();
    let input = input(&model.base_url(), Action::Allow).await;
    let running = Supervisor::default()
        .start(&spec_of(data.path(), &input))
        .await
        .unwrap();
    let tools = turn_of(
        &running,
        workspace.path(),
        "timekeeper",
        r#"[[steps:[{"tool_calls":[{"name":"clock_now","arguments":{}}]},{"tool_calls":[{"name":"bash","arguments":{"command":"id","description":"d"}}]},{"text":"Done."}]]]"#,
    )
    .await;
    assert_eq!(tools[0]["tool"], "clock_now");
    assert_eq!(tools[0]["state"]["status"], "completed", "{}", tools[0]);
    let output = tools[0]["state"]["output"].as_str().unwrap();
    assert!(output.contains("twelve o'clock"), "{output}");
    // It got its credential, and not the password to OpenCode's own door.
    assert!(output.contains(r#""token":"clock-token""#), "{output}");
    assert!(output.contains(r#""password":"none""#), "{output}");
    // The shell is not among its tools: the model is not even told of it.
    assert_eq!(tools[1]["tool"], "invalid", "{}", tools[1]);
    let requests = model.requests();
    let offered: Vec<&str> = requests
        .iter()
        .filter_map(|request| request.body["tools"].as_array())
        .flatten()
        .filter_map(|tool| tool["function"]["name"].as_str())
        .collect();
    assert!(offered.contains(&"clock_now"), "{offered:?}");
    for absent in ["bash", "edit", "webfetch", "task"] {
        assert!(!offered.contains(&absent), "{absent}: {offered:?}");
    }
    let registered = get_json(&running, "/mcp").await;
    assert_eq!(registered["clock"]["status"], "connected");
    assert!(registered.get("evil").is_none(), "{registered}");
    running.stop().await.unwrap();

    // Where the policy denies MCP tools, there is no server at all.
    let denied = self::input(&model.base_url(), Action::Deny).await;
    let running = Supervisor::default()
        .start(&spec_of(data.path(), &denied))
        .await
        .unwrap();
    assert_eq!(get_json(&running, "/mcp").await, json!({}));
    running.stop().await.unwrap();
}

/// OpenCode lets run what no rule names (08 §9.10). `clock_wipe` is in no pattern, and `bare` in none at all; the
/// model is not told of them, and calling them all the same runs nothing.
#[tokio::test]
async fn real_a_tool_that_nobody_named_does_not_run() {
    let (data, workspace) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let model = ScriptedModel::start().await.unwrap();
    let input = input(&model.base_url(), Action::Allow).await;
    let running = Supervisor::default()
        .start(&spec_of(data.path(), &input))
        .await
        .unwrap();
    let registered = get_json(&running, "/mcp").await;
    assert_eq!(registered["bare"]["status"], "connected", "{registered}");
    for agent in ["timekeeper", "build"] {
        let tools = turn_of(
            &running,
            workspace.path(),
            agent,
            r#"[[steps:[{"tool_calls":[{"name":"clock_wipe","arguments":{}}]},{"tool_calls":[{"name":"bare_now","arguments":{}}]},{"tool_calls":[{"name":"clock_now","arguments":{}}]},{"text":"Done."}]]]"#,
        )
        .await;
        assert_eq!(tools.len(), 3, "{agent}: {tools:?}");
        for tool in &tools[..2] {
            let output = tool["state"]["output"].as_str().unwrap_or_default();
            assert!(!output.contains("twelve o'clock"), "{agent}: {tool}");
        }
        assert_eq!(tools[2]["state"]["status"], "completed", "{}", tools[2]);
    }
    let requests = model.requests();
    let offered: Vec<&str> = requests
        .iter()
        .filter_map(|request| request.body["tools"].as_array())
        .flatten()
        .filter_map(|tool| tool["function"]["name"].as_str())
        .collect();
    assert!(offered.contains(&"clock_now"), "{offered:?}");
    for absent in ["clock_wipe", "bare_now", "bare_wipe"] {
        assert!(!offered.contains(&absent), "{absent}: {offered:?}");
    }
    running.stop().await.unwrap();
}

/// OpenCode lists rules as it will apply them; ours come last, in our order.
#[tokio::test]
async fn real_agents_show_our_permissions_in_our_order() {
    let (data, workspace) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let input = input("http://127.0.0.1:9/v1", Action::Allow).await;
    let spec = spec_of(data.path(), &input);
    let composed = compose(&input, spec.home.paths()).unwrap();
    let running = Supervisor::default().start(&spec).await.unwrap();
    let directory = Directory::open(workspace.path()).unwrap();
    let agents = get_json(&running, &format!("/agent?directory={directory}")).await;
    let agents = agents.as_array().unwrap();
    assert!(
        agents.iter().all(|agent| agent["name"] != "plan"),
        "it is switched off"
    );
    for name in ["build", "general", "explore", "timekeeper"] {
        let agent = agents.iter().find(|agent| agent["name"] == name).unwrap();
        let shown: Vec<(&str, &str, &str)> = agent["permission"]
            .as_array()
            .unwrap()
            .iter()
            .map(|rule| {
                let text = |key: &str| rule[key].as_str().unwrap();
                (text("permission"), text("pattern"), text("action"))
            })
            .collect();
        let ours = &composed.redacted()["agent"][name]["permission"];
        let mut expected = Vec::new();
        for (key, rule) in ours.as_object().unwrap() {
            match rule {
                Value::String(action) => expected.push((key.as_str(), "*", action.as_str())),
                rules => {
                    expected.extend(rules.as_object().unwrap().iter().map(|(pattern, action)| {
                        (key.as_str(), pattern.as_str(), action.as_str().unwrap())
                    }))
                }
            }
        }
        assert!(
            shown
                .windows(expected.len())
                .any(|window| window == expected),
            "{name}: {expected:#?} in {shown:#?}"
        );
    }
    let timekeeper = agents
        .iter()
        .find(|agent| agent["name"] == "timekeeper")
        .unwrap();
    assert_eq!(
        (&timekeeper["mode"], &timekeeper["steps"]),
        (&json!("primary"), &json!(5))
    );
    running.stop().await.unwrap();
}
