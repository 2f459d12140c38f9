//! Transactions and reads of the domains beside the log.
//!
//! The log's writer has a connection of its own and remembers rows between its groups; these use others, so
//! that it notices ([`Connection::begin`]). On SQLite, where one writes at a time, both wait for the same
//! [`Turn`], which is fair and needs no polling.
//!
//! [`transact`] and [`read`] are macros where closures would stand: an async closure that borrows its
//! surroundings can't be sent between threads yet.

use crate::dialect::Connection;
use crate::store::{Database, SqlStore};
use open_cowork_providers::store::StoreError;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Runs a block in one write transaction: committed when it is `Ok`, rolled back else, and durable when it
/// returns. The block may run again when the database gave precedence to another transaction, so it has no
/// effect outside. Inside, `?` takes `sqlx::Error` and [`StoreError`].
///
/// ```ignore
/// let row = transact!(self, |connection| {
///     connection.query("INSERT … ON CONFLICT DO NOTHING").bind(id).execute().await?;
///     Ok(connection.query("SELECT …").bind(id).fetch_optional().await?)
/// })?;
/// ```
macro_rules! transact {
    ($store:expr, |$connection:ident| $body:block) => {{
        let store = $store;
        let mut attempts = 0;
        loop {
            let mut transaction = match store.begin().await {
                Ok(transaction) => transaction,
                Err(refused) => break Err(refused),
            };
            let Some($connection) = transaction.connection() else {
                break Err(open_cowork_providers::store::StoreError::Closed);
            };
            let done = store.bounded(async $body).await;
            attempts += 1;
            match store.end(transaction, done, attempts).await {
                std::ops::ControlFlow::Break(done) => break done,
                std::ops::ControlFlow::Continue(()) => {}
            }
        }
    }};
}

/// Runs a block on a connection for reading; `?` takes `sqlx::Error` and [`StoreError`]. What several
/// statements see may differ by what was committed between them.
macro_rules! read {
    ($store:expr, |$connection:ident| $body:block) => {{
        let store = $store;
        match store.reader().await {
            Ok(mut reader) => {
                let $connection = &mut reader;
                let done = store.bounded(async $body).await;
                store.read_done(reader, done)
            }
            Err(refused) => Err(refused),
        }
    }};
}

pub(crate) use {read, transact};

/// Why a block of [`transact`] or [`read`] ended early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The database.
    Sql(sqlx::Error),
    /// The rules.
    Refused(StoreError),
}

impl From<sqlx::Error> for Stop {
    fn from(error: sqlx::Error) -> Self {
        Stop::Sql(error)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Stop::Refused(error)
    }
}

/// Who writes now. Where the database has one write lock, a permit stands for it; elsewhere there is none.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    permit: Option<Arc<Semaphore>>,
    /// Transactions of [`transact`] so far; a database in memory has one connection, which doesn't notice its
    /// own writes.
    others: Arc<AtomicU64>,
}

impl Turn {
    pub(crate) fn of_one_writer() -> Self {
        Turn {
            permit: Some(Arc::new(Semaphore::new(1))),
            others: Arc::default(),
        }
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn of_many_writers() -> Self {
        Turn {
            permit: None,
            others: Arc::default(),
        }
    }

    /// Waits for the turn, which lasts until the value is dropped.
    pub(crate) async fn take(&self) -> Option<OwnedSemaphorePermit> {
        // Nobody closes it.
        self.permit.clone()?.acquire_owned().await.ok()
    }

    /// Grows whenever somebody else than the log's writer has written.
    pub(crate) fn others(&self) -> u64 {
        self.others.load(Ordering::Acquire)
    }
}

/// A write transaction that is under way.
pub(crate) struct Transaction {
    connection: Option<Connection>,
    others: Arc<AtomicU64>,
    turn: Option<OwnedSemaphorePermit>,
}

impl Transaction {
    pub(crate) fn connection(&mut self) -> Option<&mut Connection> {
        self.connection.as_mut()
    }
}

impl Drop for Transaction {
    /// Somebody gave up in the middle: the transaction must not live on in the pool.
    fn drop(&mut self) {
        self.others.fetch_add(1, Ordering::Release);
        let Some(connection) = self.connection.take() else {
            return;
        };
        let turn = self.turn.take();
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move {
                connection.roll_back(Some(GIVE_UP)).await;
                drop(turn);
            })),
            Err(_) => connection.discard(),
        }
    }
}

/// How often a transaction is tried that the database puts behind others.
const ATTEMPTS: u32 = 6;
/// The pause before the next attempt, times the attempts so far.
const PAUSE: Duration = Duration::from_millis(5);
/// How long the end of a transaction that nobody waits for may take.
const GIVE_UP: Duration = Duration::from_secs(5);

impl<D: Database> SqlStore<D> {
    pub(crate) async fn begin(&self) -> Result<Transaction, StoreError> {
        let turn = self.turn.take().await;
        let connection = self.domains.acquire().await;
        let mut connection = connection.map_err(|error| self.failure.of(&error))?;
        match self.bounded(async { Ok(connection.begin().await?) }).await {
            Some(Ok(_)) => Ok(Transaction {
                connection: Some(connection),
                others: self.turn.others.clone(),
                turn,
            }),
            Some(Err(stop)) => {
                connection.roll_back(self.patience).await;
                Err(self.refusal(stop))
            }
            None => {
                connection.discard();
                Err(self.failure.unavailable())
            }
        }
    }

    /// What came of a block; `None` when it took too long.
    pub(crate) async fn bounded<T>(
        &self,
        block: impl Future<Output = Result<T, Stop>>,
    ) -> Option<Result<T, Stop>> {
        match self.patience {
            Some(patience) => tokio::time::timeout(patience, block).await.ok(),
            None => Some(block.await),
        }
    }

    /// Commits or rolls back; `Continue`: it may get through when it is done again.
    pub(crate) async fn end<T>(
        &self,
        mut transaction: Transaction,
        done: Option<Result<T, Stop>>,
        attempts: u32,
    ) -> ControlFlow<Result<T, StoreError>> {
        let Some(mut connection) = transaction.connection.take() else {
            return ControlFlow::Break(Err(StoreError::Closed));
        };
        let ended = match done {
            Some(Ok(value)) => {
                let commit = async {
                    connection.run("COMMIT").await?;
                    Ok(value)
                };
                self.bounded(commit).await
            }
            stopped => stopped,
        };
        let stop = match ended {
            Some(Ok(value)) => return ControlFlow::Break(Ok(value)),
            Some(Err(stop)) => stop,
            None => {
                // Whether a commit got through is unknown.
                connection.discard();
                return ControlFlow::Break(Err(self.failure.unavailable()));
            }
        };
        connection.roll_back(self.patience).await;
        match stop {
            Stop::Sql(error) if self.failure.is_conflict(&error) && attempts < ATTEMPTS => {
                drop(transaction);
                tokio::time::sleep(PAUSE * attempts).await;
                ControlFlow::Continue(())
            }
            stop => ControlFlow::Break(Err(self.refusal(stop))),
        }
    }

    pub(crate) fn read_done<T>(
        &self,
        reader: Connection,
        done: Option<Result<T, Stop>>,
    ) -> Result<T, StoreError> {
        match done {
            Some(done) => done.map_err(|stop| self.refusal(stop)),
            None => {
                reader.discard();
                Err(self.failure.unavailable())
            }
        }
    }

    fn refusal(&self, stop: Stop) -> StoreError {
        match stop {
            Stop::Sql(error) => self.failure.of(&error),
            Stop::Refused(error) => error,
        }
    }
}
