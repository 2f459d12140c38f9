//! Organisations, accounts and memberships.

use super::roles;
use crate::dialect::{Connection, Row};
use crate::domain::governance::audit::{self, Entry, from_json, json, name};
use crate::owner;
use crate::transaction::Stop;
use open_cowork_contracts::access::{BuiltInRole, MembershipStatus, Permission};
use open_cowork_contracts::api::admin::Member;
use open_cowork_contracts::api::identity::{Account, Membership, ORG_ACTIVE, Org};
use open_cowork_contracts::{AccountId, JsonObject, OrgId, TenantId};
use open_cowork_providers::store::identity::{
    Bootstrap, DEFAULT_LIMIT, Invitation, MAX_LIMIT, MemberQuery, PrincipalLookup,
    PrincipalMembership,
};
use open_cowork_providers::store::keyset::{List, Page, page_size};
use open_cowork_providers::store::{Stamp, StoreError};

/// A tenant's number and its organisation's id: what every change needs.
pub(crate) struct Place {
    pub(crate) tenant_no: i64,
    pub(crate) org: OrgId,
}

impl Place {
    pub(crate) fn key(&self) -> (i64, &OrgId) {
        (self.tenant_no, &self.org)
    }
}

/// The place of a tenant that has an organisation, its row locked until the end of the transaction.
pub(crate) async fn locked_place(
    connection: &mut Connection,
    tenant: &TenantId,
) -> Result<Option<Place>, sqlx::Error> {
    let select = "SELECT t.tenant_no, o.org_id FROM tenants t JOIN orgs o ON o.tenant_no = t.tenant_no \
                  WHERE t.tenant_id = $1";
    let row = connection
        .select_for_update(select, "t")
        .bind(tenant.as_str());
    row.fetch_optional()
        .await?
        .map(|row| place_of(&row))
        .transpose()
}

/// The same for reading.
pub(crate) async fn place(
    connection: &mut Connection,
    tenant: &TenantId,
) -> Result<Option<Place>, sqlx::Error> {
    let select = "SELECT t.tenant_no, o.org_id FROM tenants t JOIN orgs o ON o.tenant_no = t.tenant_no \
                  WHERE t.tenant_id = $1";
    let row = connection.query(select).bind(tenant.as_str());
    row.fetch_optional()
        .await?
        .map(|row| place_of(&row))
        .transpose()
}

fn place_of(row: &Row) -> Result<Place, sqlx::Error> {
    Ok(Place {
        tenant_no: row.int(0)?,
        org: row.text(1)?.into(),
    })
}

/// The place of a tenant, made if it has none yet: with an organisation of the same id and name.
pub(crate) async fn place_or_new(
    connection: &mut Connection,
    tenant: &TenantId,
    stamp: &Stamp,
) -> Result<Place, sqlx::Error> {
    if let Some(place) = locked_place(connection, tenant).await? {
        return Ok(place);
    }
    let org = OrgId::new(tenant.as_str());
    make_org(connection, tenant, org, tenant.as_str(), stamp).await
}

async fn make_org(
    connection: &mut Connection,
    tenant: &TenantId,
    org: OrgId,
    org_name: &str,
    stamp: &Stamp,
) -> Result<Place, sqlx::Error> {
    let tenant_no = owner::tenant_no_or_new(connection, tenant).await?;
    // Somebody else may have made it while the lock was waited for.
    if let Some(place) = place(connection, tenant).await? {
        return Ok(place);
    }
    let record = Org {
        org_id: org.clone(),
        tenant_id: tenant.clone(),
        name: org_name.to_owned(),
        plan_key: None,
        status: ORG_ACTIVE.to_owned(),
        created_at: stamp.iso(),
        updated_at: stamp.iso(),
    };
    connection
        .query("INSERT INTO orgs (tenant_no, org_id, body) VALUES ($1, $2, $3)")
        .bind(tenant_no)
        .bind(org.as_str())
        .bind(json(&record)?)
        .execute()
        .await?;
    let place = Place { tenant_no, org };
    let mut first = stamp.clone();
    first.audit_id = format!("{}:org", stamp.audit_id);
    let entry = Entry {
        event_type: "org.created",
        target_type: "org",
        target_id: place.org.as_str(),
        metadata: JsonObject::new(),
    };
    audit::write(connection, place.key(), &first, 1, entry).await?;
    Ok(place)
}

