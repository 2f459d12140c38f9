//! A route: everything about one method and path. Router, authorization, OpenAPI and tests read the same list.

mod tree;

pub use tree::{Found, Tree};

use crate::call::Call;
use crate::json::Fields;
use crate::reply::Answer;
use axum::http::{Method, StatusCode};
use futures::future::BoxFuture;
use open_cowork_contracts::access::CloudAction;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;
use std::borrow::Cow;
use std::future::Future;

/// Who may call, and where in the pipeline that is decided (03 §1.1).
#[derive(Clone, Copy, Debug)]
pub enum Access {
    /// Whoever the capability policy allows this action.
    Action(CloudAction),
    /// The action follows from the body, which is read first (07 §4.2: `POST /api/workflows` alone).
    ByBody(fn(&Value) -> CloudAction),
    /// Everybody, below the rate limit: the handler checks credentials of its own.
    Open,
    /// Everybody, above the rate limit: the handler has its own, and checks a signature.
    Webhook,
    /// Everybody, without any limit: health.
    Health,
}

impl Access {
    /// The action in the policy's table; for [`Access::ByBody`] that of an empty body.
    pub fn action(&self) -> Option<CloudAction> {
        match self {
            Access::Action(action) => Some(*action),
            Access::ByBody(choose) => Some(choose(&Value::Null)),
            _ => None,
        }
    }
}

/// How much of a body is read, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyBound {
    /// [`crate::cloud::Limits::body`].
    Json,
    /// [`crate::cloud::Limits::large_body`].
    Large,
    /// [`crate::cloud::Limits::webhook_body`].
    Webhook,
    /// Not read: the handler takes [`Call::stream`] and bounds it.
    Stream,
}

