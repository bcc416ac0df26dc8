//! Where grammars go wrong: `tests/grammar.tsv`, a row for each trap, with its RFC section and what comes of it.
//!
//! Columns: side (`C` a command, `R` a response), section, the wire without its last CRLF, and what we write
//! of what was read; `bad` where a command has to be refused, `raw` where a response, or an item of it, is
//! kept as it was sent because it is not as the grammar has it.

use crate::{FetchItem, Limits, Received, Response, ResponseCode, StatusItem, Tagged};
use bytes::{Buf as _, Bytes, BytesMut};
use hikyaku_wire::testkit::{escape, unescape};
use hikyaku_wire::{Machine as _, Output, Step};
use std::format;
use std::string::String;
use std::vec::Vec;

fn written(encode: impl FnOnce(&mut Output)) -> String {
    let mut output = Output::new();
    encode(&mut output);
    let octets = output.copy_to_bytes(output.len());
    escape(octets.strip_suffix(b"\r\n").unwrap_or(&octets))
}

/// What a server makes of a command: whether it is refused, by whatever rule.
fn is_refused(octets: &[u8]) -> bool {
    use crate::server::{Connection, Event, Options};
    let mut machine = Connection::new(Options {
        mechanisms: ["PLAIN".into()].into(),
        login_needs_tls: false,
        compress: true,
        capabilities: ["QRESYNC".into(), "IDLE".into()].into(),
        ..Options::default()
    });
    let (mut input, mut output) = (BytesMut::new(), Output::new());
    let login = [&b" LOGIN"[..], b" AUTHENTICATE", b" authenticate"];
    let before = login
        .iter()
        .any(|name| octets.windows(name.len()).any(|w| w == *name));
    if !before {
        input.extend_from_slice(b"l LOGIN u p\r\ne ENABLE QRESYNC\r\ns SELECT x\r\n");
    }
    let mut run = |input: &mut BytesMut| {
        loop {
            match machine.poll(input, &mut output).unwrap() {
                Step::Event(Event::Connected) => machine.greet("hi", &mut output).unwrap(),
                Step::Event(Event::Command(crate::Command::Select { .. })) => {
                    machine.select(
                        super::uids([1, 2, 7]),
                        crate::Uid::new(7),
                        false,
                        &mut output,
                    );
                }
                Step::NeedAnswer => {
                    let ok = crate::Status::Ok;
                    machine.complete(ok, None, "fine", &mut output).unwrap();
                }
                Step::Event(_) => {}
                _ => break,
            }
        }
        let said = output.copy_to_bytes(output.len());
        String::from_utf8_lossy(&said).into_owned()
    };
    run(&mut input);
    input.extend_from_slice(octets);
    input.extend_from_slice(b"\r\n");
    run(&mut input).contains(" BAD ")
}

fn command(octets: &[u8]) -> String {
    if is_refused(octets) {
        return "bad".into();
    }
    let unit = Bytes::copy_from_slice(octets);
    match Tagged::parse(&unit, &Limits::default()) {
        Ok(tagged) => {
            let line = written(|output| tagged.encode(output));
            let unit = Bytes::from(unescape(&line));
            let again = Tagged::parse(&unit, &Limits::default()).unwrap();
            assert_eq!(line, written(|output| again.encode(output)));
            line
        }
        Err(error) => format!("not refused: {error}"),
    }
}

/// Whether it, or anything in it, was kept as it was sent for want of sense.
fn is_raw(received: &Received) -> bool {
    let code = |code: &Option<ResponseCode>| matches!(code, Some(ResponseCode::Other(..)));
    match received {
        Received::Untagged(Response::Other(_)) => true,
        Received::Untagged(Response::Status(_, of, _)) => code(of),
        Received::Untagged(Response::Fetch(_, items) | Response::UidFetch(_, items)) => items
            .iter()
            .any(|item| matches!(item, FetchItem::Other(..))),
        Received::Untagged(Response::MailboxStatus(_, items)) => items
            .iter()
            .any(|item| matches!(item, StatusItem::Other(..))),
        Received::Tagged(_, end) => code(&end.code),
        _ => false,
    }
}

fn response(octets: &[u8]) -> String {
    let unit = Bytes::copy_from_slice(octets);
    let Ok(received) = Received::parse(&unit, &Limits::default()) else {
        return "raw".into();
    };
    // What has no type because nobody knows it is not what is wrong: it is named X-.
    let unknown = octets.windows(2).any(|window| window == b"X-");
    if is_raw(&received) && !unknown {
        return "raw".into();
    }
    let line = written(|output| received.encode(output));
    let again = Received::parse(&Bytes::from(unescape(&line)), &Limits::default()).unwrap();
    assert_eq!(line, written(|output| again.encode(output)));
    line
}

#[test]
fn every_row_comes_out_as_expected() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/grammar.tsv");
    let table = std::fs::read_to_string(path).unwrap();
    let (mut failed, mut seen) = (Vec::new(), 0);
    for row in table.lines().filter(|row| !row.starts_with('#')) {
        let cells: Vec<&str> = row.split('\t').collect();
        let [side, _, wire, expected] = cells[..] else {
            panic!("{row}");
        };
        let octets = unescape(wire);
        let came = match side {
            "C" => command(&octets),
            _ => response(&octets),
        };
        seen += 1;
        if came != expected {
            failed.push(format!("{}\n  came {came}", row.replace('\t', " | ")));
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {seen}:\n{}",
        failed.len(),
        failed.join("\n")
    );
    assert!(seen >= 250, "{seen}");
}

/// Nesting of any depth costs the item alone, and no stack (DESIGN §2).
#[test]
fn nesting_at_the_limit_and_past_it() {
    let search = |depth: usize| format!("a SEARCH {}ALL{}", "(".repeat(depth), ")".repeat(depth));
    assert_ne!(command(search(63).as_bytes()), "bad");
    assert_eq!(command(search(65).as_bytes()), "bad");
    let not = |depth: usize| format!("a SEARCH {}ALL", "NOT ".repeat(depth));
    assert_ne!(command(not(63).as_bytes()), "bad");
    assert_eq!(command(not(65).as_bytes()), "bad");
    let leaf = "(\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 0 0)";
    let body = |depth: usize| {
        format!(
            "* 1 FETCH (UID 5 BODY {}{leaf}{})",
            "(".repeat(depth),
            " \"MIXED\")".repeat(depth)
        )
    };
    assert_ne!(response(body(63).as_bytes()), "raw");
    for depth in [65, 100_000] {
        let unit = Bytes::from(body(depth));
        let limits = Limits {
            response: 1 << 30,
            ..Limits::default()
        };
        let Ok(Received::Untagged(Response::Fetch(_, items))) = Received::parse(&unit, &limits)
        else {
            panic!("{depth}");
        };
        assert_eq!(items[0], FetchItem::Uid(super::uid(5)));
        assert!(matches!(items[1], FetchItem::Other(..)), "{depth}");
    }
}
