//! SEARCH, and its result as it was asked for (RFC 9051 §6.4.4, RFC 4731, 5182, 5267, 6203, 9394).

use bytes::Bytes;
use imap_proto::{ESearch, Progress, Response, ResponseCode, Return, Search, SearchKey, Status};
use mailstore::search::Key;
use mailstore::{MailboxId, ModSeq, Uid};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::context::Context;
use super::message_limit::Reached;
use super::messages::ranges;
use super::search_key::{Keys, charset};
use super::{End, Ended, Session};

/// No client is told more often than that, whatever the configuration says.
const SHORTEST: Duration = Duration::from_millis(10);

/// A message that was found, and how the client knows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit {
    pub(super) uid: u32,
    pub(super) sequence: u32,
    pub(super) modseq: u64,
    /// How well it fits, from 1 to 100.
    pub(super) relevancy: u32,
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
        return Err(End::bad("ALL and PARTIAL are not for one search"));
    }
    let fuzzy = key.any(&|key| matches!(key, SearchKey::Fuzzy(_)));
    if returns.contains(&Return::Relevancy) && !fuzzy {
        return Err(End::bad("RELEVANCY is of FUZZY"));
    }
    Ok(())
}

/// What of the messages, in their order, to tell.
pub(super) fn result(
    tag: Bytes,
    returns: &[Return],
    hits: &[Hit],
    uid: bool,
    modseq: bool,
) -> ESearch {
    let wants = |what: Return| returns.contains(&what);
    let number = |hit: &Hit| if uid { hit.uid } else { hit.sequence };
    let numbers = |hits: &[Hit]| ranges(&hits.iter().map(number).collect::<Vec<_>>());
    let min = hits.first().filter(|_| wants(Return::Min));
    let max = hits.last().filter(|_| wants(Return::Max));
    let partial = returns.iter().find_map(|one| match one {
        Return::Partial(range) => Some(range),
        _ => None,
    });
    let some = partial.and_then(|range| hits.get(range.of(hits.len())?));
    // RFC 7162 §3.1.10, RFC 9394: only those that are told count.
    let all = wants(Return::All) || wants(Return::Count);
    let told = if all { hits } else { some.unwrap_or(&[]) };
    let told = told.iter().chain(min).chain(max);
    let highest = told.map(|hit| hit.modseq).max();
    let listed = match (wants(Return::All), some) {
        (true, _) => hits,
        (false, some) => some.unwrap_or(&[]),
    };
    ESearch {
        tag,
        uid,
        min: min.map(number),
        max: max.map(number),
        all: match wants(Return::All) {
            true => numbers(hits),
            false => Vec::new(),
        },
        count: wants(Return::Count).then(|| u32::try_from(hits.len()).unwrap_or(u32::MAX)),
        modseq: highest.filter(|_| modseq),
        partial: partial.map(|range| {
            let mut range = *range;
            // RFC 5267 §4.4: 500:400 is 400:500.
            (range.first, range.last) = (range.first.min(range.last), range.first.max(range.last));
            (range, numbers(some.unwrap_or(&[])))
        }),
        relevancy: match wants(Return::Relevancy) {
            true => listed.iter().map(|hit| hit.relevancy).collect(),
            false => Vec::new(),
        },
        ..ESearch::default()
    }
}

/// What SAVE keeps (RFC 5182 §2.1, RFC 9394 §3.2): what is told, or all.
fn saved(returns: &[Return], hits: &[Hit]) -> Vec<u32> {
    let wants = |what: Return| returns.contains(&what);
    let (min, max) = (wants(Return::Min), wants(Return::Max));
    let partial = returns.iter().find_map(|one| match one {
        Return::Partial(range) => Some(range),
        _ => None,
    });
    let some = min || max || partial.is_some();
    if wants(Return::Count) || wants(Return::All) || !some {
        return hits.iter().map(|hit| hit.uid).collect();
    }
    let told = partial.and_then(|range| hits.get(range.of(hits.len())?));
    let first = hits.first().filter(|_| min);
    let last = hits.last().filter(|_| max);
    let all = told.unwrap_or(&[]).iter().chain(first).chain(last);
    all.map(|hit| hit.uid).collect()
}

