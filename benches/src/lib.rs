//! Benches of Open Cowork.
