//! Checks provider keys against their provider (04 §7.2, §13.6).

use async_trait::async_trait;
use secrecy::SecretString;

/// What a provider says about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyVerdict {
    /// It works.
    Valid,
    /// It doesn't; one sentence without the key.
    Invalid(String),
    /// It has run out.
    Expired,
    /// The provider doesn't answer: nothing is known.
    Unknown,
}

/// Knows how to check keys of some providers. An implementation bounds its own time.
#[async_trait]
pub trait KeyValidator: Send + Sync + 'static {
    /// True for a provider whose keys it can check.
    fn knows(&self, provider: &str) -> bool;

    /// Checks a key.
    async fn validate(&self, provider: &str, key: &SecretString) -> KeyVerdict;
}
