//! RRVS= (RFC 7293 §3.1).

use hikyaku_wire::Output;

use crate::parameter::date_time;

/// A recipient is to get the message only if the mailbox has had one owner since then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ValidSince {
    /// Seconds since 1970.
    pub since: i64,
    /// What a server is to do that hands the message on to one without the extension.
    pub otherwise: Option<Otherwise>,
}

/// What is done where the next server lacks RRVS (RFC 7293 §5.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Otherwise {
    /// `C`: hand on without it.
    Continue,
    /// `R`: refuse.
    Reject,
}

impl ValidSince {
    /// Makes one of seconds since 1970.
    #[must_use]
    pub fn new(since: i64) -> Self {
        let otherwise = None;
        Self { since, otherwise }
    }

    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let (date, otherwise) = match value {
            [date @ .., b';', b'C' | b'c'] => (date, Some(Otherwise::Continue)),
            [date @ .., b';', b'R' | b'r'] => (date, Some(Otherwise::Reject)),
            date => (date, None),
        };
        // A fraction must not be used.
        let since = date_time::parse(date).filter(|_| !date.contains(&b'.'))?;
        Some(Self { since, otherwise })
    }

    pub(crate) fn encode(self, output: &mut Output) {
        date_time::write(self.since, output);
        output.write(match self.otherwise {
            None => b"",
            Some(Otherwise::Continue) => b";C",
            Some(Otherwise::Reject) => b";R",
        });
    }
}
