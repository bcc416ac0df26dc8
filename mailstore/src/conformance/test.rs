//! What a case works with: a store, the rule that is tried, and the failures found.

use bytes::Bytes;
use std::any::Any;
use std::cell::RefCell;
use std::fmt::Debug;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ScopedJoinHandle, Thread};
use std::time::{Duration, Instant};

use super::place::Place;
use super::report::{Failure, Report, Skipped};
use crate::contract::{R111, R114, Rule};
use crate::{
    Account, AccountId, Append, BodyRef, Changes, Committed, Error, FlagChange, Flags, Mailbox,
    MailboxId, Mailboxes, ModSeq, Operation, Outcome, Page, QueueEntry, Result, Row, Staged, Store,
    Transaction, Uid, UidSet, Want, Which,
};

/// The case cannot continue: the reason is recorded.
#[derive(Debug)]
pub(super) struct Ended;

/// What a case and its steps give.
pub(super) type Case<T = ()> = std::result::Result<T, Ended>;

type Shared = Arc<dyn Store>;

thread_local! {
    /// What the present thread asked last.
    static OPERATION: RefCell<String> = const { RefCell::new(String::new()) };
}

/// How many failures of one rule are kept for each case.
const KEPT: usize = 2;
/// How many characters of a value are shown.
const SHOWN: usize = 400;

pub(super) struct Test {
    name: &'static str,
    patience: Duration,
    began: Instant,
    place: Mutex<Box<dyn Place>>,
    store: Mutex<Option<Shared>>,
    rule: Mutex<Rule>,
    report: Mutex<Report>,
}

/// Records a failure unless the answer is an error of that kind.
macro_rules! refused {
    ($test:expr, $answer:expr, $kind:pat) => {{
        let answer = $answer;
        $test.holds(
            concat!("the error ", stringify!($kind)),
            matches!(&answer, Err($kind)),
            &answer,
        )
    }};
}
pub(super) use refused;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn shown(value: &dyn Debug) -> String {
    let text = format!("{value:?}");
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Waits for a future on this thread until the time is over.
pub(super) fn within<T>(time: Duration, future: impl Future<Output = T>) -> Option<T> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let until = Instant::now() + time;
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return Some(value);
        }
        let left = until.checked_duration_since(Instant::now())?;
        thread::park_timeout(left);
    }
}

impl Test {
    pub(super) fn new(
        name: &'static str,
        rule: Rule,
        patience: Duration,
        place: Box<dyn Place>,
    ) -> Self {
        OPERATION.set(String::from("opening the store"));
        let report = Report {
            cases: 1,
            ..Report::default()
        };
        Self {
            name,
            patience,
            began: Instant::now(),
            place: Mutex::new(place),
            store: Mutex::new(None),
            rule: Mutex::new(rule),
            report: Mutex::new(report),
        }
    }

    pub(super) fn report(self) -> Report {
        self.report
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }

    // Checking.

    /// What is checked from here on tries this rule.
    pub(super) fn rule(&self, rule: Rule) {
        *lock(&self.rule) = rule;
    }

    fn record(&self, rule: Rule, expected: String, found: String) {
        let operation = OPERATION.with_borrow(Clone::clone);
        let mut report = lock(&self.report);
        let of_rule = report.failures.iter().filter(|f| f.rule == rule);
        if of_rule.count() < KEPT {
            let failure = Failure::new(rule, self.name, operation, expected, found);
            report.failures.push(failure);
        }
    }

    pub(super) fn panicked(&self, panic: &(dyn Any + Send)) {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        self.record(
            R114,
            "an answer".into(),
            format!("a panic: {}", text.unwrap_or("?")),
        );
    }

    /// Records a failure unless `holds`. Returns it.
    pub(super) fn holds(&self, expected: &str, holds: bool, found: &dyn Debug) -> bool {
        let rule = *lock(&self.rule);
        let pair = (rule, self.name);
        let mut report = lock(&self.report);
        if !report.tried.contains(&pair) {
            report.tried.push(pair);
        }
        drop(report);
        if !holds {
            self.record(rule, expected.into(), shown(found));
        }
        holds
    }

