//! Versioned forward migrations. Safe to run twice and from two processes: everything happens in one write
//! transaction, and whoever comes second finds it done.

use crate::dialect;
use crate::failure::Failure;
use open_cowork_providers::store::StoreError;
use sqlx::{AssertSqlSafe, SqliteConnection};

/// All migrations in order; the version is the position, from 1. Never change one that was released.
const MIGRATIONS: &[&str] = &[include_str!("migrations/0001_threads.sql")];

/// Brings the database to this program's version. [`StoreError::NewerSchema`] and [`StoreError::ForeignSchema`]
/// leave it untouched.
pub(crate) async fn migrate(
    connection: &mut SqliteConnection,
    failure: &Failure,
) -> Result<(), StoreError> {
    sqlx::raw_sql(dialect::BEGIN_WRITE)
        .execute(&mut *connection)
        .await
        .map_err(|error| failure.of(&error))?;
    let migrated = migrate_in_transaction(connection, failure).await;
    let end = if migrated.is_ok() {
        "COMMIT"
    } else {
        "ROLLBACK"
    };
    let ended = sqlx::query(end).execute(&mut *connection).await;
    migrated?;
    ended.map_err(|error| failure.of(&error))?;
    Ok(())
}

async fn migrate_in_transaction(
    connection: &mut SqliteConnection,
    failure: &Failure,
) -> Result<(), StoreError> {
    let of = |error: sqlx::Error| failure.of(&error);
    let ours: i64 = sqlx::query_scalar(dialect::HAS_MIGRATIONS)
        .fetch_one(&mut *connection)
        .await
        .map_err(of)?;
    if ours == 0 {
        let tables: i64 = sqlx::query_scalar(dialect::COUNT_TABLES)
            .fetch_one(&mut *connection)
            .await
            .map_err(of)?;
        if tables > 0 {
            return Err(StoreError::ForeignSchema {
                path: failure.path().to_owned(),
            });
        }
        let create = "CREATE TABLE schema_migrations (version BIGINT NOT NULL PRIMARY KEY)";
        sqlx::query(create)
            .execute(&mut *connection)
            .await
            .map_err(of)?;
    }
    let found: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM schema_migrations")
        .fetch_one(&mut *connection)
        .await
        .map_err(of)?;
    let known = MIGRATIONS.len() as i64;
    if found > known {
        return Err(StoreError::NewerSchema {
            path: failure.path().to_owned(),
            found,
            known,
        });
    }
    for (migration, version) in MIGRATIONS
        .iter()
        .zip(1i64..)
        .filter(|(_, version)| *version > found)
    {
        for statement in dialect::statements(migration) {
            // The text is this crate's own file.
            sqlx::query(AssertSqlSafe(statement))
                .execute(&mut *connection)
                .await
                .map_err(of)?;
        }
        let insert = "INSERT INTO schema_migrations (version) VALUES ($1)";
        sqlx::query(insert)
            .bind(version)
            .execute(&mut *connection)
            .await
            .map_err(of)?;
    }
    Ok(())
}
