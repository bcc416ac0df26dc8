//! Any chunking, any item, and the same as the machines.

use super::*;
use crate::framer::{LineError, ReplyFramer, TooLong};
use crate::server::{Connection, Event, Options};
use crate::{Command, ForwardPath, Limits, Mailbox, Reply, ReversePath};
use bytes::Bytes;
use core::time::Duration;
use futures_util::{SinkExt as _, StreamExt as _};
use hikyaku_wire::testkit::{Log, check_rows, cut, in_every_chunking, traps};
use hikyaku_wire::{Machine as _, Secret, Step};
use proptest::collection::vec as many;
use proptest::prelude::*;
use std::format;
use std::string::{String, ToString as _};
use std::vec;
use std::vec::Vec;
use tokio_util::codec::{Decoder as _, Encoder as _, Framed};

fn small() -> Limits {
    Limits {
        line: 60,
        reply_line: 40,
        reply_lines: 4,
        errors: u32::MAX,
        ..Limits::default()
    }
}

/// The reply that lets the client go on.
fn agree(item: &CommandItem) -> Reply {
    let code = match item {
        CommandItem::Command(Command::Data) => 354,
        CommandItem::Command(Command::Auth { .. }) | CommandItem::SaslResponse(_) => 334,
        CommandItem::Malformed(_) | CommandItem::Refused(_) | CommandItem::SaslCancelled => 501,
        _ => 250,
    };
    Reply::new(code, "", "so")
}

fn served(pieces: &[&[u8]], limits: &Limits) -> Vec<String> {
    let mut codec = ServerCodec::after_tls(limits.clone());
    let (mut src, mut dst) = (BytesMut::new(), BytesMut::new());
    let mut log = Log::default();
    for piece in pieces {
        src.extend_from_slice(piece);
        loop {
            match codec.decode(&mut src) {
                Ok(Some(CommandItem::Chunk(octets))) => log.chunk(&octets),
                Ok(Some(item)) => {
                    log.line(format!("{item:?}"));
                    while codec.owed() > 0 {
                        codec.encode(agree(&item), &mut dst).unwrap();
                    }
                }
                Ok(None) => break,
                Err(error) => return log.end(error.to_string()),
            }
        }
    }
    let end = match codec.decode_eof(&mut src) {
        Ok(item) => format!("end {item:?}"),
        Err(error) => error.to_string(),
    };
    log.end(end)
}

fn replies(pieces: &[&[u8]], limits: &Limits) -> Vec<String> {
    let mut codec = ClientCodec::new(limits.clone());
    let (mut src, mut dst) = (BytesMut::new(), BytesMut::new());
    // Whatever comes is the reply to one of them.
    for _ in 0..40 {
        codec.encode(Command::Noop(None).into(), &mut dst).unwrap();
    }
    let mut log = Log::default();
    for piece in pieces {
        src.extend_from_slice(piece);
        loop {
            match codec.decode(&mut src) {
                Ok(Some(item)) => log.line(format!("{item:?}")),
                Ok(None) => break,
                Err(error) => return log.end(error.to_string()),
            }
        }
        let bound = limits.reply_line * (limits.reply_lines + 1) + piece.len();
        assert!(src.len() <= bound, "{} octets are held", src.len());
    }
    let end = match codec.decode_eof(&mut src) {
        Ok(item) => format!("end {item:?}"),
        Err(error) => error.to_string(),
    };
    log.end(end)
}

type Decode = fn(&[&[u8]], &Limits) -> Vec<String>;

fn check(decode: Decode, rows: &[(&str, &[&str])]) {
    check_rows(|pieces| decode(pieces, &small()), rows);
}

