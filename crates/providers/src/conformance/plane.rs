//! The suite of the control plane's domains (04 §2), run like the store's:
//!
//! ```ignore
//! use open_cowork_providers::conformance::plane::Plane;
//!
//! async fn fresh() -> Plane {
//!     Plane::of_one(MyStore::open().await, ())
//! }
//! open_cowork_providers::control_plane_conformance!(fresh);
//! ```
//!
//! Each case gets a plane of its own. A store that several processes may use gives two handles with
//! [`Plane::of_two`].

use super::{
    artifacts, browser, channels, commands, execution, governance, identity, runs, threads,
    workflows,
};
use crate::store::{ControlPlane, NewSession, Scope, SessionKey};
use crate::time::{Timestamp, iso};
use std::any::Any;
use std::sync::Arc;

/// A fresh control plane, and whatever must live as long (a temporary folder, a server).
pub struct Plane {
    /// The store.
    pub store: Arc<dyn ControlPlane>,
    /// The same store as another process has it; for a store of one process the same handle.
    pub peer: Arc<dyn ControlPlane>,
    _guard: Box<dyn Any + Send>,
}

impl Plane {
    /// One handle, and what is dropped after it.
    pub fn of_one(store: impl ControlPlane, guard: impl Any + Send) -> Self {
        let store: Arc<dyn ControlPlane> = Arc::new(store);
        Plane {
            peer: store.clone(),
            store,
            _guard: Box::new(guard),
        }
    }

    /// Two handles that share nothing but the data, and what is dropped after them.
    pub fn of_two(
        store: impl ControlPlane,
        peer: impl ControlPlane,
        guard: impl Any + Send,
    ) -> Self {
        Plane {
            store: Arc::new(store),
            peer: Arc::new(peer),
            _guard: Box::new(guard),
        }
    }

    /// Makes a session of that user.
    pub(crate) async fn session(&self, tenant: &str, user: &str, id: &str) -> SessionKey {
        self.session_at(&Scope::new(tenant, user), id, None, at(0))
            .await;
        SessionKey::new(tenant, id)
    }

    /// Makes a session with a title at a time.
    pub(crate) async fn session_at(
        &self,
        scope: &Scope,
        id: &str,
        title: Option<&str>,
        at: Timestamp,
    ) {
        let new = NewSession {
            tenant_id: scope.tenant_id.clone(),
            user_id: scope.user_id.clone(),
            session_id: id.into(),
            profile_name: "default".to_owned(),
            title: title.map(str::to_owned),
            directory: None,
            created_at: iso(at),
        };
        self.store.create_session(new).await.unwrap();
    }
}

/// The user of most cases.
pub(crate) fn scope() -> Scope {
    Scope::new("t1", "u1")
}

/// Seconds after the time at which cases begin.
pub(crate) fn at(seconds: u64) -> Timestamp {
    let begin: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    begin + std::time::Duration::from_secs(seconds)
}

macro_rules! cases {
    ($($module:ident: $($case:ident),* $(,)?;)*) => {
        /// Makes one `#[tokio::test]` per case of the control plane's suite. The argument is the path of an
        /// `async fn() -> Plane`.
        #[macro_export]
        macro_rules! control_plane_conformance {
            ($fresh:path) => {
                $(
                    mod $module {
                        use super::*;
                        $(
                            #[::tokio::test(flavor = "multi_thread", worker_threads = 2)]
                            async fn $case() {
                                let plane = $fresh().await;
                                $crate::conformance::$module::$case(&plane).await;
                            }
                        )*
                    }
                )*
            };
        }

        /// Runs every case on a fresh plane each; panics at the first that fails.
        pub async fn run_all<F: Future<Output = Plane>>(fresh: impl Fn() -> F) {
            $($($module::$case(&fresh().await).await;)*)*
        }
    };
}

