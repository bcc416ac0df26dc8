//! Debian's rspamd and opendkim, with configurations and folders of their own.

use hikyaku_filter::{Endpoint, Filters, Milter, Rspamd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

use crate::house::House;

/// How long a program may take to listen.
const START: Duration = Duration::from_secs(60);

/// A program that serves until this is dropped.
struct Serving {
    child: Child,
    folder: TempDir,
}

impl Serving {
    fn start(mut command: Command, folder: TempDir) -> Self {
        let log = std::fs::File::create(folder.path().join("output")).unwrap();
        let also = log.try_clone().unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(also)
            .spawn();
        let child =
            child.unwrap_or_else(|error| panic!("{command:?}: {error}: scripts/test installs it"));
        Self { child, folder }
    }

    async fn until(&mut self, mut listens: impl FnMut() -> bool) {
        let until = Instant::now() + START;
        while !listens() {
            let ended = self.child.try_wait().unwrap();
            let said = |name| std::fs::read_to_string(self.folder.path().join(name));
            let said = said("output").unwrap_or_default() + &said("log").unwrap_or_default();
            assert!(
                ended.is_none() && Instant::now() < until,
                "{ended:?}: {said}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // rspamd's workers end when it is asked to, not when it is killed.
        let _ = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// rspamd with its own checks of the message alone: no rules, no DNS server, no Redis.
async fn rspamd() -> (Serving, Endpoint) {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    let port = free_port();
    let configuration = format!(
        r#"options {{
    pidfile = "{at}/pid"; tempdir = "{at}"; control_socket = "{at}/control mode=0600";
    cache_file = "{at}/symbols"; hs_cache_dir = "{at}"; history_file = "{at}/history";
    url_tld = "/usr/share/rspamd/effective_tld_names.dat";
    filters = ""; dns {{ nameserver = ["127.0.0.1:1"]; timeout = 1s; }}
}}
logging {{ type = "file"; filename = "{at}/log"; level = "info"; }}
actions {{ reject = 15; add_header = 6; greylist = 4; }}
worker "normal" {{ bind_socket = "127.0.0.1:{port}"; count = 1; }}
"#
    );
    std::fs::write(folder.path().join("rspamd.conf"), configuration).unwrap();
    let mut command = Command::new("rspamd");
    // Without a user of its own it runs as whoever runs the tests, root too.
    command.args(["--no-fork", "--insecure"]);
    command.arg(format!("--config={at}/rspamd.conf"));
    for name in ["DBDIR", "RUNDIR", "LOGDIR"] {
        command.arg(format!("--var={name}={at}"));
    }
    let mut serving = Serving::start(command, folder);
    let listens = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    serving.until(listens).await;
    (serving, Endpoint::Tcp(format!("127.0.0.1:{port}")))
}

const HEAD: &str = "From: a@y.test\r\nTo: bob@x.test\r\nSubject: hello\r\n\
    Date: Sun, 29 Nov 2026 01:00:00 +0000\r\nMessage-ID: <1@y.test>\r\n";

#[tokio::test]
async fn rspamd_refuses_gtube_and_lets_a_plain_message_pass() {
    let (_serving, endpoint) = rspamd().await;
    let house = House::new(Rspamd::new(endpoint, "mx.test")).await;
    // In two pieces, so that this file may pass a filter.
    let gtube = [
        "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-",
        "ANTI-UBE-TEST-EMAIL*C.34X",
    ]
    .concat();
    for _ in 0..2 {
        let outcome = house.send(&format!("{HEAD}\r\n{gtube}\r\n")).await;
        assert_eq!(outcome.reply, "550 5.7.1 Gtube pattern");
        assert_eq!(outcome.stored, None);
        let message = format!("{HEAD}\r\nGood morning.\r\n");
        let stored = house.send(&message).await.inbox();
        assert!(stored.starts_with("X-Spam-Score: "), "{stored}");
        assert!(stored.contains("\r\nX-Spam-Status: No, score="), "{stored}");
        assert!(stored.ends_with(&message), "{stored}");
    }
}

/// opendkim on a unix socket in its own folder, with those lines of configuration.
async fn opendkim(folder: TempDir, lines: &str) -> (Serving, Endpoint) {
    let at = folder.path().display();
    let socket = folder.path().join("socket");
    let configuration = format!(
        "Socket local:{at}/socket\nBackground no\nSyslog no\nPidFile {at}/pid\nAuthservID mx.test\n\
         RequireSafeKeys no\nNameservers 127.0.0.1\nDNSTimeout 1\n{lines}"
    );
    let path = folder.path().join("opendkim.conf");
    std::fs::write(&path, configuration).unwrap();
    let mut command = Command::new("/usr/sbin/opendkim");
    command.arg("-f").arg("-x").arg(&path);
    let mut serving = Serving::start(command, folder);
    let listens = || std::os::unix::net::UnixStream::connect(&socket).is_ok();
    serving.until(listens).await;
    (serving, Endpoint::Unix(socket))
}

/// Makes a key of that size there, and returns the public one as DNS has it.
fn key(at: &Path) -> String {
    let openssl = |arguments: &[&str]| {
        let done = Command::new("openssl").args(arguments).output().unwrap();
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).unwrap()
    };
    let path = at.to_str().unwrap();
    openssl(&["genrsa", "-out", path, "2048"]);
    let public = openssl(&["rsa", "-in", path, "-pubout"]);
    public
        .lines()
        .filter(|line| !line.starts_with("---"))
        .collect()
}

/// One signs, the other verifies what the first left: fields and body came to both as they are.
#[tokio::test]
async fn opendkim_verifies_what_opendkim_signed() {
    let folder = tempfile::tempdir().unwrap();
    let private = folder.path().join("key");
    let public = key(&private);
    let inside = folder.path().join("inside");
    std::fs::write(&inside, "192.0.2.1\n").unwrap();
    // Simple: no octet may be another one, folding and blanks included.
    let signing = format!(
        "Mode s\nDomain y.test\nSelector s\nKeyFile {}\nInternalHosts {}\nCanonicalization simple/simple\n",
        private.display(),
        inside.display()
    );
    let (_signer, signer) = opendkim(folder, &signing).await;
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    std::fs::write(
        &keys,
        format!("s._domainkey.y.test v=DKIM1; k=rsa; p={public}\n"),
    )
    .unwrap();
    let verifying = format!("Mode v\nTestPublicKeys {}\n", keys.display());
    let (_verifier, verifier) = opendkim(folder, &verifying).await;

    let signer = Milter::new(signer, "mx.test");
    let verifier = Arc::new(Milter::new(verifier, "mx.test"));
    let both = House::new(Filters(vec![Arc::new(signer), verifier.clone()])).await;
    let body = "Good  morning.\r\n\r\n \r\nlast\r\n\r\n\r\n".to_owned();
    let body = body + &"0123456789 abcdef\r\n".repeat(8000);
    let message = format!("{HEAD}X-Odd:a\r\n\t  b \r\n\r\n{body}");
    let stored = both.send(&message).await.inbox();
    let begin: String = stored.chars().take(2000).collect();
    assert!(
        begin.contains("DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=y.test; s=s"),
        "{begin}"
    );
    assert!(
        begin.contains("Authentication-Results: mx.test;\r\n\tdkim=pass "),
        "{begin}"
    );
    assert!(stored.ends_with(&message), "{begin}");

    // Another body under the same signature fails.
    let signature = stored.find("DKIM-Signature").unwrap();
    let forged = stored[signature..].replacen("Good  morning", "Good  evening", 1);
    let alone = House::new(Filters(vec![verifier])).await;
    let stored = alone.send(&forged).await.inbox();
    let begin: String = stored.chars().take(2000).collect();
    assert!(
        begin.contains("Authentication-Results: mx.test;\r\n\tdkim=fail "),
        "{begin}"
    );
}
