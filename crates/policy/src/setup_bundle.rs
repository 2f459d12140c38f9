//! Taking a setup from one installation to another without its secrets (07 §6.5, 02 §11).
//!
//! [`export()`] makes a descriptor and leaves every secret behind; [`parse()`] reads somebody's bundle and trusts
//! nothing in it; [`plan()`] says for each entry what an import does. Installing is the host's.
//!
//! | module | holds |
//! |---|---|
//! | [`mod@place`] | where secrets and paths stand in a payload, and what such a place is called |
//! | [`mod@export`] | from a skill, server, agent or provider to a descriptor |
//! | [`mod@parse`] | from a text to a bundle, or to everything that is wrong with it |
//! | [`mod@plan`] | conflicts, missing secrets, refusals, and what is left to install |

pub mod export;
pub mod parse;
pub mod place;
pub mod plan;

pub use export::export;
pub use parse::{Parsed, parse};
pub use plan::{Existing, Install, Plan, Step, plan};

use open_cowork_contracts::setup_bundle::SetupBundle;

/// The text of a bundle's file: JSON with two spaces and a line break at its end (07 §6.5).
#[must_use]
pub fn write(bundle: &SetupBundle) -> String {
    // Only keys that are no texts could fail, and a bundle has none.
    let mut text = serde_json::to_string_pretty(bundle).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests;
