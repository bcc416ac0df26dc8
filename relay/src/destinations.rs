//! What is known of destinations: how much is under way to each, and which of them did not answer lately.
//!
//! A *next hop* is a domain, a *host* is an address that takes its mail; many domains may share one. Both have a share
//! of the connections, so that whatever one of them does, the others get their mail. A destination that failed is left
//! alone for a while; then one message tries it, and what comes of that holds for all the others.

use hikyaku_mailstore::Claim;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

use crate::candidate::Peer;

/// Entries of a next hop that has not answered yet: it may be a tarpit, and gets few.
const STRANGER: usize = 2;
/// Connections that a host gets at first.
const INITIAL: f64 = 5.0;
/// How long a destination that failed once is left alone; twice as long after each further failure.
const BACK_OFF: Duration = Duration::from_secs(60);
/// It is never left alone for longer.
const BACK_OFF_MAX: Duration = Duration::from_secs(30 * 60);
/// Next hops, and hosts, that are remembered. Beyond that, idle ones are forgotten.
const REMEMBERED: usize = 4096;
/// Hosts of a next hop that are remembered: as many as one attempt asks.
const HOSTS: usize = 10;
/// How long an idle destination is remembered.
const MEMORY: Duration = Duration::from_secs(2 * 60 * 60);
/// A next hop that waits for its host is looked at again after this time, whatever happens.
const WAIT: Duration = Duration::from_secs(30);

/// Its last failures, one after the other.
#[derive(Debug, Clone)]
struct Trouble {
    failures: u32,
    /// When the last of them came.
    since: Instant,
    /// It is left alone until then.
    until: Instant,
    why: String,
}

#[derive(Debug)]
struct Hop {
    under_way: usize,
    /// It answered, when it was last tried.
    is_known: bool,
    trouble: Option<Trouble>,
    /// Its hosts have too much to do: until when they are waited for.
    waits_until: Option<Instant>,
    /// The hosts that its mail was for lately.
    hosts: VecDeque<Peer>,
    used: Instant,
}

#[derive(Debug)]
struct Host {
    under_way: usize,
    /// How many connections it has shown to take: one more each time that as many were answered. A host that failed
    /// begins anew.
    window: f64,
    trouble: Option<Trouble>,
    waiting: Line,
    used: Instant,
}

/// Next hops that wait until there is room, each once.
#[derive(Debug, Default)]
struct Line {
    names: VecDeque<String>,
    all: HashSet<String>,
}

impl Line {
    fn push(&mut self, name: &str) {
        if self.all.insert(name.to_owned()) {
            self.names.push_back(name.to_owned());
        }
    }

    fn pop(&mut self) -> Option<String> {
        let name = self.names.pop_front()?;
        self.all.remove(&name);
        Some(name)
    }
}

#[derive(Debug, Default)]
struct State {
    hops: HashMap<String, Hop>,
    hosts: HashMap<Peer, Host>,
}

/// All destinations.
#[derive(Debug)]
pub(crate) struct Destinations {
    state: Mutex<State>,
    /// Connections to one destination at a time.
    share: usize,
    /// The longest pause after each failure: a message's own.
    retry: Vec<Duration>,
    /// How much of a pause is kept to.
    spread: fn(Duration) -> Duration,
    /// Something may be claimed that could not be before.
    pub(crate) freed: Notify,
}

/// Whether a host may be connected to.
#[derive(Debug)]
pub(crate) enum Entrance {
    /// Now. It counts until the slot is dropped.
    Open(Slot),
    /// Its share is used up; the next hop waits for it.
    Full,
    /// It failed lately: what it said.
    Closed(String),
}

/// An entry of a next hop that is under way.
#[derive(Debug)]
pub(crate) struct UnderWay {
    destinations: Arc<Destinations>,
    next_hop: String,
}

/// A connection to a host.
#[derive(Debug)]
pub(crate) struct Slot {
    destinations: Arc<Destinations>,
    host: Peer,
    next_hop: String,
    began: Instant,
    /// How often the host failed before.
    pub(crate) failures: u32,
}

