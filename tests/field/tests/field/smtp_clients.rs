//! Clients for the server, scripted: SMTP, submission, POP3 and IMAP.
//!
//! A row is one conversation: what a client sends, as some client does, and words that the server's answer must hold.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hikyaku_mission::{PASSWORD, config};
use mailserver::{Addresses, Protocol, Server};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// What is sent, without its last CRLF, and what the answer begins with or holds after a `~`. In what is sent,
/// `{plain}`, `{user}` and `{pass}` are credentials in base64, `{name}` and `{word}` in clear, and `{none}` sends
/// nothing. `!` stands for a closed connection.
type Talk = &'static [(&'static str, &'static str)];

struct Row {
    name: &'static str,
    /// Who is known to do so.
    known: &'static str,
    talk: Talk,
}

const fn row(name: &'static str, known: &'static str, talk: Talk) -> Row {
    Row { name, known, talk }
}

const SMTP: &[Row] = &[
    row(
        "a blank behind the colon",
        "Outlook Express, scripts",
        &[
            ("EHLO a", "250"),
            ("MAIL FROM: <x@other.test>", "250"),
            ("RCPT TO: <bob@example.test>", "250"),
        ],
    ),
    row(
        "a blank behind the colon of a notification",
        "Exchange 5.5",
        &[
            ("EHLO a", "250"),
            ("MAIL FROM: <>", "250"),
            ("RCPT TO:<bob@example.test>", "250"),
        ],
    ),
    row(
        "small letters",
        "telnet, old libraries",
        &[
            ("ehlo a", "250"),
            ("mail from:<x@other.test> body=8bitmime", "250"),
            ("rcpt to:<BOB@EXAMPLE.TEST>", "250"),
            ("data", "354"),
            ("Subject: x\r\n\r\nx\r\n.", "250"),
            ("quit", "221"),
        ],
    ),
    row(
        "no angle brackets",
        "printers and scanners",
        &[
            ("HELO printer", "250"),
            ("MAIL FROM:scan@other.test", "250"),
            ("RCPT TO:bob@example.test", "250"),
        ],
    ),
    row(
        "a bracket that is not closed",
        "broken scripts",
        &[("EHLO a", "250"), ("MAIL FROM:<x@other.test", "501")],
    ),
    row(
        "a source route",
        "uucp's heirs",
        &[
            ("EHLO a", "250"),
            ("MAIL FROM:<@r.test:x@other.test>", "250"),
            ("RCPT TO:<@r.test:bob@example.test>", "250"),
        ],
    ),
    row(
        "a name with underscores in EHLO",
        "Windows",
        &[("EHLO my_pc", "250")],
    ),
    row(
        "a name with an apostrophe in EHLO",
        "macOS",
        &[("EHLO John's-Mac.local", "250")],
    ),
    row(
        "a name that ends in a dot",
        "libraries that ask DNS",
        &[("EHLO host.other.test.", "250")],
    ),
    row(
        "an IPv6 literal without its tag",
        "Thunderbird once",
        &[("EHLO [::1]", "250")],
    ),
    row(
        "an IPv6 literal with a zone",
        "Outlook on link-local addresses",
        &[("EHLO [IPv6:fe80::1%12]", "250")],
    ),
    row(
        "a Japanese name in EHLO",
        "Windows",
        &[("EHLO \u{79c1}\u{306e}PC", "250")],
    ),
    row(
        "a name with what belongs into no Received field",
        "bots",
        &[
            ("EHLO a;b", "501"),
            ("EHLO (none)", "501"),
            ("EHLO a b", "501"),
            ("EHLO a", "250"),
        ],
    ),
    row(
        "EHLO without a name",
        "scripts",
        &[("EHLO", "501"), ("HELO", "501"), ("EHLO a", "250")],
    ),
    row(
        "EHLO twice",
        "libraries that log in again",
        &[
            ("EHLO a", "250"),
            ("EHLO a", "250"),
            ("MAIL FROM:<x@other.test>", "250"),
            ("EHLO b", "250"),
            ("MAIL FROM:<x@other.test>", "250"),
        ],
    ),
    row(
        "NOOP with an argument",
        "keep-alives",
        &[("NOOP anything at all", "250")],
    ),
    row(
        "blanks behind commands",
        "scripts",
        &[
            ("EHLO a ", "250"),
            ("RSET ", "250"),
            ("NOOP ", "250"),
            ("QUIT ", "221"),
        ],
    ),
    row(
        "RSET between",
        "Exchange",
        &[
            ("EHLO a", "250"),
            ("MAIL FROM:<x@other.test>", "250"),
            ("RSET", "250"),
            ("MAIL FROM:<y@other.test>", "250"),
        ],
    ),
    row(
        "RSET before EHLO",
        "connection pools",
        &[("RSET", "250"), ("EHLO a", "250")],
    ),
    row(
        "RCPT before MAIL, DATA before RCPT",
        "bots",
        &[
            ("EHLO a", "250"),
            ("RCPT TO:<bob@example.test>", "503"),
            ("MAIL FROM:<x@other.test>", "250"),
            ("DATA", "503"),
        ],
    ),
    row(
        "all recipients are refused, and DATA comes anyway",
        "pipelining clients",
        &[
            ("EHLO a", "250"),
            (
                "MAIL FROM:<x@other.test>\r\nRCPT TO:<nobody@example.test>\r\nDATA",
                "250",
            ),
            ("{none}", "550"),
            ("{none}", "503"),
        ],
    ),
    row(
        "LF alone between commands",
        "bots, scripts",
        &[("EHLO a", "250"), ("NOOP\nNOOP", "500"), ("NOOP", "250")],
    ),
    row(
        "LF alone within a message",
        "PHP's mail of once, smugglers",
        &[
            ("EHLO a", "250"),
            ("MAIL FROM:<x@other.test>", "250"),
            ("RCPT TO:<bob@example.test>", "250"),
            ("DATA", "354"),
            ("Subject: x\n\nx\n.\nMAIL FROM:<y@other.test>\r\n.", "554"),
            ("NOOP", "250"),
        ],
    ),
    row(
        "a dot that is not alone",
        "everybody",
        &[
            ("EHLO a", "250"),
            ("MAIL FROM:<x@other.test>", "250"),
            ("RCPT TO:<bob@example.test>", "250"),
            ("DATA", "354"),
            ("x\r\n..\r\n.x\r\n.", "250"),
        ],
    ),
    row(
        "BODY=8BITMIME SIZE=0 in any order",
        "Lotus Notes",
        &[
            ("EHLO a", "250"),
            ("MAIL FROM:<x@other.test> SIZE=0 BODY=8BITMIME", "250"),
        ],
    ),
    row(
        "two blanks before a parameter",
        "home-made clients",
        &[
            ("EHLO a", "250"),
            ("MAIL FROM:<x@other.test>  SIZE=9", "250"),
        ],
    ),
    row(
        "AUTH=<> of a relay that trusts nobody",
        "Sendmail",
        &[
            ("EHLO a", "250"),
            ("MAIL FROM:<x@other.test> AUTH=<>", "555"),
        ],
    ),
    row(
        "what a DSN wants",
        "Exchange",
        &[
            ("EHLO a", "250"),
            ("MAIL FROM:<x@other.test> RET=HDRS ENVID=1", "250"),
            (
                "RCPT TO:<bob@example.test> NOTIFY=SUCCESS ORCPT=rfc822;bob@example.test",
                "250",
            ),
            ("RCPT TO:<bob@example.test> NOTIFY=SOMETIMES", "501"),
        ],
    ),
    row(
        "BDAT",
        "Exchange, Gmail, Exim",
        &[
            ("EHLO a", "250"),
            ("MAIL FROM:<x@other.test>", "250"),
            ("RCPT TO:<bob@example.test>", "250"),
            ("BDAT 3 LAST\r\nx", "250"),
        ],
    ),
    row(
        "a browser",
        "pages that attack mail servers",
        &[("GET / HTTP/1.1", "500"), ("{none}", "!")],
    ),
    row(
        "AUTH where there is none",
        "misconfigured clients",
        &[("EHLO a", "250"), ("AUTH LOGIN", "502")],
    ),
    row(
        "XCLIENT, TURN, VERB",
        "probes",
        &[
            ("EHLO a", "250"),
            ("XCLIENT ADDR=1.2.3.4", "500"),
            ("TURN", "500"),
            ("VERB", "500"),
            ("NOOP", "250"),
        ],
    ),
    row(
        "VRFY, EXPN, HELP",
        "probes, old clients",
        &[
            ("EHLO a", "250"),
            ("VRFY bob", "252"),
            ("EXPN list", "502"),
            ("HELP", "214"),
        ],
    ),
    row(
        "writing as somebody here",
        "bots",
        &[
            ("EHLO a", "250"),
            ("MAIL FROM:<bob@example.test>", "550 5.7.1"),
            ("MAIL FROM:<bob@EXAMPLE.test>", "550 5.7.1"),
            ("MAIL FROM:<x@bots.test>", "250"),
            ("RCPT TO:<bob@example.test>", "250"),
            ("DATA", "354"),
            ("From: Bob <bob@example.test>\r\n\r\nx\r\n.", "550 5.7.1"),
        ],
    ),
    row(
        "relaying",
        "bots",
        &[
            ("EHLO a", "250"),
            ("MAIL FROM:<x@bots.test>", "250"),
            ("RCPT TO:<x@other.test>", "550 5.7.1"),
            ("RCPT TO:<\"x@other.test\"@example.test>", "550"),
            ("RCPT TO:<x%other.test@example.test>", "550"),
            ("RCPT TO:<postmaster>", "250"),
        ],
    ),
];

