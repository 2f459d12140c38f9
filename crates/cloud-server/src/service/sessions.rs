//! Threads: list, create, read, command, repair (03 §8.3).

use super::billing;
use crate::cloud::{Cloud, Quotas};
use crate::error::ApiError;
use axum::http::StatusCode;
use bytes::Bytes;
use open_cowork_contracts::api::admin::{AuditActor, AuditEvent};
use open_cowork_contracts::api::sessions::{
    Command, CommandKind, Mutation, ProjectionRepair, ProjectionStatus, SessionViewAnswer,
    SessionsPage,
};
use open_cowork_contracts::api::usage::{QuotaKey, UsageEventType};
use open_cowork_contracts::fence::{FenceScope, FenceToken, SYNC_VERSION, SyncIds};
use open_cowork_contracts::record::{Projection, Session, SessionEnvelope};
use open_cowork_contracts::{AccountId, CommandId, JsonObject, SessionId};
use open_cowork_providers::billing::{BillingAction, BillingWish};
use open_cowork_providers::bus::Topic;
use open_cowork_providers::store::execution::NewCommand;
use open_cowork_providers::store::governance::{NewUsage, QuotaClaim};
use open_cowork_providers::store::{
    EVENT_PAGE, InUse, NewSession, Scope, SessionKey, SessionQuery, StoreError,
};
use open_cowork_providers::{time, trace};
use open_cowork_thread_log::{LogError, ThreadState};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Title of a thread that nobody named.
pub const DEFAULT_TITLE: &str = "New session";

/// The agent of a prompt that names none.
pub const DEFAULT_AGENT: &str = "build";

/// A thread that nothing happened to for so long is not in use: it doesn't count among those that an organisation may
/// have at once. Upstream counts every thread that isn't closed, and nothing closes one.
pub const IN_USE: Duration = Duration::from_secs(60 * 60);

/// The refusal of a session that doesn't exist, or isn't the caller's: both read the same.
pub fn not_found() -> ApiError {
    ApiError::not_found("Cloud session was not found.").code("sessions.not_found")
}

fn missing(error: LogError) -> ApiError {
    match error.store_error() {
        Some(StoreError::NotFound(_)) => not_found(),
        _ => error.into(),
    }
}

/// One page of a user's threads.
///
/// # Errors
/// 400 `sessions.cursor.invalid`.
pub async fn list(cloud: &Cloud, query: &SessionQuery) -> Result<SessionsPage, ApiError> {
    let page = cloud
        .log
        .page_sessions(query)
        .await
        .map_err(|error| match error.store_error() {
            Some(StoreError::InvalidCursor) => ApiError::policy(
                StatusCode::BAD_REQUEST,
                "sessions.cursor.invalid",
                "The page cursor doesn't belong to this list; start again from the first page.",
            ),
            _ => error.into(),
        })?;
    Ok(SessionsPage {
        sessions: page.rows.into_iter().map(|row| row.session).collect(),
        next_cursor: page.next,
        total_estimate: page.total_estimate.into(),
    })
}

/// Starts a thread. The same id again gives the thread as it is.
///
/// # Errors
/// 402 by the plan, 409 when the id is somebody else's, 429 at a quota.
pub async fn create(
    cloud: &Cloud,
    scope: &Scope,
    id: SessionId,
    profile: Option<String>,
    title: Option<String>,
) -> Result<SessionEnvelope, ApiError> {
    let profile = profile.unwrap_or_else(|| cloud.options.profile.name.clone());
    let wish = BillingWish {
        profile: Some(&profile),
        ..BillingWish::to(BillingAction::SessionCreate)
    };
    billing::gate(cloud, &scope.tenant_id, wish).await?;
    let new = NewSession {
        tenant_id: scope.tenant_id.clone(),
        user_id: scope.user_id.clone(),
        session_id: id,
        profile_name: profile,
        title: Some(title.unwrap_or_else(|| DEFAULT_TITLE.to_owned())),
        directory: None,
        created_at: cloud.now_iso(),
    };
    let limit = in_use(cloud, scope).await?;
    let created = cloud.log.create_session_within(new, limit).await?;
    let key = SessionKey::of(&created.row.session);
    if created.created {
        note(
            cloud,
            scope,
            UsageEventType::SessionCreated,
            &key,
            key.session_id.as_str(),
        )
        .await;
    }
    read(cloud, scope, &key).await
}

