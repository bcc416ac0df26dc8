//! The program itself: its first start, its accounts, and its sudden end.

use crate::harness::{Talk, run};
use crate::mailserver::{Mailserver, PROGRAM, add_account, configured};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};

const LISTEN: &str = "[listen]\nlmtp = \"127.0.0.1:0\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_250_is_there_once_after_a_kill() {
    const ROUNDS: u32 = 50;
    let folder = tempfile::tempdir().unwrap();
    let configuration = configured(folder.path(), "data", LISTEN);
    add_account(&configuration, "bob@example.test").await;
    let mut accepted = Vec::new();
    for round in 0..ROUNDS {
        let mut server = Mailserver::start("", &configuration);
        let mut lmtp = Talk::new(server.at("Lmtp")).await;
        lmtp.send("LHLO a\r\n").await;
        lmtp.until("250 ").await;
        let many = 1 + round % 7;
        for message in 0..many {
            let id = format!("{round}-{message}");
            let body = "x".repeat(if message % 3 == 2 { 300_000 } else { 100 });
            lmtp.send(&format!(
                "MAIL FROM:<a@b.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nX-Id: {id}.\r\n\r\n{body}\r\n.\r\n"
            ))
            .await;
        }
        // The kill comes while the last ones are on their way.
        for message in 0..many {
            let mut last = String::new();
            for _ in 0..4 {
                last = lmtp.line().await;
            }
            assert!(last.starts_with("250 2.0.0 Delivered"), "{last}");
            accepted.push(format!("{round}-{message}"));
            if message + 2 >= many {
                break;
            }
        }
        server.child.kill().unwrap();
    }
    // Read with the library: the store of the dead server opens.
    let store = hikyaku_mailstore::Disk::open(folder.path().join("data/store")).unwrap();
    let store: std::sync::Arc<dyn hikyaku_mailstore::Store> = std::sync::Arc::new(store);
    let account = store.account("bob@example.test").await.unwrap().unwrap();
    let inbox = store.mailboxes(account.id, None).await.unwrap().mailboxes;
    let inbox = inbox
        .into_iter()
        .find(|mailbox| mailbox.name == "INBOX")
        .unwrap();
    let which = hikyaku_mailstore::Which::After(None);
    let page = store
        .messages(inbox.id, &which, hikyaku_mailstore::Want::ROW, 10_000)
        .await
        .unwrap();
    let mut there = std::collections::HashMap::<String, u32>::new();
    for row in &page.rows {
        let mut octets = Vec::new();
        while (octets.len() as u64) < row.body.octets {
            let from = octets.len() as u64;
            let piece = store.read(&row.body, from..row.body.octets).await.unwrap();
            assert!(!piece.is_empty(), "a body that is too short");
            octets.extend_from_slice(&piece);
        }
        let text = String::from_utf8(octets).unwrap();
        let id = text
            .split_once("X-Id: ")
            .unwrap()
            .1
            .split_once('.')
            .unwrap()
            .0
            .to_owned();
        *there.entry(id).or_default() += 1;
    }
    for id in &accepted {
        assert_eq!(there.get(id), Some(&1), "{id}");
    }
    assert!(accepted.len() > 50 && there.values().all(|&count| count == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_are_managed_while_it_runs_and_errors_are_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let configuration = configured(folder.path(), "data", LISTEN);
    let account = |arguments: &'static [&'static str], input: &'static str| {
        let configuration = configuration.clone();
        async move {
            let all = [&["--config", &configuration, "account"][..], arguments].concat();
            run(PROGRAM, &all, input).await
        }
    };
    assert!(account(&["add", "a@example.test"], "one\n").await.0);
    let mut server = Mailserver::start("", &configuration);
    assert!(account(&["add", "b@example.test"], "two\n").await.0);
    assert!(account(&["quota", "b@example.test", "5 MiB"], "").await.0);
    assert!(account(&["passwd", "b@example.test"], "three\n").await.0);
    assert!(account(&["remove", "--yes", "a@example.test"], "").await.0);
    let (_, list) = account(&["list"], "").await;
    assert_eq!(list, "b@example.test\t0 B of 5.0 MiB\t0 messages\n");
    let (ok, said) = account(&["add", "b@example.test"], "a secret of words\n").await;
    assert!(
        !ok && said == "mailserver: the account b@example.test already exists\n",
        "{said}"
    );
    let (ok, said) = account(&["add", "b@elsewhere.test"], "a secret of words\n").await;
    assert!(
        !ok && said.lines().count() == 1 && said.contains("example.test"),
        "{said}"
    );
    // A second server on the same data.
    let (ok, said) = run(PROGRAM, &["--config", &configuration], "").await;
    assert!(
        !ok && said.lines().count() == 1 && said.contains("in use by another server"),
        "{said}"
    );
    // SIGTERM ends it in good order.
    let pid = server.child.id().to_string();
    let (ok, _) = run("sh", &["-c", &format!("kill -TERM {pid}")], "").await;
    assert!(ok);
    let status = tokio::task::spawn_blocking(move || server.child.wait().unwrap());
    let status = tokio::time::timeout(std::time::Duration::from_secs(8), status).await;
    assert!(status.expect("a few seconds").unwrap().success());
    // A port in use, an unreadable certificate, an unknown key.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let head = format!(
        "hostname = \"h\"\ndomains = [\"a.test\"]\ndata = \"{}\"\n",
        folder.path().join("d2").display()
    );
    for (rest, expected) in [
        (
            format!("[listen]\nsmtp = \"{}\"\n", taken.local_addr().unwrap()),
            "is another server running there?",
        ),
        (
            "[tls]\ncert = \"/nowhere.pem\"\nkey = \"/nowhere.pem\"\n".into(),
            "give a PEM file",
        ),
        ("bogus = 1\n".into(), "line 4: unknown field `bogus`"),
        ("[store]\nkind = \"maildir\"\n".into(), "not yet"),
    ] {
        let path = folder.path().join("bad.toml");
        std::fs::write(&path, format!("{head}{rest}")).unwrap();
        let (ok, said) = run(PROGRAM, &["--config", path.to_str().unwrap()], "").await;
        assert!(
            !ok && said.lines().count() == 1 && said.contains(expected),
            "{said}"
        );
    }
    let (ok, said) = run(PROGRAM, &["--config", &configuration, "check"], "").await;
    assert!(ok && said.contains("fine"), "{said}");
}

/// A server that starts has the store before it can be asked: who manages accounts then waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_are_managed_while_the_server_starts() {
    let folder = tempfile::tempdir().unwrap();
    let configuration = configured(folder.path(), "data", LISTEN);
    let config = mailserver::Config::read(configuration.as_ref()).unwrap();
    std::fs::create_dir_all(&config.data).unwrap();
    let _store = mailserver::open_store(&config).unwrap();
    let socket = config.data.join("control.sock");
    let starting = tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        let listener = tokio::net::UnixListener::bind(socket).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let (read, mut write) = stream.into_split();
        let mut asked = String::new();
        let mut read = tokio::io::BufReader::new(read);
        read.read_line(&mut asked).await.unwrap();
        write.write_all(b"ok\nnobody yet\n").await.unwrap();
        asked
    });
    let (ok, said) = run(
        PROGRAM,
        &["--config", &configuration, "account", "list"],
        "",
    )
    .await;
    assert!(ok && said == "nobody yet\n", "{said}");
    assert_eq!(starting.await.unwrap(), "list\n");
}
