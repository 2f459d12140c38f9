//! The refusal of a request (03 §2). One place turns what a store, a log or a runtime says into a status.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Response, StatusCode};
use open_cowork_contracts::error::{ErrorEnvelope, Verdict};
use open_cowork_policy::capability::Decision;
use open_cowork_providers::executor::ExecutionError;
use open_cowork_providers::objects::ObjectError;
use open_cowork_providers::secrets::SecretError;
use open_cowork_providers::store::StoreError;
use open_cowork_thread_log::LogError;
use std::time::Duration;

/// Why a request was refused or failed: status, one sentence for people, a code for programs.
///
/// What happened inside belongs in the log, never into the sentence.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// HTTP status.
    pub status: StatusCode,
    /// One sentence: what, where, what to do next.
    pub message: String,
    /// For programs, on every refusal.
    pub code: String,
    /// A policy decided: the answer carries a verdict.
    pub verdict: bool,
    /// When it is worth trying again.
    pub retry_after: Option<Duration>,
    /// The request was not read to its end: the connection can't be used again.
    pub close: bool,
}

impl ApiError {
    /// A refusal of that kind.
    pub fn new(status: StatusCode, code: impl Into<String>, message: impl Into<String>) -> Self {
        ApiError {
            status,
            message: message.into(),
            code: code.into(),
            verdict: false,
            retry_after: None,
            close: false,
        }
    }

    /// A policy's refusal: the answer carries its verdict (03 §2.1).
    pub fn policy(status: StatusCode, code: impl Into<String>, message: impl Into<String>) -> Self {
        ApiError {
            verdict: true,
            ..ApiError::new(status, code, message)
        }
    }

    /// 403 of the capability policy.
    pub fn denied(decision: &Decision) -> Self {
        let verdict = decision.verdict();
        ApiError::policy(
            StatusCode::FORBIDDEN,
            verdict.policy_code.unwrap_or_default(),
            verdict.reason.unwrap_or_default(),
        )
    }

    /// 400: the request is wrong, the sentence says where.
    pub fn invalid(message: impl Into<String>) -> Self {
        ApiError::new(StatusCode::BAD_REQUEST, "request.invalid", message)
    }

