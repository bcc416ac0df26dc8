//! One conversation with one host.

use bytes::Bytes;
use hikyaku_wire::drive::{DriveError, Driver, Next};
use mailstore::QueueEntry;
use mailstore::message::{NotSevenBit, seven_bit};
use smtp_proto::client::{self, Connection, Event, Options, SendError, Survey};
use smtp_proto::{Capabilities, ForwardPath, Reply, ReversePath};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};
use tracing::info;

use super::Fate;
use super::dns::Exchanger;
use super::opportunistic_tls::encrypt;
use super::trip::{Stage, Trip};
use crate::server::Shared;

/// KiB of messages that are in memory at a time, since they had to be encoded for a server without 8BITMIME: twice the
/// largest one. Small ones take little of it, so that a few slow servers keep nobody from encoding.
static ENCODED: Semaphore = Semaphore::const_new(256 * 1024);
/// How long one waits for that.
const ENCODING: Duration = Duration::from_secs(30);
/// How long QUIT is waited for.
const QUIT: Duration = Duration::from_secs(5);

pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// Why a conversation ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0}")]
    Connect(std::io::Error),
    #[error("no answer within {} seconds", .0.as_secs_f32())]
    Silent(Duration),
    #[error("no answer yet, and others wait for the connection")]
    Cut,
    #[error("TLS: {0}")]
    Tls(std::io::Error),
    #[error("the message cannot be read: {0}")]
    Store(#[from] mailstore::Error),
    #[error("too many messages are being encoded")]
    Encoding,
    #[error(transparent)]
    Drive(#[from] DriveError<client::Error>),
    #[error(transparent)]
    Misuse(#[from] client::Misuse),
    #[error(transparent)]
    Body(#[from] client::BodyError),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Drive(error.into())
    }
}

/// What is handed on.
pub(super) struct Letter<'a> {
    pub(super) shared: &'a Shared,
    pub(super) entry: &'a QueueEntry,
    pub(super) reverse_path: ReversePath,
    pub(super) forward_paths: Vec<ForwardPath>,
    pub(super) smtputf8: bool,
    pub(super) survey: Survey,
}

impl Letter<'_> {
    /// Octets of the message from there on.
    pub(super) async fn piece(
        shared: &Shared,
        entry: &QueueEntry,
        at: u64,
    ) -> mailstore::Result<Bytes> {
        let piece = shared.store.read(&entry.body, at..at + 65_536).await?;
        match piece.is_empty() {
            true => Err(mailstore::Error::Damaged("a body that is too short")),
            false => Ok(piece),
        }
    }
}

/// What one host has decided about a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
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
            reply if reply.is_positive() => Self::Final(Fate::Delivered),
            reply if reply.code() < 500 => Self::Elsewhere(Fate::Deferred(reply.to_string())),
            reply if speaks_of_itself => Self::Elsewhere(Fate::Failed(reply.to_string())),
            reply => Self::Final(Fate::Failed(reply.to_string())),
        }
    }
}

/// How far a host came with us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reached {
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
pub(super) struct Conversation<'a> {
    letter: &'a Letter<'a>,
    host: &'a Exchanger,
    /// The letter's, by number.
    recipients: &'a [usize],
    /// What is decided so far, for each of these.
    pub(super) verdicts: Vec<Option<Verdict>>,
    pub(super) reached: Reached,
    tls: Tls,
    /// The message in 7 bits, where the server takes no others.
    encoded: Option<(Bytes, SemaphorePermit<'static>)>,
    pub(super) starttls: bool,
    pub(super) one_by_one: bool,
    /// Commands went together.
    pub(super) is_pipelined: bool,
    /// Octets of the message went out.
    pub(super) has_begun: bool,
}

type Drives = Driver<Connection, Box<dyn Wire>>;

impl<'a> Conversation<'a> {
    pub(super) fn new(
        letter: &'a Letter<'a>,
        host: &'a Exchanger,
        recipients: &'a [usize],
    ) -> Self {
        Self {
            letter,
            host,
            recipients,
            verdicts: vec![None; recipients.len()],
            reached: Reached::Nothing,
            tls: Tls::None,
            encoded: None,
            starttls: true,
            one_by_one: false,
            is_pipelined: false,
            has_begun: false,
        }
    }

