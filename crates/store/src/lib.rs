//! The control-plane store on SQL: SQLite today, PostgreSQL behind the same traits.
//!
//! | module | holds |
//! |---|---|
//! | [`sqlite`] | [`SqliteStore`]: open, close, options |
//! | `writer` | the one task that writes: group commit |
//! | `group` | what one transaction knows and changes |
//! | `insert` | multi-row inserts of events |
//! | `read` | rows and queries |
//! | `schema` | versioned forward migrations |
//! | `dialect` | everything that differs between databases |
//! | `compact` | event ids and times in few bytes |
//! | `failure` | database errors as [`StoreError`](open_cowork_providers::store::StoreError) |
//!
//! Layout (docs/contract/04-control-plane.md §10): tenants, users and sessions have small numbers, and every
//! key starts with the tenant's, so that rows are short and a deployment can be cut by tenant. A session event
//! and its workspace event are **one row** of `events` with two sequences; no payload is stored twice.

mod compact;
mod dialect;
mod failure;
mod group;
mod insert;
mod read;
mod schema;
pub mod sqlite;
mod writer;

pub use sqlite::{SqliteOptions, SqliteStore};
