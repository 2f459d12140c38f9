//! Channels (04 §2.6). Locks are taken in one order: tenant, session, then one row of a channel.

mod asks;
mod chats;
mod deliveries;
mod directory;
mod events;
mod people;

use crate::dialect::{Connection, Row};
use crate::owner;
use crate::store::{Database, SqlStore};
use crate::transaction::{Stop, read, transact};
use async_trait::async_trait;
use open_cowork_contracts::api::channels::{
    ChannelDelivery, ChannelIdentity, ChannelInteraction, HeadlessAgent, ProviderEvent,
};
use open_cowork_contracts::{SessionId, TenantId};
use open_cowork_providers::store::channels::{
    BindingRow, Claimer, CursorUpdate, DeliveryChange, DeliveryKey, DeliveryQuery, InteractionRow,
    PeopleQuery, ProviderEventClaim, ProviderEventOutcome, SessionBindingRow,
};
use open_cowork_providers::store::execution::{Enqueued, NewCommand, QueueLimits};
use open_cowork_providers::store::{ChannelStore, Page, StoreError};
use open_cowork_providers::time::Timestamp;

/// Rows of a list unless asked otherwise, and at most.
const ROWS: (u32, u32) = (100, 500);

/// The chats of a thread, for a transaction of another domain.
pub(super) async fn chats_of(
    connection: &mut Connection,
    tenant: &TenantId,
    session: &SessionId,
) -> Result<Vec<SessionBindingRow>, sqlx::Error> {
    chats::of_session(connection, tenant, session).await
}

/// Adds a delivery in a transaction of another domain; a known one stays as it is.
pub(super) async fn queue(
    connection: &mut Connection,
    tenant_no: i64,
    new: &ChannelDelivery,
) -> Result<bool, sqlx::Error> {
    deliveries::queue(connection, tenant_no, new).await
}

#[async_trait]
impl<D: Database> ChannelStore for SqlStore<D> {
    async fn create_channel_agent(
        &self,
        agent: HeadlessAgent,
    ) -> Result<HeadlessAgent, StoreError> {
        transact!(self, |connection| {
            directory::create_agent(connection, &agent).await
        })
    }

