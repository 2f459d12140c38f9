//! The port's implementation.

use super::documents::Documents;
use super::token::{self, Expected, Signature, without_slashes};
use super::transport::{ClientSecret, Transport, checked, unavailable};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use open_cowork_providers::identity_provider::{
    AuthorizationRequest, CodeExchange, Identity, IdentityError, IdentityProvider,
};
use open_cowork_providers::time::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::sync::Semaphore;
use url::form_urlencoded::byte_serialize;

/// Code exchanges at a time; more wait.
const EXCHANGES: usize = 16;

/// What a deployment knows about its provider.
#[derive(Clone, Debug)]
pub struct OidcOptions {
    /// Where discovery starts; https, or http on this machine.
    pub issuer_url: String,
    /// Under which id this deployment is known there.
    pub client_id: String,
    /// Absent: a public client, PKCE alone.
    pub client_secret: Option<SecretString>,
    /// Only addresses of these domains, exactly these. `None`: any.
    pub allowed_email_domains: Option<Vec<String>>,
}

/// An OpenID provider. Opens no connection before it is asked something.
pub struct OidcProvider {
    issuer: String,
    client_id: String,
    client_secret: Option<SecretString>,
    domains: Option<Vec<String>>,
    transport: Transport,
    documents: Documents,
    exchanges: Semaphore,
}

impl std::fmt::Debug for OidcProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OidcProvider")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

impl OidcProvider {
    /// A provider with empty caches.
    ///
    /// # Errors
    /// [`IdentityError::Unavailable`] when the issuer is neither https nor on this machine, or carries a query,
    /// a fragment or credentials; or when the client id is blank.
    pub fn new(options: OidcOptions) -> Result<Self, IdentityError> {
        let issuer = without_slashes(options.issuer_url.trim()).to_owned();
        let url = checked(&issuer)?;
        if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
            return Err(unavailable(
                "the issuer URL carries more than an address; take off query, fragment and user",
            ));
        }
        if options.client_id.trim().is_empty() {
            return Err(unavailable("the client id is empty; set it"));
        }
        let transport = Transport::new();
        Ok(OidcProvider {
            documents: Documents::new(issuer.clone(), transport.clone()),
            issuer,
            client_id: options.client_id,
            client_secret: options.client_secret,
            domains: options.allowed_email_domains.map(|domains| {
                domains
                    .iter()
                    .map(|name| name.trim().to_lowercase())
                    .collect()
            }),
            transport,
            exchanges: Semaphore::new(EXCHANGES),
        })
    }

    async fn check(
        &self,
        token: &str,
        nonce: Option<&str>,
        now: Timestamp,
    ) -> Result<Identity, IdentityError> {
        let unverified = token::parse(token)?;
        let keys = self.documents.keys(now, false).await?;
        let mut signature = unverified.check(&keys);
        if signature == Signature::KeyUnknown {
            let newer = self.documents.keys(now, true).await?;
            signature = unverified.check(&newer);
        }
        match signature {
            Signature::Valid => {}
            Signature::Wrong => {
                return Err(IdentityError::Rejected("The token's signature is wrong."));
            }
            Signature::KeyUnknown => {
                return Err(IdentityError::Rejected(
                    "The token is signed with a key that the identity provider doesn't publish.",
                ));
            }
        }
        let expected = Expected {
            issuer: &self.issuer,
            client_id: &self.client_id,
            domains: self.domains.as_deref(),
            nonce,
        };
        unverified.identity(&expected, now)
    }

    fn secret(&self, in_header: bool) -> ClientSecret {
        let Some(secret) = &self.client_secret else {
            return ClientSecret::None;
        };
        if !in_header {
            return ClientSecret::Post(secret.expose_secret().to_owned());
        }
        // RFC 6749 §2.3.1: both halves are form-encoded first.
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let pair = format!(
            "{}:{}",
            encoded(&self.client_id),
            encoded(secret.expose_secret())
        );
        ClientSecret::Basic(format!("Basic {}", STANDARD.encode(pair)))
    }
}

#[async_trait]
impl IdentityProvider for OidcProvider {
    fn issuer(&self) -> &str {
        &self.issuer
    }

    fn client_id(&self) -> &str {
        &self.client_id
    }

    async fn verify(
        &self,
        token: &SecretString,
        now: Timestamp,
    ) -> Result<Identity, IdentityError> {
        self.check(token.expose_secret(), None, now).await
    }

    async fn authorization_url(
        &self,
        request: &AuthorizationRequest,
        now: Timestamp,
    ) -> Result<String, IdentityError> {
        let discovery = self.documents.discovery(now).await?;
        let mut url = discovery.authorization_endpoint.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.client_id)
            .append_pair("redirect_uri", &request.redirect_uri)
            .append_pair("scope", "openid email profile")
            .append_pair("state", &request.state)
            .append_pair("nonce", &request.nonce)
            .append_pair("code_challenge", &request.code_challenge)
            .append_pair("code_challenge_method", "S256");
        Ok(url.into())
    }

    async fn exchange(
        &self,
        exchange: &CodeExchange,
        now: Timestamp,
    ) -> Result<Identity, IdentityError> {
        let discovery = self.documents.discovery(now).await?;
        let _turn = self.exchanges.acquire().await;
        let form = vec![
            ("grant_type", "authorization_code".to_owned()),
            ("code", exchange.code.expose_secret().to_owned()),
            ("redirect_uri", exchange.redirect_uri.clone()),
            ("client_id", self.client_id.clone()),
            (
                "code_verifier",
                exchange.code_verifier.expose_secret().to_owned(),
            ),
        ];
        let secret = self.secret(discovery.secret_in_header);
        let endpoint = discovery.token_endpoint.clone();
        let answer = self.transport.post_form(endpoint, form, secret).await?;
        let token = answer.body.get("id_token").and_then(Value::as_str);
        match (answer.status, token) {
            (200, Some(token)) => {
                let nonce = exchange.nonce.expose_secret();
                self.check(token, Some(nonce), now).await
            }
            (200, None) => Err(IdentityError::Rejected(
                "The identity provider sent no identity token; permit the scope openid there.",
            )),
            // The operator's mistake, not the person's.
            (401, _) => Err(unavailable(
                "it refuses this deployment's client id or secret",
            )),
            (400..=499, _) => Err(IdentityError::Rejected(
                "The identity provider refused the login; start it again.",
            )),
            (status, _) => Err(unavailable(format!("it answered with status {status}"))),
        }
    }
}
