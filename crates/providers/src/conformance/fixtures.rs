//! What the cases of governance have in common.

use crate::store::{Actor, Stamp};
use crate::time::Timestamp;
use open_cowork_contracts::{AccountId, TenantId};

/// Milliseconds after the time at which cases begin.
pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000 + millis).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A change by the cloud itself.
pub(crate) fn stamp(millis: i64) -> Stamp {
    Stamp::new(
        Actor::system("suite"),
        at(millis),
        format!("audit-{millis}"),
    )
}

/// A change by an account.
pub(crate) fn stamp_of(account: &str, millis: i64) -> Stamp {
    let actor = Actor::user(AccountId::from(account), None);
    Stamp::new(actor, at(millis), format!("audit-{millis}"))
}

pub(crate) fn tenant(id: &str) -> TenantId {
    id.into()
}
