//! Lists a maildrop, with tokio's `Framed` and without the machine:
//!
//!     cargo run -p hikyaku-pop3-proto --features codec --example framed-pop3 -- \
//!         localhost:2110 alice <password-file
//!
//! The password is the first line of standard input. The connection is in clear, as it is to a server on this
//! machine; for TLS, `list` takes any stream of tokio's.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use hikyaku_pop3_proto::codec::{ClientCodec, ResponseItem};
use hikyaku_pop3_proto::{Command, Limits};
use hikyaku_wire::Secret;
use std::error::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::Framed;

/// A message's unique-id, and the first lines of it.
pub type Listed = (String, String);

/// Logs in, and reads the header section of each message; none is deleted.
pub async fn list(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    name: &str,
    password: Secret,
) -> Result<Vec<Listed>, Box<dyn Error>> {
    let mut framed = Framed::new(stream, ClientCodec::new(Limits::default()));
    ok(&mut framed).await?;
    let name = Bytes::copy_from_slice(name.as_bytes());
    for command in [Command::User(name), Command::Pass(password)] {
        framed.send(command.into()).await?;
        ok(&mut framed).await?;
    }
    framed.send(Command::Uidl(None).into()).await?;
    ok(&mut framed).await?;
    let mut all = Vec::new();
    loop {
        match framed.next().await.ok_or("closed")?? {
            ResponseItem::Line(line) => {
                let line = String::from_utf8_lossy(&line).into_owned();
                let (number, id) = line.split_once(' ').ok_or("no number and no id")?;
                all.push((number.parse()?, id.to_string()));
            }
            ResponseItem::End => break,
            other => return Err(format!("{other:?}").into()),
        }
    }
    let mut listed = Vec::new();
    for (number, id) in all {
        framed
            .send(Command::Top { number, lines: 0 }.into())
            .await?;
        ok(&mut framed).await?;
        let mut head = Vec::new();
        loop {
            match framed.next().await.ok_or("closed")?? {
                ResponseItem::Chunk(octets) => head.extend_from_slice(&octets),
                ResponseItem::End => break,
                other => return Err(format!("{other:?}").into()),
            }
        }
        listed.push((id, String::from_utf8_lossy(&head).into_owned()));
    }
    framed.send(Command::Quit.into()).await?;
    ok(&mut framed).await?;
    Ok(listed)
}

/// Waits for a positive response.
async fn ok<T: AsyncRead + AsyncWrite + Unpin>(
    framed: &mut Framed<T, ClientCodec>,
) -> Result<(), Box<dyn Error>> {
    match framed.next().await.ok_or("closed")?? {
        ResponseItem::Response(response) if response.is_ok => Ok(()),
        ResponseItem::Response(response) => Err(String::from_utf8_lossy(&response.text).into()),
        other => Err(format!("{other:?}").into()),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, address, name] = arguments.as_slice() else {
        return Err("usage: framed HOST:PORT NAME <password-file".into());
    };
    let mut password = String::new();
    std::io::stdin().read_line(&mut password)?;
    let password = Secret::from(password.trim_end().as_bytes().to_vec());
    let stream = tokio::net::TcpStream::connect(address).await?;
    for (id, head) in list(stream, name, password).await? {
        println!("{id}\n{head}");
    }
    Ok(())
}
