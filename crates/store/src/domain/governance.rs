//! Governance on SQL.

pub(crate) mod audit;
mod byok;
mod policy;
mod records;
pub(crate) mod usage;

use crate::domain::identity::people;
use crate::owner;
use crate::store::{Database, SqlStore};
use crate::transaction::{read, transact};
use async_trait::async_trait;
use open_cowork_contracts::api::admin::AuditEvent;
use open_cowork_contracts::api::policy::ManagedPolicyRecord;
use open_cowork_contracts::api::settings::Setting;
use open_cowork_contracts::api::usage::{BillingSubscription, QuotaKey, QuotaState, UsageEvent};
use open_cowork_contracts::{JsonObject, OrgId, TenantId, UserId};
use open_cowork_providers::store::governance::{
    AuditQuery, ByokVerdict, NewUsage, QuotaClaim, StoredByok,
};
use open_cowork_providers::store::keyset::Page;
use open_cowork_providers::store::{GovernanceStore, Stamp, StoreError};
use open_cowork_providers::time::Timestamp;

#[async_trait]
impl<D: Database> GovernanceStore for SqlStore<D> {
    async fn policy(&self, tenant: &TenantId) -> Result<Option<ManagedPolicyRecord>, StoreError> {
        read!(self, |connection| {
            Ok(policy::find(connection, tenant).await?)
        })
    }

    async fn put_policy(
        &self,
        tenant: &TenantId,
        policy: &JsonObject,
        replaces: Option<&str>,
        stamp: &Stamp,
    ) -> Result<ManagedPolicyRecord, StoreError> {
        transact!(self, |connection| {
            policy::put(connection, tenant, policy, replaces, stamp).await
        })
    }

    async fn byok_secrets(&self, tenant: &TenantId) -> Result<Vec<StoredByok>, StoreError> {
        read!(self, |connection| {
            Ok(byok::list(connection, tenant, false).await?)
        })
    }

    async fn byok_secret(
        &self,
        tenant: &TenantId,
        provider: &str,
    ) -> Result<Option<StoredByok>, StoreError> {
        read!(self, |connection| {
            Ok(byok::of_provider(connection, tenant, provider, false).await?)
        })
    }

    async fn active_byok(
        &self,
        tenant: &TenantId,
        provider: &str,
    ) -> Result<Option<StoredByok>, StoreError> {
        read!(self, |connection| {
            Ok(byok::of_provider(connection, tenant, provider, true).await?)
        })
    }

    async fn active_byoks(&self, tenant: &TenantId) -> Result<Vec<StoredByok>, StoreError> {
        read!(self, |connection| {
            Ok(byok::list(connection, tenant, true).await?)
        })
    }

    async fn add_byok(
        &self,
        tenant: &TenantId,
        secret: &StoredByok,
        stamp: &Stamp,
    ) -> Result<StoredByok, StoreError> {
        transact!(self, |connection| {
            byok::add(connection, tenant, secret, stamp).await
        })
    }

    async fn judge_byok(
        &self,
        tenant: &TenantId,
        secret_id: &str,
        verdict: &ByokVerdict,
        stamp: &Stamp,
    ) -> Result<StoredByok, StoreError> {
        transact!(self, |connection| {
            byok::judge(connection, tenant, secret_id, verdict, stamp).await
        })
    }

    async fn disable_byok(
        &self,
        tenant: &TenantId,
        provider: &str,
        stamp: &Stamp,
    ) -> Result<Option<StoredByok>, StoreError> {
        transact!(self, |connection| {
            byok::disable(connection, tenant, provider, stamp).await
        })
    }

    async fn record_audit(
        &self,
        tenant: &TenantId,
        events: &[AuditEvent],
    ) -> Result<(), StoreError> {
        transact!(self, |connection| {
            let tenant_no = match owner::tenant_no(connection, tenant).await? {
                Some(tenant_no) => tenant_no,
                None => owner::tenant_no_or_new(connection, tenant).await?,
            };
            for event in events {
                audit::insert(connection, tenant_no, event).await?;
            }
            Ok(())
        })
    }