    /// Records a failure unless both are equal.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "what was found is often made for it"
    )]
    pub(super) fn same<T: PartialEq<E> + Debug, E: Debug>(
        &self,
        what: &str,
        found: T,
        expected: E,
    ) -> bool {
        let holds = found == expected;
        let expected = if holds {
            String::new()
        } else {
            format!("{what} {}", shown(&expected))
        };
        self.holds(&expected, holds, &found)
    }

    /// What is there, or a failure and the end of the case.
    pub(super) fn there<T>(&self, what: &str, value: Option<T>) -> Case<T> {
        self.holds(what, value.is_some(), &"nothing");
        value.ok_or(Ended)
    }

    /// Notes that something cannot be tried on this backend.
    pub(super) fn skip(&self, reason: &'static str) {
        let case = self.name;
        lock(&self.report).skipped.push(Skipped { case, reason });
    }

    // Asking.

    pub(super) fn store(&self) -> Shared {
        let store = lock(&self.store).clone();
        store.unwrap_or_else(|| panic!("the store could not be opened"))
    }

    /// Says in the words of the case what happens next.
    pub(super) fn during(&self, what: impl Into<String>) {
        OPERATION.set(what.into());
    }

    /// The answer, whatever it is; a failure and the end of the case when none comes.
    pub(super) fn wait<T>(
        &self,
        what: impl Into<String>,
        future: impl Future<Output = T>,
    ) -> Case<T> {
        self.during(what);
        let answer = within(self.patience, future);
        if answer.is_none() {
            self.record(
                R114,
                "an answer".into(),
                format!("none within {:?}", self.patience),
            );
        }
        answer.ok_or(Ended)
    }

    /// The answer; a failure and the end of the case when it is an error.
    pub(super) fn ask<T>(
        &self,
        what: impl Into<String>,
        future: impl Future<Output = Result<T>>,
    ) -> Case<T> {
        self.wait(what, future)?.map_err(|error| {
            let rule = *lock(&self.rule);
            self.record(rule, "success".into(), format!("the error {error:?}"));
            Ended
        })
    }

    /// Whether the case has not taken longer than anybody should wait.
    pub(super) fn time_is_left(&self) -> bool {
        self.began.elapsed() < self.patience
    }

    /// Waits for a wake-up; `false` when none comes.
    pub(super) fn woken(&self, future: impl Future<Output = ()>) -> bool {
        within(self.patience, future).is_some()
    }

    /// Runs `work` on several threads at a time, and returns the result of each.
    pub(super) fn race<T: Send>(
        &self,
        threads: usize,
        work: impl Fn(usize) -> Case<T> + Sync,
    ) -> Case<Vec<T>> {
        let work = &work;
        thread::scope(|scope| {
            let begun: Vec<_> = (0..threads).map(|n| scope.spawn(move || work(n))).collect();
            let ended: Vec<_> = begun.into_iter().map(ScopedJoinHandle::join).collect();
            let one = |one: thread::Result<Case<T>>| {
                one.unwrap_or_else(|panic| {
                    self.panicked(&*panic);
                    Err(Ended)
                })
            };
            ended.into_iter().map(one).collect()
        })
    }

    // Opening.

    pub(super) fn open(&self) -> Case {
        self.during("opening the store");
        match lock(&self.place).open() {
            Ok(store) => *lock(&self.store) = Some(store),
            Err(error) => {
                let rule = *lock(&self.rule);
                self.record(rule, "an open store".into(), format!("{error:?}"));
                return Err(Ended);
            }
        }
        Ok(())
    }

    /// Ends the case where the store does not claim to be durable.
    pub(super) fn durable(&self) -> Case {
        if self.store().capabilities().durable {
            return Ok(());
        }
        self.skip("the store does not claim to be durable");
        Err(Ended)
    }

    /// Closes the store.
    pub(super) fn close(&self) {
        *lock(&self.store) = None;
    }

    /// Closes the store and opens it again.
    pub(super) fn reopen(&self) -> Case {
        self.close();
        self.during("opening the store again after it was closed");
        match lock(&self.place).open() {
            Ok(store) => *lock(&self.store) = Some(store),
            Err(error) => {
                self.rule(R111);
                let expected = "a store that claims to be durable can be opened again";
                self.holds(expected, false, &error);
                return Err(Ended);
            }
        }
        Ok(())
    }

    /// Continues with what a new process finds after this one was killed; `false` when that cannot be had.
    pub(super) fn kill(&self) -> Case<bool> {
        let Some(copy) = lock(&self.place).after_kill() else {
            self.skip("the subject has no way to kill its process");
            return Ok(false);
        };
        *lock(&self.place) = copy;
        self.open()?;
        Ok(true)
    }

    /// Lets the grace time of bodies pass; `false` when that cannot be done.
    pub(super) fn pass_grace(&self) -> bool {
        let passes = lock(&self.place).pass_grace();
        if !passes {
            self.skip("the subject has no way to make the grace time pass");
        }
        passes
    }

    // Writing.

    /// Makes an account, and gives its INBOX.
    pub(super) fn account(&self, name: &str) -> Case<(AccountId, MailboxId)> {
        let store = self.store();
        let id = self.ask(format!("create_account {name}"), store.create_account(name))?;
        Ok((id, self.mailbox(id, "INBOX")?.id))
    }

    pub(super) fn commit(&self, transaction: Transaction) -> Case<Result<Committed>> {
        let store = self.store();
        self.wait(describe(&transaction), store.commit(transaction))
    }

    /// Commits one operation, which may fail.
    pub(super) fn attempt(&self, id: AccountId, operation: Operation) -> Case<Result<Outcome>> {
        let done = self.commit(Transaction::new(id).with(operation))?;
        match done.map(|mut done| done.outcomes.pop()) {
            Ok(Some(outcome)) => Ok(Ok(outcome)),
            Ok(None) => {
                self.holds("one outcome", false, &"none");
                Err(Ended)
            }
            Err(error) => Ok(Err(error)),
        }
    }

    /// Commits operations, which must not fail.
    pub(super) fn done(&self, transaction: Transaction) -> Case<Committed> {
        let store = self.store();
        self.ask(describe(&transaction), store.commit(transaction))
    }

    /// Commits one operation, which must not fail.
    pub(super) fn run(&self, id: AccountId, operation: Operation) -> Case<Outcome> {
        let mut done = self.done(Transaction::new(id).with(operation))?;
        self.there("one outcome", done.outcomes.pop())
    }

    pub(super) fn stage(&self, octets: &[u8]) -> Case<Staged> {
        let store = self.store();
        let mut stage = self.ask("stage", store.stage())?;
        let piece = Bytes::copy_from_slice(octets);
        self.ask(
            format!("stage.write {} octets", octets.len()),
            stage.write(piece),
        )?;
        self.ask(
            format!("stage.finish after {} octets", octets.len()),
            stage.finish(),
        )
    }

    /// A message to append.
    pub(super) fn message(&self, to: MailboxId, text: &str) -> Case<Append> {
        Ok(Append::new(
            to,
            self.stage(text.as_bytes())?,
            (1_700_000_000, 60),
        ))
    }

    pub(super) fn append(&self, to: MailboxId, text: &str) -> Case<Operation> {
        Ok(Operation::Append(Box::new(self.message(to, text)?)))
    }

    /// Appends a message, which must not fail, and gives its UID.
    pub(super) fn deliver(&self, to: MailboxId, text: &str) -> Case<Uid> {
        let append = self.message(to, text)?;
        self.deliver_as(append)
    }

    pub(super) fn deliver_as(&self, append: Append) -> Case<Uid> {
        let account = append.mailbox.account;
        match self.run(account, Operation::Append(Box::new(append)))? {
            Outcome::Appended { uid, .. } => Ok(uid),
            other => {
                self.holds("Appended", false, &other);
                Err(Ended)
            }
        }
    }

    pub(super) fn create(&self, id: AccountId, name: &str) -> Case<MailboxId> {
        match self.run(id, create(name))? {
            Outcome::Created { id, .. } => Ok(id),
            other => {
                self.holds("Created", false, &other);
                Err(Ended)
            }
        }
    }

    /// Sets or lifts the limits of an account.
    pub(super) fn limit(&self, id: AccountId, octets: Option<u64>, messages: Option<u64>) -> Case {
        self.run(id, Operation::SetQuota { octets, messages })
            .map(|_| ())
    }

    // Reading.

    /// The account of that number, which must be there.
    pub(super) fn person(&self, id: AccountId) -> Case<Account> {
        let store = self.store();
        let found = self.ask(format!("account_by_id {id}"), store.account_by_id(id))?;
        self.there("the account", found)
    }

    pub(super) fn at(&self, id: AccountId) -> Case<ModSeq> {
        self.person(id).map(|account| account.at)
    }

    pub(super) fn mailboxes(&self, id: AccountId, since: Option<ModSeq>) -> Case<Mailboxes> {
        let store = self.store();
        self.ask(
            format!("mailboxes of {id} since {since:?}"),
            store.mailboxes(id, since),
        )
    }

    /// The mailbox of that name, which must be there.
    pub(super) fn mailbox(&self, id: AccountId, name: &str) -> Case<Mailbox> {
        let all = self.mailboxes(id, None)?.mailboxes;
        let found = all.into_iter().find(|mailbox| mailbox.name == name);
        self.there(&format!("a mailbox {name}"), found)
    }

    /// What the store finds by that name.
    pub(super) fn named(&self, id: AccountId, name: &str) -> Case<Option<Mailbox>> {
        let store = self.store();
        self.ask(format!("mailbox {name} of {id}"), store.mailbox(id, name))
    }

    /// What the store finds by those names in one step.
    pub(super) fn find(&self, account: &str, mailbox: &str) -> Case<Option<(Account, Mailbox)>> {
        let store = self.store();
        let operation = format!("find {mailbox} of {account}");
        self.ask(operation, store.find(account, mailbox))
    }

    /// The mailbox of that number, which must be there.
    pub(super) fn mailbox_by_id(&self, id: MailboxId) -> Case<Mailbox> {
        let all = self.mailboxes(id.account, None)?.mailboxes;
        let found = all.into_iter().find(|mailbox| mailbox.id == id);
        self.there(&format!("a mailbox {}", name(id)), found)
    }

    pub(super) fn names(&self, id: AccountId) -> Case<Vec<String>> {
        let all = self.mailboxes(id, None)?.mailboxes;
        Ok(all.into_iter().map(|mailbox| mailbox.name).collect())
    }

    pub(super) fn page(
        &self,
        mailbox: MailboxId,
        which: &Which,
        want: Want,
        limit: usize,
    ) -> Case<Page<Row>> {
        let store = self.store();
        let what = format!("messages of {}: {which:?}, limit {limit}", name(mailbox));
        self.ask(what, store.messages(mailbox, which, want, limit))
    }

    /// All rows with their summaries.
    pub(super) fn rows(&self, mailbox: MailboxId) -> Case<Vec<Row>> {
        let all = self.page(mailbox, &Which::After(None), Want::SUMMARY, usize::MAX)?;
        Ok(all.rows)
    }

    /// The row of that UID, which must be there.
    pub(super) fn row(&self, mailbox: MailboxId, uid: u32) -> Case<Row> {
        let rows = self.rows(mailbox)?;
        let found = rows.into_iter().find(|row| row.uid.get() == uid);
        self.there(&format!("a row with UID {uid}"), found)
    }

    pub(super) fn changes(
        &self,
        mailbox: MailboxId,
        since: ModSeq,
        want: Want,
        limit: usize,
    ) -> Case<Changes> {
        let store = self.store();
        let what = format!("changes of {} since {since}, limit {limit}", name(mailbox));
        self.ask(what, store.changes(mailbox, since, want, limit))
    }

    /// Changes that are not too old.
    pub(super) fn known(
        &self,
        mailbox: MailboxId,
        since: ModSeq,
        limit: usize,
    ) -> Case<(ModSeq, Vec<Row>, UidSet)> {
        match self.changes(mailbox, since, Want::ROW, limit)? {
            Changes::Known { at, rows, vanished } => Ok((at, rows, vanished)),
            other @ Changes::TooOld { .. } => {
                self.holds("Known", false, &other);
                Err(Ended)
            }
        }
    }

    /// Octets of a body, which may be fewer than asked for.
    pub(super) fn read(&self, body: BodyRef, from: u64, to: u64) -> Case<Result<Bytes>> {
        let store = self.store();
        let what = format!("read octets {from}..{to} of {}", body.octets);
        self.wait(what, store.read(&body, from..to))
    }

    /// The octets of a body in that range, read on until they end.
    pub(super) fn octets(&self, body: BodyRef, mut from: u64, to: u64) -> Case<Result<Vec<u8>>> {
        let mut octets = Vec::new();
        while from < to {
            match self.read(body, from, to)? {
                // More than there can be: a range that is ignored would never end.
                _ if octets.len() as u64 > body.octets => break,
                Ok(piece) if piece.is_empty() => break,
                Ok(piece) => {
                    from += piece.len() as u64;
                    octets.extend_from_slice(&piece);
                }
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(octets))
    }

    /// Records a failure unless the body has that text.
    pub(super) fn same_text(&self, body: BodyRef, expected: &str) -> Case {
        let found = self.octets(body, 0, u64::MAX)?;
        let found = found.map(|octets| String::from_utf8_lossy(&octets).into_owned());
        let held = found.as_ref().is_ok_and(|text| text == expected);
        self.holds(&format!("the octets {expected:?}"), held, &found);
        Ok(())
    }

    pub(super) fn queue(&self) -> Case<Vec<QueueEntry>> {
        let store = self.store();
        self.ask("queue", store.queue(None, usize::MAX))
    }
}

