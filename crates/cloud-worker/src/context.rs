//! What the task of a scope and the passes over its sessions share: lease, sink, runtime.

use crate::parts::Shared;
use crate::runtime::{ScopeRuntime, StartError};
use crate::sink::ScopeSink;
use open_cowork_contracts::api::usage::QuotaKey;
use open_cowork_contracts::{SessionId, SessionStatus};
use open_cowork_providers::billing::{BillingAction, BillingWish};
use open_cowork_providers::store::execution::ScopeLease;
use open_cowork_providers::store::{Scope, StoreError};
use open_cowork_runtime_host::supervise::Exit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// What the passes of a scope share.
pub(crate) struct Context {
    pub(crate) shared: Arc<Shared>,
    pub(crate) scope: Scope,
    pub(crate) sink: Arc<ScopeSink>,
    pub(crate) lease: ScopeLease,
    runtime: Mutex<Option<Arc<ScopeRuntime>>>,
    /// One home, one opening.
    opening: tokio::sync::Mutex<()>,
    exits: mpsc::Sender<Exit>,
    lost: AtomicBool,
    /// When the runtime was last of use.
    used: Mutex<Instant>,
}

impl Context {
    /// What the passes of a scope that was just claimed share.
    pub(crate) fn new(
        shared: Arc<Shared>,
        lease: ScopeLease,
        sink: Arc<ScopeSink>,
        exits: mpsc::Sender<Exit>,
    ) -> Self {
        Context {
            shared,
            scope: lease.scope.clone(),
            sink,
            lease,
            runtime: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            exits,
            lost: AtomicBool::new(false),
            used: Mutex::new(Instant::now()),
        }
    }

    /// From now on nothing more is said.
    pub(crate) fn lose(&self) {
        self.lost.store(true, Ordering::Release);
        self.sink.revoke();
    }

    /// The lease is gone.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    pub(crate) fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    pub(crate) fn last_used(&self) -> Instant {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The runtime, ready for calls; `current`: with the keys and the policy in force.
    pub(crate) async fn ready(&self, current: bool) -> Result<Arc<ScopeRuntime>, StartError> {
        self.touch();
        let runtime = match self.existing() {
            Some(runtime) => runtime,
            None => self.open().await?,
        };
        runtime.ready(current).await?;
        self.touch();
        Ok(runtime)
    }

    async fn open(&self) -> Result<Arc<ScopeRuntime>, StartError> {
        // Held over awaits on purpose.
        let _opening = self.opening.lock().await;
        if let Some(runtime) = self.existing() {
            return Ok(runtime);
        }
        let opened = ScopeRuntime::open(
            self.shared.clone(),
            self.scope.clone(),
            self.sink.clone(),
            self.exits.clone(),
        );
        let opened = Arc::new(opened.await?);
        *self.lock_runtime() = Some(opened.clone());
        Ok(opened)
    }

    /// The runtime if there is one.
    pub(crate) fn existing(&self) -> Option<Arc<ScopeRuntime>> {
        self.lock_runtime().clone()
    }

    fn lock_runtime(&self) -> std::sync::MutexGuard<'_, Option<Arc<ScopeRuntime>>> {
        self.runtime.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Others wait for the place of a session that nobody uses.
    pub(crate) fn is_crowded(&self) -> bool {
        let shared = &self.shared;
        shared.held.is_full(shared.options.max_sessions)
            || shared.crowd.is_told(&self.scope.tenant_id)
    }

    /// A turn of that session runs, as the thread shows it. While nobody can tell, it does: a turn that is taken for
    /// ended loses its lease, its events and its stop.
    pub(crate) async fn is_active(&self, session: &SessionId) -> bool {
        let key = self.sink.key(session);
        let view = self
            .sink
            .log()
            .read(&key, |state| state.view.status == SessionStatus::Running);
        match view.await {
            Ok(active) => active,
            Err(error) => !matches!(error.store_error(), Some(StoreError::NotFound(_))),
        }
    }

