//! POP3: one connection.

use hikyaku_webmail::Admitted;
use hikyaku_wire::drive::{Driver, Next};
use mailstore::{
    AccountId, BodyRef, Error, MailboxId, Operation, Transaction, Uid, UidSet, Want, Which,
};
use pop3_proto::server::{Connection, Event, Maildrop, Options};
use pop3_proto::{Expire, ResponseCode};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::{info, warn};

use crate::body;
use crate::config::Plaintext;
use crate::listener::Stream;
use crate::login::{Login, LoginStep, MECHANISMS};
use crate::server::{Service, Shared};

/// Octets of a message that are read at a time.
const PIECE: u64 = 64 * 1024;

/// Maildrops that are open: one session each (RFC 1939 §4).
#[derive(Debug, Default)]
pub(crate) struct OpenMaildrops(Mutex<HashSet<AccountId>>);

/// A maildrop that this session holds.
struct Lock {
    shared: Arc<Shared>,
    account: AccountId,
}

impl Lock {
    /// `None` when another session holds it.
    fn take(shared: &Arc<Shared>, account: AccountId) -> Option<Self> {
        let open = &shared.open_maildrops.0;
        let free = open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(account);
        free.then(|| Self {
            shared: Arc::clone(shared),
            account,
        })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let open = &self.shared.open_maildrops.0;
        open.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.account);
    }
}

/// The maildrop that is open.
struct Opened {
    account: AccountId,
    mailbox: MailboxId,
    messages: Vec<(Uid, BodyRef)>,
    _lock: Lock,
}

struct Session<'a> {
    shared: &'a Arc<Shared>,
    admitted: &'a Admitted,
    driver: Driver<Connection, Stream>,
    login: Login,
    opened: Option<Opened>,
}

pub(crate) async fn serve(
    shared: &Arc<Shared>,
    service: Service,
    stream: Stream,
    admitted: &Admitted,
) {
    let mut options = Options::default();
    options.stls = service == Service::Pop3;
    options.tls = service.is_implicit_tls();
    options.login_needs_tls = shared.config.auth.plaintext == Plaintext::Tls;
    options.mechanisms = MECHANISMS.map(Into::into).into();
    (options.utf8, options.auth_response_code) = (true, true);
    options.expire = Some(Expire::Never);
    options.implementation = Some("Hikyaku".into());
    let mut session = Session {
        shared,
        admitted,
        driver: Driver::new(Connection::new(options), stream),
        login: Login::new(shared, admitted.peer.ip()),
        opened: None,
    };
    loop {
        let next = tokio::select! {
            next = session.driver.next_async() => next,
            () = shared.stopping() => break,
            () = admitted.displaced() => break,
        };
        match next {
            Ok(Next::Event(event)) => session.event(event).await,
            Ok(Next::StartTls) => {
                let encrypted = shared
                    .starttls(session.driver, Connection::tls_established)
                    .await;
                let Some(encrypted) = encrypted else { return };
                session.driver = encrypted;
            }
            Ok(Next::Closed | Next::NeedAnswer | Next::Compress) => break,
            Err(error) => {
                info!(%error, "ended");
                break;
            }
        }
    }
    session.driver.shutdown().await;
}

impl Session<'_> {
    fn err(&mut self, code: Option<ResponseCode>, text: &str) {
        let (machine, output) = self.driver.split();
        let _ = machine.err(code, text, output);
    }

    fn ok(&mut self, text: &str) {
        let (machine, output) = self.driver.split();
        let _ = machine.ok(text, output);
    }

    async fn event(&mut self, event: Event) {
        match event {
            Event::Connected => {
                let greeting = format!("{} POP3 ready", self.shared.config.hostname);
                self.ok(&greeting);
            }
            Event::Login { name, password } => {
                let step = self.login.password(&name, &password).await;
                self.logged_in(step).await;
            }
            Event::Auth { mechanism, initial } => {
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

    fn failed(&mut self, error: &Error) {
        warn!(%error, "store");
        self.err(Some(ResponseCode::SysTemp), "Try again later");
    }

    async fn logged_in(&mut self, step: LoginStep) {
        let account = match step {
            LoginStep::Challenge(challenge) => {
                let (machine, output) = self.driver.split();
                let _ = machine.challenge(&challenge, output);
                return;
            }
            LoginStep::Account(account) => {
                self.admitted.settle();
                account
            }
            LoginStep::Refused => {
                return self.err(Some(ResponseCode::Auth), "Wrong name or password");
            }
            LoginStep::Unavailable => {
                return self.err(Some(ResponseCode::SysTemp), "Try again later");
            }
        };
        let Some(lock) = Lock::take(self.shared, account.id) else {
            return self.err(Some(ResponseCode::InUse), "Another session has it open");
        };
        match self.open(account.id, lock).await {
            Ok((opened, maildrop)) => {
                info!(messages = opened.messages.len(), "maildrop");
                self.opened = Some(opened);
                let (machine, output) = self.driver.split();
                let _ = machine.open(maildrop, output);
            }
            Err(error) => self.failed(&error),
        }
    }

    async fn open(&self, account: AccountId, lock: Lock) -> Result<(Opened, Maildrop), Error> {
        let store = &self.shared.store;
        let inbox = store.mailbox(account, "INBOX").await?;
        let inbox = inbox.ok_or(Error::NoSuchMailbox)?;
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
        let store = &self.shared.store;
        // Behind the +OK nothing can be said any more.
        let checked = body::checked(&**store, &body, 0..body.octets, PIECE).await;
        let mut held = match checked {
            Ok(held) => held,
            Err(error @ Error::Damaged(_)) => {
                warn!(%error, number, body = body.id.0, "a message is damaged");
                return self.err(Some(ResponseCode::SysPerm), "It is damaged on the server");
            }
            Err(error) => return self.failed(&error),
        };
        let mut at = 0;
        loop {
            let piece = match held.take() {
                Some(whole) => Ok(whole),
                None => store.read(&body, at..at + PIECE).await,
            };
            let piece = match piece {
                Ok(piece) => piece,
                Err(error) if at == 0 => return self.failed(&error),
                Err(error) => {
                    // Half a message may not look like a whole one.
                    warn!(%error, "store");
                    return self.driver.split().0.abort();
                }
            };
            let (machine, output) = self.driver.split();
            if at == 0 {
                let _ = machine.begin(output);
            }
            at += piece.len() as u64;
            let more = !piece.is_empty() && machine.chunk(piece, output).unwrap_or(false);
            if !more || at >= body.octets {
                let _ = machine.end(output);
                return;
            }
            if self.driver.flush_if_full().await.is_err() {
                return self.driver.split().0.abort();
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
            if let Err(error) = self.shared.store.commit(transaction).await {
                warn!(%error, "store");
                return self.err(
                    Some(ResponseCode::SysTemp),
                    "Some messages were not deleted",
                );
            }
        }
        self.ok("Bye");
    }
}
