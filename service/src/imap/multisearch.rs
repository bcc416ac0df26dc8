//! ESEARCH: one search in several mailboxes (RFC 7377).

use hikyaku_imap_proto::{
    MailboxFilter, MailboxName, Numbers, Response, ResponseCode, Return, Search,
};
use hikyaku_mailstore::Mailbox;

use super::end::{End, Ended};
use super::names::means;
use super::search::{Hit, check, result};
use super::session::Session;
use super::text::Text as T;

/// More than so many mailboxes one search does not go through.
const MOST: usize = 10_000;

/// A mailbox that this client sees, as it calls it.
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) mailbox: Mailbox,
}

impl Session<'_> {
    /// All mailboxes that this client sees, its own first.
    pub(super) async fn seen(&self) -> Result<(Vec<Seen>, Vec<String>), End> {
        let own = self.mailboxes().await?;
        let seen = |mailbox: Mailbox| Seen {
            name: mailbox.name.clone(),
            mailbox,
        };
        let mut all: Vec<Seen> = own.mailboxes.into_iter().map(seen).collect();
        for shared in self.shared_with_me().await? {
            for mailbox in &shared.mailboxes.mailboxes {
                all.push(Seen {
                    name: shared.name_of(mailbox),
                    mailbox: mailbox.clone(),
                });
            }
        }
        Ok((all, own.subscribed))
    }

    pub(super) async fn multisearch(
        &mut self,
        sources: Vec<MailboxFilter>,
        search: Search,
    ) -> Ended {
        use MailboxFilter as F;
        if sources.contains(&F::SelectedDelayed) {
            return Err(End::bad(T::SelectedDelayedIsOf));
        }
        let selected = sources.is_empty() || sources.contains(&F::Selected);
        let only_selected = selected && sources.len() <= 1;
        let returns = match search.returns {
            Some(returns) if !returns.is_empty() => returns,
            _ => vec![Return::All],
        };
        let updates = |one: &Return| matches!(one, Return::Update(_));
        if returns.contains(&Return::Save) && !only_selected {
            return Err(End::bad(T::SaveIsOfThe));
        }
        if selected && self.selected.is_none() {
            return Err(End::bad(T::NoMailboxIsSelected));
        }
        if returns.iter().any(updates) && !only_selected {
            return Err(End::bad(T::UpdateIsOfThe));
        }
        check(&returns, &search.key)?;
        let charset = search.charset.as_deref();
        let (all, subscribed) = self.seen().await?;
        let current = self.selected.as_ref().map(|selected| selected.mailbox);
        let mut searched = 0;
        for Seen { name, mailbox } in all {
            let is_selected = current == Some(mailbox.id);
            let own = mailbox.id.account == self.account;
            let meant = (selected && is_selected)
                || sources
                    .iter()
                    .any(|one| means(one, &name, own, &subscribed));
            if !meant || !self.rights(&mailbox).contains(b'r') {
                continue;
            }
            searched += 1;
            if searched > MOST {
                return Err(End::no(ResponseCode::Limit, T::TooManyMailboxes));
            }
            let elsewhere = (!(selected && is_selected)).then_some(mailbox.id);
            let question = self.question(charset, &search.key, elsewhere).await?;
            let hits = match elsewhere {
                None => self.hits(&question).await?,
                Some(mailbox) => {
                    let found = self.ask(mailbox, &question).await?;
                    let hit = |(uid, modseq, relevancy): (
                        hikyaku_mailstore::Uid,
                        hikyaku_mailstore::ModSeq,
                        u32,
                    )| Hit {
                        uid,
                        sequence: None,
                        modseq: modseq.0,
                        relevancy,
                    };
                    found.into_iter().map(hit).collect()
                }
            };
            if elsewhere.is_none() {
                self.keep_saved(&returns, &hits);
                self.keep_context(&returns, Numbers::Uid, question.key, None, &hits);
            }
            if hits.is_empty() || returns == [Return::Save] {
                continue;
            }
            let tag = self.driver.machine.tag().cloned().unwrap_or_default();
            let modseq = search.key.has_modseq();
            let mut esearch = result(tag, &returns, &hits, Numbers::Uid, modseq);
            let validity = mailbox.uid_validity.get();
            esearch.mailbox = Some((MailboxName::new(name), validity));
            self.respond(&Response::ESearch(Box::new(esearch)));
            let _ = self.driver.flush_if_full().await;
        }
        Ok(End::ok(T::Searched))
    }
}
