//! The cloud program.

fn main() {}
