//! POP3: a maildrop of 10 000 listed, and commands.

use bytes::{Buf as _, BytesMut};
use criterion::{Criterion, criterion_group, criterion_main};
use hikyaku_pop3_proto::server::{Connection, Event, Maildrop, Options};
use hikyaku_wire::{Machine as _, Output, Step};
use std::hint::black_box;

fn in_clear() -> Options {
    let mut options = Options::default();
    options.login_needs_tls = false;
    options
}

/// Octets that were sent.
fn feed(input: &str) -> usize {
    let mut machine = Connection::new(in_clear());
    let (mut buffer, mut output) = (BytesMut::from(input), Output::new());
    loop {
        match machine.poll(&mut buffer, &mut output).unwrap() {
            Step::Event(Event::Connected) => machine.ok("ready", &mut output).unwrap(),
            Step::Event(Event::Login { .. }) => {
                let mut maildrop = Maildrop::new();
                for number in 0..10_000_u32 {
                    maildrop
                        .push(u64::from(number), format!("1.{number}"))
                        .unwrap();
                }
                machine.grant(maildrop, &mut output).unwrap();
            }
            Step::NeedInput => break,
            other => panic!("{other:?}"),
        }
    }
    let sent = output.len();
    output.advance(sent);
    sent
}

fn pop3(criterion: &mut Criterion) {
    let login = "USER a\r\nPASS b\r\n";
    criterion.bench_function("pop3 login to 10 000", |b| {
        b.iter(|| black_box(feed(login)));
    });
    let listed = format!("{login}LIST\r\nUIDL\r\n");
    criterion.bench_function("pop3 login to 10 000, LIST and UIDL", |b| {
        b.iter(|| black_box(feed(&listed)));
    });
    let commands = format!("{login}{}", "LIST 5\r\nUIDL 7\r\nNOOP\r\n".repeat(10_000));
    criterion.bench_function("pop3 login to 10 000, 30 000 commands", |b| {
        b.iter(|| black_box(feed(&commands)));
    });
}

criterion_group!(benches, pop3);
criterion_main!(benches);