    async fn channel_agents(
        &self,
        tenant: &TenantId,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<HeadlessAgent>, StoreError> {
        read!(self, |connection| {
            directory::agents(connection, tenant, cursor, limit).await
        })
    }

    async fn channel_agent(
        &self,
        tenant: &TenantId,
        id: &str,
    ) -> Result<Option<HeadlessAgent>, StoreError> {
        read!(self, |connection| {
            Ok(directory::agent(connection, tenant, id).await?)
        })
    }

    async fn update_channel_agent(
        &self,
        agent: HeadlessAgent,
    ) -> Result<Option<HeadlessAgent>, StoreError> {
        let changed = transact!(self, |connection| {
            Ok(directory::update_agent(connection, &agent).await?)
        })?;
        Ok(changed.then_some(agent))
    }

    async fn create_channel_binding(
        &self,
        tenant: &TenantId,
        row: BindingRow,
        most: Option<u64>,
    ) -> Result<BindingRow, StoreError> {
        transact!(self, |connection| {
            directory::create_binding(connection, tenant, &row, most).await
        })
    }

    async fn channel_bindings(
        &self,
        tenant: &TenantId,
        agent: Option<&str>,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<BindingRow>, StoreError> {
        read!(self, |connection| {
            directory::bindings(connection, tenant, agent, cursor, limit).await
        })
    }

    async fn channel_binding(
        &self,
        tenant: &TenantId,
        id: &str,
    ) -> Result<Option<BindingRow>, StoreError> {
        read!(self, |connection| {
            Ok(directory::binding(connection, tenant, id).await?)
        })
    }

    async fn update_channel_binding(
        &self,
        tenant: &TenantId,
        row: BindingRow,
        most: Option<u64>,
    ) -> Result<Option<BindingRow>, StoreError> {
        transact!(self, |connection| {
            directory::update_binding(connection, tenant, &row, most).await
        })
    }

    async fn upsert_channel_identity(
        &self,
        tenant: &TenantId,
        identity: ChannelIdentity,
        keep_standing: bool,
    ) -> Result<ChannelIdentity, StoreError> {
        transact!(self, |connection| {
            Ok(people::upsert(connection, tenant, identity.clone(), keep_standing).await?)
        })
    }

    async fn channel_identities(
        &self,
        tenant: &TenantId,
        query: &PeopleQuery,
    ) -> Result<Page<ChannelIdentity>, StoreError> {
        read!(self, |connection| {
            people::page(connection, tenant, query).await
        })
    }

    async fn channel_identity(
        &self,
        tenant: &TenantId,
        id: &str,
    ) -> Result<Option<ChannelIdentity>, StoreError> {
        read!(self, |connection| {
            Ok(people::person(connection, tenant, id).await?)
        })
    }

    async fn bind_channel_session(
        &self,
        row: SessionBindingRow,
    ) -> Result<SessionBindingRow, StoreError> {
        transact!(self, |connection| {
            chats::bind(connection, row.clone()).await
        })
    }

    async fn channel_session(
        &self,
        tenant: &TenantId,
        id: &str,
    ) -> Result<Option<SessionBindingRow>, StoreError> {
        read!(self, |connection| {
            Ok(chats::chat(connection, tenant, id).await?)
        })
    }

    async fn channel_sessions_of(
        &self,
        tenant: &TenantId,
        session: &SessionId,
    ) -> Result<Vec<SessionBindingRow>, StoreError> {
        read!(self, |connection| {
            Ok(chats::of_session(connection, tenant, session).await?)
        })
    }

    async fn update_channel_cursor(
        &self,
        tenant: &TenantId,
        id: &str,
        event_sequence: u64,
        workspace_sequence: u64,
        message: Option<Option<String>>,
        now: Timestamp,
    ) -> Result<Option<CursorUpdate>, StoreError> {
        transact!(self, |connection| {
            let to = (event_sequence, workspace_sequence);
            Ok(chats::move_cursor(connection, tenant, id, to, message.clone(), now).await?)
        })
    }

    async fn create_interaction(
        &self,
        tenant: &TenantId,
        row: InteractionRow,
    ) -> Result<InteractionRow, StoreError> {
        transact!(self, |connection| {
            asks::create(connection, tenant, &row).await
        })?;
        Ok(row)
    }

    async fn interaction(
        &self,
        tenant: &TenantId,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<InteractionRow>, StoreError> {
        let mut found = read!(self, |connection| {
            Ok(asks::ask(connection, tenant, id).await?)
        })?;
        if let Some(row) = &mut found
            && asks::expire(row, now)
        {
            transact!(self, |connection| {
                Ok(asks::write_expired(connection, tenant, row).await?)
            })?;
        }
        Ok(found)
    }

    async fn find_interactions(
        &self,
        tenant: &TenantId,
        provider: &str,
        external: &str,
        now: Timestamp,
    ) -> Result<Vec<InteractionRow>, StoreError> {
        let mut found = read!(self, |connection| {
            Ok(asks::by_external(connection, tenant, provider, external).await?)
        })?;
        for row in &mut found {
            if asks::expire(row, now) {
                transact!(self, |connection| {
                    Ok(asks::write_expired(connection, tenant, row).await?)
                })?;
            }
        }
        Ok(found)
    }

    async fn resolve_interaction(
        &self,
        tenant: &TenantId,
        id: &str,
        command: NewCommand,
        limits: QueueLimits,
        now: Timestamp,
    ) -> Result<(ChannelInteraction, Enqueued), StoreError> {
        transact!(self, |connection| {
            asks::resolve(connection, (tenant, id), &command, limits, now).await
        })
    }

    async fn create_delivery(
        &self,
        tenant: &TenantId,
        delivery: ChannelDelivery,
    ) -> Result<ChannelDelivery, StoreError> {
        transact!(self, |connection| {
            deliveries::create(connection, tenant, &delivery).await
        })
    }

    async fn deliveries(
        &self,
        tenant: &TenantId,
        query: &DeliveryQuery,
    ) -> Result<Page<ChannelDelivery>, StoreError> {
        read!(self, |connection| {
            deliveries::page(connection, tenant, query).await
        })
    }

    async fn claim_delivery(
        &self,
        tenant: &TenantId,
        bindings: &[String],
        claimer: Claimer<'_>,
        ttl_ms: i64,
        most: Option<u64>,
        now: Timestamp,
    ) -> Result<Option<ChannelDelivery>, StoreError> {
        // Whether there is anything is found without a transaction: gateways ask every second.
        let due = read!(self, |connection| {
            Ok(deliveries::any_due(connection, tenant, bindings, now).await?)
        })?;
        if !due {
            return Ok(None);
        }
        transact!(self, |connection| {
            deliveries::claim(connection, tenant, bindings, claimer, ttl_ms, most, now).await
        })
    }

    async fn ack_delivery(
        &self,
        tenant: &TenantId,
        key: DeliveryKey<'_>,
        by: &str,
        change: DeliveryChange,
        now: Timestamp,
    ) -> Result<Option<ChannelDelivery>, StoreError> {
        transact!(self, |connection| {
            Ok(deliveries::settle(connection, tenant, key, Some(by), &change, now).await?)
        })
    }

    async fn set_delivery(
        &self,
        tenant: &TenantId,
        key: DeliveryKey<'_>,
        change: DeliveryChange,
        now: Timestamp,
    ) -> Result<Option<ChannelDelivery>, StoreError> {
        transact!(self, |connection| {
            Ok(deliveries::settle(connection, tenant, key, None, &change, now).await?)
        })
    }

    async fn claim_provider_event(
        &self,
        tenant: &TenantId,
        event: ProviderEvent,
        ttl_ms: i64,
        now: Timestamp,
    ) -> Result<ProviderEventClaim, StoreError> {
        transact!(self, |connection| {
            Ok(events::claim(connection, tenant, &event, ttl_ms, now).await?)
        })
    }

    async fn provider_event(
        &self,
        tenant: &TenantId,
        id: &str,
    ) -> Result<Option<ProviderEvent>, StoreError> {
        read!(self, |connection| {
            Ok(events::event(connection, tenant, id).await?)
        })
    }

    async fn complete_provider_event(
        &self,
        tenant: &TenantId,
        id: &str,
        by: &str,
        outcome: ProviderEventOutcome,
        now: Timestamp,
    ) -> Result<Option<ProviderEvent>, StoreError> {
        transact!(self, |connection| {
            Ok(events::complete(connection, (tenant, id), by, &outcome, now).await?)
        })
    }

    async fn prune_channels(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let limit = limit.clamp(1, 1000);
        transact!(self, |connection| {
            let ended = deliveries::prune(connection, before, limit).await?
                + asks::prune(connection, before, limit).await?
                + events::prune(connection, before, limit).await?;
            Ok(ended)
        })
    }
}

/// The body column of rows that have it first.
fn bodies<T: serde::de::DeserializeOwned>(rows: &[Row]) -> Result<Vec<T>, sqlx::Error> {
    rows.iter().map(body).collect()
}

fn body<T: serde::de::DeserializeOwned>(row: &Row) -> Result<T, sqlx::Error> {
    super::workflows::rows::from_json(row, 0)
}

use super::workflows::rows::to_json;

/// The number of a tenant that must exist by now, such as of somebody who is signed in; else what they name is
/// missing.
async fn known_tenant(
    connection: &mut Connection,
    tenant: &TenantId,
    what: &'static str,
) -> Result<i64, Stop> {
    let found = owner::tenant_no(connection, tenant).await?;
    found.ok_or_else(|| StoreError::Missing(what).into())
}

/// The refusal of an id that is taken; it tells nothing of whose it is.
fn taken() -> StoreError {
    StoreError::Conflict("Channel resource id is unavailable.".to_owned())
}
