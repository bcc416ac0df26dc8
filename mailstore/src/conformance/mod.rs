//! The suite that any backend is held against.
//!
//! The rules are listed in [`contract`](crate::contract); here are the cases that try them. An author of a
//! backend gets a test for each case with one line:
//!
//! ```
//! use hikyaku_mailstore::{Memory, Store, conformance::Volatile};
//! use std::sync::Arc;
//! # #[cfg(test)]
//! hikyaku_mailstore::conformance_suite!(Volatile(|| Arc::new(Memory::new()) as Arc<dyn Store>));
//! ```
//!
//! A backend that claims to be durable must be opened again: [`InDirectory`] does so for a store in a directory,
//! and any other one implements [`Subject`] and [`Place`]. [`Volatile`] is for backends that are not durable.
//!
//! [`Suite::run`] runs all cases and reports each broken rule with the case, the operation, what was expected and
//! what was found. One case that fails does not hide the others. Errors are compared by kind, never by text.

mod accounts;
mod appends;
mod bodies;
mod changes;
mod copies;
mod flags;
mod history;
mod mailboxes;
mod place;
mod properties;
mod queue;
mod quota;
mod report;
mod requirements;
mod restart;
mod rows;
mod test;
mod transactions;
mod watchers;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bytes::Bytes;

use crate::contract::{R114, RULES};
use crate::{Staged, Store, block_on};
use test::{Case, Test};

pub use place::{InDirectory, Place, Subject, Volatile};
pub use report::{Failure, Report, Skipped};

/// Calls a macro with the names of all cases behind what it is given.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_cases {
    ($callback:path; $($given:tt)*) => {
        $callback! { $($given)*;
            a_failed_transaction_leaves_nothing operations_see_those_before_them a_commit_says_what_it_did
            mod_sequences_rise what_is_committed_is_read a_failure_leaves_its_neighbours_whole
            racing_transactions_are_serial a_dropped_commit_is_whole_or_nothing what_is_unknown_is_said
            the_ends_of_every_range_are_answered
            a_restart_keeps_everything a_kill_keeps_everything a_restart_uses_nothing_again
            a_uid_validity_can_be_required no_change_can_be_required emptiness_can_be_required
            accounts_have_names_of_their_own a_new_account_has_an_inbox accounts_are_listed_in_pages
            accounts_have_properties a_removed_account_is_gone a_removed_account_takes_its_queue_along
            an_account_made_again_is_new the_system_account_owns_queue_entries accounts_are_apart
            a_created_mailbox_is_empty mailbox_numbers_are_never_used_again mailbox_names_are_unique
            mailbox_names_have_a_form a_rename_changes_the_name_alone a_rename_takes_along_what_lies_below
            a_rename_writes_over_nothing a_deleted_mailbox_is_gone uid_validity_rises
            a_restored_uid_validity_is_kept mailboxes_are_sorted_by_name a_mailbox_is_found_by_its_name mailboxes_since_a_state
            subscriptions_are_kept a_special_use_is_kept mailboxes_have_properties counters_agree_with_rows
            highest_is_the_last_change
            an_append_keeps_what_it_brings saved_is_when_it_came uids_rise uids_are_never_used_again
            uids_become_visible_in_order a_restored_uid_is_kept a_restored_uid_below_uidnext_is_refused
            a_restored_identity_is_kept identities_are_unique uids_end_with_a_limit
            flags_are_set_added_and_removed flags_that_stay_change_nothing unchanged_since_spares_the_changed
            missing_uids_are_passed_over
            a_copy_is_the_same_message a_move_leaves_nothing_behind other_accounts_are_reached_as_claimed
            an_expunge_removes_what_it_names
            an_origin_never_doubles an_origin_outlives_its_message an_origin_belongs_to_one_mailbox
            an_origin_has_64_octets a_full_account_repeats_an_origin
            rows_are_found_by_uid rows_are_found_behind_a_uid the_newest_rows_come_first rows_are_found_by_origin
            pages_have_a_limit more_is_said_when_there_is_more summaries_come_when_asked_for
            answers_name_their_state visitors_see_what_pages_show a_visitor_ends_its_visit a_visitor_reads_bodies
            changes_lead_from_state_to_state changes_have_a_limit what_vanished_did_so_by_the_state_named
            changes_lead_on what_is_forgotten_is_too_old nothing_new_is_empty
            octets_are_limited messages_are_limited a_quota_holds_against_a_race
            what_is_deleted_makes_room_at_once a_full_account_can_move a_quota_below_what_is_held
            octets_are_exact ranges_are_exact a_body_comes_in_any_pieces a_staged_body_serves_many
            what_is_dropped_takes_nothing_away a_body_lives_as_long_as_a_row a_body_outlives_its_last_row
            a_body_is_freed_at_last bodies_are_not_mixed a_stage_may_outlive_its_store
            an_entry_keeps_what_it_brings the_queue_is_listed_in_pages nothing_is_claimed_before_it_is_due
            the_oldest_is_claimed_first claims_have_a_limit one_next_hop_leaves_room_for_others
            a_claim_is_exclusive a_claim_has_its_proof an_expired_claim_is_given_to_the_next
            an_expired_claim_cannot_settle a_settled_entry_is_gone an_entry_is_tried_again
            queue_numbers_are_never_used_again a_claim_is_shared_by_next_hops
            many_entries_for_one_next_hop_hide_no_other claims_are_given_back a_wrong_clock_hides_no_entry
            an_entry_is_claimed_by_its_number a_parked_entry_waits_for_ever the_queue_is_counted
            a_watcher_is_woken what_came_before_wakes_at_once every_watcher_is_woken a_new_entry_wakes_the_queue
            what_comes_from_another_account_wakes a_watcher_comes_to_rest a_dropped_wait_loses_nothing
            a_removal_wakes
            it_behaves_as_memory_does
        }
    };
}

