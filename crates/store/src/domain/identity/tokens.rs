//! API tokens and their grants.

use super::people::{self, Place};
use crate::dialect::{Connection, Row};
use crate::domain::governance::audit::{self, Entry, from_json, json};
use crate::transaction::Stop;
use open_cowork_contracts::access::MembershipStatus;
use open_cowork_contracts::api::tokens::{ApiToken, ChannelBindingGrant};
use open_cowork_contracts::{AccountId, JsonObject, OrgId, TenantId, TokenId};
use open_cowork_providers::store::identity::{
    DEFAULT_LIMIT, MAX_LIMIT, NewToken, PrincipalLookup, StoredToken,
};
use open_cowork_providers::store::keyset::{List, Page, page_size};
use open_cowork_providers::store::{Stamp, StoreError};
use open_cowork_providers::time::{Timestamp, iso};

fn entry<'a>(event_type: &'a str, id: &'a TokenId, metadata: JsonObject) -> Entry<'a> {
    Entry {
        event_type,
        target_type: "api_token",
        target_id: id.as_str(),
        metadata,
    }
}

pub(crate) async fn create(
    connection: &mut Connection,
    tenant: &TenantId,
    new: &NewToken,
    stamp: &Stamp,
) -> Result<ApiToken, Stop> {
    let place = people::locked_place(connection, tenant).await?;
    let holder = match &place {
        Some(place) => people::membership(connection, place, &new.account_id).await?,
        None => None,
    };
    let active = holder.is_some_and(|holder| holder.status == MembershipStatus::Active);
    let Some(place) = place.filter(|_| active) else {
        return Err(StoreError::Forbidden(
            "Only active members of the organisation may issue API tokens.".to_owned(),
        )
        .into());
    };
    let token = ApiToken {
        token_id: new.token_id.clone(),
        org_id: place.org.clone(),
        account_id: Some(new.account_id.clone()),
        name: new.name.clone(),
        scopes: new.scopes.clone(),
        channel_binding_ids: Vec::new(),
        last4: new.last4.clone(),
        expires_at: new.expires_at.map(iso),
        revoked_at: None,
        last_used_at: None,
        created_at: stamp.iso(),
        updated_at: stamp.iso(),
    };
    let insert = "INSERT INTO api_tokens (token_id, tenant_no, account_id, hash, created_at, body) \
                  VALUES ($1, $2, $3, $4, $5, $6)";
    connection
        .query(insert)
        .bind(token.token_id.as_str())
        .bind(place.tenant_no)
        .bind(new.account_id.as_str())
        .bind(new.hash.as_str())
        .bind(token.created_at.as_str())
        .bind(json(&token)?)
        .execute()
        .await?;
    let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.as_str()).collect();
    let metadata = JsonObject::from_iter([
        ("name".to_owned(), token.name.as_str().into()),
        ("scopes".to_owned(), scopes.join(",").into()),
    ]);
    let created = entry("api_token.created", &token.token_id, metadata);
    audit::write(connection, place.key(), stamp, 1, created).await?;
    for (binding, nth) in new.channel_binding_ids.iter().zip(2..) {
        insert_grant(connection, &place, &token.token_id, binding, stamp, nth).await?;
    }
    Ok(with_grants(connection, place.tenant_no, token).await?)
}

async fn insert_grant(
    connection: &mut Connection,
    place: &Place,
    id: &TokenId,
    binding: &str,
    stamp: &Stamp,
    nth: usize,
) -> Result<(), sqlx::Error> {
    let insert = "INSERT INTO token_grants (tenant_no, token_id, binding_id, created_at) \
                  VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    let made = connection
        .query(insert)
        .bind(place.tenant_no)
        .bind(id.as_str())
        .bind(binding)
        .bind(stamp.iso())
        .execute()
        .await?;
    if made == 0 {
        return Ok(());
    }
    let metadata = JsonObject::from_iter([("channelBindingId".to_owned(), binding.into())]);
    let granted = entry("api_token.channel_binding_granted", id, metadata);
    audit::write(connection, place.key(), stamp, nth, granted).await
}

async fn with_grants(
    connection: &mut Connection,
    tenant_no: i64,
    mut token: ApiToken,
) -> Result<ApiToken, sqlx::Error> {
    let select = "SELECT binding_id FROM token_grants WHERE tenant_no = $1 AND token_id = $2 \
                  ORDER BY binding_id";
    let rows = connection
        .query(select)
        .bind(tenant_no)
        .bind(token.token_id.as_str());
    let rows = rows.fetch_all().await?;
    token.channel_binding_ids = rows
        .iter()
        .map(|row| row.text(0))
        .collect::<Result<_, _>>()?;
    Ok(token)
}

