//! Sign-in through the whole pipeline: modes, API tokens, cookie sessions, CSRF, back-off (03 §5.2, §6).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../sign_in_support/mod.rs"]
mod sign_in_support;

mod limits;
mod modes;
mod sessions;
mod tokens;

use open_cowork_cloud_server::auth::{AuthOptions, HeaderOptions, Mode};
use sign_in_support::cookie_options;

fn header_mode() -> AuthOptions {
    AuthOptions {
        mode: Mode::Header(HeaderOptions {
            secret: Some(sign_in_support::PROXY_KEY.into()),
            ..HeaderOptions::default()
        }),
        cookies: Some(cookie_options()),
        ..AuthOptions::default()
    }
}
