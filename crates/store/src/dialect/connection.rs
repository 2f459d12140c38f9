//! One shape for the connections, statements and rows of both database libraries. An enum and not a trait:
//! the database is known when a store is opened, a `match` costs nothing beside a statement, and the code
//! above stays free of type parameters.

use super::Dialect;
#[cfg(feature = "postgres")]
use super::text;
use futures::TryStreamExt;
use futures::stream::{BoxStream, StreamExt};
use sqlx::error::BoxDynError;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, Row as _, SqlSafeStr, SqlStr, Sqlite, SqlitePool};
#[cfg(feature = "postgres")]
use sqlx::{
    PgPool, Postgres,
    postgres::{PgArguments, PgRow},
};
use std::time::Duration;

/// Connections of one store, for reading or for writing.
#[derive(Clone)]
pub(crate) enum Pool {
    Sqlite(SqlitePool),
    #[cfg(feature = "postgres")]
    Postgres(PgPool),
}

impl Pool {
    pub(crate) async fn acquire(&self) -> Result<Connection, sqlx::Error> {
        match self {
            Pool::Sqlite(pool) => Ok(Connection::Sqlite(pool.acquire().await?)),
            #[cfg(feature = "postgres")]
            Pool::Postgres(pool) => Ok(Connection::Postgres(acquire_unless_refused(pool).await?)),
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            Pool::Sqlite(pool) => pool.close().await,
            #[cfg(feature = "postgres")]
            Pool::Postgres(pool) => pool.close().await,
        }
    }
}

/// How often a server is asked whether it is there at all, while a connection is waited for.
#[cfg(feature = "postgres")]
const PROBE: Duration = Duration::from_millis(500);

/// A connection of the pool. The pool itself tries a server that refuses again and again until its timeout, which is
/// meant for a busy server; whoever waits for one that is gone is told at once.
#[cfg(feature = "postgres")]
async fn acquire_unless_refused(pool: &PgPool) -> Result<PoolConnection<Postgres>, sqlx::Error> {
    let acquiring = pool.acquire();
    tokio::pin!(acquiring);
    loop {
        tokio::select! {
            acquired = &mut acquiring => return acquired,
            () = tokio::time::sleep(PROBE) => {}
        }
        let options = pool.connect_options();
        let host = options.get_host();
        if options.get_socket().is_some() || host.starts_with('/') {
            continue;
        }
        let probe = tokio::net::TcpStream::connect((host, options.get_port()));
        if let Ok(Err(error)) = tokio::time::timeout(PROBE, probe).await
            && error.kind() == std::io::ErrorKind::ConnectionRefused
        {
            return Err(sqlx::Error::Io(error));
        }
    }
}

/// A connection, back in its pool when it is dropped.
pub(crate) enum Connection {
    Sqlite(PoolConnection<Sqlite>),
    #[cfg(feature = "postgres")]
    Postgres(PoolConnection<Postgres>),
}

impl Connection {
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Connection::Sqlite(_) => Dialect::Sqlite,
            #[cfg(feature = "postgres")]
            Connection::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Starts a transaction that will write.
    ///
    /// SQLite takes the write lock at once, which avoids deadlocks of two processes that both read first, and
    /// gives a number that stays as it is until another connection has written. On PostgreSQL others write at
    /// the same time, so there is no such number; and a server whose commits don't wait for the disk is told
    /// to wait for these.
    pub(crate) async fn begin(&mut self) -> Result<Option<i64>, sqlx::Error> {
        match self {
            Connection::Sqlite(connection) => {
                let version = sqlx::raw_sql("BEGIN IMMEDIATE; PRAGMA data_version")
                    .fetch_one(&mut **connection)
                    .await?;
                Ok(Some(version.try_get(0)?))
            }
            #[cfg(feature = "postgres")]
            Connection::Postgres(connection) => {
                let begin = "BEGIN; SELECT set_config('synchronous_commit', 'on', true) \
                             WHERE current_setting('synchronous_commit') = 'off'";
                sqlx::raw_sql(begin).execute(&mut **connection).await?;
                Ok(None)
            }
        }
    }

    /// Runs statements without parameters, such as `COMMIT` and DDL.
    pub(crate) async fn run(&mut self, sql: impl SqlSafeStr) -> Result<(), sqlx::Error> {
        let sql = sqlx::raw_sql(sql);
        match self {
            Connection::Sqlite(connection) => {
                sql.execute(&mut **connection).await?;
            }
            #[cfg(feature = "postgres")]
            Connection::Postgres(connection) => {
                sql.execute(&mut **connection).await?;
            }
        }
        Ok(())
    }

