//! Threads over HTTP: create, read, list, command, repeat.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

mod support;

use async_trait::async_trait;
use open_cowork_contracts::{EventType, RuntimeEvent};
use open_cowork_providers::bus::{EventBus, LocalBus, Topic};
use open_cowork_providers::executor::{ExecutionError, Executor};
use open_cowork_providers::store::{SessionKey, SessionStore};
use open_cowork_thread_log::ThreadLog;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use support::{Reply, World, request, world, world_with};

const ME: &str = "member@own";

async fn thread(world: &World) -> String {
    let made = world.call(ME, "POST", "/api/sessions", None).await;
    assert_eq!(made.status, 201, "{}", made.body);
    made.json()["session"]["sessionId"]
        .as_str()
        .unwrap()
        .to_owned()
}

async fn keyed(world: &World, key: &str, path: &str, body: Value) -> Reply {
    let mut request = request(ME, "POST", path, Some(body));
    let headers = request.headers_mut();
    headers.insert("idempotency-key", key.parse().unwrap());
    world.send(request).await
}

#[tokio::test]
async fn a_thread_is_made_read_and_listed() {
    let world = world().await;
    let made = world
        .call(
            ME,
            "POST",
            "/api/sessions",
            Some(json!({"profileName": "any name"})),
        )
        .await;
    assert_eq!(made.status, 201);
    let made = made.json();
    assert_eq!(made["session"]["profileName"], "any name");
    assert_eq!(made["session"]["title"], "New session");
    assert_eq!(made["session"]["opencodeSessionId"], "");
    assert_eq!(made["projection"]["sequence"], 1);
    let id = made["session"]["sessionId"].as_str().unwrap();
    for (method, path) in [
        ("GET", format!("/api/sessions/{id}")),
        ("POST", format!("/api/sessions/{id}/activate")),
    ] {
        let read = world.call(ME, method, &path, None).await;
        assert_eq!(
            (read.status.as_u16(), read.json()),
            (200, made.clone()),
            "{path}"
        );
    }
    let view = world
        .call(ME, "GET", &format!("/api/sessions/{id}/view"), None)
        .await;
    assert_eq!(view.json()["view"]["revision"], 1);
    let listed = world
        .call(ME, "GET", "/api/sessions?q=NEW", None)
        .await
        .json();
    assert_eq!(listed["sessions"][0]["sessionId"], id);
    assert_eq!(listed["nextCursor"], Value::Null);
    assert_eq!(listed["totalEstimate"], 1);
}

#[tokio::test]
async fn an_answer_that_is_kept_never_outlives_a_change() {
    let world = world().await;
    let id = thread(&world).await;
    let path = format!("/api/sessions/{id}");
    let before = world.call(ME, "GET", &path, None).await;
    assert_eq!(
        before,
        world.call(ME, "GET", &path, None).await.without_id(&before)
    );
    let key = SessionKey::new("own", id.as_str());
    let event = RuntimeEvent::new(EventType::SessionRenamed, json!({"title": "Trip"}));
    world.log.append(&key, vec![event]).await.unwrap();
    let after = world.call(ME, "GET", &path, None).await.json();
    assert_eq!(after["session"]["title"], "Trip");
    world.log.bind_runtime(&key, &"ses_1".into()).await.unwrap();
    let bound = world.call(ME, "GET", &path, None).await.json();
    assert_eq!(bound["session"]["opencodeSessionId"], "ses_1");
}

