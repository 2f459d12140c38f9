//! Idempotency keys.

use crate::dialect::{Connection, Row, undecodable};
use crate::owner;
use open_cowork_providers::store::StoreError;
use open_cowork_providers::store::browser::{IdempotencyScope, KeptAnswer, Reservation};
use open_cowork_providers::time::Timestamp;

/// What is asked for.
pub(crate) struct Wish<'a> {
    pub(crate) fingerprint: &'a str,
    pub(crate) token: i64,
    pub(crate) now: Timestamp,
    pub(crate) expires: Timestamp,
    pub(crate) abandoned_after_ms: u64,
}

/// A reservation that nobody guesses and that never repeats.
pub(crate) fn random() -> Result<i64, StoreError> {
    let random = getrandom::u64().map_err(|_| {
        StoreError::Unavailable("This machine gives no random numbers now; try again.".to_owned())
    })?;
    Ok((random >> 1) as i64)
}

pub(crate) async fn reserve(
    connection: &mut Connection,
    scope: &IdempotencyScope,
    wish: &Wish<'_>,
) -> Result<Reservation, sqlx::Error> {
    let tenant_no = match owner::tenant_no(connection, &scope.tenant_id).await? {
        Some(tenant_no) => tenant_no,
        None => owner::tenant_no_or_new(connection, &scope.tenant_id).await?,
    };
    let insert = "INSERT INTO idempotency_keys (tenant_no, principal, route, client_key, fingerprint, \
                  reservation, reserved_ms, expires_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
                  ON CONFLICT DO NOTHING";
    let (now, expires) = (wish.now.as_millisecond(), wish.expires.as_millisecond());
    let made = connection
        .query(insert)
        .bind(tenant_no)
        .bind(scope.principal.as_str())
        .bind(scope.route.as_str())
        .bind(scope.key.as_str())
        .bind(wish.fingerprint)
        .bind(wish.token)
        .bind(now)
        .bind(expires)
        .execute()
        .await?;
    let mine = Reservation::Reserved(wish.token.unsigned_abs());
    if made > 0 {
        return Ok(mine);
    }
    let select = "SELECT fingerprint, reserved_ms, expires_ms, status, content_type, body FROM idempotency_keys \
                  WHERE tenant_no = $1 AND principal = $2 AND route = $3 AND client_key = $4";
    let found = connection
        .select_for_update(select, "idempotency_keys")
        .bind(tenant_no)
        .bind(scope.principal.as_str())
        .bind(scope.route.as_str())
        .bind(scope.key.as_str())
        .fetch_one()
        .await?;
    let patience = i64::try_from(wish.abandoned_after_ms).unwrap_or(i64::MAX);
    let done = found.optional_int(3)?.is_some();
    let abandoned = !done && now.saturating_sub(found.int(1)?) >= patience;
    let over = found.int(2)? <= now;
    if !over && found.text(0)? != wish.fingerprint {
        return Ok(Reservation::OtherRequest);
    }
    if !over && done {
        return Ok(Reservation::Done(kept(&found)?));
    }
    if !over && !abandoned {
        return Ok(Reservation::InProgress);
    }
    let update = "UPDATE idempotency_keys SET fingerprint = $5, reservation = $6, reserved_ms = $7, \
                  expires_ms = $8, status = NULL, content_type = NULL, body = NULL \
                  WHERE tenant_no = $1 AND principal = $2 AND route = $3 AND client_key = $4";
    connection
        .query(update)
        .bind(tenant_no)
        .bind(scope.principal.as_str())
        .bind(scope.route.as_str())
        .bind(scope.key.as_str())
        .bind(wish.fingerprint)
        .bind(wish.token)
        .bind(now)
        .bind(expires)
        .execute()
        .await?;
    Ok(mine)
}

fn kept(row: &Row) -> Result<KeptAnswer, sqlx::Error> {
    let status = row.optional_int(3)?.unwrap_or_default();
    Ok(KeptAnswer {
        status: u16::try_from(status).map_err(|_| undecodable(3))?,
        content_type: row.optional_text(4)?,
        body: row.optional_bytes(5)?.unwrap_or_default().to_vec(),
    })
}

pub(crate) async fn complete(
    connection: &mut Connection,
    scope: &IdempotencyScope,
    reservation: u64,
    answer: &KeptAnswer,
) -> Result<(), sqlx::Error> {
    let update = "UPDATE idempotency_keys SET status = $6, content_type = $7, body = $8 \
                  WHERE tenant_no = (SELECT tenant_no FROM tenants WHERE tenant_id = $1) AND principal = $2 \
                  AND route = $3 AND client_key = $4 AND reservation = $5 AND status IS NULL";
    connection
        .query(update)
        .bind(scope.tenant_id.as_str())
        .bind(scope.principal.as_str())
        .bind(scope.route.as_str())
        .bind(scope.key.as_str())
        .bind(i64::try_from(reservation).unwrap_or(-1))
        .bind(i64::from(answer.status))
        .bind(answer.content_type.as_deref())
        .bind(answer.body.clone())
        .execute()
        .await?;
    Ok(())
}

pub(crate) async fn release(
    connection: &mut Connection,
    scope: &IdempotencyScope,
    reservation: u64,
) -> Result<(), sqlx::Error> {
    let delete = "DELETE FROM idempotency_keys \
                  WHERE tenant_no = (SELECT tenant_no FROM tenants WHERE tenant_id = $1) AND principal = $2 \
                  AND route = $3 AND client_key = $4 AND reservation = $5 AND status IS NULL";
    connection
        .query(delete)
        .bind(scope.tenant_id.as_str())
        .bind(scope.principal.as_str())
        .bind(scope.route.as_str())
        .bind(scope.key.as_str())
        .bind(i64::try_from(reservation).unwrap_or(-1))
        .execute()
        .await?;
    Ok(())
}
