//! A real OpenID provider on loopback: the npm package `oidc-provider`, pinned by `oidc/package-lock.json`.
//!
//! People log in at its own pages; [`OidcProvider::log_in`] does what a browser does there. Beside that a test may
//! have any claims signed, rotate the keys, and take the provider down.

use crate::TestkitError;
use crate::process::{GuardedProcess, find_program};
use regex::Regex;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, Response, StatusCode, Url};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long the start may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);
/// Steps of a login before it counts as going in circles.
const STEPS: usize = 20;

/// A provider of one test; gone when it is dropped.
#[derive(Debug)]
pub struct OidcProvider {
    _process: GuardedProcess,
    issuer: String,
    client: Client,
}

impl OidcProvider {
    /// The secret of the clients `open-cowork-<algorithm>`. The client `public` has none.
    pub const CLIENT_SECRET: &'static str = "a-client-secret-of-the-test";

    /// Starts a provider. `accounts`: login name → claims; `redirect_uris`: where the clients may be sent back to.
    /// There is one client per signature algorithm, `open-cowork-RS256`, `-PS256`, `-ES256`, `-ES384`, `-EdDSA`.
    ///
    /// # Errors
    /// [`TestkitError::ProgramMissing`] without node and npm; [`TestkitError::Command`] when the package can't be
    /// fetched; [`TestkitError::NotReady`] with the provider's last words.
    pub async fn start(accounts: &Value, redirect_uris: &[&str]) -> Result<Self, TestkitError> {
        let folder = tokio::task::spawn_blocking(installed)
            .await
            .map_err(|error| TestkitError::Network(error.to_string()))??;
        let node = program("node", "apt-get install nodejs")?;
        let settings = json!({"accounts": accounts, "redirectUris": redirect_uris}).to_string();
        let arguments = ["provider.mjs", settings.as_str()];
        let mut process = GuardedProcess::spawn("oidc-provider", &node, arguments, |command| {
            command.current_dir(&folder);
        })?;
        let issuer = process
            .line(LIMIT, |line| line.strip_prefix("ready ").map(str::to_owned))
            .await?;
        Ok(OidcProvider {
            _process: process,
            issuer,
            client: Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .map_err(network)?,
        })
    }

    /// Its issuer URL, plain http on 127.0.0.1.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Signs claims with a key that the provider publishes; `header` fields replace those of the header.
    ///
    /// # Errors
    /// [`TestkitError::Network`].
    pub async fn sign(
        &self,
        algorithm: &str,
        claims: &Value,
        header: &Value,
    ) -> Result<String, TestkitError> {
        let order = json!({"alg": algorithm, "claims": claims, "header": header});
        self.signed(&order).await
    }

    /// Signs claims with a key that the provider does not publish; `header` may name one that it does.
    ///
    /// # Errors
    /// [`TestkitError::Network`].
    pub async fn sign_foreign(
        &self,
        algorithm: &str,
        claims: &Value,
        header: &Value,
    ) -> Result<String, TestkitError> {
        let order = json!({"alg": algorithm, "claims": claims, "header": header, "foreign": true});
        self.signed(&order).await
    }

    async fn signed(&self, order: &Value) -> Result<String, TestkitError> {
        let answer = self.control("sign", order).await?;
        let token = answer["token"].as_str();
        token.map(str::to_owned).ok_or_else(|| network("no token"))
    }

    /// Replaces all keys, under new ids.
    ///
    /// # Errors
    /// [`TestkitError::Network`].
    pub async fn rotate_keys(&self) -> Result<(), TestkitError> {
        self.control("rotate", &json!({})).await.map(drop)
    }

    /// Makes every route of the provider answer 503, or serve again.
    ///
    /// # Errors
    /// [`TestkitError::Network`].
    pub async fn set_down(&self, down: bool) -> Result<(), TestkitError> {
        self.control("down", &json!({ "down": down }))
            .await
            .map(drop)
    }

    /// How often `discovery`, `keys` and `token` were asked for.
    ///
    /// # Errors
    /// [`TestkitError::Network`].
    pub async fn hits(&self) -> Result<BTreeMap<String, u64>, TestkitError> {
        let answer = self.control("hits", &json!({})).await?;
        serde_json::from_value(answer).map_err(network)
    }

    async fn control(&self, route: &str, order: &Value) -> Result<Value, TestkitError> {
        let answer = self
            .client
            .post(format!("{}/test/{route}", self.issuer))
            .json(order)
            .send()
            .await
            .map_err(network)?;
        if answer.status() != StatusCode::OK {
            return Err(network(answer.text().await.unwrap_or_default()));
        }
        answer.json().await.map_err(network)
    }

