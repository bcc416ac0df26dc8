//! One attempt to hand a message on.

use bytes::Bytes;
use hikyaku_wire::drive::{DriveError, Driver, Next};
use mailstore::QueueEntry;
use mailstore::message::{NotSevenBit, seven_bit};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use smtp_proto::client::{self, Connection, Event, Options, SendError, Survey};
use smtp_proto::{Capabilities, ForwardPath, Mailbox, Reply, ReversePath};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::info;

use super::dns::{Dns, NoRoute};
use super::{Envelope, Fate};
use crate::server::Shared;

/// So long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(30);

/// Messages that are in memory at a time, since they had to be encoded for a server without 8BITMIME.
static ENCODED: Semaphore = Semaphore::const_new(2);

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

pub(super) async fn hand_on(
    shared: &Arc<Shared>,
    dns: &Dns,
    entry: &QueueEntry,
    envelope: &Envelope,
) -> Vec<Fate> {
    let all = |fate: Fate| vec![fate; envelope.recipients.len()];
    let Some(addressed) = addressed(envelope) else {
        return all(Fate::Failed(
            "553 5.1.3 an address that cannot be read".into(),
        ));
    };
    let hosts = match dns.route(&entry.next_hop).await {
        Ok(hosts) => hosts,
        Err(NoRoute::Permanent(why)) => return all(Fate::Failed(why)),
        Err(NoRoute::Temporary(why)) => return all(Fate::Deferred(why)),
    };
    let survey = match survey(shared, entry).await {
        Ok(survey) => survey,
        Err(error) => {
            return all(Fate::Deferred(format!(
                "451 4.3.0 the message cannot be read: {error}"
            )));
        }
    };
    let mut why = format!("451 4.4.4 no host for {}", entry.next_hop);
    for host in hosts {
        for address in host.addresses {
            let mut attempt = Attempt {
                shared,
                entry,
                envelope,
                addressed: &addressed,
                survey: &survey,
                encoded: None,
                host: &host.name,
                fates: vec![None; envelope.recipients.len()],
                starttls: true,
                one_by_one: false,
                is_pipelined: false,
                has_begun: false,
            };
            let mut done = attempt.run(address).await;
            if let Err(Failure::Tls(error)) = &done {
                // Opportunistic (RFC 7435): where TLS does not come about, once more without.
                info!(%error, host = host.name, "no TLS");
                attempt.starttls = false;
                done = attempt.run(address).await;
            }
            let undecided = !attempt.has_begun && attempt.fates.iter().all(Option::is_none);
            if attempt.is_pipelined && undecided && matches!(done, Err(Failure::Drive(_))) {
                // Proxies are known that pass PIPELINING on and do not have it.
                info!(host = host.name, "no PIPELINING");
                attempt.one_by_one = true;
                done = attempt.run(address).await;
            }
            let left = match done {
                Ok(()) => "451 4.4.2 not answered".to_owned(),
                Err(error) => format!("451 4.4.2 {} [{address}]: {error}", host.name),
            };
            // Whoever answered has decided: the next host is for when none does.
            if attempt.fates.iter().any(Option::is_some) {
                let rest =
                    |fate: Option<Fate>| fate.unwrap_or_else(|| Fate::Deferred(left.clone()));
                return attempt.fates.into_iter().map(rest).collect();
            }
            why = left;
        }
    }
    all(Fate::Deferred(why))
}

/// What the message asks of a server.
async fn survey(shared: &Shared, entry: &QueueEntry) -> mailstore::Result<Survey> {
    let mut survey = Survey::new();
    let mut at = 0;
    while at < entry.body.octets {
        let piece = piece(shared, entry, at).await?;
        at += piece.len() as u64;
        survey.feed(&piece);
    }
    Ok(survey)
}

/// Octets of the message from there on.
async fn piece(shared: &Shared, entry: &QueueEntry, at: u64) -> mailstore::Result<Bytes> {
    let piece = shared.store.read(&entry.body, at..at + 65_536).await?;
    match piece.is_empty() {
        true => Err(mailstore::Error::Damaged("a body that is too short")),
        false => Ok(piece),
    }
}

