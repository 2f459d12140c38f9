//! The workspace of one person on the cloud: their threads in their organisation, over the same use cases as the
//! API, under the same policy (07 §4).

use super::{allowed, keys};
use crate::cloud::Cloud;
use crate::error::ApiError;
use crate::http::health;
use crate::principal::Authenticated;
use crate::service::sessions::{self, Order, Ordered};
use async_trait::async_trait;
use axum::http::StatusCode;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use open_cowork_config::model::Config;
use open_cowork_config::model::agents::{AgentMode, BuiltInAgent};
use open_cowork_contracts::access::{AuthSource, CloudAction};
use open_cowork_contracts::api::workspace::CheckStatus;
use open_cowork_contracts::{CommandId, EventType, RuntimeEvent, SessionId, SessionStatus};
use open_cowork_providers::store::{Scope, SessionKey, SessionQuery, SessionRow};
use open_cowork_thread_log::{LogError, SessionChange, Update};
use open_cowork_workbench::{
    Connection, ConnectionReport, Coworker, HealthLevel, HealthRow, NewThread, Overview,
    PromptInput, Settings, SettingsInput, ThreadDot, ThreadPage, ThreadQuery, ThreadState,
    ThreadSummary, ThreadUpdate, TrustState, Workspace, WorkspaceError,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Longest prompt in bytes: what one event holds without being cut (01 §6).
pub(super) const MAX_PROMPT_BYTES: usize = 64 * 1024;

/// One person's threads.
pub(super) struct CloudWorkspace {
    pub(super) cloud: Cloud,
    pub(super) who: Authenticated,
    pub(super) config: Arc<Config>,
    /// Which model answers, as last looked up: every open page asks every other second.
    model: Mutex<Option<(Instant, keys::Model)>>,
}

/// How long that serves.
const MODEL: Duration = Duration::from_secs(10);

impl CloudWorkspace {
    pub(super) fn new(cloud: Cloud, who: Authenticated, config: Arc<Config>) -> Self {
        CloudWorkspace {
            cloud,
            who,
            config,
            model: Mutex::default(),
        }
    }

    async fn model(&self) -> keys::Model {
        let known = self
            .model
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some((at, model)) = known
            && at.elapsed() < MODEL
        {
            return model;
        }
        let tenant = &self.who.principal.tenant_id;
        let model = keys::model(&self.cloud, tenant, &self.config).await;
        let mut known = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some((Instant::now(), model.clone()));
        model
    }

    /// The next page looks anew.
    pub(super) fn forget_model(&self) {
        *self.model.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn may(&self, action: CloudAction) -> Result<(), WorkspaceError> {
        allowed(&self.cloud, &self.who, action).map_err(refusal)
    }

    fn scope(&self) -> Scope {
        self.who.principal.scope()
    }

    fn key(&self, id: &SessionId) -> SessionKey {
        SessionKey {
            tenant_id: self.who.principal.tenant_id.clone(),
            session_id: id.clone(),
        }
    }

    /// The thread's key if it is this person's: one of somebody else behaves as missing.
    async fn own(&self, id: &SessionId) -> Result<SessionKey, WorkspaceError> {
        let key = self.key(id);
        sessions::own(&self.cloud, &self.scope(), &key)
            .await
            .map_err(refusal)?;
        Ok(key)
    }

    async fn order(
        &self,
        id: &SessionId,
        action: CloudAction,
        command: CommandId,
        order: Order,
    ) -> Result<(), WorkspaceError> {
        self.may(action)?;
        let ordered = Ordered {
            scope: self.scope(),
            key: self.key(id),
            id: command,
            order,
            remote: self.who.principal.source == AuthSource::ApiToken,
        };
        sessions::command(&self.cloud, ordered, true)
            .await
            .map_err(refusal)?;
        Ok(())
    }

    /// The coworkers of the configuration that the profile lets through.
    fn coworkers(&self) -> Vec<Coworker> {
        let allowed = self.cloud.options.profile.agents.as_ref();
        let mut all = coworkers(&self.config);
        all.retain(|one| allowed.is_none_or(|names| names.contains(&one.name)));
        all
    }
}

/// The same prompt sent twice is one command: its id follows from the form's key.
fn command_of(scope: &Scope, id: &SessionId, key: Option<&str>) -> CommandId {
    let Some(key) = key.map(str::trim).filter(|key| !key.is_empty()) else {
        return new_command();
    };
    let mut digest = Sha256::new();
    for part in [
        scope.tenant_id.as_str(),
        scope.user_id.as_str(),
        id.as_str(),
        key,
    ] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    let mut bytes = [0_u8; 16];
    for (byte, digit) in bytes.iter_mut().zip(digest.finalize()) {
        *byte = digit;
    }
    let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
    CommandId::new(id.to_string())
}

fn new_command() -> CommandId {
    CommandId::new(Uuid::new_v4().to_string())
}

#[async_trait]
impl Workspace for CloudWorkspace {
    async fn overview(&self) -> Overview {
        let principal = &self.who.principal;
        let model = self.model().await;
        Overview {
            workspace: principal
                .tenant_name
                .clone()
                .unwrap_or_else(|| principal.tenant_id.to_string()),
            connection: match self.cloud.is_draining() {
                true => Connection::Reconnecting,
                false => Connection::Online,
            },
            default_directory: String::new(),
            coworkers: self.coworkers(),
            models: model.shown.into_iter().collect(),
            demo: false,
            configured: model.configured,
        }
    }

    async fn threads(&self, query: ThreadQuery) -> Result<ThreadPage, WorkspaceError> {
        self.may(CloudAction::SessionsList)?;
        let query = SessionQuery {
            text: query.text,
            cursor: query.cursor,
            limit: query.limit,
            ..SessionQuery::new(self.scope())
        };
        // The log's rows have the open asks, too; the wire's don't.
        let page = self.cloud.log.page_sessions(&query).await;
        let page = page.map_err(log_refusal)?;
        Ok(ThreadPage {
            threads: page.rows.iter().map(summary).collect(),
            next: page.next,
        })
    }

    async fn create_thread(&self, _new: NewThread) -> Result<SessionId, WorkspaceError> {
        self.may(CloudAction::SessionsCreate)?;
        let id = SessionId::new(Uuid::new_v4().to_string());
        sessions::create(&self.cloud, &self.scope(), id.clone(), None, None)
            .await
            .map_err(refusal)?;
        Ok(id)
    }

    async fn rename_thread(&self, id: &SessionId, title: &str) -> Result<(), WorkspaceError> {
        self.may(CloudAction::SessionsPrompt)?;
        // One line for people: nothing in it moves a cursor or hides.
        let words = title
            .split_whitespace()
            .map(|word| word.chars().filter(|c| !c.is_control()).collect::<String>());
        let title = words
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
        if title.is_empty() || title.chars().count() > 200 {
            return Err(WorkspaceError::Invalid(
                "A title has 1 to 200 characters.".to_owned(),
            ));
        }
        let key = self.own(id).await?;
        let renamed = json!({ "sessionId": id, "title": title });
        let event = RuntimeEvent::new(EventType::SessionRenamed, renamed);
        self.cloud
            .log
            .append(&key, vec![event])
            .await
            .map_err(log_refusal)?;
        Ok(())
    }

    async fn read_thread(
        &self,
        id: &SessionId,
        read: Box<dyn for<'a> FnOnce(ThreadState<'a>) + Send>,
    ) -> Result<(), WorkspaceError> {
        self.may(CloudAction::SessionsView)?;
        let key = self.key(id);
        let user = &self.who.principal.user_id;
        let own = self.cloud.log.read(&key, |state| {
            let own = state.row.session.user_id == *user;
            if own {
                read(ThreadState {
                    session: &state.row.session,
                    view: state.view,
                    sequence: state.sequence,
                    directory: state.row.directory.as_deref().unwrap_or_default(),
                });
            }
            own
        });
        match own.await.map_err(log_refusal)? {
            true => Ok(()),
            false => Err(refusal(sessions::not_found())),
        }
    }

    async fn follow_thread(
        &self,
        id: &SessionId,
        after: u64,
    ) -> Result<BoxStream<'static, ThreadUpdate>, WorkspaceError> {
        self.may(CloudAction::SessionsEvents)?;
        let key = self.own(id).await?;
        let updates = self
            .cloud
            .log
            .subscribe(&key, after)
            .await
            .map_err(log_refusal)?;
        Ok(updates
            .map(|update| match update {
                Update::Event(record) => ThreadUpdate::Event(record),
                Update::Reset { sequence } => ThreadUpdate::Reset { sequence },
            })
            .boxed())
    }

    async fn follow_threads(&self) -> BoxStream<'static, ThreadSummary> {
        let log = self.cloud.log.clone();
        let scope = self.scope();
        let changes = log.subscribe_sessions(&scope);
        changes
            .then(move |change| {
                let (log, scope) = (log.clone(), scope.clone());
                async move {
                    match change {
                        SessionChange::Row(row) => vec![summary(&row)],
                        SessionChange::Resync => {
                            let page = log.page_sessions(&SessionQuery::new(scope)).await;
                            page.map(|page| page.rows.iter().map(summary).collect())
                                .unwrap_or_default()
                        }
                    }
                }
            })
            .flat_map(futures::stream::iter)
            .boxed()
    }

    async fn prompt(&self, id: &SessionId, prompt: PromptInput) -> Result<(), WorkspaceError> {
        if prompt.text.trim().is_empty() {
            return Err(WorkspaceError::Invalid(
                "The prompt is empty; write what should be done.".to_owned(),
            ));
        }
        let coworkers = self.coworkers();
        if let Some(agent) = &prompt.agent
            && coworkers.iter().all(|known| known.name != *agent)
        {
            let agent: String = agent.chars().take(64).collect();
            let names: Vec<_> = coworkers.iter().map(|known| known.name.as_str()).collect();
            return Err(WorkspaceError::Invalid(format!(
                "There is no coworker named {agent:?}; choose {}.",
                names.join(" or ")
            )));
        }
        let command = command_of(&self.scope(), id, prompt.key.as_deref());
        let order = Order::Prompt {
            text: prompt.text,
            agent: prompt.agent,
        };
        self.order(id, CloudAction::SessionsPrompt, command, order)
            .await
    }

    async fn stop(&self, id: &SessionId) -> Result<(), WorkspaceError> {
        let action = CloudAction::SessionsAbort;
        self.order(id, action, new_command(), Order::Abort).await
    }

    async fn answer_approval(
        &self,
        id: &SessionId,
        approval: &str,
        allow: bool,
        reason: Option<String>,
    ) -> Result<(), WorkspaceError> {
        let order = Order::Permission {
            id: approval.to_owned(),
            response: match (allow, reason) {
                (true, _) => json!({ "allowed": true }),
                (false, Some(reason)) => json!({ "allowed": false, "message": reason }),
                (false, None) => json!({ "allowed": false }),
            },
        };
        let action = CloudAction::SessionsPermissionRespond;
        self.order(id, action, new_command(), order).await
    }

    async fn answer_question(
        &self,
        id: &SessionId,
        question: &str,
        answers: Option<Vec<Vec<String>>>,
    ) -> Result<(), WorkspaceError> {
        let (action, order) = match answers {
            Some(answers) => (
                CloudAction::SessionsQuestionReply,
                Order::Reply {
                    id: question.to_owned(),
                    answers: answers.into_iter().map(Value::from).collect(),
                },
            ),
            None => (
                CloudAction::SessionsQuestionReject,
                Order::Reject {
                    id: question.to_owned(),
                },
            ),
        };
        self.order(id, action, new_command(), order).await
    }

    /// A managed workspace is ours: there is nothing to ask.
    async fn trust(&self, _id: &SessionId) -> Result<TrustState, WorkspaceError> {
        Ok(TrustState {
            trusted: true,
            ..TrustState::default()
        })
    }

    async fn grant_trust(&self, _id: &SessionId, _digest: &str) -> Result<(), WorkspaceError> {
        Ok(())
    }

    async fn settings(&self) -> Result<Settings, WorkspaceError> {
        keys::settings(self).await
    }

    async fn save_settings(&self, input: SettingsInput) -> Result<(), WorkspaceError> {
        keys::save(self, input).await
    }

    async fn test_connection(
        &self,
        _input: SettingsInput,
    ) -> Result<ConnectionReport, WorkspaceError> {
        Err(WorkspaceError::Invalid(
            "A key is tried out when it is saved.".to_owned(),
        ))
    }

    async fn health(&self) -> Vec<HealthRow> {
        let checks = health::checks(&self.cloud).await;
        checks
            .into_iter()
            .map(|check| {
                let (name, fine) = words(&check.name);
                let good = check.status == CheckStatus::Ok;
                HealthRow {
                    name,
                    level: if good {
                        HealthLevel::Ok
                    } else {
                        HealthLevel::Error
                    },
                    detail: match (good, check.detail) {
                        (_, Some(detail)) => detail,
                        (true, None) => fine.to_owned(),
                        (false, None) => "It doesn't work; the log says why.".to_owned(),
                    },
                }
            })
            .collect()
    }
}

