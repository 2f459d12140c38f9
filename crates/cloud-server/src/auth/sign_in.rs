//! The resolver chain (03 §6.1): a cookie session, an API token, the mode. Only what would be a 401 falls through
//! to the next.

use super::back_off;
use super::browser::{self, Kept, Loaded, Sessions};
use super::options::{AuthOptions, HeaderOptions, Mode};
use super::proxy_headers::{self, Nonces, replay_window};
use super::remembered::Remembered;
use super::source::client_source;
use super::standing::{self, Admission, Claimed, Standing};
use crate::cloud::Clock;
use crate::error::ApiError;
use crate::principal::{Authenticated, Authenticator, Incoming, Principal};
use crate::reply::Answer;
use async_trait::async_trait;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use open_cowork_adapters::tokens::{TokenHasher, token_id};
use open_cowork_contracts::TenantId;
use open_cowork_contracts::access::{AuthSource, BuiltInRole};
use open_cowork_contracts::api::identity::PrincipalRecord;
use open_cowork_policy::role;
use open_cowork_providers::bus::EventBus;
use open_cowork_providers::identity_provider::{Identity, IdentityError, IdentityProvider};
use open_cowork_providers::store::ControlPlane;
use open_cowork_providers::store::browser::RateClaim;
use open_cowork_providers::store::identity::StoredToken;
use open_cowork_providers::time::{Timestamp, parse_iso};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// A token's last use is noted at most this often.
const TOUCHED_EVERY: Duration = Duration::from_secs(60);
/// Longer than that nobody waits for such a note.
const TOUCH_PATIENCE: Duration = Duration::from_secs(1);

/// What sign-in works with.
pub struct SignInParts {
    /// People, tokens, sessions, counts.
    pub store: Arc<dyn ControlPlane>,
    /// Tells of changed credentials.
    pub bus: Arc<dyn EventBus>,
    /// The time.
    pub clock: Clock,
    /// For the mode `oidc`.
    pub identity_provider: Option<Arc<dyn IdentityProvider>>,
    /// Recognises API tokens.
    pub tokens: Arc<TokenHasher>,
}

/// Sign-in of a deployment: the [`Authenticator`] of the pipeline.
pub struct SignIn {
    pub(super) options: AuthOptions,
    pub(super) parts: SignInParts,
    pub(super) sessions: Option<Sessions>,
    pub(super) spent: Nonces,
    nonces: Nonces,
    credentials: Remembered<[u8; 32], Authenticated>,
    standings: Remembered<(String, String), Arc<Standing>>,
    holding: Remembered<String, bool>,
}

