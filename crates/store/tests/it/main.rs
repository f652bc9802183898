//! The contract of the store: each promise is a test of its name, written once and run on every engine.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bench;
mod chain;
mod claims;
mod commits;
mod corpus;
mod damaged;
mod folder;
mod fresh;
mod histories;
mod jobs;
mod killed;
mod leases;
mod limits;
mod logs;
mod outcomes;
mod restores;
mod rows;
mod shell;
mod sweeps;
mod unsure;
mod upkeep;

macro_rules! contract {
    ($($module:ident: $($property:ident)*;)*) => {
        contract! { @engine file File: $($module: $($property)*;)* }
        contract! { @engine memory Memory: $($module: $($property)*;)* }
        contract! { @engine loose Loose: $($module: $($property)*;)* }
        contract! { @engine mixed Mixed: $($module: $($property)*;)* }
        contract! { @engine moved Moved: $($module: $($property)*;)* }
    };
    (@engine $engine:ident $kind:ident: $($module:ident: $($property:ident)*;)*) => {
        mod $engine {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $property() {
                    crate::$module::$property(crate::bench::Bench::new(crate::bench::Kind::$kind)).await;
                }
            )*)*
        }
    };
}

contract! {
    rows: order_of_rows first_is_whole absent_and_expired_are_one ephemeral_is_forgotten large_value;
    commits: commit_all_or_nothing unchanged_sees_phantoms row_expectation_local versions_rise_never_repeat one_winner
        read_your_commit crowd_comes_through;
    outcomes: conflict_changes_nothing unavailable_changes_nothing repeat_of_commit_id_is_done_once unknown_is_resolved
        mistakes_are_refused;
    unsure: unknown_among_rivals;
    chain: effects_follow_chain late_put_stays_dead appends_follow_chain free_all_or_nothing larger_time_wins;
    logs: appends_of_one_commit_in_order no_skip ack_order ids_are_uuid1 double_has_same_key lost_is_told prev_is_true
        body_shared_once trimmed_is_not_lost backwards;
    limits: limits_typed;
    claims: claim_one_owner claim_binds_while_named;
    leases: lease_fenced lease_one_holder lease_without_wall_clock
        conflict_elsewhere_is_not_lost;
    jobs: job_resumes timer_fires_once_due job_only_if_committed failing_job_is_parked stopped_worker_moves_nothing
        job_entry_twice_is_one_job cursor_may_be_nothing ended_step_is_remembered worker_wakes_and_leaves;
    sweeps: help_first slow_is_not_dead drain_meets_no_tombstones;
    histories: agrees_with_model writers_form_a_chain;
}