/// How many threads the organisation may have in use at once.
///
/// # Errors
/// When the store refuses.
pub(crate) async fn in_use(cloud: &Cloud, scope: &Scope) -> Result<Option<InUse>, ApiError> {
    let quotas = billing::quotas(cloud, &scope.tenant_id).await?;
    Ok(quotas.concurrent_sessions.map(|most| InUse {
        most,
        since: time::iso(cloud.now() - IN_USE),
    }))
}

/// Records that somebody used something, and that it happened (07 §18). A store that refuses costs the record, never
/// the request.
async fn note(cloud: &Cloud, scope: &Scope, what: UsageEventType, key: &SessionKey, id: &str) {
    let now = cloud.now();
    let account = AccountId::from(scope.user_id.as_str());
    let event_id = format!("{}:{id}", what.as_str());
    if cloud.governance.metering {
        let usage = NewUsage {
            event_id: event_id.clone(),
            account_id: Some(account.clone()),
            event_type: what,
            quantity: 1,
            metadata: JsonObject::new(),
            at: now,
        };
        if let Err(error) = cloud.store.record_usage(&scope.tenant_id, &[usage]).await {
            tracing::warn!(%error, "a use could not be recorded");
        }
    }
    let happened = AuditEvent {
        event_id,
        org_id: scope.tenant_id.as_str().into(),
        account_id: Some(account),
        actor_type: AuditActor::User,
        actor_id: Some(scope.user_id.to_string()),
        event_type: what.as_str().to_owned(),
        target_type: Some("session".into()),
        target_id: Some(key.session_id.to_string()),
        metadata: JsonObject::new(),
        created_at: time::iso(now),
    };
    if let Err(error) = cloud
        .store
        .record_audit(&scope.tenant_id, &[happened])
        .await
    {
        tracing::warn!(%error, "the audit log lacks an entry");
    }
}

/// The thread as clients fetch it.
///
/// # Errors
/// 404.
pub async fn read(
    cloud: &Cloud,
    scope: &Scope,
    key: &SessionKey,
) -> Result<SessionEnvelope, ApiError> {
    with(cloud, scope, key, |state| envelope(&state)).await
}

/// The same as JSON, kept until the thread changes.
///
/// # Errors
/// 404.
pub async fn read_json(cloud: &Cloud, scope: &Scope, key: &SessionKey) -> Result<Bytes, ApiError> {
    let kept = with(cloud, scope, key, |state| {
        cloud.bodies().get(key, state.sequence, &state.row.session)
    })
    .await?;
    if let Some(body) = kept {
        return Ok(body);
    }
    let (body, sequence, row) = with(cloud, scope, key, |state| {
        let body = serde_json::to_vec(&envelope(&state));
        (body, state.sequence, state.row.session.clone())
    })
    .await?;
    let body = Bytes::from(body.map_err(|_| ApiError::internal())?);
    cloud.bodies().put(key, sequence, row, body.clone());
    Ok(body)
}

/// The thread with the shape that renderers read.
///
/// # Errors
/// 404.
pub async fn view(
    cloud: &Cloud,
    scope: &Scope,
    key: &SessionKey,
) -> Result<SessionViewAnswer, ApiError> {
    let envelope = read(cloud, scope, key).await?;
    let view = open_cowork_projection::session_view::session_view(&envelope);
    Ok(SessionViewAnswer {
        session: envelope.session,
        projection: envelope.projection,
        view,
    })
}

/// Checks that the thread is the caller's.
///
/// # Errors
/// 404.
pub async fn own(cloud: &Cloud, scope: &Scope, key: &SessionKey) -> Result<(), ApiError> {
    with(cloud, scope, key, |_| ()).await
}

