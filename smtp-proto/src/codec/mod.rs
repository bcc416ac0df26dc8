//! Typed commands and replies for [`tokio_util::codec::Framed`], without the machines.
//!
//! [`ServerCodec`] decodes what a client sends ([`CommandItem`]) and encodes replies; [`ClientCodec`] encodes what a
//! client sends ([`SendCommand`]) and decodes replies ([`ReplyItem`]). They know where a line is no command and where a
//! message ends, and do the dot-stuffing; which command is legal when is the machines'
//! ([`server`](crate::server), [`client`](crate::client)).
//!
//! ```
//! use futures_util::{SinkExt, StreamExt};
//! use hikyaku_smtp_proto::codec::{ClientCodec, CommandItem, ReplyItem, SendCommand, ServerCodec};
//! use hikyaku_smtp_proto::{Command, Limits, Reply};
//! use tokio_util::codec::Framed;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (near, far) = tokio::io::duplex(64);
//! let mut client = Framed::new(near, ClientCodec::new(Limits::default()));
//! let mut server = Framed::new(far, ServerCodec::new(Limits::default()));
//!
//! server.send(Reply::new(220, "", "mx.test")).await?;
//! client.send(SendCommand::Command(Command::Data)).await?;
//! let Some(Ok(CommandItem::Command(Command::Data))) = server.next().await else { panic!() };
//! server.send(Reply::new(354, "", "go on")).await?;
//!
//! let Some(Ok(ReplyItem::Reply(greeting))) = client.next().await else { panic!() };
//! let Some(Ok(ReplyItem::Reply(go_on))) = client.next().await else { panic!() };
//! assert_eq!((greeting.code(), go_on.code()), (220, 354));
//! client.send(SendCommand::Chunk(".dot\r\n".into())).await?;
//! client.send(SendCommand::EndOfBody).await?;
//!
//! let Some(Ok(CommandItem::Chunk(octets))) = server.next().await else { panic!() };
//! assert_eq!(octets, ".dot\r\n");
//! let Some(Ok(CommandItem::EndOfBody(irregular))) = server.next().await else { panic!() };
//! assert!(!irregular.bare_newline && !irregular.nul);
//! # Ok(())
//! # }
//! ```
//!
//! # Who waits for whom
//! The codecs count what is answered: each item of the server's decoder but a chunk is owed one reply (with LMTP,
//! [`CommandItem::EndOfBody`] one for each recipient that was accepted), in order, and the greeting comes before all.
//! Behind DATA, AUTH and STARTTLS the reply decides what the next octets are, so the server's decoder waits until it is
//! encoded. A client that follows RFC 2920 sends nothing meanwhile; octets that come all the same are
//! [`Error::Early`] when the decoder is asked for them before the answer, never commands and never waited for.
//!
//! The client's encoder refuses ([`Error::NotNow`]) a chunk before 354 was decoded and a command behind DATA, AUTH,
//! STARTTLS or inside a message: nothing is held back, so nothing can be forgotten. Other commands may be pipelined.
//!
//! # Errors
//! What one line does wrong is an item ([`CommandItem::Malformed`], [`CommandItem::Refused`], [`ReplyItem::Malformed`],
//! [`ReplyItem::TooLong`]), and the stream goes on behind it. An [`Error`] of a decoder is final: the connection has to
//! end. One of an encoder says that nothing was written. Messages stream: none is held, and [`Limits::message`] is the
//! application's to keep. One that holds NUL, or CR or LF alone, is whole at its dot and is to be refused there, for it
//! would be read otherwise elsewhere (SMTP smuggling): [`CommandItem::EndOfBody`] says so.
//!
//! # TLS
//! Behind a STARTTLS that was answered 220 the decoders give nothing more, and octets that came in clear are
//! [`Error::Injected`]. Take the stream out with `Framed::into_parts`, see that `read_buf` is empty, and begin anew with
//! [`ServerCodec::after_tls`] or [`ClientCodec::after_tls`], since there is no second greeting.

mod client;
mod server;
#[cfg(test)]
mod tests;

pub use client::{ClientCodec, ReplyItem, SendCommand};
pub use server::{CommandItem, ServerCodec};

use bytes::{Buf as _, BytesMut};
use hikyaku_wire::Output;

#[cfg(doc)]
use crate::Limits;

/// Why a codec cannot decode any more, or cannot encode an item.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The stream's.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The peer closed inside a command, a message or a reply.
    #[error("the connection ended inside a command, a message or a reply")]
    Inside,
    /// Octets came that the client had to wait with, before the answer it has to wait for was encoded.
    #[error("octets came before the answer that the client has to wait for")]
    Early,
    /// Octets came behind STARTTLS, in clear.
    #[error("octets came in clear behind STARTTLS")]
    Injected,
    /// A reply that nothing was sent for.
    #[error("a reply to nothing")]
    Unasked,
    /// To be encoded: not one line as it is. An argument holds CR, LF or NUL.
    #[error("cannot be encoded as one line")]
    Unencodable,
    /// To be encoded: nothing waits for it, or something else has to come first.
    #[error("not allowed now: {0}")]
    NotNow(&'static str),
    /// To be encoded: more or fewer octets than BDAT announced.
    #[error("not as many octets as were announced")]
    WrongLength,
}

/// Moves what was encoded to where `Framed` writes from.
fn put(mut output: Output, dst: &mut BytesMut) {
    dst.reserve(output.len());
    while output.has_remaining() {
        let chunk = output.chunk();
        let length = chunk.len();
        dst.extend_from_slice(chunk);
        output.advance(length);
    }
}

/// Returns whether that is one line, whose end is its only CR and LF.
fn is_one_line(output: &Output) -> bool {
    let line = output.chunk().strip_suffix(b"\r\n");
    line.is_some_and(|line| {
        line.len() + 2 == output.len() && !line.iter().any(|o| matches!(o, b'\r' | b'\n' | 0))
    })
}