impl Hop {
    fn new(now: Instant) -> Self {
        Self {
            under_way: 0,
            is_known: false,
            trouble: None,
            waits_until: None,
            hosts: VecDeque::new(),
            used: now,
        }
    }

    fn meets(&mut self, host: &Peer) {
        if !self.hosts.contains(host) {
            self.hosts.truncate(HOSTS - 1);
            self.hosts.push_front(host.clone());
        }
    }
}

impl Host {
    fn new(now: Instant) -> Self {
        Self {
            under_way: 0,
            window: INITIAL,
            trouble: None,
            waiting: Line::default(),
            used: now,
        }
    }

    /// Returns how many connections it gets: one, as long as it is not known to have recovered, and what it has shown to
    /// take otherwise.
    fn share(&self, share: usize) -> usize {
        if self.trouble.is_some() {
            return 1;
        }
        let mut window = 1;
        while window < share && (window as f64) + 1.0 <= self.window {
            window += 1;
        }
        window
    }

    fn answered(&mut self, share: usize) {
        if self.trouble.take().is_some() {
            self.window = INITIAL;
        } else if self.share(share) < share {
            self.window += 1.0 / self.window;
        }
    }
}

impl Destinations {
    /// `share` is how many connections go to one destination; no destination is left alone for longer than a message
    /// waits after as many failures, and each for as much of a pause as `spread` returns.
    pub(crate) fn new(
        share: usize,
        retry: Vec<Duration>,
        spread: fn(Duration) -> Duration,
    ) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            share: share.max(1),
            retry,
            spread,
            freed: Notify::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn back_off(&self, failures: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1).min(16));
        let longest = BACK_OFF.saturating_mul(doubled).min(BACK_OFF_MAX);
        let step = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
        let retry = self.retry.get(step).or(self.retry.last());
        retry.map_or(longest, |retry| longest.min(*retry))
    }

    fn failed(&self, trouble: &mut Option<Trouble>, began: Instant, now: Instant, why: String) {
        let failures = match trouble {
            // What was under way beside it when it failed says nothing new.
            Some(before) if before.since >= began => before.failures,
            Some(before) => before.failures.saturating_add(1),
            None => 1,
        };
        *trouble = Some(Trouble {
            failures,
            since: now,
            until: now + (self.spread)(self.back_off(failures)),
            why,
        });
    }

    /// Adds to a claim what each next hop may still have.
    pub(crate) fn share_out(&self, mut claim: Claim, now: Instant) -> Claim {
        claim = claim.per_next_hop(STRANGER.min(self.share));
        for (name, hop) in &self.state().hops {
            let is_waiting = hop.waits_until.is_some_and(|until| now < until);
            if hop.under_way == 0 && !is_waiting {
                continue;
            }
            let share = match () {
                () if is_waiting => 0,
                () if hop.is_known => self.share,
                () => STRANGER.min(self.share),
            };
            claim = claim.share(name, share.saturating_sub(hop.under_way));
        }
        claim
    }

    /// One entry of a next hop is under way.
    pub(crate) fn begin(self: &Arc<Self>, next_hop: &str, now: Instant) -> UnderWay {
        let mut state = self.state();
        let hop = state.hop(next_hop, now);
        hop.under_way += 1;
        hop.waits_until = None;
        UnderWay {
            destinations: Arc::clone(self),
            next_hop: next_hop.to_owned(),
        }
    }

    /// Why nothing is looked up for a next hop at present.
    pub(crate) fn lookup_trouble(&self, next_hop: &str, now: Instant) -> Option<String> {
        let state = self.state();
        let trouble = state.hops.get(next_hop)?.trouble.as_ref()?;
        (now < trouble.until).then(|| trouble.why.clone())
    }

    /// What came of looking up where its mail goes: why it failed, or nothing.
    pub(crate) fn looked_up(
        &self,
        next_hop: &str,
        began: Instant,
        now: Instant,
        failed: Option<String>,
    ) {
        let mut state = self.state();
        let hop = state.hop(next_hop, now);
        match failed {
            Some(why) => {
                hop.is_known = false;
                self.failed(&mut hop.trouble, began, now, why);
            }
            None => hop.trouble = None,
        }
    }

    /// Forgets what went wrong with a next hop lately, and with the hosts that its mail was for.
    pub(crate) fn forgive(&self, next_hop: &str) {
        let mut state = self.state();
        let State { hops, hosts } = &mut *state;
        let Some(hop) = hops.get_mut(next_hop) else {
            return;
        };
        (hop.trouble, hop.waits_until) = (None, None);
        for host in hop.hosts.drain(..) {
            if let Some(host) = hosts.get_mut(&host) {
                host.trouble = None;
            }
        }
    }

    /// Asks for a connection to a host, for mail of a next hop.
    pub(crate) fn enter(self: &Arc<Self>, host: &Peer, next_hop: &str, now: Instant) -> Entrance {
        let mut state = self.state();
        state.hop(next_hop, now).meets(host);
        let known = state.host(host, now);
        let failures = known.trouble.as_ref().map_or(0, |trouble| trouble.failures);
        if let Some(trouble) = known.trouble.as_ref().filter(|one| now < one.until) {
            return Entrance::Closed(trouble.why.clone());
        }
        if known.under_way >= known.share(self.share) {
            known.waiting.push(next_hop);
            state.hop(next_hop, now).waits_until = Some(now + WAIT);
            return Entrance::Full;
        }
        known.under_way += 1;
        state.hop(next_hop, now).waits_until = None;
        Entrance::Open(self.slot(host, next_hop, now, failures))
    }

    /// Asks for a connection to another address of a host that may be connected to. `None` when it has enough, or failed
    /// lately.
    pub(crate) fn enter_too(
        self: &Arc<Self>,
        host: &Peer,
        next_hop: &str,
        now: Instant,
    ) -> Option<Slot> {
        let mut state = self.state();
        let known = state.host(host, now);
        let trouble = known.trouble.as_ref();
        let failures = trouble.map_or(0, |trouble| trouble.failures);
        let is_closed = trouble.is_some_and(|trouble| now < trouble.until);
        if is_closed || known.under_way >= known.share(self.share) {
            return None;
        }
        known.under_way += 1;
        Some(self.slot(host, next_hop, now, failures))
    }

    fn slot(self: &Arc<Self>, host: &Peer, next_hop: &str, began: Instant, failures: u32) -> Slot {
        Slot {
            destinations: Arc::clone(self),
            host: host.clone(),
            next_hop: next_hop.to_owned(),
            began,
            failures,
        }
    }
}

