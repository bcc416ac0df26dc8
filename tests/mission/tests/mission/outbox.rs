//! The outbox of `mailclient`: nothing leaves it unseen, and what stays says why.

use hikyaku_mission::{Device, House};

async fn compose(device: &Device, subject: &str, more: &[&str]) {
    let mut words = vec!["compose", "--subject", subject, "--text", "hello"];
    words.extend(more);
    device.ok(&words).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_an_address_is_refused_when_it_is_given() {
    let house = House::new().await;
    house.deliver_many(1..2).await;
    let device = house.device("imap", &[]).await;
    device.ok(&["sync"]).await;
    for wrong in [
        "eva",
        "eva@",
        "@example.test",
        "eva example.test",
        "eva@example.test, max",
        "",
    ] {
        let good = "bob@example.test";
        for words in [
            &["compose", "--to", wrong, "--text", "x"][..],
            &["compose", "--to", good, "--cc", wrong, "--text", "x"],
            &["compose", "--to", good, "--bcc", wrong, "--text", "x"],
            &["compose", "--to", wrong, "--text", "x", "--draft"],
            &["forward", "INBOX/1", "--to", wrong, "--text", "x"],
        ] {
            let error = device.run(words).await.unwrap_err();
            assert_eq!(error.exit_code(), 2, "{words:?}");
            assert!(error.to_string().contains("address"), "{error}");
        }
    }
    let error = device.run(&["compose", "--text", "x"]).await.unwrap_err();
    assert!(error.to_string().contains("--to"), "{error}");
    assert_eq!(device.ok(&["outbox"]).await, "");
    assert!(device.subjects("Drafts").await.is_empty());
    let error = device
        .run(&["account", "add", "eva", "--type", "imap"])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("name@example.org"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_address_is_not_answered_to() {
    let house = House::new().await;
    let device = house.device("imap", &[]).await;
    for from in ["nobody", "Somebody <>", "undisclosed:;"] {
        house
            .deliver("bob", &format!("From: {from}\nSubject: {from}\n\nx\n"))
            .await;
    }
    device.ok(&["sync"]).await;
    for subject in ["nobody", "Somebody <>", "undisclosed:;"] {
        let name = device.named("INBOX", subject).await;
        let error = device
            .run(&["reply", &name, "--text", "x"])
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("no address to reply to"),
            "{error}"
        );
    }
    assert_eq!(device.ok(&["outbox"]).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_who_did_not_take_it_stay_and_the_others_do_not_get_it_twice() {
    let house = House::new().await;
    let alice = house.device_of("alice", "imap", &[]).await;
    let bob = house.device("imap", &[]).await;
    alice.ok(&["sync"]).await;
    compose(
        &alice,
        "partly",
        &[
            "--to",
            "bob@example.test",
            "--cc",
            "nobody@example.test",
            "--bcc",
            "noone@example.test",
        ],
    )
    .await;
    compose(&alice, "whole", &["--to", "bob@example.test"]).await;
    let error = alice.run(&["send"]).await.unwrap_err();
    assert_eq!(error.exit_code(), 7);
    let outbox = alice.json(&["outbox"]).await;
    assert_eq!(outbox.as_array().unwrap().len(), 1);
    let one = &outbox[0];
    assert_eq!(
        one["to"],
        serde_json::json!(["nobody@example.test", "noone@example.test"])
    );
    assert_eq!(one["accepted"], serde_json::json!(["bob@example.test"]));
    assert_eq!(one["tried"], 1);
    assert!(one["failing_since"].as_i64().unwrap() > 1_700_000_000);
    for recipient in one["recipients"].as_array().unwrap() {
        assert_eq!(recipient["fate"], "refused");
        assert!(
            recipient["said"].as_str().unwrap().starts_with("550"),
            "{recipient}"
        );
    }
    let number = one["number"].to_string();
    let text = alice.ok(&["outbox"]).await;
    for part in [
        &number,
        "partly",
        "refused: 550",
        "tried once, failing since ",
        "outbox edit",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let text = alice.ok(&["outbox", "show", &number]).await;
    for part in [
        "Cc:       nobody@example.test",
        "Bcc:      noone@example.test",
        "Sent to:  bob@",
        "hello",
    ] {
        assert!(text.contains(part), "{text}");
    }
    // It is not tried again by itself, and says so.
    let error = alice.run(&["send"]).await.unwrap_err();
    assert!(error.to_string().contains("mailclient outbox"), "{error}");
    assert_eq!(alice.json(&["outbox"]).await[0]["tried"], 1);
    // When asked to, it is.
    assert!(alice.run(&["outbox", "retry", &number]).await.is_err());
    assert_eq!(alice.json(&["outbox"]).await[0]["tried"], 2);
    let text = alice.ok(&["outbox", "list"]).await;
    assert!(text.contains("tried 2 times"), "{text}");
    // Who has it does not get it again; who takes the place of the others does.
    alice
        .ok(&[
            "outbox",
            "edit",
            &number,
            "--cc",
            "Alice <alice@example.test>",
            "--text",
            "again",
        ])
        .await;
    let one = &alice.json(&["outbox"]).await[0];
    assert_eq!(one["to"], serde_json::json!(["alice@example.test"]));
    assert_eq!(alice.ok(&["send"]).await, "alice@example.test: accepted\n");
    assert_eq!(alice.ok(&["outbox"]).await, "");
    bob.ok(&["sync"]).await;
    alice.ok(&["sync"]).await;
    let mut subjects = bob.subjects("INBOX").await;
    subjects.sort();
    assert_eq!(subjects, ["partly", "whole"]);
    assert_eq!(alice.subjects("INBOX").await, ["partly"]);
    let name = alice.named("INBOX", "partly").await;
    assert!(alice.ok(&["read", &name]).await.contains("again"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_took_is_a_draft_that_can_be_edited_and_sent() {
    let house = House::new().await;
    let alice = house.device_of("alice", "pop", &[]).await;
    let bob = house.device("imap", &[]).await;
    for (subject, changes) in [
        (
            "to",
            &["--to", "bob@example.test", "--bcc", "bob@example.test"][..],
        ),
        (
            "text",
            &[
                "--to",
                "Bob <bob@example.test>",
                "--bcc",
                "bob@example.test",
                "--text",
                "other",
            ],
        ),
        (
            "draft",
            &[
                "--to",
                "bob@example.test",
                "--bcc",
                "bob@example.test",
                "--draft",
            ],
        ),
    ] {
        compose(
            &alice,
            subject,
            &["--to", "nobody@example.test", "--bcc", "noone@example.test"],
        )
        .await;
        assert_eq!(alice.run(&["send"]).await.unwrap_err().exit_code(), 7);
        let name = alice.named("Drafts", subject).await;
        let text = alice.ok(&["read", &name]).await;
        assert!(text.contains("noone@example.test"), "{text}");
        let mut words = vec!["edit", &name];
        words.extend(changes);
        alice.ok(&words).await;
        if changes.contains(&"--draft") {
            assert_eq!(alice.subjects("Drafts").await, [subject]);
            let name = alice.named("Drafts", subject).await;
            assert_eq!(
                alice.ok(&["send", &name]).await,
                "bob@example.test: accepted\n"
            );
        } else {
            assert_eq!(alice.ok(&["send"]).await, "bob@example.test: accepted\n");
        }
        assert!(alice.subjects("Drafts").await.is_empty());
        assert_eq!(alice.ok(&["outbox"]).await, "");
    }
    bob.ok(&["sync"]).await;
    let mut subjects = bob.subjects("INBOX").await;
    subjects.sort();
    assert_eq!(subjects, ["draft", "text", "to"]);
    let name = bob.named("INBOX", "text").await;
    assert!(bob.ok(&["read", &name]).await.contains("other"));
    let error = bob.run(&["edit", &name, "--text", "x"]).await.unwrap_err();
    assert!(error.to_string().contains("is not a draft"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outbox_is_listed_shown_edited_and_emptied_offline() {
    let house = House::new().await;
    let alice = house.device_of("alice", "imap", &[]).await;
    alice.ok(&["sync"]).await;
    house.server.stop().await;
    let file = alice.home.path().join("tea.txt");
    std::fs::write(&file, "green").unwrap();
    let file = file.display().to_string();
    compose(
        &alice,
        "first",
        &["--to", "bob@example.test", "--attach", &file],
    )
    .await;
    compose(&alice, "second", &["--to", "bob@example.test"]).await;
    compose(&alice, "third", &["--to", "Bob B <bob@example.test>"]).await;
    let numbers = async || -> Vec<String> {
        let all = alice.json(&["outbox"]).await;
        all.as_array()
            .unwrap()
            .iter()
            .map(|one| one["number"].to_string())
            .collect()
    };
    assert_eq!(alice.run(&["send"]).await.unwrap_err().exit_code(), 4);
    assert_eq!(alice.run(&["send"]).await.unwrap_err().exit_code(), 4);
    for one in alice.json(&["outbox"]).await.as_array().unwrap() {
        assert_eq!(
            (&one["tried"], &one["recipients"][0]["fate"]),
            (&2.into(), &"deferred".into())
        );
        assert!(one["failing_since"].is_i64(), "{one}");
    }
    let all = numbers().await;
    let show = alice.ok(&["outbox", "show", &all[0]]).await;
    for part in [
        "Subject:  first",
        "tried 2 times",
        "hello",
        "[1] tea.txt (text/plain)",
    ] {
        assert!(show.contains(part), "{show}");
    }
    let show = alice.json(&["outbox", "show", &all[2]]).await;
    assert_eq!(
        (&show["subject"], &show["text"]),
        (&"third".into(), &"hello".into())
    );
    // What is not changed stays.
    alice
        .ok(&["outbox", "edit", &all[0], "--subject", "1st"])
        .await;
    let all = numbers().await;
    let last = all.last().unwrap();
    let show = alice.ok(&["outbox", "show", last]).await;
    for part in [
        "Subject:  1st",
        "To:       bob@example.test",
        "hello",
        "[1] tea.txt (text/plain)",
    ] {
        assert!(show.contains(part), "{show}");
    }
    // A change that cannot be leaves it as it was.
    let before = alice.json(&["outbox"]).await;
    for wrong in [
        &["--to", "eva"][..],
        &["--attach", "/no/such/file"],
        &["--to", ""],
        &[],
    ] {
        let mut words = vec!["outbox", "edit", last];
        words.extend(wrong);
        assert!(alice.run(&words).await.is_err(), "{wrong:?}");
        assert_eq!(alice.json(&["outbox"]).await, before);
    }
    alice.ok(&["outbox", "remove", &all[0], &all[1]]).await;
    let left = alice.json(&["outbox"]).await;
    assert_eq!(
        (left.as_array().unwrap().len(), &left[0]["subject"]),
        (1, &"1st".into())
    );
    for words in [
        ["show", &all[0]],
        ["remove", &all[0]],
        ["retry", &all[0]],
        ["show", "4711"],
    ] {
        let words: Vec<_> = ["outbox"].into_iter().chain(words).collect();
        assert_eq!(
            alice.run(&words).await.unwrap_err().exit_code(),
            6,
            "{words:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_accounts_mail_does_not_hold_back_that_of_another() {
    let house = House::new().await;
    let device = house.device_of("alice", "pop", &[]).await;
    let other = house.device("pop", &[]).await;
    let config = std::fs::read_to_string(other.home.path().join("accounts.toml")).unwrap();
    let path = device.home.path().join("accounts.toml");
    let both = std::fs::read_to_string(&path).unwrap() + &config;
    std::fs::write(&path, both).unwrap();
    for (number, from) in ["alice", "bob", "alice", "bob", "bob"]
        .into_iter()
        .enumerate()
    {
        let from = format!("{from}@example.test");
        let subject = format!("n{number}");
        let words = ["--account", &from, "--to", "alice@example.test"];
        compose(&device, &subject, &words).await;
    }
    for from in ["bob", "alice"] {
        let from = format!("{from}@example.test");
        let said = device.ok(&["--account", &from, "send"]).await;
        let count = if from.starts_with("bob") { 3 } else { 2 };
        assert_eq!(said, "alice@example.test: accepted\n".repeat(count));
    }
}
