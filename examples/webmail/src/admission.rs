//! Admission of connections: how many there may be in all, for each purpose, and from each network.
//!
//! One purpose cannot take the places of the others: each has some that are kept for it. At a limit, a connection that
//! has not yet shown whose it is makes room for a new one, the oldest first, so that a peer that opens connections and
//! is silent closes its own.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How many strangers are looked at for one that may be displaced.
const LOOKED_AT: usize = 16;

/// Limits on the connections at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// Connections in all.
    pub total: usize,
    /// Connections for one purpose from one network.
    pub per_network: usize,
    /// Places kept for each purpose, which the others cannot take; all purposes together keep at most half of
    /// `total`.
    pub kept: usize,
}

/// Returns the network that a peer's connections are counted by: its IPv4 address, or the /64 of its IPv6
/// address, which one subscriber has.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// Returns the network around a peer: the /24 of its IPv4 address, or the /48 of its IPv6 address, which one site has.
#[must_use]
pub fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, 0))
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
        }
    }
}

/// The open connections. Everything kept about them goes with them, and each costs the same, however
/// many there are.
#[derive(Debug)]
pub struct Admission {
    places: Places,
    now: Mutex<Now>,
}

#[derive(Debug)]
struct Now {
    next: u64,
    /// Connections beyond those that are kept for their purpose.
    beyond: usize,
    purposes: Vec<Purpose>,
    networks: HashMap<(usize, IpAddr), Network>,
}

#[derive(Debug, Default)]
struct Purpose {
    count: usize,
    /// Those that have not shown whose they are, the oldest first.
    strangers: BTreeMap<u64, Arc<Guest>>,
}

#[derive(Debug, Default)]
struct Network {
    count: usize,
    strangers: BTreeMap<u64, Arc<Guest>>,
}

#[derive(Debug)]
struct Guest {
    id: u64,
    purpose: usize,
    network: IpAddr,
    since: Instant,
    /// How old it is when it may be displaced.
    patience: Duration,
    settled: AtomicBool,
    /// It has no place any more.
    gone: AtomicBool,
    leave: Notify,
}

/// A connection that has a place, until this is dropped.
#[derive(Debug)]
pub struct Admitted {
    admission: Arc<Admission>,
    guest: Arc<Guest>,
    /// The address of the peer.
    pub peer: SocketAddr,
    /// The number of the connection, for logs.
    pub id: u64,
}

