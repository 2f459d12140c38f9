//! The feed of the start page (03 §8.12).

use crate::call::Call;
use crate::reply::{self, Answer};
use crate::route::Route;
use crate::service::launchpad;
use open_cowork_contracts::access::CloudAction;
use open_cowork_contracts::api::launchpad::LaunchpadFeed;

/// The routes.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "launchpad/feed",
            CloudAction::LaunchpadRead,
            "What is in progress, what waits on the caller, what appeared",
            feed,
        )
        .query(&[
            ("projectId", "Only of this project"),
            ("limit", "Rows of each list: 1 to 50, 8 when absent"),
            ("inProgressLimit", "Rows of `inProgress`: 1 to 50"),
            ("waitingLimit", "Rows of `waitingOnYou`: 1 to 50"),
            ("artifactsLimit", "Rows of `freshArtifacts`: 1 to 50"),
        ])
        .answers::<LaunchpadFeed>(),
    ]
}

async fn feed(call: Call) -> Answer {
    reply::ok(&launchpad::feed(&call).await?)
}
