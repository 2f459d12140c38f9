//! The store on PostgreSQL.

use crate::dialect::{Connection, Pool};
use crate::failure::Failure;
use crate::schema::{self, Migrations, RunMigrations};
use crate::store::{Database, Pools, SqlStore, sealed};
use crate::transaction::{Turn, read};
use open_cowork_providers::store::StoreError;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection as _};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How a database is opened.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// The schema that holds the tables; made if missing. Others may use the rest of the database.
    pub schema: SchemaName,
    /// Connections for reading.
    pub readers: u32,
    /// Connections that write the log, one group each at the same time; a session's events all go over the same.
    pub log_writers: u32,
    /// Connections for the transactions of the domains, beside those that write the log.
    pub writers: u32,
    /// How long to try to get a connection before the store is [`StoreError::Unavailable`].
    pub connect_timeout: Duration,
    /// How long an answer may take before the store is [`StoreError::Unavailable`].
    pub patience: Duration,
    /// An unused connection is closed after that; `None`: never.
    pub idle_timeout: Option<Duration>,
    /// What the server bounds by itself.
    pub server: ServerTimeouts,
    /// Requests that may wait for each log writer; callers beyond that wait themselves.
    pub queue: usize,
    /// Whether to make the schema and bring it up to date.
    pub migrations: RunMigrations,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        PostgresOptions {
            schema: SchemaName::default(),
            readers: 4,
            log_writers: 2,
            writers: 4,
            connect_timeout: Duration::from_secs(5),
            patience: Duration::from_secs(30),
            idle_timeout: Some(Duration::from_secs(30)),
            server: ServerTimeouts::default(),
            queue: 1024,
            migrations: RunMigrations::Yes,
        }
    }
}

impl PostgresOptions {
    /// The same with at most so many connections, at least one for each purpose.
    #[must_use]
    pub fn within(self, connections: u32) -> Self {
        let log_writers = if connections < 6 { 1 } else { 2 };
        let rest = connections.saturating_sub(log_writers);
        let writers = (rest / 2).max(1);
        PostgresOptions {
            log_writers,
            writers,
            readers: rest.saturating_sub(writers).max(1),
            ..self
        }
    }
}

/// Where the server gives up by itself, so that what nobody waits for anymore, and a transaction whose process is
/// gone without a word, doesn't keep rows locked for others. `None` is off, whatever the server's own default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerTimeouts {
    /// One statement.
    pub statement: Option<Duration>,
    /// A transaction that does nothing.
    pub idle_transaction: Option<Duration>,
    /// Waiting for a lock.
    pub lock: Option<Duration>,
}

impl Default for ServerTimeouts {
    fn default() -> Self {
        ServerTimeouts {
            statement: Some(Duration::from_secs(30)),
            idle_transaction: Some(Duration::from_secs(120)),
            lock: None,
        }
    }
}