const SUBMISSION: &[Row] = &[
    row(
        "AUTH LOGIN, whose client waits for these words",
        "D8; Outlook, PHPMailer, devices",
        &[
            ("EHLO a", "250"),
            ("AUTH LOGIN", "334 VXNlcm5hbWU6"),
            ("{user}", "334 UGFzc3dvcmQ6"),
            ("{pass}", "235"),
        ],
    ),
    row(
        "AUTH LOGIN with the name in the command",
        ".NET's SmtpClient",
        &[
            ("EHLO a", "250"),
            ("AUTH LOGIN {user}", "334 UGFzc3dvcmQ6"),
            ("{pass}", "235"),
        ],
    ),
    row(
        "AUTH LOGIN with an empty initial response",
        "a library that always sends one",
        &[
            ("EHLO a", "250"),
            ("AUTH LOGIN =", "334 VXNlcm5hbWU6"),
            ("{user}", "334 UGFzc3dvcmQ6"),
            ("{pass}", "235"),
        ],
    ),
    row(
        "auth login in small letters",
        "scripts",
        &[
            ("ehlo a", "250"),
            ("auth login", "334 VXNlcm5hbWU6"),
            ("{user}", "334 UGFzc3dvcmQ6"),
            ("{pass}", "235"),
        ],
    ),
    row(
        "AUTH PLAIN with its response",
        "Thunderbird",
        &[
            ("EHLO a", "250"),
            ("AUTH PLAIN {plain}", "235"),
            ("MAIL FROM:<alice@example.test>", "250"),
            ("RCPT TO:<bob@example.test>", "250"),
        ],
    ),
    row(
        "AUTH PLAIN and its response apart",
        "Java Mail",
        &[
            ("EHLO a", "250"),
            ("AUTH PLAIN", "334 "),
            ("{plain}", "235"),
        ],
    ),
    row(
        "AUTH PLAIN that names whom it acts for",
        "Cyrus SASL",
        &[("EHLO a", "250"), ("AUTH PLAIN {both}", "235")],
    ),
    row(
        "AUTH is given up",
        "clients that ask for a password",
        &[
            ("EHLO a", "250"),
            ("AUTH LOGIN", "334"),
            ("*", "501"),
            ("AUTH PLAIN {plain}", "235"),
        ],
    ),
    row(
        "what is no base64",
        "broken devices",
        &[
            ("EHLO a", "250"),
            ("AUTH LOGIN", "334"),
            ("alice@example.test", "501"),
            ("AUTH PLAIN {plain}", "235"),
        ],
    ),
    row(
        "a mechanism that is not announced",
        "Outlook with SPA",
        &[
            ("EHLO a", "250"),
            ("AUTH NTLM", "504"),
            ("AUTH CRAM-MD5", "504"),
            ("AUTH PLAIN {plain}", "235"),
        ],
    ),
    row(
        "AUTH twice",
        "connection pools",
        &[
            ("EHLO a", "250"),
            ("AUTH PLAIN {plain}", "235"),
            ("AUTH PLAIN {plain}", "503"),
            ("MAIL FROM:<alice@example.test>", "250"),
        ],
    ),
    row(
        "AUTH after HELO",
        "old clients",
        &[
            ("HELO a", "250"),
            ("AUTH PLAIN {plain}", "503"),
            ("EHLO a", "250"),
            ("AUTH PLAIN {plain}", "235"),
        ],
    ),
    row(
        "a wrong password, then the right one",
        "people",
        &[
            ("EHLO a", "250"),
            ("AUTH PLAIN AGFsaWNlAHg=", "535"),
            ("AUTH PLAIN {plain}", "235"),
        ],
    ),
    row(
        "MAIL before AUTH",
        "devices without a login",
        &[("EHLO a", "250"), ("MAIL FROM:<alice@example.test>", "530")],
    ),
    row(
        "somebody else's address",
        "scripts",
        &[
            ("EHLO a", "250"),
            ("AUTH PLAIN {plain}", "235"),
            ("MAIL FROM:<bob@example.test>", "553"),
            ("MAIL FROM:<alice+tag@example.test>", "250"),
        ],
    ),
    row(
        "no angle brackets, and a login",
        "printers and scanners",
        &[
            ("EHLO scanner", "250"),
            ("AUTH LOGIN", "334"),
            ("{user}", "334"),
            ("{pass}", "235"),
            ("MAIL FROM: alice@example.test", "250"),
            ("RCPT TO: bob@example.test", "250"),
            ("DATA", "354"),
            ("Subject: scan\r\n\r\nx\r\n.", "250"),
        ],
    ),
    row(
        "MAIL with AUTH=<>",
        "Sendmail, Exim as clients",
        &[
            ("EHLO a", "250"),
            ("AUTH PLAIN {plain}", "235"),
            ("MAIL FROM:<alice@example.test> AUTH=<>", "250"),
        ],
    ),
];

