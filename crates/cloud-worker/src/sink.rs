//! The runtime host's way into the log, fenced: every append carries the token of the session's lease, so that
//! whoever lost the lease adds nothing (04 §2.3).

use crate::parts::Held;
use crate::progress::Progress;
use crate::usage::{Meter, Metered};
use async_trait::async_trait;
use open_cowork_contracts::{
    EventType, JsonObject, RuntimeEvent, RuntimeSessionId, SessionId, View,
};
use open_cowork_projection::sanitize::Redactor;
use open_cowork_providers::store::{LeaseToken, SessionKey, SessionRow, StoreError};
use open_cowork_providers::trace::{self, Trace};
use open_cowork_runtime_host::sink::{SinkError, ThreadSink};
use open_cowork_runtime_host::translate::Alarm;
use open_cowork_thread_log::{LogError, ThreadLog};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::Instrument as _;

/// What a scope hears from its threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// A turn ended; with what is to be metered, when it began here.
    Ended(SessionId, Option<Metered>),
    /// The store refused our token: the lease is gone.
    Stale,
}

/// Appends to the log for the sessions of one scope.
pub(crate) struct ScopeSink {
    log: ThreadLog,
    redactor: Arc<Redactor>,
    tenant: String,
    fences: Mutex<HashMap<SessionId, LeaseToken>>,
    meters: Mutex<HashMap<SessionId, Meter>>,
    /// The trace of each session's latest command.
    traces: Mutex<HashMap<SessionId, Trace>>,
    held: Arc<Held>,
    revoked: AtomicBool,
    told: mpsc::UnboundedSender<Told>,
    progress: Arc<Progress>,
}

impl ScopeSink {
    pub(crate) fn new(
        log: ThreadLog,
        redactor: Arc<Redactor>,
        tenant: &str,
        progress: Arc<Progress>,
        held: Arc<Held>,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Told>) {
        // Bounded in effect: one message per ending of a turn, and one about the lease.
        let (told, heard) = mpsc::unbounded_channel();
        let sink = ScopeSink {
            log,
            redactor,
            tenant: tenant.to_owned(),
            fences: Mutex::default(),
            meters: Mutex::default(),
            traces: Mutex::default(),
            held,
            revoked: AtomicBool::new(false),
            told,
            progress,
        };
        (Arc::new(sink), heard)
    }

    pub(crate) fn key(&self, thread: &SessionId) -> SessionKey {
        SessionKey::new(self.tenant.as_str(), thread.clone())
    }

    pub(crate) fn log(&self) -> &ThreadLog {
        &self.log
    }

    /// From now on that session's events carry this token.
    pub(crate) fn hold(&self, thread: &SessionId, token: LeaseToken) {
        self.fences().insert(thread.clone(), token);
        self.held.add(self.key(thread));
    }

    /// The sessions that it appends to.
    pub(crate) fn sessions(&self) -> Vec<SessionId> {
        self.fences().keys().cloned().collect()
    }

    /// The session's events belong to that command's trace until the next one (04 §12).
    pub(crate) fn follow(&self, thread: &SessionId, trace: Trace) {
        self.traces().insert(thread.clone(), trace);
    }

    fn traces(&self) -> std::sync::MutexGuard<'_, HashMap<SessionId, Trace>> {
        self.traces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session is somebody else's from now on.
    pub(crate) fn let_go(&self, thread: &SessionId) {
        self.fences().remove(thread);
        self.forget(thread);
    }

    /// The scope is lost: nothing more is appended, whatever still arrives.
    pub(crate) fn revoke(&self) {
        if self.revoked.swap(true, Ordering::AcqRel) {
            return;
        }
        let threads: Vec<SessionId> = self.fences().drain().map(|(thread, _)| thread).collect();
        for thread in threads {
            self.forget(&thread);
        }
    }

    fn forget(&self, thread: &SessionId) {
        let key = self.key(thread);
        self.progress.ended(&key);
        self.held.remove(&key);
        self.meters().remove(thread);
        self.traces().remove(thread);
    }

    fn meters(&self) -> std::sync::MutexGuard<'_, HashMap<SessionId, Meter>> {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fence(&self, thread: &SessionId) -> Result<LeaseToken, LogError> {
        let fence = self.fences().get(thread).cloned();
        match fence {
            Some(fence) if !self.revoked.load(Ordering::Acquire) => Ok(fence),
            _ => Err(StoreError::StaleFence.into()),
        }
    }

    fn fences(&self) -> std::sync::MutexGuard<'_, HashMap<SessionId, LeaseToken>> {
        self.fences.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends under the session's lease.
    pub(crate) async fn record(
        &self,
        thread: &SessionId,
        events: Vec<RuntimeEvent>,
    ) -> Result<(), LogError> {
        if events.is_empty() {
            return Ok(());
        }
        let ended = events.iter().any(|event| is_ending(&event.kind));
        let key = self.key(thread);
        let fence = self.fence(thread)?;
        self.progress.observe(&key, &events);
        let metered = {
            let mut meters = self.meters();
            let meter = meters.entry(thread.clone()).or_default();
            meter.observe(&events, Instant::now())
        };
        let trace = self.traces().get(thread).map(|trace| trace.child());
        let count = events.len();
        let append = self.log.append_fenced(&key, events, &fence);
        let appended = match trace {
            Some(trace) => {
                append
                    .instrument(trace::span!(trace, "cloud.event.append", count))
                    .await
            }
            None => append.await,
        };
        self.listen(&appended);
        appended?;
        if ended {
            let _ = self.told.send(Told::Ended(thread.clone(), metered));
        }
        Ok(())
    }

    /// Binds the runtime session under the session's lease.
    pub(crate) async fn bind(
        &self,
        thread: &SessionId,
        runtime: &RuntimeSessionId,
    ) -> Result<SessionRow, LogError> {
        let fence = self.fence(thread)?;
        let bound = self
            .log
            .bind_runtime_fenced(&self.key(thread), runtime, &fence)
            .await;
        self.listen(&bound);
        bound
    }

    fn listen<T>(&self, result: &Result<T, LogError>) {
        if let Err(error) = result
            && matches!(error.store_error(), Some(StoreError::StaleFence))
        {
            let _ = self.told.send(Told::Stale);
        }
    }
}

/// Ends a turn.
pub(crate) fn is_ending(kind: &EventType) -> bool {
    matches!(
        kind,
        EventType::SessionIdle | EventType::SessionAborted | EventType::RuntimeError
    )
}

#[async_trait]
impl ThreadSink for ScopeSink {
    async fn append(&self, thread: &SessionId, events: Vec<RuntimeEvent>) -> Result<(), SinkError> {
        let recorded = self.record(thread, events).await;
        recorded.map_err(|error| SinkError(error.to_string()))
    }

    async fn view(&self, thread: &SessionId) -> Result<(View, u64), SinkError> {
        let key = self.key(thread);
        let read = async {
            self.log.flush(&key).await?;
            self.log
                .read(&key, |state| (state.view.clone(), state.sequence))
                .await
        };
        read.await.map_err(|error| SinkError(error.to_string()))
    }

    fn sanitize(&self, kind: &EventType, payload: JsonObject) -> JsonObject {
        open_cowork_projection::sanitize::sanitize_event(&self.redactor, kind, payload)
    }

    async fn alarm(&self, thread: &SessionId, alarm: &Alarm) {
        let Alarm::UnexplainedReply { request, reply, .. } = alarm;
        tracing::error!(
            %thread, %request, %reply,
            "an approval was answered, but not by a person; the turn is stopped"
        );
    }
}
