//! Our own name in mail from outside: refused in every disguise, with all checks off too, and honest mail beside it accepted.

use crate::addresses::has;
use crate::harness::{PASSWORD, Talk, config};
use hikyaku_test_dns::{DnsServer, Zone};
use mailserver::{Protocol, Server};
use std::net::SocketAddr;

/// From fields of a stranger whose reverse-path is their own.
const FORGED: &[&str] = &[
    "From: ceo@our.test",
    "FROM: CEO@OUR.TEST",
    "From : ceo@our.test",
    "From:\r\n ceo@our.test",
    "From: The Boss <ceo@our.test>",
    "From: ceo@our.test <x@evil.test>",
    "From: x@evil.test, ceo@our.test",
    "From: x@evil.test\r\nFrom: ceo@our.test",
    "From: ceo@(hidden)our.test",
    "From: ceo@our\r\n .test",
    "From: \"ceo\"@our.test",
    "From: <@evil.test:ceo@our.test>",
    "From: team: ceo@our.test;",
    "From: ceo@mail.our.test",
    "From: =?utf-8?q?ceo=40our.test?=",
    "From: \"The Boss <ceo@our.test>",
    "From: ceo@[our.test]",
    "From: x@evil.test\r\nSender: ceo@our.test",
    "From: x@evil.test\r\nSender: ceo@our.test!",
    "From: x@evil.test\r\n\x0c\r\nFrom: ceo@our.test",
    "Resent-From: ceo@our.test\r\nResent-Sender: x@evil.test\r\nFrom: x@evil.test",
];

/// HELO names and reverse-paths of ours.
const ENVELOPES: &[(&str, &str)] = &[
    ("mail.evil.test", "ceo@our.test"),
    ("mail.evil.test", "CEO@Our.Test"),
    ("mail.evil.test", "ceo@sub.our.test"),
    ("our.test", "x@evil.test"),
    ("mx.our.test", ""),
];

/// What is honest: its source, HELO, reverse-path and From.
const HONEST: &[(&str, &str, &str, &str)] = &[
    (
        "127.0.0.1",
        "mail.evil.test",
        "x@evil.test",
        "From: x@evil.test",
    ),
    (
        "127.0.0.1",
        "mail.evil.test",
        "x@evil.test",
        "From: ceo@bour.test",
    ),
    (
        "127.0.0.1",
        "mail.evil.test",
        "x@evil.test",
        "From: ceo@our.test.evil.test",
    ),
    (
        "127.0.0.1",
        "mail.evil.test",
        "x@evil.test",
        "From: \"ceo@our.test\" <x@evil.test>",
    ),
    // Ours, from where SPF says that it comes from.
    (
        "127.0.0.4",
        "mail.evil.test",
        "ceo@our.test",
        "From: ceo@our.test",
    ),
];

