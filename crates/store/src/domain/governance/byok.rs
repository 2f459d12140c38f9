//! Provider keys. Only ciphertext and references come here.

use super::audit::{self, Entry, from_json, json, name};
use crate::dialect::{Connection, Row};
use crate::domain::identity::people::{self, Place};
use crate::transaction::Stop;
use open_cowork_contracts::api::byok::{ByokSecret, ByokStatus};
use open_cowork_contracts::{AccountId, JsonObject, TenantId};
use open_cowork_providers::store::governance::{ByokVerdict, StoredByok, redact};
use open_cowork_providers::store::{Stamp, StoreError};

macro_rules! keys_where {
    ($condition:literal) => {
        concat!(
            "SELECT k.body, k.status, k.ciphertext, k.kms_ref, k.created_by, k.rotated_from \
             FROM provider_keys k WHERE k.tenant_no = $1 ",
            $condition
        )
    };
}

fn key(row: &Row) -> Result<StoredByok, sqlx::Error> {
    let mut secret: ByokSecret = from_json(row, 0)?;
    secret.status = name(row, 1, ByokStatus::parse)?;
    Ok(StoredByok {
        secret,
        ciphertext: row.optional_text(2)?,
        kms_ref: row.optional_text(3)?,
        created_by: row.optional_text(4)?.map(AccountId::from),
        rotated_from: row.optional_text(5)?,
    })
}

/// The newest of each provider, or all active ones.
pub(crate) async fn list(
    connection: &mut Connection,
    tenant: &TenantId,
    active: bool,
) -> Result<Vec<StoredByok>, sqlx::Error> {
    let Some(place) = people::place(connection, tenant).await? else {
        return Ok(Vec::new());
    };
    let select = if active {
        keys_where!("AND k.status = 'active' ORDER BY k.provider_id")
    } else {
        keys_where!(
            "AND NOT EXISTS (SELECT 1 FROM provider_keys n WHERE n.tenant_no = k.tenant_no \
             AND n.provider_id = k.provider_id AND n.revision > k.revision) ORDER BY k.provider_id"
        )
    };
    let rows = connection.query(select).bind(place.tenant_no);
    rows.fetch_all().await?.iter().map(key).collect()
}

/// The newest key of a provider, or its active one.
pub(crate) async fn of_provider(
    connection: &mut Connection,
    tenant: &TenantId,
    provider: &str,
    active: bool,
) -> Result<Option<StoredByok>, sqlx::Error> {
    match people::place(connection, tenant).await? {
        Some(place) => in_place(connection, &place, provider, active).await,
        None => Ok(None),
    }
}

async fn in_place(
    connection: &mut Connection,
    place: &Place,
    provider: &str,
    active: bool,
) -> Result<Option<StoredByok>, sqlx::Error> {
    let select = if active {
        keys_where!("AND k.provider_id = $2 AND k.status = 'active'")
    } else {
        keys_where!("AND k.provider_id = $2 ORDER BY k.revision DESC LIMIT 1")
    };
    let row = connection
        .query(select)
        .bind(place.tenant_no)
        .bind(provider);
    row.fetch_optional().await?.map(|row| key(&row)).transpose()
}

async fn by_id(
    connection: &mut Connection,
    place: &Place,
    id: &str,
) -> Result<Option<StoredByok>, sqlx::Error> {
    let select = keys_where!("AND k.secret_id = $2");
    let row = connection.query(select).bind(place.tenant_no).bind(id);
    row.fetch_optional().await?.map(|row| key(&row)).transpose()
}

fn entry<'a>(event_type: &'a str, secret: &'a ByokSecret) -> Entry<'a> {
    Entry {
        event_type,
        target_type: "byok",
        target_id: &secret.secret_id,
        metadata: JsonObject::from_iter([
            ("provider".to_owned(), secret.provider_id.as_str().into()),
            ("status".to_owned(), secret.status.as_str().into()),
        ]),
    }
}

