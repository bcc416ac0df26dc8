//! What the application did wrong.

use core::fmt;

/// A method of a machine was called that is not allowed now, or an argument cannot be sent.
///
/// Nothing was sent and nothing changed. The text names the method, the state and the reason:
///
/// ```
/// use hikyaku_wire::{Misuse, Reason};
/// let misuse = Misuse::new("retr", "before login", Reason::State);
/// assert_eq!(misuse.to_string(), "retr: not allowed before login");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misuse {
    method: &'static str,
    state: &'static str,
    reason: Reason,
}

/// Why a call was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The method is not allowed in this state.
    State,
    /// An argument holds CR, LF, NUL or another octet that its place in the protocol cannot carry.
    Argument,
    /// A login would cross the network in clear. Begin TLS first, set the option `tls` when the stream is under TLS
    /// already, or allow it with `login_needs_tls = false`.
    NeedsTls,
}

impl Misuse {
    /// Creates one. `state` completes the sentence "not allowed ..": `"before login"`.
    #[must_use]
    pub const fn new(method: &'static str, state: &'static str, reason: Reason) -> Self {
        Self {
            method,
            state,
            reason,
        }
    }

    /// Returns the method that was called, or the command that was to be issued.
    #[must_use]
    pub const fn method(&self) -> &'static str {
        self.method
    }

    /// Returns the state of the machine at that moment.
    #[must_use]
    pub const fn state(&self) -> &'static str {
        self.state
    }

    /// Returns why the call was refused.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, state, .. } = self;
        match self.reason {
            Reason::State => write!(f, "{method}: not allowed {state}"),
            Reason::Argument => {
                write!(
                    f,
                    "{method}: an argument holds what cannot be sent ({state})"
                )
            }
            Reason::NeedsTls => write!(
                f,
                "{method}: not allowed without TLS unless login_needs_tls is false ({state})"
            ),
        }
    }
}

impl core::error::Error for Misuse {}