type Handler = Box<dyn Fn(Call) -> BoxFuture<'static, Answer> + Send + Sync>;
type Proof = Box<dyn Fn(&Call) -> BoxFuture<'static, bool> + Send + Sync>;
type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// One method and path.
pub struct Route {
    /// Method.
    pub method: Method,
    /// Path from the root, `:x` for one segment: `/api/sessions/:id`.
    pub path: Cow<'static, str>,
    /// Who may.
    pub access: Access,
    /// One line for the OpenAPI document.
    pub summary: &'static str,
    /// Status of success.
    pub status: StatusCode,
    /// What the body is bounded by.
    pub body: BodyBound,
    /// Names and meanings of query parameters.
    pub query: &'static [(&'static str, &'static str)],
    /// Other statuses of success or of redirection, with their meanings.
    pub also: &'static [(u16, &'static str)],
    /// The answer is a stream of server-sent events.
    pub streams: bool,
    /// Media type of success.
    pub media: &'static str,
    /// False for mutations that repeat safely by themselves and whose answers are not to be kept (secrets).
    pub replayable: bool,
    pub(crate) request: Option<SchemaOf>,
    pub(crate) response: Option<SchemaOf>,
    pub(crate) fields: Fields,
    pub(crate) proof: Option<Proof>,
    handler: Handler,
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl Route {
    /// A route. Paths without a leading slash are below `/api/`.
    pub fn new<F, A>(
        method: Method,
        path: impl Into<Cow<'static, str>>,
        access: Access,
        summary: &'static str,
        handler: F,
    ) -> Self
    where
        F: Fn(Call) -> A + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        let path = match path.into() {
            path if path.starts_with('/') => path,
            path => Cow::Owned(format!("/api/{path}")),
        };
        Route {
            method,
            path,
            access,
            summary,
            status: StatusCode::OK,
            body: BodyBound::Json,
            query: &[],
            also: &[],
            streams: false,
            media: "application/json; charset=utf-8",
            replayable: true,
            request: None,
            response: None,
            fields: Fields::default(),
            proof: None,
            handler: Box::new(move |call| Box::pin(handler(call))),
        }
    }

    /// `GET` of an action.
    pub fn get<F, A>(
        path: &'static str,
        action: CloudAction,
        summary: &'static str,
        handler: F,
    ) -> Self
    where
        F: Fn(Call) -> A + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        Route::new(Method::GET, path, Access::Action(action), summary, handler)
    }

    /// `POST` of an action.
    pub fn post<F, A>(
        path: &'static str,
        action: CloudAction,
        summary: &'static str,
        handler: F,
    ) -> Self
    where
        F: Fn(Call) -> A + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        Route::new(Method::POST, path, Access::Action(action), summary, handler)
    }

    /// `PUT` of an action.
    pub fn put<F, A>(
        path: &'static str,
        action: CloudAction,
        summary: &'static str,
        handler: F,
    ) -> Self
    where
        F: Fn(Call) -> A + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        Route::new(Method::PUT, path, Access::Action(action), summary, handler)
    }

    /// `PATCH` of an action.
    pub fn patch<F, A>(
        path: &'static str,
        action: CloudAction,
        summary: &'static str,
        handler: F,
    ) -> Self
    where
        F: Fn(Call) -> A + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        Route::new(
            Method::PATCH,
            path,
            Access::Action(action),
            summary,
            handler,
        )
    }

    /// `DELETE` of an action.
    pub fn delete<F, A>(
        path: &'static str,
        action: CloudAction,
        summary: &'static str,
        handler: F,
    ) -> Self
    where
        F: Fn(Call) -> A + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        Route::new(
            Method::DELETE,
            path,
            Access::Action(action),
            summary,
            handler,
        )
    }

    /// The type of the body: for [`Call::json`] and the OpenAPI document.
    #[must_use]
    pub fn takes<T: JsonSchema>(mut self) -> Self {
        self.request = Some(|generator| generator.subschema_for::<T>());
        self.fields = Fields::of::<T>();
        self
    }

    /// The type of the answer.
    #[must_use]
    pub fn answers<T: JsonSchema>(mut self) -> Self {
        self.response = Some(|generator| generator.subschema_for::<T>());
        self
    }

    /// The status of success, where it isn't 200.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
        self
    }

    /// The bound of the body, where it isn't 1 MiB of JSON.
    #[must_use]
    pub fn body(mut self, bound: BodyBound) -> Self {
        self.body = bound;
        self
    }

    /// Query parameters with their meanings.
    #[must_use]
    pub fn query(mut self, query: &'static [(&'static str, &'static str)]) -> Self {
        self.query = query;
        self
    }

    /// Other statuses of success or of redirection, with their meanings.
    #[must_use]
    pub fn also(mut self, also: &'static [(u16, &'static str)]) -> Self {
        self.also = also;
        self
    }

    /// The answer is a stream of server-sent events.
    #[must_use]
    pub fn streaming(mut self) -> Self {
        self.streams = true;
        self.media("text/event-stream; charset=utf-8")
    }

    /// The media type of success, where it isn't JSON.
    #[must_use]
    pub fn media(mut self, media: &'static str) -> Self {
        self.media = media;
        self
    }

    /// Answers hold secrets that are shown once: an `Idempotency-Key` keeps no copy of them.
    #[must_use]
    pub fn secret(mut self) -> Self {
        self.replayable = false;
        self
    }

    /// Proof of the channel binding that a request names, asked only where the policy needs it (03 §7). The body
    /// is read first.
    #[must_use]
    pub fn proves<F, P>(mut self, proof: F) -> Self
    where
        F: Fn(&Call) -> P + Send + Sync + 'static,
        P: Future<Output = bool> + Send + 'static,
    {
        self.proof = Some(Box::new(move |call| Box::pin(proof(call))));
        self
    }

    /// Names of the `:x` segments, in order.
    pub fn params(&self) -> impl Iterator<Item = &str> {
        self.path
            .split('/')
            .filter_map(|segment| segment.strip_prefix(':'))
    }

    /// True when a repetition may change something twice.
    pub fn mutates(&self) -> bool {
        !matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }

    pub(crate) fn call(&self, call: Call) -> BoxFuture<'static, Answer> {
        (self.handler)(call)
    }
}
