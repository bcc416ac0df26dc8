//! A server that takes every message and prints it, with tokio's `Framed` and without the machine:
//!
//!     cargo run -p hikyaku-smtp-proto --features codec --example framed-smtp -- localhost:2525
//!
//! It is for looking at what a program sends, and has no place on the net.

use futures_util::{SinkExt, StreamExt};
use hikyaku_smtp_proto::codec::{CommandItem, Error, ServerCodec};
use hikyaku_smtp_proto::{Command, Limits, Reply};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::Framed;

/// Serves one client, and returns its messages.
pub async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<Vec<Vec<u8>>, Error> {
    let limits = Limits::default();
    let most = limits.message;
    let mut framed = Framed::new(stream, ServerCodec::new(limits));
    let (mut messages, mut message) = (Vec::new(), Vec::new());
    let mut octets = 0;
    framed.send(Reply::new(220, "", "localhost ESMTP")).await?;
    while let Some(item) = framed.next().await {
        let reply = match item? {
            CommandItem::Chunk(chunk) => {
                // What is too large is counted, and not kept.
                octets += chunk.len() as u64;
                if octets <= most {
                    message.extend_from_slice(&chunk);
                }
                continue;
            }
            CommandItem::EndOfBody(irregular) => {
                let message = std::mem::take(&mut message);
                let octets = std::mem::take(&mut octets);
                if irregular.bare_newline || irregular.nul {
                    Reply::new(554, "5.6.0", "NUL or bare CR or LF in the message")
                } else if octets > most {
                    Reply::new(552, "5.3.4", "Message too large")
                } else {
                    messages.push(message);
                    Reply::new(250, "2.0.0", "Printed")
                }
            }
            CommandItem::Malformed(error) => {
                let code = if error.offset == 0 { 500 } else { 501 };
                Reply::new(code, "5.5.2", error.to_string())
            }
            CommandItem::Refused(error) => Reply::new(500, "5.5.2", error.to_string()),
            CommandItem::Command(Command::Ehlo(_)) => {
                let lines = ["localhost".into(), "PIPELINING".into(), "8BITMIME".into()];
                Reply::of_lines(250, "", lines)
            }
            CommandItem::Command(Command::Data) => Reply::new(354, "", "Go ahead"),
            CommandItem::Command(Command::Quit) => {
                framed.send(Reply::new(221, "2.0.0", "Bye")).await?;
                break;
            }
            CommandItem::Command(
                Command::Helo(_)
                | Command::Mail { .. }
                | Command::Rcpt { .. }
                | Command::Rset
                | Command::Noop(_),
            ) => Reply::new(250, "", "OK"),
            _ => Reply::new(502, "5.5.1", "Not here"),
        };
        framed.send(reply).await?;
    }
    Ok(messages)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).ok_or("usage: framed HOST:PORT")?;
    let listener = tokio::net::TcpListener::bind(address).await?;
    loop {
        let (stream, peer) = listener.accept().await?;
        match serve(stream).await {
            Ok(messages) => {
                for message in messages {
                    println!("{}", String::from_utf8_lossy(&message));
                }
            }
            Err(error) => eprintln!("{peer}: {error}"),
        }
    }
}