impl ServerTimeouts {
    /// As the server's parameters, in milliseconds; 0 is off.
    fn parameters(self) -> [(&'static str, String); 3] {
        // Its parameters are 32 bits wide.
        let millis = |time: Option<Duration>| {
            let millis = time.map_or(0, |time| time.as_millis().clamp(1, i32::MAX as u128));
            millis.to_string()
        };
        [
            ("statement_timeout", millis(self.statement)),
            (
                "idle_in_transaction_session_timeout",
                millis(self.idle_transaction),
            ),
            ("lock_timeout", millis(self.lock)),
        ]
    }
}

/// The name of a schema that needs no quotes: lower-case ASCII letters, digits and `_`, at most 63, no digit
/// first. Default: `open_cowork`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaName(String);

impl SchemaName {
    /// `None` for any other name, and for the names that PostgreSQL keeps for itself (`pg_…`).
    pub fn parse(name: &str) -> Option<Self> {
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        let fits = (1..=63).contains(&name.len())
            && !name.starts_with(|first: char| first.is_ascii_digit())
            && !name.starts_with("pg_")
            && name.bytes().all(plain);
        fits.then(|| SchemaName(name.to_owned()))
    }
}

impl Default for SchemaName {
    fn default() -> Self {
        SchemaName("open_cowork".to_owned())
    }
}

impl fmt::Display for SchemaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// PostgreSQL, for [`PostgresStore`].
#[derive(Debug)]
pub enum Postgres {}

impl sealed::Sealed for Postgres {}
impl Database for Postgres {}

/// A store in one schema of a PostgreSQL database, durable at every `Ok`. Any number of processes may use the
/// same schema at once: sequences are given out under row locks
/// (docs/decisions/0010-one-store-for-two-databases.md).
///
/// A server that goes away makes requests [`StoreError::Unavailable`]; connections are made anew when it is
/// back. Whether a request that was under way then is stored is unknown until it is repeated: an event with an
/// id is stored once however often it is sent.
pub type PostgresStore = SqlStore<Postgres>;

/// An idle connection of that age is asked for a sign of life before it is used.
const IDLE: Duration = Duration::from_secs(1);

impl SqlStore<Postgres> {
    /// Connects to `postgresql://user:password@host:port/database?sslmode=…` and brings the schema up to date.
    /// What the URL doesn't say comes from the usual variables (`PGHOST`, `PGPASSFILE`, …); its
    /// `application_name` is what the server calls us. TLS needs the feature `postgres-tls`. No error, log or `Debug` shows the user's name or password of the URL.
    ///
    /// [`StoreError::Denied`] also for a URL that can't be read; [`StoreError::Unavailable`],
    /// [`StoreError::NewerSchema`], [`StoreError::ForeignSchema`], [`StoreError::Unmigrated`].
    pub async fn open(url: &SecretString, options: PostgresOptions) -> Result<Self, StoreError> {
        let (connect, failure) = reach(url, &options)?;
        let log_writers = options.log_writers.max(1);
        let writer = pool(log_writers, &options).connect_lazy_with(connect.clone());
        let writer = Pool::Postgres(writer);
        let preparing = prepare(&writer, &failure, &options);
        match tokio::time::timeout(options.patience, preparing).await {
            Ok(prepared) => drop(prepared?),
            Err(_) => return Err(failure.unavailable()),
        }
        let domains = pool(options.writers.max(1), &options).connect_lazy_with(connect.clone());
        let readers = pool(options.readers.max(1), &options)
            .connect_lazy_with(connect.options([("default_transaction_read_only", "on")]));
        let pools = Pools {
            readers: Pool::Postgres(readers),
            writer,
            domains: Pool::Postgres(domains),
        };
        let patience = Some(options.patience);
        Ok(Self::start(
            failure,
            pools,
            Turn::of_many_writers(),
            patience,
            log_writers as usize,
            options.queue,
        ))
    }
}

impl SqlStore<Postgres> {
    /// The server's time, in microseconds since 1970; see [`crate::ServerClock`].
    pub(crate) async fn server_time(&self) -> Result<i64, StoreError> {
        read!(self, |connection| {
            let now = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)";
            Ok(connection.query(now).fetch_one().await?.int(0)?)
        })
    }

    /// Brings the schema up to date, made if missing, and closes the connection: what
    /// [`PostgresStore::open`](SqlStore::open) does with [`RunMigrations::Yes`], as a step of its own, so that
    /// only this step needs the rights. Safe to run twice and from two processes. The same errors. It may take
    /// as long as it takes: no statement is given up.
    pub async fn migrate(
        url: &SecretString,
        options: PostgresOptions,
    ) -> Result<Migrations, StoreError> {
        let options = PostgresOptions {
            migrations: RunMigrations::Yes,
            ..options
        };
        Self::alone(url, options).await
    }

    /// How far the schema is, without a change. The same errors.
    pub async fn migrations(
        url: &SecretString,
        options: PostgresOptions,
    ) -> Result<Migrations, StoreError> {
        let (connect, failure) = reach(url, &options)?;
        let reader = Pool::Postgres(pool(1, &options).connect_lazy_with(connect));
        let migrations = match reader.acquire().await {
            Ok(mut connection) => schema::inspect(&mut connection, &failure).await,
            Err(error) => Err(failure.of(&error)),
        };
        reader.close().await;
        migrations
    }

    async fn alone(url: &SecretString, options: PostgresOptions) -> Result<Migrations, StoreError> {
        let options = PostgresOptions {
            server: ServerTimeouts {
                statement: None,
                ..options.server
            },
            ..options
        };
        let (connect, failure) = reach(url, &options)?;
        let writer = Pool::Postgres(pool(1, &options).connect_lazy_with(connect));
        let migrations = prepare(&writer, &failure, &options).await;
        writer.close().await;
        migrations
    }
}

