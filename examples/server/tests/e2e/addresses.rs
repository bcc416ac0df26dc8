//! Aliases, forwards, identities and domains: changed by the program while the server runs, used by swaks and by other
//! servers.

use crate::exchanger::{Exchanger, Manner, port};
use crate::harness::{House, PASSWORD, Talk, run};
use crate::mailserver::PROGRAM;
use crate::relay::base64;
use hikyaku_mailstore::{Pieces, Want, Which};
use mailserver::{Protocol, Server};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

/// Runs the program on the data of a server; whether it succeeded, and what it said.
pub(crate) async fn mailserver(data: &Path, domain: &str, command: &str) -> (bool, String) {
    let file = data.join("command.toml");
    let text = format!(
        "hostname = \"localhost\"\ndata = \"{}\"\ndomains = [\"{domain}\"]\n",
        data.display()
    );
    std::fs::write(&file, text).unwrap();
    let mut arguments = vec!["--config", file.to_str().unwrap()];
    arguments.extend(command.split(' '));
    run(PROGRAM, &arguments, "").await
}

/// Runs commands that succeed.
pub(crate) async fn commands(house: &House, commands: &[&str]) {
    for command in commands {
        let (ok, said) = mailserver(house.data.path(), "example.test", command).await;
        assert!(ok, "{command}: {said}");
    }
}

/// The messages in the INBOX of an account.
pub(crate) async fn mail(server: &Server, account: &str) -> Vec<String> {
    let store = server.store();
    let (_, inbox) = store.find(account, "INBOX").await.unwrap().unwrap();
    let page = store.messages(inbox.id, &Which::After(None), Want::ROW, 10_000);
    let mut all = Vec::new();
    for row in page.await.unwrap().rows {
        let octets = Pieces::whole(&**store, &row.body).gather().await.unwrap();
        all.push(String::from_utf8_lossy(&octets).into_owned());
    }
    all
}

