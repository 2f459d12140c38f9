//! Which MCP servers may run or be called: the policy of programs and the policy of addresses (05 §7.3, §7.4).
//!
//! Pure: no file is opened and no name is looked up. What the host must still check (that a program exists,
//! where a name leads) comes back as data.
//!
//! | module | holds | contract |
//! |---|---|---|
//! | [`stdio`] | may this program be started as a server? | 05 §7.3 |
//! | `program` | what does a program's name tell? | 05 §7.3 |
//! | `environment` | may a server be given this variable? | 05 §7.3 |
//! | [`package`] | is this package pinned to one exact content? | 05 §7.3 |
//! | [`url`] | may this address be called? | 05 §7.4 |
//! | [`address`] | what kind of network an IP address belongs to, however it is written | 05 §7.4 |

pub mod address;
mod environment;
mod grammar;
pub mod package;
mod program;
pub mod stdio;
pub mod url;
