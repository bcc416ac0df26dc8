//! Slows down guessing of passwords, for all protocols and the pages together.
//!
//! An attempt waits for its turn by two rules. For one account from one network there is one at a time, and
//! after each wrong password the next one waits longer. For one network, whatever the accounts, there is a
//! limit to wrong ones in a time, and a higher one for the networks around it. Nothing goes by the account alone: guesses from elsewhere keep nobody out.
//! Who has logged in to an account from a network before is not kept by what others there try on other
//! accounts.
//!
//! Whether there is such an account changes nothing.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex as Gate, Notify, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::admission::{neighbourhood, network};

/// How slowly a wrong password is answered.
const WRONG: Duration = Duration::from_secs(2);
/// How long the next attempt on the account waits after so many wrong ones; the last one repeats.
const PAUSES: [Duration; 6] = [
    WRONG,
    WRONG,
    WRONG,
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(15),
];
/// Wrong passwords that a network may send at once, and how soon it may send one more.
const AT_ONCE: u32 = 20;
const ONE_MORE: Duration = Duration::from_secs(6);
/// How many times that all addresses of a /24, or all networks of a /48, may send together.
const WIDER: u32 = 4;
/// An attempt that would wait longer is turned away.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many wait for one account, and for one network: of more, no password is looked at.
const WAITING_FOR_ACCOUNT: usize = 32;
const WAITING_FOR_NETWORK: usize = 64;
/// How long after the last one wrong passwords are forgotten.
const FORGOTTEN: Duration = Duration::from_secs(15 * 60);
/// How long somebody is known who has logged in.
const KNOWN: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How much is remembered of each kind, twice: what is older goes first.
const REMEMBERED: usize = 16_384;

/// How an attempt was slowed down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Slowed {
    /// It waited for its turn.
    Delayed,
    /// It was refused: too many attempts are waiting.
    TurnedAway,
}

/// Too many attempts are waiting; this one was not checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts to log in: try again in a minute")]
pub struct TooMany;

/// Slows down logins. What it remembers is bounded and expires; each attempt costs the same, however many there were.
pub struct Throttle {
    exempt: Box<dyn Fn(IpAddr) -> bool + Send + Sync>,
    observe: Box<dyn Fn(Slowed) + Send + Sync>,
    names: RandomState,
    memory: Mutex<Memory>,
}

impl fmt::Debug for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throttle").finish_non_exhaustive()
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self::new(|_| false, |_| {})
    }
}

/// An account, as a hash of its name, tried from a network.
type Pair = (IpAddr, u64);

struct Memory {
    pairs: Recent<Pair, Arc<Account>>,
    networks: Recent<IpAddr, Network>,
    neighbourhoods: Recent<IpAddr, Network>,
    known: Recent<Pair, Instant>,
}

/// What comes from an address is counted by. Those that do not say where they come from are of one network.
fn network_of(address: Option<IpAddr>) -> IpAddr {
    address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), network)
}

