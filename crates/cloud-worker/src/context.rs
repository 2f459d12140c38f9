//! What the task of a scope and the passes over its sessions share: lease, sink, runtime.

use crate::parts::Shared;
use crate::runtime::{ScopeRuntime, StartError};
use crate::sink::ScopeSink;
use open_cowork_contracts::api::usage::QuotaKey;
use open_cowork_contracts::{SessionId, SessionStatus};
use open_cowork_providers::store::Scope;
use open_cowork_providers::store::execution::ScopeLease;
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

    /// A turn of that session runs, as the thread shows it.
    pub(crate) async fn is_active(&self, session: &SessionId) -> bool {
        let key = self.sink.key(session);
        let view = self
            .sink
            .log()
            .read(&key, |state| state.view.status == SessionStatus::Running);
        view.await.unwrap_or(false)
    }

    /// The organisation has minutes left. What can't be read doesn't stop anybody.
    pub(crate) async fn has_minutes(&self) -> bool {
        let Some(limit) = self.shared.options.worker_minutes_per_hour else {
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
