//! The store on SQLite.

use crate::failure::Failure;
use crate::group::{Change, SnapshotChange};
use crate::read;
use crate::schema;
use crate::writer::{self, Job, Pending};
use async_trait::async_trait;
use open_cowork_contracts::{RuntimeSessionId, SessionEventRecord, WorkspaceEventRecord};
use open_cowork_providers::store::{
    AppendRequest, Appended, CreatedSession, EventStats, EventStore, LeaseToken, NewSession, Scope,
    SessionKey, SessionPage, SessionQuery, SessionRow, SessionStore, SessionUpdate, Snapshot,
    SnapshotRule, SnapshotStore, SnapshotWrite, StoreError, WorkspaceCursor,
};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqlitePool};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How a database is opened.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// Connections for reading.
    pub readers: u32,
    /// How long to wait for another process's write before the store is [`StoreError::Unavailable`].
    pub busy_timeout: Duration,
    /// Requests that may wait for the writer; callers beyond that wait themselves.
    pub queue: usize,
    /// Largest size of the database file in bytes; beyond it the store is [`StoreError::Full`].
    pub max_bytes: Option<u64>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        SqliteOptions {
            readers: 4,
            busy_timeout: Duration::from_secs(5),
            queue: 1024,
            max_bytes: None,
        }
    }
}

/// A store in one SQLite file, durable at every `Ok`: WAL with `synchronous=FULL` and group commit
/// (decision 17). Several processes may open the same file.
///
/// Make it inside a Tokio runtime. [`SqliteStore::close`] it at the end; dropping it finishes what was asked
/// for, but nobody waits for that.
#[derive(Debug)]
pub struct SqliteStore {
    failure: Failure,
    readers: SqlitePool,
    writer: SqlitePool,
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

const PAGE_BYTES: u64 = 4096;

impl SqliteStore {
    /// Opens the database at a path, made if missing (file 0600, folders 0700), and brings it up to date.
    ///
    /// [`StoreError::ReadOnly`], [`StoreError::Corrupt`], [`StoreError::NewerSchema`],
    /// [`StoreError::ForeignSchema`], [`StoreError::Full`], [`StoreError::Unavailable`].
    pub async fn open(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let failure = Failure::new(path);
        make_private(path).map_err(|error| failure.of(&sqlx::Error::Io(error)))?;
        let connect = connect_options(&options)
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal);
        let quota = options
            .max_bytes
            .map(|bytes| (bytes / PAGE_BYTES).max(1).to_string());
        let write = match quota {
            Some(pages) => connect.clone().pragma("max_page_count", pages),
            None => connect.clone(),
        };
        let writer = pool(1).connect_lazy_with(write);
        prepare(&writer, &failure, options.busy_timeout).await?;
        let readers =
            pool(options.readers.max(1)).connect_lazy_with(connect.pragma("query_only", "1"));
        Ok(Self::start(failure, readers, writer, &options))
    }

    /// A database in memory, gone with the store. For tests and demos.
    pub async fn in_memory(options: SqliteOptions) -> Result<Self, StoreError> {
        let failure = Failure::new(&PathBuf::from("the database in memory"));
        // One connection, since each would have a database of its own; readers take turns with the writer.
        let only = pool(1).connect_lazy_with(connect_options(&options).filename(":memory:"));
        prepare(&only, &failure, options.busy_timeout).await?;
        Ok(Self::start(failure, only.clone(), only, &options))
    }

    fn start(
        failure: Failure,
        readers: SqlitePool,
        writer: SqlitePool,
        options: &SqliteOptions,
    ) -> Self {
        let (jobs, queue) = mpsc::channel(options.queue.max(1));
        let task = tokio::spawn(writer::run(writer.clone(), failure.clone(), queue));
        SqliteStore {
            failure,
            readers,
            writer,
            jobs: Mutex::new(Some(jobs)),
            task: Mutex::new(Some(task)),
        }
    }

    /// Finishes what was asked for, refuses the rest with [`StoreError::Closed`], and closes the file.
    pub async fn close(&self) {
        drop(
            self.jobs
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the store's writer ended badly");
        }
        self.readers.close().await;
        self.writer.close().await;
    }

    async fn submit<I, O>(
        &self,
        input: I,
        job: impl FnOnce(Pending<I, O>) -> Job,
    ) -> Result<O, StoreError> {
        let jobs = self
            .jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let jobs = jobs.ok_or(StoreError::Closed)?;
        let (pending, answer) = Pending::new(input);
        jobs.send(job(pending))
            .await
            .map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    async fn reader(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        self.readers
            .acquire()
            .await
            .map_err(|error| self.failure.of(&error))
    }

    fn read<T>(&self, read: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        read.map_err(|error| self.failure.of(&error))
    }
}

fn connect_options(options: &SqliteOptions) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .create_if_missing(true)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(options.busy_timeout)
        .page_size(PAGE_BYTES as u32)
        .pragma("cache_size", "-16384")
        .pragma("wal_autocheckpoint", "4000")
        .pragma("temp_store", "memory")
}

