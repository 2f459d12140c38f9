//! Errors by what the caller can do (03 §2, §10).

use open_cowork_contracts::error::ErrorEnvelope;
use reqwest::StatusCode;
use std::fmt;
use std::time::Duration;

/// The client can't be built as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The address of the cloud can't be used.
    #[error("the address of the cloud can't be used: {reason}")]
    Address {
        /// What is wrong and what to write instead; never the address, which may hold a password.
        reason: String,
    },
    /// A header or token has characters that HTTP doesn't allow.
    #[error("the value for `{name}` can't be sent as a header; use visible ASCII characters only")]
    Header {
        /// Name of the header.
        name: String,
    },
    /// The HTTP client couldn't start.
    #[error("the HTTP client couldn't start: {reason}")]
    Http {
        /// What it said.
        reason: String,
    },
}

/// The answer of a cloud that refused or failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Method and path.
    pub route: String,
    /// The body. Without one that can be read, `error` is the status in words.
    pub envelope: ErrorEnvelope,
    /// When to try again, from the header or the body.
    pub retry_after: Option<Duration>,
    /// `X-Request-Id`: what to tell whoever runs the cloud.
    pub request_id: Option<String>,
}

impl Refusal {
    /// The policy code, where the cloud sent one: from `code`, else from the verdict (upstream sends only that).
    pub fn code(&self) -> Option<&str> {
        let verdict = self.envelope.verdict.as_ref();
        self.envelope
            .code
            .as_deref()
            .or_else(|| verdict.map(|verdict| verdict.policy_code.as_str()))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (", self.envelope.error)?;
        if let Some(code) = self.code() {
            write!(f, "{code}, ")?;
        }
        write!(f, "{} from {}", self.status, self.route)?;
        if let Some(id) = &self.request_id {
            write!(f, ", request {id}")?;
        }
        f.write_str(")")
    }
}

/// Why a call failed. The variants are what a caller can do about it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Sign in again, or give another token (401).
    #[error("sign in first: {0}")]
    SignIn(Box<Refusal>),
    /// Change the plan (402).
    #[error("the plan doesn't include this: {0}")]
    PaymentRequired(Box<Refusal>),
    /// Ask an administrator (403).
    #[error("not allowed: {0}")]
    Forbidden(Box<Refusal>),
    /// It isn't there, or isn't yours (404).
    #[error("not found: {0}")]
    NotFound(Box<Refusal>),
    /// Read the present state and decide again (409, 412).
    #[error("in conflict with the present state: {0}")]
    Conflict(Box<Refusal>),
    /// Change the request (other 4xx).
    #[error("refused: {0}")]
    Invalid(Box<Refusal>),
    /// Wait (429); [`Refusal::retry_after`] says how long, where the cloud knows.
    #[error("too many requests: {0}")]
    RateLimited(Box<Refusal>),
    /// The cloud has this route, but not yet what is behind it (501).
    #[error("not available in this cloud: {0}")]
    NotAvailable(Box<Refusal>),
    /// The cloud can't answer now (5xx); try later.
    #[error("the cloud can't answer now: {0}")]
    Unavailable(Box<Refusal>),
    /// Nothing came back: no connection, or one that broke.
    #[error("no connection to the cloud for {route}: {reason}; check the address and the network")]
    Network {
        /// Method and path.
        route: String,
        /// What the network said.
        reason: String,
    },
    /// The deadline passed. Whether a mutation was applied is unknown: repeat it with the same idempotency key.
    #[error("no complete answer to {route} within {after:?}")]
    Timeout {
        /// Method and path.
        route: String,
        /// The deadline.
        after: Duration,
    },
    /// What answered isn't this API, or a version of it that this client can't read.
    #[error(
        "{route} didn't answer as a cloud does: {reason}; check the address and the version of the cloud"
    )]
    Incompatible {
        /// Method and path.
        route: String,
        /// What was expected.
        reason: String,
    },
    /// The answer is longer than this client reads.
    #[error(
        "the answer to {route} is longer than {limit} bytes; raise `max_answer_bytes` to read it"
    )]
    TooLarge {
        /// Method and path.
        route: String,
        /// The bound.
        limit: usize,
    },
    /// The call can't be made: an id that no path can hold, a body that JSON can't.
    #[error("{route} can't be asked: {reason}")]
    Request {
        /// Method and path, as far as they are known.
        route: String,
        /// What is wrong.
        reason: String,
    },
    /// The client can't be built.
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl Error {
    /// The error of a refused call.
    pub fn of(refusal: Refusal) -> Error {
        let status = refusal.status;
        let refusal = Box::new(refusal);
        match status {
            401 => Error::SignIn(refusal),
            402 => Error::PaymentRequired(refusal),
            403 => Error::Forbidden(refusal),
            404 => Error::NotFound(refusal),
            409 | 412 => Error::Conflict(refusal),
            429 => Error::RateLimited(refusal),
            501 => Error::NotAvailable(refusal),
            500.. => Error::Unavailable(refusal),
            _ => Error::Invalid(refusal),
        }
    }

    /// The cloud's answer, where it gave one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Error::SignIn(refusal)
            | Error::PaymentRequired(refusal)
            | Error::Forbidden(refusal)
            | Error::NotFound(refusal)
            | Error::Conflict(refusal)
            | Error::Invalid(refusal)
            | Error::RateLimited(refusal)
            | Error::NotAvailable(refusal)
            | Error::Unavailable(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// The policy code of the cloud's answer.
    pub fn code(&self) -> Option<&str> {
        self.refusal().and_then(Refusal::code)
    }

    /// When the cloud asks to be asked again.
    pub fn retry_after(&self) -> Option<Duration> {
        self.refusal().and_then(|refusal| refusal.retry_after)
    }

    /// True when the same call can succeed later without a change: what a stream waits out.
    pub fn passes(&self) -> bool {
        matches!(
            self,
            Error::RateLimited(_)
                | Error::Unavailable(_)
                | Error::Network { .. }
                | Error::Timeout { .. }
        )
    }
}

/// Reads the body of a refusal; anything but an envelope becomes one sentence about the status.
pub(crate) fn refusal(
    route: String,
    status: StatusCode,
    headers: &reqwest::header::HeaderMap,
    body: &[u8],
) -> Refusal {
    let envelope = serde_json::from_slice::<ErrorEnvelope>(body)
        .ok()
        .filter(|envelope| !envelope.error.is_empty())
        .unwrap_or_else(|| {
            ErrorEnvelope::new(format!(
                "The cloud answered {}.",
                status
                    .canonical_reason()
                    .unwrap_or("with an unknown status")
            ))
        });
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let header = text("retry-after")
        .and_then(|seconds| seconds.trim().parse().ok())
        .map(Duration::from_secs);
    Refusal {
        status: status.as_u16(),
        route,
        // The body knows milliseconds, the header whole seconds, rounded up.
        retry_after: envelope
            .retry_after_ms
            .map(Duration::from_millis)
            .or(header),
        request_id: text("x-request-id").map(|id| id.chars().take(128).collect()),
        envelope,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderMap, HeaderValue};

    fn read(status: u16, retry_after: Option<&str>, body: &str) -> Refusal {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert("retry-after", HeaderValue::from_str(value).unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        refusal("GET /api/x".into(), status, &headers, body.as_bytes())
    }

    #[test]
    fn every_status_has_the_variant_of_what_can_be_done() {
        for (status, name) in [
            (400, "Invalid"),
            (401, "SignIn"),
            (402, "PaymentRequired"),
            (403, "Forbidden"),
            (404, "NotFound"),
            (405, "Invalid"),
            (409, "Conflict"),
            (413, "Invalid"),
            (422, "Invalid"),
            (429, "RateLimited"),
            (500, "Unavailable"),
            (501, "NotAvailable"),
            (503, "Unavailable"),
        ] {
            let error = Error::of(read(status, None, "{}"));
            assert!(
                format!("{error:?}").starts_with(&format!("{name}(")),
                "{status}: {error:?}"
            );
        }
    }

    #[test]
    fn a_code_is_read_from_the_verdict_when_only_that_has_it() {
        let body = r#"{"error":"No.","verdict":{"allowed":false,"reason":"No.","policyCode":"chat.disabled"}}"#;
        assert_eq!(
            Error::of(read(403, None, body)).code(),
            Some("chat.disabled")
        );
    }

    #[test]
    fn the_body_says_when_to_try_again_more_exactly_than_the_header() {
        let body = r#"{"error":"Wait.","retryAfterMs":1250}"#;
        assert_eq!(
            read(429, Some("2"), body).retry_after,
            Some(Duration::from_millis(1250))
        );
        assert_eq!(
            read(429, Some(" 2 "), "{}").retry_after,
            Some(Duration::from_secs(2))
        );
        assert_eq!(read(429, Some("soon"), "{}").retry_after, None);
        assert_eq!(read(429, Some("-1"), "{}").retry_after, None);
    }

    #[test]
    fn a_body_that_is_no_envelope_becomes_a_sentence() {
        for body in ["", "<html>", "[]", "{\"error\":7}", "{}"] {
            let refusal = read(502, None, body);
            assert_eq!(
                refusal.envelope.error, "The cloud answered Bad Gateway.",
                "{body}"
            );
        }
    }
}
