//! The real OpenCode under the launcher, talking to the scripted model.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use open_cowork_testkit::model::{Scenario, ScriptedModel};
use open_cowork_testkit::opencode::{RealOpenCode, RealOpenCodeOptions};
use open_cowork_testkit::workspace::GitWorkspace;
use serde_json::{Value, json};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(LIMIT)
        .build()
        .unwrap()
}

async fn call(server: &RealOpenCode, folder: &str, path: &str, body: Option<&Value>) -> Value {
    let url = format!("{}{path}", server.base_url());
    let request = match body {
        Some(body) => client().post(url).json(body),
        None => client().get(url),
    };
    let response = request
        .basic_auth(server.username(), Some(server.password()))
        .header("x-opencode-directory", folder)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200, "{path}");
    response.json().await.unwrap()
}

async fn post(server: &RealOpenCode, folder: &str, path: &str, body: &Value) -> Value {
    call(server, folder, path, Some(body)).await
}

fn text_of(message: &Value) -> String {
    let parts = message["parts"].as_array().unwrap();
    parts
        .iter()
        .filter_map(|part| part["text"].as_str())
        .collect()
}

#[tokio::test]
async fn real_opencode_answers_with_the_scripted_text_and_its_key_only() {
    let model = ScriptedModel::start().await.unwrap();
    let mut server = RealOpenCode::start(&model.base_url()).await.unwrap();
    let workspace = GitWorkspace::new().unwrap();
    let folder = workspace.path().display().to_string();

    let unauthenticated = client()
        .get(format!("{}/session", server.base_url()))
        .send()
        .await
        .unwrap();
    assert_eq!(unauthenticated.status(), 401);

    let session = post(&server, &folder, "/session", &json!({})).await;
    let path = format!("/session/{}/message", session["id"].as_str().unwrap());
    let prompt = json!({"parts": [{"type": "text", "text": "[[script:multistep]]"}]});
    let answer = post(&server, &folder, &path, &prompt).await;
    assert_eq!(text_of(&answer), "Finished after three steps.");

    let requests = model.requests();
    assert!(
        requests
            .iter()
            .any(|request| request.chosen == "rule:title"),
        "titles are asked for"
    );
    for request in &requests {
        assert_eq!(
            request.headers["authorization"],
            "Bearer test-key-not-a-secret"
        );
    }

    server.restart().await.unwrap();
    let stored = call(&server, &folder, &path, None).await;
    assert!(
        text_of(stored.as_array().unwrap().last().unwrap()).contains("Finished"),
        "kept"
    );
}

#[tokio::test]
async fn real_opencode_sees_nothing_of_our_environment_and_dies_with_its_handle() {
    let model = ScriptedModel::start().await.unwrap();
    let server = RealOpenCode::start(&model.base_url()).await.unwrap();
    let pid = server.pid();
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
    let environment = String::from_utf8_lossy(&environment);
    assert!(
        !environment.contains("CARGO"),
        "nothing of the test runner's"
    );
    assert!(
        !environment.contains("test-key-not-a-secret"),
        "no provider key"
    );
    assert!(!environment.contains("OPENCODE_DISABLE_EMBEDDED_WEB_UI"));
    drop(server);
    let status = format!("/proc/{pid}/status");
    let gone = async {
        // A killed process stays as a zombie until it is reaped.
        while std::fs::read_to_string(&status).is_ok_and(|text| !text.contains("State:\tZ")) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, gone).await.unwrap();
}

/// Runs one demo word to its end; returns the tools it used with their final states.
async fn demo_turn(server: &RealOpenCode, folder: &str, word: &str) -> Vec<(String, String)> {
    let session = post(server, folder, "/session", &json!({"title": word})).await;
    let path = format!("/session/{}/message", session["id"].as_str().unwrap());
    let prompt = json!({"parts": [{"type": "text", "text": word}]});
    let turn = post(server, folder, &path, &prompt);
    // Answers every question with its first choice, for as long as the turn lasts.
    let answers = async {
        loop {
            let asked = call(server, folder, "/question", None).await;
            for question in asked.as_array().unwrap() {
                let first = |one: &Value| json!([one["options"][0]["label"]]);
                let all = question["questions"].as_array().unwrap().iter().map(first);
                let answers = json!({"answers": all.collect::<Vec<_>>()});
                let path = format!("/question/{}/reply", question["id"].as_str().unwrap());
                post(server, folder, &path, &answers).await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        _ = turn => {}
        () = answers => {}
    }
    let messages = call(server, folder, &path, None).await;
    let parts = messages
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|m| m["parts"].as_array().unwrap());
    let tool = |part: &Value| {
        Some((
            part["tool"].as_str()?.to_owned(),
            part["state"]["status"].as_str()?.to_owned(),
        ))
    };
    parts.filter_map(tool).collect()
}

#[tokio::test]
async fn real_opencode_plays_every_word_of_the_demo() {
    let model = ScriptedModel::start_with(Scenario::demo().unwrap(), 0)
        .await
        .unwrap();
    let mut options = RealOpenCodeOptions::new(model.base_url());
    options.permission = json!({"bash": "allow", "edit": "allow"});
    let server = RealOpenCode::start_with(&options).await.unwrap();
    let workspace = GitWorkspace::new().unwrap();
    let folder = workspace.path().display().to_string();
    let expected = [
        ("hello", vec![]),
        ("tool", vec!["bash"]),
        ("question", vec!["question"]),
        (
            "todos",
            vec![
                "todowrite",
                "glob",
                "todowrite",
                "grep",
                "todowrite",
                "todowrite",
            ],
        ),
        ("subagent", vec!["task"]),
        ("error", vec![]),
    ];
    for (word, tools) in expected {
        let used = demo_turn(&server, &folder, word).await;
        let names: Vec<_> = used.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, tools, "{word}");
        assert!(
            used.iter().all(|(_, status)| status == "completed"),
            "{word}: {used:?}"
        );
    }
    let chosen: Vec<_> = model
        .requests()
        .into_iter()
        .map(|request| request.chosen)
        .collect();
    assert!(
        chosen.iter().any(|name| name == "rule:demo-subagent-work"),
        "{chosen:?}"
    );
}
