//! The path below which the workbench lives, and the addresses of everything below it.
//!
//! Browsers send a cookie of 127.0.0.1 to every port of it. A workbench at `/` would show its visit's cookie to
//! whatever server the agent starts and the user opens in the same browser; below a path that nobody can guess,
//! with the cookie bound to that path, it doesn't. The same base serves a workbench behind a reverse proxy that
//! gives it a prefix (docs/contract/07-workbench.md §19.7).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt;
use std::sync::Arc;

/// Longest base, bytes.
const LONGEST: usize = 200;

/// The path that everything of a workbench begins with: empty, or `/` and segments of letters, digits and
/// `-._~`, without a slash at the end.
///
/// `Debug` shows no path: a random one keeps the visit's cookie from other servers.
///
/// ```
/// use open_cowork_workbench::BasePath;
///
/// let base = BasePath::parse("/team/cowork")?;
/// assert_eq!(base.url("/chats"), "/team/cowork/chats");
/// assert_eq!(BasePath::root().url("/chats"), "/chats");
/// assert!(BasePath::parse("/cowork/").is_err());
/// # Ok::<(), open_cowork_workbench::BasePathError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct BasePath(Arc<str>);

/// A base path that can't be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BasePathError {
    /// It has another shape.
    #[error(
        "the base path {0:?} can't be served; write \"\" or a path such as \"/cowork\": a slash before each part, \
         parts of letters, digits and -._~ only, no slash at the end"
    )]
    Shape(String),
    /// It is longer than 200 bytes.
    #[error("the base path has {0} bytes and at most {LONGEST} can be served; shorten it")]
    TooLong(usize),
}

impl BasePath {
    /// The workbench at `/`.
    pub fn root() -> BasePath {
        BasePath::default()
    }

    /// A fresh path of this start, `/w/` and 128 random bits.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn random() -> Result<BasePath, getrandom::Error> {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        let mut bytes = [0_u8; 16];
        getrandom::fill(&mut bytes)?;
        Ok(BasePath(
            format!("/w/{}", URL_SAFE_NO_PAD.encode(bytes)).into(),
        ))
    }

    /// A given path, such as the prefix of a reverse proxy.
    ///
    /// # Errors
    /// [`BasePathError`] when the path is neither empty nor of the shape `/part/part`.
    pub fn parse(path: &str) -> Result<BasePath, BasePathError> {
        if path.len() > LONGEST {
            return Err(BasePathError::TooLong(path.len()));
        }
        let plain = |part: &str| {
            !matches!(part, "" | "." | "..")
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
        };
        let is_base = match path.strip_prefix('/') {
            Some(parts) => parts.split('/').all(plain),
            None => path.is_empty(),
        };
        if !is_base {
            return Err(BasePathError::Shape(path.to_owned()));
        }
        Ok(BasePath(path.into()))
    }

    /// The path itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address of a path of the workbench, which begins with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// The part of a request's path below the base, from its `/` on; `None` outside.
    pub(crate) fn within<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.strip_prefix(&*self.0)
            .filter(|rest| rest.starts_with('/'))
    }
}

impl fmt::Debug for BasePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() {
            "BasePath(/)"
        } else {
            "BasePath([hidden])"
        })
    }
}

