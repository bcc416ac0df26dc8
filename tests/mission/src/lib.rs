//! What the tests of the mission share: a server with two people, and devices of theirs.
#![allow(
    clippy::exhaustive_structs,
    clippy::exhaustive_enums,
    reason = "tests write them out"
)]

pub mod browser;
pub mod foreign;

use clap::Parser as _;
use hikyaku_client::{Dial, Error, Local, Server as Entry, Wire};
use hikyaku_mailstore::BoxFuture;
use mailclient::Config;
use mailclient::cli::{Cli, run};
use mailserver::{Config as ServerConfig, Protocol, Server};
use serde_json::Value;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;

/// Everybody's.
pub const PASSWORD: &str = "a secret of words";

/// A server with alice and bob.
#[derive(Debug)]
pub struct House {
    /// The server.
    pub server: Server,
    /// Its folder.
    pub data: TempDir,
    /// Its domain.
    pub domain: String,
}

/// The configuration of a house on ports of its own; `more` is TOML.
pub fn config(data: &std::path::Path, domain: &str, more: &str) -> ServerConfig {
    let text = format!(
        "hostname = \"localhost\"\ndata = \"{}\"\ndomains = [\"{domain}\"]\n{more}\n[listen]\n\
         smtp = \"127.0.0.1:0\"\nsubmissions = \"127.0.0.1:0\"\nlmtp = \"127.0.0.1:0\"\n\
         pop3 = \"127.0.0.1:0\"\npop3s = \"127.0.0.1:0\"\nimap = \"127.0.0.1:0\"\nimaps = \"127.0.0.1:0\"\n\
         http = \"127.0.0.1:0\"\nhttps = \"127.0.0.1:0\"\n",
        data.display()
    );
    ServerConfig::parse(&text).unwrap()
}

impl House {
    /// One for `example.test`.
    pub async fn new() -> Self {
        Self::with("example.test", "").await
    }

    /// One for that domain; `more` is TOML.
    pub async fn with(domain: &str, more: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let more = format!("[auth]\nplaintext = \"always\"\n{more}");
        let server = Server::start(config(data.path(), domain, &more))
            .await
            .unwrap();
        for name in ["alice", "bob"] {
            let address = format!("{name}@{domain}");
            server.accounts().add(&address, PASSWORD).await.unwrap();
        }
        Self {
            server,
            data,
            domain: domain.into(),
        }
    }

    /// Where a service listens.
    pub fn at(&self, service: Protocol) -> SocketAddr {
        self.server.address(service).unwrap()
    }

    /// Delivers a message to an account, by LMTP. What the server says at the end of it.
    pub async fn deliver(&self, to: &str, message: &str) -> String {
        let mut stream = TcpStream::connect(self.at(Protocol::Lmtp)).await.unwrap();
        let body = message.replace('\n', "\r\n").replace("\r\n.", "\r\n..");
        let text = format!(
            "LHLO test\r\nMAIL FROM:<x@elsewhere.test>\r\nRCPT TO:<{to}@{}>\r\nDATA\r\n{body}\r\n.\r\nQUIT\r\n",
            self.domain
        );
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        said
    }

    /// Delivers messages `from..to` to bob, and fails when one is refused.
    pub async fn deliver_many(&self, numbers: std::ops::Range<u32>) {
        for number in numbers {
            let message = format!(
                "From: Friend <friend@elsewhere.test>\nTo: bob@example.test\nSubject: message {number}\n\
                 Message-ID: <{number}@elsewhere.test>\nDate: Tue, 24 Nov 2026 10:00:00 +0000\n\n\
                 The body of number {number}.\n.dot"
            );
            let said = self.deliver("bob", &message).await;
            assert!(said.contains("250 2.0.0 Delivered"), "{said}");
        }
    }

    /// A device of bob's, with an account of that type; `more` are further words for `account add`.
    pub async fn device(&self, kind: &str, more: &[&str]) -> Device {
        self.device_of("bob", kind, more).await
    }

