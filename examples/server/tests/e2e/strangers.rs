//! Clients that have not logged in: their names, their addresses, lists of them, greylisting, and the score.

use crate::addresses::{has, mailserver};
use crate::harness::{House, Talk, config};
use hikyaku_test_dns::{DnsServer, Fault, Zone};
use mailserver::{Protocol, Server};
use std::time::{Duration, Instant};

/// Without a name, with one that leads back, and with one that does not. A proxy speaks for them.
const NAMELESS: &str = "192.0.2.3";
const NAMED: &str = "198.51.100.4";
const UNCONFIRMED: &str = "203.0.113.5";
const SIX: &str = "2001:db8::6";

fn dns() -> DnsServer {
    DnsServer::start([
        Zone::new("in-addr.arpa")
            .ptr("4.100.51.198", "mail.good.test.")
            .ptr("5.113.0.203", "mail.good.test."),
        Zone::new("good.test")
            .a("mail", NAMED)
            .txt("@", "v=spf1 a:mail.good.test -all"),
        Zone::new("pool.test").txt("@", "v=spf1 ip4:10.0.6.0/24 ip4:10.0.7.0/24 -all"),
        Zone::new("forged.test").txt("@", "v=spf1 -all"),
        Zone::new("bl.test")
            .a("3.2.0.192", "127.0.0.2")
            .txt("3.2.0.192", "because\tof spam")
            .a(
                "6.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2",
                "127.0.0.9",
            ),
        Zone::new("bl2.test").a("3.2.0.192", "127.0.0.4"),
        Zone::new("gone.test").a("3.2.0.192", "192.0.2.1"),
        Zone::new("blocked.test").a("3.2.0.192", "127.255.255.254"),
        Zone::new("silent.test").fault("3.2.0.192", Fault::Silent),
    ])
}

fn text(dns: &DnsServer, manners: &str) -> String {
    let dns = dns.address();
    format!(
        "[proxies]\nxclient = [\"127.0.0.1\"]\n[relay]\ndns = [\"{dns}\"]\ndns_timeout = \"1s\"\n[manners]\n{manners}\n"
    )
}

/// What each command of a transaction is answered, the last line each.
async fn transaction(
    server: &Server,
    from: &str,
    hello: &str,
    sender: &str,
    to: &str,
) -> Vec<String> {
    let mut talk = Talk::new(server.address(Protocol::Smtp).unwrap()).await;
    let tag = if from.contains(':') { "IPV6:" } else { "" };
    talk.send(&format!("EHLO proxy\r\nXCLIENT ADDR={tag}{from}\r\n"))
        .await;
    for code in ["220 ", "250 ", "220 "] {
        talk.until(code).await;
    }
    let mut all = Vec::new();
    let message = "X-Hikyaku-Score: -99\r\nFrom: a@x.test\r\nSubject: x\r\nx-hikyaku-score: -99\r\n\ty\r\n\r\nHello.\r\n.";
    for command in [
        format!("EHLO {hello}"),
        format!("MAIL FROM:<{sender}>"),
        format!("RCPT TO:<{to}>"),
        "DATA".into(),
        message.into(),
    ] {
        talk.send(&format!("{command}\r\n")).await;
        let line = loop {
            let line = talk.line().await;
            if line.as_bytes().get(3) != Some(&b'-') {
                break line;
            }
        };
        let is_positive = line.starts_with('2') || line.starts_with('3');
        all.push(line);
        if !is_positive {
            break;
        }
    }
    all
}

/// The last reply to a message for bob.
async fn reply(server: &Server, from: &str, hello: &str, sender: &str) -> String {
    let all = transaction(server, from, hello, sender, "bob@example.test").await;
    all.last().unwrap().clone()
}

