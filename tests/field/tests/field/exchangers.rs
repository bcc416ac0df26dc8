//! Exchangers for the relay, each answer scripted.
//!
//! A row is one exchanger and one message for it: what it answers otherwise than a good one would, in the first
//! attempt and in the later ones, and what must come of the message. In every row one thing holds besides: an
//! exchanger without 8BITMIME never sees an octet over 127, and no message is given up without a word to its sender.

use base64::Engine as _;
use hikyaku_mailstore::{Want, Which};
use hikyaku_mission::{PASSWORD, config};
use mailserver::{Addresses, Protocol, Server};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What the exchanger says instead of what a good one would.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Say {
    /// These lines.
    Text(&'static str),
    /// These octets, then it closes.
    Cut(&'static str),
    /// Nothing: it closes.
    Close,
    /// Nothing, and it stays.
    Silence,
}
use Say::{Close, Cut, Silence, Text};

/// What must come of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Delivered at once, within one attempt.
    Delivered,
    /// Delivered by a later attempt.
    Later,
    /// Returned to its sender, with these words.
    Returned(&'static str),
}
use Fate::{Delivered, Later, Returned};

pub(crate) type Script = &'static [(&'static str, Say)];

struct Row {
    name: &'static str,
    /// Who is known to do so.
    known: &'static str,
    message: &'static str,
    /// Answers of each connection, the last one for all that come after it. By verb; `!` is the greeting, `.` the
    /// end of the message, `*` input that came while a command was answered.
    says: &'static [Script],
    fate: Fate,
    /// What the exchanger must have got.
    gets: &'static [&'static str],
}

pub(crate) const PLAIN: &str = "Subject: plain\r\n\r\nbody\r\n.dot\r\n";
const UTF8: &str = "Subject: utf8\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Transfer-Encoding: 8bit\r\n\r\nl'\u{e9}t\u{e9} dernier\r\n";
const MIXED: &str = "Subject: mixed\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\r\nGr\u{fc}\u{df}e\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n\
    Subject: inner\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\u{98db}\u{811a}\r\n--b--\r\n";
const SIGNED: &str = "Subject: signed\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b;\r\n \
    protocol=\"application/pgp-signature\"; micalg=pgp-sha256\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\
    \u{fc}\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n";
pub(crate) const HEADER: &str = "Subject: \u{fc}ber\r\n\r\nbody\r\n";

const NO_8BIT: (&str, Say) = ("EHLO", Text("250-mx.test\n250 SIZE 100000"));
pub(crate) const GOOD: Script = &[];

const fn row(name: &'static str, known: &'static str, says: &'static [Script], fate: Fate) -> Row {
    Row {
        name,
        known,
        message: PLAIN,
        says,
        fate,
        gets: &[],
    }
}

