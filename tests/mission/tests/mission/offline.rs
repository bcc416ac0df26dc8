//! What was done offline is so in every listing, count, read and search, before the next sync and after it.

use hikyaku_mission::{Device, House};
use std::collections::BTreeSet;

/// What is done to `message 2` (`{}` is its name), and where it is then; `None` for nowhere.
const DONE: &[(&[&str], Option<&str>)] = &[
    (&["delete --for-good {}"], None),
    (&["delete {}"], Some("Trash")),
    (&["delete {}", "delete {}"], None),
    (&["delete {}", "delete --for-good {}"], None),
    (&["delete {}", "move {} --to INBOX"], Some("INBOX")),
    (&["move {} --to Archive"], Some("Archive")),
    (&["move {} --to Archive", "move {} --to Sent"], Some("Sent")),
    (
        &[
            "move {} --to Archive",
            "move {} --to INBOX",
            "move {} --to Archive",
        ],
        Some("Archive"),
    ),
    (
        &["move {} --to Archive", "move {} --to INBOX"],
        Some("INBOX"),
    ),
    (&["move {} --to Archive", "delete {}"], Some("Trash")),
    (&["move {} --to Archive", "delete --for-good {}"], None),
    (
        &["move {} --to Archive", "mark --flagged {}"],
        Some("Archive"),
    ),
    (
        &[
            "mark --flagged {}",
            "move {} --to Archive",
            "mark --unflagged {}",
            "mark --flagged {}",
        ],
        Some("Archive"),
    ),
    (
        &[
            "move {} --to Archive",
            "mark --flagged --read {}",
            "move {} --to Sent",
            "mark --unread {}",
        ],
        Some("Sent"),
    ),
];

const FOLDERS: [&str; 5] = ["INBOX", "Archive", "Sent", "Trash", "Drafts"];

async fn all(device: &Device) -> Vec<serde_json::Value> {
    let mut all = Vec::new();
    for folder in FOLDERS {
        let list = device.json(&["list", folder, "-n", "1000"]).await;
        for one in list.as_array().unwrap() {
            assert_eq!(one["folder"], folder, "{one}");
            all.push(one.clone());
        }
    }
    all
}

async fn named(device: &Device, subject: &str) -> String {
    let all = all(device).await;
    let found = all.iter().find(|one| one["subject"] == subject);
    let found = found.unwrap_or_else(|| panic!("{subject} is nowhere"));
    found["message"].as_str().unwrap().to_owned()
}

async fn run(device: &Device, command: &str, subject: &str) {
    let name = named(device, subject).await;
    let words: Vec<_> = command.split(' ').collect();
    let words: Vec<_> = words
        .iter()
        .map(|word| if *word == "{}" { &name } else { *word })
        .collect();
    device.ok(&words).await;
}

fn places(list: &[serde_json::Value]) -> BTreeSet<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let pairs = list
        .iter()
        .map(|one| (text(&one["folder"]), text(&one["subject"])));
    pairs.collect()
}

/// Every listing, count and search says that just these are there; how many are not read, by folder.
async fn holds(device: &Device, expected: &[(&str, &str)], unread: usize) {
    let expected: BTreeSet<_> = expected
        .iter()
        .map(|(folder, subject)| ((*folder).to_owned(), (*subject).to_owned()))
        .collect();
    let listed = all(device).await;
    assert_eq!(places(&listed), expected);
    assert_eq!(listed.len(), expected.len());
    let found = device.json(&["search", "body of number"]).await;
    let found = found.as_array().unwrap();
    assert_eq!(places(found), expected);
    assert_eq!(found.len(), expected.len());
    let text = device.ok(&["folders"]).await;
    let mut all_unread = 0;
    for one in device.json(&["folders"]).await.as_array().unwrap() {
        let name = one["folder"].as_str().unwrap();
        let here: BTreeSet<_> = expected
            .iter()
            .filter(|(folder, _)| folder == name)
            .cloned()
            .collect();
        assert_eq!(one["messages"], here.len(), "{name}");
        let not_read = listed
            .iter()
            .filter(|one| one["folder"] == name && one["read"] == false)
            .count();
        assert_eq!(one["unread"], not_read, "{name}");
        all_unread += not_read;
        let line = text
            .lines()
            .find(|line| line.split(' ').next() == Some(name))
            .unwrap();
        assert!(
            line.contains(&format!(" {} messages, {not_read} unread", here.len())),
            "{line}"
        );
        let found = device
            .json(&["search", "body of number", "--folder", name])
            .await;
        assert_eq!(places(found.as_array().unwrap()), here, "{name}");
    }
    assert_eq!(all_unread, unread);
}

