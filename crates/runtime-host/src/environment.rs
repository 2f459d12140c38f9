//! The environment of OpenCode: cleared, then an allow-list, then our own values (05 §5.2, 08 §1.2,
//! decision 19).
//!
//! Everything in it reaches the agent's shell (08 §3.5), so no provider key and no token of the user may be
//! here; the server password has no other way in.

use crate::home::HomePaths;
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::ffi::OsString;

/// Copied from the host when present.
const COPIED: [&str; 27] = [
    "ALL_PROXY",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "LANG",
    "LOGNAME",
    "NODE_EXTRA_CA_CERTS",
    "NO_PROXY",
    "PATH",
    "REQUESTS_CA_BUNDLE",
    "SHELL",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TERM",
    "TZ",
    "USER",
    "all_proxy",
    "https_proxy",
    "http_proxy",
    "no_proxy",
    // Windows only; absent elsewhere.
    "COMSPEC",
    "PATHEXT",
    "SystemRoot",
    "USERNAME",
    "WINDIR",
    "ComSpec",
];

/// Hosts that no proxy may ever see: our own control port, and model servers on this machine.
const LOOPBACK: [&str; 3] = ["127.0.0.1", "localhost", "::1"];

/// What the caller decides about the environment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EnvironmentOptions {
    /// Web search is offered: `OPENCODE_ENABLE_EXA` (05 §5.2).
    pub web_search: bool,
    /// The user consented to ssh for the agent's tools: `SSH_AUTH_SOCK` is copied.
    pub ssh_agent: bool,
    /// Classic ignores project configuration (cloud; the workspace gate covers v2, which can't be told).
    pub ignore_project_config: bool,
}

/// Builds the environment of OpenCode from the host's. Variables that are not UTF-8 are left out.
#[must_use]
pub fn compose(
    host: impl IntoIterator<Item = (OsString, OsString)>,
    home: &HomePaths,
    username: &str,
    password: &SecretString,
    options: EnvironmentOptions,
) -> BTreeMap<String, String> {
    let mut environment: BTreeMap<String, String> = host
        .into_iter()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| is_copied(name) || (options.ssh_agent && name == "SSH_AUTH_SOCK"))
        .collect();
    for name in ["NO_PROXY", "no_proxy"] {
        let value = without_loopback(environment.get(name).map(String::as_str));
        environment.insert(name.to_owned(), value);
    }
    let mut set = |name: &str, value: String| environment.insert(name.to_owned(), value);
    let path = |path: &std::path::Path| path.to_string_lossy().into_owned();
    set("HOME", path(home.root()));
    set("XDG_CONFIG_HOME", path(&home.config_home()));
    set("XDG_DATA_HOME", path(&home.data_home()));
    set("XDG_CACHE_HOME", path(&home.cache_home()));
    set("XDG_STATE_HOME", path(&home.state_home()));
    set("OPENCODE_CONFIG_DIR", path(&home.opencode_config_dir()));
    for name in ["TMPDIR", "TMP", "TEMP"] {
        set(name, path(&home.tmp()));
    }
    set("OPENCODE_SERVER_USERNAME", username.to_owned());
    set(
        "OPENCODE_SERVER_PASSWORD",
        password.expose_secret().to_owned(),
    );
    // `app` brings the question tool (08 §1.2).
    set("OPENCODE_CLIENT", "app".to_owned());
    for name in [
        MARKER,
        "OPENCODE_DISABLE_AUTOUPDATE",
        "OPENCODE_DISABLE_CLAUDE_CODE",
        "OPENCODE_DISABLE_CLAUDE_CODE_PROMPT",
        "OPENCODE_DISABLE_CLAUDE_CODE_SKILLS",
        "OPENCODE_DISABLE_EXTERNAL_SKILLS",
        "OPENCODE_DISABLE_LSP_DOWNLOAD",
        "OPENCODE_DISABLE_MODELS_FETCH",
    ] {
        set(name, "1".to_owned());
    }
    // OpenCode installs npm packages by itself (08 §1.3); nobody asked for that (decision 19).
    set("npm_config_offline", "true".to_owned());
    if options.web_search {
        set("OPENCODE_ENABLE_EXA", "1".to_owned());
    }
    if options.ignore_project_config {
        set("OPENCODE_DISABLE_PROJECT_CONFIG", "1".to_owned());
    }
    environment
}

