use super::*;
use crate::ForwardPath;
use bytes::Buf as _;
use hikyaku_wire::testkit::{Actor, Reported, Role, replay_folder};
use std::format;
use std::string::{String, ToString as _};

struct Client;

impl Actor for Client {
    type Machine = Connection;
    const ROLE: Role = Role::Client;

    fn machine(&self, options: &[String]) -> Connection {
        let mut o = Options::new("client.test");
        o.login_needs_tls = false;
        let has = |name: &str| options.iter().any(|option| option == name);
        o.lmtp = has("lmtp");
        o.pipelining = !has("one-by-one");
        if has("bdat") {
            o.bdat = Bdat::WhenOffered;
        }
        if let Some(at) = options.iter().position(|option| option == "in-flight") {
            o.limits.in_flight = options[at + 1].parse().unwrap();
        }
        Connection::new(o)
    }

    fn report(&self, event: Event) -> Reported {
        Reported::Line(match event {
            Event::Connected(all) => format!(
                "Connected pipelining={} starttls={}",
                all.pipelining, all.starttls
            ),
            Event::Bye(reply) => format!("Bye {reply}"),
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
                .authenticate(
                    "PLAIN",
                    words.next().map(|w| Secret::from(w.as_bytes().to_vec())),
                    output,
                )
                .unwrap(),
            "auth-long" => {
                let initial = Secret::from(std::vec![b'x'; 384]);
                machine
                    .authenticate("PLAIN", Some(initial), output)
                    .unwrap();
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
            "ask" => {
                let text = act.strip_prefix("ask ").unwrap();
                machine.send(asked(text), output).unwrap();
            }
            "part" => {
                let text = words.collect::<std::vec::Vec<_>>().join(" ");
                let text = hikyaku_wire::testkit::unescape(&text);
                machine.chunk(text.into(), output).unwrap();
            }
            "large" => machine
                .chunk(std::vec![b'x'; 256 * 1024].into(), output)
                .unwrap(),
            "end" => machine.end_of_body(output).unwrap(),
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
}

/// The envelope of a message that asks for what `MAIL ..; RCPT ..; RCPT ..` does.
fn asked(text: &str) -> Envelope {
    let mut envelope = Envelope::default();
    for line in text.split("; ") {
        match crate::Command::parse(&Bytes::copy_from_slice(line.as_bytes())).unwrap() {
            crate::Command::Mail {
                reverse_path,
                parameters,
            } => {
                envelope.reverse_path = reverse_path;
                envelope.octets = parameters.size;
                envelope.binary = parameters.body == Some(crate::BodyType::BinaryMime);
                envelope.eight_bit = parameters.body == Some(crate::BodyType::EightBitMime);
                envelope.parameters = parameters;
            }
            crate::Command::Rcpt {
                forward_path,
                parameters,
            } => {
                let mut recipient = Recipient::from(forward_path);
                recipient.parameters = parameters;
                envelope.recipients.push(recipient);
            }
            other => panic!("{other:?}"),
        }
    }
    envelope
}

/// A client whose server announces these extensions.
fn connected(options: Options, lines: &[&str]) -> (Connection, Output) {
    let mut machine = Connection::new(options);
    let mut reply = String::from("220 mx\r\n250-mx\r\n");
    for (nth, line) in lines.iter().enumerate() {
        let last = nth + 1 == lines.len();
        reply.push_str(&format!("250{}{line}\r\n", if last { ' ' } else { '-' }));
    }
    let (mut input, mut output) = (BytesMut::from(&reply[..]), Output::new());
    while let Ok(Step::Event(_)) = machine.poll(&mut input, &mut output) {}
    output.advance(output.len());
    (machine, output)
}

#[test]
fn what_cannot_be_left_out_is_not_sent_to_a_server_without_it() {
    let to = "RCPT TO:<c@d.test>";
    for (mail, rcpt, needs, error) in [
        ("REQUIRETLS", to, "REQUIRETLS", SendError::NeedsRequireTls),
        ("BY=60;R", to, "DELIVERBY", SendError::NeedsDeliverBy),
        (
            "HOLDFOR=60",
            to,
            "FUTURERELEASE 90 2026-12-24T18:00:00Z",
            SendError::NeedsFutureRelease,
        ),
        ("BODY=8BITMIME", to, "8BITMIME", SendError::Needs8BitMime),
        (
            "SIZE=1 RET=FULL",
            "RCPT TO:<c@d.test> RRVS=2014-04-03T23:01:00Z;R",
            "RRVS",
            SendError::NeedsRrvs,
        ),
    ] {
        let text = format!("MAIL FROM:<a@b.test> {mail}; {rcpt}");
        let (mut machine, mut output) = connected(Options::new("c"), &["DSN"]);
        assert_eq!(
            machine.send(asked(&text), &mut output),
            Err(error),
            "{mail}"
        );
        assert!(output.is_empty() && error.reply().code() >= 400);
        let (mut machine, mut output) = connected(Options::new("c"), &["DSN", needs]);
        assert_eq!(machine.send(asked(&text), &mut output), Ok(()), "{mail}");
    }
    let binary = format!("MAIL FROM:<a@b.test> BODY=BINARYMIME; {to}");
    for (has, bdat, sent) in [
        (&["CHUNKING"][..], Bdat::WhenNeeded, false),
        (&["BINARYMIME"], Bdat::WhenNeeded, false),
        (&["BINARYMIME", "CHUNKING"], Bdat::Never, false),
        (&["BINARYMIME", "CHUNKING"], Bdat::WhenNeeded, true),
    ] {
        let mut options = Options::new("c");
        options.bdat = bdat;
        let (mut machine, mut output) = connected(options, has);
        let begun = machine.send(asked(&binary), &mut output);
        let expected = if sent {
            Ok(())
        } else {
            Err(SendError::NeedsBinaryMime)
        };
        assert_eq!(begun, expected, "{has:?} {bdat:?}");
    }
    let three = format!("MAIL FROM:<a@b.test>; {to}; {to}; {to}");
    let (mut machine, mut output) = connected(Options::new("c"), &["LIMITS RCPTMAX=2"]);
    let limit = SendError::TooManyRecipients { limit: 2 };
    assert_eq!(machine.send(asked(&three), &mut output), Err(limit));
}

/// RFC 3030 §2: behind a chunk that is refused no other is sent, and what was pipelined is answered in vain.
#[test]
fn a_chunk_that_is_refused_ends_the_message() {
    let mut options = Options::new("c");
    options.bdat = Bdat::WhenOffered;
    let (mut machine, mut output) = connected(options, &["CHUNKING"]);
    let text = "MAIL FROM:<a@b.test>; RCPT TO:<c@d.test>";
    machine.send(asked(text), &mut output).unwrap();
    let hears = |machine: &mut Connection, octets: &str, output: &mut Output| {
        let mut input = BytesMut::from(octets);
        let mut events = std::vec::Vec::new();
        while let Ok(Step::Event(event)) = machine.poll(&mut input, output) {
            events.push(format!("{event:?}").split('(').next().unwrap().to_string());
        }
        events.join(" ")
    };
    let events = hears(&mut machine, "250 ok\r\n250 ok\r\n", &mut output);
    assert_eq!(
        events,
        "Recipient { index: 0, reply: Reply { code: 250, enhanced: None, lines: One SendBody"
    );
    let large = Bytes::from(std::vec![b'x'; 256 * 1024]);
    for _ in 0..3 {
        machine.chunk(large.clone(), &mut output).unwrap();
    }
    assert_eq!(hears(&mut machine, "250 ok\r\n", &mut output), "");
    assert_eq!(
        hears(&mut machine, "452 4.3.1 full\r\n", &mut output),
        "DataRefused"
    );
    output.advance(output.len());
    machine.chunk(large, &mut output).unwrap();
    machine.end_of_body(&mut output).unwrap();
    assert!(output.is_empty());
    assert_eq!(hears(&mut machine, "503 5.5.1 no\r\n", &mut output), "");
    assert_eq!(output.chunk(), b"RSET\r\n");
    assert_eq!(hears(&mut machine, "250 ok\r\n", &mut output), "Completed");
    machine.quit(&mut output).unwrap();
}

#[test]
fn a_size_that_was_announced_is_kept_or_the_connection_ends() {
    for (octets, ok) in [("x\r\n", true), ("x", true), ("xy\r\n", false), ("", false)] {
        let mut options = Options::new("c");
        options.bdat = Bdat::WhenOffered;
        let (mut machine, mut output) = connected(options, &["CHUNKING"]);
        let text = "MAIL FROM:<a@b.test> SIZE=3; RCPT TO:<c@d.test>";
        machine.send(asked(text), &mut output).unwrap();
        let mut input = BytesMut::from("250 ok\r\n250 ok\r\n");
        while let Ok(Step::Event(event)) = machine.poll(&mut input, &mut output) {
            if let Event::SendBody = event {
                break;
            }
        }
        let sent = machine.chunk(octets.into(), &mut output);
        let sent = sent.and_then(|()| machine.end_of_body(&mut output));
        let expected = if ok {
            Ok(())
        } else {
            Err(BodyError::WrongSize)
        };
        assert_eq!(sent, expected, "{octets:?}");
        let step = machine.poll(&mut BytesMut::new(), &mut output).unwrap();
        assert_eq!(matches!(step, Step::Closed), !ok);
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
    let misuse = machine
        .authenticate("PLAIN", secret(), &mut output)
        .unwrap_err();
    assert_eq!(misuse.reason(), Reason::NeedsTls);
    assert_eq!(
        misuse.to_string(),
        "authenticate: not allowed without TLS unless login_needs_tls is false (between two commands)"
    );
    assert!(output.is_empty());
    machine.starttls(&mut output).unwrap();
    while let Ok(Step::Event(_)) = machine.poll(&mut input, &mut output) {}
    machine.tls_established(&mut output);
    input.extend_from_slice(b"250 b\r\n");
    while let Ok(Step::Event(_)) = machine.poll(&mut input, &mut output) {}
    machine
        .authenticate("PLAIN", secret(), &mut output)
        .unwrap();

    let mut options = Options::new("a");
    options.tls = true;
    let (mut machine, _, mut output) = fed(options, "");
    machine
        .authenticate("PLAIN", secret(), &mut output)
        .unwrap();
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
            .authenticate("X", None, &mut output)
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
        .zip(["quit", "authenticate", "respond", "chunk", "send"])
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
    machine.authenticate("PLAIN", None, &mut output).unwrap();
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