/// Everything but the unreserved characters of RFC 3986.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// One path segment or query value, percent-encoded.
pub(crate) fn segment(text: &str) -> String {
    // A segment of dots only would be resolved away by the browser.
    if text == "." || text == ".." {
        return text.replace('.', "%2E");
    }
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// Addresses of what the workbench shows. No other place writes one, so that none leaves the base.
impl BasePath {
    /// The home page.
    pub(crate) fn home(&self) -> String {
        self.url("/")
    }

    /// The page of a chat.
    pub(crate) fn chat(&self, id: &str) -> String {
        format!("{}/chats/{}", self.0, segment(id))
    }

    /// Something below a chat.
    pub(crate) fn chat_path(&self, id: &str, rest: &str) -> String {
        format!("{}/{rest}", self.chat(id))
    }

    /// The full page of one tool call.
    pub(crate) fn call(&self, id: &str, task: Option<&str>, call: &str) -> String {
        let page = format!("{}/calls/{}", self.chat(id), segment(call));
        match task {
            Some(task) => format!("{page}?agent={}", segment(task)),
            None => page,
        }
    }

    /// A path to go back to, if it stays on this host and below the base; else the home page.
    pub(crate) fn local(&self, path: &str) -> String {
        let ok = self
            .within(path)
            .is_some_and(|rest| !rest.starts_with("//") && !dots(rest))
            && !path.contains('\\')
            && path.bytes().all(|b| b.is_ascii_graphic());
        if ok { path.to_owned() } else { self.home() }
    }
}

/// Whether a browser would walk upwards in that path.
fn dots(path: &str) -> bool {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    path.split('/').any(|part| {
        let part = part.to_ascii_lowercase().replace("%2e", ".");
        part == "." || part == ".."
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_empty_or_plain_segments() {
        for good in ["", "/w", "/w/AbC-_.~9", "/team/cowork"] {
            assert_eq!(BasePath::parse(good).map(|base| base.url("/x")), {
                Ok(format!("{good}/x"))
            });
        }
        for bad in [
            "/",
            "w",
            "/w/",
            "//w",
            "/w//x",
            "/w/..",
            "/./w",
            "/w?x",
            "/w#x",
            "/w x",
            "/{id}",
            "/w;Path=/",
            "/w\r\nSet-Cookie: a",
            "/ü",
            "/%2e",
            "http://evil/w",
        ] {
            let error = BasePath::parse(bad).unwrap_err();
            assert_eq!(error, BasePathError::Shape(bad.to_owned()));
        }
        assert_eq!(
            BasePath::parse(&format!("/{}", "w".repeat(200))).unwrap_err(),
            BasePathError::TooLong(201)
        );
    }

    #[test]
    fn a_random_base_is_fresh_valid_and_not_shown() {
        let (one, two) = (BasePath::random().unwrap(), BasePath::random().unwrap());
        assert!(one != two && one.as_str().len() == "/w/".len() + 22);
        assert_eq!(BasePath::parse(one.as_str()).unwrap(), one);
        assert!(!format!("{one:?}").contains(&one.as_str()[3..]));
    }

    #[test]
    fn a_path_is_below_the_base_only_with_its_slash() {
        let base = BasePath::parse("/w/x").unwrap();
        assert_eq!(base.within("/w/x/"), Some("/"));
        assert_eq!(base.within("/w/x/chats"), Some("/chats"));
        for outside in ["/", "/w", "/w/", "/w/x", "/w/xy/", "/W/x/", "//w/x/", ""] {
            assert_eq!(base.within(outside), None, "{outside}");
        }
        assert_eq!(BasePath::root().within("/chats"), Some("/chats"));
    }

    #[test]
    fn an_id_never_leaves_its_segment() {
        let base = BasePath::parse("/w/x").unwrap();
        assert_eq!(base.chat("a/b?c#d"), "/w/x/chats/a%2Fb%3Fc%23d");
        assert_eq!(base.chat(".."), "/w/x/chats/%2E%2E");
        assert_eq!(
            BasePath::root().chat("\"><script>"),
            "/chats/%22%3E%3Cscript%3E"
        );
    }

    #[test]
    fn the_way_back_stays_on_this_host_and_below_the_base() {
        let (root, base) = (BasePath::root(), BasePath::parse("/w/x").unwrap());
        assert_eq!(root.local("/chats/x?before=3"), "/chats/x?before=3");
        assert_eq!(base.local("/w/x/chats?q=.."), "/w/x/chats?q=..");
        for foreign in [
            "https://evil",
            "//evil",
            "/\\evil",
            "evil",
            "/a\r\nSet-Cookie: x",
            "",
        ] {
            assert_eq!(root.local(foreign), "/", "{foreign}");
            assert_eq!(base.local(foreign), "/w/x/", "{foreign}");
        }
        for outside in [
            "/",
            "/chats",
            "/w/y/",
            "/w/x",
            "/w/x/../y/",
            "/w/x/%2E%2e/y",
            "/w/x/.%2e",
        ] {
            assert_eq!(base.local(outside), "/w/x/", "{outside}");
        }
    }
}
