//! Faults of the relay queue.

use bytes::Bytes;
use hikyaku_mailstore::*;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::fault::Fault;
use super::store::{Faulty, Life};

/// Where a claim looks at few entries.
const FEW: usize = 16;

impl Faulty {
    pub(super) async fn entry(&self, id: QueueId) -> Option<QueueEntry> {
        let all = self.inner.queue(None, usize::MAX).await.ok()?;
        all.into_iter().find(|entry| entry.id == id)
    }

    /// Looks whether the queue is empty: its numbers may begin anew.
    pub(super) async fn note_queue(&self) {
        if !self.has(Fault::QueueNumbersAgain) {
            return;
        }
        let all = self.inner.queue(None, usize::MAX).await.unwrap_or_default();
        let mut memo = self.memo();
        match all.last() {
            Some(last) => memo.numbers = memo.numbers.max(last.id.0),
            None => memo.queue_offset = memo.numbers,
        }
    }

    fn entry_seen(&self, entry: &mut QueueEntry) {
        for fault in &*self.faults {
            match fault {
                Fault::QueuedForSystem => entry.account = AccountId::SYSTEM,
                Fault::QueueNumbersAgain => entry.id.0 -= self.memo().queue_offset,
                _ => {}
            }
        }
    }

    pub(super) async fn queue_seen(
        &self,
        after: Option<QueueId>,
        limit: usize,
    ) -> Result<Vec<QueueEntry>> {
        let offset = match self.has(Fault::QueueNumbersAgain) {
            true => self.memo().queue_offset,
            false => 0,
        };
        let mut behind = after.map(|QueueId(id)| QueueId(id.saturating_add(offset)));
        if self.has(Fault::QueueFromAfter) {
            behind = behind.and_then(|id| id.0.checked_sub(1)).map(QueueId);
        }
        let most = match self.has(Fault::QueueUnlimited) {
            true => usize::MAX,
            false => limit,
        };
        let mut all = self.inner.queue(behind, most).await?;
        let killed = self.life == Life::Killed && self.has(Fault::KillLosesLastCommit);
        if self.lost(Fault::RestartLosesQueue) || killed {
            all.clear();
        }
        if self.has(Fault::QueueHidesClaimed) {
            all.retain(|entry| entry.token == 0);
        }
        all.extend(self.memo().entries.iter().cloned());
        for entry in &mut all {
            self.entry_seen(entry);
        }
        Ok(all)
    }

    /// Claims all that is due, keeps what `order` puts first, and gives the rest back.
    async fn claimed_by(
        &self,
        claim: &Claim,
        order: impl Fn(&QueueEntry, SystemTime) -> (Option<Duration>, QueueId),
    ) -> Result<Vec<QueueEntry>> {
        let was = self.inner.queue(None, usize::MAX).await?;
        let was: BTreeMap<_, _> = was.into_iter().map(|entry| (entry.id, entry)).collect();
        let due = |entry: &QueueEntry| was.get(&entry.id).map_or(claim.now, |was| was.due);
        let mut whole = claim.clone();
        (whole.limit, whole.per_next_hop) = (usize::MAX, usize::MAX);
        whole.shares.clear();
        let mut all = self.inner.claim(&whole).await?;
        all.sort_by_key(|entry| order(entry, due(entry)));
        let (mut kept, mut counts) = (Vec::new(), BTreeMap::new());
        for (n, entry) in all.into_iter().enumerate() {
            let hidden = n >= FEW && self.has(Fault::ClaimsSeeFewDue);
            let count = counts.entry(entry.next_hop.clone()).or_insert(0);
            if kept.len() < claim.limit && *count < claim.share_of(&entry.next_hop) && !hidden {
                *count += 1;
                kept.push(entry);
                continue;
            }
            let again = Some((due(&entry), entry.envelope.clone()));
            let (id, token) = (entry.id, entry.token);
            let back = Operation::Settle { id, token, again };
            let back = Transaction::new(AccountId::SYSTEM).with(back);
            self.inner.commit(back).await?;
        }
        Ok(kept)
    }

    pub(super) async fn claimed(&self, asked: &Claim) -> Result<Vec<QueueEntry>> {
        let mut claim = asked.clone();
        self.memo().owners.insert(claim.owner);
        for fault in &*self.faults {
            match fault {
                Fault::ClaimsEarly => claim.now += Duration::from_secs(3600),
                Fault::ClaimsUnlimited => claim.limit = usize::MAX,
                Fault::OneNextHopTakesAll => claim.per_next_hop = usize::MAX,
                Fault::SharesIgnored => claim.shares.clear(),
                Fault::OnlyIgnored => claim.only = None,
                Fault::OnlyWhatIsDue => {
                    let due = self.inner.queue(None, usize::MAX).await?;
                    let due: Vec<_> = due.iter().filter(|entry| entry.due <= claim.now).collect();
                    let is_due = |id: &QueueId| due.iter().any(|entry| entry.id == *id);
                    claim.only.iter_mut().for_each(|only| only.retain(is_due));
                }
                Fault::ShareOfNoneIgnored => claim.shares.retain(|_, share| *share > 0),
                _ => {}
            }
        }
        let since = |due: SystemTime| due.duration_since(SystemTime::UNIX_EPOCH).ok();
        let mut claimed = if self.has(Fault::ClaimsNewest) {
            let newest = |entry: &QueueEntry, due| {
                let age = since(due).map(|due| Duration::MAX.saturating_sub(due));
                (age, entry.id)
            };
            self.claimed_by(&claim, newest).await?
        } else if self.has(Fault::ClaimsByNumber) {
            self.claimed_by(&claim, |entry, _| (None, entry.id)).await?
        } else if self.has(Fault::ClaimsSeeFewDue) {
            self.claimed_by(&claim, |entry, due| (since(due), entry.id))
                .await?
        } else {
            self.inner.claim(&claim).await?
        };
        for fault in &*self.faults {
            let mut memo = self.memo();
            match fault {
                Fault::ClaimsEarly => {
                    for entry in &mut claimed {
                        entry.due = asked.now + asked.ttl;
                    }
                }
                Fault::ClaimSaysNow => {
                    for entry in &mut claimed {
                        entry.due = asked.now;
                    }
                }
                Fault::ClaimedTwice => {
                    let room = asked.limit.saturating_sub(claimed.len());
                    let held = std::mem::take(&mut memo.held);
                    memo.held
                        .extend(claimed.iter().map(|entry| (entry.id, entry.clone())));
                    let own = |entry: &QueueEntry| memo.held.contains_key(&entry.id);
                    let others: Vec<_> = held.into_values().filter(|entry| !own(entry)).collect();
                    claimed.extend(others.into_iter().take(room));
                }
                Fault::ClaimsNeverEnd => {
                    claimed.retain(|entry| memo.held.insert(entry.id, entry.clone()).is_none());
                }
                Fault::TokensAlike => {
                    for entry in &mut claimed {
                        entry.token = entry.id.0;
                    }
                }
                _ => {}
            }
        }
        for entry in &mut claimed {
            self.entry_seen(entry);
        }
        Ok(claimed)
    }

