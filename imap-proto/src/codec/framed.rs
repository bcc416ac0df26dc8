//! A `Framed` client that sends by itself what it held back.

use core::pin::Pin;
use core::task::{Context, Poll};
use futures_core::Stream;
use futures_sink::Sink;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::Framed;

use super::{ClientCodec, Error, ResponseItem, SendCommand};
use crate::Limits;

/// A client's end of a connection: commands in, responses out.
///
/// As a `Framed` with a [`ClientCodec`], but when the server lets something go that was held back, it is sent while the
/// stream is polled for responses, and no [`ResponseItem::Resume`] is given: who polls cannot deadlock. A command that
/// was sent may be held back when `send` returns; it leaves with the response that lets it go, so poll the stream until
/// the command's end.
#[derive(Debug)]
pub struct Client<T> {
    framed: Framed<T, ClientCodec>,
    /// What was released is not written yet.
    flushing: bool,
}

impl<T: AsyncRead + AsyncWrite> Client<T> {
    /// Stands before the greeting, or behind STARTTLS.
    pub fn new(stream: T, limits: Limits) -> Self {
        Self {
            framed: Framed::new(stream, ClientCodec::new(limits)),
            flushing: false,
        }
    }

    /// The codec.
    #[must_use]
    pub fn codec(&self) -> &ClientCodec {
        self.framed.codec()
    }

    /// The codec, to set what it does not learn by itself.
    pub fn codec_mut(&mut self) -> &mut ClientCodec {
        self.framed.codec_mut()
    }

    /// What it is made of: for TLS, [`Framed::into_parts`] gives the stream and what was read ahead.
    #[must_use]
    pub fn into_framed(self) -> Framed<T, ClientCodec> {
        self.framed
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for Client<T> {
    type Item = Result<ResponseItem, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if self.flushing {
                // Where it cannot be written yet, what the peer sends is read on: else both would write.
                self.flushing = Pin::new(&mut self.framed).poll_flush(cx)?.is_pending();
            }
            match Pin::new(&mut self.framed).poll_next(cx) {
                Poll::Ready(Some(Ok(ResponseItem::Resume))) => {
                    Pin::new(&mut self.framed).start_send(SendCommand::Resume)?;
                    self.flushing = true;
                }
                other => return other,
            }
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Sink<SendCommand> for Client<T> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.framed).poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, item: SendCommand) -> Result<(), Error> {
        Pin::new(&mut self.framed).start_send(item)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.framed).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.framed).poll_close(cx)
    }
}