/// Waits until an account has as many messages.
pub(crate) async fn has(server: &Server, account: &str, count: usize) -> Vec<String> {
    let began = Instant::now();
    loop {
        let all = mail(server, account).await;
        if all.len() >= count {
            assert_eq!(all.len(), count, "{account}: {all:#?}");
            return all;
        }
        let late = began.elapsed() > Duration::from_secs(30);
        assert!(!late, "{account} has {} of {count}", all.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Hands a message over with swaks, from another server; whether it was accepted.
pub(crate) async fn swaks(at: SocketAddr, from: &str, to: &str, subject: &str) -> (bool, String) {
    let (server, subject) = (at.to_string(), format!("Subject: {subject}"));
    let arguments = [
        "--server", &server, "--from", from, "--to", to, "--header", &subject,
    ];
    run("swaks", &arguments, "").await
}

pub(crate) async fn send(house: &House, to: &str, subject: &str) {
    let (ok, said) = swaks(house.at(Protocol::Smtp), "x@elsewhere.test", to, subject).await;
    assert!(ok, "{to}: {said}");
}

/// A server that hands mail for other.test to an exchanger, and mail for refuses.test to one that refuses it.
pub(crate) async fn house(more: &str) -> (House, Exchanger) {
    let port = port();
    let exchanger = Exchanger::at(Ipv4Addr::LOCALHOST, port, Manner::Good).await;
    let refuses = Exchanger::at([127, 0, 0, 2].into(), port, Manner::Refuses);
    refuses.await;
    let house = House::with(&format!(
        "[auth]\nplaintext = \"always\"\n{more}\n[relay]\nretry = [\"300ms\"]\n[[relay.routes]]\n\
         domains = [\"other.test\"]\nhosts = [\"smtp+clear://127.0.0.1:{port}\"]\n\
         [[relay.routes]]\ndomains = [\"refuses.test\"]\nhosts = [\"smtp+clear://127.0.0.2:{port}\"]\n"
    ))
    .await;
    (house, exchanger)
}

/// What alice is answered when she submits that; the last line.
pub(crate) async fn submit(house: &House, lines: &str) -> String {
    let mut talk = house.talk(Protocol::Submission).await;
    let plain = base64(format!("\0alice@example.test\0{PASSWORD}").as_bytes());
    talk.send(&format!(
        "EHLO a\r\nAUTH PLAIN {plain}\r\n{lines}\r\nQUIT\r\n"
    ))
    .await;
    let said = talk.rest().await;
    let last = said.lines().rev().find(|line| !line.starts_with("221"));
    last.unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_address_command_says_what_it_did_or_what_is_wrong() {
    let house = House::new().await;
    let many = (0..=1000).map(|nth| format!(" x{nth}@other.test"));
    let many = format!("alias add many@example.test{}", many.collect::<String>());
    for (command, expected) in [
        (
            "alias add sales@example.test alice@example.test x@other.test",
            "sales@example.test stands for alice@example.test, x@other.test\n",
        ),
        (
            "alias add team@example.test bob@example.test --owner alice@example.test",
            "team@example.test stands for bob@example.test\n",
        ),
        (
            "alias add @example.test bob@example.test",
            "@example.test stands for bob@example.test\n",
        ),
        (
            "alias list",
            "@example.test\tbob@example.test\nsales@example.test\talice@example.test, x@other.test\nteam@example.test\tbob@example.test\towner alice@example.test\n",
        ),
        (
            "alias remove sales@example.test x@other.test",
            "sales@example.test stands no more for x@other.test\n",
        ),
        (
            "alias remove @example.test",
            "the alias @example.test was removed\n",
        ),
        (
            "alias remove @example.test",
            "!there is no alias @example.test",
        ),
        (
            "alias add alice@example.test x@other.test",
            "!alice@example.test is an account: `mailserver forward set` passes its mail on",
        ),
        (
            "alias add sales@other.test alice@example.test",
            "!sales@other.test is not of this server: its domains are example.test",
        ),
        (
            "alias add me@example.test you",
            "!\"you\" is not an address: write, for example, \"alice@example.org\"",
        ),
        (
            "alias add me@example.test Me@example.test",
            "!me@example.test cannot lead to itself",
        ),
        (&many, "!more than 1000 addresses of an alias are too many"),
        (
            "account add sales@example.test",
            "!sales@example.test is an alias: `mailserver alias remove` frees the name",
        ),
        (
            "domain add second.test",
            "mail for second.test is delivered here\n",
        ),
        (
            "domain alias third.test second.test",
            "third.test means second.test\n",
        ),
        (
            "domain list",
            "example.test\tin the configuration\nsecond.test\nthird.test\tmeans second.test\n",
        ),
        (
            "domain remove second.test",
            "!second.test cannot be removed: third.test is of it",
        ),
        (
            "domain remove third.test",
            "the domain third.test was removed\n",
        ),
        (
            "domain remove second.test",
            "the domain second.test was removed\n",
        ),
        (
            "domain remove example.test",
            "!example.test is in the configuration: change it there, and restart the server",
        ),
        (
            "domain alias example.test other.test",
            "!other.test is not of this server: its domains are example.test",
        ),
        (
            "identity add alice@example.test @alice.test",
            "alice@example.test may write as @alice.test\n",
        ),
        ("identity list", "alice@example.test\t@alice.test\n"),
        ("identity list bob@example.test", ""),
        (
            "identity remove alice@example.test @alice.test",
            "alice@example.test may not write as @alice.test any more\n",
        ),
        (
            "identity remove alice@example.test @alice.test",
            "!there is no identity @alice.test",
        ),
        (
            "identity add carol@example.test x@other.test",
            "!there is no account carol@example.test",
        ),
        (
            "forward set bob@example.test bob@other.test",
            "mail of bob@example.test goes to bob@other.test, with a copy in its mailbox\n",
        ),
        (
            "forward show",
            "bob@example.test\tbob@other.test\twith a copy\n",
        ),
        (
            "forward set bob@example.test bob@other.test --no-copy",
            "mail of bob@example.test goes to bob@other.test, without a copy in its mailbox\n",
        ),
        (
            "forward show bob@example.test",
            "bob@example.test\tbob@other.test\twithout a copy\n",
        ),
        (
            "forward remove bob@example.test",
            "mail of bob@example.test stays in its mailbox\n",
        ),
        (
            "forward remove bob@example.test",
            "!there is no forward of bob@example.test",
        ),
        (
            "forward set bob@example.test bob+x@example.test",
            "!bob@example.test cannot lead to itself",
        ),
    ] {
        let (ok, said) = mailserver(house.data.path(), "example.test", command).await;
        let expected = match expected.strip_prefix('!') {
            Some(error) => (false, format!("mailserver: {error}\n")),
            None => (true, expected.to_owned()),
        };
        let command = command.get(..80).unwrap_or(command);
        assert_eq!((ok, said), expected, "{command}");
    }
    house.server.stop().await;
    // And while none runs, on what it kept.
    let (ok, said) = mailserver(house.data.path(), "example.test", "alias list").await;
    let kept = "sales@example.test\talice@example.test\nteam@example.test\tbob@example.test\towner alice@example.test\n";
    assert!(ok && said == kept, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rest_of_a_domain_further_names_of_it_and_details_with_another_separator() {
    let (house, _exchanger) = house("[addresses]\nseparators = \"-\"\n").await;
    let all = [
        "domain add second.test",
        "domain alias third.test example.test",
        "alias add @second.test bob@example.test",
        "alias add abuse@second.test bob@example.test",
    ];
    commands(&house, &all).await;
    for (to, account, count) in [
        ("anybody@second.test", "bob@example.test", 1),
        ("alice-news@example.test", "alice@example.test", 1),
        ("Alice@Third.test", "alice@example.test", 2),
        ("alice-x-y@third.test", "alice@example.test", 3),
        ("postmaster@second.test", "alice@example.test", 4),
        ("abuse@example.test", "alice@example.test", 5),
        ("abuse@second.test", "bob@example.test", 2),
    ] {
        send(&house, to, to).await;
        let all = has(&house.server, account, count).await;
        assert!(
            all[count - 1].contains(&format!("Subject: {to}\r\n")),
            "{to}"
        );
    }
    for to in ["alice+x@example.test", "alice@fourth.test"] {
        let (ok, said) = swaks(house.at(Protocol::Smtp), "x@elsewhere.test", to, "0").await;
        assert!(!ok && said.contains(" 550 5."), "{to}: {said}");
    }
    // An account at a domain that came later, and submission within.
    let accounts = house.server.accounts();
    accounts.add("carol@second.test", PASSWORD).await.unwrap();
    send(&house, "carol@second.test", "hers").await;
    has(&house.server, "carol@second.test", 1).await;
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn identities_are_enforced_in_mail_from_and_in_from_as_soon_as_they_change() {
    let (house, _exchanger) = house("").await;
    let write = |path: &'static str, from: &'static str| {
        let lines = format!(
            "MAIL FROM:<{path}>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nFrom: {from}\r\n\r\nx\r\n."
        );
        let house = &house;
        async move { submit(house, &lines).await }
    };
    // A session that is open all the while.
    let mut talk = house.talk(Protocol::Submission).await;
    let plain = base64(format!("\0alice\0{PASSWORD}").as_bytes());
    talk.send(&format!("EHLO a\r\nAUTH PLAIN {plain}\r\n"))
        .await;
    talk.until("235").await;
    let alice = "alice@example.test";
    for (command, address, accepted) in [
        ("identity list", "me@alice.test", false),
        (
            "identity add alice@example.test me@alice.test",
            "me@alice.test",
            true,
        ),
        ("identity list", "you@alice.test", false),
        (
            "identity add alice@example.test @alice.test",
            "you@alice.test",
            true,
        ),
        (
            "identity remove alice@example.test @alice.test",
            "you@alice.test",
            false,
        ),
        ("identity list", "sales@example.test", false),
        (
            "alias add sales@example.test alice@example.test",
            "sales@example.test",
            true,
        ),
        (
            "alias add sales@example.test bob@example.test",
            "sales@example.test",
            true,
        ),
        (
            "alias remove sales@example.test alice@example.test",
            "sales@example.test",
            false,
        ),
        (
            "alias add list@example.test alice@example.test --owner bob@example.test",
            "list@example.test",
            false,
        ),
        (
            "alias add @example.test alice@example.test",
            "nobody@example.test",
            false,
        ),
        (
            "domain alias alias.test example.test",
            "alice@alias.test",
            true,
        ),
        ("identity list", "bob@example.test", false),
    ] {
        commands(&house, &[command]).await;
        let (path, from) = (write(address, alice).await, write(alice, address).await);
        match accepted {
            true => assert!(
                path.starts_with("250") && from.starts_with("250"),
                "{command}: {path} {from}"
            ),
            false => assert!(
                !path.starts_with("250") && from.starts_with("550 5.7.1 From"),
                "{command} {address}: {path} {from}"
            ),
        }
        talk.send(&format!("RSET\r\nMAIL FROM:<{address}>\r\n"))
            .await;
        talk.line().await;
        let said = talk.line().await;
        assert_eq!(
            said.starts_with("250"),
            accepted,
            "{command} {address}: {said}"
        );
    }
    house.server.stop().await;
    let house = House::with("[auth]\nplaintext = \"always\"\n[senders]\nas_member = false\n").await;
    commands(&house, &["alias add sales@example.test alice@example.test"]).await;
    let said = submit(&house, "MAIL FROM:<sales@example.test>").await;
    assert!(said.starts_with("553 5.7.1"), "{said}");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_change_while_twenty_connections_deliver() {
    const CONNECTIONS: usize = 20;
    const MESSAGES: usize = 30;
    let (house, _exchanger) = house("").await;
    commands(&house, &["alias add all@example.test alice@example.test"]).await;
    let mut sending = tokio::task::JoinSet::new();
    for connection in 0..CONNECTIONS {
        let at = house.at(Protocol::Smtp);
        sending.spawn(async move {
            let mut talk = Talk::new(at).await;
            talk.send("EHLO a\r\n").await;
            talk.until("250 ").await;
            for message in 0..MESSAGES {
                talk.send(&format!(
                    "MAIL FROM:<x@elsewhere.test>\r\nRCPT TO:<all@example.test>\r\nDATA\r\n\
                     Subject: {connection}.{message}.\r\n\r\nx\r\n.\r\n"
                ))
                .await;
                let said = [
                    talk.line().await,
                    talk.line().await,
                    talk.line().await,
                    talk.line().await,
                ];
                assert!(said[3].starts_with("250 2.0.0"), "{said:?}");
            }
        });
    }
    // Each message goes to alice, and to bob while the alias has him.
    let known = house.server.accounts().addresses().clone();
    let bob = vec!["bob@example.test".to_owned()];
    let mut changes = 0;
    while sending.try_join_next().is_none() {
        known
            .add_alias("all@example.test", &bob, None)
            .await
            .unwrap();
        known.remove_alias("all@example.test", &bob).await.unwrap();
        changes += 1;
    }
    while let Some(done) = sending.join_next().await {
        done.unwrap();
    }
    let all = has(&house.server, "alice@example.test", CONNECTIONS * MESSAGES).await;
    for (connection, message) in (0..CONNECTIONS).flat_map(|c| (0..MESSAGES).map(move |m| (c, m))) {
        let subject = format!("Subject: {connection}.{message}.\r\n");
        let count = all.iter().filter(|text| text.contains(&subject)).count();
        assert_eq!(count, 1, "{subject}");
    }
    assert!(changes > 5 && mail(&house.server, "bob@example.test").await.len() < all.len());
    house.server.stop().await;
}
