//! The mode `none` asks for no credential, so the only thing between a foreign web page and the API is what the
//! browser says about itself: its Host (DNS rebinding), its Origin, its fetch metadata.

use crate::cloud::Options;
use crate::error::ApiError;
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};

/// Refuses what a page of another site could send.
pub(crate) fn refuse(options: &Options, headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let published = options.public_url.as_deref().and_then(authority);
    let host = text(HOST.as_str()).unwrap_or_default();
    let ours = |authority: &str| published == Some(authority) || is_loopback(name_of(authority));
    if !host.is_empty() && !ours(host) {
        return Err(foreign("Host"));
    }
    if let Some(origin) = text(ORIGIN.as_str())
        && options.cors_origin.as_deref() != Some(origin)
        && !authority(origin)
            .is_some_and(|authority| authority == host || published == Some(authority))
    {
        return Err(foreign("Origin"));
    }
    let allowed_origin = options.cors_origin.is_some() && text(ORIGIN.as_str()).is_some();
    if text("sec-fetch-site") == Some("cross-site") && !allowed_origin {
        return Err(foreign("Sec-Fetch-Site"));
    }
    Ok(())
}

fn foreign(header: &str) -> ApiError {
    ApiError::new(
        StatusCode::FORBIDDEN,
        "auth.foreign_origin",
        format!(
            "This cloud asks for no sign-in, so it answers its own pages and programs of this machine only; the \
             request's {header} names another site."
        ),
    )
}

/// `host:port` of an origin or URL.
fn authority(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.split(['/', '?', '#']).next()
}

fn name_of(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

fn is_loopback(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn of(headers: &[(&'static str, &'static str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        refuse(&Options::default(), &map).is_ok()
    }

    #[test]
    fn a_page_of_another_site_reaches_nothing() {
        assert!(of(&[("host", "127.0.0.1:8787")]));
        assert!(of(&[
            ("host", "[::1]:8787"),
            ("origin", "http://[::1]:8787")
        ]));
        assert!(of(&[
            ("host", "localhost:8787"),
            ("sec-fetch-site", "same-origin")
        ]));
        assert!(!of(&[("host", "rebound.example")]));
        assert!(!of(&[("host", "127.0.0.1.evil.example")]));
        assert!(!of(&[
            ("host", "127.0.0.1:8787"),
            ("origin", "https://evil.example")
        ]));
        assert!(!of(&[("host", "127.0.0.1:8787"), ("origin", "null")]));
        // Another program of this machine, on another port, is another origin.
        assert!(!of(&[
            ("host", "127.0.0.1:8787"),
            ("origin", "http://127.0.0.1:3000")
        ]));
        assert!(!of(&[
            ("host", "127.0.0.1:8787"),
            ("sec-fetch-site", "cross-site")
        ]));
    }
}