cases! {
    execution:
        a_scope_is_held_by_one_worker_at_a_time,
        an_unknown_user_has_no_scope,
        an_expired_scope_is_taken_over_and_its_old_tokens_are_stale,
        a_renewal_prolongs_the_sessions_of_the_scope,
        a_lost_scope_cannot_be_renewed,
        a_session_is_claimed_once_under_a_live_scope,
        an_organisation_holds_no_more_sessions_than_it_may,
        a_live_lease_writes_and_no_other_token_does,
        an_expired_lease_cannot_write_even_if_nobody_took_over,
        a_released_session_is_free_and_its_token_stale,
        a_released_scope_is_free_and_its_commands_wait_again,
        a_claim_leaves_the_session_as_it_is,
        reaping_ends_expired_scopes_oldest_first,
        an_unfinished_turn_waits_for_a_worker_until_one_has_it,
        one_of_many_workers_gets_the_scope,
        many_reapers_share_the_work,
        a_takeover_and_an_append_have_an_order;
    commands:
        a_command_is_queued_once_by_its_id,
        an_id_of_another_scope_is_a_conflict_that_reveals_nothing,
        an_unknown_session_takes_no_command,
        a_full_queue_refuses_new_commands_and_knows_old_ones,
        an_old_queue_refuses_new_commands,
        aborts_and_answers_overtake_prompts,
        an_abort_can_take_the_prompts_that_wait_before_it,
        prompts_keep_their_order_strictly,
        a_deferred_answer_does_not_hold_up_the_others,
        a_command_is_settled_by_the_lease_that_has_it,
        a_settled_command_is_settled_once,
        an_execution_that_kills_its_workers_ends_after_three,
        deferrals_and_releases_are_no_executions,
        runnable_scopes_come_oldest_first_and_tenants_in_turn,
        a_scope_of_another_worker_is_not_runnable,
        a_prompt_behind_a_running_turn_is_not_ready,
        what_is_to_do_is_told_per_session,
        many_claims_of_one_lease_give_every_command_once,
        a_heartbeat_replaces_the_one_before,
        old_commands_and_heartbeats_are_pruned;
    identity:
        the_first_sign_in_makes_everything_once,
        an_account_is_found_by_subject_then_address_then_id,
        without_leave_to_join_nothing_is_made,
        an_invited_member_becomes_active_when_they_come,
        a_principal_of_another_tenant_is_nobody,
        members_come_changed_last_first_and_pages_are_stable,
        a_search_among_members_knows_no_wildcards,
        the_last_owner_stays_even_if_two_demote_each_other_at_once,
        nobody_changes_their_own_role,
        only_owners_touch_owners,
        nobody_grants_what_they_do_not_hold,
        a_custom_role_replaces_and_its_shrinking_revokes_tokens,
        a_role_that_somebody_has_is_not_deleted,
        a_demoted_or_suspended_members_tokens_are_revoked,
        a_token_is_found_whatever_its_state_and_revoked_once,
        a_token_needs_an_active_member,
        the_last_use_of_a_token_never_goes_back,
        grants_are_idempotent_and_stay_in_the_tenant,
        single_sign_on_is_replaced_only_by_who_has_read_it;
    governance:
        a_policy_is_replaced_only_by_who_has_read_it,
        a_new_key_leaves_the_active_one_in_force_until_it_is_valid,
        at_most_one_key_of_a_provider_is_active_whoever_is_first,
        a_withdrawn_key_stays_withdrawn,
        provider_keys_stay_in_their_tenant,
        audit_entries_are_recorded_once_and_redacted,
        the_audit_log_pages_newest_first_and_filters,
        an_audit_cursor_belongs_to_its_filter,
        uses_are_recorded_once_and_paged,
        a_quota_is_exact_under_many_consumers,
        a_quota_slides_and_refunds,
        quotas_of_two_tenants_do_not_meet,
        a_subscription_keeps_its_first_time_and_bounds_its_metadata,
        settings_belong_to_a_user_and_the_last_write_wins,
        retention_deletes_the_oldest_up_to_a_limit;
    browser:
        a_browser_session_ends_at_its_time_or_when_it_is_revoked,
        a_database_has_one_stream_epoch,
        a_renewal_never_passes_the_latest_end,
        an_accounts_sessions_end_together_in_their_tenant,
        of_many_equal_requests_one_does_the_work,
        a_key_with_another_body_is_another_request,
        an_answer_is_kept_until_the_key_expires,
        an_abandoned_reservation_is_free_again_and_its_holder_too_late,
        a_released_key_is_free,
        a_bucket_is_exact_under_many_takers,
        sign_in_backs_off_after_too_many_failures,
        what_has_ended_is_pruned;
    workflows:
        a_workflow_belongs_to_its_user,
        a_workflow_id_is_taken_once,
        workflows_come_touched_last_first_and_page_by_key,
        a_run_makes_its_workflow_running,
        a_second_run_while_one_is_under_way_is_a_conflict,
        a_paused_or_archived_workflow_does_not_run,
        creating_a_run_twice_returns_the_stored_one,
        limits_refuse_new_runs_only,
        pausing_during_a_run_holds_after_it,
        archiving_revokes_the_webhook_secret,
        a_signed_call_is_noted_once_in_its_window,
        old_runs_go_and_the_newest_stays;
    runs:
        chats_are_told_once_how_a_run_ended,
        a_due_time_starts_one_run_and_the_next_one_is_there,
        eight_schedulers_start_each_due_time_once,
        a_stranded_run_is_claimed_before_a_due_one,
        a_stale_claim_cannot_attach,
        attaching_uses_the_claim_up,
        a_finished_run_stays_as_it_ended,
        a_run_that_fails_leaves_the_schedule,
        three_lost_claims_fail_the_run_and_keep_the_schedule,
        a_claim_whose_session_has_commands_is_not_reaped,
        a_due_time_during_a_run_is_recorded_as_skipped,
        a_due_time_over_the_limits_is_recorded_as_failed,
        a_run_whose_end_nobody_wrote_is_found;
    artifacts:
        an_artifact_is_put_once,
        artifacts_stay_in_their_tenant,
        the_index_filters_and_pages_by_key,
        a_status_never_goes_back,
        concurrent_changes_have_an_order,
        the_index_is_mended_from_the_log;
    threads:
        a_tags_name_is_unique_in_its_tenant,
        of_two_equal_tags_at_once_one_is_made,
        tags_are_applied_to_all_or_none,
        tagged_threads_page_by_key,
        stored_filters_live_in_their_tenant,
        a_text_finds_the_thread_and_the_message,
        no_character_of_a_text_is_a_wildcard,
        a_search_finds_what_the_rule_says,
        a_search_stays_with_its_user,
        the_index_follows_the_log,
        many_followers_count_everything_once,
        filters_narrow_a_search,
        found_threads_page_by_key,
        facets_count_what_is_found,
        a_text_that_is_everywhere_is_bounded,
        odd_events_are_indexed_around;
    channels:
        a_coworker_is_made_once,
        channel_lists_page_by_key,
        channels_are_capped,
        a_gateway_cannot_raise_a_person,
        a_chat_is_bound_once,
        a_chats_cursor_never_goes_back,
        an_ask_is_answered_once,
        a_late_answer_finds_the_ask_expired,
        eight_claimers_claim_each_delivery_once,
        a_claim_ends_and_the_delivery_comes_back,
        a_delivery_is_settled_by_its_claimer,
        claims_of_deliveries_are_capped,
        a_providers_event_is_treated_once,
        only_what_has_ended_is_pruned;
}
