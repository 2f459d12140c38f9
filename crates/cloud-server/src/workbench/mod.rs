//! The workbench on the cloud: one per person, over the same use cases as the API, at `/`.
//!
//! | module | holds |
//! |---|---|
//! | this one | from a request to its person's workbench; sign-out; streams that end with their credential |
//! | `workspace` | the workspace of one person |
//! | `keys` | the page of provider keys |
//! | `look` | name, words and colours |
//!
//! Every workbench has its own router, so that nothing of one person can reach another's page.

mod keys;
mod look;
mod workspace;

pub use look::Look;

use crate::cloud::Cloud;
use crate::error::ApiError;
use crate::principal::{Authenticated, Incoming, Principal};
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::header::{CONTENT_TYPE, HOST, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use futures::StreamExt;
use open_cowork_config::model::Config;
use open_cowork_contracts::access::CloudAction;
use open_cowork_policy::capability;
use open_cowork_providers::bus::Topic;
use open_cowork_workbench::{Access, Options, SignOut, SignedIn};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::broadcast::error::RecvError;
use tower::ServiceExt;

/// Workbenches that are kept; one that isn't is made anew at its person's next request.
const KEPT: usize = 512;

/// How the workbench is served.
#[derive(Clone)]
pub struct WorkbenchOptions {
    /// Where people open it, such as `https://cowork.example.com`; empty: under any name.
    pub origins: Vec<String>,
    /// Key of the form tokens, the same for all processes behind one address.
    pub form_key: Option<Arc<[u8]>>,
    /// Name, words and colours.
    pub look: Look,
    /// The product's configuration: coworkers, providers, models.
    pub config: Arc<Config>,
}

impl std::fmt::Debug for WorkbenchOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkbenchOptions")
            .field("origins", &self.origins)
            .finish_non_exhaustive()
    }
}

/// The pages, for [`crate::pipeline::Surfaces`]: each request carries an [`Authenticated`].
pub fn router(cloud: Cloud, options: WorkbenchOptions) -> Router {
    let door = Arc::new(Door {
        cloud,
        options,
        kept: Mutex::default(),
    });
    Router::new().fallback(move |request: Request| {
        let door = door.clone();
        async move {
            let answer = door.serve(request).await;
            answer.unwrap_or_else(|refused| refused.response())
        }
    })
}

struct Door {
    cloud: Cloud,
    options: WorkbenchOptions,
    /// The one used last at the end.
    kept: Mutex<VecDeque<(Principal, Router)>>,
}

impl Door {
    async fn serve(&self, mut request: Request) -> Result<Response<Body>, ApiError> {
        let Some(who) = request.extensions().get::<Authenticated>().cloned() else {
            return Err(ApiError::internal());
        };
        // The pages are for people who may see threads; what else they may is asked where they do it.
        allowed(&self.cloud, &who, CloudAction::SessionsList)?;
        self.cloud.authenticator.admit(&who).await?;
        let principal = &who.principal;
        let session = principal.browser_session.as_ref();
        request.extensions_mut().insert(SignedIn {
            session: match session {
                Some(session) => format!("session:{}", session.csrf),
                None => format!("person:{}:{}", principal.tenant_id, principal.user_id),
            },
            account: Some(principal.email.clone()).filter(|email| !email.is_empty()),
            can_sign_out: session.is_some(),
        });
        let asked = Asked::of(&request);
        let workbench = self.workbench(&who);
        let answered = workbench.oneshot(request).await;
        let mut response = answered.unwrap_or_else(|never| match never {});
        if response.extensions_mut().remove::<SignOut>().is_some() {
            return self.sign_out(&asked, &who).await;
        }
        Ok(self.while_valid(response, who))
    }

    /// The workbench of that person, made at their first request and again when what they are changes.
    fn workbench(&self, who: &Authenticated) -> Router {
        let mut principal = (*who.principal).clone();
        principal.browser_session = None; // several browsers of one person share it
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.iter().position(|(known, _)| *known == principal);
        let router = match known.and_then(|at| kept.remove(at)) {
            Some((_, router)) => router,
            None => self.make(who),
        };
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back((principal, router.clone()));
        router
    }

