//! API tokens (03 §8.16).

use crate::call::Call;
use crate::reply::{self, Answer};
use crate::route::Route;
use crate::service::tokens;
use open_cowork_contracts::access::CloudAction;
use open_cowork_contracts::api::tokens::{
    ApiTokens, GrantChannelBinding, GrantedChannelBinding, IssueApiToken, IssuedApiToken,
    RevokedApiToken,
};

/// The routes.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "api-tokens",
            CloudAction::ApiTokensRead,
            "The API tokens of the organisation, revoked ones included",
            list,
        )
        .query(&[
            ("limit", "Tokens of a page, at most 500"),
            ("cursor", "The end of the page before"),
        ])
        .answers::<ApiTokens>(),
        Route::post(
            "api-tokens",
            CloudAction::ApiTokensWrite,
            "Issues an API token and shows it once",
            issue,
        )
        .takes::<IssueApiToken>()
        .answers::<IssuedApiToken>()
        .status(201)
        .secret(),
        Route::delete(
            "api-tokens/:id",
            CloudAction::ApiTokensWrite,
            "Revokes an API token",
            revoke,
        )
        .answers::<RevokedApiToken>(),
        Route::post(
            "api-tokens/:id/channel-bindings",
            CloudAction::ApiTokensWrite,
            "Lets an API token speak for a channel binding",
            grant,
        )
        .takes::<GrantChannelBinding>()
        .answers::<GrantedChannelBinding>(),
    ]
}

async fn list(call: Call) -> Answer {
    let query = call.query();
    let cursor = query.text("cursor");
    let page = tokens::page(
        &call.cloud,
        call.principal()?,
        cursor.as_deref(),
        query.limit(100, 500),
    );
    reply::ok(&page.await?)
}

async fn issue(call: Call) -> Answer {
    let wish = call.json::<IssueApiToken>()?;
    reply::created(&tokens::issue(&call.cloud, call.principal()?, wish).await?)
}

async fn revoke(call: Call) -> Answer {
    let revoked = tokens::revoke(&call.cloud, call.principal()?, call.param("id"));
    reply::ok(&revoked.await?)
}

async fn grant(call: Call) -> Answer {
    let wish = call.json::<GrantChannelBinding>()?;
    let (id, binding) = (call.param("id"), wish.channel_binding_id.as_str());
    reply::ok(&tokens::grant(&call.cloud, call.principal()?, id, binding).await?)
}
