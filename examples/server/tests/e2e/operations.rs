//! Running the program: who may read its files, what `check` and a start say, and certificates that change.

use crate::harness::{Talk, run};
use crate::mailserver::{Mailserver, PROGRAM, configured};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

impl Mailserver {
    async fn hang_up(&self) {
        let pid = self.child.id();
        assert!(run("sh", &["-c", &format!("kill -HUP {pid}")], "").await.0);
    }
}

/// Where the data is, below the folder of the configuration.
const DATA: &str = "around/data";

const LISTEN: &str = "[listen]\nlmtp = \"127.0.0.1:0\"\nsmtp = \"127.0.0.1:0\"\nimap = \"127.0.0.1:0\"\n\
    imaps = \"127.0.0.1:0\"\npop3 = \"127.0.0.1:0\"\npop3s = \"127.0.0.1:0\"\nsubmissions = \"127.0.0.1:0\"\n\
    https = \"127.0.0.1:0\"\nmetrics = \"127.0.0.1:0\"\n";

/// A certificate and its key, in PEM, with that serial number.
fn made(serial: u64, from: i32, until: (i32, u8, u8)) -> (String, String) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until.0, until.1, until.2);
    params.serial_number = Some(serial.into());
    let key = KeyPair::generate().unwrap();
    let cert = params.self_signed(&key).unwrap();
    (cert.pem(), key.serialize_pem())
}

