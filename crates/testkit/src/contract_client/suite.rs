//! Every method of the TypeScript client (03 §10) against a running cloud, each answer compared with its shape.

mod admin;
mod channels;
mod events;
mod product;
mod work;

use super::shape::{self, Shapes};
use super::shapes::shapes;
use super::transport::{Transport, TransportError};
use serde_json::Value;

/// Which cloud, and who asks.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Its address.
    pub base: String,
    /// Sent with every call: the credential, if one is needed. It must be an owner's, with all scopes.
    pub headers: Vec<(String, String)>,
    /// Domains that are left out: `events sessions artifacts workflows threads settings capabilities launchpad billing
    /// byok policy tokens admin channels`.
    pub without: Vec<&'static str>,
}

/// What one method did.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// The method of the client, or the rule.
    pub name: String,
    /// What differs from the contract; empty: nothing.
    pub differences: Vec<String>,
}

/// What all methods did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// In the order in which they ran.
    pub checks: Vec<Check>,
}

impl Report {
    /// `method: difference`, all of them.
    pub fn differences(&self) -> Vec<String> {
        let checks = self.checks.iter();
        let of = |check: &Check| {
            let name = check.name.clone();
            let differences = check.differences.clone().into_iter();
            differences.map(move |text| format!("{name}: {text}"))
        };
        checks.flat_map(of).collect()
    }
}

/// Runs the suite.
pub async fn suite(
    surroundings: &Surroundings,
) -> Result<Report, Box<dyn std::error::Error + Send + Sync>> {
    let headers: Vec<(&str, &str)> = surroundings
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let mut run = Run {
        transport: Transport::new(&surroundings.base, &headers)?,
        shapes: shapes()?,
        report: Report::default(),
    };
    let has = |domain: &str| !surroundings.without.contains(&domain);
    run.health().await;
    let session = run.sessions().await;
    if has("artifacts") {
        run.artifacts(&session).await;
    }
    if has("events") {
        run.events().await;
    }
    if has("workflows") {
        run.workflows().await;
    }
    if has("threads") {
        run.threads(&session).await;
    }
    if has("settings") {
        run.settings().await;
    }
    if has("capabilities") {
        run.capabilities().await;
    }
    if has("launchpad") {
        run.launchpad().await;
    }
    if has("billing") {
        run.billing().await;
    }
    if has("byok") {
        run.byok().await;
    }
    if has("policy") {
        run.policy().await;
    }
    if has("tokens") {
        run.tokens().await;
    }
    if has("admin") {
        run.admin().await;
    }
    if has("channels") {
        run.channels(&session).await;
    }
    run.errors().await;
    Ok(run.report)
}

/// A suite that is running.
struct Run {
    transport: Transport,
    shapes: Shapes,
    report: Report,
}

/// One call of a check.
struct Ask<'a> {
    method: &'static str,
    path: String,
    query: Value,
    body: Option<Value>,
    status: u16,
    shape: &'a str,
}

fn get(path: impl Into<String>) -> Ask<'static> {
    ask("GET", path)
}

fn post(path: impl Into<String>, body: Value) -> Ask<'static> {
    Ask {
        body: Some(body),
        ..ask("POST", path)
    }
}

fn ask(method: &'static str, path: impl Into<String>) -> Ask<'static> {
    Ask {
        method,
        path: path.into(),
        query: Value::Null,
        body: None,
        status: 200,
        shape: "a",
    }
}

impl<'a> Ask<'a> {
    fn query(self, query: Value) -> Self {
        Ask { query, ..self }
    }

    fn status(self, status: u16) -> Self {
        Ask { status, ..self }
    }

    /// The shape of the answer.
    fn is(self, shape: &'a str) -> Self {
        Ask { shape, ..self }
    }
}

impl Run {
    /// Sends, compares and notes. The body, null after a failure.
    async fn check(&mut self, name: &str, ask: Ask<'_>) -> Value {
        let sent = self
            .transport
            .any(ask.method, &ask.path, &ask.query, ask.body.as_ref())
            .await;
        let (differences, body) = match sent {
            Ok(answer) => {
                let mut differences = self.compare(&answer.body, ask.shape);
                if answer.status != ask.status {
                    differences.push(format!(
                        "status {} instead of {}",
                        answer.status, ask.status
                    ));
                }
                if ask.shape != "a" && answer.content_type != "application/json; charset=utf-8" {
                    differences.push(format!("content type `{}`", answer.content_type));
                }
                (differences, answer.body)
            }
            Err(error) => (vec![told(&ask, &error)], Value::Null),
        };
        self.note(name, differences);
        body
    }

    /// Expects a refusal of this status, and this code where one is given. Every refusal has an envelope.
    async fn refused(&mut self, name: &str, ask: Ask<'_>, code: Option<&str>) {
        let sent = self
            .transport
            .any(ask.method, &ask.path, &ask.query, ask.body.as_ref())
            .await;
        let differences = match sent {
            Ok(answer) => vec![format!(
                "status {} instead of {}",
                answer.status, ask.status
            )],
            Err(error) if error.status != Some(ask.status) => vec![told(&ask, &error)],
            Err(error) => {
                let mut differences = self.compare(&error.body, "$Error");
                if code.is_some() && error.code.as_deref() != code {
                    differences.push(format!("code {:?} instead of {code:?}", error.code));
                }
                differences
            }
        };
        self.note(name, differences);
    }

    fn compare(&self, body: &Value, text: &str) -> Vec<String> {
        match shape::parse(text) {
            Ok(shape) => shape::differences(body, &shape, &self.shapes),
            Err(reason) => vec![reason],
        }
    }

    fn note(&mut self, name: &str, differences: Vec<String>) {
        self.report.checks.push(Check {
            name: name.to_owned(),
            differences,
        });
    }

    /// A rule that isn't about one answer.
    fn rule(&mut self, name: &str, holds: bool, otherwise: impl FnOnce() -> String) {
        let differences = if holds { Vec::new() } else { vec![otherwise()] };
        self.note(name, differences);
    }
}

fn told(ask: &Ask<'_>, error: &TransportError) -> String {
    let status = error
        .status
        .map_or_else(String::new, |status| format!(" {status}"));
    let code = error.code.as_deref().unwrap_or("no code");
    format!(
        "{} {}: {}{status} ({code}): {}",
        ask.method, ask.path, error.kind, error.message
    )
}

/// A member as text; empty without one.
fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
