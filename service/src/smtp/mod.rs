//! SMTP reception, submission and LMTP: one connection (RFC 5321, 6409, 2033).

mod author;
mod delivery;
mod examined;
mod expand;
mod form;
mod id;
mod incoming;
mod pace;
mod post;
mod recipient;
mod refusal;
mod submit;
pub(crate) mod whole;

pub use author::{Authors, base_address};

use hikyaku_mailstore::{Account, AccountId};
use hikyaku_smtp_proto::server::{Connection, Event, Options};
use hikyaku_smtp_proto::{
    Attribute, ForwardPath, MailParameters, RcptParameters, Reply, ReversePath,
};
use hikyaku_wire::drive::Driver;
use hikyaku_wire::{LoginRefusal, Machine as _};
use std::net::IpAddr;
use std::time::Instant;
use tracing::{debug, info, warn};

use crate::Guest;
use crate::examiner::Examiner;
use crate::login::{Login, mechanisms};
use crate::options::{Happened, Step};
use crate::serve::{Conversation, serve, starttls};
use crate::service::Service;
use crate::stream::Stream;
use crate::traced::{Client, What};
use delivery::{Parcel, deliver, reply_of};
use examined::{Of, examined};
use expand::{Means, means};
use form::shape;
use hikyaku_mailstore::unix_now;
use hikyaku_message::DateTime;
use id::queue_id;
use incoming::{Failure, Incoming, Trace};
use pace::Pace;
use recipient::Recipient;
use refusal::{exists, known};

/// The kind of client that sends mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reception {
    /// Other servers, which send mail to accounts here (RFC 5321).
    Relay,
    /// Users, who log in first and send mail to everybody (RFC 6409).
    Submission,
    /// A program that has checked the mail, for accounts here (LMTP, RFC 2033).
    Lmtp,
}

/// What is known of the client, and of the transaction under way.
struct Session<'a> {
    service: &'a Service,
    reception: Reception,
    guest: &'a dyn Guest,
    driver: Driver<Connection, Stream>,
    /// Whoever a proxy speaks for, where one does.
    client: Client,
    account: Option<Box<Account>>,
    login: Login<'a>,
    transaction: Option<Transaction>,
}

/// Between MAIL and the end of the message.
struct Transaction {
    reverse_path: ReversePath,
    parameters: MailParameters,
    recipients: Vec<Recipient>,
    incoming: Option<Box<Incoming>>,
    pace: Pace,
    id: String,
    /// When its octets began to come.
    data: Instant,
}

impl Service {
    /// Speaks SMTP or LMTP until the connection ends. A stream that is not under TLS yet is offered STARTTLS; LMTP is
    /// not.
    pub async fn smtp(&self, stream: impl Into<Stream>, reception: Reception, guest: &dyn Guest) {
        let stream = stream.into();
        let mut options = Options::new(self.options.hostname.clone());
        options.limits.message = self.options.message_size;
        options.smtputf8 = true;
        // What is asked for waits in the queue with the message. By LMTP nothing waits: whoever hands it over notifies.
        options.dsn = self.queue().is_some() && reception != Reception::Lmtp;
        options.lmtp = reception == Reception::Lmtp;
        options.starttls = reception != Reception::Lmtp && self.can_encrypt(&stream);
        options.tls = stream.is_tls();
        (options.xclient, options.xforward) = (guest.is_proxy(), guest.is_proxy());
        if reception == Reception::Submission {
            options.mechanisms = mechanisms(&*self.directory);
            options.auth_required = true;
            options.login_needs_tls = self.options.login_needs_tls;
        }
        let tls = stream.cipher();
        let session = Session {
            service: self,
            reception,
            guest,
            driver: Driver::new(Connection::new(options), stream),
            client: Client {
                by: match reception {
                    Reception::Relay => "SMTP",
                    Reception::Submission => "submission",
                    Reception::Lmtp => "LMTP",
                },
                address: Some(guest.address()),
                tls,
                hello: String::new(),
                account: None,
            },
            account: None,
            login: Login::new(self, guest.address()),
            transaction: None,
        };
        serve(session, guest).await;
    }
}

