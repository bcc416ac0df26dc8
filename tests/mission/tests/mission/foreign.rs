//! `mailclient` with servers that nobody here wrote: Debian's Dovecot and Postfix.

use hikyaku_client::{Local, sync};
use hikyaku_mission::foreign::Foreign;
use hikyaku_mission::{Device, House, Without};
use std::time::Duration;

/// Syncs until so many messages are in INBOX: Postfix delivers when it gets to it.
async fn sync_until(device: &Device, count: usize, foreign: &Foreign) {
    for _ in 0..100 {
        device.ok(&["sync"]).await;
        if device.subjects("INBOX").await.len() >= count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{}", foreign.log());
}

async fn send(device: &Device, subject: &str, text: &str, foreign: &Foreign) {
    device
        .ok(&[
            "compose",
            "--to",
            "bob@example.test",
            "--subject",
            subject,
            "--text",
            text,
        ])
        .await;
    let sent = device.run(&["send"]).await;
    let sent = sent.unwrap_or_else(|error| panic!("{error}\n{}", foreign.log()));
    assert_eq!(sent, "bob@example.test: accepted\n");
}

/// All that an IMAP account is for, on two devices.
async fn imap(foreign: &Foreign) {
    let first = foreign.device("bob", "imap", &[]).await;
    let second = foreign
        .device("bob", "imap", &["--bodies", "headers"])
        .await;
    first.ok(&["sync"]).await;
    for number in 1..7 {
        send(
            &first,
            &format!("お茶 {number}"),
            &format!("number {number}\n.dot\n"),
            foreign,
        )
        .await;
    }
    sync_until(&first, 6, foreign).await;
    sync_until(&second, 6, foreign).await;
    let named = async |number: u32| first.named("INBOX", &format!("お茶 {number}")).await;
    let text = first.ok(&["read", &named(1).await]).await;
    assert!(text.contains("number 1\n.dot"), "{text}");
    first.ok(&["mark", "--flagged", &named(2).await]).await;
    // What is sent is in the mailbox for it, once; the mailbox is made where there is none.
    assert_eq!(second.subjects("Sent").await.len(), 6);
    first.ok(&["move", &named(3).await, "--to", "Sent"]).await;
    first.ok(&["delete", "--for-good", &named(4).await]).await;
    first
        .ok(&[
            "compose",
            "--to",
            "x@example.test",
            "--subject",
            "later",
            "--text",
            "d",
            "--draft",
        ])
        .await;
    let said = first.ok(&["sync"]).await;
    assert!(!said.contains("not done"), "{said}\n{}", foreign.log());
    let said = second.ok(&["sync"]).await;
    for device in [&first, &second] {
        let mut subjects = device.subjects("INBOX").await;
        subjects.sort();
        assert_eq!(subjects, ["お茶 1", "お茶 2", "お茶 5", "お茶 6"], "{said}");
        assert_eq!(device.subjects("Sent").await.len(), 7);
        assert_eq!(device.subjects("Drafts").await, ["later"]);
        let all = device.json(&["list", "-n", "9"]).await;
        let marked = |subject: &str, mark: &str| {
            let mut all = all.as_array().unwrap().iter();
            all.find(|one| one["subject"] == subject).unwrap()[mark]
                .as_bool()
                .unwrap()
        };
        assert!(
            marked("お茶 1", "read") && marked("お茶 2", "flagged") && !marked("お茶 5", "read")
        );
    }
    let text = second
        .ok(&["read", &second.named("INBOX", "お茶 5").await])
        .await;
    assert!(text.contains("number 5"), "{text}");
    // What changes elsewhere comes here.
    second
        .ok(&["mark", "--unread", &second.named("INBOX", "お茶 1").await])
        .await;
    second.ok(&["sync"]).await;
    assert!(first.ok(&["sync"]).await.contains("changed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn imap_with_all_that_dovecot_has() {
    let house = House::new().await;
    let Some(foreign) = Foreign::start(&house.data.path().join("tls"), "") else {
        return;
    };
    imap(&foreign).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn imap_with_a_server_that_has_imap4rev1_and_no_more() {
    let house = House::new().await;
    let bare = "imap_capability = IMAP4rev1 STARTTLS";
    let Some(foreign) = Foreign::start(&house.data.path().join("tls"), bare) else {
        return;
    };
    imap(&foreign).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn imap_with_condstore_and_without_qresync() {
    let house = House::new().await;
    let some = "imap_capability = IMAP4rev1 STARTTLS CONDSTORE UIDPLUS";
    let Some(foreign) = Foreign::start(&house.data.path().join("tls"), some) else {
        return;
    };
    imap(&foreign).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pop3() {
    let house = House::new().await;
    let Some(foreign) = Foreign::start(&house.data.path().join("tls"), "") else {
        return;
    };
    let keeps = foreign
        .device("bob", "pop", &["--delete", "when-deleted-here"])
        .await;
    let takes = foreign.device("bob", "pop", &[]).await;
    for number in 1..4 {
        send(&keeps, &format!("お茶 {number}"), "text\n.dot\n", &foreign).await;
    }
    sync_until(&keeps, 3, &foreign).await;
    assert_eq!(keeps.ok(&["sync"]).await, "bob@example.test: 0 new\n");
    keeps
        .ok(&["delete", &keeps.named("INBOX", "お茶 2").await])
        .await;
    assert_eq!(
        keeps.ok(&["sync"]).await,
        "bob@example.test: 0 new, 1 deleted from the server\n"
    );
    let said = takes.ok(&["sync"]).await;
    assert_eq!(said, "bob@example.test: 2 new, 2 deleted from the server\n");
    let text = takes
        .ok(&["read", &takes.named("INBOX", "お茶 3").await])
        .await;
    assert!(text.contains("text\n.dot"), "{text}");
    assert_eq!(takes.ok(&["sync"]).await, "bob@example.test: 0 new\n");
}

/// By UIDL, by TOP, and by the message itself: nothing is brought twice.
#[tokio::test(flavor = "multi_thread")]
async fn pop3_without_uidl_and_without_top() {
    let house = House::new().await;
    let Some(foreign) = Foreign::start(&house.data.path().join("tls"), "") else {
        return;
    };
    let sender = foreign.device("alice", "pop", &[]).await;
    let probe = foreign.device("bob", "pop", &["--delete", "never"]).await;
    for number in 1..4 {
        send(&sender, &format!("message {number}"), "text\n", &foreign).await;
    }
    sync_until(&probe, 3, &foreign).await;
    for commands in [
        vec!["UIDL", "STLS"],
        vec!["UIDL", "STLS", "TOP "],
        vec!["CAPA", "UIDL", "STLS"],
    ] {
        let device = foreign.device("bob", "pop", &["--delete", "never"]).await;
        let mut account = device.account();
        account.incoming.security = hikyaku_client::Security::None;
        let network = Without {
            inner: hikyaku_client::Tcp::default(),
            commands: commands.clone(),
        };
        let local: Local = device.local().await;
        for _ in 0..2 {
            let report = sync(&network, &local, &account, &()).await.unwrap();
            assert_eq!(report.deleted, 0);
            assert_eq!(
                local.list("INBOX", 10).await.unwrap().len(),
                3,
                "{commands:?}"
            );
        }
        account.delete = hikyaku_client::Deletion::WhenDeletedHere;
        let first = local.list("INBOX", 10).await.unwrap().pop().unwrap();
        local.move_to(&first, "Sent").await.unwrap();
        let report = sync(&network, &local, &account, &()).await.unwrap();
        assert_eq!((report.new, report.deleted), (0, 0), "{commands:?}");
        assert_eq!(local.list("INBOX", 10).await.unwrap().len(), 2);
    }
    assert_eq!(probe.ok(&["sync"]).await, "bob@example.test: 0 new\n");
}
