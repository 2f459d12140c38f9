//! Values behind names that hold secrets, in every way that configuration writes them (09 §14.3, "secret
//! assignment" and "entropy").

use super::lines::Lines;
use super::place::{Language, Place};
use super::placeholder::{is_placeholder, shell_default};
use super::randomness::is_words;
use super::rule::{ASSIGNMENT, ENTROPY, Rule, compile};
use super::verify::is_drawn;
use aho_corasick::AhoCorasick;
use regex::Regex;
use std::ops::Range;
use std::sync::LazyLock;

/// Words that any name we care for holds; finding them first spares the rest of the text.
static NEEDLES: LazyLock<AhoCorasick> = LazyLock::new(needles);

#[allow(clippy::expect_used)] // constant words; the tests below use them
fn needles() -> AhoCorasick {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .build([
            "secret",
            "token",
            "passw",
            "passphrase",
            "pwd",
            "key",
            "credential",
            "salt",
            "seed",
            "auth",
            "cookie",
            "bearer",
            "license",
            "pw",
        ])
        .expect("constant words")
}

/// What follows a key: `: value`, `= value`, `:= value`, `" => 'value'`, `: &str = "value"`, `", "value"`.
static VALUE: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r#"^(?P<close>["'`]?)(?:[ \t]*:[ \t]*&?(?:'static[ \t]+)?(?:str|String|string|SecretString)\b)?[ \t]*(?P<by>=>|:=|=|:|,)[ \t]*(?P<value>"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|`[^`\n]*`|[^\s,"'`]\S*)"#,
    )
});

/// `--token value` and `--token=value`.
static FLAG: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r#"--(?P<key>[a-z][a-z0-9-]{1,60})(?:[ \t]+|=)(?P<value>"[^"\n]*"|'[^'\n]*'|[^\s"'`-][^\s"'`]*)"#,
    )
});

/// The second line of a Kubernetes variable.
static NAMED_VALUE: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r#"(?m)\bname["']?[ \t]*:[ \t]*["']?(?P<key>[A-Za-z_][A-Za-z0-9_.-]{1,80})["']?[ \t]*,?[ \t]*(?:\r?\n[ \t]*)?["']?value["']?[ \t]*:[ \t]*(?P<value>"[^"\n]*"|'[^'\n]*'|[^\s"'#,}][^\s,}]*)"#,
    )
});

/// The default of a Terraform variable.
static VARIABLE_DEFAULT: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r#"variable[ \t]+"(?P<key>[A-Za-z0-9_-]+)"[ \t]*\{[^{}]*?\bdefault[ \t]*=[ \t]*(?P<value>"[^"\n]*")"#,
    )
});

/// What a name promises about its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// A secret.
    Secret,
    /// The name of a stored secret, or a secret.
    SecretOrItsName,
    /// Perhaps a key: only a long random value counts.
    Key,
}

/// Every value that should not be written down: the rule and the value's place.
pub(super) fn find(text: &str, place: &Place, lines: &Lines) -> Vec<(&'static Rule, Range<usize>)> {
    if place.is_generated {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut done = 0;
    for word in NEEDLES.find_iter(text) {
        let key = name_around(text, word.range());
        // Another word of the same name.
        if key.start < done {
            continue;
        }
        done = key.end;
        if holds(&text[key.clone()]).is_some() {
            found.extend(pair(text, key, place, lines));
        }
    }
    let setting = Site {
        place,
        is_code: true,
        is_setting: true,
    };
    let mut more = |pattern: &Regex| {
        for pair in pattern.captures_iter(text) {
            if let (Some(key), Some(value)) = (pair.name("key"), pair.name("value")) {
                found.extend(judge(text, key.as_str(), value.range(), &setting));
            }
        }
    };
    match place.language {
        Language::Hcl => more(&VARIABLE_DEFAULT),
        Language::Yaml | Language::Json => more(&NAMED_VALUE),
        Language::Prose | Language::Env | Language::Dockerfile | Language::Other => more(&FLAG),
        _ => {}
    }
    found
}

/// The whole name that holds a word.
fn name_around(text: &str, word: Range<usize>) -> Range<usize> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let bytes = text.as_bytes();
    let before = bytes[..word.start]
        .iter()
        .rev()
        .take_while(|byte| is_name(byte))
        .count();
    let after = bytes[word.end..]
        .iter()
        .take_while(|byte| is_name(byte))
        .count();
    // A bullet or a flag isn't part of the name.
    let start = word.start - before;
    let lead = bytes[start..word.start]
        .iter()
        .take_while(|byte| matches!(byte, b'-' | b'.'))
        .count();
    start + lead..word.end + after
}

