//! The pure reducer from session events to a view; fences, coalescer, sanitizer.
mod coerce;
mod index;
pub mod sanitize;
