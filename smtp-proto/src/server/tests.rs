use super::*;
use bytes::Buf as _;
use hikyaku_wire::LoginRefusal;
use hikyaku_wire::testkit::{Actor, Reported, Role, Scene, escape, replay_folder};
use std::format;
use std::string::{String, ToString as _};
use std::vec::Vec;

fn why(word: &str) -> LoginRefusal {
    match word {
        "credentials" => LoginRefusal::Credentials,
        _ => LoginRefusal::Unavailable,
    }
}

struct Server;

impl Actor for Server {
    type Machine = Connection;
    const ROLE: Role = Role::Server;

    fn machine(&self, options: &[String]) -> Connection {
        let mut o = Options::new("mx.test");
        o.smtputf8 = true;
        for option in options {
            match option.as_str() {
                "lmtp" => o.lmtp = true,
                "starttls" => o.starttls = true,
                "tls" => o.tls = true,
                "auth" => {
                    o.mechanisms = ["PLAIN".into(), "LOGIN".into()].into();
                    o.login_needs_tls = false;
                }
                "default" => o = Options::new("mx.test"),
                "plain" => o.chunking = false,
                "binary" => o.binary_mime = true,
                "dsn" => o.dsn = true,
                "convert" => o.bare_newlines = crate::BareNewlines::Convert,
                "requiretls" => o.requiretls = true,
                "deliverby" => o.deliver_by = Some(120),
                "future" => {
                    o.future_release = Some(crate::FutureRelease::new(86_400, 1_798_135_200));
                }
                "priority" => o.mt_priority = true,
                "solicit" => o.no_soliciting = Some("net.example:ADV".into()),
                "rrvs" => o.rrvs = true,
                "burl" => o.burl = true,
                "etrn" => o.etrn = true,
                "expn" => o.expn = true,
                "xclient" => o.xclient = true,
                "xforward" => o.xforward = true,
                "auth-tls" => o.mechanisms = ["PLAIN".into()].into(),
                "submission" => o.auth_required = true,
                "small" => {
                    o.limits.message = 20;
                    o.limits.line = 60;
                    o.limits.recipients = 2;
                }
                "errors" => o.limits.errors = 3,
                other => panic!("{other}"),
            }
        }
        Connection::new(o)
    }

    fn report(&self, event: Event) -> Reported {
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        Reported::Line(match event {
            Event::Chunk(octets) => return Reported::Octets(octets),
            Event::Hello { name, extended } => format!("Hello {} {extended}", text(&name)),
            Event::Mail {
                reverse_path,
                parameters,
            } => {
                let mut further = parameters.clone();
                (further.size, further.smtputf8) = (None, false);
                let mut output = Output::new();
                further.encode(&mut output);
                format!(
                    "Mail {reverse_path} size={:?} utf8={}{}",
                    parameters.size,
                    parameters.smtputf8,
                    text(output.chunk())
                )
            }
            Event::Rcpt {
                forward_path,
                parameters,
            } => {
                let mut output = Output::new();
                parameters.encode(&mut output);
                format!("Rcpt {forward_path}{}", text(output.chunk()))
            }
            Event::Authenticate { mechanism, initial } => format!(
                "Authenticate {} {}",
                text(&mechanism),
                initial.map_or("none".into(), |i| escape(i.expose()))
            ),
            Event::SaslResponse(response) => format!("SaslResponse {}", escape(response.expose())),
            Event::Verify { string, smtputf8 } => match smtputf8 {
                false => format!("Verify {}", text(&string)),
                true => format!("Verify {} smtputf8", text(&string)),
            },
            other => format!("{other:?}"),
        })
    }

