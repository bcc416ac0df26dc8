//! ESEARCH: one search in several mailboxes (RFC 7377).

use imap_proto::{MailboxFilter, MailboxName, Response, ResponseCode, Return, Search};
use mailstore::Mailbox;

use super::access::kept;
use super::search::{Hit, check, result};
use super::{DELIMITER, End, Ended, Session};

/// More than so many mailboxes one search does not go through.
const MOST: usize = 10_000;

/// A mailbox that this client sees, as it calls it.
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) mailbox: Mailbox,
}

/// Whether a mailbox is the named one or below it; directly, when not `deep`.
fn is_below(name: &str, top: &str, deep: bool) -> bool {
    let Some(rest) = name.strip_prefix(top) else {
        return false;
    };
    match rest.strip_prefix(DELIMITER) {
        None => rest.is_empty(),
        Some(rest) => deep || !rest.contains(DELIMITER),
    }
}

/// Whether a filter means a mailbox; not those of the selected mailbox, which have no name.
pub(super) fn means(filter: &MailboxFilter, name: &str, own: bool, subscribed: &[String]) -> bool {
    use MailboxFilter as F;
    let any = |names: &[MailboxName], is: &dyn Fn(&str) -> bool| {
        names.iter().any(|one| is(&kept(one.as_str())))
    };
    match filter {
        // Sieve may put mail anywhere: all are where mail is delivered to.
        F::Personal | F::Inboxes => own,
        F::Subscribed => subscribed.iter().any(|one| one == name),
        F::Mailboxes(names) => any(names, &|one| one == name),
        F::Subtree(names) => any(names, &|one| is_below(name, one, true)),
        F::SubtreeOne(names) => any(names, &|one| is_below(name, one, false)),
        _ => false,
    }
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
            return Err(End::bad("selected-delayed is of NOTIFY"));
        }
        let selected = sources.is_empty() || sources.contains(&F::Selected);
        let only_selected = selected && sources.len() <= 1;
        let returns = match search.returns {
            Some(returns) if !returns.is_empty() => returns,
            _ => vec![Return::All],
        };
        let updates = |one: &Return| matches!(one, Return::Update(_));
        if returns.contains(&Return::Save) && !only_selected {
            return Err(End::bad("SAVE is of the selected mailbox"));
        }
        if selected && self.selected.is_none() {
            return Err(End::bad("No mailbox is selected"));
        }
        if returns.iter().any(updates) && !only_selected {
            return Err(End::bad("UPDATE is of the selected mailbox"));
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
                return Err(End::no(ResponseCode::Limit, "Too many mailboxes"));
            }
            let elsewhere = (!(selected && is_selected)).then_some(mailbox.id);
            let question = self.question(charset, &search.key, elsewhere).await?;
            let hits = match elsewhere {
                None => self.hits(&question).await?,
                Some(mailbox) => {
                    let found = self.ask(mailbox, &question).await?;
                    let hit =
                        |(uid, modseq, relevancy): (mailstore::Uid, mailstore::ModSeq, u32)| Hit {
                            uid: uid.get(),
                            sequence: 0,
                            modseq: modseq.0,
                            relevancy,
                        };
                    found.into_iter().map(hit).collect()
                }
            };
            if elsewhere.is_none() {
                self.keep_saved(&returns, &hits);
                self.keep_context(&returns, true, question.key, None, &hits);
            }
            if hits.is_empty() || returns == [Return::Save] {
                continue;
            }
            let tag = self.driver.machine.tag().cloned().unwrap_or_default();
            let modseq = search.key.has_modseq();
            let mut esearch = result(tag, &returns, &hits, true, modseq);
            let validity = mailbox.uid_validity.get();
            esearch.mailbox = Some((MailboxName::new(name), validity));
            self.respond(&Response::ESearch(Box::new(esearch)));
            let _ = self.driver.flush_if_full().await;
        }
        Ok(End::ok("Searched"))
    }
}
