//! Any chunking, any item, and the same as the machines.

use super::*;
use crate::server::{Connection, Event, Maildrop, Options};
use crate::{Capabilities, Command, Limits, Response};
use bytes::Bytes;
use core::time::Duration;
use futures_util::{SinkExt as _, StreamExt as _};
use hikyaku_wire::testkit::{check_rows, cut, escape, in_every_chunking, traps};
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
        response_line: 60,
        errors: u32::MAX,
        ..Limits::default()
    }
}

fn response(is_ok: bool) -> Response {
    Response {
        is_ok,
        code: None,
        text: "so".into(),
    }
}

fn served(pieces: &[&[u8]], limits: &Limits) -> Vec<String> {
    let mut codec = ServerCodec::after_tls(limits.clone());
    let (mut src, mut dst) = (BytesMut::new(), BytesMut::new());
    let mut log = Vec::new();
    for piece in pieces {
        src.extend_from_slice(piece);
        loop {
            let item = match codec.decode(&mut src) {
                Ok(Some(item)) => item,
                Ok(None) => break,
                Err(error) => {
                    log.push(error.to_string());
                    return log;
                }
            };
            log.push(format!("{item:?}"));
            let answer = match item {
                CommandItem::Command(Command::Auth { .. }) => SendResponse::Challenge("hi".into()),
                CommandItem::Command(Command::Stls) => response(true).into(),
                _ => response(false).into(),
            };
            codec.encode(answer, &mut dst).unwrap();
        }
    }
    log.push(match codec.decode_eof(&mut src) {
        Ok(item) => format!("end {item:?}"),
        Err(error) => error.to_string(),
    });
    log
}

/// What a client decodes that has sent CAPA, RETR, AUTH and NOOP, over and over.
fn client(pieces: &[&[u8]], limits: &Limits) -> Vec<String> {
    let mut codec = ClientCodec::after_tls(limits.clone());
    let (mut src, mut dst) = (BytesMut::new(), BytesMut::new());
    let mut log: Vec<String> = Vec::new();
    let mut octets = Vec::new();
    let mut next = 0;
    let mut ask = |codec: &mut ClientCodec| {
        if codec.owed() == 0 {
            let auth = Command::Auth {
                mechanism: "X".into(),
                initial: None,
            };
            let all = [Command::Capa, Command::Retr(1), auth, Command::Noop];
            let command = all.into_iter().nth(next % 4).unwrap();
            // Refused while a challenge is answered.
            if codec.encode(command.into(), &mut dst).is_ok() {
                next += 1;
            }
            let _ = codec.encode(SendCommand::SaslResponse(None), &mut dst);
        }
    };
    ask(&mut codec);
    for piece in pieces {
        src.extend_from_slice(piece);
        loop {
            match codec.decode(&mut src) {
                Ok(Some(ResponseItem::Chunk(more))) => octets.extend_from_slice(&more),
                Ok(Some(item)) => {
                    if !octets.is_empty() {
                        log.push(format!("octets {}", escape(&std::mem::take(&mut octets))));
                    }
                    log.push(format!("{item:?}"));
                    ask(&mut codec);
                }
                Ok(None) => break,
                Err(error) => {
                    log.push(error.to_string());
                    return log;
                }
            }
        }
        assert!(
            src.len() <= limits.response_line + piece.len(),
            "{} octets are held",
            src.len()
        );
    }
    log.push(format!("octets {}", escape(&octets)));
    log.push(match codec.decode_eof(&mut src) {
        Ok(item) => format!("end {item:?}"),
        Err(error) => error.to_string(),
    });
    log
}

type Decode = fn(&[&[u8]], &Limits) -> Vec<String>;

fn check(decode: Decode, rows: &[(&str, &[&str])]) {
    check_rows(|pieces| decode(pieces, &small()), rows);
}

