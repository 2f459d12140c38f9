//! What governance needs beside the store: who may join, how long tokens live, whose keys are taken.

use open_cowork_adapters::tokens::TokenHasher;
use open_cowork_contracts::access::TokenScope;
use open_cowork_contracts::api::admin::overview::SignupMode;
use open_cowork_providers::byok::KeyValidator;
use secrecy::SecretString;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What governance needs beside the store. The default is for tests and demos: tokens that it keeps are not
/// recognised after a restart, and nobody can be invited.
#[derive(Clone)]
pub struct Governance {
    /// Who may join.
    pub signup: Signup,
    /// API tokens.
    pub tokens: TokenPolicy,
    /// Keeps and recognises API tokens.
    pub hasher: Arc<TokenHasher>,
    /// Signs invitations; without it there are none.
    pub invite_secret: Option<SecretString>,
    /// Own provider keys.
    pub byok: ByokPolicy,
    /// Checks provider keys.
    pub validator: Option<Arc<dyn KeyValidator>>,
    /// Name of the profile for people.
    pub profile_label: Option<String>,
    /// The profile for people.
    pub profile_description: Option<String>,
    /// Limits hold and uses are recorded.
    pub metering: bool,
}

/// Who may join (03 §6.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signup {
    /// The mode.
    pub mode: SignupMode,
    /// People may make their own membership.
    pub self_service: bool,
    /// For the mode `domain`.
    pub allowed_email_domains: Vec<String>,
}

/// API tokens (03 §6.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPolicy {
    /// Life of a token that says nothing.
    pub default_ttl: Duration,
    /// Longest life.
    pub max_ttl: Duration,
    /// Scopes that may be issued.
    pub allowed_scopes: Vec<TokenScope>,
}

/// Own provider keys (04 §7.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByokPolicy {
    /// Providers; `None`: any.
    pub allowed_providers: Option<Vec<String>>,
    /// References to a key service may be stored.
    pub kms_refs: bool,
    /// Prefixes of such references.
    pub kms_ref_prefixes: Vec<String>,
    /// References to the server's environment may be stored.
    pub env_refs: bool,
    /// A key that nobody can check is taken.
    pub unvalidated_activation: bool,
}

impl Default for Governance {
    fn default() -> Self {
        // Random: two processes with the default don't recognise each other's tokens.
        let pepper = format!("{}{}", uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
        Governance {
            signup: Signup {
                mode: SignupMode::Open,
                self_service: true,
                allowed_email_domains: Vec::new(),
            },
            tokens: TokenPolicy {
                default_ttl: 90 * DAY,
                max_ttl: 365 * DAY,
                allowed_scopes: vec![
                    TokenScope::Desktop,
                    TokenScope::Gateway,
                    TokenScope::Admin,
                    TokenScope::Operator,
                ],
            },
            hasher: Arc::new(TokenHasher::new(&pepper.into(), &[])),
            invite_secret: None,
            byok: ByokPolicy {
                allowed_providers: None,
                kms_refs: false,
                kms_ref_prefixes: Vec::new(),
                env_refs: false,
                unvalidated_activation: true,
            },
            validator: None,
            profile_label: None,
            profile_description: None,
            metering: true,
        }
    }
}

impl fmt::Debug for Governance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Governance")
            .field("signup", &self.signup)
            .field("tokens", &self.tokens)
            .field("byok", &self.byok)
            .finish_non_exhaustive()
    }
}
