//! One token (RFC 7519): parse, signature, claims (03 §6.3). Pure; the caller gives keys and clock.

use super::keys::{Algorithm, Key};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use open_cowork_providers::identity_provider::{Identity, IdentityError};
use open_cowork_providers::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use subtle::ConstantTimeEq as _;

/// Longer tokens are refused unread.
const MOST_BYTES: usize = 16 * 1024;
/// Clocks may differ by this much, seconds.
const SKEW: f64 = 60.0;

/// What a token must fit.
#[derive(Debug)]
pub(super) struct Expected<'a> {
    /// Without slashes at its end.
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    /// Lowercase; `None`: any.
    pub(super) domains: Option<&'a [String]>,
    /// The nonce of the login that this token answers; `None`: a bearer token.
    pub(super) nonce: Option<&'a str>,
}

/// A token whose signature nobody has checked yet.
pub(super) struct Unverified<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
    signed: &'a [u8],
    claims: Vec<u8>,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

/// A repeated claim is an error, so that two readers can't see two persons.
#[derive(Deserialize)]
struct Claims {
    iss: Option<Value>,
    sub: Option<Value>,
    aud: Option<Value>,
    azp: Option<Value>,
    exp: Option<Value>,
    nbf: Option<Value>,
    nonce: Option<Value>,
    email: Option<Value>,
    email_verified: Option<Value>,
    tenant_id: Option<Value>,
    tid: Option<Value>,
    hd: Option<Value>,
    tenant_name: Option<Value>,
}

fn rejected(reason: &'static str) -> IdentityError {
    IdentityError::Rejected(reason)
}

/// Takes a token apart.
pub(super) fn parse(token: &str) -> Result<Unverified<'_>, IdentityError> {
    let malformed = || rejected("The token is not a signed JSON Web Token.");
    if token.len() > MOST_BYTES {
        return Err(malformed());
    }
    let (signed, signature) = token.rsplit_once('.').ok_or_else(malformed)?;
    let (header, claims) = signed.split_once('.').ok_or_else(malformed)?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed());
    let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| malformed())?;
    let usual_type = match header.typ.as_deref() {
        None => true,
        Some(kind) => ["jwt", "at+jwt", "application/at+jwt"]
            .iter()
            .any(|usual| kind.eq_ignore_ascii_case(usual)),
    };
    if header.crit.is_some() || !usual_type {
        return Err(rejected("The token is of a kind that is not accepted."));
    }
    let algorithm = Algorithm::parse(&header.alg)
        .ok_or_else(|| rejected("The token is signed by an algorithm that is not accepted."))?;
    Ok(Unverified {
        algorithm,
        kid: header.kid,
        signed: signed.as_bytes(),
        claims: decode(claims)?,
        signature: decode(signature)?,
    })
}

/// What the keys say about a token.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Signature {
    /// One of them made it.
    Valid,
    /// The key it names is there, and didn't make it; or it names none and none of them did.
    Wrong,
    /// The key it names isn't there.
    KeyUnknown,
}

