//! One conversation with one host.

use hikyaku_mailstore::{Pieces, QueueEntry};
use hikyaku_message::{NotSevenBit, SevenBit};
use hikyaku_smtp_proto::client::{self, Connection, Event, Options, Recipient, SendError, Survey};
use hikyaku_smtp_proto::{Capabilities, MailParameters, Reply, ReversePath};
use hikyaku_wire::drive::{Driver, Next};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout};
use tracing::info;

use crate::candidate::Candidate;
use crate::dial::connect;
use crate::encoded::Encoded;
use crate::envelope::Envelope;
use crate::failure::Failure;
use crate::fate::{Fate, Taken};
use crate::login::Exchange;
use crate::options::{Happened, Step};
use crate::pool::{Drives, Terms, end};
use crate::relay::Relay;
use crate::security::{Security, Wire};
use crate::traced::What;
use crate::trip::{Stage, Trip};

/// What is handed on.
pub(crate) struct Letter<'a> {
    pub(crate) relay: &'a Relay,
    pub(crate) entry: &'a QueueEntry,
    pub(crate) reverse_path: ReversePath,
    /// What the message asks for.
    pub(crate) parameters: MailParameters,
    pub(crate) recipients: Vec<Recipient>,
    pub(crate) survey: Survey,
    /// What becomes of it for servers without 8BITMIME, once it has met one.
    pub(crate) encoded: OnceCell<Result<Encoded, NotSevenBit>>,
}

/// What one host has decided about a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// For all of them.
    Final(Fate),
    /// For itself: the next host may decide otherwise.
    Elsewhere(Fate),
}

impl Verdict {
    /// 4yz is for one attempt at one host (RFC 5321 §4.2.1, §5.1). 5yz is for ever, but where the host speaks of itself
    /// and not of this mail: then it is for that host.
    fn of(reply: &Reply, speaks_of_itself: bool) -> Self {
        match reply {
            reply if reply.is_positive() => Self::Final(Fate::Delivered(Taken {
                reply: reply.to_string(),
                ..Taken::default()
            })),
            reply if reply.code() < 500 => Self::Elsewhere(Fate::Deferred(reply.to_string())),
            reply if speaks_of_itself => Self::Elsewhere(Fate::Failed(reply.to_string())),
            reply => Self::Final(Fate::Failed(reply.to_string())),
        }
    }

    /// What the host said.
    fn words(&self) -> &str {
        let (Self::Final(fate) | Self::Elsewhere(fate)) = self;
        match fate {
            Fate::Delivered(taken) => &taken.reply,
            Fate::Deferred(why) | Fate::Failed(why) => why,
        }
    }
}

/// How far a host came with us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reached {
    /// It has not said anything that is SMTP, or that it is not at work.
    Nothing,
    /// It said what it can do.
    Ready,
    /// It answered about the message.
    Answer,
    /// It was sent the whole message: whether it has taken it is known from its answer only.
    End,
}

/// Whether a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tls {
    /// It was not asked for.
    None,
    /// It was asked for, and nothing has been said under it.
    Begins,
    /// It was asked for: it is there, or refused.
    Asked,
}

fn no_tls(why: impl std::fmt::Display) -> Failure {
    Failure::Tls(std::io::Error::other(why.to_string()))
}

/// One conversation with one host about some recipients.
pub(crate) struct Conversation<'a> {
    letter: &'a Letter<'a>,
    host: &'a Candidate,
    /// The letter's, by number.
    recipients: &'a [usize],
    /// What is decided so far, for each of these.
    pub(crate) verdicts: Vec<Option<Verdict>>,
    pub(crate) reached: Reached,
    tls: Tls,
    /// What makes the message one of 7 bits, where the server takes no others.
    seven_bit: Option<SevenBit>,
    pub(crate) starttls: bool,
    pub(crate) one_by_one: bool,
    /// Commands went together.
    pub(crate) is_pipelined: bool,
    /// Octets of the message went out.
    pub(crate) has_begun: bool,
    /// The login that is under way.
    exchange: Option<Exchange>,
    /// The connection has carried messages before.
    pub(crate) is_reused: bool,
    /// A connection that waits may be used.
    pub(crate) may_reuse: bool,
    /// A connection that was made already.
    pub(crate) connected: Option<Box<dyn Wire>>,
    /// When it was begun, and when the host could be handed the message.
    began: Instant,
    ready: Option<Instant>,
    /// The version of TLS and the cipher suite, where it is used.
    cipher: Option<String>,
}