const ROWS: &[Row] = &[
    Row {
        message: UTF8,
        gets: &["BODY=8BITMIME", "l'\u{e9}t\u{e9} dernier"],
        ..row("8BITMIME", "most", &[GOOD], Delivered)
    },
    Row {
        message: UTF8,
        gets: &[
            "l'=C3=A9t=C3=A9 dernier",
            "Content-Transfer-Encoding: quoted-printable",
        ],
        ..row(
            "no 8BITMIME",
            "qmail's relatives, mail gateways of scanners",
            &[&[NO_8BIT]],
            Delivered,
        )
    },
    Row {
        message: MIXED,
        gets: &["R3LDvMOfZQ==", "6aOb6ISa", "--b--"],
        ..row(
            "no 8BITMIME, and several parts",
            "firewalls that take EHLO keywords away",
            &[&[NO_8BIT]],
            Delivered,
        )
    },
    Row {
        message: SIGNED,
        ..row(
            "no 8BITMIME, and a signature",
            "firewalls that take EHLO keywords away",
            &[&[NO_8BIT]],
            Returned("5.6.3"),
        )
    },
    Row {
        message: HEADER,
        ..row(
            "no SMTPUTF8, and a header section that needs it",
            "Exchange",
            &[&[NO_8BIT]],
            Returned("5.6.7"),
        )
    },
    Row {
        message: HEADER,
        ..row(
            "8BITMIME without SMTPUTF8, and a header section that needs it",
            "Exchange",
            &[GOOD],
            Returned("5.6.7"),
        )
    },
    Row {
        message: UTF8,
        gets: &["HELO", "l'=C3=A9t=C3=A9 dernier"],
        ..row(
            "HELO only",
            "Cisco PIX fixup, old scanners",
            &[&[("EHLO", Text("500 what"))]],
            Delivered,
        )
    },
    row(
        "421 for a greeting",
        "load limits everywhere",
        &[&[("!", Cut("421 4.3.2 busy\r\n"))], GOOD],
        Later,
    ),
    row(
        "421 to EHLO",
        "load limits",
        &[&[("EHLO", Cut("421 4.3.2 busy\r\n"))], GOOD],
        Later,
    ),
    row(
        "421 to RCPT",
        "Outlook.com, Yahoo",
        &[&[("RCPT", Cut("421 4.7.0 slow down\r\n"))], GOOD],
        Later,
    ),
    row(
        "421 at the end of the message",
        "Gmail under load",
        &[&[(".", Cut("421 4.7.0 later\r\n"))], GOOD],
        Later,
    ),
    row(
        "554 for a greeting",
        "block lists",
        &[&[("!", Cut("554 5.7.1 your address is listed\r\n"))]],
        Returned("listed"),
    ),
    row(
        "450 to MAIL",
        "sender checks that time out",
        &[&[("MAIL", Text("450 4.1.8 no DNS"))], GOOD],
        Later,
    ),
    row(
        "450 to RCPT",
        "greylisting",
        &[&[("RCPT", Text("450 4.2.0 greylisted"))], GOOD],
        Later,
    ),
    row(
        "451 to DATA",
        "milters",
        &[&[("DATA", Text("451 4.7.1 later"))], GOOD],
        Later,
    ),
    row(
        "452 at the end of the message",
        "full disks",
        &[&[(".", Text("452 4.3.1 full"))], GOOD],
        Later,
    ),
    row(
        "450 for ever",
        "greylisting that forgets",
        &[&[("RCPT", Text("450 4.2.0 greylisted"))]],
        Returned("greylisted"),
    ),
    row(
        "550 to MAIL",
        "block lists",
        &[&[("MAIL", Text("550 5.7.1 not you"))]],
        Returned("not you"),
    ),
    row(
        "550 to RCPT",
        "everywhere",
        &[&[("RCPT", Text("550 5.1.1 no such user"))]],
        Returned("no such user"),
    ),
    row(
        "554 to DATA",
        "policy servers",
        &[&[("DATA", Text("554 5.7.1 no data"))]],
        Returned("no data"),
    ),
    row(
        "552 at the end of the message",
        "scanners",
        &[&[(".", Text("552 5.7.0 a virus"))]],
        Returned("a virus"),
    ),
    row(
        "571 to RCPT, a second digit that RFC 5321 has not",
        "Exchange",
        &[&[("RCPT", Text("571 5.7.1 refused here"))]],
        Returned("refused here"),
    ),
    row(
        "471 to RCPT",
        "spam appliances",
        &[&[("RCPT", Text("471 wait"))], GOOD],
        Later,
    ),
    row(
        "a refusal of several lines, with words that are not ASCII",
        "GMX, mail.ru",
        &[&[(
            "RCPT",
            Text("550-5.7.1 Unbekannter Empf\u{e4}nger\n550-5.7.1\n550 5.7.1 siehe http://x.test/"),
        )]],
        Returned("siehe http://x.test/"),
    ),
    row(
        "every reply has several lines",
        "old Sendmail, proud gateways",
        &[&[
            ("!", Text("220-mx.test\n220-no spam please\n220 go")),
            ("MAIL", Text("250-2.1.0 you\n250 2.1.0 ok")),
            ("RCPT", Text("250-\n250-a\n250 b")),
            ("DATA", Text("354-go\n354 on")),
            (".", Text("250-2.0.0 got\n250 2.0.0 it")),
        ]],
        Delivered,
    ),
    row(
        "no reply has a text",
        "home-made servers",
        &[&[
            ("!", Text("220")),
            ("EHLO", Text("250")),
            ("MAIL", Text("250")),
            ("RCPT", Text("250")),
            ("DATA", Text("354")),
            (".", Text("250")),
        ]],
        Delivered,
    ),
    row(
        "251 and 252 to RCPT",
        "forwarders",
        &[&[("RCPT", Text("251 2.1.5 will forward"))]],
        Delivered,
    ),
    row(
        "EHLO keywords in small letters, with odd ones",
        "home-made servers",
        &[&[(
            "EHLO",
            Text("250-mx\n250-8bitmime\n250-\n250-X-ODD =a=b\n250 size"),
        )]],
        Delivered,
    ),
    row(
        "250 to DATA, which asks for nothing and takes nothing",
        "broken proxies",
        &[&[("DATA", Text("250 ok"))], GOOD],
        Later,
    ),
    row(
        "354 at the end of the message",
        "broken proxies",
        &[&[(".", Text("354 more"))], GOOD],
        Later,
    ),
    row(
        "354 to RCPT",
        "broken proxies",
        &[&[("RCPT", Text("354 go"))], GOOD],
        Later,
    ),
    row(
        "no reply but words",
        "a web server on port 25",
        &[&[("!", Cut("HTTP/1.1 400 Bad Request\r\n\r\n"))], GOOD],
        Later,
    ),
    row(
        "lines end in LF alone",
        "scripts",
        &[&[("!", Cut("220 mx.test\n"))], GOOD],
        Later,
    ),
    row(
        "it closes for a greeting",
        "tcpwrappers",
        &[&[("!", Close)], GOOD],
        Later,
    ),
    row(
        "it closes at DATA",
        "scanners that crash",
        &[&[("DATA", Close)], GOOD],
        Later,
    ),
    row(
        "it closes after 354",
        "scanners that crash",
        &[&[("DATA", Cut("354 go\r\n"))], GOOD],
        Later,
    ),
    row(
        "it closes at the end of the message",
        "scanners that crash",
        &[&[(".", Close)], GOOD],
        Later,
    ),
    row(
        "it refuses in the middle of the message",
        "size limits that are not announced",
        &[&[("DATA", Cut("354 go\r\n552 5.3.4 too big\r\n"))]],
        Returned("too big"),
    ),
    row(
        "it closes at QUIT",
        "Outlook.com",
        &[&[("QUIT", Close)]],
        Delivered,
    ),
    row(
        "500 to QUIT",
        "home-made servers",
        &[&[("QUIT", Text("500 what"))]],
        Delivered,
    ),
    row(
        "PIPELINING is announced, and breaks",
        "proxies that pass EHLO on, Cisco ASA",
        &[&[
            ("EHLO", Text("250-mx\n250-8BITMIME\n250 PIPELINING")),
            ("*", Close),
        ]],
        Delivered,
    ),
    row(
        "PIPELINING, and MAIL is refused",
        "block lists",
        &[&[
            ("EHLO", Text("250-mx\n250 PIPELINING")),
            ("MAIL", Text("550 5.7.1 not you")),
            ("RCPT", Text("503 5.5.1 MAIL first")),
            ("DATA", Text("503 5.5.1 MAIL first")),
        ]],
        Returned("not you"),
    ),
    row(
        "SIZE is too small",
        "free mail",
        &[&[("EHLO", Text("250-mx\n250 SIZE 20"))]],
        Returned("5.3.4"),
    ),
    row(
        "SIZE without a number",
        "home-made servers",
        &[&[("EHLO", Text("250-mx\n250 SIZE"))]],
        Delivered,
    ),
    row(
        "STARTTLS is announced and refused",
        "servers without a certificate",
        &[&[
            ("EHLO", Text("250-mx\n250 STARTTLS")),
            ("STARTTLS", Text("454 4.7.0 no TLS")),
        ]],
        Delivered,
    ),
    row(
        "STARTTLS is announced, and what comes is no TLS",
        "fixup firewalls",
        &[&[
            ("EHLO", Text("250-mx\n250 STARTTLS")),
            ("STARTTLS", Cut("220 go\r\nXXXXXXXX\r\n")),
        ]],
        Delivered,
    ),
    row(
        "STARTTLS is announced, and it closes",
        "servers whose TLS crashed",
        &[&[("EHLO", Text("250-mx\n250 STARTTLS")), ("STARTTLS", Close)]],
        Delivered,
    ),
];