#[test]
fn commands_in_every_chunking() {
    let long = format!("USER {}\\r\\nQUIT\\r\\n", "x".repeat(100));
    check(
        served,
        &[
            (
                r"STAT\r\nQUIT\r\n",
                &["Command(Stat)", "Command(Quit)", "end None"],
            ),
            (r"STAT\r\nQUI", &["Command(Stat)", "the connection ended"]),
            (&long, &["Refused(TooLong)", "Command(Quit)", "end None"]),
            (
                r"STAT\nQUIT\r\nQUIT\r\n",
                &["Refused(BareNewline)", "Command(Quit)", "end None"],
            ),
            (
                r"RETR x\r\nQUIT\r\n",
                &["Malformed", "Command(Quit)", "end None"],
            ),
            (
                r"AUTH X\r\naGk=\r\nQUIT\r\n",
                &["Command(Auth", "SaslResponse", "Command(Quit)", "end None"],
            ),
            (
                r"AUTH X\r\n*\r\nQUIT\r\n",
                &["Command(Auth", "SaslCancelled", "Command(Quit)", "end None"],
            ),
            (
                r"AUTH X\r\nQUIT!\r\nQUIT\r\n",
                &["Command(Auth", "SaslCancelled", "Command(Quit)", "end None"],
            ),
            (
                r"STLS\r\nQUIT\r\n",
                &["Command(Stls)", "octets came in clear"],
            ),
        ],
    );
}

#[test]
fn responses_in_every_chunking() {
    let long = format!("+OK\\r\\n{}\\r\\nTOP\\r\\n.\\r\\n", "x".repeat(100));
    check(
        client,
        &[
            (
                r"+OK\r\nTOP\r\n..dot\r\n.\r\n+OK\r\n..dot\r\n+OK\r\n.\r\n+ aGk=\r\n-ERR no\r\n+OK\r\n",
                &[
                    "Response",
                    "Line(b\"TOP\")",
                    "Line(b\".dot\")",
                    "End",
                    "Response",
                    "octets .dot\\r\\n+OK\\r\\n",
                    "End",
                    "Challenge(b\"hi\")",
                    "Response(Response { is_ok: false",
                    "Response(Response { is_ok: true",
                    "octets ",
                    "end None",
                ],
            ),
            // No listing behind -ERR, and no message.
            (
                r"-ERR\r\n-ERR\r\n+OK\r\n+OK\r\n",
                &[
                    "Response", "Response", "Response", "Response", "octets ", "end None",
                ],
            ),
            (
                r"\r\n-ERR\r\n\r\n+OK\r\na\n.\n\r\n.\r\n",
                &[
                    "Response",
                    "Response",
                    "octets a\\n.\\n\\r\\n",
                    "End",
                    "octets ",
                    "end None",
                ],
            ),
            (
                r"nonsense\r\n-ERR\r\n",
                &[
                    "Malformed(b\"nonsense\")",
                    "Response",
                    "octets ",
                    "end None",
                ],
            ),
            (
                r"+OK\r\nTOP\r\n",
                &["Response", "Line", "octets ", "the connection ended"],
            ),
            (
                &long,
                &[
                    "Response",
                    "Refused(TooLong)",
                    "Line(b\"TOP\")",
                    "End",
                    "octets ",
                    "end None",
                ],
            ),
        ],
    );
}

#[test]
fn what_never_ends_takes_no_memory() {
    let limits = Limits::default();
    let piece = vec![b'x'; 1 << 20];
    for head in ["+OK ", "+OK\r\n", "+OK\r\nx"] {
        let mut codec = ClientCodec::after_tls(limits.clone());
        let (mut src, mut dst) = (BytesMut::from(head), BytesMut::new());
        codec.encode(Command::Uidl(None).into(), &mut dst).unwrap();
        for _ in 0..64 {
            while codec.decode(&mut src).unwrap().is_some() {}
            assert!(src.len() < limits.response_line, "{head} {}", src.len());
            src.extend_from_slice(&piece);
        }
    }
}

#[test]
fn the_traps_are_the_same_in_every_chunking() {
    let limits = Limits::default();
    for trap in traps("pop3.tsv", "C") {
        let came = in_every_chunking(|pieces| served(pieces, &limits), &trap.octets);
        let refused = came
            .iter()
            .any(|line| line.starts_with("Malformed") || line.starts_with("Refused"));
        match &trap.expect[..] {
            "bad" => assert!(refused, "{trap:?}\n{}", came.join("\n")),
            "ok" => assert!(!refused, "{trap:?}\n{}", came.join("\n")),
            _ => {}
        }
    }
    for trap in traps("pop3.tsv", "S") {
        in_every_chunking(|pieces| client(pieces, &limits), &trap.octets);
    }
}

