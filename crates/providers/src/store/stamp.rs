//! Who changes something, and when. Every change of governance writes its entry of the audit log in the same
//! transaction, so that neither is ever there without the other.

use crate::time::{Timestamp, iso};
use open_cowork_contracts::AccountId;
use open_cowork_contracts::access::BuiltInRole;
use open_cowork_contracts::api::admin::AuditActor;

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Kind.
    pub kind: AuditActor,
    /// Which one: an account, a token, or the part of the cloud that acts.
    pub id: Option<String>,
    /// The account behind it; `None`: nobody's, such as the cloud itself.
    pub account_id: Option<AccountId>,
    /// The built-in role of that account as the caller's principal has it. The store ranks by the stored
    /// membership and falls back to this one for an account that has none (sign-in `none`).
    pub role: Option<BuiltInRole>,
}

impl Actor {
    /// The cloud itself; `part` says which of it.
    pub fn system(part: &str) -> Self {
        Actor {
            kind: AuditActor::System,
            id: Some(part.to_owned()),
            account_id: None,
            role: None,
        }
    }

    /// A person.
    pub fn user(account: AccountId, role: Option<BuiltInRole>) -> Self {
        Actor {
            kind: AuditActor::User,
            id: Some(account.to_string()),
            account_id: Some(account),
            role,
        }
    }
}

/// Who changes something, when, and under which id the audit log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// Id of the entry in the audit log; a change that writes several adds `:2`, `:3` …
    pub audit_id: String,
}

impl Stamp {
    /// A change by somebody now. `audit_id` is random or derived, and unique in the organisation.
    pub fn new(actor: Actor, at: Timestamp, audit_id: impl Into<String>) -> Self {
        Stamp {
            at,
            actor,
            audit_id: audit_id.into(),
        }
    }

    /// The time as records have it.
    #[must_use]
    pub fn iso(&self) -> String {
        iso(self.at)
    }
}
