//! Clients and accounts without manners, each with an honest user beside it, who succeeds in everything.

use crate::addresses::{commands, has, mail};
use crate::harness::{House, PASSWORD, Talk};
use crate::relay::base64;
use mailserver::{Protocol, Server};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Where the honest are, and the others; each in a network of its own.
const HONEST: &str = "127.0.2.1";
const ATTACKER: &str = "127.0.1.1";

/// Limits that hold on this machine, too.
fn limits(more: &str) -> String {
    format!("[auth]\nplaintext = \"always\"\n[limits]\nexempt = []\n{more}\n")
}

/// A connection to a port for mail, greeted. `None` where it is refused.
async fn greeted(from: &str, at: SocketAddr) -> Option<Talk> {
    let mut talk = Talk::from(from, at).await;
    let line = talk.line().await;
    if !line.starts_with("220") {
        assert!(line.is_empty() || line.starts_with("421 4.7.0 "), "{line}");
        return None;
    }
    Some(talk)
}

/// Sends a command and returns the last line of its reply.
async fn ask(talk: &mut Talk, command: &str) -> String {
    talk.send(&format!("{command}\r\n")).await;
    loop {
        let line = talk.line().await;
        if line.as_bytes().get(3) != Some(&b'-') {
            return line;
        }
    }
}

/// Sends a message over a connection; the first reply that is not positive, or the last one.
async fn message(talk: &mut Talk, from: &str, to: &[&str]) -> String {
    let mail = ask(talk, &format!("MAIL FROM:<{from}>")).await;
    if !mail.starts_with("250") {
        return mail;
    }
    let mut last = String::new();
    let mut taken = 0;
    for to in to {
        last = ask(talk, &format!("RCPT TO:<{to}>")).await;
        taken += usize::from(last.starts_with("250"));
    }
    if taken == 0 {
        assert!(ask(talk, "RSET").await.starts_with("250"));
        return last;
    }
    assert!(ask(talk, "DATA").await.starts_with("354"));
    ask(talk, "Subject: x\r\n\r\nHello.\r\n.").await
}

/// One who sends a message from another server.
async fn sends(house: &House, from: &str, to: &str) -> String {
    let mut talk = greeted(from, house.at(Protocol::Smtp))
        .await
        .expect("a place");
    assert!(
        ask(&mut talk, "EHLO mail.elsewhere.test")
            .await
            .starts_with("250")
    );
    message(&mut talk, "x@elsewhere.test", &[to]).await
}

/// Logged in for submission.
async fn submission(server: &Server, from: &str, name: &str) -> Talk {
    let at = server.address(Protocol::Submission).unwrap();
    let mut talk = greeted(from, at).await.expect("a place");
    let plain = base64(format!("\0{name}@example.test\0{PASSWORD}").as_bytes());
    assert!(ask(&mut talk, "EHLO a").await.starts_with("250"));
    let said = ask(&mut talk, &format!("AUTH PLAIN {plain}")).await;
    assert!(said.starts_with("235"), "{said}");
    talk
}

/// What somebody does all day, from a network of their own: sends, logs in, reads.
async fn is_served(house: &House, count: usize) {
    let said = sends(house, HONEST, "alice@example.test").await;
    assert!(said.starts_with("250 2.0.0"), "{said}");
    let mut talk = submission(&house.server, HONEST, "alice").await;
    let said = message(&mut talk, "alice@example.test", &["alice@example.test"]).await;
    assert!(said.starts_with("250 2.0.0"), "{said}");
    let mut imap = Talk::from(HONEST, house.at(Protocol::Imap)).await;
    imap.line().await;
    let login = format!("LOGIN alice@example.test \"{PASSWORD}\"");
    assert!(imap.imap(&login).await.contains("x OK"));
    let said = imap.imap("STATUS INBOX (MESSAGES)").await;
    assert!(said.contains(&format!("MESSAGES {count}")), "{said}");
}

