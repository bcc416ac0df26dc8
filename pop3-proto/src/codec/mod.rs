//! Typed commands and responses for [`tokio_util::codec::Framed`], without the machines.
//!
//! [`ServerCodec`] decodes what a client sends ([`CommandItem`]) and encodes what a server sends ([`SendResponse`]);
//! [`ClientCodec`] encodes what a client sends ([`SendCommand`]) and decodes what a server sends ([`ResponseItem`]).
//! They know which responses have more lines than one, where those end, and do the dot-stuffing; which command is legal
//! when, and the maildrop, are the machines' ([`server`](crate::server), [`client`](crate::client)).
//!
//! ```
//! use futures_util::{SinkExt, StreamExt};
//! use hikyaku_pop3_proto::codec::{ClientCodec, CommandItem, ResponseItem, SendResponse, ServerCodec};
//! use hikyaku_pop3_proto::{Command, Limits, Response};
//! use tokio_util::codec::Framed;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (near, far) = tokio::io::duplex(64);
//! let mut client = Framed::new(near, ClientCodec::new(Limits::default()));
//! let mut server = Framed::new(far, ServerCodec::new(Limits::default()));
//!
//! let ok = |text: &'static str| Response { is_ok: true, code: None, text: text.into() };
//! server.send(ok("ready").into()).await?;
//! client.send(Command::Retr(1).into()).await?;
//! let Some(Ok(CommandItem::Command(Command::Retr(1)))) = server.next().await else { panic!() };
//! server.send(ok("").into()).await?;
//! server.send(SendResponse::Chunk(".dot\r\n".into())).await?;
//! server.send(SendResponse::End).await?;
//!
//! let mut items = Vec::new();
//! while items.len() < 4 {
//!     items.push(client.next().await.unwrap()?);
//! }
//! let message = ResponseItem::Chunk(".dot\r\n".into());
//! let response = |text| ResponseItem::Response(ok(text));
//! assert_eq!(items, [response("ready"), response(""), message, ResponseItem::End]);
//! # Ok(())
//! # }
//! ```
//!
//! # Who waits for whom
//! The codecs count what is answered: each item of the server's decoder is owed one response, in order, and the greeting
//! comes before all. A positive response to CAPA, LIST, UIDL and LANG without an argument, and to AUTH alone, is followed
//! by [`SendResponse::Line`]s, one to RETR and TOP by [`SendResponse::Chunk`]s, and both by [`SendResponse::End`]; the
//! encoder refuses anything else ([`Error::NotNow`]). Commands may be pipelined.
//!
//! Behind AUTH and STLS the response decides what the next octets are, so the server's decoder waits until it is
//! encoded. A client that follows RFC 2449 §6.6 sends nothing meanwhile; octets that come all the same are
//! [`Error::Early`] when the decoder is asked for them before the answer, never commands and never waited for. The
//! client's encoder refuses a command behind AUTH or STLS until they are answered: nothing is held back, so nothing can
//! be forgotten.
//!
//! # Errors
//! What one line does wrong is an item ([`CommandItem::Malformed`], [`CommandItem::Refused`],
//! [`ResponseItem::Malformed`], [`ResponseItem::Refused`]), and the stream goes on behind it. An [`Error`] of a decoder
//! is final: the connection has to end. One of an encoder says that nothing was written. Messages and listings stream:
//! how much of them is wanted is the application's to say.
//!
//! # TLS
//! Behind an STLS that was answered `+OK` the decoders give nothing more, and octets that came in clear are
//! [`Error::Injected`]. Take the stream out with `Framed::into_parts`, see that `read_buf` is empty, and begin anew with
//! [`ServerCodec::after_tls`] or [`ClientCodec::after_tls`], since there is no second greeting.

mod client;
mod server;
#[cfg(test)]
mod tests;

pub use client::{ClientCodec, ResponseItem, SendCommand};
pub use server::{CommandItem, SendResponse, ServerCodec};

use bytes::{Buf as _, BytesMut};
use hikyaku_wire::Output;

use crate::Command;

/// Why a codec cannot decode any more, or cannot encode an item.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The stream's.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The peer closed inside a command, a listing or a message.
    #[error("the connection ended inside a command or a response")]
    Inside,
    /// Octets came that the client had to wait with, before the answer it has to wait for was encoded.
    #[error("octets came before the answer that the client has to wait for")]
    Early,
    /// Octets came behind STLS, in clear.
    #[error("octets came in clear behind STLS")]
    Injected,
    /// To be encoded: not one line as it is. An argument holds CR, LF or NUL.
    #[error("cannot be encoded as one line")]
    Unencodable,
    /// To be encoded: nothing waits for it, or something else has to come first.
    #[error("not allowed now: {0}")]
    NotNow(&'static str),
}

/// What follows the first line of a positive response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Follows {
    Nothing,
    Lines,
    Message,
    /// More lines of an authentication.
    Auth,
    Tls,
}

impl Follows {
    fn of(command: &Command) -> Self {
        match command {
            Command::Capa
            | Command::AuthList
            | Command::List(None)
            | Command::Uidl(None)
            | Command::Lang(None) => Self::Lines,
            Command::Retr(_) | Command::Top { .. } => Self::Message,
            Command::Auth { .. } => Self::Auth,
            Command::Stls => Self::Tls,
            _ => Self::Nothing,
        }
    }
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

/// Returns whether no octet ends the line or makes another command of it.
fn is_one_line(line: &[u8]) -> bool {
    !line.iter().any(|octet| matches!(octet, b'\r' | b'\n' | 0))
}