    /// Does what a person does at the provider's pages: opens the address of the authorization endpoint, logs in
    /// under that name, agrees, and stops before it is sent away. The result is the address of the callback.
    ///
    /// # Errors
    /// [`TestkitError::Network`] when a page is not as expected; its text is in it.
    pub async fn log_in(&self, authorization_url: &str, login: &str) -> Result<Url, TestkitError> {
        let form = Regex::new(r#"<form[^>]*action="([^"]+)""#).map_err(network)?;
        let prompt = Regex::new(r#"name="prompt" value="([a-z]+)""#).map_err(network)?;
        let here = Url::parse(&self.issuer).map_err(network)?;
        let mut cookies = BTreeMap::new();
        let mut url = Url::parse(authorization_url).map_err(network)?;
        let mut fields: Option<Vec<(&str, String)>> = None;
        for _ in 0..STEPS {
            if url.origin() != here.origin() {
                return Ok(url);
            }
            let request = match fields.take() {
                None => self.client.get(url.clone()),
                Some(fields) => self
                    .client
                    .post(url.clone())
                    .header(
                        reqwest::header::CONTENT_TYPE,
                        "application/x-www-form-urlencoded",
                    )
                    .body(encoded(&fields)),
            };
            let answer = request
                .header(COOKIE, jar(&cookies))
                .send()
                .await
                .map_err(network)?;
            keep(&mut cookies, &answer);
            if let Some(target) = answer.headers().get(LOCATION) {
                let target = target.to_str().map_err(network)?;
                url = url.join(target).map_err(network)?;
                continue;
            }
            let page = answer.text().await.map_err(network)?;
            let found = (form.captures(&page), prompt.captures(&page));
            let (Some(action), Some(prompt)) = found else {
                return Err(network(format!("an unexpected page: {page}")));
            };
            url = url.join(&action[1]).map_err(network)?;
            let mut filled = vec![("prompt", prompt[1].to_owned())];
            if &prompt[1] == "login" {
                filled.push(("login", login.to_owned()));
                filled.push(("password", "any".to_owned()));
            }
            fields = Some(filled);
        }
        Err(network("the login goes in circles"))
    }
}

fn encoded(fields: &[(&str, String)]) -> String {
    let mut url = Url::parse("http://form.invalid").map(|mut url| {
        url.query_pairs_mut().extend_pairs(fields);
        url
    });
    url.as_mut()
        .ok()
        .and_then(|url| url.query())
        .unwrap_or_default()
        .to_owned()
}

fn jar(cookies: &BTreeMap<String, String>) -> String {
    let pairs = cookies
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join("; ")
}

/// Paths don't matter here: every cookie of the provider may be sent to all of its routes.
fn keep(cookies: &mut BTreeMap<String, String>, answer: &Response) {
    for cookie in answer.headers().get_all(SET_COOKIE) {
        let pair = cookie.to_str().unwrap_or_default();
        let pair = pair.split(';').next().unwrap_or_default();
        if let Some((name, value)) = pair.split_once('=') {
            cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}

/// The folder below the tools in which the package is installed. Several programs may call this at once: one
/// fetches, the others wait.
fn installed() -> Result<PathBuf, TestkitError> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("oidc");
    let tools = std::env::var_os("OPEN_COWORK_TOOLS_DIR")
        .filter(|folder| !folder.is_empty())
        .map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools"),
            PathBuf::from,
        );
    let folder = tools.join("oidc-provider");
    fs::create_dir_all(&folder).map_err(TestkitError::file(&folder))?;
    let lock_path = folder.join("lock");
    let lock = File::create(&lock_path).map_err(TestkitError::file(&lock_path))?;
    lock.lock().map_err(TestkitError::file(&lock_path))?;
    for file in ["package.json", "package-lock.json", "provider.mjs"] {
        let (from, to) = (source.join(file), folder.join(file));
        let text = fs::read(&from).map_err(TestkitError::file(&from))?;
        // Left alone when it is the same: another test's node may be reading it.
        if !fs::read(&to).is_ok_and(|there| there == text) {
            fs::write(&to, text).map_err(TestkitError::file(&to))?;
        }
    }
    let wanted = source.join("package-lock.json");
    let wanted = fs::read_to_string(&wanted).map_err(TestkitError::file(&wanted))?;
    let done = folder.join("installed-lock.json");
    if fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(folder);
    }
    let npm = program("npm", "apt-get install npm")?;
    let output = Command::new(npm)
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .arg("--loglevel=error")
        .current_dir(&folder)
        .stdin(Stdio::null())
        .output();
    let failed = |reason: String| TestkitError::Command {
        command: "npm ci".to_owned(),
        reason,
    };
    let output = output.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    fs::write(&done, wanted).map_err(TestkitError::file(&done))?;
    Ok(folder)
}

fn program(name: &'static str, install: &'static str) -> Result<PathBuf, TestkitError> {
    find_program(name).ok_or(TestkitError::ProgramMissing {
        program: name,
        install,
    })
}

fn network(error: impl std::fmt::Display) -> TestkitError {
    TestkitError::Network(format!("{error}"))
}
