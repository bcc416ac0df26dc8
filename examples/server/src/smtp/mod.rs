//! SMTP reception, submission and LMTP: one connection.

mod author;
mod delivery;
mod incoming;
mod inside;

pub(crate) use delivery::{Local, local_recipient};
pub(crate) use incoming::now;
pub(crate) use inside::submit;

use hikyaku_webmail::Admitted;
use hikyaku_wire::Machine as _;
use hikyaku_wire::drive::{Driver, Next};
use mailstore::{Account, AccountId};
use smtp_proto::server::{Connection, Event, Options};
use smtp_proto::{ForwardPath, MailParameters, Mailbox, Reply, ReversePath};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::config::Plaintext;
use crate::listener::Stream;
use crate::login::{Login, LoginStep, MECHANISMS};
use crate::metrics::count;
use crate::server::{Service, Shared};
use crate::store_health;
use author::Authors;
use incoming::{Failure, Incoming, Trace};

/// What is known of the client, and of the transaction under way.
struct Session<'a> {
    shared: &'a Arc<Shared>,
    service: Service,
    admitted: &'a Admitted,
    driver: Driver<Connection, Stream>,
    name: String,
    account: Option<Box<Account>>,
    login: Login,
    transaction: Option<Transaction>,
}

/// Between MAIL and the end of the message.
struct Transaction {
    reverse_path: ReversePath,
    parameters: MailParameters,
    recipients: Vec<Recipient>,
    incoming: Option<Incoming>,
    pace: Pace,
    id: String,
}

/// How quickly a message comes.
struct Pace {
    since: Instant,
    octets: u64,
}

impl Pace {
    /// How long a message may come more slowly than it must.
    const HEAD_START: Duration = Duration::from_secs(300);
    /// Octets a second.
    const RATE: u64 = 512;

    fn begin() -> Self {
        Self {
            since: Instant::now(),
            octets: 0,
        }
    }

    /// Counts what came; whether that was in time.
    fn keeps(&mut self, octets: usize) -> bool {
        self.octets = self.octets.saturating_add(octets as u64);
        let may = Self::HEAD_START + Duration::from_secs(self.octets / Self::RATE);
        self.since.elapsed() < may
    }
}

/// Where a message goes.
pub(crate) enum Recipient {
    Here(Local),
    Elsewhere(Mailbox),
}

/// A name for what was accepted, for logs and Received.
fn queue_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = since.map_or(0, |since| since.as_micros());
    format!("{now:x}.{:x}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn options(shared: &Shared, service: Service) -> Options {
    let mut options = Options::new(shared.config.hostname.clone());
    options.limits.message = shared.config.limits.message_size.0;
    options.smtputf8 = true;
    options.lmtp = service == Service::Lmtp;
    options.starttls = matches!(service, Service::Smtp | Service::Submission);
    options.tls = service.is_implicit_tls();
    if matches!(service, Service::Submission | Service::Submissions) {
        options.mechanisms = MECHANISMS.map(Into::into).into();
        options.auth_required = true;
        options.login_needs_tls = shared.config.auth.plaintext == Plaintext::Tls;
    }
    options
}

pub(crate) async fn serve(
    shared: &Arc<Shared>,
    service: Service,
    stream: Stream,
    admitted: &Admitted,
) {
    let mut session = Session {
        shared,
        service,
        admitted,
        driver: Driver::new(Connection::new(options(shared, service)), stream),
        name: String::new(),
        account: None,
        login: Login::new(shared, admitted.peer.ip()),
        transaction: None,
    };
    loop {
        let next = tokio::select! {
            next = session.driver.next_async() => next,
            () = shared.stopping(), if session.is_between_messages() => {
                let (machine, output) = session.driver.split();
                machine.shut_down(output);
                break;
            }
            () = admitted.displaced(), if session.is_between_messages() => {
                let (machine, output) = session.driver.split();
                machine.shut_down(output);
                break;
            }
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
            Ok(Next::Closed) => break,
            Ok(Next::NeedAnswer | Next::Compress) => {
                warn!("an event was not answered");
                break;
            }
            Err(error) => {
                info!(%error, "ended");
                break;
            }
        }
    }
    session.driver.shutdown().await;
}