impl Session<'_> {
    pub(super) async fn search(&mut self, command: Search, uid: bool) -> Ended {
        let mut question = self
            .question(command.charset.as_deref(), &command.key, None)
            .await?;
        let reached = self.reached_by(&question.key);
        question.only(&reached);
        let end = self.search_for(question, command, uid).await?;
        Ok(reached.end(end, self))
    }

    async fn search_for(&mut self, question: Question, command: Search, uid: bool) -> Ended {
        let returns = match command.returns {
            // RFC 9051 §6.4.4: there is no other result in IMAP4rev2.
            None if self.driver.machine.rev2() => vec![Return::All],
            None => {
                let hits = self.hits(&question).await?;
                let number = |hit: &Hit| if uid { hit.uid } else { hit.sequence };
                let modseq = hits.iter().map(|hit| hit.modseq).max();
                let modseq = modseq.filter(|_| command.key.has_modseq());
                let numbers = hits.iter().map(number).collect();
                self.respond(&Response::Search(numbers, modseq));
                return Ok(End::ok("Searched"));
            }
            Some(returns) if returns.is_empty() => vec![Return::All],
            Some(returns) => returns,
        };
        check(&returns, &command.key)?;
        let hits = self.hits(&question).await?;
        self.tell_result(&returns, &hits, uid, command.key.has_modseq());
        self.keep_context(&returns, uid, question.key, None, &hits);
        Ok(End::ok("Searched"))
    }

    /// The ESEARCH of a SEARCH or SORT in the selected mailbox; what SAVE keeps is kept.
    pub(super) fn tell_result(
        &mut self,
        returns: &[Return],
        hits: &[Hit],
        uid: bool,
        modseq: bool,
    ) {
        self.keep_saved(returns, hits);
        // RFC 5182 §2.1: what is only kept is not told.
        if *returns == [Return::Save] {
            return;
        }
        let tag = self.driver.machine.tag().cloned().unwrap_or_default();
        let result = result(tag, returns, hits, uid, modseq);
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
        uid: bool,
        key: Key,
        sort: Option<Vec<(mailstore::Criterion, bool)>>,
        hits: &[Hit],
    ) {
        let update = returns.iter().find_map(|one| match one {
            Return::Update(attributes) => Some(attributes),
            _ => None,
        });
        let Some(attributes) = update else { return };
        let context = Context {
            tag: self.driver.machine.tag().cloned().unwrap_or_default(),
            uid,
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
            return Err(End::bad("With UTF8=ACCEPT there is no CHARSET"));
        }
        let encoding = charset(name)?;
        let filters = self.filters(key).await?;
        let has_filter = key.any(&|key| matches!(key, SearchKey::Filter(_)));
        if has_filter && encoding != encoding_rs::UTF_8 {
            // RFC 5466 §3.1
            let known = vec!["US-ASCII".into(), "UTF-8".into()];
            let code = ResponseCode::BadCharset(known);
            return Err(End(Status::Bad, Some(code), "A filter is UTF-8".into()));
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
            now: crate::unix_now(),
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
            let sequence = view?.sequence(uid.get())?;
            let (uid, modseq) = (uid.get(), modseq.0);
            Some(Hit {
                uid,
                sequence,
                modseq,
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
        let shared = Arc::clone(self.shared);
        let progress = shared.config.imap.progress.0.max(SHORTEST);
        let mut searching = std::pin::pin!(shared.cache.search(&*shared.store, mailbox, key));
        loop {
            tokio::select! {
                found = &mut searching => return Ok(found?),
                () = tokio::time::sleep(progress) => {}
            }
            let progress = Progress {
                tag: self.driver.machine.tag().cloned(),
                ..Progress::default()
            };
            self.untagged_ok(ResponseCode::InProgress(Some(progress)), "Searching");
            if self.driver.flush_async().await.is_err() {
                return Err(End::ok("The client is gone"));
            }
        }
    }
}
