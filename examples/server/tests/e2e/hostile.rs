//! Bad input: a proper error each, the server lives on, nothing is stored half.

use crate::harness::{House, Talk};
use crate::relay::base64;
use mailserver::Protocol;

async fn says(house: &House, service: Protocol, octets: &[u8]) -> String {
    let mut talk = house.talk(service).await;
    talk.send_octets(octets).await;
    talk.rest().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_smtp_is_answered_and_stores_nothing() {
    let house = House::new().await;
    let head = "EHLO a\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n";
    let long = format!("HELO {}\r\nEHLO a\r\nQUIT\r\n", "x".repeat(100_000));
    let said = says(&house, Protocol::Smtp, long.as_bytes()).await;
    assert!(
        said.contains("500 5.5.2 Line too long") && said.contains("221 2.0.0"),
        "{said}"
    );
    for bad in [
        "a\0b",
        "bare\nlf",
        "bare\rcr",
        "x\n.\nMAIL FROM:<evil@b.test>",
        "x\r\n.\rx",
    ] {
        let said = says(
            &house,
            Protocol::Smtp,
            format!("{head}{bad}\r\n.\r\nQUIT\r\n").as_bytes(),
        )
        .await;
        assert!(
            said.contains("554 5.6.0") && said.ends_with("221 2.0.0 Bye\r\n"),
            "{bad:?}: {said}"
        );
    }
    let order = "DATA\r\nRCPT TO:<bob@example.test>\r\nMAIL FROM:<a@b.test>\r\nQUIT\r\n";
    let said = says(&house, Protocol::Smtp, order.as_bytes()).await;
    assert_eq!(said.matches("503 5.5.1").count(), 3, "{said}");
    let inject = "EHLO a\r\nSTARTTLS\r\nMAIL FROM:<evil@b.test>\r\n";
    let said = says(&house, Protocol::Smtp, inject.as_bytes()).await;
    assert!(
        said.ends_with("421 4.5.1 Nothing may follow STARTTLS\r\n"),
        "{said}"
    );
    // A connection that ends inside of a message.
    let mut talk = house.talk(Protocol::Smtp).await;
    talk.send(&format!("{head}half a message\r\n")).await;
    talk.until("354").await;
    drop(talk);
    let mut bob = Talk::imap_login(house.at(Protocol::Imap), "bob").await;
    assert!(
        bob.imap("STATUS INBOX (MESSAGES)")
            .await
            .contains("MESSAGES 0")
    );
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_imap_is_answered_and_stores_nothing() {
    let house = House::new().await;
    let mut bob = Talk::imap_login(house.at(Protocol::Imap), "bob").await;
    bob.imap("SELECT INBOX").await;
    for (bad, expected) in [
        ("SEARCH TEXT {4294967296}", "x BAD [TOOBIG]"),
        ("APPEND INBOX {4294967296}", "x NO [TOOBIG]"),
        ("APPEND INBOX {1073741824}", "x NO [TOOBIG]"),
        ("FETCH 1:* (FLAGS", "x BAD"),
        ("FETCH 1 FLAGS", "x BAD"),
    ] {
        let said = bob.imap(bad).await;
        assert!(said.contains(expected), "{bad}: {said}");
        assert!(bob.imap("NOOP").await.contains("x OK"));
    }
    let deep = format!("SEARCH {}", "(".repeat(60_000));
    assert!(
        bob.imap(&deep)
            .await
            .contains("x BAD Expected less nesting")
    );
    let long = format!("SEARCH {}", "(".repeat(100_000));
    assert!(bob.imap(&long).await.contains("x BAD Command too long"));
    // A literal that is never finished.
    bob.send("y APPEND INBOX {100}\r\n").await;
    assert_eq!(bob.line().await, "+ OK");
    bob.send("only some").await;
    drop(bob);
    let mut bob = Talk::imap_login(house.at(Protocol::Imap), "bob").await;
    bob.send("z LOGIN {18446744073709551616}\r\n").await;
    let said = bob.rest().await;
    assert!(
        said.contains("z BAD [TOOBIG]") && said.contains("* BYE"),
        "{said}"
    );
    let inject = "a STARTTLS\r\nb LOGIN bob x\r\n";
    let said = says(&house, Protocol::Imap, inject.as_bytes()).await;
    assert!(
        said.contains("a BAD Nothing may follow") && !said.contains("b NO"),
        "{said}"
    );
    let said = says(&house, Protocol::Pop3, b"STLS\r\nUSER bob\r\n").await;
    assert!(said.ends_with("-ERR Nothing may follow STLS\r\n"), "{said}");
    let mut bob = Talk::imap_login(house.at(Protocol::Imap), "bob").await;
    assert!(
        bob.imap("STATUS INBOX (MESSAGES)")
            .await
            .contains("MESSAGES 0")
    );
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sasl_that_is_none() {
    let house = House::new().await;
    for response in ["*", "!!", &base64(b"x"), &base64(b"\0\0"), "="] {
        let text = format!("EHLO a\r\nAUTH PLAIN\r\n{response}\r\nQUIT\r\n");
        let said = says(&house, Protocol::Submission, text.as_bytes()).await;
        assert!(
            said.contains("\r\n501 5.5.2") || said.contains("535 5.7.8"),
            "{response}: {said}"
        );
        assert!(said.contains("221 2.0.0"), "{said}");
    }
    house.server.stop().await;
}

/// RFC 1939 §4: a maildrop is open in one session; without QUIT nothing is deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_maildrop_is_open_once() {
    let house = House::new().await;
    house.deliver("Subject: x\n\nx\n").await;
    let login = format!("USER bob\r\nPASS {}\r\n", crate::harness::PASSWORD);
    let mut one = house.talk(Protocol::Pop3).await;
    one.send(&format!("{login}DELE 1\r\n")).await;
    one.until("+OK Deleted").await;
    let said = says(
        &house,
        Protocol::Pop3,
        format!("{login}QUIT\r\n").as_bytes(),
    )
    .await;
    assert!(said.contains("-ERR [IN-USE]"), "{said}");
    drop(one);
    let mut said = String::new();
    for _ in 0..50 {
        said = says(
            &house,
            Protocol::Pop3,
            format!("{login}STAT\r\nQUIT\r\n").as_bytes(),
        )
        .await;
        if !said.contains("[IN-USE]") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(said.contains("+OK 1 "), "{said}");
    house.server.stop().await;
}
