//! Mail is handed over: by which rule, over which TLS, with which login, to which of several hosts.

use bytes::Bytes;
use hikyaku_mailstore::{AccountId, BoxFuture, MailboxId, Memory, Result, Store, Transaction};
use hikyaku_message::seven_bit;
use hikyaku_relay::dane::record::Tlsa;
use hikyaku_relay::{
    Dnssec, Entry, Family, Here, HostTls, Login, NextHost, Options, Place, Relay, Route, Via,
};
use hikyaku_smtp_proto::server::{self, Connection, Event};
use hikyaku_smtp_proto::{MailParameters, Mailbox, RcptParameters, Reply, ReversePath};
use hikyaku_test_dns::{DnsServer, Zone};
use hikyaku_wire::Machine as _;
use hikyaku_wire::drive::{Driver, Next};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use ring::digest::{SHA256, digest};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// An authority that signs hosts' certificates.
struct Authority {
    params: CertificateParams,
    key: KeyPair,
    der: CertificateDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().clone();
        Self { params, key, der }
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        Arc::new(roots)
    }

    /// A host's TLS, and its certificate.
    fn host(&self, name: &str) -> (TlsAcceptor, CertificateDer<'static>) {
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        let der = params.signed_by(&key, &issuer).unwrap().der().clone();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![der.clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        (TlsAcceptor::from(Arc::new(config)), der)
    }
}

/// How a host of the tests behaves.
#[derive(Clone, Default)]
struct Behaviour {
    tls: Option<TlsAcceptor>,
    implicit: bool,
    login: Option<(&'static str, &'static str, &'static str)>,
    dsn: bool,
    lmtp: bool,
    requiretls: bool,
    /// What it answers to a recipient.
    refuses: Option<&'static str>,
    /// It goes away behind a message: with 421, or without a word.
    leaves: Option<bool>,
    connections: Arc<AtomicUsize>,
}

/// What hosts have seen, a line for each thing.
type Seen = Arc<Mutex<Vec<String>>>;

async fn serve(stream: impl Wire + 'static, name: &'static str, how: Behaviour, seen: Seen) {
    let mut stream: Box<dyn Wire> = Box::new(stream);
    if how.implicit {
        let Ok(tls) = how.tls.clone().unwrap().accept(stream).await else {
            return seen.lock().unwrap().push(format!("{name} no TLS"));
        };
        stream = Box::new(tls);
    }
    let mut options = server::Options::new(name);
    options.starttls = how.tls.is_some() && !how.implicit;
    options.tls = how.implicit;
    (options.dsn, options.lmtp, options.requiretls) = (how.dsn, how.lmtp, how.requiretls);
    if let Some((mechanism, ..)) = how.login {
        options.mechanisms = vec![mechanism.into()];
        options.auth_required = true;
    }
    let mut driver = Driver::new(Connection::new(options), stream);
    let mut user = None;
    loop {
        let event = match driver.next_async().await {
            Ok(Next::Event(event)) => event,
            Ok(Next::StartTls) => {
                let acceptor = how.tls.clone().unwrap();
                let accept = async |stream| {
                    let tls = acceptor.accept(stream).await?;
                    std::io::Result::Ok(Box::new(tls) as Box<dyn Wire>)
                };
                match driver.upgrade_async(accept).await {
                    Ok(upgraded) => driver = upgraded,
                    Err(_) => return seen.lock().unwrap().push(format!("{name} no TLS")),
                }
                continue;
            }
            Ok(Next::NeedAnswer) => continue,
            _ => return,
        };
        let note = |text: String| seen.lock().unwrap().push(format!("{name} {text}"));
        let tls = if driver.machine.is_tls() {
            "tls"
        } else {
            "clear"
        };
        let (machine, output) = driver.split();
        match event {
            Event::Chunk(_) | Event::BodyRefused | Event::Reset => {}
            Event::Authenticate { initial, .. } if initial.is_none() => {
                machine.challenge(b"Username:", output).unwrap();
            }
            Event::Authenticate { initial, .. } => {
                let (_, expected, password) = how.login.unwrap();
                let plain = format!("\0{expected}\0{password}");
                let said = initial.unwrap();
                note(format!("login {tls}"));
                match said.expose() == plain.as_bytes() {
                    true => machine.grant(output).unwrap(),
                    false => machine
                        .refuse(hikyaku_wire::LoginRefusal::Credentials, output)
                        .unwrap(),
                }
            }
            Event::SaslResponse(said) if user.is_none() => {
                user = Some(said);
                machine.challenge(b"Password:", output).unwrap();
            }
            Event::SaslResponse(said) => {
                let (_, expected, password) = how.login.unwrap();
                let user = user.take().unwrap();
                note(format!("login {tls}"));
                let right =
                    user.expose() == expected.as_bytes() && said.expose() == password.as_bytes();
                match right {
                    true => machine.grant(output).unwrap(),
                    false => machine
                        .refuse(hikyaku_wire::LoginRefusal::Credentials, output)
                        .unwrap(),
                }
            }
            Event::Rcpt {
                forward_path,
                parameters,
            } => {
                let notify = parameters
                    .notify
                    .map_or(String::new(), |notify| format!(" {notify}"));
                note(format!("to {forward_path}{notify} {tls}"));
                match how.refuses {
                    Some(text) => machine
                        .reply(&Reply::parse(&text.into()).unwrap(), output)
                        .unwrap(),
                    None => machine.accept(output).unwrap(),
                }
            }
            Event::EndOfBody => {
                note("has it".into());
                machine.accept(output).unwrap();
                // LMTP asks once for each.
                while matches!(machine.accept(output), Ok(())) {}
                match how.leaves {
                    None => {}
                    Some(true) => machine.shut_down(output),
                    Some(false) => {
                        let _ = driver.flush_async().await;
                        return;
                    }
                }
            }
            _ => machine.accept(output).unwrap(),
        }
    }
}

async fn host(name: &'static str, at: &str, how: Behaviour, seen: &Seen) -> u16 {
    let listener = TcpListener::bind(at).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::clone(seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            how.connections.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(stream, name, how.clone(), Arc::clone(&seen)));
        }
    });
    port
}

