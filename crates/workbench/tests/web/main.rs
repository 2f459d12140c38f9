//! The workbench as a browser without script sees it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

mod base;
mod brand;
mod door;
mod forms;
mod hostile;
#[path = "../html/mod.rs"]
mod html;
mod pages;
mod signed_in;
#[path = "../support/mod.rs"]
mod support;
mod visitor;
