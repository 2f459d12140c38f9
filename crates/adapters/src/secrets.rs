//! Secrets at rest (04 §7.1): encrypted with a key of the deployment, or, for development, readable.
//!
//! | module | holds |
//! |---|---|
//! | [`envelope`] | `enc:v1:`, AES-256-GCM, with rotation |
//! | [`strength`] | what a key must be like |
//!
//! [`PlainSecrets`] keeps secrets readable, `plain:v1:`; [`NoSecrets`] refuses, for a deployment without a key.

pub mod envelope;
pub mod strength;

pub use envelope::EnvelopeSecrets;
pub use strength::{WeakKey, check_key};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use open_cowork_providers::secrets::{SecretError, SecretMode, Secrets};
use secrecy::{ExposeSecret, SecretString};

const PLAIN: &str = "plain:v1:";

/// Secrets that whoever reads the database reads; development only.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainSecrets;

#[async_trait]
impl Secrets for PlainSecrets {
    async fn protect(&self, plaintext: &SecretString, _: &str) -> Result<String, SecretError> {
        let text = URL_SAFE_NO_PAD.encode(plaintext.expose_secret());
        Ok(format!("{PLAIN}{text}"))
    }

    async fn reveal(&self, stored: &str, _: &str) -> Result<SecretString, SecretError> {
        let text = stored.strip_prefix(PLAIN).ok_or(SecretError::Unreadable)?;
        let bytes = URL_SAFE_NO_PAD.decode(text);
        let bytes = bytes.map_err(|_| SecretError::Unreadable)?;
        let text = String::from_utf8(bytes).map_err(|_| SecretError::Unreadable)?;
        Ok(text.into())
    }

    fn mode(&self) -> SecretMode {
        SecretMode::Plaintext
    }
}

/// No key is set: nothing can be kept or read.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSecrets;

#[async_trait]
impl Secrets for NoSecrets {
    async fn protect(&self, _: &SecretString, _: &str) -> Result<String, SecretError> {
        Err(SecretError::Unavailable)
    }

    async fn reveal(&self, _: &str, _: &str) -> Result<SecretString, SecretError> {
        Err(SecretError::Unavailable)
    }

    fn mode(&self) -> SecretMode {
        SecretMode::Unavailable
    }
}

/// Protects and reveals something that is no secret: what a process does at its start, so that a wrong key is
/// found before anybody needs it (04 §7.1).
///
/// # Errors
/// As [`Secrets::protect`] and [`Secrets::reveal`]; a provider that gives back something else is
/// [`SecretError::Unreadable`].
pub async fn check(secrets: &dyn Secrets) -> Result<(), SecretError> {
    let (canary, context) = ("open-cowork-secret-canary", "canary:start");
    let stored = secrets.protect(&canary.into(), context).await?;
    let revealed = secrets.reveal(&stored, context).await?;
    match revealed.expose_secret() == canary {
        true => Ok(()),
        false => Err(SecretError::Unreadable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn plain_secrets_come_back_and_encrypted_ones_are_not_read_as_plain() {
        let stored = PlainSecrets.protect(&"key".into(), "c").await.unwrap();
        assert_eq!(stored, "plain:v1:a2V5");
        let back = PlainSecrets.reveal(&stored, "c").await.unwrap();
        assert_eq!(back.expose_secret(), "key");
        for foreign in ["enc:v1:e30", "key", "", "plain:v1:%"] {
            assert_eq!(
                PlainSecrets.reveal(foreign, "c").await.unwrap_err(),
                SecretError::Unreadable
            );
        }
    }

    #[tokio::test]
    async fn without_a_key_nothing_is_kept() {
        let refused = NoSecrets.protect(&"key".into(), "c").await;
        assert_eq!(refused.unwrap_err(), SecretError::Unavailable);
        assert_eq!(check(&NoSecrets).await, Err(SecretError::Unavailable));
        assert_eq!(check(&PlainSecrets).await, Ok(()));
    }
}
