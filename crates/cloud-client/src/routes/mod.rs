//! The typed methods, one file per domain of 03 §8. `client.sessions().prompt(…)`.
//!
//! The routes that clouds don't have yet (coordination, knowledge, managed workers, SCIM, direct uploads) have no
//! methods: ask them with [`CloudClient::api`](crate::CloudClient::api).

mod admin;
mod artifacts;
mod auth;
mod billing;
mod byok;
mod capabilities;
mod channels;
mod launchpad;
mod policy;
mod query;
mod sessions;
mod settings;
mod system;
mod threads;
mod tokens;
mod workflows;

pub use admin::AdminRoutes;
pub use artifacts::ArtifactsRoutes;
pub use auth::AuthRoutes;
pub use billing::BillingRoutes;
pub use byok::ByokRoutes;
pub use capabilities::CapabilitiesRoutes;
pub use channels::ChannelsRoutes;
pub use launchpad::LaunchpadRoutes;
pub use policy::PolicyRoutes;
pub use query::{
    AuditQuery, BindingsQuery, ChatQuery, DeliveryListQuery, IdentitiesQuery, MembersQuery,
    PageQuery,
};
pub use sessions::SessionsRoutes;
pub use settings::SettingsRoutes;
pub use system::SystemRoutes;
pub use threads::ThreadsRoutes;
pub use tokens::TokensRoutes;
pub use workflows::WorkflowsRoutes;
