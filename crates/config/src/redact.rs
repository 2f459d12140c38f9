//! What may be shown of a value: secrets become `[redacted:<n> chars]`, links lose who and what opens
//! them, people and home folders are masked (02 §9).
//!
//! Places that hold secrets are listed in [`SECRETS`](crate::model::secret::SECRETS). Beside them every
//! text is searched for what looks like a secret, because people paste them anywhere.

mod command;
mod link;

pub(crate) use command::{hidden as hidden_arguments, masked as command_masked};

use crate::model::secret::{SecretKind, is_reference, place_of};
use crate::pointer;
use regex::{Captures, Regex};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::sync::LazyLock;

/// How much a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Everything but secrets.
    Owner,
    /// Somebody who was sent a diagnostics bundle: no mail addresses and home folders either.
    Stranger,
}

/// A command and its arguments, as a list, one of them, and as one text.
pub(crate) const COMMAND: &str = "/mcps/*/command";
const COMMAND_ARGUMENT: &str = "/mcps/*/command/*";
const COMMAND_LINE: &str = "/capabilityBundles/*/resources/*/command";

/// What stands where a text of that many characters was.
pub fn mark(text: &str) -> String {
    format!("[redacted:{} chars]", text.chars().count())
}

/// The part of a document at `pointer` as it may be shown: null stays null, a reference to a secret
/// stays, and the form is kept.
pub fn redacted(value: &Value, pointer: &str, reader: Reader) -> Value {
    let mut pointer = pointer.to_owned();
    redact_at(value, &mut pointer, reader)
}

fn redact_at(value: &Value, pointer: &mut String, reader: Reader) -> Value {
    if let Some(place) = place_of(pointer) {
        return match (place.kind, value) {
            (SecretKind::Reference, Value::String(text)) if is_reference(text) => value.clone(),
            _ => hidden(value),
        };
    }
    let length = pointer.len();
    match value {
        Value::String(text) if pointer::matches(COMMAND_ARGUMENT, pointer) => {
            // Without the arguments before it, it could be anything.
            Value::String(mark(text))
        }
        Value::String(text) if pointer::matches(COMMAND_LINE, pointer) => {
            Value::String(masked(&command::line_masked(text), reader))
        }
        Value::String(text) => Value::String(masked(&link::queries_masked(text, pointer), reader)),
        Value::Array(items)
            if pointer::matches(COMMAND, pointer) && items.iter().all(Value::is_string) =>
        {
            let shown = command::masked(items.iter().filter_map(Value::as_str));
            let masked = shown
                .iter()
                .map(|text| masked(&link::queries_masked(text, pointer), reader));
            masked.map(Value::from).collect()
        }
        Value::Array(items) => {
            let redacted = items.iter().enumerate().map(|(at, item)| {
                pointer::push(pointer, &at.to_string());
                let item = redact_at(item, pointer, reader);
                pointer.truncate(length);
                item
            });
            Value::Array(redacted.collect())
        }
        Value::Object(map) => {
            let mut out = Map::new();
            for (key, item) in map {
                pointer::push(pointer, key);
                out.insert(masked(key, reader), redact_at(item, pointer, reader));
                pointer.truncate(length);
            }
            Value::Object(out)
        }
        other => other.clone(),
    }
}

/// A value of which only the form is shown: names of members, switches, null.
fn hidden(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(mark(text)),
        Value::Number(number) => Value::String(mark(&number.to_string())),
        Value::Array(items) => items.iter().map(hidden).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, item)| (secrets_masked(key).into_owned(), hidden(item)))
            .collect(),
        other => other.clone(),
    }
}

/// A text without what looks like a secret; for a [`Reader::Stranger`] also without values that are only
/// called so (`password: …`), and without people.
pub fn masked(text: &str, reader: Reader) -> String {
    let text = secrets_masked(text);
    match reader {
        Reader::Owner => text.into_owned(),
        Reader::Stranger => {
            let text = named_masked(&text);
            let text = MAIL.replace_all(&text, "[mail]");
            HOME.replace_all(&text, "$before~").into_owned()
        }
    }
}

/// A text without values that are only called like a secret: `password: …`.
fn named_masked(text: &str) -> Cow<'_, str> {
    NAMED.replace_all(text, |found: &Captures<'_>| {
        format!("{}{}", &found["name"], mark(&found["value"]))
    })
}

/// A part of a document at `pointer`, redacted with what stands around it: whether an argument of a
/// command is a secret, only the one before it tells.
pub(crate) fn part(around: &Value, pointer: &str, reader: Reader) -> Option<Value> {
    match (pointer::parent(pointer), pointer.rsplit('/').next()) {
        (Some(parent), Some(index)) if pointer::matches(COMMAND_ARGUMENT, pointer) => {
            let list = redacted(around.pointer(parent)?, parent, reader);
            list.get(index.parse::<usize>().ok()?).cloned()
        }
        _ => Some(redacted(around.pointer(pointer)?, pointer, reader)),
    }
}