/// A host that takes 7 bits only, and what was sent to it: the MAIL commands, and the messages with their dots.
async fn old_host(sent: &Arc<Mutex<(Vec<String>, Vec<u8>)>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let sent = Arc::clone(sent);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            stream.write_all(b"220 old.test\r\n").await.unwrap();
            let (mut line, mut in_body) = (Vec::new(), false);
            while let Ok(1..) = stream.read_until(b'\n', &mut line).await {
                let octets = std::mem::take(&mut line);
                let reply: &[u8] = match (in_body, octets.get(..4)) {
                    (true, _) if octets == b".\r\n" => b"250 ok\r\n",
                    (true, _) => {
                        sent.lock().unwrap().1.extend_from_slice(&octets);
                        continue;
                    }
                    (_, Some(b"EHLO")) => b"250-old.test\r\n250 SIZE\r\n",
                    (_, Some(b"DATA")) => b"354 go\r\n",
                    (_, Some(b"MAIL")) => {
                        let mail = String::from_utf8_lossy(&octets).trim_end().to_owned();
                        sent.lock().unwrap().0.push(mail);
                        b"250 ok\r\n"
                    }
                    _ => b"250 ok\r\n",
                };
                in_body = reply.starts_with(b"354");
                if stream.write_all(reply).await.is_err() {
                    break;
                }
            }
        }
    });
    port
}

/// Nobody is here.
struct Nobody;

impl Here for Nobody {
    fn is_here(&self, _: &str) -> bool {
        false
    }
    fn inbox<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<MailboxId>>> {
        Box::pin(async { Ok(None) })
    }
}

/// Hands one message on, and returns what is left in the queue: next hop and last words.
async fn handed(
    options: Options,
    sender: &str,
    to: &str,
    rcpt: RcptParameters,
    requiretls: bool,
) -> Vec<String> {
    let message = "Subject: hello\r\n\r\n.text\r\n".into();
    handed_message(message, options, sender, to, rcpt, requiretls).await
}

