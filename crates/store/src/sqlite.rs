//! The store on SQLite.

use crate::dialect::Pool;
use crate::failure::Failure;
use crate::schema::{self, Migrations, RunMigrations};
use crate::store::{Database, Pools, SqlStore, sealed};
use crate::transaction::Turn;
use open_cowork_providers::store::StoreError;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use std::path::Path;
use std::time::Duration;

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
    /// Whether to bring the schema up to date.
    pub migrations: RunMigrations,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        SqliteOptions {
            readers: 4,
            busy_timeout: Duration::from_secs(5),
            queue: 1024,
            max_bytes: None,
            migrations: RunMigrations::Yes,
        }
    }
}

/// SQLite, for [`SqliteStore`].
#[derive(Debug)]
pub enum Sqlite {}

impl sealed::Sealed for Sqlite {}
impl Database for Sqlite {}

/// A store in one SQLite file, durable at every `Ok`: WAL with `synchronous=FULL` and group commit
/// (decision 17). Several processes may open the same file.
pub type SqliteStore = SqlStore<Sqlite>;

const PAGE_BYTES: u64 = 4096;

impl SqlStore<Sqlite> {
    /// Opens the database at a path, made if missing (file 0600, folders 0700), and brings it up to date.
    ///
    /// [`StoreError::ReadOnly`], [`StoreError::Corrupt`], [`StoreError::NewerSchema`],
    /// [`StoreError::ForeignSchema`], [`StoreError::Unmigrated`], [`StoreError::Full`],
    /// [`StoreError::Unavailable`].
    pub async fn open(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let failure = Failure::of_file(path);
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
        let writer = pool(1).connect_lazy_with(write.clone());
        prepare(&writer, &failure, &options).await?;
        let readers =
            pool(options.readers.max(1)).connect_lazy_with(connect.pragma("query_only", "1"));
        // One, since one writes at a time; as lazy as it is rare on a desktop.
        let domains = pool(1).connect_lazy_with(write);
        let pools = Pools {
            readers: Pool::Sqlite(readers),
            writer: Pool::Sqlite(writer),
            domains: Pool::Sqlite(domains),
        };
        Ok(Self::over(failure, pools, &options))
    }

    /// Brings the database at a path up to date, made if missing, and closes it: what
    /// [`SqliteStore::open`](SqlStore::open) does with [`RunMigrations::Yes`], as a step of its own. Safe to run
    /// twice and from two processes. The same errors.
    pub async fn migrate(
        path: impl AsRef<Path>,
        options: SqliteOptions,
    ) -> Result<Migrations, StoreError> {
        let path = path.as_ref();
        let failure = Failure::of_file(path);
        make_private(path).map_err(|error| failure.of(&sqlx::Error::Io(error)))?;
        let connect = connect_options(&options)
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal);
        let writer = pool(1).connect_lazy_with(connect);
        let options = SqliteOptions {
            migrations: RunMigrations::Yes,
            ..options
        };
        let migrations = prepare(&writer, &failure, &options).await;
        writer.close().await;
        migrations
    }

    /// How far the database at a path is, without a change; a missing file is at version 0. The same errors.
    pub async fn migrations(
        path: impl AsRef<Path>,
        options: &SqliteOptions,
    ) -> Result<Migrations, StoreError> {
        let path = path.as_ref();
        let failure = Failure::of_file(path);
        let connect = match path.exists() {
            true => connect_options(options)
                .filename(path)
                .create_if_missing(false)
                .pragma("query_only", "1"),
            false => connect_options(options).filename(":memory:"),
        };
        let reader = pool(1).connect_lazy_with(connect);
        let migrations = match Pool::Sqlite(reader.clone()).acquire().await {
            Ok(mut connection) => schema::inspect(&mut connection, &failure).await,
            Err(error) => Err(failure.of(&error)),
        };
        reader.close().await;
        migrations
    }

    /// A database in memory, gone with the store. For tests and demos.
    pub async fn in_memory(options: SqliteOptions) -> Result<Self, StoreError> {
        let failure = Failure::of_file(Path::new("the database in memory"));
        // One connection, since each would have a database of its own; readers take turns with the writer.
        let only = pool(1).connect_lazy_with(connect_options(&options).filename(":memory:"));
        prepare(&only, &failure, &options).await?;
        let only = Pool::Sqlite(only);
        let pools = Pools {
            readers: only.clone(),
            writer: only.clone(),
            domains: only,
        };
        Ok(Self::over(failure, pools, &options))
    }

    fn over(failure: Failure, pools: Pools, options: &SqliteOptions) -> Self {
        // A file answers or fails; the busy timeout bounds the wait for others.
        let patience = None;
        let turn = Turn::of_one_writer();
        Self::start(failure, pools, turn, patience, 1, options.queue)
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
    options: &SqliteOptions,
) -> Result<Migrations, StoreError> {
    let deadline = tokio::time::Instant::now() + options.busy_timeout;
    loop {
        let prepared = match Pool::Sqlite(writer.clone()).acquire().await {
            Ok(mut connection) => {
                schema::prepare(&mut connection, failure, options.migrations).await
            }
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
