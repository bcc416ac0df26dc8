//! `Milter` with a milter that answers what it is given.

use hikyaku_filter::{Away, Endpoint, Milter};
use std::time::Duration;

use crate::house::House;
use crate::milter_server::{Act, MilterServer, Script, agreed, answer};

const MESSAGE: &str = "Subject: hello\r\nX-Long: a\r\n\tb\r\n\r\nbody\r\n";

/// The commands that have answers, in their order.
const STEPS: [u8; 9] = *b"CHMRTLNBE";

async fn house(server: &MilterServer) -> House {
    House::new(Milter::new(server.endpoint.clone(), "mx.test")).await
}

#[tokio::test]
async fn a_milter_is_sent_the_whole_transaction() {
    let server = MilterServer::start(Script::default()).await;
    assert_eq!(house(&server).await.send(MESSAGE).await.inbox(), MESSAGE);
    let sent = server.sent().await;
    let id = sent
        .iter()
        .find_map(|command| command.strip_prefix("DTi|"))
        .unwrap();
    let id = id.strip_suffix('|').unwrap();
    let expected = [
        "DCj|mx.test|v|Hikyaku|{daemon_name}|SMTP|{client_addr}|192.0.2.1|",
        "C[192.0.2.1]|4||192.0.2.1|",
        "Hclient.test|",
        &format!("DMi|{id}|{{mail_addr}}|a@y.test|"),
        "M<a@y.test>|",
        &format!("DRi|{id}|{{rcpt_addr}}|bob@x.test|"),
        "R<bob@x.test>|",
        &format!("DRi|{id}|{{rcpt_addr}}|carol@x.test|"),
        "R<carol@x.test>|",
        &format!("DTi|{id}|"),
        "T",
        "LSubject|hello|",
        "LX-Long|a\n\tb|",
        &format!("DNi|{id}|"),
        "N",
        "Bbody\r\n",
        &format!("DEi|{id}|"),
        "E",
        "Q",
    ];
    assert_eq!(sent[1..], expected.map(str::to_owned));
}

#[tokio::test]
async fn what_it_does_not_want_is_left_out_and_what_it_does_not_answer_is_not_waited_for() {
    // Neither HELO, RCPT nor DATA; no answers to MAIL, fields and pieces of the body; values with their blank.
    let protocol = 0x02 | 0x08 | 0x0200 | 0x4000 | 0x80 | 0x0008_0000 | 0x0010_0000;
    let nothing = || Act::Answer(Vec::new());
    let script = Script::default().with(b'O', agreed(6, 0, protocol));
    let script = script
        .with(b'M', nothing())
        .with(b'L', nothing())
        .with(b'B', nothing());
    let server = MilterServer::start(script).await;
    assert_eq!(house(&server).await.send(MESSAGE).await.inbox(), MESSAGE);
    let sent = server.sent().await;
    let commands: String = sent
        .iter()
        .filter_map(|command| command.chars().next())
        .collect();
    assert_eq!(commands, "ODCDMLLDNBDEQ");
    assert!(sent.contains(&"LSubject| hello|".to_owned()), "{sent:?}");
}

#[tokio::test]
async fn a_body_goes_in_pieces_until_no_more_is_wanted() {
    let message = format!(
        "Subject: x\r\n\r\n{}",
        "0123456789012345678901234567890\r\n".repeat(5000)
    );
    let octets = message.len() - "Subject: x\r\n\r\n".len();
    for (act, pieces) in [
        (answer(b"c"), vec![65_535, 65_535, octets - 131_070]),
        (answer(b"s"), vec![65_535]),
    ] {
        let script = Script::default()
            .with(b'O', agreed(6, 0, 0x0400))
            .with(b'B', act);
        let server = MilterServer::start(script).await;
        assert_eq!(house(&server).await.send(&message).await.inbox(), message);
        let sent = server.sent().await;
        let bodies = sent.iter().filter(|command| command.starts_with('B'));
        let lengths: Vec<_> = bodies.map(|body| body.len() - 1).collect();
        assert_eq!(lengths, pieces);
    }
}