impl<'a> Conversation<'a> {
    pub(crate) fn new(
        letter: &'a Letter<'a>,
        host: &'a Candidate,
        recipients: &'a [usize],
    ) -> Self {
        Self {
            letter,
            host,
            recipients,
            verdicts: vec![None; recipients.len()],
            reached: Reached::Nothing,
            tls: Tls::None,
            seven_bit: None,
            starttls: true,
            one_by_one: false,
            is_pipelined: false,
            has_begun: false,
            exchange: None,
            is_reused: false,
            may_reuse: true,
            connected: None,
            began: Instant::now(),
            ready: None,
            cipher: None,
        }
    }

    async fn encrypt(&self, stream: Box<dyn Wire>) -> std::io::Result<Box<dyn Wire>> {
        let roots = self.letter.relay.options.roots.as_ref();
        let Candidate { session, peer, .. } = self.host;
        let security = &self.host.security;
        let done = security.encrypt(stream, &self.host.name, roots).await;
        let objection = match &done {
            Ok((_, objection)) => objection.as_ref(),
            Err(error) => Some(error),
        };
        session.encrypted(peer.address(), objection);
        done.map(|(stream, _)| stream)
    }

    /// Connects, and waits for the first words: what the server can do, or that it is not at work. As long as it has
    /// said nothing, it may be cut off.
    async fn open(
        &mut self,
        trip: &Trip,
        patience: Duration,
    ) -> Result<(Drives, Next<Event>), Failure> {
        let cut = trip.waits_for(Stage::Greeting);
        let connected = self.connected.take();
        let open = async {
            let mut stream = match connected {
                Some(stream) => stream,
                None => connect(&self.host.peer).await.map_err(Failure::Connect)?,
            };
            if self.host.implicit_tls {
                stream = self.encrypt(stream).await.map_err(Failure::Tls)?;
            }
            let mut options = Options::new(self.letter.relay.options.hostname.clone());
            options.pipelining = !self.one_by_one;
            options.lmtp = self.host.lmtp;
            options.tls = self.host.implicit_tls;
            // Who configures a host without TLS knows the line to it.
            options.login_needs_tls = !matches!(self.host.security, Security::Clear);
            let machine = Connection::new(options);
            let mut driver = Driver::new(machine, stream);
            let next = driver.next_async().await?;
            Ok((driver, next))
        };
        let opened = tokio::select! {
            opened = timeout(patience, open) => opened.unwrap_or(Err(Failure::Silent(patience))),
            () = cut.notified() => Err(Failure::Cut),
        };
        trip.waits_for(Stage::Conversation);
        opened
    }

    /// Hands the letter on, as far as the host takes it. `patience` is for its first words; after them it has the time
    /// of RFC 5321 §4.5.3.2 for each of its answers.
    pub(crate) async fn run(&mut self, trip: &Trip, patience: Duration) -> Result<(), Failure> {
        (self.tls, self.exchange) = (Tls::None, None);
        let pool = &self.letter.relay.pool;
        let terms = Terms::of(self.host);
        let waiting = match self.may_reuse {
            true => pool.take(&terms),
            false => None,
        };
        self.is_reused = waiting.is_some();
        let (mut driver, mut first, messages) = match waiting {
            Some((mut driver, messages)) => {
                trip.waits_for(Stage::Conversation);
                self.reached = self.reached.max(Reached::Ready);
                self.begin(&mut driver).await?;
                (driver, None, messages)
            }
            None => {
                let (driver, first) = self.open(trip, patience).await?;
                (driver, Some(first), 0)
            }
        };
        loop {
            let next = match first.take() {
                Some(next) => Ok(next),
                None => driver.next_async().await,
            };
            let next = match next {
                // Whatever goes wrong between STARTTLS and the first words under TLS is TLS that did not come about.
                Err(error) if self.tls == Tls::Begins => return Err(no_tls(error)),
                next => next?,
            };
            match next {
                Next::Event(event) => {
                    if self.event(&mut driver, event).await? {
                        match self.is_deferred() {
                            // What the host thinks of this client it may think until the connection ends.
                            true => end(driver),
                            false => pool.put(terms, driver, messages + 1),
                        }
                        return Ok(());
                    }
                }
                Next::StartTls => {
                    let begin = |stream| self.encrypt(stream);
                    driver = driver.upgrade_async(begin).await.map_err(Failure::Tls)?;
                }
                Next::Closed => return Ok(()),
                Next::NeedAnswer | Next::Compress => {}
            }
        }
    }

