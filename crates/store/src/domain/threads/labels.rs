//! Tags and stored filters: what people put on threads.

use crate::dialect::{Connection, Row};
use crate::domain::workflows::rows::{from_json, to_json};
use crate::owner;
use crate::transaction::Stop;
use open_cowork_contracts::api::threads::{SmartFilter, Tag, TaggedThread};
use open_cowork_contracts::{FilterId, SessionId, SessionStatus, TagId, TenantId};
use open_cowork_providers::store::threads::{MAX_LABELS, TaggedQuery};
use open_cowork_providers::store::{Scope, StoreError};
use std::collections::HashMap;

/// Names are equal without regard to case and outer white space.
fn folded(name: &str) -> String {
    name.trim().to_lowercase()
}

pub(super) struct StoredTag {
    tenant_no: i64,
    pub(super) tag: Tag,
}

pub(super) struct StoredFilter {
    tenant_no: i64,
    pub(super) filter: SmartFilter,
}

pub(super) async fn tags(
    connection: &mut Connection,
    tenant: &TenantId,
) -> Result<Vec<Tag>, sqlx::Error> {
    let select = "SELECT g.body FROM tags g JOIN tenants t ON t.tenant_no = g.tenant_no \
                  WHERE t.tenant_id = $1 ORDER BY g.folded, g.tag_id";
    let rows = connection
        .query(select)
        .bind(tenant.as_str())
        .fetch_all()
        .await?;
    rows.iter().map(|row| from_json(row, 0)).collect()
}

async fn refuse_many(
    connection: &mut Connection,
    count: &'static str,
    tenant_no: i64,
    what: &str,
) -> Result<(), Stop> {
    let row = connection.query(count).bind(tenant_no).fetch_one().await?;
    match row.unsigned(0)? < MAX_LABELS as u64 {
        true => Ok(()),
        false => Err(StoreError::Invalid(format!(
            "There are {MAX_LABELS} {what} already; delete one that isn't needed."
        ))
        .into()),
    }
}

/// The lock of the tenant's row makes the look at the name and the insert one step.
pub(super) async fn create_tag(connection: &mut Connection, tag: &Tag) -> Result<(), Stop> {
    let tenant_no = owner::tenant_no_or_new(connection, &tag.tenant_id).await?;
    let count = "SELECT COUNT(*) FROM tags WHERE tenant_no = $1";
    refuse_many(connection, count, tenant_no, "tags").await?;
    refuse_taken(connection, tenant_no, tag).await?;
    let insert = "INSERT INTO tags (tenant_no, tag_id, folded, body) VALUES ($1, $2, $3, $4)";
    connection
        .query(insert)
        .bind(tenant_no)
        .bind(tag.tag_id.as_str())
        .bind(folded(&tag.name))
        .bind(to_json(tag)?)
        .execute()
        .await?;
    Ok(())
}

async fn refuse_taken(connection: &mut Connection, tenant_no: i64, tag: &Tag) -> Result<(), Stop> {
    let select = "SELECT 1 FROM tags WHERE tenant_no = $1 AND folded = $2 AND tag_id <> $3";
    let query = connection.query(select).bind(tenant_no);
    let query = query.bind(folded(&tag.name)).bind(tag.tag_id.as_str());
    match query.fetch_optional().await? {
        None => Ok(()),
        Some(_) => Err(StoreError::Conflict(
            "There is a tag with this name already; choose another name.".to_owned(),
        )
        .into()),
    }
}

pub(super) async fn lock_tag(
    connection: &mut Connection,
    tenant: &TenantId,
    id: &TagId,
) -> Result<Option<StoredTag>, sqlx::Error> {
    // The tenant first: names are given under its lock.
    let tenant_no = owner::tenant_no_or_new(connection, tenant).await?;
    let select = "SELECT body FROM tags WHERE tenant_no = $1 AND tag_id = $2";
    let query = connection.select_for_update(select, "tags").bind(tenant_no);
    let row = query.bind(id.as_str()).fetch_optional().await?;
    row.map(|row| {
        Ok(StoredTag {
            tenant_no,
            tag: from_json(&row, 0)?,
        })
    })
    .transpose()
}

pub(super) async fn update_tag(
    connection: &mut Connection,
    stored: &StoredTag,
) -> Result<(), Stop> {
    refuse_taken(connection, stored.tenant_no, &stored.tag).await?;
    let update = "UPDATE tags SET folded = $3, body = $4 WHERE tenant_no = $1 AND tag_id = $2";
    connection
        .query(update)
        .bind(stored.tenant_no)
        .bind(stored.tag.tag_id.as_str())
        .bind(folded(&stored.tag.name))
        .bind(to_json(&stored.tag)?)
        .execute()
        .await?;
    Ok(())
}

