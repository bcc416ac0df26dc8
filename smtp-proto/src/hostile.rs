//! Whatever strings an application passes, one command or one reply comes out.

use crate::{
    BodyType, Command, ForwardPath, MailParameters, Mailbox, Parameter, RcptParameters, Reply,
    ReversePath, client, server,
};
use bytes::{Buf as _, Bytes, BytesMut};
use hikyaku_wire::testkit::{HOSTILE, count_lines};
use hikyaku_wire::{Machine as _, Output, Secret, Step};
use proptest::collection::vec as many;
use proptest::option::of;
use proptest::prelude::*;
use std::mem::discriminant;
use std::string::String;
use std::vec;

fn text() -> impl Strategy<Value = Bytes> {
    many(proptest::sample::select(HOSTILE), 0..5).prop_map(|pieces| pieces.concat().into())
}

/// A mailbox that the parser accepts, made of anything.
fn mailbox() -> impl Strategy<Value = Mailbox> {
    (text(), text()).prop_map(|(local_part, domain)| {
        let quoted = [b"\"", &local_part[..], b"\"@b.test"].concat();
        let plain = [&local_part[..], b"@", &domain[..]].concat();
        let parsed = Mailbox::parse(&plain).or_else(|_| Mailbox::parse(&quoted));
        parsed.unwrap_or_else(|_| Mailbox::parse(b"a@b.test").unwrap())
    })
}

fn parameters() -> impl Strategy<Value = std::vec::Vec<Parameter>> {
    let one = (text(), of(text())).prop_map(|(keyword, value)| Parameter { keyword, value });
    many(one, 0..3)
}

fn command() -> impl Strategy<Value = Command> {
    let initial = || of(text().prop_map(|text| Secret::from(text.to_vec())));
    let mail = (of(mailbox()), of(text()), parameters(), any::<bool>());
    prop_oneof![
        text().prop_map(Command::Ehlo),
        text().prop_map(Command::Helo),
        text().prop_map(Command::Lhlo),
        mail.prop_map(|(mailbox, solicit, others, smtputf8)| {
            let mut parameters = MailParameters {
                size: Some(1),
                body: Some(BodyType::EightBitMime),
                smtputf8,
                ..MailParameters::default()
            };
            parameters.further_mut().solicit = solicit;
            parameters.further_mut().others = others;
            let reverse_path = ReversePath(mailbox);
            Command::Mail {
                reverse_path,
                parameters,
            }
        }),
        (mailbox(), parameters()).prop_map(|(mailbox, others)| {
            let forward_path = ForwardPath::Mailbox(mailbox);
            let mut parameters = RcptParameters::default();
            parameters.further_mut().others = others;
            Command::Rcpt {
                forward_path,
                parameters,
            }
        }),
        (text(), any::<bool>()).prop_map(|(string, smtputf8)| Command::Vrfy { string, smtputf8 }),
        (text(), any::<bool>()).prop_map(|(string, smtputf8)| Command::Expn { string, smtputf8 }),
        of(text()).prop_map(Command::Help),
        of(text()).prop_map(Command::Noop),
        (text(), any::<bool>()).prop_map(|(url, last)| Command::Burl { url, last }),
        (text(), text()).prop_map(|(verb, arguments)| Command::Other { verb, arguments }),
        many(text(), 0..3).prop_map(|names| {
            let value = || crate::Xtext::of(b"x");
            let attribute = |name| crate::Attribute {
                name,
                value: value(),
            };
            Command::XForward(names.into_iter().map(attribute).collect())
        }),
        (text(), initial()).prop_map(|(mechanism, initial)| Command::Auth { mechanism, initial }),
        text().prop_map(|node| Command::Etrn {
            scope: crate::EtrnScope::Domain,
            node
        }),
    ]
}

fn taken(output: &mut Output) -> Bytes {
    output.copy_to_bytes(output.len())
}

fn polled(machine: &mut client::Connection, octets: &[u8], output: &mut Output) -> usize {
    let mut input = BytesMut::from(octets);
    let mut events = 0;
    while let Ok(Step::Event(_)) = machine.poll(&mut input, output) {
        events += 1;
    }
    events
}

