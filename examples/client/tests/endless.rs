//! Servers that do not end: the program stops listening to them, says why, and takes little memory meanwhile.
//!
//! Each row is a server that keeps the protocol but for one answer. The program runs against it as a process of its
//! own, whose largest memory is read from the kernel. What is endless is made while it is sent.

use hikyaku_client::{Dial, Server, Wire};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is sent instead of, or before, the usual answer.
#[derive(Clone, Copy)]
enum Say {
    /// Lines without an end; the number counts them.
    Lines(fn(u64) -> String),
    /// That, and then the octet for ever.
    Fill(&'static str, u8),
    /// That, and then the usual answer.
    Before(fn() -> String),
    /// That in answer to whatever comes from then on.
    Ask(&'static str),
}
use Say::{Ask, Before, Fill, Lines};

struct Row {
    name: &'static str,
    /// `imap`, `pop`, or `smtp`: then incoming mail is POP3, in order.
    of: &'static str,
    /// What the command begins with; empty is the greeting. In the mailbox `Other` where a `/` stands before it.
    on: &'static str,
    say: Say,
    /// What the program says of it.
    words: &'static str,
    /// What it says of the rest.
    brought: &'static str,
    /// Mebibytes of memory.
    most: u64,
}

const fn row(name: &'static str, of: &'static str, on: &'static str, say: Say) -> Row {
    Row {
        name,
        of,
        on,
        say,
        words: "",
        brought: "",
        most: 64,
    }
}

fn many(count: u64, each: impl Fn(u64) -> String) -> String {
    (0..count).map(each).collect()
}

fn rows() -> Vec<Row> {
    let lines = "lines, and no end of them";
    let mib = "MiB, and no end of it";
    vec![
        Row {
            words: "a response that is too long",
            ..row("a greeting without an end", "imap", "", Fill("* OK ", b'x'))
        },
        Row {
            words: "32 MiB came that say nothing",
            ..row(
                "empty lines before the greeting",
                "imap",
                "",
                Lines(|_| "\r\n".into()),
            )
        },
        Row {
            words: lines,
            ..row(
                "a login that is not over",
                "imap",
                "AUTHENTICATE",
                Lines(|_| "* OK still here\r\n".into()),
            )
        },
        Row {
            words: "32 MiB came that say nothing",
            ..row(
                "capabilities without an end",
                "imap",
                "AUTHENTICATE",
                Lines(|n| {
                    format!(
                        "* CAPABILITY IMAP4rev1 {}\r\n",
                        many(500, |m| format!("X{n}-{m} "))
                    )
                }),
            )
        },
        Row {
            brought: "4 new",
            most: 128,
            ..row(
                "a million and a half of capabilities",
                "imap",
                "AUTHENTICATE",
                Before(|| {
                    format!(
                        "* CAPABILITY IMAP4rev1 {}\r\n",
                        many(1_500_000, |n| format!(" X{n}"))
                    )
                }),
            )
        },
        Row {
            words: "more than 100000 mailboxes in one list",
            brought: "3 new",
            ..row(
                "mailboxes without an end",
                "imap",
                "LIST",
                Lines(|n| format!("* LIST () \"/\" \"box {n}\"\r\n")),
            )
        },
        Row {
            words: "more than 100000 mailboxes in one list",
            brought: "3 new",
            ..row(
                "variant: the same mailbox for ever",
                "imap",
                "LIST",
                Lines(|_| "* LIST (\\HasNoChildren) \"/\" Other\r\n".into()),
            )
        },
        Row {
            words: mib,
            brought: "3 new",
            most: 160,
            ..row(
                "variant: mailboxes with long names",
                "imap",
                "LIST",
                Lines(|n| format!("* LIST () \"/\" \"{n}{}\"\r\n", "x".repeat(9_000))),
            )
        },
        Row {
            words: mib,
            brought: "3 new",
            most: 160,
            ..row(
                "variant: a mailbox with attributes without an end",
                "imap",
                "LIST",
                Lines(|n| {
                    format!(
                        "* LIST ({}) \"/\" a{n}\r\n",
                        many(4_000, |n| format!(" \\x{n}"))
                    )
                }),
            )
        },
        Row {
            words: "say nothing",
            ..row(
                "variant: a name of 4 GiB",
                "imap",
                "LIST",
                Fill("* LIST () \"/\" {4294967296}\r\n", b'x'),
            )
        },
        Row {
            words: "a response that is too long",
            ..row(
                "variant: one line",
                "imap",
                "LIST",
                Fill("* LIST () \"/\" ", b'x'),
            )
        },
        Row {
            words: "a response that is too long",
            ..row(
                "words without an end",
                "imap",
                "LIST",
                Fill("* OK [ALERT] ", b'x'),
            )
        },
        Row {
            words: lines,
            brought: "3 new",
            ..row(
                "a mailbox that is never open",
                "imap",
                "/EXAMINE",
                Lines(|_| "* OK [UNSEEN 1] patience\r\n".into()),
            )
        },
        Row {
            words: lines,
            brought: "3 new",
            ..row(
                "variant: it grows",
                "imap",
                "/EXAMINE",
                Lines(|n| format!("* {} EXISTS\r\n", n % 7)),
            )
        },
        Row {
            words: mib,
            brought: "3 new",
            ..row(
                "variant: flags without an end",
                "imap",
                "/EXAMINE",
                Lines(|n| format!("* FLAGS ({})\r\n", many(1000, |m| format!(" k{n}-{m}")))),
            )
        },
        Row {
            words: lines,
            brought: "3 new",
            most: 96,
            ..row(
                "variant: messages that vanished",
                "imap",
                "/EXAMINE",
                Lines(|n| format!("* VANISHED (EARLIER) {}:{}\r\n", 3 * n + 1, 3 * n + 2)),
            )
        },
        Row {
            words: lines,
            brought: "3 new",
            ..row(
                "a search that finds for ever",
                "imap",
                "/UID SEARCH",
                Lines(|n| {
                    format!(
                        "* SEARCH {}\r\n",
                        many(20, |m| format!(" {}", 20 * n + m + 1))
                    )
                }),
            )
        },
        Row {
            words: "more UIDs than a mailbox can have",
            brought: "3 new",
            most: 192,
            ..row(
                "variant: a search that finds everything",
                "imap",
                "/UID SEARCH",
                Before(|| "* ESEARCH (TAG \"a\") UID ALL 1:4294967295\r\n".into()),
            )
        },
        Row {
            words: lines,
            brought: "3 new",
            most: 96,
            ..row(
                "rows without an end",
                "imap",
                "/UID FETCH",
                Lines(|n| format!("* {} FETCH (UID {} FLAGS (\\Seen))\r\n", n + 1, n + 1)),
            )
        },
        Row {
            words: mib,
            brought: "3 new",
            most: 160,
            ..row(
                "variant: rows with keywords",
                "imap",
                "/UID FETCH",
                Lines(|n| {
                    let words = many(20, |m| format!("k{} ", n * 20 + m));
                    format!("* {} FETCH (UID {} FLAGS ({words}x))\r\n", n + 1, n + 1)
                }),
            )
        },
        Row {
            words: lines,
            brought: "3 new",
            ..row(
                "untagged lines of another kind",
                "imap",
                "/UID FETCH",
                Lines(|n| format!("* STATUS \"box {n}\" (MESSAGES 1)\r\n")),
            )
        },
        Row {
            words: "sections of 1 messages, and no end of them",
            brought: "4 new",
            ..row(
                "header fields without an end",
                "imap",
                "/UID FETCH",
                Lines(|n| {
                    let fields = "Subject: x\r\n".repeat(5_000);
                    let uid = n + 1;
                    format!(
                        "* 1 FETCH (UID {uid} BODY[HEADER] {{{}}}\r\n{fields})\r\n",
                        fields.len()
                    )
                }),
            )
        },
        Row {
            brought: "4 new",
            ..row(
                "variant: header fields of 100 MiB",
                "imap",
                "/UID FETCH 1 (UID FLAGS",
                Before(|| {
                    let fields = "Subject: a very long one\r\n".repeat(4_000_000);
                    format!(
                        "* 1 FETCH (UID 1 BODY[HEADER] {{{}}}\r\n{fields})\r\n",
                        fields.len()
                    )
                }),
            )
        },
        Row {
            words: "a message of 4294967296 octets, and 16M are taken (largest_message)",
            brought: "4 new",
            ..row(
                "a message of 4 GiB",
                "imap",
                "/UID FETCH 1 (UID BODY",
                Fill("* 1 FETCH (UID 1 BODY[] {4294967296}\r\n", b'x'),
            )
        },
        Row {
            brought: "4 new",
            ..row(
                "variant: the same message for ever",
                "imap",
                "/UID FETCH 1 (UID BODY",
                Lines(|_| {
                    format!(
                        "* 1 FETCH (UID 1 BODY[] {{20000}}\r\n{})\r\n",
                        "x".repeat(20_000)
                    )
                }),
            )
        },
        Row {
            words: "asks, and does not log in",
            ..row(
                "challenges without an end",
                "imap",
                "AUTHENTICATE",
                Ask("+ \r\n"),
            )
        },
        // POP3
        Row {
            words: "line too long",
            ..row("a greeting without an end", "pop", "", Fill("+OK ", b'x'))
        },
        Row {
            words: "a listing of too many lines",
            ..row(
                "capabilities without an end",
                "pop",
                "CAPA",
                Lines(|n| first(n, format!("X{n}"))),
            )
        },
        Row {
            words: "asks, and does not log in",
            ..row("challenges without an end", "pop", "AUTH", Ask("+ \r\n"))
        },
        Row {
            words: "say nothing",
            ..row(
                "empty lines instead of an answer",
                "pop",
                "AUTH",
                Lines(|_| "\r\n".into()),
            )
        },
        Row {
            words: "a listing of too many lines",
            most: 96,
            ..row(
                "a list without an end",
                "pop",
                "LIST",
                Lines(|n| first(n, format!("{n} 100"))),
            )
        },
        Row {
            words: "a listing of too many lines",
            ..row(
                "variant: the same line for ever",
                "pop",
                "LIST",
                Lines(|n| first(n, "1 100".into())),
            )
        },
        Row {
            brought: "3 new",
            most: 96,
            ..row(
                "ids without an end",
                "pop",
                "UIDL",
                Lines(|n| first(n, format!("{n} {}", "i".repeat(400)))),
            )
        },
        Row {
            brought: "3 new",
            ..row("variant: one id", "pop", "UIDL", Fill("+OK\r\n1 ", b'i'))
        },
        Row {
            words: "message 2 stays on the server: it has no end within 16M octets",
            brought: "2 new",
            ..row(
                "a message without an end",
                "pop",
                "RETR 2",
                Lines(|n| first(n, "x".repeat(1_000))),
            )
        },
        Row {
            words: "message 2 stays on the server: it has no end within 16M octets",
            brought: "2 new",
            ..row(
                "variant: in one line",
                "pop",
                "RETR 2",
                Fill("+OK\r\n", b'x'),
            )
        },
        Row {
            words: "message 2 stays on the server: it has no end within 16M octets",
            brought: "2 new",
            ..row(
                "variant: in empty lines",
                "pop",
                "RETR 2",
                Lines(|n| first(n, String::new())),
            )
        },
        Row {
            words: "message 2 stays on the server: it has no end within 16M octets",
            brought: "2 new",
            ..row(
                "variant: header fields",
                "pop",
                "RETR 2",
                Lines(|n| first(n, format!("X-{n}: y"))),
            )
        },
        // SMTP
        Row {
            words: "line too long",
            ..row("a greeting without an end", "smtp", "", Fill("220 ", b'x'))
        },
        Row {
            words: "too many lines",
            ..row(
                "variant: in lines",
                "smtp",
                "",
                Lines(|_| "220-patience\r\n".into()),
            )
        },
        Row {
            words: "too many lines",
            ..row(
                "extensions without an end",
                "smtp",
                "EHLO",
                Lines(|n| format!("250-X{n}\r\n")),
            )
        },
        Row {
            words: "asks, and does not log in",
            ..row("challenges without an end", "smtp", "AUTH", Ask("334 \r\n"))
        },
        Row {
            words: "",
            ..row(
                "replies without an end",
                "smtp",
                "QUIT",
                Lines(|_| "250 and\r\n".into()),
            )
        },
    ]
}

/// Lines behind a positive response.
fn first(count: u64, line: String) -> String {
    match count {
        0 => "+OK\r\n".into(),
        _ => line + "\r\n",
    }
}

/// Sends what a row has; false: what comes next is the usual answer.
fn says(say: Say, stream: &mut TcpStream) -> std::io::Result<bool> {
    match say {
        Before(text) => {
            stream.write_all(text().as_bytes())?;
            return Ok(false);
        }
        Lines(each) => {
            let mut count = 0;
            loop {
                let mut block = String::new();
                while block.len() < 60_000 {
                    block += &each(count);
                    count += 1;
                }
                stream.write_all(block.as_bytes())?;
            }
        }
        Fill(text, octet) => {
            stream.write_all(text.as_bytes())?;
            loop {
                stream.write_all(&[octet; 60_000])?;
            }
        }
        Ask(text) => {
            stream.write_all(text.as_bytes())?;
            let mut line = String::new();
            let mut reader = BufReader::new(stream.try_clone()?);
            while reader.read_line(&mut line)? > 0 {
                stream.write_all(text.as_bytes())?;
                line.clear();
            }
        }
    }
    Ok(true)
}

fn message(uid: u32) -> String {
    format!("From: a@b.test\r\nSubject: {uid}\r\nMessage-ID: <{uid}@b.test>\r\n\r\nbody {uid}\r\n")
}

/// UIDs of a set, of those up to `last`.
fn uids(set: &str, last: u32) -> Vec<u32> {
    let number = |text: &str| text.parse().unwrap_or(last);
    let mut all = Vec::new();
    for range in set.split(',') {
        let (low, high) = range.split_once(':').unwrap_or((range, range));
        let (low, high) = (number(low), number(high));
        all.extend((low.min(high)..=low.max(high)).filter(|uid| *uid <= last));
    }
    all
}

/// An IMAP server with three messages in INBOX and one in `Other`.
fn imap(line: &str, last: &mut u32) -> String {
    let mut words = line.split(' ');
    let tag = words.next().unwrap_or("");
    let rest: Vec<&str> = words.collect();
    let told = match rest.as_slice() {
        ["CAPABILITY"] => "* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN\r\n".into(),
        ["LIST", ..] => "* LIST () \"/\" INBOX\r\n* LIST () \"/\" Other\r\n".into(),
        ["EXAMINE" | "SELECT", name, ..] => {
            *last = if name.contains("Other") { 1 } else { 3 };
            format!(
                "* {last} EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT {}] x\r\n",
                *last + 1
            )
        }
        ["UID", "SEARCH", ..] => {
            format!(
                "* SEARCH{}\r\n",
                (1..=*last).map(|uid| format!(" {uid}")).collect::<String>()
            )
        }
        ["UID", "FETCH", set, what @ ..] => uids(set, *last)
            .into_iter()
            .map(|uid| {
                let octets = message(uid);
                let what = what.join(" ");
                let section = match &what {
                    what if what.contains("HEADER") => {
                        let end = octets.find("\r\n\r\n").unwrap_or(0) + 4;
                        format!(" BODY[HEADER] {{{end}}}\r\n{}", &octets[..end])
                    }
                    what if what.contains("BODY") => {
                        format!(" BODY[] {{{}}}\r\n{octets}", octets.len())
                    }
                    _ => String::new(),
                };
                let size = octets.len();
                format!("* {uid} FETCH (UID {uid} FLAGS () RFC822.SIZE {size}{section})\r\n")
            })
            .collect(),
        _ => String::new(),
    };
    format!("{told}{tag} OK done\r\n")
}

/// A POP3 server with three messages.
fn pop(line: &str) -> String {
    let of = |number: &str| message(number.parse().unwrap_or(1));
    let listed = |what: fn(u32) -> String| (1..4).map(what).collect::<String>() + ".\r\n";
    let more = match line.split(' ').collect::<Vec<_>>().as_slice() {
        ["CAPA"] => "USER\r\nUIDL\r\nSASL PLAIN\r\n.\r\n".into(),
        ["LIST"] => listed(|n| format!("{n} {}\r\n", message(n).len())),
        ["UIDL"] => listed(|n| format!("{n} id-{}\r\n", n * 77)),
        ["RETR", number] => format!("{}.\r\n", of(number)),
        ["STAT"] => return "+OK 3 300\r\n".into(),
        _ => String::new(),
    };
    format!("+OK\r\n{more}")
}

fn smtp(line: &str) -> &'static str {
    match line.get(..4) {
        Some("EHLO") => "250-mx\r\n250 AUTH PLAIN\r\n",
        Some("AUTH") => "235 welcome\r\n",
        _ => "250 ok\r\n",
    }
}

/// Serves one connection.
fn serve(mut stream: TcpStream, of: &str, row: &Row) -> std::io::Result<()> {
    let is_it = of == row.of;
    if is_it && row.on.is_empty() && says(row.say, &mut stream)? {
        return Ok(());
    }
    stream.write_all(match of {
        "imap" => b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello\r\n",
        "pop" => b"+OK hello\r\n",
        _ => b"220 hello\r\n",
    })?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut last) = (String::new(), 0);
    while reader.read_line(&mut line)? > 0 {
        let command = line.trim_end();
        let said = match of {
            "imap" => command.split_once(' ').map_or("", |(_, rest)| rest),
            _ => command,
        };
        let on = match row.on.strip_prefix('/') {
            Some(on) if last == 1 || said.contains("Other") => on,
            Some(_) => "\0",
            None => row.on,
        };
        if is_it && !on.is_empty() && said.starts_with(on) && says(row.say, &mut stream)? {
            return Ok(());
        }
        let answer = match of {
            "imap" => imap(command, &mut last),
            "pop" => pop(command),
            _ => smtp(command).into(),
        };
        stream.write_all(answer.as_bytes())?;
        line.clear();
    }
    Ok(())
}

