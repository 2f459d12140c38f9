//! Signed calls from outside (03 §8.20).

use crate::call::Call;
use crate::error::ApiError;
use crate::reply::{self, Answer};
use crate::route::{Access, BodyBound, Route};
use crate::service::webhooks;
use axum::http::Method;
use http_body_util::{BodyExt, Limited};
use open_cowork_contracts::WorkflowId;
use open_cowork_contracts::api::workflows::WebhookAccepted;

/// The routes.
pub fn routes() -> Vec<Route> {
    vec![
        // Not read before the rate and the back-off of its source have let it in.
        Route::new(
            Method::POST,
            "/webhooks/workflows/:id",
            Access::Webhook,
            "Starts a workflow by a signed call",
            invoke,
        )
        .body(BodyBound::Stream)
        .answers::<WebhookAccepted>()
        .status(202),
    ]
}

async fn invoke(call: Call) -> Answer {
    let id = WorkflowId::new(call.param("id"));
    webhooks::admit(&call.cloud, call.source, &id).await?;
    let limits = &call.cloud.options.limits;
    let body = call.take_stream().unwrap_or_default();
    let reading = Limited::new(body, limits.webhook_body).collect();
    let body = match tokio::time::timeout(limits.receive, reading).await {
        Ok(Ok(body)) => body.to_bytes(),
        // Too large, too slow or cut: one sentence for all, as upstream's.
        _ => {
            let failed = ApiError::invalid("Workflow webhook request failed.");
            return Err(failed.code("webhooks.invalid_body").closing());
        }
    };
    let accepted = webhooks::invoke(&call.cloud, call.source, &id, &call.headers, &body).await?;
    reply::accepted(&accepted)
}
