//! SMTP: a 25 MiB message in 16 KiB reads beside a bare copy of it, and pipelined transactions.

use bytes::{Buf as _, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hikyaku_wire::{Machine as _, Output, Step};
use smtp_proto::server::{Connection, Event, Options};
use std::hint::black_box;

/// Octets of the message that came through.
fn feed(input: &[u8]) -> usize {
    let mut machine = Connection::new(Options::new("mx.test"));
    let (mut buffer, mut output, mut octets) = (BytesMut::new(), Output::new(), 0);
    for piece in input.chunks(16 * 1024) {
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

fn smtp(criterion: &mut Criterion) {
    let line = format!("{}\r\n", "x".repeat(76));
    let message = line.repeat(25 * 1024 * 1024 / line.len());
    let head = "EHLO a\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<x@mx.test>\r\nDATA\r\n";
    let input = format!("{head}{message}.\r\n");
    let mut group = criterion.benchmark_group("smtp 25 MiB in 16 KiB reads");
    group
        .throughput(Throughput::Bytes(input.len() as u64))
        .sample_size(20);
    group.bench_function("the machine", |b| {
        b.iter(|| black_box(feed(input.as_bytes())));
    });
    group.bench_function("a bare copy", |b| {
        b.iter(|| {
            let mut buffer = BytesMut::new();
            for piece in input.as_bytes().chunks(16 * 1024) {
                buffer.extend_from_slice(piece);
                black_box(buffer.split());
            }
        });
    });
    group.finish();
    let transaction = "MAIL FROM:<a@b.test> SIZE=100\r\nRCPT TO:<x@mx.test>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\n";
    let many = format!("EHLO a\r\n{}", transaction.repeat(1000));
    criterion.bench_function("smtp 1 000 pipelined transactions", |b| {
        b.iter(|| black_box(feed(many.as_bytes())));
    });
}

criterion_group!(benches, smtp);
criterion_main!(benches);
