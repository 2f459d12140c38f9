//! Who asks, and the port that finds out (03 §6).

use crate::error::ApiError;
use crate::reply::Answer;
use async_trait::async_trait;
use axum::http::{HeaderMap, HeaderValue, Method, Uri};
use open_cowork_contracts::access::{AuthSource, BuiltInRole, Permission};
use open_cowork_contracts::{TenantId, UserId};
use open_cowork_policy::capability::{self, CustomRole};
use open_cowork_providers::store::Scope;
use open_cowork_providers::time::Timestamp;
use std::net::IpAddr;
use std::sync::Arc;

/// Who asks, as everything behind the pipeline sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Principal {
    /// Tenant.
    pub tenant_id: TenantId,
    /// Its name.
    pub tenant_name: Option<String>,
    /// Organisation; nearly always the tenant's id.
    pub org_id: String,
    /// User inside the tenant: owner of sessions.
    pub user_id: UserId,
    /// Account behind the user.
    pub account_id: String,
    /// Address.
    pub email: String,
    /// How they signed in.
    pub source: AuthSource,
    /// Built-in role; `None`: not resolved yet.
    pub role: Option<BuiltInRole>,
    /// Custom role by its key; `Some("")` stands for an invalid one, which denies.
    pub custom_role_key: Option<String>,
    /// Resolved permissions; `None`: not resolved yet.
    pub permissions: Option<Vec<Permission>>,
    /// Signed in through the organisation's single sign-on.
    pub sso_verified: bool,
    /// API token.
    pub token_id: Option<String>,
    /// Its scopes, as stored.
    pub token_scopes: Vec<String>,
    /// Managed worker behind a worker credential.
    pub worker_id: Option<String>,
    /// The browser session, when a cookie says who asks: CSRF is checked, and logout ends it.
    pub browser_session: Option<BrowserSession>,
}

/// A browser's session.
#[derive(Clone, PartialEq, Eq)]
pub struct BrowserSession {
    /// Server-side id.
    pub id: String,
    /// Token that mutations repeat in `X-CSRF-Token`.
    pub csrf: String,
    /// ISO-8601.
    pub expires_at: String,
}

impl std::fmt::Debug for BrowserSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BrowserSession([hidden])")
    }
}

impl Principal {
    /// The fixed local owner of the mode `none` (03 §6.1).
    pub fn local_owner() -> Self {
        Principal {
            tenant_id: "default".into(),
            tenant_name: Some("Default".into()),
            org_id: "default".into(),
            user_id: "local-user".into(),
            account_id: "local-user".into(),
            email: "local@example.test".into(),
            source: AuthSource::Local,
            role: Some(BuiltInRole::Owner),
            custom_role_key: None,
            permissions: Some(Permission::ALL.to_vec()),
            sso_verified: false,
            token_id: None,
            token_scopes: Vec::new(),
            worker_id: None,
            browser_session: None,
        }
    }

    /// The owner of this principal's sessions and workspace stream.
    pub fn scope(&self) -> Scope {
        Scope {
            tenant_id: self.tenant_id.clone(),
            user_id: self.user_id.clone(),
        }
    }

    /// The same for the capability policy.
    pub fn access(&self) -> capability::Principal {
        let custom = match self.custom_role_key.as_deref() {
            None => CustomRole::None,
            Some(key) if key.trim().is_empty() => CustomRole::Invalid,
            Some(_) => CustomRole::Assigned,
        };
        capability::Principal::new(self.source.as_str(), &self.token_scopes).with_account(
            self.role,
            custom,
            self.permissions.clone(),
        )
    }
}

/// What an authenticator sees of a request.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// Method.
    pub method: &'a Method,
    /// Path and query.
    pub uri: &'a Uri,
    /// Headers.
    pub headers: &'a HeaderMap,
    /// The other end of the socket.
    pub peer: IpAddr,
    /// The client's address, behind trusted proxies (03 §5.4).
    pub source: IpAddr,
}