fn name(mailbox: MailboxId) -> String {
    format!("mailbox {}/{}", mailbox.account, mailbox.number)
}

/// What a transaction asks for, in few words.
fn describe(transaction: &Transaction) -> String {
    let mut text = format!("commit for account {}", transaction.account);
    for requirement in &transaction.requirements {
        text += &format!(", requiring {requirement:?}");
    }
    for operation in transaction.operations.iter().take(8) {
        text += ": ";
        text += &match operation {
            Operation::Append(append) => {
                let octets = append.body.body().octets;
                let imposed = append.uid.map_or(String::new(), |uid| format!(" as {uid}"));
                format!(
                    "append {octets} octets to {}{imposed}",
                    name(append.mailbox)
                )
            }
            Operation::Copy { from, uids, to } => {
                format!(
                    "copy {:?} of {} to {}",
                    uids.ranges(),
                    name(*from),
                    name(*to)
                )
            }
            Operation::Move { from, uids, to } => {
                format!(
                    "move {:?} of {} to {}",
                    uids.ranges(),
                    name(*from),
                    name(*to)
                )
            }
            other => {
                let text = shown(other);
                text.replace("MailboxId { account: AccountId", "mailbox {")
            }
        };
    }
    let left = transaction.operations.len().saturating_sub(8);
    if left > 0 {
        text += &format!(": and {left} more");
    }
    text
}

