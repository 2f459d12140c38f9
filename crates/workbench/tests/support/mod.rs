//! A workspace in memory: a log per thread, the real reducer, and a note of everything that was asked of it.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "test code, of which each binary and the gallery use a part"
)]

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use jiff::Timestamp;
use open_cowork_contracts::{EventType, Session, SessionEventRecord, SessionId, SessionStatus};
use open_cowork_projection::Projector;
use open_cowork_workbench::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

pub(crate) struct Thread {
    pub(crate) session: Session,
    pub(crate) projector: Projector,
    pub(crate) log: Vec<Arc<SessionEventRecord>>,
    live: broadcast::Sender<Arc<SessionEventRecord>>,
}

pub(crate) struct State {
    pub(crate) threads: BTreeMap<String, Thread>,
    pub(crate) calls: Vec<String>,
    pub(crate) trust: TrustState,
    pub(crate) overview: Overview,
    pub(crate) settings: Settings,
    pub(crate) health: Vec<HealthRow>,
    pub(crate) fail: Option<WorkspaceError>,
    /// Time of the next event.
    pub(crate) clock: Timestamp,
}

pub(crate) struct Fake {
    state: Mutex<State>,
    rail: broadcast::Sender<ThreadSummary>,
}

/// Noon of the day on which the tests play.
pub(crate) const NOON: &str = "2026-03-04T12:00:00Z";

