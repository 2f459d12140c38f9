//! Cookie sessions (03 §6.4, §12 #21). The cookie holds a random id, signed; everything else is kept by the server,
//! so that a logout ends the session everywhere and at once. What the store keeps is a hash of the id.

use super::cookie::{self, CSRF, SESSION, Signer};
use super::options::CookieOptions;
use crate::error::ApiError;
use crate::principal::{BrowserSession, Principal};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use open_cowork_contracts::JsonObject;
use open_cowork_contracts::api::identity::PrincipalRecord;
use open_cowork_providers::store::{ControlPlane, browser as stored};
use open_cowork_providers::time::{Timestamp, iso};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use subtle::ConstantTimeEq as _;

/// How long a session lives without use.
const LIFETIME: Duration = Duration::from_secs(8 * 60 * 60);
/// A session that is used with less than this left is renewed.
const RENEWED_BELOW: Duration = Duration::from_secs(4 * 60 * 60);
/// How long it lives at most, however much it is used.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The header that repeats the CSRF token.
const CSRF_HEADER: &str = "x-csrf-token";

/// What is kept of who logged in. Role and permissions are read from the membership each time.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Kept {
    pub(super) principal: PrincipalRecord,
    /// The provider that the login went through.
    pub(super) issuer: Option<String>,
}

/// A session that counts.
pub(super) struct Loaded {
    pub(super) kept: Kept,
    pub(super) session: BrowserSession,
    pub(super) expires_at: Timestamp,
    /// Cookies that renew it in the browser.
    pub(super) set_cookies: Vec<HeaderValue>,
}

/// Sessions of this deployment.
#[derive(Clone, Debug)]
pub(super) struct Sessions {
    signer: Signer,
    secure: bool,
}

impl Sessions {
    pub(super) fn new(options: &CookieOptions) -> Self {
        Sessions {
            signer: Signer::new(options.secret.clone()),
            secure: options.secure,
        }
    }

    pub(super) fn signer(&self) -> &Signer {
        &self.signer
    }

    pub(super) fn secure(&self) -> bool {
        self.secure
    }

    /// The ids of the session cookies whose signatures are ours.
    pub(super) fn presented<'a>(&'a self, headers: &'a HeaderMap) -> impl Iterator<Item = &'a str> {
        cookie::all(headers, SESSION).filter_map(|sealed| self.signer.open("session", sealed))
    }

    /// Begins a session; the cookies are to be set.
    pub(super) async fn begin(
        &self,
        store: &dyn ControlPlane,
        principal: &Principal,
        kept: &Kept,
        now: Timestamp,
    ) -> Result<(BrowserSession, Vec<HeaderValue>), ApiError> {
        let id = cookie::random::<32>()?;
        let expires_at = now.checked_add(LIFETIME).unwrap_or(Timestamp::MAX);
        let body = serde_json::to_value(kept).map_err(|_| ApiError::internal())?;
        let record = stored::BrowserSession {
            session_hash: hash(&id),
            tenant_id: principal.tenant_id.clone(),
            account_id: principal.account_id.as_str().into(),
            body: body.as_object().cloned().unwrap_or_else(JsonObject::new),
            created_at: now,
            expires_at,
            ends_at: now.checked_add(LONGEST).unwrap_or(Timestamp::MAX),
        };
        store.create_browser_session(&record).await?;
        let cookies = self.cookies(&id, LIFETIME)?;
        Ok((self.session(&id, expires_at), cookies))
    }

    /// The session of an id, if it counts; renewed when it is time.
    pub(super) async fn load(
        &self,
        store: &dyn ControlPlane,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<Loaded>, ApiError> {
        let hash = hash(id);
        let Some(record) = store.browser_session(&hash, now).await? else {
            return Ok(None);
        };
        let Ok(kept) = serde_json::from_value::<Kept>(record.body.into()) else {
            return Ok(None);
        };
        let mut expires_at = record.expires_at;
        let mut set_cookies = Vec::new();
        let left = expires_at.duration_since(now).unsigned_abs();
        let renewed = now.checked_add(LIFETIME).unwrap_or(Timestamp::MAX);
        let renewed = renewed.min(record.ends_at);
        if left < RENEWED_BELOW
            && renewed > expires_at
            && store.renew_browser_session(&hash, renewed, now).await?
        {
            expires_at = renewed;
            set_cookies = self.cookies(id, renewed.duration_since(now).unsigned_abs())?;
        }
        Ok(Some(Loaded {
            kept,
            session: self.session(id, expires_at),
            expires_at,
            set_cookies,
        }))
    }

    fn session(&self, id: &str, expires_at: Timestamp) -> BrowserSession {
        BrowserSession {
            id: hash(id),
            csrf: self.csrf(id),
            expires_at: iso(expires_at),
        }
    }

    /// Follows from the id, so that it needs no place of its own; it tells nothing about the id.
    fn csrf(&self, id: &str) -> String {
        self.signer.sign("csrf", id)
    }

    fn cookies(&self, id: &str, lifetime: Duration) -> Result<Vec<HeaderValue>, ApiError> {
        let sealed = self.signer.seal("session", id);
        Ok(vec![
            cookie::set(SESSION, &sealed, lifetime, true, self.secure)?,
            cookie::set(CSRF, &self.csrf(id), lifetime, false, self.secure)?,
        ])
    }

    /// `Set-Cookie` that take both cookies away.
    pub(super) fn cleared(&self) -> Result<Vec<HeaderValue>, ApiError> {
        Ok(vec![
            cookie::clear(SESSION, true, self.secure)?,
            cookie::clear(CSRF, false, self.secure)?,
        ])
    }
}

/// What the store knows a session by.
pub(super) fn hash(id: &str) -> String {
    let digest = Sha256::digest(id.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The header must repeat the token of the session, and the cookie too: another site can send neither (03 §6.4).
///
/// # Errors
/// 403.
pub(super) fn check_csrf(headers: &HeaderMap, session: &BrowserSession) -> Result<(), ApiError> {
    let is_right = |given: &str| bool::from(given.as_bytes().ct_eq(session.csrf.as_bytes()));
    let mut given = headers.get_all(CSRF_HEADER).iter();
    let header = given.next().and_then(|value| value.to_str().ok());
    let header = header.is_some_and(is_right) && given.next().is_none();
    let cookie = cookie::all(headers, CSRF).any(is_right);
    match header && cookie {
        true => Ok(()),
        false => Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "auth.csrf_invalid",
            "Cloud CSRF token is missing or invalid.",
        )),
    }
}