    /// Does what an event asks for. Returns whether the connection is ready for another message.
    async fn event(&mut self, driver: &mut Drives, event: Event) -> Result<bool, Failure> {
        match event {
            Event::Connected(has)
                if has.starttls
                    && !driver.machine.is_tls()
                    && self.tls == Tls::None
                    && self.starttls
                    && !matches!(self.host.security, Security::Clear) =>
            {
                let (machine, output) = driver.split();
                machine.starttls(output)?;
                self.tls = Tls::Begins;
            }
            // It answers STARTTLS with 421, or says so as its first words under TLS.
            Event::Bye(reply) if self.tls == Tls::Begins => return Err(no_tls(reply)),
            Event::Connected(_) | Event::NoTls(_) => {
                if self.tls == Tls::Begins {
                    self.tls = Tls::Asked;
                }
                self.reached = self.reached.max(Reached::Ready);
                if !driver.machine.is_tls() {
                    self.host.session.clear(self.host.peer.address());
                }
                if self.host.security.is_required() && !driver.machine.is_tls() {
                    return Err(no_tls("it is required, and the host does not offer it"));
                }
                match &self.host.login {
                    Some(login) => self.exchange = Some(Exchange::begin(login, driver)?),
                    None => self.begin(driver).await?,
                }
            }
            Event::Challenge(challenge) => match &mut self.exchange {
                Some(exchange) => exchange.answer(&challenge, driver)?,
                None => return Err(Failure::Login("a challenge that nobody asked for".into())),
            },
            Event::Authenticated(_) => {
                if let Some(exchange) = self.exchange.take() {
                    exchange.end()?;
                }
                self.begin(driver).await?;
            }
            Event::AuthenticationRefused(reply) => match (&self.host.login, self.exchange.take()) {
                (Some(login), Some(exchange)) => {
                    self.exchange = Some(exchange.after_refusal(login, driver, &reply)?);
                }
                _ => return Err(Failure::Login(reply.to_string())),
            },
            // It did not want to wait any longer: that is about the connection, and not about this message.
            Event::Bye(reply)
                if self.is_reused
                    && !self.has_begun
                    && self.verdicts.iter().all(Option::is_none) =>
            {
                return Err(Failure::Stale(reply.to_string()));
            }
            Event::Bye(reply) => {
                if self.reached >= Reached::Ready {
                    self.reached = Reached::Answer;
                }
                self.decide_rest(&Verdict::of(&reply, true));
            }
            Event::MailRefused(reply) | Event::DataRefused(reply) => {
                self.reached = Reached::Answer;
                self.decide_rest(&Verdict::of(&reply, false));
            }
            Event::Recipient { index, reply } => {
                self.reached = self.reached.max(Reached::Answer);
                if let Some(verdict) = self.verdicts.get_mut(index)
                    && !reply.is_positive()
                {
                    *verdict = Some(Verdict::of(&reply, false));
                }
            }
            Event::SendBody => {
                self.has_begun = true;
                self.send_body(driver).await?;
                self.reached = Reached::End;
                let (machine, output) = driver.split();
                machine.end_of_body(output)?;
            }
            Event::Delivered { index, reply } => {
                self.reached = Reached::Answer;
                let verdict = match Verdict::of(&reply, false) {
                    Verdict::Final(Fate::Delivered(taken)) => {
                        Verdict::Final(Fate::Delivered(Taken {
                            host: Some(self.host.name.clone()),
                            notifies: driver.machine.capabilities().dsn,
                            ..taken
                        }))
                    }
                    other => other,
                };
                match index.and_then(|nth| self.verdicts.get_mut(nth)) {
                    // LMTP answers for each.
                    Some(one) => *one = Some(verdict),
                    None => self.decide_rest(&verdict),
                }
            }
            Event::Completed => return Ok(true),
            _ => {}
        }
        Ok(false)
    }

    /// Reports what came of it.
    pub(crate) fn report(&self, envelope: &Envelope, done: &Result<(), Failure>) {
        let relay = self.letter.relay;
        let now = Instant::now();
        if !self.is_reused {
            let ready = self.ready.unwrap_or(now);
            relay.happened(Happened::Took(Step::Connect, ready - self.began));
        }
        if let Some(ready) = self.ready {
            relay.happened(Happened::Took(Step::Conversation, now - ready));
        }
        if relay.options.trace.is_none() {
            return;
        }
        let mut replies = Vec::new();
        for (nth, verdict) in self.recipients.iter().zip(&self.verdicts) {
            let recipient = envelope.recipients.get(*nth);
            if let (Some(recipient), Some(verdict)) = (recipient, verdict) {
                replies.push((recipient.address(), verdict.words().to_owned()));
            }
        }
        let error = done.as_ref().err().map(ToString::to_string);
        let what = What::Asked {
            attempt: envelope.attempts.saturating_add(1),
            host: &self.host.name,
            peer: &self.host.peer.to_string(),
            tls: self.cipher.as_deref(),
            replies: &replies,
            error: error.as_deref(),
        };
        relay.trace(&envelope.id, &self.letter.entry.next_hop, what);
    }

