//! IMAP servers for the client, each answer scripted.
//!
//! The rows lie in `imap_servers/*.toml`; the next report is one more `[[row]]`: what the server answers, and
//! what must lie on the device, and on the server, after each sync.

use hikyaku_client::{
    Account, Bodies, Kind, Local, Message, Password, Report, Security, Server, sync,
};
use hikyaku_field::imap_server::{Row, Scripted, Sync, listed, matches, rows};
use hikyaku_mailstore::{Flags, Memory, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long one sync may take: more means that it waits for what never comes.
const PATIENCE: Duration = Duration::from_secs(30);

fn account(row: &Row) -> Account {
    let server = Server {
        host: "localhost".into(),
        port: 143,
        security: Security::None,
    };
    let password = Password::InClear("a secret".into());
    Account {
        bodies: if row.headers {
            Bodies::Headers
        } else {
            Bodies::All
        },
        ..Account::new(
            "bob@example.test",
            Kind::Imap,
            server.clone(),
            server,
            password,
        )
    }
}

fn flag(name: &str) -> Flags {
    match name {
        "\\Seen" => Flags::SEEN,
        "\\Answered" => Flags::ANSWERED,
        "\\Flagged" => Flags::FLAGGED,
        "\\Deleted" => Flags::DELETED,
        "\\Draft" => Flags::DRAFT,
        keyword => {
            let mut flags = Flags::NONE;
            flags.add_keyword(keyword).unwrap();
            flags
        }
    }
}

fn flag_names(flags: &Flags) -> BTreeSet<String> {
    let system = ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"];
    let system = system
        .into_iter()
        .filter(|name| flags.contains(&flag(name)));
    system.chain(flags.keywords()).map(str::to_owned).collect()
}

/// What the user does.
async fn act(local: &Local, what: &str) {
    let (verb, rest) = what.split_once(' ').unwrap();
    let two = || rest.rsplit_once(' ').unwrap();
    match verb {
        // By its subject: what waits to be appended has no number.
        "forget" => {
            let (mailbox, subject) = two();
            let all = local.list(mailbox, 1000).await.unwrap();
            let message = all.iter().find(|one| one.subject() == subject).unwrap();
            local.delete(message, true).await.unwrap();
        }
        "delete" | "trash" => {
            let message = local.find(rest).await.unwrap();
            local.delete(&message, verb == "delete").await.unwrap();
        }
        "mark" | "unmark" => {
            let (name, which) = two();
            let message = local.find(name).await.unwrap();
            let (add, remove) = match verb {
                "mark" => (flag(which), Flags::NONE),
                _ => (Flags::NONE, flag(which)),
            };
            local.mark(&message, &add, &remove).await.unwrap();
        }
        "move" => {
            let (name, to) = two();
            let message = local.find(name).await.unwrap();
            local.move_to(&message, to).await.unwrap();
        }
        "add" => {
            let (to, text) = two();
            let octets = format!(
                "From: bob@example.test\r\nSubject: {text}\r\nMessage-ID: <{text}@here.test>\r\n\r\nText.\r\n"
            );
            local.add(to, octets.into(), Flags::SEEN).await.unwrap();
        }
        other => panic!("{other}"),
    }
}

/// The messages of a mailbox by UID, without those that wait to come into it.
async fn messages(local: &Local, mailbox: &str) -> BTreeMap<u32, Message> {
    let Ok(all) = local.list(mailbox, 1_000_000).await else {
        return BTreeMap::new();
    };
    let here = format!("{mailbox}/");
    let all = all
        .into_iter()
        .filter(|message| message.name.starts_with(&here));
    all.filter_map(|message| Some((message.number()?, message)))
        .collect()
}

/// What is not as the row has it.
async fn look(local: &Local, server: &Scripted, expected: &Sync, wrong: &mut String) {
    for (mailbox, uids) in &expected.here {
        let here: Vec<u32> = messages(local, mailbox).await.into_keys().collect();
        let uids: Vec<u32> = listed(uids).into_keys().collect();
        if here != uids {
            let _ = writeln!(wrong, "  {mailbox} has {here:?}, not {uids:?}");
        }
    }
    for (mailbox, uids) in &expected.whole {
        let mut here = Vec::new();
        for (uid, message) in messages(local, mailbox).await {
            if local.whole(&message).await.unwrap().is_some() {
                here.push(uid);
            }
        }
        let uids: Vec<u32> = listed(uids).into_keys().collect();
        if here != uids {
            let _ = writeln!(wrong, "  {mailbox} has all of {here:?}, not of {uids:?}");
        }
    }
    for (name, flags) in &expected.flags {
        let flags: BTreeSet<String> = flags.split_whitespace().map(str::to_owned).collect();
        match local.find(name).await {
            Ok(message) if flag_names(&message.flags) == flags => {}
            Ok(message) => {
                let _ = writeln!(
                    wrong,
                    "  {name} is {:?}, not {flags:?}",
                    flag_names(&message.flags)
                );
            }
            Err(error) => {
                let _ = writeln!(wrong, "  {name}: {error}");
            }
        }
    }
    if let Some(mailboxes) = &expected.mailboxes {
        let here = local.folders().await.unwrap().into_iter();
        let here: BTreeSet<String> = here.map(|folder| folder.name).collect();
        if here != mailboxes.iter().cloned().collect() {
            let _ = writeln!(wrong, "  the mailboxes are {here:?}, not {mailboxes:?}");
        }
    }
    for (mailbox, uids) in &expected.there {
        let there = server.messages(mailbox);
        if there != listed(uids) {
            let _ = writeln!(wrong, "  on the server {mailbox} has {there:?}, not {uids}");
        }
    }
    if let Some(waiting) = expected.waiting {
        let waits = local.ops().await.unwrap();
        if waits.len() != waiting {
            let _ = writeln!(wrong, "  {waits:?} wait, not {waiting}");
        }
    }
}

fn heard(server: &Scripted, expected: &Sync, wrong: &mut String) {
    let log = server.log();
    for pattern in &expected.seen {
        if !log.iter().any(|command| matches(pattern, command)) {
            let _ = writeln!(wrong, "  {pattern} was not sent: {log:#?}");
        }
    }
    for pattern in &expected.never {
        for command in log.iter().filter(|command| matches(pattern, command)) {
            let _ = writeln!(wrong, "  {command} was sent");
        }
    }
}

fn said(report: &Report, expected: &Sync, wrong: &mut String) {
    for text in &expected.warns {
        if !report.warnings.iter().any(|warning| warning.contains(text)) {
            let _ = writeln!(wrong, "  no warning of {text:?}: {:?}", report.warnings);
        }
    }
    if expected.warns.is_empty() && !report.warnings.is_empty() {
        let _ = writeln!(wrong, "  warnings: {:?}", report.warnings);
    }
}

/// What went otherwise than the row has it.
async fn wrong(row: &Row) -> String {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let account = account(row);
    let local = Local::of(store, &account).await.unwrap();
    let server = Scripted::new(row);
    let mut wrong = String::new();
    for (at, expected) in row.sync.iter().enumerate() {
        let before = wrong.len();
        for what in &expected.before {
            server.happens(what);
        }
        for what in &expected.offline {
            act(&local, what).await;
        }
        server.begin(&expected.script);
        for time in 1..=expected.repeat {
            let progress = ();
            let meanwhile = async {
                if expected.meanwhile.is_empty() {
                    return;
                }
                while !server.is_paused() {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                for what in &expected.meanwhile {
                    act(&local, what).await;
                }
                server.resume();
            };
            let syncing = sync(&server, &local, &account, &progress);
            let both = async { tokio::join!(syncing, meanwhile).0 };
            let Ok(done) = tokio::time::timeout(PATIENCE, both).await else {
                let _ = writeln!(wrong, "  it hangs: {:#?}", server.log());
                break;
            };
            if time < expected.repeat {
                continue;
            }
            match (done, &expected.fails) {
                (Ok(report), None) => said(&report, expected, &mut wrong),
                (Ok(_), Some(text)) => {
                    let _ = writeln!(wrong, "  it did not fail with {text:?}");
                }
                (Err(error), Some(text)) if error.to_string().contains(text) => {}
                (Err(error), _) => {
                    let _ = writeln!(wrong, "  {error}: {:#?}", server.log());
                }
            }
        }
        look(&local, &server, expected, &mut wrong).await;
        heard(&server, expected, &mut wrong);
        if wrong.len() > before {
            wrong.insert_str(before, &format!(" sync {}:\n", at + 1));
        }
    }
    wrong
}

async fn table(file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("imap_servers");
    let mut failed = String::new();
    for row in rows(&path.join(file)) {
        let wrong = wrong(&row).await;
        if !wrong.is_empty() {
            let _ = writeln!(failed, "{}\n{wrong}", row.id);
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

/// A test for each file of rows.
macro_rules! tables {
    ($($name:ident)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            table(concat!(stringify!($name), ".toml")).await;
        })*

        #[test]
        fn each_file_of_rows_has_its_test() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("imap_servers");
            let mut tested: Vec<String> = vec!["README.md".into()];
            tested.extend([$(concat!(stringify!($name), ".toml").to_owned()),*]);
            for file in std::fs::read_dir(folder).unwrap() {
                let name = file.unwrap().file_name().into_string().unwrap();
                assert!(tested.contains(&name), "{name}");
            }
        }
    };
}

tables!(answers_in_lines gone left_out offline login names opening);
