//! `mailserver trace`: the story of each message, in order.

use crate::dns::serve;
use crate::exchanger::{Exchanger, Manner, port};
use crate::harness::{PASSWORD, Talk, run};
use crate::mailserver::{Mailserver, PROGRAM, add_account, configured};
use crate::queue::submit;
use crate::relay::base64;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

struct Site {
    folder: tempfile::TempDir,
    configuration: String,
    exchanger: Exchanger,
    server: Mailserver,
}

impl Site {
    async fn new(manner: Manner, more: &str) -> Self {
        let (dns, port) = (serve("other.test").await, port());
        let exchanger = Exchanger::at(Ipv4Addr::LOCALHOST, port, manner).await;
        let folder = tempfile::tempdir().unwrap();
        let configuration = configured(
            folder.path(),
            "data",
            &format!(
                "{more}[auth]\nplaintext = \"always\"\n\
                 [relay]\ndns = [\"{dns}\"]\nport = {port}\nretry = [\"500ms\"]\n\
                 [listen]\nsmtp = \"127.0.0.1:0\"\nsubmission = \"127.0.0.1:0\"\nlmtp = \"127.0.0.1:0\"\n"
            ),
        );
        add_account(&configuration, "alice@example.test").await;
        let server = Mailserver::start("", &configuration);
        Self {
            folder,
            configuration,
            exchanger,
            server,
        }
    }

    async fn trace(&self, arguments: &[&str]) -> (bool, String) {
        let all = [&["--config", &self.configuration, "trace"][..], arguments].concat();
        run(PROGRAM, &all, "").await
    }

