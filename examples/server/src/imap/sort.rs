//! SORT and THREAD, from the summaries that the store keeps.

use imap_proto::{Response, Sort, SortCriterion, Thread, ThreadAlgorithm, Threads};
use mailstore::{Algorithm, Criterion, Uid, UidSet, sort, thread};

use super::{End, Ended, Session};

fn criterion(criterion: SortCriterion) -> Option<Criterion> {
    Some(match criterion {
        SortCriterion::Arrival => Criterion::Arrival,
        SortCriterion::Cc => Criterion::Cc,
        SortCriterion::Date => Criterion::Date,
        SortCriterion::From => Criterion::From,
        SortCriterion::Size => Criterion::Size,
        SortCriterion::Subject => Criterion::Subject,
        SortCriterion::To => Criterion::To,
        SortCriterion::DisplayFrom => Criterion::DisplayFrom,
        SortCriterion::DisplayTo => Criterion::DisplayTo,
        _ => return None,
    })
}

impl Session<'_> {
    /// How the client knows a message: what it does not know of yet has no number.
    fn number(&self, found: Uid, uid: bool) -> Option<u32> {
        let sequence = self.driver.machine.selected()?.sequence(found.get())?;
        Some(if uid { found.get() } else { sequence })
    }

    pub(super) async fn sort(&mut self, command: Sort, uid: bool) -> Ended {
        let criteria = command
            .criteria
            .iter()
            .map(|&(what, reverse)| Some((criterion(what)?, reverse)));
        let criteria: Option<Vec<_>> = criteria.collect();
        let criteria = criteria.ok_or(End::bad("Not a criterion that is known here"))?;
        let found = self.found(&command.charset, &command.key).await?;
        let uids: UidSet = found.into_iter().map(|(uid, _)| uid).collect();
        let sorted = sort(&*self.shared.store, self.current()?, &uids, &criteria).await?;
        let numbers = sorted
            .into_iter()
            .filter_map(|found| self.number(found, uid))
            .collect();
        self.respond(&Response::Sort(numbers));
        Ok(End::ok("Sorted"))
    }

    pub(super) async fn thread(&mut self, command: &Thread, uid: bool) -> Ended {
        let algorithm = match command.algorithm {
            ThreadAlgorithm::OrderedSubject => Algorithm::OrderedSubject,
            ThreadAlgorithm::References => Algorithm::References,
            _ => return Err(End::bad("Not an algorithm that is known here")),
        };
        let found = self.found(&command.charset, &command.key).await?;
        let known = found
            .into_iter()
            .map(|(uid, _)| uid)
            .filter(|&found| self.number(found, uid).is_some());
        let uids: UidSet = known.collect();
        let threads = thread(&*self.shared.store, self.current()?, &uids, algorithm).await?;
        let node = |node: mailstore::ThreadNode| {
            let number = node.uid.and_then(|found| self.number(found, uid));
            (number, node.children)
        };
        let nodes = threads.nodes.into_iter().map(node).collect();
        let roots = threads.roots;
        self.respond(&Response::Thread(Threads { nodes, roots }));
        Ok(End::ok("Threaded"))
    }
}
