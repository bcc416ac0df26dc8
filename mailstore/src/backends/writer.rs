//! The thread that writes: it commits together whatever came while it was busy.

use futures_channel::oneshot;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};

use crate::backends::patience::Patience;
use crate::backends::watchers::Watchers;
use crate::contract::store::{Engine, Scope};
use crate::{AccountId, Claim, Committed, QueueEntry, Result, Transaction};

/// How many transactions are committed together at most.
const GROUP: usize = 256;
/// How often there is time to tidy.
const TIDY: Duration = Duration::from_secs(5);

/// Where an answer goes.
type Answer<T> = oneshot::Sender<Result<T>>;

/// What the writer is asked for.
pub(crate) enum Write {
    Commit(Transaction, Answer<Committed>),
    Create(String, Answer<AccountId>),
    Remove(AccountId, Answer<()>),
    Claim(Claim, Answer<Vec<QueueEntry>>),
    ReleaseClaims(u32, SystemTime, Answer<u64>),
    ClampDue(SystemTime, Answer<u64>),
}

/// Does what comes, until nobody is left who could ask for more.
pub(crate) fn run<E: Engine>(mut engine: E, work: &mpsc::Receiver<Write>, watchers: &Watchers) {
    let mut waiting = None;
    let mut patience = Patience::default();
    let mut tidied = Instant::now();
    loop {
        // Under load, too: what is to be freed would grow else.
        if tidied.elapsed() >= TIDY {
            let _ = engine.tidy();
            tidied = Instant::now();
        }
        let next = match waiting.take() {
            Some(next) => Ok(next),
            None => work.recv_timeout(TIDY.saturating_sub(tidied.elapsed())),
        };
        match next {
            Ok(Write::Commit(transaction, answer)) => {
                let mut batch = Batch::of(transaction, answer);
                waiting = batch.gather(work, &patience);
                batch.commit(&mut engine, &mut patience, watchers);
            }
            Ok(Write::Create(name, answer)) => drop(answer.send(engine.create_account(&name))),
            Ok(Write::Remove(id, answer)) => {
                let result = engine.remove_account(id);
                watchers.wake(Scope::Account(id));
                let _ = answer.send(result);
            }
            Ok(Write::Claim(claim, answer)) => drop(answer.send(engine.claim(&claim))),
            Ok(Write::ReleaseClaims(owner, now, answer)) => {
                let released = engine.release_claims(owner, now);
                watchers.wake(Scope::Queue);
                let _ = answer.send(released);
            }
            Ok(Write::ClampDue(latest, answer)) => drop(answer.send(engine.clamp_due(latest))),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Transactions that are committed together, and who waits for each.
struct Batch {
    transactions: Vec<Transaction>,
    answers: Vec<Answer<Committed>>,
    began: Instant,
    /// When the last one came that was waited for.
    last: Instant,
}

impl Batch {
    fn of(transaction: Transaction, answer: Answer<Committed>) -> Self {
        let now = Instant::now();
        Self {
            transactions: vec![transaction],
            answers: vec![answer],
            began: now,
            last: now,
        }
    }

    /// Takes in what is there, and what comes while there is patience. Returns what came and is no commit.
    fn gather(&mut self, work: &mpsc::Receiver<Write>, patience: &Patience) -> Option<Write> {
        while self.transactions.len() < GROUP {
            let count = self.transactions.len();
            let left = patience.left(count, self.began.elapsed(), self.last.elapsed());
            let next = match left {
                Some(left) => work.recv_timeout(left).ok(),
                None => work.try_recv().ok(),
            };
            match next {
                Some(Write::Commit(transaction, answer)) => {
                    self.transactions.push(transaction);
                    self.answers.push(answer);
                    // Who was there already has not been waited for.
                    if left.is_some() {
                        self.last = Instant::now();
                    }
                }
                other => return other,
            }
        }
        None
    }

    fn commit<E: Engine>(self, engine: &mut E, patience: &mut Patience, watchers: &Watchers) {
        let in_vain = self.last.elapsed();
        let began = Instant::now();
        let results = engine.commit(&self.transactions);
        patience.learn(self.transactions.len(), in_vain, began.elapsed());
        let all = self.transactions.iter().zip(results).zip(self.answers);
        for ((transaction, result), answer) in all {
            if let Ok(committed) = &result {
                watchers.wake_all(transaction, committed);
            }
            let _ = answer.send(result);
        }
    }
}
