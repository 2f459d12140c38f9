//! The runtime host's way into the log.

use async_trait::async_trait;
use open_cowork_contracts::{EventType, JsonObject, RuntimeEvent, SessionId, View};
use open_cowork_projection::sanitize::Redactor;
use open_cowork_providers::store::SessionKey;
use open_cowork_runtime_host::sink::{SinkError, ThreadSink};
use open_cowork_runtime_host::translate::Alarm;
use open_cowork_thread_log::ThreadLog;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Alarms kept for the health page.
const MAX_ALARMS: usize = 50;

/// Appends to the log of this desktop.
pub(crate) struct LogSink {
    pub(crate) log: ThreadLog,
    pub(crate) redactor: Arc<Redactor>,
    pub(crate) alarms: Mutex<VecDeque<String>>,
}

impl LogSink {
    pub(crate) fn alarms(&self) -> Vec<String> {
        self.alarms
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }
}

/// Key of a thread of the one local user.
pub(crate) fn key(thread: &SessionId) -> SessionKey {
    SessionKey::new(crate::engine::TENANT, thread.clone())
}

#[async_trait]
impl ThreadSink for LogSink {
    async fn append(&self, thread: &SessionId, events: Vec<RuntimeEvent>) -> Result<(), SinkError> {
        let appended = self.log.append(&key(thread), events).await;
        appended
            .map(drop)
            .map_err(|error| SinkError(error.to_string()))
    }

    async fn view(&self, thread: &SessionId) -> Result<(View, u64), SinkError> {
        let key = key(thread);
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
        let text = format!(
            "In chat {thread}, the approval {request} was answered with {reply:?}, but not by you; the turn was stopped."
        );
        let mut alarms = self.alarms.lock().unwrap_or_else(PoisonError::into_inner);
        if alarms.len() >= MAX_ALARMS {
            alarms.pop_front();
        }
        alarms.push_back(text);
    }
}
