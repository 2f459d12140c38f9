//! How API tokens are made, kept and recognised (03 §6.6, 04 §1.5).
//!
//! A token is 256 random bits, which nobody can guess; a slow hash protects weak passwords and would only make
//! every request slow (03 §12 #18). So what is kept is a keyed SHA-256, `sha256-v1:`; whoever has the database
//! alone can't even check a guess. The old form `scrypt-v2:` is still recognised.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use open_cowork_contracts::TokenId;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;

const KEYED: &str = "sha256-v1:";
const SCRYPT: &str = "scrypt-v2:";
/// Characters of a token's id: `tok_` and 12 bytes.
const ID_LENGTH: usize = 20;

/// A token that was made just now. The plaintext is shown once and never kept.
pub struct FreshToken {
    /// Public half.
    pub token_id: TokenId,
    /// The whole credential.
    pub plaintext: SecretString,
    /// Its last four characters.
    pub last4: String,
}

impl fmt::Debug for FreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FreshToken")
            .field("token_id", &self.token_id)
            .finish_non_exhaustive()
    }
}

/// This machine gives no random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("This machine gives no random numbers now; try again in a moment.")]
pub struct NoRandomness;

/// Makes `occ_<tokenId>_<secret>`.
///
/// # Errors
/// [`NoRandomness`].
pub fn fresh_api_token() -> Result<FreshToken, NoRandomness> {
    let token_id = format!("tok_{}", random::<12>()?);
    let plaintext = format!("occ_{token_id}_{}", random::<32>()?);
    Ok(FreshToken {
        last4: plaintext[plaintext.len() - 4..].to_owned(),
        token_id: token_id.into(),
        plaintext: plaintext.into(),
    })
}

/// `N` random bytes as base64url.
///
/// # Errors
/// [`NoRandomness`].
pub fn random<const N: usize>() -> Result<String, NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The id inside a credential, by its length: its characters may hold the separator, too. `None`: no API token.
#[must_use]
pub fn token_id(plaintext: &str) -> Option<TokenId> {
    let rest = plaintext.strip_prefix("occ_")?;
    let (id, secret) = rest.split_at_checked(ID_LENGTH)?;
    let valid = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let secret = secret.strip_prefix('_')?;
    let is_ours = id.starts_with("tok_") && valid(id) && valid(secret) && !secret.is_empty();
    is_ours.then(|| id.into())
}

/// Makes and checks stored forms.
pub struct TokenHasher {
    peppers: Vec<[u8; 32]>,
}

impl TokenHasher {
    /// `keys`: the deployment's key and those of before; tokens that were kept under one of before stay valid
    /// while it is listed.
    #[must_use]
    pub fn new(current: &SecretString, previous: &[SecretString]) -> Self {
        let pepper = |key: &SecretString| {
            let mut digest = Sha256::new();
            digest.update(b"open-cowork-api-token-pepper\0");
            digest.update(key.expose_secret().as_bytes());
            digest.finalize().into()
        };
        TokenHasher {
            peppers: std::iter::once(current)
                .chain(previous)
                .map(pepper)
                .collect(),
        }
    }

    /// The form to keep.
    #[must_use]
    pub fn hash(&self, plaintext: &str) -> String {
        let pepper = self.peppers.first().copied().unwrap_or_default();
        format!(
            "{KEYED}{}",
            URL_SAFE_NO_PAD.encode(keyed(&pepper, plaintext))
        )
    }

    /// True when the credential is the one that was kept. Any other form than the two fails closed. The old form
    /// takes tens of milliseconds of one core: call it where blocking is allowed, and remember the answer.
    #[must_use]
    pub fn verify(&self, plaintext: &str, stored: &str) -> bool {
        if let Some(hash) = stored.strip_prefix(KEYED) {
            let Ok(hash) = URL_SAFE_NO_PAD.decode(hash) else {
                return false;
            };
            let mut matches = subtle::Choice::from(0);
            for pepper in &self.peppers {
                matches |= keyed(pepper, plaintext).as_slice().ct_eq(&hash);
            }
            return matches.into();
        }
        let Some(rest) = stored.strip_prefix(SCRYPT) else {
            return false;
        };
        verify_scrypt(plaintext, rest).unwrap_or(false)
    }

    /// True for a form whose check is slow.
    #[must_use]
    pub fn is_slow(stored: &str) -> bool {
        stored.starts_with(SCRYPT)
    }
}

