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

/// OpenCode's glob match over the whole text (05 §6.4): `*` is any run, `?` one UTF-16 unit, and a pattern that
/// ends with ` *` matches without arguments too: `git *` is also `git`.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    is_match(pattern, text)
        || pattern
            .strip_suffix(" *")
            .is_some_and(|bare| is_match(bare, text))
}

fn is_match(pattern: &str, text: &str) -> bool {
    const STAR: u16 = b'*' as u16;
    const ONE: u16 = b'?' as u16;
    let pattern: Vec<u16> = pattern.encode_utf16().collect();
    let text: Vec<u16> = text.encode_utf16().collect();
    let (mut p, mut t) = (0, 0);
    // The last `*` seen and where its run ends so far: on a mismatch the run grows by one. Linear memory,
    // quadratic time at worst, no recursion.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(&STAR) => {
                retry = Some((p + 1, t));
                p += 1;
            }
            Some(&c) if c == ONE || c == text[t] => {
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
    pattern[p..].iter().all(|c| *c == STAR)
}

/// Whether JavaScript takes a key for the index of an array (`7`, not `07`). It moves such keys to the front of
/// an object, and in a permission object the order decides; so nobody may write one.
#[must_use]
pub fn is_index(key: &str) -> bool {
    key.parse::<u32>()
        .is_ok_and(|index| index != u32::MAX && index.to_string() == key)
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
    fn keys_that_javascript_moves_to_the_front_are_known() {
        for key in ["0", "7", "4294967294"] {
            assert!(is_index(key), "{key}");
        }
        for key in [
            "",
            "07",
            "+7",
            "-1",
            "7a",
            "1.5",
            "4294967295",
            "99999999999",
        ] {
            assert!(!is_index(key), "{key}");
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
            ("git *", "git", true),
            ("git *", "git push", true),
            ("git *", "gitk", false),
            ("* *", "git", true),
            // JavaScript counts UTF-16 units: this one character is two of them.
            ("?", "😀", false),
            ("??", "😀", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} on {text}");
        }
    }
}
