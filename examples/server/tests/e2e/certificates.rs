//! Several certificates: which one a client gets by the name it asks for, and how they change.

use crate::harness::{Talk, run};
use crate::mailserver::{Mailserver, PROGRAM, configured};
use rcgen::{CertificateParams, KeyPair};
use std::net::SocketAddr;
use std::path::Path;

const LISTEN: &str = "[listen]\nimap = \"127.0.0.1:0\"\nimaps = \"127.0.0.1:0\"\nhttps = \"127.0.0.1:0\"\n\
    submissions = \"127.0.0.1:0\"\n";

/// Puts a certificate and its key into one file, whole.
fn put(path: &Path, serial: u64, names: &[&str]) {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.serial_number = Some(serial.into());
    let key = KeyPair::generate().unwrap();
    let cert = params.self_signed(&key).unwrap();
    let next = path.with_extension("next");
    std::fs::write(&next, cert.pem() + &key.serialize_pem()).unwrap();
    std::fs::rename(next, path).unwrap();
}

/// What openssl prints of the certificate that a client gets.
pub(crate) async fn shown(at: SocketAddr, arguments: &str, what: &str) -> String {
    let words = format!(
        "openssl s_client -connect {at} {arguments} </dev/null 2>/dev/null | openssl x509 -noout {what}"
    );
    run("sh", &["-c", &words], "").await.1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_gets_the_certificate_of_the_name_it_asks_for() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    put(&at("one.pem"), 1, &["mail.one.test"]);
    put(&at("two.pem"), 2, &["*.two.test"]);
    put(&at("three.pem"), 3, &["imap.two.test", "three.test"]);
    let files = |name: &str| {
        let path = at(name).display().to_string();
        format!("cert = \"{path}\"\nkey = \"{path}\"\n")
    };
    let rest = format!(
        "{LISTEN}[tls]\n{}[[tls.certificates]]\n{}[[tls.certificates]]\n{}",
        files("one.pem"),
        files("two.pem"),
        files("three.pem")
    );
    let configuration = configured(folder.path(), "data", &rest);
    let server = Mailserver::start("", &configuration);
    let serial = async |service: &str, arguments: &str| {
        let said = shown(server.at(service), arguments, "-serial").await;
        let serial = said.trim().strip_prefix("serial=").map(str::to_owned);
        serial.unwrap_or_else(|| panic!("{service} {arguments}: {said}"))
    };
    for service in ["Imaps", "Https", "Submissions"] {
        for (arguments, expected) in [
            ("-noservername", "01"),
            ("-servername mail.one.test", "01"),
            ("-servername nobody.test", "01"),
            ("-servername smtp.two.test", "02"),
            ("-servername IMAP.two.test", "03"),
            ("-servername three.test", "03"),
        ] {
            let found = serial(service, arguments).await;
            assert_eq!(found, expected, "{service} {arguments}");
        }
    }
    let starttls = "-starttls imap -servername three.test";
    assert_eq!(serial("Imap", starttls).await, "03");

    // SIGHUP: what is good is taken, what is bad stays as it was, and who is connected notices nothing.
    let mut before = Talk::new(server.at("Imap")).await;
    before.line().await;
    std::fs::write(at("two.pem"), "no certificate").unwrap();
    put(&at("three.pem"), 4, &["four.test"]);
    let pid = server.child.id();
    assert!(run("sh", &["-c", &format!("kill -HUP {pid}")], "").await.0);
    for _ in 0..100 {
        if serial("Imaps", "-servername four.test").await == "04" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(serial("Imaps", "-servername four.test").await, "04");
    assert_eq!(serial("Imaps", "-servername imap.two.test").await, "02");
    assert!(before.imap("NOOP").await.contains("x OK"));
    // The check names the one that is bad.
    let (ok, said) = run(PROGRAM, &["--config", &configuration, "check"], "").await;
    assert!(!ok && said.contains("two.pem: "), "{said}");
}
