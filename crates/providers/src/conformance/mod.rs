//! What every store must do, stated as tests. An implementation runs the suite with one macro:
//!
//! ```ignore
//! use open_cowork_providers::conformance::Subject;
//!
//! async fn fresh() -> Subject {
//!     Subject::new(MyStore::open().await)
//! }
//! open_cowork_providers::store_conformance!(fresh);
//! ```
//!
//! Each case gets an empty store of its own. A store that several processes may use gives two handles with
//! [`Subject::of_two`]; some cases work through both. `tokio` must be a dev-dependency of the crate that runs it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a suite of tests: a failed case panics"
)]

pub mod append;
pub mod artifacts;
pub mod browser;
pub mod bus;
pub mod channels;
pub mod commands;
pub mod crowd;
pub mod effects;
pub mod execution;
mod fixtures;
pub mod governance;
pub mod identity;
pub mod plane;
pub mod retention;
pub mod runs;
pub mod sessions;
pub mod snapshots;
pub mod threads;
pub mod workflows;
pub mod workspace;

use crate::store::{
    AppendRequest, Appended, NewEvent, NewSession, Scope, SessionKey, SessionRow, Store, StoreError,
};
use open_cowork_contracts::{EventType, JsonObject};
use serde_json::Value;
use std::any::Any;
use std::sync::Arc;

/// A fresh store, and whatever must live as long (a temporary folder).
pub struct Subject {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The same store as another process has it; for a store of one process the same handle.
    pub peer: Arc<dyn Store>,
    _guard: Box<dyn Any + Send>,
}

impl Subject {
    /// A store that needs nothing else.
    pub fn new(store: impl Store) -> Self {
        Subject::guarded(store, ())
    }

    /// A store, and what is dropped after it.
    pub fn guarded(store: impl Store, guard: impl Any + Send) -> Self {
        let store: Arc<dyn Store> = Arc::new(store);
        Subject {
            peer: store.clone(),
            store,
            _guard: Box::new(guard),
        }
    }

    /// Two handles that share nothing but the data, and what is dropped after them.
    pub fn of_two(store: impl Store, peer: impl Store, guard: impl Any + Send) -> Self {
        Subject {
            store: Arc::new(store),
            peer: Arc::new(peer),
            _guard: Box::new(guard),
        }
    }
}

macro_rules! cases {
    ($($module:ident: $($case:ident),* $(,)?;)* @of_two $crowd:ident: $($both:ident),* $(,)?;) => {
        /// Makes one `#[tokio::test]` per case of the store's suite. The argument is the path of an
        /// `async fn() -> Subject`.
        #[macro_export]
        macro_rules! store_conformance {
            ($fresh:path) => {
                $($(
                    #[::tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn $case() {
                        let subject = $fresh().await;
                        $crate::conformance::$module::$case(&subject.store).await;
                    }
                )*)*
                $(
                    #[::tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn $both() {
                        let subject = $fresh().await;
                        $crate::conformance::$crowd::$both(&subject.store, &subject.peer).await;
                    }
                )*
            };
        }

        /// Runs every case on a fresh store each; panics at the first that fails.
        pub async fn run_all<F: Future<Output = Subject>>(fresh: impl Fn() -> F) {
            $($($module::$case(&fresh().await.store).await;)*)*
            $({
                let subject = fresh().await;
                $crowd::$both(&subject.store, &subject.peer).await;
            })*
        }
    };
}

