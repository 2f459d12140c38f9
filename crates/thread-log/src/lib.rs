//! The append service (decision 11): the one way into and out of a thread's log, for every authority.
//!
//! ```text
//! append ─► sanitize ─► coalesce deltas ─► store (retry, one id) ─► fold ─► publish
//!                                             │                      │        │
//!                                  rows and events, durable      read(view)   subscribe(after)
//! ```
//!
//! | module | holds | contract |
//! |---|---|---|
//! | [`log`](mod@log) | [`ThreadLog`]: the public surface | 01 §7, §11 |
//! | [`options`] | [`ThreadLogOptions`], the clock | 01 §1 |
//! | [`error`] | [`LogError`] | |
//! | [`answer`] | receipts, reports | 01 §7.2 |
//! | `core` | the table of threads, the way to each writer | |
//! | `thread` | what readers and subscribers of one thread share | 01 §7.1 |
//! | `writer` | the task that owns a thread's appends | 01 §7.1, §11 |
//! | `outbox` | what a writer stores, under which lease, how often it tries | 01 §11.2 |
//! | `chunk` | long answers in pieces | 01 §6.1, §16 #6 |
//! | `load` | folding a cold thread, and when to snapshot | 01 §7.2, decision 13 |
//! | `prune` | the view at the end of old events in their place | 04 §2.11 |
//! | `tail` | the newest events of a followed thread, kept for subscribers | 01 §7.3 |
//! | `feeds` | what the followers of one workspace share | 04 §9 |
//! | `heads` | how far a shared store is, asked once for many readers | 01 §7.3 |
//! | `follow` | what other processes append: the bus, and a poll | 04 §9 |
//! | [`run`] | starting a claimed run of a workflow | 04 §2.5 |
//! | [`subscribe`] | resumable streams of one thread, of a workspace, of the thread list | 01 §7.3 |
//!
//! Invariants:
//!
//! - Appends of one thread are serial, those of different threads concurrent.
//! - What `append` acknowledges as durable is in the store; the view in memory always equals the fold of the
//!   log; an event is published after it is folded.
//! - No lock is held across an await. Each thread's state has one writer: its task.
//! - Other processes may append to the same threads ([`ThreadLogOptions::shared`]): a read is never older than
//!   what was committed before it, and a wake-up that is lost costs a stream one poll interval.
//! - A log is its base and the events after it; whatever is pruned, the fold of both stays the same.
//! - A subscriber is a cursor, never a queue: a slow one costs nothing and loses nothing.

pub mod answer;
mod chunk;
mod core;
pub mod error;
mod feeds;
mod follow;
mod heads;
mod load;
pub mod log;
pub mod options;
mod outbox;
mod prune;
pub mod run;
pub mod subscribe;
mod tail;
mod thread;
mod writer;

pub use answer::{ImportedEvent, ProjectionStatus, Receipt, RepairReport, ThreadState};
pub use error::LogError;
pub use log::ThreadLog;
pub use options::{Clock, ThreadLogOptions};
pub use subscribe::{SessionChange, Subscription, Update, WorkspaceUpdate};
