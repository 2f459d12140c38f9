//! What a regular expression can't say about its own match.

use super::place::{Language, Place};
use super::placeholder::is_placeholder;
use super::randomness::{is_random, is_words};
use std::ops::Range;

/// A match of a rule's expression.
pub(super) struct Found<'a> {
    /// The whole text of the file.
    pub(super) text: &'a str,
    /// Where the file stands.
    pub(super) place: &'a Place,
    /// The whole match.
    pub(super) whole: Range<usize>,
    /// The value: group 1, else the whole match.
    pub(super) value: Range<usize>,
}

impl<'a> Found<'a> {
    fn value(&self) -> &'a str {
        &self.text[self.value.clone()]
    }

    fn whole(&self) -> &'a str {
        &self.text[self.whole.clone()]
    }

    fn byte_before(&self) -> Option<u8> {
        let before = self.whole.start.checked_sub(1)?;
        self.text.as_bytes().get(before).copied()
    }

    fn byte_after(&self) -> Option<u8> {
        self.text.as_bytes().get(self.whole.end).copied()
    }

    /// Whether no letter or digit touches the match.
    pub(super) fn stands_apart(&self) -> bool {
        let touches = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        !touches(self.byte_before()) && !touches(self.byte_after())
    }

    /// The line of the match, without what is before and after it.
    fn line(&self) -> &'a str {
        let start = self.text[..self.whole.start]
            .rfind('\n')
            .map_or(0, |at| at + 1);
        let end = self.text[self.whole.end..]
            .find('\n')
            .map_or(self.text.len(), |at| self.whole.end + at);
        &self.text[start..end]
    }
}

pub(super) fn always(_: &Found<'_>) -> bool {
    true
}

pub(super) fn is_no_placeholder(found: &Found<'_>) -> bool {
    !is_placeholder(found.value())
}

/// A token with a prefix whose tail was drawn: `sk-learn-pipeline-with-names` is a name.
pub(super) fn is_random_tail(found: &Found<'_>) -> bool {
    let value = found.value();
    // Nobody writes these in front of a name.
    const CERTAIN: [&str; 5] = ["sk-ant-", "sk-proj-", "sk-or-", "sk-svcacct-", "sk-admin-"];
    if CERTAIN.iter().any(|prefix| value.starts_with(prefix)) {
        return true;
    }
    let longest_run = value
        .split(|c: char| !c.is_ascii_alphanumeric())
        .map(str::len)
        .max();
    let has_digit = value.bytes().any(|byte| byte.is_ascii_digit());
    (has_digit && !is_words(value)) || longest_run.unwrap_or_default() >= 18
}

/// The password of a URL, unless the URL is an obvious form to fill in.
pub(super) fn is_url_password(found: &Found<'_>) -> bool {
    let password = found.value();
    let host = found.whole().rsplit('@').next().unwrap_or_default();
    let is_form = |host: &str| {
        matches!(
            host.to_ascii_lowercase().as_str(),
            "host" | "hostname" | "server" | "host:port" | "..." | "x"
        ) || host == "example.com"
            || host.ends_with(".example.com")
            || host.starts_with(['<', '$', '{'])
    };
    // Words such as `password` are placeholders where the host is one too, or in program source.
    let is_word = password.bytes().all(|byte| byte.is_ascii_lowercase());
    if is_word && is_placeholder(password) {
        return !is_form(host) && found.place.language != Language::Source;
    }
    // Source that assembles URLs, and its tests, which show that user info is refused or hidden.
    let is_short = password.len() < 8;
    if found.place.language == Language::Source && (is_short || is_form(host)) {
        return false;
    }
    !is_placeholder(password)
}

/// A credential in a header: not a word, not a placeholder.
pub(super) fn is_credential(found: &Found<'_>) -> bool {
    let value = found.value();
    let drawn = value.bytes().any(|byte| byte.is_ascii_digit()) && !is_words(value);
    let head = found.whole().to_ascii_lowercase();
    let is_basic = head.contains("basic") && value.len() >= 12;
    let is_header =
        head.contains("authorization") && value.bytes().all(|byte| byte.is_ascii_alphanumeric());
    !is_placeholder(value) && (drawn || is_basic || is_header)
}

pub(super) fn is_no_repetition(found: &Found<'_>) -> bool {
    let value = found.value().as_bytes();
    !value.iter().all(|byte| byte == &value[0])
}

