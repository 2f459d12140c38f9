//! A new user who makes mistakes, and an attacker: on the real program, its real page, the real OpenCode.
//!
//! Every mistake is answered by one sentence that names the thing, the place and the way out. Nothing panics,
//! nothing is half-written, no secret is shown.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a failed expectation is a failed test

mod attacks;
mod configuration;
mod lifecycle;
mod mistakes;
mod program;
mod secrets;
#[path = "../support/mod.rs"]
mod support;
mod turns;
mod web;