    fn act(&self, machine: &mut Connection, act: &str, output: &mut Output) {
        let (verb, rest) = act.split_once(' ').unwrap_or((act, ""));
        match verb {
            "accept" => machine.accept(output).unwrap(),
            "greet" => machine.greet(rest, output).unwrap(),
            "grant" => machine.grant(output).unwrap(),
            "refuse" => machine.refuse(why(rest), output).unwrap(),
            "challenge" => machine.challenge(rest.as_bytes(), output).unwrap(),
            "reply" => {
                let reply = Reply::parse(&Bytes::from(format!("{rest}\r\n"))).unwrap();
                machine.reply(&reply, output).unwrap();
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn the_transcripts_come_out_as_written() {
    assert!(replay_folder(&Server, "tests/transcripts/server") >= 10);
}

fn all(options: &str, input: &str) -> (Connection, String, std::vec::Vec<String>) {
    let options: std::vec::Vec<String> = options.split_whitespace().map(Into::into).collect();
    let mut machine = Server.machine(&options);
    let (mut input, mut output) = (BytesMut::from(input), Output::new());
    let mut events = std::vec::Vec::new();
    loop {
        match machine.poll(&mut input, &mut output).unwrap() {
            Step::Event(event) => events.push(format!("{event:?}")),
            Step::NeedAnswer => machine.accept(&mut output).unwrap(),
            _ => break,
        }
    }
    let sent = output.copy_to_bytes(output.len());
    (machine, String::from_utf8_lossy(&sent).to_string(), events)
}

fn greeted(options: &str) -> Scene<Connection> {
    Scene::new(all(options, "").0)
}

#[test]
fn what_is_pipelined_behind_starttls_is_never_a_command() {
    let (machine, sent, events) = all("starttls", "EHLO a\r\nSTARTTLS\r\nMAIL FROM:<>\r\n");
    assert!(
        sent.ends_with("421 4.5.1 Nothing may follow STARTTLS\r\n"),
        "{sent}"
    );
    assert!(matches!(machine.state, State::Closed));
    assert!(!events.iter().any(|event| event.starts_with("Mail")));
}

#[test]
fn a_message_both_too_large_and_irregular_is_answered_the_same_in_any_pieces() {
    let head = "EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.test>\r\nDATA\r\n";
    let input = format!("{head}{}\0\r\n.\r\n", "x".repeat(40));
    for size in [1, 30, 1000] {
        let mut machine = Server.machine(&["small".into()]);
        let (mut buffer, mut output) = (BytesMut::new(), Output::new());
        for piece in input.as_bytes().chunks(size) {
            buffer.extend_from_slice(piece);
            loop {
                match machine.poll(&mut buffer, &mut output).unwrap() {
                    Step::NeedAnswer => machine.accept(&mut output).unwrap(),
                    Step::Event(_) => {}
                    _ => break,
                }
            }
        }
        let sent = output.copy_to_bytes(output.len());
        assert!(
            sent.ends_with(b"554 5.6.0 NUL or bare CR or LF in the message\r\n"),
            "{size}"
        );
    }
}

#[test]
fn a_browser_is_sent_away() {
    let (machine, sent, _) = all("", "POST / HTTP/1.1\r\nHost: x\r\n\r\nEHLO a\r\n");
    assert!(
        sent.ends_with("500 5.5.2 Command not recognized\r\n"),
        "{sent}"
    );
    assert!(matches!(machine.state, State::Closed));
}

#[test]
fn answers_out_of_turn_are_refused() {
    let mut machine = Connection::new(Options::new("a"));
    let mut output = Output::new();
    let rows = [
        machine.accept(&mut output),
        machine.reply(&Reply::new(250, "", ""), &mut output),
        machine.challenge(b"", &mut output),
    ];
    for (answer, method) in rows.into_iter().zip(["accept", "reply", "challenge"]) {
        let text = answer.unwrap_err().to_string();
        assert_eq!(text, format!("{method}: not allowed before the greeting"));
    }
    machine.poll(&mut BytesMut::new(), &mut output).unwrap();
    let text = machine.challenge(b"", &mut output).unwrap_err().to_string();
    assert_eq!(
        text,
        "challenge: not allowed while Connected waits for an answer"
    );
    assert!(output.is_empty());
}

#[test]
fn who_somebody_is_is_forgotten_with_tls() {
    let mut scene = greeted("auth starttls");
    scene.hears("EHLO a\r\n");
    scene.answer(Connection::accept);
    scene.hears("AUTH PLAIN AGEAYg==\r\n");
    scene.answer(Connection::grant);
    scene.hears("STARTTLS\r\n");
    let (machine, output) = scene.split();
    assert!(machine.is_authenticated() && !machine.is_tls());
    machine.tls_established(output);
    assert!(!machine.is_authenticated() && machine.is_tls());
    scene.hears("EHLO a\r\n");
    scene.answer(Connection::accept);
    assert!(scene.hears("AUTH PLAIN AGEAYg==\r\n").is_some());
}

#[test]
fn tls_that_nobody_began_changes_nothing() {
    let mut scene = greeted("auth-tls starttls");
    scene.hears("EHLO a\r\n");
    scene.answer(Connection::accept);
    let (machine, output) = scene.split();
    machine.tls_established(output);
    assert!(!machine.is_tls());
    scene.sent();
    scene.hears("AUTH PLAIN AGEAYg==\r\n");
    assert!(scene.sent().starts_with("538 "));
}

#[test]
fn a_message_comes_after_354_and_nothing_else() {
    let mut scene = greeted("");
    for line in ["EHLO a\r\n", "MAIL FROM:<>\r\n", "RCPT TO:<a@b>\r\n"] {
        scene.hears(line);
        let (machine, output) = scene.split();
        let go_on = machine
            .reply(&Reply::new(354, "", "x"), output)
            .unwrap_err();
        assert_eq!(go_on.reason(), Reason::Argument);
        scene.answer(Connection::accept);
    }
    scene.sent();
    scene.hears("DATA\r\n");
    let (machine, output) = scene.split();
    let done = machine
        .reply(&Reply::new(250, "2.0.0", "x"), output)
        .unwrap_err();
    assert_eq!(done.reason(), Reason::Argument);
    assert!(scene.sent().is_empty());
    scene.answer(Connection::accept);
    assert!(scene.sent().starts_with("354 "));
    assert!(matches!(scene.hears("x\r\n.\r\n"), Some(Event::EndOfBody)));
}

#[test]
fn an_end_inside_a_message_is_no_end_of_it() {
    let (mut machine, ..) = all(
        "",
        "EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.test>\r\nDATA\r\nhalf\r\n",
    );
    assert_eq!(machine.end_of_input(), Err(Error::InsideBody));
}

/// What a server that the README of the table describes answers, and what is left of the stream.
fn codes(trap: &hikyaku_wire::testkit::Trap, step: usize) -> (String, Vec<String>) {
    let mut options = Options::new("mx.example.org");
    (options.smtputf8, options.binary_mime, options.dsn) = (true, true, true);
    options.limits.message = 1_000_000;
    let first = trap.note.split([' ', ',', ';']).next();
    options.starttls = first == Some("starttls");
    if first == Some("auth") {
        options.mechanisms = ["PLAIN".into(), "LOGIN".into()].into();
        options.login_needs_tls = false;
    }
    let mut machine = Connection::new(options);
    let (mut input, mut output, mut events) = (BytesMut::new(), Output::new(), Vec::new());
    let mut login = 0;
    let mut pieces = trap.octets.chunks(step);
    loop {
        let step = machine.poll(&mut input, &mut output).unwrap();
        match step {
            Step::Event(event) => {
                match &event {
                    Event::Authenticate { mechanism, initial } => {
                        login = match (&mechanism[..], initial) {
                            (b"PLAIN", Some(_)) => 0,
                            (b"PLAIN", None) => 1,
                            _ => 2,
                        };
                    }
                    Event::SaslResponse(_) => login -= 1,
                    _ => {}
                }
                events.push(format!("{event:?}"));
            }
            Step::NeedAnswer if matches!(machine.state, State::Asked(Asked::Auth)) && login > 0 => {
                machine.challenge(b"", &mut output).unwrap();
            }
            Step::NeedAnswer => machine.accept(&mut output).unwrap(),
            Step::NeedInput => match pieces.next() {
                Some(piece) => input.extend_from_slice(piece),
                None => break,
            },
            _ => break,
        }
    }
    let sent = output.copy_to_bytes(output.len());
    let mut replies = Vec::new();
    let mut rest = &sent[..];
    while let Some((reply, behind)) = Reply::first(rest, crate::Leniencies::NONE).unwrap() {
        replies.push(reply.code().to_string());
        rest = behind;
    }
    (replies.join(","), events)
}

/// `ours.tsv`, sides B and S: whole streams, also octet by octet.
#[test]
fn our_streams_are_answered_as_expected() {
    let mut wrong = Vec::new();
    for side in ["B", "S"] {
        for trap in hikyaku_wire::testkit::traps_of(&crate::command::tests::our_table(), side) {
            let whole = codes(&trap, usize::MAX >> 1);
            // What is pipelined behind STARTTLS is seen when it came with it.
            let pieces = codes(&trap, 1);
            let octets_count = trap.note.starts_with("starttls");
            if trap.expect != "either" && whole.0 != trap.expect {
                wrong.push(format!(
                    "{} {} came {}: {} ({})",
                    trap.id, trap.expect, whole.0, trap.escaped, trap.note
                ));
            } else if !octets_count && whole.0 != pieces.0 {
                wrong.push(format!(
                    "{} {} octet by octet: {}",
                    trap.id, trap.expect, pieces.0
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} rows:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// `ours.tsv`, side D.
#[test]
fn our_messages_end_where_they_do() {
    for trap in hikyaku_wire::testkit::traps_of(&crate::command::tests::our_table(), "D") {
        let head = b"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.test>\r\nDATA\r\n";
        let mut stream = trap.clone();
        stream.octets = [&head[..], &trap.octets].concat();
        stream.note.clear();
        for step in [1, 7, usize::MAX >> 1] {
            let (replies, _) = codes(&stream, step);
            let end = match trap.expect.as_str() {
                "open" => "354",
                "end" => "354,250",
                "refused" => "354,554",
                _ => continue,
            };
            assert!(replies.ends_with(end), "{replies} {trap:?}");
        }
    }
}

/// `smtp.tsv`, side D: what ends a message and what must not.
#[test]
fn the_traps_of_data_come_out_as_expected() {
    for trap in hikyaku_wire::testkit::traps("smtp.tsv", "D") {
        let head = "EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.test>\r\nDATA\r\n";
        let input = format!("{head}{}", String::from_utf8(trap.octets.clone()).unwrap());
        let (machine, _, events) = all("", &input);
        let ended = events.iter().any(|event| event == "EndOfBody");
        match trap.expect.as_str() {
            "end" => assert!(ended, "{trap:?}"),
            "open" => assert!(
                !ended && matches!(machine.state, State::Body(_)),
                "{trap:?}"
            ),
            _ => assert!(matches!(machine.state, State::Command), "{trap:?}"),
        }
    }
}

proptest::proptest! {
    #[test]
    fn nothing_panics(pieces in proptest::collection::vec(proptest::sample::select(&[
        "EHLO a\r\n", "MAIL FROM:<a@b>\r\n", "RCPT TO:<a@b>\r\n", "DATA\r\n", "x\r\n.\r\n", "RSET\r\n",
        "AUTH PLAIN\r\n", "AA==\r\n", "*\r\n", "STARTTLS\r\n", "QUIT\r\n", "\0\r\n", "\n", "VRFY a\r\n",
    ][..]), 0..25)) {
        all("auth starttls", &pieces.concat());
    }
}