async fn sent(at: SocketAddr, source: &str, helo: &str, from: &str, field: &str) -> String {
    let mut talk = Talk::from(source, at).await;
    talk.send(&format!(
        "EHLO {helo}\r\nMAIL FROM:<{from}>\r\nRCPT TO:<ann@our.test>\r\nDATA\r\n{field}\r\nTo: ann@our.test\r\n\
         Subject: x\r\n\r\nHello\r\n.\r\nQUIT\r\n"
    ))
    .await;
    let said = talk.rest().await;
    let last = said.lines().rev().find(|line| !line.starts_with("221"));
    last.unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_in_our_own_name_is_refused_in_every_disguise() {
    let zone = Zone::new("test")
        .txt("our", "v=spf1 ip4:127.0.0.4 -all")
        .txt("_dmarc.our", "v=DMARC1; p=none")
        .txt("evil", "v=spf1 +all");
    let dns = DnsServer::start([zone]);
    let off = "spf = \"off\"\ndkim = \"off\"\ndmarc = \"off\"\narc = \"off\"\niprev = \"off\"\n";
    for checks in ["", off] {
        let data = tempfile::tempdir().unwrap();
        let more = format!("[checks]\n{checks}[relay]\ndns = [\"{}\"]\n", dns.address());
        let server = Server::start(config(data.path(), "our.test", &more))
            .await
            .unwrap();
        server
            .accounts()
            .add("ann@our.test", PASSWORD)
            .await
            .unwrap();
        let at = server.address(Protocol::Smtp).unwrap();
        for from in FORGED {
            let said = sent(at, "127.0.0.1", "mail.evil.test", "x@evil.test", from).await;
            assert!(said.starts_with("550 5.7."), "{from:?}: {said}");
        }
        for (helo, path) in ENVELOPES {
            let said = sent(at, "127.0.0.1", helo, path, "From: x@evil.test").await;
            assert!(said.starts_with("550 5.7."), "{helo} {path}: {said}");
        }
        for (source, helo, path, from) in HONEST {
            let said = sent(at, source, helo, path, from).await;
            assert!(said.starts_with("250 2.0.0"), "{from} {path}: {said}");
        }
        has(&server, "ann@our.test", HONEST.len()).await;
        server.stop().await;
    }
}

/// A check, its setting, who sends, what, the word in the field, and the reply when it rejects.
const CHECKS: &[(&str, &str, &str, &str, &str)] = &[
    (
        "spf",
        "a@fail.test",
        "From: a@plain.test",
        "spf=fail",
        "550 5.7.23 ",
    ),
    (
        "dkim",
        "a@plain.test",
        "From: a@plain.test",
        "dkim=none",
        "550 5.7.20 ",
    ),
    (
        "dmarc",
        "a@plain.test",
        "From: a@strict.test",
        "dmarc=fail",
        "550 5.7.1 ",
    ),
    (
        "arc",
        "a@plain.test",
        "ARC-Seal: i=1; a=rsa-sha256; d=x.test; s=s; cv=none; b=AAAA\r\nFrom: a@plain.test",
        "arc=fail",
        "550 5.7.29 ",
    ),
    (
        "iprev",
        "a@plain.test",
        "From: a@plain.test",
        "iprev=",
        "550 5.7.25 ",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_check_is_off_marks_or_rejects() {
    let zone = Zone::new("test")
        .txt("fail", "v=spf1 -all")
        .txt("_dmarc.strict", "v=DMARC1; p=none");
    let dns = DnsServer::start([zone, Zone::new("127.in-addr.arpa")]);
    for (name, from, fields, word, refused) in CHECKS {
        for setting in ["off", "mark", "reject"] {
            let value = |one: &str| if one == *name { setting } else { "off" };
            let all = ["spf", "dkim", "dmarc", "arc", "iprev"];
            let all = all.map(|one| format!("{one} = \"{}\"\n", value(one)));
            let data = tempfile::tempdir().unwrap();
            let more = format!(
                "[checks]\n{}[relay]\ndns = [\"{}\"]\n",
                all.concat(),
                dns.address()
            );
            let server = Server::start(config(data.path(), "our.test", &more))
                .await
                .unwrap();
            server
                .accounts()
                .add("ann@our.test", PASSWORD)
                .await
                .unwrap();
            let at = server.address(Protocol::Smtp).unwrap();
            // The address has no name, which that of 127.0.0.1 has everywhere.
            let said = sent(at, "127.0.0.3", "mail.plain.test", from, fields).await;
            match setting {
                "reject" => assert!(said.starts_with(refused), "{name}: {said}"),
                _ => {
                    assert!(said.starts_with("250 2.0.0"), "{name} {setting}: {said}");
                    let ann = has(&server, "ann@our.test", 1).await.remove(0);
                    assert_eq!(
                        ann.contains(word),
                        setting == "mark",
                        "{name} {setting}: {ann}"
                    );
                }
            }
            server.stop().await;
        }
    }
}
