//! A notification that cannot be given to anybody ends, and so does the message it is about.

use crate::dns::serve;
use crate::exchanger::{Exchanger, Manner, port};
use crate::harness::{House, PASSWORD, Talk};
use crate::relay::{base64, metric};
use mailserver::Protocol;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

const DROPPED: &str = "mailserver_notifications_dropped_total";

async fn house(expire: &str) -> (House, Exchanger) {
    let (dns, port) = (serve("other.test").await, port());
    let exchanger = Exchanger::at(Ipv4Addr::LOCALHOST, port, Manner::Refuses).await;
    let house = House::with(&format!(
        "[auth]\nplaintext = \"always\"\n[relay]\ndns = [\"{dns}\"]\nport = {port}\nretry = [\"300ms\"]\nexpire = \"{expire}\"\n"
    ))
    .await;
    (house, exchanger)
}

async fn submit(house: &House) {
    let mut talk = house.talk(Protocol::Submission).await;
    let plain = base64(format!("\0alice@example.test\0{PASSWORD}").as_bytes());
    talk.send(&format!(
        "EHLO a\r\nAUTH PLAIN {plain}\r\nMAIL FROM:<alice@example.test>\r\nRCPT TO:<x@other.test>\r\nDATA\r\n\
         Subject: refused\r\n\r\nx\r\n.\r\nQUIT\r\n"
    ))
    .await;
    let said = talk.rest().await;
    assert!(said.contains("250 2.0.0 Accepted"), "{said}");
}

async fn until_empty(house: &House) {
    let began = Instant::now();
    loop {
        let queue = house.server.store().queue(None, 9).await.unwrap();
        if queue.is_empty() {
            return;
        }
        let late = began.elapsed() > Duration::from_secs(10);
        assert!(!late, "it waits for ever: {queue:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn next_hops(house: &House) -> Vec<String> {
    let queue = house.server.store().queue(None, 9).await.unwrap();
    queue.into_iter().map(|entry| entry.next_hop).collect()
}

async fn set_quota(house: &House, octets: u64) {
    let accounts = house.server.accounts();
    let set = accounts.set_quota("alice@example.test", octets);
    set.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_whose_mailbox_is_full_ends_in_the_metrics() {
    let (house, exchanger) = house("3s").await;
    set_quota(&house, 1).await;
    submit(&house).await;
    let began = Instant::now();
    until_empty(&house).await;
    assert!(
        began.elapsed() > Duration::from_secs(1),
        "it waits until it expires"
    );
    metric(&house, &format!("{DROPPED} 1")).await;
    // The message itself was tried once: its refusal is final.
    assert_eq!(exchanger.seen.lock().unwrap().connections, 1);
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_that_has_room_again_gets_its_notification_once() {
    let (house, _) = house("1h").await;
    set_quota(&house, 1).await;
    submit(&house).await;
    let began = Instant::now();
    while next_hops(&house).await != ["@local"] {
        assert!(began.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    set_quota(&house, 1 << 20).await;
    until_empty(&house).await;
    let mut alice = Talk::imap_login(house.at(Protocol::Imap), "alice").await;
    alice.imap("SELECT INBOX").await;
    let text = alice.imap("FETCH 1:* BODY[TEXT]").await;
    assert_eq!(text.matches("rfc822; x@other.test").count(), 1, "{text}");
    metric(&house, &format!("{DROPPED} 0")).await;
    // A delivery here, and nothing that another server took.
    metric(&house, "mailserver_messages_delivered_total 1").await;
    metric(&house, "mailserver_messages_relayed_total 0").await;
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_that_was_removed_ends_too() {
    let (house, exchanger) = house("1h").await;
    exchanger.becomes(Manner::Slow(Duration::from_secs(1)));
    submit(&house).await;
    let began = Instant::now();
    while exchanger.seen.lock().unwrap().open == 0 {
        assert!(began.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let accounts = house.server.accounts();
    accounts.remove("alice@example.test").await.unwrap();
    until_empty(&house).await;
    // The server goes on.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(next_hops(&house).await.is_empty());
    house.server.stop().await;
}

/// A message from outside to bob and alice, which alice's mailbox has no room for: it waits, and expires.
async fn from_outside(house: &House, reverse_path: &str) {
    set_quota(house, 300).await;
    let mut smtp = house.talk(Protocol::Smtp).await;
    let body = "x".repeat(1000);
    smtp.send(&format!(
        "EHLO a\r\nMAIL FROM:<{reverse_path}>\r\nRCPT TO:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\n\
         DATA\r\nSubject: both\r\n\r\n{body}\r\n.\r\nQUIT\r\n"
    ))
    .await;
    let said = smtp.rest().await;
    assert!(said.contains("250 2.0.0 Accepted"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_that_is_refused_outside_is_answered_by_none() {
    let (house, exchanger) = house("1s").await;
    from_outside(&house, "z@other.test").await;
    assert_eq!(next_hops(&house).await, ["@local"]);
    metric(&house, &format!("{DROPPED} 1")).await;
    until_empty(&house).await;
    // It was taken there, and refused.
    assert_eq!(exchanger.seen.lock().unwrap().connections, 1);
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_without_a_sender_ends_without_a_word() {
    let (house, exchanger) = house("1s").await;
    from_outside(&house, "").await;
    assert_eq!(next_hops(&house).await, ["@local"]);
    until_empty(&house).await;
    metric(&house, &format!("{DROPPED} 1")).await;
    assert_eq!(exchanger.seen.lock().unwrap().connections, 0);
    house.server.stop().await;
}
