//! Runs what the cloud has queued: commands on a real OpenCode, workflows on time.
//!
//! ```text
//!   store: commands ─► worker ─► scope task (one per user) ─► runtime (OpenCode) ─► fenced appends ─► log
//!             ▲ wake-ups, polls     │ lease, renewed            home, process
//!             └─────────────────────┘ ack, fail, defer
//! ```
//!
//! | module | holds | contract |
//! |---|---|---|
//! | [`worker`] | [`Worker`]: looks for work, claims scopes, drains | 04 §3.2, decision 24 |
//! | `scope`, `context` | one task per user: lease, sessions, what it shares | 04 §3.2, §16 #1–4 |
//! | `pass` | one pass over a session: take, execute, settle | 04 §3.2 |
//! | `execute` | one command on the runtime | 04 §3.3 |
//! | `runtime` | home and process of a user's OpenCode | 04 §4.2 |
//! | `provision` | provider, keys, policy, profile | 04 §4.4, §7.2 |
//! | `sink` | fenced appends | 04 §2.3, §3.4 |
//! | `lease` | renewal in the background | 04 §16 #1 |
//! | [`capacity`] | how many runtimes | 04 §4.2 |
//! | [`progress`], `watchdog` | which runs make progress, and what is done about those that don't | 04 §3.6 |
//! | [`scheduler`] | [`Scheduler`]: due runs, stuck claims, missed endings, retention | 04 §3.5 |
//! | `runs` | how a workflow's run ends | 04 §2.5 |
//! | `usage` | what is metered | 04 §2.9, §16 #8 |
//! | [`place`] | where homes and workspaces are | 04 §4.4, §5.1 |
//! | [`options`], [`parts`], [`error`] | what a worker is given, how it behaves, why it can't | 04 §14 |
//!
//! Invariants: all sessions of a user run on one worker at a time; every append carries the token of a live lease;
//! losing the lease stops the runtime and says nothing; a prompt is looked up before it is sent again; no key is
//! in an environment, an argument list, an event or a log.
//!
//! Deliberately absent: checkpoints (workers share one data root), sandboxes (`development-process` only).

pub mod capacity;
mod context;
pub mod error;
mod execute;
mod lease;
pub mod options;
pub mod parts;
mod pass;
pub mod place;
pub mod progress;
mod provision;
mod runs;
mod runtime;
pub mod scheduler;
mod scope;
mod sink;
mod usage;
mod watchdog;
pub mod worker;

pub use error::WorkerError;
pub use options::{Isolation, RuntimeLimits, WorkerOptions};
pub use parts::{Clock, WorkerParts};
pub use progress::{ProgressLimits, Watchdog};
pub use scheduler::{Retention, Scheduler, SchedulerOptions, SchedulerParts, TickReport};
pub use worker::{DrainReport, Worker};