/// How to connect to the schema, and how its errors are told.
fn reach(
    url: &SecretString,
    options: &PostgresOptions,
) -> Result<(PgConnectOptions, Failure), StoreError> {
    let connect = connect_options(url)?
        .options([("search_path", &options.schema)])
        .options(options.server.parameters());
    let failure = Failure::of_server(address(&connect, &options.schema));
    Ok((connect, failure))
}

/// What a URL says.
pub(crate) fn connect_options(url: &SecretString) -> Result<PgConnectOptions, StoreError> {
    let parsed = PgConnectOptions::from_str(url.expose_secret());
    let connect = parsed.map_err(|_| {
        // The reason may quote the URL.
        StoreError::Denied {
            place: "The address of the PostgreSQL database".to_owned(),
            reason: "it is not of the form postgresql://user@host:port/database".to_owned(),
        }
    })?;
    Ok(match connect.get_application_name() {
        Some(_) => connect,
        None => connect.application_name("open-cowork"),
    })
}

/// Where the tables are, without user and password.
fn address(connect: &PgConnectOptions, schema: &SchemaName) -> String {
    let host = match connect.get_socket() {
        Some(folder) => folder.display().to_string(),
        None => format!("{}:{}", connect.get_host(), connect.get_port()),
    };
    let database = connect.get_database().unwrap_or_default();
    format!("postgresql://{host}/{database}?schema={schema}")
}

fn pool(size: u32, options: &PostgresOptions) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(options.connect_timeout)
        .idle_timeout(options.idle_timeout)
        .test_before_acquire(false)
        .before_acquire(|connection, idle| {
            Box::pin(async move {
                if idle.idle_for < IDLE {
                    return Ok(true);
                }
                // Gone: the pool makes another one.
                Ok(connection.ping().await.is_ok())
            })
        })
}

/// Makes the schema and its tables, or looks that they are there.
async fn prepare(
    writer: &Pool,
    failure: &Failure,
    options: &PostgresOptions,
) -> Result<Migrations, StoreError> {
    let of = |error: sqlx::Error| failure.of(&error);
    let mut connection = writer.acquire().await.map_err(of)?;
    if options.migrations == RunMigrations::Yes {
        let made = make_schema(&mut connection, &options.schema).await;
        made.map_err(of)?;
    }
    schema::prepare(&mut connection, failure, options.migrations).await
}

