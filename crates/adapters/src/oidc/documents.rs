//! Discovery and keys of the provider, with their caches (03 §6.3).
//!
//! One fetch runs at a time; whoever comes meanwhile waits and takes its result. A failure is remembered for a
//! moment, so that a provider that is down costs one call and not one per request. While it is down, keys that
//! were good go on for a bounded time: an outage there must not log everybody out here.

use super::keys::{Key, parse_set};
use super::token::without_slashes;
use super::transport::{Transport, checked, is_loopback, unavailable};
use open_cowork_providers::identity_provider::IdentityError;
use open_cowork_providers::time::Timestamp;
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use url::Url;

/// Discovery counts as fresh this long.
const DISCOVERY_AGE: Duration = Duration::from_secs(10 * 60);
/// Keys count as fresh this long.
const KEYS_AGE: Duration = Duration::from_secs(5 * 60);
/// Documents are used no longer than this, however long the provider is down.
const OLDEST: Duration = Duration::from_secs(60 * 60);
/// After a failed fetch, the next one waits this long.
const FAILURE_PAUSE: Duration = Duration::from_secs(5);
/// Tokens with unknown keys make the keys be fetched again at most this often.
pub(super) const COOL_DOWN: Duration = Duration::from_secs(30);

/// What of the discovery document is used.
#[derive(Clone, Debug)]
pub(super) struct Discovery {
    pub(super) authorization_endpoint: Url,
    pub(super) token_endpoint: Url,
    jwks_uri: Url,
    /// The provider takes a client secret in the header only.
    pub(super) secret_in_header: bool,
}

/// A document and when it was fetched.
struct Held<T> {
    value: Option<(Arc<T>, Timestamp)>,
    failed: Option<(Timestamp, IdentityError)>,
    /// Goes up with every fetch that succeeded.
    edition: u64,
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Held {
            value: None,
            failed: None,
            edition: 0,
        }
    }
}

/// True when `then` is less than `age` ago. A clock that went back makes everything old.
fn within(then: Timestamp, now: Timestamp, age: Duration) -> bool {
    let passed = now.duration_since(then);
    !passed.is_negative() && passed.unsigned_abs() < age
}

impl<T> Held<T> {
    fn fresh(&self, now: Timestamp, age: Duration) -> Option<Arc<T>> {
        let (value, fetched) = self.value.as_ref()?;
        within(*fetched, now, age).then(|| Arc::clone(value))
    }

    /// The recent failure, if another attempt must wait: the old document while it may still be used.
    fn paused(&self, now: Timestamp) -> Option<Result<Arc<T>, IdentityError>> {
        let (failed, error) = self.failed.as_ref()?;
        within(*failed, now, FAILURE_PAUSE)
            .then(|| self.fresh(now, OLDEST).ok_or_else(|| error.clone()))
    }

    fn settle(
        &mut self,
        fetched: Result<T, IdentityError>,
        now: Timestamp,
    ) -> Result<Arc<T>, IdentityError> {
        match fetched {
            Ok(value) => {
                let value = Arc::new(value);
                self.value = Some((Arc::clone(&value), now));
                self.failed = None;
                self.edition += 1;
                Ok(value)
            }
            Err(error) => {
                tracing::warn!(reason = %error, "identity provider: a document could not be fetched");
                self.failed = Some((now, error.clone()));
                self.fresh(now, OLDEST).ok_or(error)
            }
        }
    }
}

/// The documents of one provider.
pub(super) struct Documents {
    issuer: String,
    transport: Transport,
    one_fetch: Semaphore,
    discovery: Mutex<Held<Discovery>>,
    keys: Mutex<Held<Vec<Key>>>,
    /// When an unknown key last made the keys be fetched.
    forced: Mutex<Option<Timestamp>>,
}

impl Documents {
    /// `issuer` without slashes at its end.
    pub(super) fn new(issuer: String, transport: Transport) -> Self {
        Documents {
            issuer,
            transport,
            one_fetch: Semaphore::new(1),
            discovery: Mutex::default(),
            keys: Mutex::default(),
            forced: Mutex::default(),
        }
    }

