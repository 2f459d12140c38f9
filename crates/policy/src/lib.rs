//! Pure verdicts: what OpenCode's agents may do. No I/O, no clock; the same input gives the same bytes.
//!
//! Actions are ordered `deny < ask < allow`; to tighten is to take the smaller one. Everything here only ever
//! tightens what an outer layer granted: app ceiling, user settings, managed policy (05 §6.3).
//!
//! | module | holds | contract |
//! |---|---|---|
//! | [`action`] | deny, ask, allow and their order | 05 notation |
//! | [`dimension`] | the seven permission dimensions and their clamping; the desktop's safe defaults | 05 §6.3 |
//! | [`pattern`] | both spellings of an MCP tool, glob match | 05 §6.4 |
//! | [`permission`] | the permission object handed to OpenCode, in its normative order | 05 §6.5 |
//! | [`agent`] | permissions of OpenCode's own agents; tool ceilings | 05 §6.7 |
//! | [`managed`] | the managed policy document of an organisation | 05 §6.9 |

pub mod action;
pub mod agent;
pub mod dimension;
pub mod managed;
pub mod pattern;
pub mod permission;

pub use action::Action;
pub use dimension::Dimensions;
pub use permission::{PermissionInput, PermissionObject, Rule};
