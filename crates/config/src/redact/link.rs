//! Queries of links: a key of a query may open what the link leads to, whatever it is called.

use super::{command::is_placeholder, compiled, mark};
use crate::pointer;
use crate::view::{View, public};
use regex::{Captures, Regex};
use std::borrow::Cow;
use std::sync::LazyLock;

/// Keys whose values open nothing.
const HARMLESS: [&str; 8] = [
    "api-version",
    "hl",
    "lang",
    "language",
    "locale",
    "region",
    "v",
    "version",
];

static QUERY: LazyLock<Regex> =
    LazyLock::new(|| compiled(r#"(?P<before>[?&](?P<key>[^\s=&#"'<>]*)=)(?P<value>[^\s&#"'<>]+)"#));

/// A text without the values in queries of its links, unless it stands at a public key or the name of a value
/// says that it is harmless.
pub(super) fn queries_masked<'t>(text: &'t str, at: &str) -> Cow<'t, str> {
    if !text.contains("://") || !text.contains('?') || is_public(at) {
        return Cow::Borrowed(text);
    }
    QUERY.replace_all(text, |found: &Captures<'_>| {
        let (before, value) = (&found["before"], &found["value"]);
        let key = found["key"].to_ascii_lowercase();
        if HARMLESS.contains(&key.as_str()) || is_placeholder(value) {
            return found[0].to_owned();
        }
        format!("{before}{}", mark(value))
    })
}

fn is_public(at: &str) -> bool {
    View::ALL
        .iter()
        .flat_map(|view| public::keys(*view))
        .any(|pattern| pointer::matches(pattern, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_in_queries_are_hidden_except_harmless_ones_and_public_links() {
        let link = "https://a.example.com/v1?k=hunter2&api-version=7&x={env:X}&token=hunter2#top";
        assert_eq!(
            queries_masked(link, "/telemetry/endpoint"),
            "https://a.example.com/v1?k=[redacted:7 chars]&api-version=7&x={env:X}&token=[redacted:7 chars]#top"
        );
        assert_eq!(queries_masked(link, "/branding/helpUrl"), link);
        assert_eq!(
            queries_masked("why? a=b", "/telemetry/endpoint"),
            "why? a=b"
        );
    }
}
