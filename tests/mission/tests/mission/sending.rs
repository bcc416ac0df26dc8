//! Sending: through the own server to the server where the recipient is registered.

use hikyaku_mission::House;

#[tokio::test(flavor = "multi_thread")]
async fn a_message_goes_to_the_own_server_and_is_read_by_the_recipient() {
    let house = House::new().await;
    let alice = house
        .device_of("alice", "imap", &["--name", "Alice 飛脚"])
        .await;
    let bob = house.device("imap", &[]).await;
    alice.ok(&["sync"]).await;
    let file = alice.home.path().join("図.txt");
    std::fs::write(&file, "in a file").unwrap();
    let file = file.display().to_string();
    alice
        .ok(&[
            "compose",
            "--to",
            "Bob <bob@example.test>",
            "--subject",
            "お茶",
            "--text",
            "tea?",
            "--attach",
            &file,
        ])
        .await;
    assert_eq!(
        alice.json(&["outbox"]).await[0]["to"][0],
        "bob@example.test"
    );
    assert_eq!(alice.ok(&["send"]).await, "bob@example.test: accepted\n");
    assert_eq!(alice.ok(&["outbox"]).await, "");
    bob.ok(&["sync"]).await;
    let name = bob.named("INBOX", "お茶").await;
    let text = bob.ok(&["read", &name]).await;
    assert!(
        text.contains("Alice 飛脚") && text.contains("tea?") && text.contains("図.txt"),
        "{text}"
    );
    let to = bob.home.path().display().to_string();
    bob.ok(&["save", &name, "--to", &to]).await;
    assert_eq!(
        std::fs::read_to_string(bob.home.path().join("図.txt")).unwrap(),
        "in a file"
    );
    // And an answer comes back.
    bob.ok(&["reply", &name, "--text", "yes\n"]).await;
    bob.ok(&["send"]).await;
    alice.ok(&["sync"]).await;
    let text = alice
        .ok(&["read", &alice.named("INBOX", "Re: お茶").await])
        .await;
    assert!(text.contains("yes") && text.contains("> tea?"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_imap_sent_mail_is_kept_on_the_server_too() {
    let house = House::new().await;
    let device = house.device_of("alice", "imap", &[]).await;
    let second = house.device_of("alice", "imap", &[]).await;
    device.ok(&["sync"]).await;
    device
        .ok(&[
            "compose",
            "--to",
            "bob@example.test",
            "--subject",
            "once",
            "--text",
            "x",
        ])
        .await;
    device.ok(&["send"]).await;
    assert_eq!(device.subjects("Sent").await, ["once"]);
    device.ok(&["sync"]).await;
    second.ok(&["sync"]).await;
    assert_eq!(device.subjects("Sent").await, ["once"]);
    assert_eq!(second.subjects("Sent").await, ["once"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_pop_sent_mail_is_not_kept_on_the_server() {
    let house = House::new().await;
    let device = house.device_of("alice", "pop", &[]).await;
    let second = house.device_of("alice", "imap", &[]).await;
    device
        .ok(&[
            "compose",
            "--to",
            "bob@example.test",
            "--subject",
            "once",
            "--text",
            "x",
        ])
        .await;
    device.ok(&["send"]).await;
    assert_eq!(device.subjects("Sent").await, ["once"]);
    device.ok(&["sync"]).await;
    second.ok(&["sync"]).await;
    assert!(second.subjects("Sent").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sender_is_told_why_not() {
    let house = House::new().await;
    let device = house.device_of("alice", "pop", &[]).await;
    device
        .ok(&[
            "compose",
            "--to",
            "nobody@example.test",
            "--subject",
            "lost?",
            "--text",
            "x",
        ])
        .await;
    let error = device.run(&["send"]).await.unwrap_err();
    assert_eq!(error.exit_code(), 7);
    // Nobody took it: it is among the drafts, to be put right.
    assert_eq!(device.subjects("Drafts").await, ["lost?"]);
    assert_eq!(device.ok(&["outbox"]).await, "");
    house.server.stop().await;
    device
        .ok(&[
            "compose",
            "--to",
            "bob@example.test",
            "--subject",
            "waits",
            "--text",
            "x",
        ])
        .await;
    assert_eq!(device.run(&["send"]).await.unwrap_err().exit_code(), 4);
    assert_eq!(
        device.json(&["outbox"]).await[0]["to"][0],
        "bob@example.test"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_own_server_hands_it_on_to_the_server_of_the_recipients_domain() {
    let there = House::with("b.test", "").await;
    let dns = crate::dns::serve("b.test").await;
    let port = there.at(mailserver::Protocol::Smtp).port();
    let relay = format!(
        "[relay]\ndns = [\"{dns}\"]\nport = {port}\nretry = [\"200ms\"]\nexpire = \"2s\"\n"
    );
    let here = House::with("a.test", &relay).await;
    let alice = here.device_of("alice", "imap", &[]).await;
    let bob = there.device("pop", &[]).await;
    alice.ok(&["sync"]).await;
    alice
        .ok(&[
            "compose",
            "--to",
            "bob@b.test",
            "--subject",
            "far",
            "--text",
            "x",
        ])
        .await;
    assert_eq!(alice.ok(&["send"]).await, "bob@b.test: accepted\n");
    until(&bob, "far").await;
    // And says why not, where it cannot.
    alice
        .ok(&[
            "compose",
            "--to",
            "nobody@b.test",
            "--subject",
            "lost",
            "--text",
            "x",
        ])
        .await;
    alice.ok(&["send"]).await;
    for _ in 0..100 {
        alice.ok(&["sync"]).await;
        if let Some(first) = alice.json(&["list"]).await.get(0) {
            let text = alice
                .ok(&["read", first["message"].as_str().unwrap()])
                .await;
            assert!(text.contains("nobody@b.test"), "{text}");
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("no notification comes");
}

async fn until(device: &hikyaku_mission::Device, subject: &str) {
    for _ in 0..100 {
        device.ok(&["sync"]).await;
        if device.subjects("INBOX").await.contains(&subject.to_owned()) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("{subject} does not come");
}