/// A server for a row, on a port of its own.
fn server(of: &'static str, row: &Arc<Row>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let row = Arc::clone(row);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let row = Arc::clone(&row);
            std::thread::spawn(move || serve(stream, of, &row));
        }
    });
    port
}

/// What the program said, its largest memory in mebibytes, and how long it took.
fn run(home: &Path, words: &[&str]) -> (String, u64, Duration) {
    let since = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_mailclient"))
        .args(words)
        .env("HIKYAKU_HOME", home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut largest = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
        largest = largest.max(kib.unwrap_or(0) / 1024);
        if since.elapsed() > Duration::from_secs(120) {
            let _ = child.kill();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut said = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    (said, largest, since.elapsed())
}

fn try_row(row: Row) -> Result<(), String> {
    let home = tempfile::tempdir().unwrap();
    let row = Arc::new(row);
    let kind = if row.of == "imap" { "imap" } else { "pop" };
    let entry = |name: &str, port: u16| {
        format!("[account.{name}]\nhost = \"127.0.0.1\"\nport = {port}\nsecurity = \"none\"\n")
    };
    let config = format!(
        "[[account]]\naddress = \"me@a.test\"\ntype = \"{kind}\"\nlargest_message = \"16M\"\npassword = {{ in-clear = \"secret\" }}\n{}{}",
        entry("incoming", server(kind, &row)),
        entry("outgoing", server("smtp", &row)),
    );
    std::fs::write(home.path().join("accounts.toml"), config).unwrap();
    let words: &[&str] = match row.of {
        "smtp" => &["account", "test", "me@a.test"],
        _ => &["sync"],
    };
    let (said, largest, took) = run(home.path(), words);
    eprintln!(
        "{} ({}): {largest} MiB, {took:.1?}: {said}",
        row.name, row.of
    );
    let wrong = match () {
        () if !said.contains(row.words) => "says something else",
        () if !said.contains(row.brought) => "brought something else",
        () if largest > row.most => "takes too much memory",
        () if took > Duration::from_secs(110) => "took too long",
        () => return Ok(()),
    };
    Err(format!(
        "{} ({}): {wrong}: {largest} MiB, {took:.1?}: {said}",
        row.name, row.of
    ))
}

#[test]
fn an_imap_server_without_an_end_is_left() {
    try_rows("imap");
}

#[test]
fn a_pop3_server_without_an_end_is_left() {
    try_rows("pop");
}

#[test]
fn a_submission_server_without_an_end_is_left() {
    try_rows("smtp");
}

/// `ROW` names one row, for a look at it alone.
fn try_rows(of: &str) {
    let only = std::env::var("ROW").unwrap_or_default();
    let rows = rows()
        .into_iter()
        .filter(|row| row.of == of && row.name.contains(&only));
    let wrong: Vec<String> = rows.filter_map(|row| try_row(row).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// No command is called so: such a server takes its time for all of them.
const NEVER: &str = "NEVER";

/// A server that is slow: what it sends again and again, and how many seconds lie between.
struct Slow {
    of: &'static str,
    on: &'static str,
    first: &'static str,
    again: &'static str,
    every: u64,
}

const fn slow(
    of: &'static str,
    on: &'static str,
    first: &'static str,
    again: &'static str,
    every: u64,
) -> Slow {
    Slow {
        of,
        on,
        first,
        again,
        every,
    }
}

const SLOW: [Slow; 12] = [
    slow("imap", "", "* OK ", "x", 60),
    slow("imap", "", "", "\r\n", 60),
    slow("imap", "AUTHENTICATE", "* OK ", "x", 60),
    slow("imap", "AUTHENTICATE", "", "* OK still here\r\n", 10),
    slow("imap", "AUTHENTICATE", "", "* CAPABILITY IMAP4rev1\r\n", 30),
    slow("pop", "", "+OK ", "x", 60),
    slow("pop", "AUTH", "+OK ", "x", 60),
    slow("pop", "AUTH", "", "\r\n", 200),
    slow("smtp", "", "", "220-patience\r\n", 60),
    slow("smtp", "EHLO", "250-mx ", "x", 60),
    slow("smtp", "EHLO", "", "250-X-PATIENCE\r\n", 100),
    slow("smtp", "AUTH", "", "235-patience\r\n", 290),
];

impl Slow {
    async fn serve(&self, mut stream: tokio::io::DuplexStream) -> std::io::Result<()> {
        use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};
        let greeting = match self.of {
            "imap" => "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello\r\n",
            "pop" => "+OK hello\r\n",
            _ => "220 hello\r\n",
        };
        let (mut line, mut last) = (String::new(), 0);
        let mut answer = greeting.to_owned();
        loop {
            let said = line.split_once(' ').map_or("", |(_, rest)| rest);
            let said = if self.of == "imap" { said } else { &line };
            if line.is_empty() == self.on.is_empty() && said.starts_with(self.on) {
                stream.write_all(self.first.as_bytes()).await?;
                loop {
                    tokio::time::sleep(Duration::from_secs(self.every)).await;
                    stream.write_all(self.again.as_bytes()).await?;
                }
            }
            if self.on == NEVER {
                tokio::time::sleep(Duration::from_secs(self.every)).await;
            }
            stream.write_all(answer.as_bytes()).await?;
            line.clear();
            let mut reader = tokio::io::BufReader::new(&mut stream);
            if reader.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            answer = match self.of {
                "imap" => imap(line.trim_end(), &mut last),
                "pop" => pop(line.trim_end()),
                _ => smtp(line.trim_end()).into(),
            };
        }
    }
}

impl Dial for &'static Slow {
    fn dial<'a>(
        &'a self,
        _: &'a Server,
    ) -> mailstore::BoxFuture<'a, hikyaku_client::Result<Box<dyn Wire>>> {
        Box::pin(async {
            let (here, there) = tokio::io::duplex(4096);
            let server: &'static Slow = self;
            tokio::spawn(server.serve(there));
            Ok(Box::new(here) as Box<dyn Wire>)
        })
    }

    fn encrypt<'a>(
        &'a self,
        stream: Box<dyn Wire>,
        _: &'a Server,
    ) -> mailstore::BoxFuture<'a, hikyaku_client::Result<Box<dyn Wire>>> {
        Box::pin(async { Ok(stream) })
    }
}

