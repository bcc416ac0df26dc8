//! A server for one test, and the programs that speak to it.

use mailserver::{Config, Protocol, Server};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(crate) const PASSWORD: &str = "a secret of words";

/// A server with two accounts, alice and bob, on ports of its own.
pub(crate) struct House {
    pub(crate) server: Server,
    pub(crate) data: TempDir,
}

/// The configuration of a house; `more` is TOML.
pub(crate) fn config(data: &std::path::Path, domain: &str, more: &str) -> Config {
    let text = format!(
        "hostname = \"localhost\"\ndata = \"{}\"\ndomains = [\"{domain}\"]\n{more}\n[listen]\n\
         smtp = \"127.0.0.1:0\"\nsubmission = \"127.0.0.1:0\"\nsubmissions = \"127.0.0.1:0\"\n\
         lmtp = \"127.0.0.1:0\"\npop3 = \"127.0.0.1:0\"\npop3s = \"127.0.0.1:0\"\nimap = \"127.0.0.1:0\"\n\
         imaps = \"127.0.0.1:0\"\nmetrics = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\nhttps = \"127.0.0.1:0\"\n",
        data.display()
    );
    Config::parse(&text).unwrap()
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with("[auth]\nplaintext = \"always\"\n").await
    }

    pub(crate) async fn with(more: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let server = Server::start(config(data.path(), "example.test", more))
            .await
            .unwrap();
        for name in ["alice", "bob"] {
            let address = format!("{name}@example.test");
            server.accounts().add(&address, PASSWORD).await.unwrap();
        }
        Self { server, data }
    }

    pub(crate) fn at(&self, service: Protocol) -> SocketAddr {
        self.server.address(service).unwrap()
    }

    pub(crate) fn port(&self, service: Protocol) -> String {
        self.at(service).port().to_string()
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.data.path().join("tls/ca.pem")
    }

    pub(crate) async fn talk(&self, service: Protocol) -> Talk {
        Talk::new(self.at(service)).await
    }

    /// Appends a message to bob's INBOX by LMTP.
    pub(crate) async fn deliver(&self, message: &str) {
        let mut lmtp = self.talk(Protocol::Lmtp).await;
        let body = message.replace('\n', "\r\n");
        lmtp.send(&format!(
            "LHLO test\r\nMAIL FROM:<x@elsewhere.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n{body}\r\n.\r\nQUIT\r\n"
        ))
        .await;
        let said = lmtp.rest().await;
        assert!(said.contains("250 2.0.0 Delivered"), "{said}");
    }
}

/// A raw connection.
pub(crate) struct Talk(BufReader<TcpStream>);

impl Talk {
    pub(crate) async fn new(address: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(address).await.unwrap()))
    }

    /// From that address of this machine.
    pub(crate) async fn from(source: &str, address: SocketAddr) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        let source = SocketAddr::new(source.parse().unwrap(), 0);
        socket.bind(source).unwrap();
        Self(BufReader::new(socket.connect(address).await.unwrap()))
    }

    /// Over a connection that is there.
    pub(crate) fn over(stream: TcpStream) -> Self {
        Self(BufReader::new(stream))
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.send_octets(text.as_bytes()).await;
    }

    pub(crate) async fn send_octets(&mut self, octets: &[u8]) {
        self.0.get_mut().write_all(octets).await.unwrap();
    }

    /// The next line, without its CRLF.
    pub(crate) async fn line(&mut self) -> String {
        self.line_within(Duration::from_secs(20)).await
    }

    /// The same, for what takes longer.
    pub(crate) async fn line_within(&mut self, time: Duration) -> String {
        let mut line = Vec::new();
        let read = self.0.read_until(b'\n', &mut line);
        tokio::time::timeout(time, read)
            .await
            .expect("a line in time")
            .unwrap();
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }

    /// Lines up to the one that begins with `start`, that one included.
    pub(crate) async fn until(&mut self, start: &str) -> String {
        let mut all = String::new();
        loop {
            let line = self.line().await;
            all += &line;
            all.push('\n');
            if line.starts_with(start) {
                return all;
            }
            assert!(
                !line.is_empty() || all.len() < 50_000_000,
                "closed after {all}"
            );
            assert!(
                !(line.is_empty() && self.0.buffer().is_empty() && self.closed().await),
                "closed after {all}"
            );
        }
    }

    async fn closed(&mut self) -> bool {
        let peek = tokio::time::timeout(Duration::from_secs(5), self.0.fill_buf()).await;
        matches!(peek, Ok(Ok([]) | Err(_)))
    }

    /// What comes until the server closes.
    pub(crate) async fn rest(&mut self) -> String {
        let mut all = Vec::new();
        let read = self.0.read_to_end(&mut all);
        let _ = tokio::time::timeout(Duration::from_secs(20), read)
            .await
            .expect("an end in time");
        String::from_utf8_lossy(&all).into_owned()
    }

    /// An IMAP command and what it is answered, the tagged line last.
    pub(crate) async fn imap(&mut self, command: &str) -> String {
        self.send(&format!("x {command}\r\n")).await;
        self.until("x ").await
    }

    /// Repeats an IMAP command until its answer holds `what`.
    pub(crate) async fn eventually(&mut self, command: &str, what: &str) {
        let mut said = String::new();
        for _ in 0..150 {
            said = self.imap(command).await;
            if said.contains(what) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{what} is not in {said}");
    }

    /// Logged in by IMAP.
    pub(crate) async fn imap_login(address: SocketAddr, name: &str) -> Self {
        let mut talk = Self::new(address).await;
        talk.line().await;
        let said = talk
            .imap(&format!("LOGIN {name}@example.test \"{PASSWORD}\""))
            .await;
        assert!(said.contains("x OK"), "{said}");
        talk
    }
}

/// Runs a program to its end; its output, and whether it succeeded.
pub(crate) async fn run(program: &str, arguments: &[&str], input: &str) -> (bool, String) {
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}: scripts/test installs it"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    tokio::spawn(async move {
        let _ = stdin.write_all(input.as_bytes()).await;
    });
    let output = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output());
    let output = output.await.expect("an end in time").unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// TLS over a connection to a server whose private CA is that.
pub(crate) async fn tls(
    ca: &std::path::Path,
    stream: TcpStream,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(ca).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}
