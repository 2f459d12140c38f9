//! What a distribution brings beside configuration.

use open_cowork_cloud_server::cloud::Check;
use open_cowork_cloud_server::settings::Settings;
use open_cowork_providers::billing::Billing;
use open_cowork_providers::bus::EventBus;
use open_cowork_providers::byok::KeyValidator;
use open_cowork_providers::identity_provider::IdentityProvider;
use open_cowork_providers::objects::ObjectStore;
use open_cowork_providers::secrets::Secrets;
use open_cowork_providers::store::Store;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Makes the adapters when the settings are known. It is called inside the Tokio runtime.
type Open = dyn Fn(&Settings) -> Result<Adapters, Box<dyn Error + Send + Sync>> + Send + Sync;
/// Wraps the store of the threads' log.
type Wrap = dyn Fn(Arc<dyn Store>) -> Arc<dyn Store> + Send + Sync;

/// A program of its own on Open Cowork's cloud.
pub struct Distribution {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    open: Box<Open>,
}

impl Distribution {
    /// A program of that name and version, with the adapters of Open Cowork.
    #[must_use]
    pub fn new(name: &'static str, version: &'static str) -> Self {
        Distribution {
            name,
            version,
            open: Box::new(|_| Ok(Adapters::default())),
        }
    }

    /// Adapters of its own. An error ends the start with that sentence; it must hold no secret.
    #[must_use]
    pub fn adapters<F>(mut self, open: F) -> Self
    where
        F: Fn(&Settings) -> Result<Adapters, Box<dyn Error + Send + Sync>> + Send + Sync + 'static,
    {
        self.open = Box::new(open);
        self
    }

    pub(crate) fn open(&self, settings: &Settings) -> anyhow::Result<Adapters> {
        (self.open)(settings).map_err(|error| anyhow::anyhow!(error))
    }
}

impl fmt::Debug for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Distribution")
            .field("name", &self.name)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// Adapters of a distribution; what is absent is Open Cowork's own.
#[derive(Clone, Default)]
pub struct Adapters {
    /// Bytes of artifacts. Default: a folder below the root.
    pub objects: Option<Arc<dyn ObjectStore>>,
    /// Secrets at rest. Default: the envelope under the deployment's key (04 §7.1).
    pub secrets: Option<Arc<dyn Secrets>>,
    /// Who people are, in the mode `oidc`. Default: OpenID Connect, as the configuration says.
    pub identity_provider: Option<Arc<dyn IdentityProvider>>,
    /// Whoever bills. Default: nobody, or the configuration's plans with the provider `stub`.
    pub billing: Option<Arc<dyn Billing>>,
    /// Checks provider keys. Default: it asks the providers, unless that is switched off.
    pub key_validator: Option<Arc<dyn KeyValidator>>,
    /// Wake-ups between processes. Default: in the process; PostgreSQL's NOTIFY where that is on.
    pub bus: Option<Arc<dyn EventBus>>,
    /// Wraps the store that the log appends to, to see what becomes durable. It must pass the public suite.
    pub log: Option<Arc<Wrap>>,
    /// Asked by readiness, beside Open Cowork's own.
    pub checks: Vec<Arc<dyn Check>>,
}

impl fmt::Debug for Adapters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adapters")
            .field("objects", &self.objects.is_some())
            .field("secrets", &self.secrets.is_some())
            .field("identity_provider", &self.identity_provider.is_some())
            .field("billing", &self.billing.is_some())
            .field("key_validator", &self.key_validator.is_some())
            .field("bus", &self.bus.is_some())
            .field("log", &self.log.is_some())
            .field("checks", &self.checks.len())
            .finish()
    }
}
