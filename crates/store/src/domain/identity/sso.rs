//! Single sign-on of an organisation.

use super::people;
use crate::dialect::Connection;
use crate::domain::governance::audit::{self, Entry, from_json, json};
use crate::transaction::Stop;
use open_cowork_contracts::{JsonObject, TenantId};
use open_cowork_providers::store::identity::StoredSso;
use open_cowork_providers::store::{Stamp, StoreError};

pub(crate) async fn find(
    connection: &mut Connection,
    tenant: &TenantId,
) -> Result<Option<StoredSso>, sqlx::Error> {
    let select = "SELECT s.body, s.oidc_client_secret, s.saml_idp_certificate, s.scim_token_hash \
                  FROM single_sign_on s JOIN tenants t ON t.tenant_no = s.tenant_no WHERE t.tenant_id = $1";
    let row = connection.query(select).bind(tenant.as_str());
    let Some(row) = row.fetch_optional().await? else {
        return Ok(None);
    };
    Ok(Some(StoredSso {
        config: from_json(&row, 0)?,
        oidc_client_secret: row.optional_text(1)?,
        saml_idp_certificate: row.optional_text(2)?,
        scim_token_hash: row.optional_text(3)?,
    }))
}

pub(crate) async fn put(
    connection: &mut Connection,
    tenant: &TenantId,
    new: &StoredSso,
    replaces: Option<&str>,
    stamp: &Stamp,
) -> Result<StoredSso, Stop> {
    let place = people::place_or_new(connection, tenant, stamp).await?;
    let before = find(connection, tenant).await?;
    let found = before
        .as_ref()
        .map(|before| before.config.updated_at.as_str());
    if found != replaces {
        return Err(StoreError::Conflict(
            "The single sign-on was changed by somebody else at the same time; read it again."
                .to_owned(),
        )
        .into());
    }
    let mut stored = new.clone();
    stored.config.org_id = place.org.clone();
    stored.config.has_oidc_client_secret = new.oidc_client_secret.is_some();
    stored.config.has_saml_idp_certificate = new.saml_idp_certificate.is_some();
    stored.config.has_scim_token = new.scim_token_hash.is_some();
    stored.config.updated_at = super::later(stamp, found);
    stored.config.created_at = match before {
        Some(before) => before.config.created_at,
        None => stored.config.updated_at.clone(),
    };
    let upsert = "INSERT INTO single_sign_on (tenant_no, body, oidc_client_secret, saml_idp_certificate, \
                  scim_token_hash) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant_no) DO UPDATE SET \
                  body = excluded.body, oidc_client_secret = excluded.oidc_client_secret, \
                  saml_idp_certificate = excluded.saml_idp_certificate, \
                  scim_token_hash = excluded.scim_token_hash";
    connection
        .query(upsert)
        .bind(place.tenant_no)
        .bind(json(&stored.config)?)
        .bind(stored.oidc_client_secret.as_deref())
        .bind(stored.saml_idp_certificate.as_deref())
        .bind(stored.scim_token_hash.as_deref())
        .execute()
        .await?;
    let metadata = JsonObject::from_iter([
        (
            "protocol".to_owned(),
            stored.config.protocol.as_str().into(),
        ),
        ("enabled".to_owned(), stored.config.enabled.into()),
        ("enforced".to_owned(), stored.config.enforced.into()),
        ("scimEnabled".to_owned(), stored.config.scim_enabled.into()),
        (
            "verifiedDomains".to_owned(),
            stored.config.verified_domains.join(",").into(),
        ),
    ]);
    let entry = Entry {
        event_type: "sso.updated",
        target_type: "sso",
        target_id: place.org.as_str(),
        metadata,
    };
    audit::write(connection, place.key(), stamp, 1, entry).await?;
    Ok(stored)
}

pub(crate) async fn delete(
    connection: &mut Connection,
    tenant: &TenantId,
    stamp: &Stamp,
) -> Result<bool, Stop> {
    let Some(place) = people::locked_place(connection, tenant).await? else {
        return Ok(false);
    };
    let delete = "DELETE FROM single_sign_on WHERE tenant_no = $1";
    if connection
        .query(delete)
        .bind(place.tenant_no)
        .execute()
        .await?
        == 0
    {
        return Ok(false);
    }
    let entry = Entry {
        event_type: "sso.deleted",
        target_type: "sso",
        target_id: place.org.as_str(),
        metadata: JsonObject::new(),
    };
    audit::write(connection, place.key(), stamp, 1, entry).await?;
    Ok(true)
}
