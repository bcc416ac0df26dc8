//! Two clients on one mailbox, by async-imap and by hand.

use crate::harness::{House, PASSWORD, Talk};
use async_imap::extensions::idle::IdleResponse;
use futures::TryStreamExt as _;
use mailserver::Protocol;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

type Session = async_imap::Session<TcpStream>;

async fn async_imap(house: &House, name: &str) -> Session {
    let stream = TcpStream::connect(house.at(Protocol::Imap)).await.unwrap();
    let mut client = async_imap::Client::new(stream);
    client.read_response().await.unwrap().expect("a greeting");
    let name = format!("{name}@example.test");
    client
        .login(name, PASSWORD)
        .await
        .map_err(|(error, _)| error)
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flags_news_and_sent_copies_are_seen_by_the_other_connection() {
    let house = House::new().await;
    house.deliver("Subject: one\n\nfirst\n").await;
    let (mut one, mut two) = (
        async_imap(&house, "bob").await,
        async_imap(&house, "bob").await,
    );
    assert_eq!(one.select("INBOX").await.unwrap().exists, 1);
    two.select("INBOX").await.unwrap();
    // A flag that one sets, the other sees.
    let stored: Vec<_> = one
        .uid_store("1", "+FLAGS (\\Flagged Work)")
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(stored.len(), 1);
    two.noop().await.unwrap();
    let fetched: Vec<_> = two
        .fetch("1", "(FLAGS BODY.PEEK[])")
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    let flags: Vec<String> = fetched[0].flags().map(|flag| format!("{flag:?}")).collect();
    assert!(
        flags.iter().any(|flag| flag.contains("Flagged"))
            && flags.iter().any(|flag| flag.contains("Work")),
        "{flags:?}"
    );
    assert!(fetched[0].body().unwrap().ends_with(b"first\r\n\r\n"));
    // IDLE's news comes within a second.
    let mut idle = two.idle();
    idle.init().await.unwrap();
    let (wait, _stop) = idle.wait_with_timeout(Duration::from_secs(10));
    let waiting = async {
        let news = wait.await.unwrap();
        (matches!(news, IdleResponse::NewData(_)), Instant::now())
    };
    let delivering = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        house.deliver("Subject: two\n\nsecond\n").await;
        Instant::now()
    };
    let ((news, at), delivered) = tokio::join!(waiting, delivering);
    assert!(news && at.saturating_duration_since(delivered) < Duration::from_secs(1));
    idle.done().await.unwrap();
    // A sent copy that one appends, the other sees.
    one.append(
        "Sent",
        Some("(\\Seen)"),
        None,
        "Subject: sent\r\n\r\ncopy\r\n",
    )
    .await
    .unwrap();
    let mut three = async_imap(&house, "bob").await;
    assert_eq!(three.select("Sent").await.unwrap().exists, 1);
    let found = three.uid_search("SEEN BODY copy").await.unwrap();
    assert_eq!(found.len(), 1);
    one.logout().await.unwrap();
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_session_of_a_mail_program() {
    let house = House::new().await;
    house.deliver("From: Jo <jo@x.test>\nTo: bob@example.test\nSubject: =?utf-8?b?44GC?=\nDate: Mon, 2 Nov 2026 10:00:00 +0900\n\nbody\n").await;
    house.deliver("Subject: two\n\nsecond\n").await;
    let mut bob = Talk::imap_login(house.at(Protocol::Imap), "bob").await;
    let has = |said: &str, what: &[&str]| {
        for what in what {
            assert!(said.contains(what), "{what} in {said}");
        }
    };
    has(
        &bob.imap("LIST \"\" \"*\"").await,
        &["* LIST (\\HasNoChildren \\Sent) \"/\" Sent", "INBOX"],
    );
    has(
        &bob.imap("LIST (SPECIAL-USE) \"\" % RETURN (STATUS (MESSAGES))")
            .await,
        &["\\Trash", "* STATUS Drafts (MESSAGES 0)"],
    );
    has(&bob.imap("CREATE a/b/&ZeVnLIqe-").await, &["x OK"]);
    has(
        &bob.imap("LIST \"\" a/%").await,
        &["(\\HasChildren) \"/\" a/b"],
    );
    has(
        &bob.imap("SELECT INBOX (CONDSTORE)").await,
        &[
            "* 2 EXISTS",
            "[UIDVALIDITY",
            "[UNSEEN 1]",
            "[HIGHESTMODSEQ",
            "[READ-WRITE]",
        ],
    );
    has(
        &bob.imap("FETCH 1 (UID ENVELOPE BODY[HEADER.FIELDS (SUBJECT)]<0.9> MODSEQ)")
            .await,
        &[
            "\"jo\" \"x.test\"",
            "{9}\nSubject: ",
            "FLAGS (\\Seen \\Recent)",
            "MODSEQ (",
        ],
    );
    has(
        &bob.imap("SEARCH CHARSET UTF-8 SUBJECT {3+}\r\nあ SEEN")
            .await,
        &["* SEARCH 1\n"],
    );
    has(
        &bob.imap("UID SEARCH RETURN (MIN MAX COUNT) ALL").await,
        &["* ESEARCH (TAG \"x\") UID MIN 1 MAX 2 COUNT 2"],
    );
    has(
        &bob.imap("UID STORE 2 (UNCHANGEDSINCE 1) +FLAGS (\\Deleted)")
            .await,
        &["[MODIFIED 2]"],
    );
    has(
        &bob.imap("STORE 2 +FLAGS.SILENT \\Deleted").await,
        &["* 2 FETCH (UID 2 MODSEQ ("],
    );
    has(&bob.imap("UID COPY 1 a/b").await, &["[COPYUID ", " 1 1]"]);
    has(
        &bob.imap("MOVE 1 Trash").await,
        &["* OK [COPYUID", "* 1 EXPUNGE"],
    );
    has(&bob.imap("EXPUNGE").await, &["* 1 EXPUNGE"]);
    has(
        &bob.imap("STATUS Trash (MESSAGES UIDNEXT)").await,
        &["MESSAGES 1 UIDNEXT 2"],
    );
    has(&bob.imap("RENAME a z").await, &["x OK"]);
    has(&bob.imap("LSUB \"\" *").await, &["INBOX"]);
    has(
        &bob.imap("GETQUOTAROOT INBOX").await,
        &["* QUOTAROOT INBOX \"\"", "STORAGE 1 1048576"],
    );
    has(&bob.imap("COPY 1 nowhere").await, &["x BAD"]);
    has(&bob.imap("UID COPY 1 nowhere").await, &["x NO [TRYCREATE]"]);
    has(&bob.imap("DELETE INBOX").await, &["x NO [CANNOT]"]);
    has(&bob.imap("CLOSE").await, &["x OK"]);
    house.server.stop().await;
}

/// RFC 3501 §2.3.2: the first session has `\Recent`, the next one is not; EXAMINE takes it from nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recent_is_told_to_one_session() {
    let house = House::new().await;
    house.deliver("Subject: one\n\n1\n").await;
    let mut one = Talk::imap_login(house.at(Protocol::Imap), "bob").await;
    assert!(one.imap("STATUS INBOX (RECENT)").await.contains("RECENT 1"));
    assert!(one.imap("EXAMINE INBOX").await.contains("* 1 RECENT"));
    assert!(one.imap("SELECT INBOX").await.contains("* 1 RECENT"));
    assert!(
        one.imap("FETCH 1 FLAGS")
            .await
            .contains("(FLAGS (\\Recent))")
    );
    assert!(one.imap("SEARCH NEW").await.contains("* SEARCH 1\n"));
    let mut two = Talk::imap_login(house.at(Protocol::Imap), "bob").await;
    assert!(two.imap("SELECT INBOX").await.contains("* 0 RECENT"));
    assert!(two.imap("SEARCH OLD").await.contains("* SEARCH 1\n"));
    house.deliver("Subject: two\n\n2\n").await;
    assert!(one.imap("NOOP").await.contains("* 2 EXISTS\n* 2 RECENT"));
    // Keywords that FLAGS has not named are named before they are used.
    two.imap("STORE 1 +FLAGS ($new)").await;
    let said = one.imap("NOOP").await;
    assert!(
        said.find("* FLAGS (").unwrap() < said.find("FETCH (UID 1 FLAGS (\\Recent $new").unwrap(),
        "{said}"
    );
    house.server.stop().await;
}

