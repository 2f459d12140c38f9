//! The door. In this order: security headers on every answer; the host must be ours (DNS rebinding); the path must
//! be below the base, and whoever asks elsewhere learns nothing, the base least of all; the visitor must hold a visit
//! cookie, given for the per-start token; a change must come from our own page.
//! The form token is checked where the form is read (`form`).

use crate::app::{App, ThemeChoice, Visitor};
use crate::base_path::BasePath;
use crate::form::{NoticePage, notice};
use crate::options::{Access, Door, SignedIn, random_token};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, html};
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
        // A picture brings a policy of its own, which is stricter.
        headers
            .entry(HeaderName::from_static(name))
            .or_insert(HeaderValue::from_static(value));
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
    if !app.options.access.is_host(&host) {
        return Err(Box::new(elsewhere(
            StatusCode::FORBIDDEN,
            "This page answers only under the address that the program printed; open that one.",
        )));
    }
    let base = &app.options.base;
    let path = request.uri().path();
    let Some(path) = base.within(path) else {
        if path == base.as_str() {
            return Err(Box::new(to_home(base, request.uri().query())));
        }
        return Err(Box::new(elsewhere(
            StatusCode::NOT_FOUND,
            "There is nothing here; open the address that the program printed when it started.",
        )));
    };
    // Exactly the files that exist: anything else below asks like every page.
    if path
        .strip_prefix("/assets/")
        .is_some_and(|file| !file.is_empty() && !file.contains('/'))
    {
        return Ok(());
    }
    let token = entry_token(path, request);
    if let (Door::Token { .. }, Some(token)) = (&app.options.access.0, token) {
        return Err(Box::new(enter(app, &token)));
    }
    let cookies = request.headers();
    let theme = cookie(cookies, THEME_COOKIE).map_or(ThemeChoice::System, ThemeChoice::parse);
    let person = request.extensions().get::<SignedIn>().cloned();
    let csrf = match (&app.options.access.0, &person) {
        (Door::Token { .. }, _) => {
            cookie(cookies, &app.cookie).and_then(|visit| known_visit(app, visit))
        }
        (Door::SignedIn { .. }, Some(person)) => form_token(app, &person.session),
        (Door::SignedIn { .. }, None) => None,
    };
    let Some(csrf) = csrf else {
        let sign_in = &app.options.branding.sign_in;
        let say =
            |text: &Option<String>| text.as_deref().map(|text| app.options.branding.say(text));
        let title = say(&sign_in.title);
        let (own_title, text) = match app.options.access.0 {
            Door::Token { .. } => (
                "Open it with its start address",
                "This page belongs to one person; open the address with the token that the program printed when it \
                 started.",
            ),
            Door::SignedIn { .. } => (
                "Sign in first",
                "This page is for people who are signed in.",
            ),
        };
        let text = match say(&sign_in.body) {
            Some(body) => format!("{body} {text}"),
            None => text.to_owned(),
        };
        return refuse(title.as_deref().unwrap_or(own_title), &text);
    };
    let is_change = !matches!(*request.method(), Method::GET | Method::HEAD);
    if is_change && !is_own_page(&app.options.access, request.headers(), &host) {
        return refuse(
            "Refused",
            "This change was sent from another page; open the workbench itself and try again.",
        );
    }
    request.extensions_mut().insert(Visitor {
        csrf,
        theme,
        account: person,
    });
    Ok(())
}

/// A page that stands alone: it names no file and no path of ours.
fn elsewhere(status: StatusCode, text: &str) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Nothing here" }
            }
            body { main { p { (text) } } }
        }
    };
    (status, page).into_response()
}

/// The base without its slash.
fn to_home(base: &BasePath, query: Option<&str>) -> Response {
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    let location = format!("{}{query}", base.home());
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

/// The token of a first visit, `/?token=…`.
fn entry_token(path: &str, request: &Request) -> Option<String> {
    if path != "/" || request.method() != Method::GET {
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
    let expected = app.options.access.token();
    let right = !expected.is_empty() && same(token, expected);
    let visit = if right { random_token().ok() } else { None };
    let Some(visit) = visit else {
        let page = NoticePage {
            title: "This start address is not valid",
            text: "It belongs to an earlier start; open the address that the program printed last.",
            way_out: None,
        };
        return notice(app, StatusCode::FORBIDDEN, ThemeChoice::System, &page);
    };
    // Bound to the base: a server on another port of this host, at another path, is not sent it.
    let home = app.options.base.home();
    let cookie = format!(
        "{}={visit}; HttpOnly; SameSite=Strict; Path={home}",
        app.cookie
    );
    let mut visits = app.visits.lock().unwrap_or_else(PoisonError::into_inner);
    if visits.len() >= VISITS {
        visits.pop_front();
    }
    visits.push_back(visit);
    drop(visits);
    (
        [(header::SET_COOKIE, cookie), (header::LOCATION, home)],
        StatusCode::SEE_OTHER,
    )
        .into_response()
}

/// The form token of a known visit: bound to the visit, so that one visit's form is worth nothing to another.
fn known_visit(app: &App, visit: &str) -> Option<String> {
    let visits = app.visits.lock().unwrap_or_else(PoisonError::into_inner);
    let known = visits
        .iter()
        .fold(false, |known, candidate| known | same(visit, candidate));
    drop(visits);
    if known { form_token(app, visit) } else { None }
}

/// The token that the forms of a session carry; `None` without randomness, and then nobody gets in.
fn form_token(app: &App, session: &str) -> Option<String> {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let secret = app.secret?;
    let mut digest = Sha256::new();
    // The first part has a fixed length, so their joint is unambiguous.
    digest.update(secret);
    digest.update(session.as_bytes());
    Some(URL_SAFE_NO_PAD.encode(digest.finalize()))
}

/// Equality in constant time.
pub(crate) fn same(a: &str, b: &str) -> bool {
    bool::from(a.as_bytes().ct_eq(b.as_bytes()))
}

/// Browsers say where a change comes from. With `Referrer-Policy: no-referrer` a plain form says `Origin: null`,
/// and then `Sec-Fetch-Site` decides. A client that says neither is no browser page; the form token stands.
fn is_own_page(access: &Access, headers: &HeaderMap, host: &str) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let site = text("sec-fetch-site");
    match text("origin") {
        Some("null") => site == Some("same-origin"),
        Some(origin) => {
            access.is_origin(origin, host) && site.is_none_or(|site| site == "same-origin")
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