/// Columns `body, revoked_at, last_used_ms` from there on.
fn record(row: &Row, from: usize) -> Result<ApiToken, sqlx::Error> {
    let mut token: ApiToken = from_json(row, from)?;
    token.revoked_at = row.optional_text(from + 1)?;
    let used = row.optional_int(from + 2)?;
    let used = used.and_then(|used| Timestamp::from_millisecond(used).ok());
    token.last_used_at = used.map(iso);
    Ok(token)
}

pub(crate) async fn find(
    connection: &mut Connection,
    id: &TokenId,
) -> Result<Option<StoredToken>, sqlx::Error> {
    let select = "SELECT t.tenant_id, k.hash, k.account_id, k.body, k.revoked_at, k.last_used_ms, k.tenant_no \
                  FROM api_tokens k JOIN tenants t ON t.tenant_no = k.tenant_no WHERE k.token_id = $1";
    let row = connection.query(select).bind(id.as_str());
    let Some(row) = row.fetch_optional().await? else {
        return Ok(None);
    };
    let tenant_id = TenantId::from(row.text(0)?);
    let hash = row.text(1)?;
    let lookup = PrincipalLookup {
        tenant_id: tenant_id.clone(),
        account_id: Some(row.text(2)?.into()),
        ..PrincipalLookup::default()
    };
    let (token, tenant_no) = (record(&row, 3)?, row.int(6)?);
    Ok(Some(StoredToken {
        tenant_id,
        token: with_grants(connection, tenant_no, token).await?,
        hash,
        holder: people::principal(connection, &lookup).await?,
    }))
}

async fn find_in(
    connection: &mut Connection,
    tenant_no: i64,
    id: &TokenId,
) -> Result<Option<ApiToken>, sqlx::Error> {
    let select = "SELECT body, revoked_at, last_used_ms FROM api_tokens \
                  WHERE token_id = $1 AND tenant_no = $2";
    let row = connection.query(select).bind(id.as_str()).bind(tenant_no);
    match row.fetch_optional().await? {
        Some(row) => with_grants(connection, tenant_no, record(&row, 0)?)
            .await
            .map(Some),
        None => Ok(None),
    }
}

