//! A cloud over a SQLite store in memory, with principals that a header names.

#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file uses its share"
)]

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use open_cowork_cloud_server::pipeline::{Surfaces, router};
use open_cowork_cloud_server::{
    ApiError, Authenticated, Authenticator, Cloud, Incoming, Principal, Services,
};
use open_cowork_contracts::access::{AuthSource, BuiltInRole, Permission};
use open_cowork_policy::role;
use open_cowork_providers::secrets::{SecretError, SecretMode, Secrets};
use open_cowork_providers::store::ControlPlane;
use open_cowork_store::{SqliteOptions, SqliteStore};
use open_cowork_thread_log::{ThreadLog, ThreadLogOptions};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use tower::ServiceExt;

pub struct World {
    pub cloud: Cloud,
    pub store: Arc<SqliteStore>,
    pub log: ThreadLog,
    pub router: Router,
    pub principals: Arc<Principals>,
}

pub async fn world() -> World {
    world_with(|_| ()).await
}

pub async fn world_with(change: impl FnOnce(&mut Services)) -> World {
    let store = SqliteStore::in_memory(SqliteOptions::default()).await;
    let store = Arc::new(store.unwrap());
    let plane: Arc<dyn ControlPlane> = store.clone();
    let log = ThreadLog::new(store.clone(), ThreadLogOptions::default());
    let principals = Arc::new(Principals::default());
    let mut services = Services::new(plane, log.clone(), Arc::new(Plain));
    services.authenticator = principals.clone();
    services.options.limits.requests = None;
    for feature in services.options.profile.features.values_mut() {
        *feature = true;
    }
    change(&mut services);
    let cloud = Cloud::new(services);
    World {
        router: router(cloud.clone(), Surfaces::default()),
        cloud,
        store,
        log,
        principals,
    }
}

/// An answer that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl World {
    pub async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let streams = parts
            .headers
            .get("content-type")
            .is_some_and(|media| media.as_bytes().starts_with(b"text/event-stream"));
        let body = match streams {
            true => String::new(),
            false => {
                let bytes = body.collect().await.unwrap().to_bytes();
                String::from_utf8(bytes.to_vec()).unwrap()
            }
        };
        Reply {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    pub async fn call(&self, who: &str, method: &str, path: &str, body: Option<Value>) -> Reply {
        self.send(request(who, method, path, body)).await
    }
}

pub fn request(who: &str, method: &str, path: &str, body: Option<Value>) -> Request<Body> {
    let body = body.map_or(Body::empty(), |body| Body::from(body.to_string()));
    Request::builder()
        .method(Method::from_bytes(method.as_bytes()).unwrap())
        .uri(path)
        .header("x-test-principal", who)
        .body(body)
        .unwrap()
}

/// Every kind of principal (07 §4.1), as `kind@tenant`.
pub const KINDS: &[&str] = &[
    "local",
    "owner",
    "admin",
    "member",
    "header",
    "header-admin",
    "custom-none",
    "custom-org",
    "custom-audit",
    "custom-policy",
    "custom-blank",
    "no-role",
    "token:desktop",
    "token:gateway",
    "token:admin",
    "token:operator",
    "token:worker-internal",
    "token:desktop,gateway",
    "token:gateway,admin",
    "token:admin,operator",
    "token:nonsense",
    "token:",
    "member-token:desktop",
    "member-token:admin",
    "member-token:operator",
    "custom-token:admin",
    "worker",
    "webhook",
    "knowledge",
    "billing",
    "nobody",
];

/// Principals by the header `x-test-principal: kind@tenant`.
#[derive(Default)]
pub struct Principals {
    pub revoked: Mutex<BTreeSet<String>>,
    pub admitted: Mutex<Vec<String>>,
}

