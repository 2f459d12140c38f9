//! Sign-in (03 §6.4). The routes are part of the table; the mode's authenticator answers them.

use crate::call::Call;
use crate::cloud::Options;
use crate::principal::Incoming;
use crate::reply::Answer;
use crate::route::{Access, Route};
use axum::http::Method;
use std::borrow::Cow;

/// The routes; the callback's path is the deployment's.
pub fn routes(options: &Options) -> Vec<Route> {
    let open = |method: Method, path: Cow<'static, str>, summary: &'static str| {
        Route::new(method, path, Access::Open, summary, sign_in)
    };
    vec![
        open(
            Method::GET,
            "/auth/login".into(),
            "Sends a browser to the identity provider",
        ),
        open(
            Method::GET,
            options.callback_path.clone().into(),
            "Where the identity provider sends a browser back to",
        ),
        open(
            Method::GET,
            "/auth/me".into(),
            "Who asks, with the CSRF token of a cookie session",
        ),
        open(
            Method::POST,
            "/auth/session".into(),
            "Exchanges a bearer for a cookie session",
        )
        .secret(),
        open(Method::POST, "/auth/logout".into(), "Ends a cookie session"),
        open(
            Method::GET,
            "/auth/desktop/config".into(),
            "What a desktop needs to sign in",
        ),
    ]
}

async fn sign_in(call: Call) -> Answer {
    let incoming = Incoming {
        method: &call.method,
        uri: &call.uri,
        headers: &call.headers,
        peer: call.peer,
        source: call.source,
    };
    call.cloud.authenticator.sign_in(incoming).await
}
