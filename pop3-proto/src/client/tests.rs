use super::*;
use crate::ResponseCode;
use bytes::Buf as _;
use hikyaku_wire::testkit::{Actor, Reported, Role, Scene, replay_folder};
use std::format;
use std::string::{String, ToString as _};
use std::vec::Vec;

struct Client;

fn in_clear() -> Options {
    Options {
        login_needs_tls: false,
        ..Options::default()
    }
}

fn words(response: &Response) -> String {
    let mut output = Output::new();
    response.encode(&mut output);
    let line = output.copy_to_bytes(output.len());
    String::from_utf8_lossy(line.trim_ascii_end()).into_owned()
}

impl Actor for Client {
    type Machine = Connection;
    const ROLE: Role = Role::Client;

    fn machine(&self, options: &[String]) -> Connection {
        let mut o = in_clear();
        if let [_, count] = options {
            o.limits.in_flight = count.parse().unwrap();
        }
        Connection::new(o)
    }

    fn report(&self, event: Event) -> Reported {
        Reported::Line(match event {
            Event::Connected {
                response,
                timestamp,
            } if response.is_ok => {
                let timestamp = timestamp.map(|t| format!(" {}", String::from_utf8_lossy(&t)));
                format!("Connected ok{}", timestamp.unwrap_or_default())
            }
            Event::Connected { response, .. } => format!("Connected {}", words(&response)),
            Event::Capabilities(all) => format!(
                "Capabilities pipelining={} stls={} mechanisms={:?}",
                all.pipelining, all.stls, all.mechanisms
            ),
            Event::Challenge(challenge) => {
                format!("Challenge {}", challenge.expose_str().unwrap())
            }
            Event::Message {
                handle,
                number,
                octets,
            } => format!("Message {} {number} {octets:?}", handle.0),
            Event::Chunk(octets) => return Reported::Octets(octets),
            Event::Completed { handle, response } => {
                format!("Completed {} {}", handle.0, words(&response))
            }
            Event::Authenticated { handle, response } => {
                format!("Authenticated {} {}", handle.0, words(&response))
            }
            Event::AuthenticationRefused { handle, response } => {
                format!("AuthenticationRefused {} {}", handle.0, words(&response))
            }
            Event::Bye(response) => format!("Bye {}", words(&response)),
            other => format!("{other:?}"),
        })
    }

    fn act(&self, machine: &mut Connection, act: &str, output: &mut Output) {
        let words: Vec<_> = act.splitn(3, ' ').collect();
        let number = |at: usize| words[at].parse::<u32>().unwrap();
        let secret = |text: &str| Secret::from(text.as_bytes().to_vec());
        let text = |at: usize| words[at].to_string();
        let issued = match words[0] {
            "login" => machine.login(text(1), secret(words[2]), output),
            "apop" => {
                let octet = |at: usize| u8::from_str_radix(&words[2][2 * at..2 * at + 2], 16);
                let digest = core::array::from_fn(|at| octet(at).unwrap());
                machine.apop(text(1), digest, output)
            }
            "auth" => {
                let initial = words.get(2).map(|text| match decode_sasl(text.as_bytes()) {
                    Ok(SaslLine::Response(initial)) => initial,
                    other => panic!("{other:?}"),
                });
                machine.authenticate(text(1), initial, output)
            }
            "auth-long" => machine.authenticate(text(1), Some(secret(&"x".repeat(192))), output),
            "cancel" => return machine.respond(None, output).unwrap(),
            "stls" => machine.stls(output),
            "capa" => machine.capa(output),
            "stat" => machine.stat(output),
            "list" => machine.list(None, output),
            "uidl" => machine.uidl(None, output),
            "retr" => machine.retr(number(1), output),
            "top" => machine.top(number(1), number(2), output),
            "dele" => machine.dele(number(1), output),
            "quit" => machine.quit(output),
            other => panic!("{other}"),
        };
        issued.unwrap();
    }
}

#[test]
fn the_transcripts_come_out_as_written() {
    assert!(replay_folder(&Client, "tests/transcripts/client") >= 6);
}

fn fed(octets: &str) -> (Connection, BytesMut, Output) {
    let mut machine = Connection::new(in_clear());
    let (mut input, mut output) = (BytesMut::from("+OK\r\n"), Output::new());
    machine.poll(&mut input, &mut output).unwrap();
    machine.login("a", Secret::default(), &mut output).unwrap();
    input.extend_from_slice(b"+OK\r\n+OK\r\n");
    machine.poll(&mut input, &mut output).unwrap();
    assert!(machine.is_authenticated());
    input.extend_from_slice(octets.as_bytes());
    (machine, input, output)
}

