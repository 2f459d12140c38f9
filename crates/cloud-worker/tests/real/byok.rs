//! Keys of the organisation: used, and nowhere to be seen.

use crate::support::{PATIENCE, Rig, answers, config, opencodes_of, processes_of};
use open_cowork_contracts::SessionStatus;
use open_cowork_contracts::api::sessions::CommandStatus;
use open_cowork_providers::executor::Executor as _;
use open_cowork_providers::store::governance::AuditQuery;
use open_cowork_testkit::model::ScriptedModel;
use serde_json::{Value, json};
use std::path::Path;

const KEY: &str = "canary-key-7f3a91d2c4b8";
const NEXT_KEY: &str = "canary-key-next-55e0aa19";

/// A provider of the configuration that needs a key.
fn provider(endpoint: &str) -> Value {
    json!({ "providers": {
        "available": ["scripted"],
        "defaultProvider": "scripted",
        "defaultModel": "fake-model",
        "custom": { "scripted": {
            "npm": "@ai-sdk/openai-compatible",
            "name": "Scripted",
            "defaultModel": "fake-model",
            "options": { "baseURL": endpoint },
            "models": { "fake-model": { "name": "Scripted" } },
            "credentials": [{
                "key": "apiKey", "label": "Key", "description": "The key.", "secret": true, "required": true
            }],
        } },
    } })
}

