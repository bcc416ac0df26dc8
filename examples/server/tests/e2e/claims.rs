//! What a server had claimed when it stopped or died, and what a clock that jumped put off.

use crate::dns::serve;
use crate::exchanger::{Exchanger, Manner, port};
use crate::harness::{PASSWORD, Talk, config};
use crate::mailserver::{Mailserver, add_account, configured};
use crate::relay::base64;
use hikyaku_mailstore::{AccountId, Claim, Disk, Operation, Store as _, Transaction};
use mailserver::{Protocol, Server};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

/// How long mail may take after a start.
const SECONDS: Duration = Duration::from_secs(5);

async fn submit(at: SocketAddr, subject: &str) {
    let mut talk = Talk::new(at).await;
    let plain = base64(format!("\0alice@example.test\0{PASSWORD}").as_bytes());
    talk.send(&format!(
        "EHLO a\r\nAUTH PLAIN {plain}\r\nMAIL FROM:<alice@example.test>\r\nRCPT TO:<x@other.test>\r\nDATA\r\n\
         Subject: {subject}\r\n\r\nx\r\n.\r\nQUIT\r\n"
    ))
    .await;
    let said = talk.rest().await;
    assert!(said.contains("250 2.0.0 Accepted"), "{said}");
}

/// Waits until somebody is connected.
async fn until_open(exchanger: &Exchanger) {
    let began = Instant::now();
    while exchanger.seen.lock().unwrap().open == 0 {
        assert!(began.elapsed() < SECONDS, "nobody comes");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Nothing comes twice, and nothing more.
async fn exactly_once(exchanger: &Exchanger, subject: &str) {
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(exchanger.count(subject), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_under_way_at_a_kill_goes_out_after_the_next_start() {
    let (dns, port) = (serve("other.test").await, port());
    let exchanger = Exchanger::at(Ipv4Addr::LOCALHOST, port, Manner::Silent).await;
    let folder = tempfile::tempdir().unwrap();
    let rest = format!(
        "[auth]\nplaintext = \"always\"\n[listen]\nsubmission = \"127.0.0.1:0\"\n[relay]\ndns = [\"{dns}\"]\nport = {port}\n"
    );
    let configuration = configured(folder.path(), "data", &rest);
    add_account(&configuration, "alice@example.test").await;
    let mut server = Mailserver::start("", &configuration);
    submit(server.at("Submission"), "killed").await;
    until_open(&exchanger).await;
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    exchanger.becomes(Manner::Good);
    let _server = Mailserver::start("", &configuration);
    exchanger.takes("killed", SECONDS).await;
    exactly_once(&exchanger, "killed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_under_way_at_a_stop_is_given_back() {
    let (dns, port) = (serve("other.test").await, port());
    let exchanger = Exchanger::at(Ipv4Addr::LOCALHOST, port, Manner::Silent).await;
    let data = tempfile::tempdir().unwrap();
    let more = format!(
        "[auth]\nplaintext = \"always\"\n[relay]\ndns = [\"{dns}\"]\nport = {port}\nretry = [\"1s\"]\n"
    );
    let configuration = || config(data.path(), "example.test", &more);
    let server = Server::start(configuration()).await.unwrap();
    let accounts = server.accounts();
    accounts.add("alice@example.test", PASSWORD).await.unwrap();
    submit(server.address(Protocol::Submission).unwrap(), "stopped").await;
    until_open(&exchanger).await;
    let began = Instant::now();
    server.stop().await;
    assert!(began.elapsed() < SECONDS, "{:?}", began.elapsed());
    {
        // Nobody holds it, and it is due.
        let store = Disk::open(data.path().join("store")).unwrap();
        let queue = store.queue(None, 9).await.unwrap();
        assert_eq!(queue.len(), 1);
        assert!(
            queue[0].token == 0 && queue[0].due <= SystemTime::now(),
            "{queue:?}"
        );
    }
    // Two more, from days when the clock was a year ahead: one was put off then, one claimed by a server that died.
    let server = Server::start(configuration()).await.unwrap();
    let at = server.address(Protocol::Submission).unwrap();
    for subject in ["put off", "claimed"] {
        submit(at, subject).await;
    }
    server.stop().await;
    {
        let store = Disk::open(data.path().join("store")).unwrap();
        let ahead = SystemTime::now() + Duration::from_secs(400 * 86_400);
        let claim = Claim::new(ahead, 9, Duration::from_secs(1200)).owner(1);
        let held = store.claim(&claim).await.unwrap();
        assert_eq!(held.len(), 3);
        let off = held.iter().max_by_key(|entry| entry.id).unwrap();
        let settle = Operation::Settle {
            id: off.id,
            token: off.token,
            again: Some((ahead, off.envelope.clone())),
        };
        let transaction = Transaction::new(AccountId::SYSTEM).with(settle);
        store.commit(transaction).await.unwrap();
        let queue = store.queue(None, 9).await.unwrap();
        let year = SystemTime::now() + Duration::from_secs(365 * 86_400);
        assert!(queue.iter().all(|entry| entry.due > year));
    }
    exchanger.becomes(Manner::Good);
    let server = Server::start(configuration()).await.unwrap();
    for subject in ["stopped", "put off", "claimed"] {
        exchanger.takes(subject, SECONDS).await;
    }
    for subject in ["stopped", "put off", "claimed"] {
        exactly_once(&exchanger, subject).await;
    }
    assert!(server.store().queue(None, 9).await.unwrap().is_empty());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_is_given_out_twice_is_handed_on_once() {
    let (dns, port) = (serve("other.test").await, port());
    let slow = Manner::Slow(Duration::from_millis(2500));
    let exchanger = Exchanger::at(Ipv4Addr::LOCALHOST, port, slow).await;
    let data = tempfile::tempdir().unwrap();
    let more = format!(
        "[auth]\nplaintext = \"always\"\n[relay]\ndns = [\"{dns}\"]\nport = {port}\nretry = [\"1s\"]\n"
    );
    let server = Server::start(config(data.path(), "example.test", &more));
    let server = server.await.unwrap();
    let accounts = server.accounts();
    accounts.add("alice@example.test", PASSWORD).await.unwrap();
    submit(server.address(Protocol::Submission).unwrap(), "once").await;
    until_open(&exchanger).await;
    // As if the clock had jumped beyond the end of the claim.
    let released = server.store().release_claims(1, SystemTime::now()).await;
    assert_eq!(released.unwrap(), 1);
    exchanger.takes("once", SECONDS).await;
    exactly_once(&exchanger, "once").await;
    assert_eq!(exchanger.seen.lock().unwrap().connections, 1);
    assert!(server.store().queue(None, 9).await.unwrap().is_empty());
    server.stop().await;
}
