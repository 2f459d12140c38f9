//! The door. In this order: security headers on every answer; the host must be ours (DNS rebinding); the
//! visitor must hold a visit cookie, given for the per-start token; a change must come from our own page.
//! The form token is checked where the form is read (`form`).

use crate::app::{App, ThemeChoice, Visitor};
use crate::form::{NoticePage, notice};
use crate::options::random_token;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::sync::{Arc, PoisonError};
use subtle::ConstantTimeEq;

/// Visits kept; the oldest falls out and has to open the start address again.
const VISITS: usize = 64;

/// Name of the theme cookie.
pub(crate) const THEME_COOKIE: &str = "workbench_theme";

/// 03 §2.3, with a stricter policy: no inline style or script at all, nothing from elsewhere.
const HEADERS: [(&str, &str); 8] = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "DENY"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    (
        "permissions-policy",
        "camera=(), microphone=(), geolocation=()",
    ),
    ("x-dns-prefetch-control", "off"),
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
         font-src 'none'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
    ),
];

/// The middleware around every route.
pub(crate) async fn guard(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let mut response = match admit(&app, &mut request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => *refusal,
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Lets a request in and notes who asks, or says why not.
fn admit(app: &App, request: &mut Request) -> Result<(), Box<Response>> {
    let refuse = |title: &str, text: &str| {
        let page = NoticePage {
            title,
            text,
            way_out: None,
        };
        Err(Box::new(notice(
            app,
            StatusCode::FORBIDDEN,
            ThemeChoice::System,
            &page,
        )))
    };
    // HTTP/2 has no Host header but the same name in the address.
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|value| value.to_str().ok())
        .or_else(|| {
            request
                .uri()
                .authority()
                .map(axum::http::uri::Authority::as_str)
        })
        .unwrap_or_default()
        .to_ascii_lowercase();
    if !app.options.access.hosts.contains(&host) {
        return refuse(
            "Wrong address",
            "This page answers only under the address that the program printed; open that one.",
        );
    }
    // Exactly the files that exist: anything else below asks like every page.
    if request
        .uri()
        .path()
        .strip_prefix("/assets/")
        .is_some_and(|file| !file.is_empty() && !file.contains('/'))
    {
        return Ok(());
    }
    if let Some(token) = entry_token(request) {
        return Err(Box::new(enter(app, &token)));
    }
    let cookies = request.headers();
    let theme = cookie(cookies, THEME_COOKIE).map_or(ThemeChoice::System, ThemeChoice::parse);
    let Some(csrf) = cookie(cookies, &app.cookie).and_then(|visit| form_token(app, visit)) else {
        return refuse(
            "Open it with its start address",
            "This page belongs to one person; open the address with the token that the program printed when it started.",
        );
    };
    let is_change = !matches!(*request.method(), Method::GET | Method::HEAD);
    if is_change && !is_own_page(request.headers(), &host) {
        return refuse(
            "Refused",
            "This change was sent from another page; open the workbench itself and try again.",
        );
    }
    request.extensions_mut().insert(Visitor { csrf, theme });
    Ok(())
}

/// The token of a first visit, `/?token=…`.
fn entry_token(request: &Request) -> Option<String> {
    if request.uri().path() != "/" || request.method() != Method::GET {
        return None;
    }
    let query = request.uri().query()?;
    let value = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("token="))?;
    Some(
        percent_encoding::percent_decode_str(value)
            .decode_utf8_lossy()
            .into_owned(),
    )
}

/// Gives a visit cookie for the right token and leads to the clean address.
fn enter(app: &App, token: &str) -> Response {
    let expected = app.options.access.token.as_str();
    let right = !expected.is_empty() && !app.secret.is_empty() && same(token, expected);
    let visit = if right { random_token().ok() } else { None };
    let Some(visit) = visit else {
        let page = NoticePage {
            title: "This start address is not valid",
            text: "It belongs to an earlier start; open the address that the program printed last.",
            way_out: None,
        };
        return notice(app, StatusCode::FORBIDDEN, ThemeChoice::System, &page);
    };
    let cookie = format!("{}={visit}; HttpOnly; SameSite=Strict; Path=/", app.cookie);
    let mut visits = app.visits.lock().unwrap_or_else(PoisonError::into_inner);
    if visits.len() >= VISITS {
        visits.pop_front();
    }
    visits.push_back(visit);
    drop(visits);
    (
        [
            (header::SET_COOKIE, cookie),
            (header::LOCATION, "/".to_owned()),
        ],
        StatusCode::SEE_OTHER,
    )
        .into_response()
}

/// The form token of a known visit: bound to the visit, so that one visit's form is worth nothing to another.
fn form_token(app: &App, visit: &str) -> Option<String> {
    let visits = app.visits.lock().unwrap_or_else(PoisonError::into_inner);
    let known = visits
        .iter()
        .fold(false, |known, candidate| known | same(visit, candidate));
    drop(visits);
    if !known {
        return None;
    }
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let mut digest = Sha256::new();
    // Both parts have a fixed length, so their joint is unambiguous.
    digest.update(app.secret.as_bytes());
    digest.update(visit.as_bytes());
    Some(URL_SAFE_NO_PAD.encode(digest.finalize()))
}

/// Equality in constant time.
pub(crate) fn same(a: &str, b: &str) -> bool {
    bool::from(a.as_bytes().ct_eq(b.as_bytes()))
}

/// Browsers say where a change comes from. With `Referrer-Policy: no-referrer` a plain form says `Origin: null`,
/// and then `Sec-Fetch-Site` decides. A client that says neither is no browser page; the form token stands.
fn is_own_page(headers: &HeaderMap, host: &str) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let site = text("sec-fetch-site");
    match text("origin") {
        Some("null") => site == Some("same-origin"),
        Some(origin) => {
            origin.eq_ignore_ascii_case(&format!("http://{host}"))
                && site.is_none_or(|site| site == "same-origin")
        }
        None => site.is_none_or(|site| site == "same-origin"),
    }
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}
