//! IMAP: the list of what is lacked, the bodies that are picked, and mail that stays for all devices.

use hikyaku_client::sync;
use hikyaku_mission::{Broken, House, places};
use std::sync::atomic::Ordering;

#[tokio::test(flavor = "multi_thread")]
async fn on_connecting_the_list_comes_and_the_bodies_that_are_picked() {
    let house = House::new().await;
    house.deliver_many(1..4).await;
    let device = house.device("imap", &["--bodies", "headers"]).await;
    assert_eq!(device.ok(&["sync"]).await, "bob@example.test: 3 new\n");
    let all = device.json(&["list"]).await;
    assert_eq!(
        (&all[0]["subject"], &all[0]["read"]),
        (&"message 3".into(), &false.into())
    );
    let octets = all[0]["octets"].as_u64().unwrap();
    assert!(octets > 200, "{octets}");
    let name = device.named("INBOX", "message 2").await;
    let text = device.ok(&["read", &name]).await;
    assert!(text.contains("The body of number 2.\n.dot"), "{text}");
    // What was picked is here from now on, what was not is not.
    house.server.stop().await;
    assert_eq!(device.ok(&["read", &name]).await, text);
    let other = device.named("INBOX", "message 1").await;
    let error = device.run(&["read", &other]).await.unwrap_err();
    assert!(
        error.to_string().contains("is not on this device yet"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn all_can_be_read_offline_and_stays_on_the_server_for_every_other_device() {
    let house = House::new().await;
    house.deliver_many(1..4).await;
    let first = house.device("imap", &[]).await;
    let second = house.device("imap", &[]).await;
    assert_eq!(
        first.ok(&["sync"]).await,
        "bob@example.test: 3 new, 3 downloaded\n"
    );
    assert_eq!(
        second.ok(&["sync"]).await,
        "bob@example.test: 3 new, 3 downloaded\n"
    );
    assert_eq!(first.ok(&["sync"]).await, "bob@example.test: 0 new\n");
    house.server.stop().await;
    for device in [&first, &second] {
        for number in 1..4 {
            let name = device.named("INBOX", &format!("message {number}")).await;
            assert!(
                device
                    .ok(&["read", &name])
                    .await
                    .contains(&format!("number {number}."))
            );
        }
        assert!(
            device
                .ok(&["search", "body of number 3"])
                .await
                .contains("message 3")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_offline_is_done_on_the_server_at_the_next_sync() {
    let house = House::new().await;
    house.deliver_many(1..6).await;
    let first = house.device("imap", &[]).await;
    let second = house.device("imap", &[]).await;
    first.ok(&["sync"]).await;
    let named = async |number: u32| first.named("INBOX", &format!("message {number}")).await;
    first.ok(&["read", &named(1).await]).await;
    first.ok(&["mark", "--flagged", &named(2).await]).await;
    first
        .ok(&["move", &named(3).await, "--to", "Archive"])
        .await;
    first.ok(&["delete", &named(4).await]).await;
    first.ok(&["delete", "--for-good", &named(5).await]).await;
    first
        .ok(&[
            "compose",
            "--to",
            "x@example.test",
            "--subject",
            "later",
            "--text",
            "draft",
            "--draft",
        ])
        .await;
    // It is shown as it will be.
    assert_eq!(first.subjects("INBOX").await, ["message 2", "message 1"]);
    assert_eq!(first.subjects("Archive").await, ["message 3"]);
    assert_eq!(first.subjects("Trash").await, ["message 4"]);
    assert_eq!(first.subjects("Drafts").await, ["later"]);
    // Nothing of it is on the server yet.
    second.ok(&["sync"]).await;
    assert_eq!(second.subjects("INBOX").await.len(), 5);
    let said = first.ok(&["sync"]).await;
    assert!(
        said.contains("6 sent to the server") && !said.contains("not done"),
        "{said}"
    );
    let said = second.ok(&["sync"]).await;
    for device in [&first, &second] {
        assert_eq!(
            device.subjects("INBOX").await,
            ["message 2", "message 1"],
            "{said}"
        );
        assert_eq!(device.subjects("Archive").await, ["message 3"]);
        assert_eq!(device.subjects("Trash").await, ["message 4"]);
        assert_eq!(device.subjects("Drafts").await, ["later"]);
        let all = device.json(&["list"]).await;
        assert_eq!(
            (&all[0]["flagged"], &all[1]["read"]),
            (&true.into(), &true.into())
        );
    }
    assert!(
        first
            .ok(&["read", &first.named("Drafts", "later").await])
            .await
            .contains("draft")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_anywhere_loses_and_doubles_nothing() {
    const CUTS: u64 = 100;
    const MANY: u64 = 1 << 40;
    let house = House::new().await;
    house.deliver_many(1..8).await;
    let probe = house.device("imap", &[]).await;
    let network = Broken::after(MANY, probe.account().ca);
    let local = probe.local().await;
    sync(&network, &local, &probe.account(), &()).await.unwrap();
    let octets = MANY - network.left.load(Ordering::Relaxed);
    drop(local);
    let device = house.device("imap", &[]).await;
    // What waits to be sent is sent once, wherever the connection is cut.
    device.ok(&["sync"]).await;
    let name = device.named("INBOX", "message 7").await;
    device.ok(&["move", &name, "--to", "Archive"]).await;
    device
        .ok(&[
            "compose",
            "--to",
            "x@example.test",
            "--subject",
            "mine",
            "--text",
            "draft",
            "--draft",
        ])
        .await;
    house.deliver_many(8..12).await;
    let local = device.local().await;
    let mut cut = 0;
    for place in places(octets, CUTS) {
        let network = Broken::after(place, device.account().ca);
        cut += u32::from(
            sync(&network, &local, &device.account(), &())
                .await
                .is_err(),
        );
    }
    drop(local);
    assert!(cut > 30, "{cut}");
    device.ok(&["sync"]).await;
    let fresh = house.device("imap", &[]).await;
    fresh.ok(&["sync"]).await;
    for (name, device) in [("the same device", &device), ("a fresh one", &fresh)] {
        let mut subjects = device.subjects("INBOX").await;
        let mut expected: Vec<_> = (1..12)
            .filter(|n| *n != 7)
            .map(|n| format!("message {n}"))
            .collect();
        subjects.sort();
        expected.sort();
        assert_eq!(subjects, expected, "{name}");
        assert_eq!(device.subjects("Archive").await, ["message 7"]);
        assert_eq!(device.subjects("Drafts").await, ["mine"]);
    }
}

/// The server has taken a message and its OK is cut: the message is looked for before it is sent again.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_not_doubled_wherever_its_ok_is_cut() {
    const STEP: u64 = 20;
    let house = House::new().await;
    let device = house.device("imap", &[]).await;
    device.ok(&["sync"]).await;
    device
        .ok(&[
            "compose",
            "--to",
            "x@example.test",
            "--subject",
            "mine",
            "--text",
            "draft",
            "--draft",
        ])
        .await;
    let local = device.local().await;
    let (mut octets, mut cut) = (0, 0);
    loop {
        octets += STEP;
        let network = Broken::after(octets, device.account().ca);
        if sync(&network, &local, &device.account(), &()).await.is_ok() {
            break;
        }
        cut += 1;
    }
    drop(local);
    assert!(cut > 50, "{cut}");
    let fresh = house.device("imap", &[]).await;
    fresh.ok(&["sync"]).await;
    assert_eq!(fresh.subjects("Drafts").await, ["mine"]);
}