    /// Connects, and waits for the first words: what the server can do, or that it is not at work. As long as it has
    /// said nothing, it may be cut off.
    async fn open(
        &self,
        trip: &Trip,
        patience: Duration,
    ) -> Result<(Drives, Next<Event>), Failure> {
        let cut = trip.waits_for(Stage::Greeting);
        let open = async {
            let stream = TcpStream::connect(self.host.address).await;
            let stream = stream.map_err(Failure::Connect)?;
            let _ = stream.set_nodelay(true);
            let mut options = Options::new(self.letter.shared.config.hostname.clone());
            if self.one_by_one {
                options.limits.in_flight = 1;
            }
            let machine = Connection::new(options);
            let mut driver = Driver::new(machine, Box::new(stream) as Box<dyn Wire>);
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
    pub(super) async fn run(&mut self, trip: &Trip, patience: Duration) -> Result<(), Failure> {
        self.tls = Tls::None;
        let (mut driver, first) = self.open(trip, patience).await?;
        let mut first = Some(first);
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
                        return Ok(());
                    }
                }
                Next::StartTls => {
                    let (machine, stream) = driver.into_parts();
                    let encrypted = encrypt(stream, &self.host.name).await;
                    driver = Driver::new(machine, encrypted.map_err(Failure::Tls)?);
                    let (machine, output) = driver.split();
                    machine.tls_established(output);
                }
                Next::Closed => return Ok(()),
                Next::NeedAnswer | Next::Compress => {}
            }
        }
    }

    /// Does what an event asks for. Returns whether the conversation is over.
    async fn event(&mut self, driver: &mut Drives, event: Event) -> Result<bool, Failure> {
        match event {
            Event::Ready(has) if has.starttls && self.tls == Tls::None && self.starttls => {
                let (machine, output) = driver.split();
                machine.starttls(output)?;
                self.tls = Tls::Begins;
            }
            // It answers STARTTLS with 421, or says so as its first words under TLS.
            Event::Refused(reply) if self.tls == Tls::Begins => return Err(no_tls(reply)),
            Event::Ready(_) | Event::NoTls(_) => {
                if self.tls == Tls::Begins {
                    self.tls = Tls::Asked;
                }
                self.reached = self.reached.max(Reached::Ready);
                self.begin(driver).await?;
            }
            Event::Refused(reply) => {
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
            Event::Delivered { reply, .. } => {
                self.reached = Reached::Answer;
                self.decide_rest(&Verdict::of(&reply, false));
            }
            Event::Done => {
                let (machine, output) = driver.split();
                machine.quit(output)?;
                // What is decided is decided, whatever becomes of QUIT.
                let _ = timeout(QUIT, driver.next_async()).await;
                return Ok(true);
            }
            _ => {}
        }
        Ok(false)
    }

    /// The verdict is for every recipient that has none of its own.
    fn decide_rest(&mut self, all: &Verdict) {
        for verdict in self.verdicts.iter_mut().filter(|one| one.is_none()) {
            *verdict = Some(all.clone());
        }
    }

    /// Begins the transaction, or leaves where the server cannot take the message.
    async fn begin(&mut self, driver: &mut Drives) -> Result<(), Failure> {
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
    /// 8BITMIME the message is encoded here.
    async fn outgoing(
        &mut self,
        has: &Capabilities,
    ) -> Result<Result<client::Envelope, Reply>, Failure> {
        let Letter { survey, .. } = self.letter;
        let paths = self.recipients.iter();
        let paths = paths.filter_map(|&nth| self.letter.forward_paths.get(nth).cloned());
        let envelope = client::Envelope::new(self.letter.reverse_path.clone(), paths.collect());
        let international = self.letter.smtputf8 || survey.is_international();
        self.encoded = None;
        let mut envelope = if survey.is_eight_bit() && !has.eight_bit_mime {
            let permit = self.room_to_encode().await?;
            match self.encode().await? {
                Ok(encoded) => {
                    let envelope = envelope.surveyed(&Survey::of(&encoded));
                    self.encoded = Some((encoded, permit));
                    envelope
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

    /// Waits for memory to encode in. Nobody is first: a large message that waits keeps no small one waiting.
    async fn room_to_encode(&self) -> Result<SemaphorePermit<'static>, Failure> {
        let kibibytes = u32::try_from(self.letter.entry.body.octets / 512 + 1);
        let kibibytes = kibibytes.unwrap_or(u32::MAX).min(128 * 1024);
        let until = Instant::now() + ENCODING;
        loop {
            match ENCODED.try_acquire_many(kibibytes) {
                Ok(permit) => return Ok(permit),
                Err(_) if Instant::now() < until => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(_) => return Err(Failure::Encoding),
            }
        }
    }

    /// The message in 7 bits.
    async fn encode(&self) -> Result<Result<Bytes, NotSevenBit>, Failure> {
        let Letter { shared, entry, .. } = self.letter;
        let mut message = Vec::new();
        while (message.len() as u64) < entry.body.octets {
            let piece = Letter::piece(shared, entry, message.len() as u64).await?;
            message.extend_from_slice(&piece);
        }
        info!("encoded for a server without 8BITMIME");
        let encoded = tokio::task::spawn_blocking(move || seven_bit(&message)).await;
        let encoded = encoded.map_err(std::io::Error::other)?;
        Ok(encoded.map(Bytes::from))
    }

    async fn send_body(&self, driver: &mut Drives) -> Result<(), Failure> {
        if let Some((encoded, _)) = &self.encoded {
            let mut rest = encoded.clone();
            while !rest.is_empty() {
                let piece = rest.split_to(rest.len().min(65_536));
                let (machine, output) = driver.split();
                machine.chunk(piece, output)?;
                driver.flush_if_full().await?;
            }
            return Ok(());
        }
        let Letter { shared, entry, .. } = self.letter;
        let mut at = 0;
        while at < entry.body.octets {
            let piece = Letter::piece(shared, entry, at).await?;
            at += piece.len() as u64;
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
