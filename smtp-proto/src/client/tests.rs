use super::*;
use hikyaku_wire::testkit::{Actor, Role, Told, replay_folder};
use std::format;
use std::string::{String, ToString as _};

struct Client;

impl Actor for Client {
    type Machine = Connection;
    const ROLE: Role = Role::Client;

    fn machine(&self, options: &[String]) -> Connection {
        let mut o = Options::new("client.test");
        o.login_needs_tls = false;
        o.lmtp = options.iter().any(|option| option == "lmtp");
        if let Some(at) = options.iter().position(|option| option == "in-flight") {
            o.limits.in_flight = options[at + 1].parse().unwrap();
        }
        Connection::new(o)
    }

    fn tell(&self, event: Event) -> Told {
        Told::Line(match event {
            Event::Ready(all) => format!(
                "Ready pipelining={} starttls={}",
                all.pipelining, all.starttls
            ),
            Event::Refused(reply) => format!("Refused {reply}"),
            Event::NoTls(reply) => format!("NoTls {reply}"),
            Event::Challenge(c) => format!("Challenge {:?}", c.expose_str()),
            Event::Authenticated(reply) => format!("Authenticated {reply}"),
            Event::AuthenticationRefused(reply) => format!("AuthenticationRefused {reply}"),
            Event::MailRefused(reply) => format!("MailRefused {reply}"),
            Event::Recipient { index, reply } => format!("Recipient {index} {reply}"),
            Event::Delivered { index, reply } => format!("Delivered {index:?} {reply}"),
            Event::DataRefused(reply) => format!("DataRefused {reply}"),
            other => format!("{other:?}"),
        })
    }

    fn act(&self, machine: &mut Connection, act: &str, output: &mut Output) {
        let mut words = act.split(' ');
        match words.next().unwrap() {
            "starttls" => machine.starttls(output).unwrap(),
            "auth" => machine
                .auth(
                    "PLAIN",
                    words.next().map(|w| Secret::from(w.as_bytes().to_vec())),
                    output,
                )
                .unwrap(),
            "auth-long" => {
                let initial = Secret::from(std::vec![b'x'; 384]);
                machine.auth("PLAIN", Some(initial), output).unwrap();
            }
            "noop" => machine.noop(output).unwrap(),
            "respond" => machine
                .respond(
                    Some(&Secret::from(words.next().unwrap().as_bytes().to_vec())),
                    output,
                )
                .unwrap(),
            verb @ ("send" | "send-8bit") => {
                let path = |text: &str| crate::Mailbox::parse(text.as_bytes()).unwrap();
                let reverse_path = crate::ReversePath(words.next().map(path));
                let forward_paths = words.map(|w| ForwardPath::Mailbox(path(w))).collect();
                let mut envelope = Envelope::new(reverse_path, forward_paths);
                if verb == "send-8bit" {
                    (envelope.eight_bit, envelope.octets) = (true, Some(99));
                }
                machine.send(envelope, output).unwrap();
            }
            "half-8bit" => {
                let refused = machine.chunk("caf\u{e9}\r\n".into(), output);
                assert_eq!(refused, Err(BodyError::Needs8BitMime));
                let after = machine.end_of_body(output);
                let text = after.unwrap_err().to_string();
                assert_eq!(
                    text,
                    "end_of_body: not allowed after the end of the connection"
                );
            }
            "half" => machine.chunk("half\r\n".into(), output).unwrap(),
            "body" => {
                let text = words.collect::<std::vec::Vec<_>>().join(" ");
                machine
                    .chunk(hikyaku_wire::testkit::unescape(&text).into(), output)
                    .unwrap();
                machine.end_of_body(output).unwrap();
            }
            "quit" => machine.quit(output).unwrap(),
            other => panic!("{other}"),
        }
    }

    fn tls_established(&self, machine: &mut Connection, output: &mut Output) {
        machine.tls_established(output);
    }
}

#[test]
fn the_transcripts_come_out_as_written() {
    assert!(replay_folder(&Client, "tests/transcripts/client") >= 5);
}

#[test]
fn silence_is_never_taken_for_success() {
    let mut machine = Connection::new(Options::new("a"));
    let command = "the connection";
    assert_eq!(machine.end_of_input(), Err(Error::Unanswered { command }));
    assert_eq!(machine.end_of_input(), Ok(()));
    let mut machine = Connection::new(Options::new("a"));
    let text = machine.quit(&mut Output::new()).unwrap_err().to_string();
    assert_eq!(text, "quit: not allowed before the greeting");
}

#[test]
fn what_the_server_said_it_does_not_take_is_not_begun() {
    let mut machine = Connection::new(Options::new("a"));
    let mut input = BytesMut::from("220 b\r\n250-b\r\n250 SIZE 100\r\n");
    let mut output = Output::new();
    while let Ok(Step::Event(_)) = machine.poll(&mut input, &mut output) {}
    let before = output.len();
    let to = |address: &str| {
        let mailbox = crate::Mailbox::parse(address.as_bytes()).unwrap();
        Envelope::new(
            crate::ReversePath(None),
            [ForwardPath::Mailbox(mailbox)].into(),
        )
    };
    let mut send = |envelope| machine.send(envelope, &mut output);
    let mut large = to("x@b.test");
    large.octets = Some(101);
    assert_eq!(send(large), Err(SendError::TooLarge { limit: 100 }));
    let mut eight_bit = to("x@b.test");
    eight_bit.eight_bit = true;
    assert_eq!(send(eight_bit), Err(SendError::Needs8BitMime));
    assert_eq!(send(to("é@b.test")), Err(SendError::NeedsSmtpUtf8));
    assert_eq!(send(Envelope::default()), Err(SendError::NoRecipient));
    assert_eq!(output.len(), before);
}

