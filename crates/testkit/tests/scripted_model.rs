//! Behaviour of the scripted model server, seen by an HTTP client.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use futures::StreamExt as _;
use open_cowork_testkit::model::{Scenario, ScriptedModel};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(20);

fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(LIMIT)
        .build()
        .unwrap()
}

async fn ask(model: &ScriptedModel, prompt: &str, stream: bool) -> reqwest::Response {
    let body = json!({"model": "fake-model", "stream": stream,
                      "messages": [{"role": "user", "content": prompt}]});
    client()
        .post(format!("{}/chat/completions", model.base_url()))
        .json(&body)
        .send()
        .await
        .unwrap()
}

/// The `data:` payloads of a finished stream, in order.
async fn events(response: reqwest::Response) -> Vec<String> {
    let text = response.text().await.unwrap();
    text.split("\n\n")
        .filter_map(|event| event.strip_prefix("data: "))
        .map(Into::into)
        .collect()
}

fn content_of(events: &[String]) -> String {
    let delta = |event: &String| {
        let event: Value = serde_json::from_str(event).ok()?;
        event["choices"][0]["delta"]["content"]
            .as_str()
            .map(str::to_owned)
    };
    events.iter().filter_map(delta).collect()
}

#[tokio::test]
async fn a_stream_ends_with_reason_usage_and_done() {
    let model = ScriptedModel::start().await.unwrap();
    let events = events(ask(&model, "hi", true).await).await;
    assert_eq!(
        content_of(&events),
        "Hello from the scripted model. This is a plain streamed answer."
    );
    let [.., finish, usage, done] = &events[..] else {
        panic!("{events:?}")
    };
    assert!(finish.contains(r#""finish_reason":"stop""#), "{finish}");
    assert!(usage.contains(r#""total_tokens":120"#), "{usage}");
    assert_eq!(done, "[DONE]");
}

#[tokio::test]
async fn a_plain_answer_carries_the_same_text_and_calls() {
    let model = ScriptedModel::start().await.unwrap();
    let answer: Value = ask(&model, "[[script:parallel]]", false)
        .await
        .json()
        .await
        .unwrap();
    let calls = answer["choices"][0]["message"]["tool_calls"]
        .as_array()
        .unwrap();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0]["function"]["arguments"], r#"{"pattern":"*.md"}"#);
    assert_ne!(calls[0]["id"], calls[1]["id"]);
    assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls");
}

#[tokio::test]
async fn a_dropped_stream_has_no_end_mark_and_a_reset_one_is_an_error() {
    let model = ScriptedModel::start().await.unwrap();
    let dropped = events(ask(&model, "[[script:drop]]", true).await).await;
    assert_eq!(content_of(&dropped), "partial text");
    assert!(
        !dropped
            .iter()
            .any(|event| event.contains("finish_reason\":\"")),
        "{dropped:?}"
    );
    assert!(
        ask(&model, "[[script:reset]]", true)
            .await
            .text()
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_hanging_stream_stays_open_until_the_server_stops() {
    let model = ScriptedModel::start().await.unwrap();
    let mut body = ask(&model, "[[script:hang]]", true).await.bytes_stream();
    let mut seen = String::new();
    while !seen.contains("ial ") {
        seen.push_str(&String::from_utf8_lossy(
            &body.next().await.unwrap().unwrap(),
        ));
    }
    assert!(
        tokio::time::timeout(Duration::from_millis(50), body.next())
            .await
            .is_err()
    );
    drop(model);
    let end = tokio::time::timeout(LIMIT, body.next()).await.unwrap();
    assert!(end.is_none_or(|chunk| chunk.is_err()), "the stream ended");
}

#[tokio::test]
async fn an_error_with_times_fails_first_and_then_answers_per_conversation() {
    let model = ScriptedModel::start().await.unwrap();
    for conversation in ["a", "b"] {
        let prompt = format!("{conversation} [[script:error429]]");
        for _ in 0..2 {
            let response = ask(&model, &prompt, true).await;
            assert_eq!(response.status(), 429);
            assert_eq!(response.headers()["retry-after"], "1");
        }
        assert_eq!(ask(&model, &prompt, true).await.status(), 200);
    }
}

#[tokio::test]
async fn an_error_object_may_follow_a_good_start() {
    let model = ScriptedModel::start().await.unwrap();
    let response = ask(&model, "[[script:stream_error]]", true).await;
    assert_eq!(response.status(), 200);
    let events = events(response).await;
    assert!(
        events.last().unwrap().starts_with(r#"{"error":"#),
        "{events:?}"
    );
}

#[tokio::test]
async fn chunks_keep_their_rate_against_the_clock() {
    let model = ScriptedModel::start().await.unwrap();
    let steps = r#"[{"repeat":{"unit":"word ","count":101},"chunk_chars":5,"chunk_delay_ms":5}]"#;
    let start = Instant::now();
    let events = events(ask(&model, &format!("[[steps:{steps}]]"), true).await).await;
    assert_eq!(content_of(&events).len(), 505);
    // 100 gaps of 5 ms. Only the lower bound is ours to promise on a busy machine.
    assert!(
        start.elapsed() >= Duration::from_millis(499),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn raw_lines_go_out_as_they_are() {
    let model = ScriptedModel::start().await.unwrap();
    let response = ask(
        &model,
        r#"[[steps:[{"raw_lines":["data: {broken","",": note"]}]]]"#,
        true,
    )
    .await;
    assert_eq!(response.text().await.unwrap(), "data: {broken\n\n: note\n");
}

#[tokio::test]
async fn a_required_key_is_checked_for_models_and_chat() {
    let scenario = Scenario::builtin().unwrap().requiring_key("right");
    let model = ScriptedModel::start_with(scenario, 0).await.unwrap();
    let models = format!("{}/models", model.base_url());
    assert_eq!(
        client()
            .get(&models)
            .bearer_auth("wrong")
            .send()
            .await
            .unwrap()
            .status(),
        401
    );
    assert_eq!(
        client()
            .get(&models)
            .bearer_auth("right")
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    assert_eq!(ask(&model, "hi", true).await.status(), 401);
}

#[tokio::test]
async fn requests_are_recorded_and_forgotten_on_reset() {
    let model = ScriptedModel::start().await.unwrap();
    ask(&model, "[[script:reasoning]]", true).await;
    let requests = model
        .requests_when(LIMIT, |requests| requests.len() == 1)
        .await
        .unwrap();
    assert_eq!(requests[0].chosen, "script:reasoning");
    assert_eq!(requests[0].body["model"], "fake-model");
    assert!(requests[0].headers.contains_key("content-type"));
    model.reset();
    assert!(model.requests().is_empty());
}

#[tokio::test]
async fn the_scenario_can_be_replaced_over_http_and_a_broken_one_is_refused() {
    let model = ScriptedModel::start().await.unwrap();
    let url = format!("http://{}/__scenario", model.address());
    let new = json!({"default": "a", "scripts": {"a": [{"text": "new"}]}});
    assert_eq!(
        client()
            .post(&url)
            .json(&new)
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    assert_eq!(
        content_of(&events(ask(&model, "hi", true).await).await),
        "new"
    );
    let broken = json!({"default": "nope", "scripts": {}});
    assert_eq!(
        client()
            .post(&url)
            .json(&broken)
            .send()
            .await
            .unwrap()
            .status(),
        400
    );
    assert_eq!(
        content_of(&events(ask(&model, "hi", true).await).await),
        "new"
    );
}

#[tokio::test]
async fn nonsense_is_answered_not_panicked_over() {
    let model = ScriptedModel::start().await.unwrap();
    let url = format!("{}/chat/completions", model.base_url());
    for body in [
        "",
        "[",
        "[]",
        "null",
        r#"{"messages":"x"}"#,
        r#"{"messages":[[]],"stream":1}"#,
    ] {
        let status = client()
            .post(&url)
            .body(body)
            .send()
            .await
            .unwrap()
            .status();
        assert!(status == 200 || status == 400, "{body}: {status}");
    }
}

#[tokio::test]
async fn the_demo_greets_with_a_table_and_follows_its_words() {
    let model = ScriptedModel::start_with(Scenario::demo().unwrap(), 0)
        .await
        .unwrap();
    let chosen = async |prompt: &str| {
        drop(ask(&model, prompt, false).await);
        model.requests().last().unwrap().chosen.clone()
    };
    assert_eq!(chosen("Good morning").await, "default");
    assert_eq!(chosen("Show me a tool, please").await, "rule:demo-tool");
    assert_eq!(chosen("Todos!").await, "rule:demo-todos");
    assert_eq!(chosen("what about a subagent").await, "rule:demo-subagent");
    assert_eq!(chosen("error").await, "rule:demo-error");
    let greeting: Value = ask(&model, "hello", false).await.json().await.unwrap();
    let text = greeting["choices"][0]["message"]["content"]
        .as_str()
        .unwrap();
    for word in [
        "`tool`",
        "`question`",
        "`todos`",
        "`subagent`",
        "`error`",
        "`long`",
        "|---|",
        "```rust",
    ] {
        assert!(text.contains(word), "{word}");
    }
}
