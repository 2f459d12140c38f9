//! The routes, by domain. Each module has `routes()`: the list, and thin handlers that parse, call one service
//! method, and answer.

pub mod admin;
pub mod artifacts;
pub mod audit;
pub mod auth;
pub mod billing;
pub mod byok;
pub mod capabilities;
pub mod channels;
pub mod deferred;
pub mod health;
pub mod import;
pub mod launchpad;
pub mod policy;
pub mod sessions;
pub mod settings;
pub mod threads;
pub mod tokens;
pub mod usage;
pub mod webhooks;
pub mod workflows;
pub mod workspace;

use crate::cloud::Options;
use crate::route::Route;

/// Every route of the cloud. What isn't here doesn't exist.
pub fn routes(options: &Options) -> Vec<Route> {
    let mut routes = Vec::new();
    routes.extend(admin::routes());
    routes.extend(artifacts::routes());
    routes.extend(audit::routes());
    routes.extend(auth::routes(options));
    routes.extend(byok::routes());
    routes.extend(capabilities::routes());
    routes.extend(channels::routes());
    routes.extend(deferred::routes());
    routes.extend(health::routes());
    routes.extend(import::routes());
    routes.extend(launchpad::routes());
    routes.extend(policy::routes());
    routes.extend(sessions::routes());
    routes.extend(settings::routes());
    routes.extend(threads::routes());
    routes.extend(tokens::routes());
    routes.extend(usage::routes());
    routes.extend(billing::routes());
    routes.extend(webhooks::routes());
    routes.extend(workflows::routes());
    routes.extend(workspace::routes());
    routes
}
