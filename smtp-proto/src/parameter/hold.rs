//! HOLDFOR= and HOLDUNTIL= (RFC 4865 §4).

use hikyaku_wire::Output;

use crate::octets::numeral;
use crate::parameter::date_time;

/// When a message is to be released to its recipients, at the earliest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hold {
    /// `HOLDFOR`: seconds from now, of nine digits.
    For(u32),
    /// `HOLDUNTIL`: seconds since 1970.
    Until(i64),
}

impl Hold {
    pub(crate) fn parse_for(value: &[u8]) -> Option<Self> {
        // The first digit is 1 to 9.
        let seconds = numeral(value, 9).filter(|_| !value.starts_with(b"0"))?;
        let seconds = u32::try_from(seconds).ok()?;
        Some(Self::For(seconds))
    }

    pub(crate) fn parse_until(value: &[u8]) -> Option<Self> {
        date_time::parse(value).map(Self::Until)
    }

    pub(crate) fn encode(self, output: &mut Output) {
        match self {
            Self::For(seconds) => {
                let kept = seconds.clamp(1, 999_999_999);
                if kept != seconds {
                    output.note_replaced();
                }
                output.write(b" HOLDFOR=");
                output.write_number(kept.into());
            }
            Self::Until(seconds) => {
                output.write(b" HOLDUNTIL=");
                date_time::write(seconds, output);
            }
        }
    }
}