/// The pair that this key opens, when its value should not be written down.
fn pair(
    text: &str,
    key: Range<usize>,
    place: &Place,
    lines: &Lines,
) -> Option<(&'static Rule, Range<usize>)> {
    let rest = lines.rest(text, key.end);
    let captures = VALUE.captures(rest)?;
    let is_quoted_key = !captures.name("close")?.is_empty();
    let by = captures.name("by")?.as_str();
    let value = captures.name("value")?;
    // `("KEY", "value")` needs both quotes, and only where calls are written.
    if by == ","
        && !(is_quoted_key && value.as_str().starts_with('"') && place.language == Language::Source)
    {
        return None;
    }
    let value = key.end + value.start()..key.end + value.end();
    // `${KEY:-default}` is part of a value, which is looked at with its own key.
    let is_variable = text[..key.start].ends_with("${");
    // `label: Two words` isn't a secret.
    let goes_on = text[value.end..]
        .strip_prefix(' ')
        .is_some_and(|next| next.starts_with(char::is_alphanumeric));
    let is_unquoted = !text[value.clone()].starts_with(['"', '\'', '`']);
    if is_variable || (by == ":" && is_unquoted && goes_on) {
        return None;
    }
    let site = Site {
        place,
        is_code: lines.is_code(key.start),
        is_setting: is_quoted_key || by == "=" || is_whole_line(text, key.start, value.end),
    };
    judge(text, &text[key], value, &site)
}

/// Where an assignment stands.
struct Site<'a> {
    place: &'a Place,
    /// Not in running text.
    is_code: bool,
    /// The form of the pair says that it sets something.
    is_setting: bool,
}

fn judge(
    text: &str,
    key: &str,
    range: Range<usize>,
    site: &Site<'_>,
) -> Option<(&'static Rule, Range<usize>)> {
    let holds = holds(key)?;
    let (mut range, mut is_quoted) = trimmed(text, range);
    if let Some(default) = shell_default(&text[range.clone()]) {
        range = range.end - 1 - default.len()..range.end - 1;
        is_quoted = true;
    }
    let value = &text[range.clone()];
    if value.len() < 5 || is_placeholder(value) || is_expression(value, is_quoted) {
        return None;
    }
    let language = site.place.language;
    let needs_quotes = matches!(
        language,
        Language::Source | Language::Hcl | Language::Toml | Language::Json
    );
    if needs_quotes && !is_quoted {
        return None;
    }
    if holds == Holds::Key {
        return (value.len() >= 32 && is_drawn(value)).then_some((ENTROPY, range));
    }
    let is_lenient = language == Language::Source
        || !site.place.is_template
        || (site.place.is_prose() && !(site.is_code && site.is_setting) && !is_upper(key))
        || (language == Language::Other && !site.is_setting);
    let is_secret = if is_lenient {
        is_drawn(value)
    } else {
        is_written_secret(key, value, holds)
    };
    is_secret.then_some((ASSIGNMENT, range))
}

/// In configuration, whatever isn't a placeholder counts, unless it says what it is.
fn is_written_secret(key: &str, value: &str, holds: Holds) -> bool {
    if value
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        return words(key).iter().any(|word| word.starts_with("passw")) && value.len() >= 6;
    }
    let is_name = is_words(value)
        && value.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.')
        });
    !(holds == Holds::SecretOrItsName && is_name) && value.len() >= 6
}

/// The value without quotes, comma and closing brackets.
fn trimmed(text: &str, range: Range<usize>) -> (Range<usize>, bool) {
    let value = &text[range.clone()];
    if value.len() >= 2 && value.starts_with(['"', '\'', '`']) {
        return (range.start + 1..range.end - 1, true);
    }
    let inner = value.trim_end_matches([',', ';', ')', ']', '"', '\'', '`', '|']);
    // `${A}` and `{{ a }}` keep their brackets.
    let inner = if inner.contains('{') {
        inner
    } else {
        inner.trim_end_matches('}')
    };
    (range.start..range.start + inner.len(), false)
}