async fn handed_message(
    message: Bytes,
    options: Options,
    sender: &str,
    to: &str,
    rcpt: RcptParameters,
    requiretls: bool,
) -> Vec<String> {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let mut stage = store.stage().await.unwrap();
    stage.write(message).await.unwrap();
    let body = stage.finish().await.unwrap();
    let from = ReversePath(Mailbox::parse(sender.as_bytes()).ok());
    let mut mail = MailParameters::default();
    mail.requiretls = requiretls;
    let entry = Entry::asking("1", from, mail, [(to.to_owned(), rcpt)]);
    let domain = to.rsplit_once('@').unwrap().1;
    let enqueue = entry.enqueue(domain, body);
    store
        .commit(Transaction::new(AccountId::SYSTEM).with(enqueue))
        .await
        .unwrap();
    let (stopping, stop) = tokio::sync::oneshot::channel::<()>();
    let relay = Relay::new(Arc::clone(&store), Arc::new(Nobody), options).unwrap();
    let run = tokio::spawn(relay.run(async { drop(stop.await) }));
    // Until the attempt is over: out of the queue, or due later.
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let queue = store.queue(None, 9).await.unwrap();
        let waits = |entry: &hikyaku_mailstore::QueueEntry| {
            entry.token == 0 && entry.due > std::time::SystemTime::now() + Duration::from_secs(60)
        };
        if queue.iter().all(waits) {
            break;
        }
    }
    drop(stopping);
    run.await.unwrap();
    let queue = store.queue(None, 9).await.unwrap();
    queue
        .into_iter()
        .map(|entry| String::from_utf8_lossy(&entry.envelope).into_owned())
        .collect()
}

fn options() -> Options {
    let mut options = Options::new("relay.test");
    options.first_family = Family::V4;
    options.patience = Duration::from_secs(5);
    options
}

fn lines(seen: &Seen) -> Vec<String> {
    std::mem::take(&mut *seen.lock().unwrap())
}

fn named(port: u16, tls: HostTls, login: Option<Login>) -> NextHost {
    let mut host = NextHost::new("localhost", port);
    (host.tls, host.login) = (tls, login);
    host
}

/// A host of one address, in clear.
fn alone(port: u16) -> NextHost {
    let mut host = NextHost::new("127.0.0.1", port);
    host.tls = HostTls::Never;
    host
}

#[tokio::test]
async fn a_smarthost_is_logged_in_at_over_checked_tls_alone() {
    let (authority, seen) = (Authority::new(), Seen::default());
    let (right, _) = authority.host("localhost");
    let (wrong, _) = authority.host("other.test");
    let (forged, _) = Authority::new().host("localhost");
    for (tls, implicit, mechanism, password, has_it) in [
        (&right, true, "PLAIN", "sesame", true),
        (&right, false, "PLAIN", "sesame", true),
        (&right, false, "LOGIN", "sesame", true),
        (&right, true, "PLAIN", "other", false),
        (&right, true, "GSSAPI", "sesame", false),
        (&wrong, true, "PLAIN", "sesame", false),
        (&wrong, false, "PLAIN", "sesame", false),
        (&forged, true, "PLAIN", "sesame", false),
        (&forged, false, "PLAIN", "sesame", false),
    ] {
        let how = Behaviour {
            tls: Some(tls.clone()),
            implicit,
            login: Some((mechanism, "alice", "sesame")),
            ..Behaviour::default()
        };
        let port = host("smart", "127.0.0.1:0", how, &seen).await;
        let mut options = options();
        options.roots = Some(authority.roots());
        let level = if implicit {
            HostTls::Implicit
        } else {
            HostTls::StartTls
        };
        let login = Login::new("alice", password.as_bytes().to_vec());
        let host = named(port, level, Some(login));
        options.routes = vec![Route::new(Via::Hosts(vec![host]))];
        let left = handed(
            options,
            "a@here.test",
            "b@there.test",
            RcptParameters::default(),
            false,
        )
        .await;
        let seen = lines(&seen);
        let case = format!("{implicit} {mechanism} {password}: {seen:?} {left:?}");
        assert_eq!(left.is_empty(), has_it, "{case}");
        assert_eq!(
            seen.iter().any(|line| line == "smart has it"),
            has_it,
            "{case}"
        );
        // No password where the certificate is not the host's.
        assert!(
            !seen.iter().any(|line| line.contains("login clear")),
            "{case}"
        );
        let trusted = std::ptr::eq(tls, &right);
        assert_eq!(
            seen.iter().any(|line| line.contains("login")),
            trusted && mechanism != "GSSAPI",
            "{case}"
        );
    }
}

