//! One attempt to hand a message on.

use bytes::Bytes;
use hikyaku_wire::drive::{DriveError, Driver, Next};
use mailstore::QueueEntry;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use smtp_proto::client::{self, Connection, Event, Options};
use smtp_proto::{BodyType, ForwardPath, MailParameters, Mailbox, ReversePath};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tracing::info;

use super::dns::{Dns, NoRoute};
use super::{Envelope, Fate};
use crate::server::Shared;

/// So long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(30);

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// What is known of each recipient, until the attempt ends.
type Fates = Vec<Option<Fate>>;

pub(super) async fn hand_on(
    shared: &Arc<Shared>,
    dns: &Dns,
    entry: &QueueEntry,
    envelope: &Envelope,
) -> Vec<Fate> {
    let all = |fate: Fate| vec![fate; envelope.recipients.len()];
    let hosts = match dns.route(&entry.next_hop).await {
        Ok(hosts) => hosts,
        Err(NoRoute::Permanent(why)) => return all(Fate::Failed(why)),
        Err(NoRoute::Temporary(why)) => return all(Fate::Deferred(why)),
    };
    let mut why = format!("451 4.4.4 no host for {}", entry.next_hop);
    for host in hosts {
        for address in host.addresses {
            match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    let _ = stream.set_nodelay(true);
                    let mut fates = vec![None; envelope.recipients.len()];
                    let done =
                        converse(shared, stream, &host.name, entry, envelope, &mut fates).await;
                    let left = match done {
                        Ok(()) => "451 4.4.2 not answered".to_owned(),
                        Err(error) => format!("451 4.4.2 {} [{address}]: {error}", host.name),
                    };
                    // Whoever answered has decided: the next host is for when none does.
                    if fates.iter().any(Option::is_some) {
                        let rest = |fate: Option<Fate>| {
                            fate.unwrap_or_else(|| Fate::Deferred(left.clone()))
                        };
                        return fates.into_iter().map(rest).collect();
                    }
                    why = left;
                }
                Ok(Err(error)) => why = format!("451 4.4.1 {} [{address}]: {error}", host.name),
                Err(_) => {
                    why = format!("451 4.4.1 {} [{address}]: no connection in time", host.name);
                }
            }
        }
    }
    all(Fate::Deferred(why))
}

async fn converse(
    shared: &Arc<Shared>,
    stream: TcpStream,
    host: &str,
    entry: &QueueEntry,
    envelope: &Envelope,
    fates: &mut Fates,
) -> Result<(), DriveError<client::Error>> {
    let machine = Connection::new(Options::new(shared.config.hostname.clone()));
    let mut driver = Driver::new(machine, Box::new(stream) as Box<dyn Wire>);
    let mut tls = false;
    loop {
        let event = match driver.next_async().await? {
            Next::Event(event) => event,
            Next::StartTls => {
                let (mut machine, stream) = driver.into_parts();
                let stream = encrypt(stream, host).await?;
                let mut output = hikyaku_wire::Output::new();
                machine.tls_established(&mut output);
                tls = true;
                driver = Driver::new(machine, stream);
                let (_, queued) = driver.split();
                *queued = output;
                continue;
            }
            Next::Closed => return Ok(()),
            Next::NeedAnswer => continue,
        };
        match event {
            Event::Ready(capabilities) => {
                let (machine, output) = driver.split();
                let begun = if capabilities.starttls && !tls {
                    machine.starttls(output)
                } else {
                    machine.send(outgoing(entry, envelope, &capabilities), output)
                };
                if begun.is_err() {
                    return Ok(());
                }
            }
            Event::NoTls(reply) => {
                info!(%reply, "no TLS");
                let (machine, output) = driver.split();
                let capabilities = machine.capabilities().clone();
                let _ = machine.send(outgoing(entry, envelope, &capabilities), output);
            }
            Event::Refused(reply) | Event::MailRefused(reply) | Event::DataRefused(reply) => {
                settle_rest(fates, &reply);
            }
            Event::Recipient { index, reply } if !reply.is_positive() => {
                if let Some(fate) = fates.get_mut(index) {
                    *fate = Some(fate_of(&reply));
                }
            }
            Event::SendBody => send_body(shared, &mut driver, entry).await?,
            Event::Delivered { reply, .. } => settle_rest(fates, &reply),
            Event::Done => {
                let (machine, output) = driver.split();
                let _ = machine.quit(output);
                // What is decided is decided, whatever becomes of QUIT.
                let _ = tokio::time::timeout(Duration::from_secs(5), driver.next_async()).await;
                return Ok(());
            }
            _ => {}
        }
    }
}

fn fate_of(reply: &smtp_proto::Reply) -> Fate {
    match reply {
        reply if reply.is_positive() => Fate::Delivered,
        reply if reply.is_transient() => Fate::Deferred(reply.to_string()),
        reply => Fate::Failed(reply.to_string()),
    }
}

/// The reply is for every recipient that has no fate of its own.
fn settle_rest(fates: &mut Fates, reply: &smtp_proto::Reply) {
    for fate in fates.iter_mut().filter(|fate| fate.is_none()) {
        *fate = Some(fate_of(reply));
    }
}

fn outgoing(
    entry: &QueueEntry,
    envelope: &Envelope,
    server: &smtp_proto::Capabilities,
) -> client::Envelope {
    let mailbox = |text: &String| Mailbox::parse(text.as_bytes()).ok();
    let parameters = MailParameters {
        size: server.size.map(|_| entry.body.octets),
        body: server.eight_bit_mime.then_some(BodyType::EightBitMime),
        smtputf8: envelope.smtputf8 && server.smtputf8,
        ..MailParameters::default()
    };
    client::Envelope {
        reverse_path: ReversePath(envelope.reverse_path.as_ref().and_then(mailbox)),
        parameters,
        forward_paths: envelope
            .recipients
            .iter()
            .map(|recipient| {
                mailbox(&recipient.address).map_or(ForwardPath::Postmaster, ForwardPath::Mailbox)
            })
            .collect(),
    }
}

async fn send_body(
    shared: &Arc<Shared>,
    driver: &mut Driver<Connection, Box<dyn Wire>>,
    entry: &QueueEntry,
) -> Result<(), DriveError<client::Error>> {
    let mut at = 0;
    while at < entry.body.octets {
        let piece = shared.store.read(&entry.body, at..at + 65_536).await;
        let piece: Bytes = piece.map_err(|error| std::io::Error::other(error.to_string()))?;
        if piece.is_empty() {
            return Err(std::io::Error::other("a body that is too short").into());
        }
        at += piece.len() as u64;
        let (machine, output) = driver.split();
        let _ = machine.chunk(piece, output);
        driver.flush_if_full().await?;
    }
    let (machine, output) = driver.split();
    let _ = machine.end_of_body(output);
    Ok(())
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
