//! How firmly an image reference names one image (09 §14.3, "mutable tag").

use super::lines::Lines;
use super::place::{Language, Place};
use super::rule::compile;
use regex::Regex;
use std::ops::Range;
use std::sync::LazyLock;

/// What a reference promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    /// The same bytes for ever.
    Digest,
    /// A release tag.
    Tag,
    /// The operator puts it in.
    Placeholder,
    /// A tag that moves, or none, which means `latest`.
    Mutable,
}

/// Tags that move by custom. `local` is what a build on the same machine makes.
const MOVING: [&str; 15] = [
    "latest", "stable", "main", "master", "edge", "nightly", "canary", "head", "develop", "dev",
    "next", "rolling", "current", "mainline", "unstable",
];

/// Stands for something that is put in later.
const HOLE: char = '\u{1}';

static VARIABLE: LazyLock<Regex> =
    LazyLock::new(|| compile(r"\$\{[A-Za-z_][A-Za-z0-9_.]*(?:(:?[-=?+])([^{}$]*))?\}"));
static TEMPLATE: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"\$\{\{[^}]*\}\}|\{\{[^}]*\}\}|\$\([^)]*\)|\$[A-Za-z_][A-Za-z0-9_]*|<[^<>]*>|\{[a-z_:A-Z0-9]*\}",
    )
});

static KEYED: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r#"(?m)(?:^|[\s{,"'-])(?P<key>[A-Za-z0-9_]*(?:[iI]mage|IMAGE))(?:_REF|Ref)?["']?[ \t]*[:=][ \t]*(?P<value>"[^"\n]*"|'[^'\n]*'|[^\s"'#,}][^\s"'#]*)"#,
    )
});
static TAG: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r#"(?m)(?:^(?P<indent>[ \t]*)(?:export[ \t]+|-[ \t]+)?|[{,][ \t]*)["']?(?:tag|[A-Za-z0-9]*[iI]mageTag|[A-Z0-9_]*IMAGE_TAG)["']?[ \t]*[:=][ \t]*(?P<value>"[^"\n]*"|'[^'\n]*'|[^\s"'#,}]*)"#,
    )
});
static FROM: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"(?im)^[ \t]*(?:FROM(?:[ \t]+--\S+)*|COPY[ \t]+--from=|ARG[ \t]+[A-Z0-9_]*IMAGE[A-Z0-9_]*=)[ \t]*(?P<value>\S+)(?:[ \t]+AS[ \t]+(?P<stage>\S+))?",
    )
});
static LOOSE: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"(?P<value>\b[a-z0-9][a-z0-9.-]*(?::\d+)?(?:/[a-z0-9._-]+)+:(?:latest|stable|main|master|edge|nightly|canary)\b)|(?:docker|podman|nerdctl)[ \t]+(?:run|pull|create)[ \t][^\n]*?(?P<short>\b[a-z0-9][a-z0-9._-]*:(?:latest|stable|main|edge|nightly))\b",
    )
});

/// Judges one reference as Compose, Helm or a container build write it; defaults inside `${VAR:-…}` count.
pub fn pin(reference: &str) -> Pin {
    let resolved = resolve(reference.trim());
    if resolved.chars().all(|c| c == HOLE) {
        return Pin::Placeholder;
    }
    if let Some((_, digest)) = resolved.split_once('@') {
        let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
        let is_digest = digest.len() == 71
            && hex.len() == 64
            && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        return if is_digest {
            Pin::Digest
        } else {
            Pin::Placeholder
        };
    }
    let last = resolved.rsplit('/').next().unwrap_or_default();
    match last.split_once(':') {
        None if last.contains(HOLE) => Pin::Placeholder,
        None => Pin::Mutable,
        Some((_, tag)) => pin_of_tag(tag),
    }
}