/// A check in people's words, and what is said when it passes.
fn words(check: &str) -> (String, &'static str) {
    let (name, fine) = match check {
        "control_plane" => ("Records", "Can be read."),
        "object_store" => ("Files", "Can be written and read."),
        "secret_adapter" => ("Secrets", "Are kept encrypted."),
        "billing_adapter" => ("Billing", "Needs nothing."),
        "auth_config" => ("Sign-in", "Is set up."),
        "role_dependencies" => ("Parts", "Everything that this server needs is there."),
        "execution_isolation" => ("Coworkers", "Can be run here."),
        "artifact_direct_upload" => ("Direct uploads", "Are off."),
        other => return (other.replace('_', " "), "Passes."),
    };
    (name.to_owned(), fine)
}

fn summary(row: &SessionRow) -> ThreadSummary {
    let session = &row.session;
    let state = match session.status {
        _ if row.waiting > 0 => ThreadDot::Waiting,
        SessionStatus::Running => ThreadDot::Running,
        SessionStatus::Errored => ThreadDot::Error,
        SessionStatus::Idle | SessionStatus::Closed => ThreadDot::Idle,
    };
    ThreadSummary {
        id: session.session_id.clone(),
        title: session.title.clone().unwrap_or_default(),
        state,
        updated_at: session.updated_at.clone(),
    }
}