impl fmt::Debug for TokenHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenHasher").finish_non_exhaustive()
    }
}

fn keyed(pepper: &[u8; 32], plaintext: &str) -> [u8; 32] {
    match Hmac::<Sha256>::new_from_slice(pepper) {
        Ok(mut mac) => {
            mac.update(plaintext.as_bytes());
            mac.finalize().into_bytes().into()
        }
        // An HMAC takes keys of any length.
        Err(_) => Sha256::digest(plaintext).into(),
    }
}

/// `<salt>:<hash>`; the salt's text, not what it encodes, goes into scrypt.
fn verify_scrypt(plaintext: &str, stored: &str) -> Option<bool> {
    let (salt, hash) = stored.split_once(':')?;
    let hash = URL_SAFE_NO_PAD.decode(hash).ok()?;
    let parameters = scrypt::Params::new(14, 8, 1).ok()?;
    let mut output = [0; 32];
    scrypt::scrypt(
        plaintext.as_bytes(),
        salt.as_bytes(),
        &parameters,
        &mut output,
    )
    .ok()?;
    Some(output.as_slice().ct_eq(&hash).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hasher() -> TokenHasher {
        TokenHasher::new(&"0VQ9mB1xH7cT3nZ5rL8yW2kJ6pF4sD0a".into(), &[])
    }

    #[test]
    fn a_fresh_token_is_recognised_and_no_other_is() {
        let token = fresh_api_token().unwrap();
        let plaintext = token.plaintext.expose_secret();
        assert_eq!(token_id(plaintext), Some(token.token_id.clone()));
        assert!(plaintext.ends_with(&token.last4) && token.last4.len() == 4);
        assert_eq!(plaintext.len(), 4 + 20 + 1 + 43);
        let stored = hasher().hash(plaintext);
        assert!(!stored.contains(plaintext));
        assert!(hasher().verify(plaintext, &stored));
        let other = fresh_api_token().unwrap();
        assert!(!hasher().verify(other.plaintext.expose_secret(), &stored));
        assert!(!format!("{token:?}").contains(&plaintext[25..]));
    }

    #[test]
    fn another_deployments_key_recognises_nothing_unless_it_is_listed() {
        let stored = hasher().hash("occ_x");
        let other: SecretString = "q7Zt2Wn9Xc4Vb6Mh8Kj1Lp3Rs5Ty0UaG".into();
        assert!(!TokenHasher::new(&other, &[]).verify("occ_x", &stored));
        let ours = "0VQ9mB1xH7cT3nZ5rL8yW2kJ6pF4sD0a".into();
        assert!(TokenHasher::new(&other, &[ours]).verify("occ_x", &stored));
    }

    /// Made by another implementation: fixtures/cloud/token-scrypt-v2.json says which.
    #[test]
    fn the_old_form_is_still_recognised() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../fixtures/cloud/token-scrypt-v2.json"
        );
        let text = std::fs::read_to_string(path).unwrap();
        let fixture: serde_json::Value = serde_json::from_str(&text).unwrap();
        let (plaintext, stored) = (
            fixture["plaintext"].as_str().unwrap(),
            fixture["stored"].as_str().unwrap(),
        );
        assert!(TokenHasher::is_slow(stored));
        assert!(hasher().verify(plaintext, stored));
        assert!(!hasher().verify("occ_other", stored));
    }

    #[test]
    fn unknown_forms_fail_closed() {
        for stored in [
            "",
            "occ_x",
            "md5:occ_x",
            "sha256-v1:",
            "sha256-v1:%",
            "scrypt-v2:",
            "scrypt-v2:a:b",
            "scrypt-v1:a:b",
        ] {
            assert!(!hasher().verify("occ_x", stored), "{stored}");
        }
    }

    #[test]
    fn the_id_is_found_by_its_length() {
        let id = "tok_ab_d-fghij_lmnop";
        assert_eq!(token_id(&format!("occ_{id}_s_e")), Some(id.into()));
        for none in [
            "",
            "occ_",
            "occ_tok_short_x",
            "ocw_tok_ab_d-fghij_lmnop_x",
            "occ_tok_ab_d-fghij_lmnop_",
            "occ_tok_ab_d-fghij_lmnopx",
            "occ_tök_ab_d-fghij_lmno_x",
        ] {
            assert_eq!(token_id(none), None, "{none}");
        }
    }
}
