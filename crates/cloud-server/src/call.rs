//! One request, as a handler sees it: authorized, its body read within its bound.

use crate::cloud::Cloud;
use crate::error::ApiError;
use crate::json;
use crate::principal::{Authenticated, Principal};
use crate::route::Route;
use axum::http::{HeaderMap, Method, Uri};
use bytes::Bytes;
use open_cowork_contracts::SessionId;
use open_cowork_providers::store::{Scope, SessionKey};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// One request.
pub struct Call {
    /// What handlers share.
    pub cloud: Cloud,
    /// The route that it matched.
    pub route: Arc<Route>,
    /// Who asks; absent on open routes.
    pub who: Option<Authenticated>,
    /// Method.
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    /// Headers.
    pub headers: HeaderMap,
    /// Values of the `:x` segments, decoded, in order.
    pub params: Vec<String>,
    /// The body; empty for streaming routes.
    pub body: Bytes,
    /// The unread body of a route that streams it; [`Call::take_stream`] takes it.
    pub stream: Mutex<Option<axum::body::Body>>,
    /// The other end of the socket.
    pub peer: IpAddr,
    /// The client's address.
    pub source: IpAddr,
    /// Id of this request, for logs.
    pub request_id: String,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call")
            .field("method", &self.method)
            .field("route", &self.route.path)
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

impl Call {
    /// The same request for a look ahead, without the stream of its body.
    #[must_use]
    pub fn glance(&self) -> Call {
        Call {
            cloud: self.cloud.clone(),
            route: self.route.clone(),
            who: self.who.clone(),
            method: self.method.clone(),
            uri: self.uri.clone(),
            headers: self.headers.clone(),
            params: self.params.clone(),
            body: self.body.clone(),
            stream: Mutex::new(None),
            peer: self.peer,
            source: self.source,
            request_id: self.request_id.clone(),
        }
    }

    /// Who asks.
    ///
    /// # Errors
    /// 401 on an open route, where nobody was asked.
    pub fn principal(&self) -> Result<&Principal, ApiError> {
        let who = self.who.as_ref();
        who.map(|who| &*who.principal)
            .ok_or_else(|| ApiError::unauthenticated("Sign in first."))
    }

    /// The owner of the caller's sessions.
    ///
    /// # Errors
    /// As [`Call::principal`].
    pub fn scope(&self) -> Result<Scope, ApiError> {
        Ok(self.principal()?.scope())
    }

    /// The value of the segment `:name`; empty when the route has none, which its own test notices.
    pub fn param(&self, name: &str) -> &str {
        let names = self.route.params();
        names
            .zip(&self.params)
            .find(|(known, _)| *known == name)
            .map_or("", |(_, value)| value.as_str())
    }

    /// The key of the session `:id` in the caller's tenant; whether it is the caller's is for the service.
    ///
    /// # Errors
    /// As [`Call::principal`].
    pub fn session_key(&self) -> Result<SessionKey, ApiError> {
        Ok(SessionKey {
            tenant_id: self.principal()?.tenant_id.clone(),
            session_id: SessionId::from(self.param("id")),
        })
    }

    /// The body as an object (03 §1.3).
    ///
    /// # Errors
    /// 400 with the place.
    pub fn object(&self) -> Result<Map<String, Value>, ApiError> {
        json::object(&self.body)
    }

    /// The body in its type, its fields read leniently as [`json::Fields`] says; the route names the same type
    /// with [`Route::takes`].
    ///
    /// # Errors
    /// 400 with the place.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let mut object = self.object()?;
        self.route.fields.fit(&mut object);
        json::typed(object)
    }

    /// The unread body of a [`crate::route::BodyBound::Stream`] route; `None` the second time.
    pub fn take_stream(&self) -> Option<axum::body::Body> {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        stream.take()
    }