#[test]
fn a_connection_that_ends_early_is_never_success() {
    let (mut machine, ..) = fed("");
    assert_eq!(machine.end_of_input(), Ok(()));

    let (mut machine, mut input, mut output) = fed("+OK\r\nSubject: half\r\n.\r");
    machine.retr(1, &mut output).unwrap();
    while let Ok(Step::Event(_)) = machine.poll(&mut input, &mut output) {}
    let command = "RETR or TOP";
    assert_eq!(machine.end_of_input(), Err(Error::Unanswered { command }));

    let (mut machine, _, mut output) = fed("");
    machine.quit(&mut output).unwrap();
    let command = "QUIT";
    assert_eq!(machine.end_of_input(), Err(Error::Unanswered { command }));
    assert_eq!(machine.end_of_input(), Ok(()));
}

#[test]
fn what_is_not_legal_is_misuse_and_nothing_is_sent() {
    let mut machine = Connection::new(in_clear());
    let mut output = Output::new();
    assert!(machine.capa(&mut output).is_err());
    machine
        .poll(&mut BytesMut::from("+OK\r\n"), &mut output)
        .unwrap();
    assert!(machine.retr(1, &mut output).is_err());
    assert!(machine.respond(None, &mut output).is_err());
    for name in ["a\r\nDELE 1", "a\n", "\0", ""] {
        let login = machine.login(name, Secret::default(), &mut output);
        assert!(login.is_err(), "{name:?}");
    }
    let password = Secret::from(b"b\r\nDELE 1".to_vec());
    assert!(machine.login("a", password, &mut output).is_err());
    assert!(output.is_empty());
}

#[test]
fn misuse_names_the_method_and_the_state() {
    let mut output = Output::new();
    let secret = || Secret::from(b"sesame".to_vec());
    let mut machine = Connection::new(Options::default());
    let text = |misuse: Result<Handle, Misuse>| misuse.unwrap_err().to_string();
    assert_eq!(
        text(machine.capa(&mut output)),
        "capa: not allowed before the greeting"
    );
    machine
        .poll(&mut BytesMut::from("+OK\r\n"), &mut output)
        .unwrap();
    assert_eq!(
        text(machine.retr(1, &mut output)),
        "RETR: not allowed before login"
    );
    assert_eq!(
        text(machine.login("a", secret(), &mut output)),
        "login: not allowed without TLS unless login_needs_tls is false (before login)"
    );
    let misuse = machine.authenticate("PLAIN", Some(secret()), &mut output);
    assert_eq!(misuse.unwrap_err().reason(), hikyaku_wire::Reason::NeedsTls);
    machine.options.login_needs_tls = false;
    let misuse = text(machine.login("a\r\nsesame", secret(), &mut output));
    assert_eq!(
        misuse,
        "login: an argument holds what cannot be sent (before login)"
    );
    assert!(output.is_empty());
    machine.login("a", secret(), &mut output).unwrap();
    assert_eq!(
        text(machine.stls(&mut output)),
        "stls: not allowed before login, while a command is under way"
    );
}

#[test]
fn passwords_wait_for_tls_by_default() {
    let mut machine = Connection::new(Options::default());
    let (mut input, mut output) = (BytesMut::from("+OK\r\n"), Output::new());
    machine.poll(&mut input, &mut output).unwrap();
    // APOP sends none.
    machine.apop("a", [0; 16], &mut output).unwrap();
    input.extend_from_slice(b"-ERR\r\n");
    machine.poll(&mut input, &mut output).unwrap();
    machine.stls(&mut output).unwrap();
    input.extend_from_slice(b"+OK\r\n");
    while let Ok(Step::Event(_)) = machine.poll(&mut input, &mut output) {}
    machine.tls_established(&mut output);
    machine.login("a", Secret::default(), &mut output).unwrap();

    let options = Options {
        tls: true,
        ..Options::default()
    };
    let mut machine = Connection::new(options);
    machine
        .poll(&mut BytesMut::from("+OK\r\n"), &mut output)
        .unwrap();
    machine.authenticate("PLAIN", None, &mut output).unwrap();
}

