//! Exchangers of one domain, several of them: who is asked next, and whose word is final (RFC 5321 §5.1).
//!
//! A row is a domain: its exchangers by preference, each with its script, and a message for one recipient or several.
//! What must come of it is a fate for each recipient and the number of messages that each exchanger took.

use crate::dns::{self, Answer};
use crate::exchangers::{
    Fate, GOOD, HEADER, PLAIN, Say, Script, Seen, listen, notifications, serve, submit,
};
use Fate::{Delivered, Later, Returned};
use Say::{Close, Cut, Silence, Text};
use hikyaku_mission::{PASSWORD, config};
use mailserver::{Addresses, Protocol, Server};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// An exchanger: the script of each connection, the last one for all that come after it; `None` where nobody listens.
type Host = Option<&'static [Script]>;

const DOWN: Host = None;
const UP: Host = Some(&[GOOD]);

struct Row {
    name: &'static str,
    message: &'static str,
    /// By preference 10, 20, 30.
    hosts: &'static [Host],
    /// What becomes of recipients a, b, c.
    fates: &'static [Fate],
    /// How many messages each exchanger takes. One that takes none and is given `-1` is not even asked.
    takes: &'static [i32],
}

const fn row(
    name: &'static str,
    hosts: &'static [Host],
    fates: &'static [Fate],
    takes: &'static [i32],
) -> Row {
    Row {
        name,
        message: PLAIN,
        hosts,
        fates,
        takes,
    }
}

/// A first exchanger that always does this, and a second that is good, which gets the message at once.
const fn next(name: &'static str, hosts: &'static [Host]) -> Row {
    row(name, hosts, &[Delivered], &[0, 1])
}

/// A first exchanger whose word is final.
const fn last(name: &'static str, hosts: &'static [Host], words: &'static [Fate]) -> Row {
    row(name, hosts, words, &[0, -1])
}

const PIPELINING: (&str, Say) = ("EHLO", Text("250-mx\n250 PIPELINING"));
const STARTTLS: (&str, Say) = ("EHLO", Text("250-mx\n250 STARTTLS"));

