//! Backends that are wrong on purpose: the suite must find each of them.
//!
//! [`store::Faulty`] is a store around `Memory` with faults that are switched on one by one; the list of them,
//! each with the rule that it breaks, is in `fault.rs`.

mod accounts;
mod answered;
mod asked;
mod bodies;
mod fault;
mod place;
mod relay;
mod rows;
mod store;
mod watching;
mod writes;

use hikyaku_mailstore::conformance::{InDirectory, Report, Skipped, Suite, Volatile};
use hikyaku_mailstore::contract::{RULES, Rule};
use hikyaku_mailstore::{Disk, Memory, Store};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fault::{FAULTS, Fault};
use place::With;

/// How long an answer of a wrong backend is waited for.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How long all cases may take with a wrong backend, on a machine that does other things, too.
const BOUND: Duration = Duration::from_secs(60);

/// What the cases of a rule find.
fn try_rule(subject: &With<'_>, rule: Rule) -> Vec<Report> {
    let suite = Suite::new().patience(PATIENCE);
    let cases = rule.cases.iter();
    cases.map(|case| suite.run_case(subject, case)).collect()
}

/// Every `step`th fault from `first` on is found by the cases of the rule that it breaks.
fn are_found(first: usize, step: usize) {
    let mut missed = Vec::new();
    for (fault, what, rule) in FAULTS.iter().skip(first).step_by(step) {
        let reports = try_rule(&With(&[*fault]), *rule);
        if !reports.iter().any(|report| report.breaks(*rule)) {
            missed.push(format!("{fault:?} ({what}): {rule}\n{reports:?}"));
        }
    }
    assert!(missed.is_empty(), "not found:\n{}", missed.join("\n"));
}

/// Every `step`th fault from `first` on, before those cases, the ones of the rule that it breaks among them: each
/// case ends, and the fault is found.
fn end(first: usize, step: usize, of_cases: usize) {
    let suite = Suite::new().patience(PATIENCE);
    let mut missed = Vec::new();
    let numbered = FAULTS.iter().enumerate().skip(first).step_by(step);
    for (number, (fault, _, rule)) in numbered {
        let began = Instant::now();
        let subject = With(&[*fault]);
        let (mut broken, mut count) = (false, 0);
        for (n, case) in Suite::cases().enumerate() {
            if (n + number / step).is_multiple_of(of_cases) || rule.cases.contains(&case) {
                let report = suite.run_case(&subject, case);
                broken |= report.breaks(*rule);
                count += report.cases;
            }
        }
        let took = began.elapsed();
        if !broken {
            missed.push((fault, rule));
        }
        assert!(count >= Suite::cases().count() / of_cases, "{fault:?}");
        assert!(took < BOUND, "{fault:?} took {took:?}");
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}

macro_rules! parts {
    ($($number:literal $found:ident $ends:ident)+) => {
        /// How many tests the faults are divided among.
        const PARTS: usize = [$($number),+].len();
        /// Each fault meets one of so many cases; which, goes round.
        const FEW: usize = 8;

        $(#[test]
        fn $found() {
            are_found($number, PARTS);
        }

        #[test]
        fn $ends() {
            end($number, PARTS, FEW);
        })+
    };
}

parts! {
    0 found_0 ends_0
    1 found_1 ends_1
    2 found_2 ends_2
    3 found_3 ends_3
    4 found_4 ends_4
    5 found_5 ends_5
    6 found_6 ends_6
    7 found_7 ends_7
}

/// What takes minutes.
#[test]
#[ignore = "takes minutes"]
fn each_fault_ends_before_every_case() {
    end(0, 1, 1);
}

#[test]
fn a_backend_without_a_fault_breaks_nothing() {
    let report = Suite::new().run(&With(&[]));
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.skipped, [] as [Skipped; 0]);
}

#[test]
fn each_fault_is_listed_once_and_breaks_a_rule() {
    assert!(FAULTS.len() >= 200, "{}", FAULTS.len());
    for (n, (fault, what, rule)) in FAULTS.iter().enumerate() {
        assert!(FAULTS.iter().skip(n + 1).all(|(other, ..)| other != fault));
        assert!(RULES.contains(rule), "{what}");
    }
}

#[test]
fn each_rule_is_broken_by_a_fault() {
    let broken = |rule: &&Rule| FAULTS.iter().any(|(_, _, broken)| broken == *rule);
    let whole: Vec<_> = RULES.iter().filter(|rule| !broken(rule)).collect();
    assert!(whole.is_empty(), "{whole:?}");
}

/// The rules and cases that should have been tried and were not.
fn untried(report: &Report) -> Vec<(Rule, &'static str)> {
    let all = RULES
        .iter()
        .flat_map(|rule| rule.cases.iter().map(|case| (*rule, *case)));
    let skipped = |case| report.skipped.iter().any(|skipped| skipped.case == case);
    let untried = all.filter(|pair| !report.tried.contains(pair) && !skipped(pair.1));
    untried.collect()
}

fn memory() -> Arc<dyn Store> {
    Arc::new(Memory::new())
}

fn disk(directory: &Path) -> hikyaku_mailstore::Result<Arc<dyn Store>> {
    Ok(Arc::new(Disk::open(directory)?))
}

