//! The envelope `enc:v1:` (04 §7.1): base64url of a JSON document with algorithm, key id, nonce, tag and
//! ciphertext. The context is authenticated: what was stored for one place can't be read at another.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use open_cowork_providers::secrets::{SecretError, SecretMode, Secrets};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

const PREFIX: &str = "enc:v1:";
const ALGORITHM: &str = "A256GCM";
const NONCE: usize = 12;
const TAG: usize = 16;

#[derive(Serialize, Deserialize)]
struct Envelope {
    alg: String,
    kid: String,
    iv: String,
    tag: String,
    ciphertext: String,
}

struct Key {
    id: String,
    cipher: Aes256Gcm,
}

impl Key {
    fn of(material: &SecretString) -> Self {
        let material = material.expose_secret().as_bytes();
        let mut id = Sha256::new();
        id.update(b"open-cowork-secret-kid\0");
        id.update(material);
        Key {
            id: hex(&id.finalize()[..8]),
            cipher: Aes256Gcm::new(&Sha256::digest(material)),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Secrets under a key of the deployment. Keys of before only read, so that a key can be replaced while
/// secrets under the old one are still stored.
pub struct EnvelopeSecrets {
    current: Key,
    previous: Vec<Key>,
}

impl EnvelopeSecrets {
    /// Whether the material is strong enough is [`super::check_key`]'s question; keys of before needn't be.
    #[must_use]
    pub fn new(material: &SecretString, previous: &[SecretString]) -> Self {
        EnvelopeSecrets {
            current: Key::of(material),
            previous: previous.iter().map(Key::of).collect(),
        }
    }

    /// Id of the key that encrypts, 16 hex digits; says nothing about the key.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.current.id
    }

    /// True when the secret is stored under a key of before, so that it can be stored anew.
    #[must_use]
    pub fn is_outdated(&self, stored: &str) -> bool {
        parse(stored).is_some_and(|envelope| envelope.kid != self.current.id)
    }

    fn seal(&self, plaintext: &str, context: &str) -> Result<String, SecretError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| SecretError::Provider)?;
        let payload = Payload {
            msg: plaintext.as_bytes(),
            aad: context.as_bytes(),
        };
        let sealed = self.current.cipher.encrypt(&nonce.into(), payload);
        let sealed = sealed.map_err(|_| SecretError::Provider)?;
        let split = sealed.len().checked_sub(TAG).ok_or(SecretError::Provider)?;
        let (ciphertext, tag) = sealed.split_at(split);
        let envelope = Envelope {
            alg: ALGORITHM.to_owned(),
            kid: self.current.id.clone(),
            iv: URL_SAFE_NO_PAD.encode(nonce),
            tag: URL_SAFE_NO_PAD.encode(tag),
            ciphertext: URL_SAFE_NO_PAD.encode(ciphertext),
        };
        let json = serde_json::to_vec(&envelope).map_err(|_| SecretError::Provider)?;
        Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(json)))
    }

    fn open(&self, stored: &str, context: &str) -> Option<SecretString> {
        let envelope = parse(stored)?;
        let mut keys = std::iter::once(&self.current).chain(&self.previous);
        let key = keys.find(|key| key.id == envelope.kid)?;
        let nonce = URL_SAFE_NO_PAD.decode(&envelope.iv).ok()?;
        let nonce: [u8; NONCE] = nonce.try_into().ok()?;
        let mut sealed = URL_SAFE_NO_PAD.decode(&envelope.ciphertext).ok()?;
        let tag = URL_SAFE_NO_PAD.decode(&envelope.tag).ok()?;
        if tag.len() != TAG {
            return None;
        }
        sealed.extend(tag);
        let payload = Payload {
            msg: &sealed,
            aad: context.as_bytes(),
        };
        let plaintext = key.cipher.decrypt(&nonce.into(), payload).ok()?;
        String::from_utf8(plaintext).ok().map(SecretString::from)
    }
}

fn parse(stored: &str) -> Option<Envelope> {
    let json = URL_SAFE_NO_PAD.decode(stored.strip_prefix(PREFIX)?).ok()?;
    let envelope: Envelope = serde_json::from_slice(&json).ok()?;
    (envelope.alg == ALGORITHM).then_some(envelope)
}

impl fmt::Debug for EnvelopeSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvelopeSecrets")
            .field("key_id", &self.current.id)
            .field("previous", &self.previous.len())
            .finish()
    }
}

#[async_trait]
impl Secrets for EnvelopeSecrets {
    async fn protect(
        &self,
        plaintext: &SecretString,
        context: &str,
    ) -> Result<String, SecretError> {
        self.seal(plaintext.expose_secret(), context)
    }

