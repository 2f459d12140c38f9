//! Turns a step into an OpenAI-compatible answer: one JSON body, or a paced SSE stream.

use super::choose::Choice;
use super::step::{Step, split};
use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// One unit of a stream: what to send, or how to misbehave.
#[derive(Debug, Clone, PartialEq)]
enum Frame {
    /// Sent at once.
    Text(String),
    /// A content chunk: the next one waits for the step's chunk delay.
    Chunk(String),
    /// Silence until the client goes away or the server stops.
    Hang,
    /// A broken connection.
    Reset,
}

/// An HTTP error as the step describes it; invalid status codes and headers are left out.
pub(crate) fn error(status: u16, body: &Value, headers: &BTreeMap<String, String>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = match body {
        Value::Null => json!({"error": {"message": "scripted error"}}),
        body => body.clone(),
    };
    let mut response = (status, Json(body)).into_response();
    for (name, value) in headers {
        let pair = (
            HeaderName::try_from(name.as_str()),
            HeaderValue::try_from(value.as_str()),
        );
        if let (Ok(name), Ok(value)) = pair {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The whole answer in one JSON body.
pub(crate) fn plain(model: &Value, choice: &Choice) -> Response {
    let step = &choice.step;
    let text = step.text_chunks(&choice.last_user_text).concat();
    let mut message = json!({
        "role": "assistant",
        "content": if text.is_empty() { Value::Null } else { text.into() },
    });
    let calls = calls_of(step, &choice.label);
    if !calls.is_empty() {
        let call = |call: &Call| {
            json!({"id": call.id, "type": "function",
                   "function": {"name": call.name, "arguments": call.arguments}})
        };
        message["tool_calls"] = calls.iter().map(call).collect();
    }
    Json(json!({
        "id": "chatcmpl-scripted", "object": "chat.completion", "created": unix_time().as_secs(),
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": step.finish()}],
        "usage": step.full_usage(),
    }))
    .into_response()
}

/// The answer as server-sent events, paced as the step says. Dropping the response body, which
/// the server does when the client goes away, ends it; so does `stop`.
pub(crate) fn streamed(model: &Value, choice: &Choice, stop: CancellationToken) -> Response {
    let gap = choice.step.chunk_delay();
    let state = (frames(model, choice).into_iter(), Instant::now(), stop);
    let body = stream::unfold(state, move |(mut frames, mut due, stop)| async move {
        let pause = async {
            match frames.next() {
                None => None,
                Some(Frame::Text(text)) => Some(Ok(Bytes::from(text))),
                Some(Frame::Chunk(text)) => {
                    tokio::time::sleep_until(due).await;
                    due += gap;
                    Some(Ok(Bytes::from(text)))
                }
                Some(Frame::Hang) => std::future::pending().await,
                Some(Frame::Reset) => Some(Err(std::io::Error::other("scripted reset"))),
            }
        };
        let item = tokio::select! {
            item = pause => item,
            () = stop.cancelled() => None,
        };
        Some((item?, (frames, due, stop)))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, Body::from_stream(body)).into_response()
}

fn frames(model: &Value, choice: &Choice) -> Vec<Frame> {
    let step = &choice.step;
    if let Some(lines) = &step.raw_lines {
        return lines
            .iter()
            .map(|line| Frame::Text(format!("{line}\n")))
            .collect();
    }
    let mut base = Map::new();
    base.insert("id".into(), "chatcmpl-scripted".into());
    base.insert("object".into(), "chat.completion.chunk".into());
    base.insert("created".into(), unix_time().as_secs().into());
    base.insert("model".into(), model.clone());
    let event = |choices: Value, usage: Option<Value>| {
        let mut event = base.clone();
        event.insert("choices".into(), choices);
        event.extend(usage.map(|usage| ("usage".to_owned(), usage)));
        sse(&Value::Object(event))
    };
    let delta = |delta: Value, finish: Option<&str>| {
        event(
            json!([{"index": 0, "delta": delta, "finish_reason": finish}]),
            None,
        )
    };

    let mut frames = vec![Frame::Text(delta(
        json!({"role": "assistant", "content": ""}),
        None,
    ))];
    for (sent, chunk) in deltas(choice).into_iter().enumerate() {
        if step.hang_after.is_some_and(|limit| sent >= limit) {
            frames.push(Frame::Hang);
            return frames;
        }
        if step.reset_after.is_some_and(|limit| sent >= limit) {
            frames.push(Frame::Reset);
            return frames;
        }
        if step.drop_after.is_some_and(|limit| sent >= limit) {
            return frames;
        }
        frames.push(Frame::Chunk(delta(chunk, None)));
    }
    if let Some(error) = &step.stream_error {
        frames.push(Frame::Text(sse(&json!({"error": error}))));
        return frames;
    }
    frames.push(Frame::Text(delta(json!({}), Some(step.finish()))));
    frames.push(Frame::Text(event(json!([]), Some(step.full_usage()))));
    frames.push(Frame::Text("data: [DONE]\n\n".into()));
    frames
}

/// Reasoning, then text, then tool calls, each in the step's chunks.
fn deltas(choice: &Choice) -> Vec<Value> {
    let step = &choice.step;
    let mut deltas: Vec<Value> = step
        .reasoning_chunks()
        .iter()
        .map(|part| json!({"reasoning_content": part}))
        .collect();
    deltas.extend(
        step.text_chunks(&choice.last_user_text)
            .iter()
            .map(|part| json!({"content": part})),
    );
    for (index, call) in calls_of(step, &choice.label).into_iter().enumerate() {
        let mut parts = split(&call.arguments, step.args_chunk_chars).into_iter();
        let first = parts.next().unwrap_or_default();
        deltas.push(
            json!({"tool_calls": [{"index": index, "id": call.id, "type": "function",
                           "function": {"name": call.name, "arguments": first}}]}),
        );
        deltas.extend(parts.map(
            |part| json!({"tool_calls": [{"index": index, "function": {"arguments": part}}]}),
        ));
    }
    deltas
}

struct Call {
    id: String,
    name: String,
    arguments: String,
}

fn calls_of(step: &Step, label: &str) -> Vec<Call> {
    let label: String = label
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(12)
        .collect();
    let call = |call: &super::step::ToolCall| Call {
        id: call.id.clone().unwrap_or_else(|| call_id(&label)),
        name: call.name.clone(),
        arguments: match &call.arguments {
            Value::String(raw) => raw.clone(),
            Value::Null => "{}".into(),
            value => value.to_string(),
        },
    };
    step.tool_calls.iter().map(call).collect()
}

/// Unique across restarts of the server, because an agent keeps the ids of old calls.
fn call_id(label: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("call_{label}_{:x}_{count}", unix_time().as_micros())
}

fn unix_time() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

fn sse(data: &Value) -> String {
    format!("data: {data}\n\n")
}
