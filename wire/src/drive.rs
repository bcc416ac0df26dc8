//! The loops that join a [`Machine`] to a stream: one blocking, one for tokio.
//!
//! Both work the same way: `next` sends what waits, reads what is needed, and returns when the
//! machine has something to say. Answer the event through [`Driver::machine`] and call `next` again.

use bytes::{Buf, BytesMut};
use std::io;

use crate::{Machine, Output, Step};

/// Above this many octets the output is sent before the machine is polled again.
const HIGH_WATER: usize = 64 * 1024;
/// The first read buffer: what an idle connection costs.
const READ_MIN: usize = 2 * 1024;
/// The largest one, reached while a peer fills it.
const READ_MAX: usize = 64 * 1024;

/// What a driver returns.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<E> {
    /// What the machine has to tell.
    Event(E),
    /// The machine waits for an answer that was not given yet; everything is sent.
    NeedAnswer,
    /// Everything is sent: take the stream with [`Driver::into_parts`], begin TLS, and go on.
    StartTls,
    /// Everything is sent: take the stream with [`Driver::into_parts`], compress it, and go on.
    Compress,
    /// Everything is sent and the conversation is over.
    Closed,
}

/// Why a connection ended that should not have.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriveError<E> {
    /// The socket failed, or the peer left in the middle of something.
    #[error("connection lost: {0}")]
    Io(#[from] io::Error),
    /// What the peer sent cannot be gone on with.
    #[error("{0}")]
    Protocol(E),
    /// The peer was silent for longer than the RFC lets it be.
    #[error("the peer was silent for too long")]
    TimedOut,
}

/// A machine, its stream and the octets between them.
#[derive(Debug)]
pub struct Driver<M, S> {
    /// The machine. Answer events through it, with [`Driver::split`].
    pub machine: M,
    stream: S,
    input: BytesMut,
    output: Output,
    read_size: usize,
}

impl<M: Machine, S> Driver<M, S> {
    /// Joins `machine` to `stream`. Nothing is sent before the first `next`.
    pub fn new(machine: M, stream: S) -> Self {
        Self {
            machine,
            stream,
            input: BytesMut::new(),
            output: Output::new(),
            read_size: READ_MIN,
        }
    }

    /// The machine and the output its methods write to.
    pub fn split(&mut self) -> (&mut M, &mut Output) {
        (&mut self.machine, &mut self.output)
    }

    /// Whether more than the mark waits to be sent: call `flush` before answering more.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.output.len() >= HIGH_WATER
    }

    /// The stream, for looking at it.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// Takes it apart: for TLS, put it together again with [`Driver::new`]. What was read and not
    /// used is dropped, which after [`Next::StartTls`] and [`Next::Compress`] is nothing.
    pub fn into_parts(self) -> (M, S) {
        (self.machine, self.stream)
    }

    /// Polls; `None` means: read first.
    fn step(&mut self) -> Result<Option<Next<M::Event>>, DriveError<M::Error>> {
        match self.machine.poll(&mut self.input, &mut self.output) {
            Ok(Step::Event(event)) => Ok(Some(Next::Event(event))),
            Ok(Step::NeedInput) => Ok(None),
            Ok(Step::NeedAnswer) => Ok(Some(Next::NeedAnswer)),
            Ok(Step::StartTls) => Ok(Some(Next::StartTls)),
            Ok(Step::Compress) => Ok(Some(Next::Compress)),
            Ok(Step::Closed) => Ok(Some(Next::Closed)),
            Err(error) => Err(DriveError::Protocol(error)),
        }
    }

    /// Makes room for a read: little for who sends little.
    fn room(&mut self) {
        if self.input.is_empty() && self.read_size == READ_MIN && self.input.capacity() > READ_MIN {
            self.input = BytesMut::new();
        }
        self.input.reserve(self.read_size);
    }

    fn read(&mut self, count: usize) -> Result<(), DriveError<M::Error>> {
        if count == 0 {
            return match self.machine.end_of_input() {
                Err(error) => Err(DriveError::Protocol(error)),
                Ok(()) => Err(DriveError::Io(io::ErrorKind::UnexpectedEof.into())),
            };
        }
        self.read_size = if count >= self.read_size {
            (self.read_size * 4).min(READ_MAX)
        } else if count < self.read_size / 4 {
            (self.read_size / 2).max(READ_MIN)
        } else {
            self.read_size
        };
        Ok(())
    }

    /// What remains to be done for a step, once everything is sent.
    fn must_flush(next: &Option<Next<M::Event>>, full: bool) -> bool {
        full || !matches!(next, Some(Next::Event(_)))
    }
}