/// All files and folders below, those that others may read or write.
fn open(folder: &Path, found: &mut Vec<(PathBuf, u32)>) {
    let metadata = std::fs::symlink_metadata(folder).unwrap();
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        found.push((folder.to_owned(), mode));
    }
    if metadata.is_dir() {
        for entry in std::fs::read_dir(folder).unwrap() {
            open(&entry.unwrap().path(), found);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_and_keys_are_this_users_alone_whatever_the_umask() {
    for umask in ["000", "022", "077"] {
        let folder = tempfile::tempdir().unwrap();
        let configuration = configured(folder.path(), DATA, LISTEN);
        let data = folder.path().join(DATA);
        let add = format!(
            "umask {umask}; exec {PROGRAM} --config {configuration} account add bob@example.test"
        );
        let (ok, said) = run("sh", &["-c", &add], "a secret of words\n").await;
        assert!(ok, "{said}");
        let server = Mailserver::start(&format!("umask {umask};"), &configuration);
        let mut lmtp = Talk::new(server.at("Lmtp")).await;
        lmtp.send("LHLO a\r\n").await;
        lmtp.until("250 ").await;
        // A small one, and one that is a file of its own.
        for octets in [10, 400_000] {
            let body = "x".repeat(70) + "\r\n";
            let body = body.repeat(octets / 72 + 1);
            lmtp.send(&format!(
                "MAIL FROM:<a@b.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nSubject: x\r\n\r\n{body}.\r\n"
            ))
            .await;
            lmtp.until("250 2.0.0 Delivered").await;
        }
        let mut found = Vec::new();
        open(&data, &mut found);
        assert!(found.is_empty(), "umask {umask}: {found:?}");
        assert!(data.join("tls/key.pem").exists() && data.join("control.sock").exists());
        drop(server);
        let (ok, said) = run(PROGRAM, &["--config", &configuration, "check"], "").await;
        assert!(ok && !said.contains("warning"), "{said}");
        // What is open is said, by the check and by the start.
        std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).unwrap();
        let (ok, said) = run(PROGRAM, &["--config", &configuration, "check"], "").await;
        assert!(
            ok && said.contains("warning: ") && said.contains("(mode 0755)"),
            "{said}"
        );
        let once = format!("timeout 2 {PROGRAM} --config {configuration}");
        let (_, said) = run("sh", &["-c", &once], "").await;
        assert!(
            said.contains("open to others (mode 0755)") && said.contains("chmod -R go="),
            "{said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_says_what_the_start_says_and_a_failed_start_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    };
    let (cert, key) = made(1, 2020, (2100, 1, 1));
    let (_, other) = made(2, 2020, (2100, 1, 1));
    let (cert, key, other) = (
        write("c.pem", &cert),
        write("k.pem", &key),
        write("o.pem", &other),
    );
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap();
    let tls =
        |cert: &str, key: &str| format!("{LISTEN}[tls]\ncert = \"{cert}\"\nkey = \"{key}\"\n");
    let rows = [
        (tls("/nowhere.pem", &key), "give a PEM file"),
        (tls(&key, &key), "there is no certificate in it"),
        (tls(&cert, &cert), "there is no private key in it"),
        (tls(&cert, &other), "its key?"),
        (tls("/", &key), "give a PEM file"),
        (
            format!("[listen]\nsmtp = \"{port}\"\n"),
            "is another server running there?",
        ),
        (
            format!("[listen]\nimap = \"127.0.0.1:0\"\nhttps = [\"127.0.0.1:0\", \"{port}\"]\n"),
            "is another server running there?",
        ),
        (
            "[listen]\nsmtp = \"203.0.113.1:25\"\n".into(),
            "cannot listen on 203.0.113.1:25",
        ),
        (String::new(), "name at least one in [listen]"),
        (
            "[listen]\nsmtp = []\n".into(),
            "name at least one in [listen]",
        ),
        (
            "[listen]\nsmtp = \"no-such-name.invalid:25\"\n".into(),
            "no-such-name.invalid",
        ),
        (
            format!("{LISTEN}[relay]\ndns = [\"not an address\"]\n"),
            "[relay]",
        ),
        ("[listen]\nbogus = 1\n".into(), "unknown field `bogus`"),
    ];
    for (rest, expected) in rows {
        let configuration = configured(folder.path(), DATA, &rest);
        let (check_ok, check) = run(PROGRAM, &["--config", &configuration, "check"], "").await;
        let (start_ok, start) = run(PROGRAM, &["--config", &configuration], "").await;
        assert!(!check_ok && !start_ok, "{rest}: {check} {start}");
        assert!(
            start.contains(expected) && start.lines().count() == 1,
            "{rest}: {start}"
        );
        assert_eq!(check, start, "{rest}");
        assert!(
            !folder.path().join("around").exists(),
            "{rest} left something"
        );
    }
    // What there was stays as it was: a store of somebody else's that is no store.
    let data = folder.path().join(DATA);
    std::fs::create_dir_all(data.join("store")).unwrap();
    std::fs::write(
        data.join("store/store.sqlite"),
        "no database at all, for sure",
    )
    .unwrap();
    let configuration = configured(folder.path(), DATA, LISTEN);
    let (check_ok, check) = run(PROGRAM, &["--config", &configuration, "check"], "").await;
    let (start_ok, start) = run(PROGRAM, &["--config", &configuration], "").await;
    assert!(!check_ok && !start_ok, "{check} {start}");
    let names: Vec<_> = std::fs::read_dir(&data)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["store"]);
    // A file where the folder should be.
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::write(&data, "").unwrap();
    let (ok, said) = run(PROGRAM, &["--config", &configuration, "check"], "").await;
    assert!(
        !ok && said.contains("is it a directory that this user may write to?"),
        "{said}"
    );
    std::fs::remove_file(&data).unwrap();
    // Fine, and nothing is made by asking.
    let (ok, said) = run(PROGRAM, &["--config", &configuration, "check"], "").await;
    assert!(ok && said.contains("fine") && !data.exists(), "{said}");
    let server = Mailserver::start("umask 022;", &configuration);
    let (ok, said) = run(PROGRAM, &["--config", &configuration, "check"], "").await;
    assert!(ok && said.contains("A server runs with it"), "{said}");
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_removed_only_when_somebody_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let configuration = configured(folder.path(), DATA, LISTEN);
    let account = |arguments: &'static [&'static str], input: &'static str| {
        let configuration = configuration.clone();
        async move {
            let all = [&["--config", &configuration, "account"][..], arguments].concat();
            run(PROGRAM, &all, input).await
        }
    };
    let (ok, said) = account(&["add", "bob@example.test"], "Passw0rd!\n").await;
    assert!(
        ok && said.contains("hint: this password is among the first"),
        "{said}"
    );
    let (ok, said) = account(&["passwd", "bob@example.test"], "bob2024\n").await;
    assert!(
        ok && said.contains("hint: this password is a part of the address"),
        "{said}"
    );
    let (ok, said) = account(&["passwd", "bob@example.test"], "a secret of words\n").await;
    assert!(ok && !said.contains("hint"), "{said}");
    for running in [false, true] {
        let server = running.then(|| Mailserver::start("umask 022;", &configuration));
        if let Some(server) = &server {
            let mut lmtp = Talk::new(server.at("Lmtp")).await;
            lmtp.send(
                "LHLO a\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nA: b\r\n\r\nx\r\n.\r\nQUIT\r\n",
            )
            .await;
            assert!(lmtp.rest().await.contains("250 2.0.0 Delivered"));
        }
        let holds = if running {
            "holds 1 message, "
        } else {
            "holds 0 messages, 0 B"
        };
        // Nobody is there to be asked, whatever comes on standard input.
        let (ok, said) = account(&["remove", "bob@example.test"], "yes\n").await;
        assert!(
            !ok && said.contains(holds) && said.contains("--yes"),
            "{said}"
        );
        // On a terminal it asks.
        let words = format!("{PROGRAM} --config {configuration} account remove bob@example.test");
        for answer in ["\n", "no\n", "y\n"] {
            let (_, said) = run("script", &["-qec", &words, "/dev/null"], answer).await;
            assert!(
                said.contains(holds) && said.contains("nothing was removed"),
                "{said}"
            );
        }
        assert!(account(&["list"], "").await.1.contains("bob@example.test"));
        let (ok, said) = account(&["remove", "nobody@example.test"], "").await;
        assert!(!ok && said.contains("there is no account"), "{said}");
    }
    let words = format!("{PROGRAM} --config {configuration} account remove bob@example.test");
    let (_, said) = run("script", &["-qec", &words, "/dev/null"], "yes\n").await;
    assert!(said.contains("is gone"), "{said}");
    account(&["add", "bob@example.test"], "a secret of words\n").await;
    let (ok, said) = account(&["remove", "--yes", "bob@example.test"], "").await;
    assert!(ok && said.contains("is gone"), "{said}");
}

