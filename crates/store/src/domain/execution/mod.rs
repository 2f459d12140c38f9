//! Leases and commands (04 §2.4, decision 24).
//!
//! Who locks what, in this order, so that nobody waits in a circle: the tenant's row where a quota is judged, the
//! user's row, the scope's lease, the session's row, its lease, its commands. An append locks the user's row too, so a lease that changes hands
//! and the appends of its old holder come one after the other, and the second sees the first.

mod lease;
pub(super) mod queue;
mod work;

use crate::dialect::Row;
use crate::store::{Database, SqlStore};
use crate::transaction::{read, transact};
use async_trait::async_trait;
use open_cowork_contracts::api::sessions::Command;
use open_cowork_contracts::api::workspace::Heartbeat;
use open_cowork_contracts::{CommandId, SessionId};
use open_cowork_providers::store::execution::{
    ClaimedCommand, CommandFailure, Deferral, EXECUTION_PAGE, Enqueued, Lanes, NewCommand,
    QueueLimits, ReapedSession, RunnableScopes, ScopeLease, SessionLease, SessionWork,
};
use open_cowork_providers::store::{ExecutionStore, LeaseToken, Scope, SessionKey, StoreError};
use open_cowork_providers::time::Timestamp;
use std::time::Duration;

#[async_trait]
impl<D: Database> ExecutionStore for SqlStore<D> {
    async fn claim_scope(
        &self,
        scope: &Scope,
        worker_id: &str,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Option<ScopeLease>, StoreError> {
        let lease = ScopeLease {
            scope: scope.clone(),
            worker_id: worker_id.to_owned(),
            token: LeaseToken::random()?,
            expires_at: end(now, ttl),
        };
        let claimed = transact!(self, |connection| {
            lease::claim_scope(connection, &lease, now).await
        })?;
        Ok(claimed.then_some(lease))
    }

    async fn renew_scope(
        &self,
        lease: &ScopeLease,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<ScopeLease, StoreError> {
        let until = end(now, ttl);
        let expires_at = transact!(self, |connection| {
            lease::renew(connection, lease, until, now).await
        })?;
        Ok(ScopeLease {
            expires_at,
            ..lease.clone()
        })
    }

    async fn release_scope(&self, lease: &ScopeLease, now: Timestamp) -> Result<bool, StoreError> {
        transact!(self, |connection| {
            lease::release_scope(connection, lease, now).await
        })
    }

    async fn claim_session_within(
        &self,
        lease: &ScopeLease,
        session: &SessionId,
        most: Option<u32>,
        now: Timestamp,
    ) -> Result<Option<SessionLease>, StoreError> {
        let token = LeaseToken::random()?;
        let expires_at = transact!(self, |connection| {
            lease::claim_session(connection, lease, session, most, &token, now).await
        })?;
        Ok(expires_at.map(|expires_at| SessionLease {
            key: SessionKey {
                tenant_id: lease.scope.tenant_id.clone(),
                session_id: session.clone(),
            },
            user_id: lease.scope.user_id.clone(),
            worker_id: lease.worker_id.clone(),
            token,
            expires_at,
        }))
    }

    async fn release_session(
        &self,
        lease: &SessionLease,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        transact!(self, |connection| {
            lease::release_session(connection, lease, now).await
        })
    }

    async fn reap(&self, limit: u32, now: Timestamp) -> Result<Vec<ReapedSession>, StoreError> {
        let limit = limit.min(EXECUTION_PAGE);
        transact!(self, |connection| {
            lease::reap(connection, limit, now).await
        })
    }

    async fn enqueue(
        &self,
        new: NewCommand,
        limits: QueueLimits,
        now: Timestamp,
    ) -> Result<Enqueued, StoreError> {
        transact!(self, |connection| {
            queue::enqueue(connection, &new, limits, now).await
        })
    }

    async fn command(
        &self,
        key: &SessionKey,
        id: &CommandId,
    ) -> Result<Option<Command>, StoreError> {
        read!(self, |connection| {
            let found = queue::find(connection, key, id).await?;
            Ok(found.map(|stored| stored.command))
        })
    }

    async fn claim_command(
        &self,
        lease: &SessionLease,
        lanes: Lanes,
        now: Timestamp,
    ) -> Result<Option<ClaimedCommand>, StoreError> {
        transact!(self, |connection| {
            queue::claim(connection, lease, lanes, now).await
        })
    }

    async fn ack_command(
        &self,
        lease: &SessionLease,
        id: &CommandId,
        now: Timestamp,
    ) -> Result<Command, StoreError> {
        transact!(self, |connection| {
            queue::settle(connection, lease, id, queue::Outcome::Acked, now).await
        })
    }

    async fn fail_command(
        &self,
        lease: &SessionLease,
        id: &CommandId,
        failure: &CommandFailure,
        now: Timestamp,
    ) -> Result<Command, StoreError> {
        transact!(self, |connection| {
            queue::settle(connection, lease, id, queue::Outcome::Failed(failure), now).await
        })
    }

    async fn defer_command(
        &self,
        lease: &SessionLease,
        id: &CommandId,
        deferral: &Deferral,
        now: Timestamp,
    ) -> Result<Command, StoreError> {
        if deferral.retry_after.is_zero() {
            let none =
                "A command can't be deferred by nothing; give a delay of at least a millisecond.";
            return Err(StoreError::Invalid(none.to_owned()));
        }
        transact!(self, |connection| {
            let outcome = queue::Outcome::Deferred(deferral);
            queue::settle(connection, lease, id, outcome, now).await
        })
    }

    async fn runnable_scopes(
        &self,
        worker_id: &str,
        limit: u32,
        now: Timestamp,
    ) -> Result<RunnableScopes, StoreError> {
        let limit = limit.min(EXECUTION_PAGE);
        read!(self, |connection| {
            Ok(work::runnable_scopes(connection, worker_id, limit, now).await?)
        })
    }

    async fn sessions_with_work(
        &self,
        scope: &Scope,
        now: Timestamp,
    ) -> Result<Vec<SessionWork>, StoreError> {
        read!(self, |connection| {
            Ok(work::sessions_with_work(connection, scope, now).await?)
        })
    }

    async fn heartbeat(&self, beat: &Heartbeat) -> Result<(), StoreError> {
        let body = serde_json::to_string(beat)
            .map_err(|error| StoreError::Backend(format!("a heartbeat is no JSON: {error}")))?;
        transact!(self, |connection| {
            let upsert = "INSERT INTO worker_heartbeats (worker_id, body, last_seen_at) VALUES ($1, $2, $3) \
                          ON CONFLICT (worker_id) DO UPDATE SET body = excluded.body, \
                          last_seen_at = excluded.last_seen_at";
            let upsert = connection
                .query(upsert)
                .bind(beat.worker_id.as_str())
                .bind(body.as_str())
                .bind(beat.last_seen_at.as_str());
            upsert.execute().await?;
            Ok(())
        })
    }

    async fn heartbeats(&self, limit: u32) -> Result<Vec<Heartbeat>, StoreError> {
        let limit = i64::from(limit.min(EXECUTION_PAGE));
        read!(self, |connection| {
            let select =
                "SELECT body FROM worker_heartbeats ORDER BY last_seen_at DESC, worker_id LIMIT $1";
            let rows = connection.query(select).bind(limit).fetch_all().await?;
            let beats = rows.iter().map(|row| json(row, 0));
            Ok(beats.collect::<Result<_, sqlx::Error>>()?)
        })
    }

    async fn prune_execution(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        transact!(self, |connection| {
            Ok(queue::prune(connection, before, limit).await?)
        })
    }
}

fn end(now: Timestamp, ttl: Duration) -> Timestamp {
    now.checked_add(ttl).unwrap_or(Timestamp::MAX)
}

/// A time from a column of milliseconds.
fn time(row: &Row, column: usize) -> Result<Timestamp, sqlx::Error> {
    Timestamp::from_millisecond(row.int(column)?).map_err(|_| crate::dialect::undecodable(column))
}

/// A value from a column that this crate wrote as JSON.
fn json<T: serde::de::DeserializeOwned>(row: &Row, column: usize) -> Result<T, sqlx::Error> {
    serde_json::from_str(row.stored(column)?).map_err(|_| crate::dialect::undecodable(column))
}
