//! One call: path, query and body in, a checked answer out, within its deadline and bounds.
//!
//! The typed methods in [`crate::routes`] are made of this; it is public for routes that this version doesn't know.

use crate::client::CloudClient;
use crate::error::{Error, refusal};
use crate::retry::{Backoff, jitter};
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// What `encodeURIComponent` leaves as it is.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// Longest body of a refusal that is read.
const REFUSAL_BYTES: usize = 64 * 1024;

/// A call that is being put together.
#[must_use = "a call does nothing until it is sent"]
#[derive(Debug)]
pub struct Call<'c> {
    client: &'c CloudClient,
    method: Method,
    /// Path, percent-encoded, from `/`.
    path: String,
    query: String,
    body: Bytes,
    content_type: Option<HeaderValue>,
    headers: Vec<(&'static str, HeaderValue)>,
    deadline: Duration,
    limit: usize,
    /// It changes nothing, whatever its method.
    reads: bool,
    /// What is wrong with it; said when it is sent.
    fault: Option<String>,
}

/// A successful answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Method and path.
    pub route: String,
    /// 2xx, or 304 to a conditional request.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// How an attempt failed.
enum Failure {
    /// The cloud certainly didn't act on it.
    NotDone(Error),
    /// Whether it acted is unknown.
    Unknown(Error),
    /// Its answer stands.
    Final(Error),
}

impl CloudClient {
    /// A call of `/api/…`: each segment is percent-encoded.
    pub fn api(&self, method: Method, segments: &[&str]) -> Call<'_> {
        self.call(method, "/api", segments)
    }

    /// A call of any path: `root` as it is, each segment percent-encoded.
    pub fn call(&self, method: Method, root: &str, segments: &[&str]) -> Call<'_> {
        let mut path = root.to_owned();
        let mut fault = None;
        for segment in segments {
            // URLs swallow these, so that another route would be asked.
            if matches!(*segment, "" | "." | "..") {
                fault = Some(format!("`{segment}` can't be an id"));
            }
            path.push('/');
            path.extend(utf8_percent_encode(segment, COMPONENT));
        }
        Call {
            client: self,
            reads: matches!(method, Method::GET | Method::HEAD),
            method,
            path,
            query: String::new(),
            body: Bytes::new(),
            content_type: None,
            headers: Vec::new(),
            deadline: self.shared.deadline,
            limit: self.shared.max_answer_bytes,
            fault,
        }
    }
}

