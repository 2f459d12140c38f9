//! `Idempotency-Key` on every mutation (03 §12 #7): the same key and request give the first answer again.
//!
//! What was refused because of the moment (401, 408, 429, 5xx) is not kept: trying again must be able to help.
//! Answers that show a secret once are not kept either; their repetition says so.

use crate::call::Call;
use crate::cloud::Cloud;
use crate::error::ApiError;
use crate::reply::Answer;
use crate::route::BodyBound;
use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::BodyExt;
use open_cowork_providers::store::browser::{IdempotencyScope, KeptAnswer, Reservation};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// Most characters of a key.
const KEY: usize = 255;
/// A reservation whose owner says nothing for so long belongs to a process that died.
const ABANDONED: Duration = Duration::from_secs(60);
/// Larger answers are not kept; their repetition runs again, and handlers make nothing twice.
const KEPT_BYTES: usize = 256 * 1024;

/// A key that this request holds.
pub(super) struct Held {
    scope: IdempotencyScope,
    token: u64,
}

/// What a key means for this request.
pub(super) enum Claim {
    /// There is none, or the route has no use for it.
    Free,
    /// This request is the first.
    Held(Held),
    /// The answer of the first.
    Answered(Response<Body>),
}

/// Claims the key of a request whose body was read.
pub(super) async fn claim(call: &Call) -> Result<Claim, ApiError> {
    let (Some(key), Some(who)) = (call.idempotency_key(), &call.who) else {
        return match call.headers.contains_key("idempotency-key") && call.who.is_some() {
            true => Err(bad_key()),
            false => Ok(Claim::Free),
        };
    };
    let printable = |byte: u8| (0x21..=0x7e).contains(&byte);
    if key.is_empty() || key.len() > KEY || !key.bytes().all(printable) {
        return Err(bad_key());
    }
    if !call.route.mutates() || call.route.body == BodyBound::Stream {
        return Ok(Claim::Free);
    }
    let principal = &who.principal;
    let scope = IdempotencyScope {
        tenant_id: principal.tenant_id.clone(),
        principal: match &principal.token_id {
            Some(token) => format!("token:{token}"),
            None => format!("user:{}", principal.user_id),
        },
        route: format!("{} {}", call.method, call.uri.path()),
        key: key.to_owned(),
    };
    let cloud = &call.cloud;
    let now = cloud.now();
    let keep = cloud.options.limits.idempotency;
    let expires = now.checked_add(keep).unwrap_or(now);
    let reserved = cloud
        .store
        .reserve_idempotent(
            &scope,
            &fingerprint(call),
            now,
            expires,
            ABANDONED.as_millis() as u64,
        )
        .await?;
    match reserved {
        Reservation::Reserved(token) => Ok(Claim::Held(Held { scope, token })),
        Reservation::InProgress => Err(ApiError::conflict(
            "The first request with this Idempotency-Key still runs; try again in a moment.",
        )
        .code("idempotency.in_progress")
        .retry(Duration::from_secs(1))),
        Reservation::OtherRequest => Err(ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency.key_reused",
            "This Idempotency-Key was used for a request with another body; use a new key for a new request.",
        )),
        Reservation::Done(kept) if !call.route.replayable => {
            let _ = kept;
            Err(ApiError::conflict(
                "This request was done before; its answer showed a secret once and was not kept.",
            )
            .code("idempotency.answer_not_kept"))
        }
        Reservation::Done(kept) => Ok(Claim::Answered(again(kept))),
    }
}

fn bad_key() -> ApiError {
    ApiError::invalid(format!(
        "Header `Idempotency-Key` must be 1 to {KEY} visible ASCII characters."
    ))
    .code("idempotency.key_invalid")
}

/// What makes a repetition the same request.
fn fingerprint(call: &Call) -> String {
    let mut digest = Sha256::new();
    digest.update(call.uri.query().unwrap_or_default());
    digest.update([0]);
    digest.update(&call.body);
    let digest = digest.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn again(kept: KeptAnswer) -> Response<Body> {
    let mut response = Response::new(Body::from(kept.body));
    *response.status_mut() = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    let headers = response.headers_mut();
    let media = kept
        .content_type
        .and_then(|media| HeaderValue::from_str(&media).ok());
    if let Some(media) = media {
        headers.insert(CONTENT_TYPE, media);
    }
    headers.insert(
        axum::http::header::CACHE_CONTROL,
        HeaderValue::from_static("no-store"),
    );
    headers.insert(
        HeaderName::from_static("idempotency-replayed"),
        HeaderValue::from_static("true"),
    );
    response
}

/// Keeps the answer, or gives the key free.
pub(super) async fn settle(cloud: &Cloud, held: Held, replayable: bool, answer: Answer) -> Answer {
    let response = match answer {
        Ok(response) => response,
        Err(error) => error.response(),
    };
    let status = response.status();
    let momentary = status.is_server_error()
        || matches!(
            status,
            StatusCode::UNAUTHORIZED | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
        );
    let (parts, body) = response.into_parts();
    let bytes = body
        .collect()
        .await
        .map_err(|_| ApiError::internal())?
        .to_bytes();
    let media = parts
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let kept = KeptAnswer {
        status: status.as_u16(),
        content_type: media,
        body: match replayable {
            true => bytes.to_vec(),
            false => Vec::new(),
        },
    };
    let settled = match momentary || bytes.len() > KEPT_BYTES {
        true => {
            cloud
                .store
                .release_idempotent(&held.scope, held.token)
                .await
        }
        false => {
            let store = &cloud.store;
            store
                .complete_idempotent(&held.scope, held.token, &kept)
                .await
        }
    };
    if let Err(error) = settled {
        // The work is done; a repetition waits until the key counts as abandoned, and makes nothing twice.
        tracing::warn!(%error, "an answer can't be kept for repetitions");
    }
    Ok(Response::from_parts(parts, Body::from(bytes)))
}
