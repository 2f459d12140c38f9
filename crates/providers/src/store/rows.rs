//! What goes into and comes out of a store, apart from events and pages.

use super::{QuotaDenial, StoreError};
use crate::time::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use open_cowork_contracts::{Session, SessionId, SessionStatus, TenantId, UserId};
use std::fmt;

/// Where a session lives. Ordered and hashable, so that it can key maps.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey {
    /// Tenant.
    pub tenant_id: TenantId,
    /// Session inside the tenant.
    pub session_id: SessionId,
}

impl SessionKey {
    /// The key of that tenant and session.
    pub fn new(tenant_id: impl Into<TenantId>, session_id: impl Into<SessionId>) -> Self {
        SessionKey {
            tenant_id: tenant_id.into(),
            session_id: session_id.into(),
        }
    }

    /// The key of a session.
    pub fn of(session: &Session) -> Self {
        SessionKey {
            tenant_id: session.tenant_id.clone(),
            session_id: session.session_id.clone(),
        }
    }
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant_id, self.session_id)
    }
}

/// One user of one tenant: the owner of sessions and of a workspace stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope {
    /// Tenant.
    pub tenant_id: TenantId,
    /// User inside the tenant.
    pub user_id: UserId,
}

impl Scope {
    /// The scope of that tenant and user.
    pub fn new(tenant_id: impl Into<TenantId>, user_id: impl Into<UserId>) -> Self {
        Scope {
            tenant_id: tenant_id.into(),
            user_id: user_id.into(),
        }
    }

    /// The scope that owns a session.
    pub fn of(session: &Session) -> Self {
        Scope {
            tenant_id: session.tenant_id.clone(),
            user_id: session.user_id.clone(),
        }
    }
}

/// A session as stored: the record of the wire, and what only hosts need.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionRow {
    /// The record (01 §3.2). `project_source` is never set by a store: it is read from the view.
    pub session: Session,
    /// Absolute folder that the agent works in; absent where the host decides.
    pub directory: Option<String>,
    /// Approvals and questions that wait for an answer; exact, see [`super::asks`].
    pub waiting: u32,
    /// Sequence of the last event, 0 before the first.
    pub last_sequence: u64,
}

/// A session to be made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewSession {
    /// Owner's tenant.
    pub tenant_id: TenantId,
    /// Owner.
    pub user_id: UserId,
    /// Our id.
    pub session_id: SessionId,
    /// Profile that it runs under.
    pub profile_name: String,
    /// Title, if one is known.
    pub title: Option<String>,
    /// Absolute folder that the agent works in.
    pub directory: Option<String>,
    /// ISO-8601; also the first `updatedAt`.
    pub created_at: String,
}

/// How many sessions of a tenant may be in use at once: those that aren't closed, and run or were touched lately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InUse {
    /// So many.
    pub most: u64,
    /// ISO-8601: a session that was touched last before this, and doesn't run, is not in use.
    pub since: String,
}

impl InUse {
    /// The refusal when that many are in use (04 §2.2).
    #[must_use]
    pub fn exceeded(&self, used: u64) -> StoreError {
        StoreError::Quota(Box::new(QuotaDenial {
            code: "quota.concurrent_sessions_exceeded".to_owned(),
            limit: self.most,
            used,
            reset_at: None,
            retry_after_ms: 60_000,
            message:
                "Too many threads of this organisation are in use; wait until some are left alone."
                    .to_owned(),
        }))
    }
}

/// Result of making a session.
#[derive(Clone, Debug, PartialEq)]
pub struct CreatedSession {
    /// The row, new or as it was.
    pub row: SessionRow,
    /// False when it existed.
    pub created: bool,
}

/// Changes to a row that no event stands for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionUpdate {
    /// New status.
    pub status: Option<SessionStatus>,
    /// New title.
    pub title: Option<String>,
}

/// A worker's proof that it holds a session's lease. Opaque; only equality matters. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct LeaseToken(String);

impl LeaseToken {
    /// Wraps a token.
    pub fn new(token: impl Into<String>) -> Self {
        LeaseToken(token.into())
    }

    /// A new token: 128 random bits.
    pub fn random() -> Result<Self, super::StoreError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|_| {
            super::StoreError::Backend("the system gives no random numbers".to_owned())
        })?;
        Ok(LeaseToken(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The token, for comparison inside a store.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeaseToken([hidden])")
    }
}

/// What a worker shows with a write: the token of its session lease, and the time that decides whether the
/// lease has expired (04 §2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseFence {
    /// Of [`super::execution::SessionLease`].
    pub token: LeaseToken,
    /// The caller's clock.
    pub now: Timestamp,
}

/// Extent of a session's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventStats {
    /// Number of retained events.
    pub count: u64,
    /// First retained sequence; absent when none is.
    pub earliest_sequence: Option<u64>,
    /// Last sequence that was given out, whether or not its event is retained; 0 before the first.
    pub latest_sequence: u64,
}

/// Extent of a user's workspace stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkspaceCursor {
    /// First retained sequence; absent when none is.
    pub earliest_sequence: Option<u64>,
    /// Last sequence that was given out, 0 before the first.
    pub latest_sequence: u64,
}

/// A stored view.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Sequence of the last event folded in.
    pub sequence: u64,
    /// Version of the reducer that made it; another version means: fold the log anew (decision 13), from its base
    /// where it has one.
    pub projector_version: u32,
    /// The view as JSON text, loaded verbatim.
    pub view: String,
    /// Creation time of that last event.
    pub updated_at: String,
}

/// How a snapshot may replace the stored one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotRule {
    /// The normal way (01 §7.1): a lower sequence is a [`super::StoreError::Conflict`] with the text
    /// `Projection sequence must be monotonic.`; an equal sequence needs equal content, else
    /// `Projection sequence was reused with different content.`, unless the projector version is higher.
    Advance,
    /// An operator's repair: the log is the truth, so the fold of it replaces whatever is stored.
    Repair,
}

/// What a snapshot write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotWrite {
    /// It is stored.
    Written,
    /// The same content was there.
    Unchanged,
}

impl SnapshotRule {
    /// Decides a write; `stored` is what is there. Every implementation calls this inside its transaction.
    pub fn decide(
        self,
        stored: Option<&Snapshot>,
        new: &Snapshot,
    ) -> Result<SnapshotWrite, super::StoreError> {
        use super::StoreError::Conflict;
        let Some(stored) = stored else {
            return Ok(SnapshotWrite::Written);
        };
        if self == SnapshotRule::Repair {
            return Ok(if stored == new {
                SnapshotWrite::Unchanged
            } else {
                SnapshotWrite::Written
            });
        }
        if new.sequence < stored.sequence {
            return Err(Conflict("Projection sequence must be monotonic.".into()));
        }
        if new.sequence > stored.sequence || new.projector_version > stored.projector_version {
            return Ok(SnapshotWrite::Written);
        }
        let equal = stored.view == new.view
            || match (
                serde_json::from_str(&stored.view),
                serde_json::from_str(&new.view),
            ) {
                (Ok(a), Ok(b)) => super::append::same_json(&a, &b),
                _ => false,
            };
        match equal {
            true => Ok(SnapshotWrite::Unchanged),
            false => Err(Conflict(
                "Projection sequence was reused with different content.".into(),
            )),
        }
    }
}
