//! Runs and supervises OpenCode, normalizes its events once, heals gaps.
//!
//! ```text
//!   supervise ─► launcher ─► OpenCode ══ one event stream ══► host ─► thread ─► translate ─► sink
//!       ▲ config, environment, home, gate                       recover, watchdog ┘
//! ```
//!
//! | module | holds | contract |
//! |---|---|---|
//! | [`host`] | [`host::RuntimeHost`]: the event stream's router, the threads, the commands | 08 §12 |
//! | [`thread`] | one owned task per thread: commands to calls, frames to events | 08 §12, §15 |
//! | [`translate`] | OpenCode's events become ours, once, here; pure | 01 §9, decisions 1, 2, 6–8 |
//! | [`recover`] | what a break missed, from OpenCode's history and the stored view; pure | decisions 7, 9, 10 |
//! | [`watchdog`] | limits of a turn; pure | 08 §15.8 |
//! | [`message_id`] | what a prompt is called inside OpenCode; pure | decision 15 |
//! | [`sink`] | the port to the caller's log | decision 11 |
//! | [`supervise`] | starts OpenCode, proves that it is ready, follows it to its end | 05 §5, 08 §1 |
//! | [`launch`] | the process between us and OpenCode: nothing outlives us | 08 §15.2 |
//! | [`breaker`] | when it may be started again; pure | 05 §5.6 |
//! | [`config`], [`environment`] | what OpenCode is told | 05 §5.2, §6; 08 §3 |
//! | [`home`] | the folders it lives in, one writer at a time | 05 §5.4 |
//! | [`gate`] | what opening a folder would run, and whether the user trusts it | 08 §3.4 |
//! | [`probe`], [`binary`] | version, routes and events that we rely on; where the program is | decision 20 |
//! | [`mcp`] | which MCP servers are registered, and why the others are not | 05 §7 |
//! | [`compatibility`] | what we rely on in OpenCode, as data, and its proof | 05 §13 |
//! | [`memory`], [`status`] | what diagnostics show | 05 §11 |
//! | [`error`] | failures of the process half; [`host::TurnError`] those of a thread | |
//!
//! Invariants: keys and passwords are in no argument list and no log; an event is normalized here and
//! nowhere else; a turn ends exactly once; nothing is prompted again by itself; every process of ours ends
//! with its host. Deliberately absent: a store, a clock in the pure modules, an answer `always`.

pub mod binary;
pub mod breaker;
pub mod compatibility;
pub mod config;
pub mod environment;
pub mod error;
pub mod gate;
pub mod home;
pub mod host;
pub mod launch;
pub mod mcp;
pub mod memory;
pub mod message_id;
pub mod probe;
pub mod recover;
pub mod sink;
pub mod status;
pub mod supervise;
pub mod thread;
pub mod translate;
pub mod watchdog;
