//! A limit by time for each address, and a wider one for the network around it.

use hikyaku_service::{Limiter, Rate};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use webmail::{neighbourhood, network};

/// How many times as much all addresses of a /24, or all networks of a /48, may do together.
const WIDER: u32 = 4;
/// How many of each are remembered: about 10 MiB for one limit.
const REMEMBERED: usize = 50_000;

/// A number that says what is counted, and from where.
type Key = (u8, IpAddr);

/// What comes from an IPv4 address or an IPv6 /64, and from the /24 or /48 around it.
pub(super) struct ByNetwork(Mutex<Both>);

struct Both {
    near: Limiter<Key>,
    around: Limiter<Key>,
}

impl ByNetwork {
    /// `count` in `time`; `None` for 0, which is no limit.
    pub(super) fn per(count: u32, time: Duration) -> Option<Self> {
        let around = Rate::per(count.saturating_mul(WIDER), time)?;
        Some(Self(Mutex::new(Both {
            near: Limiter::new(Rate::per(count, time)?, REMEMBERED),
            around: Limiter::new(around, REMEMBERED),
        })))
    }

    fn both(&self) -> MutexGuard<'_, Both> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes `count`, or nothing. The error is how long it takes until there are that many.
    pub(super) fn take(
        &self,
        what: u8,
        address: IpAddr,
        count: u32,
        now: Instant,
    ) -> Result<(), Duration> {
        let (near, around) = keys(what, address);
        let mut both = self.both();
        let wait = both.around.wait(&around, count, now);
        if !wait.is_zero() {
            return Err(wait);
        }
        both.near.take(&near, count, now)?;
        both.around.take(&around, count, now)
    }

    /// Takes `count`, whether there are that many or not. What an address owes is its own: those around it do not pay.
    pub(super) fn charge(&self, what: u8, address: IpAddr, count: u32, now: Instant) {
        let (near, around) = keys(what, address);
        let mut both = self.both();
        if both.near.wait(&near, count, now).is_zero() {
            both.around.charge(&around, count, now);
        }
        both.near.charge(&near, count, now);
    }

    /// How long it takes until `count` can be taken.
    pub(super) fn wait(&self, what: u8, address: IpAddr, count: u32, now: Instant) -> Duration {
        let (near, around) = keys(what, address);
        let both = self.both();
        let wait = both.near.wait(&near, count, now);
        wait.max(both.around.wait(&around, count, now))
    }

    /// Whether half of what an address, or the network around it, may take is gone.
    pub(super) fn is_half_taken(&self, what: u8, address: IpAddr, now: Instant) -> bool {
        let (near, around) = keys(what, address);
        let both = self.both();
        let is_half = |limiter: &Limiter<Key>, key: &Key| {
            limiter.taken(key, now) > limiter.rate().at_once() / 2
        };
        is_half(&both.near, &near) || is_half(&both.around, &around)
    }

    pub(super) fn give_back(&self, what: u8, address: IpAddr, count: u32, now: Instant) {
        let (near, around) = keys(what, address);
        let mut both = self.both();
        both.near.give_back(&near, count, now);
        both.around.give_back(&around, count, now);
    }
}

fn keys(what: u8, address: IpAddr) -> (Key, Key) {
    let (near, around) = (network(address), neighbourhood(address));
    ((what, near), (what, around))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn an_address_has_its_share_and_all_around_it_have_four() {
        let (limit, now) = (ByNetwork::per(10, MINUTE).unwrap(), Instant::now());
        for (format, others) in [
            ("192.0.2.", "198.51.100.1"),
            ("2001:db8:1:", "2001:db8:2::1"),
        ] {
            let at = |number: u32| {
                let text = match format.contains(':') {
                    true => format!("{format}{number:x}::1"),
                    false => format!("{format}{number}"),
                };
                text.parse().unwrap()
            };
            let count = |address: IpAddr| {
                let many = (0..100).filter(|_| limit.take(0, address, 1, now).is_ok());
                many.count()
            };
            let counts: Vec<_> = (1..9).map(|number| count(at(number))).collect();
            assert_eq!(counts, [10, 10, 10, 10, 0, 0, 0, 0], "{format}");
            // What is refused for the network around takes nothing from the address.
            let near = keys(0, at(8)).0;
            assert_eq!(limit.both().near.taken(&near, now), 0);
            assert!(limit.is_half_taken(0, at(1), now) && limit.is_half_taken(0, at(8), now));
            let other = others.parse().unwrap();
            for number in 0..10 {
                assert_eq!(limit.is_half_taken(0, other, now), number > 5);
                limit.take(0, other, 1, now).unwrap();
            }
            assert!(limit.take(1, at(1), 1, now).is_ok(), "something else");
        }
    }

    #[test]
    fn an_address_owes_for_itself_alone() {
        let (limit, now) = (ByNetwork::per(10, MINUTE).unwrap(), Instant::now());
        let (address, beside) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        for _ in 0..100 {
            limit.charge(0, address, 1, now);
        }
        assert!(limit.wait(0, address, 1, now) > MINUTE);
        for _ in 0..10 {
            limit.take(0, beside, 1, now).unwrap();
        }
    }

    #[test]
    fn what_is_given_back_is_there_for_both() {
        let (limit, now) = (ByNetwork::per(1, MINUTE).unwrap(), Instant::now());
        let address = IpAddr::from([192, 0, 2, 1]);
        for _ in 0..100 {
            limit.take(0, address, 1, now).unwrap();
            assert_eq!(limit.wait(0, address, 1, now), MINUTE);
            limit.give_back(0, address, 1, now);
        }
        assert!(ByNetwork::per(0, MINUTE).is_none());
    }
}
