//! A scripted, OpenAI-compatible model server: loopback only, no network, no real model.
//!
//! A test chooses the behaviour in the prompt itself, with `[[script:NAME]]` (a script of the
//! [`Scenario`]) or `[[steps:[{"text":"…"}]]]` (an inline list of [`Step`]s). One model call
//! consumes one step; the index is the number of assistant messages since the message with the
//! marker, so that parallel sessions and retries do not disturb each other. Rules with
//! `priority` claim title and compaction calls, which quote the user's text.
//!
//! | route | does |
//! |---|---|
//! | `POST /v1/chat/completions` | streams (SSE) or answers plainly, by `"stream"` |
//! | `GET /v1/models` | lists the scenario's models |
//! | `GET /__health` | `{"ok":true,"requests":N}` |
//! | `GET /__requests` | the last requests: headers, body, chosen script |
//! | `POST /__scenario` | replaces the scenario |
//! | `POST /__reset` | forgets requests and failure counters |
//!
//! The same server as a program: `cargo run -p open-cowork-testkit -- --help`.

mod answer;
mod choose;
mod scenario;
mod step;

pub use scenario::{Conditions, Rule, Scenario, Script};
pub use step::{HttpError, Repeat, Step, Text, ToolCall};

use crate::TestkitError;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Requests remembered; older ones are forgotten first.
const KEPT_REQUESTS: usize = 200;
/// Largest accepted request body.
const MAX_BODY_BYTES: usize = 256 * 1024 * 1024;

/// One request that the server received, headers included: for proofs of what left the agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordedRequest {
    /// 1 for the first request since the start or the last reset.
    pub index: u64,
    /// Header names in lower case.
    pub headers: BTreeMap<String, String>,
    /// How the script was chosen: `script:bash`, `rule:title`, `inline`, `default`, …
    pub chosen: String,
    /// The step's index in its script.
    pub step: usize,
    /// Identifies the conversation up to the message that chose the script.
    pub conversation: String,
    /// The JSON body.
    pub body: Value,
}

/// A running scripted model server; dropping it closes the port and every open stream.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use open_cowork_testkit::model::ScriptedModel;
/// let model = ScriptedModel::start().await?;
/// assert!(model.base_url().ends_with("/v1"));
/// # Ok::<(), open_cowork_testkit::TestkitError>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct ScriptedModel {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<Memory>,
    received: watch::Sender<u64>,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Memory {
    scenario: Arc<Scenario>,
    requests: VecDeque<RecordedRequest>,
    failures: HashMap<String, u32>,
    count: u64,
}

impl ScriptedModel {
    /// Starts with the built-in scenario on a free port.
    ///
    /// # Errors
    /// [`TestkitError::Network`] when no loopback port can be bound.
    pub async fn start() -> Result<Self, TestkitError> {
        Self::start_with(Scenario::builtin()?, 0).await
    }

    /// Starts with this scenario on this port (0: a free one).
    ///
    /// # Errors
    /// [`TestkitError::Network`] when the port cannot be bound.
    pub async fn start_with(scenario: Scenario, port: u16) -> Result<Self, TestkitError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .map_err(|error| TestkitError::Network(format!("127.0.0.1:{port}: {error}")))?;
        let address = listener
            .local_addr()
            .map_err(|error| TestkitError::Network(error.to_string()))?;
        let shared = Arc::new(Shared {
            state: Mutex::new(Memory {
                scenario: Arc::new(scenario),
                requests: VecDeque::new(),
                failures: HashMap::new(),
                count: 0,
            }),
            received: watch::Sender::new(0),
            stop: CancellationToken::new(),
        });
        let stop = shared.stop.clone();
        let server = axum::serve(listener, router(shared.clone()))
            .with_graceful_shutdown(stop.cancelled_owned());
        // Ends with `stop`, which the handle's drop pulls; every open stream ends with it too.
        tokio::spawn(async move { server.await });
        Ok(Self { address, shared })
    }

    /// The base URL for an OpenAI-compatible client: `http://127.0.0.1:<port>/v1`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The bound address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The remembered requests, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.lock().requests.iter().cloned().collect()
    }

    /// Waits until the remembered requests satisfy a condition, and returns them.
    ///
    /// # Errors
    /// [`TestkitError::TimedOut`] when they don't within the limit.
    pub async fn requests_when(
        &self,
        limit: Duration,
        condition: impl Fn(&[RecordedRequest]) -> bool,
    ) -> Result<Vec<RecordedRequest>, TestkitError> {
        let mut received = self.shared.received.subscribe();
        let wait = async {
            loop {
                received.borrow_and_update();
                let requests = self.requests();
                // The sender lives in `self.shared`: `changed` cannot fail here.
                if condition(&requests) || received.changed().await.is_err() {
                    return requests;
                }
            }
        };
        tokio::time::timeout(limit, wait)
            .await
            .map_err(|_| TestkitError::TimedOut {
                what: "the awaited model request".into(),
                limit,
            })
    }

    /// Replaces the scenario; running answers go on with the old one.
    pub fn set_scenario(&self, scenario: Scenario) {
        self.shared.lock().scenario = Arc::new(scenario);
    }

    /// Forgets the requests and the failure counters.
    pub fn reset(&self) {
        self.shared.reset();
    }
}

