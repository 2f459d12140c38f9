//! The order in which a request is treated (03 §1.1).
//!
//! | step | in |
//! |---|---|
//! | request id, security and CORS headers, metrics | here, `headers` |
//! | a hosted renderer below `/app` | `renderer` |
//! | health; webhooks, which check a signature | the route table |
//! | limit per address | `rate` |
//! | open routes: sign-in, invites, the API's description | the route table |
//! | authentication, limits per organisation and token | [`crate::principal`], `rate` |
//! | 404 and 405, with a code | here |
//! | CSRF, authorization, first use | [`crate::principal`], `open_cowork_policy::capability` |
//! | body, idempotency, handler | `body`, `idempotency`, [`crate::http`] |

mod body;
mod foreign;
mod headers;
mod idempotency;
mod rate;
mod renderer;

pub use renderer::Renderer;

use crate::call::Call;
use crate::cloud::{Cloud, Limits};
use crate::error::ApiError;
use crate::http;
use crate::principal::{Authenticated, Incoming};
use crate::reply::{self, Answer};
use crate::route::{Access, BodyBound, Found, Route, Tree};
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{ALLOW, HOST, HeaderName, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use bytes::Bytes;
use futures::FutureExt;
use headers::Fixed;
use idempotency::{Claim, Held};
use open_cowork_contracts::access::DenialCode;
use open_cowork_policy::capability;
use open_cowork_providers::trace::{self, Trace};
use rate::{Buckets, Left, Scope};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tower::ServiceExt;
use tracing::Instrument;

/// What is served beside the API.
#[derive(Clone, Debug, Default)]
pub struct Surfaces {
    /// The workbench: owns `/` and whatever isn't the server's. Requests carry an [`Authenticated`] extension,
    /// which it admits itself.
    pub workbench: Option<Router>,
    /// A renderer of somebody else's below `/app`.
    pub renderer: Option<Renderer>,
}

/// Most time that a read may take, and a mutation. Beyond it the caller hears 503; a mutation goes on.
const READ_DEADLINE: Duration = Duration::from_secs(15);
const MUTATION_DEADLINE: Duration = Duration::from_secs(55);

/// The cloud's HTTP surface. [`crate::server::serve`] it, or any server that adds [`ConnectInfo`] of a
/// [`SocketAddr`].
pub fn router(cloud: Cloud, surfaces: Surfaces) -> Router {
    let pipeline = Pipeline {
        tree: Tree::new(http::routes(&cloud.options)),
        fixed: Fixed::new(&cloud.options),
        buckets: Buckets::new(cloud.options.limits.requests),
        surfaces,
        cloud,
    };
    Router::new().fallback(serve).with_state(Arc::new(pipeline))
}

struct Pipeline {
    cloud: Cloud,
    tree: Tree,
    fixed: Fixed,
    buckets: Buckets,
    surfaces: Surfaces,
}

/// What is known of a request while it is answered.
struct Asked {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    peer: IpAddr,
    source: IpAddr,
    id: String,
    trace: Option<Trace>,
}

impl Asked {
    fn incoming(&self) -> Incoming<'_> {
        Incoming {
            method: &self.method,
            uri: &self.uri,
            headers: &self.headers,
            peer: self.peer,
            source: self.source,
        }
    }
}

