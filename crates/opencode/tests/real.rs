//! The client against the real OpenCode with a scripted model.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use futures::StreamExt;
use futures::stream::BoxStream;
use open_cowork_opencode::model::{
    MessageWithParts, PartBody, PermissionRequest, QuestionRequest, Role,
};
use open_cowork_opencode::{
    Broken, Client, ClientConfig, Directory, Error, Event, Frame, ModelChoice, NewSession,
    Observed, OpenCodeRuntime, Prompt, Reply, SeqTracker, StreamItem,
};
use open_cowork_testkit::model::ScriptedModel;
use open_cowork_testkit::opencode::RealOpenCode;
use open_cowork_testkit::workspace::GitWorkspace;
use std::time::Duration;

/// Nothing in these tests takes that long, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct Real {
    client: Client,
    directory: Directory,
    events: BoxStream<'static, StreamItem>,
    opencode: RealOpenCode,
    _model: ScriptedModel,
    _workspace: GitWorkspace,
}

impl Real {
    async fn start() -> Self {
        let model = ScriptedModel::start().await.unwrap();
        let opencode = RealOpenCode::start(model.base_url().as_ref())
            .await
            .unwrap();
        let workspace = GitWorkspace::new().unwrap();
        let directory = Directory::open(workspace.path()).unwrap();
        let config = ClientConfig::new(opencode.base_url(), opencode.password().to_owned().into());
        let client = Client::new(config).unwrap();
        let mut events = client.events();
        assert_eq!(events.next().await, Some(StreamItem::Connected));
        Self {
            client,
            directory,
            events,
            opencode,
            _model: model,
            _workspace: workspace,
        }
    }

    /// A session that has a title, so that no title call disturbs the order of events.
    async fn session(&self) -> String {
        let new = NewSession {
            title: Some("test".into()),
            ..NewSession::default()
        };
        self.client
            .create_session(&self.directory, new)
            .await
            .unwrap()
            .id
    }

    async fn prompt(&self, session: &str, number: u32, text: &str) {
        let prompt = Prompt::text(format!("msg_test{number}"), text);
        self.client.prompt_async(session, prompt).await.unwrap();
    }

    /// Reads frames up to the first that `found` accepts.
    async fn until<T>(&mut self, mut found: impl FnMut(&Frame) -> Option<T>) -> (T, Vec<Frame>) {
        let mut frames = Vec::new();
        let reading = async {
            loop {
                match self.events.next().await {
                    Some(StreamItem::Frame(frame)) => {
                        let result = found(&frame);
                        frames.push(frame);
                        if let Some(result) = result {
                            return result;
                        }
                    }
                    other => panic!("{other:?} after {frames:?}"),
                }
            }
        };
        let result = tokio::time::timeout(PATIENCE, reading)
            .await
            .expect("the frame should come");
        (result, frames)
    }

    /// Reads up to the idle event after which OpenCode no longer lists the session as busy.
    async fn idle(&mut self, session: &str) -> Vec<Frame> {
        let mut all = Vec::new();
        loop {
            let idle = |frame: &Frame| match &frame.event {
                Event::SessionIdle { session: id } if id == session => Some(()),
                _ => None,
            };
            all.extend(self.until(idle).await.1);
            if !self
                .client
                .status(&self.directory)
                .await
                .unwrap()
                .contains_key(session)
            {
                return all;
            }
        }
    }

    async fn permission(&mut self) -> PermissionRequest {
        let asked = |frame: &Frame| match &frame.event {
            Event::PermissionAsked(request) => Some(request.clone()),
            _ => None,
        };
        self.until(asked).await.0
    }

    async fn question(&mut self) -> QuestionRequest {
        let asked = |frame: &Frame| match &frame.event {
            Event::QuestionAsked(request) => Some(request.clone()),
            _ => None,
        };
        self.until(asked).await.0
    }
}

fn answer_text(messages: &[MessageWithParts]) -> String {
    let answers = messages
        .iter()
        .filter(|message| message.info.role == Role::Assistant);
    let texts = answers
        .flat_map(|message| &message.parts)
        .filter_map(|part| match &part.body {
            PartBody::Text { text, .. } => Some(text.as_str()),
            _ => None,
        });
    texts.collect()
}

/// Status and output or error of the last tool call.
fn last_tool(messages: &[MessageWithParts]) -> (String, String) {
    let parts = messages.iter().flat_map(|message| &message.parts).rev();
    let mut states = parts.filter_map(|part| match &part.body {
        PartBody::Tool { state, .. } => Some(state),
        _ => None,
    });
    let state = states.next().unwrap();
    let text = state
        .output
        .as_ref()
        .or(state.error.as_ref())
        .and_then(|text| text.as_str());
    (state.status.clone(), text.unwrap_or_default().to_owned())
}