/// What is due again at once, since its host has enough to do, may be claimed again before its attempt is quite over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_for_many_domains_of_one_host_all_gets_there() {
    const DOMAINS: usize = 60;
    const MESSAGES: usize = 600;
    let seen = Seen::default();
    let port = host("only", "127.0.0.1:0", Behaviour::default(), &seen).await;
    let mut options = options();
    options.connections_per_destination = 2;
    let mut only = named(port, HostTls::Never, None);
    only.place = Place::Host {
        name: "127.0.0.1".into(),
        port,
    };
    options.routes = vec![Route::new(Via::Hosts(vec![only]))];
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    for number in 0..MESSAGES {
        let mut stage = store.stage().await.unwrap();
        stage
            .write("Subject: hello\r\n\r\ntext\r\n".into())
            .await
            .unwrap();
        let body = stage.finish().await.unwrap();
        let from = ReversePath(Mailbox::parse(b"a@here.test").ok());
        let domain = format!("d{}.test", number % DOMAINS);
        let entry = Entry::new("1", from, [format!("b{number}@{domain}")]);
        let enqueue = Transaction::new(AccountId::SYSTEM).with(entry.enqueue(domain, body));
        store.commit(enqueue).await.unwrap();
    }
    let (stopping, stop) = tokio::sync::oneshot::channel::<()>();
    let relay = Relay::new(Arc::clone(&store), Arc::new(Nobody), options).unwrap();
    let run = tokio::spawn(relay.run(async { drop(stop.await) }));
    let began = std::time::Instant::now();
    let mut left = usize::MAX;
    while left > 0 {
        assert!(began.elapsed() < Duration::from_secs(60), "{left} wait");
        tokio::time::sleep(Duration::from_millis(50)).await;
        left = store.queue(None, MESSAGES).await.unwrap().len();
    }
    drop(stopping);
    run.await.unwrap();
    let seen = lines(&seen);
    let taken = seen.iter().filter(|line| *line == "only has it").count();
    assert_eq!(taken, MESSAGES);
}

#[tokio::test]
async fn when_a_host_does_not_take_it_the_next_one_is_asked() {
    let seen = Seen::default();
    let busy = Behaviour {
        refuses: Some("451 4.3.2 not now\r\n"),
        ..Behaviour::default()
    };
    let first = host("first", "127.0.0.1:0", busy, &seen).await;
    let second = host("second", "127.0.0.1:0", Behaviour::default(), &seen).await;
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = dead.local_addr().unwrap().port();
    drop(dead);
    let mut options = options();
    let all = [gone, first, second].map(|port| named(port, HostTls::Never, None));
    options.routes = vec![Route::new(Via::Hosts(all.into()))];
    let left = handed(
        options,
        "a@here.test",
        "b@there.test",
        RcptParameters::default(),
        false,
    )
    .await;
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(
        lines(&seen),
        [
            "first to <b@there.test> clear",
            "second to <b@there.test> clear",
            "second has it"
        ]
    );
}

#[tokio::test]
async fn rules_hold_for_domains_and_senders() {
    let seen = Seen::default();
    let mut routes = Vec::new();
    for (name, domain, sender) in [
        ("partner", "*.partner.test", ""),
        ("alice", "*", "alice@here.test"),
        ("bounces", "*", "<>"),
        ("rest", "*", ""),
    ] {
        let port = host(name, "127.0.0.1:0", Behaviour::default(), &seen).await;
        let mut route = Route::new(Via::Hosts(vec![named(port, HostTls::Never, None)]));
        route.domains = vec![domain.into()];
        route.senders = [sender]
            .iter()
            .filter(|one| !one.is_empty())
            .map(ToString::to_string)
            .collect();
        routes.push(route);
    }
    for (sender, to, name) in [
        ("alice@here.test", "b@x.partner.test", "partner"),
        ("alice@here.test", "b@there.test", "alice"),
        ("bob@here.test", "b@there.test", "rest"),
        ("", "b@there.test", "bounces"),
    ] {
        let mut options = options();
        options.routes = routes.clone();
        let left = handed(options, sender, to, RcptParameters::default(), false).await;
        assert!(left.is_empty(), "{left:?}");
        assert_eq!(
            lines(&seen),
            [format!("{name} to <{to}> clear"), format!("{name} has it")]
        );
    }
}

