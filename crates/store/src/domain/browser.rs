//! Browser sessions, idempotency keys, rate limits and sign-in back-off on SQL.

mod idempotency;
mod limits;
mod sessions;

use crate::store::{Database, SqlStore};
use crate::transaction::{read, transact};
use async_trait::async_trait;
use open_cowork_contracts::{AccountId, TenantId};
use open_cowork_providers::store::browser::{
    BackoffRule, BrowserSession, IdempotencyScope, KeptAnswer, RateClaim, RateVerdict, Reservation,
};
use open_cowork_providers::store::{BrowserStore, StoreError};
use open_cowork_providers::time::Timestamp;

#[async_trait]
impl<D: Database> BrowserStore for SqlStore<D> {
    async fn create_browser_session(&self, session: &BrowserSession) -> Result<(), StoreError> {
        transact!(self, |connection| {
            sessions::create(connection, session).await
        })
    }

    async fn browser_session(
        &self,
        hash: &str,
        now: Timestamp,
    ) -> Result<Option<BrowserSession>, StoreError> {
        read!(self, |connection| {
            Ok(sessions::find(connection, hash, now).await?)
        })
    }

    async fn renew_browser_session(
        &self,
        hash: &str,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        transact!(self, |connection| {
            Ok(sessions::renew(connection, hash, expires_at, now).await?)
        })
    }

    async fn revoke_browser_session(&self, hash: &str) -> Result<bool, StoreError> {
        transact!(self, |connection| {
            Ok(sessions::revoke(connection, hash).await?)
        })
    }

    async fn revoke_browser_sessions(
        &self,
        tenant: &TenantId,
        account: &AccountId,
    ) -> Result<u64, StoreError> {
        transact!(self, |connection| {
            Ok(sessions::revoke_all(connection, tenant, account).await?)
        })
    }

    async fn stream_epoch(&self, fresh: &str) -> Result<String, StoreError> {
        transact!(self, |connection| {
            let insert =
                "INSERT INTO stream_epoch (only_one, epoch) VALUES (1, $1) ON CONFLICT DO NOTHING";
            connection.query(insert).bind(fresh).execute().await?;
            let select = "SELECT epoch FROM stream_epoch";
            Ok(connection.query(select).fetch_one().await?.text(0)?)
        })
    }

    async fn reserve_idempotent(
        &self,
        scope: &IdempotencyScope,
        fingerprint: &str,
        now: Timestamp,
        expires: Timestamp,
        abandoned_after_ms: u64,
    ) -> Result<Reservation, StoreError> {
        let token = idempotency::random()?;
        transact!(self, |connection| {
            let wish = idempotency::Wish {
                fingerprint,
                token,
                now,
                expires,
                abandoned_after_ms,
            };
            Ok(idempotency::reserve(connection, scope, &wish).await?)
        })
    }

    async fn complete_idempotent(
        &self,
        scope: &IdempotencyScope,
        reservation: u64,
        answer: &KeptAnswer,
    ) -> Result<(), StoreError> {
        transact!(self, |connection| {
            Ok(idempotency::complete(connection, scope, reservation, answer).await?)
        })
    }

    async fn release_idempotent(
        &self,
        scope: &IdempotencyScope,
        reservation: u64,
    ) -> Result<(), StoreError> {
        transact!(self, |connection| {
            Ok(idempotency::release(connection, scope, reservation).await?)
        })
    }

    async fn take_tokens(
        &self,
        claims: &[RateClaim],
        now: Timestamp,
    ) -> Result<Vec<RateVerdict>, StoreError> {
        transact!(self, |connection| {
            Ok(limits::take(connection, claims, now).await?)
        })
    }

    async fn sign_in_backoff(&self, scopes: &[String], now: Timestamp) -> Result<u64, StoreError> {
        read!(self, |connection| {
            Ok(limits::backoff(connection, scopes, now).await?)
        })
    }

    async fn record_sign_in_failure(
        &self,
        scopes: &[String],
        rule: BackoffRule,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        transact!(self, |connection| {
            Ok(limits::fail(connection, scopes, rule, now).await?)
        })
    }

    async fn prune_browser(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        transact!(self, |connection| {
            Ok(limits::prune(connection, now, limit).await?)
        })
    }
}
