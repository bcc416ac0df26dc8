//! Limits by time: token buckets in bounded memory, without a clock of their own.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// How much may happen: some at once, and one more each time that a pause has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    at_once: u32,
    one_more: Duration,
}

impl Rate {
    /// Creates a rate of `count` in `time`, all of which may come at once; `None` for 0, which stands for no limit.
    #[must_use]
    pub fn per(count: u32, time: Duration) -> Option<Self> {
        let one_more = time.checked_div(count)?;
        Some(Self {
            at_once: count,
            // With a pause of nothing everything would be allowed.
            one_more: one_more.max(Duration::from_nanos(1)),
        })
    }

    /// Returns how much may happen at once.
    #[must_use]
    pub fn at_once(self) -> u32 {
        self.at_once
    }
}

/// Token buckets, one for each key. The time is passed in and must not go back.
///
/// A full bucket takes no memory. There are never more than a number of others: at that number a new key takes the place
/// of the bucket that would be full first, so that many newcomers do not make the limiter forget those who take much.
/// Each question costs the same, however many keys there are.
///
/// ```
/// use hikyaku_service::{Limiter, Rate};
/// use std::net::IpAddr;
/// use std::time::{Duration, Instant};
///
/// let rate = Rate::per(2, Duration::from_secs(60)).unwrap();
/// let mut messages = Limiter::new(rate, 10_000);
/// let (client, now) = (IpAddr::from([192, 0, 2, 1]), Instant::now());
/// assert_eq!(messages.take(&client, 1, now), Ok(()));
/// assert_eq!(messages.take(&client, 1, now), Ok(()));
/// assert_eq!(messages.take(&client, 1, now), Err(Duration::from_secs(30)));
/// assert_eq!(messages.take(&client, 1, now + Duration::from_secs(30)), Ok(()));
/// ```
#[derive(Debug)]
pub struct Limiter<K> {
    rate: Rate,
    most: usize,
    /// When each bucket is full again.
    full: HashMap<K, Instant>,
    /// The same, the earliest first.
    order: BTreeSet<(Instant, K)>,
}

impl<K: Clone + Eq + Hash + Ord> Limiter<K> {
    /// How many times what the rate allows at once may be owed after [`charge`](Self::charge).
    pub const DEBT: u32 = 4;

    /// Creates a limiter that remembers at most `most` keys.
    #[must_use]
    pub fn new(rate: Rate, most: usize) -> Self {
        Self {
            rate,
            most: most.max(1),
            full: HashMap::new(),
            order: BTreeSet::new(),
        }
    }

    /// Returns how much each key may do.
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes `count` at once, or nothing.
    ///
    /// # Errors
    /// How long it takes until there are that many. More than the rate allows at once counts as all of it.
    pub fn take(&mut self, key: &K, count: u32, now: Instant) -> Result<(), Duration> {
        let wait = self.wait(key, count, now);
        if !wait.is_zero() {
            return Err(wait);
        }
        let after = self.full_at(key, now) + self.cost(count);
        self.put(key, after, now);
        Ok(())
    }

    /// Takes `count`, whether there are that many or not: what is missing has to come back first. The debt is never more than
    /// [`DEBT`](Self::DEBT) times what the rate allows at once.
    pub fn charge(&mut self, key: &K, count: u32, now: Instant) {
        let all = self.rate.one_more * self.rate.at_once;
        let most = now + all * (1 + Self::DEBT);
        let after = self.full_at(key, now) + self.cost(count);
        self.put(key, after.min(most), now);
    }

    /// Returns how long it takes until `count` can be taken; nothing where they can be taken now.
    #[must_use]
    pub fn wait(&self, key: &K, count: u32, now: Instant) -> Duration {
        let after = self.full_at(key, now) + self.cost(count);
        let all = self.rate.one_more * self.rate.at_once;
        (after - now).saturating_sub(all)
    }

    /// Returns how many have been taken and have not come back yet, rounded up.
    #[must_use]
    pub fn taken(&self, key: &K, now: Instant) -> u32 {
        let missing = self.full_at(key, now) - now;
        let one_more = self.rate.one_more.as_nanos();
        u32::try_from(missing.as_nanos().div_ceil(one_more)).unwrap_or(u32::MAX)
    }

    /// Gives `count` back.
    pub fn give_back(&mut self, key: &K, count: u32, now: Instant) {
        let full = self.full_at(key, now);
        let after = full.checked_sub(self.cost(count)).unwrap_or(now);
        self.put(key, after, now);
    }