/// A machine that said EHLO, was answered, and has that to read next.
fn fed(options: Options, octets: &str) -> (Connection, BytesMut, Output) {
    let mut machine = Connection::new(options);
    let (mut input, mut output) = (BytesMut::from("220 b\r\n250 b\r\n"), Output::new());
    while let Ok(Step::Event(_)) = machine.poll(&mut input, &mut output) {}
    output = Output::new();
    input.extend_from_slice(octets.as_bytes());
    (machine, input, output)
}

#[test]
fn passwords_wait_for_tls_by_default() {
    let secret = || Some(Secret::from(b"sesame".to_vec()));
    let (mut machine, mut input, mut output) = fed(Options::new("a"), "220 go\r\n");
    let misuse = machine.auth("PLAIN", secret(), &mut output).unwrap_err();
    assert_eq!(misuse.reason(), Reason::NeedsTls);
    assert_eq!(
        misuse.to_string(),
        "auth: not allowed without TLS unless login_needs_tls is false (between two commands)"
    );
    assert!(output.is_empty());
    machine.starttls(&mut output).unwrap();
    while let Ok(Step::Event(_)) = machine.poll(&mut input, &mut output) {}
    machine.tls_established(&mut output);
    input.extend_from_slice(b"250 b\r\n");
    while let Ok(Step::Event(_)) = machine.poll(&mut input, &mut output) {}
    machine.auth("PLAIN", secret(), &mut output).unwrap();

    let mut options = Options::new("a");
    options.tls = true;
    let (mut machine, _, mut output) = fed(options, "");
    machine.auth("PLAIN", secret(), &mut output).unwrap();
}

#[test]
fn misuse_names_the_method_and_the_state() {
    let (mut machine, _, mut output) = fed(Options::new("a"), "");
    machine.options.login_needs_tls = false;
    machine.noop(&mut output).unwrap();
    let envelope = Envelope::new(crate::ReversePath(None), [ForwardPath::Postmaster].into());
    let rows = [
        machine.quit(&mut output).unwrap_err().to_string(),
        machine
            .auth("X", None, &mut output)
            .unwrap_err()
            .to_string(),
        machine.respond(None, &mut output).unwrap_err().to_string(),
        machine
            .chunk(Bytes::new(), &mut output)
            .unwrap_err()
            .to_string(),
        machine.send(envelope, &mut output).unwrap_err().to_string(),
    ];
    for (text, method) in rows
        .iter()
        .zip(["quit", "auth", "respond", "chunk", "send"])
    {
        assert_eq!(
            text,
            &format!("{method}: not allowed while NOOP is under way")
        );
    }
}

#[test]
fn errors_say_what_came_and_what_it_should_answer() {
    for (answer, text) in [
        (
            "HTTP/1.1 400\r\n",
            r#"not a reply to NOOP: expected a reply code, then a blank or a dash, found "HTTP/1.1 400""#,
        ),
        (
            "250-a\r\n251 b\r\n",
            r#"not a reply to NOOP: expected the code of the first line, found "251 b""#,
        ),
        (
            "354 \u{1b}\r\n",
            r#"not a reply to NOOP: expected no 3yz, found "354 \x1b""#,
        ),
        (
            "250 a\n\r\n",
            r#"not a reply to NOOP: expected CRLF and no CR or LF alone, found "250 a\n\r\n""#,
        ),
    ] {
        let (mut machine, mut input, mut output) = fed(Options::new("a"), answer);
        machine.noop(&mut output).unwrap();
        let error = machine.poll(&mut input, &mut output).unwrap_err();
        assert_eq!(error.to_string(), text);
    }
    let (mut machine, mut input, mut output) = fed(Options::new("a"), "250 and one more\r\n");
    let error = machine.poll(&mut input, &mut output).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"unexpected reply "250 and one more": no command is outstanding between two commands"#
    );
    // A server that repeats what it was sent at a login is not quoted.
    let mut options = Options::new("a");
    options.tls = true;
    let (mut machine, mut input, mut output) = fed(options, "what is sesame?\r\n");
    machine.auth("PLAIN", None, &mut output).unwrap();
    let error = machine.poll(&mut input, &mut output).unwrap_err();
    assert_eq!(
        error.to_string(),
        "not a reply to AUTH: expected a reply code, then a blank or a dash, found what is not shown"
    );
}

#[test]
fn a_reply_has_its_limit_of_lines() {
    for (lines, is_reply) in [(3, true), (4, false), (5000, false)] {
        let mut options = Options::new("a");
        options.limits.reply_lines = 3;
        let answer = "250-more\r\n".repeat(lines - 1) + "250 end\r\n";
        let (mut machine, mut input, mut output) = fed(options, &answer);
        machine.noop(&mut output).unwrap();
        match machine.poll(&mut input, &mut output) {
            Ok(step) => assert!(is_reply, "{lines}: {step:?}"),
            Err(error) => {
                let text = error.to_string();
                assert!(
                    !is_reply && text.contains("too many lines"),
                    "{lines}: {text}"
                );
            }
        }
    }
}

#[test]
fn octets_in_clear_behind_starttls_are_an_error() {
    let (mut machine, mut input, mut output) = fed(Options::new("a"), "220 go\r\n250 injected\r\n");
    machine.starttls(&mut output).unwrap();
    let error = machine.poll(&mut input, &mut output).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"octets in clear after STARTTLS: "250 injected\r\n""#
    );
}
