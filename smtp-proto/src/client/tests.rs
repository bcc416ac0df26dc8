use super::*;
use hikyaku_wire::testkit::{Actor, Role, Told, replay_folder};
use std::format;
use std::string::String;

struct Client;

impl Actor for Client {
    type Machine = Connection;
    const ROLE: Role = Role::Client;

    fn machine(&self, options: &[String]) -> Connection {
        let mut o = Options::new("client.test");
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
                assert_eq!(after, Err(Misuse));
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
    assert_eq!(machine.end_of_input(), Err(Error::Unanswered));
    assert_eq!(machine.end_of_input(), Ok(()));
    assert_eq!(
        Connection::new(Options::new("a")).quit(&mut Output::new()),
        Err(Misuse)
    );
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