const POP3: &[Row] = &[
    row(
        "USER and PASS",
        "everybody",
        &[
            ("USER {name}", "+OK"),
            ("PASS {word}", "+OK"),
            ("STAT", "+OK"),
            ("QUIT", "+OK"),
        ],
    ),
    row(
        "small letters",
        "scripts",
        &[
            ("user {name}", "+OK"),
            ("pass {word}", "+OK"),
            ("stat", "+OK"),
            ("list", "+OK"),
            ("quit", "+OK"),
        ],
    ),
    row(
        "AUTH LOGIN",
        "Outlook",
        &[
            ("AUTH LOGIN", "+ VXNlcm5hbWU6"),
            ("{user}", "+ UGFzc3dvcmQ6"),
            ("{pass}", "+OK"),
        ],
    ),
    row(
        "AUTH PLAIN in one line",
        "Thunderbird",
        &[("AUTH PLAIN {plain}", "+OK"), ("UIDL", "+OK")],
    ),
    row(
        "AUTH PLAIN in two",
        "K-9 Mail",
        &[("AUTH PLAIN", "+ "), ("{plain}", "+OK")],
    ),
    row(
        "AUTH alone",
        "Outlook Express, Thunderbird once",
        &[("AUTH", "+OK"), ("USER {name}", "+OK")],
    ),
    row(
        "CAPA before and after",
        "Evolution",
        &[
            ("CAPA", "~UIDL"),
            ("USER {name}", "+OK"),
            ("PASS {word}", "+OK"),
            ("CAPA", "~TOP"),
        ],
    ),
    row(
        "blanks in plenty",
        "scripts",
        &[
            ("USER {name} ", "+OK"),
            ("PASS {word}", "+OK"),
            ("LIST ", "+OK"),
            ("RETR  1 ", "+OK"),
            ("UIDL  1", "+OK"),
            ("NOOP ", "+OK"),
        ],
    ),
    row(
        "a number that is none",
        "broken scripts",
        &[
            ("USER {name}", "+OK"),
            ("PASS {word}", "+OK"),
            ("RETR 0", "-ERR"),
            ("RETR 99", "-ERR"),
            ("DELE x", "-ERR"),
            ("LIST -1", "-ERR"),
            ("STAT", "+OK"),
        ],
    ),
    row(
        "commands of old clients",
        "Eudora's LAST, XTND",
        &[
            ("USER {name}", "+OK"),
            ("PASS {word}", "+OK"),
            ("LAST", "-ERR"),
            ("XTND XMIT", "-ERR"),
            ("STAT", "+OK"),
        ],
    ),
    row(
        "TOP of no lines",
        "Thunderbird's headers only",
        &[
            ("USER {name}", "+OK"),
            ("PASS {word}", "+OK"),
            ("TOP 1 0", "~Subject: "),
            ("TOP 1", "-ERR"),
        ],
    ),
    row(
        "PASS without USER, STAT without login",
        "probes",
        &[("PASS {word}", "-ERR"), ("STAT", "-ERR"), ("QUIT", "+OK")],
    ),
    row(
        "DELE, and second thoughts",
        "web clients",
        &[
            ("USER {name}", "+OK"),
            ("PASS {word}", "+OK"),
            ("DELE 1", "+OK"),
            ("DELE 1", "-ERR"),
            ("RSET", "+OK"),
            ("RETR 1", "+OK"),
            ("QUIT", "+OK"),
        ],
    ),
];

