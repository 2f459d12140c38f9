//! The code of Example Cowork: what its distribution adds to Open Cowork beside files.
//!
//! | module | holds |
//! |---|---|
//! | [`audit`] | an adapter: a store that tells an auditor what was appended, on the public traits |
//! | [`audit_file`] | the auditor of our cloud: lines of JSON in a file |
//! | [`summary`] | what the distribution looks like, in a few lines |

pub mod audit;
pub mod audit_file;
pub mod summary;