#[test]
fn commands_and_messages_in_every_chunking() {
    let x = "x".repeat(100);
    let long = format!("NOOP {x}\\r\\nQUIT\\r\\n");
    check(
        served,
        &[
            (
                r"NOOP\r\nQUIT\r\n",
                &["Command(Noop(None))", "Command(Quit)", "end None"],
            ),
            (
                r"NOOP\r\nQUI",
                &["Command(Noop(None))", "the connection ended"],
            ),
            (&long, &["Refused(TooLong)", "Command(Quit)", "end None"]),
            (
                r"NOOP\nQUIT\r\nQUIT\r\n",
                &["Refused(BareNewline)", "Command(Quit)", "end None"],
            ),
            (
                r"NONSENSE\r\nMAIL x\r\nQUIT\r\n",
                &["Command(Other", "Malformed", "Command(Quit)", "end None"],
            ),
            (
                r"DATA\r\n..a\r\nQUIT\r\n.\r\nQUIT\r\n",
                &[
                    "Command(Data)",
                    "octets .a\\r\\nQUIT\\r\\n",
                    "EndOfBody(Irregular { bare_newline: false, nul: false })",
                    "Command(Quit)",
                    "end None",
                ],
            ),
            // Only CRLF . CRLF is the end.
            (
                r"DATA\r\na\n.\nQUIT\r\n\x00.\r\n.\r\nQUIT\r\n",
                &[
                    "Command(Data)",
                    "octets a\\n.\\nQUIT\\r\\n\\x00.\\r\\n",
                    "EndOfBody(Irregular { bare_newline: true, nul: true })",
                    "Command(Quit)",
                    "end None",
                ],
            ),
            (
                r"DATA\r\nhello\r\n",
                &["Command(Data)", "octets hello", "the connection ended"],
            ),
            (
                r"BDAT 6\r\nQUIT\r\nBDAT 0 LAST\r\nQUIT\r\n",
                &[
                    "Command(Bdat { octets: 6",
                    "octets QUIT\\r\\n",
                    "EndOfChunk { last: false }",
                    "Command(Bdat { octets: 0",
                    "EndOfChunk { last: true }",
                    "Command(Quit)",
                    "end None",
                ],
            ),
            (
                r"AUTH PLAIN\r\nAGEAYg==\r\n*\r\nQUIT\r\n",
                &[
                    "Command(Auth",
                    "SaslResponse",
                    "SaslCancelled",
                    "Command(Quit)",
                    "end None",
                ],
            ),
            (
                r"AUTH PLAIN\r\nQUIT!\r\nQUIT\r\n",
                &["Command(Auth", "SaslCancelled", "Command(Quit)", "end None"],
            ),
            (
                r"STARTTLS\r\nNOOP\r\n",
                &["Command(StartTls)", "octets came in clear"],
            ),
        ],
    );
}

const OK: &str = "Reply(Reply { code: 250";

#[test]
fn replies_in_every_chunking() {
    let x = "x".repeat(50);
    let long = format!("250-a\\r\\n250-{x}\\r\\n250 b\\r\\n250 c\\r\\n");
    let last = format!("250 {x}\\r\\n250 c\\r\\n");
    let endless = format!("{}250 z\\r\\n250 c\\r\\n", "250-y\\r\\n".repeat(30));
    check(
        replies,
        &[
            (
                r"250 a\r\n250-b\r\n250-c\r\n250 d\r\n250\r\n",
                &[OK, OK, OK, "end None"],
            ),
            (r"250-a\r\n250-b", &["the connection ended"]),
            (
                r"250-a\r\n251 b\r\n250 c\r\n",
                &["Malformed", OK, "end None"],
            ),
            (r"250 a\n250 b\r\n250 c\r\n", &["Malformed", OK, "end None"]),
            (r"nonsense\r\n250 c\r\n", &["Malformed", OK, "end None"]),
            (&long, &["TooLong", OK, "end None"]),
            (&last, &["TooLong", OK, "end None"]),
            (&endless, &["TooLong", OK, "end None"]),
        ],
    );
}

#[test]
fn what_never_ends_takes_no_memory() {
    let limits = Limits::default();
    let piece = vec![b'x'; 1 << 20];
    let lines: Vec<u8> = b"250-y\r\n".repeat(100_000);
    for (head, piece) in [("250 ", &piece), ("250-", &lines)] {
        let mut framer = ReplyFramer::new(&limits);
        let mut src = BytesMut::from(head);
        let mut found = Vec::new();
        for _ in 0..64 {
            found.extend(framer.next(&mut src));
            assert!(
                framer.next(&mut src).is_none() && src.len() < 500_000,
                "{}",
                src.len()
            );
            src.extend_from_slice(piece);
        }
        assert_eq!(found, [Err(TooLong)]);
    }
    for head in ["NOOP ", "DATA\r\n", "BDAT 4294967296\r\n"] {
        let mut codec = ServerCodec::after_tls(limits.clone());
        let (mut src, mut dst) = (BytesMut::from(head), BytesMut::new());
        for _ in 0..64 {
            while let Some(item) = codec.decode(&mut src).unwrap() {
                if !matches!(item, CommandItem::Chunk(_)) {
                    codec.encode(agree(&item), &mut dst).unwrap();
                }
            }
            assert!(src.len() < limits.line, "{head} {}", src.len());
            src.extend_from_slice(&piece);
        }
    }
}

