//! The two machines of the protocol talk to each other: both must agree on what happened.

use crate::{client, server};
use bytes::{Bytes, BytesMut};
use hikyaku_wire::testkit::{End, Random, converse};
use hikyaku_wire::{Machine as _, Output, Secret};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::vec::Vec;

#[derive(Debug, Clone)]
enum Call {
    Capa,
    Stat,
    List(Option<u32>),
    Uidl(Option<u32>),
    Retr(u32),
    Top(u32, u32),
    Dele(u32),
    Rset,
    Noop,
}

fn any_call() -> impl Strategy<Value = Call> {
    let number = || 1..8_u32;
    let some = || proptest::option::of(1..8_u32);
    prop_oneof![
        Just(Call::Capa),
        Just(Call::Stat),
        some().prop_map(Call::List),
        some().prop_map(Call::Uidl),
        number().prop_map(Call::Retr),
        (number(), 0..4_u32).prop_map(|(n, lines)| Call::Top(n, lines)),
        number().prop_map(Call::Dele),
        number().prop_map(Call::Dele),
        Just(Call::Rset),
        Just(Call::Noop),
    ]
}

fn any_message() -> impl Strategy<Value = Bytes> {
    let piece = proptest::sample::select(&[".", "..", "a", "\r\n", "\r\n.\r\n", "Subject: x"][..]);
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| {
        let mut text = pieces.concat();
        if !text.is_empty() && !text.ends_with("\r\n") {
            text.push_str("\r\n");
        }
        Bytes::from(text)
    })
}

/// What TOP leaves of a message.
fn top(message: &[u8], lines: u32) -> Vec<u8> {
    let mut left = Vec::new();
    let mut body = None;
    for line in message.split_inclusive(|&o| o == b'\n') {
        if body.is_some_and(|count| count >= lines) {
            break;
        }
        left.extend_from_slice(line);
        body = match body {
            None if line == b"\r\n" => Some(0),
            None => None,
            Some(count) => Some(count + 1),
        };
    }
    left
}

#[derive(Debug, Default)]
struct Seen {
    completed: Vec<(client::Handle, bool)>,
    maildrop: Option<(u32, u64)>,
    sizes: Vec<(u32, u64)>,
    unique_ids: Vec<(u32, Bytes)>,
    bodies: Vec<(client::Handle, BytesMut)>,
}