/// A path, a URL, a call, a field of something: not the secret itself.
fn is_expression(value: &str, is_quoted: bool) -> bool {
    if value.contains(char::is_whitespace)
        || value.contains("://")
        || value.contains("…")
        || value.contains("...")
    {
        return true;
    }
    if value.starts_with(['/', '~', '.', '#']) && !is_drawn(value) {
        return true;
    }
    if is_quoted {
        return value.contains(['{', '\\']) && !is_drawn(value);
    }
    let is_path = value
        .split(['.', ':', '-', '>', '?', '!'])
        .filter(|part| !part.is_empty())
        .all(|part| {
            part.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                && !part.as_bytes()[0].is_ascii_digit()
        });
    value.starts_with([
        '[', '{', '(', '|', '>', '&', '*', '!', '@', '<', '%', '$', '=',
    ]) || value.contains(['(', '[', '{', '&', '<', '|'])
        || (is_path && value.contains(['.', ':']))
}

/// Whether key and value are all that the line holds.
fn is_whole_line(text: &str, start: usize, end: usize) -> bool {
    let before = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let after = text[end..].find('\n').map_or(text.len(), |at| end + at);
    let lead = text[before..start].trim_matches([' ', '\t', '-', '"', '\'']);
    lead.is_empty() && text[end..after].trim().is_empty()
}

