//! The control-plane store on SQL: SQLite today, PostgreSQL behind the same trait.
