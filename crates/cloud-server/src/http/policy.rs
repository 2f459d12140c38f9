//! The managed policy (03 §8.15).

use crate::call::Call;
use crate::reply::{self, Answer};
use crate::route::Route;
use crate::service::policy;
use axum::http::Method;
use open_cowork_contracts::access::CloudAction;
use open_cowork_contracts::api::policy::{
    EffectivePolicyAnswer, ManagedPolicyAnswer, ManagedPolicyChange,
};

/// The routes.
pub fn routes() -> Vec<Route> {
    let change_by = |method: Method| {
        let route = match method {
            Method::PUT => Route::put,
            _ => Route::post,
        };
        route(
            "policy",
            CloudAction::PolicyWrite,
            "Changes the managed policy: absent keeps, null lifts, a value sets",
            change,
        )
        .takes::<ManagedPolicyChange>()
        .answers::<ManagedPolicyAnswer>()
    };
    vec![
        Route::get(
            "policy",
            CloudAction::PolicyRead,
            "The managed policy and what it restricts",
            read,
        )
        .answers::<ManagedPolicyAnswer>(),
        change_by(Method::PUT),
        change_by(Method::POST),
        Route::get(
            "policy/effective",
            CloudAction::PolicyEffectiveRead,
            "The managed policy as it applies to the caller",
            effective,
        )
        .answers::<EffectivePolicyAnswer>(),
    ]
}

async fn read(call: Call) -> Answer {
    reply::ok(&policy::read(&call.cloud, call.principal()?).await?)
}

async fn change(call: Call) -> Answer {
    // Wrong types are 400 here, so the fields are not read leniently.
    let change = call.object()?;
    reply::ok(&policy::change(&call.cloud, call.principal()?, &change).await?)
}

async fn effective(call: Call) -> Answer {
    let tenant = &call.principal()?.tenant_id;
    reply::ok(&policy::effective(&call.cloud, tenant).await?)
}
