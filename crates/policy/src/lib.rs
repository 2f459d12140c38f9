//! Pure verdicts: who may do what. No I/O, no clock; the same input gives the same bytes.
//!
//! Actions of agents are ordered `deny < ask < allow`; to tighten is to take the smaller one. Everything here only
//! ever tightens what an outer layer granted: app maxima, user settings, managed policy (05 §6.3).
//!
//! What agents may do:
//!
//! | module | holds | contract |
//! |---|---|---|
//! | [`action`] | deny, ask, allow and their order | 05 notation |
//! | [`dimension`] | the seven permission dimensions and their clamping; the desktop's safe defaults | 05 §6.3 |
//! | [`pattern`] | both spellings of an MCP tool, glob match | 05 §6.4 |
//! | [`tool`] | tools of the config as patterns | 05 §6.4, §6.6 |
//! | [`permission`] | the permission object handed to OpenCode, in its normative order | 05 §6.5 |
//! | [`effective`] | the one effective policy, and the ceiling that nobody exceeds | 05 §6.3, §19.1 |
//! | [`agent`] | OpenCode's, the product's and configured agents; tool ceilings | 05 §6.7 |
//! | [`inheritance`] | whether a child may do more than its parent, and strict mode | 05 §6.8 |
//! | [`custom_agent`] | agents that people write as Markdown files | 05 §9 |
//! | [`mcp`] | which MCP servers may be started or called | 05 §7.3, §7.4 |
//! | [`managed`] | the managed policy of an organisation | 05 §6.9, 07 §4.5 |
//!
//! What people, tokens and surfaces may do:
//!
//! | module | holds | contract |
//! |---|---|---|
//! | [`support`] | the support matrix; what surfaces promise | 07 §3 |
//! | [`capability`] | the cloud's 87 actions and the decision about each | 07 §4 |
//! | [`role`] | roles, permissions, sections of the administration | 07 §4.4, §19.4 |
//! | [`remote_approval`] | who may answer an approval from where | 07 §7 |
//! | [`health`] | evaluating setup and health | 07 §6 |
//! | [`setup_bundle`] | taking a setup elsewhere without its secrets | 07 §6.5, 02 §11 |

pub mod action;
pub mod agent;
pub mod capability;
pub mod custom_agent;
pub mod dimension;
pub mod effective;
pub mod health;
pub mod inheritance;
pub mod managed;
pub mod mcp;
mod meet;
pub mod pattern;
pub mod permission;
pub mod remote_approval;
pub mod role;
pub mod setup_bundle;
pub mod support;
pub mod tool;

pub use action::Action;
pub use dimension::Dimensions;
pub use permission::{PermissionInput, PermissionObject, Rule};
