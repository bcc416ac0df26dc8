use super::*;
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

impl Actor for Server {
    type Machine = Connection;
    const ROLE: Role = Role::Server;

    fn machine(&self, options: &[String]) -> Connection {
        let mut o = Options {
            login_needs_tls: false,
            ..Options::default()
        };
        for option in options {
            match option.as_str() {
                "apop" => o.timestamp = Some("<1896.697170952@dbc.mtview.ca.us>".into()),
                "stls" => (o.stls, o.login_needs_tls) = (true, true),
                "default" => o = Options::default(),
                "utf8" => o.utf8 = true,
                "all" => {
                    (o.stls, o.utf8, o.auth_response_code) = (true, true, true);
                    o.mechanisms = ["PLAIN".into(), "LOGIN".into()].into();
                    o.expire = Some(crate::Expire::Days(30));
                    o.implementation = Some("Test 1".into());
                }
                "sasl" => o.mechanisms = ["PLAIN".into()].into(),
                "errors" => o.limits.errors = 3,
                other => panic!("{other}"),
            }
        }
        Connection::new(o)
    }

    fn report(&self, event: Event) -> Reported {
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        Reported::Line(match event {
            Event::Login { name, password } => {
                format!("Login {} {}", text(&name), escape(password.expose()))
            }
            Event::Apop { name, digest } => format!("Apop {} {:02x}..", text(&name), digest[0]),
            Event::Authenticate { mechanism, initial } => {
                let initial = initial.map_or("none".into(), |i| escape(i.expose()));
                format!("Authenticate {} {initial}", text(&mechanism))
            }
            Event::SaslResponse(response) => format!("SaslResponse {}", escape(response.expose())),
            other => format!("{other:?}"),
        })
    }

    fn act(&self, machine: &mut Connection, act: &str, output: &mut Output) {
        let (verb, rest) = act.split_once(' ').unwrap_or((act, ""));
        match verb {
            "ok" => machine.ok(rest, output).unwrap(),
            "greet" => machine.greet(rest, output).unwrap(),
            "refuse" => machine.refuse(why(rest), output).unwrap(),
            "err" => machine.err(None, rest, output).unwrap(),
            "err-auth" => machine.err(Some(ResponseCode::Auth), rest, output).unwrap(),
            "challenge" => machine.challenge(rest.as_bytes(), output).unwrap(),
            "open" => {
                let mut maildrop = Maildrop::new();
                for (at, size) in rest.split_whitespace().enumerate() {
                    maildrop
                        .push(size.parse().unwrap(), format!("id{}", at + 1))
                        .unwrap();
                }
                machine.grant(maildrop, output).unwrap();
            }
            "message" => {
                machine.begin(output).unwrap();
                for octet in unescape(rest) {
                    if !machine
                        .chunk(Bytes::from([octet].to_vec()), output)
                        .unwrap()
                    {
                        break;
                    }
                }
                machine.end(output).unwrap();
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn the_transcripts_come_out_as_written() {
    assert!(replay_folder(&Server, "tests/transcripts/server") >= 5);
}

proptest::proptest! {
    #[test]
    fn nothing_panics(pieces in proptest::collection::vec(proptest::sample::select(&[
        "USER a\r\n", "PASS b\r\n", "STAT\r\n", "LIST\r\n", "RETR 1\r\n", "DELE 1\r\n", "DELE 4294967295\r\n",
        "AUTH PLAIN\r\n", "AA==\r\n", "*\r\n", "STLS\r\n", "QUIT\r\n", "\0\r\n", "\n", "UIDL 2\r\n", "TOP 1 0\r\n",
    ][..]), 0..25)) {
        let mut machine = Server.machine(&["sasl".into()]);
        let (mut input, mut output) = (BytesMut::from(pieces.concat().as_bytes()), Output::new());
        loop {
            match machine.poll(&mut input, &mut output).unwrap() {
                Step::Event(Event::Connected | Event::Update { .. }) => machine.ok("", &mut output).unwrap(),
                Step::Event(Event::Message { .. }) => Server.act(&mut machine, "message a\\n", &mut output),
                Step::NeedAnswer => Server.act(&mut machine, "open 1 2", &mut output),
                Step::Event(_) => {}
                _ => break,
            }
        }
    }
}

#[test]
fn what_is_pipelined_behind_stls_is_never_a_command() {
    let mut machine = Server.machine(&["stls".into()]);
    let (mut input, mut output) = (BytesMut::from("STLS\r\nUSER a\r\n"), Output::new());
    assert!(matches!(
        machine.poll(&mut input, &mut output),
        Ok(Step::Event(Event::Connected))
    ));
    machine.ok("", &mut output).unwrap();
    assert!(matches!(
        machine.poll(&mut input, &mut output),
        Ok(Step::Closed)
    ));
    let misuse = machine.grant(Maildrop::new(), &mut output).unwrap_err();
    assert_eq!(
        misuse.to_string(),
        "grant: not allowed after the end of the connection"
    );
}

#[test]
fn every_answer_out_of_place_names_the_state() {
    let mut output = Output::new();
    let mut machine = Server.machine(&["sasl".into()]);
    let rows = [
        machine.ok("", &mut output),
        machine.grant(Maildrop::new(), &mut output),
        machine.err(None, "", &mut output),
        machine.challenge(b"", &mut output),
        machine.begin(&mut output),
        machine.chunk(Bytes::new(), &mut output).map(drop),
        machine.end(&mut output),
    ];
    for (answer, method) in
        rows.into_iter()
            .zip(["ok", "grant", "err", "challenge", "begin", "chunk", "end"])
    {
        let text = answer.unwrap_err().to_string();
        assert_eq!(text, format!("{method}: not allowed before the greeting"));
    }
    let mut input = BytesMut::from("AUTH PLAIN\r\n");
    machine.poll(&mut input, &mut output).unwrap();
    machine.ok("", &mut output).unwrap();
    machine.poll(&mut input, &mut output).unwrap();
    let text = machine.begin(&mut output).unwrap_err().to_string();
    assert_eq!(text, "begin: not allowed while AUTH waits for an answer");
    assert_eq!(output.len(), "+OK\r\n".len());
}

#[test]
fn unique_ids_have_their_grammar() {
    let mut maildrop = Maildrop::new();
    for bad in [
        "",
        "a b",
        "a\r\n",
        "\0",
        "caf\u{e9}",
        "\u{7f}",
        &"x".repeat(71),
    ] {
        assert!(maildrop.push(1, bad.to_string()).is_err(), "{bad:?}");
    }
    assert_eq!(maildrop.count(), (0, 0));
    let error = maildrop.push(1, "1\r\n.\r\n").unwrap_err().to_string();
    assert_eq!(
        error,
        r#"a unique-id has 1 to 70 octets from 33 to 126, found "1\r\n.\r\n""#
    );
    for good in ["!", "~", ".", &"x".repeat(70)] {
        maildrop.push(1, good.to_string()).unwrap();
    }
    assert_eq!(maildrop.count(), (4, 4));
}