cases! {
    sessions:
        creating_a_session_twice_returns_the_stored_one,
        a_tenant_has_only_so_many_sessions_in_use,
        a_session_id_of_another_user_is_a_conflict_that_reveals_nothing,
        a_session_of_another_tenant_is_missing,
        a_session_of_another_user_is_missing_in_a_scope,
        sessions_come_touched_last_first_then_by_id,
        pages_neither_repeat_nor_skip_when_rows_are_inserted_between_them,
        a_cursor_of_another_filter_is_refused,
        a_query_is_a_plain_substring_without_case,
        filters_by_status_and_profile,
        binding_a_runtime_session_makes_it_findable,
        an_update_sets_only_what_it_names,
        a_fence_without_a_lease_is_stale;
    append:
        sequences_are_dense_from_one_per_session,
        an_unknown_session_cannot_append,
        an_event_without_an_id_gets_session_and_sequence,
        a_known_id_with_equal_content_is_reused,
        a_known_id_with_other_content_fails_the_whole_request,
        the_same_id_twice_in_one_request_is_one_event,
        a_default_id_can_be_replayed_but_not_taken_in_advance,
        ids_of_two_sessions_do_not_meet,
        transport_and_unknown_types_are_refused,
        a_failing_event_rolls_the_request_back,
        one_bad_request_does_not_fail_its_neighbours,
        concurrent_writers_leave_no_gap,
        payloads_survive_unchanged,
        a_large_batch_survives_unchanged,
        events_are_listed_after_a_cursor_up_to_a_limit,
        a_page_of_large_events_ends_early_but_not_empty;
    effects:
        an_idle_after_an_error_keeps_the_error,
        the_original_of_a_preserved_idle_is_a_replay,
        a_replay_has_no_effects,
        an_abort_sets_idle_and_a_rename_the_title,
        open_asks_are_counted_on_the_row,
        an_append_touches_the_session;
    workspace:
        workspace_sequences_are_dense_per_user,
        workspace_events_derive_from_session_events,
        tenants_do_not_see_each_others_events,
        rows_and_cursors_of_many_come_in_their_order;
    snapshots:
        the_newest_snapshot_is_read_back_verbatim,
        a_lower_sequence_is_refused,
        an_equal_sequence_needs_equal_content,
        a_higher_projector_version_may_replace_an_equal_sequence,
        a_repair_replaces_anything,
        a_snapshot_of_an_unknown_session_is_refused,
        snapshots_of_two_tenants_do_not_meet;
    retention:
        pruning_moves_the_beginning_of_a_log,
        only_the_old_beginning_of_a_log_is_pruned,
        an_unfinished_turn_keeps_its_log,
        a_step_is_done_once_and_with_its_own_base,
        ids_of_pruned_events_stay_known,
        what_stays_is_whole_whatever_it_was_stored_with,
        a_workspace_stream_begins_after_what_was_pruned,
        a_workspace_stream_can_be_pruned_by_itself,
        a_walk_finds_every_session_with_old_events;
    @of_two crowd:
        many_writers_through_two_handles_leave_no_gap_and_nothing_twice,
        one_id_from_two_handles_at_once_is_one_event,
        a_handle_sees_what_the_other_wrote,
        sessions_of_new_users_can_be_made_through_two_handles_at_once,
        a_session_made_and_filled_at_once_is_whole,
        the_logs_own_ids_stay_unique_in_a_crowd,
        pruning_beside_writers_and_readers_loses_nothing;
}

/// The tenant, user and session of most cases.
pub(crate) const TENANT: &str = "t1";
pub(crate) const USER: &str = "u1";
/// A time of the cases.
pub(crate) const T0: &str = "2026-01-01T00:00:00.000Z";

pub(crate) fn key(session: &str) -> SessionKey {
    SessionKey::new(TENANT, session)
}

pub(crate) fn scope() -> Scope {
    Scope::new(TENANT, USER)
}

pub(crate) fn new_session(tenant: &str, user: &str, session: &str, at: &str) -> NewSession {
    NewSession {
        tenant_id: tenant.into(),
        user_id: user.into(),
        session_id: session.into(),
        profile_name: "default".into(),
        title: None,
        directory: None,
        created_at: at.into(),
    }
}

pub(crate) async fn create(store: &Arc<dyn Store>, session: &str) -> SessionRow {
    store
        .create_session(new_session(TENANT, USER, session, T0))
        .await
        .unwrap()
        .row
}

pub(crate) fn event(kind: EventType, payload: Value) -> NewEvent {
    let payload = match payload {
        Value::Object(payload) => payload,
        _ => JsonObject::new(),
    };
    NewEvent {
        event_id: None,
        kind,
        payload,
        created_at: T0.into(),
    }
}

pub(crate) fn with_id(id: &str, event: NewEvent) -> NewEvent {
    NewEvent {
        event_id: Some(id.into()),
        ..event
    }
}

pub(crate) fn text(content: &str) -> NewEvent {
    event(
        EventType::AssistantMessage,
        serde_json::json!({ "messageId": "m", "content": content, "mode": "append" }),
    )
}

pub(crate) async fn append(
    store: &Arc<dyn Store>,
    session: &str,
    events: Vec<NewEvent>,
) -> Result<Appended, StoreError> {
    store
        .append(AppendRequest {
            key: key(session),
            events: events.into(),
            fence: None,
        })
        .await
}

pub(crate) fn idle() -> NewEvent {
    event(EventType::SessionIdle, serde_json::json!({}))
}