    /// A device of somebody's.
    pub async fn device_of(&self, who: &str, kind: &str, more: &[&str]) -> Device {
        let home = tempfile::tempdir().unwrap();
        let device = Device { home };
        let incoming = match kind {
            "pop" => self.at(Protocol::Pop3s),
            _ => self.at(Protocol::Imaps),
        };
        let outgoing = self.at(Protocol::Submissions);
        let ca = self.data.path().join("tls/ca.pem").display().to_string();
        let address = format!("{who}@{}", self.domain);
        let (incoming, outgoing) = (
            format!("localhost:{}", incoming.port()),
            format!("localhost:{}", outgoing.port()),
        );
        let command = format!("echo '{PASSWORD}'");
        let mut words = vec![
            "account",
            "add",
            &address,
            "--type",
            kind,
            "--incoming",
            &incoming,
            "--outgoing",
            &outgoing,
            "--incoming-security",
            "tls",
            "--outgoing-security",
            "tls",
            "--ca",
            &ca,
            "--password-command",
            &command,
        ];
        words.extend(more);
        let said = device.ok(&words).await;
        assert!(said.contains("both logins work"), "{said}");
        device
    }
}

impl foreign::Foreign {
    /// A device of somebody's, with an account of that type; `more` are further words for `account add`.
    pub async fn device(&self, who: &str, kind: &str, more: &[&str]) -> Device {
        let home = tempfile::tempdir().unwrap();
        let device = Device { home };
        let incoming = if kind == "pop" { self.pop3 } else { self.imap };
        let (incoming, outgoing) = (
            format!("localhost:{incoming}"),
            format!("localhost:{}", self.submission),
        );
        let (ca, address) = (self.ca.display().to_string(), format!("{who}@example.test"));
        let command = format!("echo {}", foreign::PASSWORD);
        let mut words = vec![
            "account",
            "add",
            &address,
            "--type",
            kind,
            "--incoming",
            &incoming,
            "--outgoing",
            &outgoing,
            "--incoming-security",
            "starttls",
            "--outgoing-security",
            "starttls",
            "--ca",
            &ca,
            "--password-command",
            &command,
        ];
        words.extend(more);
        let said = device.run(&words).await;
        let said = said.unwrap_or_else(|error| panic!("{error}\n{}", self.log()));
        assert!(said.contains("both logins work"), "{said}");
        device
    }
}

/// A web server for a router, with the certificate in that folder. It stops when this is dropped.
#[derive(Debug)]
pub struct Web {
    /// `https://localhost:PORT`
    pub origin: String,
    task: tokio::task::JoinHandle<()>,
}

impl Web {
    /// Serves on a port of its own.
    pub async fn serve(router: axum::Router, tls: &std::path::Path) -> Self {
        let (cert, key) = (tls.join("cert.pem"), tls.join("key.pem"));
        let certificate = webmail::Certificate::load(&cert, &key).unwrap();
        let config = certificate.server_config().unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!(
            "https://localhost:{}",
            listener.local_addr().unwrap().port()
        );
        let listener =
            webmail::Encrypted::new(listener, tokio_rustls::TlsAcceptor::from(config)).unwrap();
        let task = tokio::spawn(async move {
            webmail::serve(listener, router, std::future::pending())
                .await
                .unwrap();
        });
        Self { origin, task }
    }