/// Deletes a row of a table of labels; links go with it.
pub(super) async fn delete(
    connection: &mut Connection,
    table: &'static str,
    column: &'static str,
    tenant: &TenantId,
    id: &str,
) -> Result<bool, sqlx::Error> {
    let delete = format!(
        "DELETE FROM {table} WHERE {column} = $2 AND tenant_no = (SELECT tenant_no FROM tenants WHERE tenant_id = $1)"
    );
    // Two names of ours.
    let query = connection.query(sqlx::AssertSqlSafe(delete));
    let deleted = query.bind(tenant.as_str()).bind(id).execute().await?;
    Ok(deleted > 0)
}

pub(super) async fn link(
    connection: &mut Connection,
    scope: &Scope,
    id: &TagId,
    sessions: &[SessionId],
    apply: bool,
) -> Result<(), Stop> {
    let tag = lock_tag(connection, &scope.tenant_id, id).await?;
    let tag = tag.ok_or(StoreError::Missing("tag"))?;
    for session in sessions {
        let select = "SELECT s.session_no FROM sessions s \
                      JOIN users u ON u.tenant_no = s.tenant_no AND u.user_no = s.user_no \
                      WHERE s.tenant_no = $1 AND u.user_id = $2 AND s.session_id = $3";
        let query = connection.query(select).bind(tag.tenant_no);
        let query = query.bind(scope.user_id.as_str()).bind(session.as_str());
        let Some(row) = query.fetch_optional().await? else {
            return Err(StoreError::NotFound(session.to_string()).into());
        };
        let change = match apply {
            true => {
                "INSERT INTO session_tags (tenant_no, tag_id, session_no) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
            }
            false => {
                "DELETE FROM session_tags WHERE tenant_no = $1 AND tag_id = $2 AND session_no = $3"
            }
        };
        let query = connection.query(change).bind(tag.tenant_no);
        query.bind(id.as_str()).bind(row.int(0)?).execute().await?;
    }
    Ok(())
}

/// Threads of a page from `start` on, one more than its size where there are more.
pub(super) async fn tagged_threads(
    connection: &mut Connection,
    query: &TaggedQuery,
    start: Option<&[String; 2]>,
) -> Result<Vec<TaggedThread>, sqlx::Error> {
    let tags: Vec<String> = (0..query.tags.len())
        .map(|at| format!("${}", at + 6))
        .collect();
    let with_tags = match tags.is_empty() {
        true => String::new(),
        false => format!(
            " AND EXISTS (SELECT 1 FROM session_tags g WHERE g.tenant_no = s.tenant_no \
             AND g.session_no = s.session_no AND g.tag_id IN ({}))",
            tags.join(", ")
        ),
    };
    let after = match start {
        // The first half lets the index seek.
        Some(_) => " AND s.updated_at <= $3 AND (s.updated_at < $3 OR s.session_id > $4)",
        None => " AND ($3 IS NULL OR $4 IS NULL)",
    };
    let sql = format!(
        "SELECT s.session_no, s.session_id, s.title, s.profile_name, s.status, s.created_at, s.updated_at, s.tenant_no \
         FROM tenants t JOIN users u ON u.tenant_no = t.tenant_no \
         JOIN sessions s ON s.tenant_no = u.tenant_no AND s.user_no = u.user_no \
         WHERE t.tenant_id = $1 AND u.user_id = $2{after}{with_tags} \
         ORDER BY s.updated_at DESC, s.session_id LIMIT $5"
    );
    let mut select = connection
        // Constants of ours and numbers of parameters.
        .query(sqlx::AssertSqlSafe(sql))
        .bind(query.scope.tenant_id.as_str())
        .bind(query.scope.user_id.as_str())
        .bind(start.map(|start| start[0].as_str()))
        .bind(start.map(|start| start[1].as_str()))
        .bind(query.page_size() as i64 + 1);
    for tag in &query.tags {
        select = select.bind(tag.as_str());
    }
    let rows = select.fetch_all().await?;
    let numbers = rows
        .iter()
        .map(|row| row.int(0))
        .collect::<Result<Vec<_>, _>>()?;
    let tenant_no = rows.first().map(|row| row.int(7)).transpose()?.unwrap_or(0);
    let mut tags = tags_of(connection, tenant_no, &numbers).await?;
    let thread = |row: &Row| {
        Ok(TaggedThread {
            tenant_id: query.scope.tenant_id.clone(),
            user_id: query.scope.user_id.clone(),
            session_id: row.text(1)?.into(),
            title: row.optional_text(2)?,
            profile_name: row.text(3)?,
            status: SessionStatus::parse(row.stored(4)?)
                .ok_or_else(|| crate::dialect::undecodable(4))?,
            created_at: row.text(5)?,
            updated_at: row.text(6)?,
            tags: tags.remove(&row.int(0)?).unwrap_or_default(),
        })
    };
    rows.iter().map(thread).collect()
}