impl Unverified<'_> {
    /// Compares the signature with the key that the token names, or with all when it names none.
    pub(super) fn check(&self, keys: &[Key]) -> Signature {
        let named = |key: &&Key| match &self.kid {
            Some(kid) => key.is_called(kid),
            None => true,
        };
        let mut candidates = keys.iter().filter(named).peekable();
        if candidates.peek().is_none() {
            return Signature::KeyUnknown;
        }
        match candidates.any(|key| key.verifies(self.algorithm, self.signed, &self.signature)) {
            true => Signature::Valid,
            false => Signature::Wrong,
        }
    }

    /// Checks the claims; only for a token whose signature is [`Signature::Valid`].
    pub(super) fn identity(
        &self,
        expected: &Expected<'_>,
        now: Timestamp,
    ) -> Result<Identity, IdentityError> {
        let claims: Claims = serde_json::from_slice(&self.claims)
            .map_err(|_| rejected("The token's claims can't be read."))?;
        let issuer = text(&claims.iss).map(without_slashes);
        if issuer != Some(expected.issuer) {
            return Err(rejected("The token comes from another issuer."));
        }
        let subject = text(&claims.sub).ok_or_else(|| rejected("The token names no subject."))?;
        audience(&claims, expected)?;
        let expires_at = times(&claims, now)?;
        if let Some(nonce) = expected.nonce {
            let given = text(&claims.nonce).unwrap_or_default();
            if !bool::from(given.as_bytes().ct_eq(nonce.as_bytes())) {
                return Err(rejected("The token doesn't belong to this login."));
            }
        }
        let email = email(&claims)?;
        if let Some(domains) = expected.domains {
            let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain);
            if !domains.iter().any(|allowed| allowed == domain) {
                return Err(rejected("Addresses of this domain are not admitted here."));
            }
        }
        let first = [&claims.tenant_id, &claims.tid, &claims.hd];
        Ok(Identity {
            issuer: expected.issuer.to_owned(),
            subject: subject.to_owned(),
            tenant_id: first.into_iter().find_map(text).map(str::to_owned),
            tenant_name: text(&claims.tenant_name).map(str::to_owned),
            email,
            expires_at,
        })
    }
}

/// A claim that is a text with something in it.
fn text(claim: &Option<Value>) -> Option<&str> {
    let text = claim.as_ref()?.as_str()?;
    (!text.trim().is_empty()).then_some(text)
}

/// An issuer as it is compared.
pub(super) fn without_slashes(issuer: &str) -> &str {
    issuer.trim_end_matches('/')
}

fn audience(claims: &Claims, expected: &Expected<'_>) -> Result<(), IdentityError> {
    let ours = |value: &Value| value.as_str() == Some(expected.client_id);
    let meant = match &claims.aud {
        Some(Value::Array(list)) => list.iter().any(ours),
        Some(one) => ours(one),
        None => false,
    };
    // Who asked for an identity token must be us (OpenID Connect Core §3.1.3.7); an access token may have
    // been asked for by another client.
    let for_another = expected.nonce.is_some() && claims.azp.as_ref().is_some_and(|azp| !ours(azp));
    if !meant || for_another {
        return Err(rejected("The token is meant for another client."));
    }
    Ok(())
}

fn times(claims: &Claims, now: Timestamp) -> Result<Timestamp, IdentityError> {
    let seconds = now.as_millisecond() as f64 / 1000.0;
    let number = |claim: &Value| claim.as_f64().filter(|number| number.is_finite());
    let expiry = claims.exp.as_ref().and_then(number);
    let expiry = expiry.ok_or_else(|| rejected("The token doesn't say when it expires."))?;
    if seconds > expiry + SKEW {
        return Err(rejected("The token has expired; sign in again."));
    }
    if let Some(not_before) = &claims.nbf {
        let not_before = number(not_before);
        if not_before.is_none_or(|not_before| seconds < not_before - SKEW) {
            return Err(rejected("The token is not valid yet; check the clocks."));
        }
    }
    // Float to integer saturates, and a time beyond what can be written down counts as the last one.
    Ok(Timestamp::from_millisecond((expiry * 1000.0) as i64).unwrap_or(Timestamp::MAX))
}

fn email(claims: &Claims) -> Result<String, IdentityError> {
    let address = text(&claims.email).filter(|address| is_address(address));
    let address = address.ok_or_else(|| rejected("The token holds no e-mail address."))?;
    if claims.email_verified != Some(Value::Bool(true)) {
        return Err(rejected(
            "The e-mail address is not verified; confirm it at the identity provider.",
        ));
    }
    Ok(address.to_lowercase())
}

/// One `@`, something on both sides, nothing that is invisible or separates.
fn is_address(text: &str) -> bool {
    let separates =
        |c: char| c.is_whitespace() || c.is_control() || matches!(c, ',' | ';' | '<' | '>' | '"');
    let (name, domain) = text.split_once('@').unwrap_or_default();
    text.len() <= 254
        && !text.chars().any(separates)
        && !name.is_empty()
        && !domain.is_empty()
        && !domain.contains('@')
}