    /// Waits until the story has these parts, one behind the other.
    async fn shows(&self, of: &str, parts: &[&str]) -> String {
        let began = Instant::now();
        loop {
            let (ok, story) = self.trace(&[of]).await;
            let mut rest = Some(&story[..]);
            for part in parts {
                rest = rest.and_then(|rest| Some(rest.split_once(part)?.1));
            }
            if ok && rest.is_some() {
                return story;
            }
            let late = began.elapsed() > Duration::from_secs(20);
            assert!(!late, "{parts:?} are not in {story}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let all = std::fs::read_dir(folder.join("data/trace")).unwrap();
    all.map(|file| file.unwrap().path()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_delivered_elsewhere() {
    let site = Site::new(Manner::Good, "").await;
    let id = submit(site.server.at("Submission"), "x@other.test", "one").await;
    let story = [
        &format!("{id}\n")[..],
        "submission from 127.0.0.1, no TLS, HELO client.test, login alice@example.test\n",
        "sender alice@example.test accepted\n",
        "recipient x@other.test accepted\n",
        "queued for other.test, 1 recipient\n",
        "attempt 1 for other.test: mx.other.test [127.0.0.1:",
        ", no TLS\n",
        "  mx.other.test said of x@other.test: 250 2.0.0 taken\n",
        "delivered x@other.test to mx.other.test: 250 2.0.0 taken\n",
    ];
    let report = site.shows(&id, &story).await;
    site.shows(
        &id,
        &[
            "queued for",
            &format!("answered: 250 2.0.0 Accepted as {id}\n"),
        ],
    )
    .await;
    // The same by address, and of nobody else.
    assert_eq!(
        site.shows("X@other.test", &story).await,
        site.shows(&id, &story).await
    );
    assert!(report.starts_with(&id), "{report}");
    let (ok, said) = site.trace(&["y@other.test"]).await;
    assert!(
        !ok && said == "mailserver: nothing is known of y@other.test\n",
        "{said}"
    );
    let (ok, json) = site.trace(&[&id, "--json", "--since", "1h"]).await;
    assert!(
        ok && json.lines().all(|line| line.starts_with("{\"at\":")),
        "{json}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_deferred_and_then_delivered() {
    let site = Site::new(Manner::Defers, "").await;
    let id = submit(site.server.at("Submission"), "x@other.test", "later").await;
    let deferred = [
        "attempt 1 for other.test",
        "said of x@other.test: 450 4.2.0 not yet",
        "deferred x@other.test: 450 4.2.0 not yet; next attempt 2",
    ];
    site.shows(&id, &deferred).await;
    site.exchanger.becomes(Manner::Good);
    let delivered = [
        "attempt 2 for other.test",
        "delivered x@other.test to mx.other.test",
    ];
    site.shows(&id, &[&deferred[..], &delivered].concat()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_refused_at_the_door() {
    let site = Site::new(Manner::Good, "").await;
    let mut smtp = Talk::new(site.server.at("Smtp")).await;
    smtp.send(
        "EHLO out.test\r\nMAIL FROM:<z@far.test>\r\nRCPT TO:<nobody@example.test>\r\nRCPT TO:<x@other.test>\r\nRSET\r\n\
         MAIL FROM:<bob@example.test>\r\nQUIT\r\n",
    )
    .await;
    smtp.rest().await;
    for address in ["nobody@example.test", "z@far.test", "x@other.test"] {
        let story = [
            "SMTP from 127.0.0.1, no TLS, HELO out.test, no login\n",
            "sender z@far.test accepted\n",
            "recipient nobody@example.test refused: 550 5.1.1 No such mailbox here\n",
            "recipient x@other.test refused: 550 5.7.1 Relaying denied\n",
        ];
        site.shows(address, &story).await;
    }
    let refused = "sender bob@example.test refused: 550 5.7.1 A domain of this server";
    site.shows("bob@example.test", &[refused]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_comes_back() {
    let site = Site::new(Manner::Refuses, "").await;
    let id = submit(site.server.at("Submission"), "x@other.test", "back").await;
    let story = [
        "queued for other.test",
        "attempt 1 for other.test",
        "said of x@other.test: 550 5.1.1 no such user",
        "gave up x@other.test: 550 5.1.1 no such user",
        "notified alice@example.test: in the mailbox",
    ];
    site.shows(&id, &story).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_belongs_to_the_story_and_so_does_an_operator() {
    let site = Site::new(Manner::Defers, "").await;
    // From elsewhere, to a mailbox here that is full: it waits, until somebody gives it up.
    let quota = [
        "--config",
        &site.configuration,
        "account",
        "quota",
        "alice@example.test",
        "300",
    ];
    let (ok, said) = run(PROGRAM, &quota, "").await;
    assert!(ok, "{said}");
    let (ok, said) = {
        let add = [
            "--config",
            &site.configuration,
            "account",
            "add",
            "bob@example.test",
        ];
        run(PROGRAM, &add, &format!("{PASSWORD}\n")).await
    };
    assert!(ok, "{said}");
    let mut smtp = Talk::new(site.server.at("Smtp")).await;
    let body = "x".repeat(1000);
    smtp.send(&format!(
        "EHLO out.test\r\nMAIL FROM:<z@other.test>\r\nRCPT TO:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\n\
         DATA\r\nSubject: both\r\n\r\n{body}\r\n.\r\nQUIT\r\n"
    ))
    .await;
    let said = smtp.rest().await;
    let (_, id) = said.split_once("250 2.0.0 Accepted as ").expect(&said);
    let id = id.split_once("\r\n").unwrap().0;
    let waits = [
        "delivered to the mailbox of bob@example.test\n",
        "queued for mailboxes here, 1 recipient\n",
        "deferred alice@example.test: 452 4.2.2 Mailbox full; next attempt",
    ];
    site.shows(id, &waits).await;
    let began = Instant::now();
    loop {
        let cancel = ["--config", &site.configuration, "queue", "cancel", id];
        let (ok, said) = run(PROGRAM, &cancel, "").await;
        if ok {
            break;
        }
        // It may be under way just now.
        assert!(began.elapsed() < Duration::from_secs(10), "{said}");
    }
    let ends = [
        "gave up alice@example.test: 550 5.0.0 Cancelled by the operator",
        "notified z@other.test: queued",
        "operator, for @local: cancel\n",
        "the notification: attempt 1 for other.test",
        "the notification: deferred z@other.test: 450 4.2.0 not yet",
    ];
    site.shows(id, &[&waits[..], &ends].concat()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_this_users_alone_and_has_neither_passwords_nor_texts() {
    let mut site = Site::new(Manner::Good, "").await;
    let id = submit(site.server.at("Submission"), "x@other.test", "secret").await;
    let mut talk = Talk::new(site.server.at("Submission")).await;
    let wrong = base64(b"\0alice@example.test\0not my password");
    talk.send(&format!("EHLO a\r\nAUTH PLAIN {wrong}\r\nQUIT\r\n"))
        .await;
    talk.rest().await;
    site.shows(&id, &["delivered x@other.test"]).await;
    let pid = site.server.child.id().to_string();
    run("kill", &["-TERM", &pid], "").await;
    site.server.child.wait().unwrap();
    let right = base64(format!("\0alice@example.test\0{PASSWORD}").as_bytes());
    let files = files(site.folder.path());
    assert!(!files.is_empty());
    for file in &files {
        let mode = std::fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        let text = std::fs::read_to_string(file).unwrap();
        assert!(
            text.ends_with('\n') && text.contains("alice@example.test"),
            "{text}"
        );
        for secret in [
            PASSWORD,
            &right,
            &wrong,
            "not my password",
            "the text of",
            "Subject",
        ] {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
    }
    // It is shown while no server runs.
    let (ok, story) = site.trace(&[&id]).await;
    assert!(ok && story.contains("delivered x@other.test"), "{story}");
}

/// Two servers, one of which hands on to the other: TLS is named on both sides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_version_of_tls_is_told_where_it_is_used() {
    let site = Site::new(Manner::Defers, "").await;
    let other = tempfile::tempdir().unwrap();
    let listen = "[listen]\nsmtp = \"127.0.0.1:0\"\n";
    let elsewhere = configured(other.path(), "data", listen);
    let elsewhere_runs = Mailserver::start("", &elsewhere);
    let waits = submit(site.server.at("Submission"), "x@other.test", "tls").await;
    site.shows(&waits, &["deferred x@other.test"]).await;
    let url = format!("smtp+any://{}", elsewhere_runs.at("Smtp"));
    let began = Instant::now();
    loop {
        let route = [
            "--config",
            &site.configuration,
            "queue",
            "route",
            &waits,
            &url,
        ];
        let (ok, said) = run(PROGRAM, &route, "").await;
        if ok {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{said}");
    }
    // It is of the same domain, and takes none of it from elsewhere.
    let refused = [
        &format!("operator, for other.test: route to {url}\n")[..],
        "127.0.0.1 [127.0.0.1:",
        "], TLSv1.3 TLS13_AES_",
        "gave up x@other.test: 550 5.7.1 A domain of this server",
    ];
    site.shows(&waits, &refused).await;
    let shows = ["--config", &elsewhere, "trace", "alice@example.test"];
    let (ok, story) = run(PROGRAM, &shows, "").await;
    assert!(
        ok && story.contains("SMTP from 127.0.0.1, TLSv1.3 TLS13_AES_")
            && story.contains("sender alice@example.test refused: 550 5.7.1"),
        "{story}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_traced_where_nobody_wants_it() {
    let site = Site::new(Manner::Good, "[trace]\nkeep = \"0\"\n").await;
    let id = submit(site.server.at("Submission"), "x@other.test", "none").await;
    site.exchanger.takes("none", Duration::from_secs(20)).await;
    assert!(!site.folder.path().join("data/trace").exists());
    let (ok, said) = site.trace(&[&id]).await;
    assert!(!ok && said.contains("[trace] keep is 0"), "{said}");
}