/// A text of a document for a message: short, in backticks, without what looks like a secret.
pub fn quoted(text: &str) -> String {
    let shown = secrets_masked(text);
    let line: String = shown
        .chars()
        .take(60)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    let more = if shown.chars().count() > 60 {
        "…"
    } else {
        ""
    };
    format!("`{line}{more}`")
}

/// A text without what looks like a secret: known forms of keys, private keys, user names and passwords
/// of links, and what their queries call a key.
pub fn secrets_masked(text: &str) -> Cow<'_, str> {
    let mut masked = Cow::Borrowed(text);
    // Compiling the expressions takes about as long as a whole load; most texts need none of them.
    if masked.contains("://") && masked.contains('@') {
        masked = Cow::Owned(USER_INFO.replace_all(&masked, "$scheme://").into_owned());
    }
    if masked.contains('=') {
        let hide = |found: &Captures<'_>| format!("{}{}", &found["name"], mark(&found["value"]));
        masked = Cow::Owned(QUERY.replace_all(&masked, hide).into_owned());
    }
    if may_hold_key(&masked) {
        let hide = |found: &Captures<'_>| mark(&found[0]);
        masked = Cow::Owned(KEYS.replace_all(&masked, hide).into_owned());
    }
    if masked == text {
        Cow::Borrowed(text)
    } else {
        masked
    }
}

/// Whether a link in a text holds a user name or a password.
pub(crate) fn holds_user(text: &str) -> bool {
    text.contains("://") && text.contains('@') && USER_INFO.is_match(text)
}

/// How the keys of [`KEYS`] begin.
const BEGINNINGS: [&str; 23] = [
    "PRIVATE KEY",
    "sk-",
    "sk_",
    "rk-",
    "rk_",
    "pk-",
    "pk_",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "AKIA",
    "ASIA",
    "AIza",
    "ya29.",
    "xox",
    "whsec_",
    "hf_",
    "npm_",
    "eyJ",
];

fn may_hold_key(text: &str) -> bool {
    // A bot's token is digits, a colon and more.
    let numbered = || {
        text.as_bytes()
            .windows(2)
            .any(|pair| pair[0].is_ascii_digit() && pair[1] == b':')
    };
    text.len() >= 10 && (BEGINNINGS.iter().any(|beginning| text.contains(beginning)) || numbered())
}

#[expect(
    clippy::expect_used,
    reason = "the expressions are constants, and every test of this file compiles them"
)]
fn compiled(expression: &str) -> Regex {
    Regex::new(expression).expect("a constant expression")
}

static KEYS: LazyLock<Regex> = LazyLock::new(|| {
    compiled(concat!(
        r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\z)",
        r"|(?:sk|rk|pk)[-_][A-Za-z0-9_-]{16,}",
        r"|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,}|glpat-[A-Za-z0-9_-]{16,}",
        r"|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{20,}|ya29\.[A-Za-z0-9_-]{16,}",
        r"|xox[abeoprs]-[A-Za-z0-9-]{10,}|whsec_[A-Za-z0-9]{16,}|hf_[A-Za-z0-9]{16,}|npm_[A-Za-z0-9]{16,}",
        r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?",
        r"|[0-9]{6,12}:[A-Za-z0-9_-]{30,}",
    ))
});

static QUERY: LazyLock<Regex> = LazyLock::new(|| {
    compiled(concat!(
        r"(?i)(?P<name>[?&](?:[a-z0-9_.-]*(?:token|secret|password|credential|signature|api[-_]?key|access[-_]?key)[a-z0-9_.-]*",
        r"|sig|key|code|auth|pwd)=)",
        r#"(?P<value>[^\s&#"'<>]+)"#,
    ))
});

static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    compiled(concat!(
        r"(?i)(?P<name>[a-z0-9_.-]*(?:token|secret|passw(?:or)?d|credential|api[-_]?key|access[-_]?key|signature)[a-z0-9_.-]*\s*[=:]\s*",
        r"|authorization\s*[=:]\s*|bearer\s+|basic\s+)",
        r#"(?P<value>(?:(?:bearer|basic)\s+)?[^\s&#"'<>`{}\[\],;]{4,})"#,
    ))
});

