//! Tags, stored filters, search and facets (03 §8.7, §11), and the task that keeps the index (04 §2.3).

mod follow;
mod query;

pub use follow::follow;

use crate::call::Call;
use crate::cloud::Cloud;
use crate::error::ApiError;
use axum::http::StatusCode;
use open_cowork_contracts::api::threads::{
    CreateFilter, CreateTag, SmartFilter, Tag, TagSessions, ThreadFacets, ThreadList, ThreadSearch,
    ThreadSearchResult, UpdateFilter, UpdateTag, tag_color,
};
use open_cowork_contracts::{FilterId, JsonObject, SessionId, TagId, TenantId};
use open_cowork_providers::store::threads::{
    MAX_BULK, MAX_FILTER_BYTES, MAX_FILTER_NAME, MAX_TAG_NAME, MAX_VALUES, TaggedQuery,
};
use open_cowork_providers::store::{Scope, StoreError};

fn no_tag() -> ApiError {
    ApiError::not_found("Thread tag was not found.").code("threads.tag_not_found")
}

fn no_filter() -> ApiError {
    ApiError::not_found("Smart filter was not found.").code("threads.filter_not_found")
}

fn cursor(error: StoreError) -> ApiError {
    match error {
        StoreError::InvalidCursor => ApiError::policy(
            StatusCode::BAD_REQUEST,
            "threads.cursor.invalid",
            "The page cursor doesn't belong to this list; start again from the first page.",
        ),
        error => error.into(),
    }
}

/// A name within its length, without outer white space.
fn name(text: &str, most: usize) -> Result<String, ApiError> {
    let trimmed = text.trim();
    if trimmed.is_empty() || trimmed.chars().any(char::is_control) {
        return Err(ApiError::invalid(
            "Field `name` must hold text on one line.",
        ));
    }
    if trimmed.chars().count() > most {
        return Err(ApiError::invalid(format!(
            "Field `name` may have at most {most} characters; shorten it."
        )));
    }
    Ok(trimmed.to_owned())
}

/// A user's threads with their tags.
///
/// # Errors
/// 400 for too many tags or a bad cursor.
pub async fn list(
    cloud: &Cloud,
    scope: Scope,
    tags: Vec<String>,
    limit: u32,
    after: Option<String>,
) -> Result<ThreadList, ApiError> {
    if tags.len() > MAX_VALUES {
        return Err(ApiError::invalid(format!(
            "At most {MAX_VALUES} tags can be asked for at once."
        )));
    }
    let query = TaggedQuery {
        scope,
        tags: tags.into_iter().map(TagId::new).collect(),
        limit,
        cursor: after,
    };
    let page = cloud.store.tagged_threads(&query).await.map_err(cursor)?;
    Ok(ThreadList {
        threads: page.rows,
        next_cursor: page.next,
    })
}

/// All tags of a tenant.
///
/// # Errors
/// As the store says.
pub async fn tags(cloud: &Cloud, tenant: &TenantId) -> Result<Vec<Tag>, ApiError> {
    Ok(cloud.store.tags(tenant).await?)
}

/// Makes a tag.
///
/// # Errors
/// 400 for a bad name, 409 for one that is taken.
pub async fn create_tag(call: &Call, new: CreateTag) -> Result<Tag, ApiError> {
    let cloud = &call.cloud;
    let now = cloud.now_iso();
    let tag = Tag {
        tenant_id: call.principal()?.tenant_id.clone(),
        tag_id: TagId::new(call.new_id("tag")),
        name: name(&new.name, MAX_TAG_NAME)?,
        color: tag_color(new.color.as_deref()),
        created_at: now.clone(),
        updated_at: now,
    };
    Ok(cloud.store.create_tag(tag).await?)
}

/// Changes what is given.
///
/// # Errors
/// 400, 404, 409.
pub async fn update_tag(
    cloud: &Cloud,
    tenant: &TenantId,
    id: &TagId,
    change: UpdateTag,
) -> Result<Tag, ApiError> {
    let name = change
        .name
        .map(|text| name(&text, MAX_TAG_NAME))
        .transpose()?;
    let color = change.color.map(|color| tag_color(Some(&color)));
    let changed = cloud
        .store
        .update_tag(tenant, id, name, color, cloud.now())
        .await;
    changed.map_err(|error| match error {
        StoreError::Missing(_) => no_tag(),
        error => error.into(),
    })
}

