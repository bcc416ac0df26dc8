//! APPEND and REPLACE: messages stream into the store, and are stored all together or not at all
//! (RFC 9051 §6.3.12, RFC 3502, 8508).

use hikyaku_imap_proto::{Append, Numbers, Response, ResponseCode, Status};
use hikyaku_mailstore::{Flags, MailboxId, Operation, Outcome, Staged, Transaction, Uid, UidSet};
use hikyaku_message::Scanner;

use super::convert::flags_kept;
use super::end::{End, Ended};
use super::incoming::{Incoming, Message};
use super::messages::ranges;
use super::session::Session;
use super::text::Text as T;
use hikyaku_mailstore::unix_now;

impl Session<'_> {
    pub(super) async fn begin_append(&mut self, append: Append, octets: Option<u64>) {
        let end = self.try_begin(append, octets).await.err();
        self.go_on(end);
    }

    /// Lets the message come, or what is next of it, or says why not.
    pub(super) fn go_on(&mut self, end: Option<End>) {
        if let Some(end) = end {
            self.incoming = None;
            return self.complete(end);
        }
        let (machine, output) = self.driver.split();
        let _ = machine.accept(output);
    }

    /// Whether so many octets more are too many: for a message, or for the account.
    pub(super) async fn admits(&self, incoming: &Incoming, more: u64) -> Result<(), End> {
        let message = incoming.message.octets.saturating_add(more);
        if message > self.service.options.message_size {
            return Err(End::no(ResponseCode::TooBig, T::MessageTooLarge));
        }
        let account = incoming.mailbox().id.account;
        // What REPLACE takes away makes room, which the commit counts: it is not refused beforehand.
        if incoming.replaces.is_some() {
            return Ok(());
        }
        let account = self.service.store.account_by_id(account).await?;
        let octets = incoming.octets.saturating_add(message);
        let messages = incoming.whole.len() as u64 + 1;
        match account.is_some_and(|account| !account.quota.admits(octets, messages)) {
            true => Err(End::no(ResponseCode::OverQuota, T::MailboxFull)),
            false => Ok(()),
        }
    }

    async fn try_begin(&mut self, append: Append, octets: Option<u64>) -> Result<(), End> {
        if octets == Some(0) {
            return Err(End::no(ResponseCode::Cannot, T::AnEmptyMessageIs));
        }
        let flags =
            flags_kept(&append.flags).ok_or(End::no(ResponseCode::Cannot, T::NotAFlagThat))?;
        let received = append
            .received
            .map_or((unix_now(), 0), |moment| (moment.seconds, moment.zone));
        let message = Message {
            flags: Flags::NONE,
            received,
            stage: self.service.store.stage().await?,
            scanner: Scanner::default(),
            octets: 0,
            has_nul: false,
            failed: None,
        };
        let mut incoming = match self.incoming.take() {
            Some(mut before) => {
                let last = std::mem::replace(&mut before.message, message);
                let last = self.whole(before.mailbox().id, last).await?;
                before.octets += last.body.body().octets;
                before.whole.push(last);
                before
            }
            None => {
                let target = self.target(&append.mailbox).await?;
                let replaces = match &append.replaces {
                    Some((set, numbers)) => Some(self.replaced(set, *numbers)?),
                    None => None,
                };
                Incoming {
                    target,
                    whole: Vec::new(),
                    message,
                    octets: 0,
                    replaces,
                }
            }
        };
        self.admits_messages(incoming.whole.len() + 1)?;
        // RFC 4314 §4: what may not be set is not, and nothing is said.
        incoming.message.flags = Self::permitted(incoming.target.rights, &flags);
        self.admits(&incoming, octets.unwrap_or(0)).await?;
        self.incoming = Some(incoming);
        Ok(())
    }

    /// Which message REPLACE means.
    fn replaced(
        &self,
        set: &hikyaku_imap_proto::SequenceSet,
        numbers: Numbers,
    ) -> Result<(MailboxId, Uid), End> {
        if self.is_read_only() || !self.may(b'e') || !self.may(b't') {
            return Err(End::no(ResponseCode::NoPerm, T::ThatIsNotAllowed));
        }
        let mailbox = self.current()?;
        let uids = self.resolve(set, numbers)?;
        let known = |uid: &Uid| self.is_known(*uid);
        let mut all = uids.iter().take(2);
        match (all.next().filter(known), all.next()) {
            (Some(uid), None) => Ok((mailbox, uid)),
            _ => Err(End::no(ResponseCode::NonExistent, T::ThereIsNoSuchMessage)),
        }
    }

    /// A message whose last octet has come, as it is kept.
    async fn whole(
        &mut self,
        mailbox: MailboxId,
        message: Message,
    ) -> Result<hikyaku_mailstore::Append, End> {
        if let Some(error) = message.failed {
            return Err(error.into());
        }
        if message.octets == 0 {
            return Err(End::no(ResponseCode::Cannot, T::AnEmptyMessageIs));
        }
        let mut body: Staged = message.stage.finish().await?;
        let mut structure = message.scanner.finish();
        if message.has_nul {
            (body, structure) = self.without_nul(&body, &structure).await?;
        }
        let mut append = hikyaku_mailstore::Append::new(mailbox, body, message.received);
        append.flags = message.flags;
        append.summary = structure.encode();
        Ok(append)
    }

    pub(super) async fn end_append(&mut self) -> Ended {
        let Some(incoming) = self.incoming.take() else {
            return Err(End::no(ResponseCode::ServerBug, T::WhereIsTheMessage));
        };
        let mailbox = incoming.mailbox().id;
        let mut appends = incoming.whole;
        appends.push(self.whole(mailbox, incoming.message).await?);
        let mut transaction = Transaction::new(mailbox.account);
        let expunge = incoming.replaces.map(|(mailbox, uid)| Operation::Expunge {
            mailbox,
            uids: UidSet::from(uid),
            deleted_only: false,
        });
        // A message that is replaced by one in another account goes when that is there.
        let (mut within, mut after) = (None, None);
        match incoming.replaces {
            Some((from, _)) if from.account == mailbox.account => within = expunge,
            Some((from, _)) => after = expunge.map(|expunge| (from.account, expunge)),
            None => {}
        }
        let replaces = incoming.replaces.is_some();
        // First, so that it makes room.
        if let Some(expunge) = within {
            transaction = transaction.with(expunge);
        }
        for append in appends {
            transaction = transaction.with(Operation::Append(Box::new(append)));
        }
        let committed = self.service.store.commit(transaction).await?;
        if let Some((account, expunge)) = after {
            self.commit(account, expunge).await?;
        }
        let appended = |outcome: &Outcome| match outcome {
            Outcome::Appended {
                uid, uid_validity, ..
            } => Some((uid.get(), uid_validity.get())),
            _ => None,
        };
        let appended: Vec<(u32, u32)> = committed.outcomes.iter().filter_map(appended).collect();
        let uids: Vec<u32> = appended.iter().map(|(uid, _)| *uid).collect();
        let code = appended
            .first()
            .map(|(_, validity)| ResponseCode::AppendUid(*validity, ranges(&uids)));
        if replaces {
            // RFC 8508 §3.2: before the EXPUNGE, which comes before the end.
            let text = T::TheNewOneIs.into();
            self.respond(&Response::Status(Status::Ok, code, text));
            return Ok(End::ok(T::Replaced));
        }
        Ok(End(Status::Ok, code, T::Appended.into()))
    }
}
