//! POP3: one connection.

use hikyaku_wire::drive::{Driver, Next};
use mailstore::{
    Account, AccountId, BodyRef, Error, MailboxId, Operation, Transaction, Uid, UidSet, Want, Which,
};
use pop3_proto::ResponseCode;
use pop3_proto::server::{Connection, Event, Maildrop, Options};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::{info, warn};

use crate::config::Plaintext;
use crate::listener::{Admitted, Stream};
use crate::metrics::count;
use crate::sasl::{Exchange, MECHANISMS, Stepped};
use crate::server::{Service, Shared, WRONG_PASSWORD};

/// Maildrops that are open: one session each (RFC 1939 §4).
static OPEN: Mutex<Option<HashSet<(usize, AccountId)>>> = Mutex::new(None);

/// A maildrop that this session holds.
struct Lock((usize, AccountId));

impl Lock {
    /// `None` when another session holds it.
    fn take(shared: &Arc<Shared>, account: AccountId) -> Option<Self> {
        let key = (Arc::as_ptr(shared) as usize, account);
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.get_or_insert_default()
            .insert(key)
            .then_some(Self(key))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.get_or_insert_default().remove(&self.0);
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
    driver: Driver<Connection, Stream>,
    exchange: Option<Exchange>,
    opened: Option<Opened>,
}

pub(crate) async fn serve(shared: &Arc<Shared>, service: Service, stream: Stream, _: &Admitted) {
    let mut options = Options::default();
    options.stls = service == Service::Pop3;
    options.tls = service.is_implicit_tls();
    options.login_needs_tls = shared.config.auth.plaintext == Plaintext::Tls;
    options.mechanisms = MECHANISMS.map(Into::into).into();
    let mut session = Session {
        shared,
        driver: Driver::new(Connection::new(options), stream),
        exchange: None,
        opened: None,
    };
    loop {
        let next = tokio::select! {
            next = session.driver.next_async() => next,
            () = shared.stopping() => break,
        };
        match next {
            Ok(Next::Event(event)) => session.event(event).await,
            Ok(Next::StartTls) => {
                let (mut machine, stream) = session.driver.into_parts();
                let stream = match shared.encrypt(stream).await {
                    Ok(stream) => stream,
                    Err(error) => return info!(%error, "no TLS"),
                };
                machine.tls_established();
                session.driver = Driver::new(machine, stream);
            }
            Ok(Next::Closed | Next::NeedAnswer) => break,
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
                let name = String::from_utf8_lossy(&name).into_owned();
                let password = password.expose_str().unwrap_or("").to_owned();
                match self.shared.accounts.verify(&name, &password).await {
                    Ok(account) => self.logged_in(account.map(Box::new)).await,
                    Err(error) => self.failed(&error),
                }
            }
            Event::Auth { mechanism, initial } => {
                self.exchange = Exchange::start(&self.shared.accounts, &mechanism);
                self.step(initial.as_ref().map(hikyaku_wire::Secret::expose))
                    .await;
            }
            Event::SaslResponse(response) => self.step(Some(response.expose())).await,
            Event::SaslCancelled => self.exchange = None,
            Event::Message { number, .. } => self.message(number).await,
            Event::Update { deleted } => self.update(&deleted).await,
            _ => self.err(None, "Not here"),
        }
    }

    fn failed(&mut self, error: &Error) {
        warn!(%error, "store");
        self.err(Some(ResponseCode::SysTemp), "Try again later");
    }

    async fn step(&mut self, response: Option<&[u8]>) {
        let stepped = match &mut self.exchange {
            Some(exchange) => exchange.step(response).await,
            None => Stepped::Done(None),
        };
        match stepped {
            Stepped::Challenge(challenge) => {
                let (machine, output) = self.driver.split();
                let _ = machine.challenge(&challenge, output);
            }
            Stepped::Done(account) => self.logged_in(account).await,
        }
    }

    async fn logged_in(&mut self, account: Option<Box<Account>>) {
        let Some(account) = account else {
            info!("login failed");
            count(&self.shared.metrics.logins_failed_total);
            tokio::time::sleep(WRONG_PASSWORD).await;
            return self.err(Some(ResponseCode::Auth), "Wrong name or password");
        };
        let Some(lock) = Lock::take(self.shared, account.id) else {
            return self.err(Some(ResponseCode::InUse), "Another session has it open");
        };
        match self.open(account.id, lock).await {
            Ok((opened, maildrop)) => {
                info!(
                    account = account.name,
                    messages = opened.messages.len(),
                    "logged in"
                );
                count(&self.shared.metrics.logins_total);
                self.opened = Some(opened);
                let (machine, output) = self.driver.split();
                let _ = machine.open(maildrop, output);
            }
            Err(error) => self.failed(&error),
        }
    }

    async fn open(&self, account: AccountId, lock: Lock) -> Result<(Opened, Maildrop), Error> {
        let store = &self.shared.store;
        let mailboxes = store.mailboxes(account, None).await?.mailboxes;
        let inbox = mailboxes
            .into_iter()
            .find(|mailbox| mailbox.name == "INBOX");
        let inbox = inbox.ok_or(Error::NoSuchMailbox)?;
        let (mut maildrop, mut messages, mut after) = (Maildrop::new(), Vec::new(), None);
        loop {
            let page = store
                .messages(inbox.id, &Which::After(after), Want::ROW, 1000)
                .await?;
            for row in &page.rows {
                let unique_id = format!("{}.{}", inbox.uid_validity.get(), row.uid.get());
                maildrop.push(row.body.octets, unique_id);
                messages.push((row.uid, row.body));
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
        let mut at = 0;
        loop {
            let piece = match self.shared.store.read(&body, at..at + 65_536).await {
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