/// An address as XCLIENT writes it: of IPv6, with a tag.
fn address_of(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let tagged = text.split_at_checked(5);
    match tagged.filter(|(tag, _)| tag.eq_ignore_ascii_case("IPV6:")) {
        Some((_, address)) => address.parse().map(IpAddr::V6).ok(),
        None => text.parse().map(IpAddr::V4).ok(),
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

    async fn event(&mut self, event: Event) {
        match event {
            Event::Hello { name, .. } => {
                self.client.hello = String::from_utf8_lossy(&name).into_owned();
                self.transaction = None;
                self.accept();
            }
            Event::Mail {
                reverse_path,
                parameters,
            } => self.mail(reverse_path, parameters).await,
            Event::Rcpt {
                forward_path,
                parameters,
            } => Box::pin(self.rcpt(&forward_path, &parameters)).await,
            Event::Data => Box::pin(self.data()).await,
            Event::Chunk(chunk) => self.chunk(chunk).await,
            Event::EndOfBody => Box::pin(self.end_of_data()).await,
            Event::BodyRefused => {
                if let Some(transaction) = self.transaction.take() {
                    self.trace(&transaction.id, What::TooLarge);
                }
            }
            Event::Reset => self.transaction = None,
            Event::Authenticate { mechanism, initial } => {
                let step = Box::pin(self.login.begin(&mechanism, initial.as_ref())).await;
                self.logged_in(step).await;
            }
            Event::SaslResponse(response) => {
                let step = Box::pin(self.login.respond(&response)).await;
                self.logged_in(step).await;
            }
            Event::SaslCancelled => self.login.cancel(),
            Event::XClient(attributes) => self.speaks_for(&attributes),
            Event::XForward(attributes) => {
                let words = attributes.iter().filter_map(|one| {
                    let value = one.available()?;
                    let name = String::from_utf8_lossy(&one.name);
                    Some(format!("{name}={}", String::from_utf8_lossy(&value)))
                });
                info!(from = words.collect::<Vec<_>>().join(" "), "forwarded");
                self.accept();
            }
            _ => self.accept(),
        }
    }

    async fn encrypt(mut self) -> Option<Self> {
        self.driver = starttls(self.service, self.driver).await?;
        // RFC 3207 §4.2: who somebody is has to be said again.
        self.client.tls = self.driver.stream().cipher();
        self.forget();
        Some(self)
    }

    /// A message that comes is not cut off.
    fn may_leave(&self) -> bool {
        self.transaction
            .as_ref()
            .is_none_or(|t| t.incoming.is_none())
    }

    fn challenge(&mut self, challenge: &[u8]) {
        self.driver
            .answer(|machine, output| machine.challenge(challenge, output));
    }

    async fn granted(&mut self, account: Box<Account>) {
        self.client.account = Some(account.name.clone());
        self.account = Some(account);
        self.driver.answer(Connection::grant);
    }

    fn refused(&mut self, why: LoginRefusal) {
        self.driver
            .answer(|machine, output| machine.refuse(why, output));
    }
}

impl Session<'_> {
    /// A proxy says for whom it speaks (XCLIENT): the session begins anew, with that client's address.
    fn speaks_for(&mut self, attributes: &[Attribute]) {
        let address = attributes.iter().find(|one| one.is("ADDR"));
        let address = address.and_then(Attribute::available);
        if let Some(address) = address.as_deref().and_then(address_of) {
            info!(%address, "a proxy speaks for this client");
            self.client.address = Some(address);
            self.login = Login::new(self.service, address);
        }
        self.forget();
        self.accept();
    }

    fn address(&self) -> IpAddr {
        self.client.address.unwrap_or_else(|| self.guest.address())
    }

    fn accept(&mut self) {
        self.driver.answer(Connection::accept);
    }

    fn reply(&mut self, code: u16, enhanced: &str, text: &str) {
        self.answer(&Reply::new(code, enhanced, text.as_bytes().to_vec()));
    }

    fn answer(&mut self, reply: &Reply) {
        self.driver
            .answer(|machine, output| machine.reply(reply, output));
    }

    /// Forgets who has logged in and what was to be sent.
    fn forget(&mut self) {
        self.account = None;
        self.client.account = None;
        self.transaction = None;
    }

    /// Who looks at what comes.
    fn examiner(&self) -> Option<&dyn Examiner> {
        let examiner = self.service.options.examiner.as_deref();
        examiner.filter(|_| self.reception != Reception::Lmtp)
    }

    fn trace(&self, id: &str, what: What<'_>) {
        if self.service.options.trace.is_some() {
            self.service.trace(id, &self.client, what);
        }
    }

    async fn chunk(&mut self, chunk: bytes::Bytes) {
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        if !transaction.pace.keeps(chunk.len()) {
            info!("the message arrives too slowly: the connection is closed");
            self.transaction = None;
            let (machine, output) = self.driver.split();
            return machine.timed_out(output);
        }
        if let Some(incoming) = &mut transaction.incoming {
            incoming.chunk(chunk).await;
        }
    }

    /// Whose message the client may send.
    fn authors(&self) -> Authors {
        let account = self.account.as_deref();
        match self.reception {
            // Who hands it over has checked it.
            Reception::Lmtp => Authors::anybody(),
            _ => self.service.directory.authors(account, self.address()),
        }
    }

    async fn mail(&mut self, reverse_path: ReversePath, parameters: MailParameters) {
        let id = queue_id();
        let refusal = match (self.refusal(&reverse_path), self.examiner()) {
            (None, Some(examiner)) => examiner.mail(&self.client, &reverse_path).await,
            (refusal, _) => refusal,
        };
        let from = reverse_path.0.as_ref();
        let from = from.map_or("<>".into(), ToString::to_string);
        let what = What::Mail {
            from: &from,
            refusal: refusal.as_ref(),
        };
        self.trace(&id, what);
        if let Some(refusal) = refusal {
            return self.answer(&refusal);
        }
        self.transaction = Some(Transaction {
            reverse_path,
            parameters,
            recipients: Vec::new(),
            incoming: None,
            pace: Pace::begin(),
            id,
            data: Instant::now(),
        });
        self.guest.settled();
        self.accept();
    }

    /// Why nothing is taken from there.
    fn refusal(&self, reverse_path: &ReversePath) -> Option<Reply> {
        // Better now than after the message.
        if let Err(error) = self.service.store.health().takes_messages() {
            return Some(reply_of(&error));
        }
        let authors = self.authors();
        let mailbox = reverse_path.0.as_ref()?;
        if authors.may_send(mailbox) {
            return None;
        }
        Some(match self.account {
            Some(_) => Reply::new(553, "5.7.1", "Not your address"),
            None => Reply::new(
                550,
                "5.7.1",
                "A domain of this server: log in to write as it",
            ),
        })
    }

    async fn rcpt(&mut self, forward_path: &ForwardPath, parameters: &RcptParameters) {
        let Some(transaction) = &self.transaction else {
            return self.reply(503, "5.5.1", "MAIL first");
        };
        let to = forward_path.mailbox();
        let to = to.map_or("postmaster".into(), ToString::to_string);
        let found = self.found(transaction, forward_path, parameters, &to).await;
        let what = What::Recipient {
            to: &to,
            refusal: found.as_ref().err(),
        };
        self.trace(&transaction.id, what);
        match (found, &mut self.transaction) {
            (Ok(recipient), Some(transaction)) => {
                transaction.recipients.push(recipient);
                self.accept();
            }
            (Ok(_), None) => self.reply(503, "5.5.1", "MAIL first"),
            (Err(refusal), _) => self.answer(&refusal),
        }
    }

    /// Who a recipient is, as far as nobody refuses them.
    async fn found(
        &self,
        transaction: &Transaction,
        forward_path: &ForwardPath,
        parameters: &RcptParameters,
        to: &str,
    ) -> Result<Recipient, Reply> {
        let (examiner, from) = (self.examiner(), &transaction.reverse_path);
        let client = examiner.map(|_| &self.client);
        if let (Some(examiner), Some(client)) = (examiner, client)
            && let Some(refusal) = examiner.before_recipient(client, from, to).await
        {
            return Err(refusal);
        }
        let size = transaction.parameters.size.unwrap_or(0).max(1);
        let found = self.recipient(from, forward_path, parameters, size).await;
        if let (Some(examiner), Some(client)) = (examiner, client)
            && let Some(exists) = exists(&found)
            && let Some(refusal) = examiner.recipient(client, from, to, exists).await
        {
            return Err(refusal);
        }
        found
    }

    /// Where mail for a path goes, or why it goes nowhere.
    async fn recipient(
        &self,
        reverse_path: &ReversePath,
        forward_path: &ForwardPath,
        parameters: &RcptParameters,
        size: u64,
    ) -> Result<Recipient, Reply> {
        let later = || Reply::new(451, "4.3.0", "Try again later");
        match means(self.service, forward_path, parameters, size).await {
            Ok(Means::Elsewhere(mailbox)) => {
                if self.account.is_none() || self.service.queue().is_none() {
                    return Err(Reply::new(550, "5.7.1", "Relaying denied"));
                }
                Ok(Recipient::elsewhere(&mailbox, parameters.clone()))
            }
            // Whose accounts were lost with the database, their mail comes later.
            Ok(Means::Nobody) if self.service.store.health().has_lost_accounts() => Err(later()),
            Ok(means) => known(means, reverse_path),
            Err(error) => {
                warn!(%error, "the recipient could not be looked up");
                Err(later())
            }
        }
    }

    async fn data(&mut self) {
        let (authors, address) = (self.authors(), self.address());
        let reads = self.examiner().is_some_and(Examiner::reads_messages);
        let Some(transaction) = &mut self.transaction else {
            return self.reply(503, "5.5.1", "MAIL first");
        };
        let mut with = String::from(if self.reception == Reception::Lmtp {
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
            [only] => format!("\r\n\tfor <{}>", only.address),
            _ => String::new(),
        };
        let hostname = &self.service.options.hostname;
        let received = format!(
            "Received: from {} ({})\r\n\tby {hostname} with {with} id {}{only};\r\n\t{}\r\n",
            self.client.hello,
            literal(address),
            transaction.id,
            DateTime::utc(unix_now())
        );
        let trace = Trace {
            received,
            complete: self.account.is_some(),
            authors,
            hostname: hostname.clone(),
            id: transaction.id.clone(),
        };
        let store = &*self.service.store;
        let room = reads.then_some(&self.service.room);
        let forms = shape(&mut transaction.recipients, &transaction.reverse_path);
        match Incoming::begin(store, forms, trace, room).await {
            Ok(incoming) => {
                transaction.incoming = Some(incoming);
                transaction.pace = Pace::begin();
                transaction.data = Instant::now();
                self.accept();
            }
            Err(error) => {
                warn!(%error, "the message could not be stored");
                let (id, reply) = (transaction.id.clone(), reply_of(&error));
                let what = What::Answered {
                    octets: 0,
                    reply: &reply,
                };
                self.trace(&id, what);
                self.answer(&reply);
            }
        }
    }

    async fn end_of_data(&mut self) {
        let lmtp = self.reception == Reception::Lmtp;
        let Some(mut transaction) = self.transaction.take() else {
            return self.reply(503, "5.5.1", "MAIL first");
        };
        let recipients = transaction.recipients.len();
        let (ended, octets) = (Instant::now(), transaction.pace.octets);
        let received = Happened::Took(Step::Receive, ended - transaction.data);
        self.service.happened(received);
        let id = transaction.id.clone();
        let arrived = match transaction.incoming.take() {
            Some(incoming) => {
                let of = Of {
                    id: &id,
                    client: &self.client,
                    reverse_path: &transaction.reverse_path,
                };
                examined(self.service, incoming, of, &mut transaction.recipients).await
            }
            None => Err(Failure::Store.reply()),
        };
        let envelope = self.examiner().map(|_| {
            let all = transaction.recipients.iter();
            let all: Vec<_> = all.map(|one| one.address.clone()).collect();
            (transaction.reverse_path.clone(), all)
        });
        let replies = match arrived {
            Ok(arrived) => {
                let owner = self
                    .account
                    .as_ref()
                    .map_or(AccountId::SYSTEM, |account| account.id);
                let parcel = Parcel {
                    arrived,
                    reverse_path: transaction.reverse_path,
                    parameters: transaction.parameters,
                    recipients: transaction.recipients,
                    id: transaction.id,
                    owner,
                    client: &self.client,
                };
                deliver(self.service, parcel, lmtp).await
            }
            Err(refusal) => vec![refusal; recipients],
        };
        let committed = Happened::Took(Step::Commit, ended.elapsed());
        self.service.happened(committed);
        if let (Some(examiner), Some((from, to))) = (self.examiner(), &envelope)
            && replies.iter().any(Reply::is_positive)
        {
            examiner.accepted(&self.client, from, to);
        }
        let wanted = if lmtp { recipients } else { 1 };
        for reply in replies.iter().take(wanted) {
            self.trace(&id, What::Answered { octets, reply });
            if reply.is_positive() {
                // Delivery and queueing are already logged.
                debug!(%reply, "answered the message");
                self.service.happened(Happened::Received);
            } else {
                info!(%reply, "answered the message");
            }
            self.answer(reply);
        }
    }
}

/// An address as a literal (RFC 5321 §4.1.3).
fn literal(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => format!("[{address}]"),
        IpAddr::V6(address) => format!("[IPv6:{address}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::literal;

    #[test]
    fn trace_fields_have_address_literals() {
        for (address, expected) in [
            ("192.0.2.1", "[192.0.2.1]"),
            ("2001:db8::1", "[IPv6:2001:db8::1]"),
            ("::ffff:192.0.2.1", "[192.0.2.1]"),
        ] {
            assert_eq!(literal(address.parse().unwrap()), expected);
        }
    }
}