fn pool(size: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(size)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .acquire_timeout(Duration::from_secs(30))
}

/// First connection and migrations. The switch to WAL doesn't wait for the busy timeout, so two processes that
/// open a new file at once would fail there; try for that long.
async fn prepare(
    writer: &SqlitePool,
    failure: &Failure,
    patience: Duration,
) -> Result<(), StoreError> {
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        let prepared = match writer.acquire().await {
            Ok(mut connection) => schema::migrate(&mut connection, failure).await,
            Err(error) => Err(failure.of(&error)),
        };
        match prepared {
            Err(StoreError::Unavailable(_)) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            prepared => return prepared,
        }
    }
}

/// Makes the file, readable for its owner only, before SQLite does; its WAL gets the same mode.
#[cfg(unix)]
fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    if path.exists() {
        return Ok(());
    }
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map(drop)
}

#[cfg(not(unix))]
fn make_private(path: &Path) -> std::io::Result<()> {
    match path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        Some(folder) => std::fs::create_dir_all(folder),
        None => Ok(()),
    }
}

#[async_trait]
impl SessionStore for SqliteStore {
    async fn create_session(&self, new: NewSession) -> Result<CreatedSession, StoreError> {
        self.submit(new, Job::Create).await
    }

    async fn session(&self, key: &SessionKey) -> Result<Option<SessionRow>, StoreError> {
        let found = self.read(read::session(&mut *self.reader().await?, key).await)?;
        Ok(found.map(|located| located.row))
    }

    async fn page_sessions(&self, query: &SessionQuery) -> Result<SessionPage, StoreError> {
        read::page(&mut *self.reader().await?, query, &self.failure).await
    }

    async fn find_by_runtime(
        &self,
        id: &RuntimeSessionId,
    ) -> Result<Option<SessionRow>, StoreError> {
        self.read(read::session_by_runtime(&mut *self.reader().await?, id).await)
    }

    async fn bind_runtime(
        &self,
        key: &SessionKey,
        id: &RuntimeSessionId,
        at: &str,
        fence: Option<&LeaseToken>,
    ) -> Result<SessionRow, StoreError> {
        let change = Change {
            key: key.clone(),
            runtime: Some(id.clone()),
            update: SessionUpdate::default(),
            at: at.to_owned(),
            fence: fence.cloned(),
        };
        self.submit(change, Job::Change).await
    }

    async fn update_session(
        &self,
        key: &SessionKey,
        update: SessionUpdate,
        at: &str,
        fence: Option<&LeaseToken>,
    ) -> Result<SessionRow, StoreError> {
        let change = Change {
            key: key.clone(),
            runtime: None,
            update,
            at: at.to_owned(),
            fence: fence.cloned(),
        };
        self.submit(change, Job::Change).await
    }
}

#[async_trait]
impl EventStore for SqliteStore {
    async fn append(&self, request: AppendRequest) -> Result<Appended, StoreError> {
        self.submit(request, Job::Append).await
    }

    async fn list_events(
        &self,
        key: &SessionKey,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Arc<SessionEventRecord>>, StoreError> {
        self.read(read::events(&mut *self.reader().await?, key, after, limit).await)
    }

    async fn event_stats(&self, key: &SessionKey) -> Result<EventStats, StoreError> {
        self.read(read::event_stats(&mut *self.reader().await?, key).await)
    }

    async fn list_workspace_events(
        &self,
        scope: &Scope,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Arc<WorkspaceEventRecord>>, StoreError> {
        self.read(read::workspace_events(&mut *self.reader().await?, scope, after, limit).await)
    }

    async fn workspace_cursor(&self, scope: &Scope) -> Result<WorkspaceCursor, StoreError> {
        self.read(read::workspace_cursor(&mut *self.reader().await?, scope).await)
    }
}

#[async_trait]
impl SnapshotStore for SqliteStore {
    async fn snapshot(&self, key: &SessionKey) -> Result<Option<Snapshot>, StoreError> {
        self.read(read::snapshot(&mut *self.reader().await?, key).await)
    }

    async fn write_snapshot(
        &self,
        key: &SessionKey,
        snapshot: Snapshot,
        rule: SnapshotRule,
    ) -> Result<SnapshotWrite, StoreError> {
        self.submit(
            SnapshotChange {
                key: key.clone(),
                snapshot,
                rule,
            },
            Job::Snapshot,
        )
        .await
    }
}
