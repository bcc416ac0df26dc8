//! Whose name a message may have: at submission, and from outside.

use crate::harness::{House, PASSWORD, Talk};
use mailserver::Protocol;

/// What DATA is answered, or MAIL where that is refused already.
async fn send(talk: &mut Talk, reverse_path: &str, to: &str, head: &str) -> String {
    talk.send(&format!("RSET\r\nMAIL FROM:<{reverse_path}>\r\n"))
        .await;
    talk.line().await;
    let mail = talk.line().await;
    if !mail.starts_with("250") {
        return mail;
    }
    talk.send(&format!(
        "RCPT TO:<{to}>\r\nDATA\r\n{}\r\n\r\nHello.\r\n.\r\n",
        head.replace('\n', "\r\n")
    ))
    .await;
    for _ in 0..2 {
        talk.line().await;
    }
    talk.line().await
}

async fn submission(house: &House) -> Talk {
    let mut talk = house.talk(Protocol::Submission).await;
    let plain = crate::relay::base64(format!("\0alice\0{PASSWORD}").as_bytes());
    talk.send("EHLO a\r\n").await;
    talk.until("250 ").await;
    talk.send(&format!("AUTH PLAIN {plain}\r\n")).await;
    talk.until("235").await;
    talk
}

const MORE: &str = "[auth]\nplaintext = \"always\"\n[senders.aliases]\n\
    \"alice@example.test\" = [\"sales@example.test\", \"@alice.test\"]\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_submits_writes_as_themselves() {
    let house = House::with(MORE).await;
    let mut talk = submission(&house).await;
    for (reverse_path, head, expected) in [
        (
            "alice@example.test",
            "From: Alice <alice@example.test>",
            "250",
        ),
        (
            "alice+x@example.test",
            "From: alice+y@example.test\nSender: ALICE@example.test",
            "250",
        ),
        (
            "sales@example.test",
            "From: sales@example.test, me@alice.test",
            "250",
        ),
        ("x@alice.test", "From: alice@example.test", "250"),
        ("", "From: alice@example.test", "250"),
        (
            "alice@example.test",
            "From: bob@example.test",
            "550 5.7.1 From",
        ),
        (
            "alice@example.test",
            "From: alice@example.test\nSender: bob@example.test",
            "550 5.7.1 From",
        ),
        (
            "alice@example.test",
            "From: alice@example.test\nFrom: bob@example.test",
            "550 5.7.1 From",
        ),
        (
            "alice@example.test",
            "From: us:\n alice@example.test,\n ceo@elsewhere.test;",
            "550 5.7.1 From",
        ),
        ("alice@example.test", "From: Nobody", "550 5.7.1 From"),
        ("", "From: bob@example.test", "550 5.7.1 From"),
        ("bob@example.test", "From: alice@example.test", "553 5.7.1"),
        (
            "alice@elsewhere.test",
            "From: alice@example.test",
            "553 5.7.1",
        ),
        ("alice@example.test", "Subject: none", "250"),
        (
            "alice@example.test",
            &format!(
                "From: alice@example.test\nX-Long: {}",
                "x\n x".repeat(90_000)
            ),
            "550 5.7.1 The header",
        ),
    ] {
        let said = send(&mut talk, reverse_path, "bob@example.test", head).await;
        let head = head.get(..80).unwrap_or(head);
        assert!(said.starts_with(expected), "{reverse_path} {head}: {said}");
    }
    // None of what was refused is there, and From was added where it was missing.
    let mut bob = Talk::imap_login(house.at(Protocol::Imap), "bob").await;
    let said = bob.imap("SELECT INBOX").await;
    assert!(said.contains("* 6 EXISTS"), "{said}");
    let last = bob.imap("FETCH 6 BODY[HEADER.FIELDS (FROM SUBJECT)]").await;
    assert!(
        last.contains("From: <alice@example.test>") && last.contains("Subject: none"),
        "{last}"
    );
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_from_outside_writes_as_one_of_us() {
    let house = House::new().await;
    let mut talk = house.talk(Protocol::Smtp).await;
    talk.send("HELO a\r\n").await;
    talk.until("250").await;
    let rows = [
        ("x@elsewhere.test", "From: x@elsewhere.test", "250"),
        (
            "x@elsewhere.test",
            "From: \"alice@example.test via list\" <list@elsewhere.test>",
            "250",
        ),
        ("", "From: MAILER-DAEMON@elsewhere.test", "250"),
        ("x@sub.example.test", "From: x@sub.example.test", "250"),
        ("x@elsewhere.test", "Subject: none", "250"),
        (
            "alice@example.test",
            "From: x@elsewhere.test",
            "550 5.7.1 A domain",
        ),
        (
            "nobody@EXAMPLE.test",
            "From: x@elsewhere.test",
            "550 5.7.1 A domain",
        ),
        (
            "x@elsewhere.test",
            "From: Alice <alice@example.test>",
            "550 5.7.1 From",
        ),
        ("", "From: postmaster@Example.Test", "550 5.7.1 From"),
        (
            "x@elsewhere.test",
            "From: x@elsewhere.test\nSender: alice@example.test",
            "550 5.7.1 From",
        ),
        (
            "x@elsewhere.test",
            "From: x@elsewhere.test\nFrom: alice@\n example.test",
            "550 5.7.1 From",
        ),
    ];
    for (reverse_path, head, expected) in rows {
        let said = send(&mut talk, reverse_path, "bob@example.test", head).await;
        assert!(said.starts_with(expected), "{reverse_path} {head}: {said}");
    }
    // A program on this machine hands over by LMTP what it has checked itself.
    house.deliver("From: alice@example.test\n\nHello.").await;
    house.server.stop().await;
    for more in [
        "[senders]\nprotect = false\n",
        "[senders]\nexempt = [\"127.0.0.0/8\"]\n",
    ] {
        let house = House::with(more).await;
        let mut talk = house.talk(Protocol::Smtp).await;
        talk.send("HELO a\r\n").await;
        talk.until("250").await;
        for (reverse_path, head, _) in rows {
            let said = send(&mut talk, reverse_path, "bob@example.test", head).await;
            assert!(said.starts_with("250"), "{reverse_path} {head}: {said}");
        }
        house.server.stop().await;
    }
}
