//! Questions whose answers come in several untagged lines: all of them count, until the tagged end.
//!
//! Servers cut a long SEARCH into lines of a hundred UIDs, or of one, in any order, some with the same UID
//! twice, some as ESEARCH. Whoever takes one line for the answer takes mail for gone that is there.

use hikyaku_imap_proto::client::Event;
use hikyaku_imap_proto::{
    Command, ESearch, Fetch, FetchAttribute, Numbers, Response, ResponseCode, Search, SearchKey,
    SequenceSet,
};
use std::collections::BTreeSet;

use super::{Session, accepted};
use crate::{Error, Result};

/// How many UIDs one answer may have: a server that lists more is not believed.
const MOST: usize = 5_000_000;
/// How many ranges of UIDs are named in one command: at most 22 octets each, since some servers take lines of
/// 1 000 octets only (RFC 2683 §3.2.1.5).
const RANGES: usize = 40;
/// How many commands may name the UIDs that are asked for; more are asked for as all there are.
const FEW: usize = 8;
/// How often a search goes on that stopped at the server's limit of messages (RFC 9738).
const PARTS: usize = 10_000;

/// UIDs, ascending, in pieces that a command may name: so many at most in each, and few ranges.
pub(super) fn batches(uids: impl IntoIterator<Item = u32>, most: usize) -> Vec<Vec<u32>> {
    let mut all: Vec<Vec<u32>> = Vec::new();
    let mut ranges = 0;
    for uid in uids {
        match all.last_mut() {
            Some(batch) if batch.len() < most => {
                let next = batch
                    .last()
                    .is_some_and(|last| last.checked_add(1) == Some(uid));
                ranges += usize::from(!next);
                if ranges <= RANGES {
                    batch.push(uid);
                } else {
                    ranges = 1;
                    all.push(vec![uid]);
                }
            }
            _ => {
                ranges = 1;
                all.push(vec![uid]);
            }
        }
    }
    all
}

/// The UIDs that match, ascending.
///
/// # Errors
/// [`Error::Refused`] where the server does not search for that.
pub(super) async fn search(session: &mut Session, key: SearchKey) -> Result<Vec<u32>> {
    let mut found = BTreeSet::new();
    let mut below = None;
    for _ in 0..PARTS {
        let key = match below {
            None => key.clone(),
            Some(below) => {
                let rest = SequenceSet::of_ranges([(1, below)]);
                let Some(rest) = rest.filter(|_| below > 0) else {
                    break;
                };
                SearchKey::And(vec![SearchKey::Uid(rest), key.clone()])
            }
        };
        let search = Search::new(key);
        let mut too_many = false;
        let command = Command::Search {
            search,
            numbers: Numbers::Uid,
        };
        let end = session
            .ask(command, |event| {
                match event {
                    // The rest is not held: it ends with an error.
                    _ if too_many => {}
                    Event::Data(Response::Search(uids, _)) => found.extend(uids),
                    Event::Data(Response::ESearch(more)) => too_many |= !add(&mut found, &more),
                    _ => {}
                }
                too_many |= found.len() > MOST;
            })
            .await?;
        if too_many {
            return Err(Error::Protocol("more UIDs than a mailbox can have".into()));
        }
        let end = accepted(end)?;
        // RFC 9738 §3.2: it stopped at that UID, from above.
        match end.code {
            Some(ResponseCode::MessageLimit(_, Some(lowest)))
                if below.is_none_or(|below| lowest.get() <= below) =>
            {
                below = Some(lowest.get() - 1);
            }
            _ => break,
        }
    }
    Ok(found.into_iter().filter(|&uid| uid > 0).collect())
}

/// What an ESEARCH lists; false, when it is more than there can be.
fn add(found: &mut BTreeSet<u32>, more: &ESearch) -> bool {
    let partial = more.partial.iter().flat_map(|(_, ranges)| ranges);
    let added = more.add_to.iter().flat_map(|(_, ranges)| ranges);
    for &(low, high) in more.all.iter().chain(partial).chain(added) {
        let count = usize::try_from(high.saturating_sub(low)).unwrap_or(usize::MAX);
        if count >= MOST - found.len().min(MOST) {
            return false;
        }
        found.extend(low..=high);
    }
    found.extend(more.min.into_iter().chain(more.max));
    true
}

/// The UIDs of a set that there are, by FETCH: for servers that cannot search, and as a second witness.
///
/// # Errors
/// [`Error::Refused`] where the server gives none.
pub(super) async fn listed(session: &mut Session, set: SequenceSet) -> Result<BTreeSet<u32>> {
    let mut found = BTreeSet::new();
    let command = Command::Fetch {
        fetch: Fetch::new(set, [FetchAttribute::Uid]),
        numbers: Numbers::Uid,
    };
    let end = session
        .ask(command, |event| {
            if let Event::Fetch { uid: Some(uid), .. } = event {
                found.insert(uid.get());
            }
        })
        .await?;
    match accepted(end) {
        // Of some it was said that they are there, whatever became of the rest.
        Err(Error::Refused(_)) if !found.is_empty() => Ok(found),
        end => end.map(|_| found),
    }
}

/// Those of some UIDs that are there after all. Two questions that servers answer in different ways must both
/// pass a message over before it is taken for gone.
///
/// # Errors
/// [`Error::Refused`] where the server answers neither: then nobody knows.
pub(super) async fn still_there(session: &mut Session, uids: &[u32]) -> Result<BTreeSet<u32>> {
    let mut there = BTreeSet::new();
    let mut some = batches(uids.iter().copied(), usize::MAX);
    let many = some.len() > FEW;
    if many {
        // Asked for all at once, what is wanted is looked up among it.
        some = vec![uids.to_vec()];
    }
    for some in some {
        let Some(set) = SequenceSet::of_numbers(some.iter().copied()) else {
            continue;
        };
        let key = match many {
            true => SearchKey::All,
            false => SearchKey::Uid(set),
        };
        let searched = match search(session, key).await {
            Ok(found) => {
                there.extend(found);
                true
            }
            Err(Error::Refused(_)) => false,
            Err(error) => return Err(error),
        };
        let rest = some.into_iter().filter(|uid| !there.contains(uid));
        let Some(set) = SequenceSet::of_numbers(rest) else {
            continue;
        };
        let set = if many { SequenceSet::all() } else { set };
        match listed(session, set).await {
            Ok(found) => there.extend(found),
            // SEARCH has answered already. Servers say NO where none of the set is there.
            Err(Error::Refused(_)) if searched => {}
            Err(error) => return Err(error),
        }
    }
    Ok(there)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_short_as_commands() {
        assert_eq!(batches(1..=7, 3), [vec![1, 2, 3], vec![4, 5, 6], vec![7]]);
        let odd = batches((1..1000).step_by(2), 500);
        assert!(odd.iter().all(|batch| batch.len() <= RANGES));
        assert_eq!(odd.concat(), (1..1000).step_by(2).collect::<Vec<_>>());
        assert_eq!(batches(1..=100_000, usize::MAX).len(), 1);
    }

    #[test]
    fn an_esearch_of_everything_costs_no_memory() {
        let mut found = BTreeSet::new();
        let all = vec![(1, 3), (7, 7)];
        let some = ESearch {
            all,
            max: Some(9),
            ..ESearch::default()
        };
        assert!(add(&mut found, &some));
        let all = vec![(1, u32::MAX)];
        let everything = ESearch {
            all,
            ..ESearch::default()
        };
        assert!(!add(&mut found, &everything));
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [1, 2, 3, 7, 9]);
    }
}
