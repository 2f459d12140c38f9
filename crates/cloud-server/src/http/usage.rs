//! Usage and diagnostics (03 §8.13).

use crate::call::Call;
use crate::reply::{self, Answer};
use crate::route::Route;
use crate::service::usage;
use open_cowork_contracts::access::CloudAction;
use open_cowork_contracts::api::usage::{DiagnosticsBundle, UsageEvents, UsageSummary};

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
