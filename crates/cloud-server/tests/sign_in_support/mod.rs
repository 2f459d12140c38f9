//! A cloud with real sign-in over a SQLite store in memory, and a clock that the test owns.

#![allow(dead_code, missing_docs, unreachable_pub)]
#![allow(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "a test that cannot go on fails"
)]

#[path = "../support/mod.rs"]
mod support;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, HeaderName, Method, Request};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http_body_util::BodyExt as _;
use open_cowork_adapters::tokens::{TokenHasher, fresh_api_token};
use open_cowork_cloud_server::auth::{AuthOptions, CookieOptions, SignIn, SignInParts};
use open_cowork_cloud_server::pipeline::{Surfaces, router};
use open_cowork_cloud_server::{Cloud, Services};
use open_cowork_contracts::TokenId;
use open_cowork_contracts::access::{BuiltInRole, TokenScope};
use open_cowork_providers::bus::LocalBus;
use open_cowork_providers::identity_provider::IdentityProvider;
use open_cowork_providers::store::identity::{Bootstrap, IdentityStore as _, NewToken};
use open_cowork_providers::store::stamp::{Actor, Stamp};
use open_cowork_providers::time::Timestamp;
use open_cowork_store::{SqliteOptions, SqliteStore};
use open_cowork_thread_log::{ThreadLog, ThreadLogOptions};
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tower::ServiceExt as _;

pub use support::Reply;

pub const PROXY_KEY: &str = "canary: what the proxy signs with";
const START: i64 = 1_767_322_800;

pub fn cookie_options() -> CookieOptions {
    CookieOptions {
        secret: "canary: a cookie key of more than thirty-two bytes".into(),
        secure: true,
    }
}

pub struct Place {
    pub store: Arc<SqliteStore>,
    pub bus: Arc<LocalBus>,
    pub sign_in: Arc<SignIn>,
    pub router: Router,
    hasher: Arc<TokenHasher>,
    clock: Arc<AtomicI64>,
}

pub struct Token {
    pub id: TokenId,
    pub plaintext: String,
}

pub struct Browser {
    pub cookies: String,
    pub csrf: String,
}

impl Place {
    pub async fn new(options: AuthOptions) -> Self {
        Place::with(options, None).await
    }

    pub async fn with(options: AuthOptions, provider: Option<Arc<dyn IdentityProvider>>) -> Self {
        let store = SqliteStore::in_memory(SqliteOptions::default())
            .await
            .unwrap();
        let hasher = TokenHasher::new(&"a pepper of the test".into(), &[]);
        // With a real provider the clock must be the real one: its tokens carry the time.
        let start = match provider {
            Some(_) => Timestamp::now().as_second(),
            None => START,
        };
        Place::over(
            Arc::new(store),
            Arc::new(LocalBus::default()),
            Arc::new(hasher),
            Arc::new(AtomicI64::new(start)),
            options,
            provider,
        )
    }

    /// Another process over the same store.
    pub fn another(&self, options: AuthOptions) -> Self {
        let (store, bus) = (self.store.clone(), self.bus.clone());
        Place::over(
            store,
            bus,
            self.hasher.clone(),
            self.clock.clone(),
            options,
            None,
        )
    }

    fn over(
        store: Arc<SqliteStore>,
        bus: Arc<LocalBus>,
        hasher: Arc<TokenHasher>,
        clock: Arc<AtomicI64>,
        options: AuthOptions,
        identity_provider: Option<Arc<dyn IdentityProvider>>,
    ) -> Self {
        let log = ThreadLog::new(store.clone(), ThreadLogOptions::default());
        let mut services = Services::new(store.clone(), log, Arc::new(support::Plain));
        let time = clock.clone();
        services.clock =
            Arc::new(move || Timestamp::from_second(time.load(Ordering::SeqCst)).unwrap());
        services.bus = bus.clone();
        services.options.limits.requests = None;
        services.options.callback_path = options.callback_path.clone();
        let sign_in = SignIn::new(
            options,
            SignInParts {
                store: store.clone(),
                bus: bus.clone(),
                clock: services.clock.clone(),
                identity_provider,
                tokens: hasher.clone(),
            },
        );
        let sign_in = Arc::new(sign_in);
        services.authenticator = sign_in.clone();
        Place {
            router: router(Cloud::new(services), Surfaces::default()),
            store,
            bus,
            sign_in,
            hasher,
            clock,
        }
    }

    pub fn pass(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_second(self.clock.load(Ordering::SeqCst)).unwrap()
    }

    pub fn stamp(&self) -> Stamp {
        Stamp::new(
            Actor::system("test"),
            self.now(),
            uuid::Uuid::new_v4().to_string(),
        )
    }

    pub fn stamp_of(&self, account: &str) -> Stamp {
        let actor = Actor::user(account.into(), Some(BuiltInRole::Owner));
        Stamp::new(actor, self.now(), uuid::Uuid::new_v4().to_string())
    }

    pub async fn join(&self, tenant: &str, account: &str, role: BuiltInRole) {
        let bootstrap = Bootstrap {
            tenant_id: tenant.into(),
            org_id: None,
            tenant_name: tenant.into(),
            account_id: account.into(),
            idp_subject: Some(account.into()),
            email: format!("{account}@{tenant}.test"),
            display_name: None,
            role,
            create_membership: true,
            accept_invite: true,
        };
        self.store
            .bootstrap(&bootstrap, &self.stamp())
            .await
            .unwrap();
    }

