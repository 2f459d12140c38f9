//! The `open-cowork` command.

fn main() {}
