use super::*;
use crate::{Command, FetchAttribute, FetchItem, Flag};
use bytes::Buf as _;
use hikyaku_wire::testkit::{Actor, Role, Told, escape, replay_folder, unescape};
use std::format;
use std::string::String;

struct Server;

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

impl Actor for Server {
    type Machine = Connection;
    const ROLE: Role = Role::Server;

    fn machine(&self, options: &[String]) -> Connection {
        let mut o = Options::default();
        for option in options {
            match option.as_str() {
                "starttls" => (o.starttls, o.login_needs_tls) = (true, true),
                "sasl" => o.mechanisms = ["PLAIN".into()].into(),
                "small" => (o.limits.command, o.limits.literal) = (200, 20),
                "errors" => o.limits.errors = 3,
                "compress" => o.compress = true,
                capability if capability.starts_with(char::is_uppercase) => {
                    o.capabilities.push(option.clone().into());
                }
                other => panic!("{other}"),
            }
        }
        Connection::new(o)
    }

    fn tell(&self, event: Event) -> Told {
        Told::Line(match event {
            Event::Chunk(octets) => return Told::Octets(octets),
            Event::Login { name, password } => {
                format!("Login {} {}", text(&name), escape(password.expose()))
            }
            Event::Authenticate { mechanism, initial } => {
                let initial = initial.map_or("none".into(), |i| escape(i.expose()));
                format!("Authenticate {} {initial}", text(&mechanism))
            }
            Event::SaslResponse(response) => format!("SaslResponse {}", escape(response.expose())),
            Event::Append { append, octets } => {
                let mut line = format!("Append {}", append.mailbox.as_str());
                if let Some((set, uid)) = &append.replaces {
                    line += &format!(" replaces {set:?} {uid}");
                }
                if !append.flags.is_empty() {
                    line += &format!(" {:?}", append.flags);
                }
                if let Some(received) = append.received {
                    line += &format!(" {} {}", received.seconds, received.zone);
                }
                line += if append.utf8 { " utf8" } else { "" };
                line += if append.binary { " binary" } else { "" };
                match octets {
                    Some(octets) => line + &format!(" of {octets}"),
                    None => line + " catenate",
                }
            }
            Event::CatenateUrl(url) => format!("CatenateUrl {}", text(&url)),
            other => format!("{other:?}"),
        })
    }

    fn act(&self, machine: &mut Connection, act: &str, output: &mut Output) {
        let mut words = act.splitn(2, ' ');
        let (verb, rest) = (words.next().unwrap(), words.next().unwrap_or(""));
        let numbers = || rest.split_whitespace().map(|n| n.parse().unwrap());
        match verb {
            "greet" => machine.greet(rest, output).unwrap(),
            "ok" => machine.complete(Status::Ok, None, rest, output).unwrap(),
            "no" => machine.complete(Status::No, None, rest, output).unwrap(),
            "challenge" => machine.challenge(rest.as_bytes(), output).unwrap(),
            "accept" => machine.accept(output).unwrap(),
            "select" => machine.select(numbers().collect(), 9, false, output),
            "save" => machine.save(numbers()),
            "appeared" => machine.appeared(&numbers().collect::<Vec<u32>>(), 11, output),
            "vanished" => machine.vanished(numbers(), output),
            "fetch" => {
                let (uid, body) = rest.split_once(' ').unwrap();
                assert!(machine.begin_fetch(uid.parse().unwrap(), output).unwrap());
                let flags = [Flag::Seen, Flag::Keyword("x".into())];
                let flags = FetchItem::Flags(flags.into_iter().collect());
                machine.fetch_item(&flags, output).unwrap();
                let body = unescape(body);
                let section = FetchAttribute::BodySection {
                    peek: true,
                    section: crate::Section::default(),
                    partial: None,
                };
                machine
                    .begin_section(&section, Some(body.len() as u64), output)
                    .unwrap();
                machine.section_chunk(body.into(), output).unwrap();
                machine.end_fetch(output).unwrap();
            }
            other => panic!("{other}"),
        }
    }

    fn tls_established(&self, machine: &mut Connection, _: &mut Output) {
        machine.tls_established();
    }

    fn compression_active(&self, machine: &mut Connection) {
        machine.compression_active();
    }
}

#[test]
fn the_transcripts_come_out_as_written() {
    assert!(replay_folder(&Server, "tests/transcripts/server") >= 7);
}