async fn done_offline(kind: &str) {
    for (commands, place) in DONE {
        let house = House::new().await;
        house.deliver_many(1..4).await;
        let device = house.device(kind, &[]).await;
        device.ok(&["sync"]).await;
        if kind == "pop" {
            // There, folders are this device's own.
            let local = device.local().await;
            local.create("Archive").await.unwrap();
        }
        let before = named(&device, "message 2").await;
        for command in *commands {
            run(&device, command, "message 2").await;
        }
        let mut expected = vec![("INBOX", "message 1"), ("INBOX", "message 3")];
        expected.extend(place.map(|place| (place, "message 2")));
        let unread = expected.len();
        holds(&device, &expected, unread).await;
        let flagged = commands.iter().any(|command| command.contains("--flagged"));
        match place {
            Some(place) => {
                let name = named(&device, "message 2").await;
                let value = device.json(&["read", &name]).await;
                assert_eq!(value["folder"], *place, "{commands:?}");
                assert_eq!(value["flagged"], flagged, "{commands:?}");
                assert!(
                    device
                        .ok(&["read", &name])
                        .await
                        .contains("body of number 2.")
                );
            }
            None => {
                for words in [
                    &["read", &before][..],
                    &["--json", "read", &before],
                    &["mark", "--flagged", &before],
                    &["move", &before, "--to", "Sent"],
                    &["reply", &before, "--text", "x"],
                ] {
                    let error = device.run(words).await.unwrap_err();
                    assert_eq!(error.exit_code(), 6, "{words:?}: {error}");
                }
            }
        }
        let unread = unread - usize::from(place.is_some());
        let said = device.ok(&["sync"]).await;
        assert!(!said.contains("not done"), "{said}");
        holds(&device, &expected, unread).await;
        if kind == "imap" {
            let second = house.device("imap", &[]).await;
            second.ok(&["sync"]).await;
            holds(&second, &expected, unread).await;
            for one in all(&second).await {
                assert_eq!(
                    one["flagged"],
                    flagged && one["subject"] == "message 2",
                    "{commands:?}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_moved_or_deleted_offline_is_so_everywhere_with_imap() {
    done_offline("imap").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_moved_or_deleted_offline_is_so_everywhere_with_pop() {
    done_offline("pop").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_offline_is_so_everywhere() {
    for (commands, place) in [
        (&[][..], Some("Drafts")),
        (&["mark --flagged {}"], Some("Drafts")),
        (&["move {} --to Archive"], Some("Archive")),
        (
            &[
                "move {} --to Archive",
                "mark --flagged {}",
                "move {} --to Sent",
            ],
            Some("Sent"),
        ),
        (&["delete {}"], Some("Trash")),
        (&["delete {}", "delete {}"], None),
        (&["move {} --to Archive", "delete --for-good {}"], None),
    ] {
        let house = House::new().await;
        let device = house.device("imap", &[]).await;
        device.ok(&["sync"]).await;
        let text = "The body of number 0.";
        let compose = [
            "compose",
            "--to",
            "x@example.test",
            "--subject",
            "later",
            "--text",
            text,
            "--draft",
        ];
        device.ok(&compose).await;
        for command in commands {
            run(&device, command, "later").await;
        }
        let expected: Vec<_> = place.into_iter().map(|place| (place, "later")).collect();
        let flagged = commands.iter().any(|command| command.contains("--flagged"));
        holds(&device, &expected, 0).await;
        if let Some(place) = place {
            let name = named(&device, "later").await;
            let value = device.json(&["read", &name]).await;
            assert_eq!(
                (&value["folder"], &value["flagged"]),
                (&place.into(), &flagged.into())
            );
        }
        device.ok(&["sync"]).await;
        holds(&device, &expected, 0).await;
        for one in all(&device).await {
            assert_eq!(one["flagged"], flagged, "{commands:?}");
        }
    }
}
