//! Finds where IMAP commands and responses end, and where a command has to wait: our framers and `Fragments`
//! beside imap-codec's `Fragmentizer` and `Encoded`, on the same octets in one run.
//!
//! `cargo bench -p hikyaku-benches --bench imap_framing`

use bytes::BytesMut;
use hikyaku_imap_proto::framer::{CommandFrame, CommandFramer, ResponseFrame, ResponseFramer};
use hikyaku_imap_proto::{Command, Fragments, Limits, Literals, Tagged};
use imap_codec::encode::{Encoder as _, Fragment};
use imap_codec::fragmentizer::Fragmentizer;
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// The number of rounds; both run in each, one after the other.
const ROUNDS: usize = 15;

/// The input, and the number of items in it.
struct Work {
    name: &'static str,
    input: Vec<u8>,
    items: usize,
    client: bool,
}

fn works() -> Vec<Work> {
    let mut commands = String::new();
    for n in 0..5000 {
        let _ = write!(
            commands,
            "a{n} RENAME {{9+}}\r\nEntw\u{fc}rfe {{10+}}\r\nold drafts\r\nb{n} UID FETCH {n} (FLAGS)\r\n"
        );
    }
    let message =
        "From: joe@a.test\r\nSubject: {5}\r\n\r\n0123456789 0123456789 0123456789 0123456789\r\n";
    let section = |times: usize| {
        let body = message.repeat(times);
        let mut fetches = String::new();
        for n in 1..=1000 {
            let octets = body.len();
            let _ = write!(
                fetches,
                "* {n} FETCH (UID {n} BODY[] {{{octets}}}\r\n{body} FLAGS ())\r\n"
            );
        }
        fetches.into_bytes()
    };
    vec![
        Work {
            name: "10 000 commands, half of them with two literals",
            input: commands.into_bytes(),
            items: 10_000,
            client: false,
        },
        Work {
            name: "1 000 FETCH responses, sections of 158 octets",
            input: section(2),
            items: 1000,
            client: true,
        },
        Work {
            name: "1 000 FETCH responses, sections of 15.8 KB",
            input: section(200),
            items: 1000,
            client: true,
        },
    ]
}

/// Whole commands and responses, literals inside.
fn ours(work: &Work, piece: usize) -> usize {
    let mut limits = Limits::default();
    limits.folded = 1 << 20;
    let (mut input, mut items) = (BytesMut::new(), 0);
    if work.client {
        let mut framer = ResponseFramer::new(&limits);
        for piece in work.input.chunks(piece) {
            input.extend_from_slice(piece);
            while let Some(frame) = framer.next(&mut input) {
                let Ok(ResponseFrame::Response(unit)) = frame else {
                    panic!("{frame:?}");
                };
                black_box(&unit);
                items += 1;
            }
        }
        return items;
    }
    let mut framer = CommandFramer::new(&limits);
    for piece in work.input.chunks(piece) {
        input.extend_from_slice(piece);
        while let Some(frame) = framer.next(&mut input) {
            let CommandFrame::Command(unit) = frame else {
                panic!("{frame:?}");
            };
            black_box(&unit);
            items += 1;
        }
    }
    items
}

fn theirs(work: &Work, piece: usize) -> usize {
    let (mut framer, mut items) = (Fragmentizer::new(1 << 20), 0);
    for piece in work.input.chunks(piece) {
        framer.enqueue_bytes(piece);
        while framer.progress().is_some() {
            if framer.is_message_complete() {
                black_box(framer.message_bytes());
                items += 1;
            }
        }
    }
    items
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}

fn row(name: &str, octets: usize, mut ours: impl FnMut(), mut theirs: impl FnMut()) {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        ours();
        a.push(begun.elapsed());
        let begun = Instant::now();
        theirs();
        b.push(begun.elapsed());
    }
    let (a, b) = (median(&mut a), median(&mut b));
    let speed = match octets {
        0 => String::new(),
        octets => format!(", {:.2} GB/s", octets as f64 / a / 1e6),
    };
    let ratio = b / a;
    println!("| {name} | {a:.3} ms | {b:.3} ms | {ratio:.1} times as fast{speed} |");
}

fn main() {
    println!("| work | hikyaku-imap-proto | imap-codec | ours : imap-codec |\n|---|---|---|---|");
    for work in works() {
        for (reads, piece) in [("64 KiB reads", 64 * 1024), ("1 460-octet reads", 1460)] {
            assert_eq!(ours(&work, piece), work.items);
            assert_eq!(theirs(&work, piece), work.items);
            let name = format!("{}, {reads}", work.name);
            row(
                &name,
                work.input.len(),
                || _ = black_box(ours(&work, piece)),
                || _ = black_box(theirs(&work, piece)),
            );
        }
    }
    encode();
}

/// Encodes a command with two literals and cuts it where it waits.
fn encode() {
    use imap_codec::imap_types::command::{Command as Theirs, CommandBody};
    use imap_codec::imap_types::core::{AString, Literal};
    const TIMES: usize = 10_000;
    let (name, password) = ("j\u{f6}rg@mail.example.test", "line\r\nline");
    let ours = Tagged {
        tag: "a1".into(),
        command: Command::Login {
            name: name.into(),
            password: password.as_bytes().to_vec().into(),
        },
    };
    let literal = |text: &'static str| {
        let literal = Literal::try_from(text.as_bytes().to_vec()).expect("no NUL");
        AString::from(literal)
    };
    let login = CommandBody::login(literal(name), literal(password)).expect("two strings");
    let theirs = Theirs::new("a1", login).expect("a tag");
    let count = Fragments::of(&ours, Literals::Synchronizing).map_or(0, |all| all.len());
    assert_eq!(count, 3);
    let literals = imap_codec::CommandCodec::new().encode(&theirs);
    let literals = literals.filter(|one| matches!(one, Fragment::Literal { .. }));
    assert_eq!(literals.count(), 2);
    row(
        "10 000 times a command with two literals, encoded and cut",
        0,
        || {
            for _ in 0..TIMES {
                let fragments = Fragments::of(black_box(&ours), Literals::Synchronizing);
                fragments
                    .into_iter()
                    .flatten()
                    .for_each(|one| drop(black_box(one)));
            }
        },
        || {
            for _ in 0..TIMES {
                let fragments = imap_codec::CommandCodec::new().encode(black_box(&theirs));
                fragments.for_each(|one| drop(black_box(one)));
            }
        },
    );
}
