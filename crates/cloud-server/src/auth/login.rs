//! The routes below `/auth` and the callback of the provider (03 §6.4).

use super::browser::{self, Kept};
use super::cookie::{self, LOGIN};
use super::options::Mode;
use super::redirect::{callback_url, return_to};
use super::sign_in::{SignIn, record};
use crate::error::ApiError;
use crate::principal::{Authenticated, Incoming};
use crate::reply::{self, Answer};
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, LOCATION, SET_COOKIE};
use axum::http::{HeaderValue, Method, Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use open_cowork_contracts::api::identity::{AuthSession, DesktopAuthConfig};
use open_cowork_providers::bus::Topic;
use open_cowork_providers::identity_provider::{
    AuthorizationRequest, CodeExchange, IdentityProvider,
};
use open_cowork_providers::time::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use subtle::ConstantTimeEq as _;

/// How long a login may take.
pub(super) const LOGIN_LIFETIME: Duration = Duration::from_secs(600);

/// A login under way, in the signed cookie of the browser that began it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct UnderWay {
    version: u8,
    state: String,
    nonce: String,
    code_verifier: String,
    return_to: String,
    expires_at_ms: i64,
}

fn no_such_page() -> ApiError {
    ApiError::not_found("Not found.")
}

impl SignIn {
    /// Answers one of the routes.
    pub(super) async fn route(&self, incoming: Incoming<'_>) -> Answer {
        let path: Vec<&str> = segments(incoming.uri.path());
        if *incoming.method == Method::GET && path == segments(&self.options.callback_path) {
            return self.callback(incoming).await;
        }
        match (incoming.method.as_str(), path.as_slice()) {
            ("GET", ["auth", "login"]) => self.login(incoming).await,
            ("GET", ["auth", "me"]) => self.me(incoming).await,
            ("POST", ["auth", "session"]) => self.begin_session(incoming).await,
            ("POST", ["auth", "logout"]) => self.logout(incoming).await,
            ("GET", ["auth", "desktop", "config"]) => self.desktop_config(),
            _ => Err(no_such_page()),
        }
    }

    /// The provider of browser logins; there are none without cookies.
    fn browser_login(&self) -> Result<(&dyn IdentityProvider, &browser::Sessions), ApiError> {
        match (
            &self.options.mode,
            &self.parts.identity_provider,
            &self.sessions,
        ) {
            (Mode::Oidc, Some(provider), Some(sessions)) => Ok((provider.as_ref(), sessions)),
            _ => Err(no_such_page()),
        }
    }

    async fn login(&self, incoming: Incoming<'_>) -> Answer {
        let (provider, sessions) = self.browser_login()?;
        let now = (self.parts.clock)();
        let asked = parameter(incoming, "returnTo");
        let redirect_uri = self.redirect_uri(incoming)?;
        let under_way = UnderWay {
            version: 1,
            state: cookie::random::<24>()?,
            nonce: cookie::random::<24>()?,
            code_verifier: cookie::random::<32>()?,
            return_to: return_to(asked.as_deref()),
            expires_at_ms: now
                .as_millisecond()
                .saturating_add(LOGIN_LIFETIME.as_millis() as i64),
        };
        let request = AuthorizationRequest {
            redirect_uri,
            state: under_way.state.clone(),
            nonce: under_way.nonce.clone(),
            code_challenge: URL_SAFE_NO_PAD
                .encode(Sha256::digest(under_way.code_verifier.as_bytes())),
        };
        let location = provider.authorization_url(&request, now).await?;
        let json = serde_json::to_vec(&under_way).map_err(|_| ApiError::internal())?;
        let sealed = sessions
            .signer()
            .seal("login", &URL_SAFE_NO_PAD.encode(json));
        let cookie = cookie::set(LOGIN, &sealed, LOGIN_LIFETIME, true, sessions.secure())?;
        redirect(&location, vec![cookie])
    }

