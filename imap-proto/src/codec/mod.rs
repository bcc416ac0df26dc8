//! Typed commands and responses for [`tokio_util::codec::Framed`], without the machines.
//!
//! [`ServerCodec`] decodes what a client sends ([`CommandItem`]) and encodes what a server sends ([`SendResponse`]).
//! [`ClientCodec`] does the reverse; [`Client`] is a `Framed` with it that needs no [`SendCommand::Resume`]. They know
//! where a line is no command, when `+` is due and what has to wait for it; which command is legal when, sequence
//! numbers and the like are the machines' ([`server`](crate::server), [`client`](crate::client)).
//!
//! ```
//! use bytes::Bytes;
//! use futures_util::{SinkExt, StreamExt};
//! use hikyaku_imap_proto::codec::{Client, CommandItem, ResponseItem, SendCommand, ServerCodec};
//! use hikyaku_imap_proto::{Command, Completion, Limits, Received, Status, Tagged};
//! use tokio_util::codec::Framed;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (near, far) = tokio::io::duplex(64);
//! let mut client = Client::new(near, Limits::default());
//! let mut server = Framed::new(far, ServerCodec::new(Limits::default()));
//!
//! let root = Bytes::from("a\r\nb");
//! let command = Command::GetQuota(root.clone());
//! client.send(SendCommand::Command(Tagged { tag: "a".into(), command })).await?;
//! let served = async {
//!     // Such a root is a literal, and the client waits for `+`.
//!     let Some(Ok(CommandItem::Continue { octets: 4, .. })) = server.next().await else { panic!() };
//!     server.send(Received::Continuation("go on".into()).into()).await?;
//!     let Some(Ok(CommandItem::Command(Tagged { tag, command }))) = server.next().await else { panic!() };
//!     assert!(matches!(command, Command::GetQuota(of) if of == root));
//!     let end = Completion { status: Status::No, code: None, text: "no such root".into() };
//!     server.send(Received::Tagged(tag, end).into()).await
//! };
//! let (served, answer) = tokio::join!(served, client.next());
//! served?;
//! let Some(Ok(ResponseItem::Response(Received::Tagged(_, end)))) = answer else { panic!() };
//! assert_eq!(end.status, Status::No);
//! # Ok(())
//! # }
//! ```
//!
//! # Literals
//! A literal is a part of its command or response up to [`Limits::literal`], [`Limits::response_literal`] and, for
//! sections of a FETCH, [`Limits::folded`]. Larger sections stream as [`ResponseItem::Section`], chunks and
//! [`ResponseItem::EndOfFetch`]. The messages of APPEND, REPLACE and CATENATE always come as chunks, since `+` is due in
//! between; those up to `folded` as a single one. No other literal is worth streaming, since its command cannot be read
//! without it: past the limit a command is refused and passed over, and in a response NIL stands for it.
//!
//! # Who waits for whom
//! The server's decoder waits while an answer decides what the next octets are: behind [`CommandItem::Continue`], a
//! message announced as a synchronizing literal, AUTHENTICATE, IDLE, STARTTLS and COMPRESS. Encode `+` or the command's
//! tagged response, then decode on. A client that follows the RFC sends nothing meanwhile; octets that come all the same
//! are [`Error::Early`] when the decoder is asked for them before the answer, never commands and never waited for.
//!
//! The client's encoder holds back what may not be sent yet: the octets behind a synchronizing literal, commands behind
//! it, and commands behind AUTHENTICATE, IDLE, STARTTLS and COMPRESS, which end the flow of commands. When the decoder
//! sees what lets them go, it gives [`ResponseItem::Resume`], and the next item that is encoded goes behind them;
//! [`SendCommand::Resume`] is one that adds nothing. [`Client`] does that by itself whenever it is polled for
//! responses, so that a caller cannot forget it. A tagged NO or BAD in place of `+` drops what was held back of that
//! command, its message too, and the next one goes. So the rule for both sides is: go on polling the stream. Who sends more
//! at once than the buffers between hold does both at a time (`StreamExt::split`), or both ends would write and neither read.
//!
//! # Errors
//! What one command or response does wrong is an item ([`CommandItem::Malformed`], [`CommandItem::Refused`],
//! [`ResponseItem::Malformed`], [`ResponseItem::TooLong`]), and the stream goes on behind it. An [`Error`] of a decoder
//! is final: the connection has to end. One of an encoder says that nothing was written.
//!
//! # TLS
//! Behind a STARTTLS that was answered OK the decoders give nothing more, and octets that came in clear are
//! [`Error::Injected`]. Take the stream out with `Framed::into_parts`, see that `read_buf` is empty, and begin anew
//! with [`ServerCodec::new`] or [`ClientCodec::new`] under TLS.

mod append;
mod client;
mod command_item;
mod framed;
mod sending;
mod server;
#[cfg(test)]
mod tests;

pub use client::{ClientCodec, ResponseItem, SendCommand};
pub use command_item::CommandItem;
pub use framed::Client;
pub use server::{SendResponse, ServerCodec};

use bytes::{Buf as _, BytesMut};
use hikyaku_wire::Output;

#[cfg(doc)]
use crate::Limits;

/// Why a codec cannot go on, or cannot encode an item.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The stream's.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The peer closed inside a command, a response or a literal.
    #[error("the connection ended inside a command or a response")]
    Inside,
    /// A literal of more than 63 bits: what comes behind it cannot be read.
    #[error("literal of more than 63 bits")]
    Endless,
    /// Octets came that the client had to wait with, before the answer it has to wait for was encoded.
    #[error("octets came before the answer that the client has to wait for")]
    Early,
    /// Octets came behind STARTTLS, in clear.
    #[error("octets came in clear behind STARTTLS")]
    Injected,
    /// To be encoded: not one command or response as it is. An argument holds NUL, CR or LF.
    #[error("cannot be encoded as one command or response")]
    Unencodable,
    /// To be encoded: nothing waits for it, or something else has to come first.
    #[error("not allowed now: {0}")]
    NotNow(&'static str),
    /// To be encoded: more octets than were announced.
    #[error("more octets than were announced")]
    TooManyOctets,
    /// To be encoded: more than [`Limits::held_back`] waits already.
    #[error("too much is held back already: go on polling for responses")]
    HeldBack,
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
