//! The two machines of the protocol talk to each other: both must agree on what happened.

use crate::*;
use bytes::{Bytes, BytesMut};
use hikyaku_wire::testkit::{End, Random, converse};
use hikyaku_wire::{Machine as _, Output, Secret};
use proptest::collection::vec as many;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::vec::Vec;

/// What the client does. UIDs are `(low, high)`.
#[derive(Debug, Clone)]
enum Call {
    Fetch(u32, u32, bool),
    /// By sequence numbers, where that is certain.
    Numbered,
    Store(u32, u32),
    Expunge,
    Move(u32, u32),
    Search,
    Append(Bytes),
    Noop,
    Idle,
    Select,
}

fn any_call() -> impl Strategy<Value = Call> {
    let range = || (1..30_u32, 0..10_u32);
    prop_oneof![
        3 => (range(), any::<bool>()).prop_map(|((low, more), body)| Call::Fetch(low, low + more, body)),
        2 => Just(Call::Numbered),
        1 => range().prop_map(|(low, more)| Call::Store(low, low + more)),
        1 => Just(Call::Expunge),
        1 => range().prop_map(|(low, more)| Call::Move(low, low + more)),
        1 => Just(Call::Search),
        1 => many(any::<u8>(), 0..40).prop_map(|body| {
            Call::Append(body.into_iter().map(|octet| octet.max(1)).collect())
        }),
        2 => Just(Call::Noop),
        1 => Just(Call::Idle),
        1 => Just(Call::Select),
    ]
}

/// What others do to the mailbox while a command is under way.
#[derive(Debug, Clone, Copy)]
enum Change {
    Nothing,
    Arrives,
    Goes(usize),
}

fn any_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        Just(Change::Nothing),
        Just(Change::Arrives),
        any::<usize>().prop_map(Change::Goes),
    ]
}

/// The mailbox of the server, and what was ever in it.
#[derive(Debug, Default)]
struct Mailbox {
    live: BTreeSet<u32>,
    deleted: BTreeSet<u32>,
    bodies: BTreeMap<u32, Bytes>,
    moved: BTreeSet<u32>,
    next: u32,
    appending: BytesMut,
    changes: Vec<Change>,
}

impl Mailbox {
    fn arrive(&mut self, body: Bytes) -> u32 {
        self.next += 1;
        self.live.insert(self.next);
        self.bodies.insert(self.next, body);
        self.next
    }

    fn change(&mut self, machine: &mut server::Connection, output: &mut Output) {
        match self.changes.pop() {
            Some(Change::Arrives) => {
                let body =
                    format!("body {}\r\n{{3}}\r\n)", self.next).repeat(self.next as usize % 4);
                let uid = self.arrive(body.into());
                machine.appeared(&[super::uid(uid)], Uid::new(uid), output);
            }
            Some(Change::Goes(at)) if !self.live.is_empty() => {
                let uid = *self.live.iter().nth(at % self.live.len()).unwrap();
                self.live.remove(&uid);
                machine.vanished([super::uid(uid)], output);
            }
            _ => {}
        }
    }

    fn named(&self, machine: &server::Connection, set: &SequenceSet, numbers: Numbers) -> Vec<u32> {
        let ranges = machine.selected().unwrap().resolve(set, numbers).unwrap();
        let is_in = |uid: &u32| ranges.iter().any(|(low, high)| (low..=high).contains(&uid));
        machine
            .selected()
            .unwrap()
            .uids()
            .iter()
            .map(|uid| uid.get())
            .filter(is_in)
            .collect()
    }