#[test]
fn errors_say_what_came_and_what_it_should_answer() {
    type Issue = fn(&mut Connection, &mut Output) -> Result<Handle, Misuse>;
    let rows: [(Issue, &str, &str); 5] = [
        (
            |machine, output| machine.stat(output),
            "+OK many messages\r\n",
            r#"not a response to STAT: expected two numbers, found "+OK many messages""#,
        ),
        (
            |machine, output| machine.uidl(Some(1), output),
            "+OK 1\r\n",
            r#"not a response to UIDL: expected a number and a unique-id, found "+OK 1""#,
        ),
        (
            |machine, output| machine.noop(output),
            "HTTP/1.1 400 Bad Request\r\n",
            r#"not a response to NOOP: expected +OK or -ERR, found "HTTP/1.1 400 Bad Request""#,
        ),
        (
            |machine, output| machine.retr(1, output),
            "+OK\nx\r\n",
            r#"not a response to RETR or TOP: expected CRLF and no CR or LF alone, found "+OK\nx\r\n""#,
        ),
        (
            |machine, output| machine.dele(1, output),
            "\u{1b}[31m\u{7}\0\r\n",
            r#"not a response to DELE: expected +OK or -ERR, found "\x1b[31m\x07\x00""#,
        ),
    ];
    for (issue, answer, text) in rows {
        let (mut machine, mut input, mut output) = fed(answer);
        issue(&mut machine, &mut output).unwrap();
        let error = machine.poll(&mut input, &mut output).unwrap_err();
        assert_eq!(error.to_string(), text);
    }
    // A server that repeats what it was sent at a login is not quoted.
    let mut machine = Connection::new(in_clear());
    let (mut input, mut output) = (BytesMut::from("+OK\r\n"), Output::new());
    machine.poll(&mut input, &mut output).unwrap();
    machine.login("a", Secret::default(), &mut output).unwrap();
    input.extend_from_slice(b"+OK\r\nwhat is sesame?\r\n");
    let error = machine.poll(&mut input, &mut output).unwrap_err();
    assert_eq!(
        error.to_string(),
        "not a response to PASS: expected +OK or -ERR, found what is not shown"
    );
}

