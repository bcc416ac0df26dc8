//! Searches whose clients are notified when the results change (RFC 5267 §4.3, RFC 5465 §7).

use bytes::Bytes;
use hikyaku_imap_proto::{ESearch, Response, ResponseCode, Status};
use hikyaku_mailstore::search::Key;
use hikyaku_mailstore::{MailboxId, Uid, UidSet};
use std::collections::HashSet;
use tracing::warn;

use super::context::Context;
use super::end::End;
use super::messages::ranges;
use super::session::Session;
use super::text::Text as T;

/// How many searches with updates a connection may have.
const MOST: usize = 16;

/// What a change of its members comes to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Difference {
    /// Positions as they are at each step, the last first.
    removed: Vec<(u32, Vec<Uid>)>,
    /// The first first.
    added: Vec<(u32, Vec<Uid>)>,
}

/// From one order to another. Those that stay are in the same order in both.
fn difference(before: &[Uid], after: &[Uid], sorted: bool) -> Difference {
    let (old, new): (HashSet<Uid>, HashSet<Uid>) = (
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
        let all = |uids: Vec<Uid>| match uids.is_empty() {
            true => Vec::new(),
            false => vec![(0, uids)],
        };
        return Difference {
            removed: all(removed.map(|(_, uid)| *uid).collect()),
            added: all(added.map(|(_, uid)| *uid).collect()),
        };
    }
    let one = |(at, uid): (usize, &Uid)| (u32::try_from(at + 1).unwrap_or(u32::MAX), vec![*uid]);
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
        let text = T::TooManySearchesTo;
        self.respond(&Response::Status(Status::No, Some(code), text.into()));
    }

    pub(super) fn cancel_updates(&mut self, tags: &[Bytes]) -> End {
        if let Some(selected) = &mut self.selected {
            selected
                .contexts
                .retain(|context| !tags.contains(&context.tag));
        }
        End::ok(T::ReportedNoMore)
    }

    /// Says what of the results is gone, while the client still has its numbers.
    pub(super) fn contexts_lose(&mut self, gone: &[Uid]) {
        let mut contexts = match &mut self.selected {
            Some(selected) if !selected.contexts.is_empty() => {
                std::mem::take(&mut selected.contexts)
            }
            _ => return,
        };
        let gone: HashSet<Uid> = gone.iter().copied().collect();
        for context in &mut contexts {
            let left = context.members.iter().filter(|uid| !gone.contains(uid));
            let left = left.copied().collect();
            self.send_difference(context, left);
        }
        if let Some(selected) = &mut self.selected {
            selected.contexts = contexts;
        }
    }

    /// Says what the changes since the last time did to the results.
    pub(super) async fn send_contexts(&mut self) {
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
                Ok(members) => self.send_difference(context, members),
                Err(error) => warn!(%error, "an updated search could not be repeated"),
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
        touched: &[Uid],
    ) -> hikyaku_mailstore::Result<Vec<Uid>> {
        let (store, cache) = (&*self.service.store, &self.service.options.cache);
        let touched: UidSet = touched.iter().copied().collect();
        let key = Key::And(vec![Key::Uids(touched.clone()), context.key.clone()]);
        let found = cache.search(store, mailbox, &key).await?;
        let found = found.into_iter().map(|(uid, _)| uid);
        let found = found.filter(|&uid| self.is_known(uid));
        let untouched = |uid: &Uid| !touched.contains(*uid);
        let stay = context.members.iter().copied().filter(untouched);
        let mut members: Vec<Uid> = stay.chain(found).collect();
        match &context.sort {
            None => members.sort_unstable(),
            Some(criteria) => {
                let uids: UidSet = members.into_iter().collect();
                members = cache.sort(store, mailbox, &uids, criteria).await?;
            }
        }
        Ok(members)
    }

    fn send_difference(&mut self, context: &mut Context, members: Vec<Uid>) {
        let difference = difference(&context.members, &members, context.sort.is_some());
        context.members = members;
        let number = |uid: &Uid| self.number(*uid, context.numbers);
        let ranges = |all: Vec<(u32, Vec<Uid>)>| {
            let numbers =
                |uids: Vec<Uid>| ranges(&uids.iter().filter_map(number).collect::<Vec<_>>());
            let one = |(at, uids)| (at, numbers(uids));
            all.into_iter().map(one).collect::<Vec<_>>()
        };
        let esearch = ESearch {
            tag: context.tag.clone(),
            numbers: context.numbers,
            remove_from: ranges(difference.removed),
            add_to: ranges(difference.added),
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
        let uids = |numbers: &[u32]| -> Vec<Uid> {
            numbers.iter().copied().filter_map(Uid::new).collect()
        };
        let (before, after) = (uids(&[5, 3, 9, 1]), uids(&[7, 3, 1, 8]));
        let steps = difference(&before, &after, true);
        let mut list = before.clone();
        for (at, uids) in &steps.removed {
            assert_eq!(vec![list.remove(*at as usize - 1)], *uids);
        }
        for (at, uids) in &steps.added {
            list.insert(*at as usize - 1, uids[0]);
        }
        assert_eq!(list, after);
        let plain = difference(&uids(&[1, 3]), &uids(&[2, 3, 4]), false);
        assert_eq!(plain.removed, [(0, uids(&[1]))]);
        assert_eq!(plain.added, [(0, uids(&[2, 4]))]);
    }
}
