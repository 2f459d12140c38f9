//! Routes of the contract that a later version serves: coordination, knowledge, SCIM, billing's webhook, managed
//! workers, project sources. They authorize as they will, and answer 501 with a code.

use crate::call::Call;
use crate::error::ApiError;
use crate::reply::Answer;
use crate::route::{Access, BodyBound, Route};
use axum::http::Method;
use open_cowork_contracts::access::CloudAction;
use open_cowork_policy::capability::table;

/// Actions of which every route waits, with the word of the answer.
const WAITING: &[(CloudAction, &str)] = &[
    (CloudAction::ProjectSourcesValidate, "Project sources"),
    (CloudAction::ProjectSourcesUpload, "Project sources"),
    (CloudAction::CoordinationRead, "Coordination boards"),
    (CloudAction::CoordinationWrite, "Coordination boards"),
    (CloudAction::CoordinationWatchesRead, "Coordination boards"),
    (CloudAction::CoordinationWatchesWrite, "Coordination boards"),
    (CloudAction::KnowledgeRead, "Knowledge spaces"),
    (CloudAction::KnowledgePropose, "Knowledge spaces"),
    (CloudAction::KnowledgeAdminWrite, "Knowledge spaces"),
    (CloudAction::AdminWorkersRead, "Managed workers"),
    (CloudAction::AdminWorkersWrite, "Managed workers"),
    (CloudAction::WorkerHeartbeat, "Managed workers"),
];

/// The routes.
pub fn routes() -> Vec<Route> {
    let mut routes = Vec::new();
    for (action, what) in WAITING {
        for route in table::row(*action).routes {
            let Some((method, path)) = route.split_once(' ') else {
                continue;
            };
            let Ok(method) = Method::from_bytes(method.as_bytes()) else {
                continue;
            };
            routes.push(waiting(method, path, Access::Action(*action), what));
        }
    }
    // Credentials of their own, which nobody issues yet.
    let agent = Access::Open;
    routes.push(waiting(
        Method::POST,
        "knowledge/agent/propose",
        agent,
        "Knowledge spaces",
    ));
    let billing = waiting(
        Method::POST,
        "/webhooks/billing",
        Access::Webhook,
        "Billing webhooks",
    );
    routes.push(billing.body(BodyBound::Webhook));
    for (method, path) in [
        (Method::GET, "/scim/v2/ServiceProviderConfig"),
        (Method::GET, "/scim/v2/Users"),
        (Method::POST, "/scim/v2/Users"),
        (Method::GET, "/scim/v2/Users/:id"),
        (Method::PUT, "/scim/v2/Users/:id"),
        (Method::PATCH, "/scim/v2/Users/:id"),
        (Method::DELETE, "/scim/v2/Users/:id"),
        (Method::POST, "/scim/v2/Groups"),
        (Method::PUT, "/scim/v2/Groups/:id"),
        (Method::PATCH, "/scim/v2/Groups/:id"),
    ] {
        routes.push(waiting(method, path, Access::Open, "SCIM endpoints"));
    }
    routes
}

fn waiting(method: Method, path: &'static str, access: Access, what: &'static str) -> Route {
    let handler = async move |_call: Call| -> Answer { Err(ApiError::not_implemented(what)) };
    Route::new(
        method,
        path,
        access,
        "Not in this version: answers 501",
        handler,
    )
    .status(501)
}
