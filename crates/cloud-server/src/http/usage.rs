//! Usage, billing, diagnostics (03 §8.13).

use crate::call::Call;
use crate::error::ApiError;
use crate::reply::{self, Answer};
use crate::route::Route;
use crate::service::usage;
use axum::http::StatusCode;
use open_cowork_contracts::access::CloudAction;
use open_cowork_contracts::api::usage::{
    BillingState, DiagnosticsBundle, Entitlements, UsageEvents, UsageSummary,
};

/// The routes.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "usage/events",
            CloudAction::UsageRead,
            "What was used, newest first",
            events,
        )
        .query(&[
            ("limit", "Events of a page, at most 500"),
            ("cursor", "The end of the page before"),
        ])
        .answers::<UsageEvents>(),
        Route::get(
            "usage/summary",
            CloudAction::UsageRead,
            "The last uses, their sums, and the quotas",
            summary,
        )
        .query(&[("limit", "Events that are looked at, at most 500")])
        .answers::<UsageSummary>(),
        Route::get(
            "diagnostics",
            CloudAction::OperatorDiagnosticsRead,
            "What support asks for, without secrets",
            diagnostics,
        )
        .answers::<DiagnosticsBundle>(),
        Route::get(
            "billing/subscription",
            CloudAction::BillingRead,
            "Who bills, and the subscription",
            subscription,
        )
        .answers::<BillingState>(),
        Route::get(
            "billing/entitlements",
            CloudAction::BillingRead,
            "What the organisation is entitled to",
            entitlements,
        )
        .answers::<Entitlements>(),
        Route::post(
            "billing/checkout",
            CloudAction::BillingWrite,
            "Subscribes; 404 while billing is off",
            billing_is_off,
        ),
        Route::post(
            "billing/portal",
            CloudAction::BillingWrite,
            "Leads to the billing provider; 404 while billing is off",
            billing_is_off,
        ),
    ]
}

async fn events(call: Call) -> Answer {
    let query = call.query();
    let cursor = query.text("cursor");
    let page = usage::events(
        &call.cloud,
        call.principal()?,
        cursor.as_deref(),
        query.limit(100, 500),
    );
    reply::ok(&page.await?)
}

async fn summary(call: Call) -> Answer {
    let limit = call.query().limit(100, 500);
    reply::ok(&usage::summary(&call.cloud, call.principal()?, limit).await?)
}

async fn diagnostics(call: Call) -> Answer {
    reply::ok(&usage::diagnostics(&call.cloud, call.principal()?).await?)
}

async fn subscription(call: Call) -> Answer {
    reply::ok(&usage::billing(&call.cloud, call.principal()?).await?)
}

async fn entitlements(_: Call) -> Answer {
    reply::ok(&usage::entitlements())
}

async fn billing_is_off(_: Call) -> Answer {
    Err(ApiError::new(
        StatusCode::NOT_FOUND,
        "billing.disabled",
        "Billing is off in this deployment.",
    ))
}