    pub async fn token(
        &self,
        tenant: &str,
        account: &str,
        scopes: &[TokenScope],
        seconds: Option<u64>,
    ) -> Token {
        let fresh = fresh_api_token().unwrap();
        let plaintext = fresh.plaintext.expose_secret().to_owned();
        let token = NewToken {
            token_id: fresh.token_id.clone(),
            account_id: account.into(),
            name: "test".into(),
            hash: self.hasher.hash(&plaintext),
            scopes: scopes.to_vec(),
            last4: fresh.last4.clone(),
            expires_at: seconds.map(|seconds| {
                self.now()
                    .checked_add(Duration::from_secs(seconds))
                    .unwrap()
            }),
            channel_binding_ids: Vec::new(),
        };
        self.store
            .create_token(&tenant.into(), &token, &self.stamp_of(account))
            .await
            .unwrap();
        Token {
            id: fresh.token_id,
            plaintext,
        }
    }

    pub async fn log_in(&self, tenant: &str, user: &str) -> Browser {
        let headers = signed_at(tenant, user, "member", self.now().as_second());
        let reply = self.ask("POST", "/auth/session").with(headers).send().await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        Browser {
            cookies: reply.cookie_line(),
            csrf: reply.json()["csrfToken"].as_str().unwrap().to_owned(),
        }
    }

    pub fn get(&self, path: &str) -> Ask {
        self.ask("GET", path)
    }

    pub fn ask(&self, method: &str, path: &str) -> Ask {
        Ask {
            router: Some(self.router.clone()),
            method: method.parse().unwrap(),
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: String::new(),
        }
    }
}

/// A request under construction.
pub struct Ask {
    router: Option<Router>,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: String,
}

impl Ask {
    /// Only headers, for [`Ask::with`].
    pub fn headers(pairs: &[(&str, &str)]) -> Self {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        Ask {
            router: None,
            method: Method::GET,
            path: "/".into(),
            headers,
            body: String::new(),
        }
    }

    pub fn with(mut self, other: Ask) -> Self {
        self.headers.extend(other.headers);
        self
    }

    pub fn replace(mut self, name: &str, value: &str) -> Self {
        self.headers
            .insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers
            .append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        self
    }

    pub fn authorization(self, value: &str) -> Self {
        self.header("authorization", value)
    }

    pub fn bearer(self, token: &str) -> Self {
        self.authorization(&format!("Bearer {token}"))
    }

    pub fn cookies(self, line: &str) -> Self {
        self.header("cookie", line)
    }

    pub fn body(mut self, body: &str) -> Self {
        self.body = body.to_owned();
        self
    }

    pub fn request(&self) -> Request<Body> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(&self.path)
            .extension(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 4711))))
            .body(Body::from(self.body.clone()))
            .unwrap();
        *request.headers_mut() = self.headers.clone();
        if !self.headers.contains_key("host") {
            request
                .headers_mut()
                .insert("host", "127.0.0.1:8787".parse().unwrap());
        }
        request
    }

    pub async fn send(self) -> Answer {
        let router = self.router.clone().unwrap();
        let response = router.oneshot(self.request()).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer(Reply {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(bytes.to_vec()).unwrap(),
        })
    }
}

/// An answer, with its cookies.
pub struct Answer(Reply);

impl std::ops::Deref for Answer {
    type Target = Reply;

    fn deref(&self) -> &Reply {
        &self.0
    }
}

impl Answer {
    pub fn set_cookies(&self) -> Vec<String> {
        let values = self.headers.get_all("set-cookie").iter();
        values
            .map(|value| value.to_str().unwrap().to_owned())
            .collect()
    }

    /// What a browser sends back.
    pub fn cookie_line(&self) -> String {
        let cookies = self.set_cookies();
        let pairs: Vec<&str> = cookies
            .iter()
            .map(|cookie| cookie.split(';').next().unwrap())
            .filter(|pair| !pair.ends_with('='))
            .collect();
        pairs.join("; ")
    }
}

fn mac(base: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(PROXY_KEY.as_bytes()).unwrap();
    mac.update(base.as_bytes());
    hex(&mac.finalize().into_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Headers as a proxy signs them, version 1, at the start of the test's clock.
pub fn signed(tenant: &str, user: &str, role: &str) -> Ask {
    signed_at(tenant, user, role, START)
}

pub fn signed_at(tenant: &str, user: &str, role: &str, at: i64) -> Ask {
    let email = format!("{user}@{tenant}.test");
    let signature = mac(&format!("v1\n{at}\n{tenant}\n\n{user}\n{email}\n{role}"));
    Ask::headers(&[
        ("x-open-cowork-tenant-id", tenant),
        ("x-open-cowork-user-id", user),
        ("x-open-cowork-user-email", &email),
        ("x-open-cowork-user-role", role),
        ("x-open-cowork-header-auth-secret", PROXY_KEY),
        ("x-open-cowork-header-auth-timestamp", &at.to_string()),
        (
            "x-open-cowork-header-auth-signature",
            &format!("v1={signature}"),
        ),
    ])
}

/// The same, version 2.
pub fn proxy_v2(
    method: Method,
    path: &str,
    body: &str,
    nonce: &str,
    tenant: &str,
    user: &str,
) -> Ask {
    let digest = hex(&Sha256::digest(body));
    let base = format!("v2\n{START}\n{nonce}\n{method}\n{path}\n{digest}\n{tenant}\n\n{user}\n\n");
    Ask::headers(&[
        ("x-open-cowork-tenant-id", tenant),
        ("x-open-cowork-user-id", user),
        ("x-open-cowork-header-auth-timestamp", &START.to_string()),
        ("x-open-cowork-header-auth-nonce", nonce),
        ("x-open-cowork-header-auth-body-sha256", &digest),
        (
            "x-open-cowork-header-auth-signature",
            &format!("v2={}", mac(&base)),
        ),
    ])
}