/// The names of the cases that a report says were left out.
fn skipped(report: &Report) -> Vec<&'static str> {
    let mut names: Vec<_> = report.skipped.iter().map(|one| one.case).collect();
    names.dedup();
    names
}

#[test]
fn each_rule_is_tried_by_each_case_that_it_names() {
    let report = Suite::new().run(&Volatile(memory));
    assert!(report.is_clean(), "{report}");
    let across = |(rule, _): &(Rule, &str)| rule.id != "R417";
    let untried_rules: Vec<_> = untried(&report).into_iter().filter(across).collect();
    assert_eq!(untried_rules, []);
    let left_out = [
        "a_restart_keeps_everything",
        "a_kill_keeps_everything",
        "a_restart_uses_nothing_again",
        "a_body_lives_as_long_as_a_row",
        "a_body_is_freed_at_last",
    ];
    assert_eq!(skipped(&report), left_out);

    // What only a durable store is asked.
    let suite = Suite::new();
    let mut tried = Vec::new();
    for case in left_out {
        let report = suite.run_case(&InDirectory(disk), case);
        assert!(report.is_clean(), "{report}");
        tried.extend(report.tried);
    }
    for rule in RULES
        .iter()
        .filter(|rule| ["R111", "R112", "R113"].contains(&rule.id))
    {
        for case in rule.cases {
            assert!(tried.contains(&(*rule, *case)), "{rule} {case}");
        }
    }
}

#[test]
fn each_rule_is_tried_on_the_backend_that_can_be_asked_all() {
    let report = Suite::new().run(&With(&[]));
    let denied = |(rule, _): &(Rule, &str)| rule.id == "R417";
    let (denied, others): (Vec<_>, Vec<_>) = untried(&report).into_iter().partition(denied);
    assert_eq!(others, []);
    // That one is for stores that do not reach other accounts.
    assert_eq!(denied.len(), 1);
    let denying = Suite::new().run_case(&With(&[Fault::AcrossDenied]), denied[0].1);
    assert!(denying.tried.contains(&denied[0]));
}

/// What the first failure says that a fault comes to.
fn said(fault: Fault) -> String {
    let known = FAULTS.iter().find(|(known, ..)| *known == fault);
    let rule = known.map(|(_, _, rule)| *rule).unwrap();
    let reports = try_rule(&With(&[fault]), rule);
    let failures = reports.iter().flat_map(|report| &report.failures);
    let first = failures
        .filter(|failure| failure.rule == rule)
        .map(ToString::to_string)
        .next();
    first.unwrap_or_default()
}

#[test]
fn a_failure_names_rule_case_operation_expected_and_found() {
    for (fault, expected) in SAID {
        let expected = expected.trim_start();
        assert_eq!(said(*fault), expected, "{fault:?}");
    }
}

/// Faults, and what is said of them.
const SAID: &[(Fault, &str)] = &[
    (
        Fault::SubscriptionsLost,
        r#"
R313: Subscriptions are sorted names, each once, until they are forgotten; a name need not exist.
  case      subscriptions_are_kept
  operation mailboxes of 1 since None
  expected  subscriptions "INBOX a/x b ä"
  found     """#,
    ),
    (
        Fault::SinceIgnored,
        r#"
R312: `mailboxes(since)` names exactly the mailboxes that changed later: created, renamed, a property set, a message come, changed or gone.
  case      mailboxes_since_a_state
  operation mailboxes of 1 since Some(ModSeq(4))
  expected  changed mailboxes ["a"]
  found     ["INBOX", "a", "b"]"#,
    ),
    (
        Fault::AcrossClaimedFalsely,
        r"
R416: A store that claims `across_accounts` copies and moves into mailboxes of other accounts in one commit, charges the other account, and names its new state in `Committed::also`.
  case      other_accounts_are_reached_as_claimed
  operation commit for account 1: copy [(2, 2)] of mailbox 1/1 to mailbox 2/1
  expected  success
  found     the error NoSuchMailbox(Nothing)",
    ),
    (
        Fault::LimitOfNonePanics,
        r"
R114: Every call answers: none panics, and none waits for ever, whatever it was asked.
  case      the_ends_of_every_range_are_answered
  operation messages of mailbox 1/1: Uids(UidSet([])), limit 0
  expected  an answer
  found     a panic: a page of no rows",
    ),
    (
        Fault::ReversedRangeHangs,
        r"
R114: Every call answers: none panics, and none waits for ever, whatever it was asked.
  case      the_ends_of_every_range_are_answered
  operation read octets 2..1 of 3
  expected  an answer
  found     none within 1.5s",
    ),
];

#[test]
fn nine_faults_at_once_are_all_reported() {
    let faults = [
        Fault::IgnoresEmpty,
        Fault::SubscriptionsLost,
        Fault::SpecialUseLost,
        Fault::BelowUidNextAccepted,
        Fault::MoreNever,
        Fault::NewestFromWrongEnd,
        Fault::SummaryNever,
        Fault::MessagesUnlimited,
        Fault::ClaimsNewest,
    ];
    let report = Suite::new().patience(PATIENCE).run(&With(&faults));
    for (fault, _, rule) in FAULTS.iter().filter(|(fault, ..)| faults.contains(fault)) {
        assert!(report.breaks(*rule), "{fault:?}: {report}");
    }
}
