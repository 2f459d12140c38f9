//! The web renderer of Desktop and Cloud: server-rendered HTML with live patches over SSE.
//!
//! It talks to a [`Workspace`] only: no store, no runtime. Every form works without script; the one small
//! script posts the same forms by fetch and applies patches. The rules are in
//! `docs/contract/07-workbench.md`.
//!
//! | module | holds |
//! |---|---|
//! | [`workspace`] | the port that Desktop and Cloud implement |
//! | [`base_path`] | the path below which all of it lives, and every address
//! | [`options`] | who may open the page, limits, clock |
//! | [`branding`], [`picture`] | name, words, links and pictures of a product |
//! | [`theme`] | its colours |
//! | `guard` | the door: host, session, origin, form token, security headers |
//! | `timeline` | one sorted list of what happened in a thread |
//! | `markdown` | safe HTML, block by block, so that streaming costs the last block only |
//! | `render` | one file per piece of the transcript |
//! | `patch` | what to change on an open page after some events |
//! | `live` | the one event stream per page |
//! | `pages`, `actions` | the GET pages and the POST forms |

mod actions;
mod app;
mod assets;
pub mod base_path;
pub mod branding;
mod clock;
mod form;
mod guard;
mod live;
mod markdown;
pub mod options;
mod pages;
mod patch;
pub mod picture;
mod render;
pub mod theme;
mod timeline;
pub mod workspace;

pub use app::router;
pub use base_path::{BasePath, BasePathError};
pub use branding::{Branding, Link};
pub use options::{Access, Limits, Options, SignOut, SignedIn};
pub use picture::{Picture, PictureError};
pub use theme::{Palette, Rgb, Theme};
pub use workspace::*;
