//! Mail that is checked on its way in, and signed on its way out.

use crate::addresses::{has, mail, mailserver};
use crate::exchanger::port;
use crate::harness::{PASSWORD, Talk, config};
use crate::relay::base64;
use hikyaku_test_dns::{DnsServer, Zone};
use mailserver::{Addresses, Protocol, Server};
use std::net::SocketAddr;
use tempfile::TempDir;

/// Makes a key with the command: its record, and its lines of the configuration.
pub(crate) async fn key(
    data: &TempDir,
    domain: &str,
    selector: &str,
    more: &str,
) -> (String, String) {
    let command = format!("dkim {domain} {selector}{more}");
    let (ok, said) = mailserver(data.path(), domain, &command).await;
    assert!(ok, "{said}");
    let (zone, lines) = said.split_once("\n\n").unwrap();
    let strings = zone.lines().last().unwrap().split('"').skip(1).step_by(2);
    (strings.collect(), lines.to_owned())
}

/// What the server answers to the end of a message.
pub(crate) async fn reception(at: SocketAddr, from: &str, to: &str, message: &str) -> String {
    let mut talk = Talk::new(at).await;
    talk.send(&format!(
        "EHLO mail.{}\r\nMAIL FROM:<{from}>\r\nRCPT TO:<{to}>\r\nDATA\r\n{message}\r\n.\r\nQUIT\r\n",
        from.rsplit_once('@').map_or("x.test", |(_, domain)| domain)
    ))
    .await;
    let said = talk.rest().await;
    let last = said.lines().rev().find(|line| !line.starts_with("221"));
    last.unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_server_signs_the_other_finds_good_and_forgeries_are_refused() {
    let data = tempfile::tempdir().unwrap();
    let (rsa, rsa_lines) = key(&data, "one.test", "r1", " --rsa").await;
    let (ed, ed_lines) = key(&data, "one.test", "e1", "").await;
    // No key is written over.
    let (ok, said) = mailserver(data.path(), "one.test", "dkim one.test e1").await;
    assert!(!ok && said.contains("choose another selector"), "{said}");
    let zone = Zone::new("test")
        .txt("r1._domainkey.one", &rsa)
        .txt("e1._domainkey.one", &ed)
        .txt("one", "v=spf1 ip4:127.0.0.1 -all")
        .txt("_dmarc.one", "v=DMARC1; p=reject")
        .txt("_dmarc.strict", "v=DMARC1; p=reject")
        .txt("_dmarc.soft", "v=DMARC1; p=quarantine");
    let dns = DnsServer::start([zone]);
    // The server that checks.
    let inbox = tempfile::tempdir().unwrap();
    let mut checking = config(
        inbox.path(),
        "two.test",
        &format!("[checks]\n[relay]\ndns = [\"{}\"]\n", dns.address()),
    );
    let own = port();
    checking.listen.smtp = Addresses::One(format!("127.0.0.1:{own}"));
    let two = Server::start(checking).await.unwrap();
    two.accounts().add("bob@two.test", PASSWORD).await.unwrap();
    // The server that signs.
    let more = format!(
        "[auth]\nplaintext = \"always\"\n{rsa_lines}\n{ed_lines}\n[relay]\n[[relay.routes]]\ndomains = [\"two.test\"]\n\
         hosts = [\"smtp+clear://127.0.0.1:{own}\"]\n"
    );
    let one = Server::start(config(data.path(), "one.test", &more))
        .await
        .unwrap();
    one.accounts()
        .add("alice@one.test", PASSWORD)
        .await
        .unwrap();
    let mut talk = Talk::new(one.address(Protocol::Submission).unwrap()).await;
    let plain = base64(format!("\0alice@one.test\0{PASSWORD}").as_bytes());
    talk.send(&format!(
        "EHLO a\r\nAUTH PLAIN {plain}\r\nMAIL FROM:<alice@one.test>\r\nRCPT TO:<bob@two.test>\r\nDATA\r\n\
         From: alice@one.test\r\nSubject: signed\r\n\r\nHello.\r\n.\r\nQUIT\r\n"
    ))
    .await;
    let said = talk.rest().await;
    assert!(said.contains("250 2.0.0 Accepted"), "{said}");
    let bob = has(&two, "bob@two.test", 1).await.remove(0);
    let results = bob.split("Authentication-Results: ").nth(1).expect(&bob);
    for passed in [
        "dkim=pass",
        "d=one.test",
        "s=r1",
        "s=e1",
        "spf=pass",
        "dmarc=pass",
    ] {
        let results = results.replace("header.", "");
        assert!(results.contains(passed), "{passed}: {bob}");
    }
    assert_eq!(bob.matches("DKIM-Signature:").count(), 2, "{bob}");
    // What claims to be ours is taken out, and what a stranger's domain wants is done.
    let at = two.address(Protocol::Smtp).unwrap();
    let message = |from: &str| {
        format!(
            "Authentication-Results: localhost; dkim=pass\r\nFrom: {from}\r\nSubject: x\r\n\r\ny"
        )
    };
    for (from, author, expected) in [
        ("a@plain.test", "a@plain.test", "250 2.0.0"),
        ("a@plain.test", "a@strict.test", "550 5.7."),
        ("a@plain.test", "Bob <bob@two.test>", "550 5.7."),
        ("bob@two.test", "a@plain.test", "550 5.7."),
    ] {
        let said = reception(at, from, "bob@two.test", &message(author)).await;
        assert!(said.starts_with(expected), "{from}, {author}: {said}");
    }
    let bob = has(&two, "bob@two.test", 2).await.remove(1);
    assert_eq!(bob.matches("Authentication-Results:").count(), 1, "{bob}");
    assert!(
        bob.contains("dmarc=none") && !bob.contains("localhost; dkim=pass"),
        "{bob}"
    );
    // Junk is kept, elsewhere.
    let said = reception(at, "a@plain.test", "bob@two.test", &message("a@soft.test")).await;
    assert!(said.starts_with("250 2.0.0"), "{said}");
    assert_eq!(mail(&two, "bob@two.test").await.len(), 2);
    let (_, junk) = two
        .store()
        .find("bob@two.test", "Junk")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(junk.messages, 1);
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_that_is_away_defers_or_is_passed_over() {
    let nobody = port();
    for (away, expected) in [("defer", "451 4.3.2"), ("accept", "250 2.0.0")] {
        let data = tempfile::tempdir().unwrap();
        let more = format!(
            "[[filters]]\nkind = \"milter\"\nat = \"127.0.0.1:{nobody}\"\naway = \"{away}\"\n"
        );
        let server = Server::start(config(data.path(), "two.test", &more))
            .await
            .unwrap();
        server
            .accounts()
            .add("bob@two.test", PASSWORD)
            .await
            .unwrap();
        let at = server.address(Protocol::Smtp).unwrap();
        let said = reception(at, "a@plain.test", "bob@two.test", "Subject: x\r\n\r\ny").await;
        assert!(said.starts_with(expected), "{away}: {said}");
        server.stop().await;
    }
}
