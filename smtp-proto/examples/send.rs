//! Hands a message to a server, as `sendmail` does:
//!
//!     cargo run -p hikyaku-smtp-proto --example send -- localhost:2525 me@a.test you@b.test <message
//!
//! The message is all of standard input. The connection is in clear, as it is to a server on this
//! machine; for TLS, `send` takes any stream that can be read and written.

use hikyaku_smtp_proto::client::{Connection, Envelope, Event, Options};
use hikyaku_smtp_proto::{ForwardPath, Mailbox, Reply, ReversePath};
use hikyaku_wire::drive::{Driver, Next};
use std::error::Error;
use std::io::{Read, Write};

/// What became of each recipient, in the order of the envelope.
pub fn send(
    stream: impl Read + Write,
    from: &str,
    to: &[String],
    message: &[u8],
) -> Result<Vec<Reply>, Box<dyn Error>> {
    let mailbox = |address: &str| Mailbox::parse(address.as_bytes());
    let to = to.iter().map(|to| mailbox(to).map(ForwardPath::Mailbox));
    let envelope = Envelope::of_message(
        ReversePath(Some(mailbox(from)?)),
        to.collect::<Result<_, _>>()?,
        message,
    );

    let mut driver = Driver::new(Connection::new(Options::new("localhost")), stream);
    let mut envelope = Some(envelope);
    let mut fates = Vec::new();
    loop {
        let event = match driver.next()? {
            Next::Event(event) => event,
            Next::Closed => return Ok(fates),
            Next::NeedAnswer | Next::StartTls | Next::Compress => {
                return Err("not asked for".into());
            }
        };
        let (smtp, output) = driver.split();
        match event {
            Event::Connected(_) => {
                if let Some(envelope) = envelope.take() {
                    smtp.send(envelope, output)?;
                }
            }
            Event::Recipient { reply, .. } => fates.push(reply),
            Event::SendBody => {
                smtp.chunk(message.to_vec().into(), output)?;
                smtp.end_of_body(output)?;
            }
            // One word about the message holds for all that were accepted.
            Event::Delivered { reply, .. } | Event::DataRefused(reply) => {
                for fate in fates.iter_mut().filter(|fate| fate.is_positive()) {
                    fate.clone_from(&reply);
                }
            }
            Event::Completed => smtp.quit(output)?,
            Event::Bye(reply) | Event::MailRefused(reply) => return Err(text(&reply).into()),
            _ => {}
        }
    }
}

/// A reply in one line.
fn text(reply: &Reply) -> String {
    let lines = reply
        .lines()
        .iter()
        .map(|line| String::from_utf8_lossy(line));
    format!("{} {}", reply.code(), lines.collect::<Vec<_>>().join(" "))
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, from, to @ ..] = arguments.as_slice() else {
        return Err("usage: send HOST:PORT FROM TO... <message".into());
    };
    let mut message = String::new();
    std::io::stdin().read_to_string(&mut message)?;
    let message = message
        .lines()
        .flat_map(|line| [line, "\r\n"])
        .collect::<String>();
    let stream = std::net::TcpStream::connect(address)?;
    for (to, fate) in to.iter().zip(send(stream, from, to, message.as_bytes())?) {
        println!("{to}: {}", text(&fate));
    }
    Ok(())
}
