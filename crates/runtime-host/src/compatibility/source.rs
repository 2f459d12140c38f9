//! Rust source as the proof reads it (05 §13.3): a test that is commented out, ignored or none proves nothing.

/// Whether the source has a test function of this name that runs: `fn name(` in code, under an attribute whose
/// last word is `test`, without `#[ignore]`.
pub(super) fn has_test(source: &str, name: &str) -> bool {
    let code = code_of(source);
    let call = format!("fn {name}(");
    let mut from = 0;
    while let Some(found) = code[from..].find(&call) {
        let start = from + found;
        from = start + call.len();
        let before = &code[..start];
        let is_word = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        if !is_word && is_test(before) {
            return true;
        }
    }
    false
}

/// Whether the source declares a function of this name, in code.
pub(super) fn has_function(source: &str, name: &str) -> bool {
    let call = format!("fn {name}(");
    let code = code_of(source);
    code.match_indices(&call)
        .any(|(start, _)| !code[..start].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// Looks at the attributes that end right before a function: `#[…] #[…] pub async`.
fn is_test(before: &str) -> bool {
    let mut rest = before.trim_end();
    loop {
        let word = ["async", "pub", "pub(crate)", "pub(super)"]
            .iter()
            .find_map(|word| rest.strip_suffix(word));
        match word {
            Some(shorter) => rest = shorter.trim_end(),
            None => break,
        }
    }
    let mut test = false;
    while let Some(shorter) = rest.strip_suffix(']') {
        let Some(start) = opening(shorter) else {
            return false;
        };
        let attribute = shorter[start + 1..].trim();
        // `#![…]` is about what surrounds the function.
        let Some(shorter) = shorter[..start].strip_suffix('#') else {
            break;
        };
        let path = attribute.split('(').next().unwrap_or_default().trim();
        if attribute.starts_with("cfg_attr") || attribute.starts_with("ignore") {
            return false;
        }
        test |= path.rsplit("::").next() == Some("test");
        rest = shorter.trim_end();
    }
    test
}

/// Where the bracket opens that closes at the end of the text.
fn opening(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices().rev() {
        match c {
            ']' => depth += 1,
            '[' if depth == 0 => return Some(at),
            '[' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The source without comments and without what stands in strings.
fn code_of(source: &str) -> String {
    let bytes = source.as_bytes();
    let (mut code, mut at) = (String::with_capacity(source.len()), 0);
    while at < bytes.len() {
        let rest = &source[at..];
        let skipped = comment(rest).or_else(|| string(rest, code.chars().next_back()));
        match skipped {
            Some(length) => {
                code.push(' ');
                at += length;
            }
            None => {
                let Some(c) = rest.chars().next() else { break };
                code.push(c);
                at += c.len_utf8();
            }
        }
    }
    code
}

/// Bytes of the comment that begins here; block comments nest.
fn comment(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if !rest.starts_with("/*") {
        return None;
    }
    let (mut depth, mut at) = (0_usize, 0);
    let bytes = rest.as_bytes();
    while at < bytes.len() {
        match &bytes[at..bytes.len().min(at + 2)] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" if depth == 1 => return Some(at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    Some(rest.len())
}

/// Bytes of the string or character that begins here, behind the character `before`.
fn string(rest: &str, before: Option<char>) -> Option<usize> {
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if let Some(raw) = rest
        .strip_prefix('r')
        .filter(|_| !in_word || before == Some('b'))
    {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let body = &raw[hashes + 1..];
            let length = body.find(&end).map_or(body.len(), |at| at + end.len());
            return Some(1 + hashes + 1 + length);
        }
    }
    let mut chars = rest.char_indices();
    match chars.next()? {
        (_, '"') => {
            let mut escaped = false;
            for (at, c) in chars {
                match c {
                    _ if escaped => escaped = false,
                    '\\' => escaped = true,
                    '"' => return Some(at + 1),
                    _ => {}
                }
            }
            Some(rest.len())
        }
        // `'x'` and `'\n'` are characters; `'a` is a lifetime.
        (_, '\'') => match (chars.next(), chars.next()) {
            (Some((_, '\\')), Some(_)) => {
                let end = rest.get(3..)?.find('\'')?;
                (end < 12).then_some(3 + end + 1)
            }
            (Some(_), Some((at, '\''))) => Some(at + 1),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_a_function_under_a_test_attribute() {
        for source in [
            "#[test]\nfn it() {}",
            "#[test]\n/// Why.\n#[allow(clippy::panic)]\nfn it() {}",
            "#[tokio::test(flavor = \"multi_thread\")]\nasync fn it() {}",
            "#[test]\n#[should_panic(expected = \"]\")]\nfn it() {}",
            "proptest! {\n #![proptest_config(X)]\n #[test]\n fn it(a in b()) {}\n}",
            "fn f<'a>(x: &'a str) -> char { '\"' }\n#[test]\nfn it() {}",
            "const A: &[u8] = b\"\\\"\"; const B: char = '\\'';\n#[test]\nfn it() {}",
            "const A: &str = r#\"\"#;\n#[test]\nfn it() {}",
        ] {
            assert!(has_test(source, "it"), "{source}");
        }
    }

    #[test]
    fn what_does_not_run_is_no_test() {
        for source in [
            "fn it() {}",
            "#[cfg(test)]\nfn it() {}",
            "// #[test]\n// fn it() {}",
            "/* #[test] /* */ fn it() {} */",
            "// #[test]\nfn it() {}",
            "#[test]\n// fn it() {}\nfn other() {}",
            "#[test]\n#[ignore]\nfn it() {}",
            "#[ignore = \"slow\"]\n#[test]\nfn it() {}",
            "#[test]\n#[cfg_attr(unix, ignore)]\nfn it() {}",
            "const A: &str = \"#[test]\nfn it() {}\";",
            "const A: &str = r#\"#[test]\nfn it() {}\"#;",
            "#[test]\nfn it_too() {}",
            "#[test]\nfn other() {}\nfn it() {}",
            "/*",
            "\"",
            "'",
            "r#\"",
            "fn it(",
        ] {
            assert!(!has_test(source, "it"), "{source}");
        }
    }

    #[test]
    fn a_function_in_a_comment_is_none() {
        assert!(has_function("pub async fn it(&self) {}", "it"));
        assert!(!has_function("// fn it(&self)", "it"));
    }
}