#[test]
fn octets_in_clear_behind_stls_are_an_error() {
    let mut machine = Connection::new(in_clear());
    let (mut input, mut output) = (BytesMut::from("+OK\r\n"), Output::new());
    machine.poll(&mut input, &mut output).unwrap();
    machine.stls(&mut output).unwrap();
    input.extend_from_slice(b"+OK\r\n+OK injected\r\n");
    assert!(matches!(
        machine.poll(&mut input, &mut output),
        Ok(Step::Event(Event::Completed { .. }))
    ));
    let step = machine.poll(&mut input, &mut output);
    let text = step.err().unwrap().to_string();
    assert_eq!(text, r#"octets in clear after STLS: "+OK injected\r\n""#);
}

#[test]
fn stuffing_is_removed_from_listings_too() {
    let (mut machine, mut input, mut output) = fed("+OK\r\n..X-DOT\r\n.\r\n");
    machine.capa(&mut output).unwrap();
    match machine.poll(&mut input, &mut output) {
        Ok(Step::Event(Event::Capabilities(all))) => assert_eq!(all.other, [".X-DOT"]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_challenge_is_answered_once() {
    let mut machine = Connection::new(in_clear());
    let (mut input, mut output) = (BytesMut::from("+OK\r\n"), Output::new());
    machine.poll(&mut input, &mut output).unwrap();
    machine.authenticate("LOGIN", None, &mut output).unwrap();
    assert!(machine.respond(None, &mut output).is_err());
    input.extend_from_slice(b"+ \r\n");
    machine.poll(&mut input, &mut output).unwrap();
    assert_eq!(machine.respond(None, &mut output), Ok(()));
    assert!(machine.respond(None, &mut output).is_err());
}

#[test]
fn a_listing_has_its_limit() {
    let (mut machine, mut input, mut output) = fed("+OK\r\n1 1\r\n1 1\r\n1 1\r\n");
    machine.options.limits.listing = 2;
    machine.list(None, &mut output).unwrap();
    let mut events = 0;
    let error = loop {
        match machine.poll(&mut input, &mut output) {
            Ok(Step::Event(_)) => events += 1,
            other => break other.err(),
        }
    };
    assert_eq!(
        (events, error),
        (
            2,
            Some(Error::TooMany {
                command: "LIST",
                most: 2
            })
        )
    );
}

#[test]
fn a_response_code_is_told_with_the_refusal() {
    let (mut machine, mut input, mut output) = fed("-ERR [SYS/PERM] the disk is gone\r\n");
    let issued = machine.retr(1, &mut output).unwrap();
    match machine.poll(&mut input, &mut output) {
        Ok(Step::Event(Event::Completed { handle, response })) => {
            assert_eq!(handle, issued);
            assert_eq!(response.code, Some(ResponseCode::SysPerm));
        }
        other => panic!("{other:?}"),
    }
}

/// `pop3.tsv`, side S: rows about STAT are its answer, the others the greeting.
#[test]
fn the_traps_of_servers_come_out_as_expected() {
    for trap in hikyaku_wire::testkit::traps("pop3.tsv", "S") {
        let about_stat = matches!(trap.id.as_str(), "S017" | "S019");
        let (mut machine, mut input, mut output) = if about_stat {
            let (mut machine, input, mut output) = fed("");
            machine.stat(&mut output).unwrap();
            (machine, input, output)
        } else {
            let machine = Connection::new(in_clear());
            (machine, BytesMut::new(), Output::new())
        };
        input.extend_from_slice(&trap.octets);
        let polled = machine.poll(&mut input, &mut output);
        if trap.expect != "either" {
            let ok = matches!(polled, Ok(Step::Event(_)));
            assert_eq!(ok, trap.expect == "ok", "{trap:?}");
        }
    }
}

proptest::proptest! {
    #[test]
    fn nothing_panics(pieces in proptest::collection::vec(proptest::sample::select(&[
        "+OK\r\n", "+OK 1 2\r\n", "-ERR\r\n", "+ \r\n", "+ AA==\r\n", "1 2\r\n", "..\r\n", ".\r\n", "\r\n", "x\r\n",
        "\0", "\n", "PIPELINING\r\n", "+OK <a@b>\r\n", "-ERR [AUTH] no\r\n",
    ][..]), 0..30), acts in proptest::collection::vec(0..14, 30)) {
        let mut machine = Connection::new(in_clear());
        let (mut input, mut output) = (BytesMut::new(), Output::new());
        for (piece, act) in pieces.iter().zip(acts) {
            input.extend_from_slice(piece.as_bytes());
            let _ = match act {
                0 => machine.login("a", Secret::default(), &mut output),
                1 => machine.authenticate("PLAIN", None, &mut output),
                2 => machine.stls(&mut output),
                3 => machine.capa(&mut output),
                4 => machine.stat(&mut output),
                5 => machine.list(None, &mut output),
                6 => machine.uidl(Some(1), &mut output),
                7 => machine.retr(1, &mut output),
                8 => machine.top(1, 1, &mut output),
                9 => machine.quit(&mut output),
                10 => machine.utf8(&mut output),
                11 => { let _ = machine.respond(None, &mut output); Ok(Handle(0)) }
                12 => { machine.tls_established(&mut output); Ok(Handle(0)) }
                _ => machine.dele(1, &mut output),
            };
            for _ in 0..20 {
                if !matches!(machine.poll(&mut input, &mut output), Ok(Step::Event(_))) {
                    break;
                }
            }
        }
        let _ = machine.end_of_input();
    }
}

#[test]
fn what_is_issued_behind_stls_waits_for_tls() {
    let mut scene = Scene::new(Connection::new(in_clear()));
    scene.hears("+OK\r\n");
    scene.answer(Connection::stls);
    scene.answer(Connection::capa);
    scene.answer(Connection::quit);
    scene.hears("+OK\r\n");
    assert_eq!(scene.sent(), "STLS\r\n");
    scene.answer(|machine, output| {
        machine.tls_established(output);
        Ok(())
    });
    assert_eq!(scene.sent(), "CAPA\r\n");
    assert!(
        scene
            .split()
            .0
            .login("a", Secret::default(), &mut Output::new())
            .is_err()
    );
    scene.hears("+OK\r\n.\r\n");
    assert_eq!(scene.sent(), "QUIT\r\n");
}

#[test]
fn a_login_that_ends_after_quit_opens_nothing() {
    let mut scene = Scene::new(Connection::new(in_clear()));
    scene.hears("+OK\r\n");
    scene.answer(|machine, output| machine.login("a", b"b".to_vec().into(), output));
    scene.answer(Connection::quit);
    scene.hears("+OK\r\n+OK\r\n");
    assert_eq!(scene.sent(), "USER a\r\nPASS b\r\nQUIT\r\n");
    let (machine, output) = scene.split();
    assert!(!machine.is_authenticated());
    assert!(machine.stat(output).is_err() && machine.quit(output).is_err());
    assert!(output.is_empty());
}