    /// A statement to give parameters to.
    pub(crate) fn query(&mut self, sql: impl SqlSafeStr) -> Query<'_> {
        let arguments = match self {
            Connection::Sqlite(_) => Arguments::Sqlite(SqliteArguments::default()),
            #[cfg(feature = "postgres")]
            Connection::Postgres(_) => Arguments::Postgres(PgArguments::default()),
        };
        Query {
            connection: self,
            sql: sql.into_sql_str(),
            arguments,
            refused: None,
        }
    }

    /// Ends a transaction without its changes and gives the connection back, if it is still good for anything.
    pub(crate) async fn roll_back(mut self, patience: Option<Duration>) {
        let rolling_back = self.run("ROLLBACK");
        let rolled_back = match patience {
            Some(patience) => tokio::time::timeout(patience, rolling_back).await.ok(),
            None => Some(rolling_back.await),
        };
        match (rolled_back, self.dialect()) {
            // SQLite refuses when an error has ended the transaction by itself.
            (Some(Ok(())), _) | (Some(Err(_)), Dialect::Sqlite) => {}
            _ => self.discard(),
        }
    }

    /// A `SELECT` that keeps its rows of the named table (or alias) from being changed by others until the end
    /// of the transaction. SQLite has locked the whole database by then.
    pub(crate) fn select_for_update(&mut self, sql: &'static str, table: &str) -> Query<'_> {
        self.select_locking(sql, table, "")
    }

    /// The same without the rows that others have locked.
    pub(crate) fn select_skip_locked(&mut self, sql: &'static str, table: &str) -> Query<'_> {
        self.select_locking(sql, table, " SKIP LOCKED")
    }

    #[cfg_attr(
        not(feature = "postgres"),
        allow(unused_variables, reason = "SQLite needs no lock on rows")
    )]
    fn select_locking(&mut self, sql: &'static str, table: &str, wait: &str) -> Query<'_> {
        match self.dialect() {
            Dialect::Sqlite => self.query(sql),
            // Texts of this crate.
            #[cfg(feature = "postgres")]
            Dialect::Postgres => self.query(sqlx::AssertSqlSafe(format!(
                "{sql} FOR NO KEY UPDATE OF {table}{wait}"
            ))),
        }
    }

    /// Closes it instead of giving it back: nobody knows in which state it is.
    pub(crate) fn discard(self) {
        match self {
            Connection::Sqlite(connection) => drop(connection.detach()),
            #[cfg(feature = "postgres")]
            Connection::Postgres(connection) => drop(connection.detach()),
        }
    }
}

/// A statement with its parameters.
#[must_use]
pub(crate) struct Query<'c> {
    connection: &'c mut Connection,
    sql: SqlStr,
    arguments: Arguments,
    /// The first parameter that couldn't be encoded.
    refused: Option<sqlx::Error>,
}

pub(crate) enum Arguments {
    Sqlite(SqliteArguments),
    #[cfg(feature = "postgres")]
    Postgres(PgArguments),
}

/// What can be bound to a statement.
pub(crate) trait Parameter {
    fn add_to(self, arguments: &mut Arguments) -> Result<(), BoxDynError>;
}

macro_rules! as_it_is {
    ($($kind:ty),*) => {
        $(impl Parameter for $kind {
            fn add_to(self, arguments: &mut Arguments) -> Result<(), BoxDynError> {
                match arguments {
                    Arguments::Sqlite(arguments) => arguments.add(self),
                    #[cfg(feature = "postgres")]
                    Arguments::Postgres(arguments) => arguments.add(self),
                }
            }
        })*
    };
}

as_it_is!(i64, Option<i64>, Vec<u8>, Option<Vec<u8>>);

macro_rules! as_text {
    ($($kind:ty: $text:ident => $escaped:expr),*) => {
        $(impl Parameter for $kind {
            fn add_to(self, arguments: &mut Arguments) -> Result<(), BoxDynError> {
                match arguments {
                    Arguments::Sqlite(arguments) => arguments.add(self),
                    #[cfg(feature = "postgres")]
                    Arguments::Postgres(arguments) => {
                        let $text = self;
                        arguments.add($escaped)
                    }
                }
            }
        })*
    };
}

as_text!(
    &str: it => text::escape(it),
    String: it => text::escape(&it),
    Option<&str>: it => it.map(text::escape),
    Option<String>: it => it.as_deref().map(text::escape)
);

impl<'c> Query<'c> {
    /// The next parameter.
    pub(crate) fn bind(mut self, value: impl Parameter) -> Self {
        self.add(value);
        self
    }

    /// The same, in place.
    pub(super) fn add(&mut self, value: impl Parameter) {
        if let Err(error) = value.add_to(&mut self.arguments) {
            self.refused.get_or_insert(sqlx::Error::Encode(error));
        }
    }

    /// A list for `= ANY($n)`, or the columns of an `UNNEST`.
    #[cfg(feature = "postgres")]
    pub(crate) fn bind_list<T>(mut self, values: Vec<T>) -> Self
    where
        Vec<T>: for<'q> sqlx::Encode<'q, Postgres> + sqlx::Type<Postgres>,
    {
        if let Arguments::Postgres(arguments) = &mut self.arguments
            && let Err(error) = arguments.add(values)
        {
            self.refused.get_or_insert(sqlx::Error::Encode(error));
        }
        self
    }