#[test]
fn the_traps_are_the_same_in_every_chunking() {
    let limits = Limits::default();
    for trap in traps("smtp.tsv", "C") {
        let came = in_every_chunking(|pieces| served(pieces, &limits), &trap.octets);
        // A command that is not known is one for the application to refuse.
        let refusals = ["Malformed", "Refused", "Command(Other"];
        let refused = came
            .iter()
            .any(|line| refusals.iter().any(|one| line.starts_with(one)));
        match &trap.expect[..] {
            "bad" => assert!(refused, "{trap:?}\n{}", came.join("\n")),
            "ok" => assert!(!refused, "{trap:?}\n{}", came.join("\n")),
            _ => {}
        }
    }
    for trap in traps("smtp.tsv", "S") {
        in_every_chunking(|pieces| replies(pieces, &limits), &trap.octets);
    }
}

/// What the server machine makes of the same octets: each line that is refused as none, and each message.
fn machine(octets: &[u8]) -> Vec<String> {
    let mut options = Options::new("mx.test");
    options.limits = small();
    let mut machine = Connection::new(options);
    let (mut input, mut output) = (BytesMut::from(octets), Output::new());
    let mut log = Log::default();
    let mut refused = false;
    loop {
        let step = machine.poll(&mut input, &mut output).unwrap();
        let said = output.copy_to_bytes(output.len());
        for line in String::from_utf8_lossy(&said).lines() {
            let syntax = line.starts_with("500 5.5.2") || line.starts_with("501 5.5.2");
            if line.starts_with("554 5.6.0") {
                log.line("whole, irregular".into());
            } else if syntax {
                log.line("bad".into());
            }
        }
        match step {
            Step::Event(Event::Chunk(octets)) if !refused => log.chunk(&octets),
            Step::Event(Event::BodyRefused) => {
                refused = true;
                log.void();
            }
            Step::Event(Event::Reset | Event::Chunk(_)) => {}
            Step::Event(event) => {
                if let Event::Data = event {
                    refused = false;
                }
                if let Event::EndOfBody = event {
                    log.line("whole".into());
                }
                machine.accept(&mut output).unwrap();
            }
            _ => break,
        }
    }
    log.void();
    log.end(String::new())
}

/// The same of the codec. DATA is answered as the machine answers it: only behind a recipient.
fn codec(octets: &[u8]) -> Vec<String> {
    let mut codec = ServerCodec::after_tls(small());
    let (mut src, mut dst) = (BytesMut::from(octets), BytesMut::new());
    let mut log = Log::default();
    let (mut mail, mut recipients) = (false, 0);
    while let Ok(Some(item)) = codec.decode(&mut src) {
        let mut reply = agree(&item);
        match &item {
            CommandItem::Chunk(octets) => {
                log.chunk(octets);
                continue;
            }
            CommandItem::Malformed(_)
            | CommandItem::Refused(_)
            | CommandItem::Command(Command::Other { .. }) => log.line("bad".into()),
            CommandItem::Command(Command::Mail { .. }) => mail = true,
            CommandItem::Command(Command::Rset) => (mail, recipients) = (false, 0),
            CommandItem::Command(Command::Rcpt { .. }) if mail => recipients += 1,
            CommandItem::Command(Command::Data) if recipients == 0 => {
                reply = Reply::new(503, "", "no");
            }
            CommandItem::EndOfBody(irregular) => {
                (mail, recipients) = (false, 0);
                if irregular.bare_newline || irregular.nul {
                    log.void();
                    log.line("whole, irregular".into());
                } else {
                    log.line("whole".into());
                }
            }
            _ => {}
        }
        codec.encode(reply, &mut dst).unwrap();
    }
    log.void();
    log.end(String::new())
}

