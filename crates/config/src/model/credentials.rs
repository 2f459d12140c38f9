//! What a provider or an MCP server asks a person for (02 §4.4).

use crate::model::text_enum::text_enum;
use serde::{Deserialize, Serialize};

/// A value that a provider or an MCP server needs, and the form field for it. It never holds the
/// value itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Credential {
    /// Its key among the stored values.
    pub key: String,
    /// Label of the field.
    pub label: String,
    /// What it is for.
    pub description: String,
    /// The option of the runtime that takes it; `key` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_key: Option<String>,
    /// What the empty field says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placeholder: Option<String>,
    /// Whether the value is a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<bool>,
    /// Whether it must be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
    /// The environment variable that it stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// How it is entered.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<CredentialType>,
    /// The choices; `select` and `radio` need them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Vec<CredentialOption>>,
    /// When the field is shown; always when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<CredentialWhen>,
}

/// When a field is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CredentialWhen {
    /// The field that is looked at; a missing value counts as empty.
    pub key: String,
    /// How it is compared.
    pub op: WhenOp,
    /// With what.
    pub value: String,
}

/// One choice of a credential.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CredentialOption {
    /// What people see.
    pub label: String,
    /// What is stored.
    pub value: String,
    /// A word of explanation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

text_enum! {
    /// How a credential is entered.
    pub enum CredentialType {
        /// As text.
        Text = "text",
        /// From a menu.
        Select = "select",
        /// From a row of choices.
        Radio = "radio",
    }
}

text_enum! {
    /// How a condition compares.
    pub enum WhenOp {
        /// Equal.
        Eq = "eq",
        /// Not equal.
        Neq = "neq",
    }
}
