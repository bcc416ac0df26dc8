//! APPEND and REPLACE: messages stream into the store, and are there all together or not at all
//! (RFC 9051 §6.3.12, RFC 3502, 8508).

use bytes::Bytes;
use imap_proto::{Append, Response, ResponseCode, Status};
use mailstore::message::Scanner;
use mailstore::{
    Flags, Mailbox, MailboxId, Operation, Outcome, Stage, Staged, Transaction, Uid, UidSet,
};

use super::access::Found;
use super::convert::flags_kept;
use super::messages::ranges;
use super::{End, Ended, Session};

/// What comes of one command.
pub(super) struct Incoming {
    target: Found,
    /// Messages that are whole.
    whole: Vec<mailstore::Append>,
    /// The one on its way.
    message: Message,
    /// Octets of all of them.
    octets: u64,
    /// REPLACE: what goes when they have come.
    replaces: Option<(MailboxId, Uid)>,
}

/// A message on its way in.
struct Message {
    flags: Flags,
    received: (i64, i16),
    stage: Box<dyn Stage>,
    scanner: Scanner,
    octets: u64,
    /// Its literal may hold NUL, and does.
    has_nul: bool,
    failed: Option<mailstore::Error>,
}

impl Message {
    async fn chunk(&mut self, chunk: Bytes) {
        self.scanner.feed(&chunk);
        self.octets += chunk.len() as u64;
        self.has_nul |= memchr::memchr(0, &chunk).is_some();
        if self.failed.is_none() {
            self.failed = self.stage.write(chunk).await.err();
        }
    }
}

impl Incoming {
    pub(super) async fn chunk(&mut self, chunk: Bytes) {
        self.message.chunk(chunk).await;
    }

    pub(super) fn mailbox(&self) -> &Mailbox {
        &self.target.mailbox
    }
}

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
        if message > self.shared.config.limits.message_size.0 {
            return Err(End::no(ResponseCode::TooBig, "Message too large"));
        }
        let account = incoming.mailbox().id.account;
        // What REPLACE takes away makes room, which the commit counts: it is not refused beforehand.
        if incoming.replaces.is_some() {
            return Ok(());
        }
        let account = self.shared.store.account_by_id(account).await?;
        let octets = incoming.octets.saturating_add(message);
        let messages = incoming.whole.len() as u64 + 1;
        match account.is_some_and(|account| !account.quota.admits(octets, messages)) {
            true => Err(End::no(ResponseCode::OverQuota, "Mailbox full")),
            false => Ok(()),
        }
    }

    async fn try_begin(&mut self, append: Append, octets: Option<u64>) -> Result<(), End> {
        if octets == Some(0) {
            return Err(End::no(ResponseCode::Cannot, "An empty message is none"));
        }
        let flags = flags_kept(&append.flags)
            .ok_or(End::no(ResponseCode::Cannot, "Not a flag that can be kept"))?;
        let received = append.received.map_or((crate::unix_now(), 0), |moment| {
            (moment.seconds, moment.zone)
        });
        let message = Message {
            flags: Flags::NONE,
            received,
            stage: self.shared.store.stage().await?,
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
                    Some((set, uid)) => Some(self.replaced(set, *uid)?),
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
    fn replaced(&self, set: &imap_proto::SequenceSet, uid: bool) -> Result<(MailboxId, Uid), End> {
        if self.is_read_only() || !self.may(b'e') || !self.may(b't') {
            return Err(End::no(ResponseCode::NoPerm, "That is not allowed here"));
        }
        let mailbox = self.current()?;
        let uids = self.resolve(set, uid)?;
        let view = self.driver.machine.selected();
        let known = |uid: &Uid| view.is_some_and(|view| view.sequence(uid.get()).is_some());
        let mut all = uids.iter().take(2);
        match (all.next().filter(known), all.next()) {
            (Some(uid), None) => Ok((mailbox, uid)),
            _ => Err(End::no(
                ResponseCode::NonExistent,
                "There is no such message",
            )),
        }
    }

    /// A message whose last octet has come, as it is kept.
    async fn whole(
        &mut self,
        mailbox: MailboxId,
        message: Message,
    ) -> Result<mailstore::Append, End> {
        if let Some(error) = message.failed {
            return Err(error.into());
        }
        if message.octets == 0 {
            return Err(End::no(ResponseCode::Cannot, "An empty message is none"));
        }
        let mut body: Staged = message.stage.finish().await?;
        let mut structure = message.scanner.finish();
        if message.has_nul {
            (body, structure) = self.without_nul(&body, &structure).await?;
        }
        let mut append = mailstore::Append::new(mailbox, body, message.received);
        append.flags = message.flags;
        append.summary = structure.encode();
        Ok(append)
    }

    pub(super) async fn end_append(&mut self) -> Ended {
        let Some(incoming) = self.incoming.take() else {
            return Err(End::no(ResponseCode::ServerBug, "Where is the message?"));
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
        let committed = self.shared.store.commit(transaction).await?;
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
            let text = "The new one is here".into();
            self.respond(&Response::Status(Status::Ok, code, text));
            return Ok(End::ok("Replaced"));
        }
        Ok(End(Status::Ok, code, "Appended".into()))
    }
}
