//! POP3: one connection (RFC 1939).

pub(crate) mod open;

use hikyaku_mailstore::{
    Account, AccountId, BodyRef, Error, MailboxId, Operation, Pieces, Transaction, Uid, UidSet,
    Want, Which,
};
use hikyaku_pop3_proto::server::{Connection, Event, Maildrop, Options};
use hikyaku_pop3_proto::{Expire, ResponseCode};
use hikyaku_wire::LoginRefusal;
use hikyaku_wire::drive::Driver;
use tracing::{info, warn};

use crate::Guest;
use crate::body;
use crate::login::{Login, mechanisms};
use crate::serve::{Conversation, serve, starttls};
use crate::service::Service;
use crate::stream::Stream;
use open::Lock;

/// The maildrop that is open.
struct Opened<'a> {
    account: AccountId,
    mailbox: MailboxId,
    messages: Vec<(Uid, BodyRef)>,
    _lock: Lock<'a>,
}

struct Session<'a> {
    service: &'a Service,
    guest: &'a dyn Guest,
    driver: Driver<Connection, Stream>,
    login: Login<'a>,
    opened: Option<Opened<'a>>,
}

impl Service {
    /// Speaks POP3 until the connection ends (RFC 1939). A stream that is not under TLS yet is offered STLS.
    pub async fn pop3(&self, stream: impl Into<Stream>, guest: &dyn Guest) {
        let stream = stream.into();
        let mut options = Options::default();
        options.stls = self.can_encrypt(&stream);
        options.tls = stream.is_tls();
        options.login_needs_tls = self.options.login_needs_tls;
        options.mechanisms = mechanisms(&*self.directory);
        (options.utf8, options.auth_response_code) = (true, true);
        options.expire = Some(Expire::Never);
        options.implementation = Some("Hikyaku".into());
        let session = Session {
            service: self,
            guest,
            driver: Driver::new(Connection::new(options), stream),
            login: Login::new(self, guest.address()),
            opened: None,
        };
        serve(session, guest).await;
    }
}

impl Conversation for Session<'_> {
    type Machine = Connection;

    fn driver(&mut self) -> &mut Driver<Connection, Stream> {
        &mut self.driver
    }

    fn guest(&self) -> &dyn Guest {
        self.guest
    }

    fn event(&mut self, event: Event) -> impl Future<Output = ()> + Send {
        Box::pin(self.does(event))
    }

    async fn encrypt(mut self) -> Option<Self> {
        self.driver = starttls(self.service, self.driver).await?;
        Some(self)
    }

    fn challenge(&mut self, challenge: &[u8]) {
        let challenge =
            |machine: &mut Connection, output: &mut _| machine.challenge(challenge, output);
        self.driver.answer(challenge);
    }

    async fn granted(&mut self, account: Box<Account>) {
        let Some(lock) = self.service.open_maildrops.take(account.id) else {
            return self.err(Some(ResponseCode::InUse), "Another session has it open");
        };
        match self.open(account.id, lock).await {
            Ok((opened, maildrop)) => {
                info!(messages = opened.messages.len(), "opened the maildrop");
                self.opened = Some(opened);
                self.driver
                    .answer(|machine, output| machine.grant(maildrop, output));
            }
            Err(error) => self.failed(&error),
        }
    }

    fn refused(&mut self, why: LoginRefusal) {
        self.driver
            .answer(|machine, output| machine.refuse(why, output));
    }
}

impl<'a> Session<'a> {
    /// Does what the client asks for.
    async fn does(&mut self, event: Event) {
        match event {
            Event::Connected => {
                let greeting = format!("{} POP3 ready", self.service.options.hostname);
                self.driver
                    .answer(|machine, output| machine.greet(&greeting, output));
            }
            Event::Login { name, password } => {
                let step = self.login.password(&name, &password).await;
                self.logged_in(step).await;
            }
            Event::Authenticate { mechanism, initial } => {
                let step = self.login.begin(&mechanism, initial.as_ref()).await;
                self.logged_in(step).await;
            }
            Event::SaslResponse(response) => {
                let step = self.login.respond(&response).await;
                self.logged_in(step).await;
            }
            Event::SaslCancelled => self.login.cancel(),
            Event::Message { number, .. } => self.message(number).await,
            Event::Update { deleted } => self.update(&deleted).await,
            _ => self.err(None, "Not here"),
        }
    }

