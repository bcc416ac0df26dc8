//! SORT and THREAD, from the summaries that the store keeps.

use hikyaku_imap_proto::{
    Numbers, Response, Return, SearchKey, Sort, SortCriterion, Thread, ThreadAlgorithm, Threads,
};
use hikyaku_mailstore::{Algorithm, Criterion, Uid, UidSet};

use super::end::{End, Ended};
use super::search::{Hit, check};
use super::session::Session;
use super::text::Text as T;

/// `None` for RELEVANCY, which the store knows nothing of.
fn criterion(criterion: SortCriterion) -> Result<Option<Criterion>, End> {
    Ok(Some(match criterion {
        SortCriterion::Arrival => Criterion::Arrival,
        SortCriterion::Cc => Criterion::Cc,
        SortCriterion::Date => Criterion::Date,
        SortCriterion::From => Criterion::From,
        SortCriterion::Size => Criterion::Size,
        SortCriterion::Subject => Criterion::Subject,
        SortCriterion::To => Criterion::To,
        SortCriterion::DisplayFrom => Criterion::DisplayFrom,
        SortCriterion::DisplayTo => Criterion::DisplayTo,
        SortCriterion::Relevancy => return Ok(None),
        _ => return Err(End::bad(T::NotACriterionThat)),
    }))
}

impl Session<'_> {
    pub(super) async fn sort(&mut self, command: Sort, numbers: Numbers) -> Ended {
        let fuzzy = command.key.any(&|key| matches!(key, SearchKey::Fuzzy(_)));
        // Where relevancy stands among the criteria, those before it decide first.
        let (mut criteria, mut relevancy) = (Vec::new(), None);
        for &(what, reverse) in &command.criteria {
            match criterion(what)? {
                Some(criterion) => criteria.push((criterion, reverse)),
                None if !fuzzy => return Err(End::bad(T::RelevancyIsOfFuzzY)),
                None => relevancy = relevancy.or(Some((criteria.len(), reverse))),
            }
        }
        let question = self
            .question(Some(&command.charset), &command.key, None)
            .await?;
        let returns = match command.returns {
            Some(returns) if returns.is_empty() => Some(vec![Return::All]),
            returns => returns,
        };
        check(returns.as_deref().unwrap_or(&[]), &command.key)?;
        let hits = self.hits(&question).await?;
        let hits = self.in_order(hits, &criteria, relevancy).await?;
        let Some(returns) = returns else {
            let number = |hit: &Hit| hit.number(numbers);
            let modseq = hits.iter().map(|hit| hit.modseq).max();
            let modseq = modseq.filter(|_| command.key.has_modseq());
            let numbers = hits.iter().filter_map(number).collect();
            self.respond(&Response::Sort(numbers, modseq));
            return Ok(End::ok(T::Sorted));
        };
        self.send_result(&returns, &hits, numbers, command.key.has_modseq());
        self.keep_context(&returns, numbers, question.key, Some(criteria), &hits);
        Ok(End::ok(T::Sorted))
    }

    async fn in_order(
        &self,
        hits: Vec<Hit>,
        criteria: &[(Criterion, bool)],
        relevancy: Option<(usize, bool)>,
    ) -> Result<Vec<Hit>, End> {
        let (mailbox, service) = (self.current()?, self.service);
        let (before, behind) = criteria.split_at(relevancy.map_or(criteria.len(), |(at, _)| at));
        let uids: UidSet = hits.iter().map(|hit| hit.uid).collect();
        // They come by UID, ascending.
        let hit = |uid: &Uid| {
            let at = hits.binary_search_by_key(uid, |hit| hit.uid);
            hits.get(at.ok()?).copied()
        };
        let sorted = async |criteria: &[(Criterion, bool)]| {
            let sort = service
                .options
                .cache
                .sort(&*service.store, mailbox, &uids, criteria);
            let sorted = sort.await?;
            Ok::<Vec<Hit>, End>(sorted.iter().filter_map(hit).collect())
        };
        let Some((_, reverse)) = relevancy else {
            return sorted(before).await;
        };
        // By the rest first; then, keeping that order, by relevancy. What stands before relevancy decides
        // alone: equal in all of it two messages hardly are.
        if !before.is_empty() {
            let all: Vec<_> = before.iter().chain(behind).copied().collect();
            return sorted(&all).await;
        }
        let mut sorted = sorted(behind).await?;
        sorted.sort_by_key(|hit| match reverse {
            true => hit.relevancy,
            false => 100 - hit.relevancy,
        });
        Ok(sorted)
    }

    pub(super) async fn thread(&mut self, command: &Thread, numbers: Numbers) -> Ended {
        let algorithm = match command.algorithm {
            ThreadAlgorithm::OrderedSubject => Algorithm::OrderedSubject,
            ThreadAlgorithm::References => Algorithm::References,
            ThreadAlgorithm::Refs => Algorithm::Refs,
            _ => return Err(End::bad(T::NotAnAlgorithmThat)),
        };
        let question = self
            .question(Some(&command.charset), &command.key, None)
            .await?;
        let hits = self.hits(&question).await?;
        let uids: UidSet = hits.iter().map(|hit| hit.uid).collect();
        let service = self.service;
        let threading =
            service
                .options
                .cache
                .thread(&*service.store, self.current()?, &uids, algorithm);
        let threads = threading.await?;
        let number = |found: Uid| self.number(found, numbers);
        let node = |node: hikyaku_mailstore::ThreadNode| (node.uid.and_then(number), node.children);
        let nodes = threads.nodes.into_iter().map(node).collect();
        let roots = threads.roots;
        self.respond(&Response::Thread(Threads { nodes, roots }));
        Ok(End::ok(T::Threaded))
    }
}
