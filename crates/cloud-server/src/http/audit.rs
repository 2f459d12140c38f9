//! The audit log (03 §8.17).

use crate::call::Call;
use crate::error::ApiError;
use crate::reply::{self, Answer};
use crate::route::Route;
use crate::service::audit::{self, Format};
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderValue, Response};
use open_cowork_contracts::access::CloudAction;
use open_cowork_contracts::api::admin::{AuditActor, AuditEvents, AuditResult};
use open_cowork_providers::store::governance::AuditQuery;

const FILTERS: &[(&str, &str)] = &[
    ("actorId", "Who did it"),
    ("actorType", "`user`, `api_token` or `system`"),
    ("action", "Begin of the event type"),
    ("targetType", "Kind of what it was done to"),
    ("targetId", "What it was done to"),
    ("result", "`success`, `failure` or `denied`"),
    ("from", "Not before this ISO date"),
    ("to", "Not after this ISO date"),
    ("limit", "Entries of a page, at most 500"),
    ("cursor", "The end of the page before"),
    ("format", "Of an export: `json` or `csv`"),
    (
        "unredacted",
        "Of an export, `true`: with names in paths; noted in the log",
    ),
];

/// The routes.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "admin/audit",
            CloudAction::AdminAuditRead,
            "The audit log, newest first",
            list,
        )
        .query(&FILTERS[..10])
        .answers::<AuditEvents>(),
        Route::get(
            "admin/audit/export",
            CloudAction::AdminAuditRead,
            "Everything in the audit log that matches, as a file",
            export,
        )
        .query(FILTERS)
        .also(&[(200, "The file, as JSON or CSV")]),
    ]
}

fn query(call: &Call) -> Result<AuditQuery, ApiError> {
    let query = call.query();
    Ok(AuditQuery {
        actor_id: query.text("actorId"),
        actor_type: query.name("actorType", AuditActor::ALL, AuditActor::as_str)?,
        event_type_prefix: query.text("action"),
        target_type: query.text("targetType"),
        target_id: query.text("targetId"),
        result: query
            .name("result", AuditResult::ALL, AuditResult::as_str)?
            .map(|result| result.as_str().to_owned()),
        from: audit::time("from", query.text("from"))?,
        to: audit::time("to", query.text("to"))?,
        cursor: query.text("cursor"),
        limit: query.limit(100, 500),
    })
}

async fn list(call: Call) -> Answer {
    let query = query(&call)?;
    reply::ok(&audit::page(&call.cloud, call.principal()?, &query).await?)
}

async fn export(call: Call) -> Answer {
    let filters = query(&call)?;
    let format = call
        .query()
        .name("format", &[Format::Json, Format::Csv], Format::extension)?;
    let format = format.unwrap_or(Format::Json);
    let unredacted = call.query().text("unredacted").as_deref() == Some("true");
    let principal = call.principal()?;
    let pieces = audit::export(&call.cloud, principal, filters, format, unredacted).await?;
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static(match format {
            Format::Json => "application/json; charset=utf-8",
            Format::Csv => "text/csv; charset=utf-8",
        }),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let org = principal.org_id.replace(|c| !plain(c), "_");
    let name = format!(
        "attachment; filename=\"audit-export-{org}.{}\"",
        format.extension()
    );
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    Ok(response)
}
