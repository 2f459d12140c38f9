//! Plans and subscriptions (03 §8.13).

use crate::call::Call;
use crate::reply::{self, Answer};
use crate::route::Route;
use crate::service::billing;
use open_cowork_contracts::access::CloudAction;
use open_cowork_contracts::api::billing::{
    CheckoutAnswer, CheckoutRequest, PortalAnswer, PortalRequest,
};
use open_cowork_contracts::api::usage::{BillingState, Entitlements};

/// The routes.
pub fn routes() -> Vec<Route> {
    vec![
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
            checkout,
        )
        .takes::<CheckoutRequest>()
        .answers::<CheckoutAnswer>(),
        Route::post(
            "billing/portal",
            CloudAction::BillingWrite,
            "Leads to the billing provider; 404 while billing is off",
            portal,
        )
        .takes::<PortalRequest>()
        .answers::<PortalAnswer>(),
    ]
}

async fn subscription(call: Call) -> Answer {
    reply::ok(&billing::state(&call.cloud, call.principal()?).await?)
}

async fn entitlements(_: Call) -> Answer {
    reply::ok(&billing::entitlements())
}

async fn checkout(call: Call) -> Answer {
    let wish = call.json::<CheckoutRequest>()?;
    reply::ok(&billing::checkout(&call.cloud, call.principal()?, wish).await?)
}

async fn portal(call: Call) -> Answer {
    let wish = call.json::<PortalRequest>()?;
    reply::ok(&billing::portal(&call.cloud, call.principal()?, wish).await?)
}