/// Judges a tag alone, as Helm values hold it.
pub fn pin_of_tag(tag: &str) -> Pin {
    let tag = resolve(tag.trim());
    let lower = tag.to_ascii_lowercase();
    let moves = |name: &str| {
        lower
            .strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    if tag.is_empty() || MOVING.iter().any(|name| moves(name)) {
        return Pin::Mutable;
    }
    if tag.contains(HOLE) || super::placeholder::is_placeholder(&tag) {
        return Pin::Placeholder;
    }
    Pin::Tag
}

/// Puts defaults in, and a hole where the operator puts something in. Innermost first.
fn resolve(text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..8 {
        let next = VARIABLE.replace_all(&text, |found: &regex::Captures<'_>| {
            let by = found.get(1).map_or("", |by| by.as_str());
            let default = found.get(2).map_or("", |default| default.as_str());
            // `${A:+b}` is about A being set; `${A:?…}` demands it.
            if matches!(by, ":-" | "-" | ":=" | "=") {
                default.to_owned()
            } else {
                HOLE.to_string()
            }
        });
        if next == text {
            break;
        }
        text = next.into_owned();
    }
    TEMPLATE.replace_all(&text, HOLE.to_string()).into_owned()
}

/// Every image reference of a file with its place.
pub(crate) fn references(text: &str, place_path: &str) -> Vec<Range<usize>> {
    let place = Place::of(place_path);
    let mut found = Vec::new();
    if place.language == Language::Dockerfile {
        let stages: Vec<&str> = FROM
            .captures_iter(text)
            .filter_map(|from| Some(from.name("stage")?.as_str()))
            .collect();
        for from in FROM.captures_iter(text) {
            if let Some(value) = from.name("value") {
                let name = value.as_str();
                let is_stage =
                    stages.contains(&name) || name.bytes().all(|byte| byte.is_ascii_digit());
                if name != "scratch" && !is_stage {
                    found.push(value.range());
                }
            }
        }
        return found;
    }
    for keyed in KEYED.captures_iter(text) {
        let (Some(key), Some(value)) = (keyed.name("key"), keyed.name("value")) else {
            continue;
        };
        let range = unquoted(text, value.range());
        let reference = &text[range.clone()];
        let is_plain_key = key.as_str() == "image" && place.language == Language::Yaml;
        if is_reference(reference) && (is_plain_key || resolve(reference).contains([':', '/', '@']))
        {
            found.push(range);
        }
    }
    found
}

/// Every reference and tag that can change.
pub(super) fn find(text: &str, place: &Place, lines: &Lines) -> Vec<Range<usize>> {
    if place.language == Language::Source {
        return Vec::new();
    }
    let mut found = references(text, &place.path);
    found.retain(|range| pin(&text[range.clone()]) == Pin::Mutable);
    for tag in TAG.captures_iter(text) {
        let Some(value) = tag.name("value") else {
            continue;
        };
        let indent = tag.name("indent").map_or("", |indent| indent.as_str());
        let range = unquoted(text, value.range());
        let is_empty = range.is_empty();
        if is_empty
            && (place.language != Language::Yaml
                || has_digest_beside(text, lines, value.start(), indent))
        {
            continue;
        }
        if pin_of_tag(&text[range.clone()]) == Pin::Mutable {
            found.push(range);
        }
    }
    for loose in LOOSE.captures_iter(text) {
        if let Some(value) = loose.name("value").or(loose.name("short")) {
            let is_known = found
                .iter()
                .any(|known| known.start < value.end() && value.start() < known.end);
            if !is_known {
                found.push(value.range());
            }
        }
    }
    found
}

/// A digest in the same mapping wins over the tag (09 §4.1).
fn has_digest_beside(text: &str, lines: &Lines, at: usize, indent: &str) -> bool {
    let index = lines.index(at);
    (index.saturating_sub(6)..index + 7).any(|near| {
        lines
            .line(text, near)
            .strip_prefix(indent)
            .and_then(|line| line.strip_prefix("digest:"))
            .is_some_and(|digest| !matches!(digest.trim(), "" | "\"\"" | "''"))
    })
}

fn unquoted(text: &str, range: Range<usize>) -> Range<usize> {
    let is_quoted = text[range.clone()].starts_with(['"', '\'']) && range.len() >= 2;
    if is_quoted {
        range.start + 1..range.end - 1
    } else {
        let end = text[range.clone()].trim_end_matches([',', ']', ')']).len();
        range.start..range.start + end
    }
}

