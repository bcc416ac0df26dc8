//! The whole way of a message through a server that is killed at every moment of it: submission, the mailbox here, the
//! relay, and the notification of what another server refuses.

use crate::dns::{Answer, MX, serve_with};
use crate::exchanger::{Exchanger, Manner, port};
use crate::harness::{PASSWORD, Talk};
use crate::mailserver::{Mailserver, add_account, configured};
use crate::relay::base64;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// How long a way may take.
const SECONDS: Duration = Duration::from_secs(20);

/// Submits a message for a mailbox here, for a domain that takes it and for one that refuses it. Returns whether it was
/// accepted.
async fn submit(at: SocketAddr, subject: &str) -> bool {
    let mut talk = Talk::new(at).await;
    let plain = base64(format!("\0alice@example.test\0{PASSWORD}").as_bytes());
    talk.send(&format!(
        "EHLO a\r\nAUTH PLAIN {plain}\r\nMAIL FROM:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\n\
         RCPT TO:<x@good.test>\r\nRCPT TO:<y@bad.test>\r\nDATA\r\nSubject: {subject}\r\n\r\nx\r\n.\r\n"
    ))
    .await;
    let mut last = String::new();
    loop {
        let line = talk.line().await;
        match line.is_empty() {
            true => return false,
            false if line.contains("2.0.0 Accepted") => return true,
            false => last += &line,
        }
        assert!(!line.starts_with('4') && !line.starts_with('5'), "{last}");
    }
}

/// How many messages in somebody's INBOX have that text.
async fn count(server: &Mailserver, name: &str, text: &str) -> usize {
    let mut imap = Talk::imap_login(server.at("Imap"), name).await;
    imap.imap("SELECT INBOX").await;
    let said = imap.imap(&format!("SEARCH TEXT \"{text}\"")).await;
    let found = said.lines().find_map(|line| line.strip_prefix("* SEARCH"));
    found.unwrap_or("").split_whitespace().count()
}

/// What there is of a message: in bob's INBOX, at the domain that takes it, and notifications in alice's INBOX.
async fn copies(server: &Mailserver, good: &Exchanger, subject: &str) -> [usize; 3] {
    let bob = count(server, "bob", subject).await;
    let alice = count(server, "alice", subject).await;
    [bob, good.count(subject), alice]
}

/// Waits until all of it is there. Returns how long that took.
async fn is_there(server: &Mailserver, good: &Exchanger, subject: &str) -> Duration {
    let began = Instant::now();
    while copies(server, good, subject).await.contains(&0) {
        let all = copies(server, good, subject).await;
        assert!(began.elapsed() < SECONDS, "{subject}: {all:?}");
        sleep(Duration::from_millis(20)).await;
    }
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_whenever_it_is_killed() {
    let moments = std::env::var("HIKYAKU_KILLS").ok();
    let moments: u32 = moments.and_then(|text| text.parse().ok()).unwrap_or(12);
    let port = port();
    let good_ip = Ipv4Addr::new(127, 0, 70, 1);
    let bad_ip = Ipv4Addr::new(127, 0, 70, 2);
    let dns = serve_with(move |name, kind| match (name, kind) {
        ("good.test" | "bad.test", MX) => Answer::Mx(vec![(10, format!("mx.{name}"))]),
        ("mx.good.test", 1) => Answer::A(vec![good_ip]),
        ("mx.bad.test", 1) => Answer::A(vec![bad_ip]),
        _ => Answer::Nothing,
    })
    .await;
    let good = Exchanger::at(good_ip, port, Manner::Good).await;
    let _bad = Exchanger::at(bad_ip, port, Manner::Refuses).await;
    let folder = tempfile::tempdir().unwrap();
    let rest = format!(
        "[auth]\nplaintext = \"always\"\n[listen]\nsubmission = \"127.0.0.1:0\"\nimap = \"127.0.0.1:0\"\n\
         [relay]\ndns = [\"{dns}\"]\nport = {port}\nretry = [\"1s\"]\n"
    );
    let configuration = configured(folder.path(), "data", &rest);
    for name in ["alice", "bob"] {
        add_account(&configuration, &format!("{name}@example.test")).await;
    }
    let mut server = Mailserver::start("", &configuration);
    // How long the way is, when nothing happens on it.
    let began = Instant::now();
    assert!(submit(server.at("Submission"), "undisturbed").await);
    is_there(&server, &good, "undisturbed").await;
    let way = began.elapsed();
    let (mut accepted, mut more) = (0, [0; 3]);
    for moment in 0..moments {
        let subject = format!("moment-{moment}-");
        let sends = tokio::spawn({
            let (at, subject) = (server.at("Submission"), subject.clone());
            async move { submit(at, &subject).await }
        });
        sleep(way * moment / moments).await;
        server.child.kill().unwrap();
        server.child.wait().unwrap();
        let was_accepted = timeout(SECONDS, sends).await.unwrap().unwrap_or(false);
        server = Mailserver::start("", &configuration);
        if was_accepted {
            accepted += 1;
            is_there(&server, &good, &subject).await;
        }
    }
    // What came twice had its time to come.
    sleep(Duration::from_millis(1500)).await;
    for moment in 0..moments {
        let all = copies(&server, &good, &format!("moment-{moment}-")).await;
        assert!(
            all.iter().all(|&copies| copies <= 2),
            "moment {moment}: {all:?}"
        );
        for (more, copies) in more.iter_mut().zip(all) {
            *more += copies.saturating_sub(1);
        }
    }
    println!(
        "{moments} kills over {way:?}: {accepted} accepted, none lost, copies more: {more:?} (mailbox, relay, notification)"
    );
    assert!(accepted > 0 || moments < 4);
}
