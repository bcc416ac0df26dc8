//! Any chunking, any item, and no deadlock.

use super::*;
use crate::client::Capabilities;
use crate::round_trip::{command, received};
use crate::server::{Connection, Event, Options};
use crate::*;
use bytes::Bytes;
use core::time::Duration;
use futures_util::{SinkExt as _, StreamExt as _};
use hikyaku_wire::testkit::{escape, traps, unescape};
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
        command: 200,
        command_before_login: 200,
        literal: 20,
        response: 200,
        response_literal: 20,
        folded: 8,
        errors: u32::MAX,
        ..Limits::default()
    }
}

fn no(text: &'static str) -> Completion {
    let text = text.into();
    Completion {
        status: Status::No,
        code: None,
        text,
    }
}

/// Pieces in which octets come: their sizes, again and again.
fn cut<'a>(octets: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let (mut pieces, mut rest) = (Vec::new(), octets);
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (head, tail) = rest.split_at((*size).clamp(1, rest.len()));
        pieces.push(head);
        rest = tail;
    }
    pieces
}

/// Lines that say what was decoded, chunks put together.
#[derive(Default)]
struct Log(Vec<String>, Vec<u8>);

impl Log {
    fn chunk(&mut self, octets: &[u8]) {
        self.1.extend_from_slice(octets);
    }

    fn line(&mut self, line: String) {
        if !self.1.is_empty() {
            let octets = std::mem::take(&mut self.1);
            self.0.push(format!("octets {}", escape(&octets)));
        }
        self.0.push(line);
    }

    fn end(mut self, line: String) -> Vec<String> {
        self.line(line);
        self.0
    }
}

/// What a server decodes that says `+` wherever it may, and that NO ends the rest.
fn served(pieces: &[&[u8]], limits: &Limits) -> Vec<String> {
    let mut codec = ServerCodec::new(limits.clone());
    let (mut src, mut dst) = (BytesMut::new(), BytesMut::new());
    let mut log = Log::default();
    for piece in pieces {
        src.extend_from_slice(piece);
        loop {
            let item = match codec.decode(&mut src) {
                Ok(Some(item)) => item,
                Ok(None) => break,
                Err(error) => return log.end(error.to_string()),
            };
            let bound = limits.command + limits.folded as usize + piece.len() + 8192;
            assert!(src.len() <= bound, "{} octets are held", src.len());
            let end = match &item {
                CommandItem::Chunk(octets) => {
                    log.chunk(octets);
                    continue;
                }
                CommandItem::Command(tagged) => Some(tagged.tag.clone()),
                CommandItem::EndOfAppend { tag } => Some(tag.clone()),
                _ => None,
            };
            if matches!(
                item,
                CommandItem::Malformed(_) | CommandItem::Refused { .. }
            ) {
                // What was given of its message is void, and how much that is depends on the pieces.
                log.1.clear();
            }
            log.line(format!("{item:?}"));
            let continues = codec.is_continuation_due();
            let over = matches!(
                item,
                CommandItem::SaslCancelled | CommandItem::SaslResponse(_)
            );
            if continues && !over {
                let continuation = Received::Continuation("go on".into());
                codec.encode(continuation.into(), &mut dst).unwrap();
            } else if let Some(tag) = end.or_else(|| over.then(|| "a".into())) {
                let end = Received::Tagged(tag, no("no"));
                codec.encode(end.into(), &mut dst).unwrap();
            }
        }
    }
    let end = match codec.decode_eof(&mut src) {
        Ok(item) => format!("end {item:?}"),
        Err(error) => error.to_string(),
    };
    log.end(end)
}

fn client(pieces: &[&[u8]], limits: &Limits) -> Vec<String> {
    let mut codec = ClientCodec::new(limits.clone());
    let mut src = BytesMut::new();
    let mut log = Log::default();
    for piece in pieces {
        src.extend_from_slice(piece);
        loop {
            match codec.decode(&mut src) {
                Ok(Some(ResponseItem::Chunk(octets))) => log.chunk(&octets),
                Ok(Some(item)) => log.line(format!("{item:?}")),
                Ok(None) => break,
                Err(error) => return log.end(error.to_string()),
            }
            let bound = limits.response + piece.len() + 8192;
            assert!(src.len() <= bound, "{} octets are held", src.len());
        }
    }
    let end = match codec.decode_eof(&mut src) {
        Ok(item) => format!("end {item:?}"),
        Err(error) => error.to_string(),
    };
    log.end(end)
}

type Decode = fn(&[&[u8]], &Limits) -> Vec<String>;

/// Whole, octet by octet, and in every split in two.
fn in_every_chunking(decode: Decode, octets: &[u8], limits: &Limits) -> Vec<String> {
    let whole = decode(&[octets], limits);
    assert_eq!(
        decode(&cut(octets, &[1]), limits),
        whole,
        "{}",
        escape(octets)
    );
    for at in 1..octets.len() {
        let (head, tail) = octets.split_at(at);
        let split = decode(&[head, tail], limits);
        assert_eq!(split, whole, "{} at {at}", escape(octets));
    }
    whole
}

