//! SMTP: messages of 25 MiB through the server machine in reads of several sizes, by DATA and by BDAT, beside two copies of
//! their octets, in reads of that size and in one piece; and pipelined transactions.

use bytes::{Buf as _, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hikyaku_smtp_proto::server::{Connection, Event, Options};
use hikyaku_wire::{Machine as _, Output, Step};
use std::hint::black_box;

const MEBIBYTE: usize = 1024 * 1024;

/// Octets of the message that came through.
fn feed(input: &[u8], read: usize) -> usize {
    let mut machine = Connection::new(Options::new("mx.test"));
    let (mut buffer, mut output, mut octets) = (BytesMut::new(), Output::new(), 0);
    for piece in input.chunks(read) {
        buffer.extend_from_slice(piece);
        loop {
            match machine.poll(&mut buffer, &mut output).unwrap() {
                Step::Event(Event::Chunk(chunk)) => octets += chunk.len(),
                Step::Event(_) => machine.accept(&mut output).unwrap(),
                Step::NeedInput => break,
                other => panic!("{other:?}"),
            }
        }
        output.advance(output.len());
    }
    octets
}

/// What any server does at least: read into a buffer, and hand on what was read.
fn copy(input: &[u8], read: usize) {
    let mut buffer = BytesMut::new();
    for piece in input.chunks(read) {
        buffer.extend_from_slice(piece);
        black_box(buffer.split());
    }
}

fn messages(criterion: &mut Criterion) {
    let plain = format!("{}\r\n", "x".repeat(76));
    // Every line begins with a dot, which DATA doubles.
    let dots = format!(".{}\r\n", "x".repeat(75));
    let within = format!("x{}\r\n", ". ".repeat(37));
    let few = format!("{}{dots}", within.repeat(15));
    for (name, line) in [
        ("plain text", &plain),
        ("text full of dots", &within),
        ("one line in sixteen with a dot first", &few),
        ("each line with a dot first", &dots),
    ] {
        let message = line.repeat(25 * MEBIBYTE / line.len());
        let stuffed = message.replace("\r\n.", "\r\n..");
        let stuffed = match message.starts_with('.') {
            true => format!(".{stuffed}"),
            false => stuffed,
        };
        let head = "EHLO a\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<x@mx.test>\r\n";
        let data = format!("{head}DATA\r\n{stuffed}.\r\n");
        let bdat = format!("{head}BDAT {} LAST\r\n{message}", message.len());
        let mut whole = vec![0; message.len()];
        for read in [4, 16, 64].map(|kibibytes| kibibytes * 1024) {
            let mut group = criterion.benchmark_group(format!(
                "smtp 25 MiB of {name} in {} KiB reads",
                read / 1024
            ));
            group
                .throughput(Throughput::Bytes(message.len() as u64))
                .sample_size(20);
            for (by, input) in [("DATA", &data), ("BDAT", &bdat)] {
                assert_eq!(feed(input.as_bytes(), read), message.len());
                group.bench_function(by, |b| {
                    b.iter(|| black_box(feed(input.as_bytes(), read)));
                });
            }
            group.bench_function("a bare copy", |b| b.iter(|| copy(message.as_bytes(), read)));
            group.bench_function("memcpy of the whole", |b| {
                b.iter(|| black_box(&mut whole).copy_from_slice(black_box(message.as_bytes())));
            });
            group.finish();
        }
    }
}

fn transactions(criterion: &mut Criterion) {
    let transaction = "MAIL FROM:<a@b.test> SIZE=100\r\nRCPT TO:<x@mx.test>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\n";
    let many = format!("EHLO a\r\n{}", transaction.repeat(1000));
    criterion.bench_function("smtp 1 000 pipelined transactions", |b| {
        b.iter(|| black_box(feed(many.as_bytes(), 16 * 1024)));
    });
}

criterion_group!(benches, messages, transactions);
criterion_main!(benches);
