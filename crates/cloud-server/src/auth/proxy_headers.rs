//! Headers that a proxy signs (03 §6.2), and version 2 of the signature, which covers the request (03 §12 #22).
//!
//! Version 1 signs who asks and when: whoever sees such headers can say anything in that name for as long as the
//! timestamp counts. Version 2 signs method, path, query, body and a nonce too, and needs no secret in the request.

use super::options::HeaderOptions;
use crate::error::ApiError;
use axum::http::{HeaderMap, Method, Uri};
use hmac::{Hmac, KeyInit as _, Mac as _};
use open_cowork_contracts::access::BuiltInRole;
use open_cowork_providers::time::Timestamp;
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use subtle::ConstantTimeEq as _;

/// Who asks, in the order in which they are signed.
const FIELDS: [&str; 5] = [
    "x-open-cowork-tenant-id",
    "x-open-cowork-tenant-name",
    "x-open-cowork-user-id",
    "x-open-cowork-user-email",
    "x-open-cowork-user-role",
];
const SECRET: &str = "x-open-cowork-header-auth-secret";
const TIMESTAMP: &str = "x-open-cowork-header-auth-timestamp";
const SIGNATURE: &str = "x-open-cowork-header-auth-signature";
const NONCE: &str = "x-open-cowork-header-auth-nonce";
const BODY: &str = "x-open-cowork-header-auth-body-sha256";

/// A timestamp counts from `max_age` before until `max_age` after, and so long must its nonce be remembered.
pub(super) fn replay_window(options: &HeaderOptions) -> Duration {
    options.max_age.saturating_mul(2)
}

/// Longer values are no ids.
const LONGEST: usize = 320;
/// Nonces that are remembered per half; beyond that signed requests of version 2 must wait.
const MOST_NONCES: usize = 500_000;

/// Whom the proxy names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) tenant_id: String,
    pub(super) tenant_name: String,
    pub(super) user_id: String,
    pub(super) email: String,
    pub(super) role: BuiltInRole,
    /// A secret stands behind it.
    pub(super) signed: bool,
    /// The digest that the body must have.
    pub(super) body_sha256: Option<[u8; 32]>,
    /// What must not come a second time.
    pub(super) nonce: Option<String>,
}

fn refused(sentence: &str) -> ApiError {
    ApiError::unauthenticated(sentence)
}

/// True when a request tries to sign in by headers at all.
pub(super) fn present(headers: &HeaderMap) -> bool {
    FIELDS
        .iter()
        .chain([&SECRET, &TIMESTAMP, &SIGNATURE])
        .any(|name| headers.contains_key(*name))
}

/// Who asks. Whether the nonce is new is [`Nonces`]'s question.
///
/// # Errors
/// 401 for every mismatch.
pub(super) fn verify(
    options: &HeaderOptions,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    now: Timestamp,
) -> Result<Named, ApiError> {
    let mut fields = [None; 5];
    for (name, field) in FIELDS.iter().zip(&mut fields) {
        *field = single(headers, name)?;
    }
    let mut body_sha256 = None;
    let mut nonce = None;
    if let Some(secret) = &options.secret {
        let secret = secret.expose_secret().as_bytes();
        let timestamp = single(headers, TIMESTAMP)?.unwrap_or_default();
        let signature = single(headers, SIGNATURE)?.unwrap_or_default();
        let shown = single(headers, SECRET)?;
        let shown_is_right = shown.is_none_or(|shown| bool::from(shown.as_bytes().ct_eq(secret)));
        recent(timestamp, options, now)?;
        let base = match signature.split_once('=') {
            Some(("v1", _)) if options.accept_v1 && shown.is_some() => {
                base(&["v1", timestamp], &fields)
            }
            Some(("v2", _)) => {
                let fresh = single(headers, NONCE)?.filter(|nonce| is_nonce(nonce));
                let fresh = fresh.ok_or_else(|| {
                    refused("A signature of version 2 needs a nonce of 16 to 128 letters, digits, `-` or `_`.")
                })?;
                let digest = single(headers, BODY)?.unwrap_or_default();
                body_sha256 = Some(from_hex(digest).ok_or_else(|| {
                    refused("A signature of version 2 needs the SHA-256 of the body in lowercase hexadecimal.")
                })?);
                nonce = Some(fresh.to_owned());
                let path = uri.path_and_query().map_or("/", |path| path.as_str());
                base(
                    &["v2", timestamp, fresh, method.as_str(), path, digest],
                    &fields,
                )
            }
            _ => {
                return Err(refused(
                    "The proxy's headers are not signed, or not in a version that counts here.",
                ));
            }
        };
        let given = signature.split_once('=').and_then(|(_, hex)| from_hex(hex));
        let right = given.is_some_and(|given| {
            Hmac::<Sha256>::new_from_slice(secret).is_ok_and(|mut mac| {
                mac.update(&base);
                mac.verify_slice(&given).is_ok()
            })
        });
        if !right || !shown_is_right {
            return Err(refused("The signature of the proxy's headers is wrong."));
        }
    }
    named(options, fields, body_sha256, nonce)
}