pub(crate) async fn page(
    connection: &mut Connection,
    tenant: &TenantId,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Page<ApiToken>, Stop> {
    let list = List::new("api-tokens", tenant);
    let start = list.start::<2>(cursor)?;
    let Some(place) = people::place(connection, tenant).await? else {
        return Ok(Page::default());
    };
    let size = page_size(limit, DEFAULT_LIMIT, MAX_LIMIT);
    let [time, id] = match start {
        Some([time, id]) => [Some(time), Some(id)],
        None => [None, None],
    };
    let select = "SELECT body, revoked_at, last_used_ms FROM api_tokens WHERE tenant_no = $1 \
                  AND ($2 IS NULL OR created_at < $2 OR (created_at = $2 AND token_id > $3)) \
                  ORDER BY created_at DESC, token_id LIMIT $4";
    let rows = connection
        .query(select)
        .bind(place.tenant_no)
        .bind(time)
        .bind(id)
        .bind(size as i64 + 1)
        .fetch_all()
        .await?;
    let tokens = rows
        .iter()
        .map(|row| record(row, 0))
        .collect::<Result<Vec<_>, _>>()?;
    let mut page = list.page(tokens, size, |token| {
        [token.created_at.clone(), token.token_id.to_string()]
    });
    add_grants(connection, &place, &mut page.rows).await?;
    Ok(page)
}

/// All grants of the tenant's shown tokens in one statement.
async fn add_grants(
    connection: &mut Connection,
    place: &Place,
    tokens: &mut [ApiToken],
) -> Result<(), sqlx::Error> {
    let mut ids: Vec<&str> = tokens.iter().map(|token| token.token_id.as_str()).collect();
    ids.sort_unstable();
    let (Some(first), Some(last)) = (ids.first(), ids.last()) else {
        return Ok(());
    };
    let select = "SELECT token_id, binding_id FROM token_grants WHERE tenant_no = $1 \
                  AND token_id >= $2 AND token_id <= $3 ORDER BY token_id, binding_id";
    let rows = connection
        .query(select)
        .bind(place.tenant_no)
        .bind(*first)
        .bind(*last)
        .fetch_all()
        .await?;
    let mut grants: std::collections::HashMap<String, Vec<String>> = Default::default();
    for row in &rows {
        grants.entry(row.text(0)?).or_default().push(row.text(1)?);
    }
    for token in tokens {
        token.channel_binding_ids = grants.remove(token.token_id.as_str()).unwrap_or_default();
    }
    Ok(())
}

pub(crate) async fn revoke(
    connection: &mut Connection,
    tenant: &TenantId,
    id: &TokenId,
    stamp: &Stamp,
) -> Result<Option<ApiToken>, Stop> {
    let Some(place) = people::locked_place(connection, tenant).await? else {
        return Ok(None);
    };
    if find_in(connection, place.tenant_no, id).await?.is_none() {
        return Ok(None);
    }
    revoke_one(connection, &place, id, JsonObject::new(), stamp, 1).await?;
    Ok(find_in(connection, place.tenant_no, id).await?)
}

async fn revoke_one(
    connection: &mut Connection,
    place: &Place,
    id: &TokenId,
    metadata: JsonObject,
    stamp: &Stamp,
    nth: usize,
) -> Result<(), sqlx::Error> {
    let update = "UPDATE api_tokens SET revoked_at = $3 \
                  WHERE token_id = $1 AND tenant_no = $2 AND revoked_at IS NULL";
    let revoked = connection
        .query(update)
        .bind(id.as_str())
        .bind(place.tenant_no)
        .bind(stamp.iso())
        .execute()
        .await?;
    if revoked == 0 {
        return Ok(());
    }
    let revoked = entry("api_token.revoked", id, metadata);
    audit::write(connection, place.key(), stamp, nth, revoked).await
}

/// Revokes every token of some members; `why` ends the reason.
pub(crate) async fn revoke_all(
    connection: &mut Connection,
    place: &Place,
    accounts: &[AccountId],
    why: &str,
    stamp: &Stamp,
) -> Result<(), sqlx::Error> {
    let mut nth = 1;
    for account in accounts {
        let select = "SELECT token_id FROM api_tokens WHERE tenant_no = $1 AND account_id = $2 \
                      AND revoked_at IS NULL ORDER BY token_id";
        let rows = connection
            .query(select)
            .bind(place.tenant_no)
            .bind(account.as_str());
        for row in rows.fetch_all().await? {
            nth += 1;
            let id = TokenId::from(row.text(0)?);
            let reason = format!("membership {why}");
            let metadata = JsonObject::from_iter([("reason".to_owned(), reason.into())]);
            revoke_one(connection, place, &id, metadata, stamp, nth).await?;
        }
    }
    Ok(())
}

pub(crate) async fn touch(
    connection: &mut Connection,
    used: &[(TokenId, Timestamp)],
) -> Result<(), sqlx::Error> {
    let mut used: Vec<_> = used.iter().collect();
    // Everybody locks rows in the same order.
    used.sort_by(|a, b| a.0.cmp(&b.0));
    let update = "UPDATE api_tokens SET last_used_ms = $2 \
                  WHERE token_id = $1 AND (last_used_ms IS NULL OR last_used_ms < $2)";
    for (id, at) in used {
        let touch = connection.query(update).bind(id.as_str());
        touch.bind(at.as_millisecond()).execute().await?;
    }
    Ok(())
}

pub(crate) async fn grant(
    connection: &mut Connection,
    tenant: &TenantId,
    id: &TokenId,
    binding: &str,
    stamp: &Stamp,
) -> Result<(ChannelBindingGrant, ApiToken), Stop> {
    let missing = || Stop::from(StoreError::Missing("API token"));
    let place = people::locked_place(connection, tenant).await?;
    let place = place.ok_or_else(missing)?;
    let token = find_in(connection, place.tenant_no, id).await?;
    token
        .filter(|token| token.revoked_at.is_none())
        .ok_or_else(missing)?;
    insert_grant(connection, &place, id, binding, stamp, 1).await?;
    let select = "SELECT created_at FROM token_grants \
                  WHERE tenant_no = $1 AND token_id = $2 AND binding_id = $3";
    let row = connection
        .query(select)
        .bind(place.tenant_no)
        .bind(id.as_str())
        .bind(binding)
        .fetch_one()
        .await?;
    let grant = grant_of(&row, &place.org, id, binding)?;
    let token = find_in(connection, place.tenant_no, id).await?;
    Ok((grant, token.ok_or_else(missing)?))
}

fn grant_of(
    row: &Row,
    org: &OrgId,
    id: &TokenId,
    binding: &str,
) -> Result<ChannelBindingGrant, sqlx::Error> {
    Ok(ChannelBindingGrant {
        org_id: org.clone(),
        token_id: id.clone(),
        channel_binding_id: binding.to_owned(),
        created_at: row.text(0)?,
    })
}