/// What the server machine answers, line by line: `+` or `-`.
fn machine(octets: &[u8]) -> String {
    let options = Options {
        limits: small(),
        tls: true,
        ..Options::default()
    };
    let mut machine = Connection::new(options);
    let (mut input, mut output) = (BytesMut::from("USER a\r\nPASS b\r\n"), Output::new());
    input.extend_from_slice(octets);
    loop {
        match machine.poll(&mut input, &mut output).unwrap() {
            Step::Event(Event::Connected) => machine.ok("", &mut output).unwrap(),
            Step::Event(Event::Login { .. }) => {
                machine.grant(Maildrop::new(), &mut output).unwrap();
            }
            Step::Event(event) => panic!("{event:?}"),
            _ => break,
        }
    }
    let said = output.copy_to_bytes(output.len());
    let said = String::from_utf8_lossy(&said).into_owned();
    said.lines()
        .skip(3)
        .filter_map(|line| line.chars().next())
        .collect()
}

/// The same of the codec, for commands that are always or never granted.
fn codec(octets: &[u8]) -> String {
    let mut codec = ServerCodec::after_tls(small());
    let (mut src, mut dst) = (BytesMut::from(octets), BytesMut::new());
    let mut said = String::new();
    while let Ok(Some(item)) = codec.decode(&mut src) {
        let is_ok = matches!(
            item,
            CommandItem::Command(Command::Noop | Command::Stat | Command::Rset)
        );
        said.push(if is_ok { '+' } else { '-' });
        codec.encode(response(is_ok).into(), &mut dst).unwrap();
    }
    said
}