    /// How many rows it changed.
    pub(crate) async fn execute(self) -> Result<u64, sqlx::Error> {
        if let Some(error) = self.refused {
            return Err(error);
        }
        match (self.connection, self.arguments) {
            (Connection::Sqlite(connection), Arguments::Sqlite(arguments)) => {
                let done = sqlx::query_with(self.sql, arguments)
                    .execute(&mut **connection)
                    .await?;
                Ok(done.rows_affected())
            }
            #[cfg(feature = "postgres")]
            (Connection::Postgres(connection), Arguments::Postgres(arguments)) => {
                let done = sqlx::query_with(self.sql, arguments)
                    .execute(&mut **connection)
                    .await?;
                Ok(done.rows_affected())
            }
            #[cfg(feature = "postgres")]
            _ => Err(mixed()),
        }
    }

    /// The rows, one after the other.
    pub(crate) fn fetch(self) -> BoxStream<'c, Result<Row, sqlx::Error>> {
        if let Some(error) = self.refused {
            return futures::stream::once(std::future::ready(Err(error))).boxed();
        }
        match (self.connection, self.arguments) {
            (Connection::Sqlite(connection), Arguments::Sqlite(arguments)) => {
                sqlx::query_with(self.sql, arguments)
                    .fetch(&mut **connection)
                    .map_ok(Row::Sqlite)
                    .boxed()
            }
            #[cfg(feature = "postgres")]
            (Connection::Postgres(connection), Arguments::Postgres(arguments)) => {
                sqlx::query_with(self.sql, arguments)
                    .fetch(&mut **connection)
                    .map_ok(Row::Postgres)
                    .boxed()
            }
            #[cfg(feature = "postgres")]
            _ => futures::stream::once(std::future::ready(Err(mixed()))).boxed(),
        }
    }

    pub(crate) async fn fetch_optional(self) -> Result<Option<Row>, sqlx::Error> {
        // To the end, so that the connection is free for the next statement at once.
        let mut rows = self.fetch_all().await?;
        Ok(rows.pop())
    }

    pub(crate) async fn fetch_one(self) -> Result<Row, sqlx::Error> {
        self.fetch_optional().await?.ok_or(sqlx::Error::RowNotFound)
    }

    pub(crate) async fn fetch_all(self) -> Result<Vec<Row>, sqlx::Error> {
        self.fetch().try_collect().await
    }
}

/// [`Connection::query`] gives a connection arguments of its own kind.
#[cfg(feature = "postgres")]
fn mixed() -> sqlx::Error {
    sqlx::Error::Protocol("a statement of one database reached another".into())
}

/// A row of an answer. Columns count from 0.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    #[cfg(feature = "postgres")]
    Postgres(PgRow),
}

macro_rules! getters {
    ($($(#[$doc:meta])* $name:ident -> $kind:ty;)*) => {
        $($(#[$doc])*
        pub(crate) fn $name(&self, column: usize) -> Result<$kind, sqlx::Error> {
            match self {
                Row::Sqlite(row) => row.try_get(column),
                #[cfg(feature = "postgres")]
                Row::Postgres(row) => row.try_get(column),
            }
        })*
    };
}

impl Row {
    getters! {
        int -> i64;
        optional_int -> Option<i64>;
        optional_bytes -> Option<&[u8]>;
        /// Text as it is stored: for JSON, which never holds a bare control character, and for names of ours.
        stored -> &str;
        optional_stored -> Option<&str>;
    }

    pub(crate) fn text(&self, column: usize) -> Result<String, sqlx::Error> {
        self.optional_text(column)?
            .ok_or_else(|| undecodable(column))
    }

    pub(crate) fn optional_text(&self, column: usize) -> Result<Option<String>, sqlx::Error> {
        match self {
            Row::Sqlite(row) => row.try_get(column),
            #[cfg(feature = "postgres")]
            Row::Postgres(row) => {
                let Some(escaped) = row.try_get::<Option<&str>, _>(column)? else {
                    return Ok(None);
                };
                let text = text::unescape(escaped).ok_or_else(|| undecodable(column))?;
                Ok(Some(text.into_owned()))
            }
        }
    }

    /// A number that is never negative.
    pub(crate) fn unsigned(&self, column: usize) -> Result<u64, sqlx::Error> {
        u64::try_from(self.int(column)?).map_err(|_| undecodable(column))
    }
}

/// A value that this program never writes: [`crate::failure::Failure::of`] calls the database corrupt.
pub(crate) fn undecodable(column: usize) -> sqlx::Error {
    sqlx::Error::Decode(
        format!("column {column} holds a value that this program never writes").into(),
    )
}
