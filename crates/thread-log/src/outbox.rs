//! How a thread's writer stores: text that was taken over first, each under the lease of its own, with retries.

use crate::writer::Writer;
use open_cowork_providers::store::{
    AppendRequest, Appended, AppendedEvent, LeaseToken, NewEvent, StoreError,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Attempts of one append, with the same event ids (01 §11.2).
const ATTEMPTS: u32 = 6;
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LAST_DELAY: Duration = Duration::from_secs(1);

/// When text that couldn't be stored is tried again, if no append comes before.
const OUTBOX_RETRY: Duration = Duration::from_secs(5);

/// Text that was taken over.
pub(crate) struct Text {
    pub(crate) event: NewEvent,
    /// The lease under which it was accepted; it is stored under no other.
    pub(crate) fence: Option<LeaseToken>,
}

impl Writer {
    /// Stores the outbox and then `own`, under [`Writer::fence`]; folds and publishes. What has the same fence
    /// is one transaction. On an error nothing of `own` is stored; the outbox is, if only `own` was at fault.
    pub(crate) async fn store(
        &mut self,
        own: Vec<NewEvent>,
    ) -> Result<Vec<AppendedEvent>, StoreError> {
        let mut stored = Vec::new();
        loop {
            let fence = match self.outbox.first() {
                Some(text) => text.fence.clone(),
                None => self.fence.clone(),
            };
            let same = self.outbox.iter().take_while(|text| text.fence == fence);
            let run = same.count();
            let is_last = run == self.outbox.len() && fence == self.fence;
            let texts = self.outbox[..run].iter().map(|text| text.event.clone());
            let batch: Arc<[NewEvent]> = match is_last {
                true => texts.chain(own.iter().cloned()).collect(),
                false => texts.collect(),
            };
            if batch.is_empty() {
                return Ok(stored);
            }
            match self.append_with_retries(batch, fence.as_ref()).await {
                Ok(appended) => {
                    self.outbox.drain(..run);
                    self.outbox_retry = None;
                    stored.extend(self.take_in(appended).await);
                }
                Err(error) if error.is_callers_fault() => {
                    self.store_one_by_one(run).await?;
                    // Text of an earlier lease isn't this caller's concern.
                    if is_last {
                        return Err(error);
                    }
                }
                Err(error) => {
                    let retry = || Instant::now() + OUTBOX_RETRY;
                    self.outbox_retry = (!self.outbox.is_empty()).then(retry);
                    return Err(error);
                }
            }
            if is_last {
                return Ok(stored);
            }
        }
    }

    /// Stores the first texts of the outbox when the store refused a batch that they were part of. What is
    /// refused by itself (an id of the caller's that was reused, a session that is gone, a lease that is lost)
    /// can never be stored.
    async fn store_one_by_one(&mut self, texts: usize) -> Result<(), StoreError> {
        for _ in 0..texts {
            let Some(text) = self.outbox.first() else {
                break;
            };
            let (batch, fence) = (Arc::from([text.event.clone()]), text.fence.clone());
            match self.append_with_retries(batch, fence.as_ref()).await {
                Ok(appended) => drop(self.take_in(appended).await),
                Err(error) if error.is_callers_fault() => {
                    tracing::error!(session = %self.shared.key, %error, "streamed text was refused and is dropped");
                }
                Err(error) => {
                    self.outbox_retry = Some(Instant::now() + OUTBOX_RETRY);
                    return Err(error);
                }
            }
            self.outbox.remove(0);
        }
        self.outbox_retry = None;
        Ok(())
    }

    async fn append_with_retries(
        &self,
        events: Arc<[NewEvent]>,
        fence: Option<&LeaseToken>,
    ) -> Result<Appended, StoreError> {
        let request = || AppendRequest {
            key: self.shared.key.clone(),
            events: events.clone(),
            fence: fence.map(|token| self.core.options.fence(token)),
        };
        let mut delay = FIRST_DELAY;
        for _ in 1..ATTEMPTS {
            match self.core.store.append(request()).await {
                Err(error) if error.is_transient() => {
                    tracing::debug!(session = %self.shared.key, %error, "append failed; trying again");
                    tokio::time::sleep(delay).await;
                    delay = (delay * 2).min(LAST_DELAY);
                }
                done => return done,
            }
        }
        self.core.store.append(request()).await
    }
}