impl Throttle {
    /// Creates a throttle. Addresses that are `exempt` never wait for a turn: something else slows logins
    /// there, such as a webmail in front of this server. `observe` is called for each attempt that is slowed
    /// down.
    pub fn new(
        exempt: impl Fn(IpAddr) -> bool + Send + Sync + 'static,
        observe: impl Fn(Slowed) + Send + Sync + 'static,
    ) -> Self {
        let now = Instant::now();
        Self {
            exempt: Box::new(exempt),
            observe: Box::new(observe),
            names: RandomState::new(),
            memory: Mutex::new(Memory {
                pairs: Recent::new(now, FORGOTTEN),
                networks: Recent::new(now, FORGOTTEN),
                neighbourhoods: Recent::new(now, FORGOTTEN),
                known: Recent::new(now, KNOWN),
            }),
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a password for that account may be checked. `account` is its name in one spelling only,
    /// whether there is such an account or not.
    ///
    /// # Errors
    /// [`TooMany`] when too many attempts are waiting or it would take too long. No password may be checked
    /// then.
    pub async fn turn(
        self: &Arc<Self>,
        peer: Option<IpAddr>,
        account: &str,
    ) -> Result<Turn, TooMany> {
        if peer.is_some_and(|peer| (self.exempt)(peer.to_canonical())) {
            return Ok(Turn(None));
        }
        let began = Instant::now();
        let pair = (network_of(peer), self.names.hash_one(account));
        let Ok(Some(turn)) = timeout(PATIENCE, self.wait(pair)).await else {
            (self.observe)(Slowed::TurnedAway);
            return Err(TooMany);
        };
        if began.elapsed() >= Duration::from_millis(50) {
            (self.observe)(Slowed::Delayed);
        }
        Ok(Turn(Some(turn)))
    }

    async fn wait(self: &Arc<Self>, pair: Pair) -> Option<Taken> {
        let (account, network, around, is_known) = {
            let now = Instant::now();
            let mut memory = self.memory();
            let network = || Network::new(1);
            let network = memory.networks.find_or(now, pair.0, network);
            let (wide, around) = (neighbourhood(pair.0), || Network::new(WIDER));
            let around = memory.neighbourhoods.find_or(now, wide, around);
            let since = memory.known.find(now, &pair);
            let is_known = since.is_some_and(|since| now.duration_since(since) < KNOWN);
            let account = match memory.pairs.find(now, &pair) {
                Some(account) => account,
                // What is turned away below leaves nothing behind.
                None if !is_known && network.first.places.available_permits() == 0 => return None,
                None => memory.pairs.find_or(now, pair, Arc::default),
            };
            (account, network, around, is_known)
        };
        let place = Arc::clone(&account.places).try_acquire_owned().ok()?;
        let gate = Arc::clone(&account.gate).lock_owned().await;
        let (wrong, next) = account.so_far();
        sleep_until(next).await;
        let paid = match (is_known, wrong) {
            (true, _) => None,
            (false, 0) => Some(Paid::by(network.first, around.first).await?),
            (false, _) => Some(Paid::by(network.again, around.again).await?),
        };
        Some(Taken {
            throttle: Arc::clone(self),
            pair,
            account,
            paid,
            _gate: gate,
            _place: place,
        })
    }
}

/// The right to check one password now. Dropped without an outcome it counts as a wrong password.
#[must_use = "say what came of it"]
pub struct Turn(Option<Taken>);

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").finish_non_exhaustive()
    }
}

struct Taken {
    throttle: Arc<Throttle>,
    pair: Pair,
    account: Arc<Account>,
    paid: Option<Paid>,
    // Dropped last: the next one sees what came of this one.
    _gate: OwnedMutexGuard<()>,
    _place: OwnedSemaphorePermit,
}

impl Turn {
    /// Reports a right password: wrong ones from there for this account are forgotten.
    pub fn succeeded(mut self) {
        let Some(taken) = self.0.take() else { return };
        let now = Instant::now();
        taken.account.forget();
        if let Some(paid) = &taken.paid {
            paid.give_back();
        }
        taken.throttle.memory().known.put(now, taken.pair, now);
    }

    /// Reports a wrong password. Returns when the client may be answered.
    pub async fn failed(self) {
        drop(self);
        sleep(WRONG).await;
    }

    /// Reports that the password could not be checked.
    pub fn undecided(mut self) {
        let Some(taken) = self.0.take() else { return };
        if let Some(paid) = &taken.paid {
            paid.give_back();
        }
    }

    /// Waits as long as for a wrong password, for a login without a password, so that it looks like any
    /// other.
    pub async fn none_needed() {
        sleep(WRONG).await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(taken) = self.0.take() {
            taken.account.wrong();
        }
    }
}

/// One account, tried from one network.
struct Account {
    places: Arc<Semaphore>,
    gate: Arc<Gate<()>>,
    /// Wrong passwords, and when the last one came.
    wrong: Mutex<(u32, Option<Instant>)>,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(WAITING_FOR_ACCOUNT)),
            gate: Arc::default(),
            wrong: Mutex::default(),
        }
    }
}

impl Account {
    fn lock(&self) -> MutexGuard<'_, (u32, Option<Instant>)> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many were wrong lately, and when the next attempt may be made.
    fn so_far(&self) -> (u32, Instant) {
        let now = Instant::now();
        match *self.lock() {
            (wrong, Some(last)) if now.duration_since(last) < FORGOTTEN => {
                let index = usize::try_from(wrong.saturating_sub(1)).unwrap_or(usize::MAX);
                let pause = PAUSES.get(index).unwrap_or(&PAUSES[PAUSES.len() - 1]);
                (wrong, last + *pause)
            }
            _ => (0, now),
        }
    }