    fn fetch(
        &self,
        machine: &mut server::Connection,
        fetch: &Fetch,
        numbers: Numbers,
        output: &mut Output,
    ) {
        for uid in self.named(machine, &fetch.set, numbers) {
            assert!(machine.begin_fetch(super::uid(uid), output).unwrap());
            for attribute in &fetch.attributes {
                match attribute {
                    FetchAttribute::Uid => {
                        machine
                            .fetch_item(&FetchItem::Uid(super::uid(uid)), output)
                            .unwrap();
                    }
                    FetchAttribute::Flags => {
                        let flags = self.deleted.contains(&uid).then_some(Flag::Deleted);
                        let flags = FetchItem::Flags(flags.into_iter().collect());
                        machine.fetch_item(&flags, output).unwrap();
                    }
                    attribute => {
                        let body = &self.bodies[&uid];
                        machine
                            .begin_section(attribute, Some(body.len() as u64), output)
                            .unwrap();
                        for piece in body.chunks(7) {
                            machine
                                .section_chunk(Bytes::copy_from_slice(piece), output)
                                .unwrap();
                        }
                    }
                }
            }
            machine.end_fetch(output).unwrap();
        }
    }

    fn answer(
        &mut self,
        machine: &mut server::Connection,
        event: server::Event,
        output: &mut Output,
    ) {
        use server::Event as E;
        let mut code = None;
        match event {
            E::Connected => return machine.greet("hi", output).unwrap(),
            E::Append { .. } => return machine.accept(output).unwrap(),
            E::Chunk(octets) => return self.appending.extend_from_slice(&octets),
            E::Idle => return self.change(machine, output),
            E::Login { .. } | E::IdleDone => {}
            E::EndOfBody => {
                let body = self.appending.split().freeze();
                let uid = self.arrive(body);
                code = Some(ResponseCode::AppendUid(1, [(uid, uid)].into()));
                machine.appeared(&[super::uid(uid)], Uid::new(uid), output);
            }
            E::Command(Command::Select { .. }) => {
                machine.select(
                    super::uids(self.live.iter().copied()),
                    Uid::new(1),
                    false,
                    output,
                );
            }
            E::Command(command) => {
                if let Command::Fetch { fetch, .. } = &command
                    && fetch.set.ranges(1).eq([(1, u32::MAX)])
                {
                    // The last one: what comes behind it would not be known.
                    self.changes.clear();
                }
                self.change(machine, output);
                match command {
                    Command::Fetch { fetch, numbers } => {
                        self.fetch(machine, &fetch, numbers, output);
                    }
                    Command::Store { store, numbers } => {
                        let named = self.named(machine, &store.set, numbers);
                        self.deleted.extend(named);
                    }
                    Command::Expunge(set) => {
                        let mut gone: Vec<u32> =
                            self.live.intersection(&self.deleted).copied().collect();
                        if let Some(set) = set {
                            let named = self.named(machine, &set, Numbers::Uid);
                            gone.retain(|uid| named.contains(uid));
                        }
                        self.live.retain(|uid| !gone.contains(uid));
                        machine.vanished(super::uids(gone), output);
                    }
                    Command::Copy { set, numbers, .. } => {
                        let named = self.named(machine, &set, numbers);
                        self.moved.extend(named);
                    }
                    Command::Move { set, numbers, .. } => {
                        let named = self.named(machine, &set, numbers);
                        self.moved.extend(&named);
                        self.live.retain(|uid| !named.contains(uid));
                        machine.vanished(super::uids(named), output);
                    }
                    Command::Search { .. } => {
                        let uids = machine.selected().unwrap().uids();
                        let found = uids.iter().map(|uid| uid.get()).collect();
                        machine.respond(&Response::Search(found, None), output);
                    }
                    Command::Noop => {}
                    other => panic!("{other:?}"),
                }
                self.change(machine, output);
            }
            other => panic!("{other:?}"),
        }
        machine.complete(Status::Ok, code, "", output).unwrap();
    }
}

/// What the client has received.
#[derive(Debug, Default)]
struct Seen {
    issued: Vec<client::Handle>,
    completed: Vec<client::Handle>,
    bodies: Vec<(Option<u32>, u32, BytesMut)>,
    appends: Vec<(client::Handle, Bytes)>,
    moved: Vec<(u32, u32)>,
}

