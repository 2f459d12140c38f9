//! Tool patterns: both spellings of an MCP tool (05 §6.4) and OpenCode's glob match.

/// The other spelling of an MCP pattern: `mcp__wiki__read_*` is `wiki_read_*` for OpenCode 1.18 and later.
///
/// The text after `mcp__` is split at its first `__`; both halves must be non-empty and the server a plain
/// name. `mcp__*` has no other spelling.
#[must_use]
pub fn dual(pattern: &str) -> Option<String> {
    let (server, tool) = pattern.strip_prefix("mcp__")?.split_once("__")?;
    (is_server_name(server) && !tool.is_empty()).then(|| format!("{server}_{tool}"))
}

/// Each pattern followed by its other spelling; order is kept, repeats are dropped (05 §6.4).
#[must_use]
pub fn expand<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>) -> Vec<String> {
    let mut expanded = indexmap::IndexSet::new();
    for pattern in patterns {
        let pattern = pattern.as_ref();
        expanded.insert(pattern.to_owned());
        expanded.extend(dual(pattern));
    }
    expanded.into_iter().collect()
}

/// Glob match over the whole text: `*` is any run of characters, `?` exactly one (05 §6.4).
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // The last `*` seen and where its run ends so far: on a mismatch the run grows by one. Linear memory,
    // quadratic time at worst, no recursion.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p + 1, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((after_star, end)) = retry else {
                    return false;
                };
                retry = Some((after_star, end + 1));
                p = after_star;
                t = end + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

fn is_server_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_mcp_pattern_brings_its_other_spelling_right_behind_it() {
        assert_eq!(
            expand(["mcp__wiki__read_page", "bash", "mcp__wiki__*"]),
            [
                "mcp__wiki__read_page",
                "wiki_read_page",
                "bash",
                "mcp__wiki__*",
                "wiki_*"
            ]
        );
    }

    #[test]
    fn expanding_twice_changes_nothing() {
        let once = expand(["mcp__a-1__x__y", "mcp__*", "a-1_x__y"]);
        assert_eq!(once, ["mcp__a-1__x__y", "a-1_x__y", "mcp__*"]);
        assert_eq!(expand(&once), once);
    }

    #[test]
    fn what_is_not_an_mcp_pattern_has_one_spelling() {
        for pattern in [
            "mcp__*",
            "mcp__a__",
            "mcp____b",
            "mcp__a*__b",
            "mcp__-a__b",
            "read",
            "",
        ] {
            assert_eq!(dual(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn globs_match_the_whole_text() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("wiki_*", "wiki_read", true),
            ("wiki_*", "xwiki_read", false),
            ("w?b*h", "webfetch", true),
            ("*a*b", "aab", true),
            ("*a*b", "aaba", false),
            ("?", "", false),
            ("**", "abc", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} on {text}");
        }
    }
}
