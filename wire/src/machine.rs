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
/// 2. calls [`poll`](Self::poll) until it says anything but [`Step::Event`];
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
    /// Why the connection cannot go on.
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

    /// The peer closed its side.
    ///
    /// # Errors
    /// Inside a message, a literal or a command the end is an error, never taken for success.
    fn end_of_input(&mut self) -> Result<(), Self::Error>;

    /// How long the RFC lets the peer be silent in this state.
    fn time_limit(&self) -> Duration;

    /// The peer was silent for longer than [`time_limit`](Self::time_limit). Says farewell as the
    /// RFC has it; the next [`poll`](Self::poll) answers [`Step::Closed`].
    fn timed_out(&mut self, output: &mut Output);
}

/// What a machine says when it has done all it can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<E> {
    /// What the caller has to know. Poll again after acting on it.
    Event(E),
    /// Nothing more can be said before the peer speaks.
    NeedInput,
    /// The last event waits for the application's answer. What the peer pipelined stays in `input`.
    NeedAnswer,
    /// Send `output`, hand the socket to TLS, then call the machine's `tls_established`.
    StartTls,
    /// Send `output`; from then on octets are compressed both ways (RFC 4978). Then call the machine's
    /// `compression_active`.
    Compress,
    /// Send `output`, then close.
    Closed,
}

impl<E> Step<E> {
    /// The same step with another event type.
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