pub(crate) async fn org(
    connection: &mut Connection,
    tenant: &TenantId,
) -> Result<Option<Org>, sqlx::Error> {
    let select = "SELECT o.body FROM tenants t JOIN orgs o ON o.tenant_no = t.tenant_no \
                  WHERE t.tenant_id = $1";
    let row = connection.query(select).bind(tenant.as_str());
    row.fetch_optional()
        .await?
        .map(|row| from_json(&row, 0))
        .transpose()
}

pub(crate) async fn bootstrap(
    connection: &mut Connection,
    new: &Bootstrap,
    stamp: &Stamp,
) -> Result<PrincipalMembership, Stop> {
    let place = match locked_place(connection, &new.tenant_id).await? {
        Some(place) => place,
        None => {
            let org = new.org_id.clone();
            let org = org.unwrap_or_else(|| OrgId::new(new.tenant_id.as_str()));
            if !new.create_membership {
                return Err(not_a_member().into());
            }
            make_org(connection, &new.tenant_id, org, &new.tenant_name, stamp).await?
        }
    };
    let account = account_or_new(connection, new, stamp).await?;
    let membership = membership(connection, &place, &account.account_id).await?;
    match membership {
        None if !new.create_membership => return Err(not_a_member().into()),
        None => {
            let id = &account.account_id;
            let status = MembershipStatus::Active;
            add_membership(connection, &place, id, new.role, status, stamp).await?;
        }
        Some(invited) if invited.status == MembershipStatus::Invited && new.accept_invite => {
            activate(connection, &place, &account.account_id, stamp).await?;
        }
        Some(_) => {}
    }
    let select = "SELECT o.body FROM orgs o WHERE o.tenant_no = $1";
    let org = connection.query(select).bind(place.tenant_no);
    let org = from_json(&org.fetch_one().await?, 0)?;
    let membership = self::membership(connection, &place, &account.account_id).await?;
    let membership = membership.ok_or(sqlx::Error::RowNotFound)?;
    Ok(with_permissions(connection, &place, org, account, membership).await?)
}

fn not_a_member() -> StoreError {
    StoreError::Forbidden(
        "You are not a member of this organisation; ask one of its administrators to invite you."
            .to_owned(),
    )
}

async fn with_permissions(
    connection: &mut Connection,
    place: &Place,
    org: Org,
    account: Account,
    membership: Membership,
) -> Result<PrincipalMembership, sqlx::Error> {
    let custom_permissions = match &membership.custom_role_key {
        Some(key) => Some(roles::permissions(connection, place.tenant_no, key).await?),
        None => None,
    };
    Ok(PrincipalMembership {
        org,
        account,
        membership,
        custom_permissions,
    })
}

macro_rules! account_where {
    ($condition:literal) => {
        concat!(
            "SELECT a.account_id, a.idp_subject, a.email, a.display_name, a.created_at, a.updated_at ",
            "FROM accounts a WHERE ",
            $condition
        )
    };
}

fn account(row: &Row) -> Result<Account, sqlx::Error> {
    Ok(Account {
        account_id: row.text(0)?.into(),
        idp_subject: row.optional_text(1)?,
        email: row.text(2)?,
        display_name: row.optional_text(3)?,
        created_at: row.text(4)?,
        updated_at: row.text(5)?,
    })
}

async fn find_account(
    connection: &mut Connection,
    select: &'static str,
    value: Option<&str>,
) -> Result<Option<Account>, sqlx::Error> {
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let row = connection
        .query(select)
        .bind(value)
        .fetch_optional()
        .await?;
    row.map(|row| account(&row)).transpose()
}

const BY_ID: &str = account_where!("a.account_id = $1");
const BY_SUBJECT: &str = account_where!("a.idp_subject = $1");
const BY_EMAIL: &str = account_where!("a.email = $1");