/// A row: the octets, and what each item begins with.
type Row = (&'static str, &'static [&'static str]);

fn check(decode: Decode, rows: &[Row]) {
    for (octets, expected) in rows {
        let came = in_every_chunking(decode, &unescape(octets), &small());
        let same = came.len() == expected.len()
            && came
                .iter()
                .zip(*expected)
                .all(|(came, expected)| came.starts_with(expected));
        assert!(same, "{octets}\n{}", came.join("\n"));
    }
}

const TAG: &str = "Command(Tagged { tag: b\"b\", command: Noop })";

#[test]
fn commands_in_every_chunking() {
    check(
        served,
        &[
            (r"b NOOP\r\n", &[TAG, "end None"]),
            (r"b NOOP\r\nb NO", &[TAG, "the connection ended"]),
            (
                r"a DELETE {3}\r\nabc\r\nb NOOP\r\n",
                &[
                    "Continue { tag: Some(b\"a\"), octets: 3 }",
                    "Command(Tagged { tag: b\"a\", command: Delete",
                    TAG,
                    "end None",
                ],
            ),
            (
                r"a RENAME {3+}\r\nabc {3}\r\ndef\r\nb NOOP\r\n",
                &[
                    "Continue { tag: Some(b\"a\")",
                    "Command(Tagged { tag: b\"a\", command: Rename",
                    TAG,
                    "end None",
                ],
            ),
            // Octets of a refused literal are no commands, synchronizing or not.
            (
                r"a DELETE {24+}\r\nc NOOP\r\nc NOOP\r\nc NOOP\r\n x {9+}\r\nc NOOP\r\n y\r\nb NOOP\r\n",
                &[
                    "Refused { tag: Some(b\"a\"), refusal: LiteralTooBig }",
                    TAG,
                    "end None",
                ],
            ),
            (
                r"a DELETE {4294967296}\r\nb NOOP\r\n",
                &[
                    "Refused { tag: Some(b\"a\"), refusal: LiteralTooBig }",
                    TAG,
                    "end None",
                ],
            ),
            (
                r"a DELETE {99999999999999999999}\r\nb NOOP\r\n",
                &[
                    "Refused { tag: Some(b\"a\"), refusal: LiteralEndless }",
                    "literal of more",
                ],
            ),
            (r"a LOGIN {1+}\r\n", &["the connection ended"]),
            (r"x\r\nb NOOP\r\n", &["Malformed", TAG, "end None"]),
            (
                "* x {3}\\r\\nabc\\r\\nb NOOP\\r\\n",
                &[
                    "Continue { tag: None, octets: 3 }",
                    "Malformed(SyntaxError { tag: None",
                    TAG,
                    "end None",
                ],
            ),
            (
                r"a NOOP\nb NOOP\r\n",
                &[
                    "Refused { tag: Some(b\"a\"), refusal: BareNewline }",
                    TAG,
                    "end None",
                ],
            ),
            (
                r"a NONSENSE\r\nb NOOP\r\n",
                &["Malformed(SyntaxError { tag: Some(b\"a\")", TAG, "end None"],
            ),
            // A message up to `folded` and a larger one.
            (
                r"a APPEND x {5}\r\nhello\r\nb NOOP\r\n",
                &[
                    "Append { tag: b\"a\"",
                    "octets hello",
                    "EndOfAppend { tag: b\"a\" }",
                    TAG,
                    "end None",
                ],
            ),
            (
                r"a APPEND x (\\Seen) {20+}\r\nhello\r\nb NOOP\r\n...\r\n\r\nb NOOP\r\n",
                &[
                    "Append { tag: b\"a\"",
                    "octets hello\\r\\nb NOOP\\r\\n...\\r\\n",
                    "EndOfAppend",
                    TAG,
                    "end None",
                ],
            ),
            (
                r"a APPEND x {0}\r\n\r\nb NOOP\r\n",
                &["Append", "EndOfAppend", TAG, "end None"],
            ),
            (
                r"a APPEND x {1+}\r\ny {2}\r\nzz\r\nb NOOP\r\n",
                &[
                    "Append",
                    "octets y",
                    "Append",
                    "octets zz",
                    "EndOfAppend",
                    TAG,
                    "end None",
                ],
            ),
            (
                r"a APPEND {1}\r\nx UTF8 (~{3+}\r\n\x00\xe9\n)\r\nb NOOP\r\n",
                &[
                    "Continue { tag: Some(b\"a\"), octets: 1 }",
                    "Append",
                    "octets \\x00\\xe9\\n",
                    "EndOfAppend",
                    TAG,
                    "end None",
                ],
            ),
            (
                r"a APPEND x CATENATE (URL {3}\r\n/;u TEXT {2+}\r\nhi URL z)\r\nb NOOP\r\n",
                &[
                    "Continue { tag: Some(b\"a\")",
                    "Append",
                    "CatenateUrl(b\"/;u\")",
                    "CatenateText { octets: 2 }",
                    "octets hi",
                    "CatenateUrl(b\"z\")",
                    "EndOfAppend",
                    TAG,
                    "end None",
                ],
            ),
            (
                r"a APPEND x CATENATE (URL y URL z)\r\nb NOOP\r\n",
                &[
                    "Append { tag: b\"a\"",
                    "CatenateUrl(b\"y\")",
                    "CatenateUrl(b\"z\")",
                    "EndOfAppend",
                    TAG,
                    "end None",
                ],
            ),
            (
                r"a APPEND x {9+}\r\nab\x00defghi\r\nb NOOP\r\n",
                &[
                    "Append",
                    "Refused { tag: Some(b\"a\"), refusal: Nul }",
                    TAG,
                    "end None",
                ],
            ),
            (
                r"a APPEND x {3+}\r\n\x00bc\r\nb NOOP\r\n",
                &[
                    "Append",
                    "Refused { tag: Some(b\"a\"), refusal: Nul }",
                    TAG,
                    "end None",
                ],
            ),
            (
                r"a APPEND x {3+}\r\nabc nonsense {13+}\r\nc NOOP\r\n.. \r\n\r\nb NOOP\r\n",
                &["Append", "Malformed", TAG, "end None"],
            ),
            (
                r"a APPEND x {9+}\r\nhello",
                &["Append", "octets hello", "the connection ended"],
            ),
            // Lines that are no commands.
            (
                r"a AUTHENTICATE PLAIN\r\nAGEAYg==\r\nb NOOP\r\n",
                &["Command", "SaslResponse", TAG, "end None"],
            ),
            (
                r"a AUTHENTICATE PLAIN\r\n*\r\nb NOOP\r\n",
                &["Command", "SaslCancelled", TAG, "end None"],
            ),
            (
                r"a AUTHENTICATE PLAIN\r\nb NOOP {5+}\r\nhello\r\nb NOOP\r\n",
                &["Command", "SaslCancelled", TAG, "end None"],
            ),
            (
                r"a IDLE\r\nDONE\r\nb NOOP\r\n",
                &["Command", "EndOfIdle { done: true }", TAG, "end None"],
            ),
            (
                r"a IDLE\r\nc NOOP\r\nb NOOP\r\n",
                &["Command", "EndOfIdle { done: false }", TAG, "end None"],
            ),
        ],
    );
}

const EXISTS: &str = "Response(Untagged(Exists(3)))";

#[test]
fn responses_in_every_chunking() {
    check(
        client,
        &[
            (
                r"* 3 EXISTS\r\n\r\n* 3 EXISTS\n",
                &[EXISTS, EXISTS, "end None"],
            ),
            (
                r"* OK of {3}\r\n* 3 EXISTS\r\n",
                &["Response(Untagged(Status(Ok", EXISTS, "end None"],
            ),
            (
                r"+ {3}\r\n* 3 EXISTS\r\n",
                &["Response(Continuation(b\"{3}\"))", EXISTS, "end None"],
            ),
            (
                r"* LIST () NIL {3}\r\na\r\n\r\na OK done\r\n",
                &[
                    "Response(Untagged(List(",
                    "Response(Tagged(b\"a\"",
                    "end None",
                ],
            ),
            // Up to `folded` a section is an item as any other.
            (
                r"* 1 FETCH (BODY[] {8}\r\n12345678 UID 7)\r\n* 3 EXISTS\r\n",
                &[
                    "Response(Untagged(Fetch(1, [Section(BodySection",
                    EXISTS,
                    "end None",
                ],
            ),
            (
                r"* 1 FETCH (UID 7 BODY[] {9}\r\n123456789 FLAGS ())\r\n* 3 EXISTS\r\n",
                &[
                    "Section { number: 1, uid: false, items: [Uid(7)], name: BodySection",
                    "octets 123456789",
                    "EndOfFetch([Flags(",
                    EXISTS,
                    "end None",
                ],
            ),
            (
                r"* 4 UIDFETCH (BODY[1] {2}\r\n)( BODY[2] {9}\r\n* 3 OUT\r\n BODY[3] ~{10}\r\n12345678\r\n)\r\n* 3 EXISTS\r\n",
                &[
                    "Section { number: 4, uid: true, items: [Section(",
                    "octets * 3 OUT\\r\\n",
                    "Section { number: 4, uid: true, items: []",
                    "octets 12345678\\r\\n",
                    "EndOfFetch([])",
                    EXISTS,
                    "end None",
                ],
            ),
            // What cannot be named costs itself.
            (
                r"* 1 FETCH (BODY[x] {9}\r\n123456789 UID 7)\r\n* 3 EXISTS\r\n",
                &["EndOfFetch([Uid(7)])", EXISTS, "end None"],
            ),
            // Another literal is held up to its limit, and NIL past it.
            (
                r"* 1 FETCH (ENVELOPE (NIL {21}\r\n123456789012345678901 NIL NIL NIL NIL NIL NIL NIL NIL) UID 7)\r\n* 3 EXISTS\r\n",
                &["Response(Untagged(Fetch(1, [Envelope(", EXISTS, "end None"],
            ),
            (
                r"nonsense\r\n* 3 EXISTS\r\n",
                &["Malformed", EXISTS, "end None"],
            ),
            (
                r"* LIST () NIL {99999999999999999999}\r\n",
                &["literal of more"],
            ),
            (
                r"* 1 FETCH (BODY[] {9}\r\n1234",
                &["Section", "octets 1234", "the connection ended"],
            ),
        ],
    );
}

#[test]
fn what_is_too_long_is_passed_over_whole() {
    let long = "x".repeat(300);
    let name = "y".repeat(15);
    for (octets, items) in [
        (format!("* LIST () NIL {long}\r\n* 3 EXISTS\r\n"), 1),
        (format!("* OK {long} {{5}}\r\n* 3 EXISTS\r\n"), 1),
        // A literal behind the limit is passed over with its line.
        (
            format!(
                "* LIST () NIL {{15}}\r\n{name} {long} {{14}}\r\n* 9 EXISTS\r\n. ()\r\n* 3 EXISTS\r\n"
            ),
            1,
        ),
        (
            format!(
                "* 1 FETCH (BODY[] {{9}}\r\n123456789 X-Y {long} Z ~{{4}}\r\n) \r\n)\r\n* 3 EXISTS\r\n"
            ),
            1,
        ),
    ] {
        let came = in_every_chunking(client, octets.as_bytes(), &small());
        assert!(came.contains(&"TooLong".to_string()), "{came:?}");
        let after = came.iter().skip_while(|line| *line != "TooLong").skip(1);
        assert_eq!(
            after.filter(|line| *line == EXISTS).count(),
            items,
            "{came:?}"
        );
        assert!(
            !came.iter().any(|line| line.contains("Exists(9)")),
            "{came:?}"
        );
    }
    for octets in [
        format!("a NOOP {long}\r\nb NOOP\r\n"),
        format!("a RENAME {{15+}}\r\n{name} {long} {{8+}}\r\nc NOOP\r\n x\r\nb NOOP\r\n"),
    ] {
        let came = in_every_chunking(served, octets.as_bytes(), &small());
        assert_eq!(came.len(), 3, "{came:?}");
        assert!(
            came[0].contains("refusal: TooLong") && came[1] == TAG,
            "{came:?}"
        );
    }
}

/// A literal of 4 GB, a line without an end: neither is held.
#[test]
fn what_never_ends_takes_no_memory() {
    let limits = Limits::default();
    let piece = vec![b'x'; 1 << 20];
    for head in [
        "a DELETE {4294967296+}\r\n",
        "a APPEND x {4294967296+}\r\n",
        "a DELETE ",
    ] {
        let mut codec = ServerCodec::new(limits.clone());
        let mut src = BytesMut::from(head);
        for _ in 0..64 {
            while codec.decode(&mut src).unwrap().is_some() {}
            assert!(src.len() < limits.command + 1, "{head} {}", src.len());
            src.extend_from_slice(&piece);
        }
    }
    for head in [
        "* 1 FETCH (BODY[] {4294967296}\r\n",
        "* LIST () NIL {4294967296}\r\n",
        "* LIST () NIL ",
    ] {
        let mut codec = ClientCodec::new(limits.clone());
        let mut src = BytesMut::from(head);
        for _ in 0..64 {
            while codec.decode(&mut src).unwrap().is_some() {}
            assert!(src.len() < limits.response + 1, "{head} {}", src.len());
            src.extend_from_slice(&piece);
        }
    }
}

#[test]
fn nesting_costs_the_item() {
    let limits = Limits {
        command: 1 << 20,
        ..Limits::default()
    };
    let octets = format!(
        "a SEARCH {}ALL{}\r\nb NOOP\r\n",
        "(".repeat(9000),
        ")".repeat(9000)
    );
    let came = served(&cut(octets.as_bytes(), &[1460]), &limits);
    assert!(
        came[0].starts_with("Malformed") && came[1] == TAG,
        "{came:?}"
    );
    let octets = format!(
        "* 1 FETCH (BODY {} UID 7)\r\n* 3 EXISTS\r\n",
        "(".repeat(9000) + &")".repeat(9000)
    );
    let came = client(&cut(octets.as_bytes(), &[1460]), &limits);
    assert_eq!(came[1], EXISTS, "{came:?}");
}

#[test]
fn the_traps_are_the_same_in_every_chunking() {
    let limits = Limits::default();
    for trap in traps("imap.tsv", "C") {
        let came = in_every_chunking(served, &trap.octets, &limits);
        let first = came.iter().find(|line| !line.starts_with("Continue"));
        let refused =
            first.is_some_and(|line| line.starts_with("Malformed") || line.starts_with("Refused"));
        match &trap.expect[..] {
            "bad" | "refuse" => assert!(refused, "{trap:?}\n{}", came.join("\n")),
            "ok" => assert!(!refused, "{trap:?}\n{}", came.join("\n")),
            _ => {}
        }
    }
    for trap in traps("imap.tsv", "R") {
        in_every_chunking(client, &trap.octets, &limits);
    }
}

/// What a server made of the machine does with the same octets: `+`, the end of each command, and each message.
fn machine(octets: &[u8]) -> Vec<String> {
    let mut options = Options {
        tls: true,
        limits: small(),
        ..Options::default()
    };
    options.limits.command = 1000;
    options.limits.command_before_login = 1000;
    let mut machine = Connection::new(options);
    let (mut input, mut output) = (BytesMut::from("l LOGIN u p\r\n"), Output::new());
    let mut log = Log::default();
    let said = |output: &mut Output, log: &mut Log| {
        let octets = output.copy_to_bytes(output.len());
        let octets = String::from_utf8_lossy(&octets).into_owned();
        for line in octets.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["+", ..] => log.line("+".into()),
                [tag, end @ ("OK" | "BAD"), ..] => log.line(format!("{tag} {end}")),
                _ => {}
            }
        }
    };
    let mut begun = false;
    loop {
        let step = machine.poll(&mut input, &mut output).unwrap();
        said(&mut output, &mut log);
        match step {
            Step::Event(Event::Connected) => machine.greet("", &mut output).unwrap(),
            Step::Event(Event::Append { .. } | Event::CatenateText(_) | Event::CatenateUrl(_)) => {
                machine.accept(&mut output).unwrap();
            }
            Step::Event(Event::Chunk(octets)) => log.chunk(&octets),
            Step::Event(Event::MessageRefused) => {}
            Step::Event(_) => machine.complete(Status::Ok, None, "", &mut output).unwrap(),
            Step::NeedInput if !begun => {
                begun = true;
                log = Log::default();
                input.extend_from_slice(octets);
            }
            _ => break,
        }
        said(&mut output, &mut log);
    }
    log.end(String::new())
}