fn stream() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(vec![
        "NOOP\r\n",
        "STAT\r\n",
        "RSET\r\n",
        "DELE 7\r\n",
        "x\r\n",
        "\n",
        "\r",
        "NOO",
        " ",
        "\r\n",
        "RETR 1\r\n",
        "0123456789012345678901234567890123456789012345678901234567890123456789",
    ]);
    many(piece, 0..16).prop_map(|pieces| pieces.concat())
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
    fn any_responses_in_any_chunking(octets in "(\\+OK( a)?\r\n|-ERR\r\n|\\+ aGk=\r\n|\\.\r\n|\\.|a|\r|\n|\r\n|x{57,62}){0,14}", sizes in many(1..9_usize, 1..6)) {
        let (limits, octets) = (small(), octets.as_bytes());
        prop_assert_eq!(client(&cut(octets, &sizes), &limits), client(&[octets], &limits));
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

async fn next(client: &mut Framed<tokio::io::DuplexStream, ClientCodec>) -> ResponseItem {
    client.next().await.unwrap().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// A session through a narrow pipe: capabilities, AUTH, a listing, pipelined messages.
    #[test]
    fn a_session_goes_through(
        lines in many("[.a-z ]{0,9}", 0..9),
        size in 1..7_usize,
        // Three commands at once have room, or both ends would write.
        buffer in 24..80_usize,
        secret in many(any::<u8>(), 0..20),
    ) {
        let message: String = lines.iter().flat_map(|line| [line, "\r\n"]).collect();
        let (near, far) = tokio::io::duplex(buffer);
        let mut client = Framed::new(near, ClientCodec::new(Limits::default()));
        let mut server = Framed::new(far, ServerCodec::new(Limits::default()));
        let (body, password) = (Bytes::from(message.clone()), secret.clone());
        let ids = lines.clone();
        run(async {
            let answer = async move {
                server.send(response(true).into()).await.unwrap();
                while let Some(item) = server.next().await {
                    let mut follow = Vec::new();
                    match item.unwrap() {
                        CommandItem::Command(Command::Capa) => {
                            let all = Capabilities {
                                pipelining: true,
                                ..Capabilities::default()
                            };
                            follow.push(SendResponse::Capabilities(all));
                        }
                        CommandItem::Command(Command::Auth { .. }) => {
                            server.send(SendResponse::Challenge("hi".into())).await.unwrap();
                            continue;
                        }
                        CommandItem::SaslResponse(response) => assert_eq!(response.expose(), password),
                        CommandItem::Command(Command::Uidl(None)) => {
                            follow.extend(ids.iter().map(|id| SendResponse::Line(id.clone().into())));
                        }
                        CommandItem::Command(Command::Retr(_)) => {
                            follow.extend(body.chunks(size).map(|piece| SendResponse::Chunk(Bytes::copy_from_slice(piece))));
                        }
                        CommandItem::Command(Command::Quit) => {
                            server.send(response(true).into()).await.unwrap();
                            continue;
                        }
                        other => panic!("{other:?}"),
                    }
                    server.send(response(true).into()).await.unwrap();
                    for item in follow {
                        server.send(item).await.unwrap();
                    }
                    // Only listings and messages have an end.
                    let _ = server.send(SendResponse::End).await;
                }
            };
            let talk = async move {
                let ok = ResponseItem::Response(response(true));
                assert_eq!(next(&mut client).await, ok);
                client.send(Command::Capa.into()).await.unwrap();
                assert_eq!(next(&mut client).await, ok);
                assert_eq!(next(&mut client).await, ResponseItem::Line("PIPELINING".into()));
                assert_eq!(next(&mut client).await, ResponseItem::End);
                let auth = Command::Auth { mechanism: "X".into(), initial: None };
                client.send(auth.into()).await.unwrap();
                let early = client.send(Command::Noop.into()).await;
                assert!(matches!(early, Err(Error::NotNow(_))));
                assert_eq!(next(&mut client).await, ResponseItem::Challenge("hi".into()));
                client.send(SendCommand::SaslResponse(Some(Secret::from(secret)))).await.unwrap();
                assert_eq!(next(&mut client).await, ok);
                // Three at once.
                for command in [Command::Uidl(None), Command::Retr(1), Command::Quit] {
                    client.feed(command.into()).await.unwrap();
                }
                client.flush().await.unwrap();
                assert_eq!(next(&mut client).await, ok);
                for line in lines {
                    assert_eq!(next(&mut client).await, ResponseItem::Line(line.into()));
                }
                assert_eq!(next(&mut client).await, ResponseItem::End);
                assert_eq!(next(&mut client).await, ok);
                let mut came = Vec::new();
                loop {
                    match next(&mut client).await {
                        ResponseItem::Chunk(octets) => came.extend_from_slice(&octets),
                        ResponseItem::End => break,
                        other => panic!("{other:?}"),
                    }
                }
                assert_eq!(String::from_utf8(came).unwrap(), message);
                assert_eq!(next(&mut client).await, ok);
                assert_eq!(client.codec().owed(), 0);
            };
            tokio::join!(answer, talk)
        });
    }
}

#[test]
fn octets_that_come_too_early_are_an_error_and_no_wait() {
    for octets in ["AUTH X\r\naGk=\r\n", "STLS\r\nNOOP\r\n"] {
        let mut codec = ServerCodec::after_tls(Limits::default());
        let mut src = BytesMut::from(octets);
        assert!(matches!(codec.decode(&mut src), Ok(Some(_))), "{octets}");
        assert!(
            matches!(codec.decode(&mut src), Err(Error::Early)),
            "{octets}"
        );
    }
}

#[test]
fn nothing_is_injected_behind_stls() {
    let mut client = ClientCodec::after_tls(Limits::default());
    let mut dst = BytesMut::new();
    client.encode(Command::Stls.into(), &mut dst).unwrap();
    let mut src = BytesMut::from("+OK go\r\n+OK x\r\n");
    assert!(matches!(
        client.decode(&mut src),
        Ok(Some(ResponseItem::Response(_)))
    ));
    assert!(matches!(client.decode(&mut src), Err(Error::Injected)));
}

#[test]
fn what_is_no_part_of_a_response_is_not_encoded() {
    let mut codec = ServerCodec::new(Limits::default());
    let (mut src, mut dst) = (BytesMut::from("UIDL\r\n"), BytesMut::new());
    codec.encode(response(true).into(), &mut dst).unwrap();
    codec.decode(&mut src).unwrap();
    for item in [
        SendResponse::End,
        SendResponse::Line("x".into()),
        SendResponse::Chunk("x".into()),
        SendResponse::Challenge("x".into()),
    ] {
        assert!(matches!(
            codec.encode(item, &mut dst),
            Err(Error::NotNow(_))
        ));
    }
    codec.encode(response(true).into(), &mut dst).unwrap();
    assert!(matches!(
        codec.encode(response(true).into(), &mut dst),
        Err(Error::NotNow(_))
    ));
    assert!(matches!(
        codec.encode(SendResponse::Line("a\r\n.".into()), &mut dst),
        Err(Error::Unencodable)
    ));
    codec.encode(SendResponse::End, &mut dst).unwrap();
    assert_eq!(dst, "+OK so\r\n+OK so\r\n.\r\n");

    let mut client = ClientCodec::after_tls(Limits::default());
    let user = Command::User("a\r\nQUIT".into());
    assert!(matches!(
        client.encode(user.into(), &mut dst),
        Err(Error::Unencodable)
    ));
}
