//! Ids are newtypes: two kinds of id never mix by accident. On the wire they are plain strings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps a string; no validation, since ids of foreign systems are opaque.
            pub fn new(id: impl Into<String>) -> Self { Self(id.into()) }
            /// The id as text.
            pub fn as_str(&self) -> &str { &self.0 }
            /// True for the empty id.
            pub fn is_empty(&self) -> bool { self.0.is_empty() }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
        impl From<&str> for $name { fn from(id: &str) -> Self { Self(id.to_owned()) } }
        impl From<String> for $name { fn from(id: String) -> Self { Self(id) } }
        impl AsRef<str> for $name { fn as_ref(&self) -> &str { &self.0 } }
        impl std::borrow::Borrow<str> for $name { fn borrow(&self) -> &str { &self.0 } }
    )*};
}

ids! {
    /// A tenant: the outermost key of every table. A desktop has one, `local`.
    TenantId;
    /// A user inside a tenant.
    UserId;
    /// A thread of ours (product id, not OpenCode's).
    SessionId;
    /// The idempotency id of one event inside its session.
    EventId;
    /// A command given to a session (prompt, abort, answer); also its idempotency key.
    CommandId;
    /// OpenCode's own session id (`ses_…`); empty until bound.
    RuntimeSessionId;
    /// A message inside a thread.
    MessageId;
    /// A permission ask.
    PermissionId;
    /// A question ask.
    QuestionId;
    /// An organisation; equal to its tenant unless told otherwise (04 §1.1).
    OrgId;
    /// A person, over all tenants.
    AccountId;
    /// An API token (`tok_…`); the public half of the credential.
    TokenId;
    /// A workspace: `local`, `cloud:<hash>`, … (07 §2.4).
    WorkspaceId;
    /// A workflow (playbook).
    WorkflowId;
    /// One run of a workflow.
    RunId;
    /// A deliverable of a thread.
    ArtifactId;
    /// A tag that threads carry.
    TagId;
    /// A stored search.
    FilterId;
}