async fn rig() -> (Rig, ScriptedModel) {
    let model = ScriptedModel::start().await.unwrap();
    let config = config(&provider(&model.base_url()));
    let rig = Rig::start_with(|options| {
        options.config = config;
        options.demo_endpoint = None;
    })
    .await;
    rig.world.person("ann").await;
    (rig, model)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_reaches_the_provider_and_nothing_else() {
    let (rig, model) = rig().await;
    let world = &rig.world;
    world.key("scripted", KEY).await;
    let key = world.session("ann").await;
    world
        .prompt(&key, &format!("My key is {KEY} [[script:bash]]"))
        .await;
    let view = world
        .view_when(&key, "an approval", |view| {
            !view.pending_approvals.is_empty()
        })
        .await;
    assert!(!model.requests().is_empty());
    for request in model.requests() {
        let sent = request.headers.get("authorization").map(String::as_str);
        assert_eq!(sent, Some(format!("Bearer {KEY}").as_str()));
    }
    // No process of the runtime carries it, neither in its environment nor in its arguments.
    let pids = opencodes_of(rig.root.path());
    assert_eq!(pids.len(), 1);
    for (pid, _) in processes_of(rig.root.path()) {
        for file in ["environ", "cmdline"] {
            let bytes = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            assert!(!holds(&bytes, KEY), "{file} of {pid}");
        }
    }
    // Answers and tools never show it; what a person typed is theirs.
    let payload = json!({ "permissionId": view.pending_approvals[0].id, "response": true });
    let kind = open_cowork_contracts::api::sessions::CommandKind::PermissionRespond;
    world.queue(&key, kind, payload).await;
    world
        .view_when(&key, "the end", |view| view.status == SessionStatus::Idle)
        .await;
    for event in world.events(&key).await {
        let text = json!(event.payload).to_string();
        let typed = event.kind == open_cowork_contracts::EventType::PromptSubmitted;
        assert!(typed || !text.contains(KEY), "{text}");
    }
    let audit = world
        .store
        .page_audit(&crate::support::TENANT.into(), &AuditQuery::default())
        .await
        .unwrap();
    let revealed: Vec<_> = audit
        .rows
        .iter()
        .filter(|entry| entry.event_type == "byok_secret.revealed")
        .collect();
    assert_eq!(revealed.len(), 1);
    assert!(!json!(revealed).to_string().contains(KEY));

    // A drained worker leaves no file with it.
    rig.worker.drain(std::time::Duration::from_secs(5)).await;
    let found = files_with(&rig.root.path().join("runtime"), KEY);
    // OpenCode's own history holds what the person typed.
    let config_files: Vec<_> = found
        .iter()
        .filter(|path| !path.contains("opencode.db"))
        .collect();
    assert!(config_files.is_empty(), "{config_files:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_the_prompt_fails_with_a_way_out_and_a_new_key_is_used_at_once() {
    let (rig, model) = rig().await;
    let world = &rig.world;
    let key = world.session("ann").await;
    let first = world.prompt(&key, "Hello [[script:hello]]").await;
    let refused = rig.worker.process(&key).await;
    world
        .command_when(&key, &first, CommandStatus::Failed)
        .await;
    if let Err(refused) = refused {
        assert_eq!(refused.status, 409);
        assert_eq!(refused.code.as_deref(), Some("byok.missing_required_byok"));
    }
    let view = world.view(&key).await;
    assert_eq!(view.status, SessionStatus::Errored);
    assert!(
        view.errors[0].message.contains("administrator"),
        "{:?}",
        view.errors
    );
    assert_eq!(
        view.messages[0].content, "Hello [[script:hello]]",
        "what was asked is kept"
    );

    world.key("scripted", KEY).await;
    world.prompt(&key, "Hello again [[script:hello]]").await;
    world
        .view_when(&key, "an answer", |view| {
            view.status == SessionStatus::Idle && answers(view).len() == 1
        })
        .await;
    let before = opencodes_of(rig.root.path());

    // Another key: the next prompt goes out with it, on an OpenCode that was started anew.
    world.key("scripted", NEXT_KEY).await;
    world.prompt(&key, "And again [[script:hello]]").await;
    world
        .view_when(&key, "a second answer", |view| {
            view.status == SessionStatus::Idle && answers(view).len() == 2
        })
        .await;
    let last = model.requests().pop().unwrap();
    assert_eq!(
        last.headers.get("authorization").map(String::as_str),
        Some(format!("Bearer {NEXT_KEY}").as_str())
    );
    let after = opencodes_of(rig.root.path());
    assert_eq!((before.len(), after.len()), (1, 1));
    assert_ne!(before, after);
    world.assert_fold(&key).await;
    rig.close().await;
    let _ = PATIENCE;
}

/// Providers of the configuration that declare no field for a key: `first` answers unless somebody else is named.
fn two(first: &ScriptedModel, second: &ScriptedModel, options: &Value) -> Value {
    let provider = |model: &ScriptedModel, options: &Value| {
        let mut all = json!({ "baseURL": model.base_url() });
        all.as_object_mut()
            .unwrap()
            .extend(options.as_object().unwrap().clone());
        json!({
            "npm": "@ai-sdk/openai-compatible", "name": "Scripted", "defaultModel": "fake-model",
            "options": all, "models": { "fake-model": { "name": "Scripted" } },
        })
    };
    json!({
        "providers": {
            "available": ["first", "second"],
            "defaultProvider": "first",
            "defaultModel": "fake-model",
            "custom": { "first": provider(first, options), "second": provider(second, &json!({})) },
        },
        "agents": [{
            "name": "other", "label": "Other", "description": "Asks the other model.", "instructions": "Answer.",
            "model": "second/fake-model",
        }],
    })
}

fn bearers(model: &ScriptedModel) -> Vec<Option<String>> {
    let requests = model.requests();
    let sent = requests
        .iter()
        .map(|request| request.headers.get("authorization").cloned());
    sent.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_was_not_chosen_gets_the_organisation_s_key_too() {
    let (first, second) = (
        ScriptedModel::start().await.unwrap(),
        ScriptedModel::start().await.unwrap(),
    );
    let config = config(&two(&first, &second, &json!({})));
    let rig = Rig::start_with(|options| {
        options.config = config;
        options.demo_endpoint = None;
    })
    .await;
    let world = &rig.world;
    world.person("ann").await;
    world.key("first", KEY).await;
    world.key("second", NEXT_KEY).await;
    let key = world.session("ann").await;
    let payload = json!({ "text": "Hello [[script:hello]]", "agent": "other" });
    let kind = open_cowork_contracts::api::sessions::CommandKind::Prompt;
    world.queue(&key, kind, payload).await;
    world
        .view_when(&key, "an answer", |view| {
            view.status == SessionStatus::Idle && answers(view).len() == 1
        })
        .await;
    let expected = Some(format!("Bearer {NEXT_KEY}"));
    let sent = bearers(&second);
    assert!(
        !sent.is_empty() && sent.iter().all(|sent| *sent == expected),
        "{sent:?}"
    );
    for event in world.events(&key).await {
        let text = json!(event.payload).to_string();
        assert!(!text.contains(KEY) && !text.contains(NEXT_KEY), "{text}");
    }
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_a_file_that_the_configuration_names_reaches_the_provider() {
    let model = ScriptedModel::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, KEY).unwrap();
    let config = config(&two(&model, &model, &json!({ "apiKey": "{file:./key}" })));
    let rig = Rig::start_with(|options| {
        options.config = config;
        options.option_files = [("./key".to_owned(), path.clone())].into();
        options.demo_endpoint = None;
    })
    .await;
    let world = &rig.world;
    world.person("ann").await;
    let key = world.session("ann").await;
    world
        .prompt(&key, &format!("It is {KEY} [[script:bash]]"))
        .await;
    world
        .view_when(&key, "an approval", |view| {
            !view.pending_approvals.is_empty()
        })
        .await;
    let expected = Some(format!("Bearer {KEY}"));
    let sent = bearers(&model);
    assert!(
        !sent.is_empty() && sent.iter().all(|sent| *sent == expected),
        "{sent:?}"
    );
    for (pid, _) in processes_of(rig.root.path()) {
        for file in ["environ", "cmdline"] {
            let bytes = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            assert!(!holds(&bytes, KEY), "{file} of {pid}");
        }
    }
    // What a person typed is theirs; nothing else shows it.
    for event in world.events(&key).await {
        let text = json!(event.payload).to_string();
        let typed = event.kind == open_cowork_contracts::EventType::PromptSubmitted;
        assert!(typed || !text.contains(KEY), "{text}");
    }
    rig.close().await;
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else if std::fs::read(&path).is_ok_and(|bytes| holds(&bytes, text)) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}