    fn make(&self, who: &Authenticated) -> Router {
        let workspace = workspace::CloudWorkspace::new(
            self.cloud.clone(),
            who.clone(),
            self.options.config.clone(),
        );
        let mut options = Options::new(Access::signed_in(self.options.origins.iter().cloned()));
        options.form_key = self.options.form_key.clone();
        options.folders = false;
        options.managed_keys = true;
        options.branding = self.options.look.branding.clone();
        options.theme = self.options.look.theme;
        options.shutdown = self.cloud.draining().clone();
        options.limits.prompt_bytes = workspace::MAX_PROMPT_BYTES;
        let clock = self.cloud.clock.clone();
        options.now = clock;
        open_cowork_workbench::router(Arc::new(workspace), options)
    }

    /// Ends the browser's session as `POST /auth/logout` does, and leads to the first page.
    async fn sign_out(
        &self,
        asked: &Asked,
        who: &Authenticated,
    ) -> Result<Response<Body>, ApiError> {
        let mut headers = asked.headers.clone();
        // The workbench has checked its own token; the session's own stands for it here.
        if let Some(session) = &who.principal.browser_session
            && let Ok(token) = HeaderValue::from_str(&session.csrf)
        {
            headers.insert("x-csrf-token", token);
        }
        let uri = Uri::from_static("/auth/logout");
        let ended = self.cloud.authenticator.sign_in(Incoming {
            method: &Method::POST,
            uri: &uri,
            headers: &headers,
            peer: asked.peer,
            source: self.cloud.authenticator.source(asked.peer, &headers),
        });
        let ended = ended.await?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SEE_OTHER;
        response
            .headers_mut()
            .insert(LOCATION, HeaderValue::from_static("/"));
        for cookie in ended.headers().get_all(SET_COOKIE) {
            response.headers_mut().append(SET_COOKIE, cookie.clone());
        }
        Ok(response)
    }

    /// A stream ends when whoever opened it may not read anymore (03 §12 #6).
    fn while_valid(&self, response: Response<Body>, who: Authenticated) -> Response<Body> {
        let is_stream = response
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        if !is_stream {
            return response;
        }
        let (parts, body) = response.into_parts();
        let lost = Box::pin(lost(self.cloud.clone(), who));
        let body = Body::from_stream(body.into_data_stream().take_until(lost));
        Response::from_parts(parts, body)
    }
}

/// Done when the credential doesn't hold anymore. An answer that can't be had now leaves it as it is.
async fn lost(cloud: Cloud, who: Authenticated) {
    let mut bus = cloud.bus.subscribe();
    let mut every = tokio::time::interval(cloud.options.limits.revalidate);
    every.tick().await; // the first is at once
    loop {
        tokio::select! {
            _ = every.tick() => {}
            topic = bus.recv() => match topic {
                Ok(Topic::Credentials(tenant)) if tenant == who.principal.tenant_id => {}
                Ok(Topic::Everything) | Err(RecvError::Lagged(_)) => {}
                Ok(_) => continue,
                Err(RecvError::Closed) => {
                    every.tick().await;
                }
            },
        }
        if matches!(cloud.authenticator.still_valid(&who).await, Ok(false)) {
            return;
        }
    }
}

/// What is needed of a request after it was handed on.
struct Asked {
    headers: HeaderMap,
    peer: IpAddr,
}

impl Asked {
    fn of(request: &Request) -> Self {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let mut headers = HeaderMap::new();
        for name in [axum::http::header::COOKIE, HOST, axum::http::header::ORIGIN] {
            if let Some(value) = request.headers().get(&name) {
                headers.insert(name, value.clone());
            }
        }
        Asked {
            headers,
            peer: peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.0.ip()),
        }
    }
}

/// Whether the policy lets somebody do something; the same table as the API's (07 §4).
fn allowed(cloud: &Cloud, who: &Authenticated, action: CloudAction) -> Result<(), ApiError> {
    let decision = capability::evaluate(Some(action), &who.access, cloud.options.features(), false);
    match decision.allowed() {
        true => Ok(()),
        false => Err(ApiError::denied(&decision)),
    }
}
