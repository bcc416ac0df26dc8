//! Guessing passwords, at all doors at once, and what others notice of it.

use crate::harness::{PASSWORD, Talk, config, run};
use mailserver::{Addresses, Protocol, Server};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Where passwords can be tried.
#[derive(Debug, Clone, Copy)]
enum Door {
    Imap,
    ImapSasl,
    Pop3,
    Pop3Sasl,
    Smtp,
    SmtpLogin,
    Webmail,
}

const DOORS: [Door; 7] = [
    Door::Imap,
    Door::ImapSasl,
    Door::Pop3,
    Door::Pop3Sasl,
    Door::Smtp,
    Door::SmtpLogin,
    Door::Webmail,
];

/// How slowly a wrong password is refused.
const SLOW: std::ops::Range<Duration> = Duration::from_secs(2)..Duration::from_millis(3500);

/// What is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Right,
    Wrong,
    Later,
}

fn base64(text: &str) -> String {
    crate::relay::base64(text.as_bytes())
}

async fn attempt(server: &Server, door: Door, from: &str, name: &str, password: &str) -> Answer {
    let plain = base64(&format!("\0{name}\0{password}"));
    let (service, lines, last): (_, Vec<String>, String) = match door {
        Door::Imap => (
            Protocol::Imap,
            vec![],
            format!("x LOGIN {name} \"{password}\"\r\n"),
        ),
        Door::ImapSasl => (
            Protocol::Imap,
            vec![],
            format!("x AUTHENTICATE PLAIN {plain}\r\n"),
        ),
        Door::Pop3 => (
            Protocol::Pop3,
            vec![format!("USER {name}\r\n")],
            format!("PASS {password}\r\n"),
        ),
        Door::Pop3Sasl => (Protocol::Pop3, vec![], format!("AUTH PLAIN {plain}\r\n")),
        Door::Smtp => (
            Protocol::Submission,
            vec!["EHLO a\r\n".into()],
            format!("AUTH PLAIN {plain}\r\n"),
        ),
        Door::SmtpLogin => (
            Protocol::Submission,
            vec![
                "EHLO a\r\n".into(),
                format!("AUTH LOGIN {}\r\n", base64(name)),
            ],
            format!("{}\r\n", base64(password)),
        ),
        Door::Webmail => return page(server, from, name, password).await,
    };
    let mut talk = Talk::from(from, server.address(service).unwrap()).await;
    talk.line().await;
    for line in lines {
        talk.send(&line).await;
        while talk.line().await.starts_with("250-") {}
    }
    talk.send(&last).await;
    let said = loop {
        // It may wait for its turn.
        let line = talk.line_within(Duration::from_secs(30)).await;
        if !line.starts_with("* ") {
            break line;
        }
    };
    match said.split(' ').take(3).collect::<Vec<_>>()[..] {
        // Whoever the maildrop is open for has been let in, too: the attempt before may not be over yet.
        ["x", "OK", ..] | ["+OK" | "235", ..] | ["-ERR", "[IN-USE]", ..] => Answer::Right,
        ["x", "NO", "[AUTHENTICATIONFAILED]"] | ["-ERR", "[AUTH]", ..] | ["535", ..] => {
            Answer::Wrong
        }
        ["x", "NO", "[UNAVAILABLE]"] | ["-ERR", "[SYS/TEMP]", ..] | ["454", ..] => Answer::Later,
        _ => panic!("{door:?}: {said}"),
    }
}

async fn page(server: &Server, from: &str, name: &str, password: &str) -> Answer {
    let port = server.address(Protocol::Https).unwrap().port();
    let form = format!("name={name}&password={}", password.replace(' ', "+"));
    let url = format!("https://127.0.0.1:{port}/login");
    let said = run(
        "curl",
        &[
            "-skm",
            "40",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "--interface",
            from,
            "-d",
            &form,
            &url,
        ],
        "",
    )
    .await
    .1;
    match said.as_str() {
        "303" => Answer::Right,
        "401" => Answer::Wrong,
        "429" => Answer::Later,
        _ => panic!("the page: {said}"),
    }
}

async fn house(data: &tempfile::TempDir, more: &str) -> Arc<Server> {
    let more = format!("[auth]\nplaintext = \"always\"\n{more}");
    let mut config = config(data.path(), "example.test", &more);
    config.listen.https = Addresses::One("127.0.0.1:0".into());
    let server = Server::start(config).await.unwrap();
    for name in ["alice", "bob"] {
        let address = format!("{name}@example.test");
        server.accounts().add(&address, PASSWORD).await.unwrap();
    }
    Arc::new(server)
}