fn codec(octets: &[u8]) -> Vec<String> {
    let mut limits = small();
    limits.folded = 0;
    limits.command = 1000;
    let mut codec = ServerCodec::new(limits);
    let (mut src, mut dst) = (BytesMut::from(octets), BytesMut::new());
    let mut log = Log::default();
    while let Ok(Some(item)) = codec.decode(&mut src) {
        let tag = |tag: Option<&Bytes>| {
            let tag = tag.map_or(&b"*"[..], |tag| tag);
            String::from_utf8_lossy(tag).into_owned()
        };
        match &item {
            CommandItem::Chunk(octets) => log.chunk(octets),
            CommandItem::Command(Tagged { tag: of, .. }) | CommandItem::EndOfAppend { tag: of } => {
                log.line(format!("{} OK", tag(Some(of))));
            }
            CommandItem::Malformed(error) => log.line(format!("{} BAD", tag(error.tag.as_ref()))),
            CommandItem::Refused { tag: of, .. } => log.line(format!("{} BAD", tag(of.as_ref()))),
            _ => {}
        }
        if codec.is_continuation_due() {
            log.line("+".into());
            let continuation = Received::Continuation("OK".into());
            codec.encode(continuation.into(), &mut dst).unwrap();
        }
    }
    log.end(String::new())
}

