//! What the browser workbench adds to the transport (03 §11): cookies, the CSRF token, its own way of asking again.

use super::transport::{Answered, Transport, TransportError};
use serde_json::{Value, json};

/// The browser's side of a cookie session.
pub struct Shim {
    transport: Transport,
    cookie: Option<String>,
    csrf: Option<String>,
    /// Times that the CSRF token was fetched.
    pub csrf_fetches: u32,
    /// True after a 401: the person has to sign in.
    pub auth_required: bool,
}

impl Shim {
    /// A browser at this cloud, with the cookies that a sign-in set, as a `Cookie` header; none in a cloud without
    /// sign-in.
    pub fn new(base: &str, cookie: Option<&str>) -> Result<Shim, reqwest::Error> {
        Ok(Shim {
            transport: Transport::new(base, &[])?,
            cookie: cookie.map(str::to_owned),
            csrf: None,
            csrf_fetches: 0,
            auth_required: false,
        })
    }

    /// Sends a request; a mutation carries the CSRF token, fetched when there is none, and is repeated once with a
    /// fresh one after a 403.
    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answered, TransportError> {
        let mutates = method != "GET";
        if mutates && self.csrf.is_none() {
            self.fetch_csrf().await;
        }
        let first = self.once(method, path, body).await;
        match &first {
            Err(error) if error.status == Some(403) && mutates => {
                self.fetch_csrf().await;
                self.once(method, path, body).await
            }
            _ => first,
        }
    }

    async fn once(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answered, TransportError> {
        self.transport.headers = vec![("sec-fetch-site".to_owned(), "same-origin".to_owned())];
        if let Some(cookie) = &self.cookie {
            self.transport
                .headers
                .push(("cookie".to_owned(), cookie.clone()));
        }
        self.transport.csrf.clone_from(&self.csrf);
        let answer = self.transport.send(method, path, &Value::Null, body).await;
        if matches!(&answer, Err(error) if error.status == Some(401)) {
            self.auth_required = true;
        }
        answer
    }

    async fn fetch_csrf(&mut self) {
        self.csrf_fetches += 1;
        if let Ok(me) = self.once("GET", "/auth/me", None).await {
            self.csrf = me.body["csrfToken"].as_str().map(str::to_owned);
        }
    }

    /// Threads by text, as the shim asks for them.
    pub async fn search_threads(&mut self, text: &str) -> Result<Answered, TransportError> {
        let body = json!({ "text": text });
        self.send("POST", "/api/threads/search", Some(&body)).await
    }

    /// Facets of a search.
    pub async fn thread_facets(&mut self, text: &str) -> Result<Answered, TransportError> {
        let body = json!({ "text": text });
        self.send("POST", "/api/threads/facets", Some(&body)).await
    }
}