pub(crate) async fn add(
    connection: &mut Connection,
    tenant: &TenantId,
    new: &StoredByok,
    stamp: &Stamp,
) -> Result<StoredByok, Stop> {
    let place = people::place_or_new(connection, tenant, stamp).await?;
    let provider = new.secret.provider_id.as_str();
    let active = in_place(connection, &place, provider, true).await?;
    let mut stored = new.clone();
    stored.secret.status = ByokStatus::PendingValidation;
    stored.secret.created_at = stamp.iso();
    stored.secret.updated_at = stamp.iso();
    stored.rotated_from = active.map(|active| active.secret.secret_id);
    let insert = "INSERT INTO provider_keys (tenant_no, secret_id, provider_id, revision, status, ciphertext, \
                  kms_ref, created_by, rotated_from, body) \
                  SELECT $1, $2, $3, COALESCE(MAX(revision), 0) + 1, $4, $5, $6, $7, $8, $9 \
                  FROM provider_keys WHERE tenant_no = $1 AND provider_id = $3";
    connection
        .query(insert)
        .bind(place.tenant_no)
        .bind(stored.secret.secret_id.as_str())
        .bind(provider)
        .bind(stored.secret.status.as_str())
        .bind(stored.ciphertext.as_deref())
        .bind(stored.kms_ref.as_deref())
        .bind(stored.created_by.as_ref().map(|id| id.as_str()))
        .bind(stored.rotated_from.as_deref())
        .bind(json(&stored.secret)?)
        .execute()
        .await?;
    let created = entry("byok_secret.created", &stored.secret);
    audit::write(connection, place.key(), stamp, 1, created).await?;
    Ok(stored)
}

async fn update(
    connection: &mut Connection,
    place: &Place,
    secret: &ByokSecret,
) -> Result<(), sqlx::Error> {
    let update =
        "UPDATE provider_keys SET status = $3, body = $4 WHERE tenant_no = $1 AND secret_id = $2";
    connection
        .query(update)
        .bind(place.tenant_no)
        .bind(secret.secret_id.as_str())
        .bind(secret.status.as_str())
        .bind(json(secret)?)
        .execute()
        .await?;
    Ok(())
}

pub(crate) async fn judge(
    connection: &mut Connection,
    tenant: &TenantId,
    id: &str,
    verdict: &ByokVerdict,
    stamp: &Stamp,
) -> Result<StoredByok, Stop> {
    let missing = || Stop::from(StoreError::Missing("provider key"));
    let place = people::locked_place(connection, tenant).await?;
    let place = place.ok_or_else(missing)?;
    let mut judged = by_id(connection, &place, id).await?.ok_or_else(missing)?;
    if judged.secret.status == ByokStatus::Disabled {
        return Err(StoreError::Conflict(
            "This provider key was withdrawn or replaced; set a new one.".to_owned(),
        )
        .into());
    }
    let mut nth = 1;
    if verdict.status == ByokStatus::Active {
        let provider = judged.secret.provider_id.as_str();
        let active = in_place(connection, &place, provider, true).await?;
        if let Some(mut active) = active.filter(|active| active.secret.secret_id != id) {
            active.secret.status = ByokStatus::Disabled;
            active.secret.updated_at = stamp.iso();
            update(connection, &place, &active.secret).await?;
            nth += 1;
            let replaced = entry("byok_secret.disabled", &active.secret);
            audit::write(connection, place.key(), stamp, nth, replaced).await?;
        }
    }
    judged.secret.status = verdict.status;
    judged.secret.updated_at = stamp.iso();
    judged.secret.validation_error = verdict
        .note
        .as_deref()
        .map(|note| note.chars().take(512).collect());
    if verdict.validated {
        judged.secret.last_validated_at = Some(stamp.iso());
    }
    update(connection, &place, &judged.secret).await?;
    let mut judgement = entry(verdict.event_type, &judged.secret);
    if let Some(note) = &verdict.note {
        judgement
            .metadata
            .insert("note".to_owned(), redact::text(note).into());
    }
    audit::write(connection, place.key(), stamp, 1, judgement).await?;
    Ok(judged)
}

pub(crate) async fn disable(
    connection: &mut Connection,
    tenant: &TenantId,
    provider: &str,
    stamp: &Stamp,
) -> Result<Option<StoredByok>, Stop> {
    let Some(place) = people::locked_place(connection, tenant).await? else {
        return Ok(None);
    };
    let select =
        keys_where!("AND k.provider_id = $2 AND k.status <> 'disabled' ORDER BY k.revision DESC");
    let rows = connection
        .query(select)
        .bind(place.tenant_no)
        .bind(provider);
    let mut keys = Vec::new();
    for row in rows.fetch_all().await? {
        keys.push(key(&row)?);
    }
    for (stored, nth) in keys.iter_mut().zip(1..) {
        stored.secret.status = ByokStatus::Disabled;
        stored.secret.updated_at = stamp.iso();
        update(connection, &place, &stored.secret).await?;
        let disabled = entry("byok_secret.disabled", &stored.secret);
        audit::write(connection, place.key(), stamp, nth, disabled).await?;
    }
    Ok(keys.into_iter().next())
}
