//! The two machines of the protocol talk to each other: both must agree on what happened.

use crate::{ForwardPath, Mailbox, Reply, ReversePath, client, server};
use bytes::{Bytes, BytesMut};
use client::{Envelope, SendError};
use hikyaku_wire::testkit::{End, Random, converse};
use hikyaku_wire::{Machine as _, Output};
use proptest::prelude::*;
use std::string::{String, ToString as _};
use std::vec::Vec;
use std::{format, vec};

/// For which recipient, and what.
type Kept = (usize, Bytes);

/// A message, and what the server thinks of it.
#[derive(Debug, Clone)]
struct Letter {
    mail: bool,
    /// Whether each recipient is taken, and with LMTP whether the message is taken for it.
    recipients: Vec<(bool, bool)>,
    data: bool,
    taken: bool,
    body: Bytes,
    eight_bit: bool,
    international: bool,
}

fn any_body() -> impl Strategy<Value = Bytes> {
    let piece = proptest::sample::select(&[".", "..", "a", "\r\n", "\r\n.\r\n", "Subject: x"][..]);
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| {
        let mut text = pieces.concat();
        if !text.is_empty() && !text.ends_with("\r\n") {
            text.push_str("\r\n");
        }
        text.into()
    })
}

fn any_letter() -> impl Strategy<Value = Letter> {
    let often = || proptest::bool::weighted(0.8);
    let seldom = || proptest::bool::weighted(0.2);
    let recipients =
        proptest::collection::vec((proptest::bool::weighted(0.6), any::<bool>()), 0..9);
    (
        often(),
        recipients,
        often(),
        often(),
        any_body(),
        seldom(),
        seldom(),
    )
        .prop_map(
            |(mail, recipients, data, taken, body, eight_bit, international)| Letter {
                mail,
                recipients,
                data,
                taken,
                body,
                eight_bit,
                international,
            },
        )
}

/// What the server says of itself.
#[derive(Debug, Clone, Default)]
struct Announced {
    pipelining: bool,
    size: Option<u64>,
    eight_bit_mime: bool,
    smtputf8: bool,
}

fn any_announced() -> impl Strategy<Value = Announced> {
    let size = proptest::option::weighted(0.5, 20..100_u64);
    (any::<bool>(), size, any::<bool>(), any::<bool>()).prop_map(
        |(pipelining, size, eight_bit_mime, smtputf8)| Announced {
            pipelining,
            size,
            eight_bit_mime,
            smtputf8,
        },
    )
}

impl Announced {
    fn reply(&self) -> Reply {
        let lines = [
            (true, "mx.test".into()),
            (self.pipelining, "PIPELINING".into()),
            (
                self.size.is_some(),
                format!("SIZE {}", self.size.unwrap_or(0)).into(),
            ),
            (self.eight_bit_mime, "8BITMIME".into()),
            (self.smtputf8, "SMTPUTF8".into()),
        ];
        Reply::of_lines(
            250,
            "",
            lines
                .into_iter()
                .filter(|(has, _)| *has)
                .map(|(_, line)| line),
        )
    }

    fn refuses(&self, letter: &Letter) -> Option<SendError> {
        let octets = letter.body.len() as u64;
        if letter.recipients.is_empty() {
            Some(SendError::NoRecipient)
        } else if letter.international && !self.smtputf8 {
            Some(SendError::NeedsSmtpUtf8)
        } else if letter.eight_bit && !self.eight_bit_mime {
            Some(SendError::Needs8BitMime)
        } else {
            let limit = self.size.filter(|&limit| octets > limit);
            limit.map(|limit| SendError::TooLarge { limit })
        }
    }
}

impl Letter {
    fn envelope(&self, at: usize) -> Envelope {
        let mailbox =
            |local: String| Mailbox::parse(format!("{local}@mail.test").as_bytes()).unwrap();
        let rcpt = |to| ForwardPath::Mailbox(mailbox(format!("r{to}")));
        let recipients = (0..self.recipients.len()).map(rcpt).collect();
        let mut envelope = Envelope::new(ReversePath(Some(mailbox(format!("s{at}")))), recipients);
        envelope.octets = Some(self.body.len() as u64);
        envelope.eight_bit = self.eight_bit;
        envelope.international = self.international;
        envelope
    }