impl Fake {
    pub(crate) fn new() -> Arc<Fake> {
        Arc::new(Fake {
            state: Mutex::new(State {
                threads: BTreeMap::new(),
                calls: Vec::new(),
                trust: TrustState {
                    directory: "/home/ada/shop".into(),
                    trusted: true,
                    ..TrustState::default()
                },
                overview: Overview {
                    workspace: "Local".into(),
                    connection: Connection::Online,
                    default_directory: "/home/ada/shop".into(),
                    coworkers: vec![
                        Coworker {
                            name: "build".into(),
                            description: "Changes files and runs commands".into(),
                        },
                        Coworker {
                            name: "plan".into(),
                            description: "Only looks and plans".into(),
                        },
                    ],
                    models: vec!["anthropic/claude-sonnet-4-5".into(), "openai/gpt-5".into()],
                    demo: false,
                    configured: true,
                },
                settings: Settings {
                    provider: "anthropic".into(),
                    base_url: None,
                    model: "claude-sonnet-4-5".into(),
                    has_key: true,
                    key_storage: "Stored in a file that only you can read.".into(),
                    providers: [
                        ("anthropic", "Anthropic"),
                        ("openai", "OpenAI"),
                        ("custom", "My own endpoint"),
                    ]
                    .map(|(id, name)| (id.to_owned(), name.to_owned()))
                    .to_vec(),
                    keys: Vec::new(),
                },
                health: vec![
                    HealthRow {
                        name: "Agent runtime".into(),
                        level: HealthLevel::Ok,
                        detail: "OpenCode 1.18.33 answers in 3 ms.".into(),
                    },
                    HealthRow {
                        name: "Model provider".into(),
                        level: HealthLevel::Warning,
                        detail: "The last answer took 41 s; the provider may be busy.".into(),
                    },
                    HealthRow {
                        name: "Disk".into(),
                        level: HealthLevel::Error,
                        detail: "Only 90 MB are free; make room, then check again.".into(),
                    },
                ],
                fail: None,
                clock: NOON.parse().unwrap(),
            }),
            rail: broadcast::channel(64).0,
        })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn thread(&self, id: &str, title: &str) {
        let mut state = self.state();
        let at = state.clock.to_string();
        let session = Session {
            session_id: id.into(),
            title: Some(title.into()),
            created_at: at.clone(),
            updated_at: at,
            ..Session::default()
        };
        let projector = Projector::new(&session);
        let thread = Thread {
            session,
            projector,
            log: Vec::new(),
            live: broadcast::channel(4096).0,
        };
        state.threads.insert(id.to_owned(), thread);
        drop(state);
        self.emit(id, "session.created", json!({ "title": title }));
    }

    /// Appends an event a second after the one before.
    pub(crate) fn emit(&self, id: &str, kind: &str, payload: Value) -> u64 {
        let mut guard = self.state();
        let state = &mut *guard;
        state.clock = state
            .clock
            .checked_add(jiff::SignedDuration::from_secs(1))
            .unwrap();
        let at = state.clock.to_string();
        let thread = state.threads.get_mut(id).unwrap();
        let sequence = thread.log.len() as u64 + 1;
        let kind = EventType::parse(kind);
        let record = Arc::new(SessionEventRecord {
            tenant_id: None,
            session_id: Some(id.into()),
            event_id: Some(format!("{id}:{sequence}").into()),
            sequence,
            kind,
            payload: payload.as_object().unwrap().clone(),
            created_at: at.clone(),
            extra: Default::default(),
        });
        thread.projector.apply(&thread.session, &record);
        thread.session.updated_at = at;
        thread.log.push(record.clone());
        let _ = thread.live.send(record);
        let _ = self.rail.send(summary(thread));
        sequence
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    fn note(&self, call: String) -> Result<(), WorkspaceError> {
        let mut state = self.state();
        state.calls.push(call);
        state.fail.clone().map_or(Ok(()), Err)
    }
}

fn missing() -> WorkspaceError {
    WorkspaceError::NotFound("There is no such chat.".into())
}

fn summary(thread: &Thread) -> ThreadSummary {
    let view = thread.projector.view();
    let state = if !view.pending_approvals.is_empty() || !view.pending_questions.is_empty() {
        ThreadDot::Waiting
    } else {
        match view.status {
            SessionStatus::Running => ThreadDot::Running,
            SessionStatus::Errored => ThreadDot::Error,
            _ => ThreadDot::Idle,
        }
    };
    ThreadSummary {
        id: thread.session.session_id.clone(),
        title: view.title.clone(),
        state,
        updated_at: thread.session.updated_at.clone(),
    }
}

#[async_trait]
impl Workspace for Fake {
    async fn overview(&self) -> Overview {
        self.state().overview.clone()
    }

    async fn threads(&self, query: ThreadQuery) -> Result<ThreadPage, WorkspaceError> {
        let state = self.state();
        let text = query.text.unwrap_or_default().to_lowercase();
        let mut threads: Vec<_> = state
            .threads
            .values()
            .map(summary)
            .filter(|t| t.title.to_lowercase().contains(&text))
            .collect();
        threads.sort_by(|a, b| b.updated_at.cmp(&a.updated_at));
        let from: usize = query
            .cursor
            .and_then(|cursor| cursor.parse().ok())
            .unwrap_or(0);
        let limit = if query.limit == 0 {
            50
        } else {
            query.limit as usize
        };
        let next = (threads.len() > from + limit).then(|| (from + limit).to_string());
        Ok(ThreadPage {
            threads: threads.into_iter().skip(from).take(limit).collect(),
            next,
        })
    }

    async fn create_thread(&self, new: NewThread) -> Result<SessionId, WorkspaceError> {
        self.note(format!("create {:?}", new.directory))?;
        let id = format!("new{}", self.state().threads.len());
        self.thread(&id, "New session");
        Ok(id.into())
    }

    async fn rename_thread(&self, id: &SessionId, title: &str) -> Result<(), WorkspaceError> {
        self.note(format!("rename {id} {title}"))?;
        self.emit(id.as_str(), "session.renamed", json!({ "title": title }));
        Ok(())
    }

    async fn read_thread(
        &self,
        id: &SessionId,
        read: Box<dyn for<'a> FnOnce(ThreadState<'a>) + Send>,
    ) -> Result<(), WorkspaceError> {
        let state = self.state();
        let thread = state.threads.get(id.as_str()).ok_or_else(missing)?;
        read(ThreadState {
            session: &thread.session,
            view: thread.projector.view(),
            sequence: thread.log.len() as u64,
            directory: "/home/ada/shop",
        });
        Ok(())
    }

    async fn follow_thread(
        &self,
        id: &SessionId,
        after: u64,
    ) -> Result<BoxStream<'static, ThreadUpdate>, WorkspaceError> {
        let state = self.state();
        let thread = state.threads.get(id.as_str()).ok_or_else(missing)?;
        let sequence = thread.log.len() as u64;
        if after > sequence {
            return Ok(stream::iter([ThreadUpdate::Reset { sequence }])
                .chain(stream::pending())
                .boxed());
        }
        let backlog: Vec<_> = thread
            .log
            .iter()
            .skip(after as usize)
            .cloned()
            .map(ThreadUpdate::Event)
            .collect();
        let live = BroadcastStream::new(thread.live.subscribe()).map(move |item| match item {
            Ok(event) => ThreadUpdate::Event(event),
            Err(_) => ThreadUpdate::Reset { sequence },
        });
        Ok(stream::iter(backlog).chain(live).boxed())
    }

