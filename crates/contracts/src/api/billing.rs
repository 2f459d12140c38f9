//! Subscribing (03 §8.13). The state of it is in [`usage`](super::usage).

use crate::JsonObject;
use crate::api::lenient::text;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `POST /api/billing/checkout`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CheckoutRequest {
    /// The deployment's default plan when absent.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub plan_key: Option<String>,
    /// Where a checkout that is done leads to.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub success_url: Option<String>,
    /// Where one that is given up leads to.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub cancel_url: Option<String>,
}

/// Answer of [`CheckoutRequest`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckoutAnswer {
    /// Who bills.
    pub provider_id: String,
    /// The provider's id of the checkout.
    pub provider_session_id: Option<String>,
    /// Where the person goes on.
    pub url: String,
    /// What holds from now on, without the times of its record; only where nothing is left to pay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<JsonObject>,
}

/// `POST /api/billing/portal`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PortalRequest {
    /// Where the portal leads back to.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub return_url: Option<String>,
}

/// Answer of [`PortalRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PortalAnswer {
    /// Who bills.
    pub provider_id: String,
    /// Where the person goes on.
    pub url: String,
}