impl std::fmt::Debug for SignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignIn")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl SignIn {
    /// Sign-in with these options.
    pub fn new(mut options: AuthOptions, parts: SignInParts) -> Self {
        for domain in &mut options.allowed_email_domains {
            *domain = domain.trim().to_lowercase();
        }
        SignIn {
            sessions: options.cookies.as_ref().map(Sessions::new),
            spent: Nonces::default(),
            nonces: Nonces::default(),
            credentials: Remembered::new(parts.bus.clone(), options.trust),
            standings: Remembered::new(parts.bus.clone(), options.trust),
            holding: Remembered::new(parts.bus.clone(), options.trust),
            options,
            parts,
        }
    }

    /// Who asks, by whatever signs the request in.
    pub(super) async fn who(&self, incoming: Incoming<'_>) -> Result<Authenticated, ApiError> {
        let now = (self.parts.clock)();
        if let Some(who) = self.by_cookie(incoming.headers, now).await? {
            return Ok(who);
        }
        self.without_cookie(incoming, now).await
    }

    /// Who asks, leaving cookies aside.
    pub(super) async fn without_cookie(
        &self,
        incoming: Incoming<'_>,
        now: Timestamp,
    ) -> Result<Authenticated, ApiError> {
        let bearer = bearer(incoming.headers)?;
        let key = bearer.map(|token| credential_key(b"bearer", token));
        if let Some(known) = key.and_then(|key| self.credentials.get(&key, now)) {
            return Ok(known);
        }
        // Only an attempt can fail; a request without any credential guesses nothing.
        let by_headers = matches!(self.options.mode, Mode::Header(_))
            && proxy_headers::present(incoming.headers);
        let attempt = bearer.is_some() || by_headers;
        let counted = self.options.back_off.filter(|_| attempt);
        let scopes = match counted {
            Some(_) => back_off::scopes(incoming.source, incoming.headers),
            None => Vec::new(),
        };
        let store = self.parts.store.as_ref();
        if counted.is_some() {
            back_off::check(store, &scopes, now).await?;
        }
        let found = self.chain(incoming, bearer, key, now).await;
        if let (Some(rule), Err(error)) = (counted, &found)
            && error.status == axum::http::StatusCode::UNAUTHORIZED
        {
            back_off::record(store, &scopes, rule, now).await;
        }
        found
    }

    /// API token, then the mode. A managed worker's credential (`ocw_`) is known to nobody yet and falls through.
    async fn chain(
        &self,
        incoming: Incoming<'_>,
        bearer: Option<&str>,
        key: Option<[u8; 32]>,
        now: Timestamp,
    ) -> Result<Authenticated, ApiError> {
        let edition = self.credentials.edition();
        let mut found = match bearer {
            Some(token) => self.by_api_token(token, now).await?,
            None => None,
        };
        if found.is_none() {
            match &self.options.mode {
                Mode::None => return self.local_owner(now).await,
                Mode::Header(options) => return self.by_headers(options, incoming, now).await,
                Mode::Oidc => found = Some(self.by_identity_token(bearer, now).await?),
            }
        }
        let who = found.ok_or_else(not_signed_in)?;
        if let Some(key) = key {
            let tenant = who.principal.tenant_id.clone();
            self.credentials
                .put(key, tenant, who.clone(), edition, who.expires_at, now);
        }
        Ok(who)
    }

    async fn local_owner(&self, now: Timestamp) -> Result<Authenticated, ApiError> {
        let owner = Principal::local_owner();
        let (tenant_id, tenant_name) = match &self.options.single_org {
            Some((id, name)) => (id.clone(), name.clone()),
            None => ("default".to_owned(), "Default".to_owned()),
        };
        let claimed = Claimed {
            tenant_id,
            tenant_name,
            account_id: owner.account_id,
            email: owner.email,
            email_is_proved: false,
            role: BuiltInRole::Owner,
            source: AuthSource::Local,
            issuer: None,
        };
        self.stand(claimed, now).await
    }

    async fn by_headers(
        &self,
        options: &HeaderOptions,
        incoming: Incoming<'_>,
        now: Timestamp,
    ) -> Result<Authenticated, ApiError> {
        if !proxy_headers::present(incoming.headers) && options.secret.is_some() {
            return Err(not_signed_in());
        }
        let named = proxy_headers::verify(
            options,
            incoming.method,
            incoming.uri,
            incoming.headers,
            now,
        )?;
        if let Some(nonce) = &named.nonce {
            self.claim_nonce(nonce, options, incoming, now).await?;
        }
        let (tenant_id, tenant_name) = self.tenant(named.tenant_id, named.tenant_name);
        let claimed = Claimed {
            tenant_id,
            tenant_name,
            account_id: named.user_id,
            email: named.email,
            email_is_proved: named.signed,
            role: named.role,
            source: AuthSource::Header,
            issuer: None,
        };
        let mut who = self.stand(claimed, now).await?;
        let plain = who
            .principal
            .role
            .is_none_or(|role| role == BuiltInRole::Member)
            && who.principal.custom_role_key.is_none();
        if !named.signed && !plain {
            return Err(ApiError::unauthenticated(
                "Owners, admins and custom roles need signed headers.",
            ));
        }
        who.body_sha256 = named.body_sha256;
        Ok(who)
    }

    /// Each process remembers the nonces that it saw. What changes something is claimed for all processes: a reader
    /// who repeats a read learns what they have read before.
    async fn claim_nonce(
        &self,
        nonce: &str,
        options: &HeaderOptions,
        incoming: Incoming<'_>,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let window = replay_window(options);
        let mut fresh = self.nonces.take(nonce, window, now)?;
        if fresh && self.options.shared_store && !incoming.method.is_safe() {
            let claim = RateClaim {
                bucket: format!("nonce:{}", browser::hash(nonce)),
                capacity: 1,
                window_ms: u64::try_from(window.as_millis()).unwrap_or(u64::MAX).max(1),
                cost: 1,
            };
            let verdicts = self.parts.store.take_tokens(&[claim], now).await?;
            fresh = verdicts.first().is_some_and(|verdict| verdict.allowed);
        }
        match fresh {
            true => Ok(()),
            false => Err(ApiError::unauthenticated(
                "This signed request came before; sign it again with a new nonce.",
            )),
        }
    }

    async fn by_identity_token(
        &self,
        bearer: Option<&str>,
        now: Timestamp,
    ) -> Result<Authenticated, ApiError> {
        let (Some(provider), Some(token)) = (&self.parts.identity_provider, bearer) else {
            return Err(not_signed_in());
        };
        let identity = provider.verify(&SecretString::from(token), now).await?;
        self.of_identity(identity, now).await
    }

    /// Who a person of the provider is here (03 §6.3).
    pub(super) async fn of_identity(
        &self,
        identity: Identity,
        now: Timestamp,
    ) -> Result<Authenticated, ApiError> {
        let ends = identity.expires_at;
        if !self.admits_domain(&identity.email) {
            return Err(ApiError::unauthenticated(
                "Addresses of this e-mail domain are not admitted here.",
            ));
        }
        let claimed = self.claimed(identity);
        let mut who = self.stand(claimed, now).await?;
        who.expires_at = Some(ends);
        Ok(who)
    }

    /// People of the provider come from these domains only, where some are listed.
    fn admits_domain(&self, email: &str) -> bool {
        let domains = &self.options.allowed_email_domains;
        let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain);
        domains.is_empty() || domains.iter().any(|listed| listed == domain)
    }

    fn claimed(&self, identity: Identity) -> Claimed {
        let domain = identity
            .email
            .rsplit_once('@')
            .map(|(_, domain)| domain.to_owned());
        let tenant_id = identity.tenant_id.or(domain).unwrap_or_default();
        let tenant_name = identity.tenant_name.unwrap_or_else(|| tenant_id.clone());
        let (tenant_id, tenant_name) = self.tenant(tenant_id, tenant_name);
        Claimed {
            tenant_id,
            tenant_name,
            account_id: account_id(&identity.issuer, &identity.subject),
            email: identity.email,
            email_is_proved: true,
            role: BuiltInRole::Member,
            source: AuthSource::User,
            issuer: Some(identity.issuer),
        }
    }

    /// The tenant of a claim; with one organisation for everybody it is always that one.
    fn tenant(&self, id: String, name: String) -> (String, String) {
        self.options.single_org.clone().unwrap_or((id, name))
    }

    /// What was claimed, with the place that the store knows.
    async fn stand(&self, claimed: Claimed, now: Timestamp) -> Result<Authenticated, ApiError> {
        let standing = self.standing(&claimed, now).await?;
        Ok(Authenticated::new(standing.principal(claimed)))
    }

    async fn standing(&self, claimed: &Claimed, now: Timestamp) -> Result<Arc<Standing>, ApiError> {
        let key = (claimed.tenant_id.clone(), claimed.account_id.clone());
        if let Some(known) = self.standings.get(&key, now) {
            return Ok(known);
        }
        let edition = self.standings.edition();
        let standing = Standing::read(self.parts.store.as_ref(), claimed).await?;
        let standing = Arc::new(standing);
        let tenant = TenantId::from(claimed.tenant_id.as_str());
        self.standings
            .put(key, tenant, Arc::clone(&standing), edition, None, now);
        Ok(standing)
    }

    /// The same principal, read again.
    pub(super) async fn again(
        &self,
        who: &Authenticated,
        now: Timestamp,
    ) -> Result<Authenticated, ApiError> {
        if who.principal.source == AuthSource::ApiToken {
            return Ok(who.clone());
        }
        let mut again = self.stand(self.as_claimed(&who.principal), now).await?;
        again.expires_at = who.expires_at;
        Ok(again)
    }

    fn as_claimed(&self, principal: &Principal) -> Claimed {
        let issuer = match (principal.source, &self.parts.identity_provider) {
            (AuthSource::User, Some(provider)) => Some(provider.issuer().to_owned()),
            _ => None,
        };
        Claimed {
            tenant_id: principal.tenant_id.to_string(),
            tenant_name: principal
                .tenant_name
                .clone()
                .unwrap_or_else(|| principal.tenant_id.to_string()),
            account_id: principal.account_id.clone(),
            email: principal.email.clone(),
            email_is_proved: principal.source == AuthSource::User,
            role: match principal.source {
                AuthSource::User => BuiltInRole::Member,
                _ => principal.role.unwrap_or(BuiltInRole::Member),
            },
            source: principal.source,
            issuer,
        }
    }

    pub(super) fn issuer_of(&self, who: &Authenticated) -> Option<String> {
        self.as_claimed(&who.principal).issuer
    }

    /// The gates alone.
    pub(super) async fn may_enter(
        &self,
        principal: &Principal,
        now: Timestamp,
    ) -> Result<Admission, ApiError> {
        if principal.source == AuthSource::Worker {
            return Ok(Admission::Member);
        }
        let standing = self.standing(&self.as_claimed(principal), now).await?;
        standing.gates(principal, &self.options)
    }

    /// The gates, and what a first use writes.
    pub(super) async fn let_in(
        &self,
        principal: &Principal,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        if self.may_enter(principal, now).await? == Admission::Member {
            return Ok(());
        }
        let store = self.parts.store.as_ref();
        let joined = standing::join(store, principal, self.options.signup, now).await;
        // Whatever came of it, what was read before is not so any more.
        self.forget(&principal.tenant_id);
        let place = joined?;
        if place.account.account_id.as_str() != principal.account_id {
            // The person had an account by another name; what was read before is not theirs.
            return Err(ApiError::unavailable(
                "auth.account_joined",
                "Your account was just connected; send the request again.",
            ));
        }
        Ok(())
    }

    pub(super) fn forget(&self, tenant: &TenantId) {
        self.credentials.forget(tenant);
        self.standings.forget(tenant);
        self.holding.forget(tenant);
    }

    async fn by_api_token(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<Option<Authenticated>, ApiError> {
        let Some(id) = token_id(token) else {
            return Ok(None);
        };
        let Some(stored) = self.parts.store.token(&id).await? else {
            return Ok(None);
        };
        let right = match TokenHasher::is_slow(&stored.hash) {
            // It must not hold up others.
            true => {
                let tokens = self.parts.tokens.clone();
                let (plain, hash) = (SecretString::from(token), stored.hash.clone());
                let checked = tokio::task::spawn_blocking(move || {
                    tokens.verify(plain.expose_secret(), &hash)
                });
                checked.await.unwrap_or(false)
            }
            false => self.parts.tokens.verify(token, &stored.hash),
        };
        if !right {
            return Ok(None);
        }
        let Some(who) = self.of_token(&stored, now) else {
            return Ok(None);
        };
        self.touch(&stored, now).await;
        Ok(Some(who))
    }

    /// The principal of a stored token, if it counts: neither revoked nor expired, and its holder is an active
    /// member.
    fn of_token(&self, stored: &StoredToken, now: Timestamp) -> Option<Authenticated> {
        let token = &stored.token;
        let expires_at = match token.expires_at.as_deref() {
            None => None,
            // An end that can't be read is over.
            Some(text) => Some(parse_iso(text)?),
        };
        let over = token.revoked_at.is_some() || expires_at.is_some_and(|ends| ends <= now);
        let elsewhere = self
            .options
            .single_org
            .as_ref()
            .is_some_and(|(id, _)| stored.tenant_id.as_str() != id);
        let holder = stored
            .holder
            .as_ref()
            .filter(|holder| standing::is_active(holder))?;
        if over || elsewhere || holder.org.tenant_id != stored.tenant_id {
            return None;
        }
        let mut principal = Principal {
            tenant_id: stored.tenant_id.clone(),
            tenant_name: Some(holder.org.name.clone()),
            email: holder.account.email.clone(),
            source: AuthSource::ApiToken,
            token_id: Some(token.token_id.to_string()),
            token_scopes: token
                .scopes
                .iter()
                .map(|scope| scope.as_str().to_owned())
                .collect(),
            ..Principal::local_owner()
        };
        standing::take_place(&mut principal, holder, false);
        principal.permissions = Some(role::resolve(
            holder.membership.role,
            holder.custom_permissions.as_deref(),
        ));
        let mut who = Authenticated::new(principal);
        who.expires_at = expires_at;
        Some(who)
    }

    /// Notes the use; that this fails matters to nobody who asks.
    async fn touch(&self, stored: &StoredToken, now: Timestamp) {
        let last = stored.token.last_used_at.as_deref().and_then(parse_iso);
        let recently = |last: Timestamp| {
            let passed = now.duration_since(last);
            !passed.is_negative() && passed.unsigned_abs() < TOUCHED_EVERY
        };
        if last.is_some_and(recently) {
            return;
        }
        let used = [(stored.token.token_id.clone(), now)];
        let noted = self.parts.store.touch_tokens(&used);
        if !matches!(
            tokio::time::timeout(TOUCH_PATIENCE, noted).await,
            Ok(Ok(()))
        ) {
            tracing::debug!("the last use of a token was not noted");
        }
    }

    /// Who the cookie session of a request is, if one counts.
    pub(super) async fn by_cookie(
        &self,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Option<Authenticated>, ApiError> {
        let Some(sessions) = &self.sessions else {
            return Ok(None);
        };
        for id in sessions.presented(headers) {
            let key = credential_key(b"cookie", id);
            if let Some(known) = self.credentials.get(&key, now) {
                return Ok(Some(known));
            }
            let edition = self.credentials.edition();
            let store = self.parts.store.as_ref();
            let Some(loaded) = sessions.load(store, id, now).await? else {
                continue;
            };
            let renewed = loaded.set_cookies.clone();
            let Some(mut who) = self.of_session(loaded, now).await? else {
                continue;
            };
            let tenant = who.principal.tenant_id.clone();
            self.credentials
                .put(key, tenant, who.clone(), edition, who.expires_at, now);
            who.set_cookies = renewed;
            return Ok(Some(who));
        }
        Ok(None)
    }

    /// The principal of a session. What let it in must still be a way in: a session of the mode `none` opens
    /// nothing once there is sign-in, and one that an API token began ends with the token.
    async fn of_session(
        &self,
        loaded: Loaded,
        now: Timestamp,
    ) -> Result<Option<Authenticated>, ApiError> {
        let Kept { principal, issuer } = loaded.kept;
        let source = principal.auth_source;
        let who = match (source, &self.options.mode) {
            (Some(AuthSource::ApiToken), _) => {
                let Some(id) = &principal.token_id else {
                    return Ok(None);
                };
                let stored = self.parts.store.token(id).await?;
                stored.and_then(|stored| self.of_token(&stored, now))
            }
            (Some(AuthSource::Local), Mode::None) => Some(self.local_owner(now).await?),
            (Some(source @ AuthSource::Header), Mode::Header(_))
            | (Some(source @ AuthSource::User), Mode::Oidc) => {
                let known = |provider: &Arc<dyn IdentityProvider>| provider.issuer().to_owned();
                let ours = self.parts.identity_provider.as_ref().map(known);
                let person = source == AuthSource::User;
                if person && (issuer != ours || !self.admits_domain(&principal.email)) {
                    return Ok(None);
                }
                let tenant_id = principal.tenant_id.to_string();
                if self
                    .options
                    .single_org
                    .as_ref()
                    .is_some_and(|(id, _)| *id != tenant_id)
                {
                    return Ok(None);
                }
                let account_id = principal.account_id.as_ref();
                let claimed = Claimed {
                    tenant_name: principal.tenant_name.unwrap_or_else(|| tenant_id.clone()),
                    tenant_id,
                    account_id: account_id
                        .map_or_else(|| principal.user_id.to_string(), ToString::to_string),
                    email: principal.email,
                    // The login has settled which account it is.
                    email_is_proved: false,
                    role: principal.role.unwrap_or(BuiltInRole::Member),
                    source,
                    issuer,
                };
                Some(self.stand(claimed, now).await?)
            }
            _ => None,
        };
        Ok(who.map(|who| {
            let mut principal = Principal::clone(&who.principal);
            principal.browser_session = Some(loaded.session);
            let mut session = Authenticated::new(principal);
            session.expires_at = match who.expires_at {
                Some(ends) => Some(ends.min(loaded.expires_at)),
                None => Some(loaded.expires_at),
            };
            session
        }))
    }

    /// Whether what let a principal in still holds, asked of the store.
    async fn holds(&self, who: &Authenticated, now: Timestamp) -> Result<bool, ApiError> {
        let principal = &who.principal;
        let store = self.parts.store.as_ref();
        if let Some(session) = &principal.browser_session
            && store.browser_session(&session.id, now).await?.is_none()
        {
            return Ok(false);
        }
        if let Some(id) = &principal.token_id {
            let stored = store.token(&id.as_str().into()).await?;
            return Ok(stored.is_some_and(|stored| self.of_token(&stored, now).is_some()));
        }
        let standing = self.standing(&self.as_claimed(principal), now).await?;
        Ok(standing.gates(principal, &self.options).is_ok())
    }
}

#[async_trait]
impl Authenticator for SignIn {
    async fn authenticate(&self, incoming: Incoming<'_>) -> Result<Authenticated, ApiError> {
        self.who(incoming).await
    }

    fn check_csrf(&self, incoming: Incoming<'_>, who: &Authenticated) -> Result<(), ApiError> {
        match &who.principal.browser_session {
            Some(session) => browser::check_csrf(incoming.headers, session),
            None => Ok(()),
        }
    }

    async fn admit(&self, who: &Authenticated) -> Result<(), ApiError> {
        self.let_in(&who.principal, (self.parts.clock)()).await
    }

    async fn still_valid(&self, who: &Authenticated) -> Result<bool, ApiError> {
        let now = (self.parts.clock)();
        let principal = &who.principal;
        if principal.source == AuthSource::Local && principal.browser_session.is_none() {
            return Ok(true);
        }
        // Many streams of one person ask at the same moment.
        let session = principal
            .browser_session
            .as_ref()
            .map(|session| session.id.as_str());
        let credential = principal
            .token_id
            .as_deref()
            .or(session)
            .unwrap_or_default();
        let key = format!(
            "{}\0{}\0{credential}",
            principal.tenant_id, principal.account_id
        );
        if let Some(known) = self.holding.get(&key, now) {
            return Ok(known);
        }
        let edition = self.holding.edition();
        let holds = self.holds(who, now).await?;
        let tenant = principal.tenant_id.clone();
        self.holding.put(key, tenant, holds, edition, None, now);
        Ok(holds)
    }

    fn source(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        client_source(peer, headers, &self.options.proxies)
    }

    async fn sign_in(&self, incoming: Incoming<'_>) -> Answer {
        self.route(incoming).await
    }

    fn login_path(&self) -> Option<&str> {
        let possible = matches!(self.options.mode, Mode::Oidc) && self.sessions.is_some();
        possible.then_some("/auth/login")
    }

    fn is_open(&self) -> bool {
        matches!(self.options.mode, Mode::None)
    }
}

impl From<IdentityError> for ApiError {
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::Rejected(sentence) => ApiError::unauthenticated(sentence),
            IdentityError::Unavailable(reason) => {
                tracing::warn!(reason, "the identity provider can't be used");
                ApiError::unavailable(
                    "auth.provider_unavailable",
                    "The identity provider doesn't answer; try again in a moment.",
                )
            }
        }
    }
}

