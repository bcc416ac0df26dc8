//! Dovecot's imaptest: its scripted tests, and its clients that do anything at any time.
//!
//! It is in no package registry: `HIKYAKU_IMAPTEST` names a folder with the program `imaptest` and its
//! `tests`. Without it nothing is tested here, and it says so. Its URLAUTH tests are skipped for want of the
//! capability: the codec knows it, the server does not have it.

use mailserver::Protocol;
use std::path::PathBuf;

use crate::harness::{House, PASSWORD, run};

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("HIKYAKU_IMAPTEST").map(PathBuf::from);
    if folder.is_none() {
        println!("not tested: HIKYAKU_IMAPTEST is not set");
    }
    folder
}

async fn imaptest(store: &str, more: &[&str]) -> Option<String> {
    let folder = folder()?;
    let config = format!(
        "[auth]\nplaintext = \"always\"\n[limits]\nconnections_per_ip = 100\n[store]\nkind = \"{store}\"\n"
    );
    let house = House::with(&config).await;
    let port = format!("port={}", house.port(Protocol::Imap));
    let password = format!("pass={PASSWORD}");
    let mbox = format!("mbox={}", folder.join("tests/default.mbox").display());
    let tests = format!("test={}", folder.join("tests").display());
    let mut arguments = vec![
        "host=127.0.0.1",
        &port,
        "user=alice@example.test",
        &password,
        &mbox,
    ];
    arguments.extend(more.iter().map(|one| match *one {
        "test" => tests.as_str(),
        one => one,
    }));
    let program = folder.join("imaptest");
    let (ok, said) = run(program.to_str().unwrap(), &arguments, "").await;
    house.server.stop().await;
    assert!(ok, "{said}");
    Some(said)
}

#[tokio::test(flavor = "multi_thread")]
async fn all_groups_hold() {
    for store in ["disk", "memory"] {
        let Some(said) = imaptest(store, &["test"]).await else {
            return;
        };
        let ends = said.lines().rev().take(3).collect::<Vec<_>>().join("\n");
        println!("{ends}");
        assert!(said.contains("test groups: 0 failed, 3 skipped"), "{said}");
        assert!(said.contains("base protocol: 0/"), "{said}");
        assert!(said.contains("extensions: 0/"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_clients_find_nothing_in_fifteen_seconds() {
    for store in ["disk", "memory"] {
        let Some(said) = imaptest(store, &["clients=20", "secs=15"]).await else {
            return;
        };
        let bad = ["Error", "BUG", "Warning", "stalled", "Fatal"];
        assert!(!bad.iter().any(|one| said.contains(one)), "{said}");
        assert!(said.contains("Totals:"), "{said}");
    }
}
