//! Importing a local thread (03 §8.4).

use crate::call::Call;
use crate::reply::{self, Answer};
use crate::route::{BodyBound, Route};
use crate::service::import;
use open_cowork_contracts::SessionId;
use open_cowork_contracts::access::CloudAction;
use open_cowork_contracts::api::import::ImportSession;
use open_cowork_contracts::record::SessionEnvelope;

/// The routes.
pub fn routes() -> Vec<Route> {
    vec![
        Route::post(
            "import/sessions",
            CloudAction::SessionsImport,
            "Imports a local thread",
            sessions,
        )
        .takes::<ImportSession>()
        .answers::<SessionEnvelope>()
        .status(201)
        .body(BodyBound::Large),
    ]
}

async fn sessions(call: Call) -> Answer {
    import::screen(&call.object()?)?;
    let request: ImportSession = call.json()?;
    let id = SessionId::new(call.new_id("session"));
    let made = import::run(&call.cloud, &call.scope()?, id, request).await?;
    reply::created(&made)
}