fn not_signed_in() -> ApiError {
    ApiError::unauthenticated("Authentication required: sign in, or send a bearer token.")
}

/// The principal as clients see it (03 §6.1).
pub(super) fn record(principal: &Principal) -> PrincipalRecord {
    let by_token = principal.source == AuthSource::ApiToken;
    let scope = |scope: &String| open_cowork_contracts::access::TokenScope::parse(scope);
    PrincipalRecord {
        tenant_id: principal.tenant_id.clone(),
        tenant_name: principal.tenant_name.clone(),
        org_id: Some(principal.org_id.as_str().into()),
        user_id: principal.user_id.clone(),
        account_id: Some(principal.account_id.as_str().into()),
        email: principal.email.clone(),
        role: principal.role,
        permissions: principal.permissions.clone().filter(|_| by_token),
        custom_role_key: by_token.then(|| principal.custom_role_key.clone()),
        auth_source: Some(principal.source),
        sso_verified: principal.sso_verified.then_some(true),
        token_id: principal.token_id.as_deref().map(Into::into),
        token_scopes: by_token.then(|| principal.token_scopes.iter().filter_map(scope).collect()),
        worker_id: principal.worker_id.clone(),
        worker_pool_id: None,
        worker_credential_id: None,
        worker_scopes: None,
    }
}

