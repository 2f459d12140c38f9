//! The store itself, over whichever database: requests go to the task that writes their session, reads to the pool
//! of readers.

use crate::dialect::{Connection, Pool};
use crate::failure::Failure;
use crate::group::{Change, SnapshotChange};
use crate::read;
use crate::transaction::Turn;
use crate::writer::{self, Job, Pending};
use async_trait::async_trait;
use open_cowork_contracts::{
    RuntimeSessionId, SessionEventRecord, SessionId, TenantId, WorkspaceEventRecord,
};
use open_cowork_providers::store::{
    AppendRequest, Appended, CreatedSession, EventStats, EventStore, InUse, LeaseFence, NewSession,
    Scope, SessionKey, SessionPage, SessionQuery, SessionRow, SessionStore, SessionUpdate,
    Snapshot, SnapshotRule, SnapshotStore, SnapshotWrite, StoreError, WorkspaceCursor,
};
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A database that the store can be on; see [`crate::SqliteStore`] and `PostgresStore`.
pub trait Database: sealed::Sealed + Send + Sync + 'static {}

pub(crate) mod sealed {
    pub trait Sealed {}
}

/// A store on that database, durable at every `Ok`.
///
/// Make it inside a Tokio runtime. [`SqlStore::close`] it at the end; dropping it finishes what was asked for,
/// but nobody waits for that.
pub struct SqlStore<D: Database> {
    pub(crate) failure: Failure,
    readers: Pool,
    pub(crate) writer: Pool,
    /// Connections of the domains' transactions.
    pub(crate) domains: Pool,
    pub(crate) turn: Turn,
    /// How long an answer of the database may take.
    pub(crate) patience: Option<Duration>,
    /// One queue per writing task; a session's requests all go to the same. Empty: closed.
    jobs: Mutex<Arc<[mpsc::Sender<Job>]>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    database: PhantomData<D>,
}

/// The connections of a store.
pub(crate) struct Pools {
    pub(crate) readers: Pool,
    /// One connection per writing task of the log.
    pub(crate) writer: Pool,
    pub(crate) domains: Pool,
}

impl<D: Database> fmt::Debug for SqlStore<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlStore")
            .field("place", &self.failure.place())
            .finish_non_exhaustive()
    }
}

impl<D: Database> SqlStore<D> {
    /// `writers`: tasks that write the log, more than one only where transactions may run at the same time.
    /// `queue`: requests that may wait for each; callers beyond that wait themselves.
    pub(crate) fn start(
        failure: Failure,
        pools: Pools,
        turn: Turn,
        patience: Option<Duration>,
        writers: usize,
        queue: usize,
    ) -> Self {
        let Pools {
            readers,
            writer,
            domains,
        } = pools;
        let (jobs, tasks): (Vec<_>, Vec<_>) = (0..writers.max(1))
            .map(|_| {
                let (jobs, waiting) = mpsc::channel(queue.max(1));
                let run = writer::run(
                    writer.clone(),
                    turn.clone(),
                    failure.clone(),
                    patience,
                    waiting,
                );
                (jobs, tokio::spawn(run))
            })
            .unzip();
        SqlStore {
            failure,
            readers,
            writer,
            domains,
            turn,
            patience,
            jobs: Mutex::new(jobs.into()),
            tasks: Mutex::new(tasks),
            database: PhantomData,
        }
    }

    /// Finishes what was asked for, refuses the rest with [`StoreError::Closed`], and closes the database.
    pub async fn close(&self) {
        *self.jobs.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new([]);
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a writer of the store ended badly");
            }
        }
        self.readers.close().await;
        self.domains.close().await;
        self.writer.close().await;
    }

    /// Hands a request of that session to its writer.
    async fn submit<I, O>(
        &self,
        session: (&TenantId, &SessionId),
        input: I,
        job: impl FnOnce(Pending<I, O>) -> Job,
    ) -> Result<O, StoreError> {
        let jobs = self.queue_of(session).ok_or(StoreError::Closed)?;
        let (pending, answer) = Pending::new(input);
        jobs.send(job(pending))
            .await
            .map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    fn queue_of(&self, session: (&TenantId, &SessionId)) -> Option<mpsc::Sender<Job>> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let [first, others @ ..] = &**jobs else {
            return None;
        };
        if others.is_empty() {
            return Some(first.clone());
        }
        let mut hasher = DefaultHasher::new();
        session.hash(&mut hasher);
        let place = hasher.finish() % jobs.len() as u64;
        jobs.get(usize::try_from(place).unwrap_or_default())
            .cloned()
    }

    pub(crate) async fn reader(&self) -> Result<Connection, StoreError> {
        let reader = self.readers.acquire().await;
        reader.map_err(|error| self.failure.of(&error))
    }

    /// What was read; `None` when it took too long.
    async fn within<T>(
        &self,
        reading: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Option<Result<T, sqlx::Error>> {
        match self.patience {
            Some(patience) => tokio::time::timeout(patience, reading).await.ok(),
            None => Some(reading.await),
        }
    }

    fn answer<T>(
        &self,
        reader: Connection,
        read: Option<Result<T, sqlx::Error>>,
    ) -> Result<T, StoreError> {
        match read {
            Some(read) => read.map_err(|error| self.failure.of(&error)),
            None => {
                reader.discard();
                Err(self.failure.unavailable())
            }
        }
    }
}