/// The values with their defaults, which count only after the signature was checked.
fn named(
    options: &HeaderOptions,
    fields: [Option<&str>; 5],
    body_sha256: Option<[u8; 32]>,
    nonce: Option<String>,
) -> Result<Named, ApiError> {
    let signed = options.secret.is_some();
    let or = |field: Option<&str>, default: &str| {
        let given = field.map(str::trim).filter(|given| !given.is_empty());
        given.unwrap_or(default).to_owned()
    };
    let [tenant_id, tenant_name, user_id, email, role] = fields;
    let role = BuiltInRole::parse(&or(role, "member")).ok_or_else(|| {
        refused("The proxy names a role that is none of owner, admin and member.")
    })?;
    if !signed && role != BuiltInRole::Member {
        return Err(refused("Owners and admins need signed headers."));
    }
    let tenant_id = or(tenant_id, "default");
    Ok(Named {
        tenant_name: or(tenant_name, &tenant_id),
        tenant_id,
        user_id: or(user_id, "local-user"),
        email: or(email, "local@example.test").to_lowercase(),
        role,
        signed,
        body_sha256,
        nonce,
    })
}

/// A header that is there at most once: with two of them, proxy and server could read different ones.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, ApiError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = std::str::from_utf8(value.as_bytes()).ok();
    let text = text.filter(|text| text.len() <= LONGEST && !text.chars().any(char::is_control));
    match (text, values.next()) {
        (Some(text), None) => Ok(Some(text)),
        _ => Err(refused(
            "A header of the proxy is repeated, too long or unreadable.",
        )),
    }
}

fn recent(timestamp: &str, options: &HeaderOptions, now: Timestamp) -> Result<(), ApiError> {
    let digits = !timestamp.is_empty() && timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = digits.then(|| timestamp.parse::<i64>().ok()).flatten();
    let apart = seconds
        .and_then(|seconds| seconds.checked_mul(1000))
        .map(|at| now.as_millisecond().abs_diff(at));
    match apart {
        Some(apart) if u128::from(apart) <= options.max_age.as_millis() => Ok(()),
        _ => Err(refused(
            "The timestamp of the proxy's headers is missing, too old or ahead; check the clocks.",
        )),
    }
}

fn base(lines: &[&str], fields: &[Option<&str>; 5]) -> Vec<u8> {
    let fields = fields.iter().map(|field| field.unwrap_or_default());
    let lines: Vec<&str> = lines.iter().copied().chain(fields).collect();
    lines.join("\n").into_bytes()
}

fn is_nonce(text: &str) -> bool {
    (16..=128).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// 32 bytes in lowercase hexadecimal.
fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let bytes = text.as_bytes();
    if bytes.len() != 64 {
        return None;
    }
    let mut out = [0; 32];
    for (pair, byte) in bytes.chunks_exact(2).zip(&mut out) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(out)
}

/// What this process has seen and must not see again within a window: two halves, each for one window.
#[derive(Debug, Default)]
pub(super) struct Nonces {
    halves: Mutex<Halves>,
}

#[derive(Debug, Default)]
struct Halves {
    turned_at: i64,
    current: HashSet<u128>,
    before: HashSet<u128>,
}