/// What an exchanger saw.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) connections: usize,
    pub(crate) delivered: usize,
    octets: Vec<u8>,
    /// Octets over 127 came although 8BITMIME was not announced.
    raw: bool,
}

fn lines(text: &str) -> String {
    format!("{}\r\n", text.replace('\n', "\r\n"))
}

/// Listens, at an address of the loopback network.
pub(crate) async fn listen(at: (Ipv4Addr, u16)) -> TcpListener {
    TcpListener::bind(at).await.unwrap()
}

/// Serves each connection by its script, the last one for all that come after it.
pub(crate) async fn serve(says: &'static [Script], listener: TcpListener, seen: Arc<Mutex<Seen>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let nth = {
            let mut seen = seen.lock().unwrap();
            seen.connections += 1;
            seen.connections - 1
        };
        let script = says.get(nth).or(says.last()).copied().unwrap_or(&[]);
        tokio::spawn(talk(script, stream, Arc::clone(&seen)));
    }
}

async fn talk(script: Script, stream: TcpStream, seen: Arc<Mutex<Seen>>) {
    let said = |key: &str| {
        script
            .iter()
            .find(|(of, _)| *of == key)
            .map(|(_, say)| *say)
    };
    let mut stream = BufReader::new(stream);
    let mut eight_bit = false;
    // The verb, and with RCPT the recipient.
    let (mut verb, mut exact) = ("!".to_owned(), String::new());
    loop {
        let good = match verb.as_str() {
            "!" => "220 mx.test ESMTP",
            "EHLO" => "250-mx.test\n250-8BITMIME\n250 SIZE 100000",
            "DATA" => "354 go",
            "QUIT" => "221 bye",
            "AUTH" | "=" => "235 in",
            "HELO" | "MAIL" | "RCPT" | "." | "RSET" | "NOOP" => "250 ok",
            _ => "502 unknown",
        };
        let (answer, closes) = match said(&exact).or_else(|| said(&verb)) {
            None => (lines(good), verb == "QUIT"),
            Some(Text(text)) => (lines(text), verb == "QUIT"),
            Some(Cut(text)) => (text.to_owned(), true),
            Some(Close) => (String::new(), true),
            Some(Silence) => {
                let _ = stream.read_to_end(&mut Vec::new()).await;
                return;
            }
        };
        eight_bit |= verb == "EHLO" && answer.to_uppercase().contains("8BITMIME");
        let in_message = verb == "DATA" && answer.starts_with("354");
        if verb == "." && answer.starts_with("250") {
            seen.lock().unwrap().delivered += 1;
        }
        let _ = stream.get_mut().write_all(answer.as_bytes()).await;
        if closes {
            // What is under way arrives, so that the answer is not lost in a reset.
            let _ = stream.get_mut().shutdown().await;
            let _ = tokio::time::timeout(
                Duration::from_millis(300),
                stream.read_to_end(&mut Vec::new()),
            )
            .await;
            return;
        }
        if !stream.buffer().is_empty() && said("*").is_some() {
            return;
        }
        let mut line = Vec::new();
        loop {
            line.clear();
            match stream.read_until(b'\n', &mut line).await {
                Ok(count) if count > 0 => {}
                _ => return,
            }
            let mut seen = seen.lock().unwrap();
            seen.octets.extend_from_slice(&line);
            seen.raw |= !eight_bit && !line.is_ascii();
            if !in_message || line == b".\r\n" {
                break;
            }
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_uppercase();
        exact = match text.split_once("RCPT TO:<") {
            Some((_, path)) => format!("RCPT {}", path.split('@').next().unwrap_or("")),
            None => String::new(),
        };
        verb = match in_message {
            true => ".".into(),
            // A response to a challenge.
            false if answer.starts_with("334") => "=".into(),
            false => text.split([' ', ':']).next().unwrap_or("").to_owned(),
        };
    }
}

/// Hands a message for some addresses over, as alice.
pub(crate) async fn submit(at: SocketAddr, to: &[&str], message: &str) {
    let mut stream = BufReader::new(TcpStream::connect(at).await.unwrap());
    let plain = base64::engine::general_purpose::STANDARD
        .encode(format!("\0alice@example.test\0{PASSWORD}"));
    let message = message.replace("\r\n.", "\r\n..");
    let mut commands = vec![
        String::new(),
        "EHLO test".into(),
        format!("AUTH PLAIN {plain}"),
        "MAIL FROM:<alice@example.test> BODY=8BITMIME".into(),
    ];
    commands.extend(to.iter().map(|to| format!("RCPT TO:<{to}>")));
    commands.extend(["DATA".into(), format!("{message}."), "QUIT".into()]);
    for command in commands {
        if !command.is_empty() {
            stream
                .get_mut()
                .write_all(format!("{command}\r\n").as_bytes())
                .await
                .unwrap();
        }
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            assert!(line.starts_with(['2', '3']), "{to:?}: {command}: {line}");
            if line.as_bytes().get(3) != Some(&b'-') {
                break;
            }
        }
    }
}