async fn log_in(server: &'static Slow) -> hikyaku_client::Result<()> {
    let entry = Server {
        host: "localhost".into(),
        port: 1,
        security: hikyaku_client::Security::None,
    };
    let password = || b"secret".to_vec().into();
    match server.of {
        "imap" => hikyaku_client::imap::Session::open(&server, &entry, "me", password())
            .await
            .map(drop),
        "pop" => hikyaku_client::pop::Session::open(&server, &entry, "me", password())
            .await
            .map(drop),
        _ => hikyaku_client::Submission::open(&server, &entry, "me", password())
            .await
            .map(drop),
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_gets_nowhere_is_left() {
    for server in &SLOW {
        let since = tokio::time::Instant::now();
        let name = format!("{} {:?}: {:?}", server.of, server.on, server.again);
        let done = log_in(server).await;
        let why = done.map_or_else(|error| error.to_string(), |()| "it logged in".into());
        let took = since.elapsed().as_secs();
        assert!(why.contains("the server gets nowhere"), "{name}: {why}");
        assert!((500..900).contains(&took), "{name}: {took} s: {why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_slow_is_waited_for() {
    static HONEST: [Slow; 3] = [
        slow("imap", NEVER, "", "", 200),
        slow("pop", NEVER, "", "", 200),
        slow("smtp", NEVER, "", "", 200),
    ];
    for server in &HONEST {
        log_in(server).await.unwrap();
    }
}