impl Session<'_> {
    fn is_between_messages(&self) -> bool {
        self.transaction
            .as_ref()
            .is_none_or(|t| t.incoming.is_none())
    }

    fn accept(&mut self) {
        let (machine, output) = self.driver.split();
        // Every event that comes here waits for an answer.
        let _ = machine.accept(output);
    }

    fn reply(&mut self, code: u16, enhanced: &str, text: &str) {
        let reply = Reply::new(code, enhanced, text.as_bytes().to_vec());
        let (machine, output) = self.driver.split();
        let _ = machine.reply(&reply, output);
    }

    async fn event(&mut self, event: Event) {
        match event {
            Event::Hello { name, .. } => {
                self.name = String::from_utf8_lossy(&name).into_owned();
                self.transaction = None;
                self.accept();
            }
            Event::Mail {
                reverse_path,
                parameters,
            } => self.mail(reverse_path, parameters),
            Event::Rcpt { forward_path } => self.rcpt(&forward_path).await,
            Event::Data => self.data().await,
            Event::Chunk(chunk) => self.chunk(chunk).await,
            Event::EndOfData => self.end_of_data().await,
            Event::BodyRefused | Event::Reset => self.transaction = None,
            Event::Auth { mechanism, initial } => {
                let step = self.login.begin(&mechanism, initial.as_ref()).await;
                self.logged_in(step);
            }
            Event::SaslResponse(response) => {
                let step = self.login.respond(&response).await;
                self.logged_in(step);
            }
            Event::SaslCancelled => self.login.cancel(),
            _ => self.accept(),
        }
    }

    async fn chunk(&mut self, chunk: bytes::Bytes) {
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        if !transaction.pace.keeps(chunk.len()) {
            info!("the message comes too slowly");
            self.transaction = None;
            let (machine, output) = self.driver.split();
            return machine.timed_out(output);
        }
        if let Some(incoming) = &mut transaction.incoming {
            incoming.chunk(chunk).await;
        }
    }

    fn logged_in(&mut self, step: LoginStep) {
        match step {
            LoginStep::Challenge(challenge) => {
                let (machine, output) = self.driver.split();
                let _ = machine.challenge(&challenge, output);
            }
            LoginStep::Account(account) => {
                self.admitted.settle();
                self.account = Some(account);
                self.accept();
            }
            LoginStep::Refused => self.reply(535, "5.7.8", "Authentication credentials invalid"),
            LoginStep::Unavailable => self.reply(454, "4.7.0", "Try again later"),
        }
    }

    /// Whose message the client may send.
    fn authors(&self) -> Authors {
        let config = &self.shared.config;
        let peer = self.admitted.peer.ip();
        match (&self.account, self.service) {
            (Some(account), _) => Authors::of_account(config, &account.name),
            (None, Service::Smtp) if !config.senders.exempt.contains(peer) => {
                Authors::of_outside(config)
            }
            (None, _) => Authors::Anybody,
        }
    }

    fn mail(&mut self, reverse_path: ReversePath, parameters: MailParameters) {
        // Better now than after the message.
        if let Err(error) = self.shared.store.health().takes_messages() {
            let (machine, output) = self.driver.split();
            let _ = machine.reply(&delivery::reply_of(&error), output);
            return;
        }
        let authors = self.authors();
        if let Some(mailbox) = &reverse_path.0
            && !authors.may_send(mailbox)
        {
            return match self.account {
                Some(_) => self.reply(553, "5.7.1", "Not your address"),
                None => self.reply(
                    550,
                    "5.7.1",
                    "A domain of this server: log in to write as it",
                ),
            };
        }
        self.transaction = Some(Transaction {
            reverse_path,
            parameters,
            recipients: Vec::new(),
            incoming: None,
            pace: Pace::begin(),
            id: queue_id(),
        });
        self.admitted.settle();
        self.accept();
    }

    async fn rcpt(&mut self, forward_path: &ForwardPath) {
        let Some(transaction) = &mut self.transaction else {
            return self.reply(503, "5.5.1", "MAIL first");
        };
        let config = &self.shared.config;
        let elsewhere = forward_path
            .mailbox()
            .filter(|m| !config.is_local(m.domain()));
        if let Some(mailbox) = elsewhere {
            if self.account.is_none() {
                return self.reply(550, "5.7.1", "Relaying denied");
            }
            transaction
                .recipients
                .push(Recipient::Elsewhere(mailbox.clone()));
            return self.accept();
        }
        let size = transaction.parameters.size.unwrap_or(0);
        match local_recipient(self.shared, forward_path).await {
            Ok(Some((local, quota))) if quota.admits(size.max(1), 1) => {
                transaction.recipients.push(Recipient::Here(local));
                self.accept();
            }
            Ok(Some(_)) => self.reply(452, "4.2.2", "Mailbox full"),
            // Whose accounts were lost with the database, their mail comes later.
            Ok(None) if store_health::has_lost_accounts(&self.shared.store.health()) => {
                self.reply(451, "4.3.0", "Try again later");
            }
            Ok(None) => self.reply(550, "5.1.1", "No such mailbox here"),
            Err(error) => {
                warn!(%error, "recipient");
                self.reply(451, "4.3.0", "Try again later");
            }
        }
    }

    async fn data(&mut self) {
        let authors = self.authors();
        let Some(transaction) = &mut self.transaction else {
            return self.reply(503, "5.5.1", "MAIL first");
        };
        let has = |here: bool| {
            transaction
                .recipients
                .iter()
                .any(|r| matches!(r, Recipient::Here(_)) == here)
        };
        let mut with = String::from(if self.service == Service::Lmtp {
            "LMTP"
        } else {
            "ESMTP"
        });
        if transaction.parameters.smtputf8 {
            with = format!("UTF8{}", with.trim_start_matches('E'));
        }
        with += if self.driver.machine.is_tls() {
            "S"
        } else {
            ""
        };
        with += if self.account.is_some() { "A" } else { "" };
        let only = match transaction.recipients.as_slice() {
            [Recipient::Here(local)] => format!("\r\n\tfor <{}>", local.address),
            [Recipient::Elsewhere(mailbox)] => format!("\r\n\tfor <{mailbox}>"),
            _ => String::new(),
        };
        let hostname = &self.shared.config.hostname;
        let received = format!(
            "Received: from {} ([{}])\r\n\tby {hostname} with {with} id {}{only};\r\n\t{}\r\n",
            self.name,
            self.admitted.peer.ip(),
            transaction.id,
            now()
        );
        let trace = Trace {
            return_path: transaction.reverse_path.to_string(),
            received,
            complete: self.account.is_some(),
            authors,
            hostname: hostname.clone(),
            id: transaction.id.clone(),
        };
        let store = &*self.shared.store;
        match Incoming::begin(store, has(true), has(false), trace).await {
            Ok(incoming) => {
                transaction.incoming = Some(incoming);
                transaction.pace = Pace::begin();
                self.accept();
            }
            Err(error) => {
                warn!(%error, "staging");
                let (machine, output) = self.driver.split();
                let _ = machine.reply(&delivery::reply_of(&error), output);
            }
        }
    }

    async fn end_of_data(&mut self) {
        let lmtp = self.service == Service::Lmtp;
        let Some(mut transaction) = self.transaction.take() else {
            return self.reply(503, "5.5.1", "MAIL first");
        };
        let recipients = transaction.recipients.len();
        let arrived = match transaction.incoming.take() {
            Some(incoming) => incoming.finish().await,
            None => Err(Failure::Store),
        };
        let replies = match arrived {
            Ok(arrived) => {
                let owner = self
                    .account
                    .as_ref()
                    .map_or(AccountId::SYSTEM, |account| account.id);
                let parcel = delivery::Parcel {
                    arrived,
                    reverse_path: transaction.reverse_path,
                    smtputf8: transaction.parameters.smtputf8,
                    recipients: transaction.recipients,
                    id: transaction.id,
                    owner,
                };
                delivery::deliver(self.shared, parcel, lmtp).await
            }
            Err(failure) => vec![failure.reply(); recipients],
        };
        let wanted = if lmtp { recipients } else { 1 };
        for reply in replies.iter().take(wanted) {
            info!(%reply, "message");
            if reply.is_positive() {
                count(&self.shared.metrics.messages_received_total);
            }
            let (machine, output) = self.driver.split();
            let _ = machine.reply(reply, output);
        }
    }
}