impl Drop for ScriptedModel {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reset(&self) {
        let mut memory = self.lock();
        memory.requests.clear();
        memory.failures.clear();
        memory.count = 0;
    }

    fn record(&self, choice: &choose::Choice, headers: &HeaderMap, body: Value) {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect();
        let mut memory = self.lock();
        memory.count += 1;
        let request = RecordedRequest {
            index: memory.count,
            headers,
            chosen: choice.label.clone(),
            step: choice.index,
            conversation: choice.conversation.clone(),
            body,
        };
        memory.requests.push_back(request);
        if memory.requests.len() > KEPT_REQUESTS {
            memory.requests.pop_front();
        }
        drop(memory);
        self.received.send_modify(|count| *count += 1);
    }

    /// Whether this call of a failing step still has to fail.
    fn takes_failure(&self, choice: &choose::Choice, times: Option<u32>) -> bool {
        let Some(times) = times else { return true };
        let key = format!("{}/{}/{}", choice.conversation, choice.label, choice.index);
        let mut memory = self.lock();
        let used = memory.failures.entry(key).or_insert(0);
        let fails = *used < times;
        *used = used.saturating_add(u32::from(fails));
        fails
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat))
        .route("/v1/models", get(models))
        .route("/__health", get(health))
        .route("/__requests", get(recorded))
        .route("/__scenario", post(replace_scenario))
        .route("/__reset", post(reset))
        .fallback(async || problem(StatusCode::NOT_FOUND, "no such route"))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(shared)
}

async fn chat(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: String) -> Response {
    let Ok(body) = serde_json::from_str::<Value>(&body) else {
        return problem(StatusCode::BAD_REQUEST, "the body is not JSON");
    };
    let scenario = shared.lock().scenario.clone();
    let choice = choose::choose(&scenario, &body);
    let model = body.get("model").cloned().unwrap_or_default();
    let streams = body.get("stream").and_then(Value::as_bool).unwrap_or(false);
    shared.record(&choice, &headers, body);
    if !key_fits(&scenario, &headers) {
        return wrong_key();
    }
    let delay = choice.step.delay();
    if !delay.is_zero() {
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = shared.stop.cancelled() => {}
        }
    }
    if let Some(error) = &choice.step.error
        && shared.takes_failure(&choice, error.times)
    {
        return answer::error(error.status, &error.body, &error.headers);
    }
    if streams {
        answer::streamed(&model, &choice, shared.stop.clone())
    } else {
        answer::plain(&model, &choice)
    }
}

async fn models(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let scenario = shared.lock().scenario.clone();
    if !key_fits(&scenario, &headers) {
        return wrong_key();
    }
    let model = |id: &String| json!({"id": id, "object": "model", "owned_by": "scripted"});
    let data: Vec<_> = scenario.models.iter().map(model).collect();
    Json(json!({"object": "list", "data": data})).into_response()
}

async fn health(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({"ok": true, "requests": shared.lock().count}))
}

async fn recorded(State(shared): State<Arc<Shared>>) -> Json<Vec<RecordedRequest>> {
    Json(shared.lock().requests.iter().cloned().collect())
}

async fn replace_scenario(State(shared): State<Arc<Shared>>, body: String) -> Response {
    match Scenario::parse(&body) {
        Ok(scenario) => {
            shared.lock().scenario = Arc::new(scenario);
            Json(json!({"ok": true})).into_response()
        }
        Err(error) => problem(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

async fn reset(State(shared): State<Arc<Shared>>) -> Json<Value> {
    shared.reset();
    Json(json!({"ok": true}))
}

fn key_fits(scenario: &Scenario, headers: &HeaderMap) -> bool {
    let sent = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    scenario
        .api_key
        .as_ref()
        .is_none_or(|key| sent.and_then(|sent| sent.strip_prefix("Bearer ")) == Some(key))
}

fn wrong_key() -> Response {
    let body = json!({"error": {"message": "Incorrect API key provided.",
                      "type": "invalid_request_error", "code": "invalid_api_key"}});
    (StatusCode::UNAUTHORIZED, Json(body)).into_response()
}

fn problem(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({"error": {"message": message}}))).into_response()
}
