//! The threads that read, shared fairly between accounts.
//!
//! Every account waits for its own jobs, not for those of the others: accounts take turns. What goes through a whole
//! mailbox is cut into slices, which never take all threads, and those of one account fewer still.

use futures_channel::oneshot;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::contract::store::BoxFuture;
use crate::{AccountId, Error, Result};

/// Threads that may be at slices at once, of all accounts; there are more threads than that.
const SLICES: usize = THREADS - 1;
/// Of these, for one account.
const SLICES_OF_ONE: usize = 2;
/// Short jobs that may go before a slice that could run.
const BEFORE: usize = 8;
/// Readers beside the writer.
pub(crate) const THREADS: usize = 4;

type Job<R> = Box<dyn FnOnce(&mut R) + Send>;

/// Jobs in order, by whom they are for: everybody's first one, then everybody's second one.
struct Turns<K, J> {
    waiting: HashMap<K, VecDeque<J>>,
    order: VecDeque<K>,
}

impl<K: Copy + Eq + Hash, J> Turns<K, J> {
    fn new() -> Self {
        Self {
            waiting: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    fn push(&mut self, key: K, job: J) {
        let jobs = self.waiting.entry(key).or_default();
        if jobs.is_empty() {
            self.order.push_back(key);
        }
        jobs.push_back(job);
    }

    /// The next job of those who may have one now.
    fn take(&mut self, may: impl Fn(&K) -> bool) -> Option<(K, J)> {
        let at = self.order.iter().position(may)?;
        let key = self.order.remove(at)?;
        let jobs = self.waiting.get_mut(&key)?;
        let job = jobs.pop_front()?;
        if jobs.is_empty() {
            self.waiting.remove(&key);
        } else {
            self.order.push_back(key);
        }
        Some((key, job))
    }
}

/// What waits, and what is under way.
struct Jobs<R> {
    short: Turns<Option<AccountId>, Job<R>>,
    slices: Turns<AccountId, Job<R>>,
    /// Slices under way, by account.
    running: HashMap<AccountId, usize>,
    under_way: usize,
    /// Short jobs since the last slice, while one waited.
    before: usize,
    closed: bool,
}

impl<R> Jobs<R> {
    /// The next job; with an account when it is a slice.
    fn next(&mut self) -> Option<(Option<AccountId>, Job<R>)> {
        if (self.short.is_empty() || self.before >= BEFORE)
            && let Some((account, job)) = self.next_slice()
        {
            return Some((Some(account), job));
        }
        let (_, job) = self.short.take(|_| true)?;
        self.before += usize::from(!self.slices.is_empty());
        Some((None, job))
    }

    fn next_slice(&mut self) -> Option<(AccountId, Job<R>)> {
        if self.under_way >= SLICES {
            return None;
        }
        let running = &self.running;
        let may = |account: &AccountId| running.get(account).is_none_or(|n| *n < SLICES_OF_ONE);
        let (account, job) = self.slices.take(may)?;
        *self.running.entry(account).or_default() += 1;
        self.under_way += 1;
        self.before = 0;
        Some((account, job))
    }

    fn ended(&mut self, account: AccountId) {
        self.under_way -= 1;
        if let Some(running) = self.running.get_mut(&account) {
            *running -= 1;
            if *running == 0 {
                self.running.remove(&account);
            }
        }
    }
}

struct Shared<R> {
    jobs: Mutex<Jobs<R>>,
    more: Condvar,
}

impl<R> Shared<R> {
    fn jobs(&self) -> MutexGuard<'_, Jobs<R>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what waits until there is nobody left who could ask for more.
    fn work(&self, reader: &mut R) {
        let mut jobs = self.jobs();
        loop {
            let Some((account, job)) = jobs.next() else {
                if jobs.closed && jobs.short.is_empty() && jobs.slices.is_empty() {
                    return;
                }
                jobs = self.more.wait(jobs).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(jobs);
            // Whoever waits for a job that panicked hears of it, and the thread goes on with the next one.
            let _ = catch_unwind(AssertUnwindSafe(|| job(reader)));
            jobs = self.jobs();
            if let Some(account) = account {
                jobs.ended(account);
                // Another slice may be allowed to run by now.
                self.more.notify_all();
            }
        }
    }
}

/// Ends the threads when the last pool is dropped.
struct Handle<R>(Arc<Shared<R>>);

impl<R> Drop for Handle<R> {
    fn drop(&mut self) {
        self.0.jobs().closed = true;
        self.0.more.notify_all();
    }
}

/// Readers, each in a thread of its own.
pub(crate) struct Pool<R>(Arc<Handle<R>>);

impl<R> Clone for Pool<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<R: Send + 'static> Pool<R> {
    /// Starts a thread for each reader.
    pub(crate) fn start(readers: Vec<R>) -> Result<Self> {
        let shared = Arc::new(Shared {
            jobs: Mutex::new(Jobs {
                short: Turns::new(),
                slices: Turns::new(),
                running: HashMap::new(),
                under_way: 0,
                before: 0,
                closed: false,
            }),
            more: Condvar::new(),
        });
        let pool = Self(Arc::new(Handle(Arc::clone(&shared))));
        for mut reader in readers {
            let shared = Arc::clone(&shared);
            thread::Builder::new()
                .name("store-reader".into())
                .spawn(move || shared.work(&mut reader))
                .map_err(Error::io("cannot start a thread"))?;
        }
        Ok(pool)
    }

    /// Has a short job done; `account` is whose turn it takes.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        account: Option<AccountId>,
        job: impl FnOnce(&mut R) -> Result<T> + Send + 'static,
    ) -> BoxFuture<'static, Result<T>> {
        let (job, done) = answering(job);
        self.0.0.jobs().short.push(account, job);
        self.0.0.more.notify_one();
        done
    }