async fn make_schema(connection: &mut Connection, name: &SchemaName) -> Result<(), sqlx::Error> {
    let there = "SELECT COUNT(*) FROM pg_catalog.pg_namespace WHERE nspname = $1";
    let there = connection.query(there).bind(name.0.as_str());
    if there.fetch_one().await?.int(0)? > 0 {
        // Asking first: to make one needs a right that a user of a ready schema needn't have.
        return Ok(());
    }
    // Two processes that both make it: the lock lets one after the other. The name is a plain word.
    let lock = connection.dialect().lock_migrations().unwrap_or_default();
    let make = format!("BEGIN; {lock}; CREATE SCHEMA IF NOT EXISTS {name}; COMMIT");
    connection.run(AssertSqlSafe(make)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_schemas() {
        for name in ["open_cowork", "_x1", &"a".repeat(63)] {
            assert!(SchemaName::parse(name).is_some(), "{name}");
        }
        for name in [
            "",
            "1x",
            "pg_catalog",
            "a b",
            "A",
            "ä",
            "x;y",
            "x\"y",
            &"a".repeat(64),
        ] {
            assert_eq!(SchemaName::parse(name), None, "{name}");
        }
    }

    #[test]
    fn connections_are_shared_out_and_never_more_than_that() {
        for most in 0..40 {
            let options = PostgresOptions::default().within(most);
            let PostgresOptions {
                readers,
                log_writers,
                writers,
                ..
            } = options;
            assert!(readers > 0 && log_writers > 0 && writers > 0);
            assert_eq!(readers + log_writers + writers, most.max(3));
        }
        let usual = PostgresOptions::default().within(10);
        assert_eq!((usual.log_writers, usual.writers, usual.readers), (2, 4, 4));
    }

    #[test]
    fn an_address_names_neither_user_nor_password() {
        let url = "postgresql://alice:hunter2@db.internal:6432/threads";
        let connect = PgConnectOptions::from_str(url).unwrap();
        assert_eq!(
            address(&connect, &SchemaName::default()),
            "postgresql://db.internal:6432/threads?schema=open_cowork"
        );
    }

    async fn opened(
        url: &SecretString,
        change: impl FnOnce(&mut PostgresOptions),
    ) -> PostgresStore {
        let schema = SchemaName::parse("shown").unwrap();
        let mut options = PostgresOptions {
            schema,
            ..PostgresOptions::default()
        };
        change(&mut options);
        PostgresStore::open(url, options).await.unwrap()
    }

    /// What a connection of the store says to `SHOW name` inside a writing transaction.
    async fn shown(url: &SecretString, name: &'static str) -> String {
        let store = opened(url, |_| {}).await;
        setting(&store, name).await
    }

    async fn setting(store: &PostgresStore, name: &'static str) -> String {
        let mut connection = store.writer.acquire().await.unwrap();
        connection.begin().await.unwrap();
        let row = connection.query("SELECT current_setting($1)").bind(name);
        row.fetch_one().await.unwrap().text(0).unwrap()
    }

    #[tokio::test]
    async fn a_server_that_doesnt_wait_for_its_disk_is_told_to() {
        let server = open_cowork_testkit::postgres::Postgres::shared()
            .await
            .unwrap();
        let set = async |value: &str| {
            let mut admin = sqlx::PgConnection::connect(&server.url()).await.unwrap();
            let set = format!("ALTER ROLE postgres SET synchronous_commit = {value}");
            sqlx::raw_sql(AssertSqlSafe(set))
                .execute(&mut admin)
                .await
                .unwrap();
        };
        let url = server.url().into();
        set("off").await;
        assert_eq!(shown(&url, "synchronous_commit").await, "on");
        set("remote_apply").await;
        let stronger = shown(&url, "synchronous_commit").await;
        assert_eq!(stronger, "remote_apply", "what is stronger stays");
        assert_eq!(shown(&url, "statement_timeout").await, "30s");
    }

    #[tokio::test]
    async fn the_server_gives_up_when_it_is_told_to() {
        let server = open_cowork_testkit::postgres::Postgres::shared()
            .await
            .unwrap();
        let url: SecretString = format!("{}?application_name=cowork-7", server.url()).into();
        let told = opened(&url, |options| {
            options.server = ServerTimeouts {
                statement: Some(Duration::from_millis(1500)),
                idle_transaction: Some(Duration::from_secs(7)),
                lock: Some(Duration::from_millis(250)),
            };
        })
        .await;
        for (name, value) in [
            ("statement_timeout", "1500ms"),
            ("idle_in_transaction_session_timeout", "7s"),
            ("lock_timeout", "250ms"),
            ("application_name", "cowork-7"),
        ] {
            assert_eq!(setting(&told, name).await, value, "{name}");
        }
        let off = opened(&url, |options| {
            options.server = ServerTimeouts {
                statement: None,
                idle_transaction: None,
                lock: None,
            };
        })
        .await;
        for name in [
            "statement_timeout",
            "idle_in_transaction_session_timeout",
            "lock_timeout",
        ] {
            assert_eq!(setting(&off, name).await, "0", "{name}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_nobody_uses_is_closed() {
        let server = open_cowork_testkit::postgres::Postgres::shared()
            .await
            .unwrap();
        let url: SecretString = format!("{}?application_name=cowork-idle", server.url()).into();
        let store = opened(&url, |options| {
            options.idle_timeout = Some(Duration::from_millis(50));
        })
        .await;
        drop(store.writer.acquire().await.unwrap());
        let mut admin = sqlx::PgConnection::connect(&server.url()).await.unwrap();
        let gone = async {
            loop {
                let count =
                    "SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = 'cowork-idle'";
                let count: i64 = sqlx::query_scalar(count)
                    .fetch_one(&mut admin)
                    .await
                    .unwrap();
                if count == 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let closed = tokio::time::timeout(Duration::from_secs(20), gone).await;
        assert!(closed.is_ok(), "it is kept");
    }
}