async fn metric(server: &Server, name: &str) -> u64 {
    let mut talk = Talk::new(server.address(Protocol::Metrics).unwrap()).await;
    talk.send("GET /metrics HTTP/1.0\r\n\r\n").await;
    let page = talk.rest().await;
    let start = format!("mailserver_{name} ");
    let line = page.lines().find_map(|line| line.strip_prefix(&start));
    line.expect(name).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_gets_its_share_and_an_honest_user_everything() {
    let house = House::with(&limits(
        "connections_per_minute = 20\nmessages_per_minute = 10\nrecipients_per_minute = 0",
    ))
    .await;
    let at = house.at(Protocol::Smtp);
    let began = Instant::now();
    let mut flood = tokio::task::JoinSet::new();
    for number in 0..160 {
        flood.spawn(async move {
            let from = format!("127.0.1.{}", 1 + number % 8);
            let mut talk = greeted(&from, at).await?;
            ask(&mut talk, "EHLO mail.flood.test").await;
            let mut taken = 0;
            for _ in 0..3 {
                let said = message(&mut talk, "x@flood.test", &["bob@example.test"]).await;
                match said.get(..10) {
                    Some("250 2.0.0 ") => taken += 1,
                    Some("450 4.7.1 ") => assert!(said.contains("Too many messages"), "{said}"),
                    _ => panic!("{said}"),
                }
            }
            Some(taken)
        });
    }
    for round in 1..=5 {
        is_served(&house, 2 * round).await;
    }
    let (mut connections, mut messages) = (0, 0);
    while let Some(done) = flood.join_next().await {
        if let Some(taken) = done.unwrap() {
            connections += 1;
            messages += taken;
        }
    }
    // Four times the share of one address for all that are around it, and what comes back meanwhile.
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    let most = |share: f64| 4.0 * share * (1.0 + minutes) + 1.0;
    assert!(
        f64::from(connections) <= most(20.0),
        "{connections} connections in {minutes} min"
    );
    assert!(
        f64::from(messages) <= most(10.0),
        "{messages} messages in {minutes} min"
    );
    assert!(
        connections >= 80 && messages >= 40,
        "{connections}, {messages}"
    );
    assert_eq!(
        mail(&house.server, "bob@example.test").await.len(),
        messages as usize
    );
    assert!(metric(&house.server, "clients_deferred_total").await > 100);
    // Another address of that network is served again, when there is a place.
    is_served(&house, 12).await;
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_from_a_whole_network_are_few_and_the_owner_logs_in() {
    let house = House::with(&limits("")).await;
    let (imap, pop3, smtp) = (
        house.at(Protocol::Imap),
        house.at(Protocol::Pop3),
        house.at(Protocol::Submission),
    );
    let began = Instant::now();
    let end = began + Duration::from_secs(8);
    let mut guesser = tokio::task::JoinSet::new();
    for number in 0_u32..180 {
        guesser.spawn(async move {
            let from = format!("127.0.1.{}", 1 + number % 30);
            let (mut wrong, mut nth) = (0_u32, 0);
            while Instant::now() < end {
                // Accounts that there are, too.
                let name = match (number + nth) % 3 {
                    0 => "alice@example.test".to_owned(),
                    _ => format!("name{number}-{nth}@example.test"),
                };
                nth += 1;
                let plain = base64(format!("\0{name}\0guess{nth}").as_bytes());
                let (at, lines) = match number % 3 {
                    0 => (imap, vec![format!("x LOGIN {name} guess{nth}")]),
                    1 => (pop3, vec![format!("AUTH PLAIN {plain}")]),
                    _ => (smtp, vec!["EHLO a".into(), format!("AUTH PLAIN {plain}")]),
                };
                let mut talk = Talk::from(&from, at).await;
                talk.line().await;
                let mut said = String::new();
                for line in lines {
                    talk.send(&format!("{line}\r\n")).await;
                    loop {
                        said = talk.line_within(Duration::from_secs(40)).await;
                        if !said.starts_with("250-") && !said.starts_with("* ") {
                            break;
                        }
                    }
                }
                let is_wrong = ["AUTHENTICATIONFAILED", "[AUTH]", "535 "];
                wrong += u32::from(is_wrong.iter().any(|one| said.contains(one)));
                assert!(!said.contains("OK") && !said.starts_with("235"), "{said}");
            }
            wrong
        });
    }
    for round in 1..=6 {
        is_served(&house, 2 * round).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let mut wrong = 0;
    while let Some(done) = guesser.join_next().await {
        wrong += done.unwrap();
    }
    // Eighty first attempts and eighty further ones, and two more each three seconds.
    let seconds = began.elapsed().as_secs_f64();
    let most = 2.0 * (80.0 + seconds / 1.5) + 2.0;
    assert!(
        wrong >= 60 && f64::from(wrong) <= most,
        "{wrong} in {seconds} s"
    );
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stolen_account_is_slowed_over_a_restart_and_the_operator_is_notified_once() {
    let mut house = House::with(&limits("[limits.account]\nsudden_recipients = 20")).await;
    let others: Vec<_> = (0..5)
        .map(|nth| format!("alice+{nth}@example.test"))
        .collect();
    let others: Vec<_> = others.iter().map(String::as_str).collect();
    let mut thief = submission(&house.server, ATTACKER, "bob").await;
    let mut taken = 0;
    for round in 0..6 {
        let said = message(&mut thief, "bob@example.test", &others).await;
        taken += usize::from(said.starts_with("250 2.0.0"));
        assert!(
            taken > round || said.starts_with("450 4.7.1 This account"),
            "{said}"
        );
    }
    assert_eq!(taken, 4, "five recipients each");
    // Alice is postmaster, the first account. What was accepted is there, and somebody else sends as ever.
    let alice = has(&house.server, "alice@example.test", 5).await;
    let notice = alice
        .iter()
        .find(|one| one.contains("Auto-Submitted: auto-generated"));
    let notice = notice.expect("a notice");
    for part in [
        "Subject: bob@example.test sends",
        "20 recipients a day",
        "account passwd bob@example.test",
    ] {
        assert!(notice.contains(part), "{part}: {notice}");
    }
    let mut honest = submission(&house.server, HONEST, "alice").await;
    for _ in 0..3 {
        let said = message(&mut honest, "alice@example.test", &others).await;
        assert!(said.starts_with("250 2.0.0"), "{said}");
    }
    assert!(metric(&house.server, "accounts_deferred_total").await >= 10);
    drop((thief, honest));
    // A restart forgets nothing.
    house.server.stop().await;
    let text = limits("[limits.account]\nsudden_recipients = 20");
    let config = crate::harness::config(house.data.path(), "example.test", &text);
    house.server = Server::start(config).await.unwrap();
    let mut thief = submission(&house.server, ATTACKER, "bob").await;
    let said = message(&mut thief, "bob@example.test", &["alice@example.test"]).await;
    assert!(said.starts_with("450 4.7.1 This account"), "{said}");
    // The operator lets it send more, and takes that back.
    commands(&house, &["account sending bob@example.test 1000"]).await;
    let said = message(&mut thief, "bob@example.test", &["alice@example.test"]).await;
    assert!(said.starts_with("250 2.0.0"), "{said}");
    commands(&house, &["account sending bob@example.test"]).await;
    let said = message(&mut thief, "bob@example.test", &["alice@example.test"]).await;
    assert!(said.starts_with("450 4.7.1 This account"), "{said}");
    let alice = has(&house.server, "alice@example.test", 5 + 3 + 1).await;
    let notices = alice.iter().filter(|one| one.contains("Auto-Submitted"));
    assert_eq!(notices.count(), 1, "one a day");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scanner_of_names_learns_few_and_a_list_with_dead_addresses_is_served() {
    let house = House::with(&limits("unknown_recipients_per_hour = 8")).await;
    let members: Vec<_> = (0..10)
        .map(|member| format!("alias add m{member}@example.test bob@example.test"))
        .collect();
    let members: Vec<_> = members.iter().map(String::as_str).collect();
    commands(&house, &members).await;
    // A correspondent behind the same address, as at a large provider.
    let mut friend = greeted(ATTACKER, house.at(Protocol::Smtp)).await.unwrap();
    ask(&mut friend, "EHLO mail.provider.test").await;
    let said = message(&mut friend, "friend@provider.test", &["bob@example.test"]).await;
    assert!(said.starts_with("250 2.0.0"), "{said}");
    let mut scanner = greeted(ATTACKER, house.at(Protocol::Smtp)).await.unwrap();
    ask(&mut scanner, "EHLO mail.scanner.test").await;
    ask(&mut scanner, "MAIL FROM:<x@scanner.test>").await;
    let mut learned = 0;
    for number in 0..14 {
        let said = ask(
            &mut scanner,
            &format!("RCPT TO:<name{number}@example.test>"),
        )
        .await;
        match said.get(..10) {
            Some("550 5.1.1 ") => learned += 1,
            Some("450 4.7.1 ") => assert!(learned >= 8, "{said}"),
            _ => panic!("{said}"),
        }
    }
    assert_eq!(learned, 8);
    // Whoever is here looks as nobody now, on another connection, too.
    let said = ask(&mut scanner, "RCPT TO:<bob@example.test>").await;
    assert!(
        said.starts_with("450 4.7.1 Too many recipients that are not here"),
        "{said}"
    );
    let said = sends(&house, ATTACKER, "bob@example.test").await;
    assert!(
        said.starts_with("450 4.7.1 Too many recipients that are not here"),
        "{said}"
    );
    assert!(metric(&house.server, "searchers_deferred_total").await >= 7);
    // The correspondent notices nothing, and may mistype a few; whoever is new comes later.
    let began = Instant::now();
    let said = message(&mut friend, "friend@provider.test", &["bob@example.test"]).await;
    assert!(said.starts_with("250 2.0.0"), "{said}");
    ask(&mut friend, "MAIL FROM:<friend@provider.test>").await;
    for (number, expected) in ["550 5.1.1", "550 5.1.1", "550 5.1.1", "450 4.7.1"]
        .iter()
        .enumerate()
    {
        // Nobody is made to wait before they search.
        assert!(number > 2 || began.elapsed() < Duration::from_secs(1));
        let said = ask(&mut friend, &format!("RCPT TO:<bop{number}@example.test>")).await;
        assert!(said.starts_with(expected), "{said}");
    }
    ask(&mut friend, "RSET").await;
    let said = message(&mut friend, "stranger@provider.test", &["bob@example.test"]).await;
    assert!(said.starts_with("450 4.7.1"), "{said}");
    // A list, from elsewhere: one of eleven is dead in each message, and of the last all others are here.
    let mut list = greeted(HONEST, house.at(Protocol::Smtp)).await.unwrap();
    ask(&mut list, "EHLO mail.list.test").await;
    for round in 0..12 {
        ask(&mut list, "MAIL FROM:<list@list.test>").await;
        let dead = ask(&mut list, &format!("RCPT TO:<dead{round}@example.test>")).await;
        assert!(dead.starts_with("550 5.1.1"), "{dead}");
        for member in 0..10 {
            let said = ask(&mut list, &format!("RCPT TO:<m{member}@example.test>")).await;
            assert!(said.starts_with("250"), "{said}");
        }
        assert!(ask(&mut list, "DATA").await.starts_with("354"));
        let said = ask(&mut list, "Subject: list\r\n\r\nHello.\r\n.").await;
        assert!(said.starts_with("250 2.0.0"), "{said}");
    }
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_off_at_nothing_and_do_not_hold_for_networks_that_are_exempt() {
    let few = "connections_per_minute = 1\nmessages_per_minute = 1\nrecipients_per_minute = 1\n\
               unknown_recipients_per_hour = 1\n";
    let off = few.replace(" 1", " 0");
    for (exempt, lines, is_limited) in [
        ("exempt = []\n", few, true),
        ("exempt = [\"127.0.1.0/24\"]\n", few, false),
        ("", few, false),
        ("exempt = []\n", &off, false),
    ] {
        let text = format!("[auth]\nplaintext = \"always\"\n[limits]\n{exempt}{lines}");
        let house = House::with(&text).await;
        let at = house.at(Protocol::Smtp);
        let mut first = greeted(ATTACKER, at).await.unwrap();
        assert_eq!(greeted(ATTACKER, at).await.is_none(), is_limited, "{text}");
        ask(&mut first, "EHLO a").await;
        let mut replies = Vec::new();
        for to in [
            "nobody1@example.test",
            "nobody2@example.test",
            "bob@example.test",
        ] {
            let said = message(&mut first, "x@elsewhere.test", &[to]).await;
            replies.push(said.split(' ').next().unwrap().to_owned());
        }
        let expected = match is_limited {
            true => ["550", "450", "450"],
            false => ["550", "550", "250"],
        };
        assert_eq!(replies, expected, "{text}");
        house.server.stop().await;
    }
}
