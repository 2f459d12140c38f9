//! What counts as ready (08 §15.2).

use crate::error::HostError;
use crate::probe::{self, Observed, Verdict, VerdictLevel};
use futures::StreamExt;
use open_cowork_opencode::{Client, OpenCodeRuntime, StreamItem};

/// Health and version, the password, the routes, the first frame: in this order. Returns the version as the server
/// says it.
pub(super) async fn prove_ready(
    client: &Client,
    allow_untested: bool,
) -> Result<(String, Verdict), HostError> {
    let refuse = |reasons: Vec<String>| HostError::Incompatible(reasons.join(" "));
    let health = client.health().await?;
    if !health.healthy {
        return Err(HostError::Start {
            message: "it says that it is not healthy".to_owned(),
            tail: String::new(),
        });
    }
    let version = probe::version(&health.version, allow_untested);
    if version.level == VerdictLevel::Refuse {
        return Err(refuse(version.reasons));
    }
    if !client.rejects_unauthenticated().await? {
        return Err(refuse(vec![
            "It answers without a password; another program may have its port.".to_owned(),
        ]));
    }
    let capabilities = client.capabilities().await?;
    let observed = Observed {
        version: health.version,
        routes: capabilities.routes,
        event_kinds: Some(capabilities.event_kinds),
    };
    let verdict = probe::assess(&observed, allow_untested);
    if verdict.level == VerdictLevel::Refuse {
        return Err(refuse(verdict.reasons));
    }
    // The stream has its own deadline for the first frame.
    match client.events().next().await {
        Some(StreamItem::Connected | StreamItem::Frame(_)) => Ok((observed.version, verdict)),
        Some(StreamItem::Broken(broken)) => Err(HostError::Start {
            message: broken.to_string(),
            tail: String::new(),
        }),
        None => Err(HostError::Start {
            message: "its event stream ended at once".to_owned(),
            tail: String::new(),
        }),
    }
}