    /// The webmail in front of servers.
    pub async fn in_front_of(provider: webmail::Provider, tls: &std::path::Path) -> Self {
        let store = Arc::new(hikyaku_mailstore::Memory::new());
        let backend = webmail::Remote::new(provider, store);
        let router = webmail::router(Arc::new(backend), webmail::Options::default());
        Self::serve(router, tls).await
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A folder in which `mailclient` lives.
#[derive(Debug)]
pub struct Device {
    /// The folder.
    pub home: TempDir,
}

impl Device {
    /// A command, as it is typed; what it prints, or why it failed.
    pub async fn run(&self, words: &[&str]) -> Result<String, Error> {
        let home = self.home.path().display().to_string();
        let all = ["mailclient", "--home", &home]
            .into_iter()
            .chain(words.iter().copied());
        let cli = Cli::try_parse_from(all).unwrap_or_else(|error| panic!("{error}"));
        let mut out = Vec::new();
        run(cli, &mut out).await?;
        Ok(String::from_utf8(out).unwrap())
    }

    /// A command that works.
    pub async fn ok(&self, words: &[&str]) -> String {
        let done = self.run(words).await;
        done.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// A listing.
    pub async fn json(&self, words: &[&str]) -> Value {
        let words: Vec<_> = ["--json"]
            .into_iter()
            .chain(words.iter().copied())
            .collect();
        serde_json::from_str(&self.ok(&words).await).unwrap()
    }

    /// The subjects in a folder, newest first.
    pub async fn subjects(&self, folder: &str) -> Vec<String> {
        let all = self.json(&["list", folder, "-n", "1000"]).await;
        let all = all.as_array().unwrap().iter();
        all.map(|one| one["subject"].as_str().unwrap().to_owned())
            .collect()
    }

    /// How a folder names the message of that subject.
    pub async fn named(&self, folder: &str, subject: &str) -> String {
        let all = self.json(&["list", folder, "-n", "1000"]).await;
        let mut all = all.as_array().unwrap().iter();
        let found = all.find(|one| one["subject"] == subject);
        found.unwrap_or_else(|| panic!("{subject} is not in {folder}"))["message"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// The account that was added first.
    pub fn account(&self) -> hikyaku_client::Account {
        Config::load(self.home.path()).unwrap().accounts[0].clone()
    }

    /// What is on the device, opened by itself.
    pub async fn local(&self) -> Local {
        let store = hikyaku_mailstore::Disk::open(self.home.path().join("mail")).unwrap();
        Local::of(Arc::new(store), &self.account()).await.unwrap()
    }
}

/// Places below `end`, at random, ascending, the same ones each time.
pub fn places(end: u64, count: u64) -> Vec<u64> {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut all: Vec<u64> = (0..count)
        .map(|_| {
            // Xorshift.
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed % end
        })
        .collect();
    all.sort_unstable();
    all
}

/// A network that breaks: after so many octets of the server's, in all connections together.
#[derive(Debug)]
pub struct Broken {
    /// Whom one would talk to.
    pub inner: hikyaku_client::Tcp,
    /// Octets that still come.
    pub left: Arc<AtomicU64>,
}

impl Broken {
    /// One that breaks after so many octets, for an account's servers.
    #[must_use]
    pub fn after(octets: u64, ca: Option<PathBuf>) -> Self {
        let inner = hikyaku_client::Tcp {
            ca,
            ..Default::default()
        };
        Self {
            inner,
            left: Arc::new(AtomicU64::new(octets)),
        }
    }
}

impl Dial for Broken {
    fn dial<'a>(
        &'a self,
        server: &'a Entry,
    ) -> BoxFuture<'a, hikyaku_client::Result<Box<dyn Wire>>> {
        Box::pin(async move {
            let inner = self.inner.dial(server).await?;
            Ok(Box::new(Breaking {
                inner,
                left: Arc::clone(&self.left),
            }) as Box<dyn Wire>)
        })
    }

    fn encrypt<'a>(
        &'a self,
        stream: Box<dyn Wire>,
        server: &'a Entry,
    ) -> BoxFuture<'a, hikyaku_client::Result<Box<dyn Wire>>> {
        self.inner.encrypt(stream, server)
    }
}

struct Breaking {
    inner: Box<dyn Wire>,
    left: Arc<AtomicU64>,
}

impl AsyncRead for Breaking {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let most = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buf.remaining());
        let mut some = ReadBuf::new(buf.initialize_unfilled_to(most));
        std::task::ready!(Pin::new(&mut self.inner).poll_read(cx, &mut some))?;
        let count = some.filled().len();
        buf.advance(count);
        self.left.store(left - count as u64, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Breaking {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.left.load(Ordering::Relaxed) == 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.inner).poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// A network in which the server does not know some commands of POP3.
#[derive(Debug)]
pub struct Without {
    /// Whom one talks to.
    pub inner: hikyaku_client::Tcp,
    /// What it does not know: the first four octets of a line.
    pub commands: Vec<&'static str>,
}

impl Dial for Without {
    fn dial<'a>(
        &'a self,
        server: &'a Entry,
    ) -> BoxFuture<'a, hikyaku_client::Result<Box<dyn Wire>>> {
        Box::pin(async move {
            let inner = self.inner.dial(server).await?;
            let commands = self.commands.clone();
            Ok(Box::new(Forgetting { inner, commands }) as Box<dyn Wire>)
        })
    }

    fn encrypt<'a>(
        &'a self,
        stream: Box<dyn Wire>,
        server: &'a Entry,
    ) -> BoxFuture<'a, hikyaku_client::Result<Box<dyn Wire>>> {
        self.inner.encrypt(stream, server)
    }
}

struct Forgetting {
    inner: Box<dyn Wire>,
    commands: Vec<&'static str>,
}

impl AsyncRead for Forgetting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Forgetting {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut text = String::from_utf8_lossy(octets).into_owned();
        for command in &self.commands {
            text = text.replace(command, "XXXX");
        }
        Pin::new(&mut self.inner).poll_write(cx, text.as_bytes())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
