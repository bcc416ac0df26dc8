//! Puts a message into a mailbox, with tokio's `Framed` and without the machine:
//!
//!     cargo run -p hikyaku-imap-proto --features codec --example framed-imap -- \
//!         localhost:2143 alice Sent message.eml <password-file
//!
//! The password is the first line of standard input. The connection is in clear, as it is to a server on this
//! machine; for TLS, `append` takes any stream of tokio's.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use hikyaku_imap_proto::codec::{Client, ResponseItem, SendCommand};
use hikyaku_imap_proto::{
    Append, Command, Completion, Flag, Limits, MailboxName, Received, Response, Status, Tagged,
};
use hikyaku_wire::Secret;
use std::error::Error;
use tokio::io::{AsyncRead, AsyncWrite};

/// Logs in, and appends the message as one that was read.
pub async fn append(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    name: &str,
    password: Secret,
    mailbox: &str,
    message: Bytes,
) -> Result<(), Box<dyn Error>> {
    let mut client = Client::new(stream, Limits::default());
    match client.next().await.ok_or("no greeting")?? {
        ResponseItem::Response(Received::Untagged(Response::Status(Status::Ok, ..))) => {}
        other => return Err(format!("no greeting: {other:?}").into()),
    }
    let name = Bytes::copy_from_slice(name.as_bytes());
    let command = Command::Login { name, password };
    let tag = "a1".into();
    client.send(Tagged { tag, command }.into()).await?;
    done(&end_of(&mut client, "a1").await?)?;

    let mut append = Append::new(MailboxName::new(mailbox));
    append.flags.push(Flag::Seen);
    let (tag, octets) = ("a2".into(), message.len() as u64);
    let command = SendCommand::Append {
        tag,
        append,
        octets,
    };
    client.send(command).await?;
    // The server may have to be asked first; it may also say no at once.
    while client.codec().is_waiting() {
        match client.next().await.ok_or("closed")?? {
            ResponseItem::Response(Received::Tagged(_, end)) => return done(&end),
            ResponseItem::SendBody { .. } => break,
            _ => {}
        }
    }
    for start in (0..message.len()).step_by(16 * 1024) {
        let end = message.len().min(start + 16 * 1024);
        let chunk = SendCommand::Chunk(message.slice(start..end));
        client.send(chunk).await?;
    }
    // An empty message has no chunk that would end it.
    client.send(SendCommand::Resume).await?;
    done(&end_of(&mut client, "a2").await?)?;

    let tag = "a3".into();
    let command = Command::Logout;
    client.send(Tagged { tag, command }.into()).await?;
    done(&end_of(&mut client, "a3").await?)
}

/// How a command ended; what comes beside it is not looked at.
async fn end_of<T: AsyncRead + AsyncWrite + Unpin>(
    client: &mut Client<T>,
    tag: &str,
) -> Result<Completion, Box<dyn Error>> {
    loop {
        match client.next().await.ok_or("closed")?? {
            ResponseItem::Response(Received::Tagged(of, end)) if of == tag => return Ok(end),
            ResponseItem::Malformed(error) => return Err(error.into()),
            _ => {}
        }
    }
}

fn done(end: &Completion) -> Result<(), Box<dyn Error>> {
    match end.status {
        Status::Ok => Ok(()),
        _ => Err(String::from_utf8_lossy(&end.text).into()),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, address, name, mailbox, file] = arguments.as_slice() else {
        return Err("usage: framed HOST:PORT NAME MAILBOX FILE <password-file".into());
    };
    let mut password = String::new();
    std::io::stdin().read_line(&mut password)?;
    let password = Secret::from(password.trim_end().as_bytes().to_vec());
    let message = std::fs::read(file)?.into();
    let stream = tokio::net::TcpStream::connect(address).await?;
    append(stream, name, password, mailbox, message).await
}