proptest! {
    #[test]
    fn a_command_is_one_line_and_itself(command in command()) {
        let mut output = Output::new();
        command.encode(&mut output);
        let replaced = output.has_replaced();
        let line = taken(&mut output);
        prop_assert_eq!(count_lines(&line), 1);
        let read = Command::parse(&line.slice(..line.len() - 2));
        if let Ok(read) = &read {
            prop_assert_eq!(discriminant(read), discriminant(&command));
            if let (Command::Mail { parameters: read, .. }, Command::Mail { parameters: given, .. }) = (read, &command) {
                // No value becomes a parameter of its own.
                prop_assert!(read.others().len() <= given.others().len());
                prop_assert_eq!((read.smtputf8, read.size), (given.smtputf8, given.size));
            }
            if !replaced {
                let mut again = Output::new();
                read.encode(&mut again);
                // Blanks around an argument are none of it, and mechanisms are read in upper case.
                let trimmed = |line: &Bytes| line.trim_ascii().to_ascii_uppercase();
                let blanks = |line: &[u8]| line.iter().filter(|&&octet| octet != b' ').copied().collect::<Bytes>();
                prop_assert_eq!(blanks(&trimmed(&taken(&mut again))), blanks(&trimmed(&line)));
            }
        }
        if let Command::Ehlo(_) | Command::Helo(_) | Command::Lhlo(_) = command {
            prop_assert!(read.is_ok());
        }
    }

    #[test]
    fn a_reply_has_the_lines_it_was_made_of(
        code in any::<u16>(),
        enhanced in text(),
        lines in many(text(), 0..4),
    ) {
        let enhanced = String::from_utf8_lossy(&enhanced).into_owned();
        let count = lines.len().max(1);
        let reply = Reply::of_lines(code, &enhanced, lines);
        for enhance in [false, true] {
            let mut output = Output::new();
            match enhance {
                true => reply.encode_enhanced(&mut output),
                false => reply.encode(&mut output),
            }
            let unit = taken(&mut output);
            prop_assert_eq!(count_lines(&unit), count);
            let read = Reply::parse(&unit).unwrap();
            prop_assert_eq!((read.code(), read.lines().len()), (reply.code(), count));
        }
        let shown = std::format!("{reply}");
        prop_assert!(!shown.contains(['\r', '\n', '\0']));
    }

    #[test]
    fn the_client_sends_one_line_or_refuses(
        hostname in text(),
        mechanism in text(),
        secret in text(),
        lmtp: bool,
        to in mailbox(),
        server in many(text(), 3),
    ) {
        let mut options = client::Options::new(hostname);
        (options.lmtp, options.login_needs_tls) = (lmtp, false);
        let mut machine = client::Connection::new(options);
        let mut output = Output::new();
        polled(&mut machine, b"220 a\r\n", &mut output);
        let hello = taken(&mut output);
        prop_assert_eq!(count_lines(&hello), 1);
        let read = Command::parse(&hello.slice(..hello.len() - 2));
        prop_assert!(matches!(read, Ok(Command::Ehlo(_) | Command::Lhlo(_))), "{:?}", read);
        if !lmtp {
            let mut other = client::Options::new(server[0].clone());
            other.login_needs_tls = false;
            let mut other = client::Connection::new(other);
            polled(&mut other, b"220 a\r\n502 no\r\n", &mut output);
            prop_assert_eq!(count_lines(&taken(&mut output)), 2);
        }
        polled(&mut machine, b"250-a\r\n250 SMTPUTF8\r\n", &mut output);
        let secret = Secret::from(secret.to_vec());
        let begun = machine.authenticate(mechanism, Some(secret.clone()), &mut output);
        prop_assert_eq!(count_lines(&taken(&mut output)), usize::from(begun.is_ok()));
        if begun.is_ok() {
            polled(&mut machine, b"334 \r\n", &mut output);
            let _ = machine.respond(Some(&secret), &mut output);
            prop_assert!(count_lines(&taken(&mut output)) <= 1);
            polled(&mut machine, b"235 ok\r\n", &mut output);
        }
        let envelope = client::Envelope::new(ReversePath(Some(to.clone())), [ForwardPath::Mailbox(to)].into());
        machine.send(envelope, &mut output).unwrap();
        prop_assert_eq!(count_lines(&taken(&mut output)), 1);
        polled(&mut machine, b"250 ok\r\n", &mut output);
        prop_assert_eq!(count_lines(&taken(&mut output)), 1);
    }

    #[test]
    fn the_server_answers_each_command_once(
        hostname in text(),
        mechanisms in many(text(), 0..3),
        challenge in text(),
        texts in many(text(), 4),
        code in 200..600_u16,
        lmtp: bool,
    ) {
        let mut options = server::Options::new(hostname);
        (options.tls, options.lmtp, options.smtputf8) = (true, lmtp, true);
        options.mechanisms = mechanisms;
        let named = options.mechanisms.iter().filter(|name| crate::mechanism::is_mechanism(name)).count();
        options.mechanisms.push("PLAIN".into());
        let mut machine = server::Connection::new(options);
        let mut output = Output::new();
        let reply = Reply::of_lines(code, &String::from_utf8_lossy(&texts[0]), texts[1..].to_vec());
        let hello = if lmtp { "LHLO a" } else { "EHLO a" };
        for line in ["", hello, "AUTH PLAIN", "AA==", "HELP", "VRFY a", "NOOP"] {
            let text = if line.is_empty() { String::new() } else { std::format!("{line}\r\n") };
            let mut input = BytesMut::from(text.as_bytes());
            while let Ok(Step::Event(event)) = machine.poll(&mut input, &mut output) {
                use server::Event as E;
                match event {
                    E::Authenticate { .. } => machine.challenge(&challenge, &mut output).unwrap(),
                    E::SaslResponse(_) | E::Verify { .. } if code != 421 && !reply.is_intermediate() => machine.reply(&reply, &mut output).unwrap(),
                    _ => machine.accept(&mut output).unwrap(),
                }
            }
            let answer = taken(&mut output);
            count_lines(&answer);
            let read = Reply::parse(&answer);
            prop_assert!(read.is_ok(), "{} {:?}", line, read);
            if line == hello {
                let all = crate::Capabilities::of(read.unwrap());
                prop_assert!(all.mechanisms().count() <= named + 1);
                prop_assert_eq!(all.lines().len(), 8);
            }
        }
    }
}
