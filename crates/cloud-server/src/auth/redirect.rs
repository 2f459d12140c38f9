//! Where a browser may be sent: back to a page of ours, and from the provider to our callback (03 §6.4, §12 #23).

use crate::error::ApiError;
use axum::http::HeaderMap;
use axum::http::header::HOST;
use std::net::IpAddr;
use url::{Host, Url};

/// Longer addresses lead to the front page.
const LONGEST: usize = 2048;

/// The page to return to after the login: a path of this origin, else `/`.
///
/// Browsers read more into an address than its letters: `\` is `/`, tabs and line ends vanish, dots are folded. So
/// the address must be plain, and must still be ours after a browser's reading.
pub(super) fn return_to(asked: Option<&str>) -> String {
    let front = || "/".to_owned();
    let Some(asked) = asked.filter(|asked| asked.len() <= LONGEST) else {
        return front();
    };
    let plain = asked
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if !plain || !asked.starts_with('/') || asked.starts_with("//") {
        return front();
    }
    let here = Url::parse("http://here.invalid/");
    let read = here.and_then(|here| here.join(asked));
    match read {
        Ok(url) if url.host_str() == Some("here.invalid") && !url.path().starts_with("//") => {
            asked.to_owned()
        }
        _ => front(),
    }
}

/// Where the provider sends the browser back to: the public URL, or else the host that was asked if it is this
/// machine or a listed one. `Host` is the client's word, and a login must not end on a host of its choice.
///
/// # Errors
/// 400 for another host.
pub(super) fn callback_url(
    public_url: Option<&str>,
    callback_path: &str,
    headers: &HeaderMap,
    allowed_hosts: &[String],
) -> Result<String, ApiError> {
    if let Some(public_url) = public_url {
        return Ok(format!(
            "{}{callback_path}",
            public_url.trim_end_matches('/')
        ));
    }
    let refused = || {
        ApiError::policy(
            axum::http::StatusCode::BAD_REQUEST,
            "auth.host_not_allowed",
            "This server doesn't sign people in under that host name; open its own address, or set its public URL.",
        )
    };
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    let host = host
        .filter(|_| hosts.next().is_none())
        .ok_or_else(refused)?;
    let (name, port) = split(host).ok_or_else(refused)?;
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let listed = allowed_hosts
        .iter()
        .any(|allowed| allowed.eq_ignore_ascii_case(bare) || allowed.eq_ignore_ascii_case(host));
    let here = bare.eq_ignore_ascii_case("localhost")
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    if !listed && !here {
        return Err(refused());
    }
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    Ok(format!("http://{name}{port}{callback_path}"))
}

/// Name and port of a `Host` header, if it is nothing more than that.
fn split(host: &str) -> Option<(&str, Option<u16>)> {
    let colon = host
        .rfind(':')
        .filter(|colon| !host[*colon..].contains(']'));
    let (name, port) = match colon {
        Some(colon) => (&host[..colon], Some(host[colon + 1..].parse().ok()?)),
        None => (host, None),
    };
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || b".-_[]:".contains(&byte);
    (name.bytes().all(usual) && Host::parse(name).is_ok()).then_some((name, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_a_path_of_ours_is_returned_to() {
        for fine in [
            "/",
            "/chats/1?tab=files#end",
            "/a/../b",
            "/%2F%2Fevil.example",
        ] {
            assert_eq!(return_to(Some(fine)), fine);
        }
        for evil in [
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "/.//evil.example",
            "/..//evil.example",
            "/x/..//evil.example",
            "https://evil.example",
            "evil.example",
            "javascript:alert(1)",
            "",
            " /x",
            "/x\r\nset-cookie: a=b",
            "/ä",
        ] {
            assert_eq!(return_to(Some(evil)), "/", "{evil:?}");
        }
        assert_eq!(return_to(None), "/");
        assert_eq!(return_to(Some(&format!("/{}", "x".repeat(LONGEST)))), "/");
    }

    #[track_caller]
    fn callback(host: &str) -> Result<String, u16> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        let allowed = ["cowork.internal".to_owned()];
        callback_url(None, "/auth/callback", &headers, &allowed)
            .map_err(|error| error.status.as_u16())
    }

    #[test]
    fn a_login_ends_on_a_host_of_ours() {
        assert_eq!(
            callback("127.0.0.1:8787").unwrap(),
            "http://127.0.0.1:8787/auth/callback"
        );
        assert_eq!(callback("[::1]:1").unwrap(), "http://[::1]:1/auth/callback");
        assert_eq!(
            callback("localhost").unwrap(),
            "http://localhost/auth/callback"
        );
        assert_eq!(
            callback("Cowork.Internal:80").unwrap(),
            "http://Cowork.Internal:80/auth/callback"
        );
        for foreign in [
            "evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1:80@evil.example",
            "localhost/evil",
            "localhost:99999",
            "localhost:x",
            "",
        ] {
            assert_eq!(callback(foreign), Err(400), "{foreign}");
        }
        let public = callback_url(
            Some("https://cowork.example/"),
            "/auth/callback",
            &HeaderMap::new(),
            &[],
        );
        assert_eq!(public.unwrap(), "https://cowork.example/auth/callback");
    }

    proptest! {
        #[test]
        fn whatever_is_asked_the_browser_stays_here(asked in "[/\\\\.:a@?#%\t\n -~]{0,24}") {
            let target = return_to(Some(&asked));
            let url = Url::parse("https://cowork.example/auth/callback").unwrap().join(&target).unwrap();
            prop_assert_eq!(url.host_str(), Some("cowork.example"));
            prop_assert_eq!(url.scheme(), "https");
        }
    }
}