fn stream() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(vec![
        "NOOP\r\n",
        "MAIL FROM:<a@b.test>\r\n",
        "RCPT TO:<c@d.test>\r\n",
        "DATA\r\n",
        "RSET\r\n",
        "x\r\n",
        ".\r\n",
        "..\r\n",
        "\n",
        "\r",
        "\0",
        ".",
        "QUI",
        "\r\n",
        "RCPT TO:<\r\n",
        "01234567890123456789012345678901234567890123456789012345678901234567890123456789",
    ]);
    many(piece, 0..16).prop_map(|pieces| {
        format!(
            "EHLO me\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n{}",
            pieces.concat()
        )
    })
}

/// The beginning of a line that is passed over may hold CR, and its end may come as LF alone.
#[test]
fn a_cr_at_the_beginning_of_a_long_line_ends_nothing() {
    for line in ["25-\r", "\r\r\r\r", "2\r0-"] {
        for length in 30..90 {
            let long = "x".repeat(length);
            let octets = format!("{line}{long}-\n{long}\r\n250 ok\r\n");
            let whole = replies(&[octets.as_bytes()], &small());
            for size in [1, 2, 3, 11, 44] {
                let pieces = cut(octets.as_bytes(), &[size]);
                let what = format!("{line:?} {length} {size}");
                assert_eq!(replies(&pieces, &small()), whole, "{what}");
            }
        }
    }
}

/// The replies to a message in LMTP are as many as recipients were accepted, also when it went out before they were.
#[test]
fn a_message_that_is_pipelined_in_lmtp_has_a_reply_for_each_recipient() {
    let mut client = ClientCodec::new(Limits::default());
    let mut server = ServerCodec::new(Limits::default());
    let (mut up, mut down) = (BytesMut::new(), BytesMut::new());
    let rcpt = |at: usize| {
        let to = ForwardPath::Mailbox(mailbox(&format!("to{at}@b.test")));
        Command::rcpt(to)
    };
    let mail = || {
        let from = ReversePath(Some(mailbox("a@b.test")));
        Command::mail(from)
    };
    let mut commands = vec![Command::Lhlo("me.test".into())];
    for recipients in [3, 2] {
        commands.push(mail());
        commands.extend((0..recipients).map(rcpt));
        commands.push(Command::Bdat {
            octets: 3,
            last: true,
        });
    }
    commands.push(Command::Quit);
    for command in commands {
        let is_chunk = matches!(command, Command::Bdat { .. });
        client.encode(command.into(), &mut up).unwrap();
        if is_chunk {
            client
                .encode(SendCommand::Chunk("abc".into()), &mut up)
                .unwrap();
        }
    }
    while server.decode(&mut up).unwrap().is_some() {}
    // Greeting, LHLO; MAIL, three RCPTs of which one is refused, two replies; MAIL, two RCPTs, two replies; QUIT.
    let codes = [
        220, 250, 250, 250, 550, 250, 250, 250, 250, 250, 250, 250, 452, 221,
    ];
    for (at, code) in codes.into_iter().enumerate() {
        assert!(server.owed() > 0 && client.owed() > 0, "{at}");
        server.encode(Reply::new(code, "", "x"), &mut down).unwrap();
        let item = client.decode(&mut down).unwrap();
        assert!(matches!(item, Some(ReplyItem::Reply(reply)) if reply.code() == code));
    }
    assert_eq!((server.owed(), client.owed()), (0, 0));
}