impl Principals {
    pub fn principal(&self, named: &str) -> Option<Principal> {
        let (kind, tenant) = named.split_once('@')?;
        let mut principal = Principal {
            tenant_id: tenant.into(),
            tenant_name: Some(tenant.to_uppercase()),
            org_id: tenant.into(),
            user_id: format!("user-{tenant}").as_str().into(),
            account_id: format!("user-{tenant}"),
            email: format!("user@{tenant}.test"),
            ..Principal::local_owner()
        };
        let (family, scopes) = kind.split_once(':').unwrap_or((kind, ""));
        let token = |mut principal: Principal, role: BuiltInRole| {
            principal.source = AuthSource::ApiToken;
            principal.role = Some(role);
            principal.token_id = Some(format!("tok-{named}"));
            principal.token_scopes = scopes
                .split(',')
                .filter(|scope| !scope.is_empty())
                .map(str::to_owned)
                .collect();
            principal
        };
        principal.source = match family {
            "local" => AuthSource::Local,
            "header" | "header-admin" => AuthSource::Header,
            "worker" => AuthSource::Worker,
            "webhook" => AuthSource::SignedWorkflowWebhook,
            "knowledge" => AuthSource::SignedKnowledgeAgent,
            "billing" => AuthSource::VerifiedBillingWebhook,
            "nobody" => return None,
            _ => AuthSource::User,
        };
        principal.role = match family {
            "owner" | "local" => Some(BuiltInRole::Owner),
            "admin" | "header-admin" => Some(BuiltInRole::Admin),
            "no-role" => None,
            _ => Some(BuiltInRole::Member),
        };
        let custom: Option<&[Permission]> = match family {
            "custom-none" => Some(&[]),
            "custom-org" => Some(&[Permission::OrgManage]),
            "custom-audit" => Some(&[Permission::AuditRead, Permission::MembersRead]),
            "custom-policy" | "custom-token" => Some(&[Permission::PolicyManage]),
            _ => None,
        };
        if custom.is_some() {
            principal.custom_role_key = Some("custom".into());
        }
        if family == "custom-blank" {
            principal.custom_role_key = Some(" ".into());
        }
        match family {
            "token" => principal = token(principal, BuiltInRole::Owner),
            "member-token" => principal = token(principal, BuiltInRole::Member),
            "custom-token" => principal = token(principal, BuiltInRole::Member),
            _ => {}
        }
        principal.permissions = principal.role.map(|role| role::resolve(role, custom));
        Some(principal)
    }
}

#[async_trait]
impl Authenticator for Principals {
    async fn authenticate(&self, incoming: Incoming<'_>) -> Result<Authenticated, ApiError> {
        let named = incoming.headers.get("x-test-principal");
        let named = named
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        if self.revoked.lock().unwrap().contains(named) {
            return Err(ApiError::unauthenticated("Revoked."));
        }
        let principal = self.principal(named);
        principal
            .map(Authenticated::new)
            .ok_or_else(|| ApiError::unauthenticated("Nobody."))
    }

    async fn admit(&self, who: &Authenticated) -> Result<(), ApiError> {
        let mut admitted = self.admitted.lock().unwrap();
        admitted.push(who.principal.email.clone());
        Ok(())
    }

    async fn still_valid(&self, who: &Authenticated) -> Result<bool, ApiError> {
        let revoked = self.revoked.lock().unwrap();
        let tenant = who.principal.tenant_id.as_str();
        Ok(!revoked
            .iter()
            .any(|named| named.ends_with(&format!("@{tenant}"))))
    }
}

/// Secrets that are none.
pub struct Plain;

#[async_trait]
impl Secrets for Plain {
    async fn protect(&self, plain: &SecretString, context: &str) -> Result<String, SecretError> {
        Ok(format!("plain:v1:{context}:{}", plain.expose_secret()))
    }

    async fn reveal(&self, stored: &str, context: &str) -> Result<SecretString, SecretError> {
        let plain = stored.strip_prefix(&format!("plain:v1:{context}:"));
        let plain = plain.ok_or(SecretError::Unreadable)?;
        Ok(SecretString::from(plain.to_owned()))
    }

    fn mode(&self) -> SecretMode {
        SecretMode::Plaintext
    }
}
