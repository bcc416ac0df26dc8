//! Compares the crates that read SMTP, side by side in one run: the typed values of command lines, replies and messages
//! from the same octets, and their time.
//!
//! `cargo bench -p hikyaku-benches --bench smtp_peers`; an argument selects works by a word.

use bytes::{Bytes, BytesMut};
use hikyaku_smtp_proto::framer::{CommandFrame, CommandFramer, ReplyFramer};
use hikyaku_smtp_proto::{Capabilities, Command, Leniencies, Limits, Reply};
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// The number of rounds; all crates read in each, one after the other.
const ROUNDS: usize = 31;

type Reader = fn(&[u8]) -> usize;

struct Work {
    name: &'static str,
    make: fn(usize) -> String,
    readers: &'static [(&'static str, Reader)],
}

fn transactions(lines: usize) -> String {
    let mut text = String::new();
    for n in 0..lines / 4 {
        let _ = write!(
            text,
            "EHLO client{n}.example.org\r\nMAIL FROM:<alice.{n}@example.org> SIZE=1{n} BODY=8BITMIME\r\n\
             RCPT TO:<bob+{n}@mx.example.net>\r\nDATA\r\n"
        );
    }
    text
}

/// What Exchange, Postfix and Gmail ask of each other.
fn parameters(lines: usize) -> String {
    let mut text = String::new();
    for n in 0..lines / 2 {
        let _ = write!(
            text,
            "MAIL FROM:<alice@example.org> SIZE=1{n} BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ{n}+2B7\r\n\
             RCPT TO:<bob@example.net> NOTIFY=FAILURE,DELAY ORCPT=rfc822;bob{n}+2Bx@example.net\r\n"
        );
    }
    text
}

fn replies(count: usize) -> String {
    let mut text = String::new();
    for n in 0..count / 4 {
        let _ = write!(
            text,
            "250 2.1.0 Originator <alice.{n}@example.org> ok\r\n250 2.1.5 Recipient ok\r\n\
             354 Start mail input; end with <CRLF>.<CRLF>\r\n250 2.0.0 Ok: queued as 4fX{n}Yz\r\n"
        );
    }
    text
}

fn refusals(count: usize) -> String {
    let mut text = String::new();
    for n in 0..count {
        let _ = write!(
            text,
            "550-5.7.26 This message is not authenticated, and so it is refused.\r\n550-5.7.26 See\r\n\
             550 5.7.26 https://support.example.com/mail/answer/{n} - gsmtp\r\n"
        );
    }
    text
}

fn capabilities(count: usize) -> String {
    let one = "250-mx.example.org at your service\r\n250-SIZE 157286400\r\n250-8BITMIME\r\n250-STARTTLS\r\n\
               250-AUTH PLAIN LOGIN XOAUTH2\r\n250-ENHANCEDSTATUSCODES\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 SMTPUTF8\r\n";
    one.repeat(count)
}

fn ours(mut input: &[u8]) -> usize {
    let mut count = 0;
    while let Some(command) = Command::take(&mut input, Leniencies::ALL) {
        black_box(&command.unwrap());
        count += 1;
    }
    count
}

fn ours_framed(input: &[u8]) -> usize {
    let mut framer = CommandFramer::new(&Limits::default());
    let mut input = BytesMut::from(input);
    let mut count = 0;
    while let Some(frame) = framer.next(&mut input) {
        let CommandFrame::Command(line) = frame else {
            panic!("{frame:?}");
        };
        black_box(Command::parse(&line).unwrap());
        count += 1;
    }
    count
}

fn stalwart(input: &[u8]) -> usize {
    let mut octets = input.iter();
    let mut count = 0;
    while !octets.as_slice().is_empty() {
        black_box(smtp_proto::Request::parse(&mut octets).unwrap());
        count += 1;
    }
    count
}

fn smtp_codec(mut input: &[u8]) -> usize {
    let mut count = 0;
    while !input.is_empty() {
        let (rest, command) = smtp_codec::parse::command::command(input).unwrap();
        black_box(command);
        input = rest;
        count += 1;
    }
    count
}

fn smtp_message(mut input: &[u8]) -> usize {
    let mut count = 0;
    while !input.is_empty() {
        let (rest, command) = smtp_message::Command::<&str>::parse(input).unwrap();
        black_box(command);
        input = rest;
        count += 1;
    }
    count
}

fn our_replies(mut input: &[u8]) -> usize {
    let mut count = 0;
    while let Some((reply, rest)) = Reply::first(input, Leniencies::ALL).unwrap() {
        black_box(reply);
        input = rest;
        count += 1;
    }
    count
}

fn our_capabilities(mut input: &[u8]) -> usize {
    let mut count = 0;
    while let Some((reply, rest)) = Reply::first(input, Leniencies::ALL).unwrap() {
        black_box(Capabilities::of(reply));
        input = rest;
        count += 1;
    }
    count
}

fn our_replies_framed(input: &[u8]) -> usize {
    let mut framer = ReplyFramer::new(&Limits::default());
    let mut input = BytesMut::from(input);
    let mut count = 0;
    while let Some(unit) = framer.next(&mut input) {
        black_box(Reply::parse(&unit.unwrap()).unwrap());
        count += 1;
    }
    count
}

