//! Searches that are told of when their results change (RFC 5267 §4.3, RFC 5465 §7).

use bytes::Bytes;
use imap_proto::{ESearch, FetchAttribute, Response, ResponseCode, Status};
use mailstore::search::Key;
use mailstore::{Criterion, MailboxId, Uid, UidSet};
use std::collections::HashSet;
use tracing::warn;

use super::messages::ranges;
use super::{End, Session};

/// So many searches a connection is told of at once.
const MOST: usize = 16;

/// A search whose client wants to know.
pub(super) struct Context {
    /// The search's.
    pub(super) tag: Bytes,
    /// Its results are told as UIDs.
    pub(super) uid: bool,
    pub(super) key: Key,
    /// Its order, when it is a SORT.
    pub(super) sort: Option<Vec<(Criterion, bool)>>,
    /// The UIDs that the client knows to be results, in their order.
    pub(super) members: Vec<u32>,
    /// What to tell of a new message before it is told to be a result.
    pub(super) attributes: Vec<FetchAttribute>,
}

/// What a change of its members comes to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Difference {
    /// Positions as they are at each step, the last first.
    removed: Vec<(u32, Vec<u32>)>,
    /// The first first.
    added: Vec<(u32, Vec<u32>)>,
}

/// From one order to another. Those that stay are in the same order in both.
fn difference(before: &[u32], after: &[u32], sorted: bool) -> Difference {
    let (old, new): (HashSet<u32>, HashSet<u32>) = (
        before.iter().copied().collect(),
        after.iter().copied().collect(),
    );
    let removed = before
        .iter()
        .enumerate()
        .filter(|(_, uid)| !new.contains(uid));
    let added = after
        .iter()
        .enumerate()
        .filter(|(_, uid)| !old.contains(uid));
    if !sorted {
        // RFC 5267 §4.3.2: position 0, where the order is the mailbox's own.
        let all = |uids: Vec<u32>| match uids.is_empty() {
            true => Vec::new(),
            false => vec![(0, uids)],
        };
        return Difference {
            removed: all(removed.map(|(_, uid)| *uid).collect()),
            added: all(added.map(|(_, uid)| *uid).collect()),
        };
    }
    let one = |(at, uid): (usize, &u32)| (u32::try_from(at + 1).unwrap_or(u32::MAX), vec![*uid]);
    let mut removed: Vec<_> = removed.map(one).collect();
    removed.reverse();
    Difference {
        removed,
        added: added.map(one).collect(),
    }
}

impl Session<'_> {
    pub(super) fn open_context(&mut self, context: Context) {
        let Some(selected) = &mut self.selected else {
            return;
        };
        if selected.contexts.len() < MOST {
            selected.contexts.push(context);
            return;
        }
        let code = ResponseCode::NoUpdate(context.tag);
        let text = "Too many searches to tell of";
        self.respond(&Response::Status(Status::No, Some(code), text.into()));
    }

    pub(super) fn cancel_updates(&mut self, tags: &[Bytes]) -> End {
        if let Some(selected) = &mut self.selected {
            selected
                .contexts
                .retain(|context| !tags.contains(&context.tag));
        }
        End::ok("Not told any more")
    }

    /// Says what of the results is gone, while the client still has its numbers.
    pub(super) fn contexts_lose(&mut self, gone: &[u32]) {
        let mut contexts = match &mut self.selected {
            Some(selected) if !selected.contexts.is_empty() => {
                std::mem::take(&mut selected.contexts)
            }
            _ => return,
        };
        let gone: HashSet<u32> = gone.iter().copied().collect();
        for context in &mut contexts {
            let left = context.members.iter().filter(|uid| !gone.contains(uid));
            let left = left.copied().collect();
            self.tell_difference(context, left);
        }
        if let Some(selected) = &mut self.selected {
            selected.contexts = contexts;
        }
    }

    /// Says what the changes since the last time did to the results.
    pub(super) async fn tell_contexts(&mut self) {
        let (mailbox, mut contexts, touched) = match &mut self.selected {
            Some(selected) if !selected.touched.is_empty() => (
                selected.mailbox,
                std::mem::take(&mut selected.contexts),
                std::mem::take(&mut selected.touched),
            ),
            _ => return,
        };
        for context in &mut contexts {
            match self.members_now(mailbox, context, &touched).await {
                Ok(members) => self.tell_difference(context, members),
                Err(error) => warn!(%error, "a search that is told of"),
            }
        }
        if let Some(selected) = &mut self.selected {
            selected.contexts = contexts;
        }
    }

    async fn members_now(
        &self,
        mailbox: MailboxId,
        context: &Context,
        touched: &[u32],
    ) -> mailstore::Result<Vec<u32>> {
        let (store, cache) = (&*self.shared.store, &self.shared.cache);
        let touched: UidSet = touched.iter().copied().filter_map(Uid::new).collect();
        let key = Key::And(vec![Key::Uids(touched.clone()), context.key.clone()]);
        let found = cache.search(store, mailbox, &key).await?;
        let view = self.driver.machine.selected();
        let known = |uid: &u32| view.is_some_and(|view| view.sequence(*uid).is_some());
        let found = found.into_iter().map(|(uid, _)| uid.get()).filter(known);
        let untouched = |uid: &u32| Uid::new(*uid).is_some_and(|uid| !touched.contains(uid));
        let stay = context.members.iter().copied().filter(untouched);
        let mut members: Vec<u32> = stay.chain(found).collect();
        match &context.sort {
            None => members.sort_unstable(),
            Some(criteria) => {
                let uids: UidSet = members.into_iter().filter_map(Uid::new).collect();
                let sorted = cache.sort(store, mailbox, &uids, criteria).await?;
                members = sorted.into_iter().map(mailstore::Uid::get).collect();
            }
        }
        Ok(members)
    }

    fn tell_difference(&mut self, context: &mut Context, members: Vec<u32>) {
        let difference = difference(&context.members, &members, context.sort.is_some());
        context.members = members;
        let view = self.driver.machine.selected();
        let number = |uid: &u32| match context.uid {
            true => Some(*uid),
            false => view.and_then(|view| view.sequence(*uid)),
        };
        let told = |all: Vec<(u32, Vec<u32>)>| {
            let numbers =
                |uids: Vec<u32>| ranges(&uids.iter().filter_map(number).collect::<Vec<_>>());
            let one = |(at, uids)| (at, numbers(uids));
            all.into_iter().map(one).collect::<Vec<_>>()
        };
        let esearch = ESearch {
            tag: context.tag.clone(),
            uid: context.uid,
            remove_from: told(difference.removed),
            add_to: told(difference.added),
            ..ESearch::default()
        };
        if !esearch.remove_from.is_empty() || !esearch.add_to.is_empty() {
            self.respond(&Response::ESearch(Box::new(esearch)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_lead_from_one_order_to_the_other() {
        let (before, after) = ([5, 3, 9, 1], [7, 3, 1, 8]);
        let steps = difference(&before, &after, true);
        let mut list = before.to_vec();
        for (at, uids) in &steps.removed {
            assert_eq!(vec![list.remove(*at as usize - 1)], *uids);
        }
        for (at, uids) in &steps.added {
            list.insert(*at as usize - 1, uids[0]);
        }
        assert_eq!(list, after);
        let plain = difference(&[1, 3], &[2, 3, 4], false);
        assert_eq!(plain.removed, [(0, vec![1])]);
        assert_eq!(plain.added, [(0, vec![2, 4])]);
    }
}