/// The sequence of the caller's thread.
pub(crate) async fn sequence(
    cloud: &Cloud,
    scope: &Scope,
    key: &SessionKey,
) -> Result<u64, ApiError> {
    with(cloud, scope, key, |state| state.sequence).await
}

/// Calls `look` with the thread's state if it is the caller's.
async fn with<R>(
    cloud: &Cloud,
    scope: &Scope,
    key: &SessionKey,
    look: impl FnOnce(ThreadState<'_>) -> R,
) -> Result<R, ApiError> {
    let seen = cloud
        .log
        .read(key, |state| {
            (state.row.session.user_id == scope.user_id).then(|| look(state))
        })
        .await
        .map_err(missing)?;
    seen.ok_or_else(not_found)
}

fn envelope(state: &ThreadState<'_>) -> SessionEnvelope {
    let mut session = state.row.session.clone();
    session.project_source = state.view.project_source.clone();
    let projection = (state.sequence > 0).then(|| Projection {
        tenant_id: session.tenant_id.clone(),
        session_id: session.session_id.clone(),
        sequence: state.sequence,
        view: state.view.clone(),
        updated_at: state.view.updated_at.clone(),
    });
    SessionEnvelope {
        session,
        projection,
    }
}

/// What a person tells a thread to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Say something to an agent.
    Prompt {
        /// What.
        text: String,
        /// To whom.
        agent: Option<String>,
    },
    /// Stop the turn.
    Abort,
    /// Answer an approval.
    Permission {
        /// The ask.
        id: String,
        /// The answer, as sent; see `response_allows`.
        response: Value,
    },
    /// Answer a question.
    Reply {
        /// The ask.
        id: String,
        /// One answer per question.
        answers: Vec<Value>,
    },
    /// Dismiss a question.
    Reject {
        /// The ask.
        id: String,
    },
}

impl Order {
    pub(crate) fn kind(&self) -> CommandKind {
        match self {
            Order::Prompt { .. } => CommandKind::Prompt,
            Order::Abort => CommandKind::Abort,
            Order::Permission { .. } => CommandKind::PermissionRespond,
            Order::Reply { .. } => CommandKind::QuestionReply,
            Order::Reject { .. } => CommandKind::QuestionReject,
        }
    }

    pub(crate) fn payload(self) -> JsonObject {
        let payload = match self {
            Order::Prompt { text, agent } => {
                let agent = agent.unwrap_or_else(|| DEFAULT_AGENT.to_owned());
                json!({ "text": text, "agent": agent })
            }
            Order::Abort => json!({}),
            Order::Permission { id, response } => {
                json!({ "permissionId": id, "response": response })
            }
            Order::Reply { id, answers } => json!({ "requestId": id, "answers": answers }),
            Order::Reject { id } => json!({ "requestId": id }),
        };
        match payload {
            Value::Object(payload) => payload,
            _ => JsonObject::new(),
        }
    }
}

/// A command of somebody.
#[derive(Clone, Debug)]
pub struct Ordered {
    /// Who.
    pub scope: Scope,
    /// In which thread.
    pub key: SessionKey,
    /// Its id: the same id again is the same command.
    pub id: CommandId,
    /// What.
    pub order: Order,
    /// It comes from a channel or an API token, not from a person at a screen: answers to asks then need the
    /// profile's switch (04 §3.3).
    pub remote: bool,
}

