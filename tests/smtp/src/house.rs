//! A server in this process, with accounts.

use hikyaku_mailstore::{Want, Which};
use mailserver::{Config, Protocol, Server};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

use crate::run;

/// Everybody's.
pub const PASSWORD: &str = "a-secret-of-words";
/// How long mail may take to arrive.
const PATIENCE: Duration = Duration::from_secs(90);
/// More messages than this are not looked for in a mailbox.
const MOST: usize = 50_000;

/// A server with alice and bob, on ports of its own.
#[derive(Debug)]
pub struct House {
    /// The server.
    pub server: Server,
    /// Its folder.
    pub data: TempDir,
    domain: String,
}

impl House {
    /// Starts one for `example.test`; `more` is TOML, with logins in clear allowed.
    pub async fn with(more: &str) -> Self {
        Self::of("example.test", "127.0.0.1:0", more).await
    }

    /// Starts one for a domain, which listens for submission there.
    ///
    /// # Panics
    /// It does not start.
    pub async fn of(domain: &str, submission: &str, more: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let text = format!(
            "hostname = \"localhost\"\ndata = \"{}\"\ndomains = [\"{domain}\"]\n[auth]\nplaintext = \"always\"\n\
             {more}\n[limits.account]\nmessages_per_hour = 0\nrecipients_per_hour = 0\nrecipients_per_day = 0\n\
             sudden_recipients = 0\n[listen]\nsmtp = [\"127.0.0.1:0\", \"[::1]:0\"]\nsubmission = \"{submission}\"\n\
             submissions = \"127.0.0.1:0\"\nlmtp = \"127.0.0.1:0\"\n",
            data.path().display()
        );
        let server = Server::start(Config::parse(&text).unwrap()).await.unwrap();
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
    ///
    /// # Panics
    /// Nowhere.
    #[must_use]
    pub fn at(&self, service: Protocol) -> SocketAddr {
        self.server.address(service).unwrap()
    }

    /// The port of a service.
    #[must_use]
    pub fn port(&self, service: Protocol) -> u16 {
        self.at(service).port()
    }

    /// The file of the authority that its certificate is from.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.data.path().join("tls/ca.pem")
    }

    /// Returns what is in somebody's INBOX.
    ///
    /// # Panics
    /// There is no such account, or the store fails.
    pub async fn mail(&self, name: &str) -> Vec<String> {
        let store = self.server.store();
        let address = format!("{name}@{}", self.domain);
        let (_, inbox) = store.find(&address, "INBOX").await.unwrap().unwrap();
        let all = store.messages(inbox.id, &Which::After(None), Want::ROW, MOST);
        let mut mail = Vec::new();
        for row in all.await.unwrap().rows {
            let pieces = hikyaku_mailstore::Pieces::whole(&**store, &row.body);
            let octets = pieces.gather().await.unwrap();
            mail.push(String::from_utf8_lossy(&octets).into_owned());
        }
        mail
    }

    /// Waits until somebody has that many messages, and returns them. More are a failure.
    ///
    /// # Panics
    /// They do not come in time.
    pub async fn gets(&self, name: &str, count: usize) -> Vec<String> {
        let until = Instant::now() + PATIENCE;
        loop {
            let mail = self.mail(name).await;
            assert!(mail.len() <= count, "{name} has too many: {mail:#?}");
            if mail.len() == count {
                return mail;
            }
            let late = Instant::now() > until;
            assert!(!late, "{name} has {} of {count}: {mail:#?}", mail.len());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the queue is empty.
    ///
    /// # Panics
    /// It does not become so.
    pub async fn empties(&self) {
        let until = Instant::now() + PATIENCE;
        loop {
            let queue = self.server.store().queue(None, 9).await.unwrap();
            if queue.is_empty() {
                return;
            }
            assert!(Instant::now() < until, "still in the queue: {queue:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What waits in the queue, to say why something has not come: how much, how much of it is under way or due, and the
    /// first envelope, which has the last words.
    ///
    /// # Panics
    /// The store fails.
    pub async fn queue(&self) -> String {
        let now = std::time::SystemTime::now();
        let queue = self.server.store().queue(None, MOST).await.unwrap();
        let claimed = queue.iter().filter(|entry| entry.token != 0).count();
        let due = queue.iter().filter(|entry| entry.due <= now).count();
        let first = queue.first().map(|entry| &entry.envelope[..]);
        let first = String::from_utf8_lossy(first.unwrap_or_default());
        format!(
            "{} wait, {claimed} claimed, {due} due: {first}",
            queue.len()
        )
    }

    /// Submits a message as alice, by Python's smtplib. `options` are Python's: `mail_options`, `rcpt_options`.
    ///
    /// # Panics
    /// It is not accepted.
    pub async fn submit(&self, to: &str, message: &str, mail: &[&str], rcpt: &[&str]) {
        let script = "import sys, smtplib\n\
             port, user, password, to, mail, rcpt = sys.argv[1:]\n\
             s = smtplib.SMTP('127.0.0.1', int(port))\n\
             s.login(user, password)\n\
             s.sendmail(user, to.split(','), sys.stdin.buffer.read(), mail.split('|') if mail else [], \
             rcpt.split('|') if rcpt else [])\n\
             s.quit()\n";
        let (port, user) = (
            self.port(Protocol::Submission).to_string(),
            format!("alice@{}", self.domain),
        );
        let (mail, rcpt) = (mail.join("|"), rcpt.join("|"));
        let arguments = ["-c", script, &port, &user, PASSWORD, to, &mail, &rcpt];
        let done = run("python3", &arguments, message).await;
        assert_eq!(done.code, 0, "{}", done.said);
    }
}
