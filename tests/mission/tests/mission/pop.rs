//! POP: everything stored is downloaded, and by default deleted from the server.

use hikyaku_client::sync;
use hikyaku_mission::{Broken, Device, House, places};
use std::sync::atomic::Ordering;

async fn on_the_server(house: &House) -> Vec<String> {
    let other = house.device("imap", &["--bodies", "headers"]).await;
    other.ok(&["sync"]).await;
    let mut all = other.subjects("INBOX").await;
    all.reverse();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn all_is_downloaded_and_deleted_and_no_other_device_can_get_it() {
    let house = House::new().await;
    house.deliver_many(1..4).await;
    let first = house.device("pop", &[]).await;
    let second = house.device("pop", &[]).await;
    let said = first.ok(&["sync"]).await;
    assert_eq!(said, "bob@example.test: 3 new, 3 deleted from the server\n");
    assert_eq!(second.ok(&["sync"]).await, "bob@example.test: 0 new\n");
    assert_eq!(first.subjects("INBOX").await.len(), 3);
    assert!(on_the_server(&house).await.is_empty());
    // Nothing is doubled, and nothing comes back.
    assert_eq!(first.ok(&["sync"]).await, "bob@example.test: 0 new\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_then_readable_offline() {
    let house = House::new().await;
    house.deliver_many(1..3).await;
    let device = house.device("pop", &[]).await;
    device.ok(&["sync"]).await;
    house.server.stop().await;
    let text = device
        .ok(&["read", &device.named("INBOX", "message 2").await])
        .await;
    assert!(text.contains("The body of number 2.\n.dot"), "{text}");
    assert!(
        device
            .ok(&["search", "number 1"])
            .await
            .contains("message 1")
    );
    let error = device.run(&["sync"]).await.unwrap_err();
    assert_eq!(error.exit_code(), 4, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_after_n_days() {
    let house = House::new().await;
    house.deliver_many(1..3).await;
    let later = house.device("pop", &["--delete", "after-7-days"]).await;
    later.ok(&["sync"]).await;
    assert_eq!(on_the_server(&house).await, ["message 1", "message 2"]);
    // A second device gets all of it meanwhile.
    let second = house.device("pop", &["--delete", "after-0-days"]).await;
    assert_eq!(
        second.ok(&["sync"]).await,
        "bob@example.test: 2 new, 2 deleted from the server\n"
    );
    assert!(on_the_server(&house).await.is_empty());
    assert_eq!(later.subjects("INBOX").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_when_deleted_locally() {
    let house = House::new().await;
    house.deliver_many(1..4).await;
    let device = house
        .device("pop", &["--delete", "when-deleted-here"])
        .await;
    device.ok(&["sync"]).await;
    assert_eq!(device.ok(&["sync"]).await, "bob@example.test: 0 new\n");
    device
        .ok(&["delete", &device.named("INBOX", "message 2").await])
        .await;
    assert_eq!(
        device.ok(&["sync"]).await,
        "bob@example.test: 0 new, 1 deleted from the server\n"
    );
    assert_eq!(on_the_server(&house).await, ["message 1", "message 3"]);
    // It is in the trash here, and goes from there for good; moving is not deleting.
    assert_eq!(device.subjects("Trash").await, ["message 2"]);
    device
        .ok(&["delete", &device.named("Trash", "message 2").await])
        .await;
    assert!(device.subjects("Trash").await.is_empty());
    device
        .ok(&[
            "move",
            &device.named("INBOX", "message 1").await,
            "--to",
            "Drafts",
        ])
        .await;
    assert_eq!(device.ok(&["sync"]).await, "bob@example.test: 0 new\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_never() {
    let house = House::new().await;
    house.deliver_many(1..3).await;
    let device = house.device("pop", &["--delete", "never"]).await;
    assert_eq!(device.ok(&["sync"]).await, "bob@example.test: 2 new\n");
    device
        .ok(&[
            "delete",
            "--for-good",
            &device.named("INBOX", "message 1").await,
        ])
        .await;
    house.deliver_many(3..4).await;
    assert_eq!(device.ok(&["sync"]).await, "bob@example.test: 1 new\n");
    assert_eq!(device.subjects("INBOX").await, ["message 3", "message 2"]);
    assert_eq!(on_the_server(&house).await.len(), 3);
}

/// How many messages the server has for bob.
async fn in_the_maildrop(house: &House) -> u32 {
    let store = house.server.store();
    let account = store.account("bob@example.test").await.unwrap().unwrap();
    let mailboxes = store.mailboxes(account.id, None).await.unwrap().mailboxes;
    mailboxes
        .iter()
        .find(|mailbox| mailbox.name == "INBOX")
        .unwrap()
        .messages
}

/// What a sync that ends nowhere costs: octets from the server.
async fn whole_sync(house: &House, device: &Device) -> u64 {
    const MANY: u64 = 1 << 40;
    let network = Broken::after(MANY, device.account().ca);
    let local = device.local().await;
    sync(&network, &local, &device.account(), &())
        .await
        .unwrap();
    let _ = house;
    MANY - network.left.load(Ordering::Relaxed)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_anywhere_loses_doubles_and_deletes_nothing() {
    const CUTS: u64 = 100;
    let house = House::new().await;
    house.deliver_many(1..8).await;
    let probe = house.device("pop", &["--delete", "never"]).await;
    let octets = whole_sync(&house, &probe).await;
    let device = house.device("pop", &[]).await;
    let local = device.local().await;
    let mut cut = 0;
    for place in places(octets, CUTS) {
        let network = Broken::after(place, device.account().ca);
        if sync(&network, &local, &device.account(), &()).await.is_ok() {
            break;
        }
        cut += 1;
        // What is not on this disk is on the server. With QUIT on its way the server may have deleted what is.
        let here = local.list("INBOX", 100).await.unwrap().len();
        assert!(
            here == 7 || in_the_maildrop(&house).await == 7,
            "{here} at {place}"
        );
    }
    drop(local);
    assert!(cut > 40, "{cut}");
    device.ok(&["sync"]).await;
    let mut subjects = device.subjects("INBOX").await;
    subjects.sort();
    assert_eq!(
        subjects,
        (1..8).map(|n| format!("message {n}")).collect::<Vec<_>>()
    );
    assert!(on_the_server(&house).await.is_empty());
}