fn call(
    seen: &mut Seen,
    call: &Call,
    machine: &mut client::Connection,
    output: &mut Output,
) -> Option<client::Handle> {
    let set = |low, high| SequenceSet::of_ranges([(low, high)]).unwrap();
    let fetch = |set, body: bool, numbers| {
        let body = body.then(|| FetchAttribute::peek(Section::default()));
        let attributes = [FetchAttribute::Uid, FetchAttribute::Flags]
            .into_iter()
            .chain(body);
        Command::Fetch {
            fetch: Fetch::new(set, attributes),
            numbers,
        }
    };
    let issued = match call {
        Call::Fetch(low, high, body) => {
            machine.issue(fetch(set(*low, *high), *body, Numbers::Uid), output)
        }
        // Refused when it is not certain what the numbers mean, or when there are none.
        Call::Numbered => {
            let empty = machine
                .selected()
                .is_none_or(|selected| selected.view.is_empty());
            let command = fetch(SequenceSet::all(), true, Numbers::Sequence);
            return (!empty).then(|| machine.issue(command, output).ok())?;
        }
        Call::Store(low, high) => {
            let store = Store {
                set: set(*low, *high),
                unchanged_since: None,
                action: StoreAction::Add,
                silent: true,
                flags: [Flag::Deleted].into(),
            };
            machine.issue(
                Command::Store {
                    store,
                    numbers: Numbers::Uid,
                },
                output,
            )
        }
        Call::Expunge => machine.issue(Command::Expunge(None), output),
        Call::Move(low, high) => {
            seen.moved.push((*low, *high));
            machine.move_messages(set(*low, *high), MailboxName::new("Trash"), output)
        }
        Call::Search => {
            let search = Search::new(SearchKey::All);
            machine.issue(
                Command::Search {
                    search,
                    numbers: Numbers::Uid,
                },
                output,
            )
        }
        Call::Append(body) => {
            let append = Append::new(MailboxName::new("INBOX"));
            let handle = machine.append(&append, body.len() as u64, output).unwrap();
            seen.appends.push((handle, body.clone()));
            Ok(handle)
        }
        Call::Noop => machine.issue(Command::Noop, output),
        Call::Idle => machine.issue(Command::Idle, output),
        Call::Select => {
            let mailbox = MailboxName::new("INBOX");
            machine.issue(Command::select(mailbox), output)
        }
    };
    Some(issued.unwrap())
}