impl Call<'_> {
    /// Adds the members of a struct of options: null is left out, lists repeat their key.
    pub fn query<Q: Serialize>(mut self, query: &Q) -> Self {
        match serde_json::to_value(query) {
            Ok(Value::Object(members)) => {
                for (key, value) in members {
                    match value {
                        Value::Array(items) => {
                            for item in items {
                                self = self.pair(&key, &item);
                            }
                        }
                        value => self = self.pair(&key, &value),
                    }
                }
            }
            Ok(Value::Null) => {}
            Ok(_) => self.fault = Some("its query must be an object".to_owned()),
            Err(error) => self.fault = Some(error.to_string()),
        }
        self
    }

    fn pair(self, key: &str, value: &Value) -> Self {
        match value {
            Value::Null => self,
            Value::String(text) => self.parameter(key, text),
            value => self.parameter(key, &value.to_string()),
        }
    }

    /// Adds one pair to the query.
    pub fn parameter(mut self, key: &str, value: &str) -> Self {
        self.query
            .push(if self.query.is_empty() { '?' } else { '&' });
        self.query.extend(utf8_percent_encode(key, COMPONENT));
        self.query.push('=');
        self.query.extend(utf8_percent_encode(value, COMPONENT));
        self
    }

    /// A JSON body.
    pub fn json<B: Serialize>(mut self, body: &B) -> Self {
        match serde_json::to_vec(body) {
            Ok(body) => {
                self.body = body.into();
                self.content_type = Some(HeaderValue::from_static("application/json"));
            }
            Err(error) => self.fault = Some(error.to_string()),
        }
        self
    }

    /// A body of any type.
    pub fn bytes(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        match HeaderValue::from_str(content_type) {
            Ok(value) => self.content_type = Some(value),
            Err(_) => self.fault = Some("its content type has characters that HTTP forbids".into()),
        }
        self.body = body.into();
        self
    }

    /// A header for this call only.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => self.headers.push((name, value)),
            Err(_) => self.fault = Some(format!("`{name}` has characters that HTTP forbids")),
        }
        self
    }

    /// A POST that changes nothing, such as a search: it needs no idempotency key.
    pub fn only_reads(mut self) -> Self {
        self.reads = true;
        self
    }

    /// Takes the longer deadline of calls that carry files.
    pub fn carries_files(mut self) -> Self {
        self.deadline = self.client.shared.upload_deadline;
        self
    }

    /// Method and path.
    pub fn route(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Method and path, and the whole address.
    pub(crate) fn address(self) -> Result<(String, String), Error> {
        let route = self.route();
        match self.fault {
            Some(reason) => Err(Error::Request { route, reason }),
            None => {
                let url = format!("{}{}{}", self.client.shared.base, self.path, self.query);
                Ok((route, url))
            }
        }
    }

    /// Sends it and reads the answer as JSON.
    pub async fn send<T: DeserializeOwned>(self) -> Result<T, Error> {
        self.answer().await?.json()
    }

    /// Sends it and reads one member of the answer, such as `agents` of `{"agents": […]}`.
    pub async fn member<T: DeserializeOwned>(self, name: &'static str) -> Result<T, Error> {
        let answer = self.answer().await?;
        let mut members: serde_json::Map<String, Value> = answer.json()?;
        let wrong = |reason: String| Error::Incompatible {
            route: answer.route.clone(),
            reason,
        };
        let member = members
            .remove(name)
            .ok_or_else(|| wrong(format!("its answer has no `{name}`")))?;
        serde_json::from_value(member)
            .map_err(|error| wrong(format!("`{name}` isn't as expected ({error})")))
    }

    /// Sends it and reads the answer's bytes.
    pub async fn answer(self) -> Result<Answer, Error> {
        let after = self.deadline;
        let deadline = Instant::now() + after;
        let route = self.route();
        match tokio::time::timeout_at(deadline, self.attempts(deadline)).await {
            Ok(result) => result,
            Err(_) => Err(Error::Timeout { route, after }),
        }
    }

    async fn attempts(self, deadline: Instant) -> Result<Answer, Error> {
        if let Some(reason) = self.fault.clone() {
            let route = self.route();
            return Err(Error::Request { route, reason });
        }
        let policy = self.client.shared.retry;
        let key = self.idempotency_key()?;
        let repeatable = self.reads || policy.keyed;
        let mut backoff = Backoff::new(policy.first, policy.longest);
        let mut left = policy.attempts.max(1);
        loop {
            left -= 1;
            let error = match self.attempt(key.as_ref()).await {
                Ok(answer) => return Ok(answer),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Unknown(error)) if !repeatable => return Err(error),
                Err(Failure::NotDone(error) | Failure::Unknown(error)) => error,
            };
            let wait = backoff.next_delay(jitter());
            let wait = error.retry_after().map_or(wait, |asked| asked.max(wait));
            // Waiting longer than the caller does would only hide what the cloud said.
            if left == 0 || Instant::now() + wait >= deadline {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// The key that makes a mutation safe to repeat: the caller's, else 128 random bits.
    fn idempotency_key(&self) -> Result<Option<HeaderValue>, Error> {
        if self.reads {
            return Ok(None);
        }
        let fault = |reason: &str| Error::Request {
            route: self.route(),
            reason: reason.to_owned(),
        };
        let key = match &self.client.key {
            Some(key) => HeaderValue::from_str(key),
            None => {
                let mut bits = [0u8; 16];
                getrandom::fill(&mut bits)
                    .map_err(|_| fault("there is no source of randomness"))?;
                HeaderValue::from_str(&format!("{:032x}", u128::from_be_bytes(bits)))
            }
        };
        let key = key.map_err(|_| fault("its idempotency key has characters that HTTP forbids"))?;
        Ok(Some(key))
    }

    async fn attempt(&self, key: Option<&HeaderValue>) -> Result<Answer, Failure> {
        let route = self.route();
        let shared = &self.client.shared;
        let safe = matches!(self.method, Method::GET | Method::HEAD);
        let mut headers = self.client.headers(!safe);
        if let Some(key) = key {
            headers.insert("idempotency-key", key.clone());
            if self.client.minimal {
                headers.insert("prefer", HeaderValue::from_static("return=minimal"));
            }
        }
        if let Some(content_type) = &self.content_type {
            headers.insert(CONTENT_TYPE, content_type.clone());
        }
        headers.insert(
            ACCEPT,
            HeaderValue::from_static("application/json, */*;q=0.5"),
        );
        for (name, value) in &self.headers {
            headers.insert(*name, value.clone());
        }
        let url = format!("{}{}{}", shared.base, self.path, self.query);
        let request = shared.http.request(self.method.clone(), url);
        let sent = request
            .headers(headers)
            .body(self.body.clone())
            .send()
            .await;
        let mut response = sent.map_err(|error| match error.is_connect() {
            true => Failure::NotDone(network(&route, error)),
            false if error.is_builder() => Failure::Final(Error::Request {
                route: route.clone(),
                reason: reason_of(&error),
            }),
            false => Failure::Unknown(network(&route, error)),
        })?;
        let status = response.status();
        if !status.is_success() && status != StatusCode::NOT_MODIFIED {
            // A body that is too long or cut tells nothing worth failing for: the status decides.
            let body = read(&mut response, &route, REFUSAL_BYTES).await;
            return Err(refused(
                route,
                status,
                response.headers(),
                &body.unwrap_or_default(),
            ));
        }
        let headers = response.headers().clone();
        let body = read(&mut response, &route, self.limit).await;
        let body = body.map_err(|error| match error {
            Error::TooLarge { .. } => Failure::Final(error),
            cut => Failure::Unknown(cut),
        })?;
        Ok(Answer {
            route,
            status,
            headers,
            body,
        })
    }
}

impl Answer {
    /// The body as JSON; an empty one is `{}`, as upstream's clients read it.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let body = match self.body.is_empty() {
            true => b"{}".as_slice(),
            false => &self.body,
        };
        serde_json::from_slice(body).map_err(|error| Error::Incompatible {
            route: self.route.clone(),
            reason: format!("its JSON isn't as expected ({error})"),
        })
    }
}