#[tokio::test]
async fn real_health_authentication_and_the_capability_probe() {
    let real = Real::start().await;
    let health = real.client.health().await.unwrap();
    assert!(
        health.healthy && health.version.starts_with("1.18."),
        "{health:?}"
    );
    assert!(real.client.rejects_unauthenticated().await.unwrap());
    let can = real.client.capabilities().await.unwrap();
    for route in [
        "GET /global/event",
        "POST /session/{sessionID}/prompt_async",
        "POST /permission/{requestID}/reply",
    ] {
        assert!(can.routes.contains(route), "{route}");
    }
    assert!(can.event_kinds.contains("message.part.delta"), "{can:?}");
    let wrong = ClientConfig::new(real.opencode.base_url(), "wrong".to_owned().into());
    let wrong = Client::new(wrong).unwrap();
    assert!(matches!(
        wrong.health().await,
        Err(Error::Unauthorized { .. })
    ));
    let refused = wrong.events().next().await;
    assert!(
        matches!(refused, Some(StreamItem::Broken(Broken::Refused(_)))),
        "{refused:?}"
    );
    let agents = real.client.agents(&real.directory).await.unwrap();
    assert!(
        agents
            .iter()
            .any(|agent| agent.name == "build" && agent.mode == "primary"),
        "{agents:?}"
    );
    let providers = real.client.providers(&real.directory).await.unwrap();
    assert!(
        providers
            .providers
            .iter()
            .any(|provider| !provider.models.is_empty()),
        "{providers:?}"
    );
}

#[tokio::test]
async fn real_a_prompt_is_streamed_and_stored_with_the_same_text() {
    let mut real = Real::start().await;
    let session = real.session().await;
    real.prompt(&session, 1, "hi [[script:hello]]").await;
    let frames = real.idle(&session).await;
    let deltas = frames.iter().filter_map(|frame| match &frame.event {
        Event::PartDelta { delta, .. } => Some(delta.as_str()),
        _ => None,
    });
    let streamed: String = deltas.collect();
    let messages = real.client.messages(&session).await.unwrap();
    assert!(!streamed.is_empty());
    assert_eq!(answer_text(&messages), streamed);
    assert_eq!(messages[0].info.id, "msg_test1");
    assert!(
        frames
            .iter()
            .all(|frame| frame.event.session().is_none_or(|id| id == session))
    );
    let mut tracker = SeqTracker::default();
    for frame in &frames {
        if let Event::Sync { aggregate, seq, .. } = &frame.event {
            assert!(!matches!(
                tracker.observe(aggregate, *seq),
                Observed::Gap { .. }
            ));
        }
        assert!(!matches!(frame.event, Event::Unknown { .. }), "{frame:?}");
    }
    let stored = real
        .client
        .message(&session, "msg_test1")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stored, messages[0]);
    assert_eq!(
        real.client.message(&session, "msg_absent").await.unwrap(),
        None
    );
}

#[tokio::test]
async fn real_a_history_reads_the_same_in_pages_of_one() {
    let mut real = Real::start().await;
    let session = real.session().await;
    for number in 1..=3 {
        real.prompt(&session, number, "hi [[script:hello]]").await;
        real.idle(&session).await;
    }
    let whole = real.client.messages(&session).await.unwrap();
    assert!(whole.len() >= 6, "{}", whole.len());
    let mut config = ClientConfig::new(
        real.opencode.base_url(),
        real.opencode.password().to_owned().into(),
    );
    config.limits.page = 1;
    let paged = Client::new(config)
        .unwrap()
        .messages(&session)
        .await
        .unwrap();
    assert_eq!(paged, whole);
}

#[tokio::test]
async fn real_sessions_are_created_listed_renamed_and_deleted() {
    let real = Real::start().await;
    let session = real.session().await;
    let child = NewSession {
        parent: Some(session.clone()),
        ..NewSession::default()
    };
    let child = real
        .client
        .create_session(&real.directory, child)
        .await
        .unwrap();
    assert_eq!(child.parent_id.as_deref(), Some(session.as_str()));
    assert_eq!(
        real.client.children(&session).await.unwrap()[0].id,
        child.id
    );
    assert_eq!(
        real.client.sessions(&real.directory).await.unwrap().len(),
        2
    );
    let renamed = real
        .client
        .rename_session(&session, "neuer Titel ü")
        .await
        .unwrap();
    assert_eq!(renamed.title.as_deref(), Some("neuer Titel ü"));
    real.client.delete_session(&session).await.unwrap();
    for id in [session.as_str(), "ses_absent"] {
        assert!(real.client.session(id).await.unwrap_err().is_not_found());
    }
    assert!(
        real.client
            .messages("ses_absent")
            .await
            .unwrap_err()
            .is_not_found()
    );
}

#[tokio::test]
async fn real_a_permission_is_allowed_once_and_then_answered_no_more() {
    let mut real = Real::start().await;
    let session = real.session().await;
    real.prompt(&session, 1, "run [[script:bash]]").await;
    let asked = real.permission().await;
    assert_eq!(
        (asked.session_id.as_str(), asked.permission.as_str()),
        (session.as_str(), "bash")
    );
    let pending = real.client.permissions(&real.directory).await.unwrap();
    assert_eq!(pending, std::slice::from_ref(&asked));
    real.client
        .reply_permission(&real.directory, &asked.id, Reply::Once)
        .await
        .unwrap();
    real.idle(&session).await;
    assert_eq!(
        last_tool(&real.client.messages(&session).await.unwrap()).0,
        "completed"
    );
    let again = real
        .client
        .reply_permission(&real.directory, &asked.id, Reply::Once)
        .await;
    assert!(again.unwrap_err().is_not_found());
}