/// Somebody who is known. Cheap to clone, so that an authenticator can keep it.
#[derive(Clone, Debug)]
pub struct Authenticated {
    /// Who.
    pub principal: Arc<Principal>,
    /// The same for the capability policy, made once.
    pub access: Arc<capability::Principal>,
    /// Cookies that the answer renews.
    pub set_cookies: Vec<HeaderValue>,
    /// The body that was signed: a body with another hash is 401.
    pub body_sha256: Option<[u8; 32]>,
    /// When the credential ends; a stream that it opened ends then.
    pub expires_at: Option<Timestamp>,
}

impl Authenticated {
    /// That principal, without anything special.
    pub fn new(principal: Principal) -> Self {
        Authenticated {
            access: Arc::new(principal.access()),
            principal: Arc::new(principal),
            set_cookies: Vec::new(),
            body_sha256: None,
            expires_at: None,
        }
    }
}

/// Tells who asks. The pipeline calls the methods in this order; `authenticate` is on the hot path of every
/// request, so implementations remember what they verified and forget it on
/// [`open_cowork_providers::bus::Topic::Credentials`].
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// Who asks (03 §6.1): cookie, then bearer, then the mode; role and permissions are those of the live
    /// membership. Reads only: a request that will be denied leaves no row behind.
    ///
    /// # Errors
    /// 401 when nobody is behind it, 403 when membership or organisation is not active, 429 under back-off.
    async fn authenticate(&self, incoming: Incoming<'_>) -> Result<Authenticated, ApiError>;

    /// The CSRF token of mutations with a cookie session (03 §6.4).
    ///
    /// # Errors
    /// 403 when it is missing or wrong.
    fn check_csrf(&self, _incoming: Incoming<'_>, _who: &Authenticated) -> Result<(), ApiError> {
        Ok(())
    }

    /// Called after the capability policy allowed: the first use makes tenant, organisation, account and
    /// membership as the sign-up mode permits (03 §6.9).
    ///
    /// # Errors
    /// 403 when the mode doesn't permit it.
    async fn admit(&self, _who: &Authenticated) -> Result<(), ApiError> {
        Ok(())
    }

    /// Whether what let this principal in still holds; asked while a stream is open (03 §12 #6).
    ///
    /// # Errors
    /// 503 when nobody knows now: the stream stays open.
    async fn still_valid(&self, _who: &Authenticated) -> Result<bool, ApiError> {
        Ok(true)
    }

    /// The client's address: the other end of the socket, unless a trusted proxy says whose it passes on (03 §5.4).
    fn source(&self, peer: IpAddr, _headers: &HeaderMap) -> IpAddr {
        peer
    }

    /// Answers the routes below `/auth` and the callback of the sign-in (03 §6.4); 404 for those that the mode
    /// doesn't have.
    ///
    /// # Errors
    /// As each route says.
    async fn sign_in(&self, incoming: Incoming<'_>) -> Answer {
        let _ = incoming;
        Err(ApiError::not_found("Not found."))
    }

    /// Where a browser signs in, if it can.
    fn login_path(&self) -> Option<&str> {
        None
    }

    /// True when no credential is asked for: the pipeline then refuses what a foreign web page could send.
    fn is_open(&self) -> bool {
        false
    }
}

/// The mode `none`: everybody is the fixed local owner.
#[derive(Clone, Debug)]
pub struct LocalOwner {
    who: Authenticated,
}

impl Default for LocalOwner {
    fn default() -> Self {
        LocalOwner {
            who: Authenticated::new(Principal::local_owner()),
        }
    }
}

#[async_trait]
impl Authenticator for LocalOwner {
    async fn authenticate(&self, _incoming: Incoming<'_>) -> Result<Authenticated, ApiError> {
        Ok(self.who.clone())
    }

    fn is_open(&self) -> bool {
        true
    }
}
