//! Everything that differs between databases. The rest of the crate is SQL that SQLite and PostgreSQL both
//! read: `$n` parameters, `ON CONFLICT DO NOTHING`, partial indexes, `COALESCE`.
//!
//! A PostgreSQL store needs its own version of this file: `BIGINT` and `BYTEA` in the DDL, `strpos` for
//! [`CONTAINS`], `BEGIN` with a row lock on the session instead of [`BEGIN_WRITE`], `information_schema`
//! instead of `sqlite_master`.

/// Starts a transaction that will write, and gives a number that changes whenever another connection has
/// written. Taking the write lock at once avoids deadlocks of two processes that both read first, and keeps
/// the number true until the end of the transaction.
pub(crate) const BEGIN_WRITE: &str = "BEGIN IMMEDIATE; PRAGMA data_version";

/// The parameter of that position (from 1) in a long list of rows. Where a database looks numbered ones up by
/// name, that takes longer than the insert.
pub(crate) fn parameter(_position: usize) -> String {
    "?".to_owned()
}

/// Tables that are not ours, to refuse a file of another program.
pub(crate) const COUNT_TABLES: &str = "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";

/// Whether our own table of migrations exists.
pub(crate) const HAS_MIGRATIONS: &str =
    "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'schema_migrations'";

/// Row filter: the folded text of a session contains parameter 5 (null: no filter).
pub(crate) const CONTAINS: &str = "($5 IS NULL OR instr(s.search, $5) > 0)";

/// The statements of a migration in this dialect.
pub(crate) fn statements(migration: &str) -> Vec<String> {
    let plain: String = migration
        .lines()
        .filter(|line| !line.trim_start().starts_with("--"))
        .collect::<Vec<_>>()
        .join("\n");
    let sql = plain.replace("{key}", "INTEGER").replace("{bytes}", "BLOB");
    sql.split(';')
        .map(str::trim)
        .filter(|statement| !statement.is_empty())
        .map(str::to_owned)
        .collect()
}