impl<M: Machine, S: io::Read + io::Write> Driver<M, S> {
    /// Blocks until the machine has something to say. Time limits are the socket's own
    /// (`set_read_timeout`).
    ///
    /// # Errors
    /// [`DriveError::Io`] with `UnexpectedEof` also tells that the peer closed in good order.
    #[allow(
        clippy::should_implement_trait,
        reason = "an iterator cannot lend the machine between items"
    )]
    pub fn next(&mut self) -> Result<Next<M::Event>, DriveError<M::Error>> {
        loop {
            let next = match self.step() {
                Ok(next) => next,
                Err(error) => {
                    let _ = self.flush();
                    return Err(error);
                }
            };
            if Self::must_flush(&next, self.is_full()) {
                self.flush()?;
            }
            if let Some(next) = next {
                return Ok(next);
            }
            self.room();
            let old = self.input.len();
            self.input.resize(old + self.read_size, 0);
            let count = self
                .stream
                .read(self.input.get_mut(old..).unwrap_or(&mut []));
            self.input.truncate(old + *count.as_ref().unwrap_or(&0));
            self.read(count?)?;
        }
    }

    /// Sends all that waits.
    ///
    /// # Errors
    /// The socket's.
    pub fn flush(&mut self) -> io::Result<()> {
        while self.output.has_remaining() {
            let count = self.stream.write(self.output.chunk())?;
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.output.advance(count);
        }
        self.stream.flush()
    }
}

#[cfg(feature = "tokio")]
mod asynchronous {
    use super::{DriveError, Driver, Machine, Next};
    use bytes::Buf;
    use std::io;
    use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
    use tokio::time::timeout;

    impl<M: Machine, S: AsyncRead + AsyncWrite + Unpin> Driver<M, S> {
        /// Waits until the machine has something to say, for as long as its time limit allows.
        ///
        /// Nothing is lost when the future is dropped while it waits.
        ///
        /// # Errors
        /// [`DriveError::Io`] with `UnexpectedEof` also tells that the peer closed in good order.
        pub async fn next_async(&mut self) -> Result<Next<M::Event>, DriveError<M::Error>> {
            loop {
                self.flush_if_full().await?;
                let next = match self.step() {
                    Ok(next) => next,
                    Err(error) => {
                        let _ = self.flush_async().await;
                        return Err(error);
                    }
                };
                // An event that has been taken out of the machine may not wait behind an
                // `.await`: a dropped future would lose it.
                if let Some(Next::Event(event)) = next {
                    return Ok(Next::Event(event));
                }
                self.flush_async().await?;
                if let Some(next) = next {
                    return Ok(next);
                }
                self.room();
                let limit = self.machine.time_limit();
                match timeout(limit, self.stream.read_buf(&mut self.input)).await {
                    Ok(count) => self.read(count?)?,
                    Err(_) => {
                        self.machine.timed_out(&mut self.output);
                        let _ = self.flush_async().await;
                        return Err(DriveError::TimedOut);
                    }
                }
            }
        }

        /// Sends all that waits, or gives up after the machine's time limit.
        ///
        /// # Errors
        /// The socket's, or `TimedOut` when the peer does not read.
        pub async fn flush_async(&mut self) -> io::Result<()> {
            if self.output.has_remaining() {
                let limit = self.machine.time_limit();
                let send = async {
                    while self.output.has_remaining() {
                        if self.stream.write_buf(&mut self.output).await? == 0 {
                            return Err(io::ErrorKind::WriteZero.into());
                        }
                    }
                    self.stream.flush().await
                };
                match timeout(limit, send).await {
                    Ok(sent) => sent?,
                    Err(_) => return Err(io::ErrorKind::TimedOut.into()),
                }
                self.output.shrink();
            }
            Ok(())
        }

        /// Sends what waits once there is much of it: the back-pressure for who answers at length.
        ///
        /// # Errors
        /// As [`flush_async`](Self::flush_async).
        pub async fn flush_if_full(&mut self) -> io::Result<()> {
            if self.is_full() {
                self.flush_async().await?;
            }
            Ok(())
        }

        /// Ends the stream in good order.
        pub async fn shutdown(&mut self) {
            let _ = self.flush_async().await;
            let _ = self.stream.shutdown().await;
        }
    }
}
