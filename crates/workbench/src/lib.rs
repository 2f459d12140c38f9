//! t
mod clock; mod markdown; pub mod options; pub mod theme; mod url; pub mod workspace; pub use workspace::*;
