//! The real OpenCode under the launcher, talking to the scripted model.

use open_cowork_testkit::model::ScriptedModel;
use open_cowork_testkit::opencode::RealOpenCode;
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

async fn post(server: &RealOpenCode, folder: &str, path: &str, body: &Value) -> Value {
    let response = client()
        .post(format!("{}{path}", server.base_url()))
        .basic_auth(server.username(), Some(server.password()))
        .header("x-opencode-directory", folder)
        .json(body)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200, "{path}");
    response.json().await.unwrap()
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
    let stored: Value = client()
        .get(format!("{}{path}", server.base_url()))
        .basic_auth(server.username(), Some(server.password()))
        .header("x-opencode-directory", &folder)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
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
