use super::*;
use crate::SequenceNumber;
use crate::tests::{uid, uids};
use crate::{Command, FetchAttribute, FetchItem, Flag};
use bytes::Buf as _;
use hikyaku_wire::LoginRefusal;
use hikyaku_wire::testkit::{Actor, Reported, Role, escape, replay_folder, unescape};
use std::format;
use std::string::{String, ToString as _};

fn why(word: &str) -> LoginRefusal {
    match word {
        "credentials" => LoginRefusal::Credentials,
        _ => LoginRefusal::Unavailable,
    }
}

struct Server;

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

impl Actor for Server {
    type Machine = Connection;
    const ROLE: Role = Role::Server;

    fn machine(&self, options: &[String]) -> Connection {
        let mut o = Options {
            login_needs_tls: false,
            capabilities: ["ID", "IDLE", "UNSELECT"].map(Into::into).into(),
            ..Options::default()
        };
        for option in options {
            match option.as_str() {
                "starttls" => (o.starttls, o.login_needs_tls) = (true, true),
                "sasl" => o.mechanisms = ["PLAIN".into()].into(),
                "default" => o = Options::default(),
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

    fn report(&self, event: Event) -> Reported {
        Reported::Line(match event {
            Event::Chunk(octets) => return Reported::Octets(octets),
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
                if let Some((set, numbers)) = &append.replaces {
                    line += &format!(" replaces {set:?} {numbers:?}");
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
        let numbers = || rest.split_whitespace().map(|n| uid(n.parse().unwrap()));
        match verb {
            "grant" => machine.grant(output).unwrap(),
            "refuse" => machine.refuse(why(rest), output).unwrap(),
            "greet" => machine.greet(rest, output).unwrap(),
            "ok" | "no" => {
                let status = if verb == "ok" { Status::Ok } else { Status::No };
                let unit = Bytes::from(rest.to_string());
                let (code, length) =
                    match crate::response::response_code::response_code(&unit, &unit) {
                        Some((code, length)) => (Some(code), length),
                        None => (None, 0),
                    };
                let text = rest[length..].trim_start();
                machine.complete(status, code, text, output).unwrap();
            }
            "challenge" => machine.challenge(rest.as_bytes(), output).unwrap(),
            "accept" => machine.accept(output).unwrap(),
            "select" => machine.select(numbers().collect(), Uid::new(9), false, output),
            "save" => machine.save(numbers()),
            "appeared" => machine.appeared(&numbers().collect::<Vec<_>>(), Uid::new(11), output),
            "vanished" => machine.vanished(numbers(), output),
            "fetch" => {
                let (number, body) = rest.split_once(' ').unwrap();
                let number = uid(number.parse().unwrap());
                assert!(machine.begin_fetch(number, output).unwrap());
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
                machine.select(uids([1, 2, 7]), Uid::new(7), false, &mut output);
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
    assert_eq!(machine.selected().unwrap().uids(), uids([1, 2, 7]));
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
    assert_eq!(
        view.resolve(&set("2:*"), crate::Numbers::Sequence),
        Some([(2, 7)].into())
    );
    assert_eq!(view.resolve(&set("4"), crate::Numbers::Sequence), None);
    assert_eq!(
        view.resolve(&set("3,9:*,1"), crate::Numbers::Uid),
        Some([(1, 1), (3, 3), (7, 9)].into())
    );
    assert_eq!(
        view.matching(&set("2:9,4"), crate::Numbers::Sequence),
        [(2, 7)]
    );
    assert_eq!(view.recent(), uids([7]));
    let mut output = Output::new();
    machine.vanished([uid(2)], &mut output);
    assert_eq!(
        machine.selected().unwrap().sequence(uid(7)),
        SequenceNumber::new(3)
    );
    assert_eq!(machine.begin_fetch(uid(9), &mut output), Ok(false));
    assert!(output.is_empty());
}

#[test]
fn a_section_is_as_long_as_announced() {
    let mut machine = logged_in();
    let mut output = Output::new();
    machine.begin_fetch(uid(1), &mut output).unwrap();
    machine
        .begin_section(&FetchAttribute::Rfc822, Some(3), &mut output)
        .unwrap();
    let misuse = machine.end_fetch(&mut output).unwrap_err();
    assert_eq!(
        misuse.to_string(),
        "end_fetch: not allowed inside a FETCH response"
    );
    let misuse = machine.section_chunk("four".into(), &mut output);
    assert!(misuse.is_err());
    assert_eq!(machine.section_chunk("abc".into(), &mut output), Ok(()));
    assert_eq!(
        machine.fetch_item(&FetchItem::Uid(uid(1)), &mut output),
        Ok(())
    );
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
    let examples = crate::tests::rfc_examples::examples();
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

/// What is reported inside of a FETCH response follows its end.
#[test]
fn nothing_is_sent_inside_of_a_fetch_response() {
    let mut machine = logged_in();
    let (mut input, mut output) = (BytesMut::new(), Output::new());
    machine.begin_fetch(uid(1), &mut output).unwrap();
    machine
        .begin_section(&FetchAttribute::Rfc822, Some(3), &mut output)
        .unwrap();
    input.extend_from_slice(b"x NOOP\r\n");
    machine.respond(&Response::Search([1].into(), None), &mut output);
    machine.appeared(&[uid(9)], Uid::new(9), &mut output);
    machine.vanished([uid(1)], &mut output);
    assert!(matches!(
        machine.poll(&mut input, &mut output),
        Ok(Step::NeedAnswer)
    ));
    let misuse = machine.complete(Status::Ok, None, "", &mut output);
    assert_eq!(
        misuse.unwrap_err().to_string(),
        "complete: not allowed inside a FETCH response"
    );
    machine.section_chunk("abc".into(), &mut output).unwrap();
    machine.end_fetch(&mut output).unwrap();
    let sent = text(&output.copy_to_bytes(output.len()));
    let expected = "* 1 FETCH (RFC822 {3}\r\nabc)\r\n* SEARCH 1\r\n* 4 EXISTS\r\n";
    assert!(sent.starts_with(expected), "{sent}");
}

#[test]
fn every_answer_out_of_place_names_the_state() {
    let mut machine = Server.machine(&[]);
    let mut output = Output::new();
    let rows = [
        (machine.greet("", &mut output), "greet"),
        (machine.accept(&mut output), "accept"),
        (machine.challenge(b"", &mut output), "challenge"),
        (
            machine.complete(Status::Ok, None, "", &mut output),
            "complete",
        ),
        (
            machine.begin_fetch(uid(1), &mut output).map(drop),
            "begin_fetch",
        ),
        (
            machine.fetch_item(&FetchItem::Uid(uid(1)), &mut output),
            "fetch_item",
        ),
        (
            machine.section_chunk(Bytes::new(), &mut output),
            "section_chunk",
        ),
        (machine.end_fetch(&mut output), "end_fetch"),
    ];
    for (answer, method) in rows {
        let text = answer.unwrap_err().to_string();
        assert_eq!(text, format!("{method}: not allowed before the greeting"));
    }
    machine.poll(&mut BytesMut::new(), &mut output).unwrap();
    let misuse = machine.complete(Status::Ok, None, "", &mut output);
    assert_eq!(
        misuse.unwrap_err().to_string(),
        "complete: not allowed while Connected waits for an answer"
    );
    // It is as it was.
    machine.greet("", &mut output).unwrap();
    let mut input = BytesMut::from("a LOGIN b c\r\n");
    machine.poll(&mut input, &mut output).unwrap();
    let misuse = machine.complete(Status::Bye, None, "", &mut output);
    assert!(misuse.is_err());
    machine.complete(Status::Ok, None, "", &mut output).unwrap();
}

/// Names that no mailbox may be created under; any command may name them that finds them.
#[test]
fn create_and_rename_refuse_what_is_no_mailbox_name() {
    let answered = |utf8: bool, command: &[u8]| {
        let mut machine = Server.machine(&["UTF8=ACCEPT".into()]);
        let mut input = BytesMut::from("a LOGIN b c\r\n");
        let mut output = Output::new();
        if utf8 {
            input.extend_from_slice(b"e ENABLE UTF8=ACCEPT\r\n");
        }
        input.extend_from_slice(b"x ");
        input.extend_from_slice(command);
        input.extend_from_slice(b"\r\n");
        loop {
            match machine.poll(&mut input, &mut output).unwrap() {
                Step::Event(Event::Connected) => machine.greet("", &mut output).unwrap(),
                Step::Event(Event::Login { .. } | Event::Command(_)) => {
                    machine.complete(Status::Ok, None, "", &mut output).unwrap();
                }
                Step::NeedInput => break,
                other => panic!("{other:?}"),
            }
        }
        let sent = text(&output.copy_to_bytes(output.len()));
        let last = sent.lines().last().unwrap();
        last.split(" -").next().unwrap().to_string()
    };
    for (utf8, name, created, selected) in [
        (false, "&AOQ-", "x OK", "x OK"),
        (false, "R&-D", "x OK", "x OK"),
        (false, "R&D", "x NO [CANNOT]", "x OK"),
        (false, "&", "x NO [CANNOT]", "x OK"),
        (false, "&AGEAYg-", "x NO [CANNOT]", "x OK"),
        (false, "&AOQ", "x NO [CANNOT]", "x OK"),
        (false, "&2D0-", "x NO [CANNOT]", "x OK"),
        (false, "{2}\r\n\u{e4}", "x NO [CANNOT]", "x OK"),
        (true, "\"\u{e4}\"", "x OK", "x OK"),
        (true, "\"R&D\"", "x OK", "x OK"),
        (true, "\"&\"", "x OK", "x OK"),
        (true, "\"a\tb\"", "x NO [CANNOT]", "x OK"),
        (true, "\"a\u{85}\"", "x NO [CANNOT]", "x OK"),
        (true, "\"a\u{2028}\"", "x NO [CANNOT]", "x OK"),
    ] {
        for (command, expected) in [
            ("CREATE", created),
            ("SELECT", selected),
            ("DELETE", selected),
        ] {
            let answer = answered(utf8, format!("{command} {name}").as_bytes());
            assert!(answer.starts_with(expected), "{command} {name}: {answer}");
        }
        let rename = answered(utf8, format!("RENAME {name} new").as_bytes());
        assert!(rename.starts_with(selected), "RENAME {name} new: {rename}");
        let rename = answered(utf8, format!("RENAME old {name}").as_bytes());
        assert!(rename.starts_with(created), "RENAME old {name}: {rename}");
    }
    // Overlong forms and surrogates are no UTF-8, in quotes or in a literal.
    for octets in [
        &b"\xc0\xaf"[..],
        b"\xe0\x80\xaf",
        b"\xed\xa0\x80",
        b"\xed\xa0\xbd\xed\xb8\x80",
        b"\xff",
        b"\xe4",
    ] {
        for utf8 in [false, true] {
            // Before names are in UTF-8, other commands are lenient with what is in a literal.
            for command in [
                "CREATE ",
                "SELECT ",
                "DELETE ",
                "SUBSCRIBE ",
                "RENAME a ",
                "STATUS ",
            ] {
                let literal = format!("{{{}+}}\r\n", octets.len());
                for (open, close) in [("\"", "\""), (&literal[..], "")] {
                    let behind = if command == "STATUS " {
                        " (MESSAGES)"
                    } else {
                        ""
                    };
                    let line = [
                        command.as_bytes(),
                        open.as_bytes(),
                        octets,
                        close.as_bytes(),
                        behind.as_bytes(),
                    ];
                    let answer = answered(utf8, &line.concat());
                    let expected = match (utf8 || open == "\"", command) {
                        (true, _) => "x BAD",
                        (_, "CREATE " | "RENAME a ") => "x NO [CANNOT]",
                        _ => "x OK",
                    };
                    assert!(
                        answer.starts_with(expected),
                        "{command}{}: {answer}",
                        octets.escape_ascii()
                    );
                }
            }
        }
    }
}

#[test]
fn what_was_not_configured_is_not_enabled() {
    let mut machine = Server.machine(&["default".into()]);
    machine.options.tls = true;
    let mut input =
        BytesMut::from("a LOGIN b c\r\nb ENABLE CONDSTORE QRESYNC UTF8=ACCEPT\r\nc IDLE\r\n");
    let mut output = Output::new();
    loop {
        match machine.poll(&mut input, &mut output).unwrap() {
            Step::Event(Event::Connected) => machine.greet("", &mut output).unwrap(),
            Step::Event(Event::Login { .. }) => {
                machine.complete(Status::Ok, None, "", &mut output).unwrap();
            }
            Step::NeedInput => break,
            other => panic!("{other:?}"),
        }
    }
    let sent = text(&output.copy_to_bytes(output.len()));
    assert!(
        sent.ends_with("* ENABLED\r\nb OK Enabled\r\nc BAD No IDLE here\r\n"),
        "{sent}"
    );
    assert!(!machine.condstore() && !machine.qresync() && !machine.utf8());
}
