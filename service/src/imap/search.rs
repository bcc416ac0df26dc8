//! SEARCH, and its results in the form asked for (RFC 9051 §6.4.4, RFC 4731, 5182, 5267, 6203, 9394).

use bytes::Bytes;
use hikyaku_imap_proto::{
    ESearch, Numbers, Progress, Response, ResponseCode, Return, Search, SearchKey, SequenceNumber,
    Status,
};
use hikyaku_mailstore::search::Key;
use hikyaku_mailstore::{MailboxId, ModSeq, Uid};
use std::collections::HashSet;
use std::time::Duration;

use super::context::Context;
use super::convert::imap_uid;
use super::end::{End, Ended};
use super::message_limit::Reached;
use super::messages::ranges;
use super::search_key::{Keys, charset};
use super::session::Session;
use super::text::Text as T;
use hikyaku_mailstore::unix_now;

/// No client hears of it more often than that, whatever the configuration says.
const SHORTEST: Duration = Duration::from_millis(10);

/// A message that was found, and how the client knows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit {
    pub(super) uid: Uid,
    /// None in a mailbox that is not selected.
    pub(super) sequence: Option<SequenceNumber>,
    pub(super) modseq: u64,
    /// How well it fits, from 1 to 100.
    pub(super) relevancy: u32,
}

impl Hit {
    /// The number that the client is to have of it.
    pub(super) fn number(&self, numbers: Numbers) -> Option<u32> {
        match numbers {
            Numbers::Uid => Some(self.uid.get()),
            Numbers::Sequence => self.sequence.map(SequenceNumber::get),
        }
    }
}

/// What was asked for, as the store has it.
pub(super) struct Question {
    pub(super) key: Key,
    /// The same without anything fuzzy, where there is any.
    exact: Option<Key>,
}

impl Question {
    /// Keeps to the messages that are reached.
    fn only(&mut self, reached: &Reached) {
        if reached.is_all() {
            return;
        }
        for key in [Some(&mut self.key), self.exact.as_mut()]
            .into_iter()
            .flatten()
        {
            let asked = std::mem::replace(key, Key::All);
            *key = Key::And(vec![Key::Uids(reached.uids.clone()), asked]);
        }
    }
}

/// Not two lists at once, and no relevancy of what is exact.
pub(super) fn check(returns: &[Return], key: &SearchKey) -> Result<(), End> {
    let lists = |one: &&Return| matches!(one, Return::Partial(_) | Return::All);
    if returns.iter().filter(lists).count() > 1 {
        return Err(End::bad(T::AllAndPartialAre));
    }
    let fuzzy = key.any(&|key| matches!(key, SearchKey::Fuzzy(_)));
    if returns.contains(&Return::Relevancy) && !fuzzy {
        return Err(End::bad(T::RelevancyIsOfFuzzY));
    }
    Ok(())
}

/// What of the messages, in their order, to send.
pub(super) fn result(
    tag: Bytes,
    returns: &[Return],
    hits: &[Hit],
    numbers: Numbers,
    modseq: bool,
) -> ESearch {
    let wants = |what: Return| returns.contains(&what);
    let number = |hit: &Hit| hit.number(numbers);
    let all_of = |hits: &[Hit]| ranges(&hits.iter().filter_map(number).collect::<Vec<_>>());
    let min = hits.first().filter(|_| wants(Return::Min));
    let max = hits.last().filter(|_| wants(Return::Max));
    let partial = returns.iter().find_map(|one| match one {
        Return::Partial(range) => Some(range),
        _ => None,
    });
    let some = partial.and_then(|range| hits.get(range.of(hits.len())?));
    // RFC 7162 §3.1.10, RFC 9394: only those that are named count.
    let all = wants(Return::All) || wants(Return::Count);
    let named = if all { hits } else { some.unwrap_or(&[]) };
    let named = named.iter().chain(min).chain(max);
    let highest = named.map(|hit| hit.modseq).max();
    let listed = match (wants(Return::All), some) {
        (true, _) => hits,
        (false, some) => some.unwrap_or(&[]),
    };
    ESearch {
        tag,
        numbers,
        min: min.and_then(number),
        max: max.and_then(number),
        all: match wants(Return::All) {
            true => all_of(hits),
            false => Vec::new(),
        },
        count: wants(Return::Count).then(|| u32::try_from(hits.len()).unwrap_or(u32::MAX)),
        modseq: highest.filter(|_| modseq),
        partial: partial.map(|range| {
            let mut range = *range;
            // RFC 5267 §4.4: 500:400 is 400:500.
            (range.first, range.last) = (range.first.min(range.last), range.first.max(range.last));
            (range, all_of(some.unwrap_or(&[])))
        }),
        relevancy: match wants(Return::Relevancy) {
            true => listed.iter().map(|hit| hit.relevancy).collect(),
            false => Vec::new(),
        },
        ..ESearch::default()
    }
}