#[tokio::test]
async fn every_step_may_refuse_or_accept() {
    for step in STEPS {
        let shown = char::from(step);
        for (packet, expected) in [
            (&b"r"[..], "550 5.7.1 Refused by a filter"),
            (b"t", "451 4.7.1 Try again later"),
            (b"d", "550 5.7.1 Message not wanted"),
            (b"y554 5.7.0 You have\r\n\0", "554 5.7.0 You have"),
        ] {
            let server = MilterServer::start(Script::default().first(step, answer(packet))).await;
            let house = house(&server).await;
            let outcome = house.send(MESSAGE).await;
            assert_eq!(outcome.reply, expected, "{shown}");
            assert_eq!(outcome.stored, None, "{shown}");
            // The next message is another one.
            assert_eq!(house.send(MESSAGE).await.inbox(), MESSAGE);
        }
        let server = MilterServer::start(Script::default().with(step, answer(b"a"))).await;
        assert_eq!(house(&server).await.send(MESSAGE).await.inbox(), MESSAGE);
        let sent = server.sent().await;
        let last = sent
            .iter()
            .rposition(|command| command.as_bytes()[0] == step)
            .unwrap();
        let rest: Vec<_> = sent[last + 1..].iter().map(String::as_str).collect();
        let expected: &[&str] = if step == b'E' { &["Q"] } else { &["A", "Q"] };
        assert_eq!(rest, expected, "{shown}");
    }
}

#[tokio::test]
async fn a_milter_changes_a_message() {
    for (packets, expected, junk) in [
        (
            vec![&b"hX-A\0one\n two\0"[..]],
            "Subject: hello\r\nX-Long: a\r\n\tb\r\nX-A: one\r\n two\r\n\r\nbody\r\n",
            false,
        ),
        (
            vec![b"i\0\0\0\0X-A\0one\0", b"i\0\0\0\x03X-B\0two\0"],
            "X-A: one\r\nSubject: hello\r\nX-B: two\r\nX-Long: a\r\n\tb\r\n\r\nbody\r\n",
            false,
        ),
        (
            vec![b"m\0\0\0\x01subject\0changed\0", b"m\0\0\0\x01X-Long\0\0"],
            "subject: changed\r\n\r\nbody\r\n",
            false,
        ),
        (
            vec![b"p", b"bnew\n", b"p", b"bbody\r\n", b"p"],
            "Subject: hello\r\nX-Long: a\r\n\tb\r\n\r\nnew\r\nbody\r\n",
            false,
        ),
        (vec![b"qwhy\0"], MESSAGE, true),
    ] {
        for last in [b"c", b"a"] {
            let mut packets: Vec<_> = packets.iter().map(|packet| packet.to_vec()).collect();
            packets.push(last.to_vec());
            let server =
                MilterServer::start(Script::default().with(b'E', Act::Answer(packets))).await;
            let outcome = house(&server).await.send(MESSAGE).await;
            assert_eq!(outcome.junk, junk);
            assert_eq!(outcome.stored.as_deref(), Some(expected));
        }
    }
    // What it changed does not count when it refuses.
    let packets = vec![b"hX-A\0one\0".to_vec(), b"r".to_vec()];
    let server = MilterServer::start(Script::default().with(b'E', Act::Answer(packets))).await;
    let outcome = house(&server).await.send(MESSAGE).await;
    assert_eq!(outcome.reply, "550 5.7.1 Refused by a filter");
    assert_eq!(outcome.stored, None);
}

#[tokio::test]
async fn a_unix_socket_will_do() {
    let folder = tempfile::tempdir().unwrap();
    let script = Script::default().with(b'M', answer(b"r"));
    let server = MilterServer::start_unix(folder.path(), script);
    let outcome = house(&server).await.send(MESSAGE).await;
    assert_eq!(outcome.reply, "550 5.7.1 Refused by a filter");
}

