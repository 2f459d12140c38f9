//! Follows a thread of a cloud.

fn main() {}