fn is_upper(key: &str) -> bool {
    key.len() >= 5
        && key
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Words that make a name one of a secret.
const SECRET_WORDS: [&str; 14] = [
    "secret",
    "token",
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "apikey",
    "credential",
    "credentials",
    "authtoken",
    "accesskey",
    "secretkey",
    "privatekey",
    "apitoken",
];

/// `key` counts as a secret behind these.
const KEY_OWNERS: [&str; 14] = [
    "api",
    "access",
    "private",
    "signing",
    "encryption",
    "secret",
    "shared",
    "account",
    "master",
    "auth",
    "service",
    "license",
    "hmac",
    "jwt",
];

/// `key` behind these is an ordinary key.
const PLAIN_KEYS: [&str; 24] = [
    "public",
    "primary",
    "foreign",
    "idempotency",
    "cache",
    "partition",
    "sort",
    "object",
    "storage",
    "map",
    "row",
    "json",
    "state",
    "config",
    "i18n",
    "label",
    "host",
    "group",
    "lookup",
    "dedupe",
    "routing",
    "translation",
    "registry",
    "data",
];

/// Last words that say that the value is about a secret, not one.
const ABOUT: [&str; 68] = [
    "ref",
    "refs",
    "name",
    "names",
    "file",
    "path",
    "dir",
    "url",
    "uri",
    "endpoint",
    "host",
    "ttl",
    "ms",
    "seconds",
    "days",
    "hours",
    "minutes",
    "count",
    "limit",
    "budget",
    "max",
    "min",
    "type",
    "kind",
    "mode",
    "policy",
    "length",
    "len",
    "size",
    "bytes",
    "env",
    "var",
    "variable",
    "id",
    "ids",
    "prefix",
    "suffix",
    "header",
    "field",
    "label",
    "title",
    "description",
    "placeholder",
    "hint",
    "pattern",
    "regex",
    "digest",
    "hash",
    "sha256",
    "fingerprint",
    "version",
    "rotation",
    "issuer",
    "audience",
    "enabled",
    "required",
    "expires",
    "expiry",
    "at",
    "provider",
    "manager",
    "store",
    "backend",
    "source",
    "namespace",
    "status",
    "scope",
    "scopes",
];

fn holds(key: &str) -> Option<Holds> {
    let words = words(key);
    let last = words.last()?.as_str();
    let is_access_key_id = words.ends_with(&["access".into(), "key".into(), "id".into()]);
    if ABOUT.contains(&last) && !is_access_key_id {
        return None;
    }
    let first = words.first()?.as_str();
    if [
        "max", "min", "total", "num", "has", "is", "no", "allowed", "allow", "require", "requires",
        "use", "existing", "show", "hide",
    ]
    .contains(&first)
    {
        return None;
    }
    let owned_key = words
        .windows(2)
        .any(|pair| pair[1] == "key" && KEY_OWNERS.contains(&pair[0].as_str()));
    if words
        .iter()
        .any(|word| SECRET_WORDS.contains(&word.as_str()))
        || owned_key
    {
        let names_it = matches!(last, "secret" | "credential" | "credentials");
        return Some(if names_it {
            Holds::SecretOrItsName
        } else {
            Holds::Secret
        });
    }
    let is_plain = words.iter().any(|word| PLAIN_KEYS.contains(&word.as_str()));
    (!is_plain
        && matches!(
            last,
            "key" | "salt" | "seed" | "auth" | "cookie" | "bearer" | "license" | "pw"
        ))
    .then_some(Holds::Key)
}

/// `clientSecret`, `CLIENT_SECRET`, `client-secret`, `client.secret`: the words, lower-case.
fn words(key: &str) -> Vec<String> {
    let mut words = Vec::new();
    for segment in key.split(['_', '-', '.']) {
        let bytes = segment.as_bytes();
        let mut start = 0;
        for at in 1..bytes.len() {
            let starts_word = bytes[at].is_ascii_uppercase()
                && (bytes[at - 1].is_ascii_lowercase()
                    || bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase));
            if starts_word {
                words.push(segment[start..at].to_ascii_lowercase());
                start = at;
            }
        }
        if start < segment.len() {
            words.push(segment[start..].to_ascii_lowercase());
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWN: &str = "k9f8e7d6c5b4a3928170";

    fn count(path: &str, text: &str) -> usize {
        find(text, &Place::of(path), &Lines::of(text, &Place::of(path))).len()
    }

    #[test]
    fn every_spelling_of_a_secret_name_counts() {
        for (path, text) in [
            ("a.env", "DB_PASSWORD=hunter2secret"),
            ("a.yaml", "dbPassword: hunter2secret"),
            ("a.yaml", "- {db_password: 'hunter2secret'}"),
            ("a.json", r#"{"clientSecret": "hunter2secret"}"#),
            ("a.toml", r#"api-key = "hunter2secret""#),
            ("a.tf", r#"admin_password = "hunter2secret""#),
            (
                "a.tf",
                "variable \"db_password\" {\n  type = string\n  default = \"hunter2secret\"\n}",
            ),
            (
                "a.yaml",
                "env:\n  - name: DB_PASSWORD\n    value: hunter2secret",
            ),
            (
                "docker-compose.yml",
                "    - DB_PASSWORD=${DB_PASSWORD:-hunter2secret}",
            ),
            ("README.md", "```sh\nexport API_TOKEN=hunter2secret\n```"),
            ("README.md", "run `app --admin-password hunter2secret`"),
            ("Procfile", "SESSION_SECRET=hunter2secret"),
        ] {
            assert_eq!(count(path, text), 1, "{path}: {text}");
        }
    }

    #[test]
    fn references_types_and_talk_do_not_count() {
        for (path, text) in [
            ("a.yaml", "password: ${DB_PASSWORD}"),
            ("a.yaml", "existingSecret: app-secrets"),
            (
                "a.yaml",
                "secretKeyRef:\n  name: app-secrets\n  key: password",
            ),
            ("a.yaml", "maxTokens: 4096"),
            ("a.yaml", "tokenFile: /run/secrets/token"),
            ("a.yaml", "password: \"\" # set it"),
            ("a.yaml", "token: env:TOKEN"),
            ("a.json", r#"{"adminToken": "{env:ADMIN_TOKEN}"}"#),
            ("a.json", r#"{"apiToken": "API token"}"#),
            ("a.json", r#"{"password": {"type": "string"}}"#),
            ("a.tf", "password = random_password.db.result"),
            ("README.md", "The token: a string that the page prints."),
            ("a.rs", "let token = read_token(&path)?;"),
            (
                "a.rs",
                r#"const TOKEN_HEADER: &str = "x-open-cowork-token";"#,
            ),
            ("a.py", "password = getpass.getpass()"),
        ] {
            assert_eq!(count(path, text), 0, "{path}: {text}");
        }
    }

    #[test]
    fn in_source_only_a_drawn_value_counts() {
        assert_eq!(
            count("a.rs", &format!("const API_TOKEN: &str = \"{DRAWN}\";")),
            1
        );
        assert_eq!(
            count("a.rs", &format!(".env(\"API_TOKEN\", \"{DRAWN}\")")),
            1
        );
        assert_eq!(
            count("a.rs", r#"const API_TOKEN: &str = "the-token-of-a-test";"#),
            0
        );
    }
}
