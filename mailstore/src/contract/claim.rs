//! Claims on queue entries: who holds them, how many for each next hop, and for how long.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use crate::{Error, QueueId, Result};

/// Entries for one next hop that a claim returns, unless it says otherwise.
const PER_NEXT_HOP: usize = 8;

/// Which queue entries [`Store::claim`](crate::Store::claim) leases, and to whom.
///
/// ```
/// use hikyaku_mailstore::Claim;
/// use std::time::{Duration, SystemTime};
/// let claim = Claim::new(SystemTime::now(), 100, Duration::from_secs(1200))
///     .owner(7)
///     .per_next_hop(2)
///     .share("slow.example", 0);
/// assert_eq!(claim.share_of("slow.example"), 0);
/// assert_eq!(claim.share_of("other.example"), 2);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claim {
    /// Entries due by then are claimed. Times are the caller's, so that a test can set the clock.
    pub now: SystemTime,
    /// How many entries at most.
    pub limit: usize,
    /// How long the claims hold.
    pub ttl: Duration,
    /// The number of the process that claims: the same after a restart, and different for each process that shares
    /// the store. [`Store::release_claims`](crate::Store::release_claims) gives back the claims of one owner.
    pub owner: u32,
    /// How many entries for one next hop at most. A claim does not count what earlier ones returned.
    pub per_next_hop: usize,
    /// Next hops for which another number holds; none are claimed where it is 0.
    pub shares: HashMap<String, usize>,
    /// Only these entries, whether they are due or not, and however many there are for a next hop.
    pub only: Option<Vec<QueueId>>,
}

impl Claim {
    /// Creates a claim to at most `limit` entries that are due at `now`, at most 8 for one next hop, held for `ttl`.
    #[must_use]
    pub fn new(now: SystemTime, limit: usize, ttl: Duration) -> Self {
        Self {
            now,
            limit,
            ttl,
            owner: 0,
            per_next_hop: PER_NEXT_HOP,
            shares: HashMap::new(),
            only: None,
        }
    }

    /// Claims only these entries, whether they are due or not: what an operator changes. Those that somebody holds
    /// already are left out, and shares of next hops do not matter.
    ///
    /// ```
    /// use hikyaku_mailstore::{Claim, QueueId};
    /// use std::time::{Duration, SystemTime};
    /// let claim = Claim::new(SystemTime::now(), 1, Duration::from_secs(60)).only([QueueId(7)]);
    /// assert_eq!(claim.only, Some(vec![QueueId(7)]));
    /// ```
    #[must_use]
    pub fn only(mut self, entries: impl IntoIterator<Item = QueueId>) -> Self {
        self.only = Some(entries.into_iter().collect());
        self
    }

    /// Sets the owner of the claims; 0 by default.
    #[must_use]
    pub fn owner(mut self, owner: u32) -> Self {
        self.owner = owner;
        self
    }

    /// Sets how many entries for one next hop are claimed at most; 8 by default.
    #[must_use]
    pub fn per_next_hop(mut self, count: usize) -> Self {
        self.per_next_hop = count;
        self
    }

    /// Sets how many entries for this next hop are claimed at most, instead of
    /// [`per_next_hop`](Self::per_next_hop); 0 claims none.
    #[must_use]
    pub fn share(mut self, next_hop: impl Into<String>, count: usize) -> Self {
        self.shares.insert(next_hop.into(), count);
        self
    }

    /// Returns how many entries for that next hop are claimed at most.
    #[must_use]
    pub fn share_of(&self, next_hop: &str) -> usize {
        if self.only.is_some() {
            return usize::MAX;
        }
        let share = self.shares.get(next_hop).copied();
        share.unwrap_or(self.per_next_hop)
    }
}

/// Counts what a claim has found so far.
pub(crate) struct Shares<'a> {
    claim: &'a Claim,
    found: HashMap<String, usize>,
}

impl<'a> Shares<'a> {
    pub(crate) fn new(claim: &'a Claim) -> Self {
        let found = HashMap::new();
        Self { claim, found }
    }

    /// Whether one more entry for that next hop may be claimed, which then counts.
    pub(crate) fn admit(&mut self, next_hop: &str) -> bool {
        let share = self.claim.share_of(next_hop);
        match self.found.get_mut(next_hop) {
            Some(found) if *found >= share => return false,
            Some(found) => *found += 1,
            None if share == 0 => return false,
            None => drop(self.found.insert(next_hop.to_owned(), 1)),
        }
        true
    }
}

/// The proof of a new claim: its upper half names the owner, the lower one is random and not 0.
pub(crate) fn token(owner: u32) -> Result<u64> {
    let proof = getrandom::u32().map_err(|_| Error::Limit("random numbers"))?;
    Ok(u64::from(owner) << 32 | u64::from(proof.max(1)))
}

/// Whether a token is of a claim that the owner holds; 0 is of none.
pub(crate) fn is_held_by(owner: u32, token: u64) -> bool {
    token != 0 && token >> 32 == u64::from(owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_owner_and_is_never_none() {
        for owner in [0, 1, u32::MAX] {
            let token = token(owner).unwrap();
            assert!(is_held_by(owner, token));
            assert!(!is_held_by(owner ^ 1, token));
            assert!(!is_held_by(owner, 0));
        }
    }

    #[test]
    fn shares_count_each_next_hop_alone() {
        let claim = Claim::new(SystemTime::UNIX_EPOCH, 9, Duration::ZERO);
        let claim = claim.per_next_hop(2).share("none", 0).share("one", 1);
        let mut shares = Shares::new(&claim);
        let admitted = ["a", "none", "a", "one", "a", "b", "one"].map(|hop| shares.admit(hop));
        assert_eq!(admitted, [true, false, true, true, false, true, false]);
    }
}