/// Makes a test of each case. The expression makes a [`Subject`].
#[macro_export]
macro_rules! conformance_suite {
    (@tests $subject:expr; $($case:ident)*) => {
        $(#[test]
        fn $case() {
            let suite = $crate::conformance::Suite::new();
            let report = suite.run_case(&$subject, stringify!($case));
            assert!(report.is_clean(), "{report}");
        })*
    };
    ($subject:expr) => {
        $crate::__conformance_cases! { $crate::conformance_suite; @tests $subject }
    };
}

macro_rules! list {
    (; $($case:ident)*) => {
        use {
            accounts::*, appends::*, bodies::*, changes::*, copies::*, flags::*, history::*, mailboxes::*,
            properties::*, queue::*, quota::*, requirements::*, restart::*, rows::*, transactions::*, watchers::*,
        };
        const CASES: &[(&str, fn(&Test) -> Case)] = &[$((stringify!($case), $case)),*];
    };
}

__conformance_cases! { list; }

/// The suite.
#[derive(Debug, Clone)]
pub struct Suite {
    patience: Duration,
}

impl Default for Suite {
    fn default() -> Self {
        Self::new()
    }
}

impl Suite {
    /// Creates the suite, with a patience of ten seconds.
    #[must_use]
    pub fn new() -> Self {
        Self {
            patience: Duration::from_secs(10),
        }
    }

    /// Sets how long the suite waits for an answer or a wake-up before it counts as missing.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Returns the names of all cases.
    pub fn cases() -> impl Iterator<Item = &'static str> {
        CASES.iter().map(|(name, _)| *name)
    }

    /// Runs all cases, each with a store of its own.
    #[must_use]
    pub fn run(&self, subject: &dyn Subject) -> Report {
        let mut report = Report::default();
        for name in Self::cases() {
            report.join(self.run_case(subject, name));
        }
        report
    }

    /// Runs the case of that name; a name that no case has gives a report of 0 cases.
    #[must_use]
    pub fn run_case(&self, subject: &dyn Subject, name: &str) -> Report {
        let mut report = Report::default();
        for (name, case) in CASES.iter().filter(|(own, _)| *own == name) {
            let rule = RULES.iter().find(|rule| rule.cases.contains(name));
            let test = Test::new(
                name,
                rule.copied().unwrap_or(R114),
                self.patience,
                subject.place(),
            );
            let run = || test.open().and_then(|()| case(&test));
            if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
                test.panicked(&*panic);
            }
            report.join(test.report());
        }
        report
    }
}

/// Stages octets in pieces.
///
/// # Panics
/// When the store cannot.
#[allow(clippy::unwrap_used, reason = "a help for tests")]
pub fn stage(store: &dyn Store, octets: &[u8]) -> Staged {
    let mut stage = block_on(store.stage()).unwrap();
    for piece in octets.chunks(50_000) {
        block_on(stage.write(Bytes::copy_from_slice(piece))).unwrap();
    }
    block_on(stage.finish()).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_rule_has_its_cases_and_each_case_its_rules() {
        let named: BTreeSet<_> = RULES.iter().flat_map(|rule| rule.cases).copied().collect();
        let cases: BTreeSet<_> = Suite::cases().collect();
        assert_eq!(named, cases);
        assert_eq!(Suite::cases().count(), cases.len());
    }
}