/// The score of a message.
fn score(message: &str) -> String {
    assert_eq!(
        message.to_lowercase().matches("x-hikyaku-score").count(),
        1,
        "{message}"
    );
    let field = message.split("X-Hikyaku-Score: ").nth(1).expect(message);
    field
        .replace("\r\n\t", " ")
        .lines()
        .next()
        .unwrap()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_and_reverse_names_are_off_marked_or_refused() {
    let dns = dns();
    for (manners, from, hello, expected) in [
        ("", NAMELESS, "nodomain", "0"),
        (
            "helo = \"mark\"",
            NAMELESS,
            "nodomain",
            "1.5 helo(no-domain)=1.5",
        ),
        (
            "helo = \"mark\"",
            NAMELESS,
            "localhost",
            "1.5 helo(our-own-name)=1.5",
        ),
        (
            "helo = \"mark\"",
            NAMELESS,
            "nowhere.good.test",
            "1.5 helo(unknown-to-DNS)=1.5",
        ),
        (
            "helo = \"mark\"",
            NAMELESS,
            "192.0.2.3",
            "1.5 helo(bare-address)=1.5",
        ),
        ("helo = \"mark\"", NAMELESS, "[192.0.2.3]", "0"),
        ("helo = \"mark\"", NAMELESS, "mail.good.test", "0"),
        ("helo = \"reject\"", NAMELESS, "mail.good.test", "0"),
        (
            "helo = \"reject\"",
            NAMELESS,
            "nodomain",
            "550 5.7.1 The name in HELO is no name of a mail server: no domain",
        ),
        (
            "reverse_name = \"mark\"",
            NAMELESS,
            "nodomain",
            "1.5 reverse-name(none)=1.5",
        ),
        (
            "reverse_name = \"mark\"",
            UNCONFIRMED,
            "nodomain",
            "1.5 reverse-name(unconfirmed)=1.5",
        ),
        ("reverse_name = \"mark\"", NAMED, "nodomain", "0"),
        ("reverse_name = \"reject\"", NAMED, "nodomain", "0"),
        (
            "reverse_name = \"reject\"",
            NAMELESS,
            "nodomain",
            "550 5.7.25 The address 192.0.2.3 has no name that leads back to it",
        ),
        (
            "reverse_name = \"reject\"",
            UNCONFIRMED,
            "nodomain",
            "550 5.7.25 The address 203.0.113.5 has no name that leads back to it",
        ),
    ] {
        let house = House::with(&text(&dns, manners)).await;
        let said = reply(&house.server, from, hello, "a@good.test").await;
        let what = format!("{manners}, {hello} from {from}: {said}");
        if expected.starts_with("550") {
            assert_eq!(said, expected, "{what}");
            // Nobody learns who is here, and whoever is refused may ask why.
            for (to, code) in [
                ("nobody@example.test", "550 5.7."),
                ("postmaster@example.test", "250"),
            ] {
                let all = transaction(&house.server, from, hello, "a@good.test", to).await;
                assert!(
                    all.last().unwrap().starts_with(code),
                    "{what}: {to}: {all:?}"
                );
            }
        } else {
            assert!(said.starts_with("250 2.0.0"), "{what}");
            let bob = has(&house.server, "bob@example.test", 1).await;
            assert_eq!(score(&bob[0]), expected, "{what}");
        }
        house.server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_count_refuse_and_accuse_nobody_when_they_are_broken() {
    let dns = dns();
    let list = |zone: &str, more: &str| format!("[[manners.dnsbl]]\nzone = \"{zone}\"\n{more}\n");
    let broken: String = ["gone.test", "blocked.test", "silent.test", "nowhere.test"]
        .map(|zone| list(zone, "weight = 50.0\nreject = true"))
        .concat();
    for (manners, from, expected) in [
        (
            list("bl.test", "weight = 4.0") + &list("bl2.test", "weight = -1.0"),
            NAMELESS,
            "3 dnsbl(bl.test)=4 dnsbl(bl2.test)=-1",
        ),
        (list("bl.test", "weight = 4.0"), NAMED, "0"),
        (list("bl.test", "weight = 4.0"), SIX, "4 dnsbl(bl.test)=4"),
        (
            list("bl.test", "weight = 4.0\nanswers = [\"127.0.0.4\"]"),
            NAMELESS,
            "0",
        ),
        (
            list("bl2.test", "weight = 4.0\nanswers = [\"127.0.0.4\"]"),
            NAMELESS,
            "4 dnsbl(bl2.test)=4",
        ),
        (
            list("bl.test", "reject = true"),
            NAMELESS,
            "550 5.7.1 192.0.2.3 is listed at bl.test: because?of spam",
        ),
        (
            list("bl2.test", "reject = true"),
            NAMELESS,
            "550 5.7.1 192.0.2.3 is listed at bl2.test",
        ),
        (broken.clone(), NAMELESS, "0"),
        (
            broken + &list("bl.test", "weight = 4.0"),
            NAMELESS,
            "4 dnsbl(bl.test)=4",
        ),
    ] {
        let house = House::with(&text(&dns, &manners)).await;
        let said = reply(&house.server, from, "mail.good.test", "a@good.test").await;
        if expected.starts_with("550") {
            assert_eq!(said, expected, "{manners}");
        } else {
            assert!(said.starts_with("250 2.0.0"), "{manners}: {said}");
            let bob = has(&house.server, "bob@example.test", 1).await;
            assert_eq!(score(&bob[0]), expected, "{manners}");
        }
        house.server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_greylisted_client_is_taken_when_it_comes_again_also_after_a_restart() {
    let dns = dns();
    let manners = text(&dns, "greylisting = true\ngreylisting_delay = \"4s\"");
    let mut house = House::with(&manners).await;
    let greylisted = "451 4.7.1 Greylisted, try again in 1 min";
    let known = "250 2.0.0";
    let is = |said: &str, expected: &str| said.starts_with(expected);
    for from in [NAMELESS, "10.0.6.1"] {
        let sender = if from == NAMELESS {
            "a@good.test"
        } else {
            "a@pool.test"
        };
        for _ in 0..2 {
            let said = reply(&house.server, from, "mail.x.test", sender).await;
            assert!(is(&said, greylisted), "{said}");
        }
    }
    // Whoever is not here is refused as ever.
    let all = transaction(
        &house.server,
        NAMELESS,
        "mail.x.test",
        "a@good.test",
        "nobody@example.test",
    )
    .await;
    assert!(is(all.last().unwrap(), "550 5.1.1"), "{all:?}");
    tokio::time::sleep(Duration::from_millis(5_100)).await;
    // From the same network, or from any that the sender's domain has; not from another one.
    for (from, sender, expected) in [
        ("192.0.2.99", "a@good.test", known),
        ("10.0.7.1", "a@pool.test", known),
        ("10.0.8.1", "a@good.test", greylisted),
        ("10.0.8.1", "a@pool.test", greylisted),
        (NAMELESS, "b@good.test", greylisted),
    ] {
        let said = reply(&house.server, from, "mail.x.test", sender).await;
        assert!(is(&said, expected), "{from} {sender}: {said}");
    }
    house.server.stop().await;
    let again = config(house.data.path(), "example.test", &manners);
    house.server = Server::start(again).await.unwrap();
    // After five messages whoever sent them is known, whoever writes.
    for _ in 0..4 {
        let said = reply(&house.server, NAMELESS, "mail.x.test", "a@good.test").await;
        assert!(is(&said, known), "{said}");
    }
    let said = reply(&house.server, NAMELESS, "mail.x.test", "new@good.test").await;
    assert!(is(&said, known), "{said}");
    let said = reply(&house.server, "10.0.7.1", "mail.x.test", "new@pool.test").await;
    assert!(is(&said, greylisted), "{said}");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_score_says_why_makes_junk_and_refuses() {
    let dns = dns();
    let manners = "helo = \"mark\"\nreverse_name = \"mark\"\njunk = 4.0\nrefuse = 9.0\n\
                   [[manners.dnsbl]]\nzone = \"bl.test\"\nweight = 4.0\n[checks]\n[manners.weights]\nspf_fail = 2.5\n";
    let house = House::with(&text(&dns, manners)).await;
    let server = &house.server;
    let said = reply(server, NAMED, "mail.good.test", "a@good.test").await;
    assert!(said.starts_with("250 2.0.0"), "{said}");
    let bob = has(server, "bob@example.test", 1).await;
    assert_eq!(score(&bob[0]), "0");
    assert!(bob[0].contains("Authentication-Results: "), "{}", bob[0]);
    // Nobody's client, and a domain that says so.
    let said = reply(server, NAMED, "nodomain", "a@forged.test").await;
    assert!(said.starts_with("250 2.0.0"), "{said}");
    let (_, junk) = server
        .store()
        .find("bob@example.test", "Junk")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(junk.messages, 1);
    let said = reply(server, NAMELESS, "nodomain", "a@forged.test").await;
    assert_eq!(
        said,
        "550 5.7.1 Too much speaks against this message: 9.5 helo(no-domain)=1.5 reverse-name(none)=1.5 \
         dnsbl(bl.test)=4 spf-fail=2.5"
    );
    let parts = [
        "score: 0\n",
        "score: 4 helo(no-domain)=1.5 spf-fail=2.5\n",
        "junk: its score\n",
        "answered: 550 5.7.1 Too much speaks against this message: 9.5",
    ];
    // A thread of its own writes it, a little later.
    let began = Instant::now();
    loop {
        let (ok, story) =
            mailserver(house.data.path(), "example.test", "trace bob@example.test").await;
        if ok && parts.iter().all(|part| story.contains(part)) {
            break;
        }
        let late = began.elapsed() > Duration::from_secs(20);
        assert!(!late, "{parts:?} are not in {story}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    house.server.stop().await;
}