/// An account id, or a bucket that isn't a placeholder.
pub(super) fn is_arn_of_somebody(found: &Found<'_>) -> bool {
    let value = found.value();
    if value.bytes().all(|byte| byte.is_ascii_digit()) {
        return is_no_repetition(found);
    }
    !is_placeholder(value) && !matches!(value, "bucket" | "name")
}

/// Twelve digits that stand alone; a number in a decimal, a hash or a longer id doesn't count.
pub(super) fn is_account(found: &Found<'_>) -> bool {
    let bytes = found.text.as_bytes();
    let touches = |at: Option<usize>| {
        at.and_then(|at| bytes.get(at))
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_'))
    };
    let followed = bytes
        .get(found.value.end)
        .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    !touches(found.value.start.checked_sub(1)) && !followed && is_no_repetition(found)
}

/// Words in the names of providers' hosts that say which service, not whose.
const SERVICE_LABELS: [&str; 30] = [
    "s3",
    "dkr",
    "ecr",
    "ec2",
    "elb",
    "elasticloadbalancing",
    "execute-api",
    "lambda-url",
    "rds",
    "sqs",
    "sns",
    "sts",
    "kms",
    "logs",
    "bedrock-runtime",
    "bedrock",
    "secretsmanager",
    "blob",
    "file",
    "queue",
    "table",
    "dfs",
    "vault",
    "core",
    "database",
    "cdn",
    "openai",
    "s3-website",
    "dualstack",
    "public",
];

/// A provider's host, unless the parts that tell whose it is are placeholders.
pub(super) fn is_provider_host(found: &Found<'_>) -> bool {
    if let Some((_, project)) = found.value().split_once('/') {
        return !is_public_image_project(project)
            && !is_placeholder(project)
            && !project.starts_with("example");
    }
    // A reference right before the host takes the place of its first label.
    let before = found.text[..found.whole.start].trim_end_matches(['.', '-']);
    let has_reference = before.ends_with(['}', '>', ')', '*']);
    let mut has_placeholder = has_reference;
    for label in found.value().split('.') {
        let is_stand_in = label
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'_' | b'-'))
            || label.starts_with("example")
            || matches!(label, "region" | "account" | "name" | "your-app" | "bucket");
        has_placeholder |= is_stand_in;
        if is_suffix_label(label) {
            break;
        }
        if !is_stand_in
            && !SERVICE_LABELS.contains(&label.to_ascii_lowercase().as_str())
            && !has_reference
        {
            return true;
        }
    }
    !has_placeholder
}

fn is_suffix_label(label: &str) -> bool {
    matches!(
        label,
        "amazonaws"
            | "windows"
            | "azure"
            | "cloudfront"
            | "azurewebsites"
            | "azurecr"
            | "run"
            | "ondigitalocean"
            | "digitaloceanspaces"
            | "azurecontainerapps"
            | "azure-api"
            | "cloudfunctions"
            | "appspot"
            | "firebaseio"
            | "herokuapp"
            | "fly"
            | "vercel"
            | "netlify"
            | "onrender"
            | "supabase"
            | "cloudflarestorage"
            | "workers"
            | "neon"
            | "ngrok"
            | "ngrok-free"
    )
}

/// Registries' own public images, such as base images of a build.
fn is_public_image_project(project: &str) -> bool {
    matches!(
        project.to_ascii_lowercase().as_str(),
        "distroless"
            | "google-containers"
            | "k8s-artifacts-prod"
            | "cadvisor"
            | "kaniko-project"
            | "cloud-sql-connectors"
            | "docker"
            | "aws-containers"
            | "bitnami"
            | "lambda"
            | "cloudrun"
    )
}