fn stalwart_replies(input: &[u8]) -> usize {
    let mut octets = input.iter();
    let mut count = 0;
    while !octets.as_slice().is_empty() {
        let mut receiver = smtp_proto::response::parser::ResponseReceiver::default();
        black_box(receiver.parse(&mut octets).unwrap());
        count += 1;
    }
    count
}

fn smtp_message_replies(mut input: &[u8]) -> usize {
    let mut count = 0;
    while !input.is_empty() {
        let (rest, reply) = smtp_message::Reply::<&str>::parse(input).unwrap();
        black_box(reply);
        input = rest;
        count += 1;
    }
    count
}

fn our_capabilities_framed(input: &[u8]) -> usize {
    let mut framer = ReplyFramer::new(&Limits::default());
    let mut input = BytesMut::from(input);
    let mut count = 0;
    while let Some(unit) = framer.next(&mut input) {
        let reply = Reply::parse(&unit.unwrap()).unwrap();
        black_box(Capabilities::of(reply));
        count += 1;
    }
    count
}

fn stalwart_capabilities(input: &[u8]) -> usize {
    let mut octets = input.iter();
    let mut count = 0;
    while !octets.as_slice().is_empty() {
        black_box(smtp_proto::EhloResponse::parse(&mut octets).unwrap());
        count += 1;
    }
    count
}

/// Finding the line ends, which no reader can do without.
fn bare_scan(input: &[u8]) -> usize {
    let input = Bytes::copy_from_slice(input);
    memchr::memchr_iter(b'\n', &input).count()
}

const COMMANDS: &[(&str, Reader)] = &[
    ("ours", ours),
    ("ours, framed, kept", ours_framed),
    ("stalwart", stalwart),
    ("smtp-codec", smtp_codec),
    ("smtp-message", smtp_message),
    ("a copy and its line ends", bare_scan),
];
const REPLIES: &[(&str, Reader)] = &[
    ("ours", our_replies),
    ("ours, framed, kept", our_replies_framed),
    ("stalwart", stalwart_replies),
    ("smtp-message", smtp_message_replies),
    ("a copy and its line ends", bare_scan),
];
const CAPABILITIES: &[(&str, Reader)] = &[
    ("ours", our_capabilities),
    ("ours, framed, kept", our_capabilities_framed),
    ("stalwart", stalwart_capabilities),
    ("a copy and its line ends", bare_scan),
];

const WORKS: &[Work] = &[
    Work {
        name: "10 000 EHLO, MAIL, RCPT, DATA lines",
        make: transactions,
        readers: COMMANDS,
    },
    Work {
        name: "10 000 MAIL and RCPT lines with parameters",
        make: parameters,
        readers: COMMANDS,
    },
    Work {
        name: "10 000 replies of one line",
        make: replies,
        readers: REPLIES,
    },
    Work {
        name: "10 000 refusals of three lines",
        make: refusals,
        readers: REPLIES,
    },
    Work {
        name: "10 000 replies to EHLO",
        make: capabilities,
        readers: CAPABILITIES,
    },
];

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Each reader's median, or `None` where it cannot read the work.
fn measured(work: &Work, count: usize) -> Vec<Option<Duration>> {
    let input = (work.make)(count);
    let input = input.as_bytes();
    let mut times: Vec<Option<Vec<Duration>>> = Vec::new();
    for (_, read) in work.readers {
        let able = std::panic::catch_unwind(|| read(input)).is_ok();
        times.push(able.then(Vec::new));
    }
    for _ in 0..ROUNDS {
        for ((_, read), times) in work.readers.iter().zip(&mut times) {
            if let Some(times) = times {
                let begun = Instant::now();
                black_box(read(black_box(input)));
                times.push(begun.elapsed());
            }
        }
    }
    let median = |times: Option<Vec<Duration>>| times.map(|mut times| median(&mut times));
    times.into_iter().map(median).collect()
}

fn main() {
    std::panic::set_hook(Box::new(|_| {}));
    let chosen: Vec<String> = std::env::args()
        .skip(1)
        .filter(|one| !one.starts_with("--"))
        .collect();
    let is_chosen = |name: &str| chosen.is_empty() || chosen.iter().any(|one| name.contains(one));
    for work in WORKS.iter().filter(|work| is_chosen(work.name)) {
        let octets = (work.make)(10_000).len();
        println!("\n{} ({octets} octets)\n", work.name);
        println!("| reader | time | GB/s | exponent |\n|---|---|---|---|");
        let once = measured(work, 10_000);
        let twice = measured(work, 20_000);
        for (((name, _), once), twice) in work.readers.iter().zip(once).zip(twice) {
            let (Some(once), Some(twice)) = (once, twice) else {
                println!("| {name} | cannot | | |");
                continue;
            };
            let (once, twice) = (once.as_secs_f64(), twice.as_secs_f64());
            println!(
                "| {name} | {:.3} ms | {:.2} | {:.2} |",
                once * 1e3,
                octets as f64 / once / 1e9,
                (twice / once).log2()
            );
        }
    }
}
