#![no_main]
//! Both IMAP machines with a mailbox selected, a mailbox name, and a command and a response that are parsed,
//! encoded and parsed again.

use bytes::{Buf as _, Bytes};
use hikyaku_imap_proto::server::{Connection, Event, Options};
use hikyaku_imap_proto::{
    Append, Command, FetchAttribute, Limits, MailboxName, Received, Section, SequenceSet, Status,
    Tagged, Uid, client,
};
use hikyaku_wire::{Output, Secret};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let machine = || {
        let mut options = Options::default();
        options.mechanisms = vec!["PLAIN".into()];
        options.login_needs_tls = false;
        options.capabilities = ["IDLE", "UIDPLUS", "QRESYNC", "UTF8=ACCEPT"]
            .map(Into::into)
            .into();
        options.limits.command = 300;
        options.limits.literal = 60;
        Connection::new(options)
    };
    hikyaku_fuzz::run(
        data,
        "a LOGIN u p\r\nb SELECT x\r\n",
        machine,
        |machine, event, output| match event {
            Event::Connected => machine.greet("hi", output).unwrap(),
            Event::Authenticate { initial: None, .. } => machine.challenge(b"", output).unwrap(),
            Event::Append { .. } => machine.accept(output).unwrap(),
            Event::Command(Command::Select { read_only, .. }) => {
                let uids = [1, 2, 7].into_iter().filter_map(Uid::new);
                machine.select(uids.collect(), Uid::new(7), read_only, output);
                machine.complete(Status::Ok, None, "", output).unwrap();
            }
            Event::Command(command) => {
                if let Command::Fetch { fetch, numbers } = &command
                    && let Some(ranges) = machine
                        .selected()
                        .and_then(|view| view.resolve(&fetch.set, *numbers))
                {
                    for low in ranges
                        .into_iter()
                        .take(3)
                        .filter_map(|(low, _)| Uid::new(low))
                    {
                        if machine.begin_fetch(low, output).unwrap() {
                            machine.end_fetch(output).unwrap();
                        }
                    }
                }
                machine.vanished(Uid::new(2), output);
                let nine = Uid::new(9).unwrap();
                machine.appeared(&[nine], Some(nine), output);
                machine.complete(Status::Ok, None, "", output).unwrap();
            }
            Event::Login { .. }
            | Event::SaslResponse(_)
            | Event::EndOfBody
            | Event::IdleDone
            | Event::Authenticate { .. } => {
                let _ = machine.complete(Status::Ok, None, "", output);
            }
            _ => {}
        },
    );
    let name = MailboxName::decode(data);
    assert_eq!(MailboxName::decode(name.wire().as_bytes()), name);
    let machine = || {
        let mut options = client::Options::default();
        options.login_needs_tls = false;
        options.limits.response = 2000;
        options.limits.response_literal = 60;
        options.limits.messages = 1000;
        client::Connection::new(options)
    };
    let head = "* PREAUTH [CAPABILITY IMAP4rev1 IDLE LITERAL-] hi\r\n";
    hikyaku_fuzz::run(data, head, machine, |imap, event, output| {
        use client::Event as E;
        let inbox = || MailboxName::new("INBOX");
        match event {
            E::Connected { preauth: false, .. } if data.len() % 2 == 0 => {
                let _ = imap.login("a", Secret::default(), output);
            }
            E::Connected { preauth: false, .. } => drop(imap.authenticate("PLAIN", None, output)),
            E::Challenge(challenge) => drop(imap.respond(Some(&challenge), output)),
            E::Connected { .. } => drop(imap.issue(Command::select(inbox()), output)),
            E::Completed(..) | E::Authenticated(..) => {
                let whole = FetchAttribute::peek(Section::default());
                let _ = imap.issue(Command::uid_fetch(SequenceSet::all(), [whole]), output);
                let _ = imap.move_messages(SequenceSet::all(), inbox(), output);
                let _ = imap.append(&Append::new(inbox()), 4, output);
                let _ = imap.issue(Command::Idle, output);
                let _ = imap.issue(Command::Noop, output);
            }
            E::SendBody(_) => drop(imap.chunk("abcd".into(), output)),
            _ => {}
        }
    });
    let unit = Bytes::copy_from_slice(data);
    let written = |write: &dyn Fn(&mut Output)| {
        let mut output = Output::new();
        write(&mut output);
        let line = output.copy_to_bytes(output.remaining());
        line.slice(..line.len() - 2)
    };
    if let Ok(command) = Tagged::parse(&unit, &Limits::default()) {
        let once = written(&|output| command.encode(output));
        let again = Tagged::parse(&once, &Limits::default()).expect("what is written is read");
        assert_eq!(written(&|output| again.encode(output)), once);
    }
    if let Ok(response) = Received::parse(&unit, &Limits::default()) {
        let once = written(&|output| response.encode(output));
        let again = Received::parse(&once, &Limits::default()).expect("what is written is read");
        assert_eq!(written(&|output| again.encode(output)), once);
    }
});