/// Queues a command, runs it when a worker is in this process, and tells what became of it.
///
/// # Errors
/// 404; 402 by the plan; 403 `policy.agent_not_enabled`, `cloud-remote-approval-disabled`; 429 at a quota; what the execution said
/// when it ran here and failed.
pub async fn command(cloud: &Cloud, ordered: Ordered, minimal: bool) -> Result<Mutation, ApiError> {
    permit(cloud, &ordered)?;
    let Ordered {
        scope,
        key,
        id,
        order,
        ..
    } = ordered;
    let (scope, key) = (&scope, &key);
    let (before, profile) = with(cloud, scope, key, |state| {
        (state.sequence, state.row.session.profile_name.clone())
    })
    .await?;
    let kind = order.kind();
    // Whoever stops a turn or answers an ask uses nothing up.
    let prompts = kind == CommandKind::Prompt;
    let mut quotas = Quotas::default();
    if prompts {
        let wish = BillingWish {
            profile: Some(&profile),
            ..BillingWish::to(BillingAction::PromptEnqueue)
        };
        billing::gate(cloud, &key.tenant_id, wish).await?;
        quotas = billing::quotas(cloud, &key.tenant_id).await?;
    }
    let now = cloud.now();
    let quota = quotas.prompts_per_hour;
    let claim = quota.map(|limit| QuotaClaim {
        key: QuotaKey::PromptsHour,
        amount: 1,
        limit: Some(limit),
    });
    if let Some(claim) = &claim {
        cloud
            .store
            .consume_quota(&key.tenant_id, claim, now)
            .await?;
    }
    let new = NewCommand {
        command_id: id,
        key: key.clone(),
        user_id: scope.user_id.clone(),
        kind,
        payload: order.payload(),
        traceparent: trace::current().map(|trace| trace.to_string()),
    };
    let enqueued = cloud.store.enqueue(new, quotas.queue, now).await;
    let queued = enqueued.as_ref().is_ok_and(|enqueued| enqueued.created);
    if let Some(claim) = claim.filter(|_| !queued)
        && let Err(error) = cloud.store.refund_quota(&key.tenant_id, &claim, now).await
    {
        tracing::warn!(%error, "a prompt that was not queued still counts in its quota");
    }
    let enqueued = enqueued.map_err(|error| match error {
        StoreError::NotFound(_) => not_found(),
        error => error.into(),
    })?;
    cloud.bus.publish(Topic::Commands(key.clone()));
    if prompts && enqueued.created {
        let id = enqueued.command.command_id.as_str();
        note(cloud, scope, UsageEventType::PromptEnqueued, key, id).await;
    }
    let processed = match &cloud.executor {
        Some(executor) => executor.process(key).await?,
        None => 0,
    };
    answer(
        cloud,
        scope,
        key,
        enqueued.command,
        processed,
        before,
        minimal,
    )
    .await
}

/// What the profile allows, before anything is looked up: an existing and a missing thread read the same.
fn permit(cloud: &Cloud, ordered: &Ordered) -> Result<(), ApiError> {
    let profile = &cloud.options.profile;
    let forbidden =
        |code: &str, sentence: &str| Err(ApiError::policy(StatusCode::FORBIDDEN, code, sentence));
    match &ordered.order {
        Order::Prompt { agent, .. } => {
            let agent = agent.as_deref().unwrap_or(DEFAULT_AGENT);
            match &profile.agents {
                Some(allowed) if !allowed.iter().any(|known| known == agent) => forbidden(
                    "policy.agent_not_enabled",
                    "This agent is not enabled for this cloud profile.",
                ),
                _ => Ok(()),
            }
        }
        Order::Permission { .. } | Order::Reply { .. } | Order::Reject { .. }
            if ordered.remote && !profile.allow_remote_approval_responses =>
        {
            forbidden(
                "cloud-remote-approval-disabled",
                "Approvals and questions can't be answered from here; this cloud profile doesn't allow it.",
            )
        }
        _ => Ok(()),
    }
}

/// What became of a command, and what a client shows of it.
pub(crate) async fn answer(
    cloud: &Cloud,
    scope: &Scope,
    key: &SessionKey,
    enqueued: Command,
    processed: u32,
    before: u64,
    minimal: bool,
) -> Result<Mutation, ApiError> {
    // The command as it is now, not as it was when it was queued (03 §12 #8).
    let live = cloud.store.command(key, &enqueued.command_id).await;
    let command = live.ok().flatten().unwrap_or(enqueued);
    let after = with(cloud, scope, key, |state| state.sequence).await?;
    let projection_fence = match processed > 0 && after > before {
        true => fence(cloud, key, &command.command_id, before, after).await?,
        false => None,
    };
    let view = match minimal {
        true => None,
        false => Some(read(cloud, scope, key).await?),
    };
    Ok(Mutation {
        command,
        processed: processed.into(),
        view,
        projection_fence,
    })
}

