//! BDAT (RFC 3030): from Exim to ours, and from our client machine to Postfix and to Exim.

use bytes::Bytes;
use hikyaku_smtp_programs::{Exim, House, Postfix, free_port};
use hikyaku_smtp_proto::client::{Bdat, Connection, Envelope, Event, Options, Survey};
use hikyaku_smtp_proto::{ForwardPath, Mailbox, ReversePath};
use hikyaku_wire::drive::{Driver, Next};
use mailserver::Protocol;
use tokio::net::TcpStream;

/// A body of everything that DATA would have to look after.
fn body(length: usize) -> String {
    let lines = ".\r\n..\r\n.dot\r\nFrom the beginning\r\n\r\nline\r\n\t tab \r\n";
    lines.repeat(length / lines.len() + 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_exim_to_ours() {
    let house = House::with("").await;
    let exim = Exim::start(house.port(Protocol::Smtp));
    for (count, length) in [1, 10_000, 3_000_000].into_iter().enumerate() {
        let body = body(length);
        let message =
            format!("From: x@exim.test\r\nSubject: by BDAT\r\n\r\n{body}").replace("\r\n", "\n");
        let done = exim.send("x@exim.test", "bob@example.test", &message);
        assert_eq!(done.code, 0, "{}{}", done.said, exim.log());
        let mail = house.gets("bob", count + 1).await;
        let (_, text) = mail[count].split_once("\r\n\r\n").unwrap();
        assert_eq!(text, body, "{length}");
    }
    // K in Exim's log: CHUNKING was used.
    let log = exim.log();
    let sent: Vec<_> = log
        .lines()
        .filter(|line| line.contains(" => bob@example.test"))
        .collect();
    assert_eq!(sent.len(), 3, "{log}");
    for line in sent {
        assert!(line.split(' ').any(|word| word == "K"), "{line}");
        // Under TLS, which Exim takes where it is offered.
        assert!(line.contains(" X=TLS1.3:"), "{line}");
    }
    // One that is refused at the end of its BDAT, and one at RCPT, which no chunk follows.
    let message = format!(
        "{}Subject: x\n\nx\n",
        "Received: from a by b; Tue, 24 Nov 2026 10:00:00 +0000\n".repeat(101)
    );
    let _ = exim.send("<>", "bob@example.test", &message);
    let _ = exim.send("<>", "nobody@example.test", "Subject: x\n\nx\n");
    let log = exim.log();
    for text in ["554 5.4.6 Mail loop", "550 5.1.1 No such mailbox here"] {
        assert!(log.contains(text), "{text}: {log}");
    }
    house.gets("bob", 3).await;
    house.server.stop().await;
}

/// Sends a message by BDAT; the last reply.
async fn send(port: u16, to: &str, body: &str) -> String {
    let mut options = Options::new("client.test");
    options.bdat = Bdat::WhenOffered;
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut driver = Driver::new(Connection::new(options), stream);
    let message = Bytes::from(format!(
        "From: x@client.test\r\nSubject: by BDAT\r\n\r\n{body}"
    ));
    let mut said = String::new();
    loop {
        let event = match driver.next_async().await.unwrap() {
            Next::Event(event) => event,
            Next::Closed => return said,
            _ => continue,
        };
        let (machine, output) = driver.split();
        match event {
            Event::Connected(has) => {
                assert!(has.chunking, "{has:?}");
                let from = ReversePath(Mailbox::parse(b"x@client.test").ok());
                let to = ForwardPath::Mailbox(Mailbox::parse(to.as_bytes()).unwrap());
                let envelope = Envelope::new(from, vec![to]).surveyed(&Survey::of(&message));
                machine.send(envelope, output).unwrap();
            }
            Event::SendBody => {
                // In chunks that end within lines, within CRLF and behind dots.
                let mut rest = message.clone();
                for size in [1, 2, 3, 700, 7001].into_iter().cycle() {
                    if rest.is_empty() {
                        break;
                    }
                    let piece = rest.split_to(rest.len().min(size));
                    let (machine, output) = driver.split();
                    machine.chunk(piece, output).unwrap();
                    driver.flush_if_full().await.unwrap();
                }
                let (machine, output) = driver.split();
                machine.end_of_body(output).unwrap();
            }
            Event::Delivered { reply, .. }
            | Event::DataRefused(reply)
            | Event::MailRefused(reply) => {
                said = reply.to_string();
            }
            Event::Completed => machine.quit(output).unwrap(),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_our_client_to_exim() {
    let exim = Exim::start(free_port());
    for (count, length) in [1, 50_000, 2_000_000].into_iter().enumerate() {
        let body = body(length);
        let said = send(exim.smtp, "x@exim.test", &body).await;
        assert!(said.starts_with("250"), "{said} {}", exim.log());
        let mail = exim.gets(count + 1).await;
        let expected = body.replace("\r\n", "\n");
        let found = mail
            .iter()
            .any(|one| one.split_once("\n\n").unwrap().1 == expected);
        assert!(found, "{length}");
    }
    let log = exim.log();
    let came: Vec<_> = log
        .lines()
        .filter(|line| line.contains(" <= x@client.test"))
        .collect();
    assert_eq!(came.len(), 3, "{log}");
    for line in came {
        assert!(line.split(' ').any(|word| word == "K"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_our_client_to_postfix() {
    let Some(postfix) = Postfix::start("") else {
        return;
    };
    for (count, length) in [1, 50_000, 2_000_000].into_iter().enumerate() {
        let body = body(length);
        let said = send(postfix.smtp, "carol@postfix.test", &body).await;
        assert!(said.starts_with("250"), "{said} {}", postfix.log());
        let mail = postfix.gets("carol", count + 1).await;
        let expected = body.replace("\r\n", "\n");
        let found = mail
            .iter()
            .any(|one| one.split_once("\n\n").unwrap().1 == expected);
        assert!(found, "{length}");
    }
}