#[tokio::test]
async fn a_server_of_ones_own_takes_it_by_lmtp_on_a_socket() {
    let folder = std::env::temp_dir().join(format!("hikyaku-lmtp-{}", std::process::id()));
    let _ = std::fs::remove_file(&folder);
    let listener = UnixListener::bind(&folder).unwrap();
    let seen = Seen::default();
    let inside = Arc::clone(&seen);
    tokio::spawn(async move {
        let how = Behaviour {
            lmtp: true,
            ..Behaviour::default()
        };
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, "lmtp", how.clone(), Arc::clone(&inside)));
        }
    });
    let mut options = options();
    options.routes = vec![Route::new(Via::Hosts(vec![NextHost::lmtp_socket(&folder)]))];
    let left = handed(
        options,
        "a@here.test",
        "b@there.test",
        RcptParameters::default(),
        false,
    )
    .await;
    std::fs::remove_file(&folder).unwrap();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(
        lines(&seen),
        ["lmtp to <b@there.test> clear", "lmtp has it"]
    );
}

/// A domain whose zone is signed, with one host at 127.0.0.1, and its TLSA record if there is one.
async fn signed_domain(port: u16, record: Option<Tlsa>) -> (DnsServer, Options) {
    let mut zone = Zone::new("there.test")
        .signed()
        .mx(10, "mx")
        .a("mx", "127.0.0.1");
    if let Some(record) = record {
        zone = zone.tlsa(
            &format!("_{port}._tcp.mx"),
            record.usage,
            record.selector,
            record.matching,
            &record.data,
        );
    }
    let dns = DnsServer::start(vec![zone]);
    let mut options = options();
    options.dns = vec![dns.address().to_string()];
    options.dnssec = Dnssec::Validate {
        anchors: Some(dns.trust_anchor()),
    };
    options.port = port;
    (dns, options)
}

#[tokio::test]
async fn dane_refuses_whoever_has_another_key() {
    let (authority, seen) = (Authority::new(), Seen::default());
    let (tls, der) = authority.host("mx.there.test");
    let (middle, _) = authority.host("mx.there.test");
    let of = |der: &[u8]| Tlsa::new(3, 0, 1, digest(&SHA256, der).as_ref().to_vec());
    for (name, tls, record, has_it, under) in [
        ("its own key", Some(&tls), Some(of(&der)), true, "tls"),
        (
            "a man in the middle",
            Some(&middle),
            Some(of(&der)),
            false,
            "",
        ),
        ("STARTTLS stripped", None, Some(of(&der)), false, ""),
        ("no record", Some(&middle), None, true, "tls"),
        ("no record and no TLS", None, None, true, "clear"),
    ] {
        let how = Behaviour {
            tls: tls.cloned(),
            ..Behaviour::default()
        };
        let port = host("mx", "127.0.0.1:0", how, &seen).await;
        let (_dns, options) = signed_domain(port, record).await;
        let left = handed(
            options,
            "a@here.test",
            "b@there.test",
            RcptParameters::default(),
            false,
        )
        .await;
        let seen = lines(&seen);
        assert_eq!(left.is_empty(), has_it, "{name}: {seen:?} {left:?}");
        let expected = [format!("mx to <b@there.test> {under}"), "mx has it".into()];
        if has_it {
            assert_eq!(seen, expected, "{name}");
        } else {
            assert!(
                !seen.iter().any(|line| line.contains(" to ")),
                "{name}: {seen:?}"
            );
            assert!(left[0].contains("4.7.5"), "{name}: {left:?}");
        }
    }
}