async fn serve(State(pipeline): State<Arc<Pipeline>>, request: Request) -> Response<Body> {
    let started = Instant::now();
    let origin = headers::origin(request.headers()).cloned();
    let method = request.method().clone();
    let id = headers::request_id(request.headers());
    let mut matched = None;
    let answer = pipeline.answer(request, &id, &mut matched).await;
    let mut response = answer.unwrap_or_else(|error| {
        count_refusal(&error);
        error.response()
    });
    pipeline
        .fixed
        .apply(origin.as_ref(), &id, response.headers_mut());
    let status = response.status();
    let options = &pipeline.cloud.options;
    let labels = [
        ("method", method_label(&method).to_owned()),
        ("status", status.as_str().to_owned()),
        ("role", options.role.as_str().to_owned()),
        ("profile", options.profile.name.clone()),
    ];
    let spent = started.elapsed();
    metrics::counter!("open_cowork_cloud_http_requests_total", &labels).increment(1);
    metrics::histogram!("open_cowork_cloud_http_request_duration_ms", &labels)
        .record(spent.as_secs_f64() * 1000.0);
    let label = matched
        .as_ref()
        .map_or("other", |route: &Arc<Route>| &*route.path);
    tracing::debug!(
        name: "cloud.http.request", %method, route = label, status = status.as_u16(),
        ms = spent.as_millis() as u64, request_id = %id, "cloud.http.request"
    );
    response
}

