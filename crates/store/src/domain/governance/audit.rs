//! The audit log.

use crate::dialect::{Connection, Row};
use crate::transaction::Stop;
use open_cowork_contracts::api::admin::{AuditActor, AuditEvent};
use open_cowork_contracts::{JsonObject, OrgId};
use open_cowork_providers::store::governance::{AuditQuery, DEFAULT_LIMIT, MAX_LIMIT, redact};
use open_cowork_providers::store::keyset::{List, Page, page_size};
use open_cowork_providers::store::{Stamp, StoreError};
use serde_json::Value;

/// What changed, for the entry that goes with it.
pub(crate) struct Entry<'a> {
    pub(crate) event_type: &'a str,
    pub(crate) target_type: &'a str,
    pub(crate) target_id: &'a str,
    pub(crate) metadata: JsonObject,
}

/// Writes the entry of a change; `nth` counts the entries of one stamp, from 1.
pub(crate) async fn write(
    connection: &mut Connection,
    (tenant_no, org): (i64, &OrgId),
    stamp: &Stamp,
    nth: usize,
    entry: Entry<'_>,
) -> Result<(), sqlx::Error> {
    let mut metadata = JsonObject::new();
    metadata.insert("result".into(), "success".into());
    metadata.extend(entry.metadata);
    let event = AuditEvent {
        event_id: match nth {
            1 => stamp.audit_id.clone(),
            nth => format!("{}:{nth}", stamp.audit_id),
        },
        org_id: org.clone(),
        account_id: stamp.actor.account_id.clone(),
        actor_type: stamp.actor.kind,
        actor_id: stamp.actor.id.clone(),
        event_type: entry.event_type.to_owned(),
        target_type: Some(entry.target_type.to_owned()),
        target_id: Some(entry.target_id.to_owned()),
        metadata,
        created_at: stamp.iso(),
    };
    insert(connection, tenant_no, &event).await
}

pub(crate) async fn insert(
    connection: &mut Connection,
    tenant_no: i64,
    event: &AuditEvent,
) -> Result<(), sqlx::Error> {
    let metadata = redact::metadata(&event.metadata);
    let result = metadata.get("result").and_then(Value::as_str);
    let insert = "INSERT INTO audit_events (tenant_no, event_id, created_at, account_id, actor_type, actor_id, \
                  event_type, target_type, target_id, result, metadata) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING";
    connection
        .query(insert)
        .bind(tenant_no)
        .bind(event.event_id.as_str())
        .bind(event.created_at.as_str())
        .bind(event.account_id.as_ref().map(|id| id.as_str()))
        .bind(event.actor_type.as_str())
        .bind(event.actor_id.as_deref().map(redact::text))
        .bind(event.event_type.as_str())
        .bind(event.target_type.as_deref())
        .bind(event.target_id.as_deref().map(redact::text))
        .bind(result)
        .bind(json(&metadata)?)
        .execute()
        .await?;
    Ok(())
}

/// JSON of our own records, as text.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// What [`json`] wrote.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(
    row: &Row,
    column: usize,
) -> Result<T, sqlx::Error> {
    serde_json::from_str(row.stored(column)?).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// A name of a closed set.
pub(crate) fn name<T>(
    row: &Row,
    column: usize,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T, sqlx::Error> {
    parse(row.stored(column)?).ok_or_else(|| crate::dialect::undecodable(column))
}

pub(crate) async fn page(
    connection: &mut Connection,
    (tenant_no, org): (i64, &OrgId),
    query: &AuditQuery,
) -> Result<Page<AuditEvent>, Stop> {
    let list = List::new("audit", &(org, query));
    let start = list.start::<2>(query.cursor.as_deref())?;
    let size = page_size(query.limit, DEFAULT_LIMIT, MAX_LIMIT);
    let [from_time, from_id] = match &start {
        Some([time, id]) => [Some(time.as_str()), Some(id.as_str())],
        None => [None, None],
    };
    // A prefix is a range: text compares by its bytes, and nothing that is stored comes after this character.
    let prefix = query.event_type_prefix.as_deref();
    let prefix_end = prefix.map(|prefix| format!("{prefix}{}", char::MAX));
    let select = "SELECT event_id, created_at, account_id, actor_type, actor_id, event_type, target_type, \
                  target_id, metadata FROM audit_events WHERE tenant_no = $1 \
                  AND ($2 IS NULL OR created_at < $2 OR (created_at = $2 AND event_id < $3)) \
                  AND ($4 IS NULL OR actor_id = $4) AND ($5 IS NULL OR actor_type = $5) \
                  AND ($6 IS NULL OR (event_type >= $6 AND event_type < $7)) \
                  AND ($8 IS NULL OR target_type = $8) AND ($9 IS NULL OR target_id = $9) \
                  AND ($10 IS NULL OR result = $10) \
                  AND ($11 IS NULL OR created_at >= $11) AND ($12 IS NULL OR created_at <= $12) \
                  ORDER BY created_at DESC, event_id DESC LIMIT $13";
    let rows = connection
        .query(select)
        .bind(tenant_no)
        .bind(from_time)
        .bind(from_id)
        .bind(query.actor_id.as_deref())
        .bind(query.actor_type.map(AuditActor::as_str))
        .bind(prefix)
        .bind(prefix_end)
        .bind(query.target_type.as_deref())
        .bind(query.target_id.as_deref())
        .bind(query.result.as_deref())
        .bind(query.from.as_deref())
        .bind(query.to.as_deref())
        .bind(size as i64 + 1)
        .fetch_all()
        .await?;
    let events = rows
        .iter()
        .map(|row| event(row, org))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(list.page(events, size, |event| {
        [event.created_at.clone(), event.event_id.clone()]
    }))
}

/// The cursor of an unknown tenant's list, so that a foreign one is refused there, too.
pub(crate) fn check_cursor(org: &OrgId, query: &AuditQuery) -> Result<(), StoreError> {
    List::new("audit", &(org, query))
        .start::<2>(query.cursor.as_deref())
        .map(drop)
}

fn event(row: &Row, org: &OrgId) -> Result<AuditEvent, sqlx::Error> {
    Ok(AuditEvent {
        event_id: row.text(0)?,
        org_id: org.clone(),
        created_at: row.text(1)?,
        account_id: row.optional_text(2)?.map(Into::into),
        actor_type: name(row, 3, AuditActor::parse)?,
        actor_id: row.optional_text(4)?,
        event_type: row.text(5)?,
        target_type: row.optional_text(6)?,
        target_id: row.optional_text(7)?,
        metadata: from_json(row, 8)?,
    })
}
