#![no_main]
//! The IMAP server machine, logged in with a mailbox selected, and a mailbox name.

use imap_proto::server::{Connection, Event, Options};
use imap_proto::{Command, MailboxName, Status};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let machine = || {
        let mut options = Options::default();
        options.mechanisms = vec!["PLAIN".into()];
        options.limits.command = 300;
        options.limits.literal = 60;
        Connection::new(options)
    };
    hikyaku_fuzz::run(data, "a LOGIN u p\r\nb SELECT x\r\n", machine, |machine, event, output| match event {
        Event::Connected => machine.greet("hi", output).unwrap(),
        Event::Authenticate { initial: None, .. } => machine.challenge(b"", output).unwrap(),
        Event::Append { .. } => machine.accept(output).unwrap(),
        Event::Command(Command::Select { read_only, .. }) => {
            machine.select(vec![1, 2, 7], 7, read_only, output);
            machine.complete(Status::Ok, None, "", output).unwrap();
        }
        Event::Command(command) => {
            if let Command::Fetch { fetch, uid } = &command
                && let Some(ranges) = machine.selected().and_then(|view| view.resolve(&fetch.set, *uid))
            {
                for (low, _) in ranges.into_iter().take(3) {
                    if machine.begin_fetch(low, output).unwrap() {
                        machine.end_fetch(output).unwrap();
                    }
                }
            }
            machine.vanished([2], output);
            machine.appeared(&[9], 9, output);
            machine.complete(Status::Ok, None, "", output).unwrap();
        }
        Event::Login { .. } | Event::SaslResponse(_) | Event::EndOfMessage | Event::IdleDone | Event::Authenticate { .. } => {
            let _ = machine.complete(Status::Ok, None, "", output);
        }
        _ => {}
    });
    let name = MailboxName::decode(data);
    assert_eq!(MailboxName::decode(name.wire().as_bytes()), name);
});
