//! A server that is always on, clients that are not, and clients that stay up to date.

use hikyaku_client::{Account, Dial, Tcp};
use hikyaku_mission::{Device, House, config};
use mailclient::{Dialer, Synced, watch};
use mailserver::Server;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

#[tokio::test(flavor = "multi_thread")]
async fn mail_rests_on_a_server_while_the_terminals_are_off() {
    let house = House::new().await;
    let alice = house.device_of("alice", "pop", &[]).await;
    let bob = house.device("imap", &[]).await;
    alice
        .ok(&[
            "compose",
            "--to",
            "bob@example.test",
            "--subject",
            "rests",
            "--text",
            "x",
        ])
        .await;
    alice.ok(&["send"]).await;
    drop(alice);
    // The server itself may stop and start in between: what it accepted is on stable storage.
    let House { server, data, .. } = house;
    let folder = data.path().to_owned();
    server.stop().await;
    let again = Server::start(config(
        &folder,
        "example.test",
        "[auth]\nplaintext = \"always\"\n",
    ))
    .await
    .unwrap();
    let port = again.address(mailserver::Protocol::Imaps).unwrap().port();
    let path = bob.home.path().join("accounts.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let old = bob.account().incoming.port.to_string();
    std::fs::write(&path, text.replace(&old, &port.to_string())).unwrap();
    bob.ok(&["sync"]).await;
    assert_eq!(bob.subjects("INBOX").await, ["rests"]);
}

/// A `watch` that runs until the sender is used or dropped.
fn watching(device: &Device) -> (oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let (stop, stopped) = oneshot::channel::<()>();
    let (folder, account) = (device.home.path().to_owned(), device.account());
    let dialer: Dialer = Arc::new(|account: &Account| {
        let ca = account.ca.clone();
        Arc::new(Tcp {
            ca,
            ..Tcp::default()
        }) as Arc<dyn Dial>
    });
    let synced: Synced = Arc::new(|_, _| {});
    let running = tokio::spawn(async move {
        let stop = async {
            let _ = stopped.await;
        };
        watch(&folder, vec![account], dialer, synced, stop)
            .await
            .unwrap();
    });
    (stop, running)
}

async fn until(device: &Device, count: usize) {
    let started = Instant::now();
    while device.subjects("INBOX").await.len() < count {
        assert!(started.elapsed() < Duration::from_secs(20), "nothing comes");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pop_polls_at_an_interval_while_the_program_runs() {
    let house = House::new().await;
    let device = house.device("pop", &["--interval", "1s"]).await;
    let (stop, running) = watching(&device);
    house.deliver_many(1..2).await;
    until(&device, 1).await;
    house.deliver_many(2..4).await;
    until(&device, 3).await;
    let _ = stop.send(());
    running.await.unwrap();
    house.deliver_many(4..5).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(device.subjects("INBOX").await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn and_on_request_by_hand() {
    let house = House::new().await;
    let device = house.device("pop", &["--interval", "1h"]).await;
    house.deliver_many(1..2).await;
    assert_eq!(
        device.ok(&["sync"]).await,
        "bob@example.test: 1 new, 1 deleted from the server\n"
    );
    assert!(device.run(&["sync", "--now"]).await.is_err());
    let (stop, running) = watching(&device);
    house.deliver_many(2..3).await;
    // From another terminal; the one that runs may be at its first sync still.
    let started = Instant::now();
    while device.subjects("INBOX").await.len() < 2 {
        assert!(started.elapsed() < Duration::from_secs(20), "nothing comes");
        if let Ok(said) = device.run(&["sync", "--now"]).await {
            assert!(said.starts_with("bob@example.test: "), "{said}");
        }
    }
    house.deliver_many(3..4).await;
    let said = device.ok(&["sync", "--now"]).await;
    assert_eq!(said, "bob@example.test: 1 new, 1 deleted from the server\n");
    let _ = stop.send(());
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn imap_is_told_when_mail_comes() {
    let house = House::new().await;
    let device = house.device("imap", &["--interval", "1h"]).await;
    let (stop, running) = watching(&device);
    house.deliver_many(1..2).await;
    until(&device, 1).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    house.deliver_many(2..3).await;
    until(&device, 2).await;
    let _ = stop.send(());
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_deletes_fills_the_mailbox_until_mail_is_refused() {
    let house = House::new().await;
    house
        .server
        .accounts()
        .set_quota("bob@example.test", 20 * 1024)
        .await
        .unwrap();
    let device = house.device("imap", &["--bodies", "headers"]).await;
    let message = |number: u32| {
        format!(
            "Subject: large {number}\n\n{}",
            "x".repeat(60).repeat(75) + "\n"
        )
    };
    let mut number = 0;
    let refused = loop {
        number += 1;
        assert!(number < 10);
        let said = house.deliver("bob", &message(number)).await;
        if !said.contains("250 2.0.0 Delivered") {
            break said;
        }
    };
    assert!(
        refused.contains("\n452 4.2.2 ") || refused.contains("\n552 5.2.2 "),
        "{refused}"
    );
    // The client says so before it is too late.
    let said = device.ok(&["sync"]).await;
    assert!(
        said.contains("the mailbox is 9") && said.contains("% full"),
        "{said}"
    );
    let error = device
        .run(&[
            "compose",
            "--to",
            "x@example.test",
            "--subject",
            "more",
            "--text",
            &message(0),
            "--draft",
        ])
        .await;
    assert!(error.is_ok());
    let error = device.run(&["sync"]).await.unwrap_err();
    assert_eq!(error.exit_code(), 7);
    // What was not taken is not lost.
    assert_eq!(device.subjects("Drafts").await, ["more"]);
    // And after a deletion the mailbox takes mail again.
    device
        .ok(&[
            "delete",
            "--for-good",
            &device.named("INBOX", "large 1").await,
        ])
        .await;
    device
        .ok(&[
            "delete",
            "--for-good",
            &device.named("INBOX", "large 2").await,
        ])
        .await;
    let said = device.ok(&["sync"]).await;
    assert!(!said.contains("full"), "{said}");
    let said = house.deliver("bob", &message(99)).await;
    assert!(said.contains("250 2.0.0 Delivered"), "{said}");
}