const IMAP: &[Row] = &[
    row(
        "AUTHENTICATE LOGIN",
        "Outlook",
        &[
            ("a AUTHENTICATE LOGIN", "+ VXNlcm5hbWU6"),
            ("{user}", "+ UGFzc3dvcmQ6"),
            ("{pass}", "a OK"),
        ],
    ),
    row(
        "AUTHENTICATE PLAIN in one line and in two",
        "Thunderbird, K-9 Mail",
        &[
            ("a AUTHENTICATE PLAIN", "+ "),
            ("*", "a BAD"),
            ("b AUTHENTICATE PLAIN {plain}", "b OK"),
        ],
    ),
    row(
        "small letters",
        "scripts",
        &[
            ("a login {name} \"{word}\"", "a OK"),
            ("b select inbox", "b OK"),
            ("c fetch 1 (flags uid)", "c OK"),
            ("d logout", "d OK"),
        ],
    ),
    row(
        "a literal for the password",
        "mutt",
        &[("a LOGIN {name} {17}", "+ "), ("{word}", "a OK")],
    ),
    row(
        "a literal that waits for nothing",
        "Apple Mail",
        &[("a LOGIN {name} {17+}\r\n{word}", "a OK")],
    ),
    row(
        "ID with and without",
        "every second client",
        &[("a ID NIL", "a OK"), ("b ID (\"name\" \"x\")", "b OK")],
    ),
    row(
        "a command that is not known",
        "XLIST of old iOS",
        &[
            ("a LOGIN {name} \"{word}\"", "a OK"),
            ("b XLIST \"\" \"*\"", "b BAD"),
            ("c NOOP", "c OK"),
        ],
    ),
    row(
        "CHECK, CLOSE, and back",
        "Pine",
        &[
            ("a LOGIN {name} \"{word}\"", "a OK"),
            ("b SELECT INBOX", "b OK"),
            ("c CHECK", "c OK"),
            ("d CLOSE", "d OK"),
            ("e EXAMINE INBOX", "e OK"),
        ],
    ),
    row(
        "SEARCH with a charset",
        "Thunderbird, Outlook",
        &[
            ("a LOGIN {name} \"{word}\"", "a OK"),
            ("b SELECT INBOX", "b OK"),
            ("c SEARCH CHARSET UTF-8 ALL", "c OK"),
            ("d UID SEARCH CHARSET US-ASCII UNDELETED", "d OK"),
        ],
    ),
    row(
        "the macros of FETCH",
        "Outlook Express",
        &[
            ("a LOGIN {name} \"{word}\"", "a OK"),
            ("b SELECT INBOX", "b OK"),
            ("c FETCH 1:* FULL", "c OK"),
            ("d FETCH 1 RFC822.HEADER", "d OK"),
            ("e UID FETCH 1:* (FLAGS)", "e OK"),
        ],
    ),
    row(
        "STATUS of what is selected",
        "every mobile client",
        &[
            ("a LOGIN {name} \"{word}\"", "a OK"),
            ("b SELECT INBOX", "b OK"),
            ("c STATUS INBOX (MESSAGES UNSEEN UIDNEXT)", "c OK"),
        ],
    ),
    row(
        "commands all at once",
        "imapsync",
        &[
            (
                "a LOGIN {name} \"{word}\"\r\nb SELECT INBOX\r\nc NOOP\r\nd LOGOUT",
                "a OK",
            ),
            ("{none}", "b OK"),
            ("{none}", "c OK"),
            ("{none}", "d OK"),
        ],
    ),
    row(
        "no tag",
        "telnet",
        &[("NOOP", "NOOP BAD"), ("a NOOP", "a OK")],
    ),
];