    fn wrong(&self) {
        let (wrong, _) = self.so_far();
        *self.lock() = (wrong.saturating_add(1), Some(Instant::now()));
    }

    fn forget(&self) {
        *self.lock() = (0, None);
    }
}

/// One network: what is tried for the first time there does not wait for those who are wrong again and again.
#[derive(Clone)]
struct Network {
    first: Arc<Budget>,
    again: Arc<Budget>,
}

impl Network {
    fn new(times: u32) -> Self {
        Self {
            first: Arc::new(Budget::new(times)),
            again: Arc::new(Budget::new(times)),
        }
    }
}

/// What an attempt took from the budgets of its network and of the one around it.
struct Paid([Arc<Budget>; 2]);

impl Paid {
    /// Takes one of each, when they are there; `None` when too many wait.
    async fn by(network: Arc<Budget>, around: Arc<Budget>) -> Option<Self> {
        network.pay().await?;
        // Whoever is turned away, or does not wait to the end, has that one back.
        let taken = GivesBack(Some(&network));
        around.pay().await?;
        taken.keep();
        Some(Self([network, around]))
    }

    fn give_back(&self) {
        self.0.iter().for_each(|budget| budget.give_back());
    }
}

struct GivesBack<'a>(Option<&'a Budget>);

impl GivesBack<'_> {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for GivesBack<'_> {
    fn drop(&mut self) {
        if let Some(budget) = self.0 {
            budget.give_back();
        }
    }
}

/// Attempts that may be made: [`AT_ONCE`], and one more each [`ONE_MORE`]; or a number of times that.
struct Budget {
    at_once: u32,
    one_more: Duration,
    places: Arc<Semaphore>,
    gate: Gate<()>,
    given_back: Notify,
    /// When all of them may be made again.
    full: Mutex<Instant>,
}

impl Budget {
    fn new(times: u32) -> Self {
        Self {
            at_once: AT_ONCE * times,
            one_more: ONE_MORE / times,
            places: Arc::new(Semaphore::new(WAITING_FOR_NETWORK * times as usize)),
            gate: Gate::default(),
            given_back: Notify::new(),
            full: Mutex::new(Instant::now()),
        }
    }

    fn full(&self) -> MutexGuard<'_, Instant> {
        self.full.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one, when it is there; `None` when too many wait.
    async fn pay(&self) -> Option<()> {
        let _place = self.places.try_acquire().ok()?;
        // In the order they came: only the first one looks.
        let _first = self.gate.lock().await;
        loop {
            let there = {
                let mut full = self.full();
                let now = Instant::now();
                let after = (*full).max(now) + self.one_more;
                let all = self.one_more * self.at_once;
                let there = after.checked_sub(all).unwrap_or(now);
                if there <= now {
                    *full = after;
                    return Some(());
                }
                there
            };
            tokio::select! {
                () = sleep_until(there) => {}
                () = self.given_back.notified() => {}
            }
        }
    }

    fn give_back(&self) {
        let mut full = self.full();
        *full = full.checked_sub(self.one_more).unwrap_or(*full);
        drop(full);
        self.given_back.notify_one();
    }
}

/// What was used lately: a map that never grows beyond two times [`REMEMBERED`], and forgets what nobody asked for
/// within `age`.
struct Recent<K, V> {
    new: HashMap<K, V>,
    old: HashMap<K, V>,
    since: Instant,
    age: Duration,
}

impl<K: Eq + Hash, V: Clone> Recent<K, V> {
    fn new(now: Instant, age: Duration) -> Self {
        Self {
            new: HashMap::new(),
            old: HashMap::new(),
            since: now,
            age,
        }
    }

    fn put(&mut self, now: Instant, key: K, value: V) {
        self.old.remove(&key);
        if self.new.len() >= REMEMBERED || now.duration_since(self.since) >= self.age {
            self.old = std::mem::take(&mut self.new);
            self.since = now;
        }
        self.new.insert(key, value);
    }

    fn find(&mut self, now: Instant, key: &K) -> Option<V>
    where
        K: Clone,
    {
        if let Some(value) = self.new.get(key) {
            return Some(value.clone());
        }
        let value = self.old.remove(key)?;
        self.put(now, key.clone(), value.clone());
        Some(value)
    }