    /// Alters what is done to the queue.
    pub(super) async fn alter_queue(&self, fault: Fault, operation: &mut Operation) {
        match operation {
            Operation::Enqueue {
                due,
                next_hop,
                envelope,
                ..
            } => match fault {
                Fault::EnvelopeLost => *envelope = Bytes::new(),
                Fault::DueInSeconds => {
                    let since = due
                        .duration_since(SystemTime::UNIX_EPOCH)
                        .unwrap_or_default();
                    *due = SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs());
                }
                Fault::NextHopFolded => *next_hop = next_hop.to_lowercase(),
                _ => {}
            },
            Operation::Settle { id, token, again } => {
                if fault == Fault::QueueNumbersAgain {
                    id.0 += self.memo().queue_offset;
                }
                self.memo().held.remove(id);
                let Some(entry) = self.entry(*id).await else {
                    return;
                };
                match fault {
                    Fault::AnyTokenSettles => *token = entry.token,
                    Fault::TokensAlike if *token == id.0 => *token = entry.token,
                    Fault::ReleasedStillSettle if self.memo().released.get(id) == Some(token) => {
                        let (key, value) = ("nobody has set it".into(), None);
                        *operation = Operation::SetProperty { key, value };
                    }
                    Fault::BadSettleSkipped if *token != entry.token => {
                        let (key, value) = ("nobody has set it".into(), None);
                        *operation = Operation::SetProperty { key, value };
                    }
                    Fault::SettledStays if again.is_none() => {
                        *again = Some((entry.due, entry.envelope));
                    }
                    Fault::AgainAtOnce => {
                        if let Some((due, _)) = again {
                            *due = SystemTime::UNIX_EPOCH;
                        }
                    }
                    Fault::AgainKeepsEnvelope => {
                        if let Some((_, envelope)) = again {
                            *envelope = entry.envelope;
                        }
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    pub(super) async fn given_back(&self, owner: u32, now: SystemTime) -> Result<u64> {
        if self.has(Fault::NothingReleased) {
            return Ok(0);
        }
        let all = self.inner.queue(None, usize::MAX).await?;
        let held = all.iter().filter(|entry| entry.is_held_by(owner));
        let held: Vec<_> = held.map(|entry| (entry.id, entry.token)).collect();
        for (id, token) in held {
            let mut memo = self.memo();
            memo.released.insert(id, token);
            memo.held.remove(&id);
        }
        let mut released = self.inner.release_claims(owner, now).await?;
        if self.has(Fault::AllReleased) {
            let owners = self.memo().owners.clone();
            for other in owners {
                self.inner.release_claims(other, now).await?;
            }
        }
        if self.has(Fault::ReleasedMiscounted) {
            released += 1;
        }
        Ok(released)
    }

    pub(super) async fn counted(&self, now: SystemTime) -> Result<QueueLength> {
        let mut length = self.inner.queue_length(now).await?;
        if self.has(Fault::ParkedCounted) {
            length.waiting += std::mem::take(&mut length.parked);
        }
        Ok(length)
    }

    pub(super) async fn clamped(&self, latest: SystemTime) -> Result<u64> {
        if self.has(Fault::NothingClamped) {
            return Ok(0);
        }
        let clamped = self.inner.clamp_due(latest).await?;
        if self.has(Fault::ParkedForAWhile) {
            let all = self.inner.queue(None, usize::MAX).await?;
            let parked = all.iter().filter(|entry| entry.is_parked());
            let parked = parked.map(|entry| entry.id);
            let all = Claim::new(latest, usize::MAX, Duration::ZERO).only(parked);
            for entry in self.inner.claim(&all).await? {
                let again = Some((latest, entry.envelope));
                let (id, token) = (entry.id, entry.token);
                let forward = Operation::Settle { id, token, again };
                let forward = Transaction::new(AccountId::SYSTEM).with(forward);
                self.inner.commit(forward).await?;
            }
        }
        if self.has(Fault::ClampEndsClaims) {
            let owners = self.memo().owners.clone();
            for owner in owners {
                self.inner.release_claims(owner, latest).await?;
            }
        }
        if self.has(Fault::ClampedMiscounted) {
            let all = self.inner.queue(None, usize::MAX).await?;
            return Ok(all.len() as u64);
        }
        Ok(clamped)
    }
}
