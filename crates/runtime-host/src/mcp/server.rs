//! What goes into the evaluation of MCP servers, and what comes out.

use crate::config::is_secret_name;
use open_cowork_contracts::JsonObject;
use open_cowork_contracts::health::CapabilityReason;
use open_cowork_policy::Action;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where a server's definition is kept (05 §7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// On this machine, for every folder.
    Machine,
    /// In a project.
    Project,
}

impl Scope {
    /// `machine` or `project`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Machine => "machine",
            Self::Project => "project",
        }
    }
}

/// A server that a user or a project added.
#[derive(Clone, Debug)]
pub struct OwnServer {
    /// Its name; its tools are called `<name>_<tool>`.
    pub name: String,
    /// Where it is defined.
    pub scope: Scope,
    /// How it is reached.
    pub transport: OwnTransport,
    /// What its tools do: [`Action::Allow`] only when the user said so.
    pub permission: Action,
    /// It may be on a private network.
    pub allow_private_network: bool,
    /// It gets the Google credentials of the user.
    pub google_auth: bool,
}

/// How an own server is reached.
#[derive(Clone)]
pub enum OwnTransport {
    /// As a process that speaks over its standard streams.
    Stdio {
        /// Program.
        command: String,
        /// Arguments.
        args: Vec<String>,
        /// Variables.
        environment: BTreeMap<String, SecretString>,
    },
    /// At an address.
    Http {
        /// The address.
        url: String,
        /// Headers.
        headers: BTreeMap<String, SecretString>,
    },
}

impl std::fmt::Debug for OwnTransport {
    /// Shows no argument and no address: both may hold keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Stdio { .. } => "Stdio",
            Self::Http { .. } => "Http",
        })
    }
}

/// A login at Google that servers may be given (05 §7.1).
#[derive(Clone, Debug)]
pub struct GoogleLogin {
    /// File with the application's credentials.
    pub credentials_file: PathBuf,
    /// Access token that has not expired.
    pub access_token: Option<SecretString>,
}

impl GoogleLogin {
    pub(super) fn variables(&self) -> Vec<(String, SecretString)> {
        let file = self.credentials_file.to_string_lossy().into_owned();
        let mut variables = vec![("GOOGLE_APPLICATION_CREDENTIALS".to_owned(), file.into())];
        if let Some(token) = &self.access_token {
            variables.push(("GOOGLE_WORKSPACE_CLI_TOKEN".to_owned(), token.clone()));
        }
        variables
    }
}

/// What the user chose and stored about servers.
#[derive(Clone, Debug, Default)]
pub struct ServerSettings {
    /// Switched on or off, by server. Absent: neither.
    pub enabled: BTreeMap<String, bool>,
    /// Stored credentials, by server and key.
    pub credentials: BTreeMap<String, BTreeMap<String, SecretString>>,
    /// The login at Google, if there is one.
    pub google: Option<GoogleLogin>,
    /// `OPEN_COWORK_DISABLE_SEMANTIC_UI_MCP=1`.
    pub semantic_ui_disabled: bool,
}

/// Who brought a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The distribution.
    Product,
    /// The user or a project.
    Own(Scope),
}

/// The entry of a ready server.
#[derive(Clone)]
pub struct Entry {
    pub(crate) value: Value,
    /// Strings in it that nobody may see.
    pub(crate) secrets: Vec<SecretString>,
    /// Host of an address; may be shown.
    pub host: Option<String>,
}

impl std::fmt::Debug for Entry {
    /// Shows the kind and the host.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("type", &self.value["type"])
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

/// Shorter values are no keys; hiding them would tear words apart.
const SHORTEST_SECRET: usize = 6;

/// What of an entry must be hidden wherever it turns up: values of credentials, and values under names that look
/// secret. An ordinary header or variable is none: hiding its value would damage what people write.
pub(super) fn secrets_of(
    credentials: &[SecretString],
    named: &[(String, SecretString)],
) -> Vec<SecretString> {
    let named = named
        .iter()
        .filter(|(name, _)| is_secret_name(name))
        .map(|(_, value)| value);
    credentials
        .iter()
        .chain(named)
        .filter(|value| value.expose_secret().len() >= SHORTEST_SECRET)
        .cloned()
        .collect()
}

/// How it stands with a server.
#[derive(Clone, Debug)]
pub enum State {
    /// It is registered.
    Ready(Entry),
    /// It is not, for this reason.
    Off(CapabilityReason),
}

/// One server with its verdict.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its name.
    pub name: String,
    /// Who brought it.
    pub source: Source,
    /// What its tools may do at most.
    pub permission: Action,
    /// Names and kinds, never values (05 §11.3).
    pub evidence: JsonObject,
    /// Whether it is registered.
    pub state: State,
    /// Why not, in one sentence without values.
    pub remark: Option<String>,
}

/// All servers, in the order of the config, own ones behind them.
#[derive(Clone, Debug, Default)]
pub struct Servers {
    /// One row per server.
    pub rows: Vec<Server>,
    /// Names of the distribution's servers whose place an own one took.
    pub overridden: Vec<String>,
}