impl Admission {
    /// Creates an admission without connections. A purpose is a number below `purposes`.
    #[must_use]
    pub fn new(mut places: Places, purposes: usize) -> Arc<Self> {
        places.kept = places.kept.min(places.total / (2 * purposes.max(1)));
        Arc::new(Self {
            places,
            now: Mutex::new(Now {
                next: 1,
                beyond: 0,
                purposes: (0..purposes).map(|_| Purpose::default()).collect(),
                networks: HashMap::new(),
            }),
        })
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a connection a place, if need be that of another one, which was admitted longer ago than the
    /// `patience` it was given and has not [settled](Admitted::settle). `None` when there is none.
    pub fn admit(
        self: &Arc<Self>,
        purpose: usize,
        peer: SocketAddr,
        patience: Duration,
    ) -> Option<Admitted> {
        let network = network(peer.ip());
        let mut now = self.now();
        let here = now.networks.get(&(purpose, network));
        if here.is_some_and(|here| here.count >= self.places.per_network) {
            let displaced = here.and_then(|here| displaceable(&here.strangers))?;
            self.displace(&mut now, &displaced);
        } else if !self.has_room(&now, purpose) {
            let of_purpose = now.purposes.get(purpose)?;
            let displaced = displaceable(&of_purpose.strangers)?;
            self.displace(&mut now, &displaced);
        }
        let id = now.next;
        now.next += 1;
        let guest = Arc::new(Guest {
            id,
            purpose,
            network,
            since: Instant::now(),
            patience,
            settled: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            leave: Notify::new(),
        });
        let of_purpose = now.purposes.get_mut(purpose)?;
        of_purpose.count += 1;
        of_purpose.strangers.insert(id, Arc::clone(&guest));
        let is_beyond = of_purpose.count > self.places.kept;
        now.beyond += usize::from(is_beyond);
        let here = now.networks.entry((purpose, network)).or_default();
        here.count += 1;
        here.strangers.insert(id, Arc::clone(&guest));
        drop(now);
        Some(Admitted {
            admission: Arc::clone(self),
            guest,
            peer,
            id,
        })
    }

    fn has_room(&self, now: &Now, purpose: usize) -> bool {
        let count = now.purposes.get(purpose).map_or(0, |one| one.count);
        let shared = self.places.total - self.places.kept * now.purposes.len();
        count < self.places.kept || now.beyond < shared
    }

    fn displace(&self, now: &mut Now, guest: &Guest) {
        self.leave(now, guest);
        guest.leave.notify_waiters();
    }

    /// Gives a place back, once.
    fn leave(&self, now: &mut Now, guest: &Guest) {
        if guest.gone.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Some(of_purpose) = now.purposes.get_mut(guest.purpose) {
            let was_beyond = of_purpose.count > self.places.kept;
            of_purpose.count -= 1;
            of_purpose.strangers.remove(&guest.id);
            now.beyond -= usize::from(was_beyond);
        }
        let key = (guest.purpose, guest.network);
        if let Some(here) = now.networks.get_mut(&key) {
            here.count -= 1;
            here.strangers.remove(&guest.id);
            if here.count == 0 {
                now.networks.remove(&key);
            }
        }
    }
}

/// The oldest of some, if it is old enough.
fn displaceable(strangers: &BTreeMap<u64, Arc<Guest>>) -> Option<Arc<Guest>> {
    let is_old = |guest: &&Arc<Guest>| guest.since.elapsed() >= guest.patience;
    strangers
        .values()
        .take(LOOKED_AT)
        .find(is_old)
        .map(Arc::clone)
}

impl Admitted {
    /// Marks the connection as settled: it has logged in or is in the middle of something, so it is not
    /// displaced any more.
    pub fn settle(&self) {
        let mut now = self.admission.now();
        let guest = &self.guest;
        guest.settled.store(true, Ordering::Release);
        if let Some(of_purpose) = now.purposes.get_mut(guest.purpose) {
            of_purpose.strangers.remove(&guest.id);
        }
        if let Some(here) = now.networks.get_mut(&(guest.purpose, guest.network)) {
            here.strangers.remove(&guest.id);
        }
    }

    /// Returns whether [`settle`](Self::settle) was called.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.guest.settled.load(Ordering::Acquire)
    }