/// What is sent when every event is answered with OK.
fn answered(machine: &mut Connection, input: &[u8]) -> String {
    let (mut input, mut output) = (BytesMut::from(input), Output::new());
    loop {
        match machine.poll(&mut input, &mut output).unwrap() {
            Step::Event(Event::Connected) => machine.greet("hi", &mut output).unwrap(),
            Step::Event(Event::Append { .. } | Event::CatenateUrl(_) | Event::CatenateText(_)) => {
                machine.accept(&mut output).unwrap();
            }
            Step::Event(Event::Command(Command::Select { .. })) => {
                machine.select([1, 2, 7].into(), 7, false, &mut output);
            }
            Step::NeedAnswer => machine
                .complete(Status::Ok, None, "fine", &mut output)
                .unwrap(),
            Step::Event(_) => {}
            _ => break,
        }
    }
    text(&output.copy_to_bytes(output.len()))
}

fn logged_in() -> Connection {
    let mut machine = Server.machine(&["sasl".into()]);
    answered(&mut machine, b"l LOGIN u p\r\ns SELECT INBOX\r\n");
    assert_eq!(machine.selected().unwrap().uids(), [1, 2, 7]);
    machine
}

#[test]
fn what_is_pipelined_behind_starttls_is_never_a_command() {
    let mut machine = Server.machine(&["starttls".into()]);
    let sent = answered(&mut machine, b"a STARTTLS\r\nb LOGIN u p\r\n");
    assert!(
        sent.contains("a BAD Nothing may follow STARTTLS\r\n* BYE"),
        "{sent}"
    );
    assert!(!sent.contains("b OK"));
}

#[test]
fn literals_that_nobody_can_take() {
    let mut machine = logged_in();
    let sent = answered(&mut machine, b"a SEARCH TEXT {4294967296}\r\nb NOOP\r\n");
    assert!(
        sent.starts_with("a BAD [TOOBIG]") && sent.contains("b OK"),
        "{sent}"
    );
    let sent = answered(&mut machine, b"a SEARCH TEXT {4294967296+}\r\nb NOOP\r\n");
    assert!(
        sent.starts_with("a BAD [TOOBIG]") && !sent.contains("b OK"),
        "{sent}"
    );
    let mut machine = logged_in();
    let sent = answered(
        &mut machine,
        b"a SEARCH TEXT {18446744073709551616}\r\nb NOOP\r\n",
    );
    assert!(
        sent.starts_with("a BAD [TOOBIG]") && sent.contains("* BYE"),
        "{sent}"
    );
}

#[test]
fn nesting_is_bounded() {
    let mut machine = Server.machine(&[]);
    machine.options.limits.command = 1_000_000;
    answered(&mut machine, b"l LOGIN u p\r\ns SELECT INBOX\r\n");
    let search = format!("a SEARCH {}\r\nb NOOP\r\n", "(".repeat(100_000));
    let sent = answered(&mut machine, search.as_bytes());
    assert!(
        sent.starts_with("a BAD Expected less nesting") && sent.contains("b OK"),
        "{sent}"
    );
}

#[test]
fn sets_are_resolved_by_what_the_client_knows() {
    let mut machine = logged_in();
    let view = machine.selected().unwrap();
    let set = |text: &'static str| crate::SequenceSet::parse(&text.into()).unwrap();
    assert_eq!(view.resolve(&set("2:*"), false), Some([(2, 7)].into()));
    assert_eq!(view.resolve(&set("4"), false), None);
    assert_eq!(
        view.resolve(&set("3,9:*,1"), true),
        Some([(1, 1), (3, 3), (7, 9)].into())
    );
    assert_eq!(view.matching(&set("2:9,4"), false), [(2, 7)]);
    assert_eq!(view.recent(), [7]);
    let mut output = Output::new();
    machine.vanished([2], &mut output);
    assert_eq!(machine.selected().unwrap().sequence(7), Some(3));
    assert_eq!(machine.begin_fetch(9, &mut output), Ok(false));
    assert!(output.is_empty());
}

#[test]
fn a_section_is_as_long_as_announced() {
    let mut machine = logged_in();
    let mut output = Output::new();
    machine.begin_fetch(1, &mut output).unwrap();
    machine
        .begin_section(&FetchAttribute::Rfc822, Some(3), &mut output)
        .unwrap();
    assert_eq!(machine.end_fetch(&mut output), Err(Misuse));
    assert_eq!(
        machine.section_chunk("four".into(), &mut output),
        Err(Misuse)
    );
    assert_eq!(machine.section_chunk("abc".into(), &mut output), Ok(()));
    assert_eq!(machine.fetch_item(&FetchItem::Uid(1), &mut output), Ok(()));
    assert_eq!(machine.end_fetch(&mut output), Ok(()));
    let sent = text(&output.copy_to_bytes(output.len()));
    assert_eq!(sent, "* 1 FETCH (RFC822 {3}\r\nabc UID 1)\r\n");
}