/// The tail of a payment id is drawn; the tail of `prod_database1` is written.
pub(super) fn is_billing_id(found: &Found<'_>) -> bool {
    if matches!(found.byte_before(), Some(b'_' | b'-' | b'.')) || found.byte_after() == Some(b'_') {
        return false;
    }
    let Some((_, tail)) = found.value().split_once('_') else {
        return false;
    };
    let has = |test: fn(&u8) -> bool| tail.bytes().any(|byte| test(&byte));
    let mixed_case = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    let bytes = tail.as_bytes();
    let digit_then_letter = bytes
        .windows(2)
        .any(|pair| pair[0].is_ascii_digit() && pair[1].is_ascii_alphabetic());
    let drawn = has(u8::is_ascii_digit) && (mixed_case || digit_then_letter);
    let changes = bytes
        .windows(2)
        .filter(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
        .count();
    drawn && !is_placeholder(tail) || (mixed_case && changes >= 4)
}

/// Documented sample ids: nil, max, the examples of RFC 9562 and of well-known manuals.
pub(super) fn is_private_uuid(found: &Found<'_>) -> bool {
    if matches!(found.byte_before(), Some(b'-' | b'_')) || found.byte_after() == Some(b'-') {
        return false;
    }
    const SAMPLES: [&str; 10] = [
        "123e4567e89b12d3a456426614174000",
        "123e4567e89b12d3a456426655440000",
        "550e8400e29b41d4a716446655440000",
        "f81d4fae7dec11d0a76500a0c91e6bf6",
        "6ba7b8109dad11d180b400c04fd430c8",
        "c232ab00941411ecb3c89f6bdeced846",
        "919108f752d133205bacf847db4148a8",
        "017f22e279b07cc398c4dc0c0c07398f",
        "2489e9ad2ee28e008ec932d5f69181c0",
        "5df418813aed351588a72f4a814cf09e",
    ];
    let digits: String = found.value().to_ascii_lowercase().replace('-', "");
    // `11111111-1111-4111-8111-111111111111` and `00000000-0000-4000-8000-000000000007` are written by hand.
    let mut kinds: Vec<u8> = digits.bytes().collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds.len() > 4 && !SAMPLES.contains(&digits.as_str()) && !digits.contains("0123456789ab")
}

pub(super) fn is_label_value(found: &Found<'_>) -> bool {
    let value = found.value().trim_end_matches(['.', ')', '|', '`']);
    let host = value.rsplit('@').next().unwrap_or(value);
    value.len() > 2
        && !is_placeholder(value)
        && !is_example_domain(host)
        && !value.starts_with(['(', '|', '<'])
}

/// An address that could be somebody's.
pub(super) fn is_private_email(found: &Found<'_>) -> bool {
    // User info of a URL, a decorator, a scoped package, an image digest.
    if matches!(found.byte_before(), Some(b'/' | b':' | b'@' | b'*'))
        || matches!(found.byte_after(), Some(b'@' | b'('))
    {
        return false;
    }
    let Some((local, domain)) = found.value().split_once('@') else {
        return false;
    };
    let top = domain
        .rsplit('.')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    const FILE_ENDINGS: [&str; 22] = [
        "service", "timer", "socket", "target", "png", "svg", "jpg", "md", "rs", "js", "ts",
        "json", "yaml", "yml", "toml", "sh", "py", "css", "html", "txt", "lock", "local",
    ];
    !FILE_ENDINGS.contains(&top.as_str())
        && !is_example_domain(domain)
        && !matches!(
            local.to_ascii_lowercase().as_str(),
            "git" | "noreply" | "no-reply" | "user" | "name" | "you"
        )
        && !domain.ends_with("noreply.github.com")
}

/// RFC 2606 and RFC 6761 names.
fn is_example_domain(domain: &str) -> bool {
    let domain = domain.trim_end_matches('.').to_ascii_lowercase();
    let mut labels = domain.rsplit('.');
    let top = labels.next().unwrap_or_default();
    match top {
        "example" | "test" | "invalid" | "localhost" => true,
        "com" | "org" | "net" => labels.next() == Some("example"),
        _ => false,
    }
}

pub(super) fn is_outside_migration(found: &Found<'_>) -> bool {
    !found.place.is_migration()
}

/// The one-word form is right in the bundle id, in the folder on disk and as the default namespace.
pub(super) fn is_unhyphenated_name(found: &Found<'_>) -> bool {
    if found.place.is_migration() || found.place.is_generated {
        return false;
    }
    let before = &found.text[..found.whole.start];
    let is_id = before.ends_with("com.") && found.byte_after() == Some(b'.');
    let is_folder = before.ends_with('.') && !before.ends_with("..");
    let is_namespace = found.line().contains("amespace");
    !is_id && !is_folder && !is_namespace
}

/// A sentence that denies or postpones makes no claim.
pub(super) fn is_claim(found: &Found<'_>) -> bool {
    let line = found.line().to_ascii_lowercase();
    let denials = [
        "reserved", "not ", "no ", "never", "n't", "planned", "future", "unless",
    ];
    !denials.iter().any(|word| line.contains(word))
}

/// Whether a keyed value is drawn; used where the name alone isn't enough.
pub(super) fn is_drawn(value: &str) -> bool {
    is_random(value) && !is_placeholder(value)
}