/// The addresses, read; `None` when one cannot be.
fn addressed(envelope: &Envelope) -> Option<(ReversePath, Vec<ForwardPath>)> {
    let mailbox = |text: &String| Mailbox::parse(text.as_bytes()).ok();
    let reverse_path = match &envelope.reverse_path {
        Some(address) => ReversePath(Some(mailbox(address)?)),
        None => ReversePath(None),
    };
    let forward_paths = envelope.recipients.iter();
    let forward_paths = forward_paths.map(|to| mailbox(&to.address).map(ForwardPath::Mailbox));
    Some((reverse_path, forward_paths.collect::<Option<_>>()?))
}

/// Why a conversation came to no end.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Connect(std::io::Error),
    #[error("TLS: {0}")]
    Tls(std::io::Error),
    #[error("the message cannot be read: {0}")]
    Store(#[from] mailstore::Error),
    #[error(transparent)]
    Drive(#[from] DriveError<client::Error>),
    #[error("out of turn")]
    Misuse(#[from] client::Misuse),
    #[error(transparent)]
    Body(#[from] client::BodyError),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Drive(error.into())
    }
}

/// One conversation with one host.
struct Attempt<'a> {
    shared: &'a Arc<Shared>,
    entry: &'a QueueEntry,
    envelope: &'a Envelope,
    addressed: &'a (ReversePath, Vec<ForwardPath>),
    survey: &'a Survey,
    /// The message in 7 bits, where the server takes no others.
    encoded: Option<(Bytes, SemaphorePermit<'static>)>,
    host: &'a str,
    /// What is decided so far.
    fates: Vec<Option<Fate>>,
    starttls: bool,
    one_by_one: bool,
    /// Commands went together.
    is_pipelined: bool,
    /// Octets of the message went out.
    has_begun: bool,
}

impl Attempt<'_> {
    async fn run(&mut self, address: SocketAddr) -> Result<(), Failure> {
        let connected = tokio::time::timeout(CONNECT, TcpStream::connect(address)).await;
        let stream = connected
            .map_err(|late| Failure::Connect(late.into()))?
            .map_err(Failure::Connect)?;
        let _ = stream.set_nodelay(true);
        let mut options = Options::new(self.shared.config.hostname.clone());
        if self.one_by_one {
            options.limits.in_flight = 1;
        }
        let machine = Connection::new(options);
        let mut driver = Driver::new(machine, Box::new(stream) as Box<dyn Wire>);
        let (mut asked, mut tls) = (false, false);
        loop {
            let next = driver.next_async().await;
            let next = match next {
                // Whatever goes wrong between STARTTLS and TLS is TLS that did not come about.
                Err(error) if asked && !tls => {
                    return Err(Failure::Tls(std::io::Error::other(error.to_string())));
                }
                next => next?,
            };
            let event = match next {
                Next::Event(event) => event,
                Next::StartTls => {
                    let (machine, stream) = driver.into_parts();
                    let stream = encrypt(stream, self.host).await.map_err(Failure::Tls)?;
                    tls = true;
                    driver = Driver::new(machine, stream);
                    let (machine, output) = driver.split();
                    machine.tls_established(output);
                    continue;
                }
                Next::Closed => return Ok(()),
                Next::NeedAnswer | Next::Compress => continue,
            };
            match event {
                Event::Ready(capabilities) if capabilities.starttls && !tls && self.starttls => {
                    let (machine, output) = driver.split();
                    machine.starttls(output)?;
                    asked = true;
                }
                Event::Ready(_) | Event::NoTls(_) => {
                    asked = false;
                    self.is_pipelined = driver.machine.capabilities().pipelining;
                    let envelope = self.outgoing(driver.machine.capabilities()).await?;
                    let (machine, output) = driver.split();
                    let begun = envelope.and_then(|envelope| {
                        let sent = machine.send(envelope, output);
                        sent.map_err(|error| error.reply())
                    });
                    if let Err(reply) = begun {
                        // Nothing is sent to a server that cannot take it (RFC 6152 §3, 6531 §3.5, 1870 §6.1).
                        self.settle_rest(&reply);
                        machine.quit(output)?;
                    }
                }
                Event::Refused(reply) | Event::MailRefused(reply) | Event::DataRefused(reply) => {
                    self.settle_rest(&reply);
                }
                Event::Recipient { index, reply } if !reply.is_positive() => {
                    if let Some(fate) = self.fates.get_mut(index) {
                        *fate = Some(fate_of(&reply));
                    }
                }
                Event::SendBody => {
                    self.has_begun = true;
                    self.send_body(&mut driver).await?;
                }
                Event::Delivered { reply, .. } => self.settle_rest(&reply),
                Event::Done => {
                    let (machine, output) = driver.split();
                    machine.quit(output)?;
                    // What is decided is decided, whatever becomes of QUIT.
                    let _ = tokio::time::timeout(Duration::from_secs(5), driver.next_async()).await;
                    return Ok(());
                }
                _ => {}
            }
        }
    }

    /// The reply is for every recipient that has no fate of its own.
    fn settle_rest(&mut self, reply: &Reply) {
        for fate in self.fates.iter_mut().filter(|fate| fate.is_none()) {
            *fate = Some(fate_of(reply));
        }
    }

    /// What the server is asked; the reply that it would give, when it cannot take the message. For a server without
    /// 8BITMIME the message is encoded here.
    async fn outgoing(
        &mut self,
        has: &Capabilities,
    ) -> Result<Result<client::Envelope, Reply>, Failure> {
        let (reverse_path, forward_paths) = self.addressed.clone();
        let envelope = client::Envelope::new(reverse_path, forward_paths);
        let international = self.envelope.smtputf8 || self.survey.is_international();
        self.encoded = None;
        let mut envelope = if self.survey.is_eight_bit() && !has.eight_bit_mime {
            let permit = ENCODED.acquire().await.map_err(std::io::Error::other)?;
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
            envelope.surveyed(self.survey)
        };
        envelope.international = international;
        Ok(Ok(envelope))
    }

    /// The message in 7 bits.
    async fn encode(&self) -> Result<Result<Bytes, NotSevenBit>, Failure> {
        let mut message = Vec::new();
        while (message.len() as u64) < self.entry.body.octets {
            let piece = piece(self.shared, self.entry, message.len() as u64).await?;
            message.extend_from_slice(&piece);
        }
        info!("encoded for a server without 8BITMIME");
        let encoded = tokio::task::spawn_blocking(move || seven_bit(&message)).await;
        let encoded = encoded.map_err(std::io::Error::other)?;
        Ok(encoded.map(Bytes::from))
    }

    async fn send_body(
        &self,
        driver: &mut Driver<Connection, Box<dyn Wire>>,
    ) -> Result<(), Failure> {
        if let Some((encoded, _)) = &self.encoded {
            let mut rest = encoded.clone();
            while !rest.is_empty() {
                let piece = rest.split_to(rest.len().min(65_536));
                let (machine, output) = driver.split();
                machine.chunk(piece, output)?;
                driver.flush_if_full().await?;
            }
        } else {
            let mut at = 0;
            while at < self.entry.body.octets {
                let piece = piece(self.shared, self.entry, at).await?;
                at += piece.len() as u64;
                let (machine, output) = driver.split();
                machine.chunk(piece, output)?;
                driver.flush_if_full().await?;
            }
        }
        let (machine, output) = driver.split();
        machine.end_of_body(output)?;
        Ok(())
    }
}

fn fate_of(reply: &Reply) -> Fate {
    match reply {
        reply if reply.is_positive() => Fate::Delivered,
        // Only 5yz is for ever.
        reply if reply.code() < 500 => Fate::Deferred(reply.to_string()),
        reply => Fate::Failed(reply.to_string()),
    }
}

/// Opportunistic: any certificate is better than none (RFC 7435).
async fn encrypt(stream: Box<dyn Wire>, host: &str) -> std::io::Result<Box<dyn Wire>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(std::io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned());
    let name = name
        .or_else(|_| ServerName::try_from("mail.invalid"))
        .map_err(std::io::Error::other)?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let handshake = tokio::time::timeout(CONNECT, connector.connect(name.to_owned(), stream));
    Ok(Box::new(handshake.await??))
}

#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signature, algorithms)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signature, algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
