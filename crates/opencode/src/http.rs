//! One HTTP call: deadline, size limits, and every answer checked by status, content type and shape
//! (docs/contract/08-opencode.md §4.3, §15.7).

use crate::client::Client;
use crate::directory::Directory;
use crate::error::Error;
use crate::surrogate;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;

/// Everything but the characters that no URL component needs escaped.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Longest error body that is read, and longest message of it that is kept.
const ERROR_BODY: usize = 64 * 1024;
const ERROR_MESSAGE: usize = 200;

/// A call that is being put together.
pub(crate) struct Call<'c> {
    client: &'c Client,
    method: Method,
    path: String,
    query: String,
    body: Option<Value>,
    authorized: bool,
    deadline: Duration,
    limit: usize,
}

/// A successful answer: 204, or JSON.
pub(crate) struct Answer {
    route: String,
    status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn get(&self, path: impl Into<String>) -> Call<'_> {
        self.call(Method::GET, path.into())
    }

    pub(crate) fn post(&self, path: impl Into<String>) -> Call<'_> {
        self.call(Method::POST, path.into())
    }

    pub(crate) fn patch(&self, path: impl Into<String>) -> Call<'_> {
        self.call(Method::PATCH, path.into())
    }

    pub(crate) fn delete(&self, path: impl Into<String>) -> Call<'_> {
        self.call(Method::DELETE, path.into())
    }

    fn call(&self, method: Method, path: String) -> Call<'_> {
        Call {
            client: self,
            method,
            path,
            query: String::new(),
            body: None,
            authorized: true,
            deadline: self.shared.timeouts.call,
            limit: self.shared.limits.answer,
        }
    }
}

impl Call<'_> {
    /// Selects the directory; the query wins over every other way (§4.2).
    pub(crate) fn directory(self, directory: &Directory) -> Self {
        self.query("directory", directory.as_str())
    }

    pub(crate) fn query(mut self, key: &str, value: &str) -> Self {
        self.query
            .push(if self.query.is_empty() { '?' } else { '&' });
        self.query.push_str(key);
        self.query.push('=');
        self.query.extend(utf8_percent_encode(value, COMPONENT));
        self
    }

    pub(crate) fn json(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    pub(crate) fn unauthorized(mut self) -> Self {
        self.authorized = false;
        self
    }

    pub(crate) fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    pub(crate) fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Method and path.
    pub(crate) fn route(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Sends it and reads the whole answer.
    pub(crate) async fn send(self) -> Result<Answer, Error> {
        let (route, after) = (self.route(), self.deadline);
        match tokio::time::timeout(after, self.exchange()).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::Timeout { route, after }),
        }
    }

    async fn exchange(self) -> Result<Answer, Error> {
        let route = self.route();
        let shared = &self.client.shared;
        let mut request = shared.http.request(
            self.method,
            format!("{}{}{}", shared.base, self.path, self.query),
        );
        if self.authorized {
            request = request.header(AUTHORIZATION, shared.authorization.clone());
        }
        if let Some(body) = &self.body {
            let body = serde_json::to_vec(body).map_err(|error| Error::BadRequest {
                route: route.clone(),
                reason: error.to_string(),
            })?;
            if body.len() > shared.limits.request {
                return Err(Error::TooLarge {
                    route,
                    bytes: body.len(),
                    limit: shared.limits.request,
                });
            }
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let mut response = request
            .send()
            .await
            .map_err(|error| unreachable(&route, &error))?;
        let status = response.status();
        let content_type = media_type(response.headers());
        if !status.is_success() {
            // An error body that is too long or cut tells nothing worth waiting for: the status decides.
            let body = read_bounded(&mut response, &route, ERROR_BODY)
                .await
                .unwrap_or_default();
            return Err(refusal(route, status, &content_type, &body));
        }
        if content_type == "text/html" {
            return Err(Error::RouteMissing { route });
        }
        let headers = response.headers().clone();
        if status == StatusCode::NO_CONTENT {
            return Ok(Answer {
                route,
                status,
                headers,
                body: Vec::new(),
            });
        }
        if content_type != "application/json" {
            let reason = format!("content type {content_type:?} instead of application/json");
            return Err(Error::BadAnswer { route, reason });
        }
        let body = read_bounded(&mut response, &route, self.limit).await?;
        Ok(Answer {
            route,
            status,
            headers,
            body,
        })
    }
}