fn stream() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(vec![
        "a NOOP\r\n",
        "b DELETE {3}\r\n",
        "c DELETE {3+}\r\n",
        "d RENAME \"x\" {30+}\r\n",
        "e RENAME x {30}\r\n",
        "f APPEND x {9+}\r\n",
        "g APPEND x (\\Seen) {12}\r\n",
        "h APPEND {1+}\r\nx {0+}\r\n",
        "i NOOP x\r\n",
        "j NOOP\n",
        "abc",
        "d e",
        "\r\n",
        " {2+}\r\n",
        " {40+}\r\n",
        "0123456789",
        "\0",
    ]);
    many(piece, 0..14).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn framer_and_parser_say_what_the_machine_says(octets in stream()) {
        prop_assert_eq!(codec(octets.as_bytes()), machine(octets.as_bytes()), "{:?}", octets);
    }

    #[test]
    fn any_stream_in_any_chunking(octets in stream(), sizes in many(1..9_usize, 1..6)) {
        let limits = small();
        let octets = octets.as_bytes();
        prop_assert_eq!(served(&cut(octets, &sizes), &limits), served(&[octets], &limits));
    }

    #[test]
    fn any_responses_in_any_chunking(all in many(received(), 1..5), sizes in many(1..40_usize, 1..6)) {
        let mut output = Output::new();
        for one in &all {
            one.encode(&mut output);
        }
        let octets = output.copy_to_bytes(output.len());
        for limits in [Limits::default(), Limits { response: 100_000, ..small() }] {
            prop_assert_eq!(client(&cut(&octets, &sizes), &limits), client(&[&octets], &limits));
        }
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let runtime = runtime.unwrap();
    // A deadlock is a failure, and not a test without an end.
    runtime.block_on(async {
        let limit = Duration::from_secs(20);
        tokio::time::timeout(limit, future)
            .await
            .expect("both sides wait")
    })
}