impl Pipeline {
    async fn answer(&self, request: Request, id: &str, matched: &mut Option<Arc<Route>>) -> Answer {
        if request.method() == Method::OPTIONS {
            return Ok(reply::empty(StatusCode::NO_CONTENT));
        }
        let (parts, body) = request.into_parts();
        // What is asked of one of two hosts is asked of nobody: a proxy may have judged the other one (RFC 9112 §3.2).
        if parts.headers.get_all(HOST).iter().nth(1).is_some() {
            let twice =
                ApiError::invalid("The request carries more than one Host header; send one.");
            return Err(twice.closing());
        }
        let found = self.tree.find(&parts.method, parts.uri.path());
        if let Found::Route(route, _) = &found {
            *matched = Some(route.clone());
        }
        let peer = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |info| info.0.ip());
        let mut asked = Asked {
            method: parts.method,
            uri: parts.uri,
            headers: parts.headers,
            peer,
            source: peer,
            id: id.to_owned(),
            trace: None,
        };
        if let Some(renderer) = &self.surfaces.renderer
            && asked.method == Method::GET
            && let Some(answer) = renderer.serve(asked.uri.path()).await
        {
            return answer;
        }
        if let Found::Route(route, params) = &found
            && matches!(route.access, Access::Health | Access::Webhook)
        {
            asked.source = self.cloud.authenticator.source(peer, &asked.headers);
            return self.enter(route, params, asked, None, body).await;
        }
        // Who calls a webhook has nothing to sign in with (03 §8.20).
        if first_segment(asked.uri.path()) == Some("webhooks") {
            return match &found {
                Found::OtherMethods(methods) => Ok(other_method(methods)),
                _ => Err(unknown(StatusCode::NOT_FOUND, "Not found.")),
            };
        }
        asked.source = self.cloud.authenticator.source(peer, &asked.headers);
        let now = Instant::now();
        let left = self.buckets.take(Scope::Address(asked.source), now)?;
        if let Found::Route(route, params) = &found
            && matches!(route.access, Access::Open)
        {
            let answer = self.enter(route, params, asked, None, body).await?;
            return Ok(limited(answer, left));
        }
        if let Some(workbench) = &self.surfaces.workbench
            && matches!(found, Found::Nothing | Found::OtherMethods(_))
            && !is_servers(asked.uri.path())
        {
            return self.workbench(workbench.clone(), asked, body).await;
        }
        self.authenticated(found, asked, body, left).await
    }

    /// Everything behind authentication.
    async fn authenticated(
        &self,
        found: Found,
        asked: Asked,
        body: Body,
        left: Option<Left>,
    ) -> Answer {
        let authenticator = &self.cloud.authenticator;
        if authenticator.is_open() {
            foreign::refuse(&self.cloud.options, &asked.headers)?;
        }
        let who = authenticator.authenticate(asked.incoming()).await?;
        let now = Instant::now();
        let org = Scope::Organisation(&who.principal.org_id);
        let mut left = tighter(left, self.buckets.take(org, now)?);
        if let Some(token) = &who.principal.token_id {
            left = tighter(left, self.buckets.take(Scope::Token(token), now)?);
        }
        let path = asked.uri.path();
        if path != "/api" && !path.trim_start_matches('/').starts_with("api/") {
            return Err(ApiError::not_found("Not found."));
        }
        let (route, params) = match found {
            Found::Route(route, params) => (route, params),
            Found::Nothing => return Err(unknown(StatusCode::NOT_FOUND, "Not found.")),
            Found::OtherMethods(methods) => return Ok(other_method(&methods)),
            Found::BadEncoding => {
                return Err(ApiError::invalid(
                    "The path is not percent-encoded UTF-8; encode each segment.",
                ));
            }
        };
        if route.mutates() {
            authenticator.check_csrf(asked.incoming(), &who)?;
        }
        let cookies = who.set_cookies.clone();
        let mut answer = self.enter(&route, &params, asked, Some(who), body).await?;
        for cookie in cookies {
            answer.headers_mut().append(SET_COOKIE, cookie);
        }
        Ok(limited(answer, left))
    }

    /// Authorizes, reads the body, calls the handler.
    async fn enter(
        &self,
        route: &Arc<Route>,
        params: &[String],
        mut asked: Asked,
        who: Option<Authenticated>,
        body: Body,
    ) -> Answer {
        // Before the body is read: a feature that is off must tell nothing else (07 §4.2).
        let mut needs_proof = false;
        if let Some(who) = &who {
            let action = route.access.action();
            match self.authorize(action, who, false) {
                Err(Refusal::Unproven(_)) if route.proof.is_some() => needs_proof = true,
                Err(_) if self.is_internal(action, &asked.headers) => {}
                decided => decided?,
            }
        }
        let limits = &self.cloud.options.limits;
        let (bytes, stream) = match bound(route, limits) {
            Some(bound) if route.mutates() => {
                let bytes = body::read(&asked.headers, body, bound, limits.receive).await?;
                (bytes, None)
            }
            Some(_) => (Bytes::new(), None),
            None => (Bytes::new(), Some(body)),
        };
        if let Some(signed) = who.as_ref().and_then(|who| who.body_sha256)
            && Sha256::digest(&bytes).as_slice() != signed
        {
            return Err(ApiError::unauthenticated(
                "The request body is not the one that was signed.",
            )
            .code("auth.invalid_signature"));
        }
        let traced = route.mutates()
            || asked.headers.contains_key("traceparent")
            || tracing::enabled!(target: "open_cowork::trace", tracing::Level::DEBUG);
        if traced {
            let parent = asked.headers.get("traceparent");
            let parent = parent.and_then(|value| value.to_str().ok());
            asked.trace = Some(Trace::incoming(parent));
        }
        let trace = asked.trace;
        let call = Call {
            cloud: self.cloud.clone(),
            route: route.clone(),
            who,
            method: asked.method,
            uri: asked.uri,
            headers: asked.headers,
            params: params.to_vec(),
            body: bytes,
            stream: Mutex::new(stream),
            peer: asked.peer,
            source: asked.source,
            request_id: asked.id,
        };
        if let Some(who) = &call.who {
            if let Access::ByBody(choose) = route.access {
                let action = choose(&Value::Object(call.object()?));
                self.authorize(Some(action), who, false)?;
            }
            if needs_proof && let Some(proof) = &route.proof {
                let proven = proof(&call).await;
                self.authorize(route.access.action(), who, proven)?;
            }
        }
        if let Some(who) = &call.who {
            self.cloud.authenticator.admit(who).await?;
        }
        match idempotency::claim(&call).await? {
            Claim::Answered(response) => Ok(response),
            Claim::Free => run(route, call, trace, None).await,
            Claim::Held(held) => run(route, call, trace, Some(held)).await,
        }
    }

    /// Whether this is the scheduler's tick by somebody who shows the deployment's internal token: they count as
    /// worker-internal there, whoever they are (03 §8.6).
    fn is_internal(
        &self,
        action: Option<open_cowork_contracts::access::CloudAction>,
        headers: &HeaderMap,
    ) -> bool {
        use open_cowork_contracts::access::{AuthSource, CloudAction, TokenScope};
        let options = &self.cloud.options;
        let scopes = [TokenScope::WorkerInternal.as_str()];
        let worker = capability::Principal::new(AuthSource::ApiToken.as_str(), scopes);
        action == Some(CloudAction::WorkflowsSchedulerTick)
            && crate::http::workflows::is_internal(options.internal_token.as_ref(), headers)
            && capability::evaluate(action, &worker, options.features(), false).allowed()
    }

    fn authorize(
        &self,
        action: Option<open_cowork_contracts::access::CloudAction>,
        who: &Authenticated,
        proven: bool,
    ) -> Result<(), Refusal> {
        let features = self.cloud.options.features();
        let decision = capability::evaluate(action, &who.access, features, proven);
        let labels = decision.labels();
        metrics::counter!(
            "open_cowork_cloud_workspace_policy_decisions_total",
            &labels
        )
        .increment(1);
        if decision.allowed() {
            return Ok(());
        }
        tracing::info!(
            name: "cloud.workspace_policy.decision",
            workspace_policy_action = labels[0].1, workspace_policy_principal = labels[1].1,
            workspace_policy_outcome = labels[2].1, workspace_policy_reason = labels[3].1,
            "cloud.workspace_policy.decision"
        );
        let error = ApiError::denied(&decision);
        Err(match decision.denial {
            Some(DenialCode::BindingScopeRequired) => Refusal::Unproven(error),
            _ => Refusal::Final(error),
        })
    }

    /// A page of the workbench. Who isn't signed in is sent to sign in.
    async fn workbench(&self, workbench: Router, asked: Asked, body: Body) -> Answer {
        let authenticator = &self.cloud.authenticator;
        let who = match authenticator.authenticate(asked.incoming()).await {
            Ok(who) => who,
            Err(error) => {
                let login = authenticator.login_path();
                let lost = error.status == StatusCode::UNAUTHORIZED && asked.method == Method::GET;
                let Some(login) = login.filter(|_| lost) else {
                    return Err(error);
                };
                let place = asked.uri.path_and_query().map_or("/", |path| path.as_str());
                let place: String =
                    url::form_urlencoded::byte_serialize(place.as_bytes()).collect();
                return Ok(redirect(&format!("{login}?returnTo={place}")));
            }
        };
        let cookies = who.set_cookies.clone();
        let mut request = Request::new(body);
        request.extensions_mut().insert(who);
        request
            .extensions_mut()
            .insert(ConnectInfo(SocketAddr::new(asked.peer, 0)));
        *request.method_mut() = asked.method;
        *request.uri_mut() = asked.uri;
        *request.headers_mut() = asked.headers;
        let mut response = match workbench.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        for cookie in cookies {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        Ok(response)
    }
}

