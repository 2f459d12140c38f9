//! One time for all processes: leases are compared between machines, whose clocks differ; the database server's
//! doesn't. Each process measures by how much its own is off, and corrects it.

use crate::postgres::PostgresStore;
use open_cowork_providers::store::StoreError;
use open_cowork_providers::time::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::task::AbortHandle;

/// Between two measurements.
const EVERY: Duration = Duration::from_secs(10);
/// An answer that took longer says too little about the time.
const SLOW: i64 = 1_000_000;

/// The time of the database server, as far as this process knows it (04 §3.2).
#[derive(Clone)]
pub struct ServerClock {
    own: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Server's less own, in microseconds.
    offset: Arc<AtomicI64>,
}

impl ServerClock {
    /// The own clock as it is, until [`ServerClock::measure`].
    pub fn new(own: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        ServerClock {
            own: Arc::new(own),
            offset: Arc::default(),
        }
    }

    /// The server's time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let own = (self.own)();
        let micros = own
            .as_microsecond()
            .saturating_add(self.offset.load(Ordering::Acquire));
        Timestamp::from_microsecond(micros).unwrap_or(own)
    }

    /// Asks the server once. [`StoreError::Unavailable`] and the like leave the time as it was.
    pub async fn measure(&self, store: &PostgresStore) -> Result<(), StoreError> {
        let asked = (self.own)().as_microsecond();
        let server = store.server_time().await?;
        let answered = (self.own)().as_microsecond();
        let took = answered.saturating_sub(asked);
        let offset = server.saturating_sub(asked.saturating_add(took / 2));
        let known = self.offset.load(Ordering::Acquire);
        // Half the way is how well it is known; within that the time needn't jump.
        if (0..SLOW).contains(&took) && offset.abs_diff(known) > took.unsigned_abs() / 2 {
            self.offset.store(offset, Ordering::Release);
        }
        Ok(())
    }

    /// Measures now, and from then on as long as the handle lives. A server that can't be asked now is asked later.
    pub async fn follow(&self, store: Arc<PostgresStore>) -> Following {
        let clock = self.clone();
        // Without a first answer the own clock counts, as it would without this one.
        let _ = clock.measure(&store).await;
        let off = clock.offset.load(Ordering::Acquire) / 1000;
        if off.abs() > 1000 {
            tracing::warn!(
                milliseconds = off,
                "the clock of this machine is not the database server's; the server's is used"
            );
        }
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(EVERY).await;
                let _ = clock.measure(&store).await;
            }
        });
        Following(task.abort_handle())
    }
}

/// Measuring goes on until this is dropped.
#[derive(Debug)]
pub struct Following(AbortHandle);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl std::fmt::Debug for ServerClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerClock")
            .field("offset_us", &self.offset)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PostgresOptions, SchemaName};
    use open_cowork_testkit::postgres::Postgres;

    #[tokio::test]
    async fn processes_with_wrong_clocks_agree_with_the_server() {
        let server = Postgres::shared().await.unwrap();
        let options = PostgresOptions {
            schema: SchemaName::parse("clocks").unwrap(),
            ..PostgresOptions::default()
        };
        let store = PostgresStore::open(&server.url().into(), options)
            .await
            .unwrap();
        let hour = Duration::from_secs(3600);
        let late = ServerClock::new(move || Timestamp::now() - hour);
        let early = ServerClock::new(move || Timestamp::now() + hour);
        for clock in [&late, &early] {
            clock.measure(&store).await.unwrap();
            let off = Timestamp::now().as_millisecond() - clock.now().as_millisecond();
            // The server of the test has this machine's clock.
            assert!(off.abs() < 2_000, "{off} ms off");
        }
        store.close().await;
        late.measure(&store).await.unwrap_err();
        let off = Timestamp::now().as_millisecond() - late.now().as_millisecond();
        assert!(off.abs() < 2_000, "what was known stays known");
    }
}