proptest! {
    #[test]
    fn both_ends_agree(
        calls in many(any_call(), 0..30),
        changes in many(any_change(), 0..60),
        present in 0..8_u32,
        (can_move, uid_plus, one_by_one) in any::<(bool, bool, bool)>(),
        burst in 1..6_usize,
        seed in 1..u64::MAX,
    ) {
        let login_needs_tls = false;
        let options = client::Options { one_by_one, login_needs_tls, ..client::Options::default() };
        let mut a = End::new(client::Connection::new(options));
        let mut offered = server::Options { login_needs_tls, ..server::Options::default() };
        offered.capabilities.push("IDLE".into());
        offered.capabilities.extend(can_move.then(|| "MOVE".into()));
        offered.capabilities.extend(uid_plus.then(|| "UIDPLUS".into()));
        let mut b = End::new(server::Connection::new(offered));
        let mut mailbox = Mailbox { changes, ..Mailbox::default() };
        for _ in 0..present {
            mailbox.arrive("here before".into());
        }
        let mut seen = Seen::default();
        let mut script = calls;
        script.extend([Call::Noop, Call::Fetch(1, u32::MAX, true)]);
        let mut left = script.iter();
        let mut over = false;
        let on_client = &mut |machine: &mut client::Connection, event, output: &mut Output| {
            use client::Event as E;
            match event {
                E::Connected { .. } => {
                    machine.login("a", Secret::from(b"b".to_vec()), output).unwrap();
                    let select = call(&mut seen, &Call::Select, machine, output).unwrap();
                    seen.issued.push(select);
                }
                E::Completed(handle, end) | E::Authenticated(handle, end) => {
                    assert_eq!(end.status, Status::Ok, "{end:?}");
                    seen.completed.push(handle);
                    // Bursts, so that many are under way; the last two by themselves.
                    if machine.selected().is_some() && seen.completed.len() > seen.issued.len() {
                        let most = if left.len() <= 2 { 1 } else { burst.min(left.len() - 2) };
                        for next in left.by_ref().take(most) {
                            let handle = call(&mut seen, next, machine, output);
                            seen.issued.extend(handle);
                        }
                    }
                    if seen.completed.len() > seen.issued.len() && left.len() == 0 && !over {
                        over = true;
                        machine.issue(Command::Logout, output).unwrap();
                    } else if seen.completed.len() > seen.issued.len() && !over {
                        // A numbered one was refused, and nothing is under way.
                        let handle = machine.issue(Command::Noop, output).unwrap();
                        seen.issued.push(handle);
                    }
                }
                E::SendBody(handle) => {
                    let (_, body) = seen.appends.iter().find(|(of, _)| *of == handle).unwrap();
                    for piece in body.chunks(5) {
                        machine.chunk(Bytes::copy_from_slice(piece), output).unwrap();
                    }
                }
                E::Idling(_) => machine.done(output).unwrap(),
                E::Section { uid, octets, .. } => {
                    seen.bodies.push((uid.map(Uid::get), octets.unwrap() as u32, BytesMut::new()));
                }
                E::Chunk(octets) => seen.bodies.last_mut().unwrap().2.extend_from_slice(&octets),
                E::Fetch { uid, .. } => assert!(uid.is_some()),
                E::Expunged { uid, .. } => assert!(uid.is_none_or(|uid| uid.get() <= 1000)),
                E::EndOfBody | E::Exists(_) | E::Status(..) => {}
                E::Data(Response::Search(..) | Response::Recent(_)) => {}
                other => panic!("{other:?}"),
            }
        };
        let on_server = &mut |machine: &mut server::Connection, event, output: &mut Output| {
            mailbox.answer(machine, event, output);
        };
        converse(&mut a, &mut b, &mut Random(seed), on_client, on_server);

        prop_assert!(a.closed && b.closed && a.input.is_empty() && b.input.is_empty());
        // LOGIN and LOGOUT besides.
        prop_assert_eq!(seen.completed.len(), seen.issued.len() + 2);
        let completed: BTreeSet<_> = seen.completed.iter().collect();
        prop_assert_eq!(completed.len(), seen.completed.len());
        prop_assert!(seen.issued.iter().all(|handle| completed.contains(handle)));
        // The UIDs of all messages came last: both know the same ones.
        let view = &a.machine.selected().unwrap().view;
        prop_assert!(view.is_complete());
        let known: Vec<_> = view.uids().collect();
        prop_assert_eq!(&known[..], b.machine.selected().unwrap().uids());
        prop_assert_eq!(known, super::uids(mailbox.live.iter().copied()));
        for (uid, octets, body) in &seen.bodies {
            prop_assert_eq!(*octets as usize, body.len());
            prop_assert_eq!(body, &mailbox.bodies[&uid.unwrap()]);
        }
        for (_, body) in &seen.appends {
            prop_assert!(mailbox.bodies.values().any(|kept| kept == body));
        }
        let asked = |uid: &u32| seen.moved.iter().any(|(low, high)| (low..=high).contains(&uid));
        prop_assert!(mailbox.moved.iter().all(asked));
        prop_assert!(!(can_move || uid_plus) || mailbox.live.is_disjoint(&mailbox.moved));
        prop_assert_eq!(a.machine.end_of_input(), Ok(()));
    }
}
