//! Tags, stored filters, and the index over threads (04 §2.11, 07 §12).

mod digest;
mod follow;
mod labels;
mod search;

use crate::dialect::Connection;
use crate::read::Located;
use crate::store::{Database, SqlStore};
use crate::transaction::{Stop, read, transact};
use async_trait::async_trait;
use open_cowork_contracts::api::threads::{SmartFilter, Tag, ThreadFacets};
use open_cowork_contracts::{FilterId, JsonObject, SessionId, TagId, TenantId};
use open_cowork_providers::store::threads::{
    IndexProgress, TaggedPage, TaggedQuery, ThreadPage, ThreadQuery,
};
use open_cowork_providers::store::{Scope, StoreError, ThreadIndexStore};
use open_cowork_providers::time::{Timestamp, iso};

/// Up to where a thread's events are in the index of words; what lies behind can't be read into it any more once it
/// is pruned.
pub(super) async fn indexed(
    connection: &mut Connection,
    located: &Located,
) -> Result<u64, sqlx::Error> {
    follow::reached(connection, located).await
}

/// Reads one page of a thread's new events into the index, out of turn.
pub(super) async fn index_now(connection: &mut Connection, located: &Located) -> Result<(), Stop> {
    follow::index(connection, &[follow::Behind::of(located)]).await?;
    Ok(())
}

#[async_trait]
impl<D: Database> ThreadIndexStore for SqlStore<D> {
    async fn tags(&self, tenant: &TenantId) -> Result<Vec<Tag>, StoreError> {
        read!(self, |connection| {
            Ok(labels::tags(connection, tenant).await?)
        })
    }

    async fn create_tag(&self, tag: Tag) -> Result<Tag, StoreError> {
        transact!(self, |connection| {
            labels::create_tag(connection, &tag).await?;
            Ok(tag.clone())
        })
    }

    async fn update_tag(
        &self,
        tenant: &TenantId,
        id: &TagId,
        name: Option<String>,
        color: Option<String>,
        now: Timestamp,
    ) -> Result<Tag, StoreError> {
        transact!(self, |connection| {
            let found = labels::lock_tag(connection, tenant, id).await?;
            let mut found = found.ok_or(StoreError::Missing("tag"))?;
            if let Some(name) = &name {
                found.tag.name.clone_from(name);
            }
            if let Some(color) = &color {
                found.tag.color.clone_from(color);
            }
            found.tag.updated_at = iso(now);
            labels::update_tag(connection, &found).await?;
            Ok(found.tag)
        })
    }

    async fn delete_tag(&self, tenant: &TenantId, id: &TagId) -> Result<bool, StoreError> {
        transact!(self, |connection| {
            Ok(labels::delete(connection, "tags", "tag_id", tenant, id.as_str()).await?)
        })
    }

    async fn link_tag(
        &self,
        scope: &Scope,
        id: &TagId,
        sessions: &[SessionId],
        apply: bool,
    ) -> Result<(), StoreError> {
        transact!(self, |connection| {
            labels::link(connection, scope, id, sessions, apply).await
        })
    }

    async fn tagged_threads(&self, query: &TaggedQuery) -> Result<TaggedPage, StoreError> {
        let list = query.list();
        let start = list.start::<2>(query.cursor.as_deref())?;
        let rows = read!(self, |connection| {
            Ok(labels::tagged_threads(connection, query, start.as_ref()).await?)
        })?;
        Ok(list.page(rows, query.page_size(), |thread| {
            [thread.updated_at.clone(), thread.session_id.to_string()]
        }))
    }

    async fn filters(&self, tenant: &TenantId) -> Result<Vec<SmartFilter>, StoreError> {
        read!(self, |connection| {
            Ok(labels::filters(connection, tenant).await?)
        })
    }

    async fn filter(
        &self,
        tenant: &TenantId,
        id: &FilterId,
    ) -> Result<Option<SmartFilter>, StoreError> {
        read!(self, |connection| {
            let found = labels::filter(connection, tenant, id).await?;
            Ok(found.map(|found| found.filter))
        })
    }

    async fn create_filter(&self, filter: SmartFilter) -> Result<SmartFilter, StoreError> {
        transact!(self, |connection| {
            labels::create_filter(connection, &filter).await?;
            Ok(filter.clone())
        })
    }

    async fn update_filter(
        &self,
        tenant: &TenantId,
        id: &FilterId,
        name: Option<String>,
        query: Option<JsonObject>,
        now: Timestamp,
    ) -> Result<SmartFilter, StoreError> {
        transact!(self, |connection| {
            let found = labels::lock_filter(connection, tenant, id).await?;
            let mut found = found.ok_or(StoreError::Missing("smart filter"))?;
            if let Some(name) = &name {
                found.filter.name.clone_from(name);
            }
            if let Some(query) = &query {
                found.filter.query.clone_from(query);
            }
            found.filter.updated_at = iso(now);
            labels::update_filter(connection, &found).await?;
            Ok(found.filter)
        })
    }

    async fn delete_filter(&self, tenant: &TenantId, id: &FilterId) -> Result<bool, StoreError> {
        transact!(self, |connection| {
            Ok(labels::delete(
                connection,
                "smart_filters",
                "filter_id",
                tenant,
                id.as_str(),
            )
            .await?)
        })
    }

    async fn search_threads(&self, query: &ThreadQuery) -> Result<ThreadPage, StoreError> {
        let list = query.list();
        let start = list.start::<2>(query.cursor.as_deref())?;
        let found = read!(self, |connection| {
            Ok(search::find(connection, query, start.as_ref()).await?)
        })?;
        let page = list.page(found.rows, query.page_size(), |row| row.place.clone());
        let total_estimate = match found.total {
            Some(total) => total,
            None => page.rows.len() as u64 + u64::from(page.next.is_some()),
        };
        Ok(ThreadPage {
            rows: page.rows.into_iter().map(|row| row.item).collect(),
            next: page.next,
            total_estimate,
            truncated: found.truncated,
        })
    }

    async fn thread_facets(&self, query: &ThreadQuery) -> Result<ThreadFacets, StoreError> {
        read!(self, |connection| {
            Ok(search::facets(connection, query).await?)
        })
    }

    async fn index_threads(&self, limit: u32) -> Result<IndexProgress, StoreError> {
        let behind = read!(self, |connection| {
            Ok(follow::behind(connection, limit.clamp(1, 1000)).await?)
        })?;
        let mut progress = IndexProgress {
            more: behind.len() >= limit.clamp(1, 1000) as usize,
            ..IndexProgress::default()
        };
        for batch in behind.chunks(follow::BATCH) {
            let done = transact!(self, |connection| {
                follow::index(connection, batch).await
            });
            match done {
                Ok(done) => progress.add(done),
                Err(error) if follow::is_environment(&error) => return Err(error),
                // One of them is at fault; the others get through.
                Err(_) => {
                    for one in batch.chunks(1) {
                        let done =
                            transact!(self, |connection| { follow::index(connection, one).await });
                        match done {
                            Ok(done) => progress.add(done),
                            Err(error) if follow::is_environment(&error) => return Err(error),
                            Err(error) => {
                                tracing::error!(%error, "a thread can't be indexed");
                            }
                        }
                    }
                }
            }
        }
        // Others may hold what is left: then there is nothing to do at once.
        progress.more &= progress.threads > 0;
        Ok(progress)
    }
}