/// Ties a tag to threads or unties it, all or none.
///
/// # Errors
/// 400 for too many, 404 for an unknown tag or thread.
pub async fn link_tag(
    cloud: &Cloud,
    scope: &Scope,
    id: &TagId,
    sessions: TagSessions,
    apply: bool,
) -> Result<(), ApiError> {
    if sessions.session_ids.len() > MAX_BULK {
        return Err(ApiError::invalid(format!(
            "Field `sessionIds` may hold at most {MAX_BULK} ids; send them in several requests."
        )));
    }
    let sessions: Vec<SessionId> = sessions
        .session_ids
        .into_iter()
        .map(SessionId::new)
        .collect();
    let linked = cloud.store.link_tag(scope, id, &sessions, apply).await;
    linked.map_err(|error| match error {
        StoreError::Missing(_) => no_tag(),
        StoreError::NotFound(_) => super::sessions::not_found(),
        error => error.into(),
    })
}

fn query_of_filter(query: JsonObject) -> Result<JsonObject, ApiError> {
    let bytes = serde_json::to_vec(&query).map_err(|_| ApiError::internal())?;
    match bytes.len() <= MAX_FILTER_BYTES {
        true => Ok(query),
        false => Err(ApiError::invalid(format!(
            "Field `query` may have at most {MAX_FILTER_BYTES} bytes as JSON."
        ))),
    }
}

/// Makes a stored filter.
///
/// # Errors
/// 400.
pub async fn create_filter(call: &Call, new: CreateFilter) -> Result<SmartFilter, ApiError> {
    let cloud = &call.cloud;
    let now = cloud.now_iso();
    let filter = SmartFilter {
        tenant_id: call.principal()?.tenant_id.clone(),
        filter_id: FilterId::new(call.new_id("filter")),
        name: name(&new.name, MAX_FILTER_NAME)?,
        query: query_of_filter(new.query)?,
        created_at: now.clone(),
        updated_at: now,
    };
    Ok(cloud.store.create_filter(filter).await?)
}

/// Changes what is given.
///
/// # Errors
/// 400, 404.
pub async fn update_filter(
    cloud: &Cloud,
    tenant: &TenantId,
    id: &FilterId,
    change: UpdateFilter,
) -> Result<SmartFilter, ApiError> {
    let name = change
        .name
        .map(|text| name(&text, MAX_FILTER_NAME))
        .transpose()?;
    let query = change.query.map(query_of_filter).transpose()?;
    let changed = cloud
        .store
        .update_filter(tenant, id, name, query, cloud.now())
        .await;
    changed.map_err(|error| match error {
        StoreError::Missing(_) => no_filter(),
        error => error.into(),
    })
}

/// Finds threads.
///
/// # Errors
/// 400 for what is too long, too much or no date; 404 for an unknown stored filter.
pub async fn search(
    cloud: &Cloud,
    scope: Scope,
    asked: ThreadSearch,
) -> Result<ThreadSearchResult, ApiError> {
    let asked = with_filter(cloud, &scope.tenant_id, asked).await?;
    let query = query::parse(scope, asked)?;
    let page = cloud.store.search_threads(&query).await.map_err(cursor)?;
    Ok(ThreadSearchResult {
        threads: page.rows,
        next_cursor: page.next,
        total_estimate: page.total_estimate,
        truncated: page.truncated,
    })
}

/// What the found threads have in common.
///
/// # Errors
/// As [`search`].
pub async fn facets(
    cloud: &Cloud,
    scope: Scope,
    asked: ThreadSearch,
) -> Result<ThreadFacets, ApiError> {
    let asked = with_filter(cloud, &scope.tenant_id, asked).await?;
    let query = query::parse(scope, asked)?;
    Ok(cloud.store.thread_facets(&query).await?)
}

/// A stored filter lies under what is asked: fields that hold something win (07 §12).
async fn with_filter(
    cloud: &Cloud,
    tenant: &TenantId,
    asked: ThreadSearch,
) -> Result<ThreadSearch, ApiError> {
    let Some(id) = asked.smart_filter_id.as_deref().map(FilterId::from) else {
        return Ok(asked);
    };
    let filter = cloud
        .store
        .filter(tenant, &id)
        .await?
        .ok_or_else(no_filter)?;
    query::merge(filter.query, asked)
}