    /// 401.
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        ApiError::new(StatusCode::UNAUTHORIZED, "auth.required", message)
    }

    /// 404: it doesn't exist or belongs to somebody else; both read the same.
    pub fn not_found(message: impl Into<String>) -> Self {
        ApiError::new(StatusCode::NOT_FOUND, "resource.not_found", message)
    }

    /// 409.
    pub fn conflict(message: impl Into<String>) -> Self {
        ApiError::new(StatusCode::CONFLICT, "resource.conflict", message)
    }

    /// 413.
    pub fn too_large() -> Self {
        ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "request.too_large",
            "Request body is too large.",
        )
    }

    /// 429 with the time to wait.
    pub fn too_many(code: impl Into<String>, message: impl Into<String>, wait: Duration) -> Self {
        ApiError::policy(StatusCode::TOO_MANY_REQUESTS, code, message).retry(wait)
    }

    /// 500 without any detail.
    pub fn internal() -> Self {
        ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Internal server error.",
        )
    }

    /// 501: the contract knows the route, this version doesn't serve it yet.
    pub fn not_implemented(what: &str) -> Self {
        ApiError::new(
            StatusCode::NOT_IMPLEMENTED,
            "not_implemented",
            format!("{what} are not available in this version of the cloud."),
        )
    }

    /// 503 with the time to wait: something that this process depends on doesn't answer.
    pub fn unavailable(code: impl Into<String>, message: impl Into<String>) -> Self {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, code, message).retry(Duration::from_secs(2))
    }

    /// The same with a time to wait.
    #[must_use]
    pub fn retry(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The same with another code.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = code.into();
        self
    }

    /// The same, and the connection ends after the answer.
    #[must_use]
    pub fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// The body (03 §2.1).
    pub fn envelope(&self) -> ErrorEnvelope {
        ErrorEnvelope {
            error: self.message.clone(),
            code: Some(self.code.clone()),
            retry_after_ms: None,
            verdict: self.verdict.then(|| Verdict {
                allowed: false,
                reason: self.message.clone(),
                policy_code: self.code.clone(),
            }),
        }
        .retry_after(self.retry_after.map_or(0, |wait| wait.as_millis() as u64))
    }

    /// The answer.
    pub fn response(&self) -> Response<Body> {
        let envelope = self.envelope();
        let body = serde_json::to_vec(&envelope).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/json; charset=utf-8"),
        );
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = envelope.retry_after_seconds() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.close {
            headers.insert(
                axum::http::header::CONNECTION,
                HeaderValue::from_static("close"),
            );
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let failed = |error: &StoreError| {
            tracing::warn!(%error, "the store can't serve a request");
            ApiError::unavailable(
                "store.unavailable",
                "The database can't be reached now; try again in a moment.",
            )
        };
        match error {
            StoreError::NotFound(_) => ApiError::not_found("It was not found."),
            StoreError::Missing(kind) => ApiError::not_found(format!("The {kind} was not found.")),
            StoreError::Invalid(message) => ApiError::invalid(message),
            StoreError::Forbidden(message) => {
                ApiError::new(StatusCode::FORBIDDEN, "resource.forbidden", message)
            }
            StoreError::Quota(denial) => ApiError::too_many(
                denial.code,
                denial.message,
                Duration::from_millis(denial.retry_after_ms),
            ),
            StoreError::Conflict(message) => ApiError::conflict(message),
            StoreError::EventIdReused(_)
            | StoreError::ReservedEventId(_)
            | StoreError::UnsupportedEventType(_) => ApiError::conflict(error.to_string()),
            StoreError::StaleFence => {
                ApiError::conflict("Another worker took this over; try again.").code("lease.stale")
            }
            StoreError::InvalidCursor => ApiError::policy(
                StatusCode::BAD_REQUEST,
                "cursor.invalid",
                "The page cursor doesn't belong to this list; start again from the first page.",
            ),
            StoreError::Full { .. } => {
                tracing::error!(%error, "the store is full");
                ApiError::new(
                    StatusCode::INSUFFICIENT_STORAGE,
                    "store.full",
                    "The server's storage is full; nothing was saved.",
                )
            }
            StoreError::Unavailable(_) | StoreError::Backend(_) | StoreError::Closed => {
                failed(&error)
            }
            _ => {
                tracing::error!(%error, "the store refuses");
                failed(&error)
            }
        }
    }
}

impl From<LogError> for ApiError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::NotAppended { source, .. } | LogError::Store(source) => source.into(),
            _ => ApiError::unavailable("shutting_down", "The server is shutting down; try again."),
        }
    }
}

impl From<ExecutionError> for ApiError {
    fn from(error: ExecutionError) -> Self {
        let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_GATEWAY);
        match error.code {
            Some(code) => ApiError::policy(status, code, error.message),
            None => ApiError::new(status, "execution.failed", error.message),
        }
    }
}

impl From<ObjectError> for ApiError {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::InvalidKey => ApiError::not_found("It was not found."),
            ObjectError::Unavailable(detail) => {
                tracing::warn!(%detail, "the object store can't serve a request");
                ApiError::unavailable(
                    "objects.unavailable",
                    "The object store can't be reached now; try again in a moment.",
                )
            }
        }
    }
}

impl From<SecretError> for ApiError {
    fn from(error: SecretError) -> Self {
        ApiError::unavailable("secrets.unavailable", error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_a_sentence_and_a_code() {
        let wait = Duration::from_millis(1250);
        let error = ApiError::too_many("rate_limit.http_exceeded", "Too many.", wait);
        let response = error.response();
        assert_eq!(response.headers()[RETRY_AFTER], "2");
        assert_eq!(
            serde_json::to_value(error.envelope()).unwrap(),
            serde_json::json!({
                "error": "Too many.", "code": "rate_limit.http_exceeded", "retryAfterMs": 1250,
                "verdict": {"allowed": false, "reason": "Too many.", "policyCode": "rate_limit.http_exceeded"},
            })
        );
    }

    #[test]
    fn what_a_store_says_never_reaches_the_caller() {
        let inside = StoreError::Backend("password authentication failed for user oc".into());
        let error = ApiError::from(inside);
        assert_eq!(error.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(!error.message.contains("password"));
        assert!(error.retry_after.is_some());
    }
}