/// Whom people can talk to: OpenCode's own two unless the configuration switches them off or hides them, then the
/// configuration's primary agents (02 §4.6).
fn coworkers(config: &Config) -> Vec<Coworker> {
    let changes = config.built_in_agents.as_ref();
    let own = [
        (
            "build",
            "Does the work: reads, writes, runs, asks.",
            changes.and_then(|agents| agents.build.as_ref()),
        ),
        (
            "plan",
            "Thinks first: reads and plans, changes nothing.",
            changes.and_then(|agents| agents.plan.as_ref()),
        ),
    ];
    let own = own.into_iter().filter_map(|(name, description, change)| {
        let off =
            |change: &BuiltInAgent| change.disable == Some(true) || change.hidden == Some(true);
        let said = change.and_then(|change| change.description.as_deref());
        (!change.is_some_and(off)).then(|| Coworker {
            name: name.to_owned(),
            description: said.unwrap_or(description).to_owned(),
        })
    });
    let configured = config
        .agents
        .iter()
        .filter(|agent| agent.mode == Some(AgentMode::Primary) && agent.hidden != Some(true));
    own.chain(configured.map(|agent| Coworker {
        name: agent.name.clone(),
        description: agent.description.clone(),
    }))
    .collect()
}

/// An error of a use case, by what the person can do.
#[allow(clippy::needless_pass_by_value)] // for `map_err`
pub(super) fn refusal(error: ApiError) -> WorkspaceError {
    let message = error.message.to_string();
    match error.status {
        StatusCode::NOT_FOUND => WorkspaceError::NotFound("There is no such chat.".to_owned()),
        StatusCode::FORBIDDEN => WorkspaceError::Forbidden(message),
        StatusCode::PAYLOAD_TOO_LARGE => WorkspaceError::TooLarge(message),
        StatusCode::CONFLICT | StatusCode::PAYMENT_REQUIRED => WorkspaceError::Conflict(message),
        StatusCode::TOO_MANY_REQUESTS => WorkspaceError::Unavailable(message),
        status if status.is_client_error() => WorkspaceError::Invalid(message),
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::NOT_IMPLEMENTED => {
            WorkspaceError::Unavailable(message)
        }
        _ => WorkspaceError::Internal(message),
    }
}

fn log_refusal(error: LogError) -> WorkspaceError {
    refusal(error.into())
}