impl State {
    fn hop(&mut self, name: &str, now: Instant) -> &mut Hop {
        if self.hops.len() >= REMEMBERED && !self.hops.contains_key(name) {
            forget(&mut self.hops, now, |hop| {
                let waits = hop.waits_until.is_some_and(|until| now < until);
                let fails = hop.trouble.as_ref().is_some_and(|one| now < one.until);
                (hop.under_way > 0, waits || fails, hop.used)
            });
        }
        let hop = self.hops.entry(name.to_owned());
        let hop = hop.or_insert_with(|| Hop::new(now));
        hop.used = now;
        hop
    }

    fn host(&mut self, host: &Peer, now: Instant) -> &mut Host {
        if self.hosts.len() >= REMEMBERED && !self.hosts.contains_key(host) {
            forget(&mut self.hosts, now, |host| {
                let fails = host.trouble.as_ref().is_some_and(|one| now < one.until);
                (host.under_way > 0, fails, host.used)
            });
        }
        let host = self
            .hosts
            .entry(host.clone())
            .or_insert_with(|| Host::new(now));
        host.used = now;
        host
    }

    /// Lets next hops that wait for a host be claimed again: as many as it has room for, or all when it fails, since
    /// that is what they are to hear.
    fn wake(&mut self, address: &Peer, share: usize, now: Instant) {
        let Some(host) = self.hosts.get_mut(address) else {
            return;
        };
        let fails = host.trouble.as_ref().is_some_and(|one| now < one.until);
        let mut room = match fails {
            true => usize::MAX,
            false => host.share(share).saturating_sub(host.under_way),
        };
        while room > 0 {
            let Some(name) = host.waiting.pop() else {
                return;
            };
            let hop = self.hops.get_mut(&name);
            if let Some(hop) = hop.filter(|hop| hop.waits_until.is_some()) {
                hop.waits_until = None;
                room -= 1;
            }
        }
    }
}