    /// What the client sees, each with what the server keeps by then.
    fn outcome(&self, lmtp: bool, seen: &mut Vec<(String, Vec<Kept>)>) {
        let mut add = |what: String, kept: Vec<Kept>| seen.push((what, kept));
        let say = |yes| if yes { "yes" } else { "no" };
        if self.mail {
            for (index, (accepted, _)) in self.recipients.iter().enumerate() {
                add(format!("rcpt {index} {}", say(*accepted)), vec![]);
            }
        } else {
            add("mail no".into(), vec![]);
        }
        let accepted = self.recipients.iter().enumerate();
        let accepted = accepted.filter(|(_, (accepted, _))| self.mail && *accepted);
        let kept: Vec<_> = accepted
            .map(|(index, (_, taken))| (index, if lmtp { *taken } else { self.taken }))
            .collect();
        let all = |kept: &[(usize, bool)]| {
            let taken = kept.iter().filter(|(_, taken)| *taken);
            taken
                .map(|(index, _)| (*index, self.body.clone()))
                .collect()
        };
        if kept.is_empty() {
        } else if !self.data {
            add("data no".into(), vec![]);
        } else {
            add("body".into(), vec![]);
            if lmtp {
                for one in kept {
                    let what = format!("delivered Some({}) {}", one.0, say(one.1));
                    add(what, all(&[one]));
                }
            } else {
                add(format!("delivered None {}", say(self.taken)), all(&kept));
            }
        }
        add("done".into(), vec![]);
    }
}

/// The server's side: which letter it has, and what it keeps.
#[derive(Debug, Default)]
struct Reception {
    letter: usize,
    accepted: Vec<usize>,
    rcpts: usize,
    body: BytesMut,
    stored: Vec<Kept>,
    /// So many questions until it says 421.
    left: Option<u32>,
}

impl Reception {
    fn answer(
        &mut self,
        machine: &mut server::Connection,
        event: server::Event,
        (letters, announced): (&[Letter], &Announced),
        lmtp: bool,
        output: &mut Output,
    ) {
        let no = Reply::new(550, "5.0.0", "no");
        if let server::Event::Chunk(octets) = event {
            return self.body.extend_from_slice(&octets);
        }
        if let server::Event::Reset = event {
            return;
        }
        if let Some(left) = &mut self.left {
            if *left == 0 {
                let reply = Reply::new(421, "4.3.2", "stopping");
                return machine.reply(&reply, output).unwrap();
            }
            *left -= 1;
        }
        let yes = match event {
            server::Event::Connected => true,
            server::Event::Hello { .. } => {
                return machine.reply(&announced.reply(), output).unwrap();
            }
            server::Event::Mail {
                reverse_path,
                parameters,
            } => {
                let name = reverse_path.0.unwrap().local_part()[1..].to_string();
                self.letter = name.parse().unwrap();
                self.rcpts = 0;
                self.accepted.clear();
                let letter = &letters[self.letter];
                // Only what was announced may be asked for.
                let octets = letter.body.len() as u64;
                assert_eq!(parameters.size, announced.size.map(|_| octets));
                assert!(announced.smtputf8 || !parameters.smtputf8);
                assert!(announced.eight_bit_mime || parameters.body.is_none());
                letter.mail
            }
            server::Event::Rcpt { .. } => {
                let (yes, _) = letters[self.letter].recipients[self.rcpts];
                self.accepted.extend(yes.then_some(self.rcpts));
                self.rcpts += 1;
                yes
            }
            server::Event::Data => {
                self.body.clear();
                letters[self.letter].data
            }
            server::Event::EndOfBody => {
                let letter = &letters[self.letter];
                let body = self.body.split().freeze();
                let mut verdicts = Vec::new();
                for index in self.accepted.drain(..) {
                    let taken = if lmtp {
                        letter.recipients[index].1
                    } else {
                        letter.taken
                    };
                    self.stored.extend(taken.then(|| (index, body.clone())));
                    verdicts.push(taken);
                }
                verdicts.truncate(if lmtp { usize::MAX } else { 1 });
                for taken in verdicts {
                    if taken {
                        machine.accept(output).unwrap();
                    } else {
                        machine.reply(&no, output).unwrap();
                    }
                }
                return;
            }
            other => panic!("{other:?}"),
        };
        if yes {
            machine.accept(output).unwrap();
        } else {
            machine.reply(&no, output).unwrap();
        }
    }
}

