//! Requests as the TypeScript client sends them (03 §10): no repetition, no back-off, booleans dropped from queries, an
//! empty body read as `{}`.

use serde_json::{Map, Value};
use std::time::Duration;

/// Why a call failed, with the `kind` that the TypeScript client gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct TransportError {
    /// `unauthorized forbidden not_found conflict rate_limited payment_required server http network timeout parse
    /// request sse`.
    pub kind: &'static str,
    /// HTTP status.
    pub status: Option<u16>,
    /// `body.code`.
    pub code: Option<String>,
    /// The `Retry-After` header.
    pub retry_after: Option<String>,
    /// `body.error`, else what happened.
    pub message: String,
    /// The body.
    pub body: Value,
}

/// A successful answer.
#[derive(Clone, Debug)]
pub struct Answered {
    /// Its status.
    pub status: u16,
    /// Its `content-type`.
    pub content_type: String,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Value,
}

/// The transport of one cloud.
#[derive(Clone)]
pub struct Transport {
    pub(crate) http: reqwest::Client,
    /// Without slashes at its end.
    pub base: String,
    /// Sent with every call.
    pub headers: Vec<(String, String)>,
    /// Sent with every call but GET.
    pub csrf: Option<String>,
    timeout: Duration,
}

impl Transport {
    /// A transport with these headers.
    pub fn new(base: &str, headers: &[(&str, &str)]) -> Result<Transport, reqwest::Error> {
        Ok(Transport {
            http: reqwest::Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .build()?,
            base: base.trim_end_matches('/').to_owned(),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            csrf: None,
            timeout: Duration::from_secs(30),
        })
    }

    /// Sends a request. `body` is sent only when there is one.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        query: &Value,
        body: Option<&Value>,
    ) -> Result<Answered, TransportError> {
        if !path.starts_with("/api/") && !path.starts_with("/auth/") {
            return Err(failure("request", "the path isn't the API's".to_owned()));
        }
        self.any(method, path, query, body).await
    }

    /// The same for any path.
    pub async fn any(
        &self,
        method: &str,
        path: &str,
        query: &Value,
        body: Option<&Value>,
    ) -> Result<Answered, TransportError> {
        let method: reqwest::Method = method
            .parse()
            .map_err(|_| failure("request", method.to_owned()))?;
        let url = format!("{}{path}{}", self.base, query_string(query));
        let mut request = self.http.request(method.clone(), url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let (Some(csrf), true) = (&self.csrf, method != reqwest::Method::GET) {
            request = request.header("x-csrf-token", csrf);
        }
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        // The clock stops when the headers are there: the body may take for ever (a weakness of the original).
        let response = match tokio::time::timeout(self.timeout, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(failure("network", error.to_string())),
            Err(_) => return Err(failure("timeout", "no answer".to_owned())),
        };
        let status = response.status().as_u16();
        let header = |name: &str| {
            let value = response.headers().get(name);
            value
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let (content_type, retry_after) = (header("content-type"), header("retry-after"));
        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        });
        let headers: Vec<(String, String)> = headers.collect();
        let text = response
            .text()
            .await
            .map_err(|error| failure("network", error.to_string()))?;
        let parsed: Option<Value> = match text.as_str() {
            "" => Some(Value::Object(Map::new())),
            text => serde_json::from_str(text).ok(),
        };
        if !(200..300).contains(&status) {
            let body = parsed.unwrap_or(Value::String(text));
            let text = |name: &str| body[name].as_str().map(str::to_owned);
            return Err(TransportError {
                kind: kind_of(status),
                status: Some(status),
                code: text("code"),
                retry_after,
                message: text("error").unwrap_or_default(),
                body,
            });
        }
        let content_type = content_type.unwrap_or_default();
        let body = match parsed {
            Some(body) => body,
            None if content_type.contains("json") => return Err(failure("parse", text)),
            None => Value::String(text),
        };
        Ok(Answered {
            status,
            content_type,
            headers,
            body,
        })
    }
}

fn failure(kind: &'static str, message: String) -> TransportError {
    TransportError {
        kind,
        status: None,
        code: None,
        retry_after: None,
        message,
        body: Value::Null,
    }
}

fn kind_of(status: u16) -> &'static str {
    match status {
        401 => "unauthorized",
        402 => "payment_required",
        403 => "forbidden",
        404 => "not_found",
        409 => "conflict",
        429 => "rate_limited",
        500.. => "server",
        _ => "http",
    }
}

/// Null, empty text, booleans and lists' other elements are dropped; a list repeats its key.
pub fn query_string(query: &Value) -> String {
    let mut pairs = Vec::new();
    let mut pair =
        |key: &str, value: &str| pairs.push(format!("{}={}", encode(key), encode(value)));
    for (key, value) in query.as_object().into_iter().flatten() {
        match value {
            Value::String(text) if !text.is_empty() => pair(key, text),
            Value::Number(number) => pair(key, &number.to_string()),
            Value::Array(items) => items
                .iter()
                .filter_map(Value::as_str)
                .for_each(|text| pair(key, text)),
            _ => {}
        }
    }
    match pairs.is_empty() {
        true => String::new(),
        false => format!("?{}", pairs.join("&")),
    }
}

/// `encodeURIComponent`.
pub fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => encoded.push(byte as char),
            b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')' => {
                encoded.push(byte as char)
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn queries_drop_what_the_original_drops() {
        let query = json!({"limit": 5, "q": "a b&ü", "none": null, "empty": "", "on": true, "tagId": ["x", 1, "y/z"]});
        assert_eq!(
            query_string(&query),
            "?limit=5&q=a%20b%26%C3%BC&tagId=x&tagId=y%2Fz"
        );
        assert_eq!(query_string(&Value::Null), "");
    }
}
