//! How far a shared store is. A client that has seen a commit through one process may read through another,
//! which hasn't heard of it; so a read asks the store first. Everybody who asks while an answer is on its way
//! shares the next one: an answer counts only for those who asked before its query began.

use crate::core::Core;
use open_cowork_providers::store::{SessionKey, SessionRow, StoreError};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// Rows asked for at once.
const ROWS: usize = 500;

/// The row of a session as the store has it.
type Head = Result<Option<Arc<SessionRow>>, StoreError>;

/// Who waits for which rows.
#[derive(Debug, Default)]
pub(crate) struct Heads {
    asked: Mutex<Asked>,
}

#[derive(Debug, Default)]
struct Asked {
    /// A task is asking.
    busy: bool,
    keys: HashMap<SessionKey, Vec<oneshot::Sender<Head>>>,
}

impl Heads {
    /// Waits for the next answer; starts the task that asks when there is none.
    pub(crate) async fn ask(core: &Arc<Core>, key: &SessionKey) -> Head {
        let (reply, answer) = oneshot::channel();
        let start = {
            let mut asked = core.heads.lock();
            asked.keys.entry(key.clone()).or_default().push(reply);
            !std::mem::replace(&mut asked.busy, true)
        };
        if start {
            core.tasks.spawn(answer_all(core.clone()));
        }
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to ask now; none: the task is done.
    fn take(&self) -> Vec<(SessionKey, Vec<oneshot::Sender<Head>>)> {
        let mut asked = self.lock();
        if asked.keys.is_empty() {
            asked.busy = false;
        }
        let keys: Vec<SessionKey> = asked.keys.keys().take(ROWS).cloned().collect();
        let taken = keys
            .into_iter()
            .filter_map(|key| asked.keys.remove_entry(&key));
        taken.collect()
    }
}

async fn answer_all(core: Arc<Core>) {
    loop {
        let (keys, waiting): (Vec<_>, Vec<_>) = core.heads.take().into_iter().unzip();
        if keys.is_empty() {
            return;
        }
        match core.store.sessions(&keys).await {
            Ok(rows) => {
                for (replies, row) in waiting.into_iter().zip(rows) {
                    let row = row.map(Arc::new);
                    // A reader that is gone doesn't want it.
                    replies
                        .into_iter()
                        .for_each(|reply| drop(reply.send(Ok(row.clone()))));
                }
            }
            Err(error) => waiting
                .into_iter()
                .flatten()
                .for_each(|reply| drop(reply.send(Err(error.clone())))),
        }
    }
}