/// Sends a message to a milter that is away in that way, under either policy; the next finds it back, where it can.
async fn away(step: u8, act: Act, within: Duration) {
    let shown = format!("{:?} {act:?}", char::from(step))
        .chars()
        .take(90)
        .collect::<String>();
    for policy in [Away::Defer, Away::Accept] {
        let server = MilterServer::start(Script::default().first(step, act.clone())).await;
        let milter = Milter::new(server.endpoint.clone(), "mx.test").away(policy);
        let milter = milter.within(within);
        let house = House::new(milter).await;
        let outcome = house.send(MESSAGE).await;
        match policy {
            Away::Accept => assert_eq!(outcome.inbox(), MESSAGE, "{shown}"),
            Away::Defer => {
                assert!(
                    outcome.reply.starts_with("451 4.3.2 "),
                    "{shown}: {outcome:?}"
                );
                assert_eq!(outcome.stored, None);
            }
        }
        if !matches!(act, Act::Silence) {
            assert_eq!(house.send(MESSAGE).await.inbox(), MESSAGE, "{shown}");
        }
    }
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn while_it_is_away_mail_is_deferred_or_accepted_as_it_came() {
    for act in [
        agreed(1, 0, 0),
        agreed(7, 0, 0),
        agreed(6, 0x04, 0),
        answer(b"c"),
        answer(b"Oshort"),
    ] {
        away(b'O', act, LONG).await;
    }
    for step in b"O".iter().chain(&STEPS) {
        for octets in [
            &b""[..],
            b"\0\0\0\0",
            b"\xff\xff\xff\xffc",
            b"\0\0\0\x02c",
            b"\0\0\0\x01?",
        ] {
            away(*step, Act::Raw(octets.to_vec()), LONG).await;
        }
    }
    // Changes before the end, an answer that only a body has, and one that is no refusal.
    away(b'M', answer(b"hX-A\0one\0"), LONG).await;
    away(b'M', answer(b"s"), LONG).await;
    away(b'M', answer(b"y250 2.0.0 fine\0"), LONG).await;
    away(b'E', answer(b"+<eve@z.test>\0"), LONG).await;
    away(b'E', answer(b"hX A\0one\0"), LONG).await;
    away(b'E', Act::Answer(vec![b"hX-A\0one\0".to_vec(); 1001]), LONG).await;
    let piece = [&b"b"[..], &[b'x'; 65_535]].concat();
    away(b'E', Act::Answer(vec![piece; 20]), LONG).await;
}

#[tokio::test]
async fn a_silent_milter_is_away_and_progress_is_not_for_ever() {
    let short = Duration::from_millis(100);
    away(b'O', Act::Silence, short).await;
    away(b'E', Act::Silence, short).await;
    // Silence after progress; the whole ends, whatever an answer may take.
    away(b'E', answer(b"p"), short).await;
    let server = MilterServer::start(Script::default().with(b'H', Act::Silence)).await;
    let milter = Milter::new(server.endpoint.clone(), "mx.test").answer_within(short);
    let outcome = House::new(milter).await.send(MESSAGE).await;
    assert!(outcome.reply.starts_with("451 4.3.2 "), "{outcome:?}");
}

#[tokio::test]
async fn where_nobody_listens_mail_is_deferred_or_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = Endpoint::Unix(folder.path().join("nothing"));
    let house = House::new(Milter::new(nowhere.clone(), "mx.test")).await;
    assert!(house.send(MESSAGE).await.reply.starts_with("451 4.3.2 "));
    let house = House::new(Milter::new(nowhere, "mx.test").away(Away::Accept)).await;
    assert_eq!(house.send(MESSAGE).await.inbox(), MESSAGE);
}
