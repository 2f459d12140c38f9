//! What a worker or scheduler without an API says on its liveness port (04 §3.1).

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use open_cowork_contracts::api::workspace::ProgressSnapshot;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Connections of the liveness port at a time.
pub const CONNECTIONS: usize = 64;

/// What the loops of a process tell.
pub struct Loops {
    /// Time since each loop finished a round.
    pub beat_ages: Box<dyn Fn() -> Vec<Duration> + Send + Sync>,
    /// A loop without a finished round for that long hangs: at least 30 s, and ten polls.
    pub limit: Duration,
    /// Where runs are; `None`: nothing is watched.
    pub progress: Option<Box<dyn Fn() -> ProgressSnapshot + Send + Sync>>,
}

impl std::fmt::Debug for Loops {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loops")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// How long a loop may take for a round: the longest poll interval decides.
#[must_use]
pub fn limit(poll: Duration) -> Duration {
    Duration::from_secs(30).max(poll.saturating_mul(10))
}

/// `/livez` and `/progressz`; everything else is 404.
pub fn router(loops: Loops) -> Router {
    Router::new()
        .route("/livez", any(livez))
        .route("/progressz", any(progressz))
        .fallback(|| async {
            (
                StatusCode::NOT_FOUND,
                Json(json!({ "error": "Not found.", "code": "resource.not_found" })),
            )
        })
        .with_state(Arc::new(loops))
}

async fn livez(State(loops): State<Arc<Loops>>) -> Response {
    let alive = (loops.beat_ages)().iter().all(|age| *age < loops.limit);
    let status = match alive {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(json!({ "ok": alive }))).into_response()
}

async fn progressz(State(loops): State<Arc<Loops>>) -> Response {
    let snapshot = loops.progress.as_ref().map(|progress| progress());
    Json(snapshot.unwrap_or_default()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::Request;
    use std::sync::Mutex;
    use tower::ServiceExt;

    async fn status(router: &Router, path: &str) -> StatusCode {
        let request = Request::get(path).body(Body::empty()).unwrap();
        router.clone().oneshot(request).await.unwrap().status()
    }

    #[tokio::test]
    async fn a_loop_that_hangs_is_not_alive() {
        let ages = Arc::new(Mutex::new(vec![Duration::ZERO, Duration::from_secs(29)]));
        let told = ages.clone();
        let router = router(Loops {
            beat_ages: Box::new(move || told.lock().unwrap().clone()),
            limit: limit(Duration::from_secs(1)),
            progress: None,
        });
        assert_eq!(status(&router, "/livez").await, StatusCode::OK);
        ages.lock().unwrap()[0] = Duration::from_secs(30);
        assert_eq!(
            status(&router, "/livez").await,
            StatusCode::SERVICE_UNAVAILABLE
        );
        assert_eq!(status(&router, "/progressz").await, StatusCode::OK);
        assert_eq!(
            status(&router, "/api/sessions").await,
            StatusCode::NOT_FOUND
        );
        assert_eq!(limit(Duration::from_secs(60)), Duration::from_secs(600));
    }
}