static USER_INFO: LazyLock<Regex> =
    LazyLock::new(|| compiled(r#"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://[^\s/?#"'<>]*@"#));

static MAIL: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"));

static HOME: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r#"(?P<before>^|[^A-Za-z0-9/\\])(?:/home/[^/\s"':,;]+|/Users/[^/\s"':,;]+|/root\b|[A-Za-z]:\\Users\\[^\\\s"':,;]+)"#,
    )
});

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn known_forms_of_secrets_are_masked_wherever_they_stand() {
        let tail = "a1B2c3D4e5F6g7H8i9J0";
        for secret in [
            format!("sk-{tail}"),
            format!("sk-proj-{tail}"),
            format!("sk_live_{tail}"),
            format!("ghp_{tail}"),
            format!("github_pat_{tail}"),
            "AKIAABCDEFGHIJKLMNOP".to_owned(),
            format!("AIza{tail}xyz"),
            format!("xoxb-{tail}"),
            format!("gho_{tail}"),
            format!("glpat-{tail}"),
            format!("rk_live_{tail}"),
            format!("hf_{tail}"),
            format!("npm_{tail}"),
            format!("whsec_{tail}"),
            format!("ya29.{tail}"),
            concat!("ASIA", "ABCDEFGHIJKLMNOP").to_owned(),
            format!("1234567890:{tail}{tail}"),
            format!("eyJhbGciOiJI.{tail}.{tail}"),
            format!("-----BEGIN RSA PRIVATE KEY-----\n{tail}\n-----END RSA PRIVATE KEY-----"),
            format!("-----BEGIN PRIVATE KEY-----\n{tail}"),
            format!("https://host/?api_key={tail}"),
            format!("https://user:{tail}@host/x"),
            format!("https://host/x?y=1&sig={tail}"),
        ] {
            let text = secrets_masked(&secret);
            assert!(
                !text.contains(tail) && !text.contains("ABCDEFGH"),
                "{secret} became {text}"
            );
        }
    }

    #[test]
    fn ordinary_text_stays() {
        for text in [
            "Example Cowork",
            "https://example.com/help?topic=keys",
            "color-mix(in srgb,var(--accent) 15%,transparent)",
            "mcp__agents__save_agent",
            "deepseek/deepseek-v4-flash",
            "sk-not",
            "mailto:help@example.com",
            "env:STRIPE_KEY",
            "Password: at least 12 characters",
            "#2f6bf0",
            "0 1px 2px rgba(0, 0, 0, 0.42), 0 12px 30px rgba(0, 0, 0, 0.46)",
        ] {
            assert_eq!(secrets_masked(text), text);
        }
    }

    #[test]
    fn a_stranger_sees_neither_people_nor_home_folders() {
        let text = "jo@example.com in /home/jo/x and C:\\Users\\jo\\y";
        assert_eq!(masked(text, Reader::Stranger), "[mail] in ~/x and ~\\y");
        assert_eq!(masked(text, Reader::Owner), text);
        assert_eq!(
            masked("--password=hunter2", Reader::Stranger),
            "--password=[redacted:7 chars]"
        );
        assert_eq!(
            masked("Authorization: Bearer hunter2", Reader::Stranger),
            "Authorization: [redacted:14 chars]"
        );
        assert_eq!(
            masked("https://example.com/home/page", Reader::Stranger),
            "https://example.com/home/page"
        );
    }

    #[test]
    fn secret_places_keep_their_form_and_nothing_else() {
        let value = json!({
            "gateway": {"server": {"adminToken": "hunter2", "port": 1}, "providers": [
                {"credentials": {"botToken": "é"}, "settings": {"deep": {"x": "y", "on": true, "n": 12}}}]},
            "cloud": {"auth": {"headerSecret": null, "clientSecretRef": "env:CLIENT", "cookieSecretRef": "oops"}}
        });
        assert_eq!(
            redacted(&value, "", Reader::Owner),
            json!({
                "gateway": {"server": {"adminToken": "[redacted:7 chars]", "port": 1}, "providers": [
                    {"credentials": {"botToken": "[redacted:1 chars]"},
                     "settings": {"deep": {"x": "[redacted:1 chars]", "on": true, "n": "[redacted:2 chars]"}}}]},
                "cloud": {"auth": {"headerSecret": null, "clientSecretRef": "env:CLIENT", "cookieSecretRef": "[redacted:4 chars]"}}
            })
        );
        assert_eq!(
            redacted(&json!("t"), "/gateway/server/adminToken", Reader::Owner),
            "[redacted:1 chars]"
        );
    }

    #[test]
    fn hostile_text_takes_linear_time() {
        for part in [
            "a@",
            "token=",
            "http://",
            "-----BEGIN PRIVATE KEY-----",
            "sk-",
            "a.",
            "/home/",
        ] {
            masked(&part.repeat(20_000), Reader::Stranger);
        }
    }

    #[test]
    fn a_quotation_is_short_and_on_one_line() {
        assert_eq!(quoted("a\nb"), "`a\u{fffd}b`");
        assert_eq!(quoted(&"x".repeat(100)).chars().count(), 63);
    }
}
