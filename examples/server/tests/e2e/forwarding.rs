//! What an alias, a list and a forward pass on: each copy, each notification, and the end of loops.

use crate::addresses::{commands, has, house, mail, mailserver, send, submit, swaks};
use crate::exchanger::port;
use crate::harness::{House, PASSWORD, config};
use mailserver::{Addresses, Protocol, Server};
use std::time::Duration;

/// A message for one recipient by LMTP, which has no room for it.
async fn lmtp_refuses(house: &House, to: &str) {
    let mut lmtp = house.talk(Protocol::Lmtp).await;
    lmtp.send(&format!(
        "LHLO a\r\nMAIL FROM:<x@elsewhere.test>\r\nRCPT TO:<{to}>\r\nDATA\r\nSubject: b\r\n\r\nc\r\n.\r\nQUIT\r\n"
    ))
    .await;
    let said = lmtp.rest().await;
    assert!(said.contains("\n452 4.2.2"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alias_goes_to_two_accounts_and_one_address_elsewhere() {
    let (house, exchanger) = house("").await;
    let (ok, _) = swaks(
        house.at(Protocol::Smtp),
        "x@elsewhere.test",
        "sales@example.test",
        "0",
    )
    .await;
    assert!(!ok);
    let add = "alias add sales@example.test alice@example.test bob@example.test x@other.test";
    commands(&house, &[add]).await;
    // Whoever is named twice gets it once.
    send(&house, "Sales@example.test,alice@example.test", "first").await;
    let wait = Duration::from_secs(10);
    exchanger.takes("first", wait).await;
    let (alice, bob) = (
        has(&house.server, "alice@example.test", 1).await,
        has(&house.server, "bob@example.test", 1).await,
    );
    assert!(!alice[0].contains("Delivered-To"), "{alice:?}");
    let head = "Return-Path: <x@elsewhere.test>\r\nDelivered-To: Sales@example.test\r\nReceived:";
    assert!(bob[0].starts_with(head), "{bob:?}");
    let sent = exchanger.seen.lock().unwrap().messages[0].1.clone();
    assert!(
        sent.starts_with("Delivered-To: Sales@example.test\nReceived:"),
        "{sent}"
    );
    // One that is full waits, and keeps nobody from it.
    let accounts = house.server.accounts();
    accounts.set_quota("alice@example.test", 1).await.unwrap();
    send(&house, "sales@example.test", "second").await;
    exchanger.takes("second", wait).await;
    has(&house.server, "bob@example.test", 2).await;
    accounts
        .set_quota("alice@example.test", 1 << 20)
        .await
        .unwrap();
    has(&house.server, "alice@example.test", 2).await;
    // Removed, it is gone at once.
    commands(&house, &["alias remove sales@example.test"]).await;
    let (ok, said) = swaks(
        house.at(Protocol::Smtp),
        "x@elsewhere.test",
        "sales@example.test",
        "0",
    )
    .await;
    assert!(!ok && said.contains("550 5.1.1"), "{said}");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lmtp_answers_once_for_each_recipient_whatever_it_stands_for() {
    let (house, _exchanger) = house("").await;
    let both = "alias add both@example.test alice@example.test bob@example.test";
    commands(
        &house,
        &[both, "alias add one@example.test alice@example.test"],
    )
    .await;
    let mut lmtp = house.talk(Protocol::Lmtp).await;
    lmtp.send(
        "LHLO a\r\nMAIL FROM:<x@elsewhere.test>\r\nRCPT TO:<both@example.test>\r\nRCPT TO:<one@example.test>\r\n\
         RCPT TO:<bob@example.test>\r\nRCPT TO:<nobody@example.test>\r\nDATA\r\n",
    )
    .await;
    lmtp.until("354").await;
    // It fills up between RCPT and the end of the message.
    let accounts = house.server.accounts();
    accounts.set_quota("alice@example.test", 1).await.unwrap();
    lmtp.send("Subject: a\r\n\r\nb\r\n.\r\nQUIT\r\n").await;
    let said = lmtp.rest().await;
    let codes: Vec<_> = said.lines().filter_map(|line| line.get(..9)).collect();
    assert_eq!(
        codes,
        ["250 2.0.0", "250 2.0.0", "250 2.0.0", "221 2.0.0"],
        "{said}"
    );
    has(&house.server, "bob@example.test", 1).await;
    // It waits for her once, though two named her, and whom nobody else has it for is refused.
    lmtp_refuses(&house, "one@example.test").await;
    accounts
        .set_quota("alice@example.test", 1 << 20)
        .await
        .unwrap();
    has(&house.server, "alice@example.test", 1).await;
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_forwarded_with_and_without_a_copy() {
    let (house, exchanger) = house("").await;
    let wait = Duration::from_secs(10);
    commands(&house, &["forward set bob@example.test bob@other.test"]).await;
    send(&house, "bob+x@example.test", "with").await;
    exchanger.takes("with", wait).await;
    has(&house.server, "bob@example.test", 1).await;
    commands(
        &house,
        &["forward set bob@example.test bob@other.test --no-copy"],
    )
    .await;
    send(&house, "bob@example.test", "without").await;
    exchanger.takes("without", wait).await;
    commands(&house, &["forward remove bob@example.test"]).await;
    send(&house, "bob@example.test", "none").await;
    let all = has(&house.server, "bob@example.test", 2).await;
    assert!(all[1].contains("Subject: none"), "{all:?}");
    assert_eq!(exchanger.count("none"), 0);
    // A notification for a sender who is forwarded goes where their mail goes.
    commands(
        &house,
        &["forward set alice@example.test bob@example.test --no-copy"],
    )
    .await;
    let said = submit(
        &house,
        "MAIL FROM:<alice@example.test>\r\nRCPT TO:<y@refuses.test>\r\nDATA\r\nSubject: refused\r\n\r\nx\r\n.",
    );
    let said = said.await;
    assert!(said.starts_with("250"), "{said}");
    let all = has(&house.server, "bob@example.test", 3).await;
    assert!(
        all[2].contains("Final-Recipient: rfc822; y@refuses.test"),
        "{all:?}"
    );
    assert!(mail(&house.server, "alice@example.test").await.is_empty());
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_asked_for_an_alias_and_for_a_list_is_answered() {
    let (house, exchanger) = house("").await;
    let all = [
        "alias add both@example.test bob@example.test x@other.test",
        "alias add list@example.test x@refuses.test --owner bob@example.test",
        "alias add half@example.test bob@example.test x@refuses.test",
    ];
    commands(&house, &all).await;
    let ask = |to: &'static str, subject: &'static str| {
        let lines = format!(
            "MAIL FROM:<alice@example.test> ENVID=Q1\r\nRCPT TO:<{to}> NOTIFY=SUCCESS,FAILURE\r\nDATA\r\n\
             Subject: {subject}\r\n\r\nx\r\n."
        );
        let house = &house;
        async move {
            let said = submit(house, &lines).await;
            assert!(said.starts_with("250"), "{said}");
        }
    };
    ask("both@example.test", "alias").await;
    let alice = has(&house.server, "alice@example.test", 1).await;
    assert!(
        alice[0].contains("Final-Recipient: rfc822; both@example.test\r\nAction: expanded"),
        "{alice:?}"
    );
    exchanger.takes("alias", Duration::from_secs(10)).await;
    has(&house.server, "bob@example.test", 1).await;
    // The list has it, and that is all that its sender hears. What a member refuses is the owner's.
    ask("list@example.test", "list").await;
    let alice = has(&house.server, "alice@example.test", 2).await;
    assert!(
        alice[1].contains("Final-Recipient: rfc822; list@example.test\r\nAction: delivered"),
        "{alice:?}"
    );
    let bob = has(&house.server, "bob@example.test", 2).await;
    assert!(
        bob[1].contains("Final-Recipient: rfc822; x@refuses.test\r\nAction: failed"),
        "{bob:?}"
    );
    assert!(!bob[1].contains("Original-Envelope-Id"), "{bob:?}");
    // A member of an alias refuses: its sender hears of it, by the address that they wrote.
    ask("half@example.test", "refused").await;
    let alice = has(&house.server, "alice@example.test", 4).await;
    let failed = alice
        .iter()
        .find(|text| text.contains("Action: failed"))
        .unwrap();
    assert!(
        failed.contains("Original-Recipient: rfc822; half@example.test"),
        "{failed}"
    );
    house.server.stop().await;
}

/// Two servers of ours, on fixed ports, that know the way to each other.
async fn two(first: &str, second: &str) -> [(Server, tempfile::TempDir); 2] {
    let ports = [port(), port()];
    let start = |domain: &str, own: u16, other: &str, port: u16| {
        let data = tempfile::tempdir().unwrap();
        let more = format!(
            "[auth]\nplaintext = \"always\"\n[senders]\nprotect = false\n[relay]\nretry = [\"300ms\"]\n\
             [[relay.routes]]\ndomains = [\"{other}\"]\nhosts = [\"smtp+clear://127.0.0.1:{port}\"]\n"
        );
        let mut config = config(data.path(), domain, &more);
        config.listen.smtp = Addresses::One(format!("127.0.0.1:{own}"));
        async move { (Server::start(config).await.unwrap(), data) }
    };
    [
        start(first, ports[0], second, ports[1]).await,
        start(second, ports[1], first, ports[0]).await,
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_of_two_forwarders_ends_with_a_notification() {
    let [(one, data_one), (two, data_two)] = two("one.test", "two.test").await;
    for (server, data, account, to) in [
        (&one, &data_one, "bob@one.test", "bob@two.test"),
        (&two, &data_two, "bob@two.test", "bob@one.test"),
    ] {
        server.accounts().add(account, PASSWORD).await.unwrap();
        let domain = account.split_once('@').unwrap().1;
        let command = format!("forward set {account} {to}");
        let (ok, said) = mailserver(data.path(), domain, &command).await;
        assert!(ok, "{said}");
    }
    one.accounts()
        .add("alice@one.test", PASSWORD)
        .await
        .unwrap();
    let at = one.address(Protocol::Smtp).unwrap();
    let (ok, said) = swaks(at, "alice@one.test", "bob@one.test", "round").await;
    assert!(ok, "{said}");
    // Each has its copy, once, and who wrote it a notification.
    let alice = has(&one, "alice@one.test", 1).await;
    assert!(
        alice[0].contains("Mail loop") && alice[0].contains("Status: 5.4.6"),
        "{alice:?}"
    );
    assert_eq!(mail(&one, "bob@one.test").await.len(), 1);
    assert_eq!(mail(&two, "bob@two.test").await.len(), 1);
    for server in [&one, &two] {
        assert!(server.store().queue(None, 9).await.unwrap().is_empty());
    }
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_keeps_no_other_recipient_from_the_message() {
    let (house, _exchanger) = house("").await;
    commands(&house, &["alias add sales@example.test bob@example.test"]).await;
    let lines = |to: &str| {
        let to = to
            .split(' ')
            .map(|to| format!("RCPT TO:<{to}@example.test>\r\n"));
        format!(
            "MAIL FROM:<alice@example.test>\r\n{}DATA\r\nDelivered-To: SALES@example.test\r\nSubject: again\r\n\r\nx\r\n.",
            to.collect::<String>()
        )
    };
    let said = submit(&house, &lines("sales")).await;
    assert!(said.starts_with("554 5.4.6"), "{said}");
    let said = submit(&house, &lines("bob sales")).await;
    assert!(said.starts_with("250"), "{said}");
    has(&house.server, "bob@example.test", 1).await;
    let alice = has(&house.server, "alice@example.test", 1).await;
    assert!(
        alice[0].contains("Final-Recipient: rfc822; sales@example.test\r\nAction: failed"),
        "{alice:?}"
    );
    house.server.stop().await;
}
