//! The cloud as a library: server, worker, scheduler and store, put together as a role and its settings say.
//!
//! A program is one call; a distribution adds what is its own, without a copy of anything:
//!
//! ```no_run
//! use open_cowork_cloud::{Adapters, Distribution};
//! use std::process::ExitCode;
//!
//! fn main() -> ExitCode {
//!     let distribution = Distribution::new("example-cloud", env!("CARGO_PKG_VERSION"))
//!         .adapters(|_settings| Ok(Adapters::default()));
//!     open_cowork_cloud::main(&distribution)
//! }
//! ```
//!
//! Names, colours, texts, policy, limits and keys are configuration and variables (docs/cloud.md); adapters are for
//! what can't be said there: another object store, secret manager, identity provider, event bus, a store that tells
//! an auditor.
//!
//! | module | holds |
//! |---|---|
//! | [`distribution`] | what a distribution brings |
//! | `arguments` | the command line |
//! | `places` | whether what the settings name on this machine is there |
//! | `told` | configuration, settings and what stands against them |
//! | `telemetry` | logs, metrics, traces |
//! | `nats` | wake-ups through a NATS server, where the program was built with them |
//! | `parts` | what a role needs, opened and closed in order |
//! | `program` | the life of the process |

mod arguments;
pub mod distribution;
mod nats;
mod parts;
mod places;
mod program;
mod telemetry;
mod told;

pub use distribution::{Adapters, Distribution};
pub use open_cowork_cloud_server::settings::Settings;
pub use program::main;
