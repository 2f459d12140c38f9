//! Reading a body within its bounds: bytes and time (03 §1.2, §1.3).

use crate::error::ApiError;
use axum::body::Body;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use std::time::Duration;

/// The whole body, or why not.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: Body,
    bound: usize,
    patience: Duration,
) -> Result<Bytes, ApiError> {
    let declared = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > bound) {
        return Err(ApiError::too_large().closing());
    }
    let reading = collect(body, bound);
    match tokio::time::timeout(patience, reading).await {
        Ok(read) => read,
        Err(_) => Err(ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "request.timeout",
            "The request body did not arrive in time; send it again.",
        )
        .closing()),
    }
}

async fn collect(body: Body, bound: usize) -> Result<Bytes, ApiError> {
    let mut chunks = body.into_data_stream();
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| {
            ApiError::invalid("The request body ended early; send it again.").closing()
        })?;
        if first.len() + rest.len() + chunk.len() > bound {
            return Err(ApiError::too_large().closing());
        }
        // One chunk is the rule; it isn't copied.
        match first.is_empty() && rest.is_empty() {
            true => first = chunk,
            false => {
                if rest.is_empty() {
                    rest.extend_from_slice(&first);
                    first = Bytes::new();
                }
                rest.extend_from_slice(&chunk);
            }
        }
    }
    Ok(match rest.is_empty() {
        true => first,
        false => rest.freeze(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;

    fn chunks(chunks: &[&'static str]) -> Body {
        let chunks: Vec<Result<&'static str, std::io::Error>> =
            chunks.iter().map(|chunk| Ok(*chunk)).collect();
        Body::from_stream(stream::iter(chunks))
    }

    async fn of(body: Body, bound: usize) -> Result<Bytes, ApiError> {
        read(&HeaderMap::new(), body, bound, Duration::from_secs(30)).await
    }

    #[tokio::test]
    async fn a_body_is_bounded_whether_it_says_its_length_or_not() {
        assert_eq!(of(chunks(&["ab", "cd", "e"]), 5).await.unwrap(), "abcde");
        assert_eq!(of(chunks(&["ab"]), 5).await.unwrap(), "ab");
        assert_eq!(of(chunks(&[]), 5).await.unwrap(), "");
        let long = of(chunks(&["abc", "def"]), 5).await.unwrap_err();
        assert_eq!(
            (long.status, long.close),
            (StatusCode::PAYLOAD_TOO_LARGE, true)
        );
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, 6.into());
        let read = read(&headers, Body::empty(), 5, Duration::from_secs(1)).await;
        assert_eq!(read.unwrap_err().status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up() {
        let stalled = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(
            of(stalled, 5).await.unwrap_err().status,
            StatusCode::REQUEST_TIMEOUT
        );
    }
}