/// By subject, then e-mail, then id (04 §1.1).
async fn account_or_new(
    connection: &mut Connection,
    new: &Bootstrap,
    stamp: &Stamp,
) -> Result<Account, sqlx::Error> {
    let email = new.email.to_lowercase();
    let now = stamp.iso();
    for (select, value) in [
        (BY_SUBJECT, new.idp_subject.as_deref()),
        (BY_EMAIL, Some(email.as_str())),
        (BY_ID, Some(new.account_id.as_str())),
    ] {
        let Some(mut found) = find_account(connection, select, value).await? else {
            continue;
        };
        let gains_subject = found.idp_subject.is_none() && new.idp_subject.is_some();
        let gains_name = found.display_name.is_none() && new.display_name.is_some();
        if gains_subject || gains_name {
            if gains_subject {
                found.idp_subject.clone_from(&new.idp_subject);
            }
            if gains_name {
                found.display_name.clone_from(&new.display_name);
            }
            found.updated_at = now;
            let update = "UPDATE accounts SET idp_subject = $2, display_name = $3, search = $4, updated_at = $5 \
                          WHERE account_id = $1";
            connection
                .query(update)
                .bind(found.account_id.as_str())
                .bind(found.idp_subject.as_deref())
                .bind(found.display_name.as_deref())
                .bind(search_text(&found.email, found.display_name.as_deref()))
                .bind(found.updated_at.as_str())
                .execute()
                .await?;
        }
        return Ok(found);
    }
    let made = Account {
        account_id: new.account_id.clone(),
        idp_subject: new.idp_subject.clone(),
        email,
        display_name: new.display_name.clone(),
        created_at: now.clone(),
        updated_at: now,
    };
    insert_account(connection, &made).await?;
    Ok(made)
}

/// Two at once collide on a unique key; the transaction is then done again and finds the other's.
async fn insert_account(connection: &mut Connection, account: &Account) -> Result<(), sqlx::Error> {
    let insert = "INSERT INTO accounts (account_id, idp_subject, email, display_name, search, created_at, \
                  updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    connection
        .query(insert)
        .bind(account.account_id.as_str())
        .bind(account.idp_subject.as_deref())
        .bind(account.email.as_str())
        .bind(account.display_name.as_deref())
        .bind(search_text(&account.email, account.display_name.as_deref()))
        .bind(account.created_at.as_str())
        .bind(account.updated_at.as_str())
        .execute()
        .await?;
    Ok(())
}

fn search_text(email: &str, display_name: Option<&str>) -> String {
    format!("{email}\u{1f}{}", display_name.unwrap_or_default()).to_lowercase()
}

fn membership_of(row: &Row, from: usize, org: &OrgId) -> Result<Membership, sqlx::Error> {
    Ok(Membership {
        org_id: org.clone(),
        account_id: row.text(from)?.into(),
        role: name(row, from + 1, BuiltInRole::parse)?,
        custom_role_key: row.optional_text(from + 2)?,
        status: name(row, from + 3, MembershipStatus::parse)?,
        created_at: row.text(from + 4)?,
        updated_at: row.text(from + 5)?,
    })
}

pub(crate) async fn membership(
    connection: &mut Connection,
    place: &Place,
    account: &AccountId,
) -> Result<Option<Membership>, sqlx::Error> {
    let select = "SELECT account_id, role, custom_role_key, status, created_at, updated_at FROM memberships \
                  WHERE tenant_no = $1 AND account_id = $2";
    let row = connection
        .query(select)
        .bind(place.tenant_no)
        .bind(account.as_str());
    let row = row.fetch_optional().await?;
    row.map(|row| membership_of(&row, 0, &place.org))
        .transpose()
}

async fn add_membership(
    connection: &mut Connection,
    place: &Place,
    account: &AccountId,
    role: BuiltInRole,
    status: MembershipStatus,
    stamp: &Stamp,
) -> Result<(), sqlx::Error> {
    let insert = "INSERT INTO memberships (tenant_no, account_id, role, status, created_at, updated_at) \
                  VALUES ($1, $2, $3, $4, $5, $5)";
    connection
        .query(insert)
        .bind(place.tenant_no)
        .bind(account.as_str())
        .bind(role.as_str())
        .bind(status.as_str())
        .bind(stamp.iso())
        .execute()
        .await?;
    let entry = Entry {
        event_type: "membership.created",
        target_type: "membership",
        target_id: account.as_str(),
        metadata: JsonObject::from_iter([
            ("role".to_owned(), role.as_str().into()),
            ("status".to_owned(), status.as_str().into()),
        ]),
    };
    audit::write(connection, place.key(), stamp, 1, entry).await
}