    /// Returns how many keys are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.full.len()
    }

    /// Returns whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.full.is_empty()
    }

    fn cost(&self, count: u32) -> Duration {
        self.rate.one_more * count.min(self.rate.at_once)
    }

    fn full_at(&self, key: &K, now: Instant) -> Instant {
        self.full.get(key).map_or(now, |full| *full.max(&now))
    }

    fn put(&mut self, key: &K, full: Instant, now: Instant) {
        if let Some(before) = self.full.remove(key) {
            self.order.remove(&(before, key.clone()));
        }
        // Two for each that comes, so that those that are full leave sooner than others come.
        for _ in 0..2 {
            let is_full = |(full, _): &&(Instant, K)| *full <= now;
            let Some((_, done)) = self.order.first().filter(is_full) else {
                break;
            };
            self.full.remove(done);
            self.order.pop_first();
        }
        if full <= now {
            return;
        }
        if self.full.len() >= self.most
            && let Some((_, fullest)) = self.order.pop_first()
        {
            self.full.remove(&fullest);
        }
        self.full.insert(key.clone(), full);
        self.order.insert((full, key.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn limiter(count: u32, most: usize) -> Limiter<u32> {
        Limiter::new(Rate::per(count, MINUTE).unwrap(), most)
    }

    #[test]
    fn some_come_at_once_and_then_one_after_the_other() {
        let (mut limiter, now) = (limiter(6, 10), Instant::now());
        for _ in 0..6 {
            assert_eq!(limiter.take(&1, 1, now), Ok(()));
        }
        assert_eq!(limiter.take(&1, 1, now), Err(Duration::from_secs(10)));
        assert_eq!(limiter.take(&2, 6, now), Ok(()), "another key");
        assert_eq!((limiter.taken(&1, now), limiter.taken(&3, now)), (6, 0));
        let later = now + Duration::from_secs(25);
        assert_eq!(limiter.taken(&1, later), 4);
        assert_eq!(limiter.take(&1, 3, later), Err(Duration::from_secs(5)));
        assert_eq!(
            limiter.take(&1, 2, later),
            Ok(()),
            "what fails takes nothing"
        );
        // Over an hour there are not more than were at once, and one each ten seconds.
        let mut count = 0;
        for second in 0..3600 {
            let at = later + MINUTE + Duration::from_secs(second);
            count += u32::from(limiter.take(&1, 1, at).is_ok());
        }
        assert!((365..=366).contains(&count), "{count}");
    }

    #[test]
    fn what_is_charged_comes_back_first() {
        let (mut limiter, now) = (limiter(6, 10), Instant::now());
        for count in 1..=8 {
            limiter.charge(&1, 1, now);
            assert_eq!(limiter.taken(&1, now), count);
        }
        // Two are owed.
        assert_eq!(limiter.wait(&1, 1, now), Duration::from_secs(30));
        for _ in 0..100 {
            limiter.charge(&1, 1, now);
        }
        assert_eq!(limiter.taken(&1, now), 6 * (1 + Limiter::<u32>::DEBT));
    }

    #[test]
    fn more_than_there_can_be_takes_all() {
        let (mut limiter, now) = (limiter(5, 10), Instant::now());
        assert_eq!(limiter.take(&1, 4_000_000_000, now), Ok(()));
        assert_eq!(limiter.wait(&1, 1, now), Duration::from_secs(12));
        assert_eq!(limiter.take(&1, u32::MAX, now + MINUTE), Ok(()));
    }

    #[test]
    fn what_is_given_back_can_be_taken_and_a_full_bucket_takes_no_memory() {
        let (mut limiter, now) = (limiter(2, 10), Instant::now());
        limiter.take(&1, 2, now).unwrap();
        limiter.give_back(&1, 1, now);
        assert_eq!(limiter.take(&1, 1, now), Ok(()));
        limiter.give_back(&1, 100, now);
        assert!(limiter.is_empty());
        assert_eq!(limiter.take(&1, 2, now), Ok(()));
        assert!(limiter.take(&1, 1, now).is_err(), "never more than all");
    }

    #[test]
    fn memory_is_bounded_and_newcomers_do_not_hide_who_takes_much() {
        let (mut limiter, now) = (limiter(10, 100), Instant::now());
        limiter.take(&0, 10, now).unwrap();
        for key in 1..100_000 {
            limiter.take(&key, 1, now).unwrap();
            assert!(limiter.len() <= 100 && limiter.order.len() == limiter.len());
        }
        assert!(limiter.take(&0, 1, now).is_err());
        // Those that are full leave by themselves.
        let later = now + MINUTE;
        for key in 0..60 {
            limiter.take(&key, 1, later).unwrap();
        }
        assert!(limiter.len() <= 60, "{}", limiter.len());
    }

    #[test]
    fn nothing_is_no_limit() {
        assert_eq!(Rate::per(0, MINUTE), None);
        assert_eq!(Rate::per(3, MINUTE).unwrap().at_once(), 3);
        let endless = Rate::per(u32::MAX, Duration::from_nanos(1)).unwrap();
        let mut limiter = Limiter::new(endless, 1);
        assert_eq!(limiter.take(&1, u32::MAX, Instant::now()), Ok(()));
    }
}