/// RFC 8689 §4.2.1: the host's certificate is checked, and it must have REQUIRETLS itself.
#[tokio::test]
async fn a_message_that_requires_tls_goes_over_checked_tls_to_servers_that_know_it() {
    let (authority, seen) = (Authority::new(), Seen::default());
    let (right, _) = authority.host("mx.there.test");
    let (forged, _) = Authority::new().host("mx.there.test");
    for (tls, requiretls, has_it, tried_again) in [
        (&right, true, true, false),
        // It is returned: no server of the domain can promise it.
        (&right, false, false, false),
        (&forged, true, false, true),
    ] {
        let how = Behaviour {
            tls: Some(tls.clone()),
            requiretls,
            ..Behaviour::default()
        };
        let port = host("mx", "127.0.0.1:0", how, &seen).await;
        let (_dns, mut options) = signed_domain(port, None).await;
        options.roots = Some(authority.roots());
        let rcpt = RcptParameters::default();
        let left = handed(options, "a@here.test", "b@there.test", rcpt, true).await;
        let waits = left.iter().any(|entry| entry.contains("REQUIRETLS"));
        assert_eq!(waits, tried_again, "{left:?}");
        let seen = lines(&seen);
        assert_eq!(seen.contains(&"mx has it".to_owned()), has_it, "{seen:?}");
    }
}

#[tokio::test]
async fn a_domain_that_must_be_verified_gets_nothing_else() {
    let (authority, seen) = (Authority::new(), Seen::default());
    let (tls, _) = authority.host("mx.there.test");
    let (forged, _) = Authority::new().host("mx.there.test");
    let (other, _) = authority.host("mx.other.test");
    for (name, tls, has_it) in [
        ("right", Some(&tls), true),
        ("forged", Some(&forged), false),
        ("another host's", Some(&other), false),
        ("none", None, false),
    ] {
        let how = Behaviour {
            tls: tls.cloned(),
            dsn: true,
            ..Behaviour::default()
        };
        let port = host("mx", "127.0.0.1:0", how, &seen).await;
        let (_dns, mut options) = signed_domain(port, None).await;
        options.roots = Some(authority.roots());
        let mut route = Route::new(Via::Exchangers);
        (route.domains, route.must_verify) = (vec!["there.test".into()], true);
        options.routes = vec![route];
        let mut rcpt = RcptParameters::default();
        rcpt.notify = Some(hikyaku_smtp_proto::Notify::DELAY);
        let left = handed(options, "a@here.test", "b@there.test", rcpt, false).await;
        let seen = lines(&seen);
        assert_eq!(left.is_empty(), has_it, "{name}: {seen:?} {left:?}");
        // What was asked for is passed on to a host that has DSN.
        let to = "mx to <b@there.test> DELAY tls".to_owned();
        assert_eq!(seen.contains(&to), has_it, "{name}: {seen:?}");
    }
}

/// Messages to one host go over one connection; one that the host has ended is no failure of the host.
#[tokio::test]
async fn a_connection_carries_many_messages() {
    for (leaves, most) in [(None, 2), (Some(true), 20), (Some(false), 20)] {
        let seen = Seen::default();
        let how = Behaviour {
            leaves,
            ..Behaviour::default()
        };
        let connections = Arc::clone(&how.connections);
        let port = host("mx", "127.0.0.1:0", how, &seen).await;
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        for n in 0..20 {
            let mut stage = store.stage().await.unwrap();
            stage
                .write("Subject: hello\r\n\r\ntext\r\n".into())
                .await
                .unwrap();
            let body = stage.finish().await.unwrap();
            let from = ReversePath(Mailbox::parse(b"a@here.test").ok());
            let entry = Entry::new("1", from, [format!("b{n}@there.test")]);
            let enqueue = entry.enqueue("there.test", body);
            store
                .commit(Transaction::new(AccountId::SYSTEM).with(enqueue))
                .await
                .unwrap();
        }
        let mut options = options();
        options.connections_per_destination = 1;
        options.routes = vec![Route::new(Via::Hosts(vec![named(
            port,
            HostTls::Never,
            None,
        )]))];
        let (stopping, stop) = tokio::sync::oneshot::channel::<()>();
        let relay = Relay::new(Arc::clone(&store), Arc::new(Nobody), options).unwrap();
        let run = tokio::spawn(relay.run(async { drop(stop.await) }));
        for _ in 0..400 {
            tokio::time::sleep(Duration::from_millis(25)).await;
            if store.queue(None, 9).await.unwrap().is_empty() {
                break;
            }
        }
        drop(stopping);
        run.await.unwrap();
        let seen = lines(&seen);
        let mut to: Vec<_> = seen.iter().filter(|line| line.contains(" to ")).collect();
        to.sort();
        to.dedup();
        let taken = seen.iter().filter(|line| line.contains("has it")).count();
        assert_eq!((to.len(), taken), (20, 20), "{leaves:?} {seen:?}");
        let count = connections.load(Ordering::SeqCst);
        assert!(count <= most, "{leaves:?}: {count} connections");
    }
}