/// The tags of these sessions, by lower-case name.
pub(super) async fn tags_of(
    connection: &mut Connection,
    tenant_no: i64,
    sessions: &[i64],
) -> Result<HashMap<i64, Vec<Tag>>, sqlx::Error> {
    let mut found: HashMap<i64, Vec<Tag>> = HashMap::new();
    if sessions.is_empty() {
        return Ok(found);
    }
    let dialect = connection.dialect();
    let sql = format!(
        "SELECT l.session_no, g.body FROM session_tags l \
         JOIN tags g ON g.tenant_no = l.tenant_no AND g.tag_id = l.tag_id \
         WHERE l.tenant_no = $1 AND l.session_no {} ORDER BY g.folded, g.tag_id",
        dialect.in_numbers("$2")
    );
    // Constants of ours.
    let query = connection.query(sqlx::AssertSqlSafe(sql)).bind(tenant_no);
    for row in query.bind(dialect.numbers(sessions)).fetch_all().await? {
        found
            .entry(row.int(0)?)
            .or_default()
            .push(from_json(&row, 1)?);
    }
    Ok(found)
}

pub(super) async fn filters(
    connection: &mut Connection,
    tenant: &TenantId,
) -> Result<Vec<SmartFilter>, sqlx::Error> {
    let select = "SELECT f.body FROM smart_filters f JOIN tenants t ON t.tenant_no = f.tenant_no \
                  WHERE t.tenant_id = $1 ORDER BY f.folded, f.filter_id";
    let rows = connection
        .query(select)
        .bind(tenant.as_str())
        .fetch_all()
        .await?;
    rows.iter().map(|row| from_json(row, 0)).collect()
}

pub(super) async fn filter(
    connection: &mut Connection,
    tenant: &TenantId,
    id: &FilterId,
) -> Result<Option<StoredFilter>, sqlx::Error> {
    let select = "SELECT f.tenant_no, f.body FROM smart_filters f JOIN tenants t ON t.tenant_no = f.tenant_no \
                  WHERE t.tenant_id = $1 AND f.filter_id = $2";
    let query = connection.query(select).bind(tenant.as_str());
    let row = query.bind(id.as_str()).fetch_optional().await?;
    row.map(|row| {
        Ok(StoredFilter {
            tenant_no: row.int(0)?,
            filter: from_json(&row, 1)?,
        })
    })
    .transpose()
}

/// The same under the lock of the tenant's row.
pub(super) async fn lock_filter(
    connection: &mut Connection,
    tenant: &TenantId,
    id: &FilterId,
) -> Result<Option<StoredFilter>, sqlx::Error> {
    owner::tenant_no_or_new(connection, tenant).await?;
    filter(connection, tenant, id).await
}

pub(super) async fn create_filter(
    connection: &mut Connection,
    filter: &SmartFilter,
) -> Result<(), Stop> {
    let tenant_no = owner::tenant_no_or_new(connection, &filter.tenant_id).await?;
    let count = "SELECT COUNT(*) FROM smart_filters WHERE tenant_no = $1";
    refuse_many(connection, count, tenant_no, "smart filters").await?;
    let insert =
        "INSERT INTO smart_filters (tenant_no, filter_id, folded, body) VALUES ($1, $2, $3, $4)";
    connection
        .query(insert)
        .bind(tenant_no)
        .bind(filter.filter_id.as_str())
        .bind(folded(&filter.name))
        .bind(to_json(filter)?)
        .execute()
        .await?;
    Ok(())
}

pub(super) async fn update_filter(
    connection: &mut Connection,
    stored: &StoredFilter,
) -> Result<(), sqlx::Error> {
    let update =
        "UPDATE smart_filters SET folded = $3, body = $4 WHERE tenant_no = $1 AND filter_id = $2";
    connection
        .query(update)
        .bind(stored.tenant_no)
        .bind(stored.filter.filter_id.as_str())
        .bind(folded(&stored.filter.name))
        .bind(to_json(&stored.filter)?)
        .execute()
        .await?;
    Ok(())
}