    /// Every outcome takes the login's cookie away: an attempt counts once.
    async fn callback(&self, incoming: Incoming<'_>) -> Answer {
        let (provider, sessions) = self.browser_login()?;
        let answer = self.finish(incoming, provider, sessions).await;
        let mut response = answer.unwrap_or_else(|error| error.response());
        let cleared = cookie::clear(LOGIN, true, sessions.secure())?;
        response.headers_mut().append(SET_COOKIE, cleared);
        Ok(response)
    }

    async fn finish(
        &self,
        incoming: Incoming<'_>,
        provider: &dyn IdentityProvider,
        sessions: &browser::Sessions,
    ) -> Answer {
        let now = (self.parts.clock)();
        let refused = |sentence: &str| ApiError::unauthenticated(sentence);
        let state = parameter(incoming, "state");
        let state =
            state.ok_or_else(|| refused("The login was not begun here; start it again."))?;
        let under_way = cookie::all(incoming.headers, LOGIN)
            .filter_map(|sealed| sessions.signer().open("login", sealed))
            .filter_map(|text| URL_SAFE_NO_PAD.decode(text).ok())
            .filter_map(|json| serde_json::from_slice::<UnderWay>(&json).ok())
            .find(|under_way| {
                under_way.version == 1
                    && bool::from(under_way.state.as_bytes().ct_eq(state.as_bytes()))
            });
        let under_way = under_way
            .ok_or_else(|| refused("The login was not begun in this browser; start it again."))?;
        if now.as_millisecond() > under_way.expires_at_ms {
            return Err(refused("The login took too long; start it again."));
        }
        if !self.spent.take(&under_way.state, LOGIN_LIFETIME, now)? {
            return Err(refused("The login was finished before; start it again."));
        }
        // RFC 9207: an answer of another provider is not taken for this one's.
        let from = parameter(incoming, "iss");
        if from.is_some_and(|from| from.trim_end_matches('/') != provider.issuer()) {
            return Err(refused(
                "The answer comes from another identity provider; start the login again.",
            ));
        }
        if parameter(incoming, "error").is_some() {
            return Err(refused(
                "The identity provider refused the login, or it was cancelled.",
            ));
        }
        let code = parameter(incoming, "code");
        let code = code
            .ok_or_else(|| refused("The identity provider sent no code; start the login again."))?;
        let exchange = CodeExchange {
            code: SecretString::from(code),
            redirect_uri: self.redirect_uri(incoming)?,
            code_verifier: SecretString::from(under_way.code_verifier),
            nonce: SecretString::from(under_way.nonce),
        };
        let identity = provider.exchange(&exchange, now).await?;
        let who = self.of_identity(identity, now).await?;
        // A login is a use: whoever may not come in hears it now, and not at the first click.
        self.let_in(&who.principal, now).await?;
        let who = self.again(&who, now).await?;
        self.revoke_presented(incoming, now).await?;
        let kept = Kept {
            principal: kept_record(&who),
            issuer: Some(provider.issuer().to_owned()),
        };
        let store = self.parts.store.as_ref();
        let (_, cookies) = sessions.begin(store, &who.principal, &kept, now).await?;
        redirect(&under_way.return_to, cookies)
    }

    fn redirect_uri(&self, incoming: Incoming<'_>) -> Result<String, ApiError> {
        callback_url(
            self.options.public_url.as_deref(),
            &self.options.callback_path,
            incoming.headers,
            &self.options.allowed_hosts,
        )
    }

    /// Who asks. Somebody whom the gates don't let in hears it here too (04 §1.4); nothing is written.
    async fn me(&self, incoming: Incoming<'_>) -> Answer {
        let who = self.who(incoming).await?;
        self.may_enter(&who.principal, (self.parts.clock)()).await?;
        let session = who.principal.browser_session.as_ref();
        let body = AuthSession {
            principal: record(&who.principal),
            csrf_token: session.map(|session| session.csrf.clone()),
            expires_at: session.map(|session| session.expires_at.clone()),
        };
        with_cookies(reply::ok(&body)?, who.set_cookies.clone())
    }

