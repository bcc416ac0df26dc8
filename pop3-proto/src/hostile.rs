//! Whatever strings an application passes, one command or one response comes out.

use crate::{Capabilities, Command, Response, ResponseCode, client, server};
use bytes::{Buf as _, Bytes, BytesMut};
use hikyaku_wire::testkit::{HOSTILE, count_lines};
use hikyaku_wire::{Machine as _, Output, Secret, Step};
use proptest::collection::vec as many;
use proptest::prelude::*;
use std::mem::discriminant;
use std::string::String;
use std::vec::Vec;

fn text() -> impl Strategy<Value = Bytes> {
    many(proptest::sample::select(HOSTILE), 0..5).prop_map(|pieces| pieces.concat().into())
}

fn command() -> impl Strategy<Value = Command> {
    let secret = || text().prop_map(|text| Secret::from(text.to_vec()));
    prop_oneof![
        text().prop_map(Command::User),
        secret().prop_map(Command::Pass),
        (text(), any::<[u8; 16]>()).prop_map(|(name, digest)| Command::Apop { name, digest }),
        (text(), proptest::option::of(secret()))
            .prop_map(|(mechanism, initial)| Command::Auth { mechanism, initial }),
        proptest::option::of(text()).prop_map(Command::Lang),
        (0..2_u32, any::<u32>()).prop_map(|(number, lines)| Command::Top { number, lines }),
        (0..2_u32).prop_map(Command::Retr),
    ]
}

fn capabilities() -> impl Strategy<Value = Capabilities> {
    let texts = || many(text(), 0..4);
    (texts(), proptest::option::of(text()), texts()).prop_map(
        |(mechanisms, implementation, other)| Capabilities {
            mechanisms,
            implementation,
            other,
            ..Capabilities::default()
        },
    )
}

fn taken(output: &mut Output) -> Bytes {
    output.copy_to_bytes(output.len())
}

fn is_listing(octets: &[u8]) -> bool {
    let end = octets.windows(5).position(|five| five == b"\r\n.\r\n");
    end == octets.len().checked_sub(5)
}