    /// The query.
    pub fn query(&self) -> Query<'_> {
        Query {
            text: self.uri.query().unwrap_or_default(),
        }
    }

    /// The caller's idempotency key.
    pub fn idempotency_key(&self) -> Option<&str> {
        self.header("idempotency-key").map(str::trim)
    }

    /// An id for what this request makes: random, or, with an `Idempotency-Key`, always the same for the same
    /// caller, route and key, so that a repetition after a crash makes nothing twice. `kind` tells the ids of one
    /// request apart.
    pub fn new_id(&self, kind: &str) -> String {
        let (Some(key), Some(who)) = (self.idempotency_key(), &self.who) else {
            return uuid::Uuid::new_v4().to_string();
        };
        let principal = &who.principal;
        let mut digest = Sha256::new();
        for part in [
            kind,
            principal.tenant_id.as_str(),
            principal.user_id.as_str(),
            principal.token_id.as_deref().unwrap_or_default(),
            self.method.as_str(),
            self.uri.path(),
            key,
        ] {
            digest.update(part);
            digest.update([0]);
        }
        let digest = digest.finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        uuid::Builder::from_random_bytes(bytes)
            .into_uuid()
            .to_string()
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// True when the caller wants no body back (`Prefer: return=minimal`, 03 §12 #8).
    pub fn wants_minimal(&self) -> bool {
        let values = self.headers.get_all("prefer").iter();
        values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|preference| preference.trim().eq_ignore_ascii_case("return=minimal"))
    }
}

/// The query of a request, read as 03 §1.3 says.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    text: &'a str,
}

impl<'a> Query<'a> {
    /// The query after the `?`.
    pub fn of(text: &'a str) -> Self {
        Query { text }
    }

    /// Every value of a key, decoded, in order.
    pub fn all(self, key: &str) -> Vec<String> {
        let pairs = url::form_urlencoded::parse(self.text.as_bytes());
        pairs
            .filter(|(name, _)| name == key)
            .map(|(_, value)| value.into_owned())
            .collect()
    }

    /// The first value that is not blank.
    pub fn text(self, key: &str) -> Option<String> {
        let values = self.all(key);
        values.into_iter().find(|value| !value.trim().is_empty())
    }

    /// `limit`: a positive whole number, at most `max`; anything else is the default.
    pub fn limit(self, default: u32, max: u32) -> u32 {
        let given = self
            .text("limit")
            .and_then(|text| text.trim().parse::<u64>().ok());
        match given {
            Some(limit) if limit > 0 => limit.min(u64::from(max)) as u32,
            _ => default,
        }
    }

    /// The member of an enum.
    ///
    /// # Errors
    /// 400 that lists what is known.
    pub fn name<T: Copy>(
        self,
        key: &str,
        known: &[T],
        text: impl Fn(T) -> &'static str,
    ) -> Result<Option<T>, ApiError> {
        let Some(given) = self.text(key) else {
            return Ok(None);
        };
        let found = known
            .iter()
            .copied()
            .find(|member| text(*member) == given.trim());
        found.map(Some).ok_or_else(|| {
            let names: Vec<&str> = known.iter().copied().map(text).collect();
            ApiError::invalid(format!(
                "Query parameter `{key}` must be one of {}.",
                names.join(", ")
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_none_falls_back() {
        for (query, expected) in [
            ("", 100),
            ("limit=5", 5),
            ("limit=0", 100),
            ("limit=-3", 100),
            ("limit=x", 100),
            ("limit=1.5", 100),
            ("limit=99999999999", 500),
        ] {
            assert_eq!(Query::of(query).limit(100, 500), expected, "{query}");
        }
    }

    #[test]
    fn repeated_keys_are_read_in_order_and_decoded() {
        let query = Query::of("tagId=a%20b&x=1&tagId=c+d&tagId=");
        assert_eq!(query.all("tagId"), ["a b", "c d", ""]);
        assert_eq!(query.text("tagId").as_deref(), Some("a b"));
        assert_eq!(query.text("y"), None);
    }

    #[test]
    fn an_unknown_name_in_a_query_is_refused() {
        let read = |query| Query::of(query).name("status", &[1, 2], |n| ["", "on", "off"][n]);
        assert_eq!(read("status=on").unwrap(), Some(1));
        assert_eq!(read("").unwrap(), None);
        let error = read("status=maybe").unwrap_err();
        assert_eq!(
            error.message,
            "Query parameter `status` must be one of on, off."
        );
    }
}