    /// Turns whatever else signs a request in into a cookie session. A cookie doesn't count here: a session is not
    /// made from a session.
    async fn begin_session(&self, incoming: Incoming<'_>) -> Answer {
        let sessions = self.sessions.as_ref().ok_or_else(no_such_page)?;
        let now = (self.parts.clock)();
        let who = self.without_cookie(incoming, now).await?;
        self.let_in(&who.principal, now).await?;
        let who = self.again(&who, now).await?;
        let kept = Kept {
            principal: kept_record(&who),
            issuer: self.issuer_of(&who),
        };
        let store = self.parts.store.as_ref();
        let (session, cookies) = sessions.begin(store, &who.principal, &kept, now).await?;
        let body = AuthSession {
            principal: record(&who.principal),
            csrf_token: Some(session.csrf),
            expires_at: Some(session.expires_at),
        };
        with_cookies(reply::ok(&body)?, cookies)
    }

    async fn logout(&self, incoming: Incoming<'_>) -> Answer {
        let sessions = self.sessions.as_ref().ok_or_else(no_such_page)?;
        let now = (self.parts.clock)();
        if let Some(who) = self.by_cookie(incoming.headers, now).await?
            && let Some(session) = &who.principal.browser_session
        {
            browser::check_csrf(incoming.headers, session)?;
            self.revoke_presented(incoming, now).await?;
        }
        with_cookies(reply::ok(&json!({"ok": true}))?, sessions.cleared()?)
    }

    /// Ends the sessions whose cookies a browser shows.
    async fn revoke_presented(
        &self,
        incoming: Incoming<'_>,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let Some(sessions) = &self.sessions else {
            return Ok(());
        };
        let store = self.parts.store.as_ref();
        for id in sessions.presented(incoming.headers) {
            let hash = browser::hash(id);
            let Some(session) = store.browser_session(&hash, now).await? else {
                continue;
            };
            store.revoke_browser_session(&hash).await?;
            self.forget(&session.tenant_id);
            self.parts
                .bus
                .publish(Topic::Credentials(session.tenant_id));
        }
        Ok(())
    }

    fn desktop_config(&self) -> Answer {
        match (&self.options.mode, &self.parts.identity_provider) {
            (Mode::Oidc, Some(provider)) => reply::ok(&DesktopAuthConfig {
                mode: "oidc".to_owned(),
                issuer_url: provider.issuer().to_owned(),
                client_id: provider.client_id().to_owned(),
                scope: "openid email profile offline_access".to_owned(),
            }),
            _ => Err(no_such_page()),
        }
    }
}

/// The nine fields that a session keeps.
fn kept_record(who: &Authenticated) -> open_cowork_contracts::api::identity::PrincipalRecord {
    let mut kept = record(&who.principal);
    kept.permissions = None;
    kept.custom_role_key = None;
    kept.sso_verified = None;
    kept.token_scopes = None;
    kept
}

fn segments(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !part.is_empty()).collect()
}

/// A parameter of the query that is there once and says something.
fn parameter(incoming: Incoming<'_>, name: &str) -> Option<String> {
    let query = incoming.uri.query().unwrap_or_default();
    let mut values = url::form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
    let value = values.next().filter(|_| values.next().is_none());
    value
        .map(|(_, value)| value.into_owned())
        .filter(|value| !value.trim().is_empty())
}

fn redirect(location: &str, cookies: Vec<HeaderValue>) -> Answer {
    let mut response = reply::empty(StatusCode::FOUND);
    let location = HeaderValue::from_str(location).map_err(|_| ApiError::internal())?;
    response.headers_mut().insert(LOCATION, location);
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    with_cookies(response, cookies)
}

fn with_cookies(mut response: Response<Body>, cookies: Vec<HeaderValue>) -> Answer {
    for cookie in cookies {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}
