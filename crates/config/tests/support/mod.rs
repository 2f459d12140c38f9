//! What several tests of this crate share.
#![allow(dead_code, unreachable_pub)] // each test program uses a part of it

pub mod ajv;
pub mod fields;
pub mod reference;
pub mod sample;