type Server = Framed<tokio::io::DuplexStream, ServerCodec>;

fn pair(buffer: usize) -> (super::Client<tokio::io::DuplexStream>, Server) {
    let (near, far) = tokio::io::duplex(buffer);
    let client = super::Client::new(near, Limits::default());
    (
        client,
        Framed::new(far, ServerCodec::new(Limits::default())),
    )
}

fn tagged(tag: &str, command: Command) -> SendCommand {
    let tag = Bytes::copy_from_slice(tag.as_bytes());
    SendCommand::Command(Tagged { tag, command })
}

/// Serves until the client is gone, and says what it decoded: `+` wherever it is due, NO to each command.
async fn serve(mut server: Server) -> Vec<String> {
    let mut log = Log::default();
    while let Some(item) = server.next().await {
        let item = match item {
            Ok(item) => item,
            Err(error) => return log.end(error.to_string()),
        };
        let end = match &item {
            CommandItem::Chunk(octets) => {
                log.chunk(octets);
                continue;
            }
            CommandItem::Command(Tagged { tag, command }) => {
                log.line(escape(&encoded(&item)));
                (!matches!(command, Command::Idle)).then(|| tag.clone())
            }
            CommandItem::EndOfAppend { tag } => Some(tag.clone()),
            _ => None,
        };
        if !matches!(item, CommandItem::Command(_)) {
            log.line(format!("{item:?}"));
        }
        let response = match end {
            Some(tag) => Received::Tagged(tag, no("no")),
            None if server.codec().is_continuation_due() => Received::Continuation("".into()),
            None if matches!(item, CommandItem::EndOfIdle { .. }) => {
                Received::Tagged("i".into(), no("no"))
            }
            None => continue,
        };
        server.send(response.into()).await.unwrap();
    }
    log.end("end".into())
}

/// A command as it is written, its secrets too.
fn encoded(item: &CommandItem) -> Bytes {
    let mut output = Output::new();
    if let CommandItem::Command(tagged) = item {
        tagged.encode(&mut output);
    }
    output.copy_to_bytes(output.len())
}

/// A command whose arguments may be literals.
fn conversions(from: &'static str, to: &'static str) -> Command {
    Command::Conversions(from.into(), to.into())
}

/// Three commands, two of them with two literals each, are sent at once; the last two wait behind the first.
#[test]
fn literals_that_wait_do_not_deadlock() {
    for buffer in [1, 16, 4096] {
        let (mut client, server) = pair(buffer);
        let said = run(async {
            let server = serve(server);
            let talk = async move {
                client
                    .send(tagged("a", conversions("x\n1", "y\n1")))
                    .await
                    .unwrap();
                client
                    .send(tagged("b", conversions("x\n2", "y\n2")))
                    .await
                    .unwrap();
                client.send(tagged("c", Command::Noop)).await.unwrap();
                assert!(client.codec().is_waiting());
                let mut ends = Vec::new();
                while ends.len() < 3 {
                    match client.next().await.unwrap().unwrap() {
                        ResponseItem::Response(Received::Tagged(tag, _)) => ends.push(tag),
                        other => panic!("{other:?}"),
                    }
                }
                assert_eq!(ends, ["a", "b", "c"]);
            };
            tokio::join!(server, talk).0
        });
        let commands = said.iter().filter(|line| !line.starts_with("Continue"));
        assert_eq!(commands.count(), 4, "{said:?}");
        assert_eq!(
            said.iter()
                .filter(|line| line.starts_with("Continue"))
                .count(),
            4,
            "{said:?}"
        );
    }
}