    async fn reveal(&self, stored: &str, context: &str) -> Result<SecretString, SecretError> {
        self.open(stored, context).ok_or(SecretError::Unreadable)
    }

    fn mode(&self) -> SecretMode {
        SecretMode::EnvelopeV1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "0VQ9mB1xH7cT3nZ5rL8yW2kJ6pF4sD0aGuXe";
    const OTHER: &str = "q7Zt2Wn9Xc4Vb6Mh8Kj1Lp3Rs5Ty0UaGfEdCi";

    fn secrets(key: &str, previous: &[&str]) -> EnvelopeSecrets {
        let previous: Vec<SecretString> = previous.iter().map(|key| (*key).into()).collect();
        EnvelopeSecrets::new(&key.into(), &previous)
    }

    /// Made by another implementation: fixtures/cloud/envelope-v1.json says which.
    #[test]
    fn envelopes_of_another_implementation_are_read() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../fixtures/cloud/envelope-v1.json"
        );
        let text = std::fs::read_to_string(path).unwrap();
        let fixture: serde_json::Value = serde_json::from_str(&text).unwrap();
        let vectors = fixture["vectors"].as_array().unwrap();
        assert!(vectors.len() >= 5);
        for vector in vectors {
            let text = |name: &str| vector[name].as_str().unwrap();
            let secrets = secrets(text("keyMaterial"), &[]);
            assert_eq!(secrets.key_id(), text("kid"));
            let opened = secrets.open(text("stored"), text("context")).unwrap();
            assert_eq!(opened.expose_secret(), text("plaintext"));
            assert!(secrets.open(text("stored"), "another place").is_none());
        }
    }

    #[test]
    fn a_wrong_key_context_or_bit_is_unreadable() {
        let stored = secrets(KEY, &[]).seal("value", "byok:o:p:s").unwrap();
        assert!(secrets(OTHER, &[]).open(&stored, "byok:o:p:s").is_none());
        assert!(secrets(KEY, &[]).open(&stored, "byok:o:p:t").is_none());
        for broken in ["", "enc:v1:", "enc:v1:e30", "enc:v2:e30", &stored[7..]] {
            assert!(secrets(KEY, &[]).open(broken, "byok:o:p:s").is_none());
        }
    }

    #[test]
    fn an_envelope_without_a_key_id_fails_closed() {
        let stored = secrets(KEY, &[]).seal("value", "c").unwrap();
        let json = URL_SAFE_NO_PAD.decode(&stored[PREFIX.len()..]).unwrap();
        let mut envelope: serde_json::Value = serde_json::from_slice(&json).unwrap();
        envelope.as_object_mut().unwrap().remove("kid");
        let without = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(envelope.to_string()));
        assert!(secrets(KEY, &[]).open(&without, "c").is_none());
    }

    #[test]
    fn a_replaced_key_still_reads_and_no_longer_writes() {
        let old = secrets(KEY, &[]).seal("value", "c").unwrap();
        let rotated = secrets(OTHER, &[KEY]);
        assert_eq!(rotated.open(&old, "c").unwrap().expose_secret(), "value");
        assert!(rotated.is_outdated(&old));
        let new = rotated.seal("value", "c").unwrap();
        assert!(!rotated.is_outdated(&new));
        assert!(secrets(KEY, &[]).open(&new, "c").is_none());
    }

    #[test]
    fn the_same_secret_looks_different_each_time_and_debug_shows_no_key() {
        let secrets = secrets(KEY, &[OTHER]);
        assert_ne!(secrets.seal("value", "c"), secrets.seal("value", "c"));
        let shown = format!("{secrets:?}");
        assert!(!shown.contains(KEY) && !shown.contains(OTHER));
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in ".{0,200}", context in ".{0,40}") {
            let secrets = secrets(KEY, &[]);
            let stored = secrets.seal(&text, &context).unwrap();
            let opened = secrets.open(&stored, &context).unwrap();
            prop_assert_eq!(opened.expose_secret(), text.as_str());
        }

        #[test]
        fn no_changed_byte_is_read(at in 0usize..1000, flip in 1u8..128) {
            let secrets = secrets(KEY, &[]);
            let stored = secrets.seal("a longer value", "c").unwrap();
            let mut changed = URL_SAFE_NO_PAD.decode(&stored[PREFIX.len()..]).unwrap();
            let at = at % changed.len();
            changed[at] ^= flip;
            let forged = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&changed));
            let opened = secrets.open(&forged, "c");
            prop_assert!(opened.is_none_or(|text| text.expose_secret() == "a longer value"));
        }
    }
}
