//! Who logs people in: the port to an OpenID provider (03 §6.3, §6.4).
//!
//! An implementation owns discovery, keys and their caches, and every check of a token. What the checked claims
//! mean for tenants and roles is decided above it.

use crate::time::Timestamp;
use async_trait::async_trait;
use secrecy::SecretString;

/// A person, as a checked token names them. Everything in it was signed by the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The provider, without slashes at its end.
    pub issuer: String,
    /// The person's id at the provider.
    pub subject: String,
    /// Verified address, lowercase.
    pub email: String,
    /// The first of the claims `tenant_id`, `tid`, `hd` that says something.
    pub tenant_id: Option<String>,
    /// The claim `tenant_name`.
    pub tenant_name: Option<String>,
    /// Until when the token counts.
    pub expires_at: Timestamp,
}

/// Where to send a browser (03 §6.4). `Debug` shows none of the secrets.
#[derive(Clone)]
pub struct AuthorizationRequest {
    /// Where the provider sends it back to.
    pub redirect_uri: String,
    /// Comes back unchanged.
    pub state: String,
    /// Comes back inside the token.
    pub nonce: String,
    /// base64url of the SHA-256 of the verifier (PKCE, S256).
    pub code_challenge: String,
}

impl std::fmt::Debug for AuthorizationRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthorizationRequest")
            .field("redirect_uri", &self.redirect_uri)
            .finish_non_exhaustive()
    }
}

/// What came back, with what was kept for it.
#[derive(Clone, Debug)]
pub struct CodeExchange {
    /// The code of the callback.
    pub code: SecretString,
    /// As in the request.
    pub redirect_uri: String,
    /// The PKCE verifier.
    pub code_verifier: SecretString,
    /// Must stand in the token.
    pub nonce: SecretString,
}

/// Why there is no identity. No message holds a token, a code or a claim's value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The token or the code doesn't count: 401. Log in again.
    #[error("{0}")]
    Rejected(&'static str),
    /// The provider doesn't answer, or answers nonsense: 503. Try again; an operator finds the reason here.
    #[error("The identity provider can't be used now: {0}")]
    Unavailable(String),
}

/// An OpenID provider that this deployment trusts.
#[async_trait]
pub trait IdentityProvider: Send + Sync + 'static {
    /// Its issuer URL as configured.
    fn issuer(&self) -> &str;

    /// The client id under which this deployment is known there. Public.
    fn client_id(&self) -> &str;

    /// Checks a bearer token: signature, issuer, audience, times, verified address, allowed domain.
    async fn verify(&self, token: &SecretString, now: Timestamp)
    -> Result<Identity, IdentityError>;

    /// The address of the provider's login page for this request.
    async fn authorization_url(
        &self,
        request: &AuthorizationRequest,
        now: Timestamp,
    ) -> Result<String, IdentityError>;

    /// Trades a code for an identity token and checks that, its nonce too.
    async fn exchange(
        &self,
        exchange: &CodeExchange,
        now: Timestamp,
    ) -> Result<Identity, IdentityError>;
}
