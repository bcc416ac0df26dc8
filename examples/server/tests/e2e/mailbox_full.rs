//! What nobody deletes fills the mailbox until the server refuses mail.

use crate::harness::{House, Talk};
use mailserver::Protocol;

async fn lmtp(house: &House, octets: usize) -> String {
    let mut lmtp = house.talk(Protocol::Smtp).await;
    let body = "x".repeat(octets);
    lmtp.send(&format!(
        "EHLO a\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n\r\n{body}\r\n.\r\nQUIT\r\n"
    ))
    .await;
    lmtp.rest().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_mailbox_is_refused_and_accepts_again_after_a_delete() {
    let house = House::new().await;
    house
        .server
        .accounts()
        .set_quota("bob@example.test", 3000)
        .await
        .unwrap();
    assert!(lmtp(&house, 1000).await.contains("250 2.0.0 Accepted"));
    let mut last = String::new();
    for _ in 0..4 {
        last = lmtp(&house, 1000).await;
    }
    assert!(last.contains("452 4.2.2 Mailbox full"), "{last}");
    // Too large by what it says of itself, and by IMAP.
    let mut smtp = house.talk(Protocol::Smtp).await;
    smtp.send("EHLO a\r\nMAIL FROM:<> SIZE=100000\r\nRCPT TO:<bob@example.test>\r\nQUIT\r\n")
        .await;
    assert!(smtp.rest().await.contains("452 4.2.2 Mailbox full"));
    let mut bob = Talk::imap_login(house.at(Protocol::Imap), "bob").await;
    assert!(
        bob.imap("APPEND INBOX {5000}")
            .await
            .contains("x NO [OVERQUOTA]")
    );
    bob.imap("SELECT INBOX").await;
    bob.imap("STORE 1:* +FLAGS.SILENT (\\Deleted)").await;
    bob.imap("EXPUNGE").await;
    assert!(lmtp(&house, 1000).await.contains("250 2.0.0 Accepted"));
    house.server.stop().await;
}