async fn activate(
    connection: &mut Connection,
    place: &Place,
    account: &AccountId,
    stamp: &Stamp,
) -> Result<(), sqlx::Error> {
    let update = "UPDATE memberships SET status = 'active', updated_at = $3 \
                  WHERE tenant_no = $1 AND account_id = $2 AND status = 'invited'";
    connection
        .query(update)
        .bind(place.tenant_no)
        .bind(account.as_str())
        .bind(stamp.iso())
        .execute()
        .await?;
    let entry = Entry {
        event_type: "membership.updated",
        target_type: "membership",
        target_id: account.as_str(),
        metadata: JsonObject::from_iter([("status".to_owned(), "active".into())]),
    };
    audit::write(connection, place.key(), stamp, 1, entry).await
}

pub(crate) async fn principal(
    connection: &mut Connection,
    lookup: &PrincipalLookup,
) -> Result<Option<PrincipalMembership>, sqlx::Error> {
    // By tenant, or by the organisation's own id.
    let select = "SELECT t.tenant_no, o.org_id, o.body, 0 AS rank FROM tenants t \
                  JOIN orgs o ON o.tenant_no = t.tenant_no WHERE t.tenant_id = $1 \
                  UNION ALL SELECT o.tenant_no, o.org_id, o.body, 1 FROM orgs o WHERE o.org_id = $1 \
                  ORDER BY rank";
    let rows = connection.query(select).bind(lookup.tenant_id.as_str());
    let Some(row) = rows.fetch_all().await?.into_iter().next() else {
        return Ok(None);
    };
    let place = place_of(&row)?;
    let org: Org = from_json(&row, 2)?;
    let email = lookup.email.as_deref().map(str::to_lowercase);
    let id = lookup.account_id.as_ref().map(|id| id.as_str());
    for (select, value) in [
        (BY_ID, id),
        (BY_SUBJECT, lookup.idp_subject.as_deref()),
        (BY_EMAIL, email.as_deref()),
        (BY_ID, lookup.user_id.as_deref()),
    ] {
        let Some(account) = find_account(connection, select, value).await? else {
            continue;
        };
        let membership = membership(connection, &place, &account.account_id).await?;
        return match membership {
            Some(membership) => with_permissions(connection, &place, org, account, membership)
                .await
                .map(Some),
            None => Ok(None),
        };
    }
    Ok(None)
}

fn member_of(row: &Row, org: &OrgId) -> Result<Member, sqlx::Error> {
    let membership = membership_of(row, 0, org)?;
    Ok(Member {
        org_id: membership.org_id,
        account_id: membership.account_id,
        email: row.text(6)?,
        display_name: row.optional_text(7)?,
        role: membership.role,
        custom_role_key: membership.custom_role_key,
        status: membership.status,
        created_at: membership.created_at,
        updated_at: membership.updated_at,
    })
}

pub(crate) async fn member(
    connection: &mut Connection,
    place: &Place,
    account: &AccountId,
) -> Result<Option<Member>, sqlx::Error> {
    let select = "SELECT m.account_id, m.role, m.custom_role_key, m.status, m.created_at, m.updated_at, \
                  a.email, a.display_name FROM memberships m JOIN accounts a ON a.account_id = m.account_id \
                  WHERE m.tenant_no = $1 AND m.account_id = $2";
    let row = connection
        .query(select)
        .bind(place.tenant_no)
        .bind(account.as_str());
    let row = row.fetch_optional().await?;
    row.map(|row| member_of(&row, &place.org)).transpose()
}

pub(crate) async fn page(
    connection: &mut Connection,
    tenant: &TenantId,
    query: &MemberQuery,
) -> Result<Page<Member>, Stop> {
    let text = query.text.as_deref().map(str::trim);
    let needle = text.filter(|text| !text.is_empty()).map(str::to_lowercase);
    let list = List::new("members", &(tenant, &needle));
    let start = list.start::<2>(query.cursor.as_deref())?;
    let Some(place) = place(connection, tenant).await? else {
        return Ok(Page::default());
    };
    let size = page_size(query.limit, DEFAULT_LIMIT, MAX_LIMIT);
    let [time, id] = match start {
        Some([time, id]) => [Some(time), Some(id)],
        None => [None, None],
    };
    // REPLACE says whether a text holds another without any wildcard, on both databases.
    let select = "SELECT m.account_id, m.role, m.custom_role_key, m.status, m.created_at, m.updated_at, \
                  a.email, a.display_name FROM memberships m JOIN accounts a ON a.account_id = m.account_id \
                  WHERE m.tenant_no = $1 \
                  AND ($2 IS NULL OR m.updated_at < $2 OR (m.updated_at = $2 AND m.account_id > $3)) \
                  AND ($4 IS NULL OR REPLACE(a.search, $4, '') <> a.search) \
                  ORDER BY m.updated_at DESC, m.account_id LIMIT $5";
    let rows = connection
        .query(select)
        .bind(place.tenant_no)
        .bind(time)
        .bind(id)
        .bind(needle)
        .bind(size as i64 + 1)
        .fetch_all()
        .await?;
    let members = rows
        .iter()
        .map(|row| member_of(row, &place.org))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(list.page(members, size, |member| {
        [member.updated_at.clone(), member.account_id.to_string()]
    }))
}