/// Calls a handler: a panic is a 500 without detail, a mutation goes on when its caller leaves.
async fn run(route: &Arc<Route>, call: Call, trace: Option<Trace>, held: Option<Held>) -> Answer {
    let id = call.request_id.clone();
    let mutates = route.mutates();
    let label = &*route.path;
    let cloud = call.cloud.clone();
    let handler = route.call(call);
    let panicked = |what: &str| {
        tracing::error!(request_id = %id, route = label, what, "a handler panicked");
        ApiError::internal()
    };
    let late = || {
        ApiError::unavailable(
            "request.deadline",
            "The server did not finish in time; look whether it happened before you try again.",
        )
    };
    if !mutates {
        let guarded = AssertUnwindSafe(handler).catch_unwind();
        let guarded = match trace {
            Some(trace) => {
                let span = trace::span!(trace, "cloud.http.request", route = label);
                trace::with(trace, guarded).instrument(span).boxed()
            }
            None => guarded.boxed(),
        };
        return match tokio::time::timeout(READ_DEADLINE, guarded).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(panicked("read")),
            Err(_) => Err(late()),
        };
    }
    let trace = trace.unwrap_or_else(Trace::root);
    let span = trace::span!(trace, "cloud.http.request", route = label);
    let replayable = route.replayable;
    let work = async move {
        let answer = AssertUnwindSafe(handler).catch_unwind().await;
        let panicked = answer.is_err();
        let answer = answer.unwrap_or_else(|_| Err(ApiError::internal()));
        let answer = match held {
            Some(held) => idempotency::settle(&cloud, held, replayable, answer).await,
            None => answer,
        };
        (answer, panicked)
    };
    let task = tokio::spawn(trace::with(trace, work).instrument(span));
    match tokio::time::timeout(MUTATION_DEADLINE, task).await {
        Ok(Ok((answer, false))) => answer,
        Ok(Ok((_, true)) | Err(_)) => Err(panicked("mutation")),
        Err(_) => Err(late()),
    }
}

