//! Submits messages to the server of the account (RFC 6409).

use bytes::Bytes;
use hikyaku_message::{NotSevenBit, seven_bit};
use hikyaku_smtp_proto::client::{self, Connection, Envelope, Event, Options, SendError, Survey};
use hikyaku_smtp_proto::{ForwardPath, Mailbox, Reply, ReversePath};
use hikyaku_wire::Secret;
use hikyaku_wire::drive::{DriveError, Driver, Next};

use crate::error::out_of_turn;
use crate::pace::{Counted, Pace};
use crate::{Dial, Error, Result, Security, Server, connect};

/// Octets of a server's words that are shown.
const WORDS: usize = 4_000;
/// Challenges of one login.
const CHALLENGES: usize = 4;

/// The result for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "programs write it out")]
pub enum Fate {
    /// The server accepted the message for it.
    Accepted,
    /// The server cannot take it now, try again later; in the server's words.
    Deferred(String),
    /// The server refused it for good; in the server's words.
    Refused(String),
    /// The connection was lost after the whole message had been sent: the server may have taken it.
    Unknown(String),
}

impl Fate {
    fn of(reply: &Reply) -> Self {
        match reply {
            reply if reply.is_positive() => Self::Accepted,
            // Only 5yz is for ever.
            reply if reply.code() < 500 => Self::Deferred(words(reply)),
            reply => Self::Refused(words(reply)),
        }
    }
}

/// What a server without 8BITMIME would have said.
fn refused(why: NotSevenBit) -> Reply {
    match why {
        NotSevenBit::International => SendError::NeedsSmtpUtf8.reply(),
        why => Reply::new(554, "5.6.3", why.to_string()),
    }
}

fn words(reply: &Reply) -> String {
    let mut words = reply.to_string();
    if words.len() > WORDS {
        let end = (0..=WORDS).rev().find(|&at| words.is_char_boundary(at));
        words.truncate(end.unwrap_or(0));
    }
    words
}

/// A connection to a submission server that is logged in.
pub struct Submission {
    driver: Driver<Connection, Counted>,
    pace: Pace,
}

impl std::fmt::Debug for Submission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Submission").finish_non_exhaustive()
    }
}

impl Submission {
    /// Connects, begins TLS as the server's entry says, and logs in where the server has AUTH.
    ///
    /// # Errors
    /// [`Error::Login`] when name or password are wrong; errors of the network and of TLS.
    pub async fn open(
        dial: &dyn Dial,
        server: &Server,
        name: &str,
        password: Secret,
    ) -> Result<Self> {
        let stream = connect::open(dial, server).await?;
        let (stream, pace) = Pace::over(stream, dial.limits());
        let mut options = Options::new("localhost");
        options.tls = server.security == Security::Tls;
        options.login_needs_tls = server.security != Security::None;
        let driver = Driver::new(Connection::new(options), stream);
        let mut this = Self { driver, pace };
        this.ready().await?;
        if server.security == Security::StartTls {
            if !this.driver.machine.capabilities().starttls {
                return Err(connect::no_starttls(server));
            }
            this = this.start_tls(dial, server).await?;
            this.ready().await?;
        }
        this.log_in(name, password).await?;
        Ok(this)
    }

    async fn next(&mut self) -> Result<Event> {
        // Each event is the answer to something that was said: more are not to come.
        self.pace.begin();
        let next = self.pace.wait(self.driver.next_async()).await?;
        if let Err(DriveError::Protocol(client::Error::Unanswered { .. })) = next {
            return Err(Error::Network("the server closed the connection".into()));
        }
        match next? {
            Next::Event(Event::Bye(reply)) if reply.is_transient() => {
                Err(Error::Network(words(&reply)))
            }
            Next::Event(Event::Bye(reply)) => Err(Error::Refused(words(&reply))),
            Next::Event(event) => Ok(event),
            Next::Closed | Next::NeedAnswer | Next::StartTls | Next::Compress => {
                Err(Error::Network("the connection is closed".into()))
            }
        }
    }

    async fn ready(&mut self) -> Result<()> {
        match self.next().await? {
            Event::Connected(_) => Ok(()),
            other => Err(Error::Protocol(format!("unexpected greeting: {other:?}"))),
        }
    }

    async fn start_tls(mut self, dial: &dyn Dial, server: &Server) -> Result<Self> {
        let (machine, output) = self.driver.split();
        machine.starttls(output).map_err(out_of_turn)?;
        loop {
            match self.pace.wait(self.driver.next_async()).await?? {
                Next::StartTls => break,
                Next::Event(Event::NoTls(reply)) => {
                    return Err(Error::Tls {
                        host: server.host.clone(),
                        why: words(&reply),
                    });
                }
                _ => {}
            }
        }
        let pace = &mut self.pace;
        let driver = self.driver;
        let driver = driver.upgrade_async(move |stream| pace.encrypt(stream, dial, server));
        self.driver = driver.await?;
        Ok(self)
    }

    async fn log_in(&mut self, name: &str, password: Secret) -> Result<()> {
        let offered = self.driver.machine.capabilities();
        let has = |wanted: &[u8]| {
            let mut names = offered.mechanisms();
            names.any(|one| one.eq_ignore_ascii_case(wanted))
        };
        let (plain, login) = (has(b"PLAIN"), has(b"LOGIN"));
        if !offered.auth {
            return Ok(());
        }
        let mut refusal = None;
        if plain {
            let message = Secret::from([b"\0", name.as_bytes(), b"\0", password.expose()].concat());
            // Some ask for what came with the command already.
            let answers = vec![message.clone()];
            match self.authenticate("PLAIN", Some(message), answers).await? {
                None => return Ok(()),
                Some(reply) if reply.is_transient() => return Err(Error::Network(words(&reply))),
                // The credentials are wrong, by whatever mechanism (RFC 4954 §6).
                Some(reply) if reply.code() == 535 => return Err(Error::Login(words(&reply))),
                Some(reply) => refusal = Some(reply),
            }
        }
        if login {
            // It asks for the name, then for the password, in whatever words.
            let answers = vec![password, Secret::from(name.as_bytes().to_vec())];
            match self.authenticate("LOGIN", None, answers).await? {
                None => return Ok(()),
                Some(reply) if reply.is_transient() => return Err(Error::Network(words(&reply))),
                Some(reply) => refusal = Some(reply),
            }
        }
        Err(Error::Login(match refusal {
            Some(reply) => words(&reply),
            None => "the server has neither PLAIN nor LOGIN".into(),
        }))
    }

