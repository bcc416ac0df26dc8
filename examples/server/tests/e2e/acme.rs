//! Certificates from an ACME server: the first one, renewal, and what happens when there is none.

use crate::certificates::shown;
use crate::harness::{Talk, run};
use crate::pebble::{Pebble, Place};
use mailserver::{Config, Protocol, Server};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const NAME: &str = "mail.example.test";

fn config(folder: &Path, listen: &str, acme: &str) -> Config {
    let text = format!(
        "hostname = \"{NAME}\"\ndata = \"{}\"\ndomains = [\"example.test\"]\n[listen]\n\
         imaps = \"127.0.0.1:0\"\nhttps = \"127.0.0.1:0\"\nmetrics = \"127.0.0.1:0\"\n{listen}[acme]\n{acme}",
        folder.join("data").display()
    );
    Config::parse(&text).unwrap()
}

async fn page(server: &Server, path: &str) -> String {
    let mut talk = Talk::new(server.address(Protocol::Metrics).unwrap()).await;
    talk.send(&format!("GET {path} HTTP/1.0\r\n\r\n")).await;
    talk.rest().await
}

/// What a client sees of the certificate, in one line.
async fn certificate(server: &Server, what: &str) -> String {
    let at = server.address(Protocol::Imaps).unwrap();
    let said = shown(at, &format!("-servername {NAME}"), what).await;
    said.replace('\n', " ")
}

/// Repeats until it is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it never came to this: {what}");
}

/// A connection of somebody who trusts what the ACME server gives.
async fn connect(server: &Server, root: &str) -> TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(root.as_bytes()).unwrap();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let at = server.address(Protocol::Imaps).unwrap();
    let stream = TcpStream::connect(at).await.unwrap();
    let name = ServerName::try_from(NAME).unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(name, stream).await.unwrap();
    says(&mut stream, "* OK").await;
    stream
}

async fn says(stream: &mut TlsStream<TcpStream>, expected: &str) {
    let mut octets = [0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut octets));
    let count = read.await.expect("an answer in time").unwrap();
    let said = String::from_utf8_lossy(&octets[..count]);
    assert!(said.contains(expected), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_certificate_comes_late_and_the_next_one_while_all_are_connected() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(folder.path());
    let acme = place.settings() + "contact = \"postmaster@example.test\"\n";
    let listen = "http = \"127.0.0.1:0\"\n";
    let mut house = config(folder.path(), listen, &acme);
    house.limits.connections_per_ip = 200;
    let server = Server::start(house).await.unwrap();

    // Nobody is there: the server serves with a certificate of its own, and says what is wrong.
    until("a failure is said", async || {
        page(&server, "/health").await.contains("warning: ACME: ")
    })
    .await;
    let health = page(&server, "/health").await;
    assert!(
        health.starts_with("HTTP/1.1 200 ") && health.contains("\r\nok\n"),
        "{health}"
    );
    assert!(
        page(&server, "/metrics")
            .await
            .contains("\nmailserver_acme_failures_total 1\n")
    );
    let issuer = certificate(&server, "-issuer").await;
    assert!(issuer.contains("Private CA of the mail server"), "{issuer}");

    let pebble: Pebble = place
        .start(server.address(Protocol::Http), None, &[], 30)
        .await;
    server.reload().unwrap();
    until("the certificate is there", async || {
        certificate(&server, "-issuer").await.contains("Pebble")
    })
    .await;
    let names = certificate(&server, "-ext subjectAltName").await;
    for name in [NAME, "autoconfig.example.test", "mta-sts.example.test"] {
        assert!(names.contains(&format!("DNS:{name}")), "{names}");
    }
    let health = page(&server, "/health").await;
    assert!(!health.contains("warning"), "{health}");
    for entry in std::fs::read_dir(folder.path().join("data/acme")).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    // Renewal: whoever is connected stays, and whoever comes gets the new one.
    let root = pebble.root().await;
    let before = certificate(&server, "-serial").await;
    let mut connections = Vec::new();
    for _ in 0..100 {
        connections.push(connect(&server, &root).await);
    }
    until("another certificate is there", async || {
        certificate(&server, "-serial").await != before
    })
    .await;
    for stream in &mut connections {
        stream.write_all(b"x NOOP\r\n").await.unwrap();
        says(stream, "x OK").await;
    }
    connect(&server, &root).await;
    // Answers to challenges are gone with the order, and so are files of other names.
    let at = server.address(Protocol::Http).unwrap();
    for token in ["x", "..%2F..%2Fcertificate.pem"] {
        let url = format!("http://{at}/.well-known/acme-challenge/{token}");
        let (_, code) = run(
            "curl",
            &["-s", "-o", "/dev/null", "-w", "%{http_code}", &url],
            "",
        )
        .await;
        assert_eq!(code, "404");
    }

    // The next start has it at once, whether the ACME server is there or not.
    drop(pebble);
    let used = certificate(&server, "-serial").await;
    server.stop().await;
    let server = Server::start(config(folder.path(), listen, &acme))
        .await
        .unwrap();
    assert_eq!(certificate(&server, "-serial").await, used);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_refused_does_not_keep_the_others_from_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(folder.path());
    let names = format!("names = [\"nowhere.example.test\", \"{NAME}\"]\n");
    let server = Server::start(config(folder.path(), "", &(place.settings() + &names))).await;
    let server = server.unwrap();
    until("a failure is said", async || {
        page(&server, "/health").await.contains("warning: ACME: ")
    })
    .await;
    // Without a port for HTTP it is TLS-ALPN-01, on any port with TLS at once.
    let at = server.address(Protocol::Imaps);
    let _pebble = place.start(None, at, &[NAME], 1000).await;
    server.reload().unwrap();
    until("the certificate is there", async || {
        certificate(&server, "-issuer").await.contains("Pebble")
    })
    .await;
    let said = certificate(&server, "-ext subjectAltName").await;
    assert!(said.contains(NAME) && !said.contains("nowhere"), "{said}");
    until("the other name is said", async || {
        page(&server, "/health")
            .await
            .contains("not for nowhere.example.test (")
    })
    .await;
    // Another attempt orders nothing that is there already.
    let before = certificate(&server, "-serial").await;
    server.reload().unwrap();
    until("it was tried", async || {
        page(&server, "/metrics")
            .await
            .contains("\nmailserver_acme_failures_total 3\n")
    })
    .await;
    assert_eq!(certificate(&server, "-serial").await, before);
    server.stop().await;
}