/// The serial number of the certificate that a port shows.
async fn shown(server: &Mailserver, service: &str, starttls: &str) -> u64 {
    let words = format!(
        "openssl s_client -connect {} {starttls} </dev/null 2>/dev/null | openssl x509 -noout -serial",
        server.at(service)
    );
    let (_, said) = run("sh", &["-c", &words], "").await;
    let serial = said.trim().strip_prefix("serial=");
    u64::from_str_radix(serial.unwrap_or_else(|| panic!("{service}: {said}")), 16).unwrap()
}

const PORTS: [(&str, &str); 7] = [
    ("Imaps", ""),
    ("Pop3s", ""),
    ("Submissions", ""),
    ("Https", ""),
    ("Imap", "-starttls imap"),
    ("Pop3", "-starttls pop3"),
    ("Smtp", "-starttls smtp"),
];

async fn metric(server: &Mailserver, name: &str) -> u64 {
    let mut talk = Talk::new(server.at("Metrics")).await;
    talk.send("GET /metrics HTTP/1.0\r\n\r\n").await;
    let page = talk.rest().await;
    let line = page
        .lines()
        .find(|line| line.starts_with(&format!("mailserver_{name} ")));
    line.unwrap_or_else(|| panic!("{page}"))
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_changes_is_shown_and_a_bad_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    let put = |made: &(String, String)| {
        // As certbot and others do it: another file under the same name.
        for (path, text) in [(&cert, &made.0), (&key, &made.1)] {
            let next = path.with_extension("next");
            std::fs::write(&next, text).unwrap();
            std::fs::rename(next, path).unwrap();
        }
    };
    put(&made(1, 2020, (2100, 1, 1)));
    let rest = format!(
        "{LISTEN}[tls]\ncert = \"{}\"\nkey = \"{}\"\n",
        cert.display(),
        key.display()
    );
    let configuration = configured(folder.path(), DATA, &rest);
    let mut server = Mailserver::start("umask 022;", &configuration);
    // A connection from before goes on.
    let mut before = Talk::new(server.at("Imap")).await;
    before.line().await;
    for (service, starttls) in PORTS {
        assert_eq!(shown(&server, service, starttls).await, 1, "{service}");
    }
    put(&made(2, 2020, (2101, 1, 1)));
    server.hang_up().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    for (service, starttls) in PORTS {
        assert_eq!(shown(&server, service, starttls).await, 2, "{service}");
    }
    assert!(before.imap("NOOP").await.contains("x OK"));
    // A bad one: the old one stays, by signal and by itself.
    put(&("no certificate".into(), "no key".into()));
    server.hang_up().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(shown(&server, "Imaps", "").await, 2);
    assert!(metric(&server, "tls_reloads_failed_total").await >= 1);
    // Without a signal: the next look finds it.
    put(&made(3, 2020, (2021, 1, 1)));
    let mut serial = 0;
    for _ in 0..40 {
        serial = shown(&server, "Https", "").await;
        if serial == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(serial, 3);
    assert_eq!(
        metric(&server, "tls_certificate_expires_timestamp_seconds").await,
        1_609_459_200
    );
    assert!(metric(&server, "tls_reloads_total").await >= 2);
    // It has expired: the server runs, and the check says so.
    let (ok, said) = run(PROGRAM, &["--config", &configuration, "check"], "").await;
    assert!(
        !ok && said.contains("cert.pem: the certificate has expired: renew it"),
        "{said}"
    );
    assert!(server.child.try_wait().unwrap().is_none());
}