    async fn page_audit(
        &self,
        tenant: &TenantId,
        query: &AuditQuery,
    ) -> Result<Page<AuditEvent>, StoreError> {
        read!(self, |connection| {
            let place = people::place(connection, tenant).await?;
            let tenant_no = match &place {
                Some(place) => Some(place.tenant_no),
                None => owner::tenant_no(connection, tenant).await?,
            };
            let org = place.map_or_else(|| OrgId::new(tenant.as_str()), |place| place.org);
            match tenant_no {
                Some(tenant_no) => audit::page(connection, (tenant_no, &org), query).await,
                None => {
                    audit::check_cursor(&org, query)?;
                    Ok(Page::default())
                }
            }
        })
    }

    async fn record_usage(&self, tenant: &TenantId, events: &[NewUsage]) -> Result<(), StoreError> {
        transact!(self, |connection| {
            Ok(usage::record(connection, tenant, events).await?)
        })
    }

    async fn page_usage(
        &self,
        tenant: &TenantId,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<UsageEvent>, StoreError> {
        read!(self, |connection| {
            usage::page(connection, tenant, cursor, limit).await
        })
    }

    async fn consume_quota(
        &self,
        tenant: &TenantId,
        claim: &QuotaClaim,
        now: Timestamp,
    ) -> Result<QuotaState, StoreError> {
        transact!(self, |connection| {
            let tenant_no = match owner::tenant_no(connection, tenant).await? {
                Some(tenant_no) => tenant_no,
                None => owner::tenant_no_or_new(connection, tenant).await?,
            };
            usage::consume(connection, tenant_no, claim, now).await
        })
    }

    async fn refund_quota(
        &self,
        tenant: &TenantId,
        claim: &QuotaClaim,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        transact!(self, |connection| {
            if let Some(tenant_no) = owner::tenant_no(connection, tenant).await? {
                usage::refund(connection, tenant_no, claim, now).await?;
            }
            Ok(())
        })
    }

    async fn quota(
        &self,
        tenant: &TenantId,
        key: QuotaKey,
        limit: Option<u64>,
        now: Timestamp,
    ) -> Result<QuotaState, StoreError> {
        read!(self, |connection| {
            Ok(usage::state(connection, tenant, key, limit, now).await?)
        })
    }

    async fn subscription(
        &self,
        tenant: &TenantId,
    ) -> Result<Option<BillingSubscription>, StoreError> {
        read!(self, |connection| {
            Ok(records::subscription(connection, tenant).await?)
        })
    }

    async fn put_subscription(
        &self,
        tenant: &TenantId,
        subscription: &BillingSubscription,
        stamp: &Stamp,
    ) -> Result<BillingSubscription, StoreError> {
        transact!(self, |connection| {
            records::put_subscription(connection, tenant, subscription, stamp).await
        })
    }

    async fn settings(&self, tenant: &TenantId, user: &UserId) -> Result<Vec<Setting>, StoreError> {
        read!(self, |connection| {
            Ok(records::settings(connection, tenant, user, None).await?)
        })
    }

    async fn setting(
        &self,
        tenant: &TenantId,
        user: &UserId,
        key: &str,
    ) -> Result<Option<Setting>, StoreError> {
        read!(self, |connection| {
            Ok(records::settings(connection, tenant, user, Some(key))
                .await?
                .pop())
        })
    }

    async fn put_setting(
        &self,
        tenant: &TenantId,
        user: &UserId,
        key: &str,
        value: &JsonObject,
        now: Timestamp,
    ) -> Result<Setting, StoreError> {
        transact!(self, |connection| {
            Ok(records::put_setting(connection, tenant, user, (key, value), now).await?)
        })
    }

    async fn prune_governance(
        &self,
        audit_before: Option<Timestamp>,
        usage_before: Option<Timestamp>,
        limit: u32,
    ) -> Result<u64, StoreError> {
        transact!(self, |connection| {
            Ok(records::prune(connection, audit_before, usage_before, limit).await?)
        })
    }
}
