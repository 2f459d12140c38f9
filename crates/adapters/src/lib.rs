//! Real adapters of the ports, one feature each.

#[cfg(feature = "nats")]
pub mod nats;
#[cfg(feature = "objects")]
pub mod objects;
#[cfg(feature = "oidc")]
pub mod oidc;
#[cfg(feature = "provider-keys")]
pub mod provider_keys;
#[cfg(feature = "envelope")]
pub mod secrets;
#[cfg(feature = "prometheus")]
pub mod telemetry;
#[cfg(feature = "tokens")]
pub mod tokens;
