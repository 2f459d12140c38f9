//! The web renderer of Desktop and Cloud: server-rendered HTML with live patches over SSE.

pub mod workspace;
pub use workspace::*;
