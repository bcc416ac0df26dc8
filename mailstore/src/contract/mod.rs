//! The contract of a store: every rule that a [`Store`](crate::Store) keeps, whoever wrote it.
//!
//! Each rule has an id that stays, a sentence or two, and the cases of `conformance` (a feature) that try it;
//! a test sees to it that this list and the cases agree. An id is never used for another rule.
//!
//! | Rules | about |
//! |---|---|
//! | `R1xx` | transactions: all or nothing, order, durability, requirements |
//! | `R2xx` | accounts |
//! | `R3xx` | mailboxes |
//! | `R4xx` | messages that come, change and go |
//! | `R5xx` | rows that are read |
//! | `R6xx` | changes |
//! | `R7xx` | quota |
//! | `R8xx` | bodies |
//! | `R9xx` | the relay queue |
//! | `R10xx` | watchers |
//! | `R11xx` | everything at once |
//!
//! The rules hold for [`Backend`](crate::Backend) and [`Engine`](crate::Engine) alike, since each becomes a
//! `Store`. An engine keeps R106 by having written, when `commit` returns, what its readers then see, R107 by
//! answering each transaction of a batch on its own, and R111 by one flush before `commit` returns.

pub(crate) mod about;
pub(crate) mod claim;
pub(crate) mod clock;
pub(crate) mod deliver;
pub(crate) mod error;
pub(crate) mod flags;
pub(crate) mod health;
pub(crate) mod id;
pub(crate) mod pieces;
pub(crate) mod row;
pub(crate) mod staged;
pub(crate) mod store;
pub(crate) mod structure;
pub(crate) mod transaction;
pub(crate) mod uid_set;
pub(crate) mod visit;

use std::fmt;

/// One rule of the contract.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Rule {
    /// Its name, such as `R101`.
    pub id: &'static str,
    text: &'static str,
    /// The cases of the conformance suite that try it.
    pub cases: &'static [&'static str],
}

impl Rule {
    /// Returns the text of the rule.
    #[must_use]
    pub fn text(&self) -> &'static str {
        self.text.trim_start()
    }

    /// Returns the rule of that id.
    #[must_use]
    pub fn by_id(id: &str) -> Option<Self> {
        RULES.iter().find(|rule| rule.id == id).copied()
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Rule {}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, self.text())
    }
}

