//! Keeps a scope's lease alive, whatever its threads do: a tool that is silent for minutes and a person who thinks
//! over an approval must not cost the run its lease (04 §16 #1).

use crate::parts::Clock;
use open_cowork_providers::store::execution::ScopeLease;
use open_cowork_providers::store::{ControlPlane, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// After a failed renewal it is tried again after that.
const RETRY: Duration = Duration::from_millis(250);

/// The renewal of one scope; dropping it stops renewing and releases nothing.
pub(crate) struct Renewal {
    lost: watch::Receiver<bool>,
    _task: AbortOnDropHandle<()>,
}

impl Renewal {
    /// Renews every third of `ttl`. `claimed` is when the claim was *asked for*: the lease isn't older.
    pub(crate) fn start(
        store: Arc<dyn ControlPlane>,
        lease: ScopeLease,
        ttl: Duration,
        claimed: Instant,
        clock: Clock,
    ) -> Self {
        let (tell, lost) = watch::channel(false);
        let task = tokio::spawn(async move {
            let why = renew(&*store, &lease, ttl, claimed, &clock).await;
            tracing::warn!(tenant = %lease.scope.tenant_id, user = %lease.scope.user_id, why, "a scope is lost");
            tell.send_replace(true);
        });
        Renewal {
            lost,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// Resolves when the lease is lost, at once if it is.
    pub(crate) async fn lost(&mut self) {
        // The task ends only after it told; a closed channel says the same.
        let _ = self.lost.wait_for(|lost| *lost).await;
    }
}

/// Renews until the lease is lost, and says why.
async fn renew(
    store: &dyn ControlPlane,
    lease: &ScopeLease,
    ttl: Duration,
    claimed: Instant,
    clock: &Clock,
) -> &'static str {
    let mut valid_until = claimed + ttl;
    loop {
        tokio::time::sleep(ttl / 3).await;
        loop {
            let asked = Instant::now();
            let renewal = store.renew_scope(lease, ttl, clock());
            match tokio::time::timeout_at(valid_until, renewal).await {
                Ok(Ok(_)) => {
                    metrics::counter!("open_cowork_cloud_worker_lease_renewals_total").increment(1);
                    valid_until = asked + ttl;
                    break;
                }
                Ok(Err(StoreError::StaleFence)) => return "another worker may have it",
                Ok(Err(error)) => {
                    tracing::warn!(%error, "a lease can't be renewed at the moment");
                    if Instant::now() + RETRY >= valid_until {
                        return "it could not be renewed in time";
                    }
                    tokio::time::sleep(RETRY).await;
                }
                Err(_) => return "it could not be renewed in time",
            }
        }
    }
}