#[test]
fn a_place_is_a_host_or_a_socket() {
    assert!(matches!(
        NextHost::new("a", 1).place,
        Place::Host { port: 1, .. }
    ));
    assert!(matches!(
        NextHost::lmtp_socket("/s").place,
        Place::Socket(_)
    ));
}

#[tokio::test]
async fn a_host_without_8bitmime_gets_7_bits() {
    let head = "Subject: hello\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n";
    let text = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n";
    let line = "Gr\u{fc}\u{df}e aus Wien, und noch eine Zeile, die niemand liest.\r\n.\r\n";
    // Longer than what is read of it at a time.
    let large = format!("{head}{text}{}--b--\r\n", line.repeat(10_000));
    let small = format!("{head}{text}\u{e9}\r\n--b--\r\n");
    let ascii = format!("{head}{text}e\r\n--b--\r\n");
    // Base64, which waits for a whole line.
    let octets = "Content-Type: application/x\r\n\r\n\u{98db}\u{811a}\r\n".to_owned();
    for message in [large, small, ascii, octets] {
        let sent = Arc::default();
        let port = old_host(&sent).await;
        let mut options = options();
        options.routes = vec![Route::new(Via::Hosts(vec![alone(port)]))];
        let left = handed_message(
            message.clone().into(),
            options,
            "a@here.test",
            "b@there.test",
            RcptParameters::default(),
            false,
        )
        .await;
        assert!(left.is_empty(), "{left:?}");
        let sent = sent.lock().unwrap();
        let octets = match message.is_ascii() {
            true => message.into_bytes(),
            false => seven_bit(message.as_bytes()).unwrap(),
        };
        // SIZE is without the dots of transparency.
        assert_eq!(
            sent.0,
            [format!("MAIL FROM:<a@here.test> SIZE={}", octets.len())]
        );
        let text = String::from_utf8(octets).unwrap();
        assert!(sent.1.is_ascii() && sent.1 == text.replace("\r\n.", "\r\n..").as_bytes());
    }
}

#[tokio::test]
async fn what_cannot_be_7_bits_comes_back_from_a_host_without_8bitmime() {
    let signed = "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\u{e9}\r\n--b--\r\n";
    let named_part = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Disposition: attachment; filename=\u{e9}\r\n\r\n\u{e9}\r\n--b--\r\n";
    for (message, status) in [(signed, "5.6.3"), (named_part, "5.6.7")] {
        let sent = Arc::default();
        let port = old_host(&sent).await;
        let mut options = options();
        options.routes = vec![Route::new(Via::Hosts(vec![alone(port)]))];
        let left = handed_message(
            message.into(),
            options,
            "a@here.test",
            "b@there.test",
            RcptParameters::default(),
            false,
        )
        .await;
        assert!(left.is_empty(), "{left:?}");
        // What the host gets is the notification alone.
        let sent = sent.lock().unwrap();
        let [mail] = &sent.0[..] else {
            panic!("{:?}", sent.0)
        };
        assert!(mail.starts_with("MAIL FROM:<> "), "{mail}");
        let text = String::from_utf8_lossy(&sent.1);
        assert!(
            text.contains(&format!("\r\nStatus: {status}\r\n")),
            "{text}"
        );
    }
}