macro_rules! rules {
    ($($(#[doc = $text:literal])+ $id:ident: $($case:ident),+;)+) => {
        $($(#[doc = $text])+
        #[doc = concat!("\n\nCases:", $(" `", stringify!($case), "`"),+)]
        pub const $id: Rule = Rule {
            id: stringify!($id),
            text: concat!($($text),+),
            cases: &[$(stringify!($case)),+],
        };)+

        /// All rules, in the order of their ids.
        pub const RULES: &[Rule] = &[$($id),+];
    };
}

rules! {
    /// A transaction that fails changes nothing: no row, flag, counter, name, subscription, property or queue
    /// entry of any of its operations.
    R101: a_failed_transaction_leaves_nothing;
    /// A transaction that fails uses up no UID, and leaves the mod-sequence of its account as it was.
    R102: a_failed_transaction_leaves_nothing;
    /// The operations of a transaction are done in their order, and each sees what those before it did.
    R103: operations_see_those_before_them;
    /// A commit answers with one outcome for each operation, in their order, and with the account's state after it.
    R104: a_commit_says_what_it_did;
    /// A commit that changes something raises the account's mod-sequence, and what it changed carries the new one.
    /// It never falls.
    R105: mod_sequences_rise;
    /// What was committed is in every answer from then on, whoever asks.
    R106: what_is_committed_is_read;
    /// Transactions that are committed at the same time are apart: one that fails leaves the others whole.
    R107: a_failure_leaves_its_neighbours_whole;
    /// Racing transactions come to the same as one after the other.
    R108: racing_transactions_are_serial;
    /// A commit whose future is dropped happens wholly or not at all, and the store goes on.
    R109: a_dropped_commit_is_whole_or_nothing;
    /// What names an account that does not exist is refused with `NoSuchAccount`.
    R110: what_is_unknown_is_said;
    /// A store that claims `durable` holds all that was committed after it was closed and opened again: accounts,
    /// mailboxes, subscriptions, properties, quota, rows, flags, summaries, bodies, origins, removals, the queue.
    R111: a_restart_keeps_everything;
    /// A store that claims `durable` holds all that was committed after its process was killed.
    R112: a_kill_keeps_everything;
    /// What was used up before a restart is not used again after it: UIDs, UIDVALIDITYs, mod-sequences, EMAILIDs, the
    /// numbers of accounts, mailboxes, bodies and queue entries.
    R113: a_restart_uses_nothing_again;
    /// Every call answers: none panics, and none waits for ever, whatever it was asked.
    R114: the_ends_of_every_range_are_answered;
    /// `Requirement::UidValidity` lets a transaction pass while the mailbox has that UIDVALIDITY; otherwise it fails with
    /// `Conflict` and nothing is done.
    R121: a_uid_validity_can_be_required;
    /// `Requirement::Unchanged` lets a transaction pass while the account is at that mod-sequence; otherwise it fails with
    /// `Conflict` and nothing is done.
    R122: no_change_can_be_required, racing_transactions_are_serial;
    /// `Requirement::Empty` lets a transaction pass while the mailbox holds no message; otherwise it fails with `Conflict`
    /// and nothing is done.
    R123: emptiness_can_be_required;
    /// A requirement on a mailbox that does not exist fails with `NoSuchMailbox`.
    R124: a_uid_validity_can_be_required, emptiness_can_be_required;

    /// The name of an account is unique in the store and not empty: another one is refused with `AlreadyExists`.
    R201: accounts_have_names_of_their_own;
    /// A new account has a mailbox `INBOX`, which is empty, and nothing else.
    R202: a_new_account_has_an_inbox;
    /// An account is found by its name and by its number, and there is none for a name or number that nobody has.
    R203: accounts_have_names_of_their_own;
    /// Accounts are listed by name in ascending order, those behind `after`, at most `limit`.
    R204: accounts_are_listed_in_pages;
    /// A property of an account is kept as it was set, written over by the next value, and removed by none.
    R205: accounts_have_properties;
    /// A removed account is gone with its name, mailboxes, rows, properties and subscriptions.
    R206: a_removed_account_is_gone;
    /// A removed account takes its queue entries along.
    R207: a_removed_account_takes_its_queue_along;
    /// Removing an account leaves all others as they are.
    R208: a_removed_account_is_gone;
    /// An account that is made again under the name of a removed one has another number and nothing of the old one, and
    /// its UIDVALIDITYs are larger than all the old ones.
    R209: an_account_made_again_is_new;
    /// The account `SYSTEM` is there from the beginning, owns queue entries, is not listed, and cannot be removed.
    R210: the_system_account_owns_queue_entries;
    /// A transaction changes mailboxes of its own account alone; a foreign one is refused with `NoSuchMailbox`. What
    /// happens in one account leaves the rows and the mod-sequence of others as they are.
    R211: accounts_are_apart;

    /// A created mailbox has the name and special use asked for, no message, UIDNEXT 1 and no properties.
    R301: a_created_mailbox_is_empty;
    /// The number of a mailbox is never used again in its account.
    R302: mailbox_numbers_are_never_used_again;
    /// A mailbox name is unique in its account, `INBOX` in any case being one name: `AlreadyExists`.
    R303: mailbox_names_are_unique;
    /// A mailbox name has 1 to 1000 octets, at most 64 levels, none of them empty, and no control characters:
    /// `InvalidName`. All else is kept as it is.
    R304: mailbox_names_have_a_form;
    /// RENAME changes the name alone: number, UIDVALIDITY, UIDNEXT, rows, special use and properties stay.
    R305: a_rename_changes_the_name_alone;
    /// RENAME takes along what lies below, and nothing else.
    R306: a_rename_takes_along_what_lies_below;
    /// RENAME writes over nothing (`AlreadyExists`), also further down, leads to no place below itself, and neither to
    /// nor from `INBOX` (`InvalidName`).
    R307: a_rename_writes_over_nothing;
    /// A deleted mailbox is gone with its messages; what lies below it stays. `INBOX` cannot be deleted.
    R308: a_deleted_mailbox_is_gone;
    /// The UIDVALIDITY of a name that is made again is larger than the one before.
    R309: uid_validity_rises;
    /// A restored mailbox has the UIDVALIDITY it brings; those made later have larger ones.
    R310: a_restored_uid_validity_is_kept;
    /// Mailboxes are sorted by name.
    R311: mailboxes_are_sorted_by_name;
    /// `mailboxes(since)` names exactly the mailboxes that changed later: created, renamed, a property set, a message
    /// come, changed or gone.
    R312: mailboxes_since_a_state;
    /// Subscriptions are sorted names, each once, until they are forgotten; a name need not exist.
    R313: subscriptions_are_kept;
    /// A special use is kept until its mailbox is deleted.
    R314: a_special_use_is_kept;
    /// A property of a mailbox is kept as it was set, removed by none and with its mailbox, and setting one is a change of
    /// the mailbox.
    R315: mailboxes_have_properties;
    /// The counters of a mailbox (messages, unseen, deleted, octets, UIDNEXT) agree with its rows.
    R316: counters_agree_with_rows;
    /// `Mailbox::highest` is the mod-sequence of its last change: of the mailbox itself, or of a message that came,
    /// changed or went (HIGHESTMODSEQ rises by an expunge, too).
    R317: highest_is_the_last_change;
    /// What names a mailbox that does not exist, or no longer, is refused with `NoSuchMailbox`.
    R318: what_is_unknown_is_said;
    /// `mailbox` answers with what `mailboxes` has of exactly that name, and with none where that has none.
    R319: a_mailbox_is_found_by_its_name;
    /// `find` answers with what `account` and `mailbox` say, and with none where one of them has none.
    R320: a_mailbox_is_found_by_its_name;

    /// A message has the flags, keywords and INTERNALDATE with its zone that its append brought, and the size of its body.
    R401: an_append_keeps_what_it_brings;
    /// `Row::saved` is when a message came into its mailbox, by append or copy (SAVEDATE).
    R402: saved_is_when_it_came;
    /// A message gets UIDNEXT of its mailbox, which then rises; the outcome names UID, UIDVALIDITY and body.
    R403: uids_rise;
    /// A UID is never used again under one UIDVALIDITY, also after an expunge or a move.
    R404: uids_are_never_used_again;
    /// UIDs and mod-sequences become visible in ascending order: no row appears behind a larger one that was seen.
    R405: uids_become_visible_in_order;
    /// A restored message has the UID it brings, and UIDNEXT lies behind it.
    R406: a_restored_uid_is_kept;
    /// A restored UID below UIDNEXT is refused with `Conflict`.
    R407: a_restored_uid_below_uidnext_is_refused;
    /// A restored message has the EMAILID and THREADID it brings, and those given later are others.
    R408: a_restored_identity_is_kept;
    /// Each new message has an EMAILID that no other message of the account has.
    R409: identities_are_unique;
    /// Flags are set, added and removed, system flags and keywords alike, on the messages named and no others.
    R410: flags_are_set_added_and_removed;
    /// Flags that are as they should be change nothing: neither the message's mod-sequence nor the mailbox's. The outcome
    /// names the message as changed nevertheless.
    R411: flags_that_stay_change_nothing;
    /// `unchanged_since` spares the messages that changed later, and names them.
    R412: unchanged_since_spares_the_changed;
    /// UIDs that do not exist are passed over by flags, copy, move and expunge.
    R413: missing_uids_are_passed_over;
    /// A copy has flags, INTERNALDATE, EMAILID, THREADID and body of the message; the outcome pairs old and new UIDs
    /// ascending by the old, with the UIDVALIDITY of the new. The original stays.
    R414: a_copy_is_the_same_message;
    /// A move is a copy whose original is gone, in the same commit.
    R415: a_move_leaves_nothing_behind;
    /// A store that claims `across_accounts` copies and moves into mailboxes of other accounts in one commit, charges
    /// the other account, and names its new state in `Committed::also`.
    R416: other_accounts_are_reached_as_claimed;
    /// A store that does not claim `across_accounts` refuses to copy or move into another account, and changes nothing.
    R417: other_accounts_are_reached_as_claimed;
    /// An expunge removes the messages named, those with `\Deleted` alone if so asked, and the outcome names them.
    R418: an_expunge_removes_what_it_names;
    /// An append with an origin that is known adds nothing and answers `Existed` with the UID it got then.
    R419: an_origin_never_doubles;
    /// An origin is known for as long as removals are remembered after its message is gone.
    R420: an_origin_outlives_its_message;
    /// An origin belongs to one mailbox: another one does not know it.
    R421: an_origin_belongs_to_one_mailbox;
    /// An origin has 64 octets at most: `Limit`. Any octets are allowed.
    R422: an_origin_has_64_octets;
    /// An append that existed needs no room.
    R423: a_full_account_repeats_an_origin;
    /// The last UID is 4 294 967 294; after it an append is refused with `Limit`.
    R424: uids_end_with_a_limit;

    /// `Which::Uids` gives the rows of those UIDs, ascending.
    R501: rows_are_found_by_uid;
    /// `Which::After` gives the rows behind a UID, ascending; all, for none.
    R502: rows_are_found_behind_a_uid;
    /// `Which::NewestBefore` gives the rows below a UID, descending from the largest; all, for none.
    R503: the_newest_rows_come_first;
    /// `Which::Origin` gives the row that was appended with that origin, and none after it is gone.
    R504: rows_are_found_by_origin;
    /// A page has at most `limit` rows.
    R505: pages_have_a_limit;
    /// A page says `more` exactly when rows are left behind its last.
    R506: more_is_said_when_there_is_more;
    /// With `Want::SUMMARY` a row has the summary that came with it, in pages, changes and visits, also when its body
    /// was queued first.
    R507: summaries_come_when_asked_for;
    /// Without `Want::SUMMARY` a row has none.
    R508: summaries_come_when_asked_for;
    /// An answer names the state it is true at: the account's mod-sequence, never older than one named before.
    R509: answers_name_their_state;
    /// A visitor sees the rows that pages show, each once, in their order.
    R510: visitors_see_what_pages_show;
    /// A visit ends where its visitor answers `false`, and fails where the visitor fails.
    R511: a_visitor_ends_its_visit;
    /// A visitor can read the bodies of the rows it sees.
    R512: a_visitor_reads_bodies;

    /// `changes(since)` applied to the rows at `since` gives the rows at the state it names, in any number of pages.
    R601: changes_lead_from_state_to_state;
    /// Changes have at most `limit` rows, and the rest of the commit that the last of them belongs to.
    R602: changes_have_a_limit;
    /// Vanished UIDs are those that went after `since` and up to the state named, and no others.
    R603: what_vanished_did_so_by_the_state_named;
    /// Each page of changes leads on, and the last one leads to the account's state.
    R604: changes_lead_on;
    /// Changes from before the horizon of a mailbox, the beginning of it included, are `TooOld`, with the horizon; those
    /// from the horizon on are known.
    R605: what_is_forgotten_is_too_old;
    /// Where nothing came since, changes are empty.
    R606: nothing_new_is_empty;
    /// Changes are sorted by UID, and no UID is changed and vanished at once.
    R607: changes_lead_from_state_to_state;

    /// A message that would bring an account above its octets is refused with `OverQuota`; one that fills it is not.
    R701: octets_are_limited;
    /// A message that would bring an account above its number of messages is refused with `OverQuota`.
    R702: messages_are_limited;
    /// Racing appends never exceed a quota, and fill it.
    R703: a_quota_holds_against_a_race;
    /// An expunge, and a deleted mailbox, make room at once.
    R704: what_is_deleted_makes_room_at_once;
    /// A move within an account needs no room, a copy does.
    R705: a_full_account_can_move;
    /// A quota below what is held takes nothing away, and a quota of none limits nothing.
    R706: a_quota_below_what_is_held;
    /// `Quota` names the limits as set, and what the account's mailboxes hold together.
    R707: counters_agree_with_rows, octets_are_limited;

    /// The octets read are the octets staged, whatever their number.
    R801: octets_are_exact;
    /// A range of a body gives those octets, cut short at the end of the body, and nothing behind it.
    R802: ranges_are_exact;
    /// An answer may be shorter than asked for, but it is empty at the end of the body alone.
    R803: ranges_are_exact;
    /// A body is what was written to its stage, in whatever pieces, empty ones too.
    R804: a_body_comes_in_any_pieces;
    /// A staged body can be committed any number of times, in any mailbox and the queue, also after a commit that failed.
    R805: a_staged_body_serves_many;
    /// A stage or staged body that is dropped leaves nothing behind, and takes nothing that was committed away.
    R806: what_is_dropped_takes_nothing_away;
    /// A body can be read for as long as a row or a queue entry names it.
    R807: a_body_lives_as_long_as_a_row;
    /// A body can be read for a grace time after its last row is gone.
    R808: a_body_outlives_its_last_row;
    /// After its last row and its grace time a body is freed.
    R809: a_body_is_freed_at_last;
    /// Bodies that are staged at the same time are not mixed.
    R810: bodies_are_not_mixed;
    /// A stage that outlives its store answers, if only with an error.
    R811: a_stage_may_outlive_its_store;

    /// A queue entry keeps account, next hop, envelope, body and due time (in milliseconds) as they were given.
    R901: an_entry_keeps_what_it_brings;
    /// The queue is listed by number, entries behind `after`, at most `limit`, claimed or not.
    R902: the_queue_is_listed_in_pages;
    /// Nothing is claimed before it is due.
    R903: nothing_is_claimed_before_it_is_due;
    /// What has been due for longest is claimed first.
    R904: the_oldest_is_claimed_first;
    /// A claim takes at most `limit` entries.
    R905: claims_have_a_limit;
    /// One next hop does not take a whole claim while entries for others are due.
    R906: one_next_hop_leaves_room_for_others;
    /// An entry is claimed by one at a time.
    R907: a_claim_is_exclusive;
    /// A claimed entry has a token that no other claim has, and says until when the claim holds.
    R908: a_claim_has_its_proof;
    /// A claim ends after its time; the entry is then claimed anew.
    R909: an_expired_claim_is_given_to_the_next;
    /// Settling with any token but that of the present claim fails with `Conflict`, and so does the whole transaction.
    R910: an_expired_claim_cannot_settle;
    /// A settled entry is gone.
    R911: a_settled_entry_is_gone;
    /// An entry that is to be tried again has the new time and envelope, is free for anybody from then on, and not before.
    R912: an_entry_is_tried_again;
    /// Any account's transaction may settle an entry, `SYSTEM`'s among them.
    R913: a_settled_entry_is_gone;
    /// The number of a queue entry is never used again.
    R914: queue_numbers_are_never_used_again;
    /// A claim takes no more entries for one next hop than its share of that hop, also where it is 0; entries of one next
    /// hop, however many, hide none of another.
    R915: a_claim_is_shared_by_next_hops, many_entries_for_one_next_hop_hide_no_other;
    /// `release_claims` makes what its owner holds due at the time named, answers how many there were, and ends their
    /// claims: their tokens settle nothing any more.
    R916: claims_are_given_back;
    /// `release_claims` leaves what other owners hold as it is.
    R917: claims_are_given_back;
    /// `clamp_due` brings what is due, or held, later than the time named forward to it, answers how many there were, and
    /// leaves all else as it is; a claim that it shortens still settles.
    R918: a_wrong_clock_hides_no_entry;
    /// A claim of some entries alone takes those that exist and that nobody holds, due or not, whatever their next hops.
    R919: an_entry_is_claimed_by_its_number;
    /// An entry that is due never is parked: no claim but one by its number takes it, and `clamp_due` leaves it as it is.
    R920: a_parked_entry_waits_for_ever;
    /// `queue_length` counts what is due, waits, is claimed and is parked, and names the oldest that is not parked.
    R921: the_queue_is_counted;

    /// Who waits for an account is woken by its commits, after what was committed can be read.
    R1001: a_watcher_is_woken;
    /// What was committed after `watch` and before `changed` wakes at once.
    R1002: what_came_before_wakes_at_once;
    /// Every watcher is woken, however many there are.
    R1003: every_watcher_is_woken;
    /// Who waits for the queue is woken by a new entry.
    R1004: a_new_entry_wakes_the_queue;
    /// Who waits for an account is woken by what comes from another account.
    R1005: what_comes_from_another_account_wakes;
    /// A watcher comes to rest when nothing happens.
    R1006: a_watcher_comes_to_rest;
    /// A wait that is dropped loses nothing: the next one is woken.
    R1007: a_dropped_wait_loses_nothing;
    /// Who waits for an account is woken by its removal.
    R1008: a_removal_wakes;

    /// The same history of operations comes to the same outcomes and the same rows as in `Memory`, the model.
    R1101: it_behaves_as_memory_does;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_ascend() {
        let numbers: Vec<u32> = RULES.iter().map(|r| r.id[1..].parse().unwrap()).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        assert!(RULES.iter().all(|rule| rule.text().ends_with('.')));
        assert_eq!(Rule::by_id("R101"), Some(R101));
    }
}
