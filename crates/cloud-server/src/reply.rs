//! Answers (03 §1).

use crate::error::ApiError;
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, Response, StatusCode};
use bytes::Bytes;
use serde::Serialize;

/// What a handler gives back.
pub type Answer = Result<Response<Body>, ApiError>;

/// 200 with JSON.
pub fn ok<T: Serialize>(value: &T) -> Answer {
    json(StatusCode::OK, value)
}

/// 201 with JSON.
pub fn created<T: Serialize>(value: &T) -> Answer {
    json(StatusCode::CREATED, value)
}

/// 202 with JSON.
pub fn accepted<T: Serialize>(value: &T) -> Answer {
    json(StatusCode::ACCEPTED, value)
}

/// JSON with that status.
pub fn json<T: Serialize>(status: StatusCode, value: &T) -> Answer {
    let body = serde_json::to_vec(value).map_err(|error| {
        tracing::error!(%error, "an answer can't be written as JSON");
        ApiError::internal()
    })?;
    Ok(bytes(status, Bytes::from(body)))
}

/// JSON that is written already.
pub fn bytes(status: StatusCode, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An empty answer.
pub fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Tells that `Prefer: return=minimal` was honoured.
pub fn note_minimal(answer: &mut Response<Body>) {
    answer.headers_mut().insert(
        axum::http::HeaderName::from_static("preference-applied"),
        HeaderValue::from_static("return=minimal"),
    );
}