pub(super) fn create(name: &str) -> Operation {
    Operation::Create {
        name: name.into(),
        special_use: None,
        uid_validity: None,
    }
}

pub(super) fn uids(list: &[u32]) -> UidSet {
    list.iter().copied().filter_map(Uid::new).collect()
}

pub(super) fn numbers(rows: &[Row]) -> Vec<u32> {
    rows.iter().map(|row| row.uid.get()).collect()
}

pub(super) fn flag(mailbox: MailboxId, which: UidSet, flags: Flags) -> Operation {
    Operation::Flags {
        mailbox,
        uids: which,
        change: FlagChange::Add(flags),
        unchanged_since: None,
    }
}

pub(super) fn expunge(mailbox: MailboxId, which: UidSet) -> Operation {
    Operation::Expunge {
        mailbox,
        uids: which,
        deleted_only: false,
    }
}

pub(super) fn copy(from: MailboxId, which: UidSet, to: MailboxId) -> Operation {
    let uids = which;
    Operation::Copy { from, uids, to }
}

pub(super) fn relocate(from: MailboxId, which: UidSet, to: MailboxId) -> Operation {
    let uids = which;
    Operation::Move { from, uids, to }
}

/// What an outcome is, when it is an error.
pub(super) fn kind<T>(result: &Result<T>) -> &'static str {
    match result {
        Ok(_) => "done",
        Err(Error::NoSuchAccount(_)) => "NoSuchAccount",
        Err(Error::NoSuchMailbox(_)) => "NoSuchMailbox",
        Err(Error::AlreadyExists(_)) => "AlreadyExists",
        Err(Error::InvalidName(_)) => "InvalidName",
        Err(Error::OverQuota(_)) => "OverQuota",
        Err(Error::Conflict(_)) => "Conflict",
        Err(Error::Limit(_)) => "Limit",
        Err(Error::Damaged(..)) => "Damaged",
        Err(_) => "another error",
    }
}
