//! The loops that join a [`Machine`] to a stream: one blocking, one for tokio.
//!
//! Both work the same way: `next` sends what waits, reads what is needed, and returns when the
//! machine has something to say. Answer the event with [`Driver::answer`] and call `next` again.

use bytes::{Buf, BytesMut};
use std::io;

use crate::{Machine, Misuse, Output, Step};

/// Above this many octets the output is sent before the machine is polled again.
const HIGH_WATER: usize = 64 * 1024;
/// The first read buffer: what an idle connection costs.
const READ_MIN: usize = 2 * 1024;
/// The largest one, reached while a peer fills it.
const READ_MAX: usize = 64 * 1024;

/// What a driver returns.
#[derive(Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "whoever drives a machine has to do each of them"
)]
pub enum Next<E> {
    /// What the machine reports.
    Event(E),
    /// The machine waits for an answer that was not given yet; everything is sent.
    NeedAnswer,
    /// Everything is sent: begin TLS, with [`Driver::upgrade`].
    StartTls,
    /// Everything is sent: compress the stream, with [`Driver::compress`].
    Compress,
    /// Everything is sent and the conversation is over.
    Closed,
}

/// Why a connection ended before its time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriveError<E> {
    /// The socket failed, or the peer closed in the middle of a message or a command.
    #[error("connection lost: {0}")]
    Io(#[from] io::Error),
    /// The peer broke the protocol: the machine's error.
    #[error("{0}")]
    Protocol(E),
    /// The application called a method that is not allowed now: see [`Driver::answer`].
    #[error("{0}")]
    Misuse(Misuse),
    /// The peer was silent for longer than the RFC lets it be.
    #[error("the peer was silent for too long")]
    TimedOut,
}

/// A machine, its stream and the octets between them.
#[derive(Debug)]
pub struct Driver<M, S> {
    /// The machine, to be looked at. [`Driver::answer`] calls its methods.
    pub machine: M,
    stream: S,
    input: BytesMut,
    output: Output,
    read_size: usize,
    misuse: Option<Misuse>,
}