/// Forgets what was idle for long; where that is not enough, all that is idle, and then what failed or waits. Half of
/// it is free afterwards, so that this is rare.
fn forget<K, V>(all: &mut HashMap<K, V>, now: Instant, look: impl Fn(&V) -> (bool, bool, Instant)) {
    let enough = REMEMBERED / 2;
    all.retain(|_, one| {
        let (is_busy, matters, used) = look(one);
        is_busy || matters || now.saturating_duration_since(used) < MEMORY
    });
    if all.len() > enough {
        all.retain(|_, one| look(one).0 || look(one).1);
    }
    if all.len() > enough {
        all.retain(|_, one| look(one).0);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(hop) = self.destinations.state().hops.get_mut(&self.next_hop) {
            hop.under_way = hop.under_way.saturating_sub(1);
        }
        self.destinations.freed.notify_one();
    }
}

impl Slot {
    /// The host does its work: whatever it answered, it did.
    pub(crate) fn answered(&self, now: Instant) {
        let mut state = self.destinations.state();
        let share = self.destinations.share;
        state.host(&self.host, now).answered(share);
        state.hop(&self.next_hop, now).is_known = true;
    }

    /// The host did not answer, or is not at work.
    pub(crate) fn failed(&self, now: Instant, why: String) {
        let mut state = self.destinations.state();
        let trouble = &mut state.host(&self.host, now).trouble;
        self.destinations.failed(trouble, self.began, now, why);
        state.hop(&self.next_hop, now).is_known = false;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.destinations.state();
        if let Some(host) = state.hosts.get_mut(&self.host) {
            host.under_way = host.under_way.saturating_sub(1);
        }
        state.wake(&self.host, self.destinations.share, Instant::now());
        drop(state);
        self.destinations.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use std::time::SystemTime;

    const MINUTE: Duration = Duration::from_secs(60);

    fn exact(share: usize, retry: Vec<Duration>) -> Arc<Destinations> {
        Destinations::new(share, retry, |pause| pause)
    }

    fn destinations() -> Arc<Destinations> {
        let retry = [5, 15, 30, 60].map(|minutes| minutes * MINUTE);
        exact(5, retry.into())
    }

    fn host(last: u16) -> Peer {
        Peer::Tcp(SocketAddr::from(([192, 0, 2, 1], last)))
    }

    fn shares(all: &Destinations, now: Instant, next_hop: &str) -> usize {
        let claim = Claim::new(SystemTime::UNIX_EPOCH, 100, MINUTE);
        all.share_out(claim, now).share_of(next_hop)
    }

    fn open(entrance: Entrance) -> Slot {
        match entrance {
            Entrance::Open(slot) => slot,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_stranger_gets_few_until_it_answers() {
        let (all, now) = (destinations(), Instant::now());
        assert_eq!(shares(&all, now, "a"), 2);
        let first = all.begin("a", now);
        assert_eq!(shares(&all, now, "a"), 1);
        let _second = all.begin("a", now);
        assert_eq!(shares(&all, now, "a"), 0);
        assert_eq!(shares(&all, now, "b"), 2);
        let slot = open(all.enter(&host(1), "a", now));
        slot.answered(now);
        assert_eq!(shares(&all, now, "a"), 3);
        drop(first);
        assert_eq!(shares(&all, now, "a"), 4);
        slot.failed(now, "silent".into());
        assert_eq!(shares(&all, now, "a"), 1);
    }

    #[test]
    fn a_host_that_failed_is_left_alone_and_then_one_message_tries_it() {
        let (all, began) = (destinations(), Instant::now());
        // Two at once are one failure.
        for slot in [1, 2].map(|_| open(all.enter(&host(1), "a", began))) {
            slot.failed(began + MINUTE, "silent".into());
        }
        let mut now = began + MINUTE;
        for minutes in [1, 2, 4, 8, 16, 30, 30] {
            let closed = all.enter(&host(1), "b", now + minutes * MINUTE - MINUTE / 60);
            assert!(matches!(closed, Entrance::Closed(why) if why == "silent"));
            assert!(matches!(all.enter(&host(2), "b", now), Entrance::Open(_)));
            now += minutes * MINUTE;
            let probe = open(all.enter(&host(1), "b", now));
            assert!(matches!(all.enter(&host(1), "c", now), Entrance::Full));
            probe.failed(now, "silent".into());
        }
        assert!(matches!(all.enter(&host(1), "b", now), Entrance::Closed(_)));
        let probe = open(all.enter(&host(1), "b", now + 30 * MINUTE));
        probe.answered(now);
        let _more = [1, 2, 3, 4].map(|_| open(all.enter(&host(1), "c", now)));
    }

    #[test]
    fn after_a_failure_no_pause_is_longer_than_that_of_a_message() {
        let all = exact(5, vec![Duration::from_secs(1), Duration::from_secs(90)]);
        let pauses = [1, 2, 3, u32::MAX].map(|failures| all.back_off(failures).as_secs());
        assert_eq!(pauses, [1, 90, 90, 90]);
        let pauses = [1, 2, 3, 9, u32::MAX].map(|n| destinations().back_off(n).as_secs());
        assert_eq!(pauses, [60, 120, 240, 1800, 1800]);
    }

    #[test]
    fn many_domains_of_one_host_share_its_connections_and_wait_in_order() {
        let (all, now) = (destinations(), Instant::now());
        let names: Vec<String> = (0..100).map(|n| format!("d{n}")).collect();
        let mut slots: VecDeque<Slot> = VecDeque::new();
        for name in &names {
            match all.enter(&host(1), name, now) {
                Entrance::Open(slot) => slots.push_back(slot),
                Entrance::Full => assert_eq!(shares(&all, now, name), 0),
                Entrance::Closed(why) => panic!("{why}"),
            }
        }
        assert_eq!(slots.len(), 5);
        for (nth, name) in names.iter().enumerate().skip(5) {
            let slot = slots.pop_front().unwrap();
            slot.answered(now);
            drop(slot);
            assert_eq!(shares(&all, now, name), 2, "the next one is woken");
            let behind = names.get(nth + 1).map_or(0, |name| shares(&all, now, name));
            assert_eq!(behind, 0, "and no other");
            slots.push_back(open(all.enter(&host(1), name, now)));
        }
        // Nobody waits for ever, whatever becomes of the host.
        assert!(matches!(all.enter(&host(1), "late", now), Entrance::Full));
        assert_eq!(shares(&all, now, "late"), 0);
        assert_eq!(shares(&all, now + WAIT, "late"), 2);
    }

    #[test]
    fn who_waits_for_hours_stands_in_line_once() {
        let all = exact(1, vec![MINUTE]);
        let began = Instant::now();
        let slots = [1, 2].map(|port| open(all.enter(&host(port), "a", began)));
        for minute in 0..600 {
            let now = began + minute * MINUTE;
            for name in ["b", "c"] {
                drop(all.begin(name, now));
                for port in [1, 2] {
                    assert!(matches!(all.enter(&host(port), name, now), Entrance::Full));
                }
            }
        }
        let state = all.state();
        for port in [1, 2] {
            let line = &state.hosts[&host(port)].waiting;
            assert!(line.names == ["b", "c"] && line.all.len() == 2, "{line:?}");
        }
        drop(state);
        drop(slots);
        assert_eq!(shares(&all, began + 599 * MINUTE, "b"), 1);
    }

    #[test]
    fn what_an_operator_forgives_is_tried_at_once() {
        let (all, now) = (destinations(), Instant::now());
        open(all.enter(&host(1), "a", now)).failed(now, "silent".into());
        open(all.enter(&host(2), "c", now)).failed(now, "silent".into());
        all.looked_up("a", now, now, Some("451 silent".into()));
        // It is closed for another one that has the same host, too.
        assert!(matches!(all.enter(&host(1), "b", now), Entrance::Closed(_)));
        all.forgive("nobody");
        assert!(matches!(all.enter(&host(1), "a", now), Entrance::Closed(_)));
        all.forgive("b");
        assert!(matches!(all.enter(&host(1), "a", now), Entrance::Open(_)));
        assert!(all.lookup_trouble("a", now).is_some());
        all.forgive("a");
        assert!(all.lookup_trouble("a", now).is_none());
        assert!(matches!(all.enter(&host(2), "c", now), Entrance::Closed(_)));
        for n in 0..100 {
            let _ = all.enter(&host(n), "a", now);
        }
        assert_eq!(all.state().hops["a"].hosts.len(), HOSTS);
    }

    #[test]
    fn when_a_host_fails_all_that_wait_for_it_are_woken() {
        let all = exact(1, vec![MINUTE]);
        let now = Instant::now();
        let slot = open(all.enter(&host(1), "a", now));
        for name in ["b", "c", "d"] {
            assert!(matches!(all.enter(&host(1), name, now), Entrance::Full));
        }
        slot.failed(now, "refused".into());
        drop(slot);
        for name in ["b", "c", "d"] {
            assert_eq!(shares(&all, now, name), 1);
            assert!(matches!(
                all.enter(&host(1), name, now),
                Entrance::Closed(_)
            ));
        }
    }

    #[test]
    fn a_lookup_that_failed_is_not_repeated_for_each_message() {
        let (all, began) = (destinations(), Instant::now());
        assert_eq!(all.lookup_trouble("a", began), None);
        all.looked_up("a", began, began, Some("451 silent".into()));
        assert_eq!(
            all.lookup_trouble("a", began).as_deref(),
            Some("451 silent")
        );
        assert_eq!(all.lookup_trouble("b", began), None);
        let later = began + MINUTE;
        assert_eq!(all.lookup_trouble("a", later), None);
        all.looked_up("a", later, later, None);
        assert_eq!(all.lookup_trouble("a", later), None);
    }

    #[test]
    fn a_host_gets_as_many_connections_as_it_takes() {
        let (all, now) = (exact(20, vec![MINUTE]), Instant::now());
        let fill = |now| {
            let mut slots = Vec::new();
            while let Entrance::Open(slot) = all.enter(&host(1), "a", now) {
                slots.push(slot);
            }
            slots
        };
        let mut counts = Vec::new();
        for _ in 0..4 {
            let slots = fill(now);
            counts.push(slots.len());
            slots.iter().for_each(|slot| slot.answered(now));
        }
        assert_eq!(counts, [5, 5, 6, 7]);
        for _ in 0..40 {
            fill(now).iter().for_each(|slot| slot.answered(now));
        }
        assert_eq!(fill(now).len(), 20);
        fill(now)
            .iter()
            .take(10)
            .for_each(|slot| slot.failed(now, "silent".into()));
        let later = now + MINUTE;
        let probe = fill(later);
        assert_eq!(probe.len(), 1);
        probe[0].answered(later);
        drop(probe);
        assert_eq!(fill(later).len(), 5);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (all, now) = (destinations(), Instant::now());
        let kept = open(all.enter(&host(0), "kept", now));
        let under_way = all.begin("kept", now);
        for n in 1..20_000_u32 {
            let address = SocketAddr::from((std::net::Ipv4Addr::from(n), 25));
            let slot = open(all.enter(&Peer::Tcp(address), &format!("d{n}"), now));
            slot.failed(now, "refused".into());
            all.looked_up(&format!("d{n}"), now, now, Some("silent".into()));
        }
        let state = all.state();
        assert!(state.hops.len() <= REMEMBERED && state.hosts.len() <= REMEMBERED);
        assert!(state.hops["kept"].under_way == 1 && state.hosts[&host(0)].under_way == 1);
        drop(state);
        drop((kept, under_way));
    }
}
