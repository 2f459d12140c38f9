//! Removing what is old from the logs (04 §2.11).
//!
//! A log is its *base* and the events after it. At first there is no base and the log begins with event 1. Pruning
//! moves the beginning: the caller folds the base and the events of one step into the view at the end of the step,
//! and the store puts that view in the place of both, in **one transaction**. So base and events never disagree,
//! whoever dies when, and the view at any later sequence is the same as if nothing had been pruned.
//!
//! What is left of a pruned event is its id: whoever brings the event once more is told that it is known, so that
//! recovery and retries add nothing (decisions 10 and 15). Only ids that the log minted at random go with their
//! events ([`append::is_minted`](super::append::is_minted)); nobody can name these twice.

use super::{SessionKey, Snapshot, StoreError};
use crate::time::{Timestamp, parse_iso};
use async_trait::async_trait;

/// The beginning of logs and of workspace streams, and moving it.
#[async_trait]
pub trait RetentionStore: Send + Sync + 'static {
    /// The view that stands for the pruned part of a log; `None` while the log begins with event 1. Its
    /// `projector_version` is that of the reducer that folded it **last**: where another one reads it, the events
    /// before can't be folded anew, so it is taken as it is (see the decision 0012).
    async fn base(&self, key: &SessionKey) -> Result<Option<Snapshot>, StoreError>;

    /// Walks over `limit` sessions of all tenants and gives those whose first event is older than `before` and that
    /// may be pruned by their status. `cursor` is [`OldSessions::next`] of the page before.
    /// [`StoreError::InvalidCursor`].
    async fn old_sessions(
        &self,
        before: Timestamp,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<OldSessions, StoreError>;

    /// The next step for a log: events at its beginning that are all older than `before`, `limit` at most. `None`
    /// when there is nothing to prune, for an unknown session, and while a turn is unfinished (status `running`).
    ///
    /// A step covers only what the store's own followers have read; a store brings them up to date first.
    async fn plan_prune(
        &self,
        key: &SessionKey,
        before: Timestamp,
        limit: u32,
    ) -> Result<Option<PruneStep>, StoreError>;

    /// Does a step: `base` becomes the base, the events are gone, and the workspace stream of the owner begins after
    /// the last of them. Gives the number of events; 0, without a change, when the log has another beginning by now
    /// or a turn has begun: somebody else was there, plan again.
    ///
    /// [`StoreError::NotFound`]; [`StoreError::Invalid`] when the base isn't the view at the end of the step.
    async fn prune_events(
        &self,
        key: &SessionKey,
        step: PruneStep,
        base: Snapshot,
    ) -> Result<u64, StoreError>;

    /// Moves the beginning of workspace streams over events that are older than `before`: at most `limit` events of
    /// all users together. The events stay in their threads. Gives the number of events.
    async fn prune_workspaces(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

/// A page of sessions to prune.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OldSessions {
    /// Those that have old events.
    pub keys: Vec<SessionKey>,
    /// Where the walk goes on; absent at its end.
    pub next: Option<String>,
}

/// Events at the beginning of a log: those after `after`, up to `through`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PruneStep {
    /// The sequence of the base, 0 without one.
    pub after: u64,
    /// The last event of the step.
    pub through: u64,
}

impl PruneStep {
    /// How many events.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.through.saturating_sub(self.after)
    }

    /// [`StoreError::Invalid`] unless `base` is a view at the end of the step.
    pub fn check(&self, base: &Snapshot) -> Result<(), StoreError> {
        if base.sequence == self.through && self.events() > 0 {
            return Ok(());
        }
        Err(StoreError::Invalid(format!(
            "A base at sequence {} can't replace the events {} to {}; fold exactly these.",
            base.sequence,
            self.after + 1,
            self.through
        )))
    }
}

/// How many events at the beginning are old, by their times. Times needn't ascend (imports carry their own): the
/// first one that isn't old ends the run, and a time that can't be read holds nothing up.
pub fn leading_old<'t>(times: impl IntoIterator<Item = &'t str>, before: Timestamp) -> u64 {
    times
        .into_iter()
        .take_while(|time| is_old(time, before))
        .count() as u64
}

/// True for what was created before that millisecond, and for what nobody knows when.
#[must_use]
pub fn is_old(created_at: &str, before: Timestamp) -> bool {
    parse_iso(created_at).is_none_or(|at| at.as_millisecond() < before.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_young_event_ends_what_is_old() {
        let before = parse_iso("2026-01-02T00:00:00.000Z").unwrap();
        let old = |times: &[&str]| leading_old(times.iter().copied(), before);
        let (first, second, third) = (
            "2026-01-01T00:00:00.000Z",
            "2026-01-02T00:00:00.000Z",
            "2026-01-01T12:00:00Z",
        );
        assert_eq!(old(&[first, third, second]), 2);
        assert_eq!(
            old(&[second, first]),
            0,
            "an import is kept like its thread"
        );
        assert_eq!(old(&[first, "once", third]), 3);
        assert_eq!(old(&[]), 0);
    }

    #[test]
    fn a_base_stands_for_exactly_its_step() {
        let step = PruneStep {
            after: 2,
            through: 5,
        };
        let base = |sequence| Snapshot {
            sequence,
            projector_version: 1,
            view: "{}".into(),
            updated_at: String::new(),
        };
        assert_eq!(step.check(&base(5)), Ok(()));
        assert!(matches!(step.check(&base(4)), Err(StoreError::Invalid(_))));
        let nothing = PruneStep {
            after: 5,
            through: 5,
        };
        assert!(nothing.check(&base(5)).is_err());
    }
}
