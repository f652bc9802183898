//! Brig as clients, operators and other backends see it: through its router and its federation component. Each test is
//! written once and run on every engine that the store may stand on.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking, its helpers too")]

mod accounts;
mod crashes;
mod faults;
mod federation;
mod handles;
mod harness;
mod outcomes;
mod remotes;
mod search;
mod sessions;
mod users;

macro_rules! on_every_engine {
    ($($module:ident: $($test:ident)*;)*) => {
        on_every_engine! { @engine loose Loose: $($module: $($test)*;)* }
        on_every_engine! { @engine memory Memory: $($module: $($test)*;)* }
    };
    (@engine $engine:ident $kind:ident: $($module:ident: $($test:ident)*;)*) => {
        mod $engine {
            $(mod $module {
                $(
                    #[tokio::test]
                    async fn $test() {
                        crate::$module::$test(crate::harness::Engine::$kind).await;
                    }
                )*
            })*
        }
    };
}

// One that is missing here is dead code, which the lints tell.
on_every_engine! {
    accounts: an_account_with_an_address_is_active_at_once its_activation_code_can_be_read what_is_no_account
        an_address_has_one_account racing_registrations_of_one_address_have_one_winner an_id_can_be_chosen_once
        without_an_address_it_is_a_guest_for_a_while a_wrong_code_for_the_address_is_told_and_counted
        an_unknown_user_has_no_profile;
    crashes: killed_at_every_commit a_claimed_address_without_an_account_binds_nothing an_account_is_whole_once_its_row_is_committed
        a_failure_that_leaves_time_gives_the_name_back a_claimed_handle_without_its_user_binds_nothing
        a_handle_that_was_changed_is_free_although_nobody_gave_it_up a_login_that_could_not_be_stored_gives_no_cookie
        a_remote_that_could_not_be_stored_is_not_allowed a_remote_is_taken_off_although_nobody_waits_for_the_answer
        an_old_handle_is_given_up_although_nobody_waits_for_the_answer;
    federation: versions a_user_by_handle users_by_ids searches at_most_fifteen_are_told restricted_to_teams
        what_is_no_rpc;
    handles: a_handle_is_chosen_kept_and_freed what_is_no_handle a_handle_may_be_managed ten_racers_have_one_winner
        racing_changes_of_one_user_leave_one_handle_and_free_the_others;
    outcomes: a_doubt_is_cleared_up a_claim_in_doubt_is_a_no an_account_in_doubt_is_whole_or_not_there
        a_remote_in_doubt_is_as_it_is_stored;
    remotes: adding_changing_removing what_the_file_says_is_protected teams_of_a_remote a_change_counts_at_once
        changes_at_once_are_all_there the_teams_of_a_remote_are_bounded;
    search: by_exact_handle by_name_however_it_is_spelt handles_come_first_and_sizes_are_kept a_change_is_found_at_once
        in_another_backend who_has_a_rare_word_is_found_behind_common_ones
        a_match_behind_many_that_may_not_be_shown_is_found who_is_found_does_not_depend_on_the_pages_of_the_store;
    sessions: by_address_in_any_spelling_and_by_handle the_cookie_as_it_is_set who_is_not_let_in access_by_cookie_alone
        what_gives_no_access the_connection_is_kept_when_the_old_token_comes_along
        one_good_cookie_among_several_is_enough an_old_cookie_gets_one_successor
        renewals_at_once_end_with_one_successor a_session_cookie_is_never_renewed logging_out_kills_the_cookie
        logins_in_a_burst_are_throttled wrong_passwords_close_the_account_for_a_while guesses_at_once_are_all_counted
        passwords_of_one_account_cannot_be_tried_without_end a_login_of_the_same_label_replaces_the_one_before
        who_is_away_for_too_long_is_suspended another_ones_cookie_row_is_no_use
        a_login_does_not_tell_whether_there_is_an_account a_login_without_an_account_is_as_much_work
        a_login_does_not_depend_on_a_newer_hash who_is_suspended_gets_no_access_by_an_old_cookie
        who_is_suspended_while_logging_in_is_not_let_in;
    users: a_profile_by_id a_profile_by_handle lists_of_profiles lists_before_version_4 profiles_from_another_backend
        another_backend_speaks_for_its_own_users_only an_error_of_the_remote_is_passed_on_inside
        what_a_backend_refuses_is_told_to_the_other what_the_backend_says_about_itself every_declared_endpoint_is_answered;
}