/// `imap.tsv`, side C. What has to be refused is refused with a tagged BAD (an untagged one where the
/// tag is what is wrong), and the next command is understood.
#[test]
fn the_traps_come_out_as_expected() {
    let mut seen = 0;
    for trap in hikyaku_wire::testkit::traps("imap.tsv", "C") {
        let octets = trap.escaped.as_str();
        let before = [" LOGIN", " AUTHENTICATE", " STARTTLS"]
            .iter()
            .any(|w| octets.contains(w));
        let mut machine = match before {
            true => Server.machine(&["sasl".into()]),
            false => logged_in(),
        };
        if octets.contains("QRESYNC") || octets.contains("VANISHED") {
            machine.options.capabilities.push("QRESYNC".into());
            answered(&mut machine, b"e ENABLE QRESYNC\r\n");
        }
        if before {
            answered(&mut machine, b"");
        }
        let sent = answered(&mut machine, &trap.octets);
        let bad = sent.contains(" BAD ");
        let ok = sent.contains("a OK ") || sent.contains(" LOGGED ");
        let said = format!("{} {octets}: {}", trap.id, escape(sent.as_bytes()));
        match trap.expect.as_str() {
            "ok" => assert!(!bad && (ok || sent.starts_with('+')), "{said}"),
            "bad" | "sem" => assert!(bad && !ok, "{said}"),
            "lit" => assert_eq!(sent, "+ OK\r\n", "{said}"),
            "more" => assert_eq!(sent, "", "{said}"),
            "refuse" => assert!(bad, "{said}"),
            _ => assert!(bad || ok, "{said}"),
        }
        if trap.expect == "bad" {
            let sent = answered(&mut machine, b"\r\nzz NOOP\r\n");
            assert!(sent.contains("zz OK"), "{said} then {sent}");
        }
        seen += 1;
    }
    std::println!("{seen} rows");
}

/// What the client says in the RFCs' dialogues is understood; a tagged BAD is only for what is wrong there.
#[test]
fn what_clients_say_in_the_rfcs_is_understood() {
    let (mut failed, mut seen) = (Vec::new(), 0);
    let examples = crate::rfc_examples::examples();
    for example in examples.iter().filter(|example| example.client) {
        let line = text(&example.octets);
        let mut words = line.split([' ', '\r']);
        let (tag, name) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let before = ["LOGIN", "AUTHENTICATE", "STARTTLS"];
        let before = before.iter().any(|w| name.eq_ignore_ascii_case(w));
        // What answers a challenge, and the end of IDLE, are no commands.
        if name.is_empty() || tag.ends_with('=') {
            continue;
        }
        let all = [
            "sasl",
            "starttls",
            "compress",
            "QRESYNC",
            "UIDONLY",
            "UTF8=ACCEPT",
            "METADATA",
            "IMAP4rev2",
        ];
        let mut machine = Server.machine(&all.map(String::from));
        machine.options.login_needs_tls = false;
        machine.options.mechanisms = [
            "PLAIN",
            "GSSAPI",
            "KERBEROS_V4",
            "DIGEST-MD5",
            "EXTERNAL",
            "LOGIN",
            "FOOBAR",
            "CRAM-MD5",
        ]
        .map(Into::into)
        .into();
        if before {
            answered(&mut machine, b"");
        } else {
            answered(
                &mut machine,
                b"l LOGIN u p\r\ne ENABLE QRESYNC\r\ns SELECT INBOX\r\n",
            );
        }
        let sent = answered(&mut machine, &example.octets);
        let bad = sent.contains(" BAD ") || !(sent.contains(tag) || sent.contains('+'));
        seen += 1;
        if bad != example.wrong {
            failed.push(format!(
                "{} {}: {}",
                example.place,
                example.text,
                escape(sent.as_bytes())
            ));
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {seen}:\n{}",
        failed.len(),
        failed.join("\n")
    );
    assert!(seen > 640, "{seen}");
}

proptest::proptest! {
    #[test]
    fn nothing_panics(pieces in proptest::collection::vec(proptest::sample::select(&[
        "a LOGIN u p\r\n", "b SELECT x\r\n", "c APPEND x {3}\r\n", "c APPEND x {3+}\r\n", "abc\r\n", "d IDLE\r\n",
        "DONE\r\n", "e AUTHENTICATE PLAIN\r\n", "*\r\n", "f FETCH 1:* ALL\r\n", "{99999999999+}\r\n", "\n", "\0",
        "g STATUS {5}\r\n", "hello (MESSAGES)\r\n", "h LOGOUT\r\n", "i CLOSE\r\n", "j SEARCH (NOT 1) OR 1 2\r\n",
    ][..]), 0..25)) {
        answered(&mut Server.machine(&["sasl".into()]), pieces.concat().as_bytes());
    }
}