    fn err(&mut self, code: Option<ResponseCode>, text: &str) {
        self.driver
            .answer(|machine, output| machine.err(code, text, output));
    }

    fn ok(&mut self, text: &str) {
        self.driver
            .answer(|machine, output| machine.ok(text, output));
    }

    fn failed(&mut self, error: &Error) {
        warn!(%error, "the store failed");
        self.err(Some(ResponseCode::SysTemp), "Try again later");
    }

    async fn open(
        &self,
        account: AccountId,
        lock: Lock<'a>,
    ) -> Result<(Opened<'a>, Maildrop), Error> {
        let store = &self.service.store;
        let inbox = store.mailbox(account, "INBOX").await?;
        let inbox = inbox.ok_or(Error::NoSuchMailbox(account.into()))?;
        let (mut maildrop, mut messages, mut after) = (Maildrop::new(), Vec::new(), None);
        loop {
            let page = store
                .messages(inbox.id, &Which::After(after), Want::ROW, 1000)
                .await?;
            for row in &page.rows {
                let unique_id = format!("{}.{}", inbox.uid_validity.get(), row.uid.get());
                if maildrop.push(row.body.octets, unique_id).is_ok() {
                    messages.push((row.uid, row.body));
                }
                after = Some(row.uid);
            }
            if !page.more {
                break;
            }
        }
        let opened = Opened {
            account,
            mailbox: inbox.id,
            messages,
            _lock: lock,
        };
        Ok((opened, maildrop))
    }

    fn numbered(&self, number: u32) -> Option<(Uid, BodyRef)> {
        let at = usize::try_from(number).ok()?.checked_sub(1)?;
        self.opened.as_ref()?.messages.get(at).copied()
    }

    async fn message(&mut self, number: u32) {
        let Some((_, body)) = self.numbered(number) else {
            return self.err(None, "No such message");
        };
        let store = &self.service.store;
        // Behind the +OK nothing can be said any more.
        let checked = body::checked(&**store, &body, 0..body.octets, body::HELD).await;
        let mut held = match checked {
            Ok(held) => held,
            Err(error @ Error::Damaged(..)) => {
                warn!(%error, number, body = body.id.0, "a message is damaged");
                return self.err(Some(ResponseCode::SysPerm), "It is damaged on the server");
            }
            Err(error) => return self.failed(&error),
        };
        let mut pieces = Pieces::whole(&**store, &body);
        let mut at = 0;
        loop {
            let piece = match held.take() {
                Some(whole) => Ok(whole),
                None => pieces.next().await.map(Option::unwrap_or_default),
            };
            let piece = match piece {
                Ok(piece) => piece,
                Err(error) if at == 0 => return self.failed(&error),
                Err(error) => {
                    // Half a message may not look like a whole one.
                    warn!(%error, "the store failed");
                    return self.driver.machine.abort();
                }
            };
            if at == 0 {
                self.driver.answer(Connection::begin);
            }
            at += piece.len() as u64;
            let more = !piece.is_empty()
                && self
                    .driver
                    .answer(|machine, output| machine.chunk(piece, output))
                    .unwrap_or(false);
            if !more || at >= body.octets {
                self.driver.answer(Connection::end);
                return;
            }
            if self.driver.flush_if_full().await.is_err() {
                return self.driver.machine.abort();
            }
        }
    }

    async fn update(&mut self, deleted: &[u32]) {
        let uids: UidSet = deleted
            .iter()
            .filter_map(|&n| self.numbered(n))
            .map(|(uid, _)| uid)
            .collect();
        let Some(opened) = self.opened.take() else {
            return self.ok("Bye");
        };
        if !uids.is_empty() {
            let expunge = Operation::Expunge {
                mailbox: opened.mailbox,
                uids,
                deleted_only: false,
            };
            let transaction = Transaction::new(opened.account).with(expunge);
            if let Err(error) = self.service.store.commit(transaction).await {
                warn!(%error, "the store failed");
                return self.err(
                    Some(ResponseCode::SysTemp),
                    "Some messages were not deleted",
                );
            }
        }
        self.ok("Bye");
    }
}
