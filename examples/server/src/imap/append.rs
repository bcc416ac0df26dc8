//! APPEND: its message streams into the store.

use bytes::Bytes;
use imap_proto::{Append, ResponseCode, Status};
use mailstore::message::Scanner;
use mailstore::{Mailbox, Operation, Outcome, Stage};

use super::convert::flags_kept;
use super::{End, Ended, Session};

/// A message on its way in.
pub(super) struct Incoming {
    append: Append,
    mailbox: Mailbox,
    stage: Box<dyn Stage>,
    scanner: Scanner,
    failed: Option<mailstore::Error>,
}

impl Incoming {
    pub(super) async fn chunk(&mut self, chunk: Bytes) {
        self.scanner.feed(&chunk);
        if self.failed.is_none() {
            self.failed = self.stage.write(chunk).await.err();
        }
    }
}

impl Session<'_> {
    pub(super) async fn begin_append(&mut self, append: Append, octets: u64) {
        match self.try_begin(append, octets).await {
            Ok(incoming) => {
                self.incoming = Some(incoming);
                let (machine, output) = self.driver.split();
                let _ = machine.accept(output);
            }
            Err(end) => self.complete(end),
        }
    }

    async fn try_begin(&mut self, append: Append, octets: u64) -> Result<Incoming, End> {
        if octets > self.shared.config.limits.message_size.0 {
            return Err(End::no(ResponseCode::TooBig, "Message too large"));
        }
        if octets == 0 {
            return Err(End::no(ResponseCode::Cannot, "An empty message is none"));
        }
        let mailbox = self.target(&append.mailbox).await?;
        let account = self.shared.store.account_by_id(self.account).await?;
        if account.is_some_and(|account| !account.quota.admits(octets, 1)) {
            return Err(End::no(ResponseCode::OverQuota, "Mailbox full"));
        }
        Ok(Incoming {
            append,
            mailbox,
            stage: self.shared.store.stage().await?,
            scanner: Scanner::default(),
            failed: None,
        })
    }

    pub(super) async fn end_append(&mut self) -> Ended {
        let Some(incoming) = self.incoming.take() else {
            return Err(End::no(ResponseCode::ServerBug, "Where is the message?"));
        };
        if let Some(error) = incoming.failed {
            return Err(error.into());
        }
        let body = incoming.stage.finish().await?;
        let received = incoming
            .append
            .received
            .map_or((crate::unix_now(), 0), |moment| {
                (moment.seconds, moment.zone)
            });
        let mut append = mailstore::Append::new(incoming.mailbox.id, body, received);
        append.flags = flags_kept(&incoming.append.flags)
            .ok_or(End::no(ResponseCode::Cannot, "Not a flag that can be kept"))?;
        append.summary = incoming.scanner.finish().encode();
        match self.commit(Operation::Append(Box::new(append))).await? {
            Outcome::Appended {
                uid, uid_validity, ..
            } => {
                let uid = uid.get();
                let code = ResponseCode::AppendUid(uid_validity.get(), vec![(uid, uid)]);
                Ok(End(Status::Ok, Some(code), "Appended".into()))
            }
            _ => Ok(End::ok("Appended")),
        }
    }
}