pub(crate) async fn invite(
    connection: &mut Connection,
    tenant: &TenantId,
    invitation: &Invitation,
    stamp: &Stamp,
) -> Result<Member, Stop> {
    let place = place_or_new(connection, tenant, stamp).await?;
    let rank = roles::authority(connection, &place, &stamp.actor).await?;
    rank.may_handle(invitation.role)?;
    rank.may_grant(&open_cowork_policy::role::permissions_of(invitation.role))?;
    let email = invitation.email.to_lowercase();
    let account = match find_account(connection, BY_EMAIL, Some(&email)).await? {
        Some(account) => account,
        None => {
            let account = Account {
                account_id: invitation.account_id.clone(),
                idp_subject: None,
                email,
                display_name: None,
                created_at: stamp.iso(),
                updated_at: stamp.iso(),
            };
            insert_account(connection, &account).await?;
            account
        }
    };
    let id = &account.account_id;
    match membership(connection, &place, id).await? {
        None => {
            let status = MembershipStatus::Invited;
            add_membership(connection, &place, id, invitation.role, status, stamp).await?;
        }
        Some(known) if known.status == MembershipStatus::Invited => {
            rank.may_handle(known.role)?;
            let update = "UPDATE memberships SET role = $3, updated_at = $4 \
                          WHERE tenant_no = $1 AND account_id = $2";
            connection
                .query(update)
                .bind(place.tenant_no)
                .bind(id.as_str())
                .bind(invitation.role.as_str())
                .bind(stamp.iso())
                .execute()
                .await?;
            let entry = Entry {
                event_type: "membership.updated",
                target_type: "membership",
                target_id: id.as_str(),
                metadata: JsonObject::from_iter([(
                    "role".to_owned(),
                    invitation.role.as_str().into(),
                )]),
            };
            audit::write(connection, place.key(), stamp, 1, entry).await?;
        }
        Some(known) => {
            let state = known.status.as_str();
            return Err(StoreError::Conflict(format!(
                "This person is a member already ({state}); change the membership instead."
            ))
            .into());
        }
    }
    let member = member(connection, &place, id).await?;
    Ok(member.ok_or(sqlx::Error::RowNotFound)?)
}

pub(crate) async fn accept_invite(
    connection: &mut Connection,
    tenant: &TenantId,
    account: &AccountId,
    stamp: &Stamp,
) -> Result<Option<Member>, Stop> {
    let Some(place) = locked_place(connection, tenant).await? else {
        return Ok(None);
    };
    match membership(connection, &place, account).await? {
        None => return Ok(None),
        Some(member) => match member.status {
            MembershipStatus::Active => {}
            MembershipStatus::Invited => activate(connection, &place, account, stamp).await?,
            MembershipStatus::Disabled => {
                return Err(StoreError::Forbidden(
                    "This invitation was withdrawn; ask an administrator of the organisation."
                        .to_owned(),
                )
                .into());
            }
        },
    }
    Ok(member(connection, &place, account).await?)
}

/// What a membership permits.
pub(crate) async fn effective(
    connection: &mut Connection,
    place: &Place,
    membership: &Membership,
) -> Result<Vec<Permission>, sqlx::Error> {
    if membership.status != MembershipStatus::Active {
        return Ok(Vec::new());
    }
    let custom = match &membership.custom_role_key {
        Some(key) => Some(roles::permissions(connection, place.tenant_no, key).await?),
        None => None,
    };
    Ok(open_cowork_policy::role::resolve(
        membership.role,
        custom.as_deref(),
    ))
}