    /// Resolves when another connection has taken this one's place, so that it has to end.
    pub async fn displaced(&self) {
        let mut leave = pin!(self.guest.leave.notified());
        // Whoever listens hears of it, also when it happens between these two.
        leave.as_mut().enable();
        if !self.guest.gone.load(Ordering::Acquire) {
            leave.await;
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut now = self.admission.now();
        self.admission.leave(&mut now, &self.guest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: Places = Places {
        total: 12,
        per_network: 3,
        kept: 2,
    };
    const LONG: Duration = Duration::from_secs(3600);

    fn peer(text: &str) -> SocketAddr {
        SocketAddr::new(text.parse().unwrap(), 1)
    }

    fn settled(
        admission: &Arc<Admission>,
        purpose: usize,
        from: impl Iterator<Item = u8>,
    ) -> Vec<Admitted> {
        let peers = from.map(|n| peer(&format!("192.0.2.{n}")));
        let all = peers.filter_map(|peer| admission.admit(purpose, peer, LONG));
        all.inspect(Admitted::settle).collect()
    }

    fn is_empty(admission: &Admission) -> bool {
        let now = admission.now();
        let none = |one: &Purpose| one.count == 0 && one.strangers.is_empty();
        now.networks.is_empty() && now.beyond == 0 && now.purposes.iter().all(none)
    }

    #[test]
    fn a_network_is_an_address_or_a_64() {
        let same = [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8::1", "2001:db8::ffff:1:2:3", true),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
        ];
        for (one, other, is_same) in same {
            let [one, other] = [one, other].map(|text| network(text.parse().unwrap()));
            assert_eq!(one == other, is_same, "{one} {other}");
        }
    }

    #[test]
    fn a_neighbourhood_is_a_24_or_a_48() {
        for (one, other, is_same) in [
            ("192.0.2.1", "192.0.2.254", true),
            ("192.0.2.1", "192.0.3.1", false),
            ("192.0.2.1", "::ffff:192.0.2.9", true),
            ("2001:db8:0:1::1", "2001:db8:0:ffff::1", true),
            ("2001:db8:1::1", "2001:db8:2::1", false),
        ] {
            let [one, other] = [one, other].map(|text| neighbourhood(text.parse().unwrap()));
            assert_eq!(one == other, is_same, "{one} {other}");
        }
    }

    #[test]
    fn a_network_has_no_more_than_its_places_for_each_purpose() {
        let admission = Admission::new(PLACES, 3);
        for addresses in [["192.0.2.9"; 4], ["2001:db8::1"; 4]] {
            let all: Vec<_> = addresses
                .iter()
                .map(|address| admission.admit(0, peer(address), LONG))
                .collect();
            let admitted: Vec<_> = all.iter().map(Option::is_some).collect();
            assert_eq!(admitted, [true, true, true, false], "{addresses:?}");
            let other = admission.admit(1, peer(addresses[0]), LONG);
            assert!(other.is_some(), "another purpose has places of its own");
        }
        let hosts = (1..6).map(|n| peer(&format!("2001:db8:7::{n}")));
        let all: Vec<_> = hosts
            .filter_map(|peer| admission.admit(0, peer, LONG))
            .collect();
        assert_eq!(all.len(), 3, "a /64 is one network");
        drop(all);
        assert!(is_empty(&admission), "{admission:?}");
    }

    #[test]
    fn no_purpose_takes_the_places_of_the_others() {
        let admission = Admission::new(PLACES, 3);
        let all = settled(&admission, 0, 1..100);
        // Six are shared, and two its own.
        assert_eq!(all.len(), 8);
        let [second, third] = [1, 2].map(|purpose| settled(&admission, purpose, 1..100));
        assert_eq!((second.len(), third.len()), (2, 2));
        drop(all);
        assert_eq!(settled(&admission, 2, 1..100).len(), 6);
        drop((second, third));
        assert!(is_empty(&admission), "{admission:?}");
    }

    #[tokio::test]
    async fn a_stranger_makes_room_once_it_had_its_time_and_nobody_else_does() {
        let admission = Admission::new(PLACES, 3);
        let one = peer("192.0.2.1");
        let settled = admission.admit(0, one, Duration::ZERO).unwrap();
        settled.settle();
        let young = admission.admit(0, one, LONG).unwrap();
        let old = admission.admit(0, one, Duration::ZERO).unwrap();
        let newcomer = admission.admit(0, one, LONG).unwrap();
        old.displaced().await;
        let soon = |one: &Admitted| one.guest.gone.load(Ordering::Acquire);
        assert!(!soon(&settled) && !soon(&young) && !soon(&newcomer));
        assert!(admission.admit(0, one, LONG).is_none());
        // Also where all places of a purpose are taken, and not only those of a network.
        let others = (2..10).map(|n| peer(&format!("192.0.2.{n}")));
        let crowd: Vec<_> = others
            .map(|peer| admission.admit(0, peer, Duration::ZERO).unwrap())
            .collect();
        assert_eq!(crowd.iter().filter(|one| soon(one)).count(), 3);
        drop((settled, young, old, newcomer, crowd));
        assert!(is_empty(&admission), "{admission:?}");
    }
}
