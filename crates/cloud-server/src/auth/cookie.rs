//! Cookies: reading, setting, signing (03 §6.4).

use crate::error::ApiError;
use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use std::time::Duration;

/// The cookie that says who asks.
pub(super) const SESSION: &str = "open_cowork_cloud_session";
/// The cookie that scripts of ours read.
pub(super) const CSRF: &str = "open_cowork_cloud_csrf";
/// The cookie of a login under way.
pub(super) const LOGIN: &str = "open_cowork_cloud_oidc";

/// Cookies of one name beyond this many are not looked at.
const MOST: usize = 4;

/// The cookies of this name, in the order of the browser: a sibling domain can set one of the same name, so the
/// first needn't be ours.
pub(super) fn all<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(move |(found, _)| *found == name)
        .map(|(_, value)| value.trim_matches('"'))
        .take(MOST)
}

/// `Set-Cookie` for a cookie of ours. `value` must be of the alphabet of base64url and dots.
pub(super) fn set(
    name: &str,
    value: &str,
    lifetime: Duration,
    http_only: bool,
    secure: bool,
) -> Result<HeaderValue, ApiError> {
    let seconds = lifetime.as_secs();
    let http_only = if http_only { "; HttpOnly" } else { "" };
    let secure = if secure { "; Secure" } else { "" };
    let line =
        format!("{name}={value}; Max-Age={seconds}; Path=/; SameSite=Lax{http_only}{secure}");
    HeaderValue::from_str(&line).map_err(|_| ApiError::internal())
}

/// `Set-Cookie` that takes a cookie away.
pub(super) fn clear(name: &str, http_only: bool, secure: bool) -> Result<HeaderValue, ApiError> {
    set(name, "", Duration::ZERO, http_only, secure)
}

/// Signs with a key of its own per purpose, so that what was signed for one counts for no other.
#[derive(Clone)]
pub(super) struct Signer {
    key: SecretString,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer")
    }
}

impl Signer {
    pub(super) fn new(key: SecretString) -> Self {
        Signer { key }
    }

    /// HMAC-SHA256 over purpose and text. HMAC takes keys of any length, so this can't fail; an empty mac would
    /// verify nothing.
    fn mac(&self, purpose: &str, text: &str) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.expose_secret().as_bytes()).ok()?;
        mac.update(purpose.as_bytes());
        mac.update(b"\0");
        mac.update(text.as_bytes());
        Some(mac)
    }

    /// The signature, base64url.
    pub(super) fn sign(&self, purpose: &str, text: &str) -> String {
        let mac = self.mac(purpose, text);
        let bytes = mac
            .map(|mac| mac.finalize().into_bytes())
            .unwrap_or_default();
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// `<text>.<signature>`.
    pub(super) fn seal(&self, purpose: &str, text: &str) -> String {
        format!("{text}.{}", self.sign(purpose, text))
    }

    /// The text of what [`Signer::seal`] made for this purpose, else `None`. Constant time.
    pub(super) fn open<'a>(&self, purpose: &str, sealed: &'a str) -> Option<&'a str> {
        let (text, signature) = sealed.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let mac = self.mac(purpose, text)?;
        mac.verify_slice(&signature).ok()?;
        Some(text)
    }
}

/// That many random bytes, base64url.
///
/// # Errors
/// 500 when the system has none.
pub(super) fn random<const BYTES: usize>() -> Result<String, ApiError> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "the system gives no random bytes");
        ApiError::internal()
    })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn signer() -> Signer {
        Signer::new(SecretString::from(
            "a key of more than thirty-two bytes, for tests",
        ))
    }

    #[test]
    fn what_was_signed_for_one_purpose_counts_for_no_other() {
        let sealed = signer().seal("session", "abc");
        assert_eq!(signer().open("session", &sealed), Some("abc"));
        assert_eq!(signer().open("login", &sealed), None);
        let other = Signer::new(SecretString::from(
            "another key of more than thirty-two bytes",
        ));
        assert_eq!(other.open("session", &sealed), None);
        assert_eq!(format!("{:?}", signer()), "Signer");
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(
            COOKIE,
            "a=1; open_cowork_cloud_session=x.y ;b=2".parse().unwrap(),
        );
        headers.append(
            COOKIE,
            "open_cowork_cloud_session=\"z\"; =; ;;c".parse().unwrap(),
        );
        let found: Vec<&str> = all(&headers, SESSION).collect();
        assert_eq!(found, ["x.y", "z"]);
    }

    #[test]
    fn cookies_have_the_contracts_attributes() {
        let hour = Duration::from_secs(28_800);
        assert_eq!(
            set(SESSION, "x", hour, true, true).unwrap(),
            "open_cowork_cloud_session=x; Max-Age=28800; Path=/; SameSite=Lax; HttpOnly; Secure"
        );
        assert_eq!(
            clear(CSRF, false, false).unwrap(),
            "open_cowork_cloud_csrf=; Max-Age=0; Path=/; SameSite=Lax"
        );
        assert!(set(SESSION, "x\r\nset-cookie: a=b", hour, true, true).is_err());
    }

    proptest! {
        #[test]
        fn no_changed_byte_goes_unnoticed(
            text in "[A-Za-z0-9_-]{1,40}", at in any::<prop::sample::Index>(), byte in 33u8..127,
        ) {
            let sealed = signer().seal("session", &text);
            let mut forged = sealed.into_bytes();
            let at = at.index(forged.len());
            prop_assume!(forged[at] != byte);
            forged[at] = byte;
            let forged = String::from_utf8(forged).unwrap();
            prop_assert_eq!(signer().open("session", &forged), None);
        }
    }
}
