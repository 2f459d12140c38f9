//! Versioned forward migrations. Safe to run twice and from two processes: everything happens in one write
//! transaction, under a lock, and whoever comes second finds it done.

use crate::dialect::Connection;
use crate::failure::Failure;
use open_cowork_providers::store::StoreError;
use sqlx::AssertSqlSafe;

/// All migrations in order; the version is the position, from 1. Never change one that was released.
const MIGRATIONS: &[&str] = &[include_str!("migrations/0001_threads.sql")];

/// Brings the database to this program's version. [`StoreError::NewerSchema`] and [`StoreError::ForeignSchema`]
/// leave it untouched.
pub(crate) async fn migrate(
    connection: &mut Connection,
    failure: &Failure,
) -> Result<(), StoreError> {
    let of = |error: sqlx::Error| failure.of(&error);
    connection.begin().await.map_err(of)?;
    let migrated = migrate_in_transaction(connection, failure).await;
    let end = if migrated.is_ok() {
        "COMMIT"
    } else {
        "ROLLBACK"
    };
    let ended = connection.run(end).await;
    migrated?;
    ended.map_err(of)
}

async fn migrate_in_transaction(
    connection: &mut Connection,
    failure: &Failure,
) -> Result<(), StoreError> {
    let of = |error: sqlx::Error| failure.of(&error);
    let dialect = connection.dialect();
    if let Some(lock) = dialect.lock_migrations() {
        connection.run(lock).await.map_err(of)?;
    }
    if count(connection, dialect.has_migrations())
        .await
        .map_err(of)?
        == 0
    {
        if count(connection, dialect.count_tables())
            .await
            .map_err(of)?
            > 0
        {
            return Err(StoreError::ForeignSchema {
                path: failure.place().to_owned(),
            });
        }
        let create = "CREATE TABLE schema_migrations (version BIGINT NOT NULL PRIMARY KEY)";
        connection.run(create).await.map_err(of)?;
    }
    let newest = "SELECT COALESCE(MAX(version), 0) FROM schema_migrations";
    let found = count(connection, newest).await.map_err(of)?;
    let known = MIGRATIONS.len() as i64;
    if found > known {
        return Err(StoreError::NewerSchema {
            path: failure.place().to_owned(),
            found,
            known,
        });
    }
    for (migration, version) in MIGRATIONS
        .iter()
        .zip(1i64..)
        .filter(|(_, version)| *version > found)
    {
        for statement in dialect.statements(migration) {
            // The text is this crate's own file.
            connection.run(AssertSqlSafe(statement)).await.map_err(of)?;
        }
        let insert = "INSERT INTO schema_migrations (version) VALUES ($1)";
        let inserted = connection.query(insert).bind(version).execute().await;
        inserted.map_err(of)?;
    }
    Ok(())
}

async fn count(connection: &mut Connection, sql: &'static str) -> Result<i64, sqlx::Error> {
    connection.query(sql).fetch_one().await?.int(0)
}