/// `Authorization: Bearer …`, if there is exactly one.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(ApiError::unauthenticated(
            "The request carries more than one Authorization header.",
        ));
    }
    let parts = value.to_str().ok().and_then(|text| text.split_once(' '));
    let token = parts.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    Ok(token
        .map(|(_, token)| token.trim())
        .filter(|token| !token.is_empty()))
}

/// What a credential is remembered by.
fn credential_key(kind: &[u8], credential: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(kind);
    hash.update([0]);
    hash.update(credential.as_bytes());
    hash.finalize().into()
}

/// Account and user of a person of the provider: 32 hexadecimal digits (03 §6.3).
fn account_id(issuer: &str, subject: &str) -> String {
    let digest = Sha256::digest(format!("{}\0{subject}", issuer.trim_end_matches('/')));
    digest[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_is_read_once_and_in_any_case() {
        let mut headers = HeaderMap::new();
        assert_eq!(bearer(&headers).unwrap(), None);
        headers.append(AUTHORIZATION, "bEaReR  abc ".parse().unwrap());
        assert_eq!(bearer(&headers).unwrap(), Some("abc"));
        headers.append(AUTHORIZATION, "Bearer def".parse().unwrap());
        assert!(bearer(&headers).is_err());
        headers.insert(AUTHORIZATION, "Basic abc".parse().unwrap());
        assert_eq!(bearer(&headers).unwrap(), None);
    }

    /// Golden value, made with `printf 'https://id.example\0alice' | sha256sum`.
    #[test]
    fn a_persons_account_follows_from_issuer_and_subject() {
        assert_eq!(
            account_id("https://id.example//", "alice"),
            "8860d8b1c8a89391758ff9b479a59624"
        );
    }
}
