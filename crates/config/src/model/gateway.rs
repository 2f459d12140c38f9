//! The channel gateway (02 §4.13).

use crate::model::nullable::Nullable;
use crate::model::number::Whole;
use crate::model::public_branding::PublicBranding;
use crate::model::secret::Secret;
use crate::model::text_enum::text_enum;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The channel gateway (02 §4.13).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gateway {
    /// The identity of its pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branding: Option<PublicBranding>,
    /// What kind of gateway it is; `cloud_channel` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_mode: Option<GatewayProductMode>,
    /// Who runs it; `self-host` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<GatewayMode>,
    /// Where it listens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<GatewayServer>,
    /// Logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logging: Option<Logging>,
    /// Metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
    /// Diagnostics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnostics: Option<Diagnostics>,
    /// Deadlines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<GatewayTimeouts>,
    /// Its channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub providers: Option<Vec<ChannelProvider>>,
}

/// One channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChannelProvider {
    /// What kind.
    pub kind: ChannelKind,
    /// The binding in the cloud that it belongs to.
    pub channel_binding_id: String,
    /// Its id; `<kind>-<n>` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Whether it runs; true when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The workspace at the other side; null for none.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub external_workspace_id: Nullable<String>,
    /// The agent that answers; null for the default.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub default_agent: Nullable<String>,
    /// Secrets by key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<IndexMap<String, Secret>>,
    /// Settings; any member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<IndexMap<String, Secret<Value>>>,
}

/// Deadlines, milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GatewayTimeouts {
    /// Delivery to a webhook; 15000 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_delivery_ms: Option<Whole>,
    /// Delivery by mail; 30000 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smtp_ms: Option<Whole>,
    /// Finishing work at the end; 10000 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shutdown_drain_ms: Option<Whole>,
}

/// Diagnostics.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Diagnostics {
    /// Whether they are served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// Metrics.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metrics {
    /// Whether they are served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// Logs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Logging {
    /// What is logged; `info` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<LogLevel>,
}

/// Where the gateway listens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GatewayServer {
    /// Address; 127.0.0.1 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Port; 8790 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<Whole>,
    /// Address from outside; null for none.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub public_base_url: Nullable<String>,
    /// Token of the operator; null or empty for none.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    pub admin_token: Nullable<Secret>,
    /// Whether this machine needs no token; false when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_loopback_operator_bypass: Option<bool>,
    /// Bytes of a request; 1048576 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_request_body_bytes: Option<Whole>,
    /// Whether headers of a proxy are believed; false when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_proxy_headers: Option<bool>,
    /// Networks of proxies that are believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted_proxy_cidrs: Option<Vec<String>>,
}

text_enum! {
    /// What kind of gateway it is.
    pub enum GatewayProductMode {
        /// Channels of a cloud.
        CloudChannel = "cloud_channel",
        /// A gateway of its own.
        Standalone = "standalone",
        /// Both.
        Hybrid = "hybrid",
    }
}

text_enum! {
    /// Who runs it.
    pub enum GatewayMode {
        /// The organization itself.
        SelfHost = "self-host",
        /// Somebody for it.
        Managed = "managed",
    }
}

text_enum! {
    /// What is logged.
    pub enum LogLevel {
        /// Everything.
        Debug = "debug",
        /// What happens.
        Info = "info",
        /// What may go wrong.
        Warn = "warn",
        /// What went wrong.
        Error = "error",
        /// Nothing.
        Silent = "silent",
    }
}

text_enum! {
    /// A kind of channel.
    pub enum ChannelKind {
        /// A stand-in for tests.
        Fake = "fake",
        /// Telegram.
        Telegram = "telegram",
        /// Slack.
        Slack = "slack",
        /// Mail.
        Email = "email",
        /// A webhook.
        Webhook = "webhook",
        /// Discord, over a bridge.
        Discord = "discord",
        /// WhatsApp, over a bridge.
        Whatsapp = "whatsapp",
        /// Signal, over a bridge.
        Signal = "signal",
        /// The terminal.
        Cli = "cli",
    }
}