    async fn follow_threads(&self) -> BoxStream<'static, ThreadSummary> {
        BroadcastStream::new(self.rail.subscribe())
            .filter_map(|item| async move { item.ok() })
            .boxed()
    }

    async fn prompt(&self, id: &SessionId, prompt: PromptInput) -> Result<(), WorkspaceError> {
        self.note(format!(
            "prompt {id} {:?} {:?} {:?}",
            prompt.text, prompt.agent, prompt.model
        ))?;
        let trusted = self.state().trust.trusted;
        if !trusted {
            return Err(WorkspaceError::TrustRequired(
                "Decide first whether to trust this folder.".into(),
            ));
        }
        self.emit(
            id.as_str(),
            "prompt.submitted",
            json!({ "text": prompt.text }),
        );
        Ok(())
    }

    async fn stop(&self, id: &SessionId) -> Result<(), WorkspaceError> {
        self.note(format!("stop {id}"))?;
        self.emit(
            id.as_str(),
            "session.aborted",
            json!({ "reason": "stopped" }),
        );
        Ok(())
    }

    async fn answer_approval(
        &self,
        id: &SessionId,
        approval: &str,
        allow: bool,
        reason: Option<String>,
    ) -> Result<(), WorkspaceError> {
        self.note(format!("approval {id} {approval} {allow} {reason:?}"))?;
        self.emit(
            id.as_str(),
            "permission.resolved",
            json!({ "permissionId": approval, "allowed": allow, "reason": reason }),
        );
        Ok(())
    }

    async fn answer_question(
        &self,
        id: &SessionId,
        question: &str,
        answers: Option<Vec<Vec<String>>>,
    ) -> Result<(), WorkspaceError> {
        self.note(format!("question {id} {question} {answers:?}"))?;
        let rejected = answers.is_none();
        self.emit(id.as_str(), "question.resolved", json!({ "requestId": question, "answers": answers.unwrap_or_default(), "rejected": rejected }));
        Ok(())
    }

    async fn trust(&self, _: &SessionId) -> Result<TrustState, WorkspaceError> {
        Ok(self.state().trust.clone())
    }

    async fn grant_trust(&self, id: &SessionId, digest: &str) -> Result<(), WorkspaceError> {
        self.note(format!("trust {id} {digest}"))?;
        let mut state = self.state();
        if state.trust.digest != digest {
            return Err(WorkspaceError::Conflict(
                "The files changed meanwhile; look at them again.".into(),
            ));
        }
        state.trust.trusted = true;
        Ok(())
    }

    async fn settings(&self) -> Result<Settings, WorkspaceError> {
        Ok(self.state().settings.clone())
    }

    async fn save_settings(&self, settings: SettingsInput) -> Result<(), WorkspaceError> {
        self.note(format!("save {settings:?} key={:?}", settings.key))
    }

    async fn test_connection(
        &self,
        settings: SettingsInput,
    ) -> Result<ConnectionReport, WorkspaceError> {
        self.note(format!("test {settings:?} key={:?}", settings.key))?;
        Ok(ConnectionReport {
            ok: true,
            message: format!("{} answered in 0.8 s.", settings.model),
        })
    }

    async fn health(&self) -> Vec<HealthRow> {
        self.state().health.clone()
    }
}