/// What SAVE keeps (RFC 5182 §2.1, RFC 9394 §3.2): what is named, or all.
fn saved(returns: &[Return], hits: &[Hit]) -> Vec<hikyaku_imap_proto::Uid> {
    let wants = |what: Return| returns.contains(&what);
    let (min, max) = (wants(Return::Min), wants(Return::Max));
    let partial = returns.iter().find_map(|one| match one {
        Return::Partial(range) => Some(range),
        _ => None,
    });
    let some = min || max || partial.is_some();
    if wants(Return::Count) || wants(Return::All) || !some {
        return hits.iter().map(|hit| imap_uid(hit.uid)).collect();
    }
    let named = partial.and_then(|range| hits.get(range.of(hits.len())?));
    let first = hits.first().filter(|_| min);
    let last = hits.last().filter(|_| max);
    let all = named.unwrap_or(&[]).iter().chain(first).chain(last);
    all.map(|hit| imap_uid(hit.uid)).collect()
}

impl Session<'_> {
    pub(super) async fn search(&mut self, command: Search, numbers: Numbers) -> Ended {
        let mut question = self
            .question(command.charset.as_deref(), &command.key, None)
            .await?;
        let reached = self.reached_by(&question.key);
        question.only(&reached);
        let end = self.search_for(question, command, numbers).await?;
        Ok(reached.end(end, self))
    }

    async fn search_for(&mut self, question: Question, command: Search, numbers: Numbers) -> Ended {
        let returns = match command.returns {
            // RFC 9051 §6.4.4: there is no other result in IMAP4rev2.
            None if self.driver.machine.rev2() => vec![Return::All],
            None => {
                let hits = self.hits(&question).await?;
                let number = |hit: &Hit| hit.number(numbers);
                let modseq = hits.iter().map(|hit| hit.modseq).max();
                let modseq = modseq.filter(|_| command.key.has_modseq());
                let numbers = hits.iter().filter_map(number).collect();
                self.respond(&Response::Search(numbers, modseq));
                return Ok(End::ok(T::Searched));
            }
            Some(returns) if returns.is_empty() => vec![Return::All],
            Some(returns) => returns,
        };
        check(&returns, &command.key)?;
        let hits = self.hits(&question).await?;
        self.send_result(&returns, &hits, numbers, command.key.has_modseq());
        self.keep_context(&returns, numbers, question.key, None, &hits);
        Ok(End::ok(T::Searched))
    }

    /// The ESEARCH of a SEARCH or SORT in the selected mailbox; what SAVE keeps is kept.
    pub(super) fn send_result(
        &mut self,
        returns: &[Return],
        hits: &[Hit],
        numbers: Numbers,
        modseq: bool,
    ) {
        self.keep_saved(returns, hits);
        // RFC 5182 §2.1: what is only kept is not sent.
        if *returns == [Return::Save] {
            return;
        }
        let tag = self.driver.machine.tag().cloned().unwrap_or_default();
        let result = result(tag, returns, hits, numbers, modseq);
        self.respond(&Response::ESearch(Box::new(result)));
    }

    pub(super) fn keep_saved(&mut self, returns: &[Return], hits: &[Hit]) {
        if returns.contains(&Return::Save) {
            self.driver.machine.save(saved(returns, hits));
        }
    }

    pub(super) fn keep_context(
        &mut self,
        returns: &[Return],
        numbers: Numbers,
        key: Key,
        sort: Option<Vec<(hikyaku_mailstore::Criterion, bool)>>,
        hits: &[Hit],
    ) {
        let update = returns.iter().find_map(|one| match one {
            Return::Update(attributes) => Some(attributes),
            _ => None,
        });
        let Some(attributes) = update else { return };
        let context = Context {
            tag: self.driver.machine.tag().cloned().unwrap_or_default(),
            numbers,
            key,
            sort,
            members: hits.iter().map(|hit| hit.uid).collect(),
            attributes: attributes.clone(),
        };
        self.open_context(context);
    }

    /// What is asked for in a mailbox; in the selected one, when none is named.
    pub(super) async fn question(
        &self,
        name: Option<&[u8]>,
        key: &SearchKey,
        elsewhere: Option<MailboxId>,
    ) -> Result<Question, End> {
        if name.is_some() && self.driver.machine.utf8() {
            // RFC 6855 §3: all is UTF-8.
            return Err(End::bad(T::WithUtF8AcceptThere));
        }
        let encoding = charset(name)?;
        let filters = self.filters(key).await?;
        let has_filter = key.any(&|key| matches!(key, SearchKey::Filter(_)));
        if has_filter && encoding != encoding_rs::UTF_8 {
            // RFC 5466 §3.1
            let known = vec!["US-ASCII".into(), "UTF-8".into()];
            let code = ResponseCode::BadCharset(known);
            return Err(End(Status::Bad, Some(code), T::AFilterIsUtF.into()));
        }
        let mailbox = match elsewhere {
            Some(mailbox) => mailbox,
            None => self.current()?,
        };
        let mut keys = Keys {
            view: match elsewhere {
                Some(_) => None,
                None => self.driver.machine.selected(),
            },
            account: mailbox.account,
            charset: encoding,
            now: unix_now(),
            filters: &filters,
            fuzzy: true,
            made: std::cell::Cell::new(0),
        };
        let made = keys.key(key)?;
        keys.fuzzy = false;
        keys.made.set(0);
        let fuzzy = key.any(&|key| matches!(key, SearchKey::Fuzzy(_)));
        let exact = if fuzzy { Some(keys.key(key)?) } else { None };
        Ok(Question { key: made, exact })
    }

    /// What is found, with mod-sequences and how well it fits.
    pub(super) async fn ask(
        &mut self,
        mailbox: MailboxId,
        question: &Question,
    ) -> Result<Vec<(Uid, ModSeq, u32)>, End> {
        let found = self.run(mailbox, &question.key).await?;
        let Some(exact) = &question.exact else {
            let all = found.into_iter();
            return Ok(all.map(|(uid, modseq)| (uid, modseq, 100)).collect());
        };
        let exact = self.run(mailbox, exact).await?;
        let exact: HashSet<Uid> = exact.into_iter().map(|(uid, _)| uid).collect();
        let relevancy = |uid: &Uid| if exact.contains(uid) { 100 } else { 50 };
        let all = found.into_iter();
        Ok(all
            .map(|(uid, modseq)| (uid, modseq, relevancy(&uid)))
            .collect())
    }

    /// As [`Session::ask`], in the selected mailbox: what the client does not know of yet has no number.
    pub(super) async fn hits(&mut self, question: &Question) -> Result<Vec<Hit>, End> {
        let found = self.ask(self.current()?, question).await?;
        let view = self.driver.machine.selected();
        let hit = |(uid, modseq, relevancy): (Uid, ModSeq, u32)| {
            let sequence = Some(view?.sequence(imap_uid(uid))?);
            Some(Hit {
                uid,
                sequence,
                modseq: modseq.0,
                relevancy,
            })
        };
        Ok(found.into_iter().filter_map(hit).collect())
    }

    /// Searches, and says now and then that it still does.
    pub(super) async fn run(
        &mut self,
        mailbox: MailboxId,
        key: &Key,
    ) -> Result<Vec<(Uid, ModSeq)>, End> {
        let service = self.service;
        let progress = service.options.progress.max(SHORTEST);
        let mut searching =
            std::pin::pin!(service.options.cache.search(&*service.store, mailbox, key));
        loop {
            tokio::select! {
                found = &mut searching => return Ok(found?),
                () = tokio::time::sleep(progress) => {}
            }
            let progress = Progress {
                tag: self.driver.machine.tag().cloned(),
                ..Progress::default()
            };
            self.untagged_ok(ResponseCode::InProgress(Some(progress)), T::Searching);
            if self.driver.flush_async().await.is_err() {
                return Err(End::ok(T::TheClientIsGone));
            }
        }
    }
}
