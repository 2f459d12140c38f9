//! Paths of the workbench: every id is percent-encoded, every way back stays on this host.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// One path segment or query value.
pub(crate) fn segment(text: &str) -> String {
    // A segment of dots only would be resolved away by the browser.
    if text == "." || text == ".." {
        return text.replace('.', "%2E");
    }
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// The page of a chat.
pub(crate) fn chat(id: &str) -> String {
    format!("/chats/{}", segment(id))
}

/// Something below a chat.
pub(crate) fn chat_path(id: &str, rest: &str) -> String {
    format!("/chats/{}/{rest}", segment(id))
}

/// The full page of one tool call.
pub(crate) fn call(id: &str, task: Option<&str>, call: &str) -> String {
    let base = format!("/chats/{}/calls/{}", segment(id), segment(call));
    match task {
        Some(task) => format!("{base}?agent={}", segment(task)),
        None => base,
    }
}

/// A path to go back to, if it stays on this host; else the home page.
pub(crate) fn local(path: &str) -> &str {
    let ok = path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains('\\')
        && path.bytes().all(|b| b.is_ascii_graphic());
    if ok { path } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_never_leaves_its_segment() {
        assert_eq!(chat("a/b?c#d"), "/chats/a%2Fb%3Fc%23d");
        assert_eq!(chat(".."), "/chats/%2E%2E");
        assert_eq!(chat("\"><script>"), "/chats/%22%3E%3Cscript%3E");
    }

    #[test]
    fn the_way_back_stays_on_this_host() {
        assert_eq!(local("/chats/x?before=3"), "/chats/x?before=3");
        for foreign in [
            "https://evil",
            "//evil",
            "/\\evil",
            "evil",
            "/a\r\nSet-Cookie: x",
            "",
        ] {
            assert_eq!(local(foreign), "/", "{foreign}");
        }
    }
}
