//! The domains beside the log, one file each.

mod artifacts;
mod browser;
mod channels;
mod execution;
mod governance;
mod identity;
mod retention;
mod threads;
mod workflows;