    fn find_or(&mut self, now: Instant, key: K, make: impl FnOnce() -> V) -> V
    where
        K: Clone,
    {
        if let Some(value) = self.find(now, &key) {
            return value;
        }
        let value = make();
        self.put(now, key, value.clone());
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    const HERE: &str = "192.0.2.1";

    fn at(address: &str) -> Option<IpAddr> {
        Some(address.parse().unwrap())
    }

    async fn wrong(throttle: &Arc<Throttle>, address: &str, account: &str) -> bool {
        match throttle.turn(at(address), account).await {
            Ok(turn) => {
                turn.failed().await;
                true
            }
            Err(TooMany) => false,
        }
    }

    /// How many guesses come through in `time` from 64 connections that try again at once.
    async fn guesses(
        throttle: &Arc<Throttle>,
        time: Duration,
        names: fn(u32) -> String,
        addresses: fn(u32) -> String,
    ) -> u32 {
        let (next, through) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let end = Instant::now() + time;
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..64 {
            let (throttle, next, through) = (
                Arc::clone(throttle),
                Arc::clone(&next),
                Arc::clone(&through),
            );
            all.spawn(async move {
                while Instant::now() < end {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    match throttle.turn(at(&addresses(number)), &names(number)).await {
                        Ok(turn) => {
                            through.fetch_add(1, Ordering::Relaxed);
                            // Who guesses does not wait for the answer.
                            drop(turn);
                        }
                        Err(TooMany) => sleep(Duration::from_millis(100)).await,
                    }
                }
            });
        }
        while all.join_next().await.is_some() {}
        through.load(Ordering::Relaxed)
    }

    /// Where the guess of a number comes from, or whose account it is for.
    type Of = fn(u32) -> String;

    #[tokio::test(start_paused = true)]
    async fn connections_do_not_multiply_the_guesses() {
        let here = |_: u32| HERE.to_owned();
        // The six addresses of a /64 are one network, and so is an IPv4 address that IPv6 maps.
        let six = |number: u32| format!("2001:db8:0:1::{number:x}");
        let mapped = |number: u32| match number % 2 {
            0 => HERE.to_owned(),
            _ => format!("::ffff:{HERE}"),
        };
        let alice = |_: u32| "alice".to_owned();
        let many = |number: u32| format!("name{number}");
        let few = |number: u32| format!("name{}", number % 30);
        // Of one account at 0, 2, 4, 6, 10 and 18 seconds and each 15 from there, and the one that waits at the end.
        // Of a network 20, 100 more, and those that wait at the end.
        let time = Duration::from_secs(600);
        // Of all networks of a /24 or a /48, however many there are, 80, 400 more, and those that wait at the end.
        let wide = |number: u32| format!("198.51.100.{}", number % 256);
        let wide_six = |number: u32| format!("2001:db8:0:{:x}::1", number % 65_536);
        let rows: [(&str, Of, Of, u32); 7] = [
            ("a /24", many, wide, 544),
            ("a /48", many, wide_six, 544),
            ("one account", alice, here, 46),
            ("a network of IPv6", alice, six, 46),
            ("mapped addresses", alice, mapped, 46),
            ("a list of names", many, here, 124),
            ("some names", few, here, 240),
        ];
        for (what, names, addresses, most) in rows {
            let throttle = Arc::new(Throttle::default());
            let through = guesses(&throttle, time, names, addresses).await;
            assert!(through > 10 && through <= most, "{what}: {through}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_who_guesses_from_elsewhere() {
        let throttle = Arc::new(Throttle::default());
        let guessing = Arc::clone(&throttle);
        let attack = tokio::spawn(async move {
            let time = Duration::from_secs(120);
            let elsewhere = |number: u32| format!("198.51.100.{}", number % 200);
            guesses(&guessing, time, |_| "alice".into(), elsewhere).await
        });
        sleep(Duration::from_secs(60)).await;
        let began = Instant::now();
        throttle.turn(at(HERE), "alice").await.unwrap().succeeded();
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert!(attack.await.unwrap() > 100);
    }

    #[tokio::test(start_paused = true)]
    async fn others_of_the_network_hardly_wait() {
        let throttle = Arc::new(Throttle::default());
        throttle.turn(at(HERE), "bob").await.unwrap().succeeded();
        let guessing = Arc::clone(&throttle);
        let attack = tokio::spawn(async move {
            let time = Duration::from_secs(120);
            let few = |number: u32| format!("name{}", number % 5);
            guesses(&guessing, time, few, |_| HERE.into()).await
        });
        sleep(Duration::from_secs(60)).await;
        // Who was here before, and who was not.
        for name in ["bob", "carol"] {
            let began = Instant::now();
            throttle.turn(at(HERE), name).await.unwrap().succeeded();
            assert!(began.elapsed() < Duration::from_millis(10), "{name}");
        }
        attack.await.unwrap();
        // A list of names takes all there is for newcomers; who was here before still does not wait.
        let guessing = Arc::clone(&throttle);
        let attack = tokio::spawn(async move {
            let time = Duration::from_secs(120);
            guesses(&guessing, time, |n| format!("any{n}"), |_| HERE.into()).await
        });
        sleep(Duration::from_secs(60)).await;
        let began = Instant::now();
        throttle.turn(at(HERE), "bob").await.unwrap().succeeded();
        assert!(began.elapsed() < Duration::from_millis(10));
        attack.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_right_password_is_a_new_beginning() {
        let throttle = Arc::new(Throttle::default());
        let mut took = Vec::new();
        for _ in 0..7 {
            let began = Instant::now();
            assert!(wrong(&throttle, HERE, "alice").await);
            took.push(began.elapsed().as_secs());
        }
        // The answer takes two seconds; the pause begins with the wrong password.
        assert_eq!(took, [2, 2, 2, 2, 4, 8, 15]);
        throttle.turn(at(HERE), "alice").await.unwrap().succeeded();
        // The first one has waited enough in any case.
        for _ in 0..3 {
            let began = Instant::now();
            assert!(wrong(&throttle, HERE, "alice").await);
            assert_eq!(began.elapsed(), WRONG);
        }
        // And so is a quarter of an hour.
        for _ in 0..7 {
            wrong(&throttle, HERE, "alice").await;
        }
        sleep(FORGOTTEN).await;
        let began = Instant::now();
        throttle.turn(at(HERE), "alice").await.unwrap().undecided();
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_behind_one_address_logs_in_at_once() {
        let throttle = Arc::new(Throttle::default());
        let began = Instant::now();
        let mut all = tokio::task::JoinSet::new();
        for number in 0..50 {
            let throttle = Arc::clone(&throttle);
            all.spawn(async move {
                let turn = throttle.turn(at(HERE), &format!("name{number}")).await;
                sleep(Duration::from_millis(20)).await;
                turn.unwrap().succeeded();
            });
        }
        while let Some(done) = all.join_next().await {
            done.unwrap();
        }
        assert!(
            began.elapsed() < Duration::from_secs(1),
            "{:?}",
            began.elapsed()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_and_exempt_addresses_never_wait() {
        static SLOWED: AtomicU32 = AtomicU32::new(0);
        let exempt = |peer: IpAddr| peer.is_loopback();
        let count = |_| {
            SLOWED.fetch_add(1, Ordering::Relaxed);
        };
        let throttle = Arc::new(Throttle::new(exempt, count));
        for number in 0..100 {
            let turn = throttle.turn(at("127.0.0.1"), "alice").await;
            drop(turn.unwrap());
            let name = format!("{number}");
            let mapped = throttle.turn(at("::ffff:127.0.0.1"), &name).await;
            drop(mapped.unwrap());
        }
        assert_eq!(SLOWED.load(Ordering::Relaxed), 0);
        for number in 0..3 * u32::try_from(REMEMBERED).unwrap() {
            let address = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number));
            let turn = throttle.turn(Some(address), "alice").await.unwrap();
            if number % 2 == 0 {
                turn.succeeded();
            }
        }
        let memory = throttle.memory();
        let most = 2 * REMEMBERED;
        assert!(memory.pairs.new.len() + memory.pairs.old.len() <= most);
        assert!(memory.networks.new.len() + memory.networks.old.len() <= most);
        let around = &memory.neighbourhoods;
        assert!(around.new.len() + around.old.len() <= most);
        assert!(memory.known.new.len() + memory.known.old.len() <= most);
    }
}
