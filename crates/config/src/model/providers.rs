//! Model providers, their models and catalogs (02 §4.4).

use crate::model::credentials::Credential;
use crate::model::number::JsNumber;
use crate::model::number::Whole;
use crate::model::secret::Secret;
use crate::model::text_enum::text_enum;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Model providers (02 §4.4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Providers {
    /// Ids in the order of the menu; each needs a descriptor or a custom entry.
    pub available: Vec<String>,
    /// The provider to begin with, one of `available`; null for none.
    pub default_provider: Option<String>,
    /// The model to begin with; null for none.
    pub default_model: Option<String>,
    /// Providers as people see them, by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub descriptors: Option<IndexMap<String, Descriptor>>,
    /// Providers that the runtime loads, by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<IndexMap<String, CustomProvider>>,
    /// Limits and prices by model id or `provider/model`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_info: Option<IndexMap<String, ModelInfo>>,
}

/// What is known of a model wherever it comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelInfo {
    /// Its token limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<ModelLimit>,
    /// Its prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<ModelCost>,
}

/// A provider that the runtime loads as a package.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CustomProvider {
    /// The package.
    pub npm: String,
    /// Its name.
    pub name: String,
    /// Its models by id.
    pub models: IndexMap<String, CustomModel>,
    /// One sentence about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Model to begin with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_model: Option<String>,
    /// Model for small tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub small_model: Option<String>,
    /// Options of the runtime; any member. Placeholders in them stay as written until the runtime
    /// gets them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<IndexMap<String, Secret<Value>>>,
    /// What it needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Vec<Credential>>,
}

/// A model of a custom provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CustomModel {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its token limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<ModelLimit>,
    /// Its prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<ModelCost>,
    /// Options of the runtime; any member, `maxOutputTokens` from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<CustomModelOptions>,
}

/// A provider as people see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Descriptor {
    /// Who implements it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<ProviderRuntime>,
    /// When the runtime hears of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_activation: Option<RuntimeActivation>,
    /// Its name.
    pub name: String,
    /// One sentence about it.
    pub description: String,
    /// Model to begin with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_model: Option<String>,
    /// Model for small tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub small_model: Option<String>,
    /// Options of the runtime; any member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<IndexMap<String, Secret<Value>>>,
    /// What it needs.
    pub credentials: Vec<Credential>,
    /// Models that are always listed.
    pub models: Vec<DescriptorModel>,
    /// Models that are fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dynamic_catalog: Option<DynamicCatalog>,
}

/// A list of models that is fetched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DynamicCatalog {
    /// Where it is.
    pub url: String,
    /// Dotted path to the list in the answer; the answer itself when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_path: Option<String>,
    /// Member that holds the id; `id` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_field: Option<String>,
    /// Member that holds the name; `name` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_field: Option<String>,
    /// Member that holds the description; `description` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description_field: Option<String>,
    /// Member that holds the context length; `context_length` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_length_field: Option<String>,
    /// Value of the header Authorization, verbatim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_header: Option<Secret>,
    /// Hash that the body must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// How long a fetched list is good, minutes; 60 when absent, 1 at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_ttl_minutes: Option<JsNumber>,
}

/// A model that a descriptor lists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DescriptorModel {
    /// Its id at the provider.
    pub id: String,
    /// Its name.
    pub name: String,
    /// One sentence about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its token limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<ModelLimit>,
    /// Its prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<ModelCost>,
    /// Whether it is offered first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub featured: Option<bool>,
    /// Tokens of context as the catalog counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_length: Option<JsNumber>,
}

/// Prices of a model, USD per million tokens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelCost {
    /// Tokens read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<JsNumber>,
    /// Tokens written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<JsNumber>,
    /// Tokens read from the cache.
    #[serde(
        rename = "cache_read",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub cache_read: Option<JsNumber>,
    /// Tokens written to the cache.
    #[serde(
        rename = "cache_write",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub cache_write: Option<JsNumber>,
}

/// Token limits of a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelLimit {
    /// Tokens of context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Whole>,
    /// Tokens of one answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Whole>,
}

/// Options of a custom model: open, with one member that is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomModelOptions {
    /// Tokens of one answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<Whole>,
    /// Everything else.
    #[serde(flatten)]
    pub others: IndexMap<String, Secret<Value>>,
}

text_enum! {
    /// When the runtime hears of a provider that contributes nothing else.
    pub enum RuntimeActivation {
        /// Never.
        Implicit = "implicit",
        /// Always, by an entry with its name.
        Config = "config",
    }
}

text_enum! {
    /// Who implements a provider.
    pub enum ProviderRuntime {
        /// The runtime itself.
        Builtin = "builtin",
        /// An entry of `providers.custom`.
        Custom = "custom",
    }
}