/// A refusal by the policy.
enum Refusal {
    /// Only the proof of a channel binding is missing.
    Unproven(ApiError),
    /// Nothing helps.
    Final(ApiError),
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unproven(error) | Refusal::Final(error) => error,
        }
    }
}

fn bound(route: &Route, limits: &Limits) -> Option<usize> {
    Some(match route.body {
        BodyBound::Json => limits.body,
        BodyBound::Large => limits.large_body,
        BodyBound::Webhook => limits.webhook_body,
        BodyBound::Stream => return None,
    })
}

fn first_segment(path: &str) -> Option<&str> {
    path.split('/').find(|segment| !segment.is_empty())
}

/// Paths that are never the workbench's.
fn is_servers(path: &str) -> bool {
    matches!(
        first_segment(path),
        Some(
            "api"
                | "auth"
                | "webhooks"
                | "scim"
                | "livez"
                | "readyz"
                | "progressz"
                | "openapi.json"
        )
    )
}

/// 404 and 405 say what upstream says with 403 (03 §12 #9).
fn unknown(status: StatusCode, sentence: &str) -> ApiError {
    ApiError::policy(status, DenialCode::ActionUnknown.as_str(), sentence)
}

fn other_method(methods: &[Method]) -> Response<Body> {
    let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    let names = names.join(", ");
    let error = unknown(
        StatusCode::METHOD_NOT_ALLOWED,
        &format!("This path doesn't know the method; it knows {names}."),
    );
    let mut response = error.response();
    if let Ok(names) = HeaderValue::from_str(&names) {
        response.headers_mut().insert(ALLOW, names);
    }
    response
}

fn redirect(location: &str) -> Response<Body> {
    let mut response = reply::empty(StatusCode::FOUND);
    let headers = response.headers_mut();
    if let Ok(location) = HeaderValue::from_str(location) {
        headers.insert(LOCATION, location);
    }
    headers.insert(
        HeaderName::from_static("cache-control"),
        HeaderValue::from_static("no-store"),
    );
    response
}

fn tighter(left: Option<Left>, other: Option<Left>) -> Option<Left> {
    match left {
        Some(left) => Some(left.tighter(other)),
        None => other,
    }
}

fn limited(mut answer: Response<Body>, left: Option<Left>) -> Response<Body> {
    if let Some(left) = left {
        left.apply(answer.headers_mut());
    }
    answer
}

fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        "HEAD" => "HEAD",
        _ => "other",
    }
}

fn count_refusal(error: &ApiError) {
    let code = error.code.as_str();
    if error.status == StatusCode::UNAUTHORIZED || code.starts_with("auth.") {
        metrics::counter!("open_cowork_cloud_auth_failures_total").increment(1);
    }
    let limited = code.starts_with("quota.") || code.starts_with("rate_limit.");
    if error.status == StatusCode::TOO_MANY_REQUESTS || limited {
        metrics::counter!("open_cowork_cloud_quota_rejections_total").increment(1);
    }
}