proptest! {
    #[test]
    fn framer_and_parser_say_what_the_machine_says(octets in stream()) {
        prop_assert_eq!(codec(octets.as_bytes()), machine(octets.as_bytes()), "{:?}", octets);
    }

    #[test]
    fn any_stream_in_any_chunking(octets in stream(), sizes in many(1..9_usize, 1..6)) {
        let (limits, octets) = (small(), octets.as_bytes());
        prop_assert_eq!(served(&cut(octets, &sizes), &limits), served(&[octets], &limits));
    }

    #[test]
    fn any_replies_in_any_chunking(octets in "(250[- ][a-z]{0,50}\r\n|25|-|\r|\n|x{39,42}){0,12}", sizes in many(1..9_usize, 1..6)) {
        let (limits, octets) = (small(), octets.as_bytes());
        prop_assert_eq!(replies(&cut(octets, &sizes), &limits), replies(&[octets], &limits));
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.unwrap().block_on(async {
        let limit = Duration::from_secs(20);
        tokio::time::timeout(limit, future)
            .await
            .expect("both sides wait")
    })
}

fn mailbox(address: &str) -> Mailbox {
    Mailbox::parse(address.as_bytes()).unwrap()
}

/// Sends a command, and waits for its reply.
async fn ask(client: &mut Framed<tokio::io::DuplexStream, ClientCodec>, item: SendCommand) -> u16 {
    client.send(item).await.unwrap();
    reply(client).await
}

async fn reply(client: &mut Framed<tokio::io::DuplexStream, ClientCodec>) -> u16 {
    match client.next().await.unwrap().unwrap() {
        ReplyItem::Reply(reply) => reply.code(),
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// A session through a narrow pipe: pipelined commands, DATA or BDAT, SASL, LMTP.
    #[test]
    fn a_session_goes_through(
        lines in many("[.a-z ]{0,9}", 0..9),
        size in 1..7_usize,
        // What is pipelined has room, or both ends would write.
        buffer in 100..200_usize,
        bdat: bool,
        lmtp: bool,
        secret in many(any::<u8>(), 0..20),
    ) {
        let message: String = lines.iter().flat_map(|line| [line, "\r\n"]).collect();
        let (near, far) = tokio::io::duplex(buffer);
        let mut client = Framed::new(near, ClientCodec::new(Limits::default()));
        let mut server = Framed::new(far, ServerCodec::new(Limits::default()));
        let sent = Bytes::from(message.clone());
        let password = secret.clone();
        run(async {
            let talk = async move {
                assert_eq!(reply(&mut client).await, 220);
                let hello = if lmtp { Command::Lhlo("me.test".into()) } else { Command::Ehlo("me.test".into()) };
                assert_eq!(ask(&mut client, hello.into()).await, 250);
                let auth = Command::Auth { mechanism: "PLAIN".into(), initial: None };
                assert_eq!(ask(&mut client, auth.into()).await, 334);
                let early = client.send(Command::Noop(None).into()).await;
                assert!(matches!(early, Err(Error::NotNow(_))));
                let response = SendCommand::SaslResponse(Some(Secret::from(secret)));
                assert_eq!(ask(&mut client, response).await, 235);
                let mail = Command::mail(ReversePath(Some(mailbox("a@b.test"))));
                client.feed(mail.into()).await.unwrap();
                for at in 0..3 {
                    let to = ForwardPath::Mailbox(mailbox(&format!("to{at}@b.test")));
                    let rcpt = Command::rcpt(to);
                    client.feed(rcpt.into()).await.unwrap();
                }
                if bdat {
                    client.flush().await.unwrap();
                    for _ in 0..4 {
                        reply(&mut client).await;
                    }
                    let octets = sent.len() as u64;
                    client.send(Command::Bdat { octets, last: true }.into()).await.unwrap();
                    for piece in sent.chunks(size) {
                        client.send(SendCommand::Chunk(Bytes::copy_from_slice(piece))).await.unwrap();
                    }
                } else {
                    // DATA ends the group, and nothing goes before 354.
                    client.send(Command::Data.into()).await.unwrap();
                    let early = client.send(SendCommand::Chunk("x".into())).await;
                    assert!(matches!(early, Err(Error::NotNow(_))));
                    assert_eq!(reply(&mut client).await, 250);
                    let codes = [reply(&mut client).await, reply(&mut client).await, reply(&mut client).await];
                    assert_eq!(codes, [250, 550, 250]);
                    assert_eq!(reply(&mut client).await, 354);
                    for piece in sent.chunks(size) {
                        client.send(SendCommand::Chunk(Bytes::copy_from_slice(piece))).await.unwrap();
                    }
                    client.send(SendCommand::EndOfBody).await.unwrap();
                }
                for _ in 0..if lmtp { 2 } else { 1 } {
                    assert_eq!(reply(&mut client).await, 250);
                }
                assert_eq!(ask(&mut client, Command::Quit.into()).await, 221);
                assert_eq!(client.codec().owed(), 0);
            };
            let answer = async move {
                let mut body = Vec::new();
                server.send(Reply::new(220, "", "ready")).await.unwrap();
                while let Some(item) = server.next().await {
                    let code = match item.unwrap() {
                        CommandItem::Chunk(octets) => {
                            body.extend_from_slice(&octets);
                            continue;
                        }
                        CommandItem::Command(Command::Bdat { .. }) => continue,
                        CommandItem::Command(Command::Auth { .. }) => 334,
                        CommandItem::SaslResponse(response) => {
                            assert_eq!(response.expose(), password);
                            235
                        }
                        CommandItem::Command(Command::Rcpt { forward_path: ForwardPath::Mailbox(to), .. }) if to.local_part() == "to1" => 550,
                        CommandItem::Command(Command::Data) => 354,
                        CommandItem::Command(Command::Quit) => 221,
                        CommandItem::EndOfBody(_) | CommandItem::EndOfChunk { last: true } => {
                            while server.codec().owed() > 1 {
                                server.send(Reply::new(250, "", "kept")).await.unwrap();
                            }
                            250
                        }
                        CommandItem::Command(_) => 250,
                        other => panic!("{other:?}"),
                    };
                    server.send(Reply::of_lines(code, "", ["one".into(), "two".into()])).await.unwrap();
                }
                assert_eq!(String::from_utf8(body).unwrap(), message);
            };
            tokio::join!(talk, answer)
        });
    }
}

#[test]
fn octets_that_come_too_early_are_an_error_and_no_wait() {
    for octets in [
        "DATA\r\nhello\r\n",
        "AUTH PLAIN\r\nAGEAYg==\r\n",
        "STARTTLS\r\nNOOP\r\n",
    ] {
        let mut codec = ServerCodec::after_tls(Limits::default());
        let mut src = BytesMut::from(octets);
        assert!(matches!(codec.decode(&mut src), Ok(Some(_))), "{octets}");
        assert!(
            matches!(codec.decode(&mut src), Err(Error::Early)),
            "{octets}"
        );
    }
}

/// A reply to an earlier command does not open a message.
#[test]
fn replies_are_counted() {
    let mut codec = ServerCodec::after_tls(Limits::default());
    let (mut src, mut dst) = (BytesMut::from("NOOP\r\nDATA\r\n"), BytesMut::new());
    while codec.decode(&mut src).unwrap().is_some() {}
    assert_eq!(codec.owed(), 2);
    codec.encode(Reply::new(354, "", "x"), &mut dst).unwrap();
    src.extend_from_slice(b"NOOP\r\n");
    assert!(matches!(codec.decode(&mut src), Err(Error::Early)));
    codec.encode(Reply::new(503, "", "x"), &mut dst).unwrap();
    assert!(matches!(
        codec.decode(&mut src),
        Ok(Some(CommandItem::Command(Command::Noop(_))))
    ));
}

#[test]
fn nothing_is_injected_behind_starttls() {
    let mut client = ClientCodec::after_tls(Limits::default());
    let mut dst = BytesMut::new();
    client.encode(Command::StartTls.into(), &mut dst).unwrap();
    let mut src = BytesMut::from("220 go\r\n250 x\r\n");
    assert!(matches!(
        client.decode(&mut src),
        Ok(Some(ReplyItem::Reply(_)))
    ));
    assert!(matches!(client.decode(&mut src), Err(Error::Injected)));
}

#[test]
fn what_was_announced_is_what_is_sent() {
    let mut client = ClientCodec::after_tls(Limits::default());
    let mut dst = BytesMut::new();
    client
        .encode(
            Command::Bdat {
                octets: 3,
                last: true,
            }
            .into(),
            &mut dst,
        )
        .unwrap();
    assert!(matches!(
        client.encode(Command::Noop(None).into(), &mut dst),
        Err(Error::WrongLength)
    ));
    assert!(matches!(
        client.encode(SendCommand::Chunk("abcd".into()), &mut dst),
        Err(Error::WrongLength)
    ));
    client
        .encode(SendCommand::Chunk("abc".into()), &mut dst)
        .unwrap();
    client.encode(Command::Noop(None).into(), &mut dst).unwrap();
    assert_eq!(dst, "BDAT 3 LAST\r\nabcNOOP\r\n");
    // What is no line as it is does not go.
    let before = dst.len();
    let vrfy = client.encode(
        Command::Vrfy {
            string: "a\r\nQUIT".into(),
            smtputf8: false,
        }
        .into(),
        &mut dst,
    );
    assert!(matches!(vrfy, Err(Error::Unencodable)) && dst.len() == before);
}

#[test]
fn a_line_error_says_which() {
    let mut codec = ServerCodec::after_tls(small());
    let mut src = BytesMut::from("a\rb\r\n");
    let item = codec.decode(&mut src);
    assert!(matches!(
        item,
        Ok(Some(CommandItem::Refused(LineError::BareNewline)))
    ));
}