/// The notifications in alice's INBOX.
pub(crate) async fn notifications(server: &Server) -> Vec<String> {
    let store = server.store();
    let account = store.account("alice@example.test").await.unwrap().unwrap();
    let mailboxes = store.mailboxes(account.id, None).await.unwrap().mailboxes;
    let inbox = mailboxes
        .iter()
        .find(|mailbox| mailbox.name == "INBOX")
        .unwrap();
    let rows = store
        .messages(inbox.id, &Which::After(None), Want::ROW, 1000)
        .await
        .unwrap()
        .rows;
    let mut all = Vec::new();
    for row in rows {
        let octets = store.read(&row.body, 0..row.body.octets).await.unwrap();
        all.push(String::from_utf8_lossy(&octets).into_owned());
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn what_exchangers_answer() {
    let data = tempfile::tempdir().unwrap();
    // Every row has an address of its own, and one port serves for all.
    let address =
        |nth: usize| IpAddr::V4(Ipv4Addr::new(127, 0, 77, u8::try_from(nth + 1).unwrap()));
    let first = TcpListener::bind((address(0), 0)).await.unwrap();
    let port = first.local_addr().unwrap().port();
    let mut first = Some(first);
    let mut all = Vec::new();
    for (nth, row) in ROWS.iter().enumerate() {
        let listener = match first.take() {
            Some(listener) => listener,
            None => TcpListener::bind((address(nth), port)).await.unwrap(),
        };
        let seen = Arc::new(Mutex::new(Seen::default()));
        tokio::spawn(serve(row.says, listener, Arc::clone(&seen)));
        all.push((row, seen, format!("x@[{}]", address(nth))));
    }
    let more = format!(
        "[auth]\nplaintext = \"always\"\n[relay]\nport = {port}\nretry = [\"500ms\"]\nexpire = \"4s\"\n"
    );
    let mut config = config(data.path(), "example.test", &more);
    config.listen.submission = Addresses::One("127.0.0.1:0".into());
    let server = Server::start(config).await.unwrap();
    server
        .accounts()
        .add("alice@example.test", PASSWORD)
        .await
        .unwrap();
    let at = server.address(Protocol::Submission).unwrap();
    for (row, _, to) in &all {
        submit(at, &[to], row.message).await;
    }
    let started = Instant::now();
    while !server.store().queue(None, 1).await.unwrap().is_empty() {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "the queue does not become empty"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let returned = notifications(&server).await;
    let mut failed = Vec::new();
    for (row, seen, to) in &all {
        let seen = seen.lock().unwrap();
        let text = String::from_utf8_lossy(&seen.octets);
        let notification = returned
            .iter()
            .find(|one| one.contains(&format!("Final-Recipient: rfc822; {to}")));
        let is_right = match row.fate {
            Delivered => seen.delivered == 1 && notification.is_none() && seen.connections <= 2,
            Later => seen.delivered == 1 && notification.is_none() && seen.connections == 2,
            Returned(words) => {
                seen.delivered == 0 && notification.is_some_and(|one| one.contains(words))
            }
        };
        let got = row.gets.iter().all(|words| text.contains(words));
        let whole = seen.delivered == 0
            || row.message != PLAIN
            || text.contains("\r\nbody\r\n..dot\r\n.\r\n");
        if !is_right || !got || !whole || seen.raw {
            failed.push(format!(
                "{} ({}): not {:?}: {} connections, {} delivered, raw {}, {}\n{text}",
                row.name,
                row.known,
                row.fate,
                seen.connections,
                seen.delivered,
                seen.raw,
                notification.map_or("no notification", |one| one
                    .split("\r\n\r\n")
                    .nth(2)
                    .unwrap_or(one)),
            ));
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

/// A submission server for the client, by the same script.
struct Submitted {
    row: Row,
    /// What the client says of the message, or of the login.
    says: &'static str,
}

const AUTH: (&str, Say) = ("EHLO", Text("250-mx\n250-8BITMIME\n250 AUTH PLAIN LOGIN"));

const fn submitted(row: Row, says: &'static str) -> Submitted {
    Submitted { row, says }
}

const SUBMITTED: &[Submitted] = &[
    submitted(
        row("AUTH PLAIN", "most", &[&[AUTH]], Delivered),
        "[Accepted]",
    ),
    submitted(
        row("no AUTH", "servers of a house", &[GOOD], Delivered),
        "[Accepted]",
    ),
    submitted(
        Row {
            gets: &["AUTH LOGIN"],
            ..row(
                "AUTH PLAIN is announced and unknown",
                "Exchange behind a proxy",
                &[&[AUTH, ("AUTH", Text("504 5.5.4 no such mechanism"))]],
                Returned(""),
            )
        },
        "no such mechanism",
    ),
    submitted(
        row(
            "a wrong password",
            "everywhere",
            &[&[AUTH, ("AUTH", Text("535 5.7.8 wrong"))]],
            Returned(""),
        ),
        "Login(\"535 5.7.8 wrong\")",
    ),
    submitted(
        row(
            "a login that nobody can judge now",
            "Dovecot without its database",
            &[&[AUTH, ("AUTH", Text("454 4.7.0 not now"))]],
            Returned(""),
        ),
        "Network(\"454 4.7.0 not now\")",
    ),
    submitted(
        row(
            "a challenge although the response came with AUTH",
            "old Sendmail",
            &[&[AUTH, ("AUTH", Text("334 "))]],
            Delivered,
        ),
        "[Accepted]",
    ),
    submitted(
        row(
            "AUTH=LOGIN in the old spelling alone",
            "MS SMTP of once",
            &[&[
                ("EHLO", Text("250-mx\n250 AUTH=LOGIN")),
                ("AUTH", Text("334 VXNlcm5hbWU6")),
                ("=", Text("235 in")),
            ]],
            Delivered,
        ),
        "[Accepted]",
    ),
    submitted(
        Row {
            message: UTF8,
            gets: &["l'=C3=A9t=C3=A9 dernier"],
            ..row("no 8BITMIME", "devices", &[&[NO_8BIT]], Delivered)
        },
        "[Accepted]",
    ),
    submitted(
        Row {
            message: MIXED,
            gets: &["R3LDvMOfZQ==", "6aOb6ISa"],
            ..row(
                "no 8BITMIME, and several parts",
                "devices",
                &[&[NO_8BIT]],
                Delivered,
            )
        },
        "[Accepted]",
    ),
    submitted(
        Row {
            message: SIGNED,
            ..row(
                "no 8BITMIME, and a signature",
                "devices",
                &[&[NO_8BIT]],
                Returned(""),
            )
        },
        "Refused(\"554 5.6.3",
    ),
    submitted(
        Row {
            message: HEADER,
            ..row("no SMTPUTF8", "Exchange", &[GOOD], Returned(""))
        },
        "Refused(\"553 5.6.7",
    ),
    submitted(
        row(
            "250 to DATA",
            "broken proxies",
            &[&[("DATA", Text("250 ok"))]],
            Returned(""),
        ),
        "broke the protocol",
    ),
    submitted(
        row(
            "it closes at the end of the message",
            "scanners that crash",
            &[&[(".", Close)]],
            Returned(""),
        ),
        "closed the connection",
    ),
    submitted(
        row(
            "354 at the end of the message",
            "broken proxies",
            &[&[(".", Text("354 more"))]],
            Returned(""),
        ),
        "broke the protocol",
    ),
];

#[tokio::test]
async fn what_submission_servers_answer() {
    use hikyaku_client::{Security, Submission, Tcp};
    let mut failed = Vec::new();
    for Submitted { row, says } in SUBMITTED {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        tokio::spawn(serve(row.says, listener, Arc::clone(&seen)));
        let (host, security) = ("127.0.0.1".to_owned(), Security::None);
        let server = hikyaku_client::Server {
            host,
            port,
            security,
        };
        let (tcp, message) = (
            Tcp::default(),
            bytes::Bytes::from_static(row.message.as_bytes()),
        );
        let said = match Submission::open(&tcp, &server, "me", b"secret".to_vec().into()).await {
            Ok(mut session) => {
                let fates = session
                    .send("me@x.test", &["you@y.test".into()], &message)
                    .await;
                fates.map_or_else(
                    |error| format!("{error} {error:?}"),
                    |fates| format!("{fates:?}"),
                )
            }
            Err(error) => format!("{error} {error:?}"),
        };
        let seen = seen.lock().unwrap();
        let text = String::from_utf8_lossy(&seen.octets);
        let is_delivered = seen.delivered == usize::from(row.fate == Delivered);
        let got = row.gets.iter().all(|words| text.contains(words));
        if !said.contains(says) || !is_delivered || !got || seen.raw {
            failed.push(format!(
                "{} ({}): {said}, not {says}; raw {}\n{text}",
                row.name, row.known, seen.raw
            ));
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {}:\n{}",
        failed.len(),
        SUBMITTED.len(),
        failed.join("\n")
    );
}
