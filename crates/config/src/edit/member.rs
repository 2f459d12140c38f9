//! Where the members of a document's object stand in its bytes. The text has been parsed before; what stands in
//! it is therefore well-formed, and brackets, texts and comments are all that has to be told apart.

/// One member, in bytes of the text.
pub(super) struct Member {
    /// Its key, unescaped.
    pub(super) key: String,
    /// Where the key's quote is.
    pub(super) begin: usize,
    /// Where the value begins.
    pub(super) value: usize,
    /// Behind the value.
    pub(super) end: usize,
    /// Where the comma behind it is.
    pub(super) comma: Option<usize>,
}

/// The members of the top-level object.
pub(super) struct Members {
    /// Where its opening brace is.
    pub(super) open: usize,
    /// Where its closing brace is.
    pub(super) close: usize,
    /// In the order of the text, duplicates too.
    pub(super) all: Vec<Member>,
}

/// Finds them; `None` when the text isn't an object after all.
pub(super) fn find(text: &str) -> Option<Members> {
    let bytes = text.as_bytes();
    let start = if text.starts_with('\u{feff}') { 3 } else { 0 };
    let open = blank(text, start);
    if bytes.get(open) != Some(&b'{') {
        return None;
    }
    let mut all: Vec<Member> = Vec::new();
    let mut at = blank(text, open + 1);
    while bytes.get(at) != Some(&b'}') {
        let begin = at;
        let behind = string(text, begin)?;
        let key = serde_json::from_str(&text[begin..behind]).ok()?;
        at = blank(text, behind);
        if bytes.get(at) != Some(&b':') {
            return None;
        }
        let value = blank(text, at + 1);
        let end = self::value(text, value)?;
        at = blank(text, end);
        let comma = (bytes.get(at) == Some(&b',')).then_some(at);
        if comma.is_some() {
            at = blank(text, at + 1);
        }
        all.push(Member {
            key,
            begin,
            value,
            end,
            comma,
        });
    }
    let close = at;
    Some(Members { open, close, all })
}

/// The end of the line on which a place is, behind the comments that end on it; the place itself when something
/// else follows on that line.
pub(super) fn end_of_line(text: &str, place: usize) -> usize {
    let mut at = place;
    loop {
        let rest = &text[at..];
        if rest.starts_with([' ', '\t']) {
            at += 1;
        } else if rest.starts_with("//") {
            return at + rest.find(['\n', '\r']).unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            match comment(text, at) {
                Some(end) if !text[at..end].contains(['\n', '\r']) => at = end,
                _ => return place,
            }
        } else if rest.is_empty() || rest.starts_with(['\n', '\r']) {
            // White space at the end of a line stays behind what stands there.
            return at;
        } else {
            return place;
        }
    }
}

/// Behind white space and comments.
fn blank(text: &str, mut at: usize) -> usize {
    let bytes = text.as_bytes();
    loop {
        match bytes.get(at) {
            Some(b' ' | b'\t' | b'\n' | b'\r') => at += 1,
            Some(b'/') => match comment(text, at) {
                Some(end) => at = end,
                None => return at,
            },
            _ => return at,
        }
    }
}

/// Behind a comment.
fn comment(text: &str, at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    if rest.starts_with("//") {
        return Some(at + rest.find(['\n', '\r']).unwrap_or(rest.len()));
    }
    let inside = rest.strip_prefix("/*")?;
    Some(at + 2 + inside.find("*/")? + 2)
}

/// Behind a text in quotes.
fn string(text: &str, begin: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.get(begin) != Some(&b'"') {
        return None;
    }
    let mut at = begin + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Behind a value.
fn value(text: &str, begin: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut at = begin;
    loop {
        match bytes.get(at)? {
            b'"' => at = string(text, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                at += 1;
            }
            b',' | b':' | b'/' | b' ' | b'\t' | b'\n' | b'\r' => {
                let behind = blank(text, at);
                at = behind.max(at + 1);
                continue;
            }
            _ => {
                at += bytes[at..]
                    .iter()
                    .position(|b| b",:/ \t\n\r{}[]\"".contains(b))
                    .unwrap_or(bytes.len() - at);
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}
