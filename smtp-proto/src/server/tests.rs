use super::*;
use bytes::Buf as _;
use hikyaku_wire::testkit::{Actor, Role, Told, escape, replay_folder};
use std::format;
use std::string::{String, ToString as _};

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

    fn tell(&self, event: Event) -> Told {
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        Told::Line(match event {
            Event::Chunk(octets) => return Told::Octets(octets),
            Event::Hello { name, extended } => format!("Hello {} {extended}", text(&name)),
            Event::Mail {
                reverse_path,
                parameters,
            } => format!(
                "Mail {reverse_path} size={:?} utf8={}",
                parameters.size, parameters.smtputf8
            ),
            Event::Rcpt { forward_path } => format!("Rcpt {forward_path}"),
            Event::Auth { mechanism, initial } => format!(
                "Auth {} {}",
                text(&mechanism),
                initial.map_or("none".into(), |i| escape(i.expose()))
            ),
            Event::SaslResponse(response) => format!("SaslResponse {}", escape(response.expose())),
            Event::Verify(name) => format!("Verify {}", text(&name)),
            other => format!("{other:?}"),
        })
    }

    fn act(&self, machine: &mut Connection, act: &str, output: &mut Output) {
        let (verb, rest) = act.split_once(' ').unwrap_or((act, ""));
        match verb {
            "accept" => machine.accept(output).unwrap(),
            "challenge" => machine.challenge(rest.as_bytes(), output).unwrap(),
            "reply" => {
                let reply = Reply::parse(&Bytes::from(format!("{rest}\r\n"))).unwrap();
                machine.reply(&reply, output).unwrap();
            }
            other => panic!("{other}"),
        }
    }

    fn tls_established(&self, machine: &mut Connection, _: &mut Output) {
        machine.tls_established();
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
    let mut told = std::vec::Vec::new();
    loop {
        match machine.poll(&mut input, &mut output).unwrap() {
            Step::Event(event) => told.push(format!("{event:?}")),
            Step::NeedAnswer => machine.accept(&mut output).unwrap(),
            _ => break,
        }
    }
    let sent = output.copy_to_bytes(output.len());
    (machine, String::from_utf8_lossy(&sent).to_string(), told)
}

#[test]
fn what_is_pipelined_behind_starttls_is_never_a_command() {
    let (machine, sent, told) = all("starttls", "EHLO a\r\nSTARTTLS\r\nMAIL FROM:<>\r\n");
    assert!(
        sent.ends_with("421 4.5.1 Nothing may follow STARTTLS\r\n"),
        "{sent}"
    );
    assert!(matches!(machine.state, State::Closed));
    assert!(!told.iter().any(|event| event.starts_with("Mail")));
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
fn an_end_inside_a_message_is_no_end_of_it() {
    let (mut machine, ..) = all(
        "",
        "EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.test>\r\nDATA\r\nhalf\r\n",
    );
    assert_eq!(machine.end_of_input(), Err(Error::InsideBody));
}

/// `smtp.tsv`, side D: what ends a message and what must not.
#[test]
fn the_traps_of_data_come_out_as_expected() {
    for trap in hikyaku_wire::testkit::traps("smtp.tsv", "D") {
        let head = "EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.test>\r\nDATA\r\n";
        let input = format!("{head}{}", String::from_utf8(trap.octets.clone()).unwrap());
        let (machine, _, told) = all("", &input);
        let ended = told.iter().any(|event| event == "EndOfData");
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
