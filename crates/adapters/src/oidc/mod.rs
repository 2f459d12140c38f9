//! An OpenID provider over HTTP (03 §6.3, §6.4): discovery, keys, tokens, the code flow.
//!
//! | module | holds |
//! |---|---|
//! | `provider` | [`OidcProvider`], the port's implementation |
//! | `documents` | discovery and keys with their caches, one fetch at a time |
//! | `keys` | JSON Web Keys and which algorithm each may serve |
//! | `token` | one token: parse, signature, claims |
//! | `transport` | the blocking HTTP client behind it |
//!
//! **Invariants.** A key serves only the algorithms of its own kind, so a token can't choose how it is checked.
//! Everything but loopback is HTTPS; no redirect is followed; every answer is bounded in bytes and time. Neither
//! token, code nor claim stands in an error or a log.

mod documents;
mod keys;
mod provider;
mod token;
mod transport;

pub use provider::{OidcOptions, OidcProvider};