/// The first event after `before` that the command made (01 §8.2).
async fn fence(
    cloud: &Cloud,
    key: &SessionKey,
    id: &CommandId,
    before: u64,
    after: u64,
) -> Result<Option<FenceToken>, ApiError> {
    let events = cloud.store.list_events(key, before, EVENT_PAGE).await?;
    let made = events.iter().find(|event| {
        event.sequence <= after
            && event.payload.get("commandId").and_then(Value::as_str) == Some(id.as_str())
    });
    Ok(made.map(|event| FenceToken {
        version: SYNC_VERSION,
        scope: FenceScope::Session,
        ids: SyncIds {
            tenant_id: key.tenant_id.to_string(),
            session_id: Some(key.session_id.to_string()),
            ..SyncIds::default()
        },
        command_id: Some(id.to_string()),
        sequence: Some(event.sequence),
        projection_version: Some(event.sequence),
        checkpoint_version: None,
        issued_at: time::iso(cloud.now()),
        expires_at: None,
    }))
}

/// How far a projection is behind its log. For operators: any thread of the tenant.
///
/// # Errors
/// 404.
pub async fn projection_status(
    cloud: &Cloud,
    key: &SessionKey,
) -> Result<ProjectionStatus, ApiError> {
    let status = cloud.log.status(key).await.map_err(missing)?;
    Ok(ProjectionStatus {
        session_id: key.session_id.clone(),
        event_count: status.event_count,
        latest_event_sequence: status.latest_event_sequence,
        projection_sequence: status.projection_sequence,
        lag: status.lag,
        projection_updated_at: status.projection_updated_at,
        base_sequence: (status.base_sequence > 0).then_some(status.base_sequence),
    })
}

/// Folds the log anew. For operators: any thread of the tenant.
///
/// # Errors
/// 404.
pub async fn repair(cloud: &Cloud, key: &SessionKey) -> Result<ProjectionRepair, ApiError> {
    let report = cloud.log.repair(key).await.map_err(missing)?;
    cloud.bodies().forget(key);
    Ok(ProjectionRepair {
        repaired: report.repaired,
        event_count: report.event_count,
        workspace_event_count: report.workspace_event_count,
        latest_event_sequence: report.latest_event_sequence,
        prior_projection_sequence: report.prior_projection_sequence,
        projection_sequence: report.projection_sequence,
        lag: report.lag,
        base_sequence: (report.base_sequence > 0).then_some(report.base_sequence),
    })
}

/// Written answers of `GET /api/sessions/:id`, of threads that didn't change since.
#[derive(Debug, Default)]
pub struct Bodies {
    kept: Mutex<HashMap<SessionKey, Kept>>,
}

#[derive(Debug)]
struct Kept {
    sequence: u64,
    row: Session,
    body: Bytes,
}

/// Bodies that are kept, and the largest of them; together at most 16 MiB.
const KEPT: usize = 256;
const KEPT_BYTES: usize = 64 * 1024;

impl Bodies {
    fn get(&self, key: &SessionKey, sequence: u64, row: &Session) -> Option<Bytes> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.get(key)?;
        (found.sequence == sequence && found.row == *row).then(|| found.body.clone())
    }

    fn put(&self, key: &SessionKey, sequence: u64, row: Session, body: Bytes) {
        if body.len() > KEPT_BYTES {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT && !kept.contains_key(key) {
            kept.clear();
        }
        let entry = Kept {
            sequence,
            row,
            body,
        };
        kept.insert(key.clone(), entry);
    }

    fn forget(&self, key: &SessionKey) {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
    }
}