impl Nonces {
    /// Takes a nonce; false when it was taken before. `window` is the same at every call.
    ///
    /// # Errors
    /// 503 when there are more than can be remembered: a replay could hide among them.
    pub(super) fn take(
        &self,
        nonce: &str,
        window: Duration,
        now: Timestamp,
    ) -> Result<bool, ApiError> {
        let digest = Sha256::digest(nonce.as_bytes());
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        let key = u128::from_le_bytes(key);
        let window = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
        let now = now.as_millisecond();
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_sub(halves.turned_at);
        if passed > window {
            let current = std::mem::take(&mut halves.current);
            halves.before = match passed > window.saturating_mul(2) {
                true => HashSet::new(),
                false => current,
            };
            halves.turned_at = now;
        }
        if halves.before.contains(&key) || halves.current.contains(&key) {
            return Ok(false);
        }
        if halves.current.len() >= MOST_NONCES {
            return Err(ApiError::unavailable(
                "auth.nonces_exhausted",
                "Too many signed requests; try again in a moment.",
            ));
        }
        halves.current.insert(key);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::SecretString;

    const KEY: &str = "shared with the proxy, and long";

    fn options() -> HeaderOptions {
        HeaderOptions {
            secret: Some(SecretString::from(KEY)),
            ..HeaderOptions::default()
        }
    }

    fn now() -> Timestamp {
        Timestamp::from_second(1_767_322_800).unwrap()
    }

    fn mac(base: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).unwrap();
        mac.update(base.as_bytes());
        let bytes = mac.finalize().into_bytes();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name: axum::http::HeaderName = name.parse().unwrap();
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    fn check(headers: &HeaderMap) -> Result<Named, u16> {
        let uri: Uri = "/api/sessions?limit=3".parse().unwrap();
        verify(&options(), &Method::GET, &uri, headers, now())
            .map_err(|error| error.status.as_u16())
    }

    fn v1() -> Vec<(&'static str, String)> {
        let base = "v1\n1767322800\nacme\n\nana\nAna@Example.Test\nadmin";
        vec![
            (FIELDS[0], "acme".into()),
            (FIELDS[2], "ana".into()),
            (FIELDS[3], "Ana@Example.Test".into()),
            (FIELDS[4], "admin".into()),
            (SECRET, KEY.into()),
            (TIMESTAMP, "1767322800".into()),
            (SIGNATURE, format!("v1={}", mac(base))),
        ]
    }

    fn map(pairs: &[(&'static str, String)]) -> HeaderMap {
        let pairs: Vec<(&str, &str)> = pairs
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        headers(&pairs)
    }

    /// Golden value, made with another implementation of HMAC:
    /// `printf 'v1\n1767322800\nacme\n\nana\nAna@Example.Test\nadmin' | openssl dgst -sha256 -hmac '<KEY>'`.
    #[test]
    fn version_1_is_the_contracts_base_string() {
        let base = "v1\n1767322800\nacme\n\nana\nAna@Example.Test\nadmin";
        assert_eq!(
            mac(base),
            "bd4400ee1f37eb9812c92d830ab2dcaa985bcb5d5acfb8cb2495ddeb8c8f4209"
        );
        let named = check(&map(&v1())).unwrap();
        assert_eq!(
            (
                named.tenant_id.as_str(),
                named.tenant_name.as_str(),
                named.user_id.as_str()
            ),
            ("acme", "acme", "ana")
        );
        assert_eq!(
            (named.email.as_str(), named.role),
            ("ana@example.test", BuiltInRole::Admin)
        );
        assert!(named.signed && named.nonce.is_none());
    }

    #[test]
    fn nothing_of_a_signature_of_version_1_may_be_missing_or_changed() {
        for at in 0..v1().len() {
            let mut without = v1();
            without.remove(at);
            assert_eq!(check(&map(&without)), Err(401), "without {}", v1()[at].0);
            let mut changed = v1();
            changed[at].1.push('x');
            assert_eq!(check(&map(&changed)), Err(401), "changed {}", v1()[at].0);
            let mut twice = v1();
            twice.push(twice[at].clone());
            assert_eq!(check(&map(&twice)), Err(401), "twice {}", v1()[at].0);
        }
        let strict = HeaderOptions {
            accept_v1: false,
            ..options()
        };
        let uri = Uri::from_static("/");
        assert!(verify(&strict, &Method::GET, &uri, &map(&v1()), now()).is_err());
    }

    #[test]
    fn timestamps_count_for_five_minutes_to_both_sides() {
        let at = |seconds: i64| {
            let uri = Uri::from_static("/");
            let now = Timestamp::from_second(1_767_322_800 + seconds).unwrap();
            verify(&options(), &Method::GET, &uri, &map(&v1()), now).is_ok()
        };
        assert!(at(300) && at(-300));
        assert!(!at(301) && !at(-301));
        for broken in [
            "",
            "-1",
            "+1767322800",
            "1767322800.0",
            "9999999999999999999",
        ] {
            assert!(recent(broken, &options(), now()).is_err(), "{broken}");
        }
    }

    #[test]
    fn unsigned_headers_never_make_an_owner() {
        let unsigned = HeaderOptions::default();
        let uri = Uri::from_static("/");
        let ask = |role: &str| {
            let headers = headers(&[(FIELDS[4], role)]);
            verify(&unsigned, &Method::GET, &uri, &headers, now()).map(|named| named.signed)
        };
        assert_eq!(ask("member").ok(), Some(false));
        for role in ["owner", "admin", "root"] {
            assert_eq!(ask(role).unwrap_err().status, 401, "{role}");
        }
        let nobody = verify(&unsigned, &Method::GET, &uri, &HeaderMap::new(), now()).unwrap();
        assert_eq!(
            (nobody.tenant_id.as_str(), nobody.user_id.as_str()),
            ("default", "local-user")
        );
    }

    fn v2(method: &str, path: &str, body: &str, nonce: &str) -> HeaderMap {
        let digest: String = Sha256::digest(body)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let base = format!("v2\n1767322800\n{nonce}\n{method}\n{path}\n{digest}\nacme\n\nana\n\n");
        headers(&[
            (FIELDS[0], "acme"),
            (FIELDS[2], "ana"),
            (TIMESTAMP, "1767322800"),
            (NONCE, nonce),
            (BODY, &digest),
            (SIGNATURE, &format!("v2={}", mac(&base))),
        ])
    }

    #[test]
    fn version_2_covers_method_path_query_and_body_without_showing_the_secret() {
        let nonce = "0123456789abcdef";
        let named = check(&v2("GET", "/api/sessions?limit=3", "", nonce)).unwrap();
        assert_eq!(named.nonce.as_deref(), Some(nonce));
        let empty: [u8; 32] = Sha256::digest(b"").into();
        assert_eq!(named.body_sha256, Some(empty));
        for (method, path) in [
            ("POST", "/api/sessions?limit=3"),
            ("GET", "/api/sessions?limit=4"),
            ("GET", "/api/sessions"),
        ] {
            assert_eq!(
                check(&v2(method, path, "", nonce)),
                Err(401),
                "{method} {path}"
            );
        }
        for nonce in ["short", "0123456789abcde!"] {
            assert_eq!(
                check(&v2("GET", "/api/sessions?limit=3", "", nonce)),
                Err(401)
            );
        }
        let mut other_body = v2("GET", "/api/sessions?limit=3", "", nonce);
        other_body.insert(BODY, "00".repeat(32).parse().unwrap());
        assert_eq!(check(&other_body), Err(401));
        let mut wrong_secret = v2("GET", "/api/sessions?limit=3", "", nonce);
        wrong_secret.insert(SECRET, "wrong".parse().unwrap());
        assert_eq!(check(&wrong_secret), Err(401));
    }

    #[test]
    fn a_nonce_is_taken_once_for_as_long_as_its_timestamp_counts() {
        let nonces = Nonces::default();
        let window = replay_window(&options());
        let after = |seconds: u64| now().checked_add(Duration::from_secs(seconds)).unwrap();
        assert!(nonces.take("one", window, now()).unwrap());
        for seconds in [0, 1, 299, 599, 600] {
            assert!(
                !nonces.take("one", window, after(seconds)).unwrap(),
                "{seconds}"
            );
        }
        assert!(nonces.take("two", window, after(601)).unwrap());
        assert!(
            !nonces.take("one", window, after(602)).unwrap(),
            "the half before counts too"
        );
        assert!(nonces.take("one", window, after(10_000)).unwrap());
    }
}
