//! The one shape of all six protocol machines.

use bytes::BytesMut;
use core::time::Duration;

use crate::Output;

/// A protocol without I/O: octets in, events and octets out.
///
/// The caller owns the socket, TLS, the clock and the tasks; the machine owns protocol state and
/// nothing else. It never panics, whatever it is fed and in whatever order its methods are called.
///
/// The caller
/// 1. reads from the socket into `input`, and never touches what is already there;
/// 2. calls [`poll`](Self::poll) until it returns anything but [`Step::Event`];
/// 3. sends what has gathered in `output`, and begins again.
///
#[cfg_attr(
    feature = "std",
    doc = "[`drive`](crate::drive) has loops that do this for tokio streams and for blocking ones."
)]
#[cfg_attr(
    not(feature = "std"),
    doc = "`drive`, behind the features `std` and `tokio`, has loops that do this."
)]
pub trait Machine {
    /// What the caller has to know.
    type Event;
    /// Why the connection has to end.
    type Error;

    /// Takes what it needs from `input` and appends what must be sent at once to `output`.
    ///
    /// Every call either makes progress or says what it waits for, so a loop around it ends.
    ///
    /// # Errors
    /// An error is final: send what is in `output`, then close.
    fn poll(
        &mut self,
        input: &mut BytesMut,
        output: &mut Output,
    ) -> Result<Step<Self::Event>, Self::Error>;

    /// Takes note that the peer closed its side.
    ///
    /// # Errors
    /// Inside a message, a literal or a command the end is an error, never taken for success.
    fn end_of_input(&mut self) -> Result<(), Self::Error>;

    /// Returns how long the RFC lets the peer be silent in this state.
    fn time_limit(&self) -> Duration;

    /// Ends the connection of a peer that was silent for longer than [`time_limit`](Self::time_limit): says farewell
    /// as the RFC has it; the next [`poll`](Self::poll) returns [`Step::Closed`].
    fn timed_out(&mut self, output: &mut Output);

    /// Takes note that TLS has begun after [`Step::StartTls`]: forgets what was said in clear, as the RFC has it. At
    /// any other time it changes nothing.
    fn tls_established(&mut self, output: &mut Output);

    /// Takes note that octets are compressed both ways from here on, after [`Step::Compress`]. A protocol that has no
    /// compression never asks for it.
    fn compression_active(&mut self) {}

    /// Ends the connection because the program stops or has no room: says farewell as the RFC has it, where a word
    /// may be said now. The next [`poll`](Self::poll) returns [`Step::Closed`]. What the peer did not confirm is not
    /// done: a POP3 session deletes nothing, half a message is not delivered.
    fn shut_down(&mut self, output: &mut Output);
}

/// What [`Machine::poll`] returns: an event, or what the machine waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "whoever drives a machine has to do each of them"
)]
pub enum Step<E> {
    /// What the caller has to know. Poll again after acting on it.
    Event(E),
    /// More input is needed: read from the socket.
    NeedInput,
    /// The last event waits for the application's answer. What the peer pipelined stays in `input`.
    NeedAnswer,
    /// Send `output`, hand the socket to TLS, then call [`Machine::tls_established`].
    StartTls,
    /// Send `output`; from then on octets are compressed both ways (RFC 4978). Then call
    /// [`Machine::compression_active`].
    Compress,
    /// Send `output`, then close.
    Closed,
}

impl<E> Step<E> {
    /// Converts the event, and leaves every other step as it is.
    pub fn map<F>(self, f: impl FnOnce(E) -> F) -> Step<F> {
        match self {
            Self::Event(event) => Step::Event(f(event)),
            Self::NeedInput => Step::NeedInput,
            Self::NeedAnswer => Step::NeedAnswer,
            Self::StartTls => Step::StartTls,
            Self::Compress => Step::Compress,
            Self::Closed => Step::Closed,
        }
    }
}
