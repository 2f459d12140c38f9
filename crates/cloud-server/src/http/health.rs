//! Health: alive, ready, moving (03 §4, 04 §11); metrics.

use crate::call::Call;
use crate::cloud::Cloud;
use crate::error::ApiError;
use crate::reply::{self, Answer};
use crate::route::{Access, Route};
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, Response, StatusCode};
use open_cowork_contracts::access::CloudAction;
use open_cowork_contracts::api::workspace::{
    CheckStatus, Liveness, ProgressSnapshot, Readiness as Report, ReadinessCheck,
};
use open_cowork_projection::sanitize::{Redaction, Redactor};
use open_cowork_providers::objects::ObjectStore;
use open_cowork_providers::secrets::{SecretError, SecretMode, Secrets};
use open_cowork_providers::store::Scope;
use secrecy::{ExposeSecret, SecretString};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The routes.
pub fn routes() -> Vec<Route> {
    vec![
        Route::new(
            Method::GET,
            "/livez",
            Access::Health,
            "Whether the process runs",
            livez,
        )
        .answers::<Liveness>(),
        Route::new(
            Method::GET,
            "/readyz",
            Access::Health,
            "Whether the process can serve",
            readyz,
        )
        .answers::<Report>(),
        Route::new(
            Method::GET,
            "/progressz",
            Access::Health,
            "Whether runs move",
            progressz,
        )
        .answers::<ProgressSnapshot>(),
        Route::get(
            "metrics",
            CloudAction::OperatorMetricsRead,
            "Metrics in the Prometheus text format",
            metrics,
        )
        .media("text/plain; version=0.0.4; charset=utf-8"),
    ]
}

async fn livez(call: Call) -> Answer {
    let options = &call.cloud.options;
    reply::ok(&Liveness {
        ok: true,
        role: super::workspace::role(options),
        profile_name: options.profile.name.clone(),
    })
}

async fn readyz(call: Call) -> Answer {
    let cloud = &call.cloud;
    let checks = match cloud.is_draining() {
        true => vec![result("draining", Err("Server is shutting down.".into()))],
        false => checks(cloud).await,
    };
    let ok = checks.iter().all(|check| check.status == CheckStatus::Ok);
    let report = Report {
        ok,
        role: super::workspace::role(&cloud.options),
        profile_name: cloud.options.profile.name.clone(),
        checks,
    };
    let status = match ok {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    reply::json(status, &report)
}

async fn progressz(call: Call) -> Answer {
    match &call.cloud.progress {
        Some(progress) => reply::ok(&progress()),
        None => reply::ok(&ProgressSnapshot::default()),
    }
}

async fn metrics(call: Call) -> Answer {
    let Some(render) = &call.cloud.metrics else {
        return Err(ApiError::unavailable(
            "metrics.unavailable",
            "This process records no metrics; look at its telemetry settings.",
        ));
    };
    let mut response = Response::new(Body::from(render()));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// What the last report found. Anybody may ask for readiness, so one report serves a second of askers.
#[derive(Debug, Default)]
pub struct Readiness {
    last: Mutex<Option<(Instant, Vec<ReadinessCheck>)>>,
    objects: Mutex<Option<Instant>>,
    running: tokio::sync::Mutex<()>,
}

/// How long a report serves, and a successful look at the object store.
const REPORT: Duration = Duration::from_secs(1);
const OBJECTS: Duration = Duration::from_secs(30);
/// Longest time of one check.
const CHECK: Duration = Duration::from_secs(5);

pub(crate) async fn checks(cloud: &Cloud) -> Vec<ReadinessCheck> {
    let readiness = cloud.readiness();
    let _one = readiness.running.lock().await;
    if let Some((at, checks)) = &*lock(&readiness.last)
        && at.elapsed() < REPORT
    {
        return checks.clone();
    }
    let mut checks = vec![timed("control_plane", control_plane(cloud)).await];
    if let Some(objects) = &cloud.objects {
        let fresh = lock(&readiness.objects).is_some_and(|at| at.elapsed() < OBJECTS);
        let found = match fresh {
            true => result("object_store", Ok(())),
            false => timed("object_store", object_store(cloud, &**objects)).await,
        };
        *lock(&readiness.objects) = match (found.status, fresh) {
            (CheckStatus::Ok, false) => Some(Instant::now()),
            (CheckStatus::Ok, true) => *lock(&readiness.objects),
            (CheckStatus::Error, _) => None,
        };
        checks.push(found);
    }
    checks.push(timed("secret_adapter", secret_adapter(&*cloud.secrets)).await);
    for check in &cloud.checks {
        checks.push(timed(check.name(), check.run()).await);
    }
    *lock(&readiness.last) = Some((Instant::now(), checks.clone()));
    checks
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn timed(name: &str, check: impl Future<Output = Result<(), String>>) -> ReadinessCheck {
    let found = tokio::time::timeout(CHECK, check).await;
    result(
        name,
        found.unwrap_or_else(|_| Err("It doesn't answer.".into())),
    )
}

fn result(name: &str, found: Result<(), String>) -> ReadinessCheck {
    let detail = found.err().map(|detail| {
        let clean = Redactor::default();
        let clean = clean.redact(&detail, Redaction::Full);
        clean.chars().take(512).collect()
    });
    ReadinessCheck {
        name: name.to_owned(),
        status: match &detail {
            None => CheckStatus::Ok,
            Some(_) => CheckStatus::Error,
        },
        detail,
    }
}

/// A read through every layer of the store; its migrations ran when it was opened.
async fn control_plane(cloud: &Cloud) -> Result<(), String> {
    let nobody = Scope::new("health", "health");
    let found = cloud.store.workspace_cursor(&nobody).await;
    found.map(|_| ()).map_err(|error| {
        tracing::warn!(%error, "the store doesn't pass its readiness check");
        "The database can't be reached.".into()
    })
}

async fn object_store(cloud: &Cloud, objects: &dyn ObjectStore) -> Result<(), String> {
    let now = cloud.now_iso();
    let day = now.split('T').next().unwrap_or_default();
    let key = format!("health/readiness/{day}/{}.txt", uuid::Uuid::new_v4());
    // Anybody may read this; what the store says in its own words is for the log.
    let failed = |error: open_cowork_providers::objects::ObjectError| {
        tracing::warn!(%error, "the object store doesn't pass its readiness check");
        "The object store can't be reached.".to_owned()
    };
    objects.put(&key, "ok".into()).await.map_err(failed)?;
    // Taken away before anything is judged: a store that can't be read must not fill up.
    let head = objects.head(&key).await;
    objects.delete(&key).await.map_err(failed)?;
    match head.map_err(failed)? {
        Some(head) if head.size == 2 => Ok(()),
        _ => Err("An object that was written can't be found.".into()),
    }
}

async fn secret_adapter(secrets: &dyn Secrets) -> Result<(), String> {
    if secrets.mode() == SecretMode::Unavailable {
        return Err("Secrets can't be kept here; set a secret key for this deployment.".into());
    }
    let plain = SecretString::from("readiness".to_owned());
    // As above: its own words are for the log.
    let failed = |error: SecretError| {
        tracing::warn!(%error, "the keeper of secrets doesn't pass its readiness check");
        "Secrets can't be encrypted and read back.".to_owned()
    };
    let kept = secrets.protect(&plain, "health:readiness").await;
    let kept = kept.map_err(failed)?;
    let read = secrets.reveal(&kept, "health:readiness").await;
    match read.map_err(failed)?.expose_secret() == "readiness" {
        true => Ok(()),
        false => Err("A secret doesn't read back as it was kept.".into()),
    }
}