/// A client machine after its greeting.
fn client_machine(output: &mut Output) -> client::Connection {
    let options = client::Options {
        login_needs_tls: false,
        ..client::Options::default()
    };
    let mut machine = client::Connection::new(options);
    machine
        .poll(&mut BytesMut::from("+OK\r\n"), output)
        .unwrap();
    machine
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
        }
        if command.is_encodable() {
            prop_assert!(!replaced);
            let mut again = Output::new();
            read.unwrap().encode(&mut again);
            // Mechanisms are read in upper case.
            prop_assert!(taken(&mut again).eq_ignore_ascii_case(&line));
        }
    }

    #[test]
    fn a_response_is_one_line_and_itself(is_ok: bool, code in proptest::option::of(text()), text in text()) {
        let code = code.map(ResponseCode::Other);
        let mut output = Output::new();
        Response { is_ok, code, text }.encode(&mut output);
        let line = taken(&mut output);
        prop_assert_eq!(count_lines(&line), 1);
        let read = Response::parse(&line.slice(..line.len() - 2));
        prop_assert_eq!(read.map(|read| read.is_ok), Some(is_ok));
    }

    #[test]
    fn a_list_of_capabilities_ends_where_it_ends(all in capabilities()) {
        let mut output = Output::new();
        let mut machine = client_machine(&mut output);
        machine.capa(&mut output).unwrap();
        output = Output::new();
        output.write(b"+OK\r\n");
        all.encode(&mut output);
        output.write(b".\r\n");
        let listing = taken(&mut output);
        count_lines(&listing);
        prop_assert!(is_listing(&listing), "{}", listing.escape_ascii());
        let mut input = BytesMut::from(&listing[..]);
        match machine.poll(&mut input, &mut output) {
            Ok(Step::Event(client::Event::Capabilities(read))) => {
                prop_assert!(read.mechanisms.len() <= all.mechanisms.len());
                prop_assert!(read.other.len() <= all.other.len());
                let known = [read.user, read.stls, read.top, read.uidl, read.pipelining];
                // Only a line of `other` can be one that is known.
                prop_assert!(all.other.iter().any(|line| !line.is_empty()) || known == [false; 5]);
            }
            other => panic!("{other:?}"),
        }
        prop_assert!(input.is_empty());
    }

    #[test]
    fn the_client_sends_one_line_or_refuses(name in text(), password in text(), which in 0..4) {
        let mut output = Output::new();
        let mut machine = client_machine(&mut output);
        let secret = || Secret::from(password.to_vec());
        let issued = match which {
            0 => machine.login(name.clone(), secret(), &mut output),
            1 => machine.apop(name.clone(), [7; 16], &mut output),
            2 => machine.authenticate(name.clone(), Some(secret()), &mut output),
            _ => machine.authenticate(name.clone(), None, &mut output),
        };
        prop_assert!(!output.has_replaced());
        let sent = taken(&mut output);
        prop_assert_eq!(count_lines(&sent), usize::from(issued.is_ok()));
        // What follows when the server agrees.
        let mut input = BytesMut::from(if which == 0 { "+OK\r\n" } else { "+ \r\n" });
        let _ = machine.poll(&mut input, &mut output);
        if which > 1 {
            let _ = machine.respond(Some(&secret()), &mut output);
        }
        prop_assert!(count_lines(&taken(&mut output)) <= 1);
    }

    #[test]
    fn the_server_answers_each_command_once(
        texts in many(text(), 9),
        mechanisms in many(text(), 0..3),
        ids in many(text(), 0..6),
        body in text(),
        refuse in any::<[bool; 4]>(),
    ) {
        let mut options = server::Options {
            tls: true,
            ..server::Options::default()
        };
        options.mechanisms = mechanisms;
        options.mechanisms.push("PLAIN".into());
        options.timestamp = Some(texts[0].clone());
        options.implementation = Some(texts[1].clone());
        let mut machine = server::Connection::new(options);
        let mut output = Output::new();
        let lossy = |at: usize| String::from_utf8_lossy(&texts[at]).into_owned();
        let code = ResponseCode::Other(texts[2].clone());
        let mut maildrop = server::Maildrop::new();
        maildrop.push(10, "first").unwrap();
        let ids: Vec<_> = ids.into_iter().filter(|id| maildrop.push(1, id.clone()).is_ok()).collect();
        let script = [
            "", "CAPA", "AUTH", "NOOP", "AUTH PLAIN", "AA==", "UIDL", "UIDL 1", "LIST", "RETR 1", "TOP 1 1", "QUIT",
        ];
        for line in script {
            let line = if line.is_empty() { String::new() } else { std::format!("{line}\r\n") };
            let mut input = BytesMut::from(line.as_bytes());
            while let Ok(Step::Event(event)) = machine.poll(&mut input, &mut output) {
                use server::Event as E;
                match event {
                    E::Connected => machine.ok(&lossy(3), &mut output).unwrap(),
                    E::Authenticate { .. } => machine.challenge(&texts[4], &mut output).unwrap(),
                    E::SaslResponse(_) if refuse[0] => {
                        machine.err(Some(code.clone()), &lossy(5), &mut output).unwrap();
                    }
                    E::SaslResponse(_) => machine.grant(maildrop.clone(), &mut output).unwrap(),
                    E::Message { .. } if refuse[1] => machine.err(None, &lossy(6), &mut output).unwrap(),
                    E::Message { .. } => {
                        machine.begin(&mut output).unwrap();
                        let _ = machine.chunk(body.clone(), &mut output);
                        machine.end(&mut output).unwrap();
                    }
                    E::Update { .. } if refuse[2] => machine.err(Some(code.clone()), &lossy(7), &mut output).unwrap(),
                    E::Update { .. } => machine.ok(&lossy(8), &mut output).unwrap(),
                    other => panic!("{other:?}"),
                }
            }
            let answer = taken(&mut output);
            let words = line.trim_end();
            let listed = matches!(words, "CAPA" | "AUTH" | "UIDL" | "LIST") || words.starts_with("RETR") || words.starts_with("TOP");
            if listed && answer.starts_with(b"+OK") {
                // A body may have NUL in it: that is no line of ours.
                let nul = |octet: &u8| if *octet == 0 { b'?' } else { *octet };
                let answer: Vec<u8> = answer.iter().map(nul).collect();
                count_lines(&answer);
                prop_assert!(is_listing(&answer), "{} {}", words, answer.escape_ascii());
                if words == "UIDL" {
                    prop_assert_eq!(count_lines(&answer), ids.len() + 3);
                }
            } else {
                prop_assert_eq!(count_lines(&answer), 1, "{}", words);
            }
        }
    }
}