const ROWS: &[Row] = &[
    row("two that are good", &[UP, UP], &[Delivered], &[1, -1]),
    next("nobody listens", &[DOWN, UP]),
    next(
        "421 for a greeting",
        &[Some(&[&[("!", Cut("421 4.3.2 busy\r\n"))]]), UP],
    ),
    next(
        "450 for a greeting",
        &[Some(&[&[("!", Text("450 4.3.2 busy"))]]), UP],
    ),
    next(
        "554 for a greeting",
        &[Some(&[&[("!", Text("554 5.7.1 no SMTP here"))]]), UP],
    ),
    next(
        "521 for a greeting",
        &[Some(&[&[("!", Cut("521 5.3.2 no mail here\r\n"))]]), UP],
    ),
    next("it closes for a greeting", &[Some(&[&[("!", Close)]]), UP]),
    next("it is silent", &[Some(&[&[("!", Silence)]]), UP]),
    next("half a greeting", &[Some(&[&[("!", Cut("220 mx"))]]), UP]),
    next(
        "a web server",
        &[
            Some(&[&[("!", Cut("HTTP/1.1 400 Bad Request\r\n\r\n"))]]),
            UP,
        ],
    ),
    next(
        "421 to EHLO",
        &[Some(&[&[("EHLO", Cut("421 4.3.2 busy\r\n"))]]), UP],
    ),
    next(
        "451 to EHLO",
        &[Some(&[&[("EHLO", Text("451 4.3.0 not now"))]]), UP],
    ),
    next(
        "EHLO and HELO are refused",
        &[
            Some(&[&[
                ("EHLO", Text("550 5.7.1 not you")),
                ("HELO", Text("550 5.7.1 not you")),
            ]]),
            UP,
        ],
    ),
    next("it closes at EHLO", &[Some(&[&[("EHLO", Close)]]), UP]),
    next("it is silent at EHLO", &[Some(&[&[("EHLO", Silence)]]), UP]),
    next(
        "450 to MAIL",
        &[Some(&[&[("MAIL", Text("450 4.1.8 no DNS"))]]), UP],
    ),
    next(
        "421 to MAIL",
        &[Some(&[&[("MAIL", Cut("421 4.7.0 later\r\n"))]]), UP],
    ),
    next("it closes at MAIL", &[Some(&[&[("MAIL", Close)]]), UP]),
    next(
        "450 to RCPT",
        &[Some(&[&[("RCPT", Text("450 4.2.0 greylisted"))]]), UP],
    ),
    next(
        "421 to RCPT",
        &[Some(&[&[("RCPT", Cut("421 4.7.0 slow down\r\n"))]]), UP],
    ),
    next("it closes at RCPT", &[Some(&[&[("RCPT", Close)]]), UP]),
    next(
        "451 to DATA",
        &[Some(&[&[("DATA", Text("451 4.7.1 later"))]]), UP],
    ),
    next("it closes at DATA", &[Some(&[&[("DATA", Close)]]), UP]),
    next("250 to DATA", &[Some(&[&[("DATA", Text("250 ok"))]]), UP]),
    next(
        "452 at the end of the message",
        &[Some(&[&[(".", Text("452 4.3.1 full"))]]), UP],
    ),
    next(
        "421 at the end of the message",
        &[Some(&[&[(".", Cut("421 4.7.0 later\r\n"))]]), UP],
    ),
    next(
        "PIPELINING, and MAIL is refused for now",
        &[
            Some(&[&[
                PIPELINING,
                ("MAIL", Text("450 4.7.1 not now")),
                ("RCPT", Text("503 5.5.1 MAIL first")),
                ("DATA", Text("503 5.5.1 MAIL first")),
            ]]),
            UP,
        ],
    ),
    next(
        "STARTTLS does not come about, and in clear it has no time",
        &[
            Some(&[&[
                STARTTLS,
                ("STARTTLS", Close),
                ("MAIL", Text("451 4.3.0 not now")),
            ]]),
            UP,
        ],
    ),
    next(
        "SIZE is too small",
        &[Some(&[&[("EHLO", Text("250-mx\n250 SIZE 20"))]]), UP],
    ),
    Row {
        message: HEADER,
        ..next(
            "the second one has SMTPUTF8",
            &[
                UP,
                Some(&[&[("EHLO", Text("250-mx\n250-8BITMIME\n250 SMTPUTF8"))]]),
            ],
        )
    },
    // What is final.
    last(
        "550 to MAIL",
        &[Some(&[&[("MAIL", Text("550 5.7.1 not you"))]]), UP],
        &[Returned("not you")],
    ),
    last(
        "550 to RCPT",
        &[Some(&[&[("RCPT", Text("550 5.1.1 nobody"))]]), UP],
        &[Returned("nobody")],
    ),
    last(
        "554 to DATA",
        &[Some(&[&[("DATA", Text("554 5.7.1 no data"))]]), UP],
        &[Returned("no data")],
    ),
    last(
        "552 at the end of the message",
        &[Some(&[&[(".", Text("552 5.7.0 a virus"))]]), UP],
        &[Returned("a virus")],
    ),
    row(
        "it closes at the end of the message, which it may have",
        &[Some(&[&[(".", Close)], GOOD]), UP],
        &[Later],
        &[1, -1],
    ),
    // It may have had all of it before it closed; only when that happens again is the next one asked.
    row(
        "it closes after 354, always",
        &[Some(&[&[("DATA", Cut("354 go\r\n"))]]), UP],
        &[Later],
        &[0, 1],
    ),
    row(
        "it closes at the end of the message, always",
        &[Some(&[&[(".", Close)]]), UP],
        &[Later],
        &[0, 1],
    ),
    // TLS is opportunistic: the same exchanger, in clear.
    row(
        "STARTTLS is refused",
        &[
            Some(&[&[STARTTLS, ("STARTTLS", Text("454 4.7.0 no TLS"))]]),
            UP,
        ],
        &[Delivered],
        &[1, -1],
    ),
    row(
        "421 to STARTTLS",
        &[
            Some(&[&[STARTTLS, ("STARTTLS", Cut("421 4.7.0 no TLS\r\n"))]]),
            UP,
        ],
        &[Delivered],
        &[1, -1],
    ),
    row(
        "STARTTLS, and what comes is no TLS",
        &[
            Some(&[&[STARTTLS, ("STARTTLS", Cut("220 go\r\nXXXXXXXX\r\n"))]]),
            UP,
        ],
        &[Delivered],
        &[1, -1],
    ),
    // Each recipient has its own fate.
    row(
        "the second of two is deferred by the first host",
        &[Some(&[&[("RCPT B", Text("450 4.2.0 greylisted"))]]), UP],
        &[Delivered, Delivered],
        &[1, 1],
    ),
    row(
        "one is taken, one deferred, one refused",
        &[
            Some(&[&[
                ("RCPT B", Text("451 4.3.0 later")),
                ("RCPT C", Text("550 5.1.1 nobody")),
            ]]),
            UP,
        ],
        &[Delivered, Delivered, Returned("nobody")],
        &[1, 1],
    ),
    row(
        "what one host defers, the next one refuses",
        &[
            Some(&[&[("RCPT A", Text("450 4.2.0 greylisted"))]]),
            Some(&[&[("RCPT A", Text("550 5.1.1 nobody"))]]),
        ],
        &[Returned("nobody"), Delivered],
        &[1, 0],
    ),
    row(
        "421 after the first recipient",
        &[Some(&[&[("RCPT B", Cut("421 4.7.0 slow down\r\n"))]]), UP],
        &[Delivered, Delivered],
        &[0, 1],
    ),
    // More than two, and all of them.
    row(
        "the third one takes it",
        &[Some(&[&[("!", Cut("421 4.3.2 busy\r\n"))]]), DOWN, UP],
        &[Delivered],
        &[0, 0, 1],
    ),
    row(
        "the third one takes what is left",
        &[
            Some(&[&[
                ("RCPT B", Text("450 4.2.0 a")),
                ("RCPT C", Text("450 4.2.0 a")),
            ]]),
            Some(&[&[("RCPT C", Text("450 4.2.0 b"))]]),
            UP,
        ],
        &[Delivered, Delivered, Delivered],
        &[1, 1, 1],
    ),
    row(
        "nobody has time at first",
        &[
            Some(&[&[("!", Cut("421 4.3.2 busy\r\n"))]]),
            Some(&[&[("RCPT", Text("450 4.2.0 greylisted"))], GOOD]),
        ],
        &[Later],
        &[0, 1],
    ),
    row(
        "nobody is there at first",
        &[Some(&[&[("!", Close)], GOOD]), Some(&[&[("!", Close)]])],
        &[Later],
        &[1, 0],
    ),
    row(
        "554 for a greeting everywhere",
        &[
            Some(&[&[("!", Text("554 5.7.1 not you"))]]),
            Some(&[&[("!", Text("554 5.7.1 nor here"))]]),
        ],
        &[Returned("nor here")],
        &[0, 0],
    ),
    row(
        "554 for a greeting, and the other one may come back",
        &[
            Some(&[&[("!", Text("554 5.7.1 not you"))]]),
            Some(&[&[("!", Close)], GOOD]),
        ],
        &[Later],
        &[0, 1],
    ),
    row(
        "the other way round",
        &[
            Some(&[&[("!", Close)], GOOD]),
            Some(&[&[("!", Text("554 5.7.1 not you"))]]),
        ],
        &[Later],
        &[1, 0],
    ),
    row(
        "SIZE is too small everywhere",
        &[
            Some(&[&[("EHLO", Text("250-mx\n250 SIZE 20"))]]),
            Some(&[&[("EHLO", Text("250-mx\n250 SIZE 30"))]]),
        ],
        &[Returned("5.3.4")],
        &[0, 0],
    ),
    row(
        "450 everywhere, for ever",
        &[
            Some(&[&[("RCPT", Text("450 4.2.0 greylisted"))]]),
            Some(&[&[("RCPT", Text("450 4.2.0 here too"))]]),
        ],
        &[Returned("here too")],
        &[0, 0],
    ),
    row(
        "nobody listens anywhere",
        &[DOWN, DOWN],
        &[Returned("5.4.7")],
        &[0, 0],
    ),
];

