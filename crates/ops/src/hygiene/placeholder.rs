//! Which values are placeholders (09 §14.3): the **whole** value must be one. A real token that contains
//! `USER` or `REGION` is still a real token.

use super::rule::compile;
use regex::Regex;
use std::sync::LazyLock;

/// References that are replaced before the value is used.
static REFERENCE: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"\$\{\{[^}]*\}\}|\{\{[^}]*\}\}|\$\{[^}:]*(?::\?[^}]*)?\}|\$\{[^}:]*:?-\}|\$\([^)]*\)|\$[A-Za-z_][A-Za-z0-9_]*|\{(?:env|file):[^}]*\}|<[^<>]*>|%[A-Z_][A-Z0-9_]*%|\{[A-Za-z_][A-Za-z0-9_.]*\}",
    )
});

/// A shell default: what stands when the variable isn't set.
static DEFAULT: LazyLock<Regex> = LazyLock::new(|| compile(r"^\$\{[^}:]*:?[-=]([^}]+)\}$"));

/// Whole values that stand for something else.
static WHOLE: LazyLock<Regex> = LazyLock::new(|| {
    compile(concat!(
        r"^(?:",
        r"(?i:replace[-_ ]?(?:with|me|this)?|change[-_ ]?(?:me|this|it)|your|my|insert|todo|fixme|dummy|fake|sample|example)(?:[-_ .][A-Za-z0-9_. -]{0,80})?",
        r"|[A-Z][A-Z_-]*",                 // TOKEN, ACCOUNT_ID: letters only
        r"|[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+", // the name of a variable
        r"|env:[A-Za-z0-9_]+",
        r"|(?:gcp-sm|aws-sm|azure-kv|vault|op|ssm|secretsmanager|file|awskms|kms|sops)://?\S*",
        r"|https://[a-z0-9-]+\.vault\.azure\.net/secrets/\S+",
        r"|(?:[a-z0-9-]+\.)*example\.(?:com|org|net)(?:[:/]\S*)?",
        r"|[xX]{3,}|[*]{2,}|[.]{2,}|…+|[-_]{2,}|[?]+|[#]+|0+",
        r"|\[?(?i:redacted|removed|hidden|masked|omitted|secret)(?:[:_ -][A-Za-z0-9_: -]{0,40})?\]?",
        r"|(?i:__[a-z0-9_]+__|none|null|nil|true|false|yes|no|on|off|undefined|unset|empty|required|optional|default|auto|string|str|text|password|passwd|pass|pw|token|bearer|basic|secret|key|value|test|vault|env|enabled|disabled|generated|random|encrypted|sealed|inherit|unknown|anonymous)",
        r")$"
    ))
});

/// What a shell default gives when the variable isn't set: `${VAR:-this}`.
pub(super) fn shell_default(value: &str) -> Option<&str> {
    DEFAULT
        .captures(value)?
        .get(1)
        .map(|default| default.as_str())
}

/// Whether the whole value stands for something that is put in later. Text around references counts as a
/// placeholder only while it is too plain to be a secret itself.
pub(super) fn is_placeholder(value: &str) -> bool {
    let value = value.trim();
    if value.is_empty() {
        return true;
    }
    if let Some(default) = shell_default(value) {
        return is_placeholder(default);
    }
    if WHOLE.is_match(value) {
        // `change-me-` in front doesn't make a random tail harmless.
        return value.bytes().filter(u8::is_ascii_digit).count() <= 4 || is_plain(value);
    }
    let rest = REFERENCE.replace_all(value, "");
    rest.len() < value.len() && !super::randomness::is_random(&rest) && rest.len() < 24
}

fn is_plain(value: &str) -> bool {
    !super::randomness::is_random(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_value_must_be_a_placeholder() {
        for yes in [
            "",
            "PROJECT",
            "ACCOUNT_ID",
            "REPLACE_WITH_TOKEN",
            "replace-with-a-long-random-value",
            "change-me-for-local-cookie",
            "${TOKEN}",
            "${TOKEN:-}",
            "${TOKEN:?set TOKEN}",
            "${TOKEN:-change-me}",
            "{{ .Values.token }}",
            "${{ secrets.TOKEN }}",
            "<your token>",
            "env:TOKEN",
            "{env:TOKEN}",
            "Bearer {env:TOKEN}",
            "gcp-sm://projects/PROJECT/secrets/x",
            "xxxxxxxx",
            "MY_TOKEN_2",
            "registry.example.com/app",
        ] {
            assert!(is_placeholder(yes), "{yes}");
        }
        for no in [
            "hunter2",
            "a8REGIONf3k2USERp9z1",
            "${TOKEN:-a8f3k2p9z1q7w4}",
            "change-me-9f8e7d6c5b4a39281706",
            "${A}9f8e7d6c5b4a392817069f8e7d6c",
            "s3cretPass",
        ] {
            assert!(!is_placeholder(no), "{no}");
        }
    }
}