#[tokio::test]
async fn real_a_permission_is_rejected_with_and_without_a_message() {
    let mut real = Real::start().await;
    let session = real.session().await;
    for (number, message) in [(1, None), (2, Some("use the other file".to_owned()))] {
        real.prompt(&session, number, "run [[script:bash]]").await;
        let asked = real.permission().await;
        let reply = Reply::Reject {
            message: message.clone(),
        };
        real.client
            .reply_permission(&real.directory, &asked.id, reply)
            .await
            .unwrap();
        real.idle(&session).await;
        let (status, error) = last_tool(&real.client.messages(&session).await.unwrap());
        assert_eq!(status, "error");
        assert_eq!(
            message.is_some(),
            error.contains("use the other file"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn real_a_question_is_answered_and_dismissed() {
    let mut real = Real::start().await;
    let session = real.session().await;
    real.prompt(&session, 1, "ask [[script:question]]").await;
    let asked = real.question().await;
    let pending = real.client.questions(&real.directory).await.unwrap();
    assert_eq!(pending, std::slice::from_ref(&asked));
    let answers = vec![vec!["Blue".to_owned()]; asked.questions.len()];
    real.client
        .reply_question(&real.directory, &asked.id, answers)
        .await
        .unwrap();
    real.idle(&session).await;
    let (status, output) = last_tool(&real.client.messages(&session).await.unwrap());
    assert!(
        status == "completed" && output.contains("Blue"),
        "{status} {output}"
    );
    real.prompt(&session, 2, "ask [[script:question]]").await;
    let asked = real.question().await;
    real.client
        .reject_question(&real.directory, &asked.id)
        .await
        .unwrap();
    real.idle(&session).await;
    assert_eq!(
        last_tool(&real.client.messages(&session).await.unwrap()).0,
        "error"
    );
}

#[tokio::test]
async fn real_todos_are_read() {
    let mut real = Real::start().await;
    let session = real.session().await;
    real.prompt(&session, 1, "plan [[script:todo]]").await;
    let frames = real.idle(&session).await;
    let todos = real.client.todos(&session).await.unwrap();
    let last = frames.iter().rev().find_map(|frame| match &frame.event {
        Event::TodoUpdated { todos, .. } => Some(todos.clone()),
        _ => None,
    });
    assert!(!todos.is_empty());
    assert_eq!(last, Some(todos));
}

#[tokio::test]
async fn real_a_hanging_turn_is_aborted_and_an_idle_session_can_be_aborted_too() {
    let mut real = Real::start().await;
    let session = real.session().await;
    real.client.abort(&session).await.unwrap();
    real.prompt(&session, 1, "wait [[script:hang]]").await;
    let delta = |frame: &Frame| matches!(frame.event, Event::PartDelta { .. }).then_some(());
    real.until(delta).await;
    assert_eq!(
        real.client.status(&real.directory).await.unwrap()[&session].kind,
        "busy"
    );
    real.client.abort(&session).await.unwrap();
    real.idle(&session).await;
    let messages = real.client.messages(&session).await.unwrap();
    let error = messages.last().unwrap().info.error.as_ref().unwrap();
    assert_eq!(error.name, "MessageAbortedError");
}

#[tokio::test]
async fn real_an_unknown_model_is_accepted_and_fails_in_the_stream_only() {
    let mut real = Real::start().await;
    let session = real.session().await;
    let model = ModelChoice {
        provider: "nobody".into(),
        model: "nothing".into(),
    };
    let prompt = Prompt {
        model: Some(model),
        ..Prompt::text("msg_test1", "hi")
    };
    real.client.prompt_async(&session, prompt).await.unwrap();
    let failed = |frame: &Frame| match &frame.event {
        Event::SessionError { session, error } => Some((session.clone(), error.clone())),
        _ => None,
    };
    let ((of, error), _) = real.until(failed).await;
    assert_eq!(of, Some(session));
    assert!(error.is_some());
}

#[tokio::test]
async fn real_the_stream_breaks_when_the_process_dies() {
    let mut real = Real::start().await;
    let session = real.session().await;
    real.opencode.kill().await;
    let broken = async {
        loop {
            match real.events.next().await {
                Some(StreamItem::Frame(_)) => {}
                other => return other,
            }
        }
    };
    let broken = tokio::time::timeout(PATIENCE, broken).await.unwrap();
    assert_eq!(broken, Some(StreamItem::Broken(Broken::Ended)));
    assert_eq!(real.events.next().await, None);
    assert!(matches!(
        real.client.session(&session).await,
        Err(Error::Unreachable { .. })
    ));
}
