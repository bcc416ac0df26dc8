//! IMAP: commands, an APPEND of 25 MiB in 16 KiB reads, and FETCH responses.

use bytes::{Buf as _, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hikyaku_imap_proto::server::{Connection, Event, Options};
use hikyaku_imap_proto::{Command, FetchItem, Flag, Status, Uid};
use hikyaku_wire::{Machine as _, Output, Step};
use std::hint::black_box;

fn in_clear() -> Options {
    let mut options = Options::default();
    options.login_needs_tls = false;
    options
}

fn feed(machine: &mut Connection, input: &[u8]) -> usize {
    let (mut buffer, mut output, mut octets) = (BytesMut::new(), Output::new(), 0);
    for piece in input.chunks(16 * 1024) {
        buffer.extend_from_slice(piece);
        loop {
            match machine.poll(&mut buffer, &mut output).unwrap() {
                Step::Event(Event::Connected) => machine.greet("hi", &mut output).unwrap(),
                Step::Event(Event::Append { .. }) => machine.accept(&mut output).unwrap(),
                Step::Event(Event::Chunk(chunk)) => octets += chunk.len(),
                Step::Event(Event::Command(Command::Select { .. })) => {
                    machine.select(
                        (1..=10_000).filter_map(Uid::new).collect(),
                        None,
                        false,
                        &mut output,
                    );
                    machine.complete(Status::Ok, None, "", &mut output).unwrap();
                }
                Step::Event(_) => machine.complete(Status::Ok, None, "", &mut output).unwrap(),
                Step::NeedInput => break,
                other => panic!("{other:?}"),
            }
        }
        octets += output.len();
        output.advance(output.len());
    }
    octets
}

fn selected() -> Connection {
    let mut machine = Connection::new(in_clear());
    feed(&mut machine, b"a LOGIN u p\r\nb SELECT INBOX\r\n");
    machine
}

fn imap(criterion: &mut Criterion) {
    let commands =
        "a1 NOOP\r\na2 UID FETCH 1:100 (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)])\r\n\
                    a3 UID STORE 5 +FLAGS.SILENT (\\Seen)\r\na4 UID SEARCH UNSEEN SUBJECT \"x\"\r\n"
            .repeat(2500);
    criterion.bench_function("imap 10 000 commands", |b| {
        let mut machine = selected();
        b.iter(|| black_box(feed(&mut machine, commands.as_bytes())));
    });
    let message = "x".repeat(25 * 1024 * 1024);
    let append = format!("a APPEND x {{{}+}}\r\n{message}\r\n", message.len());
    let mut group = criterion.benchmark_group("imap APPEND of 25 MiB in 16 KiB reads");
    group
        .throughput(Throughput::Bytes(append.len() as u64))
        .sample_size(20);
    group.bench_function("the machine", |b| {
        let mut machine = selected();
        b.iter(|| black_box(feed(&mut machine, append.as_bytes())));
    });
    group.bench_function("a bare copy", |b| {
        b.iter(|| {
            let mut buffer = BytesMut::new();
            for piece in append.as_bytes().chunks(16 * 1024) {
                buffer.extend_from_slice(piece);
                black_box(buffer.split());
            }
        });
    });
    group.finish();
    criterion.bench_function("imap 10 000 FETCH (UID FLAGS) responses", |b| {
        let mut machine = selected();
        let flags = FetchItem::Flags([Flag::Seen, Flag::Answered].into_iter().collect());
        let mut output = Output::new();
        b.iter(|| {
            for uid in (1..=10_000).filter_map(Uid::new) {
                machine.begin_fetch(uid, &mut output).unwrap();
                machine
                    .fetch_item(&FetchItem::Uid(uid), &mut output)
                    .unwrap();
                machine.fetch_item(&flags, &mut output).unwrap();
                machine.end_fetch(&mut output).unwrap();
            }
            let sent = output.len();
            output.advance(sent);
            black_box(sent)
        });
    });
}

criterion_group!(benches, imap);
criterion_main!(benches);