/// Where the exchanger of a row is.
fn address(row: usize, host: usize) -> Ipv4Addr {
    let [row, host] = [row, host].map(|n| u8::try_from(n + 1).unwrap());
    Ipv4Addr::new(127, 0, 80 + host, row)
}

/// `rowN.test` has its hosts, `hostM.rowN.test` its address.
fn knows(name: &str, kind: u16) -> Answer {
    let number = |label: &str, of: &str| label.strip_prefix(of)?.parse::<usize>().ok();
    let labels: Vec<&str> = name.split('.').collect();
    match labels.as_slice() {
        [domain, "test"] if kind == dns::MX => {
            let Some(row) = number(domain, "row").and_then(|row| ROWS.get(row)) else {
                return Answer::NoName;
            };
            let host = |nth| (10 * (nth as u16 + 1), format!("host{nth}.{name}"));
            // In whatever order they come.
            Answer::Mx((0..row.hosts.len()).rev().map(host).collect())
        }
        [host, domain, "test"] => match (number(host, "host"), number(domain, "row")) {
            (Some(host), Some(row)) if kind == 1 => Answer::A(vec![address(row, host)]),
            _ => Answer::Nothing,
        },
        _ => Answer::Nothing,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn which_exchanger_is_asked_next() {
    let data = tempfile::tempdir().unwrap();
    let port = listen((Ipv4Addr::LOCALHOST, 0)).await.local_addr().unwrap();
    let port = port.port();
    let mut all = Vec::new();
    for (nth, row) in ROWS.iter().enumerate() {
        let mut hosts = Vec::new();
        for (at, host) in row.hosts.iter().enumerate() {
            let seen = Arc::new(Mutex::new(Seen::default()));
            if let Some(says) = host {
                let listener = listen((address(nth, at), port)).await;
                tokio::spawn(serve(says, listener, Arc::clone(&seen)));
            }
            hosts.push(seen);
        }
        let names = ["a", "b", "c"].iter().take(row.fates.len());
        let to: Vec<String> = names.map(|name| format!("{name}@row{nth}.test")).collect();
        all.push((row, hosts, to));
    }
    let dns = dns::serve_with(knows).await;
    let more = format!(
        "[auth]\nplaintext = \"always\"\n[relay]\ndns = [\"{dns}\"]\nport = {port}\nretry = [\"1s\"]\n\
         expire = \"6s\"\npatience = \"700ms\"\n"
    );
    let mut config = config(data.path(), "example.test", &more);
    config.listen.submission = Addresses::One("127.0.0.1:0".into());
    let server = Server::start(config).await.unwrap();
    let accounts = server.accounts();
    accounts.add("alice@example.test", PASSWORD).await.unwrap();
    let at = server.address(Protocol::Submission).unwrap();
    for (row, _, to) in &all {
        let to: Vec<&str> = to.iter().map(String::as_str).collect();
        submit(at, &to, row.message).await;
    }
    let started = Instant::now();
    while !server.store().queue(None, 1).await.unwrap().is_empty() {
        let late = started.elapsed() > Duration::from_secs(60);
        assert!(!late, "the queue does not become empty");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let returned = notifications(&server).await;
    let mut failed = Vec::new();
    for (row, hosts, to) in &all {
        let mut wrong = Vec::new();
        for (host, takes) in hosts.iter().zip(row.takes) {
            let seen = host.lock().unwrap();
            let is_right = match takes {
                -1 => seen.connections == 0,
                takes => usize::try_from(*takes) == Ok(seen.delivered),
            };
            // What is delivered at once is delivered in one attempt; STARTTLS may take two connections.
            let is_once = !row.fates.iter().all(|fate| *fate == Delivered) || seen.connections <= 2;
            if !is_right || !is_once {
                wrong.push(format!(
                    "{} connections, {} taken",
                    seen.connections, seen.delivered
                ));
            }
        }
        for (to, fate) in to.iter().zip(row.fates) {
            let recipient = format!("Final-Recipient: rfc822; {to}");
            let notification = returned.iter().find(|one| one.contains(&recipient));
            let is_right = match fate {
                Returned(words) => notification.is_some_and(|one| one.contains(words)),
                Delivered | Later => notification.is_none(),
            };
            if !is_right {
                wrong.push(format!("{to} {fate:?}: {notification:?}"));
            }
        }
        if !wrong.is_empty() {
            failed.push(format!("{}: {}", row.name, wrong.join(", ")));
        }
    }
    server.stop().await;
    assert!(
        failed.is_empty(),
        "{} of {}:\n{}",
        failed.len(),
        ROWS.len(),
        failed.join("\n")
    );
}