proptest! {
    #[test]
    fn both_ends_agree(
        letters in proptest::collection::vec(any_letter(), 0..8),
        announced in any_announced(),
        lmtp: bool,
        in_flight in 1..8_usize,
        hang_up in proptest::option::weighted(0.3, 0..40_u32),
        seed in 1..u64::MAX,
    ) {
        let mut options = client::Options::new("client.test");
        options.lmtp = lmtp;
        options.limits.in_flight = in_flight;
        let mut a = End::new(client::Connection::new(options));
        let mut patient = server::Options::new("mx.test");
        (patient.lmtp, patient.smtputf8) = (lmtp, true);
        patient.limits.errors = 1000;
        let mut b = End::new(server::Connection::new(patient));

        let mut seen = Vec::new();
        let mut next = 0;
        let say = |reply: &Reply| if reply.is_positive() { "yes" } else { "no" };
        let on_client = &mut |machine: &mut client::Connection, event, output: &mut Output| {
            let goes_on = matches!(event, client::Event::Connected(_) | client::Event::Completed);
            match event {
                client::Event::Connected(has) => assert_eq!(has.pipelining, announced.pipelining),
                client::Event::MailRefused(_) => seen.push("mail no".to_string()),
                client::Event::Recipient { index, reply } => {
                    seen.push(format!("rcpt {index} {}", say(&reply)));
                }
                client::Event::SendBody => {
                    seen.push("body".into());
                    for piece in letters[next - 1].body.chunks(7) {
                        machine.chunk(Bytes::copy_from_slice(piece), output).unwrap();
                    }
                    machine.end_of_body(output).unwrap();
                }
                client::Event::Delivered { index, reply } => {
                    seen.push(format!("delivered {index:?} {}", say(&reply)));
                }
                client::Event::DataRefused(_) => seen.push("data no".into()),
                client::Event::Bye(reply) => {
                    assert_eq!(reply.code(), 421);
                    seen.push("421".into());
                }
                client::Event::Completed => seen.push("done".into()),
                other => panic!("{other:?}"),
            }
            if !goes_on {
                return;
            }
            loop {
                let Some(letter) = letters.get(next) else {
                    return machine.quit(output).unwrap();
                };
                next += 1;
                let sent = machine.send(letter.envelope(next - 1), output);
                assert_eq!(sent.err(), announced.refuses(letter));
                if sent.is_ok() {
                    return;
                }
            }
        };
        let mut reception = Reception { left: hang_up, ..Reception::default() };
        let on_server = &mut |machine: &mut server::Connection, event, output: &mut Output| {
            reception.answer(machine, event, (&letters, &announced), lmtp, output);
        };
        converse(&mut a, &mut b, &mut Random(seed), on_client, on_server);

        prop_assert!(a.closed && b.closed && a.input.is_empty());
        prop_assert_eq!(a.machine.end_of_input(), Ok(()));
        let mut model = Vec::new();
        for letter in letters.iter().filter(|letter| announced.refuses(letter).is_none()) {
            letter.outcome(lmtp, &mut model);
        }
        let cut_short = seen.last().is_some_and(|last| last == "421");
        if cut_short {
            seen.pop();
            model.truncate(seen.len());
        }
        prop_assert!(cut_short || b.input.is_empty());
        prop_assert_eq!(seen, model.iter().map(|(seen, _)| seen.clone()).collect::<Vec<_>>());
        let kept: Vec<_> = model.into_iter().flat_map(|(_, kept)| kept).collect();
        prop_assert_eq!(reception.stored, kept);
    }
}