/// Not a picture, a URL, a path or a sentence.
fn is_reference(text: &str) -> bool {
    let resolved = resolve(text);
    let lower = resolved.to_ascii_lowercase();
    !resolved.is_empty()
        && !lower.contains("://")
        && !lower.starts_with(['/', '.', '~', '#', '[', '{', '&', '*', '!', '|', '>', ':'])
        && !["png", "svg", "jpg", "jpeg", "webp", "gif", "ico"]
            .iter()
            .any(|end| lower.ends_with(&format!(".{end}")))
        && !matches!(
            lower.as_str(),
            "none" | "null" | "true" | "false" | "scratch"
        )
        && lower.bytes().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'.' | b'_' | b'/' | b':' | b'@' | b'-' | 1)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_change_is_mutable() {
        for reference in [
            "postgres",
            "postgres:latest",
            "postgres:latest-alpine",
            "registry.example.com:5000/app",
            "app:stable",
            "app:main",
            "app:edge",
            "${IMAGE:-app:latest}",
            "${IMAGE:-app}",
            "app:${TAG:-latest}",
            "app:${TAG:-${OTHER:-edge}}",
            "app:",
        ] {
            assert_eq!(pin(reference), Pin::Mutable, "{reference}");
        }
    }

    #[test]
    fn releases_digests_and_placeholders_are_not() {
        let digest = format!("app:1@sha256:{}", "0a".repeat(32));
        assert_eq!(pin(&digest), Pin::Digest);
        for reference in [
            "postgres:17.2",
            "app:local",
            "${IMAGE:-app:1.2.3}",
            "registry.example.com:5000/app:v1",
        ] {
            assert_eq!(pin(reference), Pin::Tag, "{reference}");
        }
        for reference in [
            "${IMAGE}",
            "${IMAGE:?set it}",
            "app:${TAG}",
            "{{ .Values.image }}",
            "app:VERSION",
            "app@sha256:<digest>",
        ] {
            assert_eq!(pin(reference), Pin::Placeholder, "{reference}");
        }
    }

    fn mutable(path: &str, text: &str) -> usize {
        let place = Place::of(path);
        find(text, &place, &Lines::of(text, &place)).len()
    }

    #[test]
    fn a_flow_mapping_counts_and_a_picture_does_not() {
        let flow = "image: {repository: r.example.com/a, tag: main}\n";
        assert_eq!(mutable("values.yaml", flow), 1);
        let picture = ".. image:: https://example.com/a.svg?branch=main\n";
        assert_eq!(mutable("README.rst", picture), 0);
    }

    #[test]
    fn they_are_found_where_images_are_named() {
        assert_eq!(
            mutable("compose.yaml", "services:\n  a:\n    image: nginx\n"),
            1
        );
        assert_eq!(
            mutable(
                "values.yaml",
                "image:\n  repository: r.example.com/a\n  tag: stable\n"
            ),
            1
        );
        assert_eq!(
            mutable(
                "values.yaml",
                "image:\n  repository: r.example.com/a\n  tag: \"\"\n"
            ),
            1
        );
        assert_eq!(
            mutable("values.yaml", "image:\n  tag: \"\"\n  digest: sha256:abc\n"),
            0
        );
        assert_eq!(
            mutable(
                "Dockerfile",
                "FROM rust:latest AS build\nFROM build\nFROM scratch\nCOPY --from=build /a /a\n"
            ),
            1
        );
        assert_eq!(
            mutable("a.env", "APP_IMAGE=registry.example.com/a:edge\n"),
            1
        );
        assert_eq!(mutable("README.md", "docker run --rm app:latest\n"), 1);
        assert_eq!(mutable("a.css", "background-image: url(a.png)\n"), 0);
        assert_eq!(
            mutable("a.json", "{\"bgImage\": \"none\", \"image\": \"logo.svg\"}"),
            0
        );
    }
}