proptest! {
    #[test]
    fn both_ends_agree(
        messages in proptest::collection::vec(any_message(), 0..6),
        calls in proptest::collection::vec(any_call(), 0..40),
        refuse_login: bool,
        refuse_update: bool,
        refuse_message in proptest::option::of(1..8_u32),
        one_by_one: bool,
        seed in 1..u64::MAX,
    ) {
        let login_needs_tls = false;
        let mut options = client::Options { one_by_one, login_needs_tls, ..client::Options::default() };
        options.limits.in_flight = 5;
        let mut a = End::new(client::Connection::new(options));
        let mut patient = server::Options { login_needs_tls, ..server::Options::default() };
        patient.limits.errors = 1000;
        let mut b = End::new(server::Connection::new(patient));
        let mut seen = Seen::default();
        let mut issued = Vec::new();
        let mut deleted = None;
        let on_client = &mut |machine: &mut client::Connection, event, output: &mut Output| match event {
            client::Event::Connected { .. } => {
                machine.capa(output).unwrap();
            }
            client::Event::Capabilities(all) => assert!(all.pipelining && all.uidl),
            client::Event::Completed { handle, response }
            | client::Event::Authenticated { handle, response }
            | client::Event::AuthenticationRefused { handle, response } => {
                seen.completed.push((handle, response.is_ok));
                match seen.completed.len() {
                    1 => {
                        machine.login("a", Secret::from(b"b".to_vec()), output).unwrap();
                    }
                    2 if response.is_ok => {
                        for call in &calls {
                            let handle = match *call {
                                Call::Capa => machine.capa(output),
                                Call::Stat => machine.stat(output),
                                Call::List(number) => machine.list(number, output),
                                Call::Uidl(number) => machine.uidl(number, output),
                                Call::Retr(number) => machine.retr(number, output),
                                Call::Top(number, lines) => machine.top(number, lines, output),
                                Call::Dele(number) => machine.dele(number, output),
                                Call::Rset => machine.rset(output),
                                Call::Noop => machine.noop(output),
                            };
                            issued.push(handle.unwrap());
                        }
                        machine.quit(output).unwrap();
                    }
                    2 => {
                        machine.quit(output).unwrap();
                    }
                    _ => {}
                }
            }
            client::Event::Maildrop { messages, octets } => seen.maildrop = Some((messages, octets)),
            client::Event::Size { number, octets } => seen.sizes.push((number, octets)),
            client::Event::UniqueId { number, unique_id } => seen.unique_ids.push((number, unique_id)),
            client::Event::Message { handle, .. } => seen.bodies.push((handle, BytesMut::new())),
            client::Event::Chunk(octets) => seen.bodies.last_mut().unwrap().1.extend_from_slice(&octets),
            other => panic!("{other:?}"),
        };
        let on_server = &mut |machine: &mut server::Connection, event, output: &mut Output| match event {
            server::Event::Connected => machine.ok("ready", output).unwrap(),
            server::Event::Login { .. } if refuse_login => machine.err(None, "no", output).unwrap(),
            server::Event::Login { .. } => {
                let mut maildrop = server::Maildrop::new();
                for (at, message) in messages.iter().enumerate() {
                    maildrop.push(message.len() as u64, std::format!("id{at}")).unwrap();
                }
                machine.grant(maildrop, output).unwrap();
            }
            server::Event::Message { number, .. } if Some(number) == refuse_message => {
                machine.err(None, "cannot be read", output).unwrap();
            }
            server::Event::Message { number, .. } => {
                machine.begin(output).unwrap();
                for piece in messages[number as usize - 1].chunks(7) {
                    if !machine.chunk(Bytes::copy_from_slice(piece), output).unwrap() {
                        break;
                    }
                }
                machine.end(output).unwrap();
            }
            server::Event::Update { deleted: these } => {
                deleted = Some(these);
                if refuse_update {
                    machine.err(None, "some are left", output).unwrap();
                } else {
                    machine.ok("bye", output).unwrap();
                }
            }
            other => panic!("{other:?}"),
        };
        converse(&mut a, &mut b, &mut Random(seed), on_client, on_server);

        prop_assert!(a.closed && b.closed && a.input.is_empty() && b.input.is_empty());
        prop_assert_eq!(a.machine.end_of_input(), Ok(()));
        if refuse_login {
            prop_assert_eq!(seen.completed.len(), 3);
            prop_assert_eq!(deleted, None);
            return Ok(());
        }
        // Every command ended once, in the order they were issued.
        let ended: Vec<_> = seen.completed.iter().map(|(handle, _)| *handle).skip(2).collect();
        prop_assert_eq!(&ended[..issued.len()], &issued[..]);
        prop_assert_eq!(ended.len(), issued.len() + 1);
        prop_assert_eq!(seen.completed.last().unwrap().1, !refuse_update);

        // A model of the maildrop says what each answer had to be.
        let mut gone = BTreeSet::new();
        let (mut sizes, mut unique_ids, mut bodies, mut maildrop) = (Vec::new(), Vec::new(), Vec::new(), None);
        for (at, call) in calls.iter().enumerate() {
            let live = |n: u32, gone: &BTreeSet<u32>| (1..=messages.len() as u32).contains(&n) && !gone.contains(&n);
            let all: Vec<u32> = (1..=messages.len() as u32).filter(|n| live(*n, &gone)).collect();
            let octets = |n: u32| messages[n as usize - 1].len() as u64;
            let ok = seen.completed[at + 2].1;
            let expected = match *call {
                Call::Capa | Call::Noop => true,
                Call::Stat => {
                    maildrop = Some((all.len() as u32, all.iter().map(|n| octets(*n)).sum()));
                    true
                }
                Call::List(None) => {
                    sizes.extend(all.iter().map(|n| (*n, octets(*n))));
                    true
                }
                Call::Uidl(None) => {
                    unique_ids.extend(all.iter().map(|n| (*n, Bytes::from(std::format!("id{}", n - 1)))));
                    true
                }
                Call::List(Some(n)) => {
                    if live(n, &gone) { sizes.push((n, octets(n))); }
                    live(n, &gone)
                }
                Call::Uidl(Some(n)) => {
                    if live(n, &gone) { unique_ids.push((n, std::format!("id{}", n - 1).into())); }
                    live(n, &gone)
                }
                Call::Retr(n) | Call::Top(n, _) => {
                    let there = live(n, &gone) && Some(n) != refuse_message;
                    if there {
                        let message = &messages[n as usize - 1];
                        bodies.push((issued[at], match *call {
                            Call::Top(_, lines) => top(message, lines),
                            _ => message.to_vec(),
                        }));
                    }
                    there
                }
                Call::Dele(n) => live(n, &gone) && gone.insert(n),
                Call::Rset => { gone.clear(); true }
            };
            prop_assert_eq!(ok, expected, "{:?}", call);
        }
        prop_assert_eq!(seen.maildrop, maildrop);
        prop_assert_eq!(seen.sizes, sizes);
        prop_assert_eq!(seen.unique_ids, unique_ids);
        let got: Vec<_> = seen.bodies.iter().map(|(handle, body)| (*handle, body.to_vec())).collect();
        prop_assert_eq!(got, bodies);
        prop_assert_eq!(deleted, Some(gone.into_iter().collect::<Vec<_>>()));
    }
}