/// Guesses at all doors with `each` connections a door, until the end; how many were answered "wrong".
fn guess(
    server: &Arc<Server>,
    from: &'static str,
    name: &'static str,
    each: u32,
    end: Instant,
) -> (tokio::task::JoinSet<()>, Arc<AtomicU32>) {
    let mut all = tokio::task::JoinSet::new();
    let wrong = Arc::new(AtomicU32::new(0));
    for door in DOORS {
        for number in 0..each {
            let (server, wrong) = (Arc::clone(server), Arc::clone(&wrong));
            all.spawn(async move {
                // One account, however it is written.
                let spelled = match number % 3 {
                    0 => name.to_owned(),
                    1 => name.to_uppercase(),
                    _ => format!("{name}@Example.Test"),
                };
                while Instant::now() < end {
                    match attempt(&server, door, from, &spelled, "guess").await {
                        Answer::Wrong => drop(wrong.fetch_add(1, Ordering::Relaxed)),
                        Answer::Later => tokio::time::sleep(Duration::from_millis(300)).await,
                        Answer::Right => panic!("guessed"),
                    }
                }
            });
        }
    }
    (all, wrong)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_at_all_doors_are_one_row_and_others_do_not_wait() {
    let data = tempfile::tempdir().unwrap();
    let server = house(&data, "").await;
    let began = Instant::now();
    let time = Duration::from_secs(14);
    let (mut alices, alice_wrong) = guess(&server, "127.0.0.9", "alice", 3, began + time);
    // Of a name that nobody has it is the same.
    let (mut nobodys, nobody_wrong) = guess(&server, "127.0.0.11", "nobody", 3, began + time);
    tokio::time::sleep(Duration::from_secs(5)).await;
    // The same person from elsewhere; and somebody else from there, where nobody was before.
    for (from, name) in [("127.0.0.10", "alice"), ("127.0.0.9", "bob")] {
        for door in DOORS {
            let began = Instant::now();
            let answer = attempt(&server, door, from, name, PASSWORD).await;
            assert_eq!(answer, Answer::Right, "{door:?} {name}");
            assert!(
                began.elapsed() < Duration::from_millis(1500),
                "{door:?} {name}: {:?}",
                began.elapsed()
            );
        }
    }
    while let Some(done) = alices.join_next().await {
        done.unwrap();
    }
    while let Some(done) = nobodys.join_next().await {
        done.unwrap();
    }
    // At 0, 2, 4, 6, 10 and 18 seconds, and those that waited at the end.
    for (name, wrong) in [("alice", alice_wrong), ("nobody", nobody_wrong)] {
        let wrong = wrong.load(Ordering::Relaxed);
        assert!((4..=8).contains(&wrong), "{name}: {wrong}");
    }
    let mut metrics = Talk::new(server.address(Protocol::Metrics).unwrap()).await;
    metrics.send("GET /metrics HTTP/1.0\r\n\r\n").await;
    let page = metrics.rest().await;
    for counter in [
        "logins_delayed_total",
        "logins_turned_away_total",
        "logins_failed_total",
    ] {
        let line = page
            .lines()
            .find(|line| line.starts_with(&format!("mailserver_{counter} ")));
        let value: u32 = line.unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        assert!(value > 3, "{page}");
    }
    // A right one is a new beginning, even from there.
    tokio::time::sleep(Duration::from_secs(16)).await;
    let right = attempt(&server, Door::Imap, "127.0.0.9", "alice", PASSWORD).await;
    assert_eq!(right, Answer::Right);
    let began = Instant::now();
    for _ in 0..2 {
        let wrong = attempt(&server, Door::Imap, "127.0.0.9", "alice", "guess").await;
        assert_eq!(wrong, Answer::Wrong);
    }
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    Arc::into_inner(server).unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_refused_slowly_at_each_door_also_one_that_is_remembered() {
    let data = tempfile::tempdir().unwrap();
    let server = house(&data, "exempt = [\"127.0.0.0/8\"]\n").await;
    for door in DOORS {
        let right = attempt(&server, door, "127.0.0.9", "alice", PASSWORD).await;
        assert_eq!(right, Answer::Right, "{door:?}");
        for name in ["alice", "nobody"] {
            // Never sooner; and not later, but for a machine that is busy otherwise.
            let mut soonest = Duration::MAX;
            for _ in 0..3 {
                let began = Instant::now();
                let wrong = attempt(&server, door, "127.0.0.9", name, "guess").await;
                assert_eq!(wrong, Answer::Wrong, "{door:?}");
                soonest = soonest.min(began.elapsed());
                if soonest < SLOW.end {
                    break;
                }
            }
            assert!(SLOW.contains(&soonest), "{door:?} {name}: {soonest:?}");
        }
    }
    Arc::into_inner(server).unwrap().stop().await;
}