impl<M: Machine, S> Driver<M, S> {
    /// Joins `machine` to `stream`. Nothing is sent before the first `next`.
    ///
    /// ```
    /// # use hikyaku_wire::{Machine, Misuse, Output, Step, drive::{Driver, Next}};
    /// # use std::io::{self, Read, Write};
    /// # /// Counts octets.
    /// # struct Counter(bool);
    /// # impl Counter {
    /// #     fn say(&mut self, text: &str, output: &mut Output) -> Result<(), Misuse> { output.write(text.as_bytes()); Ok(()) }
    /// # }
    /// # impl Machine for Counter {
    /// #     type Event = usize;
    /// #     type Error = std::convert::Infallible;
    /// #     fn poll(&mut self, input: &mut bytes::BytesMut, _: &mut Output) -> Result<Step<usize>, Self::Error> {
    /// #         if !self.0 { return Ok(Step::StartTls); }
    /// #         let came = input.split().len();
    /// #         Ok(if came == 0 { Step::NeedInput } else { Step::Event(came) })
    /// #     }
    /// #     fn end_of_input(&mut self) -> Result<(), Self::Error> { Ok(()) }
    /// #     fn time_limit(&self) -> std::time::Duration { std::time::Duration::from_secs(1) }
    /// #     fn timed_out(&mut self, _: &mut Output) {}
    /// #     fn tls_established(&mut self, _: &mut Output) { self.0 = true; }
    /// #     fn shut_down(&mut self, _: &mut Output) {}
    /// # }
    /// # #[derive(Default)]
    /// # struct Wire { theirs: io::Cursor<Vec<u8>>, ours: Vec<u8> }
    /// # impl Read for Wire { fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> { self.theirs.read(octets) } }
    /// # impl Write for Wire {
    /// #     fn write(&mut self, octets: &[u8]) -> io::Result<usize> { self.ours.write(octets) }
    /// #     fn flush(&mut self) -> io::Result<()> { Ok(()) }
    /// # }
    /// # let stream = Wire { theirs: io::Cursor::new(b"hello".to_vec()), ..Wire::default() };
    /// # let machine = Counter(true);
    /// let mut driver = Driver::new(machine, stream);
    /// assert_eq!(driver.next()?, Next::Event(5));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(machine: M, stream: S) -> Self {
        Self {
            machine,
            stream,
            input: BytesMut::new(),
            output: Output::new(),
            read_size: READ_MIN,
            misuse: None,
        }
    }

    /// Answers an event, or issues a command: calls one of the machine's methods.
    ///
    /// A method that may not be called now sends nothing and changes nothing. Its [`Misuse`] is kept, and
    /// `next` returns it: the program is wrong, and the peer would wait in vain.
    ///
    /// ```
    /// # use hikyaku_wire::{drive::{DriveError, Driver}, Misuse, Output, Machine};
    /// # fn example<M: Machine, S>(driver: &mut Driver<M, S>, greet: fn(&mut M, &str, &mut Output) -> Result<(), Misuse>) {
    /// driver.answer(|machine, output| greet(machine, "hello", output));
    /// # }
    /// ```
    pub fn answer<T>(
        &mut self,
        answer: impl FnOnce(&mut M, &mut Output) -> Result<T, Misuse>,
    ) -> Option<T> {
        answer(&mut self.machine, &mut self.output)
            .inspect_err(|misuse| self.misuse = self.misuse.or(Some(*misuse)))
            .ok()
    }

    /// Begins TLS after [`Next::StartTls`]: `begin` turns the stream into the one to use from here on.
    ///
    /// ```
    /// # use hikyaku_wire::{Machine, Misuse, Output, Step, drive::{Driver, Next}};
    /// # use std::io::{self, Read, Write};
    /// # /// Counts octets.
    /// # struct Counter(bool);
    /// # impl Counter {
    /// #     fn say(&mut self, text: &str, output: &mut Output) -> Result<(), Misuse> { output.write(text.as_bytes()); Ok(()) }
    /// # }
    /// # impl Machine for Counter {
    /// #     type Event = usize;
    /// #     type Error = std::convert::Infallible;
    /// #     fn poll(&mut self, input: &mut bytes::BytesMut, _: &mut Output) -> Result<Step<usize>, Self::Error> {
    /// #         if !self.0 { return Ok(Step::StartTls); }
    /// #         let came = input.split().len();
    /// #         Ok(if came == 0 { Step::NeedInput } else { Step::Event(came) })
    /// #     }
    /// #     fn end_of_input(&mut self) -> Result<(), Self::Error> { Ok(()) }
    /// #     fn time_limit(&self) -> std::time::Duration { std::time::Duration::from_secs(1) }
    /// #     fn timed_out(&mut self, _: &mut Output) {}
    /// #     fn tls_established(&mut self, _: &mut Output) { self.0 = true; }
    /// #     fn shut_down(&mut self, _: &mut Output) {}
    /// # }
    /// # #[derive(Default)]
    /// # struct Wire { theirs: io::Cursor<Vec<u8>>, ours: Vec<u8> }
    /// # impl Read for Wire { fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> { self.theirs.read(octets) } }
    /// # impl Write for Wire {
    /// #     fn write(&mut self, octets: &[u8]) -> io::Result<usize> { self.ours.write(octets) }
    /// #     fn flush(&mut self) -> io::Result<()> { Ok(()) }
    /// # }
    /// # let stream = Wire { theirs: io::Cursor::new(b"hello".to_vec()), ..Wire::default() };
    /// # let machine = Counter(true);
    /// # let mut driver = Driver::new(Counter(false), stream);
    /// assert_eq!(driver.next()?, Next::StartTls);
    /// # fn begin_tls(stream: Wire) -> io::Result<Wire> { Ok(stream) }
    /// let mut driver = driver.upgrade(begin_tls)?;
    /// assert_eq!(driver.next()?, Next::Event(5));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of `begin`; the connection is over then.
    pub fn upgrade<T, E>(self, begin: impl FnOnce(S) -> Result<T, E>) -> Result<Driver<M, T>, E> {
        Ok(Driver::after_tls(self.machine, begin(self.stream)?))
    }

    fn after_tls(machine: M, stream: S) -> Self {
        let mut driver = Self::new(machine, stream);
        driver.machine.tls_established(&mut driver.output);
        driver
    }

    /// Compresses both ways after [`Next::Compress`]: `compressed` turns the stream into the one to use from here on.
    ///
    /// ```
    /// # use hikyaku_wire::{Machine, Misuse, Output, Step, drive::{Driver, Next}};
    /// # use std::io::{self, Read, Write};
    /// # /// Counts octets.
    /// # struct Counter(bool);
    /// # impl Counter {
    /// #     fn say(&mut self, text: &str, output: &mut Output) -> Result<(), Misuse> { output.write(text.as_bytes()); Ok(()) }
    /// # }
    /// # impl Machine for Counter {
    /// #     type Event = usize;
    /// #     type Error = std::convert::Infallible;
    /// #     fn poll(&mut self, input: &mut bytes::BytesMut, _: &mut Output) -> Result<Step<usize>, Self::Error> {
    /// #         if !self.0 { return Ok(Step::StartTls); }
    /// #         let came = input.split().len();
    /// #         Ok(if came == 0 { Step::NeedInput } else { Step::Event(came) })
    /// #     }
    /// #     fn end_of_input(&mut self) -> Result<(), Self::Error> { Ok(()) }
    /// #     fn time_limit(&self) -> std::time::Duration { std::time::Duration::from_secs(1) }
    /// #     fn timed_out(&mut self, _: &mut Output) {}
    /// #     fn tls_established(&mut self, _: &mut Output) { self.0 = true; }
    /// #     fn shut_down(&mut self, _: &mut Output) {}
    /// # }
    /// # #[derive(Default)]
    /// # struct Wire { theirs: io::Cursor<Vec<u8>>, ours: Vec<u8> }
    /// # impl Read for Wire { fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> { self.theirs.read(octets) } }
    /// # impl Write for Wire {
    /// #     fn write(&mut self, octets: &[u8]) -> io::Result<usize> { self.ours.write(octets) }
    /// #     fn flush(&mut self) -> io::Result<()> { Ok(()) }
    /// # }
    /// # let stream = Wire { theirs: io::Cursor::new(b"hello".to_vec()), ..Wire::default() };
    /// # let machine = Counter(true);
    /// # let driver = Driver::new(machine, stream);
    /// # fn deflated(stream: Wire) -> Wire { stream }
    /// // After `Next::Compress`.
    /// let driver = driver.compress(deflated);
    /// # drop(driver);
    /// ```
    pub fn compress<T>(self, compressed: impl FnOnce(S) -> T) -> Driver<M, T> {
        let mut driver = Driver::new(self.machine, compressed(self.stream));
        driver.machine.compression_active();
        driver
    }

    /// Returns the machine and the output that its methods write to.
    ///
    /// ```
    /// # use hikyaku_wire::{Machine, Misuse, Output, Step, drive::{Driver, Next}};
    /// # use std::io::{self, Read, Write};
    /// # /// Counts octets.
    /// # struct Counter(bool);
    /// # impl Counter {
    /// #     fn say(&mut self, text: &str, output: &mut Output) -> Result<(), Misuse> { output.write(text.as_bytes()); Ok(()) }
    /// # }
    /// # impl Machine for Counter {
    /// #     type Event = usize;
    /// #     type Error = std::convert::Infallible;
    /// #     fn poll(&mut self, input: &mut bytes::BytesMut, _: &mut Output) -> Result<Step<usize>, Self::Error> {
    /// #         if !self.0 { return Ok(Step::StartTls); }
    /// #         let came = input.split().len();
    /// #         Ok(if came == 0 { Step::NeedInput } else { Step::Event(came) })
    /// #     }
    /// #     fn end_of_input(&mut self) -> Result<(), Self::Error> { Ok(()) }
    /// #     fn time_limit(&self) -> std::time::Duration { std::time::Duration::from_secs(1) }
    /// #     fn timed_out(&mut self, _: &mut Output) {}
    /// #     fn tls_established(&mut self, _: &mut Output) { self.0 = true; }
    /// #     fn shut_down(&mut self, _: &mut Output) {}
    /// # }
    /// # #[derive(Default)]
    /// # struct Wire { theirs: io::Cursor<Vec<u8>>, ours: Vec<u8> }
    /// # impl Read for Wire { fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> { self.theirs.read(octets) } }
    /// # impl Write for Wire {
    /// #     fn write(&mut self, octets: &[u8]) -> io::Result<usize> { self.ours.write(octets) }
    /// #     fn flush(&mut self) -> io::Result<()> { Ok(()) }
    /// # }
    /// # let stream = Wire { theirs: io::Cursor::new(b"hello".to_vec()), ..Wire::default() };
    /// # let machine = Counter(true);
    /// # let mut driver = Driver::new(machine, stream);
    /// // For methods that cannot be misused; `answer` is for the others.
    /// let (machine, output) = driver.split();
    /// machine.tls_established(output);
    /// ```
    pub fn split(&mut self) -> (&mut M, &mut Output) {
        (&mut self.machine, &mut self.output)
    }

    /// Returns whether more than the mark waits to be sent: call `flush` before answering more.
    ///
    /// ```
    /// # use hikyaku_wire::{Machine, Misuse, Output, Step, drive::{Driver, Next}};
    /// # use std::io::{self, Read, Write};
    /// # /// Counts octets.
    /// # struct Counter(bool);
    /// # impl Counter {
    /// #     fn say(&mut self, text: &str, output: &mut Output) -> Result<(), Misuse> { output.write(text.as_bytes()); Ok(()) }
    /// # }
    /// # impl Machine for Counter {
    /// #     type Event = usize;
    /// #     type Error = std::convert::Infallible;
    /// #     fn poll(&mut self, input: &mut bytes::BytesMut, _: &mut Output) -> Result<Step<usize>, Self::Error> {
    /// #         if !self.0 { return Ok(Step::StartTls); }
    /// #         let came = input.split().len();
    /// #         Ok(if came == 0 { Step::NeedInput } else { Step::Event(came) })
    /// #     }
    /// #     fn end_of_input(&mut self) -> Result<(), Self::Error> { Ok(()) }
    /// #     fn time_limit(&self) -> std::time::Duration { std::time::Duration::from_secs(1) }
    /// #     fn timed_out(&mut self, _: &mut Output) {}
    /// #     fn tls_established(&mut self, _: &mut Output) { self.0 = true; }
    /// #     fn shut_down(&mut self, _: &mut Output) {}
    /// # }
    /// # #[derive(Default)]
    /// # struct Wire { theirs: io::Cursor<Vec<u8>>, ours: Vec<u8> }
    /// # impl Read for Wire { fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> { self.theirs.read(octets) } }
    /// # impl Write for Wire {
    /// #     fn write(&mut self, octets: &[u8]) -> io::Result<usize> { self.ours.write(octets) }
    /// #     fn flush(&mut self) -> io::Result<()> { Ok(()) }
    /// # }
    /// # let stream = Wire { theirs: io::Cursor::new(b"hello".to_vec()), ..Wire::default() };
    /// # let machine = Counter(true);
    /// # let mut driver = Driver::new(machine, stream);
    /// while !driver.is_full() {
    ///     driver.answer(|machine, output| machine.say("much to say ", output));
    /// }
    /// driver.flush()?;
    /// assert!(!driver.is_full());
    /// # Ok::<(), io::Error>(())
    /// ```
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.output.len() >= HIGH_WATER
    }

    /// Returns the stream, to be looked at.
    ///
    /// ```
    /// # use hikyaku_wire::{Machine, Misuse, Output, Step, drive::{Driver, Next}};
    /// # use std::io::{self, Read, Write};
    /// # /// Counts octets.
    /// # struct Counter(bool);
    /// # impl Counter {
    /// #     fn say(&mut self, text: &str, output: &mut Output) -> Result<(), Misuse> { output.write(text.as_bytes()); Ok(()) }
    /// # }
    /// # impl Machine for Counter {
    /// #     type Event = usize;
    /// #     type Error = std::convert::Infallible;
    /// #     fn poll(&mut self, input: &mut bytes::BytesMut, _: &mut Output) -> Result<Step<usize>, Self::Error> {
    /// #         if !self.0 { return Ok(Step::StartTls); }
    /// #         let came = input.split().len();
    /// #         Ok(if came == 0 { Step::NeedInput } else { Step::Event(came) })
    /// #     }
    /// #     fn end_of_input(&mut self) -> Result<(), Self::Error> { Ok(()) }
    /// #     fn time_limit(&self) -> std::time::Duration { std::time::Duration::from_secs(1) }
    /// #     fn timed_out(&mut self, _: &mut Output) {}
    /// #     fn tls_established(&mut self, _: &mut Output) { self.0 = true; }
    /// #     fn shut_down(&mut self, _: &mut Output) {}
    /// # }
    /// # #[derive(Default)]
    /// # struct Wire { theirs: io::Cursor<Vec<u8>>, ours: Vec<u8> }
    /// # impl Read for Wire { fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> { self.theirs.read(octets) } }
    /// # impl Write for Wire {
    /// #     fn write(&mut self, octets: &[u8]) -> io::Result<usize> { self.ours.write(octets) }
    /// #     fn flush(&mut self) -> io::Result<()> { Ok(()) }
    /// # }
    /// # let stream = Wire { theirs: io::Cursor::new(b"hello".to_vec()), ..Wire::default() };
    /// # let machine = Counter(true);
    /// # let mut driver = Driver::new(machine, stream);
    /// driver.answer(|machine, output| machine.say("hello", output));
    /// driver.flush()?;
    /// assert_eq!(driver.stream().ours, b"hello");
    /// # Ok::<(), io::Error>(())
    /// ```
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// Returns the machine and the stream. What was read and not used is dropped, and so is what was not sent.
    ///
    /// ```
    /// # use hikyaku_wire::{Machine, Misuse, Output, Step, drive::{Driver, Next}};
    /// # use std::io::{self, Read, Write};
    /// # /// Counts octets.
    /// # struct Counter(bool);
    /// # impl Counter {
    /// #     fn say(&mut self, text: &str, output: &mut Output) -> Result<(), Misuse> { output.write(text.as_bytes()); Ok(()) }
    /// # }
    /// # impl Machine for Counter {
    /// #     type Event = usize;
    /// #     type Error = std::convert::Infallible;
    /// #     fn poll(&mut self, input: &mut bytes::BytesMut, _: &mut Output) -> Result<Step<usize>, Self::Error> {
    /// #         if !self.0 { return Ok(Step::StartTls); }
    /// #         let came = input.split().len();
    /// #         Ok(if came == 0 { Step::NeedInput } else { Step::Event(came) })
    /// #     }
    /// #     fn end_of_input(&mut self) -> Result<(), Self::Error> { Ok(()) }
    /// #     fn time_limit(&self) -> std::time::Duration { std::time::Duration::from_secs(1) }
    /// #     fn timed_out(&mut self, _: &mut Output) {}
    /// #     fn tls_established(&mut self, _: &mut Output) { self.0 = true; }
    /// #     fn shut_down(&mut self, _: &mut Output) {}
    /// # }
    /// # #[derive(Default)]
    /// # struct Wire { theirs: io::Cursor<Vec<u8>>, ours: Vec<u8> }
    /// # impl Read for Wire { fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> { self.theirs.read(octets) } }
    /// # impl Write for Wire {
    /// #     fn write(&mut self, octets: &[u8]) -> io::Result<usize> { self.ours.write(octets) }
    /// #     fn flush(&mut self) -> io::Result<()> { Ok(()) }
    /// # }
    /// # let stream = Wire { theirs: io::Cursor::new(b"hello".to_vec()), ..Wire::default() };
    /// # let machine = Counter(true);
    /// # let driver = Driver::new(machine, stream);
    /// let (machine, stream) = driver.into_parts();
    /// # drop((machine, stream));
    /// ```
    pub fn into_parts(self) -> (M, S) {
        (self.machine, self.stream)
    }

    /// Polls; `None` means: read first.
    fn step(&mut self) -> Result<Option<Next<M::Event>>, DriveError<M::Error>> {
        if let Some(misuse) = self.misuse {
            return Err(DriveError::Misuse(misuse));
        }
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

    /// Reserves space for the next read; a peer that sends little gets a small buffer.
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
    /// ```
    /// # use hikyaku_wire::{Machine, Misuse, Output, Step, drive::{Driver, Next}};
    /// # use std::io::{self, Read, Write};
    /// # /// Counts octets.
    /// # struct Counter(bool);
    /// # impl Counter {
    /// #     fn say(&mut self, text: &str, output: &mut Output) -> Result<(), Misuse> { output.write(text.as_bytes()); Ok(()) }
    /// # }
    /// # impl Machine for Counter {
    /// #     type Event = usize;
    /// #     type Error = std::convert::Infallible;
    /// #     fn poll(&mut self, input: &mut bytes::BytesMut, _: &mut Output) -> Result<Step<usize>, Self::Error> {
    /// #         if !self.0 { return Ok(Step::StartTls); }
    /// #         let came = input.split().len();
    /// #         Ok(if came == 0 { Step::NeedInput } else { Step::Event(came) })
    /// #     }
    /// #     fn end_of_input(&mut self) -> Result<(), Self::Error> { Ok(()) }
    /// #     fn time_limit(&self) -> std::time::Duration { std::time::Duration::from_secs(1) }
    /// #     fn timed_out(&mut self, _: &mut Output) {}
    /// #     fn tls_established(&mut self, _: &mut Output) { self.0 = true; }
    /// #     fn shut_down(&mut self, _: &mut Output) {}
    /// # }
    /// # #[derive(Default)]
    /// # struct Wire { theirs: io::Cursor<Vec<u8>>, ours: Vec<u8> }
    /// # impl Read for Wire { fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> { self.theirs.read(octets) } }
    /// # impl Write for Wire {
    /// #     fn write(&mut self, octets: &[u8]) -> io::Result<usize> { self.ours.write(octets) }
    /// #     fn flush(&mut self) -> io::Result<()> { Ok(()) }
    /// # }
    /// # let stream = Wire { theirs: io::Cursor::new(b"hello".to_vec()), ..Wire::default() };
    /// # let machine = Counter(true);
    /// # let mut driver = Driver::new(machine, stream);
    /// while let Ok(next) = driver.next() {
    ///     match next {
    ///         Next::Event(octets) => println!("{octets} octets"),
    ///         _ => break,
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// [`DriveError::Io`] with `UnexpectedEof` also says that the peer closed in good order.
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
    /// ```
    /// # use hikyaku_wire::{Machine, Misuse, Output, Step, drive::{Driver, Next}};
    /// # use std::io::{self, Read, Write};
    /// # /// Counts octets.
    /// # struct Counter(bool);
    /// # impl Counter {
    /// #     fn say(&mut self, text: &str, output: &mut Output) -> Result<(), Misuse> { output.write(text.as_bytes()); Ok(()) }
    /// # }
    /// # impl Machine for Counter {
    /// #     type Event = usize;
    /// #     type Error = std::convert::Infallible;
    /// #     fn poll(&mut self, input: &mut bytes::BytesMut, _: &mut Output) -> Result<Step<usize>, Self::Error> {
    /// #         if !self.0 { return Ok(Step::StartTls); }
    /// #         let came = input.split().len();
    /// #         Ok(if came == 0 { Step::NeedInput } else { Step::Event(came) })
    /// #     }
    /// #     fn end_of_input(&mut self) -> Result<(), Self::Error> { Ok(()) }
    /// #     fn time_limit(&self) -> std::time::Duration { std::time::Duration::from_secs(1) }
    /// #     fn timed_out(&mut self, _: &mut Output) {}
    /// #     fn tls_established(&mut self, _: &mut Output) { self.0 = true; }
    /// #     fn shut_down(&mut self, _: &mut Output) {}
    /// # }
    /// # #[derive(Default)]
    /// # struct Wire { theirs: io::Cursor<Vec<u8>>, ours: Vec<u8> }
    /// # impl Read for Wire { fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> { self.theirs.read(octets) } }
    /// # impl Write for Wire {
    /// #     fn write(&mut self, octets: &[u8]) -> io::Result<usize> { self.ours.write(octets) }
    /// #     fn flush(&mut self) -> io::Result<()> { Ok(()) }
    /// # }
    /// # let stream = Wire { theirs: io::Cursor::new(b"hello".to_vec()), ..Wire::default() };
    /// # let machine = Counter(true);
    /// # let mut driver = Driver::new(machine, stream);
    /// driver.answer(|machine, output| machine.say("hello", output));
    /// // `next` sends it, too.
    /// driver.flush()?;
    /// # assert_eq!(driver.stream().ours, b"hello");
    /// # Ok::<(), io::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of the socket.
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
        /// ```
        /// # use hikyaku_wire::{Machine, drive::{DriveError, Driver, Next}};
        /// # use tokio::io::{AsyncRead, AsyncWrite};
        /// # async fn example<M: Machine, S: AsyncRead + AsyncWrite + Unpin>(mut driver: Driver<M, S>) -> Result<(), DriveError<M::Error>> {
        /// loop {
        ///     match driver.next_async().await? {
        ///         Next::Event(event) => drop(event),
        ///         _ => break,
        ///     }
        /// }
        /// # Ok(())
        /// # }
        /// ```
        ///
        /// # Errors
        /// [`DriveError::Io`] with `UnexpectedEof` also says that the peer closed in good order.
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

        /// Begins TLS after [`Next::StartTls`], as [`upgrade`](Self::upgrade) does, and waits for the handshake.
        ///
        /// ```
        /// # use hikyaku_wire::{Machine, drive::{DriveError, Driver, Next}};
        /// # use tokio::io::{AsyncRead, AsyncWrite};
        /// # async fn example<M: Machine, S: AsyncRead + AsyncWrite + Unpin>(mut driver: Driver<M, S>) -> Result<(), DriveError<M::Error>> {
        /// # async fn begin_tls<S>(stream: S) -> std::io::Result<S> { Ok(stream) }
        /// // After `Next::StartTls`.
        /// let mut driver = driver.upgrade_async(begin_tls).await?;
        /// # driver.flush_async().await?;
        /// # Ok(())
        /// # }
        /// ```
        ///
        /// # Errors
        /// As [`upgrade`](Self::upgrade).
        pub async fn upgrade_async<T, E, F>(
            self,
            begin: impl FnOnce(S) -> F,
        ) -> Result<Driver<M, T>, E>
        where
            F: Future<Output = Result<T, E>>,
        {
            Ok(Driver::after_tls(self.machine, begin(self.stream).await?))
        }

        /// Sends all that waits, or gives up after the machine's time limit.
        ///
        /// ```
        /// # use hikyaku_wire::{Machine, drive::{DriveError, Driver, Next}};
        /// # use tokio::io::{AsyncRead, AsyncWrite};
        /// # async fn example<M: Machine, S: AsyncRead + AsyncWrite + Unpin>(mut driver: Driver<M, S>) -> Result<(), DriveError<M::Error>> {
        /// driver.flush_async().await?;
        /// # Ok(())
        /// # }
        /// ```
        ///
        /// # Errors
        /// Those of the socket, or `TimedOut` when the peer does not read.
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

        /// Sends what waits when it is more than the mark: call it between the pieces of a long answer.
        ///
        /// ```
        /// # use hikyaku_wire::{Machine, drive::{DriveError, Driver, Next}};
        /// # use tokio::io::{AsyncRead, AsyncWrite};
        /// # async fn example<M: Machine, S: AsyncRead + AsyncWrite + Unpin>(mut driver: Driver<M, S>) -> Result<(), DriveError<M::Error>> {
        /// // Between two pieces of something long.
        /// driver.flush_if_full().await?;
        /// # Ok(())
        /// # }
        /// ```
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
        ///
        /// ```
        /// # use hikyaku_wire::{Machine, drive::{DriveError, Driver, Next}};
        /// # use tokio::io::{AsyncRead, AsyncWrite};
        /// # async fn example<M: Machine, S: AsyncRead + AsyncWrite + Unpin>(mut driver: Driver<M, S>) -> Result<(), DriveError<M::Error>> {
        /// driver.shutdown().await;
        /// # Ok(())
        /// # }
        /// ```
        pub async fn shutdown(&mut self) {
            let _ = self.flush_async().await;
            let _ = self.stream.shutdown().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reason;
    use alloc::vec::Vec;
    use core::time::Duration;

    /// Asks for TLS, then for compression, then reports what came.
    #[derive(Default)]
    struct Toy {
        tls: bool,
        compressed: bool,
    }

    impl Toy {
        fn say(&mut self, text: &str, output: &mut Output) -> Result<usize, Misuse> {
            if !self.tls {
                return Err(Misuse::new("say", "before TLS", Reason::State));
            }
            output.write(text.as_bytes());
            Ok(text.len())
        }
    }

    impl Machine for Toy {
        type Event = usize;
        type Error = core::convert::Infallible;

        fn poll(
            &mut self,
            input: &mut BytesMut,
            _: &mut Output,
        ) -> Result<Step<usize>, Self::Error> {
            Ok(match (self.tls, self.compressed, input.len()) {
                (false, ..) => Step::StartTls,
                (_, false, _) => Step::Compress,
                (.., 0) => Step::NeedInput,
                (.., all) => {
                    input.clear();
                    Step::Event(all)
                }
            })
        }

        fn end_of_input(&mut self) -> Result<(), Self::Error> {
            Ok(())
        }

        fn time_limit(&self) -> Duration {
            Duration::from_secs(1)
        }

        fn timed_out(&mut self, _: &mut Output) {}

        fn tls_established(&mut self, output: &mut Output) {
            self.tls = true;
            output.write(b"hello again;");
        }

        fn compression_active(&mut self) {
            self.compressed = true;
        }

        fn shut_down(&mut self, _: &mut Output) {}
    }

    /// A peer that has sent `input`.
    #[derive(Default)]
    struct Peer {
        input: &'static [u8],
        got: Vec<u8>,
    }

    impl io::Read for Peer {
        fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
            self.input.read(octets)
        }
    }

    impl io::Write for Peer {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.got.write(octets)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stream_is_upgraded_and_compressed_and_the_machine_knows() {
        let mut driver = Driver::new(Toy::default(), Peer::default());
        assert_eq!(driver.next().unwrap(), Next::StartTls);
        let begin = |_| {
            Ok::<_, ()>(Peer {
                input: b"abc",
                got: Vec::new(),
            })
        };
        let mut driver = driver.upgrade(begin).unwrap();
        assert_eq!(driver.next().unwrap(), Next::Compress);
        // What the machine says first is sent before anything else happens to the stream.
        assert_eq!(driver.stream().got, b"hello again;");
        let mut driver = driver.compress(|stream| stream);
        assert_eq!(driver.next().unwrap(), Next::Event(3));
        assert_eq!(
            driver.answer(|machine, output| machine.say("yes", output)),
            Some(3)
        );
        driver.flush().unwrap();
        assert!(driver.stream().got.ends_with(b"yes"));
        let driver = Driver::new(Toy::default(), Peer::default());
        assert_eq!(
            driver.upgrade(|_| Err::<Peer, _>("no TLS")).err(),
            Some("no TLS")
        );
    }

    #[test]
    fn an_answer_out_of_place_is_not_forgotten() {
        let mut driver = Driver::new(Toy::default(), Peer::default());
        assert_eq!(
            driver.answer(|machine, output| machine.say("too early", output)),
            None
        );
        let ended = driver.next();
        assert!(
            matches!(ended, Err(DriveError::Misuse(misuse)) if misuse.method() == "say"),
            "{ended:?}"
        );
        assert!(driver.stream().got.is_empty());
    }
}
