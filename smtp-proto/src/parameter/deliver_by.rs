//! BY= (RFC 2852 §4).

use hikyaku_wire::Output;

use crate::octets::numeral;

/// Until when a message is to be delivered, and what is to be done when it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeliverBy {
    /// Seconds from now, of nine digits; in the past when negative, which only [`ByMode::Notify`] allows.
    pub seconds: i32,
    /// What is done when the time is over.
    pub mode: ByMode,
    /// `T`: each server on the way that lacks the extension is to be reported.
    pub trace: bool,
}

/// What is done with a message that is late (RFC 2852 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ByMode {
    /// `N`: the sender is notified, and delivery goes on until it works or is given up.
    Notify,
    /// `R`: delivery is not tried any more, and the sender gets a failure notice.
    Return,
}

impl DeliverBy {
    /// The most seconds: nine digits.
    const MOST: i32 = 999_999_999;

    /// Makes one without `T`. `None` when the time has more than nine digits, or is not positive where the message is
    /// to be returned.
    #[must_use]
    pub fn new(seconds: i32, mode: ByMode) -> Option<Self> {
        let valid = seconds.unsigned_abs() <= Self::MOST.unsigned_abs()
            && (mode == ByMode::Notify || seconds > 0);
        let trace = false;
        valid.then_some(Self {
            seconds,
            mode,
            trace,
        })
    }

    /// `["-" / "+"] 1*9DIGIT ";" ("N" / "R") ["T"]`; R needs a positive time.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let at = memchr::memchr(b';', value)?;
        let (time, mode) = (value.get(..at)?, value.get(at + 1..)?);
        let negative = time.starts_with(b"-");
        let digits = match time {
            [b'-' | b'+', digits @ ..] => digits,
            digits => digits,
        };
        let seconds = i32::try_from(numeral(digits, 9)?).ok()?;
        let seconds = if negative { -seconds } else { seconds };
        let (mode, trace) = match mode {
            [b'N' | b'n', trace @ ..] => (ByMode::Notify, trace),
            [b'R' | b'r', trace @ ..] => (ByMode::Return, trace),
            _ => return None,
        };
        let trace = match trace {
            [] => false,
            [b'T' | b't'] => true,
            _ => return None,
        };
        Some(Self {
            trace,
            ..Self::new(seconds, mode)?
        })
    }

    pub(crate) fn encode(self, output: &mut Output) {
        use core::fmt::Write as _;
        let mode = match self.mode {
            ByMode::Notify => "N",
            ByMode::Return => "R",
        };
        let trace = if self.trace { "T" } else { "" };
        let least = if self.mode == ByMode::Return {
            1
        } else {
            -Self::MOST
        };
        let seconds = self.seconds.clamp(least, Self::MOST);
        if seconds != self.seconds {
            output.note_replaced();
        }
        let _ = write!(output, "{seconds};{mode}{trace}");
    }
}
