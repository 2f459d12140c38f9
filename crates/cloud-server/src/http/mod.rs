//! The routes, by domain. Each module has `routes()`: the list, and thin handlers that parse, call one service
//! method, and answer.

pub mod auth;
pub mod usage;
pub mod tokens;
pub mod settings;
pub mod policy;
pub mod byok;
pub mod audit;
pub mod admin;
pub mod workspace;

pub mod deferred;
pub mod health;
pub mod import;
pub mod sessions;
use crate::cloud::Options;
use crate::route::Route;

/// Every route of the cloud. What isn't here doesn't exist.
pub fn routes(options: &Options) -> Vec<Route> {
    let mut routes = Vec::new();
    routes.extend(auth::routes(options));
    routes.extend(admin::routes());
    routes.extend(audit::routes());
    routes.extend(byok::routes());
    routes.extend(policy::routes());
    routes.extend(settings::routes());
    routes.extend(tokens::routes());
    routes.extend(usage::routes());
    routes.extend(deferred::routes());
    routes.extend(health::routes());
    routes.extend(import::routes());
    routes.extend(sessions::routes());
    routes.extend(workspace::routes());
    routes
}