impl Answer {
    /// The body as `T`. The error names the place in the body, never its content.
    pub(crate) fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        surrogate::from_json_bytes(&self.body).map_err(|error| {
            let reason = format!(
                "not of the expected shape at line {} column {}",
                error.line(),
                error.column()
            );
            Error::BadAnswer {
                route: self.route.clone(),
                reason,
            }
        })
    }

    /// Expects the answer `true`.
    pub(crate) fn expect_true(&self) -> Result<(), Error> {
        match self.decode()? {
            true => Ok(()),
            false => Err(self.unexpected("false instead of true")),
        }
    }

    /// Expects 204.
    pub(crate) fn expect_no_content(&self) -> Result<(), Error> {
        match self.status {
            StatusCode::NO_CONTENT => Ok(()),
            status => Err(self.unexpected(&format!("status {status} instead of 204"))),
        }
    }

    /// This answer as an error.
    pub(crate) fn unexpected(&self, reason: &str) -> Error {
        Error::BadAnswer {
            route: self.route.clone(),
            reason: reason.to_owned(),
        }
    }
}

/// An id as a path segment. An id that OpenCode can't have made is not found, instead of the 500 that classic routes
/// answer (§4.3), and can't reach another route.
pub(crate) fn segment(route: &str, prefix: &str, id: &str) -> Result<String, Error> {
    let plausible = id.starts_with(prefix)
        && id.len() <= 256
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    match plausible {
        true => Ok(id.to_owned()),
        false => Err(Error::NotFound {
            route: route.to_owned(),
            kind: format!("an id must start with {prefix}"),
        }),
    }
}

/// `type/subtype` in lower case, without parameters; empty when absent.
pub(crate) fn media_type(headers: &HeaderMap) -> String {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    value
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

async fn read_bounded(
    response: &mut reqwest::Response,
    route: &str,
    limit: usize,
) -> Result<Vec<u8>, Error> {
    let too_large = || Error::AnswerTooLarge {
        route: route.to_owned(),
        limit,
    };
    if response
        .content_length()
        .is_some_and(|length| length > limit as u64)
    {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| unreachable(route, &error))?
    {
        if body.len() + chunk.len() > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What a transport error says, without addresses and content.
pub(crate) fn transport_reason(error: &reqwest::Error) -> &'static str {
    if error.is_connect() {
        "no connection"
    } else if error.is_timeout() {
        "connecting took too long"
    } else {
        "the connection broke off"
    }
}

fn unreachable(route: &str, error: &reqwest::Error) -> Error {
    Error::Unreachable {
        route: route.to_owned(),
        reason: transport_reason(error).to_owned(),
    }
}

/// Every error body that OpenCode has, in one: `{name, data}`, `{_tag, …}`, `{error}`; plain text and empty bodies
/// leave all fields empty (§4.3).
#[derive(Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    name: Option<String>,
    #[serde(default, rename = "_tag")]
    tag: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    error: Option<Value>,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    field: Option<String>,
    #[serde(default)]
    service: Option<String>,
    #[serde(default)]
    data: Option<ErrorData>,
}

#[derive(Default, Deserialize)]
struct ErrorData {
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default, rename = "ref")]
    reference: Option<String>,
}

/// The error that an answer outside 2xx stands for.
pub(crate) fn refusal(route: String, status: StatusCode, content_type: &str, body: &[u8]) -> Error {
    let parsed: ErrorBody = surrogate::from_json_bytes(body).unwrap_or_default();
    let data = parsed.data.unwrap_or_default();
    let kind = parsed.name.or(parsed.tag).unwrap_or_default();
    match (status.as_u16(), kind.as_str()) {
        (401, _) => Error::Unauthorized { route },
        _ if content_type == "text/html" => Error::RouteMissing { route },
        (_, "ConfigInvalidError" | "ConfigJsonError") => Error::Misconfigured { route, kind },
        (404, _) => Error::NotFound { route, kind },
        (409, "ConflictError") => Error::Conflict { route, kind },
        (409, _) => Error::Busy { route },
        (503, _) => Error::Unavailable {
            route,
            service: parsed.service.unwrap_or_else(|| "the service".into()),
        },
        (status @ 500.., _) => {
            // The reference is OpenCode's own short id; anything else in its place is not repeated.
            let reference = data.reference.filter(|reference| {
                reference.len() <= 64
                    && reference
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            });
            Error::Server {
                route,
                status,
                reference,
            }
        }
        (400..500, _) => {
            let message = data
                .message
                .or(parsed.message)
                .or(parsed.error.and_then(|e| e.as_str().map(str::to_owned)));
            let parts = [data.kind.or(parsed.kind), parsed.field, message];
            let mut reason = parts.into_iter().flatten().collect::<Vec<_>>().join(": ");
            if reason.is_empty() {
                reason = format!("status {}", status.as_u16());
            }
            Error::BadRequest {
                route,
                reason: reason.chars().take(ERROR_MESSAGE).collect(),
            }
        }
        (status, _) => Error::BadAnswer {
            route,
            reason: format!("status {status}"),
        },
    }
}