    /// Has a slice of a longer work done.
    pub(crate) fn slice<T: Send + 'static>(
        &self,
        account: AccountId,
        job: impl FnOnce(&mut R) -> Result<T> + Send + 'static,
    ) -> BoxFuture<'static, Result<T>> {
        let (job, done) = answering(job);
        self.0.0.jobs().slices.push(account, job);
        self.0.0.more.notify_one();
        done
    }
}

fn answering<R, T: Send + 'static>(
    job: impl FnOnce(&mut R) -> Result<T> + Send + 'static,
) -> (Job<R>, BoxFuture<'static, Result<T>>) {
    let (answer, answered) = oneshot::channel();
    let job = move |reader: &mut R| {
        // Unless its caller has given up.
        if !answer.is_canceled() {
            let _ = answer.send(job(reader));
        }
    };
    let done = Box::pin(async move { answered.await.unwrap_or(Err(Error::Closed)) });
    (Box::new(job), done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block_on;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    fn pool() -> Pool<()> {
        Pool::start(vec![(); THREADS]).unwrap()
    }

    fn wait_until(is: impl Fn() -> bool) {
        let began = Instant::now();
        while !is() {
            assert!(began.elapsed() < Duration::from_secs(10));
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Slices that are under way until they may end.
    struct Busy {
        running: Arc<AtomicUsize>,
        may_end: Arc<(Mutex<bool>, Condvar)>,
        done: Vec<BoxFuture<'static, Result<()>>>,
    }

    impl Busy {
        fn with(pool: &Pool<()>, account: u64, many: usize) -> Self {
            let running = Arc::new(AtomicUsize::new(0));
            let may_end = Arc::new((Mutex::new(false), Condvar::new()));
            let one = |_| {
                let (running, may_end) = (Arc::clone(&running), Arc::clone(&may_end));
                pool.slice(AccountId(account), move |()| {
                    running.fetch_add(1, Ordering::SeqCst);
                    let (may, changed) = &*may_end;
                    let may = may.lock().unwrap();
                    drop(changed.wait_while(may, |may| !*may).unwrap());
                    running.fetch_sub(1, Ordering::SeqCst);
                    Ok(())
                })
            };
            let done = (0..many).map(one).collect();
            Self {
                running,
                may_end,
                done,
            }
        }

        fn count(&self) -> usize {
            self.running.load(Ordering::SeqCst)
        }

        fn end(self) {
            *self.may_end.0.lock().unwrap() = true;
            self.may_end.1.notify_all();
            for one in self.done {
                block_on(one).unwrap();
            }
        }
    }

    #[test]
    fn long_work_of_one_account_leaves_threads_to_the_others() {
        let pool = pool();
        let first = Busy::with(&pool, 1, 12);
        wait_until(|| first.count() == SLICES_OF_ONE);
        // Another account's slice runs beside them, and short jobs of anybody, the busy one included.
        let second = Busy::with(&pool, 2, 12);
        wait_until(|| second.count() == SLICES - SLICES_OF_ONE);
        for account in [None, Some(AccountId(1)), Some(AccountId(3))] {
            let short = pool.run(account, |()| Ok(7));
            assert_eq!(block_on(short).unwrap(), 7);
        }
        assert_eq!((first.count(), second.count()), (2, 1));
        first.end();
        wait_until(|| second.count() == SLICES_OF_ONE);
        second.end();
        // A slice is answered a moment before its place is free.
        wait_until(|| pool.0.0.jobs().running.is_empty());
    }

    #[test]
    fn accounts_take_turns() {
        let mut turns = Turns::new();
        for (account, job) in [(1, "a"), (1, "b"), (1, "c"), (2, "d"), (3, "e"), (2, "f")] {
            turns.push(account, job);
        }
        let order: String = std::iter::from_fn(|| turns.take(|_| true))
            .map(|(_, job)| job)
            .collect();
        assert_eq!(order, "adebfc");
        turns.push(1, "a");
        turns.push(2, "b");
        assert_eq!(turns.take(|account| *account != 1), Some((2, "b")));
        assert_eq!(turns.take(|account| *account != 1), None);
        assert_eq!(turns.take(|_| true), Some((1, "a")));
        assert!(turns.is_empty() && turns.waiting.is_empty());
    }

    #[test]
    fn short_jobs_without_end_do_not_keep_a_slice_waiting() {
        let pool = Pool::start(vec![()]).unwrap();
        let order = Arc::new(Mutex::new(String::new()));
        let note = |what: char| {
            let order = Arc::clone(&order);
            move |(): &mut ()| {
                order.lock().unwrap().push(what);
                Ok(())
            }
        };
        // Nothing runs before all of them wait.
        let (begin, begun) = std::sync::mpsc::channel::<()>();
        let first = pool.run(None, move |()| {
            let _ = begun.recv();
            Ok(())
        });
        let slices = [1, 1].map(|account| pool.slice(AccountId(account), note('L')));
        let shorts: Vec<_> = (0..20).map(|_| pool.run(None, note('.'))).collect();
        drop(begin);
        block_on(first).unwrap();
        for one in shorts.into_iter().chain(slices) {
            block_on(one).unwrap();
        }
        let order = order.lock().unwrap();
        let at = order.find('L').unwrap();
        assert!((1..=BEFORE).contains(&at), "{order}");
        assert_eq!(order.len(), 22);
    }

    #[test]
    fn a_job_that_panics_fails_alone() {
        let pool = pool();
        for _ in 0..THREADS * 2 {
            let failed = pool.slice(AccountId(1), |()| -> Result<()> { panic!("on purpose") });
            assert!(matches!(block_on(failed), Err(Error::Closed)));
        }
        let done = pool.slice(AccountId(1), |()| Ok(7));
        assert_eq!(block_on(done).unwrap(), 7);
    }
}
