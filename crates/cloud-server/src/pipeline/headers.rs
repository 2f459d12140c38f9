//! Headers of every answer: request id, security, CORS (03 §1.1, §2.3).

use crate::cloud::Options;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, CONTENT_SECURITY_POLICY, HeaderName, ORIGIN, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue};

/// Most characters of a request id that a caller brings.
const REQUEST_ID: usize = 128;

/// The header that names a request.
pub(crate) static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The caller's id if it is at most 128 safe characters, else a random one: it is echoed and logged.
pub(crate) fn request_id(headers: &HeaderMap) -> String {
    let given = headers
        .get(&X_REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .map(str::trim)
        .filter(|id| {
            let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(&byte);
            !id.is_empty() && id.len() <= REQUEST_ID && id.bytes().all(safe)
        });
    match given {
        Some(id) => id.to_owned(),
        None => uuid::Uuid::new_v4().to_string(),
    }
}

/// What is the same on every answer of a deployment.
pub(crate) struct Fixed {
    security: Vec<(HeaderName, HeaderValue)>,
    cors_origin: Option<HeaderValue>,
}

impl Fixed {
    pub(crate) fn new(options: &Options) -> Self {
        let mut security = vec![
            (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
            (
                HeaderName::from_static("cross-origin-opener-policy"),
                HeaderValue::from_static("same-origin"),
            ),
            (
                HeaderName::from_static("permissions-policy"),
                HeaderValue::from_static("camera=(), microphone=(), geolocation=()"),
            ),
        ];
        let https = options
            .public_url
            .as_deref()
            .is_some_and(|url| url.starts_with("https://"));
        if https {
            security.push((
                STRICT_TRANSPORT_SECURITY,
                HeaderValue::from_static("max-age=31536000; includeSubDomains"),
            ));
        }
        let cors_origin = options
            .cors_origin
            .as_deref()
            .and_then(|origin| HeaderValue::from_str(origin).ok());
        Fixed {
            security,
            cors_origin,
        }
    }

    /// Puts them on an answer; what it set itself stays.
    pub(crate) fn apply(&self, origin: Option<&HeaderValue>, id: &str, answer: &mut HeaderMap) {
        for (name, value) in &self.security {
            if !answer.contains_key(name) {
                answer.insert(name.clone(), value.clone());
            }
        }
        if let Ok(id) = HeaderValue::from_str(id) {
            answer.insert(X_REQUEST_ID.clone(), id);
        }
        if let Some(allowed) = &self.cors_origin
            && origin == Some(allowed)
        {
            answer.append(VARY, HeaderValue::from_static("Origin"));
            answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed.clone());
            answer.insert(
                ACCESS_CONTROL_ALLOW_METHODS,
                HeaderValue::from_static("GET,POST,PUT,PATCH,DELETE,OPTIONS"),
            );
            answer.insert(
                ACCESS_CONTROL_ALLOW_HEADERS,
                HeaderValue::from_static(
                    "Content-Type,Authorization,X-CSRF-Token,Last-Event-ID,Idempotency-Key,Prefer",
                ),
            );
            answer.insert(
                ACCESS_CONTROL_EXPOSE_HEADERS,
                HeaderValue::from_static(
                    "Retry-After,X-Request-Id,RateLimit-Limit,RateLimit-Remaining,RateLimit-Reset",
                ),
            );
        }
    }
}

/// The origin that a browser names.
pub(crate) fn origin(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(ORIGIN)
}

/// The policy of a hosted renderer's pages (03 §2.3), for `/app`.
pub(crate) fn content_security_policy(frame: bool) -> (HeaderName, HeaderValue) {
    let policy = match frame {
        false => {
            "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; style-src-attr \
             'unsafe-inline'; connect-src 'self'; font-src 'self'; img-src 'self' data:; object-src 'none'; \
             base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
        }
        true => {
            "default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; \
             style-src-attr 'unsafe-inline'; connect-src 'none'; font-src 'self'; img-src 'self' data:; \
             object-src 'none'; base-uri 'none'; frame-ancestors 'self'; form-action 'self'"
        }
    };
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(id: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(&X_REQUEST_ID, HeaderValue::from_str(id).unwrap());
        request_id(&headers)
    }

    #[test]
    fn a_request_id_is_kept_only_when_it_is_short_and_safe() {
        assert_eq!(with(" trace-1/a "), "trace-1/a");
        for unsafe_id in ["", "a b", "<script>", &"x".repeat(129)] {
            assert_ne!(with(unsafe_id), unsafe_id);
            assert_eq!(with(unsafe_id).len(), 36);
        }
    }

    #[test]
    fn only_the_configured_origin_gets_cors_headers() {
        let options = Options {
            cors_origin: Some("https://app.example".into()),
            public_url: Some("https://cloud.example".into()),
            ..Options::default()
        };
        let fixed = Fixed::new(&options);
        let of = |origin: Option<&'static str>| {
            let mut answer = HeaderMap::new();
            let origin = origin.map(HeaderValue::from_static);
            fixed.apply(origin.as_ref(), "id", &mut answer);
            answer
        };
        let allowed = of(Some("https://app.example"));
        assert_eq!(allowed[ACCESS_CONTROL_ALLOW_ORIGIN], "https://app.example");
        assert!(!allowed.contains_key("access-control-allow-credentials"));
        assert!(allowed.contains_key(STRICT_TRANSPORT_SECURITY));
        for other in [None, Some("https://app.example.evil"), Some("null")] {
            assert!(!of(other).contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
            assert!(!of(other).contains_key(VARY));
            assert_eq!(of(other)[X_FRAME_OPTIONS], "DENY");
        }
    }
}
