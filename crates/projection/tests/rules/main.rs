//! Every rule of 01 §5 that the check vectors don't show.

#![allow(clippy::needless_pass_by_value, clippy::unwrap_used, clippy::panic)] // a test file

mod asks;
mod messages;
mod results;
mod session;
mod stored;
#[path = "../support/mod.rs"]
mod support;
mod tasks;
mod tools;

use open_cowork_contracts::View;

fn flags(view: &View) -> (&'static str, bool, Option<&str>) {
    (
        view.status.as_str(),
        view.is_generating,
        view.last_error.as_deref(),
    )
}
