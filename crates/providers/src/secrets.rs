//! Secrets at rest (04 §7, §13.6). Asynchronous, so that a remote key service can implement it (04 §16 #33).

use async_trait::async_trait;
use secrecy::SecretString;

/// How secrets are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretMode {
    /// Authenticated encryption, `enc:v1:` (04 §7.1).
    EnvelopeV1,
    /// Readable by whoever reads the database, `plain:v1:`; development only.
    Plaintext,
    /// No key is set: nothing can be kept.
    Unavailable,
}

impl SecretMode {
    /// The word of the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            SecretMode::EnvelopeV1 => "envelope-v1",
            SecretMode::Plaintext => "plaintext",
            SecretMode::Unavailable => "unavailable",
        }
    }
}

/// Why a secret can't be kept or read. No message says anything about the secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// There is no key: set one.
    #[error("Secrets can't be kept here; set a secret key for this deployment.")]
    Unavailable,
    /// Another key, another context, or damage.
    #[error(
        "A stored secret can't be read with the keys of this deployment; restore its key or set the secret anew."
    )]
    Unreadable,
    /// The key service doesn't answer.
    #[error("The key service doesn't answer; try again in a moment.")]
    Provider,
}

/// Keeps secrets. `context` binds a secret to its place: another one can't read it.
#[async_trait]
pub trait Secrets: Send + Sync + 'static {
    /// The form to store; different each time.
    async fn protect(&self, plaintext: &SecretString, context: &str)
    -> Result<String, SecretError>;
    /// What was protected in that context.
    async fn reveal(&self, stored: &str, context: &str) -> Result<SecretString, SecretError>;
    /// How.
    fn mode(&self) -> SecretMode;
}