    /// One way to log in; the server's words, when it refuses. `answers` are for its challenges, the first one last.
    async fn authenticate(
        &mut self,
        mechanism: &'static str,
        initial: Option<Secret>,
        mut answers: Vec<Secret>,
    ) -> Result<Option<Reply>> {
        let (machine, output) = self.driver.split();
        machine
            .authenticate(mechanism, initial, output)
            .map_err(out_of_turn)?;
        let mut challenges = 0;
        loop {
            match self.next().await? {
                Event::Challenge(_) => {
                    challenges += 1;
                    if challenges > CHALLENGES {
                        return Err(Error::Protocol(
                            "the server asks again instead of ending the login".into(),
                        ));
                    }
                    let answer = answers.pop();
                    let (machine, output) = self.driver.split();
                    machine
                        .respond(answer.as_ref(), output)
                        .map_err(out_of_turn)?;
                }
                Event::Authenticated(_) => return Ok(None),
                Event::AuthenticationRefused(reply) => return Ok(Some(reply)),
                _ => {}
            }
        }
    }

    /// Sends a message; returns the fate of each recipient, in their order. For a server without 8BITMIME,
    /// parts with octets over 127 are encoded first; where that cannot be, the message is refused.
    ///
    /// # Errors
    /// Errors of the network before the end of the message was sent: then nobody has the message.
    pub async fn send(&mut self, from: &str, to: &[String], message: &Bytes) -> Result<Vec<Fate>> {
        let bad = |address: &str| Error::Usage(format!("{address} is not an e-mail address"));
        let mailbox = |address: &str| Mailbox::parse(address.as_bytes()).map_err(|_| bad(address));
        let mut paths = Vec::new();
        for to in to {
            paths.push(ForwardPath::Mailbox(mailbox(to)?));
        }
        let envelope = Envelope::new(ReversePath(Some(mailbox(from)?)), paths);
        let mut survey = Survey::of(message);
        let mut message = message.clone();
        if survey.is_eight_bit() && !self.driver.machine.capabilities().eight_bit_mime {
            match seven_bit(&message) {
                Ok(encoded) => message = Bytes::from(encoded),
                Err(why) => return Ok(vec![Fate::of(&refused(why)); to.len()]),
            }
            survey = Survey::of(&message);
        }
        let envelope = envelope.surveyed(&survey);
        let (machine, output) = self.driver.split();
        if let Err(error) = machine.send(envelope, output) {
            return Ok(vec![Fate::of(&error.reply()); to.len()]);
        }
        let mut fates: Vec<Option<Fate>> = vec![None; to.len()];
        let mut all_sent = false;
        let settle = |fates: &mut Vec<Option<Fate>>, reply: &Reply| {
            for fate in fates.iter_mut().filter(|fate| fate.is_none()) {
                *fate = Some(Fate::of(reply));
            }
        };
        loop {
            let event = match self.next().await {
                Ok(event) => event,
                // What is decided is decided. The rest is tried again, unless the server may have it.
                Err(error) if all_sent || fates.iter().any(Option::is_some) => {
                    let why = error.to_string();
                    let rest = |fate: Option<Fate>| {
                        fate.unwrap_or_else(|| match all_sent {
                            true => Fate::Unknown(why.clone()),
                            false => Fate::Deferred(why.clone()),
                        })
                    };
                    return Ok(fates.into_iter().map(rest).collect());
                }
                Err(error) => return Err(error),
            };
            match event {
                Event::Recipient { index, reply } if !reply.is_positive() => {
                    if let Some(fate) = fates.get_mut(index) {
                        *fate = Some(Fate::of(&reply));
                    }
                }
                Event::MailRefused(reply)
                | Event::DataRefused(reply)
                | Event::Delivered { reply, .. } => {
                    settle(&mut fates, &reply);
                }
                Event::SendBody => {
                    for start in (0..message.len()).step_by(65_536) {
                        let piece = message.slice(start..message.len().min(start + 65_536));
                        let (machine, output) = self.driver.split();
                        machine.chunk(piece, output).map_err(out_of_turn)?;
                        self.driver.flush_if_full().await?;
                    }
                    let (machine, output) = self.driver.split();
                    machine.end_of_body(output).map_err(out_of_turn)?;
                    all_sent = true;
                }
                Event::Completed => {
                    let why = || "not answered".into();
                    let unknown = || match all_sent {
                        true => Fate::Unknown(why()),
                        false => Fate::Deferred(why()),
                    };
                    let known = |fate: Option<Fate>| fate.unwrap_or_else(unknown);
                    return Ok(fates.into_iter().map(known).collect());
                }
                _ => {}
            }
        }
    }

    /// Quits.
    pub async fn quit(mut self) {
        let (machine, output) = self.driver.split();
        if machine.quit(output).is_ok() {
            let patience = std::time::Duration::from_secs(5);
            let _ = tokio::time::timeout(patience, self.driver.next_async()).await;
        }
        self.driver.shutdown().await;
    }
}
