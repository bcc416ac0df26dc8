use super::*;
use hikyaku_wire::testkit::{Actor, Role, Told, escape, replay_folder, unescape};
use std::format;
use std::string::String;

struct Server;

impl Actor for Server {
    type Machine = Connection;
    const ROLE: Role = Role::Server;

    fn machine(&self, options: &[String]) -> Connection {
        let mut o = Options::default();
        for option in options {
            match option.as_str() {
                "apop" => o.timestamp = Some("<1896.697170952@dbc.mtview.ca.us>".into()),
                "stls" => (o.stls, o.login_needs_tls) = (true, true),
                "sasl" => o.mechanisms = ["PLAIN".into()].into(),
                "errors" => o.limits.errors = 3,
                other => panic!("{other}"),
            }
        }
        Connection::new(o)
    }

    fn tell(&self, event: Event) -> Told {
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        Told::Line(match event {
            Event::Login { name, password } => {
                format!("Login {} {}", text(&name), escape(password.expose()))
            }
            Event::Apop { name, digest } => format!("Apop {} {:02x}..", text(&name), digest[0]),
            Event::Auth { mechanism, initial } => {
                let initial = initial.map_or("none".into(), |i| escape(i.expose()));
                format!("Auth {} {initial}", text(&mechanism))
            }
            Event::SaslResponse(response) => format!("SaslResponse {}", escape(response.expose())),
            other => format!("{other:?}"),
        })
    }

    fn act(&self, machine: &mut Connection, act: &str, output: &mut Output) {
        let (verb, rest) = act.split_once(' ').unwrap_or((act, ""));
        match verb {
            "ok" => machine.ok(rest, output).unwrap(),
            "err" => machine.err(None, rest, output).unwrap(),
            "err-auth" => machine.err(Some(ResponseCode::Auth), rest, output).unwrap(),
            "challenge" => machine.challenge(rest.as_bytes(), output).unwrap(),
            "open" => {
                let mut maildrop = Maildrop::new();
                for (at, size) in rest.split_whitespace().enumerate() {
                    maildrop.push(size.parse().unwrap(), format!("id{}", at + 1));
                }
                machine.open(maildrop, output).unwrap();
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

    fn tls_established(&self, machine: &mut Connection, _: &mut Output) {
        machine.tls_established();
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
    assert_eq!(machine.open(Maildrop::new(), &mut output), Err(Misuse));
}