#[async_trait]
impl<D: Database> SessionStore for SqlStore<D> {
    async fn create_session_within(
        &self,
        new: NewSession,
        limit: Option<InUse>,
    ) -> Result<CreatedSession, StoreError> {
        let (tenant, session) = (new.tenant_id.clone(), new.session_id.clone());
        self.submit((&tenant, &session), (new, limit), Job::Create)
            .await
    }

    async fn session(&self, key: &SessionKey) -> Result<Option<SessionRow>, StoreError> {
        let mut reader = self.reader().await?;
        let found = self.within(read::session(&mut reader, key)).await;
        Ok(self.answer(reader, found)?.map(|located| located.row))
    }

    async fn sessions(&self, keys: &[SessionKey]) -> Result<Vec<Option<SessionRow>>, StoreError> {
        let mut reader = self.reader().await?;
        let found = self.within(read::sessions(&mut reader, keys)).await;
        self.answer(reader, found)
    }

    async fn page_sessions(&self, query: &SessionQuery) -> Result<SessionPage, StoreError> {
        let start = query.start()?;
        let mut reader = self.reader().await?;
        let rows = self
            .within(read::page(&mut reader, query, start.as_ref()))
            .await;
        Ok(query.page(self.answer(reader, rows)?))
    }

    async fn find_by_runtime(
        &self,
        id: &RuntimeSessionId,
    ) -> Result<Option<SessionRow>, StoreError> {
        let mut reader = self.reader().await?;
        let found = self.within(read::session_by_runtime(&mut reader, id)).await;
        self.answer(reader, found)
    }

    async fn bind_runtime(
        &self,
        key: &SessionKey,
        id: &RuntimeSessionId,
        at: &str,
        fence: Option<&LeaseFence>,
    ) -> Result<SessionRow, StoreError> {
        let change = Change {
            key: key.clone(),
            runtime: Some(id.clone()),
            update: SessionUpdate::default(),
            at: at.to_owned(),
            fence: fence.cloned(),
        };
        self.submit((&key.tenant_id, &key.session_id), change, Job::Change)
            .await
    }

    async fn update_session(
        &self,
        key: &SessionKey,
        update: SessionUpdate,
        at: &str,
        fence: Option<&LeaseFence>,
    ) -> Result<SessionRow, StoreError> {
        let change = Change {
            key: key.clone(),
            runtime: None,
            update,
            at: at.to_owned(),
            fence: fence.cloned(),
        };
        self.submit((&key.tenant_id, &key.session_id), change, Job::Change)
            .await
    }
}

#[async_trait]
impl<D: Database> EventStore for SqlStore<D> {
    async fn append(&self, request: AppendRequest) -> Result<Appended, StoreError> {
        let key = request.key.clone();
        self.submit((&key.tenant_id, &key.session_id), request, Job::Append)
            .await
    }

    async fn list_events(
        &self,
        key: &SessionKey,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Arc<SessionEventRecord>>, StoreError> {
        let mut reader = self.reader().await?;
        let found = self
            .within(read::events(&mut reader, key, after, limit))
            .await;
        self.answer(reader, found)
    }

    async fn event_stats(&self, key: &SessionKey) -> Result<EventStats, StoreError> {
        let mut reader = self.reader().await?;
        let found = self.within(read::event_stats(&mut reader, key)).await;
        self.answer(reader, found)
    }

    async fn list_workspace_events(
        &self,
        scope: &Scope,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Arc<WorkspaceEventRecord>>, StoreError> {
        let mut reader = self.reader().await?;
        let found = self
            .within(read::workspace_events(&mut reader, scope, after, limit))
            .await;
        self.answer(reader, found)
    }

    async fn workspace_cursor(&self, scope: &Scope) -> Result<WorkspaceCursor, StoreError> {
        let mut reader = self.reader().await?;
        let found = self
            .within(read::workspace_cursor(&mut reader, scope))
            .await;
        self.answer(reader, found)
    }

    async fn workspace_sequences(&self, scopes: &[Scope]) -> Result<Vec<u64>, StoreError> {
        let mut reader = self.reader().await?;
        let reading = read::workspace_sequences(&mut reader, scopes);
        let found = self.within(reading).await;
        self.answer(reader, found)
    }
}

#[async_trait]
impl<D: Database> SnapshotStore for SqlStore<D> {
    async fn snapshot(&self, key: &SessionKey) -> Result<Option<Snapshot>, StoreError> {
        let mut reader = self.reader().await?;
        let found = self.within(read::snapshot(&mut reader, key)).await;
        self.answer(reader, found)
    }

    async fn write_snapshot(
        &self,
        key: &SessionKey,
        snapshot: Snapshot,
        rule: SnapshotRule,
    ) -> Result<SnapshotWrite, StoreError> {
        let change = SnapshotChange {
            key: key.clone(),
            snapshot,
            rule,
        };
        self.submit((&key.tenant_id, &key.session_id), change, Job::Snapshot)
            .await
    }
}