/// Marks every process of ours, down to the agent's shells (05 §5.2).
pub(crate) const MARKER: &str = "OPEN_COWORK_MANAGED_RUNTIME";

fn is_copied(name: &str) -> bool {
    COPIED.contains(&name) || name.starts_with("LC_")
}

/// The exceptions of the proxy, loopback among them.
fn without_loopback(exceptions: Option<&str>) -> String {
    let mut hosts: Vec<&str> = exceptions
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|host| !host.is_empty())
        .collect();
    for host in LOOPBACK {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn composed(host: &[(&str, &str)], options: EnvironmentOptions) -> BTreeMap<String, String> {
        let host = host
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)));
        compose(
            host,
            &HomePaths::new("/data/runtime-home"),
            "opencode",
            &"pw".into(),
            options,
        )
    }

    #[test]
    fn no_key_and_no_foreign_variable_gets_through() {
        let foreign = [
            ("OPENAI_API_KEY", "sk-1"),
            ("ANTHROPIC_API_KEY", "sk-2"),
            ("AWS_SECRET_ACCESS_KEY", "a"),
            ("GITHUB_TOKEN", "g"),
            ("OPENCODE_CONFIG", "/evil"),
            ("OPENCODE_CONFIG_CONTENT", "{}"),
            ("OPENCODE_BIN_PATH", "/evil"),
            ("OPENCODE_AUTH_CONTENT", "{}"),
            ("LD_PRELOAD", "/evil.so"),
            ("NODE_OPTIONS", "--require=/evil"),
            ("BUN_OPTIONS", "x"),
            ("SSH_AUTH_SOCK", "/s"),
            ("SSH_AGENT_PID", "1"),
            ("DBUS_SESSION_BUS_ADDRESS", "d"),
            ("OPENCODE_DISABLE_EMBEDDED_WEB_UI", "true"),
            ("npm_config_registry", "http://evil.test"),
            ("HOME", "/home/me"),
            ("TMPDIR", "/tmp"),
        ];
        let environment = composed(&foreign, EnvironmentOptions::default());
        for (name, value) in foreign {
            assert_ne!(
                environment.get(name).map(String::as_str),
                Some(value),
                "{name}"
            );
        }
        assert!(!environment.contains_key("OPENCODE_DISABLE_EMBEDDED_WEB_UI"));
    }

    #[test]
    fn all_variables_of_a_bare_host_are_pinned() {
        let names: Vec<String> = composed(
            &[("PATH", "/bin"), ("LC_ALL", "C")],
            EnvironmentOptions::default(),
        )
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
        insta::assert_snapshot!(names.join("\n"));
    }

    #[test]
    fn a_proxy_never_sees_loopback() {
        let environment = composed(
            &[
                ("HTTPS_PROXY", "http://proxy:3128"),
                ("NO_PROXY", "corp.test, localhost"),
            ],
            EnvironmentOptions::default(),
        );
        assert_eq!(environment["HTTPS_PROXY"], "http://proxy:3128");
        assert_eq!(environment["NO_PROXY"], "corp.test,localhost,127.0.0.1,::1");
        assert_eq!(environment["no_proxy"], "127.0.0.1,localhost,::1");
    }

    #[test]
    fn the_ssh_agent_needs_consent() {
        let host = [("SSH_AUTH_SOCK", "/run/agent"), ("SSH_AGENT_PID", "7")];
        let options = EnvironmentOptions {
            ssh_agent: true,
            ..EnvironmentOptions::default()
        };
        let environment = composed(&host, options);
        assert_eq!(environment["SSH_AUTH_SOCK"], "/run/agent");
        assert!(!environment.contains_key("SSH_AGENT_PID"));
    }
}
