//! The desktop engine: a local workspace on one machine, one user, one OpenCode.
