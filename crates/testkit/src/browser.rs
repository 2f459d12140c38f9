//! A real headless Chromium, driven over WebDriver.
//!
//! Needs the Debian packages `chromium` and `chromium-driver`. Each [`Browser`] has a profile of
//! its own, and can reach loopback addresses only: every other host name resolves to nothing.

use crate::TestkitError;
use crate::process::{GuardedProcess, find_program};
use axum::http::Method;
use fantoccini::error::{CmdError, NewSessionError};
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::Url;
use serde_json::{Map, Value, json};
use std::path::Path;
use std::time::Duration;

pub use fantoccini::{Client as BrowserClient, Locator};

const START_LIMIT: Duration = Duration::from_secs(60);

/// Flags that keep the browser off the network, off the GPU, and free of first-run pages.
const FLAGS: [&str; 13] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
];

/// How a [`Browser`] shows pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrowserOptions {
    /// Whether scripts of a page run.
    pub script: bool,
    /// What `prefers-color-scheme` says.
    pub scheme: Scheme,
    /// Width of the page in CSS pixels; phone widths work too.
    pub width: u32,
    /// Height of the page in CSS pixels.
    pub height: u32,
}

/// A colour scheme that the user prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Dark text on light ground.
    Light,
    /// Light text on dark ground.
    Dark,
}

impl Default for BrowserOptions {
    fn default() -> Self {
        Self {
            script: true,
            scheme: Scheme::Light,
            width: 1280,
            height: 900,
        }
    }
}

/// A running browser with one page; browser and driver die with it.
#[derive(Debug)]
pub struct Browser {
    client: Client,
    driver: GuardedProcess,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts one with scripts on, a light scheme and a page of 1280 × 900.
    ///
    /// # Errors
    /// [`TestkitError::ProgramMissing`] without Chromium or its driver, [`TestkitError::NotReady`]
    /// or [`TestkitError::Browser`] when they don't start.
    pub async fn start() -> Result<Self, TestkitError> {
        Self::start_with(BrowserOptions::default()).await
    }

    /// As [`Self::start`], with options.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with(options: BrowserOptions) -> Result<Self, TestkitError> {
        let find = |program, install| {
            find_program(program).ok_or(TestkitError::ProgramMissing { program, install })
        };
        let chromium = find("chromium", "apt-get install chromium")?;
        let chromedriver = find("chromedriver", "apt-get install chromium-driver")?;
        let profile = tempfile::Builder::new()
            .prefix("open-cowork-browser-")
            .tempdir()
            .map_err(TestkitError::file(std::env::temp_dir()))?;
        let home = profile.path().to_owned();
        let mut driver =
            GuardedProcess::spawn("chromedriver", &chromedriver, ["--port=0"], |command| {
                // Chromium writes below its home whatever its profile folder is.
                command
                    .env("HOME", &home)
                    .env("XDG_CONFIG_HOME", &home)
                    .env("TMPDIR", &home);
            })?;
        let port: u16 = driver
            .line(START_LIMIT, |line| {
                line.split_once("started successfully on port ")?
                    .1
                    .trim_end_matches('.')
                    .parse()
                    .ok()
            })
            .await?;

        let mut arguments: Vec<String> = FLAGS.iter().map(ToString::to_string).collect();
        arguments.push(format!(
            "--user-data-dir={}",
            profile.path().join("profile").display()
        ));
        arguments.push(format!(
            "--window-size={},{}",
            options.width, options.height
        ));
        let mut chrome = json!({"binary": chromium, "args": arguments});
        if !options.script {
            chrome["prefs"] = json!({"profile.managed_default_content_settings.javascript": 2});
        }
        let mut capabilities = Map::new();
        capabilities.insert("goog:chromeOptions".into(), chrome);
        let connect = async {
            ClientBuilder::new(HttpConnector::new())
                .capabilities(capabilities)
                .connect(&format!("http://127.0.0.1:{port}"))
                .await
        };
        let client = tokio::time::timeout(START_LIMIT, connect)
            .await
            .map_err(|_| TestkitError::TimedOut {
                what: "the browser's start".into(),
                limit: START_LIMIT,
            })??;
        let browser = Self {
            client,
            driver,
            _profile: profile,
        };
        browser.set_size(options.width, options.height).await?;
        browser.set_scheme(options.scheme).await?;
        Ok(browser)
    }

    /// The WebDriver client: `goto`, `find`, `execute`, `wait` and so on.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Sets the size of the page, also below the smallest window that Chromium would make.
    ///
    /// # Errors
    /// [`TestkitError::Browser`] when the browser is gone.
    pub async fn set_size(&self, width: u32, height: u32) -> Result<(), TestkitError> {
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics)
            .await
            .map(drop)
    }

    /// Sets the colour scheme that pages see.
    ///
    /// # Errors
    /// [`TestkitError::Browser`] when the browser is gone.
    pub async fn set_scheme(&self, scheme: Scheme) -> Result<(), TestkitError> {
        let value = match scheme {
            Scheme::Light => "light",
            Scheme::Dark => "dark",
        };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": value}]});
        self.devtools("Emulation.setEmulatedMedia", features)
            .await
            .map(drop)
    }

    /// Sends a command of the DevTools protocol: cut the network, throttle, read metrics.
    ///
    /// # Errors
    /// [`TestkitError::Browser`] with the browser's answer.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Result<Value, TestkitError> {
        let body = json!({"cmd": command, "params": parameters}).to_string();
        Ok(self.client.issue_cmd(DevTools { body }).await?)
    }

    /// Writes a PNG of the visible page.
    ///
    /// # Errors
    /// [`TestkitError::Browser`], or [`TestkitError::File`] when the file cannot be written.
    pub async fn screenshot(&self, file: &Path) -> Result<(), TestkitError> {
        let png = self.client.screenshot().await?;
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(TestkitError::file(folder))?;
        }
        std::fs::write(file, png).map_err(TestkitError::file(file))
    }

    /// Closes the browser and its driver.
    pub async fn close(mut self) {
        // The session may be gone already; the group is killed below in any case.
        let _ = tokio::time::timeout(Duration::from_secs(5), self.client.clone().close()).await;
        self.driver.stop(Duration::from_secs(2)).await;
    }
}

#[derive(Debug)]
struct DevTools {
    body: String,
}

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(
        &self,
        base_url: &Url,
        session_id: Option<&str>,
    ) -> Result<Url, <Url as std::str::FromStr>::Err> {
        base_url.join(&format!(
            "session/{}/goog/cdp/execute",
            session_id.unwrap_or_default()
        ))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.clone()))
    }
}

impl From<CmdError> for TestkitError {
    fn from(error: CmdError) -> Self {
        Self::Browser(error.to_string())
    }
}

impl From<NewSessionError> for TestkitError {
    fn from(error: NewSessionError) -> Self {
        Self::Browser(error.to_string())
    }
}