/// The same by hand: `Resume` says that something may go, and any item that is encoded then goes behind it.
#[test]
fn with_a_framed_alone_resume_is_sent_by_hand() {
    let (near, far) = tokio::io::duplex(16);
    let mut client = Framed::new(near, ClientCodec::new(Limits::default()));
    let server = Framed::new(far, ServerCodec::new(Limits::default()));
    let said = run(async {
        let talk = async move {
            client
                .send(tagged("a", conversions("x\n1", "y\n1")))
                .await
                .unwrap();
            client.send(tagged("b", Command::Noop)).await.unwrap();
            let mut seen = Vec::new();
            while seen.len() < 5 {
                let item = client.next().await.unwrap().unwrap();
                match item {
                    ResponseItem::Resume => {
                        client.send(SendCommand::Resume).await.unwrap();
                        seen.push("resume");
                    }
                    ResponseItem::Response(Received::Tagged(tag, _)) if tag == "b" => {
                        seen.push("b");
                        client.send(tagged("c", Command::Noop)).await.unwrap();
                    }
                    ResponseItem::Response(Received::Tagged(..)) => seen.push("end"),
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(seen, ["resume", "resume", "end", "b", "end"]);
        };
        tokio::join!(serve(server), talk).0
    });
    assert_eq!(said.len(), 6, "{said:?}");
}

/// NO in place of `+` drops the rest of that command, its message too, and the next one goes.
#[test]
fn a_refused_literal_drops_its_command_alone() {
    let (mut client, mut server) = pair(64);
    run(async {
        let talk = async move {
            client
                .send(tagged("a", conversions("x\n1", "y\n1")))
                .await
                .unwrap();
            let append = Append::new(MailboxName::new("x"));
            let tag = "b".into();
            client
                .send(SendCommand::Append {
                    tag,
                    append,
                    octets: 11,
                })
                .await
                .unwrap();
            client
                .send(SendCommand::Chunk("c NOOP\r\n".into()))
                .await
                .unwrap();
            // More commands than octets were announced for: refused here.
            let more = client.send(tagged("c", Command::Noop)).await;
            assert!(matches!(more, Err(Error::NotNow(_))), "{more:?}");
            let mut ends = Vec::new();
            while ends.len() < 2 {
                if let ResponseItem::Response(Received::Tagged(tag, _)) =
                    client.next().await.unwrap().unwrap()
                {
                    ends.push(tag);
                }
            }
            // What its caller still has is dropped.
            client.send(SendCommand::Chunk("...".into())).await.unwrap();
            client.send(tagged("d", Command::Noop)).await.unwrap();
            while ends.len() < 3 {
                if let ResponseItem::Response(Received::Tagged(tag, _)) =
                    client.next().await.unwrap().unwrap()
                {
                    ends.push(tag);
                }
            }
            assert_eq!(ends, ["a", "b", "d"]);
        };
        let answer = async move {
            let mut seen = Vec::new();
            while let Some(item) = server.next().await {
                let tag = match item.unwrap() {
                    CommandItem::Continue { tag, .. } => tag.unwrap(),
                    CommandItem::Append { tag, .. } => tag,
                    CommandItem::Command(Tagged { tag, .. }) => tag,
                    other => panic!("{other:?}"),
                };
                seen.push(tag.clone());
                server
                    .send(Received::Tagged(tag, no("no")).into())
                    .await
                    .unwrap();
            }
            assert_eq!(seen, ["a", "b", "d"]);
        };
        tokio::join!(talk, answer)
    });
}

/// 64 MiB go by in both directions, and no more is held than the buffers hold.
#[test]
fn messages_stream() {
    const PIECE: usize = 16 * 1024;
    const PIECES: usize = 4096;
    for literals in [Literals::Synchronizing, Literals::NonSynchronizing] {
        let (mut client, mut server) = pair(8192);
        client.codec_mut().set_literals(literals);
        run(async {
            let piece = Bytes::from(vec![b'x'; PIECE]);
            let octets = (PIECE * PIECES) as u64;
            let sent = piece.clone();
            let talk = async move {
                let append = Append::new(MailboxName::new("x"));
                let tag = "a".into();
                client
                    .send(SendCommand::Append {
                        tag,
                        append,
                        octets,
                    })
                    .await
                    .unwrap();
                if client.codec().is_waiting() {
                    let item = client.next().await.unwrap().unwrap();
                    assert_eq!(item, ResponseItem::SendMessage { tag: "a".into() });
                } else {
                    assert_eq!(literals, Literals::NonSynchronizing);
                }
                for _ in 0..PIECES {
                    client.send(SendCommand::Chunk(sent.clone())).await.unwrap();
                }
                let more = client.send(SendCommand::Chunk("x".into())).await;
                assert!(matches!(more, Err(Error::TooManyOctets)));
                let mut received = 0;
                loop {
                    match client.next().await.unwrap().unwrap() {
                        ResponseItem::Section { octets: of, .. } => assert_eq!(of, octets),
                        ResponseItem::Chunk(octets) => received += octets.len() as u64,
                        ResponseItem::EndOfFetch(items) => assert_eq!(items, [FetchItem::Uid(7)]),
                        ResponseItem::Response(Received::Tagged(..)) => break,
                        other => panic!("{other:?}"),
                    }
                }
                assert_eq!(received, octets);
            };
            let answer = async move {
                let mut received = 0;
                loop {
                    match server.next().await.unwrap().unwrap() {
                        CommandItem::Append {
                            octets: Some(of), ..
                        } => {
                            assert_eq!(of, octets);
                            if server.codec().is_continuation_due() {
                                let go_on = Received::Continuation("".into());
                                server.send(go_on.into()).await.unwrap();
                            }
                        }
                        CommandItem::Chunk(octets) => received += octets.len() as u64,
                        CommandItem::EndOfAppend { tag } => {
                            assert_eq!(received, octets);
                            let name = FetchAttribute::peek(Section::default());
                            let (number, uid, items) =
                                (1, false, [FetchItem::Rfc822Size(9)].into());
                            let begin = SendResponse::Section {
                                number,
                                uid,
                                items,
                                name,
                                octets,
                            };
                            server.send(begin).await.unwrap();
                            for _ in 0..PIECES {
                                server
                                    .send(SendResponse::Chunk(piece.clone()))
                                    .await
                                    .unwrap();
                            }
                            let more = server.send(SendResponse::Chunk("x".into())).await;
                            assert!(matches!(more, Err(Error::TooManyOctets)));
                            server
                                .send(SendResponse::EndOfFetch([FetchItem::Uid(7)].into()))
                                .await
                                .unwrap();
                            server
                                .send(Received::Tagged(tag, no("no")).into())
                                .await
                                .unwrap();
                            break;
                        }
                        other => panic!("{other:?}"),
                    }
                }
            };
            tokio::join!(talk, answer)
        });
    }
}

#[test]
fn commands_wait_behind_a_dialogue() {
    let (mut client, server) = pair(64);
    let said = run(async {
        let talk = async move {
            client.send(tagged("i", Command::Idle)).await.unwrap();
            client.send(tagged("b", Command::Noop)).await.unwrap();
            let idling = client.next().await.unwrap().unwrap();
            assert_eq!(
                idling,
                ResponseItem::Response(Received::Continuation("".into()))
            );
            let no_sasl = client.send(SendCommand::SaslResponse(None)).await;
            assert!(matches!(no_sasl, Err(Error::NotNow(_))));
            client.send(SendCommand::Done).await.unwrap();
            for tag in ["i", "b"] {
                let item = client.next().await.unwrap().unwrap();
                assert_eq!(
                    item,
                    ResponseItem::Response(Received::Tagged(tag.into(), no("no")))
                );
            }
        };
        tokio::join!(serve(server), talk).0
    });
    assert_eq!(
        said,
        [
            "i IDLE\\r\\n",
            "EndOfIdle { done: true }",
            "b NOOP\\r\\n",
            "end"
        ]
    );
}

/// What stands behind STARTTLS in clear is nobody's command or response.
#[test]
fn nothing_is_injected_behind_starttls() {
    let ok = Completion {
        status: Status::Ok,
        ..no("begin")
    };
    let mut server = ServerCodec::new(Limits::default());
    let (mut src, mut dst) = (BytesMut::from("a STARTTLS\r\nb NOOP\r\n"), BytesMut::new());
    assert!(matches!(
        server.decode(&mut src),
        Ok(Some(CommandItem::Command(_)))
    ));
    server
        .encode(Received::Tagged("a".into(), ok).into(), &mut dst)
        .unwrap();
    assert!(matches!(server.decode(&mut src), Err(Error::Injected)));

    let mut client = ClientCodec::new(Limits::default());
    client
        .encode(tagged("a", Command::StartTls), &mut dst)
        .unwrap();
    // Plain lines are taken from the input many at a time.
    let mut src = BytesMut::from("a OK begin\r\n* CAPABILITY X\r\n");
    assert!(matches!(
        client.decode(&mut src),
        Ok(Some(ResponseItem::Response(Received::Tagged(..))))
    ));
    assert!(matches!(client.decode(&mut src), Err(Error::Injected)));
}

/// The octets behind a synchronizing literal may not come before `+`; asked for them, the decoder does not wait.
#[test]
fn octets_that_come_too_early_are_an_error_and_no_wait() {
    for octets in [
        "a DELETE {3}\r\nabc\r\n",
        "a APPEND x {3}\r\nabc\r\n",
        "a AUTHENTICATE PLAIN\r\nb NOOP\r\n",
        "a IDLE\r\nDONE\r\n",
    ] {
        let mut codec = ServerCodec::new(Limits::default());
        let mut src = BytesMut::from(octets);
        assert!(matches!(codec.decode(&mut src), Ok(Some(_))), "{octets}");
        assert!(
            matches!(codec.decode(&mut src), Err(Error::Early)),
            "{octets}"
        );
    }
}

#[test]
fn how_literals_are_announced_is_learned() {
    let capabilities = |line: &str| {
        let mut codec = ClientCodec::new(Limits::default());
        let mut src = BytesMut::from(line);
        codec.decode(&mut src).unwrap();
        let mut dst = BytesMut::new();
        codec
            .encode(tagged("a", conversions("x\n", "y")), &mut dst)
            .unwrap();
        dst
    };
    assert_eq!(
        capabilities("* CAPABILITY IMAP4rev1 LITERAL+\r\n"),
        "a CONVERSIONS {2+}\r\nx\n y\r\n"
    );
    assert_eq!(
        capabilities("* OK [CAPABILITY IMAP4rev1 LITERAL-] hi\r\n"),
        "a CONVERSIONS {2+}\r\nx\n y\r\n"
    );
    assert_eq!(
        capabilities("a OK [CAPABILITY IMAP4rev1] hi\r\n"),
        "a CONVERSIONS {2}\r\n"
    );
    assert_eq!(Capabilities::default().literals(), Literals::Synchronizing);
}

#[test]
fn what_is_no_single_command_is_not_encoded() {
    let mut codec = ClientCodec::new(Limits::default());
    let mut dst = BytesMut::new();
    for (tag, command) in [
        ("a b", Command::Noop),
        ("", Command::Noop),
        ("a\r\nb", Command::Noop),
        ("a", Command::Enable(["X\r\nb NOOP".into()].into())),
    ] {
        let was = codec.encode(tagged(tag, command), &mut dst);
        assert!(
            matches!(was, Err(Error::Unencodable)) && dst.is_empty(),
            "{tag:?}"
        );
    }
    let continuation = Received::Continuation("x".into());
    let mut server = ServerCodec::new(Limits::default());
    let was = server.encode(continuation.into(), &mut dst);
    assert!(matches!(was, Err(Error::NotNow(_))));
}

/// Past its limit NIL stands for a literal, and nothing of it is held.
#[test]
fn a_long_literal_is_nil() {
    use crate::framer::{ResponseFrame, ResponseFramer};
    for (octets, is_held) in [
        (0, true),
        (20, true),
        (21, false),
        (100, false),
        (5000, false),
    ] {
        let text = "t".repeat(octets);
        let stream = format!("* METADATA x (/a {{{octets}}}\r\n{text} /b NIL)\r\n");
        let expected = match is_held {
            true => stream.trim_end().to_string(),
            false => "* METADATA x (/a NIL /b NIL)".to_string(),
        };
        for piece in [1, 7, stream.len()] {
            let mut framer = ResponseFramer::new(&small());
            let (mut src, mut all) = (BytesMut::new(), Vec::new());
            for octets in stream.as_bytes().chunks(piece) {
                src.extend_from_slice(octets);
                all.extend(framer.next(&mut src).map(Result::unwrap));
            }
            let whole = ResponseFrame::Response(expected.clone().into());
            assert_eq!(all, [whole], "{octets} in pieces of {piece}");
        }
    }
}

/// What is held back is bounded.
#[test]
fn too_much_is_not_held_back() {
    let limits = Limits {
        held_back: 1000,
        ..Limits::default()
    };
    let mut codec = ClientCodec::new(limits);
    let mut dst = BytesMut::new();
    let mut sent = 0;
    let error = loop {
        match codec.encode(tagged("a", conversions("x\n", "y\n")), &mut dst) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 1000);
    };
    assert!(
        matches!(error, Error::HeldBack) && sent > 10,
        "{error} {sent}"
    );
}

/// Nor is a message that waits for `+`, whatever its pieces.
#[test]
fn too_much_of_a_message_is_not_held_back() {
    for (piece, fit) in [(1, 1000), (300, 3), (1000, 1), (1001, 0), (5000, 0)] {
        let limits = Limits {
            held_back: 1000,
            ..Limits::default()
        };
        let mut codec = ClientCodec::new(limits);
        let mut dst = BytesMut::new();
        let append = SendCommand::Append {
            tag: "a".into(),
            append: Append::new(MailboxName::new("x")),
            octets: 5000,
        };
        codec.encode(append, &mut dst).unwrap();
        assert!(codec.is_waiting());
        let chunk = Bytes::from(vec![b'x'; piece]);
        let mut held = 0;
        let error = loop {
            match codec.encode(SendCommand::Chunk(chunk.clone()), &mut dst) {
                Ok(()) => held += 1,
                Err(error) => break error,
            }
        };
        assert!(
            matches!(error, Error::HeldBack) && held == fit,
            "{piece}: {error} {held}"
        );
    }
}

/// A message that fits [`Limits::folded`] is one chunk, however it comes.
#[test]
fn a_small_message_is_one_chunk() {
    for (octets, folds) in [(1, true), (7, true), (8, true), (9, false)] {
        let message = "m".repeat(octets);
        let stream = format!("a APPEND x {{{octets}+}}\r\n{message}\r\n");
        let mut codec = ServerCodec::new(small());
        let (mut src, mut chunks) = (BytesMut::new(), Vec::new());
        for octet in stream.bytes() {
            src.extend_from_slice(&[octet]);
            while let Some(item) = codec.decode(&mut src).unwrap() {
                if let CommandItem::Chunk(octets) = item {
                    chunks.push(octets.len());
                }
            }
        }
        assert_eq!(chunks.iter().sum::<usize>(), octets);
        assert_eq!(chunks.len() == 1, folds, "{octets}: {chunks:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever command one side encodes, the other decodes, through a narrow pipe.
    #[test]
    fn any_command_goes_through(commands in many(command(), 1..6), buffer in 1..80_usize, short: bool) {
        let (mut client, server) = pair(buffer);
        if short {
            client.codec_mut().set_literals(Literals::Short);
        }
        // IDLE has a test of its own.
        let commands: Vec<Tagged> = commands
            .into_iter()
            .map(|command| if matches!(command, Command::Idle) { Command::Noop } else { command })
            .enumerate()
            .map(|(at, command)| Tagged { tag: format!("t{at}").into(), command })
            .collect();
        let expected: Vec<String> = commands.iter().map(|command| {
            let mut output = Output::new();
            command.encode(&mut output);
            escape(&output.copy_to_bytes(output.len()))
        }).collect();
        let said = run(async {
            // Sent and received at once: many commands and their ends may be more than the pipe holds.
            let count = commands.len();
            let (mut sink, mut stream) = client.split();
            let talk = async move {
                for command in commands {
                    sink.send(command.into()).await.unwrap();
                }
            };
            let hear = async move {
                for _ in 0..count {
                    match stream.next().await.unwrap().unwrap() {
                        ResponseItem::Response(Received::Tagged(..)) => {}
                        other => panic!("{other:?}"),
                    }
                }
            };
            tokio::join!(serve(server), talk, hear).0
        });
        let commands = said.iter().filter(|line| !line.starts_with("Continue") && *line != "end");
        let came: Vec<String> = commands.cloned().collect();
        prop_assert_eq!(came, expected);
    }

    /// And whatever response.
    #[test]
    fn any_response_goes_through(responses in many(received(), 1..6), buffer in 1..80_usize) {
        let (mut client, mut server) = pair(buffer);
        let responses: Vec<Received> = responses
            .into_iter()
            .filter(|one| !matches!(one, Received::Continuation(_)))
            .filter(|one| !matches!(one, Received::Untagged(Response::Enabled(_))))
            .collect();
        let expected = responses.clone();
        run(async {
            let talk = async move {
                for response in responses {
                    server.send(response.into()).await.unwrap();
                }
            };
            let hear = async move {
                let mut came = Vec::new();
                while let Some(item) = client.next().await {
                    match item.unwrap() {
                        ResponseItem::Response(received) => came.push(received),
                        other => panic!("{other:?}"),
                    }
                }
                came
            };
            let came = tokio::join!(talk, hear).1;
            assert_eq!(came, expected);
        });
    }

    #[test]
    fn a_secret_goes_through(name in ".{0,20}", password in many(1..=255_u8, 0..40)) {
        let (mut client, mut server) = pair(7);
        run(async {
            let login = Command::Login { name: Bytes::from(name.replace('\0', "")), password: Secret::from(password.clone()) };
            let talk = async move {
                client.send(tagged("a", login)).await.unwrap();
                client.next().await
            };
            let answer = async move {
                loop {
                    let item = server.next().await.unwrap().unwrap();
                    if let CommandItem::Command(Tagged { tag, command: Command::Login { password: came, .. } }) = item {
                        assert_eq!(came.expose(), password);
                        return server.send(Received::Tagged(tag, no("no")).into()).await.unwrap();
                    }
                    server.send(Received::Continuation("".into()).into()).await.unwrap();
                }
            };
            tokio::join!(talk, answer)
        });
    }
}
