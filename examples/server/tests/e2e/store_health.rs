//! A store that is damaged, or has no room: what the protocols answer, and what is said of it.

use crate::harness::{House, Talk, config};
use mailserver::{Protocol, Server};
use std::fs;
use std::path::PathBuf;

const PLAIN: &str = "[auth]\nplaintext = \"always\"\n";

async fn page(house: &House, path: &str) -> String {
    let mut talk = house.talk(Protocol::Metrics).await;
    talk.send(&format!("GET {path} HTTP/1.1\r\n\r\n")).await;
    talk.rest().await
}

/// The files of large bodies, by size.
fn files(house: &House) -> Vec<PathBuf> {
    let folder = house.data.path().join("store/bodies");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort_by_key(|file| fs::metadata(file).unwrap().len());
    files
}

/// Seven messages for bob: 1 and 7 are small, the others are files. 2 is changed at its end, 3 is cut, 4 is gone,
/// and 6, the largest, is changed in the middle.
async fn damaged() -> House {
    let house = House::new().await;
    for (n, octets) in [
        (1, 10),
        (2, 100_000),
        (3, 200_000),
        (4, 300_000),
        (5, 400_000),
        (6, 3_000_000),
        (7, 10),
    ] {
        let body = "tea \n".repeat(octets / 5);
        house.deliver(&format!("Subject: n{n}\n\n{body}")).await;
    }
    let files = files(&house);
    assert_eq!(files.len(), 5);
    let flip = |file: &PathBuf, from_end: usize| {
        let mut octets = fs::read(file).unwrap();
        let at = octets.len() - from_end;
        octets[at] ^= 1;
        fs::write(file, octets).unwrap();
    };
    flip(&files[0], 5);
    let cut = fs::File::options().write(true).open(&files[1]).unwrap();
    cut.set_len(150_000).unwrap();
    fs::remove_file(&files[2]).unwrap();
    flip(&files[4], 1_500_000);
    house
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_message_hides_no_other_one() {
    let house = damaged().await;
    let mut bob = Talk::imap_login(house.at(Protocol::Imap), "bob").await;
    bob.imap("SELECT INBOX").await;
    // What is asked for, and the messages that cannot be answered for.
    for (items, lost) in [
        ("BODY.PEEK[]", &[2, 3, 4, 6][..]),
        ("(UID FLAGS BODY.PEEK[] ENVELOPE)", &[2, 3, 4, 6]),
        ("RFC822", &[2, 3, 4, 6]),
        ("(BODY.PEEK[HEADER] BODY.PEEK[TEXT])", &[2, 3, 4, 6]),
        ("BODY.PEEK[1]", &[2, 3, 4, 6]),
        ("BINARY.PEEK[1]", &[2, 3, 4, 6]),
        ("BINARY.SIZE[1]", &[2, 3, 4, 6]),
        // What lies in whole blocks is whole.
        ("BODY.PEEK[HEADER]", &[4]),
        ("BODY.PEEK[HEADER.FIELDS (Subject)]", &[4]),
        ("BODY.PEEK[]<0.1000>", &[4]),
        ("BODY.PEEK[]<2000000.200000>", &[6]),
        ("(ENVELOPE BODYSTRUCTURE RFC822.SIZE)", &[]),
    ] {
        let said = bob.imap(&format!("FETCH 1:* {items}")).await;
        let (_, end) = said.trim_end().rsplit_once('\n').unwrap();
        for n in 1..=7 {
            let answered = said.contains(&format!("* {n} FETCH ("));
            assert_eq!(answered, !lost.contains(&n), "{items}: {n}: {end}");
        }
        match lost {
            [] => assert!(end.starts_with("x OK"), "{items}: {end}"),
            lost => {
                let names: Vec<_> = lost.iter().map(ToString::to_string).collect();
                let wanted = format!(
                    "x NO [CORRUPTION] Damaged on the server: UID {}",
                    names.join(", ")
                );
                assert_eq!(end, wanted, "{items}");
            }
        }
        let fetched = bob.imap(&format!("UID FETCH 5 {items}")).await;
        assert!(fetched.contains("x OK"), "{items}");
    }
    // The others are searched; what cannot be read is not found.
    let found = bob.imap("SEARCH BODY tea").await;
    assert!(
        found.contains("* SEARCH 1 5 7") && found.contains("x OK"),
        "{found}"
    );
    for command in ["SORT (SUBJECT) UTF-8 BODY tea", "COPY 1:* INBOX", "NOOP"] {
        assert!(bob.imap(command).await.contains("x OK"), "{command}");
    }
    let mut pop = house.talk(Protocol::Pop3).await;
    pop.send(&format!(
        "USER bob@example.test\r\nPASS {}\r\n",
        crate::harness::PASSWORD
    ))
    .await;
    for _ in 0..3 {
        assert!(pop.line().await.starts_with("+OK"));
    }
    for n in 1..=7 {
        for command in [format!("RETR {n}"), format!("TOP {n} 1")] {
            pop.send(&format!("{command}\r\n")).await;
            let first = pop.line().await;
            if [2, 3, 4, 6].contains(&n) {
                assert!(first.starts_with("-ERR [SYS/PERM]"), "{command}: {first}");
            } else {
                assert!(first.starts_with("+OK"), "{command}: {first}");
                pop.until(".").await;
            }
        }
    }
    let metrics = page(&house, "/metrics").await;
    let count = metrics
        .split("\nmailserver_store_damaged_reads_total ")
        .nth(1)
        .unwrap();
    let count: u64 = count.split_whitespace().next().unwrap().parse().unwrap();
    assert!(count > 10, "{metrics}");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_is_refused_before_the_disk_is_full() {
    let house = House::with(&format!("{PLAIN}[store]\nmin_free = \"9000000 GiB\"\n")).await;
    let mut smtp = house.talk(Protocol::Smtp).await;
    smtp.send("EHLO a\r\nMAIL FROM:<a@b.test>\r\nQUIT\r\n")
        .await;
    let said = smtp.rest().await;
    assert!(
        said.contains("452 4.3.1 The server's disk is full"),
        "{said}"
    );
    let mut lmtp = house.talk(Protocol::Lmtp).await;
    lmtp.send("LHLO a\r\nMAIL FROM:<a@b.test>\r\nQUIT\r\n")
        .await;
    assert!(lmtp.rest().await.contains("452 4.3.1"));
    let mut bob = Talk::imap_login(house.at(Protocol::Imap), "bob").await;
    for octets in [5, 100_000] {
        bob.send(&format!(
            "x APPEND INBOX {{{octets}+}}\r\n{}\r\n",
            "a".repeat(octets)
        ))
        .await;
        let said = bob.until("x ").await;
        assert!(
            said.contains("x NO [UNAVAILABLE] The server's disk is full"),
            "{said}"
        );
    }
    // What takes no room is done.
    for command in [
        "CREATE Work",
        "SUBSCRIBE Work",
        "SELECT INBOX",
        "DELETE Work",
    ] {
        assert!(bob.imap(command).await.contains("x OK"), "{command}");
    }
    let health = page(&house, "/health").await;
    assert!(
        health.starts_with("HTTP/1.1 503 ") && health.contains("the disk is full"),
        "{health}"
    );
    assert!(
        page(&house, "/metrics")
            .await
            .contains("\nmailserver_store_takes_messages 0\n")
    );
    house.server.stop().await;
    // With room it is as it was.
    let server = Server::start(config(house.data.path(), "example.test", PLAIN))
        .await
        .unwrap();
    let house = House {
        server,
        data: house.data,
    };
    house.deliver("Subject: there is room\n\nx").await;
    assert!(page(&house, "/health").await.ends_with("\r\n\r\nok\n"));
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_says_why_it_cannot() {
    let house = House::new().await;
    house.server.stop().await;
    let database = house.data.path().join("store/store.sqlite");
    let whole = fs::read(&database).unwrap();
    let start = || Server::start(config(house.data.path(), "example.test", PLAIN));
    let mut newer = whole.clone();
    // The database's user_version.
    newer[60..64].copy_from_slice(&99_u32.to_be_bytes());
    fs::write(&database, &newer).unwrap();
    let error = start().await.unwrap_err().to_string();
    assert!(error.contains("newer version"), "{error}");
    fs::write(&database, [0x55; 9_000]).unwrap();
    let error = start().await.unwrap_err().to_string();
    assert!(error.contains("put store/store.sqlite back"), "{error}");
    fs::write(&database, &whole).unwrap();
    start().await.unwrap().stop().await;
    // Gone altogether it is said, and nothing that is left is taken away.
    fs::write(house.data.path().join("store/bodies/77"), b"mail").unwrap();
    fs::remove_file(&database).unwrap();
    let server = start().await.unwrap();
    let house = House {
        server,
        data: house.data,
    };
    let health = page(&house, "/health").await;
    assert!(
        health.contains("503") && health.contains("the database is gone"),
        "{health}"
    );
    let kept = fs::read_dir(house.data.path().join("store/quarantine")).unwrap();
    let kept: Vec<_> = kept
        .map(|entry| fs::read(entry.unwrap().path()).unwrap())
        .collect();
    assert_eq!(kept, [b"mail"]);
    // Nobody is said not to exist: they may be back with the database.
    let mut smtp = house.talk(Protocol::Smtp).await;
    smtp.send("EHLO a\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<bob@example.test>\r\nQUIT\r\n")
        .await;
    let said = smtp.rest().await;
    assert!(
        said.contains("451 4.3.0") && !said.contains("\n550"),
        "{said}"
    );
    house.server.stop().await;
}
