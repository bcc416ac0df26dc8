//! MT-PRIORITY= (RFC 6710 §3).

/// How urgent a message is, from -9 to 9; 0 is that of a message without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Priority(i8);

impl Priority {
    /// Makes one; `None` past 9 and below -9.
    #[must_use]
    pub const fn new(priority: i8) -> Option<Self> {
        match priority {
            -9..=9 => Some(Self(priority)),
            _ => None,
        }
    }

    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> i8 {
        self.0
    }

    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let digit = |octet: u8| i8::try_from(octet.wrapping_sub(b'0')).ok();
        match value {
            [octet @ b'0'..=b'9'] => Some(Self(digit(*octet)?)),
            [b'-', octet @ b'1'..=b'9'] => Some(Self(-digit(*octet)?)),
            _ => None,
        }
    }
}

impl core::fmt::Display for Priority {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}
