//! The control-plane store on SQL: one implementation for SQLite and PostgreSQL.
//!
//! | module | holds |
//! |---|---|
//! | [`store`] | [`SqlStore`]: the traits, over whichever database |
//! | [`sqlite`] | [`SqliteStore`]: open, options |
//! | `postgres` | (feature `postgres`) `PostgresStore`: open, options |
//! | `bus` | (feature `postgres`) [`PostgresBus`]: wake-ups between processes |
//! | `writer` | the tasks that write: group commit |
//! | `group` | what one transaction knows and changes |
//! | `insert` | multi-row writes at the end of a group |
//! | `read` | rows and queries |
//! | `schema` | versioned forward migrations |
//! | `owner` | the numbers of tenants and users |
//! | `transaction` | transactions and reads of the domains |
//! | `domain` | the domains beside the log, one file each |
//! | `dialect` | everything that differs between databases |
//! | `compact` | event ids and times in few bytes |
//! | `failure` | database errors as [`StoreError`](open_cowork_providers::store::StoreError) |
//!
//! Layout (docs/contract/04-control-plane.md §10): tenants, users and sessions have small numbers, and every
//! key starts with the tenant's, so that rows are short and a deployment can be cut by tenant. A session event
//! and its workspace event are **one row** of `events` with two sequences; no payload is stored twice.

#[cfg(feature = "postgres")]
pub mod bus;
#[cfg(feature = "postgres")]
pub mod clock;
mod compact;
mod dialect;
mod domain;
mod failure;
mod group;
mod insert;
mod owner;
#[cfg(feature = "postgres")]
pub mod postgres;
mod read;
mod schema;
pub mod sqlite;
pub mod store;
mod transaction;
mod writer;

#[cfg(feature = "postgres")]
pub use bus::PostgresBus;
#[cfg(feature = "postgres")]
pub use clock::ServerClock;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresOptions, PostgresStore, SchemaName, ServerTimeouts};
pub use schema::{Migrations, RunMigrations};
pub use sqlite::{SqliteOptions, SqliteStore};
pub use store::SqlStore;