    /// The organisation's plan lets its coworkers work, and it has minutes left. What can't be read doesn't stop
    /// anybody: what was queued was permitted when it was.
    pub(crate) async fn may_work(&self) -> bool {
        let options = &self.shared.options;
        let mut limit = options.worker_minutes_per_hour;
        if let Some(billing) = &options.billing
            && let Ok(standing) = billing.standing(&self.scope.tenant_id).await
        {
            let wish = BillingWish::to(BillingAction::WorkerExecute);
            if let Err(denial) = standing.check(&wish) {
                tracing::debug!(tenant = %self.scope.tenant_id, code = denial.code, "prompts have to wait");
                metrics::counter!("open_cowork_cloud_quota_rejections_total").increment(1);
                return false;
            }
            if options.record_usage {
                limit = standing.limit("maxWorkerMinutesPerHour", limit);
            }
        }
        let Some(limit) = limit else {
            return true;
        };
        let (store, tenant) = (&self.shared.parts.store, &self.scope.tenant_id);
        let key = QuotaKey::WorkerMinutesHour;
        let quota = store
            .quota(tenant, key, Some(limit), self.shared.now())
            .await;
        let left = quota.map_or(true, |quota| quota.remaining != Some(0));
        if !left {
            metrics::counter!("open_cowork_cloud_quota_rejections_total").increment(1);
        }
        left
    }

    /// Ends the runtime, if there is one.
    pub(crate) async fn stop_runtime(&self) {
        let runtime = self.lock_runtime().take();
        if let Some(runtime) = runtime {
            runtime.stop().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::WorkerOptions;
    use crate::parts::WorkerParts;
    use open_cowork_adapters::secrets::NoSecrets;
    use open_cowork_config::{defaults, model::Config};
    use open_cowork_contracts::{EventType, RuntimeEvent};
    use open_cowork_projection::sanitize::Redactor;
    use open_cowork_providers::bus::LocalBus;
    use open_cowork_providers::store::{LeaseToken, NewSession, SessionKey};
    use open_cowork_providers::time::Timestamp;
    use open_cowork_store::{SqliteOptions, SqliteStore};
    use open_cowork_thread_log::{ThreadLog, ThreadLogOptions};
    use serde_json::json;

    fn context(store: Arc<SqliteStore>, log: ThreadLog) -> Context {
        let scope = Scope::new("t", "u");
        let config = Arc::new(Config::from_value(&defaults::document()).unwrap());
        let parts = WorkerParts {
            store,
            log: log.clone(),
            bus: Arc::new(LocalBus::default()),
            secrets: Arc::new(NoSecrets),
            redactor: Arc::new(Redactor::default()),
            clock: Arc::new(Timestamp::now),
        };
        let options = WorkerOptions::new("w", "/nowhere", config);
        let shared = Arc::new(Shared::new(parts, options));
        let held = shared.held.clone();
        let progress = shared.progress.clone();
        let (sink, _) = ScopeSink::new(log, Arc::default(), "t", progress, held);
        let lease = ScopeLease {
            scope,
            worker_id: "w".into(),
            token: LeaseToken::new("token"),
            expires_at: Timestamp::now(),
        };
        Context::new(shared, lease, sink, mpsc::channel(1).0)
    }

    /// Taken for ended, it would lose its lease in the middle, and an abort would only say that it was stopped.
    #[tokio::test]
    async fn a_turn_runs_on_while_the_database_is_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let store = SqliteStore::open(&path, SqliteOptions::default()).await;
        let store = Arc::new(store.unwrap());
        let options = ThreadLogOptions {
            shared: true,
            ..ThreadLogOptions::default()
        };
        let log = ThreadLog::new(store.clone(), options);
        let context = context(store.clone(), log.clone());
        let new = NewSession {
            tenant_id: "t".into(),
            user_id: "u".into(),
            session_id: "s".into(),
            ..NewSession::default()
        };
        log.create_session(new).await.unwrap();
        assert!(!context.is_active(&"s".into()).await);
        assert!(!context.is_active(&"unknown".into()).await);
        let payload = json!({ "sessionId": "s", "statusType": "running" });
        let running = RuntimeEvent::new(EventType::SessionStatus, payload);
        log.append(&SessionKey::new("t", "s"), vec![running])
            .await
            .unwrap();
        assert!(context.is_active(&"s".into()).await);
        store.close().await;
        assert!(context.is_active(&"s".into()).await);
    }
}