struct Client {
    stream: BufReader<TcpStream>,
    service: Protocol,
}

impl Client {
    async fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        let read = self.stream.read_until(b'\n', &mut line);
        let read = tokio::time::timeout(Duration::from_secs(10), read)
            .await
            .expect("an answer");
        (read.unwrap_or(0) > 0).then(|| String::from_utf8_lossy(&line).into_owned())
    }

    /// All of an answer.
    async fn answer(&mut self, sent: &str) -> String {
        let mut all = String::new();
        let tag = sent
            .rsplit("\r\n")
            .next()
            .unwrap_or("")
            .split(' ')
            .next()
            .unwrap_or("")
            .to_owned();
        loop {
            let Some(line) = self.line().await else {
                return format!("!{all}");
            };
            all += &line;
            let ends = match self.service {
                Protocol::Imap if all.starts_with("* OK") && sent.is_empty() => true,
                // A response to a challenge has no tag: whatever is tagged ends it.
                Protocol::Imap => {
                    line.starts_with("+ ")
                        || (!line.starts_with("* ")
                            && (line.starts_with(&format!("{tag} ")) || is_tagged(&line)))
                }
                Protocol::Pop3 => {
                    let verb = sent.split(' ').next().unwrap_or("").to_ascii_uppercase();
                    let has_number = sent.split(' ').any(|word| word.parse::<u32>().is_ok());
                    let lists = matches!(verb.as_str(), "CAPA" | "RETR" | "TOP")
                        || (matches!(verb.as_str(), "LIST" | "UIDL") && !has_number)
                        || sent == "AUTH";
                    !lists || !all.starts_with("+OK") || line == ".\r\n"
                }
                _ => line.as_bytes().get(3) != Some(&b'-'),
            };
            if ends {
                return all;
            }
        }
    }
}