#[tokio::test]
async fn pages_follow_their_cursor_and_no_other() {
    let world = world().await;
    for _ in 0..5 {
        thread(&world).await;
    }
    let mut seen = Vec::new();
    let mut path = "/api/sessions?limit=2".to_owned();
    loop {
        let page = world.call(ME, "GET", &path, None).await.json();
        let ids = page["sessions"].as_array().unwrap().iter();
        seen.extend(ids.map(|session| session["sessionId"].to_string()));
        match page["nextCursor"].as_str() {
            Some(cursor) => path = format!("/api/sessions?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 5);
    let first = world
        .call(ME, "GET", "/api/sessions?limit=2", None)
        .await
        .json();
    let cursor = first["nextCursor"].as_str().unwrap();
    for (query, code) in [
        (
            format!("cursor={cursor}&status=idle"),
            "sessions.cursor.invalid",
        ),
        ("cursor=nonsense".to_owned(), "sessions.cursor.invalid"),
        ("cursor=eyJ2IjoxfQ".to_owned(), "sessions.cursor.invalid"),
        ("status=asleep".to_owned(), "sessions.status.invalid"),
    ] {
        let refused = world
            .call(ME, "GET", &format!("/api/sessions?{query}"), None)
            .await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (400, code.to_owned()),
            "{query}"
        );
    }
    let stolen = world
        .call(
            "member@foreign",
            "GET",
            &format!("/api/sessions?limit=2&cursor={cursor}"),
            None,
        )
        .await;
    assert_eq!(stolen.status, 400);
}

#[tokio::test]
async fn a_prompt_is_queued_once_however_often_it_is_sent() {
    let world = world().await;
    let mut topics = world.cloud.bus.subscribe();
    let id = thread(&world).await;
    let path = format!("/api/sessions/{id}/prompt");
    let first = keyed(&world, "k1", &path, json!({"text": "hello"})).await;
    assert_eq!(first.status, 202, "{}", first.body);
    let body = first.json();
    assert_eq!(body["processed"], 0);
    assert_eq!(body["projectionFence"], Value::Null);
    assert_eq!(
        body["command"]["payload"],
        json!({"text": "hello", "agent": "build"})
    );
    assert_eq!(body["command"]["status"], "pending");
    loop {
        if matches!(topics.recv().await.unwrap(), Topic::Commands(key) if key.session_id.as_str() == id)
        {
            break;
        }
    }
    let again = keyed(&world, "k1", &path, json!({"text": "hello"})).await;
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    let other = keyed(&world, "k1", &path, json!({"text": "bye"})).await;
    assert_eq!(
        (other.status.as_u16(), other.code().as_str()),
        (422, "idempotency.key_reused")
    );
    let fresh = keyed(&world, "k2", &path, json!({"text": "hello"})).await;
    assert_ne!(
        fresh.json()["command"]["commandId"],
        body["command"]["commandId"]
    );
    // Another principal's key of the same name is another key.
    let token = "token:desktop@own";
    let mut theirs = request(token, "POST", &path, Some(json!({"text": "bye"})));
    theirs
        .headers_mut()
        .insert("idempotency-key", "k1".parse().unwrap());
    assert_eq!(world.send(theirs).await.status, 202);
}

#[tokio::test]
async fn a_thread_is_made_once_per_key_and_refusals_are_repeated() {
    let world = world().await;
    let first = keyed(&world, "make", "/api/sessions", json!({})).await;
    let again = keyed(&world, "make", "/api/sessions", json!({})).await;
    assert_eq!(first.body, again.body);
    let listed = world.call(ME, "GET", "/api/sessions", None).await.json();
    assert_eq!(listed["sessions"].as_array().unwrap().len(), 1);
    let path = "/api/sessions/unknown/prompt";
    for _ in 0..2 {
        let missing = keyed(&world, "gone", path, json!({"text": "hi"})).await;
        assert_eq!(
            (missing.status.as_u16(), missing.code().as_str()),
            (404, "sessions.not_found")
        );
    }
    for bad in ["", "with space", &"x".repeat(256)] {
        let refused = keyed(&world, bad, "/api/sessions", json!({})).await;
        assert_eq!(refused.code(), "idempotency.key_invalid", "{bad:?}");
    }
}

#[tokio::test]
async fn two_equal_requests_at_once_do_one_thing() {
    let world = Arc::new(world().await);
    let send = |n: u32| {
        let world = world.clone();
        tokio::spawn(async move {
            let _ = n;
            keyed(&world, "race", "/api/sessions", json!({})).await
        })
    };
    let mut ids = std::collections::BTreeSet::new();
    for task in (0..8).map(send).collect::<Vec<_>>() {
        let reply = task.await.unwrap();
        match reply.status.as_u16() {
            201 => {
                ids.insert(reply.json()["session"]["sessionId"].to_string());
            }
            409 => {
                assert_eq!(reply.code(), "idempotency.in_progress");
                assert!(reply.headers.contains_key("retry-after"));
            }
            other => panic!("{other}: {}", reply.body),
        }
    }
    assert_eq!(ids.len(), 1, "{ids:?}");
    let listed = world.call(ME, "GET", "/api/sessions", None).await.json();
    assert_eq!(listed["sessions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn minimal_answers_have_no_view() {
    let world = world().await;
    let id = thread(&world).await;
    let mut asked = request(
        ME,
        "POST",
        &format!("/api/sessions/{id}/abort"),
        Some(json!({})),
    );
    asked
        .headers_mut()
        .insert("prefer", "respond-async, return=minimal".parse().unwrap());
    let reply = world.send(asked).await;
    assert_eq!(reply.status, 202);
    assert_eq!(reply.headers["preference-applied"], "return=minimal");
    assert!(reply.json().get("view").is_none());
    assert_eq!(reply.json()["command"]["kind"], "abort");
}

#[tokio::test]
async fn an_agent_outside_the_profile_is_refused_before_the_thread_is_looked_up() {
    let world = world_with(|services| {
        services.options.profile.agents = Some(vec!["plan".into()]);
    })
    .await;
    let id = thread(&world).await;
    for id in [id.as_str(), "unknown"] {
        let path = format!("/api/sessions/{id}/prompt");
        let refused = world
            .call(ME, "POST", &path, Some(json!({"text": "x"})))
            .await;
        assert_eq!(
            (refused.status.as_u16(), refused.code().as_str()),
            (403, "policy.agent_not_enabled")
        );
    }
    let path = format!("/api/sessions/{id}/prompt");
    let body = json!({"text": "x", "agent": "plan"});
    assert_eq!(world.call(ME, "POST", &path, Some(body)).await.status, 202);
}

#[tokio::test]
async fn only_tokens_need_the_switch_for_remote_approvals() {
    let world = world_with(|services| {
        services.options.profile.allow_remote_approval_responses = false;
    })
    .await;
    let id = thread(&world).await;
    let body = json!({"permissionId": "p", "response": {"allowed": true}});
    let mut refusals = Vec::new();
    for id in [id.as_str(), "unknown"] {
        let path = format!("/api/sessions/{id}/permission-respond");
        let reply = world
            .call("token:desktop@own", "POST", &path, Some(body.clone()))
            .await;
        assert_eq!(reply.code(), "cloud-remote-approval-disabled");
        refusals.push(reply.body);
    }
    assert_eq!(refusals[0], refusals[1]);
    let path = format!("/api/sessions/{id}/permission-respond");
    assert_eq!(world.call(ME, "POST", &path, Some(body)).await.status, 202);
}

#[tokio::test]
async fn stopping_a_turn_is_never_refused_by_a_full_queue() {
    let world = world_with(|services| {
        services.options.quotas.queue.max_queued = Some(1);
    })
    .await;
    let id = thread(&world).await;
    let prompt = format!("/api/sessions/{id}/prompt");
    let say = || world.call(ME, "POST", &prompt, Some(json!({"text": "x"})));
    assert_eq!(say().await.status, 202);
    let full = say().await;
    assert_eq!(
        (full.status.as_u16(), full.code().as_str()),
        (429, "quota.queued_commands_exceeded")
    );
    assert!(full.headers.contains_key("retry-after"));
    let abort = format!("/api/sessions/{id}/abort");
    assert_eq!(world.call(ME, "POST", &abort, None).await.status, 202);
}

#[tokio::test]
async fn an_hourly_quota_counts_prompts_that_were_queued() {
    let world = world_with(|services| {
        services.options.quotas.prompts_per_hour = Some(2);
        services.options.quotas.queue.max_queued = Some(2);
    })
    .await;
    let id = thread(&world).await;
    let unknown = "/api/sessions/unknown/prompt";
    assert_eq!(
        world
            .call(ME, "POST", unknown, Some(json!({"text": "x"})))
            .await
            .status,
        404
    );
    let prompt = format!("/api/sessions/{id}/prompt");
    for _ in 0..2 {
        let reply = world
            .call(ME, "POST", &prompt, Some(json!({"text": "x"})))
            .await;
        assert_eq!(reply.status, 202, "{}", reply.body);
    }
    let refused = world
        .call(ME, "POST", &prompt, Some(json!({"text": "x"})))
        .await;
    assert_eq!(refused.code(), "quota.prompts_per_hour_exceeded");
    assert_eq!(
        refused.json()["verdict"]["policyCode"],
        "quota.prompts_per_hour_exceeded"
    );
}

/// A worker that writes what a worker writes when it takes a prompt up.
struct Echo {
    log: ThreadLog,
    bus: Arc<LocalBus>,
    fails: Mutex<Option<ExecutionError>>,
    command: Mutex<Option<String>>,
}

#[async_trait]
impl Executor for Echo {
    async fn process(&self, key: &SessionKey) -> Result<u32, ExecutionError> {
        if let Some(error) = self.fails.lock().unwrap().clone() {
            return Err(error);
        }
        let id = self.command.lock().unwrap().clone();
        let events = vec![
            RuntimeEvent::new(EventType::SessionStatus, json!({"statusType": "running"})),
            RuntimeEvent::new(
                EventType::PromptSubmitted,
                json!({"commandId": id, "messageId": "m", "text": "x", "agent": "build"}),
            ),
        ];
        self.log.append(key, events).await.unwrap();
        self.bus.publish(Topic::Session(key.clone()));
        Ok(1)
    }
}

#[tokio::test]
async fn what_a_worker_of_this_process_says_is_the_answer() {
    let mut echo = None;
    let world = world_with(|services| {
        let worker = Arc::new(Echo {
            log: services.log.clone(),
            bus: Arc::new(LocalBus::default()),
            fails: Mutex::default(),
            command: Mutex::default(),
        });
        services.executor = Some(worker.clone());
        echo = Some(worker);
    })
    .await;
    let echo = echo.unwrap();
    let id = thread(&world).await;
    let prompt = format!("/api/sessions/{id}/prompt");
    // The id of a keyed command is the same each time: ask for it with a worker that does nothing yet.
    *echo.fails.lock().unwrap() = Some(ExecutionError {
        status: 409,
        code: Some("byok.missing_required_byok".into()),
        message: "Add a provider key first.".into(),
    });
    let failed = world
        .call(ME, "POST", &prompt, Some(json!({"text": "x"})))
        .await;
    assert_eq!(
        (failed.status.as_u16(), failed.code().as_str()),
        (409, "byok.missing_required_byok")
    );
    *echo.fails.lock().unwrap() = None;
    let key = SessionKey::new("own", id.as_str());
    let before = world
        .store
        .session(&key)
        .await
        .unwrap()
        .unwrap()
        .last_sequence;
    let reply = world
        .call(ME, "POST", &prompt, Some(json!({"text": "x"})))
        .await
        .json();
    assert_eq!(reply["processed"], 1);
    assert_eq!(reply["view"]["session"]["status"], "running");
    // No event names this command: no fence.
    assert_eq!(reply["projectionFence"], Value::Null);
    assert_eq!(reply["view"]["projection"]["sequence"], before + 2);
}

impl Reply {
    /// The same answer under the request id of another.
    fn without_id(mut self, other: &Reply) -> Reply {
        let id = other.headers["x-request-id"].clone();
        self.headers.insert("x-request-id", id);
        self
    }
}
