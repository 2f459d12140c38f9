//! Secrets in the arguments of a command: people pass them as `--api-key VALUE`, `--api-key=VALUE` or
//! `API_KEY=VALUE`, where every list of processes shows them.

use super::{mark, named_masked, secrets_masked};

/// Where the hidden part of each argument begins, in bytes; `None` for one that may be shown.
pub(crate) fn hidden<'a>(arguments: impl Iterator<Item = &'a str>) -> Vec<Option<usize>> {
    let mut follows = false;
    arguments
        .map(|argument| {
            let (name, value) = match argument.split_once('=') {
                Some((name, _)) => (name, Some(name.len() + 1)),
                None => (argument, None),
            };
            let is_flag = name.starts_with('-');
            let named = names_secret(name) && !name.contains(char::is_whitespace);
            let hidden = match value {
                Some(at) if named => Some(at),
                _ if follows => Some(0),
                _ => None,
            };
            follows = is_flag && named && value.is_none();
            hidden.filter(|at| !argument[*at..].is_empty() && !is_placeholder(&argument[*at..]))
        })
        .collect()
}

/// The arguments as they may be shown to anybody.
pub(crate) fn masked<'a>(arguments: impl Iterator<Item = &'a str> + Clone) -> Vec<String> {
    hidden(arguments.clone())
        .into_iter()
        .zip(arguments)
        .map(|(hidden, argument)| match hidden {
            Some(at) => format!("{}{}", &argument[..at], mark(&argument[at..])),
            None => named_masked(&secrets_masked(argument)).into_owned(),
        })
        .collect()
}

/// A command in one text, its arguments apart by spaces.
pub(crate) fn line_masked(line: &str) -> String {
    masked(line.split(' ')).join(" ")
}

/// `{env:NAME}`: it names a variable and tells nothing of it.
pub(super) fn is_placeholder(text: &str) -> bool {
    text.strip_prefix("{env:")
        .and_then(|rest| rest.strip_suffix('}'))
        .is_some_and(|name| {
            name.bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        })
}

/// Whether a flag or a variable is called like a secret.
fn names_secret(name: &str) -> bool {
    let plain: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let parts = [
        "token",
        "secret",
        "passw",
        "passphrase",
        "pwd",
        "credential",
        "apikey",
        "accesskey",
        "privatekey",
        "authorization",
        "bearer",
        "signature",
        "cookie",
    ];
    parts.iter().any(|part| plain.contains(part))
        || plain.ends_with("key")
        || plain.ends_with("auth")
        || matches!(plain.as_str(), "pass" | "pat" | "pin")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(arguments: &[&str]) -> Vec<String> {
        masked(arguments.iter().copied())
    }

    #[test]
    fn an_argument_that_is_or_follows_a_flag_called_like_a_secret_is_hidden() {
        assert_eq!(
            shown(&[
                "server",
                "--api-key",
                "hunter2",
                "--password=hunter2",
                "-token",
                "--secret",
                "hunter2",
                "API_KEY=hunter2",
                "--port",
                "8080",
                "stdio",
            ]),
            [
                "server",
                "--api-key",
                "[redacted:7 chars]",
                "--password=[redacted:7 chars]",
                "-token",
                "[redacted:8 chars]",
                "[redacted:7 chars]",
                "API_KEY=[redacted:7 chars]",
                "--port",
                "8080",
                "stdio",
            ]
        );
        assert_eq!(
            shown(&["-H", "Authorization: Bearer hunter2"]),
            ["-H", "Authorization: [redacted:14 chars]"]
        );
        assert_eq!(
            line_masked("server --token hunter2 --port 1"),
            "server --token [redacted:7 chars] --port 1"
        );
    }

    #[test]
    fn a_variable_that_is_named_and_ordinary_arguments_stay() {
        let plain = [
            "npx",
            "-y",
            "@acme/mcp-server",
            "--author",
            "acme",
            "--token",
            "{env:TOKEN}",
            "--password={env:PW}",
            "--mode=fast",
        ];
        assert_eq!(shown(&plain), plain);
    }
}