    pub(super) async fn discovery(&self, now: Timestamp) -> Result<Arc<Discovery>, IdentityError> {
        if let Some(fresh) = lock(&self.discovery).fresh(now, DISCOVERY_AGE) {
            return Ok(fresh);
        }
        let _turn = self.one_fetch.acquire().await;
        self.discovery_in_turn(now).await
    }

    async fn discovery_in_turn(&self, now: Timestamp) -> Result<Arc<Discovery>, IdentityError> {
        {
            let held = lock(&self.discovery);
            if let Some(fresh) = held.fresh(now, DISCOVERY_AGE) {
                return Ok(fresh);
            }
            if let Some(paused) = held.paused(now) {
                return paused;
            }
        }
        let fetched = self.fetch_discovery().await;
        lock(&self.discovery).settle(fetched, now)
    }

    /// The keys. `unknown`: a token names one that the last set doesn't hold; the set is fetched again, unless
    /// that happened a moment ago.
    pub(super) async fn keys(
        &self,
        now: Timestamp,
        unknown: bool,
    ) -> Result<Arc<Vec<Key>>, IdentityError> {
        let asked = lock(&self.keys).edition;
        if let Some(fresh) = self.usable(now, unknown) {
            return Ok(fresh);
        }
        let _turn = self.one_fetch.acquire().await;
        {
            let held = lock(&self.keys);
            let fetched_meanwhile = held.edition != asked;
            if let Some(fresh) = held.fresh(now, KEYS_AGE)
                && (!unknown || fetched_meanwhile || self.cooling(now))
            {
                return Ok(fresh);
            }
            if let Some(paused) = held.paused(now) {
                return paused;
            }
        }
        let fetched = self.fetch_keys(now).await;
        if unknown {
            // Not before: whoever comes meanwhile waits for this fetch instead of taking the old keys.
            *lock(&self.forced) = Some(now);
        }
        lock(&self.keys).settle(fetched, now)
    }

    fn usable(&self, now: Timestamp, unknown: bool) -> Option<Arc<Vec<Key>>> {
        let fresh = lock(&self.keys).fresh(now, KEYS_AGE)?;
        (!unknown || self.cooling(now)).then_some(fresh)
    }

    fn cooling(&self, now: Timestamp) -> bool {
        lock(&self.forced).is_some_and(|forced| within(forced, now, COOL_DOWN))
    }

    async fn fetch_discovery(&self) -> Result<Discovery, IdentityError> {
        let address = format!("{}/.well-known/openid-configuration", self.issuer);
        let document = self.fetch(checked(&address)?).await?;
        let issuer = document.get("issuer").and_then(Value::as_str);
        if issuer.map(without_slashes) != Some(self.issuer.as_str()) {
            return Err(unavailable(
                "its discovery document names another issuer; check the configured issuer URL",
            ));
        }
        let here = checked(&self.issuer).is_ok_and(|issuer| is_loopback(&issuer));
        let endpoint = |name: &str| {
            let address = document.get(name).and_then(Value::as_str);
            let address = address
                .ok_or_else(|| unavailable(format!("its discovery document has no `{name}`")))?;
            let url = checked(address)?;
            // A provider elsewhere has no business on this machine.
            match is_loopback(&url) && !here {
                true => Err(unavailable(format!("its `{name}` points to this machine"))),
                false => Ok(url),
            }
        };
        let methods = document
            .get("token_endpoint_auth_methods_supported")
            .and_then(Value::as_array);
        let takes =
            |method: &str| methods.is_some_and(|methods| methods.iter().any(|name| name == method));
        Ok(Discovery {
            authorization_endpoint: endpoint("authorization_endpoint")?,
            token_endpoint: endpoint("token_endpoint")?,
            jwks_uri: endpoint("jwks_uri")?,
            secret_in_header: takes("client_secret_basic") && !takes("client_secret_post"),
        })
    }

    async fn fetch_keys(&self, now: Timestamp) -> Result<Vec<Key>, IdentityError> {
        let discovery = self.discovery_in_turn(now).await?;
        let document = self.fetch(discovery.jwks_uri.clone()).await?;
        parse_set(&document).ok_or_else(|| unavailable("its keys can't be read"))
    }

    async fn fetch(&self, url: Url) -> Result<Value, IdentityError> {
        let answer = self.transport.get(url).await?;
        match answer.status {
            200 => Ok(answer.body),
            status => Err(unavailable(format!("it answered with status {status}"))),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
