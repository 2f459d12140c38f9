//! See `crates/config/tests/fuzzed/mod.rs`.

#![no_main]

#[allow(dead_code)]
#[path = "../../crates/config/tests/fuzzed/mod.rs"]
mod fuzzed;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzed::document(bytes));