/// RFC 5256 and RFC 5258 §3.5.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_sorted_and_threaded() {
    let house = House::new().await;
    for (subject, date, fields) in [
        ("tea", "2 Nov 2026 10:00:00 +0000", "Message-ID: <1@x>\n"),
        (
            "Re: tea",
            "3 Nov 2026 10:00:00 +0000",
            "Message-ID: <2@x>\nReferences: <1@x>\n",
        ),
        ("apples", "1 Nov 2026 10:00:00 +0000", "Message-ID: <3@x>\n"),
        ("Fwd: TEA", "5 Nov 2026 10:00:00 +0000", ""),
    ] {
        house
            .deliver(&format!("Subject: {subject}\nDate: {date}\n{fields}\nx\n"))
            .await;
    }
    let mut bob = Talk::imap_login(house.at(Protocol::Imap), "bob").await;
    bob.imap("SELECT INBOX").await;
    for (command, expected) in [
        ("SORT (DATE) UTF-8 ALL", "* SORT 3 1 2 4\n"),
        ("SORT (SUBJECT REVERSE DATE) UTF-8 ALL", "* SORT 3 4 2 1\n"),
        (
            "UID SORT (REVERSE DATE) US-ASCII SUBJECT tea",
            "* SORT 4 2 1\n",
        ),
        ("THREAD REFERENCES UTF-8 ALL", "* THREAD (3)(1 (2)(4))\n"),
        (
            "THREAD ORDEREDSUBJECT UTF-8 ALL",
            "* THREAD (3)(1 (2)(4))\n",
        ),
        (
            "SORT (DATE) X-NONE ALL",
            "x NO [BADCHARSET (US-ASCII UTF-8 ISO-2022-JP",
        ),
        ("SORT () UTF-8 ALL", "x BAD"),
    ] {
        let said = bob.imap(command).await;
        assert!(said.contains(expected), "{command}: {said}");
    }
    for command in ["CREATE a/b", "SUBSCRIBE a/b", "UNSUBSCRIBE a"] {
        bob.imap(command).await;
    }
    let child_info = "a (\"CHILDINFO\" (\"SUBSCRIBED\"))";
    assert!(
        bob.imap("LIST (SUBSCRIBED RECURSIVEMATCH) \"\" a")
            .await
            .contains(child_info)
    );
    assert!(
        !bob.imap("LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (a a/b)")
            .await
            .contains("CHILDINFO")
    );
    house.server.stop().await;
}

/// RFC 9585: who waits for a search hears that it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_search_says_that_it_goes_on() {
    let more = "[auth]\nplaintext = \"always\"\n[imap]\nprogress = \"10ms\"\n";
    let house = House::with(more).await;
    let mut talk = house.talk(Protocol::Imap).await;
    talk.until("* OK").await;
    talk.imap(&format!("LOGIN alice@example.test \"{PASSWORD}\""))
        .await;
    let line = "x".repeat(76) + "\r\n";
    let message = format!("Subject: long\r\n\r\n{}", line.repeat(20_000));
    for _ in 0..8 {
        let octets = message.len();
        let said = talk
            .imap(&format!("APPEND INBOX {{{octets}+}}\r\n{message}"))
            .await;
        assert!(said.contains("OK [APPENDUID"), "{said}");
    }
    talk.imap("SELECT INBOX").await;
    let said = talk.imap("SEARCH BODY nowhere").await;
    let progress = "* OK [INPROGRESS (\"x\" NIL NIL)] Searching\n";
    assert!(said.contains(progress), "{said}");
    assert!(said.contains("* SEARCH\n"), "{said}");
}