    /// Returns whether the host wants some of it later.
    fn is_deferred(&self) -> bool {
        let is_deferred = |verdict: &Verdict| {
            matches!(
                verdict,
                Verdict::Final(Fate::Deferred(_)) | Verdict::Elsewhere(Fate::Deferred(_))
            )
        };
        self.verdicts.iter().flatten().any(is_deferred)
    }

    /// The verdict is for every recipient that has none of its own.
    fn decide_rest(&mut self, all: &Verdict) {
        for verdict in self.verdicts.iter_mut().filter(|one| one.is_none()) {
            *verdict = Some(all.clone());
        }
    }

    /// Begins the transaction, or leaves where the server cannot take the message.
    async fn begin(&mut self, driver: &mut Drives) -> Result<(), Failure> {
        self.ready = Some(Instant::now());
        self.cipher = driver.stream().cipher();
        self.is_pipelined = driver.machine.capabilities().pipelining;
        let envelope = self.outgoing(driver.machine.capabilities()).await?;
        let (machine, output) = driver.split();
        let begun = envelope.and_then(|envelope| {
            let sent = machine.send(envelope, output);
            sent.map_err(|error| error.reply())
        });
        if let Err(reply) = begun {
            // Nothing is sent to a server that cannot take it (RFC 6152 §3, 6531 §3.5, 1870 §6.1). Another may.
            self.reached = Reached::Answer;
            self.decide_rest(&Verdict::of(&reply, true));
            machine.quit(output)?;
        }
        Ok(())
    }

    /// What the server is asked; the reply that it would give, when it cannot take the message. For a server without
    /// 8BITMIME the message is asked for as it will be encoded.
    async fn outgoing(
        &mut self,
        has: &Capabilities,
    ) -> Result<Result<client::Envelope, Reply>, Failure> {
        let Letter { survey, .. } = self.letter;
        let recipients = self.recipients.iter();
        let recipients = recipients.filter_map(|&nth| self.letter.recipients.get(nth).cloned());
        let mut envelope = client::Envelope::new(self.letter.reverse_path.clone(), Vec::new());
        envelope.recipients = recipients.collect();
        envelope.parameters = self.letter.parameters.clone();
        let international = self.letter.parameters.smtputf8 || survey.is_international();
        self.seven_bit = None;
        let mut envelope = if survey.is_eight_bit() && !has.eight_bit_mime {
            match self.encoded().await? {
                Ok(encoded) => {
                    self.seven_bit = Some(encoded.seven_bit.clone());
                    envelope.surveyed(&encoded.survey)
                }
                Err(NotSevenBit::International) => {
                    return Ok(Err(SendError::NeedsSmtpUtf8.reply()));
                }
                Err(why) => return Ok(Err(Reply::new(554, "5.6.3", why.to_string()))),
            }
        } else {
            envelope.surveyed(survey)
        };
        envelope.international = international;
        Ok(Ok(envelope))
    }

    /// What becomes of the message for servers without 8BITMIME: it is found out once, however many of them are asked.
    async fn encoded(&self) -> Result<&'a Result<Encoded, NotSevenBit>, Failure> {
        let Letter { relay, entry, .. } = self.letter;
        let encoded = || async {
            info!("encoded for a server without 8BITMIME");
            Encoded::of(&*relay.store, &entry.body).await
        };
        Ok(self.letter.encoded.get_or_try_init(encoded).await?)
    }

    async fn send_body(&self, driver: &mut Drives) -> Result<(), Failure> {
        let Letter { relay, entry, .. } = self.letter;
        let mut pieces = Pieces::whole(&*relay.store, &entry.body);
        let mut seven_bit = self.seven_bit.clone();
        while let Some(piece) = pieces.next().await? {
            let piece = match &mut seven_bit {
                Some(seven_bit) => seven_bit.push(&piece),
                None => piece,
            };
            let (machine, output) = driver.split();
            machine.chunk(piece, output)?;
            driver.flush_if_full().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_says_of_itself_holds_for_itself_alone() {
        for (code, of_itself, elsewhere) in [
            (250, false, false),
            (421, true, true),
            (450, false, true),
            (471, false, true),
            (550, false, false),
            (554, true, true),
            (571, false, false),
        ] {
            let verdict = Verdict::of(&Reply::new(code, "", "x"), of_itself);
            let is_elsewhere = matches!(verdict, Verdict::Elsewhere(_));
            assert_eq!(is_elsewhere, elsewhere, "{code} {verdict:?}");
        }
    }
}
