//! Own provider keys (03 §8.14).

use crate::call::Call;
use crate::reply::{self, Answer};
use crate::route::Route;
use crate::service::byok;
use open_cowork_contracts::access::CloudAction;
use open_cowork_contracts::api::byok::{
    ByokSecretAnswer, ByokSecrets, DisabledByokSecret, OverriddenByokSecret, OverrideByokSecret,
    SetByokSecret, ValidatedByokSecret,
};

/// The routes.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "byok",
            CloudAction::ByokRead,
            "The newest key of each provider, without its value",
            list,
        )
        .answers::<ByokSecrets>(),
        Route::get(
            "byok/:provider",
            CloudAction::ByokRead,
            "The newest key of a provider, without its value",
            read,
        )
        .answers::<ByokSecretAnswer>(),
        Route::post(
            "byok/:provider",
            CloudAction::ByokWrite,
            "Keeps a key; it waits for its validation",
            set,
        )
        .takes::<SetByokSecret>()
        .answers::<ByokSecretAnswer>()
        .status(201),
        Route::post(
            "byok/:provider/validate",
            CloudAction::ByokWrite,
            "Validates the newest key of a provider and puts it in force",
            validate,
        )
        .answers::<ValidatedByokSecret>(),
        Route::post(
            "byok/:provider/override",
            CloudAction::ByokWrite,
            "Puts the newest key of a provider in force unchecked",
            override_validation,
        )
        .takes::<OverrideByokSecret>()
        .answers::<OverriddenByokSecret>(),
        Route::delete(
            "byok/:provider",
            CloudAction::ByokWrite,
            "Withdraws the keys of a provider",
            disable,
        )
        .answers::<DisabledByokSecret>(),
    ]
}

async fn list(call: Call) -> Answer {
    let secrets = byok::list(&call.cloud, call.principal()?).await?;
    reply::ok(&ByokSecrets { secrets })
}

async fn read(call: Call) -> Answer {
    let secret = byok::read(&call.cloud, call.principal()?, call.param("provider")).await?;
    reply::ok(&ByokSecretAnswer { secret })
}

async fn set(call: Call) -> Answer {
    let wish = call.json::<SetByokSecret>()?;
    let secret = byok::set(&call.cloud, call.principal()?, call.param("provider"), wish).await?;
    reply::created(&ByokSecretAnswer {
        secret: Some(secret),
    })
}

async fn validate(call: Call) -> Answer {
    let validated = byok::validate(&call.cloud, call.principal()?, call.param("provider"));
    reply::ok(&validated.await?)
}

async fn override_validation(call: Call) -> Answer {
    let wish = call.json::<OverrideByokSecret>()?;
    let (provider, reason) = (call.param("provider"), wish.reason.as_str());
    let overridden = byok::override_validation(&call.cloud, call.principal()?, provider, reason);
    reply::ok(&overridden.await?)
}

async fn disable(call: Call) -> Answer {
    let disabled = byok::disable(&call.cloud, call.principal()?, call.param("provider"));
    reply::ok(&disabled.await?)
}
