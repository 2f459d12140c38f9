//! Start and end of a cloud process: what it refuses to start with, what its parts are told, its own key, and how it is
//! told to stop (04 §11, §14, §15).

pub mod governance;
pub mod guards;
pub mod key;
pub mod liveness;
pub mod options;
pub mod providers;
pub mod readiness;
pub mod root;
pub mod sign_in;
pub mod stop;