/// Whether a line ends a command of these rows, whose tags are of one letter.
fn is_tagged(line: &str) -> bool {
    let mut words = line.split(' ');
    words.next().is_some_and(|tag| tag.len() == 1 && tag != "*")
        && matches!(words.next(), Some("OK" | "NO" | "BAD"))
}

async fn run(server: &Server, service: Protocol, row: &Row) -> Result<(), String> {
    let stream = TcpStream::connect(server.address(service).unwrap())
        .await
        .unwrap();
    let mut client = Client {
        stream: BufReader::new(stream),
        service,
    };
    client.answer("").await;
    let name = "alice@example.test";
    let encode = |text: String| STANDARD.encode(text);
    for (send, expected) in row.talk {
        let send = send
            .replace("{plain}", &encode(format!("\0{name}\0{PASSWORD}")))
            .replace("{both}", &encode(format!("{name}\0{name}\0{PASSWORD}")))
            .replace("{user}", &encode(name.into()))
            .replace("{pass}", &encode(PASSWORD.into()))
            .replace("{name}", name)
            .replace("{word}", PASSWORD);
        if send != "{none}" {
            client
                .stream
                .get_mut()
                .write_all(format!("{send}\r\n").as_bytes())
                .await
                .unwrap();
        }
        let answer = client.answer(&send).await;
        let last = answer.trim_end().rsplit("\r\n").next().unwrap_or("");
        let is_right = match expected.strip_prefix('~') {
            Some(words) => answer.contains(words),
            None => answer.starts_with(expected) || last.starts_with(expected),
        };
        if !is_right {
            return Err(format!("{send:?}: {answer:?}, not {expected:?}"));
        }
    }
    Ok(())
}

async fn all(service: Protocol, rows: &[Row]) {
    assert_eq!(PASSWORD.len(), 17);
    let data = tempfile::tempdir().unwrap();
    let mut config = config(
        data.path(),
        "example.test",
        "[auth]\nplaintext = \"always\"\n",
    );
    config.listen.submission = Addresses::One("127.0.0.1:0".into());
    let server = Server::start(config).await.unwrap();
    for name in ["alice@example.test", "bob@example.test"] {
        server.accounts().add(name, PASSWORD).await.unwrap();
    }
    let delivery: Talk = &[
        ("EHLO a", "250"),
        ("MAIL FROM:<x@other.test>", "250"),
        ("RCPT TO:<alice@example.test>", "250"),
        ("DATA", "354"),
        ("Subject: first\r\n\r\nx\r\n.", "250"),
    ];
    let first = row("a delivery", "", delivery);
    run(&server, Protocol::Smtp, &first).await.unwrap();
    let mut failed = Vec::new();
    for row in rows {
        if let Err(why) = run(&server, service, row).await {
            failed.push(format!("{} ({}): {why}", row.name, row.known));
        }
    }
    server.stop().await;
    assert!(
        failed.is_empty(),
        "{} of {}:\n{}",
        failed.len(),
        rows.len(),
        failed.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn smtp() {
    all(Protocol::Smtp, SMTP).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn submission() {
    all(Protocol::Submission, SUBMISSION).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pop3() {
    all(Protocol::Pop3, POP3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn imap() {
    all(Protocol::Imap, IMAP).await;
}
