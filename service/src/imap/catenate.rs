//! CATENATE: a message put together of parts of others (RFC 4469).

use bytes::Bytes;
use hikyaku_imap_proto::{MailboxName, MessageUrl, ResponseCode};
use hikyaku_mailstore::{Pieces, Row, UidSet, Want, Which};

use super::convert::kept_uid;
use super::end::End;
use super::fetch::Octets;
use super::session::Session;
use super::text::Text as T;

impl Session<'_> {
    /// So many octets are the next part.
    pub(super) async fn catenate_text(&mut self, octets: u64) {
        let end = match self.incoming.take() {
            Some(incoming) => {
                let end = self.admits(&incoming, octets).await.err();
                self.incoming = Some(incoming);
                end
            }
            None => Some(End::no(ResponseCode::ServerBug, T::WhereIsTheMessage)),
        };
        self.go_on(end);
    }

    /// What that URL leads to is the next part.
    pub(super) async fn catenate_url(&mut self, url: &Bytes) {
        let end = self.try_url(url).await.err();
        self.go_on(end);
    }

    async fn try_url(&mut self, text: &Bytes) -> Result<(), End> {
        let bad = || {
            let code = ResponseCode::BadUrl(text.clone());
            End::no(code, T::ThatUrlLeadsNowhere)
        };
        let url = MessageUrl::parse(text).map_err(|_| bad())?;
        let (row, octets) = self
            .leads_to(&url)
            .await
            .map_err(|_| bad())?
            .ok_or_else(bad)?;
        let length = match &octets {
            Octets::Range(range) => range.end - range.start,
            Octets::Made(made) => made.len() as u64,
            Octets::None => return Err(bad()),
        };
        let (start, end) = match url.partial {
            None => (0, length),
            Some((first, most)) => {
                let start = u64::from(first).min(length);
                let end = most.map_or(length, |most| (start + u64::from(most)).min(length));
                (start, end)
            }
        };
        let mut incoming = self.incoming.take().ok_or_else(bad)?;
        self.admits(&incoming, end - start).await?;
        match octets {
            Octets::Made(made) => {
                let at = |offset: u64| usize::try_from(offset).unwrap_or(0).min(made.len());
                incoming.chunk(made.slice(at(start)..at(end))).await;
            }
            Octets::Range(range) => {
                let range = range.start + start..range.start + end;
                let mut pieces = Pieces::of(&*self.service.store, &row.body, range);
                while let Some(piece) = pieces.next().await? {
                    incoming.chunk(piece).await;
                }
            }
            Octets::None => {}
        }
        self.incoming = Some(incoming);
        Ok(())
    }

    async fn leads_to(&mut self, url: &MessageUrl) -> Result<Option<(Row, Octets)>, End> {
        // RFC 4469 §3: without a name it is the selected mailbox.
        let mailbox = match url.mailbox.as_str() {
            "" => {
                let current = self.current()?;
                let all = self.service.store.mailboxes(current.account, None).await?;
                all.mailboxes.into_iter().find(|one| one.id == current)
            }
            name => Some(
                self.find(&MailboxName::new(name))
                    .await?
                    .needs(b'r')?
                    .mailbox,
            ),
        };
        let Some(mailbox) = mailbox else {
            return Ok(None);
        };
        let valid = mailbox.uid_validity.get();
        if url.uid_validity.is_some_and(|validity| validity != valid) {
            return Ok(None);
        }
        let which = Which::Uids(UidSet::from(kept_uid(url.uid)));
        let page = self
            .service
            .store
            .messages(mailbox.id, &which, Want::SUMMARY, 1)
            .await?;
        let Some(row) = page.rows.into_iter().next() else {
            return Ok(None);
        };
        let structure = hikyaku_mailstore::structure(&*self.service.store, &row).await?;
        let octets = self.octets(&row, Some(&structure), &url.section).await?;
        Ok(Some((row, octets)))
    }
}
