//! Versioned forward migrations. Safe to run twice and from two processes: everything happens in one write
//! transaction, under a lock, and whoever comes second finds it done.

use crate::dialect::Connection;
use crate::failure::Failure;
use open_cowork_providers::store::StoreError;
use sqlx::AssertSqlSafe;

/// All migrations in order; the version is the position, from 1. Never change one that was released.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_threads.sql"),
    include_str!("migrations/0002_execution.sql"),
    include_str!("migrations/0003_governance.sql"),
    include_str!("migrations/0004_product.sql"),
    include_str!("migrations/0005_channels.sql"),
    include_str!("migrations/0006_epoch.sql"),
    include_str!("migrations/0007_retention.sql"),
];

/// How far a database's schema is (04 §10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrations {
    /// Version before; 0 for an empty database.
    pub found: u32,
    /// Version now.
    pub reached: u32,
    /// Version that this program needs.
    pub known: u32,
}

impl Migrations {
    /// How many were applied by this call.
    pub fn applied(&self) -> u32 {
        self.reached - self.found
    }

    /// How many are missing.
    pub fn pending(&self) -> u32 {
        self.known.saturating_sub(self.reached)
    }
}

/// What to do about missing migrations when a store is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunMigrations {
    /// Apply them.
    #[default]
    Yes,
    /// Refuse with [`StoreError::Unmigrated`]: somebody else applies them, with rights of his own.
    No,
}

/// Brings the database to this program's version. [`StoreError::NewerSchema`] and [`StoreError::ForeignSchema`]
/// leave it untouched.
pub(crate) async fn migrate(
    connection: &mut Connection,
    failure: &Failure,
) -> Result<Migrations, StoreError> {
    let of = |error: sqlx::Error| failure.of(&error);
    connection.begin().await.map_err(of)?;
    let migrated = migrate_in_transaction(connection, failure).await;
    let end = if migrated.is_ok() {
        "COMMIT"
    } else {
        "ROLLBACK"
    };
    let ended = connection.run(end).await;
    let migrations = migrated?;
    ended.map_err(of)?;
    Ok(migrations)
}

/// How far the database is, without a change. [`StoreError::NewerSchema`], [`StoreError::ForeignSchema`].
pub(crate) async fn inspect(
    connection: &mut Connection,
    failure: &Failure,
) -> Result<Migrations, StoreError> {
    let found = match has_migrations(connection, failure).await? {
        true => version(connection, failure).await?,
        false => 0,
    };
    Ok(Migrations {
        found,
        reached: found,
        known: KNOWN,
    })
}

const KNOWN: u32 = MIGRATIONS.len() as u32;

/// Applies what is missing, or refuses.
pub(crate) async fn prepare(
    connection: &mut Connection,
    failure: &Failure,
    run: RunMigrations,
) -> Result<Migrations, StoreError> {
    if run == RunMigrations::Yes {
        return migrate(connection, failure).await;
    }
    let migrations = inspect(connection, failure).await?;
    match migrations.pending() {
        0 => Ok(migrations),
        _ => Err(StoreError::Unmigrated {
            path: failure.place().to_owned(),
            found: i64::from(migrations.found),
            known: i64::from(KNOWN),
        }),
    }
}

/// Whether our table of migrations is there; [`StoreError::ForeignSchema`] for tables without it.
async fn has_migrations(
    connection: &mut Connection,
    failure: &Failure,
) -> Result<bool, StoreError> {
    let of = |error: sqlx::Error| failure.of(&error);
    let dialect = connection.dialect();
    let ours = count(connection, dialect.has_migrations())
        .await
        .map_err(of)?;
    if ours > 0 {
        return Ok(true);
    }
    match count(connection, dialect.count_tables())
        .await
        .map_err(of)?
    {
        0 => Ok(false),
        _ => Err(foreign(failure)),
    }
}

fn foreign(failure: &Failure) -> StoreError {
    StoreError::ForeignSchema {
        path: failure.place().to_owned(),
    }
}

async fn version(connection: &mut Connection, failure: &Failure) -> Result<u32, StoreError> {
    let newest = "SELECT COALESCE(MAX(version), 0) FROM schema_migrations";
    let found = match count(connection, newest).await {
        Ok(found) => found,
        // A table of that name whose versions are no numbers isn't ours.
        Err(sqlx::Error::Database(_) | sqlx::Error::ColumnDecode { .. }) => {
            return Err(foreign(failure));
        }
        Err(error) => return Err(failure.of(&error)),
    };
    match u32::try_from(found) {
        Ok(found) if found <= KNOWN => Ok(found),
        _ => Err(StoreError::NewerSchema {
            path: failure.place().to_owned(),
            found,
            known: i64::from(KNOWN),
        }),
    }
}

async fn migrate_in_transaction(
    connection: &mut Connection,
    failure: &Failure,
) -> Result<Migrations, StoreError> {
    let of = |error: sqlx::Error| failure.of(&error);
    let dialect = connection.dialect();
    if let Some(lock) = dialect.lock_migrations() {
        connection.run(lock).await.map_err(of)?;
    }
    if !has_migrations(connection, failure).await? {
        let create = "CREATE TABLE schema_migrations (version BIGINT NOT NULL PRIMARY KEY)";
        connection.run(create).await.map_err(of)?;
    }
    let found = version(connection, failure).await?;
    for (migration, version) in MIGRATIONS.iter().zip(1u32..) {
        if version <= found {
            continue;
        }
        for statement in dialect.statements(migration) {
            // The text is this crate's own file.
            connection.run(AssertSqlSafe(statement)).await.map_err(of)?;
        }
        let insert = "INSERT INTO schema_migrations (version) VALUES ($1)";
        let insert = connection.query(insert).bind(i64::from(version));
        insert.execute().await.map_err(of)?;
    }
    Ok(Migrations {
        found,
        reached: KNOWN,
        known: KNOWN,
    })
}

async fn count(connection: &mut Connection, sql: &'static str) -> Result<i64, sqlx::Error> {
    connection.query(sql).fetch_one().await?.int(0)
}