fn refused(route: String, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failure {
    if status.is_redirection() {
        return Failure::Final(Error::Incompatible {
            route,
            reason: format!(
                "it redirects ({status}), and a redirect would carry the credentials elsewhere"
            ),
        });
    }
    let error = Error::of(refusal(route, status, headers, body));
    match status.as_u16() {
        429 | 503 => Failure::NotDone(error),
        // A proxy that lost the cloud: it may have acted.
        502 | 504 => Failure::Unknown(error),
        // The same mutation is still being answered on another connection.
        409 if error.code() == Some("idempotency.in_progress") => Failure::NotDone(error),
        _ => Failure::Final(error),
    }
}

/// Reads a body up to a bound.
pub(crate) async fn read(
    response: &mut Response,
    route: &str,
    limit: usize,
) -> Result<Bytes, Error> {
    let too_large = || Error::TooLarge {
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
    loop {
        match response.chunk().await {
            Ok(Some(piece)) if body.len() + piece.len() > limit => return Err(too_large()),
            Ok(Some(piece)) => body.extend_from_slice(&piece),
            Ok(None) => return Ok(body.into()),
            Err(error) => return Err(network(route, error)),
        }
    }
}

/// What the network said, without the address: it is in the route.
pub(crate) fn network(route: &str, error: reqwest::Error) -> Error {
    Error::Network {
        route: route.to_owned(),
        reason: reason_of(&error.without_url()),
    }
}

fn reason_of(error: &reqwest::Error) -> String {
    // The first message says "error sending request"; the last one what happened.
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> CloudClient {
        CloudClient::builder("http://127.0.0.1:1").build().unwrap()
    }

    #[test]
    fn segments_and_queries_are_encoded_as_browsers_do() {
        #[derive(Serialize)]
        struct Query {
            limit: Option<u32>,
            q: &'static str,
            tag_id: Vec<&'static str>,
            on: bool,
            none: Option<u32>,
        }
        let client = client();
        let call = client
            .api(Method::GET, &["sessions", "a/b ü?#%", "it's(1)!"])
            .query(&Query {
                limit: Some(5),
                q: "a&b=c d",
                tag_id: vec!["x", "y"],
                on: false,
                none: None,
            });
        assert_eq!(call.path, "/api/sessions/a%2Fb%20%C3%BC%3F%23%25/it's(1)!");
        assert_eq!(
            call.query,
            "?limit=5&q=a%26b%3Dc%20d&tag_id=x&tag_id=y&on=false"
        );
    }

    #[tokio::test]
    async fn an_id_that_a_url_would_swallow_is_never_sent() {
        for id in ["", ".", ".."] {
            let client = client();
            let result = client
                .api(Method::DELETE, &["sessions", id])
                .send::<Value>()
                .await;
            assert!(
                matches!(result, Err(Error::Request { .. })),
                "{id}: {result:?}"
            );
        }
    }

    #[test]
    fn a_mutation_has_a_key_of_its_own_and_a_read_has_none() {
        let client = client();
        let key = |method: Method| client.api(method, &["x"]).idempotency_key().unwrap();
        assert_eq!(key(Method::GET), None);
        let (first, second) = (key(Method::POST).unwrap(), key(Method::DELETE).unwrap());
        assert_ne!(first, second);
        assert_eq!(first.len(), 32);
        let chosen = client.with_idempotency_key("mine");
        assert_eq!(
            chosen
                .api(Method::PUT, &["x"])
                .idempotency_key()
                .unwrap()
                .unwrap(),
            "mine"
        );
        let bad = client.with_idempotency_key("a\nb");
        assert!(bad.api(Method::PUT, &["x"]).idempotency_key().is_err());
    }
}
